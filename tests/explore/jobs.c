/* SPDX-License-Identifier: MIT */
/*
 * jobs.c - many things to explore, on all processors.
 *
 * Each job is a process. It takes the next item until none is left, and prints what an
 * item has to say in one piece. What all of them count lies in memory that they share,
 * under a lock. A job that crashes takes its item with it, and the others go on.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model.h"

#define JOBS 64

struct pool {
    pthread_mutex_t lock;
    unsigned next, red;
};

static struct pool *pool;
static int terminal = -1; /* where a job prints in the end */

void *
jobs_memory(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        perror("explore: mmap");
        exit(2);
    }
    return p;
}

static void
set_up(void)
{
    pthread_mutexattr_t attr;

    pool = jobs_memory(sizeof *pool);
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&pool->lock, &attr);
    pthread_mutexattr_destroy(&attr);
}

void
jobs_lock(void)
{
    if (pool == NULL)
        set_up();
    pthread_mutex_lock(&pool->lock);
}

void
jobs_unlock(void)
{
    pthread_mutex_unlock(&pool->lock);
}

unsigned
jobs_online(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n < JOBS ? (unsigned)n : JOBS;
}

/* Copies what the job has printed since, and forgets it. */
static void
print_all(int from)
{
    char text[65536];
    ssize_t n;

    lseek(from, 0, SEEK_SET);
    while ((n = read(from, text, sizeof text)) > 0)
        for (ssize_t done = 0, m; done < n; done += m)
            if ((m = write(terminal, text + done, (size_t)(n - done))) < 0)
                _exit(2);
    lseek(from, 0, SEEK_SET);
    if (ftruncate(from, 0) != 0)
        _exit(2);
}

static unsigned
take(void)
{
    unsigned item;

    jobs_lock();
    item = pool->next++;
    jobs_unlock();
    return item;
}

static void
note(bool green, int printed)
{
    jobs_lock();
    pool->red += !green;
    if (printed >= 0)
        print_all(printed);
    jobs_unlock();
}

static void
work(unsigned n, bool (*one)(unsigned item), int printed)
{
    for (unsigned item; (item = take()) < n;) {
        bool green = one(item);

        fflush(stdout);
        note(green, printed);
    }
}

/* A job's standard output is a file that the parent can read as well. */
static pid_t
start_job(unsigned n, bool (*one)(unsigned item), int printed)
{
    pid_t pid = fork();

    if (pid == 0) {
        dup2(printed, STDOUT_FILENO);
        work(n, one, printed);
        _exit(0);
    }
    return pid;
}

static bool
end_job(pid_t pid, int printed)
{
    int status = 1;

    if (pid > 0)
        waitpid(pid, &status, 0);
    if (status == 0)
        return true;
    print_all(printed);
    dprintf(terminal, "a job of the explorer has CRASHED, status %#x\n",
            (unsigned)status);
    return false;
}

unsigned
jobs_run(unsigned jobs, unsigned n, bool (*one)(unsigned item))
{
    FILE *printed[JOBS];
    pid_t pid[JOBS];

    jobs_lock();
    pool->next = 0;
    pool->red = 0;
    jobs_unlock();
    jobs = jobs < n ? jobs : n;
    if (jobs <= 1) {
        work(n, one, -1);
        return pool->red;
    }
    fflush(stdout);
    if (terminal < 0)
        terminal = dup(STDOUT_FILENO);
    for (unsigned i = 0; i < jobs; i++) {
        printed[i] = tmpfile();
        if (printed[i] == NULL) {
            perror("explore: tmpfile");
            exit(2);
        }
        pid[i] = start_job(n, one, fileno(printed[i]));
    }
    for (unsigned i = 0; i < jobs; i++) {
        pool->red += !end_job(pid[i], fileno(printed[i]));
        fclose(printed[i]);
    }
    return pool->red;
}
