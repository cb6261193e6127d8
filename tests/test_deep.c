/* SPDX-License-Identifier: MIT */
/*
 * Depth: chains of millions of links, and things that own things that own things, on
 * a thread whose stack is 64 KiB. All of it must be done in loops. The library's own
 * memory is used here, not the counting allocator's: these are a gigabyte as it is.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <stdlib.h>

#include "support/drops.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

/* A sanitizer has larger frames, thread data of its own, and less speed. */
#ifdef SANITIZED
enum { LINKS = 500000, NESTED = 200000, STACK = 1024 * 1024 };
#else
enum { LINKS = 10000000, NESTED = 1000000, STACK = 64 * 1024 };
#endif

/* What runs on the small stack: returns NULL, or what went wrong. */
typedef const char *deep_fn(void);

static void *
run_deep(void *fn)
{
    union {
        void *in;
        deep_fn *out;
    } cast = {.in = fn};
    union {
        const char *in;
        void *out;
    } result = {.in = cast.out()};

    return result.out;
}

static void
on_a_small_stack(deep_fn *fn)
{
    union {
        deep_fn *in;
        void *out;
    } cast = {.in = fn};
    pthread_attr_t attr;
    pthread_t thread;
    void *wrong = NULL;

    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstacksize(&attr, STACK), 0);
    assert_int_equal(pthread_create(&thread, &attr, run_deep, cast.out), 0);
    pthread_join(thread, &wrong);
    pthread_attr_destroy(&attr);
    vow_trim();
    if (wrong != NULL)
        fail_msg("%s", (const char *)wrong);
}

#define must(condition)                                                                  \
    do {                                                                                 \
        if (!(condition))                                                                \
            return #condition;                                                           \
    } while (0)

static atomic_int steps_run;
static atomic_int contexts_dropped;

static void
count_drop(void *p)
{
    (void)p;
    atomic_fetch_add_explicit(&contexts_dropped, 1, memory_order_relaxed);
}

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    atomic_fetch_add_explicit(&steps_run, 1, memory_order_relaxed);
    return vow_ok(vow_i64(in.as.i64 + 1));
}

/* A chain of steps on a promise, each with a context whose drop is counted. */
static vow_future *
chain_on(vow_promise *p, int links)
{
    vow_future *f = vow_promise_future(p);

    atomic_store(&steps_run, 0);
    atomic_store(&contexts_dropped, 0);
    for (int i = 0; i < links; i++)
        f = vow_then(f, NULL, add_one, vow_own(&steps_run, count_drop));
    return f;
}

static const char *
fulfill_chain(void)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = chain_on(p, LINKS);

    must(vow_future_status(f) == VOW_PENDING);
    must(vow_promise_fulfill(p, vow_i64(0)));
    must(vow_get(f).error == NULL);
    must(vow_get(f).value.as.i64 == LINKS);
    must(contexts_dropped == LINKS);
    vow_unref(f);
    vow_promise_unref(p);
    return NULL;
}

static const char *
reject_chain(void)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = chain_on(p, LINKS);

    must(vow_promise_reject(p, vow_error_of(VOW_E_TIMEDOUT)));
    must(vow_get(f).error == vow_error_of(VOW_E_TIMEDOUT));
    must(steps_run == 0);
    must(contexts_dropped == LINKS);
    vow_unref(f);
    vow_promise_unref(p);
    return NULL;
}

static const char *
abandon_chain(void)
{
    vow_promise *p = vow_promise_new();

    vow_unref(chain_on(p, LINKS));
    must(contexts_dropped == 0);
    vow_promise_abandon(p);
    must(steps_run == 0);
    must(contexts_dropped == LINKS);
    return NULL;
}

static const char *
run_chain_that_nobody_holds(void)
{
    vow_promise *p = vow_promise_new();

    vow_unref(chain_on(p, LINKS / 10));
    must(vow_promise_fulfill(p, vow_i64(0)));
    must(steps_run == LINKS / 10);
    must(contexts_dropped == LINKS / 10);
    vow_promise_unref(p);
    return NULL;
}

static const char *
cancel_chain(void)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = chain_on(p, LINKS / 10);

    vow_future_cancel(f, NULL);
    must(vow_error_code(vow_get(f).error) == VOW_E_CANCELLED);
    must(steps_run == 0);
    must(contexts_dropped == LINKS / 10);
    must(!vow_promise_fulfill(p, VOW_NIL));
    vow_unref(f);
    vow_promise_unref(p);
    return NULL;
}

static const char *
chain_on_ready(void)
{
    vow_future *f = vow_resolved(vow_i64(0));

    for (int i = 0; i < NESTED; i++)
        f = vow_then(f, NULL, add_one, VOW_NIL);
    must(vow_get(f).value.as.i64 == NESTED);
    vow_unref(f);
    return NULL;
}

static void
drop_future(void *f)
{
    atomic_fetch_add_explicit(&contexts_dropped, 1, memory_order_relaxed);
    vow_unref(f);
}

/* A future whose value owns a future whose value owns a future ... */
static const char *
drop_nested_values(void)
{
    vow_future *f = vow_resolved(VOW_NIL);

    atomic_store(&contexts_dropped, 0);
    for (int i = 0; i < NESTED; i++)
        f = vow_resolved(vow_own(f, drop_future));
    vow_unref(f);
    must(contexts_dropped == NESTED);
    return NULL;
}

static void
break_promise(void *p)
{
    atomic_fetch_add_explicit(&contexts_dropped, 1, memory_order_relaxed);
    vow_promise_unref(p);
}

/* A step whose context owns a promise with a step whose context owns a promise ... */
static const char *
break_nested_promises(void)
{
    vow_promise *p = vow_promise_new();
    vow_promise *inner = p;

    atomic_store(&contexts_dropped, 0);
    for (int i = 0; i < NESTED; i++) {
        vow_promise *outer = vow_promise_new();

        vow_ignore(vow_then(vow_promise_future(outer), NULL, add_one,
                            vow_own(inner, break_promise)));
        inner = outer;
    }
    vow_promise_unref(inner);
    must(contexts_dropped == NESTED);
    return NULL;
}

static const char *
unref_nested_causes(void)
{
    vow_error *e = vow_error_new(EIO, "the first cause");

    for (int i = 0; i < NESTED; i++) {
        vow_error *outer = vow_error_wrap(e, VOW_E_USER, "because");

        vow_error_unref(e);
        e = outer;
    }
    must(vow_error_is(e, EIO));
    must(!vow_error_is(e, EPERM));
    vow_error_unref(e);
    return NULL;
}

/* Every promise follows the next, and every future is held. */
static const char *
settle_followers(void)
{
    vow_promise **p = calloc(NESTED, sizeof *p);
    vow_future **f = calloc(NESTED, sizeof *f);

    must(p != NULL && f != NULL);
    for (int i = 0; i < NESTED; i++) {
        p[i] = vow_promise_new();
        f[i] = vow_promise_future(p[i]);
    }
    for (int i = NESTED - 1; i > 0; i--)
        must(vow_promise_resolve(p[i], vow_follow(vow_ref(f[i - 1]))));
    must(vow_promise_fulfill(p[0], vow_i64(4)));
    for (int i = 0; i < NESTED; i++) {
        must(vow_get(f[i]).value.as.i64 == 4);
        vow_unref(f[i]);
        vow_promise_unref(p[i]);
    }
    free(p);
    free(f);
    return NULL;
}

VOW_CASE(chain_of_millions_fulfilled_is_flat)
{
    on_a_small_stack(fulfill_chain);
}

VOW_CASE(chain_of_millions_rejected_is_flat)
{
    on_a_small_stack(reject_chain);
}

VOW_CASE(chain_of_millions_abandoned_is_flat)
{
    on_a_small_stack(abandon_chain);
}

VOW_CASE(chain_of_a_million_that_nobody_holds_runs_flat)
{
    on_a_small_stack(run_chain_that_nobody_holds);
}

VOW_CASE(chain_of_a_million_cancelled_is_flat)
{
    on_a_small_stack(cancel_chain);
}

VOW_CASE(chain_of_a_million_on_a_settled_future_is_flat)
{
    on_a_small_stack(chain_on_ready);
}

VOW_CASE(values_nested_a_million_deep_are_dropped_flat)
{
    on_a_small_stack(drop_nested_values);
}

VOW_CASE(promises_nested_a_million_deep_break_flat)
{
    on_a_small_stack(break_nested_promises);
}

VOW_CASE(causes_nested_a_million_deep_are_freed_flat)
{
    on_a_small_stack(unref_nested_causes);
}

VOW_CASE(followers_a_million_deep_settle_flat)
{
    on_a_small_stack(settle_followers);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(chain_of_millions_fulfilled_is_flat),
        cmocka_unit_test(chain_of_millions_rejected_is_flat),
        cmocka_unit_test(chain_of_millions_abandoned_is_flat),
        cmocka_unit_test(chain_of_a_million_that_nobody_holds_runs_flat),
        cmocka_unit_test(chain_of_a_million_cancelled_is_flat),
        cmocka_unit_test(chain_of_a_million_on_a_settled_future_is_flat),
        cmocka_unit_test(values_nested_a_million_deep_are_dropped_flat),
        cmocka_unit_test(promises_nested_a_million_deep_break_flat),
        cmocka_unit_test(causes_nested_a_million_deep_are_freed_flat),
        cmocka_unit_test(followers_a_million_deep_settle_flat),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
