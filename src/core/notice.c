/* SPDX-License-Identifier: MIT */
/*
 * core/notice.c - being told at once that a future has settled.
 *
 * A notice hangs on a state like a blocked reader does (core/wait.c): its owner's
 * storage, no reference, no look at the outcome. It is called by the settling thread
 * while that delivers, and not from its trampoline: whoever waits shall not wait for
 * the end of the step that settled.
 */
#include "core/notice.h"

#include <assert.h>

#include "core/refs.h"
#include "core/state.h"
#include "core/word.h"

static_assert(_Alignof(vow_notice) >= 16, "a node");

static void
run_notice(vow_task *task, int why)
{
    vow_notice *notice = vowi_container_of(task, vow_notice, task);

    (void)why;
    notice->settled(notice);
}

bool
vowi_is_notice(const struct vowi_node *n)
{
    return n->run == run_notice;
}

static union vowi_task *
task_of(struct vowi_node *n)
{
    return vowi_container_of(n, union vowi_task, node);
}

void
vowi_call_notice(struct vowi_node *n)
{
    run_notice(&task_of(n)->task, 0);
}

struct vowi_node *
vowi_notice_node(vow_notice *notice)
{
    return &vowi_container_of(&notice->task, union vowi_task, task)->node;
}

bool
vow_notice_attach(vow_future *f, vow_notice *notice)
{
    struct vowi_node *n = vowi_notice_node(notice);

    if (f == NULL)
        return false;
    n->run = run_notice;
    vowi_node_clear(n);
    return vowi_attach(vowi_state(f), n);
}

bool
vow_notice_detach(vow_future *f, vow_notice *notice)
{
    return f != NULL && vowi_detach_node(vowi_state(f), vowi_notice_node(notice));
}
