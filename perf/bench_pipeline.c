/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_pipeline.c - numbers through stages that do nothing: what an item costs in
 * each of four, on a pool and inline, and in a pipeline of one; and by how much the process
 * has grown meanwhile. No item is lost, and they come out in order.
 */
#include "bench.h"

enum { ITEMS = 500000, STAGES = 4, WIDTH = 8, BUFFER = 8 };

struct work {
    int64_t items;
    int64_t next;
    int64_t came;
    double before;
};

static bool
give(vow_value *item, void *ctx)
{
    struct work *w = ctx;

    if (w->next == w->items / 100)
        w->before = bench_resident_bytes();
    *item = vow_i64(w->next);
    return w->next++ < w->items;
}

static vow_result
pass(vow_value item, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(item.as.i64));
}

static void
take(size_t index, vow_value item, void *ctx)
{
    struct work *w = ctx;

    bench_check(item.as.i64 == w->came && (int64_t)index == w->came);
    w->came++;
}

/* Returns what an item costs in a stage. */
static double
run(vow_executor *on, size_t stages, double *grown)
{
    const vow_stage stage =
        VOW_STAGE(.on = on, .fn = pass, .width = WIDTH, .buffer = BUFFER);
    vow_stage all[STAGES];
    struct work w = {.items = bench_size(ITEMS)};
    double start = bench_ns();
    vow_future *f;

    for (size_t i = 0; i < stages; i++)
        all[i] = stage;
    f = vow_pipeline_run(&VOW_PIPELINE_OPTIONS(.sink = take, .ctx = &w),
                         &VOW_FEED(.next = give, .ctx = vow_ptr(&w)), all, stages);
    bench_check(vow_get(f).value.as.u64 == (uint64_t)w.items && w.came == w.items);
    vow_unref(f);
    *grown = (bench_resident_bytes() - w.before) / 1024;
    return (bench_ns() - start) / (double)w.items / (double)stages;
}

static void
measure(double *values)
{
    vow_executor *pool = bench_pool();
    double unused;

    values[0] = run(pool, STAGES, &values[3]);
    values[1] = run(NULL, STAGES, &unused);
    values[2] = run(pool, 1, &unused);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench pipeline = {"vow",
                                          {{"pipeline", "ns/item"},
                                           {"pipeline_inline", "ns/item"},
                                           {"pipeline_one", "ns/item"},
                                           {"pipeline_grown", "KiB"}},
                                          measure,
                                          5};

    return bench_main(&pipeline, argc, argv);
}
