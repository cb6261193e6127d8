/* SPDX-License-Identifier: MIT */
/*
 * Steps: which of them run, where, when and in which order; what becomes of their
 * contexts; how values and errors travel down a chain.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <stdio.h>

#include "support/drops.h"

/* The matrix: every kind of step, on every place, on a source of every kind. */

enum kind { THEN, CATCH, CATCH_IF, CATCH_OTHER, HANDLE, FINALLY, ON_SETTLED, KINDS };
enum place { INLINE, MANUAL, POOL, PLACES };

static const char *const kind_names[] = {
    "then", "catch", "catch_if", "catch_if another", "handle", "finally", "on_settled"};
static const char *const place_names[] = {"inline", "manual", "pool"};

/* What a step saw. Its context is the first member. */
struct probe {
    struct drop ctx;
    atomic_int ran;
    atomic_int dropped_before_it_ran;
    pthread_t thread;
    vow_executor *current;
    int64_t value;
    const vow_error *error;
};

static void
note(void *ctx, int64_t value, const vow_error *error)
{
    struct probe *p = ctx;

    p->thread = pthread_self();
    p->current = vow_executor_current();
    p->value = value;
    p->error = error;
    atomic_store(&p->dropped_before_it_ran, drop_count(&p->ctx));
    atomic_fetch_add(&p->ran, 1);
}

static vow_result
note_then(vow_value in, void *ctx)
{
    note(ctx, in.as.i64, NULL);
    return vow_ok(vow_i64(in.as.i64 + 1));
}

static vow_result
note_catch(const vow_error *error, void *ctx)
{
    note(ctx, 0, error);
    return vow_ok(vow_i64(-1));
}

static vow_result
note_handle(vow_view in, void *ctx)
{
    note(ctx, in.value.as.i64, in.error);
    return vow_ok(vow_i64(-2));
}

static void
note_finally(void *ctx)
{
    note(ctx, 0, NULL);
}

static void
note_settled(vow_view in, void *ctx)
{
    note(ctx, in.value.as.i64, in.error);
}

/* Attaches a step; the result future, or NULL for vow_on_settled. */
static vow_future *
attach(enum kind kind, vow_future *f, vow_executor *on, struct probe *probe)
{
    vow_value ctx = drop_value(&probe->ctx);

    switch (kind) {
    case THEN:
        return vow_then(f, on, note_then, ctx);
    case CATCH:
        return vow_catch(f, on, note_catch, ctx);
    case CATCH_IF:
        return vow_catch_if(f, EIO, on, note_catch, ctx);
    case CATCH_OTHER:
        return vow_catch_if(f, EPERM, on, note_catch, ctx);
    case HANDLE:
        return vow_handle(f, on, note_handle, ctx);
    case FINALLY:
        return vow_finally(f, on, note_finally, ctx);
    case ON_SETTLED:
    case KINDS:
        break;
    }
    assert_true(vow_on_settled(f, on, note_settled, ctx));
    return NULL;
}

/* Returns whether a step of this kind runs on such a source. */
static bool
runs(enum kind kind, bool fulfilled)
{
    if (kind == THEN)
        return fulfilled;
    if (kind == CATCH || kind == CATCH_IF)
        return !fulfilled;
    return kind != CATCH_OTHER;
}

/* The value that the result has if the source was 41, or what a failure became. */
static int64_t
expected_value(enum kind kind, bool fulfilled)
{
    if (kind == HANDLE)
        return -2;
    if (kind == THEN)
        return 42;
    return fulfilled ? 41 : -1;
}

/* Returns whether the result is rejected with the very error of the source. */
static bool
passes_error(enum kind kind, bool fulfilled)
{
    return !fulfilled && (kind == THEN || kind == CATCH_OTHER || kind == FINALLY);
}

struct cell {
    enum kind kind;
    enum place place;
    bool ready;
    bool fulfilled;
    vow_manual *manual;
    vow_executor *pool;
};

static vow_executor *
place_of(const struct cell *c)
{
    if (c->place == MANUAL)
        return vow_manual_executor(c->manual);
    return c->place == POOL ? c->pool : NULL;
}

#define check(cell, condition)                                                           \
    ((condition) ? (void)0 : cell_failed(cell, #condition, __LINE__))

static void
cell_failed(const struct cell *c, const char *what, int line)
{
    fail_msg("line %d, vow_%s, %s, source %s and %s: %s", line, kind_names[c->kind],
             place_names[c->place], c->ready ? "ready" : "pending",
             c->fulfilled ? "fulfilled" : "rejected", what);
}

static void
check_where(const struct cell *c, struct probe *probe)
{
    bool here = pthread_equal(probe->thread, pthread_self()) != 0;

    check(c, probe->dropped_before_it_ran == 0);
    check(c, probe->current == place_of(c));
    check(c, here == (c->place != POOL));
}

static void
check_result(const struct cell *c, vow_future *result, const vow_error *error)
{
    if (result == NULL)
        return;
    if (passes_error(c->kind, c->fulfilled)) {
        check(c, vow_get(result).error == error);
    } else {
        check(c, vow_get(result).error == NULL);
        check(c, vow_get(result).value.as.i64 == expected_value(c->kind, c->fulfilled));
    }
    vow_unref(result);
}

static void
settle(vow_promise *p, bool fulfilled, vow_error *error)
{
    if (fulfilled)
        vow_promise_fulfill(p, vow_i64(41));
    else
        vow_promise_reject(p, vow_error_ref(error));
    vow_promise_unref(p);
}

/* Attach and settle, in the order that the cell wants. */
static vow_future *
attach_and_settle(const struct cell *c, struct probe *probe, vow_error *error)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_future *result;

    if (c->ready)
        settle(p, c->fulfilled, error);
    result = attach(c->kind, f, place_of(c), probe);
    if (!c->ready) {
        check(c, probe->ran == 0);
        check(c, drop_count(&probe->ctx) == 0);
        settle(p, c->fulfilled, error);
    }
    return result;
}

static void
check_cell(const struct cell *c)
{
    struct probe probe = {.ran = 0};
    vow_error *error = vow_error_new(EIO, "the source's");
    vow_future *result = attach_and_settle(c, &probe, error);
    int expected = runs(c->kind, c->fulfilled) ? 1 : 0;

    if (c->place == MANUAL) {
        check(c, probe.ran == 0);
        check(c, vow_manual_run(c->manual) == (size_t)expected);
    }
    if (c->place == POOL)
        await_flag(&probe.ctx.dropped, 1);
    check(c, probe.ran == expected);
    check(c, drop_count(&probe.ctx) == 1);
    if (expected == 1)
        check_where(c, &probe);
    check_result(c, result, error);
    check(c, drop_count(&probe.ctx) == 1);
    vow_error_unref(error);
}

static void
check_place(enum place place, vow_manual *m, vow_executor *pool)
{
    for (int i = 0; i < KINDS * 4; i++) {
        struct cell c = {.kind = (enum kind)(i / 4),
                         .place = place,
                         .ready = (i & 1) != 0,
                         .fulfilled = (i & 2) != 0,
                         .manual = m,
                         .pool = pool};

        check_cell(&c);
    }
}

VOW_CASE(step_inline_runs_on_the_settling_or_attaching_thread)
{
    check_place(INLINE, NULL, NULL);
}

VOW_CASE(step_on_manual_runs_when_that_is_stepped)
{
    vow_manual *m = vow_manual_new();

    check_place(MANUAL, m, NULL);
    vow_manual_unref(m);
}

VOW_CASE(step_on_pool_runs_on_a_worker)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));

    check_place(POOL, NULL, pool);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
}

static void *
fulfill_from_thread(void *p)
{
    vow_promise_fulfill(p, vow_i64(41));
    return NULL;
}

VOW_CASE(step_inline_settled_by_another_thread_runs_there)
{
    struct probe probe = {.ran = 0};
    vow_promise *p = vow_promise_new();
    vow_future *f = attach(THEN, vow_promise_future(p), NULL, &probe);
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, fulfill_from_thread, p), 0);
    assert_int_equal(vow_get(f).value.as.i64, 42);
    pthread_join(thread, NULL);

    assert_true(pthread_equal(probe.thread, thread));
    assert_true(pthread_equal(probe.ctx.thread, thread));
    vow_unref(f);
    vow_promise_unref(p);
}

VOW_CASE(step_on_the_executor_it_is_attached_from_is_posted_all_the_same)
{
    struct probe probe = {.ran = 0};
    vow_manual *m = vow_manual_new();
    vow_executor *before = vow_executor_enter(vow_manual_executor(m));
    vow_future *f =
        attach(THEN, vow_resolved(vow_i64(1)), vow_manual_executor(m), &probe);

    vow_executor_enter(before);
    assert_int_equal(probe.ran, 0);
    assert_int_equal(vow_manual_run(m), 1);
    assert_int_equal(probe.ran, 1);
    vow_unref(f);
    vow_manual_unref(m);
}

/* Order. A mark is a context with a letter for the journal. */

struct mark {
    struct journal *journal;
    char letter;
};

static vow_result
mark_then(vow_value in, void *ctx)
{
    struct mark *m = ctx;

    (void)in;
    journal_add(m->journal, m->letter);
    return vow_forward();
}

static vow_result
mark_handle(vow_view in, void *ctx)
{
    return mark_then(in.value, ctx);
}

static void
mark_finally(void *ctx)
{
    struct mark *m = ctx;

    journal_add(m->journal, m->letter);
}

static void
mark_settled(vow_view in, void *ctx)
{
    (void)in;
    mark_finally(ctx);
}

/* Hangs four steps of different kinds on one future: letters a to d. */
static void
hang_four(vow_future *f, vow_executor *on, struct mark marks[4])
{
    vow_unref(vow_then(vow_ref(f), on, mark_then, vow_ptr(&marks[0])));
    vow_unref(vow_handle(vow_ref(f), on, mark_handle, vow_ptr(&marks[1])));
    vow_unref(vow_finally(vow_ref(f), on, mark_finally, vow_ptr(&marks[2])));
    assert_true(vow_on_settled(vow_ref(f), on, mark_settled, vow_ptr(&marks[3])));
}

VOW_CASE(steps_of_one_future_run_in_the_order_of_attaching)
{
    struct journal j = {0};
    struct mark marks[] = {{&j, 'a'}, {&j, 'b'}, {&j, 'c'}, {&j, 'd'}};
    vow_manual *m = vow_manual_new();
    vow_executor *const places[] = {NULL, vow_manual_executor(m), vow_inline()};

    for (size_t i = 0; i < 3; i++) {
        vow_promise *p = vow_promise_new();
        vow_future *f = vow_promise_future(p);

        hang_four(f, places[i], marks);
        vow_promise_fulfill(p, VOW_NIL);
        hang_four(f, places[i], marks);
        vow_manual_run(m);
        vow_unref(f);
        vow_promise_unref(p);
    }

    assert_string_equal(j.text, "abcdabcdabcdabcdabcdabcd");
    vow_manual_unref(m);
}

static vow_result
journal_then(vow_value in, void *ctx)
{
    (void)in;
    journal_add(ctx, 'B');
    return vow_ok(VOW_NIL);
}

static vow_result
attach_inside(vow_value in, void *ctx)
{
    struct journal *j = ctx;

    (void)in;
    journal_add(j, 'a');
    vow_unref(vow_then(vow_resolved(VOW_NIL), NULL, journal_then, vow_ptr(j)));
    journal_add(j, 'z');
    return vow_ok(VOW_NIL);
}

VOW_CASE(step_attached_inside_a_step_runs_after_it)
{
    struct journal j = {0};
    vow_manual *m = vow_manual_new();

    vow_unref(vow_then(vow_resolved(VOW_NIL), NULL, attach_inside, vow_ptr(&j)));
    assert_string_equal(j.text, "azB");
    vow_unref(vow_then(vow_resolved(VOW_NIL), vow_manual_executor(m), attach_inside,
                       vow_ptr(&j)));
    assert_string_equal(j.text, "azB");
    vow_manual_step(m);

    assert_string_equal(j.text, "azBazB");
    vow_manual_unref(m);
}

struct inside {
    struct journal journal;
    vow_promise *promise;
};

static vow_result
settle_inside(vow_value in, void *ctx)
{
    struct inside *s = ctx;

    (void)in;
    journal_add(&s->journal, 'a');
    vow_promise_fulfill(s->promise, VOW_NIL);
    journal_add(&s->journal, 'z');
    return vow_ok(VOW_NIL);
}

VOW_CASE(step_settled_inside_a_step_runs_after_it)
{
    struct inside s = {.promise = vow_promise_new()};
    vow_future *f =
        vow_then(vow_promise_future(s.promise), NULL, journal_then, vow_ptr(&s.journal));

    vow_unref(vow_then(vow_resolved(VOW_NIL), NULL, settle_inside, vow_ptr(&s)));

    assert_string_equal(s.journal.text, "azB");
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    vow_unref(f);
    vow_promise_unref(s.promise);
}

/* A context that writes its letter when it is dropped, and whose step writes f. */
static vow_result
write_f_then(vow_value in, void *ctx)
{
    struct drop *d = ctx;

    (void)in;
    journal_add(d->journal, 'f');
    return vow_ok(VOW_NIL);
}

static vow_result
write_f_catch(const vow_error *error, void *ctx)
{
    (void)error;
    return write_f_then(VOW_NIL, ctx);
}

static vow_result
write_f_handle(vow_view in, void *ctx)
{
    return write_f_then(in.value, ctx);
}

static void
write_f_finally(void *ctx)
{
    vow_result_drop(write_f_then(VOW_NIL, ctx));
}

static void
write_s(void *ctx)
{
    journal_add(ctx, 's');
}

/* Settles p, with a step on f that writes s once the step under test has settled. */
static void
settle_and_write(vow_promise *p, vow_future *f, bool fulfilled, struct journal *j)
{
    f = vow_finally(f, NULL, write_s, vow_ptr(j));
    if (fulfilled)
        vow_promise_fulfill(p, VOW_NIL);
    else
        vow_promise_reject(p, vow_error_of(VOW_E_CANCELLED));
    vow_promise_unref(p);
    vow_ignore(f);
}

VOW_CASE(context_is_dropped_after_the_function_and_before_settling)
{
    struct journal j = {0};
    struct drop d = {.journal = &j, .mark = 'c'};
    vow_promise *p = vow_promise_new();
    vow_promise *q = vow_promise_new();
    vow_promise *r = vow_promise_new();
    vow_promise *s = vow_promise_new();

    settle_and_write(
        p, vow_then(vow_promise_future(p), NULL, write_f_then, drop_value(&d)), true, &j);
    settle_and_write(
        q, vow_catch(vow_promise_future(q), NULL, write_f_catch, drop_value(&d)), false,
        &j);
    settle_and_write(
        r, vow_handle(vow_promise_future(r), NULL, write_f_handle, drop_value(&d)), true,
        &j);
    settle_and_write(
        s, vow_finally(vow_promise_future(s), NULL, write_f_finally, drop_value(&d)),
        false, &j);

    assert_string_equal(j.text, "fcsfcsfcsfcs");
    assert_int_equal(drop_count(&d), 4);
}

VOW_CASE(context_of_a_skipped_step_is_dropped_before_it_settles)
{
    struct journal j = {0};
    struct drop d = {.journal = &j, .mark = 'c'};
    vow_promise *p = vow_promise_new();
    vow_promise *q = vow_promise_new();

    settle_and_write(p,
                     vow_then(vow_promise_future(p), NULL, write_f_then, drop_value(&d)),
                     false, &j);
    settle_and_write(
        q, vow_catch(vow_promise_future(q), NULL, write_f_catch, drop_value(&d)), true,
        &j);

    assert_string_equal(j.text, "cscs");
    assert_int_equal(drop_count(&d), 2);
}

static vow_result
count_then(vow_value in, void *ctx)
{
    size_t *count = ctx;

    (*count)++;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

static vow_result
settle_task(void *p)
{
    vow_promise_fulfill(p, vow_i64(0));
    return vow_ok(VOW_NIL);
}

VOW_CASE(steps_past_256_on_an_executor_move_there_and_keep_their_order)
{
    size_t count = 0;
    vow_manual *m = vow_manual_new();
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_future *task = vow_submit(vow_manual_executor(m), settle_task, vow_ptr(p));

    for (int i = 0; i < 1000; i++)
        f = vow_then(f, NULL, count_then, vow_ptr(&count));
    assert_true(vow_manual_step(m));
    assert_true(count < 1000);
    assert_true(count > 0);
    assert_true(vow_manual_run(m) > 0);

    assert_int_equal(count, 1000);
    assert_int_equal(vow_get(f).value.as.i64, 1000);
    vow_unref(f);
    vow_unref(task);
    vow_promise_unref(p);
    vow_manual_unref(m);
}

/* Values. */

static vow_result
return_in(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(in);
}

static vow_result
return_forward(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    return vow_forward();
}

static vow_result
return_view(vow_view in, void *ctx)
{
    (void)ctx;
    return vow_ok(in.value);
}

static void
nothing(void *ctx)
{
    (void)ctx;
}

/* A chain of everything that passes a value on, by one name or another. */
static vow_future *
pass_on(vow_future *f)
{
    f = vow_then(f, NULL, return_in, VOW_NIL);
    f = vow_finally(f, NULL, nothing, VOW_NIL);
    f = vow_then(f, NULL, return_forward, VOW_NIL);
    f = vow_catch(f, NULL, note_catch, VOW_NIL);
    return vow_handle(f, NULL, return_view, VOW_NIL);
}

VOW_CASE(value_passed_on_is_the_same_and_freed_once)
{
    struct drop d = {0};
    vow_future *f = pass_on(vow_resolved(drop_value(&d)));

    assert_ptr_equal(vow_get(f).value.as.ptr, &d);
    assert_true(vow_get(f).value.drop == NULL);
    assert_int_equal(drop_count(&d), 0);
    vow_unref(f);

    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(value_passed_on_before_it_is_there_is_freed_once)
{
    struct drop d = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = pass_on(vow_promise_future(p));

    assert_true(vow_promise_fulfill(p, drop_value(&d)));
    vow_promise_unref(p);
    assert_ptr_equal(vow_get(f).value.as.ptr, &d);
    assert_int_equal(drop_count(&d), 0);
    vow_unref(f);

    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(value_passed_on_and_held_at_its_source_outlives_either)
{
    struct drop d = {0};
    struct drop e = {0};
    vow_future *f = vow_resolved(drop_value(&d));
    vow_future *g = vow_resolved(drop_value(&e));
    vow_future *from_f = pass_on(vow_ref(f));
    vow_future *from_g = pass_on(vow_ref(g));

    vow_unref(f);
    assert_ptr_equal(vow_get(from_f).value.as.ptr, &d);
    assert_int_equal(drop_count(&d), 0);
    vow_unref(from_f);
    vow_unref(from_g);
    assert_ptr_equal(vow_get(g).value.as.ptr, &e);
    assert_int_equal(drop_count(&e), 0);
    vow_unref(g);

    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(drop_count(&e), 1);
}

VOW_CASE(value_passed_on_from_a_live_promise_stays_readable_there)
{
    struct drop d = {0};
    vow_promise *p = vow_promise_new();
    vow_future *passed = pass_on(vow_promise_future(p));
    vow_future *again;

    assert_true(vow_promise_fulfill(p, drop_value(&d)));
    again = vow_promise_future(p);
    assert_ptr_equal(vow_get(passed).value.as.ptr, &d);
    vow_unref(passed);
    assert_ptr_equal(vow_get(again).value.as.ptr, &d);
    assert_int_equal(drop_count(&d), 0);
    vow_unref(again);
    vow_promise_unref(p);

    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(value_shared_by_two_steps_is_freed_once_after_both)
{
    struct drop d = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_future *a = vow_then(vow_ref(f), NULL, return_in, VOW_NIL);
    vow_future *b = vow_then(f, NULL, return_forward, VOW_NIL);

    assert_true(vow_promise_fulfill(p, drop_value(&d)));
    vow_promise_unref(p);
    assert_ptr_equal(vow_get(a).value.as.ptr, &d);
    vow_unref(a);
    assert_int_equal(drop_count(&d), 0);
    assert_ptr_equal(vow_get(b).value.as.ptr, &d);
    vow_unref(b);

    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(value_used_up_by_a_step_is_freed_though_the_result_is_held)
{
    struct drop d = {0};
    struct probe probe = {.ran = 0};
    vow_future *f = attach(HANDLE, vow_resolved(drop_value(&d)), NULL, &probe);

    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(vow_get(f).value.as.i64, -2);
    vow_unref(f);
    assert_int_equal(drop_count(&d), 1);
}

static vow_result
return_new_drop(vow_value in, void *ctx)
{
    (void)in;
    return vow_ok(drop_value(ctx));
}

VOW_CASE(value_returned_with_a_drop_of_its_own_is_a_new_one)
{
    struct drop d = {0};
    vow_future *f = vow_resolved(drop_value(&d));

    f = vow_then(f, NULL, return_new_drop, vow_ptr(&d));
    assert_int_equal(drop_count(&d), 1);
    vow_unref(f);

    assert_int_equal(drop_count(&d), 2);
}

VOW_CASE(value_dropped_with_its_result_unread_is_freed_once)
{
    struct drop d = {0};
    struct drop e = {0};
    vow_promise *p = vow_promise_new();

    vow_unref(pass_on(vow_resolved(drop_value(&d))));
    vow_unref(pass_on(vow_promise_future(p)));
    assert_true(vow_promise_fulfill(p, drop_value(&e)));
    vow_promise_unref(p);

    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(drop_count(&e), 1);
}

/* Errors. */

static vow_result
nil_catch(const vow_error *error, void *ctx)
{
    (void)error;
    (void)ctx;
    return vow_ok(VOW_NIL);
}

VOW_CASE(catch_that_returns_nil_has_recovered)
{
    vow_future *f =
        vow_catch(vow_rejected(vow_error_of(VOW_E_TIMEDOUT)), NULL, nil_catch, VOW_NIL);
    vow_future *g = vow_handle(vow_rejected(vow_error_of(VOW_E_TIMEDOUT)), NULL,
                               return_view, VOW_NIL);

    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_true(vow_is_nil(vow_get(f).value));
    assert_int_equal(vow_future_status(g), VOW_FULFILLED);
    vow_unref(f);
    vow_unref(g);
}

static vow_result
forward_catch(const vow_error *error, void *ctx)
{
    (void)error;
    (void)ctx;
    return vow_forward();
}

static vow_result
raise_again(const vow_error *error, void *ctx)
{
    (void)ctx;
    return vow_err(vow_error_ref(error));
}

VOW_CASE(error_passed_on_is_the_same_pointer_and_freed_once)
{
    struct drop payload = {0};
    vow_error *e = drop_error(&payload, EIO);
    vow_future *f = vow_rejected(e);

    f = vow_then(f, NULL, return_in, VOW_NIL);
    f = vow_catch(f, NULL, forward_catch, VOW_NIL);
    f = vow_catch_if(f, EPERM, NULL, nil_catch, VOW_NIL);
    f = vow_finally(f, NULL, nothing, VOW_NIL);
    f = vow_catch(f, NULL, raise_again, VOW_NIL);
    assert_ptr_equal(vow_get(f).error, e);
    assert_int_equal(drop_count(&payload), 0);
    vow_unref(f);

    assert_int_equal(drop_count(&payload), 1);
}

VOW_CASE(catch_if_looks_along_the_causes)
{
    vow_error *cause = vow_error_new(EIO, "disk");
    vow_error *e = vow_error_wrap(cause, VOW_E_USER, "page");
    struct probe probe = {.ran = 0};
    vow_future *f;

    vow_error_unref(cause);
    f = attach(CATCH_IF, vow_rejected(e), NULL, &probe);

    assert_int_equal(probe.ran, 1);
    assert_int_equal(vow_get(f).value.as.i64, -1);
    vow_unref(f);
}

static vow_result
fail_then(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    return vow_fail(EDOM, "from a step");
}

VOW_CASE(step_that_fails_rejects_its_result_alone)
{
    vow_future *f = vow_resolved(vow_i64(1));
    vow_future *g = vow_then(vow_ref(f), NULL, fail_then, VOW_NIL);

    assert_int_equal(code_of(f), 0);
    assert_int_equal(code_of(g), EDOM);
    assert_string_equal(vow_error_message(vow_get(g).error), "from a step");
    assert_non_null(vow_error_where(vow_get(g).error));
    vow_unref(f);
    vow_unref(g);
}

VOW_CASE(failing_chain_of_1000_links_allocates_nothing_after_the_error)
{
    struct drop ctx = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_error *e = vow_error_new(EIO, "at the root");
    size_t calls;

    for (int i = 0; i < 1000; i++)
        f = vow_then(f, NULL, return_in, drop_value(&ctx));
    calls = counting_calls();
    vow_promise_reject(p, e);

    assert_int_equal(counting_calls(), calls);
    assert_ptr_equal(vow_peek(f).error, e);
    assert_int_equal(drop_count(&ctx), 1000);
    vow_unref(f);
    vow_promise_unref(p);
    assert_int_equal(counting_calls(), calls);
}

VOW_CASE(settling_a_long_chain_allocates_nothing)
{
    size_t count = 0;
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    size_t calls;

    for (int i = 0; i < 1000; i++)
        f = vow_then(f, NULL, count_then, vow_ptr(&count));
    calls = counting_calls();
    vow_promise_fulfill(p, vow_i64(0));
    assert_int_equal(vow_get(f).value.as.i64, 1000);
    vow_unref(f);
    vow_promise_unref(p);

    assert_int_equal(counting_calls(), calls);
    assert_int_equal(count, 1000);
}

/* The future that ran out of memory. */

static void
check_reads_nomem(vow_future *f)
{
    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    assert_int_equal(code_of(f), VOW_E_NOMEM);
    vow_unref(f);
}

VOW_CASE(step_on_null_that_wants_a_value_drops_its_context)
{
    struct probe probe = {.ran = 0};

    check_reads_nomem(attach(THEN, NULL, NULL, &probe));
    assert_int_equal(drop_count(&probe.ctx), 1);
    check_reads_nomem(attach(CATCH_OTHER, NULL, NULL, &probe));
    assert_int_equal(drop_count(&probe.ctx), 2);

    assert_int_equal(probe.ran, 0);
}

VOW_CASE(step_on_null_that_wants_an_error_runs_with_out_of_memory)
{
    static const enum kind kinds[] = {CATCH, HANDLE, ON_SETTLED};

    for (size_t i = 0; i < 3; i++) {
        struct probe probe = {.ran = 0};
        vow_future *f = attach(kinds[i], NULL, NULL, &probe);

        assert_int_equal(probe.ran, 1);
        assert_int_equal(vow_error_code(probe.error), VOW_E_NOMEM);
        assert_int_equal(drop_count(&probe.ctx), 1);
        if (f != NULL)
            assert_int_equal(code_of(f), 0);
        vow_unref(f);
    }
}

VOW_CASE(finally_on_null_runs_and_passes_out_of_memory_on)
{
    struct probe probe = {.ran = 0};
    vow_manual *m = vow_manual_new();
    vow_future *f = attach(FINALLY, NULL, vow_manual_executor(m), &probe);

    assert_int_equal(probe.ran, 0);
    assert_int_equal(vow_manual_run(m), 1);
    assert_int_equal(probe.ran, 1);
    assert_ptr_equal(probe.current, vow_manual_executor(m));
    check_reads_nomem(f);
    assert_int_equal(drop_count(&probe.ctx), 1);
    vow_manual_unref(m);
}

/* Following, seen from a step. */

static vow_result
follow_then(vow_value in, void *ctx)
{
    (void)in;
    return vow_follow(ctx);
}

VOW_CASE(step_that_follows_settles_as_the_other_does)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_then(vow_resolved(VOW_NIL), NULL, follow_then,
                             vow_ptr(vow_promise_future(p)));
    vow_future *g = vow_then(vow_resolved(VOW_NIL), NULL, follow_then, VOW_NIL);

    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_promise_fulfill(p, vow_i64(12));
    assert_int_equal(vow_get(f).value.as.i64, 12);
    assert_int_equal(code_of(g), VOW_E_NOMEM);
    vow_unref(f);
    vow_unref(g);
    vow_promise_unref(p);
}

VOW_CASE(step_whose_result_nobody_holds_runs_all_the_same)
{
    struct probe probe = {.ran = 0};
    vow_promise *p = vow_promise_new();

    vow_unref(attach(THEN, vow_promise_future(p), NULL, &probe));
    assert_int_equal(drop_count(&probe.ctx), 0);
    vow_promise_fulfill(p, vow_i64(41));

    assert_int_equal(probe.ran, 1);
    assert_int_equal(drop_count(&probe.ctx), 1);
    vow_promise_unref(p);
}

/* An executor that refuses. */

static vow_manual *
closed_manual(void)
{
    vow_manual *m = vow_manual_new();
    vow_future *closed = vow_executor_close(vow_manual_executor(m), VOW_DRAIN);

    assert_int_equal(code_of(closed), 0);
    vow_unref(closed);
    return m;
}

static void
check_refusal(vow_manual *m, enum kind kind, bool fulfilled, bool ready)
{
    struct cell c = {.kind = kind,
                     .place = MANUAL,
                     .ready = ready,
                     .fulfilled = fulfilled,
                     .manual = m};
    struct probe probe = {.ran = 0};
    vow_error *e = vow_error_new(EIO, "the source's");
    vow_future *f = attach_and_settle(&c, &probe, e);

    check(&c, probe.ran == 0);
    check(&c, drop_count(&probe.ctx) == 1);
    check(&c, pthread_equal(probe.ctx.thread, pthread_self()));
    if (f != NULL && fulfilled && runs(kind, fulfilled))
        check(&c, code_of(f) == VOW_E_CLOSED);
    if (f != NULL && fulfilled && !runs(kind, fulfilled))
        check(&c, vow_get(f).value.as.i64 == 41);
    if (f != NULL && !fulfilled)
        check(&c, vow_get(f).error == e);
    vow_ignore(f);
    vow_error_unref(e);
}

VOW_CASE(step_refused_passes_the_error_on_and_makes_a_value_closed)
{
    vow_manual *m = closed_manual();

    for (int i = 0; i < KINDS * 4; i++)
        check_refusal(m, (enum kind)(i / 4), (i & 1) != 0, (i & 2) != 0);

    assert_int_equal(vow_manual_run(m), 0);
    vow_manual_unref(m);
}

VOW_CASE(step_refused_drops_the_value_it_would_have_had)
{
    struct drop value = {0};
    struct probe probe = {.ran = 0};
    vow_manual *m = closed_manual();
    vow_future *f =
        attach(FINALLY, vow_resolved(drop_value(&value)), vow_manual_executor(m), &probe);

    assert_int_equal(probe.ran, 0);
    assert_int_equal(drop_count(&probe.ctx), 1);
    assert_int_equal(code_of(f), VOW_E_CLOSED);
    vow_unref(f);
    assert_int_equal(drop_count(&value), 1);
    vow_manual_unref(m);
}

VOW_CASE(step_cancelled_by_closing_is_not_run)
{
    struct probe probe = {.ran = 0};
    vow_manual *m = vow_manual_new();
    vow_future *f =
        attach(HANDLE, vow_resolved(vow_i64(1)), vow_manual_executor(m), &probe);

    vow_unref(vow_executor_close(vow_manual_executor(m), VOW_CANCEL_QUEUED));

    assert_int_equal(probe.ran, 0);
    assert_int_equal(drop_count(&probe.ctx), 1);
    assert_int_equal(code_of(f), VOW_E_CLOSED);
    vow_unref(f);
    vow_manual_unref(m);
}

/* An error handed out as if it were a value is that, and not the lent input. */
static vow_result
error_as_value(vow_view in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_ptr(in.error));
}

VOW_CASE(handle_that_returns_the_error_as_a_value_is_fulfilled)
{
    vow_error *e = vow_error_new(EIO, "kept");
    vow_future *f = vow_rejected(vow_error_ref(e));

    f = vow_handle(f, NULL, error_as_value, VOW_NIL);
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_ptr_equal(vow_get(f).value.as.ptr, e);
    vow_unref(f);
    vow_error_unref(e);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(step_inline_runs_on_the_settling_or_attaching_thread),
        vow_test(step_on_manual_runs_when_that_is_stepped),
        vow_test(step_on_pool_runs_on_a_worker),
        vow_test(step_inline_settled_by_another_thread_runs_there),
        vow_test(step_on_the_executor_it_is_attached_from_is_posted_all_the_same),
        vow_test(steps_of_one_future_run_in_the_order_of_attaching),
        vow_test(step_attached_inside_a_step_runs_after_it),
        vow_test(step_settled_inside_a_step_runs_after_it),
        vow_test(context_is_dropped_after_the_function_and_before_settling),
        vow_test(context_of_a_skipped_step_is_dropped_before_it_settles),
        vow_test(steps_past_256_on_an_executor_move_there_and_keep_their_order),
        vow_test(value_passed_on_is_the_same_and_freed_once),
        vow_test(value_passed_on_before_it_is_there_is_freed_once),
        vow_test(value_passed_on_and_held_at_its_source_outlives_either),
        vow_test(value_passed_on_from_a_live_promise_stays_readable_there),
        vow_test(value_shared_by_two_steps_is_freed_once_after_both),
        vow_test(value_used_up_by_a_step_is_freed_though_the_result_is_held),
        vow_test(value_returned_with_a_drop_of_its_own_is_a_new_one),
        vow_test(value_dropped_with_its_result_unread_is_freed_once),
        vow_test(catch_that_returns_nil_has_recovered),
        vow_test(error_passed_on_is_the_same_pointer_and_freed_once),
        vow_test(catch_if_looks_along_the_causes),
        vow_test(step_that_fails_rejects_its_result_alone),
        vow_test(failing_chain_of_1000_links_allocates_nothing_after_the_error),
        vow_test(settling_a_long_chain_allocates_nothing),
        vow_test(step_on_null_that_wants_a_value_drops_its_context),
        vow_test(step_on_null_that_wants_an_error_runs_with_out_of_memory),
        vow_test(finally_on_null_runs_and_passes_out_of_memory_on),
        vow_test(step_that_follows_settles_as_the_other_does),
        vow_test(step_whose_result_nobody_holds_runs_all_the_same),
        vow_test(step_refused_passes_the_error_on_and_makes_a_value_closed),
        vow_test(step_refused_drops_the_value_it_would_have_had),
        vow_test(step_cancelled_by_closing_is_not_run),
        vow_test(handle_that_returns_the_error_as_a_value_is_fulfilled),
    };

    return vow_test_run(cases);
}
