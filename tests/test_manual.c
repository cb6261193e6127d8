/* SPDX-License-Identifier: MIT */
/* The executor that a test steps: its order, its clock, its end. */
#include "vow_test.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <vow/vow.h>

#include "drops.h"

/* ---- what a case is made of ---------------------------------------------- */

struct job;

/* Something that a job does when it runs. */
typedef void act_fn(struct job *j);

/* A timer, or its task alone, that writes down what happens to it. */
struct job {
    vow_timer timer;
    struct journal *journal;
    char mark;
    act_fn *act; /* NULL: nothing */
    struct job *other;
    int runs;
    int why;
    int answer; /* whatever act wants to keep */
    vow_ns at;
    bool current; /* the executor was current */
};

static vow_manual *m;
static vow_executor *on;
static struct journal journal;

static int
begin(void **state)
{
    int bad = counting_begin(state);

    journal = (struct journal){.used = 0};
    m = vow_manual_new();
    on = vow_manual_executor(m);
    return bad != 0 || m == NULL ? 1 : 0;
}

static int
end(void **state)
{
    vow_manual_unref(m);
    m = NULL;
    return counting_end(state);
}

#define manual_test(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void
run_job(vow_task *task, int why)
{
    struct job *j = (struct job *)(void *)task;

    j->runs++;
    j->why = why;
    j->at = vow_now();
    j->current = vow_executor_current() == on;
    journal_add(j->journal, j->mark);
    if (j->act != NULL)
        j->act(j);
}

static struct job
job(char mark)
{
    return (struct job){
        .timer.task.run = run_job, .journal = &journal, .mark = mark, .why = -1};
}

/* A job that acts on another one. */
static struct job
job_on(char mark, act_fn *act, struct job *other)
{
    struct job j = job(mark);

    j.act = act;
    j.other = other;
    return j;
}

static int
post(struct job *j)
{
    return vow_post_task(on, &j->timer.task);
}

static int
arm(struct job *j, vow_ns when)
{
    j->timer.when = when;
    return on->ops->arm(on, &j->timer);
}

static vow_removal
disarm(struct job *j)
{
    return on->ops->disarm(on, &j->timer);
}

static vow_ns
now(void)
{
    return vow_clock_now(vow_manual_clock(m));
}

static void
post_other(struct job *j)
{
    j->answer = post(j->other);
}

static void
disarm_other(struct job *j)
{
    j->answer = (int)disarm(j->other);
}

static void
close_with_cancel(struct job *j)
{
    (void)j;
    vow_unref(vow_executor_close(on, VOW_CANCEL_QUEUED));
}

/* ---- tasks --------------------------------------------------------------- */

VOW_CASE(new_without_memory_is_null)
{
    counting_each_failure(k, COUNTING_ONCE)
    {
        vow_manual *made = vow_manual_new();

        if (counting_failed())
            assert_null(made);
        else
            assert_non_null(made);
        vow_manual_unref(made);
    }
}

VOW_CASE(null_manual_is_inline_and_the_real_clock)
{
    vow_manual_unref(NULL);
    assert_null(vow_manual_executor(NULL));
    assert_null(vow_manual_clock(NULL));
}

VOW_CASE(step_with_nothing_queued_does_nothing)
{
    assert_false(vow_manual_step(m));
    assert_int_equal(vow_manual_run(m), 0);
    assert_int_equal(vow_manual_advance(m, 0), 0);
}

VOW_CASE(tasks_run_in_the_order_of_posting)
{
    struct job jobs[] = {job('a'), job('b'), job('c')};

    for (size_t i = 0; i < 3; i++)
        assert_int_equal(post(&jobs[i]), 0);
    assert_string_equal(journal.text, "");
    assert_int_equal(vow_manual_run(m), 3);

    assert_string_equal(journal.text, "abc");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(jobs[i].why, 0);
        assert_int_equal(jobs[i].runs, 1);
        assert_true(jobs[i].current);
    }
}

VOW_CASE(step_runs_one_task)
{
    struct job a = job('a');
    struct job b = job('b');

    assert_int_equal(post(&a), 0);
    assert_int_equal(post(&b), 0);

    assert_true(vow_manual_step(m));
    assert_string_equal(journal.text, "a");
    assert_true(vow_manual_step(m));
    assert_string_equal(journal.text, "ab");
    assert_false(vow_manual_step(m));
}

VOW_CASE(run_runs_what_tasks_post)
{
    struct job c = job('c');
    struct job b = job_on('b', post_other, &c);
    struct job a = job_on('a', post_other, &b);

    assert_int_equal(post(&a), 0);
    assert_int_equal(vow_manual_run(m), 3);

    assert_string_equal(journal.text, "abc");
}

VOW_CASE(posted_task_is_alone_whatever_its_next_is)
{
    struct job b = job('b');
    struct job a = job('a');

    a.timer.task.next = &b.timer.task;
    assert_int_equal(post(&a), 0);
    assert_int_equal(vow_manual_run(m), 1);

    assert_int_equal(b.runs, 0);
}

VOW_CASE(queue_that_was_emptied_takes_more)
{
    struct job a = job('a');

    for (int i = 0; i < 3; i++) {
        assert_int_equal(post(&a), 0);
        assert_int_equal(vow_manual_run(m), 1);
    }
    assert_int_equal(a.runs, 3);
}

static vow_result
add_one(void *ctx)
{
    ++*(int *)ctx;
    return vow_ok(vow_i64(*(int *)ctx));
}

VOW_CASE(submit_is_pending_until_it_is_stepped)
{
    int n = 41;
    vow_future *f = vow_submit(on, add_one, vow_ptr(&n));

    assert_int_equal(vow_future_status(f), VOW_PENDING);
    assert_int_equal(n, 41);
    assert_int_equal(vow_manual_run(m), 1);

    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_int_equal(vow_get(f).value.as.i64, 42);
    vow_unref(f);
}

static vow_result
add_to_lent(vow_value in, void *ctx)
{
    journal_add(&journal, *(char *)ctx);
    return vow_ok(vow_i64(in.as.i64 + 1));
}

VOW_CASE(steps_named_after_it_are_posted_to_it)
{
    char mark = 's';
    vow_future *f = vow_resolved(vow_i64(1));

    f = vow_then(f, on, add_to_lent, vow_ptr(&mark));
    f = vow_then(f, on, add_to_lent, vow_ptr(&mark));
    assert_string_equal(journal.text, "");
    assert_true(vow_manual_step(m));
    assert_string_equal(journal.text, "s");
    assert_true(vow_manual_step(m));

    assert_int_equal(vow_get(f).value.as.i64, 3);
    vow_unref(f);
}

VOW_CASE(submit_many_runs_all_in_their_order)
{
    int n = 0;
    vow_value ctxs[5];
    vow_future *fs[5];

    for (size_t i = 0; i < 5; i++)
        ctxs[i] = vow_ptr(&n);
    assert_int_equal(vow_submit_many(on, add_one, ctxs, 5, fs), 0);
    assert_int_equal(vow_manual_run(m), 5);

    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(vow_get(fs[i]).value.as.i64, i + 1);
        vow_unref(fs[i]);
    }
}

VOW_CASE(post_many_appends_behind_what_is_queued)
{
    struct job jobs[] = {job('a'), job('b'), job('c'), job('d')};

    jobs[1].timer.task.next = &jobs[2].timer.task;
    assert_int_equal(post(&jobs[0]), 0);
    assert_int_equal(on->ops->post_many(on, &jobs[1].timer.task, 2), 0);
    assert_int_equal(on->ops->post_many(on, NULL, 0), 0);
    assert_int_equal(post(&jobs[3]), 0);

    assert_int_equal(vow_manual_run(m), 4);
    assert_string_equal(journal.text, "abcd");
}

static void
step_another(struct job *j)
{
    vow_manual *inner = vow_manual_new();

    assert_non_null(inner);
    assert_int_equal(vow_post_task(vow_manual_executor(inner), &j->other->timer.task), 0);
    assert_int_equal(vow_manual_run(inner), 1);
    j->answer = vow_executor_current() == on;
    vow_manual_unref(inner);
}

VOW_CASE(executor_is_current_while_its_tasks_run_and_no_longer)
{
    struct job inner = job('i');
    struct job outer = job_on('o', step_another, &inner);

    assert_int_equal(post(&outer), 0);
    vow_manual_run(m);

    assert_true(outer.current);
    assert_false(inner.current);
    assert_true(outer.answer);
    assert_null(vow_executor_current());
    assert_false(on->ops->is_current(on));
}

static void
run_nested(struct job *j)
{
    j->answer = post(j->other);
    assert_int_equal(vow_manual_run(m), 1);
    journal_add(j->journal, 'x');
}

VOW_CASE(run_inside_a_task_runs_what_is_queued)
{
    struct job b = job('b');
    struct job a = job_on('a', run_nested, &b);

    assert_int_equal(post(&a), 0);
    assert_int_equal(vow_manual_run(m), 1);

    assert_string_equal(journal.text, "abx");
}

static vow_result
wait_for(void *f)
{
    return vow_ok(vow_i64(vow_error_code(vow_get((vow_future *)f).error)));
}

VOW_CASE(waiting_inside_a_task_is_a_deadlock_unless_it_is_settled)
{
    vow_promise *p = vow_promise_new();
    vow_future *pending = vow_promise_future(p);
    vow_future *settled = vow_resolved(VOW_NIL);
    vow_future *first = vow_submit(on, wait_for, vow_ptr(pending));
    vow_future *second = vow_submit(on, wait_for, vow_ptr(settled));

    vow_manual_run(m);

    assert_int_equal(vow_get(first).value.as.i64, VOW_E_DEADLOCK);
    assert_int_equal(vow_get(second).value.as.i64, 0);
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
    vow_unref(pending);
    vow_unref(settled);
    vow_unref(first);
    vow_unref(second);
}

/* ---- posting from other threads ------------------------------------------ */

enum { POSTERS = 3, POSTS = 2000 };

struct numbered {
    vow_task task;
    int number;
    int *last; /* the number of the one before, of the same thread */
};

struct poster {
    struct numbered tasks[POSTS];
    int last;
    int refused;
};

static int out_of_order;

static void
run_numbered(vow_task *task, int why)
{
    struct numbered *t = (struct numbered *)(void *)task;

    if (why != 0 || *t->last != t->number - 1)
        out_of_order++;
    *t->last = t->number;
}

static void *
post_all(void *arg)
{
    struct poster *p = (struct poster *)arg;

    for (int i = 0; i < POSTS; i++) {
        p->tasks[i] =
            (struct numbered){.task.run = run_numbered, .number = i, .last = &p->last};
        if (vow_post_task(on, &p->tasks[i].task) != 0)
            p->refused++;
    }
    return NULL;
}

VOW_CASE(posts_of_threads_all_run_each_thread_in_its_order)
{
    struct poster *posters = calloc(POSTERS, sizeof *posters);
    pthread_t threads[POSTERS];
    size_t ran = 0;

    assert_non_null(posters);
    out_of_order = 0;
    for (int i = 0; i < POSTERS; i++) {
        posters[i].last = -1;
        assert_int_equal(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
    }
    while (ran < POSTERS * POSTS)
        if (vow_manual_step(m))
            ran++;
        else
            sched_yield();
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(posters[i].refused, 0);
        assert_int_equal(posters[i].last, POSTS - 1);
    }

    assert_int_equal(out_of_order, 0);
    assert_false(vow_manual_step(m));
    free(posters);
}

/* ---- the clock ----------------------------------------------------------- */

VOW_CASE(clock_starts_at_zero_and_moves_only_when_told)
{
    assert_int_equal(now(), 0);
    vow_manual_run(m);
    assert_int_equal(now(), 0);
    vow_manual_advance(m, vow_seconds(30));
    assert_int_equal(now(), vow_seconds(30));
    vow_manual_advance(m, 1);
    assert_int_equal(now(), vow_seconds(30) + 1);
}

VOW_CASE(advance_by_nothing_or_less_moves_no_clock)
{
    struct job a = job('a');

    vow_manual_advance(m, 7);
    vow_manual_advance(m, 0);
    vow_manual_advance(m, INT64_MIN);
    assert_int_equal(now(), 7);

    assert_int_equal(arm(&a, 7), 0);
    assert_int_equal(vow_manual_advance(m, -5), 1);
    assert_int_equal(now(), 7);
}

VOW_CASE(advance_for_ever_stops_short_of_it)
{
    vow_manual_advance(m, VOW_FOREVER);
    assert_int_equal(now(), VOW_FOREVER - 1);
    vow_manual_advance(m, VOW_FOREVER);
    assert_int_equal(now(), VOW_FOREVER - 1);
}

VOW_CASE(tasks_read_the_clock_of_the_executor)
{
    struct job a = job('a');

    vow_manual_advance(m, 1234);
    assert_int_equal(post(&a), 0);
    vow_manual_run(m);

    assert_int_equal(a.at, 1234);
    assert_ptr_equal(on->ops->clock(on), vow_manual_clock(m));
}

VOW_CASE(clock_can_be_the_process_clock)
{
    vow_clock *before = vow_clock_use(vow_manual_clock(m));

    vow_manual_advance(m, vow_ms(5));

    assert_int_equal(vow_now(), vow_ms(5));
    assert_ptr_equal(vow_clock_use(before), vow_manual_clock(m));
}

/* ---- timers -------------------------------------------------------------- */

VOW_CASE(timers_run_by_deadline_then_by_arming)
{
    struct job jobs[] = {job('d'), job('a'), job('b'), job('c'), job('e')};
    const vow_ns when[] = {30, 10, 20, 20, 40};

    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(arm(&jobs[i], when[i]), 0);
        assert_ptr_equal(jobs[i].timer.home, on);
    }
    assert_int_equal(vow_manual_run(m), 0);
    assert_int_equal(vow_manual_advance(m, 35), 4);

    assert_string_equal(journal.text, "abcd");
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(jobs[i].at, when[i]);
        assert_int_equal(jobs[i].why, 0);
        assert_true(jobs[i].current);
    }
    assert_int_equal(now(), 35);
    assert_int_equal(disarm(&jobs[4]), VOW_REMOVED);
}

VOW_CASE(timer_is_never_early)
{
    struct job a = job('a');

    assert_int_equal(arm(&a, 10), 0);
    assert_int_equal(vow_manual_advance(m, 9), 0);
    assert_int_equal(a.runs, 0);
    assert_int_equal(vow_manual_advance(m, 1), 1);
    assert_int_equal(a.at, 10);
}

VOW_CASE(timer_that_is_due_when_armed_runs_on_the_next_advance)
{
    struct job a = job('a');
    struct job b = job('b');

    vow_manual_advance(m, 100);
    assert_int_equal(arm(&a, 100), 0);
    assert_int_equal(arm(&b, 50), 0);
    assert_int_equal(vow_manual_run(m), 0);
    assert_int_equal(vow_manual_advance(m, 0), 2);

    assert_string_equal(journal.text, "ba");
    assert_int_equal(b.at, 100);
}

VOW_CASE(timer_at_the_end_of_time_never_runs)
{
    struct job a = job('a');

    assert_int_equal(arm(&a, VOW_FOREVER), 0);
    assert_int_equal(vow_manual_advance(m, VOW_FOREVER), 0);
    assert_int_equal(disarm(&a), VOW_REMOVED);
}

VOW_CASE(advance_runs_what_is_queued_before_the_clock_moves)
{
    struct job a = job('a');
    struct job t = job('t');

    assert_int_equal(arm(&t, 5), 0);
    assert_int_equal(post(&a), 0);
    assert_int_equal(vow_manual_advance(m, 10), 2);

    assert_string_equal(journal.text, "at");
    assert_int_equal(a.at, 0);
}

VOW_CASE(advance_runs_what_a_timer_posts_at_its_own_time)
{
    struct job posted = job('p');
    struct job first = job_on('1', post_other, &posted);
    struct job second = job('2');

    assert_int_equal(arm(&first, 5), 0);
    assert_int_equal(arm(&second, 6), 0);
    assert_int_equal(vow_manual_advance(m, 10), 3);

    assert_string_equal(journal.text, "1p2");
    assert_int_equal(posted.at, 5);
}

static void
arm_other_in_three(struct job *j)
{
    j->answer = arm(j->other, vow_now() + 3);
}

VOW_CASE(advance_runs_what_a_timer_arms_if_it_is_due_by_then)
{
    struct job c = job('c');
    struct job b = job_on('b', arm_other_in_three, &c);
    struct job a = job_on('a', arm_other_in_three, &b);

    assert_int_equal(arm(&a, 2), 0);
    assert_int_equal(vow_manual_advance(m, 7), 2);

    assert_string_equal(journal.text, "ab");
    assert_int_equal(b.at, 5);
    assert_int_equal(now(), 7);
    assert_int_equal(vow_manual_advance(m, 1), 1);
    assert_int_equal(c.at, 8);
}

static void
arm_itself_again(struct job *j)
{
    assert_int_equal(arm(j, j->timer.when + 10), 0);
}

VOW_CASE(timer_that_arms_itself_runs_once_each_period)
{
    struct job a = job_on('a', arm_itself_again, NULL);

    assert_int_equal(arm(&a, 10), 0);
    assert_int_equal(vow_manual_advance(m, 45), 4);

    assert_int_equal(a.runs, 4);
    assert_int_equal(a.at, 40);
    assert_int_equal(disarm(&a), VOW_REMOVED);
}

static void
advance_by_twenty(struct job *j)
{
    j->answer = (int)vow_manual_advance(m, 20);
}

VOW_CASE(advance_inside_a_timer_never_turns_the_clock_back)
{
    struct job b = job('b');
    struct job a = job_on('a', advance_by_twenty, NULL);

    assert_int_equal(arm(&a, 5), 0);
    assert_int_equal(arm(&b, 8), 0);
    assert_int_equal(vow_manual_advance(m, 10), 1);

    assert_int_equal(a.answer, 1);
    assert_int_equal(b.at, 8);
    assert_int_equal(now(), 25);
}

/* ---- disarming ----------------------------------------------------------- */

VOW_CASE(disarm_before_the_deadline_prevents_the_run)
{
    struct job a = job('a');

    assert_int_equal(arm(&a, 10), 0);
    assert_int_equal(disarm(&a), VOW_REMOVED);

    assert_int_equal(vow_manual_advance(m, 20), 0);
    assert_int_equal(a.runs, 0);
    assert_int_equal(arm(&a, 30), 0);
    assert_int_equal(vow_manual_advance(m, 20), 1);
}

VOW_CASE(disarm_after_the_run_is_too_late)
{
    struct job a = job('a');

    assert_int_equal(arm(&a, 10), 0);
    vow_manual_advance(m, 10);

    assert_int_equal(disarm(&a), VOW_RAN);
}

VOW_CASE(disarm_inside_its_run_says_that_it_runs)
{
    struct job a = job_on('a', disarm_other, NULL);

    a.other = &a;
    assert_int_equal(arm(&a, 10), 0);
    vow_manual_advance(m, 10);

    assert_int_equal(a.answer, VOW_RUNNING);
    assert_int_equal(disarm(&a), VOW_RAN);
}

VOW_CASE(disarm_of_another_with_the_same_deadline_prevents_its_run)
{
    struct job b = job('b');
    struct job a = job_on('a', disarm_other, &b);

    assert_int_equal(arm(&a, 10), 0);
    assert_int_equal(arm(&b, 10), 0);
    assert_int_equal(vow_manual_advance(m, 10), 1);

    assert_int_equal(a.answer, VOW_REMOVED);
    assert_string_equal(journal.text, "a");
}

static void *
disarm_from_here(void *arg)
{
    disarm_other((struct job *)arg);
    return NULL;
}

static void
let_another_thread_disarm_it(struct job *j)
{
    pthread_t thread;
    struct job asker = job_on('x', NULL, j);

    assert_int_equal(pthread_create(&thread, NULL, disarm_from_here, &asker), 0);
    pthread_join(thread, NULL);
    j->answer = asker.answer;
}

VOW_CASE(disarm_on_another_thread_says_that_it_runs)
{
    struct job a = job_on('a', let_another_thread_disarm_it, NULL);

    assert_int_equal(arm(&a, 1), 0);
    vow_manual_advance(m, 1);

    assert_int_equal(a.answer, VOW_RUNNING);
}

static void
count_only(vow_task *task, int why)
{
    struct job *j = (struct job *)(void *)task;

    j->why = why;
    j->runs++;
}

static struct job
counted_job(void)
{
    struct job j = job('x');

    j.timer.task.run = count_only;
    return j;
}

struct racer {
    int removed;
    int ran;
};

static void *
arm_and_disarm(void *arg)
{
    struct racer *r = (struct racer *)arg;
    struct job own = counted_job();

    for (int i = 0; i < POSTS; i++) {
        vow_removal removal;

        own.timer.when = i % 7;
        if (on->ops->arm(on, &own.timer) != 0)
            break;
        removal = disarm(&own);
        r->removed += removal == VOW_REMOVED;
        while (removal == VOW_RUNNING)
            removal = disarm(&own);
    }
    r->ran = own.runs;
    return NULL;
}

VOW_CASE(disarm_racing_with_the_run_counts_each_timer_once)
{
    struct racer other = {0, 0};
    struct racer here = {0, 0};
    struct job jobs[64];
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, arm_and_disarm, &other), 0);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 64; i++) {
            jobs[i] = counted_job();
            assert_int_equal(arm(&jobs[i], now() + i % 5), 0);
        }
        for (int i = 0; i < 64; i += 3)
            here.removed += disarm(&jobs[i]) == VOW_REMOVED;
        vow_manual_advance(m, 5);
        for (int i = 0; i < 64; i++)
            here.ran += jobs[i].runs;
    }
    pthread_join(thread, NULL);

    assert_int_equal(here.removed, 50 * 22);
    assert_int_equal(here.ran, 50 * 42);
    assert_int_equal(other.removed + other.ran, POSTS);
}

/* ---- close: drain -------------------------------------------------------- */

VOW_CASE(drain_of_an_idle_one_is_done_at_once)
{
    vow_future *closed = vow_executor_close(on, VOW_DRAIN);

    assert_int_equal(vow_future_status(closed), VOW_FULFILLED);
    assert_int_equal(vow_executor_join(on), 0);
    vow_unref(closed);
}

VOW_CASE(drain_runs_what_is_queued_and_then_is_done)
{
    struct job a = job('a');
    struct job b = job('b');
    vow_future *closed;

    assert_int_equal(post(&a), 0);
    assert_int_equal(post(&b), 0);
    closed = vow_executor_close(on, VOW_DRAIN);

    vow_manual_step(m);
    assert_int_equal(vow_future_status(closed), VOW_PENDING);
    vow_manual_step(m);
    assert_int_equal(vow_future_status(closed), VOW_FULFILLED);
    assert_string_equal(journal.text, "ab");
    assert_int_equal(b.why, 0);
    vow_unref(closed);
}

VOW_CASE(drain_refuses_work_from_outside)
{
    struct drop d = {0};
    struct job a = job('a');
    struct job b = job('b');
    vow_future *f;

    assert_int_equal(post(&a), 0);
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    assert_int_equal(post(&b), VOW_E_CLOSED);
    assert_int_equal(on->ops->post_many(on, &b.timer.task, 1), VOW_E_CLOSED);
    f = vow_submit(on, add_one, drop_value(&d));

    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_CLOSED);
    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(vow_manual_run(m), 1);
    assert_int_equal(post(&b), VOW_E_CLOSED);
    assert_int_equal(b.runs, 0);
    vow_unref(f);
}

VOW_CASE(drain_runs_what_running_tasks_post)
{
    struct job c = job('c');
    struct job b = job_on('b', post_other, &c);
    struct job a = job_on('a', post_other, &b);
    vow_future *closed;

    assert_int_equal(post(&a), 0);
    closed = vow_executor_close(on, VOW_DRAIN);
    assert_int_equal(vow_manual_run(m), 3);

    assert_int_equal(b.answer, 0);
    assert_string_equal(journal.text, "abc");
    assert_int_equal(vow_future_status(closed), VOW_FULFILLED);
    vow_unref(closed);
}

VOW_CASE(drain_runs_the_steps_of_what_is_queued)
{
    char mark = 's';
    int n = 1;
    vow_future *f = vow_submit(on, add_one, vow_ptr(&n));

    f = vow_then(f, on, add_to_lent, vow_ptr(&mark));
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    assert_int_equal(vow_manual_run(m), 2);

    assert_int_equal(vow_get(f).value.as.i64, 3);
    vow_unref(f);
}

VOW_CASE(drain_takes_steps_until_it_is_idle_and_then_none)
{
    char mark = 's';
    struct job a = job('a');
    struct drop d = {0};
    vow_promise *early = vow_promise_new();
    vow_promise *late = vow_promise_new();
    vow_future *in_time = vow_promise_future(early);
    vow_future *too_late = vow_promise_future(late);

    in_time = vow_then(in_time, on, add_to_lent, vow_ptr(&mark));
    too_late = vow_then(too_late, on, add_to_lent, drop_value(&d));
    assert_int_equal(post(&a), 0);
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    vow_promise_fulfill(early, vow_i64(1));
    assert_int_equal(vow_manual_run(m), 2);
    vow_promise_fulfill(late, vow_i64(1));

    assert_string_equal(journal.text, "as");
    assert_int_equal(vow_get(in_time).value.as.i64, 2);
    assert_int_equal(vow_error_code(vow_peek(too_late).error), VOW_E_CLOSED);
    assert_int_equal(drop_count(&d), 1);
    vow_promise_unref(early);
    vow_promise_unref(late);
    vow_unref(in_time);
    vow_unref(too_late);
}

VOW_CASE(drain_takes_many_tasks_only_if_all_of_them_are_steps)
{
    struct job a = job('a');
    struct job steps[] = {job('s'), job('t')};

    steps[0].timer.task.flags = VOW_TASK_STEP;
    steps[0].timer.task.next = &steps[1].timer.task;
    assert_int_equal(post(&a), 0);
    vow_unref(vow_executor_close(on, VOW_DRAIN));

    assert_int_equal(on->ops->post_many(on, &steps[0].timer.task, 2), VOW_E_CLOSED);
    steps[1].timer.task.flags = VOW_TASK_STEP;
    assert_int_equal(on->ops->post_many(on, &steps[0].timer.task, 2), 0);
    assert_int_equal(vow_manual_run(m), 3);
    assert_string_equal(journal.text, "ast");
}

static void
drain_here(struct job *j)
{
    vow_future *closed = vow_executor_close(on, VOW_DRAIN);

    j->answer = (int)vow_future_status(closed);
    vow_unref(closed);
}

VOW_CASE(drain_inside_a_task_is_done_after_it)
{
    struct job b = job('b');
    struct job a = job_on('a', drain_here, NULL);
    vow_future *closed;

    assert_int_equal(post(&a), 0);
    vow_manual_run(m);
    closed = vow_executor_close(on, VOW_DRAIN);

    assert_int_equal(a.answer, VOW_PENDING);
    assert_int_equal(vow_future_status(closed), VOW_FULFILLED);
    assert_int_equal(post(&b), VOW_E_CLOSED);
    vow_unref(closed);
}

/* ---- close: cancel what is queued ---------------------------------------- */

VOW_CASE(cancel_refuses_what_is_queued_on_this_thread)
{
    struct job a = job('a');
    struct job b = job('b');
    vow_future *closed;

    assert_int_equal(post(&a), 0);
    assert_int_equal(post(&b), 0);
    closed = vow_executor_close(on, VOW_CANCEL_QUEUED);

    assert_int_equal(vow_future_status(closed), VOW_FULFILLED);
    assert_int_equal(a.why, VOW_E_CLOSED);
    assert_int_equal(b.why, VOW_E_CLOSED);
    assert_false(a.current);
    assert_int_equal(vow_manual_run(m), 0);
    assert_int_equal(a.runs + b.runs, 2);
    vow_unref(closed);
}

VOW_CASE(cancel_rejects_what_was_submitted)
{
    struct drop d = {0};
    vow_future *f = vow_submit(on, add_one, drop_value(&d));

    vow_unref(vow_executor_close(on, VOW_CANCEL_QUEUED));

    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_CLOSED);
    assert_int_equal(drop_count(&d), 1);
    vow_unref(f);
}

VOW_CASE(cancel_inside_a_task_is_done_after_it_and_takes_nothing)
{
    struct job c = job('c');
    struct job b = job('b');
    struct job a = job_on('a', close_with_cancel, NULL);
    vow_future *closed;

    assert_int_equal(post(&a), 0);
    assert_int_equal(post(&b), 0);
    assert_true(vow_manual_step(m));
    closed = vow_executor_close(on, VOW_DRAIN);

    assert_int_equal(a.why, 0);
    assert_int_equal(b.why, VOW_E_CLOSED);
    assert_int_equal(post(&c), VOW_E_CLOSED);
    assert_int_equal(vow_future_status(closed), VOW_FULFILLED);
    vow_unref(closed);
}

static void
cancel_and_post(struct job *j)
{
    vow_future *closed = vow_executor_close(on, VOW_CANCEL_QUEUED);

    j->answer = post(j->other);
    assert_int_equal(vow_future_status(closed), VOW_PENDING);
    vow_unref(closed);
}

VOW_CASE(cancel_refuses_what_running_tasks_post)
{
    struct job b = job('b');
    struct job a = job_on('a', cancel_and_post, &b);

    assert_int_equal(post(&a), 0);
    assert_int_equal(vow_manual_run(m), 1);

    assert_int_equal(a.answer, VOW_E_CLOSED);
    assert_int_equal(b.runs, 0);
}

VOW_CASE(cancel_after_drain_is_stricter_and_the_other_way_round_changes_nothing)
{
    struct job a = job('a');
    vow_future *closed;
    vow_future *again;

    assert_int_equal(post(&a), 0);
    closed = vow_executor_close(on, VOW_DRAIN);
    assert_int_equal(a.runs, 0);
    vow_unref(vow_executor_close(on, VOW_CANCEL_QUEUED));
    assert_int_equal(a.why, VOW_E_CLOSED);
    assert_int_equal(vow_future_status(closed), VOW_FULFILLED);

    again = vow_executor_close(on, VOW_DRAIN);
    assert_int_equal(vow_future_status(again), VOW_FULFILLED);
    assert_int_equal(a.runs, 1);
    vow_unref(closed);
    vow_unref(again);
}

static void *
close_from_here(void *arg)
{
    struct job *j = (struct job *)arg;

    close_with_cancel(j);
    return NULL;
}

static void
let_another_thread_close_it(struct job *j)
{
    pthread_t thread;
    vow_future *closed;

    assert_int_equal(pthread_create(&thread, NULL, close_from_here, j), 0);
    pthread_join(thread, NULL);
    closed = vow_executor_close(on, VOW_CANCEL_QUEUED);
    j->answer = (int)vow_future_status(closed);
    vow_unref(closed);
}

VOW_CASE(cancel_on_another_thread_is_done_after_the_running_task)
{
    struct job b = job('b');
    struct job a = job_on('a', let_another_thread_close_it, NULL);
    vow_future *closed;

    assert_int_equal(post(&a), 0);
    assert_int_equal(post(&b), 0);
    assert_int_equal(vow_manual_run(m), 1);
    closed = vow_executor_close(on, VOW_CANCEL_QUEUED);

    assert_int_equal(a.answer, VOW_PENDING);
    assert_int_equal(b.why, VOW_E_CLOSED);
    assert_int_equal(vow_future_status(closed), VOW_FULFILLED);
    vow_unref(closed);
}

enum { ROUNDS = 200, TASKS = 100 };

/* Two threads against the one that steps; new for each round. */
struct contest {
    struct job jobs[TASKS];
    int accepted;
    vow_close_mode mode;
    atomic_int posted;
    atomic_int closing; /* from here on the two run side by side */
    atomic_int finished;
    vow_future *closed;
};

static atomic_int *finished_jobs;

static void
count_finished(vow_task *task, int why)
{
    count_only(task, why);
    atomic_fetch_add(finished_jobs, 1);
}

static void *
post_until_refused(void *arg)
{
    struct contest *c = (struct contest *)arg;

    for (int i = 0; i < TASKS; i++) {
        c->jobs[i] = counted_job();
        c->jobs[i].timer.task.run = count_finished;
        if (i % 4 == 3 ? arm(&c->jobs[i], i % 8) != 0 : post(&c->jobs[i]) != 0)
            break;
        c->accepted++;
        if (atomic_fetch_add(&c->posted, 1) + 1 == TASKS / 4)
            await_flag(&c->closing, 1);
    }
    atomic_store(&c->posted, TASKS);
    return NULL;
}

static void *
close_in_the_middle(void *arg)
{
    struct contest *c = (struct contest *)arg;

    await_flag(&c->posted, TASKS / 4);
    atomic_store(&c->closing, 1);
    c->closed = vow_executor_close(on, c->mode);
    atomic_store(&c->posted, TASKS);
    return NULL;
}

static void
step_until_closed(struct contest *c)
{
    vow_future *closed;

    while (atomic_load(&c->posted) < TASKS)
        vow_manual_advance(m, 1);
    vow_manual_run(m);
    closed = vow_executor_close(on, c->mode);
    while (vow_future_status(closed) == VOW_PENDING)
        vow_manual_run(m);
    vow_unref(closed);
}

static void
race_with_close(struct contest *c, vow_close_mode mode)
{
    pthread_t threads[2];
    int finished;

    *c = (struct contest){.mode = mode};
    finished_jobs = &c->finished;
    assert_int_equal(pthread_create(&threads[0], NULL, post_until_refused, c), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, close_in_the_middle, c), 0);
    step_until_closed(c);
    finished = atomic_load(&c->finished);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);

    assert_int_equal(vow_future_status(c->closed), VOW_FULFILLED);
    assert_int_equal(finished, c->accepted);
    assert_int_equal(atomic_load(&c->finished), c->accepted);
    for (int i = 0; i < c->accepted; i++)
        assert_int_equal(c->jobs[i].runs, 1);
    vow_unref(c->closed);
}

VOW_CASE(close_racing_with_posts_and_steps_finishes_each_accepted_task_once)
{
    struct contest *c = malloc(sizeof *c);

    assert_non_null(c);
    for (int round = 0; round < ROUNDS; round++) {
        vow_manual_unref(m);
        m = vow_manual_new();
        on = vow_manual_executor(m);
        race_with_close(c, round % 2 == 0 ? VOW_DRAIN : VOW_CANCEL_QUEUED);
    }
    free(c);
}

/* ---- close: timers ------------------------------------------------------- */

static void
check_timers_at_close(vow_close_mode mode)
{
    struct job a = job('a');
    struct job b = job('b');
    struct job c = job('c');
    vow_future *closed;

    assert_int_equal(arm(&a, 10), 0);
    assert_int_equal(arm(&b, VOW_FOREVER), 0);
    closed = vow_executor_close(on, mode);

    assert_int_equal(a.why, VOW_E_CLOSED);
    assert_int_equal(b.why, VOW_E_CLOSED);
    assert_int_equal(disarm(&a), VOW_RAN);
    assert_int_equal(arm(&c, 10), VOW_E_CLOSED);
    assert_int_equal(vow_manual_advance(m, 20), 0);
    assert_int_equal(a.runs + b.runs, 2);
    assert_int_equal(vow_future_status(closed), VOW_FULFILLED);
    vow_unref(closed);
}

VOW_CASE(drain_settles_armed_timers_at_once)
{
    check_timers_at_close(VOW_DRAIN);
}

VOW_CASE(cancel_settles_armed_timers_at_once)
{
    check_timers_at_close(VOW_CANCEL_QUEUED);
}

VOW_CASE(drain_settles_timers_before_the_tasks_that_are_queued)
{
    struct job a = job('a');
    struct job t = job('t');

    assert_int_equal(post(&a), 0);
    assert_int_equal(arm(&t, 10), 0);
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    assert_string_equal(journal.text, "t");
    vow_manual_run(m);

    assert_string_equal(journal.text, "ta");
}

VOW_CASE(disarm_of_another_while_closing_still_counts)
{
    struct job b = job('b');
    struct job a = job_on('a', disarm_other, &b);

    assert_int_equal(arm(&a, 10), 0);
    assert_int_equal(arm(&b, 20), 0);
    vow_unref(vow_executor_close(on, VOW_CANCEL_QUEUED));

    assert_int_equal(a.why, VOW_E_CLOSED);
    assert_int_equal(a.answer, VOW_REMOVED);
    assert_int_equal(b.runs, 0);
}

VOW_CASE(close_inside_a_timer_is_done_after_it)
{
    struct job b = job('b');
    struct job a = job_on('a', close_with_cancel, NULL);
    vow_future *closed;

    assert_int_equal(arm(&a, 10), 0);
    assert_int_equal(arm(&b, 10), 0);
    assert_int_equal(vow_manual_advance(m, 10), 1);
    closed = vow_executor_close(on, VOW_DRAIN);

    assert_int_equal(a.why, 0);
    assert_int_equal(b.why, VOW_E_CLOSED);
    assert_int_equal(vow_future_status(closed), VOW_FULFILLED);
    vow_unref(closed);
}

/* ---- the end of it ------------------------------------------------------- */

VOW_CASE(unref_settles_what_is_queued_and_armed)
{
    struct job a = job('a');
    struct job t = job('t');
    struct drop d = {0};
    vow_future *f = vow_submit(on, add_one, drop_value(&d));

    assert_int_equal(post(&a), 0);
    assert_int_equal(arm(&t, 10), 0);
    vow_manual_unref(m);
    m = NULL;

    assert_int_equal(a.why, VOW_E_CLOSED);
    assert_int_equal(t.why, VOW_E_CLOSED);
    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_CLOSED);
    assert_int_equal(drop_count(&d), 1);
    vow_unref(f);
}

VOW_CASE(unref_keeps_the_memory_until_pending_steps_are_done)
{
    struct drop d = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_then(vow_promise_future(p), on, add_to_lent, drop_value(&d));

    vow_manual_unref(m);
    m = NULL;
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_promise_fulfill(p, vow_i64(1));

    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_CLOSED);
    assert_int_equal(drop_count(&d), 1);
    vow_promise_unref(p);
    vow_unref(f);
}

VOW_CASE(unref_while_others_hold_the_executor_leaves_it_closed)
{
    struct job a = job('a');
    vow_executor *held = vow_executor_ref(on);

    vow_manual_unref(m);
    m = NULL;

    assert_int_equal(vow_post_task(held, &a.timer.task), VOW_E_CLOSED);
    assert_int_equal(vow_executor_join(held), 0);
    vow_executor_unref(held);
}

VOW_CASE(unref_after_close_is_nothing_special)
{
    vow_future *closed = vow_executor_close(on, VOW_DRAIN);

    vow_manual_unref(m);
    m = NULL;

    assert_int_equal(vow_future_status(closed), VOW_FULFILLED);
    vow_unref(closed);
}

VOW_CASE(close_and_unref_without_memory_work)
{
    struct job a = job('a');
    struct job t = job('t');

    assert_int_equal(post(&a), 0);
    assert_int_equal(arm(&t, 10), 0);
    counting_fail_at(1, COUNTING_ONWARDS);
    vow_manual_advance(m, 5);
    vow_manual_unref(m);
    m = NULL;

    assert_int_equal(a.why, 0);
    assert_int_equal(t.why, VOW_E_CLOSED);
    assert_false(counting_failed());
}

/* While another one runs. */
VOW_CASE(disarm_of_one_that_has_run_from_the_run_of_another_is_too_late)
{
    struct job b = job_on('b', NULL, NULL);
    struct job a = job_on('a', disarm_other, &b);

    assert_int_equal(arm(&b, 1), 0);
    assert_int_equal(arm(&a, 2), 0);
    vow_manual_advance(m, 5);

    assert_string_equal(journal.text, "ba");
    assert_int_equal(a.answer, VOW_RAN);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(new_without_memory_is_null),
        vow_test(null_manual_is_inline_and_the_real_clock),
        manual_test(step_with_nothing_queued_does_nothing),
        manual_test(tasks_run_in_the_order_of_posting),
        manual_test(step_runs_one_task),
        manual_test(run_runs_what_tasks_post),
        manual_test(posted_task_is_alone_whatever_its_next_is),
        manual_test(queue_that_was_emptied_takes_more),
        manual_test(submit_is_pending_until_it_is_stepped),
        manual_test(steps_named_after_it_are_posted_to_it),
        manual_test(submit_many_runs_all_in_their_order),
        manual_test(post_many_appends_behind_what_is_queued),
        manual_test(executor_is_current_while_its_tasks_run_and_no_longer),
        manual_test(run_inside_a_task_runs_what_is_queued),
        manual_test(waiting_inside_a_task_is_a_deadlock_unless_it_is_settled),
        manual_test(posts_of_threads_all_run_each_thread_in_its_order),
        manual_test(clock_starts_at_zero_and_moves_only_when_told),
        manual_test(advance_by_nothing_or_less_moves_no_clock),
        manual_test(advance_for_ever_stops_short_of_it),
        manual_test(tasks_read_the_clock_of_the_executor),
        manual_test(clock_can_be_the_process_clock),
        manual_test(timers_run_by_deadline_then_by_arming),
        manual_test(timer_is_never_early),
        manual_test(timer_that_is_due_when_armed_runs_on_the_next_advance),
        manual_test(timer_at_the_end_of_time_never_runs),
        manual_test(advance_runs_what_is_queued_before_the_clock_moves),
        manual_test(advance_runs_what_a_timer_posts_at_its_own_time),
        manual_test(advance_runs_what_a_timer_arms_if_it_is_due_by_then),
        manual_test(timer_that_arms_itself_runs_once_each_period),
        manual_test(advance_inside_a_timer_never_turns_the_clock_back),
        manual_test(disarm_before_the_deadline_prevents_the_run),
        manual_test(disarm_after_the_run_is_too_late),
        manual_test(disarm_inside_its_run_says_that_it_runs),
        manual_test(disarm_of_another_with_the_same_deadline_prevents_its_run),
        manual_test(disarm_on_another_thread_says_that_it_runs),
        manual_test(disarm_racing_with_the_run_counts_each_timer_once),
        manual_test(drain_of_an_idle_one_is_done_at_once),
        manual_test(drain_runs_what_is_queued_and_then_is_done),
        manual_test(drain_refuses_work_from_outside),
        manual_test(drain_runs_what_running_tasks_post),
        manual_test(drain_runs_the_steps_of_what_is_queued),
        manual_test(drain_takes_steps_until_it_is_idle_and_then_none),
        manual_test(drain_takes_many_tasks_only_if_all_of_them_are_steps),
        manual_test(drain_inside_a_task_is_done_after_it),
        manual_test(cancel_refuses_what_is_queued_on_this_thread),
        manual_test(cancel_rejects_what_was_submitted),
        manual_test(cancel_inside_a_task_is_done_after_it_and_takes_nothing),
        manual_test(cancel_refuses_what_running_tasks_post),
        manual_test(
            cancel_after_drain_is_stricter_and_the_other_way_round_changes_nothing),
        manual_test(cancel_on_another_thread_is_done_after_the_running_task),
        manual_test(close_racing_with_posts_and_steps_finishes_each_accepted_task_once),
        manual_test(drain_settles_armed_timers_at_once),
        manual_test(cancel_settles_armed_timers_at_once),
        manual_test(drain_settles_timers_before_the_tasks_that_are_queued),
        manual_test(disarm_of_another_while_closing_still_counts),
        manual_test(close_inside_a_timer_is_done_after_it),
        manual_test(unref_settles_what_is_queued_and_armed),
        manual_test(unref_keeps_the_memory_until_pending_steps_are_done),
        manual_test(unref_while_others_hold_the_executor_leaves_it_closed),
        manual_test(unref_after_close_is_nothing_special),
        manual_test(close_and_unref_without_memory_work),
        manual_test(disarm_of_one_that_has_run_from_the_run_of_another_is_too_late),
    };

    return vow_test_run(cases);
}
