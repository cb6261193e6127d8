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

/* A step or a watch on the move. */
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
call(enum vowi_step_kind kind, const struct vowi_hook *hook, void *ctx, vow_result *r)
{
    switch (kind) {
    case VOWI_THEN:
        *r = hook->fn.then(lent_value(hook->source), ctx);
        break;
    case VOWI_CATCH:
    case VOWI_CATCH_IF:
        *r = hook->fn.catch(vowi_view(hook->source).error, ctx);
        break;
    case VOWI_HANDLE:
        *r = hook->fn.handle(vowi_view(hook->source), ctx);
        break;
    case VOWI_FINALLY:
        hook->fn.finally(ctx);
        *r = vow_forward();
        break;
    case VOWI_WATCH:
        hook->fn.settled(vowi_view(hook->source), ctx);
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

static inline void
release(struct vowi_thread *t, struct vow_state *source, bool held)
{
    vowi_release_last(t, source, held ? VOWI_CONSUMER + VOWI_HOLD : VOWI_CONSUMER);
}

static void
release_source(struct vowi_thread *t, const struct turn *turn)
{
    release(t, turn->source, turn->held);
}

/* Until its function has returned the context of a step lies in its outcome. */
static struct turn
turn_of(struct vowi_step *step)
{
    struct turn turn = {&step->hook, &step->state, step->hook.source,
                        step->state.outcome.as.value,
                        step->hook.as.node.as.queued.held != 0};

    vowi_set_value(&step->state, VOW_NIL);
    return turn;
}

static struct turn
turn_of_watch(struct vowi_watch *w)
{
    return (struct turn){&w->hook, NULL, w->hook.source, w->ctx,
                         w->hook.as.node.as.queued.held != 0};
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

/* pthread_exit inside a function: what would have come after it. */
static void
exit_in(struct turn *turn)
{
    struct vowi_thread *t = vowi_frame_exited();
    vow_result r;

    vowi_forget_stolen(t, &turn->hook->as.task);
    drop_ctx(turn);
    r = vow_err(turn->s != NULL ? vowi_thread_exit_error() : NULL);
    conclude(t, turn, &r, true);
    vowi_leave_exiting(t);
}

static void
thread_exits_in_step(void *step)
{
    struct turn turn = turn_of(step);

    exit_in(&turn);
}

static void
thread_exits_in_watch(void *watch)
{
    struct turn turn = turn_of_watch(watch);

    exit_in(&turn);
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

/* Its context has been dropped. */
static void
pass_on(struct vowi_thread *t, struct turn *turn, int why, bool exits)
{
    vow_result r;

    if (why == VOWI_ABANDONED) {
        abandon(t, turn);
    } else {
        r = not_run(turn, why);
        conclude(t, turn, &r, exits);
    }
}

struct passing {
    struct turn *turn;
    int why;
};

static void
thread_exits_in_passing(void *arg)
{
    struct passing *p = arg;
    struct vowi_thread *t = vowi_self();

    pass_on(t, p->turn, p->why, true);
    vowi_leave_exiting(t);
}

/* Without its function, or after that of a watch. */
static void
pass_turn(struct vowi_thread *t, struct turn *turn, int why)
{
    struct passing p = {turn, why};

    if (turn->ctx.drop != NULL)
        VOWI_DROP(turn->ctx, thread_exits_in_passing, &p);
    pass_on(t, turn, why, false);
}

/* It does not run. */
VOWI_NOINLINE static void
skip(struct vowi_thread *t, struct vowi_step *step, int why)
{
    struct turn turn = turn_of(step);

    vowi_forget_stolen(t, &step->hook.as.task);
    pass_turn(t, &turn, why);
}

/* It was cancelled, and the canceller let go of the source. */
VOWI_NOINLINE static void
leave_cancelled(struct vowi_thread *t, struct vowi_step *step)
{
    vowi_forget_stolen(t, &step->hook.as.task);
    if (step->hook.as.node.as.queued.held)
        vowi_hold_release(t, step->hook.source);
    vowi_hold_release(t, &step->state);
}

static inline void
call_guarded(struct vowi_thread *t, enum vowi_step_kind kind, struct vowi_step *step,
             vow_result *r)
{
    struct vowi_frame frame;

    VOWI_USER_CODE(t, frame, &step->state,
                   call(kind, &step->hook, step->state.outcome.as.value.as.ptr, r),
                   thread_exits_in_step, step);
}

struct dropping {
    struct vowi_step *step;
    const vow_result *r;
};

static void
thread_exits_in_drop(void *arg)
{
    struct dropping *d = arg;
    struct vowi_thread *t = vowi_self();
    struct turn turn = turn_of(d->step);

    conclude(t, &turn, d->r, true);
    vowi_leave_exiting(t);
}

VOWI_NOINLINE static void
drop_owned_ctx(struct vowi_step *step, const vow_result *r)
{
    struct dropping d = {step, r};
    vow_value ctx = step->state.outcome.as.value;

    vowi_set_value(&step->state, VOW_NIL);
    VOWI_DROP(ctx, thread_exits_in_drop, &d);
}

/* Its function has returned. */
static inline void
drop_ctx_of(struct vowi_step *step, const vow_result *r)
{
    if (vowi_unlikely(step->state.outcome.as.value.drop != NULL))
        drop_owned_ctx(step, r);
}

/* After that: there is no drop, which is a store less. */
static inline void
set_plain(struct vow_state *s, uint64_t v)
{
    s->outcome.as.value.as.u64 = v;
}

VOWI_NOINLINE static void
conclude_any(struct vowi_thread *t, struct vowi_step *step, const vow_result *r)
{
    struct turn turn = turn_of(step);

    conclude(t, &turn, r, false);
}

VOWI_INLINE void
run_function(struct vowi_thread *t, struct vowi_step *step, enum vowi_step_kind kind)
{
    vow_result r;

    call_guarded(t, kind, step, &r);
    vowi_forget_stolen(t, &step->hook.as.task);
    drop_ctx_of(step, &r);
    conclude_any(t, step, &r);
}

VOWI_INLINE void
run_step(vow_task *task, int why, enum vowi_step_kind kind)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_step *step = vowi_container_of(task, struct vowi_step, hook.as.task);
    bool outermost = vowi_enter(t);

    if (!vowi_claim(&step->state))
        leave_cancelled(t, step);
    else if (why != 0 || is_skipped(kind, &step->hook))
        skip(t, step, why);
    else
        run_function(t, step, kind);
    vowi_leave(t, outermost);
}

/* ---- what most are ------------------------------------------------------------------- */

/* Calls a then with the value of its source, which nobody has to free. */
static inline void
call_plain(struct vowi_thread *t, struct vowi_step *step, vow_then_fn *fn,
           struct vow_state *source, void *ctx, vow_result *r)
{
    vow_value in = vow_u64(source->outcome.as.value.as.u64);
    struct vowi_frame frame;

    VOWI_USER_CODE(t, frame, &step->state, *r = fn(in, ctx), thread_exits_in_step, step);
    drop_ctx_of(step, r);
}

/* Whether a result is a value that nobody has to free, and not a mark either. */
static inline bool
is_plain(const vow_result *r)
{
    return ((uintptr_t)r->follow | (uintptr_t)r->error | (uintptr_t)r->value.drop) == 0;
}

/* A node that is an inline then, and all that hung there. */
static inline bool
is_sole_then(struct vowi_node *n)
{
    return n != NULL && n->next == NULL && n->run == vowi_run_then &&
           vowi_is_plain_step(
               &vowi_container_of(n, struct vowi_step, hook.as.node)->state);
}

/* As vowi_settle_held does. relaxed: a record is installed before, or under the lock bit
 * that publishing waited for. */
static inline void
settle_plain(struct vowi_thread *t, struct vow_state *s, uint64_t v)
{
    struct vowi_node *n;

    set_plain(s, v);
    n = vowi_publish(s, 0);
    if (vowi_likely(is_sole_then(n) &&
                    (vowi_load_relaxed(&s->refs) & VOWI_HAS_RECORD) == 0)) {
        vowi_node_clear(n); /* it is a task again, and takes the hold */
        n->as.queued.held = 1;
        vowi_later(t, n);
    } else {
        vowi_settle_returned(t, s, n);
    }
}

/* A then whose source has a value that nobody has to free. */
static inline void
run_plain(struct vowi_thread *t, struct vowi_step *step, struct vow_state *source)
{
    vow_result r;

    call_plain(t, step, step->hook.fn.then, source, step->state.outcome.as.value.as.ptr,
               &r);
    vowi_forget_stolen(t, &step->hook.as.task);
    if (vowi_likely(is_plain(&r))) {
        bool held = step->hook.as.node.as.queued.held != 0;

        settle_plain(t, &step->state, r.value.as.u64);
        release(t, source, held);
    } else {
        conclude_any(t, step, &r);
    }
}

VOWI_NOINLINE static void
run_any(struct vowi_thread *t, struct vowi_step *step, int why)
{
    if (why != 0 || is_skipped(VOWI_THEN, &step->hook))
        skip(t, step, why);
    else
        run_function(t, step, VOWI_THEN);
}

void
vowi_run_then(vow_task *task, int why)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_step *step = vowi_container_of(task, struct vowi_step, hook.as.task);
    bool outermost = vowi_enter(t);

    if (vowi_unlikely(!vowi_claim(&step->state)))
        leave_cancelled(t, step);
    else if (vowi_likely(why == 0 && step->hook.source->outcome.as.other.kind == NULL))
        run_plain(t, step, step->hook.source);
    else
        run_any(t, step, why);
    vowi_leave(t, outermost);
}

/* ---- the other kinds ------------------------------------------------------------------ */

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

static void
call_watch(struct vowi_thread *t, struct vowi_watch *w)
{
    struct vowi_frame frame;
    vow_result none;

    VOWI_BARE_CODE(t, frame, NULL, call(VOWI_WATCH, &w->hook, w->ctx.as.ptr, &none),
                   thread_exits_in_watch, w);
}

void
vowi_run_watch(vow_task *task, int why)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_watch *w = vowi_container_of(task, struct vowi_watch, hook.as.task);
    bool outermost = vowi_enter(t);
    struct turn turn = turn_of_watch(w);

    if (why == 0)
        call_watch(t, w);
    vowi_forget_stolen(t, task);
    pass_turn(t, &turn, why);
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

void
vowi_deliver_now(struct vowi_thread *t, struct vowi_hook *hook)
{
    bool outermost = vowi_enter(t);

    hook->as.node.next = NULL;
    vowi_deliver(t, &hook->as.node, 0);
    vowi_leave(t, outermost);
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

/* A step that has run at once. */
VOWI_NOINLINE static void
conclude_at_once(struct vowi_thread *t, struct vowi_step *step, const vow_result *r)
{
    struct turn turn = turn_of(step);

    if (r->follow == NULL && r->error == NULL && vowi_error_in(turn.source) == NULL)
        settle_unknown(t, &turn, r);
    else
        conclude(t, &turn, r, false);
}

void
vowi_step_at_once(struct vowi_thread *t, struct vowi_step *step, enum vowi_step_kind kind)
{
    bool outermost = vowi_enter(t);
    vow_result r;

    vowi_store_relaxed(&step->state.word, VOWI_CLAIMED); /* relaxed: see settle_unknown */
    if (is_skipped(kind, &step->hook))
        r = vow_forward();
    else
        call_guarded(t, kind, step, &r);
    drop_ctx_of(step, &r);
    conclude_at_once(t, step, &r);
    vowi_leave(t, outermost);
}

/* Its node hangs nowhere and waits for nothing. */
static inline void
init_running(struct vowi_step *step, struct vow_state *source, vow_value ctx, void *site)
{
    step->hook.source = source;
    vowi_node_clear(&step->hook.as.node);
    atomic_init(&step->state.word, VOWI_CLAIMED);
    atomic_init(&step->state.refs, VOWI_CONSUMER | VOWI_HOLD | VOWI_ASKED | VOWI_STEP);
    vowi_set_value(&step->state, ctx);
    step->state.extra = site;
}

/* As settle_unknown does. */
static inline void
then_at_once(struct vowi_thread *t, struct vowi_step *step, vow_then_fn *fn,
             struct vow_state *source, void *ctx)
{
    struct vow_state *s = &step->state;
    vow_result r;

    t->depth = 1;
    call_plain(t, step, fn, source, ctx, &r);
    if (vowi_likely(is_plain(&r))) {
        set_plain(s, r.value.as.u64);
        vowi_store_relaxed(&s->word, VOWI_CLAIMED | VOWI_SETTLED);
        vowi_store_relaxed(&s->refs, vowi_load_relaxed(&s->refs) - VOWI_HOLD);
        vowi_consumer_unref(t, source);
    } else {
        conclude_at_once(t, step, &r);
    }
    vowi_leave(t, true);
}

vow_future *
vowi_then_on_plain(struct vow_state *source, void *site, vow_then_fn *fn, vow_value ctx)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_step *step;

    if (t->depth != 0 || (step = vowi_alloc_at_hand(t, sizeof *step)) == NULL)
        return vowi_then_later(vowi_future(source), NULL, fn, ctx, site);
    init_running(step, source, ctx, site);
    then_at_once(t, step, fn, source, ctx.as.ptr);
    return vowi_future(&step->state);
}
