/* SPDX-License-Identifier: MIT */
/**
 * @file vow/retry.h
 * Trying again, with pauses that grow, and an end.
 *
 *     vow_future *f = vow_retry(pool, &VOW_RETRY_OPTIONS(.max_attempts = 5),
 *                               fetch_page, vow_own(strdup(url), free));
 *
 * An attempt that fails is followed by a pause and another one, as long as
 * should_retry says that it makes sense, attempts are left, there is time for the
 * pause and the budget allows it. Otherwise the future is rejected with the last
 * error: as it is after one attempt, else wrapped in an error of the same code that
 * says how often was tried, and why no more.
 *
 * Cancelling the future settles it with VOW_E_CANCELLED at once, in each phase: a
 * pause ends, an attempt that has not started never does, one that runs is asked to
 * stop, and no other follows.
 *
 * Each attempt is a task on the executor named: nothing grows with their number, and
 * a million of them take no more memory or stack than one.
 */
#ifndef VOW_RETRY_H
#define VOW_RETRY_H

#include <limits.h>

#include <vow/base.h>
#include <vow/executor.h>
#include <vow/future.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** How pauses grow, before jitter and max_delay. */
typedef enum vow_backoff {
    VOW_BACKOFF_EXPONENTIAL = 0, /**< base_delay, times factor for each further one */
    VOW_BACKOFF_NONE,            /**< no pause */
    VOW_BACKOFF_CONSTANT,        /**< base_delay */
    VOW_BACKOFF_LINEAR           /**< base_delay, twice, three times ... */
} vow_backoff;

/**
 * How pauses vary, so that callers that failed together do not come back together.
 * The names are those of Brooker, "Exponential Backoff and Jitter" (2015).
 */
typedef enum vow_jitter {
    VOW_JITTER_FULL = 0,    /**< from 0 to the pause */
    VOW_JITTER_NONE,        /**< exactly the pause */
    VOW_JITTER_EQUAL,       /**< from half of the pause to all of it */
    VOW_JITTER_DECORRELATED /**< from base_delay to three times the pause before; then
                                 backoff says only whether there are pauses at all */
} vow_jitter;

/** .max_attempts for as many as it takes. */
#define VOW_RETRY_FOREVER UINT_MAX

/** Tokens that retries of many calls share, so that they do not multiply an outage. */
typedef struct vow_budget vow_budget;

/** How to make a budget; see VOW_BUDGET_OPTIONS. 0 in any field is its default. */
typedef struct vow_budget_options {
    size_t size;       /**< of this struct: the macro sets it */
    double ratio;      /**< retries allowed per call; default 0.1 */
    double per_second; /**< and besides, each second; default 10 */
    double most;       /**< kept for later at most; default 10 seconds' worth and 10 */
    vow_clock *clock;  /**< borrowed; default: the clock in force at each call */
} vow_budget_options;

/** Options for vow_budget_new: &VOW_BUDGET_OPTIONS(.ratio = 0.2). */
#define VOW_BUDGET_OPTIONS(...)                                                          \
    (vow_budget_options)                                                                 \
    {                                                                                    \
        .size = sizeof(vow_budget_options), __VA_ARGS__                                  \
    }

/**
 * Makes a budget, full.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @return     owned; NULL if memory ran out (errno is ENOMEM) or a number is below 0
 *             (EINVAL)
 * @contract   any thread; never blocks; allocates; runs no user code but the clock's
 *             now()
 */
vow_budget *vow_budget_new(const vow_budget_options *opt) VOW_MUST_USE;

/**
 * Takes another reference to a budget.
 *
 * @param b   borrowed; may be NULL
 * @return    owned; @p b itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_budget *vow_budget_ref(vow_budget *b);

/**
 * Lets go of a budget.
 *
 * @param b   consumed; may be NULL
 * @contract  any thread; never blocks; frees; runs no user code
 */
void vow_budget_unref(vow_budget *b);

/**
 * Says that a call is made: adds ratio. vow_retry does so for each call.
 *
 * @param b   borrowed; may be NULL
 * @contract  any thread; never blocks; no memory; runs no user code
 */
void vow_budget_deposit(vow_budget *b);

/**
 * Asks for one retry. vow_retry does so before each.
 *
 * @param b   borrowed; NULL allows it
 * @return    whether it is allowed; then it is paid for
 * @contract  any thread; never blocks; no memory; runs the clock's now()
 */
bool vow_budget_withdraw(vow_budget *b) VOW_MUST_USE;

VOW_END_DECLS

#endif
