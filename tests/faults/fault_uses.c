/* SPDX-License-Identifier: MIT */
/*
 * The library's own functions that hand a failure of libc on to whoever calls them:
 * memory, threads, and what threads sleep on.
 */
#include "fault_calls.h"

#include <errno.h>

#include "base/mem.h"
#include "base/sys.h"
#include "sync/lock.h"
#include "sync/park.h"

static const int memory[] = {ENOMEM};
static const int resource[] = {EAGAIN, ENOMEM};
static const int descriptor[] = {EMFILE, ENOMEM};
static const int one_of_epoll[] = {ENOMEM, ENOSPC};
static const int closed[] = {EBADF};

/* A call that returns what it makes, NULL without memory. */
#define MAKE(at, call)                                                                   \
    struct fault_use use;                                                                \
    void *made = NULL;                                                                   \
                                                                                         \
    if (fault_use_begin(&use, (at), memory, 1) == 0)                                     \
        made = (call);                                                                   \
    fault_use_end(&use);                                                                 \
    return made

/* A call that returns 0 or an errno value. */
#define TRY(at, call) TRY_CODES(at, resource, call)

#define TRY_CODES(at, codes, call)                                                       \
    struct fault_use use;                                                                \
    int rc = fault_use_begin(&use, (at), codes, sizeof codes / sizeof *codes);           \
                                                                                         \
    if (rc == 0)                                                                         \
        rc = (call);                                                                     \
    fault_use_end(&use);                                                                 \
    return rc

void *
fault_vowi_alloc(fault_at at, size_t size)
{
    MAKE(at, vowi_alloc(size));
}

void *
fault_vowi_alloc_on(fault_at at, struct vowi_thread *t, size_t size)
{
    MAKE(at, vowi_alloc_on(t, size));
}

void *
fault_vowi_alloc_aligned(fault_at at, size_t size, size_t align)
{
    MAKE(at, vowi_alloc_aligned(size, align));
}

int
fault_vowi_sys_thread_create(fault_at at, pthread_t *thread, size_t stack,
                             void *(*run)(void *), void *arg)
{
    TRY(at, vowi_sys_thread_create(thread, stack, run, arg));
}

int
fault_vowi_sys_mutex_init(fault_at at, pthread_mutex_t *mutex)
{
    TRY(at, vowi_sys_mutex_init(mutex));
}

int
fault_vowi_sys_cond_init(fault_at at, pthread_cond_t *cond)
{
    TRY(at, vowi_sys_cond_init(cond));
}

int
fault_vowi_sys_epoll_create(fault_at at, int *fd)
{
    TRY_CODES(at, descriptor, vowi_sys_epoll_create(fd));
}

int
fault_vowi_sys_eventfd(fault_at at, int *fd)
{
    TRY_CODES(at, descriptor, vowi_sys_eventfd(fd));
}

int
fault_vowi_sys_timerfd(fault_at at, int *fd)
{
    TRY_CODES(at, descriptor, vowi_sys_timerfd(fd));
}

int
fault_vowi_sys_signalfd(fault_at at, int *fd, const sigset_t *signals)
{
    TRY_CODES(at, descriptor, vowi_sys_signalfd(fd, signals));
}

int
fault_vowi_sys_check_fd(fault_at at, int fd)
{
    TRY_CODES(at, closed, vowi_sys_check_fd(fd));
}

int
fault_vowi_sys_epoll_ctl(fault_at at, int epoll, int what, int fd, uint32_t events,
                         uint64_t data)
{
    TRY_CODES(at, one_of_epoll, vowi_sys_epoll_ctl(epoll, what, fd, events, data));
}

int
fault_vowi_lock_init(fault_at at, struct vowi_lock *l, unsigned rank)
{
    TRY(at, vowi_lock_init(l, (enum vowi_rank)rank));
}

int
fault_vowi_parker_init(fault_at at, struct vowi_parker *p)
{
    TRY(at, vowi_parker_init(p));
}
