/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_idle.c - a pool, and a loop that another thread runs, that have nothing to
 * do: what they use of the CPUs meanwhile, and how often they come to one.
 */
#include <pthread.h>

#include "bench.h"

static void
no_op(void *ctx)
{
    (void)ctx;
}

static void *
run_loop(void *loop)
{
    bench_check(vow_loop_run(loop) == 0);
    return NULL;
}

static vow_loop *
start_loop(pthread_t *thread)
{
    vow_loop *loop = vow_loop_new(NULL);

    bench_check(loop != NULL);
    bench_check(pthread_create(thread, NULL, run_loop, loop) == 0);
    bench_check(vow_post(vow_loop_executor(loop), no_op, VOW_NIL) == 0);
    return loop;
}

static void
do_nothing(double *values)
{
    vow_executor *pool = bench_pool();
    pthread_t thread;
    vow_loop *loop = start_loop(&thread);

    bench_check(vow_post(pool, no_op, VOW_NIL) == 0);
    bench_idle(values);
    vow_loop_stop(loop);
    bench_check(pthread_join(thread, NULL) == 0);
    vow_loop_unref(loop);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench idle = {"vow", {BENCH_IDLE}, do_nothing, 3};

    return bench_main(&idle, argc, argv);
}
