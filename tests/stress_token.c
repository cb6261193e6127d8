/* SPDX-License-Identifier: MIT */
/*
 * Tokens under load: millions of short operations on one that lives for ever, and
 * registering, removing, linking, working and cancelling at the same time.
 *
 * VOW_STRESS_MS says how long the storms may take together (default 2000).
 */
#include "support/vow_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/drops.h"
#include "support/sanitizer.h"
#include "support/stress.h"

#if defined(UNDER_ASAN) || defined(UNDER_TSAN) || defined(VOW_COVERAGE)
enum { OPERATIONS = 200000 };
#else
enum { OPERATIONS = 10000000 };
#endif
enum { THREADS = 4, SLOTS = 64, TASKS = 24, CASES = 3 };

/* Resident memory, in bytes. */
static long
resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long total = 0, pages = 0;

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &total, &pages), 2);
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static void
on_threads(void *(*run)(void *), void *ctx)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, ctx), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* Short operations. */

static void
never(void *ctx)
{
    (void)ctx;
    fail_msg("a token fired that nobody cancelled");
}

static vow_result
value_task(void *ctx)
{
    (void)ctx;
    return vow_ok(VOW_NIL);
}

/* Now and then something that takes more than a registration. */
static void
operate(vow_token *t, int i)
{
    vow_token *any;

    switch (i % 16) {
    case 0:
        vow_unref(
            vow_submit_with(NULL, &VOW_SUBMIT_OPTIONS(.token = t), value_task, VOW_NIL));
        break;
    case 1:
        any = vow_token_any(&t, 1);
        vow_registration_remove(vow_token_on_cancel(any, NULL, never, VOW_NIL));
        vow_token_unref(any);
        break;
    default:
        vow_registration_remove(vow_token_on_cancel(t, NULL, never, VOW_NIL));
    }
}

static void *
operate_often(void *token)
{
    for (int i = 0; i < OPERATIONS / THREADS; i++)
        operate(token, i);
    return NULL;
}

VOW_CASE(millions_of_short_operations_leave_nothing_on_an_immortal_token)
{
    vow_source *s = vow_source_new();
    vow_token *t = vow_source_token(s);
    size_t live;
    long before;

    for (int i = 0; i < 1000; i++)
        operate(t, i);
    live = counting_live_bytes();
    before = resident();
    on_threads(operate_often, t);

    assert_int_equal(counting_live_bytes(), live);
    print_message("%d operations: %ld bytes more of resident memory\n", OPERATIONS,
                  resident() - before);
#if !defined(UNDER_ASAN) && !defined(UNDER_TSAN)
    assert_true(resident() - before < 1024 * 1024);
#endif
    vow_token_unref(t);
    vow_source_unref(s);
}

/* Registrations that come and go while sources fire. */

struct slot {
    vow_source *source;
    _Atomic(vow_registration *) registration;
    struct drop drop;
};

struct board {
    struct slot slots[SLOTS];
    atomic_int turn;
};

static void
count_call(void *ctx)
{
    drop_ran(ctx);
}

static void
end_registration(struct slot *s, bool wait)
{
    vow_registration *r = atomic_exchange(&s->registration, NULL);
    vow_removal removal;

    if (r == NULL)
        return;
    removal = wait ? vow_registration_remove_wait(r) : vow_registration_remove(r);
    if (wait)
        assert_true(removal != VOW_RUNNING);
    if (removal == VOW_RAN)
        assert_int_equal(s->drop.ran, 1);
}

/* Each thread does one of three things to every slot, in a different order. */
static void *
play(void *board)
{
    struct board *b = board;
    int turn = atomic_fetch_add(&b->turn, 1);

    for (int i = 0; i < SLOTS; i++) {
        struct slot *s = &b->slots[turn % 2 != 0 ? i : SLOTS - 1 - i];

        if (turn < 2)
            vow_source_cancel(s->source, NULL);
        else
            end_registration(s, turn == 2);
    }
    return NULL;
}

VOW_CASE(storm_of_cancels_and_removals_calls_and_drops_each_at_most_once)
{
    vow_ns end = vow_clock_now(NULL) + stress_duration(2000) / CASES;

    do {
        struct board b = {.turn = 0};

        for (int i = 0; i < SLOTS; i++) {
            struct slot *s = &b.slots[i];
            vow_token *t;

            s->source = vow_source_new();
            t = vow_source_token(s->source);
            atomic_init(&s->registration,
                        vow_token_on_cancel(t, NULL, count_call, drop_value(&s->drop)));
            vow_token_unref(t);
        }
        on_threads(play, &b);
        for (int i = 0; i < SLOTS; i++) {
            end_registration(&b.slots[i], false);
            assert_int_equal(drop_count(&b.slots[i].drop), 1);
            assert_in_range(b.slots[i].drop.ran, 0, 1);
            vow_source_unref(b.slots[i].source);
        }
    } while (vow_clock_now(NULL) < end);
}

/* Work in a pool, each piece bound to tokens in its own way, and one cancel. */

static vow_result
spin_until_cancelled(void *ctx)
{
    drop_ran(ctx);
    for (int i = 0; i < 200 && !vow_cancelled(); i++)
        sched_yield();
    return vow_check_cancelled();
}

static vow_result
look_at_own(void *ctx)
{
    vow_token *own = vow_token_current();
    vow_registration *r = vow_token_on_cancel(own, NULL, count_call, VOW_NIL);

    drop_ran(ctx);
    sched_yield();
    vow_registration_remove_wait(r);
    vow_token_unref(own);
    return vow_ok(VOW_NIL);
}

static vow_future *
submit_in_some_way(vow_executor *pool, vow_token *t, int way, struct drop *d)
{
    vow_submit_options opt = VOW_SUBMIT_OPTIONS(.token = t);
    vow_token *any;
    vow_future *f;

    switch (way % 4) {
    case 0:
        return vow_submit_with(pool, &opt, spin_until_cancelled, drop_value(d));
    case 1:
        return vow_submit_with(pool, &opt, look_at_own, drop_value(d));
    case 2:
        return vow_with_token(vow_submit(pool, spin_until_cancelled, drop_value(d)), t);
    default:
        any = vow_token_any(&t, 1);
        opt.token = any;
        f = vow_submit_with(pool, &opt, spin_until_cancelled, drop_value(d));
        vow_token_unref(any);
        return f;
    }
}

static vow_result
cancel_it(void *source)
{
    vow_source_cancel(source, NULL);
    return vow_ok(VOW_NIL);
}

static void
work_and_cancel(vow_executor *pool)
{
    vow_source *s = vow_source_new();
    vow_token *t = vow_source_token(s);
    struct drop drops[TASKS] = {{0}};
    vow_future *f[TASKS], *cancelling = NULL;

    for (int i = 0; i < TASKS; i++) {
        f[i] = submit_in_some_way(pool, t, i, &drops[i]);
        if (i == TASKS / 2)
            cancelling = vow_submit(pool, cancel_it, vow_ptr(s));
    }
    for (int i = 0; i < TASKS; i++) {
        int code = code_of(f[i]);

        assert_true(code == 0 || code == VOW_E_CANCELLED);
        vow_unref(f[i]);
    }
    assert_int_equal(code_of(cancelling), 0);
    vow_unref(cancelling);
    vow_token_unref(t);
    vow_source_unref(s);
    for (int i = 0; i < TASKS; i++) /* one that was cut short may still be at work */
        await_flag(&drops[i].dropped, 1);
    for (int i = 0; i < TASKS; i++)
        assert_in_range(drops[i].ran, 0, 1);
}

VOW_CASE(storm_of_work_and_cancels_settles_everything)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = THREADS));
    vow_ns end = vow_clock_now(NULL) + stress_duration(2000) / CASES;

    do
        work_and_cancel(pool);
    while (vow_clock_now(NULL) < end);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(millions_of_short_operations_leave_nothing_on_an_immortal_token),
        vow_test(storm_of_cancels_and_removals_calls_and_drops_each_at_most_once),
        vow_test(storm_of_work_and_cancels_settles_everything),
    };

    return vow_test_run(cases);
}
