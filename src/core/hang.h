/* SPDX-License-Identifier: MIT */
/*
 * core/hang.h - to be told that a future has settled, without an allocation.
 *
 * What vow_on_settled is, in storage of the caller's: so that it cannot fail when there
 * is something to be told of already. For src/combine.
 */
#ifndef VOWI_CORE_HANG_H
#define VOWI_CORE_HANG_H

#include <vow/future.h>

struct vowi_hanger {
    _Alignas(16) vow_task task; /* run(task, why): f has settled; why means nothing */
};

/*
 * Hangs it on f, which stays referenced until it has run; NULL has settled. Runs as
 * inline steps do, and may have when this returns. Cannot be taken off.
 */
void vowi_hang(vow_future *f, struct vowi_hanger *h,
               void (*run)(vow_task *task, int why));

#endif
