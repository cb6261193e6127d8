/* SPDX-License-Identifier: MIT */
/* sync/park.c - sleeping on a mutex and a condition variable, or as a fiber does. */
#include "sync/park.h"

#include "base/check.h"
#include "base/sys.h"
#include "base/time.h"
#include "sync/fiber.h"

int
vowi_parker_init(struct vowi_parker *p)
{
    int rc;

    if (p->ready)
        return 0;
    rc = vowi_sys_mutex_init(&p->mutex);
    if (rc != 0)
        return rc;
    rc = vowi_sys_cond_init(&p->cond);
    if (rc != 0) {
        pthread_mutex_destroy(&p->mutex);
        return rc;
    }
    p->ready = true;
    return 0;
}

/* Sleeps once; returns false when the deadline has passed. */
static bool
sleep_locked(struct vowi_parker *p, vow_ns deadline)
{
    struct timespec until;

    if (deadline == VOW_FOREVER) {
        pthread_cond_wait(&p->cond, &p->mutex);
        return true;
    }
    until = vowi_timespec(deadline);
    return pthread_cond_timedwait(&p->cond, &p->mutex, &until) == 0 ||
           vowi_monotonic_now() < deadline;
}

bool
vowi_park(struct vowi_parker *p, const bool *woken, vow_ns deadline)
{
    int cancel;
    bool done;

    if (p->fiber != NULL)
        return vowi_fiber_sleep(p->fiber, deadline);
    cancel = vowi_sys_cancel_off();
    pthread_mutex_lock(&p->mutex);
    while (!*woken && sleep_locked(p, deadline))
        ;
    done = *woken;
    pthread_mutex_unlock(&p->mutex);
    vowi_sys_cancel_back(cancel);
    return done;
}

void
vowi_unpark(struct vowi_parker *p, bool *woken)
{
    if (p->fiber != NULL) {
        vowi_fiber_wake(p->fiber);
        return;
    }
    pthread_mutex_lock(&p->mutex);
    *woken = true;
    pthread_cond_signal(&p->cond);
    pthread_mutex_unlock(&p->mutex);
}
