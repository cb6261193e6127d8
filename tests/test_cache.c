/* SPDX-License-Identifier: MIT */
/* Single flights and caches: who joins whom, who is stopped, what is kept and dropped. */
#include "vow_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <vow/vow.h>

#include "drops.h"
#include "manual_fixture.h"
#include "queue/keys.h"

/* A function that counts its runs, and gives a value whose drop is counted. */
struct work {
    struct drop ctx, value;
    int runs;
    int code;       /* not 0: it fails with that */
    vow_promise *p; /* not NULL: it follows that */
};

static void
drop_work(void *work)
{
    drop_it(&((struct work *)work)->ctx);
}

static vow_result
do_work(void *ctx)
{
    struct work *w = (struct work *)ctx;

    w->runs++;
    if (w->p != NULL)
        return vow_follow(vow_promise_future(w->p));
    if (w->code != 0)
        return vow_fail(w->code, "no");
    return vow_ok(drop_value(&w->value));
}

static vow_future *
fly(vow_singleflight *s, const char *key, struct work *w)
{
    return vow_singleflight_call(s, key, strlen(key), on, do_work, vow_own(w, drop_work));
}

static vow_future *
get(vow_cache *c, const char *key, struct work *w)
{
    return vow_cache_get(c, key, strlen(key), on, do_work, vow_own(w, drop_work));
}

/* ---- the table ------------------------------------------------------------------- */

/* The test vectors of the paper: key 00..0f, input 00, 01, 02 ... of each length. */
VOW_CASE(keys_hash_is_siphash)
{
    static const uint64_t expected[] = {
        UINT64_C(0x726fdb47dd0e0e31), UINT64_C(0x74f839c593dc67fd),
        UINT64_C(0x0d6c8009d9a94f5a), UINT64_C(0x85676696d7fb7e2d),
        UINT64_C(0xcf2794e0277187b7), UINT64_C(0x18765564cd99a68d),
        UINT64_C(0xcbc9466e58fee3ce), UINT64_C(0xab0200f58b01d137),
        UINT64_C(0x93f5f5799a932462),
    };
    unsigned char input[16];
    struct vowi_keys k;

    for (size_t i = 0; i < sizeof input; i++)
        input[i] = (unsigned char)i;
    assert_true(
        vowi_keys_init(&k, UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)));
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(vowi_keys_hash(&k, input, i), expected[i]);
    assert_int_equal(vowi_keys_hash(&k, input, 15), UINT64_C(0xa129ca6149be45e5));
    vowi_keys_fini(&k);
}

enum { MANY = 1000 };

VOW_CASE(keys_find_what_was_added_also_after_growing)
{
    static struct vowi_key keys[MANY];
    static uint32_t bytes[MANY];
    struct vowi_keys k;
    struct vowi_key *all;
    size_t n = 0;

    assert_true(vowi_keys_init(&k, 1, 2));
    for (uint32_t i = 0; i < MANY; i++) {
        size_t wants = vowi_keys_wants(&k);

        if (wants != 0) {
            struct vowi_key **old = vowi_keys_slots_new(wants);

            old = vowi_keys_move(&k, old, &wants);
            vowi_keys_slots_free(old, wants);
        }
        bytes[i] = i;
        keys[i] = (struct vowi_key){.bytes = &bytes[i], .length = 4};
        keys[i].hash = vowi_keys_hash(&k, &bytes[i], 4);
        assert_null(vowi_keys_find(&k, keys[i].hash, &bytes[i], 4));
        vowi_keys_add(&k, &keys[i]);
    }
    assert_in_range(k.capacity, MANY / 2, 2 * MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        uint64_t hash = vowi_keys_hash(&k, &i, 4);

        assert_ptr_equal(vowi_keys_find(&k, hash, &i, 4), &keys[i]);
        assert_null(vowi_keys_find(&k, hash, &i, 3));
    }
    for (uint32_t i = 0; i < MANY; i += 2)
        vowi_keys_remove(&k, &keys[i]);
    for (uint32_t i = 0; i < MANY; i++)
        assert_ptr_equal(vowi_keys_find(&k, keys[i].hash, &i, 4),
                         i % 2 ? &keys[i] : NULL);
    for (all = vowi_keys_remove_all(&k); all != NULL; all = all->next)
        n++;
    assert_int_equal(n, MANY / 2);
    assert_int_equal(k.count, 0);
    vowi_keys_fini(&k);
}

/* ---- single flights -------------------------------------------------------------- */

VOW_CASE(singleflight_joins_calls_of_one_key)
{
    vow_singleflight *s = vow_singleflight_new();
    struct work a = {0}, b = {0}, c = {0};
    vow_future *fa = fly(s, "x", &a), *fb = fly(s, "x", &b), *fc = fly(s, "y", &c);

    assert_int_equal(drop_count(&b.ctx), 1); /* it is not needed */
    vow_manual_run(m);
    assert_int_equal(a.runs, 1);
    assert_int_equal(b.runs, 0);
    assert_int_equal(c.runs, 1);
    assert_ptr_equal(vow_peek(fa).value.as.ptr, &a.value);
    assert_ptr_equal(vow_peek(fb).value.as.ptr, &a.value);
    vow_unref(fa);
    assert_int_equal(drop_count(&a.value), 0);
    vow_unref(fb);
    assert_int_equal(drop_count(&a.value), 1); /* once, with the last reader */
    vow_unref(fc);

    vow_singleflight_unref(s);
}

VOW_CASE(singleflight_runs_again_when_the_call_has_settled)
{
    vow_singleflight *s = vow_singleflight_new();
    struct work a = {0}, b = {.code = EIO};

    vow_unref(fly(s, "x", &a));
    vow_manual_run(m);
    vow_ignore(fly(s, "x", &b));
    vow_manual_run(m);
    assert_int_equal(a.runs, 1);
    assert_int_equal(b.runs, 1);

    vow_singleflight_unref(s);
}

VOW_CASE(singleflight_gives_an_error_to_all)
{
    vow_singleflight *s = vow_singleflight_new();
    struct work a = {.code = EIO}, b = {0};
    vow_future *fa = fly(s, "x", &a), *fb = fly(s, "x", &b);

    vow_manual_run(m);
    assert_int_equal(code_of(fa), EIO);
    assert_int_equal(code_of(fb), EIO);
    vow_unref(fa);
    vow_unref(fb);

    vow_singleflight_unref(s);
}

VOW_CASE(singleflight_one_who_cancels_leaves_the_others_alone)
{
    vow_singleflight *s = vow_singleflight_new();
    struct work a = {0}, b = {0};
    vow_future *fa = fly(s, "x", &a), *fb = fly(s, "x", &b);

    vow_future_cancel(fa, NULL);
    assert_int_equal(code_of(fa), VOW_E_CANCELLED);
    assert_int_equal(vow_future_status(fb), VOW_PENDING);
    vow_manual_run(m);
    assert_int_equal(a.runs, 1);
    assert_int_equal(vow_future_status(fb), VOW_FULFILLED);
    vow_unref(fa);
    vow_unref(fb);

    vow_singleflight_unref(s);
}

VOW_CASE(singleflight_the_last_who_cancels_stops_the_call)
{
    vow_singleflight *s = vow_singleflight_new();
    struct work a = {0}, b = {0}, c = {0};
    vow_future *fa = fly(s, "x", &a), *fb = fly(s, "x", &b), *fc;

    vow_future_cancel(fa, NULL);
    vow_future_cancel(fb, NULL);
    assert_int_equal(drop_count(&a.ctx), 1); /* it never starts */
    fc = fly(s, "x", &c);                    /* and nobody joins it */
    vow_manual_run(m);
    assert_int_equal(a.runs, 0);
    assert_int_equal(c.runs, 1);
    assert_int_equal(vow_future_status(fc), VOW_FULFILLED);
    vow_unref(fa);
    vow_unref(fb);
    vow_unref(fc);

    vow_singleflight_unref(s);
}

VOW_CASE(singleflight_stops_what_its_call_follows)
{
    vow_singleflight *s = vow_singleflight_new();
    struct work a = {.p = vow_promise_new()}, b = {0};
    vow_future *fa = fly(s, "x", &a), *fb;

    vow_manual_run(m);
    fb = fly(s, "x", &b);
    vow_future_cancel(fa, NULL);
    assert_int_equal(vow_future_status(fb), VOW_PENDING);
    vow_future_cancel(fb, NULL);
    assert_false(vow_promise_fulfill(a.p, VOW_NIL)); /* it was asked to stop, and did */
    vow_unref(fa);
    vow_unref(fb);
    vow_promise_unref(a.p);

    vow_singleflight_unref(s);
}

VOW_CASE(singleflight_outlives_its_last_handle)
{
    vow_singleflight *s = vow_singleflight_new();
    struct work a = {0};
    vow_future *fa = fly(s, "x", &a);

    vow_singleflight_unref(s);
    vow_manual_run(m);
    assert_int_equal(vow_future_status(fa), VOW_FULFILLED);
    vow_unref(fa);
}

VOW_CASE(singleflight_null_joins_nothing)
{
    struct work a = {0};
    vow_future *fa = fly(NULL, "x", &a);

    vow_manual_run(m);
    assert_int_equal(a.runs, 1);
    vow_unref(fa);
    assert_null(vow_singleflight_ref(NULL));
    vow_singleflight_unref(NULL);
}

/* ---- caches ----------------------------------------------------------------------- */

#define CACHE(...)                                                                       \
    vow_cache_new(&VOW_CACHE_OPTIONS(.clock = vow_manual_clock(m), __VA_ARGS__))

static vow_cache_metrics
metrics_of(const vow_cache *c)
{
    vow_cache_metrics seen = {.size = sizeof seen};

    vow_cache_read(c, &seen);
    return seen;
}

static vow_result
give_nil(void *ctx)
{
    (void)ctx;
    return vow_ok(VOW_NIL);
}

/* Whether a get of that key runs its function. */
static bool
misses(vow_cache *c, const char *key)
{
    uint64_t before = metrics_of(c).misses;
    vow_future *f = vow_cache_get(c, key, strlen(key), on, give_nil, VOW_NIL);

    vow_manual_run(m);
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    vow_unref(f);
    return metrics_of(c).misses != before;
}

VOW_CASE(cache_keeps_a_value_for_its_time)
{
    vow_cache *c = CACHE(.ttl = vow_seconds(60));
    struct work a = {0}, b = {0}, d = {0};
    vow_future *f = get(c, "x", &a);

    vow_manual_run(m);
    vow_unref(f);
    vow_manual_advance(m, vow_seconds(60) - 1);
    f = get(c, "x", &b);
    assert_ptr_equal(vow_peek(f).value.as.ptr, &a.value); /* at once */
    assert_int_equal(drop_count(&b.ctx), 1);
    vow_unref(f);
    assert_int_equal(drop_count(&a.value), 0);
    vow_manual_advance(m, 1);
    f = get(c, "x", &d);
    assert_int_equal(drop_count(&a.value), 1);
    vow_manual_run(m);
    assert_ptr_equal(vow_peek(f).value.as.ptr, &d.value);
    vow_unref(f);
    assert_int_equal(metrics_of(c).hits, 1);
    assert_int_equal(metrics_of(c).misses, 2);
    vow_cache_unref(c);
    assert_int_equal(drop_count(&d.value), 1);
    assert_int_equal(drop_count(&a.ctx) + drop_count(&d.ctx), 2);
}

VOW_CASE(cache_joins_calls_that_run)
{
    vow_cache *c = CACHE(.ttl = vow_seconds(60));
    struct work a = {0}, b = {0};
    vow_future *fa = get(c, "x", &a), *fb = get(c, "x", &b);

    vow_manual_run(m);
    assert_int_equal(a.runs + b.runs, 1);
    assert_ptr_equal(vow_peek(fb).value.as.ptr, &a.value);
    assert_int_equal(metrics_of(c).joined, 1);
    assert_int_equal(metrics_of(c).running, 0);
    vow_unref(fa);
    vow_unref(fb);
    vow_cache_unref(c);
}

VOW_CASE(cache_forgets_errors_unless_told_otherwise)
{
    struct work a = {.code = EIO}, b = {.code = EIO};
    vow_cache *c = CACHE(.ttl = vow_seconds(60));

    vow_ignore(get(c, "x", &a));
    vow_manual_run(m);
    assert_int_equal(metrics_of(c).kept, 0);
    vow_cache_unref(c);

    c = CACHE(.ttl = vow_seconds(60), .error_ttl = vow_seconds(1));
    vow_ignore(get(c, "x", &b));
    vow_manual_run(m);
    assert_int_equal(metrics_of(c).kept, 1);
    for (int i = 0; i < 2; i++) {
        vow_future *f = get(c, "x", &a);

        vow_manual_run(m);
        assert_int_equal(code_of(f), EIO);
        assert_int_equal(a.runs, 1 + i);
        vow_unref(f);
        vow_manual_advance(m, vow_seconds(1));
    }
    vow_cache_unref(c);
}

VOW_CASE(cache_makes_room_by_what_was_used_longest_ago)
{
    vow_cache *c = CACHE(.most = 2);

    assert_true(misses(c, "a"));
    assert_true(misses(c, "b"));
    assert_false(misses(c, "a")); /* b is older now */
    assert_true(misses(c, "c"));
    assert_int_equal(metrics_of(c).kept, 2);
    assert_int_equal(metrics_of(c).evicted, 1);
    assert_false(misses(c, "a"));
    assert_true(misses(c, "b"));
    vow_cache_unref(c);
}

VOW_CASE(cache_forget_and_clear_forget)
{
    vow_cache *c = CACHE(.ttl = vow_seconds(60));
    struct work a = {0}, b = {0};
    vow_future *f;

    assert_true(misses(c, "x"));
    assert_true(misses(c, ""));
    assert_false(misses(c, ""));
    assert_true(vow_cache_forget(c, "x", 1));
    assert_false(vow_cache_forget(c, "x", 1));
    assert_true(misses(c, "x"));
    vow_cache_clear(c);
    assert_int_equal(metrics_of(c).kept, 0);
    assert_true(misses(c, "x"));
    vow_cache_clear(c);

    f = get(c, "x", &a); /* running: it goes on, alone */
    assert_true(vow_cache_forget(c, "x", 1));
    vow_unref(get(c, "x", &b));
    vow_manual_run(m);
    assert_int_equal(a.runs, 1);
    assert_int_equal(b.runs, 1);
    assert_ptr_equal(vow_peek(f).value.as.ptr, &a.value);
    vow_unref(f);
    assert_int_equal(drop_count(&a.value), 1); /* it was not kept */
    assert_int_equal(drop_count(&b.value), 0);
    vow_cache_unref(c);
    assert_int_equal(drop_count(&b.value), 1);
}

VOW_CASE(cache_keeps_many_and_finds_each)
{
    vow_cache *c = CACHE(.most = 500);

    for (int i = 0; i < 600; i++) {
        char key[16];

        snprintf(key, sizeof key, "%d", i);
        assert_true(misses(c, key));
    }
    assert_int_equal(metrics_of(c).kept, 500);
    for (int i = 100; i < 600; i++) {
        char key[16];

        snprintf(key, sizeof key, "%d", i);
        assert_false(misses(c, key));
    }
    vow_cache_unref(c);
}

static void
give_up_cache(void *cache)
{
    vow_cache_unref((vow_cache *)cache);
}

static vow_result
no_result(void *ctx)
{
    (void)ctx;
    return vow_ok(VOW_NIL);
}

/* An outcome that holds the cache, as a child its parent. */
static vow_result
give_handle(void *cache)
{
    return vow_ok(vow_own(cache, give_up_cache));
}

VOW_CASE(cache_may_be_let_go_by_an_outcome_that_it_drops)
{
    vow_cache *c = vow_cache_new(
        &VOW_CACHE_OPTIONS(.clock = vow_manual_clock(m), .ttl = vow_seconds(1)));
    vow_future *f;

    vow_ignore(vow_cache_get(c, "x", 1, NULL, give_handle, vow_ptr(c)));
    vow_manual_advance(m, vow_seconds(2));
    f = vow_cache_get(c, "x", 1, NULL, no_result, VOW_NIL);
    assert_int_equal(code_of(f), 0);
    vow_unref(f);
}

VOW_CASE(cache_null_keeps_nothing)
{
    vow_cache_metrics seen = {.size = sizeof seen};
    struct work a = {0}, b = {0};

    vow_unref(get(NULL, "x", &a));
    vow_unref(get(NULL, "x", &b));
    vow_manual_run(m);
    assert_int_equal(a.runs + b.runs, 2);
    vow_cache_read(NULL, &seen);
    assert_int_equal(seen.misses, 0);
    assert_false(vow_cache_forget(NULL, "x", 1));
    vow_cache_clear(NULL);
    assert_null(vow_cache_ref(NULL));
    vow_cache_unref(NULL);
    errno = 0;
    assert_null(vow_cache_new(&VOW_CACHE_OPTIONS(.ttl = -1)));
    assert_int_equal(errno, EINVAL);
}

VOW_CASE(cache_without_memory_loses_nothing)
{
    counting_each_failure(k, COUNTING_ONCE)
    {
        struct work a = {0}, b = {0}, x[20];
        vow_cache *c = CACHE(.ttl = vow_seconds(60));
        vow_future *fa, *fb;

        fa = get(c, "a", &a);
        fb = get(c, "a", &b);
        vow_manual_run(m);
        assert_true(code_of(fa) == 0 || code_of(fa) == VOW_E_NOMEM);
        assert_true(code_of(fb) == 0 || code_of(fb) == VOW_E_NOMEM);
        vow_ignore(fa);
        vow_ignore(fb);
        for (int i = 0; i < 20; i++) { /* grows */
            char key[16];

            x[i] = (struct work){0};
            snprintf(key, sizeof key, "%d", i);
            vow_ignore(get(c, key, &x[i]));
        }
        vow_manual_run(m);
        assert_int_equal(metrics_of(c).running, 0);
        vow_cache_unref(c);
        assert_int_equal(drop_count(&a.ctx), 1);
        assert_int_equal(drop_count(&b.ctx), 1);
        assert_int_equal(drop_count(&a.value), a.runs);
        assert_int_equal(drop_count(&b.value), b.runs);
        for (int i = 0; i < 20; i++) {
            assert_int_equal(drop_count(&x[i].ctx), 1);
            assert_int_equal(drop_count(&x[i].value), x[i].runs);
        }
    }
}

/* ---- threads ------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 2000 };

static vow_cache *shared;
static atomic_int running, made, dropped;

static void
drop_shared(void *value)
{
    (void)value;
    atomic_fetch_add(&dropped, 1);
}

static vow_result
make_shared(void *ctx)
{
    (void)ctx;
    assert_int_equal(atomic_fetch_add(&running, 1), 0); /* of one key, one at a time */
    atomic_fetch_add(&made, 1);
    atomic_fetch_sub(&running, 1);
    return vow_ok(vow_own(&made, drop_shared));
}

/* Without forgetting, which lets a second one run beside a first. */
static void *
ask_without_forgetting(void *seed)
{
    (void)seed;
    for (int i = 0; i < ROUNDS; i++) {
        vow_future *f =
            vow_cache_get(shared, "k", 1, vow_default_pool(), make_shared, VOW_NIL);

        assert_int_equal(vow_error_code(vow_get(f).error), 0);
        vow_unref(f);
    }
    return NULL;
}

static vow_result
make_any(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&made, 1);
    return vow_ok(vow_own(&made, drop_shared));
}

static void *
ask_for_any(void *seed)
{
    unsigned r = *(unsigned *)seed;

    for (int i = 0; i < ROUNDS; i++) {
        char key[2] = {(char)('a' + i % 3), 0};
        vow_future *f =
            vow_cache_get(shared, key, 1, vow_default_pool(), make_any, VOW_NIL);

        r = r * 1664525 + 1013904223;
        if (r >> 31)
            vow_future_cancel(f, NULL);
        else if (r >> 30 & 1)
            vow_cache_forget(shared, key, 1);
        if (r >> 29 & 1)
            (void)vow_wait(f, VOW_FOREVER);
        vow_ignore(f);
    }
    return NULL;
}

static void
on_threads(void *(*run)(void *), size_t most)
{
    pthread_t threads[THREADS];
    unsigned seeds[THREADS];

    atomic_store(&made, 0);
    atomic_store(&dropped, 0);
    shared = vow_cache_new(&VOW_CACHE_OPTIONS(.most = most, .ttl = 1));
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, run, &seeds[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    while (metrics_of(shared).running != 0) /* those nobody waited for */
        sched_yield();
    vow_cache_unref(shared);
    while (atomic_load(&dropped) != atomic_load(&made)) /* by workers still at it */
        sched_yield();
}

VOW_CASE(cache_of_many_threads_runs_one_call_of_a_key_at_a_time)
{
    on_threads(ask_without_forgetting, 1);
    assert_true(atomic_load(&made) > 0);
}

VOW_CASE(cache_of_many_threads_loses_nothing)
{
    on_threads(ask_for_any, 2);
    assert_true(atomic_load(&made) > 0);
}

VOW_CASE(cache_takes_the_empty_key)
{
    vow_cache *c = vow_cache_new(NULL);
    vow_cache_metrics seen = {.size = sizeof seen};

    for (int i = 0; i < 2; i++)
        vow_unref(vow_cache_get(c, "", 0, NULL, give_nil, VOW_NIL));
    vow_cache_read(c, &seen);
    assert_int_equal(seen.hits, 1);
    vow_cache_unref(c);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(cache_takes_the_empty_key),
        manual_test(keys_hash_is_siphash),
        manual_test(keys_find_what_was_added_also_after_growing),
        manual_test(singleflight_joins_calls_of_one_key),
        manual_test(singleflight_runs_again_when_the_call_has_settled),
        manual_test(singleflight_gives_an_error_to_all),
        manual_test(singleflight_one_who_cancels_leaves_the_others_alone),
        manual_test(singleflight_the_last_who_cancels_stops_the_call),
        manual_test(singleflight_stops_what_its_call_follows),
        manual_test(singleflight_outlives_its_last_handle),
        manual_test(singleflight_null_joins_nothing),
        manual_test(cache_keeps_a_value_for_its_time),
        manual_test(cache_joins_calls_that_run),
        manual_test(cache_forgets_errors_unless_told_otherwise),
        manual_test(cache_makes_room_by_what_was_used_longest_ago),
        manual_test(cache_forget_and_clear_forget),
        manual_test(cache_keeps_many_and_finds_each),
        manual_test(cache_may_be_let_go_by_an_outcome_that_it_drops),
        manual_test(cache_null_keeps_nothing),
        manual_test(cache_without_memory_loses_nothing),
        /* the pool of the process stays, so that no count of blocks fits */
        cmocka_unit_test(cache_of_many_threads_runs_one_call_of_a_key_at_a_time),
        cmocka_unit_test(cache_of_many_threads_loses_nothing),
    };

    return vow_test_run(cases);
}
