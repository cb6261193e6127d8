/* SPDX-License-Identifier: MIT */
/*
 * races.c - which other orders are worth a run.
 *
 * Two operations of different threads race if they depend on each other and nothing
 * between them puts them in their order. Only then can a run with the other order
 * differ. So for each operation of a run this looks for those before that it races
 * with, and asks that where the earlier one went on, a thread goes on that leads to
 * the later one first: source sets (Abdulla, Aronis, Jonsson and Sagonas, Optimal
 * Dynamic Partial Order Reduction, POPL 2014). What is not asked for is not run.
 *
 * What happens before what is the order of each thread, of operations that depend on
 * each other, and of what makes another thread able to go on: it is made, woken,
 * joined. Each event has a clock: of each thread, the last event that comes before.
 *
 * Asking for too much costs runs that are cut, and never loses one. So where it is not
 * sure that the other order is possible, it is asked for. It surely is not if the later
 * operation waited for the earlier one: a lock for its unlock, a spinning load for the
 * store, but not if a store of another word would have done. A lock races with the lock
 * before it instead.
 */
#include <string.h>

#include "model.h"

#define EVENTS 8192

struct event {
    struct op op;
    uint8_t thread;
    int choice;       /* in the path: who goes on; -1: there was none */
    unsigned choices; /* so many had been made then, this one among them */
    uint16_t clock[THREADS];
};

static struct event events[EVENTS];
static unsigned count; /* of events in this run */
static unsigned known; /* of them, the same as in the run before */
static unsigned
    last[THREADS]; /* of each thread, its last event; as in clocks: 1 is the first */
static unsigned cause[THREADS]; /* the event that made or woke it, until it goes on */

void
races_start_run(unsigned same_choices)
{
    known = 0;
    while (known < count && events[known].choices <= same_choices)
        known++;
    count = 0;
    memset(last, 0, sizeof last);
    memset(cause, 0, sizeof cause);
}

/* Events are not copied: up to where a run goes back, they are the same. */
void
races_copy(struct copier *c)
{
    copy(c, &count, sizeof count);
    copy(c, last, sizeof last);
    copy(c, cause, sizeof cause);
}

void
races_forget(void)
{
    count = 0;
}

void
races_note_made(const struct thread *t)
{
    cause[t->id] = last[run.current];
}

/* Its deadline might have passed just before. */
void
races_note_woken(const struct thread *t)
{
    unsigned by = last[run.current];

    cause[t->id] = by;
    if (t->timed && by != 0 && events[by - 1].choice >= 0)
        try_also((unsigned)events[by - 1].choice, (uint16_t)(1u << t->id), t->id);
}

/* ---- clocks ------------------------------------------------------------------------------ */

static void
join(uint16_t *clock, const uint16_t *other)
{
    for (unsigned i = 0; i < THREADS; i++)
        clock[i] = clock[i] > other[i] ? clock[i] : other[i];
}

static void
join_event(uint16_t *clock, unsigned event)
{
    if (event != 0)
        join(clock, events[event - 1].clock);
}

/* Whether event i is among what the clock covers. */
static bool
covers(const uint16_t *clock, unsigned i)
{
    return clock[events[i].thread] > i;
}

/* All that comes before the next event of a thread but by what that operates on. */
static void
clock_before(uint16_t *clock, const struct thread *t)
{
    memset(clock, 0, THREADS * sizeof *clock);
    join_event(clock, last[t->id]);
    join_event(clock, cause[t->id]);
    if (t->need != END && t->need != QUIET)
        return;
    for (unsigned i = 0; i < run.threads; i++)
        if (t->need == QUIET || i - t->target < t->targets)
            join_event(clock, last[i]);
}

/* ---- the other order ------------------------------------------------------------------------ */

/*
 * The threads that may go on first, where event i went on, in a run that gets to event
 * k without i: who has an event after i that neither i nor any of these come before.
 */
static uint16_t
initials(unsigned i, unsigned k)
{
    unsigned first[THREADS] = {0};
    uint16_t found = 0;

    for (unsigned j = i + 1; j <= k; j++) {
        const struct event *e = &events[j];
        bool leads = true;

        if (first[e->thread] != 0 || (j != k && covers(e->clock, i)))
            continue;
        first[e->thread] = j + 1;
        for (unsigned x = 0; x < run.threads && leads; x++)
            leads = x == e->thread || first[x] == 0 || e->clock[x] < first[x];
        if (leads)
            found = (uint16_t)(found | 1u << e->thread);
    }
    return found;
}

/* Whether event k surely waited for event i to go on at all. */
static bool
waited_for(unsigned k, unsigned i)
{
    const struct event *earlier = &events[i];
    const struct event *later = &events[k];

    if (earlier->choice < 0 || (earlier->op.unlocks && later->op.locks))
        return true;
    if (later->op.any)
        return false;
    return last[later->thread] <= i && cause[later->thread] <= i &&
           !is_candidate((unsigned)earlier->choice, later->thread);
}

/* Before this one, all events of other threads than that are covered by the clock. */
static unsigned
first_uncovered(const uint16_t *clock, unsigned id)
{
    unsigned first = count;

    for (unsigned i = 0; i < run.threads; i++)
        if (i != id && last[i] > clock[i] && clock[i] < first)
            first = clock[i];
    return first;
}

/* Looks for the events that event k races with, the last of them first. */
static void
find_races(unsigned k, uint16_t *before)
{
    struct event *e = &events[k];
    unsigned first = first_uncovered(before, e->thread);

    for (unsigned i = k; i-- > first;) {
        if (events[i].thread == e->thread || covers(before, i) ||
            !depends(&events[i].op, &e->op))
            continue;
        join(e->clock, events[i].clock);
        if (waited_for(k, i))
            continue;
        join(before, events[i].clock); /* those before that are no races of k */
        first = first_uncovered(before, e->thread);
        try_also((unsigned)events[i].choice, initials(i, k), e->thread);
    }
}

void
races_note_event(const struct thread *t, int choice, unsigned choices)
{
    struct event *e = &events[count];
    uint16_t before[THREADS];

    if (count == EVENTS)
        fail_at(NULL, "the explorer", "more than %d steps", EVENTS);
    if (count >= known) {
        e->op = t->op;
        e->thread = t->id;
        e->choice = choice;
        e->choices = choices;
        clock_before(before, t);
        memcpy(e->clock, before, sizeof before);
        e->clock[t->id] = (uint16_t)(count + 1);
        find_races(count, before);
    }
    count++;
    last[t->id] = count;
    cause[t->id] = 0;
}
