/* SPDX-License-Identifier: MIT */
/*
 * queue/wheel.c - the timing wheel.
 *
 * Level n has units of 32^n nanoseconds, and a slot for each unit of a window of 64. With
 * base, the time that it has come to, in unit u of level n, the level holds what is due
 * in later units, as far as those lie in base's unit of level n+1 or in the one after it:
 * so never more than 64, and 64 slots are room for each to have its own. On level 0 a
 * slot holds a single deadline. A bitmap says which slots are not empty.
 *
 * A timer begins on the level of the highest group of five bits in which its deadline
 * differs from base. From there it comes down a level at a time, when its slot is spread
 * over the level below: each at most twelve times, whatever happens. Slots are spread in two
 * ways.
 *
 * Behind base nothing stays. Base moves on to the start of the first slot that is not
 * empty, and spreads that one before it moves again. Of what is there many may be due much
 * later, and all that is due now waits for them: of timers drawn from the next half
 * second, 6,600 lie in a slot of 33 ms, and to spread those takes longer than a
 * wake-up.
 *
 * So the next unit of each level is spread ahead, while base is still in the one before
 * it, a few timers at a time: whenever the owner is awake and nothing is due. The
 * owner sleeps when that is done, and if a later slot is crowded it wakes a unit early.
 * Then a slot is empty when base comes to its start; what a call does is bounded, but
 * for the levels whose unit is shorter than a wake-up takes, where all of a slot is due
 * at about the same time. Two more things are not: a clock that jumps over a unit; and what
 * others arm while the owner sleeps, into the very slot whose first timer it sleeps for.
 * (Doing a little of what is coming at each step: Overmars, "The Design of Dynamic Data
 * Structures", 1983, global rebuilding.)
 *
 * Equal deadlines stay in the order of adding. A slot is a ring, added to at the end and
 * spread from the front. While the next unit of a level is not yet empty, new timers join the
 * end of its ring; when it is, the level is open, and they pass through it to the level
 * below, where all that came earlier is by then. So for each deadline there is at any time
 * one row of rings, from the level where it begins down to where its first timer is,
 * and timers move along it in their order. What is left of the next slot when its time has
 * come is spread along the row too, before base moves.
 *
 * The owner of a virtual clock need not spread ahead: it only costs the other way round.
 *
 * A deadline before base has no place in it: a tree holds those, which are due and few.
 *
 * Times are unsigned here, in the same order.
 */
#include "queue/wheel.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include "base/check.h"

#define SCAN       8  /* timers that are looked at to find the first of a slot */
#define AT_ONCE    32 /* timers that are spread ahead by one call */
#define AHEAD_FROM 3  /* the level of 33 us: what is below is not spread ahead */
#define WAKES_FROM 4  /* the level of 1 ms: what is below wakes nobody to be spread */

#define ALL_AHEAD (~0u << AHEAD_FROM)

static_assert(VOWI_WHEEL_LEVELS * VOWI_WHEEL_BITS >= 64, "all times have a level");
static_assert(VOWI_WHEEL_SLOTS == 64, "a word has a bit for each slot of a level");

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

static uint64_t
unit_of(uint64_t time, unsigned level)
{
    return time >> (level * VOWI_WHEEL_BITS);
}

static unsigned
slot_of(uint64_t time, unsigned level)
{
    return (unsigned)unit_of(time, level) % VOWI_WHEEL_SLOTS;
}

/* Whether a time that base has not come to is in the unit after base's. */
static bool
is_next(const struct vowi_wheel *w, uint64_t time, unsigned level)
{
    return unit_of(time, level) - unit_of(w->base, level) == 1;
}

/* The next unit's slot. */
static unsigned
next_slot(const struct vowi_wheel *w, unsigned level)
{
    return (slot_of(w->base, level) + 1) % VOWI_WHEEL_SLOTS;
}

static bool
is_occupied(const struct vowi_wheel *w, unsigned level, unsigned slot)
{
    return (w->occupied[level] >> slot & 1) != 0;
}

/* How many units after base's the first is that has a timer, on a level that has any. */
static unsigned
distance(const struct vowi_wheel *w, unsigned level)
{
    unsigned at = slot_of(w->base, level);
    uint64_t occupied = w->occupied[level];

    return (unsigned)__builtin_ctzll(occupied >> at | occupied << (-at % 64));
}

/* When a unit begins, so many after base's. */
static uint64_t
start_of(const struct vowi_wheel *w, unsigned level, unsigned after)
{
    return (unit_of(w->base, level) + after) << (level * VOWI_WHEEL_BITS);
}

/* Moves base on, into units whose next ones nobody has looked at. */
static void
move_base(struct vowi_wheel *w, uint64_t time)
{
    w->open &= ~1u << level_of(w, time);
    w->base = time;
}

/* ---- rings --------------------------------------------------------------- */

static void
make_first(vow_timer **first, vow_timer *t)
{
    *first = t;
    t->task.reserved[0] = VOWI_TIMER_FIRST;
}

static void
push(vow_timer **first, vow_timer *t)
{
    if (*first == NULL) {
        t->next = t->prev = t;
        make_first(first, t);
        return;
    }
    t->task.reserved[0] = VOWI_TIMER_ARMED;
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

/* Adds it on a level, or on the one below that to which the open ones lead. */
static void
insert(struct vowi_wheel *w, vow_timer *t, unsigned level)
{
    uint64_t time = time_of(t->when);
    unsigned slot;

    while ((w->open >> level & 1) != 0 && is_next(w, time, level))
        level--;
    slot = slot_of(time, level);
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

/* The timer is the first of a ring: it goes on without it. */
static void
drop_first(struct vowi_wheel *w, const vow_timer *t, unsigned level, unsigned slot)
{
    if (t->next == t)
        mark_empty(w, level, slot);
    else
        make_first(&w->slots[level][slot], t->next);
}

/* It is the first of one of the rings of its row. Out of line, as the tree's part is: the
 * common way to remove a timer saves no registers, and the fewer instructions there are
 * between two removals, the more of their cache misses overlap. */
VOWI_NOINLINE static void
take_out_first(struct vowi_wheel *w, const vow_timer *t)
{
    uint64_t time = time_of(t->when);
    unsigned level = level_of(w, time);
    unsigned slot = slot_of(time, level);

    while (w->slots[level][slot] != t)
        slot = slot_of(time, --level);
    drop_first(w, t, level, slot);
}

static void
take_out(struct vowi_wheel *w, vow_timer *t)
{
    if (t->task.reserved[0] == VOWI_TIMER_FIRST)
        take_out_first(w, t);
    unlink_timer(t);
}

/* The slot that it comes from is the next one of its level, or begins at base. */
static void
insert_below(struct vowi_wheel *w, vow_timer *t, unsigned level)
{
    unsigned own = level_of(w, time_of(t->when));

    insert(w, t, own < level ? own : level - 1);
}

/* Spreads a slot over the levels below: so many of its timers. Returns how many it did. */
static unsigned
spread(struct vowi_wheel *w, unsigned level, unsigned slot, unsigned most)
{
    vow_timer *t = w->slots[level][slot];
    vow_timer *last = t->prev;
    unsigned n = 0;
    vow_timer *next;

    for (bool more = true; more; t = next) {
        if (n++ == most) {
            make_first(&w->slots[level][slot], t);
            t->prev = last;
            last->next = t;
            return most;
        }
        next = t->next;
        more = t != last;
        insert_below(w, t, level);
    }
    mark_empty(w, level, slot);
    return n;
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

VOWI_NOINLINE static void
remove_overdue(struct vowi_wheel *w, vow_timer *timer)
{
    vowi_timers_remove(&w->overdue, timer);
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
    timer->task.reserved[0] = VOWI_TIMER_ARMED;
    if (time_of(timer->when) < w->base)
        vowi_timers_add(&w->overdue, timer);
    else
        insert(w, timer, level_of(w, time_of(timer->when)));
    *life_of(timer) = w->life;
    w->count++;
}

void
vowi_wheel_remove(struct vowi_wheel *w, vow_timer *timer)
{
    vowi_assert(vowi_timer_is_armed(timer));
    if (timer->task.reserved[0] == VOWI_TIMER_LISTED)
        unlink_timer(timer);
    else if (vowi_unlikely(time_of(timer->when) < w->base))
        remove_overdue(w, timer);
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
    if (!vowi_timer_is_armed(timer))
        return false;
    if (*life_of(timer) == w->life)
        vowi_wheel_remove(w, timer);
    else
        vowi_timer_forget(timer);
    return true;
}

void
vowi_wheel_take(struct vowi_wheel *w, vow_timer *timer)
{
    vowi_wheel_remove(w, timer);
    timer->task.reserved[0] = VOWI_TIMER_TAKEN;
}

/* Whether nothing on a level is due before a time, and so on no level above either. */
static bool
is_before_all(const struct vowi_wheel *w, uint64_t time, unsigned level)
{
    return unit_of(time, level) == unit_of(w->base, level);
}

/* The level whose first slot begins first; of several the highest, which goes to the others.
 * It is the lowest that has any, unless the next slot of one above is partly spread. */
static unsigned
first_level(const struct vowi_wheel *w, uint64_t *start)
{
    unsigned left = w->levels;
    unsigned first = (unsigned)__builtin_ctz(left);

    *start = start_of(w, first, distance(w, first));
    while ((left &= left - 1) != 0) {
        unsigned level = (unsigned)__builtin_ctz(left);
        uint64_t begins;

        if (is_before_all(w, *start, level))
            break;
        begins = start_of(w, level, distance(w, level));
        if (begins > *start)
            continue;
        *start = begins;
        first = level;
    }
    return first;
}

/* Moves base on, at most to now, until a timer is due. Returns that, or NULL. */
static vow_timer *
turn(struct vowi_wheel *w, uint64_t now)
{
    while (w->levels != 0) {
        uint64_t start;
        unsigned level = first_level(w, &start);

        if (start > now)
            break;
        if (level < AHEAD_FROM || !is_next(w, start, level)) /* else by the row */
            move_base(w, start);
        if (level == 0)
            return w->slots[0][slot_of(start, 0)];
        spread(w, level, slot_of(start, level), UINT_MAX);
    }
    if (now > w->base)
        move_base(w, now);
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

/* The lowest level whose next slot is to be spread; 0: none is. */
static unsigned
level_ahead(const struct vowi_wheel *w)
{
    for (unsigned left = w->levels & ~w->open & ALL_AHEAD; left != 0; left &= left - 1) {
        unsigned level = (unsigned)__builtin_ctz(left);

        if (is_occupied(w, level, next_slot(w, level)))
            return level;
    }
    return 0;
}

bool
vowi_wheel_ahead(struct vowi_wheel *w)
{
    unsigned n = 0;
    unsigned level;

    while ((level = level_ahead(w)) != 0) {
        if (n == AT_ONCE)
            return true;
        n += spread(w, level, next_slot(w, level), AT_ONCE - n);
    }
    w->open = ALL_AHEAD;
    return false;
}

/* When the owner has to come for a crowded slot, so many units after base's: where it
 * is to be spread ahead, in the unit before it. */
static uint64_t
start_for_crowd(const struct vowi_wheel *w, unsigned level, unsigned after)
{
    return start_of(w, level, level >= WAKES_FROM && after > 1 ? after - 1 : after);
}

/* The first deadline on a level, if few are in its first slot; else when to come for it. */
static uint64_t
first_on(const struct vowi_wheel *w, unsigned level)
{
    unsigned after = distance(w, level);
    const vow_timer *first = w->slots[level][(slot_of(w->base, level) + after) % 64];
    const vow_timer *t = first;
    vow_ns when = t->when;
    int looked_at = 0;

    while (looked_at++ < SCAN) {
        t = t->next;
        if (t == first)
            return time_of(when);
        if (t->when < when)
            when = t->when;
    }
    return start_for_crowd(w, level, after);
}

vow_ns
vowi_wheel_next(const struct vowi_wheel *w)
{
    const vow_timer *overdue = vowi_timers_first(&w->overdue);
    unsigned left = w->levels;
    uint64_t first;

    if (overdue != NULL)
        return overdue->when;
    if (left == 0)
        return VOW_FOREVER;
    first = first_on(w, (unsigned)__builtin_ctz(left));
    while ((left &= left - 1) != 0) {
        unsigned level = (unsigned)__builtin_ctz(left);
        uint64_t other;

        if (is_before_all(w, first, level))
            break;
        other = first_on(w, level);
        first = other < first ? other : first;
    }
    return ns_of(first);
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
    for (unsigned level = 0; level < VOWI_WHEEL_LEVELS; level++) /* as the rows go */
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
