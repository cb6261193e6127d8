/* SPDX-License-Identifier: MIT */
/*
 * Giving work to executors: submit and its kin, post, and tasks in the caller's own
 * storage, on inline, manual and pool, accepted and refused.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/drops.h"

/* The three places. A test that names all of them steps and joins by these two. */
struct places {
    vow_manual *manual;
    vow_executor *pool;
    vow_executor *on[3];
};

static struct places
places_new(void)
{
    struct places p = {.manual = vow_manual_new(),
                       .pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2))};

    assert_non_null(p.manual);
    assert_non_null(p.pool);
    p.on[1] = vow_manual_executor(p.manual);
    p.on[2] = p.pool;
    return p;
}

static void
places_close(struct places *p)
{
    vow_unref(vow_executor_close(p->on[1], VOW_DRAIN));
    vow_unref(vow_executor_close(p->pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(p->pool), 0);
}

static void
places_free(struct places *p)
{
    places_close(p);
    vow_executor_unref(p->pool);
    vow_manual_unref(p->manual);
}

/* A context that tells what its task did. */
struct job {
    struct drop ctx;
    atomic_int ran;
    vow_executor *current;
    pthread_t thread;
    int64_t value;
};

static vow_result
do_job(void *ctx)
{
    struct job *j = ctx;

    j->current = vow_executor_current();
    j->thread = pthread_self();
    atomic_fetch_add(&j->ran, 1 + 100 * drop_count(&j->ctx));
    return vow_ok(vow_i64(j->value + 1));
}

static void
do_job_quietly(void *ctx)
{
    vow_result_drop(do_job(ctx));
}

VOW_CASE(submit_runs_the_task_where_it_says)
{
    struct places p = places_new();

    for (int i = 0; i < 3; i++) {
        struct job j = {.value = i};
        vow_future *f = vow_submit(p.on[i], do_job, drop_value(&j.ctx));

        if (i < 2)
            assert_int_equal(j.ran, i == 0);
        vow_manual_run(p.manual);
        assert_int_equal(vow_get(f).value.as.i64, i + 1);
        assert_int_equal(j.ran, 1);
        assert_int_equal(drop_count(&j.ctx), 1);
        assert_ptr_equal(j.current, p.on[i]);
        assert_int_equal(pthread_equal(j.thread, pthread_self()) != 0, i != 2);
        vow_unref(f);
    }
    places_free(&p);
}

static vow_result
is_null(void *ctx)
{
    return vow_ok(vow_i64(ctx == NULL));
}

static vow_result
fail_task(void *ctx)
{
    (void)ctx;
    return vow_fail(EDOM, "failed");
}

static vow_result
own_value(void *ctx)
{
    return vow_ok(drop_value(ctx));
}

static vow_result
forward_task(void *ctx)
{
    (void)ctx;
    return vow_forward();
}

VOW_CASE(submit_settles_with_what_the_task_returned)
{
    struct drop value = {0};
    vow_future *f = vow_submit(NULL, own_value, vow_ptr(&value));
    vow_future *g = vow_submit(NULL, fail_task, VOW_NIL);
    vow_future *h = vow_submit(NULL, forward_task, VOW_NIL);
    vow_future *i = vow_submit(NULL, is_null, VOW_NIL);

    assert_ptr_equal(vow_get(f).value.as.ptr, &value);
    assert_int_equal(code_of(g), EDOM);
    assert_int_equal(code_of(h), VOW_E_INVALID);
    assert_int_equal(vow_get(i).value.as.i64, 1);
    vow_unref(f);
    vow_unref(g);
    vow_unref(h);
    vow_unref(i);
    assert_int_equal(drop_count(&value), 1);
}

static vow_result
follow_task(void *promise)
{
    return vow_follow(vow_promise_future(promise));
}

VOW_CASE(submit_of_a_task_that_follows_settles_later)
{
    struct drop value = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_submit(NULL, follow_task, vow_ptr(p));

    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_promise_fulfill(p, drop_value(&value));
    vow_promise_unref(p);
    assert_ptr_equal(vow_get(f).value.as.ptr, &value);
    vow_unref(f);

    assert_int_equal(drop_count(&value), 1);
}

static vow_result
write_f(void *ctx)
{
    struct drop *d = ctx;

    journal_add(d->journal, 'f');
    return vow_ok(VOW_NIL);
}

static void
write_s(void *ctx)
{
    journal_add(ctx, 's');
}

VOW_CASE(submit_drops_the_context_after_the_task_and_before_settling)
{
    struct journal j = {0};
    struct drop d = {.journal = &j, .mark = 'c'};
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit(vow_manual_executor(m), write_f, drop_value(&d));

    f = vow_finally(f, NULL, write_s, vow_ptr(&j));
    vow_manual_run(m);

    assert_string_equal(j.text, "fcs");
    assert_int_equal(drop_count(&d), 1);
    vow_unref(f);
    vow_manual_unref(m);
}

static vow_result
submit_inside(vow_value in, void *ctx)
{
    struct drop *d = ctx;

    (void)in;
    journal_add(d->journal, 'a');
    vow_unref(vow_submit(NULL, write_f, vow_ptr(d)));
    journal_add(d->journal, 'z');
    return vow_ok(VOW_NIL);
}

VOW_CASE(submit_inline_inside_a_step_runs_right_after_it)
{
    struct journal j = {0};
    struct drop d = {.journal = &j};

    vow_unref(vow_then(vow_resolved(VOW_NIL), NULL, submit_inside, vow_ptr(&d)));

    assert_string_equal(j.text, "azf");
}

VOW_CASE(submit_to_a_manual_executor_runs_in_order)
{
    struct journal j = {0};
    struct drop d[4];
    vow_manual *m = vow_manual_new();

    for (int i = 0; i < 4; i++) {
        d[i] = (struct drop){.journal = &j, .mark = (char)('a' + i)};
        vow_unref(vow_submit(vow_manual_executor(m), is_null, drop_value(&d[i])));
    }
    assert_true(vow_manual_step(m));
    assert_string_equal(j.text, "a");
    assert_int_equal(vow_manual_run(m), 3);
    assert_false(vow_manual_step(m));

    assert_string_equal(j.text, "abcd");
    vow_manual_unref(m);
}

VOW_CASE(submit_refused_is_closed_and_drops_the_context)
{
    struct places p = places_new();

    places_close(&p);
    for (int i = 1; i < 3; i++) {
        struct job j = {.value = 0};
        vow_future *f = vow_submit(p.on[i], do_job, drop_value(&j.ctx));

        assert_non_null(f);
        assert_int_equal(vow_future_status(f), VOW_REJECTED);
        assert_int_equal(code_of(f), VOW_E_CLOSED);
        assert_int_equal(drop_count(&j.ctx), 1);
        assert_int_equal(j.ran, 0);
        vow_unref(f);
    }
    vow_executor_unref(p.pool);
    vow_manual_unref(p.manual);
}

VOW_CASE(submit_with_options_gives_a_name)
{
    vow_future *f =
        vow_submit_with(NULL, &VOW_SUBMIT_OPTIONS(.name = "resize"), is_null, VOW_NIL);
    vow_future *g = vow_submit_with(NULL, NULL, is_null, VOW_NIL);

    assert_string_equal(vow_future_name(f), "resize");
    assert_null(vow_future_name(g));
    assert_int_equal(vow_get(f).value.as.i64, 1);
    assert_int_equal(vow_get(g).value.as.i64, 1);
    vow_unref(f);
    vow_unref(g);
}

VOW_CASE(submit_with_options_runs_at_every_priority)
{
    static const int levels[] = {VOW_NORMAL, VOW_IMMEDIATE, VOW_HIGH, VOW_LOW, VOW_IDLE};
    struct places p = places_new();

    for (int i = 0; i < 15; i++) {
        struct job j = {.value = i};
        vow_future *f =
            vow_submit_with(p.on[i % 3], &VOW_SUBMIT_OPTIONS(.priority = levels[i / 3]),
                            do_job, drop_value(&j.ctx));

        vow_manual_run(p.manual);
        assert_int_equal(vow_get(f).value.as.i64, i + 1);
        assert_int_equal(drop_count(&j.ctx), 1);
        vow_unref(f);
    }
    places_free(&p);
}

VOW_CASE(submit_with_options_refused_drops_the_context)
{
    struct job j = {.value = 0};
    vow_manual *m = vow_manual_new();
    vow_future *f;

    vow_unref(vow_executor_close(vow_manual_executor(m), VOW_CANCEL_QUEUED));
    f = vow_submit_with(
        vow_manual_executor(m),
        &VOW_SUBMIT_OPTIONS(.name = "late", .flags = VOW_STOP_WHEN_UNWANTED), do_job,
        drop_value(&j.ctx));

    assert_int_equal(code_of(f), VOW_E_CLOSED);
    assert_string_equal(vow_future_name(f), "late");
    assert_int_equal(drop_count(&j.ctx), 1);
    assert_int_equal(j.ran, 0);
    vow_unref(f);
    vow_manual_unref(m);
}

/* Many at once. */

enum { MANY = 50 };

static void
many_contexts(struct job jobs[MANY], vow_value ctxs[MANY])
{
    for (int i = 0; i < MANY; i++) {
        jobs[i] = (struct job){.value = i};
        ctxs[i] = drop_value(&jobs[i].ctx);
    }
}

VOW_CASE(submit_many_gives_futures_in_the_order_of_contexts)
{
    struct places p = places_new();
    struct job jobs[MANY];
    vow_value ctxs[MANY];
    vow_future *out[MANY];

    for (int place = 0; place < 3; place++) {
        many_contexts(jobs, ctxs);
        assert_int_equal(vow_submit_many(p.on[place], do_job, ctxs, MANY, out), 0);
        vow_manual_run(p.manual);
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(vow_get(out[i]).value.as.i64, i + 1);
            assert_int_equal(jobs[i].ran, 1);
            assert_int_equal(drop_count(&jobs[i].ctx), 1);
            vow_unref(out[i]);
        }
    }
    places_free(&p);
}

VOW_CASE(submit_many_without_futures_runs_all)
{
    struct places p = places_new();
    struct job jobs[MANY];
    vow_value ctxs[MANY];

    for (int place = 0; place < 3; place++) {
        many_contexts(jobs, ctxs);
        assert_int_equal(vow_submit_many(p.on[place], do_job, ctxs, MANY, NULL), 0);
        vow_manual_run(p.manual);
        for (int i = 0; i < MANY; i++) {
            await_flag(&jobs[i].ctx.dropped, 1);
            assert_int_equal(jobs[i].ran, 1);
        }
    }
    places_free(&p);
}

VOW_CASE(submit_many_of_none_does_nothing)
{
    struct places p = places_new();
    vow_value ctxs[1] = {VOW_NIL};
    vow_future *out[1] = {NULL};

    for (int i = 0; i < 3; i++) {
        assert_int_equal(vow_submit_many(p.on[i], do_job, ctxs, 0, out), 0);
        assert_int_equal(vow_submit_many(p.on[i], do_job, NULL, 0, NULL), 0);
    }

    assert_null(out[0]);
    assert_int_equal(vow_manual_run(p.manual), 0);
    places_free(&p);
}

static vow_result
get_other(void *other)
{
    return vow_ok(vow_get(*(vow_future **)other).value);
}

static vow_result
give_or_get(void *ctx)
{
    return ctx != NULL ? get_other(ctx) : vow_ok(vow_i64(7));
}

VOW_CASE(submit_many_inline_lets_a_job_wait_for_a_later_one)
{
    vow_future *out[2] = {NULL, NULL};
    const vow_value ctxs[2] = {vow_ptr(&out[1]), VOW_NIL};

    assert_int_equal(vow_submit_many(NULL, give_or_get, ctxs, 2, out), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(code_of(out[i]), 0);
        assert_int_equal(vow_peek(out[i]).value.as.i64, 7);
        vow_unref(out[i]);
    }
}

VOW_CASE(submit_many_refused_drops_all_contexts)
{
    struct places p = places_new();
    struct job jobs[MANY];
    vow_value ctxs[MANY];
    vow_future *out[MANY];

    places_close(&p);
    for (int place = 1; place < 3; place++) {
        many_contexts(jobs, ctxs);
        memset(out, 1, sizeof out);
        assert_int_equal(vow_submit_many(p.on[place], do_job, ctxs, MANY, out),
                         VOW_E_CLOSED);
        for (int i = 0; i < MANY; i++) {
            assert_null(out[i]);
            assert_int_equal(drop_count(&jobs[i].ctx), 1);
            assert_int_equal(jobs[i].ran, 0);
        }
    }
    vow_executor_unref(p.pool);
    vow_manual_unref(p.manual);
}

/* With no future. */

VOW_CASE(post_runs_the_function_once)
{
    struct places p = places_new();

    for (int i = 0; i < 3; i++) {
        struct job j = {.value = 0};

        assert_int_equal(vow_post(p.on[i], do_job_quietly, drop_value(&j.ctx)), 0);
        vow_manual_run(p.manual);
        await_flag(&j.ctx.dropped, 1);
        assert_int_equal(j.ran, 1);
        assert_ptr_equal(j.current, p.on[i]);
        assert_int_equal(drop_count(&j.ctx), 1);
    }
    places_free(&p);
}

VOW_CASE(post_refused_returns_the_code_and_drops_the_context)
{
    struct places p = places_new();

    places_close(&p);
    for (int i = 1; i < 3; i++) {
        struct job j = {.value = 0};

        assert_int_equal(vow_post(p.on[i], do_job_quietly, drop_value(&j.ctx)),
                         VOW_E_CLOSED);
        assert_int_equal(j.ran, 0);
        assert_int_equal(drop_count(&j.ctx), 1);
    }
    vow_executor_unref(p.pool);
    vow_manual_unref(p.manual);
}

VOW_CASE(post_cancelled_by_closing_drops_the_context)
{
    struct job j = {.value = 0};
    vow_manual *m = vow_manual_new();

    assert_int_equal(vow_post(vow_manual_executor(m), do_job_quietly, drop_value(&j.ctx)),
                     0);
    vow_unref(vow_executor_close(vow_manual_executor(m), VOW_CANCEL_QUEUED));
    assert_int_equal(drop_count(&j.ctx), 1);
    vow_manual_run(m);

    assert_int_equal(j.ran, 0);
    vow_manual_unref(m);
    assert_int_equal(drop_count(&j.ctx), 1);
}

/* A task in the caller's storage; it posts itself again as often as it is told. */
struct own_task {
    vow_task task;
    vow_executor *on;
    atomic_int again;
    atomic_int ran;
    atomic_int why;
    atomic_int refused;
};

static void
run_own(vow_task *task, int why)
{
    struct own_task *t = (struct own_task *)(void *)task;

    atomic_store(&t->why, why);
    if (why == 0 && t->again-- > 0)
        t->refused = vow_post_task(t->on, &t->task);
    atomic_fetch_add(&t->ran, 1);
}

VOW_CASE(post_task_runs_it_and_it_may_post_itself_again)
{
    struct places p = places_new();

    for (int i = 0; i < 3; i++) {
        struct own_task t = {.task = {.run = run_own}, .on = p.on[i], .again = 9};
        size_t calls = counting_calls();

        assert_int_equal(vow_post_task(p.on[i], &t.task), 0);
        vow_manual_run(p.manual);
        await_flag(&t.ran, 10);
        assert_int_equal(t.ran, 10);
        assert_int_equal(t.why, 0);
        assert_int_equal(t.refused, 0);
        assert_int_equal(counting_calls(), calls);
    }
    places_free(&p);
}

VOW_CASE(post_task_refused_does_not_call_run)
{
    struct places p = places_new();

    places_close(&p);
    for (int i = 1; i < 3; i++) {
        struct own_task t = {.task = {.run = run_own}, .on = p.on[i]};

        assert_int_equal(vow_post_task(p.on[i], &t.task), VOW_E_CLOSED);
        assert_int_equal(t.ran, 0);
    }
    vow_executor_unref(p.pool);
    vow_manual_unref(p.manual);
}

VOW_CASE(post_task_cancelled_by_closing_is_told_why)
{
    vow_manual *m = vow_manual_new();
    struct own_task t = {.task = {.run = run_own}, .on = vow_manual_executor(m)};

    assert_int_equal(vow_post_task(t.on, &t.task), 0);
    assert_int_equal(t.ran, 0);
    vow_unref(vow_executor_close(t.on, VOW_CANCEL_QUEUED));

    assert_int_equal(t.ran, 1);
    assert_int_equal(t.why, VOW_E_CLOSED);
    vow_manual_unref(m);
    assert_int_equal(t.ran, 1);
}

VOW_CASE(post_task_left_in_a_freed_manual_executor_is_told_why)
{
    vow_manual *m = vow_manual_new();
    struct own_task t = {.task = {.run = run_own}, .on = vow_manual_executor(m)};

    assert_int_equal(vow_post_task(t.on, &t.task), 0);
    vow_manual_unref(m);

    assert_int_equal(t.ran, 1);
    assert_int_equal(t.why, VOW_E_CLOSED);
}

/* A value that must die on one executor: its drop posts it there. */
struct thread_bound {
    vow_task task;
    vow_executor *home;
    atomic_int freed;
    int why;
};

static void
free_bound(vow_task *task, int why)
{
    struct thread_bound *b = (struct thread_bound *)(void *)task;

    b->why = why;
    atomic_fetch_add(&b->freed, 1);
}

static void
drop_bound(void *p)
{
    struct thread_bound *b = p;
    int why = vow_post_task(b->home, &b->task);

    if (why != 0)
        free_bound(&b->task, why);
}

VOW_CASE(post_task_from_a_drop_brings_a_value_home)
{
    vow_manual *m = vow_manual_new();
    struct thread_bound b = {.task = {.run = free_bound}, .home = vow_manual_executor(m)};
    struct thread_bound late = b;

    vow_unref(vow_resolved(vow_own(&b, drop_bound)));
    assert_int_equal(b.freed, 0);
    assert_int_equal(vow_manual_run(m), 1);
    assert_int_equal(b.freed, 1);
    assert_int_equal(b.why, 0);
    vow_unref(vow_executor_close(vow_manual_executor(m), VOW_DRAIN));
    vow_unref(vow_resolved(vow_own(&late, drop_bound)));

    assert_int_equal(late.freed, 1);
    assert_int_equal(late.why, VOW_E_CLOSED);
    vow_manual_unref(m);
}

/* What it costs. */

enum { INTEGERS = 100000, A_FEW = 400 };

static vow_result
give_seven(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(7));
}

static void
submit_and_get(vow_executor *on, vow_manual *m)
{
    vow_future *f = vow_submit(on, give_seven, VOW_NIL);

    if (m != NULL)
        vow_manual_step(m);
    if (vow_get(f).value.as.i64 != 7)
        fail_msg("an integer came back as another");
    vow_unref(f);
}

VOW_CASE(submit_of_100000_integers_allocates_once_each_at_most)
{
    struct places p = places_new();

    for (int place = 0; place < 3; place++) {
        size_t calls = counting_calls();

        for (int i = 0; i < INTEGERS; i++)
            submit_and_get(p.on[place], place == 1 ? p.manual : NULL);
        assert_in_range(counting_calls() - calls, 0, INTEGERS + A_FEW);
    }
    places_free(&p);
}

VOW_CASE(submit_of_100000_integers_held_at_once_allocates_once_each)
{
    struct places p = places_new();
    vow_future **fs = calloc(INTEGERS, sizeof *fs);
    size_t calls = counting_calls();

    assert_non_null(fs);
    for (int i = 0; i < INTEGERS; i++)
        fs[i] = vow_submit(p.pool, give_seven, VOW_NIL);
    for (int i = 0; i < INTEGERS; i++) {
        assert_int_equal(vow_get(fs[i]).value.as.i64, 7);
        vow_unref(fs[i]);
    }

    assert_in_range(counting_calls() - calls, 0, INTEGERS + A_FEW);
    free(fs);
    places_free(&p);
}

VOW_CASE(steps_and_promises_allocate_once_each)
{
    enum { N = 1000 };
    static vow_future *fs[N];
    static vow_promise *ps[N];
    size_t calls;

    vow_trim();
    calls = counting_calls();
    for (int i = 0; i < N; i++)
        ps[i] = vow_promise_new();
    for (int i = 0; i < N; i++)
        fs[i] = vow_finally(vow_promise_future(ps[i]), NULL, write_s, VOW_NIL);
    assert_in_range(counting_calls() - calls, N, 2 * N);
    for (int i = 0; i < N; i++) {
        vow_unref(fs[i]);
        vow_promise_abandon(ps[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(submit_runs_the_task_where_it_says),
        vow_test(submit_settles_with_what_the_task_returned),
        vow_test(submit_of_a_task_that_follows_settles_later),
        vow_test(submit_drops_the_context_after_the_task_and_before_settling),
        vow_test(submit_inline_inside_a_step_runs_right_after_it),
        vow_test(submit_to_a_manual_executor_runs_in_order),
        vow_test(submit_refused_is_closed_and_drops_the_context),
        vow_test(submit_with_options_gives_a_name),
        vow_test(submit_with_options_runs_at_every_priority),
        vow_test(submit_with_options_refused_drops_the_context),
        vow_test(submit_many_gives_futures_in_the_order_of_contexts),
        vow_test(submit_many_without_futures_runs_all),
        vow_test(submit_many_of_none_does_nothing),
        vow_test(submit_many_refused_drops_all_contexts),
        vow_test(submit_many_inline_lets_a_job_wait_for_a_later_one),
        vow_test(post_runs_the_function_once),
        vow_test(post_refused_returns_the_code_and_drops_the_context),
        vow_test(post_cancelled_by_closing_drops_the_context),
        vow_test(post_task_runs_it_and_it_may_post_itself_again),
        vow_test(post_task_refused_does_not_call_run),
        vow_test(post_task_cancelled_by_closing_is_told_why),
        vow_test(post_task_left_in_a_freed_manual_executor_is_told_why),
        vow_test(post_task_from_a_drop_brings_a_value_home),
        vow_test(submit_of_100000_integers_allocates_once_each_at_most),
        vow_test(submit_of_100000_integers_held_at_once_allocates_once_each),
        vow_test(steps_and_promises_allocate_once_each),
    };

    return vow_test_run(cases);
}
