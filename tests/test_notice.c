/* SPDX-License-Identifier: MIT */
/* Notices: being told at once that a future has settled. */
#include "vow_test.h"

#include <vow/vow.h>

#include "drops.h"

struct told {
    vow_notice notice; /* first: all that its call gets */
    int calls;
    int steps_before;
};

static int steps;

static void
settled(vow_notice *n)
{
    struct told *t = (struct told *)(void *)n;

    t->calls++;
    t->steps_before = steps;
}

static struct told
told(void)
{
    return (struct told){.notice.settled = settled};
}

static vow_result
count_step(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    steps++;
    return vow_ok(VOW_NIL);
}

VOW_CASE(a_notice_is_called_once_when_it_settles)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    struct told t = told();

    assert_true(vow_notice_attach(f, &t.notice));
    assert_int_equal(t.calls, 0);
    vow_promise_fulfill(p, VOW_NIL);
    assert_int_equal(t.calls, 1);
    assert_false(vow_notice_detach(f, &t.notice));
    vow_unref(f);
    vow_promise_unref(p);
    assert_int_equal(t.calls, 1);
}

VOW_CASE(a_settled_future_takes_no_notice)
{
    vow_future *f = vow_resolved(VOW_NIL);
    struct told t = told();

    assert_false(vow_notice_attach(f, &t.notice));
    assert_false(vow_notice_attach(NULL, &t.notice));
    assert_false(vow_notice_detach(NULL, &t.notice));
    assert_int_equal(t.calls, 0);
    vow_unref(f);
}

VOW_CASE(one_that_was_called_off_is_not_called)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    struct told a = told(), b = told(), c = told();

    assert_true(vow_notice_attach(f, &a.notice));
    assert_true(vow_notice_attach(f, &b.notice));
    assert_true(vow_notice_attach(f, &c.notice));
    assert_true(vow_notice_detach(f, &b.notice));
    vow_promise_fulfill(p, VOW_NIL);
    assert_int_equal(a.calls + b.calls + c.calls, 2);
    assert_int_equal(b.calls, 0);
    vow_unref(f);
    vow_promise_unref(p);
}

static vow_result
settle_another(vow_value in, void *p)
{
    (void)in;
    vow_promise_fulfill(p, VOW_NIL);
    steps++; /* after the notice of what it settled, before that one's steps */
    return vow_ok(VOW_NIL);
}

VOW_CASE(it_does_not_wait_for_the_end_of_the_step_that_settles)
{
    vow_promise *p = vow_promise_new(), *q = vow_promise_new();
    vow_future *f = vow_then(vow_promise_future(p), NULL, settle_another, vow_ptr(q));
    vow_future *g = vow_promise_future(q);
    struct told t = told();

    steps = 0;
    vow_unref(vow_then(vow_ref(g), NULL, count_step, VOW_NIL));
    assert_true(vow_notice_attach(g, &t.notice));
    vow_promise_fulfill(p, VOW_NIL);
    assert_int_equal(t.calls, 1);
    assert_int_equal(t.steps_before, 0);
    assert_int_equal(steps, 2);
    vow_unref(f);
    vow_unref(g);
    vow_promise_unref(p);
    vow_promise_unref(q);
}

static int reported;

static void
report(const vow_unhandled *u, void *ctx)
{
    (void)u;
    (void)ctx;
    reported++;
}

VOW_CASE(it_is_no_look_at_the_error)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    struct told t = told();

    reported = 0;
    vow_on_unhandled(report, NULL);
    assert_true(vow_notice_attach(f, &t.notice));
    vow_promise_unref(p);
    assert_int_equal(t.calls, 1);
    vow_unref(f);
    vow_on_unhandled(NULL, NULL);
    assert_int_equal(reported, 1);
}

VOW_CASE(an_abandoned_promise_is_told_as_well)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    struct told t = told();

    assert_true(vow_notice_attach(f, &t.notice));
    vow_promise_abandon(p);
    assert_int_equal(t.calls, 1);
    vow_unref(f);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(a_notice_is_called_once_when_it_settles),
        vow_test(a_settled_future_takes_no_notice),
        vow_test(one_that_was_called_off_is_not_called),
        vow_test(it_does_not_wait_for_the_end_of_the_step_that_settles),
        vow_test(it_is_no_look_at_the_error),
        vow_test(an_abandoned_promise_is_told_as_well),
    };

    return vow_test_run(cases);
}
