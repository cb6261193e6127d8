/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_churn.c - two threads, each for itself: a promise is made, a step attached,
 * the promise settled, all of it dropped, a million times; and how much memory the process
 * has when it starts, in the middle, and in the end. With --multiply 125 a round is a
 * thousand million such events, four a turn.
 */
#include <pthread.h>

#include "bench.h"

enum { THREADS = 2, TURNS = 1000000, EVENTS = 4 };

static int64_t turns;
static double kib_in_the_middle; /* of the first thread */

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

static int64_t
turn(int64_t i)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_then(vow_promise_future(p), NULL, add_one, VOW_NIL);
    int64_t got;

    vow_promise_fulfill(p, vow_i64(i));
    vow_promise_unref(p);
    got = vow_peek(f).value.as.i64;
    vow_unref(f);
    return got;
}

static void
turn_from(int64_t first, int64_t end)
{
    for (int64_t i = first; i < end; i++)
        bench_check(turn(i) == i + 1);
}

static void *
turn_on(void *kib)
{
    turn_from(0, turns / 2);
    if (kib != NULL)
        *(double *)kib = bench_resident_bytes() / 1024;
    turn_from(turns / 2, turns);
    return NULL;
}

static void
churn(double *values)
{
    pthread_t threads[THREADS];
    double kib = bench_resident_bytes() / 1024, start = bench_ns();

    turns = (int64_t)bench_size(TURNS) * bench_multiplier;
    for (int i = 0; i < THREADS; i++)
        bench_check(pthread_create(&threads[i], NULL, turn_on,
                                   i == 0 ? &kib_in_the_middle : NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        bench_check(pthread_join(threads[i], NULL) == 0);
    values[0] = (bench_ns() - start) / ((double)turns * THREADS * EVENTS);
    values[2] = kib;
    values[3] = kib_in_the_middle;
    values[4] = bench_resident_bytes() / 1024;
    values[1] = values[4] - kib;
}

int
main(int argc, char **argv)
{
    static const struct bench b = {"vow",
                                   {{"churn", "ns/event"},
                                    {"churn_grown", "KiB"},
                                    {"churn_start", "KiB"},
                                    {"churn_middle", "KiB"},
                                    {"churn_end", "KiB"}},
                                   churn,
                                   0};

    return bench_main(&b, argc, argv);
}
