#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that each public function says what its contract is.

    check_contracts.py INCLUDE_DIR   checks the headers in it; prints what is missing
    check_contracts.py --self-test   shows that each check can fail
"""
import pathlib
import re
import sys
import tempfile

import headers


def check_function(function):
    where = f"{function.where}: {function.name}"
    if not re.match(r"vow_[a-z]", function.name):
        yield f"{where}: the name does not begin with vow_"
    if function.comment is None:
        yield f"{where}: no doc comment"
        return
    if function.kind == "inline":  # one line says it all
        return
    described = re.findall(r"@param\s+(\w+)", function.comment)
    for name in function.parameters:
        if name not in described:
            yield f"{where}: no @param {name}"
    for name in described:
        if name not in function.parameters:
            yield f"{where}: @param {name} is no parameter"
    if ("@return" in function.comment) != (function.result != "void"):
        yield f"{where}: @return does not fit {function.result}"
    contract = re.search(r"@contract\s+(.*)\*/", function.comment, re.DOTALL)
    if contract is None:
        yield f"{where}: no @contract"
    elif ";" not in contract.group(1) and not contract.group(1).startswith("as vow_"):
        yield f"{where}: @contract says too little"


def check(include):
    """Returns all complaints about the headers of a directory."""
    functions = headers.functions_under(include)
    found = [] if functions else [f"no function found in {include}"]
    for function in functions:
        found += check_function(function)
    return found


DOC = """/**
 * Does it.
 *
 * @param f   borrowed
 * @return    0
 * @contract  any thread; never blocks
 */
"""
GOOD = DOC + "int vow_do(vow_future *f);\n"
BAD = [  # a header, a part of the one complaint
    ("", "no function found"),
    ("int vow_do(vow_future *f);\n", "no doc comment"),
    ("/** A macro. */\n#define VOW_X 1\nint vow_do(vow_future *f);\n", "no doc comment"),
    ("static inline int vow_do(int f)\n{\n    return f;\n}\n", "no doc comment"),
    (GOOD.replace("vow_do", "do_it"), "does not begin with vow_"),
    (GOOD.replace("@param f ", "the f "), "no @param f"),
    (GOOD.replace("(vow_future *f)", "(void)"), "@param f is no parameter"),
    (GOOD.replace("@return  ", "Returns"), "@return does not fit int"),
    (GOOD.replace("int vow_do", "void vow_do"), "@return does not fit void"),
    (GOOD.replace("@contract", "In short:"), "no @contract"),
    (GOOD.replace("; never blocks", ""), "says too little"),
    (GOOD + "int vow_do_more(const char *f, ...) VOW_PRINTF(1, 2);\n", "vow_do_more: no doc"),
]


def self_test():
    found = []
    with tempfile.TemporaryDirectory() as place:
        header = pathlib.Path(place, "x.h")
        header.write_text(GOOD, encoding="utf-8")
        found += check(place)
        for text, expected in BAD:
            header.write_text(text, encoding="utf-8")
            lines = check(place)
            if len(lines) != 1 or expected not in lines[0]:
                found.append(f"{text!r}: expected one {expected!r}, got {lines}")
    return found


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = self_test() if sys.argv[1] == "--self-test" else check(sys.argv[1])
    print("\n".join(found) if found else "nothing wrong")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
