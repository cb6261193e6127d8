/* SPDX-License-Identifier: MIT */
/* sync/gate.c - sleeping on one word. */
#include "sync/gate.h"

#include "base/sys.h"

/* The futex compares the word once more, in one step with falling asleep. */
bool
vowi_gate_pass(struct vowi_gate *g)
{
    uint32_t state = VOWI_GATE_SHUT;
    /* relaxed: if it fails the gate is open, as the load finds too */
    bool sleeps = vowi_cas_strong_relaxed(&g->state, &state, VOWI_GATE_SLEPT_AT);

    while (vowi_load_acquire(&g->state) != VOWI_GATE_OPEN) /* [gate] */
        vowi_sys_futex_wait(&g->state, VOWI_GATE_SLEPT_AT);
    return sleeps;
}

bool
vowi_gate_pass_until(struct vowi_gate *g, vow_ns until)
{
    uint32_t state = VOWI_GATE_SHUT;
    bool in_time = true;

    /* relaxed: as above */
    (void)vowi_cas_strong_relaxed(&g->state, &state, VOWI_GATE_SLEPT_AT);
    while (vowi_load_acquire(&g->state) != VOWI_GATE_OPEN) { /* [gate] */
        if (!in_time)
            return false;
        in_time = vowi_sys_futex_wait_until(&g->state, VOWI_GATE_SLEPT_AT, until);
    }
    return true;
}

/* After the exchange only the address is used. */
void
vowi_gate_open(struct vowi_gate *g)
{
    if (vowi_swap_release(&g->state, VOWI_GATE_OPEN) == VOWI_GATE_SLEPT_AT) /* [gate] */
        vowi_sys_futex_wake(&g->state);
}
