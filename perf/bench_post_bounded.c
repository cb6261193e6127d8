/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_post_bounded.c - as post_contended, but at most 1,000 tasks may wait: the
 * producers are held back, and memory stays flat.
 */
#include <pthread.h>

#include "bench.h"

enum { PRODUCERS = 4, TASKS_EACH = 50000, TASKS = PRODUCERS * TASKS_EACH, LIMIT = 1000 };

static void
no_op(void *ctx)
{
    (void)ctx;
}

static void *
produce(void *pool)
{
    for (int i = 0; i < TASKS_EACH; i++)
        bench_check(vow_post(pool, no_op, VOW_NIL) == 0);
    return NULL;
}

static void
post_all(double *ns_a_task)
{
    vow_executor *pool =
        vow_pool_new(&VOW_POOL_OPTIONS(.threads = bench_threads, .queue_limit = LIMIT));
    pthread_t producers[PRODUCERS];
    double start = bench_ns();

    bench_check(pool != NULL);
    for (int i = 0; i < PRODUCERS; i++)
        bench_check(pthread_create(&producers[i], NULL, produce, pool) == 0);
    for (int i = 0; i < PRODUCERS; i++)
        bench_check(pthread_join(producers[i], NULL) == 0);
    bench_drain(pool);
    *ns_a_task = (bench_ns() - start) / TASKS;
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench post_bounded = {
        "vow", {{"post_bounded", "ns/task"}}, post_all, 0};

    return bench_main(&post_bounded, argc, argv);
}
