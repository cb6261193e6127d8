/* SPDX-License-Identifier: MIT */
/*
 * executors/pool.c - a pool's life: made, closed, destroyed, asked.
 *
 * The protocol is in pool_internal.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/options.h"
#include "base/sys.h"
#include "base/warn.h"
#include "pool_internal.h"

#define MAX_THREADS    1024
#define DEFAULT_SPARES 64

static struct vowi_pool *
pool_of(vow_executor *self)
{
    return vowi_container_of(self, struct vowi_pool, executor);
}

/* ---- closing ------------------------------------------------------------------------------------ */

static vow_task *
take_any(struct vowi_pool *p)
{
    unsigned count = vowi_load_acquire(&p->count); /* [workers] */
    vow_task *task = vowi_pool_take_injected(p, NULL);

    if (task == NULL)
        task = vowi_level_take_any(p);
    for (unsigned i = 0; task == NULL && i < count; i++)
        task = vowi_deque_steal(&p->workers[i]->deque);
    return task;
}

/* In a child of a task that forks what is left is the parent's. */
void
vowi_pool_cancel_queued(struct vowi_pool *p)
{
    unsigned forks = vowi_globals.forks;
    vow_task *task;

    while (forks == vowi_globals.forks && (task = take_any(p)) != NULL)
        task->run(task, VOW_E_CLOSED);
}

static void
end_if_done(struct vowi_pool *p)
{
    vowi_lock_acquire(&p->lock);
    p->closing = true;
    vowi_pool_end_if_done_locked(p);
    vowi_lock_release(&p->lock);
}

/* On the stack of who closes it. */
struct closing {
    struct vowi_pool *p;
    unsigned forks; /* before it: in a child it has no threads that could be done */
};

/* What it ends may end the thread: the others end all the same. */
static void
cancel_and_end(void *closing)
{
    const struct closing *c = closing;

    pthread_cleanup_push(cancel_and_end, closing);
    vowi_pool_cancel_queued(c->p);
    pthread_cleanup_pop(0);
    if (c->forks == vowi_globals.forks)
        end_if_done(c->p);
}

static void
pool_close(vow_executor *self, vow_close_mode mode)
{
    struct vowi_pool *p = pool_of(self);
    struct closing c = {p, vowi_globals.forks};

    if (mode == VOW_CANCEL_QUEUED) {
        vowi_store_relaxed(&p->cancelling, true); /* relaxed: it may take a while */
        /* relaxed: it carries on what posts released; who is refused acquires nothing */
        vowi_or_relaxed(&p->inbox, VOWI_INBOX_CLOSED | VOWI_INBOX_ENDED);
        vowi_bound_turn_away(p);
        cancel_and_end(&c);
    } else {
        vowi_or_relaxed(&p->inbox, VOWI_INBOX_CLOSED); /* relaxed: likewise */
        vowi_bound_turn_away(p);
        end_if_done(p);
    }
}

/* The close future has settled, so that the last thread is on its way out. */
static void
join(vow_executor *self)
{
    struct vowi_pool *p = pool_of(self);

    vowi_lock_acquire(&p->join_lock);
    if (!p->joined)
        vowi_sys_join(p->exited);
    p->joined = true;
    vowi_lock_release(&p->join_lock);
}

static void
pool_free(struct vowi_pool *p)
{
    unsigned count = vowi_load_relaxed(&p->count); /* relaxed: nobody else is left */

    for (unsigned i = 0; i < count; i++)
        vowi_worker_free(p->workers[i]);
    vowi_free_aligned(p->workers, p->slots * sizeof *p->workers);
    vowi_lock_fini(&p->join_lock);
    vowi_lock_fini(&p->level_lock);
    vowi_lock_fini(&p->inject_lock);
    vowi_lock_fini(&p->lock);
    vowi_free_aligned(p, sizeof *p);
}

static void
destroy(vow_executor *self)
{
    struct vowi_pool *p = pool_of(self);

    if (!p->joined && pthread_equal(p->exited, pthread_self()))
        pthread_detach(p->exited); /* the last worker out: nobody joins itself */
    else
        join(self);
    pool_free(p);
}

/* ---- making ---------------------------------------------------------------------------------------- */

static bool
is_current(vow_executor *self)
{
    return vowi_pool_worker(pool_of(self)) != NULL;
}

static const vow_executor_ops pool_ops = {
    .size = sizeof pool_ops,
    .name = "pool",
    .post = vowi_pool_post,
    .post_many = vowi_pool_post_many,
    .is_current = is_current,
    .help = vowi_pool_help,
    .block_begin = vowi_pool_block_begin,
    .block_end = vowi_pool_block_end,
    .close = pool_close,
    .join = join,
    .destroy = destroy,
    .caller_runs = vowi_pool_caller_runs,
    .forked = vowi_pool_forked,
    .revive = vowi_pool_revive,
    .queued = vowi_pool_queued,
    .offer = vowi_pool_offer,
    .retract = vowi_pool_retract,
};

/* What the caller's struct has; the rest, which it does not know of, is zero. */
static vow_pool_options
known_options(const vow_pool_options *opt)
{
    vow_pool_options known;

    vowi_options_read(&known, sizeof known, opt);
    return known;
}

static bool
are_valid(const vow_pool_options *opt)
{
    return opt->threads <= MAX_THREADS && opt->spares <= MAX_THREADS &&
           opt->when_full <= VOW_FULL_DROP_OLDEST;
}

/* One for each CPU that it may use. */
static unsigned
default_threads(const struct vowi_cpus *cpus)
{
    unsigned usable = vow_cpu_count(), named = vowi_cpus_count(cpus);

    return named != 0 && named < usable ? named : usable;
}

static void
configure(struct vowi_pool *p, const vow_pool_options *opt)
{
    p->threads = opt->threads != 0 ? opt->threads : default_threads(&p->cpus);
    p->spares = opt->spares != 0 ? opt->spares : DEFAULT_SPARES;
    p->slots = p->threads + p->spares;
    p->limit = opt->queue_limit;
    p->when_full = opt->when_full;
    p->posters_end = &p->posters;
    p->stack_size = opt->stack_size;
    p->on_start = opt->on_start;
    p->on_stop = opt->on_stop;
    p->hook_ctx = opt->hook_ctx;
    snprintf(p->name, sizeof p->name, "%.10s", opt->name != NULL ? opt->name : "vow");
}

/* All but the threads. On failure errno says why and nothing is left. */
static struct vowi_pool *
pool_prepare(const vow_pool_options *opt, const struct vowi_cpus *cpus)
{
    struct vowi_pool *p = vowi_alloc_aligned(sizeof *p, VOWI_CACHE_LINE);
    size_t size;

    if (p == NULL)
        return NULL;
    memset(p, 0, sizeof *p);
    p->cpus = *cpus;
    configure(p, opt);
    size = p->slots * sizeof *p->workers;
    if (vowi_lock_init(&p->lock, VOWI_RANK_POOL) != 0)
        goto free_pool;
    if (vowi_lock_init(&p->inject_lock, VOWI_RANK_INJECT) != 0)
        goto fini_lock;
    if (vowi_lock_init(&p->level_lock, VOWI_RANK_LEVELS) != 0)
        goto fini_inject_lock;
    if (vowi_lock_init(&p->join_lock, VOWI_RANK_JOIN) != 0)
        goto fini_level_lock;
    p->workers = vowi_alloc_aligned(size, 16);
    if (p->workers == NULL)
        goto fini_join_lock;
    return p;

fini_join_lock:
    vowi_lock_fini(&p->join_lock);
fini_level_lock:
    vowi_lock_fini(&p->level_lock);
fini_inject_lock:
    vowi_lock_fini(&p->inject_lock);
fini_lock:
    vowi_lock_fini(&p->lock);
free_pool:
    vowi_free_aligned(p, sizeof *p);
    return NULL;
}

/* One thread less than was asked for; those that run read it under the lock. */
static void
lower_threads(struct vowi_pool *p)
{
    vowi_lock_acquire(&p->lock);
    p->threads--;
    vowi_lock_release(&p->lock);
}

int
vowi_pool_start(struct vowi_pool *p)
{
    unsigned wanted = p->threads, started;
    int rc = 0;

    p->live = wanted;
    p->awake = wanted;
    for (unsigned i = 0; i < wanted; i++) {
        int one = vowi_pool_start_worker(p, false);

        if (one != 0) {
            rc = one;
            lower_threads(p);
        }
    }
    p->why_fewer = rc;
    started = vowi_load_relaxed(&p->count); /* relaxed: ours so far */
    return started != 0 ? 0 : rc;
}

void
vowi_pool_warn_of_fewer(const struct vowi_pool *p)
{
    if (p->why_fewer != 0)
        vowi_warn(p->why_fewer, "pool %s works with %u threads instead of %u", p->name,
                  p->threads, p->slots - p->spares);
}

/* Warns of nothing, so that it can be called under a lock. */
static vow_executor *
pool_new(const vow_pool_options *opt)
{
    vow_pool_options known = known_options(opt);
    struct vowi_cpus cpus;
    struct vowi_pool *p;
    int rc;

    if (!are_valid(&known) || !vowi_cpus_parse(known.affinity, &cpus)) {
        errno = EINVAL;
        return NULL;
    }
    p = pool_prepare(&known, &cpus);
    if (p == NULL || vow_executor_init(&p->executor, &pool_ops) != 0) {
        if (p != NULL)
            pool_free(p);
        errno = ENOMEM;
        return NULL;
    }
    rc = vowi_pool_start(p);
    if (rc == 0)
        return &p->executor;
    p->joined = true; /* there was never a thread */
    vow_executor_finished(&p->executor);
    vow_executor_unref(&p->executor);
    errno = rc;
    return NULL;
}

vow_executor *
vow_pool_new(const vow_pool_options *opt)
{
    vow_executor *pool = pool_new(opt);

    if (pool != NULL)
        vowi_pool_warn_of_fewer(pool_of(pool));
    return pool;
}

/* ---- asking ------------------------------------------------------------------------------------------ */

unsigned
vow_pool_threads(const vow_executor *pool)
{
    if (pool == NULL || pool->ops != &pool_ops)
        return 0;
    return pool_of(vow_ptr(pool).as.ptr)->threads;
}

/* relaxed: statistics. */
int
vow_pool_read_stats(const vow_executor *pool, vow_pool_stats *stats)
{
    vow_pool_stats now = {.size = sizeof now};
    struct vowi_pool *p;
    unsigned count;

    if (pool == NULL || pool->ops != &pool_ops)
        return VOW_E_INVALID;
    p = pool_of(vow_ptr(pool).as.ptr);
    count = vowi_load_acquire(&p->count); /* [workers] */
    for (unsigned i = 0; i < count; i++) {
        struct vowi_worker *w = p->workers[i];

        now.tasks += vowi_load_relaxed(&w->tasks);
        now.steals += vowi_load_relaxed(&w->steals);
        now.wakes_for_nothing += vowi_load_relaxed(&w->wakes_for_nothing);
        now.helped += vowi_load_relaxed(&w->helped);
    }
    now.wakes = vowi_load_relaxed(&p->wakes);
    now.spares = vowi_load_relaxed(&p->spares_started);
    vowi_options_write(stats, &now, sizeof now);
    return 0;
}

/* Who made it warns, when others can have it: the user's hook may use it. */
vow_executor *
vow_default_pool(void)
{
    static vow_executor *pool; /* guarded by VOWI_GLOBAL_DEFAULT_POOL */
    vow_executor *its, *made = NULL;

    vowi_global_lock(VOWI_GLOBAL_DEFAULT_POOL);
    if (pool == NULL)
        pool = made = pool_new(NULL);
    its = pool;
    vowi_global_unlock(VOWI_GLOBAL_DEFAULT_POOL);
    if (made != NULL)
        vowi_pool_warn_of_fewer(pool_of(made));
    return its;
}
