/* SPDX-License-Identifier: MIT */
/*
 * base/mem.c - allocator hooks, block caches, and the depot between threads.
 *
 * A thread frees onto its list; when that holds VOWI_BATCH blocks it becomes the
 * full one behind it, and the full one before it goes to the depot. It allocates
 * in the opposite order: own list, full one, a batch of the depot, the hooks. So
 * a thread that only frees and one that only allocates meet at the depot once
 * every VOWI_BATCH blocks (Bonwick and Adams, Magazines and Vmem, 2001).
 */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buggify.h"
#include "base/bundle.h"
#include "base/check.h"

/* What the depot keeps of each size, in batches; what is more goes to the hooks. */
#ifndef VOWI_DEPOT_BATCHES
#define VOWI_DEPOT_BATCHES 2048
#endif

/* guarded by VOWI_GLOBAL_DEPOT, a leaf */
static struct depot {
    struct vowi_block *batches[VOWI_BLOCK_CLASSES];
    _Atomic(unsigned) count[VOWI_BLOCK_CLASSES]; /* read without it as a hint */
} depot;

static void *
plain_alloc(size_t size, size_t align)
{
    void *p;

    if (align <= _Alignof(max_align_t))
        return malloc(size);
    return posix_memalign(&p, align, size) == 0 ? p : NULL;
}

/* relaxed: a flag that only ever goes up, read by the thread that sets hooks. */
static void
note_allocation(void)
{
    if (!vowi_load_relaxed(&vowi_globals.allocated))
        vowi_store_relaxed(&vowi_globals.allocated, true);
}

void *
vowi_alloc_aligned(size_t size, size_t align)
{
    const vow_allocator *a = &vowi_globals.allocator;

    note_allocation();
    return a->alloc != NULL ? a->alloc(size, align, a->ctx) : plain_alloc(size, align);
}

void
vowi_free_aligned(void *p, size_t size)
{
    const vow_allocator *a = &vowi_globals.allocator;

    if (a->free != NULL)
        a->free(p, size, a->ctx);
    else
        free(p);
}

int
vow_set_allocator(const vow_allocator *a)
{
    static const vow_allocator plain;

    if (vowi_load_relaxed(&vowi_globals.allocated)) /* relaxed: as note_allocation */
        return VOW_E_INVALID;
    if (a != NULL && (a->alloc == NULL || a->realloc == NULL || a->free == NULL))
        return VOW_E_INVALID;
    vowi_globals.allocator = a != NULL ? *a : plain;
    return 0;
}

/* NULL: there is none. Then it does not take the lock either, since who allocates what
 * nobody frees comes here for each block. relaxed: a hint, else written under the lock. */
static struct vowi_block *
depot_take(unsigned bin)
{
    struct vowi_block *batch;

    if (vowi_load_relaxed(&depot.count[bin]) == 0)
        return NULL;
    vowi_global_lock(VOWI_GLOBAL_DEPOT);
    batch = depot.batches[bin];
    if (batch != NULL) {
        depot.batches[bin] = batch->next_batch;
        vowi_store_relaxed(&depot.count[bin], vowi_load_relaxed(&depot.count[bin]) - 1);
    }
    vowi_global_unlock(VOWI_GLOBAL_DEPOT);
    return batch;
}

/* relaxed: written under the lock. */
static bool
depot_give(unsigned bin, struct vowi_block *batch)
{
    unsigned count;

    vowi_global_lock(VOWI_GLOBAL_DEPOT);
    count = vowi_load_relaxed(&depot.count[bin]);
    if (count < VOWI_DEPOT_BATCHES) {
        batch->next_batch = depot.batches[bin];
        depot.batches[bin] = batch;
        vowi_store_relaxed(&depot.count[bin], count + 1);
    }
    vowi_global_unlock(VOWI_GLOBAL_DEPOT);
    return count < VOWI_DEPOT_BATCHES;
}

static void
free_list(struct vowi_block *b, unsigned bin)
{
    while (b != NULL) {
        struct vowi_block *next = b->next;

        vowi_free_aligned(b, vowi_bin_size(bin));
        b = next;
    }
}

/* The thread's own list is empty. Returns one block, NULL without memory. */
void *
vowi_cache_refill(struct vowi_thread *t, unsigned bin)
{
    struct vowi_blocks *own = &t->blocks[bin];
    struct vowi_block *batch = own->full;

    own->full = NULL;
    if (batch == NULL && vowi_thread_register(t) && /* else the rest is lost with it */
        !VOWI_BUGGIFY("the depot is passed by"))
        batch = depot_take(bin);
    if (batch == NULL)
        return vowi_alloc_aligned(vowi_bin_size(bin), 16);
    own->top = batch->next;
    own->room = 1;
    return batch;
}

/* Frees a block while the thread's own list is full, or is the first of a thread. */
void
vowi_cache_spill(struct vowi_thread *t, unsigned bin, void *p)
{
    struct vowi_blocks *own = &t->blocks[bin];
    struct vowi_block *b = p;

    if (!t->registered && !vowi_thread_register(t)) {
        vowi_free_aligned(p, vowi_bin_size(bin)); /* else it would be lost with it */
        return;
    }
    if (own->top != NULL) {
        if (own->full != NULL && !depot_give(bin, own->full))
            free_list(own->full, bin);
        own->full = own->top;
    }
    b->next = NULL;
    own->top = b;
    own->room = VOWI_BATCH - 1;
}

void
vowi_cache_flush(struct vowi_thread *t)
{
    vowi_bundle_flush(t);
    for (unsigned bin = 0; bin < VOWI_BLOCK_CLASSES; bin++) {
        struct vowi_blocks *own = &t->blocks[bin];

        if (own->full != NULL && !depot_give(bin, own->full))
            free_list(own->full, bin);
        if (own->room == 0 && own->top != NULL && depot_give(bin, own->top))
            own->top = NULL;
        free_list(own->top, bin);
        memset(own, 0, sizeof *own);
    }
}

void
vow_trim(void)
{
    struct vowi_thread *t = vowi_self();

    vowi_thread_idle(t);
    vowi_cache_flush(t);
    for (unsigned bin = 0; bin < VOWI_BLOCK_CLASSES; bin++) {
        struct vowi_block *batch;

        while ((batch = depot_take(bin)) != NULL)
            free_list(batch, bin);
    }
}
