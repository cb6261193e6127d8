/* SPDX-License-Identifier: MIT */
/*
 * resilience/latency.c - how long calls took lately, as a histogram.
 *
 * Buckets are an eighth of a power of two wide, as HdrHistogram's (Gil Tene) with three
 * bits: whatever the times are, a quantile is at most an eighth too long, out of 512
 * counts. Each time that 2,048 calls were added, all counts are halved, so that what was
 * long ago fades.
 */
#include <string.h>

#include <vow/hedge.h>

#include "base/mem.h"
#include "sync/kept.h"
#include "sync/lock.h"
#include "sync/refs.h"

#define BITS      3 /* of a bucket's number below its power of two */
#define BUCKETS   ((64 - BITS + 1) << BITS)
#define FADE_AT   2048
#define SUB_COUNT (1u << BITS)

struct vow_latency {
    struct vowi_refs refs;
    struct vowi_lock lock;
    struct vowi_kept at_fork;
    uint32_t counts[BUCKETS]; /* guarded by lock */
    uint32_t total;           /* guarded by lock; of counts */
    uint32_t fresh;           /* guarded by lock; since they were halved */
};

/* Below 8 each number has its own; from there on, eight for each power of two. */
static unsigned
bucket_of(uint64_t x)
{
    unsigned power;

    if (x < SUB_COUNT)
        return (unsigned)x;
    power = 63 - (unsigned)__builtin_clzll(x);
    return ((power - BITS + 1) << BITS) +
           (unsigned)((x >> (power - BITS)) & (SUB_COUNT - 1));
}

/* The largest number in a bucket. */
static uint64_t
end_of(unsigned bucket)
{
    unsigned shift;

    if (bucket < 2 * SUB_COUNT)
        return bucket;
    shift = (bucket >> BITS) - 1;
    return (((uint64_t)(SUB_COUNT | (bucket & (SUB_COUNT - 1))) + 1) << shift) - 1;
}

static void
fade_locked(vow_latency *l)
{
    l->total = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        l->counts[i] /= 2;
        l->total += l->counts[i];
    }
    l->fresh = 0;
}

vow_latency *
vow_latency_new(void)
{
    vow_latency *l = vowi_alloc(sizeof *l);

    if (l == NULL)
        return NULL;
    memset(l, 0, sizeof *l);
    vowi_refs_init(&l->refs);
    if (vowi_kept_init(&l->at_fork, &l->lock, VOWI_RANK_LATENCY) == 0)
        return l;
    vowi_free(l, sizeof *l);
    return NULL;
}

vow_latency *
vow_latency_ref(vow_latency *l)
{
    if (l != NULL)
        vowi_refs_take(&l->refs);
    return l;
}

void
vow_latency_unref(vow_latency *l)
{
    if (l == NULL || !vowi_refs_drop(&l->refs))
        return;
    vowi_kept_fini(&l->at_fork);
    vowi_free(l, sizeof *l);
}

void
vow_latency_add(vow_latency *l, vow_ns took)
{
    if (l == NULL)
        return;
    vowi_lock_acquire(&l->lock);
    l->counts[bucket_of(took > 0 ? (uint64_t)took : 0)]++;
    l->total++;
    if (++l->fresh == FADE_AT)
        fade_locked(l);
    vowi_lock_release(&l->lock);
}

static vow_ns
quantile_locked(const vow_latency *l, double quantile)
{
    double wanted = quantile * l->total;
    uint64_t below = 0;

    for (unsigned i = 0; i < BUCKETS; i++) {
        below += l->counts[i];
        if (below != 0 && (double)below >= wanted) {
            uint64_t end = end_of(i);

            return end < INT64_MAX ? (vow_ns)end : INT64_MAX;
        }
    }
    return 0;
}

vow_ns
vow_latency_quantile(const vow_latency *l, double quantile)
{
    struct vowi_lock *lock;
    vow_ns time;

    if (l == NULL)
        return 0;
    lock = &((vow_latency *)vow_ptr(l).as.ptr)->lock;
    vowi_lock_acquire(lock);
    time = quantile_locked(l, quantile);
    vowi_lock_release(lock);
    return time;
}
