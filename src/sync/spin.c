/* SPDX-License-Identifier: MIT */
/* sync/spin.c - waiting for a lock that is held for a few instructions. */
#include "sync/spin.h"

#include <sched.h>

#define ROUNDS 64 /* of a pause, before the processor is given away */

/* relaxed: only whether to try; the exchange orders. */
static void
wait_until_free(struct vowi_spin *l)
{
    unsigned round = 0;

    while (vowi_load_relaxed(&l->held)) {
        vowi_relax();
        if (++round % ROUNDS == 0)
            sched_yield();
    }
}

void
vowi_spin_acquire_slow(struct vowi_spin *l)
{
    do {
        wait_until_free(l);
    } while (vowi_swap_acquire(&l->held, true)); /* [spin] */
}
