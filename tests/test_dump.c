/* SPDX-License-Identifier: MIT */
/* What an executor says of itself, and of the tasks on it that wait. */
#include "support/vow_test.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/drops.h"
#include "support/pool_fixture.h"

static char text[1 << 15];

static const char *
dump(vow_executor *on)
{
    FILE *out = fmemopen(text, sizeof text, "w");

    assert_non_null(out);
    assert_int_equal(vow_executor_dump(on, out), 0);
    fclose(out);
    return text;
}

static vow_result
wait_for(void *f)
{
    return vow_ok(vow_get(f).value);
}

VOW_CASE(dump_names_what_runs_and_what_it_waits_for)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    vow_promise *p =
        vow_promise_new_with(&VOW_PROMISE_OPTIONS(.name = "an answer from outside"));
    vow_future *answer = vow_promise_future(p);
    vow_future *f = vow_submit_with(pool, &VOW_SUBMIT_OPTIONS(.name = "the patient one"),
                                    wait_for, vow_ptr(answer));
    vow_future *g = vow_submit(pool, wait_for, vow_ptr(answer));
    vow_future *closed;

    while (strstr(dump(pool),
                  "running: the patient one; it waits for: an answer from outside") ==
               NULL ||
           strstr(text, "a future made at") == NULL)
        sched_yield();
    assert_non_null(strstr(text, "executor pool"));
    assert_non_null(strstr(text, ": open"));
    assert_non_null(strstr(text, "running: the patient one; it waits for: an answer"));

    closed = vow_executor_close(pool, VOW_DRAIN);
    assert_false(vow_wait(closed, vow_ms(1))); /* a deadline, and why it passed: */
    assert_non_null(strstr(dump(pool), ": draining"));
    assert_non_null(strstr(text, "the patient one"));
    vow_unref(vow_executor_close(pool, VOW_CANCEL_QUEUED));
    assert_non_null(strstr(dump(pool), ": cancelling"));

    vow_promise_fulfill(p, vow_i64(1));
    assert_int_equal(vow_executor_join(pool), 0);
    assert_non_null(strstr(dump(pool), ": finished"));
    assert_null(strstr(text, "running"));
    vow_promise_unref(p);
    vow_unref(answer);
    vow_unref(closed);
    vow_ignore(f);
    vow_ignore(g);
    vow_executor_unref(pool);
}

/* A callback that takes until it is told to end, and a task that removes it. */
struct callback {
    vow_source *source;
    vow_registration *r;
    atomic_int entered;
    atomic_int open;
};

static void
take_a_while(void *ctx)
{
    struct callback *c = ctx;

    atomic_store(&c->entered, 1);
    await_flag(&c->open, 1);
}

static void *
fire(void *ctx)
{
    vow_source_cancel(((struct callback *)ctx)->source, NULL);
    return NULL;
}

static vow_result
remove_it(void *ctx)
{
    struct callback *c = ctx;

    return vow_ok(vow_i64(vow_registration_remove_wait(c->r)));
}

VOW_CASE(dump_names_who_waits_for_a_callback)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    struct callback c = {.source = vow_source_new()};
    vow_token *token = vow_source_token(c.source);
    pthread_t thread;
    vow_future *f;

    c.r = vow_token_on_cancel(token, NULL, take_a_while, vow_ptr(&c));
    assert_int_equal(pthread_create(&thread, NULL, fire, &c), 0);
    await_flag(&c.entered, 1);
    f = vow_submit_with(pool, &VOW_SUBMIT_OPTIONS(.name = "a remover"), remove_it,
                        vow_ptr(&c));
    while (strstr(dump(pool),
                  "running: a remover; it waits for: a callback to return\n") == NULL)
        sched_yield();
    atomic_store(&c.open, 1);
    assert_int_equal(vow_get(f).value.as.i64, VOW_RAN);
    pthread_join(thread, NULL);
    vow_unref(f);
    vow_token_unref(token);
    vow_source_unref(c.source);
    pool_free(pool);
}

static void
wait_without_a_future(void *f)
{
    (void)vow_get(f);
}

static bool
has_lines(const char *said, int n)
{
    for (; (said = strchr(said, '\n')) != NULL; said++)
        n--;
    return n <= 0;
}

enum { PATIENT = 30 };

/* More waiters than there is room for, one of them without a future, and one elsewhere. */
VOW_CASE(dump_leaves_out_what_does_not_fit_and_what_is_of_others)
{
    static const char name[] =
        "a task whose name is as long as it must be for some thirty of them not to fit "
        "into a page, which takes a hundred characters and more for each of them, or so";
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = PATIENT + 1));
    vow_executor *other = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    vow_promise *p = vow_promise_new();
    vow_future *answer = vow_promise_future(p);
    vow_future *f[PATIENT], *elsewhere;

    assert_int_equal(vow_post(pool, wait_without_a_future, vow_ptr(answer)), 0);
    elsewhere = vow_submit_with(other, &VOW_SUBMIT_OPTIONS(.name = "elsewhere"), wait_for,
                                vow_ptr(answer));
    while (strstr(dump(pool), "running: work without a future") == NULL ||
           strstr(dump(other), "elsewhere") == NULL)
        sched_yield();
    assert_null(strstr(dump(pool), "elsewhere"));
    for (int i = 0; i < PATIENT; i++)
        f[i] = vow_submit_with(pool, &VOW_SUBMIT_OPTIONS(.name = name), wait_for,
                               vow_ptr(answer));
    while (strlen(dump(pool)) < 4095)
        sched_yield();
    assert_false(has_lines(text, PATIENT + 2));
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
    for (int i = 0; i < PATIENT; i++)
        vow_unref(f[i]);
    vow_unref(elsewhere);
    for (int i = 0; i < 2; i++) {
        vow_executor *on = i == 0 ? pool : other;

        vow_unref(vow_executor_close(on, VOW_DRAIN));
        assert_int_equal(vow_executor_join(on), 0);
        vow_executor_unref(on);
    }
    vow_unref(answer);
}

/* A task that waits for one which its own thread runs meanwhile, and which waits. */
static vow_result
wait_for_one_inside(void *ctx)
{
    vow_future *f =
        vow_submit_with(vow_executor_current(), &VOW_SUBMIT_OPTIONS(.name = "inner"),
                        wait_for, vow_ptr(ctx));

    (void)vow_get(f);
    vow_unref(f);
    return vow_ok(VOW_NIL);
}

VOW_CASE(dump_names_what_runs_inside_what)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    vow_promise *p = vow_promise_new();
    vow_future *answer = vow_promise_future(p);
    vow_future *f = vow_submit_with(pool, &VOW_SUBMIT_OPTIONS(.name = "outer"),
                                    wait_for_one_inside, vow_ptr(answer));

    while (strstr(dump(pool), "running: inner, inside: outer; it waits for:") == NULL)
        sched_yield();
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
    vow_unref(f);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
    vow_unref(answer);
}

static vow_result
wait_for_step(vow_value in, void *f)
{
    (void)in;
    return wait_for(f);
}

static void
look_on(vow_view outcome, void *ctx)
{
    (void)outcome;
    (void)ctx;
}

/* Of each sort that may be queued: those with a future are named, or else where they were
 * made; of cancelled ones nothing is said. */
static void
queue_all_sorts(vow_executor *on, vow_future *f[6])
{
    static const int priorities[] = {VOW_NORMAL, VOW_LOW};

    for (int i = 0; i < 2; i++)
        f[i] = vow_submit_with(on,
                               &VOW_SUBMIT_OPTIONS(.name = i == 0 ? "a job" : "a low one",
                                                   .priority = priorities[i]),
                               wait_for, VOW_NIL);
    f[2] = vow_then(vow_resolved(VOW_NIL), on, wait_for_step, VOW_NIL);
    f[3] =
        vow_submit_with(on, &VOW_SUBMIT_OPTIONS(.name = "cancelled"), wait_for, VOW_NIL);
    vow_future_cancel(f[3], NULL);
    f[4] = vow_then(vow_resolved(VOW_NIL), on, wait_for_step, VOW_NIL);
    f[5] = vow_resolved(VOW_NIL);
    assert_true(vow_on_settled(vow_ref(f[5]), on, look_on, VOW_NIL));
}

static int
times(const char *what)
{
    int n = 0;

    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

static void
assert_all_sorts(vow_executor *on, vow_future *f[6])
{
    dump(on);
    assert_int_equal(times("queued: a job\n"), 1);
    assert_int_equal(times("queued: a low one\n"), 1);
    assert_int_equal(times("queued: a future made at"), 2);
    assert_int_equal(times("queued: work without a future"), 1);
    assert_int_equal(times("cancelled"), 0);
    for (int i = 0; i < 6; i++) {
        if (i != 3)
            vow_future_cancel(f[i], NULL);
        vow_ignore(f[i]);
    }
    dump(on);
    assert_int_equal(times("queued: a"), 0);
}

VOW_CASE(dump_names_what_is_queued_in_a_manual_executor)
{
    vow_manual *m = vow_manual_new();
    vow_future *f[6];

    queue_all_sorts(vow_manual_executor(m), f);
    assert_all_sorts(vow_manual_executor(m), f);
    vow_manual_run(m);
    assert_int_equal(times("queued: a"), 0);
    vow_manual_unref(m);
}

enum { CROWD = 1000 };

VOW_CASE(dump_names_what_is_queued_in_a_pool_as_far_as_it_fits)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .spares = 1));
    vow_promise *p = vow_promise_new_with(&VOW_PROMISE_OPTIONS(.name = "an answer"));
    vow_future *answer = vow_promise_future(p);
    vow_future *waits[2], *f[6], *crowd[CROWD];

    for (int i = 0; i < 2; i++)
        waits[i] = vow_submit_with(
            pool, &VOW_SUBMIT_OPTIONS(.name = i == 0 ? "one" : "and its spare"), wait_for,
            vow_ptr(answer));
    while (strstr(dump(pool), "running: one") == NULL ||
           strstr(text, "running: and its spare") == NULL)
        sched_yield();
    queue_all_sorts(pool, f);
    assert_all_sorts(pool, f);
    for (int i = 0; i < CROWD; i++)
        crowd[i] = vow_submit_with(
            pool,
            &VOW_SUBMIT_OPTIONS(.name = "one of a crowd", .priority = i % 2 * VOW_LOW),
            wait_for, vow_ptr(answer));
    assert_int_equal(strlen(dump(pool)), 4095);
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
    for (int i = 0; i < CROWD; i++)
        vow_unref(crowd[i]);
    vow_unref(waits[0]);
    vow_unref(waits[1]);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
    vow_unref(answer);
}

static vow_result
no_work(void *ctx)
{
    (void)ctx;
    return vow_ok(VOW_NIL);
}

/* Its worker has taken some of them, and left the others where it found them. */
VOW_CASE(dump_of_what_a_worker_found_and_left_goes_as_far_as_it_fits)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .spares = 1));
    struct gate first, second = {.entered = 0};
    vow_future *f, *crowd[CROWD];

    shut(&first, pool);
    f = vow_submit(pool, wait_at_gate, vow_ptr(&second));
    for (int i = 0; i < CROWD; i++)
        crowd[i] = vow_submit_with(pool, &VOW_SUBMIT_OPTIONS(.name = "one of a crowd"),
                                   no_work, VOW_NIL);
    open_gate(&first);
    await_flag(&second.entered, 1);
    assert_int_equal(strlen(dump(pool)), 4095);
    assert_in_range(times("queued: one of a crowd\n"), 100, CROWD);
    atomic_store(&second.open, 1);
    for (int i = 0; i < CROWD; i++)
        vow_unref(crowd[i]);
    vow_unref(f);
    pool_free(pool);
}

VOW_CASE(dump_of_a_manual_executor_goes_as_far_as_it_fits)
{
    vow_manual *m = vow_manual_new();
    vow_future *crowd[CROWD];

    for (int i = 0; i < CROWD; i++)
        crowd[i] = vow_submit_with(vow_manual_executor(m),
                                   &VOW_SUBMIT_OPTIONS(.name = "one of a crowd"), no_work,
                                   VOW_NIL);
    assert_int_equal(strlen(dump(vow_manual_executor(m))), 4095);
    assert_int_equal(vow_manual_run(m), CROWD);
    for (int i = 0; i < CROWD; i++)
        vow_unref(crowd[i]);
    vow_manual_unref(m);
}

static vow_future *
named(vow_executor *on, const char *name)
{
    return vow_submit_with(on, &VOW_SUBMIT_OPTIONS(.name = name), no_work, VOW_NIL);
}

/* What a place begins with: a program that is all static knows no modules. */
static const char *
module(void)
{
    Dl_info info;

    return dladdr(text, &info) != 0 ? "test_dump" : "made at 0x";
}

VOW_CASE(dump_says_where_a_future_was_made)
{
    vow_manual *m = vow_manual_new();
    vow_future *f = named(vow_manual_executor(m), "a cake made at noon");
    vow_future *g = vow_submit(vow_manual_executor(m), no_work, VOW_NIL);
    const char *made = "queued: a future made at ";

    dump(vow_manual_executor(m));
    assert_non_null(strstr(text, "queued: a cake made at noon\n"));
    assert_non_null(strstr(text, made));
    assert_non_null(strstr(strstr(text, made), module()));
    vow_unref(f);
    vow_unref(g);
    vow_manual_unref(m);
}

VOW_CASE(dump_of_futures_without_a_name_goes_as_far_as_it_fits)
{
    vow_manual *m = vow_manual_new();
    vow_future *crowd[CROWD];
    int n;

    for (int i = 0; i < CROWD; i++)
        crowd[i] = vow_submit(vow_manual_executor(m), no_work, VOW_NIL);
    dump(vow_manual_executor(m));
    n = times("queued: a future made at ");
    assert_in_range(n, 100, CROWD - 1);
    assert_in_range(times(module()), n - 1, n); /* but for the last, perhaps */
    for (int i = 0; i < CROWD; i++)
        vow_unref(crowd[i]);
    vow_manual_unref(m);
}

static void
assert_does_not_fit(vow_executor *on, FILE *full)
{
    assert_int_equal(vow_executor_dump(on, full), ENOSPC);
    clearerr(full);
}

static void
look_at(vow_watch *w, unsigned events, void *ctx)
{
    (void)w;
    (void)events;
    (void)ctx;
}

/* A loop at which these wait, and a line for each. */
struct waited_at {
    vow_loop *loop;
    int ends[2];
    vow_future *f[3];
    vow_watch *watch;
};

static void
wait_at(struct waited_at *w)
{
    w->loop = vow_loop_new(NULL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, w->ends), 0);
    w->f[0] = vow_loop_ready(w->loop, w->ends[0], VOW_FD_READ | VOW_FD_PRIORITY);
    w->f[1] = vow_loop_ready(w->loop, w->ends[1], VOW_FD_READ);
    w->f[2] = vow_loop_signal(w->loop, SIGUSR1);
    w->watch = vow_watch_start(w->loop, w->ends[1], VOW_FD_WRITE, look_at, VOW_NIL);
    assert_non_null(w->watch);
}

static void
wait_no_more(struct waited_at *w)
{
    for (int i = 0; i < 3; i++) {
        vow_future_cancel(w->f[i], NULL);
        vow_ignore(w->f[i]);
    }
    vow_watch_stop(w->watch);
}

static bool
says(const char *before, int number)
{
    char line[80];

    snprintf(line, sizeof line, "%s%d\n", before, number);
    return times(line) == 1;
}

VOW_CASE(dump_of_a_loop_names_who_waits_at_it)
{
    struct waited_at w;

    wait_at(&w);
    dump(vow_loop_executor(w.loop));
    assert_int_equal(times("  waiting: "), 4);
    assert_int_equal(times("  waiting: a future made at "), 3);
    assert_true(says(", for input, urgent or not, from descriptor ", w.ends[0]));
    assert_true(says(", for input from descriptor ", w.ends[1]));
    assert_true(says("  waiting: a callback, for room in descriptor ", w.ends[1]));
    assert_true(says(", for signal ", SIGUSR1));
    wait_no_more(&w);
    dump(vow_loop_executor(w.loop));
    assert_int_equal(times("waiting"), 0);
    for (int i = 0; i < 2; i++)
        close(w.ends[i]);
    vow_loop_unref(w.loop);
}

VOW_CASE(dump_of_a_loop_goes_as_far_as_it_fits)
{
    vow_future *signals[CROWD], *ready[CROWD];
    struct waited_at w;

    wait_at(&w);
    for (int i = 0; i < CROWD; i++)
        signals[i] = vow_loop_signal(w.loop, SIGUSR2);
    dump(vow_loop_executor(w.loop));
    assert_int_equal(times("urgent"), 1);
    assert_in_range(times("for signal"), 30, CROWD - 1);
    for (int i = 0; i < CROWD; i++)
        ready[i] = vow_loop_ready(w.loop, w.ends[0], VOW_FD_READ);
    dump(vow_loop_executor(w.loop));
    assert_in_range(times("descriptor"), 30, CROWD - 1);
    assert_int_equal(times("for signal"), 0);
    for (int i = 0; i < CROWD; i++) {
        vow_ignore(signals[i]);
        vow_ignore(ready[i]);
    }
    wait_no_more(&w);
    for (int i = 0; i < 2; i++)
        close(w.ends[i]);
    vow_loop_unref(w.loop);
}

VOW_CASE(dump_that_cannot_be_written_says_so)
{
    vow_manual *m = vow_manual_new();
    FILE *full = fopen("/dev/full", "w");

    if (full != NULL) {
        setvbuf(full, NULL, _IONBF, 0);
        assert_does_not_fit(vow_manual_executor(m), full);
        vow_unref(vow_submit(vow_manual_executor(m), no_work, VOW_NIL));
        assert_does_not_fit(vow_manual_executor(m), full);
        fclose(full);
    }
    vow_manual_unref(m);
}

VOW_CASE(dump_of_inline_is_invalid)
{
    assert_int_equal(vow_executor_dump(NULL, stderr), VOW_E_INVALID);
    assert_int_equal(vow_executor_dump(vow_inline(), stderr), VOW_E_INVALID);
}

static int
refuse(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    return VOW_E_LIMIT;
}

VOW_CASE(dump_of_a_static_executor_says_that_it_is_open)
{
    static const vow_executor_ops ops = {.size = sizeof ops, .post = refuse};
    static vow_executor fixed = {.ops = &ops};

    assert_non_null(strstr(dump(&fixed), "executor ? at"));
    assert_non_null(strstr(text, ": open"));
}

/* Of a version before what is queued could be asked for. */
VOW_CASE(dump_of_an_older_executor_leaves_out_what_is_queued)
{
    static const vow_executor_ops ops = {
        .size = offsetof(vow_executor_ops, queued), .name = "older", .post = refuse};
    static vow_executor older = {.ops = &ops};

    assert_non_null(strstr(dump(&older), "executor older at"));
    assert_null(strstr(text, "queued"));
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(dump_names_what_runs_and_what_it_waits_for),
        vow_test(dump_leaves_out_what_does_not_fit_and_what_is_of_others),
        vow_test(dump_names_who_waits_for_a_callback),
        vow_test(dump_names_what_runs_inside_what),
        vow_test(dump_names_what_is_queued_in_a_manual_executor),
        vow_test(dump_names_what_is_queued_in_a_pool_as_far_as_it_fits),
        vow_test(dump_of_what_a_worker_found_and_left_goes_as_far_as_it_fits),
        vow_test(dump_of_a_manual_executor_goes_as_far_as_it_fits),
        vow_test(dump_says_where_a_future_was_made),
        vow_test(dump_of_futures_without_a_name_goes_as_far_as_it_fits),
        vow_test(dump_of_a_loop_names_who_waits_at_it),
        vow_test(dump_of_a_loop_goes_as_far_as_it_fits),
        vow_test(dump_that_cannot_be_written_says_so),
        vow_test(dump_of_inline_is_invalid),
        vow_test(dump_of_a_static_executor_says_that_it_is_open),
        vow_test(dump_of_an_older_executor_leaves_out_what_is_queued),
    };

    return vow_test_run(cases);
}
