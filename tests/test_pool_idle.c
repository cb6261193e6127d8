/* SPDX-License-Identifier: MIT */
/*
 * What comes to a worker of a pool at the moment at which it falls asleep, or wakes. The
 * linker puts the functions below in the place of the library's (--wrap), so that a case
 * decides what happens between two steps: this is built with the static library alone.
 */
#include "support/vow_test.h"

#include "../executors/pool_internal.h"
#include "../executors/timekeeper.h"
#include "core/linger.h"
#include "core/state.h"
#include "support/drops.h"
#include "support/pool_fixture.h"

/* ---- between two steps ------------------------------------------------------------------- */

/* The timers of the process, of which there are none but these. */
static struct {
    vow_ns (*first)(
        void);        /* what it says to the first who falls asleep; NULL: as to all */
    atomic_int asked; /* by those who fall asleep */
    atomic_int go_on;
    vow_timer *due[3]; /* to the first NULL */
    atomic_int takes, ends;
} timers;

/* A worker that was woken. */
static struct {
    atomic_bool held;
    atomic_int here;
    atomic_int go_on;
} woken;

/* Who closes a pool has seen that nothing is left; and then somebody posts. */
static struct {
    atomic_int now;
    vow_executor *pool;
    vow_task task;
    int rc;
    atomic_int ran;
    int why;
} late;

static _Thread_local bool sees_nothing; /* the next time that this thread looks */

vow_ns __wrap_vowi_timekeeper_begin(void);
vow_timer *__wrap_vowi_timekeeper_take(size_t fired, size_t *n);
void __wrap_vowi_timekeeper_end(void);
bool __real_vowi_gate_pass(struct vowi_gate *g);
bool __wrap_vowi_gate_pass(struct vowi_gate *g);
bool __real_vowi_pool_has_work(struct vowi_pool *p);
bool __wrap_vowi_pool_has_work(struct vowi_pool *p);

vow_ns
__wrap_vowi_timekeeper_begin(void)
{
    bool first = atomic_fetch_add(&timers.asked, 1) == 0;

    return first && timers.first != NULL ? timers.first() : VOW_FOREVER;
}

vow_timer *
__wrap_vowi_timekeeper_take(size_t fired, size_t *n)
{
    atomic_fetch_add(&timers.takes, 1);
    *n = 1;
    return timers.due[fired];
}

void
__wrap_vowi_timekeeper_end(void)
{
    atomic_fetch_add(&timers.ends, 1);
}

bool
__wrap_vowi_gate_pass(struct vowi_gate *g)
{
    bool slept = __real_vowi_gate_pass(g);

    if (atomic_load(&woken.held)) {
        atomic_store(&woken.here, 1);
        await_flag(&woken.go_on, 1);
    }
    return slept;
}

static bool
has_late(const struct vowi_pool *p)
{
    return (vowi_load_seq_cst(&p->inbox) & VOWI_INBOX_TASKS) != 0 ||
           vowi_load_seq_cst(&p->levels) != 0;
}

bool
__wrap_vowi_pool_has_work(struct vowi_pool *p)
{
    if (!sees_nothing)
        return __real_vowi_pool_has_work(p);
    sees_nothing = false;
    assert_false(__real_vowi_pool_has_work(p));
    atomic_store(&late.now, 1);
    while (!has_late(p))
        sched_yield();
    return false;
}

/* Before there is a pool. */
static void
begin(vow_ns (*first)(void))
{
    memset(&timers, 0, sizeof timers);
    memset(&woken, 0, sizeof woken);
    memset(&late, 0, sizeof late);
    timers.first = first;
}

static vow_executor *
pool_begin(unsigned threads, vow_ns (*first)(void))
{
    begin(first);
    return pool_of(threads);
}

static vow_result
seven(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(7));
}

/* ---- it keeps the time, and is woken ------------------------------------------------------ */

static vow_ns
much_later(void)
{
    return vow_now() + vow_seconds(3600);
}

static vow_ns
when_told(void)
{
    await_flag(&timers.go_on, 1);
    return INT64_MIN;
}

/* It does what it was woken for, and leaves the timers to others. */
static void
check_woken_for_a_task(vow_ns (*first)(void))
{
    vow_executor *pool = pool_begin(1, first);
    vow_future *f;

    await_flag(&timers.asked, 1);
    f = vow_submit(pool, seven, VOW_NIL);
    atomic_store(&timers.go_on, 1);
    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
    assert_int_equal(atomic_load(&timers.takes), 0);
    assert_int_equal(atomic_load(&timers.ends), 1);
    pool_free(pool);
}

VOW_CASE(worker_that_keeps_time_is_woken_for_a_task)
{
    check_woken_for_a_task(much_later);
}

VOW_CASE(worker_that_is_woken_for_a_task_as_its_time_comes_fires_nothing)
{
    check_woken_for_a_task(when_told);
}

VOW_CASE(worker_that_is_woken_for_a_close_as_its_time_comes_fires_nothing)
{
    vow_executor *pool = pool_begin(1, when_told);
    vow_future *closed;

    await_flag(&timers.asked, 1);
    closed = vow_executor_close(pool, VOW_DRAIN);
    atomic_store(&timers.go_on, 1);
    assert_int_equal(code_of(closed), 0);
    vow_unref(closed);
    assert_int_equal(vow_executor_join(pool), 0);
    assert_int_equal(atomic_load(&timers.takes), 0);
    assert_int_equal(atomic_load(&timers.ends), 1);
    vow_executor_unref(pool);
}

/* ---- its time has come -------------------------------------------------------------------- */

static vow_ns
when_the_other_sleeps(void)
{
    await_flag(&timers.asked, 2);
    return INT64_MIN;
}

static vow_result
meet(void *met)
{
    atomic_fetch_add((atomic_int *)met, 1);
    await_flag(met, 2);
    return vow_ok(VOW_NIL);
}

VOW_CASE(worker_that_wakes_itself_leaves_the_one_that_fell_asleep_after_it)
{
    vow_executor *pool = pool_begin(2, when_the_other_sleeps);
    atomic_int met = 0;
    vow_future *f[2];

    await_flag(&timers.takes, 1);
    for (int i = 0; i < 2; i++)
        f[i] = vow_submit(pool, meet, vow_ptr(&met));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(code_of(f[i]), 0);
        vow_unref(f[i]);
    }
    assert_int_equal(atomic_load(&timers.ends), 0);
    pool_free(pool);
}

/* An executor of a user's, whose first post takes a while. */
static struct {
    atomic_int entered;
    atomic_int open;
    vow_task *tasks[2];
    pthread_t by[2];
} slow;

static int
slow_post(vow_executor *self, vow_task *task)
{
    int n = atomic_load(&slow.entered);

    (void)self;
    slow.tasks[n] = task;
    slow.by[n] = pthread_self();
    atomic_store(&slow.entered, n + 1);
    await_flag(&slow.open, 1);
    return 0;
}

static const vow_executor_ops slow_ops = {
    .size = sizeof slow_ops, .name = "slow", .post = slow_post};
static vow_executor slow_one = {&slow_ops, NULL};

/* Who fires for others is none who searches: so another is woken for what comes. */
VOW_CASE(worker_that_fires_for_a_slow_executor_keeps_no_task_of_its_pool_waiting)
{
    vow_timer due[2] = {{.on = &slow_one}, {.on = &slow_one}};
    vow_executor *pool;
    vow_future *f;

    memset(&slow, 0, sizeof slow);
    begin(when_the_other_sleeps);
    timers.due[0] = &due[0];
    timers.due[1] = &due[1];
    pool = pool_of(2);
    await_flag(&slow.entered, 1);
    f = vow_submit(pool, seven, VOW_NIL);
    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
    atomic_store(&slow.open, 1);
    await_flag(&slow.entered, 2);
    pool_free(pool);

    for (int i = 0; i < 2; i++) {
        assert_ptr_equal(slow.tasks[i], &due[i].task);
        assert_true(due[i].task.flags & VOW_TASK_STEP); /* always admitted */
        assert_true(pthread_equal(slow.by[i], slow.by[0]));
    }
    assert_int_equal(atomic_load(&timers.takes), 3);
}

/* ---- a close, and what is posted meanwhile ------------------------------------------------ */

static void
run_late(vow_task *task, int why)
{
    (void)task;
    late.why = why;
    atomic_fetch_add(&late.ran, 1);
}

static void *
post_late(void *unused)
{
    await_flag(&late.now, 1);
    late.rc = vow_post_task(late.pool, &late.task);
    return unused;
}

/* A step is admitted until the pool has ended; so it ends with that step. */
static void
check_late(int priority)
{
    vow_executor *pool = pool_begin(1, NULL);
    vow_future *closed;
    pthread_t thread;

    late.pool = pool;
    late.task = (vow_task){
        .run = run_late, .flags = VOW_TASK_STEP, .priority = (unsigned char)priority};
    await_flag(&timers.asked, 1);
    assert_int_equal(pthread_create(&thread, NULL, post_late, NULL), 0);
    sees_nothing = true;
    closed = vow_executor_close(pool, VOW_DRAIN);
    assert_int_equal(code_of(closed), 0);
    assert_int_equal(atomic_load(&late.ran), 1);
    assert_int_equal(late.why, 0);
    pthread_join(thread, NULL);
    assert_int_equal(late.rc, 0);
    vow_unref(closed);
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
}

VOW_CASE(step_that_is_posted_as_a_close_has_seen_nothing_runs)
{
    check_late(VOW_NORMAL);
}

VOW_CASE(step_of_a_priority_that_is_posted_as_a_close_has_seen_nothing_runs)
{
    check_late(VOW_HIGH);
}

/* ---- it keeps an executor ------------------------------------------------------------------ */

/* An executor of a user's on top of a pool, which a worker of that keeps. */
static struct {
    vow_executor base;
    vow_executor *pool;
    vow_future *step;
    atomic_int kept, open, destroys;
} guest;

static int
guest_post(vow_executor *self, vow_task *task)
{
    (void)self;
    return vow_post_task(guest.pool, task);
}

static void
guest_destroy(vow_executor *self)
{
    (void)self;
    atomic_fetch_add(&guest.destroys, 1);
}

static const vow_executor_ops guest_ops = {.size = sizeof guest_ops,
                                           .name = "guest",
                                           .post = guest_post,
                                           .destroy = guest_destroy};

static vow_result
forward(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(in);
}

/* What this thread counts in advance for a step stays with it. */
static vow_result
keep_guest(void *unused)
{
    vow_promise *p = vow_promise_new();

    (void)unused;
    guest.step = vow_then(vow_promise_future(p), &guest.base, forward, VOW_NIL);
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
    atomic_store(&guest.kept, 1);
    await_flag(&guest.open, 1);
    return vow_ok(VOW_NIL);
}

static void
nothing(void *unused)
{
    (void)unused;
}

/* Until one worker is asleep, and no other searches; nothing is queued. */
static void
await_sleeper(vow_executor *pool)
{
    struct vowi_pool *p = vowi_container_of(pool, struct vowi_pool, executor);

    while (vowi_load_seq_cst(&p->idle) != VOWI_ASLEEP)
        sched_yield();
}

/* Its next wait then begins with a yield, and only that one. */
VOW_CASE(who_wakes_a_worker_remembers_it_until_it_waits)
{
    vow_executor *pool = pool_of(1);
    vow_promise *pending = vow_promise_new();
    struct vow_state *s = vowi_promise_state(pending);
    struct vowi_thread *t = vowi_self();
    struct gate g;

    await_sleeper(pool);
    t->woke = false;
    shut(&g, pool);
    assert_true(t->woke);
    assert_false(vowi_linger_glance(t, s));
    assert_false(t->woke);

    assert_int_equal(vow_post(pool, nothing, VOW_NIL), 0); /* to one that is awake */
    assert_false(t->woke);
    open_gate(&g);
    pool_free(pool);
    vow_promise_unref(pending);
}

VOW_CASE(worker_gives_back_what_it_keeps_while_another_searches)
{
    vow_executor *pool = pool_begin(2, NULL);
    vow_future *f;

    memset(&guest, 0, sizeof guest);
    guest.pool = pool;
    assert_int_equal(vow_executor_init(&guest.base, &guest_ops), 0);
    f = vow_submit(pool, keep_guest, VOW_NIL);
    await_flag(&guest.kept, 1);
    assert_int_equal(code_of(guest.step), 0);
    vow_unref(guest.step);
    await_sleeper(pool);
    vow_executor_unref(&guest.base);
    assert_int_equal(atomic_load(&guest.destroys), 0);

    atomic_store(&woken.held, true);
    assert_int_equal(vow_post(pool, nothing, VOW_NIL), 0);
    await_flag(&woken.here, 1);
    atomic_store(&guest.open, 1);
    await_flag(&guest.destroys, 1);
    atomic_store(&woken.held, false);
    atomic_store(&woken.go_on, 1);
    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    pool_free(pool);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(worker_that_keeps_time_is_woken_for_a_task),
        vow_test(worker_that_is_woken_for_a_task_as_its_time_comes_fires_nothing),
        vow_test(worker_that_is_woken_for_a_close_as_its_time_comes_fires_nothing),
        vow_test(worker_that_wakes_itself_leaves_the_one_that_fell_asleep_after_it),
        vow_test(worker_that_fires_for_a_slow_executor_keeps_no_task_of_its_pool_waiting),
        vow_test(step_that_is_posted_as_a_close_has_seen_nothing_runs),
        vow_test(step_of_a_priority_that_is_posted_as_a_close_has_seen_nothing_runs),
        vow_test(who_wakes_a_worker_remembers_it_until_it_waits),
        vow_test(worker_gives_back_what_it_keeps_while_another_searches),
    };

    return vow_test_run(cases);
}
