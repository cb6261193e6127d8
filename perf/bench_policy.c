/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_policy.c - what a call through a policy costs when nothing goes wrong: with
 * no layer, with one of each kind, and with five; inline, on a function that returns at
 * once.
 */
#include "bench.h"

enum { CALLS = 200000 };

static vow_result
give_seven(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(7));
}

static double
ns_a_call(const vow_layer *layers, size_t n)
{
    vow_policy *p = vow_policy_new(layers, n);
    int64_t seen = 0;
    double start, end;

    bench_check(p != NULL);
    start = bench_ns();
    for (int i = 0; i < CALLS; i++) {
        vow_future *f = vow_policy_call(p, NULL, give_seven, VOW_NIL);

        seen += vow_peek(f).value.as.i64;
        vow_unref(f);
    }
    end = bench_ns();
    bench_check(seen == INT64_C(7) * CALLS);
    vow_policy_unref(p);
    return (end - start) / CALLS;
}

static void
all_layers(double *ns)
{
    vow_breaker *b = vow_breaker_new(NULL);
    vow_bulkhead *h = vow_bulkhead_new(NULL);
    vow_rate_limit *l = vow_rate_limit_new(
        &VOW_RATE_LIMIT_OPTIONS(.calls = 1000000000, .burst = 1000000000));
    const vow_retry_options retry = VOW_RETRY_OPTIONS(.max_attempts = 3);
    const vow_hedge_options hedge = VOW_HEDGE_OPTIONS(.delay = vow_seconds(1));
    const vow_layer one[] = {VOW_LAYER_TIMEOUT(vow_seconds(10)),
                             VOW_LAYER_RETRY(&retry),
                             VOW_LAYER_BREAKER(b),
                             VOW_LAYER_BULKHEAD(h),
                             VOW_LAYER_RATE_LIMIT(l),
                             VOW_LAYER_HEDGE(&hedge)};
    const vow_layer five[] = {VOW_LAYER_TIMEOUT(vow_seconds(10)), VOW_LAYER_RETRY(&retry),
                              VOW_LAYER_BREAKER(b), VOW_LAYER_TIMEOUT(vow_seconds(1)),
                              VOW_LAYER_BULKHEAD(h)};

    ns[0] = ns_a_call(NULL, 0);
    for (size_t i = 0; i < 6; i++)
        ns[i + 1] = ns_a_call(&one[i], 1);
    ns[7] = ns_a_call(five, 5);
    vow_breaker_unref(b);
    vow_bulkhead_unref(h);
    vow_rate_limit_unref(l);
}

int
main(int argc, char **argv)
{
    static const struct bench policy = {"vow",
                                        {{"policy_none", "ns/call"},
                                         {"policy_timeout", "ns/call"},
                                         {"policy_retry", "ns/call"},
                                         {"policy_breaker", "ns/call"},
                                         {"policy_bulkhead", "ns/call"},
                                         {"policy_rate_limit", "ns/call"},
                                         {"policy_hedge", "ns/call"},
                                         {"policy_five", "ns/call"}},
                                        all_layers,
                                        0};

    return bench_main(&policy, argc, argv);
}
