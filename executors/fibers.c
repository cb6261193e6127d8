/* SPDX-License-Identifier: MIT */
/* executors/fibers.c - an executor of fibers: made, joined, destroyed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/options.h"
#include "base/sys.h"
#include "fibers_internal.h"

#define LEAST_STACK   ((size_t)16 << 10)
#define DEFAULT_STACK ((size_t)256 << 10)
#define DEFAULT_KEPT  64

/* ---- its end -------------------------------------------------------------------------------- */

/* The close future has settled, so that the thread is on its way out. */
static void
join(vow_executor *self)
{
    struct vowi_fibers *x = vowi_fibers_of(self);

    vowi_lock_acquire(&x->join_lock);
    if (!x->joined)
        vowi_sys_join(x->exited);
    x->joined = true;
    vowi_lock_release(&x->join_lock);
}

static void
fibers_free(struct vowi_fibers *x)
{
    vowi_fibers_free_idle(x); /* if it never had a thread */
    vowi_lock_fini(&x->join_lock);
    vowi_lock_fini(&x->lock);
    vowi_free_aligned(x, sizeof *x);
}

static void
destroy(vow_executor *self)
{
    struct vowi_fibers *x = vowi_fibers_of(self);

    if (!x->joined && pthread_equal(x->exited, pthread_self()))
        pthread_detach(x->exited); /* nobody joins itself */
    else
        join(self);
    fibers_free(x);
}

/* ---- in a forked child ------------------------------------------------------------------------ */

/* What was queued, and the tasks that had begun, are the parent's. */
static void
forked(vow_executor *self)
{
    struct vowi_fibers *x = vowi_fibers_of(self);

    (void)vowi_lock_inherit(&x->join_lock);
    (void)vowi_lock_inherit(&x->lock);
}

/* ---- its beginning ------------------------------------------------------------------------------ */

static bool
is_current(vow_executor *self)
{
    const struct vowi_fiber *f = vowi_self()->fiber;

    return f != NULL && f->on == self;
}

static const vow_executor_ops ops = {
    .size = sizeof ops,
    .name = "fibers",
    .post = vowi_fibers_post,
    .post_many = vowi_fibers_post_many,
    .is_current = is_current,
    .block_begin = vowi_fibers_block_begin,
    .block_end = vowi_fibers_block_end,
    .close = vowi_fibers_close,
    .join = join,
    .destroy = destroy,
    .forked = forked,
    .queued = vowi_fibers_queued,
};

static bool
are_valid(const vow_fibers_options *opt)
{
    return opt->stack_size == 0 ||
           (opt->stack_size >= LEAST_STACK && vowi_stack_size(opt->stack_size) != 0);
}

static void
configure(struct vowi_fibers *x, const vow_fibers_options *opt)
{
    size_t room = opt->stack_size != 0 ? opt->stack_size : DEFAULT_STACK;

    x->stack_size = vowi_stack_size(room + sizeof(struct vowi_fiber));
    x->most = opt->most;
    x->kept_stacks = opt->kept_stacks != 0 ? opt->kept_stacks : DEFAULT_KEPT;
    x->forks = vowi_globals.forks;
    x->woken_end = &x->woken;
    snprintf(x->name, sizeof x->name, "%.15s", opt->name != NULL ? opt->name : "fibers");
}

/* All but the thread; NULL without memory, and then nothing is left. */
static struct vowi_fibers *
prepare(const vow_fibers_options *opt)
{
    struct vowi_fibers *x = vowi_alloc_aligned(sizeof *x, VOWI_CACHE_LINE);

    if (x == NULL)
        return NULL;
    memset(x, 0, sizeof *x);
    configure(x, opt);
    if (vowi_lock_init(&x->lock, VOWI_RANK_FIBERS) != 0)
        goto free_memory;
    if (vowi_lock_init(&x->join_lock, VOWI_RANK_JOIN) != 0)
        goto fini_lock;
    if (!vowi_fibers_has_idle(x))
        goto fini_join_lock;
    if (vow_executor_init(&x->executor, &ops) != 0)
        goto free_stack;
    return x;

free_stack:
    vowi_fibers_free_idle(x);
fini_join_lock:
    vowi_lock_fini(&x->join_lock);
fini_lock:
    vowi_lock_fini(&x->lock);
free_memory:
    vowi_free_aligned(x, sizeof *x);
    return NULL;
}

/* Returns 0 or an errno value. */
static int
fibers_new(const vow_fibers_options *opt, struct vowi_fibers **x)
{
    int rc;

    if (!vowi_stack_is_supported())
        return ENOTSUP;
    if (!are_valid(opt))
        return EINVAL;
    *x = prepare(opt);
    if (*x == NULL)
        return ENOMEM;
    rc = vowi_fibers_start(*x);
    if (rc == 0)
        return 0;
    (*x)->joined = true; /* there was never a thread */
    vow_executor_finished(&(*x)->executor);
    vow_executor_unref(&(*x)->executor);
    return rc;
}

vow_executor *
vow_fibers_new(const vow_fibers_options *opt)
{
    vow_fibers_options known;
    struct vowi_fibers *x = NULL;
    int rc;

    vowi_options_read(&known, sizeof known, opt);
    rc = fibers_new(&known, &x);
    if (rc == 0)
        return &x->executor;
    errno = rc;
    return NULL;
}
