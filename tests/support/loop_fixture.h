/* SPDX-License-Identifier: MIT */
/**
 * @file loop_fixture.h
 * A loop for each case, on a clock that stands still until it is told, and callbacks
 * that write down in which order they ran.
 */
#ifndef LOOP_FIXTURE_H
#define LOOP_FIXTURE_H

#include "vow_test.h"

#include <errno.h>

#include <vow/vow.h>

#include "drops.h"

static vow_loop *loop;
static vow_executor *on; /* of the loop */
static vow_ns time_now;
static struct journal journal;

static inline vow_ns
read_time(const vow_clock *self)
{
    (void)self;
    return time_now;
}

static vow_clock still = {.now = read_time};

/** Lets time pass. */
static inline void
pass(vow_ns by)
{
    time_now += by;
}

/** The setup of a case. */
static inline int
begin(void **state)
{
    int bad = counting_begin(state);

    journal = (struct journal){.used = 0};
    time_now = 0;
    loop = vow_loop_new(&VOW_LOOP_OPTIONS(.clock = &still));
    on = vow_loop_executor(loop);
    return bad != 0 || loop == NULL ? 1 : 0;
}

/** Its teardown. */
static inline int
end(void **state)
{
    vow_loop_unref(loop);
    loop = NULL;
    return counting_end(state);
}

/** A line of the table of cases. */
#define loop_test(name) cmocka_unit_test_setup_teardown(name, begin, end)

/** Runs turns until one has nothing to do. */
static inline void
run_all(void)
{
    int rc;

    while ((rc = vow_loop_run_once(loop, 0)) == 0)
        ;
    assert_true(rc == VOW_E_TIMEDOUT || rc == ECANCELED || rc == VOW_E_CLOSED);
}

/* ---- what runs ------------------------------------------------------------------- */

/** A timer, or its task alone, that writes down what happens to it. */
struct job {
    vow_timer timer; /* first: the task is all that its run gets */
    char mark;
    vow_fn *act; /* NULL: nothing */
    void *arg;
    int runs;
    int why;
};

static inline void
run_job(vow_task *task, int why)
{
    struct job *j = (struct job *)(void *)task;

    j->runs++;
    j->why = why;
    if (why == 0)
        journal_add(&journal, j->mark);
    if (j->act != NULL)
        j->act(j->arg);
}

/** Makes one that does something more. */
static inline struct job
job_that(char mark, vow_fn *act, void *arg)
{
    return (struct job){
        .timer.task.run = run_job, .mark = mark, .act = act, .arg = arg, .why = -1};
}

/** Makes one. */
static inline struct job
job(char mark)
{
    return job_that(mark, NULL, NULL);
}

/** Posts it, as a macrotask. */
static inline void
post_job(void *arg)
{
    struct job *j = (struct job *)arg;

    assert_int_equal(vow_post_task(on, &j->timer.task), 0);
}

/** Posts it, as a step: on the loop's thread a microtask. */
static inline void
post_step(void *arg)
{
    struct job *j = (struct job *)arg;

    j->timer.task.flags = VOW_TASK_STEP;
    assert_int_equal(vow_post_task(on, &j->timer.task), 0);
}

/** Arms it. */
static inline void
arm(struct job *j, vow_ns when)
{
    assert_int_equal(vow_timer_arm(on, &j->timer, when), 0);
}

/** Disarms it. */
static inline vow_removal
disarm(struct job *j)
{
    return vow_timer_disarm(&j->timer);
}

/** Posts a list of jobs, each with the mark of its place in the text. */
static inline void
post_all(struct job *jobs, const char *marks)
{
    for (size_t i = 0; marks[i] != '\0'; i++) {
        jobs[i] = job(marks[i]);
        post_job(&jobs[i]);
    }
}

/** Returns the counters. */
static inline vow_loop_stats
stats(void)
{
    vow_loop_stats s = {.size = sizeof s};

    vow_loop_read_stats(loop, &s);
    return s;
}

#endif
