#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns the lines of the benchmarks on stdin into one JSON file: to_json.py FILE"""
import datetime
import json
import os
import platform
import sys


def cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    figures = []
    for line in sys.stdin:
        who, workload, median, unit, least, most = line.split()
        figures.append({"library": who, "workload": workload, "median": float(median),
                        "unit": unit, "min": float(least), "max": float(most)})
    result = {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "figures": figures,
    }
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump(result, out, indent=2)
        out.write("\n")


if __name__ == "__main__":
    main()
