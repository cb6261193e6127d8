/* SPDX-License-Identifier: MIT */
/*
 * core/node.h - what hangs on a state, and is a task as well.
 */
#ifndef VOWI_CORE_NODE_H
#define VOWI_CORE_NODE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <vow/executor.h>

#include "base/atomic.h"

/* The run of a vow_task. */
typedef void vowi_run_fn(vow_task *task, int why);

/*
 * The shape of a vow_task, and one until it is delivered to an executor. Which
 * kind of node it is, its run says. Aligned to 16.
 */
struct vowi_node {
    struct vowi_node *next; /* the one attached before it */
    vowi_run_fn *run;
    union {
        struct vowi_node *newer; /* while attached: back link, or NULL if not filled */
        struct {
            unsigned char priority;
            unsigned char flags;
            unsigned char hook; /* core/trampoline.c: which run it had */
            unsigned char held; /* it took over a hold of its source */
            int32_t why;        /* on the trampoline: why it will not run, or 0 */
        } queued;
        struct {
            unsigned char priority;
            unsigned char flags;
            _Atomic(unsigned char) left; /* core/yield.c, of a job: its queue */
        } turns;
    } as;
};

union vowi_task {
    vow_task task;
    struct vowi_node node;
};

/* No back link, and the bytes of a task are zero: priority, flags, why. Those are more than
 * a pointer where that is short. */
static inline void
vowi_node_clear(struct vowi_node *n)
{
    memset(&n->as, 0, sizeof n->as);
}

static_assert(sizeof(vow_task) == sizeof(struct vowi_node), "one shape");
static_assert(offsetof(vow_task, priority) == offsetof(struct vowi_node, as),
              "one shape");

#endif
