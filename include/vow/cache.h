/* SPDX-License-Identifier: MIT */
/**
 * @file vow/cache.h
 * One call for many who ask for the same: while it runs, and for a while after.
 *
 *     vow_future *f = vow_singleflight_call(s, url, strlen(url), pool, fetch,
 *                                           vow_own(strdup(url), free));
 *
 * A single flight joins calls with equal keys: the first one runs, those that come
 * before it has settled get its outcome. A cache does the same, and keeps values for a
 * time; errors it forgets at once unless told otherwise.
 *
 * Each caller has a future of its own. Cancelling one leaves the others alone; the
 * function is asked to stop when the last of them was cancelled. Values are shared, not
 * copied: they are dropped when the last reader and the cache are done with them.
 */
#ifndef VOW_CACHE_H
#define VOW_CACHE_H

#include <vow/base.h>
#include <vow/executor.h>
#include <vow/future.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** Joins calls with equal keys. Counted; any number of threads may share one. */
typedef struct vow_singleflight vow_singleflight;

/** As a single flight, and keeps values for a time. */
typedef struct vow_cache vow_cache;

/**
 * Makes a single flight.
 *
 * @return    owned; NULL if memory ran out
 * @contract  any thread; never blocks; allocates; runs no user code
 */
vow_singleflight *vow_singleflight_new(void) VOW_MUST_USE;

/**
 * Takes another reference to a single flight.
 *
 * @param s   borrowed; may be NULL
 * @return    owned; @p s itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_singleflight *vow_singleflight_ref(vow_singleflight *s);

/**
 * Lets go of a single flight. Calls in flight keep it.
 *
 * @param s   consumed; may be NULL
 * @contract  any thread; never blocks; frees; runs no user code
 */
void vow_singleflight_unref(vow_singleflight *s);

/**
 * Runs @p fn on @p on, or joins the call of that key which is running.
 *
 * @param s       shared until the call has ended; NULL joins nothing
 * @param key     borrowed for the call, copied; compared byte by byte
 * @param length  of the key, in bytes
 * @param on      shared until fn has run; NULL is inline
 * @param fn      called at most once
 * @param ctx     consumed: a pointer or VOW_NIL; dropped at once by who joins
 * @return        owned; NULL if memory ran out
 * @contract      any thread; never blocks (a bounded executor may); allocates; may run
 *                @p fn before it returns if @p on is inline
 */
vow_future *vow_singleflight_call(vow_singleflight *s, const void *key, size_t length,
                                  vow_executor *on, vow_task_fn *fn, vow_value ctx)
    VOW_MUST_USE;

/** How a cache behaves; see VOW_CACHE_OPTIONS. 0 in any field is its default. */
typedef struct vow_cache_options {
    size_t size;      /**< of this struct: the macro sets it */
    vow_ns ttl;       /**< a value is kept for so long; default: for ever */
    vow_ns error_ttl; /**< an error is kept for so long; default: not at all */
    size_t most;      /**< outcomes kept; the least recently used goes; default 1024 */
    vow_clock *clock; /**< borrowed; default: the clock in force at each call */
} vow_cache_options;

/** Options for vow_cache_new: &VOW_CACHE_OPTIONS(.ttl = vow_seconds(60)). */
#define VOW_CACHE_OPTIONS(...) VOW_SIZED(vow_cache_options, __VA_ARGS__)

/**
 * Makes a cache.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @return     owned; NULL if memory ran out (errno is ENOMEM) or a time is below 0
 *             (EINVAL)
 * @contract   any thread; never blocks; allocates; runs no user code
 */
vow_cache *vow_cache_new(const vow_cache_options *opt) VOW_MUST_USE;

/**
 * Takes another reference to a cache.
 *
 * @param c   borrowed; may be NULL
 * @return    owned; @p c itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_cache *vow_cache_ref(vow_cache *c);

/**
 * Lets go of a cache. Calls in flight keep it; the last reference drops what it keeps.
 *
 * @param c   consumed; may be NULL
 * @contract  any thread; never blocks; frees; runs drops
 */
void vow_cache_unref(vow_cache *c);

/**
 * Returns what is kept under a key; else joins the call of that key which is running;
 * else runs @p fn on @p on and keeps what it gives.
 *
 * @param c       shared until the call has ended; NULL keeps and joins nothing
 * @param key     borrowed for the call, copied; compared byte by byte
 * @param length  of the key, in bytes
 * @param on      shared until fn has run; NULL is inline
 * @param fn      called at most once
 * @param ctx     consumed: a pointer or VOW_NIL; dropped at once if fn is not needed
 * @return        owned; NULL if memory ran out
 * @contract      any thread; never blocks (a bounded executor may); allocates; may run
 *                @p fn before it returns if @p on is inline, and drops
 */
vow_future *vow_cache_get(vow_cache *c, const void *key, size_t length, vow_executor *on,
                          vow_task_fn *fn, vow_value ctx) VOW_MUST_USE;

/**
 * Forgets what is kept under a key. A call that is running goes on for those who wait
 * for it, and nobody joins it any more, nor is its outcome kept.
 *
 * @param c       borrowed; may be NULL
 * @param key     borrowed for the call
 * @param length  of the key, in bytes
 * @return        whether there was anything under that key
 * @contract      any thread; never blocks; frees; runs drops
 */
bool vow_cache_forget(vow_cache *c, const void *key, size_t length);

/**
 * Forgets everything, as vow_cache_forget does.
 *
 * @param c   borrowed; may be NULL
 * @contract  any thread; never blocks; frees; runs drops
 */
void vow_cache_clear(vow_cache *c);

/** What a cache has done. */
typedef struct vow_cache_metrics {
    size_t size;      /**< set to sizeof(vow_cache_metrics) by the caller */
    uint64_t hits;    /**< calls answered by what was kept */
    uint64_t joined;  /**< calls that joined one which was running */
    uint64_t misses;  /**< calls that ran their function */
    uint64_t evicted; /**< outcomes that had to make room */
    uint64_t kept;    /**< outcomes kept now, some perhaps too old */
    uint64_t running; /**< calls running now */
} vow_cache_metrics;

/**
 * Reads what a cache has done, at one moment.
 *
 * @param c        borrowed; NULL is a cache that did nothing
 * @param metrics  out; its size set by the caller
 * @contract       any thread; never blocks; no memory; runs no user code
 */
void vow_cache_read(const vow_cache *c, vow_cache_metrics *metrics);

VOW_END_DECLS

#endif
