/* SPDX-License-Identifier: MIT */
/*
 * Forks under fire: threads walk trees of forks of any shape, from outside and in tasks, on
 * two pools, from one to the other; leaves fail, nodes leave work behind, or wait for some.
 * Which error comes back, and which leaves have run, follows from the tree alone: it is
 * worked out beforehand. A leaf that is behind a failed one may run, once, or not.
 *
 * The seed is printed; VOW_STRESS_SEED sets it, VOW_STRESS_MS says how long it may
 * take (default 2000).
 */
#include "support/vow_test.h"

#include <string.h>

#include "support/drops.h"
#include "support/pool_fixture.h"
#include "support/stress.h"

enum { DRIVERS = 3, DEPTH = 6, NODES = 2 << DEPTH };

static vow_executor *pools[2];
static atomic_int posted, ran;

/* A tree: what each of its leaves has done, and whether it must. */
struct tree {
    atomic_uchar at[NODES];
    bool must[NODES];
};

struct node {
    struct tree *tree;
    unsigned id, depth; /* the children of i are 2 i and 2 i + 1 */
    uint64_t seed;
    unsigned pool;
};

/* What a node does; the same each time it is asked. */
struct plan {
    bool is_leaf, fails, posts, waits;
    unsigned spins;
    struct node child[2];
};

static struct plan
plan_of(const struct node *n)
{
    struct dice d = {n->seed};
    struct plan p = {.is_leaf = n->depth == 0 || roll(&d, 8) == 0};
    unsigned pool = roll(&d, 16) == 0 ? 1 - n->pool : n->pool;

    p.fails = p.is_leaf && roll(&d, 40) == 0;
    p.posts = roll(&d, 16) == 0;
    p.waits = roll(&d, 16) == 0;
    p.spins = roll(&d, 4) == 0 ? roll(&d, 2000) : 0;
    for (unsigned i = 0; i < 2; i++)
        p.child[i] = (struct node){n->tree, 2 * n->id + i, n->depth - 1,
                                   d.state + roll(&d, 1000000) + 1, pool};
    return p;
}

/* As one thread would go about it. Returns the id of the leaf that fails, or 0. */
static unsigned
work_out(const struct node *n)
{
    struct plan p = plan_of(n);
    unsigned failed;

    if (p.is_leaf) {
        n->tree->must[n->id] = true;
        return p.fails ? n->id : 0;
    }
    failed = work_out(&p.child[0]);
    return failed != 0 ? failed : work_out(&p.child[1]);
}

static void
count(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&ran, 1);
}

static vow_result
seven(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(7));
}

static void
do_something_else(const struct plan *p, vow_executor *pool)
{
    volatile unsigned left = p->spins;

    while (left > 0)
        left--;
    if (p->posts && vow_post(pool, count, VOW_NIL) == 0)
        atomic_fetch_add(&posted, 1);
    if (p->waits) {
        vow_future *f = vow_submit(pool, seven, VOW_NIL);

        assert_int_equal(vow_get(f).value.as.i64, 7);
        vow_unref(f);
    }
}

static vow_error *
walk(void *node)
{
    struct node *n = node;
    struct plan p = plan_of(n);

    do_something_else(&p, pools[n->pool]);
    if (!p.is_leaf)
        return vow_fork_join(pools[p.child[0].pool], walk, &p.child[0], walk,
                             &p.child[1]);
    atomic_fetch_add(&n->tree->at[n->id], 1);
    return p.fails ? vow_error_new(VOW_E_USER + (int)n->id, "told to") : NULL;
}

static vow_result
walk_in_task(void *node)
{
    vow_error *e = walk(node);

    return e != NULL ? vow_err(e) : vow_ok(VOW_NIL);
}

static int
code_of_walk(struct node *root, bool in_task)
{
    vow_error *e = NULL;
    int code;

    if (in_task) {
        vow_future *f = vow_submit(pools[root->pool], walk_in_task, vow_ptr(root));

        code = code_of(f);
        vow_unref(f);
        return code;
    }
    e = walk(root);
    code = vow_error_code(e);
    vow_error_unref(e);
    return code;
}

static void
walk_one(struct dice *d)
{
    static _Thread_local struct tree tree;
    struct node root = {&tree, 1, DEPTH, 0, roll(d, 2)};
    unsigned failed;

    memset(&tree, 0, sizeof tree);
    root.seed = d->state + 1;
    failed = work_out(&root);
    assert_int_equal(code_of_walk(&root, roll(d, 2) == 0),
                     failed != 0 ? VOW_E_USER + (int)failed : 0);
    for (unsigned i = 0; i < NODES; i++) {
        assert_true(tree.at[i] <= 1);
        assert_true(tree.at[i] == 1 || !tree.must[i]);
        assert_true(failed != 0 || tree.at[i] == tree.must[i]);
    }
}

struct driver {
    pthread_t thread;
    struct dice dice;
    vow_ns until;
    unsigned walked;
};

static void *
drive(void *driver)
{
    struct driver *d = driver;

    while (vow_clock_now(NULL) < d->until) {
        walk_one(&d->dice);
        d->walked++;
    }
    return NULL;
}

VOW_CASE(every_walk_ends_as_its_tree_says)
{
    struct driver drivers[DRIVERS];
    struct dice d = {stress_seed() | 1};
    vow_ns until = vow_clock_now(NULL) + stress_duration(2000);
    unsigned walked = 0;

    for (int i = 0; i < 2; i++)
        pools[i] = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1 + roll(&d, 3)));
    for (int i = 0; i < DRIVERS; i++) {
        drivers[i] = (struct driver){.dice = {d.state + (unsigned)i}, .until = until};
        assert_int_equal(pthread_create(&drivers[i].thread, NULL, drive, &drivers[i]), 0);
    }
    for (int i = 0; i < DRIVERS; i++) {
        pthread_join(drivers[i].thread, NULL);
        walked += drivers[i].walked;
    }
    for (int i = 0; i < 2; i++)
        pool_free(pools[i]);
    assert_int_equal(atomic_load(&posted), atomic_load(&ran));
    printf("%u trees\n", walked);
}

int
main(void)
{
    static const struct CMUnitTest cases[] = {
        vow_test(every_walk_ends_as_its_tree_says),
    };

    return vow_test_run(cases);
}
