/* SPDX-License-Identifier: MIT */
/* scenarios_pool.c - a pool's queues, its sleep, its end. */
#include <stdatomic.h>

#include <vow/vow.h>

#include "explore.h"
#include "queue/deque.h"

/* ---- the deque alone -------------------------------------------------------------------- */

static struct vowi_deque deque;
static vow_task tasks[3];
static int taken[3];

static void
use(vow_task *task)
{
    if (task != NULL)
        taken[task->priority]++;
}

static void
push(unsigned i)
{
    tasks[i].priority = (unsigned char)i;
    require(vowi_deque_push(&deque, &tasks[i], false));
}

static void
steals(void)
{
    use(vowi_deque_steal(&deque));
}

static void
takes(unsigned i)
{
    if (vowi_deque_take_if(&deque, &tasks[i]))
        use(&tasks[i]);
}

static void
works_1(void)
{
    push(0);
    takes(0);
}

static void
works_2(void)
{
    push(0);
    push(1);
    takes(1);
    takes(0);
}

static void
works_3(void)
{
    push(0);
    push(1);
    push(2); /* the ring grows */
    takes(2);
}

static void
empty_deque(void)
{
    vow_task *task;

    while ((task = vowi_deque_steal(&deque)) != NULL)
        use(task);
    vowi_deque_fini(&deque);
    outcome("%d %d %d", taken[0], taken[1], taken[2]);
}

SCENARIO(deque_1_1, 0, "deque: one item, one thief", EXPECTED("1 0 0", "taken once"))
{
    require(vowi_deque_init(&deque));
    run_threads(works_1, steals);
    empty_deque();
}

SCENARIO(deque_2_2, 0, "deque: two items, two thieves",
         EXPECTED("1 1 0", "each taken once"))
{
    require(vowi_deque_init(&deque));
    run_threads(works_2, steals, steals);
    empty_deque();
}

SCENARIO(deque_3_2, 0, "deque: three items, two thieves, the ring grows",
         EXPECTED("1 1 1", "each taken once"))
{
    require(vowi_deque_init(&deque));
    run_threads(works_3, steals, steals);
    empty_deque();
}

/* ---- the pool -------------------------------------------------------------------------------- */

static vow_executor *pool;
static vow_future *f;
static atomic_int ran, refused;

static void
works(void *ctx)
{
    (void)ctx;
    atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
}

static vow_result
computes(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(7));
}

static void
posts(void)
{
    if (vow_post(pool, works, VOW_NIL) != 0)
        atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
}

static void
close_and_join(void)
{
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    require(vow_executor_join(pool) == 0);
    vow_executor_unref(pool);
}

static void
make_pool(unsigned threads)
{
    pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = threads, .spares = 1));
    require(pool != NULL);
}

SCENARIO(pool_post_sleep, 0, "one worker goes to sleep while a task is posted",
         EXPECTED("ran 1", "it is woken, or sees the task"))
{
    make_pool(1);
    posts();
    close_and_join();
    outcome("ran %d", ran);
}

SCENARIO(pool_submit_get, 0, "one worker, and a thread that waits for its result",
         EXPECTED("got 7", "both wake"))
{
    int got;

    make_pool(1);
    f = vow_submit(pool, computes, VOW_NIL);
    got = (int)vow_get(f).value.as.i64;
    vow_unref(f);
    close_and_join();
    outcome("got %d", got);
}

SCENARIO(pool_start_stop, 0, "a pool without work ends",
         EXPECTED("ended", "and is freed"))
{
    make_pool(1);
    close_and_join();
    outcome("ended");
}

SCENARIO(pool_two_start_stop, 0, "two workers without work end",
         EXPECTED("ended", "and are freed"))
{
    make_pool(2);
    close_and_join();
    outcome("ended");
}

static void
closes(void)
{
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
}

SCENARIO(pool_close_post, 0, "a task is posted while the pool is closed",
         EXPECTED("ran 1, refused 0", "posted first"),
         EXPECTED("ran 0, refused 1", "closed first"))
{
    make_pool(1);
    explore_wait_until_quiet();
    run_threads(closes, posts);
    require(vow_executor_join(pool) == 0);
    vow_executor_unref(pool);
    outcome("ran %d, refused %d", ran, refused);
}

static void
cancels(void)
{
    vow_unref(vow_executor_close(pool, VOW_CANCEL_QUEUED));
}

SCENARIO(pool_cancel_queued, 0, "what is queued is cancelled while a worker takes it",
         EXPECTED("code 0", "run first"), EXPECTED("code 4099", "cancelled first"))
{
    int code;

    make_pool(1);
    f = vow_submit(pool, computes, VOW_NIL);
    run_threads(cancels);
    code = vow_error_code(vow_get(f).error);
    vow_unref(f);
    require(vow_executor_join(pool) == 0);
    vow_executor_unref(pool);
    outcome("code %d", code);
}

SCENARIO(pool_two_workers, 0, "two workers, two posts", EXPECTED("ran 2", "each once"))
{
    make_pool(2);
    posts();
    posts();
    close_and_join();
    outcome("ran %d", ran);
}

static void
drops_pool(void)
{
    vow_executor_unref(pool);
}

static void
posts_and_drops(void)
{
    posts();
    vow_executor_unref(pool);
}

SCENARIO(pool_drop_post, 0, "the last reference goes while another thread posts",
         EXPECTED("ran 1", "a pool with references is open"))
{
    make_pool(1);
    vow_executor_ref(pool);
    explore_wait_until_quiet();
    run_threads(drops_pool, posts_and_drops);
    explore_wait_for_all();
    outcome("ran %d", ran);
}

SCENARIO(pool_without_memory, CAN_FAIL, "a pool is made, used and ended, if it can be",
         EXPECTED("ran 1", "all was there"), ALLOWED("no pool", "no memory or no thread"),
         ALLOWED("ran 0", "no memory for the task"))
{
    pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .spares = 1));
    if (pool == NULL)
        return (void)outcome("no pool");
    posts();
    close_and_join();
    outcome("ran %d", ran);
}
