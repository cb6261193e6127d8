/* SPDX-License-Identifier: MIT */
/*
 * executors/timekeeper.h - a worker with nothing to do fires timers in the timer thread's
 * place: executors/delayed.c. For a thread that would sleep otherwise.
 */
#ifndef VOWI_EXECUTORS_TIMEKEEPER_H
#define VOWI_EXECUTORS_TIMEKEEPER_H

#include <stddef.h>

#include <vow/executor.h>

/* Makes the caller the keeper. Returns until when it may sleep; INT64_MIN: not at all;
 * VOW_FOREVER: it is not the keeper, since another one is, or nothing is due soon. */
vow_ns vowi_timekeeper_begin(void);

/* The keeper is awake, since its time has come: takes what is due, for vowi_timers_fire. To
 * be called again with how many it has fired, until that returns NULL. */
vow_timer *vowi_timekeeper_take(size_t fired, size_t *n);

/* The keeper's thread exits in what it has taken. */
void vowi_timekeeper_exits(void);

/* The keeper is awake for another reason. */
void vowi_timekeeper_end(void);

#endif
