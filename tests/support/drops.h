/* SPDX-License-Identifier: MIT */
/**
 * @file drops.h
 * Values and contexts whose drops are counted, a journal of what happened in which
 * order, and two words for tests with threads.
 *
 *     struct drop d = {0};
 *
 *     vow_promise_fulfill(p, drop_value(&d));
 *     ...
 *     assert_int_equal(drop_count(&d), 1);
 */
#ifndef VOW_TEST_DROPS_H
#define VOW_TEST_DROPS_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <vow/vow.h>

/** What happened, in order, a letter each. One thread at a time. */
struct journal {
    size_t used;
    char text[64];
};

/** Adds a letter; what does not fit shows as a text that is too long to match. */
static inline void
journal_add(struct journal *j, char mark)
{
    if (j->used < sizeof j->text - 1)
        j->text[j->used++] = mark;
}

/** Something to be dropped exactly once. Zero is the start of it. */
struct drop {
    atomic_int dropped;
    atomic_int ran;          /* how often its function ran, if that says so */
    struct journal *journal; /* NULL: none */
    char mark;               /* added to the journal as it is dropped */
    pthread_t thread;        /* where it was dropped last */
};

/** The drop of drop_value. */
static inline void
drop_it(void *p)
{
    struct drop *d = (struct drop *)p;

    if (d->journal != NULL)
        journal_add(d->journal, d->mark);
    d->thread = pthread_self();
    atomic_fetch_add(&d->dropped, 1);
}

/** Returns an owned value or context whose drop @p d counts. */
static inline vow_value
drop_value(struct drop *d)
{
    return vow_own(d, drop_it);
}

/** Returns how often it was dropped. */
static inline int
drop_count(struct drop *d)
{
    return atomic_load(&d->dropped);
}

/** Says that the function whose context @p ctx is has run; NULL counts nothing. */
static inline void
drop_ran(void *ctx)
{
    struct drop *d = (struct drop *)ctx;

    if (d != NULL)
        atomic_fetch_add(&d->ran, 1 + 1000 * drop_count(d)); /* not after its drop */
}

/** Returns an error of a code that counts in @p d when it is freed. */
static inline vow_error *
drop_error(struct drop *d, int code)
{
    return vow_error_attach(vow_error_new(code, "counted"), drop_value(d));
}

/** As many droppables as a scenario wants, each to be dropped exactly once. */
struct drop_set {
    atomic_size_t used;
    struct drop slots[64];
};

/** Forgets all. */
static inline void
drop_set_clear(struct drop_set *s)
{
    for (size_t i = 0; i < sizeof s->slots / sizeof s->slots[0]; i++) {
        atomic_store(&s->slots[i].dropped, 0);
        atomic_store(&s->slots[i].ran, 0);
    }
    atomic_store(&s->used, 0);
}

/** Returns a value or context of the set. */
static inline vow_value
drop_set_new(struct drop_set *s)
{
    return drop_value(&s->slots[atomic_fetch_add(&s->used, 1)]);
}

/** Returns how many were handed out and not dropped exactly once, or ran twice. */
static inline size_t
drop_set_wrong(struct drop_set *s)
{
    size_t wrong = 0;

    for (size_t i = 0; i < atomic_load(&s->used); i++)
        wrong += drop_count(&s->slots[i]) != 1 || atomic_load(&s->slots[i].ran) > 1;
    return wrong;
}

/** Waits, giving the CPU away, until another thread has set a flag. */
static inline void
await_flag(atomic_int *flag, int at_least)
{
    while (atomic_load(flag) < at_least)
        sched_yield();
}

/** The code of the outcome of a future that is still held; 0 if it is fulfilled. */
static inline int
code_of(vow_future *f)
{
    return vow_error_code(vow_get(f).error);
}

#endif
