"""What the records of a journal say together.

Knows the shapes of records, and what each changes. Does not know files, nor what other modules conclude.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import chain
from types import NoneType
from typing import Any, ClassVar, NamedTuple

from fastrun import __version__
from fastrun.collector import collector_off
from fastrun.journal.records import FORMAT, JournalError, check_head, decode
from fastrun.outcome import Status
from fastrun.uptodate.facts import Facts, Seen, Versions

# Most durations, and peaks of memory, that are kept of a task: those of the last runs in which it was ok.
_DURATIONS = 5

# Types of the fields of each kind of record. Other fields are allowed.
_NUMBER_OR_NULL = (int, NoneType)
_SHAPES: dict[str, tuple[tuple[str, type | tuple[type, ...]], ...]] = {
    "run": (
        ("id", str),
        ("boot", str),
        ("pid", int),
        ("pid_start", _NUMBER_OR_NULL),
        ("input", str),
        ("time", str),
    ),
    "start": (("name", str), ("key", str), ("attempt", int), ("pid", _NUMBER_OR_NULL), ("ticks", _NUMBER_OR_NULL)),
    "end": (
        ("name", str),
        ("key", str),
        ("attempt", int),
        ("status", str),
        ("reason", str),
        ("seconds", (float, int)),
    ),
    "redo": (("name", str),),
    "skip": (("name", str), ("reason", str)),
    "seen": (("files", list),),
    "done": (("counts", dict), ("exit_code", int)),
    "kept": (
        ("tasks", int),
        ("new", list),
        ("ok", list),
        ("not_ok", dict),
        ("outdated", list),
        ("durations", dict),
        ("peaks", dict),
    ),
}


class RunRecord(NamedTuple):
    """A recorded run.

    ``id``: the mark of its processes. ``boot``: see ``boot_id``. ``pid``, ``pid_start``: process id and start time of
    the runner, see ``process_start_time``. ``input``: a hash of the document. ``time``: when the run began, RFC 3339
    in UTC.
    """

    id: str
    boot: str
    pid: int
    pid_start: int | None
    input: str
    time: str


class Success(NamedTuple):
    """The recorded end of a task that is ok.

    ``seconds``: how long the task ran. ``facts``: about its files, None if it names none.
    """

    key: str
    reason: str
    seconds: float
    facts: Facts | None = None


class Unfinished(NamedTuple):
    """A recorded start without an end: the task may still run, or may have ended in any way.

    ``pid``: the id of its process, None for a snippet. ``ticks``: when that was recorded. Same process id, later start
    (see ``process_start_time``): a different process. ``run``: the run that started the task.
    """

    name: str
    key: str
    attempt: int
    pid: int | None
    ticks: int | None
    run: RunRecord


class Recorded:
    """What a journal says. All mappings are by the name of the task.

    ``runs``: the recorded runs in their order. ``exit_code``: that of the last run, None if the run has no end.
    ``ok``: the last success of each task that was neither started again nor meant to be: a later start may have undone
    what the success had produced.
    ``not_ok``: the status with which a task last ended, where that status is not ok.
    ``outdated``: the names of tasks that were ok and that a later run meant to run again.
    ``durations``: how long the task ran when it was ok, the last five times.
    ``peaks``: the key with which its process last told one, and the most bytes that it had, the last five times with
    that key. Where that is less than fastrun's own, it is fastrun's own. Half as much again is needed by a process that
    was killed for want of memory.
    ``versions``: of files. ``seen``: by path, how files looked when they were read.
    ``unfinished``: the newest start of a task, where it has no end. Older starts of the same task are not kept: the
    run that starts a task again has first ended what was left of it.
    ``length``: bytes up to the end of the last good record. ``damaged``: bytes after them.
    ``records``: their number; a task of a ``kept`` counts as one. ``looks``: the number of files in all ``seen``.
    """

    def __init__(self) -> None:
        self.runs: list[RunRecord] = []
        self.exit_code: int | None = None
        self.ok: dict[str, Success] = {}
        self.not_ok: dict[str, str] = {}
        self.outdated: set[str] = set()
        self.durations: dict[str, list[float]] = {}
        self.peaks: dict[str, tuple[str, list[int]]] = {}
        self.versions = Versions()
        self.seen: dict[str, Seen] = {}
        self.unfinished: dict[str, Unfinished] = {}
        self.length = 0
        self.damaged = 0
        self.records = 0
        self.looks = 0

    @cached_property
    def seconds(self) -> dict[str, float]:
        """How long each task may be expected to run: the median of its durations."""
        return {name: sorted(found)[len(found) // 2] for name, found in self.durations.items()}

    @cached_property
    def memory(self) -> dict[str, int]:
        """How many bytes each task may be expected to need: the largest of its peaks."""
        return {name: max(found) for name, (_, found) in self.peaks.items() if found}

    def add(self, record: Any) -> bool:
        """Apply one record. Return False for a record that no fastrun has written.

        Raises JournalError for a run in another format.
        """
        if not isinstance(record, dict):
            return False
        kind = record.get("record")
        if not isinstance(kind, str) or not (self.runs or kind == "run"):
            return False
        if kind == "run" and record.get("format") != FORMAT:
            raise JournalError(f"it has format {record.get('format')}, and fastrun {__version__} reads format {FORMAT}")
        # A match statement would take ten times as long, and a million tasks have two records each.
        get = record.get
        for field, types in _SHAPES.get(kind, ()):
            if not isinstance(get(field, ...), types):
                return False
        apply = self._APPLY.get(kind)
        if apply is not None:
            versions = self.versions.list
            known = len(versions)
            try:
                apply(self, record)
            except (IndexError, KeyError, TypeError, ValueError):
                # What is in a list or an object has the wrong shape. The record is cut off, and its versions with it.
                del versions[known:]
                return False
        self.records += 1
        return True

    def _run(self, record: dict[str, Any]) -> None:
        self.runs.append(RunRecord(*[record[field] for field in RunRecord._fields]))
        self.exit_code = None

    def _redo(self, record: dict[str, Any]) -> None:
        if self.ok.pop(record["name"], None) is not None:
            self.outdated.add(record["name"])

    def _skip(self, record: dict[str, Any]) -> None:
        self.not_ok[record["name"]] = Status.SKIPPED.label

    def _see(self, record: dict[str, Any]) -> None:
        self.seen.update([(path, Seen._make(looks)) for path, *looks in record["files"]])
        self.looks += len(record["files"])

    def _facts(self, files: dict[str, Any]) -> Facts:
        """Return the facts in an end. Raises KeyError, TypeError or ValueError for a wrong shape."""
        self.versions.list += [(path, digest) for path, digest in files["new"]]
        facts = Facts._make([files[field] for field in Facts._fields])
        self._check([facts])
        return facts

    def _check(self, facts: Iterable[Facts]) -> None:
        """Raise ValueError if facts refer to versions that there are not."""
        numbers = [*chain.from_iterable(chain(*found[:3]) for found in facts)]
        if numbers and not 0 <= min(numbers) <= max(numbers) < len(self.versions.list):
            raise ValueError("no such version")

    def _done(self, record: dict[str, Any]) -> None:
        self.exit_code = record["exit_code"]

    def _start(self, record: dict[str, Any]) -> None:
        name = record["name"]
        self.ok.pop(name, None)
        self.unfinished[name] = Unfinished(
            name, record["key"], record["attempt"], record["pid"], record["ticks"], self.runs[-1]
        )

    def _end(self, record: dict[str, Any]) -> None:
        name = record["name"]
        self.outdated.discard(name)
        started = self.unfinished.get(name)
        if started is not None and started.attempt == record["attempt"]:
            del self.unfinished[name]
        peak = record.get("peak")
        if isinstance(peak, int):
            if record["status"] != Status.OK.label:
                peak += peak // 2
            key, before = self.peaks.get(name, ("", []))
            self.peaks[name] = record["key"], [*(before if key == record["key"] else ()), peak][-_DURATIONS:]
        if record["status"] == Status.OK.label:
            files = record.get("files")
            facts = None if files is None else self._facts(files)
            self.ok[name] = Success(record["key"], record["reason"], record["seconds"], facts)
            self.durations[name] = [*self.durations.get(name, ()), record["seconds"]][-_DURATIONS:]
            self.not_ok.pop(name, None)
        else:
            self.not_ok[name] = record["status"]

    def _keep(self, record: dict[str, Any]) -> None:
        self.versions.list += [(path, digest) for path, digest in record["new"]]
        ok = {
            name: Success(key, reason, durations[-1], None if files is None else Facts._make(files))
            for name, key, reason, durations, files in record["ok"]
        }
        self._check(success.facts for success in ok.values() if success.facts is not None)
        self.ok.update(ok)
        self.durations.update((row[0], row[3]) for row in record["ok"])
        self.durations.update(record["durations"])
        self.peaks.update(
            {name: (key, [max(0, peak) for peak in peaks]) for name, (key, peaks) in record["peaks"].items()}
        )
        self.not_ok.update(record["not_ok"])
        self.outdated.update(record["outdated"])
        # The record itself counts as one.
        self.records += record["tasks"] - 1

    # Not in each object: only the collector would free it.
    _APPLY: ClassVar[Mapping[str, Callable[["Recorded", dict[str, Any]], None]]] = {
        "run": _run,
        "redo": _redo,
        "start": _start,
        "end": _end,
        "skip": _skip,
        "seen": _see,
        "done": _done,
        "kept": _keep,
    }


def read_journal(data: bytes) -> Recorded:
    """Return what the text of a journal says, up to its first line that is torn or damaged.

    Raises JournalError if the text is not a journal, if the journal has the format of another version, or if its first
    line is damaged: such a file might be anything. If the file ends within its first line, that line is torn instead,
    and nothing is raised.
    """
    check_head(data)
    recorded = Recorded()
    start = 0
    with collector_off():
        while (end := data.find(b"\n", start)) >= 0:
            if not recorded.add(decode(data[start:end])):
                break
            start = end + 1
    if not start and end >= 0:
        raise JournalError("its first line is damaged, so the rest cannot be used: remove the file, or name another")
    recorded.length = start
    recorded.damaged = len(data) - start
    return recorded
