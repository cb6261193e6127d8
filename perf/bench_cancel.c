/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_cancel.c - a registration made and removed on a token that lives for ever
 * and on which a thousand others stay: by one thread, and by T at once; a token linked to
 * it, made and let go of; and a cancel that calls a hundred thousand callbacks.
 */
#include <pthread.h>

#include "bench.h"

enum { OPERATIONS = 1000000, LINKS = 300000, OTHERS = 1000, CALLBACKS = 100000 };

/* Sources and what is registered on them; made once a round, outside the clock. */
struct busy {
    vow_source *source;
    vow_token *token;
    vow_registration **registrations;
    size_t n;
};

static size_t called;

static void
count_call(void *ctx)
{
    (void)ctx;
    called++;
}

static struct busy
busy_new(size_t n)
{
    struct busy b = {.source = vow_source_new(), .n = n};

    b.token = vow_source_token(b.source);
    b.registrations = bench_array(n, sizeof *b.registrations);
    for (size_t i = 0; i < n; i++) {
        b.registrations[i] = vow_token_on_cancel(b.token, NULL, count_call, VOW_NIL);
        bench_check(b.registrations[i] != NULL);
    }
    return b;
}

static void
busy_free(struct busy *b, vow_removal expected)
{
    for (size_t i = 0; i < b->n; i++)
        bench_check(vow_registration_remove(b->registrations[i]) == expected);
    free(b->registrations);
    vow_token_unref(b->token);
    vow_source_unref(b->source);
}

static void *
register_and_remove(void *token)
{
    for (int i = 0; i < OPERATIONS; i++) {
        vow_registration *r = vow_token_on_cancel(token, NULL, count_call, VOW_NIL);

        bench_check(vow_registration_remove(r) == VOW_REMOVED);
    }
    return NULL;
}

static double
by_one(vow_token *t)
{
    double start = bench_ns();

    register_and_remove(t);
    return (bench_ns() - start) / OPERATIONS;
}

/* For all of them together: what the token, not what a thread does an operation in. */
static double
by_all(vow_token *t)
{
    pthread_t *threads = bench_array(bench_threads, sizeof *threads);
    double start = bench_ns();

    for (unsigned i = 0; i < bench_threads; i++)
        bench_check(pthread_create(&threads[i], NULL, register_and_remove, t) == 0);
    for (unsigned i = 0; i < bench_threads; i++)
        bench_check(pthread_join(threads[i], NULL) == 0);
    free(threads);
    return (bench_ns() - start) / OPERATIONS / bench_threads;
}

static double
link_and_let_go(vow_token *t)
{
    double start = bench_ns();

    for (int i = 0; i < LINKS; i++)
        vow_token_unref(vow_token_any(&t, 1));
    return (bench_ns() - start) / LINKS;
}

static double
fire(void)
{
    struct busy b = busy_new(CALLBACKS);
    double start, end;

    called = 0;
    start = bench_ns();
    bench_check(vow_source_cancel(b.source, NULL));
    end = bench_ns();
    bench_check(called == CALLBACKS);
    busy_free(&b, VOW_RAN);
    return (end - start) / CALLBACKS;
}

static void
cancel(double *ns)
{
    struct busy b = busy_new(OTHERS);

    ns[0] = by_one(b.token);
    ns[1] = by_all(b.token);
    ns[2] = link_and_let_go(b.token);
    busy_free(&b, VOW_REMOVED);
    ns[3] = fire();
}

int
main(int argc, char **argv)
{
    static const struct bench workload = {"vow",
                                          {{"cancel_register", "ns/op"},
                                           {"cancel_contended", "ns/op"},
                                           {"cancel_link", "ns/op"},
                                           {"cancel_fire", "ns/callback"}},
                                          cancel,
                                          0};

    return bench_main(&workload, argc, argv);
}
