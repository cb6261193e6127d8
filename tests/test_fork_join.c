/* SPDX-License-Identifier: MIT */
/*
 * Two functions and their end: who runs which, which error comes back, what is not run,
 * what is waited for, and where the caller does it all.
 */
#include "support/vow_test.h"

#include <string.h>

#include "queue/deque.h"
#include "support/child.h"
#include "support/pool_fixture.h"

static vow_executor *
pool_new(unsigned threads)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = threads, .spares = 2,
                                                        .stack_size = (size_t)4 << 20));

    assert_non_null(pool);
    return pool;
}

/* A branch: what it does, and what it saw. */
struct branch {
    atomic_int begun, ended;
    pthread_t thread;
    vow_executor *on;
    int order;
    atomic_int *awaits; /* a flag that it waits for; NULL: none */
    bool until_cancelled, exits;
    int check; /* what vow_check_cancelled said */
    vow_token *token;
    vow_error *fails; /* owned, until it returns it */
    vow_future *gets; /* borrowed */
};

static atomic_int clock_;

static vow_error *
run(void *branch)
{
    struct branch *b = branch;

    b->thread = pthread_self();
    b->on = vow_executor_current();
    b->order = atomic_fetch_add(&clock_, 1);
    b->token = vow_token_current();
    atomic_fetch_add(&b->begun, 1);
    if (b->awaits != NULL)
        await_flag(b->awaits, 1);
    while (b->until_cancelled && !vow_cancelled())
        sched_yield();
    if (b->until_cancelled) {
        vow_error *e = vow_check_cancelled().error;

        b->check = vow_error_code(e);
        vow_error_unref(e);
    }
    if (b->gets != NULL && vow_get(b->gets).error != NULL)
        b->fails = vow_error_ref(vow_get(b->gets).error);
    vow_token_unref(b->token);
    if (b->exits)
        pthread_exit(NULL);
    atomic_fetch_add(&b->ended, 1);
    return b->fails;
}

/* A call of a case, made by a task or by the case itself. */
struct call {
    vow_executor *pool;
    struct branch a, b;
    vow_error *error;
    pthread_t thread;
    bool returned;
};

static void
fork_join(struct call *c)
{
    c->thread = pthread_self();
    c->error = vow_fork_join(c->pool, run, &c->a, run, &c->b);
    c->returned = true;
}

static vow_result
fork_join_task(void *call)
{
    fork_join(call);
    return vow_ok(VOW_NIL);
}

/* Has it called by a task of the pool. */
static void
call_inside(struct call *c)
{
    vow_future *f = vow_submit(c->pool, fork_join_task, vow_ptr(c));

    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    assert_true(c->returned);
}

static void
assert_both_ran_here(const struct call *c)
{
    assert_null(c->error);
    assert_int_equal(c->a.ended, 1);
    assert_int_equal(c->b.ended, 1);
    assert_true(c->a.order < c->b.order);
    assert_true(pthread_equal(c->a.thread, c->thread));
    assert_true(pthread_equal(c->b.thread, c->thread));
}

/* The second is begun by another thread before the first returns. */
static void
have_it_stolen(struct call *c)
{
    c->a.awaits = &c->b.begun;
}

/* ---- who runs what ------------------------------------------------------------------------ */

VOW_CASE(alone_its_caller_runs_the_first_then_the_second)
{
    struct call c = {.pool = pool_new(1)};

    call_inside(&c);
    assert_both_ran_here(&c);
    assert_ptr_equal(c.a.on, c.pool);
    pool_free(c.pool);
}

VOW_CASE(an_idle_thread_takes_the_second)
{
    struct call c = {.pool = pool_new(2)};

    have_it_stolen(&c);
    call_inside(&c);
    assert_null(c.error);
    assert_int_equal(c.b.ended, 1);
    assert_false(pthread_equal(c.a.thread, c.b.thread));
    assert_ptr_equal(c.b.on, c.pool);
    pool_free(c.pool);
}

VOW_CASE(its_caller_sleeps_until_another_thread_has_ended_it)
{
    struct call c = {.pool = pool_new(2)};
    vow_promise *p = vow_promise_new();
    vow_future *f, *got = vow_promise_future(p);
    char said[4096];

    have_it_stolen(&c);
    c.b.gets = got;
    f = vow_submit(c.pool, fork_join_task, vow_ptr(&c));
    await_flag(&c.b.begun, 1);
    do { /* both sleep: the one in the second, the other for it */
        FILE *out = fmemopen(said, sizeof said, "w");

        assert_int_equal(vow_executor_dump(c.pool, out), 0);
        fclose(out);
        sched_yield();
    } while (strstr(said, "waits for") == NULL ||
             strstr(strstr(said, "waits for") + 1, "waits for") == NULL);
    vow_promise_fulfill(p, vow_i64(1));
    assert_int_equal(code_of(f), 0);
    assert_null(c.error);
    assert_int_equal(c.b.ended, 1);
    vow_unref(f);
    vow_unref(got);
    vow_promise_unref(p);
    pool_free(c.pool);
}

struct fib {
    vow_executor *pool;
    int n;
    int64_t value;
};

static vow_error *
fib(void *of)
{
    struct fib *f = of;
    struct fib a = {f->pool, f->n - 1, 0}, b = {f->pool, f->n - 2, 0};
    vow_error *e;

    if (f->n < 2) {
        f->value = f->n;
        return NULL;
    }
    e = vow_fork_join(f->pool, fib, &a, fib, &b);
    f->value = a.value + b.value;
    return e;
}

VOW_CASE(forks_inside_forks_add_up)
{
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct fib f = {pool_new(threads), 18, 0};

        assert_null(fib(&f)); /* from outside */
        assert_int_equal(f.value, 2584);
        pool_free(f.pool);
    }
}

struct depth {
    vow_executor *pool;
    int left, leaves;
};

static vow_error *
nothing(void *ctx)
{
    ++*(int *)ctx;
    return NULL;
}

static vow_error *
go_deeper(void *depth)
{
    struct depth *d = depth;

    if (d->left-- == 0)
        return NULL;
    return vow_fork_join(d->pool, go_deeper, d, nothing, &d->leaves);
}

VOW_CASE(a_thousand_forks_deep_the_queue_has_grown)
{
    struct depth d = {pool_new(1), 1000, 0};

    assert_null(go_deeper(&d));
    assert_int_equal(d.leaves, 1000);
    pool_free(d.pool);
}

VOW_CASE(without_memory_for_the_queue_the_caller_runs_both)
{
    struct depth d = {pool_new(1), 1000, 0};
    struct gate g;

    shut(&g, d.pool);
    open_gate(&g);                         /* its thread has all that it needs */
    counting_fail_at(2, COUNTING_ONWARDS); /* the task's first */
    assert_null(go_deeper(&d));
    assert_true(counting_failed());
    counting_fail_at(0, COUNTING_ONCE);
    assert_int_equal(d.leaves, 1000);
    pool_free(d.pool);
}

static vow_result
count_allocations(void *of)
{
    struct fib *f = of;
    size_t before = counting_calls();

    assert_null(fib(f));
    return vow_ok(vow_i64((int64_t)(counting_calls() - before)));
}

VOW_CASE(on_a_thread_of_the_pool_nothing_is_allocated)
{
    struct fib f = {pool_new(1), 15, 0};
    vow_future *counted = vow_submit(f.pool, count_allocations, vow_ptr(&f));

    assert_int_equal(vow_get(counted).value.as.i64, 0);
    vow_unref(counted);
    pool_free(f.pool);
}

/* ---- errors --------------------------------------------------------------------------------- */

VOW_CASE(if_the_first_fails_the_second_does_not_begin)
{
    struct call c = {.pool = pool_new(1)};
    struct drop d = {0};

    c.a.fails = drop_error(&d, 7);
    call_inside(&c);
    assert_int_equal(vow_error_code(c.error), 7);
    assert_int_equal(c.b.begun, 0);
    vow_error_unref(c.error);
    assert_int_equal(drop_count(&d), 1);
    pool_free(c.pool);
}

VOW_CASE(the_error_of_the_second_comes_back)
{
    struct call c = {.pool = pool_new(1)}, stolen = {.pool = c.pool};

    c.b.fails = vow_error_new(8, "second");
    call_inside(&c);
    assert_int_equal(vow_error_code(c.error), 8);
    vow_error_unref(c.error);
    pool_free(c.pool);

    stolen.pool = pool_new(2);
    have_it_stolen(&stolen);
    stolen.b.fails = vow_error_new(8, "second");
    call_inside(&stolen);
    assert_int_equal(vow_error_code(stolen.error), 8);
    vow_error_unref(stolen.error);
    pool_free(stolen.pool);
}

VOW_CASE(if_both_fail_the_error_of_the_first_comes_back)
{
    struct call c = {.pool = pool_new(2)};
    struct drop first = {0}, second = {0};

    have_it_stolen(&c);
    c.a.fails = drop_error(&first, 7);
    c.b.fails = drop_error(&second, 8);
    call_inside(&c);
    assert_int_equal(vow_error_code(c.error), 7);
    assert_int_equal(drop_count(&second), 1);
    vow_error_unref(c.error);
    assert_int_equal(drop_count(&first), 1);
    pool_free(c.pool);
}

VOW_CASE(a_second_that_runs_sees_that_the_first_has_failed)
{
    struct call c = {.pool = pool_new(2)};

    have_it_stolen(&c);
    c.a.fails = vow_error_new(7, "first");
    c.b.until_cancelled = true;
    call_inside(&c);
    assert_int_equal(vow_error_code(c.error), 7);
    assert_int_equal(c.b.ended, 1);
    assert_int_equal(c.b.check, VOW_E_CANCELLED);
    vow_error_unref(c.error);
    pool_free(c.pool);
}

/* ---- one task --------------------------------------------------------------------------------- */

VOW_CASE(both_are_part_of_the_task_that_is_asked_to_stop)
{
    struct call c = {.pool = pool_new(2)};
    vow_future *f;

    have_it_stolen(&c);
    c.a.until_cancelled = c.b.until_cancelled = true;
    f = vow_submit(c.pool, fork_join_task, vow_ptr(&c));
    await_flag(&c.b.begun, 1);
    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), 0); /* it returned a value */
    assert_int_equal(c.a.check, VOW_E_CANCELLED);
    assert_int_equal(c.b.check, VOW_E_CANCELLED);
    vow_unref(f);
    pool_free(c.pool);
}

VOW_CASE(both_have_the_token_of_the_task)
{
    struct call c = {.pool = pool_new(2)};

    have_it_stolen(&c);
    call_inside(&c);
    assert_non_null(c.a.token);
    assert_ptr_equal(c.a.token, c.b.token);
    pool_free(c.pool);
}

static vow_error *
fork_once_more(void *call)
{
    fork_join(call);
    return NULL;
}

VOW_CASE(a_second_inside_a_second_is_part_of_that_task_too)
{
    vow_executor *pool = pool_new(3);
    struct call inner = {.pool = pool};
    struct branch outer = {.awaits = &inner.b.begun};
    vow_error *e;

    have_it_stolen(&inner);
    inner.b.until_cancelled = true;
    outer.fails = vow_error_new(7, "the outermost first");
    e = vow_fork_join(pool, run, &outer, fork_once_more, &inner);
    assert_int_equal(vow_error_code(e), 7);
    assert_int_equal(inner.b.check, VOW_E_CANCELLED);
    vow_error_unref(e);
    pool_free(pool);
}

/* ---- from elsewhere --------------------------------------------------------------------------- */

VOW_CASE(from_outside_all_of_it_runs_on_the_pool)
{
    struct call c = {.pool = pool_new(2)};

    have_it_stolen(&c);
    fork_join(&c);
    assert_null(c.error);
    assert_ptr_equal(c.a.on, c.pool);
    assert_ptr_equal(c.b.on, c.pool);
    assert_false(pthread_equal(c.a.thread, pthread_self()));
    pool_free(c.pool);
}

VOW_CASE(from_outside_an_error_comes_back_as_well)
{
    struct call c = {.pool = pool_new(1)};

    c.b.fails = vow_error_new(8, "second");
    fork_join(&c);
    assert_int_equal(vow_error_code(c.error), 8);
    vow_error_unref(c.error);
    pool_free(c.pool);
}

VOW_CASE(a_task_of_another_pool_waits_for_it)
{
    struct call c = {.pool = pool_new(2)};
    vow_executor *other = pool_new(1);
    vow_future *f = vow_submit(other, fork_join_task, vow_ptr(&c));

    assert_int_equal(code_of(f), 0);
    assert_null(c.error);
    assert_ptr_equal(c.a.on, c.pool);
    vow_unref(f);
    pool_free(other);
    pool_free(c.pool);
}

VOW_CASE(cancelled_from_outside_it_is_part_of_the_callers_task)
{
    struct call c = {.pool = pool_new(1)};
    vow_executor *other = pool_new(1);
    vow_future *f;

    c.a.until_cancelled = true;
    f = vow_submit(other, fork_join_task, vow_ptr(&c));
    await_flag(&c.a.begun, 1);
    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), 0);
    assert_int_equal(c.a.check, VOW_E_CANCELLED);
    vow_unref(f);
    pool_free(other);
    pool_free(c.pool);
}

VOW_CASE(elsewhere_than_on_a_pool_its_caller_runs_both)
{
    vow_manual *m = vow_manual_new();
    vow_loop *l = vow_loop_new(NULL);
    vow_executor *pool = pool_new(1), *serial = vow_serial_new(pool);
    vow_executor *ons[] = {NULL, vow_inline(), vow_manual_executor(m),
                           vow_loop_executor(l), serial};

    for (size_t i = 0; i < sizeof ons / sizeof *ons; i++) {
        struct call c = {.pool = ons[i]};

        fork_join(&c);
        assert_both_ran_here(&c);
    }
    vow_unref(vow_executor_close(serial, VOW_DRAIN));
    vow_executor_unref(serial);
    pool_free(pool);
    vow_loop_unref(l);
    vow_manual_unref(m);
}

/* Inside a task of it, too. */
VOW_CASE(a_task_of_a_manual_executor_runs_both)
{
    vow_manual *m = vow_manual_new();
    struct call c = {.pool = vow_manual_executor(m)};
    vow_future *f = vow_submit(c.pool, fork_join_task, vow_ptr(&c));

    assert_int_equal(vow_manual_run(m), 1);
    assert_int_equal(code_of(f), 0);
    assert_both_ran_here(&c);
    vow_unref(f);
    vow_manual_unref(m);
}

VOW_CASE(without_a_pool_a_first_that_fails_keeps_the_second_from_running)
{
    struct call c = {.pool = NULL};

    c.a.fails = vow_error_new(7, "first");
    fork_join(&c);
    assert_int_equal(vow_error_code(c.error), 7);
    assert_int_equal(c.b.begun, 0);
    vow_error_unref(c.error);
}

static vow_result
defer_and_fork(void *call)
{
    vow_defer_begin();
    fork_join(call);
    vow_defer_end();
    return vow_ok(VOW_NIL);
}

VOW_CASE(a_task_of_the_pool_that_defers_runs_both)
{
    struct call c = {.pool = pool_new(1)};
    vow_future *f = vow_submit(c.pool, defer_and_fork, vow_ptr(&c));

    assert_int_equal(code_of(f), 0);
    assert_both_ran_here(&c);
    vow_unref(f);
    pool_free(c.pool);
}

VOW_CASE(a_thread_that_must_not_wait_runs_both)
{
    struct call c = {.pool = pool_new(1)}, deferred = {.pool = c.pool};
    vow_executor *serial = vow_serial_new(c.pool);
    vow_future *f = vow_submit(serial, fork_join_task, vow_ptr(&c));

    assert_int_equal(code_of(f), 0);
    assert_both_ran_here(&c);
    vow_unref(f);
    vow_defer_begin();
    fork_join(&deferred);
    vow_defer_end();
    assert_both_ran_here(&deferred);
    vow_unref(vow_executor_close(serial, VOW_DRAIN));
    vow_executor_unref(serial);
    pool_free(c.pool);
}

VOW_CASE(if_the_pool_is_closed_its_caller_runs_both)
{
    struct call c = {.pool = pool_new(1)};

    vow_unref(vow_executor_close(c.pool, VOW_DRAIN));
    fork_join(&c);
    assert_both_ran_here(&c);
    assert_int_equal(vow_executor_join(c.pool), 0);
    vow_executor_unref(c.pool);
}

VOW_CASE(if_the_pool_is_full_its_caller_runs_both)
{
    static const vow_when_full when[] = {VOW_FULL_BLOCK, VOW_FULL_RUN, VOW_FULL_REJECT};

    for (size_t i = 0; i < sizeof when / sizeof *when; i++) {
        struct call c = {
            .pool = vow_pool_new(
                &VOW_POOL_OPTIONS(.threads = 1, .queue_limit = 1, .when_full = when[i]))};
        struct gate g;
        vow_future *f;

        shut(&g, c.pool);
        f = vow_submit(c.pool, wait_at_gate, vow_ptr(&g)); /* fills it */
        fork_join(&c);
        assert_both_ran_here(&c);
        open_gate(&g);
        assert_int_equal(code_of(f), 0);
        vow_unref(f);
        pool_free(c.pool);
    }
}

VOW_CASE(if_a_full_pool_drops_it_its_caller_runs_both)
{
    struct call c = {
        .pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .queue_limit = 1,
                                               .when_full = VOW_FULL_DROP_OLDEST))};
    vow_executor *other = pool_new(1);
    vow_future *f, *newer = NULL;
    struct gate g;

    shut(&g, c.pool);
    f = vow_submit(other, fork_join_task, vow_ptr(&c));
    while (vow_future_status(f) == VOW_PENDING) { /* drops what came before */
        vow_ignore(newer);
        newer = vow_submit(c.pool, wait_at_gate, vow_ptr(&g));
        sched_yield();
    }
    assert_int_equal(code_of(f), 0);
    assert_both_ran_here(&c);
    vow_unref(f);
    open_gate(&g);
    vow_ignore(newer);
    pool_free(other);
    pool_free(c.pool);
}

VOW_CASE(from_outside_without_memory_its_caller_runs_both)
{
    struct call c = {.pool = pool_new(1)};

    counting_fail_at(1, COUNTING_ONWARDS);
    fork_join(&c);
    counting_fail_at(0, COUNTING_ONCE);
    assert_both_ran_here(&c);
    pool_free(c.pool);
}

/* An executor that lets nobody wait on its threads. */
static int
post_nowhere(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    return VOW_E_CLOSED;
}

static int
refuse_to_block(vow_executor *self)
{
    (void)self;
    return VOW_E_DEADLOCK;
}

static const vow_executor_ops strict_ops = {.size = sizeof strict_ops,
                                            .name = "strict",
                                            .post = post_nowhere,
                                            .block_begin = refuse_to_block};
static vow_executor strict = {.ops = &strict_ops};

static void *
fork_where_waits_are_refused(void *call)
{
    vow_executor *outer = vow_executor_enter(&strict);

    fork_join(call);
    vow_executor_enter(outer);
    return NULL;
}

VOW_CASE(if_the_wait_for_it_is_refused_its_caller_runs_both)
{
    struct call c = {.pool = pool_new(1)}, exits = {.pool = c.pool, .a = {.exits = true}};
    pthread_t thread;
    struct gate g;

    shut(&g, c.pool);
    fork_where_waits_are_refused(&c);
    assert_both_ran_here(&c);
    assert_int_equal(pthread_create(&thread, NULL, fork_where_waits_are_refused, &exits),
                     0);
    pthread_join(thread, NULL);
    assert_false(exits.returned);
    assert_int_equal(exits.a.begun, 1);
    assert_int_equal(exits.b.begun, 0);
    open_gate(&g);
    pool_free(c.pool);
}

/* On a thread of the pool that ends. */
static void
fork_in_stop(unsigned worker, void *call)
{
    (void)worker;
    fork_join(call);
}

VOW_CASE(a_thread_of_the_pool_on_its_way_out_runs_both)
{
    struct call c = {.returned = false};

    c.pool = vow_pool_new(
        &VOW_POOL_OPTIONS(.threads = 1, .on_stop = fork_in_stop, .hook_ctx = &c));
    assert_non_null(c.pool);
    pool_free(c.pool);
    assert_true(c.returned);
    assert_both_ran_here(&c);
}

/* ---- beside other work -------------------------------------------------------------------------- */

static vow_error *
close_and_cancel(void *pool)
{
    vow_unref(vow_executor_close(pool, VOW_CANCEL_QUEUED));
    return NULL;
}

static vow_result
close_in_first(void *call)
{
    struct call *c = call;

    c->error = vow_fork_join(c->pool, close_and_cancel, c->pool, run, &c->b);
    if (c->error == NULL) /* closed: nothing is shared any more */
        c->error = vow_fork_join(c->pool, run, &c->a, run, &c->b);
    return vow_ok(VOW_NIL);
}

VOW_CASE(what_a_close_ends_the_caller_runs)
{
    struct call c = {.pool = pool_new(1)};
    vow_future *f = vow_submit(c.pool, close_in_first, vow_ptr(&c));

    assert_int_equal(code_of(f), 0);
    assert_null(c.error);
    assert_int_equal(c.a.ended, 1);
    assert_int_equal(c.b.ended, 2);
    vow_unref(f);
    assert_int_equal(vow_executor_join(c.pool), 0);
    vow_executor_unref(c.pool);
}

static void
count(void *flag)
{
    atomic_fetch_add((atomic_int *)flag, 1);
}

struct leaving {
    vow_executor *pool;
    atomic_int ran;
    int ran_before_second;
};

static vow_error *
leave_work_behind(void *leaving)
{
    struct leaving *l = leaving;

    for (int i = 0; i < 5; i++)
        assert_int_equal(vow_post(l->pool, count, vow_ptr(&l->ran)), 0);
    return NULL;
}

static vow_error *
see_what_ran(void *leaving)
{
    struct leaving *l = leaving;

    l->ran_before_second = atomic_load(&l->ran);
    return NULL;
}

static vow_result
fork_over_work(void *leaving)
{
    struct leaving *l = leaving;

    assert_null(vow_fork_join(l->pool, leave_work_behind, l, see_what_ran, l));
    return vow_ok(VOW_NIL);
}

VOW_CASE(work_that_the_first_leaves_behind_stays_queued)
{
    struct leaving l = {.pool = pool_new(1)};
    vow_future *f = vow_submit(l.pool, fork_over_work, vow_ptr(&l));

    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    assert_int_equal(l.ran_before_second, 0);
    pool_free(l.pool);
    assert_int_equal(l.ran, 5);
}

/* The second lies below what the first has posted, and both are stolen just as its caller has
 * seen it there. */
static struct {
    vow_executor *pool;
    struct gate gate; /* where the other thread waits until then */
    struct branch second;
    atomic_int ran; /* what the first has posted */
    pthread_t caller;
} robbed;

static _Thread_local bool is_robbed; /* the next time that this thread looks */

bool __real_vowi_deque_holds(struct vowi_deque *d, const vow_task *task);
bool __wrap_vowi_deque_holds(struct vowi_deque *d, const vow_task *task);

bool
__wrap_vowi_deque_holds(struct vowi_deque *d, const vow_task *task)
{
    bool holds = __real_vowi_deque_holds(d, task);

    if (is_robbed) {
        is_robbed = false;
        assert_true(holds);
        atomic_store(&robbed.gate.open, 1);
        await_flag(&robbed.ran, 1);
    }
    return holds;
}

static vow_error *
post_over_the_second(void *unused)
{
    (void)unused;
    assert_int_equal(vow_post(robbed.pool, count, vow_ptr(&robbed.ran)), 0);
    is_robbed = true;
    return NULL;
}

static vow_result
fork_and_be_robbed(void *unused)
{
    (void)unused;
    robbed.caller = pthread_self();
    assert_null(
        vow_fork_join(robbed.pool, post_over_the_second, NULL, run, &robbed.second));
    return vow_ok(VOW_NIL);
}

VOW_CASE(a_second_that_is_stolen_as_it_is_taken_back_is_waited_for)
{
    vow_future *f;

    memset(&robbed, 0, sizeof robbed);
    robbed.pool = pool_new(2);
    shut(&robbed.gate, robbed.pool);
    f = vow_submit(robbed.pool, fork_and_be_robbed, VOW_NIL);
    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    open_gate(&robbed.gate);
    assert_int_equal(robbed.second.begun, 1);
    assert_int_equal(robbed.second.ended, 1);
    assert_false(pthread_equal(robbed.second.thread, robbed.caller));
    assert_int_equal(atomic_load(&robbed.ran), 1);
    pool_free(robbed.pool);
}

static vow_error *
leave_work_and_close(void *leaving)
{
    struct leaving *l = leaving;

    leave_work_behind(l);
    return close_and_cancel(l->pool);
}

static vow_result
fork_over_work_and_close(void *leaving)
{
    struct leaving *l = leaving;

    assert_null(vow_fork_join(l->pool, leave_work_and_close, l, see_what_ran, l));
    return vow_ok(VOW_NIL);
}

VOW_CASE(work_that_is_left_behind_on_a_closed_pool_is_dropped)
{
    struct leaving l = {.pool = pool_new(1)};
    vow_future *f = vow_submit(l.pool, fork_over_work_and_close, vow_ptr(&l));

    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    assert_int_equal(vow_executor_join(l.pool), 0);
    vow_executor_unref(l.pool);
    assert_int_equal(l.ran, 0);
}

static vow_result
fork_in_step(vow_value in, void *call)
{
    fork_join(call);
    return vow_ok(in);
}

VOW_CASE(a_step_forks_as_a_task_does)
{
    vow_executor *pool = pool_new(2);
    struct call c = {.pool = pool}, inlined = {.pool = pool};
    vow_future *f;

    have_it_stolen(&c);
    f = vow_then(vow_resolved(vow_i64(1)), pool, fork_in_step, vow_ptr(&c));
    f = vow_then(f, NULL, fork_in_step, vow_ptr(&inlined));
    assert_int_equal(code_of(f), 0);
    assert_null(c.error);
    assert_null(inlined.error);
    assert_int_equal(inlined.b.ended, 1);
    vow_unref(f);
    pool_free(pool);
}

static vow_result
fulfill(void *promise)
{
    vow_promise_fulfill(promise, VOW_NIL);
    return vow_ok(VOW_NIL);
}

VOW_CASE(a_branch_may_block_for_what_is_submitted_meanwhile)
{
    struct call c = {.pool = pool_new(1)};
    vow_promise *p = vow_promise_new();
    vow_future *f, *other, *got = vow_promise_future(p);

    c.a.gets = got;
    f = vow_submit(c.pool, fork_join_task, vow_ptr(&c));
    await_flag(&c.a.begun, 1);
    other = vow_submit(c.pool, fulfill, vow_ptr(p));
    assert_int_equal(code_of(f), 0);
    assert_null(c.error);
    assert_int_equal(c.b.ended, 1);
    vow_unref(f);
    vow_unref(other);
    vow_unref(got);
    vow_promise_unref(p);
    pool_free(c.pool);
}

VOW_CASE(a_task_of_any_priority_forks)
{
    struct call c = {.pool = pool_new(1)};
    vow_future *f =
        vow_submit_with(c.pool, &VOW_SUBMIT_OPTIONS(.priority = VOW_IMMEDIATE),
                        fork_join_task, vow_ptr(&c));

    assert_int_equal(code_of(f), 0);
    assert_both_ran_here(&c);
    vow_unref(f);
    pool_free(c.pool);
}

/* ---- threads that exit ---------------------------------------------------------------------------- */

static int
code_when_called_inside(struct call *c)
{
    vow_future *f = vow_submit(c->pool, fork_join_task, vow_ptr(c));
    int code = code_of(f);

    vow_unref(f);
    assert_false(c->returned);
    return code;
}

VOW_CASE(if_the_thread_exits_in_the_first_the_second_does_not_begin)
{
    struct call c = {.pool = pool_new(1)};

    c.a.exits = true;
    assert_int_equal(code_when_called_inside(&c), VOW_E_BROKEN);
    assert_int_equal(c.b.begun, 0);
    pool_free(c.pool);
}

VOW_CASE(if_the_thread_exits_in_the_first_a_second_that_runs_has_ended)
{
    struct call c = {.pool = pool_new(2)};
    struct drop d = {0};

    have_it_stolen(&c);
    c.a.exits = true;
    c.b.fails = drop_error(&d, 8);
    assert_int_equal(code_when_called_inside(&c), VOW_E_BROKEN);
    assert_int_equal(c.b.ended, 1);
    assert_int_equal(drop_count(&d), 1);
    pool_free(c.pool);
}

/* A branch whose thread exits has failed, and so the other one is told. */
VOW_CASE(if_the_thread_exits_in_the_first_a_second_that_runs_is_told)
{
    struct call c = {.pool = pool_new(2)};

    have_it_stolen(&c);
    c.a.exits = true;
    c.b.until_cancelled = true;
    assert_int_equal(code_when_called_inside(&c), VOW_E_BROKEN);
    assert_int_equal(c.b.ended, 1);
    assert_int_equal(c.b.check, VOW_E_CANCELLED);
    pool_free(c.pool);
}

VOW_CASE(if_the_callers_thread_exits_in_the_second_its_task_has_failed)
{
    struct call c = {.pool = pool_new(1)};

    c.b.exits = true;
    assert_int_equal(code_when_called_inside(&c), VOW_E_BROKEN);
    pool_free(c.pool);
}

VOW_CASE(if_another_thread_exits_in_the_second_that_has_failed)
{
    struct call c = {.pool = pool_new(2)};

    have_it_stolen(&c);
    c.b.exits = true;
    call_inside(&c);
    assert_int_equal(vow_error_code(c.error), VOW_E_BROKEN);
    vow_error_unref(c.error);
    pool_free(c.pool);
}

VOW_CASE(called_from_outside_a_thread_that_exits_has_failed)
{
    struct call c = {.pool = pool_new(1)};

    c.a.exits = true;
    fork_join(&c);
    assert_int_equal(vow_error_code(c.error), VOW_E_BROKEN);
    vow_error_unref(c.error);
    pool_free(c.pool);
}

/* In what its caller runs while it waits: a descendant of the second, which is stolen. */
struct helping {
    vow_executor *pool;
    atomic_int second_begun, child_begun;
    struct branch child;
};

static vow_error *
fork_a_child_that_exits(void *helping)
{
    struct helping *h = helping;
    struct branch waits = {.awaits = &h->child.begun};

    atomic_store(&h->second_begun, 1);
    return vow_fork_join(h->pool, run, &waits, run, &h->child);
}

static vow_error *
await_second(void *helping)
{
    await_flag(&((struct helping *)helping)->second_begun, 1);
    return vow_error_new(7, "first");
}

static vow_result
fork_and_help(void *helping)
{
    struct helping *h = helping;

    vow_error_unref(vow_fork_join(h->pool, await_second, h, fork_a_child_that_exits, h));
    return vow_ok(VOW_NIL);
}

VOW_CASE(if_the_thread_exits_in_what_it_helps_with_all_has_ended)
{
    struct helping h = {.pool = pool_new(2), .child = {.exits = true}};
    vow_future *f = vow_submit(h.pool, fork_and_help, vow_ptr(&h));

    assert_int_equal(code_of(f), VOW_E_BROKEN);
    assert_int_equal(h.child.begun, 1);
    vow_unref(f);
    pool_free(h.pool);
}

/* ---- forks of the process --------------------------------------------------------------------------- */

struct forking {
    vow_executor *pool;
    struct branch second;
    atomic_int forked;
    bool steals, revives, child;
    pid_t pid;
};

static vow_error *
fork_in_first(void *forking)
{
    struct forking *f = forking;

    if (f->steals)
        await_flag(&f->second.begun, 1);
    f->child = in_child(&f->pid);
    if (f->child && f->revives)
        require(vow_executor_revive(f->pool) == 0);
    atomic_store(&f->forked, 1);
    return NULL;
}

static vow_result
fork_in_task(void *forking)
{
    struct forking *f = forking;
    vow_error *e = vow_fork_join(f->pool, fork_in_first, f, run, &f->second);

    if (f->child) {
        require(vow_error_code(e) == (f->steals ? VOW_E_FORKED : 0));
        require(f->second.begun == 1);
        require(f->second.ended == !f->steals);
        leave(0);
    }
    assert_null(e);
    assert_int_equal(f->second.ended, 1);
    assert_child_was_fine(f->pid);
    return vow_ok(VOW_NIL);
}

static void
fork_on_a_pool_of(unsigned threads, struct forking *f)
{
    vow_future *task;

    f->pool = pool_new(threads);
    task = vow_submit(f->pool, fork_in_task, vow_ptr(f));
    assert_int_equal(code_of(task), 0);
    vow_unref(task);
    pool_free(f->pool);
}

VOW_CASE(in_a_child_the_second_that_nobody_has_begun_runs)
{
    struct forking f = {.steals = false}, revived = {.revives = true};

    fork_on_a_pool_of(1, &f);
    fork_on_a_pool_of(1, &revived);
}

VOW_CASE(in_a_child_the_second_that_runs_in_the_parent_is_lost)
{
    struct forking f = {.steals = true};

    f.second.awaits = &f.forked;
    fork_on_a_pool_of(2, &f);
}

/* What the caller helps with forks the process, in the middle of its wait. */
struct forking_help {
    vow_executor *pool;
    atomic_int second_begun, child_begun;
    bool child;
    pid_t pid;
};

static vow_error *
fork_in_help(void *help)
{
    struct forking_help *h = help;

    h->child = in_child(&h->pid);
    atomic_store(&h->child_begun, 1);
    return NULL;
}

static vow_error *
await_child(void *help)
{
    await_flag(&((struct forking_help *)help)->child_begun, 1);
    return NULL;
}

static vow_error *
fork_a_child_that_forks(void *help)
{
    struct forking_help *h = help;

    atomic_store(&h->second_begun, 1);
    return vow_fork_join(h->pool, await_child, h, fork_in_help, h);
}

static vow_error *
await_second_begun(void *help)
{
    await_flag(&((struct forking_help *)help)->second_begun, 1);
    return NULL;
}

static vow_result
help_who_forks(void *help)
{
    struct forking_help *h = help;
    vow_error *e =
        vow_fork_join(h->pool, await_second_begun, h, fork_a_child_that_forks, h);

    if (h->child) {
        require(vow_error_code(e) == VOW_E_FORKED);
        leave(0);
    }
    assert_null(e);
    assert_child_was_fine(h->pid);
    return vow_ok(VOW_NIL);
}

VOW_CASE(in_a_child_whose_parent_helped_the_second_is_lost)
{
    struct forking_help h = {.pool = pool_new(2)};
    vow_future *f = vow_submit(h.pool, help_who_forks, vow_ptr(&h));

    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    pool_free(h.pool);
}

/* A step calls from outside, and the next one, which its wait runs, forks the process. */
struct forking_step {
    vow_executor *pool;
    atomic_int begun, forked;
    bool child;
    pid_t pid;
};

static vow_error *
await_fork(void *step)
{
    struct forking_step *s = step;

    atomic_store(&s->begun, 1);
    await_flag(&s->forked, 1);
    return NULL;
}

static vow_error *
end_at_once(void *unused)
{
    (void)unused;
    return NULL;
}

static vow_result
call_in_step(vow_value in, void *step)
{
    struct forking_step *s = step;
    vow_error *e = vow_fork_join(s->pool, await_fork, s, end_at_once, NULL);

    (void)in;
    if (s->child) {
        require(vow_error_code(e) == VOW_E_FORKED);
        leave(0);
    }
    assert_null(e);
    return vow_ok(VOW_NIL);
}

static vow_result
fork_in_next_step(vow_value in, void *step)
{
    struct forking_step *s = step;

    (void)in;
    await_flag(&s->begun, 1);
    s->child = in_child(&s->pid);
    atomic_store(&s->forked, 1);
    return vow_ok(VOW_NIL);
}

VOW_CASE(in_a_child_what_was_called_from_outside_and_runs_in_the_parent_is_lost)
{
    struct forking_step s = {.pool = pool_new(1)};
    vow_promise *p = vow_promise_new();
    vow_future *calls = vow_then(vow_promise_future(p), NULL, call_in_step, vow_ptr(&s));
    vow_future *forks =
        vow_then(vow_promise_future(p), NULL, fork_in_next_step, vow_ptr(&s));

    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
    assert_int_equal(code_of(calls), 0);
    assert_int_equal(code_of(forks), 0);
    assert_child_was_fine(s.pid);
    vow_unref(calls);
    vow_unref(forks);
    pool_free(s.pool);
}

VOW_CASE(in_a_child_the_pool_that_was_left_behind_shares_nothing)
{
    struct call c = {.pool = pool_new(1)};
    pid_t pid;

    if (in_child(&pid)) {
        fork_join(&c);
        require(c.error == NULL);
        require(pthread_equal(c.b.thread, pthread_self()));
        leave(0);
    }
    assert_child_was_fine(pid);
    pool_free(c.pool);
}

int
main(void)
{
    static const struct CMUnitTest cases[] = {
        vow_test(alone_its_caller_runs_the_first_then_the_second),
        vow_test(an_idle_thread_takes_the_second),
        vow_test(its_caller_sleeps_until_another_thread_has_ended_it),
        vow_test(forks_inside_forks_add_up),
        vow_test(a_thousand_forks_deep_the_queue_has_grown),
        vow_test(without_memory_for_the_queue_the_caller_runs_both),
        vow_test(on_a_thread_of_the_pool_nothing_is_allocated),
        vow_test(if_the_first_fails_the_second_does_not_begin),
        vow_test(the_error_of_the_second_comes_back),
        vow_test(if_both_fail_the_error_of_the_first_comes_back),
        vow_test(a_second_that_runs_sees_that_the_first_has_failed),
        vow_test(both_are_part_of_the_task_that_is_asked_to_stop),
        vow_test(both_have_the_token_of_the_task),
        vow_test(a_second_inside_a_second_is_part_of_that_task_too),
        vow_test(from_outside_all_of_it_runs_on_the_pool),
        vow_test(from_outside_an_error_comes_back_as_well),
        vow_test(a_task_of_another_pool_waits_for_it),
        vow_test(cancelled_from_outside_it_is_part_of_the_callers_task),
        vow_test(elsewhere_than_on_a_pool_its_caller_runs_both),
        vow_test(a_task_of_a_manual_executor_runs_both),
        vow_test(without_a_pool_a_first_that_fails_keeps_the_second_from_running),
        vow_test(a_task_of_the_pool_that_defers_runs_both),
        vow_test(a_thread_that_must_not_wait_runs_both),
        vow_test(if_the_pool_is_closed_its_caller_runs_both),
        vow_test(if_the_pool_is_full_its_caller_runs_both),
        vow_test(if_a_full_pool_drops_it_its_caller_runs_both),
        vow_test(from_outside_without_memory_its_caller_runs_both),
        vow_test(what_a_close_ends_the_caller_runs),
        vow_test(work_that_the_first_leaves_behind_stays_queued),
        vow_test(work_that_is_left_behind_on_a_closed_pool_is_dropped),
        vow_test(a_second_that_is_stolen_as_it_is_taken_back_is_waited_for),
        vow_test(a_thread_of_the_pool_on_its_way_out_runs_both),
        vow_test(a_step_forks_as_a_task_does),
        vow_test(a_branch_may_block_for_what_is_submitted_meanwhile),
        vow_test(a_task_of_any_priority_forks),
        vow_test(if_the_thread_exits_in_the_first_the_second_does_not_begin),
        vow_test(if_the_thread_exits_in_the_first_a_second_that_runs_has_ended),
        vow_test(if_the_thread_exits_in_the_first_a_second_that_runs_is_told),
        vow_test(if_the_callers_thread_exits_in_the_second_its_task_has_failed),
        vow_test(if_another_thread_exits_in_the_second_that_has_failed),
        vow_test(called_from_outside_a_thread_that_exits_has_failed),
        vow_test(if_the_thread_exits_in_what_it_helps_with_all_has_ended),
        vow_test(in_a_child_the_second_that_nobody_has_begun_runs),
        vow_test(in_a_child_the_second_that_runs_in_the_parent_is_lost),
        vow_test(in_a_child_whose_parent_helped_the_second_is_lost),
        vow_test(in_a_child_what_was_called_from_outside_and_runs_in_the_parent_is_lost),
        vow_test(in_a_child_the_pool_that_was_left_behind_shares_nothing),
        vow_test(if_the_wait_for_it_is_refused_its_caller_runs_both),
    };

    parent = getpid();
    return vow_test_run(cases);
}
