/* SPDX-License-Identifier: MIT */
/* scenarios_group.c - groups: adding, closing, failing, cancelling, standing in line. */
#include <vow/vow.h>

#include <errno.h>

#include "explore.h"

static vow_promise *p, *q;
static vow_group *group;
static vow_future *f;
static int dropped, dropped_p, dropped_q; /* the context; the values of p and q */
static int ran, code;

/* ---- what the threads do ---------------------------------------------------------------- */

static void
drop(void *counter)
{
    ++*(int *)counter;
}

static vow_result
runs(void *ctx)
{
    (void)ctx;
    ran++;
    return vow_ok(VOW_NIL);
}

static vow_result
follows_p(void *ctx)
{
    (void)ctx;
    return vow_follow(vow_promise_future(p));
}

static void
posts(void)
{
    code = vow_group_post(group, NULL, runs, vow_own(&dropped, drop));
}

static void
posts_and_lets_go(void)
{
    posts();
    vow_group_unref(group);
}

static void
joins(void)
{
    f = vow_group_join(group);
}

static void
lets_go(void)
{
    vow_group_unref(group);
}

static void
closes(void)
{
    vow_group_close(group);
}

static void
cancels(void)
{
    vow_group_cancel(group, NULL);
}

static void
cancels_the_join(void)
{
    vow_future_cancel(f, NULL);
}

static void
fulfills_p(void)
{
    vow_promise_fulfill(p, vow_own(&dropped_p, drop));
    vow_promise_unref(p);
}

static void
fulfills_q(void)
{
    vow_promise_fulfill(q, vow_own(&dropped_q, drop));
    vow_promise_unref(q);
}

static void
rejects_p(void)
{
    vow_promise_reject(p, vow_error_new(EIO, "p"));
    vow_promise_unref(p);
}

static void
rejects_q(void)
{
    vow_promise_reject(q, vow_error_new(EPERM, "q"));
    vow_promise_unref(q);
}

static void
gets_and_drops(void)
{
    code = vow_error_code(vow_get(f).error);
    vow_unref(f);
}

static void
make(size_t limit)
{
    group = vow_group_new(&VOW_GROUP_OPTIONS(.limit = limit));
    p = vow_promise_new();
    vow_group_add(group, vow_promise_future(p));
}

static const char *
how_it_ended(void)
{
    const char *how = "pending";

    if (vow_future_status(f) != VOW_PENDING) {
        int error = vow_error_code(vow_get(f).error);

        how = error == 0 ? "done" : error == VOW_E_CANCELLED ? "cancelled" : "failed";
    }
    vow_unref(f);
    return how;
}

/* ---- adding ------------------------------------------------------------------------------ */

SCENARIO(group_post_join, 0, "a child is added as the group is joined, and so ends",
         EXPECTED("ran 1, done", "it was first"),
         EXPECTED("ran 0, done", "the group had ended"))
{
    group = vow_group_new(NULL);
    vow_group_ref(group);
    run_threads(posts_and_lets_go, joins);
    require(dropped == 1 && (code == 0) == (ran == 1));
    require(code == 0 || code == VOW_E_CLOSED);
    outcome("ran %d, %s", ran, how_it_ended());
}

SCENARIO(group_post_close, 0, "a child is added as the group is closed",
         EXPECTED("ran 1, done", "it was first"), EXPECTED("ran 0, done", "or the close"))
{
    group = vow_group_new(NULL);
    run_threads(posts, closes);
    joins();
    require(dropped == 1 && (code == 0) == (ran == 1));
    outcome("ran %d, %s", ran, how_it_ended());
}

SCENARIO(group_post_cancel, 0, "a child is added as the group is cancelled",
         EXPECTED("ran 1, done", "it was first"),
         EXPECTED("ran 0, cancelled", "or the cancel"))
{
    group = vow_group_new(NULL);
    run_threads(posts, cancels);
    joins();
    require(dropped == 1);
    outcome("ran %d, %s", ran, how_it_ended());
}

static int dropped_too, code_too;

static void
posts_too(void)
{
    code_too = vow_group_post(group, NULL, follows_p, vow_own(&dropped_too, drop));
}

SCENARIO(group_post_post, 0, "two threads add a child each, to a group for one at a time",
         EXPECTED("ran 1, done", "one after the other"))
{
    group = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 1));
    p = vow_promise_new();
    vow_promise_fulfill(p, VOW_NIL);
    run_threads(posts, posts_too);
    vow_promise_unref(p);
    joins();
    require(dropped == 1 && dropped_too == 1 && code == 0 && code_too == 0);
    outcome("ran %d, %s", ran, how_it_ended());
}

/* ---- settling ---------------------------------------------------------------------------- */

SCENARIO(group_settle_join, 0, "the last child settles as the group is joined",
         EXPECTED("done", "whichever was first"))
{
    make(0);
    run_threads(fulfills_p, joins);
    require(dropped_p == 1);
    outcome("%s", how_it_ended());
}

/* The child's own thread, until it settles. */
static void
takes_a_handle_and_settles(void)
{
    vow_group_unref(vow_group_ref(group));
    fulfills_p();
}

SCENARIO(group_child_ref_join, 0, "a child takes a handle as the last one is joined",
         EXPECTED("done", "whichever was last"))
{
    make(0);
    run_threads(takes_a_handle_and_settles, joins);
    require(dropped_p == 1);
    outcome("%s", how_it_ended());
}

SCENARIO(group_settle_get, 0, "a thread sleeps for a group, and lets go of it",
         EXPECTED("done, dropped 1", "whichever was first"))
{
    make(0);
    joins();
    run_threads(fulfills_p, gets_and_drops);
    outcome("%s, dropped %d", code == 0 ? "done" : "failed", dropped_p);
}

SCENARIO(group_two_settle, 0, "the last two children settle together",
         EXPECTED("done, dropped 2", "whichever was last"))
{
    make(0);
    q = vow_promise_new();
    vow_group_add(group, vow_promise_future(q));
    joins();
    run_threads(fulfills_p, fulfills_q);
    outcome("%s, dropped %d", how_it_ended(), dropped_p + dropped_q);
}

static int given, back, hooked, unhooked;
static int left; /* of what the children had, as the join settles */

static vow_result
gives_back(void *ctx)
{
    (void)ctx;
    given++;
    return vow_ok(vow_own(&back, drop));
}

static void
posts_one_that_gives_back(void)
{
    code = vow_group_post(group, NULL, gives_back, VOW_NIL);
    vow_group_unref(group);
}

static void
hook(vow_promise *promise, const vow_error *reason, void *ctx)
{
    (void)promise;
    (void)reason;
    (void)ctx;
    hooked++;
    vow_group_close(group);
    unhooked++;
}

static void
looks_what_is_left(vow_view in, void *ctx)
{
    (void)in;
    (void)ctx;
    left = given - back + hooked - unhooked;
}

SCENARIO(group_values_first, 0, "a child's value has gone when the join settles",
         EXPECTED("left 0, given 1", "whichever was last"),
         EXPECTED("left 0, given 0", "the group had ended"))
{
    make(0);
    f = vow_group_join(vow_group_ref(group));
    left = 9;
    require(vow_on_settled(f, NULL, looks_what_is_left, VOW_NIL));
    run_threads(posts_one_that_gives_back, fulfills_p);
    outcome("left %d, given %d", left, given);
}

SCENARIO(group_hook_first, 0, "a hook that asked a child to stop has returned, likewise",
         EXPECTED("left 0", "whichever was last"))
{
    make(0);
    vow_promise_on_cancel(p, NULL, hook, VOW_NIL);
    f = vow_group_join(vow_group_ref(group));
    left = 9;
    require(vow_on_settled(f, NULL, looks_what_is_left, VOW_NIL));
    run_threads(fulfills_p, cancels);
    vow_group_unref(group);
    outcome("left %d", left);
}

SCENARIO(group_two_fail, 0, "two children fail together, and each would cancel the other",
         EXPECTED("child 0 of 1", "p failed, and q was cancelled"),
         EXPECTED("child 1 of 1", "or q, and p was"),
         EXPECTED("child 0 of 2", "p failed, and then q"),
         EXPECTED("child 1 of 2", "or q, and then p"))
{
    const vow_error *e;

    make(0);
    q = vow_promise_new();
    vow_group_add(group, vow_promise_future(q));
    joins();
    run_threads(rejects_p, rejects_q);
    e = vow_get(f).error;
    outcome("child %d of %d", (int)vow_error_index(e), (int)vow_error_count(e));
    vow_unref(f);
}

SCENARIO(group_fail_settle, 0, "a child fails as another one settles",
         EXPECTED("dropped 1", "before or after it was asked to stop"))
{
    make(0);
    q = vow_promise_new();
    vow_group_add(group, vow_promise_future(q));
    joins();
    run_threads(rejects_p, fulfills_q);
    require(vow_error_code(vow_get(f).error) == EIO);
    require(vow_error_count(vow_get(f).error) == 1);
    vow_unref(f);
    outcome("dropped %d", dropped_q);
}

/* ---- cancelling --------------------------------------------------------------------------- */

SCENARIO(group_cancel_settle, 0, "the last child settles as the group is cancelled",
         EXPECTED("done", "it was first"), EXPECTED("cancelled", "or the cancel"))
{
    make(0);
    f = vow_group_join(vow_group_ref(group));
    run_threads(fulfills_p, cancels);
    vow_group_unref(group);
    require(dropped_p == 1);
    outcome("%s", how_it_ended());
}

SCENARIO(group_cancel_of_join_settle, 0, "the same, by the future of the join",
         EXPECTED("done", "it was first"), EXPECTED("cancelled", "or the cancel"))
{
    make(0);
    joins();
    run_threads(fulfills_p, cancels_the_join);
    require(dropped_p == 1);
    outcome("%s", how_it_ended());
}

SCENARIO(group_drop_settle, 0, "the last handle goes as the last child settles",
         EXPECTED("dropped 1", "and nothing is left"))
{
    make(0);
    run_threads(fulfills_p, lets_go);
    outcome("dropped %d", dropped_p);
}

/* ---- in line ------------------------------------------------------------------------------ */

static void
make_line(void)
{
    group = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 1));
    p = vow_promise_new();
    vow_group_post(group, NULL, follows_p, VOW_NIL);
}

SCENARIO(group_line_up_settle, 0, "a child finds no place as the one that has it settles",
         EXPECTED("ran 1, done", "it runs, here or there"))
{
    make_line();
    run_threads(posts, fulfills_p);
    joins();
    require(dropped == 1 && dropped_p == 1);
    outcome("ran %d, %s", ran, how_it_ended());
}

SCENARIO(group_line_cancel_settle, 0, "the place is passed on as the group is cancelled",
         EXPECTED("ran 1, done", "it was passed on before"),
         EXPECTED("ran 0, cancelled", "or not"))
{
    make_line();
    posts();
    f = vow_group_join(vow_group_ref(group));
    run_threads(fulfills_p, cancels);
    vow_group_unref(group);
    require(dropped == 1 && dropped_p == 1);
    outcome("ran %d, %s", ran, how_it_ended());
}

static vow_future *second;

static void
cancels_second(void)
{
    vow_future_cancel(second, NULL);
    vow_unref(second);
}

SCENARIO(group_leave_line_settle, 0, "a child leaves the line as it would have its turn",
         EXPECTED("ran 1, done", "it had it"), EXPECTED("ran 0, cancelled", "or not"))
{
    make_line();
    second = vow_group_submit(group, NULL, runs, vow_own(&dropped, drop));
    joins();
    run_threads(fulfills_p, cancels_second);
    require(dropped == 1 && dropped_p == 1);
    outcome("ran %d, %s", ran, how_it_ended());
}
