/* SPDX-License-Identifier: MIT */
/*
 * pthread_exit in user code that has no result: a hook, a watch, an errand, a timer; in a
 * task that its waiter runs in its place; and in what a close ends. What would have
 * followed still happens.
 */
#include "support/vow_test.h"

#include <errno.h>

#include "base/time.h"
#include "support/drops.h"
#include "support/held_timers.h"
#include "support/pool_fixture.h"

static void
on_a_thread(void *(*run)(void *), void *arg)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
    pthread_join(thread, NULL);
}

/* ---- a hook ----------------------------------------------------------------------------- */

static void
exit_in_hook(vow_promise *p, const vow_error *reason, void *ctx)
{
    (void)p;
    assert_true(vow_error_is(reason, EINTR));
    drop_ran(ctx);
    pthread_exit(NULL);
}

static void *
cancel(void *f)
{
    vow_future_cancel(f, vow_error_new(EINTR, "enough"));
    return NULL;
}

VOW_CASE(exit_in_a_cancel_hook_drops_its_context_and_lets_go_of_the_promise)
{
    struct drop ctx = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    vow_promise_on_cancel(p, NULL, exit_in_hook, drop_value(&ctx));
    on_a_thread(cancel, f);
    assert_int_equal(atomic_load(&ctx.ran), 1);
    assert_int_equal(drop_count(&ctx), 1);
    assert_int_equal(vow_future_status(f), VOW_PENDING);

    vow_promise_unref(p);
    assert_int_equal(code_of(f), VOW_E_BROKEN);
    vow_unref(f);
}

/* ---- a watch ----------------------------------------------------------------------------- */

static void
exit_in_watch(vow_view in, void *ctx)
{
    (void)in;
    drop_ran(ctx);
    pthread_exit(NULL);
}

static void *
fulfill(void *p)
{
    vow_promise_fulfill(p, vow_i64(1));
    return NULL;
}

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

VOW_CASE(exit_in_a_watch_drops_its_context_and_the_steps_after_it_run)
{
    struct drop ctx = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f;

    vow_on_settled(vow_promise_future(p), NULL, exit_in_watch, drop_value(&ctx));
    f = vow_then(vow_promise_future(p), NULL, add_one, VOW_NIL);
    on_a_thread(fulfill, p);

    assert_int_equal(atomic_load(&ctx.ran), 1);
    assert_int_equal(drop_count(&ctx), 1);
    assert_int_equal(vow_peek(f).value.as.i64, 2);
    vow_promise_unref(p);
    vow_unref(f);
}

/* ---- an errand ----------------------------------------------------------------------------- */

static void
exit_in_errand(void *ctx)
{
    drop_ran(ctx);
    pthread_exit(NULL);
}

static void *
post_inline(void *ctx)
{
    if (vow_post(NULL, exit_in_errand, drop_value(ctx)) != 0)
        drop_ran(ctx); /* it never returns */
    return NULL;
}

VOW_CASE(exit_in_an_errand_drops_its_context)
{
    struct drop ctx = {0};

    on_a_thread(post_inline, &ctx);
    assert_int_equal(atomic_load(&ctx.ran), 1);
    assert_int_equal(drop_count(&ctx), 1);
}

/* ---- a task run in its place ------------------------------------------------------------------ */

struct place {
    vow_executor *pool;
    struct drop ctx;
    vow_future *older; /* in the worker's queue below a younger one */
    vow_future *younger;
};

static vow_result
exit_in_task(void *ctx)
{
    drop_ran(ctx);
    pthread_exit(NULL);
}

static vow_result
seven(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(7));
}

static vow_result
wait_for_the_older(void *ctx)
{
    struct place *at = ctx;

    at->older = vow_submit(at->pool, exit_in_task, drop_value(&at->ctx));
    at->younger = vow_submit(at->pool, seven, VOW_NIL);
    return vow_ok(vow_get(at->older).value);
}

VOW_CASE(exit_in_a_task_run_by_its_waiter_breaks_both_and_spares_others)
{
    struct place at = {.pool = pool_of(1)};
    vow_future *f;

    f = vow_submit(at.pool, wait_for_the_older, vow_ptr(&at));
    assert_int_equal(code_of(f), VOW_E_BROKEN);
    assert_int_equal(code_of(at.older), VOW_E_BROKEN);
    assert_int_equal(vow_get(at.younger).value.as.i64, 7);
    assert_int_equal(atomic_load(&at.ctx.ran), 1);
    assert_int_equal(drop_count(&at.ctx), 1);

    vow_unref(f);
    vow_unref(at.older);
    vow_unref(at.younger);
    pool_free(at.pool);
}

/* ---- a drop ------------------------------------------------------------------------------- */

static void
exit_in_drop(void *drop)
{
    drop_it(drop);
    pthread_exit(NULL);
}

static vow_value
fatal_value(struct drop *d)
{
    return vow_own(d, exit_in_drop);
}

static vow_result
add_more(vow_value in, void *ctx)
{
    drop_ran(ctx);
    return vow_ok(vow_i64(in.as.i64 + 1));
}

static vow_result
look_at(vow_view in, void *ctx)
{
    (void)in;
    drop_ran(ctx);
    return vow_ok(vow_i64(9));
}

static void *
fulfill_with_one(void *p)
{
    vow_promise_fulfill(p, vow_i64(1));
    return NULL;
}

static void *
let_go(void *p)
{
    vow_promise_unref(p);
    return NULL;
}

static void *
abandon(void *p)
{
    vow_promise_abandon(p);
    return NULL;
}

/* Settles a promise of which a step with such a context hangs, and another one behind it.
 * Returns the code of both, which are to be the same. */
static int
exit_behind(void *(*settle)(void *), bool takes_it, struct drop *ctx)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_then(vow_promise_future(p), NULL, add_more, fatal_value(ctx));
    vow_future *g = vow_then(vow_ref(f), NULL, add_more, VOW_NIL);
    vow_future *h = vow_then(vow_promise_future(p), NULL, add_more, VOW_NIL);
    int code;

    on_a_thread(settle, p);
    assert_int_equal(drop_count(ctx), 1);
    code = code_of(f);
    assert_int_equal(code_of(g), code);
    assert_int_equal(code_of(h), code);
    if (!takes_it)
        vow_promise_unref(p);
    vow_unref(f);
    vow_unref(g);
    vow_unref(h);
    return code;
}

VOW_CASE(exit_in_the_drop_of_a_step_settles_it_and_what_is_behind)
{
    struct drop ctx[3] = {{0}};

    assert_int_equal(exit_behind(fulfill_with_one, false, &ctx[0]), 0);
    assert_int_equal(exit_behind(let_go, true, &ctx[1]), VOW_E_BROKEN);
    assert_int_equal(exit_behind(abandon, true, &ctx[2]), VOW_E_BROKEN);
    assert_int_equal(ctx[0].ran, 1);
    assert_int_equal(ctx[1].ran, 0);
}

static void
note_request(vow_promise *p, const vow_error *reason, void *ctx)
{
    (void)p;
    (void)reason;
    drop_ran(ctx);
}

VOW_CASE(exit_in_the_drop_of_a_hook_that_has_run_lets_go_of_the_promise)
{
    struct drop ctx = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_registration *r = vow_promise_on_cancel(p, NULL, note_request, fatal_value(&ctx));

    on_a_thread(cancel, f);
    assert_int_equal(atomic_load(&ctx.ran), 1);
    assert_int_equal(drop_count(&ctx), 1);
    assert_int_equal(vow_registration_remove(r), VOW_RAN);

    vow_promise_unref(p);
    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    assert_int_equal(code_of(f), VOW_E_BROKEN);
    vow_unref(f);
}

static void *
resolve_with_one(void *p)
{
    vow_promise_resolve(p, vow_ok(vow_i64(1)));
    return NULL;
}

/* Settles a promise that has such a hook, and of which two steps hang, one behind it and one
 * on a pool. Returns the code of both, which is to be the same. */
static int
exit_before(void *(*settle)(void *), bool takes_it, struct drop *ctx)
{
    vow_executor *pool = pool_of(1);
    vow_promise *p = vow_promise_new();
    vow_future *source = vow_promise_future(p);
    vow_future *f = vow_then(vow_ref(source), NULL, add_more, VOW_NIL);
    vow_future *g = vow_then(vow_ref(source), pool, add_more, VOW_NIL);
    vow_registration *r = vow_promise_on_cancel(p, NULL, note_request, fatal_value(ctx));
    int code;

    on_a_thread(settle, p);
    assert_int_equal(drop_count(ctx), 1);
    assert_int_equal(atomic_load(&ctx->ran), 0);
    assert_int_equal(vow_registration_remove(r), VOW_REMOVED);
    assert_int_not_equal(vow_future_status(f), VOW_PENDING);
    code = code_of(f);
    assert_int_equal(code_of(g), code);
    if (!takes_it)
        vow_promise_unref(p);
    vow_unref(source);
    vow_unref(f);
    vow_unref(g);
    pool_free(pool);
    return code;
}

VOW_CASE(exit_in_the_drop_of_a_hook_as_its_promise_settles_runs_what_hangs_there)
{
    struct drop ctx[4] = {{0}};

    assert_int_equal(exit_before(fulfill_with_one, false, &ctx[0]), 0);
    assert_int_equal(exit_before(resolve_with_one, false, &ctx[1]), 0);
    assert_int_equal(exit_before(let_go, true, &ctx[2]), VOW_E_BROKEN);
    assert_int_equal(exit_before(abandon, true, &ctx[3]), VOW_E_BROKEN);
}

VOW_CASE(exit_in_the_drop_of_a_hook_of_what_nothing_hangs_on_loses_no_memory)
{
    struct drop ctx = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_registration *r = vow_promise_on_cancel(p, NULL, note_request, fatal_value(&ctx));

    on_a_thread(resolve_with_one, p);
    assert_int_equal(drop_count(&ctx), 1);
    assert_int_equal(vow_registration_remove(r), VOW_REMOVED);
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    vow_promise_unref(p);
    vow_unref(f);
}

static vow_result
fails(void *ctx)
{
    drop_ran(ctx);
    return vow_err(vow_error_new(EIO, "no more"));
}

static void *
advance_by_ten(void *m)
{
    vow_manual_advance(m, 10);
    return NULL;
}

VOW_CASE(exit_in_the_drop_of_periodic_work_settles_it)
{
    struct drop ctx = {0};
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit_every(vow_manual_executor(m), 10, VOW_MISSED_SKIP, fails,
                                     fatal_value(&ctx));

    on_a_thread(advance_by_ten, m);
    assert_int_equal(atomic_load(&ctx.ran), 1);
    assert_int_equal(drop_count(&ctx), 1);
    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    assert_int_equal(code_of(f), EIO);
    vow_unref(f);
    vow_manual_unref(m);
}

VOW_CASE(exit_in_a_drop_on_a_pool_settles_with_what_was_returned)
{
    struct drop ctx[2] = {{0}};
    vow_executor *pool = pool_of(1);
    vow_future *f, *g, *h;

    f = vow_submit(pool, seven, fatal_value(&ctx[0]));
    g = vow_handle(vow_ref(f), pool, look_at, fatal_value(&ctx[1]));
    h = vow_submit(pool, seven, VOW_NIL);

    assert_int_equal(vow_get(f).value.as.i64, 7);
    assert_int_equal(vow_get(g).value.as.i64, 9);
    assert_int_equal(vow_get(h).value.as.i64, 7);
    assert_int_equal(drop_count(&ctx[0]) + drop_count(&ctx[1]), 2);
    vow_unref(f);
    vow_unref(g);
    vow_unref(h);
    pool_free(pool);
}

VOW_CASE(exit_in_the_drop_of_what_is_cancelled_asks_what_is_behind)
{
    struct drop ctx[2] = {{0}};
    vow_manual *m = vow_manual_new();
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_then(vow_promise_future(p), NULL, add_more, VOW_NIL);
    vow_future *g = vow_then(f, NULL, add_more, fatal_value(&ctx[0]));
    vow_future *h =
        vow_submit_at(vow_manual_executor(m), 100, seven, fatal_value(&ctx[1]));

    on_a_thread(cancel, g);
    on_a_thread(cancel, h);
    assert_int_equal(code_of(g), VOW_E_CANCELLED);
    assert_int_equal(code_of(h), VOW_E_CANCELLED);
    assert_false(vow_promise_fulfill(p, VOW_NIL)); /* it was asked, and has no hook */
    assert_int_equal(vow_manual_advance(m, 100), 0);
    assert_int_equal(drop_count(&ctx[0]) + drop_count(&ctx[1]), 2);
    vow_promise_unref(p);
    vow_unref(g);
    vow_unref(h);
    vow_manual_unref(m);
}

static void
note_call(void *ctx)
{
    drop_ran(ctx);
}

static void *
fire(void *source)
{
    vow_source_cancel(source, NULL);
    return NULL;
}

static int
refuse_it(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    return VOW_E_CLOSED;
}

static const vow_executor_ops closed_ops = {
    .size = sizeof(vow_executor_ops), .name = "closed", .post = refuse_it};

/* A task and two callbacks, of which the drop of one ends the thread. */
static void
exit_among_three(int fatal)
{
    struct drop d[3] = {{0}};
    vow_manual *m = vow_manual_new();
    vow_source *s = vow_source_new();
    vow_token *t = vow_source_token(s);
    vow_value ctx[3];
    vow_registration *r[2];
    vow_future *f;

    for (int i = 0; i < 3; i++)
        ctx[i] = i == fatal ? fatal_value(&d[i]) : drop_value(&d[i]);
    r[0] = vow_token_on_cancel(t, NULL, note_call, ctx[0]);
    f = vow_submit_with(vow_manual_executor(m), &VOW_SUBMIT_OPTIONS(.token = t), seven,
                        ctx[2]);
    r[1] = vow_token_on_cancel(t, NULL, note_call, ctx[1]);
    on_a_thread(fire, s);

    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    for (int i = 0; i < 3; i++)
        assert_int_equal(drop_count(&d[i]), 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(d[i].ran, 1);
        assert_int_equal(vow_registration_remove(r[i]), VOW_RAN);
    }
    vow_unref(f);
    vow_token_unref(t);
    vow_source_unref(s);
    vow_manual_run(m);
    vow_manual_unref(m);
}

VOW_CASE(exit_in_a_drop_leaves_the_others_of_its_token_theirs)
{
    for (int fatal = 0; fatal < 3; fatal++)
        exit_among_three(fatal);
}

VOW_CASE(exit_in_the_drop_of_what_is_refused_says_that_it_was)
{
    struct drop d = {0};
    vow_executor closed = {.ops = &closed_ops};
    vow_source *s = vow_source_new();
    vow_token *t = vow_source_token(s);
    vow_registration *r = vow_token_on_cancel(t, &closed, note_call, fatal_value(&d));

    on_a_thread(fire, s);
    assert_int_equal(vow_registration_remove(r), VOW_REMOVED);
    assert_int_equal(drop_count(&d), 1);
    vow_token_unref(t);
    vow_source_unref(s);
}

/* A promise that is fulfilled in an errand: the step on it waits for the errand's end. */
static void
fulfill_in_errand(void *promise)
{
    vow_promise_fulfill(*(vow_promise **)promise, vow_i64(1));
}

static void
exit_in_drop_of_errand(void *promise)
{
    vow_promise_unref(*(vow_promise **)promise);
    pthread_exit(NULL);
}

static void *
post_to_itself(void *promise)
{
    assert_int_equal(
        vow_post(NULL, fulfill_in_errand, vow_own(promise, exit_in_drop_of_errand)), 0);
    return NULL;
}

VOW_CASE(exit_in_the_drop_of_an_errand_runs_the_steps_that_wait)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_then(vow_promise_future(p), NULL, add_more, VOW_NIL);

    on_a_thread(post_to_itself, &p);
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    vow_unref(f);
}

/* A value that owns two others, of which one owns a third. */
struct owner {
    vow_future *owned[2];
    bool exits;
};

static void
drop_owner(void *owner)
{
    struct owner *o = owner;

    vow_unref(o->owned[0]);
    vow_unref(o->owned[1]);
    if (o->exits)
        pthread_exit(NULL);
}

static void *
drop_future(void *f)
{
    vow_unref(f);
    return NULL;
}

VOW_CASE(exit_in_the_drop_of_a_value_frees_what_it_owned)
{
    struct drop d[2] = {{0}};
    struct owner inner = {{vow_resolved(drop_value(&d[0])), NULL}, false};
    struct owner outer = {
        {vow_resolved(vow_own(&inner, drop_owner)), vow_resolved(drop_value(&d[1]))},
        true};

    on_a_thread(drop_future, vow_resolved(vow_own(&outer, drop_owner)));
    assert_int_equal(drop_count(&d[0]), 1);
    assert_int_equal(drop_count(&d[1]), 1);
}

/* Asked to stop in a turn, and wants another one. */
struct stopped {
    vow_manual *m;
    vow_future *f;
    struct drop ctx;
};

static vow_result
cancel_and_yield(void *stopped)
{
    vow_future_cancel(((struct stopped *)stopped)->f, NULL);
    return vow_yield_task();
}

static void
exit_in_drop_of_stopped(void *stopped)
{
    exit_in_drop(&((struct stopped *)stopped)->ctx);
}

static void *
step_stopped(void *stopped)
{
    vow_manual_step(((struct stopped *)stopped)->m);
    return NULL;
}

VOW_CASE(exit_in_the_drop_of_what_stops_between_two_turns_settles_it)
{
    struct stopped s = {.m = vow_manual_new()};

    s.f = vow_submit(vow_manual_executor(s.m), cancel_and_yield,
                     vow_own(&s, exit_in_drop_of_stopped));
    on_a_thread(step_stopped, &s);
    assert_int_equal(code_of(s.f), VOW_E_CANCELLED);
    assert_int_equal(drop_count(&s.ctx), 1);
    vow_unref(s.f);
    vow_manual_unref(s.m);
}

/* ---- timers of an executor that closes ---------------------------------------------------------- */

/* It runs what is posted to it at once. */
struct quick {
    vow_executor executor; /* first */
    int destroyed;
};

static int
run_at_once(vow_executor *self, vow_task *task)
{
    (void)self;
    task->run(task, 0);
    return 0;
}

static void
note_destroyed(vow_executor *self)
{
    ((struct quick *)(void *)self)->destroyed++;
}

static const vow_executor_ops quick_ops = {.size = sizeof(vow_executor_ops),
                                           .name = "quick",
                                           .post = run_at_once,
                                           .destroy = note_destroyed};

static void
quick_init(struct quick *q)
{
    *q = (struct quick){.destroyed = 0};
    assert_int_equal(vow_executor_init(&q->executor, &quick_ops), 0);
}

/* What a task or a timer was told as it ran. */
struct run {
    bool exits;
    atomic_int times;
    int why;
};

static void
note_run(struct run *r, int why)
{
    r->why = why;
    atomic_fetch_add(&r->times, 1);
    if (r->exits)
        pthread_exit(NULL);
}

static void
assert_ran_once(struct run *r, int why)
{
    assert_int_equal(atomic_load(&r->times), 1);
    assert_int_equal(r->why, why);
}

struct bell {
    vow_timer timer; /* first */
    struct run run;
};

static void
ring(vow_task *task, int why)
{
    note_run(&((struct bell *)(void *)task)->run, why);
}

static void
await_bell(struct bell *b)
{
    await_flag(&b->run.times, 1);
}

/* The first of three ends the thread. (Another one that it then runs must not: of a second
 * pthread_exit inside the first POSIX says nothing, and what clang makes aborts.) */
static void
arm_three(struct bell *bells, vow_executor *on, vow_ns when)
{
    for (int i = 0; i < 3; i++) {
        bells[i] = (struct bell){.timer.task.run = ring, .run.exits = i == 0};
        assert_int_equal(vow_timer_arm(on, &bells[i].timer, when), 0);
    }
}

static void
assert_rang_once(struct bell *bells, int why)
{
    for (int i = 0; i < 3; i++) {
        assert_ran_once(&bells[i].run, why);
        assert_int_equal(vow_timer_disarm(&bells[i].timer), VOW_RAN);
    }
}

static void *
close_it(void *on)
{
    vow_unref(vow_executor_close(on, VOW_CANCEL_QUEUED));
    return NULL;
}

/* What this thread counts of it in advance goes with it. */
static void *
arm_and_give_up(void *bells)
{
    struct bell *three = bells;
    vow_executor *on = three[0].timer.on;

    arm_three(three, on, vow_now() + vow_seconds(900));
    vow_executor_unref(on);
    return NULL;
}

VOW_CASE(exit_in_a_timer_that_a_close_ends_leaves_the_close_to_be_finished)
{
    struct quick q;
    struct bell bells[3];
    vow_future *closed;

    quick_init(&q);
    arm_three(bells, &q.executor, vow_now() + vow_seconds(900));
    on_a_thread(close_it, &q.executor);
    assert_rang_once(bells, VOW_E_CLOSED);
    closed = vow_executor_close(&q.executor, VOW_DRAIN);
    assert_int_equal(vow_future_status(closed), VOW_FULFILLED);
    vow_unref(closed);
    vow_executor_unref(&q.executor);
    assert_int_equal(q.destroyed, 1);
}

VOW_CASE(exit_in_a_timer_that_the_last_unref_ends_destroys_the_executor)
{
    struct quick q;
    struct bell bells[3] = {{.timer.on = &q.executor}};

    quick_init(&q);
    on_a_thread(arm_and_give_up, bells);
    assert_rang_once(bells, VOW_E_CLOSED);
    assert_int_equal(q.destroyed, 1);
}

/* ---- the thread that fires timers ------------------------------------------------------------- */

static void
release_timer_thread(vow_timer *timer)
{
    let_timer_thread_go();
    while (vow_timer_disarm(timer) != VOW_RUNNING) /* it is in its queue for ever */
        sched_yield();
}

VOW_CASE(exit_of_the_timer_thread_in_a_post_leaves_the_timers_to_another)
{
    vow_timer first = {.task.run = ring};
    struct quick q;
    struct bell bells[3];

    quick_init(&q);
    hold_timer_thread(&first);
    arm_three(bells, &q.executor, vow_now());
    release_timer_thread(&first);
    for (int i = 0; i < 3; i++)
        await_bell(&bells[i]);
    vowi_timer_thread_stop();
    assert_rang_once(bells, 0);
    vow_executor_unref(&q.executor);
    assert_int_equal(q.destroyed, 1);
}

static int
refuse_list(vow_executor *self, vow_task *first, size_t n)
{
    (void)self;
    (void)first;
    assert_int_equal(n, 3);
    return VOW_E_LIMIT;
}

/* They are due together, and it takes lists. */
VOW_CASE(exit_of_the_timer_thread_among_several_posts_leaves_none)
{
    vow_executor_ops ops = quick_ops;
    vow_timer first = {.task.run = ring};
    struct quick q = {.destroyed = 0};
    struct bell bells[3];

    ops.post_many = refuse_list;
    assert_int_equal(vow_executor_init(&q.executor, &ops), 0);
    hold_timer_thread(&first);
    arm_three(bells, &q.executor, vow_now());
    release_timer_thread(&first);
    for (int i = 0; i < 3; i++)
        await_bell(&bells[i]);
    vowi_timer_thread_stop();
    assert_rang_once(bells, 0);
    vow_executor_unref(&q.executor);
    assert_int_equal(q.destroyed, 1);
}

static struct bell worker_bells[3];
static atomic_int armed;

static void
arm_on(void *on)
{
    arm_three(worker_bells, on, vow_now());
    atomic_store(&armed, 1);
}

/* While the timer thread is held, the worker that armed them fires them. */
VOW_CASE(exit_of_a_worker_that_fires_timers_leaves_the_pool_whole)
{
    vow_timer first = {.task.run = ring};
    vow_executor *pool;
    struct quick q;

    quick_init(&q);
    hold_timer_thread(&first);
    pool = pool_of(1);
    assert_int_equal(vow_post(pool, arm_on, vow_ptr(&q.executor)), 0);
    while (atomic_load(&armed) == 0)
        sched_yield();
    for (int i = 0; i < 3; i++)
        await_bell(&worker_bells[i]);
    pool_free(pool);
    release_timer_thread(&first);
    vowi_timer_thread_stop();
    assert_rang_once(worker_bells, 0);
    vow_executor_unref(&q.executor);
    assert_int_equal(q.destroyed, 1);
}

/* ---- what is queued where it closes ---------------------------------------------------------- */

struct errand {
    vow_task task; /* first */
    struct run run;
};

static void
run_errand(vow_task *task, int why)
{
    note_run(&((struct errand *)(void *)task)->run, why);
}

/* The first of three ends the thread. */
static void
post_three(struct errand *errands, vow_executor *on)
{
    for (int i = 0; i < 3; i++) {
        errands[i] = (struct errand){.task.run = run_errand, .run.exits = i == 0};
        assert_int_equal(vow_post_task(on, &errands[i].task), 0);
    }
}

static void
assert_ended_once(struct errand *errands, int n, int why)
{
    for (int i = 0; i < n; i++)
        assert_ran_once(&errands[i].run, why);
}

static void
assert_closed(vow_executor *on)
{
    vow_future *closed = vow_executor_close(on, VOW_CANCEL_QUEUED);

    assert_int_equal(vow_future_status(closed), VOW_FULFILLED);
    vow_unref(closed);
}

/* With what is queued there, and armed: of one of the two the first ends the thread. */
static void
close_with_three(vow_executor *on, bool bell_exits)
{
    struct errand errands[3];
    struct bell bells[3];
    vow_future *f;

    post_three(errands, on);
    arm_three(bells, on, VOW_FOREVER - 1);
    errands[0].run.exits = !bell_exits;
    bells[0].run.exits = bell_exits;
    f = vow_submit_after(on, vow_seconds(900), seven, VOW_NIL);
    on_a_thread(close_it, on);
    assert_ended_once(errands, 3, VOW_E_CLOSED);
    assert_rang_once(bells, VOW_E_CLOSED);
    assert_int_equal(code_of(f), VOW_E_CLOSED);
    assert_closed(on);
    vow_unref(f);
}

VOW_CASE(exit_in_what_a_manual_executor_refuses_spares_others)
{
    for (int i = 0; i < 2; i++) {
        vow_manual *m = vow_manual_new();

        close_with_three(vow_manual_executor(m), i != 0);
        vow_manual_unref(m);
    }
}

VOW_CASE(exit_in_what_a_loop_refuses_spares_others)
{
    for (int i = 0; i < 2; i++) {
        vow_loop *loop = vow_loop_new(NULL);

        close_with_three(vow_loop_executor(loop), i != 0);
        vow_loop_unref(loop);
    }
}

/* Its timers are those of what is behind it. */
VOW_CASE(exit_in_what_a_serial_executor_refuses_spares_others)
{
    vow_manual *m = vow_manual_new();
    vow_loop *loop = vow_loop_new(NULL);

    for (int i = 0; i < 2; i++) {
        vow_executor *s =
            vow_serial_new(i == 0 ? vow_manual_executor(m) : vow_loop_executor(loop));

        close_with_three(s, i != 0);
        vow_executor_unref(s);
    }
    vow_manual_unref(m);
    vow_loop_unref(loop);
}

/* Some of them are in its list already. */
VOW_CASE(exit_in_what_a_serial_executor_had_begun_with_spares_others)
{
    vow_manual *m = vow_manual_new();
    vow_executor *s = vow_serial_new(vow_manual_executor(m));
    enum { ROW = 64 };
    struct errand row[ROW], errands[6];

    for (int i = 0; i < ROW; i++) {
        row[i] = (struct errand){.task.run = run_errand};
        assert_int_equal(vow_post_task(s, &row[i].task), 0);
    }
    post_three(errands, s);
    vow_manual_step(m);
    post_three(errands + 3, s);
    errands[3].run.exits = false;
    on_a_thread(close_it, s);
    assert_ended_once(row, ROW, 0);
    assert_ended_once(errands, 6, VOW_E_CLOSED);
    assert_closed(s);
    vow_executor_unref(s);
    vow_manual_unref(m);
}

VOW_CASE(exit_in_what_is_refused_behind_a_serial_executor_spares_others)
{
    vow_manual *m = vow_manual_new();
    vow_executor *s = vow_serial_new(vow_manual_executor(m));
    struct errand errands[3];

    post_three(errands, s);
    on_a_thread(close_it, vow_manual_executor(m));
    assert_ended_once(errands, 3, VOW_E_CLOSED);
    assert_closed(vow_manual_executor(m));
    assert_closed(s);
    vow_executor_unref(s);
    vow_manual_unref(m);
}

static struct gate gate;

/* Returns with its only thread held. */
static vow_executor *
pool_that_is_held(vow_pool_options opt)
{
    vow_executor *pool;

    opt.threads = 1;
    pool = vow_pool_new(&opt);
    assert_non_null(pool);
    shut(&gate, pool);
    return pool;
}

static void
release_pool(vow_executor *pool)
{
    open_gate(&gate);
    pool_free(pool);
}

VOW_CASE(exit_in_what_a_pool_refuses_spares_others)
{
    vow_executor *pool = pool_that_is_held(VOW_POOL_OPTIONS());
    struct errand errands[3];

    post_three(errands, pool);
    on_a_thread(close_it, pool);
    assert_ended_once(errands, 3, VOW_E_CLOSED);
    release_pool(pool);
}

struct pair {
    vow_executor *pool;
    vow_task tasks[2];
};

static void
run_nothing(vow_task *task, int why)
{
    (void)task;
    (void)why;
}

static void *
post_two(void *pair)
{
    struct pair *two = pair;

    two->tasks[0].next = &two->tasks[1];
    two->pool->ops->post_many(two->pool, two->tasks, 2);
    return NULL;
}

VOW_CASE(exit_in_what_a_full_pool_drops_spares_others)
{
    struct pair two = {.tasks = {{.run = run_nothing}, {.run = run_nothing}}};
    struct errand errands[2];

    two.pool = pool_that_is_held(
        VOW_POOL_OPTIONS(.queue_limit = 2, .when_full = VOW_FULL_DROP_OLDEST));
    for (int i = 0; i < 2; i++) {
        errands[i] = (struct errand){.task.run = run_errand, .run.exits = i == 0};
        assert_int_equal(vow_post_task(two.pool, &errands[i].task), 0);
    }
    on_a_thread(post_two, &two);
    assert_ended_once(errands, 2, VOW_E_LIMIT);
    release_pool(two.pool);
}

/* ---- a drop of what has settled --------------------------------------------------------------- */

static void *
step(void *m)
{
    vow_manual_step(m);
    return NULL;
}

static vow_result
return_owned(void *d)
{
    return vow_ok(fatal_value(d));
}

static vow_result
return_counted(void *d)
{
    return vow_ok(drop_value(d));
}

static vow_result
seven_more(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    return vow_ok(vow_i64(7));
}

VOW_CASE(exit_in_the_drop_of_an_outcome_runs_the_steps_that_wait)
{
    struct drop d = {0};
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit(vow_manual_executor(m), return_owned, vow_ptr(&d));
    vow_future *g = vow_then(f, NULL, seven_more, VOW_NIL);
    vow_future *h = vow_then(vow_ref(g), NULL, add_more, VOW_NIL);

    on_a_thread(step, m);
    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(vow_future_status(g), VOW_FULFILLED);
    assert_int_equal(vow_future_status(h), VOW_FULFILLED);
    vow_unref(g);
    vow_unref(h);
    vow_manual_unref(m);
}

/* Who fulfils a promise and then drops what ends the thread. */
struct holder {
    vow_promise *p;
    vow_future *fatal;
    vow_future *of_task;
    bool held;
    vow_status saw; /* what the step on the promise saw of the task */
};

static vow_result
look_at_holder(vow_value in, void *ctx)
{
    struct holder *h = ctx;

    (void)in;
    assert_false(h->held);
    h->saw = vow_future_status(h->of_task);
    return vow_ok(VOW_NIL);
}

static vow_result
fulfill_and_drop(void *ctx)
{
    struct holder *h = ctx;

    vow_promise_fulfill(h->p, VOW_NIL);
    vow_unref(h->fatal);
    return vow_ok(VOW_NIL);
}

static void
give_back(void *ctx)
{
    struct holder *h = ctx;

    h->held = false;
    vow_defer_end();
}

static void *
fulfill_and_drop_deferred(void *ctx)
{
    struct holder *h = ctx;

    vow_defer_begin();
    h->held = true;
    pthread_cleanup_push(give_back, h);
    (void)fulfill_and_drop(h);
    pthread_cleanup_pop(1);
    return NULL;
}

/* Returns what waits for the holder's promise. */
static vow_future *
holder_init(struct holder *h, struct drop *d)
{
    *h = (struct holder){.p = vow_promise_new(), .fatal = vow_resolved(fatal_value(d))};
    return vow_then(vow_promise_future(h->p), NULL, look_at_holder, vow_ptr(h));
}

static void
assert_let_go(struct holder *h, vow_future *f, struct drop *d)
{
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_int_equal(drop_count(d), 1);
    vow_promise_unref(h->p);
    vow_unref(f);
}

VOW_CASE(exit_in_a_drop_by_a_task_runs_the_steps_that_wait_when_that_has_ended)
{
    struct drop d = {0};
    struct holder h;
    vow_manual *m = vow_manual_new();
    vow_future *f = holder_init(&h, &d);

    h.of_task = vow_submit(vow_manual_executor(m), fulfill_and_drop, vow_ptr(&h));
    on_a_thread(step, m);
    assert_int_equal(h.saw, VOW_REJECTED);
    assert_int_equal(code_of(h.of_task), VOW_E_BROKEN);
    assert_let_go(&h, f, &d);
    vow_unref(h.of_task);
    vow_manual_unref(m);
}

VOW_CASE(exit_in_a_drop_under_a_lock_runs_what_was_put_off_after_it)
{
    struct drop d = {0};
    struct holder h;
    vow_future *f = holder_init(&h, &d);

    on_a_thread(fulfill_and_drop_deferred, &h);
    assert_let_go(&h, f, &d);
}

/* ---- a join ------------------------------------------------------------------------------------- */

static void *
reject(void *p)
{
    vow_promise_reject(p, vow_error_new(EINTR, "enough"));
    return NULL;
}

/* One that decides, and three that are left, of which the drop of one ends the thread. */
static void
exit_among_losers(int fatal, unsigned flags)
{
    struct drop d[3] = {{0}};
    vow_manual *m = vow_manual_new();
    vow_promise *p = vow_promise_new();
    vow_future *f[4] = {vow_promise_future(p)}, *g;

    for (int i = 0; i < 3; i++)
        f[i + 1] = vow_submit(vow_manual_executor(m), seven,
                              i == fatal ? fatal_value(&d[i]) : drop_value(&d[i]));
    g = vow_when_all_with(&VOW_COMBINE_OPTIONS(.flags = flags), f, 4);
    on_a_thread(reject, p);
    assert_int_equal(vow_future_status(g), VOW_REJECTED);
    for (int i = 0; i < 3; i++)
        assert_int_equal(drop_count(&d[i]), 1);
    vow_promise_unref(p);
    vow_ignore(g);
    vow_manual_run(m);
    vow_manual_unref(m);
}

/* Two values that came too late, and are let go of at the end. */
static void
exit_among_values(int fatal)
{
    struct drop d[2] = {{0}};
    vow_manual *m = vow_manual_new();
    vow_promise *p = vow_promise_new();
    vow_future *f[3] = {vow_promise_future(p)}, *g;

    for (int i = 0; i < 2; i++)
        f[i + 1] = vow_submit(vow_manual_executor(m),
                              i == fatal ? return_owned : return_counted, vow_ptr(&d[i]));
    g = vow_race_with(&VOW_COMBINE_OPTIONS(.flags = VOW_WAIT | VOW_KEEP_OTHERS), f, 3);
    vow_promise_fulfill(p, vow_i64(1));
    vow_manual_step(m);
    assert_int_equal(vow_future_status(g), VOW_PENDING);
    on_a_thread(step, m);
    assert_int_equal(vow_future_status(g), VOW_FULFILLED);
    for (int i = 0; i < 2; i++)
        assert_int_equal(drop_count(&d[i]), 1);
    vow_promise_unref(p);
    vow_unref(g);
    vow_manual_unref(m);
}

VOW_CASE(exit_in_the_drop_of_a_value_that_lost_settles_who_waited)
{
    for (int fatal = 0; fatal < 2; fatal++)
        exit_among_values(fatal);
}

/* Nobody wants the result: the value that won is dropped as it settles. */
VOW_CASE(exit_in_the_drop_of_what_won_leaves_the_others)
{
    struct drop won = {0}, ctx = {0};
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);

    vow_unref(vow_race(VOW_FUTURES(vow_submit(on, return_owned, vow_ptr(&won)),
                                   vow_submit(on, seven, drop_value(&ctx)))));
    on_a_thread(step, m);
    assert_int_equal(drop_count(&won), 1);
    assert_int_equal(drop_count(&ctx), 1);
    assert_int_equal(atomic_load(&ctx.ran), 0);
    vow_manual_run(m);
    vow_manual_unref(m);
}

VOW_CASE(exit_in_the_drop_of_a_loser_leaves_the_others)
{
    for (int fatal = 0; fatal < 3; fatal++) {
        exit_among_losers(fatal, 0);
        exit_among_losers(fatal, VOW_WAIT);
    }
}

/* ---- a channel ---------------------------------------------------------------------------------- */

static void *
close_channel(void *c)
{
    vow_channel_close(c);
    return NULL;
}

static void *
let_go_of_channel(void *c)
{
    vow_channel_unref(c);
    return NULL;
}

/* Three that wait to send, and what is done behind each of them. */
static void
close_among_three(int fatal)
{
    struct drop d[3] = {{0}};
    vow_channel *c = vow_channel_new(0);
    vow_future *f[3];

    for (int i = 0; i < 3; i++) {
        f[i] = vow_channel_send(c, i == fatal ? fatal_value(&d[i]) : drop_value(&d[i]));
        f[i] = vow_handle(f[i], NULL, look_at, VOW_NIL);
    }
    on_a_thread(close_channel, c);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(vow_future_status(f[i]), VOW_FULFILLED);
        assert_int_equal(drop_count(&d[i]), 1);
        vow_unref(f[i]);
    }
    vow_channel_unref(c);
}

VOW_CASE(exit_in_what_a_channel_does_not_send_leaves_the_others_told)
{
    for (int fatal = 0; fatal < 3; fatal++)
        close_among_three(fatal);
}

VOW_CASE(exit_in_what_its_last_handle_does_not_send_frees_a_channel)
{
    struct drop d[2] = {{0}};
    vow_channel *c = vow_channel_new(1);
    vow_future *f;

    assert_int_equal(vow_channel_try_send(c, drop_value(&d[0])), 0);
    f = vow_channel_send(c, fatal_value(&d[1]));
    on_a_thread(let_go_of_channel, c);
    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    for (int i = 0; i < 2; i++)
        assert_int_equal(drop_count(&d[i]), 1);
    vow_ignore(f);
}

VOW_CASE(exit_in_what_a_channel_has_drops_the_others)
{
    for (int fatal = 0; fatal < 3; fatal++) {
        struct drop d[3] = {{0}};
        vow_channel *c = vow_channel_new(3);

        for (int i = 0; i < 3; i++)
            assert_int_equal(vow_channel_try_send(c, i == fatal ? fatal_value(&d[i])
                                                                : drop_value(&d[i])),
                             0);
        on_a_thread(let_go_of_channel, c);
        for (int i = 0; i < 3; i++)
            assert_int_equal(drop_count(&d[i]), 1);
    }
}

/* ---- the thread that steps ---------------------------------------------------------------------- */

static void *
advance(void *m)
{
    vow_manual_advance(m, 5);
    return NULL;
}

VOW_CASE(exit_of_the_thread_that_steps_leaves_the_rest_to_another)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    struct errand errands[3];
    struct bell bells[3];

    post_three(errands, on);
    arm_three(bells, on, 5);
    errands[2].run.exits = bells[2].run.exits = true; /* each another thread */
    on_a_thread(step, m);
    on_a_thread(advance, m); /* one more task, */
    on_a_thread(advance, m); /* a timer, */
    on_a_thread(advance, m); /* and two more */
    assert_ended_once(errands, 3, 0);
    assert_rang_once(bells, 0);
    assert_closed(on);
    vow_manual_unref(m);
}

/* ---- a loop that was cancelled while it ran ----------------------------------------------------- */

static struct errand in_loop[3];

static void
cancel_loop(void *loop)
{
    vow_executor *on = vow_loop_executor(loop);

    post_three(in_loop, on);
    in_loop[0].run.exits = false;
    on_a_thread(close_it, on);
    pthread_exit(NULL);
}

static void *
run_loop(void *loop)
{
    vow_loop_run(loop);
    return NULL;
}

VOW_CASE(exit_of_a_loop_that_was_cancelled_ends_what_it_had)
{
    vow_loop *loop = vow_loop_new(NULL);

    assert_int_equal(vow_post(vow_loop_executor(loop), cancel_loop, vow_ptr(loop)), 0);
    on_a_thread(run_loop, loop);
    assert_ended_once(in_loop, 3, VOW_E_CLOSED);
    assert_closed(vow_loop_executor(loop));
    vow_loop_unref(loop);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(exit_in_a_cancel_hook_drops_its_context_and_lets_go_of_the_promise),
        vow_test(exit_in_a_watch_drops_its_context_and_the_steps_after_it_run),
        vow_test(exit_in_an_errand_drops_its_context),
        vow_test(exit_in_the_drop_of_a_step_settles_it_and_what_is_behind),
        vow_test(exit_in_a_drop_on_a_pool_settles_with_what_was_returned),
        vow_test(exit_in_the_drop_of_a_hook_that_has_run_lets_go_of_the_promise),
        vow_test(exit_in_the_drop_of_a_hook_as_its_promise_settles_runs_what_hangs_there),
        vow_test(exit_in_the_drop_of_a_hook_of_what_nothing_hangs_on_loses_no_memory),
        vow_test(exit_in_the_drop_of_periodic_work_settles_it),
        vow_test(exit_in_the_drop_of_what_is_cancelled_asks_what_is_behind),
        vow_test(exit_in_a_drop_leaves_the_others_of_its_token_theirs),
        vow_test(exit_in_the_drop_of_what_is_refused_says_that_it_was),
        vow_test(exit_in_the_drop_of_an_errand_runs_the_steps_that_wait),
        vow_test(exit_in_the_drop_of_a_value_frees_what_it_owned),
        vow_test(exit_in_the_drop_of_what_stops_between_two_turns_settles_it),
        vow_test(exit_in_a_task_run_by_its_waiter_breaks_both_and_spares_others),
        vow_test(exit_in_a_timer_that_a_close_ends_leaves_the_close_to_be_finished),
        vow_test(exit_in_a_timer_that_the_last_unref_ends_destroys_the_executor),
        vow_test(exit_of_the_timer_thread_in_a_post_leaves_the_timers_to_another),
        vow_test(exit_of_the_timer_thread_among_several_posts_leaves_none),
        vow_test(exit_of_a_worker_that_fires_timers_leaves_the_pool_whole),
        vow_test(exit_in_what_a_manual_executor_refuses_spares_others),
        vow_test(exit_in_what_a_loop_refuses_spares_others),
        vow_test(exit_in_what_a_serial_executor_refuses_spares_others),
        vow_test(exit_in_what_a_serial_executor_had_begun_with_spares_others),
        vow_test(exit_in_what_is_refused_behind_a_serial_executor_spares_others),
        vow_test(exit_in_what_a_pool_refuses_spares_others),
        vow_test(exit_in_what_a_full_pool_drops_spares_others),
        vow_test(exit_in_the_drop_of_an_outcome_runs_the_steps_that_wait),
        vow_test(exit_in_a_drop_by_a_task_runs_the_steps_that_wait_when_that_has_ended),
        vow_test(exit_in_a_drop_under_a_lock_runs_what_was_put_off_after_it),
        vow_test(exit_in_the_drop_of_a_value_that_lost_settles_who_waited),
        vow_test(exit_in_the_drop_of_what_won_leaves_the_others),
        vow_test(exit_in_the_drop_of_a_loser_leaves_the_others),
        vow_test(exit_in_what_a_channel_does_not_send_leaves_the_others_told),
        vow_test(exit_in_what_its_last_handle_does_not_send_frees_a_channel),
        vow_test(exit_in_what_a_channel_has_drops_the_others),
        vow_test(exit_of_the_thread_that_steps_leaves_the_rest_to_another),
        vow_test(exit_of_a_loop_that_was_cancelled_ends_what_it_had),
    };

    return vow_test_run(cases);
}
