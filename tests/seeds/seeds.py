#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts bugs into the library, one at a time, and runs the step that must see each.

    seeds.py [--quick] ROOT BUILD [SEED...]

The bugs are in seeds.txt. Each is put into a copy of the sources, which is built and
tested as the library is. A step is one of

    unit NAME, stress NAME             test_NAME, stress_NAME, in a debug build
    asan unit NAME, tsan stress NAME   the same under a sanitizer
    faults SCENARIO                    tests/faults: each call that can fail does, once
    explore SCENARIO                   tests/explore: schedules of a small program

and is run without a bug first: a test that is red anyhow would see nothing. A bug that is
not found, a text that is not there exactly once: the exit status is 1.
"""
import argparse
import collections
import os
import pathlib
import re
import shutil
import sys
import time

from variant import Variant, fail, run

HERE = pathlib.Path(__file__).resolve().parent
KEYS = ("seed", "class", "file", "step", "quick")
PRESETS = ("asan", "tsan")
LIMIT = 300  # seconds for one run of a step without a bug, on whatever machine
HANG = 40  # with one, at least: a hang is found as well
SLOWER = 4  # and this many times what it took without
EXPLORE_SECONDS = 4

Seed = collections.namedtuple("Seed", "name kind file step quick edits")
Seen = collections.namedtuple("Seen", "red after said")


# ---- the table ---------------------------------------------------------------------------


def read_edits(lines):
    """Pairs of what is there and what takes its place."""
    edits = []
    for line in lines:
        if line[0] == "-" and (not edits or edits[-1][1]):
            edits.append(([], []))
        if not edits:
            fail(f"seeds.txt: what does this replace: {line}")
        edits[-1][line[0] == "+"].append(line[2:])
    return [("\n".join(old) + "\n", "\n".join(new) + "\n") for old, new in edits]


def read_seeds(path):
    seeds = []
    for block in re.split(r"\n(?=seed: )", path.read_text())[1:]:
        lines = [line for line in block.splitlines() if line and line[0] != "#"]
        heads = dict(line.split(": ", 1) for line in lines if line[0] not in "-+")
        if not set(heads) <= set(KEYS) or not set(KEYS[:4]) <= set(heads):
            fail(f"{path.name}: not a seed:\n{block}")
        edits = read_edits([line for line in lines if line[0] in "-+"])
        seeds.append(Seed(heads["seed"], heads["class"], heads["file"], heads["step"],
                          "quick" in heads, edits))
    names = [seed.name for seed in seeds]
    if len(set(names)) != len(names):
        fail(f"{path.name}: two seeds have one name")
    return seeds


def plant(variant, seed):
    text = variant.text(seed.file)
    for old, new in seed.edits:
        if text.count(old) != 1:
            fail(f"{seed.name}: this is {text.count(old)} times in {seed.file}:\n{old}")
        text = text.replace(old, new)
    variant.put(seed.file, text)


# ---- steps -------------------------------------------------------------------------------


def seen_in(status, said):
    """What a step that has ended says it found."""
    schedule = re.search(r"FAILED in schedule (\d+): ([^:\n]*)", said)
    race = re.search(r"(?:WARNING|ERROR): \w+Sanitizer: ([\w -]+?)(?: on| \(|:|$)", said, re.M)
    case = re.search(r"\[  (?:FAILED|ERROR ) *\] (\w+)$", said, re.M)
    started = re.findall(r"^\[ RUN      \] (\w+)", said, re.M)
    fatal = re.search(r"vow: fatal: (.*)", said)
    if schedule:
        return f"schedule {schedule.group(1)}: {schedule.group(2)}"
    if status is None:
        return f"{started[-1]}: no end" if started else "no end"
    what = race.group(1) if race else fatal.group(1) if fatal else ""
    if case:
        return case.group(1)
    if started:
        return f"{started[-1]}: {what or f'status {status}'}"
    return what or " ".join(said.splitlines()[-1].split())


class Steps:
    def __init__(self, variant, milliseconds):
        self.variant = variant
        self.env = dict(os.environ, VOW_STRESS_MS=str(milliseconds), VOW_STRESS_SEED="1",
                        ASAN_OPTIONS="detect_stack_use_after_return=1")
        self.green = {}
        self.took = {}

    def command(self, step):
        """Builds what a step runs. Returns its command, or None and the compiler's words."""
        words = step.split()
        preset = words.pop(0) if words[0] in PRESETS else "dev"
        kind, name = words
        if kind == "explore":
            target, path, arguments = "explore_build", "tests/explore/explore", [
                EXPLORE_SECONDS, name]
        elif kind == "faults":
            target, path, arguments = "faults", "tests/faults/faults", [name]
        else:
            program = ("stress_" if kind == "stress" else "test_") + name
            target, path, arguments = program, "tests/" + program, []
        folder, said = self.variant.build(preset, target)
        if folder is None:
            return None, said
        wrap = []
        if preset == "tsan" and shutil.which("setarch"): # less randomness than it fears
            wrap = ["setarch", os.uname().machine, "-R"]
        return [*wrap, folder / path, *arguments], said

    def run(self, step):
        command, said = self.command(step)
        if command is None:
            fail(f"{step} does not build:\n{said}")
        limit = max(HANG, SLOWER * self.took[step]) if step in self.took else LIMIT
        start = time.monotonic()
        status, said = run(*command, seconds=limit, env=self.env)
        self.took.setdefault(step, time.monotonic() - start)
        return Seen(status != 0, seen_in(status, said) if status != 0 else "", said)

    def is_green(self, step):
        """Whether a step is green without a bug."""
        if step not in self.green:
            seen = self.run(step)
            self.green[step] = not seen.red
            if seen.red:
                print(f"NOT GREEN WITHOUT A BUG: {step}: {seen.after}", flush=True)
        return self.green[step]


# ---- all ---------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--milliseconds", type=int, default=3000)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("root")
    parser.add_argument("build")
    parser.add_argument("seeds", nargs="*")
    options = parser.parse_args()

    table = read_seeds(HERE / "seeds.txt")
    seeds = [s for s in table
             if (s.name in options.seeds or not options.seeds)
             and (s.quick or not options.quick)]
    if not seeds or len(seeds) < len(options.seeds):
        fail("there is no such seed")
    variant = Variant(options.root, options.build)
    for seed in table:  # all of them: a text that went is found at once
        plant(variant, seed)
        variant.restore()
    steps = Steps(variant, options.milliseconds)
    missed = 0
    for step in dict.fromkeys(s.step for s in seeds):
        missed += not steps.is_green(step)
    print(f"{'seed':34} {'class':44} {'step':28} {'s':>5}  found after", flush=True)
    for seed in seeds:
        if not steps.is_green(seed.step):
            continue
        start = time.monotonic()
        plant(variant, seed)
        seen = steps.run(seed.step)
        variant.restore()
        missed += not seen.red
        print(f"{seed.name:34} {seed.kind:44} {seed.step:28} "
              f"{time.monotonic() - start:5.1f}  {seen.after if seen.red else 'NOT FOUND'}",
              flush=True)
        if options.verbose:
            print(seen.said, flush=True)
    print(f"{len(seeds)} seeds, {missed} not found")
    sys.exit(1 if missed else 0)


main()
