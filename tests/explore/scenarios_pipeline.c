/* SPDX-License-Identifier: MIT */
/* scenarios_pipeline.c - pipelines: going on, stopping, draining, coming to rest. */
#include <vow/vow.h>

#include <errno.h>

#include "explore.h"

enum { ITEMS = 3 };

static vow_pipeline *p;
static vow_future *f;
static vow_channel *c;
static vow_promise *held[ITEMS];
static int dropped[ITEMS], drawn, through, gone;
static vow_error *why; /* it was stopped, in the end */

static void
drop(void *counter)
{
    ++*(int *)counter;
}

static bool
next(vow_value *v, void *ctx)
{
    (void)ctx;
    if (drawn == ITEMS)
        return false;
    *v = vow_own(&dropped[drawn++], drop);
    return true;
}

/* Goes on until a thread settles its promise. */
static vow_result
hold(vow_value v, void *ctx)
{
    vow_promise **mine = &held[(int *)v.as.ptr - dropped];

    (void)ctx;
    *mine = vow_promise_new();
    return vow_follow(vow_promise_future(*mine));
}

static vow_result
pass(vow_value v, void *ctx)
{
    (void)v;
    (void)ctx;
    return vow_forward();
}

static void
comes_through(size_t index, vow_value v, void *ctx)
{
    (void)index;
    (void)ctx;
    require(vow_future_status(f) == VOW_PENDING || f == NULL);
    through++;
    vow_value_drop(v);
}

static void
is_dropped(size_t index, vow_value v, void *ctx)
{
    (void)index;
    (void)v;
    (void)ctx;
    gone++;
}

/* ---- what the threads do --------------------------------------------------------------- */

static void
let_go(int i)
{
    vow_promise *mine = held[i];

    held[i] = NULL;
    vow_promise_fulfill(mine, vow_ptr(&dropped[i]));
    vow_promise_unref(mine);
}

static void
first_goes_on(void)
{
    let_go(0);
}

static void
second_goes_on(void)
{
    let_go(1);
}

static void
second_fails(void)
{
    vow_promise *mine = held[1];

    held[1] = NULL;
    vow_promise_reject(mine, vow_error_new(EIO, "no"));
    vow_promise_unref(mine);
}

static void
cancels(void)
{
    vow_future_cancel(f, NULL);
}

static void
drains(void)
{
    vow_pipeline_drain(p);
}

static void
gets_and_drops(void)
{
    vow_get(f);
    vow_unref(f);
    vow_pipeline_unref(p);
}

static void
sends(void)
{
    int *item = &dropped[drawn++];

    if (vow_channel_try_send(c, vow_own(item, drop)) != 0)
        ++*item;
}

static void
closes(void)
{
    vow_channel_close(c);
}

/* ---- before and after ---------------------------------------------------------------------- */

/* Two at a time are held, and then pass another stage. */
static void
make(void)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = hold, .width = 2), VOW_STAGE(.fn = pass)};

    p = vow_pipeline_new(
        &VOW_PIPELINE_OPTIONS(.sink = comes_through, .dropped = is_dropped),
        &VOW_FEED(.next = next), stages, 2);
    f = vow_pipeline_future(p);
    require(drawn == 2);
}

/* Lets what is left go through; everything has ended, and was dropped, once. */
static void
end(void)
{
    vow_pipeline_figures now = {.size = sizeof now};

    for (int i = 0; i < ITEMS; i++)
        if (held[i] != NULL)
            let_go(i);
    require(vow_future_status(f) != VOW_PENDING);
    require(vow_pipeline_read(p, &now) == 0);
    require(now.in_flight == 0 && now.drawn == (unsigned)drawn);
    require(now.finished == (unsigned)through && now.dropped == (unsigned)gone);
    require(now.peak <= now.places);
    for (int i = 0; i < drawn; i++)
        require(dropped[i] == 1);
    why = vow_error_ref(vow_peek(f).error);
    vow_ignore(f);
    vow_pipeline_unref(p);
}

/* ---- scenarios -------------------------------------------------------------------------------- */

SCENARIO(pipeline_two_end, 0, "the functions of two items end together",
         EXPECTED("drew 3, 2 through", "in order, and there is room for the third"))
{
    make();
    run_threads(first_goes_on, second_goes_on);
    outcome("drew %d, %d through", drawn, through);
    end();
}

SCENARIO(pipeline_fail, 0, "an item fails as the one before it goes on",
         EXPECTED("failed, drew 2, 0 through", "the first was too late"),
         EXPECTED("failed, drew 3, 0 through", "it was in the next stage"),
         EXPECTED("failed, drew 3, 1 through", "or through it"))
{
    make();
    run_threads(first_goes_on, second_fails);
    outcome("failed, drew %d, %d through", drawn, through);
    end();
    require(vow_error_code(why) == EIO && vow_error_index(why) == 1);
    vow_error_unref(why);
}

SCENARIO(pipeline_cancel, 0, "a pipeline is cancelled as an item goes on",
         EXPECTED("drew 2, 0 through", "that was too late"),
         EXPECTED("drew 3, 0 through", "it was in the next stage"),
         EXPECTED("drew 3, 1 through", "or through it"))
{
    make();
    run_threads(first_goes_on, cancels);
    outcome("drew %d, %d through", drawn, through);
    end();
    require(vow_error_code(why) == VOW_E_CANCELLED);
    vow_error_unref(why);
}

SCENARIO(pipeline_drain, 0, "a pipeline is drained as an item goes on",
         EXPECTED("drew 2", "the third stays where it is"),
         EXPECTED("drew 3", "or it came before"))
{
    make();
    run_threads(first_goes_on, drains);
    outcome("drew %d", drawn);
    end();
    require(through == drawn);
}

SCENARIO(pipeline_rest, 0, "who waits for a pipeline lets go of it as it comes to rest",
         EXPECTED("2 through", "nothing is left behind"))
{
    make();
    drains();
    let_go(0);
    run_threads(second_goes_on, gets_and_drops);
    outcome("%d through", through);
}

static vow_executor *pool;

static void
make_pool(void)
{
    pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2, .spares = 1));
}

static bool
only(vow_value *v, void *ctx)
{
    return drawn == 0 && next(v, ctx);
}

static void
comes_through_there(size_t index, vow_value v, void *ctx)
{
    (void)index;
    (void)ctx;
    through++;
    vow_value_drop(v);
}

SCENARIO(pipeline_pool, 0, "a pipeline comes to rest on a pool that is its alone",
         EXPECTED("1 through", "the pool is there until who posted to it has left"))
{
    vow_stage stage = VOW_STAGE(.fn = pass);

    explore_calmly(make_pool);
    stage.on = pool;
    f = vow_pipeline_run(&VOW_PIPELINE_OPTIONS(.sink = comes_through_there),
                         &VOW_FEED(.next = only), (vow_stage[]){stage, stage}, 2);
    vow_executor_unref(pool);
    vow_ignore(f);
    explore_wait_for_all();
    outcome("%d through", through);
}

/* It waits at a channel. */
static void
make_at_channel(void)
{
    const vow_stage stages[] = {VOW_STAGE(.fn = pass)};

    c = vow_channel_new(1);
    p = vow_pipeline_new(
        &VOW_PIPELINE_OPTIONS(.sink = comes_through, .dropped = is_dropped),
        &VOW_FEED(.channel = c), stages, 1);
    f = vow_pipeline_future(p);
}

SCENARIO(pipeline_sent, 0, "an item is sent to a pipeline as the channel is closed",
         EXPECTED("1 through", "it was in time"),
         EXPECTED("0 through", "or it was not sent"))
{
    make_at_channel();
    run_threads(sends, closes);
    outcome("%d through", through);
    vow_channel_unref(c);
    require(dropped[0] == 1);
    drawn = through;
    end();
}

SCENARIO(pipeline_leaves, 0, "an item is sent to a pipeline as that is cancelled",
         EXPECTED("1 through, 0 dropped, 0 left", "it was in time"),
         EXPECTED("0 through, 1 dropped, 0 left", "it was received, and dropped"),
         EXPECTED("0 through, 0 dropped, 1 left", "it was not received"))
{
    int left;

    make_at_channel();
    run_threads(sends, cancels);
    left = (int)vow_channel_count(c);
    outcome("%d through, %d dropped, %d left", through, gone, left);
    vow_channel_unref(c);
    require(through + gone + left == 1);
    require(dropped[0] == 1);
    drawn = 1 - left;
    end();
    vow_error_unref(why);
}
