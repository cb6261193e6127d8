/* SPDX-License-Identifier: MIT */
/*
 * core/timer.c - where a timer is armed, and how it gets to where it runs.
 *
 * An executor that can arm timers has its own. For any other the timer is armed with
 * who fires timers on its clock, its home: the timer thread, or a manual executor whose
 * clock a test has put in force. Then `on` says where it runs. It counts as one of
 * those of that executor, and holds its memory, until it is posted there or disarmed.
 *
 * A close makes sure that nothing stays armed: it sets the mode, and if the count is
 * not zero it takes what is armed out of its homes, one after the other. An arm counts
 * first; then its home looks at the mode, under the lock under which it adds the timer.
 * So either the close sees the count and finds the timer, or the home sees the mode
 * [armed].
 *
 * What disarm says. Home knows whether it is armed there, or was fired. Once it was posted
 * nobody but its run knows, so its run is replaced while it is away, and counts it as on
 * its way (a reserved byte), then as running (a list of what runs, on the stacks of those who
 * run it, since its storage may end with it), then as neither.
 */
#include "core/timer.h"

#include <vow/pool.h>

#include "base/check.h"
#include "base/list.h"
#include "base/time.h"
#include "core/executor.h"
#include "core/node.h"

/* A timer that runs away from home. */
struct running {
    struct vowi_link link;
    const vow_timer *timer;
    unsigned forks; /* before it: in a child it is in no list */
};

/* guarded by VOWI_GLOBAL_RUNNING, like the away byte of each timer */
static struct {
    struct vowi_list list;
} running = {{{&running.list.head, &running.list.head}}};

static unsigned char *
away(vow_timer *timer)
{
    return &timer->task.reserved[1];
}

static vow_timer *
timer_of(vow_task *task)
{
    return vowi_container_of(task, vow_timer, task);
}

/* ---- clocks ---------------------------------------------------------------------- */

static bool
has_timers(const vow_executor *on)
{
    return on->ops->arm != NULL && on->ops->disarm != NULL;
}

static vow_clock *
clock_of(const vow_executor *on)
{
    vow_clock *c = NULL;

    if (on->ops->clock != NULL)
        c = on->ops->clock(vow_ptr(on).as.ptr);
    return c != NULL ? c : vowi_process_clock();
}

vow_ns
vowi_timer_now(const vow_executor *on)
{
    if (on == NULL || on == vow_inline())
        return vow_now();
    return vow_clock_now(clock_of(on));
}

vow_executor *
vowi_clock_timers(vow_clock *clock)
{
    if (clock == NULL)
        clock = vowi_clock_here();
    if (clock != NULL && clock->timers != NULL)
        return clock->timers;
    return vow_default_pool();
}

/* Who fires the timers of an executor that does not. */
static vow_executor *
home_for(const vow_executor *on)
{
    const vow_clock *c = clock_of(on);

    if (c != NULL && c->timers != NULL && has_timers(c->timers))
        return c->timers;
    return vowi_timer_thread();
}

/* ---- arming ---------------------------------------------------------------------- */

static void
place(vow_executor *on, vow_timer *timer)
{
    if (has_timers(on)) {
        timer->home = on;
        timer->on = NULL;
    } else {
        timer->home = home_for(on);
        timer->on = on;
    }
}

int
vowi_timer_place_by(vow_clock *clock, vow_timer *timer)
{
    vow_executor *on;

    if (clock == NULL)
        clock = vowi_clock_here();
    on = vowi_clock_timers(clock);
    if (on == NULL)
        return VOW_E_NOMEM;
    place(on, timer);
    if (timer->on != NULL && clock != NULL && clock->timers == NULL)
        timer->home = vowi_timer_thread(); /* it goes as the real one, whatever is used */
    return 0;
}

int
vowi_timer_place(vow_executor *on, vow_timer *timer)
{
    if (on == NULL || on == vow_inline())
        return vowi_timer_place_by(NULL, timer);
    place(on, timer);
    return 0;
}

/* Arms it for an executor at another one, its home. */
static int
start_away(vow_executor *on, vow_timer *timer, bool asked)
{
    struct vowi_thread *t = vowi_self();
    int why;

    vowi_executor_keeps_timers(timer->home);
    if (!vowi_executor_count_timer(t, on))
        return VOW_E_CLOSED;
    if (asked) /* else others may read it just now */
        *away(timer) = 1;
    why = timer->home->ops->arm(timer->home, timer);
    if (why == 0)
        return 0;
    if (asked)
        *away(timer) = 0;
    vowi_executor_uncount_timers(t, on, 1);
    return why;
}

int
vowi_timer_start(vow_timer *timer, vow_ns when, bool asked)
{
    timer->when = when;
    if (timer->on != NULL)
        return start_away(timer->on, timer, asked);
    return timer->home->ops->arm(timer->home, timer);
}

int
vow_timer_arm(vow_executor *on, vow_timer *timer, vow_ns when)
{
    int why = vowi_timer_place(on, timer);

    return why != 0 ? why : vowi_timer_start(timer, when, true);
}

int
vowi_timer_arm_by(vow_clock *clock, vow_timer *timer, vow_ns when)
{
    int why = vowi_timer_place_by(clock, timer);

    return why != 0 ? why : vowi_timer_start(timer, when, true);
}

/* ---- disarming --------------------------------------------------------------------- */

/* Of one that home has fired. */
static vow_removal
what_became_of(vow_timer *timer)
{
    vow_removal removal = VOW_RAN;

    vowi_global_lock(VOWI_GLOBAL_RUNNING);
    if (*away(timer))
        removal = VOW_RUNNING; /* on its way */
    else
        vowi_list_each (link, &running.list)
            if (vowi_container_of(link, struct running, link)->timer == timer)
                removal = VOW_RUNNING;
    vowi_global_unlock(VOWI_GLOBAL_RUNNING);
    return removal;
}

vow_removal
vow_timer_disarm(vow_timer *timer)
{
    vow_executor *home = timer != NULL ? timer->home : NULL;
    vow_removal removal;

    if (home == NULL)
        return VOW_RAN;
    removal = home->ops->disarm(home, timer);
    if (timer->on == NULL)
        return removal;
    if (removal == VOW_REMOVED)
        vowi_executor_uncount_timers(vowi_self(), timer->on, 1);
    return removal == VOW_RUNNING ? what_became_of(timer) : removal;
}

vow_removal
vow_timer_rearm(vow_timer *timer, vow_ns when)
{
    vow_removal removal = vow_timer_disarm(timer);
    int why;

    if (removal != VOW_REMOVED)
        return removal;
    why = vowi_timer_start(timer, when, true);
    if (why != 0)
        timer->task.run(&timer->task, why);
    return removal;
}

/* ---- firing ------------------------------------------------------------------------ */

static void
has_run(void *arg)
{
    struct running *r = arg;

    vowi_global_lock(VOWI_GLOBAL_RUNNING);
    if (r->forks == vowi_globals.forks)
        vowi_list_remove(&r->link);
    vowi_global_unlock(VOWI_GLOBAL_RUNNING);
}

/* The run of a timer that others may ask about, away from home. */
static void
run_away(vow_task *task, int why)
{
    vow_timer *timer = timer_of(task);
    struct running r = {.timer = timer, .forks = vowi_globals.forks};

    task->run = (vowi_run_fn *)(uintptr_t)timer->prev;
    vowi_global_lock(VOWI_GLOBAL_RUNNING);
    *away(timer) = 0;
    vowi_list_push(&running.list, &r.link);
    vowi_global_unlock(VOWI_GLOBAL_RUNNING);
    pthread_cleanup_push(has_run, &r);
    task->run(task, why);
    pthread_cleanup_pop(1);
}

/* The run of one that was refused on the timer thread. */
static void
run_refused(vow_task *task, int why)
{
    vow_timer *timer = timer_of(task);

    if (why == 0)
        why = (int)(intptr_t)timer->next;
    if (*away(timer)) {
        run_away(task, why);
    } else {
        task->run = (vowi_run_fn *)(uintptr_t)timer->prev;
        task->run(task, why);
    }
}

/*
 * The executor that it is for takes it no more. Nobody's code runs on the timer thread
 * if there is another place: the default pool.
 */
static void
refuse(vow_timer *timer, int why)
{
    vow_executor *pool = NULL;

    if (vow_executor_current() == vowi_timer_thread())
        pool = vow_default_pool();
    if (pool != NULL) {
        if (!*away(timer))
            timer->prev = (vow_timer *)(uintptr_t)timer->task.run;
        timer->task.run = run_refused;
        timer->next = (vow_timer *)(intptr_t)why;
    }
    if (pool == NULL || pool->ops->post(pool, &timer->task) != 0)
        timer->task.run(&timer->task, why);
}

/* It was taken when it was armed: always admitted. */
static void
make_ready(vow_timer *timer)
{
    timer->task.flags |= VOW_TASK_STEP;
    if (*away(timer)) {
        timer->prev = (vow_timer *)(uintptr_t)timer->task.run;
        timer->task.run = run_away;
    }
}

static void
post_away(vow_executor *on, vow_timer *timer)
{
    int why = on->ops->post(on, &timer->task);

    if (why != 0)
        refuse(timer, why);
}

/* Timers of one executor that are given to it. */
struct departure {
    vow_executor *on;
    unsigned n;
    vow_task *left; /* one by one: those that have not been */
};

/* They are on their way, or the thread exits in what that runs. */
static void
uncount(void *departure)
{
    const struct departure *d = departure;

    vowi_executor_uncount_timers(vowi_self(), d->on, d->n);
}

static void
fire_away(vow_timer *timer, int why)
{
    struct departure d = {.on = timer->on, .n = 1};

    make_ready(timer);
    pthread_cleanup_push(uncount, &d);
    if (why == 0)
        post_away(d.on, timer);
    else
        refuse(timer, why);
    pthread_cleanup_pop(1);
}

/* Those of a list that was refused as a whole: some of them may not be. A post, or the run
 * of one that is refused, may end the thread. */
static void
post_one_by_one(void *departure)
{
    struct departure *d = departure;

    pthread_cleanup_push(post_one_by_one, d);
    while (d->left != NULL) {
        vow_task *task = d->left;

        d->left = task->next;
        post_away(d->on, timer_of(task));
    }
    pthread_cleanup_pop(0);
}

static void
fire_all_away(vow_timer *first, size_t n)
{
    struct departure d = {.on = first->on, .n = (unsigned)n, .left = &first->task};

    for (vow_task *task = d.left; task != NULL; task = task->next)
        make_ready(timer_of(task));
    pthread_cleanup_push(uncount, &d);
    if (d.on->ops->post_many(d.on, d.left, n) != 0)
        post_one_by_one(&d);
    pthread_cleanup_pop(1);
}

void
vowi_timers_fire(vow_timer *first, size_t n)
{
    if (n == 1)
        vow_timer_fire(first, 0);
    else
        fire_all_away(first, n);
}

void
vow_timer_fire(vow_timer *timer, int why)
{
    if (timer->on == NULL)
        timer->task.run(&timer->task, why);
    else
        fire_away(timer, why);
}

/* ---- closing ----------------------------------------------------------------------- */

static void
revoke_at(vow_executor *home, vow_executor *on)
{
    if (home != NULL && home != on && home->ops->revoke != NULL)
        home->ops->revoke(home, on);
}

void
vowi_timers_revoke(vow_executor *on)
{
    vow_executor *home = home_for(on);
    const vow_clock *c = vowi_process_clock();

    revoke_at(vowi_timer_thread(), on);
    if (home != vowi_timer_thread())
        revoke_at(home, on);
    if (c != NULL && c->timers != home)
        revoke_at(c->timers, on);
    if (vowi_executor_has_timers(on)) /* armed on a clock that was in force before */
        vowi_executors_that_keep_timers(revoke_at, on);
}

void
vowi_timers_in_child(void)
{
    vowi_list_init(&running.list);
}
