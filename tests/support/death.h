/* SPDX-License-Identifier: MIT */
/**
 * @file death.h
 * What must end the process, and what it says before that.
 */
#ifndef VOW_TEST_DEATH_H
#define VOW_TEST_DEATH_H

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coverage.h"

/** Something that ends the process. */
typedef void deadly_fn(void *arg);

/** Runs it with its messages in @p out, and never returns. */
static inline _Noreturn void
death_run(deadly_fn *fn, void *arg, int out)
{
    dup2(out, STDERR_FILENO);
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    signal(SIGABRT, coverage_write_and_die);
    signal(SIGSEGV, SIG_DFL); /* not cmocka's, which would go on with the tests */
    fn(arg);
    _exit(0);
}

/** Runs it in a child. Returns whether it aborted and said @p message before that. */
static inline bool
death_is_of(deadly_fn *fn, void *arg, const char *message)
{
    char said[1024] = "";
    size_t used = 0;
    int status = 0;
    int ends[2];
    ssize_t n;
    pid_t pid;

    if (pipe(ends) != 0 || (pid = fork()) < 0)
        return false;
    if (pid == 0)
        death_run(fn, arg, ends[1]);
    close(ends[1]);
    while ((n = read(ends[0], said + used, sizeof said - 1 - used)) > 0)
        used += (size_t)n;
    close(ends[0]);
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
           strstr(said, message) != NULL;
}

#endif
