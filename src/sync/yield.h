/* SPDX-License-Identifier: MIT */
/*
 * sync/yield.h - giving the CPU to others of this process, and when not to.
 *
 * A yield that comes back late has given a turn to somebody else, who may not sleep for long.
 * So for many times as long nobody in this process yields so: what all of them lose is a
 * small share of the time, whatever else runs here.
 */
#ifndef VOWI_SYNC_YIELD_H
#define VOWI_SYNC_YIELD_H

#include <stdbool.h>

#include <vow/base.h>

/* Whether it is time for one. Of vowi_monotonic_now. */
bool vowi_may_yield(vow_ns now);

/* Yields. */
void vowi_yield(vow_ns now);

/* A yield lasted so long. */
void vowi_yield_lasted(vow_ns from, vow_ns until);

#endif
