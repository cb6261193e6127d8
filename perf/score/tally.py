# SPDX-License-Identifier: MIT
"""What closes the table: in how many rows vow leads, and how many goals it meets.

A row counts if it has no condition and another library is in it; how many CPUs were busy
meanwhile is no contest. Vow leads a row if none of the others is better.
"""
import dataclasses

from . import goals, table

C_LIBRARIES = ("libuv", "libevent", "glib", "openmp")  # bare epoll is a program


@dataclasses.dataclass
class Tally:
    rows: int = 0
    leads: int = 0
    c_rows: int = 0  # in which a library in C is
    c_leads: int = 0
    behind: list = dataclasses.field(default_factory=list)  # [(figure, ratio)]
    c_behind: list = dataclasses.field(default_factory=list)
    goals: int = 0
    missed: list = dataclasses.field(default_factory=list)  # [(figure, median, goal)]

    @property
    def met(self):
        return self.goals - len(self.missed)

    def to_json(self):
        return {"rows": self.rows, "leads": self.leads, "c_rows": self.c_rows,
                "c_leads": self.c_leads, "goals": self.goals, "goals_met": self.met}


def of_c(row):
    """Returns vow and the libraries in C."""
    return {name: one for name, one in row.items()
            if name == table.OURS or name in C_LIBRARIES}


def contested(results):
    """Returns the figures that count as rows, if there is a rival."""
    return {one.figure for one in results if one.unit != "cores" and not one.condition}


def count(results):
    tally = Tally()
    contests = contested(results)
    for figure, condition in table.rows_of(results):
        row = table.row_of(results, figure, condition)
        if condition or table.OURS not in row:
            continue
        ours = row[table.OURS]
        if goals.goal_of(ours):
            tally.goals += 1
            if not goals.is_met(ours):
                tally.missed.append((figure, ours.median, goals.goal_of(ours).value))
        if figure not in contests:
            continue
        ratio, c_ratio = table.ratio_of(row), table.ratio_of(of_c(row))
        if ratio is not None:
            tally.rows += 1
            tally.leads += ratio <= 1
            tally.behind += [(figure, ratio)] if ratio > 1 else []
        if c_ratio is not None:
            tally.c_rows += 1
            tally.c_leads += c_ratio <= 1
            tally.c_behind += [(figure, c_ratio)] if c_ratio > 1 else []
    return tally


def behind_text(behind):
    rows = [f"{figure} {ratio:.2f}" for figure, ratio in sorted(behind, key=lambda one: one[1])]
    return f"; behind in: {', '.join(rows)}" if rows else ""


def missed_text(missed):
    rows = [f"{figure} {table.show(median)} for {table.show(goal)}"
            for figure, median, goal in missed]
    return f"; missed: {', '.join(rows)}" if rows else ""


def as_lines(tally):
    """Returns the closing lines."""
    return [
        f"vow leads every library in {tally.leads} of {tally.rows} rows"
        + behind_text(tally.behind),
        f"vow leads every library in C in {tally.c_leads} of {tally.c_rows} rows"
        + behind_text(tally.c_behind),
        f"vow meets {tally.met} of {tally.goals} goals" + missed_text(tally.missed),
    ]
