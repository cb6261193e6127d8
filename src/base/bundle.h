/* SPDX-License-Identifier: MIT */
/*
 * base/bundle.h - blocks that one thread makes in a row, and others give back.
 *
 * What is posted may wait in a line of a million, and is as cold as that by the
 * time it runs. A free block of a cache (base/mem.h) is no warmer, and the next one is
 * anywhere: its line is waited for when it is taken, when the line is turned round, when
 * the task runs, and once more when it is free. The blocks of a bundle are given out in the
 * order of their addresses, and read in about the same, so that the processor has fetched
 * them before.
 *
 * A bundle is free when all of its blocks have been given back. `left` counts those that have
 * not, and those that have yet to be given. To count each would be an atomic step on a line
 * that others want; so a thread that gives back several blocks of one bundle in a row counts
 * those itself, and takes them off `left` at once when it comes to another bundle, exits, or
 * calls vow_trim. Of a bundle whose blocks it has counted but not taken off, `left` is
 * not 0: it cannot go meanwhile.
 *
 * Whoever gives a block back writes to it, for the sake of its line alone: one that another
 * processor wrote last comes with the right to write, to the thread that fills it next. For one
 * that both have only read that has to be asked for, and waited for at the next atomic step.
 *
 * So a thread keeps at most two bundles, and a block that is not given back keeps one.
 *
 * When several threads begin bundles in turn, and there are more than the caches of a
 * processor hold, each yields now and then, so that those who give back come to it. If few
 * were given back in that time, since somebody else had the CPU, or what is posted takes
 * long, this thread yields no more for many times as long. A worker does not: it may be what
 * all of them wait for.
 *
 * Edges:
 *     [bundle] what was done with the blocks, from each thread that takes some off `left` to
 *              the one that takes off the last, which frees the bundle
 */
#ifndef VOWI_BASE_BUNDLE_H
#define VOWI_BASE_BUNDLE_H

#include <stddef.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/thread.h"

/* Blocks of a bundle, which is a little less than four kilobytes. */
#ifndef VOWI_BUNDLE
#define VOWI_BUNDLE 84
#endif

/* Whether there are any: where blocks are not kept, each is one of the allocator's. */
#ifndef VOWI_BUNDLES
#define VOWI_BUNDLES VOW_BLOCK_CACHE
#endif

#define VOWI_BUNDLED_SIZE 48 /* of a block, at most */

/* Bundles of the process from which on those who begin more yield: 2 MiB. And how many a
 * thread begins or ends before it counts them. */
#define VOWI_BUNDLES_MANY 512
#define VOWI_BUNDLES_PART 8

struct vowi_bundle {
    _Atomic(unsigned) left;
    _Alignas(16) char block[VOWI_BUNDLE][VOWI_BUNDLED_SIZE];
};

/* Begins a new one, for this thread; false without memory, or without an exit hook. */
bool vowi_bundle_begin(struct vowi_thread *t);

/* Takes off what this thread has counted, and begins to count for another bundle. */
void vowi_bundle_turn(struct vowi_thread *t, struct vowi_bundle *b);

/* Until when not to yield again, if so many ended in a yield. */
vow_ns vowi_bundle_rest(vow_ns from, vow_ns until, unsigned ended);

/* Gives up both bundles that a thread keeps. */
void vowi_bundle_flush(struct vowi_thread *t);

/* Returns a block and its index, which is for vowi_bundle_free; NULL: use another. */
static inline void *
vowi_bundle_alloc(struct vowi_thread *t, unsigned *index)
{
    struct vowi_bundle *b;

    if (t->bundle == NULL && !vowi_bundle_begin(t))
        return NULL;
    b = t->bundle;
    *index = t->bundle_given++;
    if (*index == VOWI_BUNDLE - 1)
        t->bundle = NULL; /* its last: whoever gives that back may free it */
    return b->block[*index];
}

static inline void
vowi_bundle_free(struct vowi_thread *t, void *block, unsigned index)
{
    void *first = (char *)block - index * (size_t)VOWI_BUNDLED_SIZE;
    struct vowi_bundle *b = vowi_container_of(first, struct vowi_bundle, block);

    *(void **)block = NULL; /* see above */
    if (vowi_unlikely(b != t->bundle_ending))
        vowi_bundle_turn(t, b);
    t->bundle_ended++;
}

#endif
