/* SPDX-License-Identifier: MIT */
/*
 * pthread_cancel: a request to end a thread that is pending as the thread calls the library
 * has no effect inside of it, and has one at the next point of the thread's own.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/time.h"
#include "base/warn.h"
#include "support/drops.h"

/* What a thread does that is to end. */
struct trial {
    vow_fn *run;
    void *arg;
    atomic_int asked;
    atomic_bool returned;
};

static void *
run_trial(void *arg)
{
    struct trial *t = arg;
    int old;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    await_flag(&t->asked, 1);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
    t->run(t->arg);
    atomic_store(&t->returned, true);
    pthread_testcancel();
    return NULL;
}

/* Such a call returns, and only then the thread ends. */
static void
assert_returns(vow_fn *run, void *arg)
{
    struct trial t = {.run = run, .arg = arg};
    pthread_t thread;
    void *result;

    assert_int_equal(pthread_create(&thread, NULL, run_trial, &t), 0);
    assert_int_equal(pthread_cancel(thread), 0);
    atomic_store(&t.asked, 1);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_true(t.returned);
    assert_true(result == PTHREAD_CANCELED);
}

/* ---- sleeps ----------------------------------------------------------------------------- */

static void
wait_a_little(void *f)
{
    assert_false(vow_wait(f, vow_ms(1)));
}

/* It would leave its node on the state, and whoever settles would wait for its mutex. */
VOW_CASE(thread_that_is_to_end_returns_from_a_wait)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_returns(wait_a_little, f);
    assert_true(vow_promise_fulfill(p, VOW_NIL));
    assert_int_equal(code_of(f), 0);
    vow_promise_unref(p);
    vow_unref(f);
}

static void
join(void *pool)
{
    assert_int_equal(vow_executor_join(pool), 0);
}

VOW_CASE(thread_that_is_to_end_returns_from_a_join)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));

    assert_non_null(pool);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_returns(join, pool);
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
}

static void
nap(void *arg)
{
    (void)arg;
    vowi_sys_nap(50000);
}

VOW_CASE(thread_that_is_to_end_returns_from_a_nap)
{
    assert_returns(nap, NULL);
}

/* ---- a loop -------------------------------------------------------------------------------- */

static void
run_turns(void *arg)
{
    vow_loop *loop = vow_loop_new(NULL);

    (void)arg;
    assert_non_null(loop);
    assert_int_equal(vow_loop_run_once(loop, 0), VOW_E_TIMEDOUT);
    assert_int_equal(vow_loop_run_once(loop, 1), VOW_E_TIMEDOUT);
    vow_loop_unref(loop);
}

VOW_CASE(thread_that_is_to_end_runs_a_loop_to_its_end)
{
    assert_returns(run_turns, NULL);
}

static void
use_descriptors(void *arg)
{
    int fd = -1, number = 0;
    sigset_t none;

    (void)arg;
    sigemptyset(&none);
    assert_int_equal(vowi_sys_eventfd(&fd), 0);
    vowi_sys_notify(fd);
    vowi_sys_close(fd);
    fd = -1;
    assert_int_equal(vowi_sys_signalfd(&fd, &none), 0);
    assert_int_equal(vowi_sys_read_signal(fd, &number), EAGAIN);
    vowi_sys_close(fd);
}

VOW_CASE(thread_that_is_to_end_uses_its_descriptors)
{
    assert_returns(use_descriptors, NULL);
}

/* ---- files ------------------------------------------------------------------------------------ */

static void
count_cpus(void *arg)
{
    (void)arg;
    assert_true(vow_cpu_count() >= 1);
}

VOW_CASE(thread_that_is_to_end_counts_the_cpus)
{
    assert_returns(count_cpus, NULL);
}

static void
print_all(void *stream)
{
    vow_manual *m = vow_manual_new();

    vow_error_print(vow_error_of(VOW_E_TIMEDOUT), stream);
    assert_int_equal(vow_executor_dump(vow_manual_executor(m), stream), 0);
    vow_policy_print(NULL, stream);
    vow_manual_unref(m);
}

/* Each of these writes at once. */
VOW_CASE(thread_that_is_to_end_prints_all_and_lets_go_of_the_stream)
{
    FILE *stream = fopen("/dev/null", "w");

    assert_non_null(stream);
    setbuf(stream, NULL);
    assert_returns(print_all, stream);
    assert_int_equal(ftrylockfile(stream), 0);
    funlockfile(stream);
    fclose(stream);
}

static void
warn_and_drop(void *arg)
{
    (void)arg;
    vowi_warn(EAGAIN, "this is a test");
    vow_unref(vow_rejected(vow_error_of(VOW_E_TIMEDOUT)));
}

VOW_CASE(thread_that_is_to_end_says_what_there_is_to_say)
{
    assert_returns(warn_and_drop, NULL);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(thread_that_is_to_end_returns_from_a_wait),
        vow_test(thread_that_is_to_end_returns_from_a_join),
        vow_test(thread_that_is_to_end_returns_from_a_nap),
        vow_test(thread_that_is_to_end_runs_a_loop_to_its_end),
        vow_test(thread_that_is_to_end_uses_its_descriptors),
        vow_test(thread_that_is_to_end_counts_the_cpus),
        vow_test(thread_that_is_to_end_prints_all_and_lets_go_of_the_stream),
        vow_test(thread_that_is_to_end_says_what_there_is_to_say),
    };

    return vow_test_run(cases);
}
