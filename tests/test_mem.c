/* SPDX-License-Identifier: MIT */
/* Allocators that are refused, and the blocks that threads keep for one another. */
#include "support/vow_test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bundle.h"
#include "base/mem.h"
#include "support/drops.h"

/* These two come first: nothing has been allocated yet. */

VOW_CASE(allocator_without_one_of_its_functions_is_refused)
{
    const vow_allocator whole = counting_hooks();

    for (int missing = 0; missing < 3; missing++) {
        vow_allocator a = whole;

        if (missing == 0)
            a.alloc = NULL;
        if (missing == 1)
            a.realloc = NULL;
        if (missing == 2)
            a.free = NULL;
        assert_int_equal(vow_set_allocator(&a), VOW_E_INVALID);
    }
}

VOW_CASE(allocator_set_before_the_first_allocation_is_used)
{
    const vow_allocator whole = counting_hooks();
    size_t calls = counting_calls();
    vow_promise *p;

    assert_int_equal(vow_set_allocator(NULL), 0);
    assert_int_equal(vow_set_allocator(&whole), 0);
    p = vow_promise_new();
    assert_int_equal(counting_calls(), calls + 1);
    vow_promise_unref(p);
}

VOW_CASE(allocator_set_after_the_first_allocation_is_refused)
{
    const vow_allocator whole = counting_hooks();

    vow_promise_unref(vow_promise_new());
    assert_int_equal(vow_set_allocator(&whole), VOW_E_INVALID);
    assert_int_equal(vow_set_allocator(NULL), VOW_E_INVALID);
}

/* ---- blocks kept for reuse ------------------------------------------------------------ */

enum { SIZE = 64, MOST = 3 * VOWI_BATCH };

static void
alloc_and_free(size_t n)
{
    void *blocks[MOST];

    for (size_t i = 0; i < n; i++) {
        blocks[i] = vowi_alloc(SIZE);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
    }
    for (size_t i = 0; i < n; i++)
        vowi_free(blocks[i], SIZE);
}

/* Whatever number of blocks a thread has kept, all go back. */
VOW_CASE(trim_gives_back_any_number_of_blocks)
{
    size_t live = counting_live();

    for (size_t n = 1; n <= MOST; n++) {
        alloc_and_free(n);
        assert_int_equal(counting_live(), live);
    }
}

static void *
alloc_and_exit(void *n)
{
    alloc_and_free(*(size_t *)n);
    return NULL;
}

static void
on_a_thread(size_t n)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, alloc_and_exit, &n), 0);
    pthread_join(thread, NULL);
}

/* Those in full batches are there for others, the rest went back to the allocator. */
VOW_CASE(thread_that_exits_leaves_full_batches_to_others)
{
    size_t calls;

    for (size_t n = 1; n <= MOST; n++) {
        size_t kept = VOW_BLOCK_CACHE ? n / VOWI_BATCH * VOWI_BATCH : 0;

        vow_trim();
        on_a_thread(n);
        calls = counting_calls();
        alloc_and_free(n);
        assert_int_equal(counting_calls() - calls, n - kept);
    }
}

/* A thread takes back what it freed, however much of it that is. */
VOW_CASE(thread_reuses_the_blocks_that_it_freed)
{
    size_t calls;

    if (!VOW_BLOCK_CACHE)
        return;
    alloc_and_free(2 * VOWI_BATCH);
    calls = counting_calls();
    alloc_and_free(2 * VOWI_BATCH);
    assert_int_equal(counting_calls(), calls);
}

/* ---- bundles -------------------------------------------------------------------------- */

enum { SOME_BUNDLES = 2 * VOWI_BUNDLE + 1 };

struct bundled {
    void *block;
    unsigned index;
};

static void
make_bundled(struct bundled *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        all[i].block = vowi_bundle_alloc(vowi_self(), &all[i].index);
        assert_non_null(all[i].block);
        assert_int_equal((uintptr_t)all[i].block % 16, 0);
        memset(all[i].block, (int)i & 0xff, VOWI_BUNDLED_SIZE);
    }
}

static void
give_back(const struct bundled *b)
{
    vowi_bundle_free(vowi_self(), b->block, b->index);
}

VOW_CASE(blocks_of_a_bundle_are_apart_and_take_one_allocation)
{
    struct bundled all[SOME_BUNDLES];
    size_t calls = counting_calls();

    vow_trim();
    make_bundled(all, SOME_BUNDLES);
    assert_int_equal(counting_calls() - calls, 3);
    for (size_t i = 0; i < SOME_BUNDLES; i++)
        for (size_t at = 0; at < VOWI_BUNDLED_SIZE; at++)
            assert_int_equal(((unsigned char *)all[i].block)[at], i & 0xff);
    for (size_t i = 0; i < SOME_BUNDLES; i++)
        give_back(&all[i]);
}

/* In the order of giving, against it, and from several in turn. */
VOW_CASE(bundles_go_however_many_blocks_in_whatever_order)
{
    struct bundled all[SOME_BUNDLES];
    size_t live = counting_live();

    for (size_t n = 1; n <= SOME_BUNDLES; n += n < 4 ? 1 : 27) {
        make_bundled(all, n);
        for (size_t i = 0; i < n; i++)
            give_back(&all[i]);
        assert_int_equal(counting_live(), live);
        make_bundled(all, n);
        for (size_t i = n; i-- > 0;)
            give_back(&all[i]);
        assert_int_equal(counting_live(), live);
        make_bundled(all, n);
        for (size_t i = 0; i < n; i++)
            give_back(&all[i * 89 % n]); /* prime to each n */
        assert_int_equal(counting_live(), live);
    }
}

VOW_CASE(block_that_is_not_given_back_keeps_its_bundle)
{
    struct bundled all[2];
    size_t live = counting_live();

    make_bundled(all, 2);
    give_back(&all[0]);
    assert_int_equal(counting_live(), live + 1);
    give_back(&all[1]);
    assert_int_equal(counting_live(), live);
}

static void *
give_all_back(void *all)
{
    for (struct bundled *b = all; b < (struct bundled *)all + SOME_BUNDLES; b += 2)
        give_back(b);
    return NULL;
}

VOW_CASE(bundles_go_if_several_threads_give_back)
{
    struct bundled all[SOME_BUNDLES + 1];
    size_t live = counting_live();
    pthread_t thread;

    make_bundled(all, SOME_BUNDLES + 1);
    assert_int_equal(pthread_create(&thread, NULL, give_all_back, &all[1]), 0);
    give_all_back(all);
    pthread_join(thread, NULL);
    assert_int_equal(counting_live(), live);
}

static void *
leave_a_bundle(void *block)
{
    make_bundled(block, 1);
    return NULL;
}

VOW_CASE(bundle_of_a_thread_that_has_exited_goes_with_its_last_block)
{
    struct bundled one = {NULL, 0};
    size_t live = counting_live();
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, leave_a_bundle, &one), 0);
    pthread_join(thread, NULL);
    assert_int_equal(counting_live(), live + 1);
    give_back(&one);
    assert_int_equal(counting_live(), live);
}

VOW_CASE(bundle_without_memory_is_none)
{
    unsigned index;

    counting_fail_at(1, COUNTING_ONCE);
    assert_null(vowi_bundle_alloc(vowi_self(), &index));
    assert_true(counting_failed());
    counting_fail_at(0, COUNTING_ONCE);
}

/* ---- more than the caches hold -------------------------------------------------------- */

VOW_CASE(yield_in_which_few_bundles_ended_keeps_from_others_for_many_times_as_long)
{
    assert_int_equal(vowi_bundle_rest(1000, 9000, 1), 9000);
    assert_int_equal(vowi_bundle_rest(1000, 1000, 0), 1000);
    assert_int_equal(vowi_bundle_rest(1000, 9000, 0), 9000 + 32 * 8000);
    assert_int_equal(vowi_bundle_rest(0, 3000000, 10), 3000000 + 32 * 3000000LL);
}

enum { LOTS = (VOWI_BUNDLES_MANY + 6 * VOWI_BUNDLES_PART) * VOWI_BUNDLE };

static void *
make_a_part(void *all)
{
    make_bundled(all, VOWI_BUNDLES_PART * VOWI_BUNDLE);
    return NULL;
}

static struct bundled *
make_in_another_thread(struct bundled *all)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, make_a_part, all), 0);
    pthread_join(thread, NULL);
    return all + (size_t)VOWI_BUNDLES_PART * VOWI_BUNDLE;
}

static struct bundled *
make_part(struct bundled *all)
{
    make_a_part(all);
    return all + (size_t)VOWI_BUNDLES_PART * VOWI_BUNDLE;
}

/* Only a thread that is not alone at it, and no worker, and not before its time. */
VOW_CASE(thread_yields_as_it_begins_one_of_many_bundles)
{
    struct vowi_thread *t = vowi_self();
    struct bundled *all = calloc(LOTS, sizeof *all);
    struct bundled *at = all;

    assert_non_null(all);
    vow_trim();
    t->bundles_yield_from = 0;
    while (at < all + (size_t)VOWI_BUNDLES_MANY * VOWI_BUNDLE)
        at = make_part(at);
    assert_int_equal(t->bundles_yield_from, 0);
    t->worker = (struct vowi_worker *)(void *)t; /* none is looked at */
    at = make_in_another_thread(at);
    at = make_part(at);
    t->worker = NULL;
    assert_int_equal(t->bundles_yield_from, 0);
    at = make_in_another_thread(at);
    at = make_part(at);
    assert_int_not_equal(t->bundles_yield_from, 0);
    t->bundles_yield_from = INT64_MAX;
    at = make_in_another_thread(at);
    at = make_part(at);
    assert_int_equal(t->bundles_yield_from, INT64_MAX);
    t->bundles_yield_from = 0;
    while (at > all)
        give_back(--at);
    free(all);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(allocator_without_one_of_its_functions_is_refused),
        vow_test(allocator_set_before_the_first_allocation_is_used),
        vow_test(allocator_set_after_the_first_allocation_is_refused),
        vow_test(trim_gives_back_any_number_of_blocks),
        vow_test(thread_that_exits_leaves_full_batches_to_others),
        vow_test(thread_reuses_the_blocks_that_it_freed),
        vow_test(blocks_of_a_bundle_are_apart_and_take_one_allocation),
        vow_test(bundles_go_however_many_blocks_in_whatever_order),
        vow_test(block_that_is_not_given_back_keeps_its_bundle),
        vow_test(bundles_go_if_several_threads_give_back),
        vow_test(bundle_of_a_thread_that_has_exited_goes_with_its_last_block),
        vow_test(bundle_without_memory_is_none),
        vow_test(
            yield_in_which_few_bundles_ended_keeps_from_others_for_many_times_as_long),
        vow_test(thread_yields_as_it_begins_one_of_many_bundles),
    };

    return vow_test_run(cases);
}
