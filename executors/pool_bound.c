/* SPDX-License-Identifier: MIT */
/*
 * executors/pool_bound.c - a pool with a limit: what becomes of work it has no room for.
 *
 * In such a pool all that comes from outside goes to the levels. New work is counted
 * there, and marked; what is always admitted is not. `queued` goes down as a task is
 * picked, so that what runs does not count.
 *
 * A thread that waits for room hangs a record of itself, on its own stack, at the end of
 * a list. Whoever picks a task admits from the head of that list what there is room for:
 * it queues the task in the poster's name, and then wakes it. So nobody overtakes, room
 * is never given away twice, and a poster that wakes is done. Who closes the pool turns
 * all of them away; a poster looks at the inbox under the same lock, so that it is either
 * in the list by then or sees that it is too late.
 */
#include <sched.h>

#include "pool_internal.h"
#include "sync/park.h"

/* On the stack of a thread that waits for room. */
struct vowi_poster {
    struct vowi_poster *next;
    vow_task *first; /* what it posts: n tasks, linked */
    size_t n;
    struct vowi_parker *parker;
    int rc;
    bool woken; /* guarded by the parker's mutex */
};

/* ---- admitting ------------------------------------------------------------------------ */

static void
admit_locked(struct vowi_pool *p, vow_task *first)
{
    while (first != NULL) {
        vow_task *next = first->next;

        vowi_level_push_locked(p, first, true);
        first = next;
    }
}

static bool
has_room_locked(const struct vowi_pool *p, size_t n)
{
    return n <= p->limit && p->queued <= p->limit - n;
}

struct vowi_poster *
vowi_bound_admit_locked(struct vowi_pool *p)
{
    struct vowi_poster *admitted = p->posters;
    struct vowi_poster **end = &p->posters;

    while (*end != NULL && has_room_locked(p, (*end)->n)) {
        admit_locked(p, (*end)->first);
        end = &(*end)->next;
    }
    if (end == &p->posters)
        return NULL;
    p->posters = *end;
    if (p->posters == NULL)
        p->posters_end = &p->posters;
    *end = NULL;
    return admitted;
}

void
vowi_bound_wake(struct vowi_poster *poster)
{
    while (poster != NULL) {
        struct vowi_poster *next = poster->next; /* first: it may be gone after that */

        vowi_unpark(poster->parker, &poster->woken);
        poster = next;
    }
}

void
vowi_bound_turn_away(struct vowi_pool *p)
{
    struct vowi_poster *blocked;

    vowi_lock_acquire(&p->level_lock);
    blocked = p->posters;
    p->posters = NULL;
    p->posters_end = &p->posters;
    for (struct vowi_poster *each = blocked; each != NULL; each = each->next)
        each->rc = VOW_E_CLOSED;
    vowi_lock_release(&p->level_lock);
    vowi_bound_wake(blocked);
}

/* ---- posting -------------------------------------------------------------------------- */

/* Neither in nor refused. */
#define MUST_WAIT (-1)

/* Makes room for n tasks, the first of them given, by taking the oldest of the least
 * urgent; never what is more urgent than they. Returns whether there is room. */
static bool
drop_locked(struct vowi_pool *p, const vow_task *first, size_t n,
            struct vowi_fifo *dropped)
{
    size_t excess = p->queued + n - p->limit;

    if (n > p->limit || vowi_level_counted_locked(p, first) < excess)
        return false;
    while (excess-- > 0)
        vowi_fifo_push(dropped, vowi_level_drop_locked(p));
    return true;
}

static int
post_locked(struct vowi_pool *p, vow_task *first, size_t n, struct vowi_fifo *dropped)
{
    /* relaxed: who closes takes the lock after it, to turn away who waits */
    if (vowi_load_relaxed(&p->inbox) & (VOWI_INBOX_CLOSED | VOWI_INBOX_ENDED))
        return VOW_E_CLOSED;
    if ((p->posters == NULL && has_room_locked(p, n)) ||
        (p->when_full == VOW_FULL_DROP_OLDEST && drop_locked(p, first, n, dropped))) {
        admit_locked(p, first);
        return 0;
    }
    return p->when_full == VOW_FULL_BLOCK && n <= p->limit ? MUST_WAIT : VOW_E_LIMIT;
}

/* Only a thread that belongs to no executor may wait, and not with steps deferred: what
 * runs there may be what makes room. */
static bool
may_wait(const struct vowi_thread *t)
{
    return t->executor == NULL && t->deferred == 0;
}

static void
hang_locked(struct vowi_pool *p, struct vowi_poster *me)
{
    *p->posters_end = me;
    p->posters_end = &me->next;
}

/* Posts or hangs a record of itself in the list, and then returns MUST_WAIT. */
static int
post_or_hang(struct vowi_pool *p, struct vowi_poster *me, struct vowi_fifo *dropped)
{
    struct vowi_thread *t = vowi_self();
    int rc;

    vowi_lock_acquire(&p->level_lock);
    rc = post_locked(p, me->first, me->n, dropped);
    if (rc == MUST_WAIT && !may_wait(t))
        rc = VOW_E_LIMIT;
    if (rc == MUST_WAIT && me->parker != NULL)
        hang_locked(p, me);
    vowi_lock_release(&p->level_lock);
    return rc;
}

/* What this thread has put off, or keeps, goes first: others may wait for that. */
static int
wait_for_room(struct vowi_pool *p, struct vowi_poster *me)
{
    struct vowi_thread *t = vowi_self();
    int rc;

    vowi_thread_unload(t);
    vowi_thread_register(t);
    if (vowi_parker_init(&t->parker) == 0)
        me->parker = &t->parker;
    for (;;) {
        rc = post_or_hang(p, me, NULL); /* such a pool drops nothing */
        if (rc != MUST_WAIT)
            return rc;
        if (me->parker != NULL)
            break;
        sched_yield(); /* none to be had, but to wait must not fail */
    }
    (void)vowi_park(me->parker, &me->woken, VOW_FOREVER);
    return me->rc;
}

int
vowi_bound_post(struct vowi_pool *p, vow_task *first, size_t n)
{
    struct vowi_poster me = {.first = first, .n = n};
    struct vowi_fifo dropped = {NULL, NULL};
    int rc = post_or_hang(p, &me, &dropped);

    if (rc == MUST_WAIT)
        rc = wait_for_room(p, &me);
    if (rc == 0)
        vowi_pool_wake(p);
    vowi_end_tasks(&dropped.first, VOW_E_LIMIT);
    return rc;
}

bool
vowi_pool_caller_runs(vow_executor *self)
{
    return vowi_container_of(self, struct vowi_pool, executor)->when_full == VOW_FULL_RUN;
}
