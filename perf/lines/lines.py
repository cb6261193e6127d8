#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the cache lines that go from one thread to another, for each task: lines.py
PROGRAMS [WORKLOAD...]. PROGRAMS is where the target counted_lines was built.

Of each workload it prints how many lines an operation moves, of them loads and steps,
which a processor waits for, and stores, which it does not; then the places in the source,
the most costly first. What lines.c cannot see is said there.
"""
import argparse
import collections
import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = 120
LEAST = 0.01  # of a line for each operation; less is not shown
INLINE = ("base/", "core/state.h", "core/result.h", "sync/lock", "sync/kept.h")

# Operations of a round, what one of them is, and the options of a round that is short
# enough. One round is measured, without a warm-up.
WORKLOADS = {
    "post": (100000, "task", "--divide 10"),
    "post_contended": (100000, "task", "--divide 10"),
    "submit_get": (100000, "task", "--divide 10"),
    "chain_inline": (100000, "link", "--divide 10"),
    "chain_pool": (100000, "hop", "--divide 10"),
    "when_all": (100000, "future", "--divide 10"),
    "fib": (317810, "spawn", ""),
    "pingpong": (10000, "round trip", "--divide 10"),
    "wake": (1000, "task", "--divide 20"),
    "loop_post": (100000, "post", "--divide 10"),
    "channel": (100000, "item", "--divide 10"),
    "serial_post": (1000000, "task", ""),
    "churn": (800000, "event", "--divide 10"),
}


def count(program, options):
    """Returns {(address, access): transfers} of one round."""
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run([str(program), "--rounds", "1", *options.split()], check=True,
                       timeout=SECONDS, stdout=subprocess.DEVNULL,
                       env={**os.environ, "VOW_LINES": out.name})
        lines = pathlib.Path(out.name).read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines]
    return {(address, access): int(transfers) for address, access, transfers in words}


def frames(program, addresses):
    """Returns {address: [(function, file:line), ...]}, innermost first."""
    done = subprocess.run(["addr2line", "-a", "-f", "-i", "-e", str(program), *addresses],
                          check=True, capture_output=True, text=True)
    found, lines, current = {}, done.stdout.splitlines(), None
    while lines:
        line = lines.pop(0)
        if line.startswith("0x"):
            current = found.setdefault(hex(int(line, 16)), [])
        else:
            current.append((line, lines.pop(0).split(" ")[0]))
    return found


def place_of(chain):
    """Returns the first frame that is not of what everything is made of."""
    for function, where in chain:
        path, _, line = where.partition(":")
        path = os.path.relpath(path, ROOT).removeprefix("src/")
        if not path.startswith(INLINE):
            break
    return f"{path}:{line} {function}"


def per_place(program, transfers):
    """Returns {place: {access: transfers}}."""
    chains = frames(program, sorted({address for address, _ in transfers}))
    places = collections.defaultdict(collections.Counter)
    for (address, access), n in transfers.items():
        places[place_of(chains[hex(int(address, 16))])][access] += n
    return places


def report(name, places):
    operations, unit, _ = WORKLOADS[name]
    waited = sum(n["load"] + n["step"] for n in places.values()) / operations
    stores = sum(n["store"] for n in places.values()) / operations
    print(f"{name}: {waited + stores:.2f} lines a {unit}: "
          f"{waited:.2f} waited for, {stores:.2f} stores")
    for place, n in sorted(places.items(), key=lambda one: -one[1].total()):
        if n.total() / operations >= LEAST:
            how = ", ".join(f"{access} {n[access] / operations:.2f}" for access in sorted(n))
            print(f"  {n.total() / operations:5.2f}  {place} ({how})")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("workloads", nargs="*", choices=[[], *WORKLOADS])
    options = parser.parse_args()
    for name in options.workloads or WORKLOADS:
        program = options.programs / f"lines_{name}"
        report(name, per_place(program, count(program, WORKLOADS[name][2])))


if __name__ == "__main__":
    main()
