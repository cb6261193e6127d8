/* SPDX-License-Identifier: MIT */
/*
 * queue/timers.h - timers by deadline and then by the order of arming, whatever comes.
 *
 * The wheel (queue/wheel.h) keeps those in it that were late when they were armed.
 *
 * A treap over the fields that a timer has for its executor: task.next is the left
 * child, next the right one, prev the parent. Equal deadlines go to the right, so
 * that the order of arming needs no number of its own. The priority of a node is
 * its address, scrambled, so that it needs no room either. Adding, removing and
 * finding the first take O(log n) steps on average, whatever the deadlines are.
 * It locks nothing: its owner says what guards it.
 */
#ifndef VOWI_QUEUE_TIMERS_H
#define VOWI_QUEUE_TIMERS_H

#include <stddef.h>
#include <stdint.h>

#include <vow/executor.h>

/* All zero is empty. */
struct vowi_timers {
    vow_timer *root;
};

static inline vow_timer *
vowi_timers_left(const vow_timer *t)
{
    return (vow_timer *)(void *)t->task.next; /* the task is its first member */
}

static inline void
vowi_timers_set_left(vow_timer *t, vow_timer *left)
{
    t->task.next = left != NULL ? &left->task : NULL;
}

/* A bijection, so that no two nodes have the same; with two rounds, since after one the
 * nodes of an array are still so regular that the tree can be 160 deep. */
static inline uint64_t
vowi_timers_priority(const vow_timer *t)
{
    uint64_t x = (uintptr_t)t;

    x = (x ^ (x >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ (x >> 32);
}

/* Puts a node, or none, where another hangs. */
static inline void
vowi_timers_replace(struct vowi_timers *h, vow_timer *old, vow_timer *by)
{
    vow_timer *parent = old->prev;

    if (parent == NULL)
        h->root = by;
    else if (vowi_timers_left(parent) == old)
        vowi_timers_set_left(parent, by);
    else
        parent->next = by;
    if (by != NULL)
        by->prev = parent;
}

/* Swaps a node with its parent; the order from left to right stays. */
static inline void
vowi_timers_rotate_up(struct vowi_timers *h, vow_timer *t)
{
    vow_timer *parent = t->prev;
    vow_timer *middle;

    vowi_timers_replace(h, parent, t);
    if (vowi_timers_left(parent) == t) {
        middle = t->next;
        vowi_timers_set_left(parent, middle);
        t->next = parent;
    } else {
        middle = vowi_timers_left(t);
        parent->next = middle;
        vowi_timers_set_left(t, parent);
    }
    if (middle != NULL)
        middle->prev = parent;
    parent->prev = t;
}

static inline void
vowi_timers_add(struct vowi_timers *h, vow_timer *t)
{
    vow_timer *parent = NULL;
    vow_timer *at = h->root;

    while (at != NULL) {
        parent = at;
        at = t->when < at->when ? vowi_timers_left(at) : at->next;
    }
    t->prev = parent;
    t->next = NULL;
    vowi_timers_set_left(t, NULL);
    if (parent == NULL)
        h->root = t;
    else if (t->when < parent->when)
        vowi_timers_set_left(parent, t);
    else
        parent->next = t;
    while (t->prev != NULL && vowi_timers_priority(t) > vowi_timers_priority(t->prev))
        vowi_timers_rotate_up(h, t);
}

static inline void
vowi_timers_remove(struct vowi_timers *h, vow_timer *t)
{
    vow_timer *left;

    while ((left = vowi_timers_left(t)) != NULL && t->next != NULL)
        if (vowi_timers_priority(left) > vowi_timers_priority(t->next))
            vowi_timers_rotate_up(h, left);
        else
            vowi_timers_rotate_up(h, t->next);
    vowi_timers_replace(h, t, left != NULL ? left : t->next);
    t->task.next = NULL;
    t->next = NULL;
    t->prev = NULL;
}

/* Returns the one that is due first; NULL if there is none. */
static inline vow_timer *
vowi_timers_first(const struct vowi_timers *h)
{
    vow_timer *t = h->root;
    vow_timer *left;

    while (t != NULL && (left = vowi_timers_left(t)) != NULL)
        t = left;
    return t;
}

#endif
