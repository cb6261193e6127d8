/* SPDX-License-Identifier: MIT */
/* sync/spin.c - waiting for a lock that is held for a few instructions. */
#include "sync/spin.h"

#include <sched.h>

#include "base/fork.h"

#define ROUNDS 64 /* of a pause, before the processor is given away */

/* relaxed: only whether to try; the exchange orders. Returns false if it will not be free,
 * since its holder was left behind by fork: then it is the caller's. */
static bool
wait_until_free(struct vowi_spin *l)
{
    unsigned round = 0;

    while (vowi_load_relaxed(&l->held)) {
        vowi_relax();
        if (++round % ROUNDS == 0)
            sched_yield();
        if (vowi_fork_lost_bit(round))
            return false;
    }
    return true;
}

void
vowi_spin_acquire_slow(struct vowi_spin *l)
{
    while (wait_until_free(l) && vowi_swap_acquire(&l->held, true)) /* [spin] */
        ;
}
