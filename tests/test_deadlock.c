/* SPDX-License-Identifier: MIT */
/*
 * Which waits provably cannot end, asked of the list of waits itself: what executors
 * with threads of their own cannot be brought to do on demand.
 */
#include "support/vow_test.h"

#include "../executors/pool_internal.h"
#include "core/arrive.h"
#include "core/deadlock.h"
#include "core/trampoline.h"
#include "core/word.h"
#include "support/drops.h"

static vow_result
seven(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(7));
}

static vow_result
pass(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    return vow_forward();
}

/* An executor with a task in its queue, and a promise that somebody may settle. */
struct scene {
    vow_manual *manual;
    vow_executor *on;
    vow_future *task;
    vow_promise *promise;
    vow_future *outside;
};

static struct scene
scene_new(void)
{
    struct scene s = {.manual = vow_manual_new(), .promise = vow_promise_new()};

    s.on = vow_manual_executor(s.manual);
    s.task = vow_submit(s.on, seven, VOW_NIL);
    s.outside = vow_promise_future(s.promise);
    return s;
}

static void
scene_free(struct scene *s)
{
    vow_promise_unref(s->promise);
    vow_ignore(s->outside);
    vow_manual_run(s->manual);
    assert_int_equal(vow_get(s->task).value.as.i64, 7);
    vow_unref(s->task);
    vow_manual_unref(s->manual);
}

static struct vowi_wait
wait_for(vow_future *f, vow_executor *on, bool exhausted)
{
    struct vowi_wait w = {.awaited = vowi_state(f),
                          .thread = vowi_self(),
                          .on = on,
                          .exhausted = exhausted};

    return w;
}

VOW_CASE(task_queued_where_a_thread_is_left_may_run)
{
    struct scene s = scene_new();
    struct vowi_wait asleep = wait_for(s.outside, s.on, false);
    struct vowi_wait w = wait_for(s.task, NULL, false);

    assert_int_equal(vowi_wait_begin(&asleep), 0);
    assert_int_equal(vowi_wait_begin(&w), 0);
    vowi_wait_end(&w);
    vowi_wait_end(&asleep);
    scene_free(&s);
}

VOW_CASE(task_queued_where_no_thread_is_left_may_run_once_one_wakes)
{
    struct scene s = scene_new();
    struct vowi_wait asleep = wait_for(s.outside, s.on, true);
    struct vowi_wait w = wait_for(s.task, NULL, false);

    assert_int_equal(vowi_wait_begin(&asleep), 0);
    assert_int_equal(vowi_wait_begin(&w), 0);
    vowi_wait_end(&asleep);
    vowi_wait_end(&w);
    scene_free(&s);
}

/* Two executors without a thread: that the last wait may end is known once it is known of
 * the second one, and of that once it is known of the first. */
VOW_CASE(hope_spreads_from_one_wait_to_the_next)
{
    struct scene near = scene_new(), far = scene_new();
    struct vowi_wait first = wait_for(far.outside, far.on, true);
    struct vowi_wait second = wait_for(far.task, near.on, true);
    struct vowi_wait third = wait_for(near.task, NULL, false);

    assert_int_equal(vowi_wait_begin(&first), 0);
    assert_int_equal(vowi_wait_begin(&second), 0);
    assert_int_equal(vowi_wait_begin(&third), 0);
    vowi_wait_end(&third);
    vowi_wait_end(&second);
    vowi_wait_end(&first);
    scene_free(&near);
    scene_free(&far);
}

VOW_CASE(task_queued_where_no_thread_is_left_or_wakes_never_runs)
{
    struct scene s = scene_new();
    struct vowi_wait w = wait_for(s.task, s.on, true);

    assert_int_equal(vowi_wait_begin(&w), VOW_E_DEADLOCK);
    scene_free(&s);
}

/* The thread that wakes makes its executor one with a thread again. */
VOW_CASE(wait_that_ends_leaves_its_executor_a_thread)
{
    struct scene s = scene_new();
    struct vowi_wait first = wait_for(s.outside, s.on, true);
    struct vowi_wait second = wait_for(s.outside, s.on, true);

    assert_int_equal(vowi_wait_begin(&first), 0);
    assert_int_equal(vowi_wait_begin(&second), 0);
    vowi_wait_end(&first);
    assert_false(second.exhausted);
    vowi_wait_end(&second);
    scene_free(&s);
}

/* A token's deadline may come before anything else. */
VOW_CASE(what_a_token_may_stop_may_end)
{
    struct scene s = scene_new();
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);
    vow_future *queued =
        vow_submit_with(s.on, &VOW_SUBMIT_OPTIONS(.token = token), seven, VOW_NIL);
    vow_future *guarded = vow_with_token(vow_ref(s.task), token);
    vow_future *f[] = {queued, guarded, vow_then(vow_ref(queued), NULL, pass, VOW_NIL),
                       vow_then(vow_ref(guarded), NULL, pass, VOW_NIL)};

    for (int i = 0; i < 4; i++) {
        struct vowi_wait w = wait_for(f[i], s.on, true);

        assert_int_equal(vowi_wait_begin(&w), 0);
        vowi_wait_end(&w);
    }
    vow_manual_run(s.manual);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(vow_get(f[i]).value.as.i64, 7);
        vow_unref(f[i]);
    }
    vow_token_unref(token);
    vow_source_unref(source);
    scene_free(&s);
}

VOW_CASE(wait_with_an_end_leaves_its_executor_a_thread_in_time)
{
    struct scene s = scene_new();
    struct vowi_wait ends = {.thread = vowi_self(), .on = s.on};
    struct vowi_wait w = wait_for(s.task, s.on, false);

    vowi_wait_list(&ends);
    vowi_wait_list(&w);
    assert_true(vowi_wait_counted(&w, true));
    assert_true(w.exhausted);
    vowi_wait_end(&ends);
    assert_false(w.exhausted);
    vowi_wait_end(&w);
    scene_free(&s);
}

/* No thread was left when the executor counted, and one was when it said so. */
VOW_CASE(word_that_no_thread_is_left_is_overtaken_by_one_that_goes_on)
{
    struct scene s = scene_new();
    struct vowi_wait first = wait_for(s.outside, s.on, false);
    struct vowi_wait second = wait_for(s.task, s.on, false);

    vowi_wait_list(&first);
    assert_true(vowi_wait_counted(&first, false));
    vowi_wait_list(&second);
    vowi_wait_end(&first);
    assert_true(vowi_wait_counted(&second, true));
    assert_false(second.exhausted);
    vowi_wait_list(&first);
    first.awaited = vowi_state(s.task);
    assert_false(vowi_wait_counted(&first, true)); /* it waits again, and is the last */
    vowi_wait_end(&first);
    vowi_wait_end(&second);
    scene_free(&s);
}

/* It may be refused, or run what it waits for. */
VOW_CASE(thread_that_is_not_counted_yet_is_one_that_goes_on)
{
    struct scene s = scene_new();
    struct vowi_wait first = wait_for(s.task, s.on, false);
    struct vowi_wait second = wait_for(s.task, s.on, false);

    vowi_wait_list(&first);
    vowi_wait_list(&second);
    assert_true(vowi_wait_counted(&second, true));
    assert_false(vowi_wait_counted(&first, false));
    vowi_wait_end(&first);
    vowi_wait_end(&second);
    scene_free(&s);
}

/* Who is told of a deadlock goes on, and so may what waits for its executor. */
VOW_CASE(refused_wait_leaves_its_executor_a_thread)
{
    struct scene s = scene_new();
    struct vowi_wait refused = wait_for(s.task, s.on, false);
    struct vowi_wait w = wait_for(s.task, NULL, false);

    vowi_wait_list(&refused);
    assert_false(vowi_wait_counted(&refused, true));
    assert_int_equal(vowi_wait_begin(&w), 0);
    vowi_wait_end(&refused);
    vowi_wait_end(&w);
    scene_free(&s);
}

/*
 * Pool q has two threads. A waits on one, B on the other for K, which runs on pool p and
 * waits for a job that is queued on q: it runs when A goes on, and nobody is to be told of a
 * deadlock. How A waits and when it goes on differs.
 */
struct two_pools {
    vow_executor *p, *q;
    vow_promise *answer;
    vow_future *answered, *k, *a, *b;
    vow_source *source;
    vow_registration *callback;
    atomic_int k_may_go, a_goes_on, a_may_end, callback_runs, callback_may_end, warned;
};

static vow_executor *
small_pool(const char *name)
{
    return vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .spares = 1, .name = name));
}

static vow_result
get_what_is_queued_there(void *ctx)
{
    struct two_pools *t = ctx;
    vow_future *job;
    vow_view v;
    vow_result r;

    await_flag(&t->k_may_go, 1);
    job = vow_submit(t->q, seven, VOW_NIL);
    v = vow_get(job);
    r = v.error != NULL ? vow_err(vow_error_ref(v.error)) : vow_ok(v.value);
    vow_unref(job);
    return r;
}

static vow_result
get_k(void *ctx)
{
    struct two_pools *t = ctx;
    vow_view v = vow_get(t->k);

    return v.error != NULL ? vow_err(vow_error_ref(v.error)) : vow_ok(v.value);
}

static vow_result
go_on(struct two_pools *t)
{
    atomic_store(&t->a_goes_on, 1);
    await_flag(&t->a_may_end, 1);
    return vow_ok(VOW_NIL);
}

static vow_result
wait_with_a_deadline(void *ctx)
{
    struct two_pools *t = ctx;

    assert_true(vow_wait(t->answered, vow_seconds(3600)));
    return go_on(t);
}

static vow_result
wait_without_a_deadline(void *ctx)
{
    struct two_pools *t = ctx;

    assert_null(vow_get(t->answered).error);
    return go_on(t);
}

static vow_result
wait_for_a_callback(void *ctx)
{
    struct two_pools *t = ctx;

    assert_int_equal(vow_registration_remove_wait(t->callback), VOW_RAN);
    return go_on(t);
}

static void
linger(void *ctx)
{
    struct two_pools *t = ctx;

    atomic_store(&t->callback_runs, 1);
    await_flag(&t->callback_may_end, 1);
}

static void *
fire(void *ctx)
{
    struct two_pools *t = ctx;

    vow_source_cancel(t->source, NULL);
    return NULL;
}

static void
count_exhausted(const struct vowi_wait *w, void *n)
{
    *(int *)n += w->exhausted;
}

static void
count_waits(const struct vowi_wait *w, void *n)
{
    (void)w;
    ++*(int *)n;
}

static void
await_waits(vow_executor *on, void (*count)(const struct vowi_wait *, void *), int least)
{
    int n;

    do {
        sched_yield();
        n = 0;
        vowi_waits_each(on, count, &n);
    } while (n < least);
}

/* Until so many threads of a pool wait. */
static void
await_blocked(vow_executor *q, unsigned n)
{
    struct vowi_pool *p = vowi_container_of(q, struct vowi_pool, executor);
    unsigned blocked;

    do {
        sched_yield();
        vowi_lock_acquire(&p->lock);
        blocked = p->blocked;
        vowi_lock_release(&p->lock);
    } while (blocked < n);
}

static void
say_nothing(int code, const char *message, void *ctx)
{
    (void)code;
    (void)message;
    (void)ctx;
}

static void
two_pools_begin(struct two_pools *t, vow_task_fn *a)
{
    t->p = small_pool("p");
    t->q = small_pool("q");
    t->answer = vow_promise_new();
    t->answered = vow_promise_future(t->answer);
    t->k = vow_submit(t->p, get_what_is_queued_there, vow_ptr(t));
    t->a = vow_submit(t->q, a, vow_ptr(t));
    await_blocked(t->q, 1);
    t->b = vow_submit(t->q, get_k, vow_ptr(t));
}

/* K begins to wait, and is told at once if ever. */
static void
let_k_go(struct two_pools *t)
{
    int waits = 0;

    atomic_store(&t->k_may_go, 1);
    while (waits == 0 && !vowi_settled(vowi_state(t->k))) {
        sched_yield();
        vowi_waits_each(t->p, count_waits, &waits);
    }
}

static void
two_pools_end(struct two_pools *t)
{
    atomic_store(&t->a_may_end, 1);
    assert_int_equal(vow_get(t->b).value.as.i64, 7);
    assert_int_equal(vow_get(t->k).value.as.i64, 7);
    assert_null(vow_get(t->a).error);
    vow_unref(t->a);
    vow_unref(t->b);
    vow_unref(t->k);
    (void)vow_promise_fulfill(t->answer, VOW_NIL); /* if it has not been */
    vow_unref(t->answered);
    vow_promise_unref(t->answer);
    for (int i = 0; i < 2; i++) {
        vow_executor *pool = i == 0 ? t->p : t->q;

        vow_unref(vow_executor_close(pool, VOW_DRAIN));
        assert_int_equal(vow_executor_join(pool), 0);
        vow_executor_unref(pool);
    }
    vow_on_warning(NULL, NULL);
}

VOW_CASE(thread_with_a_deadline_is_not_lost)
{
    struct two_pools t = {.p = NULL};

    vow_on_warning(say_nothing, NULL);
    two_pools_begin(&t, wait_with_a_deadline);
    await_waits(t.q, count_exhausted, 1);
    let_k_go(&t);
    vow_promise_fulfill(t.answer, VOW_NIL);
    two_pools_end(&t);
}

VOW_CASE(thread_whose_deadline_was_kept_is_back)
{
    struct two_pools t = {.p = NULL};

    vow_on_warning(say_nothing, NULL);
    two_pools_begin(&t, wait_with_a_deadline);
    await_waits(t.q, count_exhausted, 1);
    vow_promise_fulfill(t.answer, VOW_NIL);
    await_flag(&t.a_goes_on, 1);
    let_k_go(&t);
    two_pools_end(&t);
}

VOW_CASE(thread_that_waits_for_a_callback_is_not_lost)
{
    struct two_pools t = {.source = vow_source_new()};
    vow_token *token = vow_source_token(t.source);
    pthread_t thread;

    vow_on_warning(say_nothing, NULL);
    t.callback = vow_token_on_cancel(token, NULL, linger, vow_ptr(&t));
    assert_int_equal(pthread_create(&thread, NULL, fire, &t), 0);
    await_flag(&t.callback_runs, 1);
    two_pools_begin(&t, wait_for_a_callback);
    await_waits(t.q, count_exhausted, 1);
    let_k_go(&t);
    atomic_store(&t.callback_may_end, 1);
    two_pools_end(&t);
    assert_int_equal(pthread_join(thread, NULL), 0);
    vow_token_unref(token);
    vow_source_unref(t.source);
}

/* B has been counted, and is about to say that no thread is left, when A wakes. It asks
 * twice, the second time for good. */
static void
wake_a_meanwhile(int code, const char *message, void *ctx)
{
    struct two_pools *t = ctx;

    (void)code;
    (void)message;
    if (atomic_fetch_add(&t->warned, 1) == 1) {
        vow_promise_fulfill(t->answer, VOW_NIL);
        await_flag(&t->a_goes_on, 1);
    }
}

VOW_CASE(thread_that_wakes_while_the_last_one_is_counted_is_not_lost)
{
    struct two_pools t = {.p = NULL};

    vow_on_warning(wake_a_meanwhile, &t);
    two_pools_begin(&t, wait_without_a_deadline);
    await_flag(&t.warned, 2);
    await_flag(&t.a_goes_on, 1);
    await_blocked(t.q, 1);
    await_waits(t.q, count_waits, 1);
    let_k_go(&t);
    two_pools_end(&t);
}

static vow_result
get_own(vow_value in, void *ctx)
{
    vow_future *const *own = ctx;

    (void)in;
    return vow_ok(vow_i64(vow_error_code(vow_get(*own).error)));
}

VOW_CASE(step_on_a_thread_of_no_executor_waits_for_itself)
{
    vow_promise *p = vow_promise_new();
    vow_future *f;

    f = vow_then(vow_promise_future(p), NULL, get_own, vow_ptr(&f));
    vow_promise_fulfill(p, VOW_NIL);
    assert_int_equal(vow_get(f).value.as.i64, VOW_E_DEADLOCK);
    vow_unref(f);
    vow_promise_unref(p);
}

/* Chains longer than it walks are given the benefit of the doubt. */
VOW_CASE(chain_of_more_than_a_million_steps_is_not_walked_to_its_end)
{
    enum { LINKS = 1000001 };
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit(vow_manual_executor(m), seven, VOW_NIL);
    struct vowi_wait w;

    for (int i = 0; i < LINKS; i++)
        f = vow_then(f, NULL, pass, VOW_NIL);
    w = wait_for(f, vow_manual_executor(m), true);
    assert_int_equal(vowi_wait_begin(&w), 0);
    vowi_wait_end(&w);
    vow_manual_run(m);
    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
    vow_manual_unref(m);
}

/* ---- joins ------------------------------------------------------------------------------ */

/* Of a wait for f, consumed, on an executor whose only thread waits. */
static int
begin_alone(const struct scene *s, vow_future *f)
{
    struct vowi_wait w = wait_for(f, s->on, true);
    int rc = vowi_wait_begin(&w);

    if (rc == 0)
        vowi_wait_end(&w);
    vow_ignore(f);
    return rc;
}

static vow_future *
task_of(const struct scene *s)
{
    return vow_ref(s->task);
}

static vow_future *
outside_of(const struct scene *s)
{
    return vow_ref(s->outside);
}

VOW_CASE(join_of_what_never_runs_never_settles)
{
    struct scene s = scene_new();

    assert_int_equal(begin_alone(&s, vow_when_all(VOW_FUTURES(task_of(&s)))),
                     VOW_E_DEADLOCK);
    assert_int_equal(begin_alone(&s, vow_race(VOW_FUTURES(task_of(&s), task_of(&s)))),
                     VOW_E_DEADLOCK);
    assert_int_equal(
        begin_alone(&s, vow_then(vow_any(VOW_FUTURES(task_of(&s))), NULL, pass, VOW_NIL)),
        VOW_E_DEADLOCK);
    scene_free(&s);
}

VOW_CASE(join_whose_other_inputs_have_settled_waits_for_those_that_have_not)
{
    struct scene s = scene_new();
    vow_future *all =
        vow_when_all(VOW_FUTURES(vow_resolved(VOW_NIL), task_of(&s), NULL, task_of(&s)));
    vow_future *settled = vow_when_all_settled(
        VOW_FUTURES(vow_resolved(VOW_NIL), task_of(&s), NULL, task_of(&s)));

    assert_int_equal(code_of(all), VOW_E_NOMEM);
    vow_unref(all);
    assert_int_equal(begin_alone(&s, settled), VOW_E_DEADLOCK);
    scene_free(&s);
}

/* That it would take both to fulfill it is not looked at: one may fail. */
VOW_CASE(join_one_of_whose_inputs_may_settle_may)
{
    struct scene s = scene_new();

    assert_int_equal(
        begin_alone(&s, vow_when_all(VOW_FUTURES(task_of(&s), outside_of(&s)))), 0);
    assert_int_equal(begin_alone(&s, vow_race(VOW_FUTURES(outside_of(&s), task_of(&s)))),
                     0);
    scene_free(&s);
}

/* One has failed; the join settles with that when the other has ended. */
VOW_CASE(join_that_is_decided_and_waits_is_given_the_benefit_of_the_doubt)
{
    struct scene s = scene_new();
    vow_future *failed = vow_rejected(vow_error_of(VOW_E_CANCELLED));

    assert_int_equal(
        begin_alone(&s, vow_when_all_with(
                            &VOW_COMBINE_OPTIONS(.flags = VOW_WAIT | VOW_KEEP_OTHERS),
                            VOW_FUTURES(failed, task_of(&s)))),
        0);
    scene_free(&s);
}

VOW_CASE(join_that_a_token_may_stop_may_settle)
{
    struct scene s = scene_new();
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);

    assert_int_equal(
        begin_alone(&s, vow_when_all_with(&VOW_COMBINE_OPTIONS(.token = token),
                                          VOW_FUTURES(task_of(&s)))),
        0);
    vow_token_unref(token);
    vow_source_unref(source);
    scene_free(&s);
}

VOW_CASE(joins_inside_each_other_are_asked_as_far_as_sixteen_deep)
{
    struct scene s = scene_new();

    for (int depth = 15; depth <= 17; depth++) {
        vow_future *f = task_of(&s);

        for (int i = 0; i < depth; i++)
            f = vow_when_all(&f, 1);
        assert_int_equal(begin_alone(&s, f), depth <= 16 ? VOW_E_DEADLOCK : 0);
    }
    scene_free(&s);
}

VOW_CASE(join_of_more_than_a_thousand_is_not_asked)
{
    struct scene s = scene_new();
    vow_future *inputs[1001];

    for (size_t n = 1000; n <= 1001; n++) {
        for (size_t i = 0; i < n; i++)
            inputs[i] = task_of(&s);
        assert_int_equal(begin_alone(&s, vow_when_all(inputs, n)),
                         n <= 1000 ? VOW_E_DEADLOCK : 0);
    }
    scene_free(&s);
}

/* Two, each of which has the one before twice: more ways than there is time. */
VOW_CASE(more_than_a_thousand_joins_are_not_asked)
{
    struct scene s = scene_new();
    vow_future *f = task_of(&s);

    for (int i = 0; i < 12; i++) {
        vow_future *twice[] = {vow_ref(f), f};

        f = vow_when_all(twice, 2);
    }
    assert_int_equal(begin_alone(&s, f), 0);
    scene_free(&s);
}

/* What a join was asked by, and what settles meanwhile. */
static vow_promise *meanwhile;

static bool
settle_meanwhile(struct vow_state *input)
{
    (void)input;
    vow_promise_fulfill(meanwhile, VOW_NIL);
    return false;
}

VOW_CASE(join_whose_last_input_settles_as_it_is_asked_settles_after_that)
{
    struct vowi_thread *t = vowi_self();
    vow_future *all;

    meanwhile = vow_promise_new();
    all = vow_when_all(VOW_FUTURES(vow_promise_future(meanwhile)));
    vowi_lock_word(vowi_state(all));
    assert_true(vowi_join_may_end(t, vowi_state(all), settle_meanwhile));
    assert_int_equal(vow_future_status(all), VOW_PENDING);
    vowi_drain_all(t);
    assert_int_equal(vow_future_status(all), VOW_FULFILLED);
    vow_unref(all);
    vow_promise_unref(meanwhile);
}

static void
nothing(void *ctx)
{
    (void)ctx;
}

/* As if a join had been left to be done while others were asked. */
VOW_CASE(what_waits_on_the_trampoline_is_done_before_anybody_sleeps)
{
    struct vowi_thread *t = vowi_self();
    struct scene s = scene_new();
    struct vowi_wait w = wait_for(s.task, s.on, true);
    vow_future *f = vow_finally(outside_of(&s), NULL, nothing, VOW_NIL);
    bool outermost = vowi_enter(t);

    vow_promise_fulfill(s.promise, VOW_NIL);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    assert_int_equal(vowi_wait_begin(&w), VOW_E_DEADLOCK);
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    vowi_leave(t, outermost);
    vow_unref(f);
    scene_free(&s);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(task_queued_where_a_thread_is_left_may_run),
        vow_test(task_queued_where_no_thread_is_left_may_run_once_one_wakes),
        vow_test(hope_spreads_from_one_wait_to_the_next),
        vow_test(task_queued_where_no_thread_is_left_or_wakes_never_runs),
        vow_test(wait_that_ends_leaves_its_executor_a_thread),
        vow_test(what_a_token_may_stop_may_end),
        vow_test(wait_with_an_end_leaves_its_executor_a_thread_in_time),
        vow_test(word_that_no_thread_is_left_is_overtaken_by_one_that_goes_on),
        vow_test(thread_that_is_not_counted_yet_is_one_that_goes_on),
        vow_test(refused_wait_leaves_its_executor_a_thread),
        vow_test(thread_with_a_deadline_is_not_lost),
        vow_test(thread_whose_deadline_was_kept_is_back),
        vow_test(thread_that_waits_for_a_callback_is_not_lost),
        vow_test(thread_that_wakes_while_the_last_one_is_counted_is_not_lost),
        vow_test(step_on_a_thread_of_no_executor_waits_for_itself),
        vow_test(chain_of_more_than_a_million_steps_is_not_walked_to_its_end),
        vow_test(join_of_what_never_runs_never_settles),
        vow_test(join_whose_other_inputs_have_settled_waits_for_those_that_have_not),
        vow_test(join_one_of_whose_inputs_may_settle_may),
        vow_test(join_that_is_decided_and_waits_is_given_the_benefit_of_the_doubt),
        vow_test(join_that_a_token_may_stop_may_settle),
        vow_test(joins_inside_each_other_are_asked_as_far_as_sixteen_deep),
        vow_test(join_of_more_than_a_thousand_is_not_asked),
        vow_test(more_than_a_thousand_joins_are_not_asked),
        vow_test(join_whose_last_input_settles_as_it_is_asked_settles_after_that),
        vow_test(what_waits_on_the_trampoline_is_done_before_anybody_sleeps),
    };

    return vow_test_run(cases);
}
