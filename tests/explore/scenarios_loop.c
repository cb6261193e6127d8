/* SPDX-License-Identifier: MIT */
/*
 * scenarios_loop.c - an event loop: posts, sleep, stops, closes, timers, descriptors.
 *
 * One thread runs the loop, or nobody does; others do one thing each to it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vow/vow.h>

#include "explore.h"

static vow_loop *loop;
static vow_executor *on;

static void
make(void)
{
    loop = vow_loop_new(NULL);
    on = vow_loop_executor(loop);
    require(loop != NULL);
}

static void
end(void)
{
    vow_loop_unref(loop);
    vow_trim();
}

/* ---- what is posted ----------------------------------------------------------------------- */

struct job {
    vow_timer timer; /* first: the task is all that its run gets */
    int accepted;
    int ran, refused;
    void (*act)(void);
};

static struct job a, b, c;

static void
run_job(vow_task *task, int why)
{
    struct job *j = (struct job *)(void *)task;

    if (why == 0)
        j->ran++;
    else
        j->refused++;
    if (why == 0 && j->act != NULL)
        j->act();
}

static void
post(struct job *j)
{
    j->timer.task.run = run_job;
    j->accepted = vow_post_task(on, &j->timer.task) == 0;
}

static void
posts_a(void)
{
    post(&a);
}

static void
posts_b(void)
{
    post(&b);
}

/* Each that was accepted ran or was refused, once; the others are untouched. */
static void
check(const struct job *j)
{
    require(j->ran + j->refused == j->accepted);
}

static const char *
fate(const struct job *j)
{
    if (!j->accepted)
        return "turned away";
    return j->ran ? "ran" : "refused";
}

/* ---- posts and sleep ------------------------------------------------------------------------ */

static int rc;

static void
runs_until_a_ran(void)
{
    while (a.ran == 0)
        require(vow_loop_run_once(loop, VOW_FOREVER) == 0);
}

SCENARIO(loop_post_sleep, 0, "a task is posted while the loop falls asleep",
         EXPECTED("ran", "no wake-up is lost"))
{
    make();
    run_threads(runs_until_a_ran, posts_a);
    check(&a);
    end();
    outcome("%s", fate(&a));
}

static void
runs_until_both_ran(void)
{
    while (a.ran + b.ran < 2)
        require(vow_loop_run_once(loop, VOW_FOREVER) == 0);
}

SCENARIO(loop_two_posts_sleep, 0, "two threads post while the loop falls asleep",
         EXPECTED("ran ran wakes=1", "the first woke it"),
         EXPECTED("ran ran wakes=2", "it fell asleep in between"))
{
    vow_loop_stats s = {.size = sizeof s};

    make();
    run_threads(runs_until_both_ran, posts_a, posts_b);
    vow_loop_read_stats(loop, &s);
    end();
    outcome("%s %s wakes=%d", fate(&a), fate(&b), (int)s.wakes);
}

static int errands;

static void
counts(void *ctx)
{
    (void)ctx;
    errands++;
}

static void
posts_an_errand(void)
{
    require(vow_post(on, counts, VOW_NIL) == 0);
}

static void
runs_until_both_errands_ran(void)
{
    while (errands < 2)
        require(vow_loop_run_once(loop, VOW_FOREVER) == 0);
}

SCENARIO(loop_errands, 0, "two threads post blocks, which are freed as they have run",
         EXPECTED("2", "each is freed after its poster's last touch"))
{
    make();
    run_threads(runs_until_both_errands_ran, posts_an_errand, posts_an_errand);
    end();
    outcome("%d", errands);
}

static int told; /* before the stop */

static void
posts_and_stops(void)
{
    post(&a);
    told = 1;
    vow_loop_stop(loop);
}

static void
runs(void)
{
    rc = vow_loop_run(loop);
}

static void
runs_and_is_told(void)
{
    runs();
    require(told == 1);
}

SCENARIO(loop_stop, 0, "a thread posts and stops the loop while that falls asleep",
         EXPECTED("0 ran", "in the turn before it stopped"),
         EXPECTED("0 refused", "it stopped first; the end of the loop refused it"))
{
    make();
    run_threads(runs_and_is_told, posts_and_stops);
    end();
    check(&a);
    outcome("%d %s", rc, fate(&a));
}

static void
wakes(void)
{
    vow_loop_wake(loop);
}

static void
runs_once(void)
{
    rc = vow_loop_run_once(loop, VOW_FOREVER);
}

SCENARIO(loop_wake, 0, "a wake while the loop falls asleep", EXPECTED("0", "it is heard"))
{
    make();
    run_threads(runs_once, wakes);
    end();
    outcome("%d", rc);
}

/* ---- closing ---------------------------------------------------------------------------------- */

static vow_future *closing;

static void
cancels(void)
{
    closing = vow_executor_close(on, VOW_CANCEL_QUEUED);
}

static void
drains(void)
{
    closing = vow_executor_close(on, VOW_DRAIN);
}

SCENARIO(loop_post_cancel, 0, "a post against a close of a loop that nobody runs",
         EXPECTED("refused", "it was in before"),
         EXPECTED("turned away", "it came later"))
{
    make();
    run_threads(posts_a, cancels);
    check(&a);
    require(vow_future_status(closing) == VOW_FULFILLED);
    vow_unref(closing);
    end();
    outcome("%s", fate(&a));
}

SCENARIO(loop_posts_cancel, 0, "two posts against a close: one may find the other's",
         EXPECTED("refused refused", "both before"),
         EXPECTED("turned away turned away", "both later"),
         EXPECTED("refused turned away", "one before, or it came between and was ended"),
         EXPECTED("turned away refused", "likewise"))
{
    make();
    run_threads(posts_a, posts_b, cancels);
    check(&a);
    check(&b);
    vow_unref(closing);
    end();
    outcome("%s %s", fate(&a), fate(&b));
}

SCENARIO(loop_run_cancel, 0, "a loop that runs is cancelled while something is posted",
         EXPECTED("0 ran", "it was fast enough"), EXPECTED("0 refused", "it was not"),
         EXPECTED("0 turned away", "it came too late"))
{
    make();
    run_threads(runs, posts_a, cancels);
    check(&a);
    require(vow_future_status(closing) == VOW_FULFILLED);
    vow_unref(closing);
    end();
    outcome("%d %s", rc, fate(&a));
}

static void
posts_b_inside(void)
{
    post(&b);
}

SCENARIO(loop_run_drain, 0, "a loop drains a task which posts another one",
         EXPECTED("0 ran ran", "both"))
{
    make();
    a.act = posts_b_inside;
    post(&a);
    run_threads(runs, drains);
    check(&a);
    check(&b);
    require(vow_future_status(closing) == VOW_FULFILLED);
    vow_unref(closing);
    end();
    outcome("%d %s %s", rc, fate(&a), fate(&b));
}

/* Ends a task that was refused only when the loop has come back. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static bool back;

static void
waits_until_back(void *ctx)
{
    (void)ctx;
    pthread_mutex_lock(&mutex);
    while (!back)
        pthread_cond_wait(&cond, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void
says_so(void *ctx)
{
    (void)ctx;
    back = true;
}

static void
runs_once_and_says_so(void)
{
    rc = vow_loop_run_once(loop, VOW_FOREVER);
    pthread_mutex_lock(&mutex);
    back = true;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&mutex);
}

SCENARIO(loop_cancel_wake, 0, "a loop is woken that sleeps while what was queued ends",
         EXPECTED("0", "woken, or there was something to run"),
         EXPECTED("4099", "it was closed first"))
{
    make();
    require(vow_post(on, says_so, vow_own(&back, waits_until_back)) == 0);
    run_threads(runs_once_and_says_so, cancels, wakes);
    vow_unref(closing);
    end();
    outcome("%d", rc);
}

static void
lets_go(void)
{
    vow_loop_unref(loop);
}

static void
runs_and_lets_go(void)
{
    runs_once();
    vow_loop_unref(loop);
}

SCENARIO(loop_unref, 0, "the last references go while the loop runs",
         EXPECTED("ran", "all of it"))
{
    make();
    vow_loop_ref(loop);
    post(&a);
    run_threads(runs_and_lets_go, lets_go);
    vow_trim();
    check(&a);
    outcome("%s", fate(&a));
}

static void
stops_and_lets_go(void)
{
    vow_loop_stop(loop);
    vow_loop_unref(loop);
}

static void
runs_borrowed(void)
{
    rc = vow_loop_run(loop);
}

SCENARIO(loop_orphan, 0, "the last reference goes while the loop runs and is stopped",
         EXPECTED("0 ran", "before it was stopped"),
         EXPECTED("0 refused", "nobody could run it any more"))
{
    vow_executor *kept;

    make();
    kept = vow_executor_ref(on);
    post(&a);
    run_threads(runs_borrowed, stops_and_lets_go);
    check(&a);
    vow_executor_unref(kept);
    vow_trim();
    outcome("%d %s", rc, fate(&a));
}

/* ---- a loop in a rush --------------------------------------------------------------------------- */

/* With two tasks it has run as many as a loop that steps aside before it sleeps. */
static void
make_busy(void)
{
    make();
    post(&a);
    post(&b);
}

static void
posts_c(void)
{
    post(&c);
}

static void
runs_until_all_ran(void)
{
    while (a.ran + b.ran + c.ran < 3)
        require(vow_loop_run_once(loop, VOW_FOREVER) == 0);
}

SCENARIO(loop_post_aside, 0,
         "a task is posted while a busy loop is aside or falls asleep",
         EXPECTED("ran wakes=1", "it was awake"),
         EXPECTED("ran wakes=2", "it had fallen asleep"))
{
    vow_loop_stats s = {.size = sizeof s};

    make_busy();
    run_threads(runs_until_all_ran, posts_c);
    vow_loop_read_stats(loop, &s);
    end();
    outcome("%s wakes=%d", fate(&c), (int)s.wakes);
}

static void
stops(void)
{
    vow_loop_stop(loop);
}

SCENARIO(loop_stop_aside, 0, "a busy loop is stopped while it is aside or falls asleep",
         EXPECTED("0 ran", "it heard"), EXPECTED("0 refused", "before it had begun"))
{
    make_busy();
    run_threads(runs, stops);
    end();
    check(&a);
    check(&b);
    outcome("%d %s", rc, fate(&b));
}

SCENARIO(loop_drain_aside, 0, "a busy loop is closed while it is aside, and posted to",
         EXPECTED("0 ran", "it was in before"),
         EXPECTED("0 turned away", "it came too late"))
{
    make_busy();
    run_threads(runs, posts_c, drains);
    check(&c);
    require(a.ran == 1 && b.ran == 1);
    require(vow_future_status(closing) == VOW_FULFILLED);
    vow_unref(closing);
    end();
    outcome("%d %s", rc, fate(&c));
}

SCENARIO(loop_cancel_aside, 0, "a busy loop is cancelled while it is aside",
         EXPECTED("0 ran", "it was fast enough"), EXPECTED("0 refused", "it was not"))
{
    make_busy();
    run_threads(runs, cancels);
    check(&a);
    check(&b);
    require(vow_future_status(closing) == VOW_FULFILLED);
    vow_unref(closing);
    end();
    outcome("%d %s", rc, fate(&b));
}

/* ---- timers ------------------------------------------------------------------------------------ */

static void
arms_c(void)
{
    c.timer.task.run = run_job;
    c.timer.when = 0;
    c.accepted = on->ops->arm(on, &c.timer) == 0;
}

static void
runs_until_c_ran(void)
{
    while (c.ran == 0)
        vow_loop_run_once(loop, VOW_FOREVER);
}

SCENARIO(loop_arm_sleep, 0, "a timer is armed while the loop falls asleep",
         EXPECTED("ran", "it is woken"))
{
    make();
    run_threads(runs_until_c_ran, arms_c);
    end();
    outcome("%s", fate(&c));
}

static vow_removal removal;

static void
disarms_c(void)
{
    removal = on->ops->disarm(on, &c.timer);
}

static void
runs_a_turn(void)
{
    vow_loop_run_once(loop, 0);
}

SCENARIO(loop_disarm_fire, 0, "a timer that is due is disarmed by another thread",
         EXPECTED("removed, ran 0", "in time"), EXPECTED("ran, ran 1", "too late"),
         EXPECTED("running, ran 1", "while it ran"))
{
    static const char *const words[] = {"removed", "ran", "running"};

    make();
    arms_c();
    run_threads(runs_a_turn, disarms_c);
    end();
    require(removal != VOW_REMOVED || c.ran == 0);
    outcome("%s, ran %d", words[removal], c.ran);
}

static void
disarms_what_is_away(void)
{
    removal = vow_timer_disarm(&c.timer);
    require(removal != VOW_RAN || c.ran == 1);
}

static void
runs_turns(void)
{
    while (vow_loop_run_once(loop, 0) == 0)
        ;
}

SCENARIO(loop_disarm_away, 0,
         "a due timer of a serial executor on the loop is disarmed by another thread",
         EXPECTED("removed, ran 0", "in time"), EXPECTED("ran, ran 1", "too late"),
         EXPECTED("running, ran 1", "while it was on its way, or ran"))
{
    static const char *const words[] = {"removed", "ran", "running"};
    vow_executor *serial;

    make();
    serial = vow_serial_new(on);
    c.timer.task.run = run_job;
    require(serial != NULL && vow_timer_arm(serial, &c.timer, vow_now()) == 0);
    run_threads(runs_turns, disarms_what_is_away);
    vow_executor_unref(serial);
    end();
    outcome("%s, ran %d", words[removal], c.ran);
}

/* ---- waiting for a future --------------------------------------------------------------------------- */

static vow_promise *p;
static vow_future *f;

static void
fulfills(void)
{
    vow_promise_fulfill(p, vow_i64(1));
}

/* Where the frames of calls were that have returned. */
__attribute__((noinline)) static void
overwrite_stack(void)
{
    volatile uint64_t frames[128];

    for (unsigned i = 0; i < 128; i++)
        frames[i] = 0;
}

static void
runs_until_f(void)
{
    rc = vow_loop_run_until(loop, f);
    overwrite_stack();
    vow_unref(f);
}

SCENARIO(loop_until, 0, "a future settles while the loop waits for it",
         EXPECTED("0", "it is told"))
{
    make();
    p = vow_promise_new();
    f = vow_promise_future(p);
    run_threads(runs_until_f, fulfills);
    vow_promise_unref(p);
    end();
    outcome("%d", rc);
}

static pthread_t poster;

static void *
posts_a_and_b(void *unused)
{
    (void)unused;
    post(&a);
    post(&b);
    return NULL;
}

static void
two_are_posted(void)
{
    require(pthread_create(&poster, NULL, posts_a_and_b, NULL) == 0);
}

static void
waits_for_f(void)
{
    rc = vow_loop_run_until(loop, f);
}

SCENARIO(loop_post_nested, 0, "a task is posted while another waits, with one behind it",
         EXPECTED("0 ran ran", "it comes behind that, whoever posted it"))
{
    make();
    p = vow_promise_new();
    f = vow_promise_future(p);
    a.act = waits_for_f;
    c.act = fulfills;
    explore_calmly(two_are_posted);
    run_threads(runs_until_a_ran, posts_c);
    require(pthread_join(poster, NULL) == 0);
    check(&a);
    vow_unref(f);
    vow_promise_unref(p);
    end();
    outcome("%d %s %s", rc, fate(&b), fate(&c));
}

SCENARIO(loop_until_stop, 0, "a future settles while the wait for it is stopped",
         EXPECTED("0", "it settled"), EXPECTED("125", "it was stopped"))
{
    make();
    p = vow_promise_new();
    f = vow_promise_future(p);
    run_threads(runs_until_f, fulfills, stops);
    vow_promise_unref(p);
    end();
    outcome("%d", rc);
}

/* ---- descriptors ------------------------------------------------------------------------------------- */

static int fd;

static void
writes(void)
{
    const uint64_t one = 1;

    require(write(fd, &one, sizeof one) == (ssize_t)sizeof one);
}

static void
cancels_f(void)
{
    vow_future_cancel(f, NULL);
}

static void
make_ready(void)
{
    make();
    fd = eventfd(0, EFD_NONBLOCK);
    require(fd >= 0);
    f = vow_loop_ready(loop, fd, VOW_FD_READ);
}

static const char *
outcome_of_f(void)
{
    if (vow_future_status(f) == VOW_PENDING)
        return "pending";
    if (vow_peek(f).error == NULL)
        return "ready";
    return vow_error_code(vow_peek(f).error) == VOW_E_CLOSED ? "closed" : "cancelled";
}

static void
end_ready(void)
{
    const char *text = outcome_of_f();

    vow_ignore(f);
    end();
    close(fd);
    outcome("%s", text);
}

static void
runs_until_f_borrowed(void)
{
    rc = vow_loop_run_until(loop, f);
}

SCENARIO(loop_ready, 0, "a descriptor becomes ready while the loop falls asleep",
         EXPECTED("ready", "it is told"))
{
    make_ready();
    run_threads(runs_until_f_borrowed, writes);
    end_ready();
}

SCENARIO(loop_ready_cancel, 0, "a descriptor is ready, and who waits for it cancels",
         EXPECTED("ready", "too late"), EXPECTED("cancelled", "in time"))
{
    make_ready();
    writes();
    run_threads(runs_until_f_borrowed, cancels_f);
    end_ready();
}

SCENARIO(loop_ready_close, 0, "a descriptor is ready while the loop is closed",
         EXPECTED("ready", "before"), EXPECTED("closed", "after"))
{
    make_ready();
    writes();
    run_threads(runs_a_turn, cancels);
    vow_unref(closing);
    end_ready();
}

static vow_watch *watch;
static int drops;

static void
drop_ctx(void *ctx)
{
    (void)ctx;
    drops++;
}

static void
read_once(vow_watch *w, unsigned events, void *ctx)
{
    (void)w;
    (void)events;
    (void)ctx;
    require(drops == 0);
    a.ran++;
}

static void
runs_a_turn_and_stops_the_watch(void)
{
    vow_loop_run_once(loop, 0);
    require(vow_watch_stop(watch) == 0);
}

/* The loop, whose runner runs this, is closed while a descriptor that is ready is watched. */
static void
close_while_watched(vow_watch_fn *fn, void (*runner)(void))
{
    make();
    fd = eventfd(1, EFD_NONBLOCK);
    watch = vow_watch_start(loop, fd, VOW_FD_READ, fn, vow_own(&drops, drop_ctx));
    require(watch != NULL);
    run_threads(runner, cancels);
}

static void
end_watched(void)
{
    vow_unref(closing);
    end();
    close(fd);
    require(drops == 1);
}

SCENARIO(loop_watch_close, 0, "a watch is called and stopped while the loop is closed",
         EXPECTED("called 1", "before"), EXPECTED("called 0", "after"))
{
    close_while_watched(read_once, runs_a_turn_and_stops_the_watch);
    end_watched();
    outcome("called %d", a.ran);
}

static void
reads_it(vow_watch *w, unsigned events, void *ctx)
{
    uint64_t count;

    read_once(w, events, ctx);
    require(read(fd, &count, sizeof count) == (ssize_t)sizeof count);
}

static void
runs_and_stops_the_watch(void)
{
    runs();
    require(vow_watch_stop(watch) == 0);
}

SCENARIO(loop_watch_run_close, 0, "a loop that sleeps with a watch is closed",
         EXPECTED("0 called 1", "before"), EXPECTED("0 called 0", "after"))
{
    close_while_watched(reads_it, runs_and_stops_the_watch);
    require(vow_future_status(closing) == VOW_FULFILLED);
    end_watched();
    outcome("%d called %d", rc, a.ran);
}
