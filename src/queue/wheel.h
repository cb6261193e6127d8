/* SPDX-License-Identifier: MIT */
/*
 * queue/wheel.h - armed timers, by deadline and then by the order of arming.
 *
 * A hierarchical timing wheel (Varghese and Lauck, SOSP 1987), whose lowest level has
 * a slot for each nanosecond, and whose slots are spread before their time comes: see
 * wheel.c. Adding and removing are O(1), taking what is due is O(1) amortised, and in
 * small steps if the owner spreads ahead; nothing is allocated. It locks nothing: its
 * owner says what guards it.
 */
#ifndef VOWI_QUEUE_WHEEL_H
#define VOWI_QUEUE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vow/executor.h>

#include "queue/timers.h"

#define VOWI_WHEEL_BITS   5
#define VOWI_WHEEL_SLOTS  (2 << VOWI_WHEEL_BITS) /* two units of the level above */
#define VOWI_WHEEL_LEVELS 13                     /* of 5 bits: 65 */

struct vowi_wheel {
    uint64_t base; /* a time, as wheel.c counts it: nothing in a slot is before it */
    size_t count;
    unsigned char life;                   /* which of its lives this is; see renew */
    unsigned levels;                      /* a bit for each level that has a timer */
    unsigned open;                        /* for each whose next slot stays empty */
    uint64_t occupied[VOWI_WHEEL_LEVELS]; /* of each level, a bit for each slot */
    vow_timer *slots[VOWI_WHEEL_LEVELS][VOWI_WHEEL_SLOTS]; /* the first of a ring */
    struct vowi_timers overdue;                            /* before base when added */
};

/* Empty, at a time. */
void vowi_wheel_init(struct vowi_wheel *w, vow_ns now);

/* The same in a forked child, whatever was in it and however it was left: of a timer that
 * was armed it is known that it is no more. */
void vowi_wheel_renew(struct vowi_wheel *w, vow_ns now);

/* Adds one that is not armed, by its `when`. */
void vowi_wheel_add(struct vowi_wheel *w, vow_timer *timer);

/* Takes out one that is armed. */
void vowi_wheel_remove(struct vowi_wheel *w, vow_timer *timer);

/* The same if it is armed, or was in another life. False: neither. */
bool vowi_wheel_disarm(struct vowi_wheel *w, vow_timer *timer);

/* Takes out one that is armed, to fire it. */
void vowi_wheel_take(struct vowi_wheel *w, vow_timer *timer);

/* Takes out the first that is due; NULL: none is. */
vow_timer *vowi_wheel_take_due(struct vowi_wheel *w, vow_ns now);

/* The same if it is for an executor; NULL: it is for another one, or none is due. */
vow_timer *vowi_wheel_take_due_on(struct vowi_wheel *w, vow_ns now,
                                  const vow_executor *on);

/* Spreads a few timers ahead, some 32. To be called until it returns false, which says that
 * no more are to be, before the owner sleeps; and now and then while it is busy. It changes
 * nothing but how long later calls take. */
bool vowi_wheel_ahead(struct vowi_wheel *w);

/* A time before which nothing is due: exact, or early if many are due soon after it, so
 * that they are spread ahead. VOW_FOREVER if it is empty. */
vow_ns vowi_wheel_next(const struct vowi_wheel *w);

static inline size_t
vowi_wheel_count(const struct vowi_wheel *w)
{
    return w->count;
}

/* What is in a timer's first reserved byte. Guarded as the wheel is. While it is armed, its
 * third says in which life of the wheel. */
enum {
    VOWI_TIMER_IDLE,   /* never armed, or removed */
    VOWI_TIMER_ARMED,  /* in the wheel */
    VOWI_TIMER_FIRST,  /* the same, the first of its slot */
    VOWI_TIMER_LISTED, /* in a list */
    VOWI_TIMER_TAKEN   /* due, or off a list */
};

/* In some life. */
static inline bool
vowi_timer_is_armed(const vow_timer *timer)
{
    unsigned char state = timer->task.reserved[0];

    return state >= VOWI_TIMER_ARMED && state <= VOWI_TIMER_LISTED;
}

/* Armed no more, and not due: a task with its reserved bytes zero again. */
static inline void
vowi_timer_forget(vow_timer *timer)
{
    timer->task.reserved[0] = VOWI_TIMER_IDLE;
    timer->task.reserved[2] = 0;
}

static inline bool
vowi_timer_was_taken(const vow_timer *timer)
{
    return timer->task.reserved[0] == VOWI_TIMER_TAKEN;
}

/* ---- lists --------------------------------------------------------------- */

/*
 * A timer that is moved to a list counts as armed until it is taken off it, and
 * vowi_wheel_remove removes it there as well. The list is a ring through its head.
 */
static inline void
vowi_wheel_list_init(vow_timer *list)
{
    list->next = list;
    list->prev = list;
}

/* Moves all that are to run on one executor to an empty list. O(timers). */
void vowi_wheel_list(struct vowi_wheel *w, const vow_executor *on, vow_timer *list);

/* Moves what is due to the end of a list, in its order. */
void vowi_wheel_list_due(struct vowi_wheel *w, vow_ns now, vow_timer *list);

/* Takes the first off a list; NULL: it is empty, or of another life. */
vow_timer *vowi_wheel_unlist(struct vowi_wheel *w, vow_timer *list);

#endif
