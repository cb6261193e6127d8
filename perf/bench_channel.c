/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_channel.c - a million numbers through a channel with 64 places, from one
 * thread to another, which wait for each other when it is full or empty; and a send and a
 * receive as futures, in one thread, where nobody waits.
 *
 * As many numbers come before the clock runs: the other thread is new (bench_pingpong.c).
 */
#include <pthread.h>

#include "bench.h"

enum { ITEMS = 1000000, PLACES = 64 };

static void *
send_all(void *channel)
{
    for (int64_t i = 0, n = 2 * bench_size(ITEMS); i < n; i++) {
        vow_future *f;

        if (vow_channel_try_send(channel, vow_i64(i)) == 0)
            continue;
        f = vow_channel_send(channel, vow_i64(i));
        bench_check(vow_get(f).error == NULL);
        vow_unref(f);
    }
    vow_channel_close(channel);
    return NULL;
}

static int64_t
receive(vow_channel *c)
{
    vow_future *f;
    vow_value v;

    if (vow_channel_try_receive(c, &v) == 0)
        return v.as.i64;
    f = vow_channel_receive(c);
    bench_check(vow_get(f).error == NULL);
    v.as.i64 = vow_get(f).value.as.i64;
    vow_unref(f);
    return v.as.i64;
}

static int64_t
receive_some(vow_channel *c, int64_t n)
{
    int64_t sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += receive(c);
    return sum;
}

static double
between_threads(int64_t n)
{
    vow_channel *c = vow_channel_new(PLACES);
    pthread_t sender;
    int64_t sum;
    double start, ns;

    bench_check(c != NULL);
    bench_check(pthread_create(&sender, NULL, send_all, c) == 0);
    sum = receive_some(c, n);
    start = bench_ns();
    sum += receive_some(c, n);
    ns = bench_ns() - start;
    bench_check(sum == 2 * n * (2 * n - 1) / 2);
    bench_check(pthread_join(sender, NULL) == 0);
    vow_channel_unref(c);
    return ns / (double)n;
}

static double
as_futures(int64_t n)
{
    vow_channel *c = vow_channel_new(PLACES);
    double start = bench_ns();
    int64_t sum = 0;

    for (int64_t i = 0; i < n; i++) {
        vow_future *sent = vow_channel_send(c, vow_i64(i));
        vow_future *got = vow_channel_receive(c);

        sum += vow_get(got).value.as.i64;
        vow_unref(sent);
        vow_unref(got);
    }
    bench_check(sum == n * (n - 1) / 2);
    vow_channel_unref(c);
    return (bench_ns() - start) / (double)n;
}

static void
measure(double *values)
{
    values[0] = between_threads(bench_size(ITEMS));
    values[1] = as_futures(bench_size(ITEMS));
}

int
main(int argc, char **argv)
{
    static const struct bench channel = {
        "vow", {{"channel", "ns/item"}, {"channel_futures", "ns/item"}}, measure, 7};

    return bench_main(&channel, argc, argv);
}
