/* SPDX-License-Identifier: MIT */
/*
 * Tokens that fire at a time, on a clock that stands still until it is told; and tasks
 * with a deadline.
 */
#include "support/vow_test.h"

#include <errno.h>

#include "support/drops.h"

enum { MANY = 1000 };

static void
count_call(void *ctx)
{
    drop_ran(ctx);
}

static vow_registration *
register_drop(vow_token *t, struct drop *d)
{
    vow_registration *r = vow_token_on_cancel(t, NULL, count_call, drop_value(d));

    assert_non_null(r);
    return r;
}

/* A cancellation because time was up; consumes the future. */
static void
assert_timed_out(vow_future *f)
{
    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_true(vow_error_is(vow_get(f).error, VOW_E_TIMEDOUT));
    vow_unref(f);
}

/* Tokens. */

VOW_CASE(deadline_fires_a_token_when_it_comes_and_not_before)
{
    struct drop d = {0};
    vow_manual *m = vow_manual_new();
    vow_token *t = vow_token_deadline(vow_manual_clock(m), 100);
    vow_registration *r = register_drop(t, &d);

    vow_manual_advance(m, 99);
    assert_false(vow_token_cancelled(t));
    assert_int_equal(d.ran, 0);
    vow_manual_advance(m, 1);

    assert_true(vow_token_cancelled(t));
    assert_int_equal(d.ran, 1);
    assert_int_equal(vow_error_code(vow_token_reason(t)), VOW_E_TIMEDOUT);
    assert_int_equal(vow_token_cancelled_at(t), 100);
    assert_int_equal(vow_registration_remove(r), VOW_RAN);
    vow_token_unref(t);
    vow_manual_unref(m);
}

VOW_CASE(deadline_that_has_passed_has_fired)
{
    vow_manual *m = vow_manual_new();
    vow_token *t;

    vow_manual_advance(m, 50);
    t = vow_token_deadline(vow_manual_clock(m), 50);

    assert_true(vow_token_cancelled(t));
    assert_int_equal(vow_error_code(vow_token_reason(t)), VOW_E_TIMEDOUT);
    assert_int_equal(vow_manual_advance(m, 100), 0);
    vow_token_unref(t);
    vow_manual_unref(m);
}

VOW_CASE(deadline_that_never_comes_arms_nothing)
{
    vow_manual *m = vow_manual_new();
    vow_token *t = vow_token_deadline(vow_manual_clock(m), VOW_FOREVER);

    assert_int_equal(vow_manual_advance(m, VOW_FOREVER), 0);
    assert_false(vow_token_cancelled(t));
    assert_int_equal(vow_token_deadline_of(t, NULL), VOW_FOREVER);
    vow_token_unref(t);
    vow_manual_unref(m);
}

VOW_CASE(deadline_goes_with_its_last_reference)
{
    vow_manual *m = vow_manual_new();
    size_t live = counting_live();

    for (int i = 0; i < MANY; i++)
        vow_token_unref(vow_token_deadline(vow_manual_clock(m), 1000 + i));

    assert_int_equal(counting_live(), live);
    assert_int_equal(vow_manual_advance(m, 10000), 0);
    vow_manual_unref(m);
}

VOW_CASE(deadline_without_a_clock_is_on_the_one_in_force)
{
    vow_manual *m = vow_manual_new();
    vow_token *t;

    vow_clock_use(vow_manual_clock(m));
    t = vow_token_deadline(NULL, 10);
    vow_clock_use(NULL);
    vow_manual_advance(m, 10);

    assert_true(vow_token_cancelled(t));
    vow_token_unref(t);
    vow_manual_unref(m);
}

VOW_CASE(deadline_whose_executor_goes_never_comes)
{
    vow_manual *m = vow_manual_new();
    vow_token *t = vow_token_deadline(vow_manual_clock(m), 10);

    vow_manual_unref(m);

    assert_false(vow_token_cancelled(t));
    vow_token_unref(t);
}

VOW_CASE(deadline_is_refused_where_nobody_fires_timers)
{
    vow_manual *m = vow_manual_new();

    vow_unref(vow_executor_close(vow_manual_executor(m), VOW_DRAIN));

    assert_null(vow_token_deadline(vow_manual_clock(m), 10));
    vow_manual_unref(m);
}

VOW_CASE(deadline_of_linked_tokens_is_the_earliest)
{
    vow_manual *m = vow_manual_new();
    vow_manual *n = vow_manual_new();
    vow_source *s = vow_source_new();
    vow_token *plain = vow_source_token(s);
    vow_token *tokens[] = {plain, vow_token_deadline(vow_manual_clock(m), 70),
                           vow_token_deadline(vow_manual_clock(m), 30),
                           vow_token_deadline(vow_manual_clock(n), 50)};
    vow_token *any = vow_token_any(tokens, 3);
    vow_token *all = vow_token_any(tokens, 4);
    vow_token *nested = vow_token_any(&all, 1);
    vow_token *first = vow_token_any(tokens, 1);
    vow_clock *clock = NULL;

    assert_int_equal(vow_token_deadline_of(any, &clock), 30);
    assert_ptr_equal(clock, vow_manual_clock(m));
    assert_int_equal(vow_token_deadline_of(nested, NULL), 30);
    assert_int_equal(vow_token_deadline_of(first, &clock), VOW_FOREVER);
    assert_null(clock);
    assert_int_equal(vow_token_deadline_of(plain, &clock), VOW_FOREVER);
    vow_manual_advance(m, 30);
    assert_true(vow_token_cancelled(nested));
    assert_int_equal(vow_error_code(vow_token_reason(nested)), VOW_E_TIMEDOUT);

    for (int i = 0; i < 4; i++)
        vow_token_unref(tokens[i]);
    vow_token_unref(any);
    vow_token_unref(all);
    vow_token_unref(nested);
    vow_token_unref(first);
    vow_source_unref(s);
    vow_manual_unref(m);
    vow_manual_unref(n);
}

/* The first to want the default pool: without memory for it there is no timer. */
VOW_CASE(deadline_without_a_pool_to_fire_it_is_null)
{
    counting_fail_at(2, COUNTING_ONWARDS);
    assert_null(vow_token_deadline(NULL, vow_now() + vow_seconds(1)));
    counting_fail_at(0, COUNTING_ONCE);
}

VOW_CASE(deadlines_of_two_clocks_are_compared_by_what_is_left)
{
    vow_manual *m = vow_manual_new();
    vow_manual *n = vow_manual_new();
    vow_clock *clock = NULL;
    vow_token *tokens[2], *any;

    vow_manual_advance(n, 1000);
    tokens[0] = vow_token_deadline(vow_manual_clock(m), 100);
    tokens[1] = vow_token_deadline(vow_manual_clock(n), 1050);
    any = vow_token_any(tokens, 2);

    assert_int_equal(vow_token_deadline_of(any, &clock), 1050);
    assert_ptr_equal(clock, vow_manual_clock(n));
    vow_token_unref(any);
    vow_token_unref(tokens[0]);
    vow_token_unref(tokens[1]);
    vow_manual_unref(m);
    vow_manual_unref(n);
}

/* A clock of a user's who takes it away. */
struct lent_clock {
    vow_clock clock; /* first: what users know */
    bool gone;
};

static vow_ns
lent_now(const vow_clock *self)
{
    assert_false(((const struct lent_clock *)(const void *)self)->gone);
    return 50;
}

VOW_CASE(deadline_that_has_passed_has_no_more_to_do_with_its_clock)
{
    struct lent_clock lent = {.clock.now = lent_now};
    vow_manual *m = vow_manual_new();
    vow_token *tokens[] = {vow_token_deadline(vow_manual_clock(m), 10),
                           vow_token_deadline(&lent.clock, 50)};
    vow_token *any;

    assert_true(vow_token_cancelled(tokens[1]));
    lent.gone = true;
    any = vow_token_any(tokens, 2);

    assert_true(vow_token_cancelled(any));
    vow_token_unref(any);
    vow_token_unref(tokens[0]);
    vow_token_unref(tokens[1]);
    vow_manual_unref(m);
}

/* Who fires timers when the test says so, and has no say then. */
static vow_timer *due;

static int
hold_timer(vow_executor *self, vow_timer *timer)
{
    (void)self;
    due = timer;
    return 0;
}

static vow_removal
too_late(vow_executor *self, vow_timer *timer)
{
    (void)self;
    (void)timer;
    return VOW_RUNNING;
}

static int
never_posted(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    return VOW_E_INVALID;
}

VOW_CASE(deadline_that_comes_as_its_token_goes_asks_no_clock)
{
    static const vow_executor_ops ops = {.size = sizeof(vow_executor_ops),
                                         .name = "slow",
                                         .post = never_posted,
                                         .arm = hold_timer,
                                         .disarm = too_late};
    vow_executor slow = {.ops = &ops};
    struct lent_clock lent = {.clock = {.now = lent_now, .timers = &slow}};

    vow_token_unref(vow_token_deadline(&lent.clock, 60));
    lent.gone = true;
    vow_timer_fire(due, 0);
}

/* Work. */

static vow_result
never_task(void *ctx)
{
    (void)ctx;
    fail_msg("a task ran whose deadline had passed");
    return vow_ok(VOW_NIL);
}

static vow_result
value_task(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(vow_i64(5));
}

/* A place for one task, without a clock. */
struct shelf {
    vow_executor executor; /* first: what users know */
    vow_task *task;
};

static int
shelf_post(vow_executor *self, vow_task *task)
{
    ((struct shelf *)(void *)self)->task = task;
    return 0;
}

static const vow_executor_ops shelf_ops = {
    .size = sizeof(vow_executor_ops), .name = "shelf", .post = shelf_post};

static void
shelf_run(struct shelf *s)
{
    if (s->task != NULL)
        s->task->run(s->task, 0);
}

VOW_CASE(deadline_of_a_queued_task_settles_it_at_once)
{
    struct drop ctx = {0};
    vow_manual *m = vow_manual_new();
    struct shelf shelf = {.executor.ops = &shelf_ops};
    vow_future *f;

    vow_clock_use(vow_manual_clock(m));
    f = vow_submit_with(&shelf.executor, &VOW_SUBMIT_OPTIONS(.deadline = 20), never_task,
                        drop_value(&ctx));
    vow_clock_use(NULL);
    vow_manual_advance(m, 19);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_manual_advance(m, 1);

    assert_int_equal(drop_count(&ctx), 1);
    assert_timed_out(f);
    shelf_run(&shelf);
    vow_manual_unref(m);
}

VOW_CASE(deadline_of_a_task_is_on_the_clock_of_its_executor)
{
    vow_manual *m = vow_manual_new();
    vow_future *early, *late;

    early = vow_submit_with(vow_manual_executor(m), &VOW_SUBMIT_OPTIONS(.deadline = 20),
                            value_task, VOW_NIL);
    vow_manual_run(m);
    vow_manual_advance(m, 30);
    late = vow_submit_with(vow_manual_executor(m), &VOW_SUBMIT_OPTIONS(.deadline = 20),
                           never_task, VOW_NIL);

    assert_int_equal(vow_get(early).value.as.i64, 5);
    assert_timed_out(late);
    vow_unref(early);
    assert_int_equal(vow_manual_run(m), 0);
    vow_manual_unref(m);
}

struct looker {
    vow_manual *m;
    bool before, after;
    int code;
    vow_ns deadline;
};

/* The clock moves while it runs: it is stepped by hand from inside. */
static vow_result
look_past_deadline(void *ctx)
{
    struct looker *l = ctx;
    vow_token *own = vow_token_current();
    vow_result r;

    l->before = vow_cancelled();
    l->deadline = vow_token_deadline_of(own, NULL);
    vow_token_unref(own);
    vow_manual_advance(l->m, 50);
    l->after = vow_cancelled();
    r = vow_check_cancelled();
    l->code = vow_error_code(vow_error_cause(r.error));
    vow_result_drop(r);
    return vow_ok(vow_i64(8));
}

VOW_CASE(task_that_runs_past_its_deadline_is_told_and_may_go_on)
{
    struct looker l = {.m = vow_manual_new()};
    vow_future *f;

    vow_clock_use(vow_manual_clock(l.m));
    f = vow_submit_with(NULL, &VOW_SUBMIT_OPTIONS(.deadline = 20), look_past_deadline,
                        vow_ptr(&l));
    vow_clock_use(NULL);

    assert_false(l.before);
    assert_int_equal(l.deadline, 20);
    assert_true(l.after);
    assert_int_equal(l.code, VOW_E_TIMEDOUT);
    assert_int_equal(vow_get(f).value.as.i64, 8);
    vow_unref(f);
    vow_manual_unref(l.m);
}

VOW_CASE(task_with_a_token_and_a_deadline_stops_for_the_first)
{
    for (int token_first = 0; token_first < 2; token_first++) {
        vow_manual *m = vow_manual_new();
        struct shelf shelf = {.executor.ops = &shelf_ops};
        vow_source *s = vow_source_new();
        vow_token *t = vow_source_token(s);
        vow_future *f;

        vow_clock_use(vow_manual_clock(m));
        f = vow_submit_with(&shelf.executor,
                            &VOW_SUBMIT_OPTIONS(.token = t, .deadline = 20), never_task,
                            VOW_NIL);
        vow_clock_use(NULL);
        if (token_first)
            vow_source_cancel(s, vow_error_new(EINTR, "enough"));
        vow_manual_advance(m, 20);
        vow_source_cancel(s, NULL);

        assert_int_equal(code_of(f), VOW_E_CANCELLED);
        assert_int_equal(vow_error_code(vow_error_cause(vow_get(f).error)),
                         token_first ? EINTR : VOW_E_TIMEDOUT);
        vow_unref(f);
        shelf_run(&shelf);
        vow_token_unref(t);
        vow_source_unref(s);
        vow_manual_unref(m);
    }
}

VOW_CASE(task_with_a_deadline_and_a_token_that_has_fired_arms_nothing)
{
    vow_manual *m = vow_manual_new();
    vow_source *s = vow_source_new();
    vow_token *t = vow_source_token(s);
    vow_future *f;

    vow_source_cancel(s, vow_error_new(EINTR, "enough"));
    f = vow_submit_with(vow_manual_executor(m),
                        &VOW_SUBMIT_OPTIONS(.token = t, .deadline = 20), never_task,
                        VOW_NIL);

    assert_int_equal(vow_error_code(vow_error_cause(vow_get(f).error)), EINTR);
    assert_int_equal(vow_manual_advance(m, 30), 0);
    vow_unref(f);
    vow_token_unref(t);
    vow_source_unref(s);
    vow_manual_unref(m);
}

VOW_CASE(task_whose_deadline_never_comes_has_none)
{
    vow_future *f = vow_submit_with(NULL, &VOW_SUBMIT_OPTIONS(.deadline = VOW_FOREVER),
                                    value_task, VOW_NIL);

    assert_int_equal(vow_get(f).value.as.i64, 5);
    vow_unref(f);
}

VOW_CASE(task_of_a_token_with_an_earlier_deadline_arms_no_other)
{
    vow_manual *m = vow_manual_new();
    vow_token *t = vow_token_deadline(vow_manual_clock(m), 10);
    vow_future *f;

    vow_clock_use(vow_manual_clock(m));
    f = vow_submit_with(NULL, &VOW_SUBMIT_OPTIONS(.token = t, .deadline = 20), value_task,
                        VOW_NIL);
    vow_clock_use(NULL);

    assert_int_equal(vow_get(f).value.as.i64, 5);
    assert_int_equal(vow_manual_advance(m, 30), 1);
    vow_unref(f);
    vow_token_unref(t);
    vow_manual_unref(m);
}

VOW_CASE(deadline_leaves_nothing_behind_a_task_that_is_done)
{
    vow_manual *m = vow_manual_new();
    size_t live;

    vow_clock_use(vow_manual_clock(m));
    live = counting_live();
    for (int i = 0; i < MANY; i++)
        vow_unref(vow_submit_with(NULL, &VOW_SUBMIT_OPTIONS(.deadline = 1000 + i),
                                  value_task, VOW_NIL));
    vow_clock_use(NULL);

    assert_int_equal(counting_live(), live);
    assert_int_equal(vow_manual_advance(m, 10000), 0);
    vow_manual_unref(m);
}

/* Memory. */

VOW_CASE(deadlines_without_memory_are_null_and_leave_nothing)
{
    counting_each_failure(k, COUNTING_ONWARDS)
    {
        struct drop ctx = {0};
        vow_manual *m = vow_manual_new();
        vow_token *t = m != NULL ? vow_token_deadline(vow_manual_clock(m), 10) : NULL;
        vow_future *f = NULL;

        if (m != NULL) {
            f = vow_submit_with(
                vow_manual_executor(m),
                &VOW_SUBMIT_OPTIONS(.token = t, .deadline = 5, .name = "it"), value_task,
                drop_value(&ctx));
            vow_manual_advance(m, 20);
            assert_int_equal(drop_count(&ctx), 1);
            assert_true(t == NULL || vow_token_cancelled(t));
        }
        vow_unref(f);
        vow_token_unref(t);
        vow_manual_unref(m);
    }
}

/* The real clock. */

VOW_CASE(deadline_on_the_real_clock_cuts_a_wait_short)
{
    vow_promise *p = vow_promise_new();
    vow_ns when = vow_now() + vow_ms(2);
    vow_token *t = vow_token_deadline(NULL, when);
    vow_future *f = vow_with_token(vow_promise_future(p), t);

    assert_true(vow_wait(f, VOW_FOREVER));
    assert_true(vow_now() >= when);
    assert_timed_out(f);

    vow_token_unref(t);
    vow_promise_unref(p);
}

static int
close_default_pool(void **state)
{
    vow_executor *pool = vow_default_pool();

    (void)state;
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    return vow_executor_join(pool);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(deadline_fires_a_token_when_it_comes_and_not_before),
        vow_test(deadline_that_has_passed_has_fired),
        vow_test(deadline_that_never_comes_arms_nothing),
        vow_test(deadline_goes_with_its_last_reference),
        vow_test(deadline_without_a_clock_is_on_the_one_in_force),
        vow_test(deadline_whose_executor_goes_never_comes),
        vow_test(deadline_is_refused_where_nobody_fires_timers),
        vow_test(deadline_of_linked_tokens_is_the_earliest),
        vow_test(deadline_without_a_pool_to_fire_it_is_null),
        vow_test(deadlines_of_two_clocks_are_compared_by_what_is_left),
        vow_test(deadline_that_has_passed_has_no_more_to_do_with_its_clock),
        vow_test(deadline_that_comes_as_its_token_goes_asks_no_clock),
        vow_test(deadline_of_a_queued_task_settles_it_at_once),
        vow_test(deadline_of_a_task_is_on_the_clock_of_its_executor),
        vow_test(task_that_runs_past_its_deadline_is_told_and_may_go_on),
        vow_test(task_with_a_token_and_a_deadline_stops_for_the_first),
        vow_test(task_with_a_deadline_and_a_token_that_has_fired_arms_nothing),
        vow_test(task_whose_deadline_never_comes_has_none),
        vow_test(task_of_a_token_with_an_earlier_deadline_arms_no_other),
        vow_test(deadline_leaves_nothing_behind_a_task_that_is_done),
        vow_test(deadlines_without_memory_are_null_and_leave_nothing),
    };
    /* Leaves the default pool behind, which lives as long as the process. */
    const struct CMUnitTest with_default_pool[] = {
        cmocka_unit_test(deadline_on_the_real_clock_cuts_a_wait_short),
    };
    int failed = vow_test_run(cases);

    return failed != 0
               ? failed
               : cmocka_run_group_tests(with_default_pool, NULL, close_default_pool);
}
