/* SPDX-License-Identifier: MIT */
/*
 * perf/peers/asio.cc - standalone Asio: a thread_pool and use_future, steady_timer, an
 * io_context, TCP. A std::future has no then and no when_all; there is no fork and join.
 */
#include <asio.hpp>
#include <future>

#include "pools.hh"

class Pool
{
    asio::thread_pool pool{bench_threads};

  public:
    template <class F> void post(F f)
    {
        asio::post(pool, std::move(f));
    }
    template <class F> auto submit(F f)
    {
        return asio::post(pool.get_executor(), asio::use_future(std::move(f)));
    }
    void drain()
    {
        pool.join();
    }
};

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
        for (int left = n; left > 0; left--)
            asio::post(loop, [&] {
                if (++ran == n)
                    guard.reset();
            });
    });
    loop.run();
    *values = (bench_ns() - start) / n;
    poster.join();
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
        POOL_WORKLOADS(Pool),
        {"timer_cancel", {{"timer_cancel", "ns/timer"}}, timer_cancel},
        {"timer_fire", {BENCH_LATENCIES("timer_fire")}, timer_fire},
        {"timer_fire_loop", {BENCH_LATENCIES("timer_fire_loop")}, timer_fire},
        {"loop_post", {{"loop_post", "ns/post"}}, loop_post},
    };
    if (argc == 3 && strcmp(argv[1], "echo") == 0)
        return echo(atoi(argv[2]));
    return PEER_MAIN("asio", all, argc, argv);
}
