/* SPDX-License-Identifier: MIT */
/*
 * vow_map, vow_map_from, vow_filter, vow_sequence: the window, the order, the first
 * error, who is told, who frees what.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/drops.h"

enum { MOST = 64 };

/* What a map's functions share. */
struct batch {
    struct drop drop[MOST]; /* of the items */
    struct drop ctx;
    atomic_int running;
    atomic_int most; /* ever running at a time */
    atomic_int calls;
    int fails_at; /* of the items; 0: none */
    vow_promise *promise[MOST];
};

static struct batch batch; /* whose ctx is the context of all of them */

static void
begin(void)
{
    static const struct batch empty;

    batch = empty;
}

static size_t
index_of(vow_value item)
{
    return (size_t)((struct drop *)item.as.ptr - batch.drop);
}

static const vow_value *
items(size_t n)
{
    static vow_value values[MOST];

    for (size_t i = 0; i < n; i++)
        values[i] = drop_value(&batch.drop[i]);
    return values;
}

static int
drops_of(size_t n)
{
    int drops = 0;

    for (size_t i = 0; i < n; i++) {
        assert_true(drop_count(&batch.drop[i]) <= 1);
        drops += drop_count(&batch.drop[i]);
    }
    return drops;
}

static vow_value
ctx(void)
{
    return drop_value(&batch.ctx);
}

static void
enter(void)
{
    int now = atomic_fetch_add(&batch.running, 1) + 1;
    int most = atomic_load(&batch.most);

    assert_int_equal(drop_count(&batch.ctx), 0);
    while (now > most && !atomic_compare_exchange_weak(&batch.most, &most, now))
        ;
    batch.calls++;
}

static vow_result
square(vow_value item, void *c)
{
    int64_t i = (int64_t)index_of(item);

    assert_ptr_equal(c, &batch.ctx);
    enter();
    atomic_fetch_sub(&batch.running, 1);
    if (batch.fails_at != 0 && i == batch.fails_at)
        return vow_fail(EIO, "item %d", (int)i);
    return vow_ok(vow_i64(i * i));
}

/* Goes on until the test settles its promise. */
static vow_result
hold(vow_value item, void *c)
{
    size_t i = index_of(item);

    (void)c;
    enter();
    batch.promise[i] = vow_promise_new();
    return vow_follow(vow_promise_future(batch.promise[i]));
}

static void
let_go(size_t i)
{
    atomic_fetch_sub(&batch.running, 1);
    vow_promise_fulfill(batch.promise[i], vow_i64((int64_t)i));
    vow_promise_unref(batch.promise[i]);
    batch.promise[i] = NULL;
}

/* A cancel hook: goes on. */
static void
goes_on(vow_promise *p, const vow_error *reason, void *c)
{
    (void)p;
    (void)reason;
    (void)c;
}

static void
assert_squares(vow_future *f, size_t n)
{
    const vow_results *r = vow_get_results(f);

    assert_int_equal(vow_results_count(r), n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(vow_results_at(r, i).value.as.i64, i * i);
        assert_int_equal(vow_results_index(r, i), i);
    }
}

/* ---- map ----------------------------------------------------------------------------------- */

VOW_CASE(map_inline_has_run_on_return)
{
    vow_future *f;

    begin();
    f = vow_map(NULL, NULL, items(10), 10, square, ctx());

    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_squares(f, 10);
    assert_int_equal(drops_of(10), 10);
    assert_int_equal(drop_count(&batch.ctx), 1);
    vow_unref(f);
}

VOW_CASE(map_of_nothing_is_fulfilled_at_once)
{
    vow_future *f;

    begin();
    f = vow_map(NULL, NULL, NULL, 0, square, ctx());

    assert_squares(f, 0);
    assert_int_equal(drop_count(&batch.ctx), 1);
    vow_unref(f);
}

VOW_CASE(map_on_a_pool_keeps_the_order)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 3));
    vow_future *f;

    begin();
    f = vow_map(pool, &VOW_MAP_OPTIONS(.limit = 4), items(60), 60, square, ctx());

    assert_squares(f, 60);
    assert_true(batch.most <= 4);
    assert_int_equal(batch.calls, 60);
    vow_unref(f);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    vow_executor_join(pool);
    vow_executor_unref(pool);
    assert_int_equal(drops_of(60), 60);
}

VOW_CASE(window_is_never_exceeded_and_moves_on)
{
    vow_future *f;

    begin();
    f = vow_map(NULL, &VOW_MAP_OPTIONS(.limit = 3), items(5), 5, hold, ctx());

    assert_int_equal(batch.calls, 3);
    let_go(1);
    assert_int_equal(batch.calls, 4);
    let_go(3);
    let_go(0);
    assert_int_equal(batch.calls, 5);
    let_go(4);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    assert_int_equal(drop_count(&batch.ctx), 0);
    let_go(2);

    assert_int_equal(batch.most, 3);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(vow_results_at(vow_get_results(f), i).value.as.i64, i);
    assert_int_equal(drop_count(&batch.ctx), 1);
    vow_unref(f);
}

VOW_CASE(unordered_results_come_as_they_end)
{
    static const size_t order[] = {2, 0, 1};
    vow_future *f;

    begin();
    f = vow_map(NULL, &VOW_MAP_OPTIONS(.limit = 3, .unordered = true), items(3), 3, hold,
                ctx());
    for (size_t i = 0; i < 3; i++)
        let_go(order[i]);

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(vow_results_index(vow_get_results(f), i), order[i]);
        assert_int_equal(vow_results_at(vow_get_results(f), i).value.as.i64, order[i]);
    }
    vow_unref(f);
}

VOW_CASE(first_error_stops_the_map)
{
    vow_future *f;

    begin();
    batch.fails_at = 4;
    f = vow_map(NULL, &VOW_MAP_OPTIONS(.limit = 2), items(10), 10, square, ctx());

    assert_int_equal(code_of(f), EIO);
    assert_int_equal(vow_error_index(vow_get(f).error), 4);
    assert_int_equal(batch.calls, 5);
    assert_int_equal(drops_of(10), 10);
    assert_int_equal(drop_count(&batch.ctx), 1);
    vow_unref(f);
}

VOW_CASE(first_error_waits_for_what_is_in_flight)
{
    vow_future *f;

    begin();
    f = vow_map(NULL, &VOW_MAP_OPTIONS(.limit = 3), items(10), 10, hold, ctx());
    vow_promise_on_cancel(batch.promise[0], NULL, goes_on, VOW_NIL);
    vow_promise_reject(batch.promise[1], vow_error_new(EIO, "one"));
    vow_promise_unref(batch.promise[1]);

    assert_int_equal(vow_future_status(f), VOW_PENDING);
    assert_false(vow_promise_fulfill(batch.promise[2], VOW_NIL)); /* asked to stop */
    vow_promise_unref(batch.promise[2]);
    assert_int_equal(batch.calls, 3);
    let_go(0);
    assert_int_equal(code_of(f), EIO);
    assert_int_equal(vow_error_index(vow_get(f).error), 1);
    assert_int_equal(batch.calls, 3);
    vow_unref(f);
    assert_int_equal(drops_of(10), 10);
}

VOW_CASE(errors_are_results_if_asked)
{
    const vow_results *r;
    vow_future *f;

    begin();
    batch.fails_at = 4;
    f = vow_map(NULL, &VOW_MAP_OPTIONS(.flags = VOW_MAP_SETTLED), items(10), 10, square,
                ctx());

    r = vow_get_results(f);
    assert_int_equal(vow_results_count(r), 10);
    assert_int_equal(vow_error_code(vow_results_at(r, 4).error), EIO);
    assert_int_equal(vow_results_at(r, 9).value.as.i64, 81);
    vow_unref(f);
}

static vow_result
pass(vow_value item, void *c)
{
    (void)c;
    return vow_ok(item);
}

VOW_CASE(item_that_is_returned_is_the_result)
{
    vow_future *f;
    vow_result out;

    begin();
    f = vow_map(NULL, NULL, items(3), 3, pass, ctx());

    assert_int_equal(drops_of(3), 0);
    assert_ptr_equal(vow_results_at(vow_get_results(f), 2).value.as.ptr, &batch.drop[2]);
    assert_true(vow_results_take(vow_get(f).value.as.ptr, 1, &out));
    vow_unref(f);
    assert_int_equal(drops_of(3), 2);
    vow_result_drop(out);
    assert_int_equal(drops_of(3), 3);
}

/* ---- stopping from outside ------------------------------------------------------------------- */

VOW_CASE(cancel_settles_at_once_and_starts_no_more)
{
    vow_future *f;

    begin();
    f = vow_map(NULL, &VOW_MAP_OPTIONS(.limit = 2), items(9), 9, hold, ctx());
    vow_promise_on_cancel(batch.promise[0], NULL, goes_on, VOW_NIL);
    vow_future_cancel(f, vow_error_new(EINTR, "enough"));

    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_true(vow_error_is(vow_get(f).error, EINTR));
    assert_false(vow_promise_fulfill(batch.promise[1], VOW_NIL));
    vow_promise_unref(batch.promise[1]);
    vow_unref(f);
    assert_int_equal(drop_count(&batch.ctx), 0);
    let_go(0);
    assert_int_equal(batch.calls, 2);
    assert_int_equal(drop_count(&batch.ctx), 1);
    assert_int_equal(drops_of(9), 9);
}

static void
count_progress(size_t done, size_t total, void *told)
{
    (void)total;
    *(size_t *)told = done;
}

VOW_CASE(cancelled_map_tells_of_no_more_progress)
{
    size_t told = 0;
    vow_future *f;

    begin();
    f = vow_map(
        NULL,
        &VOW_MAP_OPTIONS(.limit = 3, .progress = count_progress, .progress_ctx = &told),
        items(9), 9, hold, ctx());
    for (size_t i = 0; i < 3; i++)
        vow_promise_on_cancel(batch.promise[i], NULL, goes_on, VOW_NIL);
    let_go(0);
    assert_int_equal(told, 1);
    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    vow_unref(f);

    let_go(1);
    let_go(2);
    vow_promise_unref(batch.promise[3]);
    assert_int_equal(told, 1);
    assert_int_equal(drop_count(&batch.ctx), 1);
    assert_int_equal(drops_of(9), 9);
}

VOW_CASE(token_stops_a_map)
{
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);
    vow_future *f;

    begin();
    f = vow_map(NULL, &VOW_MAP_OPTIONS(.limit = 2, .token = token), items(9), 9, hold,
                ctx());
    vow_source_cancel(source, NULL);

    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    vow_unref(f);
    for (size_t i = 0; i < 2; i++)
        vow_promise_unref(batch.promise[i]);
    assert_int_equal(drop_count(&batch.ctx), 1);

    begin();
    f = vow_map(NULL, &VOW_MAP_OPTIONS(.token = token), items(9), 9, hold, ctx());
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(batch.calls, 0);
    vow_unref(f);
    assert_int_equal(drops_of(9), 9);
    assert_int_equal(drop_count(&batch.ctx), 1);
    vow_token_unref(token);
    vow_source_unref(source);
}

VOW_CASE(closed_executor_refuses_the_items)
{
    vow_manual *m = vow_manual_new();
    vow_future *f;

    begin();
    vow_unref(vow_executor_close(vow_manual_executor(m), VOW_DRAIN));
    f = vow_map(vow_manual_executor(m), NULL, items(9), 9, square, ctx());

    assert_int_equal(code_of(f), VOW_E_CLOSED);
    vow_unref(f);
    assert_int_equal(drops_of(9), 9);
    assert_int_equal(drop_count(&batch.ctx), 1);
    vow_manual_unref(m);
}

/* ---- telling ------------------------------------------------------------------------------------ */

struct told {
    size_t n;
    size_t index[MOST];
    size_t done;
    size_t total;
    vow_future **pending; /* not settled before it was told all */
};

static void
progress(size_t done, size_t total, void *c)
{
    struct told *told = c;

    assert_int_equal(done, told->done + 1);
    told->done = done;
    told->total = total;
    if (told->pending != NULL)
        assert_int_equal(vow_future_status(*told->pending), VOW_PENDING);
}

static void
each(size_t index, vow_view result, void *c)
{
    struct told *told = c;

    assert_null(result.error);
    assert_int_equal(result.value.as.i64, index);
    told->index[told->n++] = index;
}

VOW_CASE(progress_counts_to_the_total)
{
    struct told told = {0};
    vow_future *f;

    begin();
    f = vow_map(NULL,
                &VOW_MAP_OPTIONS(.limit = 2, .progress = progress, .progress_ctx = &told),
                items(4), 4, hold, ctx());
    told.pending = &f;
    for (size_t i = 0; i < 4; i++)
        let_go(i);

    assert_int_equal(told.done, 4);
    assert_int_equal(told.total, 4);
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    vow_unref(f);
}

VOW_CASE(each_gets_results_in_order_and_bounds_what_waits)
{
    struct told told = {0};
    vow_future *f;

    begin();
    f = vow_map(NULL, &VOW_MAP_OPTIONS(.limit = 3, .each = each, .each_ctx = &told),
                items(5), 5, hold, ctx());
    let_go(1);
    let_go(2);
    assert_int_equal(told.n, 0);
    assert_int_equal(batch.calls, 3); /* two wait to be told */
    let_go(0);
    assert_int_equal(told.n, 3);
    assert_int_equal(batch.calls, 5);
    let_go(4);
    let_go(3);

    assert_int_equal(vow_get(f).value.as.u64, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(told.index[i], i);
    vow_unref(f);
}

VOW_CASE(each_gets_results_as_they_come_if_asked)
{
    struct told told = {0};
    vow_future *f;

    begin();
    f = vow_map(
        NULL,
        &VOW_MAP_OPTIONS(.limit = 3, .unordered = true, .each = each, .each_ctx = &told),
        items(4), 4, hold, ctx());
    let_go(2);
    let_go(0);
    let_go(3);
    let_go(1);

    assert_int_equal(vow_get(f).value.as.u64, 4);
    assert_int_equal(told.index[0], 2);
    assert_int_equal(told.index[3], 1);
    vow_unref(f);
}

VOW_CASE(each_is_told_nothing_after_an_error)
{
    struct told told = {0};
    vow_future *f;

    begin();
    f = vow_map(NULL, &VOW_MAP_OPTIONS(.limit = 3, .each = each, .each_ctx = &told),
                items(5), 5, hold, ctx());
    let_go(1);
    vow_promise_reject(batch.promise[0], vow_error_new(EIO, "x"));
    vow_promise_unref(batch.promise[0]);
    vow_promise_unref(batch.promise[2]);

    assert_int_equal(code_of(f), EIO);
    assert_int_equal(told.n, 0);
    vow_unref(f);
    assert_int_equal(drops_of(5), 5);
}

/* ---- generators ------------------------------------------------------------------------------------ */

struct counter {
    size_t next;
    size_t end;
};

static bool
count(vow_value *item, void *c)
{
    struct counter *counter = c;

    if (counter->next == counter->end)
        return false;
    *item = vow_i64((int64_t)counter->next++);
    return true;
}

static vow_result
pass_number(vow_value item, void *c)
{
    (void)c;
    enter();
    atomic_fetch_sub(&batch.running, 1);
    return vow_ok(vow_i64(item.as.i64));
}

VOW_CASE(generator_gives_as_many_as_it_likes)
{
    struct counter counter = {0, 1000};
    const vow_results *r;
    vow_future *f;

    begin();
    f = vow_map_from(NULL, NULL, count, vow_ptr(&counter), pass_number, ctx());

    r = vow_get_results(f);
    assert_int_equal(vow_results_count(r), 1000);
    assert_int_equal(vow_results_at(r, 999).value.as.i64, 999);
    vow_unref(f);
}

static vow_result
hold_number(vow_value item, void *c)
{
    (void)c;
    enter();
    batch.promise[item.as.i64] = vow_promise_new();
    return vow_follow(vow_promise_future(batch.promise[item.as.i64]));
}

VOW_CASE(generator_is_asked_when_there_is_room)
{
    struct counter counter = {0, 5};
    vow_future *f;

    begin();
    f = vow_map_from(NULL, &VOW_MAP_OPTIONS(.limit = 2), count, vow_ptr(&counter),
                     hold_number, ctx());

    assert_int_equal(counter.next, 2);
    for (size_t i = 0; i < 5; i++)
        let_go(i);
    assert_int_equal(vow_results_count(vow_get_results(f)), 5);
    vow_unref(f);
}

enum { LONG = 20000 };

static void
sum_each(size_t index, vow_view result, void *c)
{
    (void)index;
    *(int64_t *)c += result.value.as.i64;
}

/* The ten million are perf's. */
static void
map_long(vow_executor *on, bool unordered)
{
    struct counter counter = {0, LONG};
    int64_t sum = 0;
    size_t most = 0;
    vow_future *f;

    begin();
    f = vow_map_from(on,
                     &VOW_MAP_OPTIONS(.limit = 64, .unordered = unordered,
                                      .each = sum_each, .each_ctx = &sum),
                     count, vow_ptr(&counter), pass_number, ctx());
    while (!vow_wait(f, vow_ms(1))) {
        size_t live = counting_live();

        most = live > most ? live : most;
    }
    assert_int_equal(vow_get(f).value.as.u64, LONG);
    assert_int_equal(sum, (int64_t)LONG * (LONG - 1) / 2);
    assert_true(batch.most <= 64);
    assert_true(most < 2000);
    vow_unref(f);
}

VOW_CASE(generator_with_a_limit_that_is_none_is_refused_with_advice)
{
    static const size_t limits[] = {SIZE_MAX, SIZE_MAX / 500};

    for (size_t i = 0; i < 2; i++) {
        struct drop source = {0};
        vow_future *f = vow_map_from(NULL, &VOW_MAP_OPTIONS(.limit = limits[i]), count,
                                     drop_value(&source), pass_number, ctx());
        const vow_error *e = vow_get(f).error;

        assert_int_equal(vow_error_code(e), VOW_E_INVALID);
        assert_non_null(strstr(vow_error_message(e), "say how many there may be"));
        assert_int_equal(drop_count(&source), 1);
        vow_unref(f);
    }
}

VOW_CASE(memory_depends_on_the_window)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));

    map_long(pool, false);
    map_long(pool, true);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    vow_executor_join(pool);
    vow_executor_unref(pool);
}

/* ---- filter and sequence ---------------------------------------------------------------------------- */

static bool
is_even(vow_value item, void *c)
{
    assert_ptr_equal(c, &batch.ctx);
    return index_of(item) % 2 == 0;
}

VOW_CASE(filter_keeps_items_and_says_which)
{
    const vow_results *r;
    vow_future *f;

    begin();
    f = vow_filter(NULL, NULL, items(7), 7, is_even, ctx());

    r = vow_get_results(f);
    assert_int_equal(vow_results_count(r), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(vow_results_index(r, i), 2 * i);
        assert_ptr_equal(vow_results_at(r, i).value.as.ptr, &batch.drop[2 * i]);
    }
    assert_int_equal(drops_of(7), 3);
    vow_unref(f);
    assert_int_equal(drops_of(7), 7);
}

static vow_result
call_hold(void *c)
{
    return hold(vow_ptr(c), &batch.ctx);
}

static vow_result
call_fail(void *c)
{
    (void)c;
    batch.calls++;
    return vow_fail(EIO, "call");
}

static vow_result
call_nothing(void *c)
{
    (void)c;
    return vow_ok(VOW_NIL);
}

VOW_CASE(sequence_calls_the_next_when_the_last_is_done)
{
    vow_call calls[3];
    vow_future *f;

    begin();
    for (size_t i = 0; i < 3; i++)
        calls[i] = (vow_call){call_hold, drop_value(&batch.drop[i])};
    f = vow_sequence(NULL, calls, 3);

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(batch.calls, i + 1);
        let_go(i);
    }
    assert_int_equal(vow_results_count(vow_get_results(f)), 3);
    assert_int_equal(vow_results_at(vow_get_results(f), 2).value.as.i64, 2);
    vow_unref(f);
    assert_int_equal(drops_of(3), 3);
}

VOW_CASE(sequence_ends_with_the_first_error)
{
    vow_call calls[3];
    vow_future *f;

    begin();
    for (size_t i = 0; i < 3; i++)
        calls[i] = (vow_call){call_fail, drop_value(&batch.drop[i])};
    f = vow_sequence(NULL, calls, 3);

    assert_int_equal(code_of(f), EIO);
    assert_int_equal(vow_error_index(vow_get(f).error), 0);
    assert_int_equal(batch.calls, 1);
    vow_unref(f);
    assert_int_equal(drops_of(3), 3);
    f = vow_sequence(NULL, NULL, 0);
    assert_int_equal(vow_results_count(vow_get_results(f)), 0);
    vow_unref(f);
}

/* ---- without memory ----------------------------------------------------------------------------------- */

static void
assert_all_dropped(vow_future *f, size_t n)
{
    int code = code_of(f);

    assert_true(code == 0 || code == VOW_E_NOMEM);
    vow_unref(f);
    assert_int_equal(drops_of(n), n);
}

static void
map_some(enum counting_mode mode)
{
    counting_each_failure(k, mode)
    {
        struct counter counter = {0, 100};
        vow_call calls[3];

        begin();
        assert_all_dropped(vow_map(NULL, NULL, items(6), 6, square, ctx()), 6);
        assert_int_equal(drop_count(&batch.ctx), 1);
        begin();
        assert_all_dropped(vow_filter(NULL, NULL, items(6), 6, is_even, ctx()), 6);
        begin();
        assert_all_dropped(
            vow_map_from(NULL, NULL, count, vow_ptr(&counter), pass_number, ctx()), 0);
        assert_int_equal(drop_count(&batch.ctx), 1);
        begin();
        for (size_t i = 0; i < 3; i++)
            calls[i] = (vow_call){call_nothing, drop_value(&batch.drop[i])};
        assert_all_dropped(vow_sequence(NULL, calls, 3), 3);
    }
}

VOW_CASE(map_without_memory_drops_everything_once)
{
    map_some(COUNTING_ONCE);
    map_some(COUNTING_ONWARDS);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(map_inline_has_run_on_return),
        vow_test(map_of_nothing_is_fulfilled_at_once),
        vow_test(map_on_a_pool_keeps_the_order),
        vow_test(window_is_never_exceeded_and_moves_on),
        vow_test(unordered_results_come_as_they_end),
        vow_test(first_error_stops_the_map),
        vow_test(first_error_waits_for_what_is_in_flight),
        vow_test(errors_are_results_if_asked),
        vow_test(item_that_is_returned_is_the_result),
        vow_test(cancel_settles_at_once_and_starts_no_more),
        vow_test(cancelled_map_tells_of_no_more_progress),
        vow_test(token_stops_a_map),
        vow_test(closed_executor_refuses_the_items),
        vow_test(progress_counts_to_the_total),
        vow_test(each_gets_results_in_order_and_bounds_what_waits),
        vow_test(each_gets_results_as_they_come_if_asked),
        vow_test(each_is_told_nothing_after_an_error),
        vow_test(generator_gives_as_many_as_it_likes),
        vow_test(generator_is_asked_when_there_is_room),
        vow_test(generator_with_a_limit_that_is_none_is_refused_with_advice),
        vow_test(memory_depends_on_the_window),
        vow_test(filter_keeps_items_and_says_which),
        vow_test(sequence_calls_the_next_when_the_last_is_done),
        vow_test(sequence_ends_with_the_first_error),
        vow_test(map_without_memory_drops_everything_once),
    };

    return vow_test_run(cases);
}
