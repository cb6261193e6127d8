/* SPDX-License-Identifier: MIT */
/* Channels and select: order, room, closing, cancelling, and that no value is lost. */
#include "vow_test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include <vow/vow.h>

#include "drops.h"

/* ---- sending and receiving -------------------------------------------------------- */

static void
assert_sent(vow_future *f)
{
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    vow_unref(f);
}

/* Consumes the future of a receive that has a number. */
static void
assert_received(vow_future *f, int64_t expected)
{
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_int_equal(vow_peek(f).value.as.i64, expected);
    vow_unref(f);
}

static void
assert_failed(vow_future *f, int code)
{
    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    assert_int_equal(vow_error_code(vow_peek(f).error), code);
    vow_unref(f);
}

VOW_CASE(channel_keeps_as_many_as_it_has_room_for)
{
    vow_channel *c = vow_channel_new(2);
    vow_future *third;

    assert_sent(vow_channel_send(c, vow_i64(1)));
    assert_sent(vow_channel_send(c, vow_i64(2)));
    third = vow_channel_send(c, vow_i64(3));
    assert_int_equal(vow_future_status(third), VOW_PENDING);
    assert_int_equal(vow_channel_count(c), 2);
    assert_received(vow_channel_receive(c), 1);
    assert_sent(third); /* there was room for it */
    assert_received(vow_channel_receive(c), 2);
    assert_received(vow_channel_receive(c), 3);
    assert_int_equal(vow_channel_count(c), 0);
    vow_channel_unref(c);
}

/* Through three places, more often than once round. */
VOW_CASE(channel_keeps_the_order_all_round_its_places)
{
    vow_channel *c = vow_channel_new(3);
    int64_t in = 0, out = 0;
    vow_value v;

    for (int turn = 0; turn < 20; turn++) {
        int64_t wanted = turn % 4; /* 0 to 3: from none to all of them */

        for (int64_t i = 0; i < wanted; i++)
            assert_int_equal(vow_channel_try_send(c, vow_i64(in++)), 0);
        assert_int_equal(vow_channel_count(c), wanted);
        if (wanted == 3)
            assert_int_equal(vow_channel_try_send(c, vow_i64(-1)), VOW_E_LIMIT);
        while (vow_channel_try_receive(c, &v) == 0)
            assert_int_equal(v.as.i64, out++);
        assert_int_equal(out, in);
    }
    vow_channel_unref(c);
}

VOW_CASE(channel_serves_receivers_in_order)
{
    vow_channel *c = vow_channel_new(2);
    vow_future *f = vow_channel_receive(c), *g = vow_channel_receive(c);

    assert_sent(vow_channel_send(c, vow_i64(1)));
    assert_int_equal(vow_future_status(g), VOW_PENDING);
    assert_received(f, 1);
    assert_sent(vow_channel_send(c, vow_i64(2)));
    assert_received(g, 2);
    vow_channel_unref(c);
}

VOW_CASE(channel_without_room_is_a_rendezvous)
{
    vow_channel *c = vow_channel_new(0);
    vow_future *a = vow_channel_send(c, vow_i64(1)), *b = vow_channel_send(c, vow_i64(2)),
               *f;

    assert_int_equal(vow_future_status(a), VOW_PENDING);
    assert_received(vow_channel_receive(c), 1);
    assert_sent(a);
    assert_int_equal(vow_future_status(b), VOW_PENDING);
    assert_received(vow_channel_receive(c), 2);
    assert_sent(b);
    f = vow_channel_receive(c);
    assert_sent(vow_channel_send(c, vow_i64(3)));
    assert_received(f, 3);
    vow_channel_unref(c);
}

/* What the step of one of several that settle together sees of another one. */
static vow_result
ask_for_status(vow_view how, void *other)
{
    (void)how;
    return vow_ok(vow_i64(vow_future_status(*(vow_future **)other)));
}

VOW_CASE(steps_on_what_a_close_settles_find_all_of_it_settled)
{
    vow_channel *c = vow_channel_new(1);
    vow_future *other = NULL;
    vow_future *seen =
        vow_handle(vow_channel_receive(c), NULL, ask_for_status, vow_ptr(&other));

    other = vow_channel_receive(c);
    assert_true(vow_channel_close(c));
    assert_int_equal(code_of(seen), 0);
    assert_int_equal(vow_peek(seen).value.as.i64, VOW_REJECTED);
    vow_unref(seen);
    vow_ignore(other);
    vow_channel_unref(c);
}

VOW_CASE(channel_closed_still_gives_what_is_in_it)
{
    vow_channel *c = vow_channel_new(1);
    struct drop in = {0}, waiting = {0}, late = {0};
    vow_future *w, *f;

    assert_sent(vow_channel_send(c, drop_value(&in)));
    w = vow_channel_send(c, drop_value(&waiting));
    assert_true(vow_channel_close(c));
    assert_false(vow_channel_close(c));
    assert_failed(w, VOW_E_CLOSED);
    assert_int_equal(drop_count(&waiting), 1);
    assert_failed(vow_channel_send(c, drop_value(&late)), VOW_E_CLOSED);
    assert_int_equal(drop_count(&late), 1);
    f = vow_channel_receive(c);
    assert_ptr_equal(vow_peek(f).value.as.ptr, &in);
    vow_unref(f);
    assert_int_equal(drop_count(&in), 1);
    assert_failed(vow_channel_receive(c), VOW_E_CLOSED);
    vow_channel_unref(c);
}

VOW_CASE(channel_closed_rejects_receivers_that_wait)
{
    vow_channel *c = vow_channel_new(0);
    vow_future *f = vow_channel_receive(c), *g = vow_channel_receive(c);

    vow_channel_unref(c); /* the last handle closes it */
    assert_string_equal(vow_error_message(vow_peek(f).error), "the channel is closed");
    assert_failed(f, VOW_E_CLOSED);
    assert_failed(g, VOW_E_CLOSED);
}

static vow_result
give_up_channel(const vow_error *error, void *ctx)
{
    vow_channel *c = (vow_channel *)ctx;

    assert_int_equal(vow_error_code(error), VOW_E_CLOSED);
    vow_channel_unref(c);
    return vow_ok(vow_i64(1));
}

VOW_CASE(channel_may_be_let_go_by_whoever_its_closing_serves)
{
    vow_channel *c = vow_channel_new(1);
    vow_future *f = vow_catch(vow_channel_receive(c), NULL, give_up_channel, vow_ptr(c));

    assert_true(vow_channel_close(c));
    assert_received(f, 1);
}

VOW_CASE(channel_drops_what_nobody_received)
{
    struct drop d[3] = {{0}};
    vow_channel *c = vow_channel_new(2);
    vow_future *f;

    assert_sent(vow_channel_send(c, drop_value(&d[0])));
    assert_sent(vow_channel_send(c, drop_value(&d[1])));
    f = vow_channel_send(c, drop_value(&d[2]));
    vow_channel_unref(vow_channel_ref(c));
    assert_int_equal(drop_count(&d[0]), 0);
    vow_channel_unref(c);
    for (int i = 0; i < 3; i++)
        assert_int_equal(drop_count(&d[i]), 1);
    assert_failed(f, VOW_E_CLOSED);
}

VOW_CASE(channel_receive_cancelled_leaves_the_channel_as_it_is)
{
    vow_channel *c = vow_channel_new(0);
    vow_future *f = vow_channel_receive(c), *g = vow_channel_receive(c);

    vow_future_cancel(f, NULL);
    assert_failed(f, VOW_E_CANCELLED);
    assert_sent(vow_channel_send(c, vow_i64(7)));
    assert_received(g, 7);
    vow_channel_unref(c);
}

VOW_CASE(channel_send_cancelled_drops_its_value)
{
    vow_channel *c = vow_channel_new(0);
    struct drop d = {0};
    vow_future *f = vow_channel_send(c, drop_value(&d)),
               *g = vow_channel_send(c, vow_i64(2));

    vow_future_cancel(f, NULL);
    assert_failed(f, VOW_E_CANCELLED);
    assert_int_equal(drop_count(&d), 1);
    assert_received(vow_channel_receive(c), 2);
    assert_sent(g);
    vow_channel_unref(c);
}

VOW_CASE(channel_receive_cancelled_after_it_got_a_value_has_it)
{
    vow_channel *c = vow_channel_new(0);
    vow_future *f = vow_channel_receive(c);

    assert_sent(vow_channel_send(c, vow_i64(5)));
    vow_future_cancel(f, NULL);
    assert_received(f, 5);
    vow_channel_unref(c);
}

VOW_CASE(channel_try_never_waits)
{
    vow_channel *c = vow_channel_new(1);
    struct drop d = {0};
    vow_value v;
    vow_future *f;

    assert_int_equal(vow_channel_try_receive(c, &v), VOW_E_EMPTY);
    assert_int_equal(vow_channel_try_send(c, vow_i64(1)), 0);
    assert_int_equal(vow_channel_try_send(c, drop_value(&d)), VOW_E_LIMIT);
    assert_int_equal(drop_count(&d), 0); /* still ours */
    f = vow_channel_send(c, drop_value(&d));
    assert_int_equal(vow_channel_try_receive(c, &v), 0);
    assert_int_equal(v.as.i64, 1);
    assert_sent(f);
    assert_int_equal(vow_channel_try_receive(c, &v), 0);
    assert_ptr_equal(v.as.ptr, &d);
    vow_value_drop(v);
    vow_channel_close(c);
    assert_int_equal(vow_channel_try_send(c, VOW_NIL), VOW_E_CLOSED);
    assert_int_equal(vow_channel_try_receive(c, &v), VOW_E_CLOSED);
    assert_int_equal(drop_count(&d), 1);
    vow_channel_unref(c);
}

VOW_CASE(channel_null_has_run_out_of_memory)
{
    struct drop d = {0};
    vow_value v;

    assert_failed(vow_channel_send(NULL, drop_value(&d)), VOW_E_NOMEM);
    assert_int_equal(drop_count(&d), 1);
    assert_failed(vow_channel_receive(NULL), VOW_E_NOMEM);
    assert_int_equal(vow_channel_try_send(NULL, VOW_NIL), VOW_E_NOMEM);
    assert_int_equal(vow_channel_try_receive(NULL, &v), VOW_E_NOMEM);
    assert_false(vow_channel_close(NULL));
    assert_int_equal(vow_channel_count(NULL), 0);
    assert_null(vow_channel_ref(NULL));
    vow_channel_unref(NULL);
    assert_null(vow_channel_new(SIZE_MAX));
}

VOW_CASE(channel_without_memory_loses_nothing)
{
    counting_each_failure(k, COUNTING_ONCE)
    {
        struct drop d[4] = {{0}};
        vow_channel *c = vow_channel_new(1);
        vow_future *f[8];

        for (int i = 0; i < 4; i++)
            f[i] = vow_channel_send(c, drop_value(&d[i]));
        for (int i = 4; i < 8; i++)
            f[i] = vow_channel_receive(c);
        vow_channel_unref(c);
        for (int i = 0; i < 8; i++) {
            assert_int_not_equal(vow_future_status(f[i]), VOW_PENDING);
            vow_ignore(f[i]);
        }
        for (int i = 0; i < 4; i++)
            assert_int_equal(drop_count(&d[i]), 1);
    }
}

/* ---- select ------------------------------------------------------------------------ */

#define SELECT(...)                                                                      \
    vow_select((const vow_case[]){__VA_ARGS__},                                          \
               sizeof((const vow_case[]){__VA_ARGS__}) / sizeof(vow_case))

static void
assert_selected(vow_future *f, size_t index)
{
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_int_equal(vow_get_selected(f)->index, index);
}

VOW_CASE(select_does_the_first_that_can_be_done)
{
    vow_channel *a = vow_channel_new(1), *b = vow_channel_new(1);
    struct drop d = {0};
    vow_value v;
    vow_future *f;

    assert_sent(vow_channel_send(b, vow_i64(9)));
    f = SELECT(VOW_CASE_RECEIVE(a), VOW_CASE_RECEIVE(b),
               VOW_CASE_SEND(a, drop_value(&d)));
    assert_selected(f, 1);
    assert_int_equal(vow_get_selected(f)->result.value.as.i64, 9);
    assert_int_equal(drop_count(&d), 1); /* what is not sent is dropped */
    assert_true(vow_selected_take(vow_get_selected(f), &v));
    assert_false(vow_selected_take(vow_get_selected(f), &v));
    vow_unref(f);
    assert_int_equal(vow_channel_count(a) + vow_channel_count(b), 0);
    vow_channel_unref(a);
    vow_channel_unref(b);
}

VOW_CASE(select_waits_for_the_first_and_does_no_other)
{
    vow_channel *a = vow_channel_new(0), *b = vow_channel_new(0);
    struct drop d = {0};
    vow_value v;
    vow_future *f = SELECT(VOW_CASE_RECEIVE(a), VOW_CASE_SEND(b, drop_value(&d)));
    vow_future *g;

    assert_int_equal(vow_future_status(f), VOW_PENDING);
    assert_sent(vow_channel_send(a, vow_i64(3)));
    assert_selected(f, 0);
    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(vow_channel_try_receive(b, &v), VOW_E_EMPTY); /* it sends no more */
    g = vow_channel_send(a, vow_i64(4));
    assert_int_equal(vow_future_status(g), VOW_PENDING); /* and receives no more */
    assert_true(vow_selected_take(vow_get_selected(f), &v));
    assert_int_equal(v.as.i64, 3);
    vow_unref(f);
    assert_received(vow_channel_receive(a), 4);
    assert_sent(g);
    vow_channel_unref(a);
    vow_channel_unref(b);
}

VOW_CASE(select_sends_to_who_comes)
{
    vow_channel *a = vow_channel_new(0), *b = vow_channel_new(0);
    vow_future *f = SELECT(VOW_CASE_SEND(a, vow_i64(1)), VOW_CASE_SEND(b, vow_i64(2)));
    vow_value v;

    assert_received(vow_channel_receive(b), 2);
    assert_selected(f, 1);
    assert_false(vow_selected_take(vow_get_selected(f), &v));
    vow_unref(f);
    vow_channel_unref(a);
    vow_channel_unref(b);
}

VOW_CASE(select_meets_select)
{
    vow_channel *a = vow_channel_new(0), *b = vow_channel_new(0);
    vow_future *f = SELECT(VOW_CASE_RECEIVE(a), VOW_CASE_RECEIVE(b));
    vow_future *g = SELECT(VOW_CASE_SEND(b, vow_i64(2)), VOW_CASE_SEND(a, vow_i64(1)));
    vow_value v;

    assert_selected(g, 0);
    assert_selected(f, 1);
    assert_true(vow_selected_take(vow_get_selected(f), &v));
    assert_int_equal(v.as.i64, 2);
    vow_unref(f);
    vow_unref(g);
    vow_channel_unref(a);
    vow_channel_unref(b);
}

VOW_CASE(select_does_not_meet_itself)
{
    vow_channel *a = vow_channel_new(0);
    vow_future *f = SELECT(VOW_CASE_RECEIVE(a), VOW_CASE_SEND(a, vow_i64(1)));

    assert_int_equal(vow_future_status(f), VOW_PENDING);
    assert_received(vow_channel_receive(a), 1);
    assert_selected(f, 1);
    vow_unref(f);
    vow_channel_unref(a);
}

VOW_CASE(select_of_a_closed_channel_says_so)
{
    vow_channel *a = vow_channel_new(0), *b = vow_channel_new(0);
    vow_future *f = SELECT(VOW_CASE_RECEIVE(a), VOW_CASE_RECEIVE(b));

    vow_channel_close(b);
    assert_selected(f, 1);
    assert_int_equal(vow_error_code(vow_get_selected(f)->result.error), VOW_E_CLOSED);
    vow_unref(f);
    f = SELECT(VOW_CASE_RECEIVE(a), VOW_CASE_SEND(b, vow_i64(1)));
    assert_selected(f, 1);
    vow_unref(f);
    vow_channel_unref(a);
    vow_channel_unref(b);
}

VOW_CASE(select_cancelled_does_nothing)
{
    vow_channel *a = vow_channel_new(0), *b = vow_channel_new(0);
    struct drop d = {0};
    vow_future *f = SELECT(VOW_CASE_RECEIVE(a), VOW_CASE_SEND(b, drop_value(&d))), *g;
    vow_value v;

    vow_future_cancel(f, NULL);
    assert_failed(f, VOW_E_CANCELLED);
    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(vow_channel_try_receive(b, &v), VOW_E_EMPTY);
    g = vow_channel_send(a, vow_i64(1));
    assert_int_equal(vow_future_status(g), VOW_PENDING);
    vow_channel_unref(a);
    vow_channel_unref(b);
    assert_failed(g, VOW_E_CLOSED);
}

VOW_CASE(select_value_that_nobody_took_goes_back_to_the_front)
{
    vow_channel *a = vow_channel_new(4);
    struct drop d = {0};
    vow_future *f, *g;

    assert_sent(vow_channel_send(a, drop_value(&d)));
    assert_sent(vow_channel_send(a, vow_i64(2)));
    f = SELECT(VOW_CASE_RECEIVE(a));
    assert_selected(f, 0);
    vow_unref(f);
    assert_int_equal(drop_count(&d), 0);
    f = vow_channel_receive(a);
    assert_ptr_equal(vow_peek(f).value.as.ptr, &d);
    vow_unref(f);
    assert_int_equal(drop_count(&d), 1);

    f = SELECT(VOW_CASE_RECEIVE(a)); /* the two */
    g = vow_channel_receive(a);
    vow_unref(f);
    assert_received(g, 2); /* to who waits */

    assert_sent(vow_channel_send(a, drop_value(&d)));
    f = SELECT(VOW_CASE_RECEIVE(a));
    vow_channel_unref(a);
    vow_unref(f); /* there is no channel to go back to */
    assert_int_equal(drop_count(&d), 2);
}

VOW_CASE(select_that_loses_a_race_loses_no_value)
{
    vow_channel *a = vow_channel_new(1);
    vow_future *f =
        vow_race(VOW_FUTURES(vow_resolved(vow_i64(1)), SELECT(VOW_CASE_RECEIVE(a))));

    assert_int_equal(vow_peek(f).value.as.i64, 1);
    assert_sent(vow_channel_send(a, vow_i64(2)));
    vow_unref(f);
    assert_received(vow_channel_receive(a), 2);
    vow_channel_unref(a);
}

VOW_CASE(select_of_nothing_and_of_null)
{
    vow_future *f = vow_select(NULL, 0);

    assert_failed(f, VOW_E_EMPTY);
    f = SELECT(VOW_CASE_RECEIVE(NULL));
    assert_int_equal(vow_future_status(f), VOW_PENDING); /* it never happens */
    vow_future_cancel(f, NULL);
    assert_failed(f, VOW_E_CANCELLED);
    assert_null(vow_get_selected(NULL));
}

VOW_CASE(select_without_memory_loses_nothing)
{
    counting_each_failure(k, COUNTING_ONCE)
    {
        vow_channel *a = vow_channel_new(1), *b = vow_channel_new(0);
        struct drop d[2] = {{0}};
        vow_future *f = vow_channel_send(a, drop_value(&d[0]));
        vow_future *g = SELECT(VOW_CASE_SEND(b, drop_value(&d[1])), VOW_CASE_RECEIVE(a));

        vow_ignore(f);
        vow_ignore(g);
        vow_channel_unref(a);
        vow_channel_unref(b);
        assert_int_equal(drop_count(&d[0]), 1);
        assert_int_equal(drop_count(&d[1]), 1);
    }
}

/* ---- threads ------------------------------------------------------------------------- */

enum { THREADS = 3, VALUES = 500 };

static vow_channel *lanes[2];
static atomic_int received[THREADS * VALUES];
static atomic_int arrived, dropped, retried;

static void
drop_number(void *p)
{
    (void)p;
    atomic_fetch_add(&dropped, 1);
}

static void
note(vow_value v)
{
    atomic_fetch_add((atomic_int *)v.as.ptr, 1);
    atomic_fetch_add(&arrived, 1);
}

/* Each number once, by one of the two lanes, or by a select over both. */
static void *
produce(void *seed)
{
    int t = *(int *)seed;
    unsigned r = (unsigned)t + 1;

    for (int i = 0; i < VALUES; i++) {
        vow_value v = vow_own(&received[t * VALUES + i], drop_number);
        vow_future *f;

        r = r * 1664525 + 1013904223;
        if (r >> 31)
            f = vow_channel_send(lanes[r >> 30 & 1], v);
        else
            f = SELECT(VOW_CASE_SEND(lanes[0], v), VOW_CASE_SEND(lanes[1], VOW_NIL));
        (void)vow_wait(f, VOW_FOREVER);
        if (r >> 31 == 0 &&
            vow_get_selected(f)->index == 1) { /* a nil went the other way */
            vow_unref(f);
            atomic_fetch_add(&retried, 1); /* its value was not sent, and dropped */
            i--;
            continue;
        }
        vow_unref(f);
    }
    return NULL;
}

static void
take_selected(vow_future *f)
{
    vow_value v;

    (void)vow_wait(f, VOW_FOREVER);
    if (vow_selected_take(vow_get_selected(f), &v) && !vow_is_nil(v)) {
        note(v);
        vow_value_drop(v);
    }
    vow_ignore(f);
}

/* Whoever sent it may still have a hand on the future: so it is read, not taken. */
static void
read_received(vow_future *f)
{
    vow_view got = vow_get(f);

    if (got.error == NULL && !vow_is_nil(got.value))
        note(got.value);
    vow_ignore(f);
}

static void *
consume(void *seed)
{
    unsigned r = *(unsigned *)seed + 77;

    while (atomic_load(&arrived) < THREADS * VALUES) {
        vow_future *f;

        r = r * 1664525 + 1013904223;
        if (r >> 30 == 0) {
            f = vow_channel_receive(lanes[r >> 29 & 1]);
            vow_future_cancel(f, NULL); /* it has a value, or has not */
            read_received(f);
        } else if (r >> 30 == 1) {
            f = SELECT(VOW_CASE_RECEIVE(lanes[0]), VOW_CASE_RECEIVE(lanes[1]));
            vow_future_cancel(f, NULL);
            vow_ignore(f); /* what it has goes back */
        } else {
            f = SELECT(VOW_CASE_RECEIVE(lanes[0]), VOW_CASE_RECEIVE(lanes[1]));
            (void)vow_wait(f, vow_ms(1));
            vow_future_cancel(f, NULL);
            take_selected(f);
        }
    }
    return NULL;
}

VOW_CASE(channel_of_many_threads_hands_each_value_over_once)
{
    pthread_t threads[2 * THREADS];
    int seeds[THREADS];

    atomic_store(&arrived, 0);
    atomic_store(&dropped, 0);
    atomic_store(&retried, 0);
    lanes[0] = vow_channel_new(0);
    lanes[1] = vow_channel_new(3);
    for (int i = 0; i < THREADS; i++) {
        seeds[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &seeds[i]), 0);
        assert_int_equal(pthread_create(&threads[THREADS + i], NULL, consume, &seeds[i]),
                         0);
    }
    for (int i = 0; i < 2 * THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS * VALUES; i++)
        assert_int_equal(atomic_load(&received[i]), 1);
    vow_channel_unref(lanes[0]);
    vow_channel_unref(lanes[1]);
    assert_int_equal(atomic_load(&dropped), THREADS * VALUES + atomic_load(&retried));
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(channel_keeps_as_many_as_it_has_room_for),
        vow_test(channel_keeps_the_order_all_round_its_places),
        vow_test(channel_serves_receivers_in_order),
        vow_test(channel_without_room_is_a_rendezvous),
        vow_test(channel_closed_still_gives_what_is_in_it),
        vow_test(steps_on_what_a_close_settles_find_all_of_it_settled),
        vow_test(channel_closed_rejects_receivers_that_wait),
        vow_test(channel_may_be_let_go_by_whoever_its_closing_serves),
        vow_test(channel_drops_what_nobody_received),
        vow_test(channel_receive_cancelled_leaves_the_channel_as_it_is),
        vow_test(channel_send_cancelled_drops_its_value),
        vow_test(channel_receive_cancelled_after_it_got_a_value_has_it),
        vow_test(channel_try_never_waits),
        vow_test(channel_null_has_run_out_of_memory),
        vow_test(channel_without_memory_loses_nothing),
        vow_test(select_does_the_first_that_can_be_done),
        vow_test(select_waits_for_the_first_and_does_no_other),
        vow_test(select_sends_to_who_comes),
        vow_test(select_meets_select),
        vow_test(select_does_not_meet_itself),
        vow_test(select_of_a_closed_channel_says_so),
        vow_test(select_cancelled_does_nothing),
        vow_test(select_value_that_nobody_took_goes_back_to_the_front),
        vow_test(select_that_loses_a_race_loses_no_value),
        vow_test(select_of_nothing_and_of_null),
        vow_test(select_without_memory_loses_nothing),
        vow_test(channel_of_many_threads_hands_each_value_over_once),
    };

    return vow_test_run(cases);
}
