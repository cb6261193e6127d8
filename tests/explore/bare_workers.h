/* SPDX-License-Identifier: MIT */
/*
 * bare_workers.h - two workers of a pool that threads of a scenario run: so there is no
 * start and no end.
 */
#ifndef BARE_WORKERS_H
#define BARE_WORKERS_H

#include "../../executors/pool_internal.h"
#include "explore.h"

static struct vowi_worker workers[2];
static struct vowi_worker *worker_list[2] = {&workers[0], &workers[1]};

/* What core says when there is an executor: of these nobody waits for one. */
static inline bool
is_never_awaited(const vow_task *task)
{
    (void)task;
    return false;
}

/* Gives a pool so many, which are awake. */
static inline void
add_workers(struct vowi_pool *pool, unsigned n)
{
    vowi_store_relaxed(&vowi_globals.is_awaitable, is_never_awaited);
    pool->threads = pool->slots = pool->live = pool->awake = n;
    pool->workers = worker_list;
    for (unsigned i = 0; i < n; i++) {
        workers[i].pool = pool;
        workers[i].index = i;
        workers[i].random = 1;
        require(vowi_deque_init(&workers[i].deque));
    }
    vowi_store_relaxed(&pool->count, n);
}

static inline void
free_workers(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        vowi_deque_fini(&workers[i].deque);
}

#endif
