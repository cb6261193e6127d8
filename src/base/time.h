/* SPDX-License-Identifier: MIT */
/* base/time.h - reading clocks, and adding times without overflow. */
#ifndef VOWI_BASE_TIME_H
#define VOWI_BASE_TIME_H

#include <stdint.h>
#include <time.h>

#include <vow/base.h>

/* The monotonic clock, whatever vow_clock_use says. */
vow_ns vowi_monotonic_now(void);

/* a + b, at most VOW_FOREVER, at least INT64_MIN. */
static inline vow_ns
vowi_time_add(vow_ns a, vow_ns b)
{
    vow_ns sum;

    if (!__builtin_add_overflow(a, b, &sum))
        return sum;
    return b > 0 ? INT64_MAX : INT64_MIN;
}

/* a - b, likewise. */
static inline vow_ns
vowi_time_sub(vow_ns a, vow_ns b)
{
    vow_ns difference;

    if (!__builtin_sub_overflow(a, b, &difference))
        return difference;
    return b < 0 ? INT64_MAX : INT64_MIN;
}

/* A time on the monotonic clock, not before its zero, as the kernel wants it. */
struct timespec vowi_timespec(vow_ns t);

#endif
