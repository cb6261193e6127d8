/* SPDX-License-Identifier: MIT */
/* seeded_faults.c - one program for each sort of fault that the explorer reports. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "explore.h"

static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t second = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static atomic_int flag;
static int plain;
static char copy[8];
static int *volatile shared;
static int *_Atomic published;

static void
nothing(void)
{
}

static void
writes_late(void)
{
    atomic_store_explicit(&flag, 1, memory_order_release);
    plain = 1; /* after what releases it */
}

static void
reads_if_flag(void)
{
    if (atomic_load_explicit(&flag, memory_order_acquire) != 0)
        plain = 2;
}

SEEDED(late_write, "data race", "a write that comes after the release")
{
    run_threads(writes_late, reads_if_flag);
    require(plain != 0);
    outcome("fine");
}

static void
locks_forth(void)
{
    pthread_mutex_lock(&first);
    pthread_mutex_lock(&second);
    pthread_mutex_unlock(&second);
    pthread_mutex_unlock(&first);
}

static void
locks_back(void)
{
    pthread_mutex_lock(&second);
    pthread_mutex_lock(&first);
    pthread_mutex_unlock(&first);
    pthread_mutex_unlock(&second);
}

SEEDED(lock_order, "deadlock", "two locks in two orders")
{
    run_threads(locks_forth, locks_back);
    outcome("fine");
}

static void
waits_once(void)
{
    pthread_mutex_lock(&first);
    if (atomic_load(&flag) == 0) /* not a loop */
        pthread_cond_wait(&cond, &first);
    require(atomic_load(&flag) == 1);
    pthread_mutex_unlock(&first);
}

static void
signals_twice(void)
{
    pthread_cond_signal(&cond); /* of something else */
    pthread_mutex_lock(&first);
    atomic_store(&flag, 1);
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&first);
}

SEEDED(wait_without_loop, "requirement", "a wait that is not a loop")
{
    run_threads(waits_once, signals_twice);
    outcome("fine");
}

static void
frees(void)
{
    free(shared);
}

SEEDED(free_twice, "double free", "two threads free one block")
{
    shared = malloc(8);
    run_threads(frees, nothing);
    frees();
    outcome("fine");
}

SEEDED(leak, "leak", "a block is forgotten")
{
    shared = malloc(8);
    run_threads(nothing, nothing);
    if (atomic_load(&flag) != 0)
        free(shared);
    outcome("fine");
}

SEEDED(overflow, "bad access", "a write behind a block")
{
    shared = malloc(8);
    run_threads(nothing, nothing);
    shared[2] = 1;
    free(shared);
    outcome("fine");
}

static void
publishes_frame(void)
{
    int local = 1;

    atomic_store(&published, &local);
}

static void
uses_frame(void)
{
    int *at = atomic_load(&published);

    if (at != NULL)
        *at = 2;
}

SEEDED(left_frame, "bad access", "a pointer into a frame that was left")
{
    run_threads(publishes_frame);
    run_threads(uses_frame);
    outcome("fine");
}

static void
spins(void)
{
    while (atomic_load(&flag) != 2)
        ;
}

static void
sets_wrong(void)
{
    atomic_store(&flag, 1);
}

SEEDED(endless, "no end", "a thread spins for what never comes")
{
    run_threads(spins, sets_wrong);
    outcome("fine");
}

static void
destroys(void)
{
    pthread_mutex_lock(&first);
    pthread_mutex_unlock(&first);
    pthread_mutex_destroy(&first);
}

static void
locks(void)
{
    pthread_mutex_lock(&first);
    pthread_mutex_unlock(&first);
}

SEEDED(destroyed_mutex, "bad access", "a mutex is destroyed too early")
{
    run_threads(destroys, locks);
    outcome("fine");
}

static void *
ends(void *arg)
{
    return arg;
}

SEEDED(unjoined, "leak", "a thread that nobody joins")
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, ends, NULL) == 0 && atomic_load(&flag) != 0)
        pthread_join(thread, NULL);
    outcome("fine");
}

static void
copies(void)
{
    memcpy(copy, shared, sizeof copy);
}

static void
clears(void)
{
    memset(shared, 0, 8);
}

SEEDED(copy_race, "data race", "memcpy against memset")
{
    shared = malloc(8);
    run_threads(copies, clears);
    require(copy[0] != 1);
    free(shared);
    outcome("fine");
}
