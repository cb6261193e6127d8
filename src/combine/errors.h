/* SPDX-License-Identifier: MIT */
/*
 * combine/errors.h - errors that are kept as they come, and one error that stands for
 * them.
 *
 * Room for an error is made before there is one, since who fails cannot allocate. It locks
 * nothing: its owner says what guards it, and makes room in two steps, since nothing
 * allocates under a lock.
 */
#ifndef VOWI_COMBINE_ERRORS_H
#define VOWI_COMBINE_ERRORS_H

#include <vow/result.h>

#include "base/error.h"

enum { VOWI_FEW_ERRORS = 6 };

struct vowi_errors {
    vow_error one; /* that stands for them */
    size_t count, room;
    vow_error **items; /* each a reference */
    vow_error *few[VOWI_FEW_ERRORS];
};

/* NULL without memory. */
struct vowi_errors *vowi_errors_new(void);

/* Of those for which no error was made; NULL is none. */
void vowi_errors_free(struct vowi_errors *e);

/* Consumes the error; there is room for it. */
void vowi_errors_keep(struct vowi_errors *e, vow_error *error);

/* More room, to be given to vowi_errors_move: NULL without memory. */
vow_error **vowi_errors_room_new(size_t room);
void vowi_errors_room_free(vow_error **items, size_t room);

/* Moves into more room. Returns that which it had, to be freed: *room of it. */
vow_error **vowi_errors_move(struct vowi_errors *e, vow_error **items, size_t *room);

/*
 * The error that stands for them, with the code of its cause, which is shared; position as
 * in vow_error. From here on they are its own.
 */
vow_error *vowi_errors_as_one(struct vowi_errors *e, const vow_error *cause,
                              int64_t position);

#endif
