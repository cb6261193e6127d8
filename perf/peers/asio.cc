/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/asio.cc - standalone Asio: a thread_pool and use_future, steady_timer, an
 * io_context, TCP. A std::future has no then and no when_all; there is no fork and join.
 */
#include <asio.hpp>
#include <future>
#include <thread>
#include <vector>

#include "peer.h"

static void
post(double *values)
{
    const int n = bench_size(PEER_POSTS);
    asio::thread_pool pool(bench_threads);
    double start = bench_ns();
    for (int i = 0; i < n; i++)
        asio::post(pool, [] {});
    pool.join();
    *values = (bench_ns() - start) / n;
}

static void
post_contended(double *values)
{
    const int each = bench_size(PEER_POSTS_EACH);
    asio::thread_pool pool(bench_threads);
    std::vector<std::thread> producers;
    double start = bench_ns();
    for (int p = 0; p < PEER_PRODUCERS; p++)
        producers.emplace_back([&] {
            for (int i = 0; i < each; i++)
                asio::post(pool, [] {});
        });
    for (auto &t : producers)
        t.join();
    pool.join();
    *values = (bench_ns() - start) / PEER_PRODUCERS / each;
}

template <class F>
static auto
submit(asio::thread_pool &pool, F f)
{
    return asio::post(pool.get_executor(), asio::use_future(std::move(f)));
}

static void
submit_get(double *values)
{
    const int n = bench_size(PEER_TASKS);
    asio::thread_pool pool(bench_threads);
    std::vector<std::future<int>> futures(n);
    long sum = 0;
    double start = bench_ns();
    for (int r = 0; r < PEER_TIMES; r++) {
        for (int i = 0; i < n; i++)
            futures[i] = submit(pool, [i] { return i; });
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
    asio::thread_pool pool(bench_threads);
    for (int i = 0; i < n; i++) {
        bench_pause_us(50);
        double start = bench_ns();
        submit(pool, [i] { return i; }).get();
        v[i] = (bench_ns() - start) / 1e3;
    }
    bench_latencies(v, n, values);
}

static void
timer_cancel(double *values)
{
    const int n = bench_size(PEER_TIMERS);
    static const unsigned *order = bench_shuffled(n);
    asio::io_context loop(1);
    uint64_t seed = 7;
    std::vector<std::chrono::milliseconds> delay(n);
    for (auto &d : delay)
        d = std::chrono::milliseconds(1000 + bench_random(&seed) % 59000);
    std::vector<asio::steady_timer> timers;
    timers.reserve(n);
    double start = bench_ns();
    for (int i = 0; i < n; i++) {
        timers.emplace_back(loop, delay[i]);
        timers.back().async_wait([](const asio::error_code &) {});
    }
    for (int i = 0; i < n; i++)
        timers[order[i]].cancel();
    loop.run(); /* delivers the aborted handlers */
    *values = (bench_ns() - start) / n;
}

static void
timer_fire(double *values)
{
    const int n = bench_size(PEER_FIRES);
    static double lateness[PEER_FIRES];
    asio::io_context loop(1);
    uint64_t seed = 9;
    std::vector<asio::steady_timer> timers;
    timers.reserve(n);
    for (int i = 0; i < n; i++) {
        auto due = std::chrono::steady_clock::now() +
                   std::chrono::nanoseconds(bench_random(&seed) % 500000000);
        timers.emplace_back(loop, due);
        timers.back().async_wait([i, due](const asio::error_code &) {
            lateness[i] = std::chrono::duration<double, std::micro>(
                              std::chrono::steady_clock::now() - due)
                              .count();
        });
    }
    loop.run();
    bench_latencies(lateness, n, values);
}

static void
loop_post(double *values)
{
    const int n = bench_size(PEER_POSTS);
    asio::io_context loop(1);
    auto guard = asio::make_work_guard(loop);
    int ran = 0;
    double start = bench_ns();
    std::thread poster([&] {
        for (int i = 0; i < n; i++)
            asio::post(loop, [&] {
                if (++ran == n)
                    guard.reset();
            });
    });
    loop.run();
    *values = (bench_ns() - start) / n;
    poster.join();
}

static void
batch(double *values)
{
    asio::thread_pool pool(bench_threads);
    const int n = bench_size(PEER_JOBS);
    uint64_t expected;
    double serial = peer_burn_here(n, &expected);
    std::vector<std::future<uint64_t>> futures(n);
    double start = bench_ns();
    uint64_t sum = 0;
    for (int i = 0; i < n; i++)
        futures[i] = submit(pool, [i] { return peer_burn(uint64_t(i)); });
    for (auto &f : futures)
        sum += f.get();
    *values = serial / (bench_ns() - start);
    bench_check(sum == expected);
}

static asio::thread_pool *traffic_pool;

static void
post_traffic(void (*run)(void *), void *arg)
{
    asio::post(*traffic_pool, [=] { run(arg); });
}

static void
burst(double *values)
{
    asio::thread_pool pool(bench_threads);
    traffic_pool = &pool;
    traffic_bursts(post_traffic, values);
    pool.join();
}

static void
fairness(double *values)
{
    asio::thread_pool pool(bench_threads);
    traffic_pool = &pool;
    traffic_beside_flood(post_traffic, post_traffic, values);
    pool.join();
}

static void
idle(double *values)
{
    asio::thread_pool pool(bench_threads);
    traffic_pool = &pool;
    asio::post(pool, [] {});
    bench_idle(values);
    pool.join();
}

using asio::ip::tcp;

struct Session : std::enable_shared_from_this<Session> {
    tcp::socket socket;
    char buffer[4096];
    explicit Session(tcp::socket s) : socket(std::move(s)) {}
    void read()
    {
        socket.async_read_some(asio::buffer(buffer),
                               [self = shared_from_this()](asio::error_code e, size_t n) {
                                   if (!e)
                                       self->write(n);
                               });
    }
    void write(size_t n)
    {
        asio::async_write(socket, asio::buffer(buffer, n),
                          [self = shared_from_this()](asio::error_code e, size_t) {
                              if (!e)
                                  self->read();
                          });
    }
};

static void
accept(tcp::acceptor &acceptor)
{
    acceptor.async_accept([&](asio::error_code e, tcp::socket s) {
        if (e)
            return;
        s.set_option(tcp::no_delay(true));
        std::make_shared<Session>(std::move(s))->read();
        accept(acceptor);
    });
}

static int
echo(int port)
{
    asio::io_context loop(1);
    tcp::acceptor acceptor(
        loop, {asio::ip::address_v4::loopback(), static_cast<unsigned short>(port)});
    accept(acceptor);
    loop.run();
    return 0;
}

int
main(int argc, char **argv)
{
    static const peer_workload all[] = {
        {"post", {{"post", "ns/task"}}, post},
        {"post_contended", {{"post_contended", "ns/task"}}, post_contended},
        {"submit_get", {{"submit_get", "ns/task"}}, submit_get},
        {"wake", {BENCH_LATENCIES("wake")}, wake},
        {"timer_cancel", {{"timer_cancel", "ns/timer"}}, timer_cancel},
        {"timer_fire", {BENCH_LATENCIES("timer_fire")}, timer_fire},
        {"loop_post", {{"loop_post", "ns/post"}}, loop_post},
        {"batch", {{"batch", "x"}}, batch},
        {"burst", {BENCH_LATENCIES("burst")}, burst},
        {"fairness", {BENCH_LATENCIES("fairness")}, fairness},
        {"idle", {BENCH_IDLE}, idle},
    };
    if (argc == 3 && strcmp(argv[1], "echo") == 0)
        return echo(atoi(argv[2]));
    return PEER_MAIN("asio", all, argc, argv);
}
