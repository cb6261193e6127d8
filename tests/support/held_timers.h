/* SPDX-License-Identifier: MIT */
/**
 * @file held_timers.h
 * The timer thread, kept from firing: it posts to an executor that does not return.
 */
#ifndef VOW_TEST_HELD_TIMERS_H
#define VOW_TEST_HELD_TIMERS_H

#include "vow_test.h"

#include <vow/vow.h>

#include "drops.h"

static struct {
    atomic_int entered, open;
} held;

static inline int
post_and_hold(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    atomic_store(&held.entered, 1);
    await_flag(&held.open, 1);
    return 0;
}

static const vow_executor_ops holding_ops = {
    .size = sizeof(vow_executor_ops), .name = "holding", .post = post_and_hold};
static vow_executor holding = {&holding_ops, NULL};

/** Returns when it is held. The timer must have a run, which is not called. */
static inline void
hold_timer_thread(vow_timer *timer)
{
    atomic_store(&held.entered, 0);
    atomic_store(&held.open, 0);
    assert_int_equal(vow_timer_arm(&holding, timer, vow_now()), 0);
    await_flag(&held.entered, 1);
}

/** Lets it go on: the timer has been posted, to where nothing runs. */
static inline void
let_timer_thread_go(void)
{
    atomic_store(&held.open, 1);
}

#endif
