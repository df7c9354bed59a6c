"""One snippet as a program: all that it has for itself, as a script has.

Knows a task and its namespace. Does not know how the code is run, nor what the values here are looked up by.
"""

import builtins
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.machinery import BuiltinImporter
from typing import Any, NamedTuple, Protocol

from fastrun.document.task import Task

# Takes what a task prints: its number, the stream and the bytes. Returns False once the run is over.
Write = Callable[[int, int, bytes], bool]

# The names that a script finds, see ``python -c 'print(globals())'``.
_NAMES = {
    "__name__": "__main__",
    "__doc__": None,
    "__package__": None,
    "__loader__": BuiltinImporter,
    "__spec__": None,
    "__builtins__": builtins,
}

# Whether a script finds an empty ``__annotations__``: later versions make it when it is asked for.
_HAS_ANNOTATIONS = sys.version_info < (3, 14)

# How many names a namespace begins with.
GIVEN_NAMES = len(_NAMES) + _HAS_ANNOTATIONS + len(["__file__"])

# What a program has in ``own`` for an attribute that it has deleted.
DELETED = object()

# The name of the attribute of a thread that holds the program by which it was started.
OWNER = "_fastrun_program"

# Seconds that a thread sleeps which is not to go on.
_FOREVER = 1e6

# Most characters of a name that is surely not too wide to be shown.
_SHORT = 100


class Copies(Protocol):
    """The copies of this process that snippets fork off, see ``forks``."""

    def open(self) -> None:
        """Prepare for the first copy."""
        ...

    def add(self, name: str) -> None:
        """Add this process, a copy made by the task ``name``."""
        ...


class Shared(NamedTuple):
    """What all programs of a run share.

    ``write``: see ``Write``. ``marks``: the variables of the run that are in the environment of its tasks.
    ``parents``: the programs that have started processes.
    """

    write: Write
    marks: Mapping[bytes, bytes]
    copies: Copies
    parents: "Parents"


class Parents:
    """The programs of a run that have started processes.

    ``closed``: whether the run ends, and has given up on all programs that have not ended. From then on these start no
    process: it would outlive the run.
    """

    def __init__(self) -> None:
        self.closed = False
        # By the number of their task.
        self._programs: dict[int, Program] = {}
        # The threads that are about to start a process, one entry for each call of ``begin``.
        self._starting: list[int] = []

    def __iter__(self) -> "Iterator[Program]":
        # A thread may add another program at any time.
        return iter(list(self._programs.values()))

    @property
    def starting(self) -> bool:
        """Whether a program is about to start a process."""
        return bool(self._starting)

    def begin(self, program: "Program") -> None:
        """Note that a program starts a process. Does not return if the run has given up on the program."""
        thread = threading.get_ident()
        program.touched = True
        self._programs[program.number] = program
        # Before the look at ``closed``: the run closes first, and looks at ``starting`` then.
        self._starting.append(thread)
        while program.is_given_up:
            while thread in self._starting:
                self._starting.remove(thread)
            time.sleep(_FOREVER)

    def end(self) -> None:
        """Note that the process that this thread was about to start has started, or could not."""
        self._starting.remove(threading.get_ident())


class Program:
    """A snippet that runs.

    ``namespace``: its global names. ``file``: the name of its source in tracebacks.

    The class holds what most snippets never change, so that it costs them nothing. ``touched``: whether something else
    than ``namespace`` has to be tidied up at the end.
    """

    touched = False
    # Values of attributes of modules, see ``attributes``.
    own: dict[str, Any] | None = None
    # What os.environ holds, encoded.
    environment: dict[bytes, bytes] | None = None
    # Functions of ``atexit`` with their arguments.
    exits: list[tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]] | None = None
    # Processes and finalizers of multiprocessing.
    children: list[Any] | None = None
    finalizers: list[Any] | None = None
    # The context of multiprocessing that it has set as the default.
    start_method: Any = None
    # The thread that runs its code, once it has started others.
    thread: threading.Thread | None = None
    # Whether it has started threads; whether this is a copy of it that was forked off.
    threaded = False
    is_copy = False
    # Whether it has ended, and before its run.
    has_ended = False
    # What a copy exits with.
    exit_status = 0
    # Its source as linecache has it, and the file that other processes import it from.
    entry: tuple[int, None, list[str], str] | None = None
    main_file: str | None = None
    recursion_limit: int | None = None
    # Whether it has chosen an event loop for the thread that it runs in.
    chose_loop = False

    def __init__(self, number: int, task: Task, shared: Shared) -> None:
        self.number = number
        self.task = task
        self.shared = shared
        name = task.name
        # An identifier needs no escapes, which is found out in a tenth of the time of ``label``.
        shown = name if name.isidentifier() and len(name) <= _SHORT else task.label
        self.file = file = f"<task {shown}>"
        namespace: dict[str, Any] = _NAMES.copy()
        if _HAS_ANNOTATIONS:
            namespace["__annotations__"] = {}
        namespace["__file__"] = file
        self.namespace = namespace

    @property
    def is_given_up(self) -> bool:
        """Whether the run has ended before it."""
        return self.shared.parents.closed and not self.has_ended

    def print(self, stream: int, data: bytes) -> bool:
        """Pass on what it prints. Return False if nothing takes it because the run is over."""
        return self.shared.write(self.number, stream, data)
