/* SPDX-License-Identifier: MIT */
/*
 * litmus_spins.c - who spins, and who only looks again (spins.c).
 *
 * Each is searched in full as well: a loop that is not taken for one would have no end,
 * and a thread that is held back although it does not spin would miss outcomes.
 */
#include <stdatomic.h>

#include "explore.h"

static atomic_int x, y;
static int old, seen;

static int
load(atomic_int *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static void
writes_x(void)
{
    atomic_store_explicit(&x, 1, memory_order_release);
}

static void
writes_twice(void)
{
    writes_x();
    atomic_store_explicit(&x, 2, memory_order_release);
}

static void
writes_y(void)
{
    atomic_store_explicit(&y, 1, memory_order_release);
}

static void
reads_at_five_places(void)
{
    old += load(&x) == 0;
    old += load(&x) == 0;
    old += load(&x) == 0;
    old += load(&x) == 0;
    old += load(&x) == 0;
}

LITMUS(five_reads, FULL, "five reads of a word are no loop", EXPECTED("0", "all late"),
       EXPECTED("1", "one early"), EXPECTED("2", "two early"),
       EXPECTED("3", "three early"), EXPECTED("4", "four early"),
       EXPECTED("5", "all early"))
{
    run_threads(writes_x, reads_at_five_places);
    outcome("%d", old);
}

static __attribute__((noinline)) int
load_at_one_place(atomic_int *word)
{
    return load(word);
}

static void
reads_by_calls(void)
{
    int n = load_at_one_place(&x) == 0;

    n += load_at_one_place(&x) == 0;
    n += load_at_one_place(&x) == 0;
    n += load_at_one_place(&x) == 0;
    old = n;
}

LITMUS(four_calls, FULL, "four calls that read a word are no loop",
       EXPECTED("0", "all late"), EXPECTED("1", "one early"), EXPECTED("2", "two early"),
       EXPECTED("3", "three early"), EXPECTED("4", "all early"))
{
    run_threads(writes_x, reads_by_calls);
    outcome("%d", old);
}

static void
reads_so_often(void)
{
    int n = 0;

    for (int i = 0; i < 5 && load(&x) == 0; i++)
        n++;
    old = n;
}

LITMUS(bounded_loop, FULL, "a loop that counts its rounds ends by itself",
       EXPECTED("0", "at once"), EXPECTED("1", "in the second round"),
       EXPECTED("2", "in the third round"), EXPECTED("3", "in the fourth round"),
       EXPECTED("4", "in the last round"), EXPECTED("5", "it gives up"))
{
    run_threads(writes_x, reads_so_often);
    outcome("%d", old);
}

static void
waits_for_x(void)
{
    while (load(&x) == 0)
        ;
    seen = load(&x);
}

LITMUS(spin, FULL, "a loop waits for a word", EXPECTED("1", "woken by the first store"),
       EXPECTED("2", "the second one was there"))
{
    run_threads(writes_twice, waits_for_x);
    outcome("%d", seen);
}

static void
waits_at_places(void)
{
    int first;

    do {
        first = load(&x);
        if (first == 1 && load(&x) == 1)
            break;
    } while (load(&x) != 2);
    seen = first;
}

LITMUS(spin_at_places, FULL, "a loop looks at a word in several places",
       EXPECTED("0", "both stores came in between"), EXPECTED("1", "in between"),
       EXPECTED("2", "it has the last store"))
{
    run_threads(writes_twice, waits_at_places);
    outcome("%d", seen);
}

static void
waits_for_either(void)
{
    while (load(&x) == 0 && load(&y) == 0)
        ;
    seen = load(&x) + 2 * load(&y);
}

LITMUS(spin_on_two, FULL, "a loop waits for one of two words",
       EXPECTED("1", "the first one"), EXPECTED("2", "the second one"),
       EXPECTED("3", "both"))
{
    run_threads(writes_x, waits_for_either, writes_y);
    outcome("%d", seen);
}

static void
waits_unrolled(void)
{
    while (load(&x) == 0 && load(&x) == 0 && load(&x) == 0)
        ;
    seen = load(&x);
}

LITMUS(spin_unrolled, FULL, "a loop whose rounds were made three of",
       EXPECTED("1", "woken by the first store"),
       EXPECTED("2", "the second one was there"))
{
    run_threads(writes_twice, waits_unrolled);
    outcome("%d", seen);
}

static void
waits_and_counts(void)
{
    int rounds = 0;

    while (load(&x) == 0 && rounds < 3)
        rounds++;
    while (load(&y) == 0)
        ;
    old = rounds;
}

LITMUS(spin_after_tries, FULL, "some tries, then a loop", EXPECTED("0", "at once"),
       EXPECTED("1", "one try"), EXPECTED("2", "two tries"), EXPECTED("3", "in vain"))
{
    run_threads(writes_x, waits_and_counts, writes_y);
    outcome("%d", old);
}
