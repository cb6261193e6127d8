/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/std_pool.cc - what one writes by hand: a deque, a mutex, a condition variable,
 * std::packaged_task; and the same with a limit, between two threads.
 */
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>

#include "pools.hh"

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

class Bounded
{
    std::mutex mutex;
    std::condition_variable nonempty, nonfull;
    std::deque<int64_t> queue;

  public:
    void push(int64_t i)
    {
        {
            std::unique_lock lock(mutex);
            nonfull.wait(lock, [&] { return queue.size() < PEER_PLACES; });
            queue.push_back(i);
        }
        nonempty.notify_one();
    }
    int64_t pop()
    {
        std::unique_lock lock(mutex);
        nonempty.wait(lock, [&] { return !queue.empty(); });
        int64_t i = queue.front();
        queue.pop_front();
        lock.unlock();
        nonfull.notify_one();
        return i;
    }
};

static void
channel(double *values)
{
    Bounded queue;
    queue_channel([&](int64_t i) { queue.push(i); }, [&] { return queue.pop(); }, values);
}

int
main(int argc, char **argv)
{
    static const peer_workload all[] = {
        POOL_WORKLOADS(Pool),
        {"channel", {{"channel", "ns/item"}}, channel},
    };
    return PEER_MAIN("std_pool", all, argc, argv);
}
