/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_lines.c - what a cache line costs that another CPU has: two threads, each on a
 * CPU of its own, take turns. In a turn there is nothing to do but to pass a word on
 * (line_handover, which is two transfers: who writes it takes it from who reads it, and
 * the other way round); or to add one to each of many lines that the other has just
 * written, in the order of their addresses, in which a CPU fetches ahead (line_in_order), or
 * along a list that goes to and fro among them (line_random: one transfer, waited for).
 *
 * The figures are of the fastest turn: in others one of the two has lost its CPU. With one
 * CPU alone they are 0.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "bench.h"

enum { LINES = 1024, PASSES = 2000, TURNS = 60, KINDS = 3 };

struct line {
    _Alignas(64) struct line *next;
    unsigned long value;
};

static struct line lines[LINES];
static _Alignas(128) atomic_uint word; /* whose turn it is: even the first's */
static int cpus[2];
static double least[KINDS];

/* ---- what there is to do in a turn ---------------------------------------------------- */

/* Waits until the word is this. It is read again and again: a pause would be measured. */
static void
await(unsigned value)
{
    while (atomic_load_explicit(&word, memory_order_acquire) != value)
        ;
}

static void
add_in_order(void)
{
    for (size_t i = 0; i < LINES; i++)
        lines[i].value++;
}

static void
add_along_list(void)
{
    for (struct line *line = &lines[0]; line != NULL; line = line->next)
        line->value++;
}

static void (*const work[KINDS - 1])(void) = {add_in_order, add_along_list};

/* Returns what a line cost. */
static double
take_turn(unsigned turn, int kind)
{
    double start;

    await(turn);
    start = bench_ns();
    work[kind]();
    start = bench_ns() - start;
    atomic_store_explicit(&word, turn + 1, memory_order_release);
    return start / LINES;
}

/* Returns what one way cost. */
static double
hand_over(unsigned first_turn)
{
    double start = bench_ns();

    for (unsigned turn = first_turn; turn < first_turn + 2 * PASSES; turn += 2) {
        await(turn);
        atomic_store_explicit(&word, turn + 1, memory_order_release);
    }
    return (bench_ns() - start) / (2 * PASSES);
}

/* ---- the two threads ------------------------------------------------------------------- */

static void
stay_on(int cpu)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    bench_check(pthread_setaffinity_np(pthread_self(), sizeof one, &one) == 0);
}

static void *
take_turns(void *which)
{
    unsigned turn = *(unsigned *)which;

    stay_on(cpus[turn]);
    for (int i = 0; i < TURNS * KINDS; i++) {
        int kind = i % KINDS;
        bool passes = kind == KINDS - 1;
        double ns = passes ? hand_over(turn) : take_turn(turn, kind);

        turn += passes ? 2 * PASSES : 2;
        if (*(unsigned *)which == 0 && ns < least[kind])
            least[kind] = ns;
    }
    return NULL;
}

/* Finds two CPUs that the process may use; false: there is one alone. */
static bool
find_cpus(void)
{
    cpu_set_t all;
    int found = 0;

    bench_check(pthread_getaffinity_np(pthread_self(), sizeof all, &all) == 0);
    for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
        if (CPU_ISSET((size_t)cpu, &all))
            cpus[found++] = cpu;
    return found == 2;
}

static void
link_at_random(void)
{
    unsigned *order = bench_shuffled(LINES - 1);
    struct line *last = &lines[0];

    for (size_t i = 0; i < LINES - 1; i++)
        last = last->next = &lines[order[i] + 1];
    last->next = NULL;
    free(order);
}

static void
measure(double *values)
{
    unsigned which[2] = {0, 1};
    pthread_t threads[2];

    for (int i = 0; i < KINDS; i++)
        values[i] = 0;
    if (!find_cpus())
        return;
    link_at_random();
    atomic_store(&word, 0);
    for (int i = 0; i < KINDS; i++)
        least[i] = 1e9;
    for (int i = 0; i < 2; i++)
        bench_check(pthread_create(&threads[i], NULL, take_turns, &which[i]) == 0);
    for (int i = 0; i < 2; i++)
        bench_check(pthread_join(threads[i], NULL) == 0);
    memcpy(values, least, sizeof least);
}

int
main(int argc, char **argv)
{
    static const struct bench all = {
        "lines",
        {{"line_in_order", "ns"}, {"line_random", "ns"}, {"line_handover", "ns"}},
        measure,
        0};

    return bench_main(&all, argc, argv);
}
