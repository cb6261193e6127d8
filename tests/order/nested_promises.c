/* SPDX-License-Identifier: MIT */
/*
 * A step that is attached in a step goes to the end of the microtasks, and all of them
 * come before the next macrotask.
 *
 *     say("1");
 *     setTimeout(() => {
 *         say("2");
 *         Promise.resolve().then(() => say("3"));
 *     }, 0);
 *     new Promise(done => { say("4"); done(); })
 *         .then(() => { say("5"); Promise.resolve().then(() => say("6")); })
 *         .then(() => say("7"));
 *     setTimeout(() => say("8"), 0);
 *     say("9");
 */
#include "order.h"

static char eight[] = "8";

static void
timer(void *ctx)
{
    (void)ctx;
    say("2");
    vow_unref(then_say(resolved(), "3"));
}

static vow_result
five(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    say("5");
    vow_unref(then_say(resolved(), "6"));
    return vow_ok(VOW_NIL);
}

static void
script(void *ctx)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    (void)ctx;
    say("1");
    set_timeout(timer, NULL, 0);
    say("4");
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
    vow_unref(then_say(vow_then(f, on, five, VOW_NIL), "7"));
    set_timeout(sayer, eight, 0);
    say("9");
}

int
main(void)
{
    return run_script(script, 1);
}
