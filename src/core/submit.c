/* SPDX-License-Identifier: MIT */
/*
 * core/submit.c - work for an executor, with a future (a job) or without (an errand).
 *
 * A job is one block: the task that queues it and the state of its result. The
 * queue holds the block's memory, so that a job which was cancelled, or run by its
 * waiter, settles at once, and its node goes when it comes out of the queue.
 */
#include "core/submit.h"

#include <assert.h>
#include <limits.h>

#include "base/options.h"

#include "base/bundle.h"
#include "base/mem.h"
#include "core/bound.h"
#include "core/caller.h"
#include "core/cancel.h"
#include "core/executor.h"
#include "core/frame.h"
#include "core/refs.h"
#include "core/result.h"
#include "core/trampoline.h"
#include "core/yield.h"

static vow_executor *
unless_inline(vow_executor *on)
{
    return on == &vowi_inline_executor ? NULL : on;
}

/* Puts a task on the trampoline; it runs at once if nothing else does. */
VOWI_NOINLINE static int
post_inline(vow_task *task)
{
    struct vowi_thread *t = vowi_self();
    bool outermost = vowi_enter(t);

    vowi_later(t, &vowi_container_of(task, union vowi_task, task)->node);
    vowi_leave(t, outermost);
    return 0;
}

static inline int
post_task(struct vowi_thread *t, vow_executor *on, vow_task *task)
{
    t->reads = 0;
    on = unless_inline(on);
    return vowi_likely(on != NULL) ? on->ops->post(on, task) : post_inline(task);
}

int
vow_post_task(vow_executor *on, vow_task *task)
{
    return post_task(vowi_self(), on, task);
}

static void
task_init(vow_task *task, void (*run)(vow_task *, int), int priority)
{
    *task = (vow_task){.run = run, .priority = (unsigned char)priority};
}

/* ---- jobs -------------------------------------------------------------------------- */

struct job_turn {
    struct vow_state *s;
    const vow_task *task; /* NULL: it is no job */
    vow_task_fn *fn;
    vow_value ctx;
};

static void
thread_exits_in_job(void *arg)
{
    struct job_turn *turn = arg;
    struct vowi_thread *t = vowi_frame_exited();
    vow_result r = vow_err(vowi_thread_exit_error());

    if (t->in_place == turn->s)
        t->in_place = NULL;
    vowi_forget_stolen(t, turn->task);
    vow_value_drop(turn->ctx);
    vowi_finish(t, turn->s, NULL, &r);
    vowi_leave_exiting(t);
}

struct dropping {
    struct vow_state *s;
    const vow_result *r;
};

static void
thread_exits_in_drop(void *arg)
{
    struct dropping *d = arg;
    struct vowi_thread *t = vowi_self();

    vowi_finish(t, d->s, NULL, d->r);
    vowi_leave_exiting(t);
}

VOWI_NOINLINE static void
drop_ctx(const struct job_turn *turn, const vow_result *r)
{
    struct dropping d = {turn->s, r};

    VOWI_DROP(turn->ctx, thread_exits_in_drop, &d);
}

static inline void
call_job(struct vowi_thread *t, struct job_turn *turn, vow_result *r)
{
    struct vowi_frame frame;

    VOWI_USER_CODE(t, frame, turn->s, *r = turn->fn(turn->ctx.as.ptr),
                   thread_exits_in_job, turn);
}

vow_error *
vowi_refusal(int why)
{
    vow_error *e = vow_error_of(why);

    return e != NULL ? e : vow_error_new_at(NULL, why, "%s", "the task was refused");
}

/* By whoever claimed it. With an error it does not run. False: it wants another turn,
 * and is on its way to the back of a queue. */
static inline bool
take_turn(struct vowi_thread *t, struct vow_state *s, const vow_task *task,
          vow_task_fn *fn, vow_error *instead)
{
    struct job_turn turn = {s, task, fn, s->outcome.as.value};
    vow_result r;

    vowi_set_value(s, VOW_NIL);
    if (vowi_likely(instead == NULL))
        call_job(t, &turn, &r);
    else
        r = vow_err(instead);
    vowi_forget_stolen(t, task);
    if (vowi_is_yield(t, &r))
        return vowi_go_again(t, s, turn.ctx);
    if (turn.ctx.drop != NULL)
        drop_ctx(&turn, &r);
    t->returning = true;
    vowi_finish(t, s, NULL, &r);
    return true;
}

static vow_result
nothing_to_do(void *ctx)
{
    (void)ctx;
    return vow_ok(VOW_NIL);
}

bool
vowi_take_task_turn(struct vowi_thread *t, struct vow_state *s, vow_task_fn *fn, int why)
{
    return take_turn(t, s, NULL, fn != NULL ? fn : nothing_to_do,
                     why != 0 ? vowi_refusal(why) : NULL);
}

/* Why a job that has a token does not run although nobody refused it; NULL: it does. */
static vow_error *
too_late(struct vow_state *s)
{
    const vow_token *token = vowi_bound_to(s);

    return vowi_token_fired(token) ? vow_error_ref(token->error) : NULL;
}

static inline void
run(struct vowi_job *job, int why, bool bound, bool in_place)
{
    struct vowi_thread *t = vowi_self();
    struct vow_state *s = &job->state;
    bool outermost = vowi_enter(t);

    if (vowi_claim_task(s)) {
        vow_error *instead = why != 0 ? vowi_refusal(why) : NULL;

        if (bound && why == 0)
            instead = too_late(s);
        take_turn(t, s, &job->as.task, job->fn.run, instead);
    } else if (in_place) {
        vowi_hold_release(t, s); /* somebody was faster */
    } else {
        vowi_forget_stolen(t, &job->as.task);
        vowi_left_queue(t, s); /* it was cancelled, or its waiter runs it */
    }
    vowi_leave(t, outermost);
}

static void
run_job(vow_task *task, int why)
{
    run(vowi_container_of(task, struct vowi_job, as.task), why, false, false);
}

/* The run of a job that has a token: so that the others need not look whether they do. */
static void
run_bound_job(vow_task *task, int why)
{
    run(vowi_container_of(task, struct vowi_job, as.task), why, true, false);
}

struct vowi_job *
vowi_job_of(vow_task *task)
{
    if (task->run != run_job && task->run != run_bound_job)
        return NULL;
    return vowi_container_of(task, struct vowi_job, as.task);
}

void
vowi_run_job(struct vowi_job *job)
{
    run(job, 0, true, true);
}

static struct vowi_job *
job_new(vow_executor *on, vow_task_fn *fn, vow_value ctx, void *site)
{
    struct vowi_job *job = vowi_alloc(sizeof *job);

    if (job == NULL)
        return NULL;
    task_init(&job->as.task, run_job, VOW_NORMAL);
    job->fn.run = fn;
    job->on = on;
    atomic_init(&job->state.word, 0);
    atomic_init(&job->state.refs, VOWI_CONSUMER | VOWI_HOLD | VOWI_ASKED | VOWI_TASK);
    vowi_set_value(&job->state, ctx);
    job->state.extra = site;
    return job;
}

/* Whether an executor that is full wants the work done where it comes from. */
static bool
caller_runs(vow_executor *on)
{
    return vowi_executor_op(on, caller_runs) != NULL && on->ops->caller_runs(on);
}

/* As an inline executor would: that is what it has from here on. */
static void
run_in_caller(struct vowi_job *job)
{
    job->on = NULL;
    post_inline(&job->as.task);
}

/* Gives a job to its executor. Returns its future. */
static vow_future *
post_job(struct vowi_job *job)
{
    int why = vow_post_task(job->on, &job->as.task);

    if (why == VOW_E_LIMIT && caller_runs(job->on))
        run_in_caller(job);
    else if (why != 0)
        job->as.task.run(&job->as.task, why);
    return vowi_future(&job->state);
}

static inline vow_future *
submit(vow_executor *on, vow_task_fn *fn, vow_value ctx, void *site)
{
    struct vowi_job *job = job_new(unless_inline(on), fn, ctx, site);

    if (job == NULL) {
        vow_value_drop(ctx);
        return NULL;
    }
    return post_job(job);
}

vow_future *
vow_submit(vow_executor *on, vow_task_fn *fn, vow_value ctx)
{
    return submit(on, fn, ctx, __builtin_return_address(0));
}

vow_future *
vowi_submit_at(vow_executor *on, vow_task_fn *fn, vow_value ctx, const void *site)
{
    return submit(on, fn, ctx, vow_ptr(site).as.ptr);
}

/* ---- with options ------------------------------------------------------------------- */

/* What the caller knew of when it was compiled; the rest is the default. */
static vow_submit_options
read_options(const vow_submit_options *opt)
{
    vow_submit_options known;

    vowi_options_read(&known, sizeof known, opt);
    return known;
}

/* relaxed: nobody else knows the job. */
static bool
apply_options(struct vowi_job *job, const vow_submit_options *opt)
{
    struct vow_state *s = &job->state;
    uint64_t refs = vowi_load_relaxed(&s->refs);

    job->as.task.priority = (unsigned char)opt->priority;
    if (opt->flags & VOW_STOP_WHEN_UNWANTED)
        refs |= VOWI_STOPPABLE;
    if (opt->name != NULL) {
        struct vow_registration *r = vowi_record_new(opt->name, s->extra);

        if (r == NULL)
            return false;
        s->extra = r;
        refs |= VOWI_HAS_RECORD;
    }
    vowi_store_relaxed(&s->refs, refs);
    if (opt->token == NULL)
        return true;
    job->as.task.run = run_bound_job;
    return vowi_bind_prepare(s, opt->token);
}

/* A job as the options say; NULL without memory. */
static struct vowi_job *
job_new_with(vow_executor *on, const vow_submit_options *opt, vow_task_fn *fn,
             vow_value ctx, void *site)
{
    struct vowi_job *job = job_new(on, fn, ctx, site);

    if (job == NULL || apply_options(job, opt))
        return job;
    vowi_free(job, sizeof *job); /* it is the record that there was no memory for */
    return NULL;
}

/* Makes a deadline a token, linked to the one that is there. False: no memory. */
static bool
fold_deadline(vow_executor *on, vow_submit_options *opt)
{
    vow_clock *clock = NULL;

    if (on != NULL && on->ops->clock != NULL)
        clock = on->ops->clock(on);
    opt->token = vowi_token_until(opt->token, clock, opt->deadline);
    return opt->token != NULL;
}

/* If its token has fired already the job is settled here, and is not posted. */
static vow_future *
post_bound_job(struct vowi_job *job)
{
    struct vowi_thread *t = vowi_self();
    struct vow_state *s = &job->state;
    bool outermost = vowi_enter(t);
    vow_future *f = vowi_future(s);

    vowi_bind(t, s);
    if (vowi_settled(s))
        vowi_hold_release(t, s); /* the queue's */
    else
        post_job(job);
    vowi_leave(t, outermost);
    return f;
}

static vow_future *
submit_with(vow_executor *on, vow_submit_options *opt, vow_task_fn *fn, vow_value ctx,
            void *site)
{
    bool folds = opt->deadline != 0 && opt->deadline != VOW_FOREVER;
    struct vowi_job *job = NULL;
    vow_future *f = NULL;

    if (!folds || fold_deadline(on, opt))
        job = job_new_with(on, opt, fn, ctx, site);
    if (job == NULL)
        vow_value_drop(ctx);
    else
        f = opt->token != NULL ? post_bound_job(job) : post_job(job);
    if (folds)
        vow_token_unref(opt->token); /* the job has it by now */
    return f;
}

vow_future *
vow_submit_with(vow_executor *on, const vow_submit_options *opt, vow_task_fn *fn,
                vow_value ctx)
{
    vow_submit_options known = read_options(opt);

    return submit_with(unless_inline(on), &known, fn, ctx, __builtin_return_address(0));
}

vow_future *
vowi_submit_with_at(vow_executor *on, const vow_submit_options *opt, vow_task_fn *fn,
                    vow_value ctx, const void *site)
{
    vow_submit_options known = read_options(opt);

    return submit_with(unless_inline(on), &known, fn, ctx, vow_ptr(site).as.ptr);
}

/* ---- many --------------------------------------------------------------------------- */

/* Posts a list one by one. What is refused after the first ends with its own code. If that
 * is refused it is the caller's list again, as it was. */
static int
post_each(vow_executor *on, vow_task *task)
{
    bool first = true;

    while (task != NULL) {
        vow_task *next = task->next;
        int why = vow_post_task(on, task);

        if (why != 0 && first) {
            task->next = next;
            return why;
        }
        if (why != 0)
            task->run(task, why);
        first = false;
        task = next;
    }
    return 0;
}

static int
post_list(vow_executor *on, vow_task *first, size_t n)
{
    vowi_self()->reads = 0;
    if (on != NULL && on->ops->post_many != NULL)
        return on->ops->post_many(on, first, n);
    return post_each(on, first);
}

static void
run_all_in_caller(vow_task *task)
{
    while (task != NULL) {
        vow_task *next = task->next;

        run_in_caller(vowi_container_of(task, struct vowi_job, as.task));
        task = next;
    }
}

/* Inline steps on what is dropped for the list, or runs here, wait until all of it has come
 * to that: one may wait for another. */
static int
post_all(vow_executor *on, vow_task *first, size_t n)
{
    struct vowi_thread *t = vowi_self();
    bool outermost = vowi_enter(t);
    int why = post_list(on, first, n);

    if (why == VOW_E_LIMIT && caller_runs(on)) {
        run_all_in_caller(first);
        why = 0;
    }
    vowi_leave(t, outermost);
    return why;
}

static void
drop_all(const vow_value *ctxs, size_t n, vow_future **out)
{
    for (size_t i = 0; i < n; i++) {
        vow_value_drop(ctxs[i]);
        if (out != NULL)
            out[i] = NULL;
    }
}

/* Frees jobs that no executor accepted; their contexts are the caller's again. */
static void
free_jobs(vow_task *task)
{
    while (task != NULL) {
        struct vowi_job *job = vowi_container_of(task, struct vowi_job, as.task);

        task = task->next;
        vowi_free(job, sizeof *job);
    }
}

/* Makes n jobs, linked; NULL without memory. */
static vow_task *
jobs_new(vow_executor *on, vow_task_fn *fn, const vow_value *ctxs, size_t n,
         vow_future **out, void *site)
{
    vow_task *first = NULL;
    vow_task **last = &first;

    for (size_t i = 0; i < n; i++) {
        struct vowi_job *job = job_new(on, fn, ctxs[i], site);

        if (job == NULL) {
            free_jobs(first);
            return NULL;
        }
        if (out != NULL)
            out[i] = vowi_future(&job->state);
        else /* relaxed: nobody else knows it yet */
            vowi_store_relaxed(&job->state.refs, VOWI_HOLD | VOWI_ASKED | VOWI_TASK);
        *last = &job->as.task;
        last = &job->as.task.next;
    }
    return first;
}

int
vow_submit_many(vow_executor *on, vow_task_fn *fn, const vow_value *ctxs, size_t n,
                vow_future **out)
{
    vow_task *first;
    int why = VOW_E_NOMEM;

    on = unless_inline(on);
    first = jobs_new(on, fn, ctxs, n, out, __builtin_return_address(0));
    if (n == 0)
        return 0;
    if (first != NULL) {
        why = post_all(on, first, n);
        if (why == 0)
            return 0;
        free_jobs(first);
    }
    drop_all(ctxs, n, out);
    return why;
}

/* ---- errands -------------------------------------------------------------------------- */

static void run_errand(vow_task *task, int why);

/*
 * vow_post: a function, a context, no result. The first reserved byte of its task is 0, or
 * its index in a bundle and 1.
 */
struct errand {
    vow_task task;
    vow_fn *fn;
    vow_value ctx;
};

static_assert(sizeof(struct errand) <= VOWI_BUNDLED_SIZE, "a block of a bundle");
static_assert(VOWI_BUNDLE < UCHAR_MAX, "an index is a byte");

/*
 * Whether what is posted to it comes from bundles. What runs at once takes the same block
 * again and again. And who keeps its own time is a loop, or like one: its poster writes the
 * link to the next into the last while the loop may be reading that, and so shares its line.
 */
static inline bool
has_bundles(vow_executor *on)
{
    on = unless_inline(on);
    return VOWI_BUNDLES && on != NULL && vowi_executor_op(on, arm) == NULL;
}

static inline struct errand *
errand_new(struct vowi_thread *t, vow_executor *on)
{
    struct errand *e = NULL;
    unsigned index = 0;

    if (has_bundles(on))
        e = vowi_bundle_alloc(t, &index);
    if (vowi_likely(e != NULL))
        index++;
    else
        e = vowi_alloc_on(t, sizeof *e);
    if (vowi_likely(e != NULL)) {
        task_init(&e->task, run_errand, VOW_NORMAL);
        e->task.reserved[0] = (unsigned char)index;
    }
    return e;
}

static inline void
free_errand_alone(struct vowi_thread *t, struct errand *e)
{
    unsigned place = e->task.reserved[0];

    if (place != 0)
        vowi_bundle_free(t, e, place - 1);
    else
        vowi_free_on(t, e, sizeof *e);
}

static void
thread_exits_in_drop_of_errand(void *unused)
{
    (void)unused;
    vowi_leave_exiting(vowi_self());
}

VOWI_NOINLINE static void
free_errand_and_drop(struct vowi_thread *t, struct errand *e)
{
    vow_value ctx = e->ctx;

    free_errand_alone(t, e);
    VOWI_DROP(ctx, thread_exits_in_drop_of_errand, NULL);
}

static inline void
free_errand(struct vowi_thread *t, struct errand *e)
{
    if (e->ctx.drop != NULL)
        free_errand_and_drop(t, e);
    else
        free_errand_alone(t, e);
}

static void
thread_exits_in_errand(void *arg)
{
    struct vowi_thread *t = vowi_frame_exited();

    free_errand(t, arg);
    vowi_leave_exiting(t);
}

static void
run_errand(vow_task *task, int why)
{
    struct vowi_thread *t = vowi_self();
    struct errand *e = vowi_container_of(task, struct errand, task);
    bool outermost = vowi_enter(t);

    if (vowi_likely(why == 0)) {
        struct vowi_frame frame;

        VOWI_BARE_CODE(t, frame, NULL, e->fn(e->ctx.as.ptr), thread_exits_in_errand, e);
    }
    free_errand(t, e);
    vowi_leave(t, outermost);
}

int
vow_post(vow_executor *on, vow_fn *fn, vow_value ctx)
{
    struct vowi_thread *t = vowi_self();
    struct errand *e = errand_new(t, on);
    int why;

    if (e == NULL) {
        vow_value_drop(ctx);
        return VOW_E_NOMEM;
    }
    e->fn = fn;
    e->ctx = ctx;
    why = post_task(t, on, &e->task);
    if (vowi_unlikely(why != 0))
        run_errand(&e->task, why);
    return why;
}
