#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures vow beside its peers, round by round in turn, and says who is the fastest.

The table has a row for each figure and a column for each library; * marks the best, ~ a
library that has no such thing itself and was measured in its nearest idiom. goal is what
vow is meant to reach. vow/best is how many times slower vow is than the best of the
others: below 1 it is the fastest. The last lines count in how many rows vow leads.
"""
import argparse
import json
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

from score import (charts, comparison, contest, goals, machine, peers, pressure, quoted, runs,
                   table, tally, workloads)
from score.budget import Budget
from score.samples import Samples

HERE = pathlib.Path(__file__).resolve().parent
SCALED_WITH = ("tbb", "java", "go", "std_pool", "asio")


def arguments():
    parser = argparse.ArgumentParser(prog="./dev perf --peers", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", help="those named; default: all")
    parser.add_argument("--programs", required=True, type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--build", required=True, type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="smaller rounds, and fewer")
    parser.add_argument("--goals", action="store_true", help="the workloads that have a goal")
    parser.add_argument("--runs", type=int, default=1, help="that many runs in a row")
    parser.add_argument("--seconds", type=float, help="to measure, a run; default 450, quick 80")
    parser.add_argument("--only", default="", help="the peers to measure, with commas")
    parser.add_argument("--json", type=pathlib.Path, help="where all samples go as well")
    parser.add_argument("--compare", type=pathlib.Path, help="JSON of another time")
    parser.add_argument("--report", type=pathlib.Path,
                        help="directory of the charts; default perf/report for all "
                             "workloads, build/report for some, or with --quick")
    return parser.parse_args()


def complain(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def line_price(programs):
    """Returns what a cache line costs from one CPU to another; "" if that cannot be said."""
    try:
        said = subprocess.run([programs / "bench_lines", "--rounds", "1"], check=True, text=True,
                              capture_output=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    found = [line.split()[2] for line in said.splitlines() if "line_random" in line]
    return table.show(float(found[0])) if found else ""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def jemalloc():
    """Returns where jemalloc is, for programs that are not linked with it."""
    found = sorted(pathlib.Path("/usr/lib").glob("*/libjemalloc.so.2"))
    return str(found[0]) if found else None


class Scoreboard:
    """Runs contests, and keeps what came out."""

    def __init__(self, options):
        self.options = options
        self.jemalloc = jemalloc()
        self.results = []  # of this run
        self.runs = []  # of those before
        self.peers = {}

    def build(self):
        names = [name for name in self.options.only.split(",") if name]
        self.peers = peers.build_all(self.options.build, names, complain)

    def ours(self, workload, more, under):
        """vow; its programs are linked with jemalloc if there is one."""
        program = self.options.programs / f"bench_{workload.name}"
        if not program.exists():
            return []
        how = {"allocator": "jemalloc" if self.jemalloc else "malloc", "pressure": under}
        if workload.name == "echo":
            return [self.client("vow", [str(program)], more, **how)]
        return [contest.Contestant(table.OURS, [str(program), "--serve", *more], **how)]

    def client(self, library, server, more, **how):
        port = str(free_port())
        command = [str(self.options.programs / "echo_client"), port, "--serve", *more]
        return contest.Contestant(library, command, server=[*server, "echo", port], **how)

    def variants(self, peer):
        """Returns the allocators to try: quick, only the one that vow has."""
        if not peer.native:
            return [("own", {})]
        both = [("malloc", {})]
        if self.jemalloc:
            both.insert(0, ("jemalloc", {"LD_PRELOAD": self.jemalloc}))
        return both[:1] if self.options.quick else both

    def theirs(self, peer, workload, more, under):
        command = peer.command(self.options.build)
        for allocator, environment in self.variants(peer):
            how = {"allocator": allocator, "environment": environment, "pressure": under}
            if workload.name == "echo":
                yield self.client(peer.name, command, more, **how)
                return
            warmups = 0 if workload.lasts and self.options.quick else peer.warmups
            yield contest.Contestant(peer.name, [*command, workload.name, "--serve", *more],
                                     warmups=warmups, **how)

    def contestants(self, workload, only, more, under):
        yield from self.ours(workload, more, under)
        for peer, names in self.peers.values():
            if only and peer.name not in only:
                continue
            if workload.name in names or workload.name == "echo" and peer.echoes:
                yield from self.theirs(peer, workload, more, under)

    def hold(self, workload, budget, condition="", only=(), more=(), under=None):
        """Holds a contest, and keeps its results; with a condition of half the size."""
        divide = workload.quick if self.options.quick else workload.divide
        divide *= 2 if condition else 1
        more = [*more, *(["--divide", str(divide)] if divide > 1 else [])]
        where = f", {condition}" if condition else ""
        one = contest.Contest(workload, self.contestants(workload, only, more, under),
                              budget.next(), lambda text: complain(text + where), budget.over)
        for (library, allocator), figures in one.run().items():
            for figure, (unit, values) in figures.items():
                self.results.append(Samples(library, figure, unit, condition, allocator,
                                            values))

    def plain(self, names, seconds):
        """All libraries in each workload."""
        budget = Budget(seconds, len(names))
        for name in names:
            self.hold(workloads.BY_NAME[name], budget)
            complain(f"{name}: {budget.left():.0f} s left")

    def scaled(self, seconds):
        """More threads than CPUs, and fewer."""
        rows = [(name, n) for name in workloads.SCALED for n in workloads.THREADS]
        budget = Budget(seconds, len(rows))
        for name, threads in rows:
            self.hold(workloads.BY_NAME[name], budget, f"{threads} threads", SCALED_WITH,
                      ["--threads", str(threads)])

    def pressed(self, names, condition, under, seconds):
        """CPUs are scarce."""
        budget = Budget(seconds, len(names))
        try:
            with under:
                for name in names:
                    self.hold(workloads.BY_NAME[name], budget, condition, SCALED_WITH,
                              under=under)
        except OSError as error:
            complain(f"{condition}: not permitted here ({error})")

    def end_run(self):
        """From here on it is the next one."""
        self.runs.append(self.results)
        self.results = []

    @staticmethod
    def shown(results):
        """Returns what gets a row."""
        figures = {figure for one in workloads.ALL for figure in one.shown}
        figures |= {f"{one.name}_cpu" for one in workloads.ALL if one.cpu or one.idle}
        figures |= {"idle_switches"}
        return [one for one in results if one.figure in figures]


def measure(board, names, seconds):
    everything = not names
    if not everything:
        board.plain(names, seconds)
        return
    board.plain([one.name for one in workloads.ALL], seconds * 0.78)
    board.scaled(seconds * 0.14)
    board.pressed(workloads.BESIDE_A_HOG, "a hog beside", pressure.Hog(), seconds * 0.04)
    board.pressed(workloads.UNDER_A_QUOTA, "quota of 1 CPU", pressure.Quota(1), seconds * 0.04)


def entry_of(one):
    """Returns what is written of samples: what they are, and their goal if there is one."""
    goal = goals.goal_of(one)
    if goal is None:
        return one.to_json()
    return {**one.to_json(), "goal": goal.value, "met": goals.is_met(one),
            "goal_from": goal.origin}


def write_json(board, about, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = ",\n".join(json.dumps(entry_of(one)) for one in board.results)
    about = {**about, "tally": tally.count(board.shown(board.results)).to_json()}
    head = json.dumps(about, indent=1).removesuffix("\n}")
    path.write_text(f'{head},\n "figures": [\n{figures}\n]}}\n', encoding="utf-8")


def read_json(path):
    figures = json.loads(path.read_text(encoding="utf-8"))["figures"]
    return [Samples.from_json(entry) for entry in figures]


def report(board, about, where):
    """Writes table, samples and charts."""
    where.mkdir(parents=True, exist_ok=True)
    shown = board.shown(board.results)
    lines = table.table_of(shown)
    closing = tally.as_lines(tally.count(shown))
    each = [board.shown(results) for results in board.runs]
    in_a_row = runs.table_of(each) if len(each) > 1 else []
    closing += runs.as_lines(each) if in_a_row else []
    head = (f"{about['cpu']}, {about['cpus']} CPUs, {about['system']}, {about['when']}, "
            f"{about['rounds']} rounds; load average {about['load']:.1f}")
    if about.get("line_before"):
        head += (f"; a cache line from the other CPU {about['line_before']} ns before, "
                 f"{about['line_after']} ns after")
    text = f"# vow and its peers\n\n{head}\n\n{table.as_markdown(lines)}\n"
    text += "".join(f"- {line}\n" for line in closing)
    if in_a_row:
        text += f"\n## Run by run: vow's median, and vow/best\n\n{table.as_markdown(in_a_row)}"
    (where / "scoreboard.md").write_text(text, encoding="utf-8")
    write_json(board, about, where / "scoreboard.json")
    if shutil.which("gnuplot"):
        charts.draw(board.results, where)
    else:
        complain("gnuplot is not here: no charts")
    complain(f"report: {where}")
    print(table.as_text(lines), *([table.as_text(in_a_row)] if in_a_row else []), *closing,
          sep="\n")


def quote(text, figures):
    """Has a text quote the figures of a report."""
    old = text.read_text(encoding="utf-8")
    new = quoted.updated(old, quoted.medians(figures))
    if new != old:
        text.write_text(new, encoding="utf-8")
        complain(f"{text} has other figures now")


def main():
    options = arguments()
    options.build = options.build.resolve()  # the builds run elsewhere
    if options.runs < 1:
        sys.exit("perf: --runs takes a number from 1")
    if options.goals:
        options.workloads += [name for name in workloads.WITH_GOALS
                              if name not in options.workloads]
    unknown = [name for name in options.workloads if name not in workloads.BY_NAME]
    if unknown:
        sys.exit(f"perf: no workload {unknown[0]} with peers; there are:\n"
                 + "\n".join(workloads.BY_NAME))
    start = time.monotonic()
    old = read_json(options.compare) if options.compare else []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("perf: told to end"))
    board = Scoreboard(options)
    board.build()
    about = {**machine.describe(), "rounds": "quick" if options.quick else "full",
             "line_before": line_price(options.programs)}
    complain(f"built in {time.monotonic() - start:.0f} s")
    for number in range(options.runs):
        complain(f"run {number + 1} of {options.runs}")
        measure(board, options.workloads, options.seconds or (80 if options.quick else 450))
        board.end_run()
    board.results = runs.pooled(board.runs)
    about["line_after"] = line_price(options.programs)
    whole = not options.workloads and not options.quick
    where = options.report or (HERE / "report" if whole else HERE.parent / "build/report")
    report(board, about, where)
    if where == HERE / "report":
        quote(HERE.parent / "README.md", where / "scoreboard.json")
    if options.json:
        write_json(board, about, options.json)
    if options.compare:
        print(comparison.as_text(comparison.compare(old, board.shown(board.results))))
    complain(f"took {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
