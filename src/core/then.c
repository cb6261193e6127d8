/* SPDX-License-Identifier: MIT */
/*
 * core/then.c - steps: what hangs on a future and makes another one.
 *
 * A step is one block: its hook on the source, and the state of its result. Its
 * kind is the function in its node's run. It hangs on its source; when that
 * settles, it is delivered: posted to its executor, or, inline or skipped, put on
 * the trampoline of the settling thread. There, run claims the result's state,
 * since a canceller may have been faster, calls the user's function, drops the
 * context, settles, and lets go of the source.
 *
 * A source that has settled already, an inline step, and no step running on this
 * stack: then the step runs at once and nobody else knows of it yet. Its state
 * needs no claim, no hold and no publishing: no atomic step at all.
 */
#include "base/mem.h"
#include "core/frame.h"

/* A step on the move: what run needs, and the clean-up handler if it must. */
struct turn {
    struct vowi_hook *hook;
    struct vow_state *s; /* of the result; NULL for a watch */
    struct vow_state *source;
    vow_value ctx;
    bool held; /* a hold of the source came with the step */
    bool outermost;
};

typedef vow_result call_fn(struct turn *turn);

/* ---- the kinds -------------------------------------------------------------------- */

static vow_result
call_then(struct turn *turn)
{
    return turn->hook->fn.then(vowi_view(turn->source).value, turn->ctx.as.ptr);
}

static vow_result
call_catch(struct turn *turn)
{
    return turn->hook->fn.catch(vowi_view(turn->source).error, turn->ctx.as.ptr);
}

static vow_result
call_handle(struct turn *turn)
{
    return turn->hook->fn.handle(vowi_view(turn->source), turn->ctx.as.ptr);
}

static vow_result
call_finally(struct turn *turn)
{
    turn->hook->fn.finally(turn->ctx.as.ptr);
    return vow_forward();
}

static vow_result
call_settled(struct turn *turn)
{
    turn->hook->fn.settled(vowi_view(turn->source), turn->ctx.as.ptr);
    return vow_ok(VOW_NIL);
}

static void run_then(vow_task *task, int why);
static void run_catch(vow_task *task, int why);
static void run_catch_if(vow_task *task, int why);
static void run_handle(vow_task *task, int why);
static void run_finally(vow_task *task, int why);
static void run_settled(vow_task *task, int why);

static void (*const runs[])(vow_task *, int) = {run_then,   run_catch,   run_catch_if,
                                                run_handle, run_finally, run_settled};

unsigned char
vowi_hook_index(const struct vowi_node *n)
{
    unsigned char i = 0;

    while (i < sizeof runs / sizeof *runs && runs[i] != n->run)
        i++;
    return i;
}

void (*vowi_hook_run(unsigned char index))(vow_task *, int)
{
    return runs[index];
}

bool
vowi_is_hook(const struct vowi_node *n)
{
    return vowi_hook_index(n) < sizeof runs / sizeof *runs;
}

static struct vowi_hook *
hook_of(struct vowi_node *n)
{
    return vowi_container_of(n, struct vowi_hook, as.node);
}

/* Whether a step's function has nothing to do with how its source settled. */
static bool
is_skipped(struct vowi_hook *hook)
{
    void (*run)(vow_task *, int) = hook->as.node.run;
    const vow_error *error = vowi_error_in(hook->source);

    if (run == run_then)
        return error != NULL;
    if (run == run_catch)
        return error == NULL;
    if (run == run_catch_if)
        return !vow_error_is(error, vowi_container_of(hook, struct vowi_step_if,
                                                      step.hook)->code);
    return false;
}

/* ---- running ------------------------------------------------------------------------ */

static void
drop_ctx(struct turn *turn)
{
    if (turn->ctx.drop != NULL)
        vow_value_drop(turn->ctx);
}

static void
release_source(struct vowi_thread *t, const struct turn *turn)
{
    if (turn->held)
        vowi_consumer_unref_held(t, turn->source);
    else
        vowi_consumer_unref(t, turn->source);
}

/* Settles the step's result, its context having been dropped. */
static void
conclude(struct vowi_thread *t, struct turn *turn, vow_result r)
{
    if (turn->s != NULL) {
        t->returning = true;
        vowi_finish(t, turn->s, turn->source, r);
    } else {
        vowi_free_on(t, turn->hook, sizeof(struct vowi_watch));
    }
    release_source(t, turn);
}

/* pthread_exit inside a step: what would have come after its function. */
static void
thread_exits_in_step(void *arg)
{
    struct turn *turn = arg;
    struct vowi_thread *t = vowi_frame_exited();

    drop_ctx(turn);
    conclude(t, turn, vow_err(turn->s != NULL ? vowi_thread_exit_error() : NULL));
    vowi_leave(t, turn->outermost);
}

static inline vow_result
call(struct vowi_thread *t, struct turn *turn, call_fn *fn)
{
    struct vowi_frame frame;
    vow_result r;

    VOWI_USER_CODE(t, frame, turn->s, r = fn(turn), thread_exits_in_step, turn);
    return r;
}

/* The result of a step that does not run, since it was refused or has no part in it. */
static vow_result
not_run(const struct turn *turn, int why)
{
    if (why == 0 || vowi_error_in(turn->source) != NULL)
        return vow_forward();
    return vow_err(vow_error_of(why));
}

static void
abandon(struct vowi_thread *t, struct turn *turn)
{
    vowi_mark_seen(turn->source);
    if (turn->s != NULL) {
        vowi_abandon(t, turn->s);
        vowi_hold_release(t, turn->s);
    } else {
        vowi_free_on(t, turn->hook, sizeof(struct vowi_watch));
    }
    release_source(t, turn);
}

static inline void
take_turn(struct vowi_thread *t, struct turn *turn, int why, call_fn *fn)
{
    vow_result r;

    if (why == 0 && !is_skipped(turn->hook)) {
        r = call(t, turn, fn);
        drop_ctx(turn);
    } else {
        drop_ctx(turn);
        if (why == VOWI_ABANDONED) {
            abandon(t, turn);
            return;
        }
        r = not_run(turn, why);
    }
    conclude(t, turn, r);
}

static inline void
run_step(vow_task *task, int why, call_fn *fn)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_step *step = vowi_container_of(task, struct vowi_step, hook.as.task);
    bool outermost = vowi_enter(t);

    if (vowi_claim(&step->state)) {
        struct turn turn = {&step->hook,
                            &step->state,
                            step->hook.source,
                            step->state.outcome.as.value,
                            step->hook.as.node.as.queued.held != 0,
                            outermost};

        vowi_set_value(&step->state, VOW_NIL);
        take_turn(t, &turn, why, fn);
    } else { /* it was cancelled, and the canceller let go of the source */
        if (step->hook.as.node.as.queued.held)
            vowi_hold_release(t, step->hook.source);
        vowi_hold_release(t, &step->state);
    }
    vowi_leave(t, outermost);
}

static void
run_then(vow_task *task, int why)
{
    run_step(task, why, call_then);
}

static void
run_catch(vow_task *task, int why)
{
    run_step(task, why, call_catch);
}

static void
run_catch_if(vow_task *task, int why)
{
    run_step(task, why, call_catch);
}

static void
run_handle(vow_task *task, int why)
{
    run_step(task, why, call_handle);
}

static void
run_finally(vow_task *task, int why)
{
    run_step(task, why, call_finally);
}

static void
run_settled(vow_task *task, int why)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_watch *w = vowi_container_of(task, struct vowi_watch, hook.as.task);
    bool outermost = vowi_enter(t);
    struct turn turn = {&w->hook, NULL, w->hook.source, w->ctx,
                        w->hook.as.node.as.queued.held != 0, outermost};

    take_turn(t, &turn, why, call_settled);
    vowi_leave(t, outermost);
}

/* ---- delivering ----------------------------------------------------------------------- */

static void
run_here(struct vowi_thread *t, struct vowi_node *n, int why)
{
    n->as.queued.why = why;
    vowi_later(t, n);
}

void
vowi_deliver(struct vowi_thread *t, struct vowi_node *n, int why)
{
    struct vowi_hook *hook = hook_of(n);
    vow_executor *on = hook->on;

    if (t->held == hook->source) {
        t->held = NULL;
        n->as.queued.held = 1; /* one release less than each giving up its own */
    }
    hook->on = NULL;
    if (on == NULL || why != 0 || is_skipped(hook)) {
        run_here(t, n, why);
    } else {
        n->as.queued.flags = VOW_TASK_STEP;
        why = on->ops->post(on, &hook->as.task);
        if (why != 0)
            run_here(t, n, why);
    }
    vowi_executor_release(t, on);
}

/* ---- attaching ------------------------------------------------------------------------ */

static void
hook_init(struct vowi_thread *t, struct vowi_hook *hook, vow_future *f, vow_executor *on,
          void (*run)(vow_task *, int))
{
    hook->as.node.next = NULL;
    hook->as.node.run = run;
    hook->as.node.as.newer = NULL;
    hook->source = vowi_state_or_nomem(f);
    hook->on = vowi_executor_hold(t, on);
}

/* Hangs a hook on its source, or delivers it. */
static void
attach_or_deliver(struct vowi_thread *t, struct vowi_hook *hook)
{
    if (!vowi_attach(hook->source, &hook->as.node)) {
        bool outermost = vowi_enter(t);

        vowi_deliver(t, &hook->as.node, 0);
        vowi_leave(t, outermost);
    }
}

static struct vowi_step *
step_new(struct vowi_thread *t, size_t size, vow_future *f, vow_executor *on,
         void (*run)(vow_task *, int), vow_value ctx, void *site)
{
    struct vowi_step *step = vowi_alloc_on(t, size);
    uint64_t kind = size == sizeof(struct vowi_step) ? VOWI_STEP : VOWI_STEP_IF;

    vowi_assert(ctx.drop != NULL || ctx.as.u64 == 0 || ctx.as.ptr != NULL);
    if (step == NULL) {
        vow_unref(f);
        vow_value_drop(ctx);
        return NULL;
    }
    hook_init(t, &step->hook, f, on, run);
    atomic_init(&step->state.word, 0);
    atomic_init(&step->state.refs, VOWI_CONSUMER | VOWI_HOLD | VOWI_ASKED | kind);
    vowi_set_value(&step->state, ctx);
    step->state.extra = site;
    return step;
}

/*
 * An inline step on a settled source, with nothing running on this stack. relaxed:
 * until the function has returned nobody else knows the state; and a result that
 * follows another makes it an ordinary one first.
 */
static vow_future *
run_at_once(struct vowi_thread *t, struct vowi_step *step, call_fn *fn)
{
    struct vow_state *s = &step->state;
    struct turn turn = {&step->hook, s, step->hook.source, s->outcome.as.value, false,
                        vowi_enter(t)};
    vow_result r;

    vowi_store_relaxed(&s->word, VOWI_CLAIMED);
    vowi_set_value(s, VOW_NIL);
    if (!is_skipped(turn.hook)) {
        r = call(t, &turn, fn);
        drop_ctx(&turn);
    } else {
        drop_ctx(&turn);
        r = vow_forward();
    }
    if (r.follow != NULL || r.error != NULL || vowi_error_in(turn.source) != NULL) {
        conclude(t, &turn, r);
    } else {
        vowi_store_result(s, turn.source, r);
        vowi_store_relaxed(&s->word, VOWI_CLAIMED | VOWI_SETTLED);
        vowi_store_relaxed(&s->refs, vowi_load_relaxed(&s->refs) - VOWI_HOLD);
        vowi_consumer_unref(t, turn.source);
    }
    vowi_leave(t, turn.outermost);
    return vowi_future(s);
}

static inline vow_future *
attach(struct vowi_step *step, call_fn *fn)
{
    struct vowi_thread *t = vowi_self();

    if (step == NULL)
        return NULL;
    if (step->hook.on == NULL && t->depth == 0 && vowi_settled(step->hook.source))
        return run_at_once(t, step, fn);
    attach_or_deliver(t, &step->hook);
    return vowi_future(&step->state);
}

vow_future *
vow_then(vow_future *f, vow_executor *on, vow_then_fn *fn, vow_value ctx)
{
    struct vowi_step *step;

    if (f == NULL) {
        vow_value_drop(ctx);
        return NULL;
    }
    step = step_new(vowi_self(), sizeof *step, f, on, run_then, ctx,
                    __builtin_return_address(0));
    if (step != NULL)
        step->hook.fn.then = fn;
    return attach(step, call_then);
}

vow_future *
vow_catch(vow_future *f, vow_executor *on, vow_catch_fn *fn, vow_value ctx)
{
    struct vowi_step *step = step_new(vowi_self(), sizeof *step, f, on, run_catch, ctx,
                                      __builtin_return_address(0));

    if (step != NULL)
        step->hook.fn.catch = fn;
    return attach(step, call_catch);
}

vow_future *
vow_catch_if(vow_future *f, int code, vow_executor *on, vow_catch_fn *fn, vow_value ctx)
{
    struct vowi_step *step = step_new(vowi_self(), sizeof(struct vowi_step_if), f, on,
                                      run_catch_if, ctx, __builtin_return_address(0));

    if (step != NULL) {
        vowi_container_of(step, struct vowi_step_if, step)->code = code;
        step->hook.fn.catch = fn;
    }
    return attach(step, call_catch);
}

vow_future *
vow_handle(vow_future *f, vow_executor *on, vow_handle_fn *fn, vow_value ctx)
{
    struct vowi_step *step = step_new(vowi_self(), sizeof *step, f, on, run_handle, ctx,
                                      __builtin_return_address(0));

    if (step != NULL)
        step->hook.fn.handle = fn;
    return attach(step, call_handle);
}

vow_future *
vow_finally(vow_future *f, vow_executor *on, vow_fn *fn, vow_value ctx)
{
    struct vowi_step *step = step_new(vowi_self(), sizeof *step, f, on, run_finally, ctx,
                                      __builtin_return_address(0));

    if (step != NULL)
        step->hook.fn.finally = fn;
    return attach(step, call_finally);
}

bool
vow_on_settled(vow_future *f, vow_executor *on, vow_settled_fn *fn, vow_value ctx)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_watch *w = vowi_alloc_on(t, sizeof *w);

    if (w == NULL) {
        vow_unref(f);
        vow_value_drop(ctx);
        return false;
    }
    hook_init(t, &w->hook, f, on, run_settled);
    w->hook.fn.settled = fn;
    w->ctx = ctx;
    attach_or_deliver(t, &w->hook);
    return true;
}
