/* SPDX-License-Identifier: MIT */
/*
 * executors/pool_levels.c - the queues of a pool for other than normal work.
 *
 * One for each priority, shared by all workers, under one lock. `levels` has a bit
 * for each that is not empty: a pick reads it once, and while it is zero that read is
 * all that priorities cost. The bits are written under the lock, but set seq_cst, so that
 * a post and a worker that goes to sleep see each other as with every queue [idle].
 *
 * The most urgent goes first, and ages what waits behind it: a worker counts how often
 * in a row it has passed over each level while that had something, and a level that it
 * has passed over often enough comes first in its next pick. Of several the least
 * urgent, so that the others wait for at most three picks more. The counts are the
 * worker's own: nothing shared is written, and no clock is read.
 */
#include "pool_internal.h"

#define BIT(level) (1u << (level))

static const unsigned char by_urgency[VOWI_LEVELS] = {VOW_IMMEDIATE, VOW_HIGH, VOW_NORMAL,
                                                      VOW_LOW, VOW_IDLE};

/* How often in a row each is passed over: when it is due, three others may be, too. */
static const unsigned char patience[VOWI_LEVELS] = {
    [VOW_IMMEDIATE] = UCHAR_MAX,
    [VOW_HIGH] = VOW_POOL_HIGH_WITHIN - 4,
    [VOW_NORMAL] = VOW_POOL_NORMAL_WITHIN - 4,
    [VOW_LOW] = VOW_POOL_LOW_WITHIN - 4,
    [VOW_IDLE] = VOW_POOL_IDLE_WITHIN - 4,
};

/* ---- in and out --------------------------------------------------------------------- */

static unsigned
level_of(const vow_task *task)
{
    return task->priority < VOWI_LEVELS ? task->priority : (unsigned)VOW_NORMAL;
}

void
vowi_level_push_locked(struct vowi_pool *p, vow_task *task, bool counted)
{
    unsigned level = level_of(task);
    struct vowi_level *l = &p->level[level];
    uint32_t levels = vowi_load_relaxed(&p->levels); /* relaxed: written under the lock */

    if (counted) {
        task->flags |= VOWI_TASK_COUNTED;
        l->count++;
        p->queued++;
    }
    vowi_fifo_push(&l->tasks, task);
    /* [idle]: before the load in vowi_pool_wake */
    vowi_store_seq_cst(&p->levels, levels | BIT(level));
}

/* After a task was taken out of a level. [idle] */
static void
note_taken_locked(struct vowi_pool *p, unsigned level, vow_task *task)
{
    struct vowi_level *l = &p->level[level];
    uint32_t levels = vowi_load_relaxed(&p->levels); /* relaxed: written under the lock */

    if (task->flags & VOWI_TASK_COUNTED) {
        task->flags &= (unsigned char)~VOWI_TASK_COUNTED;
        l->count--;
        p->queued--;
    }
    if (l->tasks.first == NULL)
        /* relaxed: who sees the bit a while longer looks in vain, under the lock */
        vowi_store_relaxed(&p->levels, levels & ~BIT(level));
}

static vow_task *
take_locked(struct vowi_pool *p, unsigned level)
{
    struct vowi_level *l = &p->level[level];
    vow_task *task = vowi_fifo_pop(&l->tasks);

    if (task == NULL)
        return NULL;
    if (task == l->passed)
        l->passed = NULL;
    note_taken_locked(p, level, task);
    return task;
}

int
vowi_level_post(struct vowi_pool *p, vow_task *first, uintptr_t unless)
{
    int rc = 0;

    vowi_lock_acquire(&p->level_lock);
    /* relaxed: an end of the inbox comes under this lock, or looks here after it */
    if (vowi_load_relaxed(&p->inbox) & unless)
        rc = VOW_E_CLOSED;
    while (rc == 0 && first != NULL) {
        vow_task *next = first->next;

        vowi_level_push_locked(p, first, false);
        first = next;
    }
    vowi_lock_release(&p->level_lock);
    return rc;
}

vow_task *
vowi_level_take(struct vowi_pool *p, unsigned level)
{
    struct vowi_poster *admitted = NULL;
    vow_task *task;

    /* relaxed: a hint; whoever goes to sleep asks again in order */
    if ((vowi_load_relaxed(&p->levels) & BIT(level)) == 0)
        return NULL;
    vowi_lock_acquire(&p->level_lock);
    task = take_locked(p, level);
    if (p->posters != NULL)
        admitted = vowi_bound_admit_locked(p);
    vowi_lock_release(&p->level_lock);
    if (admitted != NULL) {
        vowi_bound_wake(admitted);
        vowi_pool_wake(p);
    }
    return task;
}

/* The caller has ended the inbox. A post that found it open has the lock, or had it: so
 * this takes it once before it looks at the hints. */
vow_task *
vowi_level_take_any(struct vowi_pool *p)
{
    vow_task *task = NULL;

    vowi_lock_acquire(&p->level_lock);
    vowi_lock_release(&p->level_lock);
    for (unsigned i = 0; task == NULL && i < VOWI_LEVELS; i++)
        task = vowi_level_take(p, by_urgency[i]);
    return task;
}

/* ---- dropping --------------------------------------------------------------------------- */

size_t
vowi_level_counted_locked(const struct vowi_pool *p, const vow_task *task)
{
    unsigned i = VOWI_LEVELS;
    size_t count = 0;

    do
        count += p->level[by_urgency[--i]].count;
    while (by_urgency[i] != level_of(task));
    return count;
}

/* Takes the oldest of the counted, of which there is one. What it passes is not looked at
 * again: however many there are, a drop costs the same in the long run. */
static vow_task *
take_counted(struct vowi_level *l)
{
    vow_task *before = l->passed;
    vow_task *task = before != NULL ? before->next : l->tasks.first;

    while ((task->flags & VOWI_TASK_COUNTED) == 0) {
        before = task;
        task = task->next;
    }
    l->passed = before;
    if (before == NULL)
        return vowi_fifo_pop(&l->tasks);
    before->next = task->next;
    if (l->tasks.last == task)
        l->tasks.last = before;
    return task;
}

vow_task *
vowi_level_drop_locked(struct vowi_pool *p)
{
    unsigned i = VOWI_LEVELS - 1;
    vow_task *task;

    while (p->level[by_urgency[i]].count == 0)
        i--;
    task = take_counted(&p->level[by_urgency[i]]);
    note_taken_locked(p, by_urgency[i], task);
    return task;
}

/* ---- picking ------------------------------------------------------------------------- */

/* The least urgent level whose patience is at its end; VOWI_LEVELS: none. */
static unsigned
due_level(const struct vowi_worker *w)
{
    for (unsigned i = VOWI_LEVELS; i-- > 0;)
        if (w->passed[by_urgency[i]] >= patience[by_urgency[i]])
            return by_urgency[i];
    return VOWI_LEVELS;
}

/* Whether there is normal work is not known until it is looked for. */
static void
age(struct vowi_worker *w, uint32_t waiting, unsigned taken)
{
    for (unsigned level = 0; level < VOWI_LEVELS; level++)
        if (level == taken || ((waiting | BIT(VOW_NORMAL)) & BIT(level)) == 0)
            w->passed[level] = 0;
        else if (w->passed[level] < patience[level])
            w->passed[level]++;
}

static vow_task *
take_from(struct vowi_pool *p, struct vowi_worker *w, unsigned level)
{
    vow_task *task;

    if (level != VOW_NORMAL)
        return vowi_level_take(p, level);
    task = vowi_worker_pick_normal(p, w);
    if (task == NULL)
        w->passed[VOW_NORMAL] = 0;
    return task;
}

vow_task *
vowi_worker_pick_by_level(struct vowi_pool *p, struct vowi_worker *w, uint32_t waiting)
{
    unsigned level = due_level(w);
    vow_task *task = level < VOWI_LEVELS ? take_from(p, w, level) : NULL;

    for (unsigned i = 0; task == NULL && i < VOWI_LEVELS; i++) {
        level = by_urgency[i];
        task = take_from(p, w, level);
    }
    if (task != NULL)
        age(w, waiting, level);
    return task;
}
