/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/pools.hh - the rounds that peers in C++ have in common. A Pool is a class
 * with bench_threads threads that has post(f), submit(f), which returns something with
 * get(), and drain(), which returns when all has run and ends the threads.
 */
#ifndef VOW_PERF_POOLS_HH
#define VOW_PERF_POOLS_HH

#include <thread>
#include <vector>

#include "peer.h"

template <class Pool>
static void
pool_post(double *values)
{
    const int n = bench_size(PEER_POSTS);
    Pool pool;
    double start = bench_ns();
    for (int i = 0; i < n; i++)
        pool.post([] {});
    pool.drain();
    *values = (bench_ns() - start) / n;
}

template <class Pool>
static void
pool_post_contended(double *values)
{
    const int each = bench_size(PEER_POSTS_EACH);
    Pool pool;
    std::vector<std::thread> producers;
    double start = bench_ns();
    for (int p = 0; p < PEER_PRODUCERS; p++)
        producers.emplace_back([&] {
            for (int i = 0; i < each; i++)
                pool.post([] {});
        });
    for (auto &t : producers)
        t.join();
    pool.drain();
    *values = (bench_ns() - start) / PEER_PRODUCERS / each;
}

/* Returns room for n futures of what f gives. */
template <class Pool, class F>
static auto
pool_futures(Pool &pool, int n, F f)
{
    return std::vector<decltype(pool.submit([=] { return f(0); }))>(size_t(n));
}

/* Submits f(i) for each future, then gets all; returns the sum of what they gave. */
template <class Pool, class Futures, class F>
static auto
pool_sum(Pool &pool, Futures &futures, F f)
{
    decltype(f(0)) sum = 0;
    int i = 0;
    for (auto &future : futures) {
        future = pool.submit([=] { return f(i); });
        i++;
    }
    for (auto &future : futures)
        sum += future.get();
    return sum;
}

template <class Pool>
static void
pool_submit_get(double *values)
{
    const int n = bench_size(PEER_TASKS);
    auto number = [](int i) { return long(i); };
    Pool pool;
    auto futures = pool_futures(pool, n, number);
    long sum = 0;
    double start = bench_ns();
    for (int r = 0; r < PEER_TIMES; r++)
        sum += pool_sum(pool, futures, number);
    *values = (bench_ns() - start) / PEER_TIMES / n;
    bench_check(sum == long(n) * (n - 1) / 2 * PEER_TIMES);
}

template <class Pool>
static void
pool_wake(double *values)
{
    const int n = bench_size(PEER_WAKES);
    static double v[PEER_WAKES];
    Pool pool;
    for (int i = 0; i < n; i++) {
        bench_pause_us(50);
        double start = bench_ns();
        pool.submit([i] { return i; }).get();
        v[i] = (bench_ns() - start) / 1e3;
    }
    bench_latencies(v, n, values);
}

template <class Pool>
static void
pool_batch(double *values)
{
    const int n = bench_size(PEER_JOBS);
    uint64_t expected;
    double serial = peer_burn_here(n, &expected);
    auto burn = [](int i) { return peer_burn(uint64_t(i)); };
    Pool pool;
    auto futures = pool_futures(pool, n, burn);
    double start = bench_ns();
    uint64_t sum = pool_sum(pool, futures, burn);
    *values = serial / (bench_ns() - start);
    bench_check(sum == expected);
}

/* traffic_post has no room for a pool. */
template <class Pool> static Pool *pool_of_traffic;

template <class Pool>
static void
pool_post_traffic(void (*run)(void *), void *arg)
{
    pool_of_traffic<Pool>->post([=] { run(arg); });
}

template <class Pool>
static void
pool_burst(double *values)
{
    Pool pool;
    pool_of_traffic<Pool> = &pool;
    traffic_bursts(pool_post_traffic<Pool>, values);
    pool.drain();
}

template <class Pool>
static void
pool_fairness(double *values)
{
    Pool pool;
    pool_of_traffic<Pool> = &pool;
    traffic_beside_flood(pool_post_traffic<Pool>, pool_post_traffic<Pool>, values);
    pool.drain();
}

template <class Pool>
static void
pool_idle(double *values)
{
    Pool pool;
    pool.post([] {});
    bench_idle(values);
    pool.drain();
}

#define POOL_WORKLOADS(Pool)                                                             \
    {"post", {{"post", "ns/task"}}, pool_post<Pool>},                                    \
        {"post_contended", {{"post_contended", "ns/task"}}, pool_post_contended<Pool>},  \
        {"submit_get", {{"submit_get", "ns/task"}}, pool_submit_get<Pool>},              \
        {"wake", {BENCH_LATENCIES("wake")}, pool_wake<Pool>},                            \
        {"batch", {{"batch", "x"}}, pool_batch<Pool>},                                   \
        {"burst", {BENCH_LATENCIES("burst")}, pool_burst<Pool>},                         \
        {"fairness", {BENCH_LATENCIES("fairness")}, pool_fairness<Pool>},                \
    {                                                                                    \
        "idle", {BENCH_IDLE}, pool_idle<Pool>                                            \
    }

/* Two threads that wait for each other by promises, which are made beforehand. */
template <class Promise>
static void
future_pingpong(double *values)
{
    const int counted = bench_size(PEER_TRIPS), n = 2 * counted; /* bench_pingpong.c says why */
    std::vector<Promise> p(n), q(n);
    std::vector<decltype(p[0].get_future())> pf, qf;
    for (int i = 0; i < n; i++) {
        pf.push_back(p[i].get_future());
        qf.push_back(q[i].get_future());
    }
    std::thread other([&] {
        for (int i = 0; i < n; i++)
            q[i].set_value(pf[i].get());
    });
    double start = 0;
    for (int i = 0; i < n; i++) {
        if (i == n - counted)
            start = bench_ns();
        p[i].set_value(i);
        qf[i].get();
    }
    *values = (bench_ns() - start) / 1e3 / counted;
    other.join();
}

/* A thread sends numbers, this one receives them; both sleep where they have to wait. */
template <class Send, class Receive>
static void
queue_channel(Send send, Receive receive, double *values)
{
    const int64_t counted = bench_size(PEER_ITEMS), n = 2 * counted; /* bench_channel.c says why */
    int64_t sum = 0;
    double start = 0;
    std::thread sender([=] {
        for (int64_t i = 0; i < n; i++)
            send(i);
    });
    for (int64_t i = 0; i < n; i++) {
        if (i == n - counted)
            start = bench_ns();
        sum += receive();
    }
    *values = (bench_ns() - start) / double(counted);
    sender.join();
    bench_check(sum == n * (n - 1) / 2);
}

#endif
