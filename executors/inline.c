/* SPDX-License-Identifier: MIT */
/*
 * executors/inline.c - no place of its own: the thread that settles, or the caller.
 *
 * The library reads this executor as NULL and runs its work on the trampoline of
 * the thread. What is posted to it by hand goes the same way.
 */
#include <vow/executor.h>

static int
post(vow_executor *self, vow_task *task)
{
    (void)self;
    return vow_post_task(NULL, task);
}

static const vow_executor_ops ops = {
    .size = sizeof ops,
    .name = "inline",
    .post = post,
};

vow_executor vowi_inline_executor = {&ops, NULL};

vow_executor *
vow_inline(void)
{
    return &vowi_inline_executor;
}
