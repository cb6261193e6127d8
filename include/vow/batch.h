/* SPDX-License-Identifier: MIT */
/**
 * @file vow/batch.h
 * Many items through one step: mapped, filtered, made one value of, one after another.
 *
 *     vow_future *f = vow_map(pool, &VOW_MAP_OPTIONS(.limit = 8), urls, n, fetch, VOW_NIL);
 *     const vow_results *pages = vow_get_results(f);
 *
 * A map has a window: at most `limit` items are in flight, from the call of the step
 * until what it returned has settled. The next one starts when one has ended. What
 * the map needs itself depends on the window alone: 64 places for ten million items.
 * The results are kept as well, unless .each takes them as they come.
 *
 * The first error stops it: no further item starts, those in flight are asked to
 * stop, and when they have ended the result is rejected with that error and its index
 * (vow_error_index). VOW_MAP_SETTLED makes errors results like others.
 *
 * To cancel the result settles it with VOW_E_CANCELLED at once; no item starts any
 * more, and those in flight are asked to stop. The context is dropped when the last
 * of them has ended: what they use belongs in it. Of .each and .progress no call begins
 * after that; one that is under way may still run when the cancelled result settles.
 */
#ifndef VOW_BATCH_H
#define VOW_BATCH_H

#include <vow/base.h>
#include <vow/cancel.h>
#include <vow/combine.h>
#include <vow/executor.h>
#include <vow/future.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** Bits of vow_map_options.flags. */
enum vow_map_flag {
    VOW_MAP_SETTLED = 1 /**< an item's error is its result, and stops nothing */
};

/** Called after each item, one call at a time; @p total is 0 if nobody knows it. */
typedef void vow_progress_fn(size_t done, size_t total, void *ctx);

/** Called with each result, one call at a time; @p result is lent until it returns. */
typedef void vow_each_fn(size_t index, vow_view result, void *ctx);

/** Gives the next item, owned; false: there are no more. One call at a time. */
typedef bool vow_next_fn(vow_value *item, void *ctx);

/** How to map; see VOW_MAP_OPTIONS. */
typedef struct vow_map_options {
    size_t size;               /**< of this struct: the macro sets it */
    size_t limit;              /**< items in flight; 0: twice the pool's threads, or 2 */
    unsigned flags;            /**< VOW_MAP_SETTLED or 0 */
    bool unordered;            /**< results in the order in which they come */
    vow_token *token;          /**< shared: cancels the result; NULL: none */
    vow_progress_fn *progress; /**< NULL: none */
    void *progress_ctx;        /**< borrowed until ctx has been dropped */
    vow_each_fn *each;         /**< takes the results, which are not kept; NULL: none */
    void *each_ctx;            /**< borrowed until ctx has been dropped */
} vow_map_options;

/** Options for vow_map and its kin: &VOW_MAP_OPTIONS(.limit = 8). */
#define VOW_MAP_OPTIONS(...) VOW_SIZED(vow_map_options, __VA_ARGS__)

/**
 * Runs each item through @p fn on @p on, a few at a time.
 *
 * @param on     shared until the last item has ended; NULL is inline
 * @param opt    borrowed for the call; NULL is the defaults
 * @param items  borrowed for the call, copied; each element consumed: dropped as its
 *               step ends, or when it is clear that it never starts; on a pool, one
 *               whose step ended just now may go after the result has settled
 * @param n      how many
 * @param fn     called at most once for each, @p in lent until it returns; what it
 *               returns is as for a step, a future to follow included
 * @param ctx    consumed: dropped after the last item has ended
 * @return       owned; fulfilled with a vow_results, or, with .each, with how many
 *               there were (as.u64); NULL if memory ran out
 * @contract     any thread; never blocks (a bounded executor may); allocates; may run
 *               @p fn before it returns if @p on is inline
 */
vow_future *vow_map(vow_executor *on, const vow_map_options *opt, const vow_value *items,
                    size_t n, vow_then_fn *fn, vow_value ctx) VOW_MUST_USE;

/**
 * Is vow_map over what a function gives, which is asked for an item when there is room
 * for one: so only those in flight are there.
 *
 * @param on      shared until the last item has ended; NULL is inline
 * @param opt     borrowed for the call; NULL is the defaults
 * @param next    called one at a time, on threads of @p on and in this call, until it
 *                returns false, or the map is stopped
 * @param source  consumed: its context; dropped after the last call
 * @param fn      as for vow_map
 * @param ctx     consumed: dropped after the last item has ended
 * @return        owned; as vow_map; rejected with VOW_E_INVALID if .limit is more than
 *                there could ever be places for: SIZE_MAX is not "no limit"
 * @contract      any thread; never blocks (a bounded executor may); allocates; runs
 *                @p next, and @p fn if @p on is inline
 */
vow_future *vow_map_from(vow_executor *on, const vow_map_options *opt, vow_next_fn *next,
                         vow_value source, vow_then_fn *fn, vow_value ctx) VOW_MUST_USE;

/**
 * Makes one value of two that stand side by side, both lent until it returns. To return
 * one of them keeps that one, so that adding to what @p left points at, and returning
 * left, is the way to do it without a new one; the library drops the other. A future to
 * follow is VOW_E_INVALID.
 */
typedef vow_result vow_fold_fn(vow_value left, vow_value right, void *ctx);

/**
 * Runs each item through @p map on @p on, a few at a time, and makes one value of what
 * comes of them, by folding two at a time as they come. Otherwise as vow_map.
 *
 *     static vow_result count_words(vow_value path, void *ctx);
 *     static vow_result add(vow_value a, vow_value b, void *ctx)
 *     {
 *         return vow_ok(vow_i64(a.as.i64 + b.as.i64));
 *     }
 *
 *     vow_future *f = vow_map_reduce(pool, NULL, paths, n, count_words, add, VOW_NIL);
 *
 * Which values are folded first is not the same each time; the order is: @p fold gets
 * neighbours, that of the items before on the left, unless the options say .unordered. So
 * it must be associative, and then need not be commutative. Each value but the outcome is
 * dropped once, as soon as it has been folded into another; how many there are at a time
 * depends on the window alone. An item that the step gives back is such a value.
 *
 * An error of @p fold is one of the item whose value was to be folded.
 *
 * @param on     as for vow_map
 * @param opt    borrowed for the call; NULL is the defaults; .each, and .flags, mean
 *               nothing here
 * @param items  as for vow_map; none: the outcome is VOW_NIL, which reads as 0
 * @param n      how many
 * @param map    as the step of vow_map
 * @param fold   called once less than there are items, several calls at a time, on
 *               threads of @p on
 * @param ctx    consumed: dropped after the last item has ended; passed to both
 * @return       owned; fulfilled with the value; NULL if memory ran out
 * @contract     as vow_map
 */
vow_future *vow_map_reduce(vow_executor *on, const vow_map_options *opt,
                           const vow_value *items, size_t n, vow_then_fn *map,
                           vow_fold_fn *fold, vow_value ctx) VOW_MUST_USE;

/**
 * Is vow_map_reduce over what a function gives, which is asked for an item when there is
 * room for one.
 *
 * @param on      as for vow_map_from
 * @param opt     borrowed for the call; as for vow_map_reduce
 * @param next    as for vow_map_from
 * @param source  consumed: its context; dropped after the last call
 * @param map     as the step of vow_map
 * @param fold    as for vow_map_reduce
 * @param ctx     consumed: dropped after the last item has ended; passed to both
 * @return        owned; fulfilled with the value; NULL if memory ran out; rejected with
 *                VOW_E_INVALID as by vow_map_from
 * @contract      as vow_map_from
 */
vow_future *vow_map_reduce_from(vow_executor *on, const vow_map_options *opt,
                                vow_next_fn *next, vow_value source, vow_then_fn *map,
                                vow_fold_fn *fold, vow_value ctx) VOW_MUST_USE;

/** Says whether to keep an item, lent until it returns. */
typedef bool vow_filter_fn(vow_value item, void *ctx);

/**
 * Keeps those items for which @p fn says so. Otherwise as vow_map; vow_results_index
 * says which item each of the results is.
 *
 * @param on     shared until the last item has ended; NULL is inline
 * @param opt    borrowed for the call; NULL is the defaults; .each means nothing here
 * @param items  borrowed for the call, copied; each element consumed: kept as a result,
 *               or dropped
 * @param n      how many
 * @param fn     called at most once for each
 * @param ctx    consumed: dropped after the last item has ended
 * @return       owned; fulfilled with a vow_results of those that were kept
 * @contract     as vow_map
 */
vow_future *vow_filter(vow_executor *on, const vow_map_options *opt,
                       const vow_value *items, size_t n, vow_filter_fn *fn, vow_value ctx)
    VOW_MUST_USE;

/** A function and its context. */
typedef struct vow_call {
    vow_task_fn *fn; /**< called at most once */
    vow_value ctx;   /**< dropped after fn returned, or instead of it */
} vow_call;

/**
 * Calls functions one after another: the next only when what the last one returned has
 * settled. The first error ends it; what was not called is dropped.
 *
 * @param on     shared until the last one has ended; NULL is inline
 * @param calls  borrowed for the call, copied; each context consumed
 * @param n      how many
 * @return       owned; fulfilled with a vow_results, one for each
 * @contract     as vow_map
 */
vow_future *vow_sequence(vow_executor *on, const vow_call *calls, size_t n) VOW_MUST_USE;

VOW_END_DECLS

#endif
