/* SPDX-License-Identifier: MIT */
/*
 * tests/counts/test_rmw_count.c - how many atomic read-modify-writes the life of a
 * future takes. Each costs as much as a dozen plain instructions, so their number
 * is a property to keep, and it is the same on every machine.
 *
 * Linked with a copy of the library in which each of them adds to vowi_rmw_count,
 * a counter of the calling thread.
 */
#include "vow_test.h"

#include <vow/vow.h>

#include "base/atomic.h"

enum { MOST_A_TASK = 3, MOST_A_STEP = 3, LINKS = 1000, WARM_UP = 16 };

/* An executor that takes no atomic step itself: a plain list, run by hand. */
struct plain_queue {
    vow_executor executor;
    vow_task *first;
    vow_task **end;
};

static int
queue_post(vow_executor *self, vow_task *task)
{
    struct plain_queue *q = (struct plain_queue *)(void *)self;

    task->next = NULL;
    *q->end = task;
    q->end = &task->next;
    return 0;
}

static void
queue_run(struct plain_queue *q)
{
    vow_executor *before = vow_executor_enter(&q->executor);

    while (q->first != NULL) {
        vow_task *task = q->first;

        q->first = task->next;
        if (q->first == NULL)
            q->end = &q->first;
        task->run(task, 0);
    }
    vow_executor_enter(before);
}

static const vow_executor_ops queue_ops = {
    .size = sizeof(vow_executor_ops), .name = "plain", .post = queue_post};

/* Static, so that nobody counts references to it. */
static struct plain_queue queue = {{&queue_ops, NULL}, NULL, &queue.first};

static vow_result
return_seven(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(7));
}

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

/* A task from its submission to the release of its future; NULL: inline. */
static unsigned long
count_submit_get(struct plain_queue *q)
{
    unsigned long before = vowi_rmw_count;
    vow_future *f = vow_submit(q != NULL ? &q->executor : NULL, return_seven, VOW_NIL);
    int64_t got;

    if (q != NULL)
        queue_run(q);
    got = vow_get(f).value.as.i64;
    vow_unref(f);
    assert_int_equal(got, 7);
    return vowi_rmw_count - before;
}

/* A promise with a chain of inline steps, from its making to the last release. */
static unsigned long
count_chain(int links)
{
    unsigned long before = vowi_rmw_count;
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    int64_t got;

    for (int i = 0; i < links; i++)
        f = vow_then(f, NULL, add_one, VOW_NIL);
    assert_true(vow_promise_fulfill(p, vow_i64(0)));
    vow_promise_unref(p);
    got = vow_get(f).value.as.i64;
    vow_unref(f);
    assert_int_equal(got, links);
    return vowi_rmw_count - before;
}

/* A chain of inline steps on what has settled and only this chain holds. */
static unsigned long
count_ready_chain(int links)
{
    unsigned long before;
    vow_future *f = vow_resolved(vow_i64(0));
    int64_t got;

    before = vowi_rmw_count;
    for (int i = 0; i < links; i++)
        f = vow_then(f, NULL, add_one, VOW_NIL);
    got = vow_get(f).value.as.i64;
    vow_unref(f);
    assert_int_equal(got, links);
    return vowi_rmw_count - before;
}

VOW_CASE(submit_and_get_take_few_steps)
{
    unsigned long count;

    for (int i = 0; i < WARM_UP; i++)
        count_submit_get(&queue);
    count = count_submit_get(&queue);

    print_message("submit + get: %lu\n", count);
    assert_in_range(count, 1, MOST_A_TASK);
}

VOW_CASE(submit_inline_and_get_take_few_steps)
{
    unsigned long count;

    for (int i = 0; i < WARM_UP; i++)
        count_submit_get(NULL);
    count = count_submit_get(NULL);

    print_message("submit inline + get: %lu\n", count);
    assert_in_range(count, 0, MOST_A_TASK);
}

VOW_CASE(a_pending_step_takes_few_steps)
{
    unsigned long one, many;

    for (int i = 0; i < WARM_UP; i++)
        count_chain(LINKS);
    one = count_chain(1);
    many = count_chain(1 + LINKS);

    print_message("promise + then + settle + get: %lu\n", one);
    print_message("each further pending then: %.2f\n", (double)(many - one) / LINKS);
    assert_in_range(many - one, LINKS, MOST_A_STEP * LINKS);
}

VOW_CASE(a_step_on_a_ready_future_takes_none)
{
    unsigned long count;

    for (int i = 0; i < WARM_UP; i++)
        count_ready_chain(LINKS);
    count = count_ready_chain(LINKS);

    print_message("%d ready thens: %lu\n", LINKS, count);
    assert_int_equal(count, 0);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(submit_and_get_take_few_steps),
        vow_test(submit_inline_and_get_take_few_steps),
        vow_test(a_pending_step_takes_few_steps),
        vow_test(a_step_on_a_ready_future_takes_none),
    };

    return vow_test_run(cases);
}
