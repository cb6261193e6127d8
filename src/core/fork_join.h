/* SPDX-License-Identifier: MIT */
/*
 * core/fork_join.h - a branch: a task, and a state to wait for, on its caller's stack.
 */
#ifndef VOWI_CORE_FORK_JOIN_H
#define VOWI_CORE_FORK_JOIN_H

#include <vow/fork_join.h>

#include "core/frame.h"
#include "core/state.h"

/*
 * What another thread may run of a call of vow_fork_join. Who takes it from the queue owns
 * it until it publishes the state, and touches nothing of it after that. The state has no
 * outcome: it says when. Its references are never the last.
 */
struct vowi_branch {
    union vowi_task as;
    vow_branch_fn *fn;
    void *ctx;
    const struct vowi_frame *frame; /* of the task that it is part of; or NULL */
    vow_executor *on;
    unsigned forks;       /* of the process, when it was offered */
    int why;              /* why nobody ran it, once it has settled; 0: somebody did */
    vow_error *error;     /* what it returned, owned */
    atomic_bool unwanted; /* the other one has failed */
    struct vow_state state;
};

static inline struct vowi_branch *
vowi_branch(struct vow_state *s)
{
    return vowi_container_of(s, struct vowi_branch, state);
}

/* The branch that a task is; NULL: it is something else. */
struct vowi_branch *vowi_branch_of(vow_task *task);

#endif
