/* SPDX-License-Identifier: MIT */
/* The allocator of the benchmarks and the examples. */
#ifndef VOW_EXAMPLES_ALLOCATOR_H
#define VOW_EXAMPLES_ALLOCATOR_H

/* Lets the library allocate from jemalloc, with sized frees, if the build found it;
   else does nothing. Call it first thing in main. */
void use_fast_allocator(void);

#endif
