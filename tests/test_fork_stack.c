/* SPDX-License-Identifier: MIT */
/*
 * What lies on the stack of a thread in the moment in which another one forks, or on the
 * stack of the one that does: in the child the first is used again, and the other goes on.
 */
#include "support/vow_test.h"

#include <vow/delayed.h>
#include <vow/manual.h>

#include "core/arrive.h"
#include "queue/wheel.h"
#include "support/child.h"
#include "support/drops.h"
#include "support/pool_fixture.h"

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

/* ---- a notice ----------------------------------------------------------------------------- */

/* A thread that runs a loop until one future has settled, and inside that another. */
struct runner {
    vow_loop *loop;
    vow_future *outer, *inner;
};

static void
run_until_inner(void *ctx)
{
    struct runner *r = ctx;

    assert_int_equal(vow_loop_run_until(r->loop, r->inner), 0);
}

static void *
run_until_both(void *ctx)
{
    struct runner *r = ctx;

    assert_int_equal(vow_loop_run_until(r->loop, r->outer), 0);
    return NULL;
}

VOW_CASE(child_takes_the_notices_of_the_parent_off_their_futures)
{
    vow_promise *p = vow_promise_new(), *q = vow_promise_new();
    struct runner r = {.loop = vow_loop_new(NULL),
                       .outer = vow_promise_future(p),
                       .inner = vow_promise_future(q)};
    vow_future *step = vow_then(vow_ref(r.inner), NULL, add_one, VOW_NIL);
    pthread_t thread;
    pid_t pid;

    assert_int_equal(vow_post(vow_loop_executor(r.loop), run_until_inner, vow_ptr(&r)),
                     0);
    assert_int_equal(pthread_create(&thread, NULL, run_until_both, &r), 0);
    await_nodes(r.outer, 1);
    await_nodes(r.inner, 2);
    if (in_child(&pid)) {
        require(nodes_on(r.outer) == 0);
        require(nodes_on(r.inner) == 1); /* the step */
        dirty_all_stacks();
        vow_promise_fulfill(p, vow_i64(1));
        vow_promise_fulfill(q, vow_i64(1));
        require(vow_get(step).value.as.i64 == 2);
        leave(0);
    }
    assert_child_was_fine(pid);
    vow_promise_fulfill(q, vow_i64(4));
    vow_promise_fulfill(p, vow_i64(4));
    pthread_join(thread, NULL);
    assert_int_equal(vow_get(step).value.as.i64, 5);
    vow_promise_unref(p);
    vow_promise_unref(q);
    vow_unref(r.outer);
    vow_unref(r.inner);
    vow_unref(step);
    vow_loop_unref(r.loop);
}

/* Whoever settles is held up after it has taken the loop's notice, before its call. */
struct held_up {
    vow_notice notice; /* called before the loop's, being older */
    vow_promise *p;
    vow_future *f;
    pthread_t settler;
    atomic_int there, open;
    pid_t pid;
};

static void
hold_up(vow_notice *notice)
{
    struct held_up *h = (struct held_up *)(void *)notice;

    atomic_store(&h->there, 1);
    await_flag(&h->open, 1);
}

static void *
settle(void *ctx)
{
    struct held_up *h = ctx;

    vow_promise_fulfill(h->p, VOW_NIL);
    return NULL;
}

/* A callback of the loop. */
static void
fork_while_it_is_held_up(void *ctx)
{
    struct held_up *h = ctx;

    assert_int_equal(pthread_create(&h->settler, NULL, settle, h), 0);
    await_flag(&h->there, 1);
    if (!in_child(&h->pid))
        atomic_store(&h->open, 1);
}

VOW_CASE(loop_waits_in_the_child_for_no_call_of_a_thread_that_is_no_more)
{
    vow_loop *l = vow_loop_new(NULL);
    struct held_up h = {.notice.settled = hold_up, .p = vow_promise_new()};

    h.f = vow_promise_future(h.p);
    assert_true(vow_notice_attach(h.f, &h.notice));
    assert_int_equal(
        vow_post(vow_loop_executor(l), fork_while_it_is_held_up, vow_ptr(&h)), 0);
    assert_int_equal(vow_loop_run_until(l, h.f), 0);
    if (h.pid == 0)
        leave(0);
    pthread_join(h.settler, NULL);
    assert_child_was_fine(h.pid);
    vow_promise_unref(h.p);
    vow_unref(h.f);
    vow_loop_unref(l);
}

struct forker {
    vow_promise *p;
    pid_t pid;
};

/* A callback of the loop. What it is run for comes only in the parent. */
static void
fork_and_fulfill(void *ctx)
{
    struct forker *f = ctx;

    if (!in_child(&f->pid))
        vow_promise_fulfill(f->p, VOW_NIL);
}

/* The future names the loop, which is the parent's: the child is told. */
VOW_CASE(loop_that_is_run_until_what_was_left_behind_says_so)
{
    vow_loop *l = vow_loop_new(NULL);
    struct forker f = {.p = vow_promise_new()};
    vow_future *step =
        vow_then(vow_promise_future(f.p), vow_loop_executor(l), add_one, VOW_NIL);
    int rc;

    assert_int_equal(vow_post(vow_loop_executor(l), fork_and_fulfill, vow_ptr(&f)), 0);
    rc = vow_loop_run_until(l, step);
    if (f.pid == 0) {
        require(rc == VOW_E_FORKED);
        require(vow_future_status(step) == VOW_PENDING);
        leave(0);
    }
    assert_int_equal(rc, 0);
    assert_child_was_fine(f.pid);
    vow_promise_unref(f.p);
    vow_unref(step);
    vow_loop_unref(l);
}

/* ---- timers -------------------------------------------------------------------------------- */

/* An executor without timers, whose tasks whoever wants runs. */
static vow_clock *clock_of_those;

static int
keep(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    return 0;
}

static vow_clock *
that_clock(vow_executor *self)
{
    (void)self;
    return clock_of_those;
}

static const vow_executor_ops keeping_ops = {.size = sizeof(vow_executor_ops),
                                             .name = "keeping",
                                             .post = keep,
                                             .clock = that_clock};

struct timer {
    vow_timer timer;
    atomic_int entered, open;
    int why;
    bool forks;
    struct timer *meanwhile; /* run elsewhere, before the fork */
    pthread_t thread;
    pid_t pid;
};

static void *
run_its_task(void *ctx)
{
    struct timer *t = ctx;

    t->timer.task.run(&t->timer.task, 0);
    return NULL;
}

static void
begin_elsewhere(struct timer *t)
{
    assert_int_equal(pthread_create(&t->thread, NULL, run_its_task, t), 0);
    await_flag(&t->entered, 1);
}

static void
wait_or_fork(vow_task *task, int why)
{
    struct timer *t = (struct timer *)(void *)task;

    t->why = why;
    atomic_store(&t->entered, 1);
    if (t->meanwhile != NULL)
        begin_elsewhere(t->meanwhile);
    if (t->forks)
        (void)in_child(&t->pid);
    else
        await_flag(&t->open, 1);
}

/* The two are neighbours in the list of what runs; one is on a stack that is no more. */
VOW_CASE(timer_that_forks_as_another_runs_leaves_nothing_of_that_in_the_child)
{
    vow_manual *m = vow_manual_new();
    vow_executor own;
    struct timer other = {.timer.task.run = wait_or_fork};
    struct timer forks = {
        .timer.task.run = wait_or_fork, .forks = true, .meanwhile = &other};

    clock_of_those = vow_manual_clock(m);
    assert_int_equal(vow_executor_init(&own, &keeping_ops), 0);
    assert_int_equal(vow_timer_arm(&own, &other.timer, 5), 0);
    assert_int_equal(vow_timer_arm(&own, &forks.timer, 6), 0);
    assert_int_equal(vow_manual_advance(m, 10), 2); /* posted, and kept */
    run_its_task(&forks);
    if (forks.pid == 0) {
        require(vow_executor_revive(vow_manual_executor(m)) == 0);
        require(vow_timer_disarm(&other.timer) == VOW_RAN);
        require(vow_timer_disarm(&forks.timer) == VOW_RAN);
        leave(0);
    }
    assert_int_equal(vow_timer_disarm(&other.timer), VOW_RUNNING);
    assert_int_equal(vow_timer_disarm(&forks.timer), VOW_RAN);
    atomic_store(&other.open, 1);
    pthread_join(other.thread, NULL);
    assert_child_was_fine(forks.pid);
    vow_executor_unref(&own);
    vow_manual_unref(m);
}

static atomic_int posted;

static int
run_now(vow_executor *self, vow_task *task)
{
    (void)self;
    task->run(task, 0);
    atomic_store(&posted, 1);
    return 0;
}

static const vow_executor_ops running_ops = {
    .size = sizeof(vow_executor_ops), .name = "running", .post = run_now};

static void
run_nothing(vow_task *task, int why)
{
    (void)task;
    (void)why;
}

/* A sanitizer takes locks as a thread begins: the timer thread has when this returns. */
static void
begin_timer_thread(vow_executor *on)
{
    vow_timer now = {.task.run = run_nothing};

    atomic_store(&posted, 0);
    assert_int_equal(vow_timer_arm(on, &now, vow_now()), 0);
    await_flag(&posted, 1);
    while (vow_timer_disarm(&now) != VOW_RAN)
        sched_yield();
}

static void *
close_it(void *on)
{
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    return NULL;
}

static bool
is_listed(const struct timer *t)
{
    return t->timer.task.reserved[0] == VOWI_TIMER_LISTED;
}

static void
arm_late(vow_executor *on, struct timer *t)
{
    t->timer.task.run = wait_or_fork;
    assert_int_equal(vow_timer_arm(on, &t->timer, vow_now() + vow_seconds(1000)), 0);
}

/* They hang on the stack of who closes. */
VOW_CASE(timers_that_a_close_of_the_parent_was_about_to_end_stay_armed_in_the_child)
{
    vow_executor own;
    struct timer a = {.why = -1}, b = {.why = -1}, c = {.why = -1};
    pthread_t thread;
    pid_t pid;

    assert_int_equal(vow_executor_init(&own, &running_ops), 0);
    begin_timer_thread(&own);
    arm_late(&own, &a);
    arm_late(&own, &b);
    arm_late(&own, &c);
    assert_int_equal(pthread_create(&thread, NULL, close_it, &own), 0);
    await_flag(&a.entered, 1);
    if (in_child(&pid)) {
        require(!is_listed(&b) && !is_listed(&c));
        dirty_all_stacks();
        require(vow_timer_disarm(&a.timer) == VOW_RAN); /* nothing runs it here */
        require(vow_timer_disarm(&b.timer) == VOW_REMOVED);
        require(vow_timer_disarm(&c.timer) == VOW_REMOVED);
        require(vow_timer_disarm(&c.timer) == VOW_RAN);
        leave(0);
    }
    assert_child_was_fine(pid);
    assert_true(is_listed(&b) && is_listed(&c));
    atomic_store(&b.open, 1);
    atomic_store(&c.open, 1);
    atomic_store(&a.open, 1);
    pthread_join(thread, NULL);
    assert_int_equal(b.why, VOW_E_CLOSED);
    assert_int_equal(c.why, VOW_E_CLOSED);
    vow_executor_finished(&own);
    vow_executor_unref(&own);
}

VOW_CASE(close_that_forks_ends_no_more_timers_in_the_child)
{
    vow_executor own;
    struct timer a = {.forks = true}, b = {.why = -1, .open = 1};

    assert_int_equal(vow_executor_init(&own, &running_ops), 0);
    begin_timer_thread(&own);
    arm_late(&own, &a);
    arm_late(&own, &b);
    close_it(&own);
    if (a.pid == 0) {
        require(b.why == -1);
        require(vow_timer_disarm(&b.timer) == VOW_REMOVED);
        leave(0);
    }
    assert_child_was_fine(a.pid);
    assert_int_equal(b.why, VOW_E_CLOSED);
    vow_executor_finished(&own);
    vow_executor_unref(&own);
}

/* ---- a close whose task forks -------------------------------------------------------------- */

struct queued {
    vow_task task; /* first */
    pid_t *pid;    /* it forks; NULL: it does not */
    int ran;
};

static void
run_or_fork(vow_task *task, int why)
{
    struct queued *q = (struct queued *)(void *)task;

    q->ran++;
    if (q->pid != NULL && why == VOW_E_CLOSED)
        (void)in_child(q->pid);
}

/* What is left is the parent's. */
static void
check_close_that_forks(vow_executor *on)
{
    pid_t pid = -1;
    struct queued q[3] = {{.pid = &pid}};
    vow_future *closed;

    for (int i = 0; i < 3; i++) {
        q[i].task.run = run_or_fork;
        assert_int_equal(vow_post_task(on, &q[i].task), 0);
    }
    closed = vow_executor_close(on, VOW_CANCEL_QUEUED);
    if (pid == 0) {
        require(q[0].ran == 1 && q[1].ran == 0 && q[2].ran == 0);
        require(vow_executor_revive(on) == VOW_E_CLOSED);
        leave(0);
    }
    assert_child_was_fine(pid);
    for (int i = 0; i < 3; i++)
        assert_int_equal(q[i].ran, 1);
    assert_int_equal(code_of(closed), 0);
    vow_unref(closed);
}

VOW_CASE(close_that_forks_ends_no_more_tasks_in_the_child)
{
    vow_manual *m = vow_manual_new();
    vow_manual *behind = vow_manual_new();
    vow_executor *serial = vow_serial_new(vow_manual_executor(behind));
    vow_loop *loop = vow_loop_new(NULL);

    check_close_that_forks(vow_manual_executor(m));
    check_close_that_forks(serial);
    check_close_that_forks(vow_loop_executor(loop));
    vow_executor_unref(serial);
    vow_manual_unref(behind);
    vow_manual_unref(m);
    vow_loop_unref(loop);
}

VOW_CASE(close_of_a_pool_that_forks_ends_no_more_tasks_in_the_child)
{
    vow_executor *pool = pool_of(1);
    struct gate gate;
    pid_t pid = -1;
    struct queued q[3] = {{.pid = &pid}};

    shut(&gate, pool);
    for (int i = 0; i < 3; i++) {
        q[i].task.run = run_or_fork;
        assert_int_equal(vow_post_task(pool, &q[i].task), 0);
    }
    vow_unref(vow_executor_close(pool, VOW_CANCEL_QUEUED));
    if (pid == 0) {
        require(q[0].ran == 1 && q[1].ran == 0 && q[2].ran == 0);
        leave(0);
    }
    assert_child_was_fine(pid);
    for (int i = 0; i < 3; i++)
        assert_int_equal(q[i].ran, 1);
    open_gate(&gate);
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
}

/* A serial executor's timers are those of what is behind it. */
static void
check_revoke_that_forks(vow_executor *behind)
{
    vow_executor *serial = vow_serial_new(behind);
    struct timer a = {.forks = true}, b = {.why = -1, .open = 1};

    arm_late(serial, &a);
    arm_late(serial, &b);
    close_it(serial);
    if (a.pid == 0) {
        require(b.why == -1);
        require(vow_executor_revive(behind) == 0);
        leave(0);
    }
    assert_child_was_fine(a.pid);
    assert_int_equal(b.why, VOW_E_CLOSED);
    vow_executor_unref(serial);
}

VOW_CASE(close_that_forks_ends_no_more_timers_of_a_clock_in_the_child)
{
    vow_manual *m = vow_manual_new();
    vow_loop *loop = vow_loop_new(NULL);

    check_revoke_that_forks(vow_manual_executor(m));
    check_revoke_that_forks(vow_loop_executor(loop));
    vow_manual_unref(m);
    vow_loop_unref(loop);
}

/* ---- a manual executor ------------------------------------------------------------------------ */

struct nest {
    vow_timer timer;
    vow_manual *m;
    int depth;
    vow_future *closed;
    pid_t pid;
};

/* A task that steps its executor, until the innermost forks. */
static void
step_or_fork(void *ctx)
{
    struct nest *n = ctx;

    if (--n->depth > 0)
        vow_manual_step(n->m);
    else if (in_child(&n->pid))
        require(vow_executor_revive(vow_manual_executor(n->m)) == 0);
}

/* In the child what steps goes on: each is counted, and no more. */
VOW_CASE(manual_executor_whose_inner_step_forks_ends_after_the_outermost)
{
    struct nest n = {.m = vow_manual_new(), .depth = 3};
    vow_executor *on = vow_manual_executor(n.m);

    for (int i = 0; i < 3; i++)
        assert_int_equal(vow_post(on, step_or_fork, vow_ptr(&n)), 0);
    vow_manual_step(n.m);
    n.closed = vow_executor_close(on, VOW_DRAIN);
    if (n.pid == 0) {
        require(vow_future_status(n.closed) == VOW_FULFILLED);
        leave(0);
    }
    assert_int_equal(code_of(n.closed), 0);
    assert_child_was_fine(n.pid);
    vow_unref(n.closed);
    vow_manual_unref(n.m);
}

static void
step_inside_timer(vow_task *task, int why)
{
    struct nest *n = (struct nest *)(void *)task;
    vow_executor *on = vow_manual_executor(n->m);

    assert_int_equal(why, 0);
    assert_int_equal(vow_post(on, step_or_fork, vow_ptr(n)), 0);
    vow_manual_step(n->m);
    if (n->pid == 0) {
        n->closed = vow_executor_close(on, VOW_DRAIN);
        require(vow_future_status(n->closed) == VOW_PENDING); /* this is not over */
        require(vow_timer_disarm(&n->timer) == VOW_RUNNING);
    }
}

VOW_CASE(manual_executor_whose_timer_forks_knows_in_the_child_that_it_runs)
{
    struct nest n = {.timer.task.run = step_inside_timer, .m = vow_manual_new()};
    vow_executor *on = vow_manual_executor(n.m);

    assert_int_equal(vow_timer_arm(on, &n.timer, 5), 0);
    assert_int_equal(vow_manual_advance(n.m, 5), 1);
    if (n.pid == 0) {
        require(vow_timer_disarm(&n.timer) == VOW_RAN);
        require(vow_future_status(n.closed) == VOW_FULFILLED);
        leave(0);
    }
    assert_child_was_fine(n.pid);
    vow_manual_unref(n.m);
}

/* ---- a thread that looks for what it may run ------------------------------------------------ */

struct helper {
    vow_future *all;
    bool noted;
    atomic_int there, over;
};

static void *
look_at_it(void *ctx)
{
    struct helper *h = ctx;
    struct vowi_thread *t = vowi_self();

    assert_true(vowi_join_help_begin(t, vowi_state(h->all)));
    if (!h->noted) /* as if there had been no memory to list the thread */
        atomic_store(&t->helps, NULL);
    atomic_store(&h->there, 1);
    await_flag(&h->over, 1);
    vowi_join_help_end(t, vowi_state(h->all));
    return NULL;
}

static void
require_completes(vow_promise *p[2], vow_future *all)
{
    vow_promise_fulfill(p[0], VOW_NIL);
    require(vow_future_status(all) == VOW_PENDING);
    vow_promise_fulfill(p[1], VOW_NIL);
    require(vow_future_status(all) == VOW_FULFILLED);
    leave(0);
}

static void
require_stops(vow_future *all)
{
    vow_future_cancel(all, NULL);
    require(code_of(all) == VOW_E_CANCELLED);
    require(!vowi_join_help_begin(vowi_self(), vowi_state(all)));
    leave(0);
}

static void
assert_children_fine(struct helper *h, vow_promise *p[2])
{
    pid_t pid;

    if (h->noted) {
        if (in_child(&pid))
            require_completes(p, h->all);
        assert_child_was_fine(pid);
    }
    if (in_child(&pid))
        require_stops(h->all);
    assert_child_was_fine(pid);
}

/* All have arrived, and only the helper keeps it from its end: it would be completed by that. */
static void
assert_stops_when_all_are_there(struct helper *h, vow_promise *p[2])
{
    pid_t pid;

    vow_promise_fulfill(p[0], VOW_NIL);
    vow_promise_fulfill(p[1], VOW_NIL);
    assert_int_equal(vow_future_status(h->all), VOW_PENDING);
    if (in_child(&pid))
        require_stops(h->all);
    assert_child_was_fine(pid);
}

VOW_CASE(join_ends_in_the_child_though_another_thread_looked_at_it)
{
    vow_manual *m = vow_manual_new(); /* so that fork is watched */

    for (int noted = 0; noted < 2; noted++) {
        vow_promise *p[2] = {vow_promise_new(), vow_promise_new()};
        vow_future *f[2] = {vow_promise_future(p[0]), vow_promise_future(p[1])};
        struct helper h = {.all = vow_when_all(f, 2), .noted = noted != 0};
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, look_at_it, &h), 0);
        await_flag(&h.there, 1);
        assert_children_fine(&h, p);
        assert_stops_when_all_are_there(&h, p);
        atomic_store(&h.over, 1);
        pthread_join(thread, NULL);
        assert_int_equal(code_of(h.all), 0);
        vow_promise_unref(p[0]);
        vow_promise_unref(p[1]);
        vow_unref(h.all);
    }
    vow_manual_unref(m);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(child_takes_the_notices_of_the_parent_off_their_futures),
        vow_test(loop_waits_in_the_child_for_no_call_of_a_thread_that_is_no_more),
        vow_test(loop_that_is_run_until_what_was_left_behind_says_so),
        vow_test(timer_that_forks_as_another_runs_leaves_nothing_of_that_in_the_child),
        vow_test(
            timers_that_a_close_of_the_parent_was_about_to_end_stay_armed_in_the_child),
        vow_test(close_that_forks_ends_no_more_timers_in_the_child),
        vow_test(close_that_forks_ends_no_more_tasks_in_the_child),
        vow_test(close_of_a_pool_that_forks_ends_no_more_tasks_in_the_child),
        vow_test(close_that_forks_ends_no_more_timers_of_a_clock_in_the_child),
        vow_test(manual_executor_whose_inner_step_forks_ends_after_the_outermost),
        vow_test(manual_executor_whose_timer_forks_knows_in_the_child_that_it_runs),
        vow_test(join_ends_in_the_child_though_another_thread_looked_at_it),
    };

    parent = getpid();
    return vow_test_run(cases);
}
