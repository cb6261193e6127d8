/* SPDX-License-Identifier: MIT */
/* Scenarios with pools, and with threads of the caller's own. */
#include "system.h"

#include <errno.h>
#include <string.h>

#include "base/time.h"
#include "sweep.h"
#include "vow_test.h"

/* ---- tasks whose runs are counted ------------------------------------------------------ */

static vow_result
run_task(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(vow_i64(1));
}

static void
run_errand(void *ctx)
{
    drop_ran(ctx);
}

static int
runs_of(vow_value ctx)
{
    return atomic_load(&((struct drop *)ctx.as.ptr)->ran);
}

/* What was accepted ran, what was refused did not, and why is one of the reasons. */
static void
assert_accounted(vow_value ctx, int code)
{
    assert_int_equal(runs_of(ctx), code == 0);
    if (code != 0 && code != VOW_E_NOMEM && code != VOW_E_CLOSED && code != VOW_E_LIMIT)
        fail_msg("refused with %d", code);
}

enum { TASKS = 12 };

struct batch {
    vow_value ctxs[2 * TASKS];
    vow_future *futures[TASKS];
    int posted[TASKS];
};

static void
submit_batch(struct batch *b, vow_executor *on, struct drop_set *d)
{
    for (int i = 0; i < TASKS; i++) {
        b->ctxs[2 * i] = drop_set_new(d);
        b->ctxs[2 * i + 1] = drop_set_new(d);
        b->futures[i] = vow_submit(on, run_task, b->ctxs[2 * i]);
        b->posted[i] = vow_post(on, run_errand, b->ctxs[2 * i + 1]);
    }
}

/* After the executor was joined, when all errands have run. */
static void
finish_batch(struct batch *b)
{
    for (int i = 0; i < TASKS; i++) {
        assert_accounted(b->ctxs[2 * i], code_of(b->futures[i]));
        vow_unref(b->futures[i]);
        if (b->posted[i] != 0)
            assert_accounted(b->ctxs[2 * i + 1], b->posted[i]);
        else
            assert_in_range(runs_of(b->ctxs[2 * i + 1]), 0, 1);
    }
}

/* ---- calls that are waited for ------------------------------------------------------------ */

/*
 * What a thread of the library's calls, and when, is for the scheduler to say. Where a call
 * is only made if something else has not happened yet, that waits for the call: else there
 * are runs of the whole sweep in which it never comes, and so never fails.
 */
static size_t
times_called(const char *file, const char *call)
{
    size_t sites = 0, times = 0;

    for (size_t i = 0; i < fault_sites(); i++) {
        const struct fault_site *site = fault_site(i);

        if (strstr(site->file, file) == NULL || strcmp(site->call, call) != 0)
            continue;
        sites++;
        times += atomic_load(&sweep_count(i)->called);
    }
    if (sites == 0)
        fail_msg("no call of %s in %s", call, file);
    return times;
}

/* One more than there were; after a failure there may be none. */
static void
await_call(const char *file, const char *call, size_t before)
{
    while (times_called(file, call) == before && !scenario_failed())
        sched_yield();
}

/* ---- pools ------------------------------------------------------------------------------- */

static vow_executor *
pool_new(const vow_pool_options *opt)
{
    vow_executor *pool;

    errno = 0;
    pool = vow_pool_new(opt);
    if (pool == NULL) {
        assert_true(scenario_failed());
        assert_true(errno == ENOMEM || errno == EAGAIN || errno == EINVAL);
    }
    return pool;
}

static void
close_and_join(vow_executor *pool, vow_close_mode mode)
{
    vow_future *closed = vow_executor_close(pool, mode);

    assert_int_equal(vow_executor_join(pool), 0);
    assert_int_equal(code_of(closed), 0);
    vow_unref(closed);
}

static void
use_pool(const vow_pool_options *opt, struct drop_set *d)
{
    vow_executor *pool = pool_new(opt);
    struct batch b;

    if (pool == NULL)
        return;
    assert_in_range(vow_pool_threads(pool), 1, opt->threads);
    submit_batch(&b, pool, d);
    close_and_join(pool, VOW_DRAIN);
    finish_batch(&b);
    for (int i = 0; i < TASKS; i++)
        if (b.posted[i] == 0)
            assert_int_equal(runs_of(b.ctxs[2 * i + 1]), 1);
    vow_executor_unref(pool);
}

static void
pool_of_four(struct drop_set *d)
{
    use_pool(&VOW_POOL_OPTIONS(.threads = 4), d);
}

static void
pool_with_a_small_stack(struct drop_set *d)
{
    use_pool(&VOW_POOL_OPTIONS(.threads = 1, .stack_size = 256 * 1024), d);
}

/* A task that waits until it is let go. */
static vow_result
wait_for_gate(void *gate)
{
    return vow_ok(vow_i64(vow_error_code(vow_get(gate).error)));
}

static void
pool_that_cancels(struct drop_set *d)
{
    vow_executor *pool = pool_new(&VOW_POOL_OPTIONS(.threads = 1, .spares = 1));
    vow_promise *p = vow_promise_new();
    vow_future *gate = vow_promise_future(p);
    vow_future *f = NULL;
    struct batch b;

    if (pool != NULL) {
        f = vow_submit(pool, wait_for_gate, vow_ptr(gate));
        submit_batch(&b, pool, d);
        vow_unref(vow_executor_close(pool, VOW_CANCEL_QUEUED));
    }
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
    if (pool != NULL) {
        close_and_join(pool, VOW_DRAIN);
        finish_batch(&b);
    }
    vow_ignore(f);
    vow_unref(gate);
    vow_executor_unref(pool);
}

static void
count_start(unsigned worker, void *ctx)
{
    (void)worker;
    atomic_fetch_add((atomic_int *)ctx, 1);
}

static void
count_stop(unsigned worker, void *ctx)
{
    (void)worker;
    atomic_fetch_sub((atomic_int *)ctx, 1);
}

static void
pool_on_one_cpu_with_hooks(struct drop_set *d)
{
    atomic_int running = 0;

    use_pool(&VOW_POOL_OPTIONS(.threads = 2, .affinity = "0", .on_start = count_start,
                               .on_stop = count_stop, .hook_ctx = &running),
             d);
    assert_int_equal(running, 0);
}

/* Less room than is wanted: the caller runs some, or the oldest are dropped. */
static void
pool_with_a_limit(struct drop_set *d)
{
    for (int policy = VOW_FULL_RUN; policy <= VOW_FULL_DROP_OLDEST; policy += 2) {
        vow_executor *pool =
            pool_new(&VOW_POOL_OPTIONS(.threads = 1, .queue_limit = 2,
                                       .when_full = (vow_when_full)policy));
        struct batch b;

        if (pool == NULL)
            continue;
        submit_batch(&b, pool, d);
        close_and_join(pool, VOW_DRAIN);
        finish_batch(&b);
        vow_executor_unref(pool);
    }
}

struct posting {
    vow_executor *pool;
    vow_value ctx;
    int code;
};

static void *
post_with_patience(void *arg)
{
    struct posting *p = arg;

    p->code = vow_post(p->pool, run_errand, p->ctx);
    return NULL;
}

/* Keeps a worker from what is queued. */
struct hold {
    atomic_int entered;
    atomic_int open;
};

static void
hold_worker(void *ctx)
{
    struct hold *h = ctx;

    atomic_store(&h->entered, 1);
    await_flag(&h->open, 1);
}

/* The only worker is held, and what is queued fills the room: posters wait, in a row. */
static void
pool_that_keeps_posters_waiting(struct drop_set *d)
{
    enum { POSTERS = 3, ALL };
    vow_executor *pool = pool_new(&VOW_POOL_OPTIONS(.threads = 1, .queue_limit = 1));
    struct hold h = {0, 0};
    struct posting p[ALL];
    pthread_t threads[POSTERS];

    if (pool == NULL)
        return;
    for (int i = 0; i < ALL; i++)
        p[i] = (struct posting){pool, drop_set_new(d), 0};
    if (vow_post(pool, hold_worker, vow_ptr(&h)) == 0)
        await_flag(&h.entered, 1);
    post_with_patience(&p[POSTERS]);
    for (int i = 0; i < POSTERS; i++) {
        size_t before = times_called("pool_bound.c", "vowi_parker_init");

        assert_int_equal(pthread_create(&threads[i], NULL, post_with_patience, &p[i]), 0);
        await_call("pool_bound.c", "vowi_parker_init", before);
    }
    atomic_store(&h.open, 1);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    close_and_join(pool, VOW_DRAIN);
    for (int i = 0; i < ALL; i++)
        assert_accounted(p[i].ctx, p[i].code);
    vow_executor_unref(pool);
}

/* The only worker waits for what comes from outside: a spare takes its place, or not. */
static void
pool_whose_worker_waits(struct drop_set *d)
{
    vow_executor *pool = pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    vow_promise *p = vow_promise_new();
    vow_future *gate = vow_promise_future(p);
    vow_future *waiting, *other;
    vow_value ctx = drop_set_new(d);

    if (pool == NULL)
        vow_promise_fulfill(p, VOW_NIL); /* inline nobody could let it go */
    waiting = vow_submit(pool, wait_for_gate, vow_ptr(gate));
    other = vow_submit(pool, run_task, ctx);
    (void)vow_wait(other, vow_ms(20));
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
    assert_accounted(ctx, code_of(other));
    if (waiting != NULL && gate != NULL)
        assert_int_equal(vow_get(waiting).value.as.i64, 0);
    vow_unref(waiting);
    vow_unref(other);
    vow_unref(gate);
    if (pool != NULL)
        close_and_join(pool, VOW_DRAIN);
    vow_executor_unref(pool);
}

/* ---- a deque that grows ------------------------------------------------------------------ */

enum { POSTED = 600 }; /* more than two sizes of the ring */

struct flood {
    vow_executor *pool;
    vow_task tasks[POSTED];
    atomic_int ran;
};

static struct flood flood;

static void
count_flood(vow_task *task, int why)
{
    (void)task;
    assert_int_equal(why, 0);
    atomic_fetch_add(&flood.ran, 1);
}

static vow_result
post_flood(void *pool)
{
    for (int i = 0; i < POSTED; i++) {
        flood.tasks[i] = (vow_task){.run = count_flood};
        assert_int_equal(vow_post_task(pool, &flood.tasks[i]), 0);
    }
    return vow_ok(VOW_NIL);
}

static void
pool_whose_deque_grows(struct drop_set *d)
{
    vow_executor *pool = pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    vow_future *f;
    bool posted;

    (void)d;
    if (pool == NULL)
        return;
    atomic_store(&flood.ran, 0);
    f = vow_submit(pool, post_flood, vow_ptr(pool));
    posted = code_of(f) == 0;
    close_and_join(pool, VOW_DRAIN);
    assert_int_equal(atomic_load(&flood.ran), posted ? POSTED : 0);
    vow_unref(f);
    vow_executor_unref(pool);
}

/* ---- threads that end ---------------------------------------------------------------------- */

static vow_result
exit_thread(void *ctx)
{
    drop_ran(ctx);
    pthread_exit(NULL);
}

/* Each worker is replaced, or the pool goes on with fewer, or, without any, it ends. */
static void
pool_whose_threads_exit(struct drop_set *d)
{
    vow_executor *pool = pool_new(&VOW_POOL_OPTIONS(.threads = 2));
    vow_future *exits[3];
    struct batch b;

    if (pool == NULL)
        return;
    for (int i = 0; i < 3; i++)
        exits[i] = vow_submit(pool, exit_thread, drop_set_new(d));
    submit_batch(&b, pool, d);
    for (int i = 0; i < 3; i++) {
        int code = code_of(exits[i]);

        assert_true(code == VOW_E_BROKEN || code == VOW_E_NOMEM || code == VOW_E_CLOSED);
        vow_unref(exits[i]);
    }
    close_and_join(pool, VOW_DRAIN);
    finish_batch(&b);
    vow_executor_unref(pool);
}

static vow_result
let_go(void *pool)
{
    vow_executor_unref(pool);
    return vow_ok(VOW_NIL);
}

/* The last reference goes on a worker: nobody joins it. */
static void
pool_dropped_by_its_worker(struct drop_set *d)
{
    vow_executor *pool = pool_new(&VOW_POOL_OPTIONS(.threads = 2));
    vow_value ctx = drop_set_new(d);
    vow_future *f = vow_submit(pool, run_task, ctx);
    vow_future *g;

    assert_accounted(ctx, code_of(f));
    vow_unref(f);
    if (pool == NULL)
        return;
    g = vow_submit(pool, let_go, vow_ptr(pool));
    if (g == NULL)
        vow_executor_unref(pool);
    (void)vow_wait(g, VOW_FOREVER);
    vow_unref(g);
}

static void
pool_asked(struct drop_set *d)
{
    vow_executor *pool = pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    vow_pool_stats stats = {.size = sizeof stats};
    vow_value ctx = drop_set_new(d);
    vow_future *f = vow_submit(pool, run_task, ctx);

    assert_accounted(ctx, code_of(f));
    if (pool != NULL) {
        close_and_join(pool, VOW_DRAIN);
        assert_int_equal(vow_pool_read_stats(pool, &stats), 0);
        assert_int_equal(stats.tasks, runs_of(ctx));
    }
    vow_unref(f);
    vow_executor_unref(pool);
}

/* Tried again if it failed; the process ends after this, so its reference may go too. */
static void
default_pool(struct drop_set *d)
{
    vow_executor *pool = vow_default_pool();
    struct batch b;

    if (pool == NULL) {
        assert_true(scenario_failed());
        pool = vow_default_pool();
    }
    if (pool == NULL)
        return;
    assert_ptr_equal(vow_default_pool(), pool);
    submit_batch(&b, pool, d);
    close_and_join(pool, VOW_DRAIN);
    finish_batch(&b);
    vow_executor_unref(pool);
}

/* ---- the timer thread ------------------------------------------------------------------------ */

static void
ring(vow_task *task, int why)
{
    (void)task;
    assert_true(why == 0 || why == VOW_E_CLOSED);
}

static void
arm_and_disarm(vow_executor *pool)
{
    vow_timer timer = {.task.run = ring};
    int why = vow_timer_arm(pool, &timer, vow_now() + vow_seconds(100));

    assert_true(why == 0 || scenario_failed());
    assert_int_equal(vow_timer_disarm(&timer), why == 0 ? VOW_REMOVED : VOW_RAN);
}

/* One that is due, one that the pool leaves. */
static void
timer_thread(struct drop_set *d)
{
    vow_executor *pool = pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    vow_value due_ctx, left_ctx;
    vow_future *due, *left;
    int code;

    if (pool == NULL)
        return;
    due_ctx = drop_set_new(d);
    left_ctx = drop_set_new(d);
    due = vow_submit_after(pool, vow_ms(1), run_task, due_ctx);
    left = vow_submit_after(pool, vow_seconds(100), run_task, left_ctx);
    arm_and_disarm(pool);
    code = code_of(due);
    assert_true(code == 0 || scenario_failed());
    assert_int_equal(runs_of(due_ctx), code == 0);
    close_and_join(pool, VOW_DRAIN);
    assert_true(code_of(left) == VOW_E_CLOSED || scenario_failed());
    assert_int_equal(runs_of(left_ctx), 0);
    vowi_timer_thread_stop();
    vow_unref(due);
    vow_unref(left);
    vow_executor_unref(pool);
}

static int
run_at_once(vow_executor *self, vow_task *task)
{
    (void)self;
    task->run(task, 0);
    return 0;
}

static atomic_int rung;

static void
ring_out(vow_task *task, int why)
{
    (void)task;
    assert_int_equal(why, 0);
    atomic_store(&rung, 1);
}

/* No other thread calls anything while it begins. */
static void
timer_thread_alone(struct drop_set *d)
{
    static const vow_executor_ops ops = {
        .size = sizeof(vow_executor_ops), .name = "at once", .post = run_at_once};
    size_t before = times_called("sys.c", "pthread_setname_np");
    vow_timer timer = {.task.run = ring_out};
    vow_executor e = {.ops = NULL};
    int code = vow_executor_init(&e, &ops);

    (void)d;
    assert_true(code == 0 || scenario_failed());
    if (code != 0)
        return;
    atomic_store(&rung, 0);
    code = vow_timer_arm(&e, &timer, vow_now());
    assert_true(code == 0 || scenario_failed());
    if (code == 0) {
        await_call("sys.c", "pthread_setname_np", before);
        await_flag(&rung, 1);
    }
    vowi_timer_thread_stop();
    vow_unref(vow_executor_close(&e, VOW_DRAIN));
    vow_executor_unref(&e);
}

/* ---- threads of the caller's own ------------------------------------------------------------- */

static void *
wait_twice(void *f)
{
    (void)vow_wait(f, vow_ms(1));
    (void)code_of(f);
    return NULL;
}

static void
waits_in_threads(struct drop_set *d)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_twice, f), 0);
    (void)vow_wait(f, vow_ms(2));
    vow_promise_fulfill(p, drop_set_new(d));
    vow_promise_unref(p);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    vow_unref(f);
}

static void *
unref_promise(void *p)
{
    vow_promise_unref(p);
    return NULL;
}

static void
on_a_thread(void *(*run)(void *), void *arg)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
    pthread_join(thread, NULL);
}

static void
blocks_freed_by_a_thread(struct drop_set *d)
{
    for (int i = 0; i < 2; i++) {
        vow_promise *p = vow_promise_new();

        vow_promise_fulfill(p, drop_set_new(d));
        on_a_thread(unref_promise, p);
    }
}

struct attachment {
    vow_future *f;
    vow_executor *on;
};

static void *
attach_step(void *arg)
{
    struct attachment *a = arg;

    (void)vow_on_settled(a->f, a->on, NULL, VOW_NIL);
    return NULL;
}

/* A thread that exits gives back what it counted in advance. */
static void
steps_attached_by_a_thread(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_promise *p = vow_promise_new();
    struct attachment a = {vow_promise_future(p), vow_manual_executor(m)};

    if (m != NULL && p != NULL)
        on_a_thread(attach_step, &a);
    else
        vow_unref(a.f);
    vow_promise_abandon(p);
    vow_manual_unref(m);
    (void)d;
}

/* ---- fibers --------------------------------------------------------------------------------- */

static vow_result
wait_for(void *f)
{
    vow_get(f);
    return vow_ok(vow_i64(1));
}

/* Whatever stacks can be had, what was accepted runs and ends. */
static void
fibers_that_wait(struct drop_set *d)
{
    vow_executor *on = vow_fibers_new(NULL);
    vow_promise *p = vow_promise_new();
    vow_future *answer = vow_promise_future(p);
    vow_future *waits, *other;
    vow_value ctx = drop_set_new(d);

    if (on == NULL || p == NULL) {
        assert_true(scenario_failed());
        vow_value_drop(ctx);
    } else {
        waits = vow_submit(on, wait_for, vow_ptr(answer));
        other = vow_submit(on, run_task, ctx);
        vow_promise_fulfill(p, VOW_NIL);
        (void)code_of(waits);
        assert_accounted(ctx, code_of(other));
        vow_unref(waits);
        vow_unref(other);
    }
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    if (on != NULL)
        (void)vow_executor_join(on);
    vow_executor_unref(on);
    vow_unref(answer);
    vow_promise_abandon(p);
}

#define ROW(name) {#name, name},

const struct scenario pool_scenarios[] = {POOL_SCENARIOS(ROW){NULL, NULL}};
