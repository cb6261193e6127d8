/* SPDX-License-Identifier: MIT */
/* sync/spin.c - waiting for a lock that is held for a few instructions. */
#include "sync/spin.h"

#include <sched.h>

#include "base/fork.h"

#define ROUNDS 64 /* of a pause, before the processor is given away */

bool
vowi_spin_wait(unsigned *round)
{
    vowi_relax();
    if (++*round % ROUNDS == 0)
        sched_yield();
    return !vowi_fork_lost_bit(*round);
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
