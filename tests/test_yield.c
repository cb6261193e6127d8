/* SPDX-License-Identifier: MIT */
/*
 * Long work in turns: vow_yield_task on every executor, between what else waits, and what
 * happens to a task between two turns.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "support/drops.h"
#include "support/pool_fixture.h"

/* A task of a number of turns. */
struct work {
    struct drop d; /* of its context */
    struct journal *journal;
    char mark;
    int turns; /* left */
    int had;
};

static vow_result
take_turns(void *ctx)
{
    struct work *w = ctx;

    w->had++;
    if (w->journal != NULL)
        journal_add(w->journal, w->mark);
    assert_int_equal(drop_count(&w->d), 0);
    return --w->turns > 0 ? vow_yield_task() : vow_ok(vow_i64(w->had));
}

/* d is first, so that dropping the work counts there. */
static vow_value
work_value(struct work *w)
{
    return vow_own(w, drop_it);
}

static int64_t
result_of(vow_future *f)
{
    int64_t value = vow_get(f).error == NULL ? vow_get(f).value.as.i64 : -1;

    vow_unref(f);
    return value;
}

static void
write_mark(void *ctx)
{
    struct work *w = ctx;

    journal_add(w->journal, w->mark);
}

static vow_executor *
pool_new(const vow_pool_options *opt)
{
    vow_executor *pool = vow_pool_new(opt);

    assert_non_null(pool);
    return pool;
}

/* ---- everywhere ------------------------------------------------------------------------ */

VOW_CASE(inline_task_takes_all_its_turns_before_the_call_returns)
{
    struct work w = {.turns = 1000000};
    vow_future *f = vow_submit(NULL, take_turns, work_value(&w));

    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_int_equal(drop_count(&w.d), 1);
    assert_int_equal(result_of(f), 1000000);
}

static vow_result
submit_two(vow_value in, void *ctx)
{
    struct work *w = ctx;

    (void)in;
    for (int i = 0; i < 2; i++)
        vow_unref(vow_submit(NULL, take_turns, work_value(&w[i])));
    return vow_ok(VOW_NIL);
}

VOW_CASE(inline_tasks_take_turns_with_one_another)
{
    struct journal j = {0};
    struct work w[2] = {{.journal = &j, .mark = 'a', .turns = 3},
                        {.journal = &j, .mark = 'b', .turns = 2}};

    vow_unref(vow_then(vow_resolved(VOW_NIL), NULL, submit_two, vow_ptr(w)));
    assert_string_equal(j.text, "ababa");
    assert_int_equal(drop_count(&w[0].d), 1);
    assert_int_equal(drop_count(&w[1].d), 1);
}

VOW_CASE(manual_task_goes_behind_what_waits)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    struct journal j = {0};
    struct work w = {.journal = &j, .mark = 'w', .turns = 3};
    struct work x = {.journal = &j, .mark = 'x'}, y = {.journal = &j, .mark = 'y'};
    vow_future *f = vow_submit(on, take_turns, work_value(&w));

    assert_int_equal(vow_post(on, write_mark, vow_ptr(&x)), 0);
    assert_true(vow_manual_step(m));
    assert_int_equal(vow_post(on, write_mark, vow_ptr(&y)), 0);
    assert_int_equal(vow_manual_run(m), 4);
    assert_string_equal(j.text, "wxwyw");
    assert_int_equal(result_of(f), 3);
    assert_int_equal(drop_count(&w.d), 1);
    vow_manual_unref(m);
}

VOW_CASE(serial_tasks_take_turns_and_still_never_two_at_once)
{
    vow_manual *m = vow_manual_new();
    vow_executor *serial = vow_serial_new(vow_manual_executor(m));
    struct journal j = {0};
    struct work a = {.journal = &j, .mark = 'a', .turns = 3};
    struct work b = {.journal = &j, .mark = 'b', .turns = 2};
    vow_future *f = vow_submit(serial, take_turns, work_value(&a));
    vow_future *g = vow_submit(serial, take_turns, work_value(&b));

    vow_unref(vow_executor_close(serial, VOW_DRAIN)); /* what is begun goes on */
    vow_manual_run(m);
    assert_string_equal(j.text, "ababa");
    assert_int_equal(result_of(f), 3);
    assert_int_equal(result_of(g), 2);
    vow_executor_unref(serial);
    vow_manual_unref(m);
}

VOW_CASE(delayed_task_takes_turns_as_well)
{
    vow_manual *m = vow_manual_new();
    struct work w = {.turns = 3};
    vow_future *f =
        vow_submit_after(vow_manual_executor(m), 10, take_turns, work_value(&w));

    assert_int_equal(vow_manual_advance(m, 10), 3);
    assert_int_equal(result_of(f), 3);
    assert_int_equal(drop_count(&w.d), 1);
    vow_manual_unref(m);
}

VOW_CASE(many_tasks_take_turns)
{
    vow_manual *m = vow_manual_new();
    struct journal j = {0};
    struct work w[3];
    vow_value ctxs[3];
    vow_future *f[3];

    for (int i = 0; i < 3; i++) {
        w[i] = (struct work){.journal = &j, .mark = (char)('a' + i), .turns = i + 1};
        ctxs[i] = work_value(&w[i]);
    }
    assert_int_equal(vow_submit_many(vow_manual_executor(m), take_turns, ctxs, 3, f), 0);
    vow_manual_run(m);
    assert_string_equal(j.text, "abcbcc");
    for (int i = 0; i < 3; i++)
        assert_int_equal(result_of(f[i]), i + 1);
    vow_manual_unref(m);
}

VOW_CASE(turns_allocate_nothing)
{
    vow_manual *m = vow_manual_new();
    struct work w = {.turns = 100};
    vow_future *f = vow_submit(vow_manual_executor(m), take_turns, work_value(&w));
    size_t before = counting_calls();

    vow_manual_run(m);
    assert_int_equal(counting_calls(), before);
    assert_int_equal(result_of(f), 100);
    vow_manual_unref(m);
}

/* ---- who may -------------------------------------------------------------------------- */

static vow_result
yield_step(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    return vow_yield_task();
}

static vow_result
yield_and_fail(void *ctx)
{
    vow_result r = vow_yield_task();

    (void)ctx;
    r.error = vow_error_of(VOW_E_LIMIT);
    return r;
}

static vow_result
yield_and_follow(void *ctx)
{
    vow_result r = vow_yield_task();

    (void)ctx;
    r.follow = vow_resolved(vow_i64(3));
    return r;
}

VOW_CASE(task_that_yields_with_an_outcome_has_that)
{
    vow_future *f = vow_submit(NULL, yield_and_fail, VOW_NIL);
    vow_future *g = vow_submit(NULL, yield_and_follow, VOW_NIL);

    assert_int_equal(code_of(f), VOW_E_LIMIT);
    assert_int_equal(vow_get(g).value.as.i64, 3);
    vow_unref(f);
    vow_unref(g);
}

VOW_CASE(step_or_promise_that_yields_is_invalid)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    vow_promise_resolve(p, vow_yield_task());
    assert_int_equal(code_of(f), VOW_E_INVALID);
    vow_unref(f);
    f = vow_then(vow_resolved(VOW_NIL), NULL, yield_step, VOW_NIL);
    assert_int_equal(code_of(f), VOW_E_INVALID);
    vow_unref(f);
    vow_promise_unref(p);
    vow_result_drop(vow_yield_task());
}

VOW_CASE(protected_call_goes_on_in_its_next_turn)
{
    vow_manual *m = vow_manual_new();
    vow_breaker *b = vow_breaker_new(NULL);
    struct work w = {.turns = 3};
    vow_future *f =
        vow_breaker_call(b, vow_manual_executor(m), take_turns, work_value(&w));

    assert_int_equal(vow_manual_run(m), 3);
    assert_int_equal(result_of(f), 3);
    assert_int_equal(drop_count(&w.d), 1);
    vow_breaker_unref(b);
    vow_manual_unref(m);
}

/* ---- cancelled -------------------------------------------------------------------------- */

VOW_CASE(cancel_between_turns_settles_at_once)
{
    vow_manual *m = vow_manual_new();
    struct work w = {.turns = 5};
    vow_future *f = vow_submit(vow_manual_executor(m), take_turns, work_value(&w));

    assert_true(vow_manual_step(m));
    vow_future_cancel(f, vow_error_new(EINTR, "enough"));
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(vow_error_code(vow_error_cause(vow_get(f).error)), EINTR);
    assert_int_equal(drop_count(&w.d), 1);
    vow_manual_run(m);
    assert_int_equal(w.had, 1);
    vow_unref(f);
    vow_manual_unref(m);
}

/* Cancels itself in a turn. */
struct own {
    struct drop d; /* first */
    vow_future *f;
    vow_source *source;
    int had;
};

static vow_result
cancel_and_yield(void *ctx)
{
    struct own *o = ctx;

    o->had++;
    if (o->source != NULL)
        vow_source_cancel(o->source, vow_error_new(EINTR, "enough"));
    else
        vow_future_cancel(o->f, vow_error_new(EINTR, "enough"));
    assert_int_equal(vow_future_status(o->f), VOW_PENDING);
    return vow_yield_task();
}

VOW_CASE(cancel_in_a_turn_is_obeyed_at_its_end)
{
    vow_manual *m = vow_manual_new();
    struct own o = {.had = 0};

    o.f = vow_submit(vow_manual_executor(m), cancel_and_yield, vow_own(&o, drop_it));
    assert_int_equal(vow_manual_run(m), 1);
    assert_int_equal(code_of(o.f), VOW_E_CANCELLED);
    assert_int_equal(vow_error_code(vow_error_cause(vow_get(o.f).error)), EINTR);
    assert_int_equal(o.had, 1);
    assert_int_equal(drop_count(&o.d), 1);
    vow_unref(o.f);
    vow_manual_unref(m);
}

VOW_CASE(token_is_obeyed_in_and_between_turns)
{
    for (int in_turn = 0; in_turn < 2; in_turn++) {
        vow_manual *m = vow_manual_new();
        vow_source *s = vow_source_new();
        vow_token *token = vow_source_token(s);
        struct own o = {.source = in_turn ? s : NULL};
        struct work w = {.turns = 5};
        vow_submit_options opt = VOW_SUBMIT_OPTIONS(.token = token);

        o.f = in_turn ? vow_submit_with(vow_manual_executor(m), &opt, cancel_and_yield,
                                        vow_own(&o, drop_it))
                      : vow_submit_with(vow_manual_executor(m), &opt, take_turns,
                                        work_value(&w));
        assert_true(vow_manual_step(m));
        vow_source_cancel(s, vow_error_new(EINTR, "enough"));
        assert_int_equal(code_of(o.f), VOW_E_CANCELLED);
        assert_int_equal(vow_manual_run(m), in_turn ? 0 : 1);
        assert_int_equal(in_turn ? o.had : w.had, 1);
        assert_int_equal(drop_count(in_turn ? &o.d : &w.d), 1);
        vow_unref(o.f);
        vow_token_unref(token);
        vow_source_unref(s);
        vow_manual_unref(m);
    }
}

VOW_CASE(delayed_task_is_cancelled_between_turns_and_in_one)
{
    vow_manual *m = vow_manual_new();
    struct work w = {.turns = 5};
    struct own o = {.had = 0};
    vow_future *f =
        vow_submit_after(vow_manual_executor(m), 5, take_turns, work_value(&w));

    o.f = vow_submit_after(vow_manual_executor(m), 500, cancel_and_yield,
                           vow_own(&o, drop_it));
    (void)vow_manual_advance(m, 5);
    assert_int_equal(result_of(f), 5);
    w = (struct work){.turns = 2};
    f = vow_submit_after(vow_manual_executor(m), 5, take_turns, work_value(&w));
    (void)vow_manual_advance(m, 4);
    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(vow_manual_advance(m, 1000), 1);
    assert_int_equal(code_of(o.f), VOW_E_CANCELLED);
    assert_int_equal(o.had, 1);
    assert_int_equal(drop_count(&o.d), 1);
    assert_int_equal(drop_count(&w.d), 1);
    vow_unref(f);
    vow_unref(o.f);
    vow_manual_unref(m);
}

/* Posts what will cancel it, so that this comes before its next turn. */
static void
cancel_it(void *ctx)
{
    struct own *o = ctx;

    vow_future_cancel(o->f, NULL);
    assert_int_equal(vow_future_status(o->f), VOW_REJECTED);
    assert_int_equal(drop_count(&o->d), 1);
}

static vow_result
post_cancel_and_yield(void *ctx)
{
    struct own *o = ctx;

    o->had++;
    assert_int_equal(vow_post(vow_executor_current(), cancel_it, vow_ptr(o)), 0);
    return vow_yield_task();
}

VOW_CASE(delayed_task_between_two_turns_is_cancelled_at_once)
{
    vow_manual *m = vow_manual_new();
    struct own o = {.had = 0};

    o.f = vow_submit_after(vow_manual_executor(m), 5, post_cancel_and_yield,
                           vow_own(&o, drop_it));
    assert_int_equal(vow_manual_advance(m, 5), 3);
    assert_int_equal(code_of(o.f), VOW_E_CANCELLED);
    assert_int_equal(o.had, 1);
    vow_unref(o.f);
    vow_manual_unref(m);
}

VOW_CASE(unwanted_task_stops_between_turns)
{
    vow_manual *m = vow_manual_new();
    struct work w = {.turns = 5};

    vow_future *f = vow_submit_with(vow_manual_executor(m),
                                    &VOW_SUBMIT_OPTIONS(.flags = VOW_STOP_WHEN_UNWANTED),
                                    take_turns, work_value(&w));
    assert_true(vow_manual_step(m));
    vow_unref(f);
    assert_int_equal(drop_count(&w.d), 1);
    vow_manual_run(m);
    assert_int_equal(w.had, 1);
    vow_manual_unref(m);
}

/* ---- closed ------------------------------------------------------------------------------ */

VOW_CASE(executor_that_drains_lets_it_finish_and_one_that_cancels_ends_it)
{
    for (int mode = VOW_DRAIN; mode <= VOW_CANCEL_QUEUED; mode++) {
        vow_manual *m = vow_manual_new();
        struct work w = {.turns = 3};
        vow_future *f = vow_submit(vow_manual_executor(m), take_turns, work_value(&w));

        assert_true(vow_manual_step(m));
        vow_unref(vow_executor_close(vow_manual_executor(m), (vow_close_mode)mode));
        vow_manual_run(m);
        assert_int_equal(code_of(f), mode == VOW_DRAIN ? 0 : VOW_E_CLOSED);
        assert_int_equal(w.had, mode == VOW_DRAIN ? 3 : 1);
        assert_int_equal(drop_count(&w.d), 1);
        vow_unref(f);
        vow_manual_unref(m);
    }
}

static vow_result
close_and_yield(void *ctx)
{
    struct own *o = ctx;

    o->had++;
    vow_unref(vow_executor_close(vow_executor_current(), VOW_CANCEL_QUEUED));
    return vow_yield_task();
}

VOW_CASE(task_that_cancels_its_own_executor_has_no_more_turns)
{
    for (int i = 0; i < 2; i++) {
        vow_manual *m = vow_manual_new();
        vow_executor *pool = pool_new(&VOW_POOL_OPTIONS(.threads = 1));
        struct own o = {.had = 0};

        o.f = vow_submit(i == 0 ? vow_manual_executor(m) : pool, close_and_yield,
                         vow_own(&o, drop_it));
        vow_manual_run(m);
        assert_int_equal(code_of(o.f), VOW_E_CLOSED);
        assert_int_equal(o.had, 1);
        assert_int_equal(drop_count(&o.d), 1);
        vow_unref(o.f);
        pool_free(pool);
        vow_manual_unref(m);
    }
}

/* ---- in a pool ------------------------------------------------------------------------------ */

/* Of each priority, in pools without and with a limit. */
VOW_CASE(task_in_a_pool_goes_to_the_back_of_its_priority)
{
    for (int limit = 0; limit < 2; limit++) {
        vow_executor *pool =
            pool_new(&VOW_POOL_OPTIONS(.threads = 1, .queue_limit = limit ? 20 : 0));
        static const int priorities[] = {VOW_HIGH, VOW_NORMAL, VOW_LOW};
        struct journal j = {0};
        struct work w[6];
        vow_future *f[6];
        struct gate g;

        shut(&g, pool);
        for (int i = 5; i >= 0; i--) {
            w[i] = (struct work){.journal = &j, .mark = "hHnNlL"[i], .turns = 2};
            f[i] =
                vow_submit_with(pool, &VOW_SUBMIT_OPTIONS(.priority = priorities[i / 2]),
                                take_turns, work_value(&w[i]));
        }
        open_gate(&g);
        for (int i = 0; i < 6; i++)
            assert_int_equal(result_of(f[i]), 2);
        pool_free(pool);
        assert_string_equal(j.text, "HhHhNnNnLlLl");
    }
}

VOW_CASE(full_pool_admits_the_next_turn)
{
    for (int policy = VOW_FULL_BLOCK; policy <= VOW_FULL_DROP_OLDEST; policy++) {
        vow_executor *pool =
            pool_new(&VOW_POOL_OPTIONS(.threads = 1, .queue_limit = 1,
                                       .when_full = (vow_when_full)policy));
        struct work w[2] = {{.turns = 10}, {.turns = 10}};
        struct gate g;
        vow_future *f[2];

        f[0] = vow_submit(pool, take_turns, work_value(&w[0]));
        if (policy != VOW_FULL_BLOCK)
            assert_int_equal(vow_wait(f[0], VOW_FOREVER), true);
        shut(&g, pool);
        f[1] = vow_submit(pool, take_turns, work_value(&w[1]));
        open_gate(&g);
        for (int i = 0; i < 2; i++)
            assert_int_equal(result_of(f[i]), 10);
        pool_free(pool);
    }
}

/* Goes on until another task has set a flag. */
struct until {
    atomic_int flag;
    atomic_int turns;
    vow_executor *pool;
    int priority;
};

static vow_result
go_on_until(void *ctx)
{
    struct until *u = ctx;

    atomic_fetch_add(&u->turns, 1);
    return atomic_load(&u->flag) != 0 ? vow_ok(vow_i64(1)) : vow_yield_task();
}

static void
set_flag(void *flag)
{
    atomic_store((atomic_int *)flag, 1);
}

static vow_result
submit_until_and_get(void *ctx)
{
    struct until *u = ctx;
    vow_future *f = vow_submit_with(u->pool, &VOW_SUBMIT_OPTIONS(.priority = u->priority),
                                    go_on_until, vow_ptr(u));

    assert_int_equal(vow_post(u->pool, set_flag, vow_ptr(&u->flag)), 0);
    return vow_ok(vow_i64(result_of(f)));
}

/* The worker waits for a task that waits, in turns, for one behind it. */
VOW_CASE(worker_that_waits_for_a_task_in_turns_lets_others_have_theirs)
{
    for (int priority = VOW_NORMAL; priority <= VOW_IDLE; priority++) {
        struct until u = {.pool = pool_new(&VOW_POOL_OPTIONS(.threads = 1)),
                          .priority = priority};
        vow_future *f = vow_submit(u.pool, submit_until_and_get, vow_ptr(&u));

        assert_int_equal(result_of(f), 1);
        pool_free(u.pool);
    }
}

/* A turn that lasts until the other worker has met its node in the queue. */
static vow_result
wait_for_the_next_in_line(void *ctx)
{
    struct until *u = ctx;

    if (atomic_fetch_add(&u->turns, 1) != 0)
        return vow_ok(vow_i64(atomic_load(&u->turns)));
    await_flag(&u->flag, 1);
    return vow_yield_task();
}

static vow_result
get_future(void *f)
{
    return vow_ok(vow_i64(vow_get(f).value.as.i64));
}

/* A worker runs a task in place, in turns, that is queued where another finds it. */
VOW_CASE(turn_in_place_goes_on_in_the_queue_when_its_node_was_met_there)
{
    struct until u = {.pool = pool_new(&VOW_POOL_OPTIONS(.threads = 2))};
    struct gate g[2];
    vow_future *waiter, *awaited;

    shut(&g[0], u.pool);
    shut(&g[1], u.pool);
    awaited = vow_submit(u.pool, wait_for_the_next_in_line, vow_ptr(&u));
    assert_int_equal(vow_post(u.pool, set_flag, vow_ptr(&u.flag)), 0);
    waiter = vow_submit_with(u.pool, &VOW_SUBMIT_OPTIONS(.priority = VOW_HIGH),
                             get_future, vow_ptr(awaited));
    open_gate(&g[0]);
    await_flag(&u.turns, 1);
    open_gate(&g[1]);
    assert_int_equal(result_of(waiter), 2);
    vow_unref(awaited);
    pool_free(u.pool);
}

/*
 * Two waiters and one spare, which one of them is. Each waits for a task in turns, and the
 * first's goes on until the second has its answer.
 */
static vow_result
get_turns_and_set(void *ctx)
{
    struct until *u = ctx;
    struct work w = {.turns = 20};
    vow_future *f = vow_submit(u->pool, take_turns, work_value(&w));
    int64_t turns = vow_get(f).value.as.i64;

    vow_unref(f);
    atomic_store(&u->flag, 1);
    return vow_ok(vow_i64(turns));
}

static vow_result
submit_both_and_get(void *ctx)
{
    struct until *u = ctx;
    vow_future *f = vow_submit(u->pool, go_on_until, vow_ptr(u));
    vow_future *g = vow_submit(u->pool, get_turns_and_set, vow_ptr(u));

    assert_int_equal(result_of(f), 1);
    return vow_ok(vow_i64(result_of(g)));
}

VOW_CASE(waiter_without_a_spare_goes_on_with_the_turns_itself)
{
    struct until u = {.pool = pool_new(&VOW_POOL_OPTIONS(.threads = 1, .spares = 1))};
    vow_future *f = vow_submit(u.pool, submit_both_and_get, vow_ptr(&u));

    assert_int_equal(result_of(f), 20);
    pool_free(u.pool);
}

/* Its tasks are in the deque of a worker that is busy: another one, which has a task in
 * turns, must steal them. */
static vow_result
post_and_wait_for_them(void *ctx)
{
    struct until *u = ctx;
    atomic_int stolen[10] = {0};

    for (int i = 0; i < 10; i++)
        assert_int_equal(vow_post(u->pool, set_flag, vow_ptr(&stolen[i])), 0);
    for (int i = 0; i < 10; i++)
        await_flag(&stolen[i], 1);
    atomic_store(&u->flag, 1);
    return vow_ok(VOW_NIL);
}

VOW_CASE(task_in_turns_waits_behind_what_other_workers_have)
{
    struct until u = {.pool = pool_new(&VOW_POOL_OPTIONS(.threads = 2))};
    vow_future *f = vow_submit(u.pool, go_on_until, vow_ptr(&u));
    vow_future *g;

    await_flag(&u.turns, 1);
    g = vow_submit(u.pool, post_and_wait_for_them, vow_ptr(&u));
    assert_int_equal(code_of(g), 0);
    assert_int_equal(result_of(f), 1);
    vow_unref(g);
    pool_free(u.pool);
}

static void
check_alone(int priority)
{
    vow_executor *pool = pool_new(&VOW_POOL_OPTIONS(.threads = 2));
    vow_pool_stats before = {.size = sizeof before}, after = before;
    struct work w = {.turns = 2000};
    struct gate g;
    vow_future *f;

    shut(&g, pool);
    open_gate(&g);
    assert_int_equal(vow_pool_read_stats(pool, &before), 0);
    f = vow_submit_with(pool, &VOW_SUBMIT_OPTIONS(.priority = priority), take_turns,
                        work_value(&w));
    assert_int_equal(result_of(f), 2000);
    assert_int_equal(vow_pool_read_stats(pool, &after), 0);
    assert_in_range(after.wakes - before.wakes, 0, 20);
    pool_free(pool);
}

VOW_CASE(task_alone_in_a_pool_wakes_nobody_for_its_turns)
{
    check_alone(VOW_NORMAL);
}

VOW_CASE(task_of_a_priority_alone_in_a_pool_wakes_nobody_for_its_turns)
{
    check_alone(VOW_HIGH);
    check_alone(VOW_IDLE);
}

VOW_CASE(task_run_in_the_caller_takes_its_turns_there)
{
    vow_executor *pool = pool_new(
        &VOW_POOL_OPTIONS(.threads = 1, .queue_limit = 1, .when_full = VOW_FULL_RUN));
    struct work w = {.turns = 100}, queued = {.turns = 1};
    struct gate g;
    vow_future *f, *first;

    shut(&g, pool);
    first = vow_submit(pool, take_turns, work_value(&queued));
    f = vow_submit(pool, take_turns, work_value(&w));
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_int_equal(result_of(f), 100);
    open_gate(&g);
    assert_int_equal(result_of(first), 1);
    pool_free(pool);
}

static vow_result
yield_then_exit(void *ctx)
{
    struct own *o = ctx;

    if (o->had++ == 0)
        return vow_yield_task();
    pthread_exit(NULL);
}

VOW_CASE(task_that_ends_its_thread_in_a_later_turn_is_broken)
{
    vow_executor *pool = pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    struct own o = {.had = 0};
    struct work w = {.turns = 2};

    o.f = vow_submit(pool, yield_then_exit, vow_own(&o, drop_it));
    assert_int_equal(code_of(o.f), VOW_E_BROKEN);
    assert_int_equal(o.had, 2);
    assert_int_equal(drop_count(&o.d), 1);
    vow_unref(o.f);
    assert_int_equal(result_of(vow_submit(pool, take_turns, work_value(&w))), 2);
    pool_free(pool);
}

/* ---- all at once ---------------------------------------------------------------------------- */

static void *
cancel_later(void *f)
{
    for (int i = 0; i < 20; i++)
        sched_yield();
    vow_future_cancel(f, NULL);
    vow_unref(f);
    return NULL;
}

VOW_CASE(cancels_race_turns_and_each_context_is_dropped_once)
{
    vow_executor *pool = pool_new(&VOW_POOL_OPTIONS(.threads = 2));

    for (int round = 0; round < 300; round++) {
        struct work w = {.turns = 1 + round % 40};
        vow_future *f = vow_submit(pool, take_turns, work_value(&w));
        pthread_t thread;
        int code;

        assert_int_equal(pthread_create(&thread, NULL, cancel_later, vow_ref(f)), 0);
        code = code_of(f);
        assert_true(code == 0 || code == VOW_E_CANCELLED);
        pthread_join(thread, NULL);
        vow_unref(f);
        assert_int_equal(drop_count(&w.d), 1);
    }
    pool_free(pool);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(inline_task_takes_all_its_turns_before_the_call_returns),
        vow_test(inline_tasks_take_turns_with_one_another),
        vow_test(manual_task_goes_behind_what_waits),
        vow_test(serial_tasks_take_turns_and_still_never_two_at_once),
        vow_test(delayed_task_takes_turns_as_well),
        vow_test(many_tasks_take_turns),
        vow_test(turns_allocate_nothing),
        vow_test(step_or_promise_that_yields_is_invalid),
        vow_test(task_that_yields_with_an_outcome_has_that),
        vow_test(protected_call_goes_on_in_its_next_turn),
        vow_test(cancel_between_turns_settles_at_once),
        vow_test(cancel_in_a_turn_is_obeyed_at_its_end),
        vow_test(token_is_obeyed_in_and_between_turns),
        vow_test(delayed_task_is_cancelled_between_turns_and_in_one),
        vow_test(delayed_task_between_two_turns_is_cancelled_at_once),
        vow_test(unwanted_task_stops_between_turns),
        vow_test(executor_that_drains_lets_it_finish_and_one_that_cancels_ends_it),
        vow_test(task_that_cancels_its_own_executor_has_no_more_turns),
        vow_test(task_in_a_pool_goes_to_the_back_of_its_priority),
        vow_test(full_pool_admits_the_next_turn),
        vow_test(worker_that_waits_for_a_task_in_turns_lets_others_have_theirs),
        vow_test(waiter_without_a_spare_goes_on_with_the_turns_itself),
        vow_test(turn_in_place_goes_on_in_the_queue_when_its_node_was_met_there),
        vow_test(task_in_turns_waits_behind_what_other_workers_have),
        vow_test(task_alone_in_a_pool_wakes_nobody_for_its_turns),
        vow_test(task_of_a_priority_alone_in_a_pool_wakes_nobody_for_its_turns),
        vow_test(task_run_in_the_caller_takes_its_turns_there),
        vow_test(task_that_ends_its_thread_in_a_later_turn_is_broken),
        vow_test(cancels_race_turns_and_each_context_is_dropped_once),
    };

    return vow_test_run(cases);
}
