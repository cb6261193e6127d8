/* SPDX-License-Identifier: MIT */
/* base/bundle.c - a bundle's beginning and its end. */
#include "base/bundle.h"

/* Some of its blocks have been given back, or never will be given. */
static void
leave(struct vowi_bundle *b, unsigned blocks)
{
    if (vowi_sub_acq_rel(&b->left, blocks) == blocks) /* [bundle] */
        vowi_free_aligned(b, sizeof *b);
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
}
