/* SPDX-License-Identifier: MIT */
/* core/call.c - user code in a frame of its own. */
#include "core/call.h"

#include "base/error.h"
#include "base/mark.h"
#include "core/executor.h"
#include "core/frame.h"
#include "core/result.h"
#include "core/trampoline.h"

static void
thread_exits_in_call(void *arg)
{
    struct vowi_call *c = arg;
    vow_result r;

    vowi_frame_exited();
    r = vow_err(vowi_thread_exit_error());
    c->ended(c, &r);
    vowi_leave_exiting(vowi_self());
}

static void
call(struct vowi_thread *t, struct vowi_call *c, vow_result *r)
{
    struct vowi_frame frame;

    VOWI_BARE_CODE(t, frame, c->token, *r = c->call(c), thread_exits_in_call, c);
}

/* Leaves one member. */
static void
tidy(vow_result *r)
{
    vow_result rest = *r;

    r->value = VOW_NIL;
    if (r->follow != NULL)
        r->error = NULL;
    else
        rest.error = NULL;
    rest.follow = NULL;
    vow_result_drop(rest);
}

void
vowi_call(struct vowi_call *c)
{
    struct vowi_thread *t = vowi_self();
    bool outermost = vowi_enter(t);
    vow_result r;

    call(t, c, &r);
    if (vowi_marks_turn(&r))
        r = vow_err(vow_error_of(VOW_E_INVALID));
    else if (r.follow != NULL || r.error != NULL)
        tidy(&r);
    c->ended(c, &r);
    vowi_leave(t, outermost);
}

bool
vowi_call_forwards(const vow_result *r, vow_value in, bool owned)
{
    if (r->value.drop == vowi_is_forward)
        return true;
    return owned && r->value.drop == NULL && r->value.as.u64 == in.as.u64;
}

vow_token *
vowi_call_token(vow_executor *on, vow_token *parent)
{
    vow_token *parents[] = {parent, vowi_executor_stopping(on)};

    if (parents[1] == NULL)
        return vow_token_ref(parent);
    return vow_token_any(parents, 2);
}

bool
vowi_settling_begin(void)
{
    return vowi_enter(vowi_self());
}

void
vowi_settling_end(bool outermost)
{
    vowi_leave(vowi_self(), outermost);
}
