/* SPDX-License-Identifier: MIT */
/*
 * combine/some.c - the first k of them that work: vow_some.
 *
 * Those that worked, and those that failed, are two piles, each a list from the newest
 * on, in which an input knows how high the pile is below it: so the one that makes a
 * pile high enough decides, and from it down to the bottom are exactly those before it
 * (Treiber, Systems Programming: Coping with Parallelism, 1986; nothing is ever taken
 * off, so no address comes again).
 *
 * Edges:
 *     [pile]   what is below an input in its pile, from each to whoever is put on it
 */
#include "combine/combine.h"

#include "base/atomic.h"

/* Where an input lies in its pile. */
struct place {
    size_t below;  /* the input below it, from 1; 0: none */
    size_t height; /* of the pile with it */
};

/* The head; behind it a place for each input, and the arrays of the outcome. */
struct some {
    size_t wanted;
    size_t too_many; /* failures */
    _Atomic(size_t) won;
    _Atomic(size_t) lost;
    struct vow_results results;
    struct vowi_placed failed;
    vow_future **kept; /* n of them */
    size_t *indices;   /* n of them */
    struct place places[];
};

/* Puts an input on a pile; returns how high that is now. */
static size_t
put_on(_Atomic(size_t) *pile, struct place *places, size_t i)
{
    size_t top;

    do {
        top = vowi_load_acquire(pile); /* [pile] */
        places[i].below = top;
        places[i].height = top != 0 ? places[top - 1].height + 1 : 1;
    } while (!vowi_cas_release(pile, &top, i + 1)); /* [pile] */
    return places[i].height;
}

static bool
counts(struct vowi_join *j, size_t i, bool failed)
{
    struct some *some = vowi_join_own(j);

    if (failed)
        return put_on(&some->lost, some->places, i) == some->too_many;
    return put_on(&some->won, some->places, i) == some->wanted;
}

/* Keeps what is in the pile from input `by` down, oldest first, and says which it is. */
static void
keep_pile(struct vowi_join *j, struct some *some, size_t by)
{
    vow_future **inputs = vowi_join_inputs(j);

    for (size_t i = by + 1; i != 0; i = some->places[i - 1].below) {
        size_t at = some->places[i - 1].height - 1;

        some->kept[at] = inputs[i - 1];
        some->indices[at] = i - 1;
        inputs[i - 1] = NULL;
    }
}

/* The same, each at its own index. */
static void
keep_failed(struct vowi_join *j, struct some *some, size_t by)
{
    vow_future **inputs = vowi_join_inputs(j);

    for (size_t i = by + 1; i != 0; i = some->places[i - 1].below) {
        some->kept[i - 1] = vowi_failed(inputs[i - 1]);
        inputs[i - 1] = NULL;
    }
}

static bool
conclude_at_once(struct vowi_join *j, struct some *some)
{
    if (vowi_join_count(j) == 0)
        vowi_join_reject(j, vow_error_of(VOW_E_EMPTY));
    else if (some->wanted > 0)
        vowi_join_reject(j, vow_error_new_at(NULL, VOW_E_INVALID,
                                             "vow_some: %zu are wanted of %zu futures",
                                             some->wanted, vowi_join_count(j)));
    else
        vowi_results_fulfill(&some->results);
    return vowi_join_count(j) != 0 && some->wanted == 0;
}

static bool
conclude(struct vowi_join *j, size_t by)
{
    struct some *some = vowi_join_own(j);

    some->results.join = j;
    if (by == VOWI_ALL)
        return conclude_at_once(j, some);
    if (vow_peek(vowi_join_inputs(j)[by]).error != NULL) {
        keep_failed(j, some, by);
        vowi_reject_for_all(j, &some->failed, some->kept);
        return true;
    }
    keep_pile(j, some, by);
    some->results.items = some->kept;
    some->results.indices = some->indices;
    some->results.count = some->wanted;
    vowi_results_fulfill(&some->results);
    return true;
}

static const struct vowi_join_kind some_kind = {.counts = counts, .conclude = conclude};
static const struct vowi_join_kind at_once_kind = {.at_once = true, .conclude = conclude};

/* Whether k of n is decided before any of them settles. */
static bool
is_decided(size_t k, size_t n)
{
    return k == 0 || k > n;
}

static vow_future *
combine(const vow_combine_options *opt, size_t k, vow_future *const *fs, size_t n,
        const void *site)
{
    size_t each = sizeof(struct place) + sizeof(vow_future *) + sizeof(size_t);
    size_t own = n < SIZE_MAX / 2 / each ? sizeof(struct some) + n * each : SIZE_MAX / 2;
    struct vowi_join *j = vowi_combine_new(is_decided(k, n) ? &at_once_kind : &some_kind,
                                           own, opt, fs, n, site);
    struct some *some;

    if (j == NULL)
        return NULL;
    some = vowi_join_own(j);
    some->wanted = k;
    some->too_many = n - k + 1;
    some->kept = (vow_future **)(void *)(some->places + n);
    some->indices = (size_t *)(void *)(some->kept + n);
    return vowi_join_start(j, fs);
}

vow_future *
vow_some(size_t k, vow_future *const *fs, size_t n)
{
    return combine(NULL, k, fs, n, __builtin_return_address(0));
}

vow_future *
vow_some_with(const vow_combine_options *opt, size_t k, vow_future *const *fs, size_t n)
{
    return combine(opt, k, fs, n, __builtin_return_address(0));
}
