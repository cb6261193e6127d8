/* SPDX-License-Identifier: MIT */
/*
 * Tickets for callbacks: called once, twice, never, too late; who frees the results.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "support/drops.h"

static struct {
    atomic_int count;
    atomic_int code;
} warned;

static void
note_warning(int code, const char *message, void *ctx)
{
    (void)ctx;
    assert_non_null(strstr(message, "called again"));
    assert_true(strstr(message, "test_callback") != NULL ||
                strstr(message, "from 0x") != NULL); /* by what, if modules are known */
    atomic_store(&warned.code, code);
    atomic_fetch_add(&warned.count, 1);
}

static void
begin(void)
{
    atomic_store(&warned.count, 0);
    vow_on_warning(note_warning, NULL);
}

/* ---- a library -------------------------------------------------------------------------- */

/* As others do it: it takes a function and a pointer, and calls when it likes. */
struct library {
    void (*done)(int error, void *result, void *user);
    void *user;
};

static void
find(struct library *l, void (*done)(int error, void *result, void *user), void *user)
{
    l->done = done;
    l->user = user;
}

/* ---- called ----------------------------------------------------------------------------- */

VOW_CASE(called_with_a_result_fulfills)
{
    struct library l;
    struct drop page = {0};
    vow_future *f;

    begin();
    find(&l, vow_callback1, vow_callback_new(&f, drop_it));
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    l.done(0, &page, l.user);

    assert_ptr_equal(vow_get(f).value.as.ptr, &page);
    assert_int_equal(drop_count(&page), 0);
    vow_unref(f);
    assert_int_equal(drop_count(&page), 1);
    assert_int_equal(warned.count, 0);
}

VOW_CASE(called_with_an_error_rejects)
{
    vow_future *f;

    begin();
    vow_callback1(-EIO, NULL, vow_callback_new(&f, drop_it));
    assert_int_equal(code_of(f), EIO);
    vow_unref(f);
    vow_callback0(EPERM, vow_callback_new(&f, NULL));
    assert_int_equal(code_of(f), EPERM);
    assert_string_equal(vow_error_message(vow_get(f).error), "called back with error 1");
    vow_unref(f);
    vow_callback0(VOW_E_CLOSED, vow_callback_new(&f, NULL));
    assert_ptr_equal(vow_get(f).error, vow_error_of(VOW_E_CLOSED));
    vow_unref(f);
    vow_callback0(INT_MIN, vow_callback_new(&f, NULL));
    assert_int_equal(code_of(f), INT_MIN);
    vow_unref(f);
    vow_callback2(-EIO, NULL, NULL, vow_callback_new(&f, drop_it));
    assert_int_equal(code_of(f), EIO);
    vow_unref(f);
}

VOW_CASE(called_without_a_result_is_nil)
{
    vow_future *f;

    vow_callback0(0, vow_callback_new(&f, NULL));
    assert_true(vow_is_nil(vow_get(f).value));
    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    vow_callback1(0, NULL, vow_callback_new(&f, drop_it));
    assert_true(vow_is_nil(vow_get(f).value));
    vow_unref(f);
}

VOW_CASE(called_with_two_results_is_a_pair)
{
    struct drop first = {0}, second = {0};
    const vow_callback_pair *pair;
    vow_future *f;

    vow_callback2(0, &first, &second, vow_callback_new(&f, drop_it));
    pair = vow_get(f).value.as.ptr;
    assert_ptr_equal(pair->first, &first);
    assert_ptr_equal(pair->second, &second);
    vow_unref(f);
    assert_int_equal(drop_count(&first), 1);
    assert_int_equal(drop_count(&second), 1);

    vow_callback2(0, &first, NULL, vow_callback_new(&f, NULL));
    assert_null(((const vow_callback_pair *)vow_get(f).value.as.ptr)->second);
    vow_unref(f);
    assert_int_equal(drop_count(&first), 1); /* it was borrowed */
}

VOW_CASE(settled_with_values_of_ones_own)
{
    struct drop value = {0};
    vow_future *f;

    begin();
    assert_true(vow_callback_fulfill(vow_callback_new(&f, NULL), vow_i64(7)));
    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
    assert_true(vow_callback_reject(vow_callback_new(&f, NULL), vow_error_of(ENOMEM)));
    assert_int_equal(code_of(f), VOW_E_NOMEM);
    vow_unref(f);
    assert_true(vow_callback_settle(vow_callback_new(&f, NULL), 0, drop_value(&value)));
    assert_int_equal(drop_count(&value), 0);
    vow_unref(f);
    assert_int_equal(drop_count(&value), 1);
    assert_true(
        vow_callback_settle(vow_callback_new(&f, NULL), -EIO, drop_value(&value)));
    assert_int_equal(drop_count(&value), 2);
    assert_int_equal(code_of(f), EIO);
    vow_unref(f);
}

/* ---- called too often ------------------------------------------------------------------- */

VOW_CASE(called_again_is_ignored_and_reported)
{
    struct drop first = {0}, second = {0};
    vow_future *f;
    void *user;

    begin();
    user = vow_callback_new(&f, drop_it);
    vow_callback1(0, &first, user);
    vow_callback1(0, &second, user);
    assert_int_equal(warned.count, 1);
    assert_int_equal(warned.code, VOW_E_INVALID);
    assert_ptr_equal(vow_get(f).value.as.ptr, &first);
    vow_unref(f);
    vow_callback0(0, user); /* all is freed by now */
    vow_callback2(-EIO, NULL, NULL, user);
    vow_callback2(0, &second, NULL, user);
    assert_int_equal(warned.count, 4);
    assert_false(vow_callback_fulfill(user, drop_value(&second)));
    assert_int_equal(drop_count(&second), 1);
    assert_false(vow_callback_settle(user, 0, drop_value(&second)));
    assert_int_equal(drop_count(&second), 2);
    assert_false(vow_callback_reject(user, drop_error(&second, EIO)));
    assert_int_equal(drop_count(&second), 3);
    assert_int_equal(warned.count, 7);
    assert_int_equal(drop_count(&first), 1);
}

VOW_CASE(tickets_are_never_used_again)
{
    vow_future *f[100];
    void *user[100], *old;

    begin();
    old = vow_callback_new(&f[0], NULL);
    vow_callback0(0, old);
    vow_unref(f[0]);
    for (int i = 0; i < 100; i++) { /* the table grows */
        user[i] = vow_callback_new(&f[i], NULL);
        for (int j = 0; j < i; j++)
            assert_ptr_not_equal(user[i], user[j]);
        assert_ptr_not_equal(user[i], old);
    }
    vow_callback0(-EIO, old);
    assert_int_equal(warned.count, 1);
    for (int i = 99; i >= 0; i--) {
        assert_int_equal(vow_future_status(f[i]), VOW_PENDING);
        assert_true(vow_callback_fulfill(user[i], vow_i64(i)));
        assert_int_equal(vow_get(f[i]).value.as.i64, i);
        vow_unref(f[i]);
    }
}

/* ---- not called ------------------------------------------------------------------------- */

VOW_CASE(let_go_of_without_a_call_is_broken)
{
    vow_future *f;
    void *user;

    begin();
    user = vow_callback_new(&f, drop_it);
    vow_callback_drop(user);
    assert_int_equal(code_of(f), VOW_E_BROKEN);
    vow_unref(f);
    vow_callback_drop(user); /* harmless */
    assert_int_equal(warned.count, 0);
    vow_callback0(0, user); /* but this is not as it should be */
    assert_int_equal(warned.count, 1);
}

VOW_CASE(let_go_of_after_the_call_is_nothing)
{
    vow_future *f;
    void *user;

    begin();
    user = vow_callback_new(&f, NULL);
    vow_callback0(0, user);
    vow_callback_drop(user); /* the library frees its pointer */
    assert_int_equal(code_of(f), 0);
    assert_int_equal(warned.count, 0);
    vow_unref(f);
}

VOW_CASE(call_after_a_timeout_is_no_surprise)
{
    vow_manual *m = vow_manual_new();
    struct drop late = {0};
    vow_future *f;
    void *user;

    begin();
    user = vow_callback_new(&f, drop_it);
    f = vow_timeout_on(vow_manual_clock(m), f, vow_seconds(1));
    vow_manual_advance(m, vow_seconds(2));
    assert_int_equal(code_of(f), VOW_E_TIMEDOUT);
    vow_unref(f);
    vow_callback1(0, &late, user);
    assert_int_equal(drop_count(&late), 1);
    vow_manual_unref(m);

    user = vow_callback_new(&f, drop_it);
    vow_future_cancel(f, NULL);
    vow_callback2(0, &late, &late, user);
    assert_int_equal(drop_count(&late), 3);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(warned.count, 0);
    vow_unref(f);
}

/* A hook that stops the operation: the library calls back then. */
static void
stop_operation(vow_promise *p, const vow_error *reason, void *user)
{
    (void)p;
    vow_callback_reject(*(void **)user, vow_error_ref(reason));
}

VOW_CASE(promise_of_ones_own_may_have_a_hook)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    void *user;

    begin();
    assert_non_null(vow_promise_on_cancel(p, NULL, stop_operation, vow_ptr(&user)));
    user = vow_callback_of(p, NULL);
    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    vow_unref(f);
    vow_callback0(0, user);
    assert_int_equal(warned.count, 1);
}

/* ---- out of memory, threads ------------------------------------------------------------- */

VOW_CASE(null_is_a_ticket_without_memory)
{
    struct drop value = {0};

    begin();
    assert_null(vow_callback_of(NULL, NULL));
    vow_callback0(0, NULL);
    vow_callback1(0, &value, NULL);
    vow_callback2(0, &value, NULL, NULL);
    vow_callback_drop(NULL);
    assert_false(vow_callback_fulfill(NULL, drop_value(&value)));
    assert_false(vow_callback_reject(NULL, NULL));
    assert_false(vow_callback_settle(NULL, 0, VOW_NIL));
    assert_int_equal(drop_count(&value), 1);
    assert_int_equal(warned.count, 0);
}

static void
call_some(enum counting_mode mode)
{
    counting_each_failure(k, mode)
    {
        vow_future *f[40];
        void *user[40];

        for (int i = 0; i < 40; i++) {
            user[i] = vow_callback_new(&f[i], NULL);
            assert_int_equal(f[i] == NULL, user[i] == NULL);
        }
        for (int i = 0; i < 40; i++) {
            vow_callback0(i % 2 == 0 ? 0 : -EIO, user[i]);
            assert_true(code_of(f[i]) == (i % 2 == 0 ? 0 : EIO) || counting_failed());
            vow_unref(f[i]);
        }
    }
}

VOW_CASE(without_memory_there_is_no_ticket_and_no_future)
{
    begin();
    call_some(COUNTING_ONCE);
    call_some(COUNTING_ONWARDS);
    assert_int_equal(warned.count, 0);
}

VOW_CASE(promise_without_memory_for_a_ticket_is_broken)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    counting_fail_at(1, COUNTING_ONCE);
    assert_null(vow_callback_of(p, NULL));
    counting_fail_at(0, COUNTING_ONCE);
    assert_int_equal(code_of(f), VOW_E_BROKEN);
    vow_unref(f);
}

enum { THREADS = 4, ROUNDS = 500 };

static void *shared[ROUNDS];
static struct drop results[THREADS][ROUNDS]; /* of each thread its own */
static atomic_int won;
static pthread_barrier_t line;

static void *
call_all(void *mine)
{
    struct drop *result = mine;

    pthread_barrier_wait(&line);
    for (int i = 0; i < ROUNDS; i++)
        if (vow_callback_fulfill(shared[i], drop_value(&result[i])))
            atomic_fetch_add(&won, 1);
    return NULL;
}

VOW_CASE(one_of_many_threads_settles_it)
{
    static vow_future *f[ROUNDS];
    pthread_t threads[THREADS];

    begin();
    for (int i = 0; i < ROUNDS; i++)
        shared[i] = vow_callback_new(&f[i], NULL);
    assert_int_equal(pthread_barrier_init(&line, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_all, results[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&line);
    assert_int_equal(won, ROUNDS);
    assert_int_equal(warned.count, (THREADS - 1) * ROUNDS);
    for (int i = 0; i < ROUNDS; i++) {
        vow_unref(f[i]);
        for (int j = 0; j < THREADS; j++)
            assert_int_equal(drop_count(&results[j][i]), 1);
    }
    vow_on_warning(NULL, NULL);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(called_with_a_result_fulfills),
        vow_test(called_with_an_error_rejects),
        vow_test(called_without_a_result_is_nil),
        vow_test(called_with_two_results_is_a_pair),
        vow_test(settled_with_values_of_ones_own),
        vow_test(called_again_is_ignored_and_reported),
        vow_test(tickets_are_never_used_again),
        vow_test(let_go_of_without_a_call_is_broken),
        vow_test(let_go_of_after_the_call_is_nothing),
        vow_test(call_after_a_timeout_is_no_surprise),
        vow_test(promise_of_ones_own_may_have_a_hook),
        vow_test(null_is_a_ticket_without_memory),
        vow_test(without_memory_there_is_no_ticket_and_no_future),
        vow_test(promise_without_memory_for_a_ticket_is_broken),
        vow_test(one_of_many_threads_settles_it),
    };

    return vow_test_run(cases);
}
