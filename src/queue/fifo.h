/* SPDX-License-Identifier: MIT */
/*
 * queue/fifo.h - a list of tasks, oldest first, linked by their next.
 *
 * Zero is an empty one. Locks nothing.
 */
#ifndef VOWI_QUEUE_FIFO_H
#define VOWI_QUEUE_FIFO_H

#include <stddef.h>

#include <vow/executor.h>

struct vowi_fifo {
    vow_task *first;
    vow_task *last; /* of no meaning while there is no first */
};

/* Adds a list, from its first to its last. */
static inline void
vowi_fifo_append(struct vowi_fifo *f, vow_task *first, vow_task *last)
{
    last->next = NULL;
    if (f->first == NULL)
        f->first = first;
    else
        f->last->next = first;
    f->last = last;
}

static inline void
vowi_fifo_push(struct vowi_fifo *f, vow_task *task)
{
    vowi_fifo_append(f, task, task);
}

/* Takes the oldest; NULL if there is none. */
static inline vow_task *
vowi_fifo_pop(struct vowi_fifo *f)
{
    vow_task *task = f->first;

    if (task != NULL)
        f->first = task->next;
    return task;
}

/* Ends all of a list with a code. A run may end the thread: the others end all the same. In
 * a child of one that forks what is left is the parent's. */
void vowi_end_tasks(vow_task **first, int why);

#endif
