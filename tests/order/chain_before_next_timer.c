/* SPDX-License-Identifier: MIT */
/*
 * Of two timers that are due together the second waits for all that the first one's
 * promises do.
 *
 *     setTimeout(() => {
 *         say("timer 1");
 *         Promise.resolve().then(() => say("a")).then(() => say("b"))
 *             .then(() => say("c"));
 *     }, 5);
 *     setTimeout(() => say("timer 2"), 5);
 */
#include "order.h"

static char second[] = "timer 2";

static void
first(void *ctx)
{
    (void)ctx;
    say("timer 1");
    vow_unref(then_say(then_say(then_say(resolved(), "a"), "b"), "c"));
}

static void
script(void *ctx)
{
    (void)ctx;
    set_timeout(first, NULL, 5);
    set_timeout(sayer, second, 5);
}

int
main(void)
{
    return run_script(script, 6);
}
