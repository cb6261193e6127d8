/* SPDX-License-Identifier: MIT */
/*
 * explore.c - what is explored, for how long, and what is said about it.
 *
 *     explore [SECONDS] [SCENARIO...]        all of them, in so many seconds
 *     explore --long [SECONDS] [SCENARIO...] each search in so many seconds
 *     explore --compare [SECONDS] [SCENARIO...]  two ways to search, of each scenario
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

#include "model.h"

#define OUTCOMES 32

/* Filled by SCENARIO and its like: a section of pointers. */
extern const struct scenario *const __start_explore_scenarios[];
extern const struct scenario *const __stop_explore_scenarios[];

static unsigned long counts[OUTCOMES];

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

/* What is left to be said when all is done. */
static struct {
    unsigned scenarios, exhausted; /* without rare events */
    double schedules, seconds;
} total;

/* How long each search may take; in the long mode, of how many runs each random one is. */
static bool is_long;
static double long_seconds;
#define LONG_RUNS 1000000

static bool
search_library(const struct scenario *s, const struct settings *with,
               const struct search *by, const char *what, struct found *f)
{
    bool green = search_and_print(s, with, by, what, f);

    total.schedules += (double)f->runs;
    total.seconds += f->seconds;
    return green;
}

/* Up to `most` preemptions, as far as time allows. */
static bool
search_bounded(const struct scenario *s, const struct settings *with, int most,
               double seconds)
{
    struct search bound = {.mode = EXHAUST, .seconds = seconds};
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
    struct search pct = {
        .mode = PCT, .depth = 3, .seed = 1, .seconds = seconds, .runs = runs};
    struct search uniform = {.mode = RANDOM, .seed = 1, .seconds = seconds, .runs = runs};
    struct found f;

    return search_library(s, with, &pct, "  PCT", &f) &&
           search_library(s, with, &uniform, "  random", &f);
}

/* First all; else few preemptions, then at random. Returns whether it is green. */
static bool
deepen(const struct scenario *s, const struct settings *with, const char *what,
       double seconds, bool *exhausted)
{
    struct settings in_order = *with;
    struct search all = {.mode = EXHAUST,
                         .bound = -1,
                         .sleep_sets = true,
                         .by_race = true,
                         .seconds = is_long ? long_seconds : seconds / 2};
    struct found f;

    if (!search_library(s, with, &all, what, &f))
        return false;
    *exhausted = f.exhausted;
    if (f.exhausted)
        return true;
    if (!is_long)
        return search_bounded(s, with, 3, seconds / 10) &&
               search_randomly(s, with, seconds / 10, 0);
    if (with->rare != 0 || with->failing != 0)
        return search_randomly(s, with, 0, LONG_RUNS / 10);
    in_order.stale = 0;
    return search_bounded(s, &in_order, 3, long_seconds) &&
           search_bounded(s, with, 2, long_seconds) &&
           search_randomly(s, with, 0, LONG_RUNS);
}

static bool
explore_library(const struct scenario *s, double seconds)
{
    static const struct settings plain = {.stale = 2, .steps = 5000};
    static const struct settings rare = {.stale = 1, .rare = 1, .steps = 5000};
    static const struct settings failing = {.stale = 1, .failing = 1, .steps = 5000};
    bool can_fail = (s->flags & CAN_FAIL) != 0;
    double share = seconds / (can_fail ? 3 : 2);
    bool exhausted = false, other;

    printf("  %s: %s\n", s->name, s->about);
    memset(counts, 0, sizeof counts);
    total.scenarios++;
    if (!deepen(s, &plain, "all", share, &exhausted))
        return false;
    total.exhausted += exhausted;
    print_outcomes(s);
    if (exhausted && !all_seen(s))
        return false;
    return deepen(s, &rare, "rare events", share, &other) &&
           (!can_fail || deepen(s, &failing, "failing calls", share, &other));
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
 * race must come to the same number.
 */
static bool
same_runs(const struct scenario *s, const struct settings *with, double seconds)
{
    struct search by = {.mode = EXHAUST,
                        .bound = -1,
                        .sleep_sets = true,
                        .by_race = true,
                        .seconds = seconds};
    struct found raced = search(s, with, &by, check_outcome);
    struct found slept;

    by.by_race = false;
    slept = search(s, with, &by, check_outcome);
    if (seconds > 0)
        printf("  %-22s by race %8lu whole, %6lu cut; by sleep sets %8lu whole, %8lu "
               "cut%s\n",
               s->name, raced.runs - raced.pruned, raced.pruned,
               slept.runs - slept.pruned, slept.pruned,
               raced.exhausted && slept.exhausted ? "" : "; not all");
    return !raced.exhausted || !slept.exhausted ||
           raced.runs - raced.pruned == slept.runs - slept.pruned;
}

static bool
explore_litmus(const struct scenario *s)
{
    const struct settings with = {
        .stale = 8, .failing = (s->flags & CAN_FAIL) != 0, .steps = 1000};
    struct search by = {
        .mode = EXHAUST, .bound = -1, .sleep_sets = true, .by_race = true};
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
    struct search all = {
        .mode = EXHAUST, .bound = -1, .sleep_sets = true, .by_race = true, .seconds = 10};
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

static unsigned
count_of(enum scenario_kind kind, char **names)
{
    unsigned n = 0;

    for (const struct scenario *const *s = __start_explore_scenarios;
         s < __stop_explore_scenarios; s++)
        n += (*s)->kind == kind && is_named(*s, names);
    return n;
}

static bool
explore_one(const struct scenario *s, double seconds)
{
    switch (s->kind) {
    case LITMUS_TEST:
        return explore_litmus(s);
    case SEEDED_BUG:
        return explore_bug(s);
    case LIBRARY:
        break;
    }
    return explore_library(s, seconds);
}

/* Returns how many were not green. */
static unsigned
explore_kind(enum scenario_kind kind, const char *title, double seconds, char **names)
{
    double end = seconds_now() + seconds;
    unsigned left = count_of(kind, names);
    unsigned red = 0;

    if (left != 0)
        printf("%s\n", title);
    for (const struct scenario *const *s = __start_explore_scenarios;
         s < __stop_explore_scenarios; s++) {
        double rest = end - seconds_now();

        if ((*s)->kind != kind || !is_named(*s, names))
            continue;
        red += !explore_one(*s, (rest > 0.1 ? rest : 0.1) / left--);
        fflush(stdout);
    }
    return red;
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

/* Of each scenario: does the search by race run all that sleep sets alone run? */
static int
compare(double seconds, char **names)
{
    static const struct settings plain = {.stale = 2, .steps = 5000};
    static const struct settings rare = {.stale = 1, .rare = 1, .steps = 5000};
    int differ = 0;

    for (const struct scenario *const *s = __start_explore_scenarios;
         s < __stop_explore_scenarios; s++)
        if ((*s)->kind == LIBRARY && is_named(*s, names)) {
            differ += !same_runs(*s, &plain, seconds);
            differ += !same_runs(*s, &rare, seconds);
        }
    printf("%d DIFFER\n", differ);
    return differ != 0;
}

static void
print_total(void)
{
    if (total.scenarios != 0)
        printf("%u scenarios, %u of them in all schedules; %.0f schedules in %.0f s, "
               "%.0f/s\n",
               total.scenarios, total.exhausted, total.schedules, total.seconds,
               total.schedules / (total.seconds + 1e-9));
}

int
main(int argc, char **argv)
{
    double seconds = 30;
    bool compares = false;
    unsigned red;

    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    if (argc == 4 && strcmp(argv[1], "--replay") == 0)
        return replay(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "--trace") == 0)
        return replay("0,0,0:", argv[2]);
    argv++;
    if (*argv != NULL && (is_long = strcmp(*argv, "--long") == 0))
        argv++;
    else if (*argv != NULL && (compares = strcmp(*argv, "--compare") == 0))
        argv++;
    if (*argv != NULL && **argv >= '0' && **argv <= '9')
        seconds = atof(*argv++);
    long_seconds = seconds;
    for (char **name = argv; *name != NULL; name++)
        find_scenario(*name);
    if (compares)
        return compare(seconds, argv);
    red = explore_kind(LITMUS_TEST, "The memory model", 0, argv) +
          explore_kind(SEEDED_BUG, "Seeded bugs", 0, argv);
    if (red == 0)
        red = explore_kind(LIBRARY, "The library", seconds, argv);
    print_total();
    printf(red == 0 ? "all green\n" : "%u NOT GREEN\n", red);
    return red != 0;
}
