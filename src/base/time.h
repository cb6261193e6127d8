/* SPDX-License-Identifier: MIT */
/* base/time.h - reading clocks, and adding times without overflow. */
#ifndef VOWI_BASE_TIME_H
#define VOWI_BASE_TIME_H

#include <stdint.h>
#include <time.h>

#include <vow/executor.h>

/* The monotonic clock, whatever vow_clock_use says. */
vow_ns vowi_monotonic_now(void);

/* The time on a clock; NULL: on the one in force here (vow_now). */
static inline vow_ns
vowi_now_on(const vow_clock *clock)
{
    return clock != NULL ? vow_clock_now(clock) : vow_now();
}

/* a + b, at most VOW_FOREVER, at least INT64_MIN. */
static inline vow_ns
vowi_time_add(vow_ns a, vow_ns b)
{
    vow_ns sum;

    if (!__builtin_add_overflow(a, b, &sum))
        return sum;
    return b > 0 ? INT64_MAX : INT64_MIN;
}

/* a - b, likewise. */
static inline vow_ns
vowi_time_sub(vow_ns a, vow_ns b)
{
    vow_ns difference;

    if (!__builtin_sub_overflow(a, b, &difference))
        return difference;
    return b < 0 ? INT64_MAX : INT64_MIN;
}

/* The clock that is in force in the process; NULL: the real one. */
vow_clock *vowi_process_clock(void);

/* The one that vow_now reads: that of the executor whose task runs here, or that. */
vow_clock *vowi_clock_here(void);

/*
 * Who fires timers on a clock: the executor to arm them at. NULL is the clock in force
 * here. Returns NULL only if the default pool cannot be had. In core/timer.c.
 */
vow_executor *vowi_clock_timers(vow_clock *clock);

/* vow_timer_arm for that one, on that clock. */
int vowi_timer_arm_by(vow_clock *clock, vow_timer *timer, vow_ns when);

/* The timer thread of the process, as an executor with timers: executors/delayed.c. */
vow_executor *vowi_timer_thread(void);

/*
 * vow_timer_fire for several that are due, linked by their tasks: all are for one executor,
 * which gets them with one post if it takes lists. In core/timer.c.
 */
void vowi_timers_fire(vow_timer *first, size_t n);

/* Ends the thread if it runs, and waits for that; what is armed stays armed. The next
 * arm starts it again. */
void vowi_timer_thread_stop(void);

/*
 * Around a fork. Before it the lock of the timer thread's wheel is taken, so that the child
 * finds the wheel whole; after it both processes let go of it. The child has no such
 * thread: the next arm starts one, which also finishes what was armed before the fork.
 */
void vowi_timer_thread_before_fork(void);
void vowi_timer_thread_after_fork(bool in_child);

/* A time on the monotonic clock, not before its zero, as the kernel wants it; if that has no
 * word for it, the last it has a word for, 68 years after the zero. */
struct timespec vowi_timespec(vow_ns t);

#endif
