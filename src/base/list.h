/* SPDX-License-Identifier: MIT */
/*
 * base/list.h - a doubly linked list whose links live in what is listed.
 *
 * The list is a ring through its head, so that adding and removing have no special
 * cases. It locks nothing: its owner says what guards it.
 */
#ifndef VOWI_BASE_LIST_H
#define VOWI_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct vowi_link {
    struct vowi_link *next;
    struct vowi_link *prev;
};

struct vowi_list {
    struct vowi_link head; /* next is the first, prev the last */
};

static inline void
vowi_list_init(struct vowi_list *l)
{
    l->head.next = &l->head;
    l->head.prev = &l->head;
}

static inline bool
vowi_list_is_empty(const struct vowi_list *l)
{
    return l->head.next == &l->head;
}

/* Adds at the end. */
static inline void
vowi_list_push(struct vowi_list *l, struct vowi_link *link)
{
    link->next = &l->head;
    link->prev = l->head.prev;
    link->prev->next = link;
    l->head.prev = link;
}

/* Takes out of whatever list it is in. */
static inline void
vowi_list_remove(struct vowi_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = NULL;
    link->prev = NULL;
}

/* Takes the first out; NULL if there is none. */
static inline struct vowi_link *
vowi_list_pop(struct vowi_list *l)
{
    struct vowi_link *first = l->head.next;

    if (first == &l->head)
        return NULL;
    l->head.next = first->next;
    first->next->prev = &l->head;
    first->next = NULL;
    first->prev = NULL;
    return first;
}

static inline struct vowi_link *
vowi_list_first_or_head(const struct vowi_list *l)
{
    return l->head.next;
}

/*
 * Goes through a list from the first to the last; what is removed may not be link. The
 * first is read by a function of the list alone: if it is read as a member of a struct
 * around the list, gcc 12 moves the read out of a loop in which the first is removed.
 */
#define vowi_list_each(link, l)                                                          \
    for (struct vowi_link *link = vowi_list_first_or_head(l); link != &(l)->head;        \
         link = link->next)

#endif
