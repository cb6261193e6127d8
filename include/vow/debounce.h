/* SPDX-License-Identifier: MIT */
/**
 * @file vow/debounce.h
 * Many calls, few runs: the last of a burst (debounce), or one in each period (throttle).
 *
 *     vow_pace *save = vow_debounce_new(&VOW_PACE_OPTIONS(.wait = vow_ms(300)));
 *     vow_ignore(vow_pace_call(save, pool, write_file, vow_own(strdup(text), free)));
 *
 * A debounce runs a call when no other has come for `wait`, and each that comes replaces
 * the one before. A throttle runs a call at once and then lets `wait` pass before the
 * next; of those that come meanwhile the last one runs then.
 *
 * A call that was replaced is superseded: by default its future is rejected with
 * VOW_E_CANCELLED; with VOW_SUPERSEDED_SHARE it gets the outcome of the run that came of
 * it. Its context is dropped at once, either way.
 */
#ifndef VOW_DEBOUNCE_H
#define VOW_DEBOUNCE_H

#include <vow/base.h>
#include <vow/executor.h>
#include <vow/future.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** A debounce or a throttle. Counted; any number of threads may share one. */
typedef struct vow_pace vow_pace;

/** When a burst of calls runs one. */
typedef enum vow_edges {
    VOW_EDGES_DEFAULT = 0, /**< debounce: trailing; throttle: both */
    VOW_EDGE_LEADING = 1,  /**< the first at once; others meanwhile are superseded */
    VOW_EDGE_TRAILING = 2, /**< the last, at the end */
    VOW_EDGE_BOTH = 3 /**< the first at once, and the last at the end if others came */
} vow_edges;

/** What becomes of a call that was replaced. */
typedef enum vow_superseded {
    VOW_SUPERSEDED_CANCEL = 0, /**< it is rejected with VOW_E_CANCELLED */
    VOW_SUPERSEDED_SHARE /**< it gets the outcome of the one that runs in its place */
} vow_superseded;

/** How to pace calls; see VOW_PACE_OPTIONS. 0 in any field is its default. */
typedef struct vow_pace_options {
    size_t size;     /**< of this struct: the macro sets it */
    vow_ns wait;     /**< default 100 ms */
    vow_ns max_wait; /**< a debounce runs at least so often; default: it waits */
    vow_edges edges; /**< which calls of a burst run */
    vow_superseded superseded; /**< what the others get */
    vow_clock *clock;          /**< borrowed; default: the clock in force at each call */
} vow_pace_options;

/** Options for vow_debounce_new, vow_throttle_new: &VOW_PACE_OPTIONS(.wait = vow_ms(50)). */
#define VOW_PACE_OPTIONS(...) VOW_SIZED(vow_pace_options, __VA_ARGS__)

/**
 * Makes a debounce.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @return     owned; NULL if memory ran out (errno is ENOMEM) or a time is below 0
 *             (EINVAL)
 * @contract   any thread; never blocks; allocates; runs no user code
 */
vow_pace *vow_debounce_new(const vow_pace_options *opt) VOW_MUST_USE;

/**
 * Makes a throttle. Its max_wait means nothing.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @return     as of vow_debounce_new
 * @contract   as vow_debounce_new
 */
vow_pace *vow_throttle_new(const vow_pace_options *opt) VOW_MUST_USE;

/**
 * Takes another reference to a debounce or a throttle.
 *
 * @param p   borrowed; may be NULL
 * @return    owned; @p p itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_pace *vow_pace_ref(vow_pace *p);

/**
 * Lets go of a debounce or a throttle. What waits runs all the same.
 *
 * @param p   consumed; may be NULL
 * @contract  any thread; never blocks; frees; runs no user code
 */
void vow_pace_unref(vow_pace *p);

/**
 * Makes a call: it runs now, or later, or another one in its place.
 *
 * Cancelling the future of a call that waits takes it away, and nothing runs in its
 * place; of a shared one, when all who share it have cancelled. One that runs is asked
 * to stop likewise, but not before the window has ended in which others may share it.
 *
 * @param p    shared while the call waits; NULL runs it now
 * @param on   shared until fn has run or was superseded; NULL is inline: fn runs here, or
 *             later where timers on the clock are fired (vow_sleep)
 * @param fn   called at most once
 * @param ctx  consumed: a pointer or VOW_NIL
 * @return     owned; NULL if memory ran out, and then @p fn never runs
 * @contract   any thread; never blocks (a bounded executor may); allocates; may run
 *             @p fn before it returns if @p on is inline; runs drops and inline steps of a
 *             call that it supersedes
 */
vow_future *vow_pace_call(vow_pace *p, vow_executor *on, vow_task_fn *fn, vow_value ctx)
    VOW_MUST_USE;

/**
 * Runs the call that waits now, if there is one.
 *
 * @param p   borrowed; may be NULL
 * @return    whether there was one
 * @contract  any thread; never blocks (a bounded executor may); allocates; may run the
 *            call if its executor is inline
 */
bool vow_pace_flush(vow_pace *p);

VOW_END_DECLS

#endif
