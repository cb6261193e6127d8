/* SPDX-License-Identifier: MIT */
/*
 * scenarios_exit.c - threads that end inside the functions that they were given.
 */
#include <pthread.h>

#include <vow/vow.h>

#include "explore.h"

static vow_executor *pool;
static vow_future *f, *g, *h;
static vow_promise *p;
static int dropped, code;

static void
drops(void *ptr)
{
    (void)ptr;
    dropped++;
}

static vow_result
exits(void *ctx)
{
    (void)ctx;
    pthread_exit(NULL);
}

static vow_result
returns(void *ctx)
{
    (void)ctx;
    return vow_ok(VOW_NIL);
}

static void
make_1(void)
{
    pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .spares = 1));
    require(pool != NULL);
}

static void
make_2(void)
{
    pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2, .spares = 1));
    require(pool != NULL);
}

static void
ends(void)
{
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    require(vow_executor_join(pool) == 0);
    vow_executor_unref(pool);
}

static int
code_of(vow_future *future)
{
    return vow_error_code(vow_get(future).error);
}

SCENARIO(exit_in_job, 0, "a worker exits in a job, and another one takes its place",
         EXPECTED("code 4098, dropped 1", "the job is broken, the pool goes on"))
{
    explore_calmly(make_1);
    f = vow_submit(pool, exits, vow_own(&dropped, drops));
    outcome("code %d, dropped %d", code_of(f), dropped);
    vow_unref(f);
    explore_calmly(ends);
}

SCENARIO(exit_and_next, 0, "a worker exits in a job while the next one is posted",
         EXPECTED("code 0", "whoever takes its place runs it"))
{
    explore_calmly(make_1);
    vow_unref(vow_submit(pool, exits, VOW_NIL));
    g = vow_submit(pool, returns, VOW_NIL);
    outcome("code %d", code_of(g));
    vow_unref(g);
    explore_calmly(ends);
}

SCENARIO(exit_last_worker, 0, "the only worker exits, and none can be had in its place",
         EXPECTED("codes 4098 4099, dropped 1",
                  "what is queued ends, what is late as well"))
{
    explore_calmly(make_1);
    explore_no_more_threads();
    f = vow_submit(pool, exits, vow_own(&dropped, drops));
    g = vow_submit(pool, returns, VOW_NIL);
    code = code_of(f);
    outcome("codes %d %d, dropped %d", code, code_of(g), dropped);
    vow_unref(f);
    vow_unref(g);
    explore_calmly(ends);
}

static void
submits_urgent(void)
{
    g = vow_submit_with(pool, &VOW_SUBMIT_OPTIONS(.priority = VOW_HIGH), returns,
                        VOW_NIL);
}

SCENARIO(exit_and_urgent, 0, "urgent work comes while the only worker is lost",
         EXPECTED("settled", "it runs, or ends with the pool"))
{
    explore_calmly(make_1);
    explore_no_more_threads();
    f = vow_submit(pool, exits, VOW_NIL);
    h = vow_submit(pool, returns, VOW_NIL);
    run_threads(submits_urgent);
    code_of(f);
    code_of(h);
    code_of(g);
    outcome("settled");
    vow_unref(f);
    vow_unref(g);
    vow_unref(h);
    explore_calmly(ends);
}

SCENARIO(exit_two_workers, 0, "both workers exit, and none can be had in their place",
         EXPECTED("codes 4098 4098 0", "the third job ran in between"),
         EXPECTED("codes 4098 4098 4099", "it was left, or came too late"))
{
    vow_future *jobs[3];
    int codes[3];

    explore_calmly(make_2);
    explore_no_more_threads();
    jobs[0] = vow_submit(pool, exits, VOW_NIL);
    jobs[1] = vow_submit(pool, exits, VOW_NIL);
    jobs[2] = vow_submit(pool, returns, VOW_NIL);
    for (int i = 0; i < 3; i++) {
        codes[i] = code_of(jobs[i]);
        vow_unref(jobs[i]);
    }
    outcome("codes %d %d %d", codes[0], codes[1], codes[2]);
    explore_calmly(ends);
}

static void
fulfills(void)
{
    vow_promise_fulfill(p, VOW_NIL); /* does not return */
}

static vow_result
exits_in_step(vow_value in, void *ctx)
{
    (void)in;
    return exits(ctx);
}

static void
gets(void)
{
    code = code_of(f);
}

static void
runs_after(void *ctx)
{
    (void)ctx;
    dropped++;
}

/* Nobody does next what the lost one would have done. */
SCENARIO(exit_before_step, 0,
         "a worker that is lost in a step has the next one to post, and the other sleeps",
         EXPECTED("code 4098, ran 1", "the other runs it"))
{
    explore_calmly(make_2);
    explore_no_more_threads();
    f = vow_submit(pool, returns, VOW_NIL);
    f = vow_then(f, pool, exits_in_step, VOW_NIL);
    f = vow_finally(f, pool, runs_after, VOW_NIL);
    gets();
    vow_unref(f);
    explore_calmly(ends);
    outcome("code %d, ran %d", code, dropped);
}

SCENARIO(exit_in_step, 0,
         "a thread exits in an inline step while another one waits for it",
         EXPECTED("code 4098, dropped 1", "the step is broken"))
{
    p = vow_promise_new();
    f = vow_then(vow_promise_future(p), NULL, exits_in_step, vow_own(&dropped, drops));
    run_threads(fulfills, gets);
    vow_promise_unref(p);
    outcome("code %d, dropped %d", code, dropped);
    vow_unref(f);
}
