/* SPDX-License-Identifier: MIT */
/* Scenarios for forks: whatever fails, both functions run, here or there. */
#include "vow_test.h"

#include <vow/vow.h>

#include "system.h"

enum { DEPTH = 300 };

struct forks {
    vow_executor *pool;
    int left, done;
};

static vow_error *
note(void *forks)
{
    ((struct forks *)forks)->done++;
    return NULL;
}

static vow_error *
go_deeper(void *forks)
{
    struct forks *f = forks;

    if (f->left-- == 0)
        return NULL;
    return vow_fork_join(f->pool, go_deeper, f, note, f);
}

/* One thread, so that what they count is one thread's. */
static void
forks_on_a_pool(struct drop_set *d)
{
    struct forks f = {.left = DEPTH};

    (void)d;
    f.pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    assert_null(go_deeper(&f));
    assert_int_equal(f.done, DEPTH);
    vow_unref(vow_executor_close(f.pool, VOW_DRAIN));
    vow_executor_join(f.pool);
    vow_executor_unref(f.pool);
}

#define ROW(name) {#name, name},

const struct scenario fork_join_scenarios[] = {FORK_JOIN_SCENARIOS(ROW){NULL, NULL}};
