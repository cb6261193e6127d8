/* SPDX-License-Identifier: MIT */
/*
 * Every call of the library that can fail is made to: in each scenario the first, the
 * second and so on, alone and with all that follow, in each way that its manual names.
 * Prints a table, and the calls in the library's text that never failed.
 *
 *     faults                                  everything
 *     faults SCENARIO                         one
 *     faults SCENARIO source|use once|onwards NUMBER CODE
 *                                             one run of it, in this process
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vow/vow.h>

#include "counting_allocator.h"
#include "sweep.h"
#include "system.h"

bool
scenario_failed(void)
{
    return fault_happened();
}

/* ---- memory ----------------------------------------------------------------------- */

static void *
failing_alloc(size_t size, size_t align, void *ctx)
{
    if (!fault_in_hook())
        return counting_hooks().alloc(size, align, ctx);
    errno = ENOMEM;
    return NULL;
}

static void
ignore_unhandled(const vow_unhandled *u, void *ctx)
{
    (void)ctx;
    if (u->site == NULL)
        abort();
}

static void
ignore_warning(int code, const char *message, void *ctx)
{
    (void)ctx;
    if (code == 0 || message == NULL)
        abort();
}

static void
with_hooks(void)
{
    vow_allocator a = counting_hooks();

    a.alloc = failing_alloc;
    if (vow_set_allocator(&a) != 0)
        abort();
    vow_on_unhandled(ignore_unhandled, NULL);
    vow_on_warning(ignore_warning, NULL);
}

static void
with_malloc(void)
{
    if (vow_set_allocator(NULL) != 0)
        abort();
    vow_on_unhandled(ignore_unhandled, NULL);
    vow_on_warning(ignore_warning, NULL);
}

static size_t
live_of_malloc(void)
{
    vow_trim();
    return (size_t)fault_plain_blocks();
}

/* ---- what is swept -------------------------------------------------------------------- */

enum { MOST = 128 };

static struct sweep sweeps[MOST];
static size_t count;

static void
add(const struct scenario *s)
{
    for (; s->name != NULL && count < MOST; s++)
        sweeps[count++] = (struct sweep){
            .name = s->name, .run = s->run, .prepare = with_hooks, .live = counting_live};
}

/* Some once more, with the memory of malloc. */
static void
add_plain(const char *name, const char *plain_name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(sweeps[i].name, name) == 0) {
            sweeps[count] = sweeps[i];
            sweeps[count].name = plain_name;
            sweeps[count].prepare = with_malloc;
            sweeps[count++].live = live_of_malloc;
            return;
        }
}

static const struct sweep *
sweep_named(const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(sweeps[i].name, name) == 0)
            return &sweeps[i];
    fprintf(stderr, "faults: no scenario %s\n", name);
    exit(2);
}

/* ---- the report --------------------------------------------------------------------------- */

static struct sweep_result total;

static void
print_row(const char *name, const struct sweep_result *r)
{
    printf("%-34s %6zu %6zu %8.2f  ", name, r->points, r->runs, r->seconds);
    if (sweep_wrong(r) == 0)
        printf("clean\n");
    else
        printf("%zu WRONG\n", sweep_wrong(r));
}

static void
sweep_and_print(const struct sweep *s)
{
    struct sweep_result r = sweep_all(s);

    print_row(s->name, &r);
    total.points += r.points;
    total.runs += r.runs;
    total.seconds += r.seconds;
    for (int i = 0; i < SWEEP_VERDICTS; i++)
        total.verdicts[i] += r.verdicts[i];
}

/* Returns how many sites never failed. */
static size_t
print_unvisited(void)
{
    size_t unvisited = 0;

    for (size_t i = 0; i < fault_sites(); i++) {
        const struct fault_site *site = fault_site(i);
        const struct fault_count *c = sweep_count(i);

        if (atomic_load(&c->failed) != 0)
            continue;
        unvisited++;
        printf("never failed: %s:%d: %s (called %zu times)\n", site->file, site->line,
               site->call, atomic_load(&c->called));
    }
    printf("%zu calls in the text can fail, %zu of them never did\n", fault_sites(),
           unvisited);
    return unvisited;
}

static int
run_point(char **argv)
{
    struct fault_plan plan = {
        .at = strtoul(argv[4], NULL, 10),
        .mode = strcmp(argv[3], "onwards") == 0 ? FAULT_ONWARDS : FAULT_ONCE,
        .level = strcmp(argv[2], "use") == 0 ? FAULT_AT_USE : FAULT_AT_SOURCE,
        .code = (unsigned)strtoul(argv[5], NULL, 10)};

    sweep_one(sweep_named(argv[1]), &plan);
    return 0;
}

static int
run_all(const char *only)
{
    bool all = only == NULL;

    printf("%-34s %6s %6s %8s\n", "scenario", "points", "runs", "seconds");
    for (size_t i = 0; i < count; i++)
        if (all || strcmp(sweeps[i].name, only) == 0)
            sweep_and_print(&sweeps[i]);
    print_row("total", &total);
    if (all && print_unvisited() != 0)
        return 1;
    return sweep_wrong(&total) != 0;
}

int
main(int argc, char **argv)
{
    int rc;

    setvbuf(stdout, NULL, _IOLBF, 0);
    sweep_init();
    system_make_files();
    add(scenarios);
    add(pool_scenarios);
    add(loop_scenarios);
    add(system_scenarios);
    add(resilience_scenarios);
    add(callback_scenarios);
    add(channel_scenarios);
    add(parallel_scenarios);
    add(fork_join_scenarios);
    add(pipeline_scenarios);
    add(group_scenarios);
    add(token_scenarios);
    add_plain("steps_on_pending", "steps_on_pending_with_malloc");
    add_plain("pool_working", "pool_working_with_malloc");
    rc = argc == 6 ? run_point(argv) : run_all(argc > 1 ? argv[1] : NULL);
    system_remove_files();
    return rc;
}
