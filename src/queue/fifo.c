/* SPDX-License-Identifier: MIT */
#include "queue/fifo.h"

#include <pthread.h>

#include "base/thread.h"

struct ending {
    vow_task **first;
    int why;
    unsigned forks; /* before it */
};

static void
end_all(void *ending)
{
    const struct ending *e = ending;
    vow_task *task;

    pthread_cleanup_push(end_all, ending);
    while (e->forks == vowi_globals.forks && (task = *e->first) != NULL) {
        *e->first = task->next;
        task->run(task, e->why);
    }
    pthread_cleanup_pop(0);
}

void
vowi_end_tasks(vow_task **first, int why)
{
    struct ending e = {first, why, vowi_globals.forks};

    end_all(&e);
}
