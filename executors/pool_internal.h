/* SPDX-License-Identifier: MIT */
/*
 * executors/pool_internal.h - what the files of the pool share.
 *
 * A normal task comes in at one of two places: a worker's own posts go to its deque,
 * all others to the inbox, a stack that takes a post with one CAS. Whoever runs out of
 * work turns the inbox into the injected list, oldest first, and takes a batch from
 * it into its deque, where the others may steal it. A task of another priority goes to
 * the queue of its level (pool_levels.c).
 *
 * Sleeping and waking. `idle` counts the workers asleep and those that search. At
 * most one searches. Who posts makes the task visible, then reads idle, and wakes a
 * sleeper if there is one and nobody searches. Who goes to sleep counts itself
 * asleep, then looks at all queues again. All four are seq_cst, so one of the two
 * sees the other [idle]. Who searches and finds something leaves the search before
 * it looks whether there is more, and then wakes the next. While the one that searches is
 * nowhere, for it was woken and has not come to a CPU yet, or has yielded, whoever posts
 * much lets it run (pool_rush.c).
 *
 * Closing. Two bits of the inbox say closed and ended, so that a post from outside is
 * either in before them or refused. Workers go to sleep as always; the last one awake,
 * or the closer if all sleep, sees that nothing is left, ends the inbox if it is still
 * empty [ended], and lets all of them exit. Each joins the one that exited before it;
 * the last one finishes the executor and touches the pool no more.
 */
#ifndef VOWI_EXECUTORS_POOL_INTERNAL_H
#define VOWI_EXECUTORS_POOL_INTERNAL_H

#include <limits.h>
#include <pthread.h>

#include <vow/pool.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/thread.h"
#include "queue/deque.h"
#include "queue/fifo.h"
#include "sync/gate.h"
#include "sync/lock.h"

/* Tasks taken from the injected list at once. */
#ifndef VOWI_INJECT_BATCH
#define VOWI_INJECT_BATCH 32
#endif

/* Of how many picks at least one asks the injected list first. A prime, as Go's 61. */
#ifndef VOWI_INJECT_EVERY
#define VOWI_INJECT_EVERY 61
#endif

/* Rounds over all queues before a searching worker sleeps. */
#ifndef VOWI_SEARCH_ROUNDS
#define VOWI_SEARCH_ROUNDS 32
#endif

#define VOWI_INBOX_CLOSED ((uintptr_t)1) /* no new work from outside; steps still */
#define VOWI_INBOX_ENDED  ((uintptr_t)2) /* nothing at all */
#define VOWI_INBOX_TASKS  (~(uintptr_t)3)

/* idle: workers asleep below, searching above. */
#define VOWI_ASLEEP      UINT32_C(1)
#define VOWI_SEARCHING   (UINT32_C(1) << 16)
#define VOWI_ASLEEP_MASK (VOWI_SEARCHING - 1)
#define VOWI_NOWHERE     (UINT32_C(1) << 31) /* who searches may not be on a CPU; a hint */

#define VOWI_LEVELS 5 /* of an enum vow_priority, which is their index */

/* Beyond what a machine has; a mask of 128 bytes. */
#define VOWI_MOST_CPUS 1024

struct vowi_pool;
struct vowi_poster;

struct vowi_cpus {
    unsigned long mask[VOWI_MOST_CPUS / (sizeof(unsigned long) * CHAR_BIT)];
};

/* In the flags of a task that waits: it counts for the limit. */
#define VOWI_TASK_COUNTED 0x80

/* What waits at one priority. */
struct vowi_level {
    struct vowi_fifo tasks;
    vow_task *passed; /* up to this one none is counted; NULL: that is not known */
    size_t count;     /* of the counted */
};

struct vowi_worker {
    struct vowi_deque deque;

    /* Written by the owner alone; the counters are read by others. What each task reads
     * or writes is in one line. */
    _Alignas(VOWI_CACHE_LINE) struct vowi_pool *pool;
    unsigned index;
    bool spare;
    bool searching;
    bool again;     /* its last task wants another turn: what others have comes first */
    bool woken;     /* since it counted itself asleep */
    unsigned round; /* picks until it asks the injected first */
    unsigned char passed[VOWI_LEVELS]; /* how often in a row it passed each over */
    vow_task *next; /* what it does next, and nobody else sees: pool_queue.c, take_next */
    _Atomic(const vow_task *) stolen; /* whose function it runs, if that was stolen */
    _Atomic(uint64_t) tasks;
    uint32_t random;
    unsigned searches;
    unsigned in_vain; /* how often in a row one was cut in half; see pool_idle.c */
    _Atomic(uint64_t) steals, wakes_for_nothing, helped;

    /* guarded by the pool's lock */
    struct vowi_worker *next_asleep;
    pthread_t thread;
    bool has_predecessor; /* a thread that ended in a task, to be joined */
    pthread_t predecessor;

    /* pool_rush.c */
    vow_ns woken_at; /* the last time */
    unsigned rush;   /* wakes in a row, each soon after the last, by who has this CPU */
    uint64_t gave_way_at; /* how many tasks it had run when it gave way the last time */
    int waker_cpu; /* written under the pool's lock before the gate is opened [gate] */

    struct vowi_gate gate; /* shut when it is counted asleep, opened by who wakes it */
};

struct vowi_pool {
    vow_executor executor;

    /* Set before the first worker starts. */
    unsigned threads, spares;
    unsigned slots; /* both, as they were asked for */
    int why_fewer;  /* why it has fewer threads than that; 0: it has them all */
    size_t limit;   /* of what waits from outside; 0: none */
    vow_when_full when_full;
    size_t stack_size;
    char name[16];
    struct vowi_cpus cpus; /* none: all */
    vow_pool_hook *on_start, *on_stop;
    void *hook_ctx;
    struct vowi_worker **workers; /* of slots entries, count in use */

    /* Written by posts from outside. */
    _Alignas(VOWI_CACHE_LINE) _Atomic(uintptr_t) inbox; /* vow_task *, newest; closed */

    /* Written when workers sleep and wake; read by all posts. */
    _Alignas(VOWI_CACHE_LINE) _Atomic(uint32_t) idle;
    _Atomic(uint32_t)
        levels;              /* a bit for each that has tasks; written under level_lock */
    _Atomic(unsigned) count; /* of workers that exist */
    _Atomic(unsigned) surplus; /* a spare may rest: more run than threads. A hint */
    atomic_bool cancelling;    /* VOW_CANCEL_QUEUED */

    _Alignas(VOWI_CACHE_LINE) struct vowi_lock inject_lock;
    _Atomic(vow_task *) injected; /* written under inject_lock; read as a hint */

    _Alignas(VOWI_CACHE_LINE) struct vowi_lock level_lock;
    struct vowi_level level[VOWI_LEVELS]; /* guarded by level_lock, as what follows */
    size_t queued;                        /* what is counted, at all levels */
    struct vowi_poster *posters;          /* who waits for room, first come first */
    struct vowi_poster **posters_end;

    struct vowi_lock lock;
    struct vowi_worker *asleep;  /* guarded by lock; last asleep first */
    struct vowi_worker *resting; /* guarded by lock; spares with nothing to replace */
    unsigned live;               /* guarded by lock; threads that have not exited */
    unsigned lost;               /* guarded by lock; of them, ended and not replaced */
    unsigned awake;              /* guarded by lock; neither asleep nor resting */
    unsigned blocked;            /* guarded by lock; of them, in a wait */
    bool closing, exiting;       /* guarded by lock */
    bool has_exited;             /* guarded by lock; exited is one to be joined */
    pthread_t exited;            /* guarded by lock */
    _Atomic(uint64_t) wakes, spares_started;

    struct vowi_lock join_lock; /* held while joining the last thread */
    bool joined;                /* guarded by join_lock */
};

/* A counter of a worker's. relaxed: a statistic, and only its own thread adds. */
static inline void
vowi_count(_Atomic(uint64_t) *counter)
{
    vowi_store_relaxed(counter, vowi_load_relaxed(counter) + 1);
}

/* ---- pool_queue.c ------------------------------------------------------------------- */

/* The worker that the calling thread is, of this pool; NULL if it is none. */
static inline struct vowi_worker *
vowi_pool_worker(const struct vowi_pool *p)
{
    struct vowi_worker *w = vowi_self()->worker;

    return w != NULL && w->pool == p ? w : NULL;
}

int vowi_pool_post(vow_executor *self, vow_task *task);
int vowi_pool_post_many(vow_executor *self, vow_task *first, size_t n);

/* Takes the oldest of the injected; for a worker also a batch into its deque. */
vow_task *vowi_pool_take_injected(struct vowi_pool *p, struct vowi_worker *w);

vow_task *vowi_worker_pick(struct vowi_pool *p, struct vowi_worker *w);
vow_task *vowi_worker_pick_normal(struct vowi_pool *p, struct vowi_worker *w);

/* Whether anything is queued. [idle]: after a seq_cst step of the caller. */
bool vowi_pool_has_work(struct vowi_pool *p);

/* ---- pool_levels.c ------------------------------------------------------------------- */

/* Queues a list by priority, all or none; refused if one of the bits is set in the
 * inbox. Wakes nobody. */
int vowi_level_post(struct vowi_pool *p, vow_task *first, uintptr_t unless);

/* Takes the oldest of a level, or of the most urgent; NULL if there is none. */
vow_task *vowi_level_take(struct vowi_pool *p, unsigned level);
vow_task *vowi_level_take_any(struct vowi_pool *p);

/* Under level_lock: adds a task, which counts for the limit or is always admitted. */
void vowi_level_push_locked(struct vowi_pool *p, vow_task *task, bool counted);

/* Under level_lock: how many of the counted are no more urgent than a task; and takes
 * the oldest of the least urgent, of which there must be one. */
size_t vowi_level_counted_locked(const struct vowi_pool *p, const vow_task *task);
vow_task *vowi_level_drop_locked(struct vowi_pool *p);

/* A pick while some levels have tasks. */
vow_task *vowi_worker_pick_by_level(struct vowi_pool *p, struct vowi_worker *w,
                                    uint32_t waiting);

/* ---- pool_bound.c -------------------------------------------------------------------- */

/* Posts n new tasks from outside to a pool with a limit; all or none. */
int vowi_bound_post(struct vowi_pool *p, vow_task *first, size_t n);

/* Under level_lock: queues what there is room for; then, without it, to be woken. */
struct vowi_poster *vowi_bound_admit_locked(struct vowi_pool *p);
void vowi_bound_wake(struct vowi_poster *poster);

/* Ends all waits for room with VOW_E_CLOSED. After the inbox was closed. */
void vowi_bound_turn_away(struct vowi_pool *p);

bool vowi_pool_caller_runs(vow_executor *self);

/* ---- pool_cpus.c --------------------------------------------------------------------- */

/* Reads a list such as "0-3,8"; NULL is none. False if it is not one. */
bool vowi_cpus_parse(const char *list, struct vowi_cpus *cpus);
unsigned vowi_cpus_count(const struct vowi_cpus *cpus);

/* Keeps the calling thread on the CPUs of its pool, or warns. */
void vowi_cpus_apply(const struct vowi_pool *p);

/* ---- pool_idle.c -------------------------------------------------------------------- */

/* Wakes a sleeper unless somebody searches. After making a task visible. */
void vowi_pool_wake(struct vowi_pool *p);

/* The same, by who posts from outside. */
void vowi_pool_wake_outside(struct vowi_pool *p);

/* Lets all threads exit if the pool is closing and nothing is left. */
void vowi_pool_end_if_done_locked(struct vowi_pool *p);

/* Ends this worker's search. */
void vowi_worker_stop_searching(struct vowi_pool *p, struct vowi_worker *w);

/* The next task, for as long as it takes; NULL: exit. */
vow_task *vowi_worker_next_task(struct vowi_pool *p, struct vowi_worker *w);

/* ---- pool_rush.c -------------------------------------------------------------------- */

/* The CPU of who is about to wake a worker, which is nowhere until it is on one; less than
 * 0: it does not count as nowhere, since it is no time to yield. */
int vowi_pool_waker_cpu(void);

/* This worker has been woken. */
void vowi_worker_note_wake(struct vowi_pool *p, struct vowi_worker *w);

/* A worker whose search found nothing gives way to who posts, if it is time for that.
 * Returns whether it did: then there may be something. It searches still. */
bool vowi_worker_gives_way(struct vowi_pool *p, struct vowi_worker *w);

/* By who has posted from outside while the one that searches is nowhere. */
void vowi_pool_let_search(void);

/* ---- pool_wait.c --------------------------------------------------------------------- */

void vowi_worker_run(struct vowi_pool *p, struct vowi_worker *w, vow_task *task);

/* Shows what a worker has stolen to those who wait for it. Before it runs it. */
void vowi_worker_show_stolen(struct vowi_worker *w, const vow_task *task);

/* A spare that replaces nobody any more rests. Returns false if it is to exit. */
bool vowi_worker_rest(struct vowi_pool *p, struct vowi_worker *w);

bool vowi_pool_help(vow_executor *self, vow_task *awaited);
int vowi_pool_block_begin(vow_executor *self);
void vowi_pool_block_end(vow_executor *self);

/* ---- pool_thread.c ------------------------------------------------------------------- */

/* Starts a thread that the caller counted as live and awake, and takes it off again if
 * that fails. Returns 0 or an errno value. */
int vowi_pool_start_worker(struct vowi_pool *p, bool spare);
void vowi_worker_free(struct vowi_worker *w);

/* ---- pool_offer.c -------------------------------------------------------------------- */

bool vowi_pool_offer(vow_executor *self, vow_task *task);
bool vowi_pool_retract(vow_executor *self, vow_task *task);

/* ---- pool_fork.c ---------------------------------------------------------------------- */

/* What a worker has stolen whose task has forked: in the child it is no worker. */
extern const vow_task vowi_pool_left_behind;

/* ---- pool_queued.c ------------------------------------------------------------------ */

void vowi_pool_queued(vow_executor *self, bool (*each)(const vow_task *task, void *ctx),
                      void *ctx);

void vowi_pool_forked(vow_executor *self);
int vowi_pool_revive(vow_executor *self);

/* ---- pool.c ---------------------------------------------------------------------------- */

/* Ends all that is queued with VOW_E_CLOSED, on this thread. */
void vowi_pool_cancel_queued(struct vowi_pool *p);

/* Starts its threads, as many as can be had. Returns 0 if at least one. */
int vowi_pool_start(struct vowi_pool *p);

/* Says so if they were not all. Under no lock: it calls the user's hook. */
void vowi_pool_warn_of_fewer(const struct vowi_pool *p);

#endif
