/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/tbb.cc - oneTBB: task_group, task_arena::enqueue, flow graphs, parallel_for,
 * parallel_reduce, parallel_invoke, parallel_pipeline, bounded queues. No futures, timers or
 * event loop: a task leaves its result in a slot; chain_pool is a flow graph.
 */
#include <memory>
#include <oneapi/tbb/concurrent_queue.h>
#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/parallel_invoke.h>
#include <oneapi/tbb/parallel_pipeline.h>
#include <oneapi/tbb/parallel_reduce.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>
#include <semaphore>

#include "../ranges.h"
#include "pools.hh"

/* Main works too once it waits: 2 threads in all. */
static void
post(double *values)
{
    const int n = bench_size(PEER_POSTS);
    tbb::task_group group;
    double start = bench_ns();
    for (int i = 0; i < n; i++)
        group.run([] {});
    group.wait();
    *values = (bench_ns() - start) / n;
}

static void
post_contended(double *values)
{
    const int each = bench_size(PEER_POSTS_EACH);
    tbb::task_arena arena(int(bench_threads), 1);
    tbb::task_group group;
    std::vector<std::thread> producers;
    double start = bench_ns();
    for (int p = 0; p < PEER_PRODUCERS; p++)
        producers.emplace_back([&] {
            for (int i = 0; i < each; i++)
                arena.enqueue(group.defer([] {}));
        });
    for (auto &t : producers)
        t.join();
    arena.execute([&] { group.wait(); });
    *values = (bench_ns() - start) / PEER_PRODUCERS / each;
}

/* Slots instead of futures. */
static void
submit_get(double *values)
{
    const int n = bench_size(PEER_TASKS);
    std::vector<int> slot(n);
    tbb::task_group group;
    long sum = 0;
    double start = bench_ns();
    for (int r = 0; r < PEER_TIMES; r++) {
        for (int i = 0; i < n; i++)
            group.run([i, s = &slot[i]] { *s = i; });
        group.wait();
        for (int v : slot)
            sum += v;
    }
    *values = (bench_ns() - start) / PEER_TIMES / n;
    bench_check(sum == long(n) * (n - 1) / 2 * PEER_TIMES);
}

/* 1,000 flow-graph nodes in a row, built and run once each. */
static void
chain_pool(double *values)
{
    const int chains = bench_size(PEER_CHAINS);
    using Node = tbb::flow::function_node<int, int, tbb::flow::queueing>;
    long sum = 0;
    double start = bench_ns();
    for (int c = 0; c < chains; c++) {
        tbb::flow::graph graph;
        std::vector<std::unique_ptr<Node>> nodes;
        nodes.reserve(PEER_LINKS);
        int last = 0;
        for (int i = 0; i < PEER_LINKS; i++) {
            nodes.push_back(std::make_unique<Node>(
                graph, 1, [&last](int v) { return last = v + 1; }));
            if (i)
                tbb::flow::make_edge(*nodes[i - 1], *nodes[i]);
        }
        nodes[0]->try_put(c);
        graph.wait_for_all();
        sum += last;
    }
    *values = (bench_ns() - start) / chains / PEER_LINKS;
    bench_check(sum == long(chains) * (chains - 1) / 2 + long(chains) * PEER_LINKS);
}

/* One for all groups: a context each costs twice the time. */
static tbb::task_group_context *fib_context;

static long
fib(int n)
{
    if (n < 2)
        return n;
    long child;
    tbb::task_group group(*fib_context);
    group.run([&child, n] { child = fib(n - 1); });
    long other = fib(n - 2);
    group.wait();
    return child + other;
}

static void
measure_fib(long (*function)(int n), double *values)
{
    tbb::task_group_context context(tbb::task_group_context::isolated);
    fib_context = &context;
    double start = bench_ns();
    bench_check(function(PEER_FIB) == PEER_FIB_OF_IT);
    *values = (bench_ns() - start) / PEER_FIB_SPAWNS;
}

static void
fib27(double *values)
{
    measure_fib(fib, values);
}

/* The tasks lie on the stack of the caller. */
static long
fib_of_two(int n)
{
    if (n < 2)
        return n;
    long a, b;
    tbb::parallel_invoke([&a, n] { a = fib_of_two(n - 1); },
                         [&b, n] { b = fib_of_two(n - 2); }, *fib_context);
    return a + b;
}

static void
fib_join(double *values)
{
    measure_fib(fib_of_two, values);
}

/* Result through a semaphore: task_group.wait would run it in main. */
static void
wake(double *values)
{
    const int n = bench_size(PEER_WAKES);
    static double v[PEER_WAKES];
    tbb::task_arena arena(int(bench_threads), 0);
    std::binary_semaphore done(0);
    for (int i = 0; i < n; i++) {
        bench_pause_us(50);
        double start = bench_ns();
        arena.enqueue([&] { done.release(); });
        done.acquire();
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
    std::vector<uint64_t> slot(n);
    tbb::task_group group;
    double start = bench_ns();
    uint64_t sum = 0;
    for (int i = 0; i < n; i++)
        group.run([i, s = &slot[i]] { *s = peer_burn(uint64_t(i)); });
    group.wait();
    for (uint64_t v : slot)
        sum += v;
    *values = serial / (bench_ns() - start);
    bench_check(sum == expected);
}

static tbb::task_arena *traffic_arena;

static void
post_traffic(void (*run)(void *), void *arg)
{
    traffic_arena->enqueue([=] { run(arg); });
}

static void
burst(double *values)
{
    tbb::task_arena arena(int(bench_threads), 0);
    traffic_arena = &arena;
    traffic_bursts(post_traffic, values);
}

static void
fairness(double *values)
{
    tbb::task_arena arena(int(bench_threads), 0);
    traffic_arena = &arena;
    traffic_beside_flood(post_traffic, post_traffic, values);
}

static void
idle(double *values)
{
    tbb::task_arena arena(int(bench_threads), 0);
    traffic_arena = &arena;
    arena.enqueue([] {});
    bench_idle(values);
}

using Range = tbb::blocked_range<size_t>;

static void
loop(size_t n, range_body *body, void *array)
{
    tbb::parallel_for(Range(0, n),
                      [=](const Range &r) { body(r.begin(), r.end(), array); });
}

static void
parallel_for(double *values)
{
    range_measure_for(loop, values);
}

static uint64_t
sum_all(size_t n)
{
    return tbb::parallel_reduce(
        Range(0, n), uint64_t(0),
        [](const Range &r, uint64_t sum) { return sum + range_sum(r.begin(), r.end()); },
        [](uint64_t a, uint64_t b) { return a + b; });
}

struct Counting {
    const void *bytes;
    range_histogram counts = {};

    explicit Counting(const void *all) : bytes(all) {}
    Counting(Counting &other, tbb::split) : bytes(other.bytes) {}
    void operator()(const Range &r)
    {
        range_count(r.begin(), r.end(), bytes, &counts);
    }
    void join(const Counting &right)
    {
        range_add_counts(&counts, &right.counts);
    }
};

static void
count_all(size_t n, void *bytes, range_histogram *h)
{
    Counting counting(bytes);

    tbb::parallel_reduce(Range(0, n), counting);
    *h = counting.counts;
}

static void
map_reduce(double *values)
{
    range_measure_reduce(sum_all, count_all, values);
}

static void
channel(double *values)
{
    tbb::concurrent_bounded_queue<int64_t> queue;

    queue.set_capacity(PEER_PLACES);
    queue_channel([&](int64_t i) { queue.push(i); },
                  [&] {
                      int64_t i;
                      queue.pop(i);
                      return i;
                  },
                  values);
}

/* As many items at once as there are places in all stages; a task carries an item through
 * all of them. */
static void
pipeline(double *values)
{
    const int64_t n = bench_size(PEER_PIPED);
    int64_t next = 0, came = 0;
    auto pass = [](int64_t i) { return i; };
    auto stage = tbb::make_filter<int64_t, int64_t>(tbb::filter_mode::parallel, pass);
    auto source = tbb::make_filter<void, int64_t>(tbb::filter_mode::serial_in_order,
                                                  [&](tbb::flow_control &end) {
                                                      if (next == n)
                                                          end.stop();
                                                      return next < n ? next++ : n;
                                                  });
    auto sink = tbb::make_filter<int64_t, void>(tbb::filter_mode::serial_in_order,
                                                [&](int64_t i) { came += i == came; });
    double start = bench_ns();
    tbb::parallel_pipeline(PEER_STAGES * PEER_IN_STAGE,
                           source & stage & stage & stage & stage & sink);
    *values = (bench_ns() - start) / double(n) / PEER_STAGES;
    bench_check(came == n);
}

/* The main thread works as well where it waits, except in wake and in traffic from outside. */
static size_t
parallelism(int argc, char **argv)
{
    size_t threads = 2;

    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--threads") == 0)
            threads = size_t(atoi(argv[i + 1]));
    for (const char *name : {"wake", "burst", "fairness", "idle"})
        if (argc > 1 && strcmp(argv[1], name) == 0)
            threads++;
    return threads;
}

int
main(int argc, char **argv)
{
    static const peer_workload all[] = {
        {"post", {{"post", "ns/task"}}, post},
        {"post_contended", {{"post_contended", "ns/task"}}, post_contended},
        {"submit_get", {{"submit_get", "ns/task"}}, submit_get},
        {"chain_pool", {{"chain_pool", "ns/hop"}}, chain_pool},
        {"fib", {{"fib", "ns/spawn"}}, fib27},
        {"fib_join", {{"fib_join", "ns/spawn"}}, fib_join},
        {"wake", {BENCH_LATENCIES("wake")}, wake},
        {"batch", {{"batch", "x"}}, batch},
        {"parallel_for", {RANGE_FOR_FIGURES}, parallel_for},
        {"map_reduce", {RANGE_REDUCE_FIGURES}, map_reduce},
        {"channel", {{"channel", "ns/item"}}, channel},
        {"pipeline", {{"pipeline", "ns/item"}}, pipeline},
        {"burst", {BENCH_LATENCIES("burst")}, burst},
        {"fairness", {BENCH_LATENCIES("fairness")}, fairness},
        {"idle", {BENCH_IDLE}, idle},
    };
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                              parallelism(argc, argv));
    return PEER_MAIN("tbb", all, argc, argv);
}
