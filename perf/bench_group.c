/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_group.c - a hundred thousand children of one group on a pool of four, which
 * do nothing, posted and joined; the same with at most eight at a time; and for comparison
 * the same tasks submitted, and joined by one when_all.
 */
#include "bench.h"

#include <stdlib.h>

enum { CHILDREN = 100000 };

static vow_executor *pool;

static vow_result
nothing(void *ctx)
{
    (void)ctx;
    return vow_ok(VOW_NIL);
}

static double
in_a_group(size_t limit, int children)
{
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.limit = limit));
    double start = bench_ns();
    vow_future *f;

    for (int i = 0; i < children; i++)
        vow_group_post(g, pool, nothing, VOW_NIL);
    f = vow_group_join(g);
    bench_check(vow_get(f).error == NULL);
    vow_unref(f);
    return (bench_ns() - start) / children;
}

static double
in_when_all(int children)
{
    vow_future **fs = calloc((size_t)children, sizeof(vow_future *));
    double start = bench_ns();
    vow_future *f;

    bench_check(fs != NULL);
    for (int i = 0; i < children; i++)
        fs[i] = vow_submit(pool, nothing, VOW_NIL);
    f = vow_when_all(fs, (size_t)children);
    bench_check(vow_get(f).error == NULL);
    vow_unref(f);
    free(fs);
    return (bench_ns() - start) / children;
}

static void
join_children(double *ns_a_child)
{
    int children = bench_size(CHILDREN);

    pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 4));
    bench_check(pool != NULL);
    ns_a_child[0] = in_a_group(0, children);
    ns_a_child[1] = in_a_group(8, children);
    ns_a_child[2] = in_when_all(children);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    vow_executor_join(pool);
    vow_executor_unref(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench group = {"vow",
                                       {{"group", "ns/child"},
                                        {"group_in_line", "ns/child"},
                                        {"group_when_all", "ns/child"}},
                                       join_children,
                                       0};

    return bench_main(&group, argc, argv);
}
