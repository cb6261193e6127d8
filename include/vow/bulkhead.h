/* SPDX-License-Identifier: MIT */
/**
 * @file vow/bulkhead.h
 * At most so many calls at once, and a queue of bounded length before them.
 *
 *     vow_bulkhead *b = vow_bulkhead_new(&VOW_BULKHEAD_OPTIONS(.limit = 8, .queue = 32));
 *     vow_future *f = vow_bulkhead_call(b, pool, query, vow_ptr(request));
 *
 * A call has its place from its start until its future has settled. One that comes when
 * all places are taken waits its turn, first in, first out; one that finds the queue
 * full, or has waited for queue_timeout, is rejected with VOW_E_LIMIT. A call that is
 * cancelled, or timed out from outside, while it waits leaves the queue at once and
 * never starts.
 */
#ifndef VOW_BULKHEAD_H
#define VOW_BULKHEAD_H

#include <vow/base.h>
#include <vow/executor.h>
#include <vow/future.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** Limits how many calls run at once. Counted; any number of threads may share one. */
typedef struct vow_bulkhead vow_bulkhead;

/** .queue for no queue at all: who finds no place is rejected at once. */
#define VOW_BULKHEAD_NO_QUEUE SIZE_MAX

/** How a bulkhead behaves; see VOW_BULKHEAD_OPTIONS. 0 in any field is its default. */
typedef struct vow_bulkhead_options {
    size_t size;          /**< of this struct: the macro sets it */
    const char *name;     /**< for messages; borrowed as long as the bulkhead is */
    size_t limit;         /**< calls at once; default 16 */
    size_t queue;         /**< calls that wait at most; default: as many as limit */
    vow_ns queue_timeout; /**< a call waits at most so long; default: for ever */
    vow_clock *clock;     /**< borrowed; default: the clock in force at each call */
} vow_bulkhead_options;

/** Options for vow_bulkhead_new: &VOW_BULKHEAD_OPTIONS(.limit = 8). */
#define VOW_BULKHEAD_OPTIONS(...) VOW_SIZED(vow_bulkhead_options, __VA_ARGS__)

/**
 * Makes a bulkhead.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @return     owned; NULL if memory ran out (errno is ENOMEM) or queue_timeout is below
 *             0 (EINVAL)
 * @contract   any thread; never blocks; allocates; runs no user code
 */
vow_bulkhead *vow_bulkhead_new(const vow_bulkhead_options *opt) VOW_MUST_USE;

/**
 * Takes another reference to a bulkhead.
 *
 * @param b   borrowed; may be NULL
 * @return    owned; @p b itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_bulkhead *vow_bulkhead_ref(vow_bulkhead *b);

/**
 * Lets go of a bulkhead. Calls that run or wait keep it.
 *
 * @param b   consumed; may be NULL
 * @contract  any thread; never blocks; frees; runs no user code
 */
void vow_bulkhead_unref(vow_bulkhead *b);

/**
 * Runs @p fn on @p on as soon as there is a place for it.
 *
 * @param b    shared until the call has ended; NULL has places for all
 * @param on   shared until fn has run; NULL is inline: fn runs here if there is a place,
 *             else in the thread whose call gives one up
 * @param fn   called at most once
 * @param ctx  consumed: a pointer or VOW_NIL
 * @return     owned; NULL if memory ran out, and then @p fn never runs
 * @contract   any thread; never blocks (a bounded executor may); allocates; may run
 *             @p fn before it returns if @p on is inline
 */
vow_future *vow_bulkhead_call(vow_bulkhead *b, vow_executor *on, vow_task_fn *fn,
                              vow_value ctx) VOW_MUST_USE;

/**
 * Takes a place, if one is free and nobody waits for it, for code without futures.
 *
 * @param b   borrowed; NULL always has one
 * @return    0; VOW_E_LIMIT: there is none
 * @contract  any thread; never blocks; no memory; runs no user code
 */
int vow_bulkhead_enter(vow_bulkhead *b) VOW_MUST_USE;

/**
 * Gives a place back that vow_bulkhead_enter took. If none is taken it does nothing, and
 * tells the hook for warnings.
 *
 * @param b   borrowed; may be NULL
 * @contract  any thread; never blocks; allocates if a call was waiting; may run that
 *            call if its executor is inline, or the hook for warnings
 */
void vow_bulkhead_leave(vow_bulkhead *b);

/** What a bulkhead has seen. */
typedef struct vow_bulkhead_metrics {
    size_t size;        /**< set to sizeof(vow_bulkhead_metrics) by the caller */
    uint64_t running;   /**< places taken now */
    uint64_t waiting;   /**< calls in the queue now */
    uint64_t admitted;  /**< calls that got a place */
    uint64_t queued;    /**< of them and others, calls that had to wait */
    uint64_t refused;   /**< calls that found the queue full */
    uint64_t timed_out; /**< calls that waited for too long */
    uint64_t left;      /**< calls cancelled while they waited */
    uint64_t most;      /**< places taken at once, at most so far */
} vow_bulkhead_metrics;

/**
 * Reads what a bulkhead has seen, at one moment.
 *
 * @param b        borrowed; NULL is a bulkhead that saw nothing
 * @param metrics  out; its size set by the caller
 * @contract       any thread; never blocks; no memory; runs no user code
 */
void vow_bulkhead_read(const vow_bulkhead *b, vow_bulkhead_metrics *metrics);

VOW_END_DECLS

#endif
