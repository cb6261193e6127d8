/* SPDX-License-Identifier: MIT */
/* Lets an example run short of memory: FAIL_EVERY=N fails each Nth allocation of vow. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <vow/base.h>

#include "allocator.h"

static unsigned long fail_every; /* 0: never */
static atomic_ulong count;

static bool
fails(void)
{
    return fail_every != 0 && (atomic_fetch_add(&count, 1) + 1) % fail_every == 0;
}

static void *
failing_alloc(size_t size, size_t align, void *ctx)
{
    void *p;

    (void)ctx;
    align = align < sizeof(void *) ? sizeof(void *) : align;
    return fails() || posix_memalign(&p, align, size) != 0 ? NULL : p;
}

/* What malloc aligns is aligned enough: the library resizes arrays of pointers only. */
static void *
failing_realloc(void *p, size_t old_size, size_t size, size_t align, void *ctx)
{
    (void)old_size;
    (void)align;
    (void)ctx;
    return fails() ? NULL : realloc(p, size);
}

static void
failing_free(void *p, size_t size, void *ctx)
{
    (void)size;
    (void)ctx;
    free(p);
}

void
use_fast_allocator(void)
{
    const vow_allocator failing = {failing_alloc, failing_realloc, failing_free, NULL};
    const char *every = getenv("FAIL_EVERY");

    fail_every = every != NULL ? strtoul(every, NULL, 10) : 0;
    if (vow_set_allocator(&failing) != 0) {
        fputs("the library has allocated already\n", stderr);
        exit(EXIT_FAILURE);
    }
}
