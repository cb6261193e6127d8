/* SPDX-License-Identifier: MIT */
/* How many CPUs there are: affinity as it is, quotas from trees laid out here. */
#include "vow_test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vow/pool.h>

#include "../executors/cpu.h"

/* The directory that stands for the root of a system; new for each case. */
static char root[64];

static int
make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/vow_cpu_XXXXXX");
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static int
remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_one, 64, FTW_DEPTH | FTW_PHYS); /* some libc go no deeper */
}

/* Makes the directories on the way to a file. */
static void
make_parents(char *path)
{
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        *at = '/';
    }
}

static void
put(const char *name, const char *text)
{
    char path[512];
    int fd;

    snprintf(path, sizeof path, "%s%s", root, name);
    make_parents(path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void
put_group(const char *lines)
{
    put("/proc/self/cgroup", lines);
}

#define quota_test(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

/* ---- version 2 ----------------------------------------------------------- */

VOW_CASE(quota_of_an_empty_system_is_none)
{
    assert_int_equal(vowi_cpu_quota(root), 0);
}

VOW_CASE(quota_of_a_group_without_files_is_none)
{
    put_group("0::/user.slice\n");

    assert_int_equal(vowi_cpu_quota(root), 0);
}

VOW_CASE(quota_max_is_none)
{
    put_group("0::/a\n");
    put("/sys/fs/cgroup/a/cpu.max", "max 100000\n");

    assert_int_equal(vowi_cpu_quota(root), 0);
}

static unsigned
quota_of(const char *cpu_max)
{
    put("/sys/fs/cgroup/a/cpu.max", cpu_max);
    return vowi_cpu_quota(root);
}

VOW_CASE(quota_is_rounded_up)
{
    put_group("0::/a\n");

    assert_int_equal(quota_of("200000 100000\n"), 2);
    assert_int_equal(quota_of("200001 100000\n"), 3);
    assert_int_equal(quota_of("150000 100000\n"), 2);
    assert_int_equal(quota_of("1000 100000\n"), 1);
    assert_int_equal(quota_of("25000 50000\n"), 1);
    assert_int_equal(quota_of("400000 50000\n"), 8);
}

VOW_CASE(quota_that_is_no_quota_is_none)
{
    put_group("0::/a\n");

    assert_int_equal(quota_of(""), 0);
    assert_int_equal(quota_of("\n"), 0);
    assert_int_equal(quota_of("100000\n"), 0);
    assert_int_equal(quota_of("100000 0\n"), 0);
    assert_int_equal(quota_of("0 100000\n"), 0);
    assert_int_equal(quota_of("-1 100000\n"), 0);
    assert_int_equal(quota_of("100000 -1\n"), 0);
    assert_int_equal(quota_of("many 100000\n"), 0);
}

VOW_CASE(quota_too_large_to_count_is_the_largest_number)
{
    put_group("0::/a\n");

    assert_int_equal(quota_of("4294967295 1\n"), UINT_MAX);
    assert_int_equal(quota_of("4294967297 1\n"), UINT_MAX);
    assert_int_equal(quota_of("99999999999999999999999999 1\n"), UINT_MAX);
}

VOW_CASE(quota_is_the_smallest_on_the_way_to_the_root)
{
    put_group("0::/a/b/c\n");
    put("/sys/fs/cgroup/cpu.max", "900000 100000\n");
    put("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/a/b/c/cpu.max", "500000 100000\n");
    put("/sys/fs/cgroup/a/other/cpu.max", "100000 100000\n");

    assert_int_equal(vowi_cpu_quota(root), 3);
}

VOW_CASE(quota_of_a_container_that_sees_the_path_of_its_host_is_found_at_the_root)
{
    put_group("0::/docker/0123456789abcdef\n");
    put("/sys/fs/cgroup/cpu.max", "250000 100000\n");

    assert_int_equal(vowi_cpu_quota(root), 3);
}

VOW_CASE(quota_of_the_root_group_is_read)
{
    put_group("0::/\n");
    put("/sys/fs/cgroup/cpu.max", "100000 100000\n");

    assert_int_equal(vowi_cpu_quota(root), 1);
}

/* ---- version 1, and both ------------------------------------------------- */

static void
put_v1(const char *dir, const char *quota, const char *period)
{
    char name[256];

    snprintf(name, sizeof name, "%s/cpu.cfs_quota_us", dir);
    put(name, quota);
    snprintf(name, sizeof name, "%s/cpu.cfs_period_us", dir);
    put(name, period);
}

VOW_CASE(quota_v1_is_found_under_the_names_of_its_controllers)
{
    put_group("5:memory:/x\n4:cpu,cpuacct:/a/b\n3:cpuset:/x\n");
    put_v1("/sys/fs/cgroup/cpu,cpuacct/a/b", "-1\n", "100000\n");
    put_v1("/sys/fs/cgroup/cpu,cpuacct/a", "350000\n", "100000\n");

    assert_int_equal(vowi_cpu_quota(root), 4);
}

VOW_CASE(quota_v1_is_found_under_cpu_alone)
{
    put_group("4:cpuacct,cpu:/a\n");
    put_v1("/sys/fs/cgroup/cpu/a", "50000\n", "100000\n");

    assert_int_equal(vowi_cpu_quota(root), 1);
}

VOW_CASE(quota_v1_of_minus_one_is_none)
{
    put_group("4:cpu:/a\n");
    put_v1("/sys/fs/cgroup/cpu/a", "-1\n", "100000\n");

    assert_int_equal(vowi_cpu_quota(root), 0);
}

VOW_CASE(quota_v1_of_other_controllers_is_not_looked_at)
{
    put_group("4:cpuset:/a\n3:cpuacct:/a\n2:name=cpu:/a\n1:xcpu,cpux:/a\n");
    put_v1("/sys/fs/cgroup/cpu/a", "100000\n", "100000\n");
    put_v1("/sys/fs/cgroup/cpuset/a", "100000\n", "100000\n");
    put_v1("/sys/fs/cgroup/cpuacct/a", "100000\n", "100000\n");

    assert_int_equal(vowi_cpu_quota(root), 0);
}

VOW_CASE(quota_of_a_hybrid_system_is_the_smaller_one)
{
    put_group("4:cpu:/a\n0::/b\n");
    put_v1("/sys/fs/cgroup/cpu/a", "600000\n", "100000\n");
    put("/sys/fs/cgroup/unified/b/cpu.max", "200000 100000\n");
    assert_int_equal(vowi_cpu_quota(root), 2);

    put("/sys/fs/cgroup/unified/b/cpu.max", "700000 100000\n");
    assert_int_equal(vowi_cpu_quota(root), 6);
}

/* ---- strange files ------------------------------------------------------- */

VOW_CASE(lines_that_name_no_group_are_passed_over)
{
    put_group("\n:\n::\n0::\n0::a\nx\n0:cpu\n0::/a\n");
    put("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
    put("/sys/fs/cgroupa/cpu.max", "100000 100000\n");

    assert_int_equal(vowi_cpu_quota(root), 2);
}

/* Appends a line that names a group of some length. */
static char *
add_long_group(char *at, size_t length)
{
    at += sprintf(at, "0::/");
    memset(at, 'x', length);
    at[length] = '\n';
    at[length + 1] = '\0';
    return at + length + 1;
}

VOW_CASE(many_long_lines_are_all_read)
{
    static char lines[64 * 1024];
    char *at = lines;

    for (int i = 0; i < 16; i++)
        at = add_long_group(at, 3000);
    strcpy(at, "0::/a\n");
    put_group(lines);
    put("/sys/fs/cgroup/a/cpu.max", "100000 100000\n");

    assert_int_equal(vowi_cpu_quota(root), 1);
}

VOW_CASE(line_longer_than_any_path_ends_the_reading)
{
    static char lines[64 * 1024];

    strcpy(lines, "0::/a\n");
    add_long_group(lines + strlen(lines), 60000);
    put_group(lines);
    put("/sys/fs/cgroup/a/cpu.max", "100000 100000\n");

    assert_int_equal(vowi_cpu_quota(root), 1);
}

VOW_CASE(path_that_does_not_fit_is_passed_over)
{
    static char lines[2 * PATH_MAX];
    static char long_root[2 * PATH_MAX];

    add_long_group(lines, PATH_MAX);
    put_group(lines);
    assert_int_equal(vowi_cpu_quota(root), 0);

    memset(long_root, '/', sizeof long_root - 1);
    assert_int_equal(vowi_cpu_quota(long_root), 0);
}

static int
open_descriptors(void)
{
    int open = 0;

    for (int fd = 0; fd < 256; fd++)
        open += fcntl(fd, F_GETFD) >= 0;
    return open;
}

VOW_CASE(quota_leaves_no_descriptor_open)
{
    int before;

    put_group("4:cpu:/a\n0::/a\n");
    put_v1("/sys/fs/cgroup/cpu/a", "600000\n", "100000\n");
    put("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
    before = open_descriptors();

    assert_int_equal(vowi_cpu_quota(root), 3);
    assert_int_equal(open_descriptors(), before);
}

/* ---- affinity and the whole ---------------------------------------------- */

static cpu_set_t
pin_to_one(void)
{
    cpu_set_t before;
    cpu_set_t one;
    size_t cpu = 0;

    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    while (!CPU_ISSET(cpu, &before))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    return before;
}

VOW_CASE(affinity_is_the_number_of_cpus_in_the_mask)
{
    cpu_set_t before = pin_to_one();

    assert_int_equal(vowi_cpu_affinity(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    assert_int_equal(vowi_cpu_affinity(), CPU_COUNT(&before));
}

VOW_CASE(count_is_the_affinity_or_less)
{
    cpu_set_t before;
    unsigned count = vow_cpu_count();

    assert_in_range(count, 1, vowi_cpu_affinity());
    before = pin_to_one();
    assert_int_equal(vow_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    assert_int_equal(vow_cpu_count(), count);
}

VOW_CASE(count_keeps_errno_and_takes_no_memory)
{
    size_t calls = counting_calls();

    errno = EDOM;
    assert_true(vow_cpu_count() >= 1);
    assert_int_equal(errno, EDOM);
    assert_int_equal(counting_calls(), calls);
}

VOW_CASE(quota_v1_without_a_period_is_none)
{
    put_group("4:cpu:/a\n3:abc:/a\n");
    put_v1("/sys/fs/cgroup/cpu/a", "100000\n", "often\n");

    assert_int_equal(vowi_cpu_quota(root), 0);
}

/* A root of some length, with a file that names groups. */
static void
put_deep(char *path, size_t length, const char *lines)
{
    char file[PATH_MAX];
    size_t used = strlen(root);
    FILE *f;

    memcpy(path, root, used + 1);
    while (used < length) {
        size_t part = length - used > 201 ? 200 : length - used - 1;

        path[used++] = '/';
        memset(path + used, 'd', part);
        used += part;
        path[used] = '\0';
    }
    snprintf(file, sizeof file, "%s/proc/self/cgroup", path);
    make_parents(file);
    f = fopen(file, "w");
    assert_non_null(f);
    assert_true(fputs(lines, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* The list of groups can be read, the files that it leads to have too long a name. */
VOW_CASE(root_so_deep_that_its_files_do_not_fit_sets_no_limit)
{
    static char path[PATH_MAX];

    put_deep(path, PATH_MAX - 24, "0::/aaa\n4:cpu,cpuacct,and,more:/\n");
    assert_int_equal(vowi_cpu_quota(path), 0);
}

VOW_CASE(root_that_leaves_no_room_for_a_list_of_groups_sets_no_limit)
{
    static char path[PATH_MAX];

    memset(path, '/', PATH_MAX - 5);
    assert_int_equal(vowi_cpu_quota(path), 0);
}

VOW_CASE(quota_v1_under_a_name_too_long_is_found_under_cpu_alone)
{
    put_group("4:cpu,a-controller-whose-name-is-much-longer-than-anybody-would-like-to-"
              "write-and-another-one-that-is-hardly-any-shorter-than-that:/a\n");
    put_v1("/sys/fs/cgroup/cpu/a", "200000\n", "100000\n");

    assert_int_equal(vowi_cpu_quota(root), 2);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        quota_test(quota_of_an_empty_system_is_none),
        quota_test(quota_of_a_group_without_files_is_none),
        quota_test(quota_max_is_none),
        quota_test(quota_is_rounded_up),
        quota_test(quota_that_is_no_quota_is_none),
        quota_test(quota_too_large_to_count_is_the_largest_number),
        quota_test(quota_is_the_smallest_on_the_way_to_the_root),
        quota_test(
            quota_of_a_container_that_sees_the_path_of_its_host_is_found_at_the_root),
        quota_test(quota_of_the_root_group_is_read),
        quota_test(quota_v1_is_found_under_the_names_of_its_controllers),
        quota_test(quota_v1_is_found_under_cpu_alone),
        quota_test(quota_v1_of_minus_one_is_none),
        quota_test(quota_v1_of_other_controllers_is_not_looked_at),
        quota_test(quota_of_a_hybrid_system_is_the_smaller_one),
        quota_test(lines_that_name_no_group_are_passed_over),
        quota_test(many_long_lines_are_all_read),
        quota_test(line_longer_than_any_path_ends_the_reading),
        quota_test(path_that_does_not_fit_is_passed_over),
        quota_test(quota_leaves_no_descriptor_open),
        vow_test(affinity_is_the_number_of_cpus_in_the_mask),
        vow_test(count_is_the_affinity_or_less),
        vow_test(count_keeps_errno_and_takes_no_memory),
        quota_test(quota_v1_without_a_period_is_none),
        quota_test(root_so_deep_that_its_files_do_not_fit_sets_no_limit),
        quota_test(root_that_leaves_no_room_for_a_list_of_groups_sets_no_limit),
        quota_test(quota_v1_under_a_name_too_long_is_found_under_cpu_alone),
    };

    return vow_test_run(cases);
}
