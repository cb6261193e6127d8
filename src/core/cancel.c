/* SPDX-License-Identifier: MIT */
/*
 * core/cancel.c - asking the work behind a future to stop.
 *
 * A request settles what has not started, and travels upstream: from a step to its
 * source if the step was the last that wanted it, from a follower to whom it
 * follows. It ends at what runs already, at what others want as well, or at a
 * promise, whose hook it calls.
 *
 * Of a request and a settle of one promise, STOPPING says who has its hook: the
 * first to set it [hook]. That is all it says, and relaxed: what the hook is lies under
 * the lock bit.
 */
#include "core/cancel.h"

#include "base/error.h"
#include "base/mem.h"
#include "core/arrive.h"
#include "core/bound.h"
#include "core/delay.h"
#include "core/executor.h"
#include "core/follow.h"
#include "core/frame.h"
#include "core/join.h"
#include "core/refs.h"
#include "core/settle.h"
#include "core/step.h"
#include "core/trampoline.h"
#include "core/word.h"

/* ---- records ---------------------------------------------------------------------------- */

struct vow_registration *
vowi_record_new(const char *name, const void *site)
{
    static const struct vow_registration empty;
    struct vow_registration *r = vowi_alloc(sizeof *r);

    if (r == NULL)
        return NULL;
    *r = empty;
    r->name = name;
    r->site = site;
    return r;
}

static void
record_free(struct vowi_thread *t, struct vow_registration *r, bool with_hook)
{
    vow_executor *on = with_hook ? r->on : NULL;
    vow_value ctx = with_hook ? r->ctx : VOW_NIL;
    vow_error *reason = r->reason;
    struct vow_token *own =
        vowi_load_relaxed(&r->own); /* relaxed: nobody asks any more */

    vowi_free_on(t, r, sizeof *r);
    vowi_executor_release(t, on);
    vow_value_drop(ctx);
    vow_error_unref(reason);
    vow_token_unref(own);
}

void
vowi_record_free(struct vowi_thread *t, struct vow_state *s)
{
    record_free(t, s->extra, vowi_kind(s) == VOWI_BARE);
}

/* ---- the hook of a promise ---------------------------------------------------------------- */

/*
 * How far a hook has come, under the lock bit: there is none, or not any more, `cancel` is
 * NULL; it waits; it was asked for, there is a `reason`; it has run.
 */
static void
has_run(vow_promise *p, const vow_error *reason, void *ctx)
{
    (void)p;
    (void)reason;
    (void)ctx;
}

/* Under the lock bit of an undecided state. Returns false if it has a hook. */
static bool
install(struct vow_state *s, struct vow_registration *fresh)
{
    uint64_t refs = vowi_load_relaxed(&s->refs); /* relaxed: under the lock bit [hook] */
    struct vow_registration *r = s->extra;

    if (refs & VOWI_STOPPING)
        return false;
    if ((refs & VOWI_HAS_RECORD) == 0) {
        fresh->site = s->extra;
        s->extra = fresh;
        vowi_or_relaxed(&s->refs, VOWI_HAS_RECORD); /* relaxed: likewise */
        return true;
    }
    if (r->cancel != NULL)
        return false;
    r->as.task.run = fresh->as.task.run;
    r->on = fresh->on;
    r->cancel = fresh->cancel;
    r->ctx = fresh->ctx;
    r->state = s;
    fresh->on = NULL;
    fresh->ctx = VOW_NIL;
    return true;
}

static void run_hook(vow_task *task, int why);

vow_registration *
vow_promise_on_cancel(vow_promise *p, vow_executor *on, vow_cancel_fn *fn, vow_value ctx)
{
    struct vowi_thread *t = vowi_self();
    struct vow_state *s = vowi_promise_state(p);
    struct vow_registration *fresh = p != NULL ? vowi_record_new(NULL, NULL) : NULL;
    struct vow_registration *installed = NULL;

    if (fresh == NULL) {
        vow_value_drop(ctx);
        return NULL;
    }
    fresh->as.task.run = run_hook;
    fresh->on = vowi_executor_hold(t, on);
    fresh->cancel = fn;
    fresh->ctx = ctx;
    fresh->state = s;
    if ((vowi_lock_word(s) & VOWI_CLAIMED) == 0 && install(s, fresh))
        installed = s->extra;
    vowi_unlock_word(s);
    if (installed != fresh)
        record_free(t, fresh, true);
    return installed;
}

struct ending {
    struct vow_state *s;
    vow_cancel_fn *stage;
};

static void
context_is_gone(void *ending)
{
    const struct ending *e = ending;
    struct vow_registration *r = e->s->extra;

    vowi_lock_word(e->s);
    r->cancel = e->stage;
    vowi_unlock_word(e->s);
}

/* How far it has come once its context is dropped, and not before. */
static void
end_hook(struct vow_state *s, vow_cancel_fn *stage)
{
    struct ending e = {s, stage};
    struct vow_registration *r = s->extra;
    vow_value ctx;

    vowi_lock_word(s);
    ctx = r->ctx;
    r->ctx = VOW_NIL;
    if (ctx.drop == NULL)
        r->cancel = stage;
    vowi_unlock_word(s);
    if (ctx.drop == NULL)
        return;
    pthread_cleanup_push(context_is_gone, &e);
    vow_value_drop(ctx);
    pthread_cleanup_pop(1);
}

/* By whoever has the hook [hook], once; a remove may have been faster. */
void
vowi_hook_drop(struct vow_state *s)
{
    end_hook(s, NULL);
}

static void
thread_exits_in_hooks_drop(void *state)
{
    vow_promise_unref(vowi_promise(state));
    vowi_leave_exiting(vowi_self());
}

static void
hook_is_done(struct vow_registration *r, vow_cancel_fn *stage)
{
    struct vow_state *s = r->state;

    pthread_cleanup_push(thread_exits_in_hooks_drop, s);
    end_hook(s, stage);
    pthread_cleanup_pop(0);
    vow_promise_unref(vowi_promise(s)); /* may free r */
}

static void
thread_exits_in_hook(void *arg)
{
    struct vowi_thread *t = vowi_frame_exited();

    hook_is_done(arg, has_run);
    vowi_leave_exiting(t);
}

static void
run_hook(vow_task *task, int why)
{
    struct vowi_thread *t = vowi_self();
    union vowi_task *as = vowi_container_of(task, union vowi_task, task);
    struct vow_registration *r = vowi_container_of(as, struct vow_registration, as);
    bool outermost = vowi_enter(t);
    vow_cancel_fn *stage = NULL;

    if (why != 0) {
        vow_promise_reject(vowi_promise(r->state), vow_error_ref(r->reason));
    } else if (!vowi_settled(r->state)) {
        struct vowi_frame frame;

        VOWI_BARE_CODE(t, frame, NULL,
                       r->cancel(vowi_promise(r->state), r->reason, r->ctx.as.ptr),
                       thread_exits_in_hook, r);
        stage = has_run;
    }
    hook_is_done(r, stage);
    vowi_leave(t, outermost);
}

/* Takes a promise reference unless the last one has gone. relaxed: the caller has a
 * reference, and with it an order. */
static bool
promise_ref_if_any(struct vow_state *s)
{
    uint64_t refs = vowi_load_relaxed(&s->refs);

    do {
        if ((refs & VOWI_PROMISES) == 0)
            return false;
    } while (!vowi_cas_relaxed(&s->refs, &refs, refs + VOWI_PROMISE));
    return true;
}

/* By whoever has the hook, to call it for a reason; NULL: there is none, and no reason is
 * needed. And the state's word. */
static struct vow_registration *
hook_for(struct vow_state *s, const vow_error *error, uintptr_t *word)
{
    struct vow_registration *r = NULL;

    *word = vowi_lock_word(s);
    /* relaxed: ordered by the lock bit */
    if (vowi_load_relaxed(&s->refs) & VOWI_HAS_RECORD)
        r = s->extra;
    if (r != NULL && r->cancel != NULL)
        r->reason = vow_error_ref(error);
    else
        r = NULL;
    vowi_unlock_word(s);
    return r;
}

/* Under the lock bit. A hook that is set is free to take unless somebody has it [hook]. */
static vow_removal
remove_locked(struct vow_registration *r, uintptr_t word)
{
    struct vow_state *s = r->state;
    /* relaxed: [hook] is only who is first */
    bool had = (vowi_load_relaxed(&s->refs) & VOWI_STOPPING) != 0;

    if (r->cancel == has_run)
        return VOW_RAN;
    if (had && ((word & VOWI_SETTLED) == 0 || r->cancel != NULL))
        return VOW_RUNNING; /* or about to be dropped */
    r->cancel = NULL;
    return VOW_REMOVED;
}

vow_removal
vowi_hook_remove(struct vow_registration *r)
{
    struct vow_state *s = r->state;
    vow_executor *on = NULL;
    vow_value ctx = VOW_NIL;
    vow_removal removal = remove_locked(r, vowi_lock_word(s));

    if (r->cancel == NULL) {
        on = r->on;
        ctx = r->ctx;
        r->on = NULL;
        r->ctx = VOW_NIL;
    }
    vowi_unlock_word(s);
    vowi_executor_release(vowi_self(), on);
    vow_value_drop(ctx);
    return removal;
}

/* ---- one state ------------------------------------------------------------------------------- */

static void
settle_cancelled(struct vowi_thread *t, struct vow_state *s, vow_error *error)
{
    vowi_set_error(s, error);
    vowi_settle(t, s);
}

/* With a promise reference, consumed. */
static void
call_hook(struct vowi_thread *t, struct vow_registration *r)
{
    vowi_node_clear(&r->as.node);
    r->as.task.flags = VOW_TASK_STEP; /* nobody who cancels waits for room */
    if (r->on == NULL)
        vowi_later(t, &r->as.node);
    else if (r->on->ops->post(r->on, &r->as.task) != 0)
        run_hook(&r->as.task, VOW_E_CLOSED);
}

/* Settles it, unless it is claimed. Returns its word as it was. Acquires nothing: a promise
 * has no context, and whom it follows is read under the lock bit. */
static uintptr_t
stop_by_claim(struct vowi_thread *t, struct vow_state *s, const vow_error *error)
{
    uintptr_t word = vowi_or_release(&s->word, VOWI_CLAIMED); /* [claim], [stop] */

    if ((word & VOWI_CLAIMED) == 0)
        settle_cancelled(t, s, vow_error_ref(error));
    else
        vowi_tell_running(s, error);
    return word;
}

/*
 * Its last handle may go between STOPPING and the hook: then it was decided before that, by
 * somebody who leaves the hook to this request. Returns what it follows, to which the
 * request goes on. If it is only about to follow, who lets it sees STOPPING, as for a job
 * (core/follow.c) [stop].
 */
static struct vowi_visit
stop_promise(struct vowi_thread *t, struct vow_state *s, const vow_error *error)
{
    struct vow_registration *r;
    uintptr_t word;

    /* relaxed: [hook] is only who is first, and [stop] goes through the word */
    if (vowi_or_relaxed(&s->refs, VOWI_STOPPING) & VOWI_STOPPING)
        return (struct vowi_visit){NULL, 0};
    r = hook_for(s, error, &word);
    vowi_tell_own(s, error);
    if (r != NULL && promise_ref_if_any(s))
        call_hook(t, r);
    else if (r != NULL)
        vowi_hook_drop(s);
    else
        word = stop_by_claim(t, s, error);
    if ((word & (VOWI_FOLLOWING | VOWI_SETTLED)) == VOWI_FOLLOWING)
        return vowi_upstream(s);
    return (struct vowi_visit){NULL, 0};
}

/*
 * A step that was claimed to be cancelled takes its node off its source, and leaves
 * the source. Returns the source, with the step's reference, if nobody else wants it;
 * else none. Beyond a shield a request does not go.
 */
static struct vowi_visit
leave_source(struct vowi_thread *t, struct vow_state *s)
{
    struct vowi_hook *hook = &vowi_step(s)->hook;
    struct vow_state *source = hook->source;
    bool shielded = false;

    if (vowi_detach_node(source, &hook->as.node)) {
        shielded = vowi_is_shield(&hook->as.node);
        vowi_executor_release(t, vowi_place_of(s));
        vowi_hold_release(t, s);
    } /* else it is on its way, and finds itself claimed; and the source has settled */
    vowi_mark_seen(source);
    if (!shielded && vowi_consumer_leave(source))
        return (struct vowi_visit){source, VOWI_CONSUMER};
    if (shielded)
        vowi_consumer_unref(t, source);
    return (struct vowi_visit){NULL, 0};
}

/* ---- up the chain ------------------------------------------------------------------------------ */

/* A request on its way, and how far it has come. */
struct asking {
    struct vowi_visit at;
    vow_error *error;
};

static void ask_all(struct vowi_thread *t, struct asking *a);

/* Settles a job or a step that was claimed before it started, and whose context is dropped.
 * Returns the next to ask, or none. */
static struct vowi_visit
unstarted_stopped(struct vowi_thread *t, struct vow_state *s, const vow_error *error)
{
    settle_cancelled(t, s, vow_error_ref(error));
    if (vowi_is_step(s))
        return leave_source(t, s);
    vowi_delay_stopped(t, s);
    return (struct vowi_visit){NULL, 0};
}

static void
thread_exits_in_drop(void *asking)
{
    struct vowi_thread *t = vowi_self();
    struct asking *a = asking;
    struct vowi_visit next = unstarted_stopped(t, a->at.state, a->error);

    vowi_visit_end(t, a->at);
    a->at = next;
    ask_all(t, a);
    vowi_leave_exiting(t);
}

static struct vowi_visit
stop_unstarted(struct vowi_thread *t, struct asking *a)
{
    struct vow_state *s = a->at.state;

    VOWI_DROP(s->outcome.as.value, thread_exits_in_drop, a);
    return unstarted_stopped(t, s, a->error);
}

/* Claims one that does not run. One that does finds the reason as soon as the request.
 * Returns its word as it was. */
static uintptr_t
claim_or_ask(struct vow_state *s, const vow_error *error)
{
    uintptr_t word = vowi_or_acquire(&s->word, VOWI_CLAIMED); /* [claim], [turn] */

    if (word & VOWI_CLAIMED)
        vowi_keep_reason(s, error);
    vowi_or_release(&s->refs, VOWI_STOPPING);           /* [asked] */
    if (word & VOWI_CLAIMED)                            /* as it is now */
        word = vowi_or_acq_rel(&s->word, VOWI_CLAIMED); /* [claim], [stop] */
    return word;
}

/*
 * One that has not started settles here. One that runs goes on, but if it returns a
 * future the request is sent on to that: either the claim here sees that it follows,
 * or, being later, it sees STOPPING (core/follow.c) [stop].
 */
static struct vowi_visit
stop_job_or_step(struct vowi_thread *t, struct asking *a)
{
    struct vow_state *s = a->at.state;
    uintptr_t word = claim_or_ask(s, a->error);

    if ((word & VOWI_CLAIMED) == 0)
        return stop_unstarted(t, a);
    if (word & VOWI_FOLLOWING)
        return vowi_upstream(s);
    vowi_tell_running(s, a->error);
    return (struct vowi_visit){NULL, 0};
}

/* Asks one state. Returns the next to ask, or none. */
static struct vowi_visit
stop_one(struct vowi_thread *t, struct asking *a)
{
    const struct vowi_visit none = {NULL, 0};
    struct vow_state *s = a->at.state;

    if (vowi_settled(s))
        return none;
    /* relaxed: whom is read under the lock bit [lock] */
    if (vowi_load_relaxed(&s->word) & VOWI_FOLLOWING)
        return vowi_upstream(s);
    switch (vowi_kind(s)) {
    case VOWI_BARE:
        return stop_promise(t, s, a->error);
    case VOWI_JOIN:
        vowi_join_stop(t, s, a->error);
        return none;
    default:
        return stop_job_or_step(t, a);
    }
}

static void
ask_all(struct vowi_thread *t, struct asking *a)
{
    while (a->at.state != NULL) {
        struct vowi_visit next = stop_one(t, a);

        vowi_visit_end(t, a->at);
        a->at = next;
    }
    vow_error_unref(a->error);
}

void
vowi_request_stop(struct vowi_thread *t, struct vow_state *s, vow_error *error)
{
    struct asking a = {vowi_visit_begin(s), error};

    ask_all(t, &a);
}

static void
release_consumer(void *state)
{
    vowi_consumer_unref(vowi_self(), state);
}

/* Asks what nobody but the caller wants, and lets go of it. What is stopped may have a
 * context, whose drop may end the thread. */
static void
ask_and_let_go(struct vowi_thread *t, struct vow_state *s, vow_error *error)
{
    pthread_cleanup_push(release_consumer, s);
    vowi_request_stop(t, s, error);
    pthread_cleanup_pop(1);
}

void
vowi_give_up(struct vowi_thread *t, struct vow_state *s, const vow_error *error)
{
    vowi_mark_seen(s);
    if (error == NULL)
        vowi_consumer_unref(t, s);
    else if (vowi_consumer_leave(s))
        ask_and_let_go(t, s, vow_error_ref(error));
}

vow_error *
vowi_cancelled_error(vow_error *reason)
{
    if (reason == NULL)
        return vow_error_of(VOW_E_CANCELLED);
    return vowi_error_cancelled_by(reason);
}

void
vowi_future_leave(vow_future *f, vow_error *reason)
{
    struct vowi_thread *t = vowi_self();
    struct vow_state *s = vowi_state(f);
    bool outermost;

    if (f != NULL)
        vowi_mark_seen(s);
    if (f == NULL || !vowi_consumer_leave(s)) {
        vow_error_unref(reason);
        return;
    }
    outermost = vowi_enter(t);
    ask_and_let_go(t, s, vowi_cancelled_error(reason));
    vowi_leave(t, outermost);
}

void
vow_future_cancel(vow_future *f, vow_error *reason)
{
    struct vowi_thread *t = vowi_self();
    bool outermost;

    if (f == NULL) {
        vow_error_unref(reason);
        return;
    }
    outermost = vowi_enter(t);
    vowi_request_stop(t, vowi_state(f), vowi_cancelled_error(reason));
    vowi_leave(t, outermost);
}
