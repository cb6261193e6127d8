/* SPDX-License-Identifier: MIT */
/*
 * What has nothing to do uses no CPU at all: while seconds go by, no thread of an idle
 * pool, of an idle loop, or of the timers comes to a CPU even once. What is read is
 * what the kernel counts for each thread: time on a CPU, and switches.
 */
#include "support/vow_test.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vow/vow.h>

enum { MOST = 64, QUIET_MS = 100, QUIET_TRIES = 600, WATCH_MS = 10000 };

/* A thread, and what it has used. */
struct usage {
    long id;
    unsigned long long ticks;    /* of CPU time, user and system */
    unsigned long long ns;       /* the same, finer, where the kernel counts it */
    unsigned long long switches; /* from a CPU, voluntary or not */
};

struct threads {
    size_t count;
    struct usage of[MOST];
};

static FILE *
open_file(long id, const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/self/task/%ld/%s", id, name);
    return fopen(path, "re");
}

/* These return false if the thread has ended. */
static bool
read_ticks(struct usage *u)
{
    FILE *stat = open_file(u->id, "stat");
    unsigned long long user = 0, system = 0;
    int read;

    if (stat == NULL)
        return false;
    read = fscanf(stat,
                  "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
                  "%llu %llu",
                  &user, &system);
    fclose(stat);
    u->ticks = user + system;
    return read == 2;
}

static bool
read_ns(struct usage *u)
{
    FILE *schedstat = open_file(u->id, "schedstat");
    int read;

    u->ns = 0;
    if (schedstat == NULL)
        return true; /* it may not be counted */
    read = fscanf(schedstat, "%llu", &u->ns);
    fclose(schedstat);
    return read == 1;
}

static bool
read_switches(struct usage *u)
{
    FILE *status = open_file(u->id, "status");
    char line[256];

    if (status == NULL)
        return false;
    u->switches = 0;
    while (fgets(line, sizeof line, status) != NULL) {
        const char *count = strstr(line, "ctxt_switches:");

        if (count != NULL)
            u->switches += strtoull(count + strlen("ctxt_switches:"), NULL, 10);
    }
    fclose(status);
    return true;
}

static bool
is_among(const struct threads *t, long id)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->of[i].id == id)
            return true;
    return false;
}

/* Lists the threads of the process but those in `known`. */
static struct threads
list_threads(const struct threads *known)
{
    struct threads t = {0};
    DIR *tasks = opendir("/proc/self/task");

    assert_non_null(tasks);
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        long id = strtol(entry->d_name, NULL, 10);

        if (id <= 0 || is_among(known, id))
            continue;
        assert_true(t.count < MOST);
        t.of[t.count++].id = id;
    }
    closedir(tasks);
    return t;
}

static bool
read_usage(struct threads *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (!read_ns(&t->of[i]) || !read_ticks(&t->of[i]) || !read_switches(&t->of[i]))
            return false;
    }
    return true;
}

static void
pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    while (nanosleep(&t, &t) != 0)
        continue;
}

/* Returns whether they used nothing while so much time went by, and are all still there. */
static bool
use_nothing_for(struct threads *t, long ms)
{
    struct threads before;

    if (!read_usage(t))
        return false;
    before = *t;
    pause_ms(ms);
    return read_usage(t) && memcmp(&before, t, sizeof before) == 0;
}

static void *
no_op(void *unused)
{
    return unused;
}

/* The main thread, and what a sanitizer starts with the first of others. */
static struct threads not_ours;

static void
list_what_is_not_ours(void)
{
    static const struct threads none;
    pthread_t first;

    assert_int_equal(pthread_create(&first, NULL, no_op, NULL), 0);
    assert_int_equal(pthread_join(first, NULL), 0);
    not_ours = list_threads(&none);
}

/* What came before may take its time to end; nothing may come after. */
static void
assert_idle(size_t at_least)
{
    struct threads ours = list_threads(&not_ours);
    int tries = 0;

    while (!use_nothing_for(&ours, QUIET_MS)) {
        assert_true(++tries < QUIET_TRIES);
        ours = list_threads(&not_ours);
    }
    assert_true(ours.count >= at_least);
    assert_true(use_nothing_for(&ours, WATCH_MS));
}

/* What is there before the first case, and after each. */
static size_t stays;

/* A thread that was joined is listed for a moment longer. */
static void
await_what_stays(void)
{
    while (list_threads(&not_ours).count > stays)
        pause_ms(1);
}

static vow_result
own_number(void *number)
{
    return vow_ok(vow_i64((int64_t)(intptr_t)number));
}

static void
run_one(vow_executor *on)
{
    vow_future *f = vow_submit(on, own_number, vow_ptr((void *)(intptr_t)7));

    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
}

static void
free_pool(vow_executor *pool)
{
    vow_future *closed = vow_executor_close(pool, VOW_DRAIN);

    assert_true(vow_wait(closed, VOW_FOREVER));
    vow_unref(closed);
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
}

VOW_CASE(an_idle_pool_uses_no_cpu)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 4));

    for (int i = 0; i < 1000; i++)
        run_one(pool);
    assert_idle(4);
    run_one(pool); /* and it is still there */
    free_pool(pool);
    await_what_stays();
}

static void *
run_loop(void *loop)
{
    assert_int_equal(vow_loop_run(loop), 0);
    return NULL;
}

/* A timer that is due in an hour is no work before. */
VOW_CASE(an_idle_loop_and_the_timers_use_no_cpu)
{
    vow_loop *loop = vow_loop_new(NULL);
    vow_executor *on = vow_loop_executor(loop);
    vow_future *soon = vow_sleep(NULL, vow_ms(1)),
               *late = vow_sleep(NULL, vow_seconds(3600));
    vow_future *later = vow_submit_after(on, vow_seconds(3600), own_number, VOW_NIL);
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run_loop, loop), 0);
    assert_true(vow_wait(soon, VOW_FOREVER));
    run_one(on);
    assert_idle(2);
    vow_future_cancel(late, NULL);
    vow_future_cancel(later, NULL);
    vow_loop_stop(loop);
    assert_int_equal(pthread_join(thread, NULL), 0);
    await_what_stays();
    vow_unref(soon);
    vow_unref(late);
    vow_unref(later);
    vow_loop_unref(loop);
}

/* The process's timer thread, once started, stays. */
static int
start_what_stays(void **state)
{
    vow_future *f;

    (void)state;
    list_what_is_not_ours();
    f = vow_sleep(NULL, vow_ms(1));
    assert_true(vow_wait(f, VOW_FOREVER));
    vow_unref(f);
    stays = list_threads(&not_ours).count;
    return 0;
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(an_idle_pool_uses_no_cpu),
        vow_test(an_idle_loop_and_the_timers_use_no_cpu),
    };

    if (access("/proc/self/task", R_OK) != 0)
        return 0; /* no figures to read */
    return counting_install() != 0
               ? 1
               : cmocka_run_group_tests(cases, start_what_stays, NULL);
}
