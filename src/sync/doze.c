/* SPDX-License-Identifier: MIT */
/* sync/doze.c - sleeping until somebody who is awake sees that it is time. */
#include "sync/doze.h"

#include "base/time.h"
#include "sync/gate.h"

struct vowi_dozer {
    struct vowi_gate gate;
};

/* The time is cleared first: after the exchange it may be the next one's. relaxed: a hint */
void
vowi_doze_end(void)
{
    struct vowi_dozer *d;

    vowi_store_relaxed(&vowi_globals.doze_until, 0);
    d = vowi_swap_acquire(&vowi_globals.dozer, NULL); /* [doze] */
    if (d != NULL)
        vowi_gate_open(&d->gate);
}

void
vowi_doze_end_if_due(vow_ns until)
{
    if (vowi_monotonic_now() >= until)
        vowi_doze_end();
}

/* Nobody has ended it. Returns false if that is still so. */
static bool
was_ended(struct vowi_dozer *d)
{
    struct vowi_dozer *self = d;

    vowi_store_relaxed(&vowi_globals.doze_until, 0); /* relaxed: a hint */
    /* relaxed: this thread wrote what it has */
    if (vowi_cas_strong_relaxed(&vowi_globals.dozer, &self, NULL))
        return false;
    (void)vowi_gate_pass(&d->gate); /* whoever opens it is on the way */
    return true;
}

bool
vowi_doze(vow_ns until, vow_ns latest)
{
    struct vowi_dozer d;
    struct vowi_dozer *none = NULL;

    vowi_gate_shut(&d.gate); /* which is all that whoever takes it off reads */
    if (!vowi_cas_strong_release(&vowi_globals.dozer, &none, &d)) { /* [doze] */
        (void)vowi_gate_pass_until(&d.gate, until);
        return false;
    }
    vowi_store_relaxed(&vowi_globals.doze_until, until); /* relaxed: a hint */
    return vowi_gate_pass_until(&d.gate, latest) || was_ended(&d);
}
