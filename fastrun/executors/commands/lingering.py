"""Commands that have exited, of which processes may be left: named, waited for and let go of.

Knows groups and what is said of them; not how commands are run, nor when they are signalled.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable

from fastrun.executors.commands.engine import Started
from fastrun.executors.commands.process import PAUSE, Process
from fastrun.executors.guardian.groups import live_groups, staying_groups
from fastrun.executors.guardian.leftovers import kill_leftovers
from fastrun.protocols import Events

# Most seconds between looks at a group that was killed and does not die.
_LONGEST_PAUSE = 1.0


class Lingering:
    """The commands that linger. ``processes``: all of them. ``silent``: set once the user does not want to wait."""

    def __init__(self, run_id: str, events: Events, engine: Started, on_forget: Callable[[], None]) -> None:
        """``run_id``: the mark of the run's processes. ``on_forget``: called when a process was let go of."""
        self._run_id = run_id
        self._events = events
        self._engine = engine
        self._on_forget = on_forget
        self._loop = asyncio.get_running_loop()
        self.processes: set[Process] = set()
        self.silent = False
        # At the run's end, those that had been asked to end before: they are named only if they outlive their grace.
        self._asked: set[Process] = set()
        # Those whose group was killed and may still be dying.
        self._killed: set[Process] = set()

    def forget(self, process: Process, fate: str = "it left its session and lives on") -> None:
        """Let go of a process after reading what is in its pipes. ``fate``: of what still keeps them open."""
        self.processes.discard(process)
        if self._engine.release(process) and not self.silent and not process.task.detach:
            self._warn(process, fate)
        self._on_forget()

    def forget_dead(self) -> None:
        """Let go of the processes whose groups have died."""
        for process in _dead(self.processes):
            self.forget(process)

    def end_attempt(self, processes: set[Process], name: str, others: Iterable[Process]) -> None:
        """End all that an attempt has left, and let go of it, so that nothing of it runs beside the next attempt.

        ``processes``: whose groups were killed. ``name``: of the task. ``others``: all other commands.
        """
        # With its output closed, or in a session of its own, a process of the task is found by its mark alone.
        sessions = {process.pid for process in others}
        if kill_leftovers(self._run_id, {process.pid for process in processes}, name, sessions):
            for process in processes:
                self.forget(process)
        else:
            self.forget_soon(processes)

    def forget_soon(self, processes: Collection[Process]) -> None:
        """Let go of processes whose groups were killed, once they have died: until then they keep the pipes open."""
        if processes and not self._killed:
            self._loop.call_later(PAUSE, self._forget_killed, PAUSE)
        self._killed.update(processes)

    def _forget_killed(self, pause: float) -> None:
        self._killed &= self.processes
        if not self._killed:
            return
        dead = _dead(self._killed)
        # What they printed is read, and so is the end of their pipes.
        self._engine.look()
        for process in dead:
            self._killed.discard(process)
            # A process in another session may keep a pipe open: it is read and named as after any other end of a task.
            if process in self.processes and not process.open:
                self.forget(process)
        # Less often in the end: a process that waits for a broken disk may never die.
        self._loop.call_later(pause, self._forget_killed, min(2 * pause, _LONGEST_PAUSE))

    def name(self) -> None:
        """Name the processes of which something is left at the run's end, and let go of the detached ones.

        Processes that were asked to end when the time of their task was over have until ``name_asked`` to do so.
        """
        for process in [process for process in self.processes if process.task.detach]:
            self.forget(process)
        self._asked = {process for process in self.processes if process.interrupted}
        self._warn_of_staying(self.processes - self._asked)

    def name_asked(self, processes: Iterable[Process]) -> None:
        """Name those of some processes that were not named by ``name``, before they are killed."""
        asked = self._asked.intersection(processes)
        self._asked -= asked
        self._warn_of_staying(asked)

    def _warn_of_staying(self, processes: set[Process]) -> None:
        """Warn of processes whose groups have members that are not about to die."""
        if not processes:
            return
        staying = staying_groups({process.pid for process in processes})
        for process in processes:
            if process.open if staying is None else process.pid in staying:
                self._warn(process, "it is ended")

    def _warn(self, process: Process, fate: str) -> None:
        keeps = " that keeps its output open" if process.open else ""
        self._events.warning(f"{process.task.label}: left a process behind{keeps}; {fate}")


def _dead(processes: Iterable[Process]) -> list[Process]:
    """Return the processes whose groups have died. Where the system does not tell, their pipes are closed."""
    live = live_groups()
    return [process for process in processes if (process.pid not in live if live is not None else not process.open)]
