/* SPDX-License-Identifier: MIT */
/*
 * A timer of no delay that was set first comes after all promises.
 *
 *     setTimeout(() => say("timer"), 0);
 *     Promise.resolve().then(() => say("first")).then(() => say("second"));
 *     Promise.resolve().then(() => say("other first")).then(() => say("other second"));
 */
#include "order.h"

static char timer[] = "timer";

static void
script(void *ctx)
{
    (void)ctx;
    set_timeout(sayer, timer, 0);
    vow_unref(then_say(then_say(resolved(), "first"), "second"));
    vow_unref(then_say(then_say(resolved(), "other first"), "other second"));
}

int
main(void)
{
    return run_script(script, 1);
}
