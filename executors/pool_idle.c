/* SPDX-License-Identifier: MIT */
/*
 * executors/pool_idle.c - searching, sleeping and waking, so that no task waits while a
 * worker sleeps, and no worker is woken for nothing.
 */
#include "base/time.h"
#include "pool_internal.h"
#include "sync/doze.h"
#include "timekeeper.h"

#define LONG_SEARCH_EVERY 32

static bool
wants_wake(uint32_t idle)
{
    return (idle & VOWI_ASLEEP_MASK) != 0 && idle < VOWI_SEARCHING;
}

/* Counts one that sleeps as searching, though it may be nowhere yet, unless somebody
 * searches. relaxed: vowi_pool_wake has read it in order [idle], and this reads nothing
 * older; and who sees a search relies on its end, which is ordered [idle] */
static bool
count_woken_locked(struct vowi_pool *p, uint32_t nowhere)
{
    uint32_t idle = vowi_load_relaxed(&p->idle);

    while (wants_wake(idle) && p->asleep != NULL)
        if (vowi_cas_relaxed(&p->idle, &idle,
                             idle + nowhere + VOWI_SEARCHING - VOWI_ASLEEP))
            return true;
    return false;
}

/* The last asleep is the warmest. */
static void
wake_sleeper(struct vowi_pool *p)
{
    struct vowi_worker *w = NULL;
    int cpu = vowi_pool_waker_cpu();

    vowi_lock_acquire(&p->lock);
    if (count_woken_locked(p, cpu >= 0 ? VOWI_NOWHERE : 0)) {
        w = p->asleep;
        p->asleep = w->next_asleep;
        p->awake++;
        w->waker_cpu = cpu;
    }
    vowi_lock_release(&p->lock);
    if (w == NULL)
        return;
    vowi_add_relaxed(&p->wakes, 1); /* relaxed: a statistic */
    vowi_gate_open(&w->gate);
    vowi_self()->woke = true;
}

void
vowi_pool_wake(struct vowi_pool *p)
{
    if (wants_wake(vowi_load_seq_cst(&p->idle))) /* [idle] */
        wake_sleeper(p);
}

void
vowi_pool_wake_outside(struct vowi_pool *p)
{
    uint32_t idle = vowi_load_seq_cst(&p->idle); /* [idle] */

    if (wants_wake(idle))
        wake_sleeper(p);
    else if (vowi_unlikely((idle & VOWI_NOWHERE) != 0))
        vowi_pool_let_search();
}

static void
wake_all_locked(struct vowi_worker *w)
{
    while (w != NULL) {
        struct vowi_worker *next = w->next_asleep;

        vowi_gate_open(&w->gate);
        w = next;
    }
}

/* Ends the inbox if it is empty, and with it the levels if those are, under their lock;
 * else whoever filled them wakes somebody. [ended] */
static bool
end_inbox(struct vowi_pool *p)
{
    uintptr_t empty = VOWI_INBOX_CLOSED;
    bool ended;

    vowi_lock_acquire(&p->level_lock);
    ended = vowi_load_relaxed(&p->levels) == 0 && /* relaxed: written under the lock */
            /* relaxed: it is one step; no task is read after it */
            (vowi_cas_strong_relaxed(&p->inbox, &empty,
                                     VOWI_INBOX_CLOSED | VOWI_INBOX_ENDED) ||
             empty == (VOWI_INBOX_CLOSED | VOWI_INBOX_ENDED));
    vowi_lock_release(&p->level_lock);
    return ended;
}

void
vowi_pool_end_if_done_locked(struct vowi_pool *p)
{
    if (!p->closing || p->exiting || p->awake != 0 || vowi_pool_has_work(p) ||
        !end_inbox(p))
        return;
    p->exiting = true;
    wake_all_locked(p->asleep);
    wake_all_locked(p->resting);
    p->asleep = NULL;
    p->resting = NULL;
}

/* Ends this worker's search. If it found something it looks for more, and wakes the
 * next one for that. */
void
vowi_worker_stop_searching(struct vowi_pool *p, struct vowi_worker *w)
{
    w->searching = false;
    vowi_sub_seq_cst(&p->idle, VOWI_SEARCHING); /* [idle] */
    if (vowi_pool_has_work(p))
        vowi_pool_wake(p);
}

static void
start_searching(struct vowi_pool *p, struct vowi_worker *w)
{
    /* relaxed: as in count_woken_locked */
    uint32_t idle = vowi_load_relaxed(&p->idle);

    if (idle < VOWI_SEARCHING)
        w->searching = vowi_cas_strong_relaxed(&p->idle, &idle, idle + VOWI_SEARCHING);
}

/* Counts itself asleep, or not any more; a searcher is none while it sleeps. */
static void
count_asleep_locked(struct vowi_pool *p, struct vowi_worker *w, bool searching)
{
    w->woken = false;
    vowi_gate_shut(&w->gate);
    w->next_asleep = p->asleep;
    p->asleep = w;
    p->awake--;
    /* [idle]: before the look at all queues */
    vowi_add_seq_cst(&p->idle, VOWI_ASLEEP - (searching ? VOWI_SEARCHING : 0));
}

static void
count_awake_locked(struct vowi_pool *p, struct vowi_worker **at, bool searching)
{
    *at = (*at)->next_asleep;
    p->awake++;
    /* relaxed: as in count_woken_locked; who counts it as asleep takes the lock, and looks */
    vowi_add_relaxed(&p->idle, (searching ? VOWI_SEARCHING : 0) - VOWI_ASLEEP);
}

/* ---- timers ------------------------------------------------------------------------------ */

/* Takes it off those asleep, unless it is being woken: then false. It goes on as a searcher
 * if nobody is. */
static bool
wakes_itself(struct vowi_pool *p, struct vowi_worker *w)
{
    struct vowi_worker **at = &p->asleep;
    bool asleep;

    vowi_lock_acquire(&p->lock);
    while (*at != NULL && *at != w)
        at = &(*at)->next_asleep;
    asleep = *at != NULL;
    if (asleep) {
        /* relaxed: as in count_woken_locked */
        w->searching = vowi_load_relaxed(&p->idle) < VOWI_SEARCHING;
        count_awake_locked(p, at, w->searching);
    }
    vowi_lock_release(&p->lock);
    return asleep;
}

/* A post to an executor of the user's may have forked, and this is the child. */
static bool
is_left_behind(const struct vowi_worker *w)
{
    return vowi_self()->worker != w;
}

static void
thread_exits(void *worker)
{
    if (!is_left_behind(worker))
        vowi_timekeeper_exits();
}

/* As the timer thread does; and as a searcher, since it then takes what it has posted here.
 * But a post to another executor, or its end, can run a user's code. */
static void
fire_due(struct vowi_pool *p, struct vowi_worker *w)
{
    vow_executor *before = vow_executor_enter(vowi_timer_thread());
    size_t fired = 0;
    vow_timer *first;
    size_t n;

    while (!is_left_behind(w) && (first = vowi_timekeeper_take(fired, &n)) != NULL) {
        if (first->on != &p->executor && w->searching)
            vowi_worker_stop_searching(p, w);
        pthread_cleanup_push(thread_exits, w);
        vowi_timers_fire(first, n);
        pthread_cleanup_pop(0);
        fired += n;
    }
    vow_executor_enter(before);
}

/* Sleeps until it is woken, or keeps the time and fires what is due. Returns whether it was
 * woken. Woken early it would not have searched in vain, had that been longer. */
static bool
sleep_or_keep_time(struct vowi_pool *p, struct vowi_worker *w)
{
    vow_ns until = vowi_timekeeper_begin();

    if (until == VOW_FOREVER) {
        w->in_vain = vowi_gate_pass(&w->gate) ? w->in_vain : 0;
        return true;
    }
    if ((until != INT64_MIN && vowi_gate_pass_until(&w->gate, until)) ||
        !wakes_itself(p, w)) {
        vowi_timekeeper_end();
        (void)vowi_gate_pass(&w->gate);
        return true;
    }
    fire_due(p, w);
    return false;
}

/*
 * Goes to sleep unless there is work after all. Returns false if it is to exit.
 *
 * Who finds work at this last look goes on as a searcher if it was one: whoever posted
 * while it searched has left it to this worker to wake the next.
 */
static bool
sleep_for_work(struct vowi_pool *p, struct vowi_worker *w)
{
    bool exits, rests;

    vowi_lock_acquire(&p->lock);
    count_asleep_locked(p, w, w->searching);
    if (vowi_pool_has_work(p)) { /* [idle] */
        count_awake_locked(p, &p->asleep, w->searching);
        vowi_lock_release(&p->lock);
        w->in_vain = 0; /* it would not have been, had it been longer */
        return true;
    }
    w->searching = false;
    rests = p->awake == p->blocked;
    vowi_pool_end_if_done_locked(p);
    vowi_lock_release(&p->lock);
    if (rests && vowi_doze_until() != 0)
        vowi_doze_end(); /* there is a CPU for it, and nothing more to wait for */
    if (!sleep_or_keep_time(p, w))
        return !is_left_behind(w);
    w->woken = true;
    vowi_lock_acquire(&p->lock);
    exits = p->exiting;
    vowi_lock_release(&p->lock);
    if (exits)
        return false;
    vowi_worker_note_wake(p, w);
    w->searching = true;
    return true;
}

/*
 * How often a search looks before its worker sleeps. Whoever waits for what the last task
 * did may wait for this CPU: so a search that would be in vain should be short. It is half
 * as long as the last one if that was in vain. Now and then one is as long as can be, to see
 * whether that has changed.
 */
static unsigned
rounds_of(struct vowi_worker *w)
{
    if (++w->searches % LONG_SEARCH_EVERY == 0)
        w->in_vain = 0;
    return VOWI_SEARCH_ROUNDS >> w->in_vain;
}

static vow_task *
search(struct vowi_pool *p, struct vowi_worker *w)
{
    unsigned rounds;

    if (!w->searching)
        start_searching(p, w);
    if (!w->searching)
        return NULL;
    rounds = rounds_of(w);
    for (unsigned round = 0; round < rounds; round++) {
        vow_task *task = vowi_worker_pick(p, w);

        if (task != NULL) {
            w->in_vain = round > 0 ? 0 : w->in_vain;
            return task;
        }
        vowi_relax();
    }
    w->in_vain += rounds > 1;
    return NULL;
}

/*
 * Gives back what this thread keeps for other executors. It can be the end of one, which
 * runs user code here: that is no search, and it may post. What the thread keeps for its
 * own pool stays: that lasts until the thread has exited.
 */
static bool
gives_back(struct vowi_pool *p, struct vowi_worker *w)
{
    struct vowi_thread *t = vowi_self();

    if (t->credit_of == NULL || t->credit_of == &p->executor)
        return false;
    if (w->searching)
        vowi_worker_stop_searching(p, w);
    vowi_thread_idle(t);
    return true;
}

/* Of one that has found nothing at its first look. NULL: exit. */
VOWI_NOINLINE static vow_task *
search_or_sleep(struct vowi_pool *p, struct vowi_worker *w)
{
    vow_task *task = NULL;

    for (;;) {
        bool woken = w->searching && w->woken;

        if (task == NULL)
            task = search(p, w);
        if (task != NULL) {
            if (w->searching)
                vowi_worker_stop_searching(p, w);
            return task;
        }
        if (woken)
            vowi_count(&w->wakes_for_nothing);
        if (gives_back(p, w) && (task = vowi_worker_pick(p, w)) != NULL)
            return task;
        if (vowi_worker_gives_way(p, w) && (task = vowi_worker_pick(p, w)) != NULL)
            continue;
        if (!vowi_worker_rest(p, w) || !sleep_for_work(p, w))
            return NULL;
        task = vowi_worker_pick(p, w);
    }
}

vow_task *
vowi_worker_next_task(struct vowi_pool *p, struct vowi_worker *w)
{
    vow_task *task = vowi_worker_pick(p, w);

    vowi_doze_look();
    vowi_assert(!w->searching); /* it has ended its search with what it found */
    return vowi_likely(task != NULL) ? task : search_or_sleep(p, w);
}
