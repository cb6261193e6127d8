/* SPDX-License-Identifier: MIT */
/**
 * @file vow/parallel.h
 * A loop whose indices are shared out among the threads of a pool.
 *
 *     static vow_error *brighten(size_t first, size_t end, void *picture)
 *     {
 *         for (size_t row = first; row < end; row++)
 *             brighten_row(picture, row);
 *         return NULL;
 *     }
 *
 *     vow_future *f = vow_parallel_for(pool, NULL, 0, height, brighten, vow_ptr(picture));
 *
 * The range is cut into pieces, each given to one call of the function. How long they
 * are, the loop sees to: a thread takes a small part of what is left to it, and one
 * that has nothing left takes half of what another one has. So calls that take longer
 * than others hold up nobody, and short ones are not called one index at a time. What
 * the loop needs is allocated when it starts, and depends on the threads alone.
 *
 * On a pool as many calls run at a time as it has threads. Elsewhere, on a loop, a
 * serial or a manual executor, it is one, and the indices come in order; between two
 * pieces whatever else waits there has its turn.
 *
 * A caller who has nothing else to do meanwhile takes part, and waits:
 *
 *     vow_error *e = vow_parallel_for_here(pool, NULL, 0, height, brighten, vow_ptr(picture));
 *
 * A worker of the pool that waits for the result works at the range meanwhile; so a
 * loop inside a loop is as good as one. A call that waits for the result of its own
 * loop waits for ever.
 */
#ifndef VOW_PARALLEL_H
#define VOW_PARALLEL_H

#include <vow/base.h>
#include <vow/batch.h>
#include <vow/cancel.h>
#include <vow/executor.h>
#include <vow/future.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** How to share out a range; see VOW_RANGE_OPTIONS. 0 in any field is its default. */
typedef struct vow_range_options {
    size_t size; /**< of this struct: the macro sets it */
    /**
     * The least that is worth a call: so many indices at a time, but for what is left
     * over at the end. Default 1.
     */
    size_t grain;
    /**
     * At most so many indices a call, rounded to grains: how soon it notices that it is
     * to stop, and how long others wait where one call runs at a time. Default: a 32nd
     * of what the thread has left.
     */
    size_t most;
    unsigned width;   /**< calls at a time; default: the threads of a pool, else 1 */
    int priority;     /**< an enum vow_priority */
    vow_token *token; /**< shared: cancels the result; NULL: none */
    bool unordered;   /**< a reduction may fold any two values, in any order */
} vow_range_options;

/** Options for vow_parallel_for and its kin: &VOW_RANGE_OPTIONS(.grain = 1000). */
#define VOW_RANGE_OPTIONS(...) VOW_SIZED(vow_range_options, __VA_ARGS__)

/**
 * Does what is to be done for the indices from @p first up to, not including, @p end.
 * Returns NULL; or an error, owned, and then the loop stops.
 */
typedef vow_error *vow_range_fn(size_t first, size_t end, void *ctx);

/**
 * Calls @p fn on @p on for pieces of a range, several at a time, until all of it is
 * done.
 *
 * The first error stops it: no further call begins, those that run see vow_cancelled(),
 * and when they have returned the result is rejected with that error; its index
 * (vow_error_index) is the first of the piece. So does a call whose thread exits, with
 * VOW_E_BROKEN. Cancelling the result, or the token, stops it in the same way, with
 * VOW_E_CANCELLED.
 *
 * The result settles when no call runs any more, and none will: what they use may go
 * then. Each index is given to at most one call; if the result is fulfilled, to exactly
 * one. If the executor takes only some of the threads' tasks (it is full, or closes)
 * those do it all. If it takes none, or ends them half-way, the result is rejected with
 * its code: VOW_E_LIMIT, VOW_E_CLOSED, VOW_E_FORKED.
 *
 * @param on     shared until the last call has returned; NULL is inline: all is done
 *               when this returns, or, inside a step, right after that step
 * @param opt    borrowed for the call; NULL is the defaults
 * @param begin  the first index
 * @param end    the one after the last; the same: nothing is called
 * @param fn     called as long as there is something left
 * @param ctx    consumed: a pointer or VOW_NIL; dropped after the last call has returned
 *               and before the result settles
 * @return       owned; fulfilled with how many indices there were (as.u64); rejected
 *               with VOW_E_INVALID if @p begin is greater than @p end; NULL if memory
 *               ran out, and then @p fn never runs
 * @contract     any thread; never blocks (a bounded executor may); allocates; may run
 *               @p fn before it returns if @p on is inline
 */
vow_future *vow_parallel_for(vow_executor *on, const vow_range_options *opt, size_t begin,
                             size_t end, vow_range_fn *fn, vow_value ctx) VOW_MUST_USE;

/**
 * The same, but the calling thread takes part, and this returns when all is done: what
 * dispatch_apply, tbb::parallel_for and a loop of OpenMP's do.
 *
 *     vow_error *e = vow_parallel_for_here(pool, NULL, 0, n, brighten, vow_ptr(picture));
 *
 * The caller makes calls at once, on its own stack, and counts as one of those that run at
 * a time: by default as many as the pool has threads, elsewhere one, its own. The others
 * are made on @p on, if it comes to that in time: they are asked for before the first call,
 * or, if the last few such loops on this thread took next to no time, only when this one
 * has lasted longer than it takes to wake a thread. So a small loop costs a fraction of a
 * microsecond, one that is not shared pays for no thread, and one that is goes as fast as
 * it can. Nothing waits for a thread that is busy with something else: the caller, if need
 * be, does it all; also if @p on is closed or full, if memory runs out, and where waiting
 * is refused, as on the thread of a loop and after vow_defer_begin. Not even two calls are
 * promised to run at a time: one that waits for another may wait for ever, and so may one
 * that waits for what its caller does after the loop.
 *
 * What was asked for and did not come in time stays in the executor's queue, as tasks that
 * do nothing: few of them, however many loops there are, for as long as they lie there
 * nobody is asked again. Where a queue is bounded they count; if that drops its oldest, so
 * many of those go.
 *
 * Inside a call vow_cancelled() says that the loop is to stop: since another call failed,
 * since the token has fired, or, on any thread, since the task which called this was asked
 * to. On an executor that is no pool a share of the loop runs to its end in one turn. If
 * the caller's thread exits inside a call the others end first, and nothing is left.
 *
 * @param on     borrowed for the call; NULL or inline: the caller does it all
 * @param opt    borrowed for the call; NULL is the defaults
 * @param begin  the first index
 * @param end    the one after the last; the same: nothing is called
 * @param fn     called as long as there is something left
 * @param ctx    consumed: a pointer or VOW_NIL; dropped here, before this returns, when no
 *               call runs any more and none will
 * @return       NULL: all of it is done; else an error, owned: the first that a call
 *               returned, with the first of its indices (vow_error_index); likewise
 *               VOW_E_BROKEN of a call whose thread exited; VOW_E_CANCELLED; VOW_E_INVALID
 *               if @p begin is greater than @p end; VOW_E_FORKED if a call forked, and this
 *               is the child, which has not what others were doing
 * @contract     any thread; blocks until the calls have returned, and no longer; allocates,
 *               but lack of memory is no error; runs @p fn and, as any wait does, inline
 *               steps queued here and on a pool's thread tasks that the calls wait for
 */
vow_error *vow_parallel_for_here(vow_executor *on, const vow_range_options *opt,
                                 size_t begin, size_t end, vow_range_fn *fn,
                                 vow_value ctx) VOW_MUST_USE;

/** Makes a value of the indices from @p first up to, not including, @p end. */
typedef vow_result vow_reduce_fn(size_t first, size_t end, void *ctx);

/**
 * Calls @p map on @p on for pieces of a range, as vow_parallel_for does, and makes one
 * value of all by folding two at a time as they come.
 *
 *     static vow_result sum(size_t first, size_t end, void *numbers);
 *     static vow_result add(vow_value a, vow_value b, void *numbers)
 *     {
 *         return vow_ok(vow_f64(a.as.f64 + b.as.f64));
 *     }
 *
 *     vow_future *f = vow_parallel_reduce(pool, NULL, 0, n, sum, add, vow_ptr(numbers));
 *
 * Where the pieces begin, and which values are folded first, is not the same each time;
 * the order is: @p fold gets neighbours, the one with lower indices on the left, unless
 * the options say .unordered. So it must be associative, and then need not be
 * commutative. Each value but the outcome is dropped once, as soon as it has been folded
 * into another; how many there are at a time depends on the threads alone.
 *
 * Errors of @p map and @p fold, cancelling, refusals and when the result settles: all as
 * for vow_parallel_for. Of one that is rejected every value has been dropped before it
 * settles.
 *
 * @param on     as for vow_parallel_for
 * @param opt    borrowed for the call; NULL is the defaults
 * @param begin  the first index
 * @param end    the one after the last; the same: the outcome is VOW_NIL, which reads as 0
 * @param map    called as long as there is something left; a future to follow is
 *               VOW_E_INVALID
 * @param fold   called once less than @p map
 * @param ctx    consumed: as for vow_parallel_for, and passed to both
 * @return       owned; fulfilled with the value; else as vow_parallel_for
 * @contract     any thread; never blocks (a bounded executor may); allocates; may run
 *               @p map and @p fold before it returns if @p on is inline
 */
vow_future *vow_parallel_reduce(vow_executor *on, const vow_range_options *opt,
                                size_t begin, size_t end, vow_reduce_fn *map,
                                vow_fold_fn *fold, vow_value ctx) VOW_MUST_USE;

/**
 * The same, but the calling thread takes part, and this returns when all is done: all is as
 * for vow_parallel_for_here.
 *
 * @param on     borrowed for the call; NULL or inline: the caller does it all
 * @param opt    borrowed for the call; NULL is the defaults
 * @param begin  the first index
 * @param end    the one after the last; the same: the outcome is VOW_NIL, which reads as 0
 * @param map    as for vow_parallel_reduce
 * @param fold   called once less than @p map
 * @param ctx    consumed: as for vow_parallel_for_here, and passed to both; dropped after
 *               all values but the outcome
 * @return       owned: the value, or an error, of those that vow_parallel_for_here returns
 * @contract     as vow_parallel_for_here
 */
vow_result vow_parallel_reduce_here(vow_executor *on, const vow_range_options *opt,
                                    size_t begin, size_t end, vow_reduce_fn *map,
                                    vow_fold_fn *fold, vow_value ctx) VOW_MUST_USE;

VOW_END_DECLS

#endif
