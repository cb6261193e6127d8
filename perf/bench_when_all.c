/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_when_all.c - a thousand times: a thousand pending promises joined by one
 * when_all, all fulfilled, the joint result read.
 */
#include "bench.h"

enum { JOINS = 1000, WIDTH = 1000 };

static int64_t
sum_of(vow_future *f)
{
    const vow_results *r = vow_get_results(f);
    int64_t sum = 0;

    bench_check(r != NULL && vow_results_count(r) == WIDTH);
    for (size_t i = 0; i < WIDTH; i++)
        sum += vow_results_at(r, i).value.as.i64;
    return sum;
}

static int64_t
join_once(void)
{
    static vow_promise *promises[WIDTH];
    static vow_future *futures[WIDTH];
    vow_future *all;
    int64_t sum;

    for (size_t i = 0; i < WIDTH; i++) {
        promises[i] = vow_promise_new();
        futures[i] = vow_promise_future(promises[i]);
    }
    all = vow_when_all(futures, WIDTH);
    for (size_t i = 0; i < WIDTH; i++) {
        vow_promise_fulfill(promises[i], vow_i64((int64_t)i));
        vow_promise_unref(promises[i]);
    }
    sum = sum_of(all);
    vow_unref(all);
    return sum;
}

static void
join_all(double *ns_a_future)
{
    int joins = bench_size(JOINS);
    double start = bench_ns();

    for (int i = 0; i < joins; i++)
        bench_check(join_once() == (int64_t)WIDTH * (WIDTH - 1) / 2);
    *ns_a_future = (bench_ns() - start) / ((double)joins * WIDTH);
}

int
main(int argc, char **argv)
{
    static const struct bench when_all = {
        "vow", {{"when_all", "ns/future"}}, join_all, 0};

    return bench_main(&when_all, argc, argv);
}
