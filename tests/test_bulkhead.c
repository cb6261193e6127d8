/* SPDX-License-Identifier: MIT */
/* The bulkhead: places, the queue before them, and that no place is ever lost. */
#include "vow_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <vow/vow.h>

#include "drops.h"
#include "manual_fixture.h"
#include "warnings.h"

#define BULKHEAD(...)                                                                    \
    vow_bulkhead_new(&VOW_BULKHEAD_OPTIONS(.clock = vow_manual_clock(m), __VA_ARGS__))

static vow_bulkhead_metrics
metrics_of(const vow_bulkhead *b)
{
    vow_bulkhead_metrics seen = {.size = sizeof seen};

    vow_bulkhead_read(b, &seen);
    return seen;
}

/* A call that lasts until its promise is settled. */
struct work {
    struct drop d; /* first: its context */
    vow_promise *p;
};

static vow_result
begin_work(void *ctx)
{
    drop_ran(ctx);
    return vow_follow(vow_promise_future(((struct work *)ctx)->p));
}

static vow_future *
call(vow_bulkhead *b, struct work *w)
{
    w->p = vow_promise_new();
    return vow_bulkhead_call(b, NULL, begin_work, drop_value(&w->d));
}

static void
finish_work(struct work *w)
{
    vow_promise_fulfill(w->p, VOW_NIL);
    vow_promise_unref(w->p);
    w->p = NULL;
}

VOW_CASE(bulkhead_lets_so_many_run_and_the_others_wait_their_turn)
{
    vow_bulkhead *b = BULKHEAD(.limit = 2, .queue = 2);
    struct work w[5] = {{.p = NULL}};
    vow_future *f[5];

    for (int i = 0; i < 5; i++)
        f[i] = call(b, &w[i]);
    assert_int_equal(w[0].d.ran + w[1].d.ran, 2);
    assert_int_equal(w[2].d.ran + w[3].d.ran + w[4].d.ran, 0);
    assert_int_equal(code_of(f[4]), VOW_E_LIMIT);
    assert_string_equal(vow_error_message(vow_peek(f[4]).error),
                        "the bulkhead is full: 2 calls run, 2 wait");
    finish_work(&w[1]);
    assert_int_equal(w[2].d.ran, 1); /* the first to come */
    assert_int_equal(w[3].d.ran, 0);
    finish_work(&w[0]);
    assert_int_equal(w[3].d.ran, 1);
    assert_int_equal(metrics_of(b).most, 2);
    finish_work(&w[2]);
    finish_work(&w[3]);
    assert_int_equal(metrics_of(b).running, 0);
    vow_promise_unref(w[4].p);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(code_of(f[i]), i < 4 ? 0 : VOW_E_LIMIT);
        assert_int_equal(drop_count(&w[i].d), 1);
        vow_unref(f[i]);
    }
    vow_bulkhead_unref(b);
}

VOW_CASE(bulkhead_without_a_queue_refuses_at_once)
{
    vow_bulkhead *b = BULKHEAD(.limit = 1, .queue = VOW_BULKHEAD_NO_QUEUE);
    struct work w[2] = {{.p = NULL}};
    vow_future *f = call(b, &w[0]), *g = call(b, &w[1]);

    assert_int_equal(code_of(g), VOW_E_LIMIT);
    finish_work(&w[0]);
    vow_promise_unref(w[1].p);
    vow_unref(f);
    vow_unref(g);
    vow_bulkhead_unref(b);
}

VOW_CASE(bulkhead_who_waits_too_long_is_refused)
{
    vow_bulkhead *b = BULKHEAD(.limit = 1, .queue_timeout = vow_ms(100), .name = "db");
    struct work w[2] = {{.p = NULL}};
    vow_future *f = call(b, &w[0]), *g = call(b, &w[1]);

    vow_manual_advance(m, vow_ms(100) - 1);
    assert_int_equal(vow_future_status(g), VOW_PENDING);
    vow_manual_advance(m, 1);
    assert_int_equal(code_of(g), VOW_E_LIMIT);
    assert_string_equal(vow_error_message(vow_peek(g).error),
                        "db had no place within 100 ms");
    assert_int_equal(drop_count(&w[1].d), 1);
    assert_int_equal(metrics_of(b).timed_out, 1);
    assert_int_equal(metrics_of(b).waiting, 0);
    finish_work(&w[0]);
    assert_int_equal(w[1].d.ran, 0);
    vow_promise_unref(w[1].p);
    vow_unref(f);
    vow_unref(g);
    vow_bulkhead_unref(b);
}

VOW_CASE(bulkhead_who_got_a_place_in_time_runs_as_long_as_it_takes)
{
    vow_bulkhead *b = BULKHEAD(.limit = 1, .queue_timeout = vow_ms(100));
    struct work w[2] = {{.p = NULL}};
    vow_future *f = call(b, &w[0]), *g = call(b, &w[1]);

    vow_manual_advance(m, vow_ms(99));
    finish_work(&w[0]);
    assert_int_equal(w[1].d.ran, 1);
    assert_int_equal(vow_manual_advance(m, vow_seconds(100)), 0); /* its timer is gone */
    assert_int_equal(vow_future_status(g), VOW_PENDING);
    finish_work(&w[1]);
    vow_unref(f);
    vow_unref(g);
    vow_bulkhead_unref(b);
}

VOW_CASE(bulkhead_call_cancelled_in_the_queue_never_starts)
{
    vow_bulkhead *b = BULKHEAD(.limit = 1, .queue = 8, .queue_timeout = vow_seconds(1));
    struct work w[3] = {{.p = NULL}};
    vow_future *f[3];

    for (int i = 0; i < 3; i++)
        f[i] = call(b, &w[i]);
    vow_future_cancel(f[1], NULL);
    assert_int_equal(code_of(f[1]), VOW_E_CANCELLED);
    assert_int_equal(drop_count(&w[1].d), 1);
    assert_int_equal(metrics_of(b).left, 1);
    assert_int_equal(metrics_of(b).waiting, 1);
    finish_work(&w[0]);
    assert_int_equal(w[1].d.ran, 0);
    assert_int_equal(w[2].d.ran, 1);
    finish_work(&w[2]);
    vow_promise_unref(w[1].p);
    for (int i = 0; i < 3; i++)
        vow_unref(f[i]);
    vow_bulkhead_unref(b);
}

VOW_CASE(bulkhead_call_cancelled_while_it_runs_gives_its_place_up)
{
    vow_bulkhead *b = BULKHEAD(.limit = 1);
    struct work w[2] = {{.p = NULL}};
    vow_future *f = call(b, &w[0]), *g = call(b, &w[1]);

    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(w[1].d.ran, 1);
    assert_false(vow_promise_fulfill(w[0].p, VOW_NIL));
    vow_promise_unref(w[0].p);
    finish_work(&w[1]);
    vow_unref(f);
    vow_unref(g);
    assert_int_equal(metrics_of(b).running, 0);
    vow_bulkhead_unref(b);
}

/* A place is handed over, and in that moment nobody wants it any more. */
VOW_CASE(bulkhead_place_that_nobody_takes_goes_to_the_next)
{
    vow_bulkhead *b = BULKHEAD(.limit = 1, .queue = 8);
    struct work w[3] = {{.p = NULL}};
    vow_future *f[3];

    for (int i = 0; i < 3; i++)
        f[i] = call(b, &w[i]);
    vow_defer_begin(); /* steps wait */
    finish_work(&w[0]);
    vow_future_cancel(f[1], NULL);
    vow_defer_end();
    assert_int_equal(code_of(f[1]), VOW_E_CANCELLED);
    assert_int_equal(w[1].d.ran, 0);
    assert_int_equal(w[2].d.ran, 1);
    finish_work(&w[2]);
    vow_promise_unref(w[1].p);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(drop_count(&w[i].d), 1);
        vow_unref(f[i]);
    }
    assert_int_equal(metrics_of(b).running, 0);
    vow_bulkhead_unref(b);
}

static vow_result
give_seven(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(vow_i64(7));
}

/* The executor refuses: the place is free again. */
VOW_CASE(bulkhead_call_that_an_executor_refuses_gives_its_place_up)
{
    vow_bulkhead *b = BULKHEAD(.limit = 1);
    struct drop d = {0};
    vow_future *f;

    vow_unref(vow_executor_close(on, VOW_DRAIN));
    f = vow_bulkhead_call(b, on, give_seven, drop_value(&d));
    assert_int_equal(code_of(f), VOW_E_CLOSED);
    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(metrics_of(b).running, 0);
    vow_unref(f);
    vow_bulkhead_unref(b);
}

VOW_CASE(bulkhead_that_is_left_too_often_says_so_and_keeps_count)
{
    vow_bulkhead *b = BULKHEAD(.limit = 1);

    warnings_begin();
    vow_bulkhead_leave(b);
    assert_int_equal(warnings, 1);
    assert_int_equal(warning_code, VOW_E_INVALID);
    assert_non_null(strstr(warning, "vow_bulkhead_leave: no place is taken"));
    assert_int_equal(metrics_of(b).running, 0);
    assert_int_equal(vow_bulkhead_enter(b), 0);
    assert_int_equal(vow_bulkhead_enter(b), VOW_E_LIMIT);
    vow_bulkhead_leave(b);
    assert_int_equal(warnings, 1);
    warnings_end();
    vow_bulkhead_unref(b);
}

VOW_CASE(bulkhead_places_by_hand)
{
    vow_bulkhead *b = BULKHEAD(.limit = 1);
    struct drop d = {0};
    vow_future *f;

    assert_int_equal(vow_bulkhead_enter(b), 0);
    assert_int_equal(vow_bulkhead_enter(b), VOW_E_LIMIT);
    f = vow_bulkhead_call(b, NULL, give_seven, drop_value(&d));
    assert_int_equal(d.ran, 0);
    vow_bulkhead_leave(b);
    assert_int_equal(d.ran, 1);
    assert_int_equal(vow_peek(f).value.as.i64, 7);
    assert_int_equal(metrics_of(b).running, 0);
    vow_unref(f);
    vow_bulkhead_unref(b);
}

VOW_CASE(bulkhead_outlives_its_last_handle)
{
    vow_bulkhead *b = BULKHEAD(.limit = 1);
    struct work w[2] = {{.p = NULL}};
    vow_future *f = call(b, &w[0]), *g = call(b, &w[1]);

    vow_bulkhead_unref(b);
    finish_work(&w[0]);
    finish_work(&w[1]);
    assert_int_equal(code_of(f), 0);
    assert_int_equal(code_of(g), 0);
    vow_unref(f);
    vow_unref(g);
}

static void
let_go_of_bulkhead(void *b)
{
    vow_bulkhead_unref((vow_bulkhead *)b);
}

VOW_CASE(bulkhead_refuses_a_call_whose_context_has_the_last_handle)
{
    vow_bulkhead *b = BULKHEAD(.limit = 1, .queue = VOW_BULKHEAD_NO_QUEUE);
    vow_future *f;

    assert_int_equal(vow_bulkhead_enter(b), 0);
    f = vow_bulkhead_call(b, NULL, begin_work, vow_own(b, let_go_of_bulkhead));
    assert_string_equal(vow_error_message(vow_peek(f).error),
                        "the bulkhead is full: 1 calls run, 0 wait");
    vow_unref(f);
}

VOW_CASE(bulkhead_long_queue_of_inline_calls_is_flat)
{
    enum { CALLS = 100000 };
    vow_bulkhead *b = BULKHEAD(.limit = 1, .queue = CALLS);
    struct work w = {.p = NULL};
    struct drop d = {0};
    vow_future *f = call(b, &w);

    for (int i = 0; i < CALLS; i++)
        vow_unref(vow_bulkhead_call(b, NULL, give_seven, drop_value(&d)));
    finish_work(&w);
    assert_int_equal(drop_count(&d), CALLS);
    assert_int_equal(metrics_of(b).admitted, CALLS + 1);
    vow_unref(f);
    vow_bulkhead_unref(b);
}

VOW_CASE(bulkhead_null_has_places_for_all)
{
    vow_bulkhead_metrics seen = {.size = sizeof seen};
    vow_future *f = vow_bulkhead_call(NULL, NULL, give_seven, VOW_NIL);

    assert_int_equal(vow_peek(f).value.as.i64, 7);
    vow_unref(f);
    assert_int_equal(vow_bulkhead_enter(NULL), 0);
    vow_bulkhead_leave(NULL);
    vow_bulkhead_read(NULL, &seen);
    assert_int_equal(seen.admitted, 0);
    assert_null(vow_bulkhead_ref(NULL));
    vow_bulkhead_unref(NULL);
    errno = 0;
    assert_null(vow_bulkhead_new(&VOW_BULKHEAD_OPTIONS(.queue_timeout = -1)));
    assert_int_equal(errno, EINVAL);
}

VOW_CASE(bulkhead_without_memory_loses_no_place)
{
    counting_each_failure(k, COUNTING_ONCE)
    {
        struct drop d[3] = {{0}};
        vow_bulkhead *b = BULKHEAD(.limit = 1, .queue_timeout = vow_seconds(1));
        vow_future *f[3];

        for (int i = 0; i < 3; i++)
            f[i] = vow_bulkhead_call(b, on, give_seven, drop_value(&d[i]));
        vow_manual_run(m);
        for (int i = 0; i < 3; i++) {
            int code = code_of(f[i]);

            assert_true(code == 0 || code == VOW_E_NOMEM || code == VOW_E_LIMIT);
            assert_int_equal(d[i].ran, code == 0);
            assert_int_equal(drop_count(&d[i]), 1);
            vow_ignore(f[i]);
        }
        assert_int_equal(metrics_of(b).running, 0);
        assert_int_equal(metrics_of(b).waiting, 0);
        vow_bulkhead_unref(b);
    }
}

/* ---- threads --------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 2000, LIMIT = 2 };

static vow_bulkhead *shared;
static atomic_int inside, most, ran, dropped;

static void
drop_shared(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&dropped, 1);
}

static vow_result
work_inside(void *ctx)
{
    int now = 1 + atomic_fetch_add(&inside, 1);

    (void)ctx;
    if (now > atomic_load(&most))
        atomic_store(&most, now);
    atomic_fetch_add(&ran, 1);
    atomic_fetch_sub(&inside, 1);
    return vow_ok(VOW_NIL);
}

static void *
crowd(void *seed)
{
    unsigned r = *(unsigned *)seed;

    for (int i = 0; i < ROUNDS; i++) {
        vow_future *f = vow_bulkhead_call(shared, vow_default_pool(), work_inside,
                                          vow_own(&dropped, drop_shared));

        r = r * 1664525 + 1013904223;
        if (r >> 31)
            vow_future_cancel(f, NULL);
        if (r >> 30 & 1)
            (void)vow_wait(f, VOW_FOREVER);
        vow_ignore(f);
    }
    return NULL;
}

VOW_CASE(bulkhead_of_many_threads_loses_no_place)
{
    pthread_t threads[THREADS];
    unsigned seeds[THREADS];

    shared = vow_bulkhead_new(
        &VOW_BULKHEAD_OPTIONS(.limit = LIMIT, .queue = 64, .queue_timeout = vow_us(200)));
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, crowd, &seeds[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    while (metrics_of(shared).running != 0 || metrics_of(shared).waiting != 0 ||
           atomic_load(&dropped) != THREADS * ROUNDS)
        sched_yield();
    assert_true(atomic_load(&most) <= LIMIT);
    assert_true(atomic_load(&ran) > 0);
    assert_int_equal(metrics_of(shared).most <= LIMIT, 1);
    vow_bulkhead_unref(shared);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        manual_test(bulkhead_lets_so_many_run_and_the_others_wait_their_turn),
        manual_test(bulkhead_without_a_queue_refuses_at_once),
        manual_test(bulkhead_who_waits_too_long_is_refused),
        manual_test(bulkhead_who_got_a_place_in_time_runs_as_long_as_it_takes),
        manual_test(bulkhead_call_cancelled_in_the_queue_never_starts),
        manual_test(bulkhead_call_cancelled_while_it_runs_gives_its_place_up),
        manual_test(bulkhead_place_that_nobody_takes_goes_to_the_next),
        manual_test(bulkhead_call_that_an_executor_refuses_gives_its_place_up),
        manual_test(bulkhead_that_is_left_too_often_says_so_and_keeps_count),
        manual_test(bulkhead_places_by_hand),
        manual_test(bulkhead_outlives_its_last_handle),
        manual_test(bulkhead_refuses_a_call_whose_context_has_the_last_handle),
        manual_test(bulkhead_long_queue_of_inline_calls_is_flat),
        manual_test(bulkhead_null_has_places_for_all),
        manual_test(bulkhead_without_memory_loses_no_place),
        /* the pool of the process stays, so that no count of blocks fits */
        cmocka_unit_test(bulkhead_of_many_threads_loses_no_place),
    };

    return vow_test_run(cases);
}
