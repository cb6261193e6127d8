/* SPDX-License-Identifier: MIT */
/*
 * core/linger.h - what a wait does before it sleeps.
 */
#ifndef VOWI_CORE_LINGER_H
#define VOWI_CORE_LINGER_H

#include "base/thread.h"
#include "core/state.h"

/* ns for which a wait may look before it sleeps; 0: it does not, nor does it learn. */
#ifndef VOWI_SPIN_MAX
#define VOWI_SPIN_MAX 50000
#endif

/* The first look, without one at the clock, which would be much of so short a wait: whether s
 * has settled. Then the wait is over, and learnt from. It is a short one after a wake. */
bool vowi_linger_glance(struct vowi_thread *t, struct vow_state *s);

/* Looks on for a while, from a time on and until a deadline; returns whether s has settled. */
bool vowi_linger(struct vowi_thread *t, struct vow_state *s, vow_ns start,
                 vow_ns deadline);

/* A thread of no executor that only reads, future after future, sleeps for a fixed time,
 * and nobody wakes it. Returns whether s has settled. */
bool vowi_nap(struct vowi_thread *t, struct vow_state *s);

/* A wait has ended that began at a time. */
void vowi_linger_learn(struct vowi_thread *t, vow_ns start);

#endif
