/* SPDX-License-Identifier: MIT */
/*
 * core/fork_join.c - two functions that may run at the same time, without a future.
 *
 * The second is a task on the caller's stack. It is offered to the executor, the first is
 * called, and then it is taken back: if that succeeds nobody else has seen it, nor will,
 * and to join is to call a function. Else another thread has it, and it is waited for as
 * any task is: it has a state, which is published when it has ended (core/wait.c). That is
 * all there is to say when; what it returned lies beside it.
 *
 *     offered -> taken back                         by the caller
 *     offered -> taken -> claimed -> published      by a thief
 *     offered -> taken -> published, with a why     by who closes the executor: the caller
 *                                                   runs it, as if it had taken it back
 *
 * Nobody but the caller knows the state, so nobody holds it: whoever publishes is done with
 * it, and the caller may leave. The one exception is who looks for deadlocks, which looks
 * at what sleeping threads wait for, under a lock that they take before they go on.
 *
 * In a forked child there are no thieves. What had been claimed there is lost with them;
 * what had not is the child's to claim.
 */
#include "core/fork_join.h"

#include "core/executor.h"
#include "core/husk.h"
#include "core/refs.h"
#include "core/submit.h"
#include "core/trampoline.h"
#include "core/wait.h"
#include "core/word.h"

/* ---- on another thread ---------------------------------------------------------------------- */

/* It is the caller's again, who may have left by the time this returns. */
static void
publish(struct vowi_branch *b)
{
    struct vowi_node *n = vowi_publish(&b->state, 0); /* [settled] */

    if (n != NULL)
        vowi_wake_reader(n); /* the caller: nobody else can wait for it */
}

static void
end(struct vowi_thread *t, struct vowi_branch *b, vow_error *e)
{
    b->error = e;
    vowi_forget_stolen(t, &b->as.task);
    publish(b);
}

static void
thread_exits_in_branch(void *arg)
{
    struct vowi_thread *t = vowi_frame_exited();

    end(t, arg, vowi_thread_exit_error());
    vowi_leave_exiting(t);
}

static void
call_branch(struct vowi_thread *t, struct vowi_branch *b)
{
    struct vowi_frame frame;
    vow_error *e;

    VOWI_USER_CODE(t, frame, &b->state, e = b->fn(b->ctx), thread_exits_in_branch, b);
    end(t, b, e);
}

static void
run_branch(vow_task *task, int why)
{
    struct vowi_thread *t = vowi_self();
    union vowi_task *as = vowi_container_of(task, union vowi_task, task);
    struct vowi_branch *b = vowi_container_of(as, struct vowi_branch, as);
    bool outermost = vowi_enter(t);

    if (why == 0) {
        (void)vowi_claim(&b->state); /* in this process nobody else does */
        call_branch(t, b);
    } else {
        b->why = why;
        vowi_forget_stolen(t, task);
        publish(b);
    }
    vowi_leave(t, outermost);
}

struct vowi_branch *
vowi_branch_of(vow_task *task)
{
    union vowi_task *as = vowi_container_of(task, union vowi_task, task);

    return task->run == run_branch ? vowi_container_of(as, struct vowi_branch, as) : NULL;
}

/* ---- the caller ------------------------------------------------------------------------------- */

static inline void
branch_init(struct vowi_branch *b, const struct vowi_thread *t, vow_executor *on,
            vow_branch_fn *fn, void *ctx, void *site)
{
    b->as.task = (vow_task){.run = run_branch};
    b->fn = fn;
    b->ctx = ctx;
    b->frame = t->frames;
    b->on = on;
    atomic_init(&b->unwanted, false);
    b->forks = vowi_globals.forks;
    b->why = 0;
    atomic_init(&b->state.word, 0);
    atomic_init(&b->state.refs, VOWI_CONSUMER | VOWI_HOLD | VOWI_ASKED | VOWI_BRANCH);
    b->state.extra = site;
}

static inline bool
take_back(struct vowi_branch *b)
{
    return b->on->ops->retract(b->on, &b->as.task);
}

/* Of a branch that could not be taken back. Returns whether it has run; if not, it is the
 * caller's, and will not be run by anybody else. */
static bool
has_run(struct vowi_thread *t, struct vowi_branch *b)
{
    int rc = vowi_globals.forks != b->forks ? VOW_E_FORKED
                                            : vowi_wait_out_settled(t, &b->state);

    if (rc == 0 || vowi_settled(&b->state))
        return b->why == 0;
    if (vowi_claim(&b->state))
        return false;
    b->error = vow_error_of(VOW_E_FORKED); /* a thread that is not there was at it */
    return true;
}

/* What the caller has of a branch that another thread took. */
struct joining {
    struct vowi_branch *b;
    vow_error *first; /* what the first one returned, owned */
};

/* The caller's thread exits, and its stack goes. It has failed, and the other one is told. */
static void
thread_exits_in_first(void *arg)
{
    struct vowi_branch *b = arg;

    vowi_store_relaxed(&b->unwanted, true); /* relaxed: a flag by itself */
    if (!take_back(b) && has_run(vowi_self(), b))
        vow_error_unref(b->error);
}

/* In what runs here while this thread waits. */
static void
thread_exits_in_wait(void *arg)
{
    struct joining *j = arg;

    thread_exits_in_first(j->b);
    vow_error_unref(j->first);
}

/* Not in line: it would keep what its caller has over a setjmp, where there is one. */
VOWI_NOINLINE static bool
has_run_in_wait(struct joining *j)
{
    bool ran;

    pthread_cleanup_push(thread_exits_in_wait, j);
    ran = has_run(vowi_self(), j->b);
    pthread_cleanup_pop(0);
    return ran;
}

/* Takes the error of the first. */
VOWI_NOINLINE static vow_error *
join_other(struct vowi_branch *b, vow_error *first)
{
    struct joining j = {b, first};
    bool ran;

    if (first != NULL)
        vowi_store_relaxed(&b->unwanted, true); /* relaxed: a flag by itself */
    ran = has_run_in_wait(&j);
    if (first == NULL)
        return ran ? b->error : b->fn(b->ctx);
    if (ran)
        vow_error_unref(b->error);
    return first;
}

VOWI_NOINLINE static vow_error *
run_in_turn(vow_branch_fn *first, void *first_ctx, vow_branch_fn *second,
            void *second_ctx)
{
    vow_error *e = first(first_ctx);

    return e == NULL ? second(second_ctx) : e;
}

/* Also an executor that knows of no such thing has its table left behind by a fork. */
static inline bool
can_offer(const struct vowi_thread *t, const vow_executor *on)
{
    return t->executor == on && on != NULL && t->deferred == 0 &&
           vowi_executor_op(on, offer) != NULL;
}

/* What is needed after the first has run lies in the branch, not in registers. */
static inline vow_error *
fork_here(struct vowi_thread *t, vow_executor *on, vow_branch_fn *first, void *first_ctx,
          vow_branch_fn *second, void *second_ctx, void *site)
{
    struct vowi_branch b;
    vow_error *e;

    branch_init(&b, t, on, second, second_ctx, site);
    if (vowi_unlikely(!on->ops->offer(on, &b.as.task)))
        return run_in_turn(first, first_ctx, b.fn, b.ctx);
    pthread_cleanup_push(thread_exits_in_first, &b);
    e = first(first_ctx);
    pthread_cleanup_pop(0);
    if (vowi_unlikely(!take_back(&b)))
        return join_other(&b, e);
    return vowi_likely(e == NULL) ? b.fn(b.ctx) : e;
}

/* ---- from another thread ---------------------------------------------------------------------- */

/* A call that has all of it done on the executor, by a job, and waits. */
struct whole {
    struct vowi_branch here; /* says whose task it is part of */
    vow_branch_fn *first;
    void *first_ctx;
    vow_future *f; /* of the job */
    vow_error *error;
    bool begun;
};

static void
thread_exits_in_whole(void *arg)
{
    struct whole *w = arg;

    vowi_frame_exited();
    w->error = vowi_thread_exit_error();
}

static vow_error *
fork_whole(struct vowi_thread *t, struct whole *w)
{
    struct vowi_branch *b = &w->here;

    if (can_offer(t, b->on))
        return fork_here(t, b->on, w->first, w->first_ctx, b->fn, b->ctx, b->state.extra);
    return run_in_turn(w->first, w->first_ctx, b->fn, b->ctx);
}

static vow_result
run_whole(void *whole)
{
    struct vowi_thread *t = vowi_self();
    struct whole *w = whole;
    struct vowi_frame frame;

    w->begun = true;
    VOWI_USER_CODE(t, frame, &w->here.state, w->error = fork_whole(t, w),
                   thread_exits_in_whole, w);
    return vow_ok(VOW_NIL);
}

/* Calls the job here, unless somebody has begun it. */
static void
run_job_here(struct vow_state *s)
{
    if (vowi_hold_below(s, VOWI_HOLDS_MOST))
        vowi_run_job(vowi_job(s));
}

/* Waits for the job. A wait that is refused, or a fork that has left the executor behind,
 * is no reason to go while it runs, but one to begin it here. */
static void
await_whole(struct vowi_thread *t, struct whole *w)
{
    struct vow_state *s = vowi_state(w->f);
    int rc = vowi_wait_settled(t, s, VOW_FOREVER);

    if (rc == 0)
        return;
    run_job_here(s);
    if (vowi_wait_out_settled(t, s) == VOW_E_FORKED && w->begun)
        w->error = vow_error_of(VOW_E_FORKED);
}

/* In what runs here while this thread waits, or in the job. */
static void
thread_exits_in_wait_for_whole(void *arg)
{
    struct whole *w = arg;

    vow_future_cancel(w->f, NULL); /* it does not begin */
    (void)vowi_wait_out_settled(vowi_self(), vowi_state(w->f));
    vow_ignore(w->f);
    vow_error_unref(w->error);
}

/* A pool that is full refuses here, and does not wait. */
static vow_future *
submit_whole(struct whole *w)
{
    vow_future *f;

    vow_defer_begin();
    f = vow_submit(w->here.on, run_whole, vow_ptr(w));
    vow_defer_end();
    return f;
}

static void
begin_and_await(struct vowi_thread *t, struct whole *w)
{
    w->f = submit_whole(w);
    if (w->f == NULL)
        return;
    pthread_cleanup_push(thread_exits_in_wait_for_whole, w);
    await_whole(t, w);
    pthread_cleanup_pop(0);
    vow_ignore(w->f);
}

VOWI_NOINLINE static vow_error *
fork_elsewhere(struct vowi_thread *t, vow_executor *on, vow_branch_fn *first,
               void *first_ctx, vow_branch_fn *second, void *second_ctx, void *site)
{
    struct whole w = {.first = first, .first_ctx = first_ctx};

    if (on != NULL && vowi_executor_op(on, offer) != NULL && vowi_may_wait(t)) {
        branch_init(&w.here, t, on, second, second_ctx, site);
        begin_and_await(t, &w);
    }
    return w.begun ? w.error : run_in_turn(first, first_ctx, second, second_ctx);
}

vow_error *
vow_fork_join(vow_executor *on, vow_branch_fn *first, void *first_ctx,
              vow_branch_fn *second, void *second_ctx)
{
    struct vowi_thread *t = vowi_self();
    void *site = __builtin_return_address(0);

    if (vowi_likely(can_offer(t, on)))
        return fork_here(t, on, first, first_ctx, second, second_ctx, site);
    return fork_elsewhere(t, on, first, first_ctx, second, second_ctx, site);
}
