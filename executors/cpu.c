/* SPDX-License-Identifier: MIT */
/*
 * How many CPUs the process may use.
 *
 * Affinity says which CPUs we may be put on (a cpuset shows there as well), the
 * quota of a cgroup how much time we get on all of them together. A quota binds the
 * groups below it, so all directories from ours up to the root are looked at. In a
 * container the path in /proc/self/cgroup is often the host's, of which only the
 * root is mounted: a directory that is not there sets no limit.
 *
 * Files are read with open and read into the stack: no memory is allocated.
 */
#include "cpu.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vow/pool.h>

/* ---- affinity ------------------------------------------------------------ */

/* Far beyond what any kernel is built for; a mask that is too short is refused. */
#define MOST_CPUS 65536
#define WORD_BITS (sizeof(unsigned long) * CHAR_BIT)

unsigned
vowi_cpu_affinity(void)
{
    unsigned long mask[MOST_CPUS / WORD_BITS] = {0};
    unsigned count = 0;

    if (sched_getaffinity(0, sizeof mask, (cpu_set_t *)(void *)mask) != 0)
        return 0;
    for (size_t i = 0; i < sizeof mask / sizeof *mask; i++)
        count += (unsigned)__builtin_popcountl(mask[i]);
    return count;
}

static unsigned
online(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n > 0 ? (unsigned)n : 1;
}

/* ---- reading files ------------------------------------------------------- */

struct path {
    char text[PATH_MAX];
    size_t length;
};

/* Returns false, and changes nothing, if it does not fit. */
static bool
append(struct path *p, const char *text)
{
    size_t length = strlen(text);

    if (length >= sizeof p->text - p->length)
        return false;
    memcpy(p->text + p->length, text, length + 1);
    p->length += length;
    return true;
}

static void
cut(struct path *p, size_t length)
{
    p->length = length;
    p->text[length] = '\0';
}

static int
open_file(const char *path)
{
    int fd;

    do
        fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* Returns how many bytes were read; 0 at the end or if it fails. */
static size_t
read_some(int fd, char *buffer, size_t size)
{
    ssize_t n;

    do
        n = read(fd, buffer, size);
    while (n < 0 && errno == EINTR);
    return n > 0 ? (size_t)n : 0;
}

/* Reads a file of one short line into a string. */
static bool
read_short(struct path *dir, const char *name, char *text, size_t size)
{
    size_t length = dir->length;
    size_t used = 0;
    int fd = append(dir, name) ? open_file(dir->text) : -1;

    cut(dir, length);
    if (fd < 0)
        return false;
    used = read_some(fd, text, size - 1);
    close(fd);
    text[used] = '\0';
    return used > 0;
}

/* ---- quotas -------------------------------------------------------------- */

/* A limit of 0 is none. */
static unsigned
smaller(unsigned a, unsigned b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

static unsigned
round_up(unsigned long long quota, unsigned long long period)
{
    unsigned long long cpus;

    if (period == 0)
        return 0;
    cpus = quota / period + (quota % period != 0);
    return cpus < UINT_MAX ? (unsigned)cpus : UINT_MAX;
}

/* Reads a number that no sign stands before; moves *text behind it. */
static bool
read_number(char **text, unsigned long long *number)
{
    char *start = *text;

    start += strspn(start, " ");
    if (*start < '0' || *start > '9')
        return false;
    *number = strtoull(start, text, 10);
    return true;
}

/* cpu.max is "quota period" or "max period". */
static unsigned
quota_v2(struct path *dir)
{
    char text[64];
    char *at = text;
    unsigned long long quota;
    unsigned long long period;

    if (!read_short(dir, "/cpu.max", text, sizeof text) || !read_number(&at, &quota) ||
        !read_number(&at, &period))
        return 0;
    return round_up(quota, period);
}

/* cpu.cfs_quota_us is -1 where there is no quota. */
static unsigned
quota_v1(struct path *dir)
{
    char quota_text[32];
    char period_text[32];
    char *quota_at = quota_text;
    char *period_at = period_text;
    unsigned long long quota;
    unsigned long long period;

    if (!read_short(dir, "/cpu.cfs_quota_us", quota_text, sizeof quota_text) ||
        !read_short(dir, "/cpu.cfs_period_us", period_text, sizeof period_text) ||
        !read_number(&quota_at, &quota) || !read_number(&period_at, &period))
        return 0;
    return round_up(quota, period);
}

/* ---- the hierarchy ------------------------------------------------------- */

/* Where a hierarchy is mounted, and how a directory of it is read. */
struct hierarchy {
    const char *root;
    const char *mount;
    unsigned (*quota)(struct path *dir);
};

/* Looks at a group and at all above it. */
static unsigned
quota_upwards(const struct hierarchy *h, const char *group)
{
    struct path dir = {.length = 0};
    unsigned limit = 0;
    size_t mounted;

    if (!append(&dir, h->root) || !append(&dir, h->mount))
        return 0;
    mounted = dir.length;
    if (!append(&dir, group))
        return 0;
    for (;;) {
        limit = smaller(limit, h->quota(&dir));
        if (dir.length <= mounted)
            return limit;
        cut(&dir, (size_t)(strrchr(dir.text, '/') - dir.text));
    }
}

static bool
names_cpu(const char *controllers)
{
    while (*controllers != '\0') {
        size_t length = strcspn(controllers, ",");

        if (length == 3 && memcmp(controllers, "cpu", 3) == 0)
            return true;
        controllers += length;
        controllers += *controllers == ',';
    }
    return false;
}

static unsigned
quota_of_v2(const char *root, const char *group)
{
    const struct hierarchy pure = {root, "/sys/fs/cgroup", quota_v2};
    const struct hierarchy hybrid = {root, "/sys/fs/cgroup/unified", quota_v2};

    return smaller(quota_upwards(&pure, group), quota_upwards(&hybrid, group));
}

/* The directory has the name of all controllers mounted there, or of one of them. */
static unsigned
quota_of_v1(const char *root, const char *controllers, const char *group)
{
    char mount[128];
    struct hierarchy named = {root, mount, quota_v1};
    const struct hierarchy alone = {root, "/sys/fs/cgroup/cpu", quota_v1};
    int length = snprintf(mount, sizeof mount, "/sys/fs/cgroup/%s", controllers);

    if (length < 0 || (size_t)length >= sizeof mount)
        return quota_upwards(&alone, group);
    return smaller(quota_upwards(&named, group), quota_upwards(&alone, group));
}

/* A line of /proc/self/cgroup: "id:controllers:path"; version 2 names none. */
static unsigned
quota_of_line(const char *root, char *line)
{
    char *controllers = strchr(line, ':');
    char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;

    if (group == NULL || group[1] != '/')
        return 0;
    *group++ = '\0';
    controllers++;
    if (*controllers == '\0')
        return quota_of_v2(root, group);
    return names_cpu(controllers) ? quota_of_v1(root, controllers, group) : 0;
}

/* Handles the lines that a buffer holds; returns how many bytes they are. */
static size_t
take_lines(const char *root, char *text, unsigned *limit)
{
    char *line = text;
    char *end;

    while ((end = strchr(line, '\n')) != NULL) {
        *end = '\0';
        *limit = smaller(*limit, quota_of_line(root, line));
        line = end + 1;
    }
    return (size_t)(line - text);
}

/*
 * A line longer than the buffer is no path that could be opened: it ends the reading,
 * since nothing is read into no room.
 */
static unsigned
read_groups(const char *root, int fd)
{
    char text[PATH_MAX + 256];
    size_t used = 0;
    size_t got;
    unsigned limit = 0;

    while ((got = read_some(fd, text + used, sizeof text - 1 - used)) > 0) {
        size_t taken;

        used += got;
        text[used] = '\0';
        taken = take_lines(root, text, &limit);
        used -= taken;
        memmove(text, text + taken, used);
    }
    return limit;
}

unsigned
vowi_cpu_quota(const char *root)
{
    struct path path = {.length = 0};
    unsigned limit = 0;
    int fd;

    if (!append(&path, root) || !append(&path, "/proc/self/cgroup"))
        return 0;
    fd = open_file(path.text);
    if (fd < 0)
        return 0;
    limit = read_groups(root, fd);
    close(fd);
    return limit;
}

unsigned
vow_cpu_count(void)
{
    int saved = errno;
    int cancel = vowi_sys_cancel_off();
    unsigned count = vowi_cpu_affinity();

    if (count == 0)
        count = online();
    count = smaller(count, vowi_cpu_quota(""));
    vowi_sys_cancel_back(cancel);
    errno = saved;
    return count;
}
