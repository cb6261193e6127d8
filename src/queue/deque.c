/* SPDX-License-Identifier: MIT */
/* queue/deque.c - pushing, taking and stealing without a lock. */
#include "queue/deque.h"

#include "base/buggify.h"
#include "base/mem.h"

#ifndef VOWI_DEQUE_MIN
#define VOWI_DEQUE_MIN 256 /* a power of two */
#endif

static size_t
ring_size(int64_t entries)
{
    return sizeof(struct vowi_ring) + (size_t)entries * sizeof(_Atomic(vow_task *));
}

static struct vowi_ring *
ring_new(int64_t entries, struct vowi_ring *smaller)
{
    struct vowi_ring *r = vowi_alloc(ring_size(entries));

    if (r == NULL)
        return NULL;
    r->smaller = smaller;
    r->mask = entries - 1;
    for (int64_t i = 0; i < entries; i++)
        atomic_init(&r->entry[i], NULL);
    return r;
}

bool
vowi_deque_init(struct vowi_deque *d)
{
    struct vowi_ring *r = ring_new(VOWI_DEQUE_MIN, NULL);

    atomic_init(&d->top, 0);
    atomic_init(&d->bottom, 0);
    atomic_init(&d->ring, r);
    return r != NULL;
}

void
vowi_deque_fini(struct vowi_deque *d)
{
    struct vowi_ring *r = vowi_load_relaxed(&d->ring); /* relaxed: nobody else is left */

    while (r != NULL) {
        struct vowi_ring *smaller = r->smaller;

        vowi_free(r, ring_size(r->mask + 1));
        r = smaller;
    }
}

/* Returns a ring of twice the size with the same tasks, NULL without memory. */
static struct vowi_ring *
grow(struct vowi_deque *d, struct vowi_ring *r, int64_t top, int64_t bottom)
{
    struct vowi_ring *bigger = ring_new(2 * (r->mask + 1), r);

    if (bigger == NULL)
        return NULL;
    for (int64_t i = top; i < bottom; i++) {
        /* relaxed: the owner wrote them, and [grown] orders the copies */
        vow_task *task = vowi_load_relaxed(&r->entry[i & r->mask]);

        vowi_store_relaxed(&bigger->entry[i & bigger->mask], task);
    }
    vowi_store_release(&d->ring, bigger); /* [grown] */
    return bigger;
}

static inline void
put(struct vowi_deque *d, struct vowi_ring *r, int64_t bottom, vow_task *task, bool loud)
{
    vowi_store_relaxed(&r->entry[bottom & r->mask], task);
    if (loud)
        vowi_store_seq_cst(&d->bottom, bottom + 1); /* [item] */
    else
        vowi_store_release(&d->bottom, bottom + 1); /* [item] */
}

/* No part of a push: that would save registers for it each time. */
VOWI_NOINLINE static bool
grow_and_put(struct vowi_deque *d, int64_t top, int64_t bottom, vow_task *task, bool loud)
{
    struct vowi_ring *r = grow(d, vowi_load_relaxed(&d->ring), top, bottom);

    if (r == NULL)
        return false;
    put(d, r, bottom, task, loud);
    return true;
}

/* relaxed: bottom and ring are the owner's own. */
bool
vowi_deque_push(struct vowi_deque *d, vow_task *task, bool loud)
{
    int64_t bottom = vowi_load_relaxed(&d->bottom);
    int64_t top = vowi_load_acquire(&d->top); /* [end]: its slots are free again */
    struct vowi_ring *r = vowi_load_relaxed(&d->ring);

    if (vowi_unlikely(bottom - top > r->mask || VOWI_BUGGIFY("the ring grows early")))
        return grow_and_put(d, top, bottom, task, loud);
    put(d, r, bottom, task, loud);
    return true;
}

/* relaxed: as for push. */
vow_task *
vowi_deque_push_list(struct vowi_deque *d, vow_task *list, int64_t most)
{
    int64_t bottom = vowi_load_relaxed(&d->bottom);
    int64_t top = vowi_load_acquire(&d->top); /* [end]: its slots are free again */
    struct vowi_ring *r = vowi_load_relaxed(&d->ring);
    int64_t end = top + r->mask + 1;

    if (end > bottom + most)
        end = bottom + most;
    while (bottom < end && list != NULL) {
        vowi_store_relaxed(&r->entry[bottom++ & r->mask], list);
        list = list->next;
    }
    vowi_store_release(&d->bottom, bottom); /* [item] */
    return list;
}

/* relaxed: as for push. */
bool
vowi_deque_take_if(struct vowi_deque *d, const vow_task *task)
{
    int64_t last = vowi_load_relaxed(&d->bottom) - 1;
    struct vowi_ring *r = vowi_load_relaxed(&d->ring);
    int64_t top = vowi_load_relaxed(&d->top);
    bool taken = true;

    if (last < top || vowi_load_relaxed(&r->entry[last & r->mask]) != task)
        return false;
    vowi_store_seq_cst(&d->bottom, last); /* [end] */
    top = vowi_load_seq_cst(&d->top);     /* [end] */
    if (top < last)
        return true;
    if (top == last) /* the last one: whoever moves top has it [end] */
        taken = vowi_cas_strong_release(&d->top, &top, top + 1);
    else
        taken = false;
    /* relaxed: nothing is left; whoever reads this fails to move top */
    vowi_store_relaxed(&d->bottom, last + 1);
    return taken;
}

/* relaxed: as for push. */
vow_task *
vowi_deque_take(struct vowi_deque *d)
{
    int64_t last = vowi_load_relaxed(&d->bottom) - 1;
    struct vowi_ring *r = vowi_load_relaxed(&d->ring);
    vow_task *youngest = vowi_load_relaxed(&r->entry[last & r->mask]);

    return youngest != NULL && vowi_deque_take_if(d, youngest) ? youngest : NULL;
}

/* relaxed: as for push; top only grows. */
bool
vowi_deque_holds(struct vowi_deque *d, const vow_task *task)
{
    int64_t i = vowi_load_relaxed(&d->bottom) - 1;
    int64_t top = vowi_load_relaxed(&d->top);
    struct vowi_ring *r = vowi_load_relaxed(&d->ring);

    while (i >= top && vowi_load_relaxed(&r->entry[i & r->mask]) != task)
        i--;
    return i >= top;
}

/*
 * What `now` says is looked at between the entry and the CAS, hence relaxed [while]. An item
 * pushed later than what it says, whose bottom was read, was pushed after another store to
 * it, which this load must see. For an item pushed earlier the owner, which found its deque
 * empty, saw a top beyond it, before it said so: if that is the work of this CAS, then the
 * load comes before that store and cannot read it; else the CAS fails.
 */
static inline vow_task *
steal(struct vowi_deque *d, const _Atomic(const vow_task *) *now, const vow_task *is)
{
    for (;;) {
        /* [end]: acquire keeps it before bottom, and after the change of top it read */
        int64_t top = vowi_load_acquire(&d->top);
        struct vowi_ring *r;
        vow_task *task;

        if (top >= vowi_load_seq_cst(&d->bottom)) /* [end], [item] */
            return NULL;
        r = vowi_load_acquire(&d->ring); /* [grown] */
        /* relaxed: if it was taken and overwritten meanwhile, the CAS fails */
        task = vowi_load_relaxed(&r->entry[top & r->mask]);
        if (now != NULL && vowi_load_relaxed(now) != is)
            return NULL;
        if (vowi_cas_strong_seq_cst(&d->top, &top, top + 1)) /* [end] */
            return task;
    }
}

vow_task *
vowi_deque_steal(struct vowi_deque *d)
{
    return steal(d, NULL, NULL);
}

vow_task *
vowi_deque_steal_while(struct vowi_deque *d, const _Atomic(const vow_task *) *now,
                       const vow_task *is)
{
    return steal(d, now, is);
}

bool
vowi_deque_is_empty(struct vowi_deque *d)
{
    /* [idle]; relaxed: an old top makes it look fuller, which costs another look */
    return vowi_load_relaxed(&d->top) >= vowi_load_seq_cst(&d->bottom);
}
