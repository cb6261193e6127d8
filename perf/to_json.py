#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns the lines of the benchmarks on stdin into one JSON file: to_json.py FILE"""
import json
import sys

from score import machine


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    figures = []
    for line in sys.stdin:
        who, workload, median, unit, least, most = line.split()
        figures.append({"library": who, "workload": workload, "median": float(median),
                        "unit": unit, "min": float(least), "max": float(most)})
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump({**machine.describe(), "figures": figures}, out, indent=2)
        out.write("\n")


if __name__ == "__main__":
    main()
