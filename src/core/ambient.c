/* SPDX-License-Identifier: MIT */
/*
 * core/ambient.c - what runs here looks whether it should stop.
 *
 * A task or a step should when it was asked to (vow_future_cancel, or a leave of all who
 * wanted it), when a token it was given has fired, or when its executor was told to
 * cancel. All three are flags that lie where the thread looks anyway: what runs without
 * a token pays nothing for being able to ask.
 *
 * As a token, for registering on and for linking, it is made on demand, once, linked to
 * the one it was given and to its executor's; it is in the record, and a request fires
 * it. Of a request and the making of it, each sees the other: the request sets its flag
 * before it looks for the token, under the lock bit; the maker puts the token there,
 * under the lock bit, before it looks for the flag [asked].
 */
#include <vow/cancel.h>

#include "base/mem.h"
#include "core/ambient.h"
#include "core/bound.h"
#include "core/executor.h"
#include "core/fork_join.h"
#include "core/frame.h"
#include "core/refs.h"

/* The branch of a fork that another thread runs for its caller; NULL: it is none. */
static struct vowi_branch *
branch_in(const struct vowi_frame *f)
{
    if (f == NULL || f->state == NULL || vowi_kind(f->state) != VOWI_BRANCH)
        return NULL;
    return vowi_branch(f->state);
}

/* A branch is part of the task that forked it, which waits for it. */
static const struct vowi_frame *
frame_here(const struct vowi_thread *t)
{
    const struct vowi_frame *f = t->frames;
    const struct vowi_branch *b;

    while ((b = branch_in(f)) != NULL)
        f = b->frame;
    return f;
}

/* Whether what runs here is a branch that is of no use any more. relaxed: a flag by itself */
static bool
is_unwanted(const struct vowi_thread *t)
{
    struct vowi_branch *b = branch_in(t->frames);

    while (b != NULL && !vowi_load_relaxed(&b->unwanted))
        b = branch_in(b->frame);
    return b != NULL;
}

/* What runs here: a task's or a step's state; NULL: something without one, or nothing. */
static struct vow_state *
running_here(const struct vowi_thread *t)
{
    const struct vowi_frame *f = frame_here(t);

    return f != NULL ? f->state : NULL;
}

static bool
is_asked(struct vow_state *s)
{
    return s != NULL && (vowi_load_acquire(&s->refs) & VOWI_STOPPING) != 0; /* [asked] */
}

/* The token that it was given; NULL: none. */
static vow_token *
given_here(const struct vowi_thread *t, struct vow_state *s)
{
    const struct vowi_frame *f;

    if (s != NULL)
        return vowi_bound_to(s);
    f = frame_here(t);
    return f != NULL ? f->token : NULL;
}

/* The first of its tokens that has fired; NULL: none has. */
static vow_token *
fired_here(const struct vowi_thread *t, struct vow_state *s)
{
    vow_token *given = given_here(t, s);
    vow_token *stopping = vowi_executor_stopping(t->executor);

    if (vowi_token_fired(given))
        return given;
    return vowi_token_fired(stopping) ? stopping : NULL;
}

bool
vow_cancelled(void)
{
    const struct vowi_thread *t = vowi_self();
    struct vow_state *s = running_here(t);

    return is_asked(s) || fired_here(t, s) != NULL || is_unwanted(t);
}

vow_result
vow_check_cancelled(void)
{
    const struct vowi_thread *t = vowi_self();
    struct vow_state *s = running_here(t);
    vow_error *reason = is_asked(s) ? vowi_reason_to_stop(s) : NULL;
    const vow_token *fired = fired_here(t, s); /* after that: it fired before it asked */

    if (fired != NULL && (reason == NULL || reason == vow_error_of(VOW_E_CANCELLED))) {
        vow_error_unref(reason); /* the request has yet to say why; the token has */
        reason = vow_error_ref(fired->error);
    }
    if (reason == NULL && is_unwanted(t))
        reason = vow_error_of(VOW_E_CANCELLED);
    return reason != NULL ? vow_err(reason) : vow_ok(VOW_NIL);
}

/* ---- as a token ---------------------------------------------------------------------------- */

static vow_token *
make_own(const struct vowi_thread *t, struct vow_state *s)
{
    vow_token *parents[] = {vowi_bound_to(s), vowi_executor_stopping(t->executor)};
    vow_token *own = vow_token_any(parents, 2);

    if (own != NULL)
        own = vowi_install_own(s, own);
    if (own != NULL && is_asked(s)) {
        vow_error *error = vowi_reason_to_stop(s);

        vowi_token_cancel(own, error);
        vow_error_unref(error);
    }
    return own;
}

vow_token *
vowi_ambient_token(void)
{
    struct vowi_thread *t = vowi_self();
    struct vow_state *s = running_here(t);
    const struct vow_registration *r;
    vow_token *given = given_here(t, s), *own;

    if (s == NULL)
        return given != NULL ? given : vowi_executor_stopping(t->executor);
    r = vowi_record_of_own(s);
    own = r != NULL ? vowi_load_acquire(&r->own) : NULL; /* [own] */
    return own != NULL ? own : make_own(t, s);
}

vow_token *
vow_token_current(void)
{
    return vow_token_ref(vowi_ambient_token());
}
