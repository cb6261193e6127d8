/* SPDX-License-Identifier: MIT */
/* Scenarios for groups: whatever fails, each context goes once and the join settles. */
#include "vow_test.h"

#include <errno.h>

#include <vow/vow.h>

#include "drops.h"
#include "system.h"

static vow_result
succeed(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(VOW_NIL);
}

static vow_result
fail_at_once(void *ctx)
{
    drop_ran(ctx);
    return vow_fail(EIO, "no page");
}

static void
expect_settled(vow_future *f)
{
    assert_int_not_equal(vow_future_status(f), VOW_PENDING);
    vow_ignore(f);
}

static void
group_with_a_line(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 1, .name = "the line"));
    vow_future *child, *f;

    if (m != NULL) {
        for (int i = 0; i < 8; i++) /* its room for errors grows */
            vow_group_post(g, on, succeed, drop_set_new(d));
        child = vow_group_submit_with(g, on, NULL, succeed, drop_set_new(d));
        vow_group_add(g, vow_resolved(drop_set_new(d)));
        vow_manual_run(m);
        f = vow_group_join(vow_group_ref(g));
        expect_settled(child);
        expect_settled(f);
        expect_settled(vow_group_submit(g, on, succeed, drop_set_new(d)));
    }
    vow_group_unref(g);
    vow_manual_unref(m);
}

static void
group_in_a_group_in(vow_manual *m, struct drop_set *d)
{
    vow_group *outer = vow_group_new(NULL);
    vow_group *g =
        vow_group_new(&VOW_GROUP_OPTIONS(.parent = outer, .clock = vow_manual_clock(m),
                                         .deadline = vow_seconds(1)));

    vow_group_post(g, vow_manual_executor(m), succeed, drop_set_new(d));
    vow_group_add(g, vow_sleep(vow_manual_clock(m), vow_seconds(9)));
    vow_manual_advance(m, vow_seconds(20));
    expect_settled(vow_group_submit(g, NULL, succeed, drop_set_new(d)));
    expect_settled(vow_group_join(g));
    expect_settled(vow_group_join(outer));
}

static void
group_in_a_group(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();

    if (m != NULL)
        group_in_a_group_in(m, d);
    vow_manual_unref(m);
}

static void
group_that_fails(struct drop_set *d)
{
    vow_group *g = vow_group_new(NULL);

    vow_group_post(g, NULL, fail_at_once, drop_set_new(d));
    expect_settled(vow_group_submit(g, NULL, succeed, drop_set_new(d)));
    vow_group_cancel(g, vow_error_new(EINTR, "enough"));
    expect_settled(vow_group_join(g));
    vow_group_unref(vow_group_new(NULL));
}

#define ROW(name) {#name, name},

const struct scenario group_scenarios[] = {GROUP_SCENARIOS(ROW){NULL, NULL}};
