"""How the end of what a task printed is shown within lines of fastrun's own.

Knows bytes and what acts on a terminal.
"""

import re

from fastrun.spec import printable

# Lines that are shown of a task.
_LINES = 20

# Colours, cursor movements and titles (ECMA-48: control sequences and strings): of no use when they are escaped.
_CONTROLS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P^_].*?(?:\x07|\x1b\\|$)|[ -/]*[0-~])")


def tail_lines(tail: bytes, most: int = _LINES) -> list[str]:
    """The last lines of what was printed, as they may be shown: without colours, one line each, cut."""
    # A line feed alone ends a line here; of what was written over itself, as bars of progress are, the end counts.
    lines = tail.removesuffix(b"\n").split(b"\n")[-most:] if tail else []
    return [shown_line(line) for line in lines]


def shown_line(line: bytes) -> str:
    """A line that a task printed as it may be shown."""
    text = line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "backslashreplace")
    return printable(_CONTROLS.sub("", text).expandtabs())
