/* SPDX-License-Identifier: MIT */
/*
 * core/yield.h - a task that wants another turn.
 */
#ifndef VOWI_CORE_YIELD_H
#define VOWI_CORE_YIELD_H

#include "base/thread.h"
#include "core/state.h"

/* Whether a result is one of those that were made on this thread; then it counts no more. */
bool vowi_take_yield(struct vowi_thread *t, const vow_result *r)
    __attribute__((__cold__, __noinline__));

/*
 * Whether what a task's function returned is that. Looked for only if vow_yield_task was
 * called on this thread: reading the result here, between its making and its copy, would
 * have the copy wait for parts of it.
 */
static inline bool
vowi_is_yield(struct vowi_thread *t, const vow_result *r)
{
    return vowi_unlikely(t->yields != 0) && vowi_take_yield(t, r);
}

/* A job came out of its queue and was found claimed. Consumes a hold, the queue's. */
void vowi_left_queue(struct vowi_thread *t, struct vow_state *s);

/*
 * After such a turn: the task, whose state is still claimed, goes to the back of its
 * queue, or settles if it was asked to stop meanwhile; true: it did. Consumes a hold.
 */
bool vowi_go_again(struct vowi_thread *t, struct vow_state *s, vow_value ctx)
    __attribute__((__cold__));

#endif
