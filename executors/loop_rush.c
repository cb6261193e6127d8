/* SPDX-License-Identifier: MIT */
/*
 * executors/loop_rush.c - many posts at once, and a loop on the CPU of who posts.
 *
 * The system likes to wake a loop where its waker is, as it does with a worker
 * (pool_rush.c). There the loop takes the CPU, runs the one task that there is, sleeps,
 * is woken by the next post, and so on, until it has used up what it had in advance of the
 * poster. Then it stays behind for milliseconds, in which a hundred thousand posts go
 * through memory instead of the caches.
 *
 * So a loop that has run some dozens of tasks, and would sleep where the first of its last
 * posts came from, steps aside: it yields a few times, and says so in the inbox. Who posts
 * first then need not wake it, and yields in turn after as many posts as the caches hold.
 * If it posts no more the loop finds nothing when it is back, and sleeps.
 *
 * While yields are late, because others want that CPU (sync/yield.h), there are none: so
 * what a loop that is aside has to do waits for some microseconds, but for a small share of
 * the time.
 */
#include "loop_internal.h"
#include "sync/yield.h"

/* Tasks since the last time it had nothing to do. */
#ifndef VOWI_LOOP_RUSH
#define VOWI_LOOP_RUSH 64
#endif

/* Posts of a thread before it yields. */
#ifndef VOWI_LOOP_PIECE
#define VOWI_LOOP_PIECE 1024
#endif

enum {
    YIELDS = 4 /* in a row: the system may have it go on after the first */
};

/* relaxed: its own, and a hint */
static bool
is_in_a_rush(struct vow_loop *l)
{
    uint64_t before = l->tasks_rested;

    l->tasks_rested = vowi_load_relaxed(&l->tasks);
    return l->tasks_rested - before >= VOWI_LOOP_RUSH &&
           vowi_load_relaxed(&l->poster_cpu) == vowi_sys_cpu();
}

/* Returns false if it is not time for that, or if something has been posted. */
static bool
yield_aside(struct vow_loop *l)
{
    vow_ns now = vowi_monotonic_now();

    if (!vowi_may_yield(now) || !vowi_loop_step_aside(l))
        return false;
    vowi_yield(now);
    vowi_loop_come_back(l);
    return true;
}

bool
vowi_loop_gives_way(struct vow_loop *l)
{
    unsigned n = 0;

    if (is_in_a_rush(l))
        while (n < YIELDS && yield_aside(l))
            n++;
    return n > 0;
}

/* relaxed: a hint */
void
vowi_loop_note_poster(struct vow_loop *l, bool aside)
{
    vowi_store_relaxed(&l->poster_cpu, vowi_sys_cpu());
    if (aside)
        vowi_self()->until_yield = VOWI_LOOP_PIECE;
}

/* Whether or not it is time for that: a loop is aside, and would wait for milliseconds, for
 * which nobody would yield for a second. */
void
vowi_loop_let_run(void)
{
    vowi_yield(vowi_monotonic_now());
}
