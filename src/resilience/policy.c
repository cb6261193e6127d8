/* SPDX-License-Identifier: MIT */
/*
 * resilience/policy.c - calls through layers.
 *
 * A call has one block, with a frame for each layer and one for the function: the frame is
 * the context of whatever the layer before it calls. Going through a layer is calling
 * its means with the next frame, inline; only the last one goes to the executor. A layer
 * that only has to know how the call ends watches the future of the next one, and does not
 * even do that if it has a value already.
 *
 * A frame as a context is a reference to the call. The last one drops the user's context.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <vow/policy.h>
#include <vow/timeout.h>

#include "base/atomic.h"
#include "base/mem.h"
#include "base/options.h"
#include "base/sys.h"
#include "base/warn.h"
#include "resilience/attempts.h"
#include "resilience/breaker_internal.h"
#include "resilience/bulkhead_internal.h"
#include "resilience/call.h"
#include "resilience/rate_limit_internal.h"
#include "sync/refs.h"

struct layer {
    vow_layer is;
    vow_retry_options retry;
    vow_hedge_options hedge;
    _Atomic(uint64_t) entered; /* relaxed: a statistic */
};

struct vow_policy {
    struct vowi_refs refs;
    _Atomic(uint64_t) calls, ended, attempts; /* relaxed: statistics */
    size_t n;
    struct layer layers[];
};

struct frame {
    struct call *call;
    size_t layer;
};

struct call {
    struct vowi_refs refs;
    vow_policy *policy;
    vow_executor *on;
    vow_task_fn *fn;
    vow_value ctx;
    struct frame frames[];
};

/* ---- a call ----------------------------------------------------------------------------- */

static size_t
call_size(const vow_policy *p)
{
    return sizeof(struct call) + (p->n + 1) * sizeof(struct frame);
}

static void
call_unref(struct call *c)
{
    vow_policy *p = c->policy;
    vow_value ctx = c->ctx;

    if (!vowi_refs_drop(&c->refs))
        return;
    vow_executor_unref(c->on);
    vowi_free(c, call_size(p));
    vowi_add_relaxed(&p->ended, 1); /* relaxed: a statistic */
    vow_value_drop(ctx);
    vow_policy_unref(p);
}

static void
drop_frame(void *frame)
{
    call_unref(((struct frame *)frame)->call);
}

static vow_value
context_of(struct frame *f)
{
    vowi_refs_take(&f->call->refs);
    return vow_own(f, drop_frame);
}

static vow_future *enter(struct frame *f);

/* What a layer calls: goes through the next one. */
static vow_result
go_on(void *frame)
{
    return vow_follow(enter(frame));
}

/* The call is not over while what its function returned has not settled. */
static vow_result
follow(struct frame *frame, vow_result r)
{
    vow_future *f = r.follow;

    r.follow = NULL;
    vow_result_drop(r);
    return vow_follow(vow_handle(f, NULL, vowi_pass_on, context_of(frame)));
}

static vow_result
run_function(void *frame)
{
    struct call *c = ((struct frame *)frame)->call;
    vow_result r = c->fn(c->ctx.as.ptr);

    return r.follow != NULL ? follow(frame, r) : r;
}

static vow_future *
begin_attempt(void *frame)
{
    return enter(frame);
}

static vow_future *
through_rate_limit(vow_rate_limit *l, struct frame *next)
{
    if (vowi_rate_limit_allows(l))
        return enter(next);
    return vow_rate_limit_call(l, NULL, go_on, context_of(next));
}

static vow_future *
through_breaker(vow_breaker *b, struct frame *next)
{
    vow_permit permit;

    if (vow_breaker_acquire(b, &permit) != 0)
        return vowi_breaker_refuse(b, __builtin_return_address(0));
    return vowi_breaker_watch(b, &permit, enter(next));
}

static vow_future *
through_bulkhead(vow_bulkhead *b, struct frame *next)
{
    if (!vowi_bulkhead_enter(b))
        return vow_bulkhead_call(b, NULL, go_on, context_of(next));
    return vowi_bulkhead_watch(b, enter(next));
}

/* Goes through the layer of a frame. `next` is what is called within. */
static vow_future *
go_through(struct layer *l, struct frame *next)
{
    switch (l->is.kind) {
    case VOW_LAYER_IS_TIMEOUT:
        return vow_timeout(enter(next), l->is.time);
    case VOW_LAYER_IS_FALLBACK:
        return vow_fallback(enter(next), l->is.classes, NULL, l->is.fallback,
                            vow_ptr(l->is.object));
    case VOW_LAYER_IS_RETRY:
        return vowi_retry(&l->retry, begin_attempt, context_of(next));
    case VOW_LAYER_IS_HEDGE:
        return vowi_hedge(&l->hedge, begin_attempt, context_of(next));
    case VOW_LAYER_IS_BREAKER:
        return through_breaker(l->is.object, next);
    case VOW_LAYER_IS_BULKHEAD:
        return through_bulkhead(l->is.object, next);
    case VOW_LAYER_IS_RATE_LIMIT:
        return through_rate_limit(l->is.object, next);
    case VOW_LAYER_IS_CHAOS:
        return vow_chaos_call(l->is.object, NULL, go_on, context_of(next));
    case VOW_LAYER_NONE:
        break;
    }
    return enter(next);
}

static vow_future *
enter(struct frame *f)
{
    struct call *c = f->call;
    vow_policy *p = c->policy;

    if (f->layer == p->n) {
        vowi_add_relaxed(&p->attempts, 1); /* relaxed: a statistic */
        return vow_submit(c->on, run_function, context_of(f));
    }
    vowi_add_relaxed(&p->layers[f->layer].entered, 1); /* relaxed: a statistic */
    return go_through(&p->layers[f->layer], f + 1);
}

vow_future *
vow_policy_call(vow_policy *p, vow_executor *on, vow_task_fn *fn, vow_value ctx)
{
    struct call *c;
    vow_future *f;

    if (p == NULL)
        return vow_submit(on, fn, ctx);
    c = vowi_alloc(call_size(p));
    if (c == NULL) {
        vow_value_drop(ctx);
        return NULL;
    }
    vowi_refs_init(&c->refs);
    c->policy = vow_policy_ref(p);
    c->on = vow_executor_ref(on);
    c->fn = fn;
    c->ctx = ctx;
    for (size_t i = 0; i <= p->n; i++)
        c->frames[i] = (struct frame){c, i};
    vowi_add_relaxed(&p->calls, 1); /* relaxed: a statistic */
    f = enter(&c->frames[0]);
    call_unref(c);
    return f;
}

/* ---- making one ----------------------------------------------------------------------------- */

static bool
makes_sense(const vow_layer *l)
{
    switch (l->kind) {
    case VOW_LAYER_NONE:
        return true;
    case VOW_LAYER_IS_TIMEOUT:
        return l->time > 0;
    case VOW_LAYER_IS_RETRY:
        return l->retry != NULL;
    case VOW_LAYER_IS_HEDGE:
        return l->hedge != NULL;
    case VOW_LAYER_IS_FALLBACK:
        return l->fallback != NULL;
    case VOW_LAYER_IS_BREAKER:
    case VOW_LAYER_IS_BULKHEAD:
    case VOW_LAYER_IS_RATE_LIMIT:
    case VOW_LAYER_IS_CHAOS:
        return l->object != NULL;
    }
    return false;
}

/* Takes, or gives back, what a layer shares. */
static void
take_share(struct layer *l)
{
    vow_token_ref(l->retry.token);
    vow_budget_ref(l->retry.budget);
    vow_token_ref(l->hedge.token);
    vow_latency_ref(l->hedge.latency);
    if (l->is.kind == VOW_LAYER_IS_BREAKER)
        vow_breaker_ref(l->is.object);
    else if (l->is.kind == VOW_LAYER_IS_BULKHEAD)
        vow_bulkhead_ref(l->is.object);
    else if (l->is.kind == VOW_LAYER_IS_RATE_LIMIT)
        vow_rate_limit_ref(l->is.object);
    else if (l->is.kind == VOW_LAYER_IS_CHAOS)
        vow_chaos_ref(l->is.object);
}

static void
give_back(struct layer *l)
{
    vow_token_unref(l->retry.token);
    vow_budget_unref(l->retry.budget);
    vow_token_unref(l->hedge.token);
    vow_latency_unref(l->hedge.latency);
    if (l->is.kind == VOW_LAYER_IS_BREAKER)
        vow_breaker_unref(l->is.object);
    else if (l->is.kind == VOW_LAYER_IS_BULKHEAD)
        vow_bulkhead_unref(l->is.object);
    else if (l->is.kind == VOW_LAYER_IS_RATE_LIMIT)
        vow_rate_limit_unref(l->is.object);
    else if (l->is.kind == VOW_LAYER_IS_CHAOS)
        vow_chaos_unref(l->is.object);
}

static void
copy_layer(struct layer *to, const vow_layer *from)
{
    to->is = *from;
    vowi_options_read(&to->retry, sizeof to->retry, from->retry);
    vowi_options_read(&to->hedge, sizeof to->hedge, from->hedge);
    take_share(to);
}

/* ---- an order that is seldom meant ------------------------------------------------------------ */

static bool
retries_for_ever(const struct layer *l)
{
    return l->is.kind == VOW_LAYER_IS_RETRY && l->retry.max_attempts == VOW_RETRY_FOREVER;
}

static bool
calls_again(const struct layer *l)
{
    return l->is.kind == VOW_LAYER_IS_RETRY || l->is.kind == VOW_LAYER_IS_HEDGE;
}

/* Two layers, the outer one first, with nothing that calls again between them or not. */
static void
warn_of_pair(const struct layer *outer, const struct layer *inner, bool again)
{
    if (outer->is.kind == VOW_LAYER_IS_BREAKER && retries_for_ever(inner))
        vowi_warn(VOW_E_INVALID, "policy: a breaker outside of a retry without end never "
                                 "sees a failure: put it inside");
    if (outer->is.kind == VOW_LAYER_IS_BULKHEAD && inner->is.kind == VOW_LAYER_IS_RETRY)
        vowi_warn(VOW_E_INVALID, "policy: a bulkhead outside of a retry keeps its place "
                                 "through every pause: put it inside");
    if (outer->is.kind == VOW_LAYER_IS_TIMEOUT &&
        inner->is.kind == VOW_LAYER_IS_TIMEOUT && !again &&
        inner->is.time >= outer->is.time)
        vowi_warn(VOW_E_INVALID, "policy: the inner timeout is no shorter than the outer "
                                 "one, and never comes");
    if (outer->is.kind == VOW_LAYER_IS_BULKHEAD &&
        inner->is.kind == VOW_LAYER_IS_BULKHEAD && outer->is.object == inner->is.object)
        vowi_warn(VOW_E_INVALID, "policy: the same bulkhead twice: calls wait in it for "
                                 "themselves");
    if (outer->is.kind == VOW_LAYER_IS_BREAKER &&
        inner->is.kind == VOW_LAYER_IS_BREAKER && outer->is.object == inner->is.object)
        vowi_warn(VOW_E_INVALID,
                  "policy: the same breaker twice: it counts each call twice");
}

static void
warn_of_order(const vow_policy *p)
{
    for (size_t i = 0; i < p->n; i++) {
        bool again = false;

        for (size_t k = i + 1; k < p->n; k++) {
            warn_of_pair(&p->layers[i], &p->layers[k], again);
            again = again || calls_again(&p->layers[k]);
        }
    }
}

static size_t
policy_size(size_t n)
{
    return sizeof(vow_policy) + n * sizeof(struct layer);
}

vow_policy *
vow_policy_new(const vow_layer *layers, size_t n)
{
    vow_policy *p = NULL;
    bool bad = n > VOW_POLICY_LAYERS;

    for (size_t i = 0; !bad && i < n; i++)
        bad = !makes_sense(&layers[i]);
    if (!bad)
        p = vowi_alloc(policy_size(n));
    if (p == NULL) {
        errno = bad ? EINVAL : ENOMEM;
        return NULL;
    }
    memset(p, 0, policy_size(n));
    vowi_refs_init(&p->refs);
    p->n = n;
    for (size_t i = 0; i < n; i++)
        copy_layer(&p->layers[i], &layers[i]);
    warn_of_order(p);
    return p;
}

vow_policy *
vow_policy_ref(vow_policy *p)
{
    if (p != NULL)
        vowi_refs_take(&p->refs);
    return p;
}

void
vow_policy_unref(vow_policy *p)
{
    if (p == NULL || !vowi_refs_drop(&p->refs))
        return;
    for (size_t i = 0; i < p->n; i++)
        give_back(&p->layers[i]);
    vowi_free(p, policy_size(p->n));
}

/* ---- asking ------------------------------------------------------------------------------------- */

/* relaxed: statistics; ended first, so that it is not more than calls. */
void
vow_policy_read(const vow_policy *p, vow_policy_metrics *metrics)
{
    vow_policy_metrics m = {0};

    if (p != NULL) {
        uint64_t ended = vowi_load_relaxed(&p->ended);

        m.calls = vowi_load_relaxed(&p->calls);
        m.running = m.calls - ended;
        m.attempts = vowi_load_relaxed(&p->attempts);
        m.layers = p->n;
        for (size_t i = 0; i < p->n; i++)
            m.entered[i] = vowi_load_relaxed(&p->layers[i].entered);
    }
    vowi_options_write(metrics, &m, sizeof m);
}

static void
print_breaker(const vow_breaker *b, FILE *stream)
{
    static const char *const states[] = {"closed",      "open",          "half open",
                                         "forced open", "forced closed", "count only"};
    vow_breaker_metrics m = {.size = sizeof m};

    vow_breaker_read(b, &m);
    fprintf(stream,
            ", %s, %" PRIu64 " succeeded, %" PRIu64 " failed, %" PRIu64
            " counted as neither, %" PRIu64 " refused, %" PRIu64 " trips",
            states[m.state], m.successes, m.failures, m.cancelled, m.refused, m.trips);
}

static void
print_bulkhead(const vow_bulkhead *b, FILE *stream)
{
    vow_bulkhead_metrics m = {.size = sizeof m};

    vow_bulkhead_read(b, &m);
    fprintf(stream,
            ", %" PRIu64 " running, %" PRIu64 " waiting, %" PRIu64 " refused, %" PRIu64
            " timed out",
            m.running, m.waiting, m.refused, m.timed_out);
}

static void
print_rate_limit(const vow_rate_limit *l, FILE *stream)
{
    vow_rate_limit_metrics m = {.size = sizeof m};

    vow_rate_limit_read(l, &m);
    fprintf(stream, ", %" PRIu64 " at once, %" PRIu64 " delayed, %" PRIu64 " refused",
            m.allowed, m.delayed, m.refused);
}

static void
print_layer(const struct layer *l, FILE *stream)
{
    static const char *const names[] = {"none",     "timeout",    "retry",
                                        "hedge",    "fallback",   "breaker",
                                        "bulkhead", "rate limit", "chaos"};

    fprintf(stream, "%s: %" PRIu64 " calls", names[l->is.kind],
            vowi_load_relaxed(&l->entered)); /* relaxed: a statistic */
    if (l->is.kind == VOW_LAYER_IS_BREAKER)
        print_breaker(l->is.object, stream);
    else if (l->is.kind == VOW_LAYER_IS_BULKHEAD)
        print_bulkhead(l->is.object, stream);
    else if (l->is.kind == VOW_LAYER_IS_RATE_LIMIT)
        print_rate_limit(l->is.object, stream);
    fputc('\n', stream);
}

void
vow_policy_print(const vow_policy *p, FILE *stream)
{
    vow_policy_metrics m = {.size = sizeof m};
    int cancel = vowi_sys_cancel_off();

    vow_policy_read(p, &m);
    fprintf(stream,
            "policy: %" PRIu64 " calls, %" PRIu64 " running, %" PRIu64 " attempts\n",
            m.calls, m.running, m.attempts);
    for (size_t i = 0; i < m.layers; i++)
        print_layer(&p->layers[i], stream);
    vowi_sys_cancel_back(cancel);
}
