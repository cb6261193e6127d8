/* SPDX-License-Identifier: MIT */
/* The doubly linked list. */
#include "vow_test.h"

#include "base/list.h"

struct item {
    int number;
    struct vowi_link link;
};

static struct vowi_list list;
static struct item items[3];

/* Lists 0, 1, 2. */
static int
fill(void **state)
{
    (void)state;
    vowi_list_init(&list);
    for (int i = 0; i < 3; i++) {
        items[i].number = i;
        vowi_list_push(&list, &items[i].link);
    }
    return 0;
}

/* Returns the numbers of what is listed as decimal digits, behind a 1. */
static int
listed(void)
{
    int digits = 1;

    vowi_list_each (link, &list)
        digits = digits * 10 + vowi_container_of(link, struct item, link)->number;
    return digits;
}

VOW_CASE(list_that_is_new_is_empty)
{
    struct vowi_list l;

    vowi_list_init(&l);

    assert_true(vowi_list_is_empty(&l));
    assert_null(vowi_list_pop(&l));
}

VOW_CASE(push_adds_at_the_end)
{
    assert_false(vowi_list_is_empty(&list));
    assert_int_equal(listed(), 1012);
}

VOW_CASE(remove_takes_the_first_a_middle_and_the_last_one)
{
    vowi_list_remove(&items[1].link);
    assert_int_equal(listed(), 102);
    vowi_list_remove(&items[2].link);
    assert_int_equal(listed(), 10);
    vowi_list_remove(&items[0].link);
    assert_true(vowi_list_is_empty(&list));
}

VOW_CASE(removed_item_can_be_pushed_again)
{
    vowi_list_remove(&items[0].link);
    vowi_list_push(&list, &items[0].link);

    assert_int_equal(listed(), 1120);
}

VOW_CASE(pop_takes_the_first_until_there_is_none)
{
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(vowi_list_pop(&list), &items[i].link);
    assert_null(vowi_list_pop(&list));
    assert_true(vowi_list_is_empty(&list));
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(list_that_is_new_is_empty),
        cmocka_unit_test_setup(push_adds_at_the_end, fill),
        cmocka_unit_test_setup(remove_takes_the_first_a_middle_and_the_last_one, fill),
        cmocka_unit_test_setup(removed_item_can_be_pushed_again, fill),
        cmocka_unit_test_setup(pop_takes_the_first_until_there_is_none, fill),
    };

    return vow_test_run(cases);
}
