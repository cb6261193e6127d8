/* SPDX-License-Identifier: MIT */
/* Descriptors at a loop: as futures, as callbacks, several at one, and what can fail. */
#include "loop_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int ends[2]; /* of a pipe, or of a pair of sockets */

static int
begin_with_pipe(void **state)
{
    return begin(state) != 0 || pipe2(ends, O_NONBLOCK) != 0;
}

static int
begin_with_sockets(void **state)
{
    return begin(state) != 0 ||
           socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0;
}

static int
end_and_close(void **state)
{
    close(ends[0]);
    close(ends[1]);
    return end(state);
}

#define pipe_test(name)                                                                  \
    cmocka_unit_test_setup_teardown(name, begin_with_pipe, end_and_close)
#define socket_test(name)                                                                \
    cmocka_unit_test_setup_teardown(name, begin_with_sockets, end_and_close)

static void
put(int fd)
{
    assert_int_equal(write(fd, "x", 1), 1);
}

static void
get(int fd)
{
    char byte;

    assert_int_equal(read(fd, &byte, 1), 1);
}

static int64_t
value_of(vow_future *f)
{
    assert_int_equal(code_of(f), 0);
    return vow_peek(f).value.as.i64;
}

/* ---- futures --------------------------------------------------------------------------- */

VOW_CASE(ready_is_fulfilled_when_there_is_something_to_read)
{
    vow_future *f = vow_loop_ready(loop, ends[0], VOW_FD_READ);

    run_all();
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    put(ends[1]);
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    assert_int_equal(value_of(f), VOW_FD_READ);
    vow_unref(f);
}

VOW_CASE(ready_again_needs_no_new_place)
{
    for (int i = 0; i < 3; i++) {
        vow_future *f = vow_loop_ready(loop, ends[0], VOW_FD_READ);

        put(ends[1]);
        assert_int_equal(vow_loop_run_until(loop, f), 0);
        vow_unref(f);
        get(ends[0]);
    }
    run_all();
    assert_int_equal(stats().events, 3);
}

VOW_CASE(what_nobody_waits_for_any_more_is_not_looked_at)
{
    vow_future *f = vow_loop_ready(loop, ends[1], VOW_FD_WRITE);
    uint64_t turns;

    assert_int_equal(vow_loop_run_until(loop, f), 0);
    assert_int_equal(value_of(f), VOW_FD_WRITE);
    vow_unref(f);
    turns = stats().turns;
    assert_int_equal(vow_loop_run_once(loop, vow_ms(1)), VOW_E_TIMEDOUT);
    assert_true(stats().turns - turns <= 3); /* it slept */
}

VOW_CASE(a_hang_up_is_reported)
{
    vow_future *f = vow_loop_ready(loop, ends[0], VOW_FD_READ);

    close(ends[1]);
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    assert_true(value_of(f) & VOW_FD_HANGUP);
    vow_unref(f);
    ends[1] = -1;
}

VOW_CASE(one_waits_to_read_and_one_to_write)
{
    vow_future *r = vow_loop_ready(loop, ends[0], VOW_FD_READ);
    vow_future *w = vow_loop_ready(loop, ends[0], VOW_FD_WRITE);

    run_all();
    assert_int_equal(vow_future_status(r), VOW_PENDING);
    assert_int_equal(value_of(w), VOW_FD_WRITE);
    put(ends[1]);
    run_all();
    assert_int_equal(value_of(r), VOW_FD_READ);
    vow_unref(r);
    vow_unref(w);
}

static vow_result
note_mark(vow_value in, void *ctx)
{
    (void)in;
    journal_add(&journal, *(const char *)ctx);
    return vow_ok(VOW_NIL);
}

VOW_CASE(all_who_wait_are_told_in_their_order)
{
    static const char marks[] = "abc";

    for (int i = 0; i < 3; i++)
        vow_unref(vow_then(vow_loop_ready(loop, ends[0], VOW_FD_READ), on, note_mark,
                           vow_ptr(marks + i)));
    put(ends[1]);
    run_all();
    assert_string_equal(journal.text, "abc");
}

VOW_CASE(ready_can_be_cancelled)
{
    vow_future *f = vow_loop_ready(loop, ends[0], VOW_FD_READ);
    vow_future *g = vow_loop_ready(loop, ends[0], VOW_FD_READ);

    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    put(ends[1]);
    run_all();
    assert_int_equal(value_of(g), VOW_FD_READ);
    vow_future_cancel(g, NULL); /* too late */
    vow_unref(f);
    vow_unref(g);
    assert_int_equal(stats().events, 1);
}

static void *
cancel_it(void *f)
{
    vow_future_cancel(f, NULL);
    return NULL;
}

VOW_CASE(ready_can_be_cancelled_by_another_thread)
{
    vow_future *f = vow_loop_ready(loop, ends[0], VOW_FD_READ);
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, cancel_it, f), 0);
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    pthread_join(thread, NULL);
    vow_unref(f);
}

VOW_CASE(letting_go_of_ready_is_to_wait_no_more)
{
    vow_unref(vow_loop_ready(loop, ends[0], VOW_FD_READ));
    put(ends[1]);
    assert_int_equal(vow_loop_run_once(loop, 0), VOW_E_TIMEDOUT);
    assert_int_equal(stats().events, 0);
}

/* ---- what can fail ------------------------------------------------------------------------ */

VOW_CASE(a_file_that_is_always_ready_says_what_to_do)
{
    char name[] = "/tmp/vow_test_loop_XXXXXX";
    int fd = mkstemp(name);
    vow_future *f = vow_loop_ready(loop, fd, VOW_FD_READ);

    assert_true(fd >= 0);
    assert_int_equal(code_of(f), EPERM);
    assert_non_null(strstr(vow_error_message(vow_peek(f).error), "on a pool"));
    errno = 0;
    assert_null(vow_watch_start(loop, fd, VOW_FD_READ, NULL, VOW_NIL));
    assert_int_equal(errno, EPERM);
    vow_unref(f);
    close(fd);
    unlink(name);
}

static void
expect_refused(int fd, unsigned events, int code)
{
    vow_future *f = vow_loop_ready(loop, fd, events);

    assert_int_equal(code_of(f), code);
    vow_unref(f);
}

VOW_CASE(what_is_no_descriptor_is_refused)
{
    expect_refused(-1, VOW_FD_READ, EBADF);
    expect_refused(1 << 20, VOW_FD_READ, EBADF);
    expect_refused(60, VOW_FD_READ, EBADF); /* in the table, and closed */
}

VOW_CASE(no_event_to_wait_for_is_invalid)
{
    expect_refused(ends[0], 0, VOW_E_INVALID);
    expect_refused(ends[0], VOW_FD_HANGUP, VOW_E_INVALID);
    expect_refused(ends[0], VOW_FD_READ | 1024, VOW_E_INVALID);
    errno = 0;
    assert_null(vow_watch_start(loop, ends[0], 1024, NULL, VOW_NIL));
    assert_int_equal(errno, EINVAL);
}

VOW_CASE(ready_without_memory_is_null_or_says_so)
{
    counting_each_failure(k, COUNTING_ONCE)
    {
        vow_loop *l = vow_loop_new(NULL);
        vow_future *f = vow_loop_ready(l, ends[1], VOW_FD_WRITE);

        if (f != NULL && vow_future_status(f) == VOW_PENDING)
            assert_int_equal(vow_loop_run_until(l, f), 0);
        assert_true(code_of(f) == 0 || (counting_failed() && code_of(f) == VOW_E_NOMEM));
        vow_unref(f);
        vow_loop_unref(l);
    }
}

/* ---- callbacks ------------------------------------------------------------------------------ */

static unsigned seen;
static int calls;

static void
take_byte(vow_watch *w, unsigned events, void *ctx)
{
    (void)w;
    seen = events;
    calls++;
    if (events & VOW_FD_READ)
        get(ends[0]);
    if (ctx != NULL)
        atomic_fetch_add(&((struct drop *)ctx)->ran, 1);
}

static vow_watch *
start(int fd, unsigned events, vow_watch_fn *fn, vow_value ctx)
{
    vow_watch *w = vow_watch_start(loop, fd, events, fn, ctx);

    assert_non_null(w);
    calls = 0;
    return w;
}

VOW_CASE(a_watch_is_called_as_often_as_it_is_ready)
{
    struct drop d = {0};
    vow_watch *w = start(ends[0], VOW_FD_READ, take_byte, drop_value(&d));

    run_all();
    assert_int_equal(calls, 0);
    put(ends[1]);
    put(ends[1]);
    run_all();
    assert_int_equal(calls, 2);
    assert_int_equal(seen, VOW_FD_READ);
    assert_int_equal(drop_count(&d), 0);
    assert_int_equal(vow_watch_stop(w), 0);
    assert_int_equal(drop_count(&d), 1);
    put(ends[1]);
    run_all();
    assert_int_equal(calls, 2);
}

VOW_CASE(a_watch_can_change_what_it_waits_for)
{
    vow_watch *w = start(ends[0], VOW_FD_READ, take_byte, VOW_NIL);

    assert_int_equal(vow_watch_change(w, VOW_FD_WRITE), 0);
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_int_equal(seen, VOW_FD_WRITE);
    assert_int_equal(vow_watch_change(w, 0), 0);
    calls = 0;
    put(ends[1]);
    run_all();
    assert_int_equal(calls, 0);
    assert_int_equal(vow_watch_change(w, VOW_FD_READ), 0);
    run_all();
    assert_int_equal(calls, 1);
    assert_int_equal(vow_watch_change(w, 1024), EINVAL);
    assert_int_equal(vow_watch_stop(w), 0);
}

static void
stop_itself(vow_watch *w, unsigned events, void *ctx)
{
    struct drop *d = ctx;

    (void)events;
    calls++;
    assert_int_equal(vow_watch_stop(w), 0);
    assert_int_equal(drop_count(d), 0); /* not before it returns */
}

VOW_CASE(a_watch_can_stop_itself)
{
    struct drop d = {0};

    start(ends[1], VOW_FD_WRITE, stop_itself, drop_value(&d));
    run_all();
    assert_int_equal(calls, 1);
    assert_int_equal(drop_count(&d), 1);
}

static vow_watch *other;

static void
stop_other(vow_watch *w, unsigned events, void *ctx)
{
    (void)events;
    (void)ctx;
    calls++;
    assert_int_equal(vow_watch_stop(other), 0);
    assert_int_equal(vow_watch_stop(w), 0);
}

VOW_CASE(one_that_is_stopped_by_another_is_not_called)
{
    struct drop d = {0};
    vow_watch *w = start(ends[1], VOW_FD_WRITE, stop_other, VOW_NIL);

    (void)w;
    other = vow_watch_start(loop, ends[1], VOW_FD_WRITE, take_byte, drop_value(&d));
    run_all();
    assert_int_equal(calls, 1);
    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(a_watch_and_a_future_share_a_descriptor)
{
    vow_watch *w = start(ends[0], VOW_FD_READ, take_byte, VOW_NIL);
    vow_future *f = vow_loop_ready(loop, ends[0], VOW_FD_WRITE);

    run_all();
    assert_int_equal(value_of(f), VOW_FD_WRITE);
    assert_int_equal(calls, 0);
    put(ends[1]);
    run_all();
    assert_int_equal(calls, 1);
    assert_int_equal(vow_watch_stop(w), 0);
    vow_unref(f);
}

static bool
has_events(void)
{
    struct pollfd p = {.fd = vow_loop_fd(loop), .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static vow_promise *promise;
static int depth, deepest;

static void
run_the_loop(vow_watch *w, unsigned events, void *ctx)
{
    vow_future *f = vow_promise_future(promise);

    (void)w;
    (void)events;
    (void)ctx;
    calls++;
    depth++;
    deepest = depth > deepest ? depth : deepest;
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    if (calls == 1)
        assert_false(has_events()); /* it was called for, and is out of the epoll */
    depth--;
    vow_unref(f);
}

static void
fulfill_it(void *arg)
{
    (void)arg;
    vow_promise_fulfill(promise, VOW_NIL);
}

/* Posts itself again, so that turns go by, and fulfills it at last. */
static struct job turns;

static void
let_turns_go_by(void *left)
{
    if (--*(int *)left > 0)
        post_job(&turns);
    else
        fulfill_it(NULL);
}

VOW_CASE(a_watch_waits_while_its_callback_runs_the_loop)
{
    int left = 5;
    vow_watch *w = start(ends[1], VOW_FD_WRITE, run_the_loop, VOW_NIL);

    deepest = 0;
    promise = vow_promise_new();
    turns = job_that('.', let_turns_go_by, &left);
    post_job(&turns);
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_int_equal(calls, 1);
    assert_int_equal(deepest, 1);
    assert_int_equal(vow_loop_run_once(loop, 0), 0); /* it is back in the epoll */
    assert_int_equal(calls, 2);
    assert_int_equal(vow_watch_stop(w), 0);
    vow_promise_unref(promise);
}

VOW_CASE(another_watch_of_the_descriptor_is_called_meanwhile)
{
    int left = 5;
    vow_watch *w = start(ends[1], VOW_FD_WRITE, run_the_loop, VOW_NIL);
    vow_watch *v = start(ends[1], VOW_FD_WRITE, take_byte, VOW_NIL);

    promise = vow_promise_new();
    turns = job_that('.', let_turns_go_by, &left);
    post_job(&turns);
    calls = 1; /* so that run_the_loop does not ask for events, of which there are */
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_true(calls > 3);
    assert_int_equal(vow_watch_stop(w), 0);
    assert_int_equal(vow_watch_stop(v), 0);
    vow_promise_unref(promise);
}

static vow_result
run_until_it(vow_value events, void *f)
{
    (void)events;
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    return vow_ok(VOW_NIL);
}

/* In the step of the first of two who wait: lets turns go by meanwhile. */
static vow_result
wait_inside(vow_value events, void *second)
{
    vow_future *f = vow_promise_future(promise);

    (void)events;
    assert_int_equal(vow_loop_timeout(loop), 0); /* the second is to be told */
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    assert_int_equal(code_of(*(vow_future **)second), 0);
    vow_unref(f);
    return vow_ok(VOW_NIL);
}

VOW_CASE(a_turn_inside_a_step_tells_the_others_who_wait)
{
    int left = 5;
    vow_future *second = NULL;
    vow_future *f = vow_then(vow_loop_ready(loop, ends[0], VOW_FD_READ), NULL,
                             wait_inside, vow_ptr(&second));

    second = vow_loop_ready(loop, ends[0], VOW_FD_READ);
    promise = vow_promise_new();
    turns = job_that('.', let_turns_go_by, &left);
    post_job(&turns);
    put(ends[1]);
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_int_equal(code_of(f), 0);
    assert_int_equal(value_of(second), VOW_FD_READ);
    vow_unref(f);
    vow_unref(second);
    vow_promise_unref(promise);
}

/* The descriptor is told of once, so nobody else comes to tell the second. */
VOW_CASE(a_wait_inside_a_step_for_another_who_waits_ends)
{
    vow_future *f = vow_loop_ready(loop, ends[0], VOW_FD_READ);
    vow_future *second = vow_loop_ready(loop, ends[0], VOW_FD_READ);

    f = vow_then(f, NULL, run_until_it, vow_ptr(second));
    put(ends[1]);
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_int_equal(code_of(f), 0);
    assert_int_equal(value_of(second), VOW_FD_READ);
    vow_unref(f);
    vow_unref(second);
}

VOW_CASE(a_great_number_has_a_place_as_well)
{
    int fd = dup2(ends[1], 900);
    vow_future *f = vow_loop_ready(loop, fd, VOW_FD_WRITE);

    assert_int_equal(fd, 900);
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    assert_int_equal(value_of(f), VOW_FD_WRITE);
    vow_unref(f);
    close(fd);
}

static void
ask_for_the_timeout(vow_watch *w, unsigned events, void *ctx)
{
    (void)events;
    (void)ctx;
    calls += vow_loop_timeout(loop) == 0;
    assert_int_equal(vow_watch_stop(w), 0);
}

VOW_CASE(events_that_are_to_be_delivered_are_something_to_do)
{
    vow_watch *w = start(ends[1], VOW_FD_WRITE, ask_for_the_timeout, VOW_NIL);
    int fd = dup(ends[1]);
    vow_watch *v = start(fd, VOW_FD_WRITE, ask_for_the_timeout, VOW_NIL);

    (void)w;
    (void)v;
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_true(calls >= 1);
    close(fd);
}

static void
close_and_reopen(vow_watch *w, unsigned events, void *ctx)
{
    int fd = ends[1];

    (void)events;
    (void)ctx;
    calls++;
    assert_int_equal(vow_watch_stop(w), 0);
    assert_int_equal(vow_watch_stop(other), 0);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(fd, ends[1]); /* the same number */
    other = vow_watch_start(loop, ends[0], VOW_FD_READ, take_byte, VOW_NIL);
}

VOW_CASE(an_event_of_a_descriptor_that_was_closed_is_not_delivered)
{
    vow_watch *w = start(ends[1], VOW_FD_WRITE, close_and_reopen, VOW_NIL);

    (void)w;
    put(ends[1]);
    other = vow_watch_start(loop, ends[0], VOW_FD_READ, take_byte, VOW_NIL);
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    run_all();
    assert_int_equal(calls, 1);
    put(ends[1]);
    run_all();
    assert_int_equal(calls, 2);
    assert_int_equal(vow_watch_stop(other), 0);
}

VOW_CASE(a_number_that_was_closed_is_watched_afresh)
{
    vow_future *f = vow_loop_ready(loop, ends[1], VOW_FD_WRITE);

    assert_int_equal(vow_loop_run_until(loop, f), 0);
    vow_unref(f);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    f = vow_loop_ready(loop, ends[1], VOW_FD_WRITE);
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    assert_int_equal(value_of(f), VOW_FD_WRITE);
    vow_unref(f);
}

VOW_CASE(what_lives_on_under_another_number_is_watched_again)
{
    int kept = dup(ends[1]);
    vow_watch *w = start(ends[1], VOW_FD_PRIORITY, take_byte, VOW_NIL);
    vow_future *f;

    close(ends[1]); /* the epoll does not notice */
    assert_int_equal(vow_watch_stop(w), 0);
    assert_int_equal(dup2(kept, ends[1]), ends[1]);
    f = vow_loop_ready(loop, ends[1], VOW_FD_WRITE);
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    assert_int_equal(value_of(f), VOW_FD_WRITE);
    vow_unref(f);
    close(kept);
}

/* The epoll has let go of it with its last descriptor, and knows nothing of this one. */
VOW_CASE(a_number_that_was_reopened_before_stopping_is_watched_afresh)
{
    vow_watch *w = start(ends[0], VOW_FD_READ, take_byte, VOW_NIL);
    int other_ends[2];
    vow_future *f;

    run_all();
    assert_int_equal(pipe2(other_ends, O_NONBLOCK), 0);
    assert_int_equal(dup2(other_ends[0], ends[0]), ends[0]);
    assert_int_equal(vow_watch_stop(w), 0);
    f = vow_loop_ready(loop, ends[0], VOW_FD_READ);
    put(other_ends[1]);
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    assert_int_equal(value_of(f), VOW_FD_READ);
    vow_unref(f);
    close(other_ends[0]);
    close(other_ends[1]);
}

static vow_future *anew;

static void
close_and_wait_anew(void *old)
{
    int number = *(int *)old;

    close(ends[0]);
    close(ends[1]);
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    assert_int_equal(ends[0], number);
    anew = vow_loop_ready(loop, ends[0], VOW_FD_READ);
}

static vow_result
never_reads(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    fail();
    return vow_ok(VOW_NIL);
}

/* Its context goes before the source is asked to stop. */
VOW_CASE(a_number_that_a_cancelled_step_closes_is_watched_afresh)
{
    int number = ends[0];
    vow_future *f = vow_loop_ready(loop, ends[0], VOW_FD_READ);

    f = vow_then(f, NULL, never_reads, vow_own(&number, close_and_wait_anew));
    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    vow_unref(f);
    put(ends[1]);
    run_all();
    assert_int_equal(vow_future_status(anew), VOW_FULFILLED);
    vow_unref(anew);
}

VOW_CASE(closing_before_stopping_does_no_harm)
{
    vow_watch *w = start(ends[0], VOW_FD_READ, take_byte, VOW_NIL);

    close(ends[0]);
    assert_int_equal(vow_watch_stop(w), 0);
    ends[0] = -1;
}

static void *
touch_as_another(void *watch)
{
    assert_int_equal(vow_watch_change(watch, VOW_FD_WRITE), EPERM);
    assert_int_equal(vow_watch_stop(watch), EPERM);
    return NULL;
}

VOW_CASE(another_thread_may_not_touch_a_watch)
{
    vow_watch *w = start(ends[0], VOW_FD_READ, take_byte, VOW_NIL);
    pthread_t thread;

    run_all();
    assert_int_equal(pthread_create(&thread, NULL, touch_as_another, w), 0);
    pthread_join(thread, NULL);
    assert_int_equal(vow_watch_stop(w), 0);
}

VOW_CASE(a_watch_without_memory_is_null_with_enomem)
{
    struct drop d = {0};

    counting_fail_at(1, COUNTING_ONCE);
    errno = 0;
    assert_null(vow_watch_start(loop, ends[0], VOW_FD_READ, take_byte, drop_value(&d)));
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(drop_count(&d), 1);
    counting_fail_at(0, COUNTING_ONCE);
}

enum { CROWD = 150 };

VOW_CASE(more_descriptors_than_are_fetched_at_once)
{
    int fds[CROWD];
    vow_watch *w[CROWD];

    for (int i = 0; i < CROWD; i++) {
        fds[i] = dup(ends[1]);
        w[i] = start(fds[i], VOW_FD_WRITE, take_byte, VOW_NIL);
    }
    for (int turn = 0; turn < 3; turn++)
        assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_true(calls >= CROWD);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(vow_watch_stop(w[i]), 0);
        close(fds[i]);
    }
}

/* ---- of what was fetched together ---------------------------------------------------------- */

static int pair_fds[2];
static vow_watch *pair[2];
static struct drop pair_drops[2];

/* Two that are ready at once, in an order that the kernel knows. */
static void
start_pair(vow_watch_fn *fn)
{
    calls = 0;
    for (int i = 0; i < 2; i++) {
        pair_drops[i] = (struct drop){0};
        pair_fds[i] = dup(ends[1]);
        pair[i] = vow_watch_start(loop, pair_fds[i], VOW_FD_WRITE, fn,
                                  drop_value(&pair_drops[i]));
        assert_non_null(pair[i]);
    }
}

static void
stop_pair(void)
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(vow_watch_stop(pair[i]), 0);
}

/* Each has lost its context, once. */
static void
end_pair(void)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(drop_count(&pair_drops[i]), 1);
        close(pair_fds[i]);
    }
}

static void
stop_both(vow_watch *w, unsigned events, void *ctx)
{
    (void)w;
    (void)events;
    (void)ctx;
    calls++;
    stop_pair();
}

VOW_CASE(one_that_was_fetched_and_is_stopped_is_not_called)
{
    start_pair(stop_both);
    run_all();
    assert_int_equal(calls, 1);
    end_pair();
}

static void
want_nothing_of_the_other(vow_watch *w, unsigned events, void *ctx)
{
    (void)events;
    (void)ctx;
    calls++;
    assert_int_equal(vow_watch_change(pair[pair[0] == w], 0), 0);
}

VOW_CASE(one_that_was_fetched_and_wants_it_no_more_is_not_called)
{
    start_pair(want_nothing_of_the_other);
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_int_equal(calls, 1);
    stop_pair();
    end_pair();
}

static void *
close_the_loop(void *unused)
{
    vow_ignore(vow_executor_close(on, VOW_CANCEL_QUEUED));
    return unused;
}

static void
have_it_closed(vow_watch *w, unsigned events, void *ctx)
{
    pthread_t thread;

    (void)events;
    (void)ctx;
    calls++;
    assert_int_equal(pthread_create(&thread, NULL, close_the_loop, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(vow_watch_change(w, VOW_FD_READ), VOW_E_CLOSED);
    assert_int_equal(drop_count(&pair_drops[0]) + drop_count(&pair_drops[1]), 0);
}

VOW_CASE(a_close_by_another_thread_leaves_watches_to_the_one_that_runs)
{
    start_pair(have_it_closed);
    assert_int_equal(vow_loop_run_once(loop, 0), VOW_E_CLOSED);
    assert_int_equal(calls, 1);
    end_pair();
    stop_pair();
}

static void
leave(vow_watch *w, unsigned events, void *ctx)
{
    (void)w;
    (void)events;
    (void)ctx;
    calls++;
    pthread_exit(NULL);
}

static void *
run_it(void *unused)
{
    vow_loop_run(loop);
    return unused;
}

/* Its thread exits inside the first; nobody runs it then, so this one ends the second. */
VOW_CASE(one_that_was_fetched_by_a_thread_that_exits_is_ended_by_a_close)
{
    pthread_t thread;

    start_pair(leave);
    assert_int_equal(pthread_create(&thread, NULL, run_it, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(calls, 1);
    close_the_loop(NULL);
    end_pair();
    stop_pair();
}

static void
have_it_closed_and_leave(vow_watch *w, unsigned events, void *ctx)
{
    have_it_closed(w, events, ctx);
    pthread_exit(NULL);
}

VOW_CASE(what_a_close_has_left_to_a_thread_that_exits_is_ended_by_that)
{
    pthread_t thread;

    start_pair(have_it_closed_and_leave);
    assert_int_equal(pthread_create(&thread, NULL, run_it, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(calls, 1);
    end_pair();
    stop_pair();
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        pipe_test(ready_is_fulfilled_when_there_is_something_to_read),
        pipe_test(ready_again_needs_no_new_place),
        pipe_test(what_nobody_waits_for_any_more_is_not_looked_at),
        pipe_test(a_hang_up_is_reported),
        socket_test(one_waits_to_read_and_one_to_write),
        pipe_test(all_who_wait_are_told_in_their_order),
        pipe_test(ready_can_be_cancelled),
        pipe_test(ready_can_be_cancelled_by_another_thread),
        pipe_test(letting_go_of_ready_is_to_wait_no_more),
        loop_test(a_file_that_is_always_ready_says_what_to_do),
        pipe_test(what_is_no_descriptor_is_refused),
        pipe_test(no_event_to_wait_for_is_invalid),
        pipe_test(ready_without_memory_is_null_or_says_so),
        pipe_test(a_watch_is_called_as_often_as_it_is_ready),
        socket_test(a_watch_can_change_what_it_waits_for),
        pipe_test(a_watch_can_stop_itself),
        pipe_test(one_that_is_stopped_by_another_is_not_called),
        socket_test(a_watch_and_a_future_share_a_descriptor),
        pipe_test(a_watch_waits_while_its_callback_runs_the_loop),
        socket_test(an_event_of_a_descriptor_that_was_closed_is_not_delivered),
        pipe_test(a_number_that_was_closed_is_watched_afresh),
        pipe_test(what_lives_on_under_another_number_is_watched_again),
        pipe_test(a_number_that_was_reopened_before_stopping_is_watched_afresh),
        pipe_test(a_number_that_a_cancelled_step_closes_is_watched_afresh),
        pipe_test(closing_before_stopping_does_no_harm),
        pipe_test(another_thread_may_not_touch_a_watch),
        pipe_test(a_watch_without_memory_is_null_with_enomem),
        pipe_test(more_descriptors_than_are_fetched_at_once),
        pipe_test(another_watch_of_the_descriptor_is_called_meanwhile),
        pipe_test(a_turn_inside_a_step_tells_the_others_who_wait),
        pipe_test(a_wait_inside_a_step_for_another_who_waits_ends),
        pipe_test(a_great_number_has_a_place_as_well),
        pipe_test(events_that_are_to_be_delivered_are_something_to_do),
        pipe_test(one_that_was_fetched_and_is_stopped_is_not_called),
        pipe_test(one_that_was_fetched_and_wants_it_no_more_is_not_called),
        pipe_test(a_close_by_another_thread_leaves_watches_to_the_one_that_runs),
        pipe_test(one_that_was_fetched_by_a_thread_that_exits_is_ended_by_a_close),
        pipe_test(what_a_close_has_left_to_a_thread_that_exits_is_ended_by_that),
    };

    return vow_test_run(cases);
}
