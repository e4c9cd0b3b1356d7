#!/usr/bin/env python3
"""tests/apps/check_html.py MILLRACE RESULT - checks the page of `millrace report html`.

It is well-formed, loads and runs nothing, and everything that the result says is on it: the
verdict, each state with its percentiles, each reason with its number, and three plots whose lines
lie inside the drawing.
"""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as tree

SVG = "{http://www.w3.org/2000/svg}"


def expect(condition, what):
    if not condition:
        sys.exit(f"the page: {what}")


def check_plots(page):
    plots = list(page.iter(f"{SVG}svg"))
    titles = " ".join(plot.find(f"{SVG}title").text for plot in plots)
    for word in ("per second over time", "Latency by percentile", "by reason"):
        expect(word in titles, f"no plot of '{word}'")
    for plot in plots:
        _, _, width, height = map(float, plot.get("viewBox").split())
        for line in plot.iter(f"{SVG}polyline"):
            for point in line.get("points").split():
                x, y = map(float, point.split(","))
                expect(0 <= x <= width and 0 <= y <= height, f"{point} is outside of its plot")
        for bar in plot.iter(f"{SVG}rect"):
            right = float(bar.get("x")) + float(bar.get("width"))
            expect(right <= width, "a bar is longer than its plot")


def main():
    program, name = sys.argv[1:]
    text = subprocess.run([program, "report", "html", name], check=True, capture_output=True,
                          text=True, encoding="utf-8").stdout
    with open(name, encoding="utf-8") as file:
        result = json.load(file)
    page = tree.fromstring(text)
    words = " ".join(page.itertext())

    expect(not list(page.iter("script")) and not list(page.iter("link")), "has script or link")
    expect(not re.search(r"\b(src|href)=|@import|url\(", text), "loads something")
    expect("FAIL (objective)" in words, "no verdict")
    for state, latency in result["latency"].items():
        expect(state in words, f"no state {state}")
        drawn = [t.text for t in page.iter(f"{SVG}text")]
        expect(state in drawn and f"{state} (actual)" in drawn, f"{state} is not in a legend")
        expect(latency["intended"]["count"] > 0, "the sample has an empty histogram")
    for reason, count in result["failures"].items():
        expect(f"{reason} {count}" in words, f"no {reason} {count}")
    for value in result["configuration"].values():
        expect(value in words, f"no {value} of the configuration")
    check_plots(page)
    print(f"{len(text)} octets, {len(list(page.iter(SVG + 'polyline')))} lines")


if __name__ == "__main__":
    main()
