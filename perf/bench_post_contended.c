/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_post_contended.c - four threads post 250,000 no-op tasks each to one
 * pool; the clock runs until all of them ran.
 */
#include <pthread.h>

#include "bench.h"

enum { PRODUCERS = 4, TASKS_EACH = 250000 };

static void
no_op(void *ctx)
{
    (void)ctx;
}

static void *
produce(void *pool)
{
    int tasks = bench_size(TASKS_EACH);

    for (int i = 0; i < tasks; i++)
        bench_check(vow_post(pool, no_op, VOW_NIL) == 0);
    return NULL;
}

static void
post_from_all(vow_executor *pool)
{
    pthread_t producers[PRODUCERS];

    for (int i = 0; i < PRODUCERS; i++)
        bench_check(pthread_create(&producers[i], NULL, produce, pool) == 0);
    for (int i = 0; i < PRODUCERS; i++)
        bench_check(pthread_join(producers[i], NULL) == 0);
}

static void
post_all(double *ns_a_task)
{
    vow_pool_stats stats = {.size = sizeof stats};
    vow_executor *pool = bench_pool();
    int tasks = PRODUCERS * bench_size(TASKS_EACH);
    double start = bench_ns();

    post_from_all(pool);
    bench_drain(pool);
    *ns_a_task = (bench_ns() - start) / tasks;

    bench_check(vow_pool_read_stats(pool, &stats) == 0);
    bench_check(stats.tasks == (uint64_t)tasks);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench post_contended = {
        "vow", {{"post_contended", "ns/task"}}, post_all, 0};

    return bench_main(&post_contended, argc, argv);
}
