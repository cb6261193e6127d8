/* SPDX-License-Identifier: MIT */
/*
 * core/trampoline.c - inline steps run one after the other, never inside one another.
 *
 * Each thread has a first-in first-out list of what waits to run inline. Whoever
 * opens a stretch (vowi_enter) while none is open drains the list when it closes;
 * everybody inside only appends. So the stack is as deep for a million steps as
 * for one.
 *
 * On a thread of an executor a long list would keep the executor from its other
 * work. After BUDGET steps the rest is posted to it as one task: the first node
 * becomes that task, and carries the others as a ring whose entry is the last. A
 * hook has no word that is idle by then, so what the first calls gives way to the
 * entry, and is kept where another hook of the ring has its run, which follows from
 * its kind. Which one that is stands where the first has its why, since it has none.
 */
#include "core/trampoline.h"

#include "base/check.h"
#include "core/block.h"
#include "core/follow.h"
#include "core/refs.h"
#include "core/step.h"

#ifndef VOWI_TRAMPOLINE_BUDGET
#define VOWI_TRAMPOLINE_BUDGET 256
#endif

static union vowi_task *
task_of(struct vowi_node *n)
{
    return vowi_container_of(n, union vowi_task, node);
}

static struct vowi_node *
pop(struct vowi_thread *t)
{
    struct vowi_node *n = t->fifo_head;

    t->fifo_head = n->next;
    return n;
}

static void
run_node(struct vowi_node *n)
{
    int why = vowi_is_bare_follower(n) ? 0 : n->as.queued.why;

    n->run(&task_of(n)->task, why);
}

static struct vowi_hook *
hook_of(struct vowi_node *n)
{
    return vowi_container_of(n, struct vowi_hook, as.node);
}

/* Its run is about to be something else. */
static void
keep_kind(struct vowi_node *n)
{
    n->as.queued.hook = vowi_hook_index(n);
}

static void
restore_kind(struct vowi_node *n)
{
    n->run = vowi_hook_run(n->as.queued.hook);
    n->as.queued.hook = 0;
}

/* Which of the others is the first hook, counted from one; 0: none. */
static int
find_keeper(const struct vowi_node *n)
{
    int at = 1;

    for (n = n->next; n != NULL; n = n->next, at++)
        if (vowi_is_hook(n))
            return at;
    return 0;
}

/* By its number, in a list or a ring that begins with n. */
static struct vowi_node *
keeper(struct vowi_node *n, int at)
{
    while (--at > 0)
        n = n->next;
    return n;
}

/* Ties those behind n to it; false if it cannot carry them. */
static bool
tie_others(struct vowi_node *n, struct vowi_node *last)
{
    struct vowi_hook *hook = hook_of(n);
    int at = find_keeper(n);

    if (at != 0) {
        struct vowi_node *k = keeper(n->next, at);

        keep_kind(k);
        k->run = hook->fn.kept;
        last->next = n->next;
        hook->fn.last = last;
        n->as.queued.why = at;
    }
    return at != 0;
}

/* The node is the last that waits: those that it carries are behind it again. */
static void
untie_others(struct vowi_thread *t, struct vowi_node *n)
{
    struct vowi_hook *hook = hook_of(n);
    struct vowi_node *last = hook->fn.last;
    struct vowi_node *k = keeper(last->next, n->as.queued.why);

    hook->fn.kept = k->run;
    restore_kind(k);
    n->as.queued.why = 0;
    n->next = last->next;
    last->next = NULL;
    t->fifo_tail = last;
}

/* Puts back what hand_over packed: the node, then the others in their order. */
static void
unpack(struct vowi_thread *t, struct vowi_node *n)
{
    restore_kind(n);
    vowi_later(t, n);
    if (n->as.queued.why != 0)
        untie_others(t, n);
}

/* A task that was handed over. It runs whatever why says: these are steps. */
static void
run_handed_over(vow_task *task, int why)
{
    struct vowi_thread *t = vowi_self();
    bool outermost = vowi_enter(t);

    (void)why;
    unpack(t, &vowi_container_of(task, union vowi_task, task)->node);
    vowi_leave(t, outermost);
}

/* Posts all that waits to this thread's executor; false if that was refused, or cannot be. */
static bool
hand_over(struct vowi_thread *t)
{
    struct vowi_node *n = t->fifo_head;

    if (n->next != NULL && !tie_others(n, t->fifo_tail))
        return false;
    keep_kind(n);
    n->as.queued.flags = VOW_TASK_STEP;
    n->run = run_handed_over;
    t->fifo_head = NULL;
    if (t->executor->ops->post(t->executor, &task_of(n)->task) == 0)
        return true;
    unpack(t, n);
    return false;
}

/* Whether the first that waits can carry the others to this thread's executor. */
static bool
can_hand_over(const struct vowi_thread *t)
{
    const struct vowi_node *n = t->fifo_head;

    return t->executor != NULL && vowi_is_hook(n) && n->as.queued.why == 0;
}

void
vowi_drain(struct vowi_thread *t)
{
    unsigned steps = 0;

    while (t->fifo_head != NULL) {
        if (++steps > VOWI_TRAMPOLINE_BUDGET && can_hand_over(t)) {
            if (hand_over(t))
                return;
            steps = 0; /* refused: it goes on here */
        }
        run_node(pop(t));
    }
}

void
vowi_drain_all(struct vowi_thread *t)
{
    if (t->fifo_head != NULL)
        vowi_mix_stolen(t);
    while (t->fifo_head != NULL || t->reclaim != NULL) {
        if (t->fifo_head != NULL)
            run_node(pop(t));
        else
            vowi_reclaim_queued(t);
    }
}

void
vow_defer_begin(void)
{
    struct vowi_thread *t = vowi_self();

    t->depth++;
    t->deferred++;
}

void
vow_defer_end(void)
{
    struct vowi_thread *t = vowi_self();

    if (t->deferred == 0)
        vowi_fatal("vow_defer_end without vow_defer_begin");
    t->deferred--;
    t->depth--;
    if (t->depth == 0) {
        bool outermost = vowi_enter(t);

        vowi_leave(t, outermost);
    }
}
