#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that every call of the library that can fail goes through fault.h.

    check_calls.py LIBRARY CALLS   prints what it calls and is not in the list CALLS
    check_calls.py --self-test CC  shows that the check can fail

LIBRARY was compiled with fault_points.h. What it still needs from elsewhere cannot fail,
or the library does not look: each such name is in CALLS, with the reason.
"""
import fnmatch
import pathlib
import subprocess
import sys
import tempfile


def names(library, *options):
    """Returns the names that nm lists."""
    out = subprocess.run(["nm", *options, library], capture_output=True, text=True, check=True)
    return {line.split()[-1] for line in out.stdout.splitlines() if len(line.split()) >= 2}


def read_calls(path):
    """Returns the patterns of the list and their reasons."""
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    parts = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return {part[0]: part[1] if len(part) > 1 else "" for part in parts}


def check(library, calls):
    """Returns all complaints."""
    listed = read_calls(calls)
    needed = names(library, "-u") - names(library, "--defined-only")
    found = [f"{name}: it has no reason" for name, reason in listed.items() if not reason]
    for name in sorted(needed):
        if not name.startswith("fault_") and \
                not any(fnmatch.fnmatchcase(name, pattern) for pattern in listed):
            found.append(f"{name}: the library calls it, and no test makes it fail")
    return found


GOOD = ("int fault_open(void); void *memcpy(void *, const void *, unsigned long);\n"
        "int f(void *a, void *b, unsigned long n);\n"
        "int f(void *a, void *b, unsigned long n) { memcpy(a, b, n); return fault_open(); }\n",
        "# what cannot fail\nmem* cannot fail\n")
BAD = [  # source, list, a part of the complaint
    (GOOD[0].replace("fault_open", "open"), GOOD[1], "open: the library calls it"),
    (GOOD[0], "", "memcpy: the library calls it"),
    (GOOD[0], "mem*\n", "mem*: it has no reason"),
]


def complaints_of(cc, source, calls):
    with tempfile.TemporaryDirectory() as place:
        text, library, listed = (pathlib.Path(place, name) for name in ("a.c", "a.o", "calls"))
        text.write_text(source, encoding="utf-8")
        listed.write_text(calls, encoding="utf-8")
        subprocess.run([cc, "-c", text, "-o", library], check=True)
        return check(library, listed)


def self_test(cc):
    found = [f"the good one: {line}" for line in complaints_of(cc, *GOOD)]
    for source, calls, expected in BAD:
        lines = complaints_of(cc, source, calls)
        if not any(expected in line for line in lines):
            found.append(f"expected {expected!r}, got {lines}")
    return found


def main():
    arguments = sys.argv[1:]
    if len(arguments) != 2:
        sys.exit(__doc__)
    found = self_test(arguments[1]) if arguments[0] == "--self-test" else check(*arguments)
    print("\n".join(found) if found else "nothing wrong")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
