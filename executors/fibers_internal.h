/* SPDX-License-Identifier: MIT */
/*
 * executors/fibers_internal.h - what the files of the executor of fibers share.
 *
 * One thread, and stacks. On each stack runs the same loop: take a task, run it, take the
 * next. A task that waits leaves its stack as it is, and the thread goes on with another
 * one: that of a task whose wait has ended, or, if there is a task to begin, one on which
 * the loop stands between two tasks. Without either it sleeps where it is: so a lone task
 * that waits and is woken never changes its stack. A stack on which the loop finds that a
 * task is ready on another one is put away until there is a task to begin. So tasks that do
 * not wait share one stack, and as many are taken as there are tasks that wait at once, and
 * one. No task runs on the thread's own, to which it can always return.
 *
 * What is begun and what goes on take turns, so that neither keeps the other from the
 * thread.
 *
 * Fibers never change their thread. Nothing here asks who runs, then: what is ready, what
 * sleeps and until when is the thread's alone, and takes neither a lock nor an atomic step.
 * A switch between two tasks that yield is a few loads and stores. What comes from outside,
 * tasks and wakes, is handed over under the lock. `news` says that there is some; it is a
 * hint, read at each turn, for the thread looks under the lock before it sleeps.
 *
 * Sleeping. Under the lock the thread finds that there is no news, says that it is asleep and
 * shuts its gate. Who brings news takes that back, under the lock, and then opens the gate.
 * It is his last touch, and the thread does not pass without it, not even if its time has
 * come meanwhile: then it finds itself taken back, and waits for him. So a waker needs no
 * reference.
 *
 * Where no stack can be had the task that waits still leaves the thread to those that are
 * ready, but none begins: block_begin says so (VOW_E_LIMIT), which is what finds a wait that
 * could never end then. If it was memory that was missing it is asked for again now and then.
 * With the most there may be it is not: a stack comes free when a task ends, which its
 * thread sees itself.
 *
 * The end. Closed, with nothing queued and no task that has begun, it takes nothing more.
 * The thread goes back to its own stack, and frees the others.
 *
 * A thread that exits inside a task would take the stacks of the others with it: where the
 * loop stands that ends the process (vowi_fatal). In a forked child the task that
 * forked goes on, and when it returns its thread ends, whatever is on the other stacks.
 */
#ifndef VOWI_EXECUTORS_FIBERS_INTERNAL_H
#define VOWI_EXECUTORS_FIBERS_INTERNAL_H

#include <pthread.h>

#include <vow/fiber.h>

#include "base/atomic.h"
#include "base/check.h"
#include "queue/fifo.h"
#include "queue/wheel.h"
#include "sync/fiber.h"
#include "sync/gate.h"
#include "sync/lock.h"

struct vowi_fibers {
    vow_executor executor;

    /* Set before its thread starts. */
    char name[16];
    size_t stack_size; /* with the guard */
    unsigned most, kept_stacks;
    unsigned forks; /* when it was made */

    /* Its thread's alone. */
    struct vowi_thread *thread;
    struct vowi_stack home;          /* the thread's own */
    struct vowi_stack *left;         /* the one before the one that runs */
    struct vowi_fiber *first, *last; /* ready, in the order of their turns */
    struct vowi_fiber *idle;         /* whose loop stands between two tasks */
    unsigned idle_count;             /* of them */
    unsigned stacks;                 /* that there are */
    unsigned begun;                  /* tasks that have, and have not ended */
    unsigned turns;                  /* since it looked whether a sleep is over */
    bool queued;                     /* there was a task, when it looked last */
    bool began;                      /* the last turn was that of a task's beginning */
    bool over;                       /* nothing will come any more */
    struct vowi_wheel sleeps;        /* that have a deadline */

    _Alignas(VOWI_CACHE_LINE) atomic_bool news; /* written under the lock; a hint */

    struct vowi_lock lock;
    struct vowi_fifo tasks;   /* guarded by lock, like all that follows */
    struct vowi_fiber *woken; /* from elsewhere, and not ready yet */
    struct vowi_fiber **woken_end;
    bool asleep; /* its thread is, and who takes this back opens the gate */
    bool closing, cancelling, ended;
    unsigned closers; /* who end what they took */
    pthread_t exited; /* its thread, once it has ended */
    struct vowi_gate gate;

    struct vowi_lock join_lock; /* held while joining it */
    bool joined;                /* guarded by join_lock */
};

static inline struct vowi_fibers *
vowi_fibers_of(vow_executor *self)
{
    return vowi_container_of(self, struct vowi_fibers, executor);
}

/* Whether this is a child of the process in which it was made. */
static inline bool
vowi_fibers_left_behind(const struct vowi_fibers *x)
{
    return vowi_unlikely(x->forks != vowi_globals.forks);
}

/* ---- fibers_queue.c: what comes from outside ------------------------------------------- */

int vowi_fibers_post(vow_executor *self, vow_task *task);
int vowi_fibers_post_many(vow_executor *self, vow_task *first, size_t n);
void vowi_fibers_queued(vow_executor *self, bool (*each)(const vow_task *task, void *ctx),
                        void *ctx);

/* Makes ready who was woken, and notes whether there are tasks. Returns the oldest if that
 * is wanted; NULL: there is none. */
vow_task *vowi_fibers_look(struct vowi_fibers *x, bool takes);

/* Sleeps until there is news or until a time; by its thread, which has nothing to do. */
void vowi_fibers_idle(struct vowi_fibers *x, vow_ns until);

void vowi_fibers_close(vow_executor *self, vow_close_mode mode);

/* Takes nothing more if it is closed and nothing is left. By its thread. */
bool vowi_fibers_end(struct vowi_fibers *x);

/* ---- fibers_turn.c: whose turn it is ------------------------------------------------------ */

/* The fiber, which sleeps or is about to, is to go on. By its thread. */
void vowi_fiber_ready(struct vowi_fiber *f);

/* Sees to it that there is a stack on which a task can begin; false if it cannot. By its
 * thread, or before there is one. */
bool vowi_fibers_has_idle(struct vowi_fibers *x);

/* Frees those on which nothing runs. */
void vowi_fibers_free_idle(struct vowi_fibers *x);

/* All that its thread does; there is such a stack. Returns when all is over, or, in a child,
 * when the task that forked has. */
void vowi_fibers_run(struct vowi_fibers *x);

int vowi_fibers_block_begin(vow_executor *self);
void vowi_fibers_block_end(vow_executor *self);

/* ---- fibers_thread.c ------------------------------------------------------------------------ */

/* Returns 0 or an errno value. */
int vowi_fibers_start(struct vowi_fibers *x);

#endif
