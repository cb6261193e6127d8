# SPDX-License-Identifier: MIT
"""What vow is meant to reach, and where each goal comes from.

They were set on a machine with two CPUs (EPYC, Debian 12, gcc 12) from what the peers
reached there and from the floor, which is what the machine charges for the steps that a
workload cannot do without. On another machine they are a hint; vow/best says more.
"""
import dataclasses

from . import samples

OURS = "vow"


@dataclasses.dataclass(frozen=True)
class Goal:
    value: float  # in the unit of the figure
    origin: str  # what it was set from: the best C library, the best of all, the floor


GOALS = {
    "post": Goal(40, "libuv 122, Java 59; blocks pushed in batches 13"),
    "post_contended": Goal(40, "libdispatch 81, Java 43; a contended addition 9"),
    "submit_get": Goal(70, "libuv 153, Java 96; without any allocation 29"),
    "ready_then": Goal(22, "libdex 274, Java 19; one state with two counts 20"),
    "chain_inline": Goal(28, "libdex 622, Node 28; blocks and three atomic steps 20"),
    "chain_pool": Goal(80, "libdispatch 227, folly 122; push and pop of a deque 6"),
    "when_all": Goal(36, "libdex 295, concurrencpp 32; four atomic steps an input 22"),
    "fib": Goal(35, "OpenMP 204, Java 43 and, without futures, rayon 18; malloc, push, pop 13"),
    "fib_join": Goal(13, "rayon 13, libfork 24; push and pop of a deque 6"),
    "pingpong": Goal(0.5, "libdispatch 50, Go 0.37; a short spin, then a futex 0.37"),
    "wake_p50": Goal(6.4, "libdispatch 7.2, concurrencpp 6.3; a bare futex 6.2"),
    "wake_p99": Goal(13, "libdispatch 13.5, folly 18.5; a bare futex 9.7"),
    "timer_cancel": Goal(120, "libevent 365, folly 159; a bare wheel in random order 84 to 129"),
    "timer_fire_p50": Goal(38, "libevent 23, asio 36; timerfd and epoll 38"),
    "timer_fire_p99": Goal(95, "libevent 531, folly 102; timerfd and epoll 84"),
    "timer_fire_loop_p50": Goal(22, "libevent 22 to 33, asio 34; a timerfd 10"),
    "timer_fire_loop_p99": Goal(65, "asio 65 to 130; timerfd and epoll 84"),
    "loop_post": Goal(20, "libuv 26.5, Go 43; a ring 3"),
    "mem": Goal(144, "libdispatch 147, Java 88; a state of 48 and a step of 96"),
    "batch": Goal(1.97, "GLib 1.98, libfork 1.97; two CPUs 2.00"),
    "fiber_switch": Goal(10, "minicoro 12, neco 14, libdex 430"),
    "echo": Goal(165000, "libevent 158,000, folly 161,000; bare epoll 150,000 to 155,000"),
}


def goal_of(one):
    """Returns the goal of samples, or None: others have none, nor do conditions."""
    plain = one.library == OURS and not one.condition
    return GOALS.get(one.figure) if plain else None


def is_met(one):
    """Returns whether samples that have a goal reach it."""
    return samples.slowness(one.median, goal_of(one).value, one.unit) <= 1
