/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_mem.c - by how much a million pending futures with one continuation
 * each make the process grow. Each round is a process of its own, because memory
 * that was used before does not grow again.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { PAIRS = 1000000 };

struct pair {
    vow_promise *promise;
    vow_future *step; /* the future of the continuation */
};

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

static void
make_all(struct pair *pairs)
{
    int n = bench_size(PAIRS);

    for (int i = 0; i < n; i++) {
        vow_promise *p = vow_promise_new();

        pairs[i].promise = p;
        pairs[i].step = vow_then(vow_promise_future(p), NULL, add_one, VOW_NIL);
        bench_check(vow_future_status(pairs[i].step) == VOW_PENDING);
    }
}

static void
settle_all(struct pair *pairs)
{
    int n = bench_size(PAIRS);

    for (int i = 0; i < n; i++) {
        bench_check(vow_promise_fulfill(pairs[i].promise, vow_i64(i)));
        vow_promise_unref(pairs[i].promise);
        bench_check(vow_future_status(pairs[i].step) == VOW_FULFILLED);
        bench_check(vow_peek(pairs[i].step).value.as.i64 == i + 1);
        vow_unref(pairs[i].step);
    }
}

static double
grow(void)
{
    struct pair *pairs = bench_array(PAIRS, sizeof *pairs);
    double before, grown;

    before = bench_resident_bytes();
    make_all(pairs);
    grown = bench_resident_bytes() - before;
    settle_all(pairs);
    free(pairs);
    return grown / bench_size(PAIRS);
}

static void
grow_in_child(double *bytes)
{
    int end[2], status;
    pid_t child;

    bench_check(pipe(end) == 0);
    child = fork();
    bench_check(child >= 0);
    if (child == 0) {
        double grown = grow();

        _exit(write(end[1], &grown, sizeof grown) == sizeof grown ? 0 : 1);
    }
    bench_check(read(end[0], bytes, sizeof *bytes) == sizeof *bytes);
    bench_check(waitpid(child, &status, 0) == child && status == 0);
    close(end[0]);
    close(end[1]);
}

int
main(int argc, char **argv)
{
    static const struct bench mem = {"vow", {{"mem", "bytes"}}, grow_in_child, 3};

    return bench_main(&mem, argc, argv);
}
