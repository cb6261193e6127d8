/* SPDX-License-Identifier: MIT */
/* scenarios_refs.c - references, errors that nobody saw, outcomes that move; caches. */
#define VOW_BLOCK_CACHE 1 /* for what calls base/mem.h here; states have none */
#include <stdatomic.h>

#include <vow/vow.h>

#include "base/bundle.h"
#include "base/mem.h"
#include "explore.h"

static vow_promise *p;
static vow_future *f, *g, *h;
static int dropped, got, reported;

static void
drops_value(void *ptr)
{
    (void)ptr;
    dropped++;
}

static void
make(void)
{
    p = vow_promise_new();
    f = vow_promise_future(p);
}

static void
make_settled(void)
{
    make();
    vow_promise_fulfill(p, vow_own(&got, drops_value));
    vow_promise_unref(p);
}

/* ---- counting ---------------------------------------------------------------------------- */

static void
drops_f(void)
{
    vow_unref(f);
}

static void
copies_and_drops_g(void)
{
    vow_future *copy = vow_ref(g);

    vow_unref(g);
    vow_unref(copy);
}

SCENARIO(ref_unref, 0, "a future is copied and dropped while another reference goes",
         EXPECTED("dropped 1", "freed once, by the last"))
{
    make_settled();
    g = vow_ref(f);
    run_threads(drops_f, copies_and_drops_g);
    outcome("dropped %d", dropped);
}

SCENARIO(unref_three, 0, "three references go",
         EXPECTED("dropped 1", "freed once, by the last"))
{
    make_settled();
    g = vow_ref(f);
    vow_ref(f);
    run_threads(drops_f, drops_f, copies_and_drops_g);
    outcome("dropped %d", dropped);
}

static void
copies_and_drops_p(void)
{
    vow_promise *copy = vow_promise_ref(p);

    vow_promise_unref(p);
    vow_promise_unref(copy);
}

static void
drops_p(void)
{
    vow_promise_unref(p);
}

SCENARIO(promise_ref_unref, 0, "a promise is copied and dropped while another goes",
         EXPECTED("code 4098", "broken by the last, and not before"))
{
    make();
    vow_promise_ref(p);
    run_threads(copies_and_drops_p, drops_p);
    outcome("code %d", vow_error_code(vow_peek(f).error));
    vow_unref(f);
}

static void
asks_and_drops(void)
{
    vow_future *more = vow_promise_future(p);

    vow_promise_unref(p);
    vow_unref(more);
}

SCENARIO(future_of_promise, 0, "a future is asked of a promise while the last one goes",
         EXPECTED("done", "the state is freed once"))
{
    make();
    run_threads(asks_and_drops, drops_f);
    outcome("done");
}

/* ---- errors that nobody saw ------------------------------------------------------------------ */

static void
notes_unhandled(const vow_unhandled *u, void *ctx)
{
    (void)ctx;
    require(vow_error_code(u->error) == 5);
    reported++;
}

static void
rejects(void)
{
    vow_promise_reject(p, vow_error_new(5, NULL));
    vow_promise_unref(p);
}

static void
peeks_and_drops(void)
{
    got = vow_error_code(vow_peek(f).error);
    vow_unref(f);
}

SCENARIO(unhandled_drop, 0, "a promise is rejected while its future goes unread",
         EXPECTED("reported 1", "by whoever is last"))
{
    vow_on_unhandled(notes_unhandled, NULL);
    make();
    run_threads(rejects, drops_f);
    outcome("reported %d", reported);
}

SCENARIO(unhandled_peek, 0,
         "a promise is rejected while its future is looked at and goes",
         EXPECTED("seen 1, reported 0", "settled before the look"),
         EXPECTED("seen 0, reported 1", "settled after it"))
{
    vow_on_unhandled(notes_unhandled, NULL);
    make();
    run_threads(rejects, peeks_and_drops);
    outcome("seen %d, reported %d", got == 5, reported);
}

static vow_result
passes(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(in);
}

static void
attaches_and_drops(void)
{
    vow_unref(vow_then(f, NULL, passes, VOW_NIL));
}

SCENARIO(unhandled_step, 0, "a rejected promise has a step whose result nobody wants",
         EXPECTED("reported 1", "at the end of the chain, once"))
{
    vow_on_unhandled(notes_unhandled, NULL);
    make();
    run_threads(rejects, attaches_and_drops);
    outcome("reported %d", reported);
}

/* ---- outcomes that move ------------------------------------------------------------------------ */

static bool took;

static void
takes(void)
{
    vow_result r;

    took = vow_take(f, &r);
    if (took)
        vow_result_drop(r);
    else
        vow_unref(f);
}

static void
drops_g(void)
{
    vow_unref(g);
}

SCENARIO(take_drop, 0, "an outcome is taken while another reference goes",
         EXPECTED("took 1, dropped 1", "it was alone"),
         EXPECTED("took 0, dropped 1", "it was not, yet"))
{
    make_settled();
    g = vow_ref(f);
    run_threads(takes, drops_g);
    outcome("took %d, dropped %d", took, dropped);
}

static void
reads_g(void)
{
    got = vow_get(g).value.as.ptr != NULL;
    vow_unref(g);
}

SCENARIO(move_read, 0, "a step passes its input on while another one reads that",
         EXPECTED("got 1, dropped 1", "moved or shared, freed once"))
{
    make_settled();
    g = vow_ref(f);
    run_threads(attaches_and_drops, reads_g);
    outcome("got %d, dropped %d", got, dropped);
}

/* ---- caches of blocks ----------------------------------------------------------------------------- */

#define SIZE 48

static void *_Atomic passed[5];

/* A batch is 2: the fifth free sends the first batch to the depot. */
static void
frees_five(void)
{
    for (int i = 0; i < 5; i++)
        vowi_free(passed[i], SIZE);
}

static void
allocates_and_frees(void)
{
    int *a = vowi_alloc(SIZE);
    int *b = vowi_alloc(SIZE);

    require(a != NULL && b != NULL && a != b);
    *a = 1;
    *b = 2;
    require(*a == 1);
    vowi_free(a, SIZE);
    vowi_free(b, SIZE);
}

SCENARIO(depot, 0, "one thread frees five blocks, another one takes from the depot",
         EXPECTED("done", "no block is given out twice, none is lost"))
{
    for (int i = 0; i < 5; i++)
        passed[i] = vowi_alloc_aligned(SIZE, 16);
    run_threads(frees_five, allocates_and_frees);
    vow_trim();
    outcome("done");
}

/* ---- bundles of blocks ---------------------------------------------------------------------------- */

struct bundled {
    int *block;
    unsigned index;
};

static struct bundled bundled[3];
static _Atomic(struct bundled *) handed; /* to whoever gives it back */

static void
makes_bundled(struct bundled *b)
{
    b->block = vowi_bundle_alloc(vowi_self(), &b->index);
    require(b->block != NULL);
    *b->block = 1;
}

/* Using it first: the bundle is not freed meanwhile, and that is seen before it is. */
static void
gives_back(struct bundled *b)
{
    require(++*b->block == 2);
    vowi_bundle_free(vowi_self(), b->block, b->index);
}

static void
gives_back_two(void)
{
    gives_back(&bundled[0]);
    gives_back(&bundled[1]);
}

static void
gives_back_third(void)
{
    gives_back(&bundled[2]);
}

SCENARIO(bundle_left, 0, "two threads give back the blocks of a bundle that is full",
         EXPECTED("done", "it goes once, and after both"))
{
    for (int i = 0; i < 3; i++)
        makes_bundled(&bundled[i]);
    run_threads(gives_back_two, gives_back_third);
    outcome("done");
}

static void
hands_over_and_exits(void)
{
    makes_bundled(&bundled[0]);
    atomic_store_explicit(&handed, &bundled[0], memory_order_release);
    makes_bundled(&bundled[1]);
    gives_back(&bundled[1]);
}

static void
gives_back_handed(void)
{
    struct bundled *b = atomic_load_explicit(&handed, memory_order_acquire);

    if (b != NULL)
        gives_back(b);
    else
        got = 1;
}

SCENARIO(bundle_exit, 0, "a thread exits whose bundle has blocks to give and blocks out",
         EXPECTED("early 0", "another thread gives one back meanwhile"),
         EXPECTED("early 1", "it is given back after that"))
{
    run_threads(hands_over_and_exits, gives_back_handed);
    if (got)
        gives_back(&bundled[0]);
    vow_trim();
    outcome("early %d", got);
}
