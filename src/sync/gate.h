/* SPDX-License-Identifier: MIT */
/*
 * sync/gate.h - where one thread sleeps until another lets it go on: a word, on a futex.
 *
 * Its thread shuts it before others can know that it is about to sleep. Whoever is to wake
 * it opens it, once. An open gate is passed without a sleep, and one that nobody sleeps at
 * is opened without a system call. A parker (sync/park.h) has a mutex, which the woken
 * thread takes and its waker still holds: one wake in many becomes two. A gate has none.
 * The price: its memory may be gone when its waker tells the kernel, for an opened gate is
 * passed at once. The kernel only looks for who sleeps at that address. If somebody else
 * does by then, it wakes for no reason, for which every sleep on a futex is prepared.
 *
 * Edge:
 *     [gate]  what was done before it was opened, to whoever passes it
 */
#ifndef VOWI_SYNC_GATE_H
#define VOWI_SYNC_GATE_H

#include <vow/base.h>

#include "base/atomic.h"

enum { VOWI_GATE_OPEN, VOWI_GATE_SHUT, VOWI_GATE_SLEPT_AT };

/* Zero is open. */
struct vowi_gate {
    _Atomic(uint32_t) state;
};

/* By the gate's own thread, which has passed it. */
static inline void
vowi_gate_shut(struct vowi_gate *g)
{
    /* relaxed: how others learn of the sleeper tells them of this as well */
    vowi_store_relaxed(&g->state, VOWI_GATE_SHUT);
}

/* By the gate's own thread: sleeps until it is open. Returns false if it was already. */
bool vowi_gate_pass(struct vowi_gate *g);

/* The same, until a time on the monotonic clock at most. Returns false if that has come
 * and it is shut: it may be passed later, or shut again if nobody is to open it. */
bool vowi_gate_pass_until(struct vowi_gate *g, vow_ns until);

/* Lets the gate's thread pass. */
void vowi_gate_open(struct vowi_gate *g);

#endif
