/* SPDX-License-Identifier: MIT */
/*
 * base/sys.h - calls of libc that can fail and that several files make: they start a
 * thread, make a mutex or a condition, read the clock. Return 0 or an errno value.
 *
 * A call that only one file makes is in that file: memory (base/mem.c), a thread's key
 * (base/thread.c), sleep (sync/park.c), the numbers of CPUs (executors/cpu.c), names for
 * reports. The fault sweeps make each of them fail where it stands, and know
 * from the built library that they left none out (tests/faults/calls.txt).
 */
#ifndef VOWI_BASE_SYS_H
#define VOWI_BASE_SYS_H

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>

#include <vow/base.h>

#include "base/atomic.h"

/*
 * No call of the library is a point where pthread_cancel ends a thread. In a sleep it would
 * leave a mutex locked and a node queued that is on a stack which is gone, in a write what
 * it settles half delivered: others would wait for ever. So all that is such a point for
 * libc (a sleep, a join, what a descriptor, a file or a stream is asked for) stands between
 * these two, and a request to end waits for the user's own code. For libc each is an atomic
 * step on a word of the thread's own; what neither sleeps nor asks the kernel has none.
 */
static inline int
vowi_sys_cancel_off(void)
{
    int before;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

static inline void
vowi_sys_cancel_back(int before)
{
    int off;

    pthread_setcancelstate(before, &off);
}

/* Waits until a thread has exited. */
void vowi_sys_join(pthread_t thread);

/* Starts a joinable thread; stack 0 is the system's size. Signals are for the application's
 * own threads: only faults stay where they are. EAGAIN, ENOMEM, EINVAL. */
int vowi_sys_thread_create(pthread_t *thread, size_t stack, void *(*main)(void *),
                           void *arg);

/* What such a thread does first: it is not ended by pthread_cancel, and has a name. */
void vowi_sys_thread_begins(const char *name);

/* Handlers around fork: before it, and after it in each process. ENOMEM. */
int vowi_sys_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

/* A mutex, and a condition variable on the monotonic clock. EAGAIN, ENOMEM. */
int vowi_sys_mutex_init(pthread_mutex_t *mutex);
int vowi_sys_cond_init(pthread_cond_t *cond);

struct timespec vowi_sys_monotonic(void);

/* Has the kernel end this thread's sleeps on time, and not up to 50 us later so as to wake
 * for several at once. If it does not, they end later. */
void vowi_sys_sleep_exactly(void);

/* The CPU on which this thread runs, a moment ago; less than 0: not known. */
int vowi_sys_cpu(void);

/* Sleeps for less than a second, or not at all: for who waits for a thread that was
 * preempted at a bad moment. */
void vowi_sys_nap(long ns);

/* Sleeps while a word of this process has a value, until its address is woken, or for no
 * reason. Both are ordered as seq_cst steps of that word would be. */
void vowi_sys_futex_wait(_Atomic(uint32_t) *word, uint32_t value);

/* The same, and until a time on the monotonic clock at most, to the nanosecond if nothing is
 * in the way. Returns false if that has come. */
bool vowi_sys_futex_wait_until(_Atomic(uint32_t) *word, uint32_t value, vow_ns until);

/* Wakes one thread that sleeps at an address, of which nothing is read or written. */
void vowi_sys_futex_wake(_Atomic(uint32_t) *word);

/* Descriptors, all close-on-exec and non-blocking. EMFILE, ENFILE, ENOMEM. */
int vowi_sys_epoll_create(int *fd);
int vowi_sys_eventfd(int *fd);
int vowi_sys_timerfd(int *fd);

/* Makes one if *fd is negative; else it reads these signals from now on. */
int vowi_sys_signalfd(int *fd, const sigset_t *signals);
void vowi_sys_close(int fd);

/* EBADF: it is not open. */
int vowi_sys_check_fd(int fd);

/* EBADF, EEXIST, ENOENT, ENOMEM, ENOSPC, EPERM. */
int vowi_sys_epoll_ctl(int epoll, int what, int fd, uint32_t events, uint64_t data);

/* Waits for events, for so long at most. EINTR; ENOSYS: the kernel cannot. */
int vowi_sys_epoll_wait_ns(int epoll, struct epoll_event *events, int most,
                           vow_ns timeout, int *count);

/* Waits, for ever if told. EINTR. */
int vowi_sys_epoll_wait(int epoll, struct epoll_event *events, int most, bool for_ever,
                        int *count);

/* Fires once, after so long; 0: never. EINVAL. */
int vowi_sys_timerfd_set(int fd, vow_ns timeout);

/* Adds one to an eventfd. In a signal handler, too: it keeps errno. */
void vowi_sys_notify(int eventfd);

/* EAGAIN: there is none. */
int vowi_sys_read_signal(int signalfd, int *number);

#endif
