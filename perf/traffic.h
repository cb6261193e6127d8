/* SPDX-License-Identifier: MIT */
/*
 * perf/traffic.h - work that comes from outside while time goes on, for any pool, in C and
 * in C++: bursts, and short tasks beside a flood of long ones. The pool is a function that
 * posts to it.
 */
#ifndef VOW_PERF_TRAFFIC_H
#define VOW_PERF_TRAFFIC_H

#include "measure.h"

enum {
    TRAFFIC_BURSTS = 200,
    TRAFFIC_BURST_TASKS = 1000,
    TRAFFIC_EVERY_NS = 1000000,
    TRAFFIC_SHORTS = 1000,
    TRAFFIC_LONGS = 16,
    TRAFFIC_LONG_STEPS = 800000, /* about a millisecond */
    TRAFFIC_PATIENCE_MS = 1000
};

typedef void traffic_post(void (*run)(void *arg), void *arg);

/* For pools whose tasks have one pointer: what was posted. */
struct traffic_call {
    void (*run)(void *arg);
    void *arg;
};

/* A task that notes how long it waited. */
struct traffic_task {
    double us; /* when it was posted, until it ran */
    int *left;
};

static inline void
traffic_arrive(void *arg)
{
    struct traffic_task *task = (struct traffic_task *)arg;

    task->us = (bench_ns() - task->us) / 1e3;
    __atomic_sub_fetch(task->left, 1, __ATOMIC_RELEASE);
}

static inline void
traffic_send(traffic_post *post, struct traffic_task *task, int *left)
{
    task->left = left;
    task->us = bench_ns();
    post(traffic_arrive, task);
}

/* Waits until none is left, or so long. */
static inline void
traffic_wait_for(int *left, double ms)
{
    double end = bench_ns() + ms * 1e6;

    while (__atomic_load_n(left, __ATOMIC_ACQUIRE) > 0 && bench_ns() < end)
        bench_pause_us(100);
}

static inline void
traffic_wait_for_all(int *left)
{
    while (__atomic_load_n(left, __ATOMIC_ACQUIRE) > 0)
        traffic_wait_for(left, TRAFFIC_PATIENCE_MS);
}

static inline void
traffic_sleep_until(double ns)
{
    double rest = ns - bench_ns();

    if (rest > 0)
        bench_pause_us((long)(rest / 1e3));
}

static inline void
traffic_latencies(struct traffic_task *tasks, int n, double *values)
{
    double *us = (double *)bench_array((size_t)n, sizeof *us);

    for (int i = 0; i < n; i++)
        us[i] = tasks[i].us;
    bench_latencies(us, (size_t)n, values);
    free(us);
}

/* A thousand tasks at once, every millisecond: how long each waited until it ran. */
static inline void
traffic_bursts(traffic_post *post, double *values)
{
    int bursts = bench_size(TRAFFIC_BURSTS), n = bursts * TRAFFIC_BURST_TASKS, left = n;
    struct traffic_task *tasks =
        (struct traffic_task *)bench_array((size_t)n, sizeof *tasks);
    double start = bench_ns();

    for (int b = 0; b < bursts; b++) {
        traffic_sleep_until(start + (double)b * TRAFFIC_EVERY_NS);
        for (int i = 0; i < TRAFFIC_BURST_TASKS; i++)
            traffic_send(post, &tasks[b * TRAFFIC_BURST_TASKS + i], &left);
    }
    traffic_wait_for_all(&left);
    traffic_latencies(tasks, n, values);
    free(tasks);
}

/* A long task, which comes again as soon as it is done, until it is told to end. */
struct traffic_long {
    traffic_post *post;
    int *end, *left;
    uint64_t x;
};

static inline void
traffic_work(void *arg)
{
    struct traffic_long *mine = (struct traffic_long *)arg;

    for (int i = 0; i < TRAFFIC_LONG_STEPS; i++)
        mine->x = mine->x * UINT64_C(6364136223846793005) + 1;
    if (__atomic_load_n(mine->end, __ATOMIC_RELAXED))
        __atomic_sub_fetch(mine->left, 1, __ATOMIC_RELEASE);
    else
        mine->post(traffic_work, mine);
}

/*
 * Sixteen tasks of a millisecond come again and again; a short task every millisecond:
 * how long it waited until it ran. The pool has two threads: in their turn, each short
 * one waits for sixteen long ones, eight milliseconds.
 */
static inline void
traffic_beside_flood(traffic_post *post_long, traffic_post *post_short, double *values)
{
    int n = bench_size(TRAFFIC_SHORTS), left = n, end = 0, longs = TRAFFIC_LONGS;
    struct traffic_task *tasks =
        (struct traffic_task *)bench_array((size_t)n, sizeof *tasks);
    struct traffic_long flood[TRAFFIC_LONGS];
    double start;

    for (int i = 0; i < TRAFFIC_LONGS; i++) {
        flood[i].post = post_long;
        flood[i].end = &end;
        flood[i].left = &longs;
        flood[i].x = (uint64_t)i;
        post_long(traffic_work, &flood[i]);
    }
    start = bench_ns();
    for (int i = 0; i < n; i++) {
        traffic_sleep_until(start + (double)i * TRAFFIC_EVERY_NS);
        traffic_send(post_short, &tasks[i], &left);
    }
    traffic_wait_for(&left,
                     TRAFFIC_PATIENCE_MS); /* some pools never run them meanwhile */
    __atomic_store_n(&end, 1, __ATOMIC_RELAXED);
    traffic_wait_for_all(&left);
    traffic_wait_for_all(&longs);
    traffic_latencies(tasks, n, values);
    free(tasks);
}

#endif
