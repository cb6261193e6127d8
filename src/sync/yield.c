/* SPDX-License-Identifier: MIT */
/* sync/yield.c - giving the CPU to others of this process, and when not to. */
#include "sync/yield.h"

#include <sched.h>

#include "base/thread.h"
#include "base/time.h"

enum {
    LATE = 100000,     /* ns after which a yield was somebody else's turn */
    LATEST = 20000000, /* ns that count of it */
    REST = 128         /* so many times as long there is none */
};

/* relaxed, as below: a hint */
bool
vowi_may_yield(vow_ns now)
{
    return now >= vowi_load_relaxed(&vowi_globals.yields_from);
}

void
vowi_yield_lasted(vow_ns from, vow_ns until)
{
    vow_ns lasted = until - from < LATEST ? until - from : LATEST;

    if (lasted > LATE)
        vowi_store_relaxed(&vowi_globals.yields_from, until + REST * lasted);
}

void
vowi_yield(vow_ns now)
{
    sched_yield();
    vowi_yield_lasted(now, vowi_monotonic_now());
}
