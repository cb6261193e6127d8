/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/boost_future.cc - Boost.Thread: boost::future with then and when_all on a
 * basic_thread_pool. No timers that can be cancelled, no event loop (Boost.Asio is the code
 * of asio.cc), no fork and join: try_executing_one helps with the oldest task first, and
 * fib(27) needs more stack than there is.
 */
#define BOOST_THREAD_VERSION 5
#include <boost/thread.hpp>
#include <boost/thread/executors/basic_thread_pool.hpp>
#include <boost/thread/future.hpp>
#include <thread>
#include <vector>

#include "peer.h"

using Pool = boost::executors::basic_thread_pool;

static void
post(double *values)
{
    const int n = bench_size(PEER_POSTS);
    Pool pool(bench_threads);
    double start = bench_ns();
    for (int i = 0; i < n; i++)
        pool.submit([] {});
    pool.close();
    pool.join();
    *values = (bench_ns() - start) / n;
}

static void
post_contended(double *values)
{
    const int each = bench_size(PEER_POSTS_EACH);
    Pool pool(bench_threads);
    std::vector<std::thread> producers;
    double start = bench_ns();
    for (int p = 0; p < PEER_PRODUCERS; p++)
        producers.emplace_back([&] {
            for (int i = 0; i < each; i++)
                pool.submit([] {});
        });
    for (auto &t : producers)
        t.join();
    pool.close();
    pool.join();
    *values = (bench_ns() - start) / PEER_PRODUCERS / each;
}

static void
submit_get(double *values)
{
    const int n = bench_size(PEER_TASKS);
    Pool pool(bench_threads);
    std::vector<boost::future<int>> futures(n);
    long sum = 0;
    double start = bench_ns();
    for (int r = 0; r < PEER_TIMES; r++) {
        for (int i = 0; i < n; i++)
            futures[i] = boost::async(pool, [i] { return i; });
        for (auto &f : futures)
            sum += f.get();
    }
    *values = (bench_ns() - start) / PEER_TIMES / n;
    bench_check(sum == long(n) * (n - 1) / 2 * PEER_TIMES);
}

static void
ready_then(double *values)
{
    const int n = bench_size(PEER_STEPS);
    double start = bench_ns();
    for (int i = 0; i < n; i++)
        boost::make_ready_future(i).then(
            boost::launch::sync, [](boost::future<int> f) { return f.get() + 1; });
    *values = (bench_ns() - start) / n;
}

static void
chain_inline(double *values)
{
    const int chains = bench_size(PEER_CHAINS);
    long sum = 0;
    double start = bench_ns();
    for (int c = 0; c < chains; c++) {
        boost::promise<int> p;
        boost::future<int> f = p.get_future();
        for (int i = 0; i < PEER_LINKS; i++)
            f = f.then(boost::launch::sync,
                       [](boost::future<int> v) { return v.get() + 1; });
        p.set_value(c);
        sum += f.get();
    }
    *values = (bench_ns() - start) / chains / PEER_LINKS;
    bench_check(sum == long(chains) * (chains - 1) / 2 + long(chains) * PEER_LINKS);
}

static void
chain_pool(double *values)
{
    const int chains = bench_size(PEER_CHAINS);
    Pool pool(bench_threads);
    long sum = 0;
    double start = bench_ns();
    for (int c = 0; c < chains; c++) {
        boost::promise<int> p;
        boost::future<int> f = p.get_future();
        for (int i = 0; i < PEER_LINKS; i++)
            f = f.then(pool, [](boost::future<int> v) { return v.get() + 1; });
        p.set_value(c);
        sum += f.get();
    }
    *values = (bench_ns() - start) / chains / PEER_LINKS;
    bench_check(sum == long(chains) * (chains - 1) / 2 + long(chains) * PEER_LINKS);
}

static void
when_all(double *values)
{
    const int joins = bench_size(PEER_CHAINS), n = PEER_LINKS;
    long sum = 0;
    double start = bench_ns();
    for (int j = 0; j < joins; j++) {
        std::vector<boost::promise<int>> promises(n);
        std::vector<boost::future<int>> futures;
        futures.reserve(n);
        for (auto &p : promises)
            futures.push_back(p.get_future());
        auto joint = boost::when_all(futures.begin(), futures.end());
        for (int i = 0; i < n; i++)
            promises[i].set_value(i);
        auto all = joint.get();
        for (auto &f : all)
            sum += f.get();
    }
    *values = (bench_ns() - start) / joins / n;
    bench_check(sum == long(joins) * n * (n - 1) / 2);
}

static void
pingpong(double *values)
{
    const int n = bench_size(PEER_TRIPS);
    std::vector<boost::promise<int>> p(n), q(n);
    std::vector<boost::future<int>> pf, qf;
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
    Pool pool(bench_threads);
    for (int i = 0; i < n; i++) {
        bench_pause_us(50);
        double start = bench_ns();
        boost::async(pool, [i] { return i; }).get();
        v[i] = (bench_ns() - start) / 1e3;
    }
    bench_latencies(v, n, values);
}

static void
mem(double *values)
{
    const int n = bench_size(PEER_PAIRS);
    std::vector<boost::promise<int>> promises(n);
    std::vector<boost::future<int>> results(n);
    for (auto &p : promises)
        p = boost::promise<int>(boost::promise<int>()); /* touch the vectors first */
    double before = bench_resident_bytes();
    for (int i = 0; i < n; i++) {
        promises[i] = boost::promise<int>();
        results[i] = promises[i].get_future().then(
            boost::launch::sync, [](boost::future<int> v) { return v.get() + 1; });
    }
    *values = (bench_resident_bytes() - before) / n;
}

static void
batch(double *values)
{
    Pool pool(bench_threads);
    const int n = bench_size(PEER_JOBS);
    uint64_t expected;
    double serial = peer_burn_here(n, &expected);
    std::vector<boost::future<uint64_t>> futures(n);
    double start = bench_ns();
    uint64_t sum = 0;
    for (int i = 0; i < n; i++)
        futures[i] = boost::async(pool, [i] { return peer_burn(uint64_t(i)); });
    for (auto &f : futures)
        sum += f.get();
    *values = serial / (bench_ns() - start);
    bench_check(sum == expected);
}

static Pool *traffic_pool;

static void
post_traffic(void (*run)(void *), void *arg)
{
    traffic_pool->submit([=] { run(arg); });
}

static void
burst(double *values)
{
    Pool pool(bench_threads);
    traffic_pool = &pool;
    traffic_bursts(post_traffic, values);
    pool.close();
    pool.join();
}

static void
fairness(double *values)
{
    Pool pool(bench_threads);
    traffic_pool = &pool;
    traffic_beside_flood(post_traffic, post_traffic, values);
    pool.close();
    pool.join();
}

static void
idle(double *values)
{
    Pool pool(bench_threads);
    traffic_pool = &pool;
    pool.submit([] {});
    bench_idle(values);
    pool.close();
    pool.join();
}

/* Two threads, four events a turn. */
static void
churn(double *values)
{
    const int n = bench_size(PEER_TURNS);
    double before = bench_resident_bytes(), start = bench_ns();
    auto turn_on = [=] {
        for (int i = 0; i < n; i++) {
            boost::promise<int> p;
            boost::future<int> f = p.get_future().then(
                boost::launch::sync, [](boost::future<int> v) { return v.get() + 1; });
            p.set_value(i);
            bench_check(f.get() == i + 1);
        }
    };
    std::thread one(turn_on), other(turn_on);
    one.join();
    other.join();
    values[0] = (bench_ns() - start) / 8 / n;
    values[1] = (bench_resident_bytes() - before) / 1024;
}

int
main(int argc, char **argv)
{
    static const peer_workload all[] = {
        {"post", {{"post", "ns/task"}}, post},
        {"post_contended", {{"post_contended", "ns/task"}}, post_contended},
        {"submit_get", {{"submit_get", "ns/task"}}, submit_get},
        {"ready_then", {{"ready_then", "ns/op"}}, ready_then},
        {"chain_inline", {{"chain_inline", "ns/link"}}, chain_inline},
        {"chain_pool", {{"chain_pool", "ns/hop"}}, chain_pool},
        {"when_all", {{"when_all", "ns/future"}}, when_all},
        {"pingpong", {{"pingpong", "us/round-trip"}}, pingpong},
        {"wake", {BENCH_LATENCIES("wake")}, wake},
        {"mem", {{"mem", "bytes"}}, mem},
        {"batch", {{"batch", "x"}}, batch},
        {"burst", {BENCH_LATENCIES("burst")}, burst},
        {"fairness", {BENCH_LATENCIES("fairness")}, fairness},
        {"idle", {BENCH_IDLE}, idle},
        {"churn", {{"churn", "ns/event"}, {"churn_grown", "KiB"}}, churn},
    };
    return PEER_MAIN("boost", all, argc, argv);
}
