/* SPDX-License-Identifier: MIT */
/*
 * core/follow.c - a state that settles as another one does.
 *
 * The follower is claimed, so nobody else may settle it, and points upstream to
 * whom it follows: a bare promise by a word of its own, a step and a task by a
 * field that they no longer need. It hangs there by a node: a step or a task by
 * the one that it was queued by, a bare promise by two words in its empty outcome.
 *
 * Three shapes need care.
 *
 *   A held chain. Who follows a follower hangs itself on the end of that chain.
 *
 *   A tail loop. A step follows what its last turn made, which follows what the
 *   next turn makes, and so on. A state whose only consumer is one follower is
 *   spliced out when it begins to follow: its follower takes its place.
 *
 *   A ring. Who follows sets its edge, hangs its node there, and then looks whether
 *   something hangs on itself: only then can it have closed a ring, and it walks
 *   upstream, hand over hand, with a visit to each state. Of two threads that
 *   close a ring together at least one sees the node of the other: each wrote the
 *   other's word before it read its own, by read-modify-writes of both [ring].
 */
#include "core/follow.h"

#include "core/block.h"
#include "core/bound.h"
#include "core/cancel.h"
#include "core/refs.h"
#include "core/settle.h"
#include "core/step.h"
#include "core/trampoline.h"
#include "core/wait.h"
#include "core/word.h"

static struct vow_state **
follow_field(struct vow_state *s)
{
    switch (vowi_kind(s)) {
    case VOWI_BARE:
        return &vowi_bare(s)->follow;
    case VOWI_TASK:
        return &vowi_job(s)->fn.follow;
    case VOWI_DELAY:
        return &vowi_delay(s)->fn.follow;
    default:
        return &vowi_step(s)->hook.source;
    }
}

struct vow_state *
vowi_upstream_locked(struct vow_state *s, uintptr_t word)
{
    if (word & VOWI_SETTLED)
        return NULL;
    if (word & VOWI_FOLLOWING)
        return *follow_field(s);
    if (vowi_is_step(s) && (word & VOWI_CLAIMED) == 0)
        return vowi_step(s)->hook.source;
    return NULL;
}

struct vowi_visit
vowi_upstream(struct vow_state *s)
{
    struct vow_state *up = vowi_upstream_locked(s, vowi_lock_word(s));
    struct vowi_visit visit = {NULL, 0};

    if (up != NULL)
        visit = vowi_visit_begin(up);
    vowi_unlock_word(s);
    return visit;
}

/* The same for one who wants its outcome: a reference; or NULL. */
static struct vow_state *
upstream_ref(struct vow_state *s)
{
    struct vow_state *up = vowi_upstream_locked(s, vowi_lock_word(s));

    if (up != NULL)
        vowi_consumer_ref(up);
    vowi_unlock_word(s);
    return up;
}

/* Consumes the reference to y; returns one to the end of what it follows. */
static struct vow_state *
end_of_chain(struct vowi_thread *t, struct vow_state *y)
{
    while (vowi_is_following(y)) {
        struct vow_state *up = upstream_ref(y);

        if (up == NULL)
            break;
        vowi_consumer_unref(t, y);
        y = up;
    }
    return y;
}

/* Whether s waits, over however many others, for itself. */
static bool
is_in_ring(struct vowi_thread *t, struct vow_state *s)
{
    struct vowi_visit up = vowi_upstream(s);
    bool found;

    while (up.state != NULL && up.state != s) {
        struct vowi_visit next = vowi_upstream(up.state);

        vowi_visit_end(t, up);
        up = next;
    }
    found = up.state != NULL;
    vowi_visit_end(t, up);
    return found;
}

/* ---- the node by which a state follows ------------------------------------------ */

/* What a follower does when the one it follows, its upstream, has settled. */
static void
settle_as(struct vowi_thread *t, struct vow_state *s, struct vow_state *y, bool abandoned)
{
    if (abandoned) {
        vowi_mark_seen(y);
        vowi_abandon(t, s);
    } else {
        vowi_pass_through(y, s);
        vowi_settle(t, s);
    }
    vowi_consumer_unref(t, y);
    vowi_hold_release(t, s);
}

static void
followed(struct vow_state *s, bool abandoned)
{
    struct vowi_thread *t = vowi_self();
    bool outermost = vowi_enter(t);

    settle_as(t, s, *follow_field(s), abandoned);
    vowi_leave(t, outermost);
}

void
vowi_followed_bare(vow_task *task, int why)
{
    struct vowi_outcome *o = vowi_container_of(task, struct vowi_outcome, as.node);
    struct vow_state *s = vowi_container_of(o, struct vow_state, outcome);

    (void)why; /* its node has no room for that */
    followed(s, vowi_abandoned(*follow_field(s)));
}

static void
followed_by_job(vow_task *task, int why)
{
    followed(&vowi_container_of(task, struct vowi_job, as.task)->state,
             why == VOWI_ABANDONED);
}

static void
followed_by_delay(vow_task *task, int why)
{
    followed(&vowi_container_of(task, struct vowi_delay, as.task.task)->state,
             why == VOWI_ABANDONED);
}

static void
followed_by_step(vow_task *task, int why)
{
    followed(&vowi_container_of(task, struct vowi_step, hook.as.task)->state,
             why == VOWI_ABANDONED);
}

/* The state that follows by a node; NULL if the node is no follower's. */
static struct vow_state *
follower_of(struct vowi_node *n)
{
    union vowi_task *as = vowi_container_of(n, union vowi_task, node);

    if (n->run == followed_by_job)
        return &vowi_container_of(as, struct vowi_job, as)->state;
    if (n->run == followed_by_delay)
        return &vowi_container_of(as, struct vowi_delay, as.task)->state;
    if (n->run == followed_by_step)
        return &vowi_container_of(as, struct vowi_step, hook.as)->state;
    if (n->run == vowi_followed_bare)
        return vowi_container_of(n, struct vow_state, outcome);
    return NULL;
}

static struct vowi_node *
follower_node(struct vow_state *s)
{
    struct vowi_node *n;

    switch (vowi_kind(s)) {
    case VOWI_BARE:
        n = (struct vowi_node *)(void *)&s->outcome;
        n->run = vowi_followed_bare; /* as.newer is past its end */
        return n;
    case VOWI_TASK:
        n = &vowi_job(s)->as.node;
        n->run = followed_by_job;
        break;
    case VOWI_DELAY:
        n = &vowi_delay(s)->as.task.node;
        n->run = followed_by_delay;
        break;
    default:
        n = &vowi_step(s)->hook.as.node;
        n->run = followed_by_step;
    }
    vowi_node_clear(n);
    return n;
}

/* ---- following -------------------------------------------------------------------- */

/* Consumes the reference to y. The reference that s had before is the caller's. */
static void
set_edge(struct vow_state *s, struct vow_state *y)
{
    vowi_lock_word(s);
    *follow_field(s) = y;
    vowi_or_acquire(&s->word, VOWI_FOLLOWING); /* [stop]; released by the unlock */
    vowi_unlock_word(s);                       /* [lock] */
}

/*
 * Whether nobody else is interested in s, and nobody visits it, who may bring a request
 * to stop: it has the references given, and the hold of its runner or follower. One that a
 * token may ask has its tie's besides, until that has asked; then a visitor may be
 * there, but its follower is asked by the same token. relaxed: asked again, in order,
 * where it decides.
 */
static bool
is_alone(struct vow_state *s, uint64_t alone)
{
    uint64_t counts = vowi_load_relaxed(&s->refs) & VOWI_COUNTS;

    alone += VOWI_HOLD;
    return counts == alone || (counts == alone + VOWI_HOLD && vowi_bound_to(s) != NULL);
}

/*
 * If a follower is all that hangs on s and nobody else is interested, takes its node
 * off and returns it: whoever takes a follower's node off decides about it. Nodes of
 * others may be gone, stack frame and all, as soon as the lock bit is.
 */
static struct vow_state *
unhang_sole_follower(struct vow_state *s, uint64_t alone)
{
    struct vowi_node *n;
    struct vow_state *follower = NULL;

    vowi_lock_word(s);
    n = vowi_first_node(vowi_load_acquire(&s->word)); /* [node] */
    if (n != NULL && n->next == NULL && is_alone(s, alone))
        follower = follower_of(n);
    if (follower != NULL)
        vowi_unlink_locked(s, n);
    vowi_unlock_word(s); /* [lock] */
    return follower;
}

/* Whether a token that would ask s to stop asks its follower as well. */
static bool
is_bound_alike(struct vow_state *s, struct vow_state *follower)
{
    vow_token *token = vowi_bound_to(s);

    return token == NULL || vowi_bound_to(follower) == token;
}

/*
 * Lets the only one that is interested in s, a follower, follow y instead, and
 * returns it; its node hangs nowhere then, and it has the reference to y. NULL, and
 * nothing done, if there is no such one. s is claimed by the caller.
 *
 * While the lock bit of its only consumer is held nobody can get to s: so a count of
 * one, read under it [release], stays one, and once the edge is moved s is out of
 * reach. Alone is that consumer, and the promise handle that the caller may have.
 */
static struct vow_state *
take_sole_follower(struct vow_state *s, struct vow_state *y, uint64_t alone)
{
    struct vow_state *follower = unhang_sole_follower(s, alone);
    bool sole;

    if (follower == NULL)
        return NULL;
    vowi_lock_word(follower);
    sole = follower != y && /* that would be a ring: found the ordinary way */
           is_bound_alike(s, follower) &&
           is_alone(s, alone); /* which stays so under the follower's lock bit */
    if (sole)
        *follow_field(follower) = y;
    vowi_unlock_word(follower); /* [lock] */
    if (sole)
        return follower;
    vowi_attach(s, follower_node(follower)); /* s has not settled: it is the caller's */
    return NULL;
}

static void
reject_ring(struct vowi_thread *t, struct vow_state *s, struct vow_state *y)
{
    vowi_set_error(s, vow_error_of(VOW_E_DEADLOCK));
    vowi_settle(t, s);
    vowi_consumer_unref(t, y);
    vowi_hold_release(t, s);
}

static bool
something_hangs_on(struct vow_state *s)
{
    /* [ring]; nothing is acquired: what hangs there is read under lock bits */
    return vowi_first_node(vowi_or_release(&s->word, 0)) != NULL;
}

/* s hangs on y, as far as the caller knows. Unhangs it if it waits for itself. */
static void
break_ring(struct vowi_thread *t, struct vow_state *s, struct vowi_node *n)
{
    struct vowi_visit y = vowi_upstream(s);

    if (y.state == NULL)
        return; /* it has settled by now */
    /* If n is not there, s was spliced on to another, and that thread looks again. */
    if (is_in_ring(t, s) && vowi_detach_if_there(y.state, n))
        reject_ring(t, s, y.state);
    vowi_visit_end(t, y);
}

/* The request to stop that came while s ran: owned; NULL: there was none. */
static vow_error *
request_to(struct vow_state *s)
{
    /* relaxed: ordered by the word, which was written to follow [stop] */
    if ((vowi_load_relaxed(&s->refs) & VOWI_STOPPING) == 0)
        return NULL;
    return vowi_reason_to_stop(s);
}

/* Sends a request, consumed, on to whom s follows. */
static void
send_on(struct vowi_thread *t, struct vow_state *s, vow_error *request)
{
    struct vowi_visit y;

    if (request == NULL)
        return;
    y = vowi_upstream(s);
    if (y.state != NULL)
        vowi_request_stop(t, y.state, vow_error_ref(request));
    vowi_visit_end(t, y);
    vow_error_unref(request);
}

static void
send_on_stop(struct vowi_thread *t, struct vow_state *s)
{
    send_on(t, s, request_to(s));
}

/* s has its edge to y. Hangs it there, or settles it if y has settled. */
static void
hang_on(struct vowi_thread *t, struct vow_state *s, struct vow_state *y)
{
    struct vowi_node *n = follower_node(s);

    vowi_add_relaxed(&s->refs, VOWI_HOLD); /* relaxed: the follower has one already */
    if (!vowi_attach(y, n)) {              /* [ring] */
        settle_as(t, s, y, false);
    } else {
        if (something_hangs_on(s))
            break_ring(t, s, n);
        send_on_stop(t, s);
    }
    vowi_hold_release(t, s);
}

/* The thread that waits for s runs it, and its node is still in a queue: there is
 * nothing to hang, so the thread waits for y instead. */
static void
wait_for(struct vowi_thread *t, struct vow_state *s, struct vow_state *y)
{
    set_edge(s, y);
    send_on_stop(t, s);
    if (vowi_wait_settled(t, y, VOW_FOREVER) == 0)
        settle_as(t, s, y, false);
    else
        reject_ring(t, s, y);
}

/* s is out of reach: its follower, which has its reference to y, hangs there now. What s
 * was asked, y is. */
static void
give_place(struct vowi_thread *t, struct vow_state *s, struct vow_state *follower,
           struct vow_state *y)
{
    vow_error *request = request_to(s);

    vowi_set_value(s, VOW_NIL);
    if (vowi_kind(s) != VOWI_BARE && vowi_record_of_own(s) != NULL)
        vowi_unbind(t, s);
    vowi_consumer_unref(t, s);
    vowi_hold_release(t, s);
    vowi_add_relaxed(&follower->refs, VOWI_HOLD); /* relaxed: it has one already */
    hang_on(t, follower, y);
    send_on(t, follower, request);
    vowi_hold_release(t, follower);
}

void
vowi_follow(struct vowi_thread *t, struct vow_state *s, struct vow_state *y)
{
    struct vow_state *follower;

    t->returning = false;
    vowi_set_value(s, VOW_NIL);
    y = end_of_chain(t, y);
    if (y == s) {
        reject_ring(t, s, y);
        return;
    }
    if (t->in_place == s) {
        wait_for(t, s, y);
        return;
    }
    follower = take_sole_follower(s, y, VOWI_CONSUMER);
    if (follower == NULL) {
        set_edge(s, y);
        hang_on(t, s, y);
        return;
    }
    give_place(t, s, follower, y);
}

/*
 * The caller is about to let go of the last promise handle of s, which follows. If
 * then one follower is all that is interested in s, it takes the place of s: so a
 * chain of promises, each made to follow the next by hand, does not grow.
 */
void
vowi_splice_out(struct vowi_thread *t, struct vow_state *s)
{
    struct vowi_node *n = (struct vowi_node *)(void *)&s->outcome;
    struct vowi_visit y = vowi_upstream(s);
    struct vow_state *follower;

    if (y.state == NULL)
        return;
    if (vowi_detach_if_there(y.state, n)) { /* now nobody else settles s */
        follower = take_sole_follower(s, y.state, VOWI_CONSUMER | VOWI_PROMISE);
        if (follower != NULL)
            give_place(t, s, follower, y.state);
        else
            hang_on(t, s, y.state);
    }
    vowi_visit_end(t, y);
}
