/* SPDX-License-Identifier: MIT */
/*
 * A worker that waits: what it runs itself, what it takes from the thief of what it
 * waits for, when another thread takes its place, and when none is left.
 */
#include "support/vow_test.h"

#include <errno.h>

#include "../executors/pool_internal.h"
#include "core/refs.h"
#include "support/drops.h"
#include "support/pool_fixture.h"

static vow_executor *
pool_new(unsigned threads, unsigned spares)
{
    vow_executor *pool =
        vow_pool_new(&VOW_POOL_OPTIONS(.threads = threads, .spares = spares));

    assert_non_null(pool);
    return pool;
}

/* Waits until that many spare threads have been started: so many workers sleep. */
static void
await_spares(vow_executor *pool, uint64_t n)
{
    vow_pool_stats stats = {.size = sizeof stats};

    do {
        sched_yield();
        assert_int_equal(vow_pool_read_stats(pool, &stats), 0);
    } while (stats.spares < n);
}

static int64_t
value_of(vow_future *f)
{
    int64_t value = vow_get(f).value.as.i64;

    assert_null(vow_get(f).error);
    vow_unref(f);
    return value;
}

static vow_result
seven(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(7));
}

static vow_result
get_value(void *f)
{
    return vow_ok(vow_i64(vow_get(f).value.as.i64));
}

/* ---- what hangs on what it runs ----------------------------------------------------------- */

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

/* A task, a step on it that its worker waits for, and what it sees when that is cancelled. */
struct left {
    vow_executor *pool;
    vow_future *step;
    bool asked, told;
};

static vow_result
cancel_the_step_on_me(void *ctx)
{
    struct left *l = ctx;
    vow_result r;

    vow_future_cancel(l->step, vow_error_new(EINTR, "enough"));
    l->asked = vow_cancelled();
    r = vow_check_cancelled();
    l->told = vow_error_is(r.error, EINTR);
    return r;
}

static vow_result
wait_for_the_step(void *ctx)
{
    struct left *l = ctx;
    int code;

    l->step = vow_submit(l->pool, cancel_the_step_on_me, vow_ptr(l));
    l->step = vow_then(l->step, NULL, add_one, VOW_NIL);
    code = vow_error_code(vow_get(l->step).error);
    vow_unref(l->step);
    return vow_ok(vow_i64(code));
}

/* Whoever runs what it waits for does not count as one who wants it. */
VOW_CASE(leave_reaches_what_the_waiter_runs)
{
    vow_executor *pool = pool_new(1, 1);
    struct left l = {.pool = pool};

    assert_int_equal(value_of(vow_submit(pool, wait_for_the_step, vow_ptr(&l))),
                     VOW_E_CANCELLED);
    assert_true(l.asked);
    assert_true(l.told);
    pool_free(pool);
}

static vow_result
get_inline_step(void *pool)
{
    vow_future *f = vow_submit(pool, seven, VOW_NIL);

    f = vow_then(f, NULL, add_one, VOW_NIL);
    f = vow_then(f, pool, add_one, VOW_NIL);
    f = vow_then(f, NULL, add_one, VOW_NIL);
    return vow_ok(vow_i64(value_of(f)));
}

VOW_CASE(worker_waits_for_inline_steps_of_what_it_runs)
{
    vow_executor *pool = pool_new(1, 1);

    assert_int_equal(value_of(vow_submit(pool, get_inline_step, vow_ptr(pool))), 10);
    pool_free(pool);
}

/* ---- what a thief took ----------------------------------------------------------------- */

struct theft {
    vow_executor *pool;
    vow_future *child;
    vow_future *grandchild;
    vow_future *other;
    bool leaves;      /* the child submits a grandchild */
    bool has_more;    /* the waiter has another task in its queue */
    atomic_int begun; /* the child */
    atomic_int ended; /* the grandchild; or the test lets the child go */
    pthread_t waiter, runner;
};

static vow_result
grandchild(void *ctx)
{
    struct theft *t = ctx;

    t->runner = pthread_self();
    atomic_store(&t->ended, 1);
    return vow_ok(VOW_NIL);
}

/* Does not end before its own child has. */
static vow_result
child(void *ctx)
{
    struct theft *t = ctx;

    if (t->leaves)
        t->grandchild = vow_submit(t->pool, grandchild, vow_ptr(t));
    atomic_store(&t->begun, 1);
    await_flag(&t->ended, 1);
    return vow_ok(vow_i64(5));
}

/* Its child is stolen by the only other worker before it waits. */
static vow_result
parent(void *ctx)
{
    struct theft *t = ctx;

    t->waiter = pthread_self();
    t->child = vow_submit(t->pool, child, vow_ptr(t));
    await_flag(&t->begun, 1);
    if (t->has_more)
        t->other = vow_submit(t->pool, seven, VOW_NIL);
    return vow_ok(vow_i64(vow_get(t->child).value.as.i64));
}

static void
check_theft(struct theft *t)
{
    vow_future *f;

    t->pool = pool_new(2, 0);
    f = vow_submit(t->pool, parent, vow_ptr(t));
    if (!t->leaves) {
        await_spares(t->pool, 1);
        atomic_store(&t->ended, 1);
    }
    assert_int_equal(value_of(f), 5);
    vow_unref(t->child);
    vow_unref(t->grandchild);
    if (t->other != NULL)
        assert_int_equal(value_of(t->other), 7);
    pool_free(t->pool);
}

VOW_CASE(waiter_runs_what_the_thief_left_behind)
{
    struct theft t = {.leaves = true};

    check_theft(&t);
    assert_true(pthread_equal(t.waiter, t.runner));
}

VOW_CASE(waiter_with_work_of_its_own_runs_what_the_thief_left_behind)
{
    struct theft t = {.leaves = true, .has_more = true};

    check_theft(&t);
    assert_true(pthread_equal(t.waiter, t.runner));
}

VOW_CASE(waiter_for_a_thief_that_left_nothing_sleeps)
{
    struct theft t = {.leaves = false};

    check_theft(&t);
}

/* ---- what it waits for -------------------------------------------------------------------- */

VOW_CASE(waiter_for_a_task_of_another_executor_sleeps)
{
    vow_executor *pool = pool_new(1, 0);
    vow_manual *m = vow_manual_new();
    vow_future *there = vow_submit(vow_manual_executor(m), seven, VOW_NIL);
    vow_future *here = vow_submit(pool, get_value, vow_ptr(there));

    await_spares(pool, 1);
    assert_int_equal(vow_manual_run(m), 1);
    assert_int_equal(value_of(here), 7);
    vow_unref(there);
    vow_manual_unref(m);
    pool_free(pool);
}

static vow_result
follow_it(void *f)
{
    return vow_follow(vow_ref(f));
}

VOW_CASE(waiter_for_a_task_that_follows_a_promise_sleeps)
{
    vow_executor *pool = pool_new(1, 0);
    vow_promise *p = vow_promise_new();
    vow_future *end = vow_promise_future(p);
    vow_future *follower = vow_submit(pool, follow_it, vow_ptr(end));
    vow_future *here = vow_submit(pool, get_value, vow_ptr(follower));

    await_spares(pool, 1);
    vow_promise_fulfill(p, vow_i64(3));
    assert_int_equal(value_of(here), 3);
    vow_promise_unref(p);
    vow_unref(follower);
    vow_unref(end);
    pool_free(pool);
}

static vow_result
step_at_gate(vow_value in, void *gate)
{
    atomic_int *flags = gate;

    atomic_store(&flags[0], 1);
    await_flag(&flags[1], 1);
    return vow_ok(vow_i64(in.as.i64 + 1));
}

/* A task in the queue behind its waiter, whose memory as many hold as can be counted. */
static vow_result
hold_often_and_get(void *ctx)
{
    vow_executor *pool = ctx;
    vow_future *f = vow_submit(pool, seven, VOW_NIL);
    vow_future *last = vow_submit(pool, seven, VOW_NIL); /* f is not the youngest */
    struct vow_state *s = vowi_state(f);
    uint64_t holds = VOWI_HOLDS - VOWI_HOLD;
    int64_t value;

    assert_int_equal(vowi_load_relaxed(&s->refs) & VOWI_HOLDS, VOWI_HOLD);
    vowi_add_relaxed(&s->refs, holds);
    value = vow_get(f).value.as.i64;
    assert_true(vowi_kind(s) == VOWI_TASK);
    for (; holds != 0; holds -= VOWI_HOLD)
        vowi_hold_release(vowi_self(), s);
    vow_unref(f);
    return vow_ok(vow_i64(value + value_of(last)));
}

VOW_CASE(waiter_for_a_task_that_too_many_hold_sleeps)
{
    vow_executor *pool = pool_new(1, 1);

    assert_int_equal(value_of(vow_submit(pool, hold_often_and_get, vow_ptr(pool))), 14);
    pool_free(pool);
}

VOW_CASE(waiter_for_a_step_that_runs_elsewhere_sleeps)
{
    atomic_int flags[2] = {0, 0};
    vow_executor *pool = pool_new(2, 0);
    vow_future *step =
        vow_then(vow_resolved(vow_i64(1)), pool, step_at_gate, vow_ptr(flags));
    vow_future *here;

    await_flag(&flags[0], 1);
    here = vow_submit(pool, get_value, vow_ptr(step));
    await_spares(pool, 1);
    atomic_store(&flags[1], 1);
    assert_int_equal(value_of(here), 2);
    vow_unref(step);
    pool_free(pool);
}

/* ---- how deep ------------------------------------------------------------------------------- */

struct nest {
    vow_executor *pool;
    int depth;
};

static vow_result
nested(void *ctx)
{
    struct nest *self = ctx;
    struct nest inner = {self->pool, self->depth - 1};

    if (self->depth == 0)
        return vow_ok(vow_i64(0));
    return vow_ok(vow_i64(1 + value_of(vow_submit(self->pool, nested, vow_ptr(&inner)))));
}

/* Beyond some depth the worker runs no more on its own stack: other threads do. */
VOW_CASE(waits_nested_deeper_than_a_worker_helps_end)
{
    struct nest n = {pool_new(1, 64), 60};

    assert_int_equal(value_of(vow_submit(n.pool, nested, vow_ptr(&n))), 60);
    pool_free(n.pool);
}

/* ---- who takes its place ---------------------------------------------------------------------- */

/* No thread is left, so that a third task waits until one of the two has its answer. */
VOW_CASE(waiters_that_use_up_all_spares_hold_the_others_up_and_no_longer)
{
    vow_executor *pool = pool_new(1, 1);
    vow_promise *p = vow_promise_new();
    vow_future *answer = vow_promise_future(p);
    vow_future *waiting[2], *third;

    waiting[0] = vow_submit(pool, get_value, vow_ptr(answer));
    await_spares(pool, 1);
    waiting[1] = vow_submit(pool, get_value, vow_ptr(answer));
    third = vow_submit(pool, seven, VOW_NIL);
    assert_false(vow_wait(third, vow_ms(50)));
    vow_promise_fulfill(p, vow_i64(4));

    assert_int_equal(value_of(third), 7);
    assert_int_equal(value_of(waiting[0]), 4);
    assert_int_equal(value_of(waiting[1]), 4);
    vow_promise_unref(p);
    vow_unref(answer);
    pool_free(pool);
}

struct asker {
    atomic_int entered;
    atomic_int open;
    vow_future *answer; /* what it waits for then; NULL: nothing */
};

static vow_result
enter_and_get(void *ctx)
{
    struct asker *g = ctx;

    atomic_fetch_add(&g->entered, 1);
    await_flag(&g->open, 1);
    return vow_ok(vow_i64(g->answer != NULL ? vow_get(g->answer).value.as.i64 : 0));
}

/* No more threads can be added, but one still runs. */
VOW_CASE(waiter_without_a_spare_sleeps_while_another_runs)
{
    vow_executor *pool = pool_new(2, 1);
    vow_promise *p = vow_promise_new();
    vow_future *answer = vow_promise_future(p);
    struct asker waits[2] = {{.answer = answer}, {.answer = answer}};
    struct asker runs = {.answer = NULL};
    vow_future *f[2], *g;

    for (int i = 0; i < 2; i++) {
        f[i] = vow_submit(pool, enter_and_get, vow_ptr(&waits[i]));
        await_flag(&waits[i].entered, 1);
    }
    atomic_store(&waits[0].open, 1);
    await_spares(pool, 1);
    g = vow_submit(pool, enter_and_get, vow_ptr(&runs));
    await_flag(&runs.entered, 1);
    atomic_store(&waits[1].open, 1);
    assert_false(vow_wait(f[1], vow_ms(50)));
    atomic_store(&runs.open, 1);
    assert_int_equal(value_of(g), 0);
    vow_promise_fulfill(p, vow_i64(9));

    assert_int_equal(value_of(f[0]), 9);
    assert_int_equal(value_of(f[1]), 9);
    vow_promise_unref(p);
    vow_unref(answer);
    pool_free(pool);
}

static bool
has_resting_spare(vow_executor *pool)
{
    struct vowi_pool *p = vowi_container_of(pool, struct vowi_pool, executor);
    bool resting;

    vowi_lock_acquire(&p->lock);
    resting = p->resting != NULL;
    vowi_lock_release(&p->lock);
    return resting;
}

/* A spare that replaces nobody any more rests, and takes the place of the next waiter. */
VOW_CASE(waiter_is_replaced_by_a_spare_that_rests)
{
    vow_executor *pool = pool_new(1, 4);
    vow_promise *p[2] = {vow_promise_new(), vow_promise_new()};
    vow_future *answer[2], *waiting[2];
    struct asker runs = {.answer = NULL};
    vow_pool_stats stats = {.size = sizeof stats};
    vow_future *g;

    for (int i = 0; i < 2; i++)
        answer[i] = vow_promise_future(p[i]);
    waiting[0] = vow_submit(pool, get_value, vow_ptr(answer[0]));
    await_spares(pool, 1);
    g = vow_submit(pool, enter_and_get, vow_ptr(&runs));
    await_flag(&runs.entered, 1);
    vow_promise_fulfill(p[0], vow_i64(2));
    assert_int_equal(value_of(waiting[0]), 2);
    atomic_store(&runs.open, 1);
    assert_int_equal(value_of(g), 0);
    while (!has_resting_spare(pool))
        sched_yield();

    waiting[1] = vow_submit(pool, get_value, vow_ptr(answer[1]));
    assert_int_equal(value_of(vow_submit(pool, seven, VOW_NIL)), 7);
    vow_promise_fulfill(p[1], vow_i64(3));
    assert_int_equal(value_of(waiting[1]), 3);
    assert_int_equal(vow_pool_read_stats(pool, &stats), 0);
    assert_int_equal(stats.spares, 1);
    for (int i = 0; i < 2; i++) {
        vow_promise_unref(p[i]);
        vow_unref(answer[i]);
    }
    pool_free(pool);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(leave_reaches_what_the_waiter_runs),
        vow_test(worker_waits_for_inline_steps_of_what_it_runs),
        vow_test(waiter_runs_what_the_thief_left_behind),
        vow_test(waiter_with_work_of_its_own_runs_what_the_thief_left_behind),
        vow_test(waiter_for_a_thief_that_left_nothing_sleeps),
        vow_test(waiter_for_a_task_of_another_executor_sleeps),
        vow_test(waiter_for_a_task_that_follows_a_promise_sleeps),
        vow_test(waiter_for_a_task_that_too_many_hold_sleeps),
        vow_test(waiter_for_a_step_that_runs_elsewhere_sleeps),
        vow_test(waits_nested_deeper_than_a_worker_helps_end),
        vow_test(waiters_that_use_up_all_spares_hold_the_others_up_and_no_longer),
        vow_test(waiter_without_a_spare_sleeps_while_another_runs),
        vow_test(waiter_is_replaced_by_a_spare_that_rests),
    };

    return vow_test_run(cases);
}
