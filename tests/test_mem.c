/* SPDX-License-Identifier: MIT */
/* Allocators that are refused, and the blocks that threads keep for one another. */
#include "support/vow_test.h"

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
    };

    return vow_test_run(cases);
}
