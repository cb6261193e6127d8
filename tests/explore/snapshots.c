/* SPDX-License-Identifier: MIT */
/*
 * snapshots.c - going back to where two runs part.
 *
 * The next run of a depth-first search makes the choices of the last one but for the last
 * that is changed: up to there it is the same. So the state of a run is kept where such a
 * choice was changed, and what comes next goes on from the last one kept before the one
 * that changes now. Nothing is skipped and nothing compared: it is the same run as from
 * the beginning, which `--compare` and the self-test check by counting both.
 *
 * The state is what a module copies: the memory of the code under test as far as it is in
 * use, with its stacks; and what the model knows of it. Stores and their views are never
 * changed once they are there, and stay where they are. Cells would be most of it, so they
 * are not copied: what each was is noted when it is first touched after a snapshot, and
 * put back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model.h"

#define SNAPSHOTS 256
#define ARENA     ((size_t)1 << 30) /* reserved, used as needed */
#define MOST      ((size_t)1 << 24) /* of one */

struct snapshot {
    unsigned choices;
    char *kept, *end;
    size_t cells;
};

static struct snapshot snapshots[SNAPSHOTS];
static unsigned count;
static char *arena;

void
copy(struct copier *c, void *at, size_t size)
{
    if (c->back)
        memcpy(at, c->kept, size);
    else
        memcpy(c->kept, at, size);
    c->kept += size;
}

static char *
copy_all(char *kept, bool back)
{
    struct copier c = {kept, back};

    threads_copy(&c);
    memory_copy(&c);
    heap_copy(&c);
    kernel_copy(&c);
    spins_copy(&c);
    races_copy(&c);
    sched_copy(&c);
    return c.kept;
}

static char *
reserve_arena(void)
{
    void *p = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED) {
        perror("explore: mmap");
        exit(2);
    }
    return p;
}

void
snapshots_forget(void)
{
    count = 0;
}

void
snapshots_take(unsigned choices)
{
    struct snapshot *s = &snapshots[count];

    if (arena == NULL)
        arena = reserve_arena();
    s->kept = count != 0 ? s[-1].end : arena;
    if (count == SNAPSHOTS || s->kept > arena + ARENA - MOST)
        return;
    run.saved = true;
    s->choices = choices;
    s->end = copy_all(s->kept, false);
    s->cells = memory_begin_epoch();
    count++;
}

int
snapshots_go_back(unsigned choices)
{
    while (count != 0 && snapshots[count - 1].choices > choices)
        count--;
    if (count == 0)
        return -1;
    copy_all(snapshots[count - 1].kept, true);
    memory_go_back(snapshots[count - 1].cells);
    return (int)snapshots[count - 1].choices;
}
