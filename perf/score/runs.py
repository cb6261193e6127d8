# SPDX-License-Identifier: MIT
"""Several runs in a row: what held in each of them, and all of their samples together.

One run can be lucky. A row is led in a row, a goal is met in a row, if that is so in every
run by the medians of that run alone.
"""
import dataclasses

from . import goals, table, tally


@dataclasses.dataclass
class Row:
    """A row of the table that has a goal or a rival, and vow's medians, one a run."""
    figure: str
    medians: list
    ratios: list  # how many times slower than the best of the others; empty: no rival
    met: list  # whether the goal was; empty: it has none


def rows_of(runs):
    """Returns a Row for each figure without a condition in which vow is in every run."""
    rows = []
    for figure, condition in table.rows_of(runs[0]):
        each = [table.row_of(results, figure, condition) for results in runs]
        if condition or not all(table.OURS in row for row in each):
            continue
        ours = [row[table.OURS] for row in each]
        ratios = [ratio for ratio in map(table.ratio_of, each) if ratio is not None]
        met = [goals.is_met(one) for one in ours] if goals.goal_of(ours[0]) else []
        if ratios or met:
            rows.append(Row(figure, [one.median for one in ours], ratios, met))
    return rows


def pooled(runs):
    """Returns the samples of all runs, as if they had been one."""
    together = {}
    for one in (one for results in runs for one in results):
        key = (one.library, one.figure, one.condition)
        before = together.get(key)
        values = [*before.values, *one.values] if before else one.values
        together[key] = dataclasses.replace(one, values=values)
    return list(together.values())


def cells_of(row):
    """Returns the words of a row: a median and a ratio for each run, and what held."""
    ratios = row.ratios or [None] * len(row.medians)
    cells = [table.show(median) + (f" ({ratio:.2f})" if ratio is not None else "")
             for median, ratio in zip(row.medians, ratios)]
    leads = sum(ratio <= 1 for ratio in row.ratios)
    return [row.figure, *cells, f"{leads} of {len(row.ratios)}" if row.ratios else "",
            f"{sum(row.met)} of {len(row.met)}" if row.met else ""]


def table_of(runs):
    """Returns the lines of words."""
    head = ["workload", *(f"run {i + 1}" for i in range(len(runs))), "led", "goal met"]
    return [head, *(cells_of(row) for row in rows_of(runs))]


def as_lines(runs):
    """Returns the closing lines."""
    rows = rows_of(runs)
    contested = tally.contested(runs[0])
    contests = [row for row in rows if row.ratios and row.figure in contested]
    aims = [row for row in rows if row.met]
    led = sum(all(ratio <= 1 for ratio in row.ratios) for row in contests)
    met = sum(all(row.met) for row in aims)
    return [f"in each of {len(runs)} runs: vow leads every library in {led} of {len(contests)} "
            f"rows, and meets {met} of {len(aims)} goals"]
