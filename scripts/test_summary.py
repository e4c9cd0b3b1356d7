#!/usr/bin/env python3
"""Sums up test logs: a line per suite, the failures by name, and the total as the last line.

Arguments: LABEL=FILE, a Meson testlog.json or a text log with lines "ok|FAIL|SKIP name: why"; or
LABEL:pass|fail|skip:NAME:WHY, one result. Cases inside a GoogleTest or TAP program count one by
one; any other test counts as one. A test that ends badly without a failed case (a crash, a
timeout, a leak at exit) counts as one failure.
"""

import json
import os
import re
import sys

ORDER = ["unit", "trace", "sim", "fuzz", "dpdk", "tidy"]
GTEST_CASE = re.compile(r"\[(       OK |  FAILED  |  SKIPPED )\] (\S+?),? .*?\(\d+ ms\)")
GTEST_WORD = {"OK": "pass", "FAILED": "fail", "SKIPPED": "skip"}
TAP_CASE = re.compile(r"^(not )?ok\b\s*\d*\s*-?\s*(.*?)\s*(# ?skip.*)?$", re.I | re.M)
LAB_CASE = re.compile(r"^(ok|FAIL|SKIP)\s+([^:\n]+?)(?:: (.*))?$", re.M)
MESON_WORD = {"OK": "pass", "EXPECTEDFAIL": "pass", "SKIP": "skip"}


def cases_of(test):
    """Results inside one Meson test: [(word, case name, reason)]."""
    out = test.get("stdout") or ""
    cases = [(GTEST_WORD[m[1].strip()], m[2], "") for m in GTEST_CASE.finditer(out)]
    if not cases and re.search(r"^1\.\.\d+", out, re.M):
        for m in TAP_CASE.finditer(out):
            word = "skip" if m[3] else "fail" if m[1] else "pass"
            cases.append((word, m[2], (m[3] or "").lstrip("# ")))
    own = MESON_WORD.get(test["result"], "fail")
    if not cases:
        return [(own, "", "" if own == "pass" else test["result"].lower())]
    if own == "fail" and not any(word == "fail" for word, _, _ in cases):
        status = test.get("returncode")
        cases.append(("fail", "(the program)", f"{test['result'].lower()}, status {status}"))
    return cases


def read_meson(label, path):
    """Results of a testlog.json: [(suite, word, name, reason)]."""
    results = []
    with open(path, encoding="utf-8", errors="replace") as log:
        for line in log:
            test = json.loads(line)
            suite, _, name = test["name"].rpartition(" / ")
            suite = suite.split(":", 1)[-1].split("+")[0] or "other"
            if label != "release":
                suite = f"{label} {suite}"
            for word, case, reason in cases_of(test):
                results.append((suite, word, f"{name} {case}".strip(), reason))
    return results


def read_lab(label, path):
    words = {"ok": "pass", "FAIL": "fail", "SKIP": "skip"}
    with open(path, encoding="utf-8", errors="replace") as log:
        results = [(label, words[m[1]], m[2], m[3] or "") for m in LAB_CASE.finditer(log.read())]
    return results or [(label, "fail", "no result", f"see {path}")]


def collect(arguments):
    results = []
    for argument in arguments:
        label, separator, path = argument.partition("=")
        if separator and ":" not in label:
            if not os.path.exists(path):
                results.append((label, "fail", "no log", path))
            else:
                results += (read_meson if path.endswith(".json") else read_lab)(label, path)
        else:
            label, word, name, reason = argument.split(":", 3)
            results.append((label, word, name, reason))
    return results


def rank(suite):
    base = suite.split()[-1]
    return (" " in suite, ORDER.index(base) if base in ORDER else len(ORDER), suite)


def main():
    results = collect(sys.argv[1:])
    suites = sorted({suite for suite, _, _, _ in results}, key=rank)
    print()
    for suite in suites:
        count = {"pass": 0, "fail": 0, "skip": 0}
        for _, word, _, _ in (r for r in results if r[0] == suite):
            count[word] += 1
        print(f"{suite:<12} {count['pass']:>6} passed {count['fail']:>4} failed "
              f"{count['skip']:>4} skipped")
    total = {"pass": 0, "fail": 0, "skip": 0}
    for suite, word, name, reason in results:
        total[word] += 1
        if word != "pass":
            print(f"{word.upper()} {suite}: {name}" + (f" ({reason})" if reason else ""))
    if not any(total.values()):
        total["fail"] = 1
        print("FAIL no test ran")
    print(f"{total['pass']} passed, {total['fail']} failed, {total['skip']} skipped")
    return 1 if total["fail"] else 0


if __name__ == "__main__":
    sys.exit(main())
