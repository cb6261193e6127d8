/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_floor.c - what the machine charges for the steps that everything else
 * is made of: no library can go below the sum of those it needs.
 */
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

enum { OPS = 5000000, TRIPS = 10000, BLOCK = 64 };

/* Keeps the compiler from dropping or merging what made p. */
#define keep(p) __asm__ volatile("" : : "r"(p) : "memory")

static _Alignas(128) atomic_ulong word;
static _Alignas(128) atomic_uint turn; /* whose turn it is: even A's, odd B's */

static double
time_atomic_add(void)
{
    double start = bench_ns();

    atomic_store(&word, 0);
    for (int i = 0; i < OPS; i++)
        atomic_fetch_add(&word, 1);
    bench_check(atomic_load(&word) == OPS);
    return (bench_ns() - start) / OPS;
}

static double
time_mutex(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    double start = bench_ns();

    for (int i = 0; i < OPS; i++) {
        pthread_mutex_lock(&mutex);
        keep(&mutex);
        pthread_mutex_unlock(&mutex);
    }
    return (bench_ns() - start) / OPS;
}

static double
time_malloc(void)
{
    double start = bench_ns();

    for (int i = 0; i < OPS; i++) {
        void *p = malloc(BLOCK);

        keep(p);
        free(p);
    }
    return (bench_ns() - start) / OPS;
}

static double
time_clock(void)
{
    double start = bench_ns(), last = start;

    for (int i = 0; i < OPS; i++) {
        double now = bench_ns();

        bench_check(now >= last);
        last = now;
    }
    return (last - start) / OPS;
}

static void
futex(int operation, unsigned value)
{
    syscall(SYS_futex, &turn, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void
take_turns(unsigned from, unsigned trips)
{
    for (unsigned mine = from; mine < 2 * trips; mine += 2) {
        for (unsigned now; (now = atomic_load(&turn)) != mine;)
            futex(FUTEX_WAIT, now);
        atomic_store(&turn, mine + 1);
        futex(FUTEX_WAKE, INT_MAX);
    }
}

static void *
take_odd_turns(void *unused)
{
    take_turns(1, TRIPS);
    return unused;
}

/* Two threads that sleep at once, without looking a second time. */
static double
time_futex_trip(void)
{
    pthread_t other;
    double start;

    atomic_store(&turn, 0);
    bench_check(pthread_create(&other, NULL, take_odd_turns, NULL) == 0);
    start = bench_ns();
    take_turns(0, TRIPS);
    bench_check(pthread_join(other, NULL) == 0);
    bench_check(atomic_load(&turn) == 2 * TRIPS);
    return (bench_ns() - start) / TRIPS / 1e3;
}

static void
time_all(double *values)
{
    values[0] = time_atomic_add();
    values[1] = time_mutex();
    values[2] = time_malloc();
    values[3] = time_clock();
    values[4] = time_futex_trip();
}

int
main(int argc, char **argv)
{
    static const struct bench all = {"floor",
                                     {{"atomic_add", "ns"},
                                      {"mutex_lock_unlock", "ns"},
                                      {"malloc_free_64", "ns"},
                                      {"clock_read", "ns"},
                                      {"futex_round_trip", "us/round-trip"}},
                                     time_all,
                                     0};

    return bench_main(&all, argc, argv);
}
