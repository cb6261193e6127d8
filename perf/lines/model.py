#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What docs/scaling.md expects of more CPUs: model.py [LINE_NS...]. From what a task costs
on one CPU, from the lines that it moves (lines.py), and from what a line costs, of which
line_random of bench_lines is the measure: one value for each of the numbers of CPUs.
"""
import math
import sys

CPUS = (2, 2, 8, 64, 256)
LINE_NS = (15, 63, 25, 100, 200)  # both as measured; one cache; several dies; two sockets
AHEAD = 1 / 20  # of that for a line in order of addresses, fetched before it is needed
WAKE_NS = 9000  # from a post to the worker that it woke, which then wakes the next

# Of a task: ns on one CPU, lines waited for, lines fetched ahead; for those who post and
# for those who run.
POST = {"posts": (17, 0.1, 0), "runs": (17, 0.4, 0.75)}
SUBMIT_GET = {"posts": (24, 0.3, 1.3), "runs": (18, 0.5, 1.7)}
SPAWN_NS = 58  # of fib, which moves none
SPAWNS = 317810


def side(cost, line):
    """Returns the ns of a task on one of two sides."""
    own, waited, ahead = cost
    return own + waited * line + ahead * AHEAD * line


def inbox_ns(line):
    """A post takes the line from whoever posted before: to read it, and to change it."""
    return 2 * line


def outside(task, cpus, line):
    """Returns the ns between two tasks if half of the CPUs post, and what limits them."""
    limits = [(side(task["posts"], line) / (cpus / 2), "posters"),
              (side(task["runs"], line) / (cpus / 2), "workers")]
    if cpus > 2:
        limits.append((inbox_ns(line), "the inbox"))
    return max(limits)


def inside(cpus):
    """Returns the ns between two tasks that tasks spawn."""
    return SPAWN_NS / cpus


def fork_join(work, cpus):
    """Returns the ns that so much work takes if one worker wakes the next: while they
    are woken, each joins WAKE_NS after the one before."""
    joined = min(cpus, math.sqrt(2 * work / WAKE_NS))
    return work / joined + joined * WAKE_NS / 2


def sleep_ns(cpus, line):
    """A worker that goes to sleep looks at all queues, under the lock of the pool."""
    return (8 + cpus) * line


def row(name, cells):
    return f"| {name} | " + " | ".join(cells) + " |"


def table(pairs):
    """Returns the rows for pairs of a number of CPUs and the price of a line."""
    pairs = list(pairs)
    work = SPAWN_NS * SPAWNS
    yield row("CPUs", [str(cpus) for cpus, _ in pairs])
    yield "|---|" + "---:|" * len(pairs)
    yield row("a line, ns", [f"{line:g}" for _, line in pairs])
    for name, task in (("posted from outside", POST), ("submitted and got", SUBMIT_GET)):
        found = [outside(task, cpus, line) for cpus, line in pairs]
        yield row(f"{name}, million/s", [f"{1e3 / ns:.1f} ({limit})" for ns, limit in found])
    yield row("spawned inside, million/s", [f"{1e3 / inside(cpus):.0f}" for cpus, _ in pairs])
    yield row("fib(27): times as fast as on one",
              [f"{work / fork_join(work, cpus):.1f}" for cpus, _ in pairs])
    yield row("all woken after, us", [f"{cpus * WAKE_NS / 1e3:.0f}" for cpus, _ in pairs])
    yield row("falling asleep, thousand/s",
              [f"{1e6 / sleep_ns(cpus, line):.0f}" for cpus, line in pairs])


def main():
    lines = [float(word) for word in sys.argv[1:]] or LINE_NS
    print(*table(zip(CPUS, lines)), sep="\n")


if __name__ == "__main__":
    main()
