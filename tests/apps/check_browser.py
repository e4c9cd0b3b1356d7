#!/usr/bin/env python3
"""tests/apps/check_browser.py MILLRACE RESULT - the page of `millrace report html` in a browser.

Chromium lays the page out, at two widths and without a network. A script that is added to a copy
says what it sees: every plot has an area and its labels lie inside of it, the page is not wider
than the window, and the verdict stands on it. The picture is looked at too: it is not blank.
Exit code 77, which is a skipped test, without Chromium.
"""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

MEASURE = """<script>
const box = e => e.getBoundingClientRect();
const plots = [...document.querySelectorAll('svg')].map(svg => {
  const outer = box(svg);
  const out = [...svg.querySelectorAll('text')].filter(t => {
    const inner = box(t);
    return inner.left < outer.left - 1 || inner.right > outer.right + 1 ||
           inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
  }).map(t => t.textContent);
  return {width: outer.width, height: outer.height, out};
});
const all = document.documentElement;
const seen = {plots, page: all.scrollWidth, window: window.innerWidth, words: all.innerText.length,
              verdict: all.innerText.includes('FAIL (objective)')};
const place = document.createElement('pre');
place.id = 'seen';
place.textContent = JSON.stringify(seen);
document.body.appendChild(place);
</script>"""
SECONDS = 90


def expect(condition, what):
    if not condition:
        sys.exit(f"the page in the browser: {what}")


def browser(program, folder, *arguments):
    """The standard output of a headless Chromium with a profile of its own."""
    command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
               "--no-first-run", "--disable-extensions", "--disable-background-networking",
               f"--user-data-dir={folder}/profile", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS,
                          env={**os.environ, "HOME": folder}).stdout


def rows_of(png):
    """Lines of filtered octets of a picture with eight bits a channel: enough to tell blank."""
    expect(png[:8] == b"\x89PNG\r\n\x1a\n", "no picture")
    at, data, size = 8, b"", None
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at:at + 8])
        body = png[at + 8:at + 8 + length]
        if kind == b"IHDR":
            size = struct.unpack(">IIBBBBB", body)
        if kind == b"IDAT":
            data += body
        at += 12 + length
    width, height, depth, colour = size[:4]
    expect(depth == 8 and colour in (2, 6), f"a picture of {size}")
    line = 1 + width * (3 if colour == 2 else 4)
    octets = zlib.decompress(data)
    return [octets[i * line:(i + 1) * line] for i in range(height)]


def check(program, folder, page, width):
    dom = browser(program, folder, f"--window-size={width},1200", "--dump-dom", f"file://{page}")
    found = re.search(r'<pre id="seen">(.*?)</pre>', dom, re.DOTALL)
    expect(found, f"nothing was measured: {dom[-300:]}")
    seen = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    expect(len(seen["plots"]) >= 3, f"{len(seen['plots'])} plots")
    for plot in seen["plots"]:
        expect(plot["width"] > 200 and plot["height"] > 50, f"a plot is {plot} at {width}")
        expect(not plot["out"], f"labels outside of their plot at {width}: {plot['out']}")
    expect(seen["page"] <= seen["window"], f"{seen['page']} wide in a window of {seen['window']}")
    expect(seen["verdict"] and seen["words"] > 500, f"{seen}")
    return seen


def main():
    millrace, result = sys.argv[1:]
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if not program:
        print("no program chromium")
        return 77
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        text = subprocess.run([millrace, "report", "html", result], check=True,
                              capture_output=True, text=True, encoding="utf-8").stdout
        page = os.path.join(folder, "page.html")
        with open(page, "w", encoding="utf-8") as file:
            file.write(text.replace("</body>", MEASURE + "</body>"))
        for width in (1200, 700):
            seen = check(program, folder, page, width)
            print(f"{width}: {len(seen['plots'])} plots, page {seen['page']}")
        picture = os.path.join(folder, "page.png")
        browser(program, folder, "--window-size=1200,1600", f"--screenshot={picture}",
                f"file://{page}")
        with open(picture, "rb") as file:
            rows = rows_of(file.read())
        expect(len(set(rows)) > len(rows) / 10, f"{len(set(rows))} different lines: it is blank")
    return 0


if __name__ == "__main__":
    sys.exit(main())
