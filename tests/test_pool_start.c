/* SPDX-License-Identifier: MIT */
/*
 * A pool whose threads, mutexes or memory cannot be had: it works with what it got or
 * fails as it says, and leaves nothing behind. The linker puts the functions below in
 * the place of the library's (--wrap), so this is built with the static library alone.
 */
#include "support/vow_test.h"

#include <errno.h>

#include "../executors/pool_internal.h"
#include "base/sys.h"
#include "support/drops.h"

/* Which call fails: the k-th (from 1), and all that follow if so said. 0: none. */
struct fault {
    atomic_int at;
    atomic_bool onwards;
    atomic_int calls;
    atomic_int failed;
    int code;
};

static struct fault thread_fault;
static struct fault mutex_fault;
static struct fault cond_fault;

static void
fault_set(struct fault *f, int at, bool onwards, int code)
{
    f->code = code;
    atomic_store(&f->calls, 0);
    atomic_store(&f->failed, 0);
    atomic_store(&f->onwards, onwards);
    atomic_store(&f->at, at);
}

static bool
fault_now(struct fault *f)
{
    int call = atomic_fetch_add(&f->calls, 1) + 1;
    int at = atomic_load(&f->at);
    bool now = at != 0 && (call == at || (call > at && atomic_load(&f->onwards)));

    if (now)
        atomic_fetch_add(&f->failed, 1);
    return now;
}

int __real_vowi_sys_thread_create(pthread_t *thread, size_t stack, void *(*run)(void *),
                                  void *arg);
int __wrap_vowi_sys_thread_create(pthread_t *thread, size_t stack, void *(*run)(void *),
                                  void *arg);
int __real_vowi_sys_mutex_init(pthread_mutex_t *mutex);
int __wrap_vowi_sys_mutex_init(pthread_mutex_t *mutex);
int __real_vowi_sys_cond_init(pthread_cond_t *cond);
int __wrap_vowi_sys_cond_init(pthread_cond_t *cond);

int
__wrap_vowi_sys_thread_create(pthread_t *thread, size_t stack, void *(*run)(void *),
                              void *arg)
{
    if (fault_now(&thread_fault))
        return thread_fault.code;
    return __real_vowi_sys_thread_create(thread, stack, run, arg);
}

int
__wrap_vowi_sys_mutex_init(pthread_mutex_t *mutex)
{
    if (fault_now(&mutex_fault))
        return mutex_fault.code;
    return __real_vowi_sys_mutex_init(mutex);
}

int
__wrap_vowi_sys_cond_init(pthread_cond_t *cond)
{
    if (fault_now(&cond_fault))
        return cond_fault.code;
    return __real_vowi_sys_cond_init(cond);
}

enum { THREADS = 4, TASKS = 40 };

/* Warnings: how many, and the last of them. */
static struct {
    atomic_int count;
    int code;
} warned;

static void
count_warning(int code, const char *message, void *ctx)
{
    (void)ctx;
    assert_non_null(message);
    warned.code = code;
    atomic_fetch_add(&warned.count, 1);
}

static vow_result
count_task(void *ctx)
{
    atomic_int *count = ctx;

    atomic_fetch_add(count, 1);
    return vow_ok(VOW_NIL);
}

static int
code_of_and_drop(vow_future *f)
{
    int code = code_of(f);

    vow_unref(f);
    return code;
}

static vow_executor *
pool_new(void)
{
    errno = 0;
    return vow_pool_new(&VOW_POOL_OPTIONS(.threads = THREADS));
}

/* Runs tasks through a pool, or sees that it failed as it may; then frees it. */
static void
use_pool(vow_executor *pool)
{
    atomic_int count = 0;

    if (pool == NULL) {
        assert_true(errno == ENOMEM || errno == EAGAIN);
        return;
    }
    for (int i = 0; i < TASKS; i++) {
        vow_future *f = vow_submit(pool, count_task, vow_ptr(&count));

        assert_int_equal(code_of(f), 0);
        vow_unref(f);
    }
    assert_int_equal(count, TASKS);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
}

VOW_CASE(pool_with_one_thread_missing_works_with_the_others)
{
    for (int at = 2; at <= THREADS; at++) {
        vow_executor *pool;

        atomic_store(&warned.count, 0);
        fault_set(&thread_fault, at, true, EAGAIN);
        pool = pool_new();
        assert_non_null(pool);
        assert_int_equal(warned.count, 1);
        assert_int_equal(warned.code, EAGAIN);
        assert_int_equal(vow_pool_threads(pool), at - 1);
        assert_true(thread_fault.failed >= 1);
        use_pool(pool);
        fault_set(&thread_fault, 0, false, 0);
    }
}

VOW_CASE(pool_without_any_thread_fails_with_the_reason)
{
    static const int codes[] = {EAGAIN, ENOMEM};

    for (int i = 0; i < 2; i++) {
        vow_executor *pool;

        atomic_store(&warned.count, 0);
        fault_set(&thread_fault, 1, true, codes[i]);
        pool = pool_new();
        assert_int_equal(warned.count, 0); /* an error says it all */
        fault_set(&thread_fault, 0, false, 0);
        assert_null(pool);
        assert_int_equal(errno, codes[i]);
    }
}

VOW_CASE(pool_whose_mutexes_or_conditions_fail_fails_or_works)
{
    static struct fault *const faults[] = {&mutex_fault, &cond_fault};

    for (int i = 0; i < 4; i++) {
        struct fault *f = faults[i / 2];
        int failed = 1;

        for (int at = 1; failed > 0 && at < 100; at++) {
            vow_executor *pool;

            fault_set(f, at, i % 2 != 0, EAGAIN);
            pool = pool_new();
            failed = f->failed;
            fault_set(f, 0, false, 0);
            use_pool(pool);
        }
        assert_int_equal(failed, 0);
    }
}

static vow_result
wait_for(void *f)
{
    return vow_ok(vow_i64(vow_error_code(vow_get(f).error)));
}

/* The worker waits, no spare can be had: all must end once its wait does. */
VOW_CASE(wait_in_a_pool_that_cannot_add_a_spare_ends_when_it_can)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    vow_promise *p = vow_promise_new();
    vow_future *outside = vow_promise_future(p);
    atomic_int count = 0;
    vow_future *f;
    vow_future *other;

    assert_non_null(pool);
    atomic_store(&warned.count, 0);
    fault_set(&thread_fault, 1, true, EAGAIN);
    f = vow_submit(pool, wait_for, vow_ptr(outside));
    other = vow_submit(pool, count_task, vow_ptr(&count));
    await_flag(&warned.count, 1);
    vow_promise_fulfill(p, VOW_NIL);

    assert_int_equal(vow_get(f).value.as.i64, 0);
    assert_int_equal(code_of(other), 0);
    fault_set(&thread_fault, 0, false, 0);
    vow_unref(f);
    vow_unref(other);
    vow_unref(outside);
    vow_promise_unref(p);
    use_pool(pool);
}

struct nest {
    vow_executor *pool;
    int depth;
};

static vow_result
submit_and_wait(void *ctx)
{
    struct nest *self = ctx;
    struct nest next = {self->pool, self->depth - 1};
    vow_future *f;
    int64_t seen;

    if (self->depth == 0)
        return vow_ok(vow_i64(0));
    f = vow_submit(self->pool, submit_and_wait, vow_ptr(&next));
    seen = vow_get(f).value.as.i64;
    vow_unref(f);
    return vow_ok(vow_i64(seen + 1));
}

VOW_CASE(wait_for_ones_own_task_needs_no_spare)
{
    struct nest n = {vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1)), 10};
    vow_future *f;

    assert_non_null(n.pool);
    fault_set(&thread_fault, 1, true, EAGAIN);
    f = vow_submit(n.pool, submit_and_wait, vow_ptr(&n));

    assert_int_equal(vow_get(f).value.as.i64, 10);
    fault_set(&thread_fault, 0, false, 0);
    vow_unref(f);
    use_pool(n.pool);
}

VOW_CASE(pool_without_memory_fails_or_works_at_every_allocation)
{
    bool failed = true;

    for (size_t k = 1; failed; k++) {
        vow_executor *pool;

        counting_fail_at(k, k % 2 != 0 ? COUNTING_ONCE : COUNTING_ONWARDS);
        pool = pool_new();
        failed = counting_failed();
        counting_fail_at(0, COUNTING_ONCE);
        if (pool == NULL)
            assert_int_equal(errno, ENOMEM);
        use_pool(pool);
    }
}

/* A task ends its thread, and no other can be had in its place. */

struct leaver {
    atomic_int entered;
    atomic_int open;
};

static vow_result
leave_thread(void *ctx)
{
    struct leaver *l = ctx;

    atomic_store(&l->entered, 1);
    await_flag(&l->open, 1);
    pthread_exit(NULL);
}

VOW_CASE(pool_that_lost_one_of_two_threads_works_with_the_other)
{
    struct leaver l = {.open = 1};
    atomic_int count = 0;
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));
    vow_future *f;

    assert_non_null(pool);
    atomic_store(&warned.count, 0);
    fault_set(&thread_fault, 1, true, EAGAIN);
    f = vow_submit(pool, leave_thread, vow_ptr(&l));
    assert_int_equal(code_of(f), VOW_E_BROKEN);
    vow_unref(f);
    f = vow_submit(pool, count_task, vow_ptr(&count));
    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    use_pool(pool);
    fault_set(&thread_fault, 0, false, 0);
    assert_int_equal(count, 1);
    assert_int_equal(warned.count, 1);
    assert_int_equal(warned.code, EAGAIN);
}

/* What is queued ends with the last thread, and so does the pool. */
VOW_CASE(pool_that_lost_its_only_thread_is_closed)
{
    struct leaver l = {.open = 0};
    atomic_int count = 0;
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    vow_future *f, *queued, *late;

    assert_non_null(pool);
    fault_set(&thread_fault, 1, true, EAGAIN);
    f = vow_submit(pool, leave_thread, vow_ptr(&l));
    await_flag(&l.entered, 1);
    queued = vow_submit(pool, count_task, vow_ptr(&count));
    atomic_store(&l.open, 1);
    assert_int_equal(code_of(f), VOW_E_BROKEN);
    assert_int_equal(code_of(queued), VOW_E_CLOSED);
    late = vow_submit(pool, count_task, vow_ptr(&count));
    assert_int_equal(code_of(late), VOW_E_CLOSED);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    fault_set(&thread_fault, 0, false, 0);

    assert_int_equal(count, 0);
    vow_unref(f);
    vow_unref(queued);
    vow_unref(late);
    vow_executor_unref(pool);
}

VOW_CASE(pool_that_loses_its_only_thread_while_it_drains_is_done)
{
    struct leaver l = {.open = 0};
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    vow_future *f, *closed;

    assert_non_null(pool);
    fault_set(&thread_fault, 1, true, EAGAIN);
    f = vow_submit(pool, leave_thread, vow_ptr(&l));
    await_flag(&l.entered, 1);
    closed = vow_executor_close(pool, VOW_DRAIN);
    atomic_store(&l.open, 1);
    assert_int_equal(code_of(f), VOW_E_BROKEN);
    assert_int_equal(code_of(closed), 0);
    assert_int_equal(vow_executor_join(pool), 0);
    fault_set(&thread_fault, 0, false, 0);

    vow_unref(f);
    vow_unref(closed);
    vow_executor_unref(pool);
}

/* A pool with a limit, and a thread that waits for room. */

static void *
post_and_wait(void *arg)
{
    vow_executor *pool = arg;
    static atomic_int count;
    vow_future *f = vow_submit(pool, count_task, vow_ptr(&count));

    return (void *)(intptr_t)code_of_and_drop(f);
}

static vow_executor *
full_pool(struct leaver *l, vow_future **f, vow_future **queued)
{
    static atomic_int count;
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .queue_limit = 1));

    assert_non_null(pool);
    *f = vow_submit(pool, leave_thread, vow_ptr(l));
    await_flag(&l->entered, 1);
    *queued = vow_submit(pool, count_task, vow_ptr(&count));
    return pool;
}

VOW_CASE(pool_that_lost_its_only_thread_turns_waiting_posters_away)
{
    struct leaver l = {.open = 0};
    vow_future *f, *queued;
    vow_executor *pool = full_pool(&l, &f, &queued);
    struct vowi_pool *p = vowi_container_of(pool, struct vowi_pool, executor);
    bool waits = false;
    pthread_t thread;
    void *code;

    assert_int_equal(pthread_create(&thread, NULL, post_and_wait, pool), 0);
    while (!waits) {
        vowi_lock_acquire(&p->level_lock);
        waits = p->posters != NULL;
        vowi_lock_release(&p->level_lock);
    }
    fault_set(&thread_fault, 1, true, EAGAIN);
    atomic_store(&l.open, 1);
    pthread_join(thread, &code);
    fault_set(&thread_fault, 0, false, 0);

    assert_int_equal((intptr_t)code, VOW_E_CLOSED);
    assert_int_equal(code_of_and_drop(queued), VOW_E_CLOSED);
    assert_int_equal(code_of_and_drop(f), VOW_E_BROKEN);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
}

/* Without a mutex to sleep on it looks again and again: to wait must not fail. */
VOW_CASE(poster_that_cannot_sleep_waits_for_room_all_the_same)
{
    struct leaver l = {.open = 0};
    vow_future *f, *queued;
    vow_executor *pool = full_pool(&l, &f, &queued);
    pthread_t thread;
    void *code;

    fault_set(&mutex_fault, 1, true, ENOMEM);
    assert_int_equal(pthread_create(&thread, NULL, post_and_wait, pool), 0);
    await_flag(&mutex_fault.failed, 1);
    atomic_store(&l.open, 1);
    pthread_join(thread, &code);
    fault_set(&mutex_fault, 0, false, 0);

    assert_int_equal((intptr_t)code, 0);
    assert_int_equal(code_of_and_drop(queued), 0);
    assert_int_equal(code_of_and_drop(f), VOW_E_BROKEN);
    use_pool(pool);
}

/* What a hook may do with the pool that it is told of. */
static void
post_to_default_pool(int code, const char *message, void *count)
{
    vow_future *f = vow_submit(vow_default_pool(), count_task, vow_ptr(count));

    assert_int_equal(code, EAGAIN);
    assert_non_null(message);
    vow_unref(f);
}

VOW_CASE(warning_of_a_default_pool_with_a_thread_missing_may_post_to_it)
{
    atomic_int count = 0;

    if (vow_cpu_count() < 2)
        skip();
    vow_on_warning(post_to_default_pool, &count);
    fault_set(&thread_fault, 2, false, EAGAIN);
    use_pool(vow_default_pool());
    fault_set(&thread_fault, 0, false, 0);
    vow_on_warning(count_warning, NULL);
    assert_int_equal(count, 1);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(pool_with_one_thread_missing_works_with_the_others),
        vow_test(pool_without_any_thread_fails_with_the_reason),
        vow_test(pool_whose_mutexes_or_conditions_fail_fails_or_works),
        vow_test(wait_in_a_pool_that_cannot_add_a_spare_ends_when_it_can),
        vow_test(wait_for_ones_own_task_needs_no_spare),
        vow_test(pool_without_memory_fails_or_works_at_every_allocation),
        vow_test(pool_that_lost_one_of_two_threads_works_with_the_other),
        vow_test(pool_that_lost_its_only_thread_is_closed),
        vow_test(pool_that_loses_its_only_thread_while_it_drains_is_done),
        vow_test(pool_that_lost_its_only_thread_turns_waiting_posters_away),
        vow_test(poster_that_cannot_sleep_waits_for_room_all_the_same),
        vow_test(warning_of_a_default_pool_with_a_thread_missing_may_post_to_it),
    };

    vow_on_warning(count_warning, NULL);
    return vow_test_run(cases);
}
