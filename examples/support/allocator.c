/* SPDX-License-Identifier: MIT */
/* Hands the library jemalloc's sized interface through vow_set_allocator. */
#include "allocator.h"

#ifdef VOW_HAVE_JEMALLOC

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <jemalloc/jemalloc.h>

#include <vow/base.h>

/* A size class is as aligned as any C type needs; only more must be asked for. A sized
   free finds the class from the size alone. It is the right one if the size is a
   multiple of the alignment, as the size of every C type is. */
static int
flags_of(size_t size, size_t align)
{
    if (align <= _Alignof(max_align_t))
        return 0;
    if (size % align != 0)
        abort();
    return MALLOCX_ALIGN(align);
}

static void *
sized_alloc(size_t size, size_t align, void *ctx)
{
    (void)ctx;
    return mallocx(size, flags_of(size, align));
}

static void *
sized_realloc(void *p, size_t old_size, size_t size, size_t align, void *ctx)
{
    (void)old_size;
    (void)ctx;
    if (p == NULL)
        return mallocx(size, flags_of(size, align));
    return rallocx(p, size, flags_of(size, align));
}

static void
sized_free(void *p, size_t size, void *ctx)
{
    (void)ctx;
    if (p != NULL)
        sdallocx(p, size, 0);
}

void
use_fast_allocator(void)
{
    const vow_allocator jemalloc = {sized_alloc, sized_realloc, sized_free, NULL};

    if (vow_set_allocator(&jemalloc) != 0) {
        fputs("use_fast_allocator: the library has allocated already\n", stderr);
        exit(EXIT_FAILURE);
    }
}

#else

void
use_fast_allocator(void)
{
}

#endif
