/* SPDX-License-Identifier: MIT */
/*
 * An executor of your own, on the thread of a libuv loop that is there already. Shows that
 * it has to say only how a task gets onto that thread; order, closing and what is refused
 * come from a serial executor on top. Then it is used: work on a pool, its result on the
 * loop, a wait that is refused there, the end. docs/own-executor.md goes through it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <uv.h>
#include <vow/vow.h>

/* ---- the executor ----------------------------------------------------------------------- */

struct loop_thread {
    vow_executor executor; /* first; never closed, since the serial one on top is */
    uv_async_t async;      /* wakes the loop, from any thread */
    uv_mutex_t mutex;
    vow_task *first, **end; /* guarded by mutex: what is queued */
    bool ended;             /* guarded by mutex: nothing will be */
};

/* From any thread. It must not run the task here. */
static int
post(vow_executor *self, vow_task *task)
{
    struct loop_thread *l = (struct loop_thread *)(void *)self;

    uv_mutex_lock(&l->mutex);
    task->next = NULL;
    *l->end = task;
    l->end = &task->next;
    uv_async_send(&l->async);
    uv_mutex_unlock(&l->mutex);
    return 0;
}

/* On the loop's thread: runs what is queued by now. */
static void
run_queued(uv_async_t *async)
{
    struct loop_thread *l = async->data;
    vow_task *task, *next;
    bool ended;

    uv_mutex_lock(&l->mutex);
    task = l->first;
    l->first = NULL;
    l->end = &l->first;
    ended = l->ended;
    uv_mutex_unlock(&l->mutex);
    for (; task != NULL; task = next) {
        next = task->next;
        task->run(task, 0); /* once; the task may be gone then */
    }
    if (ended)
        uv_close((uv_handle_t *)async, NULL); /* which lets uv_run return */
}

/* The serial executor has closed, on whichever thread: tells the loop's. */
static void
end_loop(vow_view closed, void *loop_thread)
{
    struct loop_thread *l = loop_thread;

    (void)closed;
    uv_mutex_lock(&l->mutex);
    l->ended = true;
    uv_async_send(&l->async);
    uv_mutex_unlock(&l->mutex);
}

/* What is on the loop in the end. On the loop's thread; NULL if it cannot be had. */
static vow_executor *
on_loop(struct loop_thread *l, uv_loop_t *loop)
{
    static const vow_executor_ops ops = {
        .size = sizeof ops, .name = "libuv", .post = post};

    *l = (struct loop_thread){.executor.ops = &ops, .end = &l->first};
    if (uv_mutex_init(&l->mutex) != 0 || uv_async_init(loop, &l->async, run_queued) != 0)
        return NULL;
    l->async.data = l;
    return vow_serial_new(&l->executor);
}

/* ---- its use -------------------------------------------------------------------------------- */

static vow_executor *on_uv;

static vow_result
add_up(void *ctx)
{
    int64_t sum = 0;

    (void)ctx;
    for (int64_t i = 1; i <= 1000000; i++)
        sum += i;
    return vow_ok(vow_i64(sum));
}

static vow_result
say_that_it_runs(void *ctx)
{
    printf("a task runs on the loop's thread: %s\n", (const char *)ctx);
    return vow_ok(VOW_NIL);
}

/* A step on the loop's thread: it touches what belongs to the loop without a lock. */
static vow_result
show_sum(vow_value sum, void *timer)
{
    vow_future *f = vow_submit(on_uv, say_that_it_runs, vow_ptr("after this step"));

    printf("the pool has added up %" PRId64 "\n", sum.as.i64);
    printf("waiting here: %s\n", vow_error_message(vow_get(f).error));
    uv_timer_stop(timer);
    uv_close(timer, NULL);
    return vow_follow(f);
}

/* No more work for the loop: closes the executor, which ends the loop as well. */
static void
close_executor(void *loop_thread)
{
    vow_future *closed = vow_executor_close(on_uv, VOW_DRAIN);

    printf("it closes\n");
    if (!vow_on_settled(closed, NULL, end_loop, vow_ptr(loop_thread)))
        abort(); /* no memory for a step: the loop would not end */
    vow_executor_unref(on_uv);
}

static void
tick(uv_timer_t *timer)
{
    (void)timer; /* the loop goes on with its own work meanwhile */
}

int
main(void)
{
    static struct loop_thread thread;
    uv_loop_t *loop = uv_default_loop();
    uv_timer_t timer;
    vow_future *f;

    on_uv = on_loop(&thread, loop);
    if (on_uv == NULL || uv_timer_init(loop, &timer) != 0 ||
        uv_timer_start(&timer, tick, 1, 1) != 0)
        return 1;
    f = vow_submit(vow_default_pool(), add_up, VOW_NIL);
    f = vow_then(f, on_uv, show_sum, vow_ptr(&timer));
    f = vow_finally(f, on_uv, close_executor, vow_ptr(&thread));
    uv_run(loop, UV_RUN_DEFAULT);
    printf("the loop has ended, the last step with code %d\n",
           vow_error_code(vow_get(f).error));
    vow_unref(f);
    uv_mutex_destroy(&thread.mutex);
    return uv_loop_close(loop);
}
