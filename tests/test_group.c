/* SPDX-License-Identifier: MIT */
/*
 * vow_group: who is waited for, who is cancelled, what the join says, who adds when, who
 * frees what.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <string.h>

#include "support/drops.h"
#include "support/prints.h"

enum { MOST = 16 };

static struct drop drops[MOST]; /* of the contexts */
static vow_manual *manual;
static vow_executor *on;

static void
begin(void)
{
    memset(drops, 0, sizeof drops);
    manual = vow_manual_new();
    on = vow_manual_executor(manual);
}

static void
end(void)
{
    vow_manual_unref(manual);
}

static int
dropped(size_t n)
{
    int count = 0;

    for (size_t i = 0; i < n; i++) {
        assert_true(drop_count(&drops[i]) <= 1);
        count += drop_count(&drops[i]);
    }
    return count;
}

static int
ran(size_t n)
{
    int count = 0;

    for (size_t i = 0; i < n; i++)
        count += atomic_load(&drops[i].ran);
    return count;
}

/* ---- children --------------------------------------------------------------------------- */

static vow_result
work(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(vow_i64(7));
}

static vow_result
no_page(void *ctx)
{
    drop_ran(ctx);
    return vow_fail(EIO, "no page");
}

static vow_result
no_right(void *ctx)
{
    drop_ran(ctx);
    return vow_fail(EPERM, "no right");
}

/* Says whether it should stop. */
static vow_result
look(void *seen)
{
    *(bool *)seen = vow_cancelled();
    return vow_ok(VOW_NIL);
}

static vow_result
follow(void *promise)
{
    return vow_follow(vow_promise_future(promise));
}

/* A hook: goes on. */
static void
goes_on(vow_promise *p, const vow_error *reason, void *asked)
{
    (void)p;
    *(int *)asked = vow_error_code(reason);
}

static int asked;

/* One that settles when the test says so, and only notes that it is asked to stop. */
static vow_promise *
stubborn(void)
{
    vow_promise *p = vow_promise_new();

    asked = 0;
    assert_non_null(vow_promise_on_cancel(p, NULL, goes_on, vow_ptr(&asked)));
    return p;
}

static void
settle(vow_promise *p)
{
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
}

static void
assert_join(vow_future *f, int code)
{
    assert_int_not_equal(vow_future_status(f), VOW_PENDING);
    assert_int_equal(vow_error_code(vow_peek(f).error), code);
    vow_unref(f);
}

static vow_group_figures
figures_of(vow_group *g)
{
    vow_group_figures figures = {.size = sizeof figures};

    vow_group_read(g, &figures);
    return figures;
}

/* ---- joining ---------------------------------------------------------------------------- */

VOW_CASE(group_of_none_joins_at_once)
{
    vow_future *f = vow_group_join(vow_group_new(NULL));

    assert_true(vow_is_nil(vow_peek(f).value));
    assert_join(f, 0);
}

VOW_CASE(join_settles_after_the_last_child)
{
    vow_group *g = vow_group_new(NULL);
    vow_future *f;

    begin();
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(vow_group_post(g, on, work, drop_value(&drops[i])), 0);
    f = vow_group_join(g);

    for (int i = 0; i < 3; i++) {
        assert_int_equal(vow_future_status(f), VOW_PENDING);
        vow_manual_step(manual);
    }
    assert_join(f, 0);
    assert_int_equal(dropped(3), 3);
    assert_int_equal(ran(3), 3);
    end();
}

static void
note_join(vow_view in, void *journal)
{
    (void)in;
    journal_add(journal, 'j');
}

static vow_result
give_back(void *value)
{
    return vow_ok(drop_value(value));
}

VOW_CASE(what_a_child_leaves_goes_before_the_join)
{
    struct journal journal = {0};
    struct drop value = {.journal = &journal, .mark = 'v'};
    struct drop ctx = {.journal = &journal, .mark = 'c'};
    vow_group *g = vow_group_new(NULL);

    begin();
    vow_group_post(g, on, give_back, vow_ptr(&value));
    vow_group_post(g, on, work, drop_value(&ctx));
    vow_on_settled(vow_group_join(g), NULL, note_join, vow_ptr(&journal));
    vow_manual_run(manual);
    assert_string_equal(journal.text, "vcj");
    end();
}

VOW_CASE(child_of_submit_has_a_value)
{
    vow_group *g = vow_group_new(NULL);
    vow_future *value = vow_group_submit(g, NULL, work, VOW_NIL);

    assert_join(vow_group_join(g), 0);
    assert_int_equal(vow_get(value).value.as.i64, 7);
    vow_unref(value);
}

VOW_CASE(child_ends_with_what_it_follows)
{
    vow_promise *p = vow_promise_new();
    vow_group *g = vow_group_new(NULL);
    vow_future *f;

    vow_group_post(g, NULL, follow, vow_ptr(p));
    f = vow_group_join(g);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    settle(p);
    assert_join(f, 0);
}

VOW_CASE(join_is_the_same_for_each_handle)
{
    vow_promise *p = vow_promise_new();
    vow_group *g = vow_group_new(NULL);
    vow_future *f[2];

    vow_group_add(g, vow_promise_future(p));
    f[0] = vow_group_join(vow_group_ref(g));
    settle(p);
    f[1] = vow_group_join(g);
    assert_ptr_equal(f[0], f[1]);
    assert_join(f[0], 0);
    assert_join(f[1], 0);
}

static vow_result
takes_handles(void *group)
{
    vow_group_unref(vow_group_ref(group));
    vow_unref(vow_group_join(vow_group_ref(group)));
    return vow_ok(VOW_NIL);
}

VOW_CASE(child_takes_a_handle_after_the_last_has_gone)
{
    vow_group *g = vow_group_new(NULL);
    vow_future *f;

    begin();
    vow_group_post(g, on, takes_handles, vow_ptr(g));
    vow_group_post(g, on, takes_handles, vow_ptr(g));
    f = vow_group_join(g);
    vow_manual_run(manual);
    assert_join(f, 0);
    end();
}

VOW_CASE(group_without_memory_lets_go_of_all)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    begin();
    assert_int_equal(vow_group_post(NULL, NULL, work, drop_value(&drops[0])),
                     VOW_E_NOMEM);
    assert_null(vow_group_submit(NULL, NULL, work, drop_value(&drops[1])));
    assert_int_equal(vow_group_add(NULL, vow_ref(f)), VOW_E_NOMEM);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_false(vow_group_cancel(NULL, vow_error_new(EIO, "why")));
    assert_null(vow_group_ref(NULL));
    assert_null(vow_group_token(NULL));
    assert_null(vow_group_join(NULL));
    assert_int_equal(figures_of(NULL).added, 0);
    vow_group_close(NULL);
    vow_group_unref(NULL);
    assert_int_equal(dropped(2), 2);
    assert_int_equal(ran(2), 0);
    vow_unref(f);
    vow_promise_unref(p);
    end();
}

/* ---- failing ---------------------------------------------------------------------------- */

VOW_CASE(first_error_cancels_the_rest)
{
    vow_group *g = vow_group_new(NULL);
    const vow_error *e;
    vow_future *f;

    begin();
    vow_group_post(g, on, work, drop_value(&drops[0]));
    vow_group_post(g, on, no_page, drop_value(&drops[1]));
    vow_group_post(g, on, work, drop_value(&drops[2]));
    f = vow_group_join(g);
    vow_manual_run(manual);

    e = vow_get(f).error;
    assert_int_equal(vow_error_code(e), EIO);
    assert_string_equal(vow_error_message(e), "no page");
    assert_int_equal(vow_error_index(e), 1);
    assert_int_equal(vow_error_count(e), 1);
    assert_int_equal(vow_error_code(vow_error_at(e, 0)), EIO);
    assert_null(vow_error_at(e, 1));
    assert_join(f, EIO);
    assert_int_equal(dropped(3), 3);
    assert_int_equal(ran(3), 2);
    end();
}

VOW_CASE(join_waits_for_those_that_were_cancelled)
{
    vow_promise *p = stubborn();
    vow_group *g = vow_group_new(NULL);
    vow_future *f;

    vow_group_add(g, vow_promise_future(p));
    f = vow_group_join(vow_group_ref(g));
    vow_group_post(g, NULL, no_page, VOW_NIL);
    vow_group_unref(g);

    assert_int_equal(asked, VOW_E_CANCELLED);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    settle(p);
    assert_join(f, EIO);
}

VOW_CASE(child_that_runs_sees_the_cancel)
{
    vow_group *g = vow_group_new(NULL);
    vow_promise *p = vow_promise_new();
    bool before = true, after = false;
    vow_token *token = vow_group_token(g);

    vow_group_post(g, NULL, look, vow_ptr(&before));
    assert_false(before);
    vow_group_post(g, NULL, follow, vow_ptr(p));
    vow_group_post(g, NULL, no_page, VOW_NIL);
    assert_true(vow_token_cancelled(token));
    assert_int_equal(vow_error_code(vow_token_reason(token)), EIO);
    assert_false(vow_promise_fulfill(p, VOW_NIL)); /* it was asked, too */
    assert_int_equal(vow_group_post(g, NULL, look, vow_ptr(&after)), VOW_E_CANCELLED);
    assert_false(after);
    vow_token_unref(token);
    vow_promise_unref(p);
    assert_join(vow_group_join(g), EIO);
}

VOW_CASE(all_errors_are_kept)
{
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.flags = VOW_KEEP_OTHERS));
    vow_future *f;
    const vow_error *e;

    begin();
    for (size_t i = 0; i < 16; i++)
        vow_group_post(g, on,
                       i % 2 == 0   ? work
                       : i % 4 == 1 ? no_page
                                    : no_right,
                       drop_value(&drops[i]));
    f = vow_group_join(g);
    vow_manual_run(manual);

    e = vow_get(f).error;
    assert_int_equal(ran(16), 16);
    assert_int_equal(vow_error_code(e), EIO);
    assert_int_equal(vow_error_index(e), 1);
    assert_int_equal(vow_error_count(e), 8);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(vow_error_code(vow_error_at(e, i)), i % 2 == 0 ? EIO : EPERM);
    vow_unref(f);
    end();
}

static vow_result
nobody_there(void *ctx)
{
    (void)ctx;
    return vow_err(vow_error_new_at("there:7", EIO, "nobody"));
}

static vow_result
group_inside(void *ctx)
{
    vow_group *g = vow_group_new(NULL);

    (void)ctx;
    vow_group_post(g, on, nobody_there, VOW_NIL);
    return vow_follow(vow_group_join(g));
}

VOW_CASE(print_of_a_join_names_each_error_once)
{
    static const char head[] = "error 5 at there:7: nobody [input 0] [input 0]\n";
    static const char other[] = "  and error 5 at there:7: nobody\n";
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.flags = VOW_KEEP_OTHERS));
    char expected[16 * sizeof other + sizeof head + 40];
    vow_future *f;
    int used;

    begin();
    vow_group_post(g, on, group_inside, VOW_NIL);
    vow_manual_run(manual);
    for (int i = 0; i < 18; i++)
        vow_group_post(g, on, nobody_there, VOW_NIL);
    f = vow_group_join(g);
    vow_manual_run(manual);
    used = snprintf(expected, sizeof expected, "%s", head);
    for (int i = 1; i < 16; i++)
        used += snprintf(expected + used, sizeof expected - (size_t)used, "%s", other);
    snprintf(expected + used, sizeof expected - (size_t)used,
             "  and what became of 3 more\n");
    assert_prints(vow_get(f).error, expected);
    vow_unref(f);
    end();
}

VOW_CASE(error_outlives_its_group)
{
    vow_group *g = vow_group_new(NULL);
    vow_future *f;
    vow_error *e;

    vow_group_post(g, NULL, no_page, VOW_NIL);
    f = vow_group_join(g);
    e = vow_error_ref(vow_get(f).error);
    vow_unref(f);
    assert_int_equal(vow_error_count(e), 1);
    assert_string_equal(vow_error_message(vow_error_at(e, 0)), "no page");
    vow_error_unref(e);
}

VOW_CASE(null_future_is_a_child_that_failed)
{
    vow_group *g = vow_group_new(NULL);

    assert_int_equal(vow_group_add(g, NULL), 0);
    assert_join(vow_group_join(g), VOW_E_NOMEM);
}

VOW_CASE(closed_executor_fails_the_child)
{
    vow_group *g = vow_group_new(NULL);

    begin();
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    assert_int_equal(vow_group_post(g, on, work, drop_value(&drops[0])), 0);
    assert_join(vow_group_join(g), VOW_E_CLOSED);
    assert_int_equal(dropped(1), 1);
    end();
}

VOW_CASE(cancelled_child_cancels_nobody)
{
    vow_group *g = vow_group_new(NULL);
    vow_future *one, *f;

    begin();
    one = vow_group_submit(g, on, work, drop_value(&drops[0]));
    vow_group_post(g, on, work, drop_value(&drops[1]));
    vow_future_cancel(one, vow_error_new(EINTR, "not wanted"));
    vow_unref(one);
    vow_manual_run(manual);
    f = vow_group_join(g);
    assert_int_equal(ran(2), 1);
    assert_int_equal(vow_error_code(vow_error_cause(vow_peek(f).error)), EINTR);
    assert_join(f, VOW_E_CANCELLED);
    end();
}

/* ---- cancelling ------------------------------------------------------------------------- */

VOW_CASE(cancel_stops_what_has_not_started)
{
    vow_group *g = vow_group_new(NULL);
    vow_future *f;

    begin();
    for (size_t i = 0; i < 3; i++)
        vow_group_post(g, on, work, drop_value(&drops[i]));
    assert_true(vow_group_cancel(g, vow_error_new(EINTR, "closed by hand")));
    assert_false(vow_group_cancel(g, NULL));
    assert_int_equal(dropped(3), 3);
    f = vow_group_join(g);
    assert_int_equal(vow_error_code(vow_error_cause(vow_peek(f).error)), EINTR);
    assert_join(f, VOW_E_CANCELLED);
    vow_manual_run(manual);
    assert_int_equal(ran(3), 0);
    end();
}

VOW_CASE(cancel_of_what_was_done_anyway_fails_nothing)
{
    vow_promise *p = stubborn();
    vow_group *g = vow_group_new(NULL);

    vow_group_add(g, vow_promise_future(p));
    vow_group_cancel(g, NULL);
    settle(p);
    assert_join(vow_group_join(g), 0);
}

VOW_CASE(cancel_first_is_what_the_join_says)
{
    vow_promise *p = stubborn();
    vow_group *g = vow_group_new(NULL);
    vow_future *f;

    vow_group_add(g, vow_promise_future(p));
    vow_group_cancel(g, NULL);
    vow_promise_reject(p, vow_error_new(EIO, "in consequence"));
    vow_promise_unref(p);
    f = vow_group_join(g);
    assert_int_equal(vow_error_count(vow_peek(f).error), 1);
    assert_int_equal(vow_error_code(vow_error_at(vow_peek(f).error, 0)), EIO);
    assert_int_equal(vow_error_index(vow_peek(f).error), -1);
    assert_join(f, VOW_E_CANCELLED);
}

VOW_CASE(cancel_of_the_join_waits_for_the_children)
{
    vow_promise *p = stubborn();
    vow_group *g = vow_group_new(NULL);
    vow_future *f;

    begin();
    vow_group_add(g, vow_promise_future(p));
    vow_group_post(g, on, work, drop_value(&drops[0]));
    f = vow_group_join(g);
    vow_future_cancel(f, vow_error_new(EINTR, "enough"));
    assert_int_equal(asked, VOW_E_CANCELLED);
    assert_int_equal(dropped(1), 1);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    settle(p);
    assert_int_equal(vow_error_code(vow_error_cause(vow_peek(f).error)), EINTR);
    assert_join(f, VOW_E_CANCELLED);
    end();
}

VOW_CASE(future_added_to_a_cancelled_group_is_asked_to_stop)
{
    vow_promise *p = stubborn();
    vow_group *g = vow_group_new(NULL);
    vow_future *f;

    vow_group_cancel(g, NULL);
    assert_int_equal(vow_group_add(g, vow_promise_future(p)), VOW_E_CANCELLED);
    assert_int_equal(asked, VOW_E_CANCELLED);
    f = vow_group_join(g);
    assert_int_equal(vow_future_status(f), VOW_PENDING); /* but waited for */
    settle(p);
    assert_join(f, 0);
}

VOW_CASE(refused_for_a_cancel_is_a_cancelled_future)
{
    vow_group *g = vow_group_new(NULL);
    vow_future *f;

    begin();
    vow_group_cancel(g, vow_error_new(EINTR, "enough"));
    f = vow_group_submit(g, on, work, drop_value(&drops[0]));
    assert_int_equal(vow_error_code(vow_error_cause(vow_peek(f).error)), EINTR);
    assert_join(f, VOW_E_CANCELLED);
    assert_int_equal(dropped(1), 1);
    assert_join(vow_group_join(g), VOW_E_CANCELLED);
    end();
}

VOW_CASE(token_given_cancels_the_group)
{
    vow_source *s = vow_source_new();
    vow_token *token = vow_source_token(s);
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.token = token));

    begin();
    vow_token_unref(token);
    vow_group_post(g, on, work, drop_value(&drops[0]));
    vow_source_cancel(s, vow_error_new(EINTR, "shut down"));
    vow_source_unref(s);
    assert_int_equal(dropped(1), 1);
    assert_int_equal(vow_group_post(g, on, work, VOW_NIL), VOW_E_CANCELLED);
    assert_join(vow_group_join(g), VOW_E_CANCELLED);
    end();
}

VOW_CASE(token_that_has_fired_cancels_a_new_group)
{
    vow_source *s = vow_source_new();
    vow_token *token = vow_source_token(s);
    vow_group *g;

    vow_source_cancel(s, NULL);
    g = vow_group_new(&VOW_GROUP_OPTIONS(.token = token));
    assert_int_equal(vow_group_post(g, NULL, work, VOW_NIL), VOW_E_CANCELLED);
    assert_join(vow_group_join(g), VOW_E_CANCELLED);
    vow_token_unref(token);
    vow_source_unref(s);
}

static vow_result
open_group(void *group)
{
    *(vow_group **)group = vow_group_new(NULL);
    return vow_ok(VOW_NIL);
}

VOW_CASE(group_opened_in_a_task_is_cancelled_with_it)
{
    vow_group *outer = vow_group_new(NULL);
    vow_group *inner = NULL;

    begin();
    vow_group_post(outer, NULL, open_group, vow_ptr(&inner));
    vow_group_post(inner, on, work, drop_value(&drops[0]));
    vow_group_cancel(outer, vow_error_new(EINTR, "enough"));
    assert_int_equal(dropped(1), 1);
    assert_join(vow_group_join(inner), VOW_E_CANCELLED);
    assert_join(vow_group_join(outer), 0); /* its only child was done */
    end();
}

/* ---- deadlines -------------------------------------------------------------------------- */

VOW_CASE(deadline_cancels_the_group)
{
    vow_promise *p = stubborn();
    vow_group *g;
    vow_future *f;

    begin();
    g = vow_group_new(&VOW_GROUP_OPTIONS(.clock = vow_manual_clock(manual),
                                         .deadline = vow_seconds(5)));
    vow_group_add(g, vow_promise_future(p));
    vow_manual_advance(manual, vow_seconds(5) - 1);
    assert_int_equal(asked, 0);
    vow_manual_advance(manual, 1);
    assert_int_equal(asked, VOW_E_CANCELLED);
    vow_promise_reject(p, vow_error_new(EIO, "in consequence"));
    vow_promise_unref(p);
    f = vow_group_join(g);
    assert_int_equal(vow_error_count(vow_peek(f).error), 1);
    assert_join(f, VOW_E_TIMEDOUT);
    end();
}

VOW_CASE(deadline_is_known_to_the_children)
{
    vow_group *g;
    vow_token *token;
    vow_clock *clock;

    begin();
    g = vow_group_new(&VOW_GROUP_OPTIONS(.clock = vow_manual_clock(manual),
                                         .deadline = vow_seconds(5)));
    token = vow_group_token(g);
    assert_int_equal(vow_token_deadline_of(token, &clock), vow_seconds(5));
    assert_ptr_equal(clock, vow_manual_clock(manual));
    vow_token_unref(token);
    assert_join(vow_group_join(g), 0);
    end();
}

VOW_CASE(deadline_that_has_passed_starts_nothing)
{
    vow_group *g;

    begin();
    vow_manual_advance(manual, vow_seconds(9));
    g = vow_group_new(&VOW_GROUP_OPTIONS(.clock = vow_manual_clock(manual),
                                         .deadline = vow_seconds(5)));
    assert_int_equal(vow_group_post(g, on, work, drop_value(&drops[0])), VOW_E_CANCELLED);
    assert_int_equal(dropped(1), 1);
    assert_join(vow_group_join(g), VOW_E_TIMEDOUT);
    end();
}

VOW_CASE(deadline_that_nobody_missed_is_forgotten)
{
    vow_group *g;
    vow_future *f;

    begin();
    g = vow_group_new(&VOW_GROUP_OPTIONS(.clock = vow_manual_clock(manual),
                                         .deadline = vow_seconds(5)));
    vow_group_post(g, on, work, drop_value(&drops[0]));
    f = vow_group_join(g);
    vow_manual_run(manual);
    vow_manual_advance(manual, vow_seconds(9));
    assert_join(f, 0);
    end();
}

/* ---- the limit -------------------------------------------------------------------------- */

static vow_promise *held[MOST];
static int held_count;

static vow_result
hold(void *ctx)
{
    drop_ran(ctx);
    held[held_count] = vow_promise_new();
    return vow_follow(vow_promise_future(held[held_count++]));
}

static void
let_go(int i)
{
    settle(held[i]);
    held[i] = NULL;
}

VOW_CASE(limit_is_never_exceeded_and_keeps_the_order)
{
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 2));
    vow_future *f;

    begin();
    held_count = 0;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(vow_group_post(g, NULL, hold, drop_value(&drops[i])), 0);
    assert_int_equal(held_count, 2);
    assert_int_equal(figures_of(g).running, 2);
    assert_int_equal(figures_of(g).waiting, 3);
    assert_int_equal(figures_of(g).pending, 5);
    f = vow_group_join(vow_group_ref(g));
    let_go(1);
    assert_int_equal(held_count, 3);
    assert_int_equal(atomic_load(&drops[2].ran), 1); /* the first in line */
    assert_int_equal(atomic_load(&drops[3].ran), 0);
    let_go(0);
    let_go(2);
    assert_int_equal(held_count, 5);
    let_go(4);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    let_go(3);
    assert_join(f, 0);
    assert_int_equal(figures_of(g).most, 2);
    assert_int_equal(figures_of(g).added, 5);
    assert_int_equal(figures_of(g).running, 0);
    assert_int_equal(dropped(5), 5);
    vow_group_unref(g);
    end();
}

VOW_CASE(child_in_line_leaves_it_by_a_cancel)
{
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 1));
    vow_future *second;

    begin();
    held_count = 0;
    vow_group_post(g, NULL, hold, drop_value(&drops[0]));
    second = vow_group_submit(g, NULL, hold, drop_value(&drops[1]));
    vow_group_post(g, NULL, hold, drop_value(&drops[2]));
    vow_future_cancel(second, NULL);
    assert_join(second, VOW_E_CANCELLED);
    assert_int_equal(figures_of(g).waiting, 1);
    assert_int_equal(drop_count(&drops[1]), 1);
    let_go(0);
    assert_int_equal(ran(3), 2);
    let_go(1);
    assert_join(vow_group_join(g), VOW_E_CANCELLED);
    end();
}

VOW_CASE(cancel_empties_the_line)
{
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 1));
    vow_future *f;

    begin();
    held_count = 0;
    for (size_t i = 0; i < 4; i++)
        vow_group_post(g, NULL, hold, drop_value(&drops[i]));
    f = vow_group_join(vow_group_ref(g));
    vow_group_cancel(g, NULL);
    vow_group_unref(g);
    assert_int_equal(dropped(4), 4);
    assert_int_equal(ran(4), 1);
    vow_promise_unref(held[0]);
    assert_join(f, VOW_E_CANCELLED);
    end();
}

/* What the step of one of several that settle together sees of another one. */
static vow_result
ask_for_status(vow_view how, void *other)
{
    (void)how;
    return vow_ok(vow_i64(vow_future_status(*(vow_future **)other)));
}

VOW_CASE(steps_on_what_a_cancel_takes_out_of_line_find_all_of_it_settled)
{
    vow_group *g;
    vow_future *other = NULL;
    vow_future *seen;

    begin();
    g = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 1));
    assert_int_equal(vow_group_post(g, on, work, drop_value(&drops[0])), 0);
    seen = vow_handle(vow_group_submit(g, on, work, drop_value(&drops[1])), NULL,
                      ask_for_status, vow_ptr(&other));
    other = vow_group_submit(g, on, work, drop_value(&drops[2]));
    assert_true(vow_group_cancel(g, NULL));
    assert_int_equal(code_of(seen), 0);
    assert_int_equal(vow_peek(seen).value.as.i64, VOW_REJECTED);
    vow_unref(seen);
    vow_ignore(other);
    vow_group_unref(g);
    end();
    assert_int_equal(dropped(3), 3);
}

VOW_CASE(error_starts_nobody_in_line)
{
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 1));

    begin();
    vow_group_post(g, on, no_page, drop_value(&drops[0]));
    vow_group_post(g, on, work, drop_value(&drops[1]));
    vow_group_post(g, on, work, drop_value(&drops[2]));
    vow_manual_run(manual);
    assert_int_equal(ran(3), 1);
    assert_int_equal(dropped(3), 3);
    assert_join(vow_group_join(g), EIO);
    end();
}

static vow_result
in_turns(void *ctx)
{
    struct drop *d = ctx;

    return d->ran++ < 3 ? vow_yield_task() : vow_ok(VOW_NIL);
}

VOW_CASE(child_in_line_may_yield_like_any_other)
{
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 1));

    begin();
    vow_group_post(g, on, in_turns, drop_value(&drops[0]));
    vow_group_post(g, on, in_turns, drop_value(&drops[1]));
    vow_manual_run(manual);
    assert_int_equal(ran(2), 8);
    assert_join(vow_group_join(g), 0);
    end();
}

VOW_CASE(futures_take_no_place_of_the_limit)
{
    vow_promise *p = vow_promise_new();
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 1));

    begin();
    vow_group_add(g, vow_promise_future(p));
    vow_group_post(g, NULL, work, drop_value(&drops[0]));
    assert_int_equal(ran(1), 1);
    settle(p);
    assert_join(vow_group_join(g), 0);
    end();
}

/* ---- options of a child ----------------------------------------------------------------- */

static vow_result
note_name(void *name)
{
    *(const char **)name = "ran";
    return vow_ok(VOW_NIL);
}

VOW_CASE(child_has_a_name_or_its_groups)
{
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.name = "the pages"));
    const char *ran_too = NULL;
    vow_future *f[3];

    begin();
    f[0] = vow_group_submit(g, on, work, VOW_NIL);
    f[1] = vow_group_submit_with(g, on, NULL, work, VOW_NIL);
    f[2] = vow_group_submit_with(g, on, &VOW_SUBMIT_OPTIONS(.name = "this one"),
                                 note_name, vow_ptr(&ran_too));
    assert_string_equal(vow_future_name(f[0]), "the pages");
    assert_string_equal(vow_future_name(f[1]), "the pages");
    assert_string_equal(vow_future_name(f[2]), "this one");
    vow_manual_run(manual);
    assert_string_equal(ran_too, "ran");
    for (int i = 0; i < 3; i++)
        vow_unref(f[i]);
    assert_join(vow_group_join(g), 0);
    assert_null(vow_group_submit_with(NULL, on, NULL, work, drop_value(&drops[0])));
    assert_int_equal(dropped(1), 1);
    end();
}

VOW_CASE(token_and_deadline_of_a_child_stop_that_child)
{
    vow_source *s = vow_source_new();
    vow_token *token = vow_source_token(s);
    vow_group *g = vow_group_new(NULL);
    vow_future *f[3];

    begin();
    f[0] = vow_group_submit_with(g, on, &VOW_SUBMIT_OPTIONS(.token = token), work,
                                 drop_value(&drops[0]));
    f[1] = vow_group_submit_with(g, on, &VOW_SUBMIT_OPTIONS(.deadline = vow_seconds(1)),
                                 work, drop_value(&drops[1]));
    f[2] = vow_group_submit_with(g, on, &VOW_SUBMIT_OPTIONS(.token = token), work,
                                 drop_value(&drops[2]));
    vow_group_post(g, on, work, drop_value(&drops[3]));
    vow_token_unref(token);
    vow_source_cancel(s, NULL);
    vow_source_unref(s);
    assert_int_equal(dropped(4), 2);
    vow_manual_advance(manual, 0);
    assert_int_equal(ran(4), 2);
    for (int i = 0; i < 3; i++)
        assert_join(f[i], i == 1 ? 0 : VOW_E_CANCELLED);
    assert_join(vow_group_join(g), VOW_E_CANCELLED);
    end();
}

VOW_CASE(options_of_a_child_in_line_wait_with_it)
{
    vow_source *s = vow_source_new();
    vow_token *token = vow_source_token(s);
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 1));
    vow_future *f;

    begin();
    held_count = 0;
    vow_group_post(g, NULL, hold, drop_value(&drops[0]));
    f = vow_group_submit_with(g, on, &VOW_SUBMIT_OPTIONS(.token = token), work,
                              drop_value(&drops[1]));
    vow_token_unref(token);
    vow_source_cancel(s, NULL);
    vow_source_unref(s);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    let_go(0);
    assert_join(f, VOW_E_CANCELLED);
    assert_int_equal(ran(2), 1);
    assert_int_equal(dropped(2), 2);
    assert_join(vow_group_join(g), VOW_E_CANCELLED);

    g = vow_group_new(NULL);
    f = vow_group_submit_with(g, on, NULL, work, drop_value(&drops[2]));
    vow_group_cancel(g, NULL); /* the group's is there in any case */
    assert_join(f, VOW_E_CANCELLED);
    assert_join(vow_group_join(g), VOW_E_CANCELLED);
    end();
}

/* ---- adding from within ----------------------------------------------------------------- */

struct tree {
    vow_group *group;
    vow_executor *on;
    atomic_int nodes, refused;
    atomic_int running, most;
};

struct node {
    struct tree *tree;
    int depth;
};

static struct node levels[8];

static void
begin_tree(struct tree *t, vow_group *g, vow_executor *where)
{
    memset(t, 0, sizeof *t);
    t->group = g;
    t->on = where;
    for (int i = 0; i < 8; i++)
        levels[i] = (struct node){t, i};
}

/* A node of a binary tree: adds those below it. */
static vow_result
grow(void *ctx)
{
    const struct node *n = ctx;
    struct tree *t = n->tree;
    int now = atomic_fetch_add(&t->running, 1) + 1;
    int most = atomic_load(&t->most);

    while (now > most && !atomic_compare_exchange_weak(&t->most, &most, now))
        ;
    atomic_fetch_add(&t->nodes, 1);
    for (int i = 0; i < 2 && n->depth > 0; i++)
        if (vow_group_post(t->group, t->on, grow, vow_ptr(&levels[n->depth - 1])) != 0)
            atomic_fetch_add(&t->refused, 1);
    atomic_fetch_sub(&t->running, 1);
    return vow_ok(VOW_NIL);
}

VOW_CASE(children_add_children_after_the_join)
{
    vow_group *g = vow_group_new(NULL);
    struct tree t;
    vow_future *f;

    begin();
    begin_tree(&t, g, on);
    vow_group_post(g, on, grow, vow_ptr(&levels[7]));
    f = vow_group_join(g);
    vow_manual_run(manual);
    assert_join(f, 0);
    assert_int_equal(t.nodes, 255);
    end();
}

VOW_CASE(children_add_children_on_a_pool_within_the_limit)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 4));
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 3));
    struct tree t;
    vow_future *f;

    begin_tree(&t, g, pool);
    vow_group_post(g, pool, grow, vow_ptr(&levels[7]));
    f = vow_group_join(g);
    assert_int_equal(code_of(f), 0);
    assert_int_equal(t.nodes, 255);
    assert_true(t.most <= 3);
    vow_unref(f);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    vow_executor_join(pool);
    vow_executor_unref(pool);
}

VOW_CASE(closed_group_takes_no_children_from_within)
{
    vow_group *g = vow_group_new(NULL);
    struct tree t;
    vow_future *f;

    begin();
    begin_tree(&t, g, on);
    vow_group_post(g, on, grow, vow_ptr(&levels[7]));
    vow_group_close(g);
    f = vow_group_join(g);
    vow_manual_run(manual);
    assert_join(f, 0);
    assert_int_equal(t.nodes, 1);
    assert_int_equal(t.refused, 2);
    end();
}

VOW_CASE(refused_by_a_closed_group_says_so)
{
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.name = "the pages"));
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_future *child;

    begin();
    vow_group_close(g);
    assert_int_equal(vow_group_post(g, on, work, drop_value(&drops[0])), VOW_E_CLOSED);
    child = vow_group_submit(g, on, work, drop_value(&drops[1]));
    assert_non_null(strstr(vow_error_message(vow_peek(child).error), "the pages"));
    assert_join(child, VOW_E_CLOSED);
    assert_int_equal(vow_group_add(g, vow_ref(f)), VOW_E_CLOSED);
    assert_join(f, VOW_E_CANCELLED);
    vow_promise_unref(p);
    assert_int_equal(dropped(2), 2);
    assert_join(vow_group_join(g), 0);
    end();
}

VOW_CASE(group_that_has_ended_takes_no_children)
{
    vow_group *g = vow_group_new(NULL);

    begin();
    assert_join(vow_group_join(vow_group_ref(g)), 0);
    assert_int_equal(vow_group_post(g, on, work, drop_value(&drops[0])), VOW_E_CLOSED);
    assert_int_equal(dropped(1), 1);
    assert_false(vow_group_cancel(g, NULL));
    vow_group_unref(g);
    end();
}

/* ---- groups in groups ------------------------------------------------------------------- */

VOW_CASE(parent_waits_for_a_group_within)
{
    vow_promise *p = vow_promise_new();
    vow_group *outer = vow_group_new(NULL);
    vow_group *inner = vow_group_new(&VOW_GROUP_OPTIONS(.parent = outer));
    vow_future *f = vow_group_join(outer);

    vow_group_add(inner, vow_promise_future(p));
    vow_unref(vow_group_join(inner));
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    settle(p);
    assert_join(f, 0);
}

VOW_CASE(cancel_goes_to_the_group_within)
{
    vow_group *outer = vow_group_new(NULL);
    vow_group *inner = vow_group_new(&VOW_GROUP_OPTIONS(.parent = outer));
    vow_future *f;

    begin();
    vow_group_post(inner, on, work, drop_value(&drops[0]));
    vow_group_cancel(outer, vow_error_new(EINTR, "enough"));
    assert_int_equal(dropped(1), 1);
    f = vow_group_join(outer);
    assert_int_equal(vow_future_status(f), VOW_PENDING); /* inner is open */
    assert_join(vow_group_join(inner), VOW_E_CANCELLED);
    assert_join(f, VOW_E_CANCELLED);
    end();
}

VOW_CASE(error_goes_to_the_group_around)
{
    vow_group *outer = vow_group_new(NULL);
    vow_group *inner = vow_group_new(&VOW_GROUP_OPTIONS(.parent = outer));
    vow_future *f = vow_group_join(outer);

    vow_group_post(inner, NULL, no_page, VOW_NIL);
    assert_join(vow_group_join(inner), EIO);
    assert_int_equal(vow_error_count(vow_error_at(vow_peek(f).error, 0)), 1);
    assert_join(f, EIO);
}

VOW_CASE(deadline_around_is_a_cancel_within)
{
    vow_group *outer, *inner;

    begin();
    outer = vow_group_new(&VOW_GROUP_OPTIONS(.clock = vow_manual_clock(manual),
                                             .deadline = vow_seconds(1)));
    inner = vow_group_new(&VOW_GROUP_OPTIONS(.parent = outer,
                                             .clock = vow_manual_clock(manual),
                                             .deadline = vow_seconds(9)));
    vow_group_post(inner, on, work, drop_value(&drops[0]));
    vow_manual_advance(manual, 0);
    vow_group_post(inner, NULL, follow, vow_ptr(NULL)); /* a NULL promise: no memory */
    assert_join(vow_group_join(inner), VOW_E_NOMEM);
    assert_join(vow_group_join(outer), VOW_E_NOMEM);

    outer = vow_group_new(&VOW_GROUP_OPTIONS(.clock = vow_manual_clock(manual),
                                             .deadline = vow_seconds(1)));
    inner = vow_group_new(&VOW_GROUP_OPTIONS(.parent = outer,
                                             .clock = vow_manual_clock(manual),
                                             .deadline = vow_seconds(9)));
    vow_group_add(inner, vow_sleep(vow_manual_clock(manual), vow_seconds(20)));
    vow_manual_advance(manual, vow_seconds(1));
    assert_join(vow_group_join(inner), VOW_E_CANCELLED);
    assert_join(vow_group_join(outer), VOW_E_TIMEDOUT);
    end();
}

VOW_CASE(closed_parent_takes_no_group)
{
    vow_group *outer = vow_group_new(NULL);
    vow_group *inner;

    begin();
    vow_group_close(outer);
    inner = vow_group_new(&VOW_GROUP_OPTIONS(.parent = outer));
    assert_int_equal(vow_group_post(inner, on, work, drop_value(&drops[0])),
                     VOW_E_CLOSED);
    assert_join(vow_group_join(inner), VOW_E_CLOSED);
    assert_join(vow_group_join(outer), 0);
    end();
}

VOW_CASE(cancelled_parent_takes_a_group_that_is_cancelled)
{
    vow_group *outer = vow_group_new(NULL);
    vow_group *inner;

    vow_group_cancel(outer, NULL);
    inner = vow_group_new(&VOW_GROUP_OPTIONS(.parent = outer));
    assert_int_equal(vow_group_post(inner, NULL, work, VOW_NIL), VOW_E_CANCELLED);
    assert_join(vow_group_join(inner), VOW_E_CANCELLED);
    assert_join(vow_group_join(outer), VOW_E_CANCELLED);
}

/* ---- dropped ---------------------------------------------------------------------------- */

static atomic_int unhandled;

static void
note_unhandled(const vow_unhandled *u, void *ctx)
{
    (void)ctx;
    atomic_store(&unhandled, vow_error_code(u->error));
}

VOW_CASE(dropped_group_is_cancelled_and_goes_with_its_children)
{
    vow_promise *p = stubborn();
    vow_group *g = vow_group_new(NULL);

    begin();
    atomic_store(&unhandled, 0);
    vow_on_unhandled(note_unhandled, NULL);
    vow_group_add(g, vow_promise_future(p));
    vow_group_post(g, on, work, drop_value(&drops[0]));
    vow_group_unref(g);
    assert_int_equal(asked, VOW_E_CANCELLED);
    assert_int_equal(dropped(1), 1);
    settle(p); /* and the memory goes: the teardown looks */
    assert_int_equal(unhandled, 0);
    vow_on_unhandled(NULL, NULL);
    end();
}

VOW_CASE(error_of_a_dropped_group_is_reported)
{
    vow_group *g = vow_group_new(NULL);

    atomic_store(&unhandled, 0);
    vow_on_unhandled(note_unhandled, NULL);
    vow_group_post(g, NULL, no_page, VOW_NIL);
    vow_group_unref(g);
    assert_int_equal(unhandled, EIO);

    atomic_store(&unhandled, 0);
    g = vow_group_new(NULL);
    vow_group_post(g, NULL, no_page, VOW_NIL);
    assert_join(vow_group_join(g), EIO); /* seen */
    assert_int_equal(unhandled, 0);
    vow_on_unhandled(NULL, NULL);
}

/* ---- long and deep ----------------------------------------------------------------------- */

enum { LONG = 100000, DEEP = 5000 };

static vow_result
count(void *counter)
{
    ++*(int *)counter;
    return vow_ok(VOW_NIL);
}

VOW_CASE(long_line_is_flat_on_the_stack)
{
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 1));
    int counter = 0;

    held_count = 0;
    vow_group_post(g, NULL, hold, VOW_NIL);
    for (int i = 0; i < LONG; i++)
        vow_group_post(g, NULL, count, vow_ptr(&counter));
    assert_int_equal(counter, 0);
    let_go(0);
    assert_int_equal(counter, LONG);
    assert_join(vow_group_join(g), 0);
}

static vow_group *nest[DEEP];

static void
make_nest(void)
{
    for (int i = 0; i < DEEP; i++)
        nest[i] = vow_group_new(&VOW_GROUP_OPTIONS(.parent = i > 0 ? nest[i - 1] : NULL));
}

/* Lets go of all but the outermost, whose join it returns. */
static vow_future *
join_nest(void)
{
    vow_future *f = vow_group_join(nest[0]);

    for (int i = 1; i < DEEP; i++)
        vow_unref(vow_group_join(nest[i]));
    return f;
}

VOW_CASE(groups_in_groups_are_flat_on_the_stack)
{
    vow_promise *p = vow_promise_new();
    vow_future *f;

    make_nest();
    vow_group_add(nest[DEEP - 1], vow_promise_future(p));
    f = join_nest();
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    settle(p);
    assert_join(f, 0);

    make_nest();
    p = stubborn();
    vow_group_add(nest[DEEP - 1], vow_promise_future(p));
    f = join_nest();
    vow_future_cancel(f, NULL);
    assert_int_equal(asked, VOW_E_CANCELLED);
    vow_promise_reject(p, vow_error_new(EIO, "at the bottom"));
    vow_promise_unref(p);
    assert_join(f, VOW_E_CANCELLED);

    make_nest();
    vow_group_post(nest[DEEP - 1], NULL, no_page, VOW_NIL);
    assert_join(join_nest(), EIO);
}

/* ---- out of memory ---------------------------------------------------------------------- */

/* All of one, in a group in a group, with a deadline and a line. */
static void
group_some(enum counting_mode mode)
{
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);

    begin();
    counting_each_failure(k, mode)
    {
        vow_promise *p = vow_promise_new();
        vow_group *outer, *g;
        vow_future *child, *f;

        memset(drops, 0, sizeof drops);
        outer = vow_group_new(NULL);
        g = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 1, .parent = outer,
                                             .clock = vow_manual_clock(manual),
                                             .deadline = vow_seconds(5)));
        for (size_t i = 0; i < 10; i++)
            vow_group_post(g, on, work, drop_value(&drops[i]));
        child = vow_group_submit_with(g, on, &VOW_SUBMIT_OPTIONS(.token = token), work,
                                      drop_value(&drops[10]));
        vow_group_add(g, vow_promise_future(p));
        f = vow_group_join(g);
        vow_manual_run(manual);
        vow_promise_fulfill(p, VOW_NIL);
        vow_promise_unref(p);
        assert_int_not_equal(vow_future_status(f), VOW_PENDING);
        assert_int_equal(dropped(11), 11);
        if (code_of(f) == 0)
            assert_int_equal(ran(11), 11); /* success is all of it */
        else
            assert_true(counting_failed());
        vow_ignore(child);
        vow_ignore(f);
        vow_ignore(vow_group_join(outer));
    }
    vow_token_unref(token);
    vow_source_unref(source);
    end();
}

VOW_CASE(group_without_memory_fails_and_drops_all_once)
{
    group_some(COUNTING_ONCE);
    group_some(COUNTING_ONWARDS);
}

static void
fail_some(enum counting_mode mode)
{
    begin();
    counting_each_failure(k, mode)
    {
        vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 2));
        vow_future *f, *child;

        memset(drops, 0, sizeof drops);
        vow_group_post(g, on, no_page, drop_value(&drops[0]));
        for (size_t i = 1; i < 8; i++)
            vow_group_post(g, on, work, drop_value(&drops[i]));
        vow_manual_run(manual);
        child = vow_group_submit(g, on, work, drop_value(&drops[8]));
        f = vow_group_join(g);
        assert_int_not_equal(vow_future_status(f), VOW_PENDING);
        assert_true(code_of(f) == EIO || code_of(f) == VOW_E_NOMEM);
        assert_true(code_of(f) == EIO || counting_failed());
        assert_int_equal(dropped(9), 9);
        vow_ignore(child);
        vow_ignore(f);
    }
    end();
}

VOW_CASE(group_without_memory_still_says_what_failed)
{
    fail_some(COUNTING_ONCE);
    fail_some(COUNTING_ONWARDS);
}

VOW_CASE(joining_and_cancelling_need_no_memory)
{
    vow_promise *p = stubborn();
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 1));
    vow_future *f;

    begin();
    held_count = 0;
    vow_group_add(g, vow_promise_future(p));
    vow_group_post(g, NULL, hold, drop_value(&drops[0]));
    vow_group_post(g, NULL, hold, drop_value(&drops[1]));
    counting_fail_at(1, COUNTING_ONWARDS);
    vow_group_close(g);
    f = vow_group_join(vow_group_ref(g));
    vow_group_cancel(g, NULL);
    vow_group_unref(g);
    vow_promise_unref(held[0]);
    settle(p);
    assert_join(f, VOW_E_CANCELLED);
    counting_fail_at(0, COUNTING_ONCE);
    assert_int_equal(dropped(2), 2);
    end();
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(group_of_none_joins_at_once),
        vow_test(join_settles_after_the_last_child),
        vow_test(what_a_child_leaves_goes_before_the_join),
        vow_test(child_of_submit_has_a_value),
        vow_test(child_ends_with_what_it_follows),
        vow_test(join_is_the_same_for_each_handle),
        vow_test(child_takes_a_handle_after_the_last_has_gone),
        vow_test(group_without_memory_lets_go_of_all),
        vow_test(first_error_cancels_the_rest),
        vow_test(join_waits_for_those_that_were_cancelled),
        vow_test(child_that_runs_sees_the_cancel),
        vow_test(all_errors_are_kept),
        vow_test(print_of_a_join_names_each_error_once),
        vow_test(error_outlives_its_group),
        vow_test(null_future_is_a_child_that_failed),
        vow_test(closed_executor_fails_the_child),
        vow_test(cancelled_child_cancels_nobody),
        vow_test(cancel_stops_what_has_not_started),
        vow_test(cancel_of_what_was_done_anyway_fails_nothing),
        vow_test(cancel_first_is_what_the_join_says),
        vow_test(cancel_of_the_join_waits_for_the_children),
        vow_test(future_added_to_a_cancelled_group_is_asked_to_stop),
        vow_test(refused_for_a_cancel_is_a_cancelled_future),
        vow_test(token_given_cancels_the_group),
        vow_test(token_that_has_fired_cancels_a_new_group),
        vow_test(group_opened_in_a_task_is_cancelled_with_it),
        vow_test(deadline_cancels_the_group),
        vow_test(deadline_is_known_to_the_children),
        vow_test(deadline_that_has_passed_starts_nothing),
        vow_test(deadline_that_nobody_missed_is_forgotten),
        vow_test(limit_is_never_exceeded_and_keeps_the_order),
        vow_test(child_in_line_leaves_it_by_a_cancel),
        vow_test(cancel_empties_the_line),
        vow_test(steps_on_what_a_cancel_takes_out_of_line_find_all_of_it_settled),
        vow_test(error_starts_nobody_in_line),
        vow_test(child_in_line_may_yield_like_any_other),
        vow_test(futures_take_no_place_of_the_limit),
        vow_test(child_has_a_name_or_its_groups),
        vow_test(token_and_deadline_of_a_child_stop_that_child),
        vow_test(options_of_a_child_in_line_wait_with_it),
        vow_test(children_add_children_after_the_join),
        vow_test(children_add_children_on_a_pool_within_the_limit),
        vow_test(closed_group_takes_no_children_from_within),
        vow_test(refused_by_a_closed_group_says_so),
        vow_test(group_that_has_ended_takes_no_children),
        vow_test(parent_waits_for_a_group_within),
        vow_test(cancel_goes_to_the_group_within),
        vow_test(error_goes_to_the_group_around),
        vow_test(deadline_around_is_a_cancel_within),
        vow_test(closed_parent_takes_no_group),
        vow_test(cancelled_parent_takes_a_group_that_is_cancelled),
        vow_test(dropped_group_is_cancelled_and_goes_with_its_children),
        vow_test(error_of_a_dropped_group_is_reported),
        vow_test(long_line_is_flat_on_the_stack),
        vow_test(groups_in_groups_are_flat_on_the_stack),
        vow_test(group_without_memory_fails_and_drops_all_once),
        vow_test(group_without_memory_still_says_what_failed),
        vow_test(joining_and_cancelling_need_no_memory),
    };

    return vow_test_run(cases);
}
