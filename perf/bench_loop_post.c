/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_loop_post.c - a second thread posts 1,000,000 callbacks to an event loop;
 * the clock runs until the loop's thread ran them all. loop_post is vow_post, which
 * takes a block for each; loop_post_task posts tasks that are there already.
 */
#include <pthread.h>

#include "bench.h"

enum { POSTS = 1000000 };

static vow_loop *loop;
static int posts, ran;
static vow_task *tasks;

static void
count(void *ctx)
{
    (void)ctx;
    if (++ran == posts)
        vow_loop_stop(loop);
}

static void
count_task(vow_task *task, int why)
{
    (void)task;
    (void)why;
    count(NULL);
}

static void *
post_all(void *on)
{
    const int n = posts;

    for (int i = 0; i < n; i++)
        bench_check(vow_post(on, count, VOW_NIL) == 0);
    return NULL;
}

static void *
post_all_tasks(void *on)
{
    const int n = posts;

    for (int i = 0; i < n; i++) {
        tasks[i].run = count_task;
        bench_check(vow_post_task(on, &tasks[i]) == 0);
    }
    return NULL;
}

static double
run_beside(void *(*poster)(void *on))
{
    pthread_t thread;
    double start, end;

    ran = 0;
    loop = vow_loop_new(NULL);
    bench_check(loop != NULL);
    start = bench_ns();
    bench_check(pthread_create(&thread, NULL, poster, vow_loop_executor(loop)) == 0);
    bench_check(vow_loop_run(loop) == 0);
    end = bench_ns();
    bench_check(pthread_join(thread, NULL) == 0);
    bench_check(ran == posts);
    vow_loop_unref(loop);
    return (end - start) / posts;
}

static void
round_of_both(double *values)
{
    posts = bench_size(POSTS);
    values[0] = run_beside(post_all);
    tasks = calloc((size_t)posts, sizeof *tasks);
    bench_check(tasks != NULL);
    values[1] = run_beside(post_all_tasks);
    free(tasks);
}

int
main(int argc, char **argv)
{
    static const struct bench loop_post = {
        "vow",
        {{"loop_post", "ns/post"}, {"loop_post_task", "ns/post"}},
        round_of_both,
        0};

    return bench_main(&loop_post, argc, argv);
}
