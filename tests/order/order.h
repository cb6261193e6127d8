/* SPDX-License-Identifier: MIT */
/**
 * @file order.h
 * For programs that print in which order a loop runs what they give it.
 *
 * They are written like scripts for a browser: a script that runs first, timers,
 * steps on futures. The clock of the loop stands still but for what the program says.
 */
#ifndef VOW_ORDER_H
#define VOW_ORDER_H

#include <stdio.h>
#include <stdlib.h>

#include <vow/vow.h>

static vow_loop *loop;
static vow_executor *on; /* of the loop */
static vow_ns time_now;

static inline vow_ns
read_time(const vow_clock *self)
{
    (void)self;
    return time_now;
}

/* Ends the program if something fails that has nothing to do with order. */
static inline void
must(bool right)
{
    if (!right)
        abort();
}

static inline void
say(const char *text)
{
    puts(text);
}

/* ---- what a script has ----------------------------------------------------------- */

struct timeout {
    vow_fn *fn;
    void *ctx;
};

static inline vow_result
run_timeout(void *timeout)
{
    struct timeout *t = (struct timeout *)timeout;

    t->fn(t->ctx);
    return vow_ok(VOW_NIL);
}

/* setTimeout(fn, ms) */
static inline void
set_timeout(vow_fn *fn, void *ctx, int64_t ms)
{
    struct timeout *t = (struct timeout *)calloc(1, sizeof *t);
    vow_future *f;

    must(t != NULL);
    t->fn = fn;
    t->ctx = ctx;
    f = vow_submit_after(on, vow_ms(ms), run_timeout, vow_own(t, free));
    must(f != NULL);
    vow_unref(f);
}

/* A macrotask. */
static inline void
post(vow_fn *fn, void *ctx)
{
    must(vow_post(on, fn, vow_ptr(ctx)) == 0);
}

static inline vow_result
say_text(vow_value in, void *text)
{
    (void)in;
    say((const char *)text);
    return vow_ok(VOW_NIL);
}

/* promise.then(() => say(text)) */
static inline vow_future *
then_say(vow_future *f, const char *text)
{
    return vow_then(f, on, say_text, vow_ptr(text));
}

/* Promise.resolve() */
static inline vow_future *
resolved(void)
{
    return vow_resolved(VOW_NIL);
}

static inline void
sayer(void *text)
{
    say((const char *)text);
}

/* ---- running one ----------------------------------------------------------------- */

/* Runs a script, and then for so many milliseconds what it set going. */
static inline int
run_script(vow_fn *script, int ms)
{
    static vow_clock clock;

    clock.now = read_time;
    loop = vow_loop_new(&VOW_LOOP_OPTIONS(.clock = &clock));
    on = vow_loop_executor(loop);
    must(loop != NULL);
    post(script, NULL);
    while (vow_loop_run_once(loop, 0) == 0)
        ;
    for (int i = 0; i < ms; i++) {
        time_now += vow_ms(1);
        while (vow_loop_run_once(loop, 0) == 0)
            ;
    }
    vow_loop_unref(loop);
    vow_trim();
    return 0;
}

#endif
