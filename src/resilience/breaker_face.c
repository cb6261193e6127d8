/* SPDX-License-Identifier: MIT */
/* resilience/breaker_face.c - a circuit breaker as its users see it. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/options.h"
#include "base/time.h"
#include "base/warn.h"
#include "core/caller.h"
#include "resilience/breaker_internal.h"
#include "resilience/call.h"

#define MOST_CALLS  65536
#define MOST_PROBES 1024

/* ---- telling of changes ----------------------------------------------------------------- */

static vow_breaker *
breaker_of(vow_task *task)
{
    return vowi_container_of(task, vow_breaker, tell);
}

/* Takes the oldest change that nobody was told of. */
static bool
take_change(vow_breaker *b, vow_breaker_state *from, vow_breaker_state *to)
{
    bool taken;

    vowi_lock_acquire(&b->lock);
    taken = b->untold != 0;
    if (taken) {
        *from = b->changes[0].from;
        *to = b->changes[0].to;
        b->untold--;
        memmove(&b->changes[0], &b->changes[1], b->untold * sizeof b->changes[0]);
    } else {
        b->telling = false;
    }
    vowi_lock_release(&b->lock);
    return taken;
}

/* The thread exits inside on_change: what it was not told of, it is with the next change. */
static void
has_exited(void *breaker)
{
    vow_breaker *b = breaker;

    vowi_lock_acquire(&b->lock);
    b->telling = false;
    vowi_lock_release(&b->lock);
    vow_breaker_unref(b);
}

static void
tell(vow_task *task, int why)
{
    vow_breaker *b = breaker_of(task);
    vow_breaker_state from, to;

    (void)why;
    pthread_cleanup_push(has_exited, b);
    while (take_change(b, &from, &to))
        b->options.on_change(b, from, to, b->options.on_change_ctx);
    pthread_cleanup_pop(0);
    vow_breaker_unref(b);
}

/* Releases the lock, then lets the trampoline tell of what changed under it. */
static void
release_and_tell(vow_breaker *b)
{
    bool tells = b->untold != 0 && !b->telling;

    if (tells)
        b->telling = true;
    vowi_lock_release(&b->lock);
    if (!tells)
        return;
    memset(&b->tell, 0, sizeof b->tell);
    b->tell.run = tell;
    vow_breaker_ref(b);
    if (vow_post_task(NULL, &b->tell) != 0)
        vowi_fatal("the inline executor refused a task");
}

/* ---- making one --------------------------------------------------------------------------- */

static vow_ns
now_of(const vow_breaker *b)
{
    return vowi_now_on(b->options.clock);
}

static bool
is_share(double x)
{
    return x >= 0 && x <= 1;
}

static bool
make_sense(const vow_breaker_options *o)
{
    return is_share(o->failure_rate) && is_share(o->slow_rate) &&
           (o->open_jitter < 0 || is_share(o->open_jitter)) && o->open_factor >= 1 &&
           o->window_time >= 0 && o->slow_after >= 0 && o->open_for > 0 &&
           o->open_max >= o->open_for && o->probe_timeout > 0 &&
           o->window_calls <= MOST_CALLS && o->probes <= MOST_PROBES &&
           (o->window_time > 0 || o->min_calls <= o->window_calls);
}

/* What is 0 becomes its default. */
#define OR(field, value)                                                                 \
    do {                                                                                 \
        if (o->field == 0)                                                               \
            o->field = (value);                                                          \
    } while (0)

static void
fill_defaults(vow_breaker_options *o)
{
    OR(window_calls, 100);
    OR(min_calls, o->window_time == 0 && o->window_calls < 10 ? o->window_calls : 10);
    if (!(o->failure_rate < 0 || o->failure_rate > 0))
        o->failure_rate = 0.5;
    if (!(o->slow_rate < 0 || o->slow_rate > 0))
        o->slow_rate = 1;
    OR(open_for, vow_seconds(5));
    if (!(o->open_factor < 0 || o->open_factor > 0))
        o->open_factor = 2;
    OR(open_max, o->open_for > vow_seconds(60) ? o->open_for : vow_seconds(60));
    if (!(o->open_jitter < 0 || o->open_jitter > 0))
        o->open_jitter = 0.1;
    OR(probes, 1);
    OR(probe_results, o->probes);
    OR(probe_timeout, o->open_for);
}

#undef OR

static bool
init(vow_breaker *b)
{
    const vow_breaker_options *o = &b->options;

    vowi_refs_init(&b->refs);
    b->random.state = o->seed != 0 ? o->seed : vowi_random_seed(b);
    if (vowi_kept_init(&b->at_fork, &b->lock, VOWI_RANK_BREAKER) != 0)
        return false;
    b->probes = vowi_alloc(o->probes * sizeof *b->probes);
    if (b->probes == NULL)
        goto fini_lock;
    memset(b->probes, 0, o->probes * sizeof *b->probes);
    if (!vowi_window_init(&b->window, o->window_calls, o->window_time))
        goto free_probes;
    return true;

free_probes:
    vowi_free(b->probes, o->probes * sizeof *b->probes);
fini_lock:
    vowi_kept_fini(&b->at_fork);
    return false;
}

vow_breaker *
vow_breaker_new(const vow_breaker_options *opt)
{
    vow_breaker_options o;
    vow_breaker *b;

    vowi_options_read(&o, sizeof o, opt);
    fill_defaults(&o);
    if (!make_sense(&o)) {
        errno = EINVAL;
        return NULL;
    }
    b = vowi_alloc(sizeof *b);
    if (b != NULL) {
        memset(b, 0, sizeof *b);
        b->options = o;
        if (init(b))
            return b;
        vowi_free(b, sizeof *b);
    }
    errno = ENOMEM;
    return NULL;
}

vow_breaker *
vow_breaker_ref(vow_breaker *b)
{
    if (b != NULL)
        vowi_refs_take(&b->refs);
    return b;
}

void
vow_breaker_unref(vow_breaker *b)
{
    if (b == NULL || !vowi_refs_drop(&b->refs))
        return;
    vowi_window_fini(&b->window);
    vowi_free(b->probes, b->options.probes * sizeof *b->probes);
    vowi_kept_fini(&b->at_fork);
    vowi_free(b, sizeof *b);
}

/* ---- permits -------------------------------------------------------------------------------- */

int
vow_breaker_acquire(vow_breaker *b, vow_permit *permit)
{
    bool admitted;
    vow_ns now;

    memset(permit, 0, sizeof *permit);
    if (b == NULL)
        return 0;
    now = now_of(b);
    vowi_lock_acquire(&b->lock);
    admitted = vowi_breaker_admit_locked(b, now, permit);
    release_and_tell(b);
    return admitted ? 0 : VOW_E_OPEN;
}

void
vow_breaker_report(vow_breaker *b, const vow_permit *permit, vow_outcome outcome)
{
    vow_ns now;

    if (b == NULL)
        return;
    now = now_of(b);
    vowi_lock_acquire(&b->lock);
    vowi_breaker_record_locked(b, permit, now, outcome);
    release_and_tell(b);
}

/* ---- calls ---------------------------------------------------------------------------------- */

struct breaker_call {
    struct vowi_call call;
    vow_breaker *b;
    vow_permit permit;
};

/* What says nothing about the callee: it was not asked, or was not let finish. */
static bool
is_of_ours(int code)
{
    switch (code) {
    case VOW_E_CANCELLED:
    case VOW_E_LIMIT:
    case VOW_E_OPEN:
    case VOW_E_CLOSED:
    case VOW_E_NOMEM:
    case VOW_E_FORKED:
        return true;
    default:
        return false;
    }
}

static vow_outcome
outcome_of(const vow_breaker *b, const vow_error *error)
{
    const vow_breaker_options *o = &b->options;

    if (error == NULL)
        return VOW_OUTCOME_SUCCESS;
    if (o->is_failure != NULL && o->is_failure(error, o->is_failure_ctx))
        return VOW_OUTCOME_FAILURE;
    if (o->is_failure == NULL && o->classes != NULL)
        return vow_classify(o->classes, error) == VOW_CLASS_IGNORE ? VOW_OUTCOME_CANCELLED
                                                                   : VOW_OUTCOME_FAILURE;
    if (is_of_ours(vow_error_code(error)))
        return VOW_OUTCOME_CANCELLED;
    return o->is_failure != NULL ? VOW_OUTCOME_SUCCESS : VOW_OUTCOME_FAILURE;
}

static void
call_begins(struct vowi_call *call)
{
    struct breaker_call *c = (struct breaker_call *)call;

    c->permit.admitted = now_of(c->b);
}

static void
call_ends(struct vowi_call *call, const vow_view *how)
{
    struct breaker_call *c = (struct breaker_call *)call;

    vow_breaker_report(c->b, &c->permit,
                       how != NULL ? outcome_of(c->b, how->error)
                                   : VOW_OUTCOME_CANCELLED);
    vow_breaker_unref(c->b);
}

static const struct vowi_call_kind breaker_call_kind = {
    .size = sizeof(struct breaker_call),
    .begin = call_begins,
    .end = call_ends,
};

vow_future *
vowi_breaker_refuse(vow_breaker *b, const void *site)
{
    vow_ns left = vow_breaker_open_remaining(b);
    const char *name = b->options.name != NULL ? b->options.name : "the breaker";
    vow_error *e;

    if (left == VOW_FOREVER)
        e = vow_error_new_at(NULL, VOW_E_OPEN, "%s is open until vow_breaker_reset",
                             name);
    else if (left == 0)
        e = vow_error_new_at(NULL, VOW_E_OPEN,
                             "%s is half open: a call may try when a probe has ended",
                             name);
    else
        e = vow_error_new_at(NULL, VOW_E_OPEN,
                             "%s is open: the next call may try in %lld ms", name,
                             (long long)(left / 1000000));
    return vowi_rejected_at(vow_error_retry(e, left), site);
}

/* Makes a call of leave that was given; without memory gives it back. */
static struct breaker_call *
call_new(vow_breaker *b, const vow_permit *permit, vow_task_fn *fn, vow_value ctx)
{
    struct breaker_call *c = vowi_alloc(sizeof *c);

    if (c == NULL) {
        vow_breaker_report(b, permit, VOW_OUTCOME_CANCELLED);
        vow_value_drop(ctx);
        return NULL;
    }
    vowi_call_init(&c->call, &breaker_call_kind, fn, ctx);
    c->b = vow_breaker_ref(b);
    c->permit = *permit;
    return c;
}

vow_future *
vowi_breaker_watch(vow_breaker *b, const vow_permit *permit, vow_future *f)
{
    struct breaker_call *c;

    if (vowi_has_value(f)) {
        vow_breaker_report(b, permit, VOW_OUTCOME_SUCCESS);
        return f;
    }
    c = call_new(b, permit, NULL, VOW_NIL);
    if (c != NULL)
        return vowi_call_behind(&c->call, f);
    vow_unref(f);
    return NULL;
}

static vow_future *
call(vow_breaker *b, vow_executor *on, vow_task_fn *fn, vow_value ctx, const void *site)
{
    struct breaker_call *c;
    vow_permit permit;

    if (vow_breaker_acquire(b, &permit) != 0) {
        vow_value_drop(ctx);
        return vowi_breaker_refuse(b, site);
    }
    c = call_new(b, &permit, fn, ctx);
    return c != NULL ? vowi_call_submit(&c->call, on, site) : NULL;
}

/* on_change, or the drop of a context, may give up the last handle. */
vow_future *
vow_breaker_call(vow_breaker *b, vow_executor *on, vow_task_fn *fn, vow_value ctx)
{
    const void *site = __builtin_return_address(0);
    vow_future *f;

    if (b == NULL)
        return vowi_submit_at(on, fn, ctx, site);
    vow_breaker_ref(b);
    f = call(b, on, fn, ctx, site);
    vow_breaker_unref(b);
    return f;
}

/* ---- asking and telling --------------------------------------------------------------------- */

static vow_breaker *
writable(const vow_breaker *b)
{
    return vow_ptr(b).as.ptr; /* its lock, that is */
}

vow_breaker_state
vow_breaker_state_of(const vow_breaker *b)
{
    vow_breaker_state state;

    if (b == NULL)
        return VOW_BREAKER_CLOSED;
    vowi_lock_acquire(&writable(b)->lock);
    state = b->state;
    vowi_lock_release(&writable(b)->lock);
    return state;
}

vow_ns
vow_breaker_open_remaining(const vow_breaker *b)
{
    vow_ns now, left;

    if (b == NULL)
        return 0;
    now = now_of(b);
    vowi_lock_acquire(&writable(b)->lock);
    left = vowi_breaker_remaining_locked(b, now);
    vowi_lock_release(&writable(b)->lock);
    return left;
}

void
vow_breaker_force(vow_breaker *b, vow_breaker_state state)
{
    vow_ns now;

    if (b == NULL)
        return;
    if ((unsigned)state > VOW_BREAKER_COUNT_ONLY) {
        vowi_warn(VOW_E_INVALID,
                  "vow_breaker_force: there is no state %d; name one of "
                  "vow_breaker_state",
                  (int)state);
        return;
    }
    now = now_of(b);
    vowi_lock_acquire(&b->lock);
    vowi_breaker_force_locked(b, now, state);
    release_and_tell(b);
}

void
vow_breaker_reset(vow_breaker *b)
{
    vow_breaker_force(b, VOW_BREAKER_CLOSED);
}

void
vow_breaker_read(const vow_breaker *b, vow_breaker_metrics *metrics)
{
    vow_breaker_metrics m = {0};

    if (b != NULL) {
        vow_ns now = now_of(b);

        vowi_lock_acquire(&writable(b)->lock);
        vowi_window_move(&writable(b)->window, now);
        m = b->seen;
        m.state = b->state;
        m.epoch = b->epoch;
        m.window_calls = b->window.sums.calls;
        m.window_failures = b->window.sums.failures;
        m.window_slow = b->window.sums.slow;
        m.open_remaining = vowi_breaker_remaining_locked(b, now);
        vowi_lock_release(&writable(b)->lock);
    }
    vowi_options_write(metrics, &m, sizeof m);
}
