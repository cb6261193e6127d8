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
#include <vow/cancel.h>
#include <vow/classify.h>
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
#define VOW_BUDGET_OPTIONS(...) VOW_SIZED(vow_budget_options, __VA_ARGS__)

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

/** Says whether an attempt that failed is worth another; @p error is lent. */
typedef bool vow_should_retry_fn(const vow_error *error, unsigned attempt, void *ctx);

/** One attempt that has ended; lent to an observer. */
typedef struct vow_attempt {
    unsigned number;        /**< 1 is the first */
    const vow_error *error; /**< lent; NULL: it worked */
    vow_ns took;            /**< from its start to its end, time in queues included */
    bool retries;           /**< another one follows */
    vow_ns pause;           /**< after so long, if another one follows */
} vow_attempt;

/** Told of each attempt that has ended, one at a time, before what follows from it. */
typedef void vow_retry_observer_fn(const vow_attempt *attempt, void *ctx);

/** How to try again; see VOW_RETRY_OPTIONS. 0 in any field is its default. */
typedef struct vow_retry_options {
    size_t size;            /**< of this struct: the macro sets it */
    unsigned max_attempts;  /**< the first included; default 4 */
    vow_backoff backoff;    /**< default: exponential */
    vow_jitter jitter;      /**< default: full */
    vow_ns base_delay;      /**< the first pause before jitter; default 100 ms */
    vow_ns max_delay;       /**< of a pause; default 20 s */
    double factor;          /**< of exponential pauses; default 2 */
    vow_ns attempt_timeout; /**< an attempt that takes longer has failed; default: none */
    vow_ns deadline;        /**< all of it ends by that time; default: never */
    vow_should_retry_fn *should_retry; /**< default: see vow_retry */
    void *should_retry_ctx;            /**< borrowed as long as ctx is kept */
    const vow_classes *classes;        /**< instead of should_retry: borrowed likewise */
    vow_token *token;   /**< shared: the call is cancelled when it fires; default: none */
    vow_budget *budget; /**< shared; default: no limit but max_attempts */
    vow_clock *clock;   /**< borrowed; default: the clock in force where it is read, on
                             whichever thread that is */
    uint64_t seed;      /**< of the jitter; default: a different one each time */
    vow_retry_observer_fn *observer; /**< default: nobody is told */
    void *observer_ctx;              /**< borrowed as long as ctx is kept */
} vow_retry_options;

/** Options for vow_retry: &VOW_RETRY_OPTIONS(.max_attempts = 5). */
#define VOW_RETRY_OPTIONS(...) VOW_SIZED(vow_retry_options, __VA_ARGS__)

/**
 * Runs @p fn on @p on until it works, or there is no sense or no leave to go on.
 *
 * Without should_retry, each error is worth another attempt but VOW_E_CANCELLED,
 * VOW_E_OPEN and VOW_E_NOMEM. An error that says how long to wait first
 * (vow_error_retry) makes the pause that long, if it would be shorter; one that says
 * VOW_FOREVER is not worth another attempt. No pause begins that would not end before the
 * deadline. The error of more than one attempt has the
 * code and, as its cause, the error of the last; its note "attempts" says how many, its
 * note "retry" why no more: "attempts", "error", "deadline" or "budget".
 *
 * @param on   shared until the last attempt has ended; NULL is inline: attempts run here,
 *             those after a pause where timers on the clock are fired (vow_sleep)
 * @param opt  borrowed for the call; NULL is the defaults
 * @param fn   called once for each attempt, one at a time
 * @param ctx  consumed: a pointer or VOW_NIL, passed to each attempt; dropped after the
 *             last one returned and before the future settles, but for a future that was
 *             cancelled, or an attempt that timed out: those may still wind down
 * @return     owned; NULL if memory ran out: then @p fn ran once at most, and never runs
 *             again; rejected with VOW_E_INVALID if an option makes no sense: a time or a factor below 0
 * @contract   any thread; never blocks (a bounded executor may); allocates, for each
 *             attempt as well; may run @p fn before it returns if @p on is inline
 */
vow_future *vow_retry(vow_executor *on, const vow_retry_options *opt, vow_task_fn *fn,
                      vow_value ctx) VOW_MUST_USE;

VOW_END_DECLS

#endif
