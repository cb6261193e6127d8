/* SPDX-License-Identifier: MIT */
/*
 * core/fork.c - executors and sleepers in a forked child.
 *
 * Nothing on the way of a post, an attach or a settle asks whether the process has
 * forked. The child's handler, while there is one thread, puts another table of
 * operations in the place of each executor's own, and that refuses with VOW_E_FORKED
 * until the executor is revived. Only a wait that is about to sleep looks further: it
 * would sleep for ever for what a thread of the parent was to do.
 *
 * A thread that slept at the fork has a node on its stack, on the state that it waits
 * for. The child may give that stack to a thread of its own, so the handler takes the
 * nodes off. Each sleeper noted where it hangs, and threads that sleep are listed. So
 * does a thread that runs a loop until a future has settled, whose notice hangs on that;
 * and one that looks at a join, which it keeps from its end meanwhile.
 *
 * Edge:
 *     [awaited]  what a thread noted of its sleep, its notice or a join, to a fork meanwhile
 */
#include "core/fork.h"

#include "core/arrive.h"
#include "core/block.h"
#include "core/deadlock.h"
#include "core/executor.h"
#include "core/follow.h"
#include "core/fork_join.h"
#include "core/notice.h"
#include "core/refs.h"
#include "core/timer.h"
#include "core/token.h"
#include "core/trampoline.h"
#include "core/word.h"
#include "queue/wheel.h"

enum { MAX_DEPTH = 16, MAX_JOINS = 1000 }; /* joins inside each other; in one look */

/* ---- the operations of one that was left behind ------------------------------------------ */

static int
refuse(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    return VOW_E_FORKED;
}

static int
refuse_many(vow_executor *self, vow_task *first, size_t n)
{
    (void)self;
    (void)first;
    return n != 0 ? VOW_E_FORKED : 0;
}

static int
refuse_timer(vow_executor *self, vow_timer *timer)
{
    (void)self;
    (void)timer;
    return VOW_E_FORKED;
}

/* What was armed never runs here. */
static vow_removal
remove_timer(vow_executor *self, vow_timer *timer)
{
    bool armed = vowi_timer_is_armed(timer);

    (void)self;
    vowi_timer_forget(timer);
    return armed ? VOW_REMOVED : VOW_RAN;
}

/* Nobody is there to share with, and what was shared is not to be had. */
static bool
keep(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    return false;
}

const vow_executor_ops vowi_forked_ops = {
    .size = sizeof vowi_forked_ops,
    .name = "forked",
    .post = refuse,
    .post_many = refuse_many,
    .arm = refuse_timer,
    .disarm = remove_timer,
    .offer = keep,
    .retract = keep,
};

/* ---- in the child ---------------------------------------------------------------------------- */

static void
unhang(struct vow_state *s, struct vowi_node *n)
{
    vowi_take_over_word(s); /* whether somebody had it or not */
    vowi_unlock_word(s);
    (void)vowi_detach_if_there(s, n);
}

/* A thread that is no more: what of its stack hangs somewhere, and where it is counted. */
static void
take_out(struct vowi_thread *t)
{
    struct vowi_awaited *a = vowi_load_acquire(&t->awaited);    /* [awaited] */
    struct vow_state *join = vowi_load_acquire(&t->helps);      /* [awaited] */
    struct vowi_node *sleeper = vowi_load_acquire(&t->sleeper); /* [awaited] */

    if (join != NULL)
        vowi_join_lose_helpers(join);
    if (sleeper != NULL)
        unhang(t->sleeps_for, sleeper);
    for (; a != NULL; a = a->outer)
        unhang(vowi_state(a->f), vowi_notice_node(a->notice));
}

static void
in_child(void)
{
    const struct vowi_thread *self = vowi_self();

    for (struct vowi_thread *t = vowi_globals.threads; t != NULL; t = t->next)
        if (t != self)
            take_out(t);
    vowi_waits_in_child();
    vowi_removals_in_child();
    vowi_timers_in_child();
    vowi_executors_in_child();
}

/* relaxed: before the first thread sleeps or executor is made, by the thread that does. */
void
vowi_fork_watch_core(void)
{
    vowi_store_relaxed(&vowi_globals.in_child, in_child);
}

/* ---- waiting there ---------------------------------------------------------------------------- */

/* Whether s itself was to be settled by one. A step that is skipped needs none. */
static bool
names_forked(struct vow_state *s)
{
    /* relaxed: read again after each wait */
    bool following = (vowi_load_relaxed(&s->word) & VOWI_FOLLOWING) != 0;

    if (following)
        return false;
    if (vowi_is_step(s))
        return vowi_is_forked(vowi_place_of(s));
    if (vowi_kind(s) == VOWI_TASK)
        return vowi_is_forked(vowi_job(s)->on);
    if (vowi_kind(s) == VOWI_BRANCH)
        return vowi_is_forked(vowi_branch(s)->on);
    return vowi_closes_forked(s);
}

/* What is known of those that a pending state waits for, and how far the look has come. */
struct vowi_fates {
    bool lost, live;
    unsigned depth, joins;
};

static enum vowi_fate fate(struct vowi_thread *t, struct vow_state *s);

/* Notes it, and has the others asked. */
static bool
note_input(struct vow_state *input)
{
    struct vowi_thread *t = vowi_self();
    enum vowi_fate its = fate(t, input);

    t->fates->lost = t->fates->lost || its != VOWI_FATE_LIVE;
    t->fates->live = t->fates->live || its != VOWI_FATE_LOST;
    return false;
}

/* Takes the lock bit of one that is pending; false: it has settled. */
static bool
lock_pending(struct vow_state *s)
{
    if ((vowi_lock_word(s) & VOWI_SETTLED) == 0)
        return true;
    vowi_unlock_word(s);
    return false;
}

/* Of a join. That may still end although one of its inputs is lost: by another that fails,
 * or that is enough. */
static enum vowi_fate
fate_of_join(struct vowi_thread *t, struct vow_state *s)
{
    struct vowi_fates *outer = t->fates;
    struct vowi_fates all = {.depth = 1, .joins = 0};
    struct vowi_fates its = {false};
    bool moves;

    if (outer == NULL)
        outer = &all;
    if (outer->depth == MAX_DEPTH || outer->joins == MAX_JOINS || !lock_pending(s))
        return VOWI_FATE_LIVE;
    its.depth = outer->depth + 1;
    its.joins = outer->joins + 1;
    t->fates = &its;
    moves = vowi_join_may_end(t, s, note_input);
    t->fates = outer != &all ? outer : NULL;
    outer->joins = its.joins;
    if (!moves && !its.live)
        return VOWI_FATE_LOST;
    return its.lost ? VOWI_FATE_AT_RISK : VOWI_FATE_LIVE;
}

/* Of one that has nothing upstream. */
static enum vowi_fate
fate_of_end(struct vowi_thread *t, struct vow_state *s)
{
    if (names_forked(s))
        return VOWI_FATE_LOST;
    return vowi_kind(s) == VOWI_JOIN ? fate_of_join(t, s) : VOWI_FATE_LIVE;
}

static enum vowi_fate
fate(struct vowi_thread *t, struct vow_state *s)
{
    struct vowi_visit at = vowi_visit_begin(s);
    enum vowi_fate its = VOWI_FATE_LIVE;

    while (at.state != NULL && !vowi_settled(at.state) && its == VOWI_FATE_LIVE) {
        struct vowi_visit up = {NULL, 0};

        its = fate_of_end(t, at.state);
        if (its == VOWI_FATE_LIVE)
            up = vowi_upstream(at.state);
        vowi_visit_end(t, at);
        at = up;
    }
    vowi_visit_end(t, at);
    return its;
}

/* Who looks at a join keeps it from its end, and may have to see to that. */
enum vowi_fate
vowi_fate(struct vowi_thread *t, struct vow_state *s)
{
    bool outermost;
    enum vowi_fate its;

    if (vowi_globals.forks == 0)
        return VOWI_FATE_LIVE;
    outermost = vowi_enter(t);
    its = fate(t, s);
    vowi_leave(t, outermost);
    return its;
}
