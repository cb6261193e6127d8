/* SPDX-License-Identifier: MIT */
/*
 * Whether the sweep sees what it looks for: a small subject, with one mistake at a time.
 */
#include "vow_test.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "subject.h"
#include "sweep.h"

bool
scenario_failed(void)
{
    return fault_happened();
}

/* Each case is run by cmocka, which would take a crash for one of its own. */
static void
die_of_crashes(void)
{
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
}

static size_t
live(void)
{
    return (size_t)fault_plain_blocks();
}

/* ---- the scenario ------------------------------------------------------------------- */

static void
run_and_drop(void *arg)
{
    drop_ran(arg);
    drop_it(arg);
}

static void
post_and_close(struct drop_set *d)
{
    struct subject *s = NULL;
    int code = subject_open(&s);

    if (code != 0) {
        assert_true(code == ENOMEM || code == EMFILE || code == EINTR || code == EACCES);
        return;
    }
    for (int i = 0; i < 3; i++) {
        vow_value arg = drop_set_new(d);

        code = subject_post(s, run_and_drop, arg.as.ptr);
        assert_true(code == 0 || code == ENOMEM);
        if (code != 0)
            vow_value_drop(arg);
    }
    subject_close(s);
}

static struct sweep_result
sweep_with(enum subject_seed seed)
{
    const struct sweep s = {.name = "subject",
                            .run = post_and_close,
                            .prepare = die_of_crashes,
                            .live = live,
                            .limit_ms = seed == SUBJECT_WAITS_FOR_EVER ? 100 : 0,
                            .gone_ms = seed == SUBJECT_LEAKS_A_THREAD ? 100 : 0,
                            .quiet = seed != SUBJECT_SOUND};

    subject_seed = seed;
    return sweep_all(&s);
}

/* All that was not clean ended in this way, and something did. */
static void
assert_seen(enum subject_seed seed, enum sweep_verdict verdict)
{
    struct sweep_result r = sweep_with(seed);

    assert_true(r.verdicts[verdict] > 0);
    assert_int_equal(sweep_wrong(&r), r.verdicts[verdict]);
}

/* Returns how often pthread_create in the subject was made to fail so far. */
static size_t
failed_threads(void)
{
    size_t failed = 0;

    for (size_t i = 0; i < fault_sites(); i++)
        if (strstr(fault_site(i)->file, "subject.c") != NULL &&
            strcmp(fault_site(i)->call, "pthread_create") == 0)
            failed += atomic_load(&sweep_count(i)->failed);
    return failed;
}

/* ---- what it sees ----------------------------------------------------------------------- */

VOW_CASE(what_is_sound_is_clean)
{
    struct sweep_result r = sweep_with(SUBJECT_SOUND);

    assert_int_equal(sweep_wrong(&r), 0);
    assert_int_equal(r.points, 6); /* four blocks, a file, a thread */
    assert_true(r.runs > 4 * r.points);
}

VOW_CASE(a_block_left_is_seen)
{
    assert_seen(SUBJECT_LEAKS_A_BLOCK, SWEEP_BLOCKS);
}

VOW_CASE(a_descriptor_left_is_seen)
{
    assert_seen(SUBJECT_LEAKS_A_FILE, SWEEP_FILES);
}

VOW_CASE(a_thread_left_is_seen)
{
    assert_seen(SUBJECT_LEAKS_A_THREAD, SWEEP_THREADS);
}

VOW_CASE(an_unchecked_malloc_is_seen)
{
    assert_seen(SUBJECT_TRUSTS_MALLOC, SWEEP_CRASH);
}

VOW_CASE(a_lost_callback_is_seen)
{
    assert_seen(SUBJECT_LOSES_A_CALLBACK, SWEEP_CALLBACKS);
}

VOW_CASE(a_callback_run_twice_is_seen)
{
    assert_seen(SUBJECT_RUNS_ONE_TWICE, SWEEP_CALLBACKS);
}

VOW_CASE(a_code_that_is_not_documented_is_seen)
{
    assert_seen(SUBJECT_LIES_ABOUT_WHY, SWEEP_CHECK);
}

VOW_CASE(a_hang_is_seen)
{
    assert_seen(SUBJECT_WAITS_FOR_EVER, SWEEP_HANG);
}

VOW_CASE(a_call_never_reached_never_failed)
{
    size_t before = failed_threads();
    struct sweep_result r = sweep_with(SUBJECT_FORGETS_A_CALL);

    assert_int_equal(sweep_wrong(&r), 0);
    assert_int_equal(failed_threads(), before);
    (void)sweep_with(SUBJECT_SOUND);
    assert_true(failed_threads() > before);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(what_is_sound_is_clean),
        vow_test(a_block_left_is_seen),
        vow_test(a_descriptor_left_is_seen),
        vow_test(a_thread_left_is_seen),
        vow_test(an_unchecked_malloc_is_seen),
        vow_test(a_lost_callback_is_seen),
        vow_test(a_callback_run_twice_is_seen),
        vow_test(a_code_that_is_not_documented_is_seen),
        vow_test(a_hang_is_seen),
        vow_test(a_call_never_reached_never_failed),
    };

    sweep_init();
    return vow_test_run(cases);
}
