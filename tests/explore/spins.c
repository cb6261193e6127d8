/* SPDX-License-Identifier: MIT */
/*
 * spins.c - telling a thread that spins.
 *
 * A loop that waits for a store would go round for ever in a schedule that never lets
 * the other thread go on, and once more in each of infinitely many. So a thread that
 * spins is held back until one of the words that it looks at has a newer store. That
 * must not happen to a thread that merely reads a word again: it would hide what it
 * does if the word stays as it is.
 *
 * It spins if it comes back to a load with the same stack and the same registers, has
 * read the same stores all the way round, and has changed nothing that others may
 * notice. Then it is in the state it was in, and going round again is no other run.
 * The registers are those that calls preserve, for the others say nothing here. A loop
 * that counts its rounds is in another state each time, and is run as it stands.
 *
 * The state is kept of one load at a time, the mark. Coming back to its place keeps the
 * state anew if it differs; else the mark moves on after 1, 2, 4, ... loads, and so finds
 * loops of any length (Brent, BIT 20, 1980).
 *
 * A pause is taken at its word: the next load of the word read last waits.
 */
#include <string.h>

#include "model.h"

#define STACK_KEPT 8192

static struct spin {
    unsigned progress; /* the thread's: if it has made more, the rest is void */
    const void *pc;    /* of the mark; NULL: there is none */
    const char *stack_at;
    unsigned loads, patience; /* since the mark; until it moves on */

    bool kept;  /* the state below is known */
    bool moved; /* since then a word was read that had changed meanwhile, or too many */
    size_t stack_size;
    uintptr_t registers[PRESERVED];

    unsigned words; /* read since then */
    const struct location *word[SPIN_WORDS];
    unsigned seen[SPIN_WORDS];

    const struct location *last;
    unsigned last_seen;
    bool paused;
} spins[THREADS];

static char stack_kept[THREADS][STACK_KEPT];

uintptr_t preserved_registers[PRESERVED];

void
spins_start_thread(const struct thread *t)
{
    struct spin *p = &spins[t->id];

    p->progress = t->progress;
    p->pc = NULL;
    p->last = NULL;
    p->paused = false;
}

void
spins_copy(struct copier *c)
{
    copy(c, spins, run.threads * sizeof *spins);
    for (unsigned i = 0; i < run.threads; i++)
        if (spins[i].pc != NULL && spins[i].kept)
            copy(c, stack_kept[i], spins[i].stack_size);
}

/* The current thread's: void, if it has done more than load since. */
static struct spin *
current_spin(void)
{
    const struct thread *t = self();

    if (spins[t->id].progress != t->progress)
        spins_start_thread(t);
    return &spins[t->id];
}

static void
keep_state(struct spin *p, const char *stack_at)
{
    p->stack_size = (size_t)(stack_end(run.current) - stack_at);
    p->kept = p->stack_size <= STACK_KEPT;
    p->words = 0;
    p->moved = false;
    p->loads = 0;
    if (!p->kept)
        return;
    memcpy(p->registers, preserved_registers, sizeof p->registers);
    memcpy(stack_kept[run.current], stack_at, p->stack_size);
}

static bool
is_same_state(const struct spin *p, const char *stack_at)
{
    return p->kept && !p->moved &&
           memcmp(p->registers, preserved_registers, sizeof p->registers) == 0 &&
           memcmp(stack_kept[run.current], stack_at, p->stack_size) == 0;
}

static void
move_mark(struct spin *p, const void *pc, const char *stack_at)
{
    p->patience = p->pc != NULL ? 2 * p->patience : 1;
    p->pc = pc;
    p->stack_at = stack_at;
    p->kept = false;
    p->loads = 0;
}

static bool
wait_for_all_words(struct thread *t, const struct spin *p)
{
    t->spin_words = p->words;
    memcpy(t->spins_on, p->word, sizeof t->spins_on);
    memcpy(t->spins_seen, p->seen, sizeof t->spins_seen);
    return true;
}

static bool
wait_for_last_word(struct thread *t, const struct spin *p)
{
    t->spin_words = 1;
    t->spins_on[0] = p->last;
    t->spins_seen[0] = p->last_seen;
    return true;
}

bool
spins_come_to_load(uintptr_t at, const void *pc, const char *stack_at)
{
    struct thread *t = self();
    struct spin *p = current_spin();
    bool paused = p->paused && p->last->at == at;

    p->paused = false;
    if (p->pc == pc && p->stack_at == stack_at) {
        if (is_same_state(p, stack_at))
            return wait_for_all_words(t, p);
        keep_state(p, stack_at);
    } else if (p->pc == NULL || ++p->loads >= p->patience) {
        move_mark(p, pc, stack_at);
    }
    return paused && wait_for_last_word(t, p);
}

static void
note_word(struct spin *p, const struct location *l, unsigned seen)
{
    unsigned i = 0;

    while (i < p->words && p->word[i] != l)
        i++;
    if (i == SPIN_WORDS || (i < p->words && p->seen[i] != seen)) {
        p->moved = true;
        return;
    }
    p->word[i] = l;
    p->seen[i] = seen;
    if (i == p->words)
        p->words++;
}

void
spins_note_load(const struct location *l, const struct store *s)
{
    struct spin *p = current_spin();

    p->last = l;
    p->last_seen = s->index;
    if (p->kept && !p->moved)
        note_word(p, l, s->index);
}

void
spins_note_pause(void)
{
    struct spin *p = current_spin();

    p->paused = p->last != NULL;
}

bool
spins_can_go_on(const struct thread *t)
{
    for (unsigned i = 0; i < t->spin_words; i++)
        if (t->spins_on[i]->newest->index > t->spins_seen[i])
            return true;
    return t->released;
}
