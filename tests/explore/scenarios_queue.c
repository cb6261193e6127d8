/* SPDX-License-Identifier: MIT */
/* scenarios_queue.c - a pool's queues without its threads; the caches of blocks. */
#include <stdatomic.h>

#include <vow/vow.h>

#include "../../executors/pool_internal.h"
#include "bare_workers.h"
#include "base/mem.h"
#include "base/time.h"
#include "explore.h"
#include "sync/doze.h"

/* ---- the deque -------------------------------------------------------------------------- */

static struct vowi_deque deque;
static vow_task tasks[3];
static int taken[3];

static void
use(vow_task *task)
{
    if (task != NULL)
        taken[task - tasks]++;
}

static void
push(unsigned i)
{
    require(vowi_deque_push(&deque, &tasks[i], false));
}

static void
steals(void)
{
    use(vowi_deque_steal(&deque));
}

static void
takes(unsigned i)
{
    if (vowi_deque_take_if(&deque, &tasks[i]))
        use(&tasks[i]);
}

static void
works_1(void)
{
    push(0);
    takes(0);
}

static void
works_2(void)
{
    push(0);
    push(1);
    takes(1);
    takes(0);
}

static void
works_3(void)
{
    push(0);
    push(1);
    push(2); /* the ring grows */
    takes(2);
}

static void
empty_deque(void)
{
    vow_task *task;

    while ((task = vowi_deque_steal(&deque)) != NULL)
        use(task);
    vowi_deque_fini(&deque);
    outcome("%d %d %d", taken[0], taken[1], taken[2]);
}

SCENARIO(deque_1_1, 0, "deque: one item, one thief", EXPECTED("1 0 0", "taken once"))
{
    require(vowi_deque_init(&deque));
    run_threads(works_1, steals);
    empty_deque();
}

SCENARIO(deque_2_2, 0, "deque: two items, two thieves",
         EXPECTED("1 1 0", "each taken once"))
{
    require(vowi_deque_init(&deque));
    run_threads(works_2, steals, steals);
    empty_deque();
}

SCENARIO(deque_3_2, 0, "deque: three items, two thieves, the ring grows",
         EXPECTED("1 1 1", "each taken once"))
{
    require(vowi_deque_init(&deque));
    run_threads(works_3, steals, steals);
    empty_deque();
}

/* The ring has two entries: the third push uses the first one again, if it was stolen. */
static void
works_around(void)
{
    push(0);
    takes(0);
    push(1);
    takes(1);
    push(2);
    takes(2);
}

SCENARIO(deque_slots_1, 0, "deque: slots are used again under a thief",
         EXPECTED("1 1 1", "each taken once"))
{
    require(vowi_deque_init(&deque));
    run_threads(works_around, steals);
    empty_deque();
}

SCENARIO(deque_slots_2, 0, "deque: slots are used again under two thieves",
         EXPECTED("1 1 1", "each taken once"))
{
    require(vowi_deque_init(&deque));
    run_threads(works_around, steals, steals);
    empty_deque();
}

static void
works_to_grow(void)
{
    push(0);
    push(1);
    push(2);
}

SCENARIO(deque_grow, 0, "deque: the ring grows under a thief of two",
         EXPECTED("1 1 1", "each taken once"))
{
    require(vowi_deque_init(&deque));
    run_threads(works_to_grow, steals, steals);
    empty_deque();
}

/* ---- the inbox ----------------------------------------------------------------------------- */

/* A pool without threads: its inbox and its injected list alone. */
static struct vowi_pool bare;
static int order[4], taken_count, refused;

static void
make_bare(void)
{
    require(vowi_lock_init(&bare.inject_lock, VOWI_RANK_INJECT) == 0);
    require(vowi_lock_init(&bare.lock, VOWI_RANK_POOL) == 0);
    require(vowi_lock_init(&bare.level_lock, VOWI_RANK_LEVELS) == 0);
}

static void
free_bare(void)
{
    vowi_lock_fini(&bare.inject_lock);
    vowi_lock_fini(&bare.level_lock);
    vowi_lock_fini(&bare.lock);
}

static void
injects(unsigned i)
{
    if (vowi_pool_post(&bare.executor, &tasks[i]) != 0)
        refused++;
}

static void
injects_0_1(void)
{
    injects(0);
    injects(1);
}

static void
injects_2(void)
{
    injects(2);
}

static void
takes_injected(void)
{
    vow_task *task = vowi_pool_take_injected(&bare, NULL);

    if (task != NULL)
        order[taken_count++] = (int)(task - tasks);
}

static void
takes_injected_twice(void)
{
    takes_injected();
    takes_injected();
}

/* Whether each came out once, and the first thread's in their order. */
static void
finish_bare(void)
{
    int at[3] = {-1, -1, -1};

    while (taken_count < 3) {
        int before = taken_count;

        takes_injected();
        if (taken_count == before)
            break;
    }
    for (int i = 0; i < taken_count; i++) {
        require(at[order[i]] == -1);
        at[order[i]] = i;
    }
    free_bare();
    outcome("%d taken, %s", taken_count, at[0] < at[1] ? "in order" : "out of order");
}

SCENARIO(inject_2_1, 0, "inbox: two threads post, one takes",
         EXPECTED("3 taken, in order", "each once, oldest first"))
{
    make_bare();
    run_threads(injects_0_1, injects_2, takes_injected_twice);
    finish_bare();
}

static void
posts_list(void)
{
    tasks[0].next = &tasks[1];
    tasks[1].next = NULL;
    if (vowi_pool_post_many(&bare.executor, &tasks[0], 2) != 0)
        refused += 2;
}

SCENARIO(inject_many, 0, "inbox: a list of two and a single one, while one takes",
         EXPECTED("3 taken, in order", "each once, the list together"))
{
    make_bare();
    run_threads(posts_list, injects_2, takes_injected_twice);
    finish_bare();
}

static int told;

static bool
tells(const vow_task *task, void *ctx)
{
    (void)ctx;
    require(task->run == NULL && task->priority == VOW_NORMAL);
    told++;
    return true;
}

static void
asks_what_is_queued(void)
{
    vowi_pool_queued(&bare.executor, tells, NULL);
}

SCENARIO(inject_queued, 0, "inbox: a thread posts, one asks what is queued, one takes",
         EXPECTED("2 taken, in order", "each once, and what is told of is whole"))
{
    make_bare();
    run_threads(injects_0_1, asks_what_is_queued, takes_injected);
    require(told <= 2);
    finish_bare();
}

static void
closes_inbox(void)
{
    vowi_or_acq_rel(&bare.inbox, VOWI_INBOX_CLOSED);
}

SCENARIO(inject_close, 0, "inbox: it is closed between and around two posts",
         EXPECTED("taken 0, refused 2", "closed first"),
         EXPECTED("taken 1, refused 1", "in between"),
         EXPECTED("taken 2, refused 0", "closed last"))
{
    int all;

    make_bare();
    tasks[2].flags = VOW_TASK_STEP;
    run_threads(injects_0_1, closes_inbox);
    injects(2); /* a step: still admitted */
    while (taken_count < 3) {
        int before = taken_count;

        takes_injected();
        if (taken_count == before)
            break;
    }
    all = taken_count;
    require(all != 0 && order[all - 1] == 2);
    free_bare();
    outcome("taken %d, refused %d", all - 1, refused);
}

/* ---- stealing on account of what the owner runs ---------------------------------------- */

static _Atomic(const vow_task *) runs; /* what the owner has stolen */
static vow_task awaited;

/* Takes the first; then the awaited one, from elsewhere, whose child is the second, and
 * may take that back; then, without it, the third. */
static void
works_for_a_waiter(void)
{
    vow_task *none;

    steals();
    none = vowi_deque_steal(&deque);
    if (none == NULL)
        vowi_store_relaxed(&runs, &awaited);
    push(1);
    takes(1);
    vowi_store_relaxed(&runs, NULL);
    push(2);
}

static void
steals_for_a_waiter(void)
{
    vow_task *task;

    if (vowi_load_relaxed(&runs) != &awaited)
        return;
    task = vowi_deque_steal_while(&deque, &runs, &awaited);
    require(task == NULL || task == &tasks[1]);
    use(task);
    if (task != NULL)
        order[0] = 1;
}

static void
empty_after_waiter(void)
{
    int got = order[0];
    vow_task *task;

    while ((task = vowi_deque_steal(&deque)) != NULL)
        use(task);
    vowi_deque_fini(&deque);
    require(taken[0] == 1 && taken[1] == 1 && taken[2] == 1);
    outcome(got ? "child" : "nothing");
}

SCENARIO(leap_child, 0, "a waiter steals what descends from the task it waits for, alone",
         EXPECTED("child", "in time"), EXPECTED("nothing", "too early, or too late"))
{
    require(vowi_deque_init(&deque));
    push(0);
    run_threads(works_for_a_waiter, steals_for_a_waiter);
    empty_after_waiter();
}

/* ---- parking ---------------------------------------------------------------------------------- */

static vow_task *picked[2];

static void
make_workers(unsigned n)
{
    make_bare();
    add_workers(&bare, n);
}

static void
end_workers(unsigned n)
{
    free_workers(n);
    free_bare();
}

static void
waits_0(void)
{
    picked[0] = vowi_worker_next_task(&bare, &workers[0]);
}

static void
waits_1(void)
{
    picked[1] = vowi_worker_next_task(&bare, &workers[1]);
}

static void
injects_0(void)
{
    injects(0);
}

static void
injects_1(void)
{
    injects(1);
}

static struct vowi_gate *gate;
static int behind, seen;
static bool slept;

static void
opens_gate(void)
{
    behind = 42;
    vowi_gate_open(gate);
}

static void
passes_gate(void)
{
    slept = vowi_gate_pass(gate);
    seen = behind;
    vowi_free(gate, sizeof *gate); /* its waker may be about to tell the kernel */
}

SCENARIO(gate_open_pass, 0,
         "a gate is opened as its thread comes there, and goes with it",
         EXPECTED("42 open", "it was open already"), EXPECTED("42 slept", "it was woken"))
{
    gate = vowi_alloc(sizeof *gate);
    if (gate == NULL)
        return (void)outcome("no memory");
    vowi_gate_shut(gate);
    run_threads(opens_gate, passes_gate);
    outcome("%d %s", seen, slept ? "slept" : "open");
}

static void
passes_gate_in_time(void)
{
    slept = vowi_gate_pass_until(gate, vowi_monotonic_now() + 1);
    if (!slept)
        vowi_gate_pass(gate);
    seen = behind;
    vowi_free(gate, sizeof *gate);
}

SCENARIO(gate_open_pass_until, 0, "the same, while its thread waits for some time only",
         EXPECTED("42 in time", "it was open, or opened"),
         ALLOWED("42 late", "the time was over, and it is passed later"))
{
    gate = vowi_alloc(sizeof *gate);
    if (gate == NULL)
        return (void)outcome("no memory");
    vowi_gate_shut(gate);
    run_threads(opens_gate, passes_gate_in_time);
    outcome("%d %s", seen, slept ? "in time" : "late");
}

/* relaxed, both: only the doze orders them, if it does */
static atomic_int prepared;

static void
dozes(void)
{
    vowi_store_relaxed(&prepared, 1);
    slept = vowi_doze(1, vowi_monotonic_now() + 1);
}

static void
ends_doze(void)
{
    if (vowi_doze_until() != 0)
        vowi_doze_end();
    seen = vowi_load_relaxed(&prepared);
}

SCENARIO(doze_end, 0, "a thread that dozes is woken as its time is over",
         EXPECTED("over", "nobody saw it in time"),
         EXPECTED("ended", "it was woken, by one who sees what it did before"))
{
    run_threads(dozes, ends_doze);
    require(vowi_globals.dozer == NULL && vowi_doze_until() == 0);
    require(!slept || seen == 1);
    outcome("%s", slept ? "ended" : "over");
}

static void
dozes_too(void)
{
    (void)vowi_doze(1, vowi_monotonic_now() + 1);
}

SCENARIO(doze_doze, 0, "two threads doze, and one who looks wakes the first",
         EXPECTED("done", "each goes on, woken or by itself"))
{
    run_threads(dozes, dozes_too, ends_doze);
    outcome("done");
}

SCENARIO(park_post, 0, "a worker parks while a task is posted",
         EXPECTED("picked", "it is woken, or sees the task"))
{
    make_workers(1);
    run_threads(waits_0, injects_0);
    require(picked[0] == &tasks[0]);
    end_workers(1);
    outcome("picked");
}

SCENARIO(last_parks_post, 0, "the last of two workers parks while a task is posted",
         EXPECTED("picked", "one of them is woken"))
{
    make_workers(2);
    bare.awake = 1; /* the other one sleeps already */
    bare.asleep = &workers[1];
    vowi_store_relaxed(&bare.idle, VOWI_ASLEEP);
    workers[0].searching = false;
    run_threads(waits_0, injects_0, injects_1);
    require(picked[0] != NULL);
    end_workers(2);
    outcome("picked");
}

/* Two workers find nothing, and two tasks are posted: each picks one. */
static void
both_pick(void)
{
    run_threads(waits_0, waits_1, injects_0_1);
    require(picked[0] != NULL && picked[1] != NULL && picked[0] != picked[1]);
}

SCENARIO(two_park_two_posts, 0, "two workers park while two tasks are posted",
         EXPECTED("both", "no task waits while a worker sleeps"))
{
    make_workers(2);
    both_pick();
    end_workers(2);
    outcome("both");
}

SCENARIO(two_park_two_levels, 0, "the same, and one of the tasks is urgent",
         EXPECTED("both", "no task waits while a worker sleeps"))
{
    make_workers(2);
    tasks[1].priority = VOW_HIGH;
    both_pick();
    end_workers(2);
    outcome("both");
}

/* A worker that gives way before it sleeps. */
static void
rushes(unsigned i)
{
    workers[i].rush = 1000;
    workers[i].gave_way_at = 1;
}

SCENARIO(rush_post, 0, "a worker gives way, then parks, while a task is posted",
         EXPECTED("picked", "it is woken, or sees the task"))
{
    make_workers(1);
    rushes(0);
    run_threads(waits_0, injects_0);
    require(picked[0] == &tasks[0] && vowi_load_relaxed(&bare.idle) == 0);
    end_workers(1);
    outcome("picked");
}

SCENARIO(rush_two_posts, 0, "a worker gives way, another parks; two tasks are posted",
         EXPECTED("both",
                  "each search ends once, and no task waits while a worker sleeps"))
{
    make_workers(2);
    rushes(0);
    both_pick();
    require(vowi_load_relaxed(&bare.idle) == 0);
    end_workers(2);
    outcome("both");
}

SCENARIO(two_rush_two_posts, 0, "the same, and the other gives way as well",
         EXPECTED("both",
                  "each search ends once, and no task waits while a worker sleeps"))
{
    make_workers(2);
    rushes(1);
    rushes(0);
    both_pick();
    require(vowi_load_relaxed(&bare.idle) == 0);
    end_workers(2);
    outcome("both");
}

static void
takes_a_batch(void)
{
    picked[0] = vowi_pool_take_injected(&bare, &workers[0]);
}

/* What is moved to a deque is not posted anew: only the store of the rest says so. */
SCENARIO(park_batch, 0, "a worker parks while another one takes in all that was posted",
         EXPECTED("second", "it sees that in the other's deque, or is woken"),
         EXPECTED("first", "it was faster"))
{
    make_workers(2);
    injects_0_1();
    run_threads(takes_a_batch, waits_1);
    require(picked[1] == &tasks[picked[0] != NULL]);
    end_workers(2);
    outcome(picked[0] != NULL ? "second" : "first");
}

static void
shuts(void)
{
    vowi_or_acq_rel(&bare.inbox, VOWI_INBOX_CLOSED);
    vowi_lock_acquire(&bare.lock);
    bare.closing = true;
    vowi_pool_end_if_done_locked(&bare);
    vowi_lock_release(&bare.lock);
}

static int runs_0;

static void
works_to_the_end(void)
{
    while (vowi_worker_next_task(&bare, &workers[0]) != NULL)
        runs_0++;
}

SCENARIO(park_close, 0, "a worker parks while the pool closes",
         EXPECTED("ended", "it is let go"))
{
    make_workers(1);
    run_threads(works_to_the_end, shuts);
    end_workers(1);
    outcome("ended");
}

SCENARIO(rush_close, 0, "a worker gives way, then parks, while the pool closes",
         EXPECTED("ended", "it is let go"))
{
    make_workers(1);
    rushes(0);
    run_threads(works_to_the_end, shuts);
    end_workers(1);
    outcome("ended");
}

SCENARIO(park_close_post, 0, "a worker parks, the pool closes, a task is posted",
         EXPECTED("ran 1, refused 0", "posted first"),
         EXPECTED("ran 0, refused 1", "closed first"))
{
    make_workers(1);
    run_threads(works_to_the_end, shuts, injects_0);
    end_workers(1);
    outcome("ran %d, refused %d", runs_0, refused);
}

static void
injects_step(void)
{
    tasks[0].flags = VOW_TASK_STEP;
    injects(0);
}

SCENARIO(park_close_step, 0, "a step comes from outside while a draining pool empties",
         EXPECTED("ran 1, refused 0", "before it was idle"),
         EXPECTED("ran 0, refused 1", "after that"))
{
    make_workers(1);
    shuts(); /* draining: a worker is awake */
    run_threads(works_to_the_end, injects_step);
    end_workers(1);
    outcome("ran %d, refused %d", runs_0, refused);
}
