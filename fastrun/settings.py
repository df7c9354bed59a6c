"""The settings of a run: every limit with its default and its check.

Knows numbers and words. Does not know what keeps to them.
"""

from collections.abc import Collection
from math import inf
from os import PathLike
from typing import Literal, NamedTuple, TypedDict

# How job slots are shared with make and others: as make can read it, by a FIFO, by a pipe.
JOBSERVERS = ("auto", "fifo", "pipe")

# Where snippets run that do not say so themselves: in a thread of the run's process, or in a process of their own.
EVAL_WHERES = ("thread", "process")

# The document that runs where none is named.
DOCUMENT = "fastrun.json"

# The folder for journals that no option names, beside the document.
JOURNALS = ".fastrun"

# Most seconds that may be given: 31 years. A number beyond is a slip.
_MOST_SECONDS = 1e9


class Options(TypedDict, total=False):
    """The settings as keyword arguments, for type checkers; described in ``RunSettings``."""

    jobs: int | Literal["auto"] | None
    eval_threads: int
    eval_where: str
    keep_going: int
    grace: float
    timeout: float | None
    max_time: float | None
    load: float | None
    min_memory: int | None
    memory: int | None
    jobserver: str | None
    guardian: bool
    journal: str | PathLike[str] | None
    resume: bool
    update: bool
    rerun: Collection[str]
    durable: bool
    cluster: str | None
    worker_retries: int


class RunSettings(NamedTuple):
    """How a document is run.

    ``jobs``: at most so many commands, and snippets in processes, at once; None for what the system grants.
    ``eval_threads``: at most so many snippets at once, of those that run in threads.
    ``eval_where``: where snippets run that do not say so: ``thread`` or ``process``. In processes ``jobs`` bounds them.
    ``keep_going``: start nothing more after so many failures; 0 for never.
    ``grace``: seconds between asking tasks to end and ending them, when the run is cancelled or their time is over.
    ``timeout``: seconds that a task may take which has none of its own; None for ever.
    ``max_time``: seconds that the whole run may take; None for ever. Then it ends as after a signal, and says that it
    timed out.
    ``load``: while the machine's load is above it, and a command runs, no other starts. ``min_memory``: nor while
    fewer bytes of memory are available.
    ``memory``: bytes that all commands may need together, by what is known or assumed of each; None for what the
    machine has, 0 to start commands whatever they need.
    ``jobserver``: share the limit ``jobs`` (or the number of processors) with make and others that commands call, by
    ``auto``, ``fifo`` or ``pipe``. A run that make has started, without ``jobs``, shares make's limit.
    ``guardian``: have a small process end the tasks' processes if this one is killed.
    ``journal``: a file that the run is recorded in, and that no run was recorded in before unless with ``resume`` or
    ``update``. With ``resume`` tasks that it has as ok, and that have not changed since, are ok without running; with
    ``update`` only those of them that name their files. ``rerun``: names of tasks that run in any case.
    ``durable``: nothing starts before what it depends on is recorded on the disk.
    ``cluster``: run commands there: the address of a Dask scheduler, its file, or ``local`` or ``local:N`` for N
    processes on this machine. ``worker_retries``: how often a task runs again whose worker was lost.
    """

    jobs: int | None = None
    # Enough for snippets that mostly wait to run side by side; a sleeping thread costs little, a busy thread a
    # share of the interpreter's lock. Pretty arbitrary.
    eval_threads: int = 64
    eval_where: str = "thread"
    keep_going: int = 0
    grace: float = 5.0
    timeout: float | None = None
    max_time: float | None = None
    load: float | None = None
    min_memory: int | None = None
    memory: int | None = None
    jobserver: str | None = None
    guardian: bool = True
    journal: str | PathLike[str] | None = None
    resume: bool = False
    update: bool = False
    rerun: Collection[str] = ()
    durable: bool = False
    cluster: str | None = None
    worker_retries: int = 2

    def check(self) -> None:
        """Raise ValueError or TypeError for settings that make no sense."""
        for name in _RANGES:
            value = getattr(self, name)
            # None is a value only of settings that have it as their default.
            if value is None and self._field_defaults[name] is None:
                continue
            try:
                wrong = what_is_wrong(name, value)
            except TypeError:
                unit = " of seconds" if _RANGES[name][2] == _MOST_SECONDS else " of bytes" if "memory" in name else ""
                raise TypeError(f"{name} must be a number{unit}, not {value!r}") from None
            if wrong:
                raise ValueError(f"{name} {wrong}")
            if name in _WHOLE and not isinstance(value, int):
                raise TypeError(f"{name} must be a whole number, not {value!r}")
        if self.eval_where not in EVAL_WHERES:
            raise ValueError(f"eval_where must be one of {', '.join(EVAL_WHERES)}, not {self.eval_where}")
        if self.jobserver is not None and self.jobserver not in JOBSERVERS:
            raise ValueError(f"jobserver must be one of {', '.join(JOBSERVERS)}, not {self.jobserver}")
        if self.journal is None and (self.resume or self.update or self.rerun or self.durable):
            raise ValueError("resume, update, rerun and durable need a journal")
        if self.resume and self.update:
            raise ValueError("resume and update do not go together")


# By setting that is a number: its least value, whether the value must be more than that, and its most.
_RANGES = {
    "jobs": (1, False, inf),
    "eval_threads": (1, False, inf),
    "keep_going": (0, False, inf),
    "grace": (0, False, _MOST_SECONDS),
    "timeout": (0, True, _MOST_SECONDS),
    "max_time": (0, True, _MOST_SECONDS),
    "load": (0, True, inf),
    "min_memory": (1, False, inf),
    "memory": (0, False, inf),
    "worker_retries": (0, False, inf),
}

# Settings that count something.
_WHOLE = frozenset(["jobs", "eval_threads", "keep_going", "min_memory", "worker_retries"])

DEFAULTS = RunSettings()


def what_is_wrong(name: str, value: float) -> str:
    """Return what is wrong with the value of a setting that is a number, empty for nothing."""
    least, above, most = _RANGES[name]
    if (least < value if above else least <= value) and value <= most:
        return ""
    bound = f"more than {least}" if above else f"{least} or more"
    return f"must be {bound}{f', and at most {most:,.0f}' * (value > most)}, not {value:,.12g}"
