/* SPDX-License-Identifier: MIT */
/*
 * sync/kept.c - taking all of them at a fork.
 *
 * They are taken in the order in which everybody takes them who takes several: by rank, and
 * of one rank by address. The list is sorted when that is needed. It has a lock of
 * its own, which is taken before any other, and under which none is taken but by a fork.
 */
#include "sync/kept.h"

#include <stdint.h>

#include "base/fork.h"
#include "base/thread.h"

/* guarded by VOWI_GLOBAL_KEPT */
static struct {
    struct vowi_list list;
} kept = {{{&kept.list.head, &kept.list.head}}};

static struct vowi_lock *
lock_of(struct vowi_link *link)
{
    return vowi_container_of(link, struct vowi_kept, link)->lock;
}

/* ---- sorting: of the links only `next` counts, and the last one's is NULL ------------------- */

static bool
comes_first(struct vowi_link *a, struct vowi_link *b)
{
    const struct vowi_lock *x = lock_of(a), *y = lock_of(b);

    return x->rank != y->rank ? x->rank < y->rank : (uintptr_t)x < (uintptr_t)y;
}

static struct vowi_link *
merge(struct vowi_link *a, struct vowi_link *b)
{
    struct vowi_link head = {NULL, NULL};
    struct vowi_link *end = &head;

    while (a != NULL && b != NULL) {
        struct vowi_link **first = comes_first(a, b) ? &a : &b;

        end->next = *first;
        end = end->next;
        *first = end->next;
    }
    end->next = a != NULL ? a : b;
    return head.next;
}

static struct vowi_link *
sorted(struct vowi_link *first)
{
    struct vowi_link *middle = first;
    struct vowi_link *second;

    if (first->next == NULL)
        return first;
    for (struct vowi_link *l = first->next; l != NULL && l->next != NULL;
         l = l->next->next)
        middle = middle->next;
    second = middle->next;
    middle->next = NULL;
    return merge(sorted(first), sorted(second));
}

static void
sort_list(void)
{
    struct vowi_link *first = kept.list.head.next;

    if (vowi_list_is_empty(&kept.list))
        return;
    kept.list.head.prev->next = NULL;
    first = sorted(first);
    vowi_list_init(&kept.list);
    while (first != NULL) {
        struct vowi_link *next = first->next;

        vowi_list_push(&kept.list, first);
        first = next;
    }
}

/* ---- the fork ------------------------------------------------------------------------------ */

/* By base/fork.c, under the list's lock. */
static void
at_fork(bool before)
{
    if (before)
        sort_list();
    vowi_list_each (link, &kept.list)
        if (before)
            pthread_mutex_lock(&lock_of(link)->mutex);
        else
            pthread_mutex_unlock(&lock_of(link)->mutex);
}

int
vowi_kept_init(struct vowi_kept *k, struct vowi_lock *l, enum vowi_rank rank)
{
    int rc = vowi_lock_init_brief(l, rank);

    if (rc != 0)
        return rc;
    (void)vowi_fork_watch(); /* whoever makes the next tries again */
    k->lock = l;
    vowi_global_lock(VOWI_GLOBAL_KEPT);
    vowi_store_relaxed(&vowi_globals.kept_at_fork, at_fork); /* relaxed: under the lock */
    vowi_list_push(&kept.list, &k->link);
    vowi_global_unlock(VOWI_GLOBAL_KEPT);
    return 0;
}

void
vowi_kept_fini(struct vowi_kept *k)
{
    vowi_global_lock(VOWI_GLOBAL_KEPT);
    vowi_list_remove(&k->link);
    vowi_global_unlock(VOWI_GLOBAL_KEPT);
    vowi_lock_fini(k->lock);
}
