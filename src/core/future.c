/* SPDX-License-Identifier: MIT */
/*
 * core/future.c - references, outcomes, and settling a state once.
 *
 * The words and their edges are described in core/state.h. Three rules keep this
 * file short:
 *
 *   - Whoever claims a state decides its outcome, stores it, and publishes it.
 *     The source of a step is released after that, so that a walker who holds the
 *     lock bit of an unsettled state may follow its pointer upstream.
 *   - Whoever settles holds a reference of some sort until it is done.
 *   - A free never recurses: a value whose drop frees another state only queues
 *     that one for the loop that is running already.
 */
#include <sched.h>

#include "base/mem.h"
#include "core/state.h"

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

/* ---- freeing ---------------------------------------------------------------------- */

/* relaxed: nobody else refers to the state any more [release]. */
static void
free_block(struct vowi_thread *t, struct vow_state *s)
{
    uint64_t flags = vowi_load_relaxed(&s->refs);

    if (flags & VOWI_HAS_RECORD)
        vowi_registration_free(t, s->extra);
    switch (flags >> 56 & 3) {
    case VOWI_BARE >> 56:
        vowi_free_on(t, vowi_bare(s), sizeof(struct vowi_bare));
        break;
    case VOWI_TASK >> 56:
        vowi_free_on(t, vowi_job(s), sizeof(struct vowi_job));
        break;
    case VOWI_STEP >> 56:
        vowi_free_on(t, vowi_step(s), sizeof(struct vowi_step));
        break;
    default:
        vowi_free_on(t, vowi_step(s), sizeof(struct vowi_step_if));
    }
}

/* Drops a value, then those of the states that its drop has freed. */
static void
reclaim(struct vowi_thread *t, struct vow_state *s)
{
    t->reclaiming = true;
    while (s != NULL) {
        vow_value_drop(s->outcome.as.value);
        free_block(t, s);
        s = t->reclaim;
        if (s != NULL)
            /* relaxed: the word is only a link of this thread's list by now */
            t->reclaim = (struct vow_state *)vowi_load_relaxed(&s->word);
    }
    t->reclaiming = false;
}

void
vowi_state_free(struct vowi_thread *t, struct vow_state *s)
{
    vow_drop_fn *kind = s->outcome.as.other.kind;

    if (kind == NULL) {
        free_block(t, s);
    } else if (kind == vowi_is_error) {
        vow_error_unref(s->outcome.as.other.as.error);
        free_block(t, s);
    } else if (kind == vowi_is_alias) {
        vowi_consumer_unref(t, s->outcome.as.other.as.root);
        free_block(t, s);
    } else if (t->reclaiming) {
        vowi_store_relaxed(&s->word, (uintptr_t)t->reclaim); /* relaxed: see reclaim */
        t->reclaim = s;
    } else {
        reclaim(t, s);
    }
}

/* ---- references --------------------------------------------------------------------- */

/* relaxed: the caller has a reference, and with it an order. */
void
vowi_consumer_ref(struct vow_state *s)
{
    if ((vowi_load_relaxed(&s->refs) & VOWI_CONSUMERS) < VOWI_CONSUMERS_MANY)
        vowi_add_relaxed(&s->refs, VOWI_CONSUMER);
}

/*
 * The last consumer of a state that others still hold is about to go. An error
 * that nobody saw, or work that nobody wants: one flag says who deals with it.
 */
static void
last_consumer_goes(struct vowi_thread *t, struct vow_state *s, uint64_t refs)
{
    if ((refs & (VOWI_REJECTED | VOWI_SEEN)) == VOWI_REJECTED) {
        if ((vowi_or_relaxed(&s->refs, VOWI_SEEN) & VOWI_SEEN) == 0)
            vowi_report_unhandled(s);
    } else {
        bool outermost = vowi_enter(t);

        vowi_request_stop(t, s, vow_error_of(VOW_E_CANCELLED));
        vowi_leave(t, outermost);
    }
}

static bool
last_consumer_matters(uint64_t refs)
{
    if ((refs & VOWI_CONSUMERS) != VOWI_CONSUMER)
        return false;
    if ((refs & (VOWI_REJECTED | VOWI_SEEN)) == VOWI_REJECTED)
        return true;
    return (refs & (VOWI_STOPPABLE | VOWI_STOPPING | VOWI_REJECTED)) == VOWI_STOPPABLE;
}

/* Gives up a consumer's reference, with or without a hold. */
static inline void
release_consumer(struct vowi_thread *t, struct vow_state *s, uint64_t mine)
{
    uint64_t refs = vowi_load_acquire(&s->refs); /* [release] */

    for (;;) {
        if ((refs & VOWI_CONSUMERS) >= VOWI_CONSUMERS_MANY)
            return;
        if (vowi_unlikely((refs & VOWI_CONSUMERS) == 0))
            vowi_fatal("a future was released more often than it was referenced");
        if (vowi_unlikely(last_consumer_matters(refs))) {
            last_consumer_goes(t, s, refs);
            refs = vowi_load_acquire(&s->refs); /* [release] */
        }
        if ((refs & VOWI_COUNTS) == mine)
            break; /* nobody else can make another: no need to write the count */
        if (vowi_cas_acq_rel(&s->refs, &refs, refs - mine)) /* [release] */
            return;
    }
    vowi_state_free(t, s);
}

void
vowi_consumer_unref(struct vowi_thread *t, struct vow_state *s)
{
    release_consumer(t, s, VOWI_CONSUMER);
}

void
vowi_consumer_unref_held(struct vowi_thread *t, struct vow_state *s)
{
    release_consumer(t, s, VOWI_CONSUMER + VOWI_HOLD);
}

void
vowi_hold_release(struct vowi_thread *t, struct vow_state *s)
{
    uint64_t refs = vowi_load_acquire(&s->refs); /* [release] */

    do {
        if (vowi_unlikely((refs & VOWI_HOLDS) == 0))
            vowi_fatal("a state's memory was released more often than it was held");
        if ((refs & VOWI_COUNTS) == VOWI_HOLD) {
            vowi_state_free(t, s);
            return;
        }
    } while (!vowi_cas_acq_rel(&s->refs, &refs, refs - VOWI_HOLD)); /* [release] */
}

bool
vowi_is_sole_consumer(struct vow_state *s)
{
    uint64_t refs = vowi_load_acquire(&s->refs); /* [release] */

    return (refs & (VOWI_CONSUMERS | VOWI_PROMISES)) == VOWI_CONSUMER;
}

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

/* ---- the word ------------------------------------------------------------------------ */

/* Waits a moment for another thread to clear LOCK: it holds it for a few instructions,
 * unless it was preempted; so this yields the processor once in a while. */
static void
wait_for_lock(unsigned *round)
{
    vowi_relax();
    if (++*round % 64 == 0)
        sched_yield();
}

uintptr_t
vowi_lock_word(struct vow_state *s)
{
    uintptr_t word = vowi_load_relaxed(&s->word); /* relaxed: the CAS orders it */
    unsigned round = 0;

    for (;;) {
        if (word & VOWI_LOCKED) {
            wait_for_lock(&round);
            word = vowi_load_relaxed(&s->word); /* relaxed: as above */
        } else if (vowi_cas_acq_rel(&s->word, &word, word | VOWI_LOCKED)) { /* [lock] */
            return word;
        }
    }
}

void
vowi_unlock_word(struct vow_state *s)
{
    vowi_and_release(&s->word, ~VOWI_LOCKED); /* [lock] */
}

bool
vowi_attach(struct vow_state *s, struct vowi_node *n)
{
    uintptr_t word = vowi_load_acquire(&s->word); /* [settled] */

    do {
        if (word & VOWI_SETTLED)
            return false;
        n->next = vowi_first_node(word);
        /* [node] to publish, [claim] to a canceller; failed: [settled] */
    } while (!vowi_cas_acq_rel(&s->word, &word,
                               (uintptr_t)n | (word & ~VOWI_NODE_MASK)));
    return true;
}

/*
 * Fills back links from the newest node on, as far as they are missing. Whoever
 * walks again stops where this walk began: all walks together pass each node once.
 */
static void
fill_back_links(struct vowi_node *newest)
{
    for (struct vowi_node *n = newest; n->next != NULL; n = n->next) {
        if (vowi_is_bare_follower(n->next))
            continue;
        if (n->next->as.newer != NULL)
            return;
        n->next->as.newer = n;
    }
}

/* The node attached after n: by its back link, or for a bare follower by a search. */
static struct vowi_node *
node_before(struct vowi_node *newest, struct vowi_node *n)
{
    if (!vowi_is_bare_follower(n)) {
        fill_back_links(newest);
        return n->as.newer;
    }
    while (newest->next != n)
        newest = newest->next;
    return newest;
}

static void
set_back_link(struct vowi_node *n, struct vowi_node *newer)
{
    if (n != NULL && !vowi_is_bare_follower(n))
        n->as.newer = newer;
}

/* Under LOCK. Others may attach newer nodes meanwhile. */
static void
unlink_node(struct vow_state *s, struct vowi_node *n)
{
    uintptr_t word = vowi_load_acquire(&s->word); /* [node] */

    while (vowi_first_node(word) == n) {
        set_back_link(n->next, NULL);
        if (vowi_cas_acq_rel(&s->word, &word,
                             (uintptr_t)n->next | (word & ~VOWI_NODE_MASK)))
            return;
    }

    struct vowi_node *newer = node_before(vowi_first_node(word), n);

    newer->next = n->next;
    set_back_link(n->next, newer);
}

bool
vowi_detach_node(struct vow_state *s, struct vowi_node *n)
{
    bool attached = (vowi_lock_word(s) & VOWI_SETTLED) == 0;

    if (attached)
        unlink_node(s, n);
    vowi_unlock_word(s);
    return attached;
}

bool
vowi_detach_if_there(struct vow_state *s, struct vowi_node *n)
{
    bool settled = (vowi_lock_word(s) & VOWI_SETTLED) != 0;
    struct vowi_node *at = vowi_first_node(vowi_load_acquire(&s->word)); /* [node] */

    while (at != NULL && at != n)
        at = at->next;
    if (at != NULL)
        unlink_node(s, n);
    vowi_unlock_word(s);
    return at != NULL && !settled;
}

/* ---- settling ---------------------------------------------------------------------- */

/* Newest first becomes oldest first. */
static struct vowi_node *
reverse(struct vowi_node *n)
{
    struct vowi_node *reversed = NULL;

    while (n != NULL) {
        struct vowi_node *next = n->next;

        n->next = reversed;
        reversed = n;
        n = next;
    }
    return reversed;
}

/* Makes the outcome visible and takes all that hangs on the state, oldest first. */
static struct vowi_node *
publish(struct vow_state *s, uintptr_t mark)
{
    uintptr_t word = vowi_load_relaxed(&s->word); /* relaxed: the CAS orders it */
    unsigned round = 0;

    for (;;) {
        if (word & VOWI_LOCKED) {
            wait_for_lock(&round);
            word = vowi_load_relaxed(&s->word); /* relaxed: as above */
        } else if (vowi_cas_acq_rel(&s->word, &word,
                                    VOWI_CLAIMED | VOWI_SETTLED | mark)) {
            return reverse(vowi_first_node(word)); /* [settled] out, [node] in */
        }
    }
}

static void
deliver(struct vowi_thread *t, struct vowi_node *n, int why)
{
    if (vowi_is_bare_follower(n)) {
        vowi_later(t, n);
        return;
    }
    n->as.newer = NULL; /* the word is a task's again: flags, priority, why */
    if (vowi_is_reader(n)) {
        vowi_wake_reader(n);
    } else if (vowi_is_hook(n)) {
        vowi_deliver(t, n, why);
    } else {
        n->as.queued.why = why;
        vowi_later(t, n);
    }
}

static void
deliver_all(struct vowi_thread *t, struct vowi_node *n, int why)
{
    while (n != NULL) {
        struct vowi_node *next = n->next; /* first: delivering n may end its life */

        deliver(t, n, why);
        n = next;
    }
}

/*
 * Says that an error is there which may be unseen. If the consumers have gone
 * before, it is reported here; if they go later, there (last_consumer_goes).
 */
static void
note_rejected(struct vow_state *s)
{
    uint64_t refs = vowi_or_acq_rel(&s->refs, VOWI_REJECTED);

    if ((refs & (VOWI_CONSUMERS | VOWI_ASKED | VOWI_SEEN)) != VOWI_ASKED)
        return;
    if ((vowi_or_relaxed(&s->refs, VOWI_SEEN) & VOWI_SEEN) == 0)
        vowi_report_unhandled(s);
}

/* A promise that settles needs its hook no more. relaxed: flags by themselves. */
static void
drop_stop_hook(struct vow_state *s)
{
    struct vow_registration *r = s->extra;

    if ((vowi_load_relaxed(&s->refs) & (VOWI_HAS_RECORD | VOWI_STOPPING)) ==
            VOWI_HAS_RECORD &&
        (vowi_or_acq_rel(&s->refs, VOWI_STOPPING) & VOWI_STOPPING) == 0) {
        vow_value ctx = r->ctx;

        r->ctx = VOW_NIL;
        vow_value_drop(ctx);
    }
}

/*
 * After deliver_all the state is not touched any more: the first step on it may have
 * taken over the hold by which it lived, and have run.
 */
void
vowi_settle(struct vowi_thread *t, struct vow_state *s)
{
    bool rejected = vowi_error_in(s) != NULL;
    struct vowi_node *n = publish(s, 0);

    if (n != NULL && n->next != NULL)
        t->returning = false; /* more than one: others may want to help */
    if (vowi_unlikely(rejected))
        note_rejected(s);
    drop_stop_hook(s);
    deliver_all(t, n, 0);
}

void
vowi_settle_held(struct vowi_thread *t, struct vow_state *s)
{
    t->held = s;
    vowi_settle(t, s);
    t->returning = false;
    if (t->held == s)
        vowi_hold_release(t, s);
    t->held = NULL;
}

void
vowi_abandon(struct vowi_thread *t, struct vow_state *s)
{
    vowi_set_error(s, vow_error_of(VOW_E_BROKEN));
    vowi_mark_seen(s);
    deliver_all(t, publish(s, VOWI_FOLLOWING), VOWI_ABANDONED);
    drop_stop_hook(s);
}

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

/* ---- reading ---------------------------------------------------------------------------- */

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

vow_view
vow_peek(const vow_future *f)
{
    struct vow_state *s = vowi_state_or_nomem(f);
    vow_view pending = {VOW_NIL, vow_error_of(VOW_E_INVALID)};

    return vowi_settled(s) ? vowi_view(s) : pending;
}

/* The record may be made while a promise is shared, hence the lock bit. */
static struct vow_registration *
record_of(struct vow_state *s)
{
    struct vow_registration *r = NULL;

    vowi_lock_word(s);
    /* relaxed: ordered by the lock bit */
    if (vowi_load_relaxed(&s->refs) & VOWI_HAS_RECORD)
        r = s->extra;
    vowi_unlock_word(s);
    return r;
}

const char *
vow_future_name(const vow_future *f)
{
    const struct vow_registration *r = f != NULL ? record_of(vowi_state(f)) : NULL;

    return r != NULL ? r->name : NULL;
}

const void *
vow_future_site(const vow_future *f)
{
    const struct vow_registration *r;

    if (f == NULL)
        return NULL;
    r = record_of(vowi_state(f));
    return r != NULL ? r->site : vowi_state(f)->extra;
}
