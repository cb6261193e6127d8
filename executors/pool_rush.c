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
 * So a worker that has been woken so a few times gives way instead: it yields, and still
 * counts as the one that searches. Nobody is woken by posts then; whoever has posted some
 * dozens yields in turn, and the worker runs all of them. Each has the CPU for so long,
 * and none is ahead of the other. The longer that lasts the longer the pieces, since the
 * system takes a microsecond or two for each. If nobody posts any more the worker finds
 * nothing when it is back, and sleeps.
 *
 * While yields are late, because others want that CPU (sync/yield.h), no worker that
 * searches is said to be nowhere, and one that finds nothing sleeps: so there are none. But
 * one that is nowhere as another yield gets late is let run all the same: else it would wait
 * for milliseconds, and nobody is woken meanwhile.
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
    FEW = 64,     /* posts of a thread before it yields, */
    GROWTH = 16,  /* a part as many more before the next time, */
    MANY = 1024,  /* but no more than so many */
    LULL = 200000 /* ns without such a yield after which a rush is another one */
};

int
vowi_pool_waker_cpu(void)
{
    return vowi_may_yield(vowi_monotonic_now()) ? vowi_sys_cpu() : -1;
}

static void
count_rush(struct vowi_worker *w)
{
    vow_ns now = vowi_monotonic_now();
    bool soon = now - w->woken_at < SOON && w->waker_cpu == vowi_sys_cpu();

    w->woken_at = now;
    w->rush = soon ? w->rush + 1 : 0;
}

/* The worker that was nowhere is here. relaxed: a hint */
static void
come_back(struct vowi_pool *p)
{
    vowi_and_relaxed(&p->idle, ~VOWI_NOWHERE);
}

void
vowi_worker_note_wake(struct vowi_pool *p, struct vowi_worker *w)
{
    if (w->waker_cpu < 0) {
        w->rush = 0;
        return;
    }
    count_rush(w);
    come_back(p);
}

/* Only one may be nowhere: that is a bit. relaxed: likewise */
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
    vow_ns now;

    if (!w->searching || w->rush < VOWI_RUSH)
        return false;
    if (tasks == w->gave_way_at) {
        w->rush = 0; /* it has found nothing since */
        return false;
    }
    now = vowi_monotonic_now();
    if (!vowi_may_yield(now) || !leave_search(p))
        return false;
    w->gave_way_at = tasks;
    vowi_yield(now);
    come_back(p);
    return true;
}

/* The longer a rush lasts, the more posts before the next yield. Of one that has just
 * begun they are few: those of a burst have little to wait for. */
static unsigned
next_piece(const struct vowi_thread *t, vow_ns now)
{
    unsigned piece = t->piece + t->piece / GROWTH;

    if (now - t->let_at > LULL)
        return FEW;
    return piece < MANY ? piece : MANY;
}

void
vowi_pool_let_search(void)
{
    struct vowi_thread *t = vowi_self();
    vow_ns now;

    if (t->until_let > 0) {
        t->until_let--;
        return;
    }
    now = vowi_monotonic_now();
    t->piece = next_piece(t, now);
    t->until_let = t->piece;
    t->let_at = now;
    vowi_yield(now);
}
