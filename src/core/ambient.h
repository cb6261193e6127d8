/* SPDX-License-Identifier: MIT */
/*
 * core/ambient.h - the token of what runs here.
 */
#ifndef VOWI_CORE_AMBIENT_H
#define VOWI_CORE_AMBIENT_H

#include <vow/cancel.h>

/* The token of the task or step that runs on this thread, lent until it has returned;
 * NULL outside one, and without memory. */
vow_token *vowi_ambient_token(void);

#endif
