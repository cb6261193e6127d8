/* SPDX-License-Identifier: MIT */
/*
 * core/caller.h - what src/combine and src/resilience make on behalf of a caller, whose
 * address a report is to name: the return address of the public function that was called.
 */
#ifndef VOWI_CORE_CALLER_H
#define VOWI_CORE_CALLER_H

#include <vow/cancel.h>
#include <vow/future.h>

/* As vow_promise_new. */
vow_promise *vowi_promise_new_at(const void *site);

/* As vow_with_token. */
vow_future *vowi_with_token_at(vow_future *f, vow_token *t, const void *site);

#endif
