"""Texts that have a command in each line: which lines those are, and where a task is.

Knows the text. Does not know what becomes of a command.
"""

from collections.abc import Iterator

from fastrun.text import printable

_BOM = "\ufeff"


def commands(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number and the command of each line that is neither empty nor a comment."""
    for number, line in enumerate(text.removeprefix(_BOM).split("\n"), 1):
        # A line of a DOS file has one more character at its end, which a shell would take for a part of the last word.
        command = line.removesuffix("\r")
        if (bare := command.lstrip()) and not bare.startswith("#"):
            yield number, command


class LineLocations:
    """The lines of tasks. As ``Locations``, for a text that has a command in each line."""

    def __init__(self, name: str, data: bytes) -> None:
        """``name``: of the document. ``data``: its text."""
        self._name = printable(name)
        self._numbers = [number for number, _ in commands(data.decode())]

    def show(self, path: tuple[str | int, ...], *, at_key: bool = False) -> str:
        """Return ``FILE:LINE:COLUMN`` of the task that a path leads to."""
        line, column = self.find(path, at_key=at_key)
        return f"{self._name}:{line}:{column}"

    def find(self, path: tuple[str | int, ...], *, at_key: bool = False) -> tuple[int, int]:  # noqa: ARG002
        """Return the line and the column of the task that a path leads to. There are no keys."""
        return self._numbers[int(path[1])], 1
