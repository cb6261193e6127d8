# SPDX-License-Identifier: MIT
"""Reads the public headers: which functions they declare, and what their comments say."""
import collections
import pathlib
import re

# kind: "function", "inline"; comment: the text of the doc comment before it, or None.
Function = collections.namedtuple("Function", "name kind result parameters comment where")

TOKEN = re.compile(
    r"(?P<doc>/\*\*(?!<).*?\*/)|(?P<skip>/\*.*?\*/|//[^\n]*|^[ \t]*\#(?:\\\n|[^\n])*)"
    r"|(?P<open>\{)|(?P<close>\})|(?P<end>;)|(?P<other>[^{};/#]+|/|\#)",
    re.DOTALL | re.MULTILINE)
MARKERS = re.compile(r"\b(VOW_BEGIN_DECLS|VOW_END_DECLS|VOW_MUST_USE|VOW_PRINTF\([^)]*\))")
DECLARED = re.compile(r"^(?P<result>.*?[\s*])(?P<name>\w+)\s*\((?P<parameters>.*)\)$", re.DOTALL)


def declarations(text):
    """Yields (declaration, has a body, doc comment, line) of all at the top level."""
    depth, words, doc, line = 0, "", None, 1
    for match in TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
            if depth == 0 and words.rstrip().endswith(")"):
                yield words, True, doc, line
                words, doc = "", None
        elif depth > 0:
            continue
        elif kind == "doc":
            doc = match.group()
        elif kind == "skip" and match.group().lstrip().startswith("#"):
            doc = None  # it was the macro's
        elif kind == "end":
            yield words, False, doc, line
            words, doc = "", None
        elif kind == "other":
            if not words.strip():
                line = text.count("\n", 0, match.end() - len(match.group().lstrip())) + 1
            words += match.group()


def parameter_names(parameters):
    """Returns the names in a list of parameters; none of ours takes a bare function."""
    names = []
    for parameter in parameters.split(","):
        parameter = parameter.strip()
        if parameter not in ("void", "", "..."):
            names.append(re.search(r"(\w+)\s*(\[[^\]]*\])?$", parameter).group(1))
    return names


def functions_of(path):
    """Returns the functions that a header declares or defines inline."""
    found = []
    for words, has_body, doc, line in declarations(path.read_text(encoding="utf-8")):
        words = " ".join(MARKERS.sub(" ", words).split())
        match = DECLARED.match(words)
        if not match or words.startswith("typedef"):
            continue
        kind = "inline" if "static inline" in words else "function"
        result = re.sub(r"\b(static|inline)\b", "", match["result"]).strip()
        found.append(Function(match["name"], kind, result,
                              parameter_names(match["parameters"]), doc,
                              f"{path.name}:{line}"))
    return found


def functions_under(include):
    """Returns the functions of all headers in a directory."""
    found = []
    for path in sorted(pathlib.Path(include).glob("*.h")):
        found += functions_of(path)
    return found
