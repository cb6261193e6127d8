/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/std_async.cc - the C++ library as it comes: std::async (one thread a task),
 * std::promise, std::future. No then, no when_all, no pool, no timers, no loop.
 */
#include <future>
#include <thread>
#include <vector>

#include "peer.h"

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

static void
pingpong(double *values)
{
    const int n = bench_size(PEER_TRIPS);
    std::vector<std::promise<int>> p(n), q(n);
    std::vector<std::future<int>> pf, qf;
    for (int i = 0; i < n; i++) {
        pf.push_back(p[i].get_future());
        qf.push_back(q[i].get_future());
    }
    std::thread b([&] {
        for (int i = 0; i < n; i++)
            q[i].set_value(pf[i].get());
    });
    double start = bench_ns();
    for (int i = 0; i < n; i++) {
        p[i].set_value(i);
        qf[i].get();
    }
    *values = (bench_ns() - start) / 1e3 / n;
    b.join();
}

static void
wake(double *values)
{
    const int n = bench_size(PEER_WAKES);
    static double v[PEER_WAKES];
    for (int i = 0; i < n; i++) {
        bench_pause_us(50);
        double start = bench_ns();
        std::async(std::launch::async, [i] { return i; }).get();
        v[i] = (bench_ns() - start) / 1e3;
    }
    bench_latencies(v, n, values);
}

static void
batch(double *values)
{
    const int n = bench_size(PEER_JOBS);
    uint64_t expected;
    double serial = peer_burn_here(n, &expected);
    std::vector<std::future<uint64_t>> futures;
    futures.reserve(n);
    double start = bench_ns();
    uint64_t sum = 0;
    for (int i = 0; i < n; i++)
        futures.push_back(std::async(std::launch::async, peer_burn, uint64_t(i)));
    for (auto &f : futures)
        sum += f.get();
    *values = serial / (bench_ns() - start);
    bench_check(sum == expected);
}

int
main(int argc, char **argv)
{
    static const peer_workload all[] = {
        {"submit_get", {{"submit_get", "ns/task"}}, submit_get},
        {"pingpong", {{"pingpong", "us/round-trip"}}, pingpong},
        {"wake", {BENCH_LATENCIES("wake")}, wake},
        {"batch", {{"batch", "x"}}, batch},
    };
    return PEER_MAIN("std_async", all, argc, argv);
}
