/* SPDX-License-Identifier: MIT */
/* Signals as futures. */
#include "loop_fixture.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static void
expect_number(vow_future *f, int number)
{
    assert_int_equal(code_of(f), 0);
    assert_int_equal(vow_peek(f).value.as.i64, number);
    vow_unref(f);
}

VOW_CASE(a_signal_settles_all_who_wait_for_it)
{
    vow_future *f = vow_loop_signal(loop, SIGUSR1);
    vow_future *g = vow_loop_signal(loop, SIGUSR1);
    vow_future *h = vow_loop_signal(loop, SIGUSR2);

    run_all();
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    kill(getpid(), SIGUSR1);
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    expect_number(f, SIGUSR1);
    expect_number(g, SIGUSR1);
    assert_int_equal(vow_future_status(h), VOW_PENDING);
    kill(getpid(), SIGUSR2);
    run_all();
    expect_number(h, SIGUSR2);
    assert_int_equal(stats().events, 3);
}

VOW_CASE(one_that_comes_while_nobody_waits_is_kept)
{
    vow_future *f = vow_loop_signal(loop, SIGUSR1);
    vow_future *other = vow_loop_signal(loop, SIGUSR2);

    kill(getpid(), SIGUSR1);
    run_all();
    expect_number(f, SIGUSR1);
    kill(getpid(), SIGUSR1);
    run_all();
    assert_int_equal(vow_loop_run_once(loop, 0), VOW_E_TIMEDOUT);
    f = vow_loop_signal(loop, SIGUSR1);
    run_all();
    expect_number(f, SIGUSR1);
    assert_int_equal(vow_future_status(other), VOW_PENDING);
    vow_unref(other);
}

VOW_CASE(each_of_two_queued_signals_settles_one)
{
    vow_future *f = vow_loop_signal(loop, SIGRTMIN);

    kill(getpid(), SIGRTMIN);
    kill(getpid(), SIGRTMIN);
    run_all();
    expect_number(f, SIGRTMIN);
    f = vow_loop_signal(loop, SIGRTMIN);
    run_all();
    expect_number(f, SIGRTMIN);
    f = vow_loop_signal(loop, SIGRTMIN);
    run_all();
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_unref(f);
}

static void *
cancel_it(void *f)
{
    vow_future_cancel(f, NULL);
    return NULL;
}

VOW_CASE(waiting_can_be_cancelled_also_by_another_thread)
{
    vow_future *f = vow_loop_signal(loop, SIGUSR1);
    vow_future *g = vow_loop_signal(loop, SIGUSR1);
    pthread_t thread;

    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(pthread_create(&thread, NULL, cancel_it, g), 0);
    assert_int_equal(vow_loop_run_until(loop, g), 0);
    assert_int_equal(code_of(g), VOW_E_CANCELLED);
    pthread_join(thread, NULL);
    vow_unref(f);
    vow_unref(g);
    vow_unref(vow_loop_signal(loop, SIGUSR1)); /* nobody wants it */
    assert_int_equal(vow_loop_run_once(loop, 0), VOW_E_TIMEDOUT);
}

static void
expect_invalid(int number)
{
    vow_future *f = vow_loop_signal(loop, number);

    assert_int_equal(code_of(f), EINVAL);
    vow_unref(f);
}

static vow_result
run_until_it(vow_value number, void *f)
{
    (void)number;
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    return vow_ok(VOW_NIL);
}

static vow_result
cancel_in_step(vow_value number, void *f)
{
    (void)number;
    vow_future_cancel(f, NULL);
    return vow_ok(VOW_NIL);
}

static vow_result
close_in_step(vow_value number, void *nothing)
{
    (void)number;
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    return vow_ok(vow_ptr(nothing));
}

/* Two wait for a signal, which comes: what the second gets if the first does so. */
static void
expect_of_second(vow_then_fn *step, int code)
{
    vow_future *f = vow_loop_signal(loop, SIGUSR1);
    vow_future *second = vow_loop_signal(loop, SIGUSR1);

    f = vow_then(f, NULL, step, vow_ptr(second));
    kill(getpid(), SIGUSR1);
    run_all();
    assert_int_equal(code_of(f), 0);
    assert_int_equal(code_of(second), code);
    vow_unref(f);
    vow_unref(second);
}

VOW_CASE(a_wait_inside_a_step_for_another_who_waits_ends)
{
    expect_of_second(run_until_it, 0);
}

VOW_CASE(a_step_may_cancel_another_who_waits)
{
    expect_of_second(cancel_in_step, VOW_E_CANCELLED);
}

VOW_CASE(a_step_may_close_the_loop_under_another_who_waits)
{
    expect_of_second(close_in_step, VOW_E_CLOSED);
}

VOW_CASE(what_is_no_signal_is_invalid)
{
    expect_invalid(0);
    expect_invalid(-1);
    expect_invalid(1000);
    expect_invalid(SIGKILL);
    expect_invalid(SIGSTOP);
}

/* Takes it from the kernel, for the cases after this one. */
static void
accept_signal(int number)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, number);
    assert_int_equal(sigwaitinfo(&set, NULL), number);
}

VOW_CASE(closing_settles_who_waits)
{
    vow_future *f = vow_loop_signal(loop, SIGUSR1);

    vow_unref(vow_executor_close(on, VOW_DRAIN));
    assert_int_equal(code_of(f), VOW_E_CLOSED);
    vow_unref(f);
    f = vow_loop_signal(loop, SIGUSR1);
    assert_int_equal(code_of(f), VOW_E_CLOSED);
    vow_unref(f);
}

/* So a loop that drains, inside an inner run say, may sleep; and whoever polls its descriptor. */
static void
close_and_signal(void *arg)
{
    struct pollfd p = {.fd = vow_loop_fd(loop), .events = POLLIN};

    vow_unref(vow_executor_close(on, VOW_DRAIN));
    kill(getpid(), SIGUSR1);
    *(int *)arg = poll(&p, 1, 0);
}

/* By then the loop has seen that something was posted to it. */
static void
close_in_the_next_turn(void *arg)
{
    assert_int_equal(vow_post(on, close_and_signal, vow_ptr(arg)), 0);
}

VOW_CASE(a_signal_that_comes_after_the_close_does_not_wake_it)
{
    vow_future *f = vow_loop_signal(loop, SIGUSR1);
    int ready = -1;

    assert_int_equal(vow_post(on, close_in_the_next_turn, vow_ptr(&ready)), 0);
    assert_int_equal(vow_loop_run(loop), 0);
    assert_int_equal(ready, 0);
    assert_int_equal(code_of(f), VOW_E_CLOSED);
    vow_unref(f);
    accept_signal(SIGUSR1);
}

VOW_CASE(without_memory_it_is_null)
{
    counting_each_failure(k, COUNTING_ONCE)
    {
        vow_future *f = vow_loop_signal(loop, SIGUSR1);

        if (counting_failed())
            assert_int_equal(code_of(f), VOW_E_NOMEM);
        vow_unref(f);
    }
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        loop_test(a_signal_settles_all_who_wait_for_it),
        loop_test(one_that_comes_while_nobody_waits_is_kept),
        loop_test(each_of_two_queued_signals_settles_one),
        loop_test(waiting_can_be_cancelled_also_by_another_thread),
        loop_test(a_wait_inside_a_step_for_another_who_waits_ends),
        loop_test(a_step_may_cancel_another_who_waits),
        loop_test(a_step_may_close_the_loop_under_another_who_waits),
        loop_test(what_is_no_signal_is_invalid),
        loop_test(closing_settles_who_waits),
        loop_test(a_signal_that_comes_after_the_close_does_not_wake_it),
        loop_test(without_memory_it_is_null),
    };

    return vow_test_run(cases);
}
