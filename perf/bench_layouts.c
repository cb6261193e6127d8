/* SPDX-License-Identifier: MIT */
/*
 * perf/bench_layouts.c - three ways to lay out a shared state, on the same work.
 *
 * The work is the life of a chain of inline steps: make a pending state, hang a step
 * on it that makes the next one, and so on; then settle the first and run the steps
 * one after the other, freeing each state when its step has run. Each layout does the
 * same three atomic steps a link: attach, claim, publish.
 *
 *     monitor    a mutex and a condition variable in each state, and the record of
 *                its continuation a block of its own
 *     two_blocks a state of 40 bytes, and a record of 48
 *     one_block  both in one block of 88: what the library does, in 80 by now
 */
#include <pthread.h>
#include <stdatomic.h>

#include "bench.h"

enum { LINKS = 1000, CHAINS = 300 };

struct record;

struct state {
    _Atomic(uintptr_t) word;
    _Atomic(uint64_t) refs;
    int64_t value;
    void *drop;
    void *block; /* to free */
};

struct monitor {
    struct state state;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
};

struct record {
    struct record *next;
    void (*run)(struct record *r);
    void *priority;
    struct state *source;
    void *on;
    struct state *result;
};

struct step { /* 88 bytes: one_block */
    struct record record;
    struct state state;
};

static void
state_init(struct state *s, void *block)
{
    atomic_init(&s->word, 0);
    atomic_init(&s->refs, 1);
    s->value = 0;
    s->drop = NULL;
    s->block = block;
}

static void
attach(struct state *s, struct record *r, struct state *result)
{
    uintptr_t word = atomic_load_explicit(&s->word, memory_order_acquire);

    r->source = s;
    r->result = result;
    r->on = NULL;
    do
        r->next = NULL;
    while (!atomic_compare_exchange_weak(&s->word, &word, (uintptr_t)r));
}

/* Settles a state; returns what hung on it. */
static struct record *
settle(struct state *s, int64_t value)
{
    atomic_fetch_or(&s->refs, UINT64_C(1) << 63);
    s->value = value;
    return (struct record *)atomic_exchange(&s->word, 1);
}

/* ---- the three layouts ------------------------------------------------------------ */

struct layout {
    struct state *(*first)(void);
    struct state *(*then)(struct state *source);
    void (*release)(struct state *s, struct record *r);
};

static struct state *
monitor_new(void)
{
    struct monitor *m = malloc(sizeof *m);

    bench_check(m != NULL);
    state_init(&m->state, m);
    pthread_mutex_init(&m->mutex, NULL);
    pthread_cond_init(&m->cond, NULL);
    return &m->state;
}

static struct state *
bare_new(void)
{
    struct state *s = malloc(sizeof *s);

    bench_check(s != NULL);
    state_init(s, s);
    return s;
}

static struct state *
then_apart(struct state *source, struct state *result)
{
    struct record *r = malloc(sizeof *r);

    bench_check(r != NULL);
    attach(source, r, result);
    return result;
}

static struct state *
monitor_then(struct state *source)
{
    return then_apart(source, monitor_new());
}

static struct state *
two_blocks_then(struct state *source)
{
    return then_apart(source, bare_new());
}

static struct state *
one_block_then(struct state *source)
{
    struct step *step = malloc(sizeof *step);

    bench_check(step != NULL);
    state_init(&step->state, step);
    attach(source, &step->record, &step->state);
    return &step->state;
}

static void
monitor_release(struct state *s, struct record *r)
{
    struct monitor *m = (struct monitor *)(void *)s;

    pthread_cond_destroy(&m->cond);
    pthread_mutex_destroy(&m->mutex);
    free(m->state.block);
    free(r);
}

static void
two_blocks_release(struct state *s, struct record *r)
{
    free(s->block);
    free(r);
}

/* The record goes with the state that it made, one link later. */
static void
one_block_release(struct state *s, struct record *r)
{
    (void)r;
    free(s->block);
}

static double
chain(const struct layout *l)
{
    struct state *first = l->first();
    struct state *last = first;
    struct record *r;
    int64_t value = 0;
    double start = bench_ns();

    for (int i = 0; i < LINKS; i++)
        last = l->then(last);
    for (r = settle(first, value); r != NULL;) {
        struct state *source = r->source;
        struct state *result = r->result;
        struct record *next = settle(result, source->value + 1);

        l->release(source, r);
        value++;
        r = next;
    }
    start = bench_ns() - start;
    bench_check(value == LINKS && last->value == LINKS);
    l->release(last, NULL);
    return start;
}

static const struct layout monitor = {monitor_new, monitor_then, monitor_release};
static const struct layout two_blocks = {bare_new, two_blocks_then, two_blocks_release};
static const struct layout one_block = {bare_new, one_block_then, one_block_release};

static double
chains(const struct layout *l)
{
    double ns = 0;

    for (int i = 0; i < CHAINS; i++)
        ns += chain(l);
    return ns / CHAINS / LINKS;
}

static void
layouts(double *ns_a_link)
{
    ns_a_link[0] = chains(&monitor);
    ns_a_link[1] = chains(&two_blocks);
    ns_a_link[2] = chains(&one_block);
}

int
main(int argc, char **argv)
{
    static const struct bench bench = {
        "layout",
        {{"monitor", "ns/link"}, {"two_blocks", "ns/link"}, {"one_block", "ns/link"}},
        layouts,
        0};

    return bench_main(&bench, argc, argv);
}
