/* SPDX-License-Identifier: MIT */
/* Timeouts: who wins, what is stopped, and what the error says. In virtual time. */
#include "vow_test.h"

#include <vow/vow.h>

#include "drops.h"

static vow_manual *m;
static vow_executor *on;
static vow_clock *real;

static int
begin(void **state)
{
    int bad = counting_begin(state);

    m = vow_manual_new();
    on = vow_manual_executor(m);
    real = vow_clock_use(vow_manual_clock(m));
    return bad != 0 || m == NULL ? 1 : 0;
}

static int
end(void **state)
{
    vow_clock_use(real);
    vow_manual_unref(m);
    return counting_end(state);
}

#define timeout_test(name) cmocka_unit_test_setup_teardown(name, begin, end)

#define assert_message(f, text)                                                          \
    assert_string_equal(vow_error_message(vow_get(f).error), (text))

VOW_CASE(timeout_that_is_not_needed_passes_the_outcome)
{
    vow_promise *p = vow_promise_new();
    struct drop d = {0};
    vow_future *f = vow_timeout(vow_promise_future(p), vow_ms(100));

    vow_manual_advance(m, vow_ms(99));
    vow_promise_fulfill(p, drop_value(&d));
    assert_ptr_equal(vow_peek(f).value.as.ptr, &d);
    assert_int_equal(vow_manual_advance(m, vow_seconds(1)), 0); /* no timer is left */
    vow_promise_unref(p);
    vow_unref(f);
    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(timeout_settles_at_once_and_stops_the_work)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_timeout(vow_promise_future(p), vow_ms(100));

    vow_manual_advance(m, vow_ms(99));
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_manual_advance(m, vow_ms(1));
    assert_int_equal(code_of(f), VOW_E_TIMEDOUT);
    assert_message(f, "it had not settled after 100 ms");
    assert_false(vow_promise_fulfill(p, VOW_NIL)); /* it was asked to stop */
    vow_promise_unref(p);
    vow_unref(f);
}

static void
note_reason(vow_promise *p, const vow_error *reason, void *ctx)
{
    (void)p;
    *(int *)ctx = vow_error_code(reason) == VOW_E_CANCELLED &&
                  vow_error_code(vow_error_cause(reason)) == VOW_E_TIMEDOUT;
}

/* Work that is slow to stop: its late outcome is dropped, and was nobody's. */
VOW_CASE(timeout_drops_what_comes_too_late)
{
    vow_promise *p = vow_promise_new();
    struct drop d = {0};
    int told = 0;
    vow_future *f;

    (void)vow_promise_on_cancel(p, NULL, note_reason, vow_ptr(&told));
    f = vow_timeout(vow_promise_future(p), vow_ms(100));
    vow_manual_advance(m, vow_ms(100));
    assert_int_equal(told, 1);
    assert_int_equal(code_of(f), VOW_E_TIMEDOUT);
    vow_promise_fulfill(p, drop_value(&d));
    vow_promise_unref(p);
    assert_int_equal(drop_count(&d), 1);
    vow_unref(f);
}

VOW_CASE(timeout_with_wait_settles_when_the_work_has_wound_down)
{
    vow_promise *p = vow_promise_new();
    int told = 0;
    vow_future *f;

    (void)vow_promise_on_cancel(p, NULL, note_reason, vow_ptr(&told));
    f = vow_timeout_with(&VOW_TIMEOUT_OPTIONS(.flags = VOW_WAIT, .name = "the upload"),
                         vow_promise_future(p), vow_seconds(2));
    vow_manual_advance(m, vow_seconds(2));
    assert_int_equal(told, 1);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_promise_fulfill(p, VOW_NIL);
    assert_int_equal(code_of(f), VOW_E_TIMEDOUT);
    assert_message(f, "the upload had not settled after 2 s");
    vow_promise_unref(p);
    vow_unref(f);
}

VOW_CASE(timeout_nested_the_shortest_wins_and_is_named)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    f = vow_timeout_with(&VOW_TIMEOUT_OPTIONS(.name = "outer"), f, vow_ms(300));
    f = vow_timeout_with(&VOW_TIMEOUT_OPTIONS(.name = "shorter"), f, vow_us(1500));
    f = vow_timeout_with(&VOW_TIMEOUT_OPTIONS(.name = "longest"), f, vow_seconds(9));
    vow_manual_advance(m, vow_seconds(10));
    assert_message(f, "shorter had not settled after 1500 us");
    vow_promise_unref(p);
    vow_unref(f);
}

VOW_CASE(timeout_of_nothing_gives_the_outcome_only_if_it_is_there)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_timeout(vow_resolved(vow_i64(3)), 0);
    vow_future *g = vow_timeout(vow_promise_future(p), -1);
    vow_future *h = vow_deadline(vow_resolved(vow_i64(4)), vow_now() - 1);

    assert_int_equal(vow_peek(f).value.as.i64, 3);
    assert_int_equal(code_of(g), VOW_E_TIMEDOUT);
    assert_message(g, "it had not settled by its deadline");
    assert_int_equal(vow_peek(h).value.as.i64, 4);
    assert_false(vow_promise_fulfill(p, VOW_NIL));
    vow_promise_unref(p);
    vow_unref(f);
    vow_unref(g);
    vow_unref(h);
}

VOW_CASE(deadline_is_a_point_in_time)
{
    vow_promise *p = vow_promise_new();
    vow_future *f;

    vow_manual_advance(m, vow_seconds(5));
    f = vow_deadline(vow_promise_future(p), vow_seconds(7));
    vow_manual_advance(m, vow_seconds(2) - 1);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_manual_advance(m, 1);
    assert_int_equal(code_of(f), VOW_E_TIMEDOUT);
    vow_promise_unref(p);
    vow_unref(f);
}

VOW_CASE(timeout_for_ever_is_none)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_ptr_equal(vow_timeout(f, VOW_FOREVER), f);
    assert_ptr_equal(vow_deadline(f, VOW_FOREVER), f);
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
    vow_unref(f);
}

static vow_result
give_seven(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(vow_i64(7));
}

VOW_CASE(timeout_of_work_in_a_queue_never_starts_it)
{
    vow_manual *busy = vow_manual_new(); /* nobody steps it */
    struct drop d = {0};
    vow_future *f = vow_timeout_on(
        vow_manual_clock(m),
        vow_submit(vow_manual_executor(busy), give_seven, drop_value(&d)), vow_ms(100));

    vow_manual_advance(m, vow_ms(100));
    assert_int_equal(code_of(f), VOW_E_TIMEDOUT);
    assert_int_equal(drop_count(&d), 1);
    vow_manual_run(busy);
    assert_int_equal(d.ran, 0);
    vow_unref(f);
    vow_manual_unref(busy);
}

/* The timer and the work in the same tick: whichever is armed first. */
VOW_CASE(timeout_and_work_due_at_once_go_in_order)
{
    struct drop d = {0};
    vow_future *early = vow_submit_after(on, vow_ms(100), give_seven, drop_value(&d));
    vow_future *f = vow_timeout(early, vow_ms(100));

    vow_manual_advance(m, vow_ms(100));
    assert_int_equal(vow_peek(f).value.as.i64, 7);
    vow_unref(f);
}

VOW_CASE(timeout_of_a_shared_future_leaves_the_others_alone)
{
    vow_promise *p = vow_promise_new();
    vow_future *mine = vow_promise_future(p);
    vow_future *f = vow_timeout(vow_ref(mine), vow_ms(100));

    vow_manual_advance(m, vow_ms(100));
    assert_int_equal(code_of(f), VOW_E_TIMEDOUT);
    assert_int_equal(vow_future_status(mine), VOW_PENDING);
    assert_true(vow_promise_fulfill(p, VOW_NIL));
    vow_promise_unref(p);
    vow_unref(mine);
    vow_unref(f);
}

VOW_CASE(timeout_cancelled_stops_the_work_and_frees_its_timer)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_timeout(vow_promise_future(p), vow_ms(100));

    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_false(vow_promise_fulfill(p, VOW_NIL));
    assert_int_equal(vow_manual_advance(m, vow_seconds(1)), 0);
    vow_promise_unref(p);
    vow_unref(f);
}

VOW_CASE(timeout_of_null_and_without_memory_is_null_or_says_so)
{
    vow_future *f = vow_timeout(NULL, vow_ms(1));

    assert_int_equal(code_of(f), VOW_E_NOMEM);
    vow_unref(f);
    counting_each_failure(k, COUNTING_ONCE)
    {
        vow_promise *p = vow_promise_new();
        vow_future *g = vow_timeout(vow_promise_future(p), vow_ms(1));

        vow_manual_advance(m, vow_ms(1));
        assert_int_equal(code_of(g), counting_failed() ? VOW_E_NOMEM : VOW_E_TIMEDOUT);
        vow_ignore(g);
        vow_promise_fulfill(p, VOW_NIL); /* without memory it is wanted no more */
        vow_promise_unref(p);
    }
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        timeout_test(timeout_that_is_not_needed_passes_the_outcome),
        timeout_test(timeout_settles_at_once_and_stops_the_work),
        timeout_test(timeout_drops_what_comes_too_late),
        timeout_test(timeout_with_wait_settles_when_the_work_has_wound_down),
        timeout_test(timeout_nested_the_shortest_wins_and_is_named),
        timeout_test(timeout_of_nothing_gives_the_outcome_only_if_it_is_there),
        timeout_test(deadline_is_a_point_in_time),
        timeout_test(timeout_for_ever_is_none),
        timeout_test(timeout_of_work_in_a_queue_never_starts_it),
        timeout_test(timeout_and_work_due_at_once_go_in_order),
        timeout_test(timeout_of_a_shared_future_leaves_the_others_alone),
        timeout_test(timeout_cancelled_stops_the_work_and_frees_its_timer),
        timeout_test(timeout_of_null_and_without_memory_is_null_or_says_so),
    };

    return vow_test_run(cases);
}
