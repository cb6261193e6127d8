/* SPDX-License-Identifier: MIT */
/**
 * @file vow/fiber.h
 * Tasks that wait without holding a thread.
 *
 *     static void serve(void *connection)
 *     {
 *         vow_future *request = receive(connection);
 *         vow_view got = vow_get(request); // the others go on meanwhile
 *         ...
 *     }
 *
 *     vow_executor *fibers = vow_fibers_new(NULL);
 *
 *     for (each connection)
 *         vow_post(fibers, serve, vow_ptr(connection)); // thousands at once
 *
 * An executor with one thread, on which a task that waits is set aside with its stack: the
 * thread goes on with the others, and comes back to it when what it waits for has settled or
 * its deadline has come. That is so for every wait of the library: vow_get, vow_wait with a
 * time, vow_take, and what is made of them. A wait of another kind, a read of a socket or
 * a mutex, holds the thread, and with it all the others.
 *
 * What only another thread can begin is asked for there. That of a loop tells when a
 * descriptor is ready:
 *
 *     static vow_result wait_readable(void *connection) // a task of the loop
 *     {
 *         return vow_follow(vow_loop_ready(loop, fd_of(connection), VOW_FD_READ));
 *     }
 *
 *     vow_future *f = vow_submit(vow_loop_executor(loop), wait_readable,
 *                                vow_ptr(connection)); // in a task of the fibers
 *     vow_get(f);
 *
 * A loop that a task runs itself holds the thread. On what runs inside a task, a loop or
 * a serial executor, waits are refused (VOW_E_DEADLOCK) as they are elsewhere.
 *
 * Tasks begin in the order in which they were posted, priorities are ignored, and between
 * two waits a task has the thread for itself: what only tasks of one such executor touch
 * needs no lock. A task stays on its thread for life, so that errno and the thread's own
 * variables are as in any function; but other tasks may have used them during a wait.
 * In C++ a handler may wait, and so may a destructor: exceptions are of the stack.
 * For several processors make several such executors.
 *
 * Stacks are taken when they are needed: tasks that do not wait run one after the other on
 * one of them. Where none can be had, tasks wait to begin until another one has ended.
 * What overruns one ends the process: below each are 64 KiB that must not be touched. A
 * stack takes two mappings, of which Linux allows a process 65530: without a limit (most)
 * so many tasks that wait leave none for malloc and for threads.
 *
 * A task must not end its thread by pthread_exit, since others have their stacks there: the
 * process would be ended with a message. In a forked child the executor is left behind
 * as others are, with the tasks that it had, and it cannot be revived: make another one.
 */
#ifndef VOW_FIBER_H
#define VOW_FIBER_H

#include <vow/executor.h>

VOW_BEGIN_DECLS

/** How to make an executor of fibers; see VOW_FIBERS_OPTIONS. 0 is the default. */
typedef struct vow_fibers_options {
    size_t size;       /**< of this struct: the macro sets it */
    const char *name;  /**< of its thread, 15 characters at most; default "fibers" */
    size_t stack_size; /**< in bytes, from 16 KiB on; default 256 KiB, touched as used */
    /** Tasks that may have begun and not ended, at most; default: as memory allows. */
    unsigned most;
    unsigned kept_stacks; /**< kept for later when they are not used; default 64 */
} vow_fibers_options;

/** Options for vow_fibers_new: &VOW_FIBERS_OPTIONS(.most = 1000). */
#define VOW_FIBERS_OPTIONS(...) VOW_SIZED(vow_fibers_options, __VA_ARGS__)

/**
 * Makes an executor of fibers and starts its thread. Close it or let go of it as any
 * other: tasks that wait are waited for.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @return     owned; NULL if memory ran out, the thread could not be started, or this
 *             processor or this process cannot switch stacks (errno is ENOMEM, EAGAIN,
 *             EINVAL or ENOTSUP)
 * @contract   any thread; never blocks; allocates, and starts a thread; runs no user code
 */
vow_executor *vow_fibers_new(const vow_fibers_options *opt) VOW_MUST_USE;

/**
 * Lets the other tasks of this executor of fibers have a turn each, and begin if they
 * have not. Elsewhere it does nothing.
 *
 * @return    false: elsewhere, or between vow_defer_begin and vow_defer_end
 * @contract  any thread; returns after the others' turns; no memory of the caller's; runs
 *            other tasks
 */
bool vow_fiber_yield(void);

VOW_END_DECLS

#endif
