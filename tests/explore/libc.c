/* SPDX-License-Identifier: MIT */
/*
 * libc.c - what else the code under test calls.
 *
 * Memory functions are accesses to be checked. Time stands still until a deadline
 * passes. There are no files, no environment and one processor. What is printed to
 * stderr becomes part of the trace, and its last line the reason of an abort.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "model.h"

/* ---- memory --------------------------------------------------------------------------- */

void *
model_memcpy(void *to, const void *from, size_t n)
{
    plain_access((uintptr_t)from, n, false, PC);
    plain_access((uintptr_t)to, n, true, PC);
    return memcpy(to, from, n);
}

void *
model_memmove(void *to, const void *from, size_t n)
{
    plain_access((uintptr_t)from, n, false, PC);
    plain_access((uintptr_t)to, n, true, PC);
    return memmove(to, from, n);
}

void *
model_memset(void *to, int byte, size_t n)
{
    plain_access((uintptr_t)to, n, true, PC);
    return memset(to, byte, n);
}

int
model_memcmp(const void *a, const void *b, size_t n)
{
    plain_access((uintptr_t)a, n, false, PC);
    plain_access((uintptr_t)b, n, false, PC);
    return memcmp(a, b, n);
}

int
model_bcmp(const void *a, const void *b, size_t n)
{
    return model_memcmp(a, b, n);
}

/* ---- time ------------------------------------------------------------------------------- */

int
model_clock_gettime(clockid_t clock, struct timespec *t)
{
    (void)clock;
    step_reading((struct op){.at = {AT_CLOCK}}, false);
    plain_access((uintptr_t)t, sizeof *t, true, PC);
    t->tv_sec = (time_t)(run.now / 1000000000);
    t->tv_nsec = (long)(run.now % 1000000000);
    TRACE(PC, "the time is %llu ms", (unsigned long long)(run.now / 1000000));
    return 0;
}

/* ---- messages and the end ------------------------------------------------------------------ */

static char message[256];

static void
say(const char *text)
{
    snprintf(message, sizeof message, "%.*s", (int)strcspn(text, "\n"), text);
    TRACE(PC, "says: %s", message);
}

__attribute__((format(printf, 2, 3))) int
model_fprintf(FILE *file, const char *format, ...)
{
    char text[sizeof message];
    va_list args;
    int n;

    (void)file;
    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    say(text);
    return n;
}

size_t
model_fwrite(const void *from, size_t size, size_t n, FILE *file)
{
    char text[sizeof message];

    (void)file;
    snprintf(text, sizeof text, "%.*s", (int)(size * n), (const char *)from);
    say(text);
    return n;
}

int
model_fputs(const char *text, FILE *file)
{
    (void)file;
    say(text);
    return 1;
}

int
model_fputc(int c, FILE *file)
{
    (void)file;
    return c;
}

void
model_flockfile(FILE *file)
{
    (void)file;
}

void
model_funlockfile(FILE *file)
{
    (void)file;
}

_Noreturn void
model_abort(void)
{
    fail_at(PC, "abort", "%s", message);
}

_Noreturn void
model_assert_fail(const char *what, const char *file, unsigned line, const char *function)
{
    (void)function;
    fail_at(PC, "assertion", "%s:%u: %s", file, line, what);
}

/* ---- what is not there ------------------------------------------------------------------------ */

int
model_prctl(int option, unsigned long arg)
{
    (void)option;
    (void)arg;
    return 0;
}

int model_sched_getcpu(void);
int
model_sched_getcpu(void)
{
    return 0;
}

int
model_pthread_setname_np(pthread_t t, const char *name)
{
    (void)t;
    (void)name;
    return 0;
}

int
model_pthread_setcancelstate(int state, int *old)
{
    (void)state;
    *old = PTHREAD_CANCEL_ENABLE;
    return 0;
}

int
model_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    (void)how;
    (void)set;
    if (old != NULL)
        sigemptyset(old);
    return 0;
}

int
model_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    (void)pid;
    (void)size;
    (void)set;
    return -1;
}

int
model_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
    (void)pid;
    (void)size;
    (void)set;
    return -1;
}

long
model_sysconf(int name)
{
    (void)name;
    return 1;
}

int
model_open(const char *path, int flags, ...)
{
    (void)path;
    (void)flags;
    return -1;
}

int
model_dladdr(const void *address, Dl_info *info)
{
    (void)address;
    (void)info;
    return 0;
}

char *
model_getenv(const char *name)
{
    (void)name;
    return NULL;
}

char *
model_secure_getenv(const char *name)
{
    return model_getenv(name);
}
