/* SPDX-License-Identifier: MIT */
/*
 * queue/wheel.c - the timing wheel.
 *
 * Level n has 64 slots of 64^n nanoseconds each. A timer lies on the level of the
 * highest group of six bits in which its deadline differs from `base`, in the slot that
 * this group says. So all levels together are one radix tree of the deadlines, of which
 * only the path to base is there: the first deadline is in the lowest level that has
 * any, in its first slot; and on level 0 a slot holds a single deadline.
 *
 * Time passes by moving base on. Up to the start of the first slot nothing changes
 * place. At its start that slot's timers differ from base in a lower group, and are
 * spread over the levels below: each timer at most ten times, whatever happens. A slot
 * is a ring, added to at the end and spread from the front; all timers of one deadline
 * are in one slot at any time. So equal deadlines stay in the order of adding.
 *
 * A deadline before base has no place in it: a tree holds those, which are due and few.
 *
 * Times are unsigned here, in the same order. A bitmap says which slots are not empty.
 */
#include "queue/wheel.h"

#include <assert.h>
#include <string.h>

#include "base/check.h"

#define SCAN 8 /* timers that are looked at to find the first of a slot */

static_assert(VOWI_WHEEL_LEVELS * VOWI_WHEEL_BITS >= 64, "all times have a level");

static uint64_t
time_of(vow_ns t)
{
    return (uint64_t)t ^ ((uint64_t)1 << 63);
}

static vow_ns
ns_of(uint64_t time)
{
    return (vow_ns)(time ^ ((uint64_t)1 << 63));
}

static unsigned
level_of(const struct vowi_wheel *w, uint64_t time)
{
    return (unsigned)(63 - __builtin_clzll((time ^ w->base) | 1)) / VOWI_WHEEL_BITS;
}

static unsigned
slot_of(uint64_t time, unsigned level)
{
    return (unsigned)(time >> (level * VOWI_WHEEL_BITS)) % VOWI_WHEEL_SLOTS;
}

/* When a slot begins: base above the level, its number, and zeros. */
static uint64_t
start_of(const struct vowi_wheel *w, unsigned level, unsigned slot)
{
    unsigned shift = level * VOWI_WHEEL_BITS;
    uint64_t base = w->base >> shift;

    return (base - base % VOWI_WHEEL_SLOTS + slot) << shift;
}

/* ---- rings --------------------------------------------------------------- */

static void
push(vow_timer **first, vow_timer *t)
{
    if (*first == NULL) {
        *first = t->next = t->prev = t;
        return;
    }
    t->next = *first;
    t->prev = t->next->prev;
    t->prev->next = t;
    t->next->prev = t;
}

static void
unlink_timer(vow_timer *t)
{
    t->prev->next = t->next;
    t->next->prev = t->prev;
}

static void
insert(struct vowi_wheel *w, vow_timer *t)
{
    uint64_t time = time_of(t->when);
    unsigned level = level_of(w, time);
    unsigned slot = slot_of(time, level);

    push(&w->slots[level][slot], t);
    w->occupied[level] |= (uint64_t)1 << slot;
    w->levels |= 1u << level;
}

static void
mark_empty(struct vowi_wheel *w, unsigned level, unsigned slot)
{
    w->slots[level][slot] = NULL;
    w->occupied[level] &= ~((uint64_t)1 << slot);
    if (w->occupied[level] == 0)
        w->levels &= ~(1u << level);
}

static void
take_out(struct vowi_wheel *w, vow_timer *t)
{
    uint64_t time = time_of(t->when);
    unsigned level = level_of(w, time);
    unsigned slot = slot_of(time, level);

    if (t->next == t) {
        mark_empty(w, level, slot);
        return;
    }
    unlink_timer(t);
    if (w->slots[level][slot] == t)
        w->slots[level][slot] = t->next;
}

/* ---- the wheel ----------------------------------------------------------- */

void
vowi_wheel_init(struct vowi_wheel *w, vow_ns now)
{
    memset(w, 0, sizeof *w);
    w->base = time_of(now);
}

void
vowi_wheel_renew(struct vowi_wheel *w, vow_ns now)
{
    unsigned char life = w->life;

    vowi_wheel_init(w, now);
    w->life = (unsigned char)(life + 1);
}

static unsigned char *
life_of(vow_timer *timer)
{
    return &timer->task.reserved[2];
}

void
vowi_wheel_add(struct vowi_wheel *w, vow_timer *timer)
{
    vowi_assert(!vowi_timer_is_armed(timer) || *life_of(timer) != w->life);
    if (time_of(timer->when) < w->base)
        vowi_timers_add(&w->overdue, timer);
    else
        insert(w, timer);
    timer->task.reserved[0] = VOWI_TIMER_ARMED;
    *life_of(timer) = w->life;
    w->count++;
}

void
vowi_wheel_remove(struct vowi_wheel *w, vow_timer *timer)
{
    vowi_assert(vowi_timer_is_armed(timer));
    if (timer->task.reserved[0] == VOWI_TIMER_LISTED)
        unlink_timer(timer);
    else if (time_of(timer->when) < w->base)
        vowi_timers_remove(&w->overdue, timer);
    else
        take_out(w, timer);
    vowi_timer_forget(timer);
    timer->next = NULL;
    timer->prev = NULL;
    w->count--;
}

bool
vowi_wheel_disarm(struct vowi_wheel *w, vow_timer *timer)
{
    bool armed = vowi_timer_is_armed(timer);

    if (armed && *life_of(timer) == w->life)
        vowi_wheel_remove(w, timer);
    else if (armed)
        vowi_timer_forget(timer);
    return armed;
}

void
vowi_wheel_take(struct vowi_wheel *w, vow_timer *timer)
{
    vowi_wheel_remove(w, timer);
    timer->task.reserved[0] = VOWI_TIMER_TAKEN;
}

/* Moves base to the start of a slot, which puts its timers on lower levels. */
static void
enter_slot(struct vowi_wheel *w, unsigned level, unsigned slot, uint64_t start)
{
    vow_timer *first = w->slots[level][slot];
    vow_timer *t = first;

    w->base = start;
    mark_empty(w, level, slot);
    do {
        vow_timer *next = t->next;

        insert(w, t);
        t = next;
    } while (t != first);
}

/* Moves base on, at most to now, until a timer is due. Returns that, or NULL. */
static vow_timer *
turn(struct vowi_wheel *w, uint64_t now)
{
    while (w->levels != 0) {
        unsigned level = (unsigned)__builtin_ctz(w->levels);
        unsigned slot = (unsigned)__builtin_ctzll(w->occupied[level]);
        uint64_t start = start_of(w, level, slot);

        if (start > now)
            break;
        if (level == 0) {
            w->base = start;
            return w->slots[0][slot];
        }
        enter_slot(w, level, slot, start);
    }
    if (now > w->base)
        w->base = now;
    return NULL;
}

/* The first that is due; NULL: none is. */
static vow_timer *
first_due(struct vowi_wheel *w, vow_ns now)
{
    vow_timer *first = vowi_timers_first(&w->overdue);

    if (first == NULL)
        return turn(w, time_of(now));
    return first->when <= now ? first : NULL;
}

vow_timer *
vowi_wheel_take_due(struct vowi_wheel *w, vow_ns now)
{
    vow_timer *first = first_due(w, now);

    if (first != NULL)
        vowi_wheel_take(w, first);
    return first;
}

vow_timer *
vowi_wheel_take_due_on(struct vowi_wheel *w, vow_ns now, const vow_executor *on)
{
    vow_timer *first = first_due(w, now);

    if (first == NULL || first->on != on)
        return NULL;
    vowi_wheel_take(w, first);
    return first;
}

/* The first deadline in a slot, if few are there; else when the slot begins. */
static uint64_t
first_in(const struct vowi_wheel *w, unsigned level, unsigned slot)
{
    const vow_timer *t = w->slots[level][slot];
    vow_ns when = t->when;
    int looked_at = 0;

    while (looked_at++ < SCAN) {
        t = t->next;
        if (t == w->slots[level][slot])
            return time_of(when);
        if (t->when < when)
            when = t->when;
    }
    return start_of(w, level, slot);
}

vow_ns
vowi_wheel_next(const struct vowi_wheel *w)
{
    const vow_timer *overdue = vowi_timers_first(&w->overdue);
    unsigned level;

    if (overdue != NULL)
        return overdue->when;
    if (w->levels == 0)
        return VOW_FOREVER;
    level = (unsigned)__builtin_ctz(w->levels);
    return ns_of(first_in(w, level, (unsigned)__builtin_ctzll(w->occupied[level])));
}

/* ---- lists --------------------------------------------------------------- */

static void
move_to_list(struct vowi_wheel *w, vow_timer *t, vow_timer *list)
{
    vowi_wheel_remove(w, t);
    w->count++;
    push(&list, t);
    t->task.reserved[0] = VOWI_TIMER_LISTED;
    *life_of(t) = w->life;
}

static void
list_slot(struct vowi_wheel *w, unsigned level, unsigned slot, const vow_executor *on,
          vow_timer *list)
{
    vow_timer *last = w->slots[level][slot]->prev;
    vow_timer *t = w->slots[level][slot];
    bool done;

    do {
        vow_timer *next = t->next;

        done = t == last;
        if (t->on == on)
            move_to_list(w, t, list);
        t = next;
    } while (!done);
}

static void
list_overdue(struct vowi_wheel *w, const vow_executor *on, vow_timer *list)
{
    struct vowi_timers others = {NULL};
    vow_timer *t;

    while ((t = vowi_timers_first(&w->overdue)) != NULL) {
        if (t->on == on) {
            move_to_list(w, t, list);
        } else {
            vowi_timers_remove(&w->overdue, t);
            vowi_timers_add(&others, t);
        }
    }
    w->overdue = others;
}

void
vowi_wheel_list(struct vowi_wheel *w, const vow_executor *on, vow_timer *list)
{
    vowi_wheel_list_init(list);
    list_overdue(w, on, list);
    for (unsigned level = 0; level < VOWI_WHEEL_LEVELS; level++)
        for (uint64_t left = w->occupied[level]; left != 0; left &= left - 1)
            list_slot(w, level, (unsigned)__builtin_ctzll(left), on, list);
}

void
vowi_wheel_list_due(struct vowi_wheel *w, vow_ns now, vow_timer *list)
{
    vow_timer *t;

    while ((t = first_due(w, now)) != NULL)
        move_to_list(w, t, list);
}

vow_timer *
vowi_wheel_unlist(struct vowi_wheel *w, vow_timer *list)
{
    vow_timer *first = list->next;

    if (first == list || *life_of(first) != w->life)
        return NULL;
    vowi_wheel_take(w, first);
    return first;
}
