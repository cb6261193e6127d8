/* SPDX-License-Identifier: MIT */
/*
 * resilience/call.h - a protected call: a user's function with something that has to
 * know when it begins and how it ends.
 *
 * The call is the context of a job. Its function tells `begin`, runs the user's, and
 * drops the user's context. What it returned at once is how the call ended. A future
 * to follow gets a step behind it that says so when it settles. Whatever becomes of
 * the job or of that step, `end` is told exactly once, before the result settles: with
 * NULL if the function never ran, or was cancelled while it was waited for.
 */
#ifndef VOWI_RESILIENCE_CALL_H
#define VOWI_RESILIENCE_CALL_H

#include <vow/executor.h>
#include <vow/future.h>

#include "base/atomic.h"

struct vowi_call;

struct vowi_call_kind {
    size_t size; /* of the struct that has the call as its first member */
    void (*begin)(struct vowi_call *c);
    void (*end)(struct vowi_call *c, const vow_view *how);
};

struct vowi_call {
    const struct vowi_call_kind *kind;
    vow_task_fn *fn;
    vow_value ctx;
    bool begun, ended;
    _Atomic(unsigned) refs; /* the job's context, and the step's */
};

/* The rest of the struct is the caller's to fill. */
static inline void
vowi_call_init(struct vowi_call *c, const struct vowi_call_kind *kind, vow_task_fn *fn,
               vow_value ctx)
{
    c->kind = kind;
    c->fn = fn;
    c->ctx = ctx;
    c->begun = false;
    c->ended = false;
    atomic_init(&c->refs, 1);
}

/* Whether a future has a value already, so that nothing has to wait for it. Does not look
 * at errors: those go the long way, which hands on the question whether they were seen. */
static inline bool
vowi_has_value(const vow_future *f)
{
    return f != NULL && vow_future_status(f) == VOW_FULFILLED;
}

/* The function of a step that settles as its source does, and is there to be cancelled by
 * itself, or for the drop of its context. */
vow_result vowi_pass_on(vow_view how, void *unused);

/* Tells end how a future settles. Consumes both; returns a future that settles likewise. */
vow_future *vowi_call_behind(struct vowi_call *c, vow_future *f);

/* On behalf of a caller (core/caller.h). Consumes the call. NULL without memory: end has
 * been told, the context dropped. */
vow_future *vowi_call_submit(struct vowi_call *c, vow_executor *on, const void *site);

#endif
