"""Text from documents and tasks as it may be shown: one line, nothing that acts on a terminal."""

import re
from collections.abc import Sequence

# A longer name would push everything else off the line it is printed on.
COLUMNS_SHOWN = 200

# What begins a command of GitHub Actions, Azure Pipelines and TeamCity.
_CI_COMMAND = re.compile(r"##(?=\w*\[)")

# Lines that are shown of a task.
_LINES = 20

# Colours, cursor movements and titles (ECMA-48: control sequences and strings): of no use when they are escaped.
_CONTROLS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P^_].*?(?:\x07|\x1b\\|$)|[ -/]*[0-~])")


# A key or a name this similar (difflib's ratio) is taken for a slip of the keyboard.
SIMILAR = 0.75

# Comparing a name with more than these takes longer than anyone waits for an error.
_CANDIDATES = 5_000


def printable(text: str, columns: int = COLUMNS_SHOWN) -> str:
    """Text on one line that cannot act on a terminal or pass for another line, at most ``columns`` wide.

    Control, bidirectional, separator and other characters that Unicode calls not printable are escaped
    as Python's ``repr`` escapes them; a longer text is cut and ends in ``…``. So is what CI systems take for a command
    anywhere in a line: ``##[error]``, ``##vso[...]``.
    """
    if text.isprintable() and len(text) <= columns // 2 and "##" not in text:
        return text
    text = _CI_COMMAND.sub(r"#\\x23", text)
    # No character is narrower than a column here, so none behind these can be shown.
    shown = [c if c.isprintable() else repr(c)[1:-1] for c in text[: columns + 1]]
    width = 0
    fitting = 0
    for number, piece in enumerate(shown, 1):
        # The wide characters, of two columns each, all lie above U+1100.
        width += len(piece) if piece < "\u1100" else 2
        if width < columns:
            fitting = number
        elif width > columns:
            return "".join([*shown[:fitting], "…"])
    return "".join(shown)


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


def nearest(name: str, names: Sequence[str]) -> str | None:
    """Return the name that was probably meant, or None."""
    from difflib import get_close_matches  # 6 ms

    if len(names) > _CANDIDATES:
        # What is mistyped has nearly the same length and begins or ends alike.
        names = [
            other
            for other in names
            if abs(len(other) - len(name)) <= 1 and (other[:3] == name[:3] or other[-3:] == name[-3:])
        ][:_CANDIDATES]
    if len(name) > 1_000:
        return None
    near = get_close_matches(name, names, 1, SIMILAR)
    return near[0] if near else None


def no_such(what: str, name: str, names: Sequence[str]) -> str:
    """What to say of a name that no ``what`` has."""
    near = nearest(name, names)
    meant = f'; did you mean "{printable(near)}"?' if near is not None else ""
    return f'there is no {what} "{printable(name)}"{meant}'
