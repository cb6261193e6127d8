/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_pingpong.c - two plain threads, 100,000 round trips: one fulfils
 * ping i and blocks in get on pong i, the other gets ping i and fulfils pong i.
 *
 * As many come before the clock runs: the other thread is new, and some systems leave a
 * new thread on the CPU of its maker for some ticks, however idle the others are.
 */
#include <pthread.h>

#include "bench.h"

enum { TRIPS = 100000 };

/* Both ends of one promise: one thread fulfils it, the other gets. */
struct ball {
    vow_promise *promise;
    vow_future *future;
};

static struct ball *pings, *pongs;
static int trips; /* with those that are not counted */

static struct ball *
new_balls(void)
{
    struct ball *balls = bench_array((size_t)trips, sizeof *balls);

    for (int i = 0; i < trips; i++) {
        balls[i].promise = vow_promise_new();
        balls[i].future = vow_promise_future(balls[i].promise);
        bench_check(balls[i].future != NULL);
    }
    return balls;
}

static void
throw_ball(struct ball *b, int64_t value)
{
    bench_check(vow_promise_fulfill(b->promise, vow_i64(value)));
    vow_promise_unref(b->promise);
}

static int64_t
catch_ball(struct ball *b)
{
    int64_t value = vow_get(b->future).value.as.i64;

    vow_unref(b->future);
    return value;
}

static void *
return_balls(void *unused)
{
    for (int i = 0; i < trips; i++)
        throw_ball(&pongs[i], catch_ball(&pings[i]) + 1);
    return unused;
}

static void
play(double *us_a_trip)
{
    pthread_t other;
    int counted = bench_size(TRIPS);
    double start = 0;

    trips = 2 * counted;
    pings = new_balls();
    pongs = new_balls();
    bench_check(pthread_create(&other, NULL, return_balls, NULL) == 0);
    for (int i = 0; i < trips; i++) {
        if (i == trips - counted)
            start = bench_ns();
        throw_ball(&pings[i], i);
        bench_check(catch_ball(&pongs[i]) == i + 1);
    }
    *us_a_trip = (bench_ns() - start) / counted / 1e3;

    bench_check(pthread_join(other, NULL) == 0);
    free(pings);
    free(pongs);
}

int
main(int argc, char **argv)
{
    static const struct bench pingpong = {
        "vow", {{"pingpong", "us/round-trip"}}, play, 0};

    return bench_main(&pingpong, argc, argv);
}
