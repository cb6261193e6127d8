/* SPDX-License-Identifier: MIT */
/**
 * @file vow/manual.h
 * An executor that a test steps, with a clock that stands still until told.
 *
 *     vow_manual *m = vow_manual_new();
 *     vow_future *f = vow_submit(vow_manual_executor(m), work, VOW_NIL);
 *
 *     assert(vow_future_status(f) == VOW_PENDING);
 *     vow_manual_run(m);
 *     assert(vow_future_status(f) == VOW_FULFILLED);
 *
 * Tasks run in the order in which they were posted, on the thread that steps.
 * Posting is allowed from any thread; stepping from one at a time.
 */
#ifndef VOW_MANUAL_H
#define VOW_MANUAL_H

#include <vow/executor.h>

VOW_BEGIN_DECLS

/** The stepper's end of a manual executor. */
typedef struct vow_manual vow_manual;

/**
 * Makes a manual executor, its clock at zero.
 *
 * @return    owned; NULL if memory ran out
 * @contract  any thread; never blocks; allocates; runs no user code
 */
vow_manual *vow_manual_new(void) VOW_MUST_USE;

/**
 * Lets go of a manual executor. What is still queued or armed on it settles with
 * VOW_E_CLOSED on this thread.
 *
 * @param m   consumed; may be NULL
 * @contract  the stepping thread, not inside a step of it; never blocks; frees;
 *            runs drops and inline steps
 */
void vow_manual_unref(vow_manual *m);

/**
 * Returns the executor to post to.
 *
 * @param m   borrowed; may be NULL
 * @return    borrowed from @p m; NULL, which is inline, if @p m is NULL
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_executor *vow_manual_executor(vow_manual *m);

/**
 * Returns the clock that vow_manual_advance moves.
 *
 * @param m   borrowed; may be NULL
 * @return    borrowed from @p m; NULL, which is the real clock, if @p m is NULL
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_clock *vow_manual_clock(vow_manual *m);

/**
 * Runs the oldest task that is queued.
 *
 * @param m   borrowed
 * @return    false if there was none
 * @contract  one thread at a time; blocks only if the task does; frees; runs the
 *            task and the inline steps it settles
 */
bool vow_manual_step(vow_manual *m);

/**
 * Runs tasks until none is queued, those included that they post.
 *
 * @param m   borrowed
 * @return    how many ran
 * @contract  as vow_manual_step
 */
size_t vow_manual_run(vow_manual *m);

/**
 * Moves the clock, deadline by deadline: what is due runs at its own time, and
 * what it posts or arms in between runs as well, before the clock moves on.
 *
 * @param m   borrowed
 * @param by  how far; 0 or less runs what is due now
 * @return    how many tasks ran
 * @contract  as vow_manual_step
 */
size_t vow_manual_advance(vow_manual *m, vow_ns by);

VOW_END_DECLS

#endif
