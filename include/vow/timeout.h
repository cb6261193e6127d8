/* SPDX-License-Identifier: MIT */
/**
 * @file vow/timeout.h
 * Waiting for so long and no longer.
 *
 *     vow_future *f = vow_timeout(vow_submit(pool, fetch, VOW_NIL), vow_seconds(5));
 *
 * A future that has not settled in time is given up: the result is rejected with
 * VOW_E_TIMEDOUT at once, and the work behind it is asked to stop, as by
 * vow_future_cancel with that error as the reason; work that still waits in a queue
 * never starts. What it comes to after all is dropped, and counts as handled.
 *
 * If it settles in time its outcome passes through, and the timer is gone at once.
 * Timeouts nest: the shortest wins, and its error says which it was.
 */
#ifndef VOW_TIMEOUT_H
#define VOW_TIMEOUT_H

#include <vow/base.h>
#include <vow/future.h>

VOW_BEGIN_DECLS

/** How to wait; see VOW_TIMEOUT_OPTIONS. 0 in any field is its default. */
typedef struct vow_timeout_options {
    size_t size;      /**< of this struct: the macro sets it */
    const char *name; /**< for the message; copied */
    unsigned flags;   /**< VOW_WAIT: settle only when the work has wound down */
    vow_clock *clock; /**< borrowed until it settles; default: the clock in force here */
} vow_timeout_options;

/** Options for vow_timeout_with: &VOW_TIMEOUT_OPTIONS(.name = "the price service"). */
#define VOW_TIMEOUT_OPTIONS(...) VOW_SIZED(vow_timeout_options, __VA_ARGS__)

/**
 * Gives a future up after a time, on the clock in force here (vow_now).
 *
 * @param f      consumed
 * @param after  how long; 0 or less: only if it has settled already
 * @return       owned; NULL if memory ran out; settles as @p f does, or is rejected with
 *               VOW_E_TIMEDOUT. Inline steps of a rejection run where timers on that
 *               clock are fired (vow_sleep)
 * @contract     any thread; never blocks; allocates; runs no user code but hooks, drops
 *               and steps of @p f if its time is over at once
 */
vow_future *vow_timeout(vow_future *f, vow_ns after) VOW_MUST_USE;

/**
 * Gives a future up after a time on a clock; otherwise as vow_timeout.
 *
 * @param clock  borrowed until it settles; NULL: the clock in force here
 * @param f      consumed
 * @param after  as for vow_timeout
 * @return       as of vow_timeout
 * @contract     as vow_timeout
 */
vow_future *vow_timeout_on(vow_clock *clock, vow_future *f, vow_ns after) VOW_MUST_USE;

/**
 * Gives a future up at a point in time on the clock in force here; otherwise as
 * vow_timeout.
 *
 * @param f     consumed
 * @param when  a time; in the past: only if it has settled already
 * @return      as of vow_timeout
 * @contract    as vow_timeout
 */
vow_future *vow_deadline(vow_future *f, vow_ns when) VOW_MUST_USE;

/**
 * Gives a future up after a time, as the options say; otherwise as vow_timeout.
 *
 * @param opt    borrowed for the call; NULL is the defaults
 * @param f      consumed
 * @param after  as for vow_timeout
 * @return       as of vow_timeout
 * @contract     as vow_timeout
 */
vow_future *vow_timeout_with(const vow_timeout_options *opt, vow_future *f, vow_ns after)
    VOW_MUST_USE;

VOW_END_DECLS

#endif
