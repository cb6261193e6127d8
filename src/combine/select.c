/* SPDX-License-Identifier: MIT */
/*
 * combine/select.c - one of several sends and receives.
 *
 * All channels are locked at once, in the order of their addresses, for a look whether
 * one of the cases can be done, and to queue in all of them if none can: so nothing happens
 * in between. Go's select does the same. Whoever claims a choice afterwards, to serve a
 * party of it or to cancel it, takes its other parties out of their queues before it
 * settles.
 *
 * A choice is held by whoever has claimed it, or by its being queued; by the hook; and by
 * its outcome.
 */
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"
#include "combine/channel.h"
#include "core/caller.h"

struct choice;

struct side {
    struct vowi_party party; /* first */
    struct choice *choice;
    vow_channel *c;
    bool sends;
};

struct choice {
    struct vowi_refs refs;
    atomic_bool claim;
    vow_promise *promise; /* of whoever claims it */
    size_t n;

    /* Written by whoever claims it, before it settles. */
    vow_selected outcome;
    vow_channel *from; /* where a value was received; NULL: none was */
    atomic_bool taken; /* the value has gone elsewhere */
    struct vowi_returned returned;

    struct vowi_lock **locks; /* of the channels: each once, in order */
    size_t lock_count;
    struct side sides[];
};

static size_t
size_of(size_t n)
{
    return sizeof(struct choice) +
           n * (sizeof(struct side) + 2 * sizeof(struct vowi_lock *));
}

static void
choice_unref(struct choice *x)
{
    if (!vowi_refs_drop(&x->refs))
        return;
    for (size_t i = 0; i < x->n; i++)
        if (x->sides[i].c != NULL)
            vowi_channel_memory_unref(x->sides[i].c);
    vowi_free(x, size_of(x->n));
}

/* ---- the outcome -------------------------------------------------------------------------- */

static void
returned_is_gone(struct vowi_returned *r)
{
    choice_unref(vowi_container_of(r, struct choice, returned));
}

static void
drop_outcome(void *selected)
{
    struct choice *x =
        vowi_container_of((vow_selected *)selected, struct choice, outcome);

    /* relaxed: who took it had a reference, whose end comes before this [taken] */
    if (x->from != NULL && !vowi_swap_relaxed(&x->taken, true))
        vowi_channel_give_back(x->from, &x->returned);
    else
        choice_unref(x);
}

const vow_selected *
vow_get_selected(vow_future *f)
{
    vow_view view = vow_get(f);

    return view.error == NULL ? view.value.as.ptr : NULL;
}

bool
vow_selected_take(const vow_selected *s, vow_value *out)
{
    struct choice *x;

    *out = VOW_NIL;
    if (s == NULL)
        return false;
    x = vowi_container_of((vow_selected *)vow_ptr(s).as.ptr, struct choice, outcome);
    /* relaxed: it says who has the value, and that is all [taken] */
    if (x->from == NULL || vowi_swap_relaxed(&x->taken, true))
        return false;
    *out = x->returned.value;
    return true;
}

/* ---- the end of it ------------------------------------------------------------------------- */

static void
withdraw_side(struct side *s)
{
    vow_value unsent = s->party.value;

    if (s->c != NULL) {
        vowi_channel_lock(s->c);
        vowi_channel_unqueue_locked(&s->party);
        unsent = s->party.value;
        s->party.value = VOW_NIL;
        vowi_channel_unlock(s->c);
    }
    vow_value_drop(unsent);
}

/* Takes all of a choice out of the queues, and drops what is not sent. */
static void
withdraw(struct choice *x)
{
    for (size_t i = 0; i < x->n; i++)
        withdraw_side(&x->sides[i]);
}

/* By whoever claimed it, whose reference becomes the outcome's. */
static void
conclude(struct choice *x, size_t index, vow_value v, vow_error *error)
{
    struct side *s = &x->sides[index];
    vow_promise *p = x->promise;
    vow_value lent = v;

    lent.drop = NULL;
    x->outcome.index = index;
    x->outcome.result.value = lent;
    x->outcome.result.error = error;
    x->returned.value = v;
    x->returned.gone = returned_is_gone;
    if (!s->sends && error == NULL)
        x->from = s->c;
    withdraw(x);
    vow_promise_fulfill(p, vow_own(&x->outcome, drop_outcome));
    vow_promise_unref(p);
}

/* Errors here are built in: they need no reference. */
static void
serve(struct vowi_party *p, vow_value v, vow_error *error)
{
    struct side *s = (struct side *)(void *)p;

    conclude(s->choice, (size_t)(s - s->choice->sides), v, error);
}

static void
reject(struct choice *x, vow_error *e)
{
    vow_promise *p = x->promise;

    withdraw(x);
    vow_promise_reject(p, e);
    vow_promise_unref(p);
    choice_unref(x);
}

static void
stop(vow_promise *p, const vow_error *reason, void *choice)
{
    struct choice *x = choice;

    (void)p;
    /* relaxed: it says who is first; what the parties have lies under the locks [party] */
    if (!vowi_swap_relaxed(&x->claim, true))
        reject(x, vow_error_ref(reason));
}

static void
drop_hook(void *choice)
{
    choice_unref(choice);
}

/* ---- the beginning --------------------------------------------------------------------------- */

/* By insertion: a select has a few cases. */
static void
add_lock(struct choice *x, struct vowi_lock *l)
{
    size_t i = x->lock_count;

    while (i > 0 && (uintptr_t)x->locks[i - 1] > (uintptr_t)l)
        i--;
    if (i > 0 && x->locks[i - 1] == l)
        return;
    memmove(&x->locks[i + 1], &x->locks[i], (x->lock_count - i) * sizeof *x->locks);
    x->locks[i] = l;
    x->lock_count++;
}

static void
fill_side(struct choice *x, size_t i, const vow_case *from)
{
    struct side *s = &x->sides[i];

    s->choice = x;
    s->c = from->channel;
    s->sends = from->kind == VOW_CASE_IS_SEND;
    s->party.claim = &x->claim;
    s->party.serve = serve;
    s->party.value = s->sends ? from->value : VOW_NIL;
    if (s->c == NULL)
        return; /* it never happens */
    vowi_refs_take(&s->c->memory);
    add_lock(x, &s->c->in.lock);
    add_lock(x, &s->c->out.lock);
}

static void
drop_values(const vow_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (cases[i].kind == VOW_CASE_IS_SEND)
            vow_value_drop(cases[i].value);
}

static struct choice *
choice_new(const vow_case *cases, size_t n, const void *site)
{
    size_t most = (SIZE_MAX / 2 - sizeof(struct choice)) /
                  (sizeof(struct side) + 2 * sizeof(struct vowi_lock *));
    struct choice *x = n <= most ? vowi_alloc(size_of(n)) : NULL;

    if (x == NULL) {
        drop_values(cases, n);
        return NULL;
    }
    memset(x, 0, size_of(n));
    vowi_refs_init(&x->refs);
    atomic_init(&x->claim, false);
    atomic_init(&x->taken, false);
    x->n = n;
    x->locks = (struct vowi_lock **)(void *)&x->sides[n];
    for (size_t i = 0; i < n; i++)
        fill_side(x, i, &cases[i]);
    x->promise = vowi_promise_new_at(site);
    vowi_refs_take(&x->refs);
    if (vow_promise_on_cancel(x->promise, NULL, stop, vow_own(x, drop_hook)) != NULL)
        return x;
    reject(x, NULL);
    return NULL;
}

static enum vowi_channel_step
try_side_locked(struct side *s, vow_value *out, struct vowi_errand *errand)
{
    enum vowi_channel_step step;

    if (s->c == NULL)
        return VOWI_CHANNEL_WAITS;
    if (!s->sends)
        return vowi_channel_receive_locked(s->c, out, NULL, errand);
    step = vowi_channel_send_locked(s->c, s->party.value, NULL, errand);
    if (step == VOWI_CHANNEL_DONE)
        s->party.value = VOW_NIL;
    return step;
}

/* Does the first case that can be done, or queues in all. Returns its index, or n. */
static size_t
do_or_queue_locked(struct choice *x, enum vowi_channel_step *step, vow_value *out,
                   struct vowi_errand *errand)
{
    for (size_t i = 0; i < x->n; i++) {
        *step = try_side_locked(&x->sides[i], out, errand);
        if (*step != VOWI_CHANNEL_WAITS)
            return i;
    }
    for (size_t i = 0; i < x->n; i++)
        if (x->sides[i].c != NULL)
            vowi_channel_enqueue_locked(x->sides[i].c, &x->sides[i].party,
                                        x->sides[i].sends);
    return x->n;
}

static void
start(struct choice *x)
{
    struct vowi_errand errand = {NULL, VOW_NIL, NULL};
    enum vowi_channel_step step = VOWI_CHANNEL_WAITS;
    vow_value out = VOW_NIL;
    size_t n = x->n, done;

    vowi_locks_acquire(x->locks, x->lock_count);
    done = do_or_queue_locked(x, &step, &out, &errand);
    if (done < n) /* relaxed: nobody else knows it yet */
        vowi_store_relaxed(&x->claim, true);
    vowi_locks_release(x->locks, x->lock_count);
    vowi_errand_run(&errand);
    if (done < n)
        conclude(x, done, out,
                 step == VOWI_CHANNEL_CLOSED ? vowi_error_of_end(VOWI_END_OF_CHANNEL)
                                             : NULL);
}

vow_future *
vow_select(const vow_case *cases, size_t n)
{
    struct choice *x;
    vow_future *f;

    if (n == 0)
        return vow_rejected(vow_error_of(VOW_E_EMPTY));
    x = choice_new(cases, n, __builtin_return_address(0));
    if (x == NULL)
        return NULL;
    f = vow_promise_future(x->promise);
    start(x);
    return f;
}
