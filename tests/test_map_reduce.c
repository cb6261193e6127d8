/* SPDX-License-Identifier: MIT */
/*
 * vow_parallel_reduce, vow_parallel_reduce_here, vow_map_reduce, vow_map_reduce_from: neighbours folded in order,
 * each value dropped once, whatever fails, stops or runs out.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/drops.h"
#include "support/pool_fixture.h"

/* ---- spans: values that know what they stand for -------------------------------------------- */

struct span {
    size_t first, end, count;
    bool dropped;
};

static atomic_int spans; /* that are there */
static atomic_int most;  /* that ever were */

static void
span_drop(void *ptr)
{
    struct span *s = ptr;

    assert_false(s->dropped);
    s->dropped = true;
    atomic_fetch_sub(&spans, 1);
    free(s);
}

static vow_value
span_value(size_t first, size_t end, size_t count)
{
    struct span *s = malloc(sizeof *s);
    int now = atomic_fetch_add(&spans, 1) + 1, seen = atomic_load(&most);

    assert_non_null(s);
    while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
        ;
    *s = (struct span){.first = first, .end = end, .count = count};
    return vow_own(s, span_drop);
}

/* How a fold makes one of two. */
enum way { KEEP_LEFT, KEEP_RIGHT, FRESH, EITHER, WAYS };

/* What the calls share. */
static struct {
    struct drop ctx;
    enum way way;
    bool unordered;
    atomic_size_t maps, folds;
    size_t map_fails_at, fold_fails_at; /* counted from 1; 0: never */
    bool exits;                         /* instead */
    atomic_bool wrong;
} work;

static void
begin(void)
{
    memset(&work, 0, sizeof work);
    spans = 0;
    most = 0;
}

static vow_value
ctx(void)
{
    return drop_value(&work.ctx);
}

static bool
fails(atomic_size_t *calls, size_t at)
{
    size_t call = atomic_fetch_add(calls, 1) + 1;

    if (drop_count(&work.ctx) != 0)
        work.wrong = true;
    if (call == at && work.exits)
        pthread_exit(NULL);
    return call == at;
}

static vow_result
map_span(size_t first, size_t end, void *c)
{
    if (c != &work.ctx)
        work.wrong = true;
    if (fails(&work.maps, work.map_fails_at))
        return vow_fail(EIO, "map");
    return vow_ok(span_value(first, end, end - first));
}

static void
extend(struct span *s, const struct span *a, const struct span *b)
{
    size_t first = a->first < b->first ? a->first : b->first;
    size_t end = a->end > b->end ? a->end : b->end;
    size_t count = a->count + b->count;

    s->first = first;
    s->end = end;
    s->count = count;
}

static vow_result
fold_spans(vow_value left, vow_value right, void *c)
{
    struct span *a = left.as.ptr, *b = right.as.ptr, both;

    if (c != &work.ctx || left.drop != NULL || right.drop != NULL ||
        (!work.unordered && a->end != b->first))
        work.wrong = true;
    if (fails(&work.folds, work.fold_fails_at))
        return vow_fail(EDOM, "fold");
    extend(&both, a, b);
    if (work.way == FRESH)
        return vow_ok(span_value(both.first, both.end, both.count));
    if (work.way == KEEP_RIGHT || (work.way == EITHER && b->count > a->count)) {
        extend(b, a, b);
        return vow_ok(right);
    }
    extend(a, a, b);
    return vow_ok(left);
}

static void
assert_span(vow_future *f, size_t first, size_t end)
{
    vow_view r = vow_get(f);
    const struct span *s = r.value.as.ptr;

    assert_null(r.error);
    assert_false(work.wrong);
    assert_int_equal(s->count, end - first);
    if (!work.unordered) {
        assert_int_equal(s->first, first);
        assert_int_equal(s->end, end);
    }
    assert_int_equal(spans, 1);
    assert_int_equal(drop_count(&work.ctx), 1);
    vow_unref(f);
    while (spans != 0) /* whoever settled it may be the last to let go of it */
        sched_yield();
}

static void
assert_failed(vow_future *f, int code)
{
    assert_int_equal(vow_error_code(vow_get(f).error), code);
    assert_false(work.wrong);
    assert_int_equal(spans, 0);
    assert_int_equal(drop_count(&work.ctx), 1);
    vow_unref(f);
}

static const size_t sizes[] = {1, 2, 3, 31, 32, 33, 64, 65, 1000, 4095};

enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* ---- ranges ------------------------------------------------------------------------------------- */

VOW_CASE(range_is_reduced_inline_in_order)
{
    for (size_t i = 0; i < SIZES * WAYS; i++) {
        vow_future *f;

        begin();
        work.way = i % WAYS;
        f = vow_parallel_reduce(NULL, NULL, 5, 5 + sizes[i / WAYS], map_span, fold_spans,
                                ctx());
        assert_int_equal(work.folds, work.maps - 1);
        assert_span(f, 5, 5 + sizes[i / WAYS]);
    }
}

VOW_CASE(range_without_indices_is_nil)
{
    vow_future *f;

    begin();
    f = vow_parallel_reduce(NULL, NULL, 5, 5, map_span, fold_spans, ctx());
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_true(vow_is_nil(vow_peek(f).value));
    assert_int_equal(drop_count(&work.ctx), 1);
    vow_unref(f);
}

VOW_CASE(range_that_ends_before_it_begins_is_refused)
{
    begin();
    assert_failed(vow_parallel_reduce(NULL, NULL, 6, 5, map_span, fold_spans, ctx()),
                  VOW_E_INVALID);
}

VOW_CASE(lanes_of_a_manual_executor_keep_the_order)
{
    vow_manual *m = vow_manual_new();

    for (unsigned width = 1; width <= 6; width++)
        for (int unordered = 0; unordered < 2; unordered++) {
            vow_future *f;

            begin();
            work.unordered = unordered;
            work.way = width % WAYS;
            f = vow_parallel_reduce(
                vow_manual_executor(m),
                &VOW_RANGE_OPTIONS(.width = width, .unordered = unordered, .most = width),
                0, 500, map_span, fold_spans, ctx());
            vow_manual_run(m);
            assert_true(most <= (int)(3 * width + 1));
            assert_span(f, 0, 500);
        }
    vow_manual_unref(m);
}

VOW_CASE(pool_keeps_the_order)
{
    for (unsigned threads = 1; threads <= 4; threads++) {
        vow_executor *pool = pool_of(threads);

        for (size_t i = 0; i < SIZES * 2; i++) {
            vow_future *f;

            begin();
            work.way = i % WAYS;
            work.unordered = i % 2;
            f = vow_parallel_reduce(
                pool, &VOW_RANGE_OPTIONS(.most = 3, .unordered = work.unordered), 0,
                sizes[i / 2], map_span, fold_spans, ctx());
            assert_span(f, 0, sizes[i / 2]);
        }
        pool_free(pool);
    }
}

enum { MANY = 10000000 };

static vow_result
sum(size_t first, size_t end, void *numbers)
{
    uint64_t s = 0;

    for (size_t i = first; i < end; i++)
        s += ((const uint32_t *)numbers)[i];
    return vow_ok(vow_u64(s));
}

static vow_result
add(vow_value a, vow_value b, void *c)
{
    (void)c;
    return vow_ok(vow_u64(a.as.u64 + b.as.u64));
}

VOW_CASE(ten_million_numbers_are_added_on_a_pool)
{
    vow_executor *pool = pool_of(2);
    uint32_t *numbers = malloc(MANY * sizeof *numbers);
    vow_future *f;

    assert_non_null(numbers);
    for (uint32_t i = 0; i < MANY; i++)
        numbers[i] = i;
    f = vow_parallel_reduce(pool, NULL, 0, MANY, sum, add, vow_own(numbers, free));
    assert_true(vow_get(f).value.as.u64 == (uint64_t)MANY * (MANY - 1) / 2);
    vow_unref(f);
    pool_free(pool);
}

VOW_CASE(result_can_be_taken)
{
    vow_result r;
    vow_future *f;

    begin();
    f = vow_parallel_reduce(NULL, NULL, 0, 100, map_span, fold_spans, ctx());
    assert_true(vow_take(f, &r));
    assert_int_equal(((struct span *)r.value.as.ptr)->end, 100);
    vow_result_drop(r);
    assert_int_equal(spans, 0);
}

VOW_CASE(error_of_map_or_fold_stops_and_drops_everything_once)
{
    vow_manual *m = vow_manual_new();

    for (size_t i = 0; i < 40; i++) {
        bool in_fold = i % 2 != 0;
        vow_future *f;

        begin();
        work.way = i / 2 % WAYS;
        *(in_fold ? &work.fold_fails_at : &work.map_fails_at) = 1 + i / 2;
        f = vow_parallel_reduce(
            vow_manual_executor(m),
            &VOW_RANGE_OPTIONS(.width = 1 + (unsigned)i % 4, .most = 2), 0, 100, map_span,
            fold_spans, ctx());
        vow_manual_run(m);
        assert_true(vow_error_index(vow_peek(f).error) >= 0);
        assert_int_equal(in_fold ? work.folds : work.maps, 1 + i / 2);
        assert_failed(f, in_fold ? EDOM : EIO);
    }
    vow_manual_unref(m);
}

VOW_CASE(errors_on_a_pool_drop_everything_once)
{
    vow_executor *pool = pool_of(3);

    for (size_t i = 0; i < 60; i++) {
        vow_future *f;

        begin();
        work.way = i % WAYS;
        work.exits = i % 5 == 0;
        *(i % 2 ? &work.fold_fails_at : &work.map_fails_at) = 1 + i / 2;
        f = vow_parallel_reduce(pool, &VOW_RANGE_OPTIONS(.most = 2), 0, 200, map_span,
                                fold_spans, ctx());
        assert_failed(f, work.exits ? VOW_E_BROKEN : i % 2 ? EDOM : EIO);
    }
    pool_free(pool);
}

static vow_result
return_future(size_t first, size_t end, void *c)
{
    (void)first;
    (void)end;
    (void)c;
    return vow_follow(vow_resolved(VOW_NIL));
}

static vow_result
return_forward(size_t first, size_t end, void *c)
{
    (void)first;
    (void)end;
    (void)c;
    return vow_forward();
}

static vow_result
fold_to_future(vow_value left, vow_value right, void *c)
{
    (void)left;
    (void)right;
    (void)c;
    return vow_follow(vow_resolved(VOW_NIL));
}

static vow_result
fold_to_turn(vow_value left, vow_value right, void *c)
{
    (void)left;
    (void)right;
    (void)c;
    return vow_yield_task();
}

VOW_CASE(what_is_no_value_is_refused)
{
    begin();
    assert_failed(vow_parallel_reduce(NULL, NULL, 0, 9, return_future, fold_spans, ctx()),
                  VOW_E_INVALID);
    begin();
    assert_failed(
        vow_parallel_reduce(NULL, NULL, 0, 9, return_forward, fold_spans, ctx()),
        VOW_E_INVALID);
    begin();
    assert_failed(vow_parallel_reduce(NULL, NULL, 0, 9, map_span, fold_to_future, ctx()),
                  VOW_E_INVALID);
    begin();
    assert_failed(vow_parallel_reduce(NULL, NULL, 0, 9, map_span, fold_to_turn, ctx()),
                  VOW_E_INVALID);
}

VOW_CASE(cancelled_range_drops_what_it_has)
{
    vow_manual *m = vow_manual_new();

    for (int steps = 0; steps < 30; steps++) {
        vow_future *f;

        begin();
        f = vow_parallel_reduce(vow_manual_executor(m), &VOW_RANGE_OPTIONS(.width = 3), 0,
                                500, map_span, fold_spans, ctx());
        for (int i = 0; i < steps; i++)
            vow_manual_step(m);
        vow_future_cancel(f, NULL);
        vow_manual_run(m);
        assert_int_equal(work.maps, steps);
        assert_failed(f, VOW_E_CANCELLED);
    }
    vow_manual_unref(m);
}

VOW_CASE(cancel_after_all_is_done_drops_the_value_once)
{
    vow_manual *m = vow_manual_new();
    vow_future *f;

    begin();
    f = vow_parallel_reduce(vow_manual_executor(m), &VOW_RANGE_OPTIONS(.width = 2), 0, 2,
                            map_span, fold_spans, ctx());
    vow_manual_step(m); /* all: the lane that is left finds nothing */
    vow_future_cancel(f, NULL);
    vow_manual_run(m);
    assert_failed(f, VOW_E_CANCELLED);
    vow_manual_unref(m);
}

static vow_source *stop;

static vow_result
map_last_and_stop(size_t first, size_t end, void *c)
{
    if (end == 10)
        vow_source_cancel(stop, NULL);
    return map_span(first, end, c);
}

/* The lane sees the token before it sees that there is nothing left. */
VOW_CASE(token_that_fires_as_the_last_value_is_made_is_too_late)
{
    vow_token *token;
    vow_future *f;

    begin();
    stop = vow_source_new();
    token = vow_source_token(stop);
    f = vow_parallel_reduce(NULL, &VOW_RANGE_OPTIONS(.token = token), 0, 10,
                            map_last_and_stop, fold_spans, ctx());
    assert_span(f, 0, 10);
    vow_token_unref(token);
    vow_source_unref(stop);
}

VOW_CASE(close_that_cancels_ends_a_range_half_way)
{
    for (int steps = 0; steps < 30; steps++) {
        vow_manual *m = vow_manual_new();
        vow_future *f;

        begin();
        f = vow_parallel_reduce(vow_manual_executor(m), &VOW_RANGE_OPTIONS(.width = 3), 0,
                                500, map_span, fold_spans, ctx());
        for (int i = 0; i < steps; i++)
            vow_manual_step(m);
        vow_unref(vow_executor_close(vow_manual_executor(m), VOW_CANCEL_QUEUED));
        assert_failed(f, VOW_E_CLOSED);
        vow_manual_unref(m);
    }
}

/* Keeps its tasks, so that the test runs them in an order of its own. */
static vow_task *kept[4];
static int kept_count, takes;

static int
keeper_post(vow_executor *self, vow_task *task)
{
    (void)self;
    if (takes == 0)
        return VOW_E_CLOSED;
    takes--;
    kept[kept_count++] = task;
    return 0;
}

static const vow_executor_ops keeper_ops = {
    .size = sizeof keeper_ops, .name = "keeper", .post = keeper_post};

/* One has given way with a value in hand; the other one does all that is left, and then
 * the first is refused. */
VOW_CASE(lane_that_ends_with_a_value_in_hand_fails_the_range)
{
    for (int first = 0; first < 2; first++) {
        vow_executor keeper = {.ops = &keeper_ops};
        vow_future *f;

        begin();
        kept_count = 0;
        takes = 4;
        f = vow_parallel_reduce(&keeper, &VOW_RANGE_OPTIONS(.width = 2), 0, 4, map_span,
                                fold_spans, ctx());
        kept[first]->run(kept[first], 0); /* one piece, and another turn as kept[2] */
        kept[1 - first]->run(kept[1 - first], 0);
        kept[3]->run(kept[3], 0); /* all that is left */
        assert_int_equal(work.maps, 4);
        assert_int_equal(spans,
                         first == 0 ? 3 : 2); /* the hole is in the middle, or not */
        kept[2]->run(kept[2], VOW_E_CLOSED);
        assert_failed(f, VOW_E_CLOSED);
    }
}

/* ---- ranges whose caller takes part ------------------------------------------------------------------- */

static void
assert_span_here(vow_result r, size_t first, size_t end)
{
    assert_null(r.error);
    assert_span(vow_resolved(r.value), first, end);
}

static void
assert_failed_here(vow_result r, int code)
{
    assert_int_equal(drop_count(&work.ctx), 1);
    assert_int_equal(spans, 0);
    assert_failed(vow_rejected(r.error), code);
}

VOW_CASE(caller_alone_reduces_in_order)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on[] = {NULL, vow_manual_executor(m)};

    for (size_t i = 0; i < SIZES * WAYS; i++) {
        begin();
        work.way = i % WAYS;
        assert_span_here(vow_parallel_reduce_here(on[i / WAYS % 2], NULL, 5,
                                                  5 + sizes[i / WAYS], map_span,
                                                  fold_spans, ctx()),
                         5, 5 + sizes[i / WAYS]);
        assert_int_equal(work.folds, work.maps - 1);
    }
    vow_manual_unref(m);
}

VOW_CASE(range_without_indices_is_nil_here)
{
    vow_result r;

    begin();
    r = vow_parallel_reduce_here(NULL, NULL, 5, 5, map_span, fold_spans, ctx());
    assert_null(r.error);
    assert_true(vow_is_nil(r.value));
    assert_int_equal(drop_count(&work.ctx), 1);
    begin();
    assert_failed_here(
        vow_parallel_reduce_here(NULL, NULL, 6, 5, map_span, fold_spans, ctx()),
        VOW_E_INVALID);
}

VOW_CASE(pool_and_caller_keep_the_order)
{
    for (unsigned threads = 1; threads <= 4; threads++) {
        vow_executor *pool = pool_of(threads);

        for (size_t i = 0; i < SIZES * 20; i++) {
            size_t n = sizes[i % SIZES];

            begin();
            work.way = i % WAYS;
            work.unordered = i % 2;
            assert_span_here(vow_parallel_reduce_here(
                                 pool, &VOW_RANGE_OPTIONS(.most = 3, .unordered = i % 2),
                                 0, n, map_span, fold_spans, ctx()),
                             0, n);
        }
        pool_free(pool);
    }
}

static vow_manual *here;

static void
spin_for(vow_ns time)
{
    vow_ns end = vow_clock_now(NULL) + time;

    while (vow_clock_now(NULL) < end)
        continue;
}

/* If it lasts, the other lane runs inside the caller's second call at the latest. */
static vow_result
map_and_step(size_t first, size_t end, void *c)
{
    vow_result r = map_span(first, end, c);

    if (here != NULL && work.maps < 3) {
        spin_for(vow_us(20));
        vow_manual_step(here);
    }
    return r;
}

VOW_CASE(what_the_caller_has_done_alone_is_the_first_of_it)
{
    vow_manual *m = vow_manual_new();
    const vow_range_options opt = VOW_RANGE_OPTIONS(.width = 2);

    for (int i = 0; i <= 100; i++) {
        here = i < 100 ? NULL : m;
        begin();
        assert_span_here(vow_parallel_reduce_here(vow_manual_executor(m), &opt, 0,
                                                  i < 100 ? 2 : 1000, map_and_step,
                                                  fold_spans, ctx()),
                         0, i < 100 ? 2 : 1000);
        if (i == 99)
            vow_manual_run(m);
    }
    vow_manual_run(m);
    vow_manual_unref(m);
}

VOW_CASE(errors_of_caller_and_pool_drop_everything_once)
{
    vow_executor *pool = pool_of(3);

    for (size_t i = 0; i < 80; i++) {
        bool in_fold = i % 2 != 0;
        vow_result r;

        begin();
        work.way = i / 2 % WAYS;
        *(in_fold ? &work.fold_fails_at : &work.map_fails_at) = 1 + i / 2;
        r = vow_parallel_reduce_here(i % 3 ? pool : NULL, &VOW_RANGE_OPTIONS(.most = 2),
                                     0, 100, map_span, fold_spans, ctx());
        assert_true(vow_error_index(r.error) >= 0);
        assert_failed_here(r, in_fold ? EDOM : EIO);
    }
    pool_free(pool);
}

static void *
reduce_and_exit(void *pool)
{
    vow_result_drop(vow_parallel_reduce_here(pool, &VOW_RANGE_OPTIONS(.most = 2), 0, 100,
                                             map_span, fold_spans, ctx()));
    return pool;
}

VOW_CASE(thread_that_exits_in_a_reduction_leaves_nothing)
{
    vow_executor *pool = pool_of(2);

    for (size_t i = 0; i < 20; i++) {
        pthread_t thread;

        begin();
        work.exits = true;
        *(i % 2 ? &work.fold_fails_at : &work.map_fails_at) = 1 + i;
        assert_int_equal(pthread_create(&thread, NULL, reduce_and_exit, pool), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(drop_count(&work.ctx), 1);
        assert_int_equal(spans, 0);
    }
    pool_free(pool);
}

VOW_CASE(token_that_fires_in_the_callers_last_call_is_too_late)
{
    vow_token *token;

    begin();
    stop = vow_source_new();
    token = vow_source_token(stop);
    assert_span_here(vow_parallel_reduce_here(NULL, &VOW_RANGE_OPTIONS(.token = token), 0,
                                              10, map_last_and_stop, fold_spans, ctx()),
                     0, 10);
    vow_token_unref(token);
    vow_source_unref(stop);
}

/* The other lane's is the last one. */
static vow_result
map_step_and_stop(size_t first, size_t end, void *c)
{
    if (first == 0)
        assert_true(vow_manual_step(here));
    else
        vow_source_cancel(stop, NULL);
    return map_span(first, end, c);
}

VOW_CASE(values_in_two_hands_are_dropped_if_it_is_to_stop)
{
    vow_token *token;

    begin();
    here = vow_manual_new();
    stop = vow_source_new();
    token = vow_source_token(stop);
    assert_failed_here(
        vow_parallel_reduce_here(vow_manual_executor(here),
                                 &VOW_RANGE_OPTIONS(.width = 2, .token = token), 0, 2,
                                 map_step_and_stop, fold_spans, ctx()),
        VOW_E_CANCELLED);
    assert_int_equal(work.maps, 2);
    vow_token_unref(token);
    vow_source_unref(stop);
    vow_manual_unref(here);
}

/* ---- items ------------------------------------------------------------------------------------------- */

enum { ITEMS = 64 };

static struct drop item_drops[ITEMS];
static vow_promise *promises[ITEMS];

static const vow_value *
items(size_t n)
{
    static vow_value values[ITEMS];

    for (size_t i = 0; i < n; i++) {
        item_drops[i] = (struct drop){0};
        values[i] = drop_value(&item_drops[i]);
    }
    return values;
}

static void
assert_items_dropped(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        await_flag(&item_drops[i].dropped, 1);
        assert_int_equal(drop_count(&item_drops[i]), 1);
    }
}

static size_t
index_of(vow_value item)
{
    return (size_t)((struct drop *)item.as.ptr - item_drops);
}

static vow_result
map_item(vow_value item, void *c)
{
    size_t i = index_of(item);

    if (c != &work.ctx || drop_count(&item_drops[i]) != 0)
        work.wrong = true;
    if (fails(&work.maps, work.map_fails_at))
        return vow_fail(EIO, "map");
    return vow_ok(span_value(i, i + 1, 1));
}

static vow_result
map_later(vow_value item, void *c)
{
    size_t i = index_of(item);

    (void)c;
    promises[i] = vow_promise_new();
    return vow_follow(vow_promise_future(promises[i]));
}

static void
let_go(size_t i, bool well)
{
    if (well)
        vow_promise_fulfill(promises[i], span_value(i, i + 1, 1));
    else
        vow_promise_reject(promises[i], vow_error_new(EIO, "later"));
    vow_promise_unref(promises[i]);
}

VOW_CASE(items_are_reduced_in_order_on_every_executor)
{
    vow_manual *m = vow_manual_new();
    vow_executor *pool = pool_of(3);
    vow_executor *on[] = {NULL, vow_manual_executor(m), pool};

    for (size_t i = 0; i < 3 * WAYS * 8; i++) {
        size_t n = 1 + i * 5 % (ITEMS - 1);
        vow_future *f;

        begin();
        work.way = i / 3 % WAYS;
        f = vow_map_reduce(on[i % 3], &VOW_MAP_OPTIONS(.limit = i % 7), items(n), n,
                           map_item, fold_spans, ctx());
        vow_manual_run(m);
        assert_span(f, 0, n);
        assert_items_dropped(n);
    }
    pool_free(pool);
    vow_manual_unref(m);
}

VOW_CASE(no_items_are_nil)
{
    vow_future *f;

    begin();
    f = vow_map_reduce(NULL, NULL, NULL, 0, map_item, fold_spans, ctx());
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_true(vow_is_nil(vow_peek(f).value));
    assert_int_equal(drop_count(&work.ctx), 1);
    vow_unref(f);
}

/* The k-th of those in flight comes first. */
static void
settle_in_turns(size_t n, size_t stride)
{
    for (size_t i = 0; i < n; i++)
        let_go(i * stride % n, true);
}

VOW_CASE(futures_of_items_are_folded_as_they_come)
{
    static const size_t strides[] = {1, 2, 3, 5, 16};

    for (size_t i = 0; i < 5; i++)
        for (int unordered = 0; unordered < 2; unordered++) {
            vow_manual *m = vow_manual_new();
            vow_future *f;

            begin();
            work.unordered = unordered;
            f = vow_map_reduce(vow_manual_executor(m),
                               &VOW_MAP_OPTIONS(.limit = 17, .unordered = unordered),
                               items(17), 17, map_later, fold_spans, ctx());
            vow_manual_run(m);
            settle_in_turns(17, strides[i]);
            assert_int_equal(work.folds, 0); /* not here: on the executor */
            vow_manual_run(m);
            assert_span(f, 0, 17);
            assert_items_dropped(17);
            vow_manual_unref(m);
        }
}

VOW_CASE(neighbours_alone_are_folded)
{
    vow_manual *m = vow_manual_new();
    vow_future *f;

    begin();
    f = vow_map_reduce(vow_manual_executor(m), &VOW_MAP_OPTIONS(.limit = 8), items(8), 8,
                       map_later, fold_spans, ctx());
    vow_manual_run(m);
    for (size_t i = 0; i < 8; i += 2)
        let_go(i, true);
    vow_manual_run(m);
    assert_int_equal(work.folds, 0);
    let_go(3, true);
    vow_manual_run(m);
    assert_int_equal(work.folds, 2);
    for (size_t i = 1; i < 8; i += i == 1 ? 4 : 2)
        let_go(i, true);
    vow_manual_run(m);
    assert_span(f, 0, 8);
    vow_manual_unref(m);
}

static vow_result
give_back(vow_value item, void *c)
{
    (void)c;
    return index_of(item) % 2 ? vow_forward() : vow_ok(item);
}

static vow_result
keep_left(vow_value left, vow_value right, void *c)
{
    (void)c;
    if (left.as.ptr >= right.as.ptr)
        work.wrong = true;
    return vow_ok(left);
}

VOW_CASE(items_themselves_may_be_the_values)
{
    vow_executor *pool = pool_of(2);

    for (int round = 0; round < 20; round++) {
        vow_executor *on = round % 2 ? pool : NULL;
        vow_future *f;

        begin();
        f = vow_map_reduce(on, NULL, items(20), 20, give_back, keep_left, ctx());
        assert_ptr_equal(vow_get(f).value.as.ptr, &item_drops[0]);
        assert_false(work.wrong);
        assert_int_equal(drop_count(&item_drops[0]), 0);
        for (size_t i = 1; i < 20; i++) {
            await_flag(&item_drops[i].dropped, 1);
            assert_int_equal(drop_count(&item_drops[i]), 1);
        }
        vow_unref(f);
        await_flag(&item_drops[0].dropped, 1);
    }
    pool_free(pool);
}

static size_t given, total;

static bool
give(vow_value *item, void *source)
{
    (void)source;
    if (given == total)
        return false;
    *item = vow_u64(given++);
    return true;
}

static vow_result
map_number(vow_value item, void *c)
{
    (void)c;
    atomic_fetch_add(&work.maps, 1);
    return vow_ok(span_value((size_t)item.as.u64, (size_t)item.as.u64 + 1, 1));
}

VOW_CASE(generator_to_be_reduced_with_a_limit_that_is_none_is_refused)
{
    struct drop source = {0};

    begin();
    assert_failed(vow_map_reduce_from(NULL, &VOW_MAP_OPTIONS(.limit = SIZE_MAX), give,
                                      drop_value(&source), map_number, fold_spans, ctx()),
                  VOW_E_INVALID);
    assert_int_equal(drop_count(&source), 1);
}

VOW_CASE(generator_is_reduced_with_memory_for_its_window)
{
    vow_executor *pool = pool_of(2);

    for (int unordered = 0; unordered < 2; unordered++) {
        struct drop source = {0};
        vow_future *f;

        begin();
        given = 0;
        total = 20000;
        work.unordered = unordered;
        f = vow_map_reduce_from(pool,
                                &VOW_MAP_OPTIONS(.limit = 4, .unordered = unordered),
                                give, drop_value(&source), map_number, fold_spans, ctx());
        assert_span(f, 0, 20000);
        assert_true(most <= 4 * 3 + 1);
        assert_int_equal(drop_count(&source), 1);
    }
    given = total = 0;
    begin();
    vow_unref(
        vow_map_reduce_from(pool, NULL, give, VOW_NIL, map_number, fold_spans, ctx()));
    pool_free(pool);
}

static void
count_progress(size_t done, size_t of, void *seen)
{
    assert_int_equal(of, 20);
    assert_int_equal(done, *(size_t *)seen + 1);
    *(size_t *)seen = done;
}

VOW_CASE(progress_counts_to_the_total)
{
    size_t seen = 0;
    vow_future *f;

    begin();
    f = vow_map_reduce(
        NULL, &VOW_MAP_OPTIONS(.progress = count_progress, .progress_ctx = &seen),
        items(20), 20, map_item, fold_spans, ctx());
    assert_int_equal(seen, 20);
    assert_span(f, 0, 20);
}

VOW_CASE(error_of_an_item_or_a_fold_stops_the_items)
{
    vow_manual *m = vow_manual_new();
    vow_executor *pool = pool_of(3);

    for (size_t i = 0; i < 80; i++) {
        bool in_fold = i % 2 != 0;
        vow_future *f;

        begin();
        work.way = i / 2 % WAYS;
        work.exits = i % 8 >= 6 && i % 4 >= 2;
        *(in_fold ? &work.fold_fails_at : &work.map_fails_at) = 1 + i / 2;
        f = vow_map_reduce(i % 4 < 2 ? vow_manual_executor(m) : pool,
                           &VOW_MAP_OPTIONS(.limit = 1 + i % 5), items(60), 60, map_item,
                           fold_spans, ctx());
        vow_manual_run(m);
        assert_true(vow_error_index(vow_get(f).error) >= 0);
        assert_failed(f, work.exits ? VOW_E_BROKEN : in_fold ? EDOM : EIO);
        assert_items_dropped(60);
    }
    pool_free(pool);
    vow_manual_unref(m);
}

VOW_CASE(future_of_an_item_that_fails_waits_for_those_in_flight)
{
    vow_manual *m = vow_manual_new();
    vow_future *f;

    begin();
    f = vow_map_reduce(vow_manual_executor(m), &VOW_MAP_OPTIONS(.limit = 4), items(9), 9,
                       map_later, fold_spans, ctx());
    vow_manual_run(m);
    let_go(0, true);
    let_go(2, true);
    vow_manual_run(m);
    let_go(3, false);
    vow_manual_run(m); /* those in flight were asked to stop, and have no hook */
    for (size_t i = 1; i < 9; i += i == 1 ? 3 : 1)
        if (i < 6)
            let_go(i, true);
    vow_manual_run(m);
    assert_int_equal(vow_error_index(vow_peek(f).error), 3);
    assert_failed(f, EIO);
    assert_items_dropped(9);
    vow_manual_unref(m);
}

VOW_CASE(cancelled_items_drop_what_they_have)
{
    for (int steps = 0; steps < 20; steps++) {
        vow_manual *m = vow_manual_new();
        vow_source *source = vow_source_new();
        vow_token *token = vow_source_token(source);
        vow_future *f;

        begin();
        f = vow_map_reduce(vow_manual_executor(m),
                           &VOW_MAP_OPTIONS(.limit = 3, .token = token), items(30), 30,
                           map_item, fold_spans, ctx());
        for (int i = 0; i < steps; i++)
            vow_manual_step(m);
        vow_source_cancel(source, NULL);
        vow_manual_run(m);
        assert_failed(f, VOW_E_CANCELLED);
        assert_items_dropped(30);
        vow_token_unref(token);
        vow_source_unref(source);
        vow_manual_unref(m);
    }
}

static vow_source *source_of_drop;

static void
drop_and_cancel(void *c)
{
    drop_it(c);
    vow_source_cancel(source_of_drop, NULL);
}

VOW_CASE(cancel_as_the_items_have_ended_drops_the_value_once)
{
    vow_token *token;
    vow_future *f;

    begin();
    source_of_drop = vow_source_new();
    token = vow_source_token(source_of_drop);
    f = vow_map_reduce(NULL, &VOW_MAP_OPTIONS(.token = token), items(1), 1, map_item,
                       fold_spans, vow_own(&work.ctx, drop_and_cancel));
    assert_failed(f, VOW_E_CANCELLED);
    assert_items_dropped(1);
    vow_token_unref(token);
    vow_source_unref(source_of_drop);
}

VOW_CASE(closed_executor_ends_the_items)
{
    for (int later = 0; later < 2; later++) {
        vow_manual *m = vow_manual_new();
        vow_future *f;

        begin();
        f = vow_map_reduce(vow_manual_executor(m), &VOW_MAP_OPTIONS(.limit = 3), items(3),
                           3, map_later, fold_spans, ctx());
        if (later)
            vow_manual_run(m);
        vow_unref(vow_executor_close(vow_manual_executor(m), VOW_CANCEL_QUEUED));
        for (size_t i = 0; later && i < 3; i++)
            let_go(i, true);
        assert_failed(f, VOW_E_CLOSED);
        assert_items_dropped(3);
        vow_manual_unref(m);
    }
}

/* ---- without memory ------------------------------------------------------------------------------------ */

static void
reduce_range_some(enum counting_mode mode)
{
    vow_manual *m = vow_manual_new();

    counting_each_failure(k, mode)
    {
        vow_future *f;

        begin();
        f = vow_parallel_reduce(vow_manual_executor(m), &VOW_RANGE_OPTIONS(.width = 3), 0,
                                100, map_span, fold_spans, ctx());
        vow_manual_run(m);
        assert_true(f != NULL || counting_failed());
        if (f != NULL)
            assert_span(f, 0, 100);
        assert_int_equal(drop_count(&work.ctx), 1);
        assert_int_equal(spans, 0);
    }
    vow_manual_unref(m);
}

/* Lack of memory is no error. */
static void
reduce_here_some(enum counting_mode mode)
{
    vow_manual *m = vow_manual_new();

    counting_each_failure(k, mode)
    {
        vow_result r;

        begin();
        r = vow_parallel_reduce_here(vow_manual_executor(m),
                                     &VOW_RANGE_OPTIONS(.width = 3), 0, 100, map_span,
                                     fold_spans, ctx());
        assert_null(r.error);
        assert_false(work.wrong);
        assert_int_equal(spans, 1);
        vow_result_drop(r);
        assert_int_equal(drop_count(&work.ctx), 1);
        vow_manual_run(m);
    }
    vow_manual_unref(m);
}

static void
reduce_items_some(enum counting_mode mode, vow_then_fn *map)
{
    vow_manual *m = vow_manual_new();

    counting_each_failure(k, mode)
    {
        vow_future *f;

        begin();
        memset(promises, 0, sizeof promises);
        f = vow_map_reduce(vow_manual_executor(m), &VOW_MAP_OPTIONS(.limit = 3), items(3),
                           3, map, fold_spans, ctx());
        vow_manual_run(m);
        for (size_t i = 0; map == map_later && i < 3; i++)
            let_go(i, true);
        vow_manual_run(m);
        assert_int_not_equal(vow_future_status(f), VOW_PENDING);
        if (vow_future_status(f) == VOW_FULFILLED) {
            assert_span(f, 0, 3);
        } else {
            assert_true(counting_failed());
            vow_ignore(f);
        }
        assert_int_equal(drop_count(&work.ctx), 1);
        assert_int_equal(spans, 0);
        assert_items_dropped(3);
    }
    vow_manual_unref(m);
}

VOW_CASE(without_memory_everything_is_dropped_once)
{
    reduce_range_some(COUNTING_ONCE);
    reduce_range_some(COUNTING_ONWARDS);
    reduce_here_some(COUNTING_ONCE);
    reduce_here_some(COUNTING_ONWARDS);
    reduce_items_some(COUNTING_ONCE, map_item);
    reduce_items_some(COUNTING_ONWARDS, map_item);
    reduce_items_some(COUNTING_ONCE, map_later);
    reduce_items_some(COUNTING_ONWARDS, map_later);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(range_is_reduced_inline_in_order),
        vow_test(range_without_indices_is_nil),
        vow_test(range_that_ends_before_it_begins_is_refused),
        vow_test(lanes_of_a_manual_executor_keep_the_order),
        vow_test(pool_keeps_the_order),
        vow_test(ten_million_numbers_are_added_on_a_pool),
        vow_test(result_can_be_taken),
        vow_test(error_of_map_or_fold_stops_and_drops_everything_once),
        vow_test(errors_on_a_pool_drop_everything_once),
        vow_test(what_is_no_value_is_refused),
        vow_test(cancelled_range_drops_what_it_has),
        vow_test(cancel_after_all_is_done_drops_the_value_once),
        vow_test(token_that_fires_as_the_last_value_is_made_is_too_late),
        vow_test(close_that_cancels_ends_a_range_half_way),
        vow_test(lane_that_ends_with_a_value_in_hand_fails_the_range),
        vow_test(caller_alone_reduces_in_order),
        vow_test(range_without_indices_is_nil_here),
        vow_test(pool_and_caller_keep_the_order),
        vow_test(what_the_caller_has_done_alone_is_the_first_of_it),
        vow_test(errors_of_caller_and_pool_drop_everything_once),
        vow_test(thread_that_exits_in_a_reduction_leaves_nothing),
        vow_test(token_that_fires_in_the_callers_last_call_is_too_late),
        vow_test(values_in_two_hands_are_dropped_if_it_is_to_stop),
        vow_test(items_are_reduced_in_order_on_every_executor),
        vow_test(no_items_are_nil),
        vow_test(futures_of_items_are_folded_as_they_come),
        vow_test(neighbours_alone_are_folded),
        vow_test(items_themselves_may_be_the_values),
        vow_test(generator_to_be_reduced_with_a_limit_that_is_none_is_refused),
        vow_test(generator_is_reduced_with_memory_for_its_window),
        vow_test(progress_counts_to_the_total),
        vow_test(error_of_an_item_or_a_fold_stops_the_items),
        vow_test(future_of_an_item_that_fails_waits_for_those_in_flight),
        vow_test(cancelled_items_drop_what_they_have),
        vow_test(cancel_as_the_items_have_ended_drops_the_value_once),
        vow_test(closed_executor_ends_the_items),
        vow_test(without_memory_everything_is_dropped_once),
    };

    return vow_test_run(cases);
}
