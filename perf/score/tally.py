# SPDX-License-Identifier: MIT
"""What closes the table: in how many rows vow leads, and how many goals it meets.

A row counts if it has no condition and another library is in it; how many CPUs were busy
meanwhile is no contest. Vow leads a row if none of the others is better. A lead that is not
one in four of five rounds is even, and so is what is behind by no more: another time it may
be the other way round.
"""
import dataclasses

from . import goals, samples, table

C_LIBRARIES = ("libuv", "libevent", "glib", "openmp")  # bare epoll is a program


@dataclasses.dataclass
class Field:
    """The rows in which vow has rivals of a kind."""
    rows: int = 0
    leads: int = 0
    even: int = 0  # of the leads
    behind: list = dataclasses.field(default_factory=list)  # [(figure, ratio, whether even)]

    def add(self, figure, row):
        ratio = table.ratio_of(row)
        if ratio is None:
            return
        even = samples.even(row[table.OURS], table.rival_of(row))
        self.rows += 1
        if ratio <= 1:
            self.leads += 1
            self.even += even
        else:
            self.behind.append((figure, ratio, even))

    def text(self):
        text = f"{self.leads} of {self.rows} rows"
        text += f", {self.even} of them even" if self.even else ""
        rows = [f"{figure} {ratio:.2f}{' (even)' if even else ''}"
                for figure, ratio, even in sorted(self.behind, key=lambda one: one[1])]
        return text + (f"; behind in: {', '.join(rows)}" if rows else "")


@dataclasses.dataclass
class Tally:
    all: Field = dataclasses.field(default_factory=Field)
    of_c: Field = dataclasses.field(default_factory=Field)
    goals: int = 0
    missed: list = dataclasses.field(default_factory=list)  # [(figure, median, goal)]

    @property
    def met(self):
        return self.goals - len(self.missed)

    def to_json(self):
        return {"rows": self.all.rows, "leads": self.all.leads, "c_rows": self.of_c.rows,
                "c_leads": self.of_c.leads, "goals": self.goals, "goals_met": self.met}


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
        tally.all.add(figure, row)
        tally.of_c.add(figure, of_c(row))
    return tally


def missed_text(missed):
    rows = [f"{figure} {table.show(median)} for {table.show(goal)}"
            for figure, median, goal in missed]
    return f"; missed: {', '.join(rows)}" if rows else ""


def as_lines(tally):
    """Returns the closing lines."""
    return [
        f"vow leads every library in {tally.all.text()}",
        f"vow leads every library in C in {tally.of_c.text()}",
        f"vow meets {tally.met} of {tally.goals} goals" + missed_text(tally.missed),
    ]
