/* SPDX-License-Identifier: MIT */
/* Scenarios for pipelines: whatever fails, each item ends once, and all comes to rest. */
#include "vow_test.h"

#include <errno.h>

#include <vow/vow.h>

#include "drops.h"
#include "system.h"

static vow_result
replace(vow_value v, void *d)
{
    (void)v;
    return vow_ok(drop_set_new(d));
}

static vow_result
refuse_odd(vow_value v, void *calls)
{
    (void)v;
    return ++*(int *)calls % 2 != 0 ? vow_fail(EIO, "odd") : vow_forward();
}

static void
keep_nothing(size_t index, vow_value v, void *ctx)
{
    (void)index;
    (void)ctx;
    vow_value_drop(v);
}

static void
divert(const vow_failed_item *failed, void *ctx)
{
    keep_nothing(failed->index, failed->item, ctx);
}

static void
pipeline_of_three(struct drop_set *d)
{
    int calls = 0;
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);
    const vow_value items[] = {drop_set_new(d), drop_set_new(d), drop_set_new(d)};
    const vow_stage stages[] = {
        VOW_STAGE(.fn = replace, .ctx = vow_ptr(d), .width = 2),
        VOW_STAGE(.fn = refuse_odd, .ctx = vow_ptr(&calls), .on_error = VOW_STAGE_DIVERT),
        VOW_STAGE(.fn = replace, .ctx = vow_ptr(d), .buffer = 1)};
    vow_future *f = vow_pipeline_run(
        &VOW_PIPELINE_OPTIONS(.token = token, .sink = keep_nothing, .divert = divert),
        &VOW_FEED(.items = items, .n = 3), stages, 3);

    assert_int_not_equal(vow_future_status(f), VOW_PENDING);
    vow_ignore(f);
    vow_token_unref(token);
    vow_source_unref(source);
}

static void
pipeline_stopped_at_a_channel(struct drop_set *d)
{
    vow_channel *c = vow_channel_new(1);
    vow_value v = drop_set_new(d);
    const vow_stage stages[] = {VOW_STAGE(.fn = replace, .ctx = vow_ptr(d))};
    vow_pipeline *p = vow_pipeline_new(
        NULL, &VOW_FEED(.channel = c, .ctx = drop_set_new(d)), stages, 1);
    vow_future *f = vow_pipeline_future(p);

    if (vow_channel_try_send(c, v) != 0)
        vow_value_drop(v);
    vow_future_cancel(f, vow_error_new(ETIME, "too late"));
    assert_int_not_equal(vow_future_status(f), VOW_PENDING);
    vow_ignore(f);
    vow_pipeline_unref(p);
    vow_channel_unref(c);
}

#define ROW(name) {#name, name},

const struct scenario pipeline_scenarios[] = {PIPELINE_SCENARIOS(ROW){NULL, NULL}};
