/* SPDX-License-Identifier: MIT */
/* base/time.c - the process clock and the one that may replace it. */
#include "base/time.h"

#include "base/sys.h"
#include "base/thread.h"

#define SECOND INT64_C(1000000000)

/* Of a time_t, which may have 32 bits. */
#define LAST_SECOND (sizeof(time_t) < sizeof(int64_t) ? (int64_t)INT32_MAX : INT64_MAX)

vow_ns
vowi_monotonic_now(void)
{
    struct timespec t = vowi_sys_monotonic();

    return (vow_ns)t.tv_sec * SECOND + t.tv_nsec;
}

struct timespec
vowi_timespec(vow_ns t)
{
    struct timespec ts = {0, 0};

    if (t > 0) {
        ts.tv_sec = (time_t)(t / SECOND < LAST_SECOND ? t / SECOND : LAST_SECOND);
        ts.tv_nsec = (long)(t % SECOND);
    }
    return ts;
}

vow_ns
vow_clock_now(const vow_clock *c)
{
    return c != NULL ? c->now(c) : vowi_monotonic_now();
}

vow_clock *
vow_clock_use(vow_clock *c)
{
    return vowi_swap_acq_rel(&vowi_globals.clock, c); /* [clock] */
}

vow_clock *
vowi_process_clock(void)
{
    return vowi_load_acquire(&vowi_globals.clock); /* [clock] */
}

vow_clock *
vowi_clock_here(void)
{
    vow_executor *on = vowi_self()->executor;
    vow_clock *c = NULL;

    if (on != NULL && on->ops->clock != NULL)
        c = on->ops->clock(on);
    return c != NULL ? c : vowi_process_clock();
}

vow_ns
vow_now(void)
{
    return vow_clock_now(vowi_clock_here());
}
