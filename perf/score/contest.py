# SPDX-License-Identifier: MIT
"""A contest: programs that serve rounds of one workload, and take turns."""
import math
import os
import select
import signal
import subprocess
import time

from . import samples

ROUND_SECONDS = 30  # one that takes longer hangs
LEAST_ROUNDS = 3  # also when the time of a contest is over, unless it was from the start
QUIET_WITHIN = 2  # seconds for those who wait for their turn to have started
QUIET_CORES = 0.1  # what all of them may use when they have


class Failed(Exception):
    """A contestant did not answer as it should."""


def cpu_seconds(pid):
    """Returns the CPU time that a process has used, threads that ended included."""
    return time.clock_gettime((~pid) << 3 | 2)  # clock_getcpuclockid


def switches(pid):
    """Returns how often the threads of a process were taken from a CPU or left it."""
    count = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status", encoding="utf-8") as lines:
            count += sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
    return count


def parse(line):
    """Returns {figure: (value, unit)} of an answer."""
    words = line.split()
    if not words or len(words) % 3:
        raise Failed(f"answered {line[:80]!r}")
    return {words[i]: (float(words[i + 1]), words[i + 2]) for i in range(0, len(words), 3)}


def cpu_figure(answer, cores):
    """Returns what a round cost: CPU time for each request, or the cores kept busy."""
    rates = [value for value, unit in answer.values() if unit == "req/s"]
    return (cores * 1e6 / rates[0], "us/req") if rates else (cores, "cores")


class Contestant:
    """One library in one workload: a process that waits until it is its turn."""

    def __init__(self, library, command, environment=None, allocator="", warmups=1,
                 server=None, pressure=None):
        self.library = library
        self.command = command
        self.environment = {**os.environ, **(environment or {})}
        self.allocator = allocator
        self.warmups = warmups
        self.server = server  # the command of a process that serves this one
        self.pressure = pressure  # what every process of it is put under
        self.processes = []

    def start(self):
        cpus = sorted(os.sched_getaffinity(0))
        if self.server:
            self._spawn(self.server, cpus[:1], stdin=subprocess.DEVNULL)
        self._spawn(self.command, cpus[-1:] if self.server else cpus,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def _spawn(self, command, cpus, **pipes):
        process = subprocess.Popen(command, env=self.environment, stderr=subprocess.DEVNULL,
                                   bufsize=0, **pipes)
        self.processes.append(process)
        os.sched_setaffinity(process.pid, cpus)
        if self.pressure:
            self.pressure.add(process.pid)

    def stop(self):
        for process in reversed(self.processes):
            if process.stdin:
                process.stdin.close()
            process.send_signal(signal.SIGKILL)
            process.wait()
            if process.stdout:
                process.stdout.close()
        self.processes = []

    def _ask(self):
        try:
            self.processes[-1].stdin.write(b"\n")
        except BrokenPipeError as error:
            raise Failed("ended") from error

    def _answer(self):
        process = self.processes[-1]
        ready, _, _ = select.select([process.stdout], [], [], ROUND_SECONDS)
        line = process.stdout.readline().decode() if ready else ""
        if not line.endswith("\n"):
            raise Failed(f"no answer in {ROUND_SECONDS} s" if not ready else
                         f"ended with {process.wait(5)}")
        return parse(line)

    def round(self):
        """Runs one; returns {figure: (value, unit)} and the cores that it kept busy: a
        server, where there is one, and not its client."""
        process = self.processes[0]
        cpu, wall = cpu_seconds(process.pid), time.monotonic()
        self._ask()
        answer = self._answer()
        wall = time.monotonic() - wall
        return answer, (cpu_seconds(process.pid) - cpu) / wall

    def cpu(self):
        """Returns the CPU time that its processes have used."""
        return sum(cpu_seconds(process.pid) for process in self.processes)

    def begin(self):
        """Asks for a round that shall be looked at meanwhile."""
        self._ask()

    def end(self):
        self._answer()

    def used(self):
        """Returns its CPU time, its switches and the time, all so far."""
        pid = self.processes[-1].pid
        return cpu_seconds(pid), switches(pid), time.monotonic()


class Contest:
    """Runs the contestants of a workload in turn, round by round, for a time."""

    def __init__(self, workload, contestants, seconds, complain, over=lambda: False):
        self.workload = workload
        self.contestants = list(contestants)
        self.over = over  # whether nothing new may be begun
        self.end = time.monotonic() + seconds
        self.complain = complain
        self.least = min(LEAST_ROUNDS, workload.rounds) if seconds > 0 else 1
        self.results = {}  # (library, allocator): {figure: (unit, [value...])}
        self.warm = {}  # contestant: what its last warm-up answered

    def run(self):
        if self.over():
            self.complain(f"{self.workload.name}: no time left")
            return {}
        try:
            self._each(self._enter)
            if self.workload.idle:
                self._watch()
                return self.results
            self._drop_slower_variants()
            self._wait_for_quiet()
            for number in range(self.workload.rounds):
                if number >= self.least and time.monotonic() > self.end or \
                        number > 0 and self.over():
                    break
                self._each(self._take_turn)
                self.contestants = self.contestants[1:] + self.contestants[:1]
        finally:
            for contestant in self.contestants:
                contestant.stop()
        return self.results

    def _each(self, what):
        """Those that fail are out."""
        for contestant in list(self.contestants):
            try:
                what(contestant)
            except (Failed, OSError, subprocess.TimeoutExpired) as error:
                self.complain(f"{contestant.library} {self.workload.name}: {error}")
                self._drop(contestant)

    def _drop(self, contestant):
        contestant.stop()
        self.contestants.remove(contestant)
        self.results.pop((contestant.library, contestant.allocator), None)

    def _enter(self, contestant):
        if self.over():
            raise Failed("no time left")
        if self.workload.fresh:
            return
        contestant.start()
        for number in range(0 if self.workload.idle else contestant.warmups):
            if number == 0 or time.monotonic() < self.end:
                self.warm[contestant], _ = contestant.round()

    def _wait_for_quiet(self):
        """Who starts, compiles or collects garbage still would disturb the first rounds."""
        start = then = time.monotonic()
        used, cores = self._cpu(), math.inf
        while cores > QUIET_CORES and then < start + QUIET_WITHIN:
            time.sleep(0.1)
            before, used = used, self._cpu()
            since, then = then, time.monotonic()
            cores = (used - before) / (then - since)

    def _cpu(self):
        return sum(contestant.cpu() for contestant in self.contestants)

    def _take_turn(self, contestant):
        if self.workload.fresh:
            contestant.start()
        answer, cores = contestant.round()
        if self.workload.fresh:
            contestant.stop()
        if self.workload.cpu:
            answer[f"{self.workload.name}_cpu"] = cpu_figure(answer, cores)
        self._note(contestant, answer)

    def _note(self, contestant, answer):
        mine = self.results.setdefault((contestant.library, contestant.allocator), {})
        for figure, (value, unit) in answer.items():
            mine.setdefault(figure, (unit, []))[1].append(value)

    def _watch(self):
        """All at once, since they do nothing: what each used in half a second."""
        for _ in range(self.workload.rounds):
            before = {}
            self._each(Contestant.begin)
            time.sleep(0.4)  # each goes idle; it answers after a second
            self._each(lambda one: before.update({one: one.used()}))
            time.sleep(0.5)
            self._each(lambda one: self._note_idle(one, before[one], one.used()))
            self._each(Contestant.end)

    def _note_idle(self, contestant, before, after):
        cpu, count, seconds = (b - a for a, b in zip(before, after))
        self._note(contestant, {"idle_cpu": (cpu * 1e6 / seconds, "us/s"),
                                "idle_switches": (count / seconds, "1/s")})

    def _drop_slower_variants(self):
        """Of a library with two allocators the one goes on that was warm the faster."""
        libraries = {}
        for contestant in self.contestants:
            libraries.setdefault(contestant.library, []).append(contestant)
        for variants in libraries.values():
            for slower in sorted(variants, key=self._score)[1:]:
                self._drop(slower)

    def _score(self, contestant):
        if contestant not in self.warm:
            return 0
        value, unit = next(iter(self.warm[contestant].values()))
        return -value if samples.more_is_better(unit) else value
