/* SPDX-License-Identifier: MIT */
/*
 * A pool with a limit: what becomes of work that it has no room for, and of what is always
 * admitted. One worker behind a gate makes the queue as full as a case wants it.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "../executors/pool_internal.h"
#include "support/drops.h"
#include "support/pool_fixture.h"

static vow_executor *
pool_new(size_t limit, vow_when_full when_full)
{
    vow_executor *pool = vow_pool_new(
        &VOW_POOL_OPTIONS(.threads = 1, .queue_limit = limit, .when_full = when_full));

    assert_non_null(pool);
    return pool;
}

static vow_result
run_counted(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(VOW_NIL);
}

static void
run_errand(void *ctx)
{
    drop_ran(ctx);
}

/* Jobs whose runs and drops are counted. */
enum { MOST = 16 };

struct jobs {
    struct drop drops[MOST];
    vow_future *f[MOST];
    int n;
};

static void
submit_more(struct jobs *jobs, vow_executor *pool, int n, int priority)
{
    for (; n > 0; n--, jobs->n++)
        jobs->f[jobs->n] =
            vow_submit_with(pool, &VOW_SUBMIT_OPTIONS(.priority = priority), run_counted,
                            drop_value(&jobs->drops[jobs->n]));
}

/* Each in the text is as its letter says: run, or refused by the limit or the close. */
static void
finish_jobs(struct jobs *jobs, const char *text)
{
    assert_int_equal(jobs->n, strlen(text));
    for (int i = 0; i < jobs->n; i++) {
        int code = text[i] == 'r' ? 0 : text[i] == 'l' ? VOW_E_LIMIT : VOW_E_CLOSED;

        assert_int_equal(code_of(jobs->f[i]), code);
        vow_unref(jobs->f[i]);
        assert_int_equal(drop_count(&jobs->drops[i]), 1);
        assert_int_equal(atomic_load(&jobs->drops[i].ran), code == 0);
    }
}

/* ---- reject ---------------------------------------------------------------------------- */

VOW_CASE(full_pool_refuses_and_what_runs_does_not_count)
{
    vow_executor *pool = pool_new(3, VOW_FULL_REJECT);
    struct jobs jobs = {.n = 0};
    struct drop d = {0};
    vow_task task = {.run = NULL};
    struct gate g;

    shut(&g, pool);
    submit_more(&jobs, pool, 5, VOW_NORMAL);
    assert_int_equal(vow_post(pool, run_errand, drop_value(&d)), VOW_E_LIMIT);
    assert_int_equal(vow_post_task(pool, &task), VOW_E_LIMIT);
    open_gate(&g);
    finish_jobs(&jobs, "rrrll");
    pool_free(pool);

    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(d.ran, 0);
}

VOW_CASE(tasks_of_all_priorities_count_and_room_comes_back)
{
    vow_executor *pool = pool_new(3, VOW_FULL_REJECT);
    struct jobs jobs = {.n = 0};
    struct gate g;

    for (int round = 0; round < 2; round++) {
        shut(&g, pool);
        for (int priority = VOW_NORMAL; priority <= VOW_IDLE; priority++)
            submit_more(&jobs, pool, 1, priority);
        open_gate(&g);
        for (int i = 0; i < 3; i++)
            (void)code_of(jobs.f[5 * round + i]);
    }
    finish_jobs(&jobs, "rrrllrrrll");
    pool_free(pool);
}

static int
submit_list(vow_executor *pool, struct jobs *jobs, size_t n)
{
    vow_value ctxs[MOST] = {VOW_NIL};
    int code;

    for (size_t i = 0; i < n; i++)
        ctxs[i] = drop_value(&jobs->drops[(size_t)jobs->n + i]);
    code = vow_submit_many(pool, run_counted, ctxs, n, &jobs->f[jobs->n]);
    for (size_t i = 0; code != 0 && i < n; i++)
        assert_null(jobs->f[(size_t)jobs->n + i]);
    jobs->n += code == 0 ? (int)n : 0;
    return code;
}

VOW_CASE(many_are_admitted_all_or_none)
{
    vow_executor *pool = pool_new(4, VOW_FULL_REJECT);
    struct jobs jobs = {.n = 0}, refused = {.n = 0};
    struct gate g;

    shut(&g, pool);
    assert_int_equal(submit_list(pool, &refused, 5), VOW_E_LIMIT);
    assert_int_equal(submit_list(pool, &jobs, 3), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(drop_count(&refused.drops[i]), 1);
    assert_int_equal(submit_list(pool, &refused, 2), VOW_E_LIMIT);
    assert_int_equal(submit_list(pool, &jobs, 1), 0);
    open_gate(&g);
    finish_jobs(&jobs, "rrrr");
    pool_free(pool);
}

/* ---- drop the oldest -------------------------------------------------------------------- */

VOW_CASE(oldest_makes_room)
{
    vow_executor *pool = pool_new(3, VOW_FULL_DROP_OLDEST);
    struct jobs jobs = {.n = 0};
    struct gate g;

    shut(&g, pool);
    submit_more(&jobs, pool, 5, VOW_NORMAL);
    assert_int_equal(code_of(jobs.f[0]), VOW_E_LIMIT); /* at once */
    assert_int_equal(code_of(jobs.f[1]), VOW_E_LIMIT);
    open_gate(&g);
    finish_jobs(&jobs, "llrrr");
    pool_free(pool);
}

VOW_CASE(oldest_of_the_least_urgent_makes_room_and_never_of_the_more_urgent)
{
    vow_executor *pool = pool_new(3, VOW_FULL_DROP_OLDEST);
    struct jobs jobs = {.n = 0};
    struct gate g;

    shut(&g, pool);
    submit_more(&jobs, pool, 1, VOW_LOW);
    submit_more(&jobs, pool, 1, VOW_IDLE);
    submit_more(&jobs, pool, 1, VOW_HIGH);
    submit_more(&jobs, pool, 1, VOW_IMMEDIATE); /* in the place of the idle one */
    submit_more(&jobs, pool, 1, VOW_LOW);       /* of the low one */
    submit_more(&jobs, pool, 1, VOW_IDLE);      /* of none */
    submit_more(&jobs, pool, 1, VOW_NORMAL);    /* of the second low one */
    submit_more(&jobs, pool, 1, VOW_HIGH);      /* of the normal one */
    submit_more(&jobs, pool, 1, VOW_HIGH);      /* of the first high one */
    submit_more(&jobs, pool, 1, VOW_NORMAL);    /* of none */
    open_gate(&g);
    finish_jobs(&jobs, "lllrlllrrl");
    pool_free(pool);
}

VOW_CASE(many_drop_as_many_as_they_need)
{
    vow_executor *pool = pool_new(4, VOW_FULL_DROP_OLDEST);
    struct jobs jobs = {.n = 0}, refused = {.n = 0};
    struct gate g;

    shut(&g, pool);
    submit_more(&jobs, pool, 1, VOW_HIGH);
    assert_int_equal(submit_list(pool, &jobs, 3), 0);
    assert_int_equal(submit_list(pool, &refused, 5), VOW_E_LIMIT);
    assert_int_equal(submit_list(pool, &refused, 4), VOW_E_LIMIT); /* one is high */
    assert_int_equal(submit_list(pool, &jobs, 2), 0);
    open_gate(&g);
    finish_jobs(&jobs, "rllrrr");
    pool_free(pool);
}

struct again {
    vow_executor *pool;
    int left;
    int64_t dropped;
};

static vow_result
submit_again(const vow_error *error, void *ctx)
{
    struct again *a = ctx;
    vow_future *f;

    assert_int_equal(vow_error_code(error), VOW_E_LIMIT);
    a->dropped++;
    if (a->left-- <= 0)
        return vow_ok(VOW_NIL);
    f = vow_submit(a->pool, run_counted, VOW_NIL);
    return vow_follow(vow_catch(f, NULL, submit_again, vow_ptr(a)));
}

/* Each drop ends with a step that submits, which drops the next: the stack stays flat. */
/* What the step of one of several that settle together sees of another one. */
static vow_result
ask_for_status(vow_view how, void *other)
{
    (void)how;
    return vow_ok(vow_i64(vow_future_status(*(vow_future **)other)));
}

VOW_CASE(steps_on_what_many_drop_find_all_of_it_dropped)
{
    vow_executor *pool = pool_new(2, VOW_FULL_DROP_OLDEST);
    struct jobs old = {.n = 0}, young = {.n = 0};
    vow_future *seen;
    struct gate g;

    shut(&g, pool);
    submit_more(&old, pool, 2, VOW_NORMAL);
    seen = vow_handle(vow_ref(old.f[0]), NULL, ask_for_status, vow_ptr(&old.f[1]));
    assert_int_equal(submit_list(pool, &young, 2), 0);
    assert_int_equal(code_of(seen), 0);
    assert_int_equal(vow_peek(seen).value.as.i64, VOW_REJECTED);
    vow_unref(seen);
    open_gate(&g);
    finish_jobs(&old, "ll");
    finish_jobs(&young, "rr");
    pool_free(pool);
}

VOW_CASE(dropping_in_a_chain_is_flat)
{
    enum { LONG = 50000 };
    struct again a = {pool_new(1, VOW_FULL_DROP_OLDEST), LONG, 0};
    struct gate g;
    vow_future *f[2];

    shut(&g, a.pool);
    for (int i = 0; i < 2; i++)
        f[i] = vow_catch(vow_submit(a.pool, run_counted, VOW_NIL), NULL, submit_again,
                         vow_ptr(&a));
    open_gate(&g);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(code_of(f[i]), 0);
        vow_unref(f[i]);
    }
    pool_free(a.pool);
    assert_int_equal(a.dropped, LONG + 1);
}

/* ---- run in the caller ------------------------------------------------------------------- */

static vow_result
tell_thread(void *ctx)
{
    *(pthread_t *)ctx = pthread_self();
    return vow_ok(VOW_NIL);
}

VOW_CASE(full_pool_lets_the_caller_run_what_is_submitted_but_not_what_is_posted)
{
    vow_executor *pool = pool_new(1, VOW_FULL_RUN);
    struct jobs jobs = {.n = 0};
    struct drop d = {0};
    pthread_t ran_on = {0};
    struct gate g;
    vow_future *f;

    shut(&g, pool);
    submit_more(&jobs, pool, 1, VOW_NORMAL);
    f = vow_submit(pool, tell_thread, vow_ptr(&ran_on));
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_true(pthread_equal(ran_on, pthread_self()));
    assert_int_equal(vow_post(pool, run_errand, drop_value(&d)), VOW_E_LIMIT);
    assert_int_equal(submit_list(pool, &jobs, 2), 0);
    assert_int_equal(vow_future_status(jobs.f[1]), VOW_FULFILLED);
    assert_int_equal(vow_future_status(jobs.f[2]), VOW_FULFILLED);
    assert_int_equal(vow_future_status(jobs.f[0]), VOW_PENDING);
    open_gate(&g);
    finish_jobs(&jobs, "rrr");
    vow_unref(f);
    pool_free(pool);

    assert_int_equal(d.ran, 0);
    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(closed_pool_lets_nobody_run_anything)
{
    vow_executor *pool = pool_new(1, VOW_FULL_RUN);
    struct jobs jobs = {.n = 0};
    struct gate g;

    shut(&g, pool);
    submit_more(&jobs, pool, 1, VOW_NORMAL);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    submit_more(&jobs, pool, 1, VOW_NORMAL);
    open_gate(&g);
    finish_jobs(&jobs, "rc");
    pool_free(pool);
}

struct nest {
    vow_executor *pool;
    int depth, deepest, left;
};

static vow_result
submit_next(void *ctx)
{
    struct nest *n = ctx;

    n->depth++;
    if (n->depth > n->deepest)
        n->deepest = n->depth;
    if (n->left-- > 0)
        vow_unref(vow_submit(n->pool, submit_next, vow_ptr(n)));
    n->depth--;
    return vow_ok(VOW_NIL);
}

VOW_CASE(work_in_the_caller_that_submits_more_never_nests)
{
    struct nest n = {pool_new(1, VOW_FULL_RUN), 0, 0, 100000};
    struct jobs jobs = {.n = 0};
    struct gate g;

    shut(&g, n.pool);
    submit_more(&jobs, n.pool, 1, VOW_NORMAL);
    vow_unref(vow_submit(n.pool, submit_next, vow_ptr(&n)));
    open_gate(&g);
    finish_jobs(&jobs, "r");
    pool_free(n.pool);

    assert_int_equal(n.left, -1);
    assert_int_equal(n.deepest, 1);
}

/* ---- block ----------------------------------------------------------------------------------- */

/* A thread that submits one job. */
struct poster {
    vow_executor *pool;
    pthread_t thread;
    struct drop d;
    vow_future *f;
    atomic_int done;
};

static void *
submit_one(void *arg)
{
    struct poster *p = arg;

    p->f = vow_submit(p->pool, run_counted, drop_value(&p->d));
    atomic_store(&p->done, 1);
    return NULL;
}

static int
waiting_posters(vow_executor *pool)
{
    struct vowi_pool *p = vowi_container_of(pool, struct vowi_pool, executor);
    int n = 0;

    vowi_lock_acquire(&p->level_lock);
    for (struct vowi_poster **at = &p->posters; at != p->posters_end; n++)
        at = (struct vowi_poster **)(void *)*at; /* its next comes first */
    vowi_lock_release(&p->level_lock);
    return n;
}

/* Starts posters one after the other, each waiting before the next one comes. */
static void
start_posters(struct poster *p, int n, vow_executor *pool)
{
    for (int i = 0; i < n; i++) {
        memset(&p[i], 0, sizeof p[i]);
        p[i].pool = pool;
        assert_int_equal(pthread_create(&p[i].thread, NULL, submit_one, &p[i]), 0);
        while (waiting_posters(pool) != i + 1)
            sched_yield();
    }
}

static void
finish_posters(struct poster *p, int n, int code)
{
    for (int i = 0; i < n; i++) {
        pthread_join(p[i].thread, NULL);
        assert_int_equal(code_of(p[i].f), code);
        vow_unref(p[i].f);
        assert_int_equal(drop_count(&p[i].d), 1);
        assert_int_equal(p[i].d.ran, code == 0);
    }
}

VOW_CASE(posters_wait_for_room_and_then_are_in)
{
    vow_executor *pool = pool_new(2, VOW_FULL_BLOCK);
    struct jobs jobs = {.n = 0};
    struct poster p[3];
    struct gate g;

    shut(&g, pool);
    submit_more(&jobs, pool, 2, VOW_NORMAL);
    start_posters(p, 3, pool);
    for (int i = 0; i < 3; i++)
        assert_int_equal(p[i].done, 0);
    open_gate(&g);
    finish_posters(p, 3, 0);
    finish_jobs(&jobs, "rr");
    pool_free(pool);
}

static void *
submit_three(void *arg)
{
    struct poster *p = arg;
    vow_value ctxs[3] = {drop_value(&p->d), VOW_NIL, VOW_NIL};

    assert_int_equal(vow_submit_many(p->pool, run_counted, ctxs, 3, NULL), 0);
    return NULL;
}

/* Each that is taken makes room for one, and three are to come in together. */
VOW_CASE(poster_of_many_waits_for_room_for_all)
{
    vow_executor *pool = pool_new(3, VOW_FULL_BLOCK);
    struct jobs jobs = {.n = 0};
    struct poster p = {.pool = pool};
    struct gate g;

    shut(&g, pool);
    submit_more(&jobs, pool, 3, VOW_NORMAL);
    assert_int_equal(pthread_create(&p.thread, NULL, submit_three, &p), 0);
    while (waiting_posters(pool) != 1)
        sched_yield();
    open_gate(&g);
    pthread_join(p.thread, NULL);
    finish_jobs(&jobs, "rrr");
    pool_free(pool);
    assert_int_equal(drop_count(&p.d), 1);
    assert_int_equal(p.d.ran, 1);
}

VOW_CASE(close_turns_waiting_posters_away)
{
    for (int mode = VOW_DRAIN; mode <= VOW_CANCEL_QUEUED; mode++) {
        vow_executor *pool = pool_new(1, VOW_FULL_BLOCK);
        struct jobs jobs = {.n = 0};
        struct poster p[2];
        struct gate g;

        shut(&g, pool);
        submit_more(&jobs, pool, 1, VOW_NORMAL);
        start_posters(p, 2, pool);
        vow_unref(vow_executor_close(pool, (vow_close_mode)mode));
        finish_posters(p, 2, VOW_E_CLOSED);
        open_gate(&g);
        finish_jobs(&jobs, mode == VOW_DRAIN ? "r" : "c");
        pool_free(pool);
    }
}

VOW_CASE(more_than_the_limit_at_once_never_waits)
{
    vow_executor *pool = pool_new(2, VOW_FULL_BLOCK);
    struct jobs jobs = {.n = 0}, refused = {.n = 0};

    assert_int_equal(submit_list(pool, &refused, 3), VOW_E_LIMIT);
    assert_int_equal(submit_list(pool, &jobs, 2), 0);
    finish_jobs(&jobs, "rr");
    pool_free(pool);
}

/* On threads of executors, of this one or another, nobody waits. */

struct there {
    vow_executor *pool;
    int code;
    atomic_int ran;
};

static void
count_ran(void *ctx)
{
    atomic_fetch_add((atomic_int *)ctx, 1);
}

static vow_result
post_there(void *ctx)
{
    struct there *t = ctx;

    t->code = vow_post(t->pool, count_ran, vow_ptr(&t->ran));
    return vow_ok(VOW_NIL);
}

VOW_CASE(thread_of_another_executor_is_refused_and_not_kept_waiting)
{
    vow_executor *pool = pool_new(1, VOW_FULL_BLOCK);
    vow_executor *other = pool_new(0, VOW_FULL_BLOCK);
    vow_manual *m = vow_manual_new();
    vow_executor *places[2] = {other, vow_manual_executor(m)};
    struct jobs jobs = {.n = 0};
    struct gate g;

    shut(&g, pool);
    submit_more(&jobs, pool, 1, VOW_NORMAL);
    for (int i = 0; i < 2; i++) {
        struct there t = {.pool = pool};
        vow_future *f = vow_submit(places[i], post_there, vow_ptr(&t));

        vow_manual_run(m);
        assert_int_equal(code_of(f), 0);
        assert_int_equal(t.code, VOW_E_LIMIT);
        vow_unref(f);
    }
    open_gate(&g);
    finish_jobs(&jobs, "r");
    vow_manual_unref(m);
    pool_free(other);
    pool_free(pool);
}

VOW_CASE(thread_with_deferred_steps_is_refused_and_not_kept_waiting)
{
    vow_executor *pool = pool_new(1, VOW_FULL_BLOCK);
    struct there t = {.pool = pool};
    struct jobs jobs = {.n = 0};
    struct gate g;

    shut(&g, pool);
    submit_more(&jobs, pool, 1, VOW_NORMAL);
    vow_defer_begin();
    (void)post_there(&t);
    vow_defer_end();
    assert_int_equal(t.code, VOW_E_LIMIT);
    open_gate(&g);
    finish_jobs(&jobs, "r");
    pool_free(pool);
}

static void
open_from_step(void *ctx)
{
    struct gate *g = ctx;

    atomic_store(&g->open, 1);
}

struct settler {
    vow_executor *pool;
    vow_promise *p;
    struct drop d;
};

/* A step of a foreign thread: the step that it makes ready opens the gate. */
static vow_result
settle_and_submit(vow_value in, void *ctx)
{
    struct settler *s = ctx;

    (void)in;
    vow_promise_fulfill(s->p, VOW_NIL);
    return vow_follow(vow_submit(s->pool, run_counted, drop_value(&s->d)));
}

VOW_CASE(steps_put_off_run_before_their_thread_waits_for_room)
{
    vow_executor *pool = pool_new(1, VOW_FULL_BLOCK);
    struct settler s = {pool, vow_promise_new(), {0}};
    struct jobs jobs = {.n = 0};
    struct gate g;
    vow_future *opened, *f;

    shut(&g, pool);
    submit_more(&jobs, pool, 1, VOW_NORMAL);
    opened = vow_finally(vow_promise_future(s.p), NULL, open_from_step, vow_ptr(&g));
    f = vow_then(vow_resolved(VOW_NIL), NULL, settle_and_submit, vow_ptr(&s));
    assert_int_equal(code_of(f), 0);
    assert_int_equal(s.d.ran, 1);
    open_gate(&g);
    finish_jobs(&jobs, "r");
    vow_unref(opened);
    vow_unref(f);
    vow_promise_unref(s.p);
    pool_free(pool);
}

/* ---- always admitted ----------------------------------------------------------------------- */

static vow_result
post_a_hundred(void *ctx)
{
    struct there *t = ctx;

    for (int i = 0; i < 100; i++)
        assert_int_equal(vow_post(t->pool, count_ran, vow_ptr(&t->ran)), 0);
    return vow_ok(VOW_NIL);
}

static vow_result
post_list_inside(void *ctx)
{
    struct jobs *jobs = ctx;

    assert_int_equal(submit_list(vow_executor_current(), jobs, 10), 0);
    return vow_ok(VOW_NIL);
}

VOW_CASE(what_a_worker_posts_is_admitted_and_does_not_count)
{
    for (int policy = VOW_FULL_BLOCK; policy <= VOW_FULL_DROP_OLDEST; policy++) {
        vow_executor *pool = pool_new(1, (vow_when_full)policy);
        struct there t = {.pool = pool};
        struct jobs jobs = {.n = 0}, inside = {.n = 0};
        vow_future *f;
        struct gate g;

        f = vow_submit(pool, post_a_hundred, vow_ptr(&t));
        assert_int_equal(code_of(f), 0);
        vow_unref(f);
        f = vow_submit(pool, post_list_inside, vow_ptr(&inside));
        assert_int_equal(code_of(f), 0);
        vow_unref(f);
        finish_jobs(&inside, "rrrrrrrrrr");
        shut(&g, pool);
        submit_more(&jobs, pool, 1, VOW_NORMAL);
        open_gate(&g);
        finish_jobs(&jobs, "r");
        pool_free(pool);
        assert_int_equal(t.ran, 100);
    }
}

static vow_result
submit_idle_inside(void *ctx)
{
    submit_more(ctx, vow_executor_current(), 3, VOW_IDLE);
    return vow_ok(VOW_NIL);
}

VOW_CASE(what_a_worker_posted_is_never_dropped_for_what_comes_from_outside)
{
    vow_executor *pool = pool_new(2, VOW_FULL_DROP_OLDEST);
    struct jobs own = {.n = 0}, jobs = {.n = 0};
    struct gate g;
    vow_future *f;

    shut(&g, pool);
    f = vow_submit(pool, submit_idle_inside, vow_ptr(&own));
    open_gate(&g);
    assert_int_equal(code_of(f), 0);
    shut(&g, pool); /* it goes before them */
    submit_more(&jobs, pool, 4, VOW_IDLE);
    submit_more(&jobs, pool, 3, VOW_IDLE);
    open_gate(&g);
    finish_jobs(&jobs, "lllllrr");
    finish_jobs(&own, "rrr");
    vow_unref(f);
    pool_free(pool);
}

/* The same, while it keeps the only worker busy. */
struct passed {
    struct jobs own;
    struct gate gate;
};

static vow_result
submit_and_wait(void *ctx)
{
    struct passed *p = ctx;

    submit_more(&p->own, vow_executor_current(), 3, VOW_LOW);
    return wait_at_gate(&p->gate);
}

VOW_CASE(drop_passes_what_a_worker_posted)
{
    for (int limit = 1; limit <= 2; limit++) {
        vow_executor *pool = pool_new((size_t)limit, VOW_FULL_DROP_OLDEST);
        struct passed p = {.own.n = 0};
        struct jobs jobs = {.n = 0};
        vow_future *f = vow_submit(pool, submit_and_wait, vow_ptr(&p));

        await_flag(&p.gate.entered, 1);
        submit_more(&jobs, pool, 6, VOW_LOW);
        atomic_store(&p.gate.open, 1);
        assert_int_equal(code_of(f), 0);
        finish_jobs(&jobs, limit == 1 ? "lllllr" : "llllrr");
        finish_jobs(&p.own, "rrr");
        vow_unref(f);
        pool_free(pool);
    }
}

static vow_result
count_step(vow_value in, void *ctx)
{
    (void)in;
    atomic_fetch_add((atomic_int *)ctx, 1);
    return vow_ok(VOW_NIL);
}

VOW_CASE(steps_are_admitted_by_a_full_pool)
{
    for (int policy = VOW_FULL_BLOCK; policy <= VOW_FULL_DROP_OLDEST; policy++) {
        vow_executor *pool = pool_new(1, (vow_when_full)policy);
        struct jobs jobs = {.n = 0};
        atomic_int ran = 0;
        vow_future *f[5];
        struct gate g;

        shut(&g, pool);
        submit_more(&jobs, pool, 1, VOW_NORMAL);
        for (int i = 0; i < 5; i++)
            f[i] = vow_then(vow_resolved(VOW_NIL), pool, count_step, vow_ptr(&ran));
        open_gate(&g);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(code_of(f[i]), 0);
            vow_unref(f[i]);
        }
        finish_jobs(&jobs, "r");
        pool_free(pool);
        assert_int_equal(ran, 5);
    }
}

/* Steps in one list, as the timers of a pool come that are due together. */
static atomic_int in_list;

static void
count_in_list(vow_task *task, int why)
{
    (void)task;
    atomic_fetch_add(&in_list, why == 0 ? 1 : 1000);
}

VOW_CASE(steps_in_a_list_are_admitted_by_a_full_pool)
{
    vow_executor *pool = pool_new(1, VOW_FULL_REJECT);
    vow_task steps[3] = {{.next = &steps[1]}, {.next = &steps[2]}, {.next = NULL}};
    struct jobs jobs = {.n = 0};
    struct gate g;

    for (int i = 0; i < 3; i++) {
        steps[i].run = count_in_list;
        steps[i].flags = VOW_TASK_STEP;
    }
    shut(&g, pool);
    submit_more(&jobs, pool, 2, VOW_NORMAL);
    assert_int_equal(pool->ops->post_many(pool, steps, 3), 0);
    open_gate(&g);
    finish_jobs(&jobs, "rl");
    pool_free(pool);
    assert_int_equal(atomic_load(&in_list), 3);
}

static void
fulfill_hook(vow_promise *p, const vow_error *reason, void *ctx)
{
    (void)reason;
    (void)ctx;
    vow_promise_fulfill(p, VOW_NIL);
}

VOW_CASE(cancel_never_waits_for_room_for_its_hook)
{
    vow_executor *pool = pool_new(1, VOW_FULL_BLOCK);
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    struct jobs jobs = {.n = 0};
    struct gate g;

    assert_non_null(vow_promise_on_cancel(p, pool, fulfill_hook, VOW_NIL));
    shut(&g, pool);
    submit_more(&jobs, pool, 1, VOW_NORMAL);
    vow_future_cancel(f, NULL);
    open_gate(&g);
    assert_int_equal(code_of(f), 0);
    finish_jobs(&jobs, "r");
    vow_unref(f);
    vow_promise_unref(p);
    pool_free(pool);
}

/* ---- what a full pool still does ------------------------------------------------------------ */

VOW_CASE(job_that_was_cancelled_counts_until_a_worker_has_passed_it)
{
    vow_executor *pool = pool_new(1, VOW_FULL_REJECT);
    struct jobs jobs = {.n = 0};
    struct drop d = {0};
    struct gate g;
    vow_future *f;

    shut(&g, pool);
    f = vow_submit(pool, run_counted, drop_value(&d));
    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(drop_count(&d), 1);
    submit_more(&jobs, pool, 1, VOW_NORMAL);
    open_gate(&g);
    finish_jobs(&jobs, "l");
    vow_unref(f);
    pool_free(pool);
    assert_int_equal(d.ran, 0);
}

static vow_result
get_it(void *f)
{
    return vow_ok(vow_i64(vow_error_code(vow_get(f).error)));
}

/* The worker waits for what is queued behind it, from outside, in a full pool. */
VOW_CASE(worker_of_a_full_pool_waits_for_what_is_queued_behind_it)
{
    vow_executor *pool = pool_new(3, VOW_FULL_REJECT);
    struct jobs jobs = {.n = 0};
    vow_future *f;
    struct gate g;

    shut(&g, pool);
    submit_more(&jobs, pool, 2, VOW_IDLE);
    f = vow_submit(pool, get_it, vow_ptr(jobs.f[1]));
    open_gate(&g);
    assert_int_equal(vow_get(f).value.as.i64, 0);
    finish_jobs(&jobs, "rr");
    vow_unref(f);
    pool_free(pool);
}

struct across {
    vow_executor *to;
    int code;
};

static vow_result
submit_across(void *ctx)
{
    struct across *a = ctx;
    vow_future *f = vow_submit(a->to, run_counted, VOW_NIL);

    a->code = code_of(f);
    vow_unref(f);
    return vow_ok(VOW_NIL);
}

VOW_CASE(two_full_pools_submit_to_each_other_and_end)
{
    vow_executor *pools[2] = {pool_new(1, VOW_FULL_BLOCK), pool_new(1, VOW_FULL_BLOCK)};

    for (int round = 0; round < 200; round++) {
        struct across a[2];
        vow_future *f[2];

        for (int i = 0; i < 2; i++) {
            a[i] = (struct across){pools[1 - i], -1};
            f[i] = vow_submit(pools[i], submit_across, vow_ptr(&a[i]));
        }
        for (int i = 0; i < 2; i++) {
            assert_int_equal(code_of(f[i]), 0);
            assert_true(a[i].code == 0 || a[i].code == VOW_E_LIMIT);
            vow_unref(f[i]);
        }
    }
    pool_free(pools[0]);
    pool_free(pools[1]);
}

/* ---- options --------------------------------------------------------------------------------- */

VOW_CASE(options_of_an_older_program_have_no_limit)
{
    vow_pool_options opt =
        VOW_POOL_OPTIONS(.threads = 1, .queue_limit = 1, .when_full = VOW_FULL_REJECT);
    struct jobs jobs = {.n = 0};
    vow_executor *pool;
    struct gate g;

    opt.size = offsetof(vow_pool_options, queue_limit);
    pool = vow_pool_new(&opt);
    assert_non_null(pool);
    shut(&g, pool);
    submit_more(&jobs, pool, 3, VOW_NORMAL);
    open_gate(&g);
    finish_jobs(&jobs, "rrr");
    pool_free(pool);
}

VOW_CASE(policy_that_is_none_is_invalid)
{
    errno = 0;
    assert_null(vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .queue_limit = 1,
                                               .when_full = (vow_when_full)4)));
    assert_int_equal(errno, EINVAL);
}

/* ---- four producers --------------------------------------------------------------------------- */

enum { PRODUCERS = 4, LIMIT = 1000, EACH = 20000, WORKERS = 2 };

/* What is alive of all that was submitted: a context is from its making to its drop. */
static struct {
    vow_executor *pool;
    atomic_int alive, most, ran, refused;
} load;

static void
drop_load(void *ctx)
{
    (void)ctx;
    atomic_fetch_sub(&load.alive, 1);
}

static void
run_load(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&load.ran, 1);
}

static vow_result
run_load_job(void *ctx)
{
    run_load(ctx);
    return vow_ok(VOW_NIL);
}

static vow_value
load_ctx(void)
{
    int alive = atomic_fetch_add(&load.alive, 1) + 1;
    int most = atomic_load(&load.most);

    while (alive > most && !atomic_compare_exchange_weak(&load.most, &most, alive))
        ;
    return vow_own(&load, drop_load);
}

static void *
produce(void *arg)
{
    (void)arg;
    for (int i = 0; i < EACH; i += 2) {
        vow_future *f = vow_submit(load.pool, run_load_job, load_ctx());

        if (vow_future_status(f) == VOW_REJECTED)
            atomic_fetch_add(&load.refused, 1);
        vow_ignore(f);
        if (vow_post(load.pool, run_load, load_ctx()) != 0)
            atomic_fetch_add(&load.refused, 1);
    }
    return NULL;
}

static void
run_producers(vow_when_full policy)
{
    pthread_t threads[PRODUCERS];

    atomic_store(&load.ran, 0);
    atomic_store(&load.refused, 0);
    atomic_store(&load.most, 0);
    load.pool = vow_pool_new(
        &VOW_POOL_OPTIONS(.threads = WORKERS, .queue_limit = LIMIT, .when_full = policy));
    assert_non_null(load.pool);
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, produce, NULL), 0);
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    pool_free(load.pool);
    assert_int_equal(load.alive, 0);
    assert_in_range(load.most, 1, LIMIT + WORKERS + PRODUCERS + PRODUCERS * LIMIT / 1000);
}

VOW_CASE(four_producers_keep_memory_flat_and_each_policy_keeps_its_word)
{
    run_producers(VOW_FULL_BLOCK);
    assert_int_equal(load.refused, 0);
    assert_int_equal(load.ran, PRODUCERS * EACH);
    run_producers(VOW_FULL_REJECT);
    assert_int_equal(load.ran + load.refused, PRODUCERS * EACH);
    run_producers(VOW_FULL_RUN); /* what is refused are posts alone */
    assert_int_equal(load.ran + load.refused, PRODUCERS * EACH);
    assert_true(load.ran >= PRODUCERS * EACH / 2);
    run_producers(VOW_FULL_DROP_OLDEST); /* some futures are dropped later on */
    assert_true(load.ran <= PRODUCERS * EACH);
    assert_true(load.ran >= LIMIT);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(full_pool_refuses_and_what_runs_does_not_count),
        vow_test(tasks_of_all_priorities_count_and_room_comes_back),
        vow_test(many_are_admitted_all_or_none),
        vow_test(oldest_makes_room),
        vow_test(oldest_of_the_least_urgent_makes_room_and_never_of_the_more_urgent),
        vow_test(many_drop_as_many_as_they_need),
        vow_test(steps_on_what_many_drop_find_all_of_it_dropped),
        vow_test(dropping_in_a_chain_is_flat),
        vow_test(full_pool_lets_the_caller_run_what_is_submitted_but_not_what_is_posted),
        vow_test(closed_pool_lets_nobody_run_anything),
        vow_test(work_in_the_caller_that_submits_more_never_nests),
        vow_test(posters_wait_for_room_and_then_are_in),
        vow_test(poster_of_many_waits_for_room_for_all),
        vow_test(close_turns_waiting_posters_away),
        vow_test(more_than_the_limit_at_once_never_waits),
        vow_test(thread_of_another_executor_is_refused_and_not_kept_waiting),
        vow_test(thread_with_deferred_steps_is_refused_and_not_kept_waiting),
        vow_test(steps_put_off_run_before_their_thread_waits_for_room),
        vow_test(what_a_worker_posts_is_admitted_and_does_not_count),
        vow_test(what_a_worker_posted_is_never_dropped_for_what_comes_from_outside),
        vow_test(drop_passes_what_a_worker_posted),
        vow_test(steps_are_admitted_by_a_full_pool),
        vow_test(steps_in_a_list_are_admitted_by_a_full_pool),
        vow_test(cancel_never_waits_for_room_for_its_hook),
        vow_test(job_that_was_cancelled_counts_until_a_worker_has_passed_it),
        vow_test(worker_of_a_full_pool_waits_for_what_is_queued_behind_it),
        vow_test(two_full_pools_submit_to_each_other_and_end),
        vow_test(options_of_an_older_program_have_no_limit),
        vow_test(policy_that_is_none_is_invalid),
        vow_test(four_producers_keep_memory_flat_and_each_policy_keeps_its_word),
    };

    return vow_test_run(cases);
}
