"""The rules of make that compilers write into a depfile.

Knows text. Does not know what files the names in it belong to.
"""

import re
from collections.abc import Iterator

# What has a meaning in a rule: blanks with the backslashes before them, an escaped ``#`` and an escaped dollar.
_SPECIAL = re.compile(r"(\\*)([ \t])|\\(#)|\$(\$)")


class DepfileError(ValueError):
    """A text is no depfile. The message begins with the number of the line."""


def prerequisites(text: str) -> list[str]:
    r"""Return what stands behind the colons of all rules, in their order and each once. Raises DepfileError.

    This is what GCC and Clang write, ``munge`` in GCC's mkdeps.cc: ``\#`` and ``$$`` stand for ``#`` and ``$``, and a
    blank with 2N + 1 backslashes before it for N backslashes and the blank. Other backslashes stand for themselves.
    """
    found: dict[str, None] = {}
    for line, rule in _rules(text):
        names = list(_names(rule))
        targets = next((number for number, name in enumerate(names, 1) if name.endswith(":")), 0)
        if not targets or names[0] == ":":
            raise DepfileError(f"{line}: no 'target: prerequisites'")
        found.update(dict.fromkeys(names[targets:]))
    return list(found)


def _rules(text: str) -> Iterator[tuple[int, str]]:
    """Yield each rule on one line, with the number of the line that it begins on."""
    rule, first = "", 1
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not rule:
            first = number
        if line.endswith("\\"):
            rule += line[:-1] + " "
            continue
        rule += line
        if rule.strip() and not rule.lstrip().startswith("#"):
            yield first, rule
        rule = ""
    if rule.strip():
        raise DepfileError(f"{first}: the rule has no end")


def _names(rule: str) -> Iterator[str]:
    name = ""
    position = 0
    for special in _SPECIAL.finditer(rule):
        name += rule[position : special.start()]
        position = special.end()
        slashes, blank, *escaped = special.groups("")
        if not blank:
            name += "".join(escaped)
            continue
        name += slashes[: len(slashes) // 2]
        if len(slashes) % 2:
            name += blank
        elif name:
            yield name
            name = ""
    name += rule[position:]
    if name:
        yield name
