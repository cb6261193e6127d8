/* SPDX-License-Identifier: MIT */
/*
 * core/step.c - steps: what hangs on a future and makes another one.
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
#include "core/step.h"

#include "base/mem.h"
#include "core/block.h"
#include "core/executor.h"
#include "core/frame.h"
#include "core/refs.h"
#include "core/result.h"
#include "core/settle.h"
#include "core/trampoline.h"
#include "core/word.h"

/* A step on the move: what run needs, and the clean-up handler if it must. */
struct turn {
    struct vowi_hook *hook;
    struct vow_state *s; /* of the result; NULL for a watch */
    struct vow_state *source;
    vow_value ctx;
    bool held; /* a hold of the source came with the step */
};

/* ---- the kinds -------------------------------------------------------------------- */

/* What a step is lent of a source that has a value. */
static inline vow_value
lent_value(struct vow_state *source)
{
    vow_value in;

    in.as.u64 = vowi_root(source)->outcome.as.value.as.u64;
    in.drop = NULL;
    return in;
}

/* Calls the user's function. A kind that is a constant, as here and below it nearly
 * always is, leaves one line of each switch. */
static inline void
call(enum vowi_step_kind kind, const struct turn *turn, vow_result *r)
{
    const struct vowi_hook *hook = turn->hook;
    void *ctx = turn->ctx.as.ptr;

    switch (kind) {
    case VOWI_THEN:
        *r = hook->fn.then(lent_value(turn->source), ctx);
        break;
    case VOWI_CATCH:
    case VOWI_CATCH_IF:
        *r = hook->fn.catch(vowi_view(turn->source).error, ctx);
        break;
    case VOWI_HANDLE:
        *r = hook->fn.handle(vowi_view(turn->source), ctx);
        break;
    case VOWI_FINALLY:
        hook->fn.finally(ctx);
        *r = vow_forward();
        break;
    case VOWI_WATCH:
        hook->fn.settled(vowi_view(turn->source), ctx);
        *r = vow_ok(VOW_NIL);
        break;
    case VOWI_PASS:
    case VOWI_SHIELD:
    default: /* never: these are skipped */
        *r = vow_forward();
    }
}

/* Whether a step's function has nothing to do with how its source settled. */
static inline bool
is_skipped(enum vowi_step_kind kind, struct vowi_hook *hook)
{
    const vow_error *error = vowi_error_in(hook->source);

    switch (kind) {
    case VOWI_THEN:
        return error != NULL;
    case VOWI_CATCH:
        return error == NULL;
    case VOWI_CATCH_IF:
        return !vow_error_is(
            error, vowi_container_of(hook, struct vowi_step_on, step.hook)->code);
    case VOWI_PASS:
    case VOWI_SHIELD:
        return true;
    case VOWI_HANDLE:
    case VOWI_FINALLY:
    case VOWI_WATCH:
        break;
    }
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

/*
 * Settles the step's result, its context having been dropped. That is the last but to
 * let go of the source, where a value that somebody has to free may run user code: it
 * may wait for the step that is posted now, and then others must know of that. So must
 * they if this thread ends.
 */
static inline void
conclude(struct vowi_thread *t, struct turn *turn, const vow_result *r, bool exits)
{
    if (turn->s != NULL) {
        t->returning = !exits && turn->source->outcome.as.other.kind == NULL;
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
    vow_result r;

    vowi_forget_stolen(t, &turn->hook->as.task);
    drop_ctx(turn);
    r = vow_err(turn->s != NULL ? vowi_thread_exit_error() : NULL);
    conclude(t, turn, &r, true);
    vowi_leave_exiting(t);
}

static inline void
call_guarded(struct vowi_thread *t, enum vowi_step_kind kind, struct turn *turn,
             vow_result *r)
{
    struct vowi_frame frame;

    VOWI_USER_CODE(t, frame, turn->s, call(kind, turn, r), thread_exits_in_step, turn);
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

static void
pass_turn(struct vowi_thread *t, struct turn *turn, int why)
{
    vow_result r;

    drop_ctx(turn);
    if (why == VOWI_ABANDONED) {
        abandon(t, turn);
    } else {
        r = not_run(turn, why);
        conclude(t, turn, &r, false);
    }
}

static inline void
take_turn(struct vowi_thread *t, enum vowi_step_kind kind, struct turn *turn, int why)
{
    vow_result r;

    if (why != 0 || is_skipped(kind, turn->hook)) {
        vowi_forget_stolen(t, &turn->hook->as.task);
        pass_turn(t, turn, why);
        return;
    }
    call_guarded(t, kind, turn, &r);
    vowi_forget_stolen(t, &turn->hook->as.task);
    drop_ctx(turn);
    conclude(t, turn, &r, false);
}

VOWI_INLINE void
run_step(vow_task *task, int why, enum vowi_step_kind kind)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_step *step = vowi_container_of(task, struct vowi_step, hook.as.task);
    bool outermost = vowi_enter(t);

    if (vowi_claim(&step->state)) {
        struct turn turn = {&step->hook, &step->state, step->hook.source,
                            step->state.outcome.as.value,
                            step->hook.as.node.as.queued.held != 0};

        vowi_set_value(&step->state, VOW_NIL);
        take_turn(t, kind, &turn, why);
    } else { /* it was cancelled, and the canceller let go of the source */
        vowi_forget_stolen(t, task);
        if (step->hook.as.node.as.queued.held)
            vowi_hold_release(t, step->hook.source);
        vowi_hold_release(t, &step->state);
    }
    vowi_leave(t, outermost);
}

void
vowi_run_then(vow_task *task, int why)
{
    run_step(task, why, VOWI_THEN);
}

static void
run_catch(vow_task *task, int why)
{
    run_step(task, why, VOWI_CATCH);
}

static void
run_catch_if(vow_task *task, int why)
{
    run_step(task, why, VOWI_CATCH_IF);
}

static void
run_handle(vow_task *task, int why)
{
    run_step(task, why, VOWI_HANDLE);
}

static void
run_finally(vow_task *task, int why)
{
    run_step(task, why, VOWI_FINALLY);
}

static void
run_pass(vow_task *task, int why)
{
    run_step(task, why, VOWI_PASS);
}

static void
run_shield(vow_task *task, int why)
{
    run_step(task, why, VOWI_SHIELD);
}

void
vowi_run_watch(vow_task *task, int why)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_watch *w = vowi_container_of(task, struct vowi_watch, hook.as.task);
    bool outermost = vowi_enter(t);
    struct turn turn = {&w->hook, NULL, w->hook.source, w->ctx,
                        w->hook.as.node.as.queued.held != 0};

    take_turn(t, VOWI_WATCH, &turn, why);
    vowi_leave(t, outermost);
}

/* ---- the kinds, in a row --------------------------------------------------------------- */

vowi_run_fn *const vowi_hook_runs[] = {
    [VOWI_THEN] = vowi_run_then,    [VOWI_CATCH] = run_catch,
    [VOWI_CATCH_IF] = run_catch_if, [VOWI_HANDLE] = run_handle,
    [VOWI_FINALLY] = run_finally,   [VOWI_WATCH] = vowi_run_watch,
    [VOWI_PASS] = run_pass,         [VOWI_SHIELD] = run_shield,
};

#define KINDS (sizeof vowi_hook_runs / sizeof *vowi_hook_runs)

unsigned char
vowi_hook_index(const struct vowi_node *n)
{
    unsigned char i = 0;

    while (i < KINDS && vowi_hook_runs[i] != n->run)
        i++;
    return i;
}

vowi_run_fn *
vowi_hook_run(unsigned char index)
{
    return vowi_hook_runs[index];
}

bool
vowi_is_other_hook(const struct vowi_node *n)
{
    return vowi_hook_index(n) < KINDS;
}

bool
vowi_is_shield(const struct vowi_node *n)
{
    return n->run == run_shield;
}

/* ---- delivering ----------------------------------------------------------------------- */

static void
run_here(struct vowi_thread *t, struct vowi_node *n, int why)
{
    n->as.queued.why = why;
    vowi_later(t, n);
}

static struct vowi_hook *
hook_of(struct vowi_node *n)
{
    return vowi_container_of(n, struct vowi_hook, as.node);
}

static enum vowi_step_kind
kind_of(const struct vowi_node *n)
{
    return (enum vowi_step_kind)vowi_hook_index(n);
}

/* Most are a then. */
static bool
has_no_part(const struct vowi_node *n, struct vowi_hook *hook)
{
    return n->run == vowi_run_then ? is_skipped(VOWI_THEN, hook)
                                   : is_skipped(kind_of(n), hook);
}

/* Of one that is no plain step. relaxed: see struct vowi_step_on. */
static inline vow_executor *
place(struct vowi_hook *hook)
{
    if (hook->as.node.run == vowi_run_watch)
        return vowi_container_of(hook, struct vowi_watch, hook)->on;
    return vowi_load_relaxed(
        &vowi_container_of(hook, struct vowi_step_on, step.hook)->on);
}

/* It runs here: what has been its place is not even a name any more. */
static void
run_here_instead(struct vowi_thread *t, struct vowi_node *n, int why)
{
    struct vowi_hook *hook = hook_of(n);

    if (n->run != vowi_run_watch)
        vowi_store_relaxed(&vowi_container_of(hook, struct vowi_step_on, step.hook)->on,
                           NULL);
    run_here(t, n, why);
}

void
vowi_deliver_elsewhere(struct vowi_thread *t, struct vowi_node *n, int why)
{
    struct vowi_hook *hook = hook_of(n);
    vow_executor *on = place(hook);

    if (on == NULL) {
        run_here(t, n, why);
        return;
    }
    if (why != 0 || has_no_part(n, hook)) {
        run_here_instead(t, n, why);
    } else {
        n->as.queued.flags = VOW_TASK_STEP;
        why = on->ops->post(on, &hook->as.task);
        if (why != 0)
            run_here_instead(t, n, why);
    }
    vowi_executor_release(t, on);
}

/* ---- attaching ------------------------------------------------------------------------ */

VOWI_NOINLINE static void
deliver_now(struct vowi_thread *t, struct vowi_hook *hook)
{
    bool outermost = vowi_enter(t);

    vowi_deliver(t, &hook->as.node, 0);
    vowi_leave(t, outermost);
}

void
vowi_hook_attach(struct vowi_thread *t, struct vowi_hook *hook)
{
    if (!vowi_attach(hook->source, &hook->as.node))
        deliver_now(t, hook);
}

/*
 * An inline step on a settled source, with nothing running on this stack. relaxed:
 * until the function has returned nobody else knows the state; and a result that
 * follows another makes it an ordinary one first.
 */
static inline void
settle_unknown(struct vowi_thread *t, struct turn *turn, const vow_result *r)
{
    struct vow_state *s = turn->s;
    uint64_t refs = vowi_load_relaxed(&s->refs) - VOWI_HOLD;

    vowi_store_result(s, turn->source, r->value, NULL);
    if (vowi_unlikely(vowi_error_in(s) != NULL)) /* of a mark that is no step's */
        refs |= VOWI_REJECTED;
    vowi_store_relaxed(&s->word, VOWI_CLAIMED | VOWI_SETTLED);
    vowi_store_relaxed(&s->refs, refs);
    vowi_consumer_unref(t, turn->source);
}

VOWI_INLINE void
run_at_once(struct vowi_thread *t, struct vowi_step *step, vow_value ctx,
            enum vowi_step_kind kind)
{
    struct vow_state *s = &step->state;
    struct turn turn = {&step->hook, s, step->hook.source, ctx, false};
    bool outermost = vowi_enter(t);
    vow_result r;

    vowi_store_relaxed(&s->word, VOWI_CLAIMED); /* relaxed: see settle_unknown */
    vowi_set_value(s, VOW_NIL);
    if (is_skipped(kind, turn.hook))
        r = vow_forward();
    else
        call_guarded(t, kind, &turn, &r);
    drop_ctx(&turn);
    if (r.follow == NULL && r.error == NULL && vowi_error_in(turn.source) == NULL)
        settle_unknown(t, &turn, &r);
    else
        conclude(t, &turn, &r, false);
    vowi_leave(t, outermost);
}

/* Not in line: those that only attach would save registers for it. */
VOWI_NOINLINE static void
then_at_once(struct vowi_thread *t, struct vowi_step *step, vow_value ctx)
{
    run_at_once(t, step, ctx, VOWI_THEN);
}

VOWI_NOINLINE static void
other_at_once(struct vowi_thread *t, struct vowi_step *step, vow_value ctx,
              enum vowi_step_kind kind)
{
    run_at_once(t, step, ctx, kind);
}

void
vowi_step_at_once(struct vowi_thread *t, struct vowi_step *step, vow_value ctx,
                  enum vowi_step_kind kind)
{
    if (kind == VOWI_THEN)
        then_at_once(t, step, ctx);
    else
        other_at_once(t, step, ctx, kind);
}
