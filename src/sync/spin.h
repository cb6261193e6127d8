/* SPDX-License-Identifier: MIT */
/*
 * sync/spin.h - a lock of one byte, for a few instructions.
 *
 * For what is linked, unlinked or counted at once: nothing is called, allocated or
 * locked while it is held. Free, it costs one exchange and one store, where a mutex
 * costs two read-modify-writes and 40 bytes, and may fail to be made. A waiter spins,
 * and yields the processor once in a while, in case the holder was preempted.
 *
 * Edge:
 *     [spin]  what one holder wrote, to the next one
 */
#ifndef VOWI_SYNC_SPIN_H
#define VOWI_SYNC_SPIN_H

#include "base/atomic.h"
#include "base/check.h"

/* Zero is free. */
struct vowi_spin {
    atomic_bool held;
};

/* A round of waiting for what somebody holds for a few instructions; counts it. False: its
 * holder was left behind by a fork, and it is the caller's. */
bool vowi_spin_wait(unsigned *round);

/* The rest of an acquire that found it held. */
void vowi_spin_acquire_slow(struct vowi_spin *l);

static inline void
vowi_spin_acquire(struct vowi_spin *l)
{
    if (vowi_unlikely(vowi_swap_acquire(&l->held, true))) /* [spin] */
        vowi_spin_acquire_slow(l);
}

static inline void
vowi_spin_release(struct vowi_spin *l)
{
    vowi_store_release(&l->held, false); /* [spin] */
}

#endif
