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

/* Who is to settle what is pending. */
enum vowi_fate {
    VOWI_FATE_LIVE,    /* nobody that a fork has left behind, as far as we know */
    VOWI_FATE_AT_RISK, /* several: one is left behind, and another may yet be enough */
    VOWI_FATE_LOST     /* an executor that a fork has left behind */
};

enum vowi_fate vowi_fate(struct vowi_thread *t, struct vow_state *s);

static inline bool
vowi_is_lost(struct vowi_thread *t, struct vow_state *s)
{
    return vowi_fate(t, s) == VOWI_FATE_LOST;
}

#endif
