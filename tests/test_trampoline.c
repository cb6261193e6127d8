/* SPDX-License-Identifier: MIT */
/*
 * Many inline steps at once on a thread of an executor: after some of them the rest is
 * handed to the executor, whatever they are, and goes on here if it refuses.
 */
#include "support/vow_test.h"

#include <errno.h>

#include "support/drops.h"

enum { STEPS = 700 }; /* more than twice what runs at one go */

/* An executor that is stepped by hand and counts what it is given. */
struct stepped {
    vow_executor executor; /* first: what users know */
    vow_task *queued[8];
    size_t count;
    size_t posted;
    bool refuses;
};

static int
stepped_post(vow_executor *self, vow_task *task)
{
    struct stepped *s = (struct stepped *)(void *)self;

    s->posted++;
    if (s->refuses || s->count == sizeof s->queued / sizeof *s->queued)
        return VOW_E_LIMIT;
    s->queued[s->count++] = task;
    return 0;
}

static const vow_executor_ops stepped_ops = {
    .size = sizeof(vow_executor_ops), .name = "stepped", .post = stepped_post};

static bool
stepped_run(struct stepped *s)
{
    vow_executor *before;
    vow_task *task;

    if (s->count == 0)
        return false;
    task = s->queued[--s->count];
    before = vow_executor_enter(&s->executor);
    task->run(task, 0);
    vow_executor_enter(before);
    return true;
}

/* Steps that hang on one promise, in order. */

struct order {
    int ran;
    int out_of_order;
};

static struct order order;

static void
run_in_order(vow_view in, void *ctx)
{
    const int *number = ctx;

    (void)in;
    order.out_of_order += *number != order.ran;
    order.ran++;
}

static int numbers[STEPS];

static void
attach_steps(vow_promise *p, int first, int end)
{
    for (int i = first; i < end; i++) {
        numbers[i] = i;
        assert_true(vow_on_settled(vow_promise_future(p), NULL, run_in_order,
                                   vow_ptr(&numbers[i])));
    }
}

static void
fulfill(void *p)
{
    vow_promise_fulfill(p, VOW_NIL);
}

/* Settles a promise on the executor; then runs all that it was given. */
static void
settle_on(struct stepped *s, vow_promise *p)
{
    order = (struct order){0};
    assert_int_equal(vow_post(&s->executor, fulfill, vow_ptr(p)), 0);
    s->posted = 0;
    while (stepped_run(s))
        ;
}

VOW_CASE(steps_beyond_the_budget_are_handed_over_and_keep_their_order)
{
    struct stepped s = {.executor = {.ops = &stepped_ops}};
    vow_promise *p = vow_promise_new();

    attach_steps(p, 0, STEPS);
    settle_on(&s, p);

    assert_int_equal(order.ran, STEPS);
    assert_int_equal(order.out_of_order, 0);
    assert_int_equal(s.posted, 2);
    vow_promise_unref(p);
}

/* Steps of each kind, and promises that follow, of which some are next to each other. */

static vow_result
then_in_order(vow_value in, void *ctx)
{
    run_in_order((vow_view){.value = in}, ctx);
    return vow_ok(VOW_NIL);
}

static vow_result
handle_in_order(vow_view in, void *ctx)
{
    run_in_order(in, ctx);
    return vow_ok(VOW_NIL);
}

static void
finally_in_order(void *ctx)
{
    run_in_order((vow_view){.error = NULL}, ctx);
}

static void
attach_follower(vow_promise *p)
{
    vow_promise *q = vow_promise_new();

    assert_true(vow_promise_resolve(q, vow_follow(vow_promise_future(p))));
    vow_promise_unref(q);
}

static void
attach_one(vow_promise *p, int i)
{
    vow_value number = vow_ptr(&numbers[i]);
    vow_future *f = vow_promise_future(p);

    numbers[i] = i;
    if (i % 4 == 0)
        assert_true(vow_on_settled(f, NULL, run_in_order, number));
    else if (i % 4 == 1)
        vow_unref(vow_then(f, NULL, then_in_order, number));
    else if (i % 4 == 2)
        vow_unref(vow_handle(f, NULL, handle_in_order, number));
    else
        vow_unref(vow_finally(f, NULL, finally_in_order, number));
}

/* Between step i and the next there are i % (most + 1) followers. */
static void
settle_mixed(struct stepped *s, int most)
{
    vow_promise *p = vow_promise_new();

    for (int i = 0; i < STEPS; i++) {
        attach_one(p, i);
        for (int k = i % (most + 1); k > 0; k--)
            attach_follower(p);
    }
    settle_on(s, p);
    vow_promise_unref(p);
    assert_int_equal(order.ran, STEPS);
    assert_int_equal(order.out_of_order, 0);
}

VOW_CASE(steps_of_each_kind_are_handed_over_with_what_is_no_step)
{
    for (int most = 0; most < 4; most++) {
        struct stepped s = {.executor = {.ops = &stepped_ops}};

        settle_mixed(&s, most);
        assert_true(s.posted >= 2);
    }
}

/* What follows has no room to carry others, nor to keep what the step in front calls. */
VOW_CASE(a_step_alone_among_followers_is_not_handed_over)
{
    struct stepped s = {.executor = {.ops = &stepped_ops}};
    vow_promise *p = vow_promise_new();

    for (int i = 0; i < STEPS; i++)
        attach_follower(p);
    attach_one(p, 0);
    for (int i = 0; i < STEPS; i++)
        attach_follower(p);
    settle_on(&s, p);

    assert_int_equal(order.ran, 1);
    assert_int_equal(s.posted, 0);
    vow_promise_unref(p);
}

VOW_CASE(a_last_step_is_handed_over_alone)
{
    struct stepped s = {.executor = {.ops = &stepped_ops}};
    vow_promise *p = vow_promise_new();

    for (int i = 0; i < STEPS; i++)
        attach_follower(p);
    attach_one(p, 0);
    settle_on(&s, p);

    assert_int_equal(order.ran, 1);
    assert_int_equal(s.posted, 1);
    vow_promise_unref(p);
}

struct refusal {
    struct stepped *executor;
    vow_promise *promise;
};

static void
fulfill_refused(void *arg)
{
    struct refusal *r = arg;

    r->executor->refuses = true;
    vow_promise_fulfill(r->promise, VOW_NIL);
}

VOW_CASE(steps_that_the_executor_refuses_go_on_here)
{
    struct stepped s = {.executor = {.ops = &stepped_ops}};
    vow_promise *p = vow_promise_new();
    struct refusal r = {&s, p};

    order = (struct order){0};
    attach_steps(p, 0, STEPS);
    assert_int_equal(vow_post(&s.executor, fulfill_refused, vow_ptr(&r)), 0);
    s.posted = 0;
    assert_true(stepped_run(&s));

    assert_int_equal(order.ran, STEPS);
    assert_int_equal(order.out_of_order, 0);
    assert_int_equal(s.posted, 2);
    vow_promise_unref(p);
}

static void
abandon(void *p)
{
    vow_promise_abandon(p);
}

VOW_CASE(steps_that_are_abandoned_are_not_handed_over)
{
    struct stepped s = {.executor = {.ops = &stepped_ops}};
    vow_promise *p = vow_promise_new();

    order = (struct order){0};
    attach_steps(p, 0, STEPS);
    assert_int_equal(vow_post(&s.executor, abandon, vow_ptr(p)), 0);
    s.posted = 0;
    assert_true(stepped_run(&s));

    assert_int_equal(order.ran, 0);
    assert_int_equal(s.posted, 0);
    assert_int_equal(s.count, 0);
}

static void
count_errand(void *count)
{
    ++*(int *)count;
}

static void
post_many_inline(void *count)
{
    for (int i = 0; i < STEPS; i++)
        assert_int_equal(vow_post(NULL, count_errand, vow_ptr(count)), 0);
}

/* They have no room to carry others. */
VOW_CASE(errands_beyond_the_budget_are_not_handed_over)
{
    struct stepped s = {.executor = {.ops = &stepped_ops}};
    int count = 0;

    assert_int_equal(vow_post(&s.executor, post_many_inline, vow_ptr(&count)), 0);
    s.posted = 0;
    assert_true(stepped_run(&s));

    assert_int_equal(count, STEPS);
    assert_int_equal(s.posted, 0);
}

VOW_CASE(steps_on_a_thread_of_no_executor_all_run_there)
{
    vow_promise *p = vow_promise_new();

    order = (struct order){0};
    attach_steps(p, 0, STEPS);
    vow_promise_fulfill(p, VOW_NIL);

    assert_int_equal(order.ran, STEPS);
    assert_int_equal(order.out_of_order, 0);
    vow_promise_unref(p);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(steps_beyond_the_budget_are_handed_over_and_keep_their_order),
        vow_test(steps_of_each_kind_are_handed_over_with_what_is_no_step),
        vow_test(a_step_alone_among_followers_is_not_handed_over),
        vow_test(a_last_step_is_handed_over_alone),
        vow_test(steps_that_the_executor_refuses_go_on_here),
        vow_test(steps_that_are_abandoned_are_not_handed_over),
        vow_test(errands_beyond_the_budget_are_not_handed_over),
        vow_test(steps_on_a_thread_of_no_executor_all_run_there),
    };

    return vow_test_run(cases);
}
