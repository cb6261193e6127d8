# SPDX-License-Identifier: MIT
"""Compares two scoreboards: what vow got slower in, or faster, beyond the noise."""
import dataclasses
import statistics

from . import samples, table

LEAST = 1.05  # less is never called a change


@dataclasses.dataclass
class Change:
    figure: str
    condition: str
    old: float
    new: float
    unit: str
    by: float  # how many times slower, drift taken off: below 1 it got faster
    drift: float  # how many times slower the others got: it is the machine
    noise: bool  # whether the samples overlap, or it is too little to say

    @property
    def verdict(self):
        if self.noise:
            return "same"
        return "slower" if self.by > 1 else "faster"


def drift_of(old, new):
    """Returns how many times slower the other libraries got in a row: the middle of them."""
    moved = [samples.slowness(new[name].median, old[name].median, new[name].unit)
             for name in new if name != table.OURS and name in old and old[name].median > 0]
    return statistics.median(moved) if len(moved) >= 3 else 1.0


def scaled(one, by):
    """Returns the samples as they would be on a machine so many times slower."""
    factor = 1 / by if samples.more_is_better(one.unit) else by
    return dataclasses.replace(one, values=[value * factor for value in one.values])


def compare(old, new):
    """Returns a Change for each row in which vow is in both."""
    changes = []
    for figure, condition in table.rows_of(new):
        before = table.row_of(old, figure, condition)
        after = table.row_of(new, figure, condition)
        if table.OURS not in before or table.OURS not in after:
            continue
        drift = drift_of(before, after)
        was, now = scaled(before[table.OURS], drift), after[table.OURS]
        by = samples.slowness(now.median, was.median, now.unit)
        noise = not samples.apart(was, now) or 1 / LEAST < by < LEAST
        changes.append(Change(figure, condition, before[table.OURS].median, now.median,
                              now.unit, by, drift, noise))
    return changes


def as_text(changes):
    lines = []
    for one in sorted(changes, key=lambda change: -change.by):
        if one.verdict == "same":
            continue
        name = f"{one.figure}, {one.condition}" if one.condition else one.figure
        lines.append(f"{one.verdict}: {name}: {table.show(one.old)} -> {table.show(one.new)} "
                     f"{one.unit}, by {one.by:.2f} (the others by {one.drift:.2f})")
    same = sum(one.verdict == "same" for one in changes)
    return "\n".join([*lines, f"{same} of {len(changes)} rows are the same within the noise"])
