/* SPDX-License-Identifier: MIT */
/*
 * core/linger.c - what a wait does before it sleeps, and what it learns for the next.
 *
 * To sleep and to be woken costs some microseconds on both sides. So a wait looks for a
 * moment, and if waits were short lately it goes on looking for about as long as a
 * sleep costs. Then it yields after each look, so that on a CPU which is wanted whoever is
 * to settle runs instead; and at once if this thread has just woken a worker, which the
 * system likes to put on its waker's CPU. A yield that comes back late, and to nothing or
 * very late, says that others than those run here, and it gave up what it had left to them:
 * then a sleeper, which the system prefers when it wakes, has its answer sooner than one who
 * yields, and the next waits sleep. If that happens again soon they do so for longer.
 *
 * A thread that only reads, future after future, and did nothing else between, leaves
 * the CPU to those it reads from: it does not spin, and if its waits are short it does
 * not have itself woken for each. It naps for a few of them, and finds several futures
 * settled. It is late for the last by no more than the nap, and each future in between
 * costs the one who settles it no wake. Every few waits it sleeps as others do, which
 * tells how short they are. Whether a nap was worth it shows in what was found settled
 * after it. Then the next one is twice as long, up to a small share of the time for which
 * the thread has read, which is what it can be late by. Workers of a pool end it, between
 * two tasks when it is time, or when their pool has nothing left to do (sync/doze.h). Who asks for one thing, waits for
 * it and asks for the next looks like a reader, finds nothing, and does not nap for long.
 */
#include "core/linger.h"

#include <sched.h>

#include "base/time.h"
#include "sync/doze.h"

enum {
    FIRST = 1000,        /* ns looked for without proof that it is worth it */
    SHORT = 60000,       /* ns of a wait that was worth looking for, had it begun later */
    LATE = 10000,        /* ns after which a yield was somebody else's turn; */
    TOO_LATE = 100000,   /* such ns even if it has settled what is waited for */
    CROWDED = 8,         /* waits that do not yield after a late one, at least */
    CROWDED_MAX = 1024,  /* and at most */
    CHECKS = 16,         /* looks in a round */
    BRIEF = 200,         /* ns that one takes, as far as anybody learns from it */
    READS = 8,           /* waits after which a thread only reads */
    MEASURED = 32,       /* of so many waits one is no nap, and is measured */
    NAP = 8,             /* waits that a nap is as long as, at first */
    NAP_MAX = 200000,    /* ns that it may last in any case; */
    NAP_SHARE = 64,      /* and such a part of the time that the thread has read, */
    NAP_MOST = 1000000,  /* but no more ns */
    LATE_SHARE = 8,      /* if others are to end it: such a part, */
    LATE_MOST = 8000000, /* and no more ns, until it ends by itself */
    AWAKE = 64,          /* waits without a nap after one in vain, at least, */
    AWAKE_ONCE = 8,      /* or only so many if the nap before was worth it; */
    AWAKE_MAX = 1024     /* and at most */
};

/* Twice as long as the last time, but neither less nor more than so much. */
static vow_ns
twice(vow_ns last, vow_ns least, vow_ns most)
{
    vow_ns next = 2 * last > least ? 2 * last : least;

    return next < most ? next : most;
}

/* ---- looking ---------------------------------------------------------------------- */

static bool
look(struct vow_state *s, int checks)
{
    for (int i = 0; i < checks; i++) {
        if (vowi_settled(s))
            return true;
        vowi_relax();
    }
    return false;
}

/* For how long a wait looks. */
static vow_ns
limit_of(struct vowi_thread *t)
{
    vow_ns limit = 2 * t->spin + FIRST;
    bool crowded = t->crowded > 0;

    if (crowded)
        t->crowded--;
    if (crowded || (t->reads >= 2 && t->awake == 0))
        return FIRST < VOWI_SPIN_MAX ? FIRST : VOWI_SPIN_MAX;
    return limit < VOWI_SPIN_MAX ? limit : VOWI_SPIN_MAX;
}

/* A yield was late. Each that is soon after the last such one keeps from it for longer. */
static void
note_crowd(struct vowi_thread *t)
{
    t->crowd = (unsigned)twice(t->crowd, CROWDED, CROWDED_MAX);
    t->crowded = t->crowd;
}

static bool
was_late(struct vow_state *s, vow_ns yield)
{
    return yield > (vowi_settled(s) ? TOO_LATE : LATE);
}

bool
vowi_linger(struct vowi_thread *t, struct vow_state *s, vow_ns start, vow_ns deadline)
{
    vow_ns limit = limit_of(t);
    vow_ns end = vowi_time_add(start, limit);
    vow_ns now = start;

    if (end > deadline)
        end = deadline;
    while (now < end) {
        vow_ns before = now;

        if (limit > FIRST)
            sched_yield();
        now = vowi_monotonic_now();
        if (was_late(s, now - before)) {
            note_crowd(t);
            return vowi_settled(s);
        }
        if (look(s, CHECKS))
            break;
    }
    if (t->crowded == 0 && t->crowd > 0)
        t->crowd--;
    return vowi_settled(s);
}

/* ---- napping ---------------------------------------------------------------------- */

/*
 * Whether the last nap was worth it, if there was one since this was asked: what was found
 * settled after it would have taken half as long as it, read one by one.
 */
static bool
was_worth_it(struct vowi_thread *t)
{
    if (!t->judged)
        return true;
    t->judged = false;
    if (2 * t->found * t->wait >= t->nap) {
        t->vigil = 0;
        return true;
    }
    t->vigil = (unsigned)twice(t->vigil, t->grown ? AWAKE_ONCE : AWAKE, AWAKE_MAX);
    t->nap = 0;
    t->awake = t->vigil;
    return false;
}

static bool
may_nap(struct vowi_thread *t)
{
    if (t->awake > 0) {
        t->awake--;
        return false;
    }
    return t->reads >= READS && t->reads % MEASURED != 0 && 2 * t->wait <= NAP_MAX &&
           t->parker.ready && /* else it has never slept yet, and does so now */
           was_worth_it(t);
}

/* How long it may be, and the more the longer this thread has read. */
static vow_ns
nap_limit(const struct vowi_thread *t, vow_ns now)
{
    vow_ns share = (now - t->since) / NAP_SHARE;

    if (share < NAP_MAX)
        return NAP_MAX;
    return share < NAP_MOST ? share : NAP_MOST;
}

/*
 * When it ends by itself. That is much later than it should if a worker has ended the last
 * one, since then a worker will most likely end this one, and what ends it is no timer.
 */
static vow_ns
latest(const struct vowi_thread *t, vow_ns now)
{
    vow_ns late = (now - t->since) / LATE_SHARE;

    if (late > LATE_MOST)
        late = LATE_MOST;
    if (!t->tended || late < t->nap)
        late = t->nap + t->nap / 4;
    return vowi_time_add(now, late);
}

bool
vowi_nap(struct vowi_thread *t, struct vow_state *s)
{
    vow_ns now;

    if (!may_nap(t))
        return false;
    now = vowi_monotonic_now();
    t->grown = t->nap > 0;
    t->nap = twice(t->nap, NAP * t->wait, nap_limit(t, now));
    t->judged = true;
    t->found = 0;
    t->tended = vowi_doze(vowi_time_add(now, t->nap), latest(t, now));
    t->napped = true;
    return vowi_settled(s);
}

/* ---- learning ---------------------------------------------------------------------- */

static void
learn(struct vowi_thread *t, vow_ns waited)
{
    vow_ns worth = waited < SHORT ? waited : 0;

    if (worth > VOWI_SPIN_MAX)
        worth = VOWI_SPIN_MAX;
    t->spin += (worth - t->spin) / (worth > t->spin ? 2 : 8);
    if (!t->napped)
        t->wait += (waited - t->wait) / 4;
    t->napped = false;
}

void
vowi_linger_learn(struct vowi_thread *t, vow_ns start)
{
    learn(t, vowi_monotonic_now() - start);
    if (t->reads++ == 0) {
        t->since = start;
        t->nap = 0;
        t->tended = false;
    }
}

/* Reading begins with a wait that has a start. */
bool
vowi_linger_glance(struct vowi_thread *t, struct vow_state *s)
{
    bool woke = t->woke;

    t->woke = false;
    if (!look(s, woke ? 1 : CHECKS))
        return false;
    learn(t, BRIEF);
    if (t->reads > 0)
        t->reads++;
    return true;
}
