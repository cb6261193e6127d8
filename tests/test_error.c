/* SPDX-License-Identifier: MIT */
/* Errors: what they say, who holds them, and what happens without memory. */
#include "vow_test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

#include <vow/vow.h>

#include "base/error.h"
#include "coverage.h"
#include "drops.h"
#include "prints.h"

enum { OURS = VOW_E_USER + 7 };

/* From the next allocation on there is no memory. */
static void
take_memory_away(void)
{
    counting_fail_at(1, COUNTING_ONWARDS);
}

static void
give_memory_back(void)
{
    counting_fail_at(0, COUNTING_ONCE);
}

/* Without the attribute that checks formats: some of these are wrong on purpose. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static vow_error *
make(const char *where, const vow_error *cause, int code, const char *format, ...)
{
    va_list args;
    vow_error *e;

    va_start(args, format);
    e = vowi_error_vnew(where, cause, code, format, args);
    va_end(args);
    return e;
}
#pragma GCC diagnostic pop

/* ---- making one ---------------------------------------------------------- */

VOW_CASE(new_with_a_format_keeps_code_message_and_place)
{
    vow_error *e = vow_error_new(OURS, "item %d of %s", 3, "ten");

    assert_int_equal(vow_error_code(e), OURS);
    assert_string_equal(vow_error_message(e), "item 3 of ten");
    assert_non_null(strstr(vow_error_where(e), "test_error.c:"));
    assert_null(vow_error_cause(e));
    vow_error_unref(e);
}

VOW_CASE(new_allocates_once)
{
    size_t calls;
    vow_error *e;

    vow_trim();
    calls = counting_calls();
    e = vow_error_new(OURS, "%0200d", 1);

    assert_int_equal(counting_calls() - calls, 1);
    assert_int_equal(strlen(vow_error_message(e)), 200);
    vow_error_unref(e);
}

VOW_CASE(new_with_a_long_message_keeps_all_of_it)
{
    char text[5000];
    vow_error *e;

    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    e = vow_error_new(OURS, "%s", text);

    assert_string_equal(vow_error_message(e), text);
    vow_error_unref(e);
}

VOW_CASE(new_with_an_empty_message_has_an_empty_message)
{
    vow_error *e = vow_error_new(OURS, "%s", "");

    assert_string_equal(vow_error_message(e), "");
    vow_error_unref(e);
}

VOW_CASE(new_with_a_format_that_cannot_be_printed_shows_the_format)
{
    const wchar_t nowhere[] = {0x7fffffff, 0};
    vow_error *e;

    errno = ENOENT;
    e = make(NULL, NULL, OURS, "a %ls", nowhere);

    assert_string_equal(vow_error_message(e), "a %ls");
    assert_int_equal(errno, ENOENT);
    vow_error_unref(e);
}

VOW_CASE(new_keeps_errno_and_prints_it)
{
    vow_error *e;

    errno = ENOENT;
    e = make(NULL, NULL, errno, "%m");

    assert_int_equal(errno, ENOENT);
    assert_string_equal(vow_error_message(e), strerror(ENOENT));
    vow_error_unref(e);
}

VOW_CASE(new_without_memory_keeps_errno)
{
    take_memory_away();
    errno = ENOENT;
    assert_int_equal(vow_error_code(vow_error_new(OURS, "lost")), VOW_E_NOMEM);
    assert_int_equal(errno, ENOENT);
}

VOW_CASE(new_without_memory_is_the_built_in_error_of_its_code)
{
    take_memory_away();

    assert_ptr_equal(vow_error_new(VOW_E_CLOSED, "lost"), vow_error_of(VOW_E_CLOSED));
    assert_ptr_equal(vow_error_new(ENOMEM, "lost"), vow_error_of(VOW_E_NOMEM));
    assert_ptr_equal(vow_error_new(OURS, "lost"), vow_error_of(VOW_E_NOMEM));
    assert_ptr_equal(vow_error_new(EIO, "lost"), vow_error_of(VOW_E_NOMEM));
    assert_true(counting_failed());
}

VOW_CASE(vnew_without_a_format_has_the_message_of_its_code)
{
    vow_error *cause = make(NULL, NULL, EIO, "disk %u", 4u);
    vow_error *e = make("here:1", cause, VOW_E_LIMIT, NULL);

    assert_null(vow_error_where(cause));
    assert_string_equal(vow_error_message(cause), "disk 4");
    assert_string_equal(vow_error_where(e), "here:1");
    assert_string_equal(vow_error_message(e), "a limit was reached");
    assert_ptr_equal(vow_error_cause(e), cause);
    vow_error_unref(cause);
    vow_error_unref(e);
}

/* ---- built in ------------------------------------------------------------ */

VOW_CASE(of_each_code_is_its_built_in_error)
{
#define CHECK(name, number, text)                                                        \
    assert_int_equal(VOW_E_##name, number);                                              \
    assert_int_equal(vow_error_code(vow_error_of(number)), number);                      \
    assert_string_equal(vow_error_message(vow_error_of(number)), text);                  \
    assert_null(vow_error_where(vow_error_of(number)));                                  \
    assert_null(vow_error_cause(vow_error_of(number)));                                  \
    assert_false(vow_error_retryable(vow_error_of(number)));
    VOW_ERRORS(CHECK)
#undef CHECK
}

VOW_CASE(of_another_code_is_null)
{
    const int others[] = {0, -1, 1, EIO, VOW_E_CANCELLED - 1, VOW_E_LOST + 1, OURS};

    assert_ptr_equal(vow_error_of(ENOMEM), vow_error_of(VOW_E_NOMEM));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_null(vow_error_of(others[i]));
}

VOW_CASE(name_of_each_code_is_that_of_its_constant)
{
    static const int others[] = {0,   EIO, ENOMEM, VOW_E_CANCELLED - 1, VOW_E_LOST + 1,
                                 OURS};

#define EXPECT(name, number, text)                                                       \
    assert_string_equal(vow_error_name(number), "VOW_E_" #name);
    VOW_ERRORS(EXPECT)
#undef EXPECT
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_null(vow_error_name(others[i]));
}

VOW_CASE(built_in_error_is_never_used_up)
{
    vow_error *e = vow_error_of(VOW_E_TIMEDOUT);
    size_t calls = counting_calls();

    for (int i = 0; i < 10; i++)
        vow_error_unref(e);
    assert_ptr_equal(vow_error_ref(e), e);

    assert_string_equal(vow_error_message(e), "the deadline passed");
    assert_int_equal(counting_calls(), calls);
}

VOW_CASE(null_error_reads_as_none)
{
    assert_null(vow_error_ref(NULL));
    vow_error_unref(NULL);
    assert_int_equal(vow_error_code(NULL), 0);
    assert_string_equal(vow_error_message(NULL), "");
    assert_null(vow_error_cause(NULL));
    assert_null(vow_error_where(NULL));
    assert_false(vow_error_is(NULL, 0));
    assert_false(vow_error_retryable(NULL));
    assert_int_equal(vow_error_retry_after(NULL), 0);
    assert_null(vow_error_retry(NULL, 5));
    assert_null(vow_error_with(NULL, "key", "value"));
    assert_null(vow_error_note(NULL, "key"));
    assert_true(vow_is_nil(vow_error_payload(NULL)));
}

/* ---- references ---------------------------------------------------------- */

VOW_CASE(last_unref_frees_and_earlier_ones_do_not)
{
    struct drop d = {0};
    vow_error *e = drop_error(&d, OURS);

    assert_ptr_equal(vow_error_ref(e), e);
    vow_error_unref(e);
    assert_int_equal(drop_count(&d), 0);
    vow_error_unref(e);
    assert_int_equal(drop_count(&d), 1);
}

#define CHAIN 1000000

static void *
free_on_a_small_stack(void *e)
{
    vow_error_unref(e);
    return NULL;
}

VOW_CASE(unref_of_a_million_causes_needs_no_stack)
{
    vow_error *e = NULL;
    pthread_attr_t attr;
    pthread_t thread;

    for (int i = 0; i < CHAIN; i++) {
        vow_error *next = vow_error_wrap(e, OURS + i, "%d", i);

        vow_error_unref(e);
        e = next;
    }
    assert_true(vow_error_is(e, OURS));
    assert_false(vow_error_is(e, OURS - 1));

    pthread_attr_init(&attr);
    assert_int_equal(pthread_attr_setstacksize(&attr, 64 * 1024), 0);
    assert_int_equal(pthread_create(&thread, &attr, free_on_a_small_stack, e), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
}

static void *
hold_and_let_go(void *e)
{
    for (int i = 0; i < 20000; i++)
        vow_error_unref(vow_error_ref(e));
    vow_error_unref(e);
    return NULL;
}

VOW_CASE(threads_that_share_an_error_free_it_once)
{
    struct drop d = {0};
    vow_error *e = drop_error(&d, OURS);
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, hold_and_let_go, vow_error_ref(e)), 0);
    vow_error_unref(e);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);

    assert_int_equal(drop_count(&d), 1);
}

/* The count is the first member. */
static _Atomic uint32_t *
count_of(vow_error *e)
{
    return (_Atomic uint32_t *)(void *)e;
}

VOW_CASE(count_beyond_its_limit_stops_and_never_frees)
{
    struct drop d = {0};
    vow_error *e = drop_error(&d, OURS);
    uint32_t stopped;

    atomic_store(count_of(e), UINT32_C(1) << 30);
    vow_error_ref(e);
    stopped = atomic_load(count_of(e));
    for (int i = 0; i < 10; i++)
        vow_error_unref(e);
    assert_int_equal(atomic_load(count_of(e)), stopped);
    for (int i = 0; i < 10; i++)
        vow_error_ref(e);
    assert_int_equal(atomic_load(count_of(e)), stopped);
    assert_in_range(stopped, UINT32_C(1) << 31, UINT32_MAX - (UINT32_C(1) << 29));
    assert_int_equal(drop_count(&d), 0);

    atomic_store(count_of(e), 1);
    vow_error_unref(e);
    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(count_below_zero_ends_the_process)
{
    vow_error *e = vow_error_new(OURS, "held by nobody");
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        signal(SIGABRT, coverage_write_and_die);
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(1);
        atomic_store(count_of(e), 0);
        vow_error_unref(e);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    vow_error_unref(e);
}

/* ---- causes -------------------------------------------------------------- */

VOW_CASE(wrap_takes_a_reference_of_its_own)
{
    struct drop d = {0};
    vow_error *cause = drop_error(&d, EIO);
    vow_error *e = vow_error_wrap(cause, OURS, "reading %s", "x");

    vow_error_unref(cause);
    assert_int_equal(drop_count(&d), 0);
    assert_ptr_equal(vow_error_cause(e), cause);
    assert_string_equal(vow_error_message(e), "reading x");
    assert_non_null(strstr(vow_error_where(e), "test_error.c:"));

    vow_error_unref(e);
    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(wrap_without_memory_leaves_the_cause_alone)
{
    struct drop d = {0};
    vow_error *cause = drop_error(&d, EIO);

    take_memory_away();
    assert_ptr_equal(vow_error_wrap(cause, VOW_E_OPEN, "lost"), vow_error_of(VOW_E_OPEN));
    assert_ptr_equal(vow_error_wrap(cause, OURS, "lost"), vow_error_of(VOW_E_NOMEM));
    assert_int_equal(drop_count(&d), 0);

    vow_error_unref(cause);
    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(is_looks_along_the_causes)
{
    vow_error *inner = vow_error_wrap(vow_error_of(VOW_E_TIMEDOUT), EIO, "inner");
    vow_error *e = vow_error_wrap(inner, OURS, "outer");

    assert_true(vow_error_is(e, OURS));
    assert_true(vow_error_is(e, EIO));
    assert_true(vow_error_is(e, VOW_E_TIMEDOUT));
    assert_false(vow_error_is(e, ENOENT));
    assert_false(vow_error_is(inner, OURS));
    vow_error_unref(inner);
    vow_error_unref(e);
}

/* ---- the hint ------------------------------------------------------------ */

VOW_CASE(retry_marks_the_error_itself)
{
    vow_error *e = vow_error_new(OURS, "busy");

    assert_false(vow_error_retryable(e));
    assert_ptr_equal(vow_error_retry(e, vow_ms(20)), e);

    assert_true(vow_error_retryable(e));
    assert_int_equal(vow_error_retry_after(e), vow_ms(20));
    vow_error_unref(e);
}

VOW_CASE(retry_with_no_or_negative_time_means_at_once)
{
    vow_error *e = vow_error_retry(vow_error_new(OURS, "busy"), -1);

    assert_true(vow_error_retryable(e));
    assert_int_equal(vow_error_retry_after(e), 0);
    e = vow_error_retry(e, VOW_FOREVER);
    assert_int_equal(vow_error_retry_after(e), VOW_FOREVER);
    vow_error_unref(e);
}

VOW_CASE(retry_hint_is_the_nearest_along_the_causes)
{
    vow_error *far = vow_error_retry(vow_error_new(OURS, "far"), 1);
    vow_error *near = vow_error_retry(vow_error_wrap(far, OURS, "near"), 0);
    vow_error *e = vow_error_wrap(near, OURS, "outer");

    assert_true(vow_error_retryable(e));
    assert_int_equal(vow_error_retry_after(e), 0);
    assert_int_equal(vow_error_retry_after(far), 1);
    vow_error_unref(far);
    vow_error_unref(near);
    vow_error_unref(e);
}

VOW_CASE(retry_on_a_built_in_error_makes_one_on_top_of_it)
{
    vow_error *plain = vow_error_of(VOW_E_LIMIT);
    vow_error *e = vow_error_retry(plain, 9);

    assert_ptr_not_equal(e, plain);
    assert_int_equal(vow_error_code(e), VOW_E_LIMIT);
    assert_string_equal(vow_error_message(e), vow_error_message(plain));
    assert_ptr_equal(vow_error_cause(e), plain);
    assert_int_equal(vow_error_retry_after(e), 9);
    assert_false(vow_error_retryable(plain));
    vow_error_unref(e);
}

VOW_CASE(retry_without_memory_returns_the_built_in_error_unmarked)
{
    take_memory_away();

    assert_ptr_equal(vow_error_retry(vow_error_of(VOW_E_LIMIT), 9),
                     vow_error_of(VOW_E_LIMIT));
    assert_false(vow_error_retryable(vow_error_of(VOW_E_LIMIT)));
}

VOW_CASE(retry_without_memory_still_marks_an_error_of_ones_own)
{
    vow_error *e = vow_error_new(OURS, "busy");

    take_memory_away();
    e = vow_error_retry(e, 9);

    assert_int_equal(vow_error_retry_after(e), 9);
    vow_error_unref(e);
}

/* ---- notes --------------------------------------------------------------- */

VOW_CASE(with_copies_key_and_value)
{
    char key[] = "url";
    char value[] = "http://x";
    vow_error *e = vow_error_new(OURS, "failed");

    assert_ptr_equal(vow_error_with(e, key, value), e);
    memset(key, '#', sizeof key - 1);
    memset(value, '#', sizeof value - 1);

    assert_string_equal(vow_error_note(e, "url"), "http://x");
    assert_null(vow_error_note(e, "ur"));
    assert_null(vow_error_note(e, "urls"));
    assert_null(vow_error_note(e, NULL));
    vow_error_unref(e);
}

VOW_CASE(note_is_the_newest_nearest_along_the_causes)
{
    vow_error *inner = vow_error_with(vow_error_new(OURS, "inner"), "a", "inner a");
    vow_error *e;

    inner = vow_error_with(inner, "b", "inner b");
    e = vow_error_with(vow_error_wrap(inner, OURS, "outer"), "a", "old a");
    e = vow_error_with(e, "a", "new a");
    e = vow_error_with(e, "", "");

    assert_string_equal(vow_error_note(e, "a"), "new a");
    assert_string_equal(vow_error_note(e, "b"), "inner b");
    assert_string_equal(vow_error_note(e, ""), "");
    assert_string_equal(vow_error_note(inner, "a"), "inner a");
    assert_null(vow_error_note(e, "c"));
    vow_error_unref(inner);
    vow_error_unref(e);
}

VOW_CASE(with_on_a_built_in_error_makes_one_on_top_of_it)
{
    vow_error *e = vow_error_with(vow_error_of(VOW_E_CLOSED), "pool", "io");

    assert_int_equal(vow_error_code(e), VOW_E_CLOSED);
    assert_ptr_equal(vow_error_cause(e), vow_error_of(VOW_E_CLOSED));
    assert_string_equal(vow_error_note(e, "pool"), "io");
    assert_null(vow_error_note(vow_error_of(VOW_E_CLOSED), "pool"));
    vow_error_unref(e);
}

VOW_CASE(with_without_memory_returns_the_error_without_the_note)
{
    counting_each_failure(k, COUNTING_ONCE)
    {
        vow_error *e = vow_error_with(vow_error_of(VOW_E_CLOSED), "key", "value");

        assert_int_equal(vow_error_code(e), VOW_E_CLOSED);
        if (counting_failed()) {
            assert_ptr_equal(e, vow_error_of(VOW_E_CLOSED));
            assert_null(vow_error_note(e, "key"));
        } else {
            assert_string_equal(vow_error_note(e, "key"), "value");
        }
        vow_error_unref(e);
    }
}

VOW_CASE(with_without_memory_keeps_earlier_notes)
{
    vow_error *e = vow_error_with(vow_error_new(OURS, "failed"), "key", "first");

    take_memory_away();
    assert_ptr_equal(vow_error_with(e, "key", "second"), e);

    assert_string_equal(vow_error_note(e, "key"), "first");
    vow_error_unref(e);
}

/* ---- the payload --------------------------------------------------------- */

VOW_CASE(attach_drops_the_payload_with_the_error)
{
    struct drop d = {0};
    vow_error *e = vow_error_new(OURS, "failed");

    assert_ptr_equal(vow_error_attach(e, drop_value(&d)), e);
    assert_ptr_equal(vow_error_payload(e).as.ptr, &d);
    assert_true(vow_error_payload(e).drop == NULL);
    assert_int_equal(drop_count(&d), 0);

    vow_error_unref(e);
    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(attach_again_drops_the_earlier_payload)
{
    struct drop first = {0};
    struct drop second = {0};
    vow_error *e = vow_error_attach(vow_error_new(OURS, "failed"), drop_value(&first));

    e = vow_error_attach(e, drop_value(&second));

    assert_int_equal(drop_count(&first), 1);
    assert_int_equal(drop_count(&second), 0);
    assert_ptr_equal(vow_error_payload(e).as.ptr, &second);
    vow_error_unref(e);
    assert_int_equal(drop_count(&second), 1);
}

VOW_CASE(attach_to_no_error_drops_the_payload)
{
    struct drop d = {0};

    assert_null(vow_error_attach(NULL, drop_value(&d)));
    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(attach_to_a_built_in_error_makes_one_on_top_of_it)
{
    struct drop d = {0};
    vow_error *e = vow_error_attach(vow_error_of(VOW_E_BROKEN), drop_value(&d));

    assert_int_equal(vow_error_code(e), VOW_E_BROKEN);
    assert_ptr_equal(vow_error_cause(e), vow_error_of(VOW_E_BROKEN));
    assert_ptr_equal(vow_error_payload(e).as.ptr, &d);
    assert_true(vow_is_nil(vow_error_payload(vow_error_of(VOW_E_BROKEN))));
    vow_error_unref(e);
    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(attach_without_memory_drops_the_payload)
{
    struct drop d = {0};

    take_memory_away();
    assert_ptr_equal(vow_error_attach(vow_error_of(VOW_E_BROKEN), drop_value(&d)),
                     vow_error_of(VOW_E_BROKEN));
    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(payload_is_the_nearest_along_the_causes)
{
    vow_error *inner = vow_error_attach(vow_error_new(OURS, "inner"), vow_i64(5));
    vow_error *middle = vow_error_attach(vow_error_wrap(inner, OURS, "m"), vow_i64(0));
    vow_error *outer = vow_error_wrap(inner, OURS, "outer");

    assert_int_equal(vow_error_payload(outer).as.i64, 5);
    assert_int_equal(vow_error_payload(middle).as.i64, 0);
    vow_error_unref(inner);
    vow_error_unref(middle);
    vow_error_unref(outer);
}

static void
unref_error(void *e)
{
    vow_error_unref(e);
}

VOW_CASE(payload_that_is_an_error_is_freed_as_well)
{
    struct drop d = {0};
    vow_error *e = vow_error_new(OURS, "outer");

    e = vow_error_attach(e, vow_own(drop_error(&d, EIO), unref_error));
    vow_error_unref(e);

    assert_int_equal(drop_count(&d), 1);
}

static int nulls_dropped;

static void
drop_null(void *p)
{
    nulls_dropped += p == NULL;
}

VOW_CASE(value_drop_of_an_owned_null_runs_the_drop)
{
    nulls_dropped = 0;
    vow_value_drop(vow_own(NULL, drop_null));
    assert_int_equal(nulls_dropped, 1);
}

VOW_CASE(value_drop_runs_the_drop_once_and_only_if_there_is_one)
{
    struct drop d = {0};

    vow_value_drop(VOW_NIL);
    vow_value_drop(vow_i64(7));
    vow_value_drop(vow_ptr(&d));
    assert_int_equal(drop_count(&d), 0);
    vow_value_drop(drop_value(&d));
    assert_int_equal(drop_count(&d), 1);
}

/* ---- printing one -------------------------------------------------------- */

VOW_CASE(print_of_a_chain_is_one_line_for_each)
{
    vow_error *cause = vow_error_new_at("net.c:10", 111, "refused\nor so");
    vow_error *e;

    cause = vow_error_with(vow_error_retry(cause, 250), "host", "a\tb");
    e = vow_error_wrap_at(NULL, cause, OURS, "no page");

    assert_prints(e, "error 65543: no page\n"
                     "  because of error 111 at net.c:10: refused or so [host=a b]"
                     " [retry after 250 ns]\n");
    vow_error_unref(cause);
    vow_error_unref(e);
}

VOW_CASE(print_of_a_long_pause_is_in_milliseconds)
{
    vow_error *e = vow_error_retry(vow_error_new_at(NULL, OURS, "later"), vow_seconds(3));

    assert_prints(e, "error 65543: later [retry after 3000 ms]\n");
    vow_error_unref(e);
}

VOW_CASE(print_of_a_pause_without_end_is_no_number)
{
    vow_error *e = vow_error_retry(vow_error_new_at(NULL, OURS, "later"), VOW_FOREVER);

    assert_prints(e, "error 65543: later [retry after VOW_FOREVER]\n");
    vow_error_unref(e);
}

VOW_CASE(print_of_a_built_in_error_and_of_none)
{
    assert_prints(vow_error_of(VOW_E_CANCELLED),
                  "error 4096 (VOW_E_CANCELLED): cancelled\n");
    assert_prints(NULL, "no error\n");
}

VOW_CASE(print_allocates_nothing)
{
    vow_error *e = vow_error_with(vow_error_of(VOW_E_OPEN), "key", "value");
    size_t calls = counting_calls();

    assert_prints(e,
                  "error 4102 (VOW_E_OPEN): the circuit breaker is open [key=value]\n"
                  "  because of error 4102 (VOW_E_OPEN): the circuit breaker is open\n");
    assert_int_equal(counting_calls(), calls);
    vow_error_unref(e);
}

/* ---- all together -------------------------------------------------------- */

static vow_error *
decorate(struct drop *payload)
{
    vow_error *cause = vow_error_with(vow_error_of(VOW_E_TIMEDOUT), "try", "1");
    vow_error *e = vow_error_wrap(cause, OURS, "%s", "a message too long for a cache");

    vow_error_unref(cause);
    e = vow_error_retry(e, 4);
    e = vow_error_with(e, "try", "2");
    return vow_error_attach(e, drop_value(payload));
}

static void
decorate_with_failures(enum counting_mode mode)
{
    size_t rounds = 0;

    counting_each_failure(k, mode)
    {
        struct drop d = {0};
        vow_error *e = decorate(&d);

        assert_non_null(e);
        assert_int_not_equal(vow_error_code(e), 0);
        vow_error_unref(e);
        assert_int_equal(drop_count(&d), 1);
        rounds++;
    }
    assert_true(rounds > 3);
}

VOW_CASE(decorating_with_one_failed_allocation_leaks_nothing)
{
    decorate_with_failures(COUNTING_ONCE);
}

VOW_CASE(decorating_without_memory_leaks_nothing)
{
    decorate_with_failures(COUNTING_ONWARDS);
}

VOW_CASE(failures_have_no_lasting_effect)
{
    vow_error *e;

    take_memory_away();
    assert_ptr_equal(vow_error_new(OURS, "lost"), vow_error_of(VOW_E_NOMEM));
    give_memory_back();
    e = vow_error_new(OURS, "found");

    assert_string_equal(vow_error_message(e), "found");
    vow_error_unref(e);
}

VOW_CASE(note_without_a_key_or_a_value_is_none)
{
    vow_error *e = vow_error_new(OURS, "plain");

    assert_ptr_equal(vow_error_with(e, NULL, "value"), e);
    assert_ptr_equal(vow_error_with(e, "key", NULL), e);
    assert_null(vow_error_note(e, "key"));
    assert_null(vow_error_note(e, NULL));
    vow_error_unref(e);
}

VOW_CASE(print_shows_no_control_characters)
{
    vow_error *e = vow_error_new_at(NULL, OURS,
                                    "a\x7f"
                                    "b\n"
                                    "c~d");

    assert_prints(e, "error 65543: a b c~d\n");
    vow_error_unref(e);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(new_with_a_format_keeps_code_message_and_place),
        vow_test(new_allocates_once),
        vow_test(new_with_a_long_message_keeps_all_of_it),
        vow_test(new_with_an_empty_message_has_an_empty_message),
        vow_test(new_with_a_format_that_cannot_be_printed_shows_the_format),
        vow_test(new_keeps_errno_and_prints_it),
        vow_test(new_without_memory_keeps_errno),
        vow_test(new_without_memory_is_the_built_in_error_of_its_code),
        vow_test(vnew_without_a_format_has_the_message_of_its_code),
        vow_test(of_each_code_is_its_built_in_error),
        vow_test(name_of_each_code_is_that_of_its_constant),
        vow_test(of_another_code_is_null),
        vow_test(built_in_error_is_never_used_up),
        vow_test(null_error_reads_as_none),
        vow_test(last_unref_frees_and_earlier_ones_do_not),
        vow_test(unref_of_a_million_causes_needs_no_stack),
        vow_test(threads_that_share_an_error_free_it_once),
        vow_test(count_beyond_its_limit_stops_and_never_frees),
        vow_test(count_below_zero_ends_the_process),
        vow_test(wrap_takes_a_reference_of_its_own),
        vow_test(wrap_without_memory_leaves_the_cause_alone),
        vow_test(is_looks_along_the_causes),
        vow_test(retry_marks_the_error_itself),
        vow_test(retry_with_no_or_negative_time_means_at_once),
        vow_test(retry_hint_is_the_nearest_along_the_causes),
        vow_test(retry_on_a_built_in_error_makes_one_on_top_of_it),
        vow_test(retry_without_memory_returns_the_built_in_error_unmarked),
        vow_test(retry_without_memory_still_marks_an_error_of_ones_own),
        vow_test(with_copies_key_and_value),
        vow_test(note_is_the_newest_nearest_along_the_causes),
        vow_test(with_on_a_built_in_error_makes_one_on_top_of_it),
        vow_test(with_without_memory_returns_the_error_without_the_note),
        vow_test(with_without_memory_keeps_earlier_notes),
        vow_test(attach_drops_the_payload_with_the_error),
        vow_test(attach_again_drops_the_earlier_payload),
        vow_test(attach_to_no_error_drops_the_payload),
        vow_test(attach_to_a_built_in_error_makes_one_on_top_of_it),
        vow_test(attach_without_memory_drops_the_payload),
        vow_test(payload_is_the_nearest_along_the_causes),
        vow_test(payload_that_is_an_error_is_freed_as_well),
        vow_test(value_drop_of_an_owned_null_runs_the_drop),
        vow_test(value_drop_runs_the_drop_once_and_only_if_there_is_one),
        vow_test(print_of_a_chain_is_one_line_for_each),
        vow_test(print_of_a_long_pause_is_in_milliseconds),
        vow_test(print_of_a_pause_without_end_is_no_number),
        vow_test(print_of_a_built_in_error_and_of_none),
        vow_test(print_allocates_nothing),
        vow_test(decorating_with_one_failed_allocation_leaks_nothing),
        vow_test(decorating_without_memory_leaks_nothing),
        vow_test(failures_have_no_lasting_effect),
        vow_test(note_without_a_key_or_a_value_is_none),
        vow_test(print_shows_no_control_characters),
    };

    return vow_test_run(cases);
}
