/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/std_async.cc - the C++ library as it comes: std::async (one thread a task),
 * std::promise, std::future. No then, no when_all, no pool, no timers, no loop.
 */
#include <future>

#include "pools.hh"

/* A thread for each task. */
struct Threads {
    template <class F> auto submit(F f)
    {
        return std::async(std::launch::async, f);
    }
};

/* Once 10,000: as many threads as tasks are all that the system has. */
static void
submit_get(double *values)
{
    const int n = bench_size(PEER_TASKS / 10);
    std::vector<std::future<int>> futures;
    futures.reserve(n);
    double start = bench_ns();
    long sum = 0;
    for (int i = 0; i < n; i++)
        futures.push_back(std::async(std::launch::async, [i] { return i; }));
    for (auto &f : futures)
        sum += f.get();
    *values = (bench_ns() - start) / n;
    bench_check(sum == long(n) * (n - 1) / 2);
}

int
main(int argc, char **argv)
{
    static const peer_workload all[] = {
        {"submit_get", {{"submit_get", "ns/task"}}, submit_get},
        {"pingpong", {{"pingpong", "us/round-trip"}}, future_pingpong<std::promise<int>>},
        {"wake", {BENCH_LATENCIES("wake")}, pool_wake<Threads>},
        {"batch", {{"batch", "x"}}, pool_batch<Threads>},
    };
    return PEER_MAIN("std_async", all, argc, argv);
}
