/* SPDX-License-Identifier: MIT */
/*
 * executors/loop_watch.c - descriptors whose events go to a callback.
 *
 * A watch ends when it is stopped or its loop is closed, whichever is first; its
 * context is dropped then, or when its callback returns, if that runs. Its memory is
 * the user's until the stop, whatever became of the loop: so it keeps the loop's.
 *
 * While the loop runs only its own thread ends a watch: so a callback is called, and has
 * been, without the lock. While nobody runs it the lock guards all there is.
 */
#include <errno.h>
#include <pthread.h>

#include "base/mem.h"
#include "loop_internal.h"

#define WANTABLE (VOW_FD_READ | VOW_FD_WRITE | VOW_FD_PRIORITY)

struct vow_watch {
    struct vowi_fd_watch fd;
    struct vow_loop *loop; /* its executor is referenced */
    vow_watch_fn *fn;
    vow_value ctx; /* VOW_NIL once it has gone */
    bool stopped;  /* inside its callback */
};

static vow_watch *
watch_of(struct vowi_fd_watch *w)
{
    return vowi_container_of(w, vow_watch, fd);
}

static void
watch_free(vow_watch *w)
{
    vow_executor *on = vow_loop_executor(w->loop);

    vowi_free(w, sizeof *w);
    vow_executor_unref(on);
}

/* Takes the context, unless the callback still has it. */
static vow_value
take_ctx(vow_watch *w)
{
    vow_value ctx = w->ctx;

    if (w->fd.calling)
        return VOW_NIL;
    w->ctx = VOW_NIL;
    return ctx;
}

static vow_value
end_locked(struct vowi_fd_watch *fd)
{
    return take_ctx(watch_of(fd));
}

static void
unmask(vow_watch *w)
{
    vowi_lock_acquire(&w->loop->lock);
    w->fd.masked = false;
    vowi_loop_update_fd_locked(w->loop, w->fd.fd);
    vowi_lock_release(&w->loop->lock);
}

/* It ended inside its callback. */
static void
end_called(vow_watch *w)
{
    bool stopped = w->stopped;

    vow_value_drop(take_ctx(w));
    if (stopped)
        watch_free(w);
}

/* The callback has returned, or its thread exits inside it. */
static void
has_been_called(void *watch)
{
    vow_watch *w = watch;

    w->fd.calling = false;
    if (vowi_unlikely(w->fd.masked))
        unmask(w);
    if (vowi_unlikely(!w->fd.attached || w->stopped))
        end_called(w);
}

static void
fire(struct vowi_fd_watch *fd, unsigned events)
{
    vow_watch *w = watch_of(fd);

    pthread_cleanup_push(has_been_called, w);
    w->fn(w, events, w->ctx.as.ptr);
    pthread_cleanup_pop(1);
}

/* ---- what users call --------------------------------------------------------------------- */

static int
start(struct vow_loop *l, vow_watch *w)
{
    if (w->fd.events & ~(unsigned)WANTABLE)
        return EINVAL;
    if (!vowi_loop_may_own(l))
        return EPERM;
    return vowi_loop_attach(l, &w->fd);
}

static int
errno_of(int code)
{
    if (code == VOW_E_CLOSED)
        return ESHUTDOWN;
    return code == VOW_E_NOMEM ? ENOMEM : code;
}

vow_watch *
vow_watch_start(vow_loop *l, int fd, unsigned events, vow_watch_fn *fn, vow_value ctx)
{
    static const vow_watch empty;
    vow_watch *w = l != NULL ? vowi_alloc(sizeof *w) : NULL;
    int rc = VOW_E_NOMEM;

    if (w != NULL) {
        *w = empty;
        w->fd.fd = fd;
        w->fd.events = events;
        w->fd.fire = fire;
        w->fd.end_locked = end_locked;
        w->loop = l;
        w->fn = fn;
        w->ctx = ctx;
        rc = start(l, w);
    }
    if (rc == 0) {
        vow_executor_ref(vow_loop_executor(l));
        return w;
    }
    vowi_free(w, sizeof *w);
    vow_value_drop(ctx);
    errno = errno_of(rc);
    return NULL;
}

int
vow_watch_change(vow_watch *w, unsigned events)
{
    struct vow_loop *l = w->loop;
    unsigned before;
    int rc = VOW_E_CLOSED;

    if (events & ~(unsigned)WANTABLE)
        return EINVAL;
    if (!vowi_loop_may_own(l))
        return EPERM;
    vowi_lock_acquire(&l->lock);
    if (vowi_loop_is_attached(&w->fd) && vowi_loop_life(l) == VOWI_LOOP_OPEN) {
        before = w->fd.events;
        w->fd.events = events;
        rc = vowi_loop_update_fd_locked(l, w->fd.fd);
        if (rc != 0)
            w->fd.events = before;
    }
    vowi_lock_release(&l->lock);
    return rc;
}

/* A watch of the parent's: its loop, revived or not, knows nothing of it. */
static bool
is_left_behind(const vow_watch *w)
{
    return w->fd.forks != vowi_globals.forks;
}

int
vow_watch_stop(vow_watch *w)
{
    struct vow_loop *l;
    vow_value ctx;
    bool calling;

    if (w == NULL)
        return 0;
    l = w->loop;
    if (!is_left_behind(w) && !vowi_loop_may_own(l))
        return EPERM;
    vowi_lock_acquire(&l->lock);
    if (vowi_loop_is_attached(&w->fd))
        vowi_loop_detach_locked(l, &w->fd);
    ctx = take_ctx(w);
    calling = w->fd.calling;
    w->stopped = true;
    vowi_lock_release(&l->lock);
    vow_value_drop(ctx);
    if (!calling)
        watch_free(w);
    return 0;
}
