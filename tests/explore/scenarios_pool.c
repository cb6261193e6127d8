/* SPDX-License-Identifier: MIT */
/*
 * scenarios_pool.c - a whole pool: its start, its work, its end.
 *
 * One phase at a time is explored: what is before and after it is done calmly, and has
 * scenarios of its own.
 */
#include <pthread.h>
#include <stdatomic.h>

#include <vow/vow.h>

#include "explore.h"

static vow_executor *pool;
static vow_future *f, *g;
static vow_promise *p;
static atomic_int ran, refused;
static int got;

static void
works(void *ctx)
{
    (void)ctx;
    atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
}

static vow_result
computes(void *ctx)
{
    (void)ctx;
    atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
    return vow_ok(vow_i64(7));
}

static vow_result
adds_one(vow_value in, void *ctx)
{
    (void)ctx;
    atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
    return vow_ok(vow_i64(in.as.i64 + 1));
}

static void
posts(void)
{
    if (vow_post(pool, works, VOW_NIL) != 0)
        atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
}

static void
closes(void)
{
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
}

static void
cancels_queued(void)
{
    vow_unref(vow_executor_close(pool, VOW_CANCEL_QUEUED));
}

static void
joins(void)
{
    require(vow_executor_join(pool) == 0);
    vow_executor_unref(pool);
}

static void
closes_and_joins(void)
{
    closes();
    joins();
}

static void
make_pool(unsigned threads)
{
    pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = threads, .spares = 1));
    require(pool != NULL);
}

static void
make_1(void)
{
    make_pool(1);
}

static void
make_2(void)
{
    make_pool(2);
}

/* ---- start and end ---------------------------------------------------------------------- */

SCENARIO(pool_start_stop, 0, "a pool without work is made and ended",
         EXPECTED("ended", "and is freed"))
{
    make_1();
    closes_and_joins();
    outcome("ended");
}

SCENARIO(pool_post_sleep, 0, "a task is posted to a pool whose worker just starts",
         EXPECTED("ran 1", "it sees the task, or is woken"))
{
    make_1();
    posts();
    explore_calmly(closes_and_joins);
    outcome("ran %d", ran);
}

SCENARIO(pool_stop, 0, "two workers that sleep are ended",
         EXPECTED("ended", "each joins the one before it"))
{
    explore_calmly(make_2);
    closes_and_joins();
    outcome("ended");
}

SCENARIO(pool_two_start_stop, 0, "two workers without work start and are ended",
         EXPECTED("ended", "and are freed"))
{
    make_2();
    closes_and_joins();
    outcome("ended");
}

SCENARIO(pool_without_memory, CAN_FAIL, "a pool is made and ended, if it can be",
         EXPECTED("made", "all was there"), ALLOWED("no pool", "no memory or no thread"))
{
    pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .spares = 1));
    if (pool == NULL)
        return (void)outcome("no pool");
    explore_calmly(closes_and_joins);
    outcome("made");
}

static vow_executor *seen[2];

static void
asks_0(void)
{
    seen[0] = vow_default_pool();
}

static void
asks_1(void)
{
    seen[1] = vow_default_pool();
}

SCENARIO(pool_default, 0, "two threads ask for the default pool, the first to do so",
         EXPECTED("same", "one is made"))
{
    run_threads(asks_0, asks_1);
    require(seen[0] != NULL);
    pool = seen[0];
    explore_calmly(closes_and_joins);
    outcome(seen[0] == seen[1] ? "same" : "two");
}

static vow_result
joins_in_step(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    return vow_ok(vow_i64(vow_executor_join(pool)));
}

static vow_result
closes_to_join_in_step(void *ctx)
{
    (void)ctx;
    g = vow_then(vow_executor_close(pool, VOW_DRAIN), NULL, joins_in_step, VOW_NIL);
    return vow_ok(VOW_NIL);
}

SCENARIO(pool_join_in_step, 0,
         "a pool is joined, as an inline step on its close future joins it as well",
         EXPECTED("deadlock", "it says so, as it runs on the last thread"))
{
    explore_calmly(make_1);
    f = vow_submit(pool, closes_to_join_in_step, VOW_NIL);
    require(vow_wait(f, VOW_FOREVER));
    joins();
    got = (int)vow_get(g).value.as.i64;
    vow_unref(f);
    vow_unref(g);
    outcome(got == VOW_E_DEADLOCK ? "deadlock" : "another code");
}

/* ---- work -------------------------------------------------------------------------------- */

SCENARIO(pool_post_post, 0, "two threads post to a sleeping worker",
         EXPECTED("ran 2", "each once: it parks again in between, or not"))
{
    explore_calmly(make_1);
    run_threads(posts, posts);
    explore_calmly(closes_and_joins);
    outcome("ran %d", ran);
}

SCENARIO(pool_post_2_workers, 0, "a task is posted to two sleeping workers",
         EXPECTED("ran 1", "by one of them"))
{
    explore_calmly(make_2);
    posts();
    explore_calmly(closes_and_joins);
    outcome("ran %d", ran);
}

SCENARIO(pool_two_workers, 0, "two tasks are posted to two sleeping workers",
         EXPECTED("ran 2", "each once"))
{
    explore_calmly(make_2);
    posts();
    posts();
    explore_calmly(closes_and_joins);
    outcome("ran %d", ran);
}

SCENARIO(pool_submit_get, 0, "a thread waits for what a worker computes",
         EXPECTED("got 7", "both wake"))
{
    explore_calmly(make_1);
    f = vow_submit(pool, computes, VOW_NIL);
    got = (int)vow_get(f).value.as.i64;
    vow_unref(f);
    explore_calmly(closes_and_joins);
    outcome("got %d", got);
}

static void
fulfills(void)
{
    vow_promise_fulfill(p, vow_i64(1));
    vow_promise_unref(p);
}

static void
attaches(void)
{
    vow_unref(vow_then(f, pool, adds_one, VOW_NIL));
    vow_trim();
}

SCENARIO(pool_then, 0, "a step for a pool is attached while its source settles",
         EXPECTED("ran 1", "delivered once"))
{
    explore_calmly(make_1);
    p = vow_promise_new();
    f = vow_promise_future(p);
    run_threads(fulfills, attaches);
    explore_calmly(closes_and_joins);
    outcome("ran %d", ran);
}

/* ---- priorities --------------------------------------------------------------------------- */

static void
runs_task(vow_task *task, int why)
{
    (void)task;
    atomic_fetch_add_explicit(why == 0 ? &ran : &refused, 1, memory_order_relaxed);
}

static vow_task high = {.run = runs_task, .priority = VOW_HIGH};
static vow_task idle = {.run = runs_task, .priority = VOW_IDLE};

static void
posts_high(void)
{
    if (vow_post_task(pool, &high) != 0)
        atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
}

static void
posts_idle(void)
{
    require(vow_post_task(pool, &idle) == 0);
}

SCENARIO(pool_high_sleep, 0, "an urgent task is posted to a worker that goes to sleep",
         EXPECTED("ran 1", "it sees the task, or is woken"))
{
    make_1();
    posts_high();
    explore_calmly(closes_and_joins);
    outcome("ran %d", ran);
}

SCENARIO(pool_high_idle, 0, "two threads post at two priorities to a sleeping worker",
         EXPECTED("ran 2", "each once"))
{
    explore_calmly(make_1);
    run_threads(posts_high, posts_idle);
    explore_calmly(closes_and_joins);
    outcome("ran %d", ran);
}

SCENARIO(pool_high_close, 0, "an urgent task is posted while the pool is closed",
         EXPECTED("ran 1, refused 0", "posted first"),
         EXPECTED("ran 0, refused 1", "closed first"))
{
    explore_calmly(make_1);
    run_threads(closes, posts_high);
    explore_calmly(joins);
    outcome("ran %d, refused %d", ran, refused);
}

SCENARIO(pool_high_cancel, 0,
         "an urgent task is posted while what is queued is cancelled",
         EXPECTED("ran 1, refused 0", "run first"),
         EXPECTED("ran 0, refused 1", "refused or cancelled"))
{
    explore_calmly(make_1);
    run_threads(cancels_queued, posts_high);
    explore_calmly(joins);
    outcome("ran %d, refused %d", ran, refused);
}

/* ---- a limit -------------------------------------------------------------------------------- */

/* A pool of one worker and a limit of one, which the idle task fills. */
static void
make_full(vow_when_full when_full)
{
    pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .spares = 1, .queue_limit = 1,
                                          .when_full = when_full));
    require(pool != NULL);
}

static void
make_blocking(void)
{
    make_full(VOW_FULL_BLOCK);
}

static void
make_dropping(void)
{
    make_full(VOW_FULL_DROP_OLDEST);
}

SCENARIO(pool_full_post, 0, "two tasks are posted to a pool that has room for one",
         EXPECTED("ran 2, refused 0", "the second waits for room, or there is room"))
{
    explore_calmly(make_blocking);
    run_threads(posts_high, posts_idle);
    explore_calmly(closes_and_joins);
    outcome("ran %d, refused %d", ran, refused);
}

SCENARIO(pool_full_close, 0, "a task is posted to a full pool that is closed",
         EXPECTED("ran 2, refused 0", "admitted first"),
         EXPECTED("ran 1, refused 1", "closed first, or while it waited"))
{
    explore_calmly(make_blocking);
    posts_idle();
    run_threads(posts_high, closes);
    explore_calmly(joins);
    outcome("ran %d, refused %d", ran, refused);
}

SCENARIO(pool_full_cancel, 0, "a task is posted to a full pool that is cancelled",
         EXPECTED("ran 2, refused 0", "both were picked first"),
         EXPECTED("ran 1, refused 1", "one was"),
         EXPECTED("ran 0, refused 2", "none was"))
{
    explore_calmly(make_blocking);
    posts_idle();
    run_threads(posts_high, cancels_queued);
    explore_calmly(joins);
    outcome("ran %d, refused %d", ran, refused);
}

SCENARIO(pool_drop_pick, 0, "the oldest is dropped for a task, or picked",
         EXPECTED("ran 2, refused 0", "picked first"),
         EXPECTED("ran 1, refused 1", "dropped first"))
{
    explore_calmly(make_dropping);
    posts_idle();
    posts_high();
    explore_calmly(closes_and_joins);
    outcome("ran %d, refused %d", ran, refused);
}

/* ---- waiting on a worker ------------------------------------------------------------------- */

static vow_result
submits_and_gets(void *ctx)
{
    vow_future *inner = vow_submit(pool, computes, VOW_NIL);
    int64_t x = vow_get(inner).value.as.i64;

    (void)ctx;
    vow_unref(inner);
    return vow_ok(vow_i64(x + 1));
}

SCENARIO(pool_nested_get, 0, "a worker waits for a job of its own deque: it helps",
         EXPECTED("got 8", "run on the spot"))
{
    explore_calmly(make_1);
    f = vow_submit(pool, submits_and_gets, VOW_NIL);
    got = (int)vow_get(f).value.as.i64;
    vow_unref(f);
    explore_calmly(closes_and_joins);
    outcome("got %d", got);
}

SCENARIO(pool_nested_2, 0, "the same while another worker may steal it",
         EXPECTED("got 8", "run by one of the two"))
{
    explore_calmly(make_2);
    f = vow_submit(pool, submits_and_gets, VOW_NIL);
    got = (int)vow_get(f).value.as.i64;
    vow_unref(f);
    explore_calmly(closes_and_joins);
    outcome("got %d", got);
}

static vow_result
nests_twice(void *ctx)
{
    vow_future *inner = vow_submit(pool, submits_and_gets, VOW_NIL);
    int64_t x = vow_get(inner).value.as.i64;

    (void)ctx;
    vow_unref(inner);
    return vow_ok(vow_i64(x + 1));
}

SCENARIO(pool_leapfrog, 0, "a worker runs what the thief of its job left behind",
         EXPECTED("got 9", "two levels, two workers"))
{
    explore_calmly(make_2);
    f = vow_submit(pool, nests_twice, VOW_NIL);
    got = (int)vow_get(f).value.as.i64;
    vow_unref(f);
    explore_calmly(closes_and_joins);
    outcome("got %d", got);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static bool last_ran;

/* The drop of a value, which waits for a step in a way that the library does not see. */
static void
waits_for_last(void *ptr)
{
    (void)ptr;
    pthread_mutex_lock(&mutex);
    while (!last_ran)
        pthread_cond_wait(&cond, &mutex);
    pthread_mutex_unlock(&mutex);
}

static vow_result
gives_a_waiting_value(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_own(&last_ran, waits_for_last));
}

static vow_result
gives_three(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    return vow_ok(vow_i64(3));
}

static vow_result
is_the_last(vow_value in, void *ctx)
{
    (void)ctx;
    pthread_mutex_lock(&mutex);
    last_ran = true;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&mutex);
    return vow_ok(in);
}

SCENARIO(pool_drop_waits, 0,
         "what a step has read is dropped, which waits for the next step",
         EXPECTED("got 3", "another worker runs that"))
{
    explore_calmly(make_2);
    f = vow_submit(pool, gives_a_waiting_value, VOW_NIL);
    f = vow_then(f, pool, gives_three, VOW_NIL);
    f = vow_then(f, pool, is_the_last, VOW_NIL);
    got = (int)vow_get(f).value.as.i64;
    vow_unref(f);
    explore_calmly(closes_and_joins);
    outcome("got %d", got);
}

/* An executor on top of the pool, whose end posts to that. */
static vow_executor guest;
static vow_promise *gone;

static int
guest_post(vow_executor *self, vow_task *task)
{
    (void)self;
    return vow_post_task(pool, task);
}

static void
guest_destroy(vow_executor *self)
{
    (void)self;
    posts();
    vow_promise_fulfill(gone, VOW_NIL);
    vow_promise_unref(gone);
}

static const vow_executor_ops guest_ops = {.size = sizeof guest_ops,
                                           .name = "guest",
                                           .post = guest_post,
                                           .destroy = guest_destroy};

static vow_result
attaches_to_guest(void *ctx)
{
    vow_promise *settled = vow_promise_new();

    (void)ctx;
    vow_unref(vow_then(vow_promise_future(settled), &guest, adds_one, VOW_NIL));
    vow_promise_fulfill(settled, vow_i64(1));
    vow_promise_unref(settled);
    return vow_ok(VOW_NIL);
}

SCENARIO(pool_gives_back, 0,
         "a worker goes to sleep with holds of what another lets go of",
         EXPECTED("ran 2, refused 0", "it gives them back, and does what that posts"))
{
    explore_calmly(make_1);
    require(vow_executor_init(&guest, &guest_ops) == 0);
    gone = vow_promise_new();
    g = vow_promise_future(gone);
    f = vow_submit(pool, attaches_to_guest, VOW_NIL);
    vow_get(f);
    vow_unref(f);
    vow_executor_unref(&guest);
    vow_get(g);
    vow_unref(g);
    explore_calmly(closes_and_joins);
    outcome("ran %d, refused %d", ran, refused);
}

static vow_result
gets_g(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(vow_get(g).value.as.i64 + 1));
}

static void
fulfills_by_task(void *ctx)
{
    (void)ctx;
    fulfills();
}

static void
posts_fulfilling(void)
{
    require(vow_post(pool, fulfills_by_task, VOW_NIL) == 0);
}

static void
submits_gets_g(void)
{
    f = vow_submit(pool, gets_g, VOW_NIL);
}

SCENARIO(pool_spare, 0, "the only worker waits for what a task behind it will do",
         EXPECTED("got 2", "a spare thread runs that"))
{
    explore_calmly(make_1);
    p = vow_promise_new();
    g = vow_promise_future(p);
    submits_gets_g();
    posts_fulfilling();
    explore_calmly(closes_and_joins);
    got = (int)vow_peek(f).value.as.i64;
    vow_unref(f);
    vow_unref(g);
    outcome("got %d", got);
}

/* ---- turns -------------------------------------------------------------------------------- */

static int turns; /* written by whoever runs the task: ordered from turn to turn */

static vow_result
yields_once(void *ctx)
{
    (void)ctx;
    return turns++ == 0 ? vow_yield_task() : vow_ok(vow_i64(7));
}

static void
drops_work(void *ctx)
{
    (void)ctx;
    atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
}

SCENARIO(pool_yield, 0, "a task has two turns, between two workers",
         EXPECTED("got 7, 2 turns", "on one or on both"))
{
    explore_calmly(make_2);
    f = vow_submit(pool, yields_once, VOW_NIL);
    got = (int)vow_get(f).value.as.i64;
    vow_unref(f);
    explore_calmly(closes_and_joins);
    outcome("got %d, %d turns", got, turns);
}

SCENARIO(pool_yield_cancel, 0,
         "a task is cancelled before, in, between or after its turns",
         EXPECTED("code 4096, 0 turns, dropped 1", "before it began"),
         EXPECTED("code 4096, 1 turns, dropped 1", "in the first, or after it"),
         EXPECTED("code 0, 2 turns, dropped 1", "too late"))
{
    int code;

    explore_calmly(make_1);
    f = vow_submit(pool, yields_once, vow_own(&turns, drops_work));
    vow_future_cancel(f, NULL);
    code = vow_error_code(vow_get(f).error);
    vow_unref(f);
    explore_calmly(closes_and_joins);
    outcome("code %d, %d turns, dropped %d", code, turns, ran);
}

static vow_result
waits_for_turns(void *ctx)
{
    vow_future *inner = vow_submit(pool, yields_once, VOW_NIL);
    int64_t x = vow_get(inner).value.as.i64;

    (void)ctx;
    vow_unref(inner);
    return vow_ok(vow_i64(x + 1));
}

SCENARIO(pool_yield_nested, 0, "a worker waits for a task that wants two turns",
         EXPECTED("got 8, 2 turns", "the first here, the second elsewhere"))
{
    explore_calmly(make_1);
    f = vow_submit(pool, waits_for_turns, VOW_NIL);
    got = (int)vow_get(f).value.as.i64;
    vow_unref(f);
    explore_calmly(closes_and_joins);
    outcome("got %d, %d turns", got, turns);
}

static vow_result
waits_for_f(void *ctx)
{
    int64_t x = vow_get(f).value.as.i64;

    (void)ctx;
    return vow_ok(vow_i64(x + 1));
}

static void
submits_both(void)
{
    f = vow_submit(pool, yields_once, VOW_NIL);
    g = vow_submit(pool, waits_for_f, VOW_NIL);
}

SCENARIO(pool_yield_in_place, 0, "a worker runs a turn of a task that another may pick",
         EXPECTED("got 8, 2 turns", "each turn sees the one before"))
{
    explore_calmly(make_2);
    submits_both();
    got = (int)vow_get(g).value.as.i64;
    vow_unref(f);
    vow_unref(g);
    explore_calmly(closes_and_joins);
    outcome("got %d, %d turns", got, turns);
}

/* ---- the end while there is work ------------------------------------------------------------- */

SCENARIO(pool_close_post, 0, "a task is posted while the pool is closed",
         EXPECTED("ran 1, refused 0", "posted first"),
         EXPECTED("ran 0, refused 1", "closed first"))
{
    explore_calmly(make_1);
    run_threads(closes, posts);
    explore_calmly(joins);
    outcome("ran %d, refused %d", ran, refused);
}

static void
submits(void)
{
    f = vow_submit(pool, computes, VOW_NIL);
}

SCENARIO(pool_cancel_post, 0, "a job is submitted while what is queued is cancelled",
         EXPECTED("ran 1, code 0", "run first"),
         EXPECTED("ran 0, code 4099", "refused or cancelled"))
{
    int code;

    explore_calmly(make_1);
    run_threads(cancels_queued, submits);
    explore_calmly(joins);
    code = vow_error_code(vow_peek(f).error);
    vow_unref(f);
    outcome("ran %d, code %d", ran, code);
}

SCENARIO(pool_two_closes, 0, "two threads close a pool with a task queued",
         EXPECTED("ran 1", "it ends once, after the task"))
{
    explore_calmly(make_1);
    posts();
    run_threads(closes, closes);
    explore_calmly(joins);
    outcome("ran %d", ran);
}

SCENARIO(pool_close_harder, 0, "one thread drains, another one cancels",
         EXPECTED("ran 1", "before the cancel"), EXPECTED("ran 0", "after it"))
{
    explore_calmly(make_1);
    posts();
    run_threads(closes, cancels_queued);
    explore_calmly(joins);
    outcome("ran %d", ran);
}

static void
posts_another(void *ctx)
{
    (void)ctx;
    atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
    posts();
}

SCENARIO(pool_drain_post, 0, "a running task posts while the pool drains",
         EXPECTED("ran 2, refused 0", "what a task posts is still run"))
{
    explore_calmly(make_1);
    require(vow_post(pool, posts_another, VOW_NIL) == 0);
    closes();
    explore_calmly(joins);
    outcome("ran %d, refused %d", ran, refused);
}

static void
closes_by_task(void *ctx)
{
    (void)ctx;
    atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
    closes();
}

SCENARIO(pool_close_in_task, 0, "a task closes its own pool while another is posted",
         EXPECTED("ran 2, refused 0", "posted first"),
         EXPECTED("ran 1, refused 1", "closed first"))
{
    explore_calmly(make_1);
    require(vow_post(pool, closes_by_task, VOW_NIL) == 0);
    posts();
    explore_calmly(joins);
    outcome("ran %d, refused %d", ran, refused);
}

static int told;

/* Keeps its pool from being idle until the other thread has fulfilled. */
static void
closes_and_waits(void *ctx)
{
    (void)ctx;
    closes();
    pthread_mutex_lock(&mutex);
    while (!told)
        pthread_cond_wait(&cond, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void
fulfills_and_tells(void)
{
    fulfills();
    pthread_mutex_lock(&mutex);
    told = 1;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&mutex);
}

SCENARIO(pool_drain_step, 0, "a step becomes ready outside while its pool drains",
         EXPECTED("ran 1", "admitted: a task still runs"))
{
    explore_calmly(make_1);
    p = vow_promise_new();
    f = vow_promise_future(p);
    attaches();
    require(vow_post(pool, closes_and_waits, VOW_NIL) == 0);
    run_threads(fulfills_and_tells);
    explore_calmly(joins);
    outcome("ran %d", ran);
}

static void
catches(void)
{
    g = vow_then(f, pool, adds_one, VOW_NIL);
    vow_trim();
}

SCENARIO(pool_close_step, 0, "a step becomes ready while its pool, idle, is closed",
         EXPECTED("ran 1, code 0", "before it ended"),
         EXPECTED("ran 0, code 4099", "after that"))
{
    int code;

    explore_calmly(make_1);
    p = vow_promise_new();
    f = vow_promise_future(p);
    catches();
    run_threads(fulfills, closes);
    explore_calmly(joins);
    code = vow_error_code(vow_peek(g).error);
    vow_unref(g);
    outcome("ran %d, code %d", ran, code);
}

static void
drops_pool(void)
{
    vow_executor_unref(pool);
}

static void
posts_and_drops(void)
{
    posts();
    vow_executor_unref(pool);
}

SCENARIO(pool_drop_post, 0, "the last reference goes while another thread posts",
         EXPECTED("ran 1", "a pool with references is open"))
{
    explore_calmly(make_1);
    vow_executor_ref(pool);
    run_threads(drops_pool, posts_and_drops);
    explore_wait_for_all();
    outcome("ran %d", ran);
}

static void
drops_in_task(void *ctx)
{
    (void)ctx;
    atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
    vow_executor_unref(pool);
}

SCENARIO(pool_drop_in_task, 0, "a task lets go of its own pool, the last to do so",
         EXPECTED("ran 1", "the last thread out detaches itself"))
{
    explore_calmly(make_1);
    vow_executor_ref(pool);
    require(vow_post(pool, drops_in_task, VOW_NIL) == 0);
    vow_executor_unref(pool);
    explore_wait_for_all();
    outcome("ran %d", ran);
}
