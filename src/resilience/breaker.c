/* SPDX-License-Identifier: MIT */
/*
 * resilience/breaker.c - the machine inside a circuit breaker.
 *
 * The pattern is Nygard's ("Release It!", 2007). What is sharper here: an admission
 * belongs to the epoch in which it was given, so nothing that ends late decides; and a
 * probe has a deadline of its own, so nothing that never ends does either.
 *
 *     CLOSED     -> OPEN       the window, or a row of failures, says so
 *     OPEN       -> HALF_OPEN  a call comes after open_time
 *     HALF_OPEN  -> CLOSED     probe_results results, few enough of them bad
 *     HALF_OPEN  -> OPEN       otherwise
 *     any        -> any        vow_breaker_force
 */
#include "resilience/breaker_internal.h"

#include <string.h>

#include "base/time.h"

/* ---- changes of state ------------------------------------------------------------------- */

static void
note_change_locked(vow_breaker *b, vow_breaker_state to)
{
    if (b->options.on_change == NULL || b->state == to)
        return;
    if (b->untold == VOWI_BREAKER_CHANGES) {
        b->changes[b->untold - 1].to = to;
        return;
    }
    b->changes[b->untold].from = b->state;
    b->changes[b->untold].to = to;
    b->untold++;
}

static void
change_locked(vow_breaker *b, vow_breaker_state to)
{
    note_change_locked(b, to);
    b->state = to;
    b->epoch++;
    b->failures_in_row = 0;
    vowi_window_clear(&b->window);
    memset(b->probes, 0, b->options.probes * sizeof *b->probes);
    memset(&b->results, 0, sizeof b->results);
    b->flying = 0;
}

/* How long this trip lasts: longer for each in a row, up to a cap, give or take. */
static vow_ns
open_time_locked(vow_breaker *b)
{
    const vow_breaker_options *o = &b->options;
    double most = (double)o->open_max;
    double time = b->grown > 0 ? b->grown * o->open_factor : (double)o->open_for;

    if (time > most)
        time = most;
    b->grown = time;
    if (!(time < 0x1p62)) /* not ==: the x87 has it 1 below what a double has */
        return VOW_FOREVER;
    if (o->open_jitter > 0)
        time *= 1 + o->open_jitter * (2 * vowi_random_unit(&b->random) - 1);
    return time < 0x1p62 ? (vow_ns)time : VOW_FOREVER;
}

static void
open_locked(vow_breaker *b, vow_ns at)
{
    change_locked(b, VOW_BREAKER_OPEN);
    b->opened = at;
    b->open_time = open_time_locked(b);
}

static void
trip_locked(vow_breaker *b, vow_ns at)
{
    b->seen.trips++;
    open_locked(b, at);
}

static void
close_locked(vow_breaker *b)
{
    change_locked(b, VOW_BREAKER_CLOSED);
    b->grown = 0;
}

void
vowi_breaker_force_locked(vow_breaker *b, vow_ns now, vow_breaker_state state)
{
    if (state == VOW_BREAKER_CLOSED) {
        close_locked(b);
    } else if (state == VOW_BREAKER_OPEN) {
        open_locked(b, now);
    } else {
        change_locked(b, state);
    }
}

/* ---- judging ------------------------------------------------------------------------------ */

static bool
is_bad(const vow_breaker_options *o, const struct vowi_sums *sums)
{
    double calls = (double)sums->calls;

    return (double)sums->failures >= o->failure_rate * calls ||
           (o->slow_after > 0 && (double)sums->slow >= o->slow_rate * calls);
}

static bool
should_trip_locked(const vow_breaker *b)
{
    const vow_breaker_options *o = &b->options;

    if (o->consecutive != 0 && b->failures_in_row >= o->consecutive)
        return true;
    return b->window.sums.calls >= o->min_calls && is_bad(o, &b->window.sums);
}

static void
watch_locked(vow_breaker *b, vow_ns now, bool failed, bool slow)
{
    vowi_window_add(&b->window, now, failed, slow);
    b->failures_in_row = failed ? b->failures_in_row + 1 : 0;
    if (b->state == VOW_BREAKER_CLOSED && should_trip_locked(b))
        trip_locked(b, now);
}

/* One more result of a probe; the last one that is needed decides. */
static void
judge_probe_locked(vow_breaker *b, vow_ns at, bool failed, bool slow)
{
    b->results.calls++;
    b->results.failures += failed;
    b->results.slow += slow;
    if (b->results.calls < b->options.probe_results)
        return;
    if (is_bad(&b->options, &b->results))
        trip_locked(b, at);
    else
        close_locked(b);
}

/* ---- probes ------------------------------------------------------------------------------- */

static struct vowi_probe *
find_probe_locked(vow_breaker *b, uint64_t id)
{
    for (unsigned i = 0; i < b->options.probes; i++)
        if (b->probes[i].id == id)
            return &b->probes[i];
    return NULL;
}

static void
free_probe_locked(vow_breaker *b, struct vowi_probe *probe)
{
    probe->id = 0;
    b->flying--;
}

/* Returns the probe whose time was over first; NULL if there is none. */
static struct vowi_probe *
find_hung_locked(vow_breaker *b, vow_ns now)
{
    struct vowi_probe *first = NULL;

    for (unsigned i = 0; i < b->options.probes; i++) {
        struct vowi_probe *p = &b->probes[i];

        if (p->id != 0 && p->deadline <= now &&
            (first == NULL || p->deadline < first->deadline))
            first = p;
    }
    return first;
}

/* Each counts as a failure, dated at its deadline. A change of state frees the rest. */
static void
judge_hung_locked(vow_breaker *b, vow_ns now)
{
    struct vowi_probe *hung;

    while (b->flying != 0 && (hung = find_hung_locked(b, now)) != NULL) {
        vow_ns at = hung->deadline;

        free_probe_locked(b, hung);
        b->seen.hung++;
        judge_probe_locked(b, at, true, false);
    }
}

static bool
admit_probe_locked(vow_breaker *b, vow_ns now, vow_permit *permit)
{
    struct vowi_probe *probe;

    if (b->flying >= b->options.probes)
        return false;
    probe = find_probe_locked(b, 0);
    probe->id = ++b->last_probe;
    probe->deadline = vowi_time_add(now, b->options.probe_timeout);
    b->flying++;
    permit->probe = probe->id;
    return true;
}

/* ---- calls -------------------------------------------------------------------------------- */

static bool
lets_through_locked(vow_breaker *b, vow_ns now, vow_permit *permit)
{
    switch (b->state) {
    case VOW_BREAKER_CLOSED:
    case VOW_BREAKER_FORCED_CLOSED:
    case VOW_BREAKER_COUNT_ONLY:
        return true;
    case VOW_BREAKER_HALF_OPEN:
        return admit_probe_locked(b, now, permit);
    case VOW_BREAKER_OPEN:
    case VOW_BREAKER_FORCED_OPEN:
        break;
    }
    return false;
}

bool
vowi_breaker_admit_locked(vow_breaker *b, vow_ns now, vow_permit *permit)
{
    bool admitted;

    judge_hung_locked(b, now);
    if (b->state == VOW_BREAKER_OPEN && vowi_breaker_remaining_locked(b, now) == 0)
        change_locked(b, VOW_BREAKER_HALF_OPEN);
    permit->epoch = b->epoch;
    permit->probe = 0;
    permit->admitted = now;
    admitted = lets_through_locked(b, now, permit);
    if (admitted)
        b->seen.admitted++;
    else
        b->seen.refused++;
    return admitted;
}

/* Takes a probe's place back. False if it was judged in its absence. */
static bool
land_probe_locked(vow_breaker *b, uint64_t id)
{
    struct vowi_probe *probe = id != 0 ? find_probe_locked(b, id) : NULL;

    if (probe == NULL)
        return id == 0;
    free_probe_locked(b, probe);
    return true;
}

static void
decide_locked(vow_breaker *b, vow_ns now, bool failed, bool slow)
{
    switch (b->state) {
    case VOW_BREAKER_CLOSED:
    case VOW_BREAKER_COUNT_ONLY:
        watch_locked(b, now, failed, slow);
        break;
    case VOW_BREAKER_HALF_OPEN:
        judge_probe_locked(b, now, failed, slow);
        break;
    case VOW_BREAKER_OPEN:
    case VOW_BREAKER_FORCED_OPEN:
    case VOW_BREAKER_FORCED_CLOSED:
        break;
    }
}

void
vowi_breaker_record_locked(vow_breaker *b, const vow_permit *permit, vow_ns now,
                           vow_outcome outcome)
{
    bool counts = outcome != VOW_OUTCOME_CANCELLED;
    bool failed = outcome == VOW_OUTCOME_FAILURE;
    bool slow = counts && b->options.slow_after > 0 &&
                vowi_time_sub(now, permit->admitted) > b->options.slow_after;

    b->seen.successes += counts && !failed;
    b->seen.failures += failed;
    b->seen.cancelled += !counts;
    b->seen.slow += slow;
    if (permit->epoch != b->epoch || !land_probe_locked(b, permit->probe))
        b->seen.late++;
    else if (counts)
        decide_locked(b, now, failed, slow);
}

vow_ns
vowi_breaker_remaining_locked(const vow_breaker *b, vow_ns now)
{
    vow_ns left;

    if (b->state == VOW_BREAKER_FORCED_OPEN)
        return VOW_FOREVER;
    if (b->state != VOW_BREAKER_OPEN)
        return 0;
    if (b->open_time == VOW_FOREVER)
        return VOW_FOREVER;
    left = vowi_time_sub(vowi_time_add(b->opened, b->open_time), now);
    return left > 0 ? left : 0;
}
