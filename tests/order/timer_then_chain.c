/* SPDX-License-Identifier: MIT */
/*
 * Prints B C A.
 *
 *     setTimeout(() => say("A"), 0);
 *     Promise.resolve().then(() => say("B")).then(() => say("C"));
 */
#include "order.h"

static char a[] = "A";

static void
script(void *ctx)
{
    (void)ctx;
    set_timeout(sayer, a, 0);
    vow_unref(then_say(then_say(resolved(), "B"), "C"));
}

int
main(void)
{
    return run_script(script, 1);
}
