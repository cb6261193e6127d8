/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_map.c - ten million numbers through a window of 64 on a pool, from a
 * generator, the results taken as they come: what one costs, and by how much the process
 * has grown. It counts how many are in flight, and that none is lost.
 */
#include <stdatomic.h>
#include <unistd.h>

#include "bench.h"

enum { ITEMS = 10000000, WINDOW = 64 };

struct work {
    int64_t next;
    int64_t sum;
    atomic_int running;
    atomic_int most;
    double before;
};

static double
resident_bytes(void)
{
    FILE *statm = fopen("/proc/self/statm", "r");
    long size, pages = 0;

    bench_check(statm != NULL && fscanf(statm, "%ld %ld", &size, &pages) == 2);
    fclose(statm);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* Notes what is resident when the first hundredth has gone through. */
static bool
give(vow_value *item, void *ctx)
{
    struct work *w = ctx;

    if (w->next == ITEMS / 100)
        w->before = resident_bytes();
    *item = vow_i64(w->next);
    return w->next++ < ITEMS;
}

static vow_result
pass(vow_value item, void *ctx)
{
    struct work *w = ctx;
    int now = atomic_fetch_add_explicit(&w->running, 1, memory_order_relaxed) + 1;

    if (now > atomic_load_explicit(&w->most, memory_order_relaxed))
        atomic_store_explicit(&w->most, now, memory_order_relaxed);
    atomic_fetch_sub_explicit(&w->running, 1, memory_order_relaxed);
    return vow_ok(vow_i64(item.as.i64));
}

static void
add(size_t index, vow_view result, void *ctx)
{
    struct work *w = ctx;

    (void)index;
    w->sum += result.value.as.i64;
}

static void
map_all(double *values)
{
    vow_executor *pool = bench_pool();
    struct work w = {0};
    double start = bench_ns();
    vow_future *f =
        vow_map_from(pool, &VOW_MAP_OPTIONS(.limit = WINDOW, .each = add, .each_ctx = &w),
                     give, vow_ptr(&w), pass, vow_ptr(&w));

    bench_check(vow_get(f).value.as.u64 == ITEMS);
    values[0] = (bench_ns() - start) / ITEMS;
    values[1] = (resident_bytes() - w.before) / 1024;
    bench_check(w.sum == (int64_t)ITEMS * (ITEMS - 1) / 2 && w.most <= WINDOW);
    vow_unref(f);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench map = {
        "vow", {{"map", "ns/item"}, {"map_grown", "KiB"}}, map_all, 3};

    return bench_main(&map, argc, argv);
}
