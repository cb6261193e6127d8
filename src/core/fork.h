/* SPDX-License-Identifier: MIT */
/*
 * core/fork.h - what is left of executors and of those who waited, in a forked child.
 */
#ifndef VOWI_CORE_FORK_H
#define VOWI_CORE_FORK_H

#include "base/thread.h"
#include "core/state.h"

/* The operations of an executor that was left behind: each says so. */
extern const vow_executor_ops vowi_forked_ops;

static inline bool
vowi_is_forked(const vow_executor *on)
{
    return on != NULL && on->ops == &vowi_forked_ops;
}

/* Has a fork from now on mark executors and unhang sleepers. Cheap when repeated. */
void vowi_fork_watch_core(void);

/* Whether s was to be settled by an executor that fork left behind. */
bool vowi_is_lost(struct vowi_thread *t, struct vow_state *s);

#endif
