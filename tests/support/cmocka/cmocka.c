/* SPDX-License-Identifier: MIT */
/* Runs cases one after another; an assertion that fails leaves its case by longjmp. */
#include "cmocka.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum verdict { PASSED = 1, FAILED, SKIPPED };

/* The case that runs: where it is left, and by which thread alone. */
static struct {
    jmp_buf end;
    pthread_t thread;
    bool running;
} current;

/* There is no way out of another thread; and a test may want none, in a child of its
 * own. */
static bool
can_leave(void)
{
    const char *no = getenv("CMOCKA_TEST_ABORT");

    return current.running && pthread_equal(current.thread, pthread_self()) &&
           (no == NULL || *no != '1');
}

static _Noreturn void
leave(enum verdict verdict)
{
    fflush(stdout);
    if (!can_leave())
        abort();
    longjmp(current.end, verdict);
}

/* Runs a part of a case. Returns how it ended. */
static enum verdict
run_part(CMUnitTestFunction *test, CMFixtureFunction *fixture, void **state)
{
    volatile enum verdict verdict = PASSED;
    int left;

    current.thread = pthread_self();
    current.running = true;
    left = setjmp(current.end);
    if (left != 0)
        verdict = (enum verdict)left;
    else if (test != NULL)
        test(state);
    else if (fixture != NULL && fixture(state) != 0)
        verdict = FAILED;
    current.running = false;
    return verdict;
}

static enum verdict
run_case(const struct CMUnitTest *c)
{
    void *state = c->initial_state;
    enum verdict verdict = run_part(NULL, c->setup_func, &state);

    if (verdict == PASSED)
        verdict = run_part(c->test_func, NULL, &state);
    if (run_part(NULL, c->teardown_func, &state) != PASSED)
        verdict = FAILED;
    return verdict;
}

int
little_run(const struct CMUnitTest *cases, size_t count, CMFixtureFunction *setup,
           CMFixtureFunction *teardown)
{
    static const char *const marks[] = {"", "[       OK ]", "[  FAILED  ]",
                                        "[  SKIPPED ]"};
    void *state = NULL;
    int failed = 0;

    printf("[==========] Running %zu test(s).\n", count);
    if (run_part(NULL, setup, &state) != PASSED)
        return 1;
    for (size_t i = 0; i < count; i++) {
        enum verdict verdict;

        printf("[ RUN      ] %s\n", cases[i].name);
        fflush(stdout);
        verdict = run_case(&cases[i]);
        printf("%s %s\n", marks[verdict], cases[i].name);
        failed += verdict == FAILED;
    }
    return failed + (run_part(NULL, teardown, &state) != PASSED);
}

void
print_message(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintf(format, args);
    va_end(args);
}

void
print_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
}

_Noreturn void
little_fail(const char *file, int line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    printf("[  ERROR   ] --- ");
    vprintf(format, args);
    printf("\n[   LINE   ] --- %s:%d\n", file, line);
    va_end(args);
    leave(FAILED);
}

_Noreturn void
little_skip(void)
{
    leave(SKIPPED);
}

void
little_true(int holds, const char *what, const char *file, int line)
{
    if (!holds)
        little_fail(file, line, "%s", what);
}

void
little_equal(uintmax_t a, uintmax_t b, int equal, const char *what, const char *file,
             int line)
{
    if ((a == b) != equal)
        little_fail(file, line, "%s: %#" PRIxMAX " %s %#" PRIxMAX, what, a,
                    equal ? "!=" : "==", b);
}

void
little_in_range(uintmax_t a, uintmax_t least, uintmax_t most, const char *what,
                const char *file, int line)
{
    if (a < least || a > most)
        little_fail(file, line, "%s: %" PRIuMAX " is not in %" PRIuMAX " to %" PRIuMAX,
                    what, a, least, most);
}

void
little_text(const char *a, const char *b, int equal, const char *file, int line)
{
    if ((strcmp(a, b) == 0) != equal)
        little_fail(file, line, "\"%s\" %s \"%s\"", a, equal ? "!=" : "==", b);
}

void
little_bytes(const void *a, const void *b, size_t size, int equal, const char *file,
             int line)
{
    if ((memcmp(a, b, size) == 0) != equal)
        little_fail(file, line, "%zu bytes are %s", size,
                    equal ? "not the same" : "the same");
}
