/* SPDX-License-Identifier: MIT */
/*
 * start, end, promise, timeout.
 *
 *     say("start");
 *     setTimeout(() => say("timeout"), 0);
 *     Promise.resolve().then(() => say("promise"));
 *     say("end");
 */
#include "order.h"

static char timeout[] = "timeout";

static void
script(void *ctx)
{
    (void)ctx;
    say("start");
    set_timeout(sayer, timeout, 0);
    vow_unref(then_say(resolved(), "promise"));
    say("end");
}

int
main(void)
{
    return run_script(script, 1);
}
