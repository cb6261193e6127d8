/* SPDX-License-Identifier: MIT */
/*
 * core/result.h - what a step returned becomes an outcome.
 */
#ifndef VOWI_CORE_RESULT_H
#define VOWI_CORE_RESULT_H

#include "base/thread.h"
#include "core/state.h"

/* The drop that says vow_forward. */
void vowi_is_forward(void *unused);

/* Stores a result that follows nobody in a claimed state. Consumes the result. */
void vowi_store_result(struct vow_state *s, struct vow_state *source, vow_result r);

/* Settles a claimed state as a result says. Consumes the result and a hold. */
void vowi_finish(struct vowi_thread *t, struct vow_state *s, struct vow_state *source,
                 vow_result r);

#endif
