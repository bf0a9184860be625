"""Mutants that nobody has thought of: each operator, condition, constant and statement of a header, changed by rule.

Text that stays as it is: comments, strings, preprocessor lines, what is checked when it is compiled, and room that is
reserved ahead.
"""

import re
from dataclasses import dataclass

SWAPS = {
    "==": "!=",
    "!=": "==",
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "&&": "||",
    "||": "&&",
    "+": "-",
    "-": "+",
    "+=": "-=",
    "-=": "+=",
    "++": "--",
    "--": "++",
    "true": "false",
    "false": "true",
}
# As clang-format leaves them: an operator of two operands has spaces, the < of a template has none, or one.
# (Nothing is taken away from a text.)
OPERATOR = re.compile(r'(?<= )(?:==|!=|<=?|>=?|&&|\|\||(?<!" )[-+]=?(?! "))(?=\s)|\+\+|--|\b(?:true|false)\b')
NUMBER = re.compile(r"(?<![\w.'])\d+(?![\w.'])")
COMPARED = re.compile(r" (?:==|!=|&&|\|\||=) ")
CONDITION = re.compile(r"\b(?:if|while) \(")
# On one line, and no declaration: a call, an assignment, an increment, a jump; or all that depends on an `if`.
STATEMENT = re.compile(
    r"(?m)^ +(?:[\w:.>*\[\]()-]+(?:<[\w:, ]*>)?\(.*\)|[\w.>*\[\]()-]+ [-+|&^]?= .*|(?:\+\+|--)[\w.>-]+"
    r"|break|continue|return|(?:co_return |throw |delete |if \().*);$"
)
AFTER = re.compile(r"(?:[;{}:)@]|\belse)\s*\Z")
NO_STATEMENT = re.compile(r"= (?:default|delete)|^ *(?:static_assert|using|template)\b")
APART = re.compile(
    r'(?P<gone>//[^\n]*|^#(?:[^\n]*\\\n)*[^\n]*|^ *template <.*|static_assert\([^;]*;|^ *concept [^;]*;|\w[\w.>-]*reserve\([^;]*;'
    r'|\bif constexpr \(.*|\brequires .*|\bnoexcept\(.*?\)|operator(?:[^\w\s(]+|\(\)))'
    r'|(?P<kept>R"(?P<mark>\w*)\((?:.|\n)*?\)(?P=mark)"|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)+\')',
    re.MULTILINE,
)


@dataclass(frozen=True)
class Change:
    line: int
    before: str  # the whole line, or lines
    after: str
    text: str  # the header, changed


def hidden(text):
    """The text without what stays as it is; everything else is where it was."""
    return APART.sub(lambda found: re.sub(r"[^\n]", "@" if found["gone"] else '"', found[0]), text)


def end_of_parenthesis(text, start):
    """Of the one that opens there: where its last `;` is or it itself, and where it closes."""
    depth, begin = 0, start + 1
    for at in range(start, len(text)):
        if text[at] == "(":
            depth += 1
        elif text[at] == ")":
            depth -= 1
            if depth == 0:
                return begin, at
        elif text[at] == ";":
            begin = at + 1
    return None


def edits(text):
    """What is changed: where, up to where, into what."""
    seen = hidden(text)
    for found in OPERATOR.finditer(seen):
        yield found.start(), found.end(), SWAPS[found[0]]
    for found in NUMBER.finditer(seen):
        yield found.start(), found.end(), str(int(found[0]) + 1)
    for found in CONDITION.finditer(seen):
        place = end_of_parenthesis(seen, found.end() - 1)
        if place and not COMPARED.search(seen, *place):  # what can be changed there, or declared
            begin, end = place
            yield begin, end, re.sub(r"^( ?)((?:.|\n)*)", r"\1!(\2)", text[begin:end])
    for found in STATEMENT.finditer(seen):
        goes_on = not AFTER.search(seen, 0, found.start())
        if not goes_on and not NO_STATEMENT.search(found[0]) and "@" not in found[0]:
            yield found.start(), found.end(), re.match(" *", found[0])[0] + ";"


def changes_of(text):
    """All of a header, in the order of its lines."""
    found = []
    for begin, end, new in sorted(edits(text)):
        first = text.rfind("\n", 0, begin) + 1
        last = text.find("\n", end)
        before = text[first:last].strip()
        after = (text[first:begin] + new + text[end:last]).strip()
        found.append(Change(text.count("\n", 0, begin) + 1, before, after, text[:begin] + new + text[end:]))
    return found
