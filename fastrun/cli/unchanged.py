"""The answer of ``--update`` where nothing changed since it found nothing to do.

A run that finds every task up to date by files alone leaves beside its journal what it looked at and what it printed.
While all of that is as it was, the next run would come to the same end, and what it would print is printed at once: the
document is not parsed, and neither the journal nor most of this package is loaded. Decides nothing else: whatever is
different or unusual is left to a run.
"""

import argparse
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import orjson

from fastrun import __version__
from fastrun.cli.options import is_watched
from fastrun.cli.say import has_said, put
from fastrun.collector import collector_off
from fastrun.settings import JOURNALS

if TYPE_CHECKING:
    from fastrun.api import Setup
    from fastrun.observers.terminal.console import Console
    from fastrun.outcome import Report

# What stands between the counts of a report and its seconds.
_IN = " in "

# Options with which a run does more than look at files, or says more than its report.
_UNUSUAL = ("cluster", "jobserver", "load", "min_memory", "shuffle")


class Memory:
    """What is kept from a run for the next one. Made before the document is read."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._began = time.monotonic()
        self._options = options
        self._path = f"{os.path.splitext(options.journal)[0]}.unchanged"
        self._state = _state(options)

    def answer(self) -> int | None:
        """Print what the last run printed if nothing changed since. Return the exit code, None if a run has to tell."""
        if self._state is None:
            return None
        try:
            with open(self._path, "rb") as file:
                digest, data = file.read(32), file.read()
            if digest != _digest(data):
                return None
            kept = orjson.loads(data)
            if kept["key"] != self._state.key or kept["journal"] != _looks(self._options.journal):
                return None
            for path, looks in kept["files"].items():
                if looks != _looks(path):
                    return None
        except (OSError, ValueError):
            return None
        return put([kept["text"], f"{time.monotonic() - self._began:.2f} s\n"])

    def keep(self, setup: "Setup", console: "Console", report: "Report") -> None:
        """Keep what a run has looked at and printed, if the next one may do without. Never raises an OSError."""
        state = self._state
        if state is None or report.reused < len(report) or report.exit_code or console.has_said_more or has_said():
            return
        # TypeError: a path that is no text.
        with suppress(OSError, TypeError), collector_off():
            files = _files(setup)
            # The document may have been edited after it was read.
            journal = None if setup.journal is None else setup.journal.closed
            if files is None or journal is None or _state(self._options) != state:
                return
            text, _in, _seconds = "\n".join(console.report_lines(report)).rpartition(_IN)
            kept = {"key": state.key, "journal": _looks_of(journal), "files": files, "text": text + _IN}
            data = orjson.dumps(kept)
            beside = f"{self._path}.being-written"
            try:
                with open(beside, "wb", opener=_private) as file:
                    file.write(_digest(data) + data)
                os.replace(beside, self._path)
            except OSError:
                os.unlink(beside)


class _State(NamedTuple):
    """All that what a run does depends on, but for the files that tasks name.

    ``key``: a digest of it. ``looks``: of the document.
    """

    key: str
    looks: list[int]


def _files(setup: "Setup") -> Mapping[str, list[int]] | None:
    """Return how each file looked on which it depends that all tasks are up to date, None if there is more to that."""
    from fastrun.uptodate.declared import is_pattern

    decisions, tasks = setup.decisions, setup.graph.tasks
    if decisions is None or any(task.script is not None for task in tasks):
        return None
    if is_pattern("\n".join(path for task in tasks for path in chain(task.inputs, task.outputs))):
        return None
    examiner = decisions.examiner
    numbers: set[int] = set()
    for task in tasks:
        facts = examiner.facts(task.name)
        if facts is None:
            return None
        numbers.update(facts.inputs, facts.found, facts.outputs)
    files: dict[str, list[int]] = {}
    for path, digest in examiner.versions.of(numbers):
        looks = examiner.contents.looks(path, digest)
        if looks is None:
            # A folder, a link that leads nowhere, or a file that changed too shortly before it was read.
            return None
        files[path] = looks
    return files


def _is_usual(options: argparse.Namespace) -> bool:
    """Return whether the journal is named like that of a document where none is named, and nothing else is asked for.

    A journal without the suffix could itself have the name of what is kept.
    """
    if not options.update or options.file == "-" or is_watched(options):
        return False
    folder, name = os.path.split(options.journal)
    if os.path.basename(folder) != JOURNALS or not name.endswith(".journal"):
        return False
    return all(getattr(options, name) is None for name in _UNUSUAL)


def _state(options: argparse.Namespace) -> _State | None:
    """Return what a run depends on, None if it does more than look at files, or that cannot be known."""
    if not _is_usual(options):
        return None
    terminals = os.isatty(1), os.isatty(2)
    try:
        given = __version__, os.getcwd(), sorted(vars(options).items()), terminals, sorted(os.environ.items())
        found = os.stat(options.file)
        if not stat.S_ISREG(found.st_mode):
            # The run could not read a pipe once more.
            return None
        with open(options.file, "rb") as file:
            document = file.read()
    except OSError:
        return None
    return _State(blake2b(ascii(given).encode() + document, digest_size=16).hexdigest(), _looks_of(found))


def _looks(path: str) -> list[int]:
    return _looks_of(os.stat(path))


def _looks_of(found: os.stat_result) -> list[int]:
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).hexdigest().encode()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
