/* SPDX-License-Identifier: MIT */
/*
 * executors/loop_fork.c - a loop in a forked child: empty, until it is revived.
 *
 * An epoll instance, and what an eventfd or a signalfd is told, is one object of the kernel
 * that both processes see. So the child touches none of it: it closes its copies of the
 * descriptors, from which the parent notices nothing, and opens new ones when the loop
 * is revived.
 *
 * What was queued, armed, watched, requested or waited for is the parent's. Nothing of that
 * happens here, neither as if it had come nor as if it had failed: it would be done twice.
 *
 * A callback that forks goes on in the child, in the middle of a turn. The turn finds
 * nothing more to do, and whoever runs the loop is told; or, if the callback has revived
 * the loop, runs it on.
 */
#include <string.h>

#include "loop_internal.h"

/*
 * The descriptors' table is its owner's: if that is not this thread, another may have been
 * in the middle of a change, and it is forgotten.
 */
static void
forget_fds(struct vow_loop *l, bool mine)
{
    if (mine && l->fds != NULL) {
        memset(l->fds, 0, l->fd_count * sizeof *l->fds);
    } else {
        l->fds = NULL;
        l->fd_count = 0;
    }
    vowi_store_relaxed(&l->watched, 0);
}

/* There is one thread, hence relaxed. */
void
vowi_loop_forked(vow_executor *self)
{
    struct vow_loop *l = vowi_loop_of(self);
    bool inside = vowi_loop_is_runner(l);

    (void)vowi_lock_inherit(&l->lock);
    forget_fds(l, l->owner == vowi_self());
    vowi_loop_close_descriptors(l);
    vowi_loop_empty(l);
    vowi_wheel_renew(&l->timers, 0); /* its clock may not be there yet */
    if (!inside) {
        vowi_store_relaxed(&l->runner, NULL);
        l->owner = NULL;
        l->awaited = NULL;
        l->entered = 0;
    }
    l->busy = 0;
    vowi_store_relaxed(&l->head, NULL);
    vowi_store_relaxed(&l->tail, NULL);
    vowi_store_relaxed(&l->woken, 0);
    vowi_store_relaxed(&l->stopping, false);
}

int
vowi_loop_revive(vow_executor *self)
{
    struct vow_loop *l = vowi_loop_of(self);
    int rc = vowi_loop_open_descriptors(l);

    if (rc != 0) {
        vowi_loop_close_descriptors(l);
        return rc;
    }
    vowi_wheel_renew(&l->timers, vowi_loop_now(l));
    l->poll_error = 0;
    if (vowi_loop_is_runner(l))
        vow_executor_enter(self); /* the callback that has forked is its own again */
    else
        vowi_loop_fall_asleep(l);
    return 0;
}
