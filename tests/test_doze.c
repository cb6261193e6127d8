/* SPDX-License-Identifier: MIT */
/* Dozing: until a time has come, or somebody who is awake has said so. */
#include "vow_test.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vow/vow.h>

#include "pool_fixture.h"
#include "sync/doze.h"
#include "sync/gate.h"

/* A doze is ended as it sees that its time is over. */
static bool ends_late;

bool __real_vowi_gate_pass_until(struct vowi_gate *g, vow_ns until);
bool __wrap_vowi_gate_pass_until(struct vowi_gate *g, vow_ns until);

bool
__wrap_vowi_gate_pass_until(struct vowi_gate *g, vow_ns until)
{
    bool passed = __real_vowi_gate_pass_until(g, until);

    if (ends_late) {
        assert_false(passed);
        vowi_doze_end();
    }
    return passed;
}

/* A thread that dozes, with no end of its own. */
struct sleeper {
    pthread_t thread;
    vow_ns until;
    atomic_bool awake;
    bool ended;
};

static void *
dozes(void *sleeper)
{
    struct sleeper *s = sleeper;

    s->ended = vowi_doze(s->until, VOW_FOREVER);
    atomic_store(&s->awake, true);
    return NULL;
}

/* Returns when those who look can see it, or have seen it. */
static void
start(struct sleeper *s, vow_ns until)
{
    s->until = until;
    atomic_store(&s->awake, false);
    assert_int_equal(pthread_create(&s->thread, NULL, dozes, s), 0);
    while (vowi_doze_until() == 0 && !atomic_load(&s->awake))
        sched_yield();
}

static void
join(struct sleeper *s)
{
    pthread_join(s->thread, NULL);
    assert_true(s->ended);
    assert_true(vowi_doze_until() == 0);
    assert_null(vowi_load_relaxed(&vowi_globals.dozer));
}

VOW_CASE(doze_that_nobody_ends_lasts_until_the_latest_time)
{
    vow_ns latest = vow_now() + vow_ms(2);

    assert_false(vowi_doze(1, latest));
    assert_true(vow_now() >= latest);
    assert_true(vowi_doze_until() == 0);
    vowi_doze_look(); /* nobody is there */
    vowi_doze_end();
}

VOW_CASE(doze_is_ended_by_who_looks_when_it_is_time)
{
    struct sleeper s;

    for (int i = 0; i < 100; i++) {
        start(&s, VOW_FOREVER);
        vowi_doze_look(); /* it is not */
        assert_true(vowi_doze_until() == VOW_FOREVER);
        vowi_doze_end();
        join(&s);
        start(&s, 1);
        vowi_doze_look();
        join(&s);
    }
}

/* Somebody is looked after already. */
VOW_CASE(doze_of_another_thread_meanwhile_ends_by_itself)
{
    struct sleeper s;
    vow_ns until;

    start(&s, VOW_FOREVER);
    until = vow_now() + vow_ms(1);
    assert_false(vowi_doze(until, VOW_FOREVER));
    assert_true(vow_now() >= until);
    assert_false(atomic_load(&s.awake));
    vowi_doze_end();
    join(&s);
}

/* Whoever has taken it off opens its gate, which is waited for. */
VOW_CASE(doze_that_is_ended_after_its_time_was_ended)
{
    ends_late = true;
    assert_true(vowi_doze(1, 1));
    ends_late = false;
    assert_true(vowi_doze_until() == 0);
    assert_null(vowi_load_relaxed(&vowi_globals.dozer));
}

static void *
ends_again_and_again(void *stop)
{
    while (!atomic_load((atomic_bool *)stop))
        vowi_doze_end();
    return NULL;
}

/* Its time is over, and it goes on, whoever comes first. */
VOW_CASE(doze_that_is_ended_as_its_time_is_over_is_over)
{
    atomic_bool stop = false;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, ends_again_and_again, &stop), 0);
    for (int i = 0; i < 2000; i++)
        (void)vowi_doze(1, 1);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    assert_null(vowi_load_relaxed(&vowi_globals.dozer));
}

static void
wait_for(void *flag)
{
    while (!atomic_load((atomic_bool *)flag))
        sched_yield();
}

static void
do_nothing(void *ctx)
{
    (void)ctx;
}

/* The first task is over, and the second waits for the thread to be awake. */
VOW_CASE(doze_is_ended_by_a_worker_between_two_tasks)
{
    vow_executor *pool = pool_of(1);
    atomic_bool go = false;
    struct sleeper s;

    assert_int_equal(vow_post(pool, wait_for, vow_ptr(&go)), 0);
    assert_int_equal(vow_post(pool, wait_for, vow_ptr(&s.awake)), 0);
    start(&s, 1);
    atomic_store(&go, true);
    join(&s);
    pool_free(pool);
}

VOW_CASE(doze_is_ended_when_a_pool_has_nothing_left_to_do)
{
    vow_executor *pool = pool_of(2);
    struct sleeper s;

    for (int i = 0; i < 20; i++) {
        start(&s, VOW_FOREVER);
        assert_int_equal(vow_post(pool, do_nothing, VOW_NIL), 0);
        join(&s);
    }
    pool_free(pool);
}

/* Nobody dozes in the child, where that thread is not. */
VOW_CASE(doze_of_a_thread_that_a_fork_leaves_behind_is_none)
{
    vow_executor *pool = pool_of(1); /* fork is watched */
    struct sleeper s;
    int status;
    pid_t child;

    start(&s, VOW_FOREVER);
    child = fork();
    if (child == 0)
        _exit(vowi_doze_until() != 0 || vowi_load_relaxed(&vowi_globals.dozer) != NULL);
    assert_true(waitpid(child, &status, 0) == child);
    assert_int_equal(status, 0);
    vowi_doze_end();
    join(&s);
    pool_free(pool);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(doze_that_nobody_ends_lasts_until_the_latest_time),
        vow_test(doze_is_ended_by_who_looks_when_it_is_time),
        vow_test(doze_of_another_thread_meanwhile_ends_by_itself),
        vow_test(doze_that_is_ended_after_its_time_was_ended),
        vow_test(doze_that_is_ended_as_its_time_is_over_is_over),
        vow_test(doze_is_ended_by_a_worker_between_two_tasks),
        vow_test(doze_is_ended_when_a_pool_has_nothing_left_to_do),
        vow_test(doze_of_a_thread_that_a_fork_leaves_behind_is_none),
    };

    return vow_test_run(cases);
}
