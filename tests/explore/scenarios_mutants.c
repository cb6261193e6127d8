/* SPDX-License-Identifier: MIT */
/*
 * scenarios_mutants.c - what it takes to notice a weaker order, or a seeded bug, that the
 * other scenarios let pass: tests/seeds has both.
 */
#include <pthread.h>
#include <stdlib.h>

#include <vow/vow.h>

#include "explore.h"

static vow_promise *p, *q, *r;
static vow_future *f, *g, *h, *k;
static int dropped, ran, code;

static void
drops(void *ptr)
{
    (void)ptr;
    dropped++;
}

static void
make(void)
{
    p = vow_promise_new();
    f = vow_promise_future(p);
}

static void
make_both(void)
{
    make();
    q = vow_promise_new();
    h = vow_promise_future(q);
}

static void
fulfills(void)
{
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
}

static void
fulfills_inner(void)
{
    vow_promise_fulfill(q, vow_own(&dropped, drops));
    vow_promise_unref(q);
}

static int
code_of(vow_future *future)
{
    if (vow_future_status(future) == VOW_PENDING)
        return -1;
    return vow_error_code(vow_peek(future).error);
}

static vow_result
counts(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    ran++;
    return vow_ok(VOW_NIL);
}

/* ---- following ---------------------------------------------------------------------------- */

static vow_result
follows(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    return vow_follow(h);
}

SCENARIO(step_follow_settle, 0, "a step returns a future that settles, nobody looks",
         EXPECTED("dropped 1", "it lives until it hangs there, and goes then"))
{
    make_both();
    vow_unref(vow_then(f, NULL, follows, VOW_NIL));
    run_threads(fulfills, fulfills_inner);
    outcome("dropped %d", dropped);
}

static void
cancels(void)
{
    vow_future_cancel(g, NULL);
}

SCENARIO(step_follow_cancel, 0, "a step is asked to stop while it returns a future",
         EXPECTED("g 4096, q 4096", "either sends it on, or it did not run"),
         EXPECTED("g 4096, q -1", "it did not run"),
         FORBIDDEN("g -1, q -1", "the request is lost"))
{
    make_both();
    k = vow_ref(h);
    g = vow_then(f, NULL, follows, VOW_NIL);
    run_threads(fulfills, cancels);
    outcome("g %d, q %d", code_of(g), code_of(k));
    if (code_of(k) == -1)
        vow_unref(h);
    vow_promise_unref(q);
    vow_ignore(g);
    vow_ignore(k);
}

static void
follows_third(void)
{
    vow_promise_resolve(q, vow_follow(k));
    vow_promise_unref(q);
}

static int looked;

static void
looks_and_drops(void)
{
    looked = (int)vow_future_status(g);
    vow_unref(g);
}

/* One hangs on q alone, and q begins to follow r: one takes its place. */
SCENARIO(follow_in_place, 0, "the one between two is left out while it is let go of",
         EXPECTED("code 0", "the first is told what the last one was"))
{
    make_both();
    r = vow_promise_new();
    k = vow_promise_future(r);
    g = vow_ref(h);
    vow_promise_resolve(p, vow_follow(h));
    vow_promise_unref(p);
    run_threads(follows_third, looks_and_drops);
    vow_promise_fulfill(r, VOW_NIL);
    vow_promise_unref(r);
    outcome("code %d", code_of(f));
    vow_unref(f);
}

static void
drops_promise(void)
{
    vow_promise_unref(p);
}

static void
attaches_to_inner(void)
{
    k = vow_then(g, NULL, counts, VOW_NIL);
}

SCENARIO(follow_splice_attach, 0,
         "a follower loses its promise while another one hangs on",
         EXPECTED("ran 1, code 0", "its place in the list is found"))
{
    make_both();
    g = vow_ref(h);
    vow_promise_resolve(p, vow_follow(h));
    run_threads(drops_promise, attaches_to_inner);
    vow_promise_fulfill(q, VOW_NIL);
    vow_promise_unref(q);
    outcome("ran %d, code %d", ran, code_of(f));
    vow_unref(f);
    vow_unref(k);
}

/* ---- the hook of a promise ---------------------------------------------------------------- */

static void
rejects_when_asked(vow_promise *asked, const vow_error *reason, void *ctx)
{
    (void)ctx;
    ran++;
    vow_promise_reject(asked, vow_error_ref(reason));
}

static void
hooks_and_fulfills(void)
{
    vow_promise_on_cancel(p, NULL, rejects_when_asked, vow_own(&dropped, drops));
    fulfills();
}

SCENARIO(hook_cancel, 0, "a hook is put in while its promise is asked to stop",
         EXPECTED("ran 0, dropped 1, code 0", "fulfilled first"),
         EXPECTED("ran 1, dropped 1, code 4096", "asked with the hook in place"),
         EXPECTED("ran 0, dropped 1, code 4096", "asked before"),
         ALLOWED("ran 1, dropped 1, code 0", "fulfilled while it ran"))
{
    make();
    g = f;
    run_threads(hooks_and_fulfills, cancels);
    outcome("ran %d, dropped %d, code %d", ran, dropped, code_of(f));
    vow_ignore(f);
}

static void
hooks(void)
{
    vow_promise_on_cancel(p, NULL, rejects_when_asked, vow_own(&dropped, drops));
    vow_promise_unref(p);
}

static void
fulfills_other(void)
{
    vow_promise_fulfill(q, VOW_NIL);
    vow_promise_unref(q);
}

SCENARIO(hook_settle, 0, "a hook is put in while another thread fulfills",
         EXPECTED("ran 0, dropped 1, code 0", "it is dropped once, whoever was first"))
{
    make();
    q = vow_promise_ref(p);
    run_threads(hooks, fulfills_other);
    outcome("ran %d, dropped %d, code %d", ran, dropped, code_of(f));
    vow_unref(f);
}

SCENARIO(hook_cancel_settle, 0, "a hook is put in, one cancels, one fulfills",
         EXPECTED("dropped 1, code 0", "fulfilled first"),
         EXPECTED("dropped 1, code 4096", "stopped first"))
{
    make();
    g = f;
    q = vow_promise_ref(p);
    run_threads(hooks, cancels, fulfills_other);
    outcome("dropped %d, code %d", dropped, code_of(f));
    vow_ignore(f);
}

/* ---- what is counted -------------------------------------------------------------------------- */

static vow_error *error;

static void
reads_and_unrefs_error(void)
{
    code = vow_error_code(error);
    vow_error_unref(error);
}

static void
unrefs_error(void)
{
    require(vow_error_message(error) != NULL);
    vow_error_unref(error);
}

SCENARIO(error_unref, 0, "two threads let go of an error", EXPECTED("dropped 1", "once"))
{
    error = vow_error_attach(vow_error_new(5, "x"), vow_own(&dropped, drops));
    vow_error_ref(error);
    run_threads(reads_and_unrefs_error, unrefs_error);
    outcome("dropped %d", dropped);
}

static int cell;

static void
reads_and_unrefs(void)
{
    const int *value = vow_get(f).value.as.ptr;

    code = *value;
    vow_unref(f);
}

static void
takes_and_writes(void)
{
    vow_result out;

    if (vow_take(h, &out))
        *(int *)out.value.as.ptr = 2;
    else
        vow_unref(h);
}

SCENARIO(take_unref, 0, "a value is taken while another reader lets go of it",
         EXPECTED("cell 2", "after the other one"), EXPECTED("cell 1", "before, in vain"))
{
    make();
    cell = 1;
    vow_promise_fulfill(p, vow_ptr(&cell));
    vow_promise_unref(p);
    h = vow_ref(f);
    run_threads(reads_and_unrefs, takes_and_writes);
    outcome("cell %d", cell);
}

/* ---- the clock ------------------------------------------------------------------------------- */

static vow_ns
reads_clock(const vow_clock *clock)
{
    (void)clock;
    return 7;
}

static vow_clock a_clock;
static vow_ns now;

static void
uses_clock(void)
{
    a_clock.now = reads_clock;
    vow_clock_use(&a_clock);
}

static void
asks_clock(void)
{
    now = vow_now();
}

static void
takes_clock_back(void)
{
    vow_clock *before = vow_clock_use(NULL);

    if (before != NULL)
        before->now = NULL;
}

SCENARIO(clock_use, 0, "a clock is put in force while another thread asks for the time",
         EXPECTED("7", "in force"), OTHERS("not yet"))
{
    run_threads(uses_clock, asks_clock);
    outcome("%d", (int)now);
}

SCENARIO(clock_back, 0, "a clock is put in force while another thread takes it back",
         EXPECTED("taken back", "it was in force"),
         EXPECTED("in force", "it was not yet"))
{
    run_threads(uses_clock, takes_clock_back);
    outcome(vow_clock_use(NULL) == NULL ? "taken back" : "in force");
}

/* ---- the pool --------------------------------------------------------------------------------- */

static vow_executor *pool;

static void
make_pool(unsigned threads)
{
    pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = threads, .spares = 1));
    require(pool != NULL);
}

static void
closes(void)
{
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
}

static void
join_and_drop(void)
{
    require(vow_executor_join(pool) == 0);
    vow_executor_unref(pool);
}

/* Two tasks that need two threads at once, as the library cannot see. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int met;

static void
meets(void *ctx)
{
    (void)ctx;
    pthread_mutex_lock(&mutex);
    if (++met == 2)
        pthread_cond_broadcast(&cond);
    while (met < 2)
        pthread_cond_wait(&cond, &mutex);
    pthread_mutex_unlock(&mutex);
}

SCENARIO(pool_posts_meet, 0, "two tasks wait for one another on two workers",
         EXPECTED("met 2", "neither waits while a worker sleeps"))
{
    make_pool(2);
    explore_wait_until_quiet();
    require(vow_post(pool, meets, VOW_NIL) == 0);
    require(vow_post(pool, meets, VOW_NIL) == 0);
    closes();
    join_and_drop();
    outcome("met %d", met);
}

static void
posts_and_meets(void *ctx)
{
    require(vow_post(pool, meets, VOW_NIL) == 0);
    meets(ctx);
}

SCENARIO(pool_spawn_meet, 0, "a task waits for one that it posted, on two workers",
         EXPECTED("met 2", "who falls asleep sees it, or is woken"))
{
    make_pool(2);
    require(vow_post(pool, posts_and_meets, VOW_NIL) == 0);
    closes();
    join_and_drop();
    outcome("met %d", met);
}

static vow_result
waits(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(vow_get(f).value.as.i64));
}

static void
cancels_queued(void)
{
    vow_unref(vow_executor_close(pool, VOW_CANCEL_QUEUED));
}

static void
reads_stats(void)
{
    vow_pool_stats stats = {.size = sizeof stats};

    require(vow_pool_read_stats(pool, &stats) == 0);
}

SCENARIO(pool_spare_stats, 0, "a spare starts while another thread looks at all workers",
         EXPECTED("done", "it is whole when it is counted"))
{
    make();
    make_pool(1);
    explore_wait_until_quiet();
    g = vow_submit(pool, waits, VOW_NIL);
    run_threads(reads_stats);
    fulfills();
    vow_unref(g);
    closes();
    join_and_drop();
    outcome("done");
    vow_unref(f);
}

SCENARIO(pool_spare_cancel, 0, "a spare starts while what is queued is cancelled",
         EXPECTED("done", "it is whole when it is counted"))
{
    make();
    make_pool(1);
    explore_wait_until_quiet();
    g = vow_submit(pool, waits, VOW_NIL);
    run_threads(cancels_queued);
    fulfills();
    vow_unref(g);
    join_and_drop();
    outcome("done");
    vow_unref(f);
}

/* ---- a thread's end ------------------------------------------------------------------------------ */

static vow_manual *manual;

static void
attaches_to_manual(void)
{
    g = vow_then(f, vow_manual_executor(manual), counts, VOW_NIL);
}

SCENARIO(thread_gives_back, 0, "a thread that took holds of an executor ends",
         EXPECTED("ran 1", "it is destroyed all the same"))
{
    make();
    manual = vow_manual_new();
    run_threads(attaches_to_manual);
    fulfills();
    vow_manual_run(manual);
    vow_unref(g);
    vow_manual_unref(manual);
    outcome("ran %d", ran);
}

/* ---- one thread ---------------------------------------------------------------------------------- */

static void
asks_again(void *ctx)
{
    (void)ctx;
    ran++;
    require(vow_post(vow_manual_executor(manual), drops, VOW_NIL) == VOW_E_CLOSED);
}

static vow_result
posts_again(const vow_error *why, void *ctx)
{
    code = vow_error_code(why);
    asks_again(ctx);
    return vow_ok(VOW_NIL);
}

static vow_result
never_runs(void *ctx)
{
    (void)ctx;
    explore_fail("it was refused");
}

SCENARIO(refused_posts_again, 0, "what is told of a close asks the executor again",
         EXPECTED("ran 2, code 4099", "no lock is held while a drop or a step runs"))
{
    manual = vow_manual_new();
    f = vow_submit(vow_manual_executor(manual), never_runs, vow_own(&ran, asks_again));
    vow_unref(vow_catch(f, NULL, posts_again, VOW_NIL));
    vow_manual_unref(manual);
    outcome("ran %d, code %d", ran, code);
}

static void
fails_again(const vow_unhandled *u, void *ctx)
{
    (void)ctx;
    if (ran++ == 0)
        vow_unref(vow_rejected(vow_error_ref(u->error)));
}

SCENARIO(unhandled_in_hook, 0, "who is told of an unhandled error leaves another one",
         EXPECTED("ran 2", "no lock is held while it runs"))
{
    vow_on_unhandled(fails_again, NULL);
    vow_unref(vow_rejected(vow_error_new(5, "x")));
    outcome("ran %d", ran);
}

static void
waits_long(void)
{
    ran = vow_wait(f, VOW_FOREVER - 1);
    vow_unref(f);
}

SCENARIO(wait_nearly_for_ever, 0, "a wait whose deadline would be beyond the end of time",
         EXPECTED("1", "it has none"), FORBIDDEN("0", "the sum has wrapped"))
{
    make();
    run_threads(fulfills, waits_long);
    outcome("%d", ran);
}
