/* SPDX-License-Identifier: MIT */
/*
 * fault_points.h - forced into each source of the library that is to fail (-include).
 *
 * First all headers that declare what is replaced, then the macros that replace it,
 * function by function: the sources stay as they are. Two sorts of call are replaced:
 * those of libc, and those of the library's own functions that hand a failure of libc
 * on, so that a site is known by who wanted the memory and not by malloc's only call.
 * A source cannot have a function replaced that it defines: FAULT_DEFINES_... says so.
 */
#ifndef VOW_FAULT_POINTS_H
#define VOW_FAULT_POINTS_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"
#include "fault_calls.h"

#define FAULT_HERE(name)                                                                 \
    __extension__({                                                                      \
        static const struct fault_site here_ = {__FILE__, __LINE__, name};               \
        static const struct fault_site *const listed_                                    \
            __attribute__((__section__("fault_sites"), __used__)) = &here_;              \
        &listed_;                                                                        \
    })

#define malloc(size) fault_malloc(FAULT_HERE("malloc"), size)
#define posix_memalign(out, align, size)                                                 \
    fault_posix_memalign(FAULT_HERE("posix_memalign"), out, align, size)

/* The function of one argument; a member of the same name, called with three, stays. */
#define FAULT_FOURTH(a, b, c, d, ...) d
#define free(...)                     FAULT_FOURTH(__VA_ARGS__, free, free, fault_free, )(__VA_ARGS__)

#define mmap(at, size, protection, flags, fd, offset)                                    \
    fault_mmap(FAULT_HERE("mmap"), at, size, protection, flags, fd, offset)
#define mprotect(at, size, protection)                                                   \
    fault_mprotect(FAULT_HERE("mprotect"), at, size, protection)

#define pthread_attr_init(attr)                                                          \
    fault_pthread_attr_init(FAULT_HERE("pthread_attr_init"), attr)
#define pthread_attr_setstacksize(attr, size)                                            \
    fault_pthread_attr_setstacksize(FAULT_HERE("pthread_attr_setstacksize"), attr, size)
#define pthread_create(thread, attr, run, arg)                                           \
    fault_pthread_create(FAULT_HERE("pthread_create"), thread, attr, run, arg)
#define pthread_mutex_init(mutex, attr)                                                  \
    fault_pthread_mutex_init(FAULT_HERE("pthread_mutex_init"), mutex, attr)
#define pthread_condattr_init(attr)                                                      \
    fault_pthread_condattr_init(FAULT_HERE("pthread_condattr_init"), attr)
#define pthread_condattr_setclock(attr, clock)                                           \
    fault_pthread_condattr_setclock(FAULT_HERE("pthread_condattr_setclock"), attr, clock)
#define pthread_cond_init(cond, attr)                                                    \
    fault_pthread_cond_init(FAULT_HERE("pthread_cond_init"), cond, attr)
#define pthread_cond_wait(cond, mutex)                                                   \
    fault_pthread_cond_wait(FAULT_HERE("pthread_cond_wait"), cond, mutex)
#define pthread_cond_timedwait(cond, mutex, until)                                       \
    fault_pthread_cond_timedwait(FAULT_HERE("pthread_cond_timedwait"), cond, mutex, until)
#define pthread_key_create(key, destroy)                                                 \
    fault_pthread_key_create(FAULT_HERE("pthread_key_create"), key, destroy)
#define pthread_atfork(prepare, parent, child)                                           \
    fault_pthread_atfork(FAULT_HERE("pthread_atfork"), prepare, parent, child)
#define pthread_setspecific(key, value)                                                  \
    fault_pthread_setspecific(FAULT_HERE("pthread_setspecific"), key, value)
#define pthread_setname_np(thread, name)                                                 \
    fault_pthread_setname_np(FAULT_HERE("pthread_setname_np"), thread, name)

#define clock_gettime(clock, t) fault_clock_gettime(FAULT_HERE("clock_gettime"), clock, t)
#define sched_getaffinity(pid, size, set)                                                \
    fault_sched_getaffinity(FAULT_HERE("sched_getaffinity"), pid, size, set)
#define sched_setaffinity(pid, size, set)                                                \
    fault_sched_setaffinity(FAULT_HERE("sched_setaffinity"), pid, size, set)
#define sysconf(name)          fault_sysconf(FAULT_HERE("sysconf"), name)
#define open(path, flags)      fault_open(FAULT_HERE("open"), path, flags)
#define read(fd, buffer, size) fault_read(FAULT_HERE("read"), fd, buffer, size)
#define epoll_create1(flags)   fault_epoll_create1(FAULT_HERE("epoll_create1"), flags)
#define eventfd(count, flags)  fault_eventfd(FAULT_HERE("eventfd"), count, flags)
#define timerfd_create(clock, flags)                                                     \
    fault_timerfd_create(FAULT_HERE("timerfd_create"), clock, flags)
#define signalfd(fd, set, flags) fault_signalfd(FAULT_HERE("signalfd"), fd, set, flags)
#define fcntl(fd, what)          fault_fcntl(FAULT_HERE("fcntl"), fd, what)
#define epoll_ctl(epoll, what, fd, event)                                                \
    fault_epoll_ctl(FAULT_HERE("epoll_ctl"), epoll, what, fd, event)
#define epoll_wait(epoll, events, most, timeout)                                         \
    fault_epoll_wait(FAULT_HERE("epoll_wait"), epoll, events, most, timeout)
#define epoll_pwait2(epoll, events, most, timeout, mask)                                 \
    fault_epoll_pwait2(FAULT_HERE("epoll_pwait2"), epoll, events, most, timeout, mask)
#define timerfd_settime(fd, flags, to, old)                                              \
    fault_timerfd_settime(FAULT_HERE("timerfd_settime"), fd, flags, to, old)
#define dladdr(address, info) fault_dladdr(FAULT_HERE("dladdr"), address, info)
#define snprintf(...)         fault_snprintf(FAULT_HERE("snprintf"), __VA_ARGS__)
#define vsnprintf(text, size, format, args)                                              \
    fault_vsnprintf(FAULT_HERE("vsnprintf"), text, size, format, args)

#ifdef FAULT_POINTS_OF_VOW

#include "base/mem.h"
#include "base/sys.h"
#include "sync/lock.h"
#include "sync/park.h"

#ifndef FAULT_DEFINES_MEM
#define vowi_alloc(size)       fault_vowi_alloc(FAULT_HERE("vowi_alloc"), size)
#define vowi_alloc_on(t, size) fault_vowi_alloc_on(FAULT_HERE("vowi_alloc_on"), t, size)
#define vowi_alloc_aligned(size, align)                                                  \
    fault_vowi_alloc_aligned(FAULT_HERE("vowi_alloc_aligned"), size, align)
#endif
#ifndef FAULT_DEFINES_SYS
#define vowi_sys_thread_create(thread, stack, run, arg)                                  \
    fault_vowi_sys_thread_create(FAULT_HERE("vowi_sys_thread_create"), thread, stack,    \
                                 run, arg)
#define vowi_sys_mutex_init(mutex)                                                       \
    fault_vowi_sys_mutex_init(FAULT_HERE("vowi_sys_mutex_init"), mutex)
#define vowi_sys_cond_init(cond)                                                         \
    fault_vowi_sys_cond_init(FAULT_HERE("vowi_sys_cond_init"), cond)
#define vowi_sys_epoll_create(fd)                                                        \
    fault_vowi_sys_epoll_create(FAULT_HERE("vowi_sys_epoll_create"), fd)
#define vowi_sys_eventfd(fd) fault_vowi_sys_eventfd(FAULT_HERE("vowi_sys_eventfd"), fd)
#define vowi_sys_timerfd(fd) fault_vowi_sys_timerfd(FAULT_HERE("vowi_sys_timerfd"), fd)
#define vowi_sys_signalfd(fd, signals)                                                   \
    fault_vowi_sys_signalfd(FAULT_HERE("vowi_sys_signalfd"), fd, signals)
#define vowi_sys_check_fd(fd) fault_vowi_sys_check_fd(FAULT_HERE("vowi_sys_check_fd"), fd)
#define vowi_sys_epoll_ctl(epoll, what, fd, events, data)                                \
    fault_vowi_sys_epoll_ctl(FAULT_HERE("vowi_sys_epoll_ctl"), epoll, what, fd, events,  \
                             data)
#endif
#ifndef FAULT_DEFINES_LOCK
#define vowi_lock_init(l, rank)                                                          \
    fault_vowi_lock_init(FAULT_HERE("vowi_lock_init"), l, rank)
#endif
#ifndef FAULT_DEFINES_PARK
#define vowi_parker_init(p) fault_vowi_parker_init(FAULT_HERE("vowi_parker_init"), p)
#endif

#endif

#endif
