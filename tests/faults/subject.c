/* SPDX-License-Identifier: MIT */
/* Something small to be swept. Compiled with fault_points.h, as the library is. */
#include "subject.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

struct job {
    struct job *next;
    void (*run)(void *);
    void *arg;
};

struct subject {
    struct job *jobs;
    int file;
};

enum subject_seed subject_seed;

static bool
seeded(enum subject_seed seed)
{
    return subject_seed == seed;
}

int
subject_open(struct subject **out)
{
    struct subject *s = malloc(sizeof *s);

    if (s == NULL)
        return ENOMEM;
    s->jobs = NULL;
    s->file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (s->file < 0) {
        int code = seeded(SUBJECT_LIES_ABOUT_WHY) ? EPERM : errno;

        if (!seeded(SUBJECT_LEAKS_A_BLOCK))
            free(s);
        return code;
    }
    *out = s;
    return 0;
}

int
subject_post(struct subject *s, void (*run)(void *), void *arg)
{
    struct job *job = malloc(sizeof *job);

    if (job == NULL && seeded(SUBJECT_LOSES_A_CALLBACK))
        return 0;
    if (job == NULL && !seeded(SUBJECT_TRUSTS_MALLOC))
        return ENOMEM;
    job->next = s->jobs;
    job->run = run;
    job->arg = arg;
    s->jobs = job;
    return 0;
}

static void *
run_jobs(void *subject)
{
    struct subject *s = subject;

    while (s->jobs != NULL) {
        struct job *job = s->jobs;

        s->jobs = job->next;
        job->run(job->arg);
        free(job);
    }
    return NULL;
}

static void *
stay(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static void
run_without_thread(struct subject *s)
{
    pthread_t other;

    if (seeded(SUBJECT_RUNS_ONE_TWICE) && s->jobs != NULL)
        s->jobs->run(s->jobs->arg);
    if (seeded(SUBJECT_WAITS_FOR_EVER))
        stay(NULL);
    if (seeded(SUBJECT_LEAKS_A_THREAD) && pthread_create(&other, NULL, stay, NULL) == 0)
        pthread_detach(other);
    run_jobs(s);
}

void
subject_close(struct subject *s)
{
    pthread_t thread;
    bool started = false;

    if (!seeded(SUBJECT_FORGETS_A_CALL))
        started = pthread_create(&thread, NULL, run_jobs, s) == 0;
    if (started)
        pthread_join(thread, NULL);
    else
        run_without_thread(s);
    if (started || !seeded(SUBJECT_LEAKS_A_FILE))
        close(s->file);
    free(s);
}
