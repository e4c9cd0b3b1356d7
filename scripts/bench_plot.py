#!/usr/bin/env python3
"""scripts/bench_plot.py [DIR] - draws DIR/rate.svg (default: bench/results) from rate.json and
scale.json: connections per second by mode, and against what else is in the table.

Colours are told apart in light and in dark, and text takes the colour of the reader's scheme.
"""

import html
import json
import math
import pathlib
import sys

WIDTH, HEIGHT, LEFT, TOP = 860, 700, 250, 40
STYLE = """
  text { font: 13px sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: bold; }
  .small { font-size: 11px; fill: #57606a; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .engine { fill: #0969da; stroke: #0969da; }
  .null { fill: #8c959f; stroke: #8c959f; }
  .other { fill: #bc4c00; stroke: #bc4c00; }
  .line { fill: none; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .small { fill: #9198a1; }
    .grid { stroke: #3d444d; }
    .engine { fill: #4493f8; stroke: #4493f8; }
    .null { fill: #9198a1; stroke: #9198a1; }
    .other { fill: #f0883e; stroke: #f0883e; }
  }
"""


def element(name, text=None, **attributes):
    words = "".join(f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
                    for key, value in attributes.items())
    return f"<{name}{words}/>" if text is None else f"<{name}{words}>{html.escape(text)}</{name}>"


def text(x, y, words, kind="", anchor="start"):
    return element("text", words, x=round(x, 1), y=round(y, 1), class_=kind, text_anchor=anchor)


def bars(rate, top):
    """Connections per second of the plain exchange, by mode."""
    shown = [(name, result) for name, result in rate.items() if result["unit"] == "connection"]
    most = max(result["per_s"] for _, result in shown)
    span = WIDTH - LEFT - 90
    out = [text(10, top, "Connections per second, opened and closed (six packets each)", "title")]
    for row, (name, result) in enumerate(shown):
        y = top + 16 + 24 * row
        width = span * result["per_s"] / most
        kind = "null" if result["engine"] == "null" else "engine"
        out.append(text(LEFT - 8, y + 14, name, anchor="end"))
        out.append(element("rect", x=LEFT, y=y, width=round(width, 1), height=18, class_=kind))
        out.append(text(LEFT + width + 6, y + 14, f"{result['per_s'] / 1e6:.2f} M"))
    return out, top + 16 + 24 * len(shown)


def word(size):
    return f"{size // 10**6} M" if size >= 10**6 else f"{size // 1000} k"


def curve(points, kind, place):
    coordinates = [place(point["size"], point["per_s"]) for point in points]
    out = [element("polyline", class_=f"line {kind}",
                   points=" ".join(f"{x:.1f},{y:.1f}" for x, y in coordinates))]
    out += [element("circle", cx=round(x, 1), cy=round(y, 1), r=4, class_=kind)
            for x, y in coordinates]
    return out


def growth(scale, top):
    """Connections per second against the size of the table, on one core."""
    lines = [("established", "engine", "idle established connections"),
             ("time-wait", "other", "TIME-WAITs, one expiring for each that comes")]
    points = scale["points"]
    most = max(point["per_s"] for kind in points.values() for point in kind)
    bottom, left, right = HEIGHT - 50, 70, WIDTH - 40
    height = bottom - top - 30

    def place(size, per_s):
        share = (math.log10(max(size, 1000)) - 3) / (math.log10(1e8) - 3)
        return left + share * (right - left), bottom - height * per_s / (1.1 * most)

    out = [text(10, top, "One core, both ends, against what else is in the table", "title")]
    for step in range(6):
        per_s = most * 1.1 * step / 5
        _, y = place(1000, per_s)
        out.append(element("line", x1=left, x2=right, y1=round(y, 1), y2=round(y, 1),
                           class_="grid"))
        out.append(text(left - 6, y + 4, f"{per_s / 1e6:.1f} M", "small", "end"))
    for power in range(3, 9):
        x, _ = place(10**power, 0)
        out.append(text(x, bottom + 18, word(10**power), "small", "middle"))
    for row, (kind, style, words) in enumerate(lines):
        out += curve(points.get(kind, []), style, place)
        y = bottom - 22 - 20 * row
        out.append(element("rect", x=left + 12, y=y - 10, width=12, height=12, class_=style))
        out.append(text(left + 32, y, words))
    return out


def draw(results):
    files = [results / "rate.json", results / "scale.json"]
    missing = [file.name for file in files if not file.exists()]
    if missing:
        print(f"bench_plot: nothing drawn: no {' and no '.join(missing)} in {results}")
        return
    rate, scale = (json.loads(file.read_text()) for file in files)
    body, bottom = bars(rate, TOP)
    body += growth(scale, bottom + 40)
    machine = next(iter(rate.values()))["machine"]
    note = f"{machine['cpu']}, {machine['kernel']}; made by ./scripts/bench"
    body.append(text(10, HEIGHT - 10, note, "small"))
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           f'width="{WIDTH}" height="{HEIGHT}" role="img" '
           f'aria-label="Connection rate by mode and by size of the table">',
           f"<style>{STYLE}</style>", *body, "</svg>"]
    (results / "rate.svg").write_text("\n".join(svg) + "\n")


if __name__ == "__main__":
    draw(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1
         else pathlib.Path(__file__).resolve().parent.parent / "bench" / "results")
