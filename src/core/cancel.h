/* SPDX-License-Identifier: MIT */
/*
 * core/cancel.h - asking work to stop, and the record that few states need.
 */
#ifndef VOWI_CORE_CANCEL_H
#define VOWI_CORE_CANCEL_H

#include "base/thread.h"
#include "core/block.h"

/* Asks the work behind s to stop, up the chain. Consumes the error. */
void vowi_request_stop(struct vowi_thread *t, struct vow_state *s, vow_error *error);

/* VOW_E_CANCELLED with a reason behind it, if there is memory. Consumes the reason. */
vow_error *vowi_cancelled_error(vow_error *reason);

/*
 * Gives up a consumer's reference, for one who has no use for the outcome any more: an
 * error counts as handled, and if nobody else wants it the work is asked to stop. The
 * error is shared; NULL: it is not asked.
 */
void vowi_give_up(struct vowi_thread *t, struct vow_state *s, const vow_error *error);

/* A record for a name or a hook; NULL without memory. */
struct vow_registration *vowi_record_new(const char *name, const void *site);

/* Frees the record of a state that nobody refers to any more. */
void vowi_record_free(struct vowi_thread *t, struct vow_state *s);

/* Drops the context of a hook that will not run any more, if it has one. */
void vowi_hook_drop(struct vow_state *s);

/* Ends the registration of a promise's hook, as vow_registration_remove says. */
vow_removal vowi_hook_remove(struct vow_registration *r);

#endif
