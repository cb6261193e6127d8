/* SPDX-License-Identifier: MIT */
/*
 * executors/loop_fd.c - which descriptors a loop watches, and for whom.
 *
 * A table by descriptor holds the list of those who watch it; the epoll is told what
 * they want together. If all of them want to know only once, it is told to report
 * once (EPOLLONESHOT): after the report the descriptor stays in the epoll, disarmed,
 * and to wait for it again takes one call. It takes none to wait no more, so a
 * descriptor may be closed as soon as nobody waits for it.
 *
 * A watch that is alone and stays is called without the lock (loop_internal.h); who else
 * watches a descriptor is told one by one, from a list.
 *
 * A closed descriptor leaves the epoll by itself, which nobody tells us: changing it
 * then fails with ENOENT, and it is added again. So the epoll is told of whoever comes,
 * also if it knows all that this one wants: those who were there may have waited for a
 * descriptor that had the number before, as one does that is cancelled and whose step
 * closed it. An event that was fetched before carries the generation of then, and is
 * ignored.
 */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "loop_internal.h"

#define FEWEST_FDS 64

static const struct {
    unsigned ours;
    uint32_t epoll;
} event_bits[] = {
    {VOW_FD_READ, EPOLLIN},   {VOW_FD_WRITE, EPOLLOUT},  {VOW_FD_PRIORITY, EPOLLPRI},
    {VOW_FD_ERROR, EPOLLERR}, {VOW_FD_HANGUP, EPOLLHUP},
};

#define EVENT_BITS (sizeof event_bits / sizeof *event_bits)

static uint32_t
to_epoll(unsigned events)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < EVENT_BITS; i++)
        if (events & event_bits[i].ours)
            bits |= event_bits[i].epoll;
    return bits;
}

static unsigned
from_epoll(uint32_t bits)
{
    unsigned events = 0;

    for (size_t i = 0; i < EVENT_BITS; i++)
        if (bits & event_bits[i].epoll)
            events |= event_bits[i].ours;
    return events;
}

/* ---- the epoll --------------------------------------------------------------------------- */

static uint64_t
data_of(const struct vow_loop *l, int fd)
{
    return (uint64_t)l->fds[fd].generation << 32 | (uint32_t)fd;
}

/* What the watches of a descriptor want; false: there is none. */
static bool
wanted(const struct vowi_fd *entry, uint32_t *want)
{
    bool any = false, once = true;

    *want = 0;
    for (const struct vowi_fd_watch *w = entry->first; w != NULL; w = w->next) {
        if (w->masked)
            continue;
        any = true;
        once = once && w->once;
        *want |= to_epoll(w->events);
    }
    if (any && once)
        *want |= EPOLLONESHOT;
    return any;
}

/* Adds or changes it, whatever the epoll knows of it. */
static int
tell_epoll(struct vow_loop *l, int fd, uint32_t want)
{
    struct vowi_fd *entry = &l->fds[fd];
    int rc = ENOENT;

    if (entry->known)
        rc = vowi_sys_epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, fd, want, data_of(l, fd));
    if (rc == ENOENT) {
        entry->generation++;
        rc = vowi_sys_epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, want, data_of(l, fd));
    }
    if (rc == EEXIST)
        rc = vowi_sys_epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, fd, want, data_of(l, fd));
    return rc;
}

/* Nobody watches it. It may be closed already, and then has left by itself. */
static int
forget_fd(struct vow_loop *l, int fd)
{
    struct vowi_fd *entry = &l->fds[fd];
    int rc = 0;

    if (entry->known && !entry->spent) {
        rc = vowi_sys_epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, 0, 0);
        entry->known = rc != 0 && rc != ENOENT && rc != EBADF;
    }
    return rc;
}

static int
tell_locked(struct vow_loop *l, int fd, uint32_t want)
{
    struct vowi_fd *entry = &l->fds[fd];
    int rc = tell_epoll(l, fd, want);

    if (rc == 0) {
        entry->known = true;
        entry->spent = false;
        entry->told = want;
    }
    return rc;
}

int
vowi_loop_update_fd_locked(struct vow_loop *l, int fd)
{
    struct vowi_fd *entry = &l->fds[fd];
    uint32_t want;

    if (!wanted(entry, &want))
        return forget_fd(l, fd);
    if (entry->known && !entry->spent && entry->told == want)
        return 0;
    return tell_locked(l, fd, want);
}

/* ---- attaching --------------------------------------------------------------------------- */

bool
vowi_loop_may_own(struct vow_loop *l)
{
    bool may;

    if (vowi_loop_is_forked(l))
        return false;
    vowi_lock_acquire(&l->lock);
    may = l->owner == NULL || l->owner == vowi_self();
    vowi_lock_release(&l->lock);
    return may;
}

/* Makes room in the table, by the owner, who alone changes it. Returns 0 or a code. */
static int
reserve(struct vow_loop *l, int fd)
{
    size_t old = l->fd_count;
    size_t count = old != 0 ? 2 * old : FEWEST_FDS;
    struct vowi_fd *fds;
    struct vowi_fd *before = l->fds;
    int rc;

    if (fd >= 0 && (size_t)fd < old)
        return 0;
    rc = vowi_sys_check_fd(fd);
    if (rc != 0)
        return rc;
    if (count <= (size_t)fd)
        count = (size_t)fd + 1;
    fds = vowi_alloc_aligned(count * sizeof *fds, 16);
    if (fds == NULL)
        return VOW_E_NOMEM;
    memset(fds + old, 0, (count - old) * sizeof *fds);
    vowi_lock_acquire(&l->lock);
    if (old != 0)
        memcpy(fds, before, old * sizeof *fds);
    l->fds = fds;
    l->fd_count = count;
    vowi_lock_release(&l->lock);
    if (before != NULL)
        vowi_free_aligned(before, old * sizeof *before);
    return 0;
}

/* relaxed: counted under the lock; without it, a hint. */
static void
count_watched(struct vow_loop *l, int by)
{
    vowi_store_relaxed(&l->watched, vowi_load_relaxed(&l->watched) + (size_t)by);
}

static void
link_locked(struct vow_loop *l, struct vowi_fd_watch *w)
{
    struct vowi_fd *entry = &l->fds[w->fd];

    w->next = NULL;
    w->prev = entry->first != NULL ? entry->last : NULL;
    if (w->prev != NULL)
        w->prev->next = w;
    else
        entry->first = w;
    entry->last = w;
    w->attached = true;
    w->forks = vowi_globals.forks;
    count_watched(l, 1);
}

static void
unlink_locked(struct vow_loop *l, struct vowi_fd_watch *w)
{
    struct vowi_fd *entry = &l->fds[w->fd];

    if (w->prev == NULL)
        entry->first = w->next;
    else
        w->prev->next = w->next;
    if (w->next == NULL)
        entry->last = w->prev;
    else
        w->next->prev = w->prev;
    w->attached = false;
    count_watched(l, -1);
    if (w->pending != 0)
        vowi_list_remove(&w->fired);
    w->pending = 0;
    if (w->taken_at != 0)
        l->taken[w->taken_at - 1] = NULL;
    w->taken_at = 0;
}

int
vowi_loop_attach(struct vow_loop *l, struct vowi_fd_watch *w)
{
    uint32_t want;
    int rc = reserve(l, w->fd);

    if (rc != 0)
        return rc;
    vowi_lock_acquire(&l->lock);
    if (vowi_loop_life(l) != VOWI_LOOP_OPEN) {
        rc = VOW_E_CLOSED;
    } else {
        link_locked(l, w);
        wanted(&l->fds[w->fd], &want);
        rc = tell_locked(l, w->fd, want);
        if (rc != 0)
            unlink_locked(l, w);
    }
    vowi_lock_release(&l->lock);
    return rc;
}

void
vowi_loop_detach_locked(struct vow_loop *l, struct vowi_fd_watch *w)
{
    unlink_locked(l, w);
    vowi_loop_update_fd_locked(l, w->fd);
}

/* ---- events ------------------------------------------------------------------------------- */

/* Notes an event for each watch that wants it. */
static void
note_locked(struct vow_loop *l, struct vowi_fd *entry, unsigned events)
{
    for (struct vowi_fd_watch *w = entry->first; w != NULL; w = w->next) {
        unsigned its = events & (w->events | VOW_FD_ERROR | VOW_FD_HANGUP);

        if (its == 0)
            continue;
        if (w->calling) {
            w->masked = true; /* it would be reported again and again */
            continue;
        }
        if (w->pending == 0)
            vowi_list_push(&l->fired, &w->fired);
        w->pending |= its;
    }
}

/* Makes the caller the one who calls it; one that is for once is detached by that. */
static struct vowi_fd_watch *
take_fired_locked(struct vow_loop *l, unsigned *events)
{
    struct vowi_link *link = vowi_list_pop(&l->fired);
    struct vowi_fd_watch *w;

    if (link == NULL)
        return NULL;
    w = vowi_container_of(link, struct vowi_fd_watch, fired);
    *events = w->pending;
    w->pending = 0;
    w->calling = true;
    if (w->once)
        unlink_locked(l, w);
    return w;
}

static struct vowi_fd_watch *
take_fired(struct vow_loop *l, unsigned *events)
{
    struct vowi_fd_watch *w;

    vowi_lock_acquire(&l->lock);
    w = take_fired_locked(l, events);
    vowi_lock_release(&l->lock);
    return w;
}

static void
call(struct vow_loop *l, struct vowi_fd_watch *w, unsigned events)
{
    w->fire(w, events);
    vowi_loop_count(&l->fired_events);
    l->ran = true;
    vowi_loop_after_callback(l);
}

void
vowi_loop_finish_fd(struct vow_loop *l)
{
    struct vowi_fd_watch *w;
    unsigned its = 0;

    while ((w = take_fired(l, &its)) != NULL)
        call(l, w, its);
    if (l->dispatched_fd < 0)
        return; /* an inner turn has told it */
    vowi_lock_acquire(&l->lock);
    vowi_loop_update_fd_locked(l, l->dispatched_fd);
    vowi_lock_release(&l->lock);
    l->dispatched_fd = -1;
}

void
vowi_loop_dispatch_fd(struct vow_loop *l, uint64_t data, uint32_t events)
{
    int fd = (int)(uint32_t)data;
    struct vowi_fd *entry = &l->fds[fd];

    vowi_lock_acquire(&l->lock);
    if (entry->generation == data >> 32) {
        entry->spent = (entry->told & EPOLLONESHOT) != 0;
        note_locked(l, entry, from_epoll(events));
    }
    vowi_lock_release(&l->lock);
    l->dispatched_fd = fd;
    vowi_loop_finish_fd(l);
}

/* The one that watches a descriptor, if it is alone, stays, and can be called now: then the
 * epoll need not be told anything, for whatever its callback changes tells it. */
static struct vowi_fd_watch *
only_watch_locked(const struct vow_loop *l, uint64_t data)
{
    const struct vowi_fd *entry = &l->fds[(uint32_t)data];
    struct vowi_fd_watch *w = entry->first;

    if (w == NULL || w != entry->last || entry->generation != data >> 32)
        return NULL;
    return w->once || w->calling ? NULL : w;
}

void
vowi_loop_take_watches(struct vow_loop *l)
{
    uint64_t data;
    struct vowi_fd_watch *w;

    vowi_lock_acquire(&l->lock);
    for (unsigned i = 0; i < l->event_count; i++) {
        data = l->events[i].data.u64;
        w = data < VOWI_LOOP_SIGNAL ? only_watch_locked(l, data) : NULL;
        l->taken[i] = w;
        if (w != NULL)
            w->taken_at = i + 1;
    }
    vowi_lock_release(&l->lock);
}

/* What it wants is the owner's to change. Of a close it is told when it returns. */
void
vowi_loop_dispatch_watch(struct vow_loop *l, struct vowi_fd_watch *w, uint32_t events)
{
    unsigned its = from_epoll(events) & (w->events | VOW_FD_ERROR | VOW_FD_HANGUP);

    w->taken_at = 0;
    if (its == 0 || vowi_loop_life(l) != VOWI_LOOP_OPEN)
        return;
    w->calling = true;
    call(l, w, its);
}

/* ---- the end ------------------------------------------------------------------------------- */

/* Those of callbacks are the runner's while one is in. */
static bool
is_mine_locked(const struct vow_loop *l, const struct vowi_fd_watch *w)
{
    return w->once || l->entered == 0 || vowi_loop_is_runner(l);
}

static struct vowi_fd_watch *
any_watch_locked(const struct vow_loop *l, size_t *from)
{
    struct vowi_fd_watch *w;

    for (; *from < l->fd_count; ++*from) {
        w = l->fds[*from].first;
        while (w != NULL && !is_mine_locked(l, w))
            w = w->next;
        if (w != NULL)
            return w;
    }
    return NULL;
}

void
vowi_loop_close_fds(struct vow_loop *l)
{
    struct vowi_fd_watch *w;
    size_t from = 0;

    do {
        vow_value drop = VOW_NIL;

        vowi_lock_acquire(&l->lock);
        w = any_watch_locked(l, &from);
        if (w != NULL) {
            vowi_loop_detach_locked(l, w);
            drop = w->end_locked(w);
        }
        vowi_lock_release(&l->lock);
        vow_value_drop(drop);
    } while (w != NULL);
}

void
vowi_loop_free_fds(struct vow_loop *l)
{
    if (l->fds != NULL)
        vowi_free_aligned(l->fds, l->fd_count * sizeof *l->fds);
}
