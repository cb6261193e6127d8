/* SPDX-License-Identifier: MIT */
/*
 * support/lanes.h - rounds of a stress program: the case makes something, all lanes, a
 * thread each, act on it at once, and when they have, the case checks what came of it.
 */
#ifndef VOW_TEST_LANES_H
#define VOW_TEST_LANES_H

#include "vow_test.h"

#include <pthread.h>

#include "stress.h"

enum { LANES_MOST = 8 };

/* Static, so that a case that fails leaves its threads where they are. */
struct lanes {
    size_t count;
    void (*make)(struct dice *d);
    void (*act)(size_t lane, struct dice *d);
    void (*check)(void);

    struct lane {
        struct lanes *all;
        size_t index;
        struct dice dice;
        pthread_t thread;
    } lane[LANES_MOST];
    pthread_barrier_t line;
    bool over; /* the line orders what is written before it */
};

static inline void *
lane_run(void *ctx)
{
    struct lane *l = ctx;

    for (;;) {
        pthread_barrier_wait(&l->all->line);
        if (l->all->over)
            return NULL;
        l->all->act(l->index, &l->dice);
        pthread_barrier_wait(&l->all->line);
    }
}

static inline void
lanes_start(struct lanes *all, uint64_t seed)
{
    assert_true(all->count <= LANES_MOST);
    assert_int_equal(pthread_barrier_init(&all->line, NULL, (unsigned)all->count + 1), 0);
    for (size_t i = 0; i < all->count; i++) {
        struct lane *l = &all->lane[i];

        l->all = all;
        l->index = i;
        l->dice.state = (seed + i * 7919) | 1;
        assert_int_equal(pthread_create(&l->thread, NULL, lane_run, l), 0);
    }
}

static inline void
lanes_end(struct lanes *all)
{
    all->over = true;
    pthread_barrier_wait(&all->line);
    for (size_t i = 0; i < all->count; i++)
        pthread_join(all->lane[i].thread, NULL);
    pthread_barrier_destroy(&all->line);
}

/* Runs rounds for so long, at least one. */
static inline void
lanes_run(struct lanes *all, uint64_t seed, vow_ns duration)
{
    struct dice dice = {seed | 1};
    vow_ns end = vow_clock_now(NULL) + duration;

    lanes_start(all, seed);
    do {
        all->make(&dice);
        pthread_barrier_wait(&all->line);
        pthread_barrier_wait(&all->line);
        all->check();
    } while (vow_clock_now(NULL) < end);
    lanes_end(all);
}

#endif
