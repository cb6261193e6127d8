/* SPDX-License-Identifier: MIT */
/*
 * base/error_place.c - errors that lie in another object's block, and say which of its
 * parts failed. So that object can fail without allocating.
 */
#include "base/error.h"

#include <string.h>

void
vowi_error_place(vow_error *e, const struct vowi_error_kind *kind, int code,
                 const vow_error *cause)
{
    const vow_error *like = cause != NULL ? cause : vow_error_of(code);

    memset(e, 0, sizeof *e);
    vowi_store_relaxed(&e->refs, 1); /* relaxed: nobody else knows it */
    e->code = like->code;
    e->size = sizeof *e; /* it is not built in */
    e->where = like->where;
    e->cause = vow_error_ref(cause);
    e->message = like->message;
    e->kind = kind;
    e->retry_after = VOWI_NO_HINT;
}

int64_t
vow_error_index(const vow_error *e)
{
    while (e != NULL && e->position == 0)
        e = e->cause;
    return e != NULL ? e->position - 1 : -1;
}

size_t
vow_error_count(const vow_error *e)
{
    return e != NULL && e->kind != NULL && e->kind->count != NULL ? e->kind->count(e) : 0;
}

const vow_error *
vow_error_at(const vow_error *e, size_t i)
{
    return i < vow_error_count(e) ? e->kind->at(e, i) : NULL;
}
