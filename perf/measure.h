/* SPDX-License-Identifier: MIT */
/*
 * perf/measure.h - what the benchmarks of vow and of its peers share, in C and in C++:
 * clock, rounds, command line, output.
 *
 * A workload is a function that does one round and fills one value for each figure it
 * yields. bench_measure runs a warm-up and the rounds, and prints one line for each
 * figure: its median, smallest and largest round. With --serve it waits instead: each
 * line on stdin asks for one round, and is answered by a line that has the name, value
 * and unit of each figure; so rounds of several programs can take turns.
 */
#ifndef VOW_PERF_MEASURE_H
#define VOW_PERF_MEASURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BENCH_ROUNDS = 7, BENCH_MOST_ROUNDS = 99, BENCH_MOST_FIGURES = 12 };

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

/* The figures that bench_latencies fills. */
#define BENCH_LATENCIES(name)                                                            \
    {name "_p50", "us"}, {name "_p90", "us"}, {name "_p99", "us"},                       \
    {                                                                                    \
        name "_p99.9", "us"                                                              \
    }

/* --threads: of the pool that a workload makes. */
static unsigned bench_threads = 2;

/* --divide: only so small a part of the work is done. */
static int bench_divisor = 1;

/* --multiply: of what may go on for long, churn, so much is done. */
static int bench_multiplier = 1;

/* Ends the program if what was computed is wrong: a fast wrong answer is worthless. */
#define bench_check(right) ((right) ? (void)0 : bench_die(__FILE__, __LINE__, #right))

static inline void
bench_die(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: wrong: %s does not hold\n", file, line, what);
    abort();
}

/* Returns how many to do of the n that a workload is meant to. */
static inline int
bench_size(int n)
{
    return n / bench_divisor > 0 ? n / bench_divisor : 1;
}

static inline double
bench_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Sleeps; so the pool beside goes idle. */
static inline void
bench_pause_us(long us)
{
    struct timespec t = {us / 1000000, us % 1000000 * 1000};

    while (nanosleep(&t, &t) != 0)
        continue;
}

/* Returns how much memory the process has. */
static inline double
bench_resident_bytes(void)
{
    FILE *statm = fopen("/proc/self/statm", "r");
    long size, pages = 0;

    bench_check(statm != NULL && fscanf(statm, "%ld %ld", &size, &pages) == 2);
    fclose(statm);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* Returns an array that is filled, so that its pages are there before the clock starts. */
static inline void *
bench_array(size_t n, size_t size)
{
    void *p = malloc(n * size);

    bench_check(p != NULL);
    return memset(p, 0xff, n * size); /* of zeros a compiler would make a calloc */
}

/* A step of splitmix64. */
static inline uint64_t
bench_random(uint64_t *x)
{
    uint64_t z = *x += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Returns the numbers below n in random order, always the same. */
static inline unsigned *
bench_shuffled(unsigned n)
{
    unsigned *order = (unsigned *)bench_array(n, sizeof *order);
    uint64_t seed = 1;

    for (unsigned i = 0; i < n; i++) {
        unsigned other = (unsigned)(bench_random(&seed) % (i + 1));

        order[i] = order[other];
        order[other] = i;
    }
    return order;
}

static inline int
bench_by_value(const void *a, const void *b)
{
    const double *x = (const double *)a, *y = (const double *)b;

    return (*x > *y) - (*x < *y);
}

/* Sorts the values, then returns the one below which the share q of them lies. */
static inline double
bench_quantile(double *values, size_t n, double q)
{
    qsort(values, n, sizeof *values, bench_by_value);
    return values[(size_t)(q * (double)(n - 1))];
}

/* Fills the figures BENCH_LATENCIES. */
static inline void
bench_latencies(double *us, size_t n, double *values)
{
    values[0] = bench_quantile(us, n, 0.5);
    values[1] = us[(size_t)(0.9 * (double)(n - 1))];
    values[2] = us[(size_t)(0.99 * (double)(n - 1))];
    values[3] = us[(size_t)(0.999 * (double)(n - 1))];
}

static inline double
bench_cpu_us(clockid_t whose)
{
    struct timespec t;

    clock_gettime(whose, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Adds up what all threads but this one have used: CPU time in us, and switches. */
static inline void
bench_use_of_others(double *us, double *switches)
{
    struct rusage all, mine;

    bench_check(getrusage(RUSAGE_SELF, &all) == 0);
    bench_check(getrusage(RUSAGE_THREAD, &mine) == 0);
    *switches = (double)(all.ru_nvcsw + all.ru_nivcsw - mine.ru_nvcsw - mine.ru_nivcsw);
    *us = bench_cpu_us(CLOCK_PROCESS_CPUTIME_ID) - bench_cpu_us(CLOCK_THREAD_CPUTIME_ID);
}

/* The figures of bench_idle. */
#define BENCH_IDLE                                                                       \
    {"idle_cpu", "us/s"},                                                                \
    {                                                                                    \
        "idle_switches", "1/s"                                                           \
    }

/* What is there goes idle; then a second goes by, and this is what the others used. */
static inline void
bench_idle(double *values)
{
    double us, switches;

    bench_pause_us(200000);
    bench_use_of_others(&us, &switches);
    bench_pause_us(1000000);
    bench_use_of_others(&values[0], &values[1]);
    /* The clocks are not read at once, so a little can be missing. */
    values[0] = values[0] > us ? values[0] - us : 0;
    values[1] = values[1] > switches ? values[1] - switches : 0;
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
    fprintf(stderr,
            "usage: %s [--json] [--threads N] [--divide N] [--multiply N]\n"
            "       [--rounds N | --serve]\n",
            program);
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
bench_run_and_print(const struct bench *b, int rounds, bool json)
{
    static double values[BENCH_MOST_FIGURES][BENCH_MOST_ROUNDS];

    if (rounds == 0)
        bench_run(b, 1, values); /* the warm-up; its values are overwritten */
    rounds = rounds != 0 ? rounds : BENCH_ROUNDS;
    bench_run(b, rounds, values);
    for (int i = 0; i < BENCH_MOST_FIGURES && b->figures[i].name != NULL; i++)
        bench_print(b->who, &b->figures[i], values[i], rounds, json);
    return 0;
}

/* A round for each line, until there are no more. */
static inline int
bench_serve(const struct bench *b)
{
    double one[BENCH_MOST_FIGURES] = {0};

    while (getchar() != EOF) {
        b->round(one);
        for (int i = 0; i < BENCH_MOST_FIGURES && b->figures[i].name != NULL; i++)
            printf("%s %.6g %s ", b->figures[i].name, one[i], b->figures[i].unit);
        putchar('\n');
        fflush(stdout);
    }
    return 0;
}

static inline int
bench_measure(const struct bench *b, int argc, char **argv)
{
    int rounds = b->rounds;
    bool json = false, serve = false;

    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--serve") == 0)
            serve = true;
        else if (strcmp(argv[i], "--threads") == 0)
            bench_threads = (unsigned)bench_number(argv[0], argv[++i], 1024);
        else if (strcmp(argv[i], "--divide") == 0)
            bench_divisor = bench_number(argv[0], argv[++i], 1000000);
        else if (strcmp(argv[i], "--multiply") == 0)
            bench_multiplier = bench_number(argv[0], argv[++i], 1000000);
        else if (strcmp(argv[i], "--rounds") == 0)
            rounds = bench_number(argv[0], argv[++i], BENCH_MOST_ROUNDS);
        else
            bench_usage(argv[0]);
    return serve ? bench_serve(b) : bench_run_and_print(b, rounds, json);
}

#endif
