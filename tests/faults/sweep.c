/* SPDX-License-Identifier: MIT */
/* Sweeps: children, their verdicts, and what they leave behind. */
#include "sweep.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "coverage.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWER 6
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOWER 6
#endif
#endif
#ifndef SLOWER
#define SLOWER 1
#endif

enum {
    LIMIT_MS = 60000 * SLOWER, /* after which a run hangs */
    GONE_MS = 8000 * SLOWER,   /* after which a thread that ended is listed no more */
    MISSES = 2, /* numbers in a row that no call had: with threads one may err */
    SHOWN = 3   /* runs of a sweep that are described */
};

/* Shared with the children. */
static struct shared {
    struct fault_record record;
    int verdict;
    struct fault_count counts[];
} * shared;

static int output = -1; /* what a child writes */

void
sweep_init(void)
{
    size_t size = sizeof *shared + fault_sites() * sizeof *shared->counts;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FILE *file = tmpfile();

    if (p == MAP_FAILED || file == NULL) {
        perror("faults");
        exit(2);
    }
    shared = p;
    output = fileno(file);
    fault_record_in(&shared->record, shared->counts);
}

const struct fault_count *
sweep_count(size_t site)
{
    return &shared->counts[site];
}

static double
seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- what a run may not leave behind ------------------------------------------------ */

struct stock {
    size_t blocks;
    size_t files;
    size_t threads;
};

static size_t
open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;

    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        closedir(d);
    return n;
}

/* Not the entries of /proc/self/task: while a thread exits, reading them can miss one. */
static size_t
threads(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    size_t n = 0;

    while (f != NULL && n == 0 && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "Threads:", 8) == 0)
            n = strtoul(line + 8, NULL, 10);
    if (f != NULL)
        fclose(f);
    return n;
}

static struct stock
take_stock(const struct sweep *s)
{
    struct stock stock = {.files = open_files(), .threads = threads()};

    stock.blocks = s->live();
    return stock;
}

static void *
do_nothing(void *unused)
{
    return unused;
}

/* With the first thread a sanitizer starts one of its own, which stays. */
static void
let_sanitizer_start(void)
{
    pthread_t thread;

    if (SLOWER > 1 && pthread_create(&thread, NULL, do_nothing, NULL) == 0)
        pthread_join(thread, NULL);
}

/* A thread that was joined is there for a moment more, which is long on a busy machine. */
static void
await_threads(const struct sweep *s, size_t expected)
{
    double until = seconds() + (s->gone_ms != 0 ? s->gone_ms : GONE_MS) / 1e3;

    while (threads() > expected && seconds() < until)
        sched_yield();
}

static enum sweep_verdict
compare(const struct stock *before, const struct stock *after, struct drop_set *drops)
{
    fprintf(stderr, "before: %zu blocks, %zu descriptors, %zu threads\n", before->blocks,
            before->files, before->threads);
    fprintf(stderr, "after:  %zu blocks, %zu descriptors, %zu threads\n", after->blocks,
            after->files, after->threads);
    fprintf(stderr, "%zu contexts not dropped once, or run twice\n",
            drop_set_wrong(drops));
    if (drop_set_wrong(drops) != 0)
        return SWEEP_CALLBACKS;
    if (after->threads > before->threads)
        return SWEEP_THREADS;
    if (after->files != before->files)
        return SWEEP_FILES;
    return after->blocks != before->blocks ? SWEEP_BLOCKS : SWEEP_CLEAN;
}

static enum sweep_verdict
run_once(const struct sweep *s, const struct fault_plan *plan)
{
    static struct drop_set drops;
    struct stock before, after;

    drop_set_clear(&drops);
    if (s->prepare != NULL)
        s->prepare();
    let_sanitizer_start();
    before = take_stock(s);
    fault_begin(plan);
    s->run(&drops);
    fault_end();
    await_threads(s, before.threads);
    after = take_stock(s);
    return compare(&before, &after, &drops);
}

void
sweep_one(const struct sweep *s, const struct fault_plan *plan)
{
    const struct fault_site *site;

    printf("verdict %d\n", (int)run_once(s, plan));
    site = fault_site(shared->record.first);
    if (fault_happened())
        printf("%s:%d: %s failed\n", site->file, site->line, site->call);
}

/* ---- children ------------------------------------------------------------------------- */

static void
die_after(unsigned ms)
{
    const struct itimerval limit = {
        .it_value = {.tv_sec = (time_t)(ms / 1000),
                     .tv_usec = (suseconds_t)(ms % 1000 * 1000)}};

    setitimer(ITIMER_REAL, &limit, NULL);
}

static _Noreturn void
child(const struct sweep *s, const struct fault_plan *plan)
{
    die_after(s->limit_ms != 0 ? s->limit_ms : LIMIT_MS);
    setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failed assertion says so, and aborts */
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    signal(SIGABRT, coverage_write_and_die);
    shared->verdict = (int)run_once(s, plan);
    fflush(NULL);
    coverage_write();
    _exit(0);
}

/* How often a function was made to fail, in all runs so far. */
static size_t
failures_of(const char *call)
{
    size_t n = 0;

    for (size_t i = 0; i < fault_sites(); i++)
        if (strcmp(fault_site(i)->call, call) == 0)
            n += atomic_load(&shared->counts[i].failed);
    return n;
}

/* Time that cannot be read is the one failure that the library does not survive. */
static size_t
fatal_failures(void)
{
    return failures_of("clock_gettime");
}

static enum sweep_verdict
judge(int status, bool may_die)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return (enum sweep_verdict)shared->verdict;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        return SWEEP_HANG;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
        return may_die ? SWEEP_CLEAN : SWEEP_CHECK;
    return SWEEP_CRASH;
}

static enum sweep_verdict
run_child(const struct sweep *s, const struct fault_plan *plan)
{
    size_t fatal = fatal_failures();
    pid_t pid;
    int status = 0;

    fflush(NULL);
    if (ftruncate(output, 0) != 0 || lseek(output, 0, SEEK_SET) != 0)
        perror("faults");
    pid = fork();
    if (pid == 0)
        child(s, plan);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    return judge(status, fatal_failures() != fatal);
}

/* ---- what is said of a run that was not clean -------------------------------------------- */

static void
show_output(void)
{
    char text[2048];
    ssize_t n = pread(output, text, sizeof text, 0);

    if (n > 0)
        fwrite(text, 1, (size_t)n, stderr);
}

static void
describe(const struct sweep *s, const struct fault_plan *plan, enum sweep_verdict verdict)
{
    static const char *const names[] = {
        "clean",          "blocks are left", "descriptors are left", "threads are left",
        "callbacks lost", "a check failed",  "it crashed",           "it hung"};
    const struct fault_site *site = fault_site(shared->record.first);

    fprintf(stderr, "%s: %s; again: faults %s %s %s %zu %u\n", s->name, names[verdict],
            s->name, plan->level == FAULT_AT_USE ? "use" : "source",
            plan->mode == FAULT_ONWARDS ? "onwards" : "once", plan->at, plan->code);
    if (fault_happened())
        fprintf(stderr, "after %s:%d: %s failed\n", site->file, site->line, site->call);
    show_output();
}

static void
count_run(const struct sweep *s, const struct fault_plan *plan, struct sweep_result *r)
{
    enum sweep_verdict verdict = run_child(s, plan);

    r->runs++;
    r->verdicts[verdict]++;
    if (verdict != SWEEP_CLEAN && !s->quiet && sweep_wrong(r) <= SHOWN)
        describe(s, plan, verdict);
}

/* ---- sweeping ------------------------------------------------------------------------------ */

size_t
sweep_wrong(const struct sweep_result *r)
{
    return r->runs - r->verdicts[SWEEP_CLEAN];
}

/* One call in all the ways in which it can fail. Returns whether there is such a call. */
static bool
sweep_call(const struct sweep *s, struct fault_plan *plan, struct sweep_result *r)
{
    bool reached = false;

    plan->code = 0;
    do {
        count_run(s, plan, r);
        if (fault_happened())
            reached = true;
    } while (fault_happened() && ++plan->code < shared->record.codes);
    return reached;
}

static void
sweep_calls(const struct sweep *s, struct fault_plan plan, struct sweep_result *r)
{
    for (unsigned misses = 0; misses < MISSES; plan.at++)
        misses = sweep_call(s, &plan, r) ? 0 : misses + 1;
}

struct sweep_result
sweep_all(const struct sweep *s)
{
    struct sweep_result r = {0};
    double begin = seconds();

    count_run(s, &(struct fault_plan){.level = FAULT_AT_SOURCE}, &r);
    r.points = atomic_load(&shared->record.calls);
    for (int level = FAULT_AT_SOURCE; level <= FAULT_AT_USE; level++)
        for (int mode = FAULT_ONCE; mode <= FAULT_ONWARDS; mode++)
            sweep_calls(s,
                        (struct fault_plan){.at = 1,
                                            .mode = (enum fault_mode)mode,
                                            .level = (enum fault_level)level},
                        &r);
    r.seconds = seconds() - begin;
    return r;
}
