"""How what a task printed is shown within lines of fastrun's own, and in its reports.

Knows lines and what acts on a terminal.
"""

import re

from fastrun.document.parse import printable

# Lines that are shown of a task.
_LINES = 20

# Colours, cursor movements and titles (ECMA-48: control sequences and strings): of no use when they are escaped.
_CONTROLS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P^_].*?(?:\x07|\x1b\\|$)|[ -/]*[0-~])")


def tail_lines(tail: bytes, most: int = _LINES) -> list[str]:
    """The last lines of what was printed, as they may be shown: without colours, one line each, cut."""
    # A line feed alone ends a line here.
    lines = tail.removesuffix(b"\n").split(b"\n")[-most:] if tail else []
    return [shown_line(line) for line in lines]


def shown_line(line: bytes) -> str:
    """A line that a task printed as it may be shown beside others on a terminal, cut where it is too wide."""
    text = seen(line.decode("utf-8", "backslashreplace"))
    return printable(_CONTROLS.sub("", text).expandtabs())


def shown(line: str) -> str:
    """A line, whole: what acts on a terminal, or turns the direction of text, is taken out or escaped."""
    if line.isprintable():
        return line
    line = _CONTROLS.sub("", line)
    return "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in line)


def seen(line: str) -> str:
    """What is left of a line on a terminal that was written over itself, as bars of progress are."""
    return line.rstrip("\r").rpartition("\r")[2]
