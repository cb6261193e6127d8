/* SPDX-License-Identifier: MIT */
/* sync/spin.c - waiting for a lock that is held for a few instructions. */
#include "sync/spin.h"

#include <sched.h>

#include "base/sys.h"
#include "base/thread.h"

/*
 * In a child of fork the holder may be a thread that was left behind. A holder that lives
 * needs a processor for a moment, and has had one before so many naps are over, however
 * many others want one: the more there are, the later a nap ends. To yield so often instead
 * would take a time slice of all of them at each turn.
 */
enum {
    ROUNDS = 64, /* of a pause, before the processor is given away */
    YIELDS = 16, /* such turns before a child naps */
    NAPS = 400,  /* then it has been left behind */
    NAP = 1000000
};

bool
vowi_spin_wait(unsigned *round)
{
    unsigned turn = ++*round / ROUNDS;

    vowi_relax();
    if (*round % ROUNDS != 0)
        return true;
    if (turn < YIELDS || vowi_globals.forks == 0) {
        sched_yield();
        return true;
    }
    vowi_sys_nap(NAP);
    return turn < YIELDS + NAPS;
}

/* relaxed: only whether to try; the exchange orders. Returns false if it is the caller's
 * without one. */
static bool
wait_until_free(struct vowi_spin *l)
{
    unsigned round = 0;

    while (vowi_load_relaxed(&l->held))
        if (!vowi_spin_wait(&round))
            return false;
    return true;
}

void
vowi_spin_acquire_slow(struct vowi_spin *l)
{
    while (wait_until_free(l) && vowi_swap_acquire(&l->held, true)) /* [spin] */
        ;
}
