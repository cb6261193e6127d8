/* SPDX-License-Identifier: MIT */
/*
 * vow_pipeline: what goes through, in which order, how many at a time; what becomes of
 * what fails, and of what is in flight when it is stopped.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <string.h>

#include "support/drops.h"

enum { MOST = 64, NEVER = MOST };

/* What a pipeline's functions share. */
static struct {
    struct drop drop[MOST]; /* of the items */
    struct drop ctx[4];     /* of the stages, and of the feed */
    size_t given, most;     /* by the feed */
    size_t fails_at;        /* which item fails in `fails` */
    vow_promise *promise[MOST];
    atomic_int running[3], peak[3]; /* in each stage */
    atomic_int held;                /* a test's own count */
    atomic_int telling;
    size_t order[MOST]; /* what came through, or was told of */
    size_t told;
    size_t reported, diverted, dropped, stage;
    int code;
    size_t done, total;
} batch;

static void
begin(size_t most)
{
    memset(&batch, 0, sizeof batch);
    batch.most = most;
    batch.fails_at = NEVER;
}

static vow_value
item(size_t i)
{
    return drop_value(&batch.drop[i]);
}

static size_t
index_of(vow_value v)
{
    return (size_t)((struct drop *)v.as.ptr - batch.drop);
}

static const vow_value *
items(size_t n)
{
    static vow_value values[MOST];

    for (size_t i = 0; i < n; i++)
        values[i] = item(i);
    return values;
}

static bool
next(vow_value *v, void *ctx)
{
    assert_ptr_equal(ctx, &batch.ctx[3]);
    assert_int_equal(drop_count(&batch.ctx[3]), 0);
    if (batch.given == batch.most)
        return false;
    *v = item(batch.given++);
    return true;
}

#define NEXT VOW_FEED(.next = next, .ctx = drop_value(&batch.ctx[3]))

static void
assert_drops(size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(drop_count(&batch.drop[i]), 1);
}

/* ---- stages ------------------------------------------------------------------------ */

static void
come(size_t stage)
{
    int now = atomic_fetch_add(&batch.running[stage], 1) + 1;
    int most = atomic_load(&batch.peak[stage]);

    while (now > most && !atomic_compare_exchange_weak(&batch.peak[stage], &most, now))
        ;
}

static vow_result
pass(vow_value v, void *ctx)
{
    (void)v;
    (void)ctx;
    return vow_forward();
}

static vow_result
count_here(vow_value v, void *ctx)
{
    size_t stage = (size_t)((struct drop *)ctx - batch.ctx);

    come(stage);
    assert_int_equal(drop_count(v.as.ptr), 0);
    assert_int_equal(drop_count(ctx), 0);
    atomic_fetch_sub(&batch.running[stage], 1);
    return vow_ok(v); /* the newcomer's forward */
}

/* Goes on until the test settles its promise. */
static vow_result
hold(vow_value v, void *ctx)
{
    size_t i = index_of(v);

    (void)ctx;
    come(0);
    batch.promise[i] = vow_promise_new();
    return vow_follow(vow_promise_future(batch.promise[i]));
}

static void
let_go(size_t i)
{
    vow_promise *p = batch.promise[i];

    atomic_fetch_sub(&batch.running[0], 1);
    batch.promise[i] = NULL;
    vow_promise_fulfill(p, vow_ptr(&batch.drop[i]));
    vow_promise_unref(p);
}

static vow_result
fails(vow_value v, void *ctx)
{
    (void)ctx;
    if (index_of(v) == batch.fails_at)
        return vow_fail(EIO, "item %d", (int)index_of(v));
    return vow_forward();
}

static vow_result
square(vow_value v, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(v.as.i64 * v.as.i64));
}

#define COUNTING(n, ...)                                                                 \
    VOW_STAGE(.fn = count_here, .ctx = drop_value(&batch.ctx[n]), __VA_ARGS__)

/* ---- what is told ------------------------------------------------------------------ */

static void
sink(size_t index, vow_value v, void *ctx)
{
    assert_ptr_equal(ctx, &batch);
    assert_int_equal(atomic_fetch_add(&batch.telling, 1), 0);
    batch.order[batch.told++] = index;
    vow_value_drop(v);
    atomic_fetch_sub(&batch.telling, 1);
}

static void
report(const vow_failed_item *failed, void *ctx)
{
    assert_ptr_equal(ctx, &batch);
    assert_int_equal(atomic_fetch_add(&batch.telling, 1), 0);
    assert_null(failed->item.drop);
    assert_int_equal(index_of(failed->item), failed->index);
    assert_int_equal(drop_count(failed->item.as.ptr), 0);
    batch.reported++;
    batch.stage = failed->stage;
    batch.code = vow_error_code(failed->error);
    atomic_fetch_sub(&batch.telling, 1);
}

static void
divert(const vow_failed_item *failed, void *ctx)
{
    assert_ptr_equal(ctx, &batch);
    batch.diverted++;
    batch.order[batch.told++] = failed->index;
    batch.code = vow_error_code(failed->error);
    assert_int_equal(index_of(failed->item), failed->index);
    assert_non_null(failed->item.drop);
    vow_value_drop(failed->item);
}

static void
dropped(size_t index, vow_value v, void *ctx)
{
    assert_ptr_equal(ctx, &batch);
    assert_int_equal(atomic_fetch_add(&batch.telling, 1), 0);
    assert_int_equal(index_of(v), index);
    assert_int_equal(drop_count(v.as.ptr), 0);
    batch.dropped++;
    atomic_fetch_sub(&batch.telling, 1);
}

static void
progress(size_t done, size_t total, void *ctx)
{
    assert_ptr_equal(ctx, &batch);
    assert_int_equal(done, batch.done + 1);
    batch.done = done;
    batch.total = total;
}

#define TELL(...)                                                                        \
    &VOW_PIPELINE_OPTIONS(.sink = sink, .report = report, .divert = divert,              \
                          .dropped = dropped, .progress = progress, .ctx = &batch,       \
                          __VA_ARGS__)

static vow_pipeline_figures
figures_of(vow_pipeline *p)
{
    vow_pipeline_figures f = {.size = sizeof f};

    assert_int_equal(vow_pipeline_read(p, &f), 0);
    assert_int_equal(f.drawn,
                     f.finished + f.skipped + f.diverted + f.dropped + f.in_flight);
    assert_true(f.peak <= f.places);
    return f;
}

static vow_stage_figures
stage_figures_of(vow_pipeline *p, size_t stage)
{
    vow_stage_figures f = {.size = sizeof f};

    assert_int_equal(vow_pipeline_read_stage(p, stage, &f), 0);
    return f;
}

/* Ends with it; its result. */
static vow_future *
result_of(vow_pipeline *p)
{
    vow_future *f = vow_pipeline_future(p);

    vow_pipeline_unref(p);
    return f;
}

static void
close_pool(vow_executor *pool)
{
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
}

/* ---- through ----------------------------------------------------------------------- */

VOW_CASE(inline_stages_have_run_on_return)
{
    const vow_stage stages[] = {COUNTING(0, .on = NULL), COUNTING(1, .on = NULL)};
    vow_pipeline *p;
    vow_future *f;

    begin(10);
    p = vow_pipeline_new(TELL(.token = NULL), &VOW_FEED(.items = items(10), .n = 10),
                         stages, 2);
    assert_int_equal(figures_of(p).finished, 10);
    assert_int_equal(figures_of(p).peak, 2);
    f = result_of(p);

    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_int_equal(vow_get(f).value.as.u64, 10);
    vow_unref(f);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(batch.order[i], i);
    assert_int_equal(batch.done, 10);
    assert_int_equal(batch.total, 10);
    assert_drops(10);
    assert_int_equal(drop_count(&batch.ctx[0]), 1);
    assert_int_equal(drop_count(&batch.ctx[1]), 1);
}

VOW_CASE(no_items_and_no_feed_end_at_once)
{
    const vow_stage stages[] = {COUNTING(0, .on = NULL)};
    const vow_stage again[] = {VOW_STAGE(.fn = pass)};
    vow_future *f;

    begin(0);
    f = vow_pipeline_run(TELL(.token = NULL), &NEXT, stages, 1);
    assert_int_equal(vow_get(f).value.as.u64, 0);
    assert_int_equal(drop_count(&batch.ctx[0]), 1);
    assert_int_equal(drop_count(&batch.ctx[3]), 1);
    vow_unref(f);
    f = vow_pipeline_run(NULL, NULL, again, 1);
    assert_int_equal(vow_get(f).value.as.u64, 0);
    vow_unref(f);
}

static int64_t sum;

static void
add_up(size_t index, vow_value v, void *ctx)
{
    (void)index;
    (void)ctx;
    sum += v.as.i64;
}

VOW_CASE(values_take_the_place_of_items)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = square), VOW_STAGE(.fn = square)};
    const vow_value values[] = {vow_i64(1), vow_i64(2), vow_i64(3)};
    vow_future *f;

    sum = 0;
    f = vow_pipeline_run(&VOW_PIPELINE_OPTIONS(.sink = add_up),
                         &VOW_FEED(.items = values, .n = 3), stages, 2);

    assert_int_equal(vow_get(f).value.as.u64, 3);
    assert_int_equal(sum, 1 + 16 + 81);
    vow_unref(f);
}

static vow_result
replace(vow_value v, void *ctx)
{
    (void)ctx;
    return vow_ok(item(index_of(v) + 10));
}

VOW_CASE(what_came_in_is_dropped_when_something_else_goes_on)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = replace), VOW_STAGE(.fn = pass)};
    vow_future *f;

    begin(10);
    f = vow_pipeline_run(NULL, &VOW_FEED(.items = items(10), .n = 10), stages, 2);

    assert_int_equal(vow_get(f).value.as.u64, 10);
    assert_drops(20);
    vow_unref(f);
}

VOW_CASE(stages_on_pools_keep_the_order)
{
    vow_executor *a = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));
    vow_executor *b = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));
    const vow_stage stages[] = {COUNTING(0, .on = a, .width = 3, .buffer = 1),
                                COUNTING(1, .on = b),
                                COUNTING(2, .on = a, .width = 4, .buffer = 5)};
    vow_pipeline *p;
    vow_future *f;

    begin(MOST);
    p = vow_pipeline_new(TELL(.token = NULL), &NEXT, stages, 3);
    f = vow_pipeline_future(p);
    assert_int_equal(vow_get(f).value.as.u64, MOST);

    assert_int_equal(figures_of(p).places, 3 + 1 + 2 + 4 + 5);
    vow_pipeline_unref(p);
    vow_unref(f);
    for (size_t i = 0; i < MOST; i++)
        assert_int_equal(batch.order[i], i);
    assert_true(batch.peak[0] <= 3);
    assert_true(batch.peak[1] <= 2);
    assert_true(batch.peak[2] <= 4);
    assert_int_equal(batch.done, MOST);
    close_pool(a);
    close_pool(b);
    assert_drops(MOST);
}

enum { NUMBERS = 20000 };

static int64_t given, taken;

static bool
give_number(vow_value *out, void *ctx)
{
    (void)ctx;
    *out = vow_i64(given);
    return given++ < NUMBERS;
}

static vow_result
pass_number(vow_value v, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(v.as.i64));
}

static void
take_number(size_t index, vow_value v, void *ctx)
{
    (void)ctx;
    assert_int_equal(index, taken);
    assert_int_equal(v.as.i64, taken++);
}

static void
pass_numbers(vow_executor *a, vow_executor *b)
{
    const vow_stage stages[] = {
        VOW_STAGE(.on = a, .fn = pass_number, .width = 4, .buffer = 4),
        VOW_STAGE(.on = b, .fn = pass_number, .width = 4, .buffer = 4),
        VOW_STAGE(.on = a, .fn = pass_number, .width = 4, .buffer = 4)};
    vow_future *f;

    given = taken = 0;
    f = vow_pipeline_run(&VOW_PIPELINE_OPTIONS(.sink = take_number),
                         &VOW_FEED(.next = give_number), stages, 3);
    assert_int_equal(vow_get(f).value.as.u64, NUMBERS);
    assert_int_equal(taken, NUMBERS);
    vow_unref(f);
}

/* So short that one of two threads is better off if it naps, unless each is another pool's. */
VOW_CASE(stages_that_do_nothing_keep_the_order_as_well)
{
    vow_executor *two = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));
    vow_executor *one = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    vow_executor *another = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));

    pass_numbers(two, two);
    pass_numbers(one, another);
    close_pool(two);
    close_pool(one);
    close_pool(another);
}

/* ---- how many at a time ------------------------------------------------------------ */

VOW_CASE(nothing_is_drawn_before_there_is_room)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = pass, .width = 2, .buffer = 3),
                                VOW_STAGE(.fn = pass, .buffer = 1),
                                VOW_STAGE(.fn = hold, .width = 3, .buffer = 4)};
    vow_pipeline *p;
    vow_future *f;

    begin(40);
    p = vow_pipeline_new(TELL(.token = NULL), &NEXT, stages, 3);
    assert_int_equal(batch.given, 2 + 3 + 1 + 1 + 3 + 4);
    assert_int_equal(batch.running[0], 3);
    assert_int_equal(stage_figures_of(p, 0).ready, 5);
    assert_int_equal(stage_figures_of(p, 0).running, 0);
    assert_int_equal(stage_figures_of(p, 1).in_flight, 2);
    assert_int_equal(stage_figures_of(p, 2).in_flight, 7);
    assert_int_equal(stage_figures_of(p, 2).running, 3);
    for (size_t i = 0; i < 40; i++) {
        size_t due = 14 + i < 40 ? 14 + i : 40;

        assert_int_equal(batch.given, due);
        assert_int_equal(figures_of(p).in_flight, due - i);
        let_go(i);
        assert_int_equal(batch.told, i + 1);
    }
    assert_int_equal(figures_of(p).peak, 14);
    assert_int_equal(batch.peak[0], 3);
    f = result_of(p);
    assert_int_equal(vow_get(f).value.as.u64, 40);
    vow_unref(f);
    assert_drops(40);
}

VOW_CASE(in_order_one_that_takes_long_holds_up_its_stage)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = hold, .width = 3, .buffer = 2)};
    vow_future *f;

    begin(20);
    f = vow_pipeline_run(TELL(.token = NULL), &NEXT, stages, 1);
    for (size_t i = 1; i < 5; i++)
        let_go(i); /* each starts one that waited */
    assert_int_equal(batch.given, 5);
    assert_int_equal(batch.told, 0);
    let_go(0);
    assert_int_equal(batch.told, 5);
    assert_int_equal(batch.given, 10);
    for (size_t i = 5; i < 20; i++)
        let_go(i);
    assert_int_equal(vow_get(f).value.as.u64, 20);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(batch.order[i], i);
    vow_unref(f);
}

VOW_CASE(unordered_they_overtake)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = hold, .width = 2, .unordered = true),
                                VOW_STAGE(.fn = pass)};
    vow_future *f;

    begin(4);
    f = vow_pipeline_run(TELL(.token = NULL), &NEXT, stages, 2);
    let_go(1);
    let_go(2);
    let_go(3);
    assert_int_equal(batch.told, 3);
    let_go(0);
    assert_int_equal(vow_get(f).value.as.u64, 4);
    assert_int_equal(batch.order[0], 1);
    assert_int_equal(batch.order[1], 2);
    assert_int_equal(batch.order[2], 3);
    assert_int_equal(batch.order[3], 0);
    vow_unref(f);
    begin(2);
    f = vow_pipeline_run(TELL(.unordered = true), &NEXT,
                         &(const vow_stage)VOW_STAGE(.fn = hold, .width = 2), 1);
    let_go(1);
    let_go(0);
    assert_int_equal(batch.order[0], 1);
    vow_unref(f);
}

VOW_CASE(unordered_they_wait_for_room_as_they_came_to)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = pass, .width = 2, .unordered = true),
                                VOW_STAGE(.fn = hold)};
    vow_pipeline *p;

    begin(4);
    p = vow_pipeline_new(TELL(.token = NULL), &NEXT, stages, 2);
    assert_int_equal(batch.given, 3);
    assert_int_equal(stage_figures_of(p, 0).ready, 2);
    for (size_t i = 0; i < 4; i++)
        let_go(i);
    assert_int_equal(stage_figures_of(p, 0).ready, 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(batch.order[i], i);
    vow_pipeline_unref(p);
    assert_drops(4);
}

static size_t numbered;

static bool
next_number(vow_value *v, void *ctx)
{
    (void)ctx;
    *v = vow_u64(numbered);
    return numbered++ < 1000;
}

VOW_CASE(items_allocate_nothing)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = square, .width = 2, .buffer = 2),
                                VOW_STAGE(.fn = square, .buffer = 3)};
    vow_manual *m = vow_manual_new();
    vow_pipeline *p;
    vow_future *f;
    size_t before;

    numbered = 0;
    p = vow_pipeline_new(
        NULL, &VOW_FEED(.next = next_number, .on = vow_manual_executor(m)), stages, 2);
    before = counting_calls();
    vow_manual_run(m);
    assert_int_equal(counting_calls(), before);
    f = result_of(p);
    assert_int_equal(vow_get(f).value.as.u64, 1000);
    vow_unref(f);
    vow_manual_unref(m);
}

/* ---- what fails -------------------------------------------------------------------- */

VOW_CASE(error_stops_and_says_which_item)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = pass, .width = 2),
                                VOW_STAGE(.fn = fails, .width = 1, .buffer = 3)};
    vow_pipeline *p;
    vow_future *f;
    vow_view v;

    begin(20);
    batch.fails_at = 7;
    p = vow_pipeline_new(TELL(.token = NULL), &NEXT, stages, 2);
    f = vow_pipeline_future(p);
    v = vow_get(f);

    assert_int_equal(vow_error_code(v.error), EIO);
    assert_int_equal(vow_error_index(v.error), 7);
    assert_string_equal(vow_error_message(v.error), "item 7");
    assert_int_equal(batch.told, 7);
    assert_int_equal(batch.dropped, batch.given - 7);
    assert_int_equal(figures_of(p).dropped, batch.given - 7);
    assert_int_equal(stage_figures_of(p, 1).failed, 1);
    assert_true(batch.given < 20);
    assert_drops(batch.given);
    assert_int_equal(batch.reported, 0);
    assert_int_equal(drop_count(&batch.ctx[3]), 1);
    vow_pipeline_unref(p);
    vow_unref(f); /* the error is in the pipeline's memory */
}

VOW_CASE(skipped_items_are_reported)
{
    const vow_stage stages[] = {
        VOW_STAGE(.fn = pass),
        VOW_STAGE(.fn = fails, .width = 2, .on_error = VOW_STAGE_SKIP),
        VOW_STAGE(.fn = pass)};
    vow_pipeline *p;
    vow_future *f;

    begin(20);
    batch.fails_at = 7;
    p = vow_pipeline_new(TELL(.token = NULL), &NEXT, stages, 3);
    f = vow_pipeline_future(p);

    assert_int_equal(vow_get(f).value.as.u64, 19);
    assert_int_equal(batch.reported, 1);
    assert_int_equal(batch.stage, 1);
    assert_int_equal(batch.code, EIO);
    assert_int_equal(batch.done, 20);
    assert_int_equal(batch.told, 19);
    assert_int_equal(figures_of(p).skipped, 1);
    assert_int_equal(stage_figures_of(p, 1).failed, 1);
    assert_int_equal(stage_figures_of(p, 2).in, 19);
    assert_drops(20);
    vow_unref(f);
    vow_pipeline_unref(p);
    begin(20);
    batch.fails_at = 7;
    f = vow_pipeline_run(NULL, &NEXT, stages, 3); /* nobody is told */
    assert_int_equal(vow_get(f).value.as.u64, 19);
    assert_drops(20);
    vow_unref(f);
}

VOW_CASE(diverted_items_are_handed_on)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = fails, .on_error = VOW_STAGE_DIVERT),
                                VOW_STAGE(.fn = pass)};
    vow_pipeline *p;
    vow_future *f;

    begin(5);
    batch.fails_at = 3;
    p = vow_pipeline_new(TELL(.token = NULL), &NEXT, stages, 2);
    f = vow_pipeline_future(p);

    assert_int_equal(vow_get(f).value.as.u64, 4);
    assert_int_equal(batch.diverted, 1);
    assert_int_equal(batch.code, EIO);
    assert_int_equal(figures_of(p).diverted, 1);
    assert_drops(5);
    vow_unref(f);
    vow_pipeline_unref(p);
}

/* Of stages in which nothing was dropped, but for what failed. */
static void
assert_stages_add_up(vow_pipeline *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        vow_stage_figures f = stage_figures_of(p, i);

        assert_int_equal(f.in, f.out + f.failed + f.in_flight);
    }
}

static vow_pipeline *asked; /* while it tells */

static void
sink_that_asks(size_t index, vow_value v, void *ctx)
{
    assert_stages_add_up(asked, 3);
    sink(index, v, ctx);
}

static void
report_that_asks(const vow_failed_item *failed, void *ctx)
{
    assert_stages_add_up(asked, 3);
    report(failed, ctx);
}

static void
dropped_that_asks(size_t index, vow_value v, void *ctx)
{
    assert_stages_add_up(asked, 3);
    dropped(index, v, ctx);
}

static void
run_and_ask(int on_error, uint64_t out)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    const vow_stage stages[] = {VOW_STAGE(.on = on, .fn = pass),
                                VOW_STAGE(.on = on, .fn = fails, .on_error = on_error),
                                VOW_STAGE(.on = on, .fn = pass)};
    vow_future *f;

    batch.fails_at = 2;
    asked = vow_pipeline_new(
        &VOW_PIPELINE_OPTIONS(.sink = sink_that_asks, .report = report_that_asks,
                              .dropped = dropped_that_asks, .ctx = &batch),
        &NEXT, stages, 3);
    f = vow_pipeline_future(asked);
    vow_manual_run(m);
    assert_int_not_equal(vow_future_status(f), VOW_PENDING);
    assert_int_equal(stage_figures_of(asked, 1).failed, 1);
    assert_int_equal(stage_figures_of(asked, 1).out, out);
    assert_int_equal(stage_figures_of(asked, 2).out, out);
    vow_ignore(f);
    vow_pipeline_unref(asked);
    vow_manual_unref(m);
}

VOW_CASE(figures_of_a_stage_add_up_while_it_tells)
{
    begin(9);
    run_and_ask(VOW_STAGE_SKIP, 8);
    assert_int_equal(batch.told, 8);
    assert_drops(9);
    begin(3);
    run_and_ask(VOW_STAGE_STOP, 2); /* the one that stops it is the last */
    assert_int_equal(batch.dropped, 1);
    assert_drops(3);
}

VOW_CASE(nonsense_is_invalid)
{
    const vow_stage no_function[] = {VOW_STAGE(.ctx = drop_value(&batch.ctx[0]))};
    const vow_stage no_divert[] = {COUNTING(1, .on_error = VOW_STAGE_DIVERT)};
    const vow_stage no_policy[] = {COUNTING(2, .on_error = 9)};
    const vow_stage *const stages[] = {no_function, no_divert, no_policy, NULL};

    begin(5);
    for (size_t i = 0; i < 4; i++) {
        vow_pipeline *p = vow_pipeline_new(
            NULL,
            i == 3 ? &NEXT : &VOW_FEED(.items = items(5) + i, .n = 1, .ctx = VOW_NIL),
            stages[i], i < 3);
        vow_future *f = vow_pipeline_future(p);
        vow_stage_figures s = {.size = sizeof s};

        assert_int_equal(vow_error_code(vow_get(f).error), VOW_E_INVALID);
        assert_int_equal(figures_of(p).places, 0);
        assert_int_equal(vow_pipeline_read_stage(p, 0, &s), VOW_E_INVALID);
        vow_future_cancel(f, NULL);
        vow_pipeline_drain(p);
        vow_unref(f);
        vow_pipeline_unref(p);
        assert_int_equal(drop_count(&batch.ctx[i]), 1);
    }
    assert_drops(3);
    assert_int_equal(vow_pipeline_read(NULL, NULL), VOW_E_INVALID);
    assert_null(vow_pipeline_future(NULL));
    assert_null(vow_pipeline_ref(NULL));
    vow_pipeline_drain(NULL);
    vow_pipeline_unref(NULL);
}

/* ---- following --------------------------------------------------------------------- */

static vow_result
follow_new(vow_value v, void *ctx)
{
    vow_future **kept = ctx;
    vow_future *f = vow_resolved(item(index_of(v) + 10));

    if (kept != NULL)
        *kept = vow_ref(f);
    return vow_follow(f);
}

VOW_CASE(what_was_followed_is_owned_or_shared)
{
    vow_future *kept = NULL, *f;
    const vow_stage owned[] = {VOW_STAGE(.fn = follow_new), VOW_STAGE(.fn = pass)};
    const vow_stage shared[] = {
        VOW_STAGE(.fn = follow_new, .ctx = vow_ptr(&kept)),
        VOW_STAGE(.fn = count_here, .ctx = drop_value(&batch.ctx[0]))};

    begin(2);
    f = vow_pipeline_run(TELL(.token = NULL), &NEXT, owned, 2);
    assert_int_equal(vow_get(f).value.as.u64, 2);
    vow_unref(f);
    assert_drops(2);
    assert_int_equal(drop_count(&batch.drop[10]), 1);
    assert_int_equal(drop_count(&batch.drop[11]), 1);
    begin(1);
    f = vow_pipeline_run(TELL(.token = NULL), &NEXT, shared, 2);
    assert_int_equal(vow_get(f).value.as.u64, 1);
    vow_unref(f);
    assert_int_equal(drop_count(&batch.drop[0]), 1);
    assert_int_equal(drop_count(&batch.drop[10]), 0);
    vow_unref(kept);
    assert_int_equal(drop_count(&batch.drop[10]), 1);
}

static vow_result
follow_failure(vow_value v, void *ctx)
{
    (void)v;
    (void)ctx;
    return vow_follow(vow_rejected(vow_error_new(EIO, "later")));
}

/* Everything at once: only the future counts. */
static vow_result
return_too_much(vow_value v, void *ctx)
{
    vow_result r = vow_ok(item(index_of(v) + 10));

    (void)ctx;
    r.error = vow_error_new(EIO, "not this");
    r.follow = vow_resolved(item(index_of(v) + 20));
    return r;
}

VOW_CASE(results_are_read_as_those_of_steps)
{
    const vow_stage follows[] = {
        VOW_STAGE(.fn = follow_failure, .on_error = VOW_STAGE_SKIP)};
    const vow_stage too_much[] = {VOW_STAGE(.fn = return_too_much)};
    vow_future *f;

    begin(2);
    f = vow_pipeline_run(TELL(.token = NULL), &NEXT, follows, 1);
    assert_int_equal(vow_get(f).value.as.u64, 0);
    assert_int_equal(batch.reported, 2);
    assert_int_equal(batch.code, EIO);
    vow_unref(f);
    begin(1);
    f = vow_pipeline_run(TELL(.token = NULL), &NEXT, too_much, 1);
    assert_int_equal(vow_get(f).value.as.u64, 1);
    vow_unref(f);
    for (size_t i = 0; i <= 20; i += 10)
        assert_int_equal(drop_count(&batch.drop[i]), 1);
}

static vow_result
yield(vow_value v, void *ctx)
{
    (void)v;
    (void)ctx;
    return vow_yield_task();
}

VOW_CASE(stage_gets_no_second_turn)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = yield)};
    vow_future *f;

    begin(1);
    f = vow_pipeline_run(NULL, &NEXT, stages, 1);
    assert_int_equal(vow_error_code(vow_get(f).error), VOW_E_INVALID);
    vow_unref(f);
    assert_drops(1);
}

/* ---- stopping ---------------------------------------------------------------------- */

/* A hook that goes on. */
static void
goes_on(vow_promise *p, const vow_error *reason, void *ctx)
{
    (void)p;
    (void)ctx;
    assert_int_equal(vow_error_code(reason), VOW_E_CANCELLED);
    batch.held++;
}

static vow_result
hold_on(vow_value v, void *ctx)
{
    vow_result r = hold(v, ctx);

    vow_promise_on_cancel(batch.promise[index_of(v)], NULL, goes_on, VOW_NIL);
    return r;
}

VOW_CASE(cancelled_result_settles_when_all_is_at_rest)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = pass, .buffer = 2),
                                VOW_STAGE(.fn = hold_on, .width = 2, .buffer = 1)};
    vow_pipeline *p;
    vow_future *f;

    begin(20);
    p = vow_pipeline_new(TELL(.token = NULL), &NEXT, stages, 2);
    f = vow_pipeline_future(p);
    assert_int_equal(batch.given, 6);
    vow_future_cancel(f, vow_error_new(ETIME, "too slow"));
    vow_future_cancel(f, NULL);

    assert_int_equal(vow_future_status(f), VOW_PENDING);
    assert_int_equal(batch.dropped, 4);
    assert_int_equal(batch.held, 2); /* both that run were asked to stop */
    let_go(0);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    let_go(1);
    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    assert_int_equal(vow_error_code(vow_get(f).error), VOW_E_CANCELLED);
    assert_true(vow_error_is(vow_get(f).error, ETIME));
    assert_int_equal(batch.told, 0);
    assert_int_equal(batch.dropped, 6);
    assert_int_equal(figures_of(p).in_flight, 0);
    assert_int_equal(batch.given, 6);
    assert_drops(6);
    vow_unref(f);
    vow_pipeline_unref(p);
}

VOW_CASE(letting_go_of_the_result_stops_it_if_there_is_no_handle)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = hold_on)};

    for (int handle = 0; handle < 2; handle++) {
        vow_source *source = vow_source_new();
        vow_token *token = vow_source_token(source);
        vow_pipeline *p;
        vow_future *f;

        begin(2);
        p = vow_pipeline_new(TELL(.token = NULL), &NEXT, stages, 1);
        f = vow_with_token(vow_pipeline_future(p), token);
        if (!handle) {
            vow_pipeline_unref(p);
            p = NULL;
        }
        vow_source_cancel(source, NULL);
        assert_int_equal(vow_error_code(vow_get(f).error), VOW_E_CANCELLED);
        assert_int_equal(batch.held, !handle);
        let_go(0);
        if (handle)
            let_go(1);
        assert_int_equal(batch.told, handle ? 2 : 0);
        assert_int_equal(batch.dropped, !handle);
        assert_drops(batch.given);
        vow_pipeline_unref(p);
        vow_unref(f);
        vow_token_unref(token);
        vow_source_unref(source);
    }
}

static vow_result
wait_for_a_request(vow_value v, void *ctx)
{
    vow_token *token = vow_token_current();

    (void)v;
    (void)ctx;
    assert_false(vow_cancelled());
    atomic_fetch_add(&batch.held, 1);
    while (!vow_cancelled())
        sched_yield();
    assert_true(vow_token_cancelled(token));
    vow_token_unref(token);
    return vow_check_cancelled();
}

VOW_CASE(running_functions_see_a_token_fire)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);
    const vow_stage stages[] = {
        VOW_STAGE(.on = pool, .fn = wait_for_a_request, .buffer = 2)};
    vow_future *f;

    begin(20);
    f = vow_pipeline_run(TELL(.token = token), &NEXT, stages, 1);
    await_flag(&batch.held, 2);
    vow_source_cancel(source, vow_error_new(ETIME, "enough"));
    assert_int_equal(vow_error_code(vow_get(f).error), VOW_E_CANCELLED);
    assert_true(vow_error_is(vow_get(f).error, ETIME));
    assert_int_equal(batch.dropped, 4);
    assert_int_equal(batch.held, 2);
    vow_unref(f);
    vow_token_unref(token);
    vow_source_unref(source);
    close_pool(pool);
    assert_drops(4);
}

VOW_CASE(fired_token_lets_nothing_start)
{
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);
    const vow_stage stages[] = {COUNTING(0, .on = NULL)};
    vow_future *f;

    begin(5);
    vow_source_cancel(source, NULL);
    f = vow_pipeline_run(TELL(.token = token), &VOW_FEED(.items = items(5), .n = 5),
                         stages, 1);
    assert_int_equal(vow_error_code(vow_get(f).error), VOW_E_CANCELLED);
    assert_int_equal(batch.peak[0], 0);
    assert_int_equal(batch.dropped, 0); /* none was drawn */
    assert_drops(5);
    assert_int_equal(drop_count(&batch.ctx[0]), 1);
    vow_unref(f);
    vow_token_unref(token);
    vow_source_unref(source);
}

VOW_CASE(error_asks_what_others_follow_to_stop)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = hold_on, .width = 3)};
    vow_promise *p;
    vow_future *f;

    begin(9);
    f = vow_pipeline_run(TELL(.token = NULL), &NEXT, stages, 1);
    p = batch.promise[1];
    batch.promise[1] = NULL;
    vow_promise_reject(p, vow_error_new(EIO, "no"));
    vow_promise_unref(p);
    assert_int_equal(batch.held, 2);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    let_go(2);
    let_go(0);
    assert_int_equal(vow_error_code(vow_get(f).error), EIO);
    assert_int_equal(vow_error_index(vow_get(f).error), 1);
    assert_int_equal(batch.dropped, 3);
    assert_drops(3);
    vow_unref(f);
}

VOW_CASE(drained_it_finishes_what_is_in_flight)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = hold, .width = 2, .buffer = 1)};
    vow_pipeline *p;
    vow_future *f;

    begin(20);
    p = vow_pipeline_new(TELL(.token = NULL), &NEXT, stages, 1);
    f = vow_pipeline_future(p);
    vow_pipeline_drain(p);
    for (size_t i = 0; i < 3; i++)
        let_go(i);
    assert_int_equal(vow_get(f).value.as.u64, 3);
    assert_int_equal(batch.given, 3);
    vow_pipeline_drain(p);
    vow_unref(f);
    vow_pipeline_unref(p);
    assert_drops(3);
}

/* ---- drawing ---------------------------------------------------------------------- */

static struct {
    vow_manual *manual;
    vow_pipeline *pipeline;
    uint64_t drawn; /* when the second item was told of */
} meanwhile;

/* Takes as long as others need to do what they can. */
static void
sink_that_takes_long(size_t index, vow_value v, void *ctx)
{
    vow_manual_run(meanwhile.manual);
    if (index == 1)
        meanwhile.drawn = figures_of(meanwhile.pipeline).drawn;
    sink(index, v, ctx);
}

static void
fill_while_one_tells(const vow_feed *feed, size_t n)
{
    const vow_stage stages[] = {
        VOW_STAGE(.on = vow_manual_executor(meanwhile.manual), .fn = hold, .width = 2)};
    vow_future *f;

    meanwhile.pipeline = vow_pipeline_new(
        &VOW_PIPELINE_OPTIONS(.sink = sink_that_takes_long, .ctx = &batch), feed, stages,
        1);
    f = vow_pipeline_future(meanwhile.pipeline);
    vow_manual_run(meanwhile.manual);
    let_go(1);
    let_go(0); /* both are told of in one go */
    assert_int_equal(meanwhile.drawn, 3);
    for (size_t i = 2; i < n; i++) {
        vow_manual_run(meanwhile.manual);
        let_go(i);
    }
    vow_manual_run(meanwhile.manual);
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    vow_unref(f);
    vow_pipeline_unref(meanwhile.pipeline);
    assert_drops(n);
}

VOW_CASE(places_are_filled_while_one_tells)
{
    vow_channel *c = vow_channel_new(6);

    meanwhile.manual = vow_manual_new();
    begin(6);
    fill_while_one_tells(&VOW_FEED(.items = items(6), .n = 6), 6);
    begin(6);
    fill_while_one_tells(&NEXT, 6);
    begin(6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(vow_channel_try_send(c, item(i)), 0);
    vow_channel_close(c);
    fill_while_one_tells(&VOW_FEED(.channel = c), 6);
    vow_channel_unref(c);
    vow_manual_unref(meanwhile.manual);
}

/* ---- channels ---------------------------------------------------------------------- */

VOW_CASE(sends_wait_for_room)
{
    vow_channel *c = vow_channel_new(0);
    const vow_stage stages[] = {VOW_STAGE(.fn = hold, .buffer = 1)};
    vow_future *sent[5], *f;

    begin(0);
    f = vow_pipeline_run(TELL(.token = NULL), &VOW_FEED(.channel = c), stages, 1);
    for (size_t i = 0; i < 5; i++)
        sent[i] = vow_channel_send(c, item(i));
    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < 5; k++)
            assert_int_equal(vow_future_status(sent[k]),
                             k < i + 2 ? VOW_FULFILLED : VOW_PENDING);
        let_go(i);
    }
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_channel_close(c);
    assert_int_equal(vow_get(f).value.as.u64, 5);
    for (size_t i = 0; i < 5; i++)
        vow_unref(sent[i]);
    vow_unref(f);
    vow_channel_unref(c);
    assert_drops(5);
}

VOW_CASE(stopped_it_leaves_the_channel_alone)
{
    for (int drains = 0; drains < 2; drains++) {
        vow_channel *c = vow_channel_new(3);
        const vow_stage stages[] = {VOW_STAGE(.fn = pass)};
        vow_pipeline *p;
        vow_future *f;
        vow_value v;

        begin(0);
        p = vow_pipeline_new(TELL(.token = NULL), &VOW_FEED(.channel = c), stages, 1);
        f = vow_pipeline_future(p);
        assert_int_equal(vow_channel_try_send(c, item(0)), 0);
        if (drains)
            vow_pipeline_drain(p);
        else
            vow_future_cancel(f, NULL);
        assert_int_equal(vow_future_status(f), drains ? VOW_FULFILLED : VOW_REJECTED);
        assert_int_equal(vow_channel_try_send(c, item(1)), 0);
        assert_int_equal(vow_channel_count(c), 1);
        assert_int_equal(vow_channel_try_receive(c, &v), 0);
        vow_value_drop(v);
        vow_ignore(f);
        vow_pipeline_unref(p);
        vow_channel_unref(c);
        assert_drops(2);
    }
}

VOW_CASE(closed_channel_ends_at_once)
{
    vow_channel *c = vow_channel_new(2);
    const vow_stage stages[] = {VOW_STAGE(.fn = pass)};
    vow_future *f;

    begin(0);
    assert_int_equal(vow_channel_try_send(c, item(0)), 0);
    vow_channel_close(c);
    f = vow_pipeline_run(TELL(.token = NULL), &VOW_FEED(.channel = c), stages, 1);
    assert_int_equal(vow_get(f).value.as.u64, 1);
    vow_unref(f);
    vow_channel_unref(c);
    assert_drops(1);
}

/* ---- executors --------------------------------------------------------------------- */

VOW_CASE(closed_executor_stops_it)
{
    for (int policy = VOW_STAGE_STOP; policy <= VOW_STAGE_DIVERT; policy++) {
        vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
        const vow_stage stages[] = {
            VOW_STAGE(.fn = pass, .buffer = 2),
            VOW_STAGE(.on = pool, .fn = pass, .on_error = policy)};
        vow_future *f;

        begin(9);
        vow_unref(vow_executor_close(pool, VOW_DRAIN));
        vow_executor_join(pool);
        f = vow_pipeline_run(TELL(.token = NULL), &NEXT, stages, 2);
        assert_int_equal(vow_error_code(vow_get(f).error), VOW_E_CLOSED);
        assert_int_equal(vow_error_index(vow_get(f).error), 0);
        vow_unref(f);
        vow_executor_unref(pool);
        assert_int_equal(batch.dropped, batch.given);
        assert_drops(batch.given);
    }
}

VOW_CASE(feed_whose_executor_is_closed_stops_it)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    const vow_stage stages[] = {VOW_STAGE(.fn = pass)};
    vow_future *f;

    begin(9);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    vow_executor_join(pool);
    f = vow_pipeline_run(
        TELL(.token = NULL),
        &VOW_FEED(.next = next, .ctx = drop_value(&batch.ctx[3]), .on = pool), stages, 1);
    assert_int_equal(vow_error_code(vow_get(f).error), VOW_E_CLOSED);
    assert_int_equal(vow_error_index(vow_get(f).error), -1);
    assert_int_equal(batch.given, 0);
    assert_int_equal(drop_count(&batch.ctx[3]), 1);
    vow_unref(f);
    vow_executor_unref(pool);
}

VOW_CASE(drained_it_does_not_need_the_executor_of_its_feed)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    const vow_stage stages[] = {VOW_STAGE(.fn = hold, .width = 2)};
    vow_pipeline *p;
    vow_future *f;

    begin(9);
    p = vow_pipeline_new(
        TELL(.token = NULL),
        &VOW_FEED(.next = next, .ctx = drop_value(&batch.ctx[3]), .on = on), stages, 1);
    f = vow_pipeline_future(p);
    vow_manual_run(m);
    let_go(0); /* and there is room: to be drawn there */
    vow_pipeline_drain(p);
    vow_unref(vow_executor_close(on, VOW_CANCEL_QUEUED));
    vow_manual_run(m);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    let_go(1);
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_int_equal(vow_get(f).value.as.u64, 2);
    assert_int_equal(batch.dropped, 0);
    assert_int_equal(batch.given, 2);
    assert_int_equal(drop_count(&batch.ctx[3]), 1);
    vow_unref(f);
    vow_pipeline_unref(p);
    vow_manual_unref(m);
    assert_drops(2);
}

VOW_CASE(drained_before_it_could_draw_it_asks_its_feed_for_nothing)
{
    vow_manual *m = vow_manual_new();
    const vow_stage stages[] = {VOW_STAGE(.fn = pass, .width = 2)};
    vow_pipeline *p;
    vow_future *f;

    begin(9);
    p = vow_pipeline_new(TELL(.token = NULL),
                         &VOW_FEED(.next = next, .ctx = drop_value(&batch.ctx[3]),
                                   .on = vow_manual_executor(m)),
                         stages, 1);
    f = vow_pipeline_future(p);
    vow_pipeline_drain(p);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_manual_run(m);
    assert_int_equal(vow_get(f).value.as.u64, 0);
    assert_int_equal(batch.given, 0);
    assert_int_equal(drop_count(&batch.ctx[3]), 1);
    vow_unref(f);
    vow_pipeline_unref(p);
    vow_manual_unref(m);
    assert_drops(0);
}

VOW_CASE(executor_that_cancels_what_is_queued_ends_it)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    const vow_stage stages[] = {VOW_STAGE(.on = on, .fn = pass, .width = 2, .buffer = 2)};
    vow_future *f;

    begin(9);
    f = vow_pipeline_run(TELL(.token = NULL), &VOW_FEED(.items = items(9), .n = 9),
                         stages, 1);
    vow_manual_step(m);
    vow_unref(vow_executor_close(on, VOW_CANCEL_QUEUED));
    vow_manual_run(m);
    assert_int_equal(vow_error_code(vow_get(f).error), VOW_E_CLOSED);
    vow_unref(f);
    vow_manual_unref(m);
    assert_drops(9);
}

/* Refuses every second task. */
static int
refuse_some(vow_executor *self, vow_task *task)
{
    static unsigned n;

    (void)self;
    if (n++ % 2 == 0)
        return VOW_E_LIMIT;
    task->run(task, 0);
    return 0;
}

VOW_CASE(refused_items_have_failed)
{
    static const vow_executor_ops ops = {.size = sizeof ops, .post = refuse_some};
    static vow_executor on = {.ops = &ops};
    const vow_stage skips[] = {
        VOW_STAGE(.on = &on, .fn = pass, .width = 2, .on_error = VOW_STAGE_SKIP)};
    const vow_stage stops[] = {VOW_STAGE(.on = &on, .fn = pass)};
    vow_manual *draws = vow_manual_new(); /* so that what is refused are items */
    vow_future *f;

    begin(20);
    f = vow_pipeline_run(
        TELL(.token = NULL),
        &VOW_FEED(.items = items(20), .n = 20, .on = vow_manual_executor(draws)), skips,
        1);
    vow_manual_run(draws);
    assert_int_equal(vow_get(f).value.as.u64, 10);
    assert_int_equal(batch.reported, 10);
    assert_int_equal(batch.code, VOW_E_LIMIT);
    vow_unref(f);
    assert_drops(20);
    begin(20);
    f = vow_pipeline_run(TELL(.token = NULL), &VOW_FEED(.items = items(20), .n = 20),
                         stops, 1);
    assert_int_equal(vow_error_code(vow_get(f).error), VOW_E_LIMIT);
    vow_unref(f);
    assert_drops(20);
    vow_manual_unref(draws);
}

/* Takes the first tasks, and runs them when it is told to. */
struct limited_executor {
    vow_executor executor;
    size_t room;
    vow_task *first;
};

static int
take_few(vow_executor *self, vow_task *task)
{
    struct limited_executor *limited = (struct limited_executor *)(void *)self;

    if (limited->room == 0)
        return VOW_E_LIMIT;
    limited->room--;
    limited->first = task;
    return 0;
}

VOW_CASE(array_is_drawn_though_its_drawer_is_refused)
{
    static const vow_executor_ops ops = {.size = sizeof ops, .post = take_few};
    struct limited_executor on = {.executor = {.ops = &ops}, .room = 1};
    const vow_stage stages[] = {
        VOW_STAGE(.on = &on.executor, .fn = pass, .on_error = VOW_STAGE_SKIP)};
    vow_future *f;

    begin(20);
    f = vow_pipeline_run(TELL(.token = NULL), &VOW_FEED(.items = items(20), .n = 20),
                         stages, 1);
    on.first->run(on.first, 0);
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_int_equal(vow_get(f).value.as.u64, 1);
    assert_int_equal(batch.reported, 19);
    assert_int_equal(batch.code, VOW_E_LIMIT);
    vow_unref(f);
    assert_drops(20);
}

/* A pipeline within each item of another, on the same pool, and a wait for it. */
static vow_result
run_another(vow_value v, void *pool)
{
    const vow_value numbers[] = {vow_i64(1), vow_i64(2), vow_i64(3), vow_i64(4)};
    const vow_stage stages[] = {VOW_STAGE(.on = pool, .fn = square, .width = 2),
                                VOW_STAGE(.on = pool, .fn = square)};
    vow_future *f =
        vow_pipeline_run(NULL, &VOW_FEED(.items = numbers, .n = 4), stages, 2);
    vow_view done = vow_get(f);

    (void)v;
    assert_null(done.error);
    assert_int_equal(done.value.as.u64, 4);
    vow_unref(f);
    return vow_forward();
}

VOW_CASE(nested_on_one_pool_they_do_not_wait_for_each_other)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    const vow_stage stages[] = {
        VOW_STAGE(.on = pool, .fn = run_another, .ctx = vow_ptr(pool), .width = 3),
        VOW_STAGE(.on = pool, .fn = run_another, .ctx = vow_ptr(pool), .width = 2)};
    vow_future *f;

    begin(12);
    f = vow_pipeline_run(TELL(.token = NULL), &NEXT, stages, 2);
    assert_int_equal(vow_get(f).value.as.u64, 12);
    vow_unref(f);
    close_pool(pool);
    assert_drops(12);
}

static vow_result
exit_thread(vow_value v, void *ctx)
{
    (void)ctx;
    if (index_of(v) == 3)
        pthread_exit(NULL);
    return vow_forward();
}

VOW_CASE(thread_that_exits_inside_fails_its_item)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    const vow_stage stages[] = {
        VOW_STAGE(.on = pool, .fn = exit_thread, .on_error = VOW_STAGE_SKIP)};
    vow_future *f;

    begin(9);
    f = vow_pipeline_run(TELL(.token = NULL), &NEXT, stages, 1);
    assert_int_equal(vow_get(f).value.as.u64, 8);
    assert_int_equal(batch.reported, 1);
    assert_int_equal(batch.code, VOW_E_BROKEN);
    vow_unref(f);
    close_pool(pool);
    assert_drops(9);
}

/* One that nobody but the pipeline holds. */
struct counted_executor {
    vow_executor executor;
    int destroyed;
};

static int
run_at_once(vow_executor *self, vow_task *task)
{
    assert_int_equal(((struct counted_executor *)(void *)self)->destroyed, 0);
    task->run(task, 0);
    return 0;
}

static void
destroy_counted(vow_executor *self)
{
    ((struct counted_executor *)(void *)self)->destroyed++;
}

VOW_CASE(executor_that_nobody_else_holds_lasts_as_long)
{
    static const vow_executor_ops ops = {
        .size = sizeof ops, .post = run_at_once, .destroy = destroy_counted};
    struct counted_executor counted = {.destroyed = 0};
    const vow_stage stages[] = {VOW_STAGE(.on = &counted.executor, .fn = hold),
                                VOW_STAGE(.on = &counted.executor, .fn = pass)};
    vow_pipeline *p;
    vow_future *f;

    begin(2);
    assert_int_equal(vow_executor_init(&counted.executor, &ops), 0);
    p = vow_pipeline_new(TELL(.token = NULL), &NEXT, stages, 2);
    f = vow_pipeline_future(p);
    vow_executor_unref(&counted.executor);
    assert_int_equal(counted.destroyed, 0);
    vow_pipeline_drain(p);
    let_go(0);
    assert_int_equal(vow_error_code(vow_get(f).error), 0);
    vow_unref(f);
    vow_pipeline_unref(p);
    vow_trim();
    assert_int_equal(counted.destroyed, 1);
}

/* ---- memory ------------------------------------------------------------------------ */

static void
run_everything(vow_executor *on, vow_token *token)
{
    vow_channel *c = vow_channel_new(4);
    const vow_stage stages[] = {COUNTING(0, .on = on, .width = 2),
                                VOW_STAGE(.fn = fails, .on_error = VOW_STAGE_DIVERT),
                                COUNTING(1, .buffer = 3)};
    vow_future *f;

    begin(9);
    batch.fails_at = 4;
    for (size_t i = 0; c != NULL && i < 4; i++)
        assert_int_equal(vow_channel_try_send(c, item(9 + i)), 0);
    vow_channel_close(c);
    f = vow_pipeline_run(TELL(.token = token), &VOW_FEED(.items = items(9), .n = 9),
                         stages, 3);
    vow_wait(f, VOW_FOREVER);
    assert_drops(9);
    assert_int_equal(drop_count(&batch.ctx[0]), 1);
    assert_int_equal(drop_count(&batch.ctx[1]), 1);
    if (vow_error_code(vow_get(f).error) != VOW_E_NOMEM)
        assert_int_equal(batch.done, 9);
    vow_ignore(f);
    f = vow_pipeline_run(TELL(.token = token), &VOW_FEED(.channel = c), stages, 0);
    vow_ignore(f);
    begin(0);
    f = vow_pipeline_run(TELL(.token = token), &VOW_FEED(.channel = c), stages, 3);
    vow_wait(f, VOW_FOREVER);
    vow_ignore(f);
    vow_channel_unref(c);
    assert_int_equal(drop_count(&batch.ctx[0]), 1);
    begin(9);
    f = vow_pipeline_run(NULL, &NEXT, &stages[2], 1);
    vow_wait(f, VOW_FOREVER);
    vow_ignore(f);
    assert_int_equal(drop_count(&batch.ctx[3]), 1);
    assert_drops(batch.given);
}

VOW_CASE(out_of_memory_nothing_is_lost)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);

    counting_each_failure(k, COUNTING_ONCE)
    {
        run_everything(NULL, token);
    }
    counting_each_failure(k, COUNTING_ONWARDS)
    {
        run_everything(pool, token);
    }
    vow_token_unref(token);
    vow_source_unref(source);
    close_pool(pool);
}

VOW_CASE(cancelling_without_memory_stops_it)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = hold_on, .width = 2)};
    vow_future *f;

    begin(9);
    f = vow_pipeline_run(TELL(.token = NULL), &NEXT, stages, 1);
    counting_fail_at(1, COUNTING_ONWARDS);
    vow_future_cancel(f, NULL);
    let_go(0);
    let_go(1);
    counting_fail_at(0, COUNTING_ONCE);
    assert_int_equal(vow_error_code(vow_get(f).error), VOW_E_CANCELLED);
    vow_unref(f);
    assert_drops(2);
}

VOW_CASE(places_beyond_counting_are_no_memory)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = pass, .buffer = SIZE_MAX),
                                COUNTING(0, .on = NULL)};

    begin(3);
    assert_null(vow_pipeline_new(NULL, &VOW_FEED(.items = items(3), .n = 3), stages, 2));
    assert_drops(3);
    assert_int_equal(drop_count(&batch.ctx[0]), 1);
}

/* ---- those who know less ----------------------------------------------------------- */

/* A stage as a program knows it that was compiled before there was an order to lose. */
struct small_stage {
    size_t size;
    vow_executor *on;
    vow_then_fn *fn;
    vow_value ctx;
    size_t width;
};

VOW_CASE(smaller_structs_are_read_as_they_are)
{
    const struct small_stage stages[] = {
        {sizeof *stages, NULL, pass, VOW_NIL, 2},
        {sizeof *stages, NULL, fails, drop_value(&batch.ctx[0]), 0}};
    struct {
        size_t size;
        uint64_t drawn;
    } small = {sizeof small, 0};
    vow_pipeline *p;
    vow_future *f;

    begin(5);
    p = vow_pipeline_new(NULL, &VOW_FEED(.items = items(5), .n = 5),
                         (const vow_stage *)(const void *)stages, 2);
    f = vow_pipeline_future(p);
    assert_int_equal(vow_get(f).value.as.u64, 5);
    assert_int_equal(vow_pipeline_read(p, (vow_pipeline_figures *)(void *)&small), 0);
    assert_int_equal(small.drawn, 5);
    assert_int_equal(small.size, sizeof small);
    vow_unref(f);
    assert_int_equal(drop_count(&batch.ctx[0]), 1);
    vow_pipeline_unref(vow_pipeline_ref(p));
    vow_pipeline_unref(p);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(inline_stages_have_run_on_return),
        vow_test(no_items_and_no_feed_end_at_once),
        vow_test(values_take_the_place_of_items),
        vow_test(what_came_in_is_dropped_when_something_else_goes_on),
        vow_test(stages_on_pools_keep_the_order),
        vow_test(stages_that_do_nothing_keep_the_order_as_well),
        vow_test(nothing_is_drawn_before_there_is_room),
        vow_test(in_order_one_that_takes_long_holds_up_its_stage),
        vow_test(unordered_they_overtake),
        vow_test(unordered_they_wait_for_room_as_they_came_to),
        vow_test(items_allocate_nothing),
        vow_test(error_stops_and_says_which_item),
        vow_test(skipped_items_are_reported),
        vow_test(diverted_items_are_handed_on),
        vow_test(figures_of_a_stage_add_up_while_it_tells),
        vow_test(nonsense_is_invalid),
        vow_test(what_was_followed_is_owned_or_shared),
        vow_test(results_are_read_as_those_of_steps),
        vow_test(stage_gets_no_second_turn),
        vow_test(cancelled_result_settles_when_all_is_at_rest),
        vow_test(letting_go_of_the_result_stops_it_if_there_is_no_handle),
        vow_test(running_functions_see_a_token_fire),
        vow_test(fired_token_lets_nothing_start),
        vow_test(error_asks_what_others_follow_to_stop),
        vow_test(drained_it_finishes_what_is_in_flight),
        vow_test(places_are_filled_while_one_tells),
        vow_test(sends_wait_for_room),
        vow_test(stopped_it_leaves_the_channel_alone),
        vow_test(closed_channel_ends_at_once),
        vow_test(closed_executor_stops_it),
        vow_test(feed_whose_executor_is_closed_stops_it),
        vow_test(drained_it_does_not_need_the_executor_of_its_feed),
        vow_test(drained_before_it_could_draw_it_asks_its_feed_for_nothing),
        vow_test(executor_that_cancels_what_is_queued_ends_it),
        vow_test(refused_items_have_failed),
        vow_test(array_is_drawn_though_its_drawer_is_refused),
        vow_test(nested_on_one_pool_they_do_not_wait_for_each_other),
        vow_test(thread_that_exits_inside_fails_its_item),
        vow_test(executor_that_nobody_else_holds_lasts_as_long),
        vow_test(out_of_memory_nothing_is_lost),
        vow_test(cancelling_without_memory_stops_it),
        vow_test(places_beyond_counting_are_no_memory),
        vow_test(smaller_structs_are_read_as_they_are),
    };

    return vow_test_run(cases);
}
