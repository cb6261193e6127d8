#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Says what a program compiled against the headers relies on, in words of C.

    abi.py LIBRARY INCLUDE_DIR         prints it, read by abidw from a build with -g
    abi.py --compare KEPT NEW          prints what became different; fails if anything did
    abi.py --self-test CC              shows that a change is seen

A struct has its size and each member's offset, in bytes; an enum its values; a function
type and a function what they take and return. What has gone or is another breaks such a
program; what is only new does not, but is to be kept in the list from then on.
"""
import difflib
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

ABIDW = """abidw --no-corpus-path --no-comp-dir-path --no-show-locs --no-architecture
    --drop-private-types --headers-dir""".split()


class Types:
    """The types of a library, by their ids."""

    def __init__(self, root):
        self.by_id = {node.get("id"): node for node in root.iter() if node.get("id")}

    def spell(self, type_id, name=""):
        """Returns a declaration of name with a type, or the type alone."""
        node = self.by_id[type_id]
        kind, inner = node.tag, node.get("type-id")
        if kind == "pointer-type-def":
            pointed = self.by_id[inner].tag
            return self.spell(inner, f"(*{name})" if pointed in ("function-type",
                                                                 "array-type-def") else f"*{name}")
        if kind == "qualified-type-def":
            words = " ".join(word for word in ("const", "volatile") if node.get(word))
            if self.by_id[inner].tag == "pointer-type-def":
                return self.spell(inner, f"{words} {name}".strip())
            return f"{words} {self.spell(inner, name)}"
        if kind == "array-type-def":
            return self.spell(inner, name + "".join(f"[{part.get('length')}]" for part in node))
        if kind == "function-type":
            return self.function(node, name)
        own = "".join((" ".join(self.members(node)).join(("{ ", " }")))
                      if node.get("is-anonymous") else node.get("name"))
        return f"{own} {name}".strip()

    def function(self, node, name):
        taken = ["..." if part.get("is-variadic") else self.spell(part.get("type-id"))
                 for part in node.findall("parameter")]
        result = node.find("return").get("type-id")
        return self.spell(result, f"{name}({', '.join(taken) or 'void'})")

    def members(self, node):
        for member in node.findall("data-member"):
            variable = member.find("var-decl")
            offset = int(member.get("layout-offset-in-bits", "0")) // 8
            yield f"{offset}: {self.spell(variable.get('type-id'), variable.get('name'))};"


def describe(root):
    """Yields what is said of each public name, sorted."""
    types, found = Types(root), {}
    for node in root.iter():
        name = node.get("name", "")
        if not name.startswith("vow_"):
            continue
        if node.tag == "function-decl":
            found[f"function {name}"] = [types.function(node, name)]
        elif node.tag == "class-decl" and node.get("size-in-bits"):
            found[f"struct {name}"] = [f"struct {name}: {int(node.get('size-in-bits')) // 8}",
                                       *(f"    {line}" for line in types.members(node))]
        elif node.tag == "enum-decl":
            values = [f"{part.get('name')} = {part.get('value')}"
                      for part in node.findall("enumerator")]
            found[f"enum {name}"] = [f"enum {name}: {', '.join(values)}"]
        elif node.tag == "typedef-decl":
            meant = types.by_id[node.get("type-id")]
            if meant.get("name") != name:
                found[f"typedef {name}"] = ["typedef " + types.spell(node.get("type-id"), name)]
    for key in sorted(found):
        yield from found[key]


def abi_of(library, include):
    library = pathlib.Path(library).resolve()  # abidw takes no link
    text = subprocess.run([*ABIDW, include, library], capture_output=True, text=True, check=True)
    return list(describe(xml.etree.ElementTree.fromstring(text.stdout)))


def compare(kept, new):
    """Returns a complaint and the lines that are different, or none."""
    lines = list(difflib.unified_diff(kept, new, "kept", "built", n=1, lineterm=""))
    if not lines:
        return []
    gone = any(line.startswith("-") for line in lines[2:])
    return [*lines, "the interface is another: a new soname?" if gone else
            "the interface has more: ./dev abi --update keeps it"]


HEADER = """#include <stddef.h>
typedef struct vow_hidden vow_hidden;
typedef enum vow_mode { VOW_A, VOW_B = 5 } vow_mode;
typedef int vow_step_fn(void *ctx, const char *const *names);
typedef struct vow_options {
    size_t size;
    union { void *ptr; double f64; } as;
    char text[3];
    vow_mode mode;
    void (*run)(vow_hidden *self);
} vow_options;
int vow_do(vow_hidden *h, const vow_options *o, vow_step_fn *fn, ...);
"""
SOURCE = '#include "vow.h"\nint vow_do(vow_hidden *h, const vow_options *o, vow_step_fn *fn, ...)' \
    '{ return h && o && fn; }\n'
SAID = """enum vow_mode: VOW_A = 0, VOW_B = 5
int vow_do(vow_hidden *, const vow_options *, vow_step_fn *, ...)
struct vow_options: 32
    0: size_t size;
    8: { 0: void *ptr; 0: double f64; } as;
    16: char text[3];
    20: vow_mode mode;
    24: void (*run)(vow_hidden *);
typedef int vow_step_fn(void *, const char *const *)""".splitlines()
CHANGES = [  # what is replaced, by what, a part of the complaint
    ("size_t size;", "size_t size; int more;", "is another"),
    ("VOW_B = 5", "VOW_B = 6", "is another"),
    ("VOW_B = 5", "VOW_B = 5, VOW_C", "is another"),
    ("const vow_options *o", "vow_options *o", "is another"),
    ("char text[3]", "char text[4]", "is another"),
    ("void *ctx, ", "", "is another"),
    ("int vow_do", "int vow_more(void);\nint vow_do", "has more"),
]


def built(cc, header, source):
    with tempfile.TemporaryDirectory() as place:
        pathlib.Path(place, "vow.h").write_text(header, encoding="utf-8")
        pathlib.Path(place, "vow.c").write_text(source, encoding="utf-8")
        subprocess.run([cc, "-g", "-shared", "-fPIC", "-o", f"{place}/vow.so", f"{place}/vow.c"],
                       check=True)
        return abi_of(f"{place}/vow.so", place)


def self_test(cc):
    said = built(cc, HEADER, SOURCE)
    found = compare(SAID, said)
    for old, new, expected in CHANGES:
        source = SOURCE.replace(old, new)
        if "vow_more" in new:
            source = SOURCE + "int vow_more(void) { return 1; }\n"
        lines = compare(said, built(cc, HEADER.replace(old, new), source))
        if not lines or expected not in lines[-1]:
            found.append(f"{old} -> {new}: expected {expected!r}, got {lines}")
    return found


def main():
    arguments = sys.argv[1:]
    if len(arguments) == 3 and arguments[0] == "--compare":
        kept, new = (pathlib.Path(name).read_text(encoding="utf-8").splitlines()
                     for name in arguments[1:])
        found = compare(kept, new)
    elif len(arguments) == 2 and arguments[0] == "--self-test":
        found = self_test(arguments[1])
    elif len(arguments) == 2:
        print("\n".join(abi_of(*arguments)))
        return
    else:
        sys.exit(__doc__)
    print("\n".join(found) if found else "nothing wrong")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
