/* SPDX-License-Identifier: MIT */
/**
 * @file vow/rate_limit.h
 * At most so many calls in so much time.
 *
 *     vow_rate_limit *l = vow_rate_limit_new(
 *         &VOW_RATE_LIMIT_OPTIONS(.calls = 100, .per = vow_seconds(1)));
 *     vow_future *f = vow_rate_limit_call(l, pool, ask_api, vow_ptr(question));
 *
 * Two kinds. A token bucket lets `burst` calls through at once and then as many as come
 * in at the rate; over a long time that is the rate, but a burst may come on top of it. A
 * sliding window never lets more than `calls` through in any stretch of `per`.
 *
 * A call that comes too early waits, if that takes no longer than max_wait: its time is
 * reserved, so that those who come later come later. Otherwise it is rejected with
 * VOW_E_LIMIT at once, and vow_error_retry_after says how long it would have been. A call
 * that is cancelled while it waits never starts.
 */
#ifndef VOW_RATE_LIMIT_H
#define VOW_RATE_LIMIT_H

#include <vow/base.h>
#include <vow/executor.h>
#include <vow/future.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** Limits a rate of calls. Counted; any number of threads may share one. */
typedef struct vow_rate_limit vow_rate_limit;

/** What a rate limit promises. */
typedef enum vow_rate_kind {
    VOW_RATE_BUCKET = 0, /**< the rate in the long run, and bursts */
    VOW_RATE_WINDOW      /**< never more than `calls` in any `per` */
} vow_rate_kind;

/** How a rate limit behaves; see VOW_RATE_LIMIT_OPTIONS. 0 is the default of a field. */
typedef struct vow_rate_limit_options {
    size_t size;        /**< of this struct: the macro sets it */
    const char *name;   /**< for messages; borrowed as long as the limit is */
    vow_rate_kind kind; /**< default VOW_RATE_BUCKET */
    unsigned calls;     /**< so many calls; default 10; at most 1,048,576 in a window */
    vow_ns per;         /**< in so much time; default 1 s */
    unsigned burst;     /**< calls at once, of a bucket; default: calls */
    vow_ns max_wait;    /**< a call waits at most so long; default: it does not wait */
    vow_clock *clock;   /**< borrowed; default: the clock in force at each call */
} vow_rate_limit_options;

/** Options for vow_rate_limit_new: &VOW_RATE_LIMIT_OPTIONS(.calls = 100). */
#define VOW_RATE_LIMIT_OPTIONS(...) VOW_SIZED(vow_rate_limit_options, __VA_ARGS__)

/**
 * Makes a rate limit that has seen no call yet.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @return     owned; NULL if memory ran out (errno is ENOMEM), a time is below 0, or a
 *             window has too many calls (EINVAL)
 * @contract   any thread; never blocks; allocates; runs no user code but the clock's
 *             now()
 */
vow_rate_limit *vow_rate_limit_new(const vow_rate_limit_options *opt) VOW_MUST_USE;

/**
 * Takes another reference to a rate limit.
 *
 * @param l   borrowed; may be NULL
 * @return    owned; @p l itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_rate_limit *vow_rate_limit_ref(vow_rate_limit *l);

/**
 * Lets go of a rate limit. Calls that wait have their time already.
 *
 * @param l   consumed; may be NULL
 * @contract  any thread; never blocks; frees; runs no user code
 */
void vow_rate_limit_unref(vow_rate_limit *l);

/**
 * Runs @p fn on @p on when the rate allows it.
 *
 * @param l    borrowed; NULL allows it at once
 * @param on   shared until fn has run; NULL is inline: fn runs here, or, if it had to
 *             wait, where timers on the clock are fired (vow_sleep)
 * @param fn   called at most once
 * @param ctx  consumed: a pointer or VOW_NIL
 * @return     owned; NULL if memory ran out, and then @p fn never runs
 * @contract   any thread; never blocks (a bounded executor may); allocates; may run
 *             @p fn before it returns if @p on is inline
 */
vow_future *vow_rate_limit_call(vow_rate_limit *l, vow_executor *on, vow_task_fn *fn,
                                vow_value ctx) VOW_MUST_USE;

/**
 * Reserves a call, for code without futures: it may be made when @p wait has passed.
 *
 * @param l         borrowed; NULL allows it at once
 * @param max_wait  not if it takes longer than that; 0 or less: only at once
 * @param wait      out; how long to wait; also when it is refused; may be NULL
 * @return          0: it is reserved; VOW_E_LIMIT: it is not
 * @contract        any thread; never blocks; no memory; runs the clock's now()
 */
int vow_rate_limit_reserve(vow_rate_limit *l, vow_ns max_wait, vow_ns *wait) VOW_MUST_USE;

/** What a rate limit has seen. */
typedef struct vow_rate_limit_metrics {
    size_t size;      /**< set to sizeof(vow_rate_limit_metrics) by the caller */
    uint64_t allowed; /**< calls allowed at once */
    uint64_t delayed; /**< calls that had to wait */
    uint64_t refused; /**< calls that did not get a time */
} vow_rate_limit_metrics;

/**
 * Reads what a rate limit has seen, at one moment.
 *
 * @param l        borrowed; NULL is a limit that saw nothing
 * @param metrics  out; its size set by the caller
 * @contract       any thread; never blocks; no memory; runs no user code
 */
void vow_rate_limit_read(const vow_rate_limit *l, vow_rate_limit_metrics *metrics);

VOW_END_DECLS

#endif
