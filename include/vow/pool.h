/* SPDX-License-Identifier: MIT */
/**
 * @file vow/pool.h
 * Threads that share their work.
 *
 * Each worker has a queue of its own from which the others steal, and one queue
 * takes what comes from outside. Work submitted by a worker stays on it until
 * somebody is idle. Workers have a name, block all signals but the synchronous
 * ones, and cannot be cancelled.
 *
 * Five priorities: a worker picks what is most urgent, the oldest first. Nothing
 * starves: while tasks of a level wait, each worker takes one of them at the latest
 * in as many picks as enum vow_pool_bound says, however many more urgent ones there
 * are; so with one worker the k-th idle task in the queue runs within
 * k * VOW_POOL_IDLE_WITHIN picks. A pick is a task that a worker takes between tasks;
 * what it runs inside a wait does not count. Continuations are normal, whatever the
 * priority of their source.
 *
 * A worker that waits (vow_get) first runs what it waits for, if that is still
 * queued here, then what the thief of it left behind, and else a spare thread
 * takes its place: waiting inside the pool neither hangs nor idles a CPU. A wait
 * that provably cannot end gives VOW_E_DEADLOCK.
 */
#ifndef VOW_POOL_H
#define VOW_POOL_H

#include <vow/executor.h>

VOW_BEGIN_DECLS

/** While tasks of a level wait, each worker takes one within so many picks. */
enum vow_pool_bound {
    VOW_POOL_HIGH_WITHIN =
        16, /**< VOW_HIGH; VOW_IMMEDIATE is always next but for these */
    VOW_POOL_NORMAL_WITHIN = 16, /**< VOW_NORMAL */
    VOW_POOL_LOW_WITHIN = 32,    /**< VOW_LOW */
    VOW_POOL_IDLE_WITHIN = 64    /**< VOW_IDLE */
};

/** What a pool with a limit does with new work from outside while it is full. */
typedef enum vow_when_full {
    /**
     * Whoever posts waits for room, in the order of coming; closing the pool ends the
     * wait with VOW_E_CLOSED. On a thread of any executor, and between vow_defer_begin
     * and vow_defer_end: as VOW_FULL_REJECT, so that nobody waits who may have to make
     * the room.
     */
    VOW_FULL_BLOCK = 0,
    /**
     * vow_submit and its kin run the work in the caller, as on vow_inline(); vow_post
     * and vow_post_task give VOW_E_LIMIT.
     */
    VOW_FULL_RUN = 1,
    VOW_FULL_REJECT = 2, /**< VOW_E_LIMIT */
    /**
     * The oldest that waits is never run: it gets VOW_E_LIMIT, on the thread that
     * posts. Of several priorities the least urgent, but none that is more urgent than
     * the newcomer, which otherwise gets VOW_E_LIMIT itself.
     */
    VOW_FULL_DROP_OLDEST = 3
} vow_when_full;

/** Called on a worker's own thread; @p worker is its number, from 0. */
typedef void vow_pool_hook(unsigned worker, void *ctx);

/** How to make a pool; see VOW_POOL_OPTIONS. 0 in any field is its default. */
typedef struct vow_pool_options {
    size_t size;       /**< of this struct: the macro sets it */
    unsigned threads;  /**< default: vow_cpu_count(); at most 1024 */
    const char *name;  /**< threads are called name/0, name/1 ...; default "vow" */
    size_t stack_size; /**< of a worker, in bytes; default: the system's */
    unsigned spares;   /**< threads added at most while workers wait; default 64 */
    /**
     * How many tasks from outside may wait; what runs does not count. 0: no limit.
     * Continuations, and what the pool's own workers submit, are always admitted and
     * do not count. A task that was cancelled counts until a worker has passed it. Of
     * vow_submit_many all are admitted at once, or none; more than the limit never.
     */
    size_t queue_limit;
    vow_when_full when_full; /**< what happens then; default VOW_FULL_BLOCK */
    /**
     * On each thread before its first task, spares included; must return. It may use the
     * pool as a task does.
     */
    vow_pool_hook *on_start;
    /**
     * On the same thread after its last task, also if a task ended the thread: then
     * another one starts with that number. All have returned before the pool's close
     * future settles. A wait in it that would have to block gives VOW_E_DEADLOCK. It may call
     * pthread_exit, but not on a thread that a task has ended so: it is a clean-up
     * handler there.
     */
    vow_pool_hook *on_stop;
    void *hook_ctx; /**< handed to both; borrowed until the pool has finished */
    /**
     * The CPUs that its threads may run on, each on all of them: a list as the kernel
     * writes it, "0-3,8", numbers below 1024; borrowed for the call. Also the most
     * threads that there are by default. Where the system refuses they run anywhere,
     * and a warning says so (vow_on_warning). NULL: those of the thread that starts
     * them.
     */
    const char *affinity;
} vow_pool_options;

/** Options for vow_pool_new: &VOW_POOL_OPTIONS(.threads = 4). */
#define VOW_POOL_OPTIONS(...) VOW_SIZED(vow_pool_options, __VA_ARGS__)

/**
 * Makes a pool and starts its threads. If only some can be started it works with
 * those and says so (vow_on_warning); if none, it fails.
 *
 * @param opt  borrowed for the call; NULL is the defaults
 * @return     owned; NULL if memory ran out or no thread could be started (errno
 *             is ENOMEM, EAGAIN or EINVAL)
 * @contract   any thread; never blocks; allocates, and starts threads; runs no
 *             user code but the hook of vow_on_warning
 */
vow_executor *vow_pool_new(const vow_pool_options *opt) VOW_MUST_USE;

/**
 * Returns the number of threads that a pool keeps runnable.
 *
 * @param pool  borrowed; made by vow_pool_new
 * @return      the number; 0 if @p pool is no pool
 * @contract    any thread; never blocks; no memory; runs no user code
 */
unsigned vow_pool_threads(const vow_executor *pool);

/** Counters of a pool since it was made. Each is exact when the pool is idle. */
typedef struct vow_pool_stats {
    size_t size;                /**< set to sizeof(vow_pool_stats) by the caller */
    uint64_t tasks;             /**< tasks run */
    uint64_t steals;            /**< of them, taken from another worker's queue */
    uint64_t wakes;             /**< sleeping workers woken */
    uint64_t wakes_for_nothing; /**< of them, found no work */
    uint64_t helped;            /**< tasks run by a worker inside a wait */
    uint64_t spares;            /**< spare threads started */
} vow_pool_stats;

/**
 * Reads the counters of a pool.
 *
 * @param pool   borrowed; made by vow_pool_new
 * @param stats  out; its size set by the caller
 * @return       0; VOW_E_INVALID if @p pool is no pool
 * @contract     any thread; never blocks; no memory; runs no user code
 */
int vow_pool_read_stats(const vow_executor *pool, vow_pool_stats *stats);

/**
 * Returns the pool of the process, made on first use: one thread for each CPU
 * that the process may use.
 *
 * @return    borrowed for ever; NULL if it could not be made (tried again on the
 *            next call)
 * @contract  any thread; blocks while another thread makes it; allocates on first
 *            use; runs no user code
 */
vow_executor *vow_default_pool(void);

/**
 * Returns how many CPUs the process may use: its affinity, or less if its cgroup
 * has a smaller quota (rounded up).
 *
 * @return    at least 1
 * @contract  any thread; blocks on reading /sys and /proc; no memory; runs no
 *            user code
 */
unsigned vow_cpu_count(void);

VOW_END_DECLS

#endif
