/* SPDX-License-Identifier: MIT */
/*
 * The same computation cut into microtasks keeps all else waiting until its end.
 */
#include "slices.h"

static vow_result
next(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    compute();
    if (slice < SLICES)
        vow_unref(vow_then(resolved(), on, next, VOW_NIL));
    return vow_ok(VOW_NIL);
}

static void
start(void *ctx)
{
    (void)ctx;
    vow_unref(vow_then(resolved(), on, next, VOW_NIL));
}

static void
script(void *ctx)
{
    begin();
    post(start, ctx);
}

int
main(void)
{
    return run_script(script, 100);
}
