/* SPDX-License-Identifier: MIT */
/* core/result.c - what a step returns, and storing it. */
#include "core/result.h"

#include <stdarg.h>

#include "base/error.h"
#include "base/mark.h"
#include "core/follow.h"
#include "core/refs.h"
#include "core/settle.h"

void
vowi_is_forward(void *unused)
{
    (void)unused;
}

vow_result
vow_err(vow_error *e)
{
    vow_result r = vow_ok(VOW_NIL);

    r.error = e != NULL ? e : vow_error_of(VOW_E_NOMEM);
    return r;
}

vow_result
vow_fail_at(const char *where, int code, const char *format, ...)
{
    va_list args;
    vow_error *e;

    va_start(args, format);
    e = vowi_error_vnew(where, NULL, code, format, args);
    va_end(args);
    return vow_err(e);
}

vow_result
vow_follow(vow_future *f)
{
    vow_result r = vow_ok(VOW_NIL);

    if (f == NULL)
        return vow_err(NULL);
    r.follow = f;
    return r;
}

vow_result
vow_forward(void)
{
    return vow_ok(vow_own(NULL, vowi_is_forward));
}

void
vow_result_drop(vow_result r)
{
    vow_value_drop(r.value);
    vow_error_unref(r.error);
    vow_unref(r.follow);
}

/* Whether a step gave back the value that it was lent: not its own to free. */
static bool
is_lent_input(struct vow_state *source, vow_value v)
{
    const vow_value *in = &vowi_root(source)->outcome.as.value;

    return v.drop == NULL && in->drop != NULL && v.as.u64 == in->as.u64 &&
           vowi_error_in(source) == NULL;
}

/* What is no value but says what to do. */
static inline bool
is_mark(vow_drop_fn *drop)
{
    return drop != NULL && (drop == vowi_is_forward || drop == vowi_wants_turn);
}

/* Only a step has something to forward, and only a task may want another turn. */
static void
obey(struct vow_state *s, struct vow_state *source, vow_drop_fn *mark)
{
    if (mark == vowi_is_forward && source != NULL)
        vowi_pass_through(source, s);
    else
        vowi_set_error(s, vow_error_of(VOW_E_INVALID));
}

void
vowi_store_other_result(struct vow_state *s, struct vow_state *source, vow_value v,
                        vow_error *e)
{
    if (vowi_unlikely(e != NULL)) {
        vow_value_drop(v);
        vowi_set_error(s, e);
    } else if (is_mark(v.drop)) {
        obey(s, source, v.drop);
    } else if (source != NULL && is_lent_input(source, v)) {
        vowi_pass_through(source, s);
    } else {
        vowi_set_value(s, v);
    }
}

void
vowi_finish_following(struct vowi_thread *t, struct vow_state *s, vow_value v,
                      vow_error *e, vow_future *follow)
{
    vow_value_drop(v);
    vow_error_unref(e);
    vowi_follow(t, s, vowi_state(follow));
}
