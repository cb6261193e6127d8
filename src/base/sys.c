/* SPDX-License-Identifier: MIT */
/* base/sys.c - calls that can fail, with what they want before and after. */
#include "base/sys.h"

#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "base/check.h"

int
vowi_sys_thread_create(pthread_t *thread, size_t stack, void *(*main)(void *), void *arg)
{
    pthread_attr_t attr;
    int rc = pthread_attr_init(&attr);

    if (rc != 0)
        return rc;
    if (stack != 0)
        rc = pthread_attr_setstacksize(&attr, stack);
    if (rc == 0)
        rc = pthread_create(thread, &attr, main, arg);
    pthread_attr_destroy(&attr);
    return rc;
}

int
vowi_sys_mutex_init(pthread_mutex_t *mutex)
{
    return pthread_mutex_init(mutex, NULL);
}

int
vowi_sys_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);

    if (rc != 0)
        return rc;
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (rc == 0)
        rc = pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
    return rc;
}

struct timespec
vowi_sys_monotonic(void)
{
    struct timespec t;

    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
        vowi_fatal("the monotonic clock cannot be read");
    return t;
}

void
vowi_sys_sleep_exactly(void)
{
#ifdef __linux__
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
#endif
}
