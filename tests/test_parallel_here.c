/* SPDX-License-Identifier: MIT */
/*
 * vow_parallel_for_here: each index once, by the caller and by whoever comes in time; the
 * first error, tokens, refusals, threads that exit; that nothing is waited for but calls.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <string.h>

#include "support/child.h"
#include "support/drops.h"
#include "support/pool_fixture.h"

enum { MOST = 4096 };

/* What the calls of a loop share. */
static struct {
    struct drop ctx;
    atomic_uchar at[MOST];
    atomic_size_t calls;
    size_t last; /* the end of the last one, where one runs at a time */
    bool in_order;
} marks;

static vow_value
begin(void)
{
    memset(&marks, 0, sizeof marks);
    marks.in_order = true;
    return drop_value(&marks.ctx);
}

static vow_error *
mark(size_t first, size_t end, void *ctx)
{
    if (ctx != &marks.ctx || drop_count(&marks.ctx) != 0 || first >= end)
        return vow_error_new(EDOM, "wrong call");
    atomic_fetch_add(&marks.calls, 1);
    for (size_t i = first; i < end; i++)
        atomic_fetch_add(&marks.at[i], 1);
    return NULL;
}

static vow_error *
mark_in_order(size_t first, size_t end, void *ctx)
{
    marks.in_order = marks.in_order && first == marks.last;
    marks.last = end;
    return mark(first, end, ctx);
}

/* Of the first n indices that many have been done; none twice. */
static size_t
marked(size_t n)
{
    size_t done = 0;

    assert_int_equal(drop_count(&marks.ctx), 1);
    for (size_t i = 0; i < n; i++) {
        assert_true(marks.at[i] <= 1);
        done += marks.at[i];
    }
    return done;
}

static void
assert_failed(vow_error *e, int code, int64_t index)
{
    assert_int_equal(vow_error_code(e), code);
    assert_int_equal(vow_error_index(e), index);
    assert_int_equal(drop_count(&marks.ctx), 1);
    vow_error_unref(e);
}

/* ---- every index once ------------------------------------------------------------------------ */

static const size_t sizes[] = {0, 1, 2, 3, 31, 32, 33, 64, 65, 1000, 4095};

VOW_CASE(caller_alone_does_it_in_order)
{
    vow_manual *m = vow_manual_new();
    vow_executor *pool = pool_of(1);
    vow_executor *on[] = {NULL, vow_inline(), vow_manual_executor(m), pool};

    for (size_t k = 0; k < sizeof on / sizeof on[0]; k++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            assert_null(
                vow_parallel_for_here(on[k], NULL, 0, sizes[i], mark_in_order, begin()));
            assert_int_equal(marked(sizes[i]), sizes[i]);
            assert_true(marks.in_order);
        }
    assert_false(vow_manual_step(m)); /* nothing was posted there */
    pool_free(pool);
    vow_manual_unref(m);
}

VOW_CASE(range_that_ends_before_it_begins_is_refused)
{
    assert_failed(vow_parallel_for_here(NULL, NULL, 8, 7, mark, begin()), VOW_E_INVALID,
                  -1);
    assert_int_equal(marks.calls, 0);
}

VOW_CASE(pool_and_caller_do_every_index_once)
{
    for (unsigned threads = 1; threads <= 4; threads++) {
        vow_executor *pool = pool_of(threads);

        for (int round = 0; round < 20; round++)
            for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                assert_null(vow_parallel_for_here(
                    pool, &VOW_RANGE_OPTIONS(.priority = (int)i % 5, .grain = i % 3), 0,
                    sizes[i], mark, begin()));
                assert_int_equal(marked(sizes[i]), sizes[i]);
            }
        pool_free(pool);
    }
}

/* ---- who takes part -------------------------------------------------------------------------- */

static struct {
    vow_manual *manual;
    vow_source *stop;
    bool stepped;
} stage;

static atomic_int inside, most_inside;

/* The caller has the other lane run inside its first call; that makes the calls left. */
static vow_error *
step_other(size_t first, size_t end, void *ctx)
{
    if (!stage.stepped) {
        stage.stepped = true;
        assert_true(vow_manual_step(stage.manual));
        assert_true(marks.calls > 0);
    }
    return mark(first, end, ctx);
}

VOW_CASE(lane_is_there_before_the_first_call_and_takes_what_is_left)
{
    stage.manual = vow_manual_new();
    stage.stepped = false;
    assert_null(vow_parallel_for_here(vow_manual_executor(stage.manual),
                                      &VOW_RANGE_OPTIONS(.width = 2), 0, 1000, step_other,
                                      begin()));
    assert_int_equal(marked(1000), 1000);
    assert_false(vow_manual_step(stage.manual));
    vow_manual_unref(stage.manual);
}

/* Its own, so that nothing is known of it. */
static vow_error *
mark_unknown(size_t first, size_t end, void *ctx)
{
    return mark(first, end, ctx);
}

VOW_CASE(lane_that_has_not_begun_is_not_waited_for)
{
    vow_manual *m = vow_manual_new();

    assert_null(vow_parallel_for_here(vow_manual_executor(m),
                                      &VOW_RANGE_OPTIONS(.width = 3), 0, 1000,
                                      mark_unknown, begin()));
    assert_int_equal(marked(1000), 1000);
    vow_manual_run(m); /* whatever is in its queue does nothing */
    vow_manual_unref(m);
}

static void
spin_for(vow_ns time)
{
    vow_ns end = vow_clock_now(NULL) + time;

    while (vow_clock_now(NULL) < end)
        continue;
}

static vow_error *
mark_slowly_at_last(size_t first, size_t end, void *ctx)
{
    if (stage.manual != NULL && marks.calls > 0 && !stage.stepped)
        stage.stepped = vow_manual_step(stage.manual);
    if (stage.manual != NULL)
        spin_for(vow_us(20));
    return mark(first, end, ctx);
}

/* Whether the lane was asked for at once or after the first call, by the second it is there. */
VOW_CASE(loop_that_lasts_is_shared_although_the_last_ones_were_brief)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);

    stage.manual = NULL;
    stage.stepped = false;
    for (int i = 0; i < 100; i++)
        assert_null(vow_parallel_for_here(on, &VOW_RANGE_OPTIONS(.width = 2), 0, 8,
                                          mark_slowly_at_last, begin()));
    vow_manual_run(m);
    stage.manual = m;
    assert_null(vow_parallel_for_here(on, &VOW_RANGE_OPTIONS(.width = 2), 0, 1000,
                                      mark_slowly_at_last, begin()));
    assert_true(stage.stepped);
    assert_int_equal(marked(1000), 1000);
    vow_manual_unref(m);
}

/* Short at first; and whether the other lane was asked for by then. */
static vow_error *
mark_growing(size_t first, size_t end, void *ctx)
{
    if (first == 0 && stage.manual != NULL)
        stage.stepped = vow_manual_step(stage.manual);
    if (end == 3)
        spin_for(vow_us(20));
    return mark(first, end, ctx);
}

/* Even if what took long was one call, the last. */
VOW_CASE(loop_that_lasted_is_remembered)
{
    vow_manual *m = vow_manual_new();
    const vow_range_options opt = VOW_RANGE_OPTIONS(.width = 2);

    stage.manual = NULL;
    stage.stepped = false;
    for (size_t i = 0; i <= 100; i++)
        assert_null(vow_parallel_for_here(vow_manual_executor(m), &opt, 0,
                                          i < 100 ? 2 : 3, mark_growing, begin()));
    vow_manual_run(m);
    stage.manual = m;
    assert_null(
        vow_parallel_for_here(vow_manual_executor(m), &opt, 0, 3, mark_growing, begin()));
    assert_true(stage.stepped);
    vow_manual_unref(m);
}

static vow_error *
count_inside(size_t first, size_t end, void *ctx)
{
    int now = atomic_fetch_add(&inside, 1) + 1, most = most_inside;

    while (now > most && !atomic_compare_exchange_weak(&most_inside, &most, now))
        continue;
    spin_for(vow_us(50));
    atomic_fetch_sub(&inside, 1);
    return mark(first, end, ctx);
}

VOW_CASE(width_counts_the_caller)
{
    vow_executor *pool = pool_of(4);

    for (unsigned width = 0; width <= 5; width++) {
        inside = most_inside = 0;
        assert_null(vow_parallel_for_here(pool, &VOW_RANGE_OPTIONS(.width = width), 0,
                                          100, count_inside, begin()));
        assert_int_equal(marked(100), 100);
        assert_true(most_inside <= (int)(width != 0 ? width : 4));
    }
    pool_free(pool);
}

static atomic_int in_call, may_return;

static vow_result
keep_busy(void *flag)
{
    atomic_fetch_add(&in_call, 1);
    await_flag(flag, 1);
    return vow_ok(VOW_NIL);
}

VOW_CASE(pool_that_is_busy_is_not_waited_for)
{
    static const vow_when_full modes[] = {VOW_FULL_BLOCK, VOW_FULL_REJECT, VOW_FULL_RUN};

    for (size_t i = 0; i < 3; i++) {
        vow_executor *pool = vow_pool_new(
            &VOW_POOL_OPTIONS(.threads = 2, .queue_limit = 1, .when_full = modes[i]));
        vow_future *busy[2];

        in_call = may_return = 0;
        for (int k = 0; k < 2; k++) {
            busy[k] = vow_submit(pool, keep_busy, vow_ptr(&may_return));
            await_flag(&in_call, k + 1);
        }
        for (int k = 0; k < 3; k++) { /* the first one fills the queue */
            assert_null(vow_parallel_for_here(pool, &VOW_RANGE_OPTIONS(.width = 4), 0,
                                              1000, mark, begin()));
            assert_int_equal(marked(1000), 1000);
        }
        may_return = 1;
        vow_get(busy[0]);
        vow_get(busy[1]);
        vow_unref(busy[0]);
        vow_unref(busy[1]);
        pool_free(pool);
    }
}

/* Lasts: the next one is not brief. */
static vow_error *
mark_slowly(size_t first, size_t end, void *ctx)
{
    spin_for(vow_us(20));
    return mark(first, end, ctx);
}

static void
loop_slowly(vow_executor *on, int times)
{
    for (int i = 0; i < times; i++) {
        assert_null(vow_parallel_for_here(on, &VOW_RANGE_OPTIONS(.width = 3), 0, 3,
                                          mark_slowly, begin()));
        assert_int_equal(marked(3), 3);
    }
}

VOW_CASE(loops_that_nobody_comes_to_leave_few_tasks)
{
    vow_manual *m = vow_manual_new();

    for (int i = 0; i < 3; i++) {
        loop_slowly(vow_manual_executor(m), 100);
        assert_int_equal(vow_manual_run(m), 4); /* of two loops */
    }
    vow_manual_unref(m);
}

/* By its second call at the latest the way is free. */
static vow_error *
make_way(size_t first, size_t end, void *ctx)
{
    if (!stage.stepped) {
        stage.stepped = true;
        assert_int_equal(vow_manual_run(stage.manual), 4);
    }
    return mark_slowly(first, end, ctx);
}

VOW_CASE(loop_asks_as_soon_as_the_queue_has_moved)
{
    vow_manual *m = vow_manual_new();

    loop_slowly(vow_manual_executor(m), 5);
    stage.manual = m;
    stage.stepped = false;
    assert_null(vow_parallel_for_here(vow_manual_executor(m),
                                      &VOW_RANGE_OPTIONS(.width = 3), 0, 10, make_way,
                                      begin()));
    assert_int_equal(marked(10), 10);
    assert_int_equal(vow_manual_run(m), 2);
    vow_manual_unref(m);
}

static vow_result
nothing(void *ctx)
{
    return ctx == NULL ? vow_ok(VOW_NIL) : vow_err(NULL);
}

/* How many of eight tasks that wait in a full queue are dropped by a hundred loops, and
 * how many new ones find no room after these. */
static int
dropped_by_loops(vow_when_full when_full)
{
    vow_executor *pool = vow_pool_new(
        &VOW_POOL_OPTIONS(.threads = 1, .queue_limit = 12, .when_full = when_full));
    vow_future *f[16];
    struct gate gate;
    int dropped = 0;

    shut(&gate, pool);
    for (int i = 0; i < 16; i++) {
        if (i == 8)
            loop_slowly(pool, 100);
        f[i] = vow_submit(pool, nothing, VOW_NIL);
    }
    open_gate(&gate);
    for (int i = 0; i < 16; i++) {
        dropped += code_of(f[i]) == VOW_E_LIMIT;
        vow_unref(f[i]);
    }
    pool_free(pool);
    return dropped;
}

/* Four places are taken by what the loops leave. */
VOW_CASE(loops_take_few_places_in_a_bounded_queue)
{
    assert_int_equal(dropped_by_loops(VOW_FULL_REJECT), 8);
    assert_int_equal(dropped_by_loops(VOW_FULL_DROP_OLDEST), 8);
}

VOW_CASE(closed_pool_leaves_it_to_the_caller)
{
    vow_executor *pool = pool_of(2);

    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    assert_null(vow_parallel_for_here(pool, NULL, 0, 1000, mark, begin()));
    assert_int_equal(marked(1000), 1000);
    vow_executor_unref(pool);
}

static void
loop_alone(void *pool)
{
    assert_null(vow_parallel_for_here(pool, NULL, 0, 1000, mark_in_order, begin()));
    assert_int_equal(marked(1000), 1000);
    assert_true(marks.in_order);
}

static vow_result
loop_alone_in_a_task(void *pool)
{
    loop_alone(pool);
    return vow_ok(VOW_NIL);
}

VOW_CASE(caller_does_it_all_where_waiting_is_refused)
{
    vow_executor *pool = pool_of(4);
    vow_loop *l = vow_loop_new(NULL);
    vow_future *f = vow_submit(vow_loop_executor(l), loop_alone_in_a_task, vow_ptr(pool));

    assert_int_equal(vow_loop_run_until(l, f), 0);
    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    vow_defer_begin();
    loop_alone(pool);
    vow_defer_end();
    vow_loop_unref(l);
    pool_free(pool);
}

/* ---- on a pool's own thread -------------------------------------------------------------------- */

static struct plane {
    vow_executor *pool;
    atomic_uchar at[64][64];
} plane;

static vow_error *
mark_cells(size_t first, size_t end, void *row)
{
    for (size_t i = first; i < end; i++)
        atomic_fetch_add(&((atomic_uchar *)row)[i], 1);
    return NULL;
}

static vow_error *
mark_rows(size_t first, size_t end, void *p)
{
    for (size_t i = first; i < end; i++) {
        vow_error *e = vow_parallel_for_here(plane.pool, NULL, 0, 64, mark_cells,
                                             vow_ptr(&plane.at[i]));

        if (e != NULL)
            return e;
    }
    return p == &plane ? NULL : vow_error_new(EDOM, "wrong call");
}

static vow_result
loop_over_rows(void *p)
{
    vow_error *e = vow_parallel_for_here(plane.pool, NULL, 0, 64, mark_rows, vow_ptr(p));

    return e != NULL ? vow_err(e) : vow_ok(VOW_NIL);
}

VOW_CASE(loops_in_loops_on_any_number_of_threads)
{
    for (unsigned threads = 1; threads <= 4; threads++) {
        vow_future *f;

        memset(&plane, 0, sizeof plane);
        plane.pool = pool_of(threads);
        assert_null(
            vow_parallel_for_here(plane.pool, NULL, 0, 64, mark_rows, vow_ptr(&plane)));
        f = vow_submit(plane.pool, loop_over_rows, vow_ptr(&plane));
        assert_int_equal(code_of(f), 0);
        for (size_t i = 0; i < 64 * 64; i++)
            assert_int_equal(plane.at[i / 64][i % 64], 2);
        vow_unref(f);
        pool_free(plane.pool);
    }
}

static vow_error *
last_slowly(size_t first, size_t end, void *ctx)
{
    if (marks.calls == 0)
        spin_for(vow_us(20)); /* so that none of these loops is brief */
    return mark(first, end, ctx);
}

static vow_result
loop_a_thousand_times(void *pool)
{
    for (int i = 0; i < 1000; i++) {
        assert_null(vow_parallel_for_here(pool, &VOW_RANGE_OPTIONS(.width = 3), 0, 4,
                                          last_slowly, begin()));
        assert_int_equal(marked(4), 4);
    }
    return vow_ok(VOW_NIL);
}

/* Each task that was revoked has left the deque by then: nothing is left to be run. */
VOW_CASE(lanes_that_a_worker_revokes_leave_nothing_behind)
{
    vow_executor *pool = pool_of(1);
    vow_pool_stats stats = {.size = sizeof stats};
    vow_future *f = vow_submit(pool, loop_a_thousand_times, vow_ptr(pool));

    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    assert_int_equal(vow_pool_read_stats(pool, &stats), 0);
    assert_int_equal(stats.helped, 2000);
    assert_int_equal(stats.spares, 0);
    vow_executor_unref(pool);
}

/* ---- errors -------------------------------------------------------------------------------------- */

static size_t fails_at; /* an index */

static vow_error *
fail_there(size_t first, size_t end, void *ctx)
{
    vow_error *e = mark(first, end, ctx);

    if (e == NULL && first <= fails_at && fails_at < end)
        e = vow_error_new(EIO, "index %zu", fails_at);
    return e;
}

VOW_CASE(error_of_the_callers_stops_it)
{
    fails_at = 45;
    assert_failed(vow_parallel_for_here(NULL, &VOW_RANGE_OPTIONS(.grain = 10, .most = 10),
                                        0, 1000, fail_there, begin()),
                  EIO, 40);
    assert_int_equal(marked(1000), 50);
}

VOW_CASE(error_on_a_pool_is_the_first_and_waits_for_the_calls_that_run)
{
    vow_executor *pool = pool_of(3);

    for (size_t round = 0; round < 50; round++) {
        vow_error *e;

        fails_at = round * 20;
        e = vow_parallel_for_here(pool, &VOW_RANGE_OPTIONS(.most = 5), 0, 1000,
                                  fail_there, begin());
        assert_int_equal(vow_error_code(e), EIO);
        assert_true((size_t)vow_error_index(e) <= fails_at);
        marked(1000);
        vow_error_unref(e);
    }
    pool_free(pool);
}

/* The other lane fails while the caller's first call runs, and that sees it. */
static vow_error *
fail_in_other(size_t first, size_t end, void *ctx)
{
    vow_error *e = mark(first, end, ctx);

    if (stage.stepped)
        return vow_error_new(EIO, "the other");
    stage.stepped = true;
    assert_false(vow_cancelled());
    assert_true(vow_manual_step(stage.manual));
    assert_true(vow_cancelled());
    return e;
}

VOW_CASE(call_sees_that_another_one_failed)
{
    vow_error *e;

    stage.manual = vow_manual_new();
    stage.stepped = false;
    e = vow_parallel_for_here(vow_manual_executor(stage.manual),
                              &VOW_RANGE_OPTIONS(.width = 2), 0, 1000, fail_in_other,
                              begin());
    assert_string_equal(vow_error_message(e), "the other");
    assert_int_equal(marks.calls, 2);
    assert_failed(e, EIO, 500);
    vow_manual_unref(stage.manual);
}

static vow_error *
exit_there(size_t first, size_t end, void *ctx)
{
    vow_error *e = mark(first, end, ctx);

    if (first <= fails_at && fails_at < end)
        pthread_exit(NULL);
    return e;
}

static void *
loop_and_exit(void *pool)
{
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);

    vow_source_unref(source);
    pthread_cleanup_push((void (*)(void *))vow_token_unref, token);
    vow_error_unref(vow_parallel_for_here(
        pool, &VOW_RANGE_OPTIONS(.most = 5, .token = fails_at % 2 ? token : NULL), 0,
        1000, exit_there, begin()));
    pthread_cleanup_pop(1);
    return pool;
}

/* Either the caller's thread exits, or one of the pool's, and the caller returns. */
VOW_CASE(thread_that_exits_in_a_call_leaves_nothing)
{
    vow_executor *pool = pool_of(2);

    for (fails_at = 0; fails_at < 1000; fails_at += 99) {
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, loop_and_exit, pool), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        marked(1000);
    }
    pool_free(pool);
}

static vow_result
loop_in_a_task(void *pool)
{
    vow_error *e = vow_parallel_for_here(pool, &VOW_RANGE_OPTIONS(.most = 5), 0, 1000,
                                         exit_there, begin());

    return vow_err(e);
}

VOW_CASE(task_whose_call_exits_is_broken)
{
    vow_executor *pool = pool_of(2);

    for (fails_at = 0; fails_at < 1000; fails_at += 199) {
        vow_future *f = vow_submit(pool, loop_in_a_task, vow_ptr(pool));

        assert_int_equal(code_of(f), VOW_E_BROKEN);
        marked(1000);
        vow_unref(f);
    }
    pool_free(pool);
}

/* ---- waiting for the others ------------------------------------------------------------------- */

static bool lane_exits;

/* Another lane's call returns, or its thread exits, when somebody says that the caller waits;
 * whose own call is over by then. */
static vow_error *
stay_in_other(size_t first, size_t end, void *ctx)
{
    vow_error *e = mark(first, end, ctx);

    if (first == 0) {
        await_flag(&in_call, 1);
        return e;
    }
    in_call = 1;
    await_flag(&may_return, 1);
    if (lane_exits)
        pthread_exit(NULL);
    return e;
}

static vow_error *
loop_of_two(vow_executor *pool, vow_range_fn *fn)
{
    in_call = may_return = 0;
    return vow_parallel_for_here(pool, &VOW_RANGE_OPTIONS(.width = 2), 0, 2, fn, begin());
}

/* An executor whose threads may wait, or are told not to. */
static int wait_code;

static int
refuse_post(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    return VOW_E_CLOSED;
}

static bool
is_always_current(vow_executor *self)
{
    (void)self;
    return true;
}

static int
tell_of_wait(vow_executor *self)
{
    (void)self;
    may_return = 1;
    return wait_code;
}

static const vow_executor_ops strict_ops = {.size = sizeof strict_ops,
                                            .name = "strict",
                                            .post = refuse_post,
                                            .is_current = is_always_current,
                                            .block_begin = tell_of_wait};
static vow_executor strict = {.ops = &strict_ops};

static vow_error *
loop_on_strict(int code, bool exits)
{
    vow_executor *pool = pool_of(1), *outer = vow_executor_enter(&strict);
    vow_error *e;

    wait_code = code;
    lane_exits = exits;
    e = loop_of_two(pool, stay_in_other);
    vow_executor_enter(outer);
    assert_int_equal(marked(2), 2);
    pool_free(pool);
    return e;
}

VOW_CASE(calls_are_waited_for_also_where_that_is_refused)
{
    assert_null(loop_on_strict(0, false));
    assert_null(loop_on_strict(VOW_E_DEADLOCK, false));
}

VOW_CASE(thread_that_exits_while_the_caller_waits_breaks_the_loop)
{
    assert_failed(loop_on_strict(0, true), VOW_E_BROKEN, 1);
    assert_failed(loop_on_strict(VOW_E_DEADLOCK, true), VOW_E_BROKEN, 1);
}

static vow_promise *to_step;

static vow_error *
queue_step(size_t first, size_t end, void *ctx)
{
    vow_error *e = stay_in_other(first, end, ctx);

    if (first == 0)
        vow_promise_fulfill(to_step, VOW_NIL);
    return e;
}

/* It has waited for its turn until the caller waits. */
static vow_result
exit_in_step(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    assert_int_equal(may_return, 0);
    may_return = 1;
    pthread_exit(NULL);
}

static vow_result
loop_whose_step_exits(void *pool)
{
    vow_error *e = loop_of_two(pool, queue_step);

    return e == NULL ? vow_ok(VOW_NIL) : vow_err(e); /* nor is this reached */
}

/* Submits a loop of n indices, in which the step that to_step has exits the thread. */
static void
assert_exits_in_step(unsigned threads, vow_task_fn *loop, size_t n)
{
    vow_executor *pool = pool_of(threads);
    vow_future *step, *f;

    to_step = vow_promise_new();
    step = vow_then(vow_promise_future(to_step), NULL, exit_in_step, VOW_NIL);
    f = vow_submit(pool, loop, vow_ptr(pool));
    assert_int_equal(code_of(f), VOW_E_BROKEN);
    assert_int_equal(code_of(step), VOW_E_BROKEN);
    assert_int_equal(marked(n), n);
    vow_unref(f);
    vow_unref(step);
    vow_promise_unref(to_step);
    pool_free(pool);
}

VOW_CASE(callers_thread_that_exits_in_its_wait_waits_on)
{
    lane_exits = false;
    assert_exits_in_step(2, loop_whose_step_exits, 2);
}

static vow_error *
queue_step_at_last(size_t first, size_t end, void *ctx)
{
    vow_error *e = mark(first, end, ctx);

    if (marks.calls == 3)
        vow_promise_fulfill(to_step, VOW_NIL);
    return e;
}

static vow_result
loop_that_revokes(void *pool)
{
    vow_error *e = vow_parallel_for_here(pool, &VOW_RANGE_OPTIONS(.width = 3), 0, 3,
                                         queue_step_at_last, begin());

    return e == NULL ? vow_ok(VOW_NIL) : vow_err(e); /* nor is this reached */
}

/* The step's turn comes when the first of two lanes has been revoked. */
VOW_CASE(callers_thread_that_exits_as_it_revokes_goes_on_with_that)
{
    may_return = 0;
    assert_exits_in_step(1, loop_that_revokes, 3);
}

/* ---- cancelling ------------------------------------------------------------------------------------ */

/* At its third call it has the loop stopped, which the call sees. */
static vow_error *
cancel_at_third(size_t first, size_t end, void *ctx)
{
    bool third = marks.calls == 2;

    if (third) {
        assert_false(vow_cancelled());
        vow_source_cancel(stage.stop, vow_error_new(EINTR, "enough"));
        assert_true(vow_cancelled());
    }
    return mark(first, end, ctx);
}

VOW_CASE(token_stops_it_and_its_call_sees_it)
{
    vow_manual *m = vow_manual_new();

    for (unsigned width = 0; width <= 3; width++) {
        vow_token *token;
        vow_error *e;

        stage.stop = vow_source_new();
        token = vow_source_token(stage.stop);
        e = vow_parallel_for_here(vow_manual_executor(m),
                                  &VOW_RANGE_OPTIONS(.width = width, .token = token), 0,
                                  1000, cancel_at_third, begin());
        assert_int_equal(marks.calls, 3);
        assert_true(vow_error_is(e, EINTR));
        assert_failed(e, VOW_E_CANCELLED, -1);
        assert_failed(vow_parallel_for_here(vow_manual_executor(m),
                                            &VOW_RANGE_OPTIONS(.token = token), 0, 10,
                                            mark, begin()),
                      VOW_E_CANCELLED, -1);
        assert_int_equal(marks.calls, 0);
        vow_token_unref(token);
        vow_source_unref(stage.stop);
    }
    vow_manual_run(m);
    vow_manual_unref(m);
}

VOW_CASE(token_that_fires_in_the_last_call_is_too_late)
{
    vow_token *token;

    stage.stop = vow_source_new();
    token = vow_source_token(stage.stop);
    assert_null(vow_parallel_for_here(NULL, &VOW_RANGE_OPTIONS(.token = token), 0, 3,
                                      cancel_at_third, begin()));
    assert_int_equal(marked(3), 3);
    vow_token_unref(token);
    vow_source_unref(stage.stop);
}

struct asked {
    vow_manual *manual;
    vow_future *f;
    vow_token *token;
    unsigned width;
    vow_error *error;
};

static struct asked asked;

/* On either lane: the request is to the task that made the loop. */
static vow_error *
ask_task(size_t first, size_t end, void *ctx)
{
    if (asked.width == 2 && !stage.stepped) {
        stage.stepped = true;
        assert_true(vow_manual_step(stage.manual));
    }
    vow_future_cancel(asked.f, vow_error_new(EINTR, "enough"));
    assert_true(vow_cancelled());
    return mark(first, end, ctx);
}

static vow_result
loop_that_is_asked(void *ctx)
{
    await_flag(&may_return, 1);
    asked.error = vow_parallel_for_here(
        vow_manual_executor(stage.manual),
        &VOW_RANGE_OPTIONS(.width = asked.width, .token = asked.token), 0, 1000, ask_task,
        begin());
    return ctx != NULL ? vow_ok(VOW_NIL) : vow_err(NULL);
}

VOW_CASE(request_to_the_callers_task_stops_it)
{
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);
    vow_executor *pool = pool_of(1);

    for (unsigned i = 0; i < 4; i++) {
        stage.manual = vow_manual_new();
        stage.stepped = false;
        asked.width = 1 + i % 2;
        asked.token = i < 2 ? NULL : token;
        may_return = 0;
        asked.f = vow_submit(pool, loop_that_is_asked, vow_ptr(pool));
        may_return = 1;
        vow_get(asked.f);
        assert_true(vow_error_is(asked.error, EINTR));
        assert_int_equal(marks.calls, asked.width);
        assert_failed(asked.error, VOW_E_CANCELLED, -1);
        vow_unref(asked.f);
        vow_manual_unref(stage.manual);
    }
    pool_free(pool);
    vow_token_unref(token);
    vow_source_unref(source);
}

/* ---- fork ------------------------------------------------------------------------------------------ */

static pid_t child;

static vow_error *
fork_once(size_t first, size_t end, void *ctx)
{
    if (!stage.stepped) {
        stage.stepped = true;
        (void)in_child(&child);
    }
    return mark(first, end, ctx);
}

/* Nobody else has begun: the child does it all as well. */
VOW_CASE(child_goes_on_by_itself)
{
    stage.manual = vow_manual_new();
    stage.stepped = false;
    assert_null(vow_parallel_for_here(vow_manual_executor(stage.manual),
                                      &VOW_RANGE_OPTIONS(.width = 2), 0, 1000, fork_once,
                                      begin()));
    if (child == 0) {
        require(marks.calls > 0 && marked(1000) == 1000);
        leave(0);
    }
    assert_child_was_fine(child);
    assert_int_equal(marked(1000), 1000);
    vow_manual_unref(stage.manual);
}

/* What lies in the parent's queue is none of the child's. */
VOW_CASE(child_asks_a_revived_executor)
{
    vow_manual *m = vow_manual_new();

    loop_slowly(vow_manual_executor(m), 3);
    if (in_child(&child)) {
        require(vow_executor_revive(vow_manual_executor(m)) == 0);
        loop_slowly(vow_manual_executor(m), 1);
        require(vow_manual_run(m) == 2);
        leave(0);
    }
    assert_child_was_fine(child);
    assert_int_equal(vow_manual_run(m), 4);
    vow_manual_unref(m);
}

/* The caller's first call forks while another one runs, which the child has not. */
static vow_error *
fork_beside(size_t first, size_t end, void *ctx)
{
    if (first != 0) {
        atomic_store(&in_call, 1);
        await_flag(&may_return, 1);
        return mark(first, end, ctx);
    }
    await_flag(&in_call, 1);
    (void)in_child(&child);
    may_return = 1;
    return mark(first, end, ctx);
}

VOW_CASE(child_has_not_what_others_were_doing)
{
    vow_executor *pool = pool_of(2);
    vow_error *e;

    in_call = may_return = 0;
    e = vow_parallel_for_here(pool, NULL, 0, 100, fork_beside, begin());
    if (child == 0) {
        require(vow_error_code(e) == VOW_E_FORKED && drop_count(&marks.ctx) == 1);
        leave(0);
    }
    assert_null(e);
    assert_child_was_fine(child);
    assert_int_equal(marked(100), 100);
    pool_free(pool);
}

/* ---- without memory ---------------------------------------------------------------------------------- */

static vow_error *
fail_at_last(size_t first, size_t end, void *ctx)
{
    vow_error *e = mark(first, end, ctx);

    return end == 100 ? vow_error_of(VOW_E_LIMIT) : e;
}

static vow_error *
mark_without(size_t first, size_t end, void *ctx)
{
    return mark(first, end, ctx);
}

static void
loop_without(enum counting_mode mode, vow_token *token)
{
    vow_manual *m = vow_manual_new();
    const vow_range_options opt = VOW_RANGE_OPTIONS(.width = 3, .token = token);

    counting_each_failure(k, mode)
    {
        vow_error *e;

        assert_null(vow_parallel_for_here(vow_manual_executor(m), &opt, 0, 100,
                                          mark_without, begin()));
        assert_int_equal(marked(100), 100);
        e = vow_parallel_for_here(vow_manual_executor(m), &opt, 0, 100, fail_at_last,
                                  begin());
        assert_int_equal(vow_error_code(e), VOW_E_LIMIT);
        assert_int_equal(drop_count(&marks.ctx), 1);
        vow_error_unref(e);
        vow_manual_run(m);
    }
    vow_manual_unref(m);
}

VOW_CASE(without_memory_the_caller_does_it_all)
{
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);

    loop_without(COUNTING_ONCE, NULL);
    loop_without(COUNTING_ONWARDS, NULL);
    loop_without(COUNTING_ONCE, token);
    loop_without(COUNTING_ONWARDS, token);
    vow_token_unref(token);
    vow_source_unref(source);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(caller_alone_does_it_in_order),
        vow_test(range_that_ends_before_it_begins_is_refused),
        vow_test(pool_and_caller_do_every_index_once),
        vow_test(lane_is_there_before_the_first_call_and_takes_what_is_left),
        vow_test(lane_that_has_not_begun_is_not_waited_for),
        vow_test(loop_that_lasts_is_shared_although_the_last_ones_were_brief),
        vow_test(loop_that_lasted_is_remembered),
        vow_test(width_counts_the_caller),
        vow_test(pool_that_is_busy_is_not_waited_for),
        vow_test(loops_that_nobody_comes_to_leave_few_tasks),
        vow_test(loop_asks_as_soon_as_the_queue_has_moved),
        vow_test(loops_take_few_places_in_a_bounded_queue),
        vow_test(closed_pool_leaves_it_to_the_caller),
        vow_test(caller_does_it_all_where_waiting_is_refused),
        vow_test(loops_in_loops_on_any_number_of_threads),
        vow_test(lanes_that_a_worker_revokes_leave_nothing_behind),
        vow_test(error_of_the_callers_stops_it),
        vow_test(error_on_a_pool_is_the_first_and_waits_for_the_calls_that_run),
        vow_test(call_sees_that_another_one_failed),
        vow_test(thread_that_exits_in_a_call_leaves_nothing),
        vow_test(task_whose_call_exits_is_broken),
        vow_test(calls_are_waited_for_also_where_that_is_refused),
        vow_test(thread_that_exits_while_the_caller_waits_breaks_the_loop),
        vow_test(callers_thread_that_exits_in_its_wait_waits_on),
        vow_test(callers_thread_that_exits_as_it_revokes_goes_on_with_that),
        vow_test(token_stops_it_and_its_call_sees_it),
        vow_test(token_that_fires_in_the_last_call_is_too_late),
        vow_test(request_to_the_callers_task_stops_it),
        vow_test(child_goes_on_by_itself),
        vow_test(child_asks_a_revived_executor),
        vow_test(child_has_not_what_others_were_doing),
        vow_test(without_memory_the_caller_does_it_all),
    };

    parent = getpid();
    return vow_test_run(cases);
}
