/* SPDX-License-Identifier: MIT */
/*
 * executors/loop_internal.h - an event loop's parts, and how they agree.
 *
 * Who touches what. The runner is the thread inside vow_loop_run or its kin, at any
 * depth of nesting. The queues named `ready`, `self`, `steps` and `idle` are its
 * own: it alone touches them, without a lock, from when it came in to when it goes
 * out, both under the lock; while nobody is in, they are guarded by the lock. The
 * inbox takes posts from all threads with one exchange. Timers, descriptors, signals,
 * frames and the loop's life are guarded by the lock; no user code runs under it.
 *
 * Watches. Their lists are guarded by the lock, since whoever waits for a descriptor by a
 * future may take his off from any thread. But one of a callback is taken off by the
 * runner alone while it is in, so it calls it without the lock: it looks under the lock
 * for whom all events are that it has fetched, and after that reads the loop's life
 * before each call. A close by another thread leaves those watches to the runner.
 *
 * The inbox (loop_queue.c). `tail` is the newest task, or one of
 *
 *     NULL     empty
 *     asleep   empty, and the loop sleeps or nobody runs it: whoever posts first has
 *              to write to the eventfd, and nobody after that
 *     aside    empty, and the runner yields, awake (loop_rush.c)
 *     closed   no more
 *
 * A post exchanges tail for its task. If there was a task before, it hangs itself on
 * that; else it is the first, and says so in `head`. Whoever empties the inbox takes
 * head, exchanges tail for NULL, and so has a list, of which some links may be
 * missing for a few instructions. A post that finds `closed` puts it back, refuses
 * its own task, and ends with VOW_E_CLOSED those that came after it in between.
 *
 * Sleeping. The runner changes tail from NULL to asleep, looks at `woken`, and polls.
 * vow_loop_wake sets woken, then changes tail from asleep to NULL, and if that was so
 * writes to the eventfd. Both orders are seq_cst, so one sees the other [woken].
 *
 * The end. A close ends timers, watches, signals and frames on its own thread, one by
 * one, each taken under the lock, but for the watches of callbacks that the runner ends
 * after its turn, or as it goes out; with VOW_CANCEL_QUEUED the inbox, too, and the
 * runner's queues if there is no runner or it is itself the runner. Else the runner
 * ends those as it next looks. `busy` counts threads that are about a close. When
 * nobody is in or busy, nothing is queued, and the inbox could be closed, the loop
 * has finished. Saying so is the last touch: its memory may be gone then.
 *
 * Fork (loop_fork.c). The child closes its copies of the descriptors, and forgets all
 * queues and lists. Records of watches and futures say by the number of forks whether the
 * loop knows them in this process: so none is taken off a list that is no more, or
 * off an epoll that is the parent's.
 *
 * Edges: [post] [woken] [closing] [loop-handle], in docs/ordering.md.
 */
#ifndef VOWI_LOOP_INTERNAL_H
#define VOWI_LOOP_INTERNAL_H

#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <vow/loop.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/list.h"
#include "base/sys.h"
#include "base/thread.h"
#include "base/time.h"
#include "queue/wheel.h"
#include "sync/lock.h"

#ifndef VOWI_LOOP_STEPS
#define VOWI_LOOP_STEPS 256 /* microtasks after one callback */
#endif

#ifndef VOWI_LOOP_TURN_STEPS
#define VOWI_LOOP_TURN_STEPS 4096 /* microtasks in one turn */
#endif

#ifndef VOWI_LOOP_IDLE_EVERY
#define VOWI_LOOP_IDLE_EVERY 64 /* turns after which an idle task runs all the same */
#endif

#ifndef VOWI_LOOP_EVENTS
#define VOWI_LOOP_EVENTS 64 /* fetched from epoll at once */
#endif

/* In the order in which it goes. */
enum vowi_loop_life {
    VOWI_LOOP_OPEN,
    VOWI_LOOP_DRAINING,
    VOWI_LOOP_CANCELLING,
    VOWI_LOOP_FINISHED
};

/* Why a turn is to be run though nothing may be there to run. */
enum vowi_loop_wake {
    VOWI_LOOP_ASKED = 1, /* vow_loop_wake: vow_loop_run_once returns after it */
    VOWI_LOOP_NUDGED = 2 /* something is due sooner, or is over */
};

/* A list of tasks, first in first out, of one thread. `end` is where the next hangs. */
struct vowi_tasks {
    vow_task *first;
    vow_task *last; /* valid if first is not NULL */
};

/* What wants to know of a descriptor: a watch of a user's, or a future (once). What stands
 * from taken_at on is the runner's own while one is in. */
struct vowi_fd_watch {
    struct vowi_fd_watch *next; /* of the same descriptor */
    struct vowi_fd_watch *prev;
    struct vowi_link fired; /* while there is an event to be delivered */
    int fd;
    unsigned events;  /* wanted */
    unsigned pending; /* to be delivered; 0: fired is in no list */
    bool once;        /* taken off before the first event is delivered */
    bool attached;    /* to the loop, in the process that was forked so often: */
    unsigned forks;
    unsigned taken_at; /* 1 + where it is in what the runner took; 0: nowhere */
    bool calling;      /* its callback is on the stack */
    bool masked; /* and an event came meanwhile: out of the epoll until it returns */
    /* Without the lock; the watch may be gone when it returns. */
    void (*fire)(struct vowi_fd_watch *w, unsigned events);
    /* Under the lock, when a close has taken it off: returns what is to be dropped. */
    vow_value (*end_locked)(struct vowi_fd_watch *w);
};

/* A descriptor that was watched once. */
struct vowi_fd {
    struct vowi_fd_watch *first;
    struct vowi_fd_watch *last; /* valid if first is not NULL */
    uint32_t generation; /* changes as it is added to the epoll: tells old events */
    uint32_t told;       /* what the epoll was told */
    bool known;          /* to the epoll, as far as we know */
    bool spent;          /* it was told to report once, and has */
};

/* On the stack of whoever runs a timer, whose memory may be gone before it returns. */
struct vowi_firing {
    struct vowi_link link;
    const vow_timer *timer;
    struct vow_loop *loop;
    unsigned forks; /* before it: in a child it is in no list */
};

struct vow_loop {
    vow_executor executor; /* first: what users of the executor know */

    /* Set once in a process. */
    int epoll_fd; /* -1: fork left it behind, like those below */
    int wake_fd;
    int timer_fd;    /* -1: there is none, the kernel's poll takes nanoseconds */
    vow_ns timer_at; /* what it was set to last, on the monotonic clock */
    vow_ns frame_period;
    vow_clock *clock;
    vow_clock real; /* the monotonic clock, and what clock points to by default */

    _Atomic(int) life;                    /* enum vowi_loop_life; written under lock */
    _Atomic(struct vowi_thread *) runner; /* who is in; written under lock */
    _Atomic(uint32_t) handles;            /* vow_loop_ref */
    _Atomic(unsigned) woken; /* run a turn now; bits of enum vowi_loop_wake */
    atomic_bool timed;       /* a timer or a frame may be due some time; under lock */
    atomic_bool stopping;    /* vow_loop_stop */
    _Atomic(uint64_t) wakes; /* writes to wake_fd */

    /* Written by whoever posts. */
    _Alignas(VOWI_CACHE_LINE) _Atomic(vow_task *) tail;
    _Atomic(vow_task *) head;
    _Atomic(int) poster_cpu; /* where the first post came from as it last was idle */

    /* The runner's own. */
    _Alignas(VOWI_CACHE_LINE) struct vowi_tasks ready; /* phase 3 */
    struct vowi_tasks self;                            /* its posts, for the next turn */
    struct vowi_tasks steps;                           /* microtasks */
    struct vowi_tasks idle;                            /* phase 5 */
    unsigned turn_steps; /* microtasks that this turn may still run */
    unsigned idle_skips; /* turns since an idle task ran */
    unsigned event_at;   /* the next of events to be dispatched */
    unsigned event_count;
    int dispatched_fd; /* whose watches are called, the epoll not told yet; -1: none */
    bool dispatches_signal; /* one came, and not all who waited may have been told */
    bool polled;            /* events are this turn's */
    bool ran;               /* something ran in this turn, or it was woken */
    int poll_error;         /* epoll_wait failed for good */
    uint64_t tasks_rested;  /* so many had run when it last had nothing to do */
    vow_ns frame_time;
    vow_future *awaited; /* by the innermost vow_loop_run_until */
    struct epoll_event events[VOWI_LOOP_EVENTS];
    struct vowi_fd_watch *taken[VOWI_LOOP_EVENTS]; /* for whom each is, if it is simple */
    _Atomic(uint64_t) turns, tasks, microtasks, fired_timers, fired_events, sleeps;

    _Alignas(VOWI_CACHE_LINE) struct vowi_lock lock;
    const struct vowi_thread *owner; /* guarded by lock, like all that follows */
    unsigned entered;                /* how deep the runner is in */
    unsigned busy;                   /* threads that close it */
    bool inbox_closed;               /* for good, whatever tail says for a moment */
    vow_ns sleep_until; /* what is due earlier has to wake it; the owner's to write */

    struct vowi_wheel timers;
    vow_timer due; /* the head of a list: those of this turn */
    struct vowi_list firing;

    struct vowi_fd *fds; /* by descriptor; the owner alone changes pointer and count */
    size_t fd_count;
    _Atomic(size_t) watched; /* watches that are attached; elsewhere a hint */
    struct vowi_list fired;

    struct vowi_list signals;
    struct vowi_list signalled; /* waited for a signal that came, and are to be told */
    int signal_fd;              /* -1: none yet */

    struct vowi_list frames; /* requested */
    struct vowi_list frame;  /* of them, those of the frame that runs */
    vow_ns next_frame;       /* not before */
};

#define VOWI_LOOP_NOT_OWNER                                                              \
    "this is for the thread that owns the loop: submit it to the loop"

/* What epoll hands back: this, or a descriptor with its generation. */
#define VOWI_LOOP_WAKE   UINT64_MAX
#define VOWI_LOOP_TIMER  (UINT64_MAX - 1)
#define VOWI_LOOP_SIGNAL (UINT64_MAX - 2)

static inline struct vow_loop *
vowi_loop_of(vow_executor *self)
{
    return (struct vow_loop *)(void *)self;
}

/* relaxed: only the thread itself writes its own address there. */
static inline bool
vowi_loop_is_runner(const struct vow_loop *l)
{
    return vowi_load_relaxed(&l->runner) == vowi_self();
}

/* relaxed: whoever needs more looks under the lock. */
static inline enum vowi_loop_life
vowi_loop_life(const struct vow_loop *l)
{
    return (enum vowi_loop_life)vowi_load_relaxed(&l->life);
}

/* A counter of the runner's. relaxed: a statistic, and only one thread adds. */
static inline void
vowi_loop_count(_Atomic(uint64_t) *counter)
{
    vowi_store_relaxed(counter, vowi_load_relaxed(counter) + 1);
}

/* ---- loop_queue.c ---------------------------------------------------------------- */

int vowi_loop_post(vow_executor *self, vow_task *task);
int vowi_loop_post_many(vow_executor *self, vow_task *first, size_t n);

void vowi_tasks_push(struct vowi_tasks *q, vow_task *task);

/* A link that another thread may be about to set; and what it is once that is done. */
static inline _Atomic(vow_task *) *
vowi_link_of(vow_task *task)
{
    return (_Atomic(vow_task *) *)(void *)&task->next;
}

vow_task *vowi_await_link_slow(_Atomic(vow_task *) *link);

static inline vow_task *
vowi_await_link(_Atomic(vow_task *) *link)
{
    vow_task *task = vowi_load_acquire(link); /* [post] */

    return vowi_likely(task != NULL) ? task : vowi_await_link_slow(link);
}

static inline vow_task *
vowi_tasks_pop(struct vowi_tasks *q)
{
    vow_task *task = q->first;

    if (task != NULL)
        q->first = task != q->last ? vowi_await_link(vowi_link_of(task)) : NULL;
    return task;
}

/* Ends all of a list with VOW_E_CLOSED. In a child of one that forks what is left is the
 * parent's. */
void vowi_tasks_refuse(struct vowi_tasks *q);

bool vowi_loop_has_posts(const struct vow_loop *l);

/* Moves what was posted to the end of ready. */
void vowi_loop_take_posts_locked(struct vow_loop *l);

/* The runner's queues; and moves all that is in them to one list. */
bool vowi_loop_has_queued(const struct vow_loop *l);
void vowi_loop_take_queued(struct vow_loop *l, struct vowi_tasks *to);

/* What a turn leaves for phase 3 of the next. */
void vowi_loop_carry_over(struct vow_loop *l);

/* Has it run a turn, in which it looks again at what is due. */
void vowi_loop_nudge(struct vow_loop *l);

/* Says that whoever posts has to wake the loop; false: there are posts. */
bool vowi_loop_fall_asleep(struct vow_loop *l);
void vowi_loop_stay_awake(struct vow_loop *l);

/* Says that the runner yields; false: there are posts, or none can come. */
bool vowi_loop_step_aside(struct vow_loop *l);
void vowi_loop_come_back(struct vow_loop *l);

/* Closes the inbox if it is empty; false: it is not. */
bool vowi_loop_end_inbox_locked(struct vow_loop *l);

/* Closes the inbox; appends what was in it. */
void vowi_loop_cancel_inbox_locked(struct vow_loop *l, struct vowi_tasks *to);

/* Whether there are events to be delivered, this turn's or what an outer one has left. The
 * runner's own. */
static inline bool
vowi_loop_has_events(const struct vow_loop *l)
{
    return l->event_at != l->event_count || l->dispatched_fd >= 0 || l->dispatches_signal;
}

/* ---- loop_poll.c ----------------------------------------------------------------- */

vow_ns vowi_loop_now(const struct vow_loop *l);

/* Fetches events; sleeps until there is one, a timer is due, or a monotonic time. */
void vowi_loop_sleep(struct vow_loop *l, vow_ns until);

/* Fetches events that are there, unless this turn has. */
void vowi_loop_poll(struct vow_loop *l);

/* Whether a time by which the loop wanted to be awake has come nearer. */
bool vowi_loop_is_sooner_locked(const struct vow_loop *l, vow_ns when);

/* ---- loop_rush.c ----------------------------------------------------------------- */

/* The runner, which has nothing to do, gives way to who posts, if it is time for that.
 * Returns whether it has. */
bool vowi_loop_gives_way(struct vow_loop *l);

/* By who posts first, before that can be seen: to a loop that sleeps, or is aside. */
void vowi_loop_note_poster(struct vow_loop *l, bool aside);

/* Gives way to a loop that is aside. */
void vowi_loop_let_run(void);

/* ---- loop_timer.c ---------------------------------------------------------------- */

int vowi_loop_arm(vow_executor *self, vow_timer *timer);
vow_removal vowi_loop_disarm(vow_executor *self, vow_timer *timer);
vow_ns vowi_loop_next_timer_locked(const struct vow_loop *l);
void vowi_loop_fire_due(struct vow_loop *l);
void vowi_loop_close_timers(struct vow_loop *l);
void vowi_loop_revoke(vow_executor *self, vow_executor *on);

/* Whether it is worth a look what is due. relaxed: it is no more only while nothing is armed
 * or requested and sleep_until says never, so whoever arms something after that wakes the
 * loop, which then sees it [woken]. */
static inline bool
vowi_loop_is_timed(const struct vow_loop *l)
{
    return vowi_load_relaxed(&l->timed);
}

/* relaxed: see its reader. */
static inline void
vowi_loop_set_timed_locked(struct vow_loop *l, bool timed)
{
    vowi_store_relaxed(&l->timed, timed);
}

/* ---- loop_fd.c ------------------------------------------------------------------- */

/* Returns 0 or a code. The owner alone. */
int vowi_loop_attach(struct vow_loop *l, struct vowi_fd_watch *w);
void vowi_loop_detach_locked(struct vow_loop *l, struct vowi_fd_watch *w);

/* Tells the epoll what a descriptor's watches want now. Returns 0 or an errno value. */
int vowi_loop_update_fd_locked(struct vow_loop *l, int fd);

/* Looks for whom the events are that have been fetched. */
void vowi_loop_take_watches(struct vow_loop *l);

/* One of those; or an event for whoever watches its descriptor now. */
void vowi_loop_dispatch_watch(struct vow_loop *l, struct vowi_fd_watch *w,
                              uint32_t events);
void vowi_loop_dispatch_fd(struct vow_loop *l, uint64_t data, uint32_t events);

/* Calls whoever has an event to be delivered, and tells the epoll what is wanted now. */
void vowi_loop_finish_fd(struct vow_loop *l);

/* Ends all watches that are the caller's to end. */
void vowi_loop_close_fds(struct vow_loop *l);
void vowi_loop_free_fds(struct vow_loop *l);

/* Whether the calling thread may do what is the owner's. */
bool vowi_loop_may_own(struct vow_loop *l);

/* Whether it is attached in this process. */
static inline bool
vowi_loop_is_attached(const struct vowi_fd_watch *w)
{
    return w->attached && w->forks == vowi_globals.forks;
}

/* ---- loop_fork.c ----------------------------------------------------------------- */

/* Whether fork left it behind, in the parent. */
bool vowi_loop_is_forked(const struct vow_loop *l);

void vowi_loop_forked(vow_executor *self);
int vowi_loop_revive(vow_executor *self);

/* ---- loop_waiting.c -------------------------------------------------------------- */

typedef bool vowi_loop_each_fn(const char *what, int number, const vow_promise *p,
                               void *ctx);

/* Tells of all that waits for a descriptor or a signal, until each returns false. */
void vowi_loop_waiting(vow_executor *self, vowi_loop_each_fn *each, void *ctx);

/* ---- loop_ready.c ---------------------------------------------------------------- */

/* Of a watch that is once, and attached: what it settles. */
const vow_promise *vowi_loop_promise_of(const struct vowi_fd_watch *w);

/* ---- loop_signal.c --------------------------------------------------------------- */

void vowi_loop_tell_signals_locked(const struct vow_loop *l, vowi_loop_each_fn *each,
                                   void *ctx);
void vowi_loop_dispatch_signals(struct vow_loop *l);
void vowi_loop_close_signals(struct vow_loop *l);

/* ---- loop_frame.c ---------------------------------------------------------------- */

vow_ns vowi_loop_next_frame_locked(const struct vow_loop *l);
void vowi_loop_run_frame(struct vow_loop *l);
void vowi_loop_close_frames(struct vow_loop *l);

/* ---- loop_turn.c ----------------------------------------------------------------- */

void vowi_loop_after_callback_slow(struct vow_loop *l);

/* What comes after each callback: microtasks, and the end of what a close has left. */
static inline void
vowi_loop_after_callback(struct vow_loop *l)
{
    if (vowi_unlikely(l->steps.first != NULL || l->awaited != NULL ||
                      vowi_loop_life(l) >= VOWI_LOOP_CANCELLING))
        vowi_loop_after_callback_slow(l);
}

/* ---- loop.c ---------------------------------------------------------------------- */

/* All that there are; opening returns 0 or an errno value, and may have opened some. */
int vowi_loop_open_descriptors(struct vow_loop *l);
void vowi_loop_close_descriptors(struct vow_loop *l);

/* No task, timer, watch, signal or frame: those that there were are forgotten. */
void vowi_loop_empty(struct vow_loop *l);

/* Comes in, and goes out again; before is what vow_executor_enter returned. */
int vowi_loop_come_in(struct vow_loop *l, bool nested, vow_executor **before);
void vowi_loop_go_out(struct vow_loop *l, vow_executor *before, bool exits);

/* Whether a loop that is closed has nothing more to do; then nothing comes any more. */
bool vowi_loop_try_end(struct vow_loop *l);

/* Ends the runner's queues if the loop was closed with VOW_CANCEL_QUEUED. */
void vowi_loop_end_queued(struct vow_loop *l);

#endif
