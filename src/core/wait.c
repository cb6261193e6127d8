/* SPDX-License-Identifier: MIT */
/*
 * core/wait.c - blocking until a future settles.
 *
 * In this order, cheapest first: run what waits on this stack's own trampoline;
 * on a pool's worker, run what is waited for (help); spin a moment; sleep. A
 * sleeping reader is one more node in the list of the state, on its own stack, and
 * sleeps on its thread's own mutex and condition variable: blocking cannot fail
 * for memory, and a state that nobody blocks on pays nothing for it. A fiber does not
 * spin, since its thread has others to look after, and sleeps by leaving its stack.
 *
 * A wait with a deadline does not help, since what it would run has none.
 */
#include "core/wait.h"

#include <sched.h>

#include "base/time.h"
#include "core/arrive.h"
#include "core/block.h"
#include "core/deadlock.h"
#include "core/executor.h"
#include "core/follow.h"
#include "core/fork.h"
#include "core/fork_join.h"
#include "core/husk.h"
#include "core/linger.h"
#include "core/refs.h"
#include "core/step.h"
#include "core/submit.h"
#include "core/trampoline.h"
#include "core/word.h"
#include "sync/fiber.h"
#include "sync/park.h"

#ifndef VOWI_HELP_DEPTH
#define VOWI_HELP_DEPTH 32
#endif

/* ns after which a sleep for what is at risk looks, first and later on */
enum { FIRST_LOOK = 1000000, LAST_LOOK = 100000000 };

/* ---- sleeping ------------------------------------------------------------------------ */

struct reader {
    _Alignas(16) struct vowi_node node;
    struct vowi_parker *parker;
    bool woken; /* guarded by the parker's mutex */
};

static void
wake_reader(vow_task *task, int why)
{
    union vowi_task *as = vowi_container_of(task, union vowi_task, task);
    struct reader *r = vowi_container_of(&as->node, struct reader, node);

    (void)why;
    vowi_unpark(r->parker, &r->woken);
}

bool
vowi_is_reader(const struct vowi_node *n)
{
    return n->run == wake_reader;
}

void
vowi_wake_reader(struct vowi_node *n)
{
    n->run(&vowi_container_of(n, union vowi_task, node)->task, 0);
}

static bool
is_over(vow_ns deadline)
{
    return deadline != VOW_FOREVER && vowi_monotonic_now() >= deadline;
}

/* No mutex or condition variable to be had: the wait itself must not fail. */
static int
poll_until(struct vow_state *s, vow_ns deadline)
{
    while (!vowi_settled(s)) {
        if (is_over(deadline))
            return VOW_E_TIMEDOUT;
        sched_yield();
    }
    return 0;
}

static int
sleep_as(struct vow_state *s, struct reader *r, vow_ns deadline)
{
    if (!vowi_attach(s, &r->node) || vowi_park(r->parker, &r->woken, deadline))
        return 0;
    if (vowi_detach_node(s, &r->node))
        return VOW_E_TIMEDOUT;
    vowi_park(r->parker, &r->woken, VOW_FOREVER); /* taken: its waker is on the way */
    return 0;
}

static int
sleep_until_settled(struct vowi_thread *t, struct vow_state *s, vow_ns deadline)
{
    struct reader r = {.node = {.run = wake_reader}, .parker = vowi_parker_here(t)};
    int rc;

    if (vowi_parker_init(r.parker) != 0)
        return poll_until(s, deadline);
    vowi_thread_register(t);
    vowi_fork_watch_core();
    if (r.parker->fiber != NULL) /* in a child its stack is there still */
        return sleep_as(s, &r, deadline);
    t->sleeps_for = s;
    vowi_store_release(&t->sleeper, &r.node); /* [awaited] */
    rc = sleep_as(s, &r, deadline);
    vowi_store_release(&t->sleeper, NULL); /* [awaited] */
    return rc;
}

/* ---- helping ---------------------------------------------------------------------------- */

/* What has to run first so that s can settle: s, or the pending source of a step. */
static struct vowi_visit
first_needed(struct vowi_thread *t, struct vow_state *s)
{
    struct vowi_visit at = vowi_visit_begin(s);
    struct vowi_visit up = vowi_upstream(s);

    while (up.state != NULL && !vowi_settled(up.state)) {
        vowi_visit_end(t, at);
        at = up;
        up = vowi_upstream(at.state);
    }
    vowi_visit_end(t, up);
    return at;
}

/* The task by which an executor's queue knows a state; NULL if it never does. */
static vow_task *
task_of_state(struct vow_state *s)
{
    if (vowi_is_step(s))
        return &vowi_step(s)->hook.as.task;
    if (vowi_kind(s) == VOWI_TASK)
        return &vowi_job(s)->as.task;
    if (vowi_kind(s) == VOWI_BRANCH)
        return &vowi_branch(s)->as.task;
    return NULL;
}

/* The other way round: a task of a user's own has none, nor has vow_post or a watch. */
struct vow_state *
vowi_state_of_task(const vow_task *task)
{
    union vowi_task *as = vow_ptr(task).as.ptr;
    struct vowi_job *job = vowi_job_of(&as->task);
    struct vowi_branch *branch = vowi_branch_of(&as->task);

    if (job != NULL)
        return &job->state;
    if (branch != NULL)
        return &branch->state;
    if (!vowi_is_hook(&as->node) || vowi_hook_index(&as->node) == VOWI_WATCH)
        return NULL;
    return &vowi_container_of(as, struct vowi_step, hook.as)->state;
}

bool
vowi_is_awaitable(const vow_task *task)
{
    return vowi_state_of_task(task) != NULL;
}

/*
 * Runs a job of this executor that is still queued somewhere in it. Its node stays
 * in the queue, with a hold on the memory, and finds the job taken when it comes out.
 */
static bool
run_in_place(struct vowi_thread *t, struct vow_state *s)
{
    struct vow_state *outer = t->in_place;

    if (vowi_kind(s) != VOWI_TASK || vowi_job(s)->on != t->executor ||
        (vowi_load_relaxed(&s->word) & VOWI_CLAIMED)) /* relaxed: claimed again by run */
        return false;
    if (!vowi_hold_below(s, VOWI_HOLDS_MOST))
        return false; /* of those who try to claim it at this moment one will */
    t->in_place = s;
    vowi_run_job(vowi_job(s));
    t->in_place = outer;
    return true;
}

static bool
help_with(struct vowi_thread *t, struct vow_state *s)
{
    vow_executor *on = t->executor;
    vow_task *task = task_of_state(s);

    return task != NULL && (on->ops->help(on, task) || run_in_place(t, s));
}

static bool help_once(struct vowi_thread *t, struct vow_state *s);

/* A join that needs all its inputs: to run any of them helps. */
static bool
help_with_inputs(struct vowi_thread *t, struct vow_state *join)
{
    struct vowi_visit input;
    bool helped = false;

    if (t->helping >= VOWI_HELP_DEPTH)
        return false;
    t->helping++;
    while (!helped && (input = vowi_join_needs(t, join)).state != NULL) {
        helped = help_once(t, input.state);
        vowi_visit_end(t, input);
        if (!helped)
            vowi_join_skip(join);
    }
    t->helping--;
    return helped;
}

static bool
help_once(struct vowi_thread *t, struct vow_state *s)
{
    struct vowi_visit needed;
    bool helped;

    if ((vowi_kind(s) == VOWI_TASK && !vowi_is_following(s)) ||
        vowi_kind(s) == VOWI_BRANCH)
        return help_with(t, s); /* the common case, without looking upstream */
    needed = first_needed(t, s);
    if (vowi_kind(needed.state) == VOWI_JOIN)
        helped = help_with_inputs(t, needed.state);
    else
        helped = help_with(t, needed.state);
    vowi_visit_end(t, needed);
    return helped;
}

/* Whether what ran meanwhile has forked, and this is the child: there the executor whose
 * thread this was is left behind, whichever one it thinks it is on by now. */
static bool
has_forked(unsigned forks)
{
    return vowi_unlikely(vowi_globals.forks != forks);
}

/*
 * After a turn of a task that wants more the others have theirs, or none would ever end
 * that waits for what is queued behind: another thread goes on. If there is no other, this
 * one does: others wait for it.
 */
static void
help_until_settled(struct vowi_thread *t, struct vow_state *s, bool alone)
{
    unsigned forks = vowi_globals.forks;

    if (t->executor->ops->help == NULL || t->helping >= VOWI_HELP_DEPTH)
        return;
    t->helping++;
    while (!vowi_settled(s) && help_once(t, s)) {
        if (vowi_unlikely(t->yielded)) {
            t->yielded = false;
            if (!alone)
                break;
            sched_yield();
        }
        vowi_drain_all(t); /* inline steps on what has just run */
        if (has_forked(forks))
            break;
    }
    t->helping--;
}

/* ---- waiting ------------------------------------------------------------------------------ */

/* Sleeps inside user code on a thread of no executor, unless that provably never ended:
 * others may wait for this thread. */
static int
sleep_noted(struct vowi_thread *t, struct vow_state *s, vow_ns deadline)
{
    struct vowi_wait w = {.awaited = s, .thread = t};
    int rc;

    if (deadline != VOW_FOREVER)
        return sleep_until_settled(t, s, deadline);
    rc = vowi_wait_begin(&w);
    if (rc != 0)
        return rc;
    rc = sleep_until_settled(t, s, deadline);
    vowi_wait_end(&w);
    return rc;
}

static int sleep_somehow(struct vowi_thread *t, struct vow_state *s, vow_ns deadline);

/* The executor has been told. What there is on the trampoline runs while this thread does
 * not count as one that waits. */
static int
sleep_listed(struct vowi_thread *t, struct vowi_wait *w, vow_ns deadline, bool exhausted)
{
    bool sleeps = deadline != VOW_FOREVER || vowi_wait_counted(w, exhausted);
    int rc = sleeps ? sleep_until_settled(t, w->awaited, deadline) : VOW_E_DEADLOCK;

    vowi_wait_unblock(w);
    if (sleeps || t->fifo_head == NULL)
        return rc;
    vowi_drain_all(t);
    return sleep_somehow(t, w->awaited, deadline);
}

/* Sleeps on a thread of an executor, which is told, and which may refuse. */
static int
sleep_on_executor(struct vowi_thread *t, struct vow_state *s, vow_ns deadline)
{
    unsigned forks = vowi_globals.forks;
    struct vowi_wait w = {.awaited = s, .thread = t, .on = t->executor};
    int rc = vowi_wait_block(&w);

    if (rc == VOW_E_LIMIT && w.on->ops->help != NULL && deadline == VOW_FOREVER) {
        vowi_wait_unblock(&w);
        help_until_settled(t, s, true);
        vowi_thread_unload(t);
        if (vowi_settled(s))
            return 0;
        if (has_forked(forks))
            return sleep_somehow(t, s, deadline);
        rc = vowi_wait_block(&w);
    }
    if (has_forked(forks)) /* in its block_begin */
        return sleep_somehow(t, s, deadline);
    if (rc == VOW_E_DEADLOCK)
        return rc;
    return sleep_listed(t, &w, deadline, rc == VOW_E_LIMIT);
}

/* An executor that knows its threads but has no way to lose one forbids waiting. */
static bool
is_forbidden(const vow_executor *on, const struct vow_state *s)
{
    return (on->ops->is_current != NULL && on->ops->block_begin == NULL) ||
           vowi_executor_closes(on, s);
}

/* A wait inside nothing, which may last, naps first. */
static bool
may_nap(const struct vowi_thread *t, vow_ns deadline)
{
    return t->executor == NULL && t->frames == NULL && deadline == VOW_FOREVER;
}

static int
sleep_here(struct vowi_thread *t, struct vow_state *s, vow_ns deadline)
{
    if (t->executor != NULL)
        return sleep_on_executor(t, s, deadline);
    if (t->frames != NULL)
        return sleep_noted(t, s, deadline);
    return sleep_until_settled(t, s, deadline);
}

/* In a forked child, for what can be lost without a word, as what else could have been enough
 * settles: it looks again and again, soon at first. */
static int
sleep_at_risk(struct vowi_thread *t, struct vow_state *s, vow_ns deadline)
{
    vow_ns nap = FIRST_LOOK;
    int rc;

    do {
        vow_ns until = vowi_time_add(vowi_monotonic_now(), nap);

        if (until > deadline)
            until = deadline;
        rc = sleep_here(t, s, until);
        if (rc != VOW_E_TIMEDOUT || is_over(deadline))
            return rc;
        nap = nap < LAST_LOOK ? 2 * nap : nap;
    } while (!vowi_is_lost(t, s));
    return VOW_E_FORKED;
}

/* What this thread gives back may settle s, or queue here what is to settle it. */
static int
sleep_somehow(struct vowi_thread *t, struct vow_state *s, vow_ns deadline)
{
    enum vowi_fate fate;

    if (may_nap(t, deadline) && vowi_nap(t, s))
        return 0;
    vowi_thread_unload(t);
    if (vowi_settled(s))
        return 0;
    fate = vowi_fate(t, s);
    if (fate == VOWI_FATE_LOST)
        return VOW_E_FORKED;
    return fate == VOWI_FATE_LIVE ? sleep_here(t, s, deadline)
                                  : sleep_at_risk(t, s, deadline);
}

VOWI_NOINLINE static int
linger_or_sleep(struct vowi_thread *t, struct vow_state *s, vow_ns deadline)
{
    vow_ns start;
    int rc = 0;

    if (VOWI_SPIN_MAX == 0 || t->fiber != NULL)
        return sleep_somehow(t, s, deadline);
    if (!is_over(deadline) && vowi_linger_glance(t, s))
        return 0;
    start = vowi_monotonic_now();
    if (!vowi_linger(t, s, start, deadline))
        rc = sleep_somehow(t, s, deadline);
    vowi_linger_learn(t, start);
    return rc;
}

int
vowi_wait_settled(struct vowi_thread *t, struct vow_state *s, vow_ns deadline)
{
    if (vowi_settled(s))
        return 0;
    if (t->deferred != 0)
        return VOW_E_DEADLOCK;
    vowi_drain_all(t);
    if (vowi_settled(s))
        return 0;
    if (t->executor != NULL) {
        if (is_forbidden(t->executor, s))
            return VOW_E_DEADLOCK;
        if (deadline == VOW_FOREVER)
            help_until_settled(t, s, false);
        if (vowi_settled(s))
            return 0;
    }
    return linger_or_sleep(t, s, deadline);
}

/* Why waiting for s was refused on this thread, with a code. */
static const vow_error *
refusal(const struct vowi_thread *t, const struct vow_state *s, int code)
{
    vow_executor *on = t->executor;

    if (code == VOW_E_DEADLOCK && t->deferred == 0 && on != NULL && is_forbidden(on, s) &&
        vowi_executor_op(on, cannot_wait) != NULL)
        return on->ops->cannot_wait(on);
    return vow_error_of(code);
}

vow_view
vow_get(vow_future *f)
{
    struct vow_state *s = vowi_state_or_nomem(f);
    vow_view refused = {VOW_NIL, NULL};
    int code = 0;

    if (!vowi_settled(s))
        code = vowi_wait_settled(vowi_self(), s, VOW_FOREVER);
    else
        vowi_self()->found++;
    if (code == 0)
        return vowi_view(s);
    refused.error = refusal(vowi_self(), s, code);
    return refused;
}

bool
vowi_may_wait(const struct vowi_thread *t)
{
    const vow_executor *on = t->executor;

    return t->deferred == 0 &&
           (on == NULL || on->ops->is_current == NULL || on->ops->block_begin != NULL);
}

void
vowi_help(vow_future *f)
{
    struct vowi_thread *t = vowi_self();

    if (t->executor != NULL && t->deferred == 0)
        help_until_settled(t, vowi_state_or_nomem(f), false);
}

int
vowi_wait_out_settled(struct vowi_thread *t, struct vow_state *s)
{
    int rc = vowi_wait_settled(t, s, VOW_FOREVER);

    if (rc == VOW_E_DEADLOCK)
        rc = vowi_is_lost(t, s) ? VOW_E_FORKED : sleep_until_settled(t, s, VOW_FOREVER);
    return rc;
}

const vow_error *
vowi_wait_out(vow_future *f)
{
    struct vow_state *s = vowi_state_or_nomem(f);
    int rc = vowi_wait_out_settled(vowi_self(), s);

    return rc == 0 ? vowi_view(s).error : vow_error_of(rc);
}

/* What fork left behind counts as settled: nothing more will come of it. */
bool
vow_wait(vow_future *f, vow_ns timeout)
{
    struct vow_state *s = vowi_state_or_nomem(f);
    vow_ns deadline = VOW_FOREVER;
    int code;

    if (vowi_settled(s)) {
        vowi_self()->found++;
        return true;
    }
    if (timeout <= 0)
        return vowi_is_lost(vowi_self(), s);
    if (timeout != VOW_FOREVER)
        deadline = vowi_time_add(vowi_monotonic_now(), timeout);
    code = vowi_wait_settled(vowi_self(), s, deadline);
    return code == 0 || code == VOW_E_FORKED;
}

bool
vow_wait_until(vow_future *f, vow_ns deadline)
{
    if (deadline == VOW_FOREVER)
        return vow_wait(f, VOW_FOREVER);
    return vow_wait(f, vowi_time_sub(deadline, vow_now()));
}

/* Moves the outcome out of a state that only the caller holds; false if it cannot. */
static bool
take_outcome(struct vow_state *s, vow_result *out)
{
    struct vow_state *root = vowi_root(s);
    vow_error *error = vowi_error_in(s);

    if (!vowi_is_sole_consumer(s) || !vowi_is_sole_consumer(root))
        return false;
    *out = vow_ok(VOW_NIL);
    if (error != NULL) {
        vowi_mark_seen(s);
        out->error = error;
    } else {
        out->value = root->outcome.as.value;
    }
    vowi_set_value(root, VOW_NIL);
    return true;
}

bool
vow_take(vow_future *f, vow_result *out)
{
    struct vowi_thread *t = vowi_self();
    struct vow_state *s = vowi_state_or_nomem(f);

    if (f == NULL) {
        *out = vow_err(NULL);
        return true;
    }
    if (vowi_wait_settled(t, s, VOW_FOREVER) != 0 || !take_outcome(s, out))
        return false;
    vowi_consumer_unref(t, s);
    return true;
}
