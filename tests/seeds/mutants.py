#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Weakens the memory orders of the library one by one, and sees who notices.

    mutants.py [-s SECONDS] [-j JOBS] [-l] [-k SCENARIO]... ROOT BUILD [WORD...]

One build has all of them: in a copy of the sources each ordered operation asks the
explorer, at run time, whether it is the one to be weaker now. A first run without a
mutant notes which scenarios reach which operation, and is left out next time if nothing
has changed; then each mutant is explored by those, until one of them fails: first in a
tenth of the time, which is enough for nearly all that can be killed; what survives that
and is not listed, in all of it. WORDs choose mutants by what their names contain, such as
a file; -l those that are known to survive. With -k only the scenarios whose names contain
one of the words after it are run: enough to see a new scenario kill what it is for.

A mutant that nobody kills must be in mutants.txt, with the reason why that is all right.
The exit status is 1 if one is not, or if a scenario fails without a mutant.
"""
import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import signal
import sys
import time

from variant import Variant, fail, run

HERE = pathlib.Path(__file__).resolve().parent
ATOMIC = "src/base/atomic.h"
OPERATION = re.compile(
    r"\bvowi_(load|store|add|sub|or|and|swap|cas_strong|cas)"
    r"_(seq_cst|acq_rel_or_relaxed|acq_rel|acquire_or_relaxed|acquire|release)\(")
FUNCTION = re.compile(r"^(\w+)\(", re.MULTILINE)  # a definition's name starts its line

ONE_WORD = {"load": "load", "store": "store", "add": "fetch_add", "sub": "fetch_sub",
            "or": "fetch_or", "and": "fetch_and", "swap": "exchange"}
BOTH = ("cas", "cas_strong")

REACH_SECONDS = 0.5

# What each order is weakened to; of a compare-and-swap: if it succeeds, if it fails.
WEAKER = {
    "load": {"seq_cst": ["acquire", "relaxed"], "acquire": ["relaxed"]},
    "store": {"seq_cst": ["release", "relaxed"], "release": ["relaxed"]},
    "rmw": {"seq_cst": ["acq_rel", "relaxed"], "acq_rel": ["acquire", "release"],
            "acquire": ["relaxed"], "release": ["relaxed"]},
    "cas": {"seq_cst": ["acq_rel acquire", "relaxed relaxed"],
            "acq_rel": ["acquire acquire", "release acquire", "acq_rel relaxed"],
            "acq_rel_or_relaxed": ["acquire relaxed", "release relaxed"],
            "acquire": ["relaxed acquire", "acquire relaxed"],
            "acquire_or_relaxed": ["relaxed relaxed"],
            "release": ["relaxed relaxed"]},
}
FULL = {"seq_cst": "seq_cst seq_cst", "acq_rel": "acq_rel acquire",
        "acq_rel_or_relaxed": "acq_rel relaxed", "acquire": "acquire acquire",
        "acquire_or_relaxed": "acquire relaxed", "release": "release relaxed"}

# What a mutant's time is not spent on: spurious wake-ups and failing calls find no order.
NOT_EXPLORED = re.compile(r"return deepen\(s, &\w+, .*?;", re.DOTALL)

# The explorer's side: which one is weaker, and which were reached.
SWITCH = r"""
#include <stdio.h>
#include <stdlib.h>

unsigned explore_mutant(unsigned site);
static unsigned mutant_site, mutant_order;
static unsigned char mutant_reached[4096];

unsigned
explore_mutant(unsigned site)
{
    mutant_reached[site] = 1;
    return site == mutant_site ? mutant_order : 0;
}

__attribute__((constructor)) static void
mutant_choose(void)
{
    const char *text = getenv("EXPLORE_MUTANT");

    if (text != NULL && sscanf(text, "%u %u", &mutant_site, &mutant_order) != 2)
        abort();
}

__attribute__((destructor)) static void
mutant_tell(void)
{
    for (unsigned i = 0; i < sizeof mutant_reached; i++)
        if (mutant_reached[i])
            printf("reached %u\n", i);
}
"""

Site = collections.namedtuple("Site", "number file line operation order")
Mutant = collections.namedtuple("Mutant", "site which name")


def weaker(operation, order):
    kind = "cas" if operation in BOTH else operation
    return WEAKER.get(kind, WEAKER["rmw"])[order]


def short(order):
    return order.replace(" ", "/")


def function_at(text, position):
    names = [m.group(1) for m in FUNCTION.finditer(text, 0, position)]
    return names[-1] if names else "?"


def atomic(operation, orders):
    """The text of one operation of <stdatomic.h>."""
    if operation in BOTH:
        success, failure = orders.split()
        strength = "strong" if operation == "cas_strong" else "weak"
        return (f"atomic_compare_exchange_{strength}_explicit((p), (e), (v), "
                f"memory_order_{success}, memory_order_{failure})")
    v = "" if operation == "load" else ", (v)"
    return f"atomic_{ONE_WORD[operation]}_explicit((p){v}, memory_order_{orders})"


def macro(operation, order):
    arguments = "n, p" if operation == "load" else "n, p, v"
    if operation in BOTH:
        arguments = "n, p, e, v"
    cases = "".join(f"explore_mutant(n) == {i} ? {atomic(operation, weak)} : "
                    for i, weak in enumerate(weaker(operation, order), 1))
    full = FULL[order] if operation in BOTH else order
    return (f"#define vowi_mutant_{operation}_{order}({arguments}) "
            f"({cases}{atomic(operation, full)})\n")


def find_sites(variant):
    """Numbers the ordered operations, lets each ask for its order; returns their mutants."""
    mutants = []
    sources = sorted(p for folder in ("src", "executors")
                     for p in (variant.root / folder).rglob("*.[ch]"))
    kinds = set()
    numbers = iter(range(1, 4096))
    for path in sources:
        name = path.relative_to(variant.root).as_posix()
        if name == ATOMIC:
            continue
        text = path.read_text()
        seen = collections.Counter()

        def ask(match):
            operation, order = match.groups()
            site = Site(next(numbers), name, text.count("\n", 0, match.start()) + 1,
                        operation, order)
            where = f"{name} {function_at(text, match.start())} {operation}_{order}"
            seen[where] += 1
            if seen[where] > 1:
                where += f"#{seen[where]}"
            kinds.add((operation, order))
            for which, weak in enumerate(weaker(operation, order), 1):
                mutants.append(Mutant(site, which, f"{where} -> {short(weak)}"))
            return f"vowi_mutant_{operation}_{order}({site.number}, "

        variant.put(name, OPERATION.sub(ask, text))
    atomic_h = variant.text(ATOMIC)
    asks = "\nunsigned explore_mutant(unsigned site);\n"
    macros = "".join(macro(*kind) for kind in sorted(kinds))
    end = atomic_h.rindex("#endif")
    variant.put(ATOMIC, atomic_h[:end] + asks + macros + atomic_h[end:])
    explorer = variant.text("tests/explore/explore.c")
    variant.put("tests/explore/explore.c", NOT_EXPLORED.sub("return true;", explorer))
    variant.put("tests/explore/tsan.c", variant.text("tests/explore/tsan.c") + SWITCH)
    return mutants


def explore(program, seconds, scenario, mutant=None):
    env = dict(os.environ)
    if mutant is not None:
        env["EXPLORE_MUTANT"] = f"{mutant.site.number} {mutant.which}"
    limit = int(20 * seconds + 30)  # of processor time: the machine may be busy
    status, said = run("sh", "-c", 'ulimit -S -t "$0"; exec "$@"', limit, program, seconds,
                       scenario, env=env)
    return None if status == -signal.SIGXCPU else status, said


def scenarios_of(program):
    said = run(program, "--list")[1]
    return [line.split()[1] for line in said.splitlines() if line.startswith("library ")]


def reach(program, seconds, scenarios, jobs):
    """Runs all scenarios without a mutant. Returns, of each, which sites it reaches; those
    that fail anyhow are said, and left out."""
    def one(scenario):
        status, said = explore(program, seconds, scenario)
        if status != 0:
            why = re.search(r"FAILED in schedule.*|NEVER SEEN.*", said)
            print(f"FAILS WITHOUT A MUTANT: {scenario}: status {status}, "
                  f"{why.group(0) if why else said[-200:]}", flush=True)
            return None
        return {int(n) for n in re.findall(r"^reached (\d+)$", said, re.MULTILINE)}

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        reached = dict(zip(scenarios, pool.map(one, scenarios)))
    return {scenario: sites for scenario, sites in reached.items() if sites is not None}


def reach_once(program, seconds, scenarios, jobs, kept):
    """As reach; what was found for this very program is kept in a file, if none failed."""
    key = hashlib.sha256(program.read_bytes()).hexdigest() + f" {seconds}"
    if kept.exists():
        was = json.loads(kept.read_text())
        if was["of"] == key:
            return {scenario: set(sites) for scenario, sites in was["reached"].items()}
    reached = reach(program, seconds, scenarios, jobs)
    if len(reached) == len(scenarios):
        kept.write_text(json.dumps({"of": key,
                                    "reached": {k: sorted(v) for k, v in reached.items()}}))
    return reached


def kill(program, seconds, mutant, reached, last):
    """Returns by which scenario, in which schedule and how; None if it survives."""
    candidates = [s for s, sites in reached.items() if mutant.site.number in sites]
    # Small ones first, but for the one that killed the neighbour.
    candidates.sort(key=lambda s: (s != last.get(mutant.site.file), len(reached[s])))
    for scenario in candidates:
        status, said = explore(program, seconds, scenario, mutant)
        if status == 0:
            continue
        last[mutant.site.file] = scenario
        match = re.search(r"FAILED in schedule (\d+): ([^:\n]*)", said)
        if match:
            return scenario, match.group(1), match.group(2)
        return scenario, "-", "no end" if status is None else "an outcome is never seen"
    return None


def read_survivors(path):
    """Returns the names in mutants.txt, each with the reason below it."""
    survivors = {}
    names = []
    reasoned = False
    for line in path.read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line[0].isspace():
            for name in names:
                survivors[name] += line
            reasoned = True
        else:
            names = [line] if reasoned else [*names, line]
            reasoned = False
            survivors[line] = ""
    for name, reason in survivors.items():
        if not reason:
            fail(f"{path.name}: no reason for {name}")
    return survivors


def told(counts):
    return ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-s", "--seconds", type=float, default=2)
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    parser.add_argument("-l", "--listed", action="store_true")
    parser.add_argument("-k", "--killers", action="append", default=[])
    parser.add_argument("root")
    parser.add_argument("build")
    parser.add_argument("words", nargs="*")
    options = parser.parse_intermixed_args()

    survivors = read_survivors(HERE / "mutants.txt")
    variant = Variant(options.root, options.build)
    mutants = find_sites(variant)
    names = {m.name for m in mutants}
    for name in survivors:
        if name not in names:
            fail(f"mutants.txt: there is no {name}")
    chosen = [m for m in mutants if not options.listed or m.name in survivors]
    if options.words:
        chosen = [m for m in chosen if any(word in m.name for word in options.words)]
    if not chosen:
        fail("there is no such mutant")
    folder, said = variant.build("dev", "explore_build")
    if folder is None:
        fail(f"cannot build:\n{said}")
    program = folder / "tests/explore/explore"
    if not program.exists():
        fail("the explorer is left out here")

    start = time.monotonic()
    scenarios = scenarios_of(program)
    if options.killers:
        scenarios = [s for s in scenarios if any(word in s for word in options.killers)]
        reached = reach(program, REACH_SECONDS, scenarios, options.jobs)
    else:
        reached = reach_once(program, REACH_SECONDS, scenarios, options.jobs,
                             variant.folder / "reached.json")
    counts = collections.Counter()
    of_file = collections.defaultdict(collections.Counter)
    last = {}

    def one(mutant):
        listed = mutant.name in survivors
        killed = kill(program, options.seconds / 10, mutant, reached, last)
        if not killed and not listed:
            killed = kill(program, options.seconds, mutant, reached, last)
        if killed:
            verdict = "LISTED, BUT KILLED" if listed else "killed"
            by = "by {} in schedule {}: {}".format(*killed)
        else:
            verdict = "survives" if listed else "SURVIVES"
            some = any(mutant.site.number in sites for sites in reached.values())
            by = "" if some else "no scenario reaches it"
        counts[verdict] += 1
        of_file[mutant.site.file][verdict] += 1
        print(f"{verdict:9} {mutant.name} (line {mutant.site.line}) {by}".rstrip(), flush=True)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(one, chosen))
    for name, verdicts in sorted(of_file.items()):
        print(f"{name}: {told(verdicts)}")
    print(f"{len(chosen)} mutants of {len({m.site for m in chosen})} operations, "
          f"{time.monotonic() - start:.0f} s: "
          + told(counts))
    sys.exit(1 if counts["SURVIVES"] or len(reached) < len(scenarios) else 0)


main()
