/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_ready_then.c - an inline step on a future that is fulfilled already;
 * the future of its outcome is dropped.
 */
#include "bench.h"

enum { STEPS = 1000000 };

static int64_t seen; /* what the steps were given, added up */

static vow_result
note_and_add_one(vow_value in, void *ctx)
{
    (void)ctx;
    seen += in.as.i64;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

static void
then_on_ready(double *ns_a_step)
{
    vow_future *ready = vow_resolved(vow_i64(3));
    int steps = bench_size(STEPS);
    double start = bench_ns();

    seen = 0;
    for (int i = 0; i < steps; i++)
        vow_unref(vow_then(vow_ref(ready), NULL, note_and_add_one, VOW_NIL));
    *ns_a_step = (bench_ns() - start) / steps;

    bench_check(seen == INT64_C(3) * steps);
    vow_unref(ready);
}

int
main(int argc, char **argv)
{
    static const struct bench ready_then = {
        "vow", {{"ready_then", "ns/op"}}, then_on_ready, 0};

    return bench_main(&ready_then, argc, argv);
}
