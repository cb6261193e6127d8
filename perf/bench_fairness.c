/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_fairness.c - short tasks from outside beside a flood of long ones on the same
 * pool: how long each short one waited; as urgent as the flood, and more urgent.
 */
#include "bench.h"
#include "traffic.h"

static vow_executor *pool;

static void
post(void (*run)(void *arg), void *arg)
{
    bench_check(vow_post(pool, run, vow_ptr(arg)) == 0);
}

struct urgent {
    vow_task task;
    void (*run)(void *arg);
    void *arg;
};

static void
run_urgent(vow_task *task, int why)
{
    struct urgent *u = (struct urgent *)(void *)task; /* its first member */

    bench_check(why == 0);
    u->run(u->arg);
    free(u);
}

static void
post_urgent(void (*run)(void *arg), void *arg)
{
    struct urgent *u = calloc(1, sizeof *u);

    bench_check(u != NULL);
    u->task.run = run_urgent;
    u->task.priority = VOW_HIGH;
    u->run = run;
    u->arg = arg;
    bench_check(vow_post_task(pool, &u->task) == 0);
}

static void
compete(double *latencies)
{
    pool = bench_pool();
    traffic_beside_flood(post, post, latencies);
    traffic_beside_flood(post, post_urgent, latencies + 4);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench fairness = {
        "vow",
        {BENCH_LATENCIES("fairness"), BENCH_LATENCIES("fairness_urgent")},
        compete,
        0};

    return bench_main(&fairness, argc, argv);
}
