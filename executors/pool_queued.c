/* SPDX-License-Identifier: MIT */
/*
 * executors/pool_queued.c - what waits in a pool, for a dump of it.
 *
 * Only whoever has a lock takes something out of the inbox, of what was injected, and of
 * the levels: under it those stand still, but for what is added to the inbox. From a deque a
 * thief takes without a lock, so what is there may be gone as it is looked at.
 */
#include "pool_internal.h"

typedef bool each_fn(const vow_task *task, void *ctx);

static bool
tell(const vow_task *task, each_fn *each, void *ctx)
{
    while (task != NULL && each(task, ctx))
        task = task->next;
    return task == NULL;
}

static bool
tell_injected(struct vowi_pool *p, each_fn *each, void *ctx)
{
    bool more;

    vowi_lock_acquire(&p->inject_lock);
    /* relaxed: written under the lock */
    more = tell(vowi_load_relaxed(&p->injected), each, ctx) &&
           tell((vow_task *)(vowi_load_acquire(&p->inbox) & VOWI_INBOX_TASKS), each,
                ctx); /* [item] */
    vowi_lock_release(&p->inject_lock);
    return more;
}

void
vowi_pool_queued(vow_executor *self, each_fn *each, void *ctx)
{
    struct vowi_pool *p = vowi_container_of(self, struct vowi_pool, executor);
    bool more = tell_injected(p, each, ctx);

    vowi_lock_acquire(&p->level_lock);
    for (unsigned i = 0; more && i < VOWI_LEVELS; i++)
        more = tell(p->level[i].tasks.first, each, ctx);
    vowi_lock_release(&p->level_lock);
}
