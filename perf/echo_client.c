/* SPDX-License-Identifier: MIT */
/* perf/echo_client.c - talks to the echo server at the port that comes first. */
#include "echo.h"

int
main(int argc, char **argv)
{
    static const struct bench client = {"echo", {{"echo", "req/s"}}, echo_round, 0};

    if (argc < 2)
        bench_usage(argv[0]);
    echo_connect(bench_number(argv[0], argv[1], 65535));
    return bench_measure(&client, argc - 1, argv + 1);
}
