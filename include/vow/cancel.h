/* SPDX-License-Identifier: MIT */
/**
 * @file vow/cancel.h
 * Telling work that it is not wanted any more.
 *
 * A source says so, once and for ever; its tokens are where work looks, or asks to
 * be called. Both are counted and may be used from any thread.
 *
 *     vow_source *stop = vow_source_new();
 *     vow_token *token = vow_source_token(stop);
 *
 *     start_upload(token);
 *     ...
 *     vow_source_cancel(stop, vow_error_new(EINTR, "the window was closed"));
 *
 * The first cancel wins, and its reason and time stay readable. A source that goes
 * without having cancelled anything never will: its tokens stay as they are.
 *
 * A token that never fires may be NULL: every function accepts it.
 */
#ifndef VOW_CANCEL_H
#define VOW_CANCEL_H

#include <vow/base.h>
#include <vow/executor.h>
#include <vow/future.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** Cancels. What observes, a vow_token, is declared in vow/executor.h. */
typedef struct vow_source vow_source;

/**
 * Makes a source.
 *
 * @return    owned; NULL if memory ran out
 * @contract  any thread; never blocks; one allocation; runs no user code
 */
vow_source *vow_source_new(void) VOW_MUST_USE;

/**
 * Takes another reference to a source.
 *
 * @param s   borrowed; may be NULL
 * @return    owned; @p s itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_source *vow_source_ref(vow_source *s);

/**
 * Lets go of a source. Nothing fires by it: without a source its tokens stay as
 * they are for ever.
 *
 * @param s   consumed; may be NULL
 * @contract  any thread, any callback; never blocks; frees; may free the reason, and
 *            so run a payload's drop
 */
void vow_source_unref(vow_source *s);

/**
 * Returns a token of a source: a new reference each time.
 *
 * @param s   borrowed; may be NULL
 * @return    owned; NULL if @p s is NULL
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_token *vow_source_token(vow_source *s);

/**
 * Fires the tokens of a source, and those that are linked to them, unless that was
 * done before.
 *
 * When it returns every such token is cancelled, every task that has not started is
 * settled, and callbacks have run or are posted: those that run in this thread do so
 * before it returns or, inside a step, right after that step. Not to be called from
 * a signal handler.
 *
 * @param s       borrowed; may be NULL
 * @param reason  consumed; may be NULL: VOW_E_CANCELLED
 * @return        true: this call did it; false: it was cancelled before, or is NULL
 * @contract      any thread; never blocks; may allocate one error and works without;
 *                runs callbacks, inline hooks and steps, and contexts' drops
 */
bool vow_source_cancel(vow_source *s, vow_error *reason);

/**
 * Takes another reference to a token.
 *
 * @param t   borrowed; may be NULL
 * @return    owned; @p t itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_token *vow_token_ref(vow_token *t);

/**
 * Lets go of a token. Registrations on it stay until they are removed.
 *
 * @param t   consumed; may be NULL
 * @contract  as vow_source_unref
 */
void vow_token_unref(vow_token *t);

/**
 * Returns whether a token has fired. Once true, always true; and then whatever the
 * thread that fired it did before is seen here.
 *
 * @param t   borrowed; NULL never fires
 * @return    true: what it was given to should stop
 * @contract  any thread; never blocks; no memory; runs no user code
 */
bool vow_token_cancelled(const vow_token *t);

/**
 * Returns why a token has fired.
 *
 * @param t   borrowed; may be NULL
 * @return    borrowed from @p t; what vow_source_cancel was given; VOW_E_TIMEDOUT
 *            if a deadline passed; VOW_E_CANCELLED if there was no reason; NULL
 *            while it has not fired
 * @contract  any thread; never blocks; no memory; runs no user code
 */
const vow_error *vow_token_reason(const vow_token *t);

/**
 * Returns when a token has fired, on the clock in force where that happened.
 *
 * @param t   borrowed; may be NULL
 * @return    a time; VOW_FOREVER while it has not fired
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_ns vow_token_cancelled_at(const vow_token *t);

/**
 * Returns the time at which a token will have fired by itself: its own deadline or
 * the earliest of those that it is linked to. Work can size its steps by it.
 *
 * @param t      borrowed; may be NULL
 * @param clock  out; may be NULL; the clock that it is a time of: NULL is the real
 *               monotonic clock
 * @return       a time; VOW_FOREVER if there is no deadline
 * @contract     any thread; never blocks; no memory; runs no user code
 */
vow_ns vow_token_deadline_of(const vow_token *t, vow_clock **clock);

/**
 * Calls @p fn once when a token fires, or now if it has fired.
 *
 * Inline, it runs in the thread that fires the token; if it has fired already, in the
 * caller before this returns (inside a step: right after that step). On an executor it
 * is posted, in both cases, and admitted like a step; if the executor is closed it
 * does not run, and its context is dropped all the same.
 *
 * The context is dropped when fn has returned, or instead of it. Removing takes the
 * same short time whatever else is registered: a token may live for ever, and be
 * registered on for each of millions of operations.
 *
 * @param t    shared until the registration is removed; NULL never fires
 * @param on   shared until @p fn has run; NULL is inline
 * @param fn   called at most once
 * @param ctx  consumed
 * @return     owned, also after fn has run: give it to vow_registration_remove; NULL
 *             only without memory, and then the context was dropped
 * @contract   any thread; never blocks; one allocation; may run @p fn before it
 *             returns if the token has fired
 */
vow_registration *vow_token_on_cancel(vow_token *t, vow_executor *on, vow_fn *fn,
                                      vow_value ctx) VOW_MUST_USE;

/**
 * Ends a registration: its function will not be called if it has not been yet. Never
 * waits for one that is running.
 *
 * The hook of a promise (vow_promise_on_cancel) may be removed as well, by a caller who
 * holds the promise or a future of it; then it may have another one. VOW_RUNNING says
 * of it that it has been asked for, and will run, or runs; or that the promise settles just
 * now, and its context is about to be dropped.
 *
 * @param r   consumed; NULL has run
 * @return    VOW_REMOVED: it was not and will not be called, its context is dropped;
 *            VOW_RAN: it has returned; VOW_RUNNING: it runs now, on this thread or
 *            another one, and may still use its context
 * @contract  any thread, any callback, its own included; never blocks; frees; may run
 *            the context's drop
 */
vow_removal vow_registration_remove(vow_registration *r);

/**
 * Ends a registration and, if its function runs on another thread, waits until it has
 * returned. So when this returns VOW_REMOVED or VOW_RAN it does not run.
 *
 * VOW_RUNNING is the answer where waiting would have no end or is not allowed: inside
 * the function itself, in one of several that wait for each other, between
 * vow_defer_begin and its end, on a thread of an executor that must not wait; and for
 * the hook of a promise, which is not waited for.
 *
 * @param r   consumed; NULL has run
 * @return    as vow_registration_remove
 * @contract  any thread, any callback; blocks; frees; runs inline steps queued here,
 *            and may run the context's drop
 */
vow_removal vow_registration_remove_wait(vow_registration *r);

/**
 * Returns a token that fires as soon as any of several does, with the reason and time
 * of that one. It keeps what it is linked to, not the other way round: when it has
 * fired, or nobody holds it any more, nothing of it is left there.
 *
 * @param tokens  borrowed for the call; each shared; NULL elements never fire
 * @param n       how many; 0: the token never fires
 * @return        owned; fired already if one of them has: then with the outcome of
 *                the first such; NULL if memory ran out
 * @contract      any thread; never blocks; one allocation; runs no user code but
 *                clocks' now(), to compare deadlines
 */
vow_token *vow_token_any(vow_token *const *tokens, size_t n) VOW_MUST_USE;

/**
 * Returns a token that fires at a time, with VOW_E_TIMEDOUT as its reason: never before,
 * and as soon after as timers on that clock are fired. It goes with its last reference,
 * timer and all. To have a deadline beside other reasons, link it (vow_token_any).
 *
 * @param clock  borrowed while the token, or one that is linked to it, is held and has
 *               not fired; NULL: the clock in force here (vow_now)
 * @param when   a time; VOW_FOREVER never comes; past: the token has fired already
 * @return       owned; NULL if memory ran out, or there is no thread to be had that fires
 *               timers
 * @contract     any thread; never blocks; allocates; runs no user code but the clock's
 *               now(). Callbacks and inline steps run where timers on that clock do: a
 *               thread of the default pool, a loop, a test
 */
vow_token *vow_token_deadline(vow_clock *clock, vow_ns when) VOW_MUST_USE;

/**
 * Returns whether the task or step that runs on this thread should stop: its token has
 * fired, vow_future_cancel asked for that (or everybody who wanted its outcome left), or
 * its executor was closed with VOW_CANCEL_QUEUED. Cheap enough to ask once a chunk.
 *
 * @return    false also outside a task
 * @contract  any thread; never blocks; no memory; runs no user code
 */
bool vow_cancelled(void);

/**
 * Returns what the task or step that runs on this thread should return if it should
 * stop: VOW_E_CANCELLED, with the reason behind it.
 *
 *     vow_result stop = vow_check_cancelled();
 *
 *     if (stop.error != NULL)
 *         return stop;
 *
 * @return    owned; vow_ok(VOW_NIL) if it should go on
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_result vow_check_cancelled(void);

/**
 * Returns the token of the task or step that runs on this thread, which fires when
 * vow_cancelled becomes true: for linking, for registering on, and for handing on to
 * what is called. It is made by the first call in a task. As each function that returns a
 * token this one gives a reference, to be let go of:
 *
 *     vow_token *token = vow_token_current();
 *     vow_future *f = vow_with_token(vow_sleep(NULL, pause), token);
 *
 *     vow_token_unref(token);
 *
 * @return    owned; NULL, which never fires, outside a task and without memory
 * @contract  any thread; never blocks; may allocate; may run a clock's now()
 */
vow_token *vow_token_current(void);

/**
 * Returns a future that settles as @p f does, or is rejected as soon as @p t fires:
 * with VOW_E_CANCELLED and the reason behind it. Then @p f is left: if nobody else wants
 * it, it is asked to stop. If @p f has settled already, that is its outcome.
 *
 * @param f   consumed
 * @param t   shared until the future has settled; NULL never fires
 * @return    owned; NULL if memory ran out, and then @p f was let go of
 * @contract  any thread; never blocks; allocates; may run what leaving @p f runs
 */
vow_future *vow_with_token(vow_future *f, vow_token *t) VOW_MUST_USE;

/**
 * Returns a future that settles as @p f does, through which no request to stop goes:
 * cancelling it, or leaving it, lets @p f go on.
 *
 * @param f   consumed
 * @return    owned; NULL if memory ran out, and then @p f was let go of
 * @contract  any thread; never blocks; one allocation; runs no user code
 */
vow_future *vow_shield(vow_future *f) VOW_MUST_USE;

VOW_END_DECLS

#endif
