/* SPDX-License-Identifier: MIT */
/*
 * combine/any.c - the first of them that works: vow_any.
 */
#include "combine/combine.h"

/* All inputs have failed. */
static void
reject(struct vowi_join *j)
{
    vow_future **inputs = vowi_join_inputs(j);

    for (size_t i = 0; i < vowi_join_count(j); i++)
        inputs[i] = vowi_failed(inputs[i]);
    vowi_reject_for_all(j, vowi_join_own(j), inputs);
}

static bool
conclude(struct vowi_join *j, size_t by)
{
    if (by != VOWI_ALL) {
        vowi_join_pass(j, by);
        return false;
    }
    if (vowi_join_count(j) == 0) {
        vowi_join_reject(j, vow_error_of(VOW_E_EMPTY));
        return false;
    }
    reject(j);
    return true;
}

static const struct vowi_join_kind any_kind = {.decides = VOWI_BY_VALUE,
                                               .conclude = conclude};

vow_future *
vow_any(vow_future *const *fs, size_t n)
{
    return vowi_combine(&any_kind, sizeof(struct vowi_placed), NULL, fs, n,
                        __builtin_return_address(0));
}

vow_future *
vow_any_with(const vow_combine_options *opt, vow_future *const *fs, size_t n)
{
    return vowi_combine(&any_kind, sizeof(struct vowi_placed), opt, fs, n,
                        __builtin_return_address(0));
}
