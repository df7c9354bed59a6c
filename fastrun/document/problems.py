"""A problem of a document: a location in it and a sentence. Does not know what is checked."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fastrun.text import printable

if TYPE_CHECKING:
    from fastrun.document.lines import LineLocations
    from fastrun.document.locations import Locations

# Most problems that are shown: as many as fit on a screen. A broken generator makes one per task.
PROBLEMS_SHOWN = 20


class Problem(NamedTuple):
    """Something wrong with a document.

    ``path``: keys and positions from the top of the document to the value, ``("tasks", 3, "name")``.
    ``message``: what is wrong with it.
    ``at_key``: whether the last key itself is wrong, not its value.
    ``other``: the path of a second value that belongs to the message, or None.
    """

    path: tuple[str | int, ...]
    message: str
    at_key: bool = False
    other: tuple[str | int, ...] | None = None


def utf8_fault(error: UnicodeDecodeError) -> tuple[int, int, str]:
    """Return the line and the column, in characters, at which a text is not UTF-8, and what is there."""
    before = error.object[: error.start]
    column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
    return before.count(b"\n") + 1, column, f"not UTF-8: byte 0x{error.object[error.start]:02x}"


def unknown_pool(pool: str) -> str:
    """Return what is wrong with a pool that a task or a default names and the document does not have."""
    return f'unknown pool "{printable(pool)}": it is not in the document\'s "pools"'


class SpecError(ValueError):
    """A document cannot be run. Nothing was started.

    ``lines``: the first 20 problems, each ``FILE:LINE:COLUMN: what is wrong``; ``FILE: $.path: ...`` for a
    document that came as an object. ``more``: the number of further problems.
    """

    def __init__(self, lines: Sequence[str], more: int = 0) -> None:
        self.lines = list(lines)
        self.more = more
        super().__init__("\n".join([*self.lines, f"... and {more} more"] if more else self.lines))


class Source(NamedTuple):
    """Where a document came from: its name, and its text if it had one.

    ``lines``: whether the text has a command in each line, and is no JSON.
    """

    name: str
    data: bytes | None = None
    lines: bool = False

    def locations(self) -> "Locations | LineLocations":
        """Return what finds the lines and columns of its tasks."""
        if self.lines and self.data is not None:
            from fastrun.document.lines import LineLocations

            return LineLocations(self.name, self.data)
        from fastrun.document.locations import Locations

        return Locations(self.name, self.data)

    def error(self, problems: Iterable[Problem]) -> SpecError:
        """Return problems as an exception that says where each of them is, in the order of the document."""
        return SpecError(*_describe(self, list(problems)))


def _describe(source: Source, problems: list[Problem]) -> tuple[list[str], int]:
    """Return the first problems, a line each, and the number of further ones."""
    # Problems of the document itself come first.
    problems.sort(key=lambda problem: problem.path[1] if len(problem.path) > 1 and problem.path[0] == "tasks" else -1)
    locations = source.locations()
    shown = []
    for problem in problems[:PROBLEMS_SHOWN]:
        message = problem.message
        if problem.other is not None:
            message += f" (first at {locations.show(problem.other)})"
        location = locations.find(problem.path, at_key=problem.at_key)
        shown.append((location, f"{locations.show(problem.path, at_key=problem.at_key)}: {message}"))
    shown.sort(key=lambda row: row[0])
    return [line for _, line in shown], len(problems) - len(shown)
