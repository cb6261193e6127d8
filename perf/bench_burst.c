/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_burst.c - a thousand tasks at once, every millisecond, from outside the
 * pool: how long each waited until it ran.
 */
#include "bench.h"
#include "traffic.h"

static vow_executor *pool;

static void
post(void (*run)(void *arg), void *arg)
{
    bench_check(vow_post(pool, run, vow_ptr(arg)) == 0);
}

static void
send_bursts(double *latencies)
{
    pool = bench_pool();
    traffic_bursts(post, latencies);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench burst = {"vow", {BENCH_LATENCIES("burst")}, send_bursts, 0};

    return bench_main(&burst, argc, argv);
}
