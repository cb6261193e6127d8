/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_post.c - one thread posts a million no-op tasks to a pool and waits
 * until all of them ran. No future a task.
 */
#include "bench.h"

enum { TASKS = 1000000 };

static void
no_op(void *ctx)
{
    (void)ctx;
}

static void
post_all(double *ns_a_task)
{
    vow_pool_stats stats = {.size = sizeof stats};
    vow_executor *pool = bench_pool();
    int tasks = bench_size(TASKS);
    double start = bench_ns();

    for (int i = 0; i < tasks; i++)
        bench_check(vow_post(pool, no_op, VOW_NIL) == 0);
    bench_drain(pool);
    *ns_a_task = (bench_ns() - start) / tasks;

    bench_check(vow_pool_read_stats(pool, &stats) == 0);
    bench_check(stats.tasks == (uint64_t)tasks);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench post = {"vow", {{"post", "ns/task"}}, post_all, 0};

    return bench_main(&post, argc, argv);
}
