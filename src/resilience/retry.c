/* SPDX-License-Identifier: MIT */
/*
 * resilience/retry.c - attempts, one after another, with pauses between them.
 *
 * A call has one flow: it waits for an attempt, or for a pause, or has ended. The step
 * behind what it waits for carries it on, and is done; so nothing grows.
 *
 * A request to stop comes from anywhere. Under the lock it says so and learns what the
 * flow waits for; then it settles the future, and asks that to stop as well. Whoever
 * carries the flow on looks under the same lock before it starts anything.
 *
 * The promise is the flow's: whoever ends the flow lets go of it. The user's context is
 * counted by itself: it is in use by the flow and by each attempt whose function may
 * still run, since one that was cancelled or timed out winds down behind what follows.
 */
#include <stdio.h>
#include <string.h>

#include <vow/delayed.h>
#include <vow/retry.h>
#include <vow/timeout.h>

#include "base/mem.h"
#include "base/options.h"
#include "base/time.h"
#include "core/caller.h"
#include "core/join.h"
#include "resilience/attempts.h"
#include "resilience/backoff.h"
#include "resilience/call.h"
#include "sync/lock.h"
#include "sync/refs.h"

struct retry {
    struct vowi_refs refs;
    vow_retry_options options; /* with the defaults filled in; not written again */
    vow_executor *on;
    vow_task_fn *fn;
    vowi_attempt_fn *begin; /* not NULL: instead of fn, on `on` */

    struct vowi_refs users; /* of the context */
    vow_value ctx;

    /* Of whoever has the flow. */
    vow_promise *promise;
    struct vowi_backoff backoff;
    unsigned number; /* of the attempt */
    vow_ns started;  /* when */

    struct vowi_lock lock;
    bool stopped;        /* guarded by lock */
    vow_future *current; /* guarded by lock: what the flow waits for */
};

/* The context of the step behind that. */
struct turn {
    struct retry *r;
    bool taken; /* the step has run, and with it the flow went on */
};

/* Why there is no other attempt. */
enum verdict { AGAIN, NO_SENSE, NO_ATTEMPT, NO_END, NO_TIME, NO_BUDGET };

static const struct {
    const char *note, *message;
} verdicts[] = {
    [NO_SENSE] = {"error", "the last error is not worth another"},
    [NO_ATTEMPT] = {"attempts", "no more are allowed"},
    [NO_END] = {"error", "the wait before another would never end"},
    [NO_TIME] = {"deadline", "no time is left for another"},
    [NO_BUDGET] = {"budget", "the budget of retries is used up"},
};

static vow_ns
now_of(const struct retry *r)
{
    return vowi_now_on(r->options.clock);
}

/* ---- its end ------------------------------------------------------------------------------ */

static void
retry_unref(struct retry *r)
{
    if (!vowi_refs_drop(&r->refs))
        return;
    vow_executor_unref(r->on);
    vow_token_unref(r->options.token);
    vow_budget_unref(r->options.budget);
    vowi_lock_fini(&r->lock);
    vowi_free(r, sizeof *r);
}

static void
drop_ref(void *retry)
{
    retry_unref(retry);
}

static void
context_unref(struct retry *r)
{
    if (vowi_refs_drop(&r->users))
        vow_value_drop(r->ctx);
}

/* The context of an attempt's job goes: its function has returned, or never runs. */
static void
drop_job(void *retry)
{
    context_unref(retry);
    retry_unref(retry);
}

/* Ends the flow: settles the future, if it has not settled yet. */
static void
finish(struct retry *r, vow_result how)
{
    vow_promise *p = r->promise;

    r->promise = NULL;
    context_unref(r);
    vow_promise_resolve(p, how);
    vow_promise_unref(p);
    retry_unref(r);
}

static void
finish_with(struct retry *r, int code)
{
    finish(r, vow_err(vow_error_of(code)));
}

/* The error of more than one attempt: of the same code, with how often and why. */
static vow_error *
decorated(const struct retry *r, const vow_error *last, enum verdict why)
{
    char count[16];
    vow_error *e;

    if (r->number == 1 && why == NO_SENSE)
        return vow_error_ref(last);
    snprintf(count, sizeof count, "%u", r->number);
    e = vow_error_wrap_at(NULL, last, vow_error_code(last), "%u attempt%s failed, and %s",
                          r->number, r->number == 1 ? "" : "s", verdicts[why].message);
    e = vow_error_with(e, "attempts", count);
    return vow_error_with(e, "retry", verdicts[why].note);
}

/* ---- whether to go on --------------------------------------------------------------------- */

static bool
is_worth_it(const struct retry *r, const vow_error *error)
{
    int code = vow_error_code(error);

    if (r->options.should_retry != NULL)
        return r->options.should_retry(error, r->number, r->options.should_retry_ctx);
    if (r->options.classes != NULL)
        return vow_classify(r->options.classes, error) == VOW_CLASS_RETRY;
    return code != VOW_E_CANCELLED && code != VOW_E_OPEN && code != VOW_E_NOMEM;
}

/* When the first attempt has failed, which most do not. */
static void
init_backoff(struct retry *r)
{
    const vow_retry_options *o = &r->options;

    vowi_backoff_init(&r->backoff, o->backoff, o->jitter, o->base_delay, o->max_delay,
                      o->factor, o->seed != 0 ? o->seed : vowi_random_seed(r));
}

static vow_ns
pause_after(struct retry *r, const vow_error *error)
{
    vow_ns pause;
    vow_ns hint = vow_error_retry_after(error);

    if (r->number == 1)
        init_backoff(r);
    pause = vowi_backoff_next(&r->backoff);
    return hint > pause ? hint : pause;
}

/* The budget is asked last: it is paid only for what is made. */
static enum verdict
judge(struct retry *r, const vow_error *error, vow_ns now, vow_ns *pause)
{
    vow_ns end;

    if (!is_worth_it(r, error))
        return NO_SENSE;
    if (r->number >= r->options.max_attempts &&
        r->options.max_attempts != VOW_RETRY_FOREVER)
        return NO_ATTEMPT;
    *pause = pause_after(r, error);
    end = vowi_time_add(now, *pause);
    if (end == VOW_FOREVER)
        return NO_END;
    if (end >= r->options.deadline)
        return NO_TIME;
    return vow_budget_withdraw(r->options.budget) ? AGAIN : NO_BUDGET;
}

static void
tell(const struct retry *r, const vow_error *error, vow_ns now, bool again, vow_ns pause)
{
    vow_attempt a = {.number = r->number,
                     .error = error,
                     .took = vowi_time_sub(now, r->started),
                     .retries = again,
                     .pause = again ? pause : 0};

    if (r->options.observer != NULL)
        r->options.observer(&a, r->options.observer_ctx);
}

/* ---- the flow ----------------------------------------------------------------------------- */

static void start(struct retry *r);

/* Takes back what the flow waited for. False if the call was told to stop. */
static bool
end_wait(struct retry *r, vow_future **current)
{
    bool goes_on;

    vowi_lock_acquire(&r->lock);
    goes_on = !r->stopped;
    *current = r->current;
    r->current = NULL;
    vowi_lock_release(&r->lock);
    return goes_on;
}

/* Its step has run, or there was no memory for it, or what it waits for was abandoned. */
static void
drop_turn(void *turn)
{
    struct turn *w = turn;
    vow_future *current;

    if (!w->taken) {
        (void)end_wait(w->r, &current);
        vow_future_cancel(current, NULL);
        vow_ignore(current);
        finish_with(w->r, VOW_E_NOMEM);
    }
    vowi_free(w, sizeof *w);
}

/* Consumes the future. The flow goes on with its step. */
static void
wait_for(struct retry *r, vow_future *f, vow_settled_fn *fn)
{
    struct turn *w = vowi_alloc(sizeof *w);
    bool stopped;

    if (w == NULL) {
        vow_future_cancel(f, NULL);
        vow_ignore(f);
        finish_with(r, VOW_E_NOMEM);
        return;
    }
    w->r = r;
    w->taken = false;
    vowi_lock_acquire(&r->lock);
    stopped = r->stopped;
    r->current = vow_ref(f);
    vowi_lock_release(&r->lock);
    if (stopped)
        vow_future_cancel(f, NULL);
    vow_on_settled(f, NULL, fn, vow_own(w, drop_turn));
}

static void
pause_settled(vow_view how, void *turn)
{
    struct turn *w = turn;
    vow_future *pause;
    bool goes_on = end_wait(w->r, &pause);

    w->taken = true;
    if (goes_on && how.error == NULL)
        start(w->r);
    else if (goes_on)
        finish(w->r, vow_err(vow_error_ref(how.error)));
    else
        finish_with(w->r, VOW_E_CANCELLED);
    vow_ignore(pause);
}

static void
has_failed(struct retry *r, const vow_error *error)
{
    vow_ns now = now_of(r);
    vow_ns pause = 0;
    enum verdict verdict = judge(r, error, now, &pause);

    tell(r, error, now, verdict == AGAIN, pause);
    if (verdict != AGAIN)
        finish(r, vow_err(decorated(r, error, verdict)));
    else if (pause > 0)
        wait_for(r, vow_sleep(r->options.clock, pause), pause_settled);
    else
        start(r);
}

static void
attempt_settled(vow_view how, void *turn)
{
    struct turn *w = turn;
    struct retry *r = w->r;
    vow_future *attempt;
    bool goes_on = end_wait(r, &attempt);

    w->taken = true;
    if (!goes_on) {
        finish_with(r, VOW_E_CANCELLED);
    } else if (how.error != NULL) {
        has_failed(r, how.error);
    } else {
        tell(r, NULL, now_of(r), false, 0);
        finish(r, vow_follow(vow_ref(attempt)));
    }
    vow_ignore(attempt);
}

static vow_result
run_attempt(void *retry)
{
    struct retry *r = retry;

    return r->fn(r->ctx.as.ptr);
}

/* How long an attempt may still take: what is set for each, or what is left of all. It
 * may have run a part already, or be over. */
static vow_ns
time_for_attempt(const struct retry *r)
{
    const vow_retry_options *o = &r->options;
    vow_ns left =
        o->deadline == VOW_FOREVER ? VOW_FOREVER : vowi_time_sub(o->deadline, now_of(r));

    return o->attempt_timeout < left ? o->attempt_timeout : left;
}

/* Without memory for a timeout there is no attempt. Whoever leaves last, the timeout or
 * this, asks it to stop. */
static vow_future *
limited(struct retry *r, vow_future *f)
{
    vow_future *limited =
        vow_timeout_on(r->options.clock, vow_ref(f), time_for_attempt(r));

    vowi_future_leave(f, vow_error_of(VOW_E_TIMEDOUT));
    return limited;
}

static vow_future *
submit_attempt(struct retry *r)
{
    vowi_refs_take(&r->refs);
    vowi_refs_take(&r->users);
    return vow_submit(r->on, run_attempt, vow_own(r, drop_job));
}

static vow_future *
attempt_new(struct retry *r)
{
    vow_future *f;

    r->number++;
    if (r->options.deadline != VOW_FOREVER || r->options.observer != NULL)
        r->started = now_of(r);
    if (r->options.deadline != VOW_FOREVER && r->started >= r->options.deadline)
        return vow_rejected(vow_error_of(VOW_E_TIMEDOUT));
    f = r->begin != NULL ? r->begin(r->ctx.as.ptr) : submit_attempt(r);
    return vowi_has_value(f) ? f : limited(r, f);
}

static void
start(struct retry *r)
{
    wait_for(r, attempt_new(r), attempt_settled);
}

/* ---- stopping ----------------------------------------------------------------------------- */

static void
stop(vow_promise *p, const vow_error *reason, void *retry)
{
    struct retry *r = retry;
    vow_future *current;

    vowi_lock_acquire(&r->lock);
    r->stopped = true;
    current = vow_ref(r->current);
    vowi_lock_release(&r->lock);
    vow_promise_reject(p, vow_error_ref(reason));
    if (current != NULL)
        vow_future_cancel(current, vow_error_ref(reason));
    vow_ignore(current);
}

/* ---- beginning ---------------------------------------------------------------------------- */

static bool
fill_and_check(vow_retry_options *o)
{
    if (o->max_attempts == 0)
        o->max_attempts = 4;
    if (o->base_delay == 0)
        o->base_delay = vow_ms(100);
    if (o->max_delay == 0)
        o->max_delay = vow_seconds(20);
    if (!(o->factor < 0 || o->factor > 0))
        o->factor = 2;
    if (o->attempt_timeout == 0)
        o->attempt_timeout = VOW_FOREVER;
    if (o->deadline == 0)
        o->deadline = VOW_FOREVER;
    return o->base_delay > 0 && o->max_delay > 0 && o->factor > 0 &&
           o->attempt_timeout > 0;
}

static struct retry *
retry_new(vow_executor *on, const vow_retry_options *o, vow_task_fn *fn,
          vowi_attempt_fn *begin, vow_value ctx)
{
    struct retry *r = vowi_alloc(sizeof *r);

    if (r == NULL)
        return NULL;
    memset(r, 0, sizeof *r);
    if (vowi_lock_init(&r->lock, VOWI_RANK_RETRY) != 0) {
        vowi_free(r, sizeof *r);
        return NULL;
    }
    vowi_refs_init(&r->refs);
    vowi_refs_init(&r->users);
    r->options = *o;
    r->on = vow_executor_ref(on);
    r->fn = fn;
    r->begin = begin;
    r->ctx = ctx;
    vow_token_ref(o->token);
    vow_budget_ref(o->budget);
    return r;
}

/* The first attempt has worked at once. */
static vow_future *
end_at_once(struct retry *r, vow_future *f)
{
    tell(r, NULL, r->options.observer != NULL ? now_of(r) : 0, false, 0);
    context_unref(r);
    retry_unref(r);
    return f;
}

/* The future of all of it, which its token cancels; NULL without memory. */
static vow_future *
future_of(struct retry *r, const void *site)
{
    vow_future *f = vow_promise_future(r->promise);
    vow_token *t = r->options.token;

    return t != NULL ? vowi_with_token_at(f, t, site) : f;
}

/* Waits for the first attempt. Whoever waits for all of it may cancel from here on. */
static vow_future *
go_on_later(struct retry *r, vow_future *first, const void *site)
{
    vow_future *f;
    bool stops;

    r->promise = vowi_promise_new_at(site);
    vowi_refs_take(&r->refs);
    stops = vow_promise_on_cancel(r->promise, NULL, stop, vow_own(r, drop_ref)) != NULL;
    f = stops ? future_of(r, site) : NULL;
    if (f != NULL) {
        wait_for(r, first, attempt_settled);
        return f;
    }
    vow_future_cancel(first, NULL);
    vow_ignore(first);
    finish_with(r, VOW_E_CANCELLED); /* nobody sees it, so that it is not reported */
    return NULL;
}

static vow_future *
refuse(vow_value ctx, vow_error *e)
{
    vow_value_drop(ctx);
    return vow_rejected(e);
}

static vow_future *
retry(vow_executor *on, const vow_retry_options *opt, vow_task_fn *fn,
      vowi_attempt_fn *begin, vow_value ctx, const void *site)
{
    vow_retry_options o;
    struct retry *r;
    vow_future *f;

    vowi_options_read(&o, sizeof o, opt);
    if (!fill_and_check(&o))
        return refuse(ctx, vow_error_new_at(NULL, VOW_E_INVALID,
                                            "vow_retry: a time or a factor is below 0"));
    if (vow_token_cancelled(o.token))
        return refuse(ctx,
                      vow_error_wrap_at(NULL, vow_token_reason(o.token), VOW_E_CANCELLED,
                                        "cancelled before it began"));
    r = retry_new(on, &o, fn, begin, ctx);
    if (r == NULL) {
        vow_value_drop(ctx);
        return NULL;
    }
    vow_budget_deposit(o.budget);
    f = attempt_new(r);
    if (vowi_has_value(f))
        return end_at_once(r, f);
    return go_on_later(r, f, site);
}

vow_future *
vow_retry(vow_executor *on, const vow_retry_options *opt, vow_task_fn *fn, vow_value ctx)
{
    return retry(on, opt, fn, NULL, ctx, __builtin_return_address(0));
}

vow_future *
vowi_retry(const vow_retry_options *opt, vowi_attempt_fn *begin, vow_value ctx)
{
    return retry(NULL, opt, NULL, begin, ctx, __builtin_return_address(0));
}
