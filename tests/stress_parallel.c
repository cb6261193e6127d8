/* SPDX-License-Identifier: MIT */
/*
 * Ranges under fire: threads run loops and reductions of any size and shape on one pool,
 * inside each other, too; calls fail, threads exit in them, results are cancelled at any
 * moment or dropped unread. When a result has settled no call may run, each index have been
 * called for once, or at most once, and every value have gone.
 *
 * The seed is printed; VOW_STRESS_SEED sets it, VOW_STRESS_MS says how long it may
 * take (default 2000).
 */
#include "support/vow_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/drops.h"
#include "support/pool_fixture.h"
#include "support/stress.h"

enum { DRIVERS = 3, MOST = 600 };

static void
delay(unsigned spins)
{
    volatile unsigned left = spins;

    while (left > 0)
        left--;
}

/* One range, and what its calls share. */
struct field {
    vow_executor *pool;
    struct drop ctx;
    atomic_uchar at[MOST];
    atomic_int running;
    atomic_int values;
    size_t size;
    size_t fails_at, exits_at; /* an index; MOST: never */
    unsigned spins;
    bool nested, unordered;
    vow_range_options opt; /* where the caller takes part */
    bool reduces;          /* there */
};

static void
enter(struct field *f, size_t first, size_t end)
{
    assert_int_equal(drop_count(&f->ctx), 0);
    atomic_fetch_add(&f->running, 1);
    for (size_t i = first; i < end; i++)
        atomic_fetch_add(&f->at[i], 1);
    delay(f->spins);
}

static vow_error *
count_inner(size_t first, size_t end, void *sum)
{
    atomic_fetch_add((atomic_size_t *)sum, end - first);
    return NULL;
}

static void
run_inner_here(struct field *f)
{
    atomic_size_t sum = 0;
    vow_error *e =
        vow_parallel_for_here(f->pool, NULL, 0, 50, count_inner, vow_ptr(&sum));

    assert_true(e != NULL || atomic_load(&sum) == 50);
    vow_error_unref(e);
}

static void
run_inner(struct field *f)
{
    atomic_size_t sum = 0;
    vow_future *inner =
        vow_parallel_for(f->pool, NULL, 0, 50, count_inner, vow_ptr(&sum));
    vow_view r = vow_get(inner);

    assert_true(r.error != NULL || atomic_load(&sum) == 50);
    vow_ignore(inner);
}

static vow_error *
leave(struct field *f, size_t first, size_t end)
{
    bool exits = first <= f->exits_at && f->exits_at < end;
    bool fails = first <= f->fails_at && f->fails_at < end;

    if (f->nested && first % 32 == 0)
        run_inner(f);
    if (f->nested && first % 32 == 16)
        run_inner_here(f);
    atomic_fetch_sub(&f->running, 1);
    if (exits)
        pthread_exit(NULL);
    return fails ? vow_error_new(EIO, "told to") : NULL;
}

static vow_error *
call(size_t first, size_t end, void *ctx)
{
    struct field *f = ctx;

    enter(f, first, end);
    return leave(f, first, end);
}

/* ---- values ---------------------------------------------------------------------------------- */

struct span {
    struct field *field;
    size_t first, end, count;
};

static void
span_drop(void *ptr)
{
    struct span *s = ptr;

    atomic_fetch_sub(&s->field->values, 1);
    free(s);
}

static vow_result
map(size_t first, size_t end, void *ctx)
{
    struct field *f = ctx;
    struct span *s;
    vow_error *error;

    enter(f, first, end);
    error = leave(f, first, end);
    if (error != NULL)
        return vow_err(error);
    s = malloc(sizeof *s);
    assert_non_null(s);
    atomic_fetch_add(&f->values, 1);
    *s = (struct span){f, first, end, end - first};
    return vow_ok(vow_own(s, span_drop));
}

static vow_result
fold(vow_value left, vow_value right, void *ctx)
{
    struct field *f = ctx;
    struct span *a = left.as.ptr, *b = right.as.ptr;

    assert_true(f->unordered || a->end == b->first);
    a->count += b->count;
    b->count = a->count;
    if (a->count % 2 != 0) {
        b->first = a->first;
        return vow_ok(right);
    }
    a->end = b->end;
    return vow_ok(left);
}

static void
field_drop(void *ptr)
{
    drop_it(&((struct field *)ptr)->ctx);
}

/* ---- one round --------------------------------------------------------------------------------- */

static void
field_init(struct field *f, vow_executor *pool, struct dice *d)
{
    static const struct field empty;

    *f = empty;
    f->pool = pool;
    f->size = 1 + roll(d, roll(d, 2) ? MOST : 8);
    f->fails_at = roll(d, 4) == 0 ? roll(d, MOST) : MOST;
    f->exits_at = roll(d, 40) == 0 ? roll(d, MOST) : MOST;
    f->spins = roll(d, 3) == 0 ? roll(d, 500) : 0;
    f->nested = roll(d, 4) == 0;
    f->unordered = roll(d, 2);
}

static vow_range_options
options(const struct field *f, struct dice *d)
{
    return VOW_RANGE_OPTIONS(.grain = roll(d, 3), .most = roll(d, 20),
                             .width = roll(d, 6), .priority = (int)roll(d, 5),
                             .unordered = f->unordered);
}

static vow_future *
start(struct field *f, bool reduces, struct dice *d)
{
    vow_range_options opt = options(f, d);
    vow_value ctx = vow_own(f, field_drop);

    return reduces ? vow_parallel_reduce(f->pool, &opt, 0, f->size, map, fold, ctx)
                   : vow_parallel_for(f->pool, &opt, 0, f->size, call, ctx);
}

static void
check(struct field *f, vow_view r, bool reduces)
{
    const struct span *all = r.value.as.ptr;
    size_t done = 0;

    assert_int_equal(f->running, 0);
    assert_int_equal(drop_count(&f->ctx), 1);
    for (size_t i = 0; i < f->size; i++) {
        assert_true(f->at[i] <= 1);
        done += f->at[i];
    }
    if (r.error == NULL)
        assert_int_equal(done, f->size);
    if (r.error == NULL && reduces)
        assert_true(all != NULL && all->count == f->size);
    assert_true(f->values <= (r.error == NULL && reduces));
}

static void
run_round(vow_executor *pool, struct dice *d)
{
    struct field f;
    bool reduces = roll(d, 2);
    vow_future *result;

    field_init(&f, pool, d);
    result = start(&f, reduces, d);
    if (roll(d, 4) == 0) {
        delay(roll(d, 3000));
        vow_future_cancel(result, NULL);
    }
    check(&f, vow_get(result), reduces);
    vow_ignore(result);
    while (f.values != 0) /* whoever settled it may be the last to let go of it */
        sched_yield();
}

/* The caller takes part, and a thread of its own may exit in it. */
static void *
loop_here(void *field)
{
    struct field *f = field;
    vow_value ctx = vow_own(f, field_drop);
    vow_range_options opt = f->opt;
    vow_result r;

    if (f->reduces)
        r = vow_parallel_reduce_here(f->pool, &opt, 0, f->size, map, fold, ctx);
    else
        r = (vow_result){.error =
                             vow_parallel_for_here(f->pool, &opt, 0, f->size, call, ctx)};
    check(f, (vow_view){r.value, r.error}, f->reduces);
    vow_result_drop(r);
    assert_int_equal(atomic_load(&f->values), 0);
    return NULL;
}

static void
run_round_here(vow_executor *pool, struct dice *d)
{
    struct field f;
    pthread_t thread;

    field_init(&f, pool, d);
    f.opt = options(&f, d);
    f.reduces = roll(d, 2);
    if (f.exits_at == MOST) {
        loop_here(&f);
        return;
    }
    assert_int_equal(pthread_create(&thread, NULL, loop_here, &f), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    check(&f, (vow_view){VOW_NIL, vow_error_of(VOW_E_BROKEN)}, false);
}

/* ---- the threads --------------------------------------------------------------------------------- */

static struct {
    vow_executor *pool;
    uint64_t seed;
    vow_ns end;
} track;

struct driver {
    struct dice dice;
    pthread_t thread;
};

static void *
drive(void *ctx)
{
    struct driver *d = ctx;

    do
        if (roll(&d->dice, 2))
            run_round(track.pool, &d->dice);
        else
            run_round_here(track.pool, &d->dice);
    while (vow_clock_now(NULL) < track.end);
    return NULL;
}

VOW_CASE(ranges_under_fire_do_each_index_once_and_drop_each_value)
{
    static struct driver drivers[DRIVERS];

    track.pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 3));
    track.end = vow_clock_now(NULL) + stress_duration(2000);
    assert_non_null(track.pool);
    for (size_t i = 0; i < DRIVERS; i++) {
        drivers[i].dice.state = (track.seed + i * 7919) | 1;
        assert_int_equal(pthread_create(&drivers[i].thread, NULL, drive, &drivers[i]), 0);
    }
    for (size_t i = 0; i < DRIVERS; i++)
        pthread_join(drivers[i].thread, NULL);
    pool_free(track.pool);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(ranges_under_fire_do_each_index_once_and_drop_each_value),
    };

    track.seed = stress_seed();
    return vow_test_run(cases);
}
