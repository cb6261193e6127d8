/* SPDX-License-Identifier: MIT */
/* executors/loop_waiting.c - what waits at a loop, for a dump of it. */
#include "loop_internal.h"

_Static_assert((VOW_FD_READ | VOW_FD_WRITE | VOW_FD_PRIORITY) == 7, "a place for each");

static const char *const wanted[8] = {
    [0] = "the end of descriptor",
    [VOW_FD_READ] = "input from descriptor",
    [VOW_FD_WRITE] = "room in descriptor",
    [VOW_FD_READ | VOW_FD_WRITE] = "input from, or room in, descriptor",
    [VOW_FD_PRIORITY] = "urgent input from descriptor",
    [VOW_FD_PRIORITY | VOW_FD_READ] = "input, urgent or not, from descriptor",
    [VOW_FD_PRIORITY | VOW_FD_WRITE] = "urgent input from, or room in, descriptor",
    [VOW_FD_PRIORITY | VOW_FD_READ | VOW_FD_WRITE] = "anything of descriptor",
};

static bool
tell_watch(const struct vowi_fd_watch *w, vowi_loop_each_fn *each, void *ctx)
{
    return each(wanted[w->events], w->fd, w->once ? vowi_loop_promise_of(w) : NULL, ctx);
}

static bool
tell_watches_locked(const struct vow_loop *l, vowi_loop_each_fn *each, void *ctx)
{
    bool more = true;

    for (size_t fd = 0; more && fd < l->fd_count; fd++)
        for (const struct vowi_fd_watch *w = l->fds[fd].first; more && w != NULL;
             w = w->next)
            more = tell_watch(w, each, ctx);
    return more;
}

void
vowi_loop_waiting(vow_executor *self, vowi_loop_each_fn *each, void *ctx)
{
    struct vow_loop *l = vowi_loop_of(self);

    vowi_lock_acquire(&l->lock);
    if (tell_watches_locked(l, each, ctx))
        vowi_loop_tell_signals_locked(l, each, ctx);
    vowi_lock_release(&l->lock);
}
