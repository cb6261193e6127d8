/* SPDX-License-Identifier: MIT */
/*
 * executors/loop_ready.c - a descriptor's readiness as a future.
 *
 * Whoever takes the record off the loop settles it: the runner with an event, a close,
 * or the promise's hook if it was asked to stop, from any thread. Two references keep
 * the record: that of the loop, and that of the hook's context. The record keeps the
 * loop's memory, for the hook.
 */
#include <errno.h>
#include <pthread.h>

#include "base/error.h"
#include "base/mem.h"
#include "loop_internal.h"
#include "sync/refs.h"

#define WANTABLE (VOW_FD_READ | VOW_FD_WRITE | VOW_FD_PRIORITY)

struct ready {
    struct vowi_fd_watch fd;
    struct vow_loop *loop; /* its executor is referenced */
    vow_promise *promise;  /* of whoever takes it off */
    struct vowi_refs refs; /* the promise's hook's, and the loop's */
};

static struct ready *
ready_of(struct vowi_fd_watch *w)
{
    return vowi_container_of(w, struct ready, fd);
}

static void
ready_unref(void *record)
{
    struct ready *r = record;
    vow_executor *on = vow_loop_executor(r->loop);

    if (!vowi_refs_drop(&r->refs))
        return;
    vowi_free(r, sizeof *r);
    vow_executor_unref(on);
}

const vow_promise *
vowi_loop_promise_of(const struct vowi_fd_watch *w)
{
    return ready_of(vow_ptr(w).as.ptr)->promise;
}

/* It has settled, or its thread exits in a step: gives up what the loop had of it. */
static void
has_settled(void *record)
{
    struct ready *r = record;

    vow_promise_unref(r->promise);
    ready_unref(r);
}

/* It has been taken off. */
static void
settle(struct ready *r, vow_result result)
{
    pthread_cleanup_push(has_settled, r);
    vow_promise_resolve(r->promise, result);
    pthread_cleanup_pop(1);
}

static void
fire(struct vowi_fd_watch *w, unsigned events)
{
    settle(ready_of(w), vow_ok(vow_i64((int64_t)events)));
}

static void
settle_closed(void *record)
{
    settle(record, vow_err(vowi_error_of_end(VOWI_END_OF_WATCH)));
}

static vow_value
end_locked(struct vowi_fd_watch *w)
{
    return vow_own(ready_of(w), settle_closed);
}

static void
is_asked_to_stop(vow_promise *p, const vow_error *reason, void *ctx)
{
    struct ready *r = ctx;
    struct vow_loop *l = r->loop;
    bool attached;

    (void)p;
    vowi_lock_acquire(&l->lock);
    attached = r->fd.attached;
    if (vowi_loop_is_attached(&r->fd))
        vowi_loop_detach_locked(l, &r->fd);
    r->fd.attached = false;
    vowi_lock_release(&l->lock);
    if (attached)
        settle(r, vow_err(vow_error_ref(reason)));
}

/* ---- making --------------------------------------------------------------------------- */

static vow_promise *
new_promise(const void *site)
{
    return vow_promise_new_with(
        &VOW_PROMISE_OPTIONS(.flags = VOW_STOP_WHEN_UNWANTED, .site = site));
}

/* With both references; NULL without memory. */
static struct ready *
ready_new(struct vow_loop *l, int fd, unsigned events, const void *site)
{
    static const struct ready empty;
    struct ready *r = vowi_alloc(sizeof *r);

    if (r == NULL)
        return NULL;
    *r = empty;
    r->fd.fd = fd;
    r->fd.events = events;
    r->fd.once = true;
    r->fd.fire = fire;
    r->fd.end_locked = end_locked;
    r->loop = l;
    r->promise = new_promise(site);
    vowi_refs_init(&r->refs);
    vowi_refs_take(&r->refs);
    vow_executor_ref(vow_loop_executor(l));
    if (vow_promise_on_cancel(r->promise, NULL, is_asked_to_stop,
                              vow_own(r, ready_unref)) != NULL)
        return r;
    vow_promise_abandon(r->promise); /* without memory, the hook's is gone already */
    ready_unref(r);
    return NULL;
}

static vow_error *
error_of(int rc, int fd)
{
    if (rc == EPERM)
        return vow_error_new(EPERM,
                             "descriptor %d is of a file that is always ready: read and "
                             "write it on a pool",
                             fd);
    if (rc >= VOW_E_CANCELLED)
        return vow_error_of(rc);
    return vow_error_new(rc, "descriptor %d cannot be watched", fd);
}

vow_future *
vow_loop_ready(vow_loop *l, int fd, unsigned events)
{
    struct ready *r;
    vow_future *f;
    int rc;

    if (l == NULL)
        return NULL;
    if ((events & WANTABLE) == 0 || (events & ~(unsigned)WANTABLE) != 0)
        return vow_rejected(vow_error_of(VOW_E_INVALID));
    if (!vowi_loop_may_own(l))
        return vow_rejected(vow_error_new(EPERM, VOWI_LOOP_NOT_OWNER));
    r = ready_new(l, fd, events, __builtin_return_address(0));
    if (r == NULL)
        return NULL;
    f = vow_promise_future(r->promise);
    rc = vowi_loop_attach(l, &r->fd);
    if (rc != 0)
        settle(r, vow_err(error_of(rc, fd)));
    return f;
}
