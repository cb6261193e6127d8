/* SPDX-License-Identifier: MIT */
/* A worker's deque, by one thread: its two ends, lists, growth, and what a thief may have. */
#include "vow_test.h"

#include "queue/deque.h"

enum { TASKS = 1000 };

static struct vowi_deque deque;
static vow_task task[TASKS];

static void
begin(void)
{
    assert_true(vowi_deque_init(&deque));
}

static void
push_up_to(int n)
{
    for (int i = 0; i < n; i++)
        assert_true(vowi_deque_push(&deque, &task[i], i % 2 == 0));
}

VOW_CASE(deque_gives_the_oldest_to_everybody)
{
    begin();
    push_up_to(TASKS); /* it grows on the way */
    assert_int_equal(vowi_deque_count(&deque), TASKS);
    for (int i = 0; i < TASKS; i++)
        assert_ptr_equal(vowi_deque_steal(&deque), &task[i]);
    assert_null(vowi_deque_steal(&deque));
    assert_true(vowi_deque_is_empty(&deque));
    vowi_deque_fini(&deque);
}

VOW_CASE(deque_gives_the_youngest_to_its_owner_if_it_is_the_one)
{
    begin();
    push_up_to(3);
    assert_false(vowi_deque_take_if(&deque, &task[1]));
    assert_true(vowi_deque_take_if(&deque, &task[2]));
    assert_true(vowi_deque_take_if(&deque, &task[1]));
    assert_ptr_equal(vowi_deque_steal(&deque), &task[0]);
    assert_false(vowi_deque_take_if(&deque, &task[0]));
    vowi_deque_fini(&deque);
}

VOW_CASE(deque_takes_as_much_of_a_list_as_it_is_told)
{
    begin();
    for (int i = 0; i < 4; i++)
        task[i].next = i < 3 ? &task[i + 1] : NULL;
    assert_ptr_equal(vowi_deque_push_list(&deque, &task[0], 3), &task[3]);
    assert_null(vowi_deque_push_list(&deque, &task[3], 3));
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(vowi_deque_steal(&deque), &task[i]);
    vowi_deque_fini(&deque);
}

VOW_CASE(deque_keeps_what_comes_of_something_else_from_who_steals_only_that)
{
    static const vow_task awaited, another;
    _Atomic(const vow_task *) now;

    begin();
    atomic_init(&now, &awaited);
    assert_null(vowi_deque_steal_while(&deque, &now, &awaited));
    push_up_to(2);
    assert_ptr_equal(vowi_deque_steal_while(&deque, &now, &awaited), &task[0]);
    vowi_store_relaxed(&now, &another); /* relaxed: there is one thread */
    assert_null(vowi_deque_steal_while(&deque, &now, &awaited));
    assert_int_equal(vowi_deque_count(&deque), 1);
    assert_ptr_equal(vowi_deque_steal_while(&deque, &now, &another), &task[1]);
    vowi_deque_fini(&deque);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(deque_gives_the_oldest_to_everybody),
        vow_test(deque_gives_the_youngest_to_its_owner_if_it_is_the_one),
        vow_test(deque_takes_as_much_of_a_list_as_it_is_told),
        vow_test(deque_keeps_what_comes_of_something_else_from_who_steals_only_that),
    };

    return vow_test_run(cases);
}
