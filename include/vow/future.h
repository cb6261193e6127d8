/* SPDX-License-Identifier: MIT */
/**
 * @file vow/future.h
 * The writing and the reading end of a value that is not there yet.
 *
 * A future is pending, then fulfilled or rejected, once and for ever. There are
 * three ways to learn of it, from cheapest to dearest: ask (vow_peek), be called
 * (vow_then and its kin), sleep (vow_get).
 *
 *     vow_future *f = vow_submit(pool, read_page, vow_ptr(url));
 *     f = vow_then(f, pool, count_words, VOW_NIL);
 *     vow_view words = vow_get(f);
 *     if (words.error == NULL)
 *         printf("%lld\n", (long long)words.value.as.i64);
 *     vow_unref(f);
 *
 * Ownership: composition consumes, reading borrows. A function that makes a
 * future out of a future takes the reference it is given, also when it fails; to
 * use a future twice, pass vow_ref(f). Reading borrows, and what it returns is
 * lent while that reference is held.
 *
 * Memory: a composing function that cannot get any returns NULL. NULL is a future
 * too, rejected with VOW_E_NOMEM: every function accepts it, so a chain needs one
 * check, at its end.
 *
 * Executors: the one you name is where a step runs. It is always posted there,
 * also when the future is ready already. NULL is inline: in the thread that
 * settles, or in the caller if it has settled (inside a step: right after that
 * step); never under a lock, never deeper on the stack than one step.
 *
 * Threads: no function of the library is a cancellation point. If pthread_cancel is to
 * end a thread, the request waits for such a point in code of your own; a function of
 * yours that the library has called ends there as by pthread_exit. Call nothing of it
 * while asynchronous cancellation is enabled. What a thread still has to run on its way out
 * must not exit again: POSIX leaves a pthread_exit inside another one undefined.
 *
 * Contexts are pointers (vow_ptr, vow_own) or VOW_NIL. They are dropped after
 * their function returned and before its future settles, or instead of it: what
 * must happen belongs in a context's drop. A step that is cancelled drops its own
 * at once, while one before it may still run. So what several steps of a chain use
 * is counted, and each of them has a reference as its context.
 */
#ifndef VOW_FUTURE_H
#define VOW_FUTURE_H

#include <vow/base.h>
#include <vow/executor.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** The writing end. */
typedef struct vow_promise vow_promise;

/** A hook that waits for a request to stop. */
typedef struct vow_registration vow_registration;

/** Where a future stands. */
typedef enum vow_status {
    VOW_PENDING = 0,
    VOW_FULFILLED = 1,
    VOW_REJECTED = 2
} vow_status;

/** How to make a promise; see VOW_PROMISE_OPTIONS. */
typedef struct vow_promise_options {
    size_t size;      /**< of this struct: the macro sets it */
    const char *name; /**< for messages; borrowed for ever */
    unsigned flags;   /**< VOW_STOP_WHEN_UNWANTED or 0 */
    const void *site; /**< for vow_future_site, of those who make promises for others, by
                           __builtin_return_address(0), say; NULL: the caller's */
} vow_promise_options;

/** Options for vow_promise_new_with: &VOW_PROMISE_OPTIONS(.name = "reply"). */
#define VOW_PROMISE_OPTIONS(...) VOW_SIZED(vow_promise_options, __VA_ARGS__)

/**
 * Makes a promise.
 *
 * @return    owned; NULL if memory ran out
 * @contract  any thread; never blocks; one allocation; runs no user code
 */
vow_promise *vow_promise_new(void) VOW_MUST_USE;

/**
 * Makes a promise with a name or flags.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @return     owned; NULL if memory ran out
 * @contract   any thread; never blocks; allocates; runs no user code
 */
vow_promise *vow_promise_new_with(const vow_promise_options *opt) VOW_MUST_USE;

/**
 * Returns a future of a promise: a new reference each time.
 *
 * @param p   borrowed; may be NULL
 * @return    owned; NULL if @p p is NULL
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_future *vow_promise_future(vow_promise *p);

/**
 * Takes another reference to a promise.
 *
 * @param p   borrowed; may be NULL
 * @return    owned; @p p itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_promise *vow_promise_ref(vow_promise *p);

/**
 * Lets go of a promise. If it was the last reference and nothing has settled or
 * claimed it, its future is rejected with VOW_E_BROKEN.
 *
 * @param p   consumed; may be NULL
 * @contract  any thread, any callback; never blocks; frees; may run inline steps
 */
void vow_promise_unref(vow_promise *p);

/**
 * Lets go of a promise without running anything. If it was the last reference of
 * a pending promise, no step that hangs on it runs: contexts are dropped, what
 * hangs on it alone is abandoned likewise, a blocked reader gets VOW_E_BROKEN.
 * For bindings whose garbage collector lets go at a moment of its own.
 *
 * @param p   consumed; may be NULL
 * @contract  any thread; never blocks; frees; runs drops, no steps
 */
void vow_promise_abandon(vow_promise *p);

/**
 * Settles a promise with a value. The first to settle wins.
 *
 * @param p   borrowed; may be NULL
 * @param v   consumed; dropped at once if this call did not win
 * @return    true: this call settled it; false: it was settled or claimed before
 * @contract  any thread; never blocks; no memory; may run inline steps
 */
bool vow_promise_fulfill(vow_promise *p, vow_value v);

/**
 * Settles a promise with an error. The first to settle wins.
 *
 * @param p   borrowed; may be NULL
 * @param e   consumed, also by the loser; NULL means VOW_E_NOMEM
 * @return    true: this call settled it; false: it was settled or claimed before
 * @contract  any thread; never blocks; no memory; may run inline steps
 */
bool vow_promise_reject(vow_promise *p, vow_error *e);

/**
 * Settles a promise as a step's result says. A result that follows a future
 * claims the promise: it stays pending, every later settle returns false, and it
 * settles as that future does. Following oneself, directly or through others, is
 * rejected with VOW_E_DEADLOCK.
 *
 * @param p   borrowed; may be NULL
 * @param r   consumed; released at once if this call did not win
 * @return    true: this call decided it; false: it was decided before
 * @contract  any thread; never blocks; no memory; may run inline steps
 */
bool vow_promise_resolve(vow_promise *p, vow_result r);

/**
 * Returns a future that is fulfilled already.
 *
 * @param v   consumed; dropped if memory ran out
 * @return    owned; NULL if memory ran out
 * @contract  any thread; never blocks; one allocation; runs no user code but the
 *            value's drop without memory
 */
vow_future *vow_resolved(vow_value v) VOW_MUST_USE;

/**
 * Returns a future that is rejected already.
 *
 * @param e   consumed; NULL means VOW_E_NOMEM
 * @return    owned; NULL if memory ran out
 * @contract  any thread; never blocks; one allocation; runs no user code
 */
vow_future *vow_rejected(vow_error *e) VOW_MUST_USE;

/**
 * Takes another reference to a future.
 *
 * @param f   borrowed; may be NULL
 * @return    owned; @p f itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_future *vow_ref(vow_future *f);

/**
 * Lets go of a future. The work goes on, and steps already attached run; see
 * VOW_STOP_WHEN_UNWANTED for the other way. A rejection that nobody ever looked
 * at is reported when the last reference goes (vow_on_unhandled).
 *
 * @param f   consumed; may be NULL
 * @contract  any thread, any callback; never blocks; frees; may run the value's
 *            drop, the unhandled hook and, for an unwanted promise, its cancel hook
 */
void vow_unref(vow_future *f);

/**
 * Returns where a future stands, without looking at its error.
 *
 * @param f   borrowed; NULL is VOW_REJECTED
 * @return    the status; VOW_PENDING may be out of date when it returns
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_status vow_future_status(const vow_future *f);

/**
 * Returns the name that a promise or a task was given.
 *
 * @param f   borrowed; may be NULL
 * @return    borrowed for ever; NULL if it has none
 * @contract  any thread; never blocks; no memory; runs no user code
 */
const char *vow_future_name(const vow_future *f);

/**
 * Returns the address of the call that made a future, for addr2line or dladdr.
 *
 * @param f   borrowed; may be NULL
 * @return    a code address; NULL if @p f is NULL
 * @contract  any thread; never blocks; no memory; runs no user code
 */
const void *vow_future_site(const vow_future *f);

/**
 * Waits until a future settles, then reads it.
 *
 * Inline steps queued on this thread run first. On a thread of an executor its
 * policy rules: a pool helps or adds a thread, an event loop refuses.
 *
 * @param f   borrowed; NULL reads as VOW_E_NOMEM
 * @return    lent by @p f; if waiting here cannot end, VOW_E_DEADLOCK; in a forked
 *            child, VOW_E_FORKED for what an executor of the parent was to do
 * @contract  any thread; blocks; no memory; runs inline steps queued here, and on
 *            a pool's worker tasks of that pool
 */
vow_view vow_get(vow_future *f);

/**
 * Waits until a future settles, for a time. Real time, whatever the clock.
 *
 * @param f        borrowed; NULL has settled
 * @param timeout  how long; 0 or less polls; VOW_FOREVER has no end
 * @return         true: it has settled, or vow_get gives VOW_E_FORKED; false: the
 *                 time is over, or waiting here is refused (VOW_E_DEADLOCK)
 * @contract       as vow_get
 */
bool vow_wait(vow_future *f, vow_ns timeout);

/**
 * Waits until a future settles, or a deadline passes on the clock in force here
 * (vow_now). What is left on that clock is waited in real time.
 *
 * @param f         borrowed; NULL has settled
 * @param deadline  a time; VOW_FOREVER has no end
 * @return          as vow_wait
 * @contract        as vow_get
 */
bool vow_wait_until(vow_future *f, vow_ns deadline);

/**
 * Waits, then moves the outcome out of a future that nobody else holds.
 *
 * @param f    true: consumed; false: still the caller's
 * @param out  out; written when true: the outcome, owned (vow_result_drop);
 *             @p f may be NULL: VOW_E_NOMEM
 * @return     true: @p out is yours; false: others hold @p f, or waiting here is
 *             refused
 * @contract   as vow_get; the caller orders two takes of one future
 */
bool vow_take(vow_future *f, vow_result *out) VOW_MUST_USE;

/**
 * Reads a future that has settled.
 *
 * @param f   borrowed; NULL reads as VOW_E_NOMEM
 * @return    lent by @p f; VOW_E_INVALID if it is still pending
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_view vow_peek(const vow_future *f);

/**
 * Asks that the work behind a future stop.
 *
 * A step or task that has not started is settled with VOW_E_CANCELLED at once, for
 * all its holders, its function never runs, and the request goes on to its source
 * if nobody else wanted that. One that is running goes on, and settles as it
 * returns. A promise's cancel hook is called once and should settle it; with no
 * hook it settles at once.
 *
 * @param f       borrowed; may be NULL
 * @param reason  consumed; may be NULL; the cause of the VOW_E_CANCELLED error
 *                (left out if there is no memory for that error)
 * @contract      any thread; never blocks; may allocate one error and works
 *                without; runs inline hooks and steps, and contexts' drops
 */
void vow_future_cancel(vow_future *f, vow_error *reason);

/** Runs once when the promise is asked to stop; @p p and @p reason are lent. */
typedef void vow_cancel_fn(vow_promise *p, const vow_error *reason, void *ctx);

/**
 * Says what to do when a promise is asked to stop: by vow_future_cancel, or, for
 * VOW_STOP_WHEN_UNWANTED, when nobody holds its future any more. The hook should
 * settle the promise; until then it stays pending. One hook a promise.
 *
 * @param p    borrowed; may be NULL
 * @param on   shared: where the hook runs; NULL: in the thread that asks
 * @param fn   called at most once, and never after the promise has settled
 * @param ctx  consumed; must not own the promise; dropped after fn returned, or
 *             when the promise settles or goes
 * @return     borrowed: the promise owns it, and it may be ignored, or given to
 *             vow_registration_remove while the promise is held; NULL: no memory,
 *             @p p is NULL, it has settled or has a hook already, and then the
 *             context was dropped
 * @contract   any thread; never blocks; allocates; may run the context's drop
 */
vow_registration *vow_promise_on_cancel(vow_promise *p, vow_executor *on,
                                        vow_cancel_fn *fn, vow_value ctx);

/** Runs when its source is fulfilled; @p in is lent until it returns. */
typedef vow_result vow_then_fn(vow_value in, void *ctx);
/** Runs when its source is rejected; @p error is lent until it returns. */
typedef vow_result vow_catch_fn(const vow_error *error, void *ctx);
/** Runs when its source has settled; @p in is lent until it returns. */
typedef vow_result vow_handle_fn(vow_view in, void *ctx);
/** Runs when its source has settled, and has no result. */
typedef void vow_settled_fn(vow_view in, void *ctx);

/**
 * Runs @p fn on @p on once @p f is fulfilled, and returns a future for its
 * outcome. If @p f is rejected @p fn does not run and the error passes through.
 *
 * @param f    consumed
 * @param on   shared until the step has run; NULL is inline
 * @param fn   called at most once
 * @param ctx  consumed
 * @return     owned; NULL if memory ran out, and then @p fn never runs
 * @contract   any thread; never blocks; one allocation; may run @p fn before it
 *             returns if @p on is inline
 */
vow_future *vow_then(vow_future *f, vow_executor *on, vow_then_fn *fn, vow_value ctx)
    VOW_MUST_USE;

/**
 * Runs @p fn on @p on if @p f is rejected, and returns a future for what it makes
 * of the error. A value passes through.
 *
 * @param f    consumed; NULL runs @p fn with VOW_E_NOMEM
 * @param on   shared until the step has run; NULL is inline
 * @param fn   called at most once
 * @param ctx  consumed
 * @return     owned; NULL if memory ran out, and then @p fn never runs
 * @contract   as vow_then
 */
vow_future *vow_catch(vow_future *f, vow_executor *on, vow_catch_fn *fn, vow_value ctx)
    VOW_MUST_USE;

/**
 * Runs @p fn as vow_catch does, but only for errors that are @p code, themselves
 * or along their causes (vow_error_is). Others pass through.
 *
 * @param f     consumed
 * @param code  the code to catch
 * @param on    shared until the step has run; NULL is inline
 * @param fn    called at most once
 * @param ctx   consumed
 * @return      owned; NULL if memory ran out, and then @p fn never runs
 * @contract    as vow_then
 */
vow_future *vow_catch_if(vow_future *f, int code, vow_executor *on, vow_catch_fn *fn,
                         vow_value ctx) VOW_MUST_USE;

/**
 * Runs @p fn on @p on once @p f has settled, either way, and returns a future for
 * its outcome.
 *
 * @param f    consumed
 * @param on   shared until the step has run; NULL is inline
 * @param fn   called at most once
 * @param ctx  consumed
 * @return     owned; NULL if memory ran out, and then @p fn never runs
 * @contract   as vow_then
 */
vow_future *vow_handle(vow_future *f, vow_executor *on, vow_handle_fn *fn, vow_value ctx)
    VOW_MUST_USE;

/**
 * Runs @p fn on @p on once @p f has settled, and returns a future that settles as
 * @p f did. If the executor refuses the step, or the future returned is cancelled
 * before that, @p fn does not run: what must happen belongs in the context's drop.
 * A cancel does not wait until @p f has settled: the steps before it may still use
 * what they share with this one.
 *
 * @param f    consumed
 * @param on   shared until the step has run; NULL is inline
 * @param fn   called at most once
 * @param ctx  consumed
 * @return     owned; NULL if memory ran out, and then @p fn never runs
 * @contract   as vow_then
 */
vow_future *vow_finally(vow_future *f, vow_executor *on, vow_fn *fn, vow_value ctx)
    VOW_MUST_USE;

/**
 * Runs @p fn on @p on once @p f has settled: the cheapest way to be called, with
 * no result future.
 *
 * @param f    consumed
 * @param on   shared until fn has run; NULL is inline
 * @param fn   called at most once
 * @param ctx  consumed
 * @return     true; false: no memory, the context was dropped, fn never runs
 * @contract   as vow_then
 */
bool vow_on_settled(vow_future *f, vow_executor *on, vow_settled_fn *fn, vow_value ctx);

/**
 * A call for when a future settles, in the caller's storage. For an executor that
 * waits for a future and works meanwhile; see vow_loop_run_until.
 */
typedef struct vow_notice {
    vow_task task; /**< the library's; all zero */
    /**
     * Called once, at once, in the thread that settles, inside whatever that runs:
     * it may wake or post, but neither wait nor settle anything. Its own last touch
     * may end the notice's life.
     */
    void (*settled)(struct vow_notice *notice);
} VOW_ALIGNED(16) vow_notice;

/**
 * Asks for a call when a future has settled. The outcome is not looked at: an error
 * stays unseen.
 *
 * @param f       borrowed until the call, or until it was called off; NULL has settled
 * @param notice  lent until then
 * @return        true: it will be called; false: the future has settled, no call
 * @contract      any thread; never blocks; no memory; runs no user code
 */
bool vow_notice_attach(vow_future *f, vow_notice *notice);

/**
 * Calls a notice off.
 *
 * @param f       borrowed; what it is attached to
 * @param notice  lent back if it returns true
 * @return        true: it will not be called; false: too late, it has been called or
 *                is about to be
 * @contract      any thread; never blocks; no memory; runs no user code
 */
bool vow_notice_detach(vow_future *f, vow_notice *notice);

/** An error that nobody looked at. */
typedef struct vow_unhandled {
    const vow_error *error; /**< lent for the call */
    const char *name;       /**< of the future; NULL if it has none */
    const char *site;       /**< where it was made: symbol and address; never NULL */
} vow_unhandled;

/** Called for an error that nobody looked at. */
typedef void vow_unhandled_fn(const vow_unhandled *u, void *ctx);

/**
 * Sets what happens to a rejection whose last future goes without anybody having
 * read it. Default: a line on stderr, a few a second, with a total at exit;
 * VOW_UNHANDLED=ignore, log or abort in the environment says otherwise.
 * Cancellations are never reported; nor is VOW_E_CLOSED where a close has merely ended
 * a wait, as it ends each: for a descriptor or a signal (vow/loop.h), or for the next
 * turn of vow_submit_every.
 *
 * @param hook  called on the thread where the last reference went, with no lock
 *              held; NULL: the default
 * @param ctx   borrowed until replaced
 * @contract    any thread; never blocks; no memory; runs no user code
 */
void vow_on_unhandled(vow_unhandled_fn *hook, void *ctx);

/**
 * Lets go of a future as deliberately unwatched. Its error is still reported.
 *
 * @param f   consumed; may be NULL
 * @contract  as vow_unref
 */
void vow_detach(vow_future *f);

/**
 * Lets go of a future whose outcome does not matter: its error is not reported.
 *
 * @param f   consumed; may be NULL
 * @contract  as vow_unref
 */
void vow_ignore(vow_future *f);

/**
 * Begins a stretch in which settling runs no inline steps: they wait for
 * vow_defer_end. For a caller who settles while holding a lock of its own. Pairs
 * nest. Waiting on a pending future in between is VOW_E_DEADLOCK.
 *
 * @contract  any thread; never blocks; no memory; runs no user code
 */
void vow_defer_begin(void);

/**
 * Ends what vow_defer_begin began on this thread and, for the outermost pair
 * outside a step, runs the inline steps that waited.
 *
 * @contract  the thread that began; never blocks; no memory; runs inline steps
 */
void vow_defer_end(void);

VOW_END_DECLS

#endif
