/* SPDX-License-Identifier: MIT */
/* Gates: passed at once, or slept at until another thread opens them. */
#include "vow_test.h"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

#include <vow/future.h>

#include "base/sys.h"
#include "sync/gate.h"

static struct vowi_gate gate;
static int before_it_opened;

VOW_CASE(gate_that_is_open_is_passed_without_a_sleep)
{
    vowi_gate_open(&gate);
    assert_false(vowi_gate_pass(&gate));
    vowi_gate_shut(&gate);
    vowi_gate_open(&gate);
    assert_false(vowi_gate_pass(&gate));
}

/* Opens it when somebody is about to sleep there, or does. */
static void *
opens_when_slept_at(void *unused)
{
    (void)unused;
    while (vowi_load_acquire(&gate.state) != VOWI_GATE_SLEPT_AT)
        sched_yield();
    before_it_opened++;
    vowi_gate_open(&gate);
    return NULL;
}

VOW_CASE(gate_that_is_shut_is_slept_at_until_it_opens)
{
    before_it_opened = 0;
    for (int i = 0; i < 200; i++) {
        pthread_t thread;

        vowi_gate_shut(&gate);
        assert_int_equal(pthread_create(&thread, NULL, opens_when_slept_at, NULL), 0);
        assert_true(vowi_gate_pass(&gate));
        assert_int_equal(before_it_opened, i + 1);
        pthread_join(thread, NULL);
    }
}

VOW_CASE(gate_that_stays_shut_is_waited_at_until_a_time_has_come)
{
    vow_ns until = vow_now() + vow_ms(1);

    vowi_gate_shut(&gate);
    assert_false(vowi_gate_pass_until(&gate, until));
    assert_true(vow_now() >= until);
    assert_false(vowi_gate_pass_until(&gate, until)); /* which is over */
    vowi_gate_open(&gate);
    assert_true(vowi_gate_pass_until(&gate, until));
}

VOW_CASE(gate_that_opens_in_time_is_passed)
{
    before_it_opened = 0;
    for (int i = 0; i < 200; i++) {
        pthread_t thread;

        vowi_gate_shut(&gate);
        assert_int_equal(pthread_create(&thread, NULL, opens_when_slept_at, NULL), 0);
        assert_true(vowi_gate_pass_until(&gate, VOW_FOREVER));
        assert_int_equal(before_it_opened, i + 1);
        pthread_join(thread, NULL);
    }
}

/* The slack of a thread is its user's. */
VOW_CASE(gate_leaves_the_thread_its_timer_slack)
{
    int slack = prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL);

    assert_int_equal(prctl(PR_SET_TIMERSLACK, 40000UL, 0UL, 0UL, 0UL), 0);
    vowi_gate_shut(&gate);
    assert_false(vowi_gate_pass_until(&gate, vow_now()));
    assert_int_equal(prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL), 40000);
    prctl(PR_SET_TIMERSLACK, (unsigned long)slack, 0UL, 0UL, 0UL);
}

/* As others do whose memory was at that address before. */
static void *
wakes_for_no_reason_then_opens(void *unused)
{
    (void)unused;
    while (vowi_load_acquire(&gate.state) != VOWI_GATE_SLEPT_AT)
        sched_yield();
    for (int i = 0; i < 100; i++) {
        vowi_sys_futex_wake(&gate.state);
        sched_yield();
    }
    before_it_opened++;
    vowi_gate_open(&gate);
    return NULL;
}

VOW_CASE(gate_is_not_passed_for_a_wake_without_a_reason)
{
    pthread_t thread;

    before_it_opened = 0;
    vowi_gate_shut(&gate);
    assert_int_equal(pthread_create(&thread, NULL, wakes_for_no_reason_then_opens, NULL),
                     0);
    assert_true(vowi_gate_pass(&gate));
    assert_int_equal(before_it_opened, 1);
    pthread_join(thread, NULL);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(gate_that_is_open_is_passed_without_a_sleep),
        vow_test(gate_that_is_shut_is_slept_at_until_it_opens),
        vow_test(gate_that_stays_shut_is_waited_at_until_a_time_has_come),
        vow_test(gate_that_opens_in_time_is_passed),
        vow_test(gate_leaves_the_thread_its_timer_slack),
        vow_test(gate_is_not_passed_for_a_wake_without_a_reason),
    };

    return vow_test_run(cases);
}
