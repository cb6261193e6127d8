/* SPDX-License-Identifier: MIT */
/*
 * resilience/bulkhead_internal.h - for a policy, whose layers call each other without a
 * task between.
 */
#ifndef VOWI_RESILIENCE_BULKHEAD_INTERNAL_H
#define VOWI_RESILIENCE_BULKHEAD_INTERNAL_H

#include <vow/bulkhead.h>

/* Takes a place if there is one; counts nothing if there is none. */
bool vowi_bulkhead_enter(vow_bulkhead *b);

/* Gives the place back when a call settles. Consumes its future; returns one that settles
 * likewise, NULL without memory. */
vow_future *vowi_bulkhead_watch(vow_bulkhead *b, vow_future *f);

#endif
