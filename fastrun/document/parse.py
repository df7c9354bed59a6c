"""Bytes to validated tasks.

Knows JSON and the schema. Does not know what names refer to, nor how a task is run. What is wrong with a document is
worked out in ``check``, which is imported only once something is.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from fastrun.document.problems import Source, SpecError
from fastrun.document.task import (
    DEFAULTS,
    ORDINARY_KEYS,
    PLAIN_KEYS,
    TOP_KEYS,
    Document,
    Task,
    are_pools,
    has_nul,
    with_numbers,
)
from fastrun.document.validator import KEYS, Invalid, validate

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
        from fastrun.document.check import json_error

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
                if keys <= PLAIN_KEYS:
                    rest = DEFAULTS
                elif keys <= KEYS:
                    if not keys <= ORDINARY_KEYS:
                        self._special.append(len(tasks))
                    rest = tuple(map(with_numbers(item).get, Task._fields[4:], DEFAULTS))
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


def _read_bad(raw: Any, source: Source) -> Document:
    from fastrun.document.check import read_bad

    return read_bad(raw, source)
