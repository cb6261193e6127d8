/* SPDX-License-Identifier: MIT */
/*
 * executors/serial.c - one after another on any executor, in order.
 *
 * The queue. Posts push onto the inbox, a stack, with one CAS. Its word holds the
 * newest task and two bits:
 *
 *     ACTIVE   somebody will run what comes in: the runner, or whoever starts it
 *     CLOSED   nothing more from outside; without ACTIVE nothing at all, for ever
 *
 * Whoever sets ACTIVE starts the runner: a task of ours, posted to the executor behind
 * us. It turns the inbox round into `first`, oldest first, and runs one task after the
 * other. When there is none left it clears ACTIVE. Since a post sets ACTIVE by the CAS
 * that adds its task, none is left behind [serial].
 *
 * Who may run. The lock guards the list and the runner's state. The runner takes it for
 * each task, though nobody else wants it as a rule: so a close that cancels can take
 * all that is queued and end it at once, on its own thread, whatever the runner is
 * doing. Posts take it only to start the runner.
 *
 * The end. It has finished when it is CLOSED without ACTIVE, no task runs, and no
 * close is still ending what it took. The runner may then still lie in the queue behind
 * us, if a close has emptied ours: so the memory stays until it comes out.
 *
 * Refused by the executor behind us. Who could not start the runner is told so, and tries
 * once more for what others have posted meanwhile. If that is refused as well, or a second
 * turn is, or the runner is dropped, then what is queued ends with that code, there.
 */
#include <vow/serial.h>

#include <pthread.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "queue/fifo.h"
#include "sync/lock.h"

/* Tasks that run before it goes to the back of the queue behind it. */
#ifndef VOWI_SERIAL_BUDGET
#define VOWI_SERIAL_BUDGET 64
#endif

#define CLOSED ((uintptr_t)1)
#define ACTIVE ((uintptr_t)2)
#define TASKS  (~(uintptr_t)3)

enum runner { RESTS, QUEUED, RUNS };

struct serial {
    vow_executor executor;
    vow_executor *on; /* a reference; NULL: inline */
    vow_task task;    /* the runner's; written by whoever posts it */

    struct vowi_lock lock;
    vow_task *first;    /* guarded by lock, like all that follows; oldest first */
    enum runner runner; /* whoever starts it, or ends tasks in its place, counts as it */
    unsigned closers;   /* threads that end what they took */
    bool cancelled;
    bool finished;
    bool orphaned; /* destroyed while the runner was queued: the runner frees it */

    _Alignas(VOWI_CACHE_LINE) _Atomic(uintptr_t) inbox; /* written by posts */
};

static struct serial *
serial_of(vow_executor *self)
{
    return vowi_container_of(self, struct serial, executor);
}

static bool
is_current(vow_executor *self)
{
    return vow_executor_current() == self;
}

static void
serial_free(struct serial *s)
{
    vow_executor_unref(s->on);
    vowi_lock_fini(&s->lock);
    vowi_free_aligned(s, sizeof *s);
}

/* ---- the queue ---------------------------------------------------------------------------- */

/* Newest first becomes oldest first. */
static vow_task *
reverse(vow_task *task)
{
    vow_task *reversed = NULL;

    while (task != NULL) {
        vow_task *next = task->next;

        task->next = reversed;
        reversed = task;
        task = next;
    }
    return reversed;
}

/* Turns what came in into the list, if that is empty; clears ACTIVE if nothing did. */
static void
refill_locked(struct serial *s)
{
    uintptr_t inbox = vowi_load_relaxed(&s->inbox); /* relaxed: the CAS orders it */
    uintptr_t emptied;

    if (s->first != NULL)
        return;
    do {
        emptied = inbox & TASKS ? inbox & ~TASKS : inbox & CLOSED;
    } while (!vowi_cas_acquire_or_relaxed(&s->inbox, &inbox, emptied)); /* [serial] */
    s->first = reverse((vow_task *)(inbox & TASKS));
}

/* Whether the caller, whose last touch this is, has to say that it has finished. */
static bool
ends_locked(struct serial *s)
{
    /* relaxed: closed under the lock, and ACTIVE cleared under it */
    if (vowi_load_relaxed(&s->inbox) != CLOSED || s->runner == RUNS || s->closers != 0 ||
        s->finished)
        return false;
    s->finished = true;
    return true;
}

/* ---- the runner ----------------------------------------------------------------------------- */

/* What the runner does next. */
enum turn { RUN, YIELD, REST, END };

/* Takes the next task, which is told by RUN; left: how many more may run in a row. After
 * YIELD the runner counts as queued; after REST s may be gone. */
static enum turn
next_turn(struct serial *s, unsigned left, vow_task **task)
{
    enum turn turn = RUN;

    vowi_lock_acquire(&s->lock);
    refill_locked(s);
    *task = s->first;
    if (s->first == NULL) {
        s->runner = RESTS;
        turn = ends_locked(s) ? END : REST;
    } else if (left == 0) {
        s->runner = QUEUED;
        s->task.priority = s->first->priority;
        turn = YIELD;
    } else {
        s->first = s->first->next;
    }
    vowi_lock_release(&s->lock);
    return turn;
}

/* The runner is out of the queue behind us. Returns false if there is nothing left for it
 * to run, ever; then s may be gone. */
static bool
begin(struct serial *s)
{
    bool orphaned;
    bool runs;

    vowi_lock_acquire(&s->lock);
    orphaned = s->orphaned;
    runs = !s->cancelled;
    s->runner = runs ? RUNS : RESTS;
    vowi_lock_release(&s->lock);
    if (orphaned)
        serial_free(s);
    return runs;
}

/* What is queued is ended with a code, as the runner. */
struct refusal {
    struct serial *s;
    int why;
    unsigned forks; /* before it: in a child of a task that forks nobody is the runner */
};

/* What it ends may end the thread: the others end all the same. */
static void
end_rest(void *refusal)
{
    const struct refusal *r = refusal;
    enum turn turn = REST;
    vow_task *task;

    pthread_cleanup_push(end_rest, refusal);
    while (r->forks == vowi_globals.forks && (turn = next_turn(r->s, 1, &task)) == RUN)
        task->run(task, r->why);
    pthread_cleanup_pop(0);
    if (turn == END)
        vow_executor_finished(&r->s->executor);
}

static void
end_queued(struct serial *s, int why)
{
    struct refusal r = {s, why, vowi_globals.forks};

    end_rest(&r);
}

/* Posts the runner, which counts as queued. It is admitted as a step is: what it will run
 * was. If it is refused, what is queued ends here. */
static void
go_on_later(struct serial *s)
{
    int why;

    s->task.flags = VOW_TASK_STEP;
    why = vow_post_task(s->on, &s->task);
    if (why != 0 && begin(s))
        end_queued(s, why);
}

/* After the last turn, on a thread that is not ours any more. */
static void
leave(struct serial *s, enum turn turn)
{
    if (turn == END)
        vow_executor_finished(&s->executor);
    else if (turn == YIELD)
        go_on_later(s);
}

/* A stretch of turns. If a task forks, it is the last one in the child: there the task is
 * none of ours any more, and s may be gone when it returns. */
struct stretch {
    struct serial *s;
    unsigned forks; /* when it began */
};

static bool
is_ours(const struct stretch *st)
{
    return st->forks == vowi_globals.forks;
}

static void run_queued(struct serial *s);

/* A task ends its thread: the others go on elsewhere. Inline there is no elsewhere. */
static void
thread_exits(void *stretch)
{
    const struct stretch *st = stretch;
    struct serial *s = st->s;
    vow_task *task;

    vow_executor_enter(NULL);
    if (!is_ours(st))
        return;
    if (s->on == NULL)
        run_queued(s);
    else
        leave(s, next_turn(s, 0, &task));
}

/* Runs what is queued, as the runner, as many as may run in a row. */
static void
run_queued(struct serial *s)
{
    struct stretch st = {s, vowi_globals.forks};
    vow_executor *before = vow_executor_enter(&s->executor);
    unsigned left = VOWI_SERIAL_BUDGET;
    enum turn turn = REST;
    vow_task *task;

    pthread_cleanup_push(thread_exits, &st);
    while (is_ours(&st) && (turn = next_turn(s, left, &task)) == RUN) {
        task->run(task, 0);
        left--;
    }
    pthread_cleanup_pop(0);
    vow_executor_enter(before);
    if (turn != RUN)
        leave(s, turn);
}

static void
run(vow_task *task, int why)
{
    struct serial *s = vowi_container_of(task, struct serial, task);

    if (!begin(s))
        return;
    if (why == 0)
        run_queued(s);
    else
        end_queued(s, why);
}

/* ---- posting ---------------------------------------------------------------------------------- */

/* The executor behind us refused the runner. Takes the list that set ACTIVE off the queue
 * again, if no close was faster; it is the oldest. Returns whether it did. */
static bool
take_back(struct serial *s, const vow_task *first, vow_task *last)
{
    bool ours;

    vowi_lock_acquire(&s->lock);
    s->runner = RUNS;
    refill_locked(s);
    ours = s->first == first; /* compared only: if a close took it, nothing is queued */
    if (ours) {
        s->first = last->next;
        last->next = NULL;
    }
    vowi_lock_release(&s->lock);
    return ours;
}

/* Starts the runner for a list that set ACTIVE. Returns 0, or why the list is not taken.
 * What others have posted meanwhile was taken, and is given another try. */
static int
start(struct serial *s, vow_task *first, vow_task *last)
{
    bool cancelled;
    bool ours;
    vow_task *task;
    int why;

    vowi_lock_acquire(&s->lock);
    cancelled = s->cancelled; /* then it has taken the list, and ended it */
    if (!cancelled) {
        s->runner = QUEUED;
        s->task.priority = first->priority;
        s->task.flags = first->flags;
    }
    vowi_lock_release(&s->lock);
    vowi_mix_stolen(vowi_self()); /* it will run what others post here, too */
    why = cancelled ? 0 : vow_post_task(s->on, &s->task);
    if (why == 0)
        return 0;
    ours = take_back(s, first, last);
    leave(s, next_turn(s, 0, &task));
    return ours ? why : 0;
}

/* A closed one that still runs takes steps, and what its own task posts. */
static bool
is_refused(uintptr_t inbox, bool admitted)
{
    return (inbox & CLOSED) != 0 && ((inbox & ACTIVE) == 0 || !admitted);
}

/* Adds a list, oldest first, unless it is refused; *was: the inbox before. */
static bool
push(struct serial *s, vow_task *first, uintptr_t *was)
{
    bool admitted = (first->flags & VOW_TASK_STEP) != 0 || is_current(&s->executor);
    vow_task *newest = reverse(first);

    do {
        *was = vowi_load_acquire(&s->inbox); /* what came before a close [serial] */
        if (is_refused(*was, admitted)) {
            first->next = NULL;
            reverse(newest); /* as it was: the list is the caller's again */
            return false;
        }
        first->next = (vow_task *)(*was & TASKS);
        /* to whoever turns it round [serial] */
    } while (
        !vowi_cas_release(&s->inbox, was, (uintptr_t)newest | (*was & ~TASKS) | ACTIVE));
    return true;
}

static int
post_list(struct serial *s, vow_task *first, vow_task *last)
{
    uintptr_t was;

    last->next = NULL;
    if (!push(s, first, &was))
        return VOW_E_CLOSED;
    return was & ACTIVE ? 0 : start(s, first, last);
}

static int
serial_post(vow_executor *self, vow_task *task)
{
    return post_list(serial_of(self), task, task);
}

static int
serial_post_many(vow_executor *self, vow_task *first, size_t n)
{
    vow_task *last = first;

    if (n == 0)
        return 0;
    while (--n > 0)
        last = last->next;
    return post_list(serial_of(self), first, last);
}

/* ---- its end ------------------------------------------------------------------------------------ */

/* What a close has taken. */
struct closing {
    struct serial *s;
    vow_task *older, *newer;
    unsigned forks; /* before it: in a child of a task that forks nobody closes it */
};

static void
leave_closed(struct serial *s)
{
    bool ends;

    vowi_lock_acquire(&s->lock);
    s->closers--;
    ends = ends_locked(s);
    vowi_lock_release(&s->lock);
    if (ends)
        vow_executor_finished(&s->executor);
}

/* What it ends may end the thread: then it goes on from there. */
static void
end_taken(void *closing)
{
    struct closing *c = closing;

    pthread_cleanup_push(end_taken, c);
    vowi_end_tasks(&c->older, VOW_E_CLOSED);
    vowi_end_tasks(&c->newer, VOW_E_CLOSED);
    pthread_cleanup_pop(0);
    if (c->forks == vowi_globals.forks)
        leave_closed(c->s);
}

static void
serial_close(vow_executor *self, vow_close_mode mode)
{
    struct serial *s = serial_of(self);
    struct closing c = {.s = s, .forks = vowi_globals.forks};
    uintptr_t inbox = 0;

    vowi_lock_acquire(&s->lock);
    s->closers++;
    if (mode == VOW_CANCEL_QUEUED) {
        inbox = vowi_swap_acq_rel(&s->inbox, CLOSED); /* [serial] */
        c.older = s->first;
        s->first = NULL;
        s->cancelled = true;
    } else {
        vowi_or_release(&s->inbox, CLOSED); /* [serial] */
    }
    vowi_lock_release(&s->lock);
    c.newer = reverse((vow_task *)(inbox & TASKS));
    end_taken(&c);
}

static void
serial_destroy(vow_executor *self)
{
    struct serial *s = serial_of(self);
    bool queued;

    vowi_lock_acquire(&s->lock);
    queued = s->runner == QUEUED;
    s->orphaned = queued;
    vowi_lock_release(&s->lock);
    if (!queued)
        serial_free(s);
}

/* ---- in a forked child ------------------------------------------------------------------------ */

/*
 * What was queued is the parent's, and so is the run of a task that forked. The runner may
 * be queued behind us: there it is gone as well, unless that is an executor that fork does
 * not touch, which runs it sooner or later.
 */
static void
serial_forked(vow_executor *self)
{
    struct serial *s = serial_of(self);
    bool sound = vowi_lock_inherit(&s->lock);
    bool kept = s->on != NULL && s->on->library == NULL;

    s->first = NULL;
    s->closers = 0;
    if (!kept || (sound && s->runner != QUEUED))
        s->runner = RESTS;
    else
        s->runner = QUEUED;
    /* relaxed: there is one thread */
    vowi_store_relaxed(&s->inbox, s->runner == RESTS ? 0 : ACTIVE);
}

/* Not while the runner is queued for another life. */
static int
serial_revive(vow_executor *self)
{
    struct serial *s = serial_of(self);
    bool queued;

    vowi_lock_acquire(&s->lock);
    queued = s->runner == QUEUED;
    vowi_lock_release(&s->lock);
    return queued ? VOW_E_INVALID : 0;
}

/* ---- its beginning -------------------------------------------------------------------------------- */

static vow_clock *
serial_clock(vow_executor *self)
{
    vow_executor *on = serial_of(self)->on;

    return on != NULL && on->ops->clock != NULL ? on->ops->clock(on) : NULL;
}

static const vow_error *
cannot_wait(vow_executor *self)
{
    (void)self;
    return vowi_error_of_wait(VOWI_WAIT_IN_SERIAL);
}

/* No block_begin: what a task waits for may be queued behind it. */
static const vow_executor_ops ops = {
    .size = sizeof ops,
    .name = "serial",
    .post = serial_post,
    .post_many = serial_post_many,
    .is_current = is_current,
    .clock = serial_clock,
    .close = serial_close,
    .destroy = serial_destroy,
    .cannot_wait = cannot_wait,
    .forked = serial_forked,
    .revive = serial_revive,
};

vow_executor *
vow_serial_new(vow_executor *on)
{
    static const struct serial empty = {.task.run = run};
    struct serial *s = vowi_alloc_aligned(sizeof *s, VOWI_CACHE_LINE);

    if (s == NULL)
        return NULL;
    *s = empty;
    if (vowi_lock_init(&s->lock, VOWI_RANK_SERIAL) != 0)
        goto free_memory;
    if (vow_executor_init(&s->executor, &ops) != 0)
        goto fini_lock;
    s->on = on != vow_inline() ? vow_executor_ref(on) : NULL;
    return &s->executor;

fini_lock:
    vowi_lock_fini(&s->lock);
free_memory:
    vowi_free_aligned(s, sizeof *s);
    return NULL;
}
