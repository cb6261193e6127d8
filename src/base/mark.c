/* SPDX-License-Identifier: MIT */
/* base/mark.c - a function that is an address. */
#include "base/mark.h"

void
vowi_wants_turn(void *unused)
{
    (void)unused;
}
