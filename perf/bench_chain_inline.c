/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_chain_inline.c - chains of a thousand steps that run in the thread
 * that settles.
 */
#include "chain.h"

static void
pass_inline(double *ns_a_link)
{
    *ns_a_link = chain_all(NULL);
}

int
main(int argc, char **argv)
{
    static const struct bench chain_inline = {
        "vow", {{"chain_inline", "ns/link"}}, pass_inline, 0};

    return bench_main(&chain_inline, argc, argv);
}
