/* SPDX-License-Identifier: MIT */
/*
 * core/timer.h - timers of the library's own.
 */
#ifndef VOWI_CORE_TIMER_H
#define VOWI_CORE_TIMER_H

#include <vow/delayed.h>

#include "base/thread.h"

/*
 * vow_timer_arm in two steps. The first decides where a timer is armed, which is its home
 * from then on. After the second it may be gone. If nobody asks whether it runs or has
 * run, that need not be tracked: disarm says VOW_REMOVED or something else.
 */
int vowi_timer_place(vow_executor *on, vow_timer *timer);
int vowi_timer_start(vow_timer *timer, vow_ns when, bool asked);

/* For whoever fires timers on a clock; NULL: the clock in force here. */
int vowi_timer_place_by(vow_clock *clock, vow_timer *timer);

/* The time on the clock on which a timer for an executor is armed; NULL: the one here. */
vow_ns vowi_timer_now(const vow_executor *on);

/* An executor has closed: its timers that are armed elsewhere end now. */
void vowi_timers_revoke(vow_executor *on);

/* In a forked child no timer runs. */
void vowi_timers_in_child(void);

#endif
