/* SPDX-License-Identifier: MIT */
/*
 * resilience/cache.c - one call for many with the same key, and values kept.
 *
 * An entry is in the table from the moment a call starts. The call resolves a promise
 * of the entry's, and each caller gets a step of its own behind that promise: so a
 * caller who cancels takes away his step alone, and when the last step is taken away
 * the request goes on to the call, as everywhere. The table itself must not want the
 * call, so it has the promise while the call runs, and its future only afterwards.
 *
 * Who waits is counted. With the last one gone the entry leaves the table before the
 * call is asked to stop, so that nobody joins a call which is about to be cancelled.
 *
 * References to an entry: the table's, and one for each context that names it; each
 * such context has one to the cache as well. Outcomes and promises are released after
 * the lock: what they drop is the user's.
 */
#include <errno.h>
#include <string.h>

#include <vow/cache.h>

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/options.h"
#include "base/time.h"
#include "core/caller.h"
#include "queue/keys.h"
#include "resilience/call.h"
#include "resilience/random.h"
#include "sync/kept.h"
#include "sync/lock.h"
#include "sync/refs.h"

struct vow_cache {
    struct vowi_refs refs;
    bool keeps;
    vow_ns ttl, error_ttl;
    size_t most;
    vow_clock *clock;

    struct vowi_lock lock;
    struct vowi_kept at_fork;
    struct vowi_keys keys; /* guarded by lock, like all that follows */
    struct vowi_list kept; /* with an outcome; least recently used first */
    size_t kept_count;
    vow_cache_metrics seen;
};

struct vow_singleflight {
    vow_cache cache;
};

struct entry {
    struct vowi_key key; /* first */
    struct vowi_refs refs;
    vow_cache *c;

    /* guarded by the cache's lock while it is listed, then of whoever unlisted it */
    bool listed;           /* in the table */
    struct vowi_link link; /* in kept, if it has an outcome and is listed */
    unsigned waiters;      /* callers whose futures have not settled */
    vow_promise *promise;  /* while its call runs */
    vow_future *outcome;   /* when its call has ended */
    vow_ns expires;

    char bytes[];
};

static struct entry *
entry_of(struct vowi_key *key)
{
    return (struct entry *)(void *)key;
}

/* ---- entries -------------------------------------------------------------------------- */

static size_t
entry_size(size_t length)
{
    return sizeof(struct entry) + length;
}

static struct entry *
entry_new(vow_cache *c, uint64_t hash, const void *bytes, size_t length, const void *site)
{
    struct entry *e = length < SIZE_MAX / 2 ? vowi_alloc(entry_size(length)) : NULL;

    if (e == NULL)
        return NULL;
    memset(e, 0, sizeof *e);
    vowi_refs_init(&e->refs);
    e->c = c;
    e->key.hash = hash;
    e->key.bytes = e->bytes;
    e->key.length = length;
    if (length != 0)
        memcpy(e->bytes, bytes, length);
    e->promise = vowi_promise_new_at(site);
    if (e->promise != NULL)
        return e;
    vowi_free(e, entry_size(length));
    return NULL;
}

static void
entry_unref(struct entry *e)
{
    if (!vowi_refs_drop(&e->refs))
        return;
    vow_promise_unref(e->promise); /* of one that was never listed */
    vowi_free(e, entry_size(e->key.length));
}

/* For a context; gives back what let_go takes. */
static vow_value
context_of(struct entry *e, vow_drop_fn *drop)
{
    vowi_refs_take(&e->refs);
    vow_cache_ref(e->c);
    return vow_own(e, drop);
}

static void
let_go(struct entry *e)
{
    vow_cache *c = e->c;

    entry_unref(e);
    vow_cache_unref(c);
}

/* What it had is now the caller's, to be released after the lock. */
static struct entry *
forget_locked(vow_cache *c, struct entry *e)
{
    if (e->outcome != NULL) {
        vowi_list_remove(&e->link);
        c->kept_count--;
    }
    e->listed = false;
    return e;
}

static struct entry *
unlist_locked(vow_cache *c, struct entry *e)
{
    vowi_keys_remove(&c->keys, &e->key);
    return forget_locked(c, e);
}

/* Gives up the table's reference. Errors that were kept were shown to those who asked. */
static void
release(struct entry *e)
{
    vow_promise *promise;
    vow_future *outcome;

    if (e == NULL)
        return;
    promise = e->promise;
    outcome = e->outcome;
    e->promise = NULL;
    e->outcome = NULL;
    vow_promise_unref(promise);
    vow_ignore(outcome);
    entry_unref(e);
}

/* ---- a call ends ------------------------------------------------------------------------- */

static vow_ns
now_of(const vow_cache *c)
{
    return vowi_now_on(c->clock);
}

/* The future will settle in a moment, as this call did. */
static vow_promise *
keep_locked(vow_cache *c, struct entry *e, vow_ns expires)
{
    vow_promise *promise = e->promise;

    e->outcome = vow_promise_future(promise);
    e->promise = NULL;
    e->expires = expires;
    vowi_list_push(&c->kept, &e->link);
    c->kept_count++;
    return promise;
}

static struct entry *
evict_locked(vow_cache *c)
{
    if (c->kept_count <= c->most)
        return NULL;
    c->seen.evicted++;
    return unlist_locked(c, vowi_container_of(c->kept.head.next, struct entry, link));
}

/* Runs before those who wait are told. */
static vow_result
landed(vow_view how, void *entry)
{
    struct entry *e = entry;
    vow_cache *c = e->c;
    vow_ns ttl = how.error != NULL ? c->error_ttl : c->ttl;
    vow_ns expires = c->keeps ? vowi_time_add(now_of(c), ttl) : 0;
    struct entry *gone = NULL;
    vow_promise *promise = NULL;

    vowi_lock_acquire(&c->lock);
    if (e->listed && c->keeps && ttl > 0) {
        promise = keep_locked(c, e, expires);
        gone = evict_locked(c);
    } else if (e->listed) {
        gone = unlist_locked(c, e);
    }
    vowi_lock_release(&c->lock);
    vow_promise_unref(promise);
    release(gone);
    return vow_forward();
}

/* The context of the step above goes: it has run, or never will. */
static void
call_gone(void *entry)
{
    struct entry *e = entry;
    vow_cache *c = e->c;
    struct entry *gone = NULL;

    vowi_lock_acquire(&c->lock);
    c->seen.running--;
    if (e->listed && e->promise != NULL)
        gone = unlist_locked(c, e);
    vowi_lock_release(&c->lock);
    release(gone);
    let_go(e);
}

/* ---- callers ----------------------------------------------------------------------------- */

static void
waiter_gone(void *entry)
{
    struct entry *e = entry;
    vow_cache *c = e->c;
    struct entry *gone = NULL;

    vowi_lock_acquire(&c->lock);
    if (--e->waiters == 0 && e->listed && e->promise != NULL)
        gone = unlist_locked(c, e);
    vowi_lock_release(&c->lock);
    release(gone);
    let_go(e);
}

/* The caller counted it as a waiter, and has a future of the entry's promise. */
static vow_future *
wait_for(struct entry *e, vow_future *f, const void *site)
{
    return vowi_handle_at(f, NULL, vowi_pass_on, context_of(e, waiter_gone), site);
}

/*
 * Starts the call of an entry that this thread has listed, and counted itself as waiting
 * for. It has a promise of its own, since the table may lose the entry meanwhile.
 */
static vow_future *
start(struct entry *e, vow_promise *p, vow_executor *on, vow_task_fn *fn, vow_value ctx,
      const void *site)
{
    vow_future *mine = wait_for(e, vow_promise_future(p), site);
    vow_value gone = context_of(e, call_gone);
    vow_future *f = vowi_submit_at(on, fn, ctx, site);

    vow_promise_resolve(p, vow_follow(vowi_handle_at(f, NULL, landed, gone, site)));
    vow_promise_unref(p);
    return mine;
}

/* What a caller finds. */
enum found { NOTHING, KEPT, RUNNING };

/*
 * Looks a key up. KEPT: *f is the outcome. RUNNING: *f is a future of the promise, and
 * the caller counts as waiting, with a hold on *e. What has expired is taken out.
 */
static enum found
find_locked(vow_cache *c, uint64_t hash, const void *bytes, size_t length, vow_ns now,
            struct entry **e, vow_future **f, struct entry **old)
{
    struct vowi_key *key = vowi_keys_find(&c->keys, hash, bytes, length);

    *e = key != NULL ? entry_of(key) : NULL;
    if (*e == NULL)
        return NOTHING;
    if ((*e)->outcome == NULL) {
        c->seen.joined++;
        (*e)->waiters++;
        vowi_refs_take(&(*e)->refs);
        *f = vow_promise_future((*e)->promise);
        return RUNNING;
    }
    if (now < (*e)->expires) {
        c->seen.hits++;
        vowi_list_remove(&(*e)->link);
        vowi_list_push(&c->kept, &(*e)->link);
        *f = vow_ref((*e)->outcome);
        return KEPT;
    }
    *old = unlist_locked(c, *e);
    return NOTHING;
}

static void
list_locked(vow_cache *c, struct entry *e)
{
    c->seen.misses++;
    c->seen.running++;
    e->listed = true;
    e->waiters = 1;
    vowi_refs_take(&e->refs);
    vowi_keys_add(&c->keys, &e->key);
}

/* Makes the table bigger if it wants that. Nothing allocates under the lock. */
static void
grow(vow_cache *c, size_t capacity)
{
    struct vowi_key **slots;

    if (capacity == 0 || (slots = vowi_keys_slots_new(capacity)) == NULL)
        return;
    vowi_lock_acquire(&c->lock);
    if (vowi_keys_wants(&c->keys) == capacity)
        slots = vowi_keys_move(&c->keys, slots, &capacity);
    vowi_lock_release(&c->lock);
    vowi_keys_slots_free(slots, capacity);
}

/*
 * Finds an entry, or lists the one that the caller has made; NULL: then NOTHING says
 * that one is needed.
 */
static enum found
find_or_list(vow_cache *c, struct entry *fresh, uint64_t hash, const void *bytes,
             size_t length, struct entry **e, vow_future **f)
{
    vow_ns now = c->keeps ? now_of(c) : 0;
    struct entry *old = NULL;
    size_t wants = 0;
    enum found found;

    vowi_lock_acquire(&c->lock);
    found = find_locked(c, hash, bytes, length, now, e, f, &old);
    if (found == NOTHING && fresh != NULL) {
        list_locked(c, fresh);
        wants = vowi_keys_wants(&c->keys);
    }
    vowi_lock_release(&c->lock);
    release(old);
    grow(c, wants);
    return found;
}

/* A caller who found something does not need his context. */
static vow_future *
use(enum found found, struct entry *e, vow_future *f, vow_value ctx, const void *site)
{
    vow_value_drop(ctx);
    if (found == KEPT)
        return f;
    f = wait_for(e, f, site);
    entry_unref(e);
    return f;
}

static vow_future *
make(vow_cache *c, uint64_t hash, const void *bytes, size_t length, vow_executor *on,
     vow_task_fn *fn, vow_value ctx, const void *site)
{
    struct entry *fresh = entry_new(c, hash, bytes, length, site);
    vow_promise *p;
    struct entry *e;
    vow_future *f;
    enum found found;

    if (fresh == NULL) {
        vow_value_drop(ctx);
        return NULL;
    }
    p = vow_promise_ref(fresh->promise);
    found = find_or_list(c, fresh, hash, bytes, length, &e, &f);
    if (found == NOTHING) {
        f = start(fresh, p, on, fn, ctx, site);
    } else { /* somebody else was first */
        vow_promise_unref(p);
        f = use(found, e, f, ctx, site);
    }
    entry_unref(fresh);
    return f;
}

/* The drop of an outcome that is outdated may give up the last handle. */
static vow_future *
get(vow_cache *c, const void *key, size_t length, vow_executor *on, vow_task_fn *fn,
    vow_value ctx, const void *site)
{
    struct entry *e;
    vow_future *f;
    uint64_t hash;
    enum found found;

    if (c == NULL)
        return vowi_submit_at(on, fn, ctx, site);
    vow_cache_ref(c);
    hash = vowi_keys_hash(&c->keys, key, length);
    found = find_or_list(c, NULL, hash, key, length, &e, &f);
    if (found == NOTHING)
        f = make(c, hash, key, length, on, fn, ctx, site);
    else
        f = use(found, e, f, ctx, site);
    vow_cache_unref(c);
    return f;
}

vow_future *
vow_cache_get(vow_cache *c, const void *key, size_t length, vow_executor *on,
              vow_task_fn *fn, vow_value ctx)
{
    return get(c, key, length, on, fn, ctx, __builtin_return_address(0));
}

/* ---- making, forgetting, asking ------------------------------------------------------------ */

static bool
init(vow_cache *c, const vow_cache_options *o, bool keeps)
{
    struct vowi_random r = {vowi_random_seed(c)};
    uint64_t first = vowi_random_next(&r);

    memset(c, 0, sizeof *c);
    vowi_refs_init(&c->refs);
    c->keeps = keeps;
    c->ttl = o->ttl != 0 ? o->ttl : VOW_FOREVER;
    c->error_ttl = o->error_ttl;
    c->most = o->most != 0 ? o->most : 1024;
    c->clock = o->clock;
    vowi_list_init(&c->kept);
    if (vowi_kept_init(&c->at_fork, &c->lock, VOWI_RANK_CACHE) != 0)
        return false;
    if (vowi_keys_init(&c->keys, first, vowi_random_next(&r)))
        return true;
    vowi_kept_fini(&c->at_fork);
    return false;
}

vow_cache *
vow_cache_new(const vow_cache_options *opt)
{
    vow_cache_options o;
    vow_cache *c;

    vowi_options_read(&o, sizeof o, opt);
    if (o.ttl < 0 || o.error_ttl < 0) {
        errno = EINVAL;
        return NULL;
    }
    c = vowi_alloc(sizeof *c);
    if (c != NULL && init(c, &o, true))
        return c;
    vowi_free(c, sizeof *c);
    errno = ENOMEM;
    return NULL;
}

vow_cache *
vow_cache_ref(vow_cache *c)
{
    if (c != NULL)
        vowi_refs_take(&c->refs);
    return c;
}

void
vow_cache_unref(vow_cache *c)
{
    if (c == NULL || !vowi_refs_drop(&c->refs))
        return;
    vow_cache_clear(c); /* with itself as its last user */
    vowi_keys_fini(&c->keys);
    vowi_kept_fini(&c->at_fork);
    vowi_free(c, sizeof *c);
}

bool
vow_cache_forget(vow_cache *c, const void *key, size_t length)
{
    struct entry *gone = NULL;
    struct vowi_key *found;
    uint64_t hash;

    if (c == NULL)
        return false;
    hash = vowi_keys_hash(&c->keys, key, length);
    vowi_lock_acquire(&c->lock);
    found = vowi_keys_find(&c->keys, hash, key, length);
    if (found != NULL)
        gone = unlist_locked(c, entry_of(found));
    vowi_lock_release(&c->lock);
    release(gone);
    return found != NULL;
}

void
vow_cache_clear(vow_cache *c)
{
    struct vowi_key *all;

    if (c == NULL)
        return;
    vowi_lock_acquire(&c->lock);
    all = vowi_keys_remove_all(&c->keys);
    for (struct vowi_key *key = all; key != NULL; key = key->next)
        forget_locked(c, entry_of(key));
    vowi_lock_release(&c->lock);
    while (all != NULL) {
        struct vowi_key *next = all->next;

        release(entry_of(all));
        all = next;
    }
}

void
vow_cache_read(const vow_cache *c, vow_cache_metrics *metrics)
{
    vow_cache_metrics m = {0};

    if (c != NULL) {
        struct vowi_lock *lock = &((vow_cache *)vow_ptr(c).as.ptr)->lock;

        vowi_lock_acquire(lock);
        m = c->seen;
        m.kept = c->kept_count;
        vowi_lock_release(lock);
    }
    vowi_options_write(metrics, &m, sizeof m);
}

/* ---- a single flight is a cache that keeps nothing ------------------------------------------ */

vow_singleflight *
vow_singleflight_new(void)
{
    vow_cache_options o = {0};
    vow_singleflight *s = vowi_alloc(sizeof *s);

    if (s != NULL && init(&s->cache, &o, false))
        return s;
    vowi_free(s, sizeof *s);
    return NULL;
}

vow_singleflight *
vow_singleflight_ref(vow_singleflight *s)
{
    return s != NULL ? (vow_cache_ref(&s->cache), s) : NULL;
}

void
vow_singleflight_unref(vow_singleflight *s)
{
    vow_cache_unref(s != NULL ? &s->cache : NULL);
}

vow_future *
vow_singleflight_call(vow_singleflight *s, const void *key, size_t length,
                      vow_executor *on, vow_task_fn *fn, vow_value ctx)
{
    return get(s != NULL ? &s->cache : NULL, key, length, on, fn, ctx,
               __builtin_return_address(0));
}
