/* SPDX-License-Identifier: MIT */
/*
 * sync/refs.h - a count of references, for objects whose only cleverness is to be
 * shared.
 *
 * Edge:
 *     [refs]  all that holders did with an object, from each release of a reference to
 *             the one that takes the count to zero, whose caller frees it
 */
#ifndef VOWI_SYNC_REFS_H
#define VOWI_SYNC_REFS_H

#include <limits.h>

#include "base/atomic.h"
#include "base/check.h"

struct vowi_refs {
    _Atomic(unsigned) count;
};

static inline void
vowi_refs_init(struct vowi_refs *r)
{
    atomic_init(&r->count, 1);
}

/*
 * For a count that may have come to zero, of an object that something else keeps: returns
 * whether this is the only one now. Who gives it up again gives up what comes with it.
 */
static inline bool
vowi_refs_take_anew(struct vowi_refs *r)
{
    /* relaxed: the caller has a reference, or is kept by what keeps it: an order */
    unsigned before = vowi_add_relaxed(&r->count, 1);

    if (before >= UINT_MAX / 2)
        vowi_fatal("an object is referenced two thousand million times");
    return before == 0;
}

static inline void
vowi_refs_take(struct vowi_refs *r)
{
    (void)vowi_refs_take_anew(r);
}

/* Returns whether that was the last one. */
static inline bool
vowi_refs_drop(struct vowi_refs *r)
{
    unsigned before = vowi_sub_acq_rel(&r->count, 1); /* [refs] */

    if (before == 0)
        vowi_fatal("an object was released more often than it was referenced");
    return before == 1;
}

#endif
