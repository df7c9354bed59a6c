"""The rules of make that compilers write into a depfile.

Knows text. Does not know what files the names in it belong to.
"""

from collections.abc import Iterator


class DepfileError(ValueError):
    """A text is no depfile. The message begins with the number of the line."""


def prerequisites(text: str) -> list[str]:
    r"""Return what stands behind the colons of all rules, in their order and each once. Raises DepfileError.

    In a name a backslash stands before a space, ``#`` or ``\``; ``$$`` stands for a dollar. This is what GCC and Clang
    write: https://gcc.gnu.org/onlinedocs/cpp/Invocation.html (-M, -MQ).
    """
    found: dict[str, None] = {}
    for line, rule in _rules(text):
        names = list(_names(rule))
        colons = [position for position, name in enumerate(names) if name.endswith(":") and name]
        if not colons or names[0] == ":":
            raise DepfileError(f"{line}: no 'target: prerequisites'")
        found.update(dict.fromkeys(names[colons[0] + 1 :]))
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
    while position < len(rule):
        char, following = rule[position], rule[position + 1 : position + 2]
        if (char == "\\" and following and following in " #\\\t") or (char == "$" and following == "$"):
            name += following
            position += 1
        elif char in " \t":
            if name:
                yield name
            name = ""
        else:
            name += char
        position += 1
    if name:
        yield name
