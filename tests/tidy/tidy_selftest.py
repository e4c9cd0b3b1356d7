#!/usr/bin/env python3
"""Self-tests of scripts/tidy.py: small bad trees, in which each rule must fire, and good ones.

Prints TAP. A case is a path, a text, and the rule that must be found there (None: no finding).
"""

import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "scripts"))
sys.dont_write_bytecode = True

import tidy  # noqa: E402
import tidy_cxx  # noqa: E402

WORD = "FIX" "ME"
TCP, WIRE, BASE = "lib/millrace/tcp/a.cc", "lib/millrace/wire/a.cc", "lib/millrace/base/a.cc"
DPDK, SIM, STACK = "lib/millrace/dpdk/a.cc", "lib/millrace/sim/a.cc", "lib/millrace/stack/a.cc"
TEST, APP = "tests/unit/a_test.cc", "apps/a.cc"


def header(body="", banner="// base/a.h - a thing.", guard="MILLRACE_BASE_A_H_", end=None):
    end = f"#endif  // {guard}" if end is None else end
    return f"{banner}\n#ifndef {guard}\n#define {guard}\n{body}\n{end}\n"


HEADER = "lib/millrace/base/a.h"
LONG = "void F() {\n" + "  G();\n" * 60 + "}\n"
FITS = "void F() {\n" + "  G();\n" * 58 + "}\n"

CASES = [
    ("wire includes tcp", WIRE, '#include "millrace/tcp/x.h"\n', "layers"),
    ("tcp includes wire", TCP, '#include "millrace/wire/x.h"\n', None),
    ("tcp includes stack", TCP, '#include "millrace/stack/x.h"\n', "layers"),
    ("base includes wire", BASE, '#include "millrace/wire/x.h"\n', "layers"),
    ("dpdk includes sim", DPDK, '#include "millrace/sim/x.h"\n', "layers"),
    ("sim includes dpdk", SIM, '#include "millrace/dpdk/x.h"\n', "layers"),
    ("stack includes dpdk", STACK, '#include "millrace/dpdk/x.h"\n', "layers"),
    ("dpdk includes stack", DPDK, '#include "millrace/stack/x.h"\n', None),
    ("app includes everything", APP, '#include "millrace/dpdk/x.h"\n', None),
    ("DPDK's header in stack", STACK, "#include <rte_mbuf.h>\n", "layers"),
    ("DPDK's header in an app", APP, "#include <rte_mbuf.h>\n", "layers"),
    ("DPDK's header in dpdk", DPDK, "#include <rte_mbuf.h>\n", None),
    ("include without prefix", TCP, '#include "x.h"\n', "layers"),
    ("include upwards", APP, '#include "../x.h"\n', "layers"),
    ("chrono in tcp", TCP, "#include <chrono>\n", "layers"),
    ("abseil in wire", WIRE, '#include "absl/strings/str_cat.h"\n', "layers"),
    ("rand", TCP, "int F() { return rand(); }\n", "rand"),
    ("random_device", SIM, "void F() { std::random_device d; }\n", "rand"),
    ("a member called rand", SIM, "int F(G g) { return g.rand(); }\n", None),
    ("time(nullptr)", STACK, "long F() { return time(nullptr); }\n", "clock"),
    ("a member called time", STACK, "long F(G g) { return g.time(0); }\n", None),
    ("gettimeofday", SIM, "void F() { gettimeofday(&t, 0); }\n", "clock"),
    ("clock_gettime", DPDK, "void F() { clock_gettime(0, &t); }\n", "clock"),
    ("clock_gettime in the clock", "lib/millrace/dpdk/clock.cc",
     "void F() { clock_gettime(0, &t); }\n", None),
    ("steady_clock", TEST, "auto F() { return std::chrono::steady_clock::now(); }\n", "clock"),
    ("steady_clock in an app", APP, "auto F() { return steady_clock::now(); }\n", None),
    ("sleep in a test", TEST, "void F() { std::this_thread::sleep_for(d); }\n", "sleep"),
    ("new in tcp", TCP, "int* F() { return new int; }\n", "allocation"),
    ("malloc in stack", STACK, "void* F() { return malloc(3); }\n", "allocation"),
    ("make_unique in tcp", TCP, "auto F() { return std::make_unique<int>(3); }\n", "allocation"),
    ("placement new in tcp", TCP, "T* F(void* p) { return new (p) T; }\n", None),
    ("new in a comment", TCP, "// a new segment\n", None),
    ("new in sim", SIM, "int* F() { return new int; }\n", None),
    ("std::function in tcp", TCP, "void F(std::function<void()> f);\n", "dynamic-dispatch"),
    ("virtual in wire", WIRE, "struct A {\n  virtual void F();\n};\n", "dynamic-dispatch"),
    ("assert", TEST, "void F() { assert(true); }\n", "assert"),
    ("static_assert", TCP, "static_assert(sizeof(int) == 4);\n", None),
    ("raw comparison", TCP, "bool F(SeqNum a) { return a.value() < 5; }\n", "seq-compare"),
    ("raw comparison on the right", TCP, "bool F() { return x >= a.value(); }\n", "seq-compare"),
    ("a shift is no comparison", TCP, "int F(SeqNum a) { return a.value() >> 8; }\n", None),
    ("using namespace", HEADER, header("using namespace std;"), "using-namespace"),
    ("unfinished word", BASE, f"// {WORD}: later\n", "unfinished"),
    ("unfinished word in a script", "scripts/a.py", f"# {WORD}\n", "unfinished"),
    ("home directory", BASE, "// see /" + "home/someone/x\n", "machine-path"),
    ("a path of the tree itself", BASE, "// see @ROOT@/x\n", "machine-path"),
    ("an ordinary path", BASE, "// see /sys/fs/bpf\n", None),
    ("101 columns", BASE, "// " + "x" * 98 + "\n", "columns"),
    ("100 columns", BASE, "// " + "x" * 97 + "\n", None),
    ("trailing space", BASE, "int F(); \n", "whitespace"),
    ("no newline at the end", BASE, "int F();", "whitespace"),
    ("good citation", TCP, '// RFC 9293 3.10.7.4 (MUST-58): "one\n// two"\n', None),
    ("misspelt RFC", TCP, "// as RFC793 says\n", "citation"),
    ("wrong requirement", TCP, '// RFC 9293 3.1 (MUST58): "x"\n', "citation"),
    ("requirement without section", TCP, "// RFC 9293 (MUST-58): x\n", "citation"),
    ("open quotation", TCP, '// RFC 9293 3.1 (MUST-58): "one\n// two\n', "citation"),
    ("departure without section", TCP, "// Departs from RFC 6298, as Linux\n", "citation"),
    ("good departure", TCP, "// Departs from RFC 6298 2.4: 200 ms, as Linux\n", None),
    ("good header", HEADER, header(), None),
    ("no banner", HEADER, header(banner="#include <a>"), "banner"),
    ("banner of another file", HEADER, header(banner="// base/b.h - a thing."), "banner"),
    ("wrong guard", HEADER, header(guard="MILLRACE_A_H"), "guard"),
    ("guard without its end", HEADER, header(end="#endif"), "guard"),
    ("global", TCP, "int counter = 0;\n", "mutable-global"),
    ("global in a namespace", TCP, "namespace {\nint counter;\n}\n", "mutable-global"),
    ("global array", TCP, "int table[] = {1, 2};\n", "mutable-global"),
    ("inline global", HEADER, header("inline int counter = 0;"), "mutable-global"),
    ("pointer to const", TCP, 'const char* name = "x";\n', "mutable-global"),
    ("thread_local", TCP, "thread_local int counter;\n", "mutable-global"),
    ("static local", TCP, "int F() {\n  static int n = 0;\n  return ++n;\n}\n", "mutable-global"),
    ("static member", TCP, "struct A {\n  static inline int n = 0;\n};\n", "mutable-global"),
    ("constants", TCP, "constexpr int kA = 1;\nconst int kB[] = {1};\n"
     'constexpr const char* kC = "x";\nconst char* const kD = "y";\n', None),
    ("functions and types", TCP, "namespace a {\nstruct B {\n  int c = 0;\n  static int D();\n};\n"
     "enum class E { kF };\nint G(int h);\nusing I = int;\nint J() {\n  int k{3};\n  return k;\n}\n"
     "B::B() : c_(1), d_{2} {\n  K();\n}\ntemplate <class T>\nT L() {\n  return {};\n}\n}\n", None),
    ("allowed with a reason", TCP, "// tidy: allow(mutable-global) the one place\nint n;\n", None),
    ("allowed without a reason", TCP, "// tidy: allow(mutable-global)\nint n;\n",
     "mutable-global"),
    ("unlisted source", "lib/millrace/base/unlisted.cc", "int F();\n", "dead-file"),
    ("unused header", "lib/millrace/base/unused.h",
     header(banner="// base/unused.h - x.", guard="MILLRACE_BASE_UNUSED_H_"), "dead-file"),
    ("long file", BASE, "int F();\n" * 351, "length"),
    ("fitting file", BASE, "int F();\n" * 350, None),
    ("long function", BASE, LONG, "length"),
    ("fitting function", BASE, FITS, None),
    ("long member", BASE, "struct A {\n" + LONG + "};\n", "length"),
]


def findings_of(files):
    """The rules that fire in a tree of {path: text}, by path."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text.replace("@ROOT@", root))
        tree = tidy.Tree(root)
        return [(f.path, f.rule) for f in tidy.check(tree)]


def run_case(path, text, rule):
    """None when the rule fires in the file, and no other; else what happened."""
    files = {path: text}
    if path != "lib/millrace/base/unlisted.cc" and path.endswith(".cc"):
        files[os.path.dirname(path) + "/meson.build"] = f"x = files('{os.path.basename(path)}')\n"
    if path == HEADER:
        files[TEST] = '#include "millrace/base/a.h"\n'
        files["tests/unit/meson.build"] = "x = files('a_test.cc')\n"
    fired = {found for where, found in findings_of(files) if where == path}
    wanted = {rule} if rule else set()
    return None if fired == wanted else f"wanted {wanted or 'nothing'}, found {fired or 'nothing'}"


def ratchet_case(listed, text, wanted):
    files = {BASE: text, "lib/millrace/base/meson.build": "x = files('a.cc')\n",
             tidy.RATCHET: f"# list\n{BASE}:F {listed}\n"}
    fired = {rule for _, rule in findings_of(files)}
    return None if fired == wanted else f"found {fired}"


def headers_case(text, wanted):
    """How many headers do not compile alone."""
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, os.path.dirname(HEADER)))
        with open(os.path.join(root, HEADER), "w", encoding="utf-8") as file:
            file.write(text)
        out, sys.stdout = sys.stdout, open(os.devnull, "w", encoding="utf-8")
        try:
            failed = tidy.check_headers(tidy.Tree(root), [os.environ.get("CXX", "g++")])
        finally:
            sys.stdout.close()
            sys.stdout = out
    return None if failed == wanted else f"{failed} headers failed"


def functions_case():
    """Names and lengths of functions in code with the usual traps."""
    text = ("A::A(int b)\n    : b_(b),\n      c_{1} {\n  D();\n}\n"
            "template <class T>\nauto E(T t) -> int {\n  auto f = [&](int x) {\n    return x;\n"
            "  };\n  return f(t);\n}\nstruct G {\n  bool operator<(G g) const { return x < g.x; }\n"
            "  char h = '{';\n  const char* i = \"}\";\n};\nTEST(J, K) {\n  L({1, 2});\n}\n")
    found = [(f.name, f.lines) for f in tidy_cxx.scan(text)[0]]
    wanted = [("A::A", 5), ("E", 7), ("operator<", 1), ("J.K", 3)]
    return None if found == wanted else str(found)


def main():
    results = [(name, run_case(path, text, rule)) for name, path, text, rule in CASES]
    results += [
        ("listed long function", ratchet_case(62, LONG, set())),
        ("function grew", ratchet_case(61, LONG, {"length"})),
        ("function shrank", ratchet_case(63, LONG, {"length"})),
        ("function became short", ratchet_case(62, FITS, {"length"})),
        ("header alone", headers_case(header("#include <cstdint>\nstruct A { uint8_t b; };"), 0)),
        ("header needs another", headers_case(header("struct A { uint8_t b; };"), 1)),
        ("header without guard", headers_case("struct A {};\n", 1)),
        ("functions are found", functions_case()),
    ]
    print(f"1..{len(results)}")
    for number, (name, problem) in enumerate(results, 1):
        print(f"{'not ok' if problem else 'ok'} {number} - {name}")
        if problem:
            print(f"# {problem}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
