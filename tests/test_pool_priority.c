/* SPDX-License-Identifier: MIT */
/*
 * Priorities in a pool: what is urgent goes first, what is not is not starved. One
 * worker and a gate, so that what it picks in which order is certain.
 */
#include "support/vow_test.h"

#include <string.h>

#include "support/drops.h"
#include "support/pool_fixture.h"

/* A task that writes a letter. */
struct letter {
    vow_task task; /* first: all that its run gets */
    struct journal *journal;
    char mark;
    int why;
};

static void
write_letter(vow_task *task, int why)
{
    struct letter *l = (struct letter *)(void *)task;

    l->why = why;
    journal_add(l->journal, l->mark);
}

static struct letter
letter(struct journal *j, char mark, int priority)
{
    return (struct letter){
        .task = {.run = write_letter, .priority = (unsigned char)priority},
        .journal = j,
        .mark = mark};
}

/* Every priority twice, the least urgent first, capitals second. */
enum { LETTERS = 10 };

static void
make_letters(struct letter *l, struct journal *j)
{
    static const char marks[] = "dDlLnNhHiI";
    static const int priorities[] = {VOW_IDLE, VOW_LOW, VOW_NORMAL, VOW_HIGH,
                                     VOW_IMMEDIATE};

    for (int i = 0; i < LETTERS; i++)
        l[i] = letter(j, marks[i], priorities[i / 2]);
}

VOW_CASE(urgent_tasks_go_first_and_equals_in_their_order)
{
    vow_executor *pool = pool_of(1);
    struct letter l[LETTERS];
    struct journal j = {0};
    struct gate g;

    make_letters(l, &j);
    shut(&g, pool);
    for (int i = 0; i < LETTERS; i++)
        assert_int_equal(vow_post_task(pool, &l[i].task), 0);
    open_gate(&g);
    pool_free(pool);

    assert_string_equal(j.text, "iIhHnNlLdD");
}

struct inside {
    vow_executor *pool;
    struct letter *letters;
};

static vow_result
post_letters(void *ctx)
{
    struct inside *in = ctx;

    for (int i = 0; i < LETTERS; i++)
        assert_int_equal(vow_post_task(in->pool, &in->letters[i].task), 0);
    return vow_ok(VOW_NIL);
}

VOW_CASE(what_a_worker_posts_is_ordered_likewise)
{
    struct letter l[LETTERS];
    struct journal j = {0};
    struct inside in = {pool_of(1), l};
    vow_future *f;

    make_letters(l, &j);
    f = vow_submit(in.pool, post_letters, vow_ptr(&in));
    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    pool_free(in.pool);

    assert_string_equal(j.text, "iIhHnNlLdD");
}

static vow_task *
linked(struct letter *l, int n)
{
    for (int i = 0; i < n; i++)
        l[i].task.next = i + 1 < n ? &l[i + 1].task : NULL;
    return &l[0].task;
}

VOW_CASE(tasks_posted_in_one_list_are_ordered_likewise)
{
    vow_executor *pool = pool_of(1);
    struct letter l[LETTERS];
    struct journal j = {0};
    struct gate g;

    make_letters(l, &j);
    shut(&g, pool);
    assert_int_equal(pool->ops->post_many(pool, linked(l, LETTERS), LETTERS), 0);
    open_gate(&g);
    pool_free(pool);

    assert_string_equal(j.text, "iIhHnNlLdD");
}

VOW_CASE(list_refused_is_the_callers_again)
{
    vow_executor *pool = pool_of(1);
    struct letter l[LETTERS];
    struct journal j = {0};
    vow_task *task;
    int n = 0;

    make_letters(l, &j);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(pool->ops->post_many(pool, linked(l, LETTERS), LETTERS),
                     VOW_E_CLOSED);
    for (task = &l[0].task; task != NULL; task = task->next)
        assert_ptr_equal(task, &l[n++].task);
    assert_int_equal(n, LETTERS);
    pool_free(pool);

    assert_string_equal(j.text, "");
}

VOW_CASE(priority_that_is_none_is_normal)
{
    vow_executor *pool = pool_of(1);
    struct journal j = {0};
    struct letter l[3] = {letter(&j, 'l', VOW_LOW), letter(&j, '?', 200),
                          letter(&j, 'h', VOW_HIGH)};
    struct gate g;

    shut(&g, pool);
    for (int i = 0; i < 3; i++)
        assert_int_equal(vow_post_task(pool, &l[i].task), 0);
    open_gate(&g);
    pool_free(pool);

    assert_string_equal(j.text, "h?l");
}

static vow_result
write_mark(void *ctx)
{
    journal_add(ctx, 's');
    return vow_ok(VOW_NIL);
}

static void
write_step(void *ctx)
{
    journal_add(ctx, 't');
}

VOW_CASE(step_is_normal_whatever_its_source_was)
{
    vow_executor *pool = pool_of(1);
    struct journal j = {0};
    struct letter normal = letter(&j, 'n', VOW_NORMAL);
    struct letter high = letter(&j, 'h', VOW_HIGH);
    struct gate g;
    vow_future *f;

    shut(&g, pool);
    f = vow_submit_with(pool, &VOW_SUBMIT_OPTIONS(.priority = VOW_IMMEDIATE), write_mark,
                        vow_ptr(&j));
    f = vow_finally(f, pool, write_step, vow_ptr(&j));
    assert_int_equal(vow_post_task(pool, &normal.task), 0);
    assert_int_equal(vow_post_task(pool, &high.task), 0);
    open_gate(&g);
    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    pool_free(pool);

    assert_string_equal(j.text, "shtn"); /* a worker's own queue comes before */
}

/* Two tasks that it leaves behind, one of them more urgent than a step. */
static vow_result
post_two(void *letters)
{
    struct letter *l = letters;

    journal_add(l->journal, 's');
    assert_int_equal(vow_post_task(vow_executor_current(), &l[0].task), 0);
    assert_int_equal(vow_post_task(vow_executor_current(), &l[1].task), 0);
    return vow_ok(VOW_NIL);
}

VOW_CASE(step_on_what_returns_waits_for_what_is_more_urgent_alone)
{
    vow_executor *pool = pool_of(1);
    struct journal j = {0};
    struct letter l[2] = {letter(&j, 'l', VOW_LOW), letter(&j, 'h', VOW_HIGH)};
    struct gate g;
    vow_future *f;

    shut(&g, pool);
    f = vow_finally(vow_submit(pool, post_two, vow_ptr(l)), pool, write_step,
                    vow_ptr(&j));
    open_gate(&g);
    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    pool_free(pool);

    assert_string_equal(j.text, "shtl");
}

/* ---- ageing ------------------------------------------------------------------------- */

/* A task that posts itself again and again, and so is always there. */
struct flood {
    vow_task task; /* first */
    vow_executor *pool;
    atomic_int *picks; /* of all tasks so far */
    int left;
};

static void
run_flood(vow_task *task, int why)
{
    struct flood *fl = (struct flood *)(void *)task;

    assert_int_equal(why, 0);
    atomic_fetch_add(fl->picks, 1);
    if (fl->left-- > 0)
        assert_int_equal(vow_post_task(fl->pool, task), 0);
}

/* A task that says how many were picked before it. */
struct sample {
    vow_task task; /* first */
    atomic_int *picks;
    int before;
};

static void
run_sample(vow_task *task, int why)
{
    struct sample *s = (struct sample *)(void *)task;

    assert_int_equal(why, 0);
    s->before = atomic_fetch_add(s->picks, 1);
}

/* Returns how many tasks were picked before a task of one priority in a flood of another,
 * with all of `beside` waiting as well. */
static int
picks_before(int priority, int flood_priority, const int *beside, int n)
{
    enum { MOST = 4 };
    vow_executor *pool = pool_of(1);
    atomic_int picks = 0;
    struct flood fl[MOST + 1];
    struct sample s = {
        {.run = run_sample, .priority = (unsigned char)priority}, &picks, 0};
    struct gate g;

    assert_true(n <= MOST);
    shut(&g, pool);
    for (int i = 0; i <= n; i++) {
        int p = i < n ? beside[i] : flood_priority;

        fl[i] = (struct flood){
            {.run = run_flood, .priority = (unsigned char)p}, pool, &picks, 500};
        assert_int_equal(vow_post_task(pool, &fl[i].task), 0);
    }
    assert_int_equal(vow_post_task(pool, &s.task), 0);
    open_gate(&g);
    pool_free(pool);
    return s.before;
}

/* The bounds that vow/pool.h states. */
static const struct {
    int priority;
    int picks;
} bounds[] = {{VOW_HIGH, VOW_POOL_HIGH_WITHIN},
              {VOW_NORMAL, VOW_POOL_NORMAL_WITHIN},
              {VOW_LOW, VOW_POOL_LOW_WITHIN},
              {VOW_IDLE, VOW_POOL_IDLE_WITHIN}};

VOW_CASE(task_of_any_priority_runs_within_its_bound_in_a_flood)
{
    for (int i = 0; i < 4; i++) {
        int before = picks_before(bounds[i].priority, VOW_IMMEDIATE, NULL, 0);

        assert_in_range(before, bounds[i].picks / 2, bounds[i].picks - 1);
    }
}

VOW_CASE(task_runs_within_its_bound_though_all_other_priorities_are_flooded)
{
    static const int all[] = {VOW_IMMEDIATE, VOW_HIGH, VOW_NORMAL, VOW_LOW, VOW_IDLE};

    for (int i = 0; i < 4; i++) {
        int beside[4], n = 0;

        for (int k = 1; k < 5; k++)
            if (all[k] != bounds[i].priority)
                beside[n++] = all[k];
        assert_in_range(picks_before(bounds[i].priority, VOW_IMMEDIATE, beside, n), 0,
                        bounds[i].picks - 1);
    }
}

VOW_CASE(idle_task_runs_within_its_bound_behind_a_normal_task_that_feeds_itself)
{
    assert_in_range(picks_before(VOW_IDLE, VOW_NORMAL, NULL, 0), VOW_POOL_IDLE_WITHIN / 2,
                    VOW_POOL_IDLE_WITHIN - 1);
    assert_in_range(picks_before(VOW_LOW, VOW_NORMAL, NULL, 0), VOW_POOL_LOW_WITHIN / 2,
                    VOW_POOL_LOW_WITHIN - 1);
}

VOW_CASE(each_of_many_idle_tasks_runs_within_the_bound_after_the_one_before)
{
    enum { MANY = 20 };
    vow_executor *pool = pool_of(1);
    atomic_int picks = 0;
    struct flood fl = {{.run = run_flood, .priority = VOW_HIGH},
                       pool,
                       &picks,
                       2 * MANY * VOW_POOL_IDLE_WITHIN};
    struct sample s[MANY];
    struct gate g;
    int last = -1;

    shut(&g, pool);
    assert_int_equal(vow_post_task(pool, &fl.task), 0);
    for (int i = 0; i < MANY; i++) {
        s[i] = (struct sample){{.run = run_sample, .priority = VOW_IDLE}, &picks, 0};
        assert_int_equal(vow_post_task(pool, &s[i].task), 0);
    }
    open_gate(&g);
    pool_free(pool);

    for (int i = 0; i < MANY; i++) {
        assert_in_range(s[i].before - last, 1, VOW_POOL_IDLE_WITHIN);
        last = s[i].before;
    }
}

/* ---- the end -------------------------------------------------------------------------- */

VOW_CASE(tasks_of_all_priorities_are_cancelled_with_the_pool)
{
    vow_executor *pool = pool_of(1);
    struct letter l[LETTERS];
    struct journal j = {0};
    struct gate g;

    make_letters(l, &j);
    shut(&g, pool);
    for (int i = 0; i < LETTERS; i++)
        assert_int_equal(vow_post_task(pool, &l[i].task), 0);
    vow_unref(vow_executor_close(pool, VOW_CANCEL_QUEUED));
    for (int i = 0; i < LETTERS; i++)
        assert_int_equal(l[i].why, VOW_E_CLOSED);
    assert_int_equal(vow_post_task(pool, &l[0].task), VOW_E_CLOSED);
    open_gate(&g);
    pool_free(pool);

    assert_int_equal(strlen(j.text), LETTERS);
}

static void
post_when_cancelled(void *ctx)
{
    struct inside *in = ctx;

    vow_unref(vow_executor_close(in->pool, VOW_CANCEL_QUEUED));
    for (int i = 0; i < LETTERS; i++)
        assert_int_equal(vow_post_task(in->pool, &in->letters[i].task), VOW_E_CLOSED);
}

VOW_CASE(task_of_a_cancelled_pool_can_post_at_no_priority)
{
    struct letter l[LETTERS];
    struct journal j = {0};
    struct inside in = {pool_of(1), l};

    make_letters(l, &j);
    assert_int_equal(vow_post(in.pool, post_when_cancelled, vow_ptr(&in)), 0);
    pool_free(in.pool);

    assert_string_equal(j.text, "");
}

/* ---- waiting ---------------------------------------------------------------------------- */

struct wait {
    vow_executor *pool;
    int priority;
    bool submits; /* what it waits for; else it is given */
    vow_future *f;
};

static vow_result
give_one(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(1));
}

static vow_result
wait_for_it(void *ctx)
{
    struct wait *w = ctx;
    int64_t seen;

    if (w->submits)
        w->f = vow_submit_with(w->pool, &VOW_SUBMIT_OPTIONS(.priority = w->priority),
                               give_one, VOW_NIL);
    seen = vow_get(w->f).value.as.i64;
    vow_unref(w->f);
    return vow_ok(vow_i64(seen));
}

VOW_CASE(worker_helps_with_a_task_of_any_priority_that_it_waits_for)
{
    vow_executor *pool = pool_of(1);
    vow_pool_stats stats = {.size = sizeof stats};

    for (int priority = VOW_NORMAL; priority <= VOW_IDLE; priority++) {
        struct wait w = {pool, priority, true, NULL};
        vow_future *f = vow_submit(pool, wait_for_it, vow_ptr(&w));

        assert_int_equal(vow_get(f).value.as.i64, 1);
        vow_unref(f);
    }
    assert_int_equal(vow_pool_read_stats(pool, &stats), 0);
    assert_int_equal(stats.spares, 0);
    pool_free(pool);
}

VOW_CASE(worker_waits_for_an_idle_task_behind_a_flood_and_both_end)
{
    vow_executor *pool = pool_of(1);
    atomic_int picks = 0;
    struct flood fl = {{.run = run_flood, .priority = VOW_HIGH}, pool, &picks, 1000};
    struct wait w = {pool, VOW_IDLE, false, NULL};
    struct gate g;
    vow_future *f;

    shut(&g, pool);
    f = vow_submit(pool, wait_for_it, vow_ptr(&w));
    w.f = vow_submit_with(pool, &VOW_SUBMIT_OPTIONS(.priority = VOW_IDLE), give_one,
                          VOW_NIL);
    assert_int_equal(vow_post_task(pool, &fl.task), 0);
    open_gate(&g);

    assert_int_equal(vow_get(f).value.as.i64, 1);
    vow_unref(f);
    pool_free(pool);
    assert_int_equal(picks, 1001);
}

/* Two pools of one worker, each waiting for a task of the other, at every priority. */
VOW_CASE(two_pools_wait_for_each_other_at_any_priority_and_end)
{
    vow_executor *pools[2] = {pool_of(1), pool_of(1)};

    for (int priority = VOW_NORMAL; priority <= VOW_IDLE; priority++) {
        struct wait w[2];
        vow_future *f[2];

        for (int i = 0; i < 2; i++) {
            w[i] = (struct wait){pools[1 - i], priority, true, NULL};
            f[i] = vow_submit(pools[i], wait_for_it, vow_ptr(&w[i]));
        }
        for (int i = 0; i < 2; i++) {
            assert_int_equal(vow_get(f[i]).value.as.i64, 1);
            vow_unref(f[i]);
        }
    }
    pool_free(pools[0]);
    pool_free(pools[1]);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(urgent_tasks_go_first_and_equals_in_their_order),
        vow_test(what_a_worker_posts_is_ordered_likewise),
        vow_test(tasks_posted_in_one_list_are_ordered_likewise),
        vow_test(list_refused_is_the_callers_again),
        vow_test(priority_that_is_none_is_normal),
        vow_test(step_is_normal_whatever_its_source_was),
        vow_test(step_on_what_returns_waits_for_what_is_more_urgent_alone),
        vow_test(task_of_any_priority_runs_within_its_bound_in_a_flood),
        vow_test(task_runs_within_its_bound_though_all_other_priorities_are_flooded),
        vow_test(idle_task_runs_within_its_bound_behind_a_normal_task_that_feeds_itself),
        vow_test(each_of_many_idle_tasks_runs_within_the_bound_after_the_one_before),
        vow_test(tasks_of_all_priorities_are_cancelled_with_the_pool),
        vow_test(task_of_a_cancelled_pool_can_post_at_no_priority),
        vow_test(worker_helps_with_a_task_of_any_priority_that_it_waits_for),
        vow_test(worker_waits_for_an_idle_task_behind_a_flood_and_both_end),
        vow_test(two_pools_wait_for_each_other_at_any_priority_and_end),
    };

    return vow_test_run(cases);
}
