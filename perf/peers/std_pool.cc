/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/std_pool.cc - what one writes by hand: a deque, a mutex, a condition variable,
 * std::packaged_task.
 */
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "peer.h"

class Pool
{
    std::mutex mutex;
    std::condition_variable nonempty;
    std::deque<std::move_only_function<void()>> queue;
    bool closed = false;
    std::vector<std::thread> threads;

    void run()
    {
        for (;;) {
            std::unique_lock lock(mutex);
            nonempty.wait(lock, [&] { return closed || !queue.empty(); });
            if (queue.empty())
                return;
            auto task = std::move(queue.front());
            queue.pop_front();
            lock.unlock();
            task();
        }
    }

  public:
    Pool()
    {
        for (unsigned i = 0; i < bench_threads; i++)
            threads.emplace_back([this] { run(); });
    }
    ~Pool()
    {
        drain();
    }
    void post(std::move_only_function<void()> f)
    {
        {
            std::lock_guard lock(mutex);
            queue.push_back(std::move(f));
        }
        nonempty.notify_one();
    }
    template <class F> auto submit(F f)
    {
        std::packaged_task<decltype(f())()> task(std::move(f));
        auto future = task.get_future();
        post(std::move(task));
        return future;
    }
    void drain()
    {
        {
            std::lock_guard lock(mutex);
            closed = true;
        }
        nonempty.notify_all();
        for (auto &t : threads)
            t.join();
        threads.clear();
    }
};

static void
post(double *values)
{
    const int n = bench_size(PEER_POSTS);
    Pool pool;
    double start = bench_ns();
    for (int i = 0; i < n; i++)
        pool.post([] {});
    pool.drain();
    *values = (bench_ns() - start) / n;
}

static void
post_contended(double *values)
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

static void
submit_get(double *values)
{
    const int n = bench_size(PEER_TASKS);
    Pool pool;
    std::vector<std::future<int>> futures(n);
    long sum = 0;
    double start = bench_ns();
    for (int r = 0; r < PEER_TIMES; r++) {
        for (int i = 0; i < n; i++)
            futures[i] = pool.submit([i] { return i; });
        for (auto &f : futures)
            sum += f.get();
    }
    *values = (bench_ns() - start) / PEER_TIMES / n;
    bench_check(sum == long(n) * (n - 1) / 2 * PEER_TIMES);
}

static void
wake(double *values)
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

static void
batch(double *values)
{
    Pool pool;
    const int n = bench_size(PEER_JOBS);
    uint64_t expected;
    double serial = peer_burn_here(n, &expected);
    std::vector<std::future<uint64_t>> futures(n);
    double start = bench_ns();
    uint64_t sum = 0;
    for (int i = 0; i < n; i++)
        futures[i] = pool.submit([i] { return peer_burn(uint64_t(i)); });
    for (auto &f : futures)
        sum += f.get();
    *values = serial / (bench_ns() - start);
    bench_check(sum == expected);
}

static Pool *traffic_pool;

static void
post_traffic(void (*run)(void *), void *arg)
{
    traffic_pool->post([=] { run(arg); });
}

static void
burst(double *values)
{
    Pool pool;
    traffic_pool = &pool;
    traffic_bursts(post_traffic, values);
    pool.drain();
}

static void
fairness(double *values)
{
    Pool pool;
    traffic_pool = &pool;
    traffic_beside_flood(post_traffic, post_traffic, values);
    pool.drain();
}

static void
idle(double *values)
{
    Pool pool;
    traffic_pool = &pool;
    pool.post([] {});
    bench_idle(values);
    pool.drain();
}

int
main(int argc, char **argv)
{
    static const peer_workload all[] = {
        {"post", {{"post", "ns/task"}}, post},
        {"post_contended", {{"post_contended", "ns/task"}}, post_contended},
        {"submit_get", {{"submit_get", "ns/task"}}, submit_get},
        {"wake", {BENCH_LATENCIES("wake")}, wake},
        {"batch", {{"batch", "x"}}, batch},
        {"burst", {BENCH_LATENCIES("burst")}, burst},
        {"fairness", {BENCH_LATENCIES("fairness")}, fairness},
        {"idle", {BENCH_IDLE}, idle},
    };
    return PEER_MAIN("std_pool", all, argc, argv);
}
