/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_race.c - ten million races against one loser that never settles: what one
 * costs, and by how much the process has grown at the end. Each race has a winner that
 * was pending when it was made, so it hangs on the loser and is taken off again.
 */
#include <unistd.h>

#include "bench.h"

enum { RACES = 10000000, WARM = 100000 };

static double
resident_bytes(void)
{
    FILE *statm = fopen("/proc/self/statm", "r");
    long size, pages = 0;

    bench_check(statm != NULL && fscanf(statm, "%ld %ld", &size, &pages) == 2);
    fclose(statm);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void
race(vow_future *immortal, int64_t i)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_race(VOW_FUTURES(vow_ref(immortal), vow_promise_future(p)));

    vow_promise_fulfill(p, vow_i64(i));
    vow_promise_unref(p);
    bench_check(vow_get(f).value.as.i64 == i);
    vow_unref(f);
}

static void
race_all(double *values)
{
    vow_promise *never = vow_promise_new();
    vow_future *immortal = vow_promise_future(never);
    double start, before;

    for (int64_t i = 0; i < WARM; i++)
        race(immortal, i);
    before = resident_bytes();
    start = bench_ns();
    for (int64_t i = 0; i < RACES; i++)
        race(immortal, i);
    values[0] = (bench_ns() - start) / RACES;
    values[1] = (resident_bytes() - before) / 1024;
    vow_promise_fulfill(never, VOW_NIL);
    vow_promise_unref(never);
    vow_unref(immortal);
}

int
main(int argc, char **argv)
{
    static const struct bench bench_race = {
        "vow", {{"race", "ns/race"}, {"race_grown", "KiB"}}, race_all, 3};

    return bench_main(&bench_race, argc, argv);
}
