# SPDX-License-Identifier: MIT
"""The figures of vow that a text quotes: <!-- vow mem -->146, the median of the report."""
import json
import re

QUOTE = re.compile(r"(<!-- vow (\S+) -->)(\d+(?:\.\d+)?)")


def medians(path):
    """Returns {figure: median} of vow without a condition, from a report's JSON."""
    figures = json.loads(path.read_text(encoding="utf-8"))["figures"]
    return {one["workload"]: one["median"] for one in figures
            if one["library"] == "vow" and not one.get("condition")}


def updated(text, known):
    """Returns the text with the figures that are known, to as many digits as before."""
    def figure(match):
        mark, name, old = match.groups()
        digits = len(old.partition(".")[2])
        return f"{mark}{known[name]:.{digits}f}" if name in known else match.group(0)

    return QUOTE.sub(figure, text)
