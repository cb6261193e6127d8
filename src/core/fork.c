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
#include "core/word.h"
#include "queue/wheel.h"

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

bool
vowi_is_lost(struct vowi_thread *t, struct vow_state *s)
{
    struct vowi_visit at;
    bool lost = false;

    if (vowi_globals.forks == 0)
        return false;
    at = vowi_visit_begin(s);
    while (at.state != NULL && !vowi_settled(at.state) && !lost) {
        struct vowi_visit up = {NULL, 0};

        lost = names_forked(at.state);
        if (!lost)
            up = vowi_upstream(at.state);
        vowi_visit_end(t, at);
        at = up;
    }
    vowi_visit_end(t, at);
    return lost;
}
