/* SPDX-License-Identifier: MIT */
/*
 * core/settle.h - settling a state, and passing its outcome on.
 */
#ifndef VOWI_CORE_SETTLE_H
#define VOWI_CORE_SETTLE_H

#include "base/thread.h"
#include "core/state.h"

/*
 * Publishes the outcome of a claimed state and delivers what hangs on it. Runs no
 * user code except an executor's post: inline steps go to the trampoline. The
 * caller holds a reference of any sort.
 */
void vowi_settle(struct vowi_thread *t, struct vow_state *s);

/* The same for a caller who has a hold: consumes it, or the last step takes it. */
void vowi_settle_held(struct vowi_thread *t, struct vow_state *s);

/* What is left of vowi_settle after vowi_publish has taken n, if the outcome is a value. */
void vowi_settle_published(struct vowi_thread *t, struct vow_state *s,
                           struct vowi_node *n);

/* The same of vowi_settle_held, if a step's function has returned that value, and nothing of
 * a user's runs on this thread before it has left that. */
void vowi_settle_returned(struct vowi_thread *t, struct vow_state *s,
                          struct vowi_node *n);

/* Rejects it with VOW_E_BROKEN, and what hangs on it does not run. */
void vowi_abandon(struct vowi_thread *t, struct vow_state *s);

/* Moves the outcome of a settled source to a claimed state, or shares it. The
 * source stays referenced. */
void vowi_pass_through(struct vow_state *source, struct vow_state *s);

#endif
