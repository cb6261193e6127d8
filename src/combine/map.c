/* SPDX-License-Identifier: MIT */
/*
 * combine/map.c - many items through one window.
 *
 * There is a place for each item that may be in flight. Whoever ends an item tells what
 * came of it, fills the places that are free (pump), and looks whether that was the
 * last. Telling and pumping are done by one thread at a time: who finds it busy leaves
 * its part to that thread, which looks again under the lock before it stops.
 *
 * An item is a future, and so is its result: the outcome stays where it settled. The
 * place hangs on it with storage of its own, so an item that has started cannot be lost
 * for want of memory.
 *
 * What becomes of an outcome: it is kept, for the results; or told, by .each; or a sink has
 * taken it, in the item itself or in what it starts when the item has settled, which then
 * counts as the item.
 *
 * With .each a place is free again when its outcome was told; so in order, an item that
 * takes long holds up those that are a window ahead of it, and memory stays bounded.
 */
#include "combine/map.h"

#include <string.h>

#include <vow/pool.h>

#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "combine/combine.h"
#include "core/caller.h"
#include "core/hang.h"
#include "sync/lock.h"
#include "sync/refs.h"

struct place {
    struct vowi_hanger hanger;
    struct map *map;
    struct place *next; /* that is free, or has ended and is to be told */
    size_t index;       /* of its item */

    /* Guarded by the map's lock. */
    bool ended;
    vow_future *item; /* a reference; NULL also for one without memory */
};

struct map {
    struct vowi_lock lock;
    struct vowi_map_plan plan;
    vow_promise *promise;
    size_t limit;
    struct vowi_refs refs; /* itself until it has ended, its hook, its outcome */

    /* Guarded by lock. */
    size_t started, in_flight, ended, told;
    bool exhausted, stopped, pumping, telling, over;
    struct place *free;
    struct place *ended_first, *ended_last;
    vow_error *reason; /* it was asked to stop */

    /* The outcome. */
    vow_future **kept; /* each a reference, or NULL */
    size_t *indices;
    size_t room;
    vow_error *failed; /* the first error of an item */
    size_t failed_index;
    vow_error error;
    struct vow_results results;

    struct place places[];
};

/* ---- memory ----------------------------------------------------------------------------- */

static void
map_ref(struct map *m)
{
    vowi_refs_take(&m->refs);
}

static void
map_unref(struct map *m)
{
    if (!vowi_refs_drop(&m->refs))
        return;
    for (size_t i = 0; i < m->room; i++)
        vow_ignore(m->kept[i]);
    vow_error_unref(m->failed);
    vow_error_unref(m->reason);
    vowi_free(m->kept, m->room * sizeof *m->kept);
    vowi_free(m->indices, m->room * sizeof *m->indices);
    vowi_lock_fini(&m->lock);
    vowi_free(m, sizeof *m + m->limit * sizeof m->places[0]);
}

static void
map_released(void *map)
{
    map_unref(map);
}

/* What was never started goes. One thread. */
static void
drop_rest(struct vowi_map_plan *plan, size_t from)
{
    for (; plan->items != NULL && from < plan->n; from++)
        vow_value_drop(plan->items[from]);
    vow_value_drop(plan->source);
    vow_value_drop(plan->ctx);
    vowi_free(plan->items, plan->n * sizeof *plan->items);
    vowi_free(plan->fns, plan->n * sizeof *plan->fns);
}

static bool
keeps_results(const struct map *m)
{
    return m->plan.opt.each == NULL && m->plan.sink == NULL;
}

/* Moves what is kept to more room; swaps it with what was there. Others may end items
 * meanwhile. */
static void
move_kept(struct map *m, size_t *room, vow_future ***kept, size_t **indices)
{
    vow_future **old_kept = m->kept;
    size_t *old_indices = m->indices;
    size_t old_room;

    vowi_lock_acquire(&m->lock);
    old_room = m->room;
    memset(*kept, 0, *room * sizeof **kept);
    memset(*indices, 0, *room * sizeof **indices);
    if (old_room != 0) {
        memcpy(*kept, old_kept, old_room * sizeof *old_kept);
        memcpy(*indices, old_indices, old_room * sizeof *old_indices);
    }
    m->kept = *kept;
    m->indices = *indices;
    m->room = *room;
    vowi_lock_release(&m->lock);
    *kept = old_kept;
    *indices = old_indices;
    *room = old_room;
}

/* Makes room for the outcome of an item. One thread at a time. */
static bool
reserve(struct map *m, size_t index)
{
    size_t room = m->room != 0 ? 2 * m->room : 64;
    vow_future **kept = NULL;
    size_t *indices = NULL;
    bool enough;

    if (!keeps_results(m) || index < m->room)
        return true;
    if (m->plan.n != VOWI_UNKNOWN)
        room = m->plan.n;
    if (room < SIZE_MAX / 2 / sizeof *kept) {
        kept = vowi_alloc(room * sizeof *kept);
        indices = vowi_alloc(room * sizeof *indices);
    }
    enough = kept != NULL && indices != NULL;
    if (enough)
        move_kept(m, &room, &kept, &indices);
    vowi_free(kept, room * sizeof *kept);
    vowi_free(indices, room * sizeof *indices);
    return enough;
}

static size_t
place_index(const struct map *m, const struct place *p)
{
    return (size_t)(p - m->places);
}

/* ---- the end ---------------------------------------------------------------------------- */

static char absent_mark;

vow_result
vowi_absent(void)
{
    return vow_ok(vow_ptr(&absent_mark));
}

static bool
is_absent(vow_future *f)
{
    return vow_peek(f).value.as.ptr == &absent_mark;
}

static void
error_gone(vow_error *e)
{
    map_unref(vowi_container_of(e, struct map, error));
}

static void
results_gone(struct vow_results *r)
{
    map_unref(vowi_container_of(r, struct map, results));
}

static void
settle_failed(struct map *m)
{
    static const struct vowi_error_kind kind = {.gone = error_gone};

    map_ref(m);
    vowi_error_place(&m->error, &kind, 0, m->failed);
    m->error.position = (int64_t)m->failed_index + 1;
    vow_promise_reject(m->promise, &m->error);
}

/* Closes the gaps of those that were filtered out. */
static size_t
compact(struct map *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->ended; i++) {
        vow_future *f = m->kept[i];

        m->kept[i] = NULL;
        if (is_absent(f)) {
            vow_unref(f);
            continue;
        }
        m->kept[n] = f;
        m->indices[n++] = m->indices[i];
    }
    return n;
}

/* The room is the results' from here on: what is in it, they let go of. */
static void
settle_results(struct map *m)
{
    map_ref(m);
    m->results.count = compact(m);
    m->results.items = m->kept;
    m->results.indices = m->indices;
    m->results.gone = results_gone;
    vow_promise_fulfill(m->promise, vowi_results_value(&m->results));
}

static void
settle_worked(struct map *m)
{
    if (m->plan.sink != NULL)
        m->plan.sink->settle(&m->plan, m->promise);
    else if (keeps_results(m))
        settle_results(m);
    else
        vow_promise_fulfill(m->promise, vow_u64(m->told));
}

/* Nothing runs any more, and nobody else is in here. */
static void
conclude(struct map *m)
{
    vow_promise *p = m->promise;

    for (size_t i = 0; i < m->limit; i++)
        vow_ignore(m->places[i].item); /* ended, and not told */
    for (size_t i = 0; m->stopped && i < m->room; i++) {
        vow_ignore(m->kept[i]);
        m->kept[i] = NULL;
    }
    if (m->plan.sink != NULL && m->stopped)
        m->plan.sink->gone(&m->plan);
    drop_rest(&m->plan, m->started);
    if (m->failed != NULL)
        settle_failed(m);
    else if (!m->stopped)
        settle_worked(m);
    vow_executor_unref(m->plan.on);
    vow_promise_unref(p);
    map_unref(m);
}

/* Whether progress is told of once it is stopped: if an item failed, to the end; but not
 * when its result has been cancelled. */
static bool
tells_when_stopped(const struct map *m)
{
    return m->plan.opt.each == NULL && m->reason == NULL;
}

/* Who ended the last item may be about to tell of it: then that thread concludes. */
static bool
is_over_locked(const struct map *m)
{
    if (m->over || m->in_flight != 0 || m->pumping || m->telling)
        return false;
    if (m->told == m->ended)
        return m->stopped || m->exhausted;
    return m->stopped && !tells_when_stopped(m);
}

static void
conclude_if_over(struct map *m)
{
    bool over;

    vowi_lock_acquire(&m->lock);
    over = is_over_locked(m);
    m->over = m->over || over;
    vowi_lock_release(&m->lock);
    if (over)
        conclude(m);
}

/* ---- stopping ----------------------------------------------------------------------------- */

/* The item of a place, if it is in flight: a new reference. */
static vow_future *
in_flight(struct map *m, struct place *p, vow_error **reason)
{
    vow_future *f;

    vowi_lock_acquire(&m->lock);
    f = p->ended ? NULL : vow_ref(p->item);
    *reason = f != NULL ? vow_error_ref(m->reason) : NULL;
    vowi_lock_release(&m->lock);
    return f;
}

/* No item starts any more; the caller has a reference to the map. */
static void
ask_all_to_stop(struct map *m)
{
    for (size_t i = 0; i < m->limit; i++) {
        vow_error *reason;
        vow_future *f = in_flight(m, &m->places[i], &reason);

        vow_future_cancel(f, reason);
        vow_ignore(f);
    }
}

/* The promise was asked to stop. */
static void
cancelled(vow_promise *p, const vow_error *reason, void *ctx)
{
    struct map *m = ctx;

    vowi_lock_acquire(&m->lock);
    if (!m->over) /* else conclude reads it, without the lock */
        m->stopped = true;
    if (m->reason == NULL)
        m->reason = vow_error_ref(reason);
    vowi_lock_release(&m->lock);
    vow_promise_reject(p, vow_error_ref(reason));
    ask_all_to_stop(m);
    conclude_if_over(m);
}

/* ---- telling ------------------------------------------------------------------------------- */

/* The place to be told of next; NULL if its outcome is not there. */
static struct place *
next_ended_locked(struct map *m)
{
    struct place *p = m->ended_first;

    if (!m->plan.opt.unordered) {
        p = &m->places[m->told % m->limit];
        return p->ended && p->index == m->told ? p : NULL;
    }
    if (p != NULL)
        m->ended_first = p->next;
    return p;
}

/* What is to be told next: a place, or only that one more has ended. */
static bool
take_news_locked(struct map *m, struct place **p)
{
    *p = NULL;
    if (m->telling || m->told == m->ended || (m->stopped && !tells_when_stopped(m)))
        return false;
    if (m->plan.opt.each != NULL) {
        *p = next_ended_locked(m);
        if (*p == NULL)
            return false;
    }
    m->told++;
    m->telling = true;
    return true;
}

static void
tell_one(struct map *m, struct place *p, size_t done)
{
    const vow_map_options *opt = &m->plan.opt;

    if (p != NULL) {
        opt->each(p->index, vow_peek(p->item), opt->each_ctx);
        vow_unref(p->item);
    }
    if (opt->progress != NULL)
        opt->progress(done, m->plan.n != VOWI_UNKNOWN ? m->plan.n : 0, opt->progress_ctx);
}

static void
free_place_locked(struct map *m, struct place *p)
{
    p->item = NULL;
    p->next = m->free;
    m->free = p;
}

static void
tell(struct map *m)
{
    struct place *p;

    vowi_lock_acquire(&m->lock);
    while (take_news_locked(m, &p)) {
        size_t done = m->told;

        vowi_lock_release(&m->lock);
        tell_one(m, p, done);
        vowi_lock_acquire(&m->lock);
        m->telling = false;
        if (p != NULL)
            free_place_locked(m, p);
    }
    vowi_lock_release(&m->lock);
}

/* ---- items ----------------------------------------------------------------------------------- */

static void pump(struct map *m);

static void
keep_locked(struct map *m, struct place *p)
{
    size_t at = m->plan.opt.unordered ? m->ended : p->index;

    m->kept[at] = p->item;
    m->indices[at] = p->index;
    free_place_locked(m, p);
}

static void
queue_locked(struct map *m, struct place *p)
{
    p->next = NULL;
    if (m->ended_first == NULL)
        m->ended_first = p;
    else
        m->ended_last->next = p;
    m->ended_last = p;
}

/* Puts an outcome where it belongs. Returns whether it stops the map; *unwanted: what
 * nobody wants any more. */
static bool
end_locked(struct map *m, struct place *p, vow_future **unwanted)
{
    const vow_error *error = vow_peek(p->item).error;
    bool stops =
        error != NULL && (m->plan.opt.flags & VOW_MAP_SETTLED) == 0 && !m->stopped;

    if (stops) {
        m->failed = vow_error_ref(error);
        m->failed_index = p->index;
        m->stopped = true;
    }
    p->ended = true;
    if (keeps_results(m)) {
        keep_locked(m, p);
    } else if (m->plan.sink != NULL) {
        *unwanted = p->item;
        free_place_locked(m, p);
    } else if (m->plan.opt.unordered) {
        queue_locked(m, p);
    }
    m->ended++;
    m->in_flight--;
    return stops;
}

static void hang_on(struct map *m, struct place *p, vow_future *f);

/* Whether there is more to be done with what has settled: then that goes on. */
static bool
goes_on(struct map *m, struct place *p)
{
    const struct vowi_map_sink *sink = m->plan.sink;
    vow_future *f = NULL;

    if (sink == NULL || vow_peek(p->item).error != NULL ||
        !sink->more(&m->plan, place_index(m, p), p->item, &f))
        return false;
    hang_on(m, p, f);
    return true;
}

static void
end_item(struct map *m, struct place *p)
{
    vow_future *unwanted = NULL;
    bool stops;

    vowi_lock_acquire(&m->lock);
    stops = end_locked(m, p, &unwanted);
    vowi_lock_release(&m->lock);
    vow_ignore(unwanted);
    if (stops)
        ask_all_to_stop(m);
    tell(m);
    pump(m);
    conclude_if_over(m);
}

static void
item_ended(vow_task *task, int why)
{
    struct place *p = vowi_container_of(task, struct place, hanger.task);
    struct map *m = p->map;

    (void)why;
    map_ref(m);
    if (!goes_on(m, p))
        end_item(m, p);
    map_unref(m);
}

/* What is in a place from now on: consumed. */
static void
hang_on(struct map *m, struct place *p, vow_future *f)
{
    vow_future *before, *stop = NULL;

    vowi_lock_acquire(&m->lock);
    before = p->item;
    p->item = f;
    if (m->stopped)
        stop = vow_ref(f);
    vowi_lock_release(&m->lock);
    vow_ignore(before);
    vowi_hang(f, &p->hanger, item_ended);
    vow_future_cancel(stop, NULL);
    vow_ignore(stop);
}

/* A place for the next item; NULL if there is none, or no item. */
static struct place *
take_place_locked(struct map *m)
{
    struct place *p = m->free;

    if (m->stopped || m->exhausted)
        return NULL;
    if (m->started == m->plan.n) {
        m->exhausted = true;
        return NULL;
    }
    if (m->plan.opt.each != NULL && !m->plan.opt.unordered) { /* a ring */
        p = &m->places[m->started % m->limit];
        if (m->started - m->told + m->telling >= m->limit)
            return NULL;
    } else if (p != NULL) {
        m->free = p->next;
    }
    return p;
}

/* Starts an item in a place. False: there was none. */
static bool
start(struct map *m, struct place *p)
{
    vow_future *f = NULL;

    if (!m->plan.start(&m->plan, p->index, place_index(m, p), &f))
        return false;
    hang_on(m, p, f);
    return true;
}

/* An item could not be started: there are no more, or there is no memory for them. */
static void
not_started_locked(struct map *m, bool reserved)
{
    m->exhausted = true;
    m->started--;
    m->in_flight--;
    if (reserved || m->stopped)
        return;
    m->failed = vow_error_of(VOW_E_NOMEM);
    m->failed_index = m->started;
    m->stopped = true;
}

static void
pump(struct map *m)
{
    struct place *p;

    vowi_lock_acquire(&m->lock);
    while (!m->pumping && (p = take_place_locked(m)) != NULL) {
        bool reserved, started;

        p->map = m;
        p->ended = false;
        p->index = m->started++;
        m->in_flight++;
        m->pumping = true;
        vowi_lock_release(&m->lock);
        reserved = reserve(m, p->index);
        started = reserved && start(m, p);
        vowi_lock_acquire(&m->lock);
        m->pumping = false;
        if (!started)
            not_started_locked(m, reserved);
    }
    vowi_lock_release(&m->lock);
}

/* ---- making one ------------------------------------------------------------------------------- */

size_t
vowi_map_limit(const struct vowi_map_plan *plan)
{
    size_t limit = plan->opt.limit;
    unsigned threads = vow_pool_threads(plan->on);

    if (limit == 0)
        limit = threads != 0 ? 2 * (size_t)threads : 2;
    if (limit > plan->n)
        limit = plan->n != 0 ? plan->n : 1;
    return limit;
}

/* Of an array no more are in flight than it has. */
static bool
asks_for_too_many(const struct vowi_map_plan *plan)
{
    return plan->n == VOWI_UNKNOWN && plan->opt.limit > VOWI_MAP_MOST;
}

static vow_future *
refuse_limit(struct vowi_map_plan *plan)
{
    vow_error *e =
        vow_error_new_at(NULL, VOW_E_INVALID,
                         "a map with a .limit of %zu: each item in flight has a place, "
                         "from the start on; say how many there may be, or 0",
                         plan->opt.limit);

    drop_rest(plan, 0);
    return vow_rejected(e);
}

_Static_assert(sizeof(struct place) <= 256,
               "VOWI_MAP_MOST of them, and a map, are a size");

static struct map *
map_new(const struct vowi_map_plan *plan)
{
    size_t limit = vowi_map_limit(plan);
    size_t size = sizeof(struct map) + limit * sizeof(struct place);
    struct map *m = limit <= VOWI_MAP_MOST ? vowi_alloc(size) : NULL;

    if (m == NULL)
        return NULL;
    memset(m, 0, size);
    if (vowi_lock_init(&m->lock, VOWI_RANK_MAP) != 0) {
        vowi_free(m, size);
        return NULL;
    }
    m->limit = limit;
    vowi_refs_init(&m->refs);
    for (size_t i = limit; i-- > 0;)
        free_place_locked(m, &m->places[i]);
    return m;
}

/* The future of a map that has a promise; NULL without memory. */
static vow_future *
result_of(struct map *m, vow_token *token)
{
    vow_future *f = vow_promise_future(m->promise);

    map_ref(m);
    if (vow_promise_on_cancel(m->promise, NULL, cancelled, vow_own(m, map_released)) ==
        NULL) {
        vow_unref(f);
        return NULL;
    }
    return token != NULL ? vowi_with_token_at(f, token, m->plan.site) : f;
}

vow_future *
vowi_map_start(const struct vowi_map_plan *plan, bool enough_memory)
{
    struct vowi_map_plan rest = *plan;
    struct map *m = NULL;
    vow_future *f = NULL;

    if (asks_for_too_many(plan))
        return refuse_limit(&rest);
    if (enough_memory)
        m = map_new(plan);
    if (m != NULL) {
        map_ref(m); /* the map may end any time now */
        m->plan = *plan;
        m->promise = vowi_promise_new_at(plan->site);
        vow_executor_ref(plan->on);
        f = m->promise != NULL ? result_of(m, plan->opt.token) : NULL;
    }
    if (f != NULL) {
        pump(m);
        conclude_if_over(m);
        map_unref(m);
        return f;
    }
    drop_rest(&rest, 0);
    if (m != NULL) {
        vow_executor_unref(plan->on);
        /* Its future has gone: an error that nobody saw would be reported. */
        vow_promise_reject(m->promise, vow_error_of(VOW_E_CANCELLED));
        vow_promise_unref(m->promise);
        map_unref(m);
        map_unref(m);
    }
    return NULL;
}
