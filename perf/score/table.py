# SPDX-License-Identifier: MIT
"""The table: a row for each figure, a column for each library, the best one marked."""
from . import goals, samples, workloads
from .goals import OURS

HEAD = ["workload", "unit"]


def show(value):
    """Three digits, whatever the size."""
    if value == 0:
        return "0"
    if value == float("inf"):
        return "inf"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def rows_of(results):
    """Returns [(figure, condition)] in the order in which they came."""
    return list(dict.fromkeys((one.figure, one.condition) for one in results))


def libraries_of(results):
    """Ours first, the others as they came."""
    names = list(dict.fromkeys(one.library for one in results))
    return sorted(names, key=lambda name: name != OURS)


def row_of(results, figure, condition):
    return {one.library: one for one in results
            if (one.figure, one.condition) == (figure, condition)}


def rival_of(row):
    """Returns the best of the others, or None."""
    return samples.best_of(one for one in row.values() if one.library != OURS)


def ratio_of(row):
    """Returns how much slower vow is than the best of the others, or None."""
    best = rival_of(row)
    if best is None or OURS not in row:
        return None
    return samples.slowness(row[OURS].median, best.median, best.unit)


def goal_cell(row):
    """Returns the goal, and whether it is met; nothing if there is none."""
    ours = row.get(OURS)
    goal = goals.goal_of(ours) if ours else None
    if goal is None:
        return ""
    return f"{show(goal.value)} {'met' if goals.is_met(ours) else 'missed'}"


def cells_of(row, libraries):
    """Returns the words of a row but the first two."""
    best = samples.best_of(row.values())
    cells = []
    for library in libraries:
        one = row.get(library)
        text = "" if one is None else show(one.median)
        if one is not None and workloads.is_nearest(library, one.figure):
            text += "~"
        cells.append(f"*{text}" if one is best else text)
    ratio = ratio_of(row)
    return [*cells, goal_cell(row), "" if ratio is None else f"{ratio:.2f}"]


def table_of(results):
    """Returns the lines of words."""
    libraries = libraries_of(results)
    lines = [[*HEAD, *libraries, "goal", "vow/best"]]
    for figure, condition in rows_of(results):
        row = row_of(results, figure, condition)
        name = f"{figure}, {condition}" if condition else figure
        unit = next(iter(row.values())).unit
        lines.append([name, unit, *cells_of(row, libraries)])
    return lines


def as_text(lines):
    """Columns as wide as their widest word; numbers to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = []
    for line in lines:
        words = [word.ljust(width) if i < 2 else word.rjust(width)
                 for i, (word, width) in enumerate(zip(line, widths))]
        text.append("  ".join(words).rstrip())
    return "\n".join(text) + "\n"


def as_markdown(lines):
    def line_of(words):
        return "| " + " | ".join(words) + " |"

    def marked(word):
        bold = word.startswith("*")
        word = word.lstrip("*").replace("~", "\\~")
        return f"**{word}**" if bold else word

    head, *body = lines
    rule = "|---|---|" + "---:|" * (len(head) - 2)
    return "\n".join([line_of(head), rule,
                      *(line_of([marked(word) for word in words]) for words in body)]) + "\n"
