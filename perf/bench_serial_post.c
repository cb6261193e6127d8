/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_serial_post.c - four threads post 250,000 no-op tasks each to one serial
 * executor on a pool; the clock runs until all of them ran, one after another.
 */
#include <pthread.h>

#include "bench.h"

enum { PRODUCERS = 4, TASKS_EACH = 250000, TASKS = PRODUCERS * TASKS_EACH };

static long ran; /* no atomic: that is what a serial executor is for */

static void
count(void *ctx)
{
    (void)ctx;
    ran++;
}

static void *
produce(void *serial)
{
    for (int i = 0; i < TASKS_EACH; i++)
        bench_check(vow_post(serial, count, VOW_NIL) == 0);
    return NULL;
}

static void
post_from_all(vow_executor *serial)
{
    pthread_t producers[PRODUCERS];

    for (int i = 0; i < PRODUCERS; i++)
        bench_check(pthread_create(&producers[i], NULL, produce, serial) == 0);
    for (int i = 0; i < PRODUCERS; i++)
        bench_check(pthread_join(producers[i], NULL) == 0);
}

static void
post_all(double *ns_a_task)
{
    vow_executor *pool = bench_pool();
    vow_executor *serial = vow_serial_new(pool);
    double start;

    bench_check(serial != NULL);
    ran = 0;
    start = bench_ns();
    post_from_all(serial);
    bench_drain(serial);
    *ns_a_task = (bench_ns() - start) / TASKS;

    bench_check(ran == TASKS);
    vow_executor_unref(serial);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench serial_post = {
        "vow", {{"serial_post", "ns/task"}}, post_all, 0};

    return bench_main(&serial_post, argc, argv);
}
