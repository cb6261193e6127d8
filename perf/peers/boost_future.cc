/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/boost_future.cc - Boost.Thread: boost::future with then and when_all on a
 * basic_thread_pool. No timers that can be cancelled, no event loop (Boost.Asio is the code
 * of asio.cc), no fork and join: try_executing_one helps with the oldest task first, and
 * fib(27) needs more stack than there is.
 */
#define BOOST_THREAD_VERSION 5
#include <boost/thread.hpp>
#include <boost/thread/concurrent_queues/sync_bounded_queue.hpp>
#include <boost/thread/executors/basic_thread_pool.hpp>
#include <boost/thread/future.hpp>

#include "pools.hh"

class Pool
{
    boost::executors::basic_thread_pool pool{bench_threads};

  public:
    template <class F> void post(F f)
    {
        pool.submit(std::move(f));
    }
    template <class F> auto submit(F f)
    {
        return boost::async(pool, std::move(f));
    }
    void drain()
    {
        pool.close();
        pool.join();
    }
};

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
    boost::executors::basic_thread_pool pool(bench_threads);
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
channel(double *values)
{
    boost::sync_bounded_queue<int64_t> queue(PEER_PLACES);
    queue_channel([&](int64_t i) { queue.push_back(i); },
                  [&] { return queue.pull_front(); }, values);
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
        POOL_WORKLOADS(Pool),
        {"ready_then", {{"ready_then", "ns/op"}}, ready_then},
        {"chain_inline", {{"chain_inline", "ns/link"}}, chain_inline},
        {"chain_pool", {{"chain_pool", "ns/hop"}}, chain_pool},
        {"when_all", {{"when_all", "ns/future"}}, when_all},
        {"pingpong",
         {{"pingpong", "us/round-trip"}},
         future_pingpong<boost::promise<int>>},
        {"channel", {{"channel", "ns/item"}}, channel},
        {"mem", {{"mem", "bytes"}}, mem},
        {"churn", {{"churn", "ns/event"}, {"churn_grown", "KiB"}}, churn},
    };
    return PEER_MAIN("boost", all, argc, argv);
}
