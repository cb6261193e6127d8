/* SPDX-License-Identifier: MIT */
/*
 * core/deadlock.c - a wait that provably cannot end.
 *
 * Every thread of an executor that sleeps is in one list. Before another one sleeps,
 * this asks of each whether anything may yet end it:
 *
 *     it has a deadline, is for the end of a callback, or has not begun: live.
 *     What it waits for, upstream to where that ends, is
 *       settled, or a promise       live: somebody we do not know may settle it
 *       running                     live if on a thread that is not in the list, or
 *                                   that sleeps for something live
 *       queued on an executor       live unless that executor has no thread left;
 *                                   then, if one of its threads sleeps for
 *                                   something live
 *       a join                      live if one of its inputs is, or if something that
 *                                   has settled is still on its way to it
 *
 *     and whatever of this a token may settle is live; what runs it can but ask to stop.
 *
 * Marks spread until nothing changes. If the newcomer is not marked, every edge from
 * it ends in threads of the list that wait for one another: only it is told, and by
 * failing it frees the others. What is not proven is never failed: it may be an
 * answer from outside that is a millisecond away.
 *
 * That an executor has no thread left it says itself, by its own count, of which nothing
 * is known here. So a thread is in the list before its executor counts it as one that
 * waits, and until it counts it as one that runs: whoever it found waiting is listed. And
 * its word holds until one of them leaves the list. A wait that leaves between the count
 * and the look at the list takes the word of all who are in it; the last of them that waits
 * again has a word of its own. Who has not been counted yet, or is told of a deadlock,
 * stands in the list as one who goes on.
 *
 * This is the slow path of a wait that will cost a sleep and a wake anyhow.
 */
#include "core/deadlock.h"

#include <string.h>

#include "core/arrive.h"
#include "core/block.h"
#include "core/bound.h"
#include "core/follow.h"
#include "core/frame.h"
#include "core/trampoline.h"
#include "core/word.h"

#define MAX_HOPS  1000000
#define MAX_DEPTH 16   /* joins inside each other */
#define MAX_JOINS 1000 /* in one check */

#define CHAIN_BITS 10
#define CHAINS     (1 << CHAIN_BITS)

static struct {
    struct vowi_wait *first; /* guarded by VOWI_GLOBAL_WAITS, as all of it */
    unsigned depth, joins;   /* in so many is the walk, and was it */
    unsigned long looks;     /* so many were taken */
    unsigned long exhausted; /* of the waits in the list, those whose executor is */

    /* What runs on the stacks of those in the list, found by its state. */
    struct vowi_frame *chains[CHAINS];
} waits;

static bool
is_marked(const struct vowi_wait *w)
{
    return w->ends || w->live_in == waits.looks;
}

/* ---- what runs where somebody waits ----------------------------------------------------- */

static struct vowi_frame **
chain_of(const struct vow_state *s)
{
    uint32_t key = (uint32_t)((uintptr_t)s >> 4) * UINT32_C(2654435769);

    return &waits.chains[key >> (32 - CHAIN_BITS)];
}

static bool
is_listed(const struct vowi_frame *f)
{
    const struct vowi_frame *other = *chain_of(f->state);

    while (other != NULL && other != f)
        other = other->next;
    return other != NULL;
}

static void
list_frame(struct vowi_frame *f, const struct vowi_wait *w)
{
    struct vowi_frame **chain = chain_of(f->state);

    f->wait = w;
    f->next = *chain;
    f->link = chain;
    if (f->next != NULL)
        f->next->link = &f->next;
    *chain = f;
}

/* As far as a wait within which this one is, in a block_begin, say, has not. */
static void
list_frames(const struct vowi_wait *w)
{
    for (struct vowi_frame *f = w->frames; f != NULL; f = f->outer)
        if (f->state != NULL && !is_listed(f))
            list_frame(f, w);
}

static void
unlist_frames(const struct vowi_wait *w)
{
    for (struct vowi_frame *f = w->frames; f != NULL; f = f->outer) {
        if (f->state == NULL || f->wait != w)
            continue;
        if (f->next != NULL)
            f->next->link = f->link;
        *f->link = f->next;
    }
}

/* Whether what a sleeping thread runs may still go on. */
static bool
is_running_live(const struct vow_state *s)
{
    for (const struct vowi_frame *f = *chain_of(s); f != NULL; f = f->next)
        if (f->state == s)
            return is_marked(f->wait);
    return true;
}

/* ---- whether a wait may end --------------------------------------------------------------- */

static bool
is_executor_live(const vow_executor *on)
{
    bool exhausted = false;

    if (waits.exhausted == 0)
        return true;
    for (const struct vowi_wait *w = waits.first; w != NULL; w = w->next) {
        if (w->on == on && is_marked(w))
            return true;
        if (w->on == on && w->exhausted)
            exhausted = true;
    }
    return !exhausted;
}

/* What ends a wait for s, whose lock bit is held; word is what it said. */
static bool
is_live(struct vow_state *s, uintptr_t word)
{
    if ((word & VOWI_SETTLED) || vowi_kind(s) == VOWI_BARE)
        return true;
    if (word & VOWI_CLAIMED)
        return is_running_live(s);
    return vowi_kind(s) != VOWI_TASK || is_executor_live(vowi_job(s)->on);
}

/* Whether a token may settle it, whose deadline may be a millisecond away. What runs is only
 * asked to stop, and what follows passes that on. */
static bool
has_token(struct vow_state *s, uintptr_t word)
{
    bool runs = (word & (VOWI_CLAIMED | VOWI_FOLLOWING)) == VOWI_CLAIMED;

    return (word & VOWI_SETTLED) == 0 && (!runs || vowi_kind(s) == VOWI_JOIN) &&
           vowi_bound_to(s) != NULL;
}

static bool may_end(struct vow_state *s);

/* A pending join, whose lock bit is held, and given up here. */
static bool
is_join_live(struct vow_state *s)
{
    bool live;

    if (waits.depth == MAX_DEPTH || waits.joins == MAX_JOINS) {
        vowi_unlock_word(s);
        return true;
    }
    waits.depth++;
    waits.joins++;
    live = vowi_join_may_end(vowi_self(), s, may_end);
    waits.depth--;
    return live;
}

/*
 * Walks upstream to its end and asks that. Each state is locked before the one
 * below is let go, so that no reference is needed, and none that turns out to be
 * the last runs a user's drop under our lock. Only one thread at a time walks like
 * this, and nobody else waits for one lock bit while holding another. A join keeps
 * its inputs while it is asked.
 */
static bool
may_end(struct vow_state *s)
{
    uintptr_t word = vowi_lock_word(s);
    bool live = true; /* also a ring that somebody is about to break */

    for (unsigned hops = 0; hops < MAX_HOPS; hops++) {
        struct vow_state *up = vowi_upstream_locked(s, word);

        if (has_token(s, word))
            break;
        if (up == NULL && (word & VOWI_SETTLED) == 0 && vowi_kind(s) == VOWI_JOIN)
            return is_join_live(s);
        if (up == NULL) {
            live = is_live(s, word);
            break;
        }
        word = vowi_lock_word(up);
        vowi_unlock_word(s);
        s = up;
    }
    vowi_unlock_word(s);
    return live;
}

/* Marks it if it has become live; returns whether it has. */
static bool
mark(struct vowi_wait *w)
{
    if (is_marked(w) || !may_end(w->awaited))
        return false;
    w->live_in = waits.looks;
    return true;
}

/* Marks what has become live, as long as the newcomer has not; returns whether anything
 * has. */
static bool
spread(const struct vowi_wait *newcomer)
{
    bool changed = false;

    for (struct vowi_wait *w = waits.first; w != NULL && !is_marked(newcomer);
         w = w->next)
        if (mark(w))
            changed = true;
    return changed;
}

static void
set_exhausted(struct vowi_wait *w, bool exhausted)
{
    waits.exhausted += exhausted;
    waits.exhausted -= w->exhausted;
    w->exhausted = exhausted;
}

static void
link_wait(struct vowi_wait *w)
{
    w->frames = w->thread->frames;
    w->forks = vowi_globals.forks;
    w->overtaken = false;
    w->live_in = 0;
    waits.exhausted += w->exhausted;
    w->prev = NULL;
    w->next = waits.first;
    if (w->next != NULL)
        w->next->prev = w;
    waits.first = w;
    list_frames(w);
}

static void
unlink_wait(struct vowi_wait *w)
{
    unlist_frames(w);
    waits.exhausted -= w->exhausted;
    if (w->next != NULL)
        w->next->prev = w->prev;
    if (w->prev != NULL)
        w->prev->next = w->next;
    else
        waits.first = w->next;
}

/* Whether w, which is in the list, may sleep: something may yet end it. It is asked first,
 * so that in the common case the others are not looked at. */
static bool
may_sleep_locked(struct vowi_wait *w)
{
    waits.joins = 0;
    waits.looks++;
    if (!mark(w))
        while (!is_marked(w) && spread(w))
            ;
    return is_marked(w) && vowi_self()->fifo_head == NULL;
}

/* Whether it may end; if so it is noted. */
static bool
note(struct vowi_wait *w)
{
    bool sleeps;

    vowi_global_lock(VOWI_GLOBAL_WAITS);
    link_wait(w);
    sleeps = may_sleep_locked(w);
    if (!sleeps)
        unlink_wait(w);
    vowi_global_unlock(VOWI_GLOBAL_WAITS);
    return sleeps;
}

/* Joins that were asked while their last inputs settled are this thread's to settle: that
 * may run anything, so this does not count as asleep meanwhile, and asks again. */
int
vowi_wait_begin(struct vowi_wait *w)
{
    struct vowi_thread *t = vowi_self();

    while (!note(w)) {
        if (t->fifo_head == NULL)
            return VOW_E_DEADLOCK;
        vowi_drain_all(t);
    }
    return 0;
}

void
vowi_wait_list(struct vowi_wait *w)
{
    w->ends = true;
    vowi_global_lock(VOWI_GLOBAL_WAITS);
    link_wait(w);
    vowi_global_unlock(VOWI_GLOBAL_WAITS);
}

int
vowi_wait_block(struct vowi_wait *w)
{
    int rc = 0;

    vowi_wait_list(w);
    if (w->on->ops->block_begin != NULL)
        rc = w->on->ops->block_begin(w->on);
    if (rc == VOW_E_DEADLOCK)
        vowi_wait_end(w);
    return rc;
}

/* That no thread was left is not so any more if one has gone on since. */
bool
vowi_wait_counted(struct vowi_wait *w, bool exhausted)
{
    bool sleeps;

    vowi_global_lock(VOWI_GLOBAL_WAITS);
    set_exhausted(w, exhausted && !w->overtaken);
    w->ends = false;
    sleeps = may_sleep_locked(w);
    if (!sleeps) {
        set_exhausted(w, false);
        w->ends = true;
    }
    vowi_global_unlock(VOWI_GLOBAL_WAITS);
    return sleeps;
}

/* Of fibers none is overtaken between its count and its look, since both are on the thread on
 * which another one would go on: so nothing is to be said if none is exhausted. */
static void
leave_a_thread_locked(const struct vowi_wait *left)
{
    if (left->thread->fiber != NULL && waits.exhausted == 0)
        return;
    for (struct vowi_wait *w = waits.first; w != NULL; w = w->next)
        if (w->on == left->on) {
            set_exhausted(w, false);
            w->overtaken = true;
        }
}

void
vowi_wait_end(struct vowi_wait *w)
{
    vowi_global_lock(VOWI_GLOBAL_WAITS);
    if (w->forks == vowi_globals.forks) /* else the list of this process never had it */
        unlink_wait(w);
    leave_a_thread_locked(w);
    vowi_global_unlock(VOWI_GLOBAL_WAITS);
}

void
vowi_wait_unblock(struct vowi_wait *w)
{
    if (w->on->ops->block_end != NULL)
        w->on->ops->block_end(w->on);
    vowi_wait_end(w);
}

void
vowi_waits_in_child(void)
{
    waits.first = NULL;
    waits.exhausted = 0;
    memset(waits.chains, 0, sizeof waits.chains);
}

void
vowi_waits_each(const vow_executor *on, void (*fn)(const struct vowi_wait *w, void *ctx),
                void *ctx)
{
    vowi_global_lock(VOWI_GLOBAL_WAITS);
    for (const struct vowi_wait *w = waits.first; w != NULL; w = w->next)
        if (w->on == on)
            fn(w, ctx);
    vowi_global_unlock(VOWI_GLOBAL_WAITS);
}
