/* SPDX-License-Identifier: MIT */
/* Warnings: what the hook gets, and what the default prints, seen from outside. */
#include "support/vow_test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/warn.h"
#include "support/drops.h"

/* What the hook saw last. */
static struct {
    int count;
    int code;
    char message[256];
    void *ctx;
} heard;

static void
record(int code, const char *message, void *ctx)
{
    heard.count++;
    heard.code = code;
    snprintf(heard.message, sizeof heard.message, "%s", message);
    heard.ctx = ctx;
    errno = EDOM;
}

VOW_CASE(warning_reaches_the_hook_with_its_code_message_and_context)
{
    memset(&heard, 0, sizeof heard);
    vow_on_warning(record, &heard);
    errno = ERANGE;
    vowi_warn(EAGAIN, "%d of %s", 3, "four");
    vow_on_warning(NULL, NULL);

    assert_int_equal(errno, ERANGE);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.code, EAGAIN);
    assert_string_equal(heard.message, "3 of four");
    assert_ptr_equal(heard.ctx, &heard);
}

VOW_CASE(warning_that_is_too_long_is_cut)
{
    char text[1000];

    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    memset(&heard, 0, sizeof heard);
    vow_on_warning(record, NULL);
    vowi_warn(VOW_E_LIMIT, "%s", text);
    vow_on_warning(NULL, NULL);

    assert_int_equal(heard.count, 1);
    assert_in_range(strlen(heard.message), 100, 255);
}

static void
record_and_change(int code, const char *message, void *ctx)
{
    (void)ctx;
    vow_on_warning(record, NULL);
    record(code, message, NULL);
    vowi_warn(code + 1, "inside");
}

VOW_CASE(hook_may_call_the_library)
{
    memset(&heard, 0, sizeof heard);
    vow_on_warning(record_and_change, NULL);
    vowi_warn(1, "outside");
    vow_on_warning(NULL, NULL);

    assert_int_equal(heard.count, 2);
    assert_int_equal(heard.code, 2);
}

/* The default, in a process of its own. */

enum { MANY = 500 };

static int
child(void)
{
    for (int i = 0; i < MANY; i++)
        vowi_warn(VOW_E_LIMIT, "sheep %d is missing", i);
    return 0;
}

/* Returns how many lines the child prints, and whether the first tells of sheep 0. */
static int
run_child(bool *tells_the_first, bool *tells_the_total)
{
    char command[512], path[400] = "", line[256];
    int lines = 0;
    FILE *f;

    assert_true(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    snprintf(command, sizeof command, "exec '%s' child 2>&1", path);
    f = popen(command, "r");
    assert_non_null(f);
    for (; fgets(line, sizeof line, f) != NULL; lines++) {
        *tells_the_first |=
            strstr(line, "warning 4103 (VOW_E_LIMIT): sheep 0 is missing\n") != NULL;
        *tells_the_total |= strstr(line, "more warnings") != NULL;
    }
    assert_int_equal(pclose(f), 0);
    return lines;
}

VOW_CASE(default_prints_a_few_lines_and_a_total)
{
    bool first = false, total = false;
    int lines = run_child(&first, &total);

    assert_true(first);
    assert_true(total);
    assert_in_range(lines, 2, MANY / 4);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest cases[] = {
        vow_test(warning_reaches_the_hook_with_its_code_message_and_context),
        vow_test(warning_that_is_too_long_is_cut),
        vow_test(hook_may_call_the_library),
        vow_test(default_prints_a_few_lines_and_a_total),
    };

    if (argc == 2 && strcmp(argv[1], "child") == 0)
        return child();
    return vow_test_run(cases);
}
