/* SPDX-License-Identifier: MIT */
/*
 * core/future.c - the reading end: references, status, name and site.
 *
 * The words of a state and their edges are described in core/state.h.
 */
#include "core/block.h"
#include "core/refs.h"
#include "core/state.h"
#include "core/word.h"

void
vowi_is_error(void *unused)
{
    (void)unused;
}

void
vowi_is_alias(void *unused)
{
    (void)unused;
}

struct vow_state vowi_nomem = {
    .word = VOWI_CLAIMED | VOWI_SETTLED,
    .refs = VOWI_CONSUMERS_MANY | VOWI_SEEN | VOWI_REJECTED,
    .outcome.as.other.kind = vowi_is_error,
};

vow_future *
vow_ref(vow_future *f)
{
    if (f != NULL)
        vowi_consumer_ref(vowi_state(f));
    return f;
}

void
vow_unref(vow_future *f)
{
    if (f != NULL)
        vowi_consumer_unref(vowi_self(), vowi_state(f));
}

void
vow_detach(vow_future *f)
{
    vow_unref(f);
}

void
vow_ignore(vow_future *f)
{
    if (f == NULL)
        return;
    vowi_mark_seen(vowi_state(f));
    vow_unref(f);
}

/* ---- reading ------------------------------------------------------------------------ */

/* relaxed: a flag by itself; what it is about is ordered by the reference counts. */
void
vowi_mark_seen(struct vow_state *s)
{
    if ((vowi_load_relaxed(&s->refs) & VOWI_SEEN) == 0)
        vowi_or_relaxed(&s->refs, VOWI_SEEN);
}

vow_view
vowi_view(struct vow_state *s)
{
    vow_view view = {VOW_NIL, vowi_error_in(s)};

    if (view.error != NULL) {
        vowi_mark_seen(s);
        return view;
    }
    view.value = vowi_root(s)->outcome.as.value;
    view.value.drop = NULL;
    return view;
}

vow_status
vow_future_status(const vow_future *f)
{
    struct vow_state *s = vowi_state_or_nomem(f);

    if (!vowi_settled(s))
        return VOW_PENDING;
    return vowi_error_in(s) != NULL ? VOW_REJECTED : VOW_FULFILLED;
}

VOWI_NOINLINE static vow_view
peek_at_other(const vow_future *f)
{
    struct vow_state *s = vowi_state_or_nomem(f);
    vow_view pending = {VOW_NIL, NULL};

    if (vowi_settled(s))
        return vowi_view(s);
    pending.error = vow_error_of(VOW_E_INVALID);
    return pending;
}

vow_view
vow_peek(const vow_future *f)
{
    vow_view plain = {VOW_NIL, NULL};

    if (vowi_unlikely(f == NULL || !vowi_has_plain_value(vowi_state(f))))
        return peek_at_other(f);
    plain.value.as.u64 = vowi_state(f)->outcome.as.value.as.u64;
    return plain;
}

/* What does not change in a record, whether there is one or not. */
struct label {
    const char *name;
    const void *site;
};

/* The record may be made while the state is shared, hence the lock bit. */
static struct label
label_of(struct vow_state *s)
{
    struct label label = {NULL, NULL};
    const struct vow_registration *r;

    vowi_lock_word(s);
    r = s->extra;
    /* relaxed: ordered by the lock bit */
    if (vowi_load_relaxed(&s->refs) & VOWI_HAS_RECORD)
        label = (struct label){r->name, r->site};
    else
        label.site = r;
    vowi_unlock_word(s);
    return label;
}

const char *
vow_future_name(const vow_future *f)
{
    return f != NULL ? label_of(vowi_state(f)).name : NULL;
}

const void *
vow_future_site(const vow_future *f)
{
    return f != NULL ? label_of(vowi_state(f)).site : NULL;
}
