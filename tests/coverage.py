#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Says which lines and branches of the library its tests have run, and sets a floor.

    coverage.py ROOT BUILD [EXCEPTIONS]  reports on a build with --coverage that has run;
                                         fails below the floor
    coverage.py --self-test              shows that it can fail

What gcov counted is added up over the objects that a source is part of: those of the
library, those that the fault sweeps use, and for headers those of the tests. Branches
that only an exception of another language could take are left out.

EXCEPTIONS lists what no test can run, a line each: a file, what in it, and the reason:

    src/base/sys.c      | function_name()        | reason
    executors/*.c       | /part of a line/       | reason
    src/base/mem.c      | ? /part of a line/     | reason

The first two excuse what did not run, and are an error once it does run. With a question
mark it may run or not: it depends on which of two threads is faster.
"""
import collections
import fnmatch
import json
import pathlib
import re
import subprocess
import sys

# Whose objects count: the library's, twice compiled the same way, and, for what headers
# have, the tests'.
OBJECTS = ("vow_objects.dir", "vow_faulty.dir", "test_*.dir")
DIRECTORIES = ("src/base", "src/sync", "src/queue", "src/core", "src/combine", "src/resilience",
               "executors")
FLOOR = (100.0, 98.0)  # of lines and branches, in percent
FLOORS = {"src/combine": (98.0, 93.0), "src/resilience": (98.0, 93.0)}  # built on the core

# A condition that asks whether something failed, to tell how much of that was run.
ERROR_PATH = re.compile(r"\b(NULL|rc|code|why|errno|error|failed|_init\w*)\b|[!=]= 0\b|< 0\b")
CONDITION = re.compile(r"\b(if|while|for|return)\b|[?&|]")


class Line:
    """What is known of one line: its count, and for each function its branches."""

    def __init__(self):
        self.count = 0
        self.functions = set()
        self.branches = {}

    def add(self, line):
        function = line.get("function_name", "")
        self.count += line["count"]
        self.functions.add(function)
        counts = own_branches(line["branches"])
        key = (function, len(counts))
        before = self.branches.get(key, [0] * len(counts))
        self.branches[key] = [a + b for a, b in zip(before, counts)]

    def all_branches(self):
        return [count for counts in self.branches.values() for count in counts]


def own_branches(branches):
    """Drops the way into an unwinder, and its other side: that the call returned."""
    kept = []
    for branch in branches:
        if not branch["throw"]:
            kept.append(branch)
        elif kept and kept[-1]["fallthrough"]:
            kept.pop()
    return [branch["count"] for branch in kept]


# ---- reading ------------------------------------------------------------------------------

def gcov(build):
    """Yields what gcov says of each object, a document each."""
    objects = collections.defaultdict(list)
    for path in pathlib.Path(build).rglob("*.gcno"):
        if any(fnmatch.fnmatchcase(part, kind) for part in path.parts for kind in OBJECTS):
            objects[path.parent].append(path.name)
    for place, names in objects.items():
        out = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities",
                              *names], cwd=place, capture_output=True, text=True, check=True)
        for line in out.stdout.splitlines():
            if line.startswith("{"):
                yield json.loads(line)


def collect(root, documents):
    """Returns {file: {number: Line}} for the sources of the library."""
    files = collections.defaultdict(lambda: collections.defaultdict(Line))
    for document in documents:
        place = pathlib.Path(document.get("current_working_directory", "."))
        for entry in document["files"]:
            path = (place / entry["file"]).resolve()
            if not path.is_relative_to(root):
                continue
            name = path.relative_to(root).as_posix()
            if name.startswith(tuple(f"{d}/" for d in DIRECTORIES)):
                for line in entry["lines"]:
                    files[name][line["line_number"]].add(line)
    return files


def parse_rule(number, line):
    """Returns file, what, and whether it may run."""
    file, _, rest = line.partition("|")
    what, _, reason = rest.rpartition("|")
    file, what, reason = file.strip(), what.strip(), reason.strip()
    if not file or not reason or not re.fullmatch(r"(\? *)?(\w+\(\)|/.+/)", what):
        sys.exit(f"exceptions, line {number}: not file | what | reason")
    return file, what.lstrip("? "), what.startswith("?")


class Exceptions:
    """The list of what cannot run."""

    def __init__(self, text):
        self.rules = []
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                self.rules.append((number, *parse_rule(number, line)))
        self.used = set()

    def excuse(self, name, line, text):
        """Whether a line that did not run, or not in all its branches, is excused."""
        excused = False
        for number, file, what, _ in self.rules:
            if fnmatch.fnmatchcase(name, file) and self.matches(what, line, text):
                self.used.add(number)
                excused = True
        return excused

    @staticmethod
    def matches(what, line, text):
        if what.endswith("()"):
            return what[:-2] in line.functions
        return what[1:-1] in text

    def stale(self):
        """Yields the rules that excused nothing."""
        for number, file, what, may_run in self.rules:
            if number not in self.used and not may_run:
                yield f"exceptions, line {number}: {file} | {what}: it runs, or is not there"


# ---- judging ------------------------------------------------------------------------------

class Sum:
    """Lines and branches, run and not, and the branches of conditions about failures."""

    def __init__(self):
        self.lines = self.lines_run = 0
        self.branches = self.branches_run = 0
        self.errors = self.errors_run = 0
        self.excused = 0

    def add(self, other):
        for key, value in vars(other).items():
            setattr(self, key, getattr(self, key) + value)

    def add_line(self, line, text, excused):
        branches = line.all_branches()
        run = sum(count > 0 for count in branches)
        if excused:
            self.excused += (line.count == 0) + len(branches) - run
        if line.count > 0 or not excused:
            self.lines += 1
            self.lines_run += line.count > 0
        total = run if excused else len(branches)
        self.branches += total
        self.branches_run += run
        if CONDITION.search(text) and ERROR_PATH.search(text):
            self.errors += total
            self.errors_run += run


def percent(run, total):
    return 100.0 * run / total if total else 100.0


def sum_of(name, lines, texts, exceptions, missing):
    """Adds up a file; appends what did not run and is not excused."""
    total = Sum()
    if max(lines) > len(texts):
        sys.exit(f"{name} is not what was built: build again")
    for number in sorted(lines):
        line, text = lines[number], texts[number - 1]
        did_not = line.count == 0 or 0 in line.all_branches()
        excused = did_not and exceptions.excuse(name, line, text)
        total.add_line(line, text, excused)
        if did_not and not excused:
            what = "not run" if line.count == 0 else \
                f"{line.all_branches().count(0)} of {len(line.all_branches())} branches not run"
            missing.append(f"{name}:{number}: {what}: {text.strip()}")
    return total


HEAD = f"{'':28} {'lines':>12} {'':>6} {'branches':>12} {'':>6} {'on errors':>12} {'excused':>8}"


def row(name, total):
    return (f"{name:28} {total.lines_run:5}/{total.lines:<6} "
            f"{percent(total.lines_run, total.lines):6.1f} "
            f"{total.branches_run:5}/{total.branches:<6} "
            f"{percent(total.branches_run, total.branches):6.1f} "
            f"{total.errors_run:5}/{total.errors:<6} {total.excused:8}")


def below_floor(directory, total):
    run = (percent(total.lines_run, total.lines), percent(total.branches_run, total.branches))
    for what, reached, floor in zip(("lines", "branches"), run, FLOORS.get(directory, FLOOR)):
        if reached < floor:
            yield f"{directory}: {reached:.1f} % of the {what}, the floor is {floor} %"


def judge(files, texts, exceptions):
    """Returns the report, what did not run, and the complaints."""
    report, missing, found = [HEAD], [], []
    everything = Sum()
    for directory in DIRECTORIES:
        all_files = Sum()
        for name in sorted(n for n in files if n.startswith(directory + "/")):
            total = sum_of(name, files[name], texts[name], exceptions, missing)
            report.append(row(name, total))
            all_files.add(total)
        report.append(row(directory, all_files))
        everything.add(all_files)
        found += below_floor(directory, all_files)
    report.append(row("all", everything))
    return report, missing, found + list(exceptions.stale())


# ---- whether it can fail ------------------------------------------------------------------

def document(counts, branches=()):
    """What gcov says of a file whose lines ran so often, the first with branches."""
    lines = [{"line_number": i, "count": count, "function_name": f"f{i}", "branches": []}
             for i, count in enumerate(counts, 1)]
    lines[0]["branches"] = [{"count": count, "throw": False, "fallthrough": False}
                            for count in branches]
    return {"files": [{"file": "/r/src/core/a.c", "lines": lines}]}


THREE = {"src/core/a.c": ["if (x == NULL)", "return;", "go();"]}
CASES = [  # documents, exceptions, whether it is good
    ([document([3, 1, 2], [1, 2])], "", True),
    ([document([3, 0, 3], [0, 3])], "", False),
    ([document([3, 0, 3], [0, 3]), document([1, 1, 0], [1, 0])], "", True),
    ([document([3, 1, 2], [0, 3])], "", False),
    ([document([3, 0, 3], [0, 3])], "src/core/a.c | f2() | it\nsrc/*.c | /x ==/ | it", True),
    ([document([3, 1, 2], [1, 2])], "src/core/a.c | f2() | it runs after all", False),
    ([document([3, 1, 2], [1, 2])], "src/core/a.c | ? f2() | a race", True),
    ([document([3, 0, 3], [1, 2])], "src/base/a.c | f2() | another file", False),
]


def self_test():
    found = []
    for i, (documents, exceptions, good) in enumerate(CASES):
        files = collect(pathlib.Path("/r"), documents)
        _, _, complaints = judge(files, THREE, Exceptions(exceptions))
        if good == bool(complaints):
            found.append(f"case {i}: {complaints}")
    return found


def main():
    arguments = sys.argv[1:]
    if arguments == ["--self-test"]:
        found = self_test()
    elif len(arguments) in (2, 3):
        root = pathlib.Path(arguments[0]).resolve()
        listed = pathlib.Path(arguments[2]).read_text(encoding="utf-8") if arguments[2:] else ""
        files = collect(root, gcov(arguments[1]))
        texts = {name: (root / name).read_text(encoding="utf-8").splitlines() for name in files}
        report, missing, found = judge(files, texts, Exceptions(listed))
        print("\n".join(missing + report))
    else:
        sys.exit(__doc__)
    print("\n".join(found) if found else "nothing wrong")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
