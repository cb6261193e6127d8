/* SPDX-License-Identifier: MIT */
/*
 * scenarios_executor.c - the core's side of executors: jobs, hand-over, credit, waits.
 *
 * `mine` is an executor as a user may write it, with no threads: what is posted lies in
 * a stack, and the threads of a scenario run what they find there.
 */
#include <stdatomic.h>

#include <vow/vow.h>

#include "core/deadlock.h"
#include "explore.h"

static _Atomic(vow_task *) posted;
static atomic_int destroyed;
static atomic_int help_asked;

static int
mine_post(vow_executor *self, vow_task *task)
{
    vow_task *before = atomic_load_explicit(&posted, memory_order_relaxed);

    (void)self;
    require(atomic_load_explicit(&destroyed, memory_order_relaxed) == 0);
    do
        task->next = before;
    while (!atomic_compare_exchange_strong_explicit(
        &posted, &before, task, memory_order_acq_rel, memory_order_relaxed));
    return 0;
}

static vow_executor mine;

static bool
mine_is_current(vow_executor *self)
{
    return vow_executor_current() == self;
}

static bool
mine_help(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    atomic_fetch_add_explicit(&help_asked, 1, memory_order_relaxed);
    return false;
}

static int
mine_block_begin(vow_executor *self)
{
    (void)self;
    return 0;
}

static void
mine_destroy(vow_executor *self)
{
    (void)self;
    atomic_fetch_add_explicit(&destroyed, 1, memory_order_relaxed);
}

static const vow_executor_ops mine_ops = {
    .size = sizeof mine_ops,
    .name = "mine",
    .post = mine_post,
    .is_current = mine_is_current,
    .help = mine_help,
    .block_begin = mine_block_begin,
    .destroy = mine_destroy,
};

static void
make_mine(void)
{
    require(vow_executor_init(&mine, &mine_ops) == 0);
}

static void
run_tasks(vow_task *task)
{
    vow_executor *before = vow_executor_enter(&mine);

    while (task != NULL) {
        vow_task *next = task->next;

        task->run(task, 0);
        task = next;
    }
    vow_executor_enter(before);
}

/* Runs what is posted now, and what that posts. */
static void
runs_posted(void)
{
    vow_task *task;

    while ((task = atomic_exchange_explicit(&posted, NULL, memory_order_acq_rel)) != NULL)
        run_tasks(task);
}

static void
end_mine(void)
{
    runs_posted();
    vow_executor_unref(&mine);
    vow_trim();
    require(destroyed == 1);
}

static vow_promise *p, *q;
static vow_future *f, *g, *h;
static int ran, dropped, code;

static void
make(void)
{
    make_mine();
    p = vow_promise_new();
    f = vow_promise_future(p);
}

static void
fulfills(void)
{
    vow_promise_fulfill(p, vow_i64(1));
    vow_promise_unref(p);
}

static vow_result
notes(vow_value in, void *ctx)
{
    (void)ctx;
    ran++;
    return vow_ok(in);
}

static void
drops_ctx(void *ptr)
{
    (void)ptr;
    dropped++;
}

/* ---- hand-over ---------------------------------------------------------------------------- */

static char digits[8];
static atomic_int digit_count;

static vow_result
writes_digit(vow_value in, void *ctx)
{
    int at = atomic_fetch_add_explicit(&digit_count, 1, memory_order_acq_rel);

    (void)in;
    digits[at] = *(const char *)ctx;
    return vow_ok(VOW_NIL);
}

static void
attach_steps(const char *names)
{
    for (; *names != '\0'; names++)
        vow_unref(vow_then(vow_ref(f), NULL, writes_digit, vow_ptr(names)));
}

static void
fulfills_within(void)
{
    vow_executor *before = vow_executor_enter(&mine);

    fulfills();
    vow_executor_enter(before);
}

SCENARIO(hand_over, 0, "a settle with more inline steps than the budget, on an executor",
         EXPECTED("12345", "each once, in order, on whatever thread"))
{
    make();
    attach_steps("12345");
    vow_unref(f);
    run_threads(fulfills_within, runs_posted);
    end_mine();
    outcome("%s", digits);
}

static vow_future *handed_over;

static void
cancels_handed_over(void)
{
    vow_future_cancel(handed_over, NULL);
    vow_unref(handed_over);
}

/* The second keeps what the first calls while they are handed over. */
SCENARIO(hand_over_cancelled, 0, "the same, and a step that was handed over is cancelled",
         EXPECTED("12345", "it was running first"),
         EXPECTED("1345", "and now it does not run"))
{
    make();
    attach_steps("1");
    handed_over = vow_then(vow_ref(f), NULL, writes_digit, vow_ptr("2"));
    attach_steps("345");
    vow_unref(f);
    run_threads(fulfills_within, runs_posted, cancels_handed_over);
    end_mine();
    outcome("%s", digits);
}

/* ---- references to an executor ---------------------------------------------------------------- */

static void
drops_mine(void)
{
    vow_executor_unref(&mine);
}

static void
attaches_to_mine(void)
{
    vow_unref(vow_then(f, &mine, notes, VOW_NIL));
}

SCENARIO(credit_deliver, 0,
         "the last handle of an executor goes while a step is delivered",
         EXPECTED("ran 1, destroyed 1", "its memory stays for the step"))
{
    make();
    attaches_to_mine();
    vow_trim();
    run_threads(drops_mine, fulfills);
    runs_posted();
    outcome("ran %d, destroyed %d", ran, destroyed);
}

static void
attaches_and_drops_mine(void)
{
    attaches_to_mine();
    vow_executor_unref(&mine);
}

SCENARIO(credit_attach, 0, "attaching, delivering and letting go of an executor",
         EXPECTED("ran 1, destroyed 1", "holds and handles are counted apart"))
{
    make();
    vow_executor_ref(&mine);
    run_threads(attaches_and_drops_mine, fulfills);
    vow_executor_unref(&mine);
    runs_posted();
    outcome("ran %d, destroyed %d", ran, destroyed);
}

static int used[2], uses; /* plain: whoever closes has seen what all did before */

static void
counts_uses(vow_executor *self, vow_close_mode mode)
{
    (void)mode;
    uses = used[0] + used[1];
    vow_executor_finished(self);
}

static void
uses_and_unrefs(void)
{
    used[0] = 1;
    vow_executor_unref(&mine);
}

static void
uses_and_unrefs_too(void)
{
    used[1] = 1;
    vow_executor_unref(&mine);
}

SCENARIO(two_handles, 0, "two threads let go of an executor, and the last one closes it",
         EXPECTED("2 uses", "it sees what the other one did"))
{
    vow_executor_ops ops = mine_ops;

    ops.close = counts_uses;
    require(vow_executor_init(&mine, &ops) == 0);
    vow_executor_ref(&mine);
    run_threads(uses_and_unrefs, uses_and_unrefs_too);
    outcome("%d uses", uses);
}

static void
closes_mine(void)
{
    vow_unref(vow_executor_close(&mine, VOW_DRAIN));
}

SCENARIO(two_closes, 0, "two threads close an executor that settles at once",
         EXPECTED("closed", "finished once"))
{
    make_mine();
    run_threads(closes_mine, closes_mine);
    require(vow_executor_join(&mine) == 0);
    end_mine();
    outcome("closed");
}

/* Finishes when it says so, and not as it is closed. */
static void
goes_on(vow_executor *self, vow_close_mode mode)
{
    (void)self;
    (void)mode;
}

static const vow_executor_ops lasting_ops = {.size = sizeof lasting_ops,
                                             .name = "lasting",
                                             .post = mine_post,
                                             .close = goes_on,
                                             .destroy = mine_destroy};

static vow_result
takes_handles(void *ctx)
{
    (void)ctx;
    vow_executor_unref(vow_executor_ref(vow_executor_current()));
    vow_executor_unref(vow_executor_ref(vow_executor_current()));
    require(atomic_load_explicit(&destroyed, memory_order_relaxed) == 0);
    ran++;
    return vow_ok(VOW_NIL);
}

SCENARIO(ref_again, 0, "a task takes a handle of its executor as the last one goes",
         EXPECTED("ran 1, destroyed 1", "it lasts until it has finished"))
{
    require(vow_executor_init(&mine, &lasting_ops) == 0);
    vow_unref(vow_submit(&mine, takes_handles, VOW_NIL));
    run_threads(runs_posted, drops_mine);
    require(destroyed == 0);
    vow_executor_finished(&mine);
    outcome("ran %d, destroyed %d", ran, destroyed);
}

/* ---- jobs ------------------------------------------------------------------------------------------ */

static vow_result
computes(void *ctx)
{
    (void)ctx;
    ran++;
    return vow_ok(vow_i64(7));
}

static void
cancels(void)
{
    vow_future_cancel(g, NULL);
    vow_unref(g);
}

static int
code_of(vow_future *future)
{
    if (vow_future_status(future) == VOW_PENDING)
        return -1;
    return vow_error_code(vow_peek(future).error);
}

SCENARIO(job_cancel, 0, "a job is stopped while a thread takes it",
         EXPECTED("ran 0, dropped 1, code 4096", "stopped first"),
         EXPECTED("ran 1, dropped 1, code 0", "taken first"))
{
    make_mine();
    f = vow_submit(&mine, computes, vow_own(&ran, drops_ctx));
    g = vow_ref(f);
    run_threads(runs_posted, cancels);
    code = code_of(f);
    vow_unref(f);
    end_mine();
    outcome("ran %d, dropped %d, code %d", ran, dropped, code);
}

static void
drops_future(void)
{
    vow_unref(f);
}

SCENARIO(job_unwanted, 0, "the last future of a stoppable job goes while it is taken",
         EXPECTED("ran 0, dropped 1", "unwanted first"),
         EXPECTED("ran 1, dropped 1", "taken first"))
{
    make_mine();
    f = vow_submit_with(&mine, &VOW_SUBMIT_OPTIONS(.flags = VOW_STOP_WHEN_UNWANTED),
                        computes, vow_own(&ran, drops_ctx));
    run_threads(runs_posted, drops_future);
    end_mine();
    outcome("ran %d, dropped %d", ran, dropped);
}

static vow_result
returns_follow(void *ctx)
{
    (void)ctx;
    ran++;
    return vow_follow(h);
}

static void
make_follow(void)
{
    make_mine();
    q = vow_promise_new();
    h = vow_promise_future(q);
    f = vow_submit(&mine, returns_follow, VOW_NIL);
    g = vow_ref(f);
}

SCENARIO(job_follow_cancel, 0, "a job that returns a future is stopped while it runs",
         EXPECTED("ran 0: 4096", "stopped before"),
         EXPECTED("ran 1: 4096", "the request reaches whom it follows"))
{
    make_follow();
    run_threads(runs_posted, cancels);
    if (ran == 0)
        vow_unref(h);
    code = code_of(f);
    vow_unref(f);
    vow_promise_unref(q);
    end_mine();
    outcome("ran %d: %d", ran, code);
}

static int cancel_called;

static void
is_cancelled(vow_promise *promise, const vow_error *reason, void *ctx)
{
    (void)ctx;
    cancel_called++;
    vow_promise_reject(promise, vow_error_ref(reason));
}

static void
fulfills_q(void)
{
    vow_promise_fulfill(q, VOW_NIL);
    vow_promise_unref(q);
}

static void
cancels_h(void)
{
    vow_future_cancel(h, NULL);
    vow_unref(h);
}

SCENARIO(hook_fulfill, 0, "a promise with a hook is stopped while it is fulfilled",
         EXPECTED("called 0, dropped 1, code 0", "fulfilled first"),
         EXPECTED("called 1, dropped 1, code 4096", "stopped first"),
         EXPECTED("called 1, dropped 1, code 0", "asked, but fulfilled"),
         FORBIDDEN("called 0, dropped 1, code 4096", "only the hook says so"))
{
    q = vow_promise_new();
    h = vow_promise_future(q);
    g = vow_ref(h);
    require(vow_promise_on_cancel(q, NULL, is_cancelled, vow_own(&ran, drops_ctx)) !=
            NULL);
    run_threads(fulfills_q, cancels_h);
    code = code_of(g);
    vow_unref(g);
    outcome("called %d, dropped %d, code %d", cancel_called, dropped, code);
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

static vow_task *tasks[2];
static vow_future *jobs[2];
static int codes[2];

static vow_result
gets_1(void *ctx)
{
    (void)ctx;
    codes[0] = vow_error_code(vow_get(jobs[1]).error);
    return vow_ok(VOW_NIL);
}

static vow_result
gets_0(void *ctx)
{
    (void)ctx;
    codes[1] = vow_error_code(vow_get(jobs[0]).error);
    return vow_ok(VOW_NIL);
}

static vow_result
gives_nil(void *ctx)
{
    (void)ctx;
    ran++;
    return vow_ok(VOW_NIL);
}

static void
runs_task_0(void)
{
    run_tasks(tasks[0]);
}

static void
runs_task_1(void)
{
    run_tasks(tasks[1]);
}

static void
make_jobs(vow_task_fn *first, vow_task_fn *second)
{
    make_mine();
    jobs[0] = vow_submit(&mine, first, VOW_NIL);
    tasks[0] = atomic_exchange_explicit(&posted, NULL, memory_order_relaxed);
    jobs[1] = vow_submit(&mine, second, VOW_NIL);
    tasks[1] = atomic_exchange_explicit(&posted, NULL, memory_order_relaxed);
}

static void
end_jobs(void)
{
    vow_unref(jobs[0]);
    vow_unref(jobs[1]);
    end_mine();
}

SCENARIO(deadlock_two, 0, "two jobs on two threads wait for one another",
         EXPECTED("4101 0", "the first is told"),
         EXPECTED("0 4101", "the second is told"))
{
    make_jobs(gets_1, gets_0);
    run_threads(runs_task_0, runs_task_1);
    end_jobs();
    outcome("%d %d", codes[0], codes[1]);
}

SCENARIO(deadlock_none, 0, "a job waits for another one that runs or is queued",
         EXPECTED("0, ran 1", "run in place, or waited for"))
{
    make_jobs(gets_1, gives_nil);
    run_threads(runs_task_0, runs_task_1);
    end_jobs();
    outcome("%d, ran %d", codes[0], ran);
}

/* An executor of two threads, which counts those that wait. */
static atomic_int running = 2;

static int
counts_block_begin(vow_executor *self)
{
    (void)self;
    return atomic_fetch_sub_explicit(&running, 1, memory_order_acq_rel) == 1 ? VOW_E_LIMIT
                                                                             : 0;
}

static void
counts_block_end(vow_executor *self)
{
    (void)self;
    atomic_fetch_add_explicit(&running, 1, memory_order_acq_rel);
}

static const vow_executor_ops counting_ops = {
    .size = sizeof counting_ops,
    .name = "counting",
    .post = mine_post,
    .is_current = mine_is_current,
    .block_begin = counts_block_begin,
    .block_end = counts_block_end,
    .destroy = mine_destroy,
};

static void
is_not_exhausted(const struct vowi_wait *w, void *ctx)
{
    (void)ctx;
    require(!w->exhausted);
}

/* While it runs nobody is to say that no thread is left. */
static vow_result
wakes_and_wakes_the_other(void *ctx)
{
    (void)ctx;
    vow_get(h);
    vowi_waits_each(&mine, is_not_exhausted, NULL);
    vow_promise_fulfill(p, VOW_NIL);
    return vow_ok(VOW_NIL);
}

static vow_result
wakes_the_other_and_waits(void *ctx)
{
    (void)ctx;
    vow_promise_fulfill(q, VOW_NIL);
    vow_get(f);
    ran++;
    return vow_ok(VOW_NIL);
}

SCENARIO(exhausted_while_one_wakes, 0,
         "of two threads the last begins to wait while the other wakes",
         EXPECTED("ran 1", "as long as one runs a thread is left"))
{
    require(vow_executor_init(&mine, &counting_ops) == 0);
    p = vow_promise_new();
    f = vow_promise_future(p);
    q = vow_promise_new();
    h = vow_promise_future(q);
    jobs[0] = vow_submit(&mine, wakes_and_wakes_the_other, VOW_NIL);
    tasks[0] = atomic_exchange_explicit(&posted, NULL, memory_order_relaxed);
    jobs[1] = vow_submit(&mine, wakes_the_other_and_waits, VOW_NIL);
    tasks[1] = atomic_exchange_explicit(&posted, NULL, memory_order_relaxed);
    run_threads(runs_task_0, runs_task_1);
    vow_promise_unref(p);
    vow_promise_unref(q);
    vow_unref(f);
    vow_unref(h);
    end_jobs();
    outcome("ran %d", ran);
}

static vow_future *queued[2];

/* A job that no thread is left for, unless it is told so and goes on. */
static vow_result
gets_queued(void *ctx)
{
    int i = ctx == &codes[1];

    codes[i] = vow_error_code(vow_get(queued[i]).error);
    return vow_ok(VOW_NIL);
}

static void
runs_task_0_and_posted(void)
{
    runs_task_0();
    runs_posted();
}

static void
runs_task_1_and_posted(void)
{
    runs_task_1();
    runs_posted();
}

SCENARIO(deadlock_counted, 0, "both threads of an executor wait for what is queued there",
         EXPECTED("4101 0, ran 2",
                  "the first is told, and runs what the other waits for"),
         EXPECTED("0 4101, ran 2", "the second is"))
{
    require(vow_executor_init(&mine, &counting_ops) == 0);
    jobs[0] = vow_submit(&mine, gets_queued, vow_ptr(&codes[0]));
    tasks[0] = atomic_exchange_explicit(&posted, NULL, memory_order_relaxed);
    jobs[1] = vow_submit(&mine, gets_queued, vow_ptr(&codes[1]));
    tasks[1] = atomic_exchange_explicit(&posted, NULL, memory_order_relaxed);
    queued[0] = vow_submit(&mine, gives_nil, VOW_NIL);
    queued[1] = vow_submit(&mine, gives_nil, VOW_NIL);
    run_threads(runs_task_0_and_posted, runs_task_1_and_posted);
    vow_unref(queued[0]);
    vow_unref(queued[1]);
    end_jobs();
    outcome("%d %d, ran %d", codes[0], codes[1], ran);
}

static vow_result
follows_h(void *ctx)
{
    (void)ctx;
    ran++;
    return vow_follow(h);
}

SCENARIO(in_place_follow, 0, "a job run in place returns a future that another fulfills",
         EXPECTED("0, ran 1", "its waiter waits for that one"))
{
    q = vow_promise_new();
    h = vow_promise_future(q);
    make_jobs(gets_1, follows_h);
    run_threads(runs_task_0, fulfills_q);
    runs_task_1();
    end_jobs();
    outcome("%d, ran %d", codes[0], ran);
}

static void
cancels_job_1(void)
{
    vow_future_cancel(jobs[1], NULL);
}

SCENARIO(in_place_follow_cancel, 0,
         "a job run in place begins to follow as it is stopped",
         EXPECTED("4096, ran 0", "before it began"),
         EXPECTED("4096, ran 1", "whom it follows is stopped, whoever says so"))
{
    q = vow_promise_new();
    h = vow_promise_future(q);
    make_jobs(gets_1, follows_h);
    run_threads(runs_task_0, cancels_job_1);
    runs_task_1();
    end_jobs();
    if (ran == 0)
        vow_unref(h);
    vow_promise_unref(q);
    outcome("%d, ran %d", codes[0], ran);
}

/* ---- turns ------------------------------------------------------------------------------------------ */

static int turns, turns_wanted; /* plain: each turn sees the one before */

static vow_result
takes_turns(void *ctx)
{
    (void)ctx;
    return ++turns < turns_wanted ? vow_yield_task() : vow_ok(VOW_NIL);
}

/* Runs its turns, but for those that another one runs. */
static void
runs_job_1(void)
{
    runs_task_1();
    while (vow_future_status(jobs[1]) == VOW_PENDING)
        if (atomic_load_explicit(&posted, memory_order_relaxed) != NULL)
            runs_posted();
}

static void
make_turns(int wanted)
{
    turns_wanted = wanted;
    make_jobs(gets_1, takes_turns);
}

SCENARIO(yield_in_place, 0, "a waiter runs turns of a job that comes out of its queue",
         EXPECTED("0, 2 turns", "one of the two posts its node again, or none need"))
{
    make_turns(2);
    run_threads(runs_task_0, runs_job_1);
    end_jobs();
    outcome("%d, %d turns", codes[0], turns);
}

SCENARIO(yield_in_place_again, 0, "the same, and the node comes out twice",
         EXPECTED("0, 3 turns", "it is posted after it was taken out, not before"))
{
    make_turns(3);
    run_threads(runs_task_0, runs_job_1);
    end_jobs();
    outcome("%d, %d turns", codes[0], turns);
}

static vow_future *other;
static vow_task *other_task;

static vow_result
gets_1_too(void *ctx)
{
    (void)ctx;
    codes[1] = vow_error_code(vow_get(jobs[1]).error);
    return vow_ok(VOW_NIL);
}

static void
runs_other(void)
{
    run_tasks(other_task);
}

/* A's turn ends as the node is TAKEN, is posted for that, and is TAKEN again in B's. */
SCENARIO(yield_two_in_place, 0, "two waiters run turns of a job that comes out twice",
         EXPECTED("0, 3 turns", "who posts the node again comes after all who had it"))
{
    make_turns(3);
    other = vow_submit(&mine, gets_1_too, VOW_NIL);
    other_task = atomic_exchange_explicit(&posted, NULL, memory_order_relaxed);
    run_threads(runs_task_0, runs_other, runs_job_1);
    vow_unref(other);
    end_jobs();
    outcome("%d, %d turns", codes[0], turns);
}

SCENARIO(yield_cancel, 0, "a job that gives up its turn is asked to stop",
         EXPECTED("code 4096, 0 turns", "before the first"),
         EXPECTED("code 4096, 1 turns", "in it, or after it"),
         EXPECTED("code 0, 2 turns", "too late"))
{
    make_turns(2);
    run_threads(runs_job_1, cancels_job_1);
    runs_posted();
    code = code_of(jobs[1]);
    runs_task_0();
    end_jobs();
    outcome("code %d, %d turns", code, turns);
}

/* ---- the executor that a test steps -------------------------------------------------------------------- */

static vow_manual *manual;

static void
posts_to_manual(void)
{
    f = vow_submit(vow_manual_executor(manual), computes, VOW_NIL);
}

static void
closes_manual(void)
{
    vow_unref(vow_executor_close(vow_manual_executor(manual), VOW_DRAIN));
}

static void
cancels_manual(void)
{
    vow_unref(vow_executor_close(vow_manual_executor(manual), VOW_CANCEL_QUEUED));
}

static void
steps_manual(void)
{
    vow_manual_run(manual);
}

static void
end_manual(void)
{
    vow_manual_run(manual);
    code = code_of(f);
    vow_unref(f);
    vow_manual_unref(manual);
    outcome("ran %d, code %d", ran, code);
}

SCENARIO(manual_close, 0, "manual: a job is submitted while it is closed",
         EXPECTED("ran 1, code 0", "submitted first"),
         EXPECTED("ran 0, code 4099", "closed first"))
{
    manual = vow_manual_new();
    run_threads(posts_to_manual, closes_manual);
    end_manual();
}

SCENARIO(manual_cancel, 0, "manual: it is stepped while what is queued is cancelled",
         EXPECTED("ran 1, code 0", "stepped first"),
         EXPECTED("ran 0, code 4099", "cancelled first"))
{
    manual = vow_manual_new();
    posts_to_manual();
    run_threads(steps_manual, cancels_manual);
    end_manual();
}

/* ---- two steps elsewhere on one job --------------------------------------------------------------------- */

static vow_manual *behind;

static vow_result
fails_with_seven(void *ctx)
{
    (void)ctx;
    return vow_fail(7, "seven");
}

static vow_result
catches(const vow_error *error, void *ctx)
{
    (void)error;
    (void)ctx;
    return vow_ok(VOW_NIL);
}

static void
steps_behind(void)
{
    vow_manual_run(behind);
}

static void
cancels_second(void)
{
    vow_future_cancel(h, NULL);
}

SCENARIO(two_steps_cancel, 0, "two steps elsewhere are delivered while one is stopped",
         EXPECTED("0 4096", "stopped before it ran"), EXPECTED("0 0", "it ran before"))
{
    manual = vow_manual_new();
    behind = vow_manual_new();
    f = vow_submit(vow_manual_executor(manual), fails_with_seven, VOW_NIL);
    g = vow_catch(vow_ref(f), vow_manual_executor(behind), catches, VOW_NIL);
    h = vow_catch_if(f, 7, vow_manual_executor(behind), catches, VOW_NIL);
    run_threads(steps_manual, steps_behind, cancels_second);
    vow_manual_run(behind);
    outcome("%d %d", code_of(g), code_of(h));
    vow_unref(g);
    vow_unref(h);
    vow_manual_unref(manual);
    vow_manual_unref(behind);
}
