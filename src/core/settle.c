/* SPDX-License-Identifier: MIT */
/*
 * core/settle.c - settling a state once, and passing its outcome on.
 *
 * Whoever claims a state decides its outcome, stores it, and publishes it. Whoever
 * settles holds a reference of some sort until what hung on the state is delivered;
 * after that the state is not touched any more. The source of a step is released
 * after the step's own state is published, so that a walker who holds the lock bit
 * of an unsettled state may follow its pointer upstream.
 */
#include "core/settle.h"

#include <pthread.h>

#include "core/arrive.h"
#include "core/block.h"
#include "core/bound.h"
#include "core/cancel.h"
#include "core/follow.h"
#include "core/notice.h"
#include "core/refs.h"
#include "core/step.h"
#include "core/trampoline.h"
#include "core/unhandled.h"
#include "core/wait.h"
#include "core/word.h"

/* What hangs on a state and is no hook. */
static void
deliver_other(struct vowi_thread *t, struct vowi_node *n, int why)
{
    if (vowi_is_bare_follower(n)) {
        vowi_later(t, n);
        return;
    }
    vowi_node_clear(n); /* it is a task again */
    if (vowi_is_reader(n)) {
        vowi_wake_reader(n);
    } else if (vowi_is_notice(n)) {
        vowi_call_notice(n);
    } else {
        n->as.queued.why = why;
        vowi_later(t, n);
    }
}

static inline void
deliver(struct vowi_thread *t, struct vowi_node *n, int why)
{
    if (vowi_is_arrival(n)) {
        vowi_arrive(t, n, why);
    } else if (vowi_is_hook(n)) {
        vowi_node_clear(n); /* it is a task again */
        vowi_deliver(t, n, why);
    } else {
        deliver_other(t, n, why);
    }
}

/* A hold by which the state lives is for the last of them to take: until then it is read. */
static inline void
deliver_all(struct vowi_thread *t, struct vowi_node *n, int why, struct vow_state *held)
{
    while (n != NULL && n->next != NULL) {
        struct vowi_node *next = n->next; /* first: delivering n may end its life */

        deliver(t, n, why);
        n = next;
    }
    t->held = held;
    if (n != NULL)
        deliver(t, n, why);
}

/*
 * Says that an error is there which may be unseen. If the consumers have gone
 * before, it is reported here; if they go later, there (last_consumer_goes). Nothing is
 * acquired: what is reported is the caller's own, or is read under the lock bit.
 */
static void
note_rejected(struct vow_state *s)
{
    uint64_t refs = vowi_or_release(&s->refs, VOWI_REJECTED); /* [rejected] */

    if ((refs & (VOWI_CONSUMERS | VOWI_ASKED | VOWI_SEEN)) != VOWI_ASKED)
        return;
    if ((vowi_or_relaxed(&s->refs, VOWI_SEEN) & VOWI_SEEN) == 0)
        vowi_report_unhandled(s);
}

/* A promise that settles needs its hook no more. relaxed: flags by themselves. */
static void
drop_stop_hook(struct vow_state *s)
{
    if ((vowi_load_relaxed(&s->refs) & VOWI_STOPPING) == 0 &&
        (vowi_or_relaxed(&s->refs, VOWI_STOPPING) & VOWI_STOPPING) == 0) /* [hook] */
        vowi_hook_drop(s);
}

struct delivery {
    struct vowi_thread *t;
    struct vow_state *s;
    struct vowi_node *n; /* what hung on it */
    struct vow_state *held;
};

static void
thread_exits_in_drop(void *delivery)
{
    struct delivery *d = delivery;

    deliver_all(d->t, d->n, 0, d->held);
    if (d->t->held != NULL) /* nobody has taken it over, and whoever had it is gone */
        vowi_hold_release(d->t, d->t->held);
    d->t->held = NULL;
    vowi_leave_exiting(d->t);
}

/* The hook has a context, whose drop may end the thread. */
VOWI_NOINLINE static void
drop_some_record(struct delivery *d)
{
    if (vowi_kind(d->s) != VOWI_BARE) {
        vowi_unbind(d->t, d->s);
        return;
    }
    pthread_cleanup_push(thread_exits_in_drop, d);
    drop_stop_hook(d->s);
    pthread_cleanup_pop(0);
}

/* What has settled is not asked to stop any more. relaxed: installed before, or under
 * the lock bit that publishing waited for. */
static inline void
drop_record(struct vowi_thread *t, struct vow_state *s, struct vowi_node *n,
            struct vow_state *held)
{
    if (vowi_unlikely(vowi_load_relaxed(&s->refs) & VOWI_HAS_RECORD)) {
        struct delivery d = {t, s, n, held};

        drop_some_record(&d);
    }
}

/*
 * After deliver_all the state is not touched any more: the last step on it may have
 * taken over the hold by which it lived, and have run.
 */
static inline void
published(struct vowi_thread *t, struct vow_state *s, struct vowi_node *n, bool rejected,
          struct vow_state *held)
{
    if (n != NULL && n->next != NULL)
        t->returning = false; /* more than one: others may want to help */
    if (vowi_unlikely(rejected))
        note_rejected(s);
    drop_record(t, s, n, held);
    deliver_all(t, n, 0, held);
}

static inline void
settle(struct vowi_thread *t, struct vow_state *s, struct vow_state *held)
{
    bool rejected = vowi_error_in(s) != NULL;

    published(t, s, vowi_publish(s, 0), rejected, held);
}

void
vowi_settle(struct vowi_thread *t, struct vow_state *s)
{
    settle(t, s, t->held);
}

static inline void
published_held(struct vowi_thread *t, struct vow_state *s, struct vowi_node *n,
               bool rejected)
{
    struct vow_state *outer = t->held; /* a hook's context may settle something as well */

    t->held = NULL;
    published(t, s, n, rejected, s);
    t->returning = false;
    if (t->held == s)
        vowi_hold_release(t, s);
    t->held = outer;
}

void
vowi_settle_held(struct vowi_thread *t, struct vow_state *s)
{
    bool rejected = vowi_error_in(s) != NULL;

    published_held(t, s, vowi_publish(s, 0), rejected);
}

void
vowi_settle_published(struct vowi_thread *t, struct vow_state *s, struct vowi_node *n)
{
    published(t, s, n, false, t->held);
}

void
vowi_settle_returned(struct vowi_thread *t, struct vow_state *s, struct vowi_node *n)
{
    t->returning = true;
    published_held(t, s, n, false);
}

void
vowi_abandon(struct vowi_thread *t, struct vow_state *s)
{
    vowi_set_error(s, vow_error_of(VOW_E_BROKEN));
    vowi_mark_seen(s);
    deliver_all(t, vowi_publish(s, VOWI_FOLLOWING), VOWI_ABANDONED, t->held);
    drop_record(t, s, NULL, t->held);
}

/* ---- passing on ----------------------------------------------------------------------- */

static bool
move_outcome(struct vow_state *source, struct vow_state *s)
{
    if (!vowi_is_sole_consumer(source))
        return false;
    s->outcome = source->outcome;
    vowi_set_value(source, VOW_NIL);
    return true;
}

void
vowi_pass_through(struct vow_state *source, struct vow_state *s)
{
    vow_error *error = vowi_error_in(source);
    struct vow_state *root = vowi_root(source);

    if (error != NULL)
        vowi_mark_seen(source); /* the question moves downstream */
    if (move_outcome(source, s))
        return;
    if (error != NULL) {
        vowi_set_error(s, vow_error_ref(error));
    } else if (root->outcome.as.other.kind == NULL) {
        s->outcome = root->outcome; /* nothing to free: a copy will do */
    } else {
        vowi_consumer_ref(root);
        s->outcome.as.other.as.root = root;
        s->outcome.as.other.kind = vowi_is_alias;
    }
}
