/* SPDX-License-Identifier: MIT */
/*
 * executors/pool_cpus.c - which CPUs the threads of a pool may run on.
 *
 * The list is as the kernel writes it, "0-3,8": what is in /sys and in cpusets can be
 * given as it stands, and the public header needs no type of the system's.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/warn.h"
#include "pool_internal.h"

#define WORD_BITS (sizeof(unsigned long) * CHAR_BIT)

/* Reads a number below MOST; false if there is none. */
static bool
read_cpu(const char **at, unsigned *cpu)
{
    unsigned n = 0;
    bool any = false;

    for (; **at >= '0' && **at <= '9' && n < VOWI_MOST_CPUS; (*at)++, any = true)
        n = 10 * n + (unsigned)(**at - '0');
    *cpu = n;
    return any && n < VOWI_MOST_CPUS;
}

static bool
read_range(const char **at, struct vowi_cpus *cpus)
{
    unsigned first, last;

    if (!read_cpu(at, &first))
        return false;
    last = first;
    if (**at == '-') {
        (*at)++;
        if (!read_cpu(at, &last) || last < first)
            return false;
    }
    for (unsigned cpu = first; cpu <= last; cpu++)
        cpus->mask[cpu / WORD_BITS] |= 1ul << cpu % WORD_BITS;
    return true;
}

bool
vowi_cpus_parse(const char *list, struct vowi_cpus *cpus)
{
    memset(cpus, 0, sizeof *cpus);
    if (list == NULL)
        return true;
    while (read_range(&list, cpus)) {
        if (*list == '\0')
            return true;
        if (*list++ != ',')
            return false;
    }
    return false;
}

unsigned
vowi_cpus_count(const struct vowi_cpus *cpus)
{
    unsigned count = 0;

    for (size_t i = 0; i < sizeof cpus->mask / sizeof *cpus->mask; i++)
        count += (unsigned)__builtin_popcountl(cpus->mask[i]);
    return count;
}

#ifdef __linux__
static int
set_affinity(const struct vowi_cpus *cpus)
{
    const void *mask = cpus->mask; /* a cpu_set_t of that size */

    return sched_setaffinity(0, sizeof cpus->mask, mask) == 0 ? 0 : errno;
}
#else
static int
set_affinity(const struct vowi_cpus *cpus)
{
    (void)cpus;
    return ENOSYS;
}
#endif

void
vowi_cpus_apply(const struct vowi_pool *p)
{
    int rc = vowi_cpus_count(&p->cpus) != 0 ? set_affinity(&p->cpus) : 0;

    if (rc != 0)
        vowi_warn(rc, "a thread of pool %s cannot run on the CPUs it was given", p->name);
}
