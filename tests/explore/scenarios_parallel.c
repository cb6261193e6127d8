/* SPDX-License-Identifier: MIT */
/*
 * scenarios_parallel.c - ranges: lanes that steal from each other, fail, are refused and
 * told to stop, and fold what they have.
 *
 * An executor that keeps its tasks, so that each thread runs one lane: a lane that wants
 * another turn has it at once.
 */
#include <vow/vow.h>

#include <errno.h>
#include <stdatomic.h>

#include "explore.h"

enum { LANES = 2 };

static vow_task *lane[LANES];
static int again[LANES];
static int lanes;
static vow_future *f;
static int marks[4]; /* an index each: what writes there is one call */
static int fails_at; /* counted from 1; -1: all do */
static int dropped;

static int
keeps(vow_executor *self, vow_task *task)
{
    (void)self;
    for (int i = 0; i < lanes; i++)
        if (lane[i] == task) {
            again[i] = 1;
            return 0;
        }
    lane[lanes++] = task;
    return 0;
}

static const vow_executor_ops ops = {.size = sizeof ops, .name = "keeper", .post = keeps};
static vow_executor keeper = {.ops = &ops};

static void
runs(int i)
{
    do {
        again[i] = 0;
        lane[i]->run(lane[i], 0);
    } while (again[i]);
}

static void
runs_one(void)
{
    runs(0);
}

static void
runs_other(void)
{
    runs(1);
}

static void
refuses_one(void)
{
    lane[0]->run(lane[0], VOW_E_CLOSED);
}

static void
cancels(void)
{
    vow_future_cancel(f, NULL);
}

/* Of the context: it sees all that the calls did. */
static void
drop(void *counter)
{
    for (int i = 0; i < 4; i++)
        require(marks[i] <= 1);
    ++*(int *)counter;
}

static vow_error *
mark(size_t first, size_t end, void *ctx)
{
    require(ctx == &dropped && dropped == 0);
    for (size_t i = first; i < end; i++) {
        marks[i]++;
        if ((int)i + 1 == fails_at || fails_at < 0)
            return vow_error_new(EIO, "told to");
    }
    return NULL;
}

static void
make(size_t n)
{
    f = vow_parallel_for(&keeper, &VOW_RANGE_OPTIONS(.width = LANES), 0, n, mark,
                         vow_own(&dropped, drop));
}

/* How many of the indices were done; none twice. */
static int
done(void)
{
    int n = 0;

    for (int i = 0; i < 4; i++) {
        require(marks[i] <= 1);
        n += marks[i];
    }
    require(dropped == 1);
    return n;
}

static int
code(void)
{
    int seen = vow_error_code(vow_peek(f).error);

    require(vow_future_status(f) != VOW_PENDING);
    vow_unref(f);
    return seen;
}

SCENARIO(range_shared, 0, "two lanes share three indices, and steal from each other",
         EXPECTED("code 0, 3 done", "each by one of them"))
{
    make(3);
    run_threads(runs_one, runs_other);
    outcome("code %d, %d done", code(), done());
}

SCENARIO(range_without_one, 0, "a lane is refused while the other one works",
         EXPECTED("code 0, 4 done", "the other one did it all"))
{
    make(4);
    run_threads(refuses_one, runs_other);
    outcome("code %d, %d done", code(), done());
}

SCENARIO(range_failing, 0, "a call fails while another one is made",
         EXPECTED("code 5, 1 done", "before the other lane began"),
         EXPECTED("code 5, 2 done", "meanwhile, or after the other one's first"),
         EXPECTED("code 5, 3 done", "it was the last"))
{
    fails_at = 1;
    make(3);
    run_threads(runs_one, runs_other);
    outcome("code %d, %d done", code(), done());
}

SCENARIO(range_failing_twice, 0, "two calls fail together",
         EXPECTED("code 5 at 0", "the first one's"),
         EXPECTED("code 5 at 1", "the other's"))
{
    int64_t index;

    fails_at = -1;
    make(2);
    run_threads(runs_one, runs_other);
    index = vow_error_index(vow_peek(f).error);
    done();
    outcome("code %d at %d", code(), (int)index);
}

SCENARIO(range_cancelled, 0, "a loop is cancelled while a lane works",
         EXPECTED("code 4096, 0 done", "cancelled first"),
         EXPECTED("code 4096, 1 done", "after one"),
         EXPECTED("code 4096, 2 done", "after two, or as the lane had done with them"))
{
    make(2);
    run_threads(runs_other, cancels);
    runs_one();
    outcome("code %d, %d done", code(), done());
}

SCENARIO(range_cancelled_by_two, 0, "a loop is cancelled while both lanes work",
         EXPECTED("code 4096, 0 done", "cancelled first"),
         OTHERS("half-way, or at the end"))
{
    make(2);
    run_threads(runs_one, runs_other, cancels);
    outcome("code %d, %d done", code(), done());
}

/* ---- one value of many ------------------------------------------------------------------ */

static struct span {
    size_t first, end;
    int dropped;
} span[8];

static void
drop_span(void *ptr)
{
    require(++((struct span *)ptr)->dropped == 1);
}

static vow_result
make_span(size_t first, size_t end, void *ctx)
{
    struct span *s = &span[first];

    require(ctx == &dropped && dropped == 0);
    if ((int)first + 1 == fails_at)
        return vow_fail(EIO, "told to");
    s->first = first;
    s->end = end;
    return vow_ok(vow_own(s, drop_span));
}

static vow_result
join_spans(vow_value left, vow_value right, void *ctx)
{
    struct span *a = left.as.ptr, *b = right.as.ptr;

    require(ctx == &dropped && a->end == b->first);
    a->end = b->end;
    return vow_ok(left);
}

static void
make_reduction(size_t n)
{
    f = vow_parallel_reduce(&keeper, &VOW_RANGE_OPTIONS(.width = LANES), 0, n, make_span,
                            join_spans, vow_own(&dropped, drop));
}

/* How many spans were made; each dropped once. */
static int
made(void)
{
    int n = 0;

    for (int i = 0; i < 8; i++) {
        n += span[i].end != 0;
        require(span[i].dropped == (span[i].end != 0));
    }
    require(dropped == 1);
    return n;
}

static void
tell_of_reduction(void)
{
    vow_view r = vow_peek(f);
    const struct span *all = r.value.as.ptr;
    size_t end = r.error == NULL ? all->end : 0;
    int seen;

    require(r.error != NULL || (all == &span[0] && all->dropped == 0));
    seen = code();
    outcome("code %d, up to %d, %d made", seen, (int)end, made());
}

SCENARIO(reduction_shared, 0, "two lanes reduce two indices, and fold what they have",
         EXPECTED("code 0, up to 2, 2 made", "in order, whoever was the last"))
{
    make_reduction(2);
    run_threads(runs_one, runs_other);
    tell_of_reduction();
}

SCENARIO(reduction_stolen, 0, "two lanes reduce four indices, and steal from each other",
         EXPECTED("code 0, up to 4, 4 made", "in order, whoever was the last"))
{
    make_reduction(4);
    run_threads(runs_one, runs_other);
    tell_of_reduction();
}

SCENARIO(reduction_failing, 0, "a call fails while the other lane has a value in hand",
         EXPECTED("code 5, up to 0, 1 made", "the other one's was dropped"),
         EXPECTED("code 5, up to 0, 0 made", "it was the first"))
{
    fails_at = 1;
    make_reduction(2);
    run_threads(runs_one, runs_other);
    tell_of_reduction();
}

SCENARIO(reduction_cancelled, 0, "a reduction is cancelled as its last lane ends",
         EXPECTED("code 0, up to 2, 2 made", "too late"),
         EXPECTED("code 4096, up to 0, 2 made", "its value was dropped"))
{
    make_reduction(2);
    runs_other();
    run_threads(runs_one, cancels);
    tell_of_reduction();
}

/* Nothing that was made is there any more when a result is an error. */
static void
expects_none(vow_view result, void *unused)
{
    for (int i = 0; i < 8 && result.error != NULL; i++)
        require(span[i].dropped == (span[i].end != 0));
    require(unused == NULL && dropped == 1);
}

/* One lane, which gets to have all of it. */
static void
make_watched(void)
{
    f = vow_parallel_reduce(&keeper, &VOW_RANGE_OPTIONS(.width = 1), 0, 1, make_span,
                            join_spans, vow_own(&dropped, drop));
    require(vow_on_settled(vow_ref(f), NULL, expects_none, VOW_NIL));
}

SCENARIO(reduction_cancelled_clean, 0,
         "a reduction is cancelled as its lane ends, and leaves nothing",
         EXPECTED("code 0, up to 1, 1 made", "too late"),
         EXPECTED("code 4096, up to 0, 1 made",
                  "its value was dropped before it settled"),
         EXPECTED("code 4096, up to 0, 0 made", "cancelled first"))
{
    make_watched();
    run_threads(runs_one, cancels);
    tell_of_reduction();
}

/* ---- items whose values come later --------------------------------------------------------- */

static vow_promise *later[2];

static vow_result
map_later(vow_value item, void *ctx)
{
    require(ctx == &dropped && dropped == 0);
    return vow_follow(vow_promise_future(later[item.as.u64]));
}

static void
settle(size_t i)
{
    span[i].first = i;
    span[i].end = i + 1;
    vow_promise_fulfill(later[i], vow_own(&span[i], drop_span));
    vow_promise_unref(later[i]);
}

static void
settles_one(void)
{
    settle(0);
}

static void
settles_other(void)
{
    settle(1);
}

static void
make_items(void)
{
    const vow_value items[] = {vow_u64(0), vow_u64(1)};

    later[0] = vow_promise_new();
    later[1] = vow_promise_new();
    f = vow_map_reduce(NULL, &VOW_MAP_OPTIONS(.limit = 2), items, 2, map_later,
                       join_spans, vow_own(&dropped, drop));
}

SCENARIO(items_reduced, 0, "the values of two items come together",
         EXPECTED("code 0, up to 2, 2 made", "in order, whichever came first"))
{
    make_items();
    run_threads(settles_one, settles_other);
    tell_of_reduction();
}

SCENARIO(items_cancelled, 0, "the value of an item comes while the rest is cancelled",
         EXPECTED("code 4096, up to 0, 2 made", "all of it was dropped"))
{
    make_items();
    run_threads(settles_one, cancels);
    settle(1);
    tell_of_reduction();
}

/* ---- a loop whose caller takes part ----------------------------------------------------- */

static atomic_int posted; /* the other lane */
static int ran;
static vow_error *here;

static int
posts(vow_executor *self, vow_task *task)
{
    int rc = keeps(self, task);

    atomic_store(&posted, 1);
    return rc;
}

static const vow_executor_ops teller_ops = {
    .size = sizeof teller_ops, .name = "teller", .post = posts};
static vow_executor teller;
static vow_source *stop;

static void
make_teller(void)
{
    require(vow_executor_init(&teller, &teller_ops) == 0);
    stop = vow_source_new();
}

static void
calls_here(void)
{
    vow_token *token = vow_source_token(stop);

    here =
        vow_parallel_for_here(&teller, &VOW_RANGE_OPTIONS(.width = LANES, .token = token),
                              0, 3, mark, vow_own(&dropped, drop));
    require(dropped == 1);
    vow_token_unref(token);
}

/* If it is there by now; else when all is over. */
static void
joins_in(void)
{
    if (atomic_load(&posted)) {
        ran = 1;
        runs_one();
    }
}

static void
stops(void)
{
    vow_source_cancel(stop, NULL);
}

/* What it keeps of the executor for a lane that has not run goes with that. */
static void
tell_of_here(void)
{
    int seen = vow_error_code(here);

    if (lanes != 0 && !ran)
        runs_one();
    vow_error_unref(here);
    vow_source_unref(stop);
    vow_executor_unref(&teller);
    outcome("code %d, %d done", seen, done());
}

SCENARIO(range_here, 0, "a lane begins while the caller works, ends, or revokes it",
         EXPECTED("code 0, 3 done", "each by one of them"))
{
    make_teller();
    run_threads(calls_here, joins_in);
    tell_of_here();
}

SCENARIO(range_here_failing, 0, "the caller's call fails while the other lane works",
         EXPECTED("code 5, 1 done", "before the other lane began"),
         EXPECTED("code 5, 2 done", "meanwhile, or after the other one's first"),
         EXPECTED("code 5, 3 done", "it was the last, and maybe the other lane's"))
{
    fails_at = 1;
    make_teller();
    run_threads(calls_here, joins_in);
    tell_of_here();
}

SCENARIO(range_here_failing_twice, 0, "calls of both fail",
         EXPECTED("code 5, 1 done", "one failed before the other one's first call"),
         EXPECTED("code 5, 2 done",
                  "the first one's is the loop's, the other's is dropped"))
{
    fails_at = -1;
    make_teller();
    run_threads(calls_here, joins_in);
    tell_of_here();
}

SCENARIO(range_here_cancelled, 0, "the token fires as the caller revokes the lane",
         EXPECTED("code 0, 3 done", "too late"),
         EXPECTED("code 4096, 0 done", "before the first call"),
         EXPECTED("code 4096, 1 done", "after one"),
         EXPECTED("code 4096, 2 done", "after two"))
{
    make_teller();
    run_threads(calls_here, stops);
    tell_of_here();
}

static vow_result reduced;

static void
reduces_here(void)
{
    reduced = vow_parallel_reduce_here(&teller, &VOW_RANGE_OPTIONS(.width = LANES), 0, 2,
                                       make_span, join_spans, vow_own(&dropped, drop));
    require(dropped == 1);
}

SCENARIO(reduction_here, 0,
         "a lane and the caller reduce two indices, or the caller does",
         EXPECTED("code 0, up to 2, 2 made", "in order, whoever was the last"))
{
    make_teller();
    run_threads(reduces_here, joins_in);
    if (!ran)
        runs_one();
    vow_source_unref(stop);
    vow_executor_unref(&teller);
    require(reduced.error == NULL);
    f = vow_resolved(reduced.value);
    tell_of_reduction();
}

SCENARIO(reduction_here_failing, 0, "the caller's call fails while the lane has a value",
         EXPECTED("code 5, 0 made", "it was the first"),
         EXPECTED("code 5, 1 made", "the other one's was dropped"))
{
    fails_at = 1;
    make_teller();
    run_threads(reduces_here, joins_in);
    require(made() <= 1);
    if (!ran)
        runs_one();
    vow_source_unref(stop);
    vow_executor_unref(&teller);
    outcome("code %d, %d made", vow_error_code(reduced.error), made());
    vow_error_unref(reduced.error);
}
