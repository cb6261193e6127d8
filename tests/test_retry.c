/* SPDX-License-Identifier: MIT */
/* Trying again: when, how often, and stopping in each phase. All of it in virtual time. */
#include "vow_test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <vow/vow.h>

#include "drops.h"
#include "manual_fixture.h"

/* Options on the manual clock, with nothing left to chance. */
#define EXACTLY(...)                                                                     \
    &VOW_RETRY_OPTIONS(.clock = vow_manual_clock(m), .jitter = VOW_JITTER_NONE,          \
                       __VA_ARGS__)

static vow_ns
now(void)
{
    return vow_clock_now(vow_manual_clock(m));
}

/* Work that fails a number of times. */
struct work {
    struct drop d; /* first: its context */
    int failures;  /* so many, then it works */
    int code;      /* 0: EIO */
    vow_ns after;  /* a hint in the error */
    int attempts;
    vow_ns times[16]; /* of the attempts */
    vow_promise *p;   /* not NULL: each attempt follows it */
};

static vow_result
do_work(void *ctx)
{
    struct work *w = (struct work *)ctx;

    if (w->attempts < 16)
        w->times[w->attempts] = now();
    w->attempts++;
    if (w->p != NULL)
        return vow_follow(vow_promise_future(w->p));
    if (w->attempts <= w->failures) {
        vow_error *e =
            vow_error_new(w->code != 0 ? w->code : EIO, "attempt %d", w->attempts);

        return vow_err(w->after != 0 ? vow_error_retry(e, w->after) : e);
    }
    return vow_ok(vow_i64(w->attempts));
}

static vow_future *
retry(struct work *w, const vow_retry_options *opt)
{
    return vow_retry(on, opt, do_work, drop_value(&w->d));
}

static void
assert_times(const struct work *w, int n, const int ms[])
{
    assert_int_equal(w->attempts, n);
    for (int i = 0; i < n; i++)
        assert_int_equal(w->times[i], vow_ms(ms[i]));
}

/* ---- when -------------------------------------------------------------------- */

VOW_CASE(retry_that_works_at_once_is_a_call)
{
    struct work w = {.failures = 0};
    vow_future *f = retry(&w, NULL);

    assert_int_equal(vow_manual_run(m), 1);
    assert_int_equal(vow_peek(f).value.as.i64, 1);
    assert_int_equal(drop_count(&w.d), 1);
    vow_unref(f);
}

VOW_CASE(retry_pauses_grow_until_it_works)
{
    struct work w = {.failures = 3};
    vow_future *f = retry(&w, EXACTLY(.factor = 3));

    vow_manual_advance(m, vow_seconds(10));
    assert_times(&w, 4, (int[]){0, 100, 400, 1300});
    assert_int_equal(vow_peek(f).value.as.i64, 4);
    assert_int_equal(drop_count(&w.d), 1);
    vow_unref(f);
}

VOW_CASE(retry_gives_up_with_the_last_error)
{
    struct work w = {.failures = 99};
    vow_future *f =
        retry(&w, EXACTLY(.max_attempts = 3, .backoff = VOW_BACKOFF_CONSTANT));
    const vow_error *e;

    vow_manual_advance(m, vow_seconds(10));
    e = vow_peek(f).error;
    assert_times(&w, 3, (int[]){0, 100, 200});
    assert_int_equal(vow_error_code(e), EIO);
    assert_string_equal(vow_error_message(e),
                        "3 attempts failed, and no more are allowed");
    assert_string_equal(vow_error_message(vow_error_cause(e)), "attempt 3");
    assert_string_equal(vow_error_note(e, "attempts"), "3");
    assert_string_equal(vow_error_note(e, "retry"), "attempts");
    assert_int_equal(drop_count(&w.d), 1);
    vow_unref(f);
}

VOW_CASE(retry_passes_an_error_on_that_is_worth_no_other_attempt)
{
    static const int codes[] = {VOW_E_CANCELLED, VOW_E_OPEN, VOW_E_NOMEM};

    for (int i = 0; i < 3; i++) {
        struct work w = {.failures = 1, .code = codes[i]};
        vow_future *f = retry(&w, NULL);

        vow_manual_advance(m, vow_seconds(10));
        assert_int_equal(w.attempts, 1);
        assert_int_equal(code_of(f), codes[i]);
        assert_string_equal(vow_error_message(vow_peek(f).error), "attempt 1");
        vow_unref(f);
    }
}

static bool
only_eio(const vow_error *error, unsigned attempt, void *ctx)
{
    assert_int_equal(attempt, ++*(unsigned *)ctx);
    return vow_error_code(error) == EIO && attempt < 2;
}

VOW_CASE(retry_asks_whether_it_makes_sense)
{
    struct work w = {.failures = 99};
    unsigned asked = 0;
    vow_future *f =
        retry(&w, EXACTLY(.should_retry = only_eio, .should_retry_ctx = &asked));

    vow_manual_advance(m, vow_seconds(10));
    assert_int_equal(w.attempts, 2);
    assert_string_equal(vow_error_note(vow_peek(f).error, "retry"), "error");
    vow_unref(f);
}

VOW_CASE(retry_reads_the_table_of_classes)
{
    static const vow_class_rule rules[] = {{EIO, VOW_CLASS_RETRY},
                                           {ENOENT, VOW_CLASS_IGNORE}};
    static const vow_classes classes = VOW_CLASSES(rules, VOW_CLASS_FAIL);
    static const int codes[] = {EIO, ENOENT, EPERM}, attempts[] = {2, 1, 1};

    for (int i = 0; i < 3; i++) {
        struct work w = {.failures = 1, .code = codes[i]};
        vow_future *f = retry(&w, EXACTLY(.classes = &classes));

        vow_manual_advance(m, vow_seconds(10));
        assert_int_equal(w.attempts, attempts[i]);
        vow_ignore(f);
    }
}

VOW_CASE(retry_waits_as_long_as_the_error_says_if_that_is_longer)
{
    struct work w = {.failures = 2, .after = vow_ms(150)};
    vow_future *f = retry(&w, EXACTLY(.max_attempts = 5));

    vow_manual_advance(m, vow_seconds(10));
    assert_times(&w, 3, (int[]){0, 150, 350}); /* the second pause is 200 ms by itself */
    vow_unref(f);
}

VOW_CASE(retry_begins_no_pause_that_would_not_end_before_the_deadline)
{
    struct work w = {.failures = 99};
    vow_future *f = retry(&w, EXACTLY(.deadline = vow_ms(300)));

    vow_manual_advance(m, vow_ms(100)); /* at 100 ms: the next pause would end at 300 */
    assert_times(&w, 2, (int[]){0, 100});
    assert_int_equal(code_of(f), EIO);
    assert_string_equal(vow_error_note(vow_peek(f).error, "retry"), "deadline");
    assert_int_equal(drop_count(&w.d), 1);
    vow_unref(f);
}

VOW_CASE(retry_begins_no_pause_that_would_never_end)
{
    const vow_ns deadlines[] = {VOW_FOREVER, vow_seconds(1)};

    for (int i = 0; i < 2; i++) {
        struct work w = {.failures = 99, .after = VOW_FOREVER};
        vow_future *f = retry(&w, EXACTLY(.deadline = deadlines[i]));

        vow_manual_run(m);
        assert_int_equal(code_of(f), EIO);
        assert_string_equal(
            vow_error_message(vow_peek(f).error),
            "1 attempt failed, and the wait before another would never end");
        assert_string_equal(vow_error_note(vow_peek(f).error, "retry"), "error");
        assert_int_equal(w.attempts, 1);
        vow_unref(f);
    }
}

VOW_CASE(retry_attempt_that_takes_too_long_has_failed)
{
    struct work w = {.p = vow_promise_new()};
    vow_future *f = retry(&w, EXACTLY(.max_attempts = 2, .attempt_timeout = vow_ms(50),
                                      .backoff = VOW_BACKOFF_NONE));

    vow_manual_advance(m, vow_ms(49));
    assert_int_equal(w.attempts, 1);
    vow_manual_advance(m, vow_ms(1));
    assert_int_equal(w.attempts, 2);
    assert_false(vow_promise_fulfill(w.p, VOW_NIL)); /* it was asked to stop */
    vow_manual_advance(m, vow_ms(50));
    assert_int_equal(code_of(f), VOW_E_CANCELLED); /* of what the second one follows */
    vow_promise_unref(w.p);
    vow_unref(f);
}

VOW_CASE(retry_deadline_ends_an_attempt_too)
{
    struct work w = {.p = vow_promise_new()};
    vow_future *f = retry(&w, EXACTLY(.deadline = vow_ms(300)));

    vow_manual_advance(m, vow_ms(300));
    assert_int_equal(code_of(f), VOW_E_TIMEDOUT);
    assert_string_equal(vow_error_note(vow_peek(f).error, "retry"), "deadline");
    assert_int_equal(w.attempts, 1);
    vow_promise_unref(w.p);
    vow_unref(f);
}

VOW_CASE(retry_begins_nothing_at_its_deadline)
{
    struct work w = {.failures = 0};
    vow_future *f;

    vow_manual_advance(m, vow_ms(10));
    f = retry(&w, EXACTLY(.deadline = vow_ms(10)));
    assert_int_equal(code_of(f), VOW_E_TIMEDOUT);
    assert_string_equal(vow_error_note(vow_peek(f).error, "retry"), "deadline");
    vow_manual_run(m);
    assert_int_equal(w.attempts, 0);
    assert_int_equal(drop_count(&w.d), 1);
    vow_unref(f);
}

/* Takes longer than there is time, and follows a promise then. */
static vow_result
work_past_the_deadline(void *ctx)
{
    vow_manual_advance(m, vow_ms(300));
    return do_work(ctx);
}

VOW_CASE(retry_attempt_whose_time_is_over_at_once_is_asked_to_stop)
{
    struct work w = {.p = vow_promise_new()};
    vow_future *f = vow_retry(NULL, EXACTLY(.deadline = vow_ms(200)),
                              work_past_the_deadline, drop_value(&w.d));

    assert_int_equal(code_of(f), VOW_E_TIMEDOUT);
    assert_int_equal(w.attempts, 1);
    assert_false(vow_promise_fulfill(w.p, VOW_NIL)); /* it was asked to stop */
    assert_int_equal(drop_count(&w.d), 1);
    vow_promise_unref(w.p);
    vow_unref(f);
}

VOW_CASE(retry_pauses_repeat_from_a_seed)
{
    vow_ns times[2][4];

    for (int i = 0; i < 2; i++) {
        struct work w = {.failures = 3};
        vow_ns start = now();
        vow_future *f =
            vow_retry(on, &VOW_RETRY_OPTIONS(.clock = vow_manual_clock(m), .seed = 5),
                      do_work, drop_value(&w.d));

        vow_manual_advance(m, vow_seconds(10));
        for (int k = 0; k < 4; k++)
            times[i][k] = w.times[k] - start;
        vow_unref(f);
    }
    assert_memory_equal(times[0], times[1], sizeof times[0]);
    assert_true(times[0][1] > 0 && times[0][1] < vow_ms(100));
}

/* ---- stopping ------------------------------------------------------------------ */

VOW_CASE(retry_cancelled_in_a_queue_never_starts)
{
    struct work w = {.failures = 0};
    vow_future *f = retry(&w, NULL);

    vow_future_cancel(f, vow_error_new(EINTR, "enough"));
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_true(vow_error_is(vow_peek(f).error, EINTR));
    assert_int_equal(drop_count(&w.d), 1);
    vow_manual_advance(m, vow_seconds(10));
    assert_int_equal(w.attempts, 0);
    vow_unref(f);
}

VOW_CASE(retry_cancelled_in_a_pause_ends_it)
{
    struct work w = {.failures = 99};
    vow_future *f = retry(&w, EXACTLY(.max_attempts = 9));

    vow_manual_advance(m, vow_ms(150));
    assert_int_equal(w.attempts, 2);
    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(drop_count(&w.d), 1);
    assert_int_equal(vow_manual_advance(m, vow_seconds(10)), 0); /* no timer is left */
    assert_int_equal(w.attempts, 2);
    vow_unref(f);
}

VOW_CASE(retry_cancelled_in_an_attempt_asks_it_to_stop)
{
    struct work w = {.p = vow_promise_new()};
    vow_future *f = retry(&w, EXACTLY(.max_attempts = 9));

    vow_manual_run(m);
    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_false(vow_promise_fulfill(w.p, VOW_NIL));
    vow_manual_advance(m, vow_seconds(10));
    assert_int_equal(w.attempts, 1);
    assert_int_equal(drop_count(&w.d), 1);
    vow_promise_unref(w.p);
    vow_unref(f);
}

static vow_result
cancel_oneself(void *ctx)
{
    vow_future **f = (vow_future **)ctx;

    vow_future_cancel(*f, NULL);
    assert_int_equal(code_of(*f), VOW_E_CANCELLED); /* at once, while this runs */
    return vow_fail(EIO, "too late");
}

VOW_CASE(retry_cancelled_by_its_own_attempt_does_not_go_on)
{
    vow_future *f = NULL;

    f = vow_retry(on, EXACTLY(.backoff = VOW_BACKOFF_NONE), cancel_oneself, vow_ptr(&f));
    assert_int_equal(vow_manual_run(m), 1);
    vow_unref(f);
}

VOW_CASE(retry_stops_with_its_token)
{
    vow_source *s = vow_source_new();
    vow_token *t = vow_source_token(s);
    struct work w = {.failures = 99};
    vow_future *f = retry(&w, EXACTLY(.max_attempts = 9, .token = t));

    vow_token_unref(t);
    vow_manual_advance(m, vow_ms(150));
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_source_cancel(s, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(drop_count(&w.d), 1);
    assert_int_equal(vow_manual_advance(m, vow_seconds(10)), 0);
    vow_source_unref(s);
    vow_unref(f);
}

/* Whose first attempt fires the token. */
struct firing {
    struct drop d; /* first */
    vow_source *s;
    int attempts;
};

static vow_result
fire_and_fail(void *ctx)
{
    struct firing *x = (struct firing *)ctx;

    x->attempts++;
    vow_source_cancel(x->s, NULL);
    return vow_fail(EIO, "attempt %d", x->attempts);
}

VOW_CASE(retry_whose_first_attempt_fires_the_token_makes_no_other)
{
    struct firing x = {.s = vow_source_new()};
    vow_token *t = vow_source_token(x.s);
    vow_future *f = vow_retry(NULL, EXACTLY(.backoff = VOW_BACKOFF_NONE, .token = t),
                              fire_and_fail, drop_value(&x.d));

    assert_int_equal(x.attempts, 1);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(drop_count(&x.d), 1);
    vow_unref(f);
    vow_token_unref(t);
    vow_source_unref(x.s);
}

VOW_CASE(retry_with_a_token_makes_no_second_attempt_that_cannot_be_stopped)
{
    vow_source *s = vow_source_new();
    vow_token *t = vow_source_token(s);

    counting_each_failure(k, COUNTING_ONCE)
    {
        struct work w = {.failures = 3};
        vow_future *f = retry(&w, EXACTLY(.backoff = VOW_BACKOFF_NONE, .token = t));

        vow_manual_run(m);
        assert_true(f != NULL || w.attempts <= 1);
        assert_int_equal(drop_count(&w.d), 1);
        vow_ignore(f);
    }
    vow_token_unref(t);
    vow_source_unref(s);
}

VOW_CASE(retry_on_an_executor_that_closes_ends)
{
    struct work w = {.failures = 99}, v = {.failures = 0};
    vow_manual *other = vow_manual_new();
    vow_future *f = vow_retry(vow_manual_executor(other), EXACTLY(.max_attempts = 2),
                              do_work, drop_value(&w.d));
    vow_future *g;

    vow_manual_run(other);
    vow_unref(vow_executor_close(vow_manual_executor(other), VOW_DRAIN));
    vow_manual_advance(m, vow_seconds(1));
    assert_int_equal(code_of(f), VOW_E_CLOSED);
    assert_int_equal(drop_count(&w.d), 1);
    g = vow_retry(vow_manual_executor(other), EXACTLY(.max_attempts = 1), do_work,
                  drop_value(&v.d));
    assert_int_equal(code_of(g), VOW_E_CLOSED);
    vow_unref(f);
    vow_unref(g);
    vow_manual_unref(other);
}

/* ---- budget, observer ------------------------------------------------------------ */

VOW_CASE(retry_obeys_the_budget_that_it_shares)
{
    vow_budget *b =
        vow_budget_new(&VOW_BUDGET_OPTIONS(.ratio = 0.5, .per_second = 0.001, .most = 2,
                                           .clock = vow_manual_clock(m)));
    struct work w[4] = {
        {.failures = 99}, {.failures = 99}, {.failures = 99}, {.failures = 99}};
    int attempts = 0;

    for (int i = 0; i < 4; i++) {
        vow_future *f = retry(
            &w[i], EXACTLY(.max_attempts = 9, .budget = b, .backoff = VOW_BACKOFF_NONE));

        vow_manual_run(m);
        assert_int_equal(code_of(f), EIO);
        assert_string_equal(vow_error_note(vow_peek(f).error, "retry"), "budget");
        attempts += w[i].attempts;
        vow_unref(f);
    }
    /* Two that it began with, and half of one for each call; full at the first. */
    assert_int_equal(attempts, 4 + 2 + 1);
    vow_budget_unref(b);
}

struct diary {
    char text[256];
    size_t used;
};

static void
write_down(const vow_attempt *a, void *ctx)
{
    struct diary *d = (struct diary *)ctx;

    d->used += (size_t)snprintf(d->text + d->used, sizeof d->text - d->used,
                                "%u:%d:%lld:%s%lld ", a->number, vow_error_code(a->error),
                                (long long)(a->took / 1000000), a->retries ? "+" : "-",
                                (long long)(a->pause / 1000000));
}

VOW_CASE(retry_tells_of_each_attempt)
{
    struct diary d = {.used = 0};
    struct work w = {.failures = 2};
    vow_future *f = retry(&w, EXACTLY(.observer = write_down, .observer_ctx = &d));
    char expected[64];

    vow_manual_advance(m, vow_seconds(10));
    snprintf(expected, sizeof expected, "1:%d:0:+100 2:%d:0:+200 3:0:0:-0 ", EIO, EIO);
    assert_string_equal(d.text, expected);
    vow_unref(f);
}

/* ---- flat ------------------------------------------------------------------------- */

enum { MILLION = 1000000 };

struct marathon {
    int attempts;
    size_t blocks; /* at an early attempt */
    const char *stack;
};

static vow_result
run_on(void *ctx)
{
    struct marathon *x = (struct marathon *)ctx;
    const char *here = __builtin_frame_address(0);

    if (++x->attempts == 10) {
        x->blocks = counting_live();
        x->stack = here;
    }
    if (x->attempts == MILLION - 1) {
        assert_int_equal(counting_live(), x->blocks);
        assert_ptr_equal(here, x->stack);
    }
    return vow_err(vow_error_of(VOW_E_LIMIT));
}

static void
run_marathon(vow_executor *where)
{
    struct marathon x = {.attempts = 0};
    vow_future *f =
        vow_retry(where, EXACTLY(.max_attempts = MILLION, .backoff = VOW_BACKOFF_NONE),
                  run_on, vow_ptr(&x));

    vow_manual_run(m);
    assert_int_equal(x.attempts, MILLION);
    assert_int_equal(code_of(f), VOW_E_LIMIT);
    vow_unref(f);
}

VOW_CASE(retry_of_a_million_attempts_is_flat)
{
    run_marathon(NULL);
    run_marathon(on);
}

/* ---- misuse, memory ------------------------------------------------------------------ */

VOW_CASE(retry_options_without_sense_are_refused)
{
    const vow_retry_options bad[] = {
        VOW_RETRY_OPTIONS(.base_delay = -1), VOW_RETRY_OPTIONS(.max_delay = -1),
        VOW_RETRY_OPTIONS(.factor = -1), VOW_RETRY_OPTIONS(.attempt_timeout = -1)};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct work w = {.failures = 0};
        vow_future *f = retry(&w, &bad[i]);

        assert_int_equal(code_of(f), VOW_E_INVALID);
        assert_int_equal(drop_count(&w.d), 1);
        assert_int_equal(w.attempts, 0);
        vow_unref(f);
    }
}

VOW_CASE(retry_without_memory_loses_nothing)
{
    counting_each_failure(k, COUNTING_ONWARDS)
    {
        struct work w = {.failures = 2};
        vow_future *f = retry(&w, EXACTLY(.attempt_timeout = vow_seconds(1)));

        vow_manual_advance(m, vow_seconds(10));
        assert_int_equal(drop_count(&w.d), 1);
        if (counting_failed())
            assert_true(code_of(f) == VOW_E_NOMEM || code_of(f) == EIO ||
                        code_of(f) == 0);
        else
            assert_int_equal(code_of(f), 0);
        vow_ignore(f);
    }
    counting_each_failure(k, COUNTING_ONCE)
    {
        struct work w = {.failures = 2};
        vow_future *f = retry(&w, EXACTLY(.attempt_timeout = vow_seconds(1)));

        vow_manual_advance(m, vow_seconds(10));
        assert_int_equal(drop_count(&w.d), 1);
        assert_true(code_of(f) == VOW_E_NOMEM || code_of(f) == EIO || code_of(f) == 0);
        vow_ignore(f);
    }
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        manual_test(retry_that_works_at_once_is_a_call),
        manual_test(retry_pauses_grow_until_it_works),
        manual_test(retry_gives_up_with_the_last_error),
        manual_test(retry_passes_an_error_on_that_is_worth_no_other_attempt),
        manual_test(retry_asks_whether_it_makes_sense),
        manual_test(retry_reads_the_table_of_classes),
        manual_test(retry_waits_as_long_as_the_error_says_if_that_is_longer),
        manual_test(retry_begins_no_pause_that_would_not_end_before_the_deadline),
        manual_test(retry_begins_no_pause_that_would_never_end),
        manual_test(retry_attempt_that_takes_too_long_has_failed),
        manual_test(retry_deadline_ends_an_attempt_too),
        manual_test(retry_begins_nothing_at_its_deadline),
        manual_test(retry_attempt_whose_time_is_over_at_once_is_asked_to_stop),
        manual_test(retry_pauses_repeat_from_a_seed),
        manual_test(retry_cancelled_in_a_queue_never_starts),
        manual_test(retry_cancelled_in_a_pause_ends_it),
        manual_test(retry_cancelled_in_an_attempt_asks_it_to_stop),
        manual_test(retry_cancelled_by_its_own_attempt_does_not_go_on),
        manual_test(retry_stops_with_its_token),
        manual_test(retry_whose_first_attempt_fires_the_token_makes_no_other),
        manual_test(retry_with_a_token_makes_no_second_attempt_that_cannot_be_stopped),
        manual_test(retry_on_an_executor_that_closes_ends),
        manual_test(retry_obeys_the_budget_that_it_shares),
        manual_test(retry_tells_of_each_attempt),
        manual_test(retry_of_a_million_attempts_is_flat),
        manual_test(retry_options_without_sense_are_refused),
        manual_test(retry_without_memory_loses_nothing),
    };

    return vow_test_run(cases);
}
