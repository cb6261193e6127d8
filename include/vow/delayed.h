/* SPDX-License-Identifier: MIT */
/**
 * @file vow/delayed.h
 * Time: work after a delay, at a point in time, sleeping, and bare timers.
 *
 *     vow_future *f = vow_submit_after(pool, vow_ms(200), refresh, vow_ptr(cache));
 *     vow_future *pause = vow_sleep(NULL, vow_seconds(1));
 *
 * Deadlines are nanoseconds on a clock and never early. An executor with a clock of its
 * own (the manual one, a loop) fires its timers itself. Those of all others are fired
 * by one thread of the process, which starts when the first is armed, runs no user
 * code, and posts what is due to the executor that it is for; unless the process clock
 * was replaced (vow_clock_use) by one that names who fires timers on it, as a manual
 * executor's does: then a test needs no sleep. A timer keeps the clock on which it was
 * armed.
 *
 * To arm and to cancel is O(1) whatever is armed, and allocates nothing.
 *
 * When an executor closes, in either mode, its timers end at once with VOW_E_CLOSED.
 */
#ifndef VOW_DELAYED_H
#define VOW_DELAYED_H

#include <vow/executor.h>

VOW_BEGIN_DECLS

/**
 * Runs @p fn on @p on after a delay, on the clock of @p on; otherwise as vow_submit.
 *
 * Cancelling the future before it is due disarms the timer and frees it at once.
 *
 * @param on     shared until fn has run; NULL: whoever fires timers on the clock in force
 *               here, which is the default pool unless it is a test's
 * @param delay  0 or less: at once, but never before the call returns
 * @param fn     called at most once
 * @param ctx    consumed: a pointer or VOW_NIL
 * @return       owned; NULL if memory ran out, and then @p fn never runs. Rejected with
 *               VOW_E_CLOSED, or with EAGAIN if the timer thread could not be started
 * @contract     any thread; never blocks; one allocation; runs no user code but the
 *               drop of @p ctx if it was refused
 */
vow_future *vow_submit_after(vow_executor *on, vow_ns delay, vow_task_fn *fn,
                             vow_value ctx) VOW_MUST_USE;

/**
 * Runs @p fn on @p on once its clock reads @p when; otherwise as vow_submit_after.
 *
 * @param on    as for vow_submit_after
 * @param when  past: at once, but never before the call returns
 * @param fn    called at most once
 * @param ctx   consumed: a pointer or VOW_NIL
 * @return      as of vow_submit_after
 * @contract    as vow_submit_after
 */
vow_future *vow_submit_at(vow_executor *on, vow_ns when, vow_task_fn *fn, vow_value ctx)
    VOW_MUST_USE;

/** What happens to points in time that have passed before the work could be done. */
typedef enum vow_missed {
    VOW_MISSED_SKIP = 0,  /**< they are left out; the later ones stay where they were */
    VOW_MISSED_BURST = 1, /**< each is made up for, at once, one after the other */
    VOW_MISSED_DELAY = 2  /**< the next one is a period from now, and so on from there */
} vow_missed;

/**
 * Runs @p fn on @p on again and again: for the first time one period from now, then each
 * time one period after it was due. Never twice at once: the next time is looked at when
 * @p fn has returned, and if it returned a future, when that has settled.
 *
 * The future stays pending until @p fn fails, which rejects it with that error; until it
 * is cancelled; or until @p on closes. The values that @p fn returns are dropped, but
 * vow_yield_task fails it with VOW_E_INVALID: what comes next is decided here. Letting
 * go of the future changes nothing. A cancel while @p fn runs takes effect when it has
 * returned, and is passed on to the future that it returned.
 *
 * @param on      as for vow_submit_after, until it ends
 * @param period  more than 0, else VOW_E_INVALID
 * @param missed  what to do when a time was missed
 * @param fn      called once for each time
 * @param ctx     consumed: a pointer or VOW_NIL; dropped when it ends
 * @return        owned; NULL if memory ran out, and then @p fn never runs. Never
 *                fulfilled. Rejected as that of vow_submit_after too
 * @contract      any thread; never blocks; allocates here, and later only to watch what
 *                @p fn returned; runs no user code but the drop of @p ctx if it was refused
 */
vow_future *vow_submit_every(vow_executor *on, vow_ns period, vow_missed missed,
                             vow_task_fn *fn, vow_value ctx) VOW_MUST_USE;

/**
 * Returns a future that is fulfilled with VOW_NIL after a time. Its inline steps run
 * where timers on that clock are fired: a thread of the default pool, a loop, a test.
 * Cancelling it disarms the timer and frees it at once.
 *
 * @param clock     borrowed while armed; NULL: the clock in force here (vow_now)
 * @param duration  0 or less: due at once
 * @return          owned; NULL if memory ran out. Rejected as that of vow_submit_after
 * @contract        any thread; never blocks; one allocation; runs no user code
 */
vow_future *vow_sleep(vow_clock *clock, vow_ns duration) VOW_MUST_USE;

/* ---- bare timers --------------------------------------------------------- */

/**
 * Arms a timer in the caller's storage: its run is called on @p on, with 0, once the
 * clock of @p on reads @p when; or with a VOW_E_ code, on any thread, if it never will.
 * Exactly once, unless it is disarmed before.
 *
 * @param on     kept until it runs; NULL: as for vow_submit_after
 * @param timer  lent until its run is called or it is disarmed; not armed; all zero but
 *               task.run and task.priority when it is armed for the first time
 * @param when   a past deadline is due at once, and comes before later ones
 * @return       0; VOW_E_CLOSED; VOW_E_NOMEM, EAGAIN, ENOMEM: no thread to fire it. Then
 *               it is not armed, and its run is not called
 * @contract     any thread; never blocks; no memory, but on the first use of the timer
 *               thread or the default pool; runs no user code
 */
int vow_timer_arm(vow_executor *on, vow_timer *timer, vow_ns when) VOW_MUST_USE;

/**
 * Disarms a timer. After VOW_REMOVED it never runs, and its storage is the caller's.
 * VOW_RUNNING: it is due and on its way, or it runs; VOW_RAN: its run has returned, or
 * it was never armed.
 *
 * @param timer  borrowed; its executor must still be there: whoever may come late has
 *               a reference to it. NULL: VOW_RAN
 * @return       what became of it
 * @contract     any thread; never blocks; no memory; runs no user code
 */
vow_removal vow_timer_disarm(vow_timer *timer);

/**
 * Gives an armed timer another deadline, on the same executor and clock.
 *
 * @param timer  as for vow_timer_disarm
 * @param when   as for vow_timer_arm
 * @return       VOW_REMOVED: it had not run and is armed anew (if its executor closes
 *               meanwhile it ends with VOW_E_CLOSED). Else nothing was done
 * @contract     any thread, one at a time for each timer; never blocks; no memory; runs
 *               no user code but the timer's run, if its executor closes meanwhile
 */
vow_removal vow_timer_rearm(vow_timer *timer, vow_ns when);

/**
 * Finishes a timer that became due, or was given up. For executors with timers of their
 * own, whose clock says that they fire those of others as well (vow_clock.timers):
 * called instead of the timer's run, which it calls, or posts to the executor that the
 * timer is for. Of a timer that was fired for another executor, disarm then says
 * VOW_RUNNING: whether that has ended the library knows.
 *
 * @param timer  taken out of what its executor has armed; may be gone on return
 * @param why    0: it is due; else a VOW_E_ code
 * @contract     a thread that runs tasks of the timer's home, or closes it; blocks only if
 *               what it calls does; no memory; runs the timer's run
 */
void vow_timer_fire(vow_timer *timer, int why);

VOW_END_DECLS

#endif
