/* SPDX-License-Identifier: MIT */
/* Scenarios for what keeps a program up: what protects calls must not lose any itself. */
#include "vow_test.h"

#include <errno.h>

#include <vow/vow.h>

#include "drops.h"
#include "system.h"

static vow_result
succeed(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(VOW_NIL);
}

static vow_result
follow_promise(void *ctx)
{
    return vow_follow(vow_promise_future(ctx));
}

static void
expect(vow_future *f, int code)
{
    int seen = vow_error_code(vow_peek(f).error);

    assert_true(seen == code || seen == VOW_E_NOMEM);
    vow_ignore(f);
}

static void
breaker_calls(struct drop_set *d)
{
    vow_breaker *b =
        vow_breaker_new(&VOW_BREAKER_OPTIONS(.window_calls = 4, .name = "far away"));
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_breaker_call(b, NULL, follow_promise, vow_ptr(p));

    vow_promise_reject(p, vow_error_new(EIO, "no answer"));
    expect(f, EIO);
    expect(vow_breaker_call(b, NULL, succeed, drop_set_new(d)), 0);
    vow_breaker_force(b, VOW_BREAKER_OPEN);
    expect(vow_breaker_call(b, NULL, succeed, drop_set_new(d)),
           b != NULL ? VOW_E_OPEN : 0);
    vow_promise_unref(p);
    vow_breaker_unref(b);
}

static void
breaker_by_time(struct drop_set *d)
{
    vow_breaker_unref(
        vow_breaker_new(&VOW_BREAKER_OPTIONS(.window_time = vow_seconds(1))));
    (void)d;
}

static void
budget_of_calls(struct drop_set *d)
{
    vow_budget *b = vow_budget_new(NULL);

    vow_budget_deposit(b);
    assert_true(vow_budget_withdraw(b));
    vow_budget_unref(b);
    (void)d;
}

static void
cache_of_values(struct drop_set *d)
{
    vow_cache *c = vow_cache_new(NULL);
    vow_singleflight *s = vow_singleflight_new();

    for (char key = 'a'; key < 'a' + 20; key++) /* grows */
        expect(vow_cache_get(c, &key, 1, NULL, succeed, drop_set_new(d)), 0);
    expect(vow_cache_get(c, "a", 1, NULL, succeed, drop_set_new(d)), 0);
    expect(vow_singleflight_call(s, "a", 1, NULL, succeed, drop_set_new(d)), 0);
    vow_cache_unref(c);
    vow_singleflight_unref(s);
}

#define ROW(name) {#name, name},

const struct scenario resilience_scenarios[] = {RESILIENCE_SCENARIOS(ROW){NULL, NULL}};
