/* SPDX-License-Identifier: MIT */
/*
 * core/join.c - one future that settles when enough of many have.
 *
 * A join hangs on each of its inputs by an entry. An arrival is handled where its
 * input is delivered, in place: it counts, and that is all, unless it decides; so who
 * decides is the order in which inputs settle, whatever waits on a trampoline. The
 * rest, for the one arrival that decides or is the last, goes through the trampoline.
 *
 * All of it is in one word, `left`:
 *
 *     OUT         each input that has not arrived; the thread that starts the join;
 *                 whoever concludes or cuts it
 *     HOLD        what else needs the block: the state, the outcome, the sweep
 *     HELPER      threads that look for an input to run; each is OUT as well
 *     ARMED       all entries hang, or have arrived: vowi_join_start is through
 *     DECIDED     one arrival, or a request to stop, decides; the others just leave
 *     READY       `by` says which arrival that was, before ARMED was there
 *
 * It comes to one of two ends.
 *
 *   Complete. Nobody is OUT any more and nothing is DECIDED: whoever was the last is
 *   alone with the join, since a request to stop comes too late then.
 *
 *   Cut. One sets DECIDED and stays OUT meanwhile. If the join is not ARMED yet
 *   it leaves what follows to vowi_join_start, by READY. What follows: the outcome is
 *   concluded; every entry is taken off its input; the state settles; and each input
 *   is left, which may be a request that it stop. An entry that could not be taken off
 *   has arrived or is about to: its thread may read the input as long as it is OUT. So
 *   inputs of such entries are let go of by whoever is the last: the sweep.
 *
 * With VOWI_WAIT the entries stay on their inputs, without a reference each, and the
 * sweep settles the state.
 *
 * Leaving an input may stop another join, and so on: the entries to be left are in a
 * list of the thread, and only the outermost works on it.
 *
 * A thread that waits for all inputs may run them. It looks at the inputs as a HELPER;
 * while there is one nothing completes, and who cuts the join waits, since it looks at
 * no more than a few at a time. Once DECIDED is set there are no new ones. A forked child
 * is told of those that it has not.
 *
 * Edges:
 *     [left]   what each thread did with the join, to the one that ends it, and what
 *              started it, to whoever concludes
 */
#include "core/join.h"

#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "core/arrive.h"
#include "core/bound.h"
#include "core/cancel.h"
#include "core/refs.h"
#include "core/settle.h"
#include "core/step.h"
#include "core/trampoline.h"
#include "core/word.h"
#include "sync/spin.h"

#define OUT     ((uint64_t)1)
#define HELPER  ((uint64_t)1 << 48)
#define HOLD    ((uint64_t)1 << 56)
#define DECIDED ((uint64_t)1 << 63)
#define ARMED   ((uint64_t)1 << 62)
#define READY   ((uint64_t)1 << 61)
#define OUTS    (HELPER - 1)
#define HELPERS (HELPER * 255)
#define HOLDS   (HOLD * 3)

#define ABANDONED 4u /* in the flags: as core/settle.h has it */

struct vowi_entry {
    _Alignas(16) struct vowi_node node;
    struct vowi_join *join;
};

/* One block: this, the entries, the inputs, and what is the combinator's own. */
struct vowi_join {
    struct vow_state state;
    _Atomic(uint64_t) left;
    const struct vowi_join_kind *kind;
    struct vowi_entry *entries;
    vow_future **inputs;
    void *own;
    size_t n;
    size_t hung; /* entries from here on were never hung: it was decided before */
    size_t by;
    _Atomic(size_t) helped; /* inputs before it are not worth a look */
    size_t size;
    vow_error *reason; /* why inputs are left; while it is cut */
    unsigned flags;
    bool kept; /* the outcome lies in the block */
};

#if UINTPTR_MAX == UINT64_MAX
static_assert(sizeof(struct vowi_entry) == 32, "an input costs this, and a pointer");
#endif

/* ---- the block ------------------------------------------------------------------------ */

static struct vowi_join *
join_of(struct vow_state *s)
{
    return vowi_container_of(s, struct vowi_join, state);
}

static struct vowi_entry *
entry_of(struct vowi_node *n)
{
    return vowi_container_of(n, struct vowi_entry, node);
}

static size_t
index_of(const struct vowi_entry *e)
{
    return (size_t)(e - e->join->entries);
}

/* Gives up holds; the last frees the block. */
static void
release(struct vowi_thread *t, struct vowi_join *j, uint64_t holds)
{
    uint64_t left = vowi_load_acquire(&j->left); /* [left] */

    if ((left & (HOLDS | OUTS)) != holds)
        left = vowi_sub_acq_rel(&j->left, holds); /* [left] */
    if ((left & (HOLDS | OUTS)) != holds)
        return;
    vow_error_unref(j->reason);
    vowi_free_on(t, j, j->size);
}

void
vowi_join_free(struct vowi_thread *t, struct vow_state *s)
{
    release(t, join_of(s), HOLD);
}

void
vowi_join_release(struct vowi_join *j)
{
    release(vowi_self(), j, HOLD);
}

static size_t
rounded(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

static void
init_state(struct vow_state *s, const void *site)
{
    atomic_init(&s->word, VOWI_CLAIMED);
    atomic_init(&s->refs, VOWI_CONSUMER | VOWI_HOLD | VOWI_ASKED | VOWI_JOIN);
    vowi_set_value(s, VOW_NIL);
    s->extra = vow_ptr(site).as.ptr;
}

static void
init(struct vowi_join *j, const struct vowi_join_kind *kind, size_t head, size_t n)
{
    memset(j, 0, head);
    j->kind = kind;
    j->own = (char *)j + rounded(sizeof *j);
    j->entries = (struct vowi_entry *)(void *)((char *)j + head);
    j->inputs = (vow_future **)(void *)(j->entries + n);
    j->n = n;
    j->by = VOWI_ALL;
    j->reason = vowi_error_cancelled_by(vow_error_of(VOW_E_LOST));
    atomic_init(&j->helped, 0);
}

struct vowi_join *
vowi_join_new(const struct vowi_join_kind *kind, size_t n, size_t own,
              const struct vowi_join_options *opt)
{
    size_t head = rounded(sizeof(struct vowi_join)) + rounded(own);
    size_t each = sizeof(struct vowi_entry) + sizeof(vow_future *);
    struct vowi_join *j;

    if (n >= (SIZE_MAX / 2 - head) / each)
        return NULL;
    j = vowi_alloc(head + n * each);
    if (j == NULL)
        return NULL;
    init(j, kind, head, n);
    init_state(&j->state, opt->site);
    j->size = head + n * each;
    j->flags = opt->flags;
    if (opt->token != NULL && !vowi_bind_prepare(&j->state, opt->token)) {
        vowi_free(j, j->size);
        return NULL;
    }
    return j;
}

void *
vowi_join_own(struct vowi_join *j)
{
    return j->own;
}

size_t
vowi_join_count(const struct vowi_join *j)
{
    return j->n;
}

vow_future **
vowi_join_inputs(struct vowi_join *j)
{
    return j->inputs;
}

void
vowi_join_fulfill(struct vowi_join *j, vow_value v)
{
    vowi_set_value(&j->state, v);
}

void
vowi_join_reject(struct vowi_join *j, vow_error *e)
{
    vowi_set_error(&j->state, e);
}

void
vowi_join_pass(struct vowi_join *j, size_t i)
{
    vowi_pass_through(vowi_state_or_nomem(j->inputs[i]), &j->state);
}

void
vowi_join_leave_because(struct vowi_join *j, vow_error *reason)
{
    vow_error_unref(j->reason);
    j->reason = reason;
}

void
vowi_join_discard(struct vowi_join *j)
{
    struct vowi_thread *t = vowi_self();

    /* relaxed: nobody else knows it */
    if (vowi_load_relaxed(&j->state.refs) & VOWI_HAS_RECORD)
        vowi_record_free(t, &j->state);
    vow_error_unref(j->reason);
    vowi_free_on(t, j, j->size);
}

/* ---- leaving the inputs ----------------------------------------------------------------- */

static void depart(struct vowi_thread *t, struct vowi_join *j);

static void
push_leave(struct vowi_thread *t, struct vowi_entry *e)
{
    e->node.next = NULL;
    if (t->leave_first == NULL)
        t->leave_first = &e->node;
    else
        t->leave_last->next = &e->node;
    t->leave_last = &e->node;
}

/*
 * Takes every entry off its input, as far as it still hangs there, and puts it on the
 * list of those to be left. It is OUT until then.
 */
static void
unhang(struct vowi_thread *t, struct vowi_join *j)
{
    for (size_t i = 0; i < j->n; i++) {
        struct vowi_entry *e = &j->entries[i];
        vow_future *f = j->inputs[i];

        if (i >= j->hung || (f != NULL && vowi_detach_node(vowi_state(f), &e->node)))
            push_leave(t, e);
    }
}

static bool
hang(struct vowi_entry *e, struct vow_state *s)
{
    e->node.run = vowi_join_hangs;
    vowi_node_clear(&e->node);
    return vowi_attach(s, &e->node);
}

/* An input on its way out. */
struct leaving {
    struct vowi_thread *t;
    struct vowi_entry *e;
    vow_error *reason;
    bool hangs; /* again: the join may be gone */
};

/* It has been asked, or what was to be dropped then has ended the thread. */
static void
has_left(void *leaving)
{
    struct leaving *l = leaving;

    vow_error_unref(l->reason);
    if (!l->hangs)
        depart(l->t, l->e->join);
}

/*
 * Leaves the input of an entry that hangs nowhere. With VOWI_WAIT it hangs there again
 * first: without a reference, since what is pending is kept by whoever settles it.
 */
static void
leave(struct vowi_thread *t, struct vowi_entry *e)
{
    struct vowi_join *j = e->join;
    size_t i = index_of(e);
    vow_future *f = j->inputs[i];
    struct leaving l = {t, e, vow_error_ref(j->reason), false};
    bool ask = (j->flags & VOWI_KEEP_OTHERS) == 0;

    j->inputs[i] = NULL;
    l.hangs = (j->flags & VOWI_WAIT) != 0 && f != NULL && hang(e, vowi_state(f));
    pthread_cleanup_push(has_left, &l);
    if (f != NULL)
        vowi_give_up(t, vowi_state(f), ask ? l.reason : NULL);
    pthread_cleanup_pop(1);
}

static void
leave_listed(struct vowi_thread *t)
{
    while (t->leave_first != NULL) {
        struct vowi_entry *e = entry_of(t->leave_first);

        t->leave_first = e->node.next;
        leave(t, e);
    }
    t->leaving = false;
}

/* In a drop: the others are left all the same, and what waits here runs now. */
static void
thread_exits_in_leaving(void *thread)
{
    struct vowi_thread *t = thread;

    (void)vowi_enter(t);
    leave_listed(t);
    vowi_leave_exiting(t);
}

static void
leave_all(struct vowi_thread *t)
{
    if (t->leaving)
        return;
    t->leaving = true;
    pthread_cleanup_push(thread_exits_in_leaving, t);
    leave_listed(t);
    pthread_cleanup_pop(0);
}

/* ---- the end -------------------------------------------------------------------------- */

/* relaxed: nobody else has to do with the join any more [left]. */
static void
complete(struct vowi_thread *t, struct vowi_join *j)
{
    bool kept = j->kind->conclude(j, VOWI_ALL);

    vowi_store_relaxed(&j->left, DECIDED | (kept ? 2 * HOLD : HOLD));
    vowi_settle_held(t, &j->state);
}

/* Lets go of what is left of the inputs, which is none if it did before. */
static void
let_go(struct vowi_thread *t, struct vowi_join *j)
{
    for (size_t i = 0; i < j->n; i++) {
        vow_future *f = j->inputs[i];

        j->inputs[i] = NULL;
        if (f != NULL)
            vowi_give_up(t, vowi_state(f), NULL);
    }
}

static void
end_sweep(struct vowi_thread *t, struct vowi_join *j)
{
    if (j->kind->swept != NULL)
        j->kind->swept(j);
    if (j->flags & VOWI_WAIT)
        vowi_settle_held(t, &j->state);
    release(t, j, j->kept ? HOLD : 2 * HOLD);
}

/* In the drop of an input's value. */
static void
thread_exits_in_sweep(void *join)
{
    struct vowi_thread *t = vowi_self();

    (void)vowi_enter(t);
    let_go(t, join);
    end_sweep(t, join);
    vowi_leave_exiting(t);
}

/* Every entry of a join that was cut has arrived. */
static void
sweep(struct vowi_thread *t, struct vowi_join *j)
{
    pthread_cleanup_push(thread_exits_in_sweep, j);
    let_go(t, j);
    pthread_cleanup_pop(0);
    end_sweep(t, j);
}

static void
depart(struct vowi_thread *t, struct vowi_join *j)
{
    if ((vowi_sub_acq_rel(&j->left, OUT) & OUTS) == OUT) /* [left] */
        sweep(t, j);
}

static void
settle(struct vowi_thread *t, struct vowi_join *j)
{
    if (j->flags & ABANDONED) {
        vowi_abandon(t, &j->state);
        vowi_hold_release(t, &j->state);
    } else {
        vowi_settle_held(t, &j->state);
    }
}

static void
end_cut(struct vowi_thread *t, struct vowi_join *j)
{
    depart(t, j);
    leave_all(t);
}

/* In the drop of an outcome that nobody wants. */
static void
thread_exits_in_settle(void *join)
{
    struct vowi_thread *t = vowi_self();

    (void)vowi_enter(t);
    end_cut(t, join);
    vowi_leave_exiting(t);
}

/* The outcome is there. The caller is OUT until the end of this. */
static void
cut(struct vowi_thread *t, struct vowi_join *j)
{
    bool wait = (j->flags & VOWI_WAIT) != 0;

    if (!wait || (j->flags & VOWI_KEEP_OTHERS) == 0)
        unhang(t, j);
    pthread_cleanup_push(thread_exits_in_settle, j);
    if (!wait)
        settle(t, j);
    pthread_cleanup_pop(0);
    end_cut(t, j);
}

/*
 * Acquires what all have done with the join before, the start as well: whoever decided did
 * so relaxed. A child gives up on one that it was not told of.
 */
static void
wait_for_helpers(struct vowi_join *j)
{
    unsigned round = 0;

    while ((vowi_load_acquire(&j->left) & HELPERS) && /* [left] */
           vowi_spin_wait(&round))
        ;
}

/* Says the outcome of a join that is decided, and cuts it. */
static void
conclude(struct vowi_thread *t, struct vowi_join *j, int why)
{
    wait_for_helpers(j);
    if (why == VOWI_ABANDONED) /* no step may run, so it must not just fail */
        j->flags = (j->flags & ~VOWI_WAIT) | ABANDONED;
    else
        j->kept = j->kind->conclude(j, j->by);
    cut(t, j);
}

/* ---- arriving ----------------------------------------------------------------------------- */

static struct vowi_join *
join_of_task(vow_task *task)
{
    union vowi_task *as = vowi_container_of(task, union vowi_task, task);

    return entry_of(&as->node)->join;
}

static void
run_complete(vow_task *task, int why)
{
    struct vowi_thread *t = vowi_self();
    bool outermost = vowi_enter(t);

    (void)why; /* others have arrived as well: it was not all theirs to abandon */
    complete(t, join_of_task(task));
    vowi_leave(t, outermost);
}

static void
run_conclude(vow_task *task, int why)
{
    struct vowi_thread *t = vowi_self();
    bool outermost = vowi_enter(t);

    conclude(t, join_of_task(task), why);
    vowi_leave(t, outermost);
}

static void
run_sweep(vow_task *task, int why)
{
    struct vowi_thread *t = vowi_self();
    bool outermost = vowi_enter(t);

    (void)why;
    sweep(t, join_of_task(task));
    vowi_leave(t, outermost);
}

static void
later(struct vowi_thread *t, struct vowi_entry *e, vowi_run_fn *run, int why)
{
    vowi_node_clear(&e->node); /* it is a task again */
    e->node.run = run;
    e->node.as.queued.why = why;
    vowi_later(t, &e->node);
}

/* Whether an input that has settled decides. */
static bool
decides(struct vowi_join *j, size_t i)
{
    struct vow_state *s = vowi_state_or_nomem(j->inputs[i]);
    bool failed = vowi_error_in(s) != NULL;

    if (failed)
        vowi_mark_seen(s);
    if (j->kind->decides & (failed ? VOWI_BY_ERROR : VOWI_BY_VALUE))
        return true;
    return j->kind->counts != NULL && j->kind->counts(j, i, failed);
}

/* Decides, unless another one does; left is what was there before. */
static bool
decide(struct vowi_join *j, size_t i, uint64_t *left)
{
    if ((*left & DECIDED) || !decides(j, i))
        return false;
    /* relaxed: who concludes acquires first, and releases when it is OUT no more [left] */
    *left = vowi_or_relaxed(&j->left, DECIDED);
    if (*left & DECIDED)
        return false;
    j->by = i;
    if ((*left & ARMED) == 0)
        *left = vowi_or_release(&j->left, READY); /* [left] */
    return true;
}

/* It is OUT no more. Returns what was left before. */
static inline uint64_t
count_arrival(struct vowi_entry *e)
{
    return vowi_sub_acq_rel(&e->join->left, OUT); /* [left] */
}

static void
follow_arrival(struct vowi_thread *t, struct vowi_entry *e, uint64_t left, int why)
{
    if ((left & OUTS) == OUT)
        later(t, e, left & DECIDED ? run_sweep : run_complete, why);
}

/* Its last act is to be OUT no more, or to pass that on to what comes later. */
static void
arrive(struct vowi_thread *t, struct vowi_entry *e, int why)
{
    struct vowi_join *j = e->join;
    uint64_t left = vowi_load_relaxed(&j->left); /* relaxed: a hint */

    if (!decide(j, index_of(e), &left))
        follow_arrival(t, e, count_arrival(e), why);
    else if (left & ARMED)
        later(t, e, run_conclude, why);
    /* else vowi_join_start does it, and is OUT for it */
}

void
vowi_arrive(struct vowi_thread *t, struct vowi_node *n, int why)
{
    arrive(t, entry_of(n), why);
}

VOWI_NOINLINE static void
last_has_arrived(struct vowi_entry *e, uint64_t left)
{
    struct vowi_thread *t = vowi_self();
    bool outermost = vowi_enter(t);

    t->reads = 0;
    follow_arrival(t, e, left, 0);
    vowi_leave(t, outermost);
}

VOWI_NOINLINE static void
arrive_and_decide(struct vowi_entry *e)
{
    struct vowi_thread *t = vowi_self();
    bool outermost = vowi_enter(t);

    t->reads = 0;
    arrive(t, e, 0);
    vowi_leave(t, outermost);
}

/* Whether it decides nothing, whatever has arrived. */
static inline bool
value_is_only_counted(const struct vowi_join_kind *kind)
{
    return (kind->decides & VOWI_BY_VALUE) == 0 && kind->counts == NULL;
}

void
vowi_arrive_with_value(struct vowi_node *n)
{
    struct vowi_entry *e = entry_of(n);
    uint64_t left;

    if (vowi_unlikely(!value_is_only_counted(e->join->kind))) {
        arrive_and_decide(e);
        return;
    }
    left = count_arrival(e);
    if (vowi_unlikely((left & OUTS) == OUT))
        last_has_arrived(e, left);
    else
        vowi_self()->reads = 0;
}

/* Only marks what hangs on an input. */
void
vowi_join_hangs(vow_task *task, int why)
{
    (void)task;
    (void)why;
}

/* ---- starting and stopping ------------------------------------------------------------------ */

static void
hang_input(struct vowi_thread *t, struct vowi_join *j, size_t i)
{
    struct vowi_entry *e = &j->entries[i];

    if (j->inputs[i] == NULL || !hang(e, vowi_state(j->inputs[i])))
        arrive(t, e, 0);
}

/* relaxed: a hint, for the order matters to nobody. */
static bool
is_decided(struct vowi_join *j)
{
    return (vowi_load_relaxed(&j->left) & DECIDED) != 0;
}

static void
hang_inputs(struct vowi_thread *t, struct vowi_join *j)
{
    bool all = (j->flags & VOWI_WAIT) != 0;
    size_t i = 0;

    for (; i < j->n && (all || !is_decided(j)); i++) {
        j->entries[i].join = j;
        hang_input(t, j, i);
    }
    j->hung = i;
    for (; i < j->n; i++)
        j->entries[i].join = j;
}

/* All hang or have arrived: the start is OUT no more, or does what it has to. */
static void
arm(struct vowi_thread *t, struct vowi_join *j)
{
    uint64_t left = vowi_add_acq_rel(&j->left, ARMED - OUT); /* [left] */

    if (left & READY)
        conclude(t, j, 0);
    else if ((left & DECIDED) == 0 && (left & OUTS) == OUT)
        complete(t, j);
}

/* relaxed: whether it has a record was written here. */
static bool
has_token(struct vow_state *s)
{
    return (vowi_load_relaxed(&s->refs) & VOWI_HAS_RECORD) != 0;
}

vow_future *
vowi_join_start(struct vowi_join *j, vow_future *const *fs)
{
    struct vowi_thread *t = vowi_self();
    bool bound = has_token(&j->state);
    uint64_t left = HOLDS + (j->n + 1) * OUT;
    bool outermost = vowi_enter(t);

    if (j->kind->at_once)
        left = (left + OUT) | DECIDED | READY;
    atomic_init(&j->left, left);
    if (j->n != 0)
        memcpy(j->inputs, fs, j->n * sizeof *fs);
    hang_inputs(t, j);
    arm(t, j);
    if (bound)
        vowi_bind(t, &j->state);
    vowi_leave(t, outermost);
    return vowi_future(&j->state);
}

/* Claims what is neither decided nor complete; the caller is OUT then. relaxed: it has the
 * future, and with that all from before the start; what it does it releases at its end. */
static bool
claim(struct vowi_join *j)
{
    uint64_t left = vowi_load_relaxed(&j->left);

    do {
        if ((left & DECIDED) || (left & OUTS) == 0)
            return false;
    } while (!vowi_cas_relaxed(&j->left, &left, (left | DECIDED) + OUT));
    return true;
}

void
vowi_join_stop(struct vowi_thread *t, struct vow_state *s, const vow_error *error)
{
    struct vowi_join *j = join_of(s);

    if (!claim(j))
        return;
    wait_for_helpers(j);
    j->reason = vow_error_ref(error);
    vowi_set_error(s, vow_error_ref(error));
    cut(t, j);
}

/* ---- helping ----------------------------------------------------------------------------- */

enum { LOOKS = 64 }; /* at so many inputs does a helper look at a time */

/* relaxed: as in claim. While it is OUT nobody changes what it looks at. */
static bool
count_helper(struct vowi_join *j)
{
    uint64_t left = vowi_load_relaxed(&j->left);

    do {
        if ((left & DECIDED) || (left & ARMED) == 0 || (left & OUTS) == 0 ||
            (left & HELPERS) == HELPERS)
            return false;
    } while (!vowi_cas_relaxed(&j->left, &left, left + HELPER + OUT));
    return true;
}

bool
vowi_join_help_begin(struct vowi_thread *t, struct vow_state *s)
{
    vowi_thread_register(t);
    vowi_store_release(&t->helps, s); /* [awaited] */
    if (count_helper(join_of(s)))
        return true;
    vowi_store_release(&t->helps, NULL); /* [awaited] */
    return false;
}

void
vowi_join_help_end(struct vowi_thread *t, struct vow_state *s)
{
    struct vowi_join *j = join_of(s);
    uint64_t left = vowi_sub_acq_rel(&j->left, HELPER + OUT); /* [left] */
    bool outermost;

    vowi_store_release(&t->helps, NULL); /* [awaited] */
    if ((left & OUTS) != OUT)
        return;
    outermost = vowi_enter(t);
    if (left & DECIDED)
        sweep(t, j);
    else
        complete(t, j);
    vowi_leave(t, outermost);
}

/* One that nobody else is OUT of may still be asked to stop. relaxed: there is one thread. */
void
vowi_join_lose_helpers(struct vow_state *s)
{
    struct vowi_join *j = join_of(s);
    uint64_t left = vowi_load_relaxed(&j->left);
    uint64_t helpers = (left & HELPERS) / HELPER;
    uint64_t outs = (left & OUTS) == helpers && helpers != 0 ? helpers - 1 : helpers;

    vowi_store_relaxed(&j->left, left - helpers * HELPER - outs * OUT);
}

/* relaxed: where to look is a hint. Returns an input that is pending. */
static struct vowi_visit
look(struct vowi_join *j)
{
    size_t i = vowi_load_relaxed(&j->helped);
    size_t end = j->n - i > LOOKS ? i + LOOKS : j->n;
    struct vowi_visit found = {NULL, 0};

    for (; i < end && found.state == NULL; i++)
        if (j->inputs[i] != NULL && !vowi_settled(vowi_state(j->inputs[i])))
            found = vowi_visit_begin(vowi_state(j->inputs[i]));
    vowi_store_relaxed(&j->helped, found.state != NULL ? i - 1 : i);
    return found;
}

struct vowi_visit
vowi_join_needs(struct vowi_thread *t, struct vow_state *s)
{
    struct vowi_join *j = join_of(s);
    struct vowi_visit found = {NULL, 0};

    if (!j->kind->needs_all)
        return found;
    /* relaxed: a hint */
    while (found.state == NULL && vowi_load_relaxed(&j->helped) < j->n &&
           vowi_join_help_begin(t, s)) {
        found = look(j);
        vowi_join_help_end(t, s);
    }
    return found;
}

/* ---- whether it can end --------------------------------------------------------------------- */

enum { MOST_ASKED = 1000 }; /* of more inputs one may always settle */

/*
 * The same as vowi_join_help_end, where nothing of a user's may run: what follows waits on the
 * trampoline. The first entry takes it there, since all have arrived. Nobody has decided:
 * who does is OUT, and waits for those that ask. Not noted, since the lock under which it is
 * asked is one that a fork takes.
 */
static void
ask_end(struct vowi_thread *t, struct vowi_join *j)
{
    uint64_t left = vowi_sub_acq_rel(&j->left, HELPER + OUT); /* [left] */

    if ((left & OUTS) != OUT)
        return;
    vowi_assert((left & DECIDED) == 0);
    later(t, &j->entries[0], run_complete, 0);
}

/* Whether more is OUT than the helpers and so many inputs: something is under way. relaxed:
 * those inputs have not settled, and what else changes the word makes it greater. */
static bool
is_moving(struct vowi_join *j, size_t pending)
{
    uint64_t left = vowi_load_relaxed(&j->left);

    return (left & DECIDED) != 0 ||
           (left & OUTS) / OUT - (left & HELPERS) / HELPER != pending;
}

static bool
inputs_may_end(struct vowi_join *j, bool (*may_end)(struct vow_state *input))
{
    size_t pending = 0;

    for (size_t i = 0; i < j->n; i++) {
        vow_future *f = j->inputs[i];

        if (f == NULL || vowi_settled(vowi_state(f)))
            continue;
        if (may_end(vowi_state(f)))
            return true;
        pending++;
    }
    return is_moving(j, pending);
}

bool
vowi_join_may_end(struct vowi_thread *t, struct vow_state *s,
                  bool (*may_end)(struct vow_state *input))
{
    struct vowi_join *j = join_of(s);
    bool asks = j->n <= MOST_ASKED && count_helper(j);
    bool live;

    vowi_unlock_word(s);
    if (!asks)
        return true;
    live = inputs_may_end(j, may_end);
    ask_end(t, j);
    return live;
}

/* relaxed: a hint, which another thread's may replace. */
void
vowi_join_skip(struct vow_state *s)
{
    struct vowi_join *j = join_of(s);
    size_t i = vowi_load_relaxed(&j->helped);

    if (i < j->n)
        vowi_store_relaxed(&j->helped, i + 1);
}
