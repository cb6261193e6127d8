/* SPDX-License-Identifier: MIT */
/*
 * core/bound.h - tasks and steps that a token stops.
 */
#ifndef VOWI_CORE_BOUND_H
#define VOWI_CORE_BOUND_H

#include "base/thread.h"
#include "core/block.h"

/*
 * Gives a task or a step that nobody else knows yet a record with a tie to a token, and
 * with it a hold. It hangs nowhere so far: vowi_bind does that, and must be called. False:
 * no memory, and nothing was done.
 */
bool vowi_bind_prepare(struct vow_state *s, vow_token *token);

/* Hangs it on its token, whose reference the caller has; if that has fired, it is asked
 * to stop now. With a trampoline open, and a reference to s. */
void vowi_bind(struct vowi_thread *t, struct vow_state *s);

/* Takes what has settled, and has a record, off its token. */
void vowi_unbind(struct vowi_thread *t, struct vow_state *s);

/* The token by which it is asked; NULL: none, as of a promise. Of one that has not settled. */
vow_token *vowi_bound_to(struct vow_state *s);

/* ---- while it runs ---------------------------------------------------------------- */

/* What it finds if it looks why it was asked to stop, unless it has a reason already. */
void vowi_keep_reason(struct vow_state *s, const vow_error *error);

/* One that runs was asked to stop: its own token fires, and it may look why. With a
 * trampoline open. Allocates room for the reason, and works without. */
void vowi_tell_running(struct vow_state *s, const vow_error *error);

/* The token of its own fires, if there is one. Likewise. */
void vowi_tell_own(struct vow_state *s, const vow_error *error);

/* The rest is for the thread on which it runs. */

/* The record; NULL: none yet. */
struct vow_registration *vowi_record_of_own(struct vow_state *s);

/* Why it was asked to stop, which it was: owned, never NULL. */
vow_error *vowi_reason_to_stop(struct vow_state *s);

/* Gives it a token of its own, consumed; several threads may, where it has forked. Returns
 * the one that it has, lent; NULL without memory. */
vow_token *vowi_install_own(struct vow_state *s, vow_token *own);

#endif
