"""A journal written anew: what later runs need of it, without its history.

Knows records and what they say. Does not know files.
"""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from fastrun import __version__
from fastrun.journal.recorded import Recorded, RunRecord, Unfinished
from fastrun.journal.records import AT_ONCE, FORMAT, done_record, encode, seen_records, start_record

# Fewest records of a journal, or files in its ``seen``, that are worth writing it anew.
_FEWEST = 500


def is_mostly_history(recorded: Recorded) -> bool:
    """Return whether at least half of a journal, and some hundred records, says nothing to later runs."""
    if recorded.looks >= _FEWEST and recorded.looks > 2 * len(recorded.seen):
        return True
    return recorded.records >= _FEWEST and recorded.records > 2 * len({*_names(recorded), *recorded.unfinished})


def compact(recorded: Recorded) -> bytes:
    """Return the text of a journal that says what this one says to later runs.

    Of the earlier runs only those are left that a start without an end refers to, of the versions of files those that
    a success refers to, and of the looks of files those of their paths.
    """
    return b"".join(map(encode, _records(recorded)))


def _names(recorded: Recorded) -> dict[str, None]:
    """Return the names of all tasks of which more is recorded than a start."""
    return dict.fromkeys(
        chain(recorded.ok, recorded.not_ok, sorted(recorded.outdated), recorded.durations, recorded.peaks)
    )


def _records(recorded: Recorded) -> Iterator[dict[str, Any]]:
    started: dict[RunRecord, list[Unfinished]] = {}
    for start in recorded.unfinished.values():
        started.setdefault(start.run, []).append(start)
    for run in recorded.runs:
        if run in started or run is recorded.runs[-1]:
            yield {"record": "run", "format": FORMAT, "fastrun": __version__, **run._asdict()}
        # Before the tasks: a start takes a success back.
        for start in started.pop(run, ()):
            yield start_record(start.name, start.key, start.attempt, start.pid, start.ticks)
    # By number of a version in the old text that in the new one.
    numbers: dict[int, int] = {}
    names = iter(_names(recorded))
    while some := list(islice(names, AT_ONCE)):
        yield _kept(recorded, some, numbers)
    paths = {path for path, _ in recorded.versions.of(numbers)}
    yield from seen_records({path: looks for path, looks in recorded.seen.items() if path in paths})
    if recorded.exit_code is not None:
        yield done_record({}, recorded.exit_code)


def _kept(recorded: Recorded, names: list[str], numbers: dict[int, int]) -> dict[str, Any]:
    """Return the record of some tasks. ``numbers``: of the versions in records before it; new ones are added."""
    first = len(numbers)
    ok = [_row(recorded, name, numbers) for name in names if name in recorded.ok]
    others = [name for name in names if name not in recorded.ok]
    return {
        "record": "kept",
        "tasks": len(names),
        "new": recorded.versions.of(islice(numbers, first, None)),
        "ok": ok,
        "not_ok": {name: recorded.not_ok[name] for name in names if name in recorded.not_ok},
        "outdated": [name for name in names if name in recorded.outdated],
        "durations": {name: recorded.durations[name] for name in others if name in recorded.durations},
        "peaks": {name: recorded.peaks[name] for name in names if name in recorded.peaks},
    }


def _row(recorded: Recorded, name: str, numbers: dict[int, int]) -> list[Any]:
    """Return what is kept of a task that is ok."""
    key, reason, _seconds, facts = recorded.ok[name]
    files: list[Any] | None = None
    if facts is not None:
        new = [[numbers.setdefault(number, len(numbers)) for number in found] for found in facts[:3]]
        files = [*new, facts.variables, facts.changed]
    return [name, key, reason, recorded.durations[name], files]
