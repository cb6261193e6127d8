#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that the programs in README.md are the ones that are built.

A comment <!-- path --> before a code block names the file that the block is part of:
its lines must stand there, in a row. Links to files must lead somewhere. A comment
<!-- vow FIGURE --> before a number says which figure of perf/report it is.

  check_readme.py ROOT          says what is wrong; exit status 1 if anything is
  check_readme.py --self-test   shows that each complaint can be made
"""
import json
import pathlib
import re
import sys
import tempfile

FIGURES = "perf/report/scoreboard.json"
FIGURE = re.compile(r"<!-- vow (\S+) -->(\S*)")
BLOCK = re.compile(r"<!-- (\S+) -->\n```\w*\n(.*?)```", re.S)
LINK = re.compile(r"\]\(([^)#:]+)\)")


def complaints_of_figures(root, text):
    """Says which figures of vow are not the medians of the report."""
    entries = []
    if (root / FIGURES).exists():
        entries = json.loads((root / FIGURES).read_text())["figures"]
    known = {one["workload"]: one["median"] for one in entries
             if one["library"] == "vow" and not one["condition"]}
    for name, said in FIGURE.findall(text):
        digits = len(said.partition(".")[2])
        right = f"{known[name]:.{digits}f}" if name in known else "not there"
        if said != right:
            yield f"README.md: {name} is {said}, but {right} in {FIGURES}"


def complaints(root):
    text = (root / "README.md").read_text()
    blocks = BLOCK.findall(text)
    if not blocks:
        yield "README.md: no program"
    for path, block in blocks:
        if not (root / path).exists():
            yield f"README.md: {path} does not exist"
        elif block not in (root / path).read_text():
            yield f"README.md: the block from {path} is not what stands there"
    yield from complaints_of_figures(root, text)
    for path in LINK.findall(text):
        if not (root / path).exists():
            yield f"README.md: the link to {path} leads nowhere"


RIGHT = "<!-- a.c -->\n```c\nint x;\n```\n"
REPORTED = [
    {"library": "vow", "workload": "mem", "condition": "", "median": 147.9},
    {"library": "vow", "workload": "echo", "condition": "", "median": 1.45001},
    {"library": "vow", "workload": "mem", "condition": "4 threads", "median": 1},
    {"library": "tbb", "workload": "mem", "condition": "", "median": 1},
]


def self_test():
    cases = {
        "right": (RIGHT + "[a](a.c)\n", 0),
        "no program": ("nothing\n", 1),
        "other text": ("<!-- a.c -->\n```c\nint y;\n```\n", 1),
        "no such file": ("<!-- b.c -->\n```c\nint x;\n```\n", 1),
        "figures": (RIGHT + "<!-- vow mem -->148 <!-- vow echo -->1.5\n", 0),
        "another figure": (RIGHT + "<!-- vow mem -->146\n", 1),
        "no such figure": (RIGHT + "<!-- vow none -->1\n", 1),
        "dead link": ("<!-- a.c -->\n```c\nint x;\n```\n[b](b.c)\n", 1),
    }
    failed = []
    for name, (text, expected) in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "a.c").write_text("int x;\n")
            (root / FIGURES).parent.mkdir(parents=True)
            (root / FIGURES).write_text(json.dumps({"figures": REPORTED}))
            (root / "README.md").write_text(text)
            if len(list(complaints(root))) != expected:
                failed.append(name)
    return failed


def main():
    if sys.argv[1] == "--self-test":
        found = [f"self-test: {name} is judged wrongly" for name in self_test()]
    else:
        found = list(complaints(pathlib.Path(sys.argv[1])))
    print(*found, sep="\n")
    sys.exit(1 if found else 0)


main()
