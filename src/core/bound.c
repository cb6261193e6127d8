/* SPDX-License-Identifier: MIT */
/*
 * core/bound.c - tasks and steps that a token stops.
 *
 * What is bound to a token has a tie in its record. When the token fires, the state is
 * asked to stop as by vow_future_cancel; when it settles first, it takes the tie off. A
 * hold keeps its memory for the tie: given up by whoever removes it in time, or after
 * the request by whoever fired.
 *
 * The record of a task or step that runs may also be made later, under the lock bit, to
 * hold what it is told: the reason, and the token of its own.
 */
#include "core/bound.h"

#include "base/mem.h"
#include "core/cancel.h"
#include "core/refs.h"
#include "core/word.h"

static void
release_hold(void *state)
{
    vowi_hold_release(vowi_self(), state);
}

/* What is stopped has a context, whose drop may end the thread. */
static void
ask_to_stop(struct vowi_thread *t, struct vow_registration *r)
{
    struct vow_state *s = r->state;

    pthread_cleanup_push(release_hold, s);
    vowi_request_stop(t, s, vow_error_ref(r->tie.token->error));
    pthread_cleanup_pop(1);
}

static void
fire_bound(struct vowi_tie *tie, struct vowi_firing *firing)
{
    ask_to_stop(firing->thread, vowi_container_of(tie, struct vow_registration, tie));
}

bool
vowi_bind_prepare(struct vow_state *s, vow_token *token)
{
    /* relaxed: nobody else knows it */
    uint64_t refs = vowi_load_relaxed(&s->refs);
    struct vow_registration *r = s->extra;

    if ((refs & VOWI_HAS_RECORD) == 0) {
        r = vowi_record_new(NULL, s->extra);
        if (r == NULL)
            return false;
        s->extra = r;
    }
    r->state = s;
    r->tie.token = token;
    r->tie.fire = fire_bound;
    vowi_store_relaxed(&s->refs, (refs | VOWI_HAS_RECORD) + VOWI_HOLD);
    return true;
}

void
vowi_bind(struct vowi_thread *t, struct vow_state *s)
{
    struct vow_registration *r = s->extra;

    if (vowi_tie_hang(&r->tie) == VOWI_TIE_FIRED)
        ask_to_stop(t, r);
}

void
vowi_unbind(struct vowi_thread *t, struct vow_state *s)
{
    struct vow_registration *r = s->extra;

    if (r->tie.token != NULL && vowi_tie_remove(&r->tie))
        vowi_hold_release(t, s);
}

vow_token *
vowi_bound_to(struct vow_state *s)
{
    struct vow_registration *r = vowi_record_of_own(s);

    return r != NULL && vowi_kind(s) != VOWI_BARE ? r->tie.token : NULL;
}

/* ---- while it runs ------------------------------------------------------------------------ */

struct vow_registration *
vowi_record_of_own(struct vow_state *s)
{
    return vowi_load_acquire(&s->refs) & VOWI_HAS_RECORD ? s->extra : NULL; /* [record] */
}

/* Under the lock bit: the record, which is `fresh` if there was none. */
static struct vow_registration *
record_locked(struct vow_state *s, struct vow_registration **fresh)
{
    struct vow_registration *r = *fresh;

    /* relaxed: ordered by the lock bit */
    if (vowi_load_relaxed(&s->refs) & VOWI_HAS_RECORD)
        return s->extra;
    if (r == NULL)
        return NULL;
    r->site = s->extra;
    s->extra = r;
    vowi_or_release(&s->refs, VOWI_HAS_RECORD); /* [record] */
    *fresh = NULL;
    return r;
}

/* Only a reason that says more than that it was cancelled is worth a record. */
static struct vow_registration *
record_for(struct vow_state *s, const vow_error *error)
{
    if (vowi_record_of_own(s) != NULL || error == vow_error_of(VOW_E_CANCELLED))
        return NULL;
    return vowi_record_new(NULL, NULL);
}

void
vowi_tell_own(struct vow_state *s, const vow_error *error)
{
    struct vow_registration *r = vowi_record_of_own(s);
    struct vow_token *own;

    if (r == NULL)
        return;
    vowi_lock_word(s);
    own = vow_token_ref(vowi_load_relaxed(&r->own)); /* relaxed: the lock bit orders it */
    vowi_unlock_word(s);
    if (own != NULL)
        vowi_token_cancel(own, error);
    vow_token_unref(own);
}

void
vowi_keep_reason(struct vow_state *s, const vow_error *error)
{
    struct vow_registration *fresh = record_for(s, error);
    struct vow_registration *r = NULL;
    vow_error *reason = vow_error_ref(error);

    if ((vowi_lock_word(s) & VOWI_SETTLED) == 0)
        r = record_locked(s, &fresh);
    if (r != NULL && r->reason == NULL) {
        r->reason = reason;
        reason = NULL;
    }
    vowi_unlock_word(s);
    vowi_free(fresh, sizeof *fresh);
    vow_error_unref(reason);
}

void
vowi_tell_running(struct vow_state *s, const vow_error *error)
{
    vowi_keep_reason(s, error);
    vowi_tell_own(s, error);
}

vow_error *
vowi_reason_to_stop(struct vow_state *s)
{
    struct vow_registration *r = vowi_record_of_own(s);
    vow_error *reason = NULL;

    if (r != NULL) {
        vowi_lock_word(s);
        reason = vow_error_ref(r->reason);
        vowi_unlock_word(s);
    }
    return reason != NULL ? reason : vow_error_of(VOW_E_CANCELLED);
}

/* Under the lock bit, which orders it among those who install. */
static vow_token *
install_locked(struct vow_registration *r, vow_token **own)
{
    vow_token *had = vowi_load_relaxed(&r->own);

    if (had != NULL)
        return had;
    had = *own;
    *own = NULL;
    vowi_store_release(&r->own, had); /* [own] */
    return had;
}

vow_token *
vowi_install_own(struct vow_state *s, vow_token *own)
{
    struct vow_registration *fresh = NULL;
    vow_token *has = NULL;

    if (vowi_record_of_own(s) == NULL)
        fresh = vowi_record_new(NULL, NULL);
    if (fresh != NULL || vowi_record_of_own(s) != NULL) {
        vowi_lock_word(s);
        has = install_locked(record_locked(s, &fresh), &own);
        vowi_unlock_word(s);
    }
    vowi_free(fresh, sizeof *fresh);
    vow_token_unref(own);
    return has;
}
