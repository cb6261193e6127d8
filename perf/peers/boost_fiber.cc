/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/boost_fiber.cc - Boost.Fiber: promises and bounded channels that let a fiber
 * wait, and its thread sleep if it has no other. No then and no when_all, no timers that can be
 * cancelled, no loop, and no pool that takes tasks from outside.
 */
#include <boost/fiber/all.hpp>
#include <memory>

#include "pools.hh"

static void
channel(double *values)
{
    boost::fibers::buffered_channel<int64_t> numbers(PEER_PLACES); /* one stays empty */
    queue_channel([&](int64_t i) { numbers.push(i); },
                  [&] { return numbers.value_pop(); }, values);
}

/* A fiber a stage, all on this thread, which keeps the order. */
static void
pipeline(double *values)
{
    using Numbers = boost::fibers::buffered_channel<int64_t>;
    const int64_t n = bench_size(PEER_PIPED);
    std::vector<std::unique_ptr<Numbers>> between;
    std::vector<boost::fibers::fiber> stages;
    for (int i = 0; i <= PEER_STAGES; i++)
        between.push_back(std::make_unique<Numbers>(PEER_IN_STAGE));
    double start = bench_ns();
    stages.emplace_back([&] {
        for (int64_t i = 0; i < n; i++)
            between[0]->push(i);
        between[0]->close();
    });
    for (int s = 0; s < PEER_STAGES; s++)
        stages.emplace_back([&, s] {
            for (int64_t i : *between[s])
                between[s + 1]->push(i);
            between[s + 1]->close();
        });
    int64_t came = 0;
    for (int64_t i : *between[PEER_STAGES])
        came += i == came;
    for (auto &stage : stages)
        stage.join();
    *values = (bench_ns() - start) / double(n) / PEER_STAGES;
    bench_check(came == n);
}

static void
fiber_switch(double *values)
{
    const int64_t n = bench_size(10000000) / 2;
    auto turns = [n] {
        for (int64_t i = 0; i < n; i++)
            boost::this_fiber::yield();
    };
    double start = bench_ns();
    boost::fibers::fiber one(turns), other(turns);
    one.join();
    other.join();
    *values = (bench_ns() - start) / double(n) / 2;
}

int
main(int argc, char **argv)
{
    static const peer_workload all[] = {
        {"pingpong",
         {{"pingpong", "us/round-trip"}},
         future_pingpong<boost::fibers::promise<int>>},
        {"channel", {{"channel", "ns/item"}}, channel},
        {"pipeline", {{"pipeline", "ns/item"}}, pipeline},
        {"fiber_switch", {{"fiber_switch", "ns/switch"}}, fiber_switch},
    };
    return PEER_MAIN("fiber", all, argc, argv);
}
