/* SPDX-License-Identifier: MIT */
/*
 * resilience/hedge.c - attempts beside each other; the first that works wins.
 *
 * Under the lock stands what has begun, what runs, and whether it is over. Whoever makes
 * it over, by a success, by the last failure or by a request to stop, settles the promise
 * and asks all that still runs to stop. An attempt that begins puts its future down
 * first and then looks whether it is over: of the two, one sees the other.
 *
 * Everything is allocated with the call but what its attempts need themselves. References
 * to it: one for each step and each attempt that may come back, and the hook's.
 */
#include <string.h>

#include <vow/classify.h>
#include <vow/delayed.h>
#include <vow/hedge.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/options.h"
#include "base/time.h"
#include "core/caller.h"
#include "resilience/attempts.h"
#include "sync/lock.h"
#include "sync/refs.h"

#define MOST_ATTEMPTS 16

struct hedge;

/* Something that is waited for; the context of the step behind it. */
struct turn {
    struct hedge *h;
    vow_future *f; /* guarded by the lock */
    vow_ns begun;
    bool taken; /* its step has run */
};

struct attempt {
    struct turn run;
    struct turn pause; /* before it, but for the first */
};

struct hedge {
    struct vowi_refs refs;
    vow_hedge_options options; /* with the defaults filled in; not written again */
    vow_executor *on;
    vow_task_fn *fn;
    vowi_attempt_fn *begin; /* not NULL: instead of fn, on `on` */
    vow_promise *promise;   /* of whoever makes it over */

    struct vowi_refs users; /* of the context: until it is over, and each attempt */
    vow_value ctx;

    struct vowi_lock lock;
    bool over;        /* guarded by lock, like all that follows */
    unsigned started; /* attempts */
    unsigned running;
    struct attempt attempts[]; /* options.max_attempts of them */
};

static vow_ns
now_of(const struct hedge *h)
{
    return vowi_now_on(h->options.clock);
}

/* ---- its end ---------------------------------------------------------------------------- */

static size_t
size_of(unsigned attempts)
{
    return sizeof(struct hedge) + attempts * sizeof(struct attempt);
}

static void
hedge_unref(struct hedge *h)
{
    if (!vowi_refs_drop(&h->refs))
        return;
    vow_executor_unref(h->on);
    vow_latency_unref(h->options.latency);
    vow_token_unref(h->options.token);
    vowi_lock_fini(&h->lock);
    vowi_free(h, size_of(h->options.max_attempts));
}

static void
drop_ref(void *hedge)
{
    hedge_unref(hedge);
}

static void
context_unref(struct hedge *h)
{
    if (vowi_refs_drop(&h->users))
        vow_value_drop(h->ctx);
}

/* An attempt's function has returned, or never runs. */
static void
drop_job(void *hedge)
{
    context_unref(hedge);
    hedge_unref(hedge);
}

static void
stop_one(struct hedge *h, struct turn *w, const vow_error *reason)
{
    vow_future *f;

    vowi_lock_acquire(&h->lock);
    f = vow_ref(w->f);
    vowi_lock_release(&h->lock);
    if (f != NULL)
        vow_future_cancel(f, vow_error_ref(reason));
    vow_ignore(f);
}

/* The caller made it over, and has a reference. */
static void
end(struct hedge *h, vow_result how, const vow_error *reason)
{
    vow_promise *p = h->promise;

    vow_promise_resolve(p, how);
    vow_promise_unref(p);
    for (unsigned i = 0; i < h->options.max_attempts; i++) {
        stop_one(h, &h->attempts[i].pause, reason);
        stop_one(h, &h->attempts[i].run, reason);
    }
    context_unref(h);
}

/* Returns whether the caller is who makes it over. */
static bool
make_over_locked(struct hedge *h)
{
    bool first = !h->over;

    h->over = true;
    return first;
}

static bool
make_over(struct hedge *h)
{
    bool first;

    vowi_lock_acquire(&h->lock);
    first = make_over_locked(h);
    vowi_lock_release(&h->lock);
    return first;
}

static void
stop(vow_promise *p, const vow_error *reason, void *hedge)
{
    struct hedge *h = hedge;

    (void)p;
    if (make_over(h))
        end(h, vow_err(vow_error_ref(reason)), reason);
}

/* ---- waiting for something ------------------------------------------------------------------ */

/* Consumes the future; its step is told. */
static void
wait_for(struct hedge *h, struct turn *w, vow_future *f, vow_settled_fn *fn,
         vow_drop_fn *drop)
{
    bool over;

    vowi_refs_take(&h->refs);
    w->h = h;
    w->taken = false;
    vowi_lock_acquire(&h->lock);
    w->f = vow_ref(f);
    over = h->over;
    vowi_lock_release(&h->lock);
    if (over)
        vow_future_cancel(f, NULL);
    vow_on_settled(f, NULL, fn, vow_own(w, drop));
}

static vow_future *
end_wait(struct turn *w)
{
    vow_future *f;

    vowi_lock_acquire(&w->h->lock);
    f = w->f;
    w->f = NULL;
    vowi_lock_release(&w->h->lock);
    return f;
}

/* ---- attempts --------------------------------------------------------------------------- */

static void start(struct hedge *h);

/* What follows from an attempt that failed. */
enum next { NOTHING, ANOTHER, THE_END };

static enum next
has_failed_locked(struct hedge *h, bool hopeless)
{
    if (h->over)
        return NOTHING;
    if (!hopeless && h->started < h->options.max_attempts)
        return ANOTHER;
    if (h->running != 0)
        return NOTHING;
    h->over = true;
    return THE_END;
}

static void
has_failed(struct hedge *h, const vow_error *error)
{
    bool hopeless = vow_classify(NULL, error) == VOW_CLASS_IGNORE;
    enum next next;

    vowi_lock_acquire(&h->lock);
    h->running--;
    next = has_failed_locked(h, hopeless);
    vowi_lock_release(&h->lock);
    if (next == ANOTHER)
        start(h);
    else if (next == THE_END)
        end(h, vow_err(vow_error_ref(error)), vow_error_of(VOW_E_CANCELLED));
}

static void
has_worked(struct hedge *h, struct turn *w, vow_future *f)
{
    bool first;

    vow_latency_add(h->options.latency, vowi_time_sub(now_of(h), w->begun));
    vowi_lock_acquire(&h->lock);
    h->running--; /* at once with `over`: else another one that fails is the last */
    first = make_over_locked(h);
    vowi_lock_release(&h->lock);
    if (first)
        end(h, vow_follow(vow_ref(f)), vow_error_of(VOW_E_CANCELLED));
}

static void
attempt_settled(vow_view how, void *turn)
{
    struct turn *w = turn;
    vow_future *f = end_wait(w);

    w->taken = true;
    if (how.error == NULL)
        has_worked(w->h, w, f);
    else
        has_failed(w->h, how.error);
    vow_ignore(f);
}

/* Its step has run, or there was no memory for it, or what it waits for was abandoned. */
static void
drop_attempt(void *turn)
{
    struct turn *w = turn;
    struct hedge *h = w->h;

    if (!w->taken) {
        stop_one(h, w, NULL);
        vow_ignore(end_wait(w));
        has_failed(h, vow_error_of(VOW_E_NOMEM));
    }
    hedge_unref(h);
}

static vow_result
run_attempt(void *hedge)
{
    struct hedge *h = hedge;

    return h->fn(h->ctx.as.ptr);
}

/* The job takes over the reference to the context. */
static vow_future *
submit_attempt(struct hedge *h)
{
    vowi_refs_take(&h->refs);
    return vow_submit(h->on, run_attempt, vow_own(h, drop_job));
}

/* Here and now; what goes on later keeps what it needs by itself. */
static vow_future *
call_attempt(struct hedge *h)
{
    vow_future *f = h->begin(h->ctx.as.ptr);

    context_unref(h);
    return f;
}

/* One more, unless it is over or there are enough: with a reference to the context, which
 * must be taken while it is not over, as another one may end it the moment after. */
static struct turn *
begin_attempt(struct hedge *h)
{
    vow_ns now = now_of(h);
    struct turn *w = NULL;

    vowi_lock_acquire(&h->lock);
    if (!h->over && h->started < h->options.max_attempts) {
        w = &h->attempts[h->started++].run;
        w->begun = now;
        h->running++;
        vowi_refs_take(&h->users);
    }
    vowi_lock_release(&h->lock);
    return w;
}

static void
start(struct hedge *h)
{
    struct turn *w = begin_attempt(h);
    vow_future *f;

    if (w == NULL)
        return;
    f = h->begin != NULL ? call_attempt(h) : submit_attempt(h);
    wait_for(h, w, f, attempt_settled, drop_attempt);
}

/* ---- pauses ------------------------------------------------------------------------------ */

static void
drop_pause(void *turn)
{
    struct turn *w = turn;
    struct hedge *h = w->h;

    if (!w->taken) {
        stop_one(h, w, NULL);
        vow_ignore(end_wait(w)); /* no memory: then it is not hedged */
    }
    hedge_unref(h);
}

static vow_ns
delay_of(const struct hedge *h)
{
    const vow_hedge_options *o = &h->options;
    vow_ns learnt = o->quantile > 0 ? vow_latency_quantile(o->latency, o->quantile) : 0;

    return learnt > 0 ? learnt : o->delay;
}

static void pause_settled(vow_view how, void *turn);

/* The pause before attempt i, of which there is one more. */
static void
pause_before(struct hedge *h, unsigned i, vow_ns pause)
{
    struct turn *w = &h->attempts[i].pause;

    if (i >= h->options.max_attempts)
        return;
    w->begun = now_of(h);
    wait_for(h, w, vow_sleep(h->options.clock, pause), pause_settled, drop_pause);
}

/* How long an attempt still has that took the place of one that failed, after the pause
 * began; 0: there is none. */
static vow_ns
time_of_replacement(struct hedge *h, const struct turn *pause)
{
    vow_ns begun, left;

    vowi_lock_acquire(&h->lock);
    begun = h->attempts[h->started - 1].run.begun;
    vowi_lock_release(&h->lock);
    if (begun <= pause->begun)
        return 0;
    left = vowi_time_sub(vowi_time_add(begun, delay_of(h)), now_of(h));
    return left > 0 ? left : 0;
}

/* If an attempt that failed was replaced meanwhile, that one has its whole delay: the next
 * pause is what is left of it. There is one, since each is for an attempt that has begun. */
static void
pause_settled(vow_view how, void *turn)
{
    struct turn *w = turn;
    struct hedge *h = w->h;
    struct attempt *a = vowi_container_of(w, struct attempt, pause);
    vow_ns left;

    w->taken = true;
    vow_ignore(end_wait(w));
    if (how.error != NULL)
        return;
    left = time_of_replacement(h, w);
    if (left == 0)
        start(h);
    pause_before(h, (unsigned)(a - h->attempts) + 1, left != 0 ? left : delay_of(h));
}

/* ---- beginning --------------------------------------------------------------------------- */

static bool
fill_and_check(vow_hedge_options *o)
{
    if (o->max_attempts == 0)
        o->max_attempts = 2;
    if (o->delay == 0)
        o->delay = vow_ms(100);
    return o->max_attempts <= MOST_ATTEMPTS && o->delay > 0 && o->quantile >= 0 &&
           o->quantile <= 1;
}

static struct hedge *
hedge_new(vow_executor *on, const vow_hedge_options *o, vow_task_fn *fn,
          vowi_attempt_fn *begin, vow_value ctx, const void *site)
{
    size_t size = size_of(o->max_attempts);
    struct hedge *h = vowi_alloc(size);

    if (h == NULL)
        return NULL;
    memset(h, 0, size);
    if (vowi_lock_init(&h->lock, VOWI_RANK_HEDGE) != 0) {
        vowi_free(h, size);
        return NULL;
    }
    vowi_refs_init(&h->refs);
    vowi_refs_init(&h->users);
    h->options = *o;
    h->on = vow_executor_ref(on);
    h->fn = fn;
    h->begin = begin;
    h->ctx = ctx;
    vow_latency_ref(o->latency);
    vow_token_ref(o->token);
    h->promise = vowi_promise_new_at(site);
    return h;
}

static bool
hook(struct hedge *h)
{
    vowi_refs_take(&h->refs);
    return vow_promise_on_cancel(h->promise, NULL, stop, vow_own(h, drop_ref)) != NULL;
}

/* Not if it cannot be stopped. Then its future has gone: an error that nobody saw would be
 * reported. */
static void
begin_all(struct hedge *h, bool can_be_stopped)
{
    if (can_be_stopped) {
        start(h);
        pause_before(h, 1, delay_of(h));
    } else if (make_over(h)) {
        end(h, vow_err(vow_error_of(VOW_E_CANCELLED)), NULL);
    }
}

static vow_future *
hedge(vow_executor *on, const vow_hedge_options *opt, vow_task_fn *fn,
      vowi_attempt_fn *begin, vow_value ctx, const void *site)
{
    vow_hedge_options o;
    struct hedge *h;
    vow_future *f;

    vowi_options_read(&o, sizeof o, opt);
    if (!fill_and_check(&o)) {
        vow_value_drop(ctx);
        return vow_rejected(vow_error_new_at(NULL, VOW_E_INVALID,
                                             "vow_hedge: a time below 0, a quantile "
                                             "outside of 0 to 1, or over 16 attempts"));
    }
    h = hedge_new(on, &o, fn, begin, ctx, site);
    if (h == NULL) {
        vow_value_drop(ctx);
        return NULL;
    }
    f = vow_promise_future(h->promise);
    if (hook(h)) {
        f = o.token != NULL ? vowi_with_token_at(f, o.token, site) : f;
        begin_all(h, f != NULL);
    } else {
        end(h, vow_err(vow_error_of(VOW_E_NOMEM)), NULL);
    }
    hedge_unref(h);
    return f;
}

vow_future *
vow_hedge(vow_executor *on, const vow_hedge_options *opt, vow_task_fn *fn, vow_value ctx)
{
    return hedge(on, opt, fn, NULL, ctx, __builtin_return_address(0));
}

vow_future *
vowi_hedge(const vow_hedge_options *opt, vowi_attempt_fn *begin, vow_value ctx)
{
    return hedge(NULL, opt, NULL, begin, ctx, __builtin_return_address(0));
}
