/* SPDX-License-Identifier: MIT */
/**
 * @file vow/chaos.h
 * Faults put in on purpose, so that a test sees what a caller makes of them.
 *
 *     vow_chaos *c = vow_chaos_new(&VOW_CHAOS_OPTIONS(.error_rate = 0.1, .error = EIO,
 *                                                     .seed = 7));
 *     vow_future *f = vow_chaos_call(c, pool, fetch, VOW_NIL);
 *
 * Of each call is drawn what becomes of it: it fails without running, it hangs until it
 * is cancelled, it runs later, or it runs. The same seed draws the same.
 */
#ifndef VOW_CHAOS_H
#define VOW_CHAOS_H

#include <vow/base.h>
#include <vow/executor.h>
#include <vow/future.h>

VOW_BEGIN_DECLS

/** Draws faults. Counted; any number of threads may share one. */
typedef struct vow_chaos vow_chaos;

/** Which faults, and how often; see VOW_CHAOS_OPTIONS. */
typedef struct vow_chaos_options {
    size_t size;       /**< of this struct: the macro sets it */
    double error_rate; /**< this share fails */
    int error;         /**< with this code; default: EIO */
    double hang_rate;  /**< this share never settles, unless cancelled */
    double delay_rate; /**< this share runs later */
    vow_ns delay;      /**< by as much as this, drawn uniformly; default 1 s */
    vow_clock *clock;  /**< borrowed; default: the clock in force at each call */
    uint64_t seed;     /**< default: a different one each time */
} vow_chaos_options;

/** Options for vow_chaos_new: &VOW_CHAOS_OPTIONS(.error_rate = 0.1). */
#define VOW_CHAOS_OPTIONS(...) VOW_SIZED(vow_chaos_options, __VA_ARGS__)

/**
 * Makes chaos, none by default.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @return     owned; NULL if memory ran out (errno is ENOMEM), or a rate or the time is
 *             below 0, or the rates are more than 1 together (EINVAL)
 * @contract   any thread; never blocks; allocates; runs no user code
 */
vow_chaos *vow_chaos_new(const vow_chaos_options *opt) VOW_MUST_USE;

/**
 * Takes another reference to chaos.
 *
 * @param c   borrowed; may be NULL
 * @return    owned; @p c itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_chaos *vow_chaos_ref(vow_chaos *c);

/**
 * Lets go of chaos.
 *
 * @param c   consumed; may be NULL
 * @contract  any thread; never blocks; frees; runs no user code
 */
void vow_chaos_unref(vow_chaos *c);

/**
 * Runs @p fn on @p on, or what was drawn instead.
 *
 * @param c    borrowed; NULL draws nothing
 * @param on   shared until fn has run; NULL is inline
 * @param fn   called at most once
 * @param ctx  consumed: a pointer or VOW_NIL
 * @return     owned; NULL if memory ran out, and then @p fn never runs
 * @contract   any thread; never blocks (a bounded executor may); allocates; may run
 *             @p fn before it returns if @p on is inline
 */
vow_future *vow_chaos_call(vow_chaos *c, vow_executor *on, vow_task_fn *fn, vow_value ctx)
    VOW_MUST_USE;

VOW_END_DECLS

#endif
