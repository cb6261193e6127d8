/* SPDX-License-Identifier: MIT */
/*
 * Which call fails, and the book that is kept of it. The linker puts what each site
 * says of itself into one section, and names its ends.
 */
#include "fault.h"

#include <errno.h>
#include <stdlib.h>

#include "fault_calls.h"

extern const struct fault_site *const __start_fault_sites[];
extern const struct fault_site *const __stop_fault_sites[];

static struct fault_plan plan;
static atomic_bool in_force;
static struct fault_record *record;
static struct fault_count *counts;

/* The uses inside of which this thread is, innermost first. */
static _Thread_local struct fault_use *uses;

size_t
fault_sites(void)
{
    return (size_t)(__stop_fault_sites - __start_fault_sites);
}

const struct fault_site *
fault_site(size_t i)
{
    return __start_fault_sites[i];
}

static size_t
index_of(fault_at at)
{
    return (size_t)(at - __start_fault_sites);
}

void
fault_record_in(struct fault_record *r, struct fault_count *c)
{
    record = r;
    counts = c;
}

void
fault_begin(const struct fault_plan *p)
{
    plan = *p;
    record->codes = 1;
    record->first = 0;
    atomic_store(&record->calls, 0);
    atomic_store(&record->failed, 0);
    atomic_store(&record->lasting, false);
    atomic_store(&in_force, true);
}

void
fault_end(void)
{
    atomic_store(&in_force, false);
}

bool
fault_happened(void)
{
    return atomic_load(&record->failed) != 0;
}

bool
fault_is_lasting(void)
{
    return atomic_load(&record->lasting);
}

/* ---- which one ------------------------------------------------------------------ */

/* A signal interrupts a call, not each of its repetitions; and where there is no clock
 * nothing goes on anyhow. */
static bool
goes_on(int code)
{
    return code != EINTR && code != ENOTSUP;
}

static bool
fails(size_t call, int code)
{
    return call == plan.at ||
           (call > plan.at && plan.mode == FAULT_ONWARDS && goes_on(code));
}

/* Counts a call; returns the code with which it is to fail, or 0. */
static int
count_call(const int *codes, unsigned count, bool *first)
{
    int code = codes[plan.code % count];
    size_t call = atomic_fetch_add(&record->calls, 1) + 1;

    if (plan.at == 0 || !fails(call, code))
        return 0;
    *first = atomic_fetch_add(&record->failed, 1) == 0;
    if (code != EINTR)
        atomic_store(&record->lasting, true);
    return code;
}

/* The site fails, and so do all uses that it is part of. */
static void
note_failure(fault_at at, unsigned codes, bool first)
{
    if (first) {
        record->first = index_of(at);
        record->codes = codes;
    }
    atomic_fetch_add(&counts[index_of(at)].failed, 1);
    for (struct fault_use *use = uses; use != NULL; use = use->outer)
        if (use->at != at)
            atomic_fetch_add(&counts[index_of(use->at)].failed, 1);
}

static int
choose(fault_at at, const int *codes, unsigned count)
{
    bool first = false;
    int code = count_call(codes, count, &first);

    if (code != 0)
        note_failure(at, count, first);
    return code;
}

int
fault_source(fault_at at, const int *codes, unsigned count)
{
    if (!atomic_load(&in_force))
        return 0;
    atomic_fetch_add(&counts[index_of(at)].called, 1);
    if (plan.level == FAULT_AT_USE && uses != NULL)
        return 0;
    return choose(at, codes, count);
}

int
fault_use_begin(struct fault_use *use, fault_at at, const int *codes, unsigned count)
{
    bool outermost = uses == NULL;

    use->at = at;
    use->outer = uses;
    uses = use;
    if (!atomic_load(&in_force))
        return 0;
    atomic_fetch_add(&counts[index_of(at)].called, 1);
    return plan.level == FAULT_AT_USE && outermost ? choose(at, codes, count) : 0;
}

void
fault_use_end(struct fault_use *use)
{
    uses = use->outer;
}

/* A hook is called by the library's allocation, of which the uses tell. */
bool
fault_in_hook(void)
{
    static const int codes[] = {ENOMEM};

    if (!atomic_load(&in_force) || uses == NULL || plan.level == FAULT_AT_USE)
        return false;
    return choose(uses->at, codes, 1) != 0;
}
