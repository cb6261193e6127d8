/* SPDX-License-Identifier: MIT */
/*
 * One after another on any executor: order, turns, refusals, every end, and no two at
 * once. Most cases step what is behind it by hand; those with a pool say so.
 */
#include "vow_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <vow/vow.h>

#include "drops.h"

/* ---- what a case is made of ---------------------------------------------- */

enum { BUDGET = 64 }; /* tasks in a row */

static vow_manual *m;
static vow_executor *serial;
static struct journal journal;

static int
begin(void **state)
{
    int bad = counting_begin(state);

    journal = (struct journal){.used = 0};
    m = vow_manual_new();
    serial = vow_serial_new(vow_manual_executor(m));
    return bad != 0 || m == NULL || serial == NULL ? 1 : 0;
}

static int
end(void **state)
{
    vow_executor_unref(serial);
    vow_manual_unref(m);
    serial = NULL;
    m = NULL;
    return counting_end(state);
}

#define manual_test(name) cmocka_unit_test_setup_teardown(name, begin, end)

/* A task that writes down that it ran, or in lower case that it never will. */
struct job {
    vow_task task;
    char mark;
    int runs;
    int why;
    bool current;
    void (*act)(struct job *j);
    struct job *other;
    int answer;
    vow_executor *on;
};

static void
run_job(vow_task *task, int why)
{
    struct job *j = (struct job *)(void *)task;

    j->runs++;
    j->why = why;
    j->current = vow_executor_current() == serial;
    journal_add(&journal, (char)(why == 0 ? j->mark : j->mark - 'A' + 'a'));
    if (j->act != NULL)
        j->act(j);
}

static struct job
job(char mark)
{
    return (struct job){.task.run = run_job, .mark = mark, .why = -1};
}

static struct job
job_that(char mark, void (*act)(struct job *), struct job *other)
{
    struct job j = job(mark);

    j.act = act;
    j.other = other;
    return j;
}

static int
post(struct job *j)
{
    return vow_post_task(serial, &j->task);
}

static void
post_other(struct job *j)
{
    j->answer = post(j->other);
}

static bool
is_settled(vow_future *f)
{
    return vow_future_status(f) != VOW_PENDING;
}

static vow_result
give_seven(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(vow_i64(7));
}

static void
close_and_join(vow_executor *on)
{
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    assert_int_equal(vow_executor_join(on), 0);
    vow_executor_unref(on);
}

/* ---- making ---------------------------------------------------------------- */

VOW_CASE(new_without_memory_is_null)
{
    vow_manual *behind = vow_manual_new();

    counting_each_failure(k, COUNTING_ONCE)
    {
        vow_executor *made = vow_serial_new(vow_manual_executor(behind));

        if (counting_failed())
            assert_null(made);
        else
            assert_non_null(made);
        vow_executor_unref(made);
    }
    vow_manual_unref(behind);
}

/* ---- order --------------------------------------------------------------------- */

VOW_CASE(tasks_run_in_order_when_what_is_behind_runs)
{
    struct job a = job('A');
    struct job b = job('B');

    assert_int_equal(post(&a), 0);
    assert_int_equal(post(&b), 0);
    assert_int_equal(a.runs, 0);
    assert_int_equal(vow_manual_run(m), 1); /* both in one turn */

    assert_string_equal(journal.text, "AB");
    assert_true(a.current);
    assert_null(vow_executor_current());
}

VOW_CASE(task_that_posts_runs_before_what_it_posts)
{
    struct job b = job('B');
    struct job a = job_that('A', post_other, &b);
    struct job c = job('C');

    assert_int_equal(post(&a), 0);
    assert_int_equal(post(&c), 0);
    vow_manual_run(m);
    assert_string_equal(journal.text, "ACB");
}

VOW_CASE(idle_one_starts_again)
{
    struct job a = job('A');
    struct job b = job('B');

    assert_int_equal(post(&a), 0);
    vow_manual_run(m);
    assert_int_equal(post(&b), 0);
    vow_manual_run(m);
    assert_string_equal(journal.text, "AB");
}

VOW_CASE(many_posted_at_once_keep_their_order)
{
    vow_value ctxs[5];
    vow_future *fs[5];
    struct drop drops[5] = {{0}};

    for (int i = 0; i < 5; i++) {
        drops[i].journal = &journal;
        drops[i].mark = (char)('A' + i);
        ctxs[i] = drop_value(&drops[i]);
    }
    assert_int_equal(vow_submit_many(serial, give_seven, ctxs, 5, fs), 0);
    assert_int_equal(vow_submit_many(serial, give_seven, NULL, 0, NULL), 0);
    assert_int_equal(serial->ops->post_many(serial, NULL, 0), 0);
    vow_manual_run(m);
    assert_string_equal(journal.text, "ABCDE");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(vow_get(fs[i]).value.as.i64, 7);
        vow_unref(fs[i]);
    }
}

VOW_CASE(busy_one_lets_others_run_in_between)
{
    static struct job jobs[2 * BUDGET + 1];
    struct job other = job('X');
    size_t turns = 0;

    for (int i = 0; i < 2 * BUDGET + 1; i++) {
        jobs[i] = job('A');
        jobs[i].task.priority = VOW_LOW;
        assert_int_equal(post(&jobs[i]), 0);
    }
    assert_int_equal(vow_post_task(vow_manual_executor(m), &other.task), 0);

    while (vow_manual_step(m)) {
        turns++;
        assert_int_equal(other.runs, turns > 1);
        assert_int_equal(jobs[BUDGET].runs, turns > 2);
    }
    assert_int_equal(turns, 4);
    assert_int_equal(jobs[2 * BUDGET].runs, 1);
}

VOW_CASE(full_turn_with_nothing_behind_it_is_not_posted_again)
{
    static struct job jobs[BUDGET];

    for (int i = 0; i < BUDGET; i++) {
        jobs[i] = job('A');
        assert_int_equal(post(&jobs[i]), 0);
    }
    assert_int_equal(vow_manual_run(m), 1);
    assert_int_equal(jobs[BUDGET - 1].runs, 1);
}

VOW_CASE(clock_is_that_of_what_is_behind)
{
    vow_executor *plain = vow_serial_new(NULL);

    assert_ptr_equal(serial->ops->clock(serial), vow_manual_clock(m));
    assert_null(plain->ops->clock(plain));
    vow_executor_unref(plain);
}

/* ---- inline, and on one another -------------------------------------------- */

VOW_CASE(inline_one_has_run_when_submit_returns)
{
    vow_executor *on[] = {NULL, vow_inline()};

    for (int i = 0; i < 2; i++) {
        vow_executor *s = vow_serial_new(on[i]);
        vow_future *f = vow_submit(s, give_seven, VOW_NIL);

        assert_int_equal(vow_peek(f).value.as.i64, 7);
        vow_unref(f);
        vow_executor_unref(s);
    }
}

static void
post_inline_other(struct job *j)
{
    j->answer = vow_post_task(j->on, &j->other->task);
    journal_add(&journal, '.');
}

VOW_CASE(inline_one_runs_what_a_task_posts_after_it)
{
    vow_executor *s = vow_serial_new(NULL);
    struct job b = job('B');
    struct job a = job_that('A', post_inline_other, &b);

    a.on = s;
    assert_int_equal(vow_post_task(s, &a.task), 0);
    assert_string_equal(journal.text, "A.B");
    vow_executor_unref(s);
}

VOW_CASE(serial_on_serial_keeps_the_order_of_both)
{
    vow_executor *upper = vow_serial_new(serial);
    struct job a = job('A');
    struct job b = job('B');
    struct job c = job('C');

    assert_int_equal(vow_post_task(upper, &a.task), 0);
    assert_int_equal(post(&b), 0);
    assert_int_equal(vow_post_task(upper, &c.task), 0);
    vow_manual_run(m);
    assert_string_equal(journal.text, "ACB"); /* the upper one's turn holds both */
    vow_executor_unref(upper);
}

/* ---- waiting inside ------------------------------------------------------------ */

static vow_result
wait_inside(void *f)
{
    vow_view settled = vow_get(f);
    vow_future *pending = vow_submit(serial, give_seven, VOW_NIL);
    vow_view refused = vow_get(pending);

    assert_int_equal(settled.value.as.i64, 1);
    assert_false(vow_wait(pending, vow_seconds(100)));
    assert_int_equal(vow_error_code(refused.error), VOW_E_DEADLOCK);
    assert_non_null(strstr(vow_error_message(refused.error), "serial executor"));
    assert_non_null(strstr(vow_error_message(refused.error), "vow_follow"));
    return vow_follow(pending);
}

VOW_CASE(wait_inside_is_refused_and_says_what_to_do_instead)
{
    vow_future *one = vow_resolved(vow_i64(1));
    vow_future *f = vow_submit(serial, wait_inside, vow_ptr(one));

    vow_manual_run(m);
    assert_int_equal(vow_peek(f).value.as.i64, 7);
    vow_unref(one);
    vow_unref(f);
}

static vow_result
wait_on_manual(void *f)
{
    vow_view refused = vow_get(f);

    assert_int_equal(vow_error_code(refused.error), VOW_E_DEADLOCK);
    assert_non_null(strstr(vow_error_message(refused.error), "manual executor"));
    return vow_ok(VOW_NIL);
}

VOW_CASE(wait_on_what_is_behind_has_a_message_of_its_own)
{
    vow_promise *p = vow_promise_new();
    vow_future *pending = vow_promise_future(p);
    vow_future *f = vow_submit(vow_manual_executor(m), wait_on_manual, vow_ptr(pending));

    vow_manual_run(m);
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    vow_unref(f);
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
    vow_unref(pending);
}

/* ---- refused by what is behind ------------------------------------------------------ */

/* An executor that refuses from some post on, and may do something first. */
struct gatekeeper {
    vow_executor base;
    int accepts; /* posts */
    int why;
    vow_task *kept;
    int flags; /* of the last post */
    void (*before_refusing)(void);
};

static int
keep(vow_executor *self, vow_task *task)
{
    struct gatekeeper *g = (struct gatekeeper *)(void *)self;
    void (*act)(void) = g->before_refusing;

    g->flags = task->flags;
    if (g->accepts-- > 0) {
        task->next = g->kept;
        g->kept = task;
        return 0;
    }
    g->before_refusing = NULL;
    if (act != NULL)
        act();
    return g->why;
}

static const vow_executor_ops gatekeeper_ops = {
    .size = sizeof(vow_executor_ops), .name = "gatekeeper", .post = keep};

static struct gatekeeper gate;
static vow_executor *behind_gate;
static struct job late, later;

/* Puts a serial executor on one that accepts so many posts and then refuses. */
static void
shut_gate(int accepts, int why, void (*before_refusing)(void))
{
    gate = (struct gatekeeper){.base.ops = &gatekeeper_ops,
                               .accepts = accepts,
                               .why = why,
                               .before_refusing = before_refusing};
    behind_gate = vow_serial_new(&gate.base);
    assert_non_null(behind_gate);
    late = job('L');
    later = job('M');
}

static void
run_kept(int why)
{
    vow_task *task = gate.kept;

    assert_non_null(task);
    gate.kept = NULL;
    task->run(task, why);
}

VOW_CASE(task_that_is_refused_stays_with_the_caller)
{
    struct job a = job('A');
    struct drop ctx = {0};
    vow_future *f;

    shut_gate(0, VOW_E_LIMIT, NULL);
    assert_int_equal(vow_post_task(behind_gate, &a.task), VOW_E_LIMIT);
    assert_int_equal(a.runs, 0);
    f = vow_submit(behind_gate, give_seven, drop_value(&ctx));
    assert_int_equal(code_of(f), VOW_E_LIMIT);
    assert_int_equal(drop_count(&ctx), 1);
    vow_unref(f);

    gate.accepts = 1; /* not for ever */
    assert_int_equal(vow_post_task(behind_gate, &a.task), 0);
    run_kept(0);
    assert_int_equal(a.runs, 1);
    vow_executor_unref(behind_gate);
}

VOW_CASE(list_that_is_refused_stays_with_the_caller_as_it_was)
{
    struct job a = job('A');
    struct job b = job('B');
    struct job c = job('C');

    shut_gate(0, VOW_E_LIMIT, NULL);
    a.task.next = &b.task;
    b.task.next = &c.task;
    assert_int_equal(behind_gate->ops->post_many(behind_gate, &a.task, 3), VOW_E_LIMIT);
    assert_ptr_equal(a.task.next, &b.task);
    assert_ptr_equal(b.task.next, &c.task);
    assert_null(c.task.next);

    vow_unref(vow_executor_close(behind_gate, VOW_DRAIN));
    assert_int_equal(behind_gate->ops->post_many(behind_gate, &a.task, 3), VOW_E_CLOSED);
    assert_ptr_equal(a.task.next, &b.task);
    assert_ptr_equal(b.task.next, &c.task);
    assert_null(c.task.next);
    vow_executor_unref(behind_gate);
}

/* As if another thread posted just before the first one's post is refused. */
static void
post_late(void)
{
    assert_int_equal(vow_post_task(behind_gate, &late.task), 0);
    assert_int_equal(vow_post_task(behind_gate, &later.task), 0);
}

VOW_CASE(what_others_posted_meanwhile_ends_with_the_code)
{
    struct job a = job('A');

    shut_gate(0, VOW_E_LIMIT, post_late);
    assert_int_equal(vow_post_task(behind_gate, &a.task), VOW_E_LIMIT);
    assert_int_equal(a.runs, 0);
    assert_int_equal(late.why, VOW_E_LIMIT);
    assert_int_equal(later.why, VOW_E_LIMIT);
    assert_string_equal(journal.text, "lm");
    vow_executor_unref(behind_gate);
}

static void
post_late_and_open(void)
{
    post_late();
    gate.accepts = 1;
}

VOW_CASE(what_others_posted_meanwhile_is_tried_again_as_a_step)
{
    struct job a = job('A');

    shut_gate(0, VOW_E_LIMIT, post_late_and_open);
    assert_int_equal(vow_post_task(behind_gate, &a.task), VOW_E_LIMIT);
    assert_int_equal(gate.flags, VOW_TASK_STEP); /* they were accepted */
    run_kept(0);
    assert_int_equal(a.runs, 0);
    assert_string_equal(journal.text, "LM");
    vow_executor_unref(behind_gate);
}

static void
cancel_gate(void)
{
    vow_unref(vow_executor_close(behind_gate, VOW_CANCEL_QUEUED));
}

VOW_CASE(what_a_close_ended_before_the_refusal_counts_as_taken)
{
    struct job a = job('A');

    shut_gate(0, VOW_E_LIMIT, cancel_gate);
    assert_int_equal(vow_post_task(behind_gate, &a.task), 0);
    assert_int_equal(a.runs, 1);
    assert_int_equal(a.why, VOW_E_CLOSED);
    assert_int_equal(vow_executor_join(behind_gate), 0);
    vow_executor_unref(behind_gate);
}

VOW_CASE(runner_that_is_dropped_ends_what_is_queued)
{
    struct job a = job('A');
    struct job b = job('B');

    shut_gate(1, VOW_E_LIMIT, NULL);
    assert_int_equal(vow_post_task(behind_gate, &a.task), 0);
    assert_int_equal(vow_post_task(behind_gate, &b.task), 0);
    run_kept(VOW_E_LIMIT);
    assert_int_equal(a.why, VOW_E_LIMIT);
    assert_int_equal(b.why, VOW_E_LIMIT);

    gate.accepts = 1;
    a = job('A');
    assert_int_equal(vow_post_task(behind_gate, &a.task), 0);
    run_kept(0);
    assert_int_equal(a.why, 0);
    vow_executor_unref(behind_gate);
}

VOW_CASE(runner_that_is_dropped_after_close_ends_it)
{
    struct job a = job('A');
    vow_future *closed;

    shut_gate(1, VOW_E_LIMIT, NULL);
    assert_int_equal(vow_post_task(behind_gate, &a.task), 0);
    closed = vow_executor_close(behind_gate, VOW_DRAIN);
    assert_false(is_settled(closed));
    run_kept(VOW_E_CLOSED);
    assert_int_equal(a.why, VOW_E_CLOSED);
    assert_true(is_settled(closed));
    vow_unref(closed);
    vow_executor_unref(behind_gate);
}

VOW_CASE(second_turn_that_is_refused_ends_what_is_left)
{
    static struct job jobs[BUDGET + 2];

    shut_gate(1, VOW_E_CLOSED, NULL);
    for (int i = 0; i < BUDGET + 2; i++) {
        jobs[i] = job('A');
        assert_int_equal(vow_post_task(behind_gate, &jobs[i].task), 0);
    }
    run_kept(0);
    assert_int_equal(jobs[BUDGET - 1].why, 0);
    assert_int_equal(jobs[BUDGET].why, VOW_E_CLOSED);
    assert_int_equal(jobs[BUDGET + 1].why, VOW_E_CLOSED);
    vow_executor_unref(behind_gate);
}

static void
cancel_and_let_go(void)
{
    cancel_gate();
    vow_executor_unref(behind_gate);
}

VOW_CASE(second_turn_that_is_refused_after_the_end_frees_it)
{
    static struct job jobs[BUDGET + 1];

    shut_gate(1, VOW_E_CLOSED, cancel_and_let_go);
    for (int i = 0; i < BUDGET + 1; i++) {
        jobs[i] = job('A');
        assert_int_equal(vow_post_task(behind_gate, &jobs[i].task), 0);
    }
    run_kept(0);
    assert_int_equal(jobs[BUDGET].why, VOW_E_CLOSED);
}

VOW_CASE(step_starts_it_as_a_step_and_keeps_its_outcome_if_refused)
{
    vow_future *f;

    shut_gate(0, VOW_E_LIMIT, NULL);
    f = vow_finally(vow_rejected(vow_error_of(VOW_E_TIMEDOUT)), behind_gate, NULL,
                    VOW_NIL);
    assert_int_equal(gate.flags, VOW_TASK_STEP);
    assert_int_equal(code_of(f), VOW_E_TIMEDOUT);
    vow_unref(f);
    vow_executor_unref(behind_gate);
}

VOW_CASE(cancel_of_what_is_behind_ends_what_is_queued)
{
    struct drop ctx = {0};
    vow_future *f = vow_submit(serial, give_seven, drop_value(&ctx));
    vow_future *g;

    vow_unref(vow_executor_close(vow_manual_executor(m), VOW_CANCEL_QUEUED));
    assert_int_equal(code_of(f), VOW_E_CLOSED);
    assert_int_equal(drop_count(&ctx), 1);
    g = vow_submit(serial, give_seven, VOW_NIL);
    assert_int_equal(code_of(g), VOW_E_CLOSED);
    vow_unref(f);
    vow_unref(g);
}

/* ---- its end --------------------------------------------------------------------------- */

VOW_CASE(close_of_an_idle_one_settles_at_once)
{
    vow_future *drained = vow_executor_close(serial, VOW_DRAIN);
    vow_future *cancelled = vow_executor_close(serial, VOW_CANCEL_QUEUED);
    struct job a = job('A');

    assert_true(is_settled(drained));
    assert_true(is_settled(cancelled));
    assert_int_equal(vow_executor_join(serial), 0);
    assert_int_equal(post(&a), VOW_E_CLOSED);
    vow_unref(drained);
    vow_unref(cancelled);
}

VOW_CASE(close_drains_what_is_queued)
{
    struct job b = job('B');
    struct job a = job_that('A', post_other, &b); /* a task of its own may */
    struct job c = job('C');
    vow_future *closed;

    assert_int_equal(post(&a), 0);
    closed = vow_executor_close(serial, VOW_DRAIN);
    assert_int_equal(post(&c), VOW_E_CLOSED);
    assert_false(is_settled(closed));
    vow_manual_run(m);

    assert_string_equal(journal.text, "AB");
    assert_true(is_settled(closed));
    assert_int_equal(post(&c), VOW_E_CLOSED);
    vow_unref(closed);
}

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

VOW_CASE(draining_one_admits_steps_until_it_is_idle)
{
    vow_promise *p = vow_promise_new();
    vow_promise *q = vow_promise_new();
    vow_future *f = vow_then(vow_promise_future(p), serial, add_one, VOW_NIL);
    vow_future *g = vow_then(vow_promise_future(q), serial, add_one, VOW_NIL);
    struct job a = job('A');

    assert_int_equal(post(&a), 0);
    vow_unref(vow_executor_close(serial, VOW_DRAIN));
    vow_promise_fulfill(p, vow_i64(1));
    vow_manual_run(m);
    vow_promise_fulfill(q, vow_i64(1));

    assert_int_equal(vow_peek(f).value.as.i64, 2);
    assert_int_equal(code_of(g), VOW_E_CLOSED);
    vow_promise_unref(p);
    vow_promise_unref(q);
    vow_unref(f);
    vow_unref(g);
}

VOW_CASE(cancel_ends_what_is_queued_at_once_and_settles)
{
    struct job a = job('A');
    struct job b = job('B');
    vow_future *closed;

    assert_int_equal(post(&a), 0);
    assert_int_equal(post(&b), 0);
    closed = vow_executor_close(serial, VOW_CANCEL_QUEUED);
    assert_int_equal(a.why, VOW_E_CLOSED);
    assert_int_equal(b.why, VOW_E_CLOSED);
    assert_true(is_settled(closed)); /* though its runner is still queued */
    vow_unref(closed);
    assert_int_equal(vow_manual_run(m), 1);
    assert_int_equal(b.runs, 1);
}

VOW_CASE(cancelled_one_may_go_before_its_runner_comes_out)
{
    struct job a = job('A');
    vow_executor *s = vow_serial_new(vow_manual_executor(m));

    assert_int_equal(vow_post_task(s, &a.task), 0);
    vow_unref(vow_executor_close(s, VOW_CANCEL_QUEUED));
    vow_executor_unref(s);
    assert_int_equal(vow_manual_run(m), 1);
    assert_int_equal(a.why, VOW_E_CLOSED);
}

VOW_CASE(close_twice_escalates)
{
    struct job a = job('A');
    vow_future *drained, *cancelled;

    assert_int_equal(post(&a), 0);
    drained = vow_executor_close(serial, VOW_DRAIN);
    cancelled = vow_executor_close(serial, VOW_CANCEL_QUEUED);
    assert_int_equal(a.why, VOW_E_CLOSED);
    assert_true(is_settled(drained));
    assert_true(is_settled(cancelled));
    vow_unref(drained);
    vow_unref(cancelled);
    vow_unref(vow_executor_close(serial, VOW_DRAIN));
}

static vow_future *closed_inside;

static void
drain_inside(struct job *j)
{
    closed_inside = vow_executor_close(serial, VOW_DRAIN);
    assert_int_equal(vow_executor_join(serial), VOW_E_DEADLOCK);
    j->answer = post(j->other);
}

VOW_CASE(close_inside_a_task_ends_after_what_it_posts)
{
    struct job b = job('B');
    struct job a = job_that('A', drain_inside, &b);

    assert_int_equal(post(&a), 0);
    vow_manual_run(m);
    assert_int_equal(a.answer, 0);
    assert_string_equal(journal.text, "AB");
    assert_true(is_settled(closed_inside));
    vow_unref(closed_inside);
}

static void
cancel_inside(struct job *j)
{
    closed_inside = vow_executor_close(serial, VOW_CANCEL_QUEUED);
    assert_false(is_settled(closed_inside)); /* this one still runs */
    j->answer = post(j->other);
}

VOW_CASE(cancel_inside_a_task_ends_what_is_behind_it)
{
    struct job c = job('C');
    struct job a = job_that('A', cancel_inside, &c);
    struct job b = job('B');

    assert_int_equal(post(&a), 0);
    assert_int_equal(post(&b), 0);
    vow_manual_run(m);
    assert_int_equal(a.answer, VOW_E_CLOSED);
    assert_int_equal(b.why, VOW_E_CLOSED);
    assert_string_equal(journal.text, "Ab");
    assert_true(is_settled(closed_inside));
    vow_unref(closed_inside);
}

static void
let_go_inside(struct job *j)
{
    vow_executor_unref(j->on);
}

VOW_CASE(last_reference_may_go_inside_a_task)
{
    struct job a = job_that('A', let_go_inside, NULL);
    struct job b = job('B');

    a.on = vow_serial_new(vow_manual_executor(m));
    assert_int_equal(vow_post_task(a.on, &a.task), 0);
    assert_int_equal(vow_post_task(a.on, &b.task), 0);
    vow_manual_run(m);
    assert_string_equal(journal.text, "AB");
}

VOW_CASE(last_reference_that_goes_drains_what_is_queued)
{
    vow_executor *s = vow_serial_new(vow_manual_executor(m));
    struct job a = job('A');

    assert_int_equal(vow_post_task(s, &a.task), 0);
    vow_executor_unref(s);
    vow_manual_run(m);
    assert_string_equal(journal.text, "A");
}

static void
cancel_other(struct job *j)
{
    (void)j;
    vow_unref(vow_executor_close(serial, VOW_CANCEL_QUEUED));
}

/* The drop of what is refused closes again, and posts. */
VOW_CASE(close_inside_a_refused_task_works)
{
    struct job c = job('C');
    struct job a = job_that('A', cancel_other, NULL);
    struct job b = job_that('B', post_other, &c);
    vow_future *closed;

    assert_int_equal(post(&a), 0);
    assert_int_equal(post(&b), 0);
    closed = vow_executor_close(serial, VOW_CANCEL_QUEUED);
    assert_string_equal(journal.text, "ab");
    assert_int_equal(b.answer, VOW_E_CLOSED);
    assert_true(is_settled(closed));
    vow_unref(closed);
}

/* ---- a task that ends its thread ------------------------------------------------------ */

static vow_result
exit_thread(void *ctx)
{
    drop_ran(ctx);
    pthread_exit(NULL);
}

VOW_CASE(task_that_exits_its_thread_leaves_the_others_to_a_new_one)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    vow_executor *s = vow_serial_new(pool);
    struct drop ctx = {0};
    vow_future *f = vow_submit(s, exit_thread, drop_value(&ctx));
    vow_future *g = vow_submit(s, give_seven, VOW_NIL);
    vow_future *h = vow_submit(s, exit_thread, VOW_NIL);

    assert_int_equal(code_of(f), VOW_E_BROKEN);
    assert_int_equal(drop_count(&ctx), 1);
    assert_int_equal(vow_get(g).value.as.i64, 7);
    assert_int_equal(code_of(h), VOW_E_BROKEN);
    vow_unref(f);
    vow_unref(g);
    vow_unref(h);
    close_and_join(s);
    close_and_join(pool);
}

static struct job inline_jobs[2];

static void
post_and_exit(struct job *j)
{
    for (int i = 0; i < 2; i++) {
        inline_jobs[i] = job((char)('B' + i));
        assert_int_equal(vow_post_task(j->on, &inline_jobs[i].task), 0);
    }
    vow_unref(vow_executor_close(j->on, VOW_DRAIN));
    pthread_exit(NULL);
}

static void *
post_inline_exit(void *a)
{
    struct job *j = a;

    assert_int_equal(vow_post_task(j->on, &j->task), 0);
    return a; /* never */
}

VOW_CASE(inline_task_that_exits_its_thread_leaves_none_behind)
{
    struct job a = job_that('A', post_and_exit, NULL);
    pthread_t thread;
    void *returned;

    a.on = vow_serial_new(NULL);
    assert_int_equal(pthread_create(&thread, NULL, post_inline_exit, &a), 0);
    pthread_join(thread, &returned);
    assert_null(returned);
    assert_string_equal(journal.text, "ABC");
    assert_int_equal(vow_executor_join(a.on), 0);
    vow_executor_unref(a.on);
}

/* ---- on a pool ---------------------------------------------------------------------------- */

static atomic_int step_ran;

static vow_result
note_step(vow_value in, void *ctx)
{
    (void)ctx;
    atomic_store(&step_ran, 1);
    return vow_ok(in);
}

static vow_result
wait_for_the_step(void *ctx)
{
    (void)ctx;
    await_flag(&step_ran, 1);
    return vow_ok(VOW_NIL);
}

struct turn {
    vow_executor *pool;
    vow_executor *serial;
    vow_future *step;
    vow_future *last;
};

/* All that is in one turn. */
static vow_result
fill_turn(void *ctx)
{
    struct turn *t = ctx;
    vow_future *first = vow_submit(t->serial, give_seven, VOW_NIL);

    t->step = vow_then(first, t->pool, note_step, VOW_NIL);
    t->last = vow_submit(t->serial, wait_for_the_step, VOW_NIL);
    return vow_ok(VOW_NIL);
}

static void
take_turn(struct turn *t)
{
    vow_future *f;

    atomic_store(&step_ran, 0);
    f = vow_submit(t->serial, fill_turn, vow_ptr(t));
    assert_int_equal(code_of(f), 0);
    assert_int_equal(code_of(t->last), 0);
    assert_int_equal(vow_get(t->step).value.as.i64, 7);
    vow_unref(f);
    vow_unref(t->step);
    vow_unref(t->last);
}

/* A step that goes to the pool as a task ends is not what its worker does next. More
 * than once, so that the other worker sleeps. */
VOW_CASE(step_on_the_pool_does_not_wait_for_the_whole_turn)
{
    struct turn t = {.pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2))};

    t.serial = vow_serial_new(t.pool);
    for (int i = 0; i < 100; i++)
        take_turn(&t);
    close_and_join(t.serial);
    close_and_join(t.pool);
}

enum { PRODUCERS = 3, EACH = 2000 };

struct account {
    vow_executor *on;
    int balance; /* no lock: that is what a serial executor is for */
    int last[PRODUCERS];
    atomic_int inside;
};

struct deposit {
    vow_task task;
    struct account *account;
    int producer, number;
};

static struct account account;
static struct deposit deposits[PRODUCERS][EACH];

static void
run_deposit(vow_task *task, int why)
{
    struct deposit *d = (struct deposit *)(void *)task;
    struct account *a = d->account;

    assert_int_equal(why, 0);
    assert_int_equal(atomic_fetch_add(&a->inside, 1), 0);
    a->balance++;
    assert_int_equal(d->number, a->last[d->producer]);
    a->last[d->producer]++;
    atomic_fetch_sub(&a->inside, 1);
}

static void *
produce(void *first)
{
    struct deposit *d = first;

    for (int i = 0; i < EACH; i++)
        assert_int_equal(vow_post_task(d[i].account->on, &d[i].task), 0);
    return NULL;
}

VOW_CASE(many_threads_post_and_tasks_never_overlap_or_change_order)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 3));
    pthread_t threads[PRODUCERS];

    account = (struct account){.on = vow_serial_new(pool)};
    for (int p = 0; p < PRODUCERS; p++)
        for (int i = 0; i < EACH; i++)
            deposits[p][i] = (struct deposit){
                .task.run = run_deposit, .account = &account, .producer = p, .number = i};
    for (int p = 0; p < PRODUCERS; p++)
        assert_int_equal(pthread_create(&threads[p], NULL, produce, deposits[p]), 0);
    for (int p = 0; p < PRODUCERS; p++)
        pthread_join(threads[p], NULL);
    close_and_join(account.on);
    close_and_join(pool);
    assert_int_equal(account.balance, PRODUCERS * EACH);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(new_without_memory_is_null),
        manual_test(tasks_run_in_order_when_what_is_behind_runs),
        manual_test(task_that_posts_runs_before_what_it_posts),
        manual_test(idle_one_starts_again),
        manual_test(many_posted_at_once_keep_their_order),
        manual_test(busy_one_lets_others_run_in_between),
        manual_test(full_turn_with_nothing_behind_it_is_not_posted_again),
        manual_test(clock_is_that_of_what_is_behind),
        vow_test(inline_one_has_run_when_submit_returns),
        manual_test(inline_one_runs_what_a_task_posts_after_it),
        manual_test(serial_on_serial_keeps_the_order_of_both),
        manual_test(wait_inside_is_refused_and_says_what_to_do_instead),
        manual_test(wait_on_what_is_behind_has_a_message_of_its_own),
        manual_test(task_that_is_refused_stays_with_the_caller),
        manual_test(list_that_is_refused_stays_with_the_caller_as_it_was),
        manual_test(what_others_posted_meanwhile_ends_with_the_code),
        manual_test(what_others_posted_meanwhile_is_tried_again_as_a_step),
        manual_test(what_a_close_ended_before_the_refusal_counts_as_taken),
        manual_test(runner_that_is_dropped_ends_what_is_queued),
        manual_test(runner_that_is_dropped_after_close_ends_it),
        manual_test(second_turn_that_is_refused_ends_what_is_left),
        manual_test(second_turn_that_is_refused_after_the_end_frees_it),
        manual_test(step_starts_it_as_a_step_and_keeps_its_outcome_if_refused),
        manual_test(cancel_of_what_is_behind_ends_what_is_queued),
        manual_test(close_of_an_idle_one_settles_at_once),
        manual_test(close_drains_what_is_queued),
        manual_test(draining_one_admits_steps_until_it_is_idle),
        manual_test(cancel_ends_what_is_queued_at_once_and_settles),
        manual_test(cancelled_one_may_go_before_its_runner_comes_out),
        manual_test(close_twice_escalates),
        manual_test(close_inside_a_task_ends_after_what_it_posts),
        manual_test(cancel_inside_a_task_ends_what_is_behind_it),
        manual_test(last_reference_may_go_inside_a_task),
        manual_test(last_reference_that_goes_drains_what_is_queued),
        manual_test(close_inside_a_refused_task_works),
        vow_test(task_that_exits_its_thread_leaves_the_others_to_a_new_one),
        manual_test(inline_task_that_exits_its_thread_leaves_none_behind),
        vow_test(step_on_the_pool_does_not_wait_for_the_whole_turn),
        vow_test(many_threads_post_and_tasks_never_overlap_or_change_order),
    };

    return vow_test_run(cases);
}
