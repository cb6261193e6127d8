/* SPDX-License-Identifier: MIT */
/*
 * base/mem.h - all memory of the library, through the hooks of its user.
 *
 * Blocks of 33 to 96 bytes, which is what states, steps and tasks are, come from
 * caches of their own: a list for each thread and a depot that all share, filled
 * and emptied 64 blocks at a time. A block is often made on one thread and freed
 * on another, which costs malloc 54 to 70 ns and a batch 13 (per block).
 *
 * Every block is aligned to 16, so that the low four bits of its address are free.
 */
#ifndef VOWI_BASE_MEM_H
#define VOWI_BASE_MEM_H

#include <stddef.h>

#include "base/check.h"
#include "base/thread.h"

#ifndef VOW_BLOCK_CACHE
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VOW_BLOCK_CACHE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||               \
    __has_feature(memory_sanitizer)
#define VOW_BLOCK_CACHE 0
#else
#define VOW_BLOCK_CACHE 1
#endif
#else
#define VOW_BLOCK_CACHE 1
#endif
#endif

#define VOWI_BLOCK_MIN 33
#define VOWI_BLOCK_MAX 96

/* Straight to the hooks; align is a power of two, at least 16. NULL: no memory. */
void *vowi_alloc_aligned(size_t size, size_t align);
void vowi_free_aligned(void *p, size_t size);

void *vowi_cache_refill(struct vowi_thread *t, unsigned bin);
void vowi_cache_spill(struct vowi_thread *t, unsigned bin, void *p);

/* Gives the blocks kept by a thread back, to the depot or beyond it; and its bundles. */
void vowi_cache_flush(struct vowi_thread *t);

static inline bool
vowi_is_cached(size_t size)
{
    return VOW_BLOCK_CACHE && size >= VOWI_BLOCK_MIN && size <= VOWI_BLOCK_MAX;
}

/* Blocks of 48, 64, 80, 96 bytes are in bins 0, 1, 2, 3. */
static inline unsigned
vowi_block_bin(size_t size)
{
    return (unsigned)((size - VOWI_BLOCK_MIN) / 16);
}

static inline size_t
vowi_bin_size(unsigned bin)
{
    return 48 + 16 * (size_t)bin;
}

/* NULL also if the thread has none left, though there may be more elsewhere. */
static inline void *
vowi_alloc_at_hand(struct vowi_thread *t, size_t size)
{
    if (!vowi_is_cached(size))
        return vowi_alloc_aligned(size, 16);

    unsigned bin = vowi_block_bin(size);
    struct vowi_block *b = t->blocks[bin].top;

    if (vowi_likely(b != NULL)) {
        t->blocks[bin].top = b->next;
        t->blocks[bin].room++;
    }
    return b;
}

static inline void *
vowi_alloc_on(struct vowi_thread *t, size_t size)
{
    void *p = vowi_alloc_at_hand(t, size);

    if (vowi_unlikely(p == NULL) && vowi_is_cached(size))
        p = vowi_cache_refill(t, vowi_block_bin(size));
    return p;
}

static inline void
vowi_free_on(struct vowi_thread *t, void *p, size_t size)
{
    if (!vowi_is_cached(size)) {
        vowi_free_aligned(p, size);
        return;
    }

    unsigned bin = vowi_block_bin(size);
    struct vowi_block *b = p;

    if (vowi_unlikely(t->blocks[bin].room == 0)) {
        vowi_cache_spill(t, bin, p);
        return;
    }
    b->next = t->blocks[bin].top;
    t->blocks[bin].top = b;
    t->blocks[bin].room--;
}

static inline void *
vowi_alloc(size_t size)
{
    return vowi_alloc_on(vowi_self(), size);
}

static inline void
vowi_free(void *p, size_t size)
{
    if (p != NULL)
        vowi_free_on(vowi_self(), p, size);
}

#endif
