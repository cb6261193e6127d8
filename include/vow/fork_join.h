/* SPDX-License-Identifier: MIT */
/**
 * @file vow/fork_join.h
 * Divide and conquer: two functions that may run at the same time, and their end.
 *
 *     struct part { int *first, *end; };
 *
 *     static vow_error *sort(void *part)
 *     {
 *         struct part *all = part, low, high;
 *
 *         if (all->end - all->first < 2)
 *             return NULL;
 *         partition(all, &low, &high);
 *         return vow_fork_join(pool, sort, &low, sort, &high);
 *     }
 *
 * It is what join of rayon, parallel_invoke of TBB, and spawn and sync of Cilk are. No
 * future is made and nothing is allocated: what the library has to know of the second
 * function lies on the caller's stack, from where an idle thread may steal it. Mostly none
 * does, and then a fork and a join cost little more than two calls.
 *
 * For the same function on many indices see vow/parallel.h, for tasks that may outlive the
 * call vow_submit and vow/group.h.
 */
#ifndef VOW_FORK_JOIN_H
#define VOW_FORK_JOIN_H

#include <vow/base.h>
#include <vow/executor.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/**
 * One of two branches. Returns NULL; or an error, owned. What it computes it leaves where
 * its context says.
 */
typedef vow_error *vow_branch_fn(void *ctx);

/**
 * Runs two functions, if it can at the same time, and returns when both have ended.
 *
 *     struct fib a = {n - 1}, b = {n - 2};
 *     vow_error *e = vow_fork_join(pool, fib, &a, fib, &b);
 *
 * The caller runs @p first, on its own stack; meanwhile another thread of @p on may begin
 * @p second. If none has by then, the caller runs that as well. If one has, the caller
 * waits for it as vow_get waits on a worker: it helps with what @p second forks or submits,
 * and with nothing else, or sleeps while another thread takes its place. Nothing waits for
 * a thread that is busy with something else.
 *
 * If @p first fails and nobody has begun @p second, that does not run. If it runs, or has
 * run, its end is waited for, and vow_cancelled() in it says so; its error is let go of. So
 * which error comes back depends on the functions, not on the threads: that of @p first,
 * else that of @p second. For that reason @p first is not told if @p second fails
 * meanwhile: it ends as it does where the caller runs both. A branch whose thread exits has
 * failed with VOW_E_BROKEN; if it is the caller's thread, @p second has ended before
 * anything of its stack goes.
 *
 * Both are part of the task that called this, wherever they run: they are asked to stop
 * when it is (vow_cancelled, vow_token_current). They run whether it is or not: a function
 * that is long looks for itself.
 *
 * Forks nest as deep as the stack is. Two branches are not promised to run at the same
 * time: one that waits for the other, or for what the caller does later, may wait for ever.
 *
 * Where there is nobody to share with, the caller runs both, one after the other, and that
 * is no error: on an executor that is no pool; if the pool is closed with VOW_CANCEL_QUEUED,
 * or its queue cannot grow. Called on a thread that is none of @p on it has the whole of it
 * run on @p on, and waits; or again runs both itself, if @p on is closed or full or there
 * is no memory for a task, or if waiting is refused here, as on the thread of a loop and
 * after vow_defer_begin.
 *
 * @p second has the normal priority in the queue of the pool, whatever that of the caller's
 * task is, and is no submitted task: it does not count for the limit of the pool.
 *
 * @param on          borrowed for the call; NULL or inline: the caller runs both
 * @param first       called once, on this thread if it is one of @p on
 * @param first_ctx   borrowed for the call; passed to @p first
 * @param second      called at most once
 * @param second_ctx  borrowed for the call; passed to @p second
 * @return            NULL: both have run, and neither failed; else an error, owned;
 *                    VOW_E_FORKED if @p first forked the process, this is the child, and
 *                    another thread was at @p second
 * @contract          any thread; blocks until both have ended, and no longer; on a thread
 *                    of the pool no memory but for a ring of the pool, which grows with the
 *                    depth of forks; elsewhere one allocation, and lack of memory is no
 *                    error; runs both functions and, as any wait does, inline steps queued
 *                    here and on a pool's thread tasks that @p second waits for
 */
vow_error *vow_fork_join(vow_executor *on, vow_branch_fn *first, void *first_ctx,
                         vow_branch_fn *second, void *second_ctx) VOW_MUST_USE;

VOW_END_DECLS

#endif
