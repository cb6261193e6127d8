/* SPDX-License-Identifier: MIT */
/*
 * A long computation cut into macrotasks lets frames, 60 a second, and descriptors in
 * between its slices of 10 ms.
 */
#include "slices.h"

static void
next(void *ctx)
{
    compute();
    if (slice < SLICES)
        post(next, ctx);
}

static void
script(void *ctx)
{
    begin();
    post(next, ctx);
}

int
main(void)
{
    return run_script(script, 100);
}
