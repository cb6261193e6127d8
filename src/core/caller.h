/* SPDX-License-Identifier: MIT */
/*
 * core/caller.h - what src/combine and src/resilience make on behalf of a caller, whose
 * address a report is to name: the return address of the public function that was called.
 */
#ifndef VOWI_CORE_CALLER_H
#define VOWI_CORE_CALLER_H

#include <vow/cancel.h>
#include <vow/executor.h>
#include <vow/future.h>

/* As vow_promise_new. */
vow_promise *vowi_promise_new_at(const void *site);

/* As vow_rejected. */
vow_future *vowi_rejected_at(vow_error *e, const void *site);

/* As vow_submit. */
vow_future *vowi_submit_at(vow_executor *on, vow_task_fn *fn, vow_value ctx,
                           const void *site);

/* As vow_submit_with. */
vow_future *vowi_submit_with_at(vow_executor *on, const vow_submit_options *opt,
                                vow_task_fn *fn, vow_value ctx, const void *site);

/* As vow_then. */
vow_future *vowi_then_at(vow_future *f, vow_executor *on, vow_then_fn *fn, vow_value ctx,
                         const void *site);

/* As vow_handle. */
vow_future *vowi_handle_at(vow_future *f, vow_executor *on, vow_handle_fn *fn,
                           vow_value ctx, const void *site);

/* As vow_with_token. */
vow_future *vowi_with_token_at(vow_future *f, vow_token *t, const void *site);

#endif
