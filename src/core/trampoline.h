/* SPDX-License-Identifier: MIT */
/*
 * core/trampoline.h - inline steps, one after the other.
 */
#ifndef VOWI_CORE_TRAMPOLINE_H
#define VOWI_CORE_TRAMPOLINE_H

#include "base/thread.h"
#include "core/node.h"

void vowi_drain(struct vowi_thread *t);

/* For a thread that is about to wait: here, all of it, since it may wait for that, or for
 * what is dropped with the states whose end is put off here. */
void vowi_drain_all(struct vowi_thread *t);

/* Puts a node at the end. */
static inline void
vowi_later(struct vowi_thread *t, struct vowi_node *n)
{
    n->next = NULL;
    if (t->fifo_head == NULL)
        t->fifo_head = n;
    else
        t->fifo_tail->next = n;
    t->fifo_tail = n;
}

/* Opens a stretch in which inline steps queue up; true if it is the outermost. */
static inline bool
vowi_enter(struct vowi_thread *t)
{
    return t->depth++ == 0;
}

static inline void
vowi_leave(struct vowi_thread *t, bool outermost)
{
    if (outermost && t->fifo_head != NULL)
        vowi_drain(t);
    t->depth--;
}

/*
 * The thread exits inside a step, and the frames below, which would have drained the
 * list, never return: what waits runs now.
 */
static inline void
vowi_leave_exiting(struct vowi_thread *t)
{
    vowi_drain_all(t);
    t->depth--;
}

#endif
