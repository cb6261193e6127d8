/* SPDX-License-Identifier: MIT */
/*
 * A process that forks: what the child can still do with executors, futures and locks
 * of the parent, and how it gets executors of its own out of them.
 *
 * Each case forks, and the child ends with 0 if all was as it should be there. It says
 * on stderr what was not.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "../executors/loop_internal.h"
#include "base/mem.h"
#include "base/time.h"
#include "combine/channel.h"
#include "core/deadlock.h"
#include "core/state.h"
#include "core/word.h"
#include "support/child.h"
#include "support/drops.h"
#include "support/held_timers.h"
#include "support/pool_fixture.h"
#include "sync/spin.h"

enum { FORKS = 20 };

/* ---- work --------------------------------------------------------------------------------- */

static vow_result
give_seven(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(vow_i64(7));
}

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

static void
nothing(void *ctx)
{
    (void)ctx;
}

/* Its threads have started when this returns: AddressSanitizer takes locks for that, and
 * a child would find them taken. */
static vow_executor *
pool_new(unsigned threads)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = threads));
    struct gate g = {0};
    vow_future *f[4];

    assert_non_null(pool);
    for (unsigned i = 0; i < threads; i++)
        f[i] = vow_submit(pool, wait_at_gate, vow_ptr(&g));
    await_flag(&g.entered, (int)threads);
    atomic_store(&g.open, 1);
    for (unsigned i = 0; i < threads; i++) {
        assert_int_equal(code_of(f[i]), 0);
        vow_unref(f[i]);
    }
    return pool;
}

static int
code_in_child(vow_future *f)
{
    int code = code_of(f);

    vow_unref(f);
    return code;
}

/* A thousand tasks and a step, all run; then its end. */
static void
require_works(vow_executor *on)
{
    vow_future *f = vow_then(vow_submit(on, give_seven, VOW_NIL), on, add_one, VOW_NIL);
    int sum = 0;

    require(vow_get(f).value.as.i64 == 8);
    vow_unref(f);
    for (int i = 0; i < 1000; i++) {
        f = vow_submit(on, give_seven, VOW_NIL);
        sum += (int)vow_get(f).value.as.i64;
        vow_unref(f);
    }
    require(sum == 7000);
}

static void
require_ends(vow_executor *on)
{
    vow_future *closed = vow_executor_close(on, VOW_DRAIN);

    require(vow_executor_join(on) == 0);
    require(code_of(closed) == 0);
    vow_unref(closed);
    vow_executor_unref(on);
}

static void
require_left_behind(vow_executor *on)
{
    struct drop ctx = {0};
    vow_promise *p = vow_promise_new();
    vow_future *step = vow_then(vow_promise_future(p), on, add_one, drop_value(&ctx));
    vow_value ctxs[2] = {VOW_NIL, VOW_NIL};
    vow_timer timer = {.when = 0};

    require(code_in_child(vow_submit(on, give_seven, VOW_NIL)) == VOW_E_FORKED);
    require(vow_post(on, nothing, VOW_NIL) == VOW_E_FORKED);
    require(vow_submit_many(on, give_seven, ctxs, 2, NULL) == VOW_E_FORKED);
    require(on->ops->post_many(on, NULL, 0) == 0);
    require(vow_executor_dump(on, stderr) == 0);
    require(on->ops->arm(on, &timer) == VOW_E_FORKED);
    require(on->ops->disarm(on, &timer) == VOW_RAN);
    require(vow_wait(step, 0)); /* it names it, so nothing will come of it */
    require(code_of(step) == VOW_E_FORKED);
    vow_promise_fulfill(p, vow_i64(1));
    vow_promise_unref(p);
    require(code_in_child(step) == VOW_E_FORKED);
    require(drop_count(&ctx) == 1);
    require(code_in_child(vow_executor_close(on, VOW_DRAIN)) == VOW_E_FORKED);
    require(code_in_child(vow_executor_close(on, VOW_CANCEL_QUEUED)) == VOW_E_FORKED);
    require(vow_executor_join(on) == VOW_E_FORKED);
}

/* ---- what was left behind -------------------------------------------------------------------- */

VOW_CASE(child_is_told_that_a_pool_was_left_behind)
{
    vow_executor *pool = pool_new(2);
    pid_t pid;

    if (in_child(&pid)) {
        require_left_behind(pool);
        vow_executor_unref(vow_executor_ref(pool));
        vow_executor_unref(pool);
        leave(0);
    }
    assert_child_was_fine(pid);
    pool_free(pool);
}

VOW_CASE(wait_for_what_was_queued_or_running_is_refused)
{
    struct gate g = {0};
    vow_executor *pool = pool_new(1);
    vow_promise *p = vow_promise_new();
    vow_future *other = vow_promise_future(p);
    vow_future *running = vow_submit(pool, wait_at_gate, vow_ptr(&g));
    vow_future *queued, *step, *far;
    pid_t pid;

    await_flag(&g.entered, 1);
    queued = vow_submit(pool, give_seven, VOW_NIL);
    step = vow_then(vow_resolved(vow_i64(1)), pool, add_one, VOW_NIL);
    far = vow_then(vow_ref(step), NULL, add_one, VOW_NIL);
    if (in_child(&pid)) {
        vow_result out;

        require(code_of(running) == VOW_E_FORKED);
        require(code_of(queued) == VOW_E_FORKED);
        require(code_of(step) == VOW_E_FORKED);
        require(code_of(far) == VOW_E_FORKED);
        require(vow_wait(running, VOW_FOREVER) && vow_wait(queued, vow_seconds(100)));
        require(!vow_take(queued, &out));
        require(vow_future_status(running) == VOW_PENDING);
        require(!vow_wait(other, vow_ms(1))); /* others may still settle it */
        leave(0);
    }
    assert_child_was_fine(pid);
    atomic_store(&g.open, 1);
    assert_int_equal(vow_get(far).value.as.i64, 3);
    assert_int_equal(vow_get(queued).value.as.i64, 7);
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
    vow_unref(other);
    vow_unref(running);
    vow_unref(queued);
    vow_unref(step);
    vow_unref(far);
    pool_free(pool);
}

static void *
fulfill_later(void *p)
{
    vow_promise_fulfill(p, vow_i64(3));
    return NULL;
}

/* A pool whose worker is held, so that what it was given is lost in a child. */
struct losing {
    struct gate g;
    vow_executor *pool;
    vow_future *lost;
};

static void
losing_begin(struct losing *l)
{
    *l = (struct losing){.pool = pool_new(1)};
    l->lost = vow_submit(l->pool, wait_at_gate, vow_ptr(&l->g));
    await_flag(&l->g.entered, 1);
}

static void
losing_end(struct losing *l)
{
    atomic_store(&l->g.open, 1);
    assert_int_equal(code_of(l->lost), 0);
    vow_unref(l->lost);
    pool_free(l->pool);
}

VOW_CASE(wait_for_several_that_are_lost_is_refused)
{
    struct losing l;
    vow_future *all, *any, *far;
    pid_t pid;

    losing_begin(&l);
    any = vow_when_any(VOW_FUTURES(vow_ref(l.lost), vow_ref(l.lost)));
    all = vow_when_all(VOW_FUTURES(vow_ref(any), vow_resolved(VOW_NIL)));
    far = vow_then(vow_ref(all), NULL, add_one, VOW_NIL);
    if (in_child(&pid)) {
        require(code_of(any) == VOW_E_FORKED);
        require(code_of(all) == VOW_E_FORKED);
        require(vow_wait(far, 0));
        require(code_of(far) == VOW_E_FORKED);
        leave(0);
    }
    assert_child_was_fine(pid);
    vow_ignore(far);
    vow_ignore(all);
    vow_unref(any);
    losing_end(&l);
}

static void *
reject_later(void *p)
{
    vow_promise_reject(p, vow_error_new(EDOM, "no"));
    return NULL;
}

/* The last live one settles while the child waits: with a value that is not enough, or with
 * what is. */
VOW_CASE(wait_for_several_of_which_one_is_lost_ends_with_the_others)
{
    struct losing l;
    vow_promise *p = vow_promise_new(), *q = vow_promise_new();
    vow_future *all, *failing, *any;
    pid_t pid;

    losing_begin(&l);
    all = vow_when_all(VOW_FUTURES(vow_promise_future(p), vow_ref(l.lost)));
    any = vow_when_any(VOW_FUTURES(vow_ref(l.lost), vow_ref(all), vow_promise_future(q)));
    failing = vow_when_all(VOW_FUTURES(vow_promise_future(q), vow_ref(l.lost)));
    if (in_child(&pid)) {
        pthread_t threads[2];

        require(!vow_wait(all, 0));
        require(!vow_wait(all, vow_ms(3)));
        require(pthread_create(&threads[0], NULL, fulfill_later, p) == 0);
        require(code_of(all) == VOW_E_FORKED);
        require(!vow_wait(any, vow_ms(3)));
        require(pthread_create(&threads[1], NULL, reject_later, q) == 0);
        require(code_of(failing) == EDOM);
        require(code_of(any) == 0);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        leave(0);
    }
    assert_child_was_fine(pid);
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_fulfill(q, VOW_NIL);
    vow_promise_unref(p);
    vow_promise_unref(q);
    vow_ignore(all);
    vow_ignore(any);
    vow_ignore(failing);
    losing_end(&l);
}

/* No proof goes that far. */
VOW_CASE(wait_for_very_many_that_are_lost_goes_on)
{
    enum { DEEP = 20, MANY = 1000 };
    struct losing l;
    vow_future *deep, *wide, *inner[MANY];
    pid_t pid;

    losing_begin(&l);
    deep = vow_ref(l.lost);
    for (int i = 0; i < DEEP; i++)
        deep = vow_when_all(&deep, 1);
    for (int i = 0; i < MANY; i++)
        inner[i] = vow_when_all(VOW_FUTURES(vow_ref(l.lost)));
    wide = vow_when_all(inner, MANY);
    if (in_child(&pid)) {
        require(!vow_wait(deep, 0) && !vow_wait(deep, vow_ms(1)));
        require(!vow_wait(wide, 0) && !vow_wait(wide, vow_ms(1)));
        leave(0);
    }
    assert_child_was_fine(pid);
    vow_ignore(deep);
    vow_ignore(wide);
    losing_end(&l);
}

VOW_CASE(wait_for_the_end_of_what_was_left_behind_is_refused)
{
    struct gate g = {0};
    vow_executor *pool = pool_new(1);
    vow_future *f = vow_submit(pool, wait_at_gate, vow_ptr(&g));
    vow_future *closed;
    pid_t pid;

    await_flag(&g.entered, 1);
    closed = vow_executor_close(pool, VOW_DRAIN);
    if (in_child(&pid)) {
        require(code_of(closed) == VOW_E_FORKED);
        require(vow_executor_join(pool) == VOW_E_FORKED);
        require(vow_executor_revive(pool) == VOW_E_CLOSED);
        leave(0);
    }
    assert_child_was_fine(pid);
    atomic_store(&g.open, 1);
    assert_int_equal(vow_executor_join(pool), 0);
    vow_unref(closed);
    vow_unref(f);
    vow_executor_unref(pool);
}

VOW_CASE(promises_work_in_the_child_as_ever)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_then(vow_promise_future(p), NULL, add_one, VOW_NIL);
    vow_executor *pool = pool_new(1); /* so that fork is watched */
    pid_t pid;

    if (in_child(&pid)) {
        pthread_t thread;

        require(pthread_create(&thread, NULL, fulfill_later, p) == 0);
        require(vow_get(f).value.as.i64 == 4);
        pthread_join(thread, NULL);
        leave(0);
    }
    assert_child_was_fine(pid);
    vow_promise_fulfill(p, vow_i64(1));
    assert_int_equal(vow_get(f).value.as.i64, 2);
    vow_promise_unref(p);
    vow_unref(f);
    pool_free(pool);
}

/* ---- sleepers ----------------------------------------------------------------------------------- */

enum { SLEEPERS = 4 };

struct sleepers {
    vow_future *f;
    atomic_int awake;
    pthread_t threads[SLEEPERS];
};

static void *
sleep_for(void *ctx)
{
    struct sleepers *s = ctx;

    atomic_fetch_add(&s->awake, 1);
    assert_int_equal(vow_get(s->f).value.as.i64, 5);
    return NULL;
}

VOW_CASE(child_takes_the_sleepers_of_the_parent_off_a_future)
{
    vow_promise *p = vow_promise_new();
    struct sleepers s = {.f = vow_then(vow_promise_future(p), NULL, add_one, VOW_NIL)};
    pid_t pid;

    for (int i = 0; i < SLEEPERS; i++)
        assert_int_equal(pthread_create(&s.threads[i], NULL, sleep_for, &s), 0);
    await_nodes(s.f, SLEEPERS);
    if (in_child(&pid)) {
        pthread_t thread;

        for (int i = 0; i < 2 * SLEEPERS; i++) {
            require(pthread_create(&thread, NULL, dirty_the_stack, NULL) == 0);
            pthread_join(thread, NULL);
        }
        vow_promise_fulfill(p, vow_i64(1));
        require(vow_get(s.f).value.as.i64 == 2);
        leave(0);
    }
    assert_child_was_fine(pid);
    vow_promise_fulfill(p, vow_i64(4));
    for (int i = 0; i < SLEEPERS; i++)
        pthread_join(s.threads[i], NULL);
    vow_promise_unref(p);
    vow_unref(s.f);
}

/* A thread of the parent had the lock bit. */
VOW_CASE(lock_bit_that_was_left_behind_is_taken_over)
{
    vow_executor *pool = pool_new(1);
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_future *first = vow_then(vow_ref(f), NULL, add_one, VOW_NIL);
    vow_future *second = vow_then(vow_ref(f), NULL, add_one, VOW_NIL);
    vow_future *third = vow_then(vow_ref(f), NULL, add_one, VOW_NIL);
    pid_t pid;

    vowi_lock_word(vowi_state(f));
    if (in_child(&pid)) {
        vow_future_cancel(second, NULL); /* takes it off in the middle */
        require(code_of(second) == VOW_E_CANCELLED);
        vowi_lock_word(vowi_state(f));
        vow_promise_fulfill(p, vow_i64(1)); /* waits for it as well */
        require(vow_get(first).value.as.i64 == 2);
        require(vow_get(third).value.as.i64 == 2);
        leave(0);
    }
    vowi_unlock_word(vowi_state(f));
    assert_child_was_fine(pid);
    vow_promise_unref(p);
    vow_ignore(f);
    vow_ignore(first);
    vow_ignore(second);
    vow_ignore(third);
    pool_free(pool);
}

VOW_CASE(spin_lock_that_was_left_behind_is_taken_over)
{
    static struct vowi_spin lock;
    vow_executor *pool = pool_new(1);
    pid_t pid;

    vowi_spin_acquire(&lock);
    if (in_child(&pid)) {
        vowi_spin_acquire(&lock);
        vowi_spin_release(&lock);
        leave(0);
    }
    vowi_spin_release(&lock);
    assert_child_was_fine(pid);
    pool_free(pool);
}

/* ---- reviving ------------------------------------------------------------------------------------- */

VOW_CASE(pool_that_is_revived_works_and_ends)
{
    struct gate g = {0};
    vow_executor *pool = pool_new(2);
    vow_future *f = vow_submit(pool, wait_at_gate, vow_ptr(&g));
    pid_t pid;

    await_flag(&g.entered, 1);
    if (in_child(&pid)) {
        require(vow_executor_revive(pool) == 0);
        require(vow_executor_revive(pool) == 0); /* again: nothing to do */
        require(vow_pool_threads(pool) == 2);
        require_works(pool);
        require_ends(pool);
        leave(0);
    }
    assert_child_was_fine(pid);
    atomic_store(&g.open, 1);
    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    assert_int_equal(vow_executor_revive(pool), 0); /* it was never left behind */
    pool_free(pool);
}

VOW_CASE(grandchild_revives_what_the_child_did_or_did_not)
{
    vow_executor *one = pool_new(1);
    vow_executor *two = pool_new(1);
    pid_t pid, next;

    if (in_child(&pid)) {
        require(vow_executor_revive(one) == 0);
        require_works(one);
        next = fork_counted();
        if (next == 0) {
            alarm(PATIENCE);
            require_left_behind(one);
            require(vow_executor_revive(one) == 0);
            require(vow_executor_revive(two) == 0);
            require_works(one);
            require_works(two);
            leave(0);
        }
        assert_child_was_fine(next);
        require_ends(one);
        leave(0);
    }
    assert_child_was_fine(pid);
    pool_free(one);
    pool_free(two);
}

/* ---- loops -------------------------------------------------------------------------------- */

/* Its descriptors are the parent's as well: it does nothing here, and says so. */
VOW_CASE(loop_in_the_child_says_so)
{
    vow_loop *l = vow_loop_new(NULL);
    vow_future *f = vow_submit(vow_loop_executor(l), give_seven, VOW_NIL);
    struct drop frame = {0};
    vow_future *g;
    pid_t pid;

    assert_non_null(l);
    if (in_child(&pid)) {
        require(vow_loop_run_once(l, 0) == VOW_E_FORKED);
        require(vow_loop_run(l) == VOW_E_FORKED);
        require(vow_loop_run_until(l, f) == VOW_E_FORKED);
        require(code_in_child(vow_submit(vow_loop_executor(l), give_seven, VOW_NIL)) ==
                VOW_E_FORKED);
        require(vow_loop_request_frame(l, NULL, drop_value(&frame)) == VOW_E_FORKED);
        require(drop_count(&frame) == 1);
        require(vow_loop_timeout(l) == VOW_FOREVER);
        vow_loop_wake(l);
        vow_loop_stop(l);
        g = vow_loop_ready(l, 0, VOW_FD_READ);
        require(vow_future_status(g) == VOW_REJECTED);
        vow_ignore(g);
        vow_loop_unref(l);
        leave(0);
    }
    assert_child_was_fine(pid);
    assert_int_equal(vow_loop_run_once(l, 0), 0); /* the parent's goes on */
    assert_int_equal(vow_peek(f).value.as.i64, 7);
    assert_int_equal(vow_loop_run_once(l, 0), VOW_E_TIMEDOUT); /* nobody woke it */
    vow_unref(f);
    vow_loop_unref(l);
}

/* All that a loop does, each once. What was queued in it before is run by the parent. */
static void
require_loop_works(vow_loop *l)
{
    vow_executor *on = vow_loop_executor(l);
    vow_future *f = vow_then(vow_submit(on, give_seven, VOW_NIL), on, add_one, VOW_NIL);
    vow_future *slept = vow_submit_after(on, vow_ms(1), give_seven, VOW_NIL);
    vow_future *ready, *signalled;
    int ends[2];

    require(vow_loop_run_until(l, f) == 0);
    require(vow_peek(f).value.as.i64 == 8);
    require(vow_loop_run_until(l, slept) == 0);
    require(pipe(ends) == 0);
    ready = vow_loop_ready(l, ends[0], VOW_FD_READ);
    require(vow_future_status(ready) == VOW_PENDING);
    require(write(ends[1], "x", 1) == 1);
    require(vow_loop_run_until(l, ready) == 0);
    signalled = vow_loop_signal(l, SIGUSR1);
    require(kill(getpid(), SIGUSR1) == 0);
    require(vow_loop_run_until(l, signalled) == 0);
    require(vow_peek(signalled).value.as.i64 == SIGUSR1);
    vow_unref(f);
    vow_unref(slept);
    vow_unref(ready);
    vow_unref(signalled);
}

VOW_CASE(loop_that_is_revived_works_and_ends)
{
    vow_loop *l = vow_loop_new(NULL);
    vow_executor *on = vow_loop_executor(l);
    struct drop before = {0}, ctx = {0};
    vow_future *queued = vow_submit(on, give_seven, drop_value(&before));
    vow_future *closed;
    pid_t pid;

    assert_int_equal(vow_loop_run_once(l, 0), 0); /* it has an owner */
    vow_unref(queued);
    queued = vow_submit(on, give_seven, drop_value(&ctx));
    if (in_child(&pid)) {
        require(vow_executor_revive(on) == 0);
        require(vow_executor_revive(on) == 0);
        require(vow_loop_run_once(l, 0) == VOW_E_TIMEDOUT);
        require_loop_works(l);
        require(ctx.ran == 0 && vow_future_status(queued) == VOW_PENDING);
        closed = vow_executor_close(on, VOW_DRAIN);
        require(vow_loop_run(l) == 0);
        require(code_of(closed) == 0);
        vow_unref(closed);
        vow_loop_unref(l);
        leave(0);
    }
    assert_child_was_fine(pid);
    assert_int_equal(vow_loop_run_until(l, queued), 0);
    assert_int_equal(ctx.ran, 1);
    vow_unref(queued);
    vow_loop_unref(l);
}

static void
count_event(vow_watch *w, unsigned events, void *ctx)
{
    (void)w;
    (void)events;
    drop_ran(ctx);
}

static void
count_frame(vow_ns time, void *ctx)
{
    (void)time;
    drop_ran(ctx);
}

static void
count_timer(vow_task *task, int why)
{
    (void)why;
    task->priority++; /* which a loop ignores */
}

/* Something of each sort that a loop waits for. */
struct waiting {
    vow_loop *loop;
    int pipe[2];
    vow_timer timer, other;
    struct drop watched, framed;
    vow_watch *watch;
    vow_future *ready, *also, *signalled, *slept;
};

static void
begin_waiting(struct waiting *w)
{
    vow_executor *on = vow_loop_executor(w->loop);

    assert_int_equal(pipe(w->pipe), 0);
    w->timer.task.run = w->other.task.run = count_timer;
    assert_int_equal(vow_timer_arm(on, &w->timer, vow_now()), 0);
    assert_int_equal(vow_timer_arm(on, &w->other, vow_now() + vow_seconds(1000)), 0);
    w->watch = vow_watch_start(w->loop, w->pipe[0], VOW_FD_READ, count_event,
                               drop_value(&w->watched));
    assert_non_null(w->watch);
    w->ready = vow_loop_ready(w->loop, w->pipe[0], VOW_FD_READ);
    w->also = vow_loop_ready(w->loop, w->pipe[0], VOW_FD_READ);
    w->signalled = vow_loop_signal(w->loop, SIGUSR1);
    w->slept = vow_submit_after(on, 0, give_seven, VOW_NIL);
    assert_int_equal(vow_loop_request_frame(w->loop, count_frame, drop_value(&w->framed)),
                     0);
}

/* The child lets go of all of it. */
static void
require_nothing_waits(struct waiting *w, bool revived)
{
    require(vow_watch_change(w->watch, VOW_FD_WRITE) == (revived ? VOW_E_CLOSED : EPERM));
    require(vow_watch_stop(w->watch) == 0);
    require(drop_count(&w->watched) == 1);
    require(vow_timer_disarm(&w->timer) == VOW_REMOVED);
    require(vow_timer_disarm(&w->timer) == VOW_RAN);
    vow_unref(w->ready); /* unwanted: asked to stop */
    vow_future_cancel(w->also, NULL);
    require(code_in_child(w->also) == VOW_E_CANCELLED);
    vow_future_cancel(w->signalled, NULL);
    require(code_in_child(w->signalled) == VOW_E_CANCELLED);
    vow_future_cancel(w->slept, NULL);
    require(code_in_child(w->slept) == VOW_E_CANCELLED);
}

/* The parent's goes on as if there were no child. */
static void
assert_all_come(struct waiting *w)
{
    assert_int_equal(write(w->pipe[1], "x", 1), 1);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(vow_loop_run_until(w->loop, w->ready), 0);
    assert_int_equal(vow_loop_run_until(w->loop, w->also), 0);
    assert_int_equal(vow_loop_run_until(w->loop, w->signalled), 0);
    assert_int_equal(vow_loop_run_until(w->loop, w->slept), 0);
    assert_int_equal(vow_peek(w->ready).value.as.i64, VOW_FD_READ);
    assert_int_equal(vow_peek(w->signalled).value.as.i64, SIGUSR1);
    assert_true(w->watched.ran > 0);
    assert_int_equal(w->timer.task.priority, 1);
    while (w->framed.ran == 0)
        assert_int_equal(vow_loop_run_once(w->loop, VOW_FOREVER), 0);
}

static void
end_waiting(struct waiting *w)
{
    assert_int_equal(vow_timer_disarm(&w->other), VOW_REMOVED);
    assert_int_equal(vow_watch_stop(w->watch), 0);
    vow_unref(w->ready);
    vow_unref(w->also);
    vow_unref(w->signalled);
    vow_unref(w->slept);
    vow_loop_unref(w->loop);
    close(w->pipe[0]);
    close(w->pipe[1]);
}

/* What the child does with its copy of a loop, the parent's does not notice. */
VOW_CASE(loop_of_the_parent_goes_on_whatever_the_child_does)
{
    for (int revived = 0; revived < 2; revived++) {
        struct waiting w = {.loop = vow_loop_new(NULL)};
        vow_future *mine;
        pid_t pid;

        assert_non_null(w.loop);
        begin_waiting(&w);
        if (in_child(&pid)) {
            if (revived)
                require(vow_executor_revive(vow_loop_executor(w.loop)) == 0);
            require_nothing_waits(&w, revived != 0);
            if (revived) {
                mine = vow_loop_ready(w.loop, w.pipe[0], VOW_FD_READ);
                require(vow_timer_arm(vow_loop_executor(w.loop), &w.other, vow_now()) ==
                        0);
                require(vow_loop_run_once(w.loop, 0) == 0);
                require(w.other.task.priority == 1 && w.timer.task.priority == 0);
                require(w.framed.ran == 0 && w.watched.ran == 0);
                vow_unref(mine);
                require_loop_works(w.loop);
            }
            vow_loop_unref(w.loop);
            leave(0);
        }
        assert_child_was_fine(pid);
        assert_all_come(&w);
        end_waiting(&w);
    }
}

VOW_CASE(loop_without_descriptors_is_not_revived_until_there_are_some)
{
    vow_loop *l = vow_loop_new(NULL);
    pid_t pid;

    if (in_child(&pid)) {
        struct rlimit limit, none;

        require(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        none = limit;
        none.rlim_cur = 0;
        require(setrlimit(RLIMIT_NOFILE, &none) == 0);
        require(vow_executor_revive(vow_loop_executor(l)) == EMFILE);
        require(vow_loop_run_once(l, 0) == VOW_E_FORKED);
        require(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        require(vow_executor_revive(vow_loop_executor(l)) == 0);
        require_loop_works(l);
        leave(0);
    }
    assert_child_was_fine(pid);
    vow_loop_unref(l);
}

/* A thread of the parent runs the loop, or is in the middle of what its lock guards. */
struct elsewhere {
    vow_loop *loop;
    vow_watch *watch; /* of who runs it */
    bool locks;
    atomic_int there, over;
};

static void *
be_elsewhere(void *ctx)
{
    struct elsewhere *e = ctx;

    if (!e->locks) {
        (void)vow_loop_run(e->loop);
        (void)vow_watch_stop(e->watch);
        return NULL;
    }
    vowi_lock_acquire(&e->loop->lock);
    atomic_store(&e->there, 1);
    await_flag(&e->over, 1);
    vowi_lock_release(&e->loop->lock);
    return NULL;
}

static void
is_there(void *ctx)
{
    atomic_store(&((struct elsewhere *)ctx)->there, 1);
}

VOW_CASE(loop_that_another_thread_runs_or_has_locked_is_revived)
{
    for (int locks = 0; locks < 2; locks++) {
        struct waiting w = {.loop = vow_loop_new(NULL)};
        struct elsewhere e = {.loop = w.loop, .locks = locks != 0};
        pthread_t thread;
        pid_t pid;

        begin_waiting(&w);
        e.watch = w.watch;
        if (!locks)
            assert_int_equal(vow_post(vow_loop_executor(w.loop), is_there, vow_ptr(&e)),
                             0);
        assert_int_equal(pthread_create(&thread, NULL, be_elsewhere, &e), 0);
        await_flag(&e.there, 1);
        if (in_child(&pid)) {
            require(vow_executor_revive(vow_loop_executor(w.loop)) == 0);
            vow_loop_stop(w.loop);
            require(vow_loop_run(w.loop) == 0); /* whoever does so first owns it */
            require(vow_timer_disarm(&w.other) == VOW_REMOVED);
            require(vow_watch_stop(w.watch) == 0);
            vow_future_cancel(w.also, NULL);
            require(code_in_child(w.also) == VOW_E_CANCELLED);
            require_loop_works(w.loop);
            leave(0);
        }
        assert_child_was_fine(pid);
        atomic_store(&e.over, 1);
        if (!locks)
            vow_loop_stop(w.loop);
        pthread_join(thread, NULL);
        if (locks) {
            assert_all_come(&w);
            end_waiting(&w);
        } else {
            vow_timer_disarm(&w.other);
            vow_unref(vow_executor_close(vow_loop_executor(w.loop), VOW_CANCEL_QUEUED));
            vow_ignore(w.ready);
            vow_ignore(w.also);
            vow_ignore(w.signalled);
            vow_ignore(w.slept);
            vow_loop_unref(w.loop);
            close(w.pipe[0]);
            close(w.pipe[1]);
        }
    }
}

/* A callback of each sort that forks. */
struct loop_forker {
    vow_loop *loop;
    bool revives;
    pid_t pid;
    struct drop after; /* what comes behind it in its turn */
    vow_watch *watches[2];
};

static void
fork_in_loop(struct loop_forker *f)
{
    if (!in_child(&f->pid)) {
        vow_loop_stop(f->loop);
        return;
    }
    require(vow_executor_current() == NULL);
    require(vow_loop_run_once(f->loop, 0) == VOW_E_FORKED);
    if (f->revives) {
        require(vow_executor_revive(vow_loop_executor(f->loop)) == 0);
        require(vow_executor_current() == vow_loop_executor(f->loop));
        require_loop_works(f->loop);
        vow_loop_stop(f->loop);
    }
}

static void
post_that_forks(void *f)
{
    fork_in_loop(f);
}

static void
frame_that_forks(vow_ns time, void *f)
{
    (void)time;
    fork_in_loop(f);
}

static void
watch_that_forks(vow_watch *w, unsigned events, void *ctx)
{
    struct loop_forker *f = ctx;

    (void)events;
    fork_in_loop(f);
    (void)vow_watch_stop(w);
    f->watches[0] = NULL;
}

static void
signal_that_forks(vow_view in, void *f)
{
    (void)in;
    fork_in_loop(f);
}

struct timer_that_forks {
    vow_timer timer;
    struct loop_forker *f;
};

static void
run_timer_that_forks(vow_task *task, int why)
{
    (void)why;
    fork_in_loop(((struct timer_that_forks *)(void *)task)->f);
}

enum callback { IN_POST, IN_FRAME, IN_WATCH, IN_SIGNAL, IN_TIMER, CALLBACKS };

static void
call_back(struct loop_forker *f, enum callback in, int fd, struct timer_that_forks *timer)
{
    vow_executor *on = vow_loop_executor(f->loop);

    if (in == IN_POST) {
        assert_int_equal(vow_post(on, post_that_forks, vow_ptr(f)), 0);
    } else if (in == IN_FRAME) {
        assert_int_equal(vow_loop_request_frame(f->loop, frame_that_forks, vow_ptr(f)),
                         0);
        assert_int_equal(vow_loop_request_frame(f->loop, count_frame, vow_ptr(&f->after)),
                         0);
    } else if (in == IN_WATCH) {
        f->watches[0] =
            vow_watch_start(f->loop, fd, VOW_FD_WRITE, watch_that_forks, vow_ptr(f));
        f->watches[1] =
            vow_watch_start(f->loop, fd, VOW_FD_WRITE, count_event, vow_ptr(&f->after));
        assert_true(f->watches[0] != NULL && f->watches[1] != NULL);
    } else if (in == IN_SIGNAL) {
        assert_true(vow_on_settled(vow_loop_signal(f->loop, SIGUSR2), on,
                                   signal_that_forks, vow_ptr(f)));
        assert_int_equal(kill(getpid(), SIGUSR2), 0);
    } else {
        timer->timer.task.run = run_timer_that_forks;
        timer->f = f;
        assert_int_equal(vow_timer_arm(on, &timer->timer, vow_now()), 0);
    }
    assert_int_equal(vow_post(on, nothing, vow_ptr(f)), 0);
}

/* It returns in the child into the middle of a turn. */
VOW_CASE(callback_of_a_loop_that_forks_ends_its_run_or_goes_on)
{
    for (int i = 0; i < 2 * CALLBACKS; i++) {
        struct loop_forker f = {.loop = vow_loop_new(NULL), .revives = i % 2 != 0};
        struct timer_that_forks timer = {.f = &f};
        int ends[2], rc;

        assert_int_equal(pipe(ends), 0);
        call_back(&f, (enum callback)(i / 2), ends[1], &timer);
        rc = vow_loop_run(f.loop);
        if (f.pid == 0) {
            require(rc == (f.revives ? 0 : VOW_E_FORKED));
            require(f.after.ran == 0);
            if (f.revives)
                require_loop_works(f.loop);
            leave(0);
        }
        assert_int_equal(rc, 0);
        assert_child_was_fine(f.pid);
        assert_int_equal(vow_watch_stop(f.watches[1]), 0);
        vow_unref(vow_executor_close(vow_loop_executor(f.loop), VOW_CANCEL_QUEUED));
        vow_loop_unref(f.loop);
        close(ends[0]);
        close(ends[1]);
    }
}

VOW_CASE(serial_and_manual_are_revived_as_well)
{
    vow_executor *pool = pool_new(1);
    vow_executor *serial = vow_serial_new(pool);
    vow_executor *plain = vow_serial_new(NULL);
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit(vow_manual_executor(m), give_seven, VOW_NIL);
    vow_future *g = vow_submit(vow_manual_executor(m), give_seven, VOW_NIL);
    pid_t pid;

    if (in_child(&pid)) {
        require_left_behind(serial);
        require_left_behind(plain);
        require_left_behind(vow_manual_executor(m));
        require(!vow_manual_step(m)); /* what was queued is the parent's */
        require(code_of(f) == VOW_E_FORKED);
        require(vow_executor_revive(serial) == 0);
        require(code_in_child(vow_submit(serial, give_seven, VOW_NIL)) == VOW_E_FORKED);
        require(vow_executor_revive(pool) == 0);
        require_works(serial);
        require_ends(serial);
        require(vow_executor_revive(plain) == 0);
        require_works(plain);
        require_ends(plain);
        require(vow_executor_revive(vow_manual_executor(m)) == 0);
        vow_unref(g);
        g = vow_submit(vow_manual_executor(m), give_seven, VOW_NIL);
        require(vow_manual_run(m) == 1);
        require(vow_get(g).value.as.i64 == 7);
        vow_manual_unref(m);
        require_ends(pool);
        leave(0);
    }
    assert_child_was_fine(pid);
    assert_int_equal(vow_manual_run(m), 2);
    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    vow_unref(g);
    vow_manual_unref(m);
    vow_executor_unref(serial);
    vow_executor_unref(plain);
    pool_free(pool);
}

static void
run_nothing(vow_task *task, int why)
{
    (void)task;
    (void)why;
}

VOW_CASE(timers_of_a_manual_executor_are_disarmed_in_the_child)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    vow_timer a = {.task.run = run_nothing, .when = 5};
    vow_timer b = {.task.run = run_nothing, .when = 500000};
    pid_t pid;

    assert_int_equal(on->ops->arm(on, &a), 0);
    assert_int_equal(on->ops->arm(on, &b), 0);
    if (in_child(&pid)) {
        require(vow_executor_revive(on) == 0);
        require(on->ops->disarm(on, &b) == VOW_REMOVED);
        require(on->ops->disarm(on, &b) == VOW_RAN);
        require(on->ops->arm(on, &a) == 0);
        require(vow_manual_advance(m, 1000000) == 1);
        leave(0);
    }
    assert_child_was_fine(pid);
    assert_int_equal(vow_manual_advance(m, 1000000), 2);
    vow_manual_unref(m);
}

/* In the grandchild, which does not revive it. What the child armed is of another life. */
static void
require_disarmed_clean(vow_executor *on, vow_timer *timer)
{
    static const vow_timer fresh;

    require(on->ops->disarm(on, timer) == VOW_REMOVED);
    require(memcmp(timer->task.reserved, fresh.task.reserved,
                   sizeof timer->task.reserved) == 0);
}

VOW_CASE(timer_that_a_child_armed_is_a_task_again_in_the_grandchild)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    vow_timer a = {.task.run = run_nothing, .when = 5};
    pid_t pid, next;

    if (in_child(&pid)) {
        require(vow_executor_revive(on) == 0);
        require(on->ops->arm(on, &a) == 0);
        next = fork_counted();
        if (next == 0) {
            alarm(PATIENCE);
            require_disarmed_clean(on, &a);
            leave(0);
        }
        assert_child_was_fine(next);
        leave(0);
    }
    assert_child_was_fine(pid);
    vow_manual_unref(m);
}

VOW_CASE(revive_without_memory_leaves_it_as_it_was)
{
    vow_executor *pool = pool_new(1);
    pid_t pid;

    if (in_child(&pid)) {
        for (size_t k = 1;; k++) {
            int rc;

            counting_fail_at(k, COUNTING_ONWARDS);
            rc = vow_executor_revive(pool);
            counting_fail_at(0, COUNTING_ONCE);
            if (rc == 0)
                break;
            require(rc == VOW_E_NOMEM || rc == ENOMEM);
            require_left_behind(pool);
        }
        require_works(pool);
        require_ends(pool);
        leave(0);
    }
    assert_child_was_fine(pid);
    pool_free(pool);
}

/* ---- executors of users ------------------------------------------------------------------------------ */

static int
post_away(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    return 0;
}

static const vow_executor_ops own_ops = {
    .size = offsetof(vow_executor_ops, cannot_wait), .name = "own", .post = post_away};

static const vow_executor_ops whole_ops = {
    .size = sizeof(vow_executor_ops), .name = "whole", .post = post_away};

VOW_CASE(executor_of_a_user_is_left_behind_and_a_static_one_is_not)
{
    static vow_executor fixed = {&own_ops, NULL};
    vow_executor own, whole;
    vow_executor *late;
    pid_t pid;

    assert_int_equal(vow_executor_init(&own, &own_ops), 0);
    assert_int_equal(vow_executor_init(&whole, &whole_ops), 0);
    late = vow_serial_new(&fixed);
    if (in_child(&pid)) {
        vow_task task = {.run = run_nothing};

        require_left_behind(&own);
        require(vow_executor_revive(&own) == VOW_E_INVALID);
        require(vow_executor_revive(&whole) == VOW_E_INVALID);
        require(vow_post_task(&fixed, &task) == 0);
        require(vow_executor_revive(&fixed) == VOW_E_INVALID);
        require(vow_executor_revive(vow_inline()) == VOW_E_INVALID);
        require(vow_executor_revive(NULL) == VOW_E_INVALID);
        require(vow_executor_revive(late) == 0);
        leave(0);
    }
    assert_child_was_fine(pid);
    vow_executor_unref(&own);
    vow_executor_unref(&whole);
    vow_executor_unref(late);
}

static vow_task *kept;

static int
post_and_keep(vow_executor *self, vow_task *task)
{
    (void)self;
    kept = task;
    return 0;
}

static const vow_executor_ops keeping_ops = {
    .size = sizeof(vow_executor_ops), .name = "keeping", .post = post_and_keep};

VOW_CASE(serial_whose_runner_is_queued_on_a_static_executor_waits_for_it)
{
    static vow_executor fixed = {&keeping_ops, NULL};
    vow_executor *serial = vow_serial_new(&fixed);
    vow_future *f = vow_submit(serial, give_seven, VOW_NIL);
    pid_t pid;

    if (in_child(&pid)) {
        require(vow_executor_revive(serial) == VOW_E_INVALID);
        kept->run(kept, 0);
        require(code_of(f) == VOW_E_FORKED);
        require(vow_executor_revive(serial) == 0);
        vow_unref(f);
        f = vow_submit(serial, give_seven, VOW_NIL);
        kept->run(kept, 0);
        require(code_of(f) == 0);
        leave(0);
    }
    assert_child_was_fine(pid);
    kept->run(kept, 0);
    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    vow_executor_unref(serial);
}

/* ---- a task that forks --------------------------------------------------------------------------------- */

struct forker {
    vow_executor *on;
    vow_executor *pool;
    bool revives, exits, execs;
    pid_t pid;
};

/* In the child. */
static void
go_on(struct forker *f)
{
    require(vow_executor_current() == NULL);
    if (f->execs) {
        execl("/bin/true", "true", (char *)NULL);
        leave(1);
    }
    require(code_in_child(vow_submit(f->on, give_seven, VOW_NIL)) == VOW_E_FORKED);
    if (f->revives) {
        require(vow_executor_revive(f->pool) == 0);
        require(vow_executor_revive(f->on) == 0);
        require_works(f->on);
    }
    if (f->exits)
        leave(0);
    if (f->revives && f->on != f->pool)
        require_ends(f->on);
    if (f->revives) /* else its threads would keep the process, when this one has ended */
        require_ends(f->pool);
}

static vow_result
fork_inside(void *ctx)
{
    struct forker *f = ctx;

    f->pid = fork_counted();
    if (f->pid == 0)
        go_on(f);
    return vow_ok(VOW_NIL);
}

static void
assert_task_may_fork(struct forker *f)
{
    vow_future *done = vow_submit(f->on, fork_inside, vow_ptr(f));

    assert_int_equal(code_of(done), 0);
    vow_unref(done);
    assert_child_was_fine(f->pid);
}

VOW_CASE(task_of_a_pool_that_forks_goes_on_in_the_child)
{
    vow_executor *pool = pool_new(2);
    vow_executor *serial = vow_serial_new(pool);

    for (int i = 0; i < 8; i++) {
        struct forker f = {.on = i & 1 ? serial : pool,
                           .pool = pool,
                           .revives = (i & 2) != 0,
                           .exits = UNDER_TSAN || (i & 4) != 0};

        assert_task_may_fork(&f);
    }
    vow_executor_unref(serial);
    pool_free(pool);
}

VOW_CASE(fork_and_exec_need_nothing)
{
    vow_executor *pool = pool_new(1);
    struct forker f = {.on = pool, .execs = true};

    assert_task_may_fork(&f);
    pool_free(pool);
}

/* The worker that forks waits for the task that does: it runs it itself. */
static vow_result
wait_for_fork(void *ctx)
{
    struct forker *f = ctx;
    vow_future *done = vow_submit(f->on, fork_inside, vow_ptr(f));
    int code = code_of(done);

    vow_unref(done);
    return vow_ok(vow_i64(code));
}

VOW_CASE(task_that_forks_inside_the_wait_of_another_ends_in_the_child)
{
    vow_executor *pool = pool_new(1);
    struct forker f = {.on = pool, .pool = pool, .exits = UNDER_TSAN};
    vow_future *outer = vow_submit(pool, wait_for_fork, vow_ptr(&f));

    assert_int_equal(vow_get(outer).value.as.i64, 0);
    vow_unref(outer);
    assert_child_was_fine(f.pid);
    pool_free(pool);
}

/* ---- a waiter that helps since it is alone, and what it runs forks --------------------------- */

/* An executor of a user's with one thread, that which waits, and no other to be had. */
struct lone {
    vow_executor executor;
    vow_task *queue[4];
    size_t queued;
    int begins, ends; /* of waits */
    int answer;       /* to a wait in which it forks */
    pid_t pid;
};

static struct lone *
lone_of(vow_executor *self)
{
    return (struct lone *)(void *)self;
}

static int
lone_post(vow_executor *self, vow_task *task)
{
    struct lone *l = lone_of(self);

    assert_true(l->queued < 4);
    l->queue[l->queued++] = task;
    return 0;
}

static bool
lone_help(vow_executor *self, vow_task *awaited)
{
    struct lone *l = lone_of(self);

    for (size_t i = 0; i < l->queued; i++) {
        if (l->queue[i] == awaited) {
            l->queue[i] = l->queue[--l->queued];
            awaited->run(awaited, 0);
            return true;
        }
    }
    return false;
}

static int
lone_begin(vow_executor *self)
{
    lone_of(self)->begins++;
    return VOW_E_LIMIT;
}

static void
lone_end(vow_executor *self)
{
    lone_of(self)->ends++;
}

static int
lone_revive(vow_executor *self)
{
    lone_of(self)->queued = 0;
    return 0;
}

static const vow_executor_ops lone_ops = {.size = sizeof(vow_executor_ops),
                                          .name = "lone",
                                          .post = lone_post,
                                          .help = lone_help,
                                          .block_begin = lone_begin,
                                          .block_end = lone_end,
                                          .revive = lone_revive};

/* A task of it that forks in its second turn, and then is what `next` is. */
struct turns {
    struct lone lone;
    vow_promise *promise; /* of next; NULL: that is queued here */
    vow_future *next;
    vow_manual *inside; /* it forks in a task of that; NULL: itself */
    bool revives;       /* in the child */
    int taken;
    pid_t pid;
};

static void *
fulfill_promise(void *promise)
{
    vow_promise_fulfill(promise, vow_i64(7));
    return NULL;
}

static void
fork_now(void *ctx)
{
    struct turns *t = ctx;
    pthread_t thread;

    if (in_child(&t->pid) && t->revives) {
        require(vow_executor_revive(&t->lone.executor) == 0);
        require(pthread_create(&thread, NULL, fulfill_promise, t->promise) == 0);
    } else if (t->promise != NULL) {
        fulfill_promise(t->promise);
    }
}

static vow_result
fork_in_second_turn(void *ctx)
{
    struct turns *t = ctx;

    if (t->taken++ == 0)
        return vow_yield_task();
    if (t->inside != NULL) {
        assert_int_equal(vow_post(vow_manual_executor(t->inside), fork_now, vow_ptr(t)),
                         0);
        vow_manual_run(t->inside);
    } else {
        fork_now(t);
    }
    return vow_follow(vow_ref(t->next));
}

/* Returns the code of that task; in the child, which ends, it is to be another one. */
static void
assert_waiter_survives_fork(struct turns *t, int code_there)
{
    vow_executor *on = &t->lone.executor;
    vow_executor *before;
    vow_future *f;

    assert_int_equal(vow_executor_init(on, &lone_ops), 0);
    t->next = t->promise != NULL ? vow_promise_future(t->promise)
                                 : vow_submit(on, give_seven, VOW_NIL);
    f = vow_submit(on, fork_in_second_turn, vow_ptr(t));
    before = vow_executor_enter(on);
    if (code_of(f) != 0 || t->pid == 0) {
        require(t->pid == 0 && code_of(f) == code_there);
        require(t->lone.begins == 1 && t->lone.ends == 1);
        leave(0);
    }
    vow_executor_enter(before);
    assert_int_equal(vow_get(f).value.as.i64, 7);
    assert_int_equal(t->lone.begins, t->lone.ends);
    assert_child_was_fine(t->pid);
    vow_unref(f);
    vow_unref(t->next);
    vow_executor_unref(on);
}

VOW_CASE(waiter_that_helps_alone_does_not_sleep_for_what_the_parent_has)
{
    struct turns t = {.pid = -1};

    assert_waiter_survives_fork(&t, VOW_E_FORKED);
}

VOW_CASE(waiter_that_helps_alone_waits_on_no_executor_in_the_child)
{
    struct turns t = {.pid = -1, .promise = vow_promise_new(), .revives = true};

    assert_waiter_survives_fork(&t, 0);
    vow_promise_unref(t.promise);
}

VOW_CASE(waiter_whose_help_forks_further_in_asks_for_no_more_help)
{
    struct turns t = {.pid = -1, .inside = vow_manual_new()};

    assert_waiter_survives_fork(&t, VOW_E_FORKED);
    vow_manual_unref(t.inside);
}

/* What it says to the wait in which it forks. */
static int
fork_at_begin(vow_executor *self)
{
    struct lone *l = lone_of(self);

    (void)in_child(&l->pid);
    return l->answer;
}

static const vow_executor_ops forking_ops = {.size = sizeof(vow_executor_ops),
                                             .name = "lone",
                                             .post = lone_post,
                                             .block_begin = fork_at_begin};

static void
count_wait(const struct vowi_wait *w, void *n)
{
    (void)w;
    ++*(int *)n;
}

/* Both are told, and each of what is so there. */
VOW_CASE(waiter_whose_executor_forks_as_it_is_told_waits_for_nothing_in_the_child)
{
    struct vowi_wait other = {.thread = vowi_self()};
    int waits = 0;

    vowi_wait_list(&other);
    for (int i = 0; i < 2; i++) {
        struct lone l = {.answer = i == 0 ? VOW_E_LIMIT : VOW_E_DEADLOCK};
        vow_executor *before;
        vow_future *f;
        int code;

        assert_int_equal(vow_executor_init(&l.executor, &forking_ops), 0);
        f = vow_submit(&l.executor, give_seven, VOW_NIL);
        before = vow_executor_enter(&l.executor);
        code = code_of(f);
        if (l.pid == 0) {
            require(code == VOW_E_FORKED);
            vowi_waits_each(NULL, count_wait, &waits);
            require(waits == 0);
            leave(0);
        }
        assert_int_equal(code, VOW_E_DEADLOCK);
        l.queue[0]->run(l.queue[0], 0);
        vow_executor_enter(before);
        vow_unref(f);
        assert_child_was_fine(l.pid);
        vow_executor_unref(&l.executor);
    }
    vowi_waits_each(NULL, count_wait, &waits);
    assert_int_equal(waits, 1);
    vowi_wait_end(&other);
}

static vow_result
fork_and_exit_thread(void *ctx)
{
    pid_t *pid = ctx;

    *pid = fork_counted();
    if (*pid == 0 && UNDER_TSAN)
        leave(0);
    if (*pid == 0)
        pthread_exit(NULL);
    return vow_ok(VOW_NIL);
}

VOW_CASE(task_that_forks_may_end_its_thread_in_the_child)
{
    vow_executor *pool = pool_new(1);
    vow_executor *serial = vow_serial_new(pool);

    for (int i = 0; i < 2; i++) {
        pid_t pid = 0;
        vow_future *f =
            vow_submit(i == 0 ? pool : serial, fork_and_exit_thread, vow_ptr(&pid));

        assert_int_equal(code_of(f), 0);
        vow_unref(f);
        assert_child_was_fine(pid);
    }
    vow_executor_unref(serial);
    pool_free(pool);
}

/* ---- a worker that fires a timer, whose post forks ----------------------------------------- */

/* Two timers of executors that fork does not touch, due one after the other. */
static struct {
    vow_timer timers[2];
    pthread_t worker, poster;
    atomic_int posts;
    pid_t pid;
} due;

/* In the child, as its only thread ends. */
static void
require_no_more_was_fired(void)
{
    require(atomic_load(&due.posts) == 1);
    require(vow_timer_disarm(&due.timers[1]) == VOW_REMOVED);
    leave(0);
}

static int
post_and_fork(vow_executor *self, vow_task *task)
{
    int n = atomic_fetch_add(&due.posts, 1);

    (void)self;
    due.poster = pthread_self();
    if (n == 0 && in_child(&due.pid)) {
        if (UNDER_TSAN)
            require_no_more_was_fired();
        require(task == &due.timers[0].task);
        require(atexit(require_no_more_was_fired) == 0);
    }
    return 0;
}

static const vow_executor_ops fork_posting_ops = {
    .size = sizeof(vow_executor_ops), .name = "forking", .post = post_and_fork};
static vow_executor fork_posting = {&fork_posting_ops, NULL};

static void
arm_two(void *unused)
{
    (void)unused;
    due.worker = pthread_self();
    for (int i = 0; i < 2; i++) {
        due.timers[i] = (vow_timer){.task.run = run_nothing};
        assert_int_equal(vow_timer_arm(&fork_posting, &due.timers[i], vow_now()), 0);
    }
}

/* The timer thread is held, so that a worker fires. */
VOW_CASE(worker_that_fires_a_timer_whose_post_forks_fires_no_more_in_the_child)
{
    vow_timer first = {.task.run = run_nothing};
    vow_executor *pool;

    hold_timer_thread(&first);
    pool = pool_new(1);
    assert_int_equal(vow_post(pool, arm_two, VOW_NIL), 0);
    await_flag(&due.posts, 2);
    assert_child_was_fine(due.pid);
    require_works(pool);
    pool_free(pool);
    let_timer_thread_go();
    vowi_timer_thread_stop(); /* it has left them */
    assert_true(pthread_equal(due.poster, due.worker));
    first.task.run(&first.task, 0);
    for (int i = 0; i < 2; i++)
        due.timers[i].task.run(&due.timers[i].task, 0);
}

/* ---- a callback that forks while another thread waits for it to return ------------------ */

struct remover {
    vow_registration *r;
    atomic_int runs, waits;
    pid_t pid;
};

static void
fork_when_waited_for(void *ctx)
{
    const struct timespec a_while = {.tv_nsec = 20000000};
    struct remover *w = ctx;

    atomic_store(&w->runs, 1);
    await_flag(&w->waits, 1);
    nanosleep(&a_while, NULL); /* it is about to sleep */
    w->pid = fork_counted();
}

static void *
remove_and_wait(void *ctx)
{
    struct remover *w = ctx;

    await_flag(&w->runs, 1);
    atomic_store(&w->waits, 1);
    assert_int_equal(vow_registration_remove_wait(w->r), VOW_RAN);
    return NULL;
}

VOW_CASE(callback_that_forks_wakes_nobody_in_the_child)
{
    struct remover w = {.pid = -1};
    vow_source *s = vow_source_new();
    vow_token *t = vow_source_token(s);
    pthread_t thread;

    w.r = vow_token_on_cancel(t, NULL, fork_when_waited_for, vow_ptr(&w));
    assert_int_equal(pthread_create(&thread, NULL, remove_and_wait, &w), 0);
    vow_source_cancel(s, NULL);
    if (w.pid == 0)
        leave(0);
    pthread_join(thread, NULL);
    assert_child_was_fine(w.pid);
    vow_token_unref(t);
    vow_source_unref(s);
}

/* ---- a step that forks, while another one waits for the same signal ----------------------- */

static vow_result
fork_in_step(vow_value number, void *pid)
{
    (void)number;
    *(pid_t *)pid = fork_counted();
    return vow_ok(VOW_NIL);
}

VOW_CASE(step_that_forks_settles_no_other_who_waits_for_the_signal_in_the_child)
{
    vow_loop *l = vow_loop_new(NULL);
    pid_t pid = -1;
    vow_future *f =
        vow_then(vow_loop_signal(l, SIGUSR1), NULL, fork_in_step, vow_ptr(&pid));
    vow_future *second = vow_loop_signal(l, SIGUSR1);
    int rc;

    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    rc = vow_loop_run_once(l, 0);
    if (pid == 0) {
        require(vow_future_status(second) == VOW_PENDING);
        vow_future_cancel(second, NULL);
        require(code_in_child(second) == VOW_E_CANCELLED);
        leave(0);
    }
    assert_int_equal(rc, 0);
    assert_child_was_fine(pid);
    assert_int_equal(code_of(second), 0);
    vow_unref(f);
    vow_unref(second);
    vow_loop_unref(l);
}

/* A task that follows what is nobody's is not lost with its executor. */
static vow_result
follow_ctx(void *f)
{
    return vow_follow(vow_ref(f));
}

VOW_CASE(task_that_follows_a_promise_is_not_lost_in_the_child)
{
    vow_manual *m = vow_manual_new();
    vow_promise *p = vow_promise_new();
    vow_future *answer = vow_promise_future(p);
    vow_future *f = vow_submit(vow_manual_executor(m), follow_ctx, vow_ptr(answer));
    pid_t pid;

    vow_manual_run(m);
    if (in_child(&pid)) {
        require(!vow_wait(f, 0));
        vow_promise_fulfill(p, vow_i64(4));
        require(vow_wait(f, 0));
        require(vow_get(f).value.as.i64 == 4);
        leave(0);
    }
    assert_child_was_fine(pid);
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
    vow_unref(answer);
    vow_unref(f);
    vow_manual_unref(m);
}

VOW_CASE(task_of_a_manual_executor_that_forks_goes_on_in_the_child)
{
    vow_manual *m = vow_manual_new();
    struct forker f = {.on = vow_manual_executor(m)};
    vow_future *done = vow_submit(f.on, fork_inside, vow_ptr(&f));

    vow_manual_run(m);
    if (f.pid == 0) {
        require(code_of(done) == 0);
        require(vow_executor_revive(f.on) == 0);
        vow_unref(done);
        vow_manual_unref(m);
        leave(0);
    }
    assert_child_was_fine(f.pid);
    vow_unref(done);
    vow_manual_unref(m);
}

static vow_result
run_manual(void *m)
{
    return vow_ok(vow_u64(vow_manual_run(m)));
}

/* One inside the other: each is left when its own task has returned. */
VOW_CASE(task_that_forks_inside_two_manual_executors_goes_on_in_the_child)
{
    vow_manual *outer = vow_manual_new(), *inner = vow_manual_new();
    struct forker f = {.on = vow_manual_executor(inner)};
    vow_future *done = vow_submit(f.on, fork_inside, vow_ptr(&f));
    vow_future *run = vow_submit(vow_manual_executor(outer), run_manual, vow_ptr(inner));

    assert_int_equal(vow_manual_run(outer), 1);
    if (f.pid == 0) {
        require(code_of(done) == 0);
        require(vow_get(run).value.as.u64 == 1);
        require_left_behind(vow_manual_executor(outer));
        require(vow_executor_revive(f.on) == 0);
        require(vow_executor_revive(vow_manual_executor(outer)) == 0);
        vow_unref(done);
        vow_unref(run);
        vow_manual_unref(inner);
        vow_manual_unref(outer);
        leave(0);
    }
    assert_child_was_fine(f.pid);
    assert_int_equal(vow_get(run).value.as.u64, 1);
    vow_unref(done);
    vow_unref(run);
    vow_manual_unref(inner);
    vow_manual_unref(outer);
}

/* The first of all cases: nothing has been made that core would have to see to. */
VOW_CASE(fork_without_executors_keeps_what_there_is)
{
    vow_channel *c = vow_channel_new(1);
    vow_value v;
    pid_t pid;

    assert_int_equal(vow_channel_try_send(c, vow_i64(7)), 0);
    if (in_child(&pid)) {
        require(vow_channel_try_receive(c, &v) == 0);
        require(v.as.i64 == 7);
        vow_channel_unref(c);
        leave(0);
    }
    assert_child_was_fine(pid);
    vow_channel_unref(c);
}

/* ---- objects that are shared ------------------------------------------------------------- */

/* One of each sort that lives long. */
struct kin {
    vow_channel *channel;
    vow_breaker *breaker;
    vow_bulkhead *bulkhead;
    vow_rate_limit *rate;
    vow_cache *cache;
    vow_chaos *chaos;
    vow_latency *latency;
    vow_budget *budget;
    vow_pace *pace;
    atomic_int begun;
    atomic_bool over;
};

static void
kin_begin(struct kin *k)
{
    k->channel = vow_channel_new(1);
    k->breaker = vow_breaker_new(NULL);
    k->bulkhead = vow_bulkhead_new(NULL);
    k->rate = vow_rate_limit_new(&VOW_RATE_LIMIT_OPTIONS(.calls = 1000000000));
    k->cache = vow_cache_new(NULL);
    k->chaos = vow_chaos_new(NULL);
    k->latency = vow_latency_new();
    k->budget = vow_budget_new(NULL);
    k->pace = vow_throttle_new(NULL);
    assert_true(k->channel != NULL && k->breaker != NULL && k->bulkhead != NULL &&
                k->rate != NULL && k->cache != NULL && k->chaos != NULL &&
                k->latency != NULL && k->budget != NULL && k->pace != NULL);
}

static void
kin_end(struct kin *k)
{
    vow_channel_unref(k->channel);
    vow_breaker_unref(k->breaker);
    vow_bulkhead_unref(k->bulkhead);
    vow_rate_limit_unref(k->rate);
    vow_cache_unref(k->cache);
    vow_chaos_unref(k->chaos);
    vow_latency_unref(k->latency);
    vow_budget_unref(k->budget);
    vow_pace_unref(k->pace);
}

/* Takes each of their locks. Returns whether all answered as they should. */
static bool
kin_use(struct kin *k)
{
    vow_permit permit;
    vow_value v;
    vow_future *f = vow_cache_get(k->cache, "key", 3, NULL, give_seven, VOW_NIL);
    vow_future *g = vow_chaos_call(k->chaos, NULL, give_seven, VOW_NIL);
    bool right = vow_get(f).value.as.i64 == 7 && vow_get(g).value.as.i64 == 7;
    bool sent = vow_channel_try_send(k->channel, vow_i64(1)) == 0;

    vow_unref(f);
    vow_unref(g);
    right = (!sent || vow_channel_try_receive(k->channel, &v) == 0) && right;
    right = vow_breaker_acquire(k->breaker, &permit) == 0 && right;
    vow_breaker_report(k->breaker, &permit, VOW_OUTCOME_SUCCESS);
    right = vow_bulkhead_enter(k->bulkhead) == 0 && right;
    vow_bulkhead_leave(k->bulkhead);
    right = vow_rate_limit_reserve(k->rate, 0, NULL) == 0 && right;
    vow_latency_add(k->latency, 1);
    vow_budget_deposit(k->budget);
    (void)vow_pace_flush(k->pace);
    return right;
}

static void *
use_all_the_time(void *ctx)
{
    struct kin *k = ctx;

    while (!atomic_load(&k->over)) {
        (void)kin_use(k);
        atomic_store(&k->begun, 1);
    }
    return NULL;
}

/* Sanitizers' allocators have locks that fork leaves taken: there, nothing is to be seen. */
VOW_CASE(objects_are_used_on_in_the_child_whatever_others_were_about)
{
    struct kin k = {.begun = 0};
    pthread_t thread;
    pid_t pid;

    if (!VOW_BLOCK_CACHE)
        return;
    kin_begin(&k);
    assert_int_equal(pthread_create(&thread, NULL, use_all_the_time, &k), 0);
    await_flag(&k.begun, 1);
    for (int i = 0; i < FORKS; i++) {
        if (in_child(&pid)) {
            for (int n = 0; n < 20; n++)
                require(kin_use(&k));
            kin_end(&k);
            leave(0);
        }
        assert_child_was_fine(pid);
    }
    atomic_store(&k.over, true);
    pthread_join(thread, NULL);
    assert_true(kin_use(&k));
    kin_end(&k);
}

/* A thread that has a lock when a fork begins, and gives it up a while after that. */
static struct {
    struct vowi_lock *lock;
    atomic_int held, forking;
} holder;

/* Before the library's: what is registered last comes first. */
static void
fork_begins(void)
{
    atomic_store(&holder.forking, 1);
}

static void *
hold_lock(void *unused)
{
    const struct timespec a_while = {.tv_nsec = 20000000};

    vowi_lock_acquire(holder.lock);
    atomic_store(&holder.held, 1);
    await_flag(&holder.forking, 1);
    nanosleep(&a_while, NULL); /* else the fork might come too late to meet it */
    vowi_lock_release(holder.lock);
    return unused;
}

static void
assert_fork_waits_for(struct vowi_lock *lock, struct kin *k)
{
    pthread_t thread;
    pid_t pid;

    holder.lock = lock;
    atomic_store(&holder.held, 0);
    assert_int_equal(pthread_create(&thread, NULL, hold_lock, NULL), 0);
    await_flag(&holder.held, 1);
    atomic_store(&holder.forking, 0);
    if (in_child(&pid)) {
        require(kin_use(k));
        kin_end(k);
        leave(0);
    }
    pthread_join(thread, NULL);
    assert_child_was_fine(pid);
}

VOW_CASE(fork_waits_for_whoever_is_about_an_object)
{
    struct kin k = {.begun = 0};

    kin_begin(&k);
    assert_int_equal(pthread_atfork(fork_begins, NULL, NULL), 0);
    assert_fork_waits_for(&k.channel->in.lock, &k);
    assert_fork_waits_for(&k.channel->out.lock, &k);
    kin_end(&k);
}

/* ---- in the middle of everything ------------------------------------------------------------------------ */

enum { BUSY = 3 };

struct busy {
    vow_executor *pool, *serial;
    atomic_bool over;
    atomic_int under_way;
    pthread_t threads[BUSY];
};

static void
sleep_or_not(vow_executor *on)
{
    vow_future *f = vow_submit(on, give_seven, VOW_NIL);

    (void)vow_wait(f, vow_us(20));
    vow_future_cancel(f, NULL);
    vow_unref(f);
}

/* A task in storage of its own, posted again and again. */
struct trip {
    vow_task task;
    atomic_int arrived;
};

static void
arrive(vow_task *task, int why)
{
    assert_int_equal(why, 0);
    atomic_store(&((struct trip *)(void *)task)->arrived, 1);
}

static void
travel(vow_executor *on, struct trip *t)
{
    atomic_store(&t->arrived, 0);
    assert_int_equal(vow_post_task(on, &t->task), 0);
    await_flag(&t->arrived, 1);
}

/* Sanitizers' allocators have locks that fork leaves taken: there, nothing but posts. A
 * thread that begins allocates as well, before it comes here: nobody forks until all have. */
static void *
keep_busy(void *ctx)
{
    struct busy *b = ctx;
    struct trip there = {.task.run = arrive}, back = {.task.run = arrive};

    atomic_fetch_add(&b->under_way, 1);
    while (!atomic_load(&b->over)) {
        for (int i = 0; i < 20; i++) {
            travel(b->pool, &there);
            travel(b->serial, &back);
        }
        if (!VOW_BLOCK_CACHE)
            continue;
        sleep_or_not(b->pool);
        sleep_or_not(b->serial);
        vow_executor_unref(vow_serial_new(b->pool));
    }
    return NULL;
}

VOW_CASE(fork_in_the_middle_of_contended_posts)
{
    struct busy b = {.pool = pool_new(2)};
    pid_t pid;

    b.serial = vow_serial_new(b.pool);
    for (int i = 0; i < BUSY; i++)
        assert_int_equal(pthread_create(&b.threads[i], NULL, keep_busy, &b), 0);
    await_flag(&b.under_way, BUSY);
    for (int i = 0; i < FORKS; i++) {
        if (in_child(&pid)) {
            require(vow_executor_revive(b.pool) == 0);
            require(vow_executor_revive(b.serial) == 0);
            require_works(b.pool);
            require_works(b.serial);
            require_ends(b.serial);
            require_ends(b.pool);
            leave(0);
        }
        assert_child_was_fine(pid);
    }
    atomic_store(&b.over, true);
    for (int i = 0; i < BUSY; i++)
        pthread_join(b.threads[i], NULL);
    vow_unref(vow_executor_close(b.serial, VOW_DRAIN));
    assert_int_equal(vow_executor_join(b.serial), 0);
    vow_executor_unref(b.serial);
    pool_free(b.pool);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(fork_without_executors_keeps_what_there_is),
        vow_test(child_is_told_that_a_pool_was_left_behind),
        vow_test(wait_for_what_was_queued_or_running_is_refused),
        vow_test(wait_for_several_that_are_lost_is_refused),
        vow_test(wait_for_several_of_which_one_is_lost_ends_with_the_others),
        vow_test(wait_for_very_many_that_are_lost_goes_on),
        vow_test(wait_for_the_end_of_what_was_left_behind_is_refused),
        vow_test(promises_work_in_the_child_as_ever),
        vow_test(child_takes_the_sleepers_of_the_parent_off_a_future),
        vow_test(lock_bit_that_was_left_behind_is_taken_over),
        vow_test(spin_lock_that_was_left_behind_is_taken_over),
        vow_test(pool_that_is_revived_works_and_ends),
        vow_test(grandchild_revives_what_the_child_did_or_did_not),
        vow_test(loop_in_the_child_says_so),
        vow_test(loop_that_is_revived_works_and_ends),
        vow_test(loop_of_the_parent_goes_on_whatever_the_child_does),
        vow_test(loop_without_descriptors_is_not_revived_until_there_are_some),
        vow_test(loop_that_another_thread_runs_or_has_locked_is_revived),
        vow_test(callback_of_a_loop_that_forks_ends_its_run_or_goes_on),
        vow_test(serial_and_manual_are_revived_as_well),
        vow_test(timers_of_a_manual_executor_are_disarmed_in_the_child),
        vow_test(timer_that_a_child_armed_is_a_task_again_in_the_grandchild),
        vow_test(revive_without_memory_leaves_it_as_it_was),
        vow_test(executor_of_a_user_is_left_behind_and_a_static_one_is_not),
        vow_test(serial_whose_runner_is_queued_on_a_static_executor_waits_for_it),
        vow_test(task_of_a_pool_that_forks_goes_on_in_the_child),
        vow_test(fork_and_exec_need_nothing),
        vow_test(task_that_forks_inside_the_wait_of_another_ends_in_the_child),
        vow_test(waiter_that_helps_alone_does_not_sleep_for_what_the_parent_has),
        vow_test(waiter_that_helps_alone_waits_on_no_executor_in_the_child),
        vow_test(waiter_whose_help_forks_further_in_asks_for_no_more_help),
        vow_test(
            waiter_whose_executor_forks_as_it_is_told_waits_for_nothing_in_the_child),
        vow_test(task_that_forks_may_end_its_thread_in_the_child),
        vow_test(worker_that_fires_a_timer_whose_post_forks_fires_no_more_in_the_child),
        vow_test(callback_that_forks_wakes_nobody_in_the_child),
        vow_test(step_that_forks_settles_no_other_who_waits_for_the_signal_in_the_child),
        vow_test(task_that_follows_a_promise_is_not_lost_in_the_child),
        vow_test(task_of_a_manual_executor_that_forks_goes_on_in_the_child),
        vow_test(task_that_forks_inside_two_manual_executors_goes_on_in_the_child),
        vow_test(objects_are_used_on_in_the_child_whatever_others_were_about),
        vow_test(fork_waits_for_whoever_is_about_an_object),
        vow_test(fork_in_the_middle_of_contended_posts),
    };

    parent = getpid();
    return vow_test_run(cases);
}
