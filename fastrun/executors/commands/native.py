"""The native engine on the loop: hands it chains, and passes its events on in batches.

Knows the loop and when to look. What happens to a command is in ``_engine.c``.
"""

import asyncio
import os
import signal
from collections.abc import Sequence

from fastrun.executors.commands import _engine
from fastrun.executors.commands.copies import ENGINES
from fastrun.executors.commands.engine import LISTED, MERGED, EngineSettings, Event
from fastrun.executors.commands.process import PAUSE, Process
from fastrun.executors.guardian.table import NATIVE_ROWS
from fastrun.executors.limits import processors

# Seconds between two looks while events come in quick succession: each look costs what the events of a command cost.
_QUICK = 0.004

# Seconds between looks at all: a snippet may have closed the descriptor that tells of events.
_SLOW = 1.0

# Bytes that may be read before the observers have taken more.
_CREDIT = 1 << 19

# Most commands that lie ahead, so that no processor waits for Python, and most seconds between two exits, on average,
# for that: long commands should be chosen as late as possible. Trivial ones may be more than run.
_AHEAD = 16
_SHORT = 0.01
_TRIVIAL = 0.002

# Most commands that wait for a thread. A million ready ones are a million integers, not as many commands.
_WAITING = 32

# Most threads. More than there are processors would wait for each other.
_THREADS = 4


class NativeEngine:
    """The native engine of one run."""

    def __init__(self, settings: EngineSettings) -> None:
        """Raise OSError if the system refuses a descriptor."""
        self._flags = MERGED if settings.one_pipe else 0
        self._owner = settings.owner
        self._events = settings.events
        self._loop = asyncio.get_running_loop()
        # Whatever snippets do to the directory of this process, this stays the run's.
        self._directory = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        cores = processors()
        self._engine = _engine.Engine(
            b"".join(
                [
                    *(b"%s=%s\0" % entry for entry in settings.surroundings.environment.items()),
                    *(b"%s\0" % entry for entry in settings.surroundings.nameless),
                ]
            ),
            self._directory,
            settings.surroundings.null,
            settings.surroundings.umask,
            settings.table.descriptor,
            *NATIVE_ROWS,
            thread_count(settings.jobs, cores),
            cores,
            _CREDIT,
            settings.fail_fast,
        )
        self._jobs = settings.jobs
        # One at a time they run in one order, always the same: none is chosen before it has to be.
        self._may_lie_ahead = settings.jobs > 1 and not (settings.fail_fast or settings.at_once)
        self._ahead = 0
        self._last_exits = 0.0
        self._suspended = False
        # The events that are being passed on, and whether a look is due by itself.
        self._passing: list[Event] | None = None
        self._looks_again = False
        self._loop.add_reader(self._engine.descriptor, self._pass_on)
        self._timer = self._loop.call_later(_SLOW, self._look_slowly)
        ENGINES.add(self)

    def room(self, limit: int, held: int) -> int:
        """Return how many commands it takes: some more than may run, while commands are short.

        None while none may run: what then lay ahead would not be started by a limit that is set later.
        """
        if not limit:
            return 0
        return min(limit + self._ahead, held + _WAITING - self._engine.queued)

    def submit(self, chain: Sequence[Process], seconds: float) -> None:
        """Queue a chain for the threads."""
        self._engine.submit([_spec(process, self._flags) for process in chain], int(1000 * seconds))

    def go_on(self, limit: int, failures: int) -> None:
        """Let the threads start ``limit`` commands."""
        self._engine.go_on(limit, failures)

    def take_back(self) -> None:
        """Return what the threads have not started."""
        self._engine.take_back()
        self._pass_on()

    def signal(self, process: Process | None, number: signal.Signals, *, interrupts: bool = False) -> None:
        """Signal a group that is not reaped."""
        self._engine.signal(process, number, interrupts)
        if interrupts:
            self._pass_on()

    def suspend(self, *, resume: bool) -> None:
        """Wait for the starts under way."""
        if resume == self._suspended:
            self._suspended = not resume
            self._engine.suspend(resume)

    def hold_for_fork(self, *, resume: bool) -> None:
        """Wait for the starts under way, for a second at most."""
        self._engine.suspend(resume)

    def release(self, process: Process) -> bool:
        """Let go of a command."""
        return self._engine.release(process)

    def look(self) -> None:
        """Have the threads' events read now, and pass them on."""
        self._engine.look()
        self._pass_on()

    def close(self) -> None:
        """End the threads."""
        ENGINES.discard(self)
        self._timer.cancel()
        self._loop.remove_reader(self._engine.descriptor)
        self._pass_on()
        self._engine.close()
        os.close(self._directory)

    def _pass_on(self) -> None:
        """Pass on what has happened, and look again soon if anything has."""
        congested = self._events.congested
        if self._passing is not None:
            # Called while events are passed on: these come behind them.
            self._passing.extend(self._engine.collect(not congested))
            return
        # Until the engine has said that there are none, also if it could not.
        any_events = True
        try:
            # While observers are behind no more may be read. What has been read is bounded, and is passed on.
            events = self._passing = self._engine.collect(not congested)
            any_events = bool(events)
            exits = self._owner.take(events) if events else 0
            if exits and self._may_lie_ahead:
                self._look_ahead(exits)
        finally:
            self._passing = None
            if (any_events or congested) and not self._looks_again:
                self._look_soon(congested=congested)

    def _look_soon(self, *, congested: bool) -> None:
        if self._engine.credit <= 0 and not congested:
            # The threads wait until what was collected has been dealt with.
            self._loop.call_soon(self._look_again)
        else:
            self._loop.call_later(PAUSE if congested else _QUICK, self._look_again)
        self._looks_again = True

    def _look_ahead(self, exits: int) -> None:
        now = self._loop.time()
        each = (now - self._last_exits) / exits
        self._last_exits = now
        self._ahead = 0 if each > _SHORT else _AHEAD if each < _TRIVIAL else min(self._jobs, _AHEAD)

    def _look_slowly(self) -> None:
        self._timer = self._loop.call_later(_SLOW, self._look_slowly)
        self._pass_on()

    def _look_again(self) -> None:
        self._looks_again = False
        if self._engine.descriptor >= 0:
            self._pass_on()


def _spec(process: Process, flags: int) -> tuple[Process, int, int, int, bytes]:
    """Return what the engine is to know of a command."""
    program, arguments, variables, directory = process.recipe
    entries = [b"%s=%s" % entry for entry in variables.items()]
    texts = b"\0".join((program, *arguments, *entries, directory or b"", b""))
    return process, len(arguments), len(entries), flags | (0 if process.task.detach else LISTED), texts


def thread_count(jobs: int, cores: int) -> int:
    """Return how many threads start ``jobs`` commands at once on so many processors."""
    return min(jobs, cores, _THREADS)
