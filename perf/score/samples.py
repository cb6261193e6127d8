# SPDX-License-Identifier: MIT
"""The samples of one figure, one a round, and what can be said of them."""
import dataclasses
import statistics

MORE_IS_BETTER = {"x", "req/s"}


@dataclasses.dataclass
class Samples:
    """What one library reached in one figure of one workload."""
    library: str
    figure: str
    unit: str
    condition: str = ""  # "" for the plain one; else such as "16 threads"
    allocator: str = ""
    values: list = dataclasses.field(default_factory=list)

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def least(self):
        return min(self.values)

    @property
    def most(self):
        return max(self.values)

    def to_json(self):
        return {"library": self.library, "workload": self.figure, "unit": self.unit,
                "condition": self.condition, "allocator": self.allocator,
                "median": self.median, "min": self.least, "max": self.most,
                "samples": self.values}

    @staticmethod
    def from_json(entry):
        """Reads what to_json wrote, and files that have no single samples."""
        values = entry.get("samples") or [entry["min"], entry["median"], entry["max"]]
        return Samples(entry["library"], entry["workload"], entry["unit"],
                       entry.get("condition", ""), entry.get("allocator", ""), values)


def more_is_better(unit):
    return unit in MORE_IS_BETTER


def slowness(ours, theirs, unit):
    """Returns how many times worse ours is: below 1 it is the better one."""
    worse, better = (theirs, ours) if more_is_better(unit) else (ours, theirs)
    if better == 0:
        return 1.0 if worse == 0 else float("inf")
    return worse / better


def best_of(samples):
    """Returns the one with the best median, or None."""
    samples = list(samples)
    if not samples:
        return None
    choose = max if more_is_better(samples[0].unit) else min
    return choose(samples, key=lambda one: one.median)


def apart(one, other):
    """Returns whether no sample of one lies among the samples of the other."""
    return one.least > other.most or other.least > one.most


def even(ours, theirs):
    """Returns whether neither is better in more than four of five rounds. Those of the same
    number were neighbours in time, on a machine that may be another one a minute later."""
    ratios = [slowness(a, b, ours.unit) for a, b in zip(ours.values, theirs.values)]
    most = max(sum(ratio < 1 for ratio in ratios), sum(ratio > 1 for ratio in ratios))
    return 5 * most <= 4 * len(ratios)
