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

/* A task in turns whose thief still runs an inline step that its first turn has triggered. */
struct triggered {
    vow_executor *pool;
    vow_promise *trigger;
    vow_future *foreign;
    atomic_int turns, posted, waited, foreign_ran;
    int foreign_ran_in_wait;
};

static vow_result
note_foreign(void *ctx)
{
    struct triggered *t = ctx;

    atomic_store(&t->foreign_ran, 1);
    return vow_ok(VOW_NIL);
}

static vow_result
post_foreign(vow_value in, void *ctx)
{
    struct triggered *t = ctx;

    (void)in;
    t->foreign = vow_submit(t->pool, note_foreign, vow_ptr(t));
    atomic_store(&t->posted, 1);
    await_flag(&t->waited, 1);
    return vow_ok(VOW_NIL);
}

static vow_result
trigger_and_yield(void *ctx)
{
    struct triggered *t = ctx;

    if (atomic_fetch_add(&t->turns, 1) != 0)
        return vow_ok(vow_i64(6));
    vow_promise_fulfill(t->trigger, VOW_NIL);
    return vow_yield_task();
}

static vow_result
wait_for_the_triggering(void *ctx)
{
    struct triggered *t = ctx;
    vow_future *f = vow_submit(t->pool, trigger_and_yield, vow_ptr(t));
    int64_t value;

    await_flag(&t->posted, 1);
    value = value_of(f);
    t->foreign_ran_in_wait = atomic_load(&t->foreign_ran);
    atomic_store(&t->waited, 1);
    return vow_ok(vow_i64(value));
}

VOW_CASE(waiter_runs_nothing_that_inline_steps_of_the_thief_posted)
{
    struct triggered t = {.pool = pool_new(2, 0), .trigger = vow_promise_new()};
    vow_future *step =
        vow_then(vow_promise_future(t.trigger), NULL, post_foreign, vow_ptr(&t));

    assert_int_equal(value_of(vow_submit(t.pool, wait_for_the_triggering, vow_ptr(&t))),
                     6);
    assert_int_equal(t.foreign_ran_in_wait, 0);
    assert_true(vow_wait(step, VOW_FOREVER));
    assert_true(vow_wait(t.foreign, VOW_FOREVER));
    vow_unref(step);
    vow_unref(t.foreign);
    vow_promise_unref(t.trigger);
    pool_free(t.pool);
}

/* What comes into the thief's deque, while the stolen task runs, from somewhere else. */
struct foreign {
    vow_executor *pool;
    vow_executor *serial; /* on top of the pool */
    vow_promise *trigger;
    vow_future *step;
    vow_future *posted;
    atomic_int is_posted, ran;
    pthread_t waiter, runner;
};

static vow_result
run_foreign(void *ctx)
{
    struct foreign *f = ctx;

    f->runner = pthread_self();
    atomic_store(&f->ran, 1);
    return vow_ok(VOW_NIL);
}

static vow_result
run_foreign_step(vow_value in, void *ctx)
{
    (void)in;
    return run_foreign(ctx);
}

/* Somebody else runs it before this returns. */
static vow_result
post_and_stay(vow_value in, void *ctx)
{
    struct foreign *f = ctx;

    (void)in;
    f->posted = vow_submit(f->pool, run_foreign, vow_ptr(f));
    atomic_store(&f->is_posted, 1);
    await_flag(&f->ran, 1);
    return vow_ok(VOW_NIL);
}

/* Settles what a step on the pool hangs on. */
static vow_result
trigger_and_stay(void *ctx)
{
    struct foreign *f = ctx;

    vow_promise_fulfill(f->trigger, VOW_NIL);
    atomic_store(&f->is_posted, 1);
    await_flag(&f->ran, 1);
    return vow_ok(VOW_NIL);
}

/* Settles what an inline step hangs on, which runs here as soon as this waits. */
static vow_result
trigger_and_wait(void *ctx)
{
    struct foreign *f = ctx;

    vow_promise_fulfill(f->trigger, VOW_NIL);
    return vow_wait(f->step, VOW_FOREVER) ? vow_ok(VOW_NIL) : vow_err(NULL);
}

/* Starts an executor on top, which runs what others have posted there as well. */
static vow_result
start_serial_and_stay(void *ctx)
{
    struct foreign *f = ctx;

    f->posted = vow_submit(f->serial, run_foreign, vow_ptr(f));
    atomic_store(&f->is_posted, 1);
    await_flag(&f->ran, 1);
    return vow_ok(VOW_NIL);
}

struct waits_for {
    struct foreign *f;
    vow_task_fn *fn;
};

static vow_result
wait_for_the_thief(void *ctx)
{
    struct waits_for *w = ctx;
    vow_future *stolen = vow_submit(w->f->pool, w->fn, vow_ptr(w->f));

    w->f->waiter = pthread_self();
    await_flag(&w->f->is_posted, 1);
    value_of(stolen);
    return vow_ok(VOW_NIL);
}

/* A spare runs it: the waiter must not, and the thief does not end before. */
static void
check_foreign(vow_task_fn *fn, vow_executor *(*on)(struct foreign *), vow_then_fn *step)
{
    struct foreign f = {.pool = pool_new(2, 1), .trigger = vow_promise_new()};
    struct waits_for w = {&f, fn};

    f.serial = vow_serial_new(f.pool);
    f.step = vow_then(vow_promise_future(f.trigger), on(&f), step, vow_ptr(&f));
    value_of(vow_submit(f.pool, wait_for_the_thief, vow_ptr(&w)));
    assert_false(pthread_equal(f.waiter, f.runner));
    vow_promise_fulfill(f.trigger, VOW_NIL);
    assert_true(vow_wait(f.step, VOW_FOREVER));
    vow_wait(f.posted, VOW_FOREVER);
    vow_unref(f.step);
    vow_unref(f.posted);
    vow_promise_unref(f.trigger);
    vow_executor_unref(f.serial);
    pool_free(f.pool);
}

static vow_executor *
on_the_pool(struct foreign *f)
{
    return f->pool;
}

static vow_executor *
inline_step(struct foreign *f)
{
    (void)f;
    return NULL;
}

VOW_CASE(waiter_runs_no_step_that_the_thief_has_made_ready)
{
    check_foreign(trigger_and_stay, on_the_pool, run_foreign_step);
}

VOW_CASE(waiter_runs_nothing_that_an_inline_step_in_a_wait_of_the_thief_posted)
{
    check_foreign(trigger_and_wait, inline_step, post_and_stay);
}

VOW_CASE(waiter_runs_no_serial_executor_that_the_thief_has_started)
{
    check_foreign(start_serial_and_stay, inline_step, add_one);
}

/* A task of a user's own, whose storage may be a job's by the time that it ends. */
struct own_task {
    vow_task task;
    vow_executor *pool;
    atomic_int ran;
    bool shown;
};

static void
look_what_is_shown(vow_task *task, int why)
{
    struct own_task *own = (struct own_task *)(void *)task;

    assert_int_equal(why, 0);
    own->shown = vowi_load_relaxed(&vowi_self()->worker->stolen) != NULL;
    atomic_store(&own->ran, 1);
}

static vow_result
have_it_stolen(void *ctx)
{
    struct own_task *own = ctx;

    assert_int_equal(vow_post_task(own->pool, &own->task), 0);
    await_flag(&own->ran, 1);
    return vow_ok(vow_i64(7));
}

VOW_CASE(thief_of_a_task_that_nobody_can_wait_for_shows_nothing)
{
    struct own_task own = {.task.run = look_what_is_shown, .pool = pool_new(2, 0)};

    assert_int_equal(value_of(vow_submit(own.pool, have_it_stolen, vow_ptr(&own))), 7);
    assert_false(own.shown);
    pool_free(own.pool);
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

/* It asked without the lock: meanwhile another worker has begun to wait. */
VOW_CASE(spare_that_is_needed_again_as_it_would_rest_does_not)
{
    static struct vowi_pool bare = {.threads = 1, .awake = 2, .blocked = 1};
    static struct vowi_worker spare = {.spare = true};

    assert_int_equal(vowi_lock_init(&bare.lock, VOWI_RANK_POOL), 0);
    vowi_store_relaxed(&bare.surplus, 1);
    assert_true(vowi_worker_rest(&bare, &spare));
    assert_null(bare.resting);
    assert_int_equal(bare.awake, 2);
    vowi_lock_fini(&bare.lock);
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
        vow_test(waiter_runs_nothing_that_inline_steps_of_the_thief_posted),
        vow_test(waiter_runs_no_step_that_the_thief_has_made_ready),
        vow_test(waiter_runs_nothing_that_an_inline_step_in_a_wait_of_the_thief_posted),
        vow_test(waiter_runs_no_serial_executor_that_the_thief_has_started),
        vow_test(thief_of_a_task_that_nobody_can_wait_for_shows_nothing),
        vow_test(waiter_for_a_task_of_another_executor_sleeps),
        vow_test(waiter_for_a_task_that_follows_a_promise_sleeps),
        vow_test(waiter_for_a_task_that_too_many_hold_sleeps),
        vow_test(waiter_for_a_step_that_runs_elsewhere_sleeps),
        vow_test(waits_nested_deeper_than_a_worker_helps_end),
        vow_test(waiters_that_use_up_all_spares_hold_the_others_up_and_no_longer),
        vow_test(waiter_without_a_spare_sleeps_while_another_runs),
        vow_test(waiter_is_replaced_by_a_spare_that_rests),
        vow_test(spare_that_is_needed_again_as_it_would_rest_does_not),
    };

    return vow_test_run(cases);
}
