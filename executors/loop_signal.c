/* SPDX-License-Identifier: MIT */
/*
 * executors/loop_signal.c - signals as futures, through a signalfd.
 *
 * The descriptor asks for those signals that somebody waits for. One that comes while
 * nobody does stays with the kernel, since it is blocked, and is read for the next who
 * asks. So after each signal that was read, before the next is, the descriptor is told
 * which are still waited for.
 *
 * Those who waited for one that was read wait in another list, until they are told one by
 * one: so that a turn inside the callback of the first finds the others.
 *
 * Who settles a record, and what keeps it, is as in loop_ready.c.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "base/error.h"
#include "base/mem.h"
#include "loop_internal.h"
#include "sync/refs.h"

struct waiter {
    struct vowi_link link; /* in the loop's list, while waiting; guarded by its lock */
    bool waiting;          /* in the process that was forked so often: */
    unsigned forks;
    int number;
    struct vow_loop *loop; /* its executor is referenced */
    vow_promise *promise;  /* of whoever takes it off the list */
    struct vowi_refs refs; /* the promise's hook's, and the loop's */
};

static struct waiter *
waiter_of(struct vowi_link *link)
{
    return vowi_container_of(link, struct waiter, link);
}

static void
waiter_unref(void *record)
{
    struct waiter *w = record;
    vow_executor *on = vow_loop_executor(w->loop);

    if (!vowi_refs_drop(&w->refs))
        return;
    vowi_free(w, sizeof *w);
    vow_executor_unref(on);
}

static void
has_settled(void *record)
{
    struct waiter *w = record;

    vow_promise_unref(w->promise);
    waiter_unref(w);
}

static void
settle(struct waiter *w, vow_result result)
{
    pthread_cleanup_push(has_settled, w);
    vow_promise_resolve(w->promise, result);
    pthread_cleanup_pop(1);
}

/* ---- the list ------------------------------------------------------------------------- */

/* Tells the descriptor what is waited for. Returns 0 or an errno value. */
static int
update_locked(struct vow_loop *l)
{
    sigset_t set;

    sigemptyset(&set);
    vowi_list_each (link, &l->signals)
        sigaddset(&set, waiter_of(link)->number);
    return vowi_sys_signalfd(&l->signal_fd, &set);
}

void
vowi_loop_tell_signals_locked(const struct vow_loop *l, vowi_loop_each_fn *each,
                              void *ctx)
{
    bool more = true;

    vowi_list_each (link, &l->signals) {
        const struct waiter *w = waiter_of(link);

        more = more && each("signal", w->number, w->promise, ctx);
    }
}

static void
take_off_locked(struct waiter *w)
{
    vowi_list_remove(&w->link);
    w->waiting = false;
}

/* The first of a list, which is taken off it; NULL: there is none. */
static struct waiter *
take_first_locked(const struct vowi_list *list)
{
    struct waiter *w = NULL;

    if (!vowi_list_is_empty(list)) {
        w = waiter_of(list->head.next);
        take_off_locked(w);
    }
    return w;
}

static void
is_asked_to_stop(vow_promise *p, const vow_error *reason, void *ctx)
{
    struct waiter *w = ctx;
    struct vow_loop *l = w->loop;
    bool waiting;

    (void)p;
    vowi_lock_acquire(&l->lock);
    waiting = w->waiting;
    if (waiting && w->forks == vowi_globals.forks) {
        take_off_locked(w);
        update_locked(l); /* if that fails, one signal may be read for nobody */
    }
    w->waiting = false;
    vowi_lock_release(&l->lock);
    if (waiting)
        settle(w, vow_err(vow_error_ref(reason)));
}

/* ---- signals that came ------------------------------------------------------------------ */

static struct waiter *
first_for_locked(const struct vow_loop *l, int number)
{
    vowi_list_each (link, &l->signals)
        if (waiter_of(link)->number == number)
            return waiter_of(link);
    return NULL;
}

/* Reads one signal: then all who waited for it are to be told. */
static void
read_signal_locked(struct vow_loop *l)
{
    struct waiter *w;
    int number;

    if (vowi_list_is_empty(&l->signals) ||
        vowi_sys_read_signal(l->signal_fd, &number) != 0)
        return;
    while ((w = first_for_locked(l, number)) != NULL) {
        vowi_list_remove(&w->link);
        vowi_list_push(&l->signalled, &w->link);
    }
    update_locked(l);
}

/* The next to be told, taken off; NULL: there is none, and no signal. */
static struct waiter *
next_signalled(struct vow_loop *l)
{
    struct waiter *w;

    vowi_lock_acquire(&l->lock);
    if (vowi_list_is_empty(&l->signalled))
        read_signal_locked(l);
    w = take_first_locked(&l->signalled);
    vowi_lock_release(&l->lock);
    return w;
}

void
vowi_loop_dispatch_signals(struct vow_loop *l)
{
    struct waiter *w;

    l->dispatches_signal = true;
    while ((w = next_signalled(l)) != NULL) {
        settle(w, vow_ok(vow_i64(w->number)));
        vowi_loop_count(&l->fired_events);
        l->ran = true;
        vowi_loop_after_callback(l);
    }
    l->dispatches_signal = false;
}

void
vowi_loop_close_signals(struct vow_loop *l)
{
    struct waiter *w;

    do {
        vowi_lock_acquire(&l->lock);
        w = take_first_locked(&l->signalled);
        if (w == NULL)
            w = take_first_locked(&l->signals);
        if (w == NULL && l->signal_fd >= 0)
            update_locked(l); /* nobody reads what it says, so it is to say nothing */
        vowi_lock_release(&l->lock);
        if (w != NULL)
            settle(w, vow_err(vowi_error_of_end(VOWI_END_OF_WATCH)));
    } while (w != NULL);
}

/* ---- making ----------------------------------------------------------------------------- */

static struct waiter *
waiter_new(struct vow_loop *l, int number, const void *site)
{
    static const struct waiter empty;
    struct waiter *w = vowi_alloc(sizeof *w);

    if (w == NULL)
        return NULL;
    *w = empty;
    w->number = number;
    w->loop = l;
    w->promise = vow_promise_new_with(
        &VOW_PROMISE_OPTIONS(.flags = VOW_STOP_WHEN_UNWANTED, .site = site));
    vowi_refs_init(&w->refs);
    vowi_refs_take(&w->refs);
    vow_executor_ref(vow_loop_executor(l));
    if (vow_promise_on_cancel(w->promise, NULL, is_asked_to_stop,
                              vow_own(w, waiter_unref)) != NULL)
        return w;
    vow_promise_abandon(w->promise); /* without memory, the hook's is gone already */
    waiter_unref(w);
    return NULL;
}

static int
block(int number)
{
    sigset_t set;

    sigemptyset(&set);
    if (number == SIGKILL || number == SIGSTOP || sigaddset(&set, number) != 0)
        return EINVAL;
    return pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int
watch_descriptor_locked(struct vow_loop *l, bool is_new)
{
    int rc;

    if (!is_new)
        return 0;
    rc = vowi_sys_epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->signal_fd, EPOLLIN,
                            VOWI_LOOP_SIGNAL);
    if (rc != 0) {
        vowi_sys_close(l->signal_fd);
        l->signal_fd = -1;
    }
    return rc;
}

/* Hangs a record on the list, or takes it off again and returns why. */
static int
wait_for(struct vow_loop *l, struct waiter *w)
{
    int rc = block(w->number);
    bool is_new;

    if (rc != 0)
        return rc;
    vowi_lock_acquire(&l->lock);
    if (vowi_loop_life(l) != VOWI_LOOP_OPEN) {
        rc = VOW_E_CLOSED;
    } else {
        is_new = l->signal_fd < 0;
        vowi_list_push(&l->signals, &w->link);
        w->waiting = true;
        w->forks = vowi_globals.forks;
        rc = update_locked(l);
        if (rc == 0)
            rc = watch_descriptor_locked(l, is_new);
        if (rc != 0)
            take_off_locked(w);
    }
    vowi_lock_release(&l->lock);
    return rc;
}

static vow_error *
error_of(int rc, int number)
{
    if (rc >= VOW_E_CANCELLED)
        return vow_error_of(rc);
    return vow_error_new(rc, "signal %d cannot be waited for", number);
}

vow_future *
vow_loop_signal(vow_loop *l, int number)
{
    struct waiter *w;
    vow_future *f;
    int rc;

    if (l == NULL)
        return NULL;
    if (!vowi_loop_may_own(l))
        return vow_rejected(vow_error_new(EPERM, VOWI_LOOP_NOT_OWNER));
    w = waiter_new(l, number, __builtin_return_address(0));
    if (w == NULL)
        return NULL;
    f = vow_promise_future(w->promise);
    rc = wait_for(l, w);
    if (rc != 0)
        settle(w, vow_err(error_of(rc, number)));
    return f;
}
