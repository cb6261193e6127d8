/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_chain_pool.c - chains of a thousand steps, each of which is scheduled
 * on a pool.
 */
#include "chain.h"

static void
pass_through_pool(double *ns_a_hop)
{
    vow_executor *pool = bench_pool();

    *ns_a_hop = chain_all(pool);
    bench_free_pool(pool);
}

int
main(int argc, char **argv)
{
    static const struct bench chain_pool = {
        "vow", {{"chain_pool", "ns/hop"}}, pass_through_pool, 0};

    return bench_main(&chain_pool, argc, argv);
}
