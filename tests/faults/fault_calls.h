/* SPDX-License-Identifier: MIT */
/**
 * @file fault_calls.h
 * The functions that fault_points.h puts in the place of others. Each is the function
 * of that name, but says first from which site it is called, and fails if it is told to.
 */
#ifndef VOW_FAULT_CALLS_H
#define VOW_FAULT_CALLS_H

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <time.h>

#include "fault.h"

/** A site as the list of them has it. */
typedef const struct fault_site *const *fault_at;

/** What the library calls in the place of a use of its own: more calls are inside. */
struct fault_use {
    fault_at at;
    struct fault_use *outer;
};

/** Says that a use begins; returns whether it is to fail, and then with which code. */
int fault_use_begin(struct fault_use *use, fault_at at, const int *codes, unsigned count);
void fault_use_end(struct fault_use *use);

/** Returns which of some codes a call of a source is to fail with; 0: it is not. */
int fault_source(fault_at at, const int *codes, unsigned count);

/* Codes that are no errno value. */
enum {
    FAULT_EMPTY = -1,   /* there is nothing to read */
    FAULT_SPURIOUS = -2 /* it returns for no reason */
};

/* fault_libc.c */
void *fault_malloc(fault_at at, size_t size);
void *fault_mmap(fault_at at, void *where, size_t size, int protection, int flags, int fd,
                 off_t offset);
int fault_mprotect(fault_at at, void *where, size_t size, int protection);
int fault_posix_memalign(fault_at at, void **out, size_t align, size_t size);
void fault_free(void *p);
int fault_pthread_attr_init(fault_at at, pthread_attr_t *attr);
int fault_pthread_attr_setstacksize(fault_at at, pthread_attr_t *attr, size_t size);
int fault_pthread_create(fault_at at, pthread_t *thread, const pthread_attr_t *attr,
                         void *(*run)(void *), void *arg);
int fault_pthread_mutex_init(fault_at at, pthread_mutex_t *mutex,
                             const pthread_mutexattr_t *attr);
int fault_pthread_condattr_init(fault_at at, pthread_condattr_t *attr);
int fault_pthread_condattr_setclock(fault_at at, pthread_condattr_t *attr,
                                    clockid_t clock);
int fault_pthread_cond_init(fault_at at, pthread_cond_t *cond,
                            const pthread_condattr_t *attr);
int fault_pthread_cond_wait(fault_at at, pthread_cond_t *cond, pthread_mutex_t *mutex);
int fault_pthread_cond_timedwait(fault_at at, pthread_cond_t *cond,
                                 pthread_mutex_t *mutex, const struct timespec *until);
int fault_pthread_key_create(fault_at at, pthread_key_t *key, void (*destroy)(void *));
int fault_pthread_atfork(fault_at at, void (*prepare)(void), void (*parent)(void),
                         void (*child)(void));
int fault_pthread_setspecific(fault_at at, pthread_key_t key, const void *value);
int fault_pthread_setname_np(fault_at at, pthread_t thread, const char *name);
int fault_clock_gettime(fault_at at, clockid_t clock, struct timespec *t);
int fault_sched_getaffinity(fault_at at, pid_t pid, size_t size, cpu_set_t *set);
int fault_sched_setaffinity(fault_at at, pid_t pid, size_t size, const cpu_set_t *set);
long fault_sysconf(fault_at at, int name);
int fault_open(fault_at at, const char *path, int flags);
ssize_t fault_read(fault_at at, int fd, void *buffer, size_t size);
int fault_epoll_create1(fault_at at, int flags);
int fault_eventfd(fault_at at, unsigned count, int flags);
int fault_timerfd_create(fault_at at, clockid_t clock, int flags);
int fault_signalfd(fault_at at, int fd, const sigset_t *set, int flags);
int fault_fcntl(fault_at at, int fd, int what);
int fault_epoll_ctl(fault_at at, int epoll, int what, int fd, struct epoll_event *event);
int fault_epoll_wait(fault_at at, int epoll, struct epoll_event *events, int most,
                     int timeout);
int fault_epoll_pwait2(fault_at at, int epoll, struct epoll_event *events, int most,
                       const struct timespec *timeout, const sigset_t *mask);
int fault_timerfd_settime(fault_at at, int fd, int flags, const struct itimerspec *to,
                          struct itimerspec *old);
int fault_dladdr(fault_at at, const void *address, Dl_info *info);
int fault_snprintf(fault_at at, char *text, size_t size, const char *format, ...)
    __attribute__((__format__(__printf__, 4, 5)));
int fault_vsnprintf(fault_at at, char *text, size_t size, const char *format,
                    va_list args) __attribute__((__format__(__printf__, 4, 0)));

/* fault_uses.c */
struct vowi_thread;
struct vowi_lock;
struct vowi_parker;
void *fault_vowi_alloc(fault_at at, size_t size);
void *fault_vowi_alloc_on(fault_at at, struct vowi_thread *t, size_t size);
void *fault_vowi_alloc_aligned(fault_at at, size_t size, size_t align);
int fault_vowi_sys_thread_create(fault_at at, pthread_t *thread, size_t stack,
                                 void *(*run)(void *), void *arg);
int fault_vowi_sys_mutex_init(fault_at at, pthread_mutex_t *mutex);
int fault_vowi_sys_cond_init(fault_at at, pthread_cond_t *cond);
int fault_vowi_sys_epoll_create(fault_at at, int *fd);
int fault_vowi_sys_eventfd(fault_at at, int *fd);
int fault_vowi_sys_timerfd(fault_at at, int *fd);
int fault_vowi_sys_signalfd(fault_at at, int *fd, const sigset_t *signals);
int fault_vowi_sys_check_fd(fault_at at, int fd);
int fault_vowi_sys_epoll_ctl(fault_at at, int epoll, int what, int fd, uint32_t events,
                             uint64_t data);
int fault_vowi_lock_init(fault_at at, struct vowi_lock *l, unsigned rank);
int fault_vowi_parker_init(fault_at at, struct vowi_parker *p);

#endif
