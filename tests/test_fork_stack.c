/* SPDX-License-Identifier: MIT */
/*
 * What lies on the stack of a thread in the moment in which another one forks, or on the
 * stack of the one that does: in the child the first is used again, and the other goes on.
 */
#include "support/vow_test.h"

#include "support/child.h"
#include "support/drops.h"

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

/* ---- a notice ----------------------------------------------------------------------------- */

/* A thread that runs a loop until one future has settled, and inside that another. */
struct runner {
    vow_loop *loop;
    vow_future *outer, *inner;
};

static void
run_until_inner(void *ctx)
{
    struct runner *r = ctx;

    assert_int_equal(vow_loop_run_until(r->loop, r->inner), 0);
}

static void *
run_until_both(void *ctx)
{
    struct runner *r = ctx;

    assert_int_equal(vow_loop_run_until(r->loop, r->outer), 0);
    return NULL;
}

VOW_CASE(child_takes_the_notices_of_the_parent_off_their_futures)
{
    vow_promise *p = vow_promise_new(), *q = vow_promise_new();
    struct runner r = {.loop = vow_loop_new(NULL),
                       .outer = vow_promise_future(p),
                       .inner = vow_promise_future(q)};
    vow_future *step = vow_then(vow_ref(r.inner), NULL, add_one, VOW_NIL);
    pthread_t thread;
    pid_t pid;

    assert_int_equal(vow_post(vow_loop_executor(r.loop), run_until_inner, vow_ptr(&r)),
                     0);
    assert_int_equal(pthread_create(&thread, NULL, run_until_both, &r), 0);
    await_nodes(r.outer, 1);
    await_nodes(r.inner, 2);
    if (in_child(&pid)) {
        require(nodes_on(r.outer) == 0);
        require(nodes_on(r.inner) == 1); /* the step */
        dirty_all_stacks();
        vow_promise_fulfill(p, vow_i64(1));
        vow_promise_fulfill(q, vow_i64(1));
        require(vow_get(step).value.as.i64 == 2);
        leave(0);
    }
    assert_child_was_fine(pid);
    vow_promise_fulfill(q, vow_i64(4));
    vow_promise_fulfill(p, vow_i64(4));
    pthread_join(thread, NULL);
    assert_int_equal(vow_get(step).value.as.i64, 5);
    vow_promise_unref(p);
    vow_promise_unref(q);
    vow_unref(r.outer);
    vow_unref(r.inner);
    vow_unref(step);
    vow_loop_unref(r.loop);
}

/* Whoever settles is held up after it has taken the loop's notice, before its call. */
struct held_up {
    vow_notice notice; /* called before the loop's, being older */
    vow_promise *p;
    vow_future *f;
    pthread_t settler;
    atomic_int there, open;
    pid_t pid;
};

static void
hold_up(vow_notice *notice)
{
    struct held_up *h = (struct held_up *)(void *)notice;

    atomic_store(&h->there, 1);
    await_flag(&h->open, 1);
}

static void *
settle(void *ctx)
{
    struct held_up *h = ctx;

    vow_promise_fulfill(h->p, VOW_NIL);
    return NULL;
}

/* A callback of the loop. */
static void
fork_while_it_is_held_up(void *ctx)
{
    struct held_up *h = ctx;

    assert_int_equal(pthread_create(&h->settler, NULL, settle, h), 0);
    await_flag(&h->there, 1);
    if (!in_child(&h->pid))
        atomic_store(&h->open, 1);
}

VOW_CASE(loop_waits_in_the_child_for_no_call_of_a_thread_that_is_no_more)
{
    vow_loop *l = vow_loop_new(NULL);
    struct held_up h = {.notice.settled = hold_up, .p = vow_promise_new()};

    h.f = vow_promise_future(h.p);
    assert_true(vow_notice_attach(h.f, &h.notice));
    assert_int_equal(
        vow_post(vow_loop_executor(l), fork_while_it_is_held_up, vow_ptr(&h)), 0);
    assert_int_equal(vow_loop_run_until(l, h.f), 0);
    if (h.pid == 0)
        leave(0);
    pthread_join(h.settler, NULL);
    assert_child_was_fine(h.pid);
    vow_promise_unref(h.p);
    vow_unref(h.f);
    vow_loop_unref(l);
}

struct forker {
    vow_promise *p;
    pid_t pid;
};

/* A callback of the loop. What it is run for comes only in the parent. */
static void
fork_and_fulfill(void *ctx)
{
    struct forker *f = ctx;

    if (!in_child(&f->pid))
        vow_promise_fulfill(f->p, VOW_NIL);
}

/* The future names the loop, which is the parent's: the child is told. */
VOW_CASE(loop_that_is_run_until_what_was_left_behind_says_so)
{
    vow_loop *l = vow_loop_new(NULL);
    struct forker f = {.p = vow_promise_new()};
    vow_future *step =
        vow_then(vow_promise_future(f.p), vow_loop_executor(l), add_one, VOW_NIL);
    int rc;

    assert_int_equal(vow_post(vow_loop_executor(l), fork_and_fulfill, vow_ptr(&f)), 0);
    rc = vow_loop_run_until(l, step);
    if (f.pid == 0) {
        require(rc == VOW_E_FORKED);
        require(vow_future_status(step) == VOW_PENDING);
        leave(0);
    }
    assert_int_equal(rc, 0);
    assert_child_was_fine(f.pid);
    vow_promise_unref(f.p);
    vow_unref(step);
    vow_loop_unref(l);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(child_takes_the_notices_of_the_parent_off_their_futures),
        vow_test(loop_waits_in_the_child_for_no_call_of_a_thread_that_is_no_more),
        vow_test(loop_that_is_run_until_what_was_left_behind_says_so),
    };

    parent = getpid();
    return vow_test_run(cases);
}
