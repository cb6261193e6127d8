/* SPDX-License-Identifier: MIT */
/*
 * scenarios_serial.c - one after another: what is posted as a run ends, closes, refusals.
 *
 * What its tasks touch is no atomic: two at once, or two of which one does not see what
 * the other did, are a race. A turn is one task (VOWI_SERIAL_BUDGET).
 */
#include <pthread.h>
#include <stdatomic.h>

#include <vow/vow.h>

#include "explore.h"

enum { TASKS = 3 };

static struct job {
    vow_task task;
    int ran, refused;
} jobs[TASKS];

static vow_executor *serial;
static int balance; /* of all tasks, one at a time */
static int answers[TASKS];
static int told; /* before the close that a refused post is turned away by */

static void
run(vow_task *task, int why)
{
    struct job *j = (struct job *)(void *)task;

    j->ran += why == 0;
    j->refused += why != 0;
    balance += why == 0;
}

static void
post(int i)
{
    jobs[i].task.run = run;
    answers[i] = vow_post_task(serial, &jobs[i].task);
    if (answers[i] == VOW_E_CLOSED)
        require(told == 1);
}

static void
posts_0(void)
{
    post(0);
}

static void
posts_1(void)
{
    post(1);
}

static void
posts_0_and_2(void)
{
    post(0);
    post(2);
}

static void
drains(void)
{
    told = 1;
    vow_unref(vow_executor_close(serial, VOW_DRAIN));
}

static void
cancels(void)
{
    told = 1;
    vow_unref(vow_executor_close(serial, VOW_CANCEL_QUEUED));
}

static void
joins(void)
{
    require(vow_executor_join(serial) == 0);
    vow_executor_unref(serial);
}

static void
make_inline(void)
{
    serial = vow_serial_new(NULL);
    require(serial != NULL);
}

static void
close_and_join(void)
{
    drains();
    joins();
}

/* Each was run, refused, or ended, once. */
static void
check(int n)
{
    for (int i = 0; i < n; i++)
        require(jobs[i].ran + jobs[i].refused + (answers[i] != 0) == 1);
}

SCENARIO(serial_post_post, 0, "two threads post; one of them runs both, or each its own",
         EXPECTED("balance 2", "never at once"))
{
    make_inline();
    run_threads(posts_0, posts_1);
    explore_calmly(close_and_join);
    check(2);
    outcome("balance %d", balance);
}

SCENARIO(serial_post_as_it_ends, 0, "one posts while the runs of another end",
         EXPECTED("balance 3", "none is left behind"))
{
    make_inline();
    run_threads(posts_0_and_2, posts_1);
    explore_calmly(close_and_join);
    check(3);
    outcome("balance %d", balance);
}

SCENARIO(serial_close_post, 0, "a task is posted while it is closed",
         EXPECTED("balance 1", "posted first"), EXPECTED("balance 0", "closed first"))
{
    make_inline();
    run_threads(posts_0, drains);
    explore_calmly(joins);
    check(1);
    require((balance == 1) == (answers[0] == 0));
    outcome("balance %d", balance);
}

SCENARIO(serial_cancel_post, 0, "two tasks are posted while it is cancelled",
         EXPECTED("balance 2", "posted first"), EXPECTED("balance 1", "in between"),
         EXPECTED("balance 0", "cancelled first"))
{
    make_inline();
    run_threads(posts_0_and_2, cancels);
    explore_calmly(joins);
    for (int i = 0; i < 3; i += 2)
        require(jobs[i].ran + jobs[i].refused + (answers[i] != 0) == 1);
    outcome("balance %d", balance);
}

/* ---- on an executor that another thread runs, or that refuses --------------------------- */

static int post_shelf(vow_executor *self, vow_task *task);

static const vow_executor_ops shelf_ops = {
    .size = sizeof(vow_executor_ops), .name = "shelf", .post = post_shelf};

static struct shelf {
    vow_executor base;
    pthread_mutex_t mutex;
    vow_task *kept; /* guarded by mutex, as what follows; one after another has one */
    int room;       /* how many posts it takes */
} shelf = {.base.ops = &shelf_ops, .mutex = PTHREAD_MUTEX_INITIALIZER, .room = 100};

static int
post_shelf(vow_executor *self, vow_task *task)
{
    int why = 0;

    (void)self;
    pthread_mutex_lock(&shelf.mutex);
    if (shelf.room-- > 0)
        shelf.kept = task;
    else
        why = VOW_E_LIMIT;
    pthread_mutex_unlock(&shelf.mutex);
    return why;
}

static void
runs_kept(void)
{
    vow_task *task;

    pthread_mutex_lock(&shelf.mutex);
    task = shelf.kept;
    shelf.kept = NULL;
    pthread_mutex_unlock(&shelf.mutex);
    if (task != NULL)
        task->run(task, 0);
}

static void
runs_all_kept(void)
{
    while (shelf.kept != NULL)
        runs_kept();
}

static void
make_on_shelf(void)
{
    serial = vow_serial_new(&shelf.base);
    require(serial != NULL);
}

/* Drained and joined: what was queued has ended, whoever ended it. */
static void
drains_and_joins(void)
{
    vow_unref(vow_executor_close(serial, VOW_DRAIN));
    require(vow_executor_join(serial) == 0);
    require(jobs[0].ran + jobs[0].refused == 1);
}

SCENARIO(serial_two_closes, 0, "one drains and joins, one cancels, with a task queued",
         EXPECTED("balance 0", "it is cancelled before anyone runs it"))
{
    make_on_shelf();
    posts_0();
    run_threads(drains_and_joins, cancels);
    explore_calmly(runs_all_kept);
    vow_executor_unref(serial);
    check(1);
    outcome("balance %d", balance);
}

static void
drains_and_runs(void)
{
    drains();
    runs_all_kept();
    joins();
}

SCENARIO(serial_refused, 0, "two threads post on an executor that has room for one",
         EXPECTED("balance 0, taken 0", "one after the other, both refused"),
         EXPECTED("balance 0, taken 1", "the second ends with the first one's code"))
{
    shelf.room = 0;
    make_on_shelf();
    run_threads(posts_0, posts_1);
    explore_calmly(drains_and_runs);
    check(2);
    outcome("balance %d, taken %d", balance, (answers[0] == 0) + (answers[1] == 0));
}

static void
posts_1_with_room(void)
{
    pthread_mutex_lock(&shelf.mutex);
    shelf.room = 3;
    pthread_mutex_unlock(&shelf.mutex);
    posts_1();
}

SCENARIO(serial_refused_once, 0, "the same, but then it has room",
         EXPECTED("balance 2", "there was room for the first"),
         EXPECTED("balance 1", "the first is refused, the second is not"))
{
    shelf.room = 0;
    make_on_shelf();
    run_threads(posts_0, posts_1_with_room);
    explore_calmly(drains_and_runs);
    check(2);
    outcome("balance %d", balance);
}

static void
cancels_and_lets_go(void)
{
    cancels();
    vow_executor_unref(serial);
}

SCENARIO(serial_cancel_run, 0, "it is cancelled and let go as its runner comes out",
         EXPECTED("balance 1", "run first"), EXPECTED("balance 0", "cancelled first"))
{
    make_on_shelf();
    posts_0();
    run_threads(runs_kept, cancels_and_lets_go);
    explore_calmly(runs_all_kept);
    check(1);
    outcome("balance %d", balance);
}

static void
lets_go(void)
{
    vow_executor_unref(serial);
}

SCENARIO(serial_let_go_run, 0, "the last reference goes while two turns are run",
         EXPECTED("balance 2", "drained"))
{
    make_on_shelf();
    posts_0();
    posts_1();
    run_threads(runs_all_kept, lets_go);
    explore_calmly(runs_all_kept);
    check(2);
    outcome("balance %d", balance);
}

SCENARIO(serial_run_post, 0, "a task is posted while the runner ends on another thread",
         EXPECTED("balance 2", "by this turn or the next"))
{
    make_on_shelf();
    posts_0();
    run_threads(runs_kept, posts_1);
    explore_calmly(drains_and_runs);
    check(2);
    outcome("balance %d", balance);
}
