#!/usr/bin/env python3
"""scripts/suite_targets.py BUILD SUITE... - what ninja has to build for the tests of these suites.

From what Meson says of a configured build directory; a path below BUILD on each line.
"""

import json
import os
import sys


def main():
    build, suites = os.path.abspath(sys.argv[1]), set(sys.argv[2:])

    def info(what):
        path = os.path.join(build, "meson-info", f"intro-{what}.json")
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    needed = set()
    for test in info("tests"):
        # "millrace:unit"
        if suites & {suite.rpartition(":")[2] for suite in test["suite"]}:
            needed.update(test["depends"])
    files = {file for target in info("targets") if target["id"] in needed
             for file in target["filename"]}
    if not files:
        sys.exit(f"suite_targets: no test of {', '.join(sorted(suites))} in {build}")
    print("\n".join(sorted(os.path.relpath(file, build) for file in files)))


main()
