/* SPDX-License-Identifier: MIT */
/*
 * The end of a loop: closed in both modes, from everywhere, in every state. Each case
 * asks that every future settled, every context was dropped once, and nothing ran after.
 */
#include "loop_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "base/sys.h"
#include "death.h"

/* ---- what is in a loop ---------------------------------------------------------------------- */

static int ends[2];

static int
begin_with_pipe(void **state)
{
    return begin(state) != 0 || pipe2(ends, O_NONBLOCK) != 0;
}

static int
end_and_close(void **state)
{
    close(ends[0]);
    close(ends[1]);
    return end(state);
}

#define end_test(name)                                                                   \
    cmocka_unit_test_setup_teardown(name, begin_with_pipe, end_and_close)

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
watch_counted(vow_watch *w, unsigned events, void *ctx)
{
    (void)w;
    (void)events;
    drop_ran(ctx);
}

static void
frame_counted(vow_ns time, void *ctx)
{
    (void)time;
    drop_ran(ctx);
}

/* One of everything that a loop can hold, none of it due but the submitted task. */
struct everything {
    struct drop_set drops;
    vow_promise *pending;
    vow_future *submitted, *idle, *ready, *signal, *later_step;
    struct job timer;
    vow_watch *watch;
};

static struct everything all;

static void
fill(void)
{
    drop_set_clear(&all.drops);
    all.pending = vow_promise_new();
    all.submitted = vow_submit(on, run_counted, drop_set_new(&all.drops));
    all.idle = vow_submit_with(on, &VOW_SUBMIT_OPTIONS(.priority = VOW_IDLE), run_counted,
                               drop_set_new(&all.drops));
    all.ready = vow_loop_ready(loop, ends[0], VOW_FD_READ);
    all.signal = vow_loop_signal(loop, SIGUSR1);
    all.later_step = vow_then(vow_promise_future(all.pending), on, step_counted,
                              drop_set_new(&all.drops));
    all.timer = job('t');
    arm(&all.timer, vow_seconds(5));
    all.watch = vow_watch_start(loop, ends[0], VOW_FD_READ, watch_counted,
                                drop_set_new(&all.drops));
    assert_non_null(all.watch);
    assert_int_equal(
        vow_loop_request_frame(loop, frame_counted, drop_set_new(&all.drops)), 0);
}

static void
expect_code(vow_future *f, int code)
{
    assert_true(vow_future_status(f) != VOW_PENDING);
    assert_int_equal(code_of(f), code);
    vow_unref(f);
}

/* All has settled, the queued tasks with a code; and lets go of it. */
static void
expect_settled(int queued)
{
    expect_code(all.submitted, queued);
    expect_code(all.idle, queued);
    expect_code(all.ready, VOW_E_CLOSED);
    expect_code(all.signal, VOW_E_CLOSED);
    assert_int_equal(all.timer.runs, 1);
    assert_int_equal(all.timer.why, VOW_E_CLOSED);
    vow_promise_fulfill(all.pending, VOW_NIL);
    vow_promise_unref(all.pending);
    expect_code(all.later_step, VOW_E_CLOSED);
    assert_int_equal(drop_set_wrong(&all.drops), 0);
    assert_int_equal(vow_watch_stop(all.watch), 0);
}

static void
expect_refusing(void)
{
    struct job j = job('x');
    vow_future *f = vow_submit(on, run_counted, VOW_NIL);

    expect_code(f, VOW_E_CLOSED);
    assert_int_equal(vow_post_task(on, &j.timer.task), VOW_E_CLOSED);
    assert_int_equal(on->ops->arm(on, &j.timer), VOW_E_CLOSED);
    assert_int_equal(on->ops->post_many(on, &j.timer.task, 1), VOW_E_CLOSED);
    assert_int_equal(vow_loop_request_frame(loop, frame_counted, VOW_NIL), VOW_E_CLOSED);
    expect_code(vow_loop_ready(loop, ends[0], VOW_FD_READ), VOW_E_CLOSED);
    errno = 0;
    assert_null(vow_watch_start(loop, ends[0], VOW_FD_READ, watch_counted, VOW_NIL));
    assert_int_equal(errno, ESHUTDOWN);
    assert_int_equal(j.runs, 0);
}

/* ---- from outside ---------------------------------------------------------------------------- */

VOW_CASE(an_empty_loop_that_nobody_runs_closes_at_once)
{
    vow_future *closed = vow_executor_close(on, VOW_DRAIN);

    expect_code(closed, 0);
    expect_refusing();
    assert_int_equal(vow_loop_run(loop), 0);
    assert_int_equal(vow_loop_run_once(loop, 0), VOW_E_CLOSED);
    assert_true(vow_loop_timeout(loop) == VOW_FOREVER);
    assert_int_equal(vow_executor_join(on), 0);
}

VOW_CASE(cancelling_settles_all_at_once)
{
    vow_future *closed;

    fill();
    closed = vow_executor_close(on, VOW_CANCEL_QUEUED);
    expect_code(closed, 0);
    expect_settled(VOW_E_CLOSED);
    expect_refusing();
}

VOW_CASE(draining_waits_to_be_run_for_what_is_queued)
{
    vow_future *closed;

    fill();
    closed = vow_executor_close(on, VOW_DRAIN);
    assert_int_equal(vow_future_status(closed), VOW_PENDING);
    assert_int_equal(vow_future_status(all.submitted), VOW_PENDING);
    assert_int_equal(vow_loop_timeout(loop), 0);
    assert_int_equal(vow_loop_run(loop), 0);
    expect_code(closed, 0);
    expect_settled(0);
    expect_refusing();
}

VOW_CASE(draining_escalates_and_never_the_other_way)
{
    vow_future *a, *b, *c;

    fill();
    a = vow_executor_close(on, VOW_DRAIN);
    b = vow_executor_close(on, VOW_CANCEL_QUEUED);
    c = vow_executor_close(on, VOW_DRAIN);
    expect_code(a, 0);
    expect_code(b, 0);
    expect_code(c, 0);
    expect_settled(VOW_E_CLOSED);
}

VOW_CASE(run_until_the_close_future_drains)
{
    vow_future *closed;

    fill();
    closed = vow_executor_close(on, VOW_DRAIN);
    assert_int_equal(vow_loop_run_until(loop, closed), 0);
    expect_code(closed, 0);
    expect_settled(0);
}

VOW_CASE(without_the_last_reference_all_is_cancelled)
{
    vow_executor *kept = vow_executor_ref(on);

    fill();
    vow_loop_unref(vow_loop_ref(loop));
    assert_int_equal(vow_future_status(all.submitted), VOW_PENDING);
    vow_loop_unref(loop);
    loop = NULL;
    expect_settled(VOW_E_CLOSED);
    vow_executor_unref(kept);
}

VOW_CASE(a_draining_loop_takes_steps_until_it_is_idle)
{
    vow_future *f, *closed;
    struct drop d = {0};

    f = vow_submit(on, run_counted, VOW_NIL);
    f = vow_then(f, on, step_counted, drop_value(&d));
    closed = vow_executor_close(on, VOW_DRAIN);
    assert_int_equal(vow_loop_run(loop), 0);
    expect_code(f, 0);
    expect_code(closed, 0);
    assert_int_equal(drop_count(&d), 1);
}

/* ---- timers for others ------------------------------------------------------------------------- */

/* A serial executor on the loop has no timers: the loop fires them, on its clock. */
static vow_executor *serial;

static void
close_serial(void *arg)
{
    (void)arg;
    vow_unref(vow_executor_close(serial, VOW_DRAIN));
}

VOW_CASE(timers_for_another_executor_fire_and_end_with_that)
{
    vow_loop *l = vow_loop_new(NULL);
    struct job soon = job('s'), later = job('l'), due = job('d'), refused = job('r');
    struct job closes = job_that('c', close_serial, NULL), own = job('o');
    vow_ns now = vow_clock_now(NULL);

    on = vow_loop_executor(l);
    serial = vow_serial_new(on);
    assert_int_equal(vow_timer_arm(serial, &soon.timer, now), 0);
    assert_ptr_equal(soon.timer.home, on);
    while (soon.runs == 0)
        assert_int_equal(vow_loop_run_once(l, VOW_FOREVER), 0);
    arm(&closes, now);
    arm(&own, now);
    assert_int_equal(vow_timer_arm(serial, &later.timer, now + vow_seconds(1000)), 0);
    assert_int_equal(vow_timer_arm(serial, &due.timer, now), 0);
    while (later.runs == 0 || due.runs == 0)
        assert_int_equal(vow_loop_run_once(l, VOW_FOREVER), 0);
    assert_string_equal(journal.text, "sco");
    assert_int_equal(later.why, VOW_E_CLOSED);
    assert_int_equal(due.why, VOW_E_CLOSED);
    assert_int_equal(vow_timer_arm(serial, &refused.timer, now), VOW_E_CLOSED);
    assert_int_equal(disarm(&refused), VOW_RAN); /* nor is it on its way */
    vow_executor_unref(serial);
    vow_loop_unref(l);
}

static void
disarm_while_queued(void *arg)
{
    struct job *queued = arg;

    assert_int_equal(queued->runs, 0);
    assert_int_equal(disarm(queued), VOW_RUNNING);
}

/* Behind another task of the serial executor, when the loop has posted it there. */
VOW_CASE(disarm_says_running_of_one_that_is_on_its_way_to_another_executor)
{
    vow_loop *l = vow_loop_new(NULL);
    struct job first = job('f'), queued = job('q');
    struct job asks = job_that('a', disarm_while_queued, &queued);
    vow_ns now = vow_clock_now(NULL);

    on = vow_loop_executor(l);
    serial = vow_serial_new(on);
    assert_int_equal(vow_post_task(serial, &first.timer.task), 0);
    assert_int_equal(vow_timer_arm(serial, &queued.timer, now), 0);
    arm(&asks, now);
    while (queued.runs == 0)
        assert_int_equal(vow_loop_run_once(l, VOW_FOREVER), 0);
    assert_string_equal(journal.text, "afq");
    assert_int_equal(disarm(&queued), VOW_RAN);
    vow_executor_unref(serial);
    vow_loop_unref(l);
}

/* ---- from inside ------------------------------------------------------------------------------- */

static vow_close_mode mode;
static vow_future *closing;
static int rc_inside;

static void
close_inside(void *arg)
{
    (void)arg;
    closing = vow_executor_close(on, mode);
    assert_int_equal(vow_future_status(closing), VOW_PENDING); /* a task runs */
    assert_int_equal(vow_executor_join(on), VOW_E_DEADLOCK);
    if (mode == VOW_CANCEL_QUEUED)
        expect_refusing();
    rc_inside = vow_loop_run_until(loop, closing);
}

static void
close_from_a_task(vow_close_mode how, int queued)
{
    struct job j = job_that('j', close_inside, NULL);

    mode = how;
    post_job(&j);
    fill();
    assert_int_equal(vow_loop_run(loop), 0);
    assert_int_equal(rc_inside, VOW_E_DEADLOCK);
    expect_code(closing, 0);
    expect_settled(queued);
}

VOW_CASE(a_task_may_drain_its_loop)
{
    close_from_a_task(VOW_DRAIN, 0);
}

VOW_CASE(a_task_may_cancel_its_loop)
{
    close_from_a_task(VOW_CANCEL_QUEUED, VOW_E_CLOSED);
}

static void
wait_for_pending(void *arg)
{
    vow_future *f = vow_promise_future(all.pending);

    (void)arg;
    vow_unref(vow_executor_close(on, VOW_CANCEL_QUEUED));
    rc_inside = vow_loop_run_until(loop, f);
    vow_unref(f);
}

VOW_CASE(run_until_in_a_cancelled_loop_says_closed)
{
    struct job j = job_that('j', wait_for_pending, NULL);

    post_job(&j);
    fill();
    assert_int_equal(vow_loop_run(loop), 0);
    assert_int_equal(rc_inside, VOW_E_CLOSED);
    expect_settled(VOW_E_CLOSED);
}

static void
fulfill_pending(void *arg)
{
    (void)arg;
    vow_promise_fulfill(all.pending, VOW_NIL);
}

static void
wait_while_it_drains(void *next)
{
    vow_future *f = vow_promise_future(all.pending);

    vow_unref(vow_executor_close(on, VOW_DRAIN));
    assert_int_equal(vow_loop_timeout(loop), 0);
    post_job(next);
    rc_inside = vow_loop_run_until(loop, f);
    vow_unref(f);
}

VOW_CASE(run_until_in_a_draining_loop_goes_on)
{
    struct job k = job_that('k', fulfill_pending, NULL);
    struct job j = job_that('j', wait_while_it_drains, &k);

    all.pending = vow_promise_new();
    post_job(&j);
    assert_int_equal(vow_loop_run(loop), 0);
    assert_int_equal(rc_inside, 0);
    assert_string_equal(journal.text, "jk");
    vow_promise_unref(all.pending);
}

static void
let_go_inside(void *arg)
{
    (void)arg;
    vow_loop_unref(loop);
}

VOW_CASE(the_last_reference_may_go_inside_and_then_it_drains)
{
    struct job j = job_that('j', let_go_inside, NULL);
    vow_executor *kept = vow_executor_ref(on);

    post_job(&j);
    fill();
    assert_int_equal(vow_loop_run(loop), 0);
    loop = NULL;
    expect_settled(0);
    vow_executor_unref(kept);
}

static void
let_go_and_stop(void *arg)
{
    vow_loop_stop(loop);
    let_go_inside(arg);
}

VOW_CASE(the_last_reference_gone_and_stopped_it_cancels)
{
    struct job j = job_that('j', let_go_and_stop, NULL);
    vow_executor *kept = vow_executor_ref(on);

    post_job(&j);
    fill();
    assert_int_equal(vow_loop_run(loop), 0);
    loop = NULL;
    assert_true(vow_future_status(all.idle) != VOW_PENDING);
    vow_unref(all.idle);
    all.idle = vow_rejected(vow_error_of(VOW_E_CLOSED));
    expect_code(all.submitted, 0);
    all.submitted = vow_rejected(vow_error_of(VOW_E_CLOSED));
    expect_settled(VOW_E_CLOSED);
    vow_executor_unref(kept);
}

static void
watch_that_closes(vow_watch *w, unsigned events, void *ctx)
{
    struct drop *d = ctx;

    (void)w;
    (void)events;
    vow_unref(vow_executor_close(on, VOW_CANCEL_QUEUED));
    assert_int_equal(drop_count(d), 0); /* while it runs */
}

VOW_CASE(a_watch_may_close_its_loop)
{
    struct drop d = {0};
    vow_watch *w =
        vow_watch_start(loop, ends[1], VOW_FD_WRITE, watch_that_closes, drop_value(&d));

    assert_int_equal(vow_loop_run(loop), 0);
    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(vow_watch_change(w, VOW_FD_READ), VOW_E_CLOSED);
    assert_int_equal(vow_watch_stop(w), 0);
}

static void
close_from_timer(void *arg)
{
    (void)arg;
    vow_unref(vow_executor_close(on, VOW_DRAIN));
}

VOW_CASE(a_timer_may_close_its_loop_and_others_that_are_due_do_not_fire)
{
    struct job a = job_that('a', close_from_timer, NULL), b = job('b');

    arm(&a, 0);
    arm(&b, 0);
    assert_int_equal(vow_loop_run(loop), 0);
    assert_string_equal(journal.text, "a");
    assert_int_equal(b.why, VOW_E_CLOSED);
}

static void
post_more(void *arg)
{
    int *left = arg;

    if (--*left > 0)
        assert_int_equal(vow_post(on, post_more, vow_ptr(left)), 0);
}

static void
close_in_frame(vow_ns time, void *ctx)
{
    (void)time;
    vow_unref(vow_executor_close(on, *(vow_close_mode *)ctx));
}

VOW_CASE(a_frame_may_close_its_loop_and_the_others_of_it_do_not_run)
{
    vow_close_mode how = VOW_DRAIN;
    struct drop d = {0};

    assert_int_equal(vow_loop_request_frame(loop, close_in_frame, vow_ptr(&how)), 0);
    assert_int_equal(vow_loop_request_frame(loop, frame_counted, drop_value(&d)), 0);
    assert_int_equal(vow_loop_run(loop), 0);
    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(atomic_load(&d.ran), 0);
}

static void
let_go_twice(void *l)
{
    vow_executor *kept = vow_executor_ref(vow_loop_executor(l));

    vow_loop_unref(l);
    vow_loop_unref(l);
    vow_executor_unref(kept);
}

VOW_CASE(letting_go_too_often_ends_the_process)
{
    vow_loop *l = vow_loop_new(NULL);

    assert_true(death_is_of(let_go_twice, l, "released more often"));
    vow_loop_unref(l);
}

VOW_CASE(what_tasks_of_a_draining_loop_post_runs)
{
    int left = 5;

    assert_int_equal(vow_post(on, post_more, vow_ptr(&left)), 0);
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    assert_int_equal(vow_loop_run(loop), 0);
    assert_int_equal(left, 0);
}

/* ---- by another thread -------------------------------------------------------------------------- */

static atomic_int is_in, is_closed;

static void
wait_until_closed(void *arg)
{
    (void)arg;
    atomic_store(&is_in, 1);
    await_flag(&is_closed, 1);
}

static void *
close_while_it_runs(void *how)
{
    vow_future *closed;

    await_flag(&is_in, 1);
    closed = vow_executor_close(on, *(vow_close_mode *)how);
    assert_int_equal(vow_future_status(closed), VOW_PENDING);
    atomic_store(&is_closed, 1);
    assert_int_equal(vow_executor_join(on), 0);
    expect_code(closed, 0);
    return NULL;
}

static void
close_by_another(vow_close_mode how, int queued)
{
    struct job j = job_that('j', wait_until_closed, NULL);
    pthread_t thread;

    atomic_store(&is_in, 0);
    atomic_store(&is_closed, 0);
    post_job(&j);
    fill();
    assert_int_equal(pthread_create(&thread, NULL, close_while_it_runs, &how), 0);
    assert_int_equal(vow_loop_run(loop), 0);
    pthread_join(thread, NULL);
    expect_settled(queued);
}

VOW_CASE(another_thread_may_drain_a_loop_that_runs)
{
    close_by_another(VOW_DRAIN, 0);
}

VOW_CASE(another_thread_may_cancel_a_loop_that_runs)
{
    close_by_another(VOW_CANCEL_QUEUED, VOW_E_CLOSED);
}

static void *
close_a_sleeper(void *arg)
{
    (void)arg;
    while (stats().sleeps == 0)
        sched_yield();
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    return NULL;
}

VOW_CASE(closing_wakes_one_that_sleeps)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, close_a_sleeper, NULL), 0);
    assert_int_equal(vow_loop_run(loop), 0);
    pthread_join(thread, NULL);
}

/* ---- a thread that exits -------------------------------------------------------------------------- */

static void
exit_thread(void *arg)
{
    (void)arg;
    pthread_exit(NULL);
}

static void
exit_in_watch(vow_watch *w, unsigned events, void *ctx)
{
    (void)w;
    (void)events;
    (void)ctx;
    pthread_exit(NULL);
}

static void
exit_in_frame(vow_ns time, void *ctx)
{
    (void)time;
    (void)ctx;
    pthread_exit(NULL);
}

static void *
run_until_pending(void *arg)
{
    vow_future *f = vow_promise_future(all.pending);

    (void)arg;
    vow_loop_run_until(loop, f);
    return NULL; /* not reached */
}

/* Another thread runs the loop and exits inside a callback; f is left to it. */
static void
run_in_a_thread_that_exits(void)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run_until_pending, NULL), 0);
    pthread_join(thread, NULL);
}

VOW_CASE(after_a_thread_exited_in_a_task_another_one_may_run_it)
{
    vow_future *f;

    all.pending = vow_promise_new();
    f = vow_promise_future(all.pending);
    assert_int_equal(vow_post(on, exit_thread, VOW_NIL), 0);
    run_in_a_thread_that_exits();
    vow_promise_fulfill(all.pending, VOW_NIL); /* the notice has gone */
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    assert_int_equal(vow_loop_run_once(loop, 0), VOW_E_TIMEDOUT);
    vow_unref(f);
    vow_unref(f); /* what the thread had */
    vow_promise_unref(all.pending);
}

/* What another thread is told while this one goes out: the inner run is over, the outer is
 * not. */
static int answer;

static void *
run_for_a_settled_one(void *arg)
{
    answer = vow_loop_run_until(loop, arg);
    return NULL;
}

static void
let_another_thread_run(void *f)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run_for_a_settled_one, f), 0);
    pthread_join(thread, NULL);
}

static void
exit_in_an_inner_run(void *settled)
{
    vow_future *f = vow_promise_future(all.pending);

    assert_int_equal(vow_post(on, exit_thread, VOW_NIL), 0);
    pthread_cleanup_push(let_another_thread_run, settled);
    vow_loop_run_until(loop, f);
    pthread_cleanup_pop(0);
}

VOW_CASE(a_thread_that_exits_in_an_inner_run_owns_the_loop_until_it_is_out)
{
    vow_future *f, *settled = vow_resolved(VOW_NIL);

    all.pending = vow_promise_new();
    f = vow_promise_future(all.pending);
    assert_int_equal(vow_post(on, exit_in_an_inner_run, vow_ptr(settled)), 0);
    run_in_a_thread_that_exits();
    assert_int_equal(answer, EPERM);
    assert_int_equal(vow_loop_run_once(loop, 0), VOW_E_TIMEDOUT);
    vow_unref(settled);
    vow_promise_fulfill(all.pending, VOW_NIL);
    vow_promise_unref(all.pending);
    for (int i = 0; i < 3; i++)
        vow_unref(f); /* two are what the thread had */
}

static void
disarm_in_timer(void *arg)
{
    pthread_exit(arg);
}

VOW_CASE(a_thread_that_exits_in_other_callbacks_leaves_nothing)
{
    struct drop w = {0}, f = {0};
    struct job t = job_that('t', disarm_in_timer, NULL);
    vow_watch *watch;
    vow_future *pending;

    all.pending = vow_promise_new();
    pending = vow_promise_future(all.pending);
    arm(&t, 0);
    run_in_a_thread_that_exits();
    assert_int_equal(disarm(&t), VOW_RAN);
    assert_int_equal(vow_loop_request_frame(loop, exit_in_frame, drop_value(&f)), 0);
    run_in_a_thread_that_exits();
    assert_int_equal(drop_count(&f), 1);
    watch = vow_watch_start(loop, ends[1], VOW_FD_WRITE, exit_in_watch, drop_value(&w));
    run_in_a_thread_that_exits();
    assert_int_equal(drop_count(&w), 0);
    assert_int_equal(vow_watch_stop(watch), 0);
    assert_int_equal(drop_count(&w), 1);
    vow_promise_fulfill(all.pending, VOW_NIL);
    vow_promise_unref(all.pending);
    for (int i = 0; i < 4; i++)
        vow_unref(pending);
}

static vow_result
exit_in_step(vow_value nothing, void *ctx)
{
    (void)nothing;
    pthread_exit(ctx);
}

/* Of a descriptor, or a signal. */
static vow_future *
wait_for_event(bool signalled)
{
    return signalled ? vow_loop_signal(loop, SIGUSR1)
                     : vow_loop_ready(loop, ends[1], VOW_FD_WRITE);
}

VOW_CASE(what_a_thread_that_exits_leaves_untold_the_next_one_tells)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &signals, NULL), 0);
    for (int signalled = 0; signalled < 2; signalled++) {
        vow_loop *before = loop;
        vow_future *f, *second, *pending;

        loop = vow_loop_new(NULL); /* without an owner */
        all.pending = vow_promise_new();
        pending = vow_promise_future(all.pending);
        f = vow_then(wait_for_event(signalled), NULL, exit_in_step, VOW_NIL);
        second = wait_for_event(signalled);
        if (signalled)
            kill(getpid(), SIGUSR1);
        run_in_a_thread_that_exits();
        assert_int_equal(code_of(f), VOW_E_BROKEN);
        assert_int_equal(vow_loop_timeout(loop), 0);
        assert_int_equal(vow_loop_run_until(loop, second), 0);
        assert_int_equal(code_of(second), 0);
        vow_unref(f);
        vow_unref(second);
        vow_promise_unref(all.pending);
        vow_unref(pending);
        vow_unref(pending); /* what the thread had */
        vow_loop_unref(loop);
        loop = before;
    }
}

static void
ask_for_timeout(void *timeout)
{
    *(vow_ns *)timeout = vow_loop_timeout(loop);
}

VOW_CASE(loop_that_drains_is_not_to_sleep)
{
    vow_ns timeout = VOW_FOREVER;

    assert_int_equal(vow_post(on, ask_for_timeout, vow_ptr(&timeout)), 0);
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    run_all();
    assert_int_equal(timeout, 0);
}

VOW_CASE(wake_that_fails_leaves_errno_alone)
{
    errno = EXDEV;
    vowi_sys_notify(-1);
    assert_int_equal(errno, EXDEV);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        end_test(an_empty_loop_that_nobody_runs_closes_at_once),
        end_test(cancelling_settles_all_at_once),
        end_test(draining_waits_to_be_run_for_what_is_queued),
        end_test(draining_escalates_and_never_the_other_way),
        end_test(run_until_the_close_future_drains),
        end_test(without_the_last_reference_all_is_cancelled),
        end_test(a_draining_loop_takes_steps_until_it_is_idle),
        end_test(timers_for_another_executor_fire_and_end_with_that),
        end_test(disarm_says_running_of_one_that_is_on_its_way_to_another_executor),
        end_test(a_task_may_drain_its_loop),
        end_test(a_task_may_cancel_its_loop),
        end_test(run_until_in_a_cancelled_loop_says_closed),
        end_test(run_until_in_a_draining_loop_goes_on),
        end_test(the_last_reference_may_go_inside_and_then_it_drains),
        end_test(the_last_reference_gone_and_stopped_it_cancels),
        end_test(a_watch_may_close_its_loop),
        end_test(a_timer_may_close_its_loop_and_others_that_are_due_do_not_fire),
        end_test(what_tasks_of_a_draining_loop_post_runs),
        end_test(another_thread_may_drain_a_loop_that_runs),
        end_test(another_thread_may_cancel_a_loop_that_runs),
        end_test(closing_wakes_one_that_sleeps),
        end_test(after_a_thread_exited_in_a_task_another_one_may_run_it),
        end_test(a_thread_that_exits_in_an_inner_run_owns_the_loop_until_it_is_out),
        end_test(a_thread_that_exits_in_other_callbacks_leaves_nothing),
        end_test(what_a_thread_that_exits_leaves_untold_the_next_one_tells),
        end_test(a_frame_may_close_its_loop_and_the_others_of_it_do_not_run),
        end_test(letting_go_too_often_ends_the_process),
        end_test(loop_that_drains_is_not_to_sleep),
        end_test(wake_that_fails_leaves_errno_alone),
    };

    return vow_test_run(cases);
}
