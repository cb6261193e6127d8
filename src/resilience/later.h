/* SPDX-License-Identifier: MIT */
/* resilience/later.h - a call that is made when something else has settled. */
#ifndef VOWI_RESILIENCE_LATER_H
#define VOWI_RESILIENCE_LATER_H

#include <vow/executor.h>
#include <vow/future.h>

/* Runs fn on an executor once f is fulfilled, on behalf of a caller (core/caller.h). Consumes
 * f and the context; NULL without memory. Cancelled before, it never starts. */
vow_future *vowi_call_after(vow_future *f, vow_executor *on, vow_task_fn *fn,
                            vow_value ctx, const void *site);

#endif
