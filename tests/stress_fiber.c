/* SPDX-License-Identifier: MIT */
/*
 * Fibers that wait, with a deadline and without, for promises that threads fulfil in the
 * meantime, and for each other; that yield; and executors that are closed under them.
 * VOW_STRESS_MS says for how long (default 1000).
 */
#include "support/vow_test.h"

#include <pthread.h>

#include "support/drops.h"
#include "support/stress.h"

enum { FIBERS = 12, THREADS = 3 };

struct shared {
    vow_promise *p[FIBERS];
    vow_future *f[FIBERS];
    atomic_int next; /* of the promises, to be fulfilled */
    atomic_int sum;
};

static vow_result
wait_for_one(void *future)
{
    vow_view got = vow_get(future);

    vow_fiber_yield();
    return vow_ok(vow_i64(got.error != NULL ? 0 : got.value.as.i64));
}

static vow_result
wait_in_vain_first(void *future)
{
    for (int i = 0; i < 3 && !vow_wait(future, 1000 * i); i++)
        vow_fiber_yield();
    return wait_for_one(future);
}

static void
unref_future(void *f)
{
    vow_unref(f);
}

static vow_result
get_inner(void *future)
{
    vow_future *inner = vow_submit(vow_executor_current(), wait_for_one,
                                   vow_own(vow_ref(future), unref_future));
    vow_view got = vow_get(inner);
    int64_t value = got.error != NULL ? 0 : got.value.as.i64;

    vow_unref(inner);
    return vow_ok(vow_i64(value));
}

static void *
fulfill_all(void *shared)
{
    struct shared *s = shared;
    int i;

    while ((i = atomic_fetch_add(&s->next, 1)) < FIBERS)
        vow_promise_fulfill(s->p[i], vow_i64(i + 1));
    return NULL;
}

static int64_t
sum_of(vow_future **f)
{
    int64_t sum = 0;

    for (int i = 0; i < FIBERS; i++) {
        vow_view got = vow_get(f[i]);

        sum += got.error != NULL ? 0 : got.value.as.i64;
        vow_unref(f[i]);
    }
    return sum;
}

/* Returns what the tasks have got. */
static int64_t
one_round(bool close_early)
{
    static vow_task_fn *const kinds[] = {wait_for_one, wait_in_vain_first, get_inner};
    vow_executor *on =
        vow_fibers_new(&VOW_FIBERS_OPTIONS(.stack_size = 64 << 10, .kept_stacks = 2));
    struct shared s = {.next = 0};
    pthread_t threads[THREADS];
    vow_future *f[FIBERS];
    int64_t sum;

    for (int i = 0; i < FIBERS; i++) {
        s.p[i] = vow_promise_new();
        s.f[i] = vow_promise_future(s.p[i]);
        f[i] = vow_submit(on, kinds[i % 3], vow_ptr(s.f[i]));
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fulfill_all, &s), 0);
    if (close_early)
        vow_unref(vow_executor_close(on, VOW_DRAIN));
    sum = sum_of(f);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    assert_int_equal(vow_executor_join(on), 0);
    vow_executor_unref(on);
    for (int i = 0; i < FIBERS; i++) {
        vow_promise_unref(s.p[i]);
        vow_unref(s.f[i]);
    }
    return sum;
}

VOW_CASE(fibers_get_what_threads_fulfill)
{
    vow_ns end = vow_clock_now(NULL) + stress_duration(1000);

    for (int round = 0; vow_clock_now(NULL) < end; round++)
        assert_int_equal(one_round(round % 2 == 1), FIBERS * (FIBERS + 1) / 2);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(fibers_get_what_threads_fulfill),
    };

    return vow_test_run(cases);
}
