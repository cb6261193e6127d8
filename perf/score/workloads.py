# SPDX-License-Identifier: MIT
"""The workloads on the scoreboard: how much of each is done, and what is shown of it."""
import dataclasses

from .goals import GOALS


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    shown: tuple  # the figures that get a row
    divide: int = 1  # what part of the work a round does
    quick: int = 10  # the same, with --quick
    rounds: int = 7  # at most
    lasts: bool = False  # a round lasts its time, however little it does
    fresh: bool = False  # each round is a process of its own
    cpu: bool = False  # CPU time gets a row as well
    idle: bool = False  # nothing happens: CPU time is what is measured


def plain(name, **more):
    return Workload(name, (name,), **more)


def latencies(name, *quantiles, **more):
    return Workload(name, tuple(f"{name}_{q}" for q in quantiles), **more)


ALL = [
    plain("post"),
    plain("post_contended"),
    plain("submit_get", divide=2),
    plain("ready_then"),
    plain("chain_inline"),
    plain("chain_pool"),
    plain("when_all"),
    plain("fib", quick=1),
    plain("fib_join", quick=1),
    plain("pingpong", divide=5, quick=20, cpu=True),
    latencies("wake", "p50", "p99", divide=5, quick=40, cpu=True),
    plain("timer_cancel", divide=2),
    latencies("timer_fire", "p50", "p99", quick=2, lasts=True),
    latencies("timer_fire_loop", "p50", "p99", quick=2, lasts=True),
    plain("loop_post"),
    plain("mem", fresh=True, rounds=3),
    plain("batch", divide=4, quick=20),
    Workload("parallel_for", ("parallel_for", "parallel_for_uneven", "parallel_for_bytes",
                              "parallel_for_two", "parallel_for_async",
                              "parallel_for_async_two"), quick=5),
    Workload("map_reduce", ("map_reduce", "map_reduce_histogram", "map_reduce_async"),
             quick=5),
    plain("channel", divide=5, quick=20),
    plain("pipeline", divide=5, quick=20),
    Workload("fiber_switch", ("fiber_switch", "fiber_switch_many")),
    plain("echo", divide=2, quick=4, lasts=True, cpu=True),
    latencies("burst", "p50", "p99", "p99.9", quick=4, lasts=True),
    latencies("fairness", "p50", "p99", divide=2, quick=5, lasts=True),
    plain("churn", divide=2, quick=10),
    plain("idle", idle=True, rounds=2),
]
BY_NAME = {workload.name: workload for workload in ALL}
WITH_GOALS = [workload.name for workload in ALL if GOALS.keys() & set(workload.shown)]

# Reached by the nearest idiom of a library, which has no such thing itself: perf/README.md.
NEAREST = {
    "tbb": {"submit_get", "chain_pool", "fib", "wake", "batch"},
    "libuv": {"submit_get", "wake", "batch"},
    "glib": {"submit_get", "wake", "batch"},
    "go": {"submit_get", "chain_pool", "fib", "pingpong", "loop_post", "mem", "channel",
           "pipeline", "fiber_switch"},
    "tokio": {"pipeline", "fiber_switch"},
    "fiber": {"pipeline"},
    "node": {"submit_get", "wake", "loop_post", "batch"},
    "java": {"loop_post"},
    "rayon": {"fib"},
    "std_async": {"submit_get"},
}


def is_nearest(library, figure):
    return any(figure == name or figure.startswith(name + "_")
               for name in NEAREST.get(library, ()))


THREADS = (1, 2, 4, 16, 64)  # of the rows that show how it scales
SCALED = ("post", "submit_get", "batch")
BESIDE_A_HOG = ("post", "submit_get", "batch", "wake")
# Not batch: the loop that it is compared with is now held up by the quota, and now not.
UNDER_A_QUOTA = ("post", "submit_get", "wake")
