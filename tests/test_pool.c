/* SPDX-License-Identifier: MIT */
/*
 * The pool: how it starts and stops, what it refuses, waiting inside it, order and
 * fairness, and tasks that leave in a way they should not.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/drops.h"

static vow_executor *
pool_new(unsigned threads)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = threads));

    assert_non_null(pool);
    return pool;
}

/* Drains, joins and lets go. */
static void
pool_free(vow_executor *pool)
{
    vow_future *closed = vow_executor_close(pool, VOW_DRAIN);

    assert_int_equal(vow_executor_join(pool), 0);
    assert_int_equal(code_of(closed), 0);
    vow_unref(closed);
    vow_executor_unref(pool);
}

static vow_result
give_seven(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(7));
}

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

/* A task that tells that it runs and goes on when it is let. */
struct gate {
    atomic_int entered;
    atomic_int open;
};

static vow_result
wait_at_gate(void *ctx)
{
    struct gate *g = ctx;

    atomic_fetch_add(&g->entered, 1);
    await_flag(&g->open, 1);
    return vow_ok(vow_i64(1));
}

/* Occupies a pool's only worker until the gate is opened. */
static vow_future *
occupy(vow_executor *pool, struct gate *g)
{
    vow_future *f = vow_submit(pool, wait_at_gate, vow_ptr(g));

    await_flag(&g->entered, 1);
    return f;
}

static vow_result
count_task(void *ctx)
{
    atomic_int *count = ctx;

    atomic_fetch_add(count, 1);
    return vow_ok(VOW_NIL);
}

/* Starting. */

VOW_CASE(pool_has_as_many_threads_as_it_was_told)
{
    vow_executor *one = pool_new(1);
    vow_executor *three = pool_new(3);
    vow_executor *usual = vow_pool_new(NULL);

    assert_int_equal(vow_pool_threads(one), 1);
    assert_int_equal(vow_pool_threads(three), 3);
    assert_int_equal(vow_pool_threads(usual), vow_cpu_count());
    assert_true(vow_cpu_count() >= 1);
    pool_free(one);
    pool_free(three);
    pool_free(usual);
}

VOW_CASE(pool_questions_to_another_executor_are_answered)
{
    vow_manual *m = vow_manual_new();
    vow_pool_stats stats = {.size = sizeof stats};

    assert_int_equal(vow_pool_threads(vow_manual_executor(m)), 0);
    assert_int_equal(vow_pool_threads(vow_inline()), 0);
    assert_int_equal(vow_pool_threads(NULL), 0);
    assert_int_equal(vow_pool_read_stats(vow_manual_executor(m), &stats), VOW_E_INVALID);
    assert_int_equal(vow_pool_read_stats(NULL, &stats), VOW_E_INVALID);
    vow_manual_unref(m);
}

VOW_CASE(pool_with_an_impossible_stack_is_invalid_or_gets_more)
{
    vow_executor *pool;

    errno = 0;
    pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .stack_size = 1));
    if (pool == NULL)
        assert_int_equal(errno, EINVAL);
    else
        pool_free(pool);
}

static vow_result
thread_name(void *ctx)
{
    return vow_ok(vow_i64(pthread_getname_np(pthread_self(), ctx, 16)));
}

static void
check_name(const vow_pool_options *opt, const char *expected)
{
    char name[16] = "";
    vow_executor *pool = vow_pool_new(opt);
    vow_future *f = vow_submit(pool, thread_name, vow_ptr(name));

    assert_int_equal(vow_get(f).value.as.i64, 0);
    assert_string_equal(name, expected);
    vow_unref(f);
    pool_free(pool);
}

VOW_CASE(pool_threads_have_names)
{
    check_name(&VOW_POOL_OPTIONS(.threads = 1, .name = "cook"), "cook/0");
    check_name(&VOW_POOL_OPTIONS(.threads = 1), "vow/0");
}

static vow_result
blocked_signals(void *ctx)
{
    return vow_ok(vow_i64(pthread_sigmask(SIG_SETMASK, NULL, ctx)));
}

VOW_CASE(pool_threads_block_all_but_the_synchronous_signals)
{
    static const int blocked[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCHLD, SIGALRM};
    static const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    sigset_t set;
    vow_executor *pool = pool_new(1);
    vow_future *f = vow_submit(pool, blocked_signals, vow_ptr(&set));

    assert_int_equal(vow_get(f).value.as.i64, 0);
    for (size_t i = 0; i < sizeof blocked / sizeof blocked[0]; i++)
        assert_int_equal(sigismember(&set, blocked[i]), 1);
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
        assert_int_equal(sigismember(&set, open[i]), 0);
    vow_unref(f);
    pool_free(pool);
}

VOW_CASE(pool_leaves_the_signal_mask_of_its_maker_alone)
{
    sigset_t before;
    sigset_t after;

    pthread_sigmask(SIG_SETMASK, NULL, &before);
    pool_free(pool_new(2));
    pthread_sigmask(SIG_SETMASK, NULL, &after);

    assert_int_equal(sigismember(&after, SIGUSR1), sigismember(&before, SIGUSR1));
    assert_int_equal(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
}

static vow_result
cancel_state(void *ctx)
{
    int old = -1;

    (void)ctx;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    return vow_ok(vow_i64(old));
}

VOW_CASE(pool_threads_cannot_be_cancelled)
{
    vow_executor *pool = pool_new(1);
    vow_future *f = vow_submit(pool, cancel_state, VOW_NIL);

    assert_int_equal(vow_get(f).value.as.i64, PTHREAD_CANCEL_DISABLE);
    vow_unref(f);
    pool_free(pool);
}

static vow_result
stack_size(void *ctx)
{
    pthread_attr_t attr;
    size_t size = 0;

    (void)ctx;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        pthread_attr_getstacksize(&attr, &size);
        pthread_attr_destroy(&attr);
    }
    return vow_ok(vow_u64(size));
}

VOW_CASE(pool_threads_have_the_stack_they_were_told)
{
    enum { SIZE = 512 * 1024 };
    vow_executor *pool =
        vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .stack_size = SIZE));
    vow_future *f = vow_submit(pool, stack_size, VOW_NIL);

    assert_in_range(vow_get(f).value.as.u64, SIZE, 2 * SIZE);
    vow_unref(f);
    pool_free(pool);
}

VOW_CASE(default_pool_is_made_once)
{
    vow_executor *pool = vow_default_pool();
    vow_future *f = vow_submit(pool, give_seven, VOW_NIL);

    assert_non_null(pool);
    assert_ptr_equal(vow_default_pool(), pool);
    assert_int_equal(vow_pool_threads(pool), vow_cpu_count());
    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
}

/* Stopping. */

VOW_CASE(close_drains_what_is_queued_and_then_settles)
{
    enum { TASKS = 100 };
    atomic_int count = 0;
    struct gate g = {0};
    vow_executor *pool = pool_new(1);
    vow_future *busy = occupy(pool, &g);
    vow_future *closed;

    for (int i = 0; i < TASKS; i++)
        vow_unref(vow_submit(pool, count_task, vow_ptr(&count)));
    closed = vow_executor_close(pool, VOW_DRAIN);
    assert_int_equal(vow_future_status(closed), VOW_PENDING);
    assert_int_equal(count, 0);
    atomic_store(&g.open, 1);
    assert_int_equal(code_of(closed), 0);

    assert_int_equal(count, TASKS);
    assert_int_equal(vow_executor_join(pool), 0);
    vow_unref(busy);
    vow_unref(closed);
    vow_executor_unref(pool);
}

VOW_CASE(close_refuses_work_from_outside_at_once)
{
    struct drop ctx = {0};
    struct gate g = {0};
    vow_executor *pool = pool_new(1);
    vow_future *busy = occupy(pool, &g);
    vow_future *closed = vow_executor_close(pool, VOW_DRAIN);
    vow_future *f = vow_submit(pool, count_task, drop_value(&ctx));

    assert_int_equal(code_of(f), VOW_E_CLOSED);
    assert_int_equal(drop_count(&ctx), 1);
    atomic_store(&g.open, 1);
    assert_int_equal(vow_get(busy).value.as.i64, 1);
    vow_unref(f);
    vow_unref(busy);
    vow_unref(closed);
    pool_free(pool);
}

/* A task that submits another one once the pool is closed. */
struct late {
    struct gate gate;
    vow_executor *pool;
    vow_future *inner;
};

static vow_result
submit_when_open(void *ctx)
{
    struct late *l = ctx;

    vow_result_drop(wait_at_gate(&l->gate));
    l->inner = vow_submit(l->pool, give_seven, VOW_NIL);
    return vow_ok(VOW_NIL);
}

VOW_CASE(close_draining_accepts_what_running_tasks_submit)
{
    struct late l = {.pool = pool_new(2)};
    vow_future *f = vow_submit(l.pool, submit_when_open, vow_ptr(&l));
    vow_future *closed;

    await_flag(&l.gate.entered, 1);
    closed = vow_executor_close(l.pool, VOW_DRAIN);
    atomic_store(&l.gate.open, 1);
    assert_int_equal(code_of(closed), 0);

    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_int_equal(vow_peek(l.inner).value.as.i64, 7);
    vow_unref(l.inner);
    vow_unref(f);
    vow_unref(closed);
    pool_free(l.pool);
}

enum { QUEUED = 50 };

VOW_CASE(close_cancelling_settles_what_is_queued_with_closed)
{
    struct drop ctx[QUEUED] = {0};
    vow_future *f[QUEUED];
    struct gate g = {0};
    vow_executor *pool = pool_new(1);
    vow_future *busy = occupy(pool, &g);
    vow_future *closed;

    for (int i = 0; i < QUEUED; i++)
        f[i] = vow_submit(pool, count_task, drop_value(&ctx[i]));
    closed = vow_executor_close(pool, VOW_CANCEL_QUEUED);
    for (int i = 0; i < QUEUED; i++) {
        assert_int_equal(vow_future_status(f[i]), VOW_REJECTED);
        assert_int_equal(code_of(f[i]), VOW_E_CLOSED);
        assert_int_equal(drop_count(&ctx[i]), 1);
        assert_true(pthread_equal(ctx[i].thread, pthread_self()));
        vow_unref(f[i]);
    }
    assert_int_equal(vow_future_status(closed), VOW_PENDING);
    atomic_store(&g.open, 1);

    assert_int_equal(code_of(closed), 0);
    assert_int_equal(vow_get(busy).value.as.i64, 1);
    vow_unref(busy);
    vow_unref(closed);
    pool_free(pool);
}

VOW_CASE(close_twice_escalates_and_both_futures_settle)
{
    struct drop ctx = {0};
    struct gate g = {0};
    vow_executor *pool = pool_new(1);
    vow_future *busy = occupy(pool, &g);
    vow_future *f = vow_submit(pool, count_task, drop_value(&ctx));
    vow_future *drained = vow_executor_close(pool, VOW_DRAIN);
    vow_future *cancelled;

    assert_int_equal(vow_future_status(f), VOW_PENDING);
    cancelled = vow_executor_close(pool, VOW_CANCEL_QUEUED);
    assert_int_equal(code_of(f), VOW_E_CLOSED);
    assert_int_equal(drop_count(&ctx), 1);
    atomic_store(&g.open, 1);

    assert_int_equal(code_of(drained), 0);
    assert_int_equal(code_of(cancelled), 0);
    vow_unref(busy);
    vow_unref(f);
    vow_unref(drained);
    vow_unref(cancelled);
    pool_free(pool);
}

VOW_CASE(close_with_a_weaker_mode_does_not_bring_work_back)
{
    struct gate g = {0};
    vow_executor *pool = pool_new(1);
    vow_future *busy = occupy(pool, &g);
    vow_future *f = vow_submit(pool, give_seven, VOW_NIL);

    vow_unref(vow_executor_close(pool, VOW_CANCEL_QUEUED));
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(code_of(f), VOW_E_CLOSED);
    atomic_store(&g.open, 1);

    vow_unref(busy);
    vow_unref(f);
    pool_free(pool);
}

static vow_result
close_and_join(void *pool)
{
    vow_future *closed = vow_executor_close(pool, VOW_DRAIN);
    int64_t joined = vow_executor_join(pool);
    int64_t waited = vow_error_code(vow_get(closed).error);

    vow_unref(closed);
    return vow_ok(vow_i64(joined * 10000 + waited));
}

VOW_CASE(close_from_a_worker_works_and_waiting_there_is_a_deadlock)
{
    vow_executor *pool = pool_new(2);
    vow_future *f = vow_submit(pool, close_and_join, vow_ptr(pool));

    assert_int_equal(vow_get(f).value.as.i64,
                     (int64_t)VOW_E_DEADLOCK * 10000 + VOW_E_DEADLOCK);
    vow_unref(f);
    pool_free(pool);
}

VOW_CASE(join_before_close_is_invalid)
{
    vow_executor *pool = pool_new(1);

    assert_int_equal(vow_executor_join(pool), VOW_E_INVALID);
    pool_free(pool);
}

VOW_CASE(join_twice_returns_both_times)
{
    vow_executor *pool = pool_new(2);

    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
}

static void *
join_thread(void *pool)
{
    return (void *)(intptr_t)vow_executor_join(pool);
}

VOW_CASE(join_from_two_threads_returns_in_both)
{
    struct gate g = {0};
    vow_executor *pool = pool_new(1);
    vow_future *busy = occupy(pool, &g);
    pthread_t thread;
    void *code = &code;

    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(pthread_create(&thread, NULL, join_thread, pool), 0);
    atomic_store(&g.open, 1);
    assert_int_equal(vow_executor_join(pool), 0);
    pthread_join(thread, &code);

    assert_null(code);
    vow_unref(busy);
    vow_executor_unref(pool);
}

/* How many threads the process has. */
static int
threads_now(void)
{
    char line[128];
    int threads = -1;
    FILE *f = fopen("/proc/self/status", "r");

    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "Threads: %d", &threads) == 1)
            break;
    fclose(f);
    return threads;
}

/* How many of them are there to stay: what a sanitizer starts with the first of others. */
static int threads_that_stay;

static void *
tell_id(void *id)
{
    *(long *)id = syscall(SYS_gettid);
    return NULL;
}

/* A thread that was joined is listed for a moment longer. */
static void
await_no_task(long id)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/self/task/%ld", id);
    while (access(path, F_OK) == 0)
        sched_yield();
}

/* While there is no pool. */
static void
count_threads_that_stay(void)
{
    pthread_t first;
    long id = 0;

    assert_int_equal(pthread_create(&first, NULL, tell_id, &id), 0);
    assert_int_equal(pthread_join(first, NULL), 0);
    await_no_task(id);
    threads_that_stay = threads_now();
}

/* All threads of pools go: at once when they are joined, but for a moment in which they
 * are still counted, else a little later. */
static void
await_no_threads(void)
{
    while (threads_now() > threads_that_stay)
        sched_yield();
}

static vow_result
join_in_step(vow_value in, void *pool)
{
    (void)in;
    return vow_ok(vow_i64(vow_executor_join(pool)));
}

/* It runs on the pool's last thread, which another one joins meanwhile. */
VOW_CASE(join_in_an_inline_step_on_the_close_future_is_a_deadlock)
{
    vow_executor *pool = pool_new(1);
    struct gate g = {0, 0};
    vow_future *f = occupy(pool, &g);
    vow_future *step =
        vow_then(vow_executor_close(pool, VOW_DRAIN), NULL, join_in_step, vow_ptr(pool));
    pthread_t thread;
    void *code;

    assert_int_equal(pthread_create(&thread, NULL, join_thread, pool), 0);
    atomic_store(&g.open, 1);
    assert_int_equal(vow_get(step).value.as.i64, VOW_E_DEADLOCK);
    pthread_join(thread, &code);
    assert_int_equal((intptr_t)code, 0);
    assert_int_equal(vow_executor_join(pool), 0);
    vow_unref(step);
    vow_unref(f);
    vow_executor_unref(pool);
}

VOW_CASE(unref_without_close_drains)
{
    enum { TASKS = 20 };
    atomic_int count = 0;
    vow_executor *pool = pool_new(2);
    vow_future *last = NULL;

    for (int i = 0; i < TASKS; i++) {
        vow_unref(last);
        last = vow_submit(pool, count_task, vow_ptr(&count));
    }
    vow_executor_unref(pool);
    await_flag(&count, TASKS);

    assert_int_equal(code_of(last), 0);
    vow_unref(last);
    await_no_threads();
}

static vow_result
unref_pool(void *pool)
{
    vow_executor_unref(pool);
    return vow_ok(vow_i64(3));
}

VOW_CASE(unref_of_the_last_from_an_own_worker_frees_all)
{
    vow_executor *pool = pool_new(2);
    vow_future *f = vow_submit(pool, unref_pool, vow_ptr(pool));

    assert_int_equal(vow_get(f).value.as.i64, 3);
    vow_unref(f);

    await_no_threads();
}

VOW_CASE(step_that_names_a_closed_pool_is_closed)
{
    struct drop ctx = {0};
    vow_executor *pool = pool_new(1);
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_finally(vow_promise_future(p), pool, drop_it, drop_value(&ctx));

    pool_free(pool);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_promise_fulfill(p, VOW_NIL);

    assert_int_equal(code_of(f), VOW_E_CLOSED);
    assert_int_equal(drop_count(&ctx), 1);
    vow_unref(f);
    vow_promise_unref(p);
}

VOW_CASE(start_and_stop_leaves_no_thread)
{
    for (int i = 0; i < 50; i++) {
        vow_executor *pool = pool_new(1 + (unsigned)i % 3);
        vow_future *f = i % 2 == 0 ? vow_submit(pool, give_seven, VOW_NIL) : NULL;

        pool_free(pool);
        if (f != NULL)
            assert_int_equal(vow_peek(f).value.as.i64, 7);
        vow_ignore(f);
    }

    await_no_threads();
}

/* Leaving a task the wrong way. */

static vow_result
exit_thread(void *ctx)
{
    (void)ctx;
    pthread_exit(NULL);
}

VOW_CASE(task_that_exits_its_thread_is_broken_and_the_pool_stays_whole)
{
    enum { EXITS = 6 };
    struct gate g = {0};
    vow_executor *pool = pool_new(2);
    vow_future *busy[2];

    for (int i = 0; i < EXITS; i++) {
        vow_future *f = vow_submit(pool, exit_thread, VOW_NIL);

        assert_int_equal(code_of(f), VOW_E_BROKEN);
        vow_unref(f);
    }
    for (int i = 0; i < 2; i++)
        busy[i] = vow_submit(pool, wait_at_gate, vow_ptr(&g));
    await_flag(&g.entered, 2); /* both at once: two workers are there */
    atomic_store(&g.open, 1);

    for (int i = 0; i < 2; i++) {
        assert_int_equal(vow_get(busy[i]).value.as.i64, 1);
        vow_unref(busy[i]);
    }
    assert_int_equal(vow_pool_threads(pool), 2);
    pool_free(pool);
}

static vow_result
exit_thread_then(vow_value in, void *ctx)
{
    (void)in;
    return exit_thread(ctx);
}

VOW_CASE(step_that_exits_its_thread_is_broken)
{
    vow_executor *pool = pool_new(1);
    vow_future *f = vow_then(vow_resolved(VOW_NIL), pool, exit_thread_then, VOW_NIL);
    vow_future *g = vow_submit(pool, give_seven, VOW_NIL);

    assert_int_equal(code_of(f), VOW_E_BROKEN);
    assert_int_equal(vow_get(g).value.as.i64, 7);
    vow_unref(f);
    vow_unref(g);
    pool_free(pool);
}

VOW_CASE(task_that_exits_its_thread_drops_its_context_once)
{
    struct drop ctx = {0};
    vow_executor *pool = pool_new(1);
    vow_future *f = vow_submit(pool, exit_thread, drop_value(&ctx));

    assert_int_equal(code_of(f), VOW_E_BROKEN);
    pool_free(pool);
    assert_int_equal(drop_count(&ctx), 1);
    vow_unref(f);
}

/* The worker waits for the task and runs it itself: both end with its thread. */
struct nested_exit {
    vow_executor *pool;
    struct drop ctx;
    vow_future *inner; /* freed by the test: its task never returns */
};

static vow_result
wait_for_exit(void *ctx)
{
    struct nested_exit *n = ctx;

    n->inner = vow_submit(n->pool, exit_thread, drop_value(&n->ctx));
    return vow_ok(vow_get(n->inner).value);
}

VOW_CASE(task_that_exits_inside_the_wait_of_another_breaks_both)
{
    struct nested_exit n = {.pool = pool_new(1)};
    struct drop outer = {0};
    vow_future *f = vow_submit(n.pool, wait_for_exit, vow_ptr(&n));
    vow_future *g = vow_submit(n.pool, exit_thread, drop_value(&outer));

    assert_int_equal(code_of(f), VOW_E_BROKEN);
    assert_int_equal(code_of(g), VOW_E_BROKEN);
    assert_int_equal(code_of(n.inner), VOW_E_BROKEN);
    vow_unref(n.inner);
    vow_unref(f);
    vow_unref(g);
    pool_free(n.pool);
    assert_int_equal(drop_count(&n.ctx), 1);
    assert_int_equal(drop_count(&outer), 1);
}

static vow_result
settle_and_exit(void *promise)
{
    vow_promise_fulfill(promise, vow_i64(1));
    return exit_thread(NULL);
}

VOW_CASE(steps_settled_by_a_task_that_exits_run_all_the_same)
{
    vow_executor *pool = pool_new(1);
    vow_promise *p = vow_promise_new();
    vow_future *inline_step = vow_then(vow_promise_future(p), NULL, add_one, VOW_NIL);
    vow_future *posted_step = vow_then(vow_promise_future(p), pool, add_one, VOW_NIL);
    vow_future *f = vow_submit(pool, settle_and_exit, vow_ptr(p));

    assert_int_equal(code_of(f), VOW_E_BROKEN);
    assert_true(vow_wait(inline_step, vow_seconds(300)));
    assert_true(vow_wait(posted_step, vow_seconds(300)));
    assert_int_equal(vow_get(inline_step).value.as.i64, 2);
    assert_int_equal(vow_get(posted_step).value.as.i64, 2);
    vow_unref(f);
    vow_unref(inline_step);
    vow_unref(posted_step);
    vow_promise_unref(p);
    pool_free(pool);
}

/* Waiting inside. */

struct fib {
    vow_executor *pool;
    int n;
};

static vow_result
fib(void *ctx)
{
    struct fib *self = ctx;
    struct fib left = {self->pool, self->n - 1};
    vow_future *f;
    struct fib right = {self->pool, self->n - 2};
    vow_result other;
    int64_t sum;

    if (self->n < 2)
        return vow_ok(vow_i64(self->n));
    f = vow_submit(self->pool, fib, vow_ptr(&left));
    other = fib(&right);
    sum = vow_get(f).value.as.i64 + other.value.as.i64;
    vow_unref(f);
    return vow_ok(vow_i64(sum));
}

static void
check_fib(unsigned threads)
{
    struct fib root = {pool_new(threads), 16};
    vow_future *f = vow_submit(root.pool, fib, vow_ptr(&root));

    assert_int_equal(vow_get(f).value.as.i64, 987);
    vow_unref(f);
    pool_free(root.pool);
}

VOW_CASE(fib_by_waiting_inside_ends_on_one_worker)
{
    check_fib(1);
}

VOW_CASE(fib_by_waiting_inside_ends_on_two_workers)
{
    check_fib(2);
}

VOW_CASE(wait_of_one_worker_helps_itself)
{
    struct fib root = {pool_new(1), 12};
    vow_pool_stats stats = {.size = sizeof stats};
    vow_future *f = vow_submit(root.pool, fib, vow_ptr(&root));

    assert_int_equal(vow_get(f).value.as.i64, 144);
    vow_unref(f);
    vow_unref(vow_executor_close(root.pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(root.pool), 0);
    assert_int_equal(vow_pool_read_stats(root.pool, &stats), 0);

    assert_true(stats.helped > 0);
    assert_true(stats.tasks >= stats.helped);
    assert_int_equal(stats.steals, 0);
    vow_executor_unref(root.pool);
}

/* A task that waits for another one, both given in a slot. */
struct waiter {
    atomic_int entered;
    _Atomic(vow_future *) awaited;
};

static vow_result
wait_for_slot(void *ctx)
{
    struct waiter *w = ctx;
    vow_future *f;
    const vow_error *e;

    atomic_fetch_add(&w->entered, 1);
    while ((f = atomic_load(&w->awaited)) == NULL)
        sched_yield();
    e = vow_get(f).error;
    return e != NULL ? vow_err(vow_error_ref(e)) : vow_ok(vow_i64(1));
}

/* Both workers wait for tasks that are queued behind them, from outside. */
VOW_CASE(wait_of_all_workers_for_tasks_queued_behind_them_ends)
{
    struct waiter w[2] = {0};
    vow_executor *pool = pool_new(2);
    vow_future *waiting[2];
    vow_future *behind[2];

    for (int i = 0; i < 2; i++)
        waiting[i] = vow_submit(pool, wait_for_slot, vow_ptr(&w[i]));
    for (int i = 0; i < 2; i++)
        await_flag(&w[i].entered, 1);
    for (int i = 0; i < 2; i++) {
        behind[i] = vow_submit(pool, give_seven, VOW_NIL);
        atomic_store(&w[i].awaited, behind[i]);
    }

    for (int i = 0; i < 2; i++) {
        assert_int_equal(vow_get(waiting[i]).value.as.i64, 1);
        assert_int_equal(vow_get(behind[i]).value.as.i64, 7);
        vow_unref(waiting[i]);
        vow_unref(behind[i]);
    }
    pool_free(pool);
}

/* What is awaited is a step on the same pool whose source is a task behind it. */
VOW_CASE(wait_of_a_worker_for_a_chain_behind_it_ends)
{
    struct waiter w = {0};
    vow_executor *pool = pool_new(1);
    vow_future *f = vow_submit(pool, wait_for_slot, vow_ptr(&w));
    vow_future *chain;

    await_flag(&w.entered, 1);
    chain = vow_submit(pool, give_seven, VOW_NIL);
    for (int i = 0; i < 10; i++)
        chain = vow_then(chain, pool, add_one, VOW_NIL);
    atomic_store(&w.awaited, chain);

    assert_int_equal(vow_get(f).value.as.i64, 1);
    assert_int_equal(vow_get(chain).value.as.i64, 17);
    vow_unref(f);
    vow_unref(chain);
    pool_free(pool);
}

VOW_CASE(wait_of_a_worker_for_somebody_outside_lets_others_run)
{
    struct waiter w = {0};
    vow_executor *pool = pool_new(1);
    vow_promise *p = vow_promise_new();
    vow_future *outside = vow_promise_future(p);
    vow_future *f = vow_submit(pool, wait_for_slot, vow_ptr(&w));
    vow_future *other;
    vow_pool_stats stats = {.size = sizeof stats};

    atomic_store(&w.awaited, outside);
    await_flag(&w.entered, 1);
    other = vow_submit(pool, give_seven, VOW_NIL);
    assert_int_equal(vow_get(other).value.as.i64, 7);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_promise_fulfill(p, VOW_NIL);

    assert_int_equal(vow_get(f).value.as.i64, 1);
    /* counted by whoever started it, and that one has gone on */
    assert_int_equal(vow_pool_read_stats(pool, &stats), 0);
    assert_true(stats.spares >= 1);
    vow_unref(f);
    vow_unref(other);
    vow_unref(outside);
    vow_promise_unref(p);
    pool_free(pool);
}

/* A task that waits for one on the other pool, and so on down. */
struct ping {
    vow_executor *here;
    vow_executor *there;
    int depth;
};

static vow_result
ping(void *ctx)
{
    struct ping *self = ctx;
    struct ping next = {self->there, self->here, self->depth - 1};
    vow_future *f;
    int64_t seen;

    if (self->depth == 0)
        return vow_ok(vow_i64(0));
    f = vow_submit(self->there, ping, vow_ptr(&next));
    seen = vow_get(f).value.as.i64;
    vow_unref(f);
    return vow_ok(vow_i64(seen + 1));
}

VOW_CASE(wait_of_two_pools_for_each_other_ends)
{
    struct ping a = {pool_new(1), pool_new(1), 20};
    struct ping b = {a.there, a.here, 20};
    vow_future *f = vow_submit(a.here, ping, vow_ptr(&a));
    vow_future *g = vow_submit(b.here, ping, vow_ptr(&b));

    assert_int_equal(vow_get(f).value.as.i64, 20);
    assert_int_equal(vow_get(g).value.as.i64, 20);
    vow_unref(f);
    vow_unref(g);
    pool_free(a.here);
    pool_free(a.there);
}

VOW_CASE(wait_of_a_task_for_itself_is_a_deadlock)
{
    struct waiter w = {0};
    vow_executor *pool = pool_new(2);
    vow_future *f = vow_submit(pool, wait_for_slot, vow_ptr(&w));

    atomic_store(&w.awaited, f);

    assert_int_equal(code_of(f), VOW_E_DEADLOCK);
    vow_unref(f);
    pool_free(pool);
}

static void
check_mutual_wait(vow_executor *one, vow_executor *two)
{
    struct waiter w[2] = {0};
    vow_future *f = vow_submit(one, wait_for_slot, vow_ptr(&w[0]));
    vow_future *g = vow_submit(two, wait_for_slot, vow_ptr(&w[1]));

    atomic_store(&w[0].awaited, g);
    atomic_store(&w[1].awaited, f);

    assert_int_equal(code_of(f), VOW_E_DEADLOCK);
    assert_int_equal(code_of(g), VOW_E_DEADLOCK);
    assert_ptr_equal(vow_get(f).error, vow_get(g).error);
    vow_unref(f);
    vow_unref(g);
}

/* One of them gets the error; it fails with it, and so does the other. */
VOW_CASE(wait_of_two_tasks_for_each_other_is_a_deadlock)
{
    vow_executor *pool = pool_new(2);
    vow_executor *single = pool_new(1);

    for (int i = 0; i < 20; i++) {
        check_mutual_wait(pool, pool);
        check_mutual_wait(single, single);
    }
    pool_free(pool);
    pool_free(single);
}

VOW_CASE(wait_of_two_tasks_on_two_pools_for_each_other_is_a_deadlock)
{
    vow_executor *one = pool_new(1);
    vow_executor *two = pool_new(1);

    for (int i = 0; i < 20; i++)
        check_mutual_wait(one, two);
    pool_free(one);
    pool_free(two);
}

/* A combinator over what waits for it is one as well. */
VOW_CASE(wait_of_a_task_for_a_join_of_itself_and_others_is_a_deadlock)
{
    vow_executor *pool = pool_new(2);

    for (int i = 0; i < 2; i++) {
        struct waiter w = {0};
        vow_future *f = vow_submit(pool, wait_for_slot, vow_ptr(&w));
        vow_future *both[] = {vow_resolved(VOW_NIL), vow_ref(f)};
        vow_future *join = i == 0 ? vow_when_all(both, 2) : vow_any(both + 1, 1);

        if (i != 0)
            vow_unref(both[0]);
        atomic_store(&w.awaited, join);
        assert_int_equal(code_of(f), VOW_E_DEADLOCK);
        assert_true(vow_wait(join, VOW_FOREVER));
        vow_ignore(join);
        vow_unref(f);
    }
    pool_free(pool);
}

/* Two tasks, each of which waits for a join that has the other one. */
VOW_CASE(wait_of_two_tasks_for_joins_of_each_other_is_a_deadlock)
{
    vow_executor *pool = pool_new(2);

    for (int i = 0; i < 20; i++) {
        struct waiter w[2] = {0};
        vow_future *f = vow_submit(pool, wait_for_slot, vow_ptr(&w[0]));
        vow_future *g = vow_submit(pool, wait_for_slot, vow_ptr(&w[1]));
        vow_future *all[] = {vow_when_all(VOW_FUTURES(vow_ref(f))),
                             vow_when_all(VOW_FUTURES(vow_ref(g)))};

        atomic_store(&w[0].awaited, all[1]);
        atomic_store(&w[1].awaited, all[0]);
        assert_int_equal(code_of(f), VOW_E_DEADLOCK);
        assert_int_equal(code_of(g), VOW_E_DEADLOCK);
        vow_unref(f);
        vow_unref(g);
        vow_ignore(all[0]);
        vow_ignore(all[1]);
    }
    pool_free(pool);
}

/* Awaiting a step on one's own result closes a ring as well. */
VOW_CASE(wait_of_a_task_for_a_step_on_itself_is_a_deadlock)
{
    struct waiter w = {0};
    vow_executor *pool = pool_new(2);
    vow_future *f = vow_submit(pool, wait_for_slot, vow_ptr(&w));
    vow_future *g = vow_then(vow_ref(f), pool, add_one, VOW_NIL);

    atomic_store(&w.awaited, g);

    assert_int_equal(code_of(f), VOW_E_DEADLOCK);
    assert_int_equal(code_of(g), VOW_E_DEADLOCK);
    vow_unref(f);
    vow_unref(g);
    pool_free(pool);
}

struct timed {
    vow_future *awaited;
    int64_t waited;
};

static vow_result
wait_timed(void *ctx)
{
    struct timed *t = ctx;
    vow_ns start = vow_clock_now(NULL);
    bool settled = vow_wait(t->awaited, vow_ms(3));

    t->waited = vow_clock_now(NULL) - start;
    return vow_ok(vow_i64(settled));
}

VOW_CASE(wait_with_a_timeout_on_a_worker_times_out)
{
    vow_executor *pool = pool_new(1);
    vow_promise *p = vow_promise_new();
    struct timed t = {.awaited = vow_promise_future(p)};
    vow_future *f = vow_submit(pool, wait_timed, vow_ptr(&t));

    assert_int_equal(vow_get(f).value.as.i64, 0);
    assert_true(t.waited >= vow_ms(3));
    vow_promise_fulfill(p, VOW_NIL);
    vow_unref(f);
    vow_unref(t.awaited);
    vow_promise_unref(p);
    pool_free(pool);
}

/* Order and fairness. */

struct letter {
    struct journal *journal;
    char mark;
};

static vow_result
write_letter(void *ctx)
{
    struct letter *l = ctx;

    journal_add(l->journal, l->mark);
    return vow_ok(VOW_NIL);
}

enum { LETTERS = 5 };

struct five {
    vow_executor *pool;
    struct letter letters[LETTERS];
};

static vow_result
submit_five(void *ctx)
{
    struct five *s = ctx;

    for (int i = 0; i < LETTERS; i++)
        vow_unref(vow_submit(s->pool, write_letter, vow_ptr(&s->letters[i])));
    return vow_ok(VOW_NIL);
}

static void
five_letters(struct five *s, struct journal *j)
{
    for (int i = 0; i < LETTERS; i++)
        s->letters[i] = (struct letter){j, (char)('a' + i)};
}

VOW_CASE(tasks_from_outside_run_in_order_on_one_worker)
{
    struct journal j = {0};
    struct gate g = {0};
    struct five s = {.pool = pool_new(1)};
    vow_future *busy = occupy(s.pool, &g);

    five_letters(&s, &j);
    vow_result_drop(submit_five(&s));
    atomic_store(&g.open, 1);
    vow_unref(busy);
    pool_free(s.pool);

    assert_string_equal(j.text, "abcde");
}

VOW_CASE(tasks_of_one_worker_run_oldest_first)
{
    struct journal j = {0};
    struct five s = {.pool = pool_new(1)};

    five_letters(&s, &j);
    vow_unref(vow_submit(s.pool, submit_five, vow_ptr(&s)));
    pool_free(s.pool);

    assert_string_equal(j.text, "abcde");
}

/* A task that submits itself again and again until it is told to end. */
struct feeder {
    vow_executor *pool;
    atomic_int stop;
    atomic_int turns;
    atomic_int running;
};

static vow_result
feed(void *ctx)
{
    struct feeder *f = ctx;

    atomic_fetch_add(&f->turns, 1);
    if (atomic_load(&f->stop) == 0)
        vow_unref(vow_submit(f->pool, feed, vow_ptr(f)));
    else
        atomic_fetch_sub(&f->running, 1);
    return vow_ok(VOW_NIL);
}

VOW_CASE(task_that_feeds_itself_does_not_starve_the_others)
{
    struct feeder f = {.pool = pool_new(1), .running = 3};

    for (int i = 0; i < 3; i++)
        vow_unref(vow_submit(f.pool, feed, vow_ptr(&f)));
    await_flag(&f.turns, 100);
    for (int i = 0; i < 20; i++) {
        vow_future *other = vow_submit(f.pool, give_seven, VOW_NIL);

        assert_int_equal(vow_get(other).value.as.i64, 7);
        vow_unref(other);
    }
    assert_int_equal(f.running, 3);
    atomic_store(&f.stop, 1);
    pool_free(f.pool);

    assert_int_equal(f.running, 0);
}

/* Three tasks that submit themselves again, one of which lets somebody outside post. */
struct round {
    struct feeder feeder;
    struct gate gate;
    int turns_then; /* when the task from outside ran */
};

static vow_result
stop_at_gate(void *ctx)
{
    struct round *r = ctx;

    return wait_at_gate(&r->gate);
}

static vow_result
note_turns(void *ctx)
{
    struct round *r = ctx;

    r->turns_then = atomic_load(&r->feeder.turns);
    atomic_store(&r->feeder.stop, 1);
    return vow_ok(VOW_NIL);
}

/* What is in the deque of the only worker is as old as it can be: after that, outside. */
VOW_CASE(task_from_outside_comes_a_round_after_those_that_feed_themselves)
{
    enum { FEEDERS = 3 };
    struct round r = {.feeder = {.pool = pool_new(1), .running = FEEDERS}};
    vow_future *gate;
    int turns;

    for (int i = 0; i < FEEDERS; i++)
        vow_unref(vow_submit(r.feeder.pool, feed, vow_ptr(&r.feeder)));
    await_flag(&r.feeder.turns, 100);
    gate = vow_submit(r.feeder.pool, stop_at_gate, vow_ptr(&r));
    await_flag(&r.gate.entered, 1);
    turns = atomic_load(&r.feeder.turns);
    vow_unref(vow_submit(r.feeder.pool, note_turns, vow_ptr(&r)));
    atomic_store(&r.gate.open, 1);
    vow_unref(gate);
    pool_free(r.feeder.pool);

    assert_in_range(r.turns_then, turns, turns + FEEDERS);
    assert_int_equal(r.feeder.running, 0);
}

/* Steps one after another, one of which lets somebody outside post. */
struct steps {
    struct gate gate;
    int count;      /* of those that have run */
    int count_then; /* when the task from outside ran */
};

static vow_result
count_step(vow_value in, void *ctx)
{
    struct steps *s = ctx;

    if (++s->count == 3)
        (void)wait_at_gate(&s->gate);
    return vow_ok(in);
}

static vow_result
note_steps(void *ctx)
{
    struct steps *s = ctx;

    s->count_then = s->count;
    return vow_ok(VOW_NIL);
}

/* Each step is what the worker does next, unless something came from outside. */
VOW_CASE(task_from_outside_does_not_wait_for_a_chain_of_steps)
{
    struct steps s = {.count = 0};
    vow_executor *pool = pool_new(1);
    vow_future *f = vow_submit(pool, give_seven, VOW_NIL);

    for (int i = 0; i < 9; i++)
        f = vow_then(f, pool, count_step, vow_ptr(&s));
    await_flag(&s.gate.entered, 1);
    vow_unref(vow_submit(pool, note_steps, vow_ptr(&s)));
    atomic_store(&s.gate.open, 1);
    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
    pool_free(pool);

    assert_int_equal(s.count, 9);
    assert_in_range(s.count_then, 3, 4);
}

/* More than a worker takes at once: what it has left behind is what came from outside, too. */
enum { TAKEN = 32, LEFT = 2 };

static void
write_other(void *journal)
{
    journal_add(journal, 'o');
}

static vow_result
write_task(void *journal)
{
    journal_add(journal, 't');
    return vow_ok(VOW_NIL);
}

static vow_result
write_step(vow_value in, void *journal)
{
    journal_add(journal, 's');
    return vow_ok(in);
}

VOW_CASE(step_on_the_last_that_was_taken_waits_for_the_first_that_was_left)
{
    struct journal j = {0};
    struct gate gate = {.entered = 0};
    vow_executor *pool = pool_new(1);
    vow_future *held = vow_submit(pool, wait_at_gate, vow_ptr(&gate)), *f;

    await_flag(&gate.entered, 1);
    for (int i = 0; i < TAKEN - 1; i++)
        assert_int_equal(vow_post(pool, write_other, vow_ptr(&j)), 0);
    f = vow_then(vow_submit(pool, write_task, vow_ptr(&j)), pool, write_step,
                 vow_ptr(&j));
    for (int i = 0; i < LEFT; i++)
        assert_int_equal(vow_post(pool, write_other, vow_ptr(&j)), 0);
    atomic_store(&gate.open, 1);
    vow_unref(held);
    vow_unref(f);
    pool_free(pool);

    assert_int_equal(j.used, TAKEN + LEFT + 1);
    assert_string_equal(j.text + TAKEN - 1, "toso");
}

static void
check_level(vow_executor *pool, int level)
{
    vow_future *f = vow_submit_with(pool, &VOW_SUBMIT_OPTIONS(.priority = level),
                                    give_seven, VOW_NIL);

    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
}

VOW_CASE(task_of_idle_priority_is_not_starved_for_ever)
{
    struct feeder f = {.pool = pool_new(1), .running = 1};

    vow_unref(vow_submit(f.pool, feed, vow_ptr(&f)));
    await_flag(&f.turns, 100);
    check_level(f.pool, VOW_LOW);
    check_level(f.pool, VOW_IDLE);
    check_level(f.pool, VOW_IMMEDIATE);
    assert_int_equal(f.running, 1);
    atomic_store(&f.stop, 1);
    pool_free(f.pool);

    assert_int_equal(f.running, 0);
}

/* Counters. */

VOW_CASE(stats_count_tasks_exactly_when_idle)
{
    enum { TASKS = 500 };
    atomic_int count = 0;
    vow_pool_stats stats = {.size = sizeof stats};
    vow_executor *pool = pool_new(2);

    for (int i = 0; i < TASKS; i++)
        vow_unref(vow_submit(pool, count_task, vow_ptr(&count)));
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    assert_int_equal(vow_pool_read_stats(pool, &stats), 0);

    assert_int_equal(count, TASKS);
    assert_int_equal(stats.tasks, TASKS);
    assert_true(stats.steals <= stats.tasks);
    assert_true(stats.wakes_for_nothing <= stats.wakes);
    assert_int_equal(stats.helped, 0);
    assert_int_equal(stats.spares, 0);
    vow_executor_unref(pool);
}

VOW_CASE(stats_of_an_older_caller_are_filled_as_far_as_they_go)
{
    vow_executor *pool = pool_new(1);
    vow_pool_stats stats;
    vow_future *f = vow_submit(pool, give_seven, VOW_NIL);

    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    memset(&stats, 0x55, sizeof stats);
    stats.size = offsetof(vow_pool_stats, wakes);
    assert_int_equal(vow_pool_read_stats(pool, &stats), 0);

    assert_int_equal(stats.tasks, 1);
    assert_true(stats.wakes == UINT64_C(0x5555555555555555));
    vow_executor_unref(pool);
}

/* At the edges. */

VOW_CASE(pool_with_too_many_threads_or_spares_is_refused)
{
    errno = 0;
    assert_null(vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1025)));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .spares = 1025)));
    assert_int_equal(errno, EINVAL);
}

static vow_result
is_own_thread(void *pool)
{
    vow_executor *on = pool;

    return vow_ok(vow_i64(on->ops->is_current(on)));
}

VOW_CASE(pool_knows_its_threads_and_helps_no_other)
{
    vow_executor *pool = pool_new(1);
    vow_future *f = vow_submit(pool, is_own_thread, vow_ptr(pool));
    vow_task task = {.run = NULL};

    assert_int_equal(vow_get(f).value.as.i64, 1);
    assert_false(pool->ops->is_current(pool));
    assert_false(pool->ops->help(pool, &task));
    vow_unref(f);
    pool_free(pool);
}

struct cut_off {
    vow_executor *pool;
    int many_before, many_after;
    int post_after;
    int submit_after;
};

static void
count_errand(void *ctx)
{
    (void)count_task(ctx);
}

/* From one of its own tasks, before and after that has closed the pool. */
static vow_result
close_and_submit(void *ctx)
{
    struct cut_off *l = ctx;
    vow_value none[2] = {VOW_NIL, VOW_NIL};
    vow_future *f;

    l->many_before = vow_submit_many(l->pool, give_seven, none, 2, NULL);
    vow_unref(vow_executor_close(l->pool, VOW_CANCEL_QUEUED));
    l->many_after = vow_submit_many(l->pool, give_seven, none, 2, NULL);
    l->post_after = vow_post(l->pool, count_errand, VOW_NIL);
    f = vow_submit(l->pool, give_seven, VOW_NIL);
    l->submit_after = code_of(f);
    vow_unref(f);
    return vow_ok(VOW_NIL);
}

VOW_CASE(task_that_cancelled_its_pool_can_submit_no_more)
{
    struct cut_off l = {.pool = pool_new(1)};
    vow_future *f = vow_submit(l.pool, close_and_submit, vow_ptr(&l));

    assert_int_equal(code_of(f), 0);
    assert_int_equal(l.many_before, 0);
    assert_int_equal(l.many_after, VOW_E_CLOSED);
    assert_int_equal(l.post_after, VOW_E_CLOSED);
    assert_int_equal(l.submit_after, VOW_E_CLOSED);
    vow_unref(f);
    pool_free(l.pool);
}

struct both {
    struct gate gate;
    atomic_int inline_ran;
};

static vow_result
note_inline(vow_value in, void *ctx)
{
    atomic_int *ran = ctx;

    atomic_store(ran, 1);
    return vow_ok(in);
}

/* Leaves an inline step behind that waits for its end, as the step on the pool does. */
static vow_result
attach_inline(void *ctx)
{
    struct both *b = ctx;

    (void)wait_at_gate(&b->gate);
    vow_unref(
        vow_then(vow_resolved(VOW_NIL), NULL, note_inline, vow_ptr(&b->inline_ran)));
    return vow_ok(vow_i64(1));
}

VOW_CASE(task_that_leaves_inline_steps_and_one_on_its_pool_runs_both)
{
    struct both b = {.inline_ran = 0};
    vow_executor *pool = pool_new(2);
    vow_future *f = vow_submit(pool, attach_inline, vow_ptr(&b));

    f = vow_then(f, pool, add_one, VOW_NIL);
    atomic_store(&b.gate.open, 1);

    assert_int_equal(vow_get(f).value.as.i64, 2);
    pool_free(pool);
    assert_int_equal(atomic_load(&b.inline_ran), 1);
    vow_unref(f);
}

/* A task that has an inline step run at its end, which waits for the one on the pool. */
struct behind {
    struct gate gate;
    vow_promise *trigger;
    atomic_int ran;
};

static vow_result
await_other_step(vow_value in, void *ctx)
{
    struct behind *b = ctx;

    await_flag(&b->ran, 1);
    return vow_ok(in);
}

static vow_result
trigger_inline(void *ctx)
{
    struct behind *b = ctx;

    (void)wait_at_gate(&b->gate);
    vow_promise_fulfill(b->trigger, vow_i64(5));
    return vow_ok(vow_i64(1));
}

static vow_result
note_other_step(vow_value in, void *ctx)
{
    struct behind *b = ctx;

    atomic_store(&b->ran, 1);
    return vow_ok(vow_i64(in.as.i64 + 1));
}

VOW_CASE(step_on_what_returns_does_not_wait_for_the_inline_steps_of_its_thread)
{
    struct behind b = {.trigger = vow_promise_new()};
    vow_executor *pool = pool_new(2);
    vow_future *inlined =
        vow_then(vow_promise_future(b.trigger), NULL, await_other_step, vow_ptr(&b));
    vow_future *f = vow_then(vow_submit(pool, trigger_inline, vow_ptr(&b)), pool,
                             note_other_step, vow_ptr(&b));

    atomic_store(&b.gate.open, 1);
    assert_int_equal(vow_get(f).value.as.i64, 2);
    assert_int_equal(vow_get(inlined).value.as.i64, 5);
    vow_unref(f);
    vow_unref(inlined);
    vow_promise_unref(b.trigger);
    pool_free(pool);
}

/* A queue that is kept full by its own tasks while others come from outside. */

enum { FULL = 255, TURNS = 3, OUTSIDE = 100 };

struct refill {
    vow_executor *pool;
    struct gate gate;
    vow_task tasks[FULL];
    int turns[FULL];
    atomic_int ran;
};

static struct refill refill;

static void
run_and_refill(vow_task *task, int why)
{
    size_t i = (size_t)(task - refill.tasks);

    assert_int_equal(why, 0);
    atomic_fetch_add(&refill.ran, 1);
    if (++refill.turns[i] < TURNS)
        assert_int_equal(vow_post_task(refill.pool, task), 0);
}

static vow_result
fill_queue(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < FULL; i++) {
        refill.tasks[i] = (vow_task){.run = run_and_refill};
        assert_int_equal(vow_post_task(refill.pool, &refill.tasks[i]), 0);
    }
    return wait_at_gate(&refill.gate);
}

VOW_CASE(work_from_outside_is_taken_though_the_queue_is_full)
{
    atomic_int outside = 0;
    vow_future *f;

    refill = (struct refill){.pool = pool_new(1)};
    f = vow_submit(refill.pool, fill_queue, VOW_NIL);
    await_flag(&refill.gate.entered, 1);
    for (int i = 0; i < OUTSIDE; i++)
        assert_int_equal(vow_post(refill.pool, count_errand, vow_ptr(&outside)), 0);
    atomic_store(&refill.gate.open, 1);

    assert_int_equal(code_of(f), 0);
    pool_free(refill.pool);
    assert_int_equal(atomic_load(&refill.ran), FULL * TURNS);
    assert_int_equal(atomic_load(&outside), OUTSIDE);
    vow_unref(f);
}

/* Who destroys it. */

VOW_CASE(pool_let_go_while_its_task_runs_is_destroyed_by_its_worker)
{
    struct gate g = {0};
    vow_executor *pool = pool_new(1);
    vow_future *f = occupy(pool, &g);

    vow_executor_unref(pool);
    atomic_store(&g.open, 1);
    assert_int_equal(vow_get(f).value.as.i64, 1);
    vow_unref(f);
    await_no_threads();
}

VOW_CASE(pool_let_go_when_its_threads_are_gone_is_destroyed_by_the_caller)
{
    vow_executor *pool = pool_new(2);

    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    await_no_threads();
    vow_executor_unref(pool);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(pool_has_as_many_threads_as_it_was_told),
        vow_test(pool_questions_to_another_executor_are_answered),
        vow_test(pool_with_an_impossible_stack_is_invalid_or_gets_more),
        vow_test(pool_threads_have_names),
        vow_test(pool_threads_block_all_but_the_synchronous_signals),
        vow_test(pool_leaves_the_signal_mask_of_its_maker_alone),
        vow_test(pool_threads_cannot_be_cancelled),
        vow_test(pool_threads_have_the_stack_they_were_told),
        vow_test(close_drains_what_is_queued_and_then_settles),
        vow_test(close_refuses_work_from_outside_at_once),
        vow_test(close_draining_accepts_what_running_tasks_submit),
        vow_test(close_cancelling_settles_what_is_queued_with_closed),
        vow_test(close_twice_escalates_and_both_futures_settle),
        vow_test(close_with_a_weaker_mode_does_not_bring_work_back),
        vow_test(close_from_a_worker_works_and_waiting_there_is_a_deadlock),
        vow_test(join_before_close_is_invalid),
        vow_test(join_twice_returns_both_times),
        vow_test(join_from_two_threads_returns_in_both),
        vow_test(join_in_an_inline_step_on_the_close_future_is_a_deadlock),
        vow_test(unref_without_close_drains),
        vow_test(unref_of_the_last_from_an_own_worker_frees_all),
        vow_test(step_that_names_a_closed_pool_is_closed),
        vow_test(start_and_stop_leaves_no_thread),
        vow_test(task_that_exits_its_thread_is_broken_and_the_pool_stays_whole),
        vow_test(step_that_exits_its_thread_is_broken),
        vow_test(task_that_exits_its_thread_drops_its_context_once),
        vow_test(task_that_exits_inside_the_wait_of_another_breaks_both),
        vow_test(steps_settled_by_a_task_that_exits_run_all_the_same),
        vow_test(fib_by_waiting_inside_ends_on_one_worker),
        vow_test(fib_by_waiting_inside_ends_on_two_workers),
        vow_test(wait_of_one_worker_helps_itself),
        vow_test(wait_of_all_workers_for_tasks_queued_behind_them_ends),
        vow_test(wait_of_a_worker_for_a_chain_behind_it_ends),
        vow_test(wait_of_a_worker_for_somebody_outside_lets_others_run),
        vow_test(wait_of_two_pools_for_each_other_ends),
        vow_test(wait_of_a_task_for_itself_is_a_deadlock),
        vow_test(wait_of_two_tasks_for_each_other_is_a_deadlock),
        vow_test(wait_of_two_tasks_on_two_pools_for_each_other_is_a_deadlock),
        vow_test(wait_of_a_task_for_a_join_of_itself_and_others_is_a_deadlock),
        vow_test(wait_of_two_tasks_for_joins_of_each_other_is_a_deadlock),
        vow_test(wait_of_a_task_for_a_step_on_itself_is_a_deadlock),
        vow_test(wait_with_a_timeout_on_a_worker_times_out),
        vow_test(tasks_from_outside_run_in_order_on_one_worker),
        vow_test(tasks_of_one_worker_run_oldest_first),
        vow_test(task_that_feeds_itself_does_not_starve_the_others),
        vow_test(task_from_outside_comes_a_round_after_those_that_feed_themselves),
        vow_test(task_from_outside_does_not_wait_for_a_chain_of_steps),
        vow_test(step_on_the_last_that_was_taken_waits_for_the_first_that_was_left),
        vow_test(task_of_idle_priority_is_not_starved_for_ever),
        vow_test(stats_count_tasks_exactly_when_idle),
        vow_test(stats_of_an_older_caller_are_filled_as_far_as_they_go),
        vow_test(pool_with_too_many_threads_or_spares_is_refused),
        vow_test(pool_knows_its_threads_and_helps_no_other),
        vow_test(task_that_cancelled_its_pool_can_submit_no_more),
        vow_test(task_that_leaves_inline_steps_and_one_on_its_pool_runs_both),
        vow_test(step_on_what_returns_does_not_wait_for_the_inline_steps_of_its_thread),
        vow_test(work_from_outside_is_taken_though_the_queue_is_full),
        vow_test(pool_let_go_while_its_task_runs_is_destroyed_by_its_worker),
        vow_test(pool_let_go_when_its_threads_are_gone_is_destroyed_by_the_caller),
        cmocka_unit_test(default_pool_is_made_once), /* the last: it stays */
    };

    count_threads_that_stay();
    return vow_test_run(cases);
}
