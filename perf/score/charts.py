# SPDX-License-Identifier: MIT
"""The charts, drawn by gnuplot."""
import subprocess

from . import samples, table, workloads

COLOURS = {"vow": "#1b6ca8", "java": "#d9822b", "tbb": "#5a9367", "go": "#8c6bb1",
           "asio": "#b5485d", "std_pool": "#7a7a7a", "libuv": "#c2a83e", "tokio": "#3d3d3d",
           "glib": "#68b0ab", "boost": "#e4a5a0", "libevent": "#a0522d", "node": "#4caf50",
           "std_async": "#bbbbbb", "rayon": "#222288", "fiber": "#c77cba",
           "openmp": "#2e8b8b", "epoll": "#000000"}
STYLE = """set terminal svg size {width},{height} font "sans-serif,13" background "white"
set output "{file}"
set border 3 lc rgb "#555555"
set tics nomirror out textcolor rgb "#222222"
set grid y lc rgb "#dddddd" lw 1
"""


def gnuplot(script):
    done = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True,
                          timeout=60, check=False)
    if done.returncode:
        print(done.stderr)


def block(name, lines):
    return "\n".join([f"${name} << EOD", *lines, "EOD", ""])


def label(text):
    """What gnuplot would take for markup is taken for itself."""
    return text.replace("_", "\\\\_")


def ratios(results):
    """Returns [(figure, ratio, best peer)] of the plain rows, best first."""
    found = []
    for figure, condition in table.rows_of(results):
        row = table.row_of(results, figure, condition)
        ratio = table.ratio_of(row)
        if condition or ratio is None or not 0 < ratio < float("inf"):
            continue
        best = samples.best_of(one for one in row.values() if one.library != table.OURS)
        found.append((figure, ratio, best.library))
    return sorted(found, key=lambda one: -one[1])


def overview(results, where):
    """A bar for each workload: how long vow takes, the best of the others taking 1."""
    shown = {figure for one in workloads.ALL for figure in one.shown}
    bars = ratios([one for one in results if one.figure in shown])
    if not bars:
        return
    lines = [f'{i} {min(max(ratio, 1 / 16), 16):.4f} "{label(figure)}" '
             f'"{label(best)} {ratio:.2f}"' for i, (figure, ratio, best) in enumerate(bars)]
    gnuplot(STYLE.format(width=820, height=90 + 24 * len(bars), file=where / "overview.svg")
            + block("bars", lines) + f"""
set title "time of vow, the fastest peer taking 1: left of the line vow is faster"
set logscale x 2
set xrange [0.06:16.5]
set yrange [-0.7:{len(bars) - 0.3}]
set xtics ("1/16" 0.0625, "1/8" 0.125, "1/4" 0.25, "1/2" 0.5, "1" 1, "2" 2, "4" 4, "8" 8, "16" 16)
set grid x lc rgb "#dddddd" lw 1
unset grid
set arrow from 1, graph 0 to 1, graph 1 nohead lc rgb "#222222" lw 1.5
set style fill solid 0.85 noborder
unset key
plot $bars using (($2 < 1) ? $2 : 1):1:(($2 < 1) ? $2 : 1):(($2 < 1) ? 1 : $2):($1 - 0.36):\\
($1 + 0.36):(($2 < 1) ? 0x1b6ca8 : 0xd9822b):ytic(3) with boxxyerror lc rgb variable, \\
$bars using (($2 < 1) ? 1 : NaN):1:4 with labels left offset 0.6,0 font ",11" \\
textcolor rgb "#333333", \\
$bars using (($2 < 1) ? NaN : 1):1:4 with labels right offset -0.6,0 font ",11" \\
textcolor rgb "#333333"
""")


def series(results, figure, conditions):
    """Returns {library: [(condition, median, least, most)]}."""
    lines = {}
    for condition in conditions:
        for library, one in table.row_of(results, figure, condition).items():
            lines.setdefault(library, []).append((condition, one.median, one.least, one.most))
    return lines


def scaling(results, where):
    """A panel for each workload, a line for each library, over the number of threads."""
    conditions = [f"{n} threads" for n in workloads.THREADS]
    panels, data = [], ""
    for name in workloads.SCALED:
        lines = series(results, name, conditions)
        if not lines:
            continue
        plots = []
        for library, points in lines.items():
            block_name = f"{name}_{library}"
            data += block(block_name, [" ".join([point[0].split()[0], *map(str, point[1:])])
                                       for point in points])
            width = 3 if library == table.OURS else 1.5
            plots.append(f'${block_name} using 1:2 with linespoints pt 7 ps 0.4 lw {width} '
                         f'lc rgb "{COLOURS.get(library, "#999999")}" title "{label(library)}"')
        unit = "speed-up" if name == "batch" else "ns a task"
        scale = "unset logscale y\nset yrange [0:*]" if name == "batch" else \
            "set logscale y\nset yrange [*:*]"
        panels.append(f'set title "{label(name)}: {unit}"\n{scale}\n'
                      f'plot {", ".join(plots)}\n')
    if not panels:
        return
    gnuplot(STYLE.format(width=1000, height=380, file=where / "scaling.svg") + data
            + "set logscale x 2\nset xtics (1, 2, 4, 16, 64)\nset xlabel 'threads' offset 0,0.7\n"
            + "set xrange [0.9:75]\nset key outside bottom center horizontal font ',10'\n"
            + f"set multiplot layout 1,{len(panels)}\n"
            + "".join(panels) + "unset multiplot\n")


QUANTILES = ("p50", "p90", "p99", "p99.9")


def latency(results, where):
    """A panel for each workload with latencies, a line for each library, over the share."""
    panels, data = [], ""
    for name in ("wake", "timer_fire", "burst", "fairness"):
        plots = []
        rows = {q: table.row_of(results, f"{name}_{q}", "") for q in QUANTILES}
        for library in table.libraries_of([*rows["p50"].values()]):
            if not all(library in row for row in rows.values()):
                continue
            block_name = f"{name}_{library}"
            data += block(block_name, [f"{i} {max(rows[q][library].median, 0.1)}"
                                       for i, q in enumerate(QUANTILES)])
            width = 3 if library == table.OURS else 1.3
            plots.append(f'${block_name} using 1:2 with linespoints pt 7 ps 0.4 lw {width} '
                         f'lc rgb "{COLOURS.get(library, "#999999")}" title "{label(library)}"')
        if plots:
            panels.append(f'set title "{label(name)}: us"\nplot {", ".join(plots)}\n')
    if not panels:
        return
    across = min(2, len(panels))
    down = (len(panels) + across - 1) // across
    tics = ", ".join(f'"{q}" {i}' for i, q in enumerate(QUANTILES))
    gnuplot(STYLE.format(width=1000, height=360 * down, file=where / "latency.svg") + data
            + f"set logscale y\nset xtics ({tics})\nset xrange [-0.2:3.2]\n"
            + f"set key outside right font ',10'\nset multiplot layout {down},{across}\n"
            + "".join(panels) + "unset multiplot\n")


def draw(results, where):
    """Draws all charts for which there are figures."""
    overview(results, where)
    scaling(results, where)
    latency(results, where)
