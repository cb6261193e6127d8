/* SPDX-License-Identifier: MIT */
/*
 * base/thread.h - what the library knows of a thread, and of the process.
 *
 * Every thread-local of the library is in struct vowi_thread, every global in
 * struct vowi_globals, so that both can be seen, reset and reasoned about in one
 * place. Each group of fields names the file that owns it.
 */
#ifndef VOWI_BASE_THREAD_H
#define VOWI_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <vow/executor.h>

#include "base/atomic.h"
#include "base/check.h"

/* Blocks that travel together between a thread and the depot. */
#ifndef VOWI_BATCH
#define VOWI_BATCH 64
#endif

#define VOWI_BLOCK_CLASSES 4

#define VOWI_BRIEF 3 /* functions of whose loops a thread has learnt */

struct vowi_node;
struct vowi_frame;
struct vowi_bundle;
struct vowi_dozer;
struct vowi_fiber;
struct vowi_worker;
struct vowi_stay;
struct vow_future;
struct vow_notice;
struct vow_state;
struct vow_token;

struct vowi_block {
    struct vowi_block *next;
    struct vowi_block *next_batch; /* in the first block of a batch in the depot */
};

/* Free blocks of one size: a list in use, and a full one behind it or none. */
struct vowi_blocks {
    struct vowi_block *top;
    unsigned room; /* so many fit; 0: it is full, or the thread is not registered */
    struct vowi_block *full;
};

/* Where a thread sleeps, or a fiber. One for each; see sync/park.h. */
struct vowi_parker {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool ready;               /* mutex and cond are initialised, or it is a fiber's */
    struct vowi_fiber *fiber; /* NULL: it is a thread's */
};

/* On the stack of a thread that works until a notice of its own is called. They nest. */
struct vowi_awaited {
    struct vow_future *f;
    struct vow_notice *notice;
    struct vowi_awaited *outer;
};

struct vowi_thread {
    ptrdiff_t nothing; /* 0; see vowi_self */

    struct vowi_fiber *fiber; /* executors/fibers.c: on which this runs; NULL: on none */

    /*
     * From here to the end of the group: what belongs to the stack that runs. Of a fiber it
     * is kept while another one has the thread (executors/fibers_turn.c). What is below is
     * the thread's, whatever runs on it.
     */

    /* core/trampoline.c: inline steps that wait for their turn, oldest first. */
    _Alignas(16) struct vowi_node *fifo_head; /* what is kept goes in steps of 16 bytes */
    struct vowi_node *fifo_tail;
    unsigned depth;    /* steps running on this stack, plus deferrals */
    unsigned deferred; /* of them, vow_defer_begin without its end */

    /* core/join.c: entries whose inputs are to be left, oldest first. */
    struct vowi_node *leave_first;
    struct vowi_node *leave_last;

    /* core/future.c: settled states whose values wait to be dropped, and one that is
     * settling, whose hold the first step on it may take over. */
    struct vow_state *reclaim;
    struct vow_state *held;

    struct vow_token *unused; /* core/token.c: linked ones that nobody uses, to be taken
                               * off their parents */

    /* core/wait.c */
    struct vowi_frame *frames;  /* what runs on this stack, innermost first */
    struct vow_state *in_place; /* run by its waiter while its node is still queued */

    struct vowi_stay *stay; /* executors/manual.c: what keeps one busy, innermost first */

    vow_executor *executor; /* core/executor.c: whose tasks run here */
    unsigned helping;       /* core/wait.c: nested helps */
    bool leaving;           /* core/join.c */
    bool reclaiming;        /* core/future.c */
    bool unhooking;         /* core/token.c */

    /* core/wait.c */
    bool yielded;    /* core/yield.c: what was helped with wants another turn */
    unsigned yields; /* results of vow_yield_task that no task has returned yet */
    struct vowi_parker parker;

    /* core/linger.c: what waits were like lately. */
    vow_ns spin;      /* for how long it was worth looking, on average */
    vow_ns wait;      /* how long they were, but for naps */
    unsigned reads;   /* since this thread last settled or posted anything */
    unsigned crowded; /* in so many waits to come it does not yield */
    unsigned crowd;   /* how many these were after the last yield that was late */
    bool woke;        /* a worker, which may want this CPU, since its last wait */
    bool napped;      /* in the one that ends */
    bool tended;      /* a worker has ended the last nap */
    bool grown;       /* the one before it was worth it */
    bool judged;      /* the last nap is to be, by what was found settled after it */
    unsigned found;   /* settled, without a wait, since the last nap */
    unsigned awake;   /* in so many waits to come it does not nap */
    unsigned vigil; /* how many these were after the last nap, which was in vain; or 0 */
    vow_ns nap;     /* how long the last one was; 0: none, or in vain */
    vow_ns since;   /* when the first of the reads began */

    /* core/executor.c: prepaid holds. */
    vow_executor *credit_of;
    unsigned credit;

    /* executors/pool.c: the worker that this thread is. */
    struct vowi_worker *worker;
    _Atomic(const vow_task *) *stolen; /* what it shows to waiters; NULL: no worker */
    vow_executor *ending; /* the pool whose last thread this is, on its way out */
    bool returning; /* set by core: the task's function has returned, one step to post */

    /* executors/loop_rush.c: so many more posts to loops, and it yields; 0: it need not. */
    unsigned until_yield;

    /* executors/pool_rush.c: when this thread let a search run, as many posts before, and
     * how many there will be from now on before it does again. */
    vow_ns let_at;
    unsigned piece;
    unsigned until_let;

    /* combine/range_here.c: of a function 13 bits of its address, and in the last three how
     * many of its last loops were brief. It fits in where nothing else was. */
    uint16_t brief[VOWI_BRIEF];

    /* base/mem.c */
    struct vowi_blocks blocks[VOWI_BLOCK_CLASSES];

    /* base/bundle.c: of which it makes blocks, and so many it has made; and the one of
     * which it gave back the last few, which are not taken off there yet. */
    struct vowi_bundle *bundle;
    unsigned bundle_given;
    unsigned bundle_ended;
    struct vowi_bundle *bundle_ending;
    unsigned bundles_begun, bundles_ended; /* that are not counted yet */
    vow_ns bundles_yield_from;             /* it does not yield for them before then */

    /* core/fork.c: what a child must take off a state, since its stack is gone there. */
    _Atomic(struct vowi_node *) sleeper;    /* of this thread, which sleeps; NULL: none */
    struct vow_state *sleeps_for;           /* where that hangs */
    _Atomic(struct vowi_awaited *) awaited; /* the innermost; likewise */
    _Atomic(struct vow_state *)
        helps;                /* a join that it looks at, as core/join.c has it */
    struct vowi_fates *fates; /* what it learns of the inputs of a join; NULL: nothing */

    unsigned ranks;  /* sync/lock.c: locks held, a bit each; debug builds only */
    bool registered; /* the exit hook will run for this thread */
    struct vowi_thread *next, *prev; /* registered ones; VOWI_GLOBAL_THREADS */
};

/* What belongs to a stack. */
#define VOWI_OF_STACK      offsetof(struct vowi_thread, fifo_head)
#define VOWI_OF_STACK_SIZE (offsetof(struct vowi_thread, yielded) - VOWI_OF_STACK)

extern _Thread_local struct vowi_thread vowi_thread_self;

/*
 * The compiler takes the address of a thread-local for a constant, which it makes anew
 * rather than keep, and in a shared library that is a call each time. With something added
 * that it has to load the address is none, and is kept.
 */
static inline struct vowi_thread *
vowi_self(void)
{
    char *at = (char *)&vowi_thread_self;

    return (struct vowi_thread *)(void *)(at + vowi_thread_self.nothing);
}

/*
 * The function of a task has returned, or will not be called: what this thread posts from
 * here on descends from it no more. relaxed: see vowi_deque_steal_while
 */
static inline void
vowi_forget_stolen(const struct vowi_thread *t, const vow_task *task)
{
    if (t->stolen != NULL && vowi_load_relaxed(t->stolen) == task)
        vowi_store_relaxed(t->stolen, NULL);
}

/* What is shown by a worker that has posted, or may have, what descends from nothing that
 * it runs: until it steals with an empty deque again. */
extern const vow_task vowi_stolen_mixed;

/* What hangs on a future descends from whoever hung it there: it is about to post, or to
 * be posted, here. relaxed: see vowi_deque_steal_while */
static inline void
vowi_mix_stolen(const struct vowi_thread *t)
{
    if (t->stolen != NULL)
        vowi_store_relaxed(t->stolen, &vowi_stolen_mixed);
}

/* Makes sure that what this thread keeps is given back when it exits; false if it would
 * not be, for want of a key or of memory: then it must keep nothing. */
bool vowi_thread_register(struct vowi_thread *t);

/*
 * Gives back what this thread keeps for others: called before it sleeps long, and before
 * it looks whether it may. It can be the end of an executor, which runs user code here.
 */
void vowi_thread_idle(struct vowi_thread *t);

/*
 * The same, and runs the inline steps that wait on this thread, if there ever was an
 * executor: others may wait for those. Each may bring more of the other, and nothing is
 * left of either.
 */
void vowi_thread_unload(struct vowi_thread *t);

/*
 * The mutexes that are no part of an object. All of them are here, so that fork finds
 * them (base/fork.c). A thread that holds one takes only later ones.
 */
enum vowi_global_lock {
    VOWI_GLOBAL_KEPT,         /* sync/kept.c: locks that a fork takes */
    VOWI_GLOBAL_DEFAULT_POOL, /* executors/pool.c: making it */
    VOWI_GLOBAL_WAITS,        /* core/deadlock.c: who waits for whom */
    VOWI_GLOBAL_REMOVALS,     /* core/registration.c: who waits for a callback */
    VOWI_GLOBAL_RUNNING,      /* core/timer.c: timers that run away from home */
    VOWI_GLOBAL_CALLBACKS,    /* combine/callback.c: who waits to be called */
    VOWI_GLOBAL_EXECUTORS,    /* core/executor.c: those that exist */
    VOWI_GLOBAL_UNHANDLED,    /* core/unhandled.c: the hook and the rate */
    VOWI_GLOBAL_WARNINGS,     /* base/warn.c: likewise */
    VOWI_GLOBAL_THREADS,      /* base/thread.c: those that are registered */
    VOWI_GLOBAL_DEPOT,        /* base/mem.c: blocks between threads */
    VOWI_GLOBAL_LOCKS
};

struct vowi_globals {
    /* base/mem.c */
    vow_allocator allocator;
    atomic_bool allocated;

    /* base/time.c */
    _Atomic(vow_clock *) clock;

    _Atomic(vow_ns) yields_from; /* sync/yield.c: vowi_yield is left out before then */

    /* base/thread.c: core's way of giving back prepaid holds, and of running what waits
     * on a thread's trampoline; and whether somebody may wait for a task. */
    void (*_Atomic release_credit)(struct vowi_thread *t);
    void (*_Atomic drain)(struct vowi_thread *t);
    bool (*_Atomic is_awaitable)(const vow_task *task);
    pthread_once_t key_once;
    pthread_key_t key;
    bool has_key;
    struct vowi_thread *threads; /* guarded by VOWI_GLOBAL_THREADS */

    /* sync/doze.c: until when somebody dozes, or 0, which pools read for each task; and
     * who does. */
    _Alignas(VOWI_CACHE_LINE) _Atomic(vow_ns) doze_until;
    _Atomic(struct vowi_dozer *) dozer;

    /* base/fork.c */
    pthread_mutex_t locks[VOWI_GLOBAL_LOCKS];
    void (*_Atomic in_child)(void); /* core's part; NULL: it has nothing to do */
    void (*_Atomic kept_at_fork)(bool before); /* sync/kept.c's; likewise */
    unsigned forks; /* between the first process and this; written by its only thread */
};

extern struct vowi_globals vowi_globals;

static inline void
vowi_global_lock(enum vowi_global_lock which)
{
    pthread_mutex_lock(&vowi_globals.locks[which]);
}

static inline void
vowi_global_unlock(enum vowi_global_lock which)
{
    pthread_mutex_unlock(&vowi_globals.locks[which]);
}

#endif
