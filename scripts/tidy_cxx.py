"""scripts/tidy_cxx.py - reads just enough C++ for scripts/tidy.py: comments, scopes, functions.

Not a parser: braces and statements of code that clang-format has laid out. Where it is unsure it
sees less, so that it never invents a finding.
"""

import re
from typing import NamedTuple

TOKEN = re.compile(
    r"""(?P<line>//(?:[^\\\n]|\\.)*)|(?P<block>/\*.*?\*/)
      |(?P<raw>R"(?P<delim>[^()\s\\]{0,16})\(.*?\)(?P=delim)")
      |(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<number>\b\d[\w']*)|(?P<char>'(?:[^'\\\n]|\\.)+')""",
    re.S | re.X)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\\\n]|\\.|\\\n)*", re.M)
NAMED_SCOPE = re.compile(r"\b(class|struct|union|enum)\b")
ACCESS = re.compile(r"\s*(public|private|protected)\s*$")
TEMPLATE = re.compile(r"^\s*template\s*<")


class Function(NamedTuple):
    name: str
    first_line: int  # of the signature
    lines: int       # from the signature to the closing brace


class Statement(NamedTuple):
    scope: str  # "namespace", "class" or "function"
    line: int
    text: str   # without its initialiser's braces


def blank(text, keep_strings=False):
    """The code alone: comments and literals become spaces, line numbers stay."""
    def spaces(match):
        if match.lastgroup == "number" or (keep_strings and match.lastgroup == "string"):
            return match[0]
        if match.lastgroup in ("string", "delim", "raw"):
            return '"' + re.sub(r"[^\n]", " ", match[0][2:]) + '"'
        return re.sub(r"[^\n]", " ", match[0])
    return TOKEN.sub(spaces, text)


def comments(text):
    """[(line, text)] of each comment, block comments line by line."""
    found = []
    for match in TOKEN.finditer(text):
        if match.lastgroup in ("line", "block"):
            first = text.count("\n", 0, match.start()) + 1
            found += [(first + i, part) for i, part in enumerate(match[0].split("\n"))]
    return found


def without_template(head):
    """A statement without its leading `template <...>`."""
    while TEMPLATE.match(head):
        depth = 0
        for i in range(head.index("<"), len(head)):
            depth += {"<": 1, ">": -1}.get(head[i], 0)
            if depth == 0:
                head = head[i + 1:]
                break
        else:
            return head
    return head.strip()


def kind_of(head):
    """What an opening brace at namespace or class scope begins: a scope name or "init"."""
    head = without_template(head)
    if re.search(r"\bnamespace\b", head) or re.match(r'extern\s*"', head):
        return "namespace"
    outside = re.sub(r"\([^()]*\)", "", re.sub(r"\([^()]*\)", "", head))
    if re.search(r"(?<![=!<>])=(?!=)", outside) and "operator" not in head:
        return "function" if re.search(r"\)\s*(mutable|noexcept)?\s*$", head) else "init"
    if "(" in head:
        members = re.search(r"\)\s*(?:noexcept\s*)?:(?!:)", head)
        if members and re.search(r"[\w>]\s*$", head[members.end():]):
            return "init"
        if not NAMED_SCOPE.match(head):
            return "function"
    if NAMED_SCOPE.search(head):
        return "class" if "enum" not in head.split("{")[0].split(":")[0] else "init"
    return "init"


def name_of(head):
    head = without_template(head)
    found = re.match(r"(?:TEST|TEST_F|TEST_P|TYPED_TEST)\s*\(\s*(\w+)\s*,\s*(\w+)", head)
    if found:
        return f"{found[1]}.{found[2]}"
    found = re.search(r"((?:~?\w+\s*(?:<[^<>]*>)?\s*::\s*)*(?:operator\s*[^\s\w(]+|~?\w+))\s*\(",
                      head)
    return re.sub(r"\s|<[^<>]*>", "", found[1]) if found else "?"


def scan(text):
    """([Function], [Statement]) of a source file."""
    code = DIRECTIVE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), blank(text))
    functions, statements = [], []
    scopes = ["namespace"]  # of the open braces
    opened = []             # (name, first line) of each function, by brace
    head, head_line, line, parens = "", 0, 1, 0
    for ch in code:
        if ch == "\n":
            line += 1
        if not head.strip() and not ch.isspace():
            head, head_line = "", line
        if ch in "([":
            parens += 1
        elif ch in ")]":
            parens -= 1
        scope = scopes[-1]
        if ch == "{":
            kind = "block" if scope in ("function", "block") else "init"
            if scope in ("namespace", "class") and parens == 0:
                kind = kind_of(head)
            elif scope in ("function", "block") and re.search(r"[=\w>]\s*$", head) and \
                    not re.search(r"\b(else|do|try|const|mutable|noexcept)\s*$", head):
                kind = "init"
            scopes.append(kind)
            opened.append((name_of(head), head_line, head, parens))
            if kind != "init":
                head, parens = "", 0
        elif ch == "}":
            if len(scopes) > 1:
                kind = scopes.pop()
                name, first, before, parens = opened.pop()
                if kind == "function" and "concept" not in before.split("=")[0]:
                    functions.append(Function(name, first, line - first + 1))
                head = {"init": before + "{}", "class": before}.get(kind, "")
                if kind == "block" and parens > 0:
                    head = before  # a lambda among arguments
        elif ch == ";" and parens == 0:
            if scope != "init":
                where = "function" if scope == "block" else scope
                declaration = without_template(head.replace("{}", ""))
                statements.append(Statement(where, head_line, declaration))
                head = ""
        elif ch == ":" and scope == "class" and ACCESS.match(head):
            head = ""
        elif scope != "init":
            head += ch
    return functions, statements
