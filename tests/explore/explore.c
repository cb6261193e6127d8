/* SPDX-License-Identifier: MIT */
/*
 * explore.c - what is explored, for how long, and what is said about it.
 *
 *     explore [SECONDS] [SCENARIO...]        all of them, in so many seconds of each job
 *     explore --long [SECONDS] [SCENARIO...] each search in so many seconds
 *     explore --compare [SECONDS] [SCENARIO...]  two ways to search, of each scenario
 *     explore --jobs N ...                   in N processes; else one for each processor
 *     explore --list
 *     explore --replay STRING SCENARIO       a failing run again, step by step
 *     explore --trace SCENARIO               the first run, step by step
 *
 * In this order: the litmus tests, which show that the model of memory is the one of
 * C11; the seeded bugs, which show that it finds what it is for; then the library.
 * If one of the first two is not green, the third says nothing, and is left out.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model.h"

#define OUTCOMES  32
#define SCENARIOS 1024

/* Filled by SCENARIO and its like: a section of pointers. */
extern const struct scenario *const __start_explore_scenarios[];
extern const struct scenario *const __stop_explore_scenarios[];

static unsigned long counts[OUTCOMES];
static unsigned jobs;

static unsigned
number_of(const struct scenario *s)
{
    unsigned n = 0;

    while (__start_explore_scenarios[n] != s)
        n++;
    return n;
}

/* ---- outcomes ----------------------------------------------------------------------------- */

void
outcome(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(run.outcome, sizeof run.outcome, format, args);
    va_end(args);
    TRACE(PC, "outcome: %s", run.outcome);
}

static const struct outcome *
find_outcome(const struct scenario *s)
{
    const struct outcome *o = s->outcomes;

    while (o->why != NULL && o->text != NULL && strcmp(o->text, run.outcome) != 0)
        o++;
    return o->why != NULL ? o : NULL;
}

static bool
check_outcome(void)
{
    const struct outcome *o = find_outcome(run.scenario);

    if (o == NULL) {
        run.failure = "unknown outcome";
        snprintf(run.failure_text, sizeof run.failure_text, "%s", run.outcome);
        return false;
    }
    counts[o - run.scenario->outcomes]++;
    if (o->kind != OUTCOME_FORBIDDEN && o->kind != OUTCOME_MISSED)
        return true;
    run.failure = "forbidden outcome";
    snprintf(run.failure_text, sizeof run.failure_text, "%s: %s", run.outcome, o->why);
    return false;
}

static void
print_outcomes(const struct scenario *s)
{
    static const char *const kinds[] = {"", "expected", "allowed", "forbidden", "missed"};

    for (const struct outcome *o = s->outcomes; o->why != NULL; o++)
        printf("      %10lu  %-9s %-24s %s\n", counts[o - s->outcomes], kinds[o->kind],
               o->text != NULL ? o->text : "(others)", o->why);
}

/* Whether all that is expected was seen. */
static bool
all_seen(const struct scenario *s)
{
    bool all = true;

    for (const struct outcome *o = s->outcomes; o->why != NULL; o++)
        if (o->kind == OUTCOME_EXPECTED && counts[o - s->outcomes] == 0) {
            printf("    NEVER SEEN: %s\n", o->text);
            all = false;
        }
    return all;
}

/* ---- one search ------------------------------------------------------------------------------- */

static void
print_found(const char *what, const struct found *f)
{
    printf("    %-22s %9lu schedules%s, %lu cut, %.2f s, %.0f/s, longest %u steps\n",
           what, f->runs, f->exhausted ? ", ALL" : "", f->pruned, f->seconds,
           (double)f->runs / (f->seconds + 1e-9), f->longest);
    fflush(stdout);
}

static void
print_failure(const struct scenario *s, const struct found *f)
{
    char text[8192];
    const struct settings *with = &run.settings;
    unsigned runs;

    printf("    FAILED in schedule %lu: %s: %s\n", f->runs, f->failure, f->text);
    runs = shrink(check_outcome, f->failure);
    path_print(text, sizeof text);
    printf("    shrunk by %u runs, its trace:\n", runs);
    trace_start();
    run_again(check_outcome);
    trace_print();
    printf("    %s: %s\n", run.failure != NULL ? run.failure : "no failure",
           run.failure_text);
    printf("    explore --replay %u,%u,%u:%s %s\n", with->stale, with->rare,
           with->failing, text, s->name);
}

/* Returns whether it did not fail. */
static bool
search_and_print(const struct scenario *s, const struct settings *with,
                 const struct search *by, const char *what, struct found *f)
{
    *f = search(s, with, by, check_outcome);
    print_found(what, f);
    if (f->failed)
        print_failure(s, f);
    return !f->failed;
}

/* ---- the library ---------------------------------------------------------------------------------- */

/* What all jobs share: what is left to be said when all is done, and the time. */
static struct shared {
    unsigned scenarios, exhausted; /* without rare events */
    double schedules, seconds;
    double seconds_left;   /* of the budget, not given to a scenario yet */
    double most;           /* what a scenario gets at most */
    unsigned left;         /* scenarios without their share */
    bool later[SCENARIOS]; /* of each that is asked for: not done in the first round */
    struct tally {
        unsigned long schedules, at_random;
        bool begun, all; /* all: without rare events */
        int bound,
            bound_in_order; /* preemptions of which all ran: one more than so many */
    } tally[SCENARIOS];     /* of each scenario */
} * total;

/* How long each search may take; in the long mode, of how many runs each random one is. */
static bool is_long;
static double long_seconds;
#define LONG_RUNS 1000000

static bool
search_library(const struct scenario *s, const struct settings *with,
               const struct search *by, const char *what, struct found *f)
{
    bool green = search_and_print(s, with, by, what, f);
    struct tally *t = &total->tally[number_of(s)];

    jobs_lock();
    total->schedules += (double)f->runs;
    total->seconds += f->seconds;
    jobs_unlock();
    t->begun = true;
    t->schedules += f->runs;
    if (by->mode != EXHAUST)
        t->at_random += f->runs;
    else if (f->exhausted && with->rare == 0 && with->failing == 0)
        *(with->stale == 0 ? &t->bound_in_order : &t->bound) = by->bound + 1;
    return green;
}

/* Up to `most` preemptions, as far as time allows. */
static bool
search_bounded(const struct scenario *s, const struct settings *with, int most,
               double seconds)
{
    struct search bound = {.snapshots = true, .mode = EXHAUST, .seconds = seconds};
    struct found f = {.exhausted = true};
    char text[40];

    for (bound.bound = 0; bound.bound <= most && f.exhausted; bound.bound++) {
        snprintf(text, sizeof text, "  %d preemptions%s", bound.bound,
                 with->stale == 0 ? ", SC" : "");
        if (!search_library(s, with, &bound, text, &f))
            return false;
    }
    return true;
}

static bool
search_randomly(const struct scenario *s, const struct settings *with, double seconds,
                unsigned long runs)
{
    struct search pct = {.snapshots = true,
                         .mode = PCT,
                         .depth = 3,
                         .seed = 1,
                         .seconds = seconds,
                         .runs = runs};
    struct search uniform = {
        .snapshots = true, .mode = RANDOM, .seed = 1, .seconds = seconds, .runs = runs};
    struct found f;

    return search_library(s, with, &pct, "  PCT", &f) &&
           search_library(s, with, &uniform, "  random", &f);
}

/* What is left of the seconds since then, for two searches; a little at least. */
static double
half_of_the_rest(double seconds, double start)
{
    double rest = (seconds - (seconds_now() - start)) / 2;

    return rest > seconds / 20 ? rest : seconds / 20;
}

/* First all; else few preemptions, then at random. Returns whether it is green. */
static bool
deepen(const struct scenario *s, const struct settings *with, const char *what,
       double seconds, bool *exhausted)
{
    struct settings in_order = *with;
    struct search all = {.snapshots = true,
                         .mode = EXHAUST,
                         .bound = -1,
                         .sleep_sets = true,
                         .by_race = true,
                         .seconds = is_long ? long_seconds : seconds / 2};
    double start = seconds_now();
    struct found f;

    if (!search_library(s, with, &all, what, &f))
        return false;
    *exhausted = f.exhausted;
    if (f.exhausted)
        return true;
    if (!is_long)
        return search_bounded(s, with, 3, seconds / 10) &&
               search_randomly(s, with, half_of_the_rest(seconds, start), 0);
    if (with->rare != 0 || with->failing != 0)
        return search_randomly(s, with, 0, LONG_RUNS / 10);
    in_order.stale = 0;
    return search_bounded(s, &in_order, 3, long_seconds) &&
           search_bounded(s, with, 2, long_seconds) &&
           search_randomly(s, with, 0, LONG_RUNS);
}

static bool
explore_variants(const struct scenario *s, double seconds)
{
    static const struct settings plain = {.stale = 2, .steps = 5000};
    static const struct settings rare = {.stale = 1, .rare = 1, .steps = 5000};
    static const struct settings failing = {.stale = 1, .failing = 1, .steps = 5000};
    bool can_fail = (s->flags & CAN_FAIL) != 0;
    double share = seconds / (can_fail ? 4 : 3);
    bool exhausted = false, other;

    printf("  %s: %s\n", s->name, s->about);
    if (!deepen(s, &plain, "all", 2 * share, &exhausted))
        return false;
    print_outcomes(s);
    if (exhausted && !all_seen(s))
        return false;
    jobs_lock();
    total->exhausted += exhausted;
    jobs_unlock();
    total->tally[number_of(s)].all = exhausted;
    return deepen(s, &rare, "rare events", share, &other) &&
           (!can_fail || deepen(s, &failing, "failing calls", share, &other));
}

/* Whether all schedules of a scenario are run in so little time. If it is not, nothing
 * has been said or counted. */
static bool
is_small(const struct scenario *s, double seconds)
{
    static const struct settings plain = {.stale = 2, .steps = 5000};
    struct search all = {.snapshots = true,
                         .mode = EXHAUST,
                         .bound = -1,
                         .sleep_sets = true,
                         .by_race = true,
                         .seconds = seconds};
    struct found f = search(s, &plain, &all, check_outcome);

    return f.exhausted || f.failed;
}

static double
take_share(void)
{
    double share;

    jobs_lock();
    share = total->seconds_left / total->left--;
    if (share > total->most)
        share = total->most;
    total->seconds_left -= share;
    jobs_unlock();
    return share;
}

/* What a scenario leaves of its share, or takes too much, is for the others. */
static bool
explore_library(const struct scenario *s, bool *later)
{
    double start = seconds_now();
    double share = take_share();
    bool first = !*later && !is_long;
    bool green = true;

    *later = first && !is_small(s, share / 8);
    memset(counts, 0, sizeof counts);
    if (!*later)
        green = explore_variants(s, share);
    jobs_lock();
    total->seconds_left += share - (seconds_now() - start);
    if (total->seconds_left < 0)
        total->seconds_left = 0;
    total->scenarios += !*later;
    jobs_unlock();
    return green;
}

/* ---- the explorer itself ------------------------------------------------------------------------------ */

static bool
same_outcomes(const unsigned long *reduced)
{
    bool same = true;

    for (unsigned i = 0; i < OUTCOMES; i++)
        same = same && (reduced[i] != 0) == (counts[i] != 0);
    return same;
}

/*
 * Sleep sets alone leave out only runs that are the same but for the order of what does
 * not depend on each other; and each of the others is whole just once. Searching by
 * race must come to the same number; and to the very same runs whether each begins at the
 * beginning or goes on from a snapshot.
 */
static bool
same_runs(const struct scenario *s, const struct settings *with, double seconds)
{
    struct search by = {.mode = EXHAUST,
                        .bound = -1,
                        .sleep_sets = true,
                        .by_race = true,
                        .snapshots = true,
                        .seconds = seconds};
    struct found raced = search(s, with, &by, check_outcome);
    struct found whole, slept;
    bool same;

    by.snapshots = false;
    by.runs = raced.runs;
    by.seconds = 0;
    whole = search(s, with, &by, check_outcome);
    by.by_race = false;
    by.runs = 0;
    by.seconds = seconds;
    slept = search(s, with, &by, check_outcome);
    same = whole.runs == raced.runs && whole.pruned == raced.pruned &&
           whole.steps == raced.steps && whole.failed == raced.failed;
    if (seconds > 0)
        printf(
            "  %-22s by race %8lu whole, %6lu cut; by sleep sets %8lu whole, %8lu "
            "cut%s%s; %.0f/s, without snapshots %.0f/s\n",
            s->name, raced.runs - raced.pruned, raced.pruned, slept.runs - slept.pruned,
            slept.pruned, raced.exhausted && slept.exhausted ? "" : "; not all",
            same ? "" : "; SNAPSHOTS DIFFER", (double)raced.runs / (raced.seconds + 1e-9),
            (double)whole.runs / (whole.seconds + 1e-9));
    return same && (!raced.exhausted || !slept.exhausted ||
                    raced.runs - raced.pruned == slept.runs - slept.pruned);
}

static bool
explore_litmus(const struct scenario *s)
{
    const struct settings with = {
        .stale = 8, .failing = (s->flags & CAN_FAIL) != 0, .steps = 1000};
    struct search by = {.snapshots = true,
                        .mode = EXHAUST,
                        .bound = -1,
                        .sleep_sets = true,
                        .by_race = true};
    unsigned long reduced[OUTCOMES];
    struct found f, full = {0};
    bool same;

    memset(counts, 0, sizeof counts);
    f = search(s, &with, &by, check_outcome);
    if (f.failed)
        print_failure(s, &f);
    if (f.failed || !all_seen(s))
        return false;
    memcpy(reduced, counts, sizeof reduced);
    by.sleep_sets = false;
    if ((s->flags & FULL) != 0)
        full = search(s, &with, &by, check_outcome);
    same = same_outcomes(reduced) && same_runs(s, &with, 0);
    printf("  %-22s %-42s %4lu schedules, in full %8lu: %s\n", s->name, s->about, f.runs,
           full.runs, same ? "same outcomes" : "OUTCOMES DIFFER");
    return same;
}

static unsigned long
find_bug(const struct scenario *s, const struct search *by)
{
    static const struct settings with = {.stale = 3, .steps = 2000};
    struct found f = search(s, &with, by, check_outcome);

    if (!f.failed)
        printf("  %s: NOT FOUND in %lu schedules\n", s->name, f.runs);
    else if (strstr(s->must_fail, f.failure) == NULL)
        printf("  %s: found as %s, %s\n", s->name, f.failure, f.text);
    else
        return f.runs;
    return 0;
}

static bool
explore_bug(const struct scenario *s)
{
    struct search all = {.snapshots = true,
                         .mode = EXHAUST,
                         .bound = -1,
                         .sleep_sets = true,
                         .by_race = true,
                         .seconds = 10};
    struct search pct = {.mode = PCT, .depth = 3, .seed = 1, .seconds = 10};
    struct search uniform = {.mode = RANDOM, .seed = 1, .seconds = 10};
    unsigned long by_all = find_bug(s, &all);
    unsigned long by_pct = find_bug(s, &pct);
    unsigned long by_uniform = find_bug(s, &uniform);

    printf("  %-22s %-46s schedule %5lu, PCT %4lu, random %5lu: %s\n", s->name, s->about,
           by_all, by_pct, by_uniform, s->must_fail);
    return by_all != 0 && by_pct != 0 && by_uniform != 0;
}

/* ---- what was asked for ------------------------------------------------------------------------------ */

static bool
is_named(const struct scenario *s, char **names)
{
    if (*names == NULL)
        return true;
    for (; *names != NULL; names++)
        if (strcmp(s->name, *names) == 0)
            return true;
    return false;
}

/* The scenarios that this round is about. */
static const struct scenario *items[SCENARIOS];
static unsigned item_count;

static void
choose_items(enum scenario_kind kind, char **names)
{
    item_count = 0;
    for (const struct scenario *const *s = __start_explore_scenarios;
         s < __stop_explore_scenarios; s++)
        if ((*s)->kind == kind && is_named(*s, names))
            items[item_count++] = *s;
}

static void
keep_late_items(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < item_count; i++)
        if (total->later[i]) {
            items[n] = items[i];
            total->later[n++] = true;
        }
    item_count = n;
}

static bool
explore_item(unsigned i)
{
    switch (items[i]->kind) {
    case LITMUS_TEST:
        return explore_litmus(items[i]);
    case SEEDED_BUG:
        return explore_bug(items[i]);
    case LIBRARY:
        break;
    }
    return explore_library(items[i], &total->later[i]);
}

static unsigned
explore_round(void)
{
    total->left = item_count;
    return jobs_run(jobs, item_count, explore_item);
}

/* Returns how many were not green. First those that need little time, then the others
 * with all the time that is left. */
static unsigned
explore_kind(enum scenario_kind kind, const char *title, double seconds, char **names)
{
    unsigned red;

    choose_items(kind, names);
    if (item_count != 0)
        printf("%s\n", title);
    /* In the first round no more than the same for all: what is left is for the second. */
    total->seconds_left = seconds * (jobs < item_count ? jobs : item_count);
    total->most = item_count != 0 ? total->seconds_left / item_count : 0;
    red = explore_round();
    keep_late_items();
    total->most = total->seconds_left;
    return red + explore_round();
}

static const struct scenario *
find_scenario(const char *name)
{
    for (const struct scenario *const *s = __start_explore_scenarios;
         s < __stop_explore_scenarios; s++)
        if (strcmp((*s)->name, name) == 0)
            return *s;
    fprintf(stderr, "explore: no scenario %s\n", name);
    exit(2);
}

static int
replay(const char *text, const char *name)
{
    struct settings with = {.steps = 5000};
    int n = 0;

    if (sscanf(text, "%u,%u,%u:%n", &with.stale, &with.rare, &with.failing, &n) != 3 ||
        n == 0 || !path_parse(text + n)) {
        fprintf(stderr, "explore: not a replay string: %s\n", text);
        return 2;
    }
    run.scenario = find_scenario(name);
    run.settings = with;
    trace_start();
    run_again(check_outcome);
    trace_print();
    if (run.ending == FAILED)
        printf("%s: %s\n", run.failure, run.failure_text);
    return run.ending == FAILED;
}

static int
list(void)
{
    static const char *const kinds[] = {"litmus", "seeded", "library"};

    for (const struct scenario *const *s = __start_explore_scenarios;
         s < __stop_explore_scenarios; s++)
        printf("%-8s %-24s %s\n", kinds[(*s)->kind], (*s)->name, (*s)->about);
    return 0;
}

static double compare_seconds;

/* Does the search by race run all that sleep sets alone run? */
static bool
compare_item(unsigned i)
{
    static const struct settings plain = {.stale = 2, .steps = 5000};
    static const struct settings rare = {.stale = 1, .rare = 1, .steps = 5000};
    bool same = same_runs(items[i], &plain, compare_seconds);

    return same_runs(items[i], &rare, compare_seconds) && same;
}

static int
compare(double seconds, char **names)
{
    unsigned differ;

    compare_seconds = seconds;
    choose_items(LIBRARY, names);
    differ = jobs_run(jobs, item_count, compare_item);
    printf("%u DIFFER\n", differ);
    return differ != 0;
}

static double
wall_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* What was run of each scenario, in all that was asked for: a table for docs/proof.md. */
static void
print_tallies(void)
{
    printf("Of each scenario\n");
    for (unsigned i = 0; &__start_explore_scenarios[i] < __stop_explore_scenarios; i++) {
        const struct tally *t = &total->tally[i];

        if (!t->begun)
            continue;
        printf("  %-28s %10lu schedules, ", __start_explore_scenarios[i]->name,
               t->schedules);
        if (t->all)
            printf("ALL\n");
        else
            printf("to %d preemptions (%d in order), %lu at random\n", t->bound - 1,
                   t->bound_in_order - 1, t->at_random);
    }
}

static int
explore(double seconds, char **names)
{
    double start = wall_clock();
    unsigned red = explore_kind(LITMUS_TEST, "The memory model", 0, names) +
                   explore_kind(SEEDED_BUG, "Seeded bugs", 0, names);

    if (red == 0)
        red = explore_kind(LIBRARY, "The library", seconds, names);
    print_tallies();
    printf("%.0f schedules in each second of a processor\n",
           total->schedules / (total->seconds + 1e-9));
    printf(red == 0 ? "all green\n" : "%u NOT GREEN\n", red);
    printf("explored %.0f schedules of %u scenarios, %u exhausted, in %.0f s\n",
           total->schedules, total->scenarios, total->exhausted, wall_clock() - start);
    return red != 0;
}

static bool
option(char ***argv, const char *name)
{
    if (**argv == NULL || strcmp(**argv, name) != 0)
        return false;
    ++*argv;
    return true;
}

int
main(int argc, char **argv)
{
    double seconds = 30;
    bool compares;

    total = jobs_memory(sizeof *total);
    jobs = jobs_online();
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    if (argc == 4 && strcmp(argv[1], "--replay") == 0)
        return replay(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "--trace") == 0)
        return replay("0,0,0:", argv[2]);
    argv++;
    if (option(&argv, "--jobs") && *argv != NULL)
        jobs = (unsigned)strtoul(*argv++, NULL, 10);
    is_long = option(&argv, "--long");
    compares = !is_long && option(&argv, "--compare");
    if (*argv != NULL && **argv >= '0' && **argv <= '9')
        seconds = atof(*argv++);
    long_seconds = seconds;
    for (char **name = argv; *name != NULL; name++)
        find_scenario(*name);
    return compares ? compare(seconds, argv) : explore(seconds, argv);
}
