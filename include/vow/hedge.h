/* SPDX-License-Identifier: MIT */
/**
 * @file vow/hedge.h
 * A second attempt while the first is still on its way: the first that works wins.
 *
 *     vow_future *f = vow_hedge(pool, &VOW_HEDGE_OPTIONS(.delay = vow_ms(50)), ask_replica,
 *                               vow_ptr(question));
 *
 * For calls that may be made twice, and are slow now and then. An attempt that has not
 * settled after `delay` is joined by another one, up to max_attempts; one that fails is
 * replaced at once, unless vow_classify(NULL, error) is VOW_CLASS_IGNORE. The first that
 * works settles the future, and the others are asked to stop. If all have failed, the
 * last error is passed on.
 *
 * The delay may follow what calls take: at a quantile of 0.95 one in twenty is hedged.
 * (Dean and Barroso, "The tail at scale", CACM 2013.)
 */
#ifndef VOW_HEDGE_H
#define VOW_HEDGE_H

#include <vow/base.h>
#include <vow/cancel.h>
#include <vow/executor.h>
#include <vow/future.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** How long calls took lately. Counted; any number of threads may share one. */
typedef struct vow_latency vow_latency;

/**
 * Makes a record of latencies, empty.
 *
 * @return    owned; NULL if memory ran out
 * @contract  any thread; never blocks; allocates; runs no user code
 */
vow_latency *vow_latency_new(void) VOW_MUST_USE;

/**
 * Takes another reference to a record of latencies.
 *
 * @param l   borrowed; may be NULL
 * @return    owned; @p l itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_latency *vow_latency_ref(vow_latency *l);

/**
 * Lets go of a record of latencies.
 *
 * @param l   consumed; may be NULL
 * @contract  any thread; never blocks; frees; runs no user code
 */
void vow_latency_unref(vow_latency *l);

/**
 * Adds how long a call took.
 *
 * @param l     borrowed; may be NULL
 * @param took  a duration; below 0 is 0
 * @contract    any thread; never blocks; no memory; runs no user code
 */
void vow_latency_add(vow_latency *l, vow_ns took);

/**
 * Returns a duration that a share of the calls did not exceed: no less than it was, and
 * at most an eighth more. Older calls count for less: of each 2,048, as much as half of
 * the 2,048 before.
 *
 * @param l         borrowed; may be NULL
 * @param quantile  from 0 to 1
 * @return          a duration; 0 if no call was added yet
 * @contract        any thread; never blocks; no memory; runs no user code
 */
vow_ns vow_latency_quantile(const vow_latency *l, double quantile);

/** How to hedge; see VOW_HEDGE_OPTIONS. 0 in any field is its default. */
typedef struct vow_hedge_options {
    size_t size;           /**< of this struct: the macro sets it */
    unsigned max_attempts; /**< the first included; default 2, at most 16 */
    vow_ns delay;          /**< before each further one; default 100 ms */
    vow_latency *latency;  /**< shared: told of each call that works; default: none */
    double quantile;  /**< of it is the delay, once it knows a call; default: delay */
    vow_token *token; /**< shared: cancelled when it fires; default: none */
    vow_clock *clock; /**< borrowed; default: the clock in force where it is read, on
                           whichever thread that is */
} vow_hedge_options;

/** Options for vow_hedge: &VOW_HEDGE_OPTIONS(.delay = vow_ms(50)). */
#define VOW_HEDGE_OPTIONS(...) VOW_SIZED(vow_hedge_options, __VA_ARGS__)

/**
 * Runs @p fn on @p on, and again if it takes long or fails; the first that works wins.
 *
 * @param on   shared until the last attempt has ended; NULL is inline
 * @param opt  borrowed for the call; NULL is the defaults
 * @param fn   called once for each attempt, perhaps several at once
 * @param ctx  consumed: a pointer or VOW_NIL, passed to each attempt; dropped when the
 *             future has settled and no attempt runs any more
 * @return     owned; NULL if memory ran out, and then @p fn never runs; rejected with
 *             VOW_E_INVALID if an option makes no sense: a time below 0, a quantile
 *             outside of 0 to 1, more than 16 attempts
 * @contract   any thread; never blocks (a bounded executor may); allocates, for each
 *             attempt as well; may run @p fn before it returns if @p on is inline
 */
vow_future *vow_hedge(vow_executor *on, const vow_hedge_options *opt, vow_task_fn *fn,
                      vow_value ctx) VOW_MUST_USE;

VOW_END_DECLS

#endif
