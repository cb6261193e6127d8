/* SPDX-License-Identifier: MIT */
/*
 * The counting allocator. A block is what malloc gave, then padding, the header,
 * the bytes asked for, and a tail of known bytes; the header is found by going
 * back from the pointer, whatever the alignment was.
 */
#include "counting_allocator.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAIL = 16, TAIL_BYTE = 0xA5, NEW_BYTE = 0xCD, OLD_BYTE = 0xDD };

#define LIVE UINT64_C(0x766f776c69766521)
#define DEAD UINT64_C(0x766f776465616421)

struct header {
    void *base;
    size_t size;
    uint64_t spare;
    uint64_t magic; /* last, so that it is what an underflow hits first */
};

/* All relaxed: counters only, nothing is published through them. */
static struct {
    atomic_size_t live;
    atomic_size_t live_bytes;
    atomic_size_t calls;
    atomic_size_t until_failure; /* 0: none is to fail */
    atomic_bool onwards;
    atomic_bool failed;
    size_t at_begin;
} counts;

static void
broken(const char *what, const void *p)
{
    fprintf(stderr, "counting allocator: %s (block %p)\n", what, p);
    abort();
}

static bool
must_fail(void)
{
    size_t left = atomic_load_explicit(&counts.until_failure, memory_order_relaxed);

    while (left > 1)
        if (atomic_compare_exchange_weak_explicit(&counts.until_failure, &left, left - 1,
                                                  memory_order_relaxed,
                                                  memory_order_relaxed))
            return false;
    if (left == 0)
        return false;
    if (!atomic_load_explicit(&counts.onwards, memory_order_relaxed) &&
        !atomic_compare_exchange_strong_explicit(
            &counts.until_failure, &left, 0, memory_order_relaxed, memory_order_relaxed))
        return false;
    atomic_store_explicit(&counts.failed, true, memory_order_relaxed);
    return true;
}

static void *
counting_alloc(size_t size, size_t align, void *ctx)
{
    size_t room = sizeof(struct header) + align;
    struct header *h;
    unsigned char *base;
    unsigned char *p;

    (void)ctx;
    atomic_fetch_add_explicit(&counts.calls, 1, memory_order_relaxed);
    if (size == 0 || align == 0 || (align & (align - 1)) != 0)
        broken("nonsense was asked for", NULL);
    if (must_fail() || size > SIZE_MAX - room - TAIL) {
        errno = ENOMEM; /* as malloc does */
        return NULL;
    }
    base = malloc(room + size + TAIL);
    if (base == NULL)
        return NULL;
    p = base + room - ((uintptr_t)base + room) % align;
    h = (struct header *)(void *)(p - sizeof *h);
    if (align < _Alignof(struct header))
        broken("an alignment below a pointer's was asked for", p);
    *h = (struct header){.base = base, .size = size, .spare = LIVE, .magic = LIVE};
    memset(p, NEW_BYTE, size);
    memset(p + size, TAIL_BYTE, TAIL);
    atomic_fetch_add_explicit(&counts.live, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counts.live_bytes, size, memory_order_relaxed);
    return p;
}

static struct header *
check_block(unsigned char *p, size_t size)
{
    struct header *h = (struct header *)(void *)(p - sizeof *h);

    if (h->magic == DEAD && h->spare == DEAD)
        broken("freed twice", p);
    if (h->magic != LIVE || h->spare != LIVE)
        broken("written before its start, or not a block", p);
    if (h->size != size)
        broken("given back with a size that was not asked for", p);
    for (size_t i = 0; i < TAIL; i++)
        if (p[size + i] != TAIL_BYTE)
            broken("written behind its end", p);
    return h;
}

static void
counting_free(void *block, size_t size, void *ctx)
{
    struct header *h;

    (void)ctx;
    if (block == NULL)
        return;
    h = check_block(block, size);
    h->magic = DEAD;
    h->spare = DEAD;
    memset(block, OLD_BYTE, size);
    atomic_fetch_sub_explicit(&counts.live, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&counts.live_bytes, size, memory_order_relaxed);
    free(h->base);
}

static void *
counting_realloc(void *p, size_t old_size, size_t size, size_t align, void *ctx)
{
    void *grown = counting_alloc(size, align, ctx);

    if (grown == NULL || p == NULL)
        return grown;
    memcpy(grown, p, old_size < size ? old_size : size);
    counting_free(p, old_size, ctx);
    return grown;
}

vow_allocator
counting_hooks(void)
{
    const vow_allocator a = {
        .alloc = counting_alloc, .realloc = counting_realloc, .free = counting_free};

    return a;
}

int
counting_install(void)
{
    const vow_allocator a = counting_hooks();

    return vow_set_allocator(&a);
}

void
counting_fail_at(size_t k, enum counting_mode mode)
{
    vow_trim();
    atomic_store_explicit(&counts.failed, false, memory_order_relaxed);
    atomic_store_explicit(&counts.onwards, mode == COUNTING_ONWARDS,
                          memory_order_relaxed);
    atomic_store_explicit(&counts.until_failure, k, memory_order_relaxed);
}

bool
counting_failed(void)
{
    return atomic_load_explicit(&counts.failed, memory_order_relaxed);
}

bool
counting_next_failure(size_t k, enum counting_mode mode)
{
    bool go_on = k == 1 || counting_failed();

    counting_fail_at(go_on ? k : 0, mode);
    return go_on;
}

size_t
counting_live(void)
{
    vow_trim();
    return atomic_load_explicit(&counts.live, memory_order_relaxed);
}

size_t
counting_live_bytes(void)
{
    vow_trim();
    return atomic_load_explicit(&counts.live_bytes, memory_order_relaxed);
}

size_t
counting_calls(void)
{
    return atomic_load_explicit(&counts.calls, memory_order_relaxed);
}

int
counting_begin(void **state)
{
    (void)state;
    counts.at_begin = counting_live();
    return 0;
}

int
counting_end(void **state)
{
    size_t live;

    (void)state;
    counting_fail_at(0, COUNTING_ONCE);
    live = counting_live();
    if (live > counts.at_begin)
        fprintf(stderr, "%zu blocks leaked\n", live - counts.at_begin);
    return live > counts.at_begin ? 1 : 0;
}
