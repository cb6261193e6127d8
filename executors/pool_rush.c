/* SPDX-License-Identifier: MIT */
/*
 * executors/pool_rush.c - many posts at once from outside, and a worker on the CPU of who
 * posts.
 *
 * The system likes to wake a thread where its waker is. There the worker takes the CPU,
 * runs the one task that there is, sleeps, is woken by the next post, and so on, until
 * it has used up what it had in advance of the poster. Then it stays behind
 * until that one sleeps, and all that is posted meanwhile waits.
 *
 * So a worker that has been woken a few times so gives way instead: it yields, and still counts
 * as the one that searches. Nobody is woken by posts then; whoever has posted some dozens
 * yields in turn, and the worker runs all of them. Each of them has the CPU for so long,
 * and none is ahead of the other. If nobody posts any more the worker finds
 * nothing when it is back, and sleeps.
 *
 * Whoever searches and is nowhere meanwhile holds nobody up: another worker takes the search
 * over. And who yields in vain, because others want that CPU, does without for a while
 * (sync/yield.h).
 */
#include "base/sys.h"
#include "base/time.h"
#include "pool_internal.h"
#include "sync/yield.h"

/* Wakes in a row before a worker gives way: about as many as the system grants it. */
#ifndef VOWI_RUSH
#define VOWI_RUSH 5
#endif

enum {
    SOON = 20000, /* ns between two such wakes, at most */
    MANY = 64     /* posts of a thread before it yields; a part of 256, see unseen */
};

void
vowi_worker_note_wake(struct vowi_worker *w)
{
    vow_ns now = vowi_monotonic_now();
    bool soon = now - w->woken_at < SOON && w->waker_cpu == vowi_sys_cpu();

    w->woken_at = now;
    w->rush = soon ? w->rush + 1 : 0;
}

/* relaxed: who posts relies on the end of a search, whoever's it is, which is ordered
 * [idle] */
bool
vowi_worker_is_back(struct vowi_pool *p)
{
    return (vowi_and_relaxed(&p->idle, ~VOWI_NOWHERE) & VOWI_NOWHERE) != 0;
}

/* Only one that searches may be nowhere: that is a bit. relaxed: likewise */
static bool
leave_search(struct vowi_pool *p)
{
    uint32_t idle = vowi_load_relaxed(&p->idle);

    return (idle & VOWI_NOWHERE) == 0 &&
           vowi_cas_strong_relaxed(&p->idle, &idle, idle | VOWI_NOWHERE);
}

bool
vowi_worker_gives_way(struct vowi_pool *p, struct vowi_worker *w)
{
    uint64_t tasks = vowi_load_relaxed(&w->tasks); /* relaxed: its own */

    if (!w->searching || w->rush < VOWI_RUSH)
        return false;
    if (tasks == w->gave_way_at) {
        w->rush = 0; /* it has found nothing since */
        return false;
    }
    w->gave_way_at = tasks;
    if (!leave_search(p))
        return false;
    vowi_yield(vowi_self());
    w->searching = vowi_worker_is_back(p);
    return true;
}

void
vowi_pool_let_search(void)
{
    struct vowi_thread *t = vowi_self();

    if (++t->unseen % MANY == 0)
        vowi_yield(t);
}
