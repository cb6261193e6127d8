/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_submit_get.c - ten times: submit 100,000 tasks that each return an
 * integer, then get every future and add up.
 */
#include "bench.h"

enum { TIMES = 10, TASKS = 100000 };

static int tasks;

static vow_result
own_number(void *number)
{
    return vow_ok(vow_i64((int64_t)(intptr_t)number));
}

static void
submit_all(vow_executor *pool, vow_future **futures)
{
    for (intptr_t i = 0; i < tasks; i++)
        futures[i] = vow_submit(pool, own_number, vow_ptr((void *)i));
}

static int64_t
add_up(vow_future **futures)
{
    int64_t sum = 0;

    for (int i = 0; i < tasks; i++) {
        vow_view v = vow_get(futures[i]);

        bench_check(v.error == NULL);
        sum += v.value.as.i64;
        vow_unref(futures[i]);
    }
    return sum;
}

static void
submit_and_get(double *ns_a_task)
{
    vow_future **futures = bench_array(TASKS, sizeof *futures);
    vow_executor *pool = bench_pool();
    double start = bench_ns();

    tasks = bench_size(TASKS);
    for (int i = 0; i < TIMES; i++) {
        submit_all(pool, futures);
        bench_check(add_up(futures) == (int64_t)tasks * (tasks - 1) / 2);
    }
    *ns_a_task = (bench_ns() - start) / TIMES / tasks;

    bench_free_pool(pool);
    free(futures);
}

int
main(int argc, char **argv)
{
    static const struct bench submit_get = {
        "vow", {{"submit_get", "ns/task"}}, submit_and_get, 0};

    return bench_main(&submit_get, argc, argv);
}
