/* SPDX-License-Identifier: MIT */
/**
 * @file vow/loop.h
 * An executor that is one thread of yours: descriptors, timers, signals, posts.
 *
 *     vow_loop *loop = vow_loop_new(NULL);
 *     vow_executor *on = vow_loop_executor(loop);
 *     vow_future *f = vow_loop_ready(loop, fd, VOW_FD_READ);
 *
 *     f = vow_then(f, on, read_some, vow_ptr(&connection));
 *     vow_loop_run_until(loop, f);
 *     vow_unref(f);
 *     vow_loop_unref(loop);
 *
 * The thread that first runs a loop owns it from then on. Anyone may post to it,
 * arm timers at it, stop, wake and close it; running it and watching descriptors
 * is for the owner (before there is one: for one thread at a time).
 *
 * Order. What is posted to a loop is a macrotask; a step whose source settles on
 * the loop's thread while that runs it is a microtask. One turn is:
 *
 *     1. the clock is read
 *     2. timers that were due then, by deadline, equal ones as they were armed
 *     3. posts: those that had come, first in first out; what the loop's own
 *        tasks post comes in the next turn
 *     4. descriptors and signals that are ready; then frame callbacks, if a frame
 *        is due
 *     5. one task posted with VOW_IDLE, if nothing else ran
 *
 * After each callback of these the microtasks run, first in first out, at most 256
 * a callback and 4,096 a turn; what is left then runs first among the posts of the
 * next turn. So microtasks come before the next timer or event, and starve none.
 * The loop sleeps only if there is nothing to do. A task with VOW_IDLE runs in the
 * 64th turn after the last such at the latest, however busy the loop is.
 *
 * Waiting. A blocking wait on the loop's thread would stop all of this: it fails
 * with VOW_E_DEADLOCK unless what it waits for has settled. vow_loop_run_until
 * waits and runs the loop meanwhile, also inside a callback.
 *
 * Its end. A loop that is closed settles its timers, watched descriptors, signals
 * and frames at once with VOW_E_CLOSED, in both modes. To drain it, its owner has
 * to run it; without the last reference to the loop nobody can, and then what is
 * queued is cancelled.
 *
 * Fork. In a forked child the loop is left behind: vow_loop_run and its kin and
 * vow_loop_request_frame give VOW_E_FORKED, watching gives EPERM, and vow_loop_fd is -1.
 * vow_executor_revive opens it again, empty; then whoever runs it first owns it. What was
 * queued, armed, watched, requested or waited for at the fork is the parent's, which
 * does not notice what the child does with its copies: nothing of it happens here. Its
 * futures stay pending unless they are cancelled, its timers say VOW_REMOVED when they are
 * disarmed and can be armed again, its watches can be stopped. A callback that forks
 * returns in the child to whoever runs the loop, and that gets VOW_E_FORKED; unless it
 * has revived the loop, which then runs on.
 */
#ifndef VOW_LOOP_H
#define VOW_LOOP_H

#include <vow/executor.h>
#include <vow/future.h>

VOW_BEGIN_DECLS

/** An event loop. */
typedef struct vow_loop vow_loop;

/** How to make a loop; see VOW_LOOP_OPTIONS. 0 in any field is its default. */
typedef struct vow_loop_options {
    size_t size;         /**< of this struct: the macro sets it */
    vow_clock *clock;    /**< of its timers and frames, borrowed until the loop is
                              gone; default: the process clock of this moment */
    unsigned frame_rate; /**< frames a second at most; default 60 */
} vow_loop_options;

/** Options for vow_loop_new: &VOW_LOOP_OPTIONS(.frame_rate = 120). */
#define VOW_LOOP_OPTIONS(...) VOW_SIZED(vow_loop_options, __VA_ARGS__)

/**
 * Makes a loop. On a clock that is not the real one it looks at that clock again
 * at least every millisecond while a timer is armed; who moves a virtual clock may
 * say so with vow_loop_wake.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @return     owned; NULL if memory or descriptors ran out (errno is ENOMEM, EMFILE,
 *             ENFILE or what else epoll_create1 and eventfd give)
 * @contract   any thread; never blocks; allocates; runs no user code
 */
vow_loop *vow_loop_new(const vow_loop_options *opt) VOW_MUST_USE;

/**
 * Takes another reference to a loop.
 *
 * @param l   borrowed; may be NULL
 * @return    owned; @p l itself
 * @contract  any thread, any callback; never blocks; no memory; runs no user code
 */
vow_loop *vow_loop_ref(vow_loop *l);

/**
 * Lets go of a loop. The last one closes it: with VOW_CANCEL_QUEUED, since nobody
 * can run it any more; or, from inside one of its callbacks, with VOW_DRAIN, and
 * what runs it returns when it has drained.
 *
 * @param l   consumed; may be NULL
 * @contract  any thread, any callback; never blocks; frees; may run refused tasks,
 *            drops and inline steps
 */
void vow_loop_unref(vow_loop *l);

/**
 * Returns the executor to post to.
 *
 * @param l   borrowed; may be NULL
 * @return    borrowed from @p l; NULL, which is inline, if @p l is NULL
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_executor *vow_loop_executor(vow_loop *l);

/**
 * Runs a loop until it is stopped or closed; with nothing to do it sleeps.
 *
 * @param l   borrowed
 * @return    0: it was stopped, or closed and has finished; EPERM: another thread
 *            owns it; VOW_E_INVALID: inside one of its callbacks
 * @contract  the owner; blocks; frees; runs callbacks and steps
 */
int vow_loop_run(vow_loop *l);

/**
 * Runs turns of a loop until one had something to do, for a time at most. With
 * 0 it is how a loop inside another one is run when that says it is ready.
 *
 * @param l        borrowed
 * @param timeout  real time to wait; 0 or less: one turn, without sleeping
 * @return         0: something ran, or it was woken; VOW_E_TIMEDOUT: nothing did;
 *                 ECANCELED: it was stopped; VOW_E_CLOSED: it was closed and has
 *                 finished; EPERM and VOW_E_INVALID as for vow_loop_run
 * @contract       the owner; blocks as told; frees; runs callbacks and steps
 */
int vow_loop_run_once(vow_loop *l, vow_ns timeout);

/**
 * Runs full turns of a loop until a future has settled: how to wait on the loop's
 * thread. May be called inside a callback of the loop: that callback and what
 * called it then wait, all else goes on.
 *
 * @param l   borrowed
 * @param f   borrowed; not looked at: its error is still to be seen; NULL has
 *            settled
 * @return    0: it has settled; EPERM: another thread owns the loop; ECANCELED: the
 *            loop was stopped first; VOW_E_CLOSED: the loop was closed first, and
 *            nothing can run on it any more; VOW_E_DEADLOCK: it is the close future
 *            of this loop, inside a callback of it, or the caller is between
 *            vow_defer_begin and its end; VOW_E_FORKED: fork left the loop behind, or
 *            what would settle it
 * @contract  the owner; blocks; frees; runs callbacks and steps
 */
int vow_loop_run_until(vow_loop *l, vow_future *f);

/**
 * Makes what runs the loop return at the end of this turn, with all that it may be
 * nested in; if nothing runs it, then the next one as it begins. What is queued
 * stays.
 *
 * @param l   borrowed; may be NULL
 * @contract  any thread, any callback; never blocks; no memory; runs no user code
 */
void vow_loop_stop(vow_loop *l);

/**
 * Makes the loop run a turn now, also if there is nothing to do; vow_loop_run_once
 * returns 0 after it. Several before that turn are one.
 *
 * @param l   borrowed; may be NULL
 * @contract  any thread, and signal handlers too; never blocks; no memory; runs no
 *            user code; keeps errno
 */
void vow_loop_wake(vow_loop *l);

/* ---- inside another loop --------------------------------------------------------- */

/**
 * Returns a descriptor that is readable when the loop should be run: for a loop
 * that polls this one, which then calls vow_loop_run_once(l, 0). It shall wait
 * for it no longer than vow_loop_timeout says. Do not read from it.
 *
 * @param l   borrowed
 * @return    borrowed: it is closed with the loop
 * @contract  any thread; never blocks; no memory; runs no user code
 */
int vow_loop_fd(const vow_loop *l);

/**
 * Returns how long nothing needs to run unless the descriptor becomes readable.
 *
 * @param l   borrowed
 * @return    0: run it now; VOW_FOREVER: no timer is armed
 * @contract  the owner; never blocks; no memory; reads the loop's clock
 */
vow_ns vow_loop_timeout(vow_loop *l);

/* ---- descriptors ----------------------------------------------------------------- */

/** What can become of a descriptor; bits. */
enum vow_fd_event {
    VOW_FD_READ = 1,     /**< reading will not block */
    VOW_FD_WRITE = 2,    /**< writing will not block */
    VOW_FD_PRIORITY = 4, /**< something urgent, as poll's POLLPRI */
    VOW_FD_ERROR = 8,    /**< something failed; always reported */
    VOW_FD_HANGUP = 16   /**< the other end is gone; always reported */
};

/**
 * Waits until a descriptor is ready, once. Any number may wait for one descriptor,
 * for the same events or others. Cancelling the future stops it at once.
 *
 * @param l       borrowed; NULL reads as no memory
 * @param fd      open until the future has settled, or what hangs on it was cancelled
 * @param events  bits of enum vow_fd_event; of READ, WRITE, PRIORITY at least one
 * @return        owned; the value is what is ready, bits, as i64. Rejected with
 *                EPERM off the owner's thread, and for a file that is always ready
 *                (the message says which); EBADF; VOW_E_CLOSED; VOW_E_INVALID without
 *                an event; ENOSPC; VOW_E_NOMEM. NULL if memory ran out
 * @contract      the owner; never blocks; allocates; runs no user code
 */
vow_future *vow_loop_ready(vow_loop *l, int fd, unsigned events) VOW_MUST_USE;

/** A descriptor whose events go to a callback. */
typedef struct vow_watch vow_watch;

/**
 * Called in phase 4 of each turn in which the descriptor is ready: go on until it
 * is not, or be called again. @p events are bits of enum vow_fd_event.
 */
typedef void vow_watch_fn(vow_watch *w, unsigned events, void *ctx);

/**
 * Calls a function whenever a descriptor is ready. Any number may watch one
 * descriptor. Inside its own callback a watch is not called again, though the
 * loop may run there.
 *
 * @param l       borrowed
 * @param fd      open until vow_watch_stop
 * @param events  bits of READ, WRITE, PRIORITY; 0: only errors and hang-ups
 * @param fn      called until the watch is stopped or the loop is closed
 * @param ctx     consumed; dropped when it is stopped or the loop is closed, but not
 *                before fn has returned; by the thread that runs the loop, if one does
 * @return        owned: vow_watch_stop takes it; NULL, the context dropped, with errno
 *                EPERM (off the owner's thread, or a file that is always ready),
 *                EBADF, ENOMEM, ENOSPC, or ESHUTDOWN: the loop is closed
 * @contract      the owner; never blocks; allocates; may run the context's drop
 */
vow_watch *vow_watch_start(vow_loop *l, int fd, unsigned events, vow_watch_fn *fn,
                           vow_value ctx) VOW_MUST_USE;

/**
 * Changes what a watch waits for.
 *
 * @param w       borrowed
 * @param events  as for vow_watch_start
 * @return        0; EPERM off the owner's thread; VOW_E_CLOSED after the loop was
 *                closed; or what epoll_ctl gives, and then it is as before
 * @contract      the owner, any callback; never blocks; no memory; runs no user code
 */
int vow_watch_change(vow_watch *w, unsigned events);

/**
 * Ends a watch: its function is not called again. Stop it before its descriptor is
 * closed.
 *
 * @param w   consumed, unless it returns EPERM; may be NULL
 * @return    0; EPERM off the owner's thread: it stays as it is
 * @contract  the owner, any callback, its own included; never blocks; frees; runs
 *            the context's drop
 */
int vow_watch_stop(vow_watch *w);

/* ---- signals --------------------------------------------------------------------- */

/**
 * Waits for a signal, once. The signal is blocked on the loop's thread, for good: so
 * one that comes while nobody waits for it is kept, and settles the next future.
 *
 * A signal sent to the process goes to any thread that has not blocked it, and does
 * there what it always did. So make the first future before other threads are
 * started, which inherit the mask, or block the signal in all of them; workers of a
 * pool have blocked it. If several wait, on one loop, one signal settles them all.
 * SIGKILL and SIGSTOP cannot be waited for.
 *
 * @param l       borrowed; NULL reads as no memory
 * @param number  the signal, SIGTERM say
 * @return        owned; the value is the number, as i64. Rejected with EPERM off the
 *                owner's thread; EINVAL: no such signal, or not one to wait for;
 *                EMFILE and what else signalfd gives; VOW_E_CLOSED; VOW_E_NOMEM.
 *                NULL if memory ran out
 * @contract      the owner; never blocks; allocates; runs no user code
 */
vow_future *vow_loop_signal(vow_loop *l, int number) VOW_MUST_USE;

/* ---- frames ---------------------------------------------------------------------- */

/** Called for a frame; @p time is when it was due or, if that was late, is now. */
typedef void vow_frame_fn(vow_ns time, void *ctx);

/**
 * Calls a function once, in the next frame: after the events of a turn and their
 * microtasks, and not before the last frame is as old as the frame rate says. Those
 * requested in a frame are for the one after. A frame that comes late does not make
 * the next one early, and none is made up for.
 *
 * @param l    borrowed
 * @param fn   called at most once
 * @param ctx  consumed: dropped after fn returned, or instead of it
 * @return     0; VOW_E_NOMEM or VOW_E_CLOSED: fn will not run
 * @contract   any thread, any callback; never blocks; one allocation; may run the
 *             context's drop
 */
int vow_loop_request_frame(vow_loop *l, vow_frame_fn *fn, vow_value ctx) VOW_MUST_USE;

/* ---- asking ---------------------------------------------------------------------- */

/** Counters of a loop since it was made. Exact when nothing runs it. */
typedef struct vow_loop_stats {
    size_t size;         /**< set to sizeof(vow_loop_stats) by the caller */
    uint64_t turns;      /**< full turns */
    uint64_t tasks;      /**< macrotasks of phases 3 and 5 that ran */
    uint64_t microtasks; /**< steps that ran as microtasks */
    uint64_t timers;     /**< timers that fired */
    uint64_t events;     /**< callbacks for descriptors and signals, and frames */
    uint64_t sleeps;     /**< times that it went to sleep */
    uint64_t wakes;      /**< writes to its eventfd: the price of waking it */
} vow_loop_stats;

/**
 * Reads the counters of a loop.
 *
 * @param l      borrowed
 * @param stats  out; its size set by the caller
 * @contract     any thread; never blocks; no memory; runs no user code
 */
void vow_loop_read_stats(const vow_loop *l, vow_loop_stats *stats);

VOW_END_DECLS

#endif
