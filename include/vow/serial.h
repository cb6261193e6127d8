/* SPDX-License-Identifier: MIT */
/**
 * @file vow/serial.h
 * One after another, on any executor: a queue with no thread of its own.
 *
 *     vow_executor *account = vow_serial_new(pool);
 *
 *     vow_submit(account, deposit, ...);
 *     vow_submit(account, withdraw, ...);
 *
 * Tasks run on the threads of the executor behind it, in the order in which they
 * were posted, never two at once: what they touch needs no lock. Different serial
 * executors on one pool run side by side.
 *
 * After some tasks in a row it goes to the back of the queue of the executor behind
 * it, so that a busy one leaves the others their share. Priorities are ignored.
 *
 * A task on it must not wait for a pending future, since what would settle it may be
 * queued behind: vow_get gives VOW_E_DEADLOCK. Return the future with vow_follow, or
 * hang a step on it. While the result of a task follows a future, the next task runs.
 */
#ifndef VOW_SERIAL_H
#define VOW_SERIAL_H

#include <vow/executor.h>

VOW_BEGIN_DECLS

/**
 * Makes a serial executor. Close it or let go of it as any other.
 *
 * If the executor behind it refuses, the task that was posted is refused with that
 * code, and what was posted to the serial one meanwhile is ended with it. If it is
 * closed with VOW_CANCEL_QUEUED, or drops what it has queued, all that is queued here
 * ends likewise.
 *
 * @param on  shared; NULL is inline: tasks run in the thread that posts while none
 *            runs, and what other threads post meanwhile follows there
 * @return    owned; NULL if memory ran out
 * @contract  any thread; never blocks; allocates; runs no user code
 */
vow_executor *vow_serial_new(vow_executor *on) VOW_MUST_USE;

VOW_END_DECLS

#endif
