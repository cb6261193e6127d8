/* SPDX-License-Identifier: MIT */
/*
 * Waiting: readers that block, that poll and that give up; taking an outcome; waiting
 * inside a step and inside a deferred stretch.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <stdlib.h>

#include <vow/manual.h>

#include "base/thread.h"
#include "base/time.h"
#include "core/linger.h"
#include "core/state.h"
#include "support/drops.h"
#include "sync/park.h"

/* A promise and one future of it. */
struct pair {
    vow_promise *promise;
    vow_future *future;
};

static struct pair
pair_new(void)
{
    struct pair x = {.promise = vow_promise_new()};

    x.future = vow_promise_future(x.promise);
    return x;
}

static void
pair_free(struct pair *x)
{
    vow_promise_unref(x->promise);
    vow_ignore(x->future);
}

VOW_CASE(get_on_a_settled_future_returns_at_once)
{
    vow_future *f = vow_resolved(vow_i64(4));
    vow_future *g = vow_rejected(vow_error_of(VOW_E_OPEN));

    assert_int_equal(vow_get(f).value.as.i64, 4);
    assert_ptr_equal(vow_get(g).error, vow_error_of(VOW_E_OPEN));
    assert_true(vow_wait(f, VOW_FOREVER));
    assert_true(vow_wait_until(g, VOW_FOREVER));
    vow_unref(f);
    vow_unref(g);
}

/* A reader on a thread of its own. */
struct reader {
    vow_future *future;
    vow_ns timeout;
    atomic_int started;
    bool settled;
    vow_view seen;
};

static void *
read_by_get(void *ctx)
{
    struct reader *r = ctx;

    atomic_store(&r->started, 1);
    r->seen = vow_get(r->future);
    return NULL;
}

VOW_CASE(get_on_a_pending_future_wakes_when_another_thread_settles)
{
    struct drop value = {0};
    struct pair x = pair_new();
    struct reader r = {.future = x.future};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, read_by_get, &r), 0);
    await_flag(&r.started, 1);
    assert_true(vow_promise_fulfill(x.promise, drop_value(&value)));
    pthread_join(thread, NULL);

    assert_null(r.seen.error);
    assert_ptr_equal(r.seen.value.as.ptr, &value);
    assert_int_equal(drop_count(&value), 0);
    pair_free(&x);
    assert_int_equal(drop_count(&value), 1);
}

static void *
fulfill_with_7(void *p)
{
    vow_promise_fulfill(p, vow_i64(7));
    vow_promise_unref(p);
    return NULL;
}

VOW_CASE(get_by_the_thread_that_started_the_other_wakes)
{
    for (int i = 0; i < 200; i++) {
        struct pair x = pair_new();
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, fulfill_with_7, x.promise), 0);
        assert_int_equal(vow_get(x.future).value.as.i64, 7);
        vow_unref(x.future);
        pthread_join(thread, NULL);
    }
}

enum { READERS = 12 };

VOW_CASE(get_by_several_readers_wakes_them_all)
{
    struct pair x = pair_new();
    struct reader r[READERS];
    pthread_t threads[READERS];

    for (int i = 0; i < READERS; i++) {
        r[i] = (struct reader){.future = x.future};
        assert_int_equal(pthread_create(&threads[i], NULL, read_by_get, &r[i]), 0);
    }
    for (int i = 0; i < READERS / 2; i++)
        await_flag(&r[i].started, 1);
    vow_promise_fulfill(x.promise, vow_i64(21));

    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(r[i].seen.value.as.i64, 21);
    }
    pair_free(&x);
}

VOW_CASE(wait_of_zero_or_less_polls)
{
    struct pair x = pair_new();

    assert_false(vow_wait(x.future, 0));
    assert_false(vow_wait(x.future, -1));
    assert_false(vow_wait(x.future, INT64_MIN));
    assert_false(vow_wait_until(x.future, INT64_MIN));
    vow_promise_fulfill(x.promise, VOW_NIL);

    assert_true(vow_wait(x.future, 0));
    assert_true(vow_wait(x.future, INT64_MIN));
    assert_true(vow_wait_until(x.future, INT64_MIN));
    pair_free(&x);
}

VOW_CASE(wait_that_times_out_waited_long_enough)
{
    struct pair x = pair_new();
    vow_ns start = vow_clock_now(NULL);

    assert_false(vow_wait(x.future, vow_ms(5)));
    assert_true(vow_clock_now(NULL) - start >= vow_ms(5));
    start = vow_clock_now(NULL);
    assert_false(vow_wait_until(x.future, start + vow_ms(5)));
    assert_true(vow_clock_now(NULL) >= start + vow_ms(5));

    vow_promise_fulfill(x.promise, vow_i64(1));
    assert_int_equal(vow_get(x.future).value.as.i64, 1);
    pair_free(&x);
}

static bool
wait_a_little(vow_future *f)
{
    return vow_wait(f, vow_us(50));
}

VOW_CASE(wait_that_times_out_leaves_nothing_behind)
{
    struct pair x = pair_new();
    size_t before = counting_live();

    for (int i = 0; i < 50; i++)
        assert_false(wait_a_little(x.future));
    assert_int_equal(counting_live(), before);
    vow_promise_fulfill(x.promise, VOW_NIL);

    assert_true(wait_a_little(x.future));
    pair_free(&x);
}

static void *
read_by_waits(void *ctx)
{
    struct reader *r = ctx;

    atomic_store(&r->started, 1);
    while (r->timeout > 0) {
        r->settled = vow_wait(r->future, r->timeout);
        r->timeout -= vow_us(60);
    }
    return NULL;
}

static void *
read_forever(void *ctx)
{
    struct reader *r = ctx;

    atomic_store(&r->started, 1);
    r->settled = vow_wait(r->future, VOW_FOREVER);
    return NULL;
}

/* Odd readers give up again and again, even ones wait for ever between them. */
VOW_CASE(wait_by_many_of_whom_some_give_up_wakes_the_others)
{
    struct pair x = pair_new();
    struct reader r[READERS];
    pthread_t threads[READERS];

    srand(7);
    for (int i = 0; i < READERS; i++) {
        r[i] = (struct reader){.future = x.future, .timeout = vow_us(100 + rand() % 900)};
        assert_int_equal(pthread_create(&threads[i], NULL,
                                        i % 2 != 0 ? read_by_waits : read_forever, &r[i]),
                         0);
    }
    for (int i = 1; i < READERS; i += 2)
        pthread_join(threads[i], NULL);
    vow_promise_fulfill(x.promise, VOW_NIL);

    for (int i = 0; i < READERS; i++) {
        if (i % 2 == 0)
            pthread_join(threads[i], NULL);
        assert_int_equal(r[i].settled, i % 2 == 0);
    }
    pair_free(&x);
}

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

VOW_CASE(wait_that_gives_up_between_steps_keeps_their_order)
{
    struct pair x = pair_new();
    vow_future *f = vow_then(vow_ref(x.future), NULL, add_one, VOW_NIL);
    vow_future *g;

    assert_false(vow_wait(x.future, vow_us(100)));
    g = vow_then(vow_ref(x.future), NULL, add_one, VOW_NIL);
    assert_false(vow_wait(g, vow_us(100)));
    vow_promise_fulfill(x.promise, vow_i64(1));

    assert_int_equal(vow_peek(f).value.as.i64, 2);
    assert_int_equal(vow_peek(g).value.as.i64, 2);
    vow_unref(f);
    vow_unref(g);
    pair_free(&x);
}

VOW_CASE(wait_until_reads_the_clock_in_force)
{
    vow_manual *m = vow_manual_new();
    struct pair x = pair_new();
    vow_clock *before;
    vow_ns start;

    vow_manual_advance(m, vow_seconds(1000));
    before = vow_clock_use(vow_manual_clock(m));
    assert_int_equal(vow_now(), vow_seconds(1000));
    assert_false(vow_wait_until(x.future, vow_seconds(1000)));
    start = vow_clock_now(NULL);
    assert_false(vow_wait_until(x.future, vow_seconds(1000) + vow_ms(2)));
    assert_true(vow_clock_now(NULL) - start >= vow_ms(2));

    assert_ptr_equal(vow_clock_use(before), vow_manual_clock(m));
    vow_promise_fulfill(x.promise, VOW_NIL);
    pair_free(&x);
    vow_manual_unref(m);
}

VOW_CASE(wait_until_forever_returns_when_settled)
{
    struct pair x = pair_new();
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, fulfill_with_7, x.promise), 0);
    assert_true(vow_wait_until(x.future, VOW_FOREVER));
    pthread_join(thread, NULL);

    assert_int_equal(vow_peek(x.future).value.as.i64, 7);
    vow_unref(x.future);
}

/* Taking. */

VOW_CASE(take_moves_the_value_out)
{
    struct drop value = {0};
    vow_future *f = vow_resolved(drop_value(&value));
    vow_result r = {0};

    assert_true(vow_take(f, &r));
    assert_ptr_equal(r.value.as.ptr, &value);
    assert_true(r.value.drop == drop_it);
    assert_null(r.error);
    assert_null(r.follow);
    assert_int_equal(drop_count(&value), 0);
    vow_result_drop(r);

    assert_int_equal(drop_count(&value), 1);
}

VOW_CASE(take_moves_the_error_out)
{
    struct drop payload = {0};
    vow_error *e = drop_error(&payload, EIO);
    vow_result r = {0};

    assert_true(vow_take(vow_rejected(e), &r));
    assert_ptr_equal(r.error, e);
    assert_true(vow_is_nil(r.value));
    assert_int_equal(drop_count(&payload), 0);
    vow_error_unref(r.error);

    assert_int_equal(drop_count(&payload), 1);
}

VOW_CASE(take_refuses_while_another_future_is_held)
{
    struct drop value = {0};
    vow_future *f = vow_resolved(drop_value(&value));
    vow_future *g = vow_ref(f);
    vow_result r = {0};

    assert_false(vow_take(f, &r));
    assert_ptr_equal(vow_get(f).value.as.ptr, &value);
    vow_unref(g);
    assert_true(vow_take(f, &r));
    assert_int_equal(drop_count(&value), 0);
    vow_result_drop(r);

    assert_int_equal(drop_count(&value), 1);
}

VOW_CASE(take_refuses_while_the_promise_is_held)
{
    struct drop value = {0};
    struct pair x = pair_new();
    vow_result r = {0};

    assert_true(vow_promise_fulfill(x.promise, drop_value(&value)));
    assert_false(vow_take(x.future, &r));
    vow_promise_unref(x.promise);
    assert_true(vow_take(x.future, &r));
    vow_result_drop(r);

    assert_int_equal(drop_count(&value), 1);
}

VOW_CASE(take_refuses_while_a_step_holds_the_source)
{
    struct drop value = {0};
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_resolved(drop_value(&value));
    vow_future *g = vow_then(vow_ref(f), vow_manual_executor(m), add_one, VOW_NIL);
    vow_result r = {0};

    assert_false(vow_take(f, &r));
    vow_manual_run(m);
    assert_true(vow_take(f, &r));
    vow_result_drop(r);

    assert_int_equal(drop_count(&value), 1);
    vow_unref(g);
    vow_manual_unref(m);
}

static vow_result
forward(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    return vow_forward();
}

VOW_CASE(take_of_a_value_passed_on_moves_it)
{
    struct drop value = {0};
    vow_future *f = vow_resolved(drop_value(&value));
    vow_result r = {0};

    f = vow_then(f, NULL, forward, VOW_NIL);
    f = vow_then(f, NULL, forward, VOW_NIL);
    assert_true(vow_take(f, &r));
    assert_ptr_equal(r.value.as.ptr, &value);
    assert_int_equal(drop_count(&value), 0);
    vow_result_drop(r);

    assert_int_equal(drop_count(&value), 1);
}

VOW_CASE(take_of_a_value_shared_with_its_source_refuses)
{
    struct drop value = {0};
    vow_future *f = vow_resolved(drop_value(&value));
    vow_future *g = vow_then(vow_ref(f), NULL, forward, VOW_NIL);
    vow_result r = {0};

    assert_false(vow_take(g, &r));
    assert_ptr_equal(vow_get(g).value.as.ptr, &value);
    vow_unref(f);
    assert_true(vow_take(g, &r));
    assert_ptr_equal(r.value.as.ptr, &value);
    vow_result_drop(r);

    assert_int_equal(drop_count(&value), 1);
}

VOW_CASE(take_waits_until_the_future_settles)
{
    struct pair x = pair_new();
    vow_result r = {0};
    pthread_t thread;
    bool taken;

    assert_int_equal(pthread_create(&thread, NULL, fulfill_with_7, x.promise), 0);
    taken = vow_take(x.future, &r);
    pthread_join(thread, NULL);
    if (!taken) /* the other thread held its promise a moment longer */
        assert_true(vow_take(x.future, &r));

    assert_int_equal(r.value.as.i64, 7);
}

/* Inside a step. */

static vow_result
get_then_of_ready(vow_value in, void *ctx)
{
    vow_future *f = vow_then(vow_resolved(in), NULL, add_one, VOW_NIL);
    vow_view seen = vow_get(f);
    vow_result r = seen.error != NULL ? vow_err(vow_error_ref(seen.error))
                                      : vow_ok(vow_i64(seen.value.as.i64 * 10));

    (void)ctx;
    vow_unref(f);
    return r;
}

VOW_CASE(get_inside_a_step_runs_the_steps_it_waits_for)
{
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_then(vow_resolved(vow_i64(1)), NULL, get_then_of_ready, VOW_NIL);
    vow_future *g = vow_then(vow_resolved(vow_i64(2)), vow_manual_executor(m),
                             get_then_of_ready, VOW_NIL);

    assert_int_equal(vow_get(f).value.as.i64, 20);
    vow_manual_run(m);
    assert_int_equal(vow_get(g).value.as.i64, 30);
    vow_unref(f);
    vow_unref(g);
    vow_manual_unref(m);
}

static vow_result
settle_and_get(vow_value in, void *ctx)
{
    struct pair *x = ctx;
    vow_future *f = vow_then(vow_ref(x->future), NULL, add_one, VOW_NIL);
    int64_t seen;

    vow_promise_fulfill(x->promise, in);
    seen = vow_get(f).value.as.i64;
    vow_unref(f);
    return vow_ok(vow_i64(seen));
}

VOW_CASE(get_inside_a_step_runs_what_that_step_settled)
{
    struct pair x = pair_new();
    vow_future *f = vow_then(vow_resolved(vow_i64(5)), NULL, settle_and_get, vow_ptr(&x));

    assert_int_equal(vow_get(f).value.as.i64, 6);
    vow_unref(f);
    pair_free(&x);
}

static vow_result
wait_nested(vow_value in, void *ctx)
{
    vow_future *f;
    bool settled;

    if (in.as.i64 == 0)
        return vow_ok(vow_i64(1));
    f = vow_then(vow_resolved(vow_i64(in.as.i64 - 1)), NULL, wait_nested,
                 ctx == NULL ? VOW_NIL : vow_ptr(ctx));
    settled = vow_wait(f, vow_seconds(300));
    vow_unref(f);
    return settled ? vow_ok(vow_i64(1)) : vow_fail(ETIMEDOUT, "level %d", (int)in.as.i64);
}

VOW_CASE(wait_inside_a_step_inside_a_wait_ends)
{
    vow_future *f = vow_then(vow_resolved(vow_i64(50)), NULL, wait_nested, VOW_NIL);

    assert_int_equal(vow_get(f).value.as.i64, 1);
    vow_unref(f);
}

/* Inside a drop. */

/* A value whose drop lets go of another one, and waits for what the drop of that does. */
struct waiting_drop {
    vow_future *other;
    vow_future *awaited;
    bool settled;
};

static void
settle_as_dropped(void *promise)
{
    vow_promise_fulfill(promise, VOW_NIL);
    vow_promise_unref(promise);
}

static void
wait_as_dropped(void *waiting)
{
    struct waiting_drop *w = waiting;

    vow_unref(w->other);
    w->settled = vow_wait(w->awaited, vow_ms(10)); /* or it sleeps for nothing */
}

VOW_CASE(wait_inside_a_drop_sees_the_drops_of_what_that_let_go_of)
{
    vow_promise *p = vow_promise_new();
    struct waiting_drop w = {.awaited = vow_promise_future(p)};

    w.other = vow_resolved(vow_own(p, settle_as_dropped));
    vow_unref(vow_resolved(vow_own(&w, wait_as_dropped)));

    assert_true(w.settled);
    vow_unref(w.awaited);
}

/* Deferred stretches. */

static void
write_s(void *ctx)
{
    journal_add(ctx, 's');
}

VOW_CASE(defer_holds_steps_back_until_its_end)
{
    struct journal j = {0};
    struct pair x = pair_new();
    vow_future *f = vow_finally(vow_ref(x.future), NULL, write_s, vow_ptr(&j));

    vow_defer_begin();
    assert_true(vow_promise_fulfill(x.promise, VOW_NIL));
    assert_int_equal(vow_future_status(x.future), VOW_FULFILLED);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    assert_string_equal(j.text, "");
    vow_defer_end();

    assert_string_equal(j.text, "s");
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    vow_unref(f);
    pair_free(&x);
}

VOW_CASE(defer_holds_back_what_is_attached_to_a_settled_future)
{
    struct journal j = {0};
    vow_future *f;

    vow_defer_begin();
    f = vow_finally(vow_resolved(VOW_NIL), NULL, write_s, vow_ptr(&j));
    assert_string_equal(j.text, "");
    vow_defer_end();

    assert_string_equal(j.text, "s");
    vow_unref(f);
}

VOW_CASE(defer_nested_ends_with_the_outermost)
{
    struct journal j = {0};

    vow_defer_begin();
    vow_defer_begin();
    vow_unref(vow_finally(vow_resolved(VOW_NIL), NULL, write_s, vow_ptr(&j)));
    vow_defer_end();
    assert_string_equal(j.text, "");
    vow_defer_end();

    assert_string_equal(j.text, "s");
}

VOW_CASE(defer_refuses_to_wait_for_what_is_pending)
{
    struct pair x = pair_new();
    vow_future *settled = vow_resolved(vow_i64(1));
    vow_result r = {0};

    vow_defer_begin();
    assert_int_equal(code_of(x.future), VOW_E_DEADLOCK);
    assert_false(vow_wait(x.future, VOW_FOREVER));
    assert_false(vow_wait(x.future, 0));
    assert_false(vow_wait_until(x.future, VOW_FOREVER));
    assert_false(vow_take(x.future, &r));
    assert_int_equal(vow_get(settled).value.as.i64, 1);
    assert_true(vow_wait(settled, VOW_FOREVER));
    vow_defer_end();

    assert_int_equal(vow_future_status(x.future), VOW_PENDING);
    vow_promise_fulfill(x.promise, vow_i64(2));
    assert_int_equal(vow_get(x.future).value.as.i64, 2);
    vow_unref(settled);
    pair_free(&x);
}

/* A user's object with a lock that its own steps take. */
struct account {
    pthread_mutex_t lock;
    struct pair reply;
    int64_t balance;
};

static vow_result
read_balance(vow_value in, void *ctx)
{
    struct account *a = ctx;
    vow_result r;

    (void)in;
    pthread_mutex_lock(&a->lock);
    r = vow_ok(vow_i64(a->balance));
    pthread_mutex_unlock(&a->lock);
    return r;
}

VOW_CASE(defer_lets_one_settle_under_a_lock_that_steps_take)
{
    struct account a = {.reply = pair_new()};
    vow_future *f;

    pthread_mutex_init(&a.lock, NULL);
    f = vow_then(vow_ref(a.reply.future), NULL, read_balance, vow_ptr(&a));
    vow_defer_begin();
    pthread_mutex_lock(&a.lock);
    vow_promise_fulfill(a.reply.promise, VOW_NIL);
    a.balance = 100;
    pthread_mutex_unlock(&a.lock);
    vow_defer_end();

    assert_int_equal(vow_get(f).value.as.i64, 100);
    vow_unref(f);
    pair_free(&a.reply);
    pthread_mutex_destroy(&a.lock);
}

struct stage {
    struct journal journal;
    struct pair x;
};

static vow_result
defer_inside(vow_value in, void *ctx)
{
    struct stage *s = ctx;

    (void)in;
    vow_defer_begin();
    vow_promise_fulfill(s->x.promise, VOW_NIL);
    vow_defer_end();
    journal_add(&s->journal, 'z');
    return vow_ok(VOW_NIL);
}

VOW_CASE(defer_inside_a_step_ends_after_that_step)
{
    struct stage s = {.x = pair_new()};
    vow_future *f = vow_finally(vow_ref(s.x.future), NULL, write_s, vow_ptr(&s.journal));

    vow_unref(vow_then(vow_resolved(VOW_NIL), NULL, defer_inside, vow_ptr(&s)));

    assert_string_equal(s.journal.text, "zs");
    vow_unref(f);
    pair_free(&s.x);
}

VOW_CASE(defer_does_not_hold_back_a_real_executor)
{
    struct journal j = {0};
    vow_manual *m = vow_manual_new();

    vow_defer_begin();
    vow_unref(
        vow_finally(vow_resolved(VOW_NIL), vow_manual_executor(m), write_s, vow_ptr(&j)));
    assert_int_equal(vow_manual_run(m), 1);
    vow_defer_end();

    assert_string_equal(j.text, "s");
    vow_manual_unref(m);
}

/* A step on a thread of no executor that waits: others may wait for that thread. */

static vow_result
wait_a_moment(vow_value in, void *f)
{
    (void)in;
    return vow_ok(vow_i64(vow_wait(f, vow_ms(1))));
}

VOW_CASE(wait_with_a_deadline_inside_an_inline_step_gives_up)
{
    struct pair x = pair_new();
    vow_future *f =
        vow_then(vow_resolved(VOW_NIL), NULL, wait_a_moment, vow_ptr(x.future));

    assert_int_equal(vow_get(f).value.as.i64, 0);
    vow_unref(f);
    pair_free(&x);
}

/* However well spinning has paid off, it has an end. */
VOW_CASE(wait_spins_no_longer_than_it_may)
{
    struct pair x = pair_new();

    vowi_self()->spin = 1u << 20;
    assert_false(vow_wait(x.future, vow_us(10)));
    assert_in_range(vowi_self()->spin, 1, (1u << 20) - 1);
    vowi_self()->spin = 0;
    pair_free(&x);
}

/* What settles within the first look was awaited for next to no time, whatever waits were
 * like before; it is no beginning of reading, but goes on with it. */
VOW_CASE(wait_that_is_over_at_a_glance_was_brief)
{
    struct vowi_thread *t = vowi_self();
    struct pair x = pair_new();
    struct vow_state *s = vowi_promise_state(x.promise);

    t->spin = t->wait = 10000;
    t->reads = 0;
    assert_false(vowi_linger_glance(t, s));
    assert_int_equal(t->wait, 10000); /* it is not over, and nothing is learnt yet */

    vow_promise_fulfill(x.promise, VOW_NIL);
    assert_true(vowi_linger_glance(t, s));
    assert_int_equal(t->reads, 0);
    assert_in_range(t->wait, 1, 9999);
    assert_in_range(t->spin, 1, 9999);
    t->reads = 3;
    assert_true(vowi_linger_glance(t, s));
    assert_int_equal(t->reads, 4);
    t->reads = 0;
    t->spin = t->wait = 0;
    pair_free(&x);
}

/* A thread that only reads naps, for as long as its waits let it; if that was too short,
 * or if it is to be measured, it sleeps until it is woken. */
VOW_CASE(wait_of_a_thread_that_only_reads_ends_however_it_naps)
{
    static const vow_ns waits[] = {1, 30000, 90000, 1000000};
    struct vowi_thread *t = vowi_self();

    for (unsigned i = 0; i < 100; i++) {
        struct pair x = pair_new();
        pthread_t thread;

        t->reads = i;
        t->wait = waits[i % 4];
        t->judged = false; /* the last nap */
        t->awake = 0;
        assert_int_equal(pthread_create(&thread, NULL, fulfill_with_7, x.promise), 0);
        assert_int_equal(vow_get(x.future).value.as.i64, 7);
        pthread_join(thread, NULL);
        assert_false(t->napped);
        vow_unref(x.future);
    }
    t->reads = 0;
}

static void
find_settled(int n)
{
    for (int i = 0; i < n; i++) {
        vow_future *f = vow_resolved(VOW_NIL);

        assert_null(vow_get(f).error);
        vow_unref(f);
    }
}

/* A thread that has read for as long, in waits of a microsecond. */
static struct vowi_thread *
reader_for(vow_ns time)
{
    struct vowi_thread *t = vowi_self();

    assert_int_equal(vowi_parker_init(&t->parker), 0);
    t->reads = 10;
    t->since = vowi_monotonic_now() - time;
    t->wait = 1000;
    t->nap = 0;
    t->awake = 0;
    t->vigil = 0;
    t->judged = false;
    t->tended = false;
    return t;
}

static void
read_no_more(struct vowi_thread *t)
{
    t->awake = 0;
    t->reads = 0;
    t->judged = false;
    t->napped = false;
}

/* Who asks, waits and asks again finds nothing else settled, and should not nap. */
VOW_CASE(nap_that_found_too_little_is_the_last_for_long)
{
    struct vowi_thread *t = reader_for(0);
    struct pair x = pair_new();
    struct vow_state *s = vowi_promise_state(x.promise);
    unsigned first = 0, left = 0;

    for (int i = 0; i < 10; i++) {
        assert_false(vowi_nap(t, s)); /* it napped, and s is pending */
        assert_true(t->judged);
        find_settled(3);
        assert_false(vowi_nap(t, s)); /* eight could be expected */
        assert_false(t->judged);
        left = t->awake;
        assert_int_equal(i != 1 || left == 2 * first, true);
        first = i == 0 ? left : first;
        assert_false(vowi_nap(t, s));
        assert_int_equal(t->awake, left - 1);
        t->awake = 0;
    }
    assert_in_range(left, 16 * first, 100 * first); /* there is an end to it */
    read_no_more(t);
    pair_free(&x);
}

/* Each is twice as long as the one before, for as long as it finds enough. */
VOW_CASE(nap_that_was_worth_it_makes_the_next_one_longer)
{
    struct vowi_thread *t = reader_for(vow_ms(1000));
    struct pair x = pair_new();
    struct vow_state *s = vowi_promise_state(x.promise);
    vow_ns last;

    assert_false(vowi_nap(t, s));
    last = t->nap;
    find_settled(4); /* half of what could be expected */
    assert_false(vowi_nap(t, s));
    assert_true(t->judged);
    assert_int_equal(t->nap, 2 * last);
    t->found = 1000000;
    assert_false(vowi_nap(t, s));
    assert_int_equal(t->nap, 4 * last);
    assert_int_equal(t->vigil, 0);
    t->found = 0;
    assert_false(vowi_nap(t, s));
    assert_false(t->judged);
    assert_in_range(t->awake, 1, 16); /* which happens */
    t->awake = 0;
    assert_false(vowi_nap(t, s)); /* from the beginning */
    assert_int_equal(t->nap, last);
    read_no_more(t);
    pair_free(&x);
}

static vow_ns
longest_nap(struct vow_state *s, vow_ns read)
{
    struct vowi_thread *t = reader_for(read);

    t->nap = vow_ms(1000);
    assert_false(vowi_nap(t, s));
    return t->nap;
}

/* It can be late by a small part of the time it has read for, and by no more than so much.
 * Time goes by meanwhile, so it has not read at all if it begins a while from now. */
VOW_CASE(nap_lasts_no_longer_than_a_part_of_the_time_read_for)
{
    struct pair x = pair_new();
    struct vow_state *s = vowi_promise_state(x.promise);

    assert_int_equal(longest_nap(s, vow_ms(-1000000)), vow_us(200));
    assert_in_range(longest_nap(s, vow_ms(32)), vow_us(500), vow_us(1000));
    assert_int_equal(longest_nap(s, vow_ms(10000)), vow_us(1000));
    read_no_more(vowi_self());
    pair_free(&x);
}

/* What a worker has ended it will end again, and if not it is over all the same. */
VOW_CASE(nap_that_no_worker_ends_is_over_later)
{
    struct vowi_thread *t = reader_for(vow_ms(8));
    struct pair x = pair_new();
    struct vow_state *s = vowi_promise_state(x.promise);
    vow_ns start = vowi_monotonic_now();

    t->tended = true;
    assert_false(vowi_nap(t, s));
    assert_false(t->tended);
    assert_true(vowi_monotonic_now() - start >=
                vow_ms(1)); /* an eighth of what it has read */
    t->tended = true;
    t->since = vowi_monotonic_now() - vow_ms(100000);
    start = vowi_monotonic_now();
    t->found = 1000000;
    assert_false(vowi_nap(t, s));
    assert_true(vowi_monotonic_now() - start >= vow_ms(8));
    t = reader_for(0);
    t->tended = true;
    assert_false(vowi_nap(t, s)); /* not before its time either */
    read_no_more(t);
    pair_free(&x);
}

/* A round that took long says that the CPU is wanted: then waits do not yield, for longer each
 * time that happens again, and not for as long after some that were in time. */
VOW_CASE(wait_that_was_late_keeps_the_next_ones_from_yielding)
{
    struct vowi_thread *t = vowi_self();
    struct pair x = pair_new();
    struct vow_state *s = vowi_promise_state(x.promise);
    unsigned first = 0, last = 0;

    t->crowd = 0;
    for (int i = 0; i < 20; i++) {
        t->crowded = 0;
        last = t->crowd;
        /* it began a second ago, as it seems, and one look took it till now */
        assert_false(vowi_linger(t, s, vowi_monotonic_now() - vow_ms(1000), VOW_FOREVER));
        assert_int_equal(t->crowded, t->crowd);
        first = i == 0 ? t->crowd : first;
        assert_int_equal(i != 1 || t->crowd == 2 * first, true);
    }
    assert_int_equal(t->crowd, last); /* there is an end to it */

    vow_promise_fulfill(x.promise, VOW_NIL);
    t->crowded = 1;
    /* these begin in a second, as it seems, and so no look is late, whatever else runs here */
    assert_true(vowi_linger(t, s, vowi_monotonic_now() + vow_ms(1000), VOW_FOREVER));
    assert_int_equal(t->crowded, 0);
    assert_true(vowi_linger(t, s, vowi_monotonic_now() + vow_ms(1000), VOW_FOREVER));
    assert_in_range(t->crowd, last - 2, last - 1);
    t->crowd = 0;
    pair_free(&x);
}

static void
do_nothing(void *ctx)
{
    (void)ctx;
}

/* Who settles something, or posts, does not only read. */
VOW_CASE(wait_of_a_thread_that_does_more_than_read_is_no_nap)
{
    struct vowi_thread *t = vowi_self();
    struct pair x = pair_new();

    t->reads = 10;
    vow_promise_fulfill(x.promise, VOW_NIL);
    assert_int_equal(t->reads, 0);
    t->reads = 10;
    assert_int_equal(vow_post(NULL, do_nothing, VOW_NIL), 0);
    assert_int_equal(t->reads, 0);
    pair_free(&x);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(get_on_a_settled_future_returns_at_once),
        vow_test(get_on_a_pending_future_wakes_when_another_thread_settles),
        vow_test(get_by_the_thread_that_started_the_other_wakes),
        vow_test(get_by_several_readers_wakes_them_all),
        vow_test(wait_of_zero_or_less_polls),
        vow_test(wait_that_times_out_waited_long_enough),
        vow_test(wait_that_times_out_leaves_nothing_behind),
        vow_test(wait_by_many_of_whom_some_give_up_wakes_the_others),
        vow_test(wait_that_gives_up_between_steps_keeps_their_order),
        vow_test(wait_until_reads_the_clock_in_force),
        vow_test(wait_until_forever_returns_when_settled),
        vow_test(take_moves_the_value_out),
        vow_test(take_moves_the_error_out),
        vow_test(take_refuses_while_another_future_is_held),
        vow_test(take_refuses_while_the_promise_is_held),
        vow_test(take_refuses_while_a_step_holds_the_source),
        vow_test(take_of_a_value_passed_on_moves_it),
        vow_test(take_of_a_value_shared_with_its_source_refuses),
        vow_test(take_waits_until_the_future_settles),
        vow_test(get_inside_a_step_runs_the_steps_it_waits_for),
        vow_test(get_inside_a_step_runs_what_that_step_settled),
        vow_test(wait_inside_a_step_inside_a_wait_ends),
        vow_test(wait_inside_a_drop_sees_the_drops_of_what_that_let_go_of),
        vow_test(defer_holds_steps_back_until_its_end),
        vow_test(defer_holds_back_what_is_attached_to_a_settled_future),
        vow_test(defer_nested_ends_with_the_outermost),
        vow_test(defer_refuses_to_wait_for_what_is_pending),
        vow_test(defer_lets_one_settle_under_a_lock_that_steps_take),
        vow_test(defer_inside_a_step_ends_after_that_step),
        vow_test(defer_does_not_hold_back_a_real_executor),
        vow_test(wait_with_a_deadline_inside_an_inline_step_gives_up),
        vow_test(wait_spins_no_longer_than_it_may),
        vow_test(wait_that_is_over_at_a_glance_was_brief),
        vow_test(wait_of_a_thread_that_only_reads_ends_however_it_naps),
        vow_test(nap_that_found_too_little_is_the_last_for_long),
        vow_test(nap_that_was_worth_it_makes_the_next_one_longer),
        vow_test(nap_lasts_no_longer_than_a_part_of_the_time_read_for),
        vow_test(nap_that_no_worker_ends_is_over_later),
        vow_test(wait_that_was_late_keeps_the_next_ones_from_yielding),
        vow_test(wait_of_a_thread_that_does_more_than_read_is_no_nap),
    };

    return vow_test_run(cases);
}
