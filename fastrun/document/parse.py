"""The first, fast reading of a document: from bytes to validated tasks.

Knows JSON and the schema. Does not know what names refer to, nor how a task is run. If anything has to be said about
the document, ``check`` reads it again.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import orjson

from fastrun.document.defaults import WORDS, Rest, are_defaults, rests, with_defaults, with_where
from fastrun.document.lines import commands
from fastrun.document.problems import Problem, Source, SpecError, utf8_fault
from fastrun.document.script import script_fault
from fastrun.document.task import (
    DEFAULTS,
    TOP_KEYS,
    Document,
    Task,
    are_pools,
    completed,
    has_nul,
    is_special,
    settings_in,
)
from fastrun.document.validator import KEYS, PLAIN_KEYS, Invalid, validate, validate_plain
from fastrun.text import printable

_BOM = b"\xef\xbb\xbf"

# Bytes of a document that are parsed at once. The objects of a piece become tasks, and their memory is free again,
# before the next piece is parsed. A document of 110 MB takes 680 MB to load in pieces and 1,120 MB as a whole; pieces
# take three quarters of the time.
_PIECE = 1 << 16

# Most characters of a command that are part of its task's name, where lines are read.
_BEGINNING = 40

# All before the first task, and all between two tasks. A space matches any of JSON's white space. The values before the
# first task may hold others, and those may hold others once more: so deep are ``defaults``.
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_FLAT = rb'(?:[^"\[\]{}]++|%b)*+' % _STRING
_NESTED = rb"[\[{]%b(?:[\[{]%b[\]}]%b)*+[\]}]" % (_FLAT, _FLAT, _FLAT)
_MEMBER = rb'(?!"tasks")%b *: *(?:%b|%b|[^"\[\]{},]++) *, *' % (_STRING, _STRING, _NESTED)
_HEAD = (rb' *\{ *(?:%b)*+"tasks" *: *\[' % _MEMBER).replace(b" ", rb"[ \t\r\n]")
_BETWEEN = rb"\} *, *(?=\{)".replace(b" ", rb"[ \t\r\n]")


def parse(data: bytes, name: str, piece: int = _PIECE) -> Document:
    """Read a document from JSON text in UTF-8, with or without a byte order mark.

    ``name``: of the document, for messages. ``piece``: the fewest bytes that are parsed at once. Raises SpecError if
    the text is not JSON. Other problems are in the result.
    """
    data = data.removeprefix(_BOM)
    source = Source(name, data)
    loading = _Loading()
    try:
        good = all(map(loading.add, _pieces(data, piece))) and loading.has_scripts()
    except orjson.JSONDecodeError:
        good = False
    if good:
        return loading.document(source)
    del loading
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        from fastrun.document.check import json_error

        raise SpecError([json_error(source, error)]) from None
    return _read(raw, source)


def parse_lines(data: bytes, name: str) -> Document:
    """Read a document from a text in UTF-8 that has a command in each line, and no dependencies.

    A task is named by the number of its line and the beginning of its command. ``name``: of the document, for messages.
    Raises SpecError if the text is not UTF-8. Other problems are in the result.
    """
    source = Source(name, data, lines=True)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line, column, message = utf8_fault(error)
        raise SpecError([f"{printable(name)}:{line}:{column}: {message}"]) from None
    make = tuple.__new__
    tasks: list[Task] = []
    for number, command in commands(text):
        beginning = " ".join(command.split())
        if len(beginning) > _BEGINNING:
            beginning = f"{beginning[: _BEGINNING - 1]}…"
        tasks.append(make(Task, (f"{number} {beginning}", "exec", command, (), *DEFAULTS)))
    problems = [
        Problem(("tasks", position), "the command must not contain NUL: the shell stops there")
        for position, task in enumerate(tasks if "\0" in text else ())
        if "\0" in task.source
    ]
    return Document(source, tasks, range(len(tasks)), problems, [], {}, [], {})


def read(raw: Any, name: str) -> Document:
    """Read a document that came as an object, without changing it. Problems are in the result."""
    return _read(raw, Source(name))


def _read(raw: Any, source: Source) -> Document:
    loading = _Loading()
    if loading.add(raw) and loading.has_scripts():
        return loading.document(source)
    from fastrun.document.check import read_bad

    return read_bad(raw, source)


def _pieces(data: bytes, size: int) -> Iterator[Any]:
    """Yield a document in parts, each parsed from ``size`` bytes and a few more: objects with some of its tasks.

    Yields None for a document that is written in an unusual way. Raises JSONDecodeError if the text is not JSON, and
    for some that are written in an unusual way.

    A cut may go through a string that looks like what is between two tasks. Then the piece is not JSON and a longer one
    is tried. A piece that is JSON between brackets was cut at a comma between two tasks of the whole: what a parser
    makes of the rest depends on nothing else before it.
    """
    if len(data) <= size:
        yield orjson.loads(data)
        return
    head = re.match(_HEAD, data)
    end = data.rfind(b"]")
    if head is None or end < head.end():
        yield None
        return
    # The document without its tasks.
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
    """Makes tasks of what was parsed, as long as nothing has to be said about it."""

    def __init__(self) -> None:
        self._tasks: list[Task] = []
        self._pools: Mapping[str, int] = {}
        self._settings: Mapping[str, float | str] = {}
        self._defaults: Mapping[str, Any] = {}
        self._rests = rests({})
        self._special: list[int] = []

    def document(self, source: Source) -> Document:
        """Return the document of all tasks that were added."""
        positions = range(len(self._tasks))
        return Document(source, self._tasks, positions, [], [], self._pools, self._special, self._settings)

    def has_scripts(self) -> bool:
        """Return whether all scripts that tasks name can be read."""
        named = {self._tasks[number].script for number in self._special}
        return not any(script_fault(script) for script in named if script is not None)

    def add(self, raw: Any) -> bool:
        """Add a document, or a part of one. Return False at the first thing that has to be said about it."""
        if not self._is_good_top(raw):
            return False
        tasks, rests, special = self._tasks, self._rests, self._special
        items = raw["tasks"]
        if self._defaults.get("where") == "process":
            items = map(partial(with_where, defaults=self._defaults), items)
        # Equal types and commands of neighbours share one text.
        shared: dict[Any, Any] = {}
        share = shared.setdefault
        make = tuple.__new__
        try:
            for item in items:
                full, rest = item, None
                if item.keys() <= PLAIN_KEYS:
                    validate_plain(item)
                else:
                    validate(item)
                    full, rest = self._with_more_keys(item)
                kind, arguments = full["type"], full["arguments"]
                if "\0" in arguments and has_nul(full):
                    return False
                type_ = kind
                if not isinstance(arguments, str):
                    # The one rule of the schema that is not in the validator.
                    if type_ != "exec":
                        return False
                    kind, arguments = WORDS, tuple(arguments)
                more, is_special_ = rest or rests[kind]
                if is_special_:
                    special.append(len(tasks))
                # The same as task_from_dict, in a third of its time.
                fields = (item["name"], share(type_, type_), share(arguments, arguments), item.get("dependencies", ()))
                tasks.append(make(Task, fields + more))
        except (Invalid, AttributeError):
            # AttributeError: an item is no object.
            return False
        return True

    def _with_more_keys(self, item: dict[str, Any]) -> tuple[dict[str, Any], Rest]:
        """Return an object that has not only the usual keys, completed, and what the task has of the others.

        Raises Invalid for keys that are unknown.
        """
        if not item.keys() <= KEYS:
            raise Invalid
        full = completed(with_defaults(item, self._defaults) if self._defaults else item)
        return full, (tuple(map(full.get, Task._fields[4:], DEFAULTS)), is_special(full))

    def _is_good_top(self, raw: Any) -> bool:
        if not (isinstance(raw, dict) and raw.keys() <= TOP_KEYS and isinstance(raw.get("tasks"), list)):
            return False
        if "pools" in raw:
            self._pools = raw["pools"]
            if not are_pools(self._pools):
                return False
        settings = settings_in(raw)
        if settings is None:
            return False
        self._settings = self._settings or settings
        if "defaults" in raw:
            self._defaults = raw["defaults"]
            if not are_defaults(self._defaults, self._pools):
                return False
            self._rests = rests(self._defaults)
        return True
