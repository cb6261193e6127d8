/* SPDX-License-Identifier: MIT */
/*
 * combine/range.c - a range of indices worked off by several threads.
 *
 * How it is shared out. Each lane has a part of the range, [first, end), in one word. Who
 * runs the lane takes pieces off its front, by a CAS; who has nothing left takes the back
 * half of another lane's. The parts are there from the start, also of lanes whose task
 * still waits in a queue, or was refused: those the others take whole, and a lane that
 * comes late gets half of that back. So it does not matter how many lanes get to run, as
 * long as one does.
 *
 * Why not tasks. Splitting a range into tasks until each is small costs a task for each
 * piece and a guess how small that is. Lazy binary splitting (Tzannes, Caragea, Barua and
 * Vishkin, PPoPP 2010) splits only when the worker's own deque is empty, so when somebody
 * is hungry; auto partitioning, as in TBB, splits a few times for each thread, and further
 * what was stolen. Both put the half into a deque, where it is a task with a block of its
 * own, and both ask the scheduler how hungry it is. Here the thief does the splitting, at
 * the moment at which it is hungry, on the word that says what is left: nothing is
 * allocated or queued for it, nothing is asked that an executor of a user's could not
 * answer, and what nobody steals is never split. Thieves that split what they find are in
 * Durand, Broquedis, Gautier and Raffin, "An Efficient OpenMP Loop Scheduler for Irregular
 * Applications on Large-Scale NUMA Machines" (IWOMP 2013).
 *
 * How long a piece is. While a call runs nobody can take anything of it; and each call
 * costs a CAS and what the function needs to begin. A lane takes a fixed share of what it
 * has left, so pieces get shorter towards the end, as in guided self-scheduling
 * (Polychronopoulos and Kuck, IEEE Transactions on Computers C-36, 1987): by the time
 * others run dry, what cannot be shared is small against what can. That is some 32 calls
 * for each factor of 2.7 that a lane has, a few hundred for ten million indices, whatever
 * they cost; and the worst that unequal indices can do is that all of the work lies in one
 * piece, a 32nd of a lane's part. A share that depends on the time that calls take would
 * adapt to that as well, but reads a clock, and makes runs unrepeatable.
 *
 * The order of memory. A word hands out indices and nothing else, so that relaxed steps do:
 * what the indices stand for was written before the lanes were submitted, and is read
 * by others after they have settled. A word never says the same twice while there is
 * something in it, for a unit that was taken never comes back: no ABA. A lane whose word
 * is empty is the only one who writes there.
 *
 * The lanes are jobs, and the result is a join that waits for them (VOWI_WAIT): so who
 * waits for it on a worker runs them, a request to stop reaches those that run, and one
 * that has not started never does. The token is theirs: if they have done it all when it
 * fires, that is what counts. They are submitted the last one first: in a worker's deque
 * the first lane is on top for the owner, and thieves begin at the other end.
 *
 * Edges:
 *     [lanes]   what each lane did, to the one that drops what is left
 */
#include "combine/range.h"

#include <string.h>

#include <vow/pool.h>

#include "base/list.h"
#include "base/thread.h"
#include "core/husk.h"

#ifndef VOWI_RANGE_SHARE
#define VOWI_RANGE_SHARE 32 /* of what a lane has left one is a piece */
#endif

#define MOST_LANES 1024
#define LINE       64 /* of a cache: two words in one would be one to the processor */

/* ---- what is left ----------------------------------------------------------------------- */

struct part {
    uint32_t first, end;
};

static uint64_t
packed(uint32_t first, uint32_t end)
{
    return first | (uint64_t)end << 32;
}

static struct part
unpacked(uint64_t word)
{
    return (struct part){(uint32_t)word, (uint32_t)(word >> 32)};
}

/* relaxed, here and below: see the order of memory. */
bool
vowi_lane_has_rest(struct vowi_lane *lane)
{
    struct part p = unpacked(vowi_load_relaxed(&lane->rest));

    return p.first != p.end;
}

size_t
vowi_lane_rest(struct vowi_lane *lane)
{
    const struct vowi_range *r = lane->range;

    return r->begin + unpacked(vowi_load_relaxed(&lane->rest)).first * r->unit;
}

static uint32_t
piece_of(const struct vowi_range *r, struct part p)
{
    uint32_t n = (p.end - p.first) / VOWI_RANGE_SHARE;

    if (r->trial != 0)
        n = r->trial < p.end - p.first ? r->trial : p.end - p.first;
    if (n > r->most)
        n = r->most;
    return n != 0 ? n : 1;
}

/* Takes a piece off the front. */
static bool
take(struct vowi_lane *lane, struct part *piece)
{
    uint64_t word = vowi_load_relaxed(&lane->rest);
    struct part p;
    uint32_t n;

    do {
        p = unpacked(word);
        if (p.first == p.end)
            return false;
        n = piece_of(lane->range, p);
    } while (!vowi_cas_relaxed(&lane->rest, &word, packed(p.first + n, p.end)));
    *piece = (struct part){p.first, p.first + n};
    return true;
}

/* Where a thief cuts what another lane has. */
static uint32_t
middle_of(struct vowi_lane *victim, struct part p)
{
    if (vowi_load_relaxed(&victim->phase) != VOWI_LANE_RUNS)
        return p.first;
    return p.first + (p.end - p.first) / 2;
}

/* Takes the back half of another lane's; of one unit, that; and all if it has not begun. A
 * piece of it is the thief's at once: were all of it there for others, two lanes could take
 * it from each other for ever, and none of them ever call. */
static bool
steal_from(struct vowi_lane *victim, struct vowi_lane *lane, struct part *piece)
{
    uint64_t word = vowi_load_relaxed(&victim->rest);
    struct part p;
    uint32_t middle;

    do {
        p = unpacked(word);
        if (p.first == p.end)
            return false;
        middle = middle_of(victim, p);
    } while (!vowi_cas_relaxed(&victim->rest, &word, packed(p.first, middle)));
    p.first = middle;
    *piece = (struct part){middle, middle + piece_of(lane->range, p)};
    vowi_store_relaxed(&lane->rest, packed(piece->end, p.end));
    return true;
}

static unsigned
index_of(const struct vowi_lane *lane)
{
    const struct vowi_range *r = lane->range;

    return (unsigned)((size_t)((const char *)lane - r->lanes) / r->stride);
}

/* A piece of the next lane that has something, and the rest of that for an empty lane. */
static bool
steal(struct vowi_lane *lane, struct part *piece)
{
    const struct vowi_range *r = lane->range;
    unsigned own = index_of(lane);

    for (unsigned i = 1; i < r->width; i++)
        if (steal_from(vowi_range_lane(r, (own + i) % r->width), lane, piece))
            return true;
    return false;
}

/* ---- a lane -------------------------------------------------------------------------------- */

static vow_error *
used_up(struct vowi_lane *lane)
{
    const struct vowi_range_kind *kind = lane->range->kind;

    return kind->used_up != NULL ? kind->used_up(lane) : NULL;
}

/* A piece of its own or, if there is none, of what it steals. False: there is nothing, or
 * an error. */
static bool
next_piece(struct vowi_lane *lane, struct part *piece, vow_error **error)
{
    if (take(lane, piece))
        return true;
    *error = used_up(lane);
    return *error == NULL && steal(lane, piece);
}

static void
set_piece(struct vowi_lane *lane, struct part piece)
{
    const struct vowi_range *r = lane->range;

    lane->first = r->begin + piece.first * r->unit;
    lane->end = piece.end == r->units ? r->end : r->begin + piece.end * r->unit;
}

/* Tells the others to stop; the join, which asks them to, is slower. relaxed: a hint, it may
 * take a while; and who fails first is asked when all have ended. */
void
vowi_lane_fails(struct vowi_lane *lane)
{
    struct vowi_range *r = lane->range;
    struct vowi_lane *none = NULL;

    vowi_store_relaxed(&r->stopped, true);
    vowi_cas_strong_relaxed(&r->failing, &none, lane);
    if (r->source != NULL)
        vow_source_cancel(r->source, NULL);
}

/* relaxed: as above. */
static bool
is_stopped(struct vowi_range *r)
{
    return vow_cancelled() || vowi_load_relaxed(&r->stopped);
}

static vow_result
why_stopped(void)
{
    vow_result r = vow_check_cancelled();

    return r.error != NULL ? r : vow_err(vow_error_of(VOW_E_CANCELLED));
}

/* With `calling` around all of a user's code: what of it is still set says who failed. */
static vow_error *
call(struct vowi_lane *lane, struct part piece)
{
    vow_error *error;

    set_piece(lane, piece);
    error = lane->range->kind->call(lane);
    if (error == NULL)
        lane->done += piece.end - piece.first;
    return error;
}

bool
vowi_lane_turn(struct vowi_lane *lane, vow_result *result)
{
    struct part piece = {0, 0};
    vow_error *error = NULL;

    if (is_stopped(lane->range)) {
        *result = why_stopped();
        return false;
    }
    lane->calling = true;
    if (next_piece(lane, &piece, &error))
        error = call(lane, piece);
    if (error != NULL) {
        vowi_lane_fails(lane);
        *result = vow_err(error);
        return false;
    }
    lane->calling = false;
    return piece.first != piece.end;
}

/* Unless it is revoked. A second turn finds that it runs. relaxed: who revokes a lane waits
 * for nothing of it, and who cannot waits for its future. */
static bool
begins(struct vowi_lane *lane)
{
    int phase = vowi_load_relaxed(&lane->phase);

    return phase == VOWI_LANE_RUNS ||
           (phase == VOWI_LANE_WAITS &&
            vowi_cas_strong_relaxed(&lane->phase, &phase, VOWI_LANE_RUNS));
}

static vow_result
run_lane(void *ctx)
{
    struct vowi_lane *lane = ctx;
    vow_result result = vow_ok(VOW_NIL);

    if (!begins(lane))
        return result;
    while (vowi_lane_turn(lane, &result))
        if (lane->range->gives_way && vowi_lane_has_rest(lane))
            return vow_yield_task();
    return result;
}

void
vowi_range_release(struct vowi_range *r)
{
    if (vowi_sub_acq_rel(&r->left, 1) == 1) /* [lanes] */
        r->kind->gone(r);
}

vow_executor *
vowi_range_counted_on(const struct vowi_range *r)
{
    return r->forks == vowi_globals.forks ? r->on : NULL;
}

/* The drop of a lane's context: it has run, or never will. */
static void
lane_gone(void *ctx)
{
    struct vowi_lane *lane = ctx;

    if (lane->calling) /* its thread exits: nobody else has said so */
        vowi_lane_fails(lane);
    /* relaxed: with who revokes it, it is agreed by this word alone */
    if (vowi_swap_relaxed(&lane->phase, VOWI_LANE_GONE) == VOWI_LANE_REVOKED)
        vowi_husk_gone(vowi_range_counted_on(lane->range));
    vowi_range_release(lane->range);
}

/* ---- the outcome --------------------------------------------------------------------------- */

static struct vowi_range *
range_of(struct vowi_join *j)
{
    return vowi_join_own(j);
}

/* A lane that was refused, or told to stop, decides nothing: the others may do it all. */
static bool
counts(struct vowi_join *j, size_t i, bool failed)
{
    return failed && vowi_range_lane(range_of(j), (unsigned)i)->calling;
}

bool
vowi_range_is_done(const struct vowi_range *r)
{
    uint64_t done = 0;

    for (unsigned i = 0; i < r->width; i++)
        done += vowi_range_lane(r, i)->done;
    return done == r->units;
}

static size_t
first_failed(struct vowi_join *j)
{
    vow_future **lanes = vowi_join_inputs(j);
    size_t i = 0;

    while (vow_peek(lanes[i]).error == NULL)
        i++;
    return i;
}

/* All have ended, and nobody has failed by itself. */
static bool
conclude_all(struct vowi_join *j)
{
    struct vowi_range *r = range_of(j);
    bool fulfilled = vowi_range_is_done(r) && r->kind->fulfill(r);

    if (!fulfilled) {
        vowi_reject_for(j, &r->failed, first_failed(j));
        r->failed.error.position = 0;
    }
    for (size_t i = 0; i < r->width; i++)
        vow_ignore(vowi_join_inputs(j)[i]);
    return !fulfilled;
}

static bool
conclude(struct vowi_join *j, size_t by)
{
    struct vowi_range *r = range_of(j);

    if (by == VOWI_ALL)
        return conclude_all(j);
    vowi_reject_for(j, &r->failed, by);
    r->failed.error.position = vowi_lane_position(vowi_range_lane(r, (unsigned)by));
    return true;
}

static void
swept(struct vowi_join *j)
{
    struct vowi_range *r = range_of(j);

    if (r->kind->unwanted != NULL)
        r->kind->unwanted(r);
}

/* ---- making one ------------------------------------------------------------------------------ */

static size_t
rounded(size_t size)
{
    return (size + LINE - 1) / LINE * LINE;
}

/* How many units there are, and how long one is. */
static void
cut(struct vowi_range *r, const vow_range_options *opt)
{
    size_t n = r->end - r->begin;
    size_t least = n / UINT32_MAX + (n % UINT32_MAX != 0);

    r->unit = opt->grain > least ? opt->grain : least;
    r->units = (uint32_t)(n / r->unit + (n % r->unit != 0));
    r->most = r->units;
    if (opt->most != 0 && opt->most / r->unit < r->units)
        r->most = (uint32_t)(opt->most / r->unit);
}

static unsigned
width_of(const struct vowi_range_plan *plan, uint32_t units)
{
    unsigned width = plan->opt.width;

    if (width == 0)
        width = vow_pool_threads(plan->on);
    if (width > MOST_LANES)
        width = MOST_LANES;
    if (width > units)
        width = units;
    return width != 0 ? width : 1;
}

static bool
gives_way(vow_executor *on)
{
    return on != NULL && on != vow_inline() && vow_pool_threads(on) == 0;
}

/* Each lane has a part from the start. */
static void
init_lanes(struct vowi_range *r)
{
    memset(r->lanes, 0, r->width * r->stride);
    for (unsigned i = 0; i < r->width; i++) {
        struct vowi_lane *lane = vowi_range_lane(r, i);
        uint32_t first = (uint32_t)((uint64_t)r->units * i / r->width);
        uint32_t end = (uint32_t)((uint64_t)r->units * (i + 1) / r->width);

        atomic_init(&lane->rest, packed(first, end));
        lane->range = r;
    }
}

void
vowi_range_init(struct vowi_range *r, const struct vowi_range_kind *kind,
                const struct vowi_range_plan *plan)
{
    memset(r, 0, sizeof *r);
    r->kind = kind;
    r->begin = plan->begin;
    r->end = plan->end;
    cut(r, &plan->opt);
    r->width = width_of(plan, r->units);
    r->stride = rounded(kind->lane);
    atomic_init(&r->stopped, false);
    atomic_init(&r->failing, NULL);
    atomic_init(&r->left, r->width + 1);
}

void
vowi_range_alone(struct vowi_range *r, struct vowi_lane *lane)
{
    r->width = 1;
    r->stride = r->kind->lane;
    r->lanes = (char *)lane;
    init_lanes(r);
    vowi_store_relaxed(&lane->phase, VOWI_LANE_RUNS); /* relaxed: the caller's own */
}

size_t
vowi_range_size(const struct vowi_range *r)
{
    return rounded(r->kind->own) + r->width * (r->stride + sizeof(vow_future *));
}

void
vowi_range_lay_out(struct vowi_range *r)
{
    r->lanes = (char *)r + rounded(r->kind->own);
    init_lanes(r);
}

struct vowi_range *
vowi_range_new(const struct vowi_range_kind *kind, const struct vowi_range_plan *plan)
{
    static const struct vowi_join_kind join_kind = {
        .needs_all = true, .counts = counts, .conclude = conclude, .swept = swept};
    const struct vowi_join_options options = {.flags = VOWI_WAIT, .site = plan->site};
    struct vowi_range whole, *r;

    vowi_range_init(&whole, kind, plan);
    whole.gives_way = gives_way(plan->on);
    whole.join =
        vowi_join_new(&join_kind, whole.width, vowi_range_size(&whole), &options);
    if (whole.join == NULL)
        return NULL;
    r = range_of(whole.join);
    memset(r, 0, kind->own);
    memcpy(r, &whole, sizeof whole);
    vowi_range_lay_out(r);
    return r;
}

/* Where tasks run inside the submit, they may let go of the executor. */
bool
vowi_range_submit(struct vowi_range *r, const struct vowi_range_plan *plan, unsigned from)
{
    const vow_submit_options options =
        VOW_SUBMIT_OPTIONS(.priority = plan->opt.priority, .token = plan->opt.token);
    vow_executor *on = vow_executor_ref(plan->on);
    vow_future **lanes = vowi_range_futures(r);
    bool any = false;

    for (unsigned i = r->width; i-- > from;) {
        lanes[i] = vow_submit_with(on, &options, run_lane,
                                   vow_own(vowi_range_lane(r, i), lane_gone));
        any = any || lanes[i] != NULL;
    }
    vow_executor_unref(on);
    return any;
}

vow_future *
vowi_range_start(struct vowi_range *r, const struct vowi_range_plan *plan)
{
    bool any = vowi_range_submit(r, plan, 0);

    vowi_range_release(r);
    if (any)
        return vowi_join_start(r->join, vowi_range_futures(r));
    vowi_join_discard(r->join);
    return NULL;
}

vow_error *
vowi_range_invalid(const struct vowi_range_plan *plan)
{
    return vow_error_new(VOW_E_INVALID, "a range that begins at %zu and ends at %zu",
                         plan->begin, plan->end);
}

vow_future *
vowi_range_empty(const struct vowi_range_plan *plan, vow_value value)
{
    if (plan->begin == plan->end)
        return vow_resolved(value);
    return vow_rejected(vowi_range_invalid(plan));
}
