# SPDX-License-Identifier: MIT
"""What makes CPUs scarce: a hog beside, and a quota of the system."""
import os
import pathlib
import subprocess
import sys

CGROUPS = pathlib.Path("/sys/fs/cgroup")
PERIOD_US = 100000


class Nothing:
    """No pressure."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def add(self, pid):
        """Puts a process under the pressure, before it starts threads."""


class Hog(Nothing):
    """A process that never sleeps."""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Quota(Nothing):
    """A control group that may use so many CPUs; OSError where that is not permitted."""

    def __init__(self, cpus):
        self.quota = int(cpus * PERIOD_US)
        old = (CGROUPS / "cpu").is_dir()
        self.group = (CGROUPS / "cpu" if old else CGROUPS) / f"vow-perf-{os.getpid()}"
        self.old = old

    def __enter__(self):
        self.group.mkdir()
        try:
            if self.old:
                (self.group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (self.group / "cpu.cfs_quota_us").write_text(str(self.quota))
            else:
                (self.group / "cpu.max").write_text(f"{self.quota} {PERIOD_US}")
        except OSError:
            self.group.rmdir()
            raise
        return self

    def __exit__(self, *_):
        self.group.rmdir()  # its processes have ended

    def add(self, pid):
        (self.group / "cgroup.procs").write_text(str(pid))
