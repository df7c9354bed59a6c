"""Text from documents and tasks, made safe to show: one line, with nothing that acts on a terminal."""

import re
from collections.abc import Sequence

# Most columns of a name: a longer name would push everything else off its line.
COLUMNS_SHOWN = 200

# The beginning of a command of GitHub Actions, Azure Pipelines and TeamCity. Patterns are compiled when they are first
# used: most runs use none of them.
_CI_COMMAND = r"##(?=\w*\[)"

# Colours, cursor movements and titles (ECMA-48: control sequences and strings). Escaped they would say nothing.
_CONTROLS = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P^_].*?(?:\x07|\x1b\\|$)|[ -/]*[0-~])"

# All characters that are two columns wide lie above this one.
_WIDE = "\u1100"

# Least similarity (difflib's ratio) at which a key or a name is taken for a misspelt one.
SIMILAR = 0.75

# Most names that a name is compared with: with more, the error would come too late.
_CANDIDATES = 5_000


def printable(text: str, columns: int = COLUMNS_SHOWN) -> str:
    """Return text on one line that cannot act on a terminal or pass for another line, at most ``columns`` wide.

    Control, bidirectional, separator and other characters that Unicode calls not printable are escaped
    as Python's ``repr`` escapes them. What CI systems take for a command anywhere in a line is escaped too:
    ``##[error]``, ``##vso[...]``. A longer text is cut and ends in ``…``.
    """
    if text.isprintable() and len(text) <= columns // 2 and "##" not in text:
        return text
    text = re.sub(_CI_COMMAND, r"#\\x23", text)
    # No character is narrower than a column here, so no character behind these can be shown.
    shown = [c if c.isprintable() else repr(c)[1:-1] for c in text[: columns + 1]]
    width = 0
    fitting = 0
    for number, piece in enumerate(shown, 1):
        width += len(piece) if piece < _WIDE else 2
        if width < columns:
            fitting = number
        elif width > columns:
            return "".join([*shown[:fitting], "…"])
    return "".join(shown)


def all_printable(texts: Sequence[str]) -> bool:
    """Return whether ``printable`` leaves each of many texts as it is. May return False for some of which that is true.

    Takes a fifth of the time that ``printable`` takes for them.
    """
    joined = "".join(texts)
    return joined.isprintable() and "##" not in joined and max(map(len, texts), default=0) <= COLUMNS_SHOWN // 2


def columns(text: str) -> int:
    """Return how many columns of a terminal a printable text takes, at the most."""
    return len(text) if text.isascii() else len(text) + sum(character >= _WIDE for character in text)


def shown_line(line: bytes) -> str:
    """Return a line that a task printed, safe for a terminal: without colours, cut if it is too wide."""
    text = seen(line.decode("utf-8", "backslashreplace"))
    return printable(re.sub(_CONTROLS, "", text).expandtabs())


def shown(line: str) -> str:
    """Return a whole line without what acts on a terminal or turns the direction of text, or with it escaped."""
    if line.isprintable():
        return line
    line = re.sub(_CONTROLS, "", line)
    return "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in line)


def seen(line: str) -> str:
    """Return what a terminal shows at last of a line that was written over itself, as progress bars are."""
    return line.rstrip("\r").rpartition("\r")[2]


def nearest(name: str, names: Sequence[str]) -> str | None:
    """Return the name that was probably meant, or None."""
    from difflib import get_close_matches  # 6 ms

    if len(names) > _CANDIDATES:
        # A misspelt name has nearly the same length as the right one and begins or ends alike.
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
    """Return the message for a name that no ``what`` has, with the nearest name that exists, or where all are."""
    return f'there is no {what} "{printable(name)}"{meant(name, names) or way_to_all(what)}'


def way_to_all(what: str) -> str:
    """Return the end of a message about a name that no ``what``, a task or a tag, has."""
    return f"; fastrun --list shows all {what}s"


def meant(name: str, names: Sequence[str]) -> str:
    """Return the end of a message about a name that is unknown: the nearest that exists, or nothing."""
    near = nearest(name, names)
    return "" if near is None else f'; did you mean "{printable(near)}"?'
