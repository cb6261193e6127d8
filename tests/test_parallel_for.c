/* SPDX-License-Identifier: MIT */
/*
 * vow_parallel_for: each index once, on every executor, in pieces as asked for; the first
 * error, cancelling, refusals, closing; loops in loops.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/drops.h"
#include "support/pool_fixture.h"

enum { MOST = 4096 };

/* What the calls of a loop share. */
struct marks {
    struct drop ctx; /* first: it is the context */
    atomic_uchar at[MOST];
    size_t begin; /* at[0] is this index */
    atomic_size_t calls;
    size_t shortest, longest; /* pieces; where one call runs at a time */
    size_t last;              /* the end of the last one */
    bool in_order;
    size_t fails_at; /* with calls counted from 1; 0: never */
    vow_source *stop;
    size_t stops_at;
    bool saw_stop;
    bool exits; /* instead of failing */
};

static struct marks marks;

static void
begin(void)
{
    memset(&marks, 0, sizeof marks);
    marks.shortest = SIZE_MAX;
    marks.in_order = true;
}

static vow_value
ctx(void)
{
    return drop_value(&marks.ctx);
}

static vow_error *
mark(size_t first, size_t end, void *c)
{
    size_t call = atomic_fetch_add(&marks.calls, 1) + 1;

    if (c != &marks.ctx || drop_count(&marks.ctx) != 0 || first >= end)
        return vow_error_new(EDOM, "wrong call");
    for (size_t i = first; i < end; i++)
        atomic_fetch_add(&marks.at[i - marks.begin], 1);
    if (call == marks.fails_at && marks.exits)
        pthread_exit(NULL);
    if (call == marks.fails_at)
        return vow_error_new(EIO, "call %zu", call);
    return NULL;
}

/* The same, where one call runs at a time. */
static vow_error *
mark_alone(size_t first, size_t end, void *c)
{
    if (end - first < marks.shortest)
        marks.shortest = end - first;
    if (end - first > marks.longest)
        marks.longest = end - first;
    marks.in_order = marks.in_order && (marks.calls == 0 || first == marks.last);
    marks.last = end;
    if (marks.stop != NULL && marks.calls + 1 == marks.stops_at) {
        assert_false(vow_cancelled());
        vow_source_cancel(marks.stop, vow_error_new(EINTR, "enough"));
        marks.saw_stop = vow_cancelled();
    }
    return mark(first, end, c);
}

/* Of the first n indices that many have been done; none twice. */
static size_t
marked(size_t n)
{
    size_t done = 0;

    for (size_t i = 0; i < n; i++) {
        assert_true(marks.at[i] <= 1);
        done += marks.at[i];
    }
    return done;
}

static void
assert_all(vow_future *f, size_t n)
{
    vow_view r = vow_peek(f);

    assert_null(r.error);
    assert_int_equal(r.value.as.u64, n);
    assert_int_equal(marked(n), n);
    assert_int_equal(drop_count(&marks.ctx), 1);
    vow_unref(f);
}

static void
assert_failed(vow_future *f, int code, int64_t index)
{
    const vow_error *e = vow_peek(f).error;

    assert_int_equal(vow_error_code(e), code);
    assert_int_equal(vow_error_index(e), index);
    assert_int_equal(drop_count(&marks.ctx), 1);
    vow_unref(f);
}

/* ---- every index once ------------------------------------------------------------------------ */

static const size_t sizes[] = {0, 1, 2, 3, 31, 32, 33, 64, 65, 1000, 4095};

VOW_CASE(inline_has_run_on_return)
{
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        vow_future *f;

        begin();
        f = vow_parallel_for(NULL, NULL, 0, sizes[i], mark_alone, ctx());
        assert_int_equal(vow_future_status(f), VOW_FULFILLED);
        assert_true(marks.in_order);
        assert_all(f, sizes[i]);
    }
}

VOW_CASE(empty_range_calls_nothing)
{
    vow_future *f;

    begin();
    f = vow_parallel_for(NULL, NULL, 7, 7, mark, ctx());
    assert_all(f, 0);
    assert_int_equal(marks.calls, 0);
}

VOW_CASE(range_that_ends_before_it_begins_is_refused)
{
    vow_future *f;

    begin();
    f = vow_parallel_for(NULL, NULL, 8, 7, mark, ctx());
    assert_failed(f, VOW_E_INVALID, -1);
    assert_int_equal(marks.calls, 0);
}

VOW_CASE(manual_does_a_piece_a_step_in_order)
{
    vow_manual *m = vow_manual_new();
    vow_future *f;

    begin();
    f = vow_parallel_for(vow_manual_executor(m), NULL, 0, 1000, mark_alone, ctx());
    assert_true(vow_manual_step(m));
    assert_int_equal(marks.calls, 1);
    assert_int_equal(marks.last, 1000 / 32);
    vow_manual_run(m);
    assert_true(marks.in_order);
    assert_int_equal(marks.shortest, 1);
    assert_all(f, 1000);
    vow_manual_unref(m);
}

static vow_result
count_calls(void *seen)
{
    *(size_t *)seen = marks.calls;
    return vow_ok(VOW_NIL);
}

VOW_CASE(others_have_their_turn_between_two_pieces)
{
    vow_manual *m = vow_manual_new();
    size_t seen = 0;
    vow_future *f, *other;

    begin();
    f = vow_parallel_for(vow_manual_executor(m), NULL, 0, 1000, mark_alone, ctx());
    other = vow_submit(vow_manual_executor(m), count_calls, vow_ptr(&seen));
    vow_manual_run(m);
    assert_int_equal(seen, 1);
    assert_all(f, 1000);
    vow_unref(other);
    vow_manual_unref(m);
}

VOW_CASE(several_lanes_share_what_there_is)
{
    vow_manual *m = vow_manual_new();

    for (unsigned width = 1; width <= 5; width++) {
        vow_future *f;

        begin();
        f = vow_parallel_for(vow_manual_executor(m), &VOW_RANGE_OPTIONS(.width = width),
                             0, 777, mark_alone, ctx());
        vow_manual_run(m);
        assert_all(f, 777);
    }
    vow_manual_unref(m);
}

VOW_CASE(width_is_no_more_than_anybody_has)
{
    vow_future *f;

    begin();
    f = vow_parallel_for(NULL, &VOW_RANGE_OPTIONS(.width = 100000), 0, 4000, mark, ctx());
    assert_all(f, 4000);
}

VOW_CASE(pieces_are_as_long_as_asked_for)
{
    vow_future *f;

    begin();
    f = vow_parallel_for(NULL, &VOW_RANGE_OPTIONS(.grain = 10), 0, 1005, mark_alone,
                         ctx());
    assert_int_equal(marks.shortest, 5);
    assert_int_equal(marks.longest % 10, 0);
    assert_all(f, 1005);

    begin();
    f = vow_parallel_for(NULL, &VOW_RANGE_OPTIONS(.grain = 5000), 0, 1005, mark_alone,
                         ctx());
    assert_int_equal(marks.calls, 1);
    assert_all(f, 1005);

    begin();
    f = vow_parallel_for(NULL, &VOW_RANGE_OPTIONS(.most = 7), 0, 1005, mark_alone, ctx());
    assert_int_equal(marks.longest, 7);
    assert_all(f, 1005);

    begin();
    f = vow_parallel_for(NULL, &VOW_RANGE_OPTIONS(.grain = 10, .most = 3), 0, 1005,
                         mark_alone, ctx());
    assert_int_equal(marks.longest, 10);
    assert_all(f, 1005);
}

VOW_CASE(range_may_end_at_the_greatest_index)
{
    vow_future *f;

    begin();
    marks.begin = SIZE_MAX - 1000;
    f = vow_parallel_for(NULL, NULL, SIZE_MAX - 1000, SIZE_MAX, mark_alone, ctx());
    assert_int_equal(marks.last, SIZE_MAX);
    assert_all(f, 1000);
}

static vow_error *
add_up(size_t first, size_t end, void *sum)
{
    *(size_t *)sum += end - first;
    return NULL;
}

VOW_CASE(range_may_be_all_the_indices_there_are)
{
    size_t sum = 0;
    vow_future *f = vow_parallel_for(NULL, &VOW_RANGE_OPTIONS(.grain = 3, .width = 3), 0,
                                     SIZE_MAX, add_up, vow_ptr(&sum));

    assert_int_equal(vow_get(f).value.as.u64, SIZE_MAX);
    assert_true(sum == SIZE_MAX);
    vow_unref(f);
}

VOW_CASE(serial_and_loop_do_it_in_order)
{
    vow_manual *m = vow_manual_new();
    vow_executor *serial = vow_serial_new(vow_manual_executor(m));
    vow_loop *loop = vow_loop_new(NULL);
    vow_future *f;

    begin();
    f = vow_parallel_for(serial, NULL, 0, 500, mark_alone, ctx());
    vow_manual_run(m);
    assert_true(marks.in_order);
    assert_all(f, 500);

    begin();
    f = vow_parallel_for(vow_loop_executor(loop), NULL, 0, 500, mark_alone, ctx());
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    assert_true(marks.in_order);
    assert_all(f, 500);

    vow_loop_unref(loop);
    vow_executor_unref(serial);
    vow_manual_unref(m);
}

VOW_CASE(pool_does_every_index_once)
{
    for (unsigned threads = 1; threads <= 4; threads++) {
        vow_executor *pool = pool_of(threads);

        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            vow_future *f;

            begin();
            f = vow_parallel_for(pool, &VOW_RANGE_OPTIONS(.priority = (int)i % 5), 0,
                                 sizes[i], mark, ctx());
            vow_get(f);
            assert_all(f, sizes[i]);
        }
        pool_free(pool);
    }
}

enum { MANY = 10000000 };

static vow_error *
count_up(size_t first, size_t end, void *bytes)
{
    unsigned char *at = bytes;

    for (size_t i = first; i < end; i++)
        at[i]++;
    return NULL;
}

VOW_CASE(ten_million_indices_on_a_pool)
{
    vow_executor *pool = pool_of(2);
    unsigned char *at = calloc(MANY, 1);
    vow_future *f = vow_parallel_for(pool, NULL, 0, MANY, count_up, vow_ptr(at));
    size_t wrong = 0;

    assert_int_equal(vow_get(f).value.as.u64, MANY);
    for (size_t i = 0; i < MANY; i++)
        wrong += at[i] != 1;
    assert_int_equal(wrong, 0);
    vow_unref(f);
    free(at);
    pool_free(pool);
}

VOW_CASE(memory_depends_on_the_width_alone)
{
    size_t before = counting_calls(), small, large;

    begin();
    vow_unref(
        vow_parallel_for(NULL, &VOW_RANGE_OPTIONS(.width = 3), 0, 10, mark_alone, ctx()));
    small = counting_calls() - before;
    begin();
    vow_unref(vow_parallel_for(NULL, &VOW_RANGE_OPTIONS(.width = 3), 0, 4000, mark_alone,
                               ctx()));
    large = counting_calls() - before - small;
    assert_true(large <= small);
}

VOW_CASE(options_of_an_older_program_are_read_as_far_as_they_go)
{
    vow_range_options old = {.size = offsetof(vow_range_options, most), .grain = 10};
    vow_future *f;

    old.most = 1;
    begin();
    f = vow_parallel_for(NULL, &old, 0, 1000, mark_alone, ctx());
    assert_int_equal(marks.longest, 30);
    assert_all(f, 1000);
}

VOW_CASE(dropped_result_lets_the_loop_go_on)
{
    vow_manual *m = vow_manual_new();

    begin();
    vow_unref(vow_parallel_for(vow_manual_executor(m), &VOW_RANGE_OPTIONS(.width = 2), 0,
                               100, mark_alone, ctx()));
    vow_manual_run(m);
    assert_int_equal(marked(100), 100);
    assert_int_equal(drop_count(&marks.ctx), 1);
    vow_manual_unref(m);
}

/* ---- errors ------------------------------------------------------------------------------------ */

VOW_CASE(first_error_stops_the_rest)
{
    vow_manual *m = vow_manual_new();

    for (unsigned width = 1; width <= 3; width++) {
        vow_future *f;

        begin();
        marks.fails_at = 5;
        f = vow_parallel_for(vow_manual_executor(m),
                             &VOW_RANGE_OPTIONS(.grain = 10, .most = 10, .width = width),
                             0, 1000, mark_alone, ctx());
        vow_manual_run(m);
        assert_int_equal(marks.calls, 5);
        assert_int_equal(marked(1000), 50);
        assert_failed(f, EIO, (int64_t)marks.last - 10);
    }
    vow_manual_unref(m);
}

VOW_CASE(error_carries_the_index_and_is_the_callers)
{
    vow_future *f;

    begin();
    marks.fails_at = 3;
    f = vow_parallel_for(NULL, &VOW_RANGE_OPTIONS(.most = 10), 100, 200, mark_alone,
                         ctx());
    assert_string_equal(vow_error_message(vow_peek(f).error), "call 3");
    assert_failed(f, EIO, 100 + 3 + 3); /* pieces of 100 / 32 */
}

static vow_error *
fail_at_once(size_t first, size_t end, void *nothing)
{
    (void)first;
    (void)end;
    (void)nothing;
    return vow_error_new(EIO, "no");
}

/* vow_error_index has no number for it. */
VOW_CASE(error_at_an_index_beyond_all_numbers_carries_none)
{
    static const size_t begins[] = {SIZE_MAX / 2, SIZE_MAX - 1};

    for (size_t i = 0; i < 2; i++) {
        size_t begin = begins[i];
        vow_error *e =
            vow_parallel_for_here(NULL, NULL, begin, begin + 1, fail_at_once, VOW_NIL);
        vow_future *f =
            vow_parallel_for(NULL, NULL, begin, begin + 1, fail_at_once, VOW_NIL);
        int64_t index = sizeof begin < sizeof index ? (int64_t)begin : -1;

        assert_int_equal(vow_error_code(e), EIO);
        assert_true(vow_error_index(e) == index);
        assert_true(vow_error_index(vow_get(f).error) == index);
        vow_error_unref(e);
        vow_unref(f);
    }
}

VOW_CASE(error_on_a_pool_waits_for_the_calls_that_run)
{
    vow_executor *pool = pool_of(3);

    for (int round = 0; round < 50; round++) {
        vow_future *f;

        begin();
        marks.fails_at = 1 + (size_t)round % 7;
        f = vow_parallel_for(pool, &VOW_RANGE_OPTIONS(.most = 5), 0, 1000, mark, ctx());
        vow_get(f);
        assert_int_equal(vow_error_code(vow_peek(f).error), EIO);
        assert_true(vow_error_index(vow_peek(f).error) >= 0);
        assert_int_equal(drop_count(&marks.ctx), 1);
        marked(1000);
        vow_unref(f);
    }
    pool_free(pool);
}

VOW_CASE(call_whose_thread_exits_breaks_the_loop)
{
    vow_executor *pool = pool_of(2);
    vow_future *f;

    begin();
    marks.fails_at = 3;
    marks.exits = true;
    f = vow_parallel_for(pool, &VOW_RANGE_OPTIONS(.most = 5), 0, 1000, mark, ctx());
    vow_get(f);
    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_BROKEN);
    assert_true(vow_error_index(vow_peek(f).error) >= 0);
    assert_int_equal(drop_count(&marks.ctx), 1);
    vow_unref(f);
    pool_free(pool);
}

/* ---- cancelling ---------------------------------------------------------------------------------- */

VOW_CASE(cancel_half_way_begins_no_more_calls)
{
    vow_manual *m = vow_manual_new();
    vow_future *f;

    begin();
    f = vow_parallel_for(vow_manual_executor(m), &VOW_RANGE_OPTIONS(.width = 2), 0, 1000,
                         mark_alone, ctx());
    for (int i = 0; i < 4; i++)
        assert_true(vow_manual_step(m));
    vow_future_cancel(f, vow_error_new(EINTR, "enough"));
    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    assert_true(vow_error_is(vow_peek(f).error, EINTR));
    assert_int_equal(marks.calls, 4);
    vow_manual_run(m);
    assert_int_equal(marks.calls, 4);
    assert_failed(f, VOW_E_CANCELLED, -1);
    vow_manual_unref(m);
}

VOW_CASE(token_stops_a_loop_and_its_call_sees_it)
{
    for (int on_manual = 0; on_manual < 2; on_manual++) {
        vow_manual *m = vow_manual_new();
        vow_executor *on = on_manual ? vow_manual_executor(m) : NULL;
        vow_token *token;
        vow_future *f;

        begin();
        marks.stop = vow_source_new();
        marks.stops_at = 3;
        token = vow_source_token(marks.stop);
        f = vow_parallel_for(on, &VOW_RANGE_OPTIONS(.token = token), 0, 1000, mark_alone,
                             ctx());
        vow_manual_run(m);
        assert_int_equal(marks.calls, 3);
        assert_true(marks.saw_stop);
        assert_true(vow_error_is(vow_peek(f).error, EINTR));
        assert_failed(f, VOW_E_CANCELLED, -1);
        vow_source_unref(marks.stop);
        vow_token_unref(token);
        vow_manual_unref(m);
    }
}

VOW_CASE(token_that_has_fired_lets_nothing_begin)
{
    vow_source *stop = vow_source_new();
    vow_token *token = vow_source_token(stop);
    vow_future *f;

    begin();
    vow_source_cancel(stop, NULL);
    f = vow_parallel_for(NULL, &VOW_RANGE_OPTIONS(.token = token), 0, 1000, mark, ctx());
    assert_int_equal(marks.calls, 0);
    assert_failed(f, VOW_E_CANCELLED, -1);
    vow_source_unref(stop);
    vow_token_unref(token);
}

static atomic_int in_call, may_return;

static vow_error *
hold(size_t first, size_t end, void *c)
{
    atomic_fetch_add(&in_call, 1);
    await_flag(&may_return, 1);
    return vow_cancelled() ? mark(first, end, c) : vow_error_new(EDOM, "not asked");
}

VOW_CASE(cancelled_result_settles_when_the_last_call_has_returned)
{
    vow_executor *pool = pool_of(2);
    vow_future *f;

    begin();
    in_call = may_return = 0;
    f = vow_parallel_for(pool, NULL, 0, 1000, hold, ctx());
    await_flag(&in_call, 2);
    vow_future_cancel(f, NULL);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    assert_int_equal(drop_count(&marks.ctx), 0);
    may_return = 1;
    vow_get(f);
    assert_int_equal(marks.calls, 2);
    assert_failed(f, VOW_E_CANCELLED, -1);
    pool_free(pool);
}

/* ---- refusals ------------------------------------------------------------------------------------- */

/* Takes so many tasks, and no more. */
struct miser {
    vow_executor executor;
    int takes;
    vow_task *task[8];
    int taken;
};

static int
miser_post(vow_executor *self, vow_task *task)
{
    struct miser *m = (struct miser *)(void *)self;

    if (m->taken == m->takes)
        return VOW_E_LIMIT;
    m->task[m->taken++] = task;
    return 0;
}

static const vow_executor_ops miser_ops = {
    .size = sizeof miser_ops, .name = "miser", .post = miser_post};

VOW_CASE(lanes_that_are_accepted_do_it_all)
{
    for (int takes = 1; takes <= 4; takes++) {
        struct miser m = {.executor.ops = &miser_ops, .takes = takes};
        vow_future *f;

        begin();
        f = vow_parallel_for(&m.executor, &VOW_RANGE_OPTIONS(.width = 4), 0, 30,
                             mark_alone, ctx());
        m.takes = 8;
        while (m.taken != 0) {
            vow_task *task = m.task[--m.taken];

            task->run(task, 0);
        }
        assert_all(f, 30);
    }
}

VOW_CASE(executor_that_takes_nothing_rejects_with_its_code)
{
    struct miser m = {.executor.ops = &miser_ops, .takes = 0};
    vow_executor *pool = pool_of(1);
    vow_future *f;

    begin();
    f = vow_parallel_for(&m.executor, &VOW_RANGE_OPTIONS(.width = 4), 0, 30, mark, ctx());
    assert_failed(f, VOW_E_LIMIT, -1);

    begin();
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    f = vow_parallel_for(pool, NULL, 0, 30, mark, ctx());
    assert_failed(f, VOW_E_CLOSED, -1);
    assert_int_equal(marks.calls, 0);
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
}

VOW_CASE(second_turn_that_is_refused_ends_the_loop)
{
    struct miser m = {.executor.ops = &miser_ops, .takes = 1};
    vow_future *f;

    begin();
    f = vow_parallel_for(&m.executor, NULL, 0, 30, mark_alone, ctx());
    m.takes = 0;
    m.taken = 0;
    m.task[0]->run(m.task[0], 0);
    assert_int_equal(marks.calls, 1);
    assert_failed(f, VOW_E_LIMIT, -1);
}

static vow_result
wait_here(void *flag)
{
    atomic_fetch_add(&in_call, 1);
    await_flag(flag, 1);
    return vow_ok(VOW_NIL);
}

/* Its first call lets go of what it runs on. */
static vow_error *
let_go(size_t first, size_t end, void *executor)
{
    vow_executor **on = executor;

    (void)first;
    (void)end;
    vow_executor_unref(*on);
    *on = NULL;
    return NULL;
}

/* Inline behind it, calls run while lanes are still to be submitted. */
VOW_CASE(call_may_let_go_of_the_executor)
{
    vow_executor *on = vow_serial_new(NULL);
    vow_future *f = vow_parallel_for(on, &VOW_RANGE_OPTIONS(.width = 4), 0, 100, let_go,
                                     vow_ptr(&on));

    assert_null(on);
    assert_int_equal(code_of(f), 0);
    assert_int_equal(vow_peek(f).value.as.u64, 100);
    vow_unref(f);
}

VOW_CASE(full_pool_takes_what_it_has_room_for)
{
    static const vow_when_full modes[] = {VOW_FULL_REJECT, VOW_FULL_RUN,
                                          VOW_FULL_DROP_OLDEST};

    for (size_t i = 0; i < 3; i++) {
        vow_executor *pool = vow_pool_new(
            &VOW_POOL_OPTIONS(.threads = 2, .queue_limit = 1, .when_full = modes[i]));
        vow_future *busy[2], *f;

        in_call = may_return = 0;
        for (int k = 0; k < 2; k++) {
            busy[k] = vow_submit(pool, wait_here, vow_ptr(&may_return));
            await_flag(&in_call, k + 1);
        }
        begin();
        f = vow_parallel_for(pool, NULL, 0, 1000, mark, ctx());
        may_return = 1;
        vow_get(f);
        assert_all(f, 1000);
        vow_get(busy[0]);
        vow_get(busy[1]);
        vow_unref(busy[0]);
        vow_unref(busy[1]);
        pool_free(pool);
    }
}

VOW_CASE(close_that_cancels_ends_the_loop_half_way)
{
    vow_manual *m = vow_manual_new();
    vow_future *f;

    begin();
    f = vow_parallel_for(vow_manual_executor(m), NULL, 0, 1000, mark_alone, ctx());
    vow_manual_step(m);
    vow_manual_step(m);
    vow_unref(vow_executor_close(vow_manual_executor(m), VOW_CANCEL_QUEUED));
    assert_int_equal(marks.calls, 2);
    assert_failed(f, VOW_E_CLOSED, -1);
    vow_manual_unref(m);
}

VOW_CASE(draining_executor_does_it_all)
{
    vow_manual *m = vow_manual_new();
    vow_executor *pool = pool_of(2);
    vow_future *f;

    begin();
    f = vow_parallel_for(vow_manual_executor(m), NULL, 0, 1000, mark_alone, ctx());
    vow_manual_step(m);
    vow_unref(vow_executor_close(vow_manual_executor(m), VOW_DRAIN));
    vow_manual_run(m);
    assert_all(f, 1000);
    vow_manual_unref(m);

    begin();
    f = vow_parallel_for(pool, NULL, 0, 1000, mark, ctx());
    pool_free(pool);
    assert_all(f, 1000);
}

/* ---- loops in loops --------------------------------------------------------------------------------- */

struct plane {
    vow_executor *pool;
    atomic_uchar at[64][64];
};

struct row {
    struct plane *plane;
    size_t y;
};

static vow_error *
mark_row(size_t first, size_t end, void *c)
{
    struct row *row = c;

    for (size_t x = first; x < end; x++)
        atomic_fetch_add(&row->plane->at[row->y][x], 1);
    return NULL;
}

static vow_error *
mark_rows(size_t first, size_t end, void *c)
{
    for (size_t y = first; y < end; y++) {
        struct row row = {c, y};
        vow_future *f = vow_parallel_for(row.plane->pool, &VOW_RANGE_OPTIONS(.most = 3),
                                         0, 64, mark_row, vow_ptr(&row));
        const vow_error *e = vow_get(f).error;

        vow_unref(f);
        if (e != NULL)
            return vow_error_new(EDOM, "a row has failed");
    }
    return NULL;
}

VOW_CASE(loops_in_loops_on_any_number_of_threads)
{
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct plane plane = {.pool = pool_of(threads)};
        vow_future *f =
            vow_parallel_for(plane.pool, NULL, 0, 64, mark_rows, vow_ptr(&plane));

        assert_null(vow_get(f).error);
        for (size_t i = 0; i < 64 * 64; i++)
            assert_int_equal(plane.at[i / 64][i % 64], 1);
        vow_unref(f);
        pool_free(plane.pool);
    }
}

static vow_result
wait_for_a_loop(void *pool)
{
    vow_future *f = vow_parallel_for(pool, NULL, 0, 1000, mark, ctx());

    vow_get(f);
    assert_all(f, 1000);
    return vow_ok(VOW_NIL);
}

VOW_CASE(worker_that_waits_works_at_it_itself)
{
    vow_executor *pool = pool_of(1);
    vow_pool_stats stats = {.size = sizeof stats};
    vow_future *f;

    begin();
    f = vow_submit(pool, wait_for_a_loop, vow_ptr(pool));
    vow_get(f);
    vow_unref(f);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    assert_int_equal(vow_pool_read_stats(pool, &stats), 0);
    assert_int_equal(stats.spares, 0);
    assert_int_equal(stats.helped, 1);
    vow_executor_unref(pool);
}

/* ---- without memory ------------------------------------------------------------------------------------ */

static void
loop_some(enum counting_mode mode, bool with_token)
{
    vow_manual *m = vow_manual_new();
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);
    vow_token *given = with_token ? token : NULL;

    counting_each_failure(k, mode)
    {
        vow_future *f;

        begin();
        f = vow_parallel_for(vow_manual_executor(m),
                             &VOW_RANGE_OPTIONS(.width = 3, .token = given), 0, 100,
                             mark_alone, ctx());
        vow_manual_run(m);
        assert_int_equal(drop_count(&marks.ctx), 1);
        assert_int_equal(marked(100), f != NULL ? 100 : 0);
        assert_true(f != NULL || counting_failed());
        vow_unref(f);
        vow_unref(vow_parallel_for(NULL, NULL, 0, 0, mark, VOW_NIL));
        vow_ignore(vow_parallel_for(NULL, NULL, 1, 0, mark, VOW_NIL));
    }
    vow_token_unref(token);
    vow_source_unref(source);
    vow_manual_unref(m);
}

VOW_CASE(without_memory_it_does_all_or_nothing)
{
    loop_some(COUNTING_ONCE, false);
    loop_some(COUNTING_ONWARDS, false);
    loop_some(COUNTING_ONCE, true);
    loop_some(COUNTING_ONWARDS, true);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(inline_has_run_on_return),
        vow_test(empty_range_calls_nothing),
        vow_test(range_that_ends_before_it_begins_is_refused),
        vow_test(manual_does_a_piece_a_step_in_order),
        vow_test(others_have_their_turn_between_two_pieces),
        vow_test(several_lanes_share_what_there_is),
        vow_test(width_is_no_more_than_anybody_has),
        vow_test(pieces_are_as_long_as_asked_for),
        vow_test(range_may_end_at_the_greatest_index),
        vow_test(range_may_be_all_the_indices_there_are),
        vow_test(serial_and_loop_do_it_in_order),
        vow_test(pool_does_every_index_once),
        vow_test(ten_million_indices_on_a_pool),
        vow_test(memory_depends_on_the_width_alone),
        vow_test(options_of_an_older_program_are_read_as_far_as_they_go),
        vow_test(dropped_result_lets_the_loop_go_on),
        vow_test(first_error_stops_the_rest),
        vow_test(error_carries_the_index_and_is_the_callers),
        vow_test(error_at_an_index_beyond_all_numbers_carries_none),
        vow_test(error_on_a_pool_waits_for_the_calls_that_run),
        vow_test(call_whose_thread_exits_breaks_the_loop),
        vow_test(cancel_half_way_begins_no_more_calls),
        vow_test(token_stops_a_loop_and_its_call_sees_it),
        vow_test(token_that_has_fired_lets_nothing_begin),
        vow_test(cancelled_result_settles_when_the_last_call_has_returned),
        vow_test(lanes_that_are_accepted_do_it_all),
        vow_test(executor_that_takes_nothing_rejects_with_its_code),
        vow_test(second_turn_that_is_refused_ends_the_loop),
        vow_test(call_may_let_go_of_the_executor),
        vow_test(full_pool_takes_what_it_has_room_for),
        vow_test(close_that_cancels_ends_the_loop_half_way),
        vow_test(draining_executor_does_it_all),
        vow_test(loops_in_loops_on_any_number_of_threads),
        vow_test(worker_that_waits_works_at_it_itself),
        vow_test(without_memory_it_does_all_or_nothing),
    };

    return vow_test_run(cases);
}
