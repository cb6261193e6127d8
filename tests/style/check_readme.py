#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that the programs in README.md are the ones that are built.

A comment <!-- path --> before a code block names the file that the block is part of:
its lines must stand there, in a row. Links to files must lead somewhere.

  check_readme.py ROOT          says what is wrong; exit status 1 if anything is
  check_readme.py --self-test   shows that each complaint can be made
"""
import pathlib
import re
import sys
import tempfile

BLOCK = re.compile(r"<!-- (\S+) -->\n```\w*\n(.*?)```", re.S)
LINK = re.compile(r"\]\(([^)#:]+)\)")


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
    for path in LINK.findall(text):
        if not (root / path).exists():
            yield f"README.md: the link to {path} leads nowhere"


def self_test():
    cases = {
        "right": ("<!-- a.c -->\n```c\nint x;\n```\n[a](a.c)\n", 0),
        "no program": ("nothing\n", 1),
        "other text": ("<!-- a.c -->\n```c\nint y;\n```\n", 1),
        "no such file": ("<!-- b.c -->\n```c\nint x;\n```\n", 1),
        "dead link": ("<!-- a.c -->\n```c\nint x;\n```\n[b](b.c)\n", 1),
    }
    failed = []
    for name, (text, expected) in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "a.c").write_text("int x;\n")
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
