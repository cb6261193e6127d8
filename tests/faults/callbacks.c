/* SPDX-License-Identifier: MIT */
/* Scenarios for tickets: whatever fails, a result is the future's or is dropped. */
#include "vow_test.h"

#include <errno.h>

#include <vow/vow.h>

#include "drops.h"
#include "system.h"

static void
tickets_of_callbacks(struct drop_set *d)
{
    vow_future *f[20];
    void *user[20];

    for (int i = 0; i < 20; i++)
        user[i] = vow_callback_new(&f[i], NULL);
    for (int i = 0; i < 19; i++)
        vow_callback_settle(user[i], i % 3 == 0 ? EIO : 0, drop_set_new(d));
    vow_callback_fulfill(user[0], drop_set_new(d)); /* again */
    vow_callback_drop(user[19]);
    for (int i = 0; i < 20; i++) {
        assert_int_not_equal(vow_future_status(f[i]), VOW_PENDING);
        vow_ignore(f[i]);
    }
    assert_null(vow_callback_of(NULL, NULL));
}

#define ROW(name) {#name, name},

const struct scenario callback_scenarios[] = {CALLBACK_SCENARIOS(ROW){NULL, NULL}};
