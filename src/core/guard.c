/* SPDX-License-Identifier: MIT */
/*
 * core/guard.c - steps that call nothing: one that a token cancels, and one that lets no
 * request through.
 *
 * Such a step never runs anything, so it can be cancelled until its source settles; and
 * cancelling a step is what both are for: it settles at once and leaves its source.
 */
#include <vow/cancel.h>

#include "base/mem.h"
#include "core/bound.h"
#include "core/caller.h"
#include "core/refs.h"
#include "core/step.h"
#include "core/trampoline.h"

/* Consumes f. Bound to a token, which may be NULL. */
static vow_future *
pass(vow_future *f, enum vowi_step_kind kind, vow_token *token, void *site)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_step *step = vowi_step_new(t, f, NULL, kind, VOW_NIL, site);
    bool outermost;

    if (step == NULL)
        return NULL;
    if (token != NULL && !vowi_bind_prepare(&step->state, token)) {
        vowi_free_on(t, step, sizeof *step);
        vow_unref(f);
        return NULL;
    }
    outermost = vowi_enter(t);
    vowi_hook_attach(t, &step->hook);
    if (token != NULL)
        vowi_bind(t, &step->state);
    vowi_leave(t, outermost);
    return vowi_future(&step->state);
}

vow_future *
vowi_with_token_at(vow_future *f, vow_token *t, const void *site)
{
    if (f == NULL || vowi_settled(vowi_state(f)))
        return f;
    return pass(f, VOWI_PASS, t, vow_ptr(site).as.ptr);
}

vow_future *
vow_with_token(vow_future *f, vow_token *t)
{
    return vowi_with_token_at(f, t, __builtin_return_address(0));
}

vow_future *
vow_shield(vow_future *f)
{
    if (f == NULL || vowi_settled(vowi_state(f)))
        return f;
    return pass(f, VOWI_SHIELD, NULL, __builtin_return_address(0));
}
