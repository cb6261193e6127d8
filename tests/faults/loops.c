/* SPDX-License-Identifier: MIT */
/* Scenarios with event loops: descriptors, sleeping, signals, the end. */
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "executors/loop_internal.h"
#include "vow_test.h"

static int ends[2]; /* of a pipe */

static void
open_pipe(void)
{
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
}

static void
close_pipe(void)
{
    close(ends[0]);
    close(ends[1]);
}

/* ---- what runs ------------------------------------------------------------------------------ */

static vow_result
run_counted(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(VOW_NIL);
}

static vow_result
step_counted(vow_value in, void *ctx)
{
    (void)in;
    drop_ran(ctx);
    return vow_ok(VOW_NIL);
}

static void
frame_counted(vow_ns time, void *ctx)
{
    (void)time;
    drop_ran(ctx);
}

static void
read_all(vow_watch *w, unsigned events, void *ctx)
{
    char bytes[8];

    (void)w;
    (void)events;
    (void)ctx;
    while (read(ends[0], bytes, sizeof bytes) > 0)
        ;
}

struct alarm {
    vow_timer timer; /* first: the task is all that its run gets */
    int ran;
    int why;
};

static void
ring(vow_task *task, int why)
{
    struct alarm *a = (struct alarm *)(void *)task;

    a->ran++;
    a->why = why;
}

static void
arm(vow_loop *l, struct alarm *a, vow_ns after)
{
    vow_executor *on = vow_loop_executor(l);

    *a =
        (struct alarm){.timer.task.run = ring, .timer.when = vow_clock_now(NULL) + after};
    assert_int_equal(on->ops->arm(on, &a->timer), 0);
}

/* So many turns at most: what failed for good would let it run for ever. */
static void
run_some_turns(vow_loop *l)
{
    for (int i = 0; i < 20; i++)
        if (vow_loop_run_once(l, 0) == VOW_E_CLOSED)
            return;
}

/* Its outcome, whatever it is, has come; after a failure it may be any. */
static void
let_go(vow_future *f, int code)
{
    assert_true(vow_future_status(f) != VOW_PENDING);
    assert_true(vow_error_code(vow_peek(f).error) == code || scenario_failed());
    vow_unref(f);
}

/* ---- scenarios -------------------------------------------------------------------------------- */

static void
loop_of_everything(struct drop_set *d)
{
    vow_loop *l = vow_loop_new(NULL);
    vow_executor *on = vow_loop_executor(l);
    struct alarm a = {.ran = 0};
    vow_future *f, *g, *h;
    vow_watch *w;

    if (l == NULL)
        return;
    open_pipe();
    arm(l, &a, 0);
    f = vow_then(vow_submit(on, run_counted, drop_set_new(d)), on, step_counted,
                 drop_set_new(d));
    g = vow_loop_ready(l, ends[1], VOW_FD_WRITE);
    h = vow_loop_ready(l, ends[0], VOW_FD_READ);
    w = vow_watch_start(l, ends[0], VOW_FD_READ, read_all, drop_set_new(d));
    if (vow_loop_request_frame(l, frame_counted, drop_set_new(d)) != 0)
        assert_true(scenario_failed());
    assert_int_equal(write(ends[1], "x", 1), 1);
    run_some_turns(l);
    assert_int_equal(vow_watch_stop(w), 0);
    vow_loop_unref(l);
    let_go(f, 0);
    let_go(g, 0);
    let_go(h, 0);
    assert_int_equal(a.ran, 1);
    close_pipe();
}

static void
sleep_for_a_timer(vow_loop *l)
{
    struct alarm a;
    int rc = 0;

    arm(l, &a, vow_us(200));
    while (rc == 0 && a.ran == 0)
        rc = vow_loop_run_once(l, VOW_FOREVER);
    assert_true(rc == 0 || scenario_failed());
    rc = vow_loop_run_once(l, vow_us(100));
    assert_true(rc == VOW_E_TIMEDOUT || scenario_failed());
    vow_loop_unref(l);
    assert_int_equal(a.ran, 1);
    assert_true(a.why == 0 || scenario_failed());
}

static void
loop_that_sleeps(struct drop_set *d)
{
    vow_loop *l = vow_loop_new(NULL);

    (void)d;
    if (l != NULL)
        sleep_for_a_timer(l);
}

static void
loop_without_a_timerfd(struct drop_set *d)
{
    vow_loop *l = vow_loop_new(NULL);

    (void)d;
    if (l == NULL)
        return;
    if (l->timer_fd >= 0)
        close(l->timer_fd);
    l->timer_fd = -1;
    sleep_for_a_timer(l);
}

static void
loop_whose_descriptors_change(struct drop_set *d)
{
    vow_loop *l = vow_loop_new(NULL);
    vow_future *f, *g;
    vow_watch *w;
    int rc;

    if (l == NULL)
        return;
    open_pipe();
    w = vow_watch_start(l, ends[0], VOW_FD_READ, read_all, drop_set_new(d));
    f = vow_loop_ready(l, ends[0], VOW_FD_READ);
    if (w != NULL) {
        rc = vow_watch_change(w, VOW_FD_PRIORITY);
        assert_true(rc == 0 || scenario_failed());
    }
    vow_future_cancel(f, NULL);
    let_go(f, VOW_E_CANCELLED);
    assert_int_equal(vow_watch_stop(w), 0);
    g = vow_loop_ready(l, ends[1], VOW_FD_WRITE);
    run_some_turns(l);
    close_pipe();
    open_pipe(); /* the same numbers */
    f = vow_loop_ready(l, ends[1], VOW_FD_WRITE);
    run_some_turns(l);
    vow_loop_unref(l);
    let_go(f, 0);
    let_go(g, 0);
    close_pipe();
}

/* The epoll still has what was closed under one name and lives on under another. */
static void
loop_with_a_leftover(struct drop_set *d)
{
    vow_loop *l = vow_loop_new(NULL);
    vow_watch *w;
    vow_future *f;
    int kept;

    if (l == NULL)
        return;
    open_pipe();
    kept = fcntl(ends[1], F_DUPFD_CLOEXEC, 0);
    w = vow_watch_start(l, ends[1], VOW_FD_PRIORITY, read_all, drop_set_new(d));
    close(ends[1]);
    assert_int_equal(vow_watch_stop(w), 0);
    assert_int_equal(dup3(kept, ends[1], O_CLOEXEC), ends[1]);
    f = vow_loop_ready(l, ends[1], VOW_FD_WRITE);
    run_some_turns(l);
    vow_loop_unref(l);
    let_go(f, 0);
    close(kept);
    close_pipe();
}

static void
loop_whose_signals_come(struct drop_set *d)
{
    vow_loop *l = vow_loop_new(NULL);
    vow_future *f = vow_loop_signal(l, SIGUSR1);
    vow_future *g = vow_loop_signal(l, SIGUSR1);
    vow_future *h = vow_loop_signal(l, SIGUSR2);

    (void)d;
    if (vow_future_status(f) == VOW_PENDING)
        raise(SIGUSR1);
    vow_future_cancel(h, NULL);
    if (l != NULL)
        run_some_turns(l);
    vow_loop_unref(l);
    let_go(f, 0);
    let_go(g, 0);
    let_go(h, VOW_E_CANCELLED);
}

static void
loop_closed_at_once(struct drop_set *d)
{
    vow_loop *l = vow_loop_new(NULL);
    vow_executor *on = vow_loop_executor(l);
    vow_future *f, *g;

    if (l == NULL)
        return;
    open_pipe();
    f = vow_submit(on, run_counted, drop_set_new(d));
    g = vow_loop_ready(l, ends[0], VOW_FD_READ);
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    run_some_turns(l);
    vow_unref(vow_executor_close(on, VOW_CANCEL_QUEUED));
    let_go(f, 0);
    let_go(g, VOW_E_CLOSED);
    vow_loop_unref(l);
    close_pipe();
}

static void *
fulfill(void *p)
{
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
    return NULL;
}

static void
loop_run_until_a_thread_settles(struct drop_set *d)
{
    vow_loop *l = vow_loop_new(NULL);
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    pthread_t thread;

    (void)d;
    if (l == NULL || p == NULL) {
        vow_promise_unref(p);
        vow_ignore(f);
        vow_loop_unref(l);
        return;
    }
    assert_int_equal(pthread_create(&thread, NULL, fulfill, p), 0);
    while (vow_loop_run_until(l, f) != 0)
        assert_true(scenario_failed());
    pthread_join(thread, NULL);
    vow_loop_unref(l);
    let_go(f, 0);
}

#define ROW(name) {#name, name},

const struct scenario loop_scenarios[] = {LOOP_SCENARIOS(ROW){NULL, NULL}};
