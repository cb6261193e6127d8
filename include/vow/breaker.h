/* SPDX-License-Identifier: MIT */
/**
 * @file vow/breaker.h
 * A circuit breaker: it stops calling what keeps failing, and tries again later.
 *
 *     vow_breaker *b = vow_breaker_new(&VOW_BREAKER_OPTIONS(.failure_rate = 0.5,
 *                                                           .open_for = vow_seconds(5)));
 *     vow_future *f = vow_breaker_call(b, pool, fetch_price, vow_ptr(item));
 *
 * Closed, it lets all calls through and watches how they end. When too many of the
 * last ones failed, or were slow, it trips: it is open, and calls fail at once with
 * VOW_E_OPEN. After open_for it is half open: a few calls, the probes, go through,
 * and how they end decides whether it closes or opens again, for longer.
 *
 * What counts. A call that was cancelled, one whose function never ran, and one that
 * failed for a reason of this process (VOW_E_CANCELLED, _LIMIT, _OPEN, _CLOSED, _NOMEM,
 * _FORKED) counts as neither success nor failure, unless is_failure says that it does.
 *
 * Each admission is stamped with the epoch of the breaker, which every change of state
 * moves on: what a call of an earlier epoch reports shows in the metrics and decides
 * nothing. A probe that does not end within probe_timeout is a failure, dated at that
 * moment, and its place is free again; so no call, whatever becomes of it, keeps a
 * breaker half open for ever.
 *
 * There is no timer: a breaker that is due to be half open is so at the next call.
 */
#ifndef VOW_BREAKER_H
#define VOW_BREAKER_H

#include <vow/base.h>
#include <vow/classify.h>
#include <vow/executor.h>
#include <vow/future.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** A circuit breaker. Counted; any number of threads and calls may share one. */
typedef struct vow_breaker vow_breaker;

/** Where a breaker stands. */
typedef enum vow_breaker_state {
    VOW_BREAKER_CLOSED = 0,    /**< calls go through and are watched */
    VOW_BREAKER_OPEN,          /**< calls fail at once, until open_for has passed */
    VOW_BREAKER_HALF_OPEN,     /**< probes go through, other calls fail at once */
    VOW_BREAKER_FORCED_OPEN,   /**< calls fail at once, until told otherwise */
    VOW_BREAKER_FORCED_CLOSED, /**< calls go through, whatever becomes of them */
    VOW_BREAKER_COUNT_ONLY     /**< as forced closed; the window is kept all the same */
} vow_breaker_state;

/** How a call ended, for vow_breaker_report. */
typedef enum vow_outcome {
    VOW_OUTCOME_SUCCESS = 0,
    VOW_OUTCOME_FAILURE,
    VOW_OUTCOME_CANCELLED /**< neither: its place is free again, and nothing counts */
} vow_outcome;

/**
 * Says whether an error speaks against the callee; @p error is lent. Of what it denies,
 * the errors of this process that are named above count as neither, others, "not found"
 * say, as successes: the callee has answered.
 */
typedef bool vow_is_failure_fn(const vow_error *error, void *ctx);

/** Called after each change of state, with no lock held, one call at a time. */
typedef void vow_breaker_change_fn(vow_breaker *b, vow_breaker_state from,
                                   vow_breaker_state to, void *ctx);

/** .open_jitter for an open time that is exact. */
#define VOW_BREAKER_NO_JITTER (-1.0)

/** How a breaker behaves; see VOW_BREAKER_OPTIONS. 0 in any field is its default. */
typedef struct vow_breaker_options {
    size_t size;            /**< of this struct: the macro sets it */
    const char *name;       /**< for messages; borrowed as long as the breaker is */
    unsigned window_calls;  /**< judge the last so many calls; default 100 */
    vow_ns window_time;     /**< or, if set, the calls of the last so long, in tenths */
    unsigned min_calls;     /**< in the window before it may trip; default 10 */
    unsigned consecutive;   /**< failures in a row that trip it as well; default none */
    double failure_rate;    /**< trips at this share of failures; default 0.5 */
    double slow_rate;       /**< trips at this share of slow calls; default 1.0 */
    vow_ns slow_after;      /**< a call longer than this is slow; default: none is */
    vow_ns open_for;        /**< how long it stays open; default 5 s */
    double open_factor;     /**< times this for each trip in a row; default 2 */
    vow_ns open_max;        /**< but no longer; default 60 s, at least open_for */
    double open_jitter;     /**< and then varied by this share; default 0.1, at most 1 */
    unsigned probes;        /**< calls at once while half open; default 1 */
    unsigned probe_results; /**< results that decide; default: probes */
    vow_ns probe_timeout;   /**< default: open_for */
    vow_is_failure_fn *is_failure; /**< default: all errors but those named above */
    void *is_failure_ctx;          /**< borrowed */
    const vow_classes *classes;    /**< instead of is_failure: borrowed; see classify.h */
    vow_breaker_change_fn *on_change; /**< default: nobody is told */
    void *on_change_ctx;              /**< borrowed */
    vow_clock *clock; /**< borrowed; default: the clock in force at each call */
    uint64_t seed;    /**< of the jitter; default: a different one each time */
} vow_breaker_options;

/** Options for vow_breaker_new: &VOW_BREAKER_OPTIONS(.failure_rate = 0.3). */
#define VOW_BREAKER_OPTIONS(...) VOW_SIZED(vow_breaker_options, __VA_ARGS__)

/**
 * Makes a breaker, closed.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @return     owned; NULL if memory ran out (errno is ENOMEM) or an option makes no
 *             sense (EINVAL): a rate or a jitter above 1, a factor below 1, a time
 *             below 0, more than 65,536 calls in the window or 1,024 probes
 * @contract   any thread; never blocks; allocates; runs no user code
 */
vow_breaker *vow_breaker_new(const vow_breaker_options *opt) VOW_MUST_USE;

/**
 * Takes another reference to a breaker.
 *
 * @param b   borrowed; may be NULL
 * @return    owned; @p b itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_breaker *vow_breaker_ref(vow_breaker *b);

/**
 * Lets go of a breaker. Calls in flight keep it.
 *
 * @param b   consumed; may be NULL
 * @contract  any thread; never blocks; frees; runs no user code
 */
void vow_breaker_unref(vow_breaker *b);

/**
 * Runs @p fn on @p on if the breaker lets it, and returns a future for its outcome.
 *
 * If not, the future is rejected with VOW_E_OPEN at once, the context is dropped,
 * and vow_error_retry_after says how long the breaker stays open. How long a call
 * took is measured from the start of @p fn until what it returned has settled.
 *
 * @param b    shared until the call has ended; NULL lets every call through
 * @param on   shared until fn has run; NULL is inline
 * @param fn   called at most once
 * @param ctx  consumed: a pointer or VOW_NIL
 * @return     owned; NULL if memory ran out, and then @p fn never runs
 * @contract   any thread; never blocks (a bounded executor may); allocates; may run
 *             @p fn before it returns if @p on is inline; may run on_change
 */
vow_future *vow_breaker_call(vow_breaker *b, vow_executor *on, vow_task_fn *fn,
                             vow_value ctx) VOW_MUST_USE;

/** Leave to make one call. Give it to vow_breaker_report once. */
typedef struct vow_permit {
    uint64_t epoch;  /**< the breaker's, at admission */
    uint64_t probe;  /**< which probe it is; 0: none */
    vow_ns admitted; /**< when, on the breaker's clock */
} vow_permit;

/**
 * Asks for leave to make a call, for code without futures.
 *
 * @param b       borrowed; NULL gives leave
 * @param permit  out; written when leave is given
 * @return        0; VOW_E_OPEN: do not call
 * @contract      any thread; never blocks; no memory; may run on_change
 */
int vow_breaker_acquire(vow_breaker *b, vow_permit *permit) VOW_MUST_USE;

/**
 * Says how a call ended. Whether it was slow follows from the time since leave was
 * given.
 *
 * @param b        borrowed; may be NULL
 * @param permit   borrowed; from vow_breaker_acquire of this breaker, not reported yet
 * @param outcome  how it ended
 * @contract       any thread; never blocks; no memory; may run on_change
 */
void vow_breaker_report(vow_breaker *b, const vow_permit *permit, vow_outcome outcome);

/**
 * Returns where a breaker stands now. One that was open for long enough is still
 * open: a call makes it half open, asking does not.
 *
 * @param b   borrowed; NULL is closed
 * @return    the state
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_breaker_state vow_breaker_state_of(const vow_breaker *b);

/**
 * Returns how long a breaker will still refuse calls.
 *
 * @param b   borrowed; may be NULL
 * @return    a duration; 0 if the next call may go through, VOW_FOREVER if it is
 *            forced open, or open_for is
 * @contract  any thread; never blocks; no memory; runs the clock's now()
 */
vow_ns vow_breaker_open_remaining(const vow_breaker *b);

/**
 * Puts a breaker into a state by hand. VOW_BREAKER_CLOSED starts anew, as
 * vow_breaker_reset does; VOW_BREAKER_OPEN opens it as a trip would, for open_for. What is
 * no state changes nothing; the hook for warnings is told.
 *
 * @param b      borrowed; may be NULL
 * @param state  the state
 * @contract     any thread; never blocks; no memory; may run on_change, or the hook for
 *               warnings
 */
void vow_breaker_force(vow_breaker *b, vow_breaker_state state);

/**
 * Closes a breaker and forgets what it has seen, all but the totals of its metrics.
 *
 * @param b   borrowed; may be NULL
 * @contract  any thread; never blocks; no memory; may run on_change
 */
void vow_breaker_reset(vow_breaker *b);

/** What a breaker has seen. */
typedef struct vow_breaker_metrics {
    size_t size;              /**< set to sizeof(vow_breaker_metrics) by the caller */
    vow_breaker_state state;  /**< as vow_breaker_state_of */
    uint64_t epoch;           /**< changes of state so far */
    uint64_t admitted;        /**< calls let through */
    uint64_t refused;         /**< calls that got VOW_E_OPEN */
    uint64_t successes;       /**< reported as such, late ones included */
    uint64_t failures;        /**< reported as such, late ones included */
    uint64_t cancelled;       /**< reported as neither, late ones included */
    uint64_t slow;            /**< of the successes and failures, slow ones */
    uint64_t late;            /**< of all three, reported in a later epoch */
    uint64_t hung;            /**< probes that took longer than probe_timeout */
    uint64_t trips;           /**< times it opened by itself */
    uint64_t window_calls;    /**< in the window now, out of which: */
    uint64_t window_failures; /**< failures */
    uint64_t window_slow;     /**< slow calls */
    vow_ns open_remaining;    /**< as vow_breaker_open_remaining */
} vow_breaker_metrics;

/**
 * Reads all that a breaker has seen, at one moment.
 *
 * @param b        borrowed; NULL is a breaker that saw nothing
 * @param metrics  out; its size set by the caller
 * @contract       any thread; never blocks; no memory; runs the clock's now()
 */
void vow_breaker_read(const vow_breaker *b, vow_breaker_metrics *metrics);

VOW_END_DECLS

#endif
