/* SPDX-License-Identifier: MIT */
/*
 * Races: one for each rule that says that the first to come wins, and for the edges
 * between settling, attaching, waiting, following, cancelling and letting go.
 *
 * Four threads walk over a batch of cells in the same order, each doing its own thing
 * to every cell after a random little delay; then the cells are checked. The seed is
 * printed; VOW_STRESS_SEED sets it, VOW_STRESS_MS says how long all cases may take
 * together (default 2000).
 */
#include "support/vow_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/drops.h"
#include "support/stress.h"

enum { THREADS = 4, CELLS = 200, CASES = 18 };

/* What the four threads share in one round of a race. */
struct cell {
    vow_promise *p;
    vow_promise *q;
    vow_future *f;
    vow_future *g;
    vow_future *h;
    struct drop value[THREADS];
    struct drop ctx[THREADS];
    atomic_int won[THREADS]; /* what a settling call returned */
    atomic_int ran[THREADS];
    atomic_int seen[THREADS]; /* a code, or 1 for a value */
    vow_executor own;         /* of races with an executor of their own */
    _Atomic(vow_task *) task;
    atomic_int destroyed;
};

static void
delay(struct dice *d)
{
    volatile unsigned spins = roll(d, 8) == 0 ? roll(d, 2000) : roll(d, 60);

    while (spins > 0)
        spins--;
}

typedef void cell_fn(struct cell *c);
typedef void act_fn(struct cell *c, struct dice *d);

/* A race: how a cell is made, what each thread does to it, how it is checked. */
struct race {
    cell_fn *make;
    act_fn *act[THREADS];
    cell_fn *check;
};

struct track;

struct runner {
    struct track *track;
    int lane;
    struct dice dice;
    pthread_t thread;
};

/* Not on the stack, so that a case that fails leaves its threads where they are. */
struct track {
    const struct race *race;
    struct cell cells[CELLS];
    struct runner runners[THREADS];
    pthread_barrier_t line;
    atomic_bool over;
};

static uint64_t seed;

/* When a case that starts now must end. */
static vow_ns
deadline(void)
{
    return vow_clock_now(NULL) + stress_duration(2000) / CASES;
}

static void *
run_lane(void *ctx)
{
    struct runner *r = ctx;
    act_fn *act = r->track->race->act[r->lane];

    for (;;) {
        pthread_barrier_wait(&r->track->line);
        if (atomic_load(&r->track->over))
            return NULL;
        for (int i = 0; i < CELLS; i++) {
            delay(&r->dice);
            act(&r->track->cells[i], &r->dice);
        }
        pthread_barrier_wait(&r->track->line);
    }
}

static struct track *
track_new(const struct race *race)
{
    struct track *t = calloc(1, sizeof *t);

    assert_non_null(t);
    t->race = race;
    assert_int_equal(pthread_barrier_init(&t->line, NULL, THREADS + 1), 0);
    for (int i = 0; i < THREADS; i++) {
        struct runner *r = &t->runners[i];

        r->track = t;
        r->lane = i;
        r->dice.state = seed * 4 + (uint64_t)i + 1;
        assert_int_equal(pthread_create(&r->thread, NULL, run_lane, r), 0);
    }
    return t;
}

static void
track_free(struct track *t)
{
    atomic_store(&t->over, true);
    pthread_barrier_wait(&t->line);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t->runners[i].thread, NULL);
    pthread_barrier_destroy(&t->line);
    free(t);
}

static void
run_batch(struct track *t)
{
    memset(t->cells, 0, sizeof t->cells);
    for (int i = 0; i < CELLS; i++)
        t->race->make(&t->cells[i]);
    pthread_barrier_wait(&t->line);
    pthread_barrier_wait(&t->line);
    for (int i = 0; i < CELLS; i++)
        t->race->check(&t->cells[i]);
}

static void
run_race(const struct race *race)
{
    struct track *track = track_new(race);
    vow_ns end = deadline();

    do
        run_batch(track);
    while (vow_clock_now(NULL) < end);
    track_free(track);
}

/* Words that several races share. */

static void
make_pair(struct cell *c)
{
    c->p = vow_promise_new();
    c->f = vow_promise_future(c->p);
}

/* A promise handle for each thread. */
static void
make_shared(struct cell *c)
{
    make_pair(c);
    for (int i = 1; i < THREADS; i++)
        vow_promise_ref(c->p);
}

static int
code_or_one(vow_view v)
{
    return v.error != NULL ? vow_error_code(v.error) : 1;
}

static void
check_dropped(struct drop *d)
{
    assert_int_equal(drop_count(d), 1);
}

static void
fulfill_with(struct cell *c, int i)
{
    c->won[i] = vow_promise_fulfill(c->p, drop_value(&c->value[i]));
}

/* A step that counts; its context is a drop of the cell, found by its place there. */
static void
note_run(void *ctx, int seen)
{
    struct drop *d = ctx;
    struct cell *c = (struct cell *)(void *)d->journal;
    ptrdiff_t i = d - c->ctx;

    atomic_fetch_add(&c->ran[i], 1 + 1000 * drop_count(d));
    atomic_store(&c->seen[i], seen);
}

static void
drop_ctx(void *p)
{
    struct drop *d = p;

    atomic_fetch_add(&d->dropped, 1);
}

/* The context number i; it finds its cell through the journal's word. */
static vow_value
ctx_of(struct cell *c, int i)
{
    c->ctx[i].journal = (struct journal *)(void *)c;
    return vow_own(&c->ctx[i], drop_ctx);
}

static vow_result
note_then(vow_value in, void *ctx)
{
    (void)in;
    note_run(ctx, 1);
    return vow_ok(vow_i64(5));
}

static vow_result
note_catch(const vow_error *error, void *ctx)
{
    note_run(ctx, vow_error_code(error));
    return vow_ok(vow_i64(6));
}

static vow_result
note_handle(vow_view in, void *ctx)
{
    note_run(ctx, code_or_one(in));
    return vow_forward();
}

static void
note_settled(vow_view in, void *ctx)
{
    note_run(ctx, code_or_one(in));
}

static void
idle(struct cell *c, struct dice *d)
{
    (void)c;
    (void)d;
}

/* 1. Settling: fulfill, reject, cancel and letting go. */

static void
settle_fulfill(struct cell *c, struct dice *d)
{
    (void)d;
    fulfill_with(c, 0);
    vow_promise_unref(c->p);
}

static void
settle_reject(struct cell *c, struct dice *d)
{
    (void)d;
    c->won[1] = vow_promise_reject(c->p, drop_error(&c->value[1], EIO));
    vow_promise_unref(c->p);
}

static void
settle_cancel(struct cell *c, struct dice *d)
{
    (void)d;
    vow_future_cancel(c->f, drop_error(&c->value[2], EINTR));
    vow_promise_unref(c->p);
}

static void
settle_resolve(struct cell *c, struct dice *d)
{
    (void)d;
    c->won[3] = vow_promise_resolve(c->p, vow_ok(drop_value(&c->value[3])));
    vow_promise_unref(c->p);
}

static void
check_settled_once(struct cell *c)
{
    vow_view v = vow_get(c->f);
    int cancelled = vow_error_code(v.error) == VOW_E_CANCELLED;

    assert_int_equal(c->won[0] + c->won[1] + c->won[3] + cancelled, 1);
    if (c->won[0] || c->won[3])
        assert_ptr_equal(v.value.as.ptr, &c->value[c->won[0] ? 0 : 3]);
    if (c->won[1])
        assert_int_equal(vow_error_code(v.error), EIO);
    vow_unref(c->f);
    for (int i = 0; i < THREADS; i++)
        check_dropped(&c->value[i]);
}

VOW_CASE(race_of_settling_has_one_winner)
{
    static const struct race race = {
        make_shared,
        {settle_fulfill, settle_reject, settle_cancel, settle_resolve},
        check_settled_once};

    run_race(&race);
}

/* 2. Attaching against settling. */

static void
attach_fulfill(struct cell *c, struct dice *d)
{
    (void)d;
    fulfill_with(c, 0);
    vow_promise_unref(c->p);
}

static void
attach_then(struct cell *c, struct dice *d)
{
    (void)d;
    c->g = vow_then(vow_ref(c->f), NULL, note_then, ctx_of(c, 1));
}

static void
attach_handle(struct cell *c, struct dice *d)
{
    (void)d;
    c->h = vow_handle(vow_ref(c->f), NULL, note_handle, ctx_of(c, 2));
}

static void
attach_settled(struct cell *c, struct dice *d)
{
    (void)d;
    c->won[3] = vow_on_settled(vow_ref(c->f), NULL, note_settled, ctx_of(c, 3));
}

static void
check_attached(struct cell *c)
{
    assert_int_equal(c->won[3], 1);
    assert_int_equal(vow_get(c->g).value.as.i64, 5);
    assert_ptr_equal(vow_get(c->h).value.as.ptr, &c->value[0]);
    for (int i = 1; i < THREADS; i++) {
        assert_int_equal(c->ran[i], 1);
        assert_int_equal(c->seen[i], 1);
        check_dropped(&c->ctx[i]);
    }
    vow_unref(c->f);
    vow_unref(c->g);
    assert_int_equal(drop_count(&c->value[0]), 0);
    vow_unref(c->h);
    check_dropped(&c->value[0]);
}

VOW_CASE(race_of_attaching_and_settling_runs_every_step_once)
{
    static const struct race race = {
        make_pair,
        {attach_fulfill, attach_then, attach_handle, attach_settled},
        check_attached};

    run_race(&race);
}

/* 3. Waiting against settling. */

static void
wait_get(struct cell *c, struct dice *d)
{
    (void)d;
    c->seen[1] = code_or_one(vow_get(c->f));
}

static void
wait_timed(struct cell *c, struct dice *d)
{
    while (!vow_wait(c->f, vow_us(roll(d, 40))))
        continue;
    c->seen[0] = code_or_one(vow_peek(c->f));
}

static void
wait_once(struct cell *c, struct dice *d)
{
    c->seen[3] = vow_wait(c->f, vow_us(roll(d, 30))) ? code_or_one(vow_peek(c->f)) : 1;
}

static void
check_waited(struct cell *c)
{
    assert_int_equal(c->seen[0], 1);
    assert_int_equal(c->seen[1], 1);
    assert_int_equal(c->seen[3], 1);
    vow_unref(c->f);
    check_dropped(&c->value[0]);
}

VOW_CASE(race_of_waiting_and_settling_wakes_everybody)
{
    static const struct race race = {
        make_pair, {attach_fulfill, wait_get, wait_timed, wait_once}, check_waited};

    run_race(&race);
}

/* 4. Letting go of the last promise. */

static void
break_unref(struct cell *c, struct dice *d)
{
    (void)d;
    vow_promise_unref(c->p);
}

static void
break_catch(struct cell *c, struct dice *d)
{
    (void)d;
    c->h = vow_catch(vow_ref(c->f), NULL, note_catch, ctx_of(c, 2));
}

static void
check_broken(struct cell *c)
{
    assert_int_equal(code_of(c->f), VOW_E_BROKEN);
    assert_int_equal(code_of(c->g), VOW_E_BROKEN);
    assert_int_equal(vow_get(c->h).value.as.i64, 6);
    assert_int_equal(c->ran[1], 0);
    assert_int_equal(c->ran[2], 1);
    assert_int_equal(c->seen[2], VOW_E_BROKEN);
    check_dropped(&c->ctx[1]);
    check_dropped(&c->ctx[2]);
    vow_unref(c->f);
    vow_unref(c->g);
    vow_unref(c->h);
}

VOW_CASE(race_of_breaking_and_attaching_reaches_every_step)
{
    static const struct race race = {
        make_pair, {break_unref, attach_then, break_catch, wait_once}, check_broken};

    run_race(&race);
}

/* 5. Cancelling a step against running it. */

static void
make_step(struct cell *c)
{
    make_pair(c);
    c->g = vow_then(c->f, NULL, note_then, ctx_of(c, 0));
    vow_ref(c->g);
    vow_ref(c->g);
    c->h = vow_finally(vow_ref(c->g), NULL, drop_ctx, vow_ptr(&c->ctx[3]));
}

static void
cancel_step(struct cell *c, struct dice *d)
{
    (void)d;
    vow_future_cancel(c->g, NULL);
    vow_unref(c->g);
}

static void
check_ran_or_cancelled(struct cell *c)
{
    int code = code_of(c->h);

    assert_true(code == 0 || code == VOW_E_CANCELLED);
    assert_int_equal(c->ran[0], code == 0 ? 1 : 0);
    assert_int_equal(code_of(c->g), code);
    check_dropped(&c->ctx[0]);
    check_dropped(&c->ctx[3]);
    vow_unref(c->g);
    vow_unref(c->h);
}

static void
check_step(struct cell *c)
{
    check_ran_or_cancelled(c);
    check_dropped(&c->value[0]);
}

VOW_CASE(race_of_cancelling_and_settling_runs_a_step_or_cancels_it)
{
    static const struct race race = {
        make_step, {attach_fulfill, cancel_step, cancel_step, idle}, check_step};

    run_race(&race);
}

/* 6. Cancelling a queued task against running it. */

static struct cell *
cell_of(vow_executor *own)
{
    return (struct cell *)(void *)((char *)own - offsetof(struct cell, own));
}

static int
keep_task(vow_executor *self, vow_task *task)
{
    atomic_store(&cell_of(self)->task, task);
    return 0;
}

static const vow_executor_ops keeping_ops = {
    .size = sizeof(vow_executor_ops), .name = "one", .post = keep_task};

static vow_result
note_task(void *ctx)
{
    note_run(ctx, 1);
    return vow_ok(vow_i64(5));
}

static void
make_task(struct cell *c)
{
    c->own.ops = &keeping_ops;
    c->g = vow_submit(&c->own, note_task, ctx_of(c, 0));
    vow_ref(c->g);
    vow_ref(c->g);
    c->h = vow_finally(vow_ref(c->g), NULL, drop_ctx, vow_ptr(&c->ctx[3]));
}

static void
run_task(struct cell *c, struct dice *d)
{
    vow_task *task = atomic_load(&c->task);

    (void)d;
    task->run(task, 0);
}

VOW_CASE(race_of_cancelling_and_running_a_task_does_one_of_them)
{
    static const struct race race = {
        make_task, {run_task, cancel_step, cancel_step, idle}, check_ran_or_cancelled};

    run_race(&race);
}

/* 7. Rings. */

static void
make_two(struct cell *c)
{
    make_pair(c);
    c->q = vow_promise_new();
    c->g = vow_promise_future(c->q);
}

static void
ring_p(struct cell *c, struct dice *d)
{
    (void)d;
    c->won[0] = vow_promise_resolve(c->p, vow_follow(vow_ref(c->g)));
    vow_promise_unref(c->p);
}

static void
ring_q(struct cell *c, struct dice *d)
{
    (void)d;
    c->won[1] = vow_promise_resolve(c->q, vow_follow(vow_ref(c->f)));
    vow_promise_unref(c->q);
}

static void
check_ring(struct cell *c)
{
    assert_int_equal(c->won[0] + c->won[1], 2);
    assert_int_equal(vow_future_status(c->f), VOW_REJECTED);
    assert_int_equal(vow_future_status(c->g), VOW_REJECTED);
    assert_int_equal(code_of(c->f), VOW_E_DEADLOCK);
    assert_int_equal(code_of(c->g), VOW_E_DEADLOCK);
    assert_int_equal(c->ran[2], 1);
    assert_int_equal(c->seen[2], VOW_E_DEADLOCK);
    check_dropped(&c->ctx[2]);
    vow_unref(c->f);
    vow_unref(c->g);
    vow_unref(c->h);
}

VOW_CASE(race_of_two_who_close_a_ring_leaves_nobody_pending)
{
    static const struct race race = {
        make_two, {ring_p, ring_q, break_catch, wait_timed}, check_ring};

    run_race(&race);
}

/* 8. Following against settling both ends. */

static void
follow_resolve(struct cell *c, struct dice *d)
{
    (void)d;
    c->won[0] = vow_promise_resolve(c->p, vow_follow(vow_ref(c->g)));
}

static void
follow_inner(struct cell *c, struct dice *d)
{
    (void)d;
    c->won[1] = vow_promise_fulfill(c->q, drop_value(&c->value[1]));
    vow_promise_unref(c->q);
}

static void
follow_outer(struct cell *c, struct dice *d)
{
    (void)d;
    fulfill_with(c, 2);
}

static void
follow_attach(struct cell *c, struct dice *d)
{
    (void)d;
    c->h = vow_then(vow_ref(c->f), NULL, note_then, ctx_of(c, 3));
}

static void
check_followed(struct cell *c)
{
    assert_int_equal(c->won[0] + c->won[2], 1);
    assert_int_equal(c->won[1], 1);
    assert_ptr_equal(vow_get(c->f).value.as.ptr, &c->value[c->won[0] ? 1 : 2]);
    assert_int_equal(vow_get(c->h).value.as.i64, 5);
    assert_int_equal(c->ran[3], 1);
    check_dropped(&c->ctx[3]);
    vow_promise_unref(c->p);
    vow_unref(c->g);
    vow_unref(c->f);
    vow_unref(c->h);
    check_dropped(&c->value[1]);
    check_dropped(&c->value[2]);
}

VOW_CASE(race_of_following_and_settling_has_one_winner)
{
    static const struct race race = {
        make_two,
        {follow_resolve, follow_inner, follow_outer, follow_attach},
        check_followed};

    run_race(&race);
}

/* 9. Following against letting go of either end. */

static void
let_go_resolve(struct cell *c, struct dice *d)
{
    (void)d;
    vow_promise_resolve(c->p, vow_follow(c->g));
    vow_promise_unref(c->p);
}

static void
let_go_of_future(struct cell *c, struct dice *d)
{
    (void)d;
    vow_unref(c->f);
}

static void
let_go_cancel(struct cell *c, struct dice *d)
{
    (void)d;
    vow_future_cancel(c->f, NULL);
    vow_unref(c->f);
}

static void
make_let_go(struct cell *c)
{
    make_two(c);
    vow_ref(c->f);
}

static void
check_value_1_dropped(struct cell *c)
{
    check_dropped(&c->value[1]);
}

VOW_CASE(race_of_following_and_letting_go_drops_once)
{
    static const struct race race = {
        make_let_go,
        {let_go_resolve, follow_inner, let_go_of_future, let_go_cancel},
        check_value_1_dropped};

    run_race(&race);
}

/* 10. References. */

static void
make_value(struct cell *c)
{
    c->f = vow_resolved(drop_value(&c->value[0]));
    for (int i = 1; i < THREADS; i++)
        vow_ref(c->f);
}

static void
refs_act(struct cell *c, struct dice *d)
{
    unsigned n = roll(d, 6);

    for (unsigned i = 0; i < n; i++)
        vow_unref(vow_ref(c->f));
    vow_unref(c->f);
}

static void
check_value_0_dropped(struct cell *c)
{
    check_dropped(&c->value[0]);
}

VOW_CASE(race_of_references_drops_the_value_once)
{
    static const struct race race = {
        make_value, {refs_act, refs_act, refs_act, refs_act}, check_value_0_dropped};

    run_race(&race);
}

/* 11. Taking against letting go. */

static void
take_act(struct cell *c, struct dice *d)
{
    vow_result r = {0};

    while (!vow_take(c->f, &r))
        delay(d);
    c->seen[0] = r.value.as.ptr == &c->value[0] && drop_count(&c->value[0]) == 0;
    vow_result_drop(r);
}

static void
check_taken(struct cell *c)
{
    assert_int_equal(c->seen[0], 1);
    check_dropped(&c->value[0]);
}

VOW_CASE(race_of_taking_and_letting_go_moves_the_value_once)
{
    static const struct race race = {
        make_value, {take_act, refs_act, refs_act, refs_act}, check_taken};

    run_race(&race);
}

/* 12. Cancel hooks. */

static void
note_hook(vow_promise *p, const vow_error *reason, void *ctx)
{
    (void)reason;
    note_run(ctx, 1);
    vow_promise_reject(p, vow_error_of(VOW_E_CANCELLED));
}

static void
hook_set(struct cell *c, struct dice *d)
{
    (void)d;
    c->won[0] = vow_promise_on_cancel(c->p, NULL, note_hook, ctx_of(c, 0)) != NULL;
    vow_promise_unref(c->p);
}

static void
hook_cancel(struct cell *c, struct dice *d)
{
    (void)d;
    vow_future_cancel(c->f, NULL);
    vow_promise_unref(c->p);
}

static void
hook_fulfill(struct cell *c, struct dice *d)
{
    (void)d;
    fulfill_with(c, 2);
    vow_promise_unref(c->p);
}

static void
check_hook(struct cell *c)
{
    int code = code_of(c->f);

    assert_true(code == 0 || code == VOW_E_CANCELLED);
    assert_int_equal(c->won[2], code == 0 ? 1 : 0);
    assert_true(c->ran[0] == 0 || c->ran[0] == 1);
    if (c->won[0] == 0)
        assert_int_equal(c->ran[0], 0);
    check_dropped(&c->ctx[0]);
    vow_unref(c->f);
    check_dropped(&c->value[2]);
}

VOW_CASE(race_of_hook_cancel_and_settle_calls_it_at_most_once)
{
    static const struct race race = {
        make_shared, {hook_set, hook_cancel, hook_fulfill, break_unref}, check_hook};

    run_race(&race);
}

/* 13. Nobody wants it any more. */

static void
make_unwanted(struct cell *c)
{
    c->p = vow_promise_new_with(&VOW_PROMISE_OPTIONS(.flags = VOW_STOP_WHEN_UNWANTED));
    c->f = vow_promise_future(c->p);
    vow_ref(c->f);
    vow_ref(c->f);
    (void)vow_promise_on_cancel(c->p, NULL, note_hook, ctx_of(c, 0));
}

static void
unwanted_fulfill(struct cell *c, struct dice *d)
{
    (void)d;
    fulfill_with(c, 1);
    vow_promise_unref(c->p);
}

static void
unwanted_attach_or_go(struct cell *c, struct dice *d)
{
    c->won[2] = roll(d, 2) == 0;
    if (c->won[2])
        vow_unref(vow_handle(c->f, NULL, note_handle, ctx_of(c, 2)));
    else
        vow_unref(c->f);
}

static void
check_unwanted(struct cell *c)
{
    assert_true(c->ran[0] == 0 || c->ran[0] == 1);
    assert_true(c->ran[0] == 1 || c->won[1] == 1);
    assert_int_equal(c->ran[2], c->won[2]);
    assert_int_equal(drop_count(&c->ctx[2]), c->won[2]);
    check_dropped(&c->ctx[0]);
    check_dropped(&c->value[1]);
}

VOW_CASE(race_of_letting_go_asks_an_unwanted_promise_at_most_once)
{
    static const struct race race = {
        make_unwanted,
        {unwanted_fulfill, unwanted_attach_or_go, let_go_of_future, let_go_of_future},
        check_unwanted};

    run_race(&race);
}

/* 14. Abandoning. */

static void
abandon_act(struct cell *c, struct dice *d)
{
    (void)d;
    vow_promise_abandon(c->p);
}

static void
check_abandoned(struct cell *c)
{
    assert_int_equal(code_of(c->f), VOW_E_BROKEN);
    assert_int_equal(c->ran[1], 0);
    assert_int_equal(c->seen[3], VOW_E_BROKEN);
    check_dropped(&c->ctx[1]);
    check_dropped(&c->ctx[2]);
    assert_int_equal(code_of(c->g), VOW_E_BROKEN);
    vow_unref(c->f);
    vow_unref(c->g);
    vow_unref(c->h);
}

static void
wait_until_it_ends(struct cell *c, struct dice *d)
{
    while (!vow_wait(c->f, vow_us(roll(d, 200))))
        continue;
    c->seen[3] = code_or_one(vow_get(c->f));
}

VOW_CASE(race_of_abandoning_and_attaching_drops_contexts_once)
{
    static const struct race race = {
        make_pair,
        {abandon_act, attach_then, break_catch, wait_until_it_ends},
        check_abandoned};

    run_race(&race);
}

/* 15. The last use of an executor. */

static int
refuse_task(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    return VOW_E_CLOSED;
}

static void
count_destroy(vow_executor *self)
{
    atomic_fetch_add(&cell_of(self)->destroyed, 1);
}

static const vow_executor_ops refusing_ops = {.size = sizeof(vow_executor_ops),
                                              .name = "none",
                                              .post = refuse_task,
                                              .destroy = count_destroy};

static void
make_executor(struct cell *c)
{
    assert_int_equal(vow_executor_init(&c->own, &refusing_ops), 0);
    make_two(c);
    c->f = vow_then(c->f, &c->own, note_then, ctx_of(c, 0));
    c->g = vow_then(c->g, &c->own, note_then, ctx_of(c, 1));
}

static void
executor_unref(struct cell *c, struct dice *d)
{
    (void)d;
    vow_executor_unref(&c->own);
}

static void
executor_settle(struct cell *c, struct dice *d)
{
    (void)d;
    fulfill_with(c, 0);
    vow_promise_unref(c->p);
}

static void
executor_break(struct cell *c, struct dice *d)
{
    (void)d;
    vow_promise_unref(c->q);
}

static void
executor_cancel(struct cell *c, struct dice *d)
{
    (void)d;
    vow_future_cancel(c->g, NULL);
}

static void
check_executor(struct cell *c)
{
    int code = code_of(c->g);

    vow_trim(); /* what this thread had set aside of it for steps to come */
    assert_int_equal(c->destroyed, 1);
    assert_int_equal(code_of(c->f), VOW_E_CLOSED);
    assert_true(code == VOW_E_BROKEN || code == VOW_E_CANCELLED);
    check_dropped(&c->ctx[0]);
    check_dropped(&c->ctx[1]);
    vow_unref(c->f);
    vow_unref(c->g);
    check_dropped(&c->value[0]);
}

VOW_CASE(race_for_the_last_use_of_an_executor_destroys_it_once)
{
    static const struct race race = {
        make_executor,
        {executor_unref, executor_settle, executor_break, executor_cancel},
        check_executor};

    run_race(&race);
}

/* The pool. */

struct posting {
    vow_executor *pool;
    atomic_int started;
    atomic_int accepted;
    atomic_int ran;
    atomic_int dropped;
    atomic_int tasks_ran;
    atomic_int tasks_closed;
};

static void
posted(void *ctx)
{
    struct posting *p = ctx;

    atomic_fetch_add(&p->ran, 1);
}

static void
posted_drop(void *ctx)
{
    struct posting *p = ctx;

    atomic_fetch_add(&p->dropped, 1);
}

static vow_result
submitted(void *ctx)
{
    posted(ctx);
    return vow_ok(VOW_NIL);
}

enum { POSTS = 300 };

static void *
post_until_closed(void *ctx)
{
    struct posting *p = ctx;

    atomic_fetch_add(&p->started, 1);
    for (int i = 0; i < POSTS; i++) {
        vow_value v = vow_own(p, posted_drop);

        if (i % 2 == 0) {
            p->accepted += vow_post(p->pool, posted, v) == 0;
        } else {
            vow_future *f = vow_submit(p->pool, submitted, v);
            int code = code_of(f);

            p->accepted += code == 0;
            p->tasks_closed += code == VOW_E_CLOSED;
            p->tasks_ran += code == 0;
            vow_unref(f);
        }
    }
    return NULL;
}

static void
post_against_close(struct dice *d, vow_close_mode mode)
{
    struct posting p = {.pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2))};
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_until_closed, &p), 0);
    await_flag(&p.started, 1 + (int)roll(d, THREADS));
    delay(d);
    vow_unref(vow_executor_close(p.pool, mode));
    assert_int_equal(vow_executor_join(p.pool), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    vow_executor_unref(p.pool);

    assert_int_equal(p.dropped, THREADS * POSTS);
    assert_int_equal(p.tasks_ran + p.tasks_closed, THREADS * POSTS / 2);
    if (mode == VOW_DRAIN)
        assert_int_equal(p.ran, p.accepted);
    else
        assert_in_range(p.ran, p.tasks_ran, p.accepted);
}

VOW_CASE(race_of_posting_and_closing_runs_what_was_accepted)
{
    struct dice d = {seed + 99};
    vow_ns end = deadline();

    do {
        post_against_close(&d, VOW_DRAIN);
        post_against_close(&d, VOW_CANCEL_QUEUED);
    } while (vow_clock_now(NULL) < end);
}

static void
start_post_stop(struct dice *d)
{
    struct posting p = {.pool =
                            vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1 + roll(d, 3)))};
    int posts = (int)roll(d, 5);

    for (int i = 0; i < posts; i++)
        p.accepted += vow_post(p.pool, posted, vow_own(&p, posted_drop)) == 0;
    if (roll(d, 2) == 0)
        delay(d);
    vow_unref(vow_executor_close(p.pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(p.pool), 0);
    vow_executor_unref(p.pool);

    assert_int_equal(p.accepted, posts);
    assert_int_equal(p.ran, posts);
    assert_int_equal(p.dropped, posts);
}

VOW_CASE(cycles_of_start_post_and_stop_lose_nothing)
{
    struct dice d = {seed + 77};
    vow_ns end = deadline();

    do
        start_post_stop(&d);
    while (vow_clock_now(NULL) < end);
}

/* Steal storms: trees of tasks that wait for what they submitted. */
struct tree {
    vow_executor *pool;
    int depth;
};

static vow_result
tree(void *ctx)
{
    struct tree *self = ctx;
    struct tree child = {self->pool, self->depth - 1};
    vow_future *f[3];
    int64_t leaves = 0;

    if (self->depth == 0)
        return vow_ok(vow_i64(1));
    for (int i = 0; i < 3; i++)
        f[i] = vow_submit(self->pool, tree, vow_ptr(&child));
    for (int i = 0; i < 3; i++) {
        leaves += vow_get(f[i]).value.as.i64;
        vow_unref(f[i]);
    }
    return vow_ok(vow_i64(leaves));
}

VOW_CASE(storm_of_steals_and_nested_waits_counts_every_leaf)
{
    struct tree root = {vow_pool_new(&VOW_POOL_OPTIONS(.threads = 4)), 6};
    vow_ns end = deadline();

    do {
        vow_future *f = vow_submit(root.pool, tree, vow_ptr(&root));
        vow_future *g = vow_submit(root.pool, tree, vow_ptr(&root));

        assert_int_equal(vow_get(f).value.as.i64, 729);
        assert_int_equal(vow_get(g).value.as.i64, 729);
        vow_unref(f);
        vow_unref(g);
    } while (vow_clock_now(NULL) < end);
    vow_unref(vow_executor_close(root.pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(root.pool), 0);
    vow_executor_unref(root.pool);
}

static void
ignore_unhandled(const vow_unhandled *u, void *ctx)
{
    (void)u;
    (void)ctx;
}

static int
begin(void **state)
{
    vow_on_unhandled(ignore_unhandled, NULL);
    return counting_begin(state);
}

#define race_test(name) cmocka_unit_test_setup_teardown(name, begin, counting_end)

int
main(void)
{
    const struct CMUnitTest cases[] = {
        race_test(race_of_settling_has_one_winner),
        race_test(race_of_attaching_and_settling_runs_every_step_once),
        race_test(race_of_waiting_and_settling_wakes_everybody),
        race_test(race_of_breaking_and_attaching_reaches_every_step),
        race_test(race_of_cancelling_and_settling_runs_a_step_or_cancels_it),
        race_test(race_of_cancelling_and_running_a_task_does_one_of_them),
        race_test(race_of_two_who_close_a_ring_leaves_nobody_pending),
        race_test(race_of_following_and_settling_has_one_winner),
        race_test(race_of_following_and_letting_go_drops_once),
        race_test(race_of_references_drops_the_value_once),
        race_test(race_of_taking_and_letting_go_moves_the_value_once),
        race_test(race_of_hook_cancel_and_settle_calls_it_at_most_once),
        race_test(race_of_letting_go_asks_an_unwanted_promise_at_most_once),
        race_test(race_of_abandoning_and_attaching_drops_contexts_once),
        race_test(race_for_the_last_use_of_an_executor_destroys_it_once),
        race_test(race_of_posting_and_closing_runs_what_was_accepted),
        race_test(cycles_of_start_post_and_stop_lose_nothing),
        race_test(storm_of_steals_and_nested_waits_counts_every_leaf),
    };

    seed = stress_seed();
    return vow_test_run(cases);
}
