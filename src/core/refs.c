/* SPDX-License-Identifier: MIT */
/*
 * core/refs.c - who still needs a state, and its end.
 *
 * Whoever lets go of the last reference frees the state, and first deals with what
 * only it can know: an error that nobody saw, work that nobody wants. A load that
 * finds a count of one, the caller's own, is enough to know that it is the last: no
 * other thread has a reference from which to make another.
 *
 * A free never recurses: a value whose drop frees another state only queues that one
 * for the loop that is running already; or for a wait within that drop, which may be for
 * what is queued.
 */
#include "core/refs.h"

#include "base/error.h"
#include "base/mem.h"
#include "core/arrive.h"
#include "core/block.h"
#include "core/cancel.h"
#include "core/trampoline.h"
#include "core/unhandled.h"

/* ---- freeing ---------------------------------------------------------------------- */

const struct vowi_shape vowi_shapes[] = {
    [VOWI_BARE >> VOWI_KIND_BITS] = {offsetof(struct vowi_bare, state),
                                     sizeof(struct vowi_bare)},
    [VOWI_TASK >>
        VOWI_KIND_BITS] = {offsetof(struct vowi_job, state), sizeof(struct vowi_job)},
    [VOWI_STEP >>
        VOWI_KIND_BITS] = {offsetof(struct vowi_step, state), sizeof(struct vowi_step)},
    [VOWI_STEP_ON >> VOWI_KIND_BITS] = {offsetof(struct vowi_step_on, step.state),
                                        sizeof(struct vowi_step_on)},
};

/* relaxed: nobody else refers to the state any more [release]. */
static void
free_block(struct vowi_thread *t, struct vow_state *s)
{
    uint64_t flags = vowi_load_relaxed(&s->refs);

    if (flags & VOWI_HAS_RECORD)
        vowi_record_free(t, s);
    switch (flags & VOWI_KIND) {
    case VOWI_DELAY:
        vowi_free_on(t, vowi_delay(s), sizeof(struct vowi_delay));
        break;
    case VOWI_SLEEP:
        vowi_free_on(t, vowi_delay(s), VOWI_SLEEP_SIZE);
        break;
    case VOWI_JOIN:
        vowi_join_free(t, s);
        break;
    default:
        vowi_free_shape(t, s, flags);
    }
}

static void
drop_outcome(struct vow_state *s)
{
    if (s->outcome.as.other.kind == vowi_is_error)
        vow_error_unref(s->outcome.as.other.as.error);
    else
        vow_value_drop(s->outcome.as.value);
}

struct freeing {
    struct vowi_thread *t;
    struct vow_state *s;
};

static void
free_dropped(void *freeing)
{
    struct freeing *f = freeing;

    free_block(f->t, f->s);
}

/* Its drop may end the thread. */
static void
drop_and_free(struct vowi_thread *t, struct vow_state *s)
{
    struct freeing f = {t, s};

    pthread_cleanup_push(free_dropped, &f);
    drop_outcome(s);
    pthread_cleanup_pop(1);
}

void
vowi_reclaim_queued(struct vowi_thread *t)
{
    struct vow_state *s;

    while ((s = t->reclaim) != NULL) {
        /* relaxed: the word is only a link of this thread's list by now */
        t->reclaim = (struct vow_state *)vowi_load_relaxed(&s->word);
        drop_and_free(t, s);
    }
}

/* Whatever is left to do, for the thread ends. What waits here runs now, unless it was called
 * by a function of the user's, whose end comes first. */
static void
thread_exits_in_outcome(void *thread)
{
    struct vowi_thread *t = thread;

    vowi_reclaim_queued(t);
    t->reclaiming = false;
    t->held = NULL; /* it may be what has gone */
    if (t->frames == NULL && t->deferred == 0)
        vowi_drain_all(t);
}

/* Drops an outcome, then those of the states that its drop has freed. */
static void
reclaim(struct vowi_thread *t, struct vow_state *s)
{
    t->reclaiming = true;
    pthread_cleanup_push(thread_exits_in_outcome, t);
    drop_and_free(t, s);
    vowi_reclaim_queued(t);
    pthread_cleanup_pop(0);
    t->reclaiming = false;
}

/* An error that keeps other states, as a value may. */
static bool
stands_for_others(const struct vow_state *s)
{
    const vow_error *error = s->outcome.as.other.as.error;

    return error != NULL && error->kind != NULL;
}

void
vowi_state_free(struct vowi_thread *t, struct vow_state *s)
{
    vow_drop_fn *kind = s->outcome.as.other.kind;

    if (kind == NULL) {
        free_block(t, s);
    } else if (kind == vowi_is_error && !stands_for_others(s)) {
        vow_error_unref(s->outcome.as.other.as.error);
        free_block(t, s);
    } else if (kind == vowi_is_alias) {
        vowi_consumer_unref(t, s->outcome.as.other.as.root);
        free_block(t, s);
    } else if (t->reclaiming) {
        vowi_store_relaxed(&s->word, (uintptr_t)t->reclaim); /* relaxed: as above */
        t->reclaim = s;
    } else {
        reclaim(t, s);
    }
}

/* ---- references --------------------------------------------------------------------- */

/*
 * The last consumer of a state that others still hold is about to go. An error
 * that nobody saw, or work that nobody wants: one flag says who deals with it.
 */
VOWI_NOINLINE static void
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

VOWI_NOINLINE static void
release_what_may_be_last(struct vowi_thread *t, struct vow_state *s, uint64_t mine)
{
    for (;;) {
        uint64_t refs = vowi_load_acquire(&s->refs); /* [release], [rejected] */

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
        if (vowi_cas_release(&s->refs, &refs, refs - mine)) /* [release] */
            return;
    }
    vowi_state_free(t, s);
}

/* While others want the outcome as well there is nothing else to do. */
void
vowi_release_consumer(struct vowi_thread *t, struct vow_state *s, uint64_t mine)
{
    uint64_t refs = vowi_load_relaxed(&s->refs); /* relaxed: the CAS orders it */

    while ((refs & VOWI_CONSUMERS) - 2 * VOWI_CONSUMER <
           VOWI_CONSUMERS_MANY - 2 * VOWI_CONSUMER)
        if (vowi_cas_release(&s->refs, &refs, refs - mine)) /* [release] */
            return;
    release_what_may_be_last(t, s, mine);
}

/* Of two that leave at the same time one is the last. */
bool
vowi_consumer_leave(struct vow_state *s)
{
    uint64_t refs = vowi_load_relaxed(&s->refs); /* relaxed: the caller has a reference */

    do {
        if ((refs & VOWI_CONSUMERS) >= VOWI_CONSUMERS_MANY)
            return false;
        if ((refs & VOWI_CONSUMERS) == VOWI_CONSUMER)
            return true;
    } while (!vowi_cas_release(&s->refs, &refs, refs - VOWI_CONSUMER)); /* [release] */
    return false;
}

void
vowi_hold_release(struct vowi_thread *t, struct vow_state *s)
{
    uint64_t refs;

    do {
        refs = vowi_load_acquire(&s->refs); /* [release] */
        if (vowi_unlikely((refs & VOWI_HOLDS) == 0))
            vowi_fatal("a state's memory was released more often than it was held");
        if ((refs & VOWI_COUNTS) == VOWI_HOLD) {
            vowi_state_free(t, s);
            return;
        }
    } while (!vowi_cas_release(&s->refs, &refs, refs - VOWI_HOLD)); /* [release] */
}

bool
vowi_hold_below(struct vow_state *s, uint64_t many)
{
    uint64_t refs = vowi_load_relaxed(&s->refs); /* relaxed: see the header */

    while ((refs & VOWI_HOLDS) < many)
        if (vowi_cas_relaxed(&s->refs, &refs, refs + VOWI_HOLD))
            return true;
    return false;
}

struct vowi_visit
vowi_visit_begin(struct vow_state *s)
{
    if (vowi_hold_below(s, VOWI_HOLDS_MANY))
        return (struct vowi_visit){s, VOWI_HOLD};
    vowi_consumer_ref(s);
    return (struct vowi_visit){s, VOWI_CONSUMER};
}

void
vowi_visit_end(struct vowi_thread *t, struct vowi_visit v)
{
    if (v.state == NULL)
        return;
    if (v.by == VOWI_HOLD)
        vowi_hold_release(t, v.state);
    else
        vowi_consumer_unref(t, v.state);
}

bool
vowi_is_sole_consumer(struct vow_state *s)
{
    uint64_t refs = vowi_load_acquire(&s->refs); /* [release] */

    return (refs & (VOWI_CONSUMERS | VOWI_PROMISES)) == VOWI_CONSUMER;
}
