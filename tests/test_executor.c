/* SPDX-License-Identifier: MIT */
/*
 * An executor that a user wrote, through the public interface alone: a queue that the
 * test steps. What the library asks of it and does for it: references, closing,
 * joining, waiting on its threads, clocks, refusals.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <string.h>

#include "support/drops.h"

/* A queue of tasks, stepped by hand. */
struct lane {
    vow_executor base;
    vow_task *first;
    vow_task **last;
    size_t queued;
    size_t room; /* how many it takes at once; then VOW_E_LIMIT */
    bool closed;
    int running;   /* tasks that run now, one inside the other's wait */
    bool finishes; /* says that it is finished as soon as it is */
    vow_clock *clock;
    int block_answer;     /* what block_begin says */
    vow_promise *answers; /* what it settles, once */
    vow_future *waits;    /* for what it waits a little, once */
    vow_task *asked_to_help;
    /* How often each operation was called. */
    int posts, closes, joins, destroys, block_begins, block_ends, helps;
    vow_close_mode mode; /* of the last close */
};

static struct lane *
lane_of(vow_executor *self)
{
    return (struct lane *)(void *)self;
}

static int
lane_post(vow_executor *self, vow_task *task)
{
    struct lane *l = lane_of(self);

    l->posts++;
    if (l->closed)
        return VOW_E_CLOSED;
    if (l->queued == l->room)
        return VOW_E_LIMIT;
    task->next = NULL;
    *l->last = task;
    l->last = &task->next;
    l->queued++;
    return 0;
}

static vow_task *
lane_pop(struct lane *l)
{
    vow_task *task = l->first;

    if (task == NULL)
        return NULL;
    l->first = task->next;
    if (l->first == NULL)
        l->last = &l->first;
    l->queued--;
    return task;
}

static void
lane_finish_if_idle(struct lane *l)
{
    if (l->closed && l->finishes && l->first == NULL && l->running == 0)
        vow_executor_finished(&l->base);
}

static bool
lane_step(struct lane *l)
{
    vow_task *task = lane_pop(l);
    vow_executor *before;

    if (task == NULL)
        return false;
    before = vow_executor_enter(&l->base);
    l->running++;
    task->run(task, 0);
    l->running--;
    vow_executor_enter(before);
    lane_finish_if_idle(l);
    return true;
}

static size_t
lane_run(struct lane *l)
{
    size_t ran = 0;

    while (lane_step(l))
        ran++;
    return ran;
}

static bool
lane_is_current(vow_executor *self)
{
    return vow_executor_current() == self;
}

static vow_clock *
lane_clock(vow_executor *self)
{
    return lane_of(self)->clock;
}

static bool
lane_help(vow_executor *self, vow_task *awaited)
{
    struct lane *l = lane_of(self);

    l->helps++;
    l->asked_to_help = awaited;
    return lane_step(l);
}

static int
lane_block_begin(vow_executor *self)
{
    struct lane *l = lane_of(self);

    l->block_begins++;
    if (l->answers != NULL)
        vow_promise_fulfill(l->answers, VOW_NIL);
    l->answers = NULL;
    if (l->waits != NULL) {
        vow_future *f = l->waits;

        l->waits = NULL;
        vow_wait(f, vow_ms(1));
    }
    return l->block_answer;
}

static void
lane_block_end(vow_executor *self)
{
    lane_of(self)->block_ends++;
}

static void
lane_close(vow_executor *self, vow_close_mode mode)
{
    struct lane *l = lane_of(self);
    vow_task *task;

    l->closes++;
    l->mode = mode;
    l->closed = true;
    while (mode == VOW_CANCEL_QUEUED && (task = lane_pop(l)) != NULL)
        task->run(task, VOW_E_CLOSED);
    lane_finish_if_idle(l);
}

static void
lane_join(vow_executor *self)
{
    lane_of(self)->joins++;
}

static void
lane_destroy(vow_executor *self)
{
    lane_of(self)->destroys++;
}

static const vow_executor_ops post_only = {
    .size = sizeof(vow_executor_ops), .name = "lane", .post = lane_post};

static const vow_executor_ops plain_ops = {.size = sizeof(vow_executor_ops),
                                           .name = "lane",
                                           .post = lane_post,
                                           .close = lane_close,
                                           .join = lane_join,
                                           .destroy = lane_destroy};

static const vow_executor_ops forbidding_ops = {.size = sizeof(vow_executor_ops),
                                                .name = "lane",
                                                .post = lane_post,
                                                .is_current = lane_is_current,
                                                .close = lane_close,
                                                .join = lane_join,
                                                .destroy = lane_destroy};

static const vow_executor_ops full_ops = {.size = sizeof(vow_executor_ops),
                                          .name = "lane",
                                          .post = lane_post,
                                          .is_current = lane_is_current,
                                          .clock = lane_clock,
                                          .help = lane_help,
                                          .block_begin = lane_block_begin,
                                          .block_end = lane_block_end,
                                          .close = lane_close,
                                          .join = lane_join,
                                          .destroy = lane_destroy};

static void
lane_init(struct lane *l, const vow_executor_ops *ops)
{
    memset(l, 0, sizeof *l);
    l->last = &l->first;
    l->room = SIZE_MAX;
    l->finishes = true;
    assert_int_equal(vow_executor_init(&l->base, ops), 0);
}

/* Lets go of a lane that must go with its last reference. */
static void
lane_free(struct lane *l)
{
    vow_executor_unref(&l->base);
    assert_int_equal(l->destroys, 1);
}

static vow_result
give_seven(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(7));
}

static vow_result
never_task(void *ctx)
{
    (void)ctx;
    fail_msg("a task ran that was refused or cancelled");
    return vow_ok(VOW_NIL);
}

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

static vow_result
never_handle(vow_view in, void *ctx)
{
    (void)in;
    return never_task(ctx);
}

/* Making one. */

VOW_CASE(init_without_post_is_invalid)
{
    static const vow_executor_ops none = {.size = sizeof(vow_executor_ops),
                                          .name = "nothing"};
    vow_executor e = {.ops = NULL};

    assert_int_equal(vow_executor_init(&e, &none), VOW_E_INVALID);
}

static vow_result
current_task(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_ptr(vow_executor_current()));
}

VOW_CASE(executor_with_post_alone_runs_tasks_and_steps)
{
    struct lane l;
    vow_future *f;
    vow_future *g;

    lane_init(&l, &post_only);
    f = vow_submit(&l.base, current_task, VOW_NIL);
    g = vow_then(vow_submit(&l.base, give_seven, VOW_NIL), &l.base, add_one, VOW_NIL);
    assert_int_equal(lane_run(&l), 3);

    assert_ptr_equal(vow_get(f).value.as.ptr, &l.base);
    assert_int_equal(vow_get(g).value.as.i64, 8);
    vow_unref(f);
    vow_unref(g);
    vow_executor_unref(&l.base);
}

VOW_CASE(executor_that_is_static_needs_no_init)
{
    static struct lane l = {.base = {.ops = &plain_ops}, .room = SIZE_MAX};
    vow_future *f;

    l.last = &l.first;
    assert_ptr_equal(vow_executor_ref(&l.base), &l.base);
    vow_executor_unref(&l.base);
    vow_executor_unref(&l.base);
    f = vow_then(vow_submit(&l.base, give_seven, VOW_NIL), &l.base, add_one, VOW_NIL);
    assert_int_equal(lane_run(&l), 2);

    assert_int_equal(vow_get(f).value.as.i64, 8);
    assert_int_equal(l.closes, 0);
    assert_int_equal(l.destroys, 0);
    vow_unref(f);
}

VOW_CASE(enter_tells_which_is_current_and_nests)
{
    struct lane a;
    struct lane b;

    lane_init(&a, &plain_ops);
    lane_init(&b, &plain_ops);
    assert_null(vow_executor_current());
    assert_null(vow_executor_enter(&a.base));
    assert_ptr_equal(vow_executor_current(), &a.base);
    assert_ptr_equal(vow_executor_enter(&b.base), &a.base);
    assert_ptr_equal(vow_executor_current(), &b.base);
    assert_ptr_equal(vow_executor_enter(&a.base), &b.base);
    assert_ptr_equal(vow_executor_enter(NULL), &a.base);

    assert_null(vow_executor_current());
    lane_free(&a);
    lane_free(&b);
}

VOW_CASE(inline_is_not_counted_and_is_no_current_executor)
{
    assert_non_null(vow_inline());
    assert_ptr_equal(vow_executor_ref(vow_inline()), vow_inline());
    vow_executor_unref(vow_inline());
    vow_executor_unref(vow_inline());
    vow_executor_unref(NULL);
    assert_null(vow_executor_ref(NULL));

    assert_null(vow_executor_current());
}

/* References. */

VOW_CASE(unref_of_the_last_closes_and_destroys_once)
{
    struct lane l;

    lane_init(&l, &plain_ops);
    assert_ptr_equal(vow_executor_ref(&l.base), &l.base);
    vow_executor_unref(&l.base);
    assert_int_equal(l.closes, 0);
    assert_int_equal(l.destroys, 0);
    vow_executor_unref(&l.base);

    assert_int_equal(l.closes, 1);
    assert_int_equal(l.mode, VOW_DRAIN);
    assert_int_equal(l.destroys, 1);
}

VOW_CASE(unref_of_a_closed_one_does_not_close_it_again)
{
    struct lane l;

    lane_init(&l, &plain_ops);
    vow_unref(vow_executor_close(&l.base, VOW_CANCEL_QUEUED));
    assert_int_equal(l.destroys, 0);
    vow_executor_unref(&l.base);

    assert_int_equal(l.closes, 1);
    assert_int_equal(l.destroys, 1);
}

VOW_CASE(executor_outlives_the_task_in_its_queue)
{
    struct lane l;
    vow_future *f;

    lane_init(&l, &plain_ops);
    f = vow_submit(&l.base, give_seven, VOW_NIL);
    vow_executor_unref(&l.base);
    assert_int_equal(l.closes, 1);
    assert_int_equal(l.destroys, 0);
    assert_true(lane_step(&l));

    assert_int_equal(l.destroys, 1);
    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
}

VOW_CASE(executor_outlives_the_step_that_names_it)
{
    struct drop ctx = {0};
    struct lane l;
    vow_promise *p = vow_promise_new();
    vow_future *f;

    lane_init(&l, &plain_ops);
    f = vow_handle(vow_promise_future(p), &l.base, never_handle, drop_value(&ctx));
    vow_executor_unref(&l.base);
    assert_int_equal(l.closes, 1);
    assert_int_equal(l.destroys, 0);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_promise_fulfill(p, vow_i64(1));

    assert_int_equal(code_of(f), VOW_E_CLOSED);
    assert_int_equal(drop_count(&ctx), 1);
    assert_int_equal(l.destroys, 1);
    vow_unref(f);
    vow_promise_unref(p);
    assert_int_equal(l.destroys, 1);
}

VOW_CASE(executor_outlives_many_steps_that_name_it)
{
    enum { STEPS = 100 };
    struct lane l;
    vow_promise *p[STEPS];
    vow_future *f[STEPS];

    lane_init(&l, &plain_ops);
    for (int i = 0; i < STEPS; i++) {
        p[i] = vow_promise_new();
        f[i] = vow_then(vow_promise_future(p[i]), &l.base, add_one, VOW_NIL);
    }
    vow_executor_unref(&l.base);
    for (int i = 0; i < STEPS; i++) {
        assert_int_equal(l.destroys, 0);
        if (i % 2 == 0)
            vow_promise_fulfill(p[i], VOW_NIL);
        vow_promise_unref(p[i]);
        assert_int_equal(code_of(f[i]), i % 2 == 0 ? VOW_E_CLOSED : VOW_E_BROKEN);
        vow_unref(f[i]);
    }

    assert_int_equal(l.destroys, 1);
}

VOW_CASE(executor_outlives_the_steps_that_were_cancelled)
{
    struct lane l;
    vow_promise *p = vow_promise_new();
    vow_future *f;

    lane_init(&l, &plain_ops);
    f = vow_then(vow_promise_future(p), &l.base, add_one, VOW_NIL);
    vow_executor_unref(&l.base);
    assert_int_equal(l.destroys, 0);
    vow_future_cancel(f, NULL);
    vow_unref(f);
    vow_promise_unref(p);

    assert_int_equal(l.destroys, 1);
}

static void
never_hook(vow_promise *p, const vow_error *reason, void *ctx)
{
    (void)p;
    (void)reason;
    vow_result_drop(never_task(ctx));
}

VOW_CASE(executor_outlives_the_cancel_hook_that_names_it)
{
    struct drop ctx = {0};
    struct lane l;
    vow_promise *p = vow_promise_new();

    lane_init(&l, &plain_ops);
    assert_non_null(vow_promise_on_cancel(p, &l.base, never_hook, drop_value(&ctx)));
    vow_executor_unref(&l.base);
    assert_int_equal(l.destroys, 0);
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);

    assert_int_equal(drop_count(&ctx), 1);
    assert_int_equal(l.destroys, 1);
}

static vow_result
unref_executor(void *on)
{
    vow_executor_unref(on);
    return vow_ok(VOW_NIL);
}

VOW_CASE(unref_of_the_last_from_an_own_task_works)
{
    struct lane l;
    vow_future *f;

    lane_init(&l, &plain_ops);
    f = vow_submit(&l.base, unref_executor, vow_ptr(&l.base));
    assert_true(lane_step(&l));

    assert_int_equal(code_of(f), 0);
    assert_int_equal(l.closes, 1);
    assert_int_equal(l.destroys, 1);
    vow_unref(f);
}

/* Closing. */

/* What a task finds of the executor that it runs on, whose last handle has gone. */
static vow_result
take_handles_anew(void *lane)
{
    struct lane *l = lane;
    vow_executor *serial;

    vow_executor_unref(&l->base);
    for (int i = 0; i < 3; i++) {
        vow_executor *me = vow_executor_ref(vow_executor_current());

        vow_executor_unref(vow_executor_ref(me));
        vow_executor_unref(me);
    }
    serial = vow_serial_new(&l->base); /* which takes one as well */
    vow_executor_unref(serial);
    return vow_ok(vow_i64(l->destroys));
}

VOW_CASE(ref_by_a_task_after_the_last_handle_keeps_what_runs)
{
    struct lane l;
    vow_future *f;

    lane_init(&l, &plain_ops);
    f = vow_submit(&l.base, take_handles_anew, vow_ptr(&l));
    assert_true(lane_step(&l));

    assert_int_equal(vow_get(f).value.as.i64, 0);
    assert_int_equal(l.closes, 1);
    assert_int_equal(l.destroys, 1);
    vow_unref(f);
}

VOW_CASE(close_settles_when_the_executor_says_it_is_finished)
{
    struct lane l;
    vow_future *f;
    vow_future *g;

    lane_init(&l, &plain_ops);
    l.finishes = false;
    f = vow_executor_close(&l.base, VOW_DRAIN);
    g = vow_executor_close(&l.base, VOW_DRAIN);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_executor_finished(&l.base);
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_true(vow_is_nil(vow_get(f).value));
    assert_int_equal(code_of(g), 0);
    vow_executor_finished(&l.base);

    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    vow_unref(g);
    lane_free(&l);
}

VOW_CASE(close_again_after_it_settled_gives_a_settled_future)
{
    struct lane l;
    vow_future *f;

    lane_init(&l, &plain_ops);
    vow_unref(vow_executor_close(&l.base, VOW_DRAIN));
    f = vow_executor_close(&l.base, VOW_CANCEL_QUEUED);

    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    lane_free(&l);
}

VOW_CASE(close_drains_what_is_queued)
{
    struct lane l;
    vow_future *f;
    vow_future *closed;

    lane_init(&l, &plain_ops);
    f = vow_submit(&l.base, give_seven, VOW_NIL);
    closed = vow_executor_close(&l.base, VOW_DRAIN);
    assert_int_equal(vow_future_status(closed), VOW_PENDING);
    lane_run(&l);

    assert_int_equal(vow_get(f).value.as.i64, 7);
    assert_int_equal(code_of(closed), 0);
    vow_unref(f);
    vow_unref(closed);
    lane_free(&l);
}

VOW_CASE(close_escalates_and_never_weakens)
{
    struct drop ctx = {0};
    struct lane l;
    vow_future *f;

    lane_init(&l, &plain_ops);
    f = vow_submit(&l.base, never_task, drop_value(&ctx));
    vow_unref(vow_executor_close(&l.base, VOW_DRAIN));
    assert_int_equal(drop_count(&ctx), 0);
    vow_unref(vow_executor_close(&l.base, VOW_DRAIN));
    assert_int_equal(l.closes, 1);
    vow_unref(vow_executor_close(&l.base, VOW_CANCEL_QUEUED));
    assert_int_equal(l.closes, 2);
    assert_int_equal(l.mode, VOW_CANCEL_QUEUED);
    vow_unref(vow_executor_close(&l.base, VOW_DRAIN));

    assert_int_equal(l.closes, 2);
    assert_int_equal(code_of(f), VOW_E_CLOSED);
    assert_int_equal(drop_count(&ctx), 1);
    vow_unref(f);
    lane_free(&l);
}

VOW_CASE(close_of_an_executor_without_close_settles_at_once)
{
    struct lane l;
    vow_future *f;

    lane_init(&l, &post_only);
    f = vow_executor_close(&l.base, VOW_DRAIN);

    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_int_equal(vow_executor_join(&l.base), 0);
    vow_unref(f);
    vow_executor_unref(&l.base);
}

VOW_CASE(close_of_inline_is_invalid)
{
    vow_future *f = vow_executor_close(NULL, VOW_DRAIN);
    vow_future *g = vow_executor_close(vow_inline(), VOW_CANCEL_QUEUED);

    assert_int_equal(code_of(f), VOW_E_INVALID);
    assert_int_equal(code_of(g), VOW_E_INVALID);
    vow_unref(f);
    vow_unref(g);
}

VOW_CASE(close_allocates_nothing)
{
    struct lane l;
    size_t calls;

    lane_init(&l, &plain_ops);
    calls = counting_calls();
    vow_unref(vow_executor_close(&l.base, VOW_DRAIN));
    vow_unref(vow_executor_close(&l.base, VOW_CANCEL_QUEUED));
    lane_free(&l);

    assert_int_equal(counting_calls(), calls);
}

VOW_CASE(close_future_may_have_steps_and_outlive_the_executor)
{
    struct lane l;
    vow_future *f;

    lane_init(&l, &plain_ops);
    l.finishes = false;
    f = vow_then(vow_executor_close(&l.base, VOW_DRAIN), NULL, add_one, VOW_NIL);
    vow_executor_unref(&l.base);
    assert_int_equal(l.destroys, 0);
    vow_executor_finished(&l.base);

    assert_int_equal(l.destroys, 1);
    assert_int_equal(vow_get(f).value.as.i64, 1);
    vow_unref(f);
}

/* Joining. */

VOW_CASE(join_before_close_is_invalid)
{
    struct lane l;

    lane_init(&l, &plain_ops);
    assert_int_equal(vow_executor_join(&l.base), VOW_E_INVALID);
    assert_int_equal(vow_executor_join(NULL), VOW_E_INVALID);
    assert_int_equal(l.joins, 0);
    vow_unref(vow_executor_close(&l.base, VOW_DRAIN));
    assert_int_equal(vow_executor_join(&l.base), 0);

    assert_int_equal(l.joins, 1);
    lane_free(&l);
}

static vow_result
join_own(void *on)
{
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    return vow_ok(vow_i64(vow_executor_join(on)));
}

VOW_CASE(join_from_an_own_task_is_a_deadlock)
{
    struct lane l;
    vow_future *f;

    lane_init(&l, &forbidding_ops);
    f = vow_submit(&l.base, join_own, vow_ptr(&l.base));
    lane_run(&l);

    assert_int_equal(vow_get(f).value.as.i64, VOW_E_DEADLOCK);
    assert_int_equal(vow_executor_join(&l.base), 0);
    vow_unref(f);
    lane_free(&l);
}

static void *
finish_thread(void *on)
{
    vow_executor_finished(on);
    return NULL;
}

VOW_CASE(join_blocks_until_the_executor_is_finished)
{
    struct lane l;
    vow_future *f;
    pthread_t thread;

    lane_init(&l, &plain_ops);
    l.finishes = false;
    f = vow_executor_close(&l.base, VOW_DRAIN);
    assert_int_equal(pthread_create(&thread, NULL, finish_thread, &l.base), 0);
    assert_int_equal(vow_executor_join(&l.base), 0);

    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_int_equal(l.joins, 1);
    pthread_join(thread, NULL);
    vow_unref(f);
    lane_free(&l);
}

/* Refusing. */

VOW_CASE(submit_to_a_full_executor_is_a_limit)
{
    struct drop ctx = {0};
    struct lane l;
    vow_future *f;

    lane_init(&l, &plain_ops);
    l.room = 0;
    f = vow_submit(&l.base, never_task, drop_value(&ctx));

    assert_int_equal(code_of(f), VOW_E_LIMIT);
    assert_int_equal(drop_count(&ctx), 1);
    vow_unref(f);
    lane_free(&l);
}

VOW_CASE(step_on_a_full_executor_is_a_limit_or_the_sources_error)
{
    struct drop ctx = {0};
    struct lane l;
    vow_error *e = vow_error_new(EIO, "the source's");
    vow_future *f;
    vow_future *g;

    lane_init(&l, &plain_ops);
    l.room = 0;
    f = vow_handle(vow_resolved(vow_i64(1)), &l.base, never_handle, drop_value(&ctx));
    g = vow_handle(vow_rejected(e), &l.base, never_handle, drop_value(&ctx));

    assert_int_equal(code_of(f), VOW_E_LIMIT);
    assert_ptr_equal(vow_get(g).error, e);
    assert_int_equal(drop_count(&ctx), 2);
    vow_unref(f);
    vow_unref(g);
    lane_free(&l);
}

static void
never_fn(void *ctx)
{
    vow_result_drop(never_task(ctx));
}

static bool
never_in_the_caller(vow_executor *self)
{
    (void)self;
    return false;
}

VOW_CASE(submit_to_a_full_executor_whose_callers_run_nothing_is_a_limit)
{
    static const vow_executor_ops ops = {.size = sizeof(vow_executor_ops),
                                         .name = "lane",
                                         .post = lane_post,
                                         .close = lane_close,
                                         .join = lane_join,
                                         .destroy = lane_destroy,
                                         .caller_runs = never_in_the_caller};
    struct lane l;
    vow_future *f;

    lane_init(&l, &ops);
    l.room = 0;
    f = vow_submit(&l.base, never_task, VOW_NIL);
    assert_int_equal(code_of(f), VOW_E_LIMIT);
    vow_unref(f);
    lane_free(&l);
}

VOW_CASE(post_to_a_full_executor_is_a_limit)
{
    struct drop ctx = {0};
    struct lane l;

    lane_init(&l, &plain_ops);
    l.room = 0;
    assert_int_equal(vow_post(&l.base, never_fn, drop_value(&ctx)), VOW_E_LIMIT);

    assert_int_equal(drop_count(&ctx), 1);
    lane_free(&l);
}

/* Without post_many each task is posted; what is refused is finished with why. */
VOW_CASE(submit_many_without_post_many_finishes_what_is_refused)
{
    struct drop ctx[4] = {0};
    vow_value ctxs[4];
    vow_future *out[4];
    struct lane l;

    lane_init(&l, &plain_ops);
    l.room = 2;
    for (int i = 0; i < 4; i++)
        ctxs[i] = drop_value(&ctx[i]);
    assert_int_equal(vow_submit_many(&l.base, give_seven, ctxs, 4, out), 0);
    assert_int_equal(lane_run(&l), 2);

    for (int i = 0; i < 4; i++) {
        assert_int_equal(code_of(out[i]), i < 2 ? 0 : VOW_E_LIMIT);
        assert_int_equal(drop_count(&ctx[i]), 1);
        vow_unref(out[i]);
    }
    lane_free(&l);
}

/* What the step of one of several that settle together sees of another one. */
static vow_result
ask_for_status(vow_view how, void *other)
{
    (void)how;
    return vow_ok(vow_i64(vow_future_status(*(vow_future **)other)));
}

static void
close_under_two(vow_executor *on, bool timed)
{
    vow_future *other = NULL;
    vow_future *seen = timed
                           ? vow_submit_after(on, vow_seconds(1000), give_seven, VOW_NIL)
                           : vow_submit(on, give_seven, VOW_NIL);

    seen = vow_handle(seen, NULL, ask_for_status, vow_ptr(&other));
    other = timed ? vow_submit_after(on, vow_seconds(1000), give_seven, VOW_NIL)
                  : vow_submit(on, give_seven, VOW_NIL);
    vow_unref(vow_executor_close(on, timed ? VOW_DRAIN : VOW_CANCEL_QUEUED));
    assert_int_equal(code_of(other), VOW_E_CLOSED);
    assert_int_equal(code_of(seen), 0);
    assert_int_equal(vow_peek(seen).value.as.i64, VOW_REJECTED);
    vow_unref(other);
    vow_unref(seen);
}

/* So a step that waits for one of them does not wait for ever. */
VOW_CASE(steps_on_what_a_close_refuses_find_all_of_it_settled)
{
    vow_manual *m = vow_manual_new();
    vow_loop *l = vow_loop_new(NULL);
    vow_executor *serial = vow_serial_new(vow_manual_executor(m));
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));

    close_under_two(serial, false);
    close_under_two(vow_loop_executor(l), false);
    close_under_two(pool, true);
    close_under_two(vow_manual_executor(m), false);
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
    vow_executor_unref(serial);
    vow_loop_unref(l);
    vow_manual_unref(m);
}

static vow_result
let_go(const vow_error *error, void *executor)
{
    (void)error;
    vow_executor_unref(executor);
    vow_trim(); /* what the thread has counted in advance */
    return vow_ok(VOW_NIL);
}

VOW_CASE(step_may_let_go_of_the_executor_whose_close_it_runs_in)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_serial_new(vow_manual_executor(m));
    vow_future *f =
        vow_catch(vow_submit(on, give_seven, VOW_NIL), NULL, let_go, vow_ptr(on));
    vow_future *closed = vow_executor_close(on, VOW_CANCEL_QUEUED);

    assert_int_equal(code_of(closed), 0);
    assert_int_equal(code_of(f), 0);
    vow_unref(closed);
    vow_unref(f);
    vow_manual_run(m);
    vow_manual_unref(m);
}

/* As one that links a task before it looks whether it takes it. */
static int
unlink_and_refuse(vow_executor *self, vow_task *task)
{
    (void)self;
    task->next = NULL;
    return VOW_E_CLOSED;
}

VOW_CASE(submit_many_whose_first_is_refused_leaves_nothing)
{
    static const vow_executor_ops ops = {.size = sizeof ops, .post = unlink_and_refuse};
    vow_executor refuses = {.ops = &ops};
    struct drop ctx[3] = {0};
    vow_value ctxs[3];
    vow_future *out[3];

    for (int i = 0; i < 3; i++)
        ctxs[i] = drop_value(&ctx[i]);
    assert_int_equal(vow_submit_many(&refuses, give_seven, ctxs, 3, out), VOW_E_CLOSED);
    for (int i = 0; i < 3; i++) {
        assert_null(out[i]);
        assert_int_equal(drop_count(&ctx[i]), 1);
    }
}

VOW_CASE(step_task_is_marked_as_one_and_a_submitted_one_is_not)
{
    struct lane l;
    vow_future *f;
    vow_future *g;

    lane_init(&l, &plain_ops);
    f = vow_submit(&l.base, give_seven, VOW_NIL);
    assert_int_equal(l.first->flags & VOW_TASK_STEP, 0);
    lane_run(&l);
    g = vow_then(f, &l.base, add_one, VOW_NIL);
    assert_int_equal(l.first->flags & VOW_TASK_STEP, VOW_TASK_STEP);
    lane_run(&l);

    assert_int_equal(vow_get(g).value.as.i64, 8);
    vow_unref(g);
    lane_free(&l);
}

/* The library's bytes of what is queued: zero, whatever its memory held before. */
static void
assert_blank(const struct lane *l)
{
    static const unsigned char zero[sizeof l->first->reserved];

    assert_non_null(l->first);
    assert_int_equal(l->first->priority, VOW_NORMAL);
    assert_memory_equal(l->first->reserved, zero, sizeof zero);
}

static void
count_call(void *ctx)
{
    drop_ran(ctx);
}

static void
fulfill_hook(vow_promise *p, const vow_error *reason, void *ctx)
{
    (void)reason;
    (void)ctx;
    vow_promise_fulfill(p, VOW_NIL);
}

VOW_CASE(posted_jobs_and_steps_are_blank)
{
    struct lane l;
    vow_future *f;

    lane_init(&l, &plain_ops);
    f = vow_submit(&l.base, give_seven, VOW_NIL);
    assert_blank(&l);
    lane_run(&l);
    f = vow_then(f, &l.base, add_one, VOW_NIL);
    assert_blank(&l);
    lane_run(&l);

    vow_unref(f);
    lane_free(&l);
}

VOW_CASE(posted_callbacks_are_blank)
{
    struct drop told = {0};
    struct lane l;
    vow_source *s = vow_source_new();
    vow_token *t = vow_source_token(s);
    vow_registration *r;

    lane_init(&l, &plain_ops);
    r = vow_token_on_cancel(t, &l.base, count_call, drop_value(&told));
    vow_source_cancel(s, NULL);
    assert_blank(&l);
    lane_run(&l);

    assert_int_equal(vow_registration_remove(r), VOW_RAN);
    assert_int_equal(told.ran, 1);
    vow_token_unref(t);
    vow_source_unref(s);
    lane_free(&l);
}

VOW_CASE(posted_cancel_hooks_are_blank)
{
    struct lane l;
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    lane_init(&l, &plain_ops);
    vow_promise_on_cancel(p, &l.base, fulfill_hook, VOW_NIL);
    vow_future_cancel(f, NULL);
    assert_blank(&l);
    lane_run(&l);

    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    vow_unref(f);
    vow_promise_unref(p);
    lane_free(&l);
}

VOW_CASE(submit_with_a_priority_shows_it_to_the_executor)
{
    struct lane l;
    vow_future *f;

    lane_init(&l, &plain_ops);
    f = vow_submit_with(&l.base, &VOW_SUBMIT_OPTIONS(.priority = VOW_IDLE), give_seven,
                        VOW_NIL);
    assert_int_equal(l.first->priority, VOW_IDLE);
    lane_run(&l);

    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
    lane_free(&l);
}

/* Waiting on its threads. */

static vow_result
get_code(void *f)
{
    return vow_ok(vow_i64(vow_error_code(vow_get(f).error)));
}

VOW_CASE(wait_on_a_thread_that_forbids_it_is_a_deadlock)
{
    struct lane l;
    vow_promise *p = vow_promise_new();
    vow_future *pending = vow_promise_future(p);
    vow_future *settled = vow_resolved(VOW_NIL);
    vow_future *f;
    vow_future *g;

    lane_init(&l, &forbidding_ops);
    f = vow_submit(&l.base, get_code, vow_ptr(pending));
    g = vow_submit(&l.base, get_code, vow_ptr(settled));
    lane_run(&l);

    assert_int_equal(vow_get(f).value.as.i64, VOW_E_DEADLOCK);
    assert_int_equal(vow_get(g).value.as.i64, 0);
    assert_int_equal(vow_future_status(pending), VOW_PENDING);
    vow_promise_fulfill(p, VOW_NIL);
    vow_unref(f);
    vow_unref(g);
    vow_unref(pending);
    vow_unref(settled);
    vow_promise_unref(p);
    lane_free(&l);
}

static vow_result
wait_a_little(void *f)
{
    return vow_ok(vow_i64(vow_wait(f, vow_ms(1))));
}

VOW_CASE(wait_on_a_thread_that_allows_it_begins_and_ends)
{
    struct lane l;
    vow_promise *p = vow_promise_new();
    vow_future *pending = vow_promise_future(p);
    vow_future *f;

    lane_init(&l, &full_ops);
    f = vow_submit(&l.base, wait_a_little, vow_ptr(pending));
    lane_run(&l);

    assert_int_equal(vow_get(f).value.as.i64, 0);
    assert_true(l.block_begins > 0);
    assert_int_equal(l.block_ends, l.block_begins);
    vow_promise_fulfill(p, VOW_NIL);
    vow_unref(f);
    vow_unref(pending);
    vow_promise_unref(p);
    lane_free(&l);
}

static vow_result
wait_deeper(void *f)
{
    volatile char room[1024] = {0};

    return room[0] == 0 ? wait_a_little(f) : vow_ok(VOW_NIL);
}

/* What runs here is listed by both, and stays so until the outer one has ended. */
VOW_CASE(block_begin_may_wait_itself)
{
    struct lane l;
    vow_promise *p = vow_promise_new();
    vow_future *pending = vow_promise_future(p);

    lane_init(&l, &full_ops);
    for (int i = 0; i < 4; i++) {
        vow_future *f = vow_submit(&l.base, i % 2 == 0 ? wait_a_little : wait_deeper,
                                   vow_ptr(pending));

        l.waits = pending;
        lane_run(&l);
        assert_int_equal(vow_get(f).value.as.i64, 0);
        vow_unref(f);
    }
    assert_int_equal(l.block_begins, 8);
    assert_int_equal(l.block_ends, 8);
    vow_promise_fulfill(p, VOW_NIL);
    vow_unref(pending);
    vow_promise_unref(p);
    lane_free(&l);
}

VOW_CASE(wait_that_block_begin_refuses_is_a_deadlock_and_never_ends)
{
    struct lane l;
    vow_promise *p = vow_promise_new();
    vow_future *pending = vow_promise_future(p);
    vow_future *f;

    lane_init(&l, &full_ops);
    l.block_answer = VOW_E_DEADLOCK;
    f = vow_submit(&l.base, get_code, vow_ptr(pending));
    lane_run(&l);

    assert_int_equal(vow_get(f).value.as.i64, VOW_E_DEADLOCK);
    assert_int_equal(l.block_begins, 1);
    assert_int_equal(l.block_ends, 0);
    vow_promise_fulfill(p, VOW_NIL);
    vow_unref(f);
    vow_unref(pending);
    vow_promise_unref(p);
    lane_free(&l);
}

static vow_result
pass_on(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    return vow_forward();
}

/* Inside the task the step only queues up on the trampoline. */
VOW_CASE(step_on_what_block_begin_settles_runs_before_anybody_sleeps_for_it)
{
    struct lane l;
    vow_promise *p = vow_promise_new();
    vow_future *pending = vow_then(vow_promise_future(p), NULL, pass_on, VOW_NIL);
    vow_future *f;

    lane_init(&l, &full_ops);
    l.answers = p;
    f = vow_submit(&l.base, get_code, vow_ptr(pending));
    lane_run(&l);

    assert_int_equal(vow_get(f).value.as.i64, 0);
    assert_int_equal(l.block_begins, 1);
    assert_int_equal(l.block_ends, 1);
    vow_unref(f);
    vow_unref(pending);
    vow_promise_unref(p);
    lane_free(&l);
}

VOW_CASE(wait_for_a_task_of_its_own_asks_the_executor_to_help)
{
    struct lane l;
    vow_future *behind;
    vow_future *f;
    vow_task *task;

    lane_init(&l, &full_ops);
    l.block_answer = VOW_E_DEADLOCK;
    behind = vow_submit(&l.base, give_seven, VOW_NIL);
    task = lane_pop(&l);
    f = vow_submit(&l.base, get_code, vow_ptr(behind));
    assert_int_equal(vow_post_task(&l.base, task), 0);
    lane_run(&l);

    assert_int_equal(vow_get(f).value.as.i64, 0);
    assert_true(l.helps >= 1);
    assert_ptr_equal(l.asked_to_help, task);
    assert_int_equal(l.block_begins, 0);
    vow_unref(f);
    vow_unref(behind);
    lane_free(&l);
}

/* Time. */

static vow_result
read_now(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(vow_now()));
}

VOW_CASE(clock_in_force_is_that_of_the_running_task)
{
    vow_manual *m = vow_manual_new();
    struct lane l;
    vow_future *f;

    lane_init(&l, &full_ops);
    l.clock = vow_manual_clock(m);
    vow_manual_advance(m, 123456);
    f = vow_submit(&l.base, read_now, VOW_NIL);
    lane_run(&l);

    assert_int_equal(vow_get(f).value.as.i64, 123456);
    assert_true(vow_now() != 123456);
    vow_unref(f);
    lane_free(&l);
    vow_manual_unref(m);
}

VOW_CASE(clock_of_an_executor_without_one_is_the_process_clock)
{
    vow_manual *m = vow_manual_new();
    vow_clock *before = vow_clock_use(vow_manual_clock(m));
    struct lane l;
    vow_future *f;

    lane_init(&l, &plain_ops);
    vow_manual_advance(m, 77);
    f = vow_submit(&l.base, read_now, VOW_NIL);
    lane_run(&l);
    vow_clock_use(before);

    assert_int_equal(vow_get(f).value.as.i64, 77);
    vow_unref(f);
    lane_free(&l);
    vow_manual_unref(m);
}

/* Counts, and what is in none of the usual places. */

VOW_CASE(init_without_operations_is_invalid)
{
    vow_executor e = {.ops = &plain_ops};

    assert_int_equal(vow_executor_init(&e, NULL), VOW_E_INVALID);
}

VOW_CASE(references_beyond_counting_are_not_counted_and_never_close_it)
{
    struct lane l;
    _Atomic(uint32_t) *handles;

    lane_init(&l, &plain_ops);
    handles = l.base.library; /* they come first */
    assert_int_equal(atomic_load(handles), 1);
    atomic_store(handles, UINT32_C(1) << 30);
    assert_ptr_equal(vow_executor_ref(&l.base), &l.base);
    for (int i = 0; i < 5; i++)
        vow_executor_unref(&l.base);
    assert_int_equal(atomic_load(handles), UINT32_C(1) << 30);
    assert_int_equal(l.closes, 0);

    atomic_store(handles, 1);
    lane_free(&l);
}

static void
ignore_settled(vow_view in, void *ctx)
{
    (void)in;
    drop_ran(ctx);
}

struct attachment {
    vow_promise *promise;
    vow_executor *on;
    struct drop *ctx;
    int steps;
};

static void *
attach_steps(void *arg)
{
    struct attachment *a = arg;

    for (int i = 0; i < a->steps; i++)
        vow_on_settled(vow_promise_future(a->promise), a->on, ignore_settled,
                       drop_value(a->ctx));
    return NULL;
}

/* One thread counts the steps, another one settles them all: the counts meet. */
VOW_CASE(executor_outlives_steps_that_another_thread_attached)
{
    struct drop ctx = {0};
    struct lane l;
    vow_promise *p = vow_promise_new();
    struct attachment a = {p, &l.base, &ctx, 300};
    pthread_t thread;

    lane_init(&l, &plain_ops);
    assert_int_equal(pthread_create(&thread, NULL, attach_steps, &a), 0);
    pthread_join(thread, NULL);
    a.steps = 1;
    attach_steps(&a);
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);

    assert_int_equal(lane_run(&l), 301);
    assert_int_equal(drop_count(&ctx), 301);
    lane_free(&l);
}

VOW_CASE(finished_of_an_executor_that_is_not_counted_does_nothing)
{
    struct lane l = {.base.ops = &post_only};

    vow_executor_finished(&l.base);
    vow_executor_finished(vow_inline());
    vow_executor_finished(NULL);
    assert_int_equal(l.posts, 0);
}

VOW_CASE(join_in_a_deferred_stretch_is_a_deadlock)
{
    struct lane l;

    lane_init(&l, &plain_ops);
    l.finishes = false;
    vow_unref(vow_executor_close(&l.base, VOW_DRAIN));
    vow_defer_begin();
    assert_int_equal(vow_executor_join(&l.base), VOW_E_DEADLOCK);
    vow_defer_end();
    vow_executor_finished(&l.base);
    assert_int_equal(vow_executor_join(&l.base), 0);
    lane_free(&l);
}

static void *
fulfill_later(void *p)
{
    for (int i = 0; i < 500; i++)
        sched_yield();
    vow_promise_fulfill(p, vow_i64(6));
    return NULL;
}

/* It has no operation for waits, none of its own and none that forbids them. */
VOW_CASE(wait_on_a_thread_of_an_executor_with_post_alone_is_a_wait)
{
    struct lane l = {.base.ops = &post_only};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_executor *before = vow_executor_enter(&l.base);
    pthread_t thread;

    assert_false(vow_wait(f, vow_ms(1)));
    assert_int_equal(pthread_create(&thread, NULL, fulfill_later, p), 0);
    assert_int_equal(vow_get(f).value.as.i64, 6);
    vow_executor_enter(before);
    pthread_join(thread, NULL);
    vow_promise_unref(p);
    vow_unref(f);
}

static int inline_runs;

static void
count_inline_run(vow_task *task, int why)
{
    (void)task;
    inline_runs += why == 0;
}

/* What is posted to it by its own operation runs in the caller as well. */
VOW_CASE(inline_takes_a_task_by_its_operation)
{
    vow_executor *on = vow_inline();
    vow_task task = {.run = count_inline_run};

    inline_runs = 0;
    assert_int_equal(on->ops->post(on, &task), 0);
    assert_int_equal(inline_runs, 1);
}

/* The first refusal is the answer; nothing was submitted. */
VOW_CASE(submit_many_whose_first_is_refused_submits_nothing)
{
    struct drop ctx[3] = {0};
    vow_value ctxs[3];
    vow_future *out[3];
    struct lane l;

    lane_init(&l, &plain_ops);
    l.room = 0;
    for (int with_out = 0; with_out < 2; with_out++) {
        for (int i = 0; i < 3; i++)
            ctxs[i] = drop_value(&ctx[i]);
        memset(out, 1, sizeof out);
        assert_int_equal(
            vow_submit_many(&l.base, never_task, ctxs, 3, with_out != 0 ? out : NULL),
            VOW_E_LIMIT);
        for (int i = 0; i < 3; i++)
            assert_int_equal(drop_count(&ctx[i]), 1 + with_out);
    }
    for (int i = 0; i < 3; i++)
        assert_null(out[i]);
    lane_free(&l);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(init_without_post_is_invalid),
        vow_test(executor_with_post_alone_runs_tasks_and_steps),
        vow_test(executor_that_is_static_needs_no_init),
        vow_test(enter_tells_which_is_current_and_nests),
        vow_test(inline_is_not_counted_and_is_no_current_executor),
        vow_test(unref_of_the_last_closes_and_destroys_once),
        vow_test(unref_of_a_closed_one_does_not_close_it_again),
        vow_test(executor_outlives_the_task_in_its_queue),
        vow_test(executor_outlives_the_step_that_names_it),
        vow_test(executor_outlives_many_steps_that_name_it),
        vow_test(executor_outlives_the_steps_that_were_cancelled),
        vow_test(executor_outlives_the_cancel_hook_that_names_it),
        vow_test(unref_of_the_last_from_an_own_task_works),
        vow_test(ref_by_a_task_after_the_last_handle_keeps_what_runs),
        vow_test(close_settles_when_the_executor_says_it_is_finished),
        vow_test(close_again_after_it_settled_gives_a_settled_future),
        vow_test(close_drains_what_is_queued),
        vow_test(close_escalates_and_never_weakens),
        vow_test(close_of_an_executor_without_close_settles_at_once),
        vow_test(close_of_inline_is_invalid),
        vow_test(close_allocates_nothing),
        vow_test(close_future_may_have_steps_and_outlive_the_executor),
        vow_test(join_before_close_is_invalid),
        vow_test(join_from_an_own_task_is_a_deadlock),
        vow_test(join_blocks_until_the_executor_is_finished),
        vow_test(submit_to_a_full_executor_is_a_limit),
        vow_test(step_on_a_full_executor_is_a_limit_or_the_sources_error),
        vow_test(submit_to_a_full_executor_whose_callers_run_nothing_is_a_limit),
        vow_test(post_to_a_full_executor_is_a_limit),
        vow_test(submit_many_without_post_many_finishes_what_is_refused),
        vow_test(submit_many_whose_first_is_refused_leaves_nothing),
        vow_test(steps_on_what_a_close_refuses_find_all_of_it_settled),
        vow_test(step_may_let_go_of_the_executor_whose_close_it_runs_in),
        vow_test(step_task_is_marked_as_one_and_a_submitted_one_is_not),
        vow_test(posted_jobs_and_steps_are_blank),
        vow_test(posted_callbacks_are_blank),
        vow_test(posted_cancel_hooks_are_blank),
        vow_test(submit_with_a_priority_shows_it_to_the_executor),
        vow_test(wait_on_a_thread_that_forbids_it_is_a_deadlock),
        vow_test(wait_on_a_thread_that_allows_it_begins_and_ends),
        vow_test(block_begin_may_wait_itself),
        vow_test(wait_that_block_begin_refuses_is_a_deadlock_and_never_ends),
        vow_test(step_on_what_block_begin_settles_runs_before_anybody_sleeps_for_it),
        vow_test(wait_for_a_task_of_its_own_asks_the_executor_to_help),
        vow_test(clock_in_force_is_that_of_the_running_task),
        vow_test(clock_of_an_executor_without_one_is_the_process_clock),
        vow_test(init_without_operations_is_invalid),
        vow_test(references_beyond_counting_are_not_counted_and_never_close_it),
        vow_test(executor_outlives_steps_that_another_thread_attached),
        vow_test(finished_of_an_executor_that_is_not_counted_does_nothing),
        vow_test(join_in_a_deferred_stretch_is_a_deadlock),
        vow_test(wait_on_a_thread_of_an_executor_with_post_alone_is_a_wait),
        vow_test(inline_takes_a_task_by_its_operation),
        vow_test(submit_many_whose_first_is_refused_submits_nothing),
    };

    return vow_test_run(cases);
}
