/* SPDX-License-Identifier: MIT */
/*
 * base/sys.h - every call of libc and the kernel that can fail, in one place, so
 * that a test can make each of them fail. Return 0 or an errno value.
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

#endif
