/* SPDX-License-Identifier: MIT */
/*
 * Sources and tokens: a fact that comes true once, who is told of it, in which thread
 * and order, and what removing a registration answers.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <string.h>

#include "core/token.h"
#include "support/drops.h"

enum { MANY = 1000, DEEP = 100000 };

/* A source and a token of it. */
struct pair {
    vow_source *source;
    vow_token *token;
};

static struct pair
pair_new(void)
{
    struct pair p = {.source = vow_source_new()};

    p.token = vow_source_token(p.source);
    assert_non_null(p.token);
    return p;
}

static void
pair_free(struct pair *p)
{
    vow_source_unref(p->source);
    vow_token_unref(p->token);
}

static void
count_call(void *ctx)
{
    drop_ran(ctx);
}

static void
never_call(void *ctx)
{
    (void)ctx;
    fail_msg("a callback ran that was removed");
}

static vow_registration *
register_drop(vow_token *t, vow_executor *on, struct drop *d)
{
    vow_registration *r = vow_token_on_cancel(t, on, count_call, drop_value(d));

    assert_non_null(r);
    return r;
}

/* The fact. */

VOW_CASE(source_fires_its_token_once_and_the_first_reason_stays)
{
    struct drop first = {0};
    struct drop second = {0};
    struct pair p = pair_new();

    assert_false(vow_token_cancelled(p.token));
    assert_null(vow_token_reason(p.token));
    assert_int_equal(vow_token_cancelled_at(p.token), VOW_FOREVER);
    assert_true(vow_source_cancel(p.source, drop_error(&first, EINTR)));
    assert_false(vow_source_cancel(p.source, drop_error(&second, EIO)));

    assert_int_equal(drop_count(&second), 1);
    assert_true(vow_token_cancelled(p.token));
    assert_int_equal(vow_error_code(vow_token_reason(p.token)), EINTR);
    assert_int_equal(drop_count(&first), 0);
    pair_free(&p);
    assert_int_equal(drop_count(&first), 1);
}

VOW_CASE(source_notes_when_it_fired)
{
    vow_manual *m = vow_manual_new();
    struct pair p = pair_new();

    vow_clock_use(vow_manual_clock(m));
    vow_manual_advance(m, 70);
    vow_source_cancel(p.source, NULL);
    vow_manual_advance(m, 30);
    vow_clock_use(NULL);

    assert_int_equal(vow_token_cancelled_at(p.token), 70);
    pair_free(&p);
    vow_manual_unref(m);
}

VOW_CASE(source_without_a_reason_gives_a_cancellation)
{
    struct pair p = pair_new();

    vow_source_cancel(p.source, NULL);

    assert_int_equal(vow_error_code(vow_token_reason(p.token)), VOW_E_CANCELLED);
    pair_free(&p);
}

VOW_CASE(token_outlives_its_source_and_stays_as_it_was)
{
    struct drop d = {0};
    struct pair p = pair_new();
    struct pair q = pair_new();

    vow_source_unref(p.source);
    vow_source_cancel(q.source, drop_error(&d, EINTR));
    vow_source_unref(q.source);

    assert_false(vow_token_cancelled(p.token));
    assert_true(vow_token_cancelled(q.token));
    assert_int_equal(vow_error_code(vow_token_reason(q.token)), EINTR);
    vow_token_unref(p.token);
    vow_token_unref(q.token);
    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(source_and_token_are_counted)
{
    struct pair p = pair_new();

    assert_ptr_equal(vow_source_ref(p.source), p.source);
    assert_ptr_equal(vow_token_ref(p.token), p.token);
    vow_source_unref(p.source);
    vow_token_unref(p.token);
    assert_true(vow_source_cancel(p.source, NULL));
    assert_true(vow_token_cancelled(p.token));

    pair_free(&p);
}

VOW_CASE(token_null_never_fires)
{
    struct drop d = {0};
    struct drop reason = {0};
    vow_registration *r = register_drop(NULL, NULL, &d);

    assert_false(vow_token_cancelled(NULL));
    assert_null(vow_token_reason(NULL));
    assert_int_equal(vow_token_cancelled_at(NULL), VOW_FOREVER);
    assert_int_equal(vow_token_deadline_of(NULL, NULL), VOW_FOREVER);
    assert_null(vow_token_ref(NULL));
    vow_token_unref(NULL);
    assert_int_equal(vow_registration_remove(r), VOW_REMOVED);
    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(d.ran, 0);
    assert_int_equal(vow_registration_remove(NULL), VOW_RAN);
    assert_int_equal(vow_registration_remove_wait(NULL), VOW_RAN);

    assert_null(vow_source_ref(NULL));
    assert_null(vow_source_token(NULL));
    assert_false(vow_source_cancel(NULL, drop_error(&reason, EINTR)));
    assert_int_equal(drop_count(&reason), 1);
    vow_source_unref(NULL);
}

/* Callbacks. */

VOW_CASE(callback_runs_once_in_the_thread_that_cancels)
{
    struct drop d = {0};
    struct pair p = pair_new();
    vow_registration *r = register_drop(p.token, NULL, &d);

    assert_int_equal(d.ran, 0);
    vow_source_cancel(p.source, NULL);
    assert_int_equal(d.ran, 1);
    assert_int_equal(drop_count(&d), 1);
    assert_true(pthread_equal(d.thread, pthread_self()));
    vow_source_cancel(p.source, NULL);

    assert_int_equal(d.ran, 1);
    assert_int_equal(vow_registration_remove(r), VOW_RAN);
    assert_int_equal(drop_count(&d), 1);
    pair_free(&p);
}

static void
note_call(void *ctx)
{
    struct drop *d = ctx;

    journal_add(d->journal, (char)(d->mark - 'a' + 'A'));
}

VOW_CASE(callbacks_run_in_the_order_of_their_registration)
{
    struct journal j = {0};
    struct drop d[3] = {{.journal = &j, .mark = 'a'},
                        {.journal = &j, .mark = 'b'},
                        {.journal = &j, .mark = 'c'}};
    vow_registration *r[3];
    struct pair p = pair_new();

    for (int i = 0; i < 3; i++)
        r[i] = vow_token_on_cancel(p.token, NULL, note_call, drop_value(&d[i]));
    vow_source_cancel(p.source, NULL);

    assert_string_equal(j.text, "AaBbCc");
    for (int i = 0; i < 3; i++)
        assert_int_equal(vow_registration_remove(r[i]), VOW_RAN);
    pair_free(&p);
}

VOW_CASE(callback_on_a_fired_token_runs_before_the_call_returns)
{
    struct drop d = {0};
    struct pair p = pair_new();
    vow_registration *r;

    vow_source_cancel(p.source, NULL);
    r = register_drop(p.token, NULL, &d);

    assert_int_equal(d.ran, 1);
    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(vow_registration_remove(r), VOW_RAN);
    pair_free(&p);
}

VOW_CASE(callback_is_posted_to_its_executor_whenever_it_registers)
{
    struct drop before = {0};
    struct drop after = {0};
    vow_manual *m = vow_manual_new();
    struct pair p = pair_new();
    vow_registration *r = register_drop(p.token, vow_manual_executor(m), &before);
    vow_registration *s;

    vow_source_cancel(p.source, NULL);
    s = register_drop(p.token, vow_manual_executor(m), &after);
    assert_int_equal(before.ran + after.ran, 0);
    assert_int_equal(vow_manual_run(m), 2);

    assert_int_equal(before.ran, 1);
    assert_int_equal(after.ran, 1);
    assert_int_equal(vow_registration_remove(r), VOW_RAN);
    assert_int_equal(vow_registration_remove_wait(s), VOW_RAN);
    pair_free(&p);
    vow_manual_unref(m);
}

/* What a step sees of callbacks that are fired or registered in it. */
struct inside {
    struct pair pair;
    struct drop registered, late;
    vow_registration *r, *s;
    int ran;
};

static vow_result
cancel_inside(void *ctx)
{
    struct inside *i = ctx;

    vow_source_cancel(i->pair.source, NULL);
    assert_true(vow_token_cancelled(i->pair.token));
    i->s = register_drop(i->pair.token, NULL, &i->late);
    i->ran = i->registered.ran + i->late.ran;
    return vow_ok(VOW_NIL);
}

VOW_CASE(callbacks_fired_inside_a_step_run_right_after_it)
{
    struct inside i = {.pair = pair_new(), .ran = -1};

    i.r = register_drop(i.pair.token, NULL, &i.registered);
    vow_unref(vow_submit(NULL, cancel_inside, vow_ptr(&i)));

    assert_int_equal(i.ran, 0);
    assert_int_equal(i.registered.ran, 1);
    assert_int_equal(i.late.ran, 1);
    assert_int_equal(vow_registration_remove(i.r), VOW_RAN);
    assert_int_equal(vow_registration_remove(i.s), VOW_RAN);
    pair_free(&i.pair);
}

VOW_CASE(callback_that_a_closed_executor_refuses_is_dropped)
{
    struct drop early = {0};
    struct drop late = {0};
    vow_manual *m = vow_manual_new();
    struct pair p = pair_new();
    vow_registration *r = register_drop(p.token, vow_manual_executor(m), &early);
    vow_registration *s;

    vow_unref(vow_executor_close(vow_manual_executor(m), VOW_DRAIN));
    vow_source_cancel(p.source, NULL);
    s = register_drop(p.token, vow_manual_executor(m), &late);

    assert_int_equal(drop_count(&early), 1);
    assert_int_equal(drop_count(&late), 1);
    assert_int_equal(vow_registration_remove(r), VOW_REMOVED);
    assert_int_equal(vow_registration_remove_wait(s), VOW_REMOVED);
    assert_int_equal(early.ran + late.ran, 0);
    pair_free(&p);
    vow_manual_unref(m);
}

VOW_CASE(callback_left_in_an_executor_that_goes_is_dropped)
{
    struct drop d = {0};
    vow_manual *m = vow_manual_new();
    struct pair p = pair_new();
    vow_registration *r = register_drop(p.token, vow_manual_executor(m), &d);

    vow_source_cancel(p.source, NULL);
    vow_manual_unref(m);

    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(d.ran, 0);
    assert_int_equal(vow_registration_remove(r), VOW_REMOVED);
    pair_free(&p);
}

/* Removing. */

VOW_CASE(registration_removed_in_time_never_runs_and_drops_its_context)
{
    struct drop d = {0};
    struct pair p = pair_new();
    vow_registration *r = register_drop(p.token, NULL, &d);

    assert_int_equal(vow_registration_remove(r), VOW_REMOVED);
    assert_int_equal(drop_count(&d), 1);
    vow_source_cancel(p.source, NULL);

    assert_int_equal(d.ran, 0);
    assert_int_equal(drop_count(&d), 1);
    pair_free(&p);
}

VOW_CASE(registration_keeps_its_token_until_it_is_removed)
{
    struct drop d = {0};
    struct pair p = pair_new();
    vow_registration *r = register_drop(p.token, NULL, &d);

    pair_free(&p);
    assert_int_equal(drop_count(&d), 0);

    assert_int_equal(vow_registration_remove(r), VOW_REMOVED);
    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(registration_keeps_its_executor_until_it_is_removed)
{
    struct drop d = {0};
    vow_manual *m = vow_manual_new();
    struct pair p = pair_new();
    vow_registration *r = register_drop(p.token, vow_manual_executor(m), &d);

    vow_manual_unref(m);
    assert_int_equal(vow_registration_remove(r), VOW_REMOVED);

    assert_int_equal(drop_count(&d), 1);
    pair_free(&p);
}

VOW_CASE(registration_removed_while_its_callback_is_queued_never_runs)
{
    struct drop d = {0};
    vow_manual *m = vow_manual_new();
    struct pair p = pair_new();
    vow_registration *r =
        vow_token_on_cancel(p.token, vow_manual_executor(m), never_call, drop_value(&d));

    vow_source_cancel(p.source, NULL);
    assert_int_equal(vow_registration_remove(r), VOW_REMOVED);
    assert_int_equal(drop_count(&d), 1);
    pair_free(&p);
    vow_manual_run(m);

    assert_int_equal(drop_count(&d), 1);
    vow_manual_unref(m);
}

VOW_CASE(registration_removed_while_its_callback_is_queued_may_be_left_there)
{
    struct drop d = {0};
    vow_manual *m = vow_manual_new();
    struct pair p = pair_new();
    vow_registration *r =
        vow_token_on_cancel(p.token, vow_manual_executor(m), never_call, drop_value(&d));

    vow_source_cancel(p.source, NULL);
    assert_int_equal(vow_registration_remove_wait(r), VOW_REMOVED);
    pair_free(&p);
    vow_manual_unref(m);

    assert_int_equal(drop_count(&d), 1);
}

/* A callback that removes registrations, its own perhaps. */
struct remover {
    struct drop ctx;
    vow_registration *r;
    bool wait;
    int removal;
    int dropped; /* when the remove had returned */
};

static void
remove_it(void *ctx)
{
    struct drop *d = ctx;
    struct remover *m =
        (struct remover *)(void *)((char *)d - offsetof(struct remover, ctx));

    drop_ran(d);
    m->removal = m->wait ? (int)vow_registration_remove_wait(m->r)
                         : (int)vow_registration_remove(m->r);
    m->dropped = drop_count(d);
}

static void
removes_itself(bool wait)
{
    struct remover m = {.wait = wait, .removal = -1};
    struct pair p = pair_new();

    m.r = vow_token_on_cancel(p.token, NULL, remove_it, drop_value(&m.ctx));
    vow_source_cancel(p.source, NULL);

    assert_int_equal(m.removal, VOW_RUNNING);
    assert_int_equal(m.dropped, 0);
    assert_int_equal(m.ctx.ran, 1);
    assert_int_equal(drop_count(&m.ctx), 1);
    pair_free(&p);
}

VOW_CASE(callback_that_removes_itself_is_told_that_it_runs)
{
    removes_itself(false);
}

VOW_CASE(callback_that_waits_for_itself_is_told_that_it_runs)
{
    removes_itself(true);
}

VOW_CASE(callback_that_removes_a_later_one_prevents_it)
{
    struct remover m = {.removal = -1};
    struct drop later = {0};
    struct pair p = pair_new();
    vow_registration *r =
        vow_token_on_cancel(p.token, NULL, remove_it, drop_value(&m.ctx));

    m.r = vow_token_on_cancel(p.token, NULL, never_call, drop_value(&later));
    vow_source_cancel(p.source, NULL);

    assert_int_equal(m.removal, VOW_REMOVED);
    assert_int_equal(drop_count(&later), 1);
    assert_int_equal(vow_registration_remove(r), VOW_RAN);
    pair_free(&p);
}

VOW_CASE(callback_that_removes_an_earlier_one_is_told_that_it_ran)
{
    struct remover m = {.wait = true, .removal = -1};
    struct drop earlier = {0};
    struct pair p = pair_new();
    vow_registration *r;

    m.r = register_drop(p.token, NULL, &earlier);
    r = vow_token_on_cancel(p.token, NULL, remove_it, drop_value(&m.ctx));
    vow_source_cancel(p.source, NULL);

    assert_int_equal(m.removal, VOW_RAN);
    assert_int_equal(earlier.ran, 1);
    assert_int_equal(vow_registration_remove(r), VOW_RAN);
    pair_free(&p);
}

static void
drops_the_token(void *ctx)
{
    pair_free(ctx);
}

VOW_CASE(callback_may_let_go_of_the_last_handles)
{
    struct pair p = pair_new();
    vow_source *s = p.source;
    vow_registration *r =
        vow_token_on_cancel(p.token, NULL, drops_the_token, vow_ptr(&p));

    vow_source_cancel(s, NULL);

    assert_int_equal(vow_registration_remove(r), VOW_RAN);
}

VOW_CASE(registrations_leave_in_any_order)
{
    static struct drop d[MANY];
    static vow_registration *r[MANY];
    struct pair p = pair_new();

    for (int i = 0; i < MANY; i++)
        r[i] = register_drop(p.token, NULL, &d[i]);
    for (int i = 0; i < MANY; i++) {
        int at = i * 7 % MANY;

        if (at % 3 != 0)
            assert_int_equal(vow_registration_remove(r[at]), VOW_REMOVED);
    }
    vow_source_cancel(p.source, NULL);

    for (int i = 0; i < MANY; i++) {
        assert_int_equal(d[i].ran, i % 3 == 0);
        if (i % 3 == 0)
            assert_int_equal(vow_registration_remove(r[i]), VOW_RAN);
        assert_int_equal(drop_count(&d[i]), 1);
    }
    pair_free(&p);
}

VOW_CASE(registering_and_removing_leaves_nothing_on_an_immortal_token)
{
    struct drop d = {0};
    struct pair p = pair_new();
    size_t live;

    vow_registration_remove(register_drop(p.token, NULL, &d));
    live = counting_live();
    for (int i = 0; i < MANY; i++)
        assert_int_equal(vow_registration_remove(register_drop(p.token, NULL, &d)),
                         VOW_REMOVED);

    assert_int_equal(drop_count(&d), MANY + 1);
    assert_int_equal(counting_live(), live);
    pair_free(&p);
}

/* Linked tokens. */

VOW_CASE(linked_token_fires_with_any_of_its_parents)
{
    enum { PARENTS = 3 };

    for (int which = 0; which < PARENTS; which++) {
        struct pair p[PARENTS] = {pair_new(), pair_new(), pair_new()};
        vow_token *tokens[PARENTS] = {p[0].token, p[1].token, p[2].token};
        vow_token *any = vow_token_any(tokens, PARENTS);
        struct drop d = {0};
        vow_registration *r = register_drop(any, NULL, &d);

        assert_false(vow_token_cancelled(any));
        vow_source_cancel(p[which].source, vow_error_new(EINTR + which, "enough"));
        vow_source_cancel(p[(which + 1) % PARENTS].source,
                          vow_error_new(EIO, "too late"));

        assert_true(vow_token_cancelled(any));
        assert_int_equal(vow_error_code(vow_token_reason(any)), EINTR + which);
        assert_int_equal(vow_token_cancelled_at(any),
                         vow_token_cancelled_at(p[which].token));
        assert_int_equal(d.ran, 1);
        assert_int_equal(vow_registration_remove(r), VOW_RAN);
        vow_token_unref(any);
        for (int i = 0; i < PARENTS; i++)
            pair_free(&p[i]);
    }
}

VOW_CASE(linked_token_of_a_fired_one_is_born_fired)
{
    struct pair p = pair_new();
    struct pair q = pair_new();
    struct pair s = pair_new();
    vow_token *tokens[] = {p.token, NULL, q.token, s.token};
    vow_token *any;

    vow_source_cancel(q.source, vow_error_new(EINTR, "enough"));
    vow_source_cancel(s.source, vow_error_new(EIO, "enough"));
    any = vow_token_any(tokens, 4);

    assert_true(vow_token_cancelled(any));
    assert_int_equal(vow_error_code(vow_token_reason(any)), EINTR);
    vow_token_unref(any);
    pair_free(&p);
    pair_free(&q);
    pair_free(&s);
}

VOW_CASE(linked_token_of_nothing_never_fires)
{
    vow_token *nothing[2] = {NULL, NULL};
    vow_token *a = vow_token_any(NULL, 0);
    vow_token *b = vow_token_any(nothing, 2);

    assert_false(vow_token_cancelled(a));
    assert_false(vow_token_cancelled(b));
    vow_token_unref(a);
    vow_token_unref(b);
}

VOW_CASE(linked_token_that_goes_leaves_nothing_on_its_parents)
{
    struct pair p = pair_new();
    struct pair q = pair_new();
    vow_token *tokens[] = {p.token, q.token, p.token};
    size_t live = counting_live();

    for (int i = 0; i < MANY; i++)
        vow_token_unref(vow_token_any(tokens, 3));
    assert_int_equal(counting_live(), live);
    vow_source_cancel(q.source, NULL);

    pair_free(&p);
    pair_free(&q);
}

VOW_CASE(linked_token_that_fires_lets_go_of_its_other_parents)
{
    struct drop reason = {0};
    struct pair p = pair_new();
    struct pair q = pair_new();
    vow_token *tokens[] = {p.token, q.token};
    vow_token *any = vow_token_any(tokens, 2);
    size_t live;

    live = counting_live();
    pair_free(&p); /* the child keeps it */
    assert_int_equal(counting_live(), live);
    vow_source_cancel(q.source, drop_error(&reason, EINTR));
    pair_free(&q);

    assert_int_equal(drop_count(&reason), 0);
    assert_true(vow_token_cancelled(any));
    vow_token_unref(any);
    assert_int_equal(drop_count(&reason), 1);
}

VOW_CASE(linked_tokens_nest_without_depth_on_the_stack)
{
    struct pair p = pair_new();
    vow_token *t = vow_token_ref(p.token);

    for (int i = 0; i < DEEP; i++) {
        vow_token *next = vow_token_any(&t, 1);

        vow_token_unref(t);
        t = next;
    }
    vow_source_cancel(p.source, vow_error_new(EINTR, "enough"));

    assert_true(vow_token_cancelled(t));
    assert_int_equal(vow_error_code(vow_token_reason(t)), EINTR);
    vow_token_unref(t);
    pair_free(&p);
}

VOW_CASE(linked_tokens_that_never_fire_go_without_depth_on_the_stack)
{
    struct pair p = pair_new();
    vow_token *t = vow_token_ref(p.token);

    for (int i = 0; i < DEEP; i++) {
        vow_token *next = vow_token_any(&t, 1);

        vow_token_unref(t);
        t = next;
    }
    vow_token_unref(t);

    pair_free(&p);
}

/* Threads. */

struct blocked {
    struct drop ctx;
    atomic_int entered, go;
};

static void
block_until_told(void *ctx)
{
    struct blocked *b =
        (struct blocked *)(void *)((char *)ctx - offsetof(struct blocked, ctx));

    atomic_store(&b->entered, 1);
    await_flag(&b->go, 1);
    drop_ran(ctx);
}

static void *
cancel_in_thread(void *source)
{
    vow_source_cancel(source, NULL);
    return NULL;
}

VOW_CASE(remove_of_what_runs_elsewhere_answers_at_once)
{
    struct blocked b = {.entered = 0};
    struct pair p = pair_new();
    pthread_t thread;
    vow_registration *r =
        vow_token_on_cancel(p.token, NULL, block_until_told, drop_value(&b.ctx));

    pthread_create(&thread, NULL, cancel_in_thread, p.source);
    await_flag(&b.entered, 1);
    assert_int_equal(vow_registration_remove(r), VOW_RUNNING);
    assert_int_equal(drop_count(&b.ctx), 0);
    atomic_store(&b.go, 1);
    pthread_join(thread, NULL);

    assert_int_equal(b.ctx.ran, 1);
    assert_int_equal(drop_count(&b.ctx), 1);
    pair_free(&p);
}

static void *
let_go_on(void *flag)
{
    atomic_store((atomic_int *)flag, 1);
    return NULL;
}

VOW_CASE(remove_wait_returns_when_the_callback_has)
{
    struct blocked b = {.entered = 0};
    struct pair p = pair_new();
    pthread_t thread, other;
    vow_registration *r =
        vow_token_on_cancel(p.token, NULL, block_until_told, drop_value(&b.ctx));

    pthread_create(&thread, NULL, cancel_in_thread, p.source);
    await_flag(&b.entered, 1);
    pthread_create(&other, NULL, let_go_on, &b.go);

    assert_int_equal(vow_registration_remove_wait(r), VOW_RAN);
    assert_int_equal(b.ctx.ran, 1);
    assert_int_equal(drop_count(&b.ctx), 1);
    pthread_join(thread, NULL);
    pthread_join(other, NULL);
    pair_free(&p);
}

/* Each callback waits until both run, then removes the other. */
struct mutual {
    struct pair pair;
    struct mutual *other;
    vow_registration *r;
    struct drop ctx;
    bool wait;
    atomic_int entered;
    int removal;
};

static void
remove_the_other(void *ctx)
{
    struct mutual *m =
        (struct mutual *)(void *)((char *)ctx - offsetof(struct mutual, ctx));

    atomic_store(&m->entered, 1);
    await_flag(&m->other->entered, 1);
    m->removal = m->wait ? (int)vow_registration_remove_wait(m->other->r)
                         : (int)vow_registration_remove(m->other->r);
    drop_ran(ctx);
}

static void
remove_each_other(bool wait, int removals[2])
{
    struct mutual m[2];
    pthread_t thread;

    for (int i = 0; i < 2; i++) {
        m[i] = (struct mutual){.pair = pair_new(), .other = &m[1 - i], .wait = wait};
        m[i].r = vow_token_on_cancel(m[i].pair.token, NULL, remove_the_other,
                                     drop_value(&m[i].ctx));
    }
    pthread_create(&thread, NULL, cancel_in_thread, m[0].pair.source);
    vow_source_cancel(m[1].pair.source, NULL);
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(m[i].ctx.ran, 1);
        assert_int_equal(drop_count(&m[i].ctx), 1);
        removals[i] = m[i].removal;
        pair_free(&m[i].pair);
    }
}

VOW_CASE(two_callbacks_that_remove_each_other_both_go_on)
{
    int removals[2];

    remove_each_other(false, removals);

    assert_true(removals[0] == VOW_RUNNING || removals[1] == VOW_RUNNING);
    assert_true(removals[0] != VOW_REMOVED && removals[1] != VOW_REMOVED);
}

VOW_CASE(two_callbacks_that_wait_for_each_other_do_not_hang)
{
    int removals[2];

    remove_each_other(true, removals);

    assert_true(removals[0] == VOW_RUNNING || removals[1] == VOW_RUNNING);
    assert_true(removals[0] != VOW_REMOVED && removals[1] != VOW_REMOVED);
}

struct waits_on {
    struct blocked *blocked;
    vow_registration *r;
    int removal;
};

static vow_result
wait_in_task(void *ctx)
{
    struct waits_on *w = ctx;

    w->removal = (int)vow_registration_remove_wait(w->r);
    return vow_ok(VOW_NIL);
}

/* Waits on a thread of an executor for a callback that another thread runs. */
static int
removal_on(vow_executor *on, vow_manual *stepped, atomic_int **go)
{
    static struct blocked b;
    struct waits_on w = {.blocked = &b, .removal = -1};
    struct pair p = pair_new();
    pthread_t thread, other;
    vow_future *f;

    memset(&b, 0, sizeof b);
    w.r = vow_token_on_cancel(p.token, NULL, block_until_told, drop_value(&b.ctx));
    pthread_create(&thread, NULL, cancel_in_thread, p.source);
    await_flag(&b.entered, 1);
    f = vow_submit(on, wait_in_task, vow_ptr(&w));
    *go = &b.go;
    if (stepped != NULL)
        vow_manual_run(stepped);
    pthread_create(&other, NULL, let_go_on, &b.go);
    vow_get(f);
    vow_unref(f);
    pthread_join(thread, NULL);
    pthread_join(other, NULL);
    assert_int_equal(drop_count(&b.ctx), 1);
    pair_free(&p);
    return w.removal;
}

VOW_CASE(remove_wait_in_a_pool_waits)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    atomic_int *go;

    assert_int_equal(removal_on(pool, NULL, &go), VOW_RAN);

    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    vow_executor_join(pool);
    vow_executor_unref(pool);
}

VOW_CASE(remove_wait_where_waiting_is_forbidden_answers_at_once)
{
    vow_manual *m = vow_manual_new();
    atomic_int *go;

    assert_int_equal(removal_on(vow_manual_executor(m), m, &go), VOW_RUNNING);

    vow_manual_unref(m);
}

VOW_CASE(remove_wait_inside_defer_answers_at_once)
{
    struct blocked b = {.entered = 0};
    struct pair p = pair_new();
    pthread_t thread;
    vow_registration *r =
        vow_token_on_cancel(p.token, NULL, block_until_told, drop_value(&b.ctx));

    pthread_create(&thread, NULL, cancel_in_thread, p.source);
    await_flag(&b.entered, 1);
    vow_defer_begin();
    assert_int_equal(vow_registration_remove_wait(r), VOW_RUNNING);
    vow_defer_end();
    atomic_store(&b.go, 1);
    pthread_join(thread, NULL);

    assert_int_equal(drop_count(&b.ctx), 1);
    pair_free(&p);
}

VOW_CASE(callback_that_was_removed_as_it_ran_may_be_the_last_user_of_its_token)
{
    struct blocked b = {.entered = 0};
    struct pair p = pair_new();
    pthread_t thread;
    vow_registration *r =
        vow_token_on_cancel(p.token, NULL, block_until_told, drop_value(&b.ctx));

    vow_token_unref(p.token);
    p.token = NULL;
    pthread_create(&thread, NULL, cancel_in_thread, p.source);
    await_flag(&b.entered, 1);
    assert_int_equal(vow_registration_remove(r), VOW_RUNNING);
    pair_free(&p);
    atomic_store(&b.go, 1);
    pthread_join(thread, NULL);

    assert_int_equal(drop_count(&b.ctx), 1);
}

/* Executors of a user's, whose threads may or may not wait. */

static bool
is_mine(vow_executor *self)
{
    (void)self;
    return true;
}

static int
never_posted(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    return VOW_E_LIMIT;
}

static int
may_wait(vow_executor *self)
{
    (void)self;
    return 0;
}

static int
must_not_wait(vow_executor *self)
{
    (void)self;
    return VOW_E_DEADLOCK;
}

static int
removal_inside(const vow_executor_ops *ops)
{
    struct blocked b = {.entered = 0};
    vow_executor mine = {ops, NULL};
    vow_executor *before;
    struct pair p = pair_new();
    pthread_t thread, other = {0};
    vow_removal removal;
    vow_registration *r =
        vow_token_on_cancel(p.token, NULL, block_until_told, drop_value(&b.ctx));

    pthread_create(&thread, NULL, cancel_in_thread, p.source);
    await_flag(&b.entered, 1);
    if (ops->block_begin != must_not_wait)
        pthread_create(&other, NULL, let_go_on, &b.go);
    before = vow_executor_enter(&mine);
    removal = vow_registration_remove_wait(r);
    vow_executor_enter(before);
    if (ops->block_begin == must_not_wait)
        pthread_create(&other, NULL, let_go_on, &b.go);
    pthread_join(thread, NULL);
    pthread_join(other, NULL);
    assert_int_equal(drop_count(&b.ctx), 1);
    pair_free(&p);
    return (int)removal;
}

VOW_CASE(remove_wait_on_a_thread_of_a_users_executor_does_as_that_says)
{
    static const vow_executor_ops careless = {
        .size = sizeof(vow_executor_ops), .name = "careless", .post = never_posted};
    static const vow_executor_ops lenient = {.size = sizeof(vow_executor_ops),
                                             .name = "lenient",
                                             .post = never_posted,
                                             .is_current = is_mine,
                                             .block_begin = may_wait};
    static const vow_executor_ops modest = {.size = sizeof(vow_executor_ops),
                                            .name = "modest",
                                            .post = never_posted,
                                            .block_begin = may_wait};
    static const vow_executor_ops strict = {.size = sizeof(vow_executor_ops),
                                            .name = "strict",
                                            .post = never_posted,
                                            .is_current = is_mine,
                                            .block_begin = must_not_wait};

    assert_int_equal(removal_inside(&careless), VOW_RAN);
    assert_int_equal(removal_inside(&lenient), VOW_RAN);
    assert_int_equal(removal_inside(&modest), VOW_RAN);
    assert_int_equal(removal_inside(&strict), VOW_RUNNING);
}

/* An executor that is closed. */
static int
never_admits(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    return VOW_E_CLOSED;
}

static const vow_executor_ops closed_ops = {
    .size = sizeof(vow_executor_ops), .name = "closed", .post = never_admits};

/* Removed by another thread while its context is being dropped. */
struct refused {
    vow_registration *r;
    vow_removal removal;
    bool dropped;
};

static void *
remove_refused(void *refused)
{
    struct refused *f = refused;

    f->removal = vow_registration_remove(f->r);
    return NULL;
}

static void
drop_while_removed(void *refused)
{
    struct refused *f = refused;
    pthread_t thread;

    pthread_create(&thread, NULL, remove_refused, f);
    pthread_join(thread, NULL);
    f->dropped = true;
}

VOW_CASE(remove_of_a_refused_callback_says_that_its_context_is_still_used)
{
    vow_executor closed = {.ops = &closed_ops};
    struct pair p = pair_new();
    struct refused f = {.removal = VOW_REMOVED};

    f.r = vow_token_on_cancel(p.token, &closed, never_call,
                              vow_own(&f, drop_while_removed));
    vow_source_cancel(p.source, NULL);

    assert_true(f.dropped);
    assert_int_equal(f.removal, VOW_RUNNING);
    pair_free(&p);
}

static void
exit_thread(void *ctx)
{
    drop_ran(ctx);
    pthread_exit(NULL);
}

VOW_CASE(callback_that_ends_its_thread_leaves_the_others_theirs)
{
    struct drop d[2] = {{0}};
    struct pair p = pair_new();
    pthread_t thread;
    vow_registration *r =
        vow_token_on_cancel(p.token, NULL, exit_thread, drop_value(&d[0]));
    vow_registration *s = register_drop(p.token, NULL, &d[1]);

    pthread_create(&thread, NULL, cancel_in_thread, p.source);
    pthread_join(thread, NULL);

    for (int i = 0; i < 2; i++) {
        assert_int_equal(d[i].ran, 1);
        assert_int_equal(drop_count(&d[i]), 1);
    }
    assert_int_equal(vow_registration_remove(r), VOW_RAN);
    assert_int_equal(vow_registration_remove(s), VOW_RAN);
    pair_free(&p);
}

/* Memory. */

VOW_CASE(linked_token_of_more_than_there_can_be_is_null)
{
    assert_null(vowi_token_new_linked(SIZE_MAX / 8, false));
}

VOW_CASE(tokens_without_memory_are_null_and_leave_nothing)
{
    counting_each_failure(k, COUNTING_ONWARDS)
    {
        struct drop d = {0};
        vow_source *s = vow_source_new();
        vow_token *t = vow_source_token(s);
        vow_token *any = vow_token_any(&t, 1);
        vow_registration *r = vow_token_on_cancel(any, NULL, count_call, drop_value(&d));

        if (r == NULL)
            assert_int_equal(drop_count(&d), 1);
        vow_source_cancel(s, vow_error_new(EINTR, "enough"));
        assert_true(s == NULL || vow_token_cancelled(t));
        assert_true(t == NULL || vow_token_reason(t) != NULL);
        vow_registration_remove(r);
        assert_int_equal(drop_count(&d), 1);
        vow_source_unref(s);
        vow_token_unref(t);
        vow_token_unref(any);
    }
}

VOW_CASE(cancel_allocates_nothing_without_a_reason)
{
    struct drop d = {0};
    struct pair p = pair_new();
    vow_registration *r = register_drop(p.token, NULL, &d);
    size_t calls = counting_calls();

    vow_source_cancel(p.source, NULL);

    assert_int_equal(counting_calls(), calls);
    vow_registration_remove(r);
    pair_free(&p);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(source_fires_its_token_once_and_the_first_reason_stays),
        vow_test(source_notes_when_it_fired),
        vow_test(source_without_a_reason_gives_a_cancellation),
        vow_test(token_outlives_its_source_and_stays_as_it_was),
        vow_test(source_and_token_are_counted),
        vow_test(token_null_never_fires),
        vow_test(callback_runs_once_in_the_thread_that_cancels),
        vow_test(callbacks_run_in_the_order_of_their_registration),
        vow_test(callback_on_a_fired_token_runs_before_the_call_returns),
        vow_test(callback_is_posted_to_its_executor_whenever_it_registers),
        vow_test(callbacks_fired_inside_a_step_run_right_after_it),
        vow_test(callback_that_a_closed_executor_refuses_is_dropped),
        vow_test(callback_left_in_an_executor_that_goes_is_dropped),
        vow_test(registration_removed_in_time_never_runs_and_drops_its_context),
        vow_test(registration_keeps_its_token_until_it_is_removed),
        vow_test(registration_keeps_its_executor_until_it_is_removed),
        vow_test(registration_removed_while_its_callback_is_queued_never_runs),
        vow_test(registration_removed_while_its_callback_is_queued_may_be_left_there),
        vow_test(callback_that_removes_itself_is_told_that_it_runs),
        vow_test(callback_that_waits_for_itself_is_told_that_it_runs),
        vow_test(callback_that_removes_a_later_one_prevents_it),
        vow_test(callback_that_removes_an_earlier_one_is_told_that_it_ran),
        vow_test(callback_may_let_go_of_the_last_handles),
        vow_test(registrations_leave_in_any_order),
        vow_test(registering_and_removing_leaves_nothing_on_an_immortal_token),
        vow_test(linked_token_fires_with_any_of_its_parents),
        vow_test(linked_token_of_a_fired_one_is_born_fired),
        vow_test(linked_token_of_nothing_never_fires),
        vow_test(linked_token_that_goes_leaves_nothing_on_its_parents),
        vow_test(linked_token_that_fires_lets_go_of_its_other_parents),
        vow_test(linked_tokens_nest_without_depth_on_the_stack),
        vow_test(linked_tokens_that_never_fire_go_without_depth_on_the_stack),
        vow_test(remove_of_what_runs_elsewhere_answers_at_once),
        vow_test(remove_wait_returns_when_the_callback_has),
        vow_test(two_callbacks_that_remove_each_other_both_go_on),
        vow_test(two_callbacks_that_wait_for_each_other_do_not_hang),
        vow_test(remove_wait_in_a_pool_waits),
        vow_test(remove_wait_where_waiting_is_forbidden_answers_at_once),
        vow_test(remove_wait_inside_defer_answers_at_once),
        vow_test(callback_that_was_removed_as_it_ran_may_be_the_last_user_of_its_token),
        vow_test(remove_wait_on_a_thread_of_a_users_executor_does_as_that_says),
        vow_test(remove_of_a_refused_callback_says_that_its_context_is_still_used),
        vow_test(callback_that_ends_its_thread_leaves_the_others_theirs),
        vow_test(linked_token_of_more_than_there_can_be_is_null),
        vow_test(tokens_without_memory_are_null_and_leave_nothing),
        vow_test(cancel_allocates_nothing_without_a_reason),
    };

    return vow_test_run(cases);
}
