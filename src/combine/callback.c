/* SPDX-License-Identifier: MIT */
/*
 * combine/callback.c - tickets for the callbacks of other libraries.
 *
 * A pointer that another library keeps is only as good as that library: it may call twice,
 * or after it was told to forget. So what it gets is no pointer to anything, but a number
 * that is never used again, and a table says what it stands for. Whoever takes a number
 * out of the table has the promise; who finds it gone was too late, whatever has been freed
 * since.
 *
 * (Where pointers have 32 bits numbers come again after four thousand million tickets. One
 * that is in the table then is passed over.)
 *
 * The table is there while anything is in it. It is made, and made bigger, before a ticket
 * is put in, outside the lock; without memory for more it works on.
 */
#include <vow/callback.h>

#include <limits.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/site.h"
#include "base/thread.h"
#include "base/warn.h"
#include "core/caller.h"
#include "queue/keys.h"

enum { FIRST_SLOTS = 16 };

struct ticket {
    struct vowi_key key;
    uintptr_t number;
    vow_promise *promise; /* a reference */
    vow_drop_fn *drop;
    vow_callback_pair pair; /* the value, if it was a callback with two results */
};

/* Guarded by VOWI_GLOBAL_CALLBACKS. */
static struct {
    struct vowi_keys keys; /* without slots while there is nothing in it */
    uintptr_t last;        /* the number of the last ticket */
} tickets;

/* ---- the table -------------------------------------------------------------------------- */

static struct ticket *
find_locked(uintptr_t number, uint64_t hash)
{
    struct vowi_key *key = NULL;

    if (tickets.keys.count != 0)
        key = vowi_keys_find(&tickets.keys, hash, &number, sizeof number);
    return key != NULL ? vowi_container_of(key, struct ticket, key) : NULL;
}

static uint64_t
hash_of(uintptr_t number)
{
    return vowi_keys_hash(&tickets.keys, &number, sizeof number);
}

static size_t
wanted_slots_locked(void)
{
    return tickets.keys.slots == NULL ? FIRST_SLOTS : vowi_keys_wants(&tickets.keys);
}

/* With the lock, which it gives up meanwhile, but not once there is a table: makes it, or
 * makes it bigger. Returns slots to be freed after the lock. */
static struct vowi_key **
make_room_locked(size_t *capacity)
{
    struct vowi_key **slots;

    *capacity = wanted_slots_locked();
    if (*capacity == 0)
        return NULL;
    vowi_global_unlock(VOWI_GLOBAL_CALLBACKS);
    slots = vowi_keys_slots_new(*capacity);
    vowi_global_lock(VOWI_GLOBAL_CALLBACKS);
    if (slots != NULL && *capacity > tickets.keys.capacity)
        slots = vowi_keys_move(&tickets.keys, slots, capacity);
    return slots;
}

/* A number that stands for nothing. */
static void
number_locked(struct ticket *t)
{
    do {
        t->number = ++tickets.last;
        t->key.hash = hash_of(t->number);
    } while (t->number == 0 || find_locked(t->number, t->key.hash) != NULL);
}

/* Returns false without memory. */
static bool
put_in(struct ticket *t)
{
    struct vowi_key **slots;
    size_t capacity;
    bool there;

    vowi_global_lock(VOWI_GLOBAL_CALLBACKS);
    slots = make_room_locked(&capacity);
    there = tickets.keys.slots != NULL;
    if (there) {
        number_locked(t);
        vowi_keys_add(&tickets.keys, &t->key);
    }
    vowi_global_unlock(VOWI_GLOBAL_CALLBACKS);
    if (slots != NULL)
        vowi_keys_slots_free(slots, capacity);
    return there;
}

/* The table's slots, if there is nothing in it, to be freed. */
static struct vowi_key **
empty_locked(size_t *capacity)
{
    struct vowi_key **slots = tickets.keys.slots;

    if (tickets.keys.count != 0)
        return NULL;
    *capacity = tickets.keys.capacity;
    tickets.keys.slots = NULL;
    tickets.keys.capacity = 0;
    return slots;
}

/* The ticket of a number, which is the caller's now; NULL: it has ended. */
static struct ticket *
take_out(const void *user)
{
    uintptr_t number = (uintptr_t)user;
    uint64_t hash = hash_of(number);
    struct vowi_key **slots = NULL;
    size_t capacity = 0;
    struct ticket *t;

    vowi_global_lock(VOWI_GLOBAL_CALLBACKS);
    t = find_locked(number, hash);
    if (t != NULL) {
        vowi_keys_remove(&tickets.keys, &t->key);
        slots = empty_locked(&capacity);
    }
    vowi_global_unlock(VOWI_GLOBAL_CALLBACKS);
    if (slots != NULL)
        vowi_keys_slots_free(slots, capacity);
    return t;
}

/* ---- tickets ---------------------------------------------------------------------------- */

void *
vow_callback_of(vow_promise *p, vow_drop_fn *drop)
{
    struct ticket *t = p != NULL ? vowi_alloc(sizeof *t) : NULL;

    if (t == NULL) {
        vow_promise_unref(p);
        return NULL;
    }
    memset(t, 0, sizeof *t);
    t->key.bytes = &t->number;
    t->key.length = sizeof t->number;
    t->promise = p;
    t->drop = drop;
    if (put_in(t))
        return (void *)t->number;
    vowi_free(t, sizeof *t);
    vow_promise_unref(p);
    return NULL;
}

void *
vow_callback_new(vow_future **f, vow_drop_fn *drop)
{
    vow_promise *p = vowi_promise_new_at(__builtin_return_address(0));
    void *user;

    *f = vow_promise_future(p);
    user = vow_callback_of(p, drop);
    if (user == NULL) {
        vow_ignore(*f);
        *f = NULL;
    }
    return user;
}

/* The ticket that was called; NULL, and a warning: it has ended. */
static struct ticket *
called(const void *user, const void *from)
{
    struct ticket *t = user != NULL ? take_out(user) : NULL;
    char site[256];

    if (t == NULL && user != NULL) {
        vowi_site_text(site, sizeof site, from);
        vowi_warn(VOW_E_INVALID,
                  "callback %zu was called again, or after it was let go of, from %s: "
                  "ignored",
                  (size_t)(uintptr_t)user, site);
    }
    return t;
}

/* Its promise, which is the caller's. */
static vow_promise *
end(struct ticket *t)
{
    vow_promise *p = t->promise;

    vowi_free(t, sizeof *t);
    return p;
}

static bool
fulfill(struct ticket *t, vow_value v)
{
    vow_promise *p = end(t);
    bool first = vow_promise_fulfill(p, v);

    vow_promise_unref(p);
    return first;
}

static bool
reject(struct ticket *t, vow_error *e)
{
    vow_promise *p = end(t);
    bool first = vow_promise_reject(p, e);

    vow_promise_unref(p);
    return first;
}

static bool
reject_with(struct ticket *t, int error)
{
    int code = error < 0 && error != INT_MIN ? -error : error;
    vow_error *e = vow_error_of(code);

    if (e == NULL)
        e = vow_error_new_at(NULL, code, "called back with error %d", error);
    return reject(t, e);
}

/* ---- being called ----------------------------------------------------------------------- */

bool
vow_callback_fulfill(void *user, vow_value v)
{
    struct ticket *t = called(user, __builtin_return_address(0));

    if (t != NULL)
        return fulfill(t, v);
    vow_value_drop(v);
    return false;
}

bool
vow_callback_reject(void *user, vow_error *e)
{
    struct ticket *t = called(user, __builtin_return_address(0));

    if (t != NULL)
        return reject(t, e);
    vow_error_unref(e);
    return false;
}

bool
vow_callback_settle(void *user, int error, vow_value v)
{
    struct ticket *t = called(user, __builtin_return_address(0));

    if (t != NULL && error == 0)
        return fulfill(t, v);
    vow_value_drop(v);
    return t != NULL && reject_with(t, error);
}

void
vow_callback_drop(void *user)
{
    struct ticket *t = user != NULL ? take_out(user) : NULL;

    if (t != NULL)
        vow_promise_unref(end(t));
}

void
vow_callback0(int error, void *user)
{
    struct ticket *t = called(user, __builtin_return_address(0));

    if (t != NULL && error == 0)
        fulfill(t, VOW_NIL);
    else if (t != NULL)
        reject_with(t, error);
}

/* A result as a value, which is freed if the ticket says so. */
static vow_value
value_of(const struct ticket *t, void *result)
{
    return result != NULL && t->drop != NULL ? vow_own(result, t->drop) : vow_ptr(result);
}

void
vow_callback1(int error, void *result, void *user)
{
    struct ticket *t = called(user, __builtin_return_address(0));

    if (t != NULL && error == 0)
        fulfill(t, value_of(t, result));
    else if (t != NULL)
        reject_with(t, error);
}

static void
drop_pair(void *pair)
{
    struct ticket *t = vowi_container_of(pair, struct ticket, pair);

    vow_value_drop(value_of(t, t->pair.first));
    vow_value_drop(value_of(t, t->pair.second));
    vowi_free(t, sizeof *t);
}

void
vow_callback2(int error, void *first, void *second, void *user)
{
    struct ticket *t = called(user, __builtin_return_address(0));
    vow_promise *p;

    if (t != NULL && error != 0)
        reject_with(t, error);
    if (t == NULL || error != 0)
        return;
    p = t->promise;
    t->pair.first = first;
    t->pair.second = second;
    vow_promise_fulfill(p, vow_own(&t->pair, drop_pair));
    vow_promise_unref(p);
}
