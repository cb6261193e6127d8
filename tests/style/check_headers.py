#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles each public header alone and twice over, as C and as C++, with its options.

    check_headers.py [--self-test] CC CXX INCLUDE_DIR...

CXX may be empty: then there is no C++ compiler, and C is all that is checked. The first
directory holds the headers vow/*.h; the others are only searched.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

WARNINGS = "-Werror -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Wcast-qual".split()
C_ONLY = ["-Wstrict-prototypes", "-Wmissing-prototypes", "-Wold-style-definition"]


def languages(cc, cxx):
    yield [cc, "-std=c11", "-x", "c", *C_ONLY]
    yield [cc, "-std=c2x", "-x", "c", *C_ONLY]
    if cxx:
        yield [cxx, "-std=c++17", "-x", "c++"]


def options_of(header):
    """Returns a function that takes the address of what each macro for options makes."""
    names = re.findall(r"^#define (VOW_\w+)\(\.\.\.\) VOW_SIZED\(", header, re.MULTILINE)
    taken = "".join(f"take(&{name}());" for name in names)
    return (f"static void take(const void *p) {{ (void)p; }}\n"
            f"void use(void);\nvoid use(void) {{ {taken} }}\n" if names else "")


def check(cc, cxx, directories):
    """Returns what the compilers say against the headers."""
    found, search = [], [f"-I{directory}" for directory in directories]
    paths = sorted((path for directory in directories
                    for path in pathlib.Path(directory, "vow").glob("*.h")),
                   key=lambda path: path.name)
    if not paths:
        found.append(f"no header in {directories}")
    for path in paths:
        name = path.name
        options = options_of(path.read_text(encoding="utf-8"))
        for compiler in languages(cc, cxx):
            source = f"#include <vow/{name}>\n" * 2 + "extern int not_empty;\n" + options
            run = subprocess.run([*compiler, *WARNINGS, *search, "-fsyntax-only", "-"],
                                 input=source, capture_output=True, text=True, check=False)
            if run.returncode != 0:
                found.append(f"<vow/{name}> with {' '.join(compiler)}:\n{run.stderr}")
    return found


GUARDED = "#ifndef X\n#define X\n{}\n#endif\n"
GOOD = GUARDED.format("#include <stddef.h>\nsize_t vow_x(void);")
BAD = [  # a header, in how many languages of (C11, C23, C++17) it fails
    (GUARDED.format("size_t vow_x(void);"), 3),
    ("struct vow_x { int x; };\n", 3),
    (GUARDED.format("static inline int vow_x(long x) { return x; }"), 3),
    (GUARDED.format("int vow_x(int class);"), 1),
    (GUARDED.format("static inline int *vow_x(void *p) { return p; }"), 1),
    (GUARDED.format("int vow_x();"), 2),
    (GUARDED.format("#include <stddef.h>\nstruct vow_o { size_t size; };\n"
                    "#define VOW_SIZED(type, ...) (type){.size = sizeof(type), __VA_ARGS__}\n"
                    "#define VOW_O(...) VOW_SIZED(struct vow_o, __VA_ARGS__)"), 1),
]


def self_test(cc, cxx):
    found = []
    with tempfile.TemporaryDirectory() as place:
        header = pathlib.Path(place, "vow", "x.h")
        header.parent.mkdir()
        header.write_text(GOOD, encoding="utf-8")
        found += check(cc, cxx, [place])
        for text, failures in BAD:
            header.write_text(text, encoding="utf-8")
            failed = len(check(cc, cxx, [place]))
            if cxx and failed != failures or not cxx and failures == 3 and failed != 2:
                found.append(f"{text!r} failed in {failed} languages")
    return found


def main():
    arguments = sys.argv[1:]
    testing = arguments[:1] == ["--self-test"]
    if testing:
        arguments = arguments[1:]
    if len(arguments) < 2:
        sys.exit(__doc__)
    cc, cxx, *directories = arguments
    found = self_test(cc, cxx) if testing else check(cc, cxx, directories)
    print("\n".join(found) if found else "nothing wrong")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
