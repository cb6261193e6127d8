/* SPDX-License-Identifier: MIT */
/*
 * seeded_deque.c - the deque of the library, its orders weakened.
 *
 * The library's own source, once more, with one order of base/atomic.h that depends on
 * a variable: 1 the owner's store of bottom in take, 2 the thief's loads, 3 the push.
 */
#include "base/atomic.h"

static int weakened;

#undef vowi_store_seq_cst
#define vowi_store_seq_cst(p, v)                                                         \
    (weakened == 1 ? vowi_store_release(p, v)                                            \
                   : atomic_store_explicit((p), (v), memory_order_seq_cst))

#undef vowi_load_seq_cst
#define vowi_load_seq_cst(p)                                                             \
    (weakened == 2 ? vowi_load_acquire(p)                                                \
                   : atomic_load_explicit((p), memory_order_seq_cst))

#undef vowi_store_release
#define vowi_store_release(p, v)                                                         \
    (weakened == 3 ? vowi_store_relaxed(p, v)                                            \
                   : atomic_store_explicit((p), (v), memory_order_release))

#define vowi_deque_init        weak_deque_init
#define vowi_deque_fini        weak_deque_fini
#define vowi_deque_push        weak_deque_push
#define vowi_deque_push_list   weak_deque_push_list
#define vowi_deque_take_if     weak_deque_take_if
#define vowi_deque_take        weak_deque_take
#define vowi_deque_holds       weak_deque_holds
#define vowi_deque_steal       weak_deque_steal
#define vowi_deque_steal_while weak_deque_steal_while
#define vowi_deque_is_empty    weak_deque_is_empty

#include "queue/deque.c"

#include "explore.h"

static struct vowi_deque deque;
static vow_task tasks[3];
static int runs[3];

static void
use(const vow_task *task)
{
    if (task != NULL)
        runs[task->priority]++;
}

static void
steals(void)
{
    use(vowi_deque_steal(&deque));
}

static void
push(unsigned i)
{
    tasks[i].priority = (unsigned char)i;
    require(vowi_deque_push(&deque, &tasks[i], false));
}

static void
works(void)
{
    push(0);
    push(1);
    if (vowi_deque_take_if(&deque, &tasks[1]))
        use(&tasks[1]);
    push(2);
    if (vowi_deque_take_if(&deque, &tasks[2]))
        use(&tasks[2]);
    if (vowi_deque_take_if(&deque, &tasks[0]))
        use(&tasks[0]);
}

static void
each_once(int how)
{
    vow_task *task;

    weakened = how;
    require(vowi_deque_init(&deque));
    run_threads(works, steals, steals);
    while ((task = vowi_deque_steal(&deque)) != NULL)
        use(task);
    vowi_deque_fini(&deque);
    require(runs[0] == 1 && runs[1] == 1 && runs[2] == 1);
    outcome("fine");
}

SEEDED(deque_1, "data race or requirement", "the owner's bottom is not seq_cst in take")
{
    each_once(1);
}

SEEDED(deque_2, "data race or requirement", "the loads of top and bottom are not seq_cst")
{
    each_once(2);
}

SEEDED(deque_3, "data race or requirement", "the push releases nothing")
{
    each_once(3);
}
