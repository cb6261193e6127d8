/* SPDX-License-Identifier: MIT */
/*
 * Random graphs, on the library and on a model of it.
 *
 * A graph is a list of actions: make a promise, hang a step of any kind on a future,
 * inline or on a manual executor, combine some, hold one twice, let go of one, cancel
 * one, settle a promise, run a task. Steps may settle promises and cancel futures as
 * well. Each action is done on the library, and on a model below that knows one thread,
 * counts by plain numbers, and says in a page each what a settle, a request to stop and
 * a combinator do. After each, all that can be seen must agree: how every future stands
 * and with what, how often each step ran, what was dropped.
 *
 *     test_graph                 100,000 graphs (VOW_GRAPHS says how many)
 *     test_graph SEED [N]        N of them from a seed on; one says what it does
 *
 * A failure prints its seed.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vow/vow.h>

enum { MOST = 160, WIDEST = 5, ACTIONS = 48, NONE = -1, NOBODY = -2 };

static uint64_t seed; /* of the graph */
static int action;    /* the number of the one that is done */
static bool says;     /* whether to print what is done */

#define say(...) (says ? (void)(printf("  " __VA_ARGS__), putchar('\n')) : (void)0)

#define agree(expected, actual, ...)                                                     \
    do {                                                                                 \
        long long expected_ = (expected), actual_ = (actual);                            \
        if (expected_ != actual_)                                                        \
            disagree(__LINE__, expected_, actual_, __VA_ARGS__);                         \
    } while (0)

__attribute__((format(printf, 4, 5))) static void
disagree(int line, long long expected, long long actual, const char *format, ...)
{
    char what[200];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    fail_msg("seed %llu, action %d, line %d: %s: the model has %lld, the library %lld",
             (unsigned long long)seed, action, line, what, expected, actual);
}

/* ---- dice -------------------------------------------------------------------------------- */

static uint64_t dice;

/* Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014. */
static unsigned
roll(unsigned sides)
{
    uint64_t z = dice += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ (z >> 31)) >> 33) % sides;
}

static bool
chance(unsigned one_in)
{
    return roll(one_in) == 0;
}

/* ---- the model: what states hold ------------------------------------------------------------ */

enum what { VALUE, RESULTS, WINNER, ERROR, INDEXED, AGGREGATE };

/* What a state settled with: shared by those it was passed on to. */
struct object {
    enum what what;
    int refs;
    int code;             /* of an error */
    int index;            /* of a winner, or of what failed */
    int n;                /* of results, or of an aggregate */
    int states[WIDEST];   /* results, a winner, an aggregate: referenced, or NONE */
    int indices[WIDEST];  /* of results */
    struct object *cause; /* INDEXED */
    int dropped;          /* VALUE: in the model */
    int really_dropped;   /* VALUE: in the library */
};

enum kind { PROMISE, STEP, JOIN };
enum step_kind { THEN, CATCH, CATCH_IF, HANDLE, FINALLY };
enum join_kind { ALL, SETTLED, WHEN_ANY, RACE, ANY, SOME };
enum { STEP_KINDS = FINALLY + 1, JOIN_KINDS = SOME + 1 };
enum hook { NO_HOOK, OBEYS, IGNORES };

/* What a step, or a promise that is settled, comes to. */
enum result { GIVES, FAILS, FORWARDS };
enum deed { NOTHING, SETTLES, CANCELS };

/* What hangs on a state: a step, or an entry of a join. */
struct hanger {
    int who;
    int entry;
};

struct state {
    enum kind kind;
    vow_future *future[3]; /* references of the program to it */
    int consumers;
    int promises;
    bool settled;
    bool checked; /* its outcome has been compared */
    struct object *outcome;
    int hangers;
    struct hanger hanger[MOST];

    /* A promise. */
    vow_promise *promise;
    enum hook hook;
    bool stopping;
    int asked, really_asked;

    /* A step. */
    enum step_kind step;
    bool manual;
    int source;
    bool claimed;
    enum result result;
    struct object *gives; /* what the library's step returned, if it gives a value */
    enum deed deed;
    int deed_on;
    int ran, really_ran;
    int ctx_dropped, ctx_really_dropped;

    /* A join. */
    enum join_kind join;
    bool keep, wait, armed, decided, ready;
    int n, hung, out, by, wanted;
    int order[WIDEST], arrived; /* what arrived, in order */
    int inputs[WIDEST];
};

/* What waits for its turn in the thread that settles. */
enum turn_kind { RUN, CONCLUDE, COMPLETE, SWEEP, HOOK };
struct turn {
    enum turn_kind kind;
    int who;
};

static struct {
    struct state states[MOST];
    int count;
    struct object objects[4 * MOST];
    int object_count;
    struct turn turns[8 * MOST];
    int first_turn, last_turn;
    int queue[MOST]; /* of the manual executor */
    int first_task, last_task;
    struct hanger leaves[4 * MOST];
    int first_leave, last_leave;
    bool leaving;
    vow_manual *manual;
} world;

/* Millions of times, for which cmocka's own check of a range takes too long. */
static struct state *
state(int id)
{
    if (id < 0 || id >= world.count)
        fail_msg("there is no state %d", id);
    return &world.states[id];
}

static struct object *
object_new(enum what what)
{
    struct object *o = &world.objects[world.object_count++];

    assert_true(world.object_count <= 4 * MOST);
    memset(o, 0, sizeof *o);
    o->what = what;
    o->refs = 1;
    return o;
}

static struct object *
error_new(int code)
{
    struct object *o = object_new(ERROR);

    o->code = code;
    return o;
}

static struct object *
object_ref(struct object *o)
{
    o->refs++;
    return o;
}

static void model_unref(int id);

static void
object_unref(struct object *o)
{
    if (--o->refs > 0)
        return;
    if (o->what == VALUE)
        o->dropped++;
    if (o->cause != NULL)
        object_unref(o->cause);
    for (int i = 0; i < o->n; i++)
        if (o->states[i] >= 0)
            model_unref(o->states[i]);
}

static bool
is_error(const struct object *o)
{
    return o->what >= ERROR;
}

/* ---- the model: settling ----------------------------------------------------------------------- */

static void
later(enum turn_kind kind, int who)
{
    world.turns[world.last_turn++] = (struct turn){kind, who};
    assert_true(world.last_turn < 8 * MOST);
}

static bool
is_skipped(const struct state *step)
{
    const struct object *in = state(step->source)->outcome;

    switch (step->step) {
    case THEN:
        return is_error(in);
    case CATCH:
        return !is_error(in);
    case CATCH_IF:
        for (; in != NULL && is_error(in); in = in->cause)
            if (in->code == EIO)
                return false;
        return true;
    case HANDLE:
    case FINALLY:
        break;
    }
    return false;
}

static void
deliver_step(int id)
{
    if (state(id)->manual && !is_skipped(state(id)))
        world.queue[world.last_task++] = id;
    else
        later(RUN, id);
}

static void arrive(int id, int entry);

static void
free_if_unused(int id)
{
    struct state *s = state(id);

    if (s->settled && s->consumers == 0 && s->promises == 0 && s->outcome != NULL) {
        struct object *o = s->outcome;

        s->outcome = NULL;
        object_unref(o);
    }
}

/* Consumes the object. */
static void
model_settle(int id, struct object *o)
{
    struct state *s = state(id);

    s->settled = true;
    s->outcome = o;
    for (int i = 0; i < s->hangers; i++)
        if (s->hanger[i].entry == NONE)
            deliver_step(s->hanger[i].who);
        else
            arrive(s->hanger[i].who, s->hanger[i].entry);
    s->hangers = 0;
    free_if_unused(id);
}

static void
model_unref(int id)
{
    state(id)->consumers--;
    free_if_unused(id);
}

static void
hang(int on, int who, int entry)
{
    struct state *s = state(on);

    s->hanger[s->hangers++] = (struct hanger){who, entry};
}

static void
unhang(int on, int who, int entry)
{
    struct state *s = state(on);

    for (int i = 0; i < s->hangers; i++)
        if (s->hanger[i].who == who && s->hanger[i].entry == entry) {
            memmove(&s->hanger[i], &s->hanger[i + 1],
                    (size_t)(s->hangers - i - 1) * sizeof s->hanger[0]);
            s->hangers--;
            return;
        }
}

/* ---- the model: stopping ------------------------------------------------------------------------- */

static void join_stop(int id);

static void
promise_stop(int id)
{
    struct state *s = state(id);

    if (s->stopping)
        return;
    s->stopping = true;
    if (s->hook != NO_HOOK && s->promises > 0)
        later(HOOK, id);
    else
        model_settle(id, error_new(VOW_E_CANCELLED));
}

/* Returns what to ask next: its source, if nobody else wants it. */
static int
step_stop(int id)
{
    struct state *s = state(id);

    if (s->claimed)
        return NONE;
    s->claimed = true;
    s->ctx_dropped++;
    model_settle(id, error_new(VOW_E_CANCELLED));
    if (!state(s->source)->settled)
        unhang(s->source, id, NONE);
    if (state(s->source)->consumers == 1)
        return s->source;
    model_unref(s->source);
    return NONE;
}

static void
request_stop(int id)
{
    state(id)->consumers++;
    while (id != NONE) {
        struct state *s = state(id);
        int next = NONE;

        if (!s->settled && s->kind == PROMISE)
            promise_stop(id);
        else if (!s->settled && s->kind == JOIN)
            join_stop(id);
        else if (!s->settled)
            next = step_stop(id);
        model_unref(id);
        id = next;
    }
}

static void
give_up(int id, bool ask)
{
    if (ask && state(id)->consumers == 1)
        request_stop(id);
    model_unref(id);
}

/* ---- the model: joins ----------------------------------------------------------------------------- */

static bool
input_failed(const struct state *j, int i)
{
    return j->inputs[i] == NOBODY || is_error(state(j->inputs[i])->outcome);
}

static int
count_arrived(const struct state *j, bool failed)
{
    int n = 0;

    for (int i = 0; i < j->arrived; i++)
        n += input_failed(j, j->order[i]) == failed;
    return n;
}

static bool
decides(struct state *j, int entry)
{
    bool failed = input_failed(j, entry);

    j->order[j->arrived++] = entry;
    switch (j->join) {
    case ALL:
        return failed;
    case SETTLED:
        return false;
    case WHEN_ANY:
    case RACE:
        return true;
    case ANY:
        return !failed;
    case SOME:
        break;
    }
    return count_arrived(j, failed) == (failed ? j->n - j->wanted + 1 : j->wanted);
}

static void
arrive(int id, int entry)
{
    struct state *j = state(id);

    if (!j->decided && decides(j, entry)) {
        j->decided = true;
        j->by = entry;
        if (j->armed)
            later(CONCLUDE, id);
        else
            j->ready = true;
        return;
    }
    if (--j->out == 0)
        later(j->decided ? SWEEP : COMPLETE, id);
}

static int
take_input(struct state *j, int i)
{
    int input = j->inputs[i];

    j->inputs[i] = NONE;
    return input;
}

static struct object *
indexed(const struct state *j, int i)
{
    struct object *cause = j->inputs[i] == NOBODY
                               ? error_new(VOW_E_NOMEM)
                               : object_ref(state(j->inputs[i])->outcome);
    struct object *o = object_new(INDEXED);

    o->code = cause->code;
    o->index = i;
    o->cause = cause;
    return o;
}

/* All that has arrived and failed, or not; of results, in the order of arrival. */
static struct object *
collect(struct state *j, bool failed)
{
    struct object *o = object_new(failed ? AGGREGATE : RESULTS);

    o->code = VOW_E_AGGREGATE;
    o->n = failed ? j->n : j->wanted;
    for (int i = 0; i < WIDEST; i++)
        o->states[i] = NONE;
    for (int i = 0, k = 0; i < j->arrived; i++) {
        int at = j->order[i];

        if (input_failed(j, at) != failed)
            continue;
        o->indices[failed ? at : k] = at;
        o->states[failed ? at : k] = take_input(j, at);
        k++;
    }
    return o;
}

static struct object *
passed_on(struct state *j, int i)
{
    return j->inputs[i] == NOBODY ? error_new(VOW_E_NOMEM)
                                  : object_ref(state(j->inputs[i])->outcome);
}

/* What a join that is decided settles with; no single one decided: by is NONE. */
static struct object *
outcome_of(struct state *j)
{
    struct object *o;

    switch (j->join) {
    case ALL:
    case SETTLED:
        if (j->by != NONE)
            return indexed(j, j->by);
        o = object_new(RESULTS);
        o->n = j->n;
        for (int i = 0; i < j->n; i++) {
            o->indices[i] = i;
            o->states[i] = take_input(j, i);
        }
        return o;
    case WHEN_ANY:
        if (j->by == NONE)
            return error_new(VOW_E_EMPTY);
        o = object_new(WINNER);
        o->index = j->by;
        o->n = 1;
        o->states[0] = take_input(j, j->by);
        return o;
    case RACE:
        return j->by == NONE ? error_new(VOW_E_EMPTY) : passed_on(j, j->by);
    case ANY:
        if (j->by != NONE)
            return passed_on(j, j->by);
        return j->n == 0 ? error_new(VOW_E_EMPTY) : collect(j, true);
    case SOME:
        break;
    }
    if (j->by == NONE && j->n == 0)
        return error_new(VOW_E_EMPTY);
    if (j->by == NONE && j->wanted > 0)
        return error_new(VOW_E_INVALID);
    return collect(j, j->by != NONE && input_failed(j, j->by));
}

static void
sweep(int id)
{
    struct state *j = state(id);

    for (int i = 0; i < j->n; i++)
        if (j->inputs[i] >= 0)
            give_up(take_input(j, i), false);
    if (j->wait) {
        struct object *o = j->outcome;

        j->outcome = NULL;
        model_settle(id, o);
    }
}

static void
depart(int id)
{
    if (--state(id)->out == 0)
        sweep(id);
}

static void
leave_entry(struct hanger h)
{
    struct state *j = state(h.who);
    int input = take_input(j, h.entry);
    bool hangs = false;

    if (input >= 0) {
        if (j->wait && !state(input)->settled) {
            hang(input, h.who, h.entry);
            hangs = true;
        }
        give_up(input, !j->keep);
    }
    if (!hangs)
        depart(h.who);
}

static void
leave_all(void)
{
    if (world.leaving)
        return;
    world.leaving = true;
    while (world.first_leave < world.last_leave)
        leave_entry(world.leaves[world.first_leave++]);
    world.leaving = false;
}

/* Consumes the outcome. */
static void
cut(int id, struct object *o)
{
    struct state *j = state(id);

    for (int i = 0; i < j->n && !(j->wait && j->keep); i++) {
        bool pending = j->inputs[i] >= 0 && !state(j->inputs[i])->settled;

        if (i < j->hung && !pending)
            continue;
        if (i < j->hung)
            unhang(j->inputs[i], id, i);
        world.leaves[world.last_leave++] = (struct hanger){id, i};
    }
    if (j->wait)
        j->outcome = o;
    else
        model_settle(id, o);
    depart(id);
    leave_all();
}

static void
join_stop(int id)
{
    struct state *j = state(id);

    if (j->decided || j->out == 0)
        return;
    j->decided = true;
    j->out++;
    cut(id, error_new(VOW_E_CANCELLED));
}

static void
conclude(int id)
{
    cut(id, outcome_of(state(id)));
}

static void
complete(int id)
{
    model_settle(id, outcome_of(state(id)));
}

static void
model_start(int id)
{
    struct state *j = state(id);
    bool at_once = j->join == SOME && (j->wanted == 0 || j->wanted > j->n);
    int i = 0;

    j->by = NONE;
    j->out = j->n + 1 + at_once;
    j->decided = j->ready = at_once;
    for (; i < j->n && (j->wait || !j->decided); i++)
        if (j->inputs[i] == NOBODY || state(j->inputs[i])->settled)
            arrive(id, i);
        else
            hang(j->inputs[i], id, i);
    j->hung = i;
    j->armed = true;
    j->out--;
    if (j->ready)
        conclude(id);
    else if (!j->decided && j->out == 0)
        complete(id);
}

/* ---- the model: steps ------------------------------------------------------------------------------- */

static void
model_fulfill(int id, struct object *o)
{
    if (state(id)->settled)
        object_unref(o);
    else
        model_settle(id, o);
}

static bool is_held(int id);

/* What a step does besides; the same for the model and, below, for the library. */
static void
model_deed(const struct state *s)
{
    if (s->deed == SETTLES && state(s->deed_on)->promises > 0)
        model_fulfill(s->deed_on, error_new(EPERM));
    else if (s->deed == CANCELS && is_held(s->deed_on))
        request_stop(s->deed_on);
}

static void
model_run(int id)
{
    struct state *s = state(id);
    struct object *o;

    if (s->claimed)
        return;
    s->claimed = true;
    o = state(s->source)->outcome;
    if (is_skipped(s)) {
        object_ref(o);
    } else {
        s->ran++;
        model_deed(s);
        if (s->result == GIVES && s->step != FINALLY)
            o = object_ref(s->gives);
        else if (s->result == FAILS && s->step != FINALLY)
            o = error_new(EIO);
        else
            object_ref(o);
    }
    s->ctx_dropped++;
    model_settle(id, o);
    model_unref(s->source);
}

static void
model_hook(int id)
{
    struct state *s = state(id);

    if (s->settled)
        return;
    s->asked++;
    if (s->hook == OBEYS)
        model_settle(id, error_new(VOW_E_CANCELLED));
}

static void
drain(void)
{
    while (world.first_turn < world.last_turn) {
        struct turn t = world.turns[world.first_turn++];

        switch (t.kind) {
        case RUN:
            model_run(t.who);
            break;
        case CONCLUDE:
            conclude(t.who);
            break;
        case COMPLETE:
            complete(t.who);
            break;
        case SWEEP:
            sweep(t.who);
            break;
        case HOOK:
            model_hook(t.who);
        }
    }
    world.first_turn = world.last_turn = 0;
    world.first_leave = world.last_leave = 0;
}

/* ---- the library's side -------------------------------------------------------------------------------- */

static void
drop_counter(void *counter)
{
    ++*(int *)counter;
}

static vow_value
value_of(struct object *o)
{
    return vow_own(&o->really_dropped, drop_counter);
}

static struct state *
state_of_ctx(void *ctx)
{
    return (struct state *)(void *)((char *)ctx -
                                    offsetof(struct state, ctx_really_dropped));
}

static vow_future *
any_reference(int id)
{
    const struct state *s = state(id);

    for (int i = 0; i < 3; i++)
        if (s->future[i] != NULL)
            return s->future[i];
    return NULL;
}

static bool
is_held(int id)
{
    return any_reference(id) != NULL;
}

static void
real_deed(const struct state *s)
{
    if (s->deed == SETTLES)
        vow_promise_reject(state(s->deed_on)->promise, vow_error_new(EPERM, "a deed"));
    else if (s->deed == CANCELS)
        vow_future_cancel(any_reference(s->deed_on), NULL);
}

static vow_result
real_step(void *ctx)
{
    struct state *s = state_of_ctx(ctx);

    s->really_ran++;
    agree(0, s->ctx_really_dropped, "a step runs whose context was dropped");
    real_deed(s);
    switch (s->result) {
    case GIVES:
        return vow_ok(value_of(s->gives));
    case FAILS:
        return vow_fail(EIO, "a step");
    case FORWARDS:
        break;
    }
    return vow_forward();
}

static vow_result
real_then(vow_value in, void *ctx)
{
    vow_result r = real_step(ctx);

    /* The same as to forward, if there is something to be freed. */
    return state_of_ctx(ctx)->result == FORWARDS && in.as.ptr != NULL ? vow_ok(in) : r;
}

static vow_result
real_catch(const vow_error *error, void *ctx)
{
    (void)error;
    return real_step(ctx);
}

static vow_result
real_handle(vow_view in, void *ctx)
{
    (void)in;
    return real_step(ctx);
}

static void
real_finally(void *ctx)
{
    struct state *s = state_of_ctx(ctx);

    s->really_ran++;
    real_deed(s);
}

static void
real_hook(vow_promise *p, const vow_error *reason, void *ctx)
{
    struct state *s = (struct state *)ctx;

    agree(VOW_E_CANCELLED, vow_error_code(reason), "the reason of a request");
    s->really_asked++;
    if (s->hook == OBEYS)
        vow_promise_reject(p, vow_error_of(VOW_E_CANCELLED));
}

/* ---- comparing --------------------------------------------------------------------------------------------- */

static void compare_outcome(const struct object *o, vow_view view);

static void
compare_held(int id, vow_view view)
{
    if (id == NOBODY)
        agree(VOW_E_NOMEM, vow_error_code(view.error), "an input without memory");
    else
        compare_outcome(state(id)->outcome, view);
}

static void
compare_error(const struct object *o, const vow_error *e)
{
    agree(o->code, vow_error_code(e), "the code of an error");
    if (o->what == INDEXED) {
        agree(o->index, vow_error_index(e), "the index of what failed");
        compare_error(o->cause, vow_error_cause(e));
    }
    agree(o->what == AGGREGATE ? o->n : 0, (long long)vow_error_count(e),
          "how many an error stands for");
    for (int i = 0; o->what == AGGREGATE && i < o->n; i++) {
        vow_view view = {VOW_NIL, vow_error_at(e, (size_t)i)};

        agree(o->states[i] != NONE, view.error != NULL, "whether input %d failed", i);
        if (view.error != NULL)
            compare_held(o->states[i], view);
    }
}

static void
compare_results(const struct object *o, const vow_results *r)
{
    agree(o->n, (long long)vow_results_count(r), "how many results");
    for (int i = 0; i < o->n; i++) {
        agree(o->indices[i], (long long)vow_results_index(r, (size_t)i),
              "which input result %d is", i);
        compare_held(o->states[i], vow_results_at(r, (size_t)i));
    }
}

static void
compare_outcome(const struct object *o, vow_view view)
{
    agree(is_error(o), view.error != NULL, "whether it failed");
    switch (o->what) {
    case VALUE:
        assert_ptr_equal(view.value.as.ptr, &o->really_dropped);
        break;
    case RESULTS:
        compare_results(o, view.value.as.ptr);
        break;
    case WINNER:
        agree(o->index, (long long)((const vow_winner *)view.value.as.ptr)->index,
              "who won");
        compare_held(o->states[0], ((const vow_winner *)view.value.as.ptr)->result);
        break;
    case ERROR:
    case INDEXED:
    case AGGREGATE:
        compare_error(o, view.error);
    }
}

static void
compare_state(int id)
{
    struct state *s = state(id);
    vow_future *f = any_reference(id);

    agree(s->ran, s->really_ran, "how often step %d ran", id);
    agree(s->ctx_dropped, s->ctx_really_dropped, "drops of the context of %d", id);
    agree(s->asked, s->really_asked, "how often promise %d was asked to stop", id);
    if (f == NULL || s->checked)
        return;
    agree(s->settled, vow_future_status(f) != VOW_PENDING, "whether %d has settled", id);
    if (!s->settled)
        return;
    compare_outcome(s->outcome, vow_peek(f));
    s->checked = true;
}

static void
compare_all(void)
{
    for (int i = 0; i < world.count; i++)
        compare_state(i);
    if (world.first_task != world.last_task)
        return; /* what is queued may hold what it came from until its turn */
    for (int i = 0; i < world.object_count; i++)
        if (world.objects[i].what == VALUE)
            agree(world.objects[i].dropped, world.objects[i].really_dropped,
                  "drops of value %d", i);
}

/* ---- actions ---------------------------------------------------------------------------------------------------- */

static int
state_new(enum kind kind)
{
    struct state *s = &world.states[world.count];

    assert_true(world.count < MOST);
    memset(s, 0, offsetof(struct state, hanger));
    memset((char *)s + offsetof(struct state, promise), 0,
           sizeof *s - offsetof(struct state, promise));
    s->kind = kind;
    s->source = NONE;
    return world.count++;
}

static void
act_promise(void)
{
    int id = state_new(PROMISE);
    struct state *s = state(id);

    s->promise = vow_promise_new();
    s->promises = 1;
    s->future[0] = vow_promise_future(s->promise);
    s->consumers = 1;
    s->hook = chance(3) ? OBEYS + (enum hook)roll(2) : NO_HOOK;
    if (s->hook != NO_HOOK)
        vow_promise_on_cancel(s->promise, NULL, real_hook, vow_ptr(s));
    say("%d: a promise, hook %d", id, (int)s->hook);
}

/* Some future of the program's, and its place; NONE if there is none. */
static int
any_held(int *place)
{
    for (int tries = 0; tries < 20; tries++) {
        int id = (int)roll((unsigned)world.count);

        *place = (int)roll(3);
        if (state(id)->future[*place] != NULL)
            return id;
    }
    return NONE;
}

static vow_future *
take_reference(int id, int place)
{
    vow_future *f = state(id)->future[place];

    state(id)->future[place] = NULL;
    return f;
}

static vow_future *
real_attach(struct state *s, vow_future *f)
{
    vow_executor *on = s->manual ? vow_manual_executor(world.manual) : NULL;
    vow_value ctx = vow_own(&s->ctx_really_dropped, drop_counter);

    switch (s->step) {
    case THEN:
        return vow_then(f, on, real_then, ctx);
    case CATCH:
        return vow_catch(f, on, real_catch, ctx);
    case CATCH_IF:
        return vow_catch_if(f, EIO, on, real_catch, ctx);
    case HANDLE:
        return vow_handle(f, on, real_handle, ctx);
    case FINALLY:
        break;
    }
    return vow_finally(f, on, real_finally, ctx);
}

/* Not on itself, nor on what hangs on it: only on what was there before. */
static void
choose_deed(struct state *s, int id)
{
    if (!chance(4))
        return;
    s->deed_on = (int)roll((unsigned)id);
    if (state(s->deed_on)->kind == PROMISE && chance(2))
        s->deed = SETTLES;
    else
        s->deed = CANCELS;
}

static void
act_step(void)
{
    int place;
    int source = any_held(&place);
    int id;
    struct state *s;

    if (source == NONE)
        return;
    id = state_new(STEP);
    s = state(id);
    s->step = (enum step_kind)roll(STEP_KINDS);
    s->manual = chance(3);
    s->source = source;
    s->result = (enum result)roll(3);
    s->consumers = 1;
    if (s->result == GIVES) {
        s->gives = object_new(VALUE);
        s->gives->refs = 0;
    }
    choose_deed(s, id);
    say("%d: step %d on %d, manual %d, result %d, deed %d on %d", id, (int)s->step,
        source, s->manual, (int)s->result, (int)s->deed, s->deed_on);
    s->future[0] = NULL;
    if (state(source)->settled)
        deliver_step(id);
    else
        hang(source, id, NONE);
    {
        vow_future *f = take_reference(source, place);

        drain();
        s->future[0] = real_attach(s, f);
    }
}

static vow_future *
real_combine(const struct state *j, vow_future *const *fs)
{
    vow_combine_options opt =
        VOW_COMBINE_OPTIONS(.flags = (j->keep ? VOW_KEEP_OTHERS : 0u) |
                                     (j->wait ? VOW_WAIT : 0u));
    size_t n = (size_t)j->n;

    switch (j->join) {
    case ALL:
        return vow_when_all_with(&opt, fs, n);
    case SETTLED:
        return vow_when_all_settled_with(&opt, fs, n);
    case WHEN_ANY:
        return vow_when_any_with(&opt, fs, n);
    case RACE:
        return vow_race_with(&opt, fs, n);
    case ANY:
        return vow_any_with(&opt, fs, n);
    case SOME:
        break;
    }
    return vow_some_with(&opt, (size_t)j->wanted, fs, n);
}

/* One input: a future of the program's, or a new reference to one, or NULL. */
static vow_future *
choose_input(struct state *j)
{
    int place;
    int id = chance(20) ? NONE : any_held(&place);

    if (id == NONE) {
        j->inputs[j->n++] = NOBODY;
        return NULL;
    }
    j->inputs[j->n++] = id;
    if (chance(3)) {
        state(id)->consumers++;
        return vow_ref(state(id)->future[place]);
    }
    return take_reference(id, place);
}

static void
act_join(void)
{
    vow_future *fs[WIDEST];
    struct state fresh = {.kind = JOIN};
    int n = (int)roll(WIDEST + 1);
    int id;
    struct state *j = &fresh;

    while (j->n < n) {
        int at = j->n;

        fs[at] = choose_input(j);
    }
    id = state_new(JOIN);
    j = state(id);
    j->n = n;
    memcpy(j->inputs, fresh.inputs, sizeof j->inputs);
    j->join = (enum join_kind)roll(JOIN_KINDS);
    j->keep = chance(4);
    j->wait = chance(4);
    j->wanted = (int)roll((unsigned)n + 2);
    j->consumers = 1;
    say("%d: join %d of %d (%d %d %d %d %d), keep %d, wait %d, wanted %d", id,
        (int)j->join, n, j->inputs[0], j->inputs[1], j->inputs[2], j->inputs[3],
        j->inputs[4], j->keep, j->wait, j->wanted);
    model_start(id);
    drain();
    j->future[0] = real_combine(j, fs);
}

static void
act_ref(void)
{
    int place;
    int id = any_held(&place);

    for (int i = 0; id != NONE && i < 3; i++)
        if (state(id)->future[i] == NULL) {
            say("%d: one more reference", id);
            state(id)->future[i] = vow_ref(state(id)->future[place]);
            state(id)->consumers++;
            return;
        }
}

static void
let_go(int id, int place)
{
    say("%d: let go of", id);
    model_unref(id);
    drain();
    vow_ignore(take_reference(id, place));
}

static void
act_unref(void)
{
    int place;
    int id = any_held(&place);

    if (id != NONE)
        let_go(id, place);
}

static void
act_cancel(void)
{
    int place;
    int id = any_held(&place);

    if (id == NONE)
        return;
    say("%d: cancel", id);
    request_stop(id);
    drain();
    vow_future_cancel(state(id)->future[place], NULL);
}

static int
any_promise(void)
{
    for (int tries = 0; tries < 10; tries++) {
        int id = (int)roll((unsigned)world.count);

        if (state(id)->promises > 0)
            return id;
    }
    return NONE;
}

static void
settle_promise(int id)
{
    vow_promise *p = state(id)->promise;

    if (chance(3)) {
        say("%d: fail", id);
        model_fulfill(id, error_new(EIO));
        drain();
        vow_promise_reject(p, vow_error_new(EIO, "input"));
    } else {
        struct object *o = object_new(VALUE);

        say("%d: fulfill", id);
        model_fulfill(id, o);
        drain();
        vow_promise_fulfill(p, value_of(o));
    }
}

static void
let_go_of_promise(int id)
{
    struct state *s = state(id);
    vow_promise *p = s->promise;

    say("%d: let go of the promise", id);
    if (!s->settled)
        model_settle(id, error_new(VOW_E_BROKEN));
    s->promises = 0;
    free_if_unused(id);
    drain();
    vow_promise_unref(p);
    s->promise = NULL;
}

static void
act_settle(void)
{
    int id = any_promise();

    if (id == NONE)
        return;
    if (!chance(8))
        settle_promise(id);
    compare_all();
    if (chance(2))
        let_go_of_promise(id);
}

static bool
run_task(void)
{
    if (world.first_task == world.last_task)
        return false;
    say("%d: its task runs", world.queue[world.first_task]);
    model_run(world.queue[world.first_task++]);
    drain();
    assert_true(vow_manual_step(world.manual));
    return true;
}

/* ---- graphs --------------------------------------------------------------------------------------------------------- */

static void
act(void)
{
    unsigned n = roll(20);

    if (n < 4)
        act_promise();
    else if (n < 8)
        act_step();
    else if (n < 12)
        act_join();
    else if (n < 13)
        act_ref();
    else if (n < 14)
        act_unref();
    else if (n < 15)
        act_cancel();
    else if (n < 18)
        act_settle();
    else
        run_task();
}

static void
finish_graph(void)
{
    for (int i = 0; i < world.count; i++)
        if (state(i)->promises > 0) {
            let_go_of_promise(i);
            compare_all();
        }
    while (run_task())
        compare_all();
    for (int i = 0; i < world.count; i++)
        for (int place = 0; place < 3; place++)
            if (state(i)->future[place] != NULL) {
                agree(true, state(i)->settled, "whether %d ever settles", i);
                let_go(i, place);
                compare_all();
            }
    for (int i = 0; i < world.object_count; i++)
        assert_int_equal(world.objects[i].refs, 0); /* the model leaks nothing */
}

static void
run_graph(uint64_t from)
{
    int actions;

    seed = dice = from;
    world.count = world.object_count = 0;
    world.first_task = world.last_task = 0;
    actions = 8 + (int)roll(ACTIONS - 8);
    action = 0;
    act_promise();
    for (action = 1; action < actions; action++) {
        act();
        compare_all();
    }
    finish_graph();
}

static uint64_t first = 1;
static uint64_t graphs = 100000;

static void
ignore_unhandled(const vow_unhandled *u, void *ctx)
{
    (void)u;
    (void)ctx;
}

VOW_CASE(graphs_do_what_the_model_does)
{
    vow_on_unhandled(ignore_unhandled, NULL);
    world.manual = vow_manual_new();
    for (uint64_t i = 0; i < graphs; i++)
        run_graph(first + i);
    vow_manual_unref(world.manual);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest cases[] = {vow_test(graphs_do_what_the_model_does)};
    const char *text = getenv("VOW_GRAPHS");

    if (text != NULL)
        graphs = strtoull(text, NULL, 0);
    if (argc > 1) {
        first = strtoull(argv[1], NULL, 0);
        graphs = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
        says = graphs == 1;
    }
    return vow_test_run(cases);
}
