/* SPDX-License-Identifier: MIT */
/*
 * queue/deque.h - a worker's own queue, from which the others steal.
 *
 * The owner pushes and takes at the young end, everybody takes at the old end, the
 * owner too. After Chase and Lev, Dynamic Circular Work-Stealing Deque (SPAA 2005),
 * with the orders of Le, Pop, Cohen and Zappa Nardelli, Correct and Efficient
 * Work-Stealing for Weak Memory Models (PPoPP 2013), but seq_cst accesses in place
 * of their fences.
 *
 * Edges:
 *     [item]  a task's fields, from push to whoever takes it (bottom, or the ring)
 *     [end]   the last item: of the owner's take and a steal one sees the other
 *     [grown] the entries of a grown ring, from the owner to thieves
 *     [while] what the owner was at when it pushed an item, for who steals only that
 */
#ifndef VOWI_QUEUE_DEQUE_H
#define VOWI_QUEUE_DEQUE_H

#include <stdbool.h>
#include <stdint.h>

#include <vow/executor.h>

#include "base/atomic.h"
#include "base/check.h"

struct vowi_ring {
    struct vowi_ring *smaller; /* the one before; a thief may still read it */
    int64_t mask;              /* entries - 1 */
    _Atomic(vow_task *) entry[];
};

struct vowi_deque {
    /* Written by all who take at the old end. */
    _Alignas(VOWI_CACHE_LINE) _Atomic(int64_t) top;

    /* Written by the owner alone. */
    _Alignas(VOWI_CACHE_LINE) _Atomic(int64_t) bottom;
    _Atomic(struct vowi_ring *) ring;
};

/* Returns false without memory. */
bool vowi_deque_init(struct vowi_deque *d);
/* Nobody uses it any more. */
void vowi_deque_fini(struct vowi_deque *d);

/*
 * Owner. Adds a task at the young end; false if the ring is full and cannot grow.
 * Loud: ordered before the owner's next load, so that it can see who went to sleep
 * without having seen the task.
 */
bool vowi_deque_push(struct vowi_deque *d, vow_task *task, bool loud);

/*
 * Owner. Adds the first of a list, oldest first: at most so many, and no more than there
 * is room for. Thieves see all of them at once. Returns the rest of the list.
 */
vow_task *vowi_deque_push_list(struct vowi_deque *d, vow_task *list, int64_t most);

/* Owner. Takes the youngest task if it is this one. */
bool vowi_deque_take_if(struct vowi_deque *d, const vow_task *task);

/* Owner. Takes the youngest task; NULL if there is none. */
vow_task *vowi_deque_take(struct vowi_deque *d);

/* Owner. Whether it holds a task, or did until somebody stole it a moment ago. */
bool vowi_deque_holds(struct vowi_deque *d, const vow_task *task);

/* Anybody. Takes the oldest task; NULL if there is none. */
vow_task *vowi_deque_steal(struct vowi_deque *d);

/*
 * Anybody. The same, but only what the owner has pushed since it began what `now` says, and
 * before it began anything else; its deque was empty when it began, and looked at by it. The
 * owner changes `now` before it pushes.
 */
vow_task *vowi_deque_steal_while(struct vowi_deque *d,
                                 const _Atomic(const vow_task *) *now,
                                 const vow_task *is);

/* Anybody. Ordered after the caller's last seq_cst store or read-modify-write. */
bool vowi_deque_is_empty(struct vowi_deque *d);

/* Owner. How many tasks it holds, at least what nobody is stealing right now. */
static inline int64_t
vowi_deque_count(struct vowi_deque *d)
{
    /* relaxed: bottom is the owner's own, and top only ever grows; [while] */
    return vowi_load_relaxed(&d->bottom) - vowi_load_acquire(&d->top);
}

#endif
