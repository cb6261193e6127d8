#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests what the scoreboard computes: test_scoreboard.py PERF_DIR"""
import itertools
import json
import pathlib
import sys
import tempfile
import unittest
import unittest.mock

PERF = sys.argv.pop(1) if len(sys.argv) > 1 else str(pathlib.Path(__file__).parents[2] / "perf")
sys.path[:0] = [PERF, PERF + "/lines"]

# pylint: disable=wrong-import-position
import lines  # noqa: E402
import model  # noqa: E402
from score import (charts, comparison, contest, goals, quoted, runs, samples,  # noqa: E402
                   table, tally, workloads)
from score.budget import Budget  # noqa: E402
from score.samples import Samples  # noqa: E402

# A program that serves rounds: it counts them.
COUNTS = ["sh", "-c", "n=0; while read -r _; do n=$((n + 1)); echo post $n ns/task; done"]


def of(library, *values, figure="post", unit="ns/task", condition=""):
    return Samples(library, figure, unit, condition, "", list(values))


class SamplesTest(unittest.TestCase):
    def test_figures_of_samples(self):
        one = of("vow", 3, 1, 2)
        self.assertEqual((one.median, one.least, one.most), (2, 1, 3))

    def test_even_by_neighbours_in_time(self):
        def even(ours, theirs, unit="ns/task"):
            return samples.even(of("vow", *ours, unit=unit), of("java", *theirs, unit=unit))
        slower_and_slower = [10, 20, 30, 40, 50]
        self.assertFalse(even(slower_and_slower, [11, 21, 31, 41, 51]))
        self.assertFalse(even([11, 21, 31, 41, 51], slower_and_slower))
        self.assertTrue(even(slower_and_slower, [11, 21, 31, 41, 49]))
        self.assertTrue(even(slower_and_slower, [11, 21, 31, 41, 49], unit="x"))
        self.assertFalse(even([1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6, 5]))
        self.assertTrue(even([0, 0], [0, 0]))

    def test_json_and_back(self):
        one = of("vow", 3, 1, 2, condition="4 threads")
        self.assertEqual(Samples.from_json(one.to_json()), one)

    def test_a_file_without_single_samples(self):
        one = Samples.from_json({"library": "vow", "workload": "post", "median": 2.0,
                                 "unit": "ns/task", "min": 1.0, "max": 4.0})
        self.assertEqual((one.median, one.least, one.most), (2, 1, 4))

    def test_slowness(self):
        self.assertEqual(samples.slowness(10, 20, "ns/task"), 0.5)
        self.assertEqual(samples.slowness(10, 20, "req/s"), 2)
        self.assertEqual(samples.slowness(0, 0, "us/s"), 1)
        self.assertEqual(samples.slowness(1, 0, "us/s"), float("inf"))

    def test_best(self):
        self.assertEqual(samples.best_of([of("a", 2), of("b", 1)]).library, "b")
        self.assertEqual(samples.best_of([of("a", 2, unit="x"), of("b", 1, unit="x")]).library,
                         "a")
        self.assertIsNone(samples.best_of([]))

    def test_apart(self):
        self.assertTrue(samples.apart(of("a", 1, 2), of("a", 3, 4)))
        self.assertTrue(samples.apart(of("a", 3, 4), of("a", 1, 2)))
        self.assertFalse(samples.apart(of("a", 1, 3), of("a", 3, 4)))


class TableTest(unittest.TestCase):
    def test_three_digits(self):
        self.assertEqual([table.show(value) for value in (0, 1.234, 12.34, 123.4, 123456)],
                         ["0", "1.23", "12.3", "123", "123456"])

    def test_a_row_marks_the_best_and_the_nearest_idiom(self):
        lines = table.table_of([of("tbb", 30, figure="fib"), of("vow", 20, figure="fib")])
        self.assertEqual(lines, [["workload", "unit", "vow", "tbb", "goal", "vow/best"],
                                 ["fib", "ns/task", "*20.0", "30.0~", "35.0 met", "0.67"]])

    def test_vow_is_compared_with_the_others_alone(self):
        row = {one.library: one for one in (of("vow", 10), of("a", 40), of("b", 20))}
        self.assertEqual(table.ratio_of(row), 0.5)
        self.assertIsNone(table.ratio_of({"vow": of("vow", 10)}))
        self.assertIsNone(table.ratio_of({"a": of("a", 10)}))

    def test_conditions_have_rows_of_their_own(self):
        lines = table.table_of([of("vow", 10), of("vow", 12, condition="4 threads")])
        self.assertEqual([line[0] for line in lines], ["workload", "post", "post, 4 threads"])

    def test_text(self):
        text = table.as_text([["workload", "unit", "vow"], ["post", "ns", "1"]])
        self.assertEqual(text, "workload  unit  vow\npost      ns      1\n")

    def test_markdown(self):
        text = table.as_markdown([["workload", "unit", "vow", "tbb"],
                                  ["fib", "ns", "*1", "2~"]])
        self.assertEqual(text.splitlines(), ["| workload | unit | vow | tbb |",
                                             "|---|---|---:|---:|",
                                             "| fib | ns | **1** | 2\\~ |"])


class GoalsTest(unittest.TestCase):
    def test_met_and_missed(self):
        goal = goals.GOALS["post"].value
        self.assertEqual(table.goal_cell({"vow": of("vow", goal)}), f"{goal}.0 met")
        self.assertEqual(table.goal_cell({"vow": of("vow", goal + 1)}), f"{goal}.0 missed")

    def test_more_is_better(self):
        self.assertTrue(goals.is_met(of("vow", 1.98, figure="batch", unit="x")))
        self.assertFalse(goals.is_met(of("vow", 1.96, figure="batch", unit="x")))

    def test_only_vow_has_goals_and_only_without_a_condition(self):
        for one in (of("tbb", 1), of("vow", 1, condition="4 threads"),
                    of("vow", 1, figure="churn")):
            self.assertIsNone(goals.goal_of(one))
        self.assertEqual(table.goal_cell({"tbb": of("tbb", 1)}), "")

    def test_workloads_with_a_goal(self):
        self.assertIn("wake", workloads.WITH_GOALS)
        self.assertNotIn("churn", workloads.WITH_GOALS)

    def test_each_is_the_goal_of_a_row(self):
        shown = {figure for one in workloads.ALL for figure in one.shown}
        self.assertEqual(set(goals.GOALS) - shown, set())


class TallyTest(unittest.TestCase):
    RESULTS = [of("vow", 10), of("java", 20), of("libuv", 30),
               of("vow", 50, figure="fib"), of("java", 40, figure="fib"),
               of("vow", 0, figure="idle_cpu"), of("libuv", 0, figure="idle_cpu"),
               of("vow", 9, figure="wake_cpu", unit="cores"),
               of("java", 1, figure="wake_cpu", unit="cores"),
               of("vow", 9, condition="4 threads"), of("java", 1, condition="4 threads"),
               of("vow", 9, figure="alone"), of("java", 9, figure="without")]

    def test_rows_are_counted(self):
        counted = tally.count(self.RESULTS)
        self.assertEqual((counted.all.leads, counted.all.rows), (2, 3))
        self.assertEqual((counted.of_c.leads, counted.of_c.rows), (2, 2))
        self.assertEqual((counted.met, counted.goals), (1, 2))

    def test_json(self):
        self.assertEqual(tally.count(self.RESULTS).to_json(), {
            "rows": 3, "leads": 2, "c_rows": 2, "c_leads": 2, "goals": 2, "goals_met": 1})

    def test_text(self):
        self.assertEqual(tally.as_lines(tally.count(self.RESULTS)), [
            "vow leads every library in 2 of 3 rows, 1 of them even; behind in: fib 1.25",
            "vow leads every library in C in 2 of 2 rows, 1 of them even",
            "vow meets 1 of 2 goals; missed: fib 50.0 for 35.0"])

    def test_what_is_even(self):
        results = [of("vow", 1, 2, 3), of("java", 2, 1, 4),
                   of("vow", 4, 4, 4, figure="fib"), of("java", 3, 5, 3, figure="fib")]
        self.assertEqual(tally.as_lines(tally.count(results))[0],
                         "vow leads every library in 1 of 2 rows, 1 of them even; "
                         "behind in: fib 1.33 (even)")

    def test_nothing(self):
        self.assertEqual(tally.as_lines(tally.count([])), [
            "vow leads every library in 0 of 0 rows",
            "vow leads every library in C in 0 of 0 rows", "vow meets 0 of 0 goals"])


class RunsTest(unittest.TestCase):
    RUNS = [[of("vow", 30), of("java", 40), of("vow", 9, figure="wake_cpu", unit="cores"),
             of("java", 1, figure="wake_cpu", unit="cores"), of("vow", 30, figure="fib"),
             of("java", 60, figure="fib"), of("vow", 9, condition="4 threads")],
            [of("vow", 50), of("java", 40), of("vow", 9, figure="wake_cpu", unit="cores"),
             of("java", 1, figure="wake_cpu", unit="cores"), of("vow", 20, figure="fib"),
             of("java", 40, figure="fib")]]

    def test_run_by_run(self):
        self.assertEqual(runs.table_of(self.RUNS), [
            ["workload", "run 1", "run 2", "led", "goal met"],
            ["post", "30.0 (0.75)", "50.0 (1.25)", "1 of 2", "1 of 2"],
            ["wake_cpu", "9.00 (9.00)", "9.00 (9.00)", "0 of 2", ""],
            ["fib", "30.0 (0.50)", "20.0 (0.50)", "2 of 2", "2 of 2"]])

    def test_what_held_in_each(self):
        self.assertEqual(runs.as_lines(self.RUNS), [
            "in each of 2 runs: vow leads every library in 1 of 2 rows, and meets 1 of 2 goals"])

    def test_a_row_without_a_rival_has_a_goal_still(self):
        self.assertEqual(runs.table_of([[of("vow", 30)]])[1], ["post", "30.0", "", "1 of 1"])

    def test_a_row_that_a_run_lacks_is_left_out(self):
        self.assertEqual(runs.rows_of([[of("vow", 30)], [of("java", 30)]]), [])

    def test_samples_together(self):
        pooled = runs.pooled(self.RUNS)
        self.assertIn(of("vow", 30, 50), pooled)
        self.assertIn(of("vow", 9, condition="4 threads"), pooled)
        self.assertEqual(len(pooled), 7)


class QuotedTest(unittest.TestCase):
    def test_figures_are_written_to_as_many_digits(self):
        self.assertEqual(quoted.updated("<!-- vow mem -->146 bytes, <!-- vow batch -->1.9",
                                        {"mem": 147.6, "batch": 1.96}),
                         "<!-- vow mem -->148 bytes, <!-- vow batch -->2.0")

    def test_what_is_not_known_stays(self):
        for text in ("<!-- vow other -->1", "146", "<!-- vow mem --> bytes"):
            self.assertEqual(quoted.updated(text, {"mem": 1}), text)

    def test_medians_of_the_report(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "report.json"
            entries = [of("vow", 3, 1, 2), of("tbb", 9), of("vow", 8, condition="4 threads")]
            path.write_text(json.dumps({"figures": [one.to_json() for one in entries]}))
            self.assertEqual(quoted.medians(path), {"post": 2})


class ComparisonTest(unittest.TestCase):
    def verdicts(self, old, new):
        return [change.verdict for change in comparison.compare(old, new)]

    def test_slower_faster_and_noise(self):
        old = [of("vow", 10, 11, 12)]
        self.assertEqual(self.verdicts(old, [of("vow", 20, 21, 22)]), ["slower"])
        self.assertEqual(self.verdicts(old, [of("vow", 5, 6, 7)]), ["faster"])
        self.assertEqual(self.verdicts(old, [of("vow", 11, 13, 14)]), ["same"])

    def test_too_little_to_say(self):
        old = [of("vow", 100, 100, 100)]
        self.assertEqual(self.verdicts(old, [of("vow", 103, 103, 103)]), ["same"])

    def test_more_is_better(self):
        old, new = of("vow", 100, unit="req/s"), of("vow", 50, unit="req/s")
        self.assertEqual(self.verdicts([old], [new]), ["slower"])

    def test_drift_of_the_machine_is_taken_off(self):
        old = [of("vow", 10), of("a", 10), of("b", 20), of("c", 30)]
        new = [of("vow", 20), of("a", 20), of("b", 40), of("c", 60)]
        change = comparison.compare(old, new)[0]
        self.assertEqual((change.drift, change.by, change.verdict), (2, 1, "same"))

    def test_drift_of_what_is_better_when_more(self):
        old = [of(name, 100, unit="req/s") for name in ("vow", "a", "b", "c")]
        new = [of(name, 50, unit="req/s") for name in ("vow", "a", "b", "c")]
        self.assertEqual(self.verdicts(old, new), ["same"])

    def test_two_peers_tell_no_drift(self):
        self.assertEqual(comparison.drift_of({"a": of("a", 1)}, {"a": of("a", 2)}), 1)

    def test_rows_without_vow_are_left_out(self):
        self.assertEqual(self.verdicts([of("a", 1)], [of("vow", 1)]), [])

    def test_text(self):
        changes = comparison.compare([of("vow", 10)], [of("vow", 20)])
        self.assertEqual(comparison.as_text(changes).splitlines(), [
            "slower: post: 10.0 -> 20.0 ns/task, by 2.00 (the others by 1.00)",
            "0 of 1 rows are the same within the noise"])


class ContestTest(unittest.TestCase):
    def hold(self, *contestants, seconds=60, over=lambda: False,
             workload=workloads.plain("post", rounds=3)):
        self.complaints = []
        one = contest.Contest(workload, contestants, seconds, self.complaints.append,
                              over)
        return one.run()

    def test_answers(self):
        self.assertEqual(contest.parse("a 1 ns b 2.5 us \n"), {"a": (1, "ns"), "b": (2.5, "us")})
        for wrong in ("", "a 1", "a 1 ns b"):
            with self.assertRaises(contest.Failed):
                contest.parse(wrong)

    def test_rounds_after_a_warm_up(self):
        results = self.hold(contest.Contestant("a", COUNTS), contest.Contestant("b", COUNTS))
        self.assertEqual(results, {("a", ""): {"post": ("ns/task", [2, 3, 4])},
                                   ("b", ""): {"post": ("ns/task", [2, 3, 4])}})

    def test_no_time_is_one_round_after_a_warm_up(self):
        results = self.hold(contest.Contestant("a", COUNTS, warmups=3), seconds=0)
        self.assertEqual(results["a", ""]["post"][1], [2])

    def test_nobody_is_starting_when_rounds_begin(self):
        a = contest.Contestant("a", COUNTS)
        looks = iter([10, 20, 30, 30])  # seconds of CPU time
        a.cpu = lambda: next(looks)
        with unittest.mock.patch.object(contest, "QUIET_WITHIN", 60):
            self.hold(a)
        self.assertEqual(list(looks), [])

    def test_who_never_rests_is_not_waited_for(self):
        a = contest.Contestant("a", COUNTS)
        looks = itertools.count(0, 10)
        a.cpu = lambda: next(looks)
        with unittest.mock.patch.object(contest, "QUIET_WITHIN", 0):
            results = self.hold(a)
        self.assertEqual(results["a", ""]["post"][1], [2, 3, 4])

    def test_too_little_time_is_three_rounds(self):
        results = self.hold(contest.Contestant("a", COUNTS), seconds=1e-9,
                            workload=workloads.plain("post"))
        self.assertEqual(len(results["a", ""]["post"][1]), contest.LEAST_ROUNDS)

    def test_when_all_time_is_over_nothing_is_begun(self):
        results = self.hold(contest.Contestant("a", COUNTS), over=lambda: True)
        self.assertEqual((results, self.complaints), ({}, ["post: no time left"]))

    def test_what_is_idle_is_watched(self):
        waits = ["sh", "-c", "while read -r _; do sleep 1.2; echo idle 1 s; done"]
        results = self.hold(contest.Contestant("a", waits),
                            workload=workloads.plain("idle", idle=True, rounds=1))
        self.assertEqual(set(results["a", ""]), {"idle_cpu", "idle_switches"})

    def test_a_fresh_process_each_round(self):
        results = self.hold(contest.Contestant("a", COUNTS), workload=workloads.BY_NAME["mem"])
        self.assertEqual(results["a", ""]["post"][1], [1, 1, 1])

    def test_who_fails_is_out(self):
        results = self.hold(contest.Contestant("bad", ["false"]),
                            contest.Contestant("absent", ["/nonexistent"]),
                            contest.Contestant("a", COUNTS))
        self.assertEqual(list(results), [("a", "")])
        self.assertEqual(len(self.complaints), 2)

    def test_the_slower_allocator_is_out(self):
        slow = ["sh", "-c", "while read -r _; do echo post 99 ns/task; done"]
        results = self.hold(contest.Contestant("a", slow, allocator="one"),
                            contest.Contestant("a", COUNTS, allocator="two"))
        self.assertEqual(list(results), [("a", "two")])

    def test_cpu_time_has_a_figure(self):
        results = self.hold(contest.Contestant("a", COUNTS),
                            workload=workloads.plain("pingpong", cpu=True))
        self.assertEqual(results["a", ""]["pingpong_cpu"][0], "cores")

    def test_cpu_time_of_a_server_is_for_each_request(self):
        client = ["sh", "-c", "while read -r _; do echo echo 1000 req/s; done"]
        busy = ["sh", "-c", "while :; do :; done"]
        results = self.hold(contest.Contestant("a", client, server=busy),
                            workload=workloads.plain("echo", cpu=True))
        self.assertEqual(results["a", ""]["echo_cpu"][0], "us/req")
        self.assertEqual(contest.cpu_figure({"echo": (1000, "req/s")}, 0.5), (500, "us/req"))


class BudgetTest(unittest.TestCase):
    def test_what_one_leaves_goes_to_the_others(self):
        time = 0
        budget = Budget(30, 3, lambda: time)
        self.assertEqual(budget.next(), 10)
        time = 4
        self.assertEqual(budget.next(), 13)
        time = 29
        self.assertEqual((budget.next(), budget.left()), (1, 1))

    def test_a_fifth_more_and_everything_ends(self):
        time = 0
        budget = Budget(30, 1, lambda: time)
        time = 35
        self.assertEqual((budget.next(), budget.over()), (0, False))
        time = 36
        self.assertTrue(budget.over())


class LinesTest(unittest.TestCase):
    def test_what_everything_is_made_of_is_no_place(self):
        def at(path, function):
            return function, f"{lines.ROOT}/{path}"

        chain = [at("src/base/list.h:7", "push"), at("src/core/then.c:13", "make"),
                 at("src/core/then.c:99", "vow_then")]
        self.assertEqual(lines.place_of(chain), "core/then.c:13 make")
        self.assertEqual(lines.place_of(chain[:1]), "base/list.h:7 push")

    def test_the_model_is_what_the_document_shows(self):
        text = (lines.ROOT / "docs/scaling.md").read_text(encoding="utf-8")
        for row in model.table(zip(model.CPUS, model.LINE_NS)):
            self.assertIn(row + "\n", text)

    def test_a_line_that_all_want_is_a_limit(self):
        self.assertEqual(model.outside(model.POST, 256, 200), (400, "the inbox"))
        self.assertEqual(model.outside(model.POST, 2, 0)[0], 17)

    def test_all_are_woken_one_after_another(self):
        self.assertEqual(model.fork_join(2 * model.WAKE_NS, 1), 2.5 * model.WAKE_NS)
        self.assertEqual(model.fork_join(2 * model.WAKE_NS, 99), 2 * model.WAKE_NS)


class ChartsTest(unittest.TestCase):
    def test_ratios(self):
        results = [of("vow", 10), of("a", 20), of("vow", 30, figure="mem"),
                   of("a", 20, figure="mem"), of("vow", 1, figure="other")]
        self.assertEqual(charts.ratios(results), [("mem", 1.5, "a"), ("post", 0.5, "a")])


if __name__ == "__main__":
    unittest.main()
