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
    unsigned first = 0;

    for (unsigned key = 0; key < 20; key++) /* grows */
        expect(vow_cache_get(c, &key, sizeof key, NULL, succeed, drop_set_new(d)), 0);
    expect(vow_cache_get(c, &first, sizeof first, NULL, succeed, drop_set_new(d)), 0);
    expect(vow_singleflight_call(s, "a", 1, NULL, succeed, drop_set_new(d)), 0);
    vow_cache_unref(c);
    vow_singleflight_unref(s);
}

/* Time stands still, or there is nothing to be seen. */
static void
in_virtual_time(struct drop_set *d, void (*run)(vow_manual *m, struct drop_set *d))
{
    vow_manual *m = vow_manual_new();

    if (m != NULL)
        run(m, d);
    vow_manual_unref(m);
}

/* Any outcome, but none that hangs. */
static void
settle_all(vow_manual *m, vow_future **f, size_t n)
{
    vow_manual_advance(m, vow_seconds(100));
    for (size_t i = 0; i < n; i++) {
        assert_int_not_equal(vow_future_status(f[i]), VOW_PENDING);
        vow_ignore(f[i]);
    }
}

static vow_result
fail_at_first(void *ctx)
{
    return ++*(int *)ctx == 1 ? vow_fail(EIO, "not yet") : vow_ok(VOW_NIL);
}

static void
bulkhead_with_a_queue_in(vow_manual *m, struct drop_set *d)
{
    vow_bulkhead *b = vow_bulkhead_new(
        &VOW_BULKHEAD_OPTIONS(.limit = 1, .queue = 1, .queue_timeout = vow_seconds(1),
                              .clock = vow_manual_clock(m)));
    vow_future *f[3];

    for (int i = 0; i < 3; i++)
        f[i] = vow_bulkhead_call(b, vow_manual_executor(m), succeed, drop_set_new(d));
    settle_all(m, f, 3);
    vow_bulkhead_unref(b);
}

static void
bulkhead_with_a_queue(struct drop_set *d)
{
    in_virtual_time(d, bulkhead_with_a_queue_in);
}

static void
rate_limits_in(vow_manual *m, struct drop_set *d)
{
    vow_rate_limit *l[2] = {
        vow_rate_limit_new(&VOW_RATE_LIMIT_OPTIONS(.calls = 1, .max_wait = vow_seconds(1),
                                                   .clock = vow_manual_clock(m))),
        vow_rate_limit_new(&VOW_RATE_LIMIT_OPTIONS(.calls = 1, .kind = VOW_RATE_WINDOW))};
    vow_future *f[4];

    for (int i = 0; i < 4; i++)
        f[i] = vow_rate_limit_call(l[i / 2], NULL, succeed, drop_set_new(d));
    settle_all(m, f, 4);
    vow_rate_limit_unref(l[0]);
    vow_rate_limit_unref(l[1]);
}

static void
rate_limits(struct drop_set *d)
{
    in_virtual_time(d, rate_limits_in);
}

static void
fallbacks(struct drop_set *d)
{
    expect(vow_fallback_value(vow_rejected(vow_error_of(VOW_E_LIMIT)), NULL,
                              drop_set_new(d)),
           0);
}

static void
retries_and_hedges_in(vow_manual *m, struct drop_set *d)
{
    vow_clock *clock = vow_manual_clock(m);
    vow_latency *l = vow_latency_new();
    int tries = 0, hedges = 0;
    vow_future *f[3];

    f[0] =
        vow_retry(vow_manual_executor(m),
                  &VOW_RETRY_OPTIONS(.clock = clock, .attempt_timeout = vow_seconds(1)),
                  fail_at_first, vow_ptr(&tries));
    f[1] = vow_hedge(vow_manual_executor(m),
                     &VOW_HEDGE_OPTIONS(.clock = clock, .latency = l), fail_at_first,
                     vow_ptr(&hedges));
    f[2] = vow_retry(NULL, &VOW_RETRY_OPTIONS(.clock = clock), succeed, drop_set_new(d));
    settle_all(m, f, 3);
    vow_latency_unref(l);
}

static void
retries_and_hedges(struct drop_set *d)
{
    in_virtual_time(d, retries_and_hedges_in);
}

static vow_result
fail_always(void *ctx)
{
    (void)ctx;
    return vow_fail(EIO, "never");
}

static void
too_late_in(vow_manual *m, struct drop_set *d)
{
    vow_clock *clock = vow_manual_clock(m);
    const vow_timeout_options named = VOW_TIMEOUT_OPTIONS(.clock = clock, .name = "it");
    vow_future *f[3];

    f[0] = vow_retry(NULL, &VOW_RETRY_OPTIONS(.clock = clock, .max_attempts = 2),
                     fail_always, drop_set_new(d));
    f[1] = vow_timeout_with(&named, vow_sleep(clock, vow_seconds(9)), vow_seconds(1));
    f[2] = vow_timeout_on(clock, vow_sleep(clock, vow_seconds(9)), 0);
    settle_all(m, f, 3);
}

static void
too_late(struct drop_set *d)
{
    in_virtual_time(d, too_late_in);
}

static void
paces_in(vow_manual *m, struct drop_set *d)
{
    vow_pace *p = vow_debounce_new(&VOW_PACE_OPTIONS(.clock = vow_manual_clock(m)));
    vow_future *f[2];

    for (int i = 0; i < 2; i++)
        f[i] = vow_pace_call(p, vow_manual_executor(m), succeed, drop_set_new(d));
    settle_all(m, f, 2);
    vow_pace_unref(p);
}

static void
paces(struct drop_set *d)
{
    in_virtual_time(d, paces_in);
}

static void
policy_with_chaos_in(vow_manual *m, struct drop_set *d)
{
    vow_chaos *c = vow_chaos_new(
        &VOW_CHAOS_OPTIONS(.delay_rate = 1, .seed = 1, .clock = vow_manual_clock(m)));
    const vow_layer layers[] = {VOW_LAYER_CHAOS(c)};
    vow_policy *p = c != NULL ? vow_policy_new(layers, 1) : NULL;
    vow_future *f = vow_policy_call(p, NULL, succeed, drop_set_new(d));

    settle_all(m, &f, 1);
    vow_policy_unref(p);
    vow_chaos_unref(c);
}

static void
policy_with_chaos(struct drop_set *d)
{
    in_virtual_time(d, policy_with_chaos_in);
}

#define ROW(name) {#name, name},

const struct scenario resilience_scenarios[] = {RESILIENCE_SCENARIOS(ROW){NULL, NULL}};
