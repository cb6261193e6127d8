/* SPDX-License-Identifier: MIT */
/*
 * core/wait.h - blocking, and the nodes of those who do.
 */
#ifndef VOWI_CORE_WAIT_H
#define VOWI_CORE_WAIT_H

#include "base/thread.h"
#include "core/state.h"

bool vowi_is_reader(const struct vowi_node *n);
void vowi_wake_reader(struct vowi_node *n);

/* The state that an executor's queue knows by a task; NULL: the task has none. */
struct vow_state *vowi_state_of_task(const vow_task *task);

/* Whether somebody may wait for a task: then its run calls vowi_forget_stolen. */
bool vowi_is_awaitable(const vow_task *task);

/*
 * Waits until s settles, or until a time on the monotonic clock. Returns 0,
 * VOW_E_TIMEDOUT, VOW_E_DEADLOCK if waiting here is refused, or VOW_E_FORKED if only a
 * process that has forked this one would settle it.
 */
int vowi_wait_settled(struct vowi_thread *t, struct vow_state *s, vow_ns deadline);

/* The same for as long as it takes, and never refuses to: for what runs elsewhere and uses
 * the caller's frame. Returns 0 or VOW_E_FORKED. */
int vowi_wait_out_settled(struct vowi_thread *t, struct vow_state *s);

#endif
