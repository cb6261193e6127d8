/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/peer.h - what the peers in C and C++ share: a program has several workloads,
 * the first argument names one; the rest is as for the benchmarks of vow.
 */
#ifndef VOW_PERF_PEER_H
#define VOW_PERF_PEER_H

#include "../measure.h"
#include "../traffic.h"

struct peer_workload {
    const char *name;
    struct bench_figure figures[BENCH_MOST_FIGURES];
    void (*round)(double *values);
};

/* The sizes of the workloads: perf/README.md. */
enum {
    PEER_POSTS = 1000000,
    PEER_PRODUCERS = 4,
    PEER_POSTS_EACH = 250000,
    PEER_TIMES = 10,
    PEER_TASKS = 100000,
    PEER_STEPS = 1000000,
    PEER_CHAINS = 1000,
    PEER_LINKS = 1000,
    PEER_FIB = 27,
    PEER_FIB_OF_IT = 196418,
    PEER_FIB_SPAWNS = 317810,
    PEER_TRIPS = 100000,
    PEER_WAKES = 20000,
    PEER_TIMERS = 1000000,
    PEER_FIRES = 100000,
    PEER_FIRE_NS = 500000000,
    PEER_PAIRS = 1000000,
    PEER_JOBS = 20000,
    PEER_TURNS = 1000000,
    PEER_ITEMS = 1000000,
    PEER_PLACES = 64,
    PEER_PIPED = 500000,
    PEER_STAGES = 4,
    PEER_IN_STAGE = 16, /* a width and a buffer of 8 */
    PEER_BURN_STEPS = 40000
};

/* About 50 us: one multiplication and one addition after another. */
static inline uint64_t
peer_burn(uint64_t x)
{
    for (int i = 0; i < PEER_BURN_STEPS; i++)
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return x;
}

/* Returns how long it takes to do all jobs on this thread; the sum is what they give. */
static inline double
peer_burn_here(int jobs, uint64_t *sum)
{
    double start = bench_ns();

    *sum = 0;
    for (int i = 0; i < jobs; i++)
        *sum += peer_burn((uint64_t)i);
    return bench_ns() - start;
}

/* Returns a delay of 1 to 60 seconds, in milliseconds. */
static inline uint64_t
peer_delay_ms(uint64_t *seed)
{
    return 1000 + bench_random(seed) % 59000;
}

static inline int
peer_main(const char *who, const struct peer_workload *all, size_t n, int argc,
          char **argv)
{
    for (size_t i = 0; i < n; i++)
        if (argc < 2) {
            puts(all[i].name);
        } else if (strcmp(argv[1], all[i].name) == 0) {
            struct bench b = {who, {{NULL, NULL}}, all[i].round, 0};

            memcpy(b.figures, all[i].figures, sizeof b.figures);
            return bench_measure(&b, argc - 1, argv + 1);
        }
    return argc < 2 ? 0 : 2;
}

#define PEER_MAIN(who, all, argc, argv)                                                  \
    peer_main(who, all, sizeof(all) / sizeof *(all), argc, argv)

#endif
