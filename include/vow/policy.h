/* SPDX-License-Identifier: MIT */
/**
 * @file vow/policy.h
 * Means of resilience in layers: put together once, used for many calls.
 *
 *     const vow_layer layers[] = {
 *         VOW_LAYER_TIMEOUT(vow_seconds(10)),
 *         VOW_LAYER_RETRY(&VOW_RETRY_OPTIONS(.max_attempts = 3)),
 *         VOW_LAYER_BREAKER(breaker),
 *         VOW_LAYER_TIMEOUT(vow_seconds(2)),
 *         VOW_LAYER_BULKHEAD(bulkhead),
 *     };
 *     vow_policy *p = vow_policy_new(layers, 5);
 *     vow_future *f = vow_policy_call(p, pool, fetch_price, vow_ptr(item));
 *
 * The first layer is the outermost: here all of it takes at most ten seconds, each of up
 * to three attempts at most two, time in the bulkhead's queue included; and the breaker
 * sees each attempt.
 *
 * An order that is allowed but is seldom what was meant is told to vow_on_warning.
 */
#ifndef VOW_POLICY_H
#define VOW_POLICY_H

#include <stdio.h>

#include <vow/base.h>
#include <vow/breaker.h>
#include <vow/bulkhead.h>
#include <vow/chaos.h>
#include <vow/classify.h>
#include <vow/executor.h>
#include <vow/future.h>
#include <vow/hedge.h>
#include <vow/rate_limit.h>
#include <vow/retry.h>

VOW_BEGIN_DECLS

/** Layers, put together. Counted; any number of threads may share one. */
typedef struct vow_policy vow_policy;

/** What a layer is. */
typedef enum vow_layer_kind {
    VOW_LAYER_NONE = 0, /**< nothing: passes calls on */
    VOW_LAYER_IS_TIMEOUT,
    VOW_LAYER_IS_RETRY,
    VOW_LAYER_IS_HEDGE,
    VOW_LAYER_IS_FALLBACK,
    VOW_LAYER_IS_BREAKER,
    VOW_LAYER_IS_BULKHEAD,
    VOW_LAYER_IS_RATE_LIMIT,
    VOW_LAYER_IS_CHAOS
} vow_layer_kind;

/** One layer. Made by the macros below. */
typedef struct vow_layer {
    vow_layer_kind kind;            /**< which means it is */
    vow_ns time;                    /**< of a timeout */
    const vow_retry_options *retry; /**< borrowed for vow_policy_new, copied */
    const vow_hedge_options *hedge; /**< borrowed for vow_policy_new, copied */
    const vow_classes *classes; /**< of a fallback: borrowed as long as the policy is */
    vow_catch_fn *fallback;     /**< of a fallback: runs inline */
    void *object;               /**< shared: what the layer calls through; or, of a
                                         fallback, its context, borrowed */
} vow_layer;

/** Gives a call up after a time (vow_timeout). */
#define VOW_LAYER_TIMEOUT(after)                                                         \
    {                                                                                    \
        .kind = VOW_LAYER_IS_TIMEOUT, .time = (after)                                    \
    }
/** Tries again (vow_retry); the options are copied, what they point to is shared. */
#define VOW_LAYER_RETRY(options)                                                         \
    {                                                                                    \
        .kind = VOW_LAYER_IS_RETRY, .retry = (options)                                   \
    }
/** Makes a second attempt beside the first (vow_hedge); likewise. */
#define VOW_LAYER_HEDGE(options)                                                         \
    {                                                                                    \
        .kind = VOW_LAYER_IS_HEDGE, .hedge = (options)                                   \
    }
/** Does something else instead (vow_fallback), with a context that is borrowed. */
#define VOW_LAYER_FALLBACK(table, fn, ctx)                                               \
    {                                                                                    \
        .kind = VOW_LAYER_IS_FALLBACK, .classes = (table), .fallback = (fn),             \
        .object = (ctx)                                                                  \
    }
/** Calls through a circuit breaker. */
#define VOW_LAYER_BREAKER(breaker)                                                       \
    {                                                                                    \
        .kind = VOW_LAYER_IS_BREAKER, .object = (breaker)                                \
    }
/** Calls through a bulkhead. */
#define VOW_LAYER_BULKHEAD(bulkhead)                                                     \
    {                                                                                    \
        .kind = VOW_LAYER_IS_BULKHEAD, .object = (bulkhead)                              \
    }
/** Calls through a rate limit. */
#define VOW_LAYER_RATE_LIMIT(limit)                                                      \
    {                                                                                    \
        .kind = VOW_LAYER_IS_RATE_LIMIT, .object = (limit)                               \
    }
/** Calls through chaos. */
#define VOW_LAYER_CHAOS(chaos)                                                           \
    {                                                                                    \
        .kind = VOW_LAYER_IS_CHAOS, .object = (chaos)                                    \
    }

/** Layers of one policy at most. */
#define VOW_POLICY_LAYERS 16

/**
 * Puts layers together.
 *
 * @param layers  borrowed for the call, the outermost first
 * @param n       how many, at most VOW_POLICY_LAYERS; 0: calls pass through
 * @return        owned; NULL if memory ran out (errno is ENOMEM), there are too many
 *                layers, a timeout is not above 0, or a layer has no object, options or
 *                function (EINVAL)
 * @contract      any thread; never blocks; allocates; runs the warning hook for an order
 *                that is seldom meant
 */
vow_policy *vow_policy_new(const vow_layer *layers, size_t n) VOW_MUST_USE;

/**
 * Takes another reference to a policy.
 *
 * @param p   borrowed; may be NULL
 * @return    owned; @p p itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_policy *vow_policy_ref(vow_policy *p);

/**
 * Lets go of a policy. Calls in flight keep it.
 *
 * @param p   consumed; may be NULL
 * @contract  any thread; never blocks; frees; runs no user code
 */
void vow_policy_unref(vow_policy *p);

/**
 * Runs @p fn on @p on through all layers, and returns a future for what comes out.
 *
 * Cancelling the future cancels whatever of it is going on.
 *
 * @param p    shared until the call has ended; NULL passes it through
 * @param on   shared until the last attempt has ended; NULL is inline
 * @param fn   called as often as the layers say: not at all, once, or, with retries and
 *             hedges, several times, perhaps at once
 * @param ctx  consumed: a pointer or VOW_NIL, passed to each attempt; dropped when the
 *             call is over and no attempt runs any more
 * @return     owned; NULL if memory ran out: of a layer that is put around an attempt, the
 *             attempt may have begun, and what comes of it is dropped
 * @contract   any thread; never blocks (a bounded executor may); allocates; may run
 *             @p fn before it returns if @p on is inline
 */
vow_future *vow_policy_call(vow_policy *p, vow_executor *on, vow_task_fn *fn,
                            vow_value ctx) VOW_MUST_USE;

/** What a policy has seen. */
typedef struct vow_policy_metrics {
    size_t size;       /**< set to sizeof(vow_policy_metrics) by the caller */
    uint64_t calls;    /**< made */
    uint64_t running;  /**< of them, not over yet */
    uint64_t attempts; /**< of the function, started or about to */
    size_t layers;     /**< how many */
    uint64_t entered[VOW_POLICY_LAYERS]; /**< how often each layer was gone through */
} vow_policy_metrics;

/**
 * Reads what a policy has seen.
 *
 * @param p        borrowed; NULL is a policy that saw nothing
 * @param metrics  out; its size set by the caller
 * @contract       any thread; never blocks; no memory; runs no user code
 */
void vow_policy_read(const vow_policy *p, vow_policy_metrics *metrics);

/**
 * Prints a policy: a line for each layer, with what it has seen.
 *
 * @param p       borrowed; may be NULL
 * @param stream  borrowed for the call
 * @contract      any thread; blocks as the stream does; no memory; runs clocks' now()
 */
void vow_policy_print(const vow_policy *p, FILE *stream);

VOW_END_DECLS

#endif
