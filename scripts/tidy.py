#!/usr/bin/env python3
"""scripts/tidy.py - the project's rules that no compiler checks. Rules: scripts/tidy_rules.py.

  tidy.py                   check the whole tree; prints file:line: [rule] what to do instead
  tidy.py --headers         compile each header alone (and twice, for its guard)
  tidy.py --lower-ratchet   lower the entries of tidy_ratchet.txt that became too generous
Options: --root DIR (another tree), --cxx COMMAND (compiler of --headers).
"""

import argparse
import concurrent.futures
import functools
import os
import re
import shlex
import subprocess
import sys

import tidy_cxx
import tidy_rules

FOLDERS = ("lib", "apps", "bench", "tests", "scripts", ".ci")
SUFFIXES = (".cc", ".h", ".py", ".sh", ".build", ".md", ".txt")
SKIP_FOLDERS = {"__pycache__", "corpus", "results"}
RATCHET = "scripts/tidy_ratchet.txt"
WARNINGS = ("-Wall -Wextra -Wconversion -Wshadow -Wold-style-cast -Werror "
            "-Wno-missing-field-initializers -Wno-unused-function").split()


class Source:
    """One file: its text, and what is read from it when a rule asks."""

    def __init__(self, root, path):
        self.root, self.path = root, path
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
            self.text = file.read()
        self.lines = self.text.count("\n")

    @functools.cached_property
    def code(self):
        return tidy_cxx.blank(self.text)

    @functools.cached_property
    def scan(self):
        return tidy_cxx.scan(self.text)

    @property
    def functions(self):
        return self.scan[0]

    @property
    def statements(self):
        return self.scan[1]

    def finding(self, line, rule, message):
        return tidy_rules.Finding(self.path, line, rule, message)

    def allows(self, line, rule):
        lines = self.text.split("\n")
        near = lines[max(0, line - 2):line]
        return any(re.search(r"tidy: allow\(" + re.escape(rule) + r"\) \S", text) for text in near)


class Tree:
    """The files under a root that the rules look at."""

    def __init__(self, root):
        self.root = os.path.abspath(root)
        self.sources = [Source(self.root, path) for path in sorted(self.find())]
        self.by_path = {source.path: source for source in self.sources}
        self.ratchet = {}
        if RATCHET in self.by_path:
            for line in self.by_path[RATCHET].text.split("\n"):
                if line.strip() and not line.startswith("#"):
                    key, length = line.rsplit(None, 1)
                    self.ratchet[key.strip()] = int(length)

    def find(self):
        for name in os.listdir(self.root):
            if os.path.isfile(os.path.join(self.root, name)) and self.wanted(name):
                yield name
        for top in FOLDERS:
            for folder, folders, names in os.walk(os.path.join(self.root, top)):
                folders[:] = [name for name in folders if name not in SKIP_FOLDERS]
                for name in names:
                    path = os.path.relpath(os.path.join(folder, name), self.root)
                    if self.wanted(path):
                        yield path

    def wanted(self, path):
        if path.endswith(SUFFIXES) or path == "meson_options.txt":
            return True
        if "." in os.path.basename(path):
            return False
        with open(os.path.join(self.root, path), "rb") as file:  # scripts without a suffix
            return file.read(2) == b"#!"


def check(tree):
    findings = []
    for source in tree.sources:
        for rule in tidy_rules.SOURCE_RULES:
            findings += rule(source)
    for rule in tidy_rules.TREE_RULES:
        findings += rule(tree)
    return sorted(f for f in findings
                  if f.path not in tree.by_path or not tree.by_path[f.path].allows(f.line, f.rule))


def lower_ratchet(tree):
    """Rewrites the list with lower numbers, without what became short. Never adds or raises."""
    now = {}
    for source in tree.sources:
        for key, _, length, limit in tidy_rules.lengths(source):
            if length > limit:
                now[key] = max(length, now.get(key, 0))
    text = tree.by_path[RATCHET].text
    kept = [line for line in text.split("\n") if line.startswith("#")]
    kept += [f"{key} {min(length, now[key])}" for key, length in sorted(tree.ratchet.items())
             if key in now]
    with open(os.path.join(tree.root, RATCHET), "w", encoding="utf-8") as file:
        file.write("\n".join(kept) + "\n")


def dpdk_flags():
    """Flags for headers that include DPDK's, as system headers; None without DPDK."""
    try:
        out = subprocess.run(["pkg-config", "--cflags", "libdpdk"], check=True,
                             capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    flags = []
    for flag in shlex.split(out):
        flags += ["-isystem", flag[2:]] if flag.startswith("-I") else [flag]
    return flags


def compile_header(root, compiler, dpdk, path):
    name = path[len("lib/"):] if path.startswith("lib/") else path
    include = f'#include "{name}"\n'
    command = [*compiler, "-std=c++20", "-fsyntax-only", *WARNINGS, "-I", "lib", "-I", "tests",
               "-I", ".", "-I", os.path.dirname(path), *dpdk, "-x", "c++", "-"]
    result = subprocess.run(command, input=include * 2, cwd=root, text=True, capture_output=True)
    return path, result.returncode, result.stderr


def check_headers(tree, compiler):
    """Compiles each header alone; prints what does not, and returns how many."""
    dpdk = dpdk_flags()
    headers = [source.path for source in tree.sources if source.path.endswith(".h")]
    if dpdk is None:
        print("without DPDK: lib/millrace/dpdk, apps and bench are left out")
        headers = [h for h in headers if not h.startswith(("lib/millrace/dpdk/", "apps/", "bench/",
                                                           "tests/dpdk/"))]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        work = functools.partial(compile_header, tree.root, compiler, dpdk or [])
        for path, status, output in pool.map(work, headers):
            if status:
                failed += 1
                print(f"{path}:1: [header-alone] does not compile alone\n{output}")
    print(f"{len(headers)} headers, {failed} do not compile alone")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--root", default=here)
    parser.add_argument("--headers", action="store_true")
    parser.add_argument("--lower-ratchet", action="store_true")
    parser.add_argument("--cxx", default=os.environ.get("CXX", "g++"))
    args = parser.parse_args()
    tree = Tree(args.root)
    if args.headers:
        return 1 if check_headers(tree, shlex.split(args.cxx)) else 0
    if args.lower_ratchet:
        lower_ratchet(tree)
        return 0
    findings = check(tree)
    for finding in findings:
        print(f"{finding.path}:{finding.line}: [{finding.rule}] {finding.message}")
    print(f"{len(tree.sources)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
