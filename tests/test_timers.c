/* SPDX-License-Identifier: MIT */
/* The tree of armed timers: against a sorted array, and how deep it gets. */
#include "vow_test.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "queue/timers.h"

#define MANY 100000

/* ---- the shape ----------------------------------------------------------- */

struct shape {
    size_t nodes;
    size_t deepest;
    bool sound; /* parents and priorities are right */
};

/* The next node of a walk that goes down to the left, then to the right, then up. */
static const vow_timer *
walk_on(const vow_timer *from, const vow_timer *at)
{
    const vow_timer *left = vowi_timers_left(at);

    if (from == at->prev && left != NULL)
        return left;
    if (from != at->next && at->next != NULL)
        return at->next;
    return at->prev;
}

/* Walks by the links to the parents, which a recursion would not look at. */
static struct shape
measure(const struct vowi_timers *h)
{
    struct shape s = {.sound = h->root == NULL || h->root->prev == NULL};
    const vow_timer *from = NULL;
    const vow_timer *at = h->root;
    size_t depth = 1;

    while (at != NULL) {
        const vow_timer *to = walk_on(from, at);

        if (from == at->prev) {
            s.nodes++;
            s.deepest = depth > s.deepest ? depth : s.deepest;
            if (from != NULL)
                s.sound &= vowi_timers_priority(at) < vowi_timers_priority(from);
        }
        depth += to != at->prev ? 1 : (size_t)-1;
        s.sound &= to == at->prev || to->prev == at;
        from = at;
        at = to;
    }
    return s;
}

static vow_timer *
make_timers(size_t n)
{
    vow_timer *t = calloc(n, sizeof *t);

    assert_non_null(t);
    return t;
}

static void
assert_shape(const struct vowi_timers *h, size_t nodes, size_t at_most_deep)
{
    struct shape s = measure(h);

    assert_true(s.sound);
    assert_int_equal(s.nodes, nodes);
    assert_in_range(s.deepest, 1, at_most_deep);
}

/* A balanced tree of 100,000 has 17 levels, a random one about 40. */
static void
check_depth(vow_ns (*deadline)(size_t i))
{
    struct vowi_timers h = {NULL};
    vow_timer *timers = make_timers(MANY);

    for (size_t i = 0; i < MANY; i++) {
        timers[i].when = deadline(i);
        vowi_timers_add(&h, &timers[i]);
    }
    assert_shape(&h, MANY, 80);
    for (size_t i = 0; i < MANY; i += 2)
        vowi_timers_remove(&h, &timers[i]);
    assert_shape(&h, MANY / 2, 80);
    free(timers);
}

static vow_ns
ascending(size_t i)
{
    return (vow_ns)i;
}

static vow_ns
descending(size_t i)
{
    return -(vow_ns)i;
}

static vow_ns
equal(size_t i)
{
    (void)i;
    return 7;
}

static vow_ns
zigzag(size_t i)
{
    return i % 2 == 0 ? (vow_ns)i : (vow_ns)(2 * MANY - i);
}

VOW_CASE(tree_of_any_deadlines_stays_shallow)
{
    check_depth(ascending);
    check_depth(descending);
    check_depth(equal);
    check_depth(zigzag);
}

/* ---- the order ----------------------------------------------------------- */

VOW_CASE(first_of_an_empty_tree_is_null)
{
    struct vowi_timers h = {NULL};
    vow_timer t = {.when = 3};

    assert_null(vowi_timers_first(&h));
    vowi_timers_add(&h, &t);
    assert_ptr_equal(vowi_timers_first(&h), &t);
    vowi_timers_remove(&h, &t);
    assert_null(vowi_timers_first(&h));
    assert_null(t.task.next);
    assert_null(t.next);
    assert_null(t.prev);
}

VOW_CASE(equal_deadlines_come_in_the_order_of_adding)
{
    struct vowi_timers h = {NULL};
    vow_timer *timers = make_timers(1000);

    for (size_t i = 0; i < 1000; i++) {
        timers[i].when = (vow_ns)(i % 3);
        vowi_timers_add(&h, &timers[i]);
    }
    for (size_t deadline = 0; deadline < 3; deadline++)
        for (size_t i = deadline; i < 1000; i += 3) {
            assert_ptr_equal(vowi_timers_first(&h), &timers[i]);
            vowi_timers_remove(&h, &timers[i]);
        }
    assert_null(vowi_timers_first(&h));
    free(timers);
}

#define MODEL 200

/* What is armed, sorted by deadline, then by adding. */
struct model {
    vow_timer *sorted[MODEL];
    size_t used;
};

static void
model_add(struct model *m, vow_timer *t)
{
    size_t at = m->used;

    while (at > 0 && m->sorted[at - 1]->when > t->when)
        at--;
    memmove(&m->sorted[at + 1], &m->sorted[at], (m->used - at) * sizeof *m->sorted);
    m->sorted[at] = t;
    m->used++;
}

static bool
model_remove(struct model *m, const vow_timer *t)
{
    size_t at = 0;

    while (at < m->used && m->sorted[at] != t)
        at++;
    if (at == m->used)
        return false;
    m->used--;
    memmove(&m->sorted[at], &m->sorted[at + 1], (m->used - at) * sizeof *m->sorted);
    return true;
}

/* A step of xorshift: the same sequence everywhere. */
static uint32_t
next_random(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return *x;
}

VOW_CASE(random_adding_and_removing_agrees_with_a_sorted_array)
{
    struct vowi_timers h = {NULL};
    struct model m = {.used = 0};
    vow_timer *timers = make_timers(MODEL);
    uint32_t seed = 20231;

    for (int round = 0; round < 100000; round++) {
        vow_timer *t = &timers[next_random(&seed) % MODEL];

        if (model_remove(&m, t)) {
            vowi_timers_remove(&h, t);
        } else {
            t->when = next_random(&seed) % 50;
            model_add(&m, t);
            vowi_timers_add(&h, t);
        }
        assert_ptr_equal(vowi_timers_first(&h), m.used > 0 ? m.sorted[0] : NULL);
    }
    assert_int_equal(measure(&h).nodes, m.used);
    for (size_t i = 0; i < m.used; i++) {
        assert_ptr_equal(vowi_timers_first(&h), m.sorted[i]);
        vowi_timers_remove(&h, m.sorted[i]);
    }
    free(timers);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(tree_of_any_deadlines_stays_shallow),
        vow_test(first_of_an_empty_tree_is_null),
        vow_test(equal_deadlines_come_in_the_order_of_adding),
        vow_test(random_adding_and_removing_agrees_with_a_sorted_array),
    };

    return vow_test_run(cases);
}
