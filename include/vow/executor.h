/* SPDX-License-Identifier: MIT */
/**
 * @file vow/executor.h
 * Places where work runs, how to give them work, and how to write one.
 *
 * An executor takes tasks. A task is intrusive: its storage belongs to whoever
 * posts it, so posting never fails for memory. An accepted task is finished
 * exactly once: run(task, 0) does it; run(task, why) says that it never will be
 * done, and why.
 *
 *     vow_future *f = vow_submit(pool, count_words, vow_own(strdup(path), free));
 *     vow_post(pool, log_line, vow_ptr("started"));
 *
 * How to write one: put a vow_executor first in your struct, fill a table of
 * operations (post is the only one that must be there), and call
 * vow_executor_init. Mark the threads that run its tasks with
 * vow_executor_enter, call run for every task you accepted, and say
 * vow_executor_finished when, after a close, nothing is left. The library's own
 * executors use no other door.
 */
#ifndef VOW_EXECUTOR_H
#define VOW_EXECUTOR_H

#include <vow/base.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

struct vow_promise; /* vow/future.h */

typedef struct vow_executor vow_executor;
typedef struct vow_executor_ops vow_executor_ops;

/** Observes a cancellation; see vow/cancel.h. */
typedef struct vow_token vow_token;

/** How urgent a task is, for executors that care. */
enum vow_priority { VOW_NORMAL = 0, VOW_IMMEDIATE, VOW_HIGH, VOW_LOW, VOW_IDLE };

/** Bits of vow_task.flags. The others are zero, and the library's. */
enum vow_task_flag {
    VOW_TASK_STEP = 1, /**< a continuation, not work from outside: always admitted */
    /**
     * Has had a turn and wants another (vow_yield_task): always admitted, like what the
     * executor's own tasks post, and goes behind all that waits at its priority.
     */
    VOW_TASK_AGAIN = 2
};

/** A piece of work. 24 bytes, in the storage of whoever posts it. */
typedef struct vow_task {
    struct vow_task *next; /**< the executor's while the task is queued */
    /**
     * Called exactly once for every accepted task. @p why is 0: do it; else a
     * VOW_E_ code: it never will be done, release what it holds.
     */
    void (*run)(struct vow_task *task, int why);
    unsigned char priority;    /**< an enum vow_priority; may be ignored */
    unsigned char flags;       /**< enum vow_task_flag bits */
    unsigned char reserved[6]; /**< zero, and the library's */
} vow_task;

/** What became of a timer or a registration that was to be removed. */
typedef enum vow_removal {
    VOW_REMOVED = 0, /**< it will not run */
    VOW_RAN = 1,     /**< too late: it has run */
    VOW_RUNNING = 2  /**< too late: it is running right now */
} vow_removal;

/**
 * A task that becomes due. 64 bytes, in the storage of whoever arms it; all zero but
 * task.run. See vow/delayed.h.
 */
typedef struct vow_timer {
    vow_task task;          /**< run(task, 0) when due */
    vow_ns when;            /**< on the clock of the executor it is armed at */
    struct vow_timer *next; /**< the executor's until it runs */
    struct vow_timer *prev; /**< the executor's until it runs */
    vow_executor *home;     /**< whose arm took it last; NULL: it was never armed */
    vow_executor *on;       /**< where it runs, if not at home */
} vow_timer;

/** How an executor stops. A later, stricter mode replaces an earlier one. */
typedef enum vow_close_mode {
    VOW_DRAIN = 0,        /**< finish what is queued, accept nothing from outside */
    VOW_CANCEL_QUEUED = 1 /**< what is queued settles with VOW_E_CLOSED instead */
} vow_close_mode;

/**
 * What an executor can do. Only post must be there. No operation is called with
 * a lock of the library held.
 */
struct vow_executor_ops {
    size_t size;      /**< sizeof(vow_executor_ops), so that it can grow */
    const char *name; /**< what it calls itself in messages */
    /**
     * Takes a task, from any thread, also from inside run, a drop or an unref.
     * Must not run it before it returns. Returns 0; or VOW_E_CLOSED or
     * VOW_E_LIMIT, and then the task was not accepted.
     */
    int (*post)(vow_executor *self, vow_task *task);
    /**
     * Takes @p n tasks linked by next, with one wake; all or none. NULL: each is
     * posted, and what is refused is finished with run(task, why).
     */
    int (*post_many)(vow_executor *self, vow_task *first, size_t n);
    /**
     * Arms a timer on the clock of this executor, by timer->when; returns as post does.
     * With arm there must be disarm. NULL: see vow/delayed.h.
     */
    int (*arm)(vow_executor *self, vow_timer *timer);
    /** Disarms a timer; after VOW_REMOVED its run is not called. */
    vow_removal (*disarm)(vow_executor *self, vow_timer *timer);
    /** Returns whether the calling thread is one of its own, running a task. */
    bool (*is_current)(vow_executor *self);
    /** Returns its clock, borrowed; NULL: the process clock. */
    vow_clock *(*clock)(vow_executor *self);
    /**
     * Called on a thread of its own that wants to wait for @p awaited, a task it
     * accepted. Returns true if it ran something that may have helped, so that
     * the caller looks again; false: nothing to do but wait.
     */
    bool (*help)(vow_executor *self, vow_task *awaited);
    /**
     * Called before each wait on a thread of its own. 0: wait, others still run
     * here; VOW_E_LIMIT: wait, but nothing runs here until a wait of its threads
     * ends; VOW_E_DEADLOCK: the wait fails with that at once. NULL, on an
     * executor that has is_current: waiting on its threads is forbidden.
     */
    int (*block_begin)(vow_executor *self);
    /** Called after each wait that block_begin allowed. */
    void (*block_end)(vow_executor *self);
    /**
     * Begins to stop, once for each stricter mode; must not block. When nothing
     * runs or is queued any more, call vow_executor_finished. NULL: close settles
     * at once. When two threads close at once both may be in here, and the weaker mode
     * may come last, even after the end: then it must change nothing.
     */
    void (*close)(vow_executor *self, vow_close_mode mode);
    /** Blocks until its threads have exited; after its close future settled. */
    void (*join)(vow_executor *self);
    /** Frees it, after the last reference; on whichever thread let go last. */
    void (*destroy)(vow_executor *self);
    /**
     * Returns the error, lent for ever, that vow_get gives where waiting on its
     * threads is forbidden: VOW_E_DEADLOCK with a message that says what to do
     * instead. NULL: the built-in error.
     */
    const vow_error *(*cannot_wait)(vow_executor *self);
    /**
     * Another executor, @p on, has closed: ends each timer armed here whose on it is, by
     * vow_timer_fire(timer, VOW_E_CLOSED), and arms no more (vow_executor_is_closed). NULL:
     * they end when they are due.
     */
    void (*revoke)(vow_executor *self, vow_executor *on);
    /**
     * Asked when post or post_many gave VOW_E_LIMIT to vow_submit and its kin:
     * returns whether the caller is to run the work itself, as if it had been
     * submitted inline. NULL: no; the future is rejected with VOW_E_LIMIT.
     */
    bool (*caller_runs)(vow_executor *self);
    /**
     * Called in a forked child, once, by the thread that forked: the threads of this
     * executor are not there, and its locks may be held for ever. Must not wait for
     * them; makes new locks and forgets what is queued. From then on the library
     * refuses in its place, with VOW_E_FORKED, and destroy is not called, until it is
     * revived. NULL: nothing to do.
     */
    void (*forked)(vow_executor *self);
    /**
     * Called after forked: starts again, open, with nothing queued. Returns 0; or a
     * code, and it stays as it was. NULL: it cannot be revived.
     */
    int (*revive)(vow_executor *self);
    /**
     * For vow_executor_dump: calls @p each for what waits in its queues, as far as that can
     * be read where it is, until each returns false. It may hold its locks meanwhile:
     * each calls nothing of it. NULL: nothing is said of what is queued.
     */
    void (*queued)(vow_executor *self, bool (*each)(const vow_task *task, void *ctx),
                   void *ctx);
    /**
     * For vow_fork_join, on a thread of its own: lets its other threads have a task, as if
     * it had been posted, until it is retracted. Returns false if it does not; then the
     * task was not accepted. NULL, or no retract: it never does.
     */
    bool (*offer)(vow_executor *self, vow_task *task);
    /**
     * On the thread that offered it, the last first: takes a task back. Returns false if
     * another thread has it: then its run is called, as for any accepted task.
     */
    bool (*retract)(vow_executor *self, vow_task *task);
    /**
     * For vow_executor_dump, as queued: calls @p each for whatever waits at it for
     * something from outside. What for is said by a text and a number, "signal" and 2, say;
     * then comes the promise that this will settle, lent; NULL: a callback. NULL: nothing
     * is said of that.
     */
    void (*waiting)(vow_executor *self,
                    bool (*each)(const char *what, int number,
                                 const struct vow_promise *p, void *ctx),
                    void *ctx);
};

/** A place where work runs. Yours has it as its first member. */
struct vow_executor {
    const vow_executor_ops *ops; /**< what it can do */
    void *library;               /**< the library's: references and the close future */
};

/**
 * Makes an executor out of caller's storage, with one reference.
 *
 * An executor that is only ever a static object may skip this and set ops alone:
 * it is then never counted, closed or destroyed.
 *
 * @param self  borrowed until ops->destroy
 * @param ops   borrowed until ops->destroy
 * @return      0; VOW_E_NOMEM; VOW_E_INVALID if ops has no post
 * @contract    one thread; never blocks; allocates; runs no user code
 */
int vow_executor_init(vow_executor *self, const vow_executor_ops *ops);

/**
 * Says that the calling thread now runs tasks of an executor. Call it around
 * them, and give back what it returned afterwards; in a process that was forked
 * meanwhile, NULL, since the thread is none of that executor's there.
 *
 * @param self  borrowed until the next call; NULL: none
 * @return      borrowed; the one before
 * @contract    any thread; never blocks; no memory; runs no user code
 */
vow_executor *vow_executor_enter(vow_executor *self);

/**
 * Returns the executor whose task is running on this thread.
 *
 * @return    borrowed; NULL if none
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_executor *vow_executor_current(void);

/**
 * Says that a closed executor has nothing queued and nothing running: settles
 * its close future. Called by the executor, once; later calls do nothing.
 *
 * @param self  borrowed
 * @contract    any thread; never blocks; no memory; runs inline steps
 */
void vow_executor_finished(vow_executor *self);

/**
 * Takes another reference to an executor. A task may do that for the one that it runs on
 * although the last reference has gone: that one stays closed, and has a reference again.
 *
 * @param on  borrowed; may be NULL
 * @return    owned; @p on itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_executor *vow_executor_ref(vow_executor *on);

/**
 * Lets go of an executor. The last one closes it (VOW_DRAIN) if nobody did.
 * Its memory stays until every queued task and pending step that names it is
 * done, so nothing dangles; and until each thread that attached a step to it has
 * since slept in the library, attached to another executor, called vow_trim, or
 * exited: threads count such steps in advance, many at a time.
 *
 * @param on  consumed; may be NULL
 * @contract  any thread, its own workers included; never blocks; frees; may run
 *            inline steps
 */
void vow_executor_unref(vow_executor *on);

/**
 * Stops an executor.
 *
 * After it, work from outside is refused with VOW_E_CLOSED. VOW_DRAIN runs what
 * is queued, what running tasks submit, and steps that become ready before it is
 * idle; VOW_CANCEL_QUEUED settles what is queued with VOW_E_CLOSED, on this thread.
 * A step whose source settles later is rejected with VOW_E_CLOSED.
 * Closing again with a stricter mode escalates, with a weaker one changes nothing.
 * Inline steps on what it settles run when all of that has settled: one may wait for
 * another, or let go of the last reference.
 *
 * @param on    borrowed; NULL is vow_inline(), which never closes: the future is
 *              rejected with VOW_E_INVALID
 * @param mode  how
 * @return      owned; fulfilled with VOW_NIL when no task runs any more
 * @contract    any thread, its own included; never blocks; no memory but for the
 *              rejected future of inline; may run refused tasks' drops and inline
 *              steps
 */
vow_future *vow_executor_close(vow_executor *on, vow_close_mode mode);

/**
 * Returns whether an executor was closed, in whatever mode.
 *
 * @param on  borrowed; NULL is inline, which never closes
 * @return    true from the moment from which it refuses work from outside
 * @contract  any thread; never blocks; no memory; runs no user code
 */
bool vow_executor_is_closed(const vow_executor *on);

/**
 * Waits until a closed executor is done and its threads have exited.
 *
 * @param on  borrowed; may be NULL
 * @return    0; VOW_E_INVALID before close (nothing would end); VOW_E_DEADLOCK on
 *            a thread of its own, in an inline step on its close future as well
 * @contract  any thread but its own; blocks; no memory; runs inline steps queued
 *            on this thread
 */
int vow_executor_join(vow_executor *on);

/**
 * Writes what an executor is doing: whether it is open, and each task of it that sleeps
 * for a future without a deadline, by its name or where it was made, with what it waits
 * for; then who waits at a loop for a descriptor or a signal; then what is queued, where
 * that can be read while it is: in a manual executor and in the shared queues of a pool,
 * not in the deques of its workers. Of that so much as fits into a page. What runs without
 * sleeping in the library is not seen. For finding out why a close does not end, or a loop
 * does not go on.
 *
 * @param on   borrowed
 * @param out  borrowed for the call
 * @return     0; VOW_E_INVALID for inline; an errno value if it could not be written
 * @contract   any thread; never blocks but on @p out; no memory; runs no user code
 */
int vow_executor_dump(vow_executor *on, FILE *out);

/**
 * Starts an executor again in a forked child: fresh threads, nothing queued.
 *
 * In the child, every executor made by vow_executor_init is left behind: submitting,
 * posting, attaching and closing give VOW_E_FORKED, and so does a wait for a future
 * whose task or step names it; and one for what is made of several futures (vow_when_all
 * and its kin), once no other of them can settle it any more. Letting go of it is safe and frees nothing. What was
 * queued at the fork is the parent's; the futures of that stay pending here after the
 * executor has been revived. But if a close ends what was queued, and something of that
 * forks, the rest of it ends here too. Inline needs no reviving; fork and exec needs
 * nothing.
 *
 * Other objects. Promises and futures, channels, breakers, bulkheads, limiters, budgets,
 * caches and their kin can be used in the child as they were: no thread was in the middle
 * of a change to one. What was under way at the fork counts as under way for ever, a
 * bulkhead's slots, say. A call that was in flight (vow_retry, vow_hedge, vow_map and
 * what is built of those) is the parent's: let go of its future here, and do not ask it to
 * stop, since another thread may have had its lock.
 *
 * @param on  borrowed
 * @return    0, also if it was not left behind; VOW_E_CLOSED if it was closed before
 *            the fork; VOW_E_NOMEM; EAGAIN if no thread could be started, EMFILE and its
 *            kin if no descriptor could be had; VOW_E_INVALID for an executor that cannot
 *            be revived
 * @contract  one thread, while no other uses it; never blocks; allocates, and may start
 *            threads; runs no user code
 */
int vow_executor_revive(vow_executor *on) VOW_MUST_USE;

/**
 * Returns the inline executor: work runs in the thread that settles, or in the
 * caller; never deeper on the stack than one step. NULL means the same
 * everywhere. Immortal: references to it are not counted.
 *
 * @return    borrowed for ever
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_executor *vow_inline(void);

/** What to run; returns a value, an error, or a future to follow. */
typedef vow_result vow_task_fn(void *ctx);

/**
 * Returns the result "not done yet": the task goes to the back of its priority, behind
 * what waits there, and its function is called again with the same context.
 *
 *     static vow_result count_words(void *ctx)
 *     {
 *         struct count *c = ctx;
 *
 *         for (int i = 0; i < 1000; i++)
 *             if (!next_word(c))
 *                 return vow_ok(vow_i64(c->words));
 *         return vow_yield_task();
 *     }
 *
 * Between two turns the task is one that has not started: a cancel settles it, as does
 * one that came during the turn, and a close that cancels ends it. A full or draining
 * executor admits it. A worker that waits for it runs at most one turn itself, then
 * another thread takes over; if no thread is left to do so, the worker goes on with the
 * turns. On vow_inline() it goes behind the steps that wait on the
 * thread. Returned by anything else than the function of vow_submit and its kin, it is
 * VOW_E_INVALID.
 *
 * @return    owned
 * @contract  the thread on which the task runs; never blocks; no memory; runs no user
 *            code
 */
vow_result vow_yield_task(void);

/** What to run when nobody asks for a result. */
typedef void vow_fn(void *ctx);

/** How to submit; see VOW_SUBMIT_OPTIONS. */
typedef struct vow_submit_options {
    size_t size;      /**< of this struct: the macro sets it */
    const char *name; /**< for messages; borrowed for ever */
    int priority;     /**< an enum vow_priority */
    unsigned flags;   /**< VOW_STOP_WHEN_UNWANTED or 0 */
    /**
     * Shared; when it fires the task is asked to stop, as by vow_future_cancel: not
     * started, it never starts and its future settles at once; running, it sees
     * vow_cancelled(). NULL: none.
     */
    vow_token *token;
    /**
     * A time on the clock of the executor or, if that has none, on the one in force here
     * (vow_now); then the task is asked to stop in the same way, with VOW_E_TIMEDOUT as
     * the reason. 0: none.
     */
    vow_ns deadline;
} vow_submit_options;

/** Flags of a promise or a submitted task. */
enum vow_promise_flag {
    /** Stop the work when nobody holds its future any more (semantics in future.h). */
    VOW_STOP_WHEN_UNWANTED = 1
};

/** Options for vow_submit_with: &VOW_SUBMIT_OPTIONS(.name = "resize"). */
#define VOW_SUBMIT_OPTIONS(...) VOW_SIZED(vow_submit_options, __VA_ARGS__)

/**
 * Runs @p fn on @p on and returns a future for its outcome.
 *
 * The future holds what fn returns. If the executor refuses, or is closed before
 * fn started, it is rejected with the code and fn never runs. The context is
 * dropped after fn returned and before the future settles, or instead of it.
 *
 * @param on   shared until fn has run; NULL is inline: fn has run on return,
 *             or, inside a step, runs right after that step
 * @param fn   called at most once
 * @param ctx  consumed: a pointer or VOW_NIL; passed to fn as a pointer
 * @return     owned; NULL if memory ran out, and then @p fn never runs
 * @contract   any thread; never blocks (a bounded executor may); one allocation;
 *             may run @p fn before it returns if @p on is inline
 */
vow_future *vow_submit(vow_executor *on, vow_task_fn *fn, vow_value ctx) VOW_MUST_USE;

/**
 * Runs @p fn on @p on as the options say; otherwise as vow_submit.
 *
 * @param on   as for vow_submit
 * @param opt  borrowed for the call; NULL is the defaults
 * @param fn   called at most once
 * @param ctx  consumed: a pointer or VOW_NIL
 * @return     owned; NULL if memory ran out, and then @p fn never runs
 * @contract   any thread; never blocks (a bounded executor may); allocates; may
 *             run @p fn before it returns if @p on is inline
 */
vow_future *vow_submit_with(vow_executor *on, const vow_submit_options *opt,
                            vow_task_fn *fn, vow_value ctx) VOW_MUST_USE;

/**
 * Runs @p fn once for each of @p n contexts, waking the executor once.
 *
 * @param on    as for vow_submit
 * @param fn    called at most once for each context
 * @param ctxs  borrowed for the call; each element consumed
 * @param n     how many
 * @param out   out; @p n futures, owned, in the order of the contexts; may be NULL
 *              if nobody wants them
 * @return      0; VOW_E_NOMEM, VOW_E_CLOSED or VOW_E_LIMIT: nothing was submitted,
 *              every context was dropped, and @p out holds NULLs
 * @contract    any thread; never blocks (a bounded executor may); n allocations;
 *              may run @p fn before it returns if @p on is inline
 */
int vow_submit_many(vow_executor *on, vow_task_fn *fn, const vow_value *ctxs, size_t n,
                    vow_future **out) VOW_MUST_USE;

/**
 * Runs @p fn on @p on, with no future.
 *
 * @param on   as for vow_submit
 * @param fn   called at most once
 * @param ctx  consumed: dropped after fn returned, or instead of it
 * @return     0; VOW_E_NOMEM, VOW_E_CLOSED or VOW_E_LIMIT: fn will not run
 * @contract   any thread; never blocks (a bounded executor may); at most one
 *             allocation, up to four kilobytes, which others share; may run @p fn
 *             before it returns if @p on is inline
 */
int vow_post(vow_executor *on, vow_fn *fn, vow_value ctx) VOW_MUST_USE;

/**
 * Gives a task in the caller's storage to an executor: no allocation at all.
 *
 * @param on    as for vow_submit
 * @param task  lent until its run is called; run set, priority and flags chosen,
 *              reserved bytes zero
 * @return      0; VOW_E_CLOSED or VOW_E_LIMIT: it stays the caller's, and its run
 *              is not called
 * @contract    any thread; never blocks (a bounded executor may); no memory; may
 *              run the task before it returns if @p on is inline
 */
int vow_post_task(vow_executor *on, vow_task *task) VOW_MUST_USE;

VOW_END_DECLS

#endif
