/* SPDX-License-Identifier: MIT */
/*
 * A microtask that queues itself again, for ever, starves no timer here, as it would in
 * a browser. Each takes a microsecond of the loop's clock; the timer is set for 1 ms.
 * When it fires 1,000 microtasks have to have run, and the most that may have run since
 * then is what two callbacks allow.
 */
#include "order.h"

static int steps, at_timer = -1;

static vow_result
step(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    steps++;
    time_now += vow_us(1);
    if (at_timer < 0)
        vow_unref(vow_then(resolved(), on, step, VOW_NIL));
    return vow_ok(VOW_NIL);
}

static void
fire(void *ctx)
{
    (void)ctx;
    at_timer = steps;
    say(steps >= 1000 ? "not early" : "early");
    say(steps < 1000 + 3 * 256 ? "within the budget" : "late");
}

static void
script(void *ctx)
{
    (void)ctx;
    set_timeout(fire, NULL, 1);
    vow_unref(vow_then(resolved(), on, step, VOW_NIL));
}

int
main(void)
{
    return run_script(script, 1);
}
