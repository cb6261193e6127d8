/* SPDX-License-Identifier: MIT */
/* combine/combine.c - what the combinators share: options, making a join, its errors. */
#include "combine/combine.h"
#include "base/options.h"

#include <assert.h>

/* What the caller knew of when it was compiled; the rest is the default. */
static struct vowi_join_options
read_options(const vow_combine_options *opt, const void *site)
{
    vow_combine_options known;
    struct vowi_join_options join = {.site = site};

    vowi_options_read(&known, sizeof known, opt);
    join.token = known.token;
    if (known.flags & VOW_KEEP_OTHERS)
        join.flags |= VOWI_KEEP_OTHERS;
    if (known.flags & VOW_WAIT)
        join.flags |= VOWI_WAIT;
    return join;
}

struct vowi_join *
vowi_combine_new(const struct vowi_join_kind *kind, size_t own,
                 const vow_combine_options *opt, vow_future *const *fs, size_t n,
                 const void *site)
{
    struct vowi_join_options known = read_options(opt, site);
    struct vowi_join *j = vowi_join_new(kind, n, own, &known);

    for (size_t i = 0; j == NULL && i < n; i++)
        vow_unref(fs[i]);
    return j;
}

vow_future *
vowi_combine(const struct vowi_join_kind *kind, size_t own,
             const vow_combine_options *opt, vow_future *const *fs, size_t n,
             const void *site)
{
    struct vowi_join *j = vowi_combine_new(kind, own, opt, fs, n, site);

    return j != NULL ? vowi_join_start(j, fs) : NULL;
}

/* ---- errors ----------------------------------------------------------------------------- */

static struct vowi_placed *
placed_of(const vow_error *e)
{
    union {
        const vow_error *error;
        struct vowi_placed *placed;
    } cast = {e};

    static_assert(offsetof(struct vowi_placed, error) == 0, "its first member");
    return cast.placed;
}

/* In the place of a NULL future that failed: its address, nothing else. */
static char no_memory_mark;

static vow_future *
no_memory(void)
{
    return (vow_future *)(void *)&no_memory_mark;
}

vow_future *
vowi_failed(vow_future *f)
{
    return f != NULL ? f : no_memory();
}

static void
error_gone(vow_error *e)
{
    struct vowi_placed *p = placed_of(e);

    for (size_t i = 0; p->failed != NULL && i < vowi_join_count(p->join); i++)
        if (p->failed[i] != no_memory())
            vow_unref(p->failed[i]);
    vowi_join_release(p->join);
}

static size_t
error_count(const vow_error *e)
{
    return vowi_join_count(placed_of(e)->join);
}

static const vow_error *
error_at(const vow_error *e, size_t i)
{
    vow_future *f = placed_of(e)->failed[i];

    if (f == NULL)
        return NULL;
    return vow_peek(f == no_memory() ? NULL : f).error;
}

void
vowi_reject_for(struct vowi_join *j, struct vowi_placed *p, size_t i)
{
    static const struct vowi_error_kind kind = {.gone = error_gone};
    vow_view input = vow_peek(vowi_join_inputs(j)[i]);

    vowi_error_place(&p->error, &kind, 0, input.error);
    p->error.position = (int64_t)i + 1;
    p->join = j;
    p->failed = NULL;
    vowi_join_reject(j, &p->error);
}

void
vowi_reject_for_all(struct vowi_join *j, struct vowi_placed *p, vow_future **failed)
{
    static const struct vowi_error_kind kind = {
        .gone = error_gone, .count = error_count, .at = error_at};

    vowi_error_place(&p->error, &kind, VOW_E_AGGREGATE, NULL);
    p->join = j;
    p->failed = failed;
    vowi_join_reject(j, &p->error);
}
