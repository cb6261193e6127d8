/* SPDX-License-Identifier: MIT */
/*
 * combine/fold.c - values folded as they come, in order, by several threads.
 *
 * The lock guards the list alone: runs are taken out of it, folded without it by whoever
 * took them, and put in again. So several folds go on at a time, of runs that do not
 * touch, and what comes of it is a tree whose shape is the order of events. With an
 * associative function all trees are the same.
 */
#include "combine/fold.h"

#include "base/check.h"
#include "base/mark.h"

/* ---- runs ------------------------------------------------------------------------------- */

static const struct vowi_run nothing;

static void
run_drop(struct vowi_run *run)
{
    struct vowi_run gone = *run;

    *run = nothing;
    vow_value_drop(gone.value);
    vow_ignore(gone.holder);
}

void
vowi_hand_drop(struct vowi_hand *h)
{
    run_drop(&h->own);
    run_drop(&h->other);
}

static vow_value
lent(const struct vowi_run *run)
{
    vow_value v = run->value;

    v.drop = NULL;
    return v;
}

/* Whether a function gave back what it was lent: then that goes on. */
static bool
is_same(vow_value v, const struct vowi_run *run)
{
    return v.drop == NULL && v.as.u64 == run->value.as.u64;
}

/* ---- what functions return --------------------------------------------------------------- */

/* What is no value but says what to do: there is nothing here to do it with. */
static bool
is_mark(vow_value v)
{
    return v.drop != NULL &&
           (v.drop == vow_forward().value.drop || v.drop == vowi_wants_turn);
}

bool
vowi_fold_takes(vow_result r, vow_error **error)
{
    if (r.error == NULL && r.follow == NULL && !is_mark(r.value))
        return true;
    *error = r.error != NULL ? vow_error_ref(r.error) : vow_error_of(VOW_E_INVALID);
    vow_result_drop(r);
    return false;
}

/* Makes `own` of both, whichever of them the value is, if any. */
static void
replace(struct vowi_hand *h, vow_value v)
{
    struct vowi_run old = h->own;
    struct vowi_run other = h->other;

    if (other.first < old.first)
        h->own.first = other.first;
    if (other.end > old.end)
        h->own.end = other.end;
    h->own.count += other.count;
    h->other = nothing;
    if (is_same(v, &old)) {
        run_drop(&other);
        return;
    }
    h->own.value = is_same(v, &other) ? other.value : v;
    h->own.holder = is_same(v, &other) ? other.holder : NULL;
    run_drop(&old);
    if (!is_same(v, &other))
        run_drop(&other);
}

/* Folds both in their order. */
static vow_error *
fold(struct vowi_fold *f, struct vowi_hand *h, bool own_is_left)
{
    const struct vowi_run *left = own_is_left ? &h->own : &h->other;
    const struct vowi_run *right = own_is_left ? &h->other : &h->own;
    vow_result r = f->fn(lent(left), lent(right), f->ctx);
    vow_error *error = NULL;

    if (vowi_fold_takes(r, &error))
        replace(h, r.value);
    return error;
}

vow_error *
vowi_fold_append(struct vowi_fold *f, struct vowi_hand *h)
{
    if (h->own.count != 0)
        return fold(f, h, true);
    h->own = h->other;
    h->other = nothing;
    return NULL;
}

/* ---- the list ------------------------------------------------------------------------------ */

bool
vowi_fold_init(struct vowi_fold *f)
{
    f->first = NULL;
    f->last = NULL;
    f->free = NULL;
    return vowi_lock_init(&f->lock, VOWI_RANK_FOLD) == 0;
}

void
vowi_fold_add_slot(struct vowi_fold *f, struct vowi_slot *s)
{
    s->next = f->free;
    f->free = s;
}

void
vowi_fold_fini(struct vowi_fold *f)
{
    for (struct vowi_slot *s = f->first; s != NULL; s = s->next)
        run_drop(&s->run);
    vowi_lock_fini(&f->lock);
}

static void
unlink_locked(struct vowi_fold *f, struct vowi_slot *s)
{
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        f->first = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    else
        f->last = s->prev;
    s->next = f->free;
    f->free = s;
}

/* After a slot, or as the first. */
static void
insert_locked(struct vowi_fold *f, struct vowi_slot *after, const struct vowi_run *run)
{
    struct vowi_slot *s = f->free;

    vowi_assert(s != NULL);
    f->free = s->next;
    s->run = *run;
    s->prev = after;
    s->next = after != NULL ? after->next : f->first;
    if (s->next != NULL)
        s->next->prev = s;
    else
        f->last = s;
    if (after != NULL)
        after->next = s;
    else
        f->first = s;
}

/* The last that is before a run. As a rule runs come in at the end, or near to it. */
static struct vowi_slot *
before_locked(const struct vowi_fold *f, const struct vowi_run *run)
{
    struct vowi_slot *s = f->last;

    while (s != NULL && s->run.first > run->first)
        s = s->prev;
    return s;
}

/* One that touches a run, and on which side; *before is where the run belongs. */
static struct vowi_slot *
neighbour_locked(const struct vowi_fold *f, const struct vowi_run *run,
                 struct vowi_slot **before)
{
    struct vowi_slot *after;

    if (f->unordered) {
        *before = NULL;
        return f->first;
    }
    *before = before_locked(f, run);
    if (*before != NULL && (*before)->run.end == run->first)
        return *before;
    after = *before != NULL ? (*before)->next : f->first;
    return after != NULL && after->run.first == run->end ? after : NULL;
}

/* Takes one that touches `own` as `other`; if there is none, `own` lies there from now
 * on, unless it is all. */
static bool
take_neighbour(struct vowi_fold *f, struct vowi_hand *h, size_t all)
{
    struct vowi_slot *before, *s;

    vowi_lock_acquire(&f->lock);
    s = neighbour_locked(f, &h->own, &before);
    if (s != NULL) {
        h->other = s->run;
        unlink_locked(f, s);
    } else if (h->own.count != all) {
        insert_locked(f, before, &h->own);
        h->own = nothing;
    }
    vowi_lock_release(&f->lock);
    return s != NULL;
}

vow_error *
vowi_fold_put(struct vowi_fold *f, struct vowi_hand *h, size_t all)
{
    vow_error *error = NULL;

    while (error == NULL && take_neighbour(f, h, all))
        error = fold(f, h, f->unordered || h->own.first < h->other.first);
    return error;
}

struct vowi_run
vowi_fold_take(struct vowi_fold *f)
{
    struct vowi_run run = nothing;

    vowi_lock_acquire(&f->lock);
    if (f->first != NULL) {
        run = f->first->run;
        unlink_locked(f, f->first);
    }
    vowi_lock_release(&f->lock);
    return run;
}
