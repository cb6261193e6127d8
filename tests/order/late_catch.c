/* SPDX-License-Identifier: MIT */
/*
 * A catch that comes late, a timer after the rejection, still comes in time: an error is
 * reported as unhandled when nobody can look at it any more, and not before.
 *
 *     const p = Promise.reject(new Error("late"));
 *     const q = Promise.reject(new Error("never"));
 *     setTimeout(() => p.catch(e => say("caught: " + e.message)), 10);
 */
#include "order.h"

static vow_future *p;

static void
report(const vow_unhandled *u, void *ctx)
{
    (void)ctx;
    printf("unhandled: %s\n", vow_error_message(u->error));
}

static vow_result
caught(const vow_error *e, void *ctx)
{
    (void)ctx;
    printf("caught: %s\n", vow_error_message(e));
    return vow_ok(VOW_NIL);
}

static void
late(void *ctx)
{
    (void)ctx;
    say("timer");
    vow_unref(vow_catch(p, on, caught, VOW_NIL));
}

static void
script(void *ctx)
{
    vow_future *q = vow_rejected(vow_error_new(5, "never"));

    (void)ctx;
    p = vow_rejected(vow_error_new(5, "late"));
    set_timeout(late, NULL, 10);
    vow_unref(q);
}

int
main(void)
{
    vow_on_unhandled(report, NULL);
    return run_script(script, 11);
}
