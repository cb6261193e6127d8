/* SPDX-License-Identifier: MIT */
/*
 * sync/kept.h - locks of objects that a forked child goes on using.
 *
 * A fork takes these, and so nobody is in the middle of what they guard in either process.
 * That costs a link in a list when the object is made, and nothing when it is used: it is
 * for objects that live long, not for those of one call.
 */
#ifndef VOWI_SYNC_KEPT_H
#define VOWI_SYNC_KEPT_H

#include "base/list.h"
#include "sync/lock.h"

struct vowi_kept {
    struct vowi_link link;
    struct vowi_lock *lock;
};

/* As vowi_lock_init, and kept until vowi_kept_fini. */
int vowi_kept_init(struct vowi_kept *k, struct vowi_lock *l, enum vowi_rank rank);
void vowi_kept_fini(struct vowi_kept *k);

#endif
