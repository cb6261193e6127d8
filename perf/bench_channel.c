/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_channel.c - a million numbers through a channel with 64 places, from one
 * thread to another, which wait for each other when it is full or empty; and a send and a
 * receive as futures, in one thread, where nobody waits.
 */
#include <pthread.h>

#include "bench.h"

enum { ITEMS = 1000000, PLACES = 64 };

static void *
send_all(void *channel)
{
    for (int64_t i = 0, n = bench_size(ITEMS); i < n; i++) {
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
receive_all(vow_channel *c)
{
    int64_t sum = 0;
    vow_value v;
    int code;

    while ((code = vow_channel_try_receive(c, &v)) != VOW_E_CLOSED) {
        vow_future *f;

        if (code == 0) {
            sum += v.as.i64;
            continue;
        }
        f = vow_channel_receive(c);
        if (vow_get(f).error == NULL)
            sum += vow_get(f).value.as.i64;
        vow_unref(f);
    }
    return sum;
}

static double
between_threads(int64_t n)
{
    vow_channel *c = vow_channel_new(PLACES);
    double start = bench_ns();
    pthread_t sender;

    bench_check(c != NULL);
    bench_check(pthread_create(&sender, NULL, send_all, c) == 0);
    bench_check(receive_all(c) == n * (n - 1) / 2);
    bench_check(pthread_join(sender, NULL) == 0);
    vow_channel_unref(c);
    return (bench_ns() - start) / (double)n;
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
