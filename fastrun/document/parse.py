"""Bytes to validated tasks.

Knows JSON, the schema and where a document came from. Does not know what names refer to (that is the
graph's), nor how a task is run. What a wrong document deserves, a place and a sentence, is worked out in
``explain``, which is imported only once something is wrong.
"""

import gc
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import orjson

from fastrun.document.validator import KEYS, Invalid, validate

SCHEMA_PATH = os.path.join(os.path.dirname(__file__), "schema.json")
EVENTS_SCHEMA_PATH = os.path.join(os.path.dirname(SCHEMA_PATH), "../observers/files/events.schema.json")

# As many problems as fit on a screen; a broken generator makes one per task.
PROBLEMS_SHOWN = 20

# A longer name would push everything else off the line it is printed on.
COLUMNS_SHOWN = 200

# What begins a command of GitHub Actions, Azure Pipelines and TeamCity.
_CI_COMMAND = re.compile(r"##(?=\w*\[)")

_BOM = b"\xef\xbb\xbf"

# Bytes of a document that are parsed at once. The objects of a piece have become tasks, and their memory is free
# again, before the next is parsed: loading a document of 110 MB takes 680 MB so, 1,120 as a whole, and three
# quarters of the time.
_PIECE = 1 << 16

# All before the first task, and what stands between two of them; a space stands for any of JSON's.
_HEAD = rb' *\{ *(?:"\$schema" *: *"[^"\\]*" *, *)?(?:"pools" *: *\{[^{}]*\} *, *)?"tasks" *: *\['.replace(
    b" ", rb"[ \t\r\n]"
)
_BETWEEN = rb"\} *, *(?=\{)".replace(b" ", rb"[ \t\r\n]")


class Task(NamedTuple):
    """One task of a document.

    ``name``: unique in the document, any text.
    ``type``: ``"exec"`` or ``"eval"``.
    ``arguments``: the shell command or the Python source.
    ``dependencies``: names of the tasks that must be ok before this one starts.
    ``cwd``: exec only, a path relative to the run's own working directory, or None for that directory.
    ``env``: exec only, variables added to the run's environment, or None.
    ``timeout``: seconds after which it is ended and has failed, or None.
    ``detach``: exec only, whether processes that it leaves behind may live on.
    ``retries``: how many times it is tried again when it has failed.
    ``retry_delay``: seconds before the second attempt, twice as many before each further one.
    ``when``: ``"ok"``: it runs if all dependencies are ok; ``"failed"``: if all have ended and one of them is not;
    ``"always"``: if all have ended.
    ``allow_failure``: whether its failure counts neither for those that depend on it nor for the run.
    ``pool``: the name of a limit of the document that it counts against, or None.
    ``description``: for people, or None. ``tags``: words to select it by.
    ``where``: ``"cluster"`` or ``"local"``, where it runs if there is a cluster; None for what its type says.
    ``resources``: names and amounts that its worker must have free, or None.
    """

    name: str
    type: str
    arguments: str
    dependencies: Sequence[str] = ()
    cwd: str | None = None
    env: Mapping[str, str] | None = None
    timeout: float | None = None
    detach: bool = False
    retries: int = 0
    retry_delay: float = 1.0
    when: str = "ok"
    allow_failure: bool = False
    pool: str | None = None
    description: str | None = None
    tags: Sequence[str] = ()
    where: str | None = None
    resources: Mapping[str, float] | None = None

    @property
    def label(self) -> str:
        """The name as it may be shown: one line, nothing that acts on a terminal, at most 200 columns."""
        return printable(self.name)


# The keys of a document.
TOP_KEYS = frozenset(["$schema", "pools", "tasks"])

# The keys that most tasks have, the values of all others where they are missing, and those that say nothing of how
# others run nor of how often the task does.
_PLAIN = frozenset(Task._fields[:4])
_DEFAULTS = tuple(Task._field_defaults[key] for key in Task._fields[4:])
_ORDINARY = _PLAIN | {"cwd", "env", "timeout", "detach", "description", "tags", "where", "resources"}


class Problem(NamedTuple):
    """Something wrong with a document.

    ``path``: keys and positions from the top of the document to the value, ``("tasks", 3, "name")``.
    ``message``: what is wrong with it.
    ``at_key``: the place is the last key itself, not its value.
    ``other``: the path of a second place that belongs to the message, or None.
    """

    path: tuple[str | int, ...]
    message: str
    at_key: bool = False
    other: tuple[str | int, ...] | None = None


class SpecError(ValueError):
    """A document that cannot be run. Nothing was started.

    ``lines``: the first 20 problems, each ``FILE:LINE:COLUMN: what is wrong``; ``FILE: $.path: ...`` for a
    document that came as an object. ``more``: how many problems there are beyond those.
    """

    def __init__(self, lines: Sequence[str], more: int = 0) -> None:
        self.lines = list(lines)
        self.more = more
        super().__init__("\n".join([*self.lines, f"... and {more} more"] if more else self.lines))


class Source(NamedTuple):
    """Where a document came from: the name to print, and its text where it had one."""

    name: str
    data: bytes | None = None

    def error(self, problems: Iterable[Problem]) -> SpecError:
        """Problems as an exception that says where each of them is, in the order of the document."""
        from fastrun.document.problems import describe

        return SpecError(*describe(self, list(problems)))


class Document(NamedTuple):
    """A document as read.

    ``tasks``: in the order of the document. Where ``problems`` is not empty, tasks without a usable name
    are missing from it, and what was wrong in others is left out of them.
    ``positions``: the position of each task in the document.
    ``problems``: what the schema and the keys' names say against it. ``graph.build`` raises them together
    with its own.
    ``warnings``: lines about keys that are ignored.
    ``pools``: how many tasks of each pool may run at once.
    ``special``: the places in ``tasks`` of those with keys that bear on how others run or how often they do themselves.
    """

    source: Source
    tasks: list[Task]
    positions: Sequence[int]
    problems: list[Problem]
    warnings: list[str]
    pools: Mapping[str, int]
    special: Sequence[int]


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


@contextmanager
def collector_off() -> Iterator[None]:
    """Keep the cyclic collector from walking millions of new, acyclic objects again and again.

    Loading a million tasks takes 1.2 s so, 5.8 s with the collector on.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def parse(data: bytes, name: str, piece: int = _PIECE) -> Document:
    """Read a document from JSON text in UTF-8, with or without a byte order mark.

    ``piece``: how many bytes are parsed at once, at least. Raises SpecError when it is no JSON. Other problems
    are in the result.
    """
    data = data.removeprefix(_BOM)
    source = Source(name, data)
    loading = _Loading()
    try:
        good = all(map(loading.add, _pieces(data, piece)))
    except orjson.JSONDecodeError:
        good = False
    if good:
        return loading.document(source)
    del loading
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        from fastrun.document.problems import json_error

        raise SpecError([json_error(source, error)]) from None
    return _read_bad(raw, source)


def read(raw: Any, name: str) -> Document:
    """Read a document that came as an object. It is not changed."""
    source = Source(name)
    loading = _Loading()
    if loading.add(raw):
        return loading.document(source)
    return _read_bad(raw, source)


def _pieces(data: bytes, size: int) -> Iterator[Any]:
    """Parse a document, ``size`` bytes and a few more at a time: objects that are each a document of some of its tasks.

    Yields None for one that is written in an unusual way. Raises JSONDecodeError for one that is no JSON.

    A cut may go through a text that looks like the place between two tasks. Then the piece is no JSON and a longer one
    is tried. A piece that is JSON between brackets was cut where the whole has a comma between two tasks: what
    a parser makes of the rest depends on nothing else before it.
    """
    if len(data) <= size:
        yield orjson.loads(data)
        return
    head = re.match(_HEAD, data)
    end = data.rfind(b"]")
    if head is None or end < head.end():
        yield None
        return
    # All but its tasks.
    yield orjson.loads(data[: head.end()] + data[end:])
    start = head.end()
    between = re.compile(_BETWEEN)
    while start < end:
        length = size
        items = None
        while items is None:
            found = between.search(data, start + length, end)
            stop, following = (found.start() + 1, found.end()) if found else (end, end)
            try:
                items = orjson.loads(b"[%b]" % data[start:stop])
            except orjson.JSONDecodeError:
                if found is None:
                    raise
                length *= 2
        yield {"tasks": items}
        start = following


class _Loading:
    """Makes tasks of what was parsed, as long as there is nothing to be said about it."""

    def __init__(self) -> None:
        self._tasks: list[Task] = []
        self._pools: Mapping[str, int] = {}
        self._special: list[int] = []

    def document(self, source: Source) -> Document:
        return Document(source, self._tasks, range(len(self._tasks)), [], [], self._pools, self._special)

    def add(self, raw: Any) -> bool:
        """Take in a document, or a part of one. Returns False at the first thing that must be said about it."""
        if not (isinstance(raw, dict) and raw.keys() <= TOP_KEYS and isinstance(raw.get("tasks"), list)):
            return False
        if "pools" in raw:
            self._pools = raw["pools"]
            if not are_pools(self._pools):
                return False
        tasks = self._tasks
        # Equal types and commands of neighbours share one text.
        shared: dict[str, str] = {}
        share = shared.setdefault
        make = tuple.__new__
        try:
            for item in raw["tasks"]:
                validate(item)
                keys = item.keys()
                if keys <= _PLAIN:
                    rest = _DEFAULTS
                elif keys <= KEYS:
                    if not keys <= _ORDINARY:
                        self._special.append(len(tasks))
                    rest = tuple(map(_with_numbers(item).get, Task._fields[4:], _DEFAULTS))
                else:
                    return False
                if has_nul(item):
                    return False
                type_, arguments = item["type"], item["arguments"]
                # As task_from_dict, in a third of its time.
                fields = (item["name"], share(type_, type_), share(arguments, arguments), item.get("dependencies", ()))
                tasks.append(make(Task, fields + rest))
        except Invalid:
            return False
        return True


def are_pools(raw: Any) -> bool:
    """Whether an object is what the schema says of ``pools``."""
    return isinstance(raw, dict) and all(
        isinstance(number, int | float) and number is not True and number >= 1 and number == int(number)
        for number in raw.values()
    )


def _read_bad(raw: Any, source: Source) -> Document:
    from fastrun.document.problems import read_bad

    return read_bad(raw, source)


def has_nul(item: dict[str, Any]) -> bool:
    """Whether a validated object is a command with a NUL, of which a shell would run the part before it."""
    return "\0" in item["arguments"] and item["type"] == "exec"


def task_from_dict(item: dict[str, Any]) -> Task:
    """Make a task of a validated object."""
    return Task(**{key: value for key, value in _with_numbers(item).items() if key in Task._fields})


def _with_numbers(item: dict[str, Any]) -> dict[str, Any]:
    """The same object with whole numbers as such: 2.0 is one as well, as JSON Schema has it."""
    retries = item.get("retries", 0)
    return item if type(retries) is int else {**item, "retries": int(retries)}


def is_special(item: dict[str, Any]) -> bool:
    """Whether a validated object says something that bears on how others run, or how often it does itself."""
    return not item.keys() & KEYS <= _ORDINARY
