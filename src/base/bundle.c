/* SPDX-License-Identifier: MIT */
/* base/bundle.c - a bundle's beginning and its end. */
#include "base/bundle.h"

#include <sched.h>

#include "base/time.h"

enum {
    QUICK = 8000, /* ns a bundle: if so many ended in a yield it was worth it */
    REST = 32     /* else there is none for so many times as long */
};

/* How many there have been, in parts of VOWI_BUNDLES_PART, and who began the last part.
 * relaxed, as all that is done with them: hints */
static struct {
    _Alignas(VOWI_CACHE_LINE) _Atomic(unsigned) begun;
    _Atomic(unsigned) ended;
    _Atomic(const struct vowi_thread *) by;
} bundles;

/* ---- letting others end some ---------------------------------------------------------- */

vow_ns
vowi_bundle_rest(vow_ns from, vow_ns until, unsigned ended)
{
    if ((vow_ns)ended * QUICK >= until - from)
        return until;
    return until + REST * (until - from);
}

/* ended: how many had, a moment ago. */
static void
let_others_end(struct vowi_thread *t, unsigned ended)
{
    vow_ns from = vowi_monotonic_now();

    if (from < t->bundles_yield_from)
        return;
    sched_yield();
    ended = vowi_load_relaxed(&bundles.ended) - ended;
    t->bundles_yield_from = vowi_bundle_rest(from, vowi_monotonic_now(), ended);
}

/* Returns whether another thread than this one has begun the last part as well. */
static bool
begins_in_turn(struct vowi_thread *t)
{
    bool other = vowi_load_relaxed(&bundles.by) != t;

    if (other)
        vowi_store_relaxed(&bundles.by, t);
    return other;
}

static void
note_begun(struct vowi_thread *t)
{
    unsigned begun = vowi_add_relaxed(&bundles.begun, t->bundles_begun);
    unsigned ended = vowi_load_relaxed(&bundles.ended);

    t->bundles_begun = 0;
    if (begins_in_turn(t) && (int)(begun - ended) >= VOWI_BUNDLES_MANY &&
        t->worker == NULL)
        let_others_end(t, ended);
}

static void
note_ended(struct vowi_thread *t)
{
    vowi_add_relaxed(&bundles.ended, t->bundles_ended);
    t->bundles_ended = 0;
}

/* ---- their ends ----------------------------------------------------------------------- */

static void
end(struct vowi_bundle *b)
{
    struct vowi_thread *t = vowi_self();

    vowi_free_aligned(b, sizeof *b);
    if (++t->bundles_ended == VOWI_BUNDLES_PART)
        note_ended(t);
}

/* Some of its blocks have been given back, or never will be given. */
static void
leave(struct vowi_bundle *b, unsigned blocks)
{
    if (vowi_sub_acq_rel(&b->left, blocks) == blocks) /* [bundle] */
        end(b);
}

bool
vowi_bundle_begin(struct vowi_thread *t)
{
    struct vowi_bundle *b = NULL;

    if (vowi_thread_register(t)) /* else the rest is lost with it */
        b = vowi_alloc_aligned(sizeof *b, 16);
    if (b == NULL)
        return false;
    atomic_init(&b->left, VOWI_BUNDLE);
    t->bundle = b;
    t->bundle_given = 0;
    if (++t->bundles_begun == VOWI_BUNDLES_PART)
        note_begun(t);
    return true;
}

static void
settle(struct vowi_thread *t)
{
    struct vowi_bundle *b = t->bundle_ending;

    t->bundle_ending = NULL;
    if (b != NULL)
        leave(b, t->bundle_ended);
}

/* A thread that has no exit hook keeps nothing: then the one block is taken off here, and
 * what the caller counts belongs to no bundle. */
void
vowi_bundle_turn(struct vowi_thread *t, struct vowi_bundle *b)
{
    settle(t);
    t->bundle_ended = 0;
    if (vowi_thread_register(t))
        t->bundle_ending = b;
    else
        leave(b, 1);
}

void
vowi_bundle_flush(struct vowi_thread *t)
{
    struct vowi_bundle *b = t->bundle;

    settle(t);
    t->bundle = NULL;
    if (b != NULL)
        leave(b, VOWI_BUNDLE - t->bundle_given);
    vowi_add_relaxed(&bundles.begun, t->bundles_begun);
    t->bundles_begun = 0;
    note_ended(t);
}
