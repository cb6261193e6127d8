/* SPDX-License-Identifier: MIT */
/*
 * core/yield.c - long work in turns: a task that goes to the back of its queue.
 *
 * Between two turns a task is as it was before the first: nobody has claimed it, its
 * context lies in the outcome, and a queue has its node, with a hold. So whatever may
 * happen to a task in a queue may happen to it: it is cancelled, refused, helped with.
 *
 * First the claim is given up, then the task is posted: else a worker could take it from
 * the queue, find it claimed, and think that it has been cancelled. A request to stop that
 * came during the turn has found it claimed and left STOPPING; one that comes after finds
 * it free, and settles it. Both go through the word, so one of the two sees it [turn].
 *
 * A waiter may run a turn of a job in place, while its node is in a queue. Who takes the
 * node out meanwhile finds the job claimed, says TAKEN in a byte of the node, and looks
 * again; a turn in place gives up the claim, and then looks at that byte. Both are
 * seq_cst, so one sees the other, and who takes the byte back posts the node [left].
 *
 * Edges:
 *     [left]  the node, from whoever took it out to whoever posts it again; of a node that
 *             comes out and a claim that is given up one sees the other
 *     [turn]  what a turn did, to whoever claims the task next
 */
#include "core/yield.h"

#include "base/mark.h"
#include "core/block.h"
#include "core/bound.h"
#include "core/frame.h"
#include "core/refs.h"
#include "core/settle.h"
#include "core/trampoline.h"

vow_result
vow_yield_task(void)
{
    vowi_self()->yields++;
    return vow_ok(vow_own(NULL, vowi_wants_turn));
}

bool
vowi_take_yield(struct vowi_thread *t, const vow_result *r)
{
    if (!vowi_marks_turn(r))
        return false;
    t->yields--;
    return true;
}

/* One that was asked to stop between two turns, and whose context is dropped. */
static void
settle_stopped(struct vowi_thread *t, struct vow_state *s)
{
    vowi_set_error(s, vowi_reason_to_stop(s));
    vowi_settle_held(t, s);
}

static void
thread_exits_in_drop(void *state)
{
    struct vowi_thread *t = vowi_self();

    settle_stopped(t, state);
    vowi_leave_exiting(t);
}

/* Settles one that nobody has claimed since; false if somebody has. Consumes a hold. */
static bool
stop(struct vowi_thread *t, struct vow_state *s)
{
    vow_value ctx;

    if (!vowi_claim_task(s)) {
        vowi_hold_release(t, s);
        return false;
    }
    ctx = s->outcome.as.value;
    vowi_set_value(s, VOW_NIL);
    VOWI_DROP(ctx, thread_exits_in_drop, s);
    settle_stopped(t, s);
    return true;
}

static bool
is_job(struct vow_state *s)
{
    return vowi_kind(s) == VOWI_TASK;
}

static vow_task *
task_of(struct vow_state *s)
{
    return is_job(s) ? &vowi_job(s)->as.task : &vowi_delay(s)->as.timer.task;
}

/* A job goes where it was submitted; one after a delay to the executor that runs here. */
static void
post(struct vowi_thread *t, struct vow_state *s)
{
    vow_task *task = task_of(s);
    int why;

    task->flags |= VOW_TASK_AGAIN;
    t->returning = true;
    why = vow_post_task(is_job(s) ? vowi_job(s)->on : t->executor, task);
    t->returning = false;
    if (why != 0)
        task->run(task, why);
}

/* ---- the node of a job that is run in place ---------------------------------------------- */

enum { QUEUED, TAKEN };

static _Atomic(unsigned char) *
left_of(struct vow_state *s)
{
    return &vowi_job(s)->as.node.as.turns.left;
}

static bool
take_back(struct vow_state *s)
{
    unsigned char taken = TAKEN;

    /* [left]; acquires from whoever took it out, maybe later than the one looked for */
    return vowi_cas_strong_acquire_or_relaxed(left_of(s), &taken, QUEUED);
}

void
vowi_left_queue(struct vowi_thread *t, struct vow_state *s)
{
    vowi_store_seq_cst(left_of(s), TAKEN); /* [left] */
    if ((vowi_load_seq_cst(&s->word) & VOWI_CLAIMED) == 0 && take_back(s))
        post(t, s);
    else
        vowi_hold_release(t, s);
}

/* After a turn in place, with the claim given up. Consumes a hold. */
static void
leave_or_post(struct vowi_thread *t, struct vow_state *s)
{
    if (vowi_load_seq_cst(left_of(s)) == TAKEN && take_back(s)) /* [left] */
        post(t, s);
    else
        vowi_hold_release(t, s);
}

/* ---- going on ------------------------------------------------------------------------------ */

/* relaxed: ordered by the word, whose claim has just been given up [turn] */
static bool
is_stopping(struct vow_state *s)
{
    return (vowi_load_relaxed(&s->refs) & VOWI_STOPPING) != 0;
}

bool
vowi_go_again(struct vowi_thread *t, struct vow_state *s, vow_value ctx)
{
    bool in_place = t->in_place == s;

    t->yielded = t->helping != 0;
    vowi_set_value(s, ctx);
    vowi_and_seq_cst(&s->word, ~VOWI_CLAIMED); /* [turn], [left] */
    if (is_stopping(s))
        return stop(t, s);
    if (in_place)
        leave_or_post(t, s);
    else
        post(t, s);
    return false;
}
