/* SPDX-License-Identifier: MIT */
/*
 * executors/pool_offer.c - what a worker lets others have until it wants it back.
 *
 * It goes to the worker's own deque, like what a task posts. What is pushed there alone is
 * pushed loud: a worker that goes to sleep sees it, or is seen [idle]. What lies above
 * something else is not: a sleeper would have seen that. If both are gone a moment later
 * somebody has taken the lower one, and looks for more before it goes on; and if nobody
 * comes at all, its owner does it. So a fork within a fork orders nothing by itself.
 */
#include "base/buggify.h"
#include "pool_internal.h"

bool
vowi_pool_offer(vow_executor *self, vow_task *task)
{
    struct vowi_pool *p = vowi_container_of(self, struct vowi_pool, executor);
    struct vowi_worker *w = vowi_pool_worker(p);
    bool alone;

    /* relaxed: what slips in is ended by who closes, or taken back */
    if (w == NULL || vowi_load_relaxed(&p->cancelling))
        return false;
    alone = vowi_deque_count(&w->deque) <= 0;
    if (VOWI_BUGGIFY("the deque refuses") || !vowi_deque_push(&w->deque, task, alone))
        return false;
    /* relaxed: if it was pushed alone this comes after it [idle], else it is a hint */
    if (vowi_unlikely((vowi_load_seq_cst(&p->idle) & VOWI_ASLEEP_MASK) != 0))
        vowi_pool_wake(p);
    return true;
}

/* A younger task, which the worker has posted meanwhile and not waited for, goes where
 * what comes from outside is: moved once, however many forks it was posted in. The pool had
 * taken it: it is not refused, and what has been cancelled ends when it is picked. */
static void
move_to_shared(struct vowi_pool *p, vow_task *task)
{
    task->next = NULL;
    (void)vowi_level_post(p, task, 0);
}

VOWI_NOINLINE static bool
take_buried(struct vowi_pool *p, struct vowi_worker *w, const vow_task *task)
{
    bool moved = false;
    vow_task *younger;

    if (!vowi_deque_holds(&w->deque, task))
        return false;
    while ((younger = vowi_deque_take(&w->deque)) != NULL && younger != task) {
        move_to_shared(p, younger);
        moved = true;
    }
    if (moved)
        vowi_pool_wake(p);
    return younger == task;
}

bool
vowi_pool_retract(vow_executor *self, vow_task *task)
{
    struct vowi_pool *p = vowi_container_of(self, struct vowi_pool, executor);
    struct vowi_worker *w = vowi_pool_worker(p);

    if (vowi_unlikely(w == NULL))
        return false;
    return vowi_likely(vowi_deque_take_if(&w->deque, task)) || take_buried(p, w, task);
}
