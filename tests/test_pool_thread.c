/* SPDX-License-Identifier: MIT */
/*
 * The threads of a pool: what runs as they start and stop, and where they may run.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "support/drops.h"
#include "support/pool_fixture.h"

/* What the hooks saw. */
enum { MOST = 8 };

static struct hooks {
    atomic_int starts[MOST];
    atomic_int stops[MOST];
    atomic_int wrong; /* a stop on another thread than its start, or the like */
    vow_executor *pool;
    int post_code, wait_code;
} seen;

static _Thread_local unsigned here; /* 1 + the number of the worker that this thread is */

static void
started(unsigned worker, void *ctx)
{
    struct hooks *h = ctx;

    if (worker >= MOST || here != 0 || vow_executor_current() == NULL)
        atomic_fetch_add(&h->wrong, 1);
    here = worker + 1;
    atomic_fetch_add(&h->starts[worker % MOST], 1);
}

static void
stopped(unsigned worker, void *ctx)
{
    struct hooks *h = ctx;

    if (here != worker + 1)
        atomic_fetch_add(&h->wrong, 1);
    here = 0;
    atomic_fetch_add(&h->stops[worker % MOST], 1);
}

static vow_executor *
pool_new(unsigned threads, vow_pool_hook *on_stop)
{
    memset(&seen, 0, sizeof seen);
    seen.pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = threads, .on_start = started,
                                               .on_stop = on_stop, .hook_ctx = &seen));
    assert_non_null(seen.pool);
    return seen.pool;
}

static vow_result
who_is_here(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_u64(here));
}

static int64_t
result_of(vow_future *f)
{
    int64_t value = vow_get(f).error == NULL ? vow_get(f).value.as.i64 : -1;

    vow_unref(f);
    return value;
}

VOW_CASE(hooks_run_once_on_each_thread_around_its_tasks)
{
    vow_executor *pool = pool_new(3, stopped);

    for (int i = 0; i < 50; i++)
        assert_in_range(result_of(vow_submit(pool, who_is_here, VOW_NIL)), 1, 3);
    pool_free(pool);

    for (int i = 0; i < 3; i++) {
        assert_int_equal(seen.starts[i], 1);
        assert_int_equal(seen.stops[i], 1);
    }
    assert_int_equal(seen.wrong, 0);
}

VOW_CASE(close_future_settles_after_the_last_stop)
{
    vow_executor *pool = pool_new(2, stopped);
    vow_future *closed = vow_executor_close(pool, VOW_DRAIN);

    assert_int_equal(code_of(closed), 0);
    assert_int_equal(seen.stops[0] + seen.stops[1], 2);
    vow_unref(closed);
    pool_free(pool);
}

static vow_result
leave(void *ctx)
{
    (void)ctx;
    pthread_exit(NULL);
}

VOW_CASE(thread_that_a_task_ended_stops_and_another_starts_in_its_place)
{
    vow_executor *pool = pool_new(1, stopped);

    for (int i = 1; i <= 5; i++) {
        vow_future *f = vow_submit(pool, leave, VOW_NIL);

        assert_int_equal(code_of(f), VOW_E_BROKEN);
        vow_unref(f);
        assert_int_equal(result_of(vow_submit(pool, who_is_here, VOW_NIL)), 1);
        assert_int_equal(seen.starts[0], i + 1);
        assert_int_equal(seen.stops[0], i);
    }
    pool_free(pool);

    assert_int_equal(seen.starts[0], 6);
    assert_int_equal(seen.stops[0], 6);
    assert_int_equal(seen.wrong, 0);
}

static void
leave_in_stop(unsigned worker, void *ctx)
{
    stopped(worker, ctx);
    pthread_exit(NULL);
}

VOW_CASE(stop_hook_may_end_the_thread)
{
    vow_executor *pool = pool_new(2, leave_in_stop);

    assert_in_range(result_of(vow_submit(pool, who_is_here, VOW_NIL)), 1, 2);
    pool_free(pool);
    assert_int_equal(seen.starts[0] + seen.starts[1], 2);
    assert_int_equal(seen.stops[0] + seen.stops[1], 2);
    assert_int_equal(seen.wrong, 0);
}

static vow_result
wait_for(void *f)
{
    return vow_ok(vow_i64(vow_error_code(vow_get(f).error)));
}

VOW_CASE(spare_thread_has_hooks_as_well)
{
    vow_executor *pool = pool_new(1, stopped);
    vow_promise *p = vow_promise_new();
    vow_future *outside = vow_promise_future(p);
    vow_future *f = vow_submit(pool, wait_for, vow_ptr(outside));

    assert_int_equal(result_of(vow_submit(pool, who_is_here, VOW_NIL)), 2);
    vow_promise_fulfill(p, VOW_NIL);
    assert_int_equal(result_of(f), 0);
    pool_free(pool);

    assert_int_equal(seen.starts[1], 1);
    assert_int_equal(seen.stops[1], 1);
    assert_int_equal(seen.wrong, 0);
    vow_unref(outside);
    vow_promise_unref(p);
}

static void
use_pool_in_start(unsigned worker, void *ctx)
{
    struct hooks *h = ctx;
    vow_executor *pool = vow_executor_current();

    (void)worker;
    if (result_of(vow_submit(pool, who_is_here, VOW_NIL)) != 0)
        atomic_fetch_add(&h->wrong, 1);
    atomic_fetch_add(&h->starts[0], 1);
}

VOW_CASE(start_hook_may_use_the_pool)
{
    vow_executor *pool;

    memset(&seen, 0, sizeof seen);
    pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .on_start = use_pool_in_start,
                                          .hook_ctx = &seen));
    assert_non_null(pool);
    assert_int_equal(result_of(vow_submit(pool, who_is_here, VOW_NIL)), 0);
    pool_free(pool);

    assert_int_equal(seen.starts[0], 1);
    assert_int_equal(seen.wrong, 0);
}

static void
nothing(void *ctx)
{
    (void)ctx;
}

static void
use_pool_in_stop(unsigned worker, void *ctx)
{
    struct hooks *h = ctx;
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    stopped(worker, ctx);
    h->post_code = vow_post(h->pool, nothing, VOW_NIL);
    h->wait_code = vow_error_code(vow_get(f).error);
    vow_unref(f);
    vow_promise_abandon(p);
}

VOW_CASE(stop_hook_can_neither_post_to_the_ended_pool_nor_wait)
{
    vow_executor *pool = pool_new(1, use_pool_in_stop);

    pool_free(pool);

    assert_int_equal(seen.post_code, VOW_E_CLOSED);
    assert_int_equal(seen.wait_code, VOW_E_DEADLOCK);
}

VOW_CASE(stop_hook_of_a_thread_that_is_replaced_posts_to_the_next)
{
    vow_executor *pool = pool_new(1, use_pool_in_stop);
    vow_future *f = vow_submit(pool, leave, VOW_NIL);

    assert_int_equal(code_of(f), VOW_E_BROKEN);
    assert_int_equal(result_of(vow_submit(pool, who_is_here, VOW_NIL)), 1);
    assert_int_equal(seen.post_code, 0);
    assert_int_equal(seen.wait_code, VOW_E_DEADLOCK);
    vow_unref(f);
    pool_free(pool);
}

/* ---- CPUs ------------------------------------------------------------------------------ */

static vow_result
count_cpus(void *ctx)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return vow_fail(errno, "sched_getaffinity");
    return vow_ok(vow_i64(CPU_COUNT(&set) * (CPU_ISSET(*(size_t *)ctx, &set) ? 1 : -1)));
}

/* The first CPU that this process may use. */
static size_t
first_cpu(void)
{
    cpu_set_t set;
    size_t cpu = 0;

    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    while (!CPU_ISSET(cpu, &set))
        cpu++;
    return cpu;
}

VOW_CASE(threads_run_on_the_cpus_of_their_pool)
{
    size_t cpu = first_cpu();
    char list[16];
    vow_executor *pool;

    snprintf(list, sizeof list, "%zu", cpu);
    pool = vow_pool_new(&VOW_POOL_OPTIONS(.affinity = list));
    assert_non_null(pool);
    assert_int_equal(vow_pool_threads(pool), 1);
    assert_int_equal(result_of(vow_submit(pool, count_cpus, vow_ptr(&cpu))), 1);
    pool_free(pool);
}

static atomic_int warnings;

static void
count_warning(int code, const char *message, void *ctx)
{
    (void)ctx;
    assert_non_null(strstr(message, "pinned"));
    assert_int_equal(code, EINVAL);
    atomic_fetch_add(&warnings, 1);
}

VOW_CASE(cpu_that_is_not_there_is_warned_of_and_the_pool_works)
{
    vow_executor *pool;

    atomic_store(&warnings, 0);
    vow_on_warning(count_warning, NULL);
    pool = vow_pool_new(
        &VOW_POOL_OPTIONS(.threads = 2, .affinity = "1022-1023", .name = "pinned"));
    assert_non_null(pool);
    assert_int_equal(result_of(vow_submit(pool, who_is_here, VOW_NIL)), 0);
    pool_free(pool);
    vow_on_warning(NULL, NULL);

    assert_int_equal(warnings, 2);
}

VOW_CASE(list_of_cpus_that_is_none_is_invalid)
{
    static const char *const lists[] = {
        "",    ",",    "1,",     "a",    "1-",  "-1",    "3-2",
        "1 2", "1024", "0-1024", "1,,2", "0x1", "1-2-3", "9999999999999999999999"};

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        errno = 0;
        assert_null(vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .affinity = lists[i])));
        assert_int_equal(errno, EINVAL);
    }
}

VOW_CASE(list_of_many_cpus_leaves_the_number_of_threads_alone)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.affinity = "0-511,512,600-601"));

    assert_non_null(pool);
    assert_int_equal(vow_pool_threads(pool), vow_cpu_count());
    pool_free(pool);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(hooks_run_once_on_each_thread_around_its_tasks),
        vow_test(close_future_settles_after_the_last_stop),
        vow_test(thread_that_a_task_ended_stops_and_another_starts_in_its_place),
        vow_test(stop_hook_may_end_the_thread),
        vow_test(spare_thread_has_hooks_as_well),
        vow_test(start_hook_may_use_the_pool),
        vow_test(stop_hook_can_neither_post_to_the_ended_pool_nor_wait),
        vow_test(stop_hook_of_a_thread_that_is_replaced_posts_to_the_next),
        vow_test(threads_run_on_the_cpus_of_their_pool),
        vow_test(cpu_that_is_not_there_is_warned_of_and_the_pool_works),
        vow_test(list_of_cpus_that_is_none_is_invalid),
        vow_test(list_of_many_cpus_leaves_the_number_of_threads_alone),
    };

    return vow_test_run(cases);
}
