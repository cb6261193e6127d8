/* SPDX-License-Identifier: MIT */
/*
 * The functions of libc that the library calls, each with the ways in which it can fail
 * according to its manual. What it leaves behind when it fails is what glibc leaves.
 */
#include "fault_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Which of some codes this call fails with; 0: none, it is made. */
#define FAILS(at, ...)                                                                   \
    fault_source((at), (const int[]){__VA_ARGS__},                                       \
                 sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

/* Sets errno to a code and returns whether there is one. */
static bool
refuse(int code)
{
    if (code != 0)
        errno = code;
    return code != 0;
}

/* ---- memory ------------------------------------------------------------------------ */

static atomic_long plain_blocks;

long
fault_plain_blocks(void)
{
    return atomic_load(&plain_blocks);
}

void *
fault_malloc(fault_at at, size_t size)
{
    void *p = refuse(FAILS(at, ENOMEM)) ? NULL : malloc(size);

    if (p != NULL)
        atomic_fetch_add(&plain_blocks, 1);
    return p;
}

int
fault_posix_memalign(fault_at at, void **out, size_t align, size_t size)
{
    int rc = FAILS(at, ENOMEM);

    if (rc == 0)
        rc = posix_memalign(out, align, size);
    if (rc == 0)
        atomic_fetch_add(&plain_blocks, 1);
    return rc;
}

void
fault_free(void *p)
{
    if (p != NULL)
        atomic_fetch_sub(&plain_blocks, 1);
    free(p);
}

void *
fault_mmap(fault_at at, void *where, size_t size, int protection, int flags, int fd,
           off_t offset)
{
    if (refuse(FAILS(at, ENOMEM)))
        return MAP_FAILED;
    return mmap(where, size, protection, flags, fd, offset);
}

int
fault_mprotect(fault_at at, void *where, size_t size, int protection)
{
    return refuse(FAILS(at, ENOMEM)) ? -1 : mprotect(where, size, protection);
}

/* ---- threads ----------------------------------------------------------------------- */

int
fault_pthread_attr_init(fault_at at, pthread_attr_t *attr)
{
    int rc = FAILS(at, ENOMEM);

    return rc != 0 ? rc : pthread_attr_init(attr);
}

int
fault_pthread_attr_setstacksize(fault_at at, pthread_attr_t *attr, size_t size)
{
    int rc = FAILS(at, EINVAL);

    return rc != 0 ? rc : pthread_attr_setstacksize(attr, size);
}

int
fault_pthread_create(fault_at at, pthread_t *thread, const pthread_attr_t *attr,
                     void *(*run)(void *), void *arg)
{
    int rc = FAILS(at, EAGAIN, ENOMEM);

    return rc != 0 ? rc : pthread_create(thread, attr, run, arg);
}

int
fault_pthread_mutex_init(fault_at at, pthread_mutex_t *mutex,
                         const pthread_mutexattr_t *attr)
{
    int rc = FAILS(at, EAGAIN, ENOMEM);

    return rc != 0 ? rc : pthread_mutex_init(mutex, attr);
}

int
fault_pthread_condattr_init(fault_at at, pthread_condattr_t *attr)
{
    int rc = FAILS(at, ENOMEM);

    return rc != 0 ? rc : pthread_condattr_init(attr);
}

int
fault_pthread_condattr_setclock(fault_at at, pthread_condattr_t *attr, clockid_t clock)
{
    int rc = FAILS(at, EINVAL);

    return rc != 0 ? rc : pthread_condattr_setclock(attr, clock);
}

int
fault_pthread_cond_init(fault_at at, pthread_cond_t *cond, const pthread_condattr_t *attr)
{
    int rc = FAILS(at, EAGAIN, ENOMEM);

    return rc != 0 ? rc : pthread_cond_init(cond, attr);
}

/* As if it slept and woke for nothing: others had the mutex in between. */
static void
sleep_a_moment(pthread_mutex_t *mutex)
{
    pthread_mutex_unlock(mutex);
    sched_yield();
    pthread_mutex_lock(mutex);
}

int
fault_pthread_cond_wait(fault_at at, pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    if (FAILS(at, FAULT_SPURIOUS) == 0)
        return pthread_cond_wait(cond, mutex);
    sleep_a_moment(mutex);
    return 0;
}

static bool
is_over(const struct timespec *until)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > until->tv_sec ||
           (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec);
}

/* For no reason it returns before the time is over, and it may find it over too soon. */
int
fault_pthread_cond_timedwait(fault_at at, pthread_cond_t *cond, pthread_mutex_t *mutex,
                             const struct timespec *until)
{
    int rc = FAILS(at, FAULT_SPURIOUS, ETIMEDOUT);

    if (rc == 0 || is_over(until))
        return pthread_cond_timedwait(cond, mutex, until);
    sleep_a_moment(mutex);
    return rc == FAULT_SPURIOUS ? 0 : rc;
}

int
fault_pthread_key_create(fault_at at, pthread_key_t *key, void (*destroy)(void *))
{
    int rc = FAILS(at, EAGAIN, ENOMEM);

    return rc != 0 ? rc : pthread_key_create(key, destroy);
}

int
fault_pthread_atfork(fault_at at, void (*prepare)(void), void (*parent)(void),
                     void (*child)(void))
{
    int rc = FAILS(at, ENOMEM);

    return rc != 0 ? rc : pthread_atfork(prepare, parent, child);
}

int
fault_pthread_setspecific(fault_at at, pthread_key_t key, const void *value)
{
    int rc = FAILS(at, ENOMEM);

    return rc != 0 ? rc : pthread_setspecific(key, value);
}

int
fault_pthread_setname_np(fault_at at, pthread_t thread, const char *name)
{
    int rc = FAILS(at, ENOENT);

    return rc != 0 ? rc : pthread_setname_np(thread, name);
}

/* ---- the system -------------------------------------------------------------------- */

int
fault_clock_gettime(fault_at at, clockid_t clock, struct timespec *t)
{
    return refuse(FAILS(at, ENOTSUP)) ? -1 : clock_gettime(clock, t);
}

int
fault_sched_getaffinity(fault_at at, pid_t pid, size_t size, cpu_set_t *set)
{
    return refuse(FAILS(at, EINVAL)) ? -1 : sched_getaffinity(pid, size, set);
}

int
fault_sched_setaffinity(fault_at at, pid_t pid, size_t size, const cpu_set_t *set)
{
    return refuse(FAILS(at, EINVAL, EPERM)) ? -1 : sched_setaffinity(pid, size, set);
}

long
fault_sysconf(fault_at at, int name)
{
    return refuse(FAILS(at, EINVAL)) ? -1 : sysconf(name);
}

int
fault_open(fault_at at, const char *path, int flags)
{
    return refuse(FAILS(at, EMFILE, EINTR, EACCES)) ? -1 : open(path, flags);
}

ssize_t
fault_read(fault_at at, int fd, void *buffer, size_t size)
{
    int code = FAILS(at, EIO, EINTR, FAULT_EMPTY);

    if (code == FAULT_EMPTY)
        return 0;
    return refuse(code) ? -1 : read(fd, buffer, size);
}

int
fault_epoll_create1(fault_at at, int flags)
{
    return refuse(FAILS(at, EMFILE, ENOMEM)) ? -1 : epoll_create1(flags);
}

int
fault_eventfd(fault_at at, unsigned count, int flags)
{
    return refuse(FAILS(at, EMFILE, ENOMEM)) ? -1 : eventfd(count, flags);
}

int
fault_timerfd_create(fault_at at, clockid_t clock, int flags)
{
    return refuse(FAILS(at, EMFILE, ENOMEM)) ? -1 : timerfd_create(clock, flags);
}

int
fault_signalfd(fault_at at, int fd, const sigset_t *set, int flags)
{
    return refuse(FAILS(at, EMFILE, ENOMEM)) ? -1 : signalfd(fd, set, flags);
}

int
fault_fcntl(fault_at at, int fd, int what)
{
    return refuse(FAILS(at, EBADF)) ? -1 : fcntl(fd, what);
}

int
fault_epoll_ctl(fault_at at, int epoll, int what, int fd, struct epoll_event *event)
{
    return refuse(FAILS(at, ENOMEM, ENOSPC)) ? -1 : epoll_ctl(epoll, what, fd, event);
}

int
fault_epoll_wait(fault_at at, int epoll, struct epoll_event *events, int most,
                 int timeout)
{
    return refuse(FAILS(at, EINTR)) ? -1 : epoll_wait(epoll, events, most, timeout);
}

/* ENOSYS: a kernel, or a filter of system calls, that does not know it. */
int
fault_epoll_pwait2(fault_at at, int epoll, struct epoll_event *events, int most,
                   const struct timespec *timeout, const sigset_t *mask)
{
    if (refuse(FAILS(at, EINTR, ENOSYS)))
        return -1;
    return epoll_pwait2(epoll, events, most, timeout, mask);
}

int
fault_timerfd_settime(fault_at at, int fd, int flags, const struct itimerspec *to,
                      struct itimerspec *old)
{
    return refuse(FAILS(at, EINVAL)) ? -1 : timerfd_settime(fd, flags, to, old);
}

int
fault_dladdr(fault_at at, const void *address, Dl_info *info)
{
    return FAILS(at, ENOENT) != 0 ? 0 : dladdr(address, info);
}

/* ---- printing ---------------------------------------------------------------------- */

int
fault_vsnprintf(fault_at at, char *text, size_t size, const char *format, va_list args)
{
    if (!refuse(FAILS(at, EILSEQ, EOVERFLOW)))
        return vsnprintf(text, size, format, args);
    if (size != 0)
        *text = '\0';
    return -1;
}

int
fault_snprintf(fault_at at, char *text, size_t size, const char *format, ...)
{
    va_list args;
    int rc;

    va_start(args, format);
    rc = fault_vsnprintf(at, text, size, format, args);
    va_end(args);
    return rc;
}
