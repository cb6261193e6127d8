/* SPDX-License-Identifier: MIT */
/*
 * combine/race.c - the first of them to settle: vow_race, and vow_when_any, which says
 * which one it was.
 */
#include "combine/combine.h"

static bool
conclude_race(struct vowi_join *j, size_t by)
{
    if (by == VOWI_ALL)
        vowi_join_reject(j, vow_error_of(VOW_E_EMPTY));
    else
        vowi_join_pass(j, by);
    return false;
}

struct won {
    vow_winner winner;
    struct vowi_join *join;
    vow_future *input;
};

static void
drop_winner(void *ptr)
{
    struct won *won = ptr;

    vow_unref(won->input);
    vowi_join_release(won->join);
}

static bool
conclude_any(struct vowi_join *j, size_t by)
{
    struct won *won = vowi_join_own(j);

    if (by == VOWI_ALL) {
        vowi_join_reject(j, vow_error_of(VOW_E_EMPTY));
        return false;
    }
    won->join = j;
    won->input = vowi_join_inputs(j)[by];
    vowi_join_inputs(j)[by] = NULL;
    won->winner.index = by;
    won->winner.result = vow_peek(won->input);
    vowi_join_fulfill(j, vow_own(won, drop_winner));
    return true;
}

static const struct vowi_join_kind race_kind = {.decides = VOWI_BY_VALUE | VOWI_BY_ERROR,
                                                .conclude = conclude_race};
static const struct vowi_join_kind any_kind = {.decides = VOWI_BY_VALUE | VOWI_BY_ERROR,
                                               .conclude = conclude_any};

vow_future *
vow_race(vow_future *const *fs, size_t n)
{
    return vowi_combine(&race_kind, 0, NULL, fs, n, __builtin_return_address(0));
}

vow_future *
vow_race_with(const vow_combine_options *opt, vow_future *const *fs, size_t n)
{
    return vowi_combine(&race_kind, 0, opt, fs, n, __builtin_return_address(0));
}

vow_future *
vow_when_any(vow_future *const *fs, size_t n)
{
    return vowi_combine(&any_kind, sizeof(struct won), NULL, fs, n,
                        __builtin_return_address(0));
}

vow_future *
vow_when_any_with(const vow_combine_options *opt, vow_future *const *fs, size_t n)
{
    return vowi_combine(&any_kind, sizeof(struct won), opt, fs, n,
                        __builtin_return_address(0));
}

const vow_winner *
vow_get_winner(vow_future *f)
{
    vow_view view = vow_get(f);

    return view.error == NULL ? view.value.as.ptr : NULL;
}
