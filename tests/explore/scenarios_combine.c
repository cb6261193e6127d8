/* SPDX-License-Identifier: MIT */
/* scenarios_combine.c - joins: arriving, deciding, leaving, cancelling, letting go. */
#include <vow/vow.h>

#include <errno.h>

#include "explore.h"

static vow_promise *p, *q, *r;
static vow_future *f, *g;
static int dropped;

/* ---- what the threads do --------------------------------------------------------------- */

static void
drop(void *counter)
{
    ++*(int *)counter;
}

static int dropped_of[3];

static vow_value
counted(int i)
{
    return vow_own(&dropped_of[i], drop);
}

static void
fulfills_p(void)
{
    vow_promise_fulfill(p, counted(0));
    vow_promise_unref(p);
}

static void
fulfills_q(void)
{
    vow_promise_fulfill(q, counted(1));
    vow_promise_unref(q);
}

static void
fulfills_r(void)
{
    vow_promise_fulfill(r, counted(2));
    vow_promise_unref(r);
}

static void
rejects_p(void)
{
    vow_promise_reject(p, vow_error_new(EIO, "p"));
    vow_promise_unref(p);
}

static void
rejects_q(void)
{
    vow_promise_reject(q, vow_error_new(EPERM, "q"));
    vow_promise_unref(q);
}

static void
cancels(void)
{
    vow_future_cancel(f, NULL);
}

static void
cancels_and_drops(void)
{
    vow_future_cancel(f, NULL);
    vow_unref(f);
}

static void
gets_and_drops(void)
{
    vow_get(f);
    vow_unref(f);
}

static vow_future *pair[2];

static void
make(void)
{
    p = vow_promise_new();
    q = vow_promise_new();
    pair[0] = vow_promise_future(p);
    pair[1] = vow_promise_future(q);
}

/* All that was made is dropped, once, when all have let go of it. */
static void
check_drops(int n)
{
    dropped = 0;
    for (int i = 0; i < n; i++) {
        require(dropped_of[i] <= 1);
        dropped += dropped_of[i];
    }
}

/* ---- arriving ------------------------------------------------------------------------------- */

SCENARIO(all_two_arrive, 0, "the last two inputs of when_all settle together",
         EXPECTED("2 results", "whoever was the last"))
{
    make();
    f = vow_when_all(pair, 2);
    run_threads(fulfills_p, fulfills_q);
    require(vow_future_status(f) == VOW_FULFILLED);
    outcome("%d results", (int)vow_results_count(vow_get_results(f)));
    vow_unref(f);
    check_drops(2);
    require(dropped == 2);
}

SCENARIO(all_two_fail, 0, "both inputs of when_all fail",
         EXPECTED("input 0", "p is first"), EXPECTED("input 1", "or q"))
{
    make();
    f = vow_when_all(pair, 2);
    run_threads(rejects_p, rejects_q);
    outcome("input %d", (int)vow_error_index(vow_get(f).error));
    vow_unref(f);
}

SCENARIO(all_one_fails, 0, "one input of when_all fails while the other one settles",
         EXPECTED("input 0", "it fails, whichever was first"))
{
    make();
    f = vow_when_all(pair, 2);
    run_threads(rejects_p, fulfills_q);
    outcome("input %d", (int)vow_error_index(vow_get(f).error));
    vow_unref(f);
    check_drops(2);
    require(dropped == 1);
}

SCENARIO(race_two_arrive, 0, "two inputs of a race settle together",
         EXPECTED("winner 0", "p is first"), EXPECTED("winner 1", "or q"))
{
    make();
    f = vow_when_any(pair, 2);
    run_threads(fulfills_p, fulfills_q);
    outcome("winner %d", (int)vow_get_winner(f)->index);
    vow_unref(f);
    check_drops(2);
    require(dropped == 2);
}

SCENARIO(race_passes_on, 0, "the outcome of a race is moved while the loser settles",
         EXPECTED("of p", "p is first"), EXPECTED("of q", "or q"))
{
    make();
    f = vow_race(pair, 2);
    run_threads(fulfills_p, fulfills_q);
    outcome("of %c", vow_get(f).value.as.ptr == &dropped_of[0] ? 'p' : 'q');
    vow_unref(f);
    check_drops(2);
    require(dropped == 2);
}

SCENARIO(race_get, 0, "a thread sleeps for a race, and lets go of it",
         EXPECTED("dropped 2", "nothing is left behind"))
{
    make();
    f = vow_race(pair, 2);
    run_threads(fulfills_p, fulfills_q, gets_and_drops);
    check_drops(2);
    outcome("dropped %d", dropped);
}

SCENARIO(any_all_fail, 0, "the last two inputs of any fail together",
         EXPECTED("2 errors: 5 1", "both are there"))
{
    const vow_error *e;

    make();
    f = vow_any(pair, 2);
    run_threads(rejects_p, rejects_q);
    e = vow_get(f).error;
    outcome("%d errors: %d %d", (int)vow_error_count(e),
            vow_error_code(vow_error_at(e, 0)), vow_error_code(vow_error_at(e, 1)));
    vow_unref(f);
}

SCENARIO(any_one_fails, 0, "one input of any fails, one does not",
         EXPECTED("of q", "whichever was first"))
{
    make();
    f = vow_any(pair, 2);
    run_threads(rejects_p, fulfills_q);
    outcome("of %c", vow_get(f).value.as.ptr == &dropped_of[1] ? 'q' : '?');
    vow_unref(f);
    check_drops(2);
    require(dropped == 1);
}

SCENARIO(some_piles, 0, "two of two are put on one pile", EXPECTED("0 1", "p came first"),
         EXPECTED("1 0", "or q"))
{
    const vow_results *results;

    make();
    f = vow_some(2, pair, 2);
    run_threads(fulfills_p, fulfills_q);
    results = vow_get_results(f);
    outcome("%d %d", (int)vow_results_index(results, 0),
            (int)vow_results_index(results, 1));
    vow_unref(f);
    check_drops(2);
    require(dropped == 2);
}

SCENARIO(some_two_piles, 0, "one of two works, one fails, two were wanted",
         EXPECTED("5 0", "p failed, q came"))
{
    const vow_error *e;

    make();
    f = vow_some(2, pair, 2);
    run_threads(rejects_p, fulfills_q);
    e = vow_get(f).error;
    outcome("%d %d", vow_error_code(vow_error_at(e, 0)),
            vow_error_code(vow_error_at(e, 1)));
    vow_unref(f);
    check_drops(2);
    require(dropped == 1);
}

SCENARIO(some_one_too_many, 0, "one is wanted, and two come",
         EXPECTED("0", "p came first"), EXPECTED("1", "or q"))
{
    make();
    f = vow_some(1, pair, 2);
    run_threads(fulfills_p, fulfills_q);
    outcome("%d", (int)vow_results_index(vow_get_results(f), 0));
    vow_unref(f);
    check_drops(2);
    require(dropped == 2);
}

/* ---- starting ---------------------------------------------------------------------------------- */

static void
starts_all(void)
{
    f = vow_when_all(pair, 2);
}

static void
starts_any(void)
{
    f = vow_when_any(pair, 2);
}

static void
starts_some(void)
{
    f = vow_some(1, pair, 2);
}

SCENARIO(start_all, 0, "when_all is made while its inputs settle",
         EXPECTED("2 results", "before or after"))
{
    make();
    run_threads(starts_all, fulfills_p, fulfills_q);
    require(vow_future_status(f) == VOW_FULFILLED);
    outcome("%d results", (int)vow_results_count(vow_get_results(f)));
    vow_unref(f);
    check_drops(2);
    require(dropped == 2);
}

SCENARIO(start_any, 0, "a race is made while its inputs settle",
         EXPECTED("winner 0", "p is first, or there already"),
         EXPECTED("winner 1", "or q"))
{
    make();
    run_threads(starts_any, fulfills_p, fulfills_q);
    outcome("winner %d", (int)vow_get_winner(f)->index);
    vow_unref(f);
    check_drops(2);
    require(dropped == 2);
}

static void
fulfills_both(void)
{
    fulfills_p();
    fulfills_q();
}

SCENARIO(start_order, 0, "a race is made while its inputs settle one after the other",
         EXPECTED("winner 0", "p is always before q"))
{
    make();
    run_threads(starts_any, fulfills_both);
    outcome("winner %d", (int)vow_get_winner(f)->index);
    vow_unref(f);
    check_drops(2);
    require(dropped == 2);
}

SCENARIO(start_some, 0, "one of two is wanted of inputs that settle meanwhile",
         EXPECTED("0", "p came first"), EXPECTED("1", "or q"))
{
    make();
    run_threads(starts_some, fulfills_p, fulfills_q);
    outcome("%d", (int)vow_results_index(vow_get_results(f), 0));
    vow_unref(f);
    check_drops(2);
    require(dropped == 2);
}

/* ---- cancelling and leaving --------------------------------------------------------------------- */

static const char *
how_it_ended(void)
{
    int code = vow_error_code(vow_get(f).error);

    return code == 0 ? "done" : code == VOW_E_CANCELLED ? "cancelled" : "failed";
}

SCENARIO(cancel_all_arrive, 0, "when_all is cancelled as its last inputs settle",
         EXPECTED("done", "they were first"), EXPECTED("cancelled", "or the request"))
{
    make();
    f = vow_when_all(pair, 2);
    run_threads(fulfills_p, fulfills_q, cancels);
    outcome("%s", how_it_ended());
    vow_unref(f);
    check_drops(2);
}

SCENARIO(cancel_race_arrive, 0, "a race is cancelled as an input settles",
         EXPECTED("done", "it was first"), EXPECTED("cancelled", "or the request"))
{
    make();
    f = vow_race(pair, 2);
    run_threads(fulfills_p, cancels);
    fulfills_q();
    outcome("%s", how_it_ended());
    vow_unref(f);
    check_drops(2);
}

SCENARIO(cancel_drop_arrive, 0, "cancelled and let go of as an input settles",
         EXPECTED("dropped 1", "p's value was there"),
         EXPECTED("dropped 0", "it was cancelled before"))
{
    make();
    f = vow_race(pair, 2);
    run_threads(fulfills_p, cancels_and_drops);
    vow_promise_unref(q);
    check_drops(1);
    require(dropped == 1);
    outcome("dropped %d", dropped_of[0] != 0 ? 1 : 0);
}

SCENARIO(cancel_cancel, 0, "two threads cancel one join", EXPECTED("cancelled", "once"))
{
    make();
    f = vow_when_all(pair, 2);
    run_threads(cancels, cancels);
    outcome("%s", how_it_ended());
    vow_unref(f);
    vow_promise_unref(p);
    vow_promise_unref(q);
}

static void
drops_g(void)
{
    vow_unref(g);
}

SCENARIO(leave_shared_loser, 0, "a loser is left while its other holder lets go of it",
         EXPECTED("of p", "p wins"))
{
    make();
    g = vow_ref(pair[1]);
    f = vow_race(pair, 2);
    run_threads(fulfills_p, drops_g);
    vow_promise_unref(q);
    outcome("of %c", vow_get(f).value.as.ptr == &dropped_of[0] ? 'p' : '?');
    vow_unref(f);
    check_drops(2);
    require(dropped == 1);
}

SCENARIO(duplicates_arrive, 0, "an input that is there twice settles as another one does",
         EXPECTED("winner 0", "the first of the two"), EXPECTED("winner 2", "or q"))
{
    vow_future *three[3];

    make();
    three[0] = pair[0];
    three[1] = vow_ref(pair[0]);
    three[2] = pair[1];
    f = vow_when_any(three, 3);
    run_threads(fulfills_p, fulfills_q);
    outcome("winner %d", (int)vow_get_winner(f)->index);
    vow_unref(f);
    check_drops(2);
    require(dropped == 2);
}

SCENARIO(duplicates_cancelled, 0,
         "an input that is there twice settles as it is cancelled",
         EXPECTED("done", "it was first"), EXPECTED("cancelled", "or the request"))
{
    vow_future *two[2];

    p = vow_promise_new();
    two[0] = vow_promise_future(p);
    two[1] = vow_ref(two[0]);
    f = vow_when_all(two, 2);
    run_threads(fulfills_p, cancels);
    outcome("%s", how_it_ended());
    vow_unref(f);
    check_drops(1);
    require(dropped == 1);
}

/* ---- waiting for the others --------------------------------------------------------------------- */

static void
ignores_request(vow_promise *promise, const vow_error *reason, void *ctx)
{
    (void)promise;
    (void)reason;
    (void)ctx;
}

SCENARIO(wait_for_loser, 0, "a race waits for its loser, which settles meanwhile",
         EXPECTED("of p", "p is first"), EXPECTED("of q", "or q"))
{
    make();
    vow_promise_on_cancel(q, NULL, ignores_request, VOW_NIL);
    f = vow_race_with(&VOW_COMBINE_OPTIONS(.flags = VOW_WAIT), pair, 2);
    run_threads(fulfills_p, fulfills_q);
    require(vow_future_status(f) == VOW_FULFILLED);
    outcome("of %c", vow_get(f).value.as.ptr == &dropped_of[0] ? 'p' : 'q');
    vow_unref(f);
    check_drops(2);
    require(dropped == 2);
}

SCENARIO(wait_and_keep, 0, "the same, and the loser is not asked to stop",
         EXPECTED("of p", "p is first"), EXPECTED("of q", "or q"))
{
    make();
    f = vow_race_with(&VOW_COMBINE_OPTIONS(.flags = VOW_WAIT | VOW_KEEP_OTHERS), pair, 2);
    run_threads(fulfills_p, fulfills_q);
    require(vow_future_status(f) == VOW_FULFILLED);
    outcome("of %c", vow_get(f).value.as.ptr == &dropped_of[0] ? 'p' : 'q');
    vow_unref(f);
    check_drops(2);
    require(dropped == 2);
}

SCENARIO(wait_cancel, 0, "waits for its inputs, one settles as it is cancelled",
         EXPECTED("done", "it was first"), EXPECTED("cancelled", "or the request"))
{
    make();
    f = vow_race_with(&VOW_COMBINE_OPTIONS(.flags = VOW_WAIT), pair, 2);
    run_threads(fulfills_p, cancels);
    vow_promise_unref(q);
    outcome("%s", how_it_ended());
    vow_unref(f);
}

/* ---- what is seen of what came before ------------------------------------------------------ */

/* Written before an input settles: who finds that a join of it has settled may read it. */
static int written, looked;

static void
reads_written(void)
{
    require(written == 1);
    looked = 1;
}

static void
writes_and_fulfills_q(void)
{
    written = 1;
    fulfills_q();
}

static void
writes_and_fulfills_both(void)
{
    written = 1;
    fulfills_both();
}

static vow_result
reads_in_step(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    reads_written();
    return vow_ok(VOW_NIL);
}

static void
looks(void)
{
    if (vow_future_status(f) == VOW_FULFILLED)
        reads_written();
}

static void
starts_all_and_looks(void)
{
    starts_all();
    looks();
}

SCENARIO(start_all_read, 0, "who makes when_all reads what came before its inputs",
         EXPECTED("looked 1", "they settled as it was made"),
         EXPECTED("looked 0", "or later"))
{
    make();
    run_threads(starts_all_and_looks, writes_and_fulfills_both);
    outcome("looked %d", looked);
    vow_unref(f);
    check_drops(2);
    require(dropped == 2);
}

/* The loser has another holder: its references tell nothing of its thread. */
SCENARIO(wait_read, 0,
         "who finds that a race has waited reads what came before its loser",
         EXPECTED("of p, looked 1", "p is first"), EXPECTED("of q, looked 1", "or q"),
         EXPECTED("of p, looked 0", "p is first, it is not over yet"),
         EXPECTED("of q, looked 0", "or q"))
{
    make();
    g = vow_ref(pair[1]);
    f = vow_race_with(&VOW_COMBINE_OPTIONS(.flags = VOW_WAIT | VOW_KEEP_OTHERS), pair, 2);
    run_threads(fulfills_p, writes_and_fulfills_q, looks);
    outcome("of %c, looked %d", vow_get(f).value.as.ptr == &dropped_of[0] ? 'p' : 'q',
            looked);
    vow_unref(f);
    vow_unref(g);
    check_drops(2);
    require(dropped == 2);
}

/* ---- one in another ------------------------------------------------------------------------------ */

SCENARIO(nested_arrive, 0, "a race of a when_all of two, and one more",
         EXPECTED("winner 0", "the two were first"), EXPECTED("winner 1", "or r"))
{
    make();
    r = vow_promise_new();
    g = vow_when_all(pair, 2);
    f = vow_when_any(VOW_FUTURES(g, vow_promise_future(r)));
    fulfills_p();
    run_threads(fulfills_q, fulfills_r);
    outcome("winner %d", (int)vow_get_winner(f)->index);
    vow_unref(f);
    check_drops(3);
    require(dropped == 3);
}

/* ---- tokens -------------------------------------------------------------------------------------- */

static vow_source *source;

static void
fires(void)
{
    vow_source_cancel(source, NULL);
    vow_source_unref(source);
}

static void
starts_with_token(void)
{
    vow_token *token = vow_source_token(source);

    f = vow_race_with(&VOW_COMBINE_OPTIONS(.token = token), pair, 2);
    vow_token_unref(token);
}

SCENARIO(token_arrive, 0, "the token of a race fires as an input settles",
         EXPECTED("done", "it was first"), EXPECTED("cancelled", "or the token"))
{
    make();
    source = vow_source_new();
    starts_with_token();
    run_threads(fulfills_p, fires);
    vow_promise_unref(q);
    outcome("%s", how_it_ended());
    vow_unref(f);
    check_drops(1);
    require(dropped == 1);
}

SCENARIO(token_start, 0, "the token of a race fires as it is made",
         EXPECTED("cancelled", "before or after"))
{
    vow_source *other;

    make();
    source = vow_source_new();
    other = vow_source_ref(source);
    run_threads(starts_with_token, fires);
    vow_source_unref(other);
    outcome("%s", how_it_ended());
    vow_unref(f);
    vow_promise_unref(p);
    vow_promise_unref(q);
}

/* ---- helping ------------------------------------------------------------------------------------- */

static vow_task *kept;

static int
keep(vow_executor *self, vow_task *task)
{
    (void)self;
    kept = task;
    return 0;
}

static bool
has_no_help(vow_executor *self, vow_task *awaited)
{
    (void)self;
    (void)awaited;
    return false;
}

static const vow_executor_ops one_task = {.size = sizeof(vow_executor_ops),
                                          .name = "one task",
                                          .post = keep,
                                          .help = has_no_help};
static vow_executor own = {.ops = &one_task};
static int ran;

static vow_result
runs(void *ctx)
{
    (void)ctx;
    ran++;
    return vow_ok(VOW_NIL);
}

/* A thread of an executor that waits for all: it runs the task that is one of them. */
static void
helps_and_gets(void)
{
    vow_executor *before = vow_executor_enter(&own);

    vow_get(f);
    vow_executor_enter(before);
}

static void
make_with_task(void)
{
    q = vow_promise_new();
    pair[0] = vow_submit(&own, runs, VOW_NIL);
    pair[1] = vow_promise_future(q);
    f = vow_when_all(pair, 2);
}

static void
end_task(void)
{
    kept->run(kept, VOW_E_CLOSED); /* it was run by its waiter, or cancelled */
}

SCENARIO(help_arrive, 0, "a waiter runs one input while the other one settles",
         EXPECTED("done, ran 1", "by the waiter"))
{
    make_with_task();
    run_threads(helps_and_gets, fulfills_q);
    end_task();
    outcome("%s, ran %d", how_it_ended(), ran);
    vow_unref(f);
    check_drops(2);
    require(dropped == 1);
}

SCENARIO(help_cancel, 0, "a waiter looks for what to run as the join is cancelled",
         EXPECTED("cancelled, ran 1", "it had begun"),
         EXPECTED("cancelled, ran 0", "it came too late"))
{
    make_with_task();
    run_threads(helps_and_gets, cancels);
    end_task();
    vow_promise_unref(q);
    outcome("%s, ran %d", how_it_ended(), ran);
    vow_unref(f);
}

SCENARIO(help_fail, 0, "a waiter looks for what to run as an input fails",
         EXPECTED("failed, ran 1", "it had begun"),
         EXPECTED("failed, ran 0", "it came too late"))
{
    make_with_task();
    run_threads(helps_and_gets, rejects_q);
    end_task();
    outcome("%s, ran %d", how_it_ended(), ran);
    vow_unref(f);
}

SCENARIO(help_read, 0, "a step on when_all reads what came before its input, in a waiter",
         EXPECTED("looked 1", "whoever was the last"))
{
    q = vow_promise_new();
    f = vow_when_all(VOW_FUTURES(vow_promise_future(q)));
    vow_unref(vow_then(vow_ref(f), NULL, reads_in_step, VOW_NIL));
    run_threads(helps_and_gets, writes_and_fulfills_q);
    outcome("looked %d", looked);
    vow_unref(f);
    check_drops(2);
    require(dropped == 1);
}

/* ---- a map ----------------------------------------------------------------------------- */

static vow_result
follows(vow_value item, void *c)
{
    (void)c;
    return vow_follow(vow_promise_future(item.as.i64 == 0 ? p : q));
}

static int told;

/* What it is told with is there as long as the context. */
static void
is_told(size_t done, size_t total, void *c)
{
    (void)total;
    require(*(int *)c == 0);
    require((int)done == ++told);
}

SCENARIO(map_fail_progress, 0, "an item fails as the other one ends",
         EXPECTED("failed, told 2", "of both"))
{
    const vow_value items[] = {vow_i64(0), vow_i64(1)};

    p = vow_promise_new();
    q = vow_promise_new();
    f = vow_map(
        NULL, &VOW_MAP_OPTIONS(.limit = 2, .progress = is_told, .progress_ctx = &dropped),
        items, 2, follows, vow_own(&dropped, drop));
    run_threads(rejects_p, fulfills_q);
    outcome("%s, told %d", how_it_ended(), told);
    vow_unref(f);
    require(dropped == 1);
}

/* ---- a join of those who wait for it ---------------------------------------------------------- */

/* An executor that keeps its tasks: each is run by a thread of the scenario. */
static vow_task *waiting[2];
static int waiting_count;

static int
takes_task(vow_executor *self, vow_task *task)
{
    (void)self;
    waiting[waiting_count++] = task;
    return 0;
}

static const vow_executor_ops keeper_ops = {
    .size = sizeof keeper_ops, .name = "keeper", .post = takes_task};
static vow_executor keeper = {.ops = &keeper_ops};

static vow_future *task[2], *join[2];

/* Fails as that which it waits for. */
static vow_result
waits_for_join(void *awaited)
{
    const vow_error *error = vow_get(*(vow_future **)awaited).error;

    return error != NULL ? vow_err(vow_error_ref(error)) : vow_ok(VOW_NIL);
}

static void
make_tasks(int n)
{
    for (int i = 0; i < n; i++)
        task[i] = vow_submit(&keeper, waits_for_join, vow_ptr(&join[i]));
}

static void
runs_task(void)
{
    waiting[0]->run(waiting[0], 0);
}

static void
runs_other(void)
{
    waiting[1]->run(waiting[1], 0);
}

static int
code_of_task(int i)
{
    int code = vow_error_code(vow_peek(task[i]).error);

    require(vow_future_status(task[i]) != VOW_PENDING);
    vow_unref(task[i]);
    return code;
}

SCENARIO(join_of_waiters, 0, "two tasks wait for a join each, which has the other task",
         EXPECTED("deadlock, deadlock", "one is told so, and the other fails with it"))
{
    make_tasks(2);
    join[0] = vow_when_all(&(vow_future *){vow_ref(task[1])}, 1);
    join[1] = vow_race(&(vow_future *){vow_ref(task[0])}, 1);
    run_threads(runs_task, runs_other);
    outcome("%s, %s", code_of_task(0) == VOW_E_DEADLOCK ? "deadlock" : "another code",
            code_of_task(1) == VOW_E_DEADLOCK ? "deadlock" : "another code");
    vow_ignore(join[0]);
    vow_ignore(join[1]);
}

SCENARIO(join_of_waiter_and_promise, 0,
         "a task waits for a join of itself and of a promise that is rejected meanwhile",
         EXPECTED("code 5", "however far that had come"))
{
    make_tasks(1);
    p = vow_promise_new();
    join[0] = vow_when_all(VOW_FUTURES(vow_ref(task[0]), vow_promise_future(p)));
    run_threads(runs_task, rejects_p);
    outcome("code %d", code_of_task(0));
    vow_ignore(join[0]);
}

SCENARIO(join_asked_as_it_settles, 0,
         "a task is about to sleep for a join whose last input settles",
         EXPECTED("code 0", "it is not the only one who may end it"))
{
    make();
    make_tasks(1);
    join[0] = vow_when_all(pair, 2);
    fulfills_q();
    run_threads(runs_task, fulfills_p);
    outcome("code %d", code_of_task(0));
    vow_unref(join[0]);
    check_drops(2);
    require(dropped == 2);
}
