/* SPDX-License-Identifier: MIT */
/*
 * scenarios_fork_join.c - two branches: one that is taken back or stolen, fails, is ended by
 * who closes, or blocks; and that a caller never leaves what another thread is at.
 *
 * An executor of one queue, its threads run by us: one calls, the other steals once. And two
 * workers of a pool, likewise.
 */
#include <vow/vow.h>

#include "../executors/pool_internal.h"
#include "bare_workers.h"
#include "base/mem.h"
#include "core/ambient.h"
#include "explore.h"

static struct vowi_deque queue;
static int ends; /* why the thief ends what it steals; 0: it runs it */

static int
posts(vow_executor *self, vow_task *task)
{
    (void)self;
    return vowi_deque_push(&queue, task, true) ? 0 : VOW_E_LIMIT;
}

static bool
offers(vow_executor *self, vow_task *task)
{
    (void)self;
    return vowi_deque_push(&queue, task, true);
}

static bool
retracts(vow_executor *self, vow_task *task)
{
    (void)self;
    return vowi_deque_take_if(&queue, task);
}

static const vow_executor_ops ops = {
    .size = sizeof ops,
    .name = "one queue",
    .post = posts,
    .offer = offers,
    .retract = retracts,
};
static vow_executor executor = {.ops = &ops};

/* What the branches leave: each where its own thread writes. */
static int first_ran, second_ran, second_saw;
static vow_error *first_fails, *second_fails, *result;
static vow_promise *p;
static vow_future *f;

static vow_error *
runs_first(void *ctx)
{
    (void)ctx;
    first_ran++;
    return first_fails;
}

static vow_error *
runs_second(void *ctx)
{
    *(int *)ctx += 1; /* on the caller's stack */
    second_ran++;
    second_saw = vow_cancelled();
    return second_fails;
}

static void
calls(void)
{
    vow_executor *outer = vow_executor_enter(&executor);
    int on_stack = 0;

    result = vow_fork_join(&executor, runs_first, NULL, runs_second, &on_stack);
    require(on_stack == second_ran);
    vow_executor_enter(outer);
}

static void
steals(void)
{
    vow_executor *outer = vow_executor_enter(&executor);
    vow_task *task = vowi_deque_steal(&queue);

    if (task != NULL)
        task->run(task, ends);
    vow_executor_enter(outer);
}

static void
calls_and_steals(void)
{
    require(vowi_deque_init(&queue));
    run_threads(calls, steals);
    vowi_deque_fini(&queue);
}

SCENARIO(fork_join, 0, "a branch is taken back as another thread steals it",
         EXPECTED("both ran", "whoever runs it, its caller waits"))
{
    calls_and_steals();
    require(result == NULL && first_ran == 1 && second_ran == 1);
    outcome("both ran");
}

SCENARIO(fork_join_first_fails, 0, "the same, and the first fails",
         EXPECTED("7, not begun", "nobody had stolen it"),
         EXPECTED("7, ran", "it was stolen, and its end is waited for"),
         EXPECTED("7, told", "the same, and it saw that it is not wanted"))
{
    first_fails = vow_error_new(7, "first");
    calls_and_steals();
    require(vow_error_code(result) == 7 && second_ran <= 1);
    vow_error_unref(result);
    outcome("7, %s", second_saw ? "told" : second_ran == 1 ? "ran" : "not begun");
}

SCENARIO(fork_join_both_fail, 0, "the same, and both fail",
         EXPECTED("7", "that of the first, whoever ran the second"))
{
    first_fails = vow_error_new(7, "first");
    second_fails = vow_error_new(8, "second");
    calls_and_steals();
    if (second_ran == 0)
        vow_error_unref(second_fails);
    require(vow_error_code(result) == 7);
    vow_error_unref(result);
    outcome("7");
}

SCENARIO(fork_join_ended, 0, "a branch is ended by another thread, as by a close",
         EXPECTED("both ran", "its caller runs it"))
{
    ends = VOW_E_CLOSED;
    calls_and_steals();
    require(result == NULL && first_ran == 1 && second_ran == 1);
    outcome("both ran");
}

/* ---- a branch that waits ------------------------------------------------------------------------ */

static void
fulfills(void)
{
    vow_promise_fulfill(p, vow_i64(1));
    vow_promise_unref(p);
}

static vow_error *
waits_in_second(void *future)
{
    second_ran++;
    require(vow_get(future).error == NULL);
    return NULL;
}

static void
calls_what_waits(void)
{
    vow_executor *outer = vow_executor_enter(&executor);

    result = vow_fork_join(&executor, runs_first, NULL, waits_in_second, f);
    vow_executor_enter(outer);
}

SCENARIO(fork_join_sleeps, 0, "the branch waits for a promise, and its caller for that",
         EXPECTED("both ran", "no wake-up is lost"))
{
    p = vow_promise_new();
    f = vow_promise_future(p);
    require(f != NULL && vowi_deque_init(&queue));
    run_threads(calls_what_waits, steals, fulfills);
    vowi_deque_fini(&queue);
    vow_unref(f);
    require(result == NULL && second_ran == 1);
    outcome("both ran");
}

/* ---- both ask for the token of their task ----------------------------------------------------------- */

static vow_token *first_token, *second_token;

static vow_error *
asks_first(void *ctx)
{
    (void)ctx;
    first_token = vow_token_current();
    return NULL;
}

static vow_error *
asks_second(void *ctx)
{
    (void)ctx;
    second_token = vow_token_current();
    return NULL;
}

static vow_result
forks(void *ctx)
{
    vow_error *e = vow_fork_join(&executor, asks_first, NULL, asks_second, NULL);

    (void)ctx;
    return e == NULL ? vow_ok(VOW_NIL) : vow_err(e);
}

/* A task forks, on two threads. */
static void
runs_and_steals(vow_result (*task)(void *), vow_token *token)
{
    require(vowi_deque_init(&queue));
    f = vow_submit_with(&executor, &VOW_SUBMIT_OPTIONS(.token = token), task, VOW_NIL);
    run_threads(steals, steals);
    steals(); /* if one was too early */
    require(vow_get(f).error == NULL);
    vow_unref(f);
    vowi_deque_fini(&queue);
    require(first_token != NULL && first_token == second_token);
}

SCENARIO(fork_join_tokens, 0, "both branches ask for the token of their task at once",
         EXPECTED("one", "both have the same"))
{
    runs_and_steals(forks, NULL);
    vow_token_unref(first_token);
    vow_token_unref(second_token);
    outcome("one");
}

static vow_error *
borrows(void *token)
{
    vow_token *lent = vowi_ambient_token();

    require(vow_token_deadline_of(lent, NULL) == VOW_FOREVER);
    *(vow_token **)token = lent;
    return NULL;
}

static vow_result
forks_borrowers(void *ctx)
{
    (void)ctx;
    require(vow_fork_join(&executor, borrows, &first_token, borrows, &second_token) ==
            NULL);
    return vow_ok(VOW_NIL);
}

/* The task has a record from the beginning, and a lent token is used without its lock. */
SCENARIO(fork_join_lent_tokens, 0,
         "the same, of a task that was given one, and it is lent",
         EXPECTED("one", "it is whole when it is found"))
{
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);

    runs_and_steals(forks_borrowers, token);
    require(first_token != token);
    vow_token_unref(token);
    vow_source_unref(source);
    outcome("one");
}

/* ---- the queue of a worker ------------------------------------------------------------------------ */

static struct vowi_pool pool;
static vow_task tasks[2], *stolen;
static bool taken_back;

static void
make_workers(void)
{
    require(vowi_lock_init(&pool.inject_lock, VOWI_RANK_INJECT) == 0);
    require(vowi_lock_init(&pool.lock, VOWI_RANK_POOL) == 0);
    require(vowi_lock_init(&pool.level_lock, VOWI_RANK_LEVELS) == 0);
    add_workers(&pool, 2);
}

static void
end_workers(void)
{
    free_workers(2);
    vowi_lock_fini(&pool.inject_lock);
    vowi_lock_fini(&pool.level_lock);
    vowi_lock_fini(&pool.lock);
}

static void
offers_alone(void)
{
    vowi_self()->worker = &workers[0];
    if (!vowi_pool_offer(&pool.executor, &tasks[0]))
        require(vowi_pool_post(&pool.executor, &tasks[0]) == 0);
    vowi_self()->worker = NULL;
}

static void
looks_for_work(void)
{
    vowi_self()->worker = &workers[1];
    stolen = vowi_worker_next_task(&pool, &workers[1]);
    vowi_self()->worker = NULL;
}

SCENARIO(park_offer, 0, "a worker parks while another one offers all that it has",
         EXPECTED("stolen", "it is woken, or sees the task"))
{
    make_workers();
    run_threads(offers_alone, looks_for_work);
    require(stolen == &tasks[0]);
    end_workers();
    outcome("stolen");
}

static void
retracts_from_below(void)
{
    vowi_self()->worker = &workers[0];
    taken_back = vowi_pool_retract(&pool.executor, &tasks[0]);
    vowi_self()->worker = NULL;
}

static void
steals_once(void)
{
    stolen = vowi_deque_steal(&workers[0].deque);
}

/* The younger one is in the deque, or among what is shared. */
SCENARIO(retract_from_below, 0,
         "a task with a younger one above it is taken back or stolen",
         EXPECTED("taken back", "the thief was too late"),
         EXPECTED("stolen", "the thief was faster"))
{
    vow_task *younger;

    make_workers();
    require(vowi_deque_push(&workers[0].deque, &tasks[0], false));
    require(vowi_deque_push(&workers[0].deque, &tasks[1], false));
    run_threads(retracts_from_below, steals_once);
    require(taken_back == (stolen != &tasks[0]));
    younger = vowi_deque_steal(&workers[0].deque);
    if (younger == NULL)
        younger = vowi_level_take(&pool, VOW_NORMAL);
    require((younger == &tasks[1]) == (stolen != &tasks[1]));
    end_workers();
    outcome(taken_back ? "taken back" : "stolen");
}

/* ---- a whole pool ------------------------------------------------------------------------------------- */

static vow_executor *whole;

static void
calls_from_outside(void)
{
    int on_stack = 0;

    result = vow_fork_join(whole, runs_first, NULL, runs_second, &on_stack);
    require(on_stack == second_ran);
}

static void
cancels_queued(void)
{
    vow_unref(vow_executor_close(whole, VOW_CANCEL_QUEUED));
}

static void
make_whole(void)
{
    whole = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2, .spares = 1));
    require(whole != NULL);
}

static void
joins_whole(void)
{
    vow_unref(vow_executor_close(whole, VOW_DRAIN));
    require(vow_executor_join(whole) == 0);
    vow_executor_unref(whole);
}

SCENARIO(fork_join_pool, 0, "a thread of no pool forks on one",
         EXPECTED("both ran", "on two workers, or on one"))
{
    explore_calmly(make_whole);
    run_threads(calls_from_outside);
    explore_calmly(joins_whole);
    require(result == NULL && first_ran == 1 && second_ran == 1);
    outcome("both ran");
}

SCENARIO(fork_join_close, 0, "the same, while the pool is closed",
         EXPECTED("both ran", "there, or on the caller's thread"))
{
    explore_calmly(make_whole);
    run_threads(calls_from_outside, cancels_queued);
    explore_calmly(joins_whole);
    require(result == NULL && first_ran == 1 && second_ran == 1);
    outcome("both ran");
}
