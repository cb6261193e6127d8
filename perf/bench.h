/* SPDX-License-Identifier: MIT */
/*
 * perf/bench.h - what all benchmarks share: clock, rounds, command line, output.
 *
 * A workload is a function that does one round and fills one value for each
 * figure it yields. bench_main runs a warm-up and the rounds, and prints one
 * line for each figure: its median, smallest and largest round.
 */
#ifndef VOW_PERF_BENCH_H
#define VOW_PERF_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vow/vow.h>

#include "allocator.h"

enum { BENCH_ROUNDS = 7, BENCH_MOST_ROUNDS = 99, BENCH_MOST_FIGURES = 8 };

/* One thing that a round measures. */
struct bench_figure {
    const char *name; /* of the workload; NULL ends the list */
    const char *unit;
};

/* A workload; every program has one. */
struct bench {
    const char *who; /* the first word of each line: whose speed this is */
    struct bench_figure figures[BENCH_MOST_FIGURES];
    void (*round)(double *values); /* one value for each figure */
    int rounds;                    /* 0: BENCH_ROUNDS after a warm-up; else without one */
};

/* --threads: of the pool that a workload makes. */
static unsigned bench_threads = 2;

/* Ends the program if what was computed is wrong: a fast wrong answer is worthless. */
#define bench_check(right) ((right) ? (void)0 : bench_die(VOW_HERE, #right))

static inline void
bench_die(const char *where, const char *what)
{
    fprintf(stderr, "%s: wrong: %s does not hold\n", where, what);
    abort();
}

static inline double
bench_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Returns an array that is filled, so that its pages are there before the clock starts. */
static inline void *
bench_array(size_t n, size_t size)
{
    void *p = malloc(n * size);

    bench_check(p != NULL);
    return memset(p, 0xff, n * size); /* of zeros a compiler would make a calloc */
}

static inline vow_executor *
bench_pool(void)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = bench_threads));

    bench_check(pool != NULL);
    return pool;
}

/* Waits until everything that was given to the pool has run. */
static inline void
bench_drain(vow_executor *pool)
{
    vow_future *closed = vow_executor_close(pool, VOW_DRAIN);

    bench_check(vow_get(closed).error == NULL);
    vow_unref(closed);
}

static inline void
bench_free_pool(vow_executor *pool)
{
    bench_drain(pool);
    bench_check(vow_executor_join(pool) == 0);
    vow_executor_unref(pool);
}

static inline int
bench_by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Sorts the values, then returns the one below which the share q of them lies. */
static inline double
bench_quantile(double *values, size_t n, double q)
{
    qsort(values, n, sizeof *values, bench_by_value);
    return values[(size_t)(q * (double)(n - 1))];
}

static inline void
bench_print(const char *who, const struct bench_figure *f, double *v, int n, bool json)
{
    double median = bench_quantile(v, (size_t)n, 0.5);

    if (json)
        printf("{\"library\": \"%s\", \"workload\": \"%s\", \"threads\": %u, \"median\": "
               "%.5g,"
               " \"unit\": \"%s\", \"min\": %.5g, \"max\": %.5g}\n",
               who, f->name, bench_threads, median, f->unit, v[0], v[n - 1]);
    else
        printf("%s %s %.5g %s %.5g %.5g\n", who, f->name, median, f->unit, v[0],
               v[n - 1]);
}

static inline void
bench_usage(const char *program)
{
    fprintf(stderr, "usage: %s [--json] [--threads N] [--rounds N]\n", program);
    exit(2);
}

static inline int
bench_number(const char *program, const char *text, int most)
{
    char *end = NULL;
    long n = text != NULL ? strtol(text, &end, 10) : 0;

    if (n < 1 || n > most || *end != '\0')
        bench_usage(program);
    return (int)n;
}

/* Runs the rounds; the values of figure i are values[i][0 .. n - 1]. */
static inline void
bench_run(const struct bench *b, int n,
          double values[BENCH_MOST_FIGURES][BENCH_MOST_ROUNDS])
{
    double one[BENCH_MOST_FIGURES] = {0};

    for (int r = 0; r < n; r++) {
        b->round(one);
        for (int i = 0; i < BENCH_MOST_FIGURES; i++)
            values[i][r] = one[i];
    }
}

static inline int
bench_main(const struct bench *b, int argc, char **argv)
{
    static double values[BENCH_MOST_FIGURES][BENCH_MOST_ROUNDS];
    int rounds = b->rounds;
    bool json = false;

    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--threads") == 0)
            bench_threads = (unsigned)bench_number(argv[0], argv[++i], 1024);
        else if (strcmp(argv[i], "--rounds") == 0)
            rounds = bench_number(argv[0], argv[++i], BENCH_MOST_ROUNDS);
        else
            bench_usage(argv[0]);
    use_fast_allocator();
    if (rounds == 0)
        bench_run(b, 1, values); /* the warm-up; its values are overwritten */
    rounds = rounds != 0 ? rounds : BENCH_ROUNDS;
    bench_run(b, rounds, values);
    for (int i = 0; i < BENCH_MOST_FIGURES && b->figures[i].name != NULL; i++)
        bench_print(b->who, &b->figures[i], values[i], rounds, json);
    return 0;
}

#endif
