/* SPDX-License-Identifier: MIT */
/* An event loop: in which order things run, how it is run, stopped and waited on. */
#include "loop_fixture.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* ---- making ---------------------------------------------------------------------------- */

VOW_CASE(new_without_memory_is_null_with_enomem)
{
    counting_each_failure(k, COUNTING_ONCE)
    {
        vow_loop *l = vow_loop_new(NULL);

        if (counting_failed())
            assert_null(l);
        else
            assert_non_null(l);
        if (l == NULL)
            assert_int_equal(errno, ENOMEM);
        vow_loop_unref(l);
    }
}

VOW_CASE(null_is_accepted)
{
    vow_loop_unref(NULL);
    vow_loop_stop(NULL);
    vow_loop_wake(NULL);
    assert_null(vow_loop_ref(NULL));
    assert_null(vow_loop_executor(NULL));
    assert_null(vow_loop_ready(NULL, 0, VOW_FD_READ));
    assert_null(vow_loop_signal(NULL, SIGUSR1));
    assert_int_equal(vow_loop_request_frame(NULL, NULL, VOW_NIL), VOW_E_NOMEM);
    assert_int_equal(vow_watch_stop(NULL), 0);
    assert_null(vow_watch_start(NULL, 0, VOW_FD_READ, NULL, VOW_NIL));
    assert_int_equal(errno, ENOMEM);
}

VOW_CASE(options_of_an_older_program_are_read_as_far_as_they_go)
{
    struct {
        size_t size;
        vow_clock *clock;
    } old = {sizeof old, &still};
    vow_loop *l = vow_loop_new((const vow_loop_options *)(const void *)&old);

    assert_non_null(l);
    assert_ptr_equal(vow_loop_executor(l)->ops->clock(vow_loop_executor(l)), &still);
    vow_loop_unref(l);
}

VOW_CASE(the_clock_is_the_one_in_force_when_it_was_made)
{
    vow_clock *before = vow_clock_use(&still);
    vow_loop *l = vow_loop_new(NULL);
    vow_executor *its = vow_loop_executor(l);

    vow_clock_use(before);
    assert_ptr_equal(its->ops->clock(its), &still);
    vow_loop_unref(l);
}

/* ---- posts --------------------------------------------------------------------------- */

VOW_CASE(posts_run_in_order)
{
    struct job jobs[3];

    post_all(jobs, "abc");
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_string_equal(journal.text, "abc");
    assert_int_equal(vow_loop_run_once(loop, 0), VOW_E_TIMEDOUT);
    assert_int_equal(stats().tasks, 3);
}

static vow_result
note(void *ctx)
{
    journal_add(&journal, *(const char *)ctx);
    return vow_ok(VOW_NIL);
}

static void
submit_many(void *text)
{
    const char *marks = text;
    vow_value ctxs[3] = {vow_ptr(marks), vow_ptr(marks + 1), vow_ptr(marks + 2)};

    assert_int_equal(vow_submit_many(on, note, ctxs, 3, NULL), 0);
}

VOW_CASE(many_submitted_from_outside_and_inside_run_in_order)
{
    char inside[] = "def";
    char outside[] = "abc";
    struct job j = job_that('.', submit_many, inside);

    post_job(&j);
    submit_many(outside);
    run_all();
    assert_string_equal(journal.text, ".abcdef");
}

VOW_CASE(a_post_from_inside_runs_in_the_next_turn)
{
    struct job b = job('b');
    struct job a = job_that('a', post_job, &b);

    post_job(&a);
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_string_equal(journal.text, "a");
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_string_equal(journal.text, "ab");
}

static bool is_current_inside;

static void
ask_inside(void *arg)
{
    (void)arg;
    is_current_inside = on->ops->is_current(on);
}

VOW_CASE(it_is_current_inside_its_callbacks)
{
    struct job a = job_that('a', ask_inside, NULL);

    post_job(&a);
    assert_false(on->ops->is_current(on));
    run_all();
    assert_true(is_current_inside);
    assert_false(on->ops->is_current(on));
}

VOW_CASE(a_step_is_no_idle_task_whatever_its_priority)
{
    struct job s = job('s'), p = job('p');

    s.timer.task.priority = VOW_IDLE;
    post_step(&s);
    post_job(&p);
    run_all();
    assert_string_equal(journal.text, "sp");
}

VOW_CASE(nothing_may_be_posted_at_once)
{
    assert_int_equal(on->ops->post_many(on, NULL, 0), 0);
    assert_int_equal(vow_loop_run_once(loop, 0), VOW_E_TIMEDOUT);
}

static void *
post_from_a_thread(void *jobs)
{
    post_all(jobs, "xyz");
    return NULL;
}

VOW_CASE(posts_of_a_thread_wake_the_loop_once)
{
    struct job jobs[3];
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, post_from_a_thread, jobs), 0);
    pthread_join(thread, NULL);
    assert_int_equal(stats().wakes, 1); /* from idle to busy */
    run_all();
    assert_string_equal(journal.text, "xyz");
    assert_int_equal(stats().wakes, 1);
}

static void *
post_one(void *job)
{
    post_job(job);
    return NULL;
}

static void
post_from_another_thread(void *job)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, post_one, job), 0);
    pthread_join(thread, NULL);
}

VOW_CASE(a_post_to_a_busy_loop_writes_nothing)
{
    struct job b = job('b');
    struct job a = job_that('a', post_from_another_thread, &b);

    post_job(&a);
    run_all();
    assert_string_equal(journal.text, "ab");
    assert_int_equal(stats().wakes, 1); /* that of the first, when nobody ran it */
}

/* ---- microtasks ------------------------------------------------------------------------ */

VOW_CASE(steps_run_after_the_callback_and_before_the_next)
{
    struct job s = job('s');
    struct job a = job_that('a', post_step, &s);
    struct job b = job('b');

    post_job(&a);
    post_job(&b);
    run_all();
    assert_string_equal(journal.text, "asb");
    assert_int_equal(stats().microtasks, 1);
}

VOW_CASE(a_step_from_outside_is_a_post)
{
    struct job a = job('a');
    struct job s = job('s');
    struct job b = job('b');

    post_job(&a);
    post_step(&s);
    post_job(&b);
    run_all();
    assert_string_equal(journal.text, "asb");
    assert_int_equal(stats().microtasks, 0);
}

enum { MANY = 10000 };

static struct job many[MANY];
static int microtasks_at_b;

static void
post_many_steps(void *n)
{
    for (int i = 0; i < *(int *)n; i++) {
        many[i] = job('.');
        post_step(&many[i]);
    }
}

static void
look_at_microtasks(void *arg)
{
    (void)arg;
    microtasks_at_b = (int)stats().microtasks;
}

VOW_CASE(steps_are_limited_a_callback)
{
    int n = 1000;
    struct job a = job_that('a', post_many_steps, &n);
    struct job b = job_that('b', look_at_microtasks, NULL);

    post_job(&a);
    post_job(&b);
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_int_equal(microtasks_at_b, 256);
    assert_int_equal(stats().microtasks, 512); /* after b, too */
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_int_equal(many[n - 1].runs, 1);
}

static struct job self_posted;

static void
post_itself_and_many_steps(void *n)
{
    self_posted = job('p');
    post_job(&self_posted);
    post_many_steps(n);
}

VOW_CASE(what_is_left_of_steps_comes_before_posts_in_the_next_turn)
{
    int n = 257;
    struct job b = job('b');
    struct job a = job_that('a', post_itself_and_many_steps, &n);

    post_job(&a);
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    post_job(&b);
    many[256].mark = 's';
    journal = (struct journal){.used = 0};
    run_all();
    assert_string_equal(journal.text, "spb");
}

static void
nothing(void *arg)
{
    (void)arg;
}

VOW_CASE(steps_are_limited_a_turn)
{
    int n = MANY;
    struct job a = job_that('a', post_many_steps, &n);
    struct job rest[40];

    post_job(&a);
    for (int i = 0; i < 40; i++) {
        rest[i] = job_that('r', nothing, NULL);
        post_job(&rest[i]);
    }
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_int_equal(stats().microtasks, 4096);
    run_all();
    for (int i = 0; i < MANY; i++)
        assert_int_equal(many[i].runs, 1);
}

static vow_result
note_step(vow_value in, void *ctx)
{
    (void)in;
    journal_add(&journal, *(const char *)ctx);
    return vow_ok(VOW_NIL);
}

static void
chain(void *marks)
{
    vow_future *f = vow_resolved(VOW_NIL);

    for (const char *m = marks; *m != '\0'; m++)
        f = vow_then(f, on, note_step, vow_ptr(m));
    vow_unref(f);
}

VOW_CASE(a_chain_is_drained_before_the_next_timer)
{
    char marks[] = "123";
    struct job a = job_that('a', chain, marks);
    struct job b = job('b');

    arm(&a, 5);
    arm(&b, 5);
    pass(5);
    run_all();
    assert_string_equal(journal.text, "a123b");
}

/* ---- timers ------------------------------------------------------------------------------ */

VOW_CASE(timers_fire_by_deadline_then_as_they_were_armed)
{
    struct job jobs[4] = {job('a'), job('b'), job('c'), job('d')};

    arm(&jobs[0], 20);
    arm(&jobs[1], 10);
    arm(&jobs[2], 20);
    arm(&jobs[3], 30);
    assert_int_equal(vow_loop_run_once(loop, 0), VOW_E_TIMEDOUT);
    pass(20);
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_string_equal(journal.text, "bac");
    pass(9);
    assert_int_equal(vow_loop_run_once(loop, 0), VOW_E_TIMEDOUT);
    pass(1);
    run_all();
    assert_string_equal(journal.text, "bacd");
    assert_int_equal(stats().timers, 4);
}

static void
arm_now(void *arg)
{
    struct job *j = arg;

    arm(j, 0);
}

/* So many that they are spread before their time, some of them in each turn. */
enum { CROWD = 200 };

static struct job crowd[CROWD];
static size_t fired;

static void
fire_next(void *arg)
{
    assert_ptr_equal(arg, &crowd[fired++]);
}

VOW_CASE(a_crowd_of_timers_fires_in_its_time_and_order)
{
    const vow_ns when = 10000000, near = 400000, step = 10000;

    fired = 0;
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = job_that('.', fire_next, &crowd[i]);
        arm(&crowd[i], when);
    }
    pass(when - near);
    for (vow_ns left = near; left > 0; left -= step) {
        assert_int_equal(vow_loop_run_once(loop, 0), VOW_E_TIMEDOUT);
        pass(step);
    }
    assert_int_equal(fired, 0);
    run_all();
    assert_int_equal(fired, CROWD);
}

VOW_CASE(a_timer_armed_in_a_turn_is_for_the_next_one)
{
    struct job b = job('b');
    struct job a = job_that('a', arm_now, &b);

    arm(&a, 0);
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_string_equal(journal.text, "a");
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_string_equal(journal.text, "ab");
}

static void
expect_removed(void *arg)
{
    assert_int_equal(disarm(arg), VOW_REMOVED);
}

static void
expect_running(void *arg)
{
    assert_int_equal(disarm(arg), VOW_RUNNING);
}

VOW_CASE(a_timer_that_is_due_in_this_turn_can_be_disarmed)
{
    struct job b = job('b'), c = job('c'), d = job('d'), e = job('e');
    struct job a = job_that('a', expect_removed, &c);

    arm(&a, 0);
    arm(&b, 0);
    arm(&c, 0);
    arm(&d, 0);
    b.act = expect_removed;
    b.arg = &e;
    arm(&e, 0);
    run_all();
    assert_string_equal(journal.text, "abd");
    assert_int_equal(disarm(&d), VOW_RAN);
}

VOW_CASE(the_first_that_is_due_can_be_disarmed_and_armed_again)
{
    struct job a = job('a');
    struct job b = job('b');

    arm(&a, 1);
    assert_int_equal(disarm(&a), VOW_REMOVED);
    arm(&a, 2);
    arm(&b, 1);
    pass(2);
    run_all();
    assert_string_equal(journal.text, "ba");
}

VOW_CASE(a_timer_that_fires_is_running)
{
    struct job a = job_that('a', expect_running, NULL);

    a.arg = &a;
    arm(&a, 0);
    run_all();
    assert_int_equal(disarm(&a), VOW_RAN);
}

static void
expect_ran(void *arg)
{
    assert_int_equal(disarm(arg), VOW_RAN);
}

VOW_CASE(one_that_has_run_is_not_running_while_another_fires)
{
    struct job a = job('a');
    struct job b = job_that('b', expect_ran, &a);

    arm(&a, 0);
    arm(&b, 0);
    run_all();
    assert_string_equal(journal.text, "ab");
}

VOW_CASE(phases_come_in_their_order)
{
    struct job t = job('t'), p = job('p'), i = job('i');

    i.timer.task.priority = VOW_IDLE;
    post_job(&i);
    post_job(&p);
    arm(&t, 0);
    run_all();
    assert_string_equal(journal.text, "tpi");
}

/* ---- idle -------------------------------------------------------------------------------- */

static struct job feeder;

static void
feed(void *left)
{
    if (--*(int *)left > 0)
        post_job(&feeder);
}

VOW_CASE(an_idle_task_waits_for_a_quiet_turn_but_not_for_ever)
{
    struct job i = job('i'), k = job('k');
    int left = 1000;

    i.timer.task.priority = VOW_IDLE;
    k.timer.task.priority = VOW_IDLE;
    feeder = job_that('.', feed, &left);
    post_job(&feeder);
    post_job(&i);
    post_job(&k);
    for (int turn = 1; turn < 64; turn++)
        assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_int_equal(i.runs, 0);
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_int_equal(i.runs, 1);
    assert_int_equal(k.runs, 0);
    left = 1;
    run_all();
    assert_int_equal(k.runs, 1);
}

/* ---- frames ------------------------------------------------------------------------------ */

static vow_ns frames[8];
static int frame_count;

static void
count_frame(vow_ns time, void *ctx)
{
    frames[frame_count++] = time;
    if (ctx != NULL)
        drop_ran(ctx);
}

static void
request_again(vow_ns time, void *ctx)
{
    count_frame(time, NULL);
    assert_int_equal(vow_loop_request_frame(loop, request_again, vow_ptr(ctx)), 0);
}

static void
run_for(vow_ns how_long)
{
    for (vow_ns t = 0; t < how_long; t += vow_us(100)) {
        pass(vow_us(100));
        run_all();
    }
}

VOW_CASE(frames_come_60_times_a_second)
{
    frame_count = 0;
    assert_int_equal(vow_loop_request_frame(loop, request_again, VOW_NIL), 0);
    run_all();
    run_for(vow_ms(100));
    assert_int_equal(frame_count, 7);
    for (int i = 1; i < 7; i++)
        assert_int_equal(frames[i] - frames[i - 1], vow_seconds(1) / 60);
}

VOW_CASE(a_late_frame_is_not_made_up_for)
{
    struct drop d = {0};

    frame_count = 0;
    assert_int_equal(vow_loop_request_frame(loop, request_again, VOW_NIL), 0);
    run_all();
    pass(vow_ms(100));
    run_all();
    assert_int_equal(frame_count, 2);
    assert_int_equal(frames[1], vow_ms(100));
    pass(vow_ms(16));
    run_all();
    assert_int_equal(frame_count, 2);
    assert_int_equal(vow_loop_request_frame(loop, count_frame, drop_value(&d)), 0);
    pass(vow_ms(1));
    run_all();
    assert_int_equal(frame_count, 4);
    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(atomic_load(&d.ran), 1);
}

VOW_CASE(the_frame_rate_is_an_option)
{
    vow_loop *l = vow_loop_new(&VOW_LOOP_OPTIONS(.clock = &still, .frame_rate = 1000));

    frame_count = 0;
    assert_int_equal(vow_loop_request_frame(l, count_frame, VOW_NIL), 0);
    assert_int_equal(vow_loop_run_once(l, 0), 0);
    assert_int_equal(vow_loop_request_frame(l, count_frame, VOW_NIL), 0);
    assert_int_equal(vow_loop_run_once(l, 0), VOW_E_TIMEDOUT);
    pass(vow_ms(1));
    assert_int_equal(vow_loop_run_once(l, 0), 0);
    assert_int_equal(frame_count, 2);
    vow_loop_unref(l);
}

static void
nest_in_frame(vow_ns time, void *ctx)
{
    vow_future *f = vow_promise_future(ctx);

    (void)time;
    journal_add(&journal, '(');
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    journal_add(&journal, ')');
    vow_unref(f);
}

static void
fulfill_in_frame(vow_ns time, void *ctx)
{
    (void)time;
    journal_add(&journal, 'f');
    vow_promise_fulfill(ctx, VOW_NIL);
}

VOW_CASE(the_others_of_a_frame_run_in_the_turn_inside_one)
{
    vow_promise *p = vow_promise_new();

    assert_int_equal(vow_loop_request_frame(loop, nest_in_frame, vow_ptr(p)), 0);
    assert_int_equal(vow_loop_request_frame(loop, fulfill_in_frame, vow_ptr(p)), 0);
    run_all();
    assert_string_equal(journal.text, "(f)");
    vow_promise_unref(p);
}

VOW_CASE(a_frame_without_memory_drops_its_context)
{
    struct drop d = {0};

    counting_fail_at(1, COUNTING_ONCE);
    assert_int_equal(vow_loop_request_frame(loop, count_frame, drop_value(&d)),
                     VOW_E_NOMEM);
    counting_fail_at(0, COUNTING_ONCE);
    assert_int_equal(drop_count(&d), 1);
}

static void
post_beside(void *arg)
{
    post_step(arg);
}

static void
frame_with_step(vow_ns time, void *ctx)
{
    (void)time;
    journal_add(&journal, 'f');
    post_beside(ctx);
}

VOW_CASE(a_frame_comes_after_posts_and_before_its_microtasks)
{
    struct job s = job('s'), p = job('p'), i = job('i');

    i.timer.task.priority = VOW_IDLE;
    post_job(&i);
    post_job(&p);
    assert_int_equal(vow_loop_request_frame(loop, frame_with_step, vow_ptr(&s)), 0);
    run_all();
    assert_string_equal(journal.text, "pfsi");
}

/* ---- running ------------------------------------------------------------------------------ */

static void
stop_it(void *arg)
{
    (void)arg;
    vow_loop_stop(loop);
}

VOW_CASE(stop_ends_the_turn_and_then_the_run)
{
    struct job c = job('c');
    struct job b = job_that('b', post_job, &c);
    struct job a = job_that('a', stop_it, NULL);

    post_job(&a);
    post_job(&b);
    assert_int_equal(vow_loop_run(loop), 0);
    assert_string_equal(journal.text, "ab");
    assert_int_equal(vow_loop_run_once(loop, 0), 0); /* heard already */
    assert_string_equal(journal.text, "abc");
}

VOW_CASE(a_stop_before_a_run_ends_it_as_it_begins)
{
    struct job a = job('a');

    post_job(&a);
    vow_loop_stop(loop);
    assert_int_equal(vow_loop_run(loop), 0);
    assert_int_equal(a.runs, 0);
    vow_loop_stop(loop);
    assert_int_equal(vow_loop_run_once(loop, 0), ECANCELED);
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_int_equal(a.runs, 1);
}

VOW_CASE(a_wake_makes_one_turn)
{
    vow_loop_wake(loop);
    vow_loop_wake(loop);
    assert_int_equal(stats().wakes, 1);
    assert_int_equal(vow_loop_run_once(loop, VOW_FOREVER), 0);
    assert_int_equal(vow_loop_run_once(loop, 0), VOW_E_TIMEDOUT);
}

static void
wake_in_handler(int number)
{
    (void)number;
    vow_loop_wake(loop);
}

VOW_CASE(a_signal_handler_may_wake_it)
{
    struct sigaction before, now = {.sa_handler = wake_in_handler};

    sigaction(SIGUSR1, &now, &before);
    errno = 7;
    raise(SIGUSR1);
    assert_int_equal(errno, 7);
    sigaction(SIGUSR1, &before, NULL);
    assert_int_equal(vow_loop_run_once(loop, VOW_FOREVER), 0);
}

static int answer;

static void
run_inside(void *arg)
{
    (void)arg;
    answer = vow_loop_run(loop);
}

VOW_CASE(run_inside_a_callback_is_refused)
{
    struct job a = job_that('a', run_inside, NULL);

    post_job(&a);
    run_all();
    assert_int_equal(answer, VOW_E_INVALID);
}

static void *
run_as_another(void *arg)
{
    vow_future *f = vow_loop_ready(loop, 0, VOW_FD_READ);
    vow_promise *p = vow_promise_new();
    vow_future *g = vow_promise_future(p);

    (void)arg;
    assert_int_equal(vow_loop_run(loop), EPERM);
    assert_int_equal(vow_loop_run_once(loop, 0), EPERM);
    assert_int_equal(vow_loop_run_until(loop, g), EPERM);
    assert_int_equal(code_of(f), EPERM);
    assert_non_null(strstr(vow_error_message(vow_peek(f).error), "owns the loop"));
    vow_unref(f);
    f = vow_loop_signal(loop, SIGUSR1);
    assert_int_equal(code_of(f), EPERM);
    vow_unref(f);
    errno = 0;
    assert_null(vow_watch_start(loop, 0, VOW_FD_READ, NULL, VOW_NIL));
    assert_int_equal(errno, EPERM);
    vow_ignore(g);
    vow_promise_unref(p);
    return NULL;
}

VOW_CASE(another_thread_than_the_owner_is_refused)
{
    pthread_t thread;

    assert_int_equal(vow_loop_run_once(loop, 0), VOW_E_TIMEDOUT);
    assert_int_equal(pthread_create(&thread, NULL, run_as_another, NULL), 0);
    pthread_join(thread, NULL);
}

VOW_CASE(run_once_waits_no_longer_than_told)
{
    vow_ns before = vow_clock_now(NULL);

    assert_int_equal(vow_loop_run_once(loop, vow_ms(2)), VOW_E_TIMEDOUT);
    assert_true(vow_clock_now(NULL) >= before + vow_ms(2)); /* never early */
    while (stats().sleeps == 0) /* a turn that began too late does not sleep */
        assert_int_equal(vow_loop_run_once(loop, vow_ms(2)), VOW_E_TIMEDOUT);
}

VOW_CASE(on_the_real_clock_it_sleeps_until_a_timer_and_not_less)
{
    vow_loop *l = vow_loop_new(NULL);
    vow_executor *its = vow_loop_executor(l);
    struct job a = job('a');

    a.timer.when = vow_clock_now(NULL) + vow_us(300);
    assert_int_equal(its->ops->arm(its, &a.timer), 0);
    assert_int_equal(vow_loop_run_once(l, VOW_FOREVER), 0);
    assert_int_equal(a.runs, 1);
    assert_true(vow_clock_now(NULL) >= a.timer.when);
    vow_loop_unref(l);
}

/* ---- from other threads ----------------------------------------------------------------- */

struct other {
    pthread_t thread;
    atomic_int go;
    struct job job;
};

static void *
arm_from_outside(void *arg)
{
    struct other *o = arg;

    arm(&o->job, 0);
    return NULL;
}

VOW_CASE(a_timer_armed_by_another_thread_wakes_the_loop)
{
    struct other o = {.job = job('a')};

    assert_int_equal(pthread_create(&o.thread, NULL, arm_from_outside, &o), 0);
    while (o.job.runs == 0)
        assert_int_equal(vow_loop_run_once(loop, VOW_FOREVER), 0);
    pthread_join(o.thread, NULL);
}

static void *
stop_from_outside(void *arg)
{
    (void)arg;
    vow_loop_stop(loop);
    return NULL;
}

VOW_CASE(another_thread_may_stop_it)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, stop_from_outside, NULL), 0);
    assert_int_equal(vow_loop_run(loop), 0);
    pthread_join(thread, NULL);
}

/* ---- waiting ------------------------------------------------------------------------------ */

static vow_promise *promise;

static void
fulfill_it(void *arg)
{
    (void)arg;
    vow_promise_fulfill(promise, vow_i64(3));
}

static void *
fulfill_from_outside(void *arg)
{
    fulfill_it(arg);
    return NULL;
}

VOW_CASE(run_until_runs_turns_until_it_settles)
{
    struct job a = job('a');
    struct job b = job_that('b', fulfill_it, NULL);
    vow_future *f;

    promise = vow_promise_new();
    f = vow_promise_future(promise);
    post_job(&a);
    post_job(&b);
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    assert_string_equal(journal.text, "ab");
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    assert_int_equal(vow_loop_run_until(loop, NULL), 0);
    vow_unref(f);
    vow_promise_unref(promise);
}

VOW_CASE(run_until_is_woken_by_who_settles_elsewhere)
{
    pthread_t thread;
    vow_future *f;

    promise = vow_promise_new();
    f = vow_promise_future(promise);
    assert_int_equal(pthread_create(&thread, NULL, fulfill_from_outside, NULL), 0);
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    assert_int_equal(vow_peek(f).value.as.i64, 3);
    pthread_join(thread, NULL);
    vow_unref(f);
    vow_promise_unref(promise);
}

static int reported;

static void
report(const vow_unhandled *u, void *ctx)
{
    (void)u;
    (void)ctx;
    reported++;
}

static void
reject_it(void *arg)
{
    (void)arg;
    vow_promise_reject(promise, vow_error_new(EIO, "unseen"));
}

VOW_CASE(run_until_does_not_look_at_the_error)
{
    struct job a = job_that('a', reject_it, NULL);
    vow_future *f;

    reported = 0;
    vow_on_unhandled(report, NULL);
    promise = vow_promise_new();
    f = vow_promise_future(promise);
    post_job(&a);
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    assert_int_equal(reported, 0);
    vow_unref(f);
    vow_promise_unref(promise);
    vow_on_unhandled(NULL, NULL);
    assert_int_equal(reported, 1);
}

VOW_CASE(run_until_ends_when_stopped)
{
    struct job a = job_that('a', stop_it, NULL);
    vow_future *f;

    promise = vow_promise_new();
    f = vow_promise_future(promise);
    post_job(&a);
    assert_int_equal(vow_loop_run_until(loop, f), ECANCELED);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_ignore(f);
    vow_promise_unref(promise);
}

static void
wait_inside(void *arg)
{
    vow_future *f = vow_promise_future(promise);

    (void)arg;
    journal_add(&journal, '(');
    answer = vow_loop_run_until(loop, f);
    journal_add(&journal, ')');
    vow_ignore(f);
}

VOW_CASE(run_until_inside_a_callback_goes_on_where_the_turn_was)
{
    struct job b = job('b'), c = job_that('c', fulfill_it, NULL), d = job('d');
    struct job a = job_that('a', wait_inside, NULL);

    promise = vow_promise_new();
    post_job(&a);
    post_job(&b);
    post_job(&c);
    post_job(&d);
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_string_equal(journal.text, "a(bcd)");
    assert_int_equal(answer, 0);
    vow_promise_unref(promise);
}

VOW_CASE(a_stop_ends_all_that_is_nested)
{
    struct job b = job_that('b', stop_it, NULL), c = job('c');
    struct job a = job_that('a', wait_inside, NULL);

    promise = vow_promise_new();
    post_job(&a);
    post_job(&b);
    post_job(&c);
    assert_int_equal(vow_loop_run(loop), 0);
    assert_string_equal(journal.text, "a(bc)");
    assert_int_equal(answer, ECANCELED);
    vow_promise_unref(promise);
}

VOW_CASE(run_until_inside_a_timer_fires_the_others_that_are_due)
{
    struct job b = job_that('b', fulfill_it, NULL);
    struct job a = job_that('a', wait_inside, NULL);

    run_all();
    promise = vow_promise_new();
    arm(&a, 0);
    arm(&b, 0);
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_string_equal(journal.text, "a(b)");
    vow_promise_unref(promise);
}

static vow_result
run_in_a_step(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    journal_add(&journal, '.');
    return vow_ok(VOW_NIL);
}

static void
settle_inline(void *arg)
{
    vow_unref(vow_then(vow_resolved(VOW_NIL), NULL, note_step, vow_ptr(arg)));
}

VOW_CASE(a_loop_that_is_run_in_a_step_leaves_inline_steps_to_its_end)
{
    static char mark[] = "i";
    struct job a = job_that('a', settle_inline, mark);

    post_job(&a);
    vow_unref(vow_then(vow_resolved(VOW_NIL), NULL, run_in_a_step, VOW_NIL));
    assert_string_equal(journal.text, "a.i");
}

/* One on the loop as well, which is a microtask. */
static void
settle_both(void *marks)
{
    char *m = marks;

    settle_inline(&m[0]);
    vow_unref(vow_then(vow_resolved(VOW_NIL), on, note_step, vow_ptr(&m[1])));
}

VOW_CASE(a_loop_that_is_run_in_a_step_runs_its_microtasks_meanwhile)
{
    static char marks[] = "im";
    struct job a = job_that('a', settle_both, marks);

    post_job(&a);
    vow_unref(vow_then(vow_resolved(VOW_NIL), NULL, run_in_a_step, VOW_NIL));
    assert_string_equal(journal.text, "am.i");
}

static vow_result
wait_in_a_step(vow_value in, void *ctx)
{
    vow_future *f = vow_promise_future(promise);

    (void)in;
    f = vow_then(f, NULL, note_step, vow_ptr(ctx));
    answer = vow_loop_run_until(loop, f);
    vow_unref(f);
    return vow_ok(VOW_NIL);
}

VOW_CASE(run_until_inside_a_step_runs_inline_steps)
{
    static const char mark[] = "i";
    struct job c = job_that('c', fulfill_it, NULL);
    vow_future *f;

    promise = vow_promise_new();
    f = vow_then(vow_resolved(VOW_NIL), on, wait_in_a_step, vow_ptr(mark));
    post_job(&c);
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    assert_int_equal(answer, 0);
    assert_string_equal(journal.text, "ci");
    vow_unref(f);
    vow_promise_unref(promise);
}

VOW_CASE(run_until_in_a_deferral_is_a_deadlock)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    vow_defer_begin();
    assert_int_equal(vow_loop_run_until(loop, f), VOW_E_DEADLOCK);
    assert_int_equal(vow_loop_run_until(loop, NULL), 0);
    vow_defer_end();
    vow_ignore(f);
    vow_promise_unref(p);
}

static void
get_inside(void *arg)
{
    vow_future *f = vow_promise_future(promise);
    vow_view v = vow_get(f);

    (void)arg;
    assert_int_equal(vow_error_code(v.error), VOW_E_DEADLOCK);
    assert_non_null(strstr(vow_error_message(v.error), "vow_loop_run_until"));
    vow_promise_fulfill(promise, VOW_NIL);
    assert_null(vow_get(f).error);
    vow_unref(f);
}

VOW_CASE(a_blocking_wait_on_its_thread_is_a_deadlock_that_says_what_to_do)
{
    struct job a = job_that('a', get_inside, NULL);

    promise = vow_promise_new();
    post_job(&a);
    run_all();
    vow_promise_unref(promise);
}

/* ---- inside another loop ---------------------------------------------------------------- */

static bool
is_readable(void)
{
    struct pollfd p = {.fd = vow_loop_fd(loop), .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

VOW_CASE(another_loop_can_poll_it)
{
    struct job jobs[2];

    assert_false(is_readable());
    assert_true(vow_loop_timeout(loop) == VOW_FOREVER);
    post_all(jobs, "ab");
    assert_true(is_readable());
    assert_int_equal(vow_loop_timeout(loop), 0);
    run_all();
    assert_string_equal(journal.text, "ab");
    assert_false(is_readable());
    post_job(&jobs[0]);
    assert_true(is_readable());
    assert_int_equal(stats().wakes, 2);
    run_all();
}

VOW_CASE(the_timeout_is_that_of_the_first_timer)
{
    vow_loop *l = vow_loop_new(NULL);
    vow_executor *its = vow_loop_executor(l);
    struct job a = job('a');

    assert_int_equal(vow_loop_run_once(l, 0), VOW_E_TIMEDOUT);
    a.timer.when = vow_clock_now(NULL) + vow_seconds(1000);
    assert_int_equal(its->ops->arm(its, &a.timer), 0);
    assert_in_range(vow_loop_timeout(l), vow_seconds(1), vow_seconds(1000));
    assert_int_equal(its->ops->disarm(its, &a.timer), VOW_REMOVED);
    assert_true(vow_loop_timeout(l) == VOW_FOREVER);
    vow_loop_unref(l);
}

static vow_ns timeout_inside;

static void
ask_timeout(void *arg)
{
    (void)arg;
    timeout_inside = vow_loop_timeout(loop);
}

VOW_CASE(the_timeout_is_none_while_something_is_to_be_done)
{
    struct job b = job('b');
    struct job a = job_that('a', ask_timeout, NULL);

    post_job(&a);
    post_job(&b);
    run_all();
    assert_int_equal(timeout_inside, 0); /* b is in the turn's queue */
    post_job(&a);
    assert_int_equal(vow_loop_timeout(loop), 0); /* it is in the inbox */
    run_all();
    assert_true(timeout_inside == VOW_FOREVER);
    vow_loop_wake(loop);
    assert_int_equal(vow_loop_timeout(loop), 0);
    run_all();
    arm(&b, 10);
    assert_int_equal(vow_loop_timeout(loop),
                     vow_us(50)); /* a clock that may stand still */
    pass(10);
    assert_int_equal(vow_loop_timeout(loop), 0);
    run_all();
}

/* ---- against a model -------------------------------------------------------------------- */

/*
 * Random programs of timers, posts, self-posts and steps. The model knows the rules of
 * the header and no queue of the loop's: it predicts the order of a turn beforehand.
 */
enum { ACTORS = 40, TURNS = 60 };

struct actor {
    vow_timer timer;
    int id;
    int posts; /* the actor it posts, or -1 */
    int steps; /* the actor it posts as a step, or -1 */
};

static struct actor actors[ACTORS];
static int ran[100000], ran_count, want[100000], want_count;
static unsigned seed;
static int queued_self[ACTORS * 4], queued_self_count;

static unsigned
chance(unsigned n)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 16) % n;
}

static void
run_actor(vow_task *task, int why)
{
    struct actor *a = (struct actor *)(void *)task;

    if (why != 0)
        return;
    ran[ran_count++] = a->id;
    if (a->steps >= 0) {
        actors[a->steps].timer.task.flags = VOW_TASK_STEP;
        assert_int_equal(vow_post_task(on, &actors[a->steps].timer.task), 0);
    }
    if (a->posts >= 0) {
        actors[a->posts].timer.task.flags = 0;
        assert_int_equal(vow_post_task(on, &actors[a->posts].timer.task), 0);
    }
}

/* What the model says that one callback does. */
static void
model_run(int id)
{
    int step = actors[id].steps;

    want[want_count++] = id;
    if (actors[id].posts >= 0)
        queued_self[queued_self_count++] = actors[id].posts;
    if (step >= 0)
        model_run(step);
}

/* Leaves: each actor is used at most once a turn, so it may hang in one place only. */
static void
plan(int *timers, int *timer_count, int *posts, int *post_count)
{
    int unused[ACTORS], n = ACTORS;

    for (int i = 0; i < ACTORS; i++) {
        unused[i] = i;
        actors[i].posts = actors[i].steps = -1;
    }
    for (int i = 0; i < queued_self_count; i++) /* they wait for this turn already */
        for (int k = 0; k < n; k++)
            if (unused[k] == queued_self[i])
                unused[k] = unused[--n];
    *timer_count = *post_count = 0;
    while (n > 3) {
        unsigned k = chance((unsigned)n);
        int id = unused[k];

        unused[k] = unused[--n];
        if (chance(2))
            actors[id].steps = unused[--n];
        if (chance(3) == 0)
            actors[id].posts = unused[--n];
        if (chance(2))
            timers[(*timer_count)++] = id;
        else
            posts[(*post_count)++] = id;
    }
}

static void
one_turn(void)
{
    int timers[ACTORS], posts[ACTORS], timer_count, post_count;
    int carried[ACTORS * 4], carried_count = queued_self_count;

    memcpy(carried, queued_self, sizeof carried);
    plan(timers, &timer_count, posts, &post_count);
    queued_self_count = 0;
    pass(1000);
    for (int i = 0; i < timer_count; i++) {
        actors[timers[i]].timer.task.flags = 0;
        actors[timers[i]].timer.when = time_now - (vow_ns)chance(3);
        assert_int_equal(on->ops->arm(on, &actors[timers[i]].timer), 0);
    }
    for (int when = 2; when >= 0; when--)
        for (int i = 0; i < timer_count; i++)
            if (actors[timers[i]].timer.when == time_now - when)
                model_run(timers[i]);
    for (int i = 0; i < post_count; i++) {
        actors[posts[i]].timer.task.flags = 0;
        assert_int_equal(vow_post_task(on, &actors[posts[i]].timer.task), 0);
    }
    for (int i = 0; i < carried_count; i++)
        model_run(carried[i]);
    for (int i = 0; i < post_count; i++)
        model_run(posts[i]);
    assert_int_equal(vow_loop_run_once(loop, 0), 0);
    assert_int_equal(ran_count, want_count);
    assert_memory_equal(ran, want, (size_t)want_count * sizeof *want);
}

VOW_CASE(the_order_is_that_of_a_model)
{
    for (seed = 1; seed < 200; seed++) {
        unsigned this_seed = seed;

        ran_count = want_count = queued_self_count = 0;
        memset(actors, 0, sizeof actors);
        for (int i = 0; i < ACTORS; i++) {
            actors[i].timer.task.run = run_actor;
            actors[i].id = i;
        }
        for (int t = 0; t < TURNS; t++)
            one_turn();
        for (int i = 0; i < ACTORS; i++)
            actors[i].posts = actors[i].steps = -1;
        run_all();
        seed = this_seed;
    }
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(new_without_memory_is_null_with_enomem),
        vow_test(null_is_accepted),
        vow_test(options_of_an_older_program_are_read_as_far_as_they_go),
        vow_test(the_clock_is_the_one_in_force_when_it_was_made),
        loop_test(posts_run_in_order),
        loop_test(many_submitted_from_outside_and_inside_run_in_order),
        loop_test(a_post_from_inside_runs_in_the_next_turn),
        loop_test(posts_of_a_thread_wake_the_loop_once),
        loop_test(a_post_to_a_busy_loop_writes_nothing),
        loop_test(steps_run_after_the_callback_and_before_the_next),
        loop_test(a_step_from_outside_is_a_post),
        loop_test(steps_are_limited_a_callback),
        loop_test(what_is_left_of_steps_comes_before_posts_in_the_next_turn),
        loop_test(steps_are_limited_a_turn),
        loop_test(a_chain_is_drained_before_the_next_timer),
        loop_test(timers_fire_by_deadline_then_as_they_were_armed),
        loop_test(a_crowd_of_timers_fires_in_its_time_and_order),
        loop_test(a_timer_armed_in_a_turn_is_for_the_next_one),
        loop_test(a_timer_that_is_due_in_this_turn_can_be_disarmed),
        loop_test(the_first_that_is_due_can_be_disarmed_and_armed_again),
        loop_test(a_timer_that_fires_is_running),
        loop_test(phases_come_in_their_order),
        loop_test(an_idle_task_waits_for_a_quiet_turn_but_not_for_ever),
        loop_test(frames_come_60_times_a_second),
        loop_test(a_late_frame_is_not_made_up_for),
        loop_test(a_frame_without_memory_drops_its_context),
        loop_test(a_frame_comes_after_posts_and_before_its_microtasks),
        loop_test(stop_ends_the_turn_and_then_the_run),
        loop_test(a_stop_before_a_run_ends_it_as_it_begins),
        loop_test(a_wake_makes_one_turn),
        loop_test(a_signal_handler_may_wake_it),
        loop_test(run_inside_a_callback_is_refused),
        loop_test(another_thread_than_the_owner_is_refused),
        loop_test(run_once_waits_no_longer_than_told),
        loop_test(on_the_real_clock_it_sleeps_until_a_timer_and_not_less),
        loop_test(a_timer_armed_by_another_thread_wakes_the_loop),
        loop_test(another_thread_may_stop_it),
        loop_test(run_until_runs_turns_until_it_settles),
        loop_test(run_until_is_woken_by_who_settles_elsewhere),
        loop_test(run_until_does_not_look_at_the_error),
        loop_test(run_until_ends_when_stopped),
        loop_test(run_until_inside_a_callback_goes_on_where_the_turn_was),
        loop_test(a_stop_ends_all_that_is_nested),
        loop_test(run_until_inside_a_step_runs_inline_steps),
        loop_test(run_until_in_a_deferral_is_a_deadlock),
        loop_test(a_blocking_wait_on_its_thread_is_a_deadlock_that_says_what_to_do),
        loop_test(another_loop_can_poll_it),
        loop_test(the_timeout_is_that_of_the_first_timer),
        loop_test(the_order_is_that_of_a_model),
        loop_test(the_frame_rate_is_an_option),
        loop_test(the_others_of_a_frame_run_in_the_turn_inside_one),
        loop_test(it_is_current_inside_its_callbacks),
        loop_test(a_step_is_no_idle_task_whatever_its_priority),
        loop_test(nothing_may_be_posted_at_once),
        loop_test(one_that_has_run_is_not_running_while_another_fires),
        loop_test(run_until_inside_a_timer_fires_the_others_that_are_due),
        loop_test(a_loop_that_is_run_in_a_step_leaves_inline_steps_to_its_end),
        loop_test(a_loop_that_is_run_in_a_step_runs_its_microtasks_meanwhile),
        loop_test(the_timeout_is_none_while_something_is_to_be_done),
    };

    return vow_test_run(cases);
}
