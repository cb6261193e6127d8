#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks what the compiler does not: the layers, the atomics, the marks in the text.

    check_tree.py ROOT          checks a source tree; prints what is wrong
    check_tree.py --self-test   shows that each check can fail
"""
import pathlib
import re
import sys
import tempfile

C_HEADERS = set("""assert complex ctype errno fenv float inttypes iso646 limits locale math
    setjmp signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn
    string tgmath threads time uchar wchar wctype""".split())

# Which layers each layer may include, by the directory of the file. The public headers
# are open to all of them.
ARROWS = {
    "include/vow": set(),
    "src/base": {"src/base"},
    "src/sync": {"src/base", "src/sync"},
    "src/queue": {"src/base", "src/queue"},
    "src/core": {"src/base", "src/sync", "src/queue", "src/core"},
    "src/resilience": {"src/base", "src/sync", "src/queue", "src/resilience"},
    "src/combine": {"src/base", "src/sync", "src/queue", "src/combine"},
    "executors": {"src/base", "src/sync", "src/queue", "executors"},
    "perf": {"perf", "examples"},
    "examples": {"examples"},
}

# Single files of another layer that a layer may include as well: made for it.
DOORS = {
    "src/combine": {"src/core/call.h", "src/core/caller.h", "src/core/hang.h",
                    "src/core/husk.h", "src/core/join.h"},
    "src/resilience": {"src/core/caller.h", "src/core/join.h"},
}

# The one file that spells memory orders, and has the instruction that spins politely.
ATOMIC = "src/base/atomic.h"
# And the one that changes the stack.
SWITCH = "src/sync/switch.c"
PAUSE = re.compile(r'(__asm__|asm)\s*(__volatile__|volatile)?\s*\(\s*"(pause|yield)[^;]*;')

NEVER = {  # in src and executors
    "a fence": re.compile(r"\b\w*(thread_fence|signal_fence|__sync_\w+)\b"),
    "volatile": re.compile(r"\b(__)?volatile(__)?\b"),
    "assembly": re.compile(r"\b(asm|__asm__|__asm)\b"),
}
NOT_OUTSIDE_ATOMIC = {
    "a memory order": re.compile(r"\b(memory_order_\w+|__ATOMIC_\w+)\b"),
    "a bare atomic operation": re.compile(
        r"\b(atomic_(load|store|exchange|compare_exchange|fetch)\w*|__atomic_\w+)\s*\("),
}

EDGE = re.compile(r"(?<![\w\])>])\[([a-z][a-z-]+)\](?!\()")
ORDERING = pathlib.Path("docs/ordering.md")
ROW = re.compile(r"^\| \[([a-z-]+)\] \|(.*)", re.MULTILINE)
SECTION = re.compile(r"^## .*", re.MULTILINE)
SOURCE = re.compile(r"`((?:src/|executors/)?[\w/*]+(?:\.[ch*]+|\*|/))`")
ORDERED = re.compile(r"\bvowi_(?:load|store|add|sub|or|and|swap|cas|cas_strong)"
                     r"_(?:acquire|release|acq_rel|seq_cst)\w*\(")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)

# A lock that fork does not know of; src/base/thread.c has all of them (see base/fork.c).
STATIC_LOCK = re.compile(r"\b(PTHREAD_(MUTEX|COND|RWLOCK)_INITIALIZER|VOWI_LOCK_INIT)\b")
LOCKS_HERE = {"src/base/thread.c", "src/sync/lock.c", "src/sync/lock.h", "executors/delayed.c"}

MARKS = re.compile(r"\b(" + "|".join(("XX" + "X", "TO" + "DO", "FIX" + "ME")) + r")\b")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT_OR_STRING = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
TEXT = {".c", ".h", ".cc", ".in", ".py", ".sh", ".cmake", ".md", ".json", ".yml"}
NAMES = {"CMakeLists.txt", "LICENSE", "dev"}


def files_of(root):
    """Returns the text files of the tree, relative to it, builds and hidden ones left out."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if any(part == "build" or part.startswith(".") for part in name.parts):
            continue
        if path.is_file() and (path.suffix in TEXT or path.name in NAMES):
            yield name


def layer_of(name):
    for layer in ARROWS:
        if name.as_posix().startswith(layer + "/"):
            return layer
    return None


def code_of(text):
    """Blanks comments and strings, and keeps the lines."""
    return COMMENT_OR_STRING.sub(lambda m: " " + "\n" * m.group().count("\n"), text)


def line_of(text, match):
    return text.count("\n", 0, match.start()) + 1


def target_of(root, name, included):
    """Returns the file that a quoted include means, relative to the tree, or None."""
    for base in (root / name.parent, root / "src", root / "examples/support"):
        path = (base / included).resolve()
        if path.is_file() and path.is_relative_to(root.resolve()):
            return path.relative_to(root.resolve())
    return None


def check_includes(root, name, text):
    layer = layer_of(name)
    if layer is None:
        return
    for match in INCLUDE.finditer(text):
        kind, included = match.groups()
        where = f"{name}:{line_of(text, match)}"
        if kind == "<":
            if layer == "include/vow" and not included.startswith("vow/") and \
                    included.removesuffix(".h") not in C_HEADERS:
                yield f"{where}: a public header includes <{included}>"
            continue
        target = target_of(root, name, included)
        if target is None:
            yield f'{where}: "{included}" is nowhere in the tree'
        elif layer_of(target) not in ARROWS[layer] and \
                target.as_posix() not in DOORS.get(layer, ()):
            yield f"{where}: {layer} includes {target}"


def check_atomics(name, text):
    if layer_of(name) is None or not name.as_posix().startswith(("src/", "executors/")):
        return
    rules = dict(NEVER)
    if name.as_posix() not in LOCKS_HERE:
        rules["a lock that fork does not know of"] = STATIC_LOCK
    if name.as_posix() == ATOMIC:
        text = PAUSE.sub(lambda m: ";" + "\n" * m.group().count("\n"), text)
    else:
        rules.update(NOT_OUTSIDE_ATOMIC)
    if name.as_posix() == SWITCH:
        del rules["assembly"]
    code = code_of(text)
    for what, pattern in rules.items():
        for match in pattern.finditer(code):
            yield f"{name}:{line_of(code, match)}: {what}: {match.group()}"


def check_text(name, text):
    for match in MARKS.finditer(text):
        yield f"{name}:{line_of(text, match)}: unfinished: {match.group()}"
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            yield f"{name}:{number}: white space at the end of the line"
        if "\t" in line:
            yield f"{name}:{number}: a tab"
    if text and not text.endswith("\n"):
        yield f"{name}: no newline at the end"
    if name.suffix in (".c", ".h", ".cc") and \
            not text.startswith("/* SPDX-License-Identifier: MIT */\n"):
        yield f"{name}:1: no SPDX line"


def has_atomics(name):
    return name.as_posix().startswith(("src/", "executors/")) and name.as_posix() != ATOMIC


def check_ordered(name, text):
    """An ordered operation names its edge: in its statement, in a comment that ends just
    before that, or on the line behind it."""
    code = code_of(text)
    comments = [(text.count("\n", 0, m.start()), text.count("\n", 0, m.end()), m.group())
                for m in COMMENT.finditer(text)]
    for match in ORDERED.finditer(code):
        begin = max(code.rfind(c, 0, match.start()) for c in ";{}") + 1
        begin += len(code[begin:]) - len(code[begin:].lstrip())
        first = code.count("\n", 0, begin) - 1
        last = code.count("\n", 0, re.compile("[;{]").search(code, match.end()).start()) + 1
        if not any(end >= first and start <= last and EDGE.search(comment)
                   for start, end, comment in comments):
            yield f"{name}:{line_of(code, match)}: an order without its edge: {match.group()}"


def sources_named(text, beside):
    """The files of the tree that a line of ordering.md names; what has no folder is in that
    of the one before it."""
    found, folder = set(), ""
    for source in SOURCE.findall(text):
        if source.startswith(("src/", "executors/")):
            folder = source[:source.rindex("/") + 1]
        pattern = source if source.startswith(folder or "/") else folder + source
        found |= {n for n in beside if n.match(pattern + "*" * pattern.endswith("/"))}
    return found


def check_rows(ordering, ends):
    """Each row of ordering.md: its edge is in one of the files of its section, or of its own."""
    names = {name for found in ends.values() for name in found}
    at = [m.start() for m in SECTION.finditer(ordering)] + [len(ordering)]
    for begin, end in zip(at, at[1:]):
        section = ordering[begin:end]
        here = sources_named(section[:section.index("\n")], names)
        for edge, row in ROW.findall(section):
            if edge in ends and not set(ends[edge]) & (here | sources_named(row, names)):
                yield f"{ORDERING}: the edge [{edge}] is in none of the files of its section"


def check_edges(texts):
    """An edge of synchronisation has a name in brackets: at both ends, and in the list."""
    ends = {}
    for name, text in texts.items():
        if not has_atomics(name):
            continue
        yield from check_ordered(name, text)
        for comment in COMMENT.findall(text):
            for edge in EDGE.findall(comment):
                ends.setdefault(edge, []).append(name)
    ordering = texts.get(ORDERING)
    rows = [edge for edge, _ in ROW.findall(ordering or "")]
    for edge, names in sorted(ends.items()):
        if len(names) == 1:
            yield f"{names[0]}: the edge [{edge}] has no other end"
        if ordering is not None and edge not in rows:
            yield f"{ORDERING}: the edge [{edge}] of {names[0]} has no row in it"
    for edge in sorted(set(EDGE.findall(ordering or "")) - set(ends)):
        yield f"{ORDERING}: no code has the edge [{edge}]"
    yield from check_rows(ordering or "", ends)


def check(root):
    """Returns all complaints about a tree, in the order of its files."""
    found, texts = [], {}
    for name in files_of(root):
        text = texts[name] = (root / name).read_text(encoding="utf-8")
        found += check_includes(root, name, text)
        found += check_atomics(name, text)
        found += check_text(name, text)
    return found + list(check_edges(texts))


SPDX = "/* SPDX-License-Identifier: MIT */\n"
GOOD = {
    "include/vow/base.h": SPDX + "#include <stdint.h>\n#include <vow/result.h>\n",
    "src/base/atomic.h": SPDX + '#define order memory_order_relaxed\n'
                                '__asm__ __volatile__("pause" ::: "memory");\n',
    "src/base/mem.h": SPDX,
    "src/sync/park.h": SPDX + '#include <pthread.h>\n#include "base/atomic.h"\n',
    "src/queue/deque.h": SPDX + '#include "base/mem.h"\n',
    "src/core/state.h": SPDX + '#include "queue/deque.h"\n#include "sync/park.h"\n',
    "src/core/state.c": SPDX + '/* volatile, memory_order_seq_cst */\n#include "state.h"\n',
    "src/core/join.h": SPDX + "#include <vow/future.h>\n",
    "src/combine/all.c": SPDX + '#include "core/join.h"\n#include "base/mem.h"\n',
    "executors/pool.c": SPDX + '#include "sync/park.h"\n#include <vow/executor.h>\n',
    "examples/support/allocator.h": SPDX,
    "perf/bench_tree.c": SPDX + '#include "allocator.h"\n#include <vow/vow.h>\n',
    "src/queue/ring.c": SPDX + "/* [full] */\n/* ring[head], [full] */\n",
    "src/queue/full.c": SPDX + "if (x)\n    /* [full] */\n    vowi_store_release(p,\n"
                               "    x);\nvowi_load_acquire(p); /* [full] */\n"
                               "vowi_load_relaxed(p);\n",
    "docs/ordering.md": "## Rings: `src/queue/ring.c`\n\n| [full] | a[link](else) |\n",
    "tests/test_state.c": SPDX + '#include "core/state.h"\n',
}
BAD = [  # file, what is added to it, a part of the complaint
    ("include/vow/base.h", "#include <pthread.h>\n", "a public header includes <pthread.h>"),
    ("include/vow/base.h", '#include "base/mem.h"\n', "include/vow includes src/base/mem.h"),
    ("src/base/mem.h", '#include "sync/park.h"\n', "src/base includes src/sync/park.h"),
    ("src/sync/park.h", '#include "queue/deque.h"\n', "src/sync includes src/queue/deque.h"),
    ("src/queue/deque.h", '#include "core/state.h"\n', "src/queue includes src/core/state.h"),
    ("src/core/state.c", '#include "../../executors/pool.c"\n', "src/core includes executors"),
    ("src/combine/all.c", '#include "core/state.h"\n', "src/combine includes src/core/state.h"),
    ("executors/pool.c", '#include "core/join.h"\n', "executors includes src/core/join.h"),
    ("executors/pool.c", '#  include "core/state.h"\n', "executors includes src/core/state.h"),
    ("perf/bench_tree.c", '#include "core/state.h"\n', "perf includes src/core/state.h"),
    ("examples/support/allocator.h", '#include "base/mem.h"\n', "examples includes src/base"),
    ("src/core/state.c", '#include "absent.h"\n', "nowhere in the tree"),
    ("src/core/state.c", "atomic_thread_fence(x);\n", "a fence: atomic_thread_fence"),
    ("src/core/state.c", "__sync_synchronize();\n", "a fence: __sync_synchronize"),
    ("executors/pool.c", "static volatile int x;\n", "volatile: volatile"),
    ("executors/pool.c", '__asm__("pause");\n', "assembly: __asm__"),
    ("src/base/mem.h", "pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;\n",
     "a lock that fork does not know of"),
    ("executors/pool.c", "struct vowi_lock l = VOWI_LOCK_INIT(1);\n", "fork does not know of"),
    ("src/base/atomic.h", '__asm__("mfence");\n', "assembly: __asm__"),
    ("src/sync/stack.c", SPDX + '__asm__("ret");\n', "assembly: __asm__"),
    ("src/sync/switch.c", SPDX + "volatile int x;\n", "volatile: volatile"),
    ("src/sync/park.h", "memory_order_acquire\n", "a memory order: memory_order_acquire"),
    ("src/sync/park.h", "__ATOMIC_RELAXED\n", "a memory order: __ATOMIC_RELAXED"),
    ("src/sync/park.h", "atomic_load(&x);\n", "a bare atomic operation: atomic_load"),
    ("src/queue/full.c", "x;\n\nvowi_swap_acq_rel(p, x);\n", "an order without its edge"),
    ("src/queue/full.c", "x;\n\nvowi_cas_acquire_or_relaxed(p, e, x);\n", "an order without"),
    ("docs/ordering.md", "- [empty]\n", "no code has the edge [empty]"),
    ("docs/ordering.md", "## Else: `src/core/state.*`\n| [full] |\n", "none of the files"),
    ("src/queue/ring.c", "/* [empty] [empty] */\n", "the edge [empty] of src/queue/ring.c"),
    ("tests/test_state.c", "/* TO" + "DO */\n", "unfinished"),
    ("tests/test_state.c", "int x; \n", "white space at the end"),
    ("tests/test_state.c", "\tint x;\n", "a tab"),
    ("tests/test_state.c", "int x;", "no newline at the end"),
    ("tests/test_other.c", "int x;\n", "no SPDX line"),
]


def complaints_of(tree):
    with tempfile.TemporaryDirectory() as place:
        for name, text in tree.items():
            path = pathlib.Path(place, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return check(pathlib.Path(place))


def self_test():
    found = [f"the good tree: {line}" for line in complaints_of(GOOD)]
    for name, added, expected in BAD:
        lines = complaints_of({**GOOD, name: GOOD.get(name, "") + added})
        if len(lines) != 1 or expected not in lines[0]:
            found.append(f"{name} with {added!r}: expected one {expected!r}, got {lines}")
    lines = complaints_of({"src/core/x.c": SPDX + "/* [alone] */\n"})
    if len(lines) != 1 or "no other end" not in lines[0]:
        found.append(f"an edge with one end: got {lines}")
    return found


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = self_test() if sys.argv[1] == "--self-test" else check(pathlib.Path(sys.argv[1]))
    print("\n".join(found) if found else "nothing wrong")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
