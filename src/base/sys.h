/* SPDX-License-Identifier: MIT */
/*
 * base/sys.h - calls of libc that can fail and that several files make: they start a
 * thread, make a mutex or a condition, read the clock. Return 0 or an errno value.
 *
 * A call that only one file makes is in that file: memory (base/mem.c), a thread's key
 * (base/thread.c), sleep (sync/park.c), the numbers of CPUs (executors/cpu.c), names for
 * reports and threads. The fault sweeps make each of them fail where it stands, and know
 * from the built library that they left none out (tests/faults/calls.txt).
 */
#ifndef VOWI_BASE_SYS_H
#define VOWI_BASE_SYS_H

#include <pthread.h>
#include <stddef.h>
#include <time.h>

/* Starts a joinable thread; stack 0 is the system's size. EAGAIN, ENOMEM, EINVAL. */
int vowi_sys_thread_create(pthread_t *thread, size_t stack, void *(*main)(void *),
                           void *arg);

/* A mutex, and a condition variable on the monotonic clock. EAGAIN, ENOMEM. */
int vowi_sys_mutex_init(pthread_mutex_t *mutex);
int vowi_sys_cond_init(pthread_cond_t *cond);

struct timespec vowi_sys_monotonic(void);

/* Has the kernel end this thread's sleeps on time, and not up to 50 us later so as to wake
 * for several at once. If it does not, they end later. */
void vowi_sys_sleep_exactly(void);

#endif
