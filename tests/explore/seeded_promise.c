/* SPDX-License-Identifier: MIT */
/*
 * seeded_promise.c - a small promise with five bugs put in on purpose.
 *
 * 1 reads and stores where it must exchange, 2 signals without the lock, 3 orders two
 * flags by acquire and release where only seq_cst does, 4 publishes the value relaxed,
 * 5 gives its reference back before its last use. Bug 0 is none.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "explore.h"

struct promise {
    atomic_int settled; /* 0: pending, 1: a callback is attached, 2: settled */
    atomic_int refs;
    atomic_bool waited_for;
    int value;
    void (*callback)(int value);
    pthread_mutex_t mutex;
    pthread_cond_t cond;
};

static int bug;
static struct promise *p;
static int called_with, got;

static struct promise *
promise_new(int refs)
{
    struct promise *made = malloc(sizeof *made);

    atomic_init(&made->settled, 0);
    atomic_init(&made->refs, refs);
    atomic_init(&made->waited_for, false);
    pthread_mutex_init(&made->mutex, NULL);
    pthread_cond_init(&made->cond, NULL);
    return made;
}

static void
promise_drop(struct promise *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_cond_destroy(&s->cond);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

static int
publish(struct promise *s)
{
    int before;

    switch (bug) {
    case 1:
        before = atomic_load_explicit(&s->settled, memory_order_acquire);
        atomic_store(&s->settled, 2);
        return before;
    case 3:
        return atomic_exchange_explicit(&s->settled, 2, memory_order_acq_rel);
    case 4:
        return atomic_exchange_explicit(&s->settled, 2, memory_order_relaxed);
    default:
        return atomic_exchange(&s->settled, 2);
    }
}

static bool
is_waited_for(struct promise *s)
{
    if (bug == 3)
        return atomic_load_explicit(&s->waited_for, memory_order_acquire);
    return atomic_load(&s->waited_for);
}

static void
wake_waiter(struct promise *s)
{
    if (bug != 2)
        pthread_mutex_lock(&s->mutex);
    pthread_cond_broadcast(&s->cond);
    if (bug != 2)
        pthread_mutex_unlock(&s->mutex);
}

static void
promise_set(struct promise *s, int value)
{
    s->value = value;
    if (publish(s) == 1)
        s->callback(value);
    if (bug == 5)
        promise_drop(s);
    if (is_waited_for(s))
        wake_waiter(s);
    if (bug != 5)
        promise_drop(s);
}

static void
promise_then(struct promise *s, void (*callback)(int value))
{
    int pending = 0;

    s->callback = callback;
    if (!atomic_compare_exchange_strong(&s->settled, &pending, 1))
        callback(s->value);
    promise_drop(s);
}

static bool
is_settled(struct promise *s)
{
    if (bug == 3)
        return atomic_load_explicit(&s->settled, memory_order_acquire) == 2;
    return atomic_load(&s->settled) == 2;
}

static int
promise_get(struct promise *s)
{
    int value;

    if (!is_settled(s)) {
        pthread_mutex_lock(&s->mutex);
        if (bug == 3)
            atomic_store_explicit(&s->waited_for, true, memory_order_release);
        else
            atomic_store(&s->waited_for, true);
        while (!is_settled(s))
            pthread_cond_wait(&s->cond, &s->mutex);
        pthread_mutex_unlock(&s->mutex);
    }
    value = s->value;
    promise_drop(s);
    return value;
}

static void
note(int value)
{
    called_with = value;
}

static void
sets(void)
{
    promise_set(p, 42);
}

static void
attaches(void)
{
    promise_then(p, note);
}

static void
gets(void)
{
    got = promise_get(p);
}

static void
set_then_get(int which)
{
    bug = which;
    p = promise_new(3);
    run_threads(sets, attaches, gets);
    require(called_with == 42 && got == 42);
    outcome("fine");
}

static void
set_get(int which)
{
    bug = which;
    p = promise_new(2);
    run_threads(sets, gets);
    require(got == 42);
    outcome("fine");
}

LITMUS(small_promise, FULL, "the small promise without a bug",
       EXPECTED("fine", "called, and got"))
{
    set_get(0);
}

SEEDED(promise_1, "requirement", "lost callback")
{
    set_then_get(1);
}

SEEDED(promise_2, "deadlock", "lost wake-up: signal without the lock")
{
    set_get(2);
}

SEEDED(promise_3, "deadlock", "lost wake-up: weak memory alone shows it")
{
    set_get(3);
}

SEEDED(promise_4, "data race", "value published relaxed")
{
    set_get(4);
}

SEEDED(promise_5, "bad access or data race", "reference given back before the last use")
{
    set_get(5);
}
