/* SPDX-License-Identifier: MIT */
/* Scenarios for channels: whatever fails, each value is received or dropped, once. */
#include "vow_test.h"

#include <vow/vow.h>

#include "drops.h"
#include "system.h"

static void
channel_with_room(struct drop_set *d)
{
    vow_channel *c = vow_channel_new(1);
    vow_future *f[6];

    for (int i = 0; i < 3; i++)
        f[i] = vow_channel_send(c, drop_set_new(d));
    for (int i = 3; i < 6; i++)
        f[i] = vow_channel_receive(c);
    vow_channel_unref(c);
    for (int i = 0; i < 6; i++) {
        assert_int_not_equal(vow_future_status(f[i]), VOW_PENDING);
        vow_ignore(f[i]);
    }
}

static void
selecting(struct drop_set *d)
{
    vow_channel *a = vow_channel_new(0), *b = vow_channel_new(1);
    const vow_case cases[] = {VOW_CASE_SEND(a, drop_set_new(d)), VOW_CASE_RECEIVE(b)};
    vow_future *f = vow_select(cases, 2);
    vow_future *g = vow_channel_send(b, drop_set_new(d));

    vow_channel_unref(a);
    vow_channel_unref(b);
    vow_future_cancel(f, NULL); /* a case of NULL, for want of memory, never happens */
    vow_ignore(f);
    vow_ignore(g);
}

#define ROW(name) {#name, name},

const struct scenario channel_scenarios[] = {CHANNEL_SCENARIOS(ROW){NULL, NULL}};
