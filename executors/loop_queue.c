/* SPDX-License-Identifier: MIT */
/*
 * executors/loop_queue.c - how tasks come to a loop, and the lists they wait in.
 *
 * A post costs one exchange, and its price does not grow with how many post. The
 * exchange is that of Vyukov's queue (1024cores.net, "Non-intrusive MPSC node-based
 * queue"), but here the reader takes the whole list at once. Its links are set after
 * the exchange, so that a reader may come to one that is missing. It waits for it: a
 * few instructions, unless the poster was preempted in between; then it naps, so that
 * a poster of lower priority gets the processor.
 */
#include <pthread.h>

#include "loop_internal.h"

/* What tail is when it is no task; their contents mean nothing. */
static vow_task asleep;
static vow_task closed;
static vow_task aside;

/* ---- lists of one thread ------------------------------------------------------------- */

vow_task *
vowi_await_link_slow(_Atomic(vow_task *) *link)
{
    vow_task *task;
    unsigned round = 0;

    while ((task = vowi_load_acquire(link)) == NULL) /* [post] */
        if (++round < 64)
            vowi_relax();
        else
            vowi_sys_nap(50000);
    return task;
}

void
vowi_tasks_push(struct vowi_tasks *q, vow_task *task)
{
    if (q->first == NULL)
        q->first = task;
    else
        q->last->next = task;
    q->last = task;
}

/* Moves all of one list to the end of another. */
static void
append(struct vowi_tasks *q, struct vowi_tasks *more)
{
    if (more->first == NULL)
        return;
    if (q->first == NULL)
        q->first = more->first;
    else
        q->last->next = more->first;
    q->last = more->last;
    more->first = NULL;
}

struct refusal {
    struct vowi_tasks *q;
    unsigned forks; /* before it */
};

/* A run may end the thread: the others are refused all the same. */
static void
refuse_rest(void *refusal)
{
    const struct refusal *r = refusal;
    vow_task *task;

    pthread_cleanup_push(refuse_rest, refusal);
    while (r->forks == vowi_globals.forks && (task = vowi_tasks_pop(r->q)) != NULL)
        task->run(task, VOW_E_CLOSED);
    pthread_cleanup_pop(0);
}

void
vowi_tasks_refuse(struct vowi_tasks *q)
{
    struct refusal r = {q, vowi_globals.forks};

    refuse_rest(&r);
}

/* ---- posting ------------------------------------------------------------------------- */

/*
 * Another thread closed the inbox before: closes it again, and ends what others added
 * to it since, on top of ours.
 */
static int
refuse(struct vow_loop *l, vow_task *last)
{
    /* relaxed: the others are reached by their links [closing] */
    vow_task *newest = vowi_swap_relaxed(&l->tail, &closed);
    struct vowi_tasks others;

    if (newest != last) {
        others = (struct vowi_tasks){vowi_await_link(vowi_link_of(last)), newest};
        vowi_tasks_refuse(&others);
    }
    return VOW_E_CLOSED;
}

static void
write_wake(struct vow_loop *l)
{
    vowi_add_relaxed(&l->wakes, 1); /* relaxed: a statistic */
    vowi_sys_notify(l->wake_fd);
}

/* There was no task before. */
VOWI_NOINLINE static int
push_first(struct vow_loop *l, vow_task *before, vow_task *first, vow_task *last)
{
    if (before == &closed)
        return refuse(l, last);
    if (before != NULL)
        vowi_loop_note_poster(l, before == &aside);
    /* relaxed: the exchange releases the task, and another one comes to it [post] */
    vowi_store_relaxed(&l->head, first);
    if (before == &asleep)
        write_wake(l);
    return 0;
}

static bool
is_task(const vow_task *tail)
{
    return tail != NULL && tail != &asleep && tail != &aside && tail != &closed;
}

static inline int
push_inbox(struct vow_loop *l, vow_task *first, vow_task *last)
{
    vow_task *before;

    vowi_store_relaxed(vowi_link_of(last), NULL); /* relaxed: released by the exchange */
    before = vowi_swap_acq_rel(&l->tail, last);   /* [post]; closed: [closing] */
    if (vowi_unlikely(!is_task(before)))
        return push_first(l, before, first, last);
    vowi_store_release(vowi_link_of(before), first); /* [post] */
    return 0;
}

/* By the runner: for after this callback, or for the next turn. */
VOWI_NOINLINE static int
post_own(struct vow_loop *l, vow_task *task)
{
    if (vowi_loop_life(l) >= VOWI_LOOP_CANCELLING)
        return VOW_E_CLOSED;
    vowi_tasks_push(task->flags & VOW_TASK_STEP ? &l->steps : &l->self, task);
    return 0;
}

int
vowi_loop_post(vow_executor *self, vow_task *task)
{
    struct vow_loop *l = vowi_loop_of(self);
    struct vowi_thread *t = vowi_self();

    if (vowi_loop_is_runner(l))
        return post_own(l, task);
    if (vowi_loop_life(l) != VOWI_LOOP_OPEN && (task->flags & VOW_TASK_STEP) == 0)
        return VOW_E_CLOSED;
    if (t->until_yield != 0 && --t->until_yield == 0)
        vowi_loop_let_run();
    return push_inbox(l, task, task);
}

static vow_task *
last_of(vow_task *task, size_t n)
{
    while (--n > 0)
        task = task->next;
    return task;
}

int
vowi_loop_post_many(vow_executor *self, vow_task *first, size_t n)
{
    struct vow_loop *l = vowi_loop_of(self);
    vow_task *last = n != 0 ? last_of(first, n) : NULL;
    struct vowi_tasks all = {first, last};
    int rc;

    if (n == 0)
        return 0;
    if (vowi_loop_is_runner(l)) {
        if (vowi_loop_life(l) >= VOWI_LOOP_CANCELLING)
            return VOW_E_CLOSED;
        append(&l->self, &all);
        return 0;
    }
    rc = vowi_loop_life(l) == VOWI_LOOP_OPEN ? push_inbox(l, first, last) : VOW_E_CLOSED;
    if (rc != 0)
        last->next = NULL; /* as it was: the list is the caller's again */
    return rc;
}

/* ---- the inbox, from the other end ----------------------------------------------------- */

/*
 * A task that is there when the inbox was closed is about to be refused. relaxed: a
 * hint; whoever sleeps or ends asks again in order.
 */
bool
vowi_loop_has_posts(const struct vow_loop *l)
{
    return vowi_loop_life(l) < VOWI_LOOP_CANCELLING &&
           is_task(vowi_load_relaxed(&l->tail));
}

/* There are some: only a close would have taken them meanwhile. */
void
vowi_loop_take_posts_locked(struct vow_loop *l)
{
    struct vowi_tasks posts;

    posts.first = vowi_await_link(&l->head);
    vowi_store_relaxed(&l->head, NULL);             /* relaxed: the exchange orders it */
    posts.last = vowi_swap_acq_rel(&l->tail, NULL); /* [post] */
    append(&l->ready, &posts);
}

bool
vowi_loop_fall_asleep(struct vow_loop *l)
{
    vow_task *tail = NULL;

    return vowi_cas_strong_seq_cst(&l->tail, &tail, &asleep) || /* [woken] */
           tail == &asleep || tail == &closed;
}

void
vowi_loop_stay_awake(struct vow_loop *l)
{
    vow_task *tail = &asleep;

    /* relaxed: who finds the old mark writes to the eventfd for nothing */
    vowi_cas_strong_relaxed(&l->tail, &tail, NULL);
}

/* relaxed, as is coming back: a hint to who posts. Nothing else is told by it. */
bool
vowi_loop_step_aside(struct vow_loop *l)
{
    vow_task *tail = NULL;

    return vowi_cas_strong_relaxed(&l->tail, &tail, &aside);
}

void
vowi_loop_come_back(struct vow_loop *l)
{
    vow_task *tail = &aside;

    vowi_cas_strong_relaxed(&l->tail, &tail, NULL);
}

bool
vowi_loop_end_inbox_locked(struct vow_loop *l)
{
    vow_task *tail = vowi_load_relaxed(&l->tail); /* relaxed: the CAS orders it */

    while (!l->inbox_closed && !is_task(tail))
        /* relaxed: the changes of tail have one order, and nothing is read by it */
        l->inbox_closed = vowi_cas_strong_relaxed(&l->tail, &tail, &closed);
    return l->inbox_closed;
}

/* The mark that the loop sleeps may go with it: whoever closes it nudges it as well. */
void
vowi_loop_cancel_inbox_locked(struct vow_loop *l, struct vowi_tasks *to)
{
    struct vowi_tasks posts;

    if (l->inbox_closed)
        return; /* what tail says now may be a post that is about to put it back */
    l->inbox_closed = true;
    posts.last = vowi_swap_acquire(&l->tail, &closed); /* [post], [closing] */
    if (!is_task(posts.last))
        return;
    posts.first = vowi_await_link(&l->head);
    append(to, &posts);
}

/*
 * In a signal handler, too. Setting woken comes before the look at tail, as the
 * runner's CAS of tail comes before its look at woken: one sees the other. When the
 * inbox is closed tail does not say that the loop sleeps, but its life that it may.
 */
static void
wake(struct vow_loop *l, unsigned why)
{
    vow_task *tail = &asleep;

    vowi_or_seq_cst(&l->woken, why);                         /* [woken] */
    if (vowi_cas_strong_seq_cst(&l->tail, &tail, NULL) ||    /* [woken] */
        vowi_load_seq_cst(&l->life) == VOWI_LOOP_CANCELLING) /* [woken] */
        write_wake(l);
}

void
vowi_loop_nudge(struct vow_loop *l)
{
    wake(l, VOWI_LOOP_NUDGED);
}

void
vow_loop_wake(vow_loop *l)
{
    if (l != NULL)
        wake(l, VOWI_LOOP_ASKED);
}

/* ---- the runner's queues ----------------------------------------------------------------- */

bool
vowi_loop_has_queued(const struct vow_loop *l)
{
    return l->ready.first != NULL || l->self.first != NULL || l->steps.first != NULL ||
           l->idle.first != NULL;
}

void
vowi_loop_take_queued(struct vow_loop *l, struct vowi_tasks *to)
{
    append(to, &l->steps);
    append(to, &l->ready);
    append(to, &l->self);
    append(to, &l->idle);
}

void
vowi_loop_carry_over(struct vow_loop *l)
{
    append(&l->steps, &l->ready);
    append(&l->steps, &l->self);
    append(&l->ready, &l->steps);
}
