#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the built libraries: what they export, and how the shared one was linked.

    check_library.py [--hardened] SHARED STATIC INCLUDE_DIR SYMBOLS   prints what is wrong
    check_library.py --self-test CC                   shows that each check can fail

The headers and the shared library name the same functions, among them all that the file
SYMBOLS does: ./dev abi --update adds new ones to it, and none goes. The static library
defines no name outside vow_ and vowi_. Beside libc and what compiler and loader bring
themselves, the shared library needs no other. Once hardened, it looks after its stack,
has libc look at sizes, and is ready for the processor's checks of jumps and returns.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

import headers

NEEDED = re.compile(r"NEEDED.*\[(?!libc\.|libgcc_s\.|ld-linux|libpthread\.)(.*)\]")
COMPILER_MADE = "DW.ref."  # how frames name the routine that unwinds them

LINKED = {  # what readelf says of the shared library, and what its absence means
    "GNU_RELRO": "no read-only relocations (-z relro)",
    "BIND_NOW": "functions are bound late (-z now)",
    "NODELETE": "dlclose could unmap code that runs (-z nodelete)",
    "SONAME": "no soname",
}
NOT_LINKED = {  # what it must not say, and what it would mean
    "TEXTREL": "the loader has to write to code (-fPIC)",
    "STATIC_TLS": "it cannot be loaded late (initial-exec thread-locals)",
}


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def defined_in(library, *options):
    """Returns the global names that a library defines."""
    lines = output_of("nm", "--defined-only", *options, library).splitlines()
    return {line.split()[-1] for line in lines if len(line.split()) == 3}


def compare(left, left_names, right, right_names):
    for name in sorted(left_names - right_names):
        yield f"{name} is in {left}, not in {right}"
    for name in sorted(right_names - left_names):
        yield f"{name} is in {right}, not in {left}"


def check_linking(shared):
    text = output_of("readelf", "--wide", "--dynamic", "--segments", shared)
    for mark, absent in LINKED.items():
        if mark not in text:
            yield absent
    for mark, present in NOT_LINKED.items():
        if mark in text:
            yield present
    for line in text.splitlines():
        if "GNU_STACK" in line and "E" in line.split()[-2]:
            yield "the stack is executable"
    for library in NEEDED.findall(text):
        yield f"it needs more than libc: {library}"


def check_hardened(shared, static):
    needed = output_of("nm", "--dynamic", "--undefined-only", shared)
    if "__stack_chk_fail" not in needed:
        yield "no function looks after its stack (-fstack-protector-strong)"
    if not re.search(r"__\w+_chk\b", needed):
        yield "libc looks at no size (_FORTIFY_SOURCE)"
    objects = output_of("readelf", "--file-header", "--notes", static)
    if objects.count("X86-64") > len(re.findall("IBT.*SHSTK", objects)):
        yield "jumps and returns are not checked (-fcf-protection)"


def check(shared, static, include, symbols):
    """Returns all complaints about the two libraries."""
    declared = {function.name for function in headers.functions_under(include)
                if function.kind == "function"}
    listed = pathlib.Path(symbols).read_text(encoding="utf-8").split()
    exported = defined_in(shared, "--dynamic")
    found = [f"{name}: exported, and does not begin with vow_"
             for name in sorted(exported) if not name.startswith("vow_")]
    found += [f"{name}: global, and begins with neither vow_ nor vowi_"
              for name in sorted(defined_in(static, "--extern-only"))
              if not name.startswith(("vow_", "vowi_", COMPILER_MADE))]
    if listed != sorted(set(listed)):
        found.append(f"{symbols} is not sorted, or has a name twice")
    found += compare("the headers", declared, "the library", exported)
    found += [f"{name} is in {symbols}, not in the headers"
              for name in sorted(set(listed) - declared)]
    return found + list(check_linking(shared))


GOOD = {
    "vow.h": "/** Does it. */\nint vow_do(void);\n",
    "vow.c": "int vow_do(void) { return 0; }\n",
    "vow.symbols": "vow_do\n",
    "flags": "-z relro -z now -z nodelete -z noexecstack -soname=x",
}
BAD = [  # file, its text, a part of the complaints
    ("vow.h", GOOD["vow.h"] + "/** More. */\nint vow_more(void);\n", "vow_more is in the headers"),
    ("vow.c", GOOD["vow.c"] + "int vow_more(void) { return 1; }\n", "vow_more is in the library"),
    ("vow.c", GOOD["vow.c"] + "int other(void) { return 1; }\n", "does not begin with vow_"),
    ("vow.c", GOOD["vow.c"] + "__attribute__((__visibility__(\"hidden\"))) int other = 1;\n",
     "begins with neither"),
    ("vow.symbols", "vow_do\nvow_more\n", "vow_more is in"),
    ("vow.symbols", "vow_do\nvow_do\n", "is not sorted"),
    ("vow.c", "static _Thread_local int t __attribute__((__tls_model__(\"initial-exec\")));\n"
     "int vow_do(void) { return t++; }\n", "cannot be loaded late"),
    ("flags", GOOD["flags"].replace("-z relro", "-z norelro"), "read-only relocations"),
    ("flags", GOOD["flags"].replace("-z now", "-z lazy"), "bound late"),
    ("flags", GOOD["flags"].replace("-z nodelete", ""), "unmap code"),
    ("flags", GOOD["flags"].replace("-z noexecstack", "-z execstack"), "stack is executable"),
    ("flags", GOOD["flags"].replace("-soname=x", ""), "no soname"),
    ("flags", GOOD["flags"] + " --no-as-needed -lm", "it needs more than libc: libm.so"),
]


HARDENED = "-O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fcf-protection=full"
FRAGILE = """#include <stdio.h>
int vow_do(int n, char *out);
int vow_do(int n, char *out) { char a[99]; sprintf(a, "%*d", n, n); return sprintf(out, a); }
"""
NOT_HARDENED = [  # a flag, what is there in its place, a part of the complaints
    ("-fstack-protector-strong", "-fno-stack-protector", "looks after its stack"),
    ("-D_FORTIFY_SOURCE=2", "-U_FORTIFY_SOURCE", "looks at no size"),
    ("-fcf-protection=full", "-fcf-protection=none", "jumps and returns"),
]


def hardened_complaints(cc, flags):
    with tempfile.TemporaryDirectory() as place:
        shared, static = f"{place}/vow.so", f"{place}/vow.o"
        subprocess.run([cc, *flags.split(), "-w", "-fPIC", "-c", "-x", "c", "-", "-o", static],
                       input=FRAGILE, text=True, check=True)
        output_of(cc, "-shared", static, "-o", shared)
        return list(check_hardened(shared, static))


def complaints_of(cc, files):
    with tempfile.TemporaryDirectory() as place:
        for name, text in files.items():
            pathlib.Path(place, name).write_text(text, encoding="utf-8")
        shared, source, static = (f"{place}/{name}" for name in ("vow.so", "vow.c", "vow.o"))
        flags = [f"-Wl,{flag}" if not flag.startswith("-l") else flag
                 for flag in files["flags"].replace("-z ", "-z,").split()]
        output_of(cc, "-fPIC", "-c", source, "-o", static)
        output_of(cc, "-shared", static, "-o", shared, *flags)
        return check(shared, static, place, f"{place}/vow.symbols")


def self_test(cc):
    found = [f"the good library: {line}" for line in complaints_of(cc, GOOD)]
    for name, text, expected in BAD:
        lines = complaints_of(cc, {**GOOD, name: text})
        if not any(expected in line for line in lines):
            found.append(f"{name}: {text!r}: expected {expected!r}, got {lines}")
    found += [f"hardened: {line}" for line in hardened_complaints(cc, HARDENED)]
    for flag, instead, expected in NOT_HARDENED:
        lines = hardened_complaints(cc, HARDENED.replace(flag, instead))
        if not any(expected in line for line in lines):
            found.append(f"{instead}: expected {expected!r}, got {lines}")
    return found


def main():
    arguments = sys.argv[1:]
    if len(arguments) == 2 and arguments[0] == "--self-test":
        found = self_test(arguments[1])
    elif len(arguments) == 5 and arguments[0] == "--hardened":
        found = check(*arguments[1:]) + list(check_hardened(*arguments[1:3]))
    elif len(arguments) == 4:
        found = check(*arguments)
    else:
        sys.exit(__doc__)
    print("\n".join(found) if found else "nothing wrong")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
