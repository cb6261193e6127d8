/* SPDX-License-Identifier: MIT */
/*
 * executors/pool_fork.c - a pool in a forked child: without threads, until it is revived.
 *
 * A task that forks goes on in the child, on what was a worker. When it returns there,
 * its thread ends, and the process with it if it is the only one.
 */
#include <string.h>

#include "pool_internal.h"

const vow_task vowi_pool_left_behind;

/* There is one thread, hence relaxed, here and below. */
void
vowi_pool_forked(vow_executor *self)
{
    struct vowi_pool *p = vowi_container_of(self, struct vowi_pool, executor);
    struct vowi_worker *w = vowi_pool_worker(p);

    (void)vowi_lock_inherit(&p->join_lock);
    (void)vowi_lock_inherit(&p->lock);
    (void)vowi_lock_inherit(&p->inject_lock);
    (void)vowi_lock_inherit(&p->level_lock);
    if (w != NULL) {
        vowi_store_relaxed(&w->stolen, &vowi_pool_left_behind);
        vowi_self()->worker = NULL;
        vowi_self()->stolen = NULL;
    }
}

/* All but the one whose task forked, which may be running still. */
static void
free_workers(struct vowi_pool *p)
{
    unsigned count = vowi_load_relaxed(&p->count);

    for (unsigned i = 0; i < count; i++) {
        struct vowi_worker *w = p->workers[i];

        if (vowi_load_relaxed(&w->stolen) != &vowi_pool_left_behind)
            vowi_worker_free(w);
    }
    vowi_store_relaxed(&p->count, 0);
}

/* As pool_prepare left it: zero, but for what was asked for. */
static void
reset(struct vowi_pool *p)
{
    vowi_store_relaxed(&p->inbox, 0);
    vowi_store_relaxed(&p->idle, 0);
    vowi_store_relaxed(&p->surplus, 0);
    vowi_store_relaxed(&p->cancelling, false);
    vowi_store_relaxed(&p->injected, NULL);
    vowi_store_relaxed(&p->levels, 0);
    memset(p->level, 0, sizeof p->level);
    p->queued = 0;
    p->posters = NULL;
    p->posters_end = &p->posters;
    p->asleep = NULL;
    p->resting = NULL;
    p->lost = 0;
    p->blocked = 0;
    p->closing = false;
    p->exiting = false;
    p->has_exited = false;
    p->joined = false;
    p->threads = p->slots - p->spares;
}

int
vowi_pool_revive(vow_executor *self)
{
    struct vowi_pool *p = vowi_container_of(self, struct vowi_pool, executor);
    int rc;

    free_workers(p);
    reset(p);
    rc = vowi_pool_start(p);
    if (rc == 0)
        vowi_pool_warn_of_fewer(p);
    return rc;
}
