"""scripts/tidy_rules.py - the rules of scripts/tidy.py, a table or a function each.

A function rule takes a Tree (see tidy.py) or a Source and yields Findings. To except one line,
say why beside it or above it: `// tidy: allow(RULE) reason`.
"""

import os
import re
from typing import NamedTuple

import tidy_cxx

COLUMNS = 100
FILE_LINES = 350
FUNCTION_LINES = 60

# What each folder of lib/millrace may include of the others. Arrows go down only.
LAYERS = {
    "base": set(),
    "wire": {"base"},
    "tcp": {"base", "wire"},
    "stack": {"base", "wire", "tcp"},
    "dpdk": {"base", "wire", "tcp", "stack"},
    "sim": {"base", "wire", "tcp", "stack"},
}
PURE = ("lib/millrace/wire/", "lib/millrace/tcp/")
IMPURE_HEADERS = re.compile(
    r"<(chrono|ctime|time\.h|thread|mutex|atomic|iostream|fstream|random|functional|unistd\.h|"
    r"sys/socket\.h|sys/time\.h)>")
# Cold code of tcp/ and stack/ that sizes pools at start and so may allocate.
SET_UP_FILES = set()


class Finding(NamedTuple):
    path: str
    line: int
    rule: str
    message: str


class Ban(NamedTuple):
    rule: str
    pattern: str      # searched in code without comments and literals
    instead: str
    where: tuple = ("lib/", "apps/", "bench/", "tests/")
    but_not: tuple = ()


HOT = ("lib/millrace/tcp/", "lib/millrace/stack/")
CLOCK_USERS = ("lib/millrace/dpdk/clock", "apps/")
BANS = [
    Ban("rand", r"(?<![\w.>])s?rand\s*\(|\brandom_device\b|\bdrand48\s*\(",
        "take a seeded generator of base/prng.h as an argument"),
    Ban("clock", r"(?<![\w.>])time\s*\(\s*(NULL|nullptr|0|&\s*\w+)\s*\)|\bgettimeofday\s*\(|"
        r"\bclock_gettime\s*\(|\b(\w*[cC]lock\w*)::now\s*\(",
        "take `Instant now` as an argument; the clock is read in dpdk/clock and apps",
        but_not=CLOCK_USERS),
    Ban("sleep", r"\b(sleep_for|sleep_until|usleep|nanosleep)\s*\(|(?<![\w.>])sleep\s*\(",
        "advance virtual time (sim), or poll with a bound", ("lib/", "tests/", "bench/"),
        CLOCK_USERS),
    Ban("allocation", r"(?<!operator )\bnew\b(?!\s*\()|\b(malloc|calloc|realloc|strdup)\s*\(|"
        r"\bmake_(unique|shared)\b", "take it from a Slab or Region reserved at start", HOT,
        tuple(SET_UP_FILES)),
    Ban("dynamic-dispatch", r"\bstd::function\b|\bvirtual\b",
        "use a template parameter or a value that is returned", PURE),
    Ban("assert", r"(?<!\w)assert\s*\(", "use MR_CHECK (cold) or MR_DCHECK (hot) of base/check.h"),
    Ban("seq-compare", r"\.value\(\)\s*(<=?|>=?)(?![<>])|[\w)]\s+(<=?|>=?)\s+[\w.]+\.value\(\)",
        "compare SeqNums themselves: the numbers wrap (base/seq.h)",
        ("lib/",), ("lib/millrace/base/seq.h",)),
]


def is_cxx(path):
    return path.endswith((".cc", ".h"))


def bans(source):
    if not is_cxx(source.path):
        return
    for ban in BANS:
        if not source.path.startswith(ban.where) or source.path.startswith(ban.but_not or ("\0",)):
            continue
        for number, line in enumerate(source.code.split("\n"), 1):
            found = re.search(ban.pattern, line)
            if found:
                word = found[0].strip()
                yield source.finding(number, ban.rule, f"`{word}` is not for here: {ban.instead}")
    if source.path.endswith(".h"):
        for number, line in enumerate(source.code.split("\n"), 1):
            if re.search(r"\busing\s+namespace\b", line):
                yield source.finding(number, "using-namespace", "not in a header: write the names")


def layers(source):
    """Includes follow the arrows of the architecture."""
    if not is_cxx(source.path):
        return
    parts = source.path.split("/")
    layer = parts[2] if parts[:2] == ["lib", "millrace"] and len(parts) > 3 else None
    for number, line in enumerate(source.text.split("\n"), 1):
        include = re.match(r'\s*#\s*include\s*(["<][^">]+[">])', line)
        if not include:
            continue
        name = include[1][1:-1]
        if re.match(r"rte_|.*/rte_", name) and layer != "dpdk" and parts[:2] != ["tests", "dpdk"]:
            yield source.finding(number, "layers", f"{name}: only lib/millrace/dpdk knows DPDK")
        if ".." in name.split("/"):
            yield source.finding(number, "layers", f"{name}: include from the root, millrace/...")
        if layer is None:
            continue
        target = re.match(r"millrace/([^/]+)/", name)
        if include[1][0] == '"' and not target and not name.startswith("absl/"):
            yield source.finding(number, "layers", f'"{name}": lib includes "millrace/..." only')
        elif target and target[1] != layer and target[1] not in LAYERS.get(layer, set()):
            yield source.finding(number, "layers", f"{layer} must not include {target[1]} ({name})")
        if source.path.startswith(PURE) and (IMPURE_HEADERS.match(include[1]) or "absl/" in name):
            yield source.finding(number, "layers", f"{name}: {layer} is pure; pass values in")


def text_form(source):
    """Lines, words and paths."""
    unfinished = re.compile(r"\b(FIX" "ME|TO" "DO|XX" r"X)\b")
    # Where people and build services keep checkouts; the checkout's own path too.
    here = re.compile(r"(?<![\w.:/-])/(home/[a-z]|root/|Users/|work/|workspace/|builds/)|" +
                      re.escape(source.root + "/"))
    prose = source.path.endswith((".md", "LICENSE"))
    build = source.path.endswith((".build", "meson_options.txt"))
    for number, line in enumerate(source.text.split("\n"), 1):
        if unfinished.search(line):
            yield source.finding(number, "unfinished", "finish it, or write an issue")
        if here.search(line):
            yield source.finding(number, "machine-path", "a path of one machine")
        if not prose and not build and len(line) > COLUMNS:
            yield source.finding(number, "columns", f"{len(line)} columns; at most {COLUMNS}")
        if not prose and (line.endswith((" ", "\t", "\r")) or "\t" in line):
            yield source.finding(number, "whitespace", "tab or trailing space")
    if source.text and not source.text.endswith("\n"):
        yield source.finding(source.lines, "whitespace", "no newline at the end")


TAG = r"(?:MUST|SHLD|MAY|REC)-\d+"
TAGGED = re.compile(r"RFC \d+([^();:\"]*)\(((?:MUST|SHLD|SHOULD|MAY|REC)[ _-]?\d+(?:,[^)]*)?)\)")
DEPARTURE = re.compile(r" (section |appendix )?[A-Z]?[\d.]*\w( \(.*|:.*)$")


def citations(source):
    """RFC citations have a form that a script can read: `RFC 9293 3.10.7.4 (MUST-58): "..."`."""
    if not is_cxx(source.path):
        return
    lines = tidy_cxx.comments(source.text)
    for index, (number, comment) in enumerate(lines):
        loose = re.search(r"\b(RFC-?\d\w*|rfc[ -]?\d\w*|RFC  +\d+)", comment)
        if loose and "://" not in comment:
            yield source.finding(number, "citation", f"write `RFC 9293`, not `{loose[1]}`")
        departs = re.search(r"Departs from RFC \d+(.*)", comment)
        if departs and not DEPARTURE.match(departs[1]):
            yield source.finding(number, "citation", "write `Departs from RFC 6298 2.4: what, why`")
        for tag in TAGGED.finditer(comment):
            if not re.fullmatch(rf"{TAG}(, {TAG})*", tag[2]):
                yield source.finding(number, "citation", f"`({tag[2]})`: write MUST-n or SHLD-n")
            if not re.search(r"\d", tag[1]):
                yield source.finding(number, "citation", "name the section before the requirement")
        if not re.match(r'//\s*RFC \d+[^"]*: "', comment):
            continue
        quotation = comment
        for later, (following, text) in enumerate(lines[index + 1:index + 12], 1):
            if following != number + later:
                break
            quotation += text
        if quotation.count('"') < 2:
            yield source.finding(number, "citation", "the quotation does not end")


def header_shape(source):
    """Banner on the first line, guard named after the path."""
    if not source.path.endswith(".h"):
        return
    below = re.sub(r"^lib/millrace/", "", source.path)
    names = {below} | {"/".join(source.path.split("/")[i:]) for i in (0, 1)}
    first = source.text.split("\n", 1)[0]
    banner = re.match(r"// (\S+) - \S", first)
    if not banner or not ("/" + source.path).endswith("/" + banner[1]):
        yield source.finding(1, "banner", f"begin with `// {below} - what it is`")
    guards = {"MILLRACE_" + re.sub(r"\W", "_", name).upper() + "_" for name in names}
    best = "MILLRACE_" + re.sub(r"\W", "_", below).upper() + "_"
    found = re.search(r"^#ifndef (\w+)\n#define (\w+)$", source.text, re.M)
    if not found or found[1] != found[2] or found[1] not in guards:
        yield source.finding(1, "guard", f"guard the header with {best}")
    elif not source.text.rstrip().endswith(f"#endif  // {found[1]}"):
        yield source.finding(source.lines, "guard", f"end with `#endif  // {found[1]}`")


NOT_A_VARIABLE = re.compile(
    r"(using|typedef|friend|static_assert|extern|class|struct|union|enum|concept|return|goto|"
    r"namespace|template|requires|public|private|protected|break|continue|default|delete|"
    r"operator|case|if|else|for|while|do|switch|throw|co_\w+)\b")


def globals_(source):
    """No state at namespace scope, in a class or in a function, that outlives a call."""
    if not is_cxx(source.path):
        return
    for scope, line, text in source.statements:
        is_static = re.search(r"\b(static|thread_local)\b", text.split("=")[0].split("(")[0])
        if scope != "namespace" and not is_static:
            continue
        head = re.sub(r"\[\[.*?\]\]|alignas\s*\([^()]*\)|\b(inline|static)\b", "", text).strip()
        declarator = re.split(r"(?<![=!<>])=(?!=)", head)[0]
        if NOT_A_VARIABLE.match(head) or "(" in declarator or "operator" in declarator:
            continue
        if not re.match(r"[\w:<>,\s*&\[\].]+?[\s*&>]\w+(::\w+)*\s*(\[[^\]]*\]\s*)*$", declarator):
            continue
        constant = re.search(r"\bconstexpr\b", declarator) or (
            re.search(r"\bconst\b", declarator) and
            ("*" not in declarator or re.search(r"\*\s*const\b", declarator)))
        if not constant and "sig_atomic_t" not in declarator:
            yield source.finding(line, "mutable-global",
                                 f"`{' '.join(declarator.split())}`: state belongs to an object")


def dead_files(tree):
    """Each .cc is listed in a meson.build, each .h is included by somebody."""
    included = set()
    for source in tree.sources:
        if is_cxx(source.path):
            included |= {name.split("/")[-1]
                         for name in re.findall(r'#\s*include\s*["<]([^">]+)[">]', source.text)}
    for source in tree.sources:
        name = os.path.basename(source.path)
        if source.path.endswith(".h") and name not in included:
            yield source.finding(1, "dead-file", "no file includes it")
        if source.path.endswith(".cc") and not listed(tree, source.path):
            yield source.finding(1, "dead-file", "no meson.build lists it")


def listed(tree, path):
    folder, below = os.path.dirname(path), os.path.basename(path)
    while True:
        build = tree.by_path.get(os.path.join(folder, "meson.build"))
        if build:
            text = re.sub(r"#.*", "", build.text)
            stem = re.sub(r"(_(test|fuzz|bench|trace))?\.cc$", "", below)
            names = {below, below[:-3], stem} if ".cc'" in text else {below}
            if any(f"'{name}'" in text for name in names):
                return True
        if not folder:
            return False
        folder, last = os.path.split(folder)
        below = f"{last}/{below}"


def lengths(source):
    """[(ratchet key, line, length, limit)] of a file and its functions."""
    if not source.path.endswith((".cc", ".h", ".py")):
        return []
    found = [(source.path, 1, source.lines, FILE_LINES)]
    if is_cxx(source.path):
        found += [(f"{source.path}:{f.name}", f.first_line, f.lines, FUNCTION_LINES)
                  for f in source.functions]
    return found


def ratchet(tree):
    """Long files and functions are listed with their length, and only shrink."""
    seen = {}
    for source in tree.sources:
        for key, line, length, limit in lengths(source):
            if length > limit and length > seen.get(key, (0,))[0]:
                seen[key] = (length, line, limit, source)
    for key, (length, line, limit, source) in seen.items():
        allowed = tree.ratchet.get(key)
        what = key.rsplit(":", 1)[-1] if ":" in key else "the file"
        if allowed is None:
            yield source.finding(line, "length", f"{what} has {length} lines; at most {limit}")
        elif length > allowed:
            yield source.finding(line, "length", f"{what} grew from {allowed} to {length} lines")
        elif length < allowed:
            yield source.finding(line, "length", f"{what} shrank to {length} lines: "
                                 "run scripts/tidy.py --lower-ratchet")
    for key in sorted(set(tree.ratchet) - set(seen)):
        yield Finding("scripts/tidy_ratchet.txt", 1, "length",
                      f"{key} is short enough now: drop its entry "
                      "(scripts/tidy.py --lower-ratchet)")


SOURCE_RULES = [bans, layers, text_form, citations, header_shape, globals_]
TREE_RULES = [dead_files, ratchet]
