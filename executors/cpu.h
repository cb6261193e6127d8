/* SPDX-License-Identifier: MIT */
/* executors/cpu.h - how many CPUs there are for us; the parts of vow_cpu_count. */
#ifndef VOWI_EXECUTORS_CPU_H
#define VOWI_EXECUTORS_CPU_H

/* How many CPUs the affinity of the calling thread names; 0: it cannot be read. */
unsigned vowi_cpu_affinity(void);

/*
 * The smallest CPU quota on the way from the cgroup of the process up to the root,
 * rounded up; 0: none. What is read are the files of a running system below a
 * directory: "" in the product, a tree laid out by a test. Keeps no memory.
 */
unsigned vowi_cpu_quota(const char *root);

#endif
