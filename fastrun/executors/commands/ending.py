"""How commands are made to end: one of them, all of them, and what is left of them at the run's end.

Knows which commands run and which linger. Does not know why they have to end, nor what their exits mean.
"""

import asyncio
import signal
from collections.abc import Collection
from collections.abc import Set as AbstractSet

from fastrun.executors.commands.engine import Started
from fastrun.executors.commands.lingering import Lingering
from fastrun.executors.commands.process import PAUSE, Process
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.guardian.leftovers import end_leftovers
from fastrun.protocols import Events

# Most looks at groups that were killed, a second in all. Only a process that waits for a broken disk takes longer to
# die.
_LOOKS_AFTER_KILL = 200

# Most looks at processes that snippets' processes have left, half a second in all.
_LOOKS_AT_HELPERS = 100


class Ending:
    """Ends the commands of a run. The executor sets its attributes.

    ``started_any``: whether a command has started. ``interrupted``: whether the run is interrupted, so that none starts
    any more. ``may_follow``: by number, the names of tasks of which an attempt failed, and another may follow.
    """

    def __init__(
        self,
        guardian: Guardian,
        events: Events,
        engine: Started,
        lingering: Lingering,
        running: AbstractSet[Process],
        grace: float,
    ) -> None:
        """``running``: the commands that run, kept up to date. ``grace``: seconds from TERM to KILL."""
        self._guardian = guardian
        self._events = events
        self._engine = engine
        self._lingering = lingering
        self._running = running
        self._grace = grace
        self._forced = False
        self.started_any = False
        self.interrupted = False
        self.may_follow: dict[int, str] = {}

    def end_all(self, *, force: bool) -> None:
        """Send TERM and CONT to the groups of all commands, KILL with ``force``."""
        self._lingering.silent = force
        self._signal_all(force=force)

    def end(self, number: int, *, force: bool) -> None:
        """Send TERM and CONT to the groups of a task, KILL with ``force``."""
        # Processes that have exited by now have done so by themselves.
        self._engine.look()
        processes = {process for process in self._all() if process.number == number}
        if force:
            self._lingering.name_asked(processes)
        for process in processes:
            self._signal(process, force=force)
        if force:
            killed = {process for process in processes if process.exited}
            name = self.may_follow.pop(number, None)
            if name is None:
                self._lingering.forget_soon(killed)
            else:
                self._lingering.end_attempt(killed, name, self._all() - killed)

    async def end_rest(self) -> None:
        """End the processes that commands left behind, after reading what they print until then."""
        if not self.interrupted:
            await self._wait_for_helpers()
        timer = None if self.interrupted else self._ask_rest()
        known = {process.pid for process in self._all()}
        await self._end_leftovers(known)
        await self._wait_for_groups()
        if known:
            # What has left one of these groups meanwhile, asked to end.
            await self._end_leftovers(set())
        if timer is not None:
            timer.cancel()
        for process in list(self._lingering.processes):
            self._lingering.forget(process, "it could not be ended")

    async def _end_leftovers(self, known: Collection[int]) -> None:
        """End the processes that have the run's mark, but for those of ``known`` groups."""
        if self.started_any:
            grace = 0.0 if self._forced else self._grace
            guardian = self._guardian
            await end_leftovers(guardian.run_id, known, grace, self._events.warning, guardian.named)

    async def _wait_for_helpers(self) -> None:
        """Give multiprocessing's own processes a moment: they end once the snippet's has, and keep its pipes open."""
        looks_left = _LOOKS_AT_HELPERS
        while looks_left and any(process.open and process.task.type == "eval" for process in self._all()):
            await asyncio.sleep(PAUSE)
            self._engine.look()
            looks_left -= 1

    def _ask_rest(self) -> asyncio.TimerHandle | None:
        """Name the processes that are left behind, and tell all to end. Return the timer that kills them."""
        # Processes that have closed it by now are let go of.
        self._engine.look()
        self._lingering.name()
        # Commands still run only if a start failed half-way.
        if not self._all():
            return None
        self._signal_all(force=False)
        return asyncio.get_running_loop().call_later(self._grace, self._kill_rest)

    def _kill_rest(self) -> None:
        self._lingering.name_asked(self._lingering.processes)
        self._signal_all(force=True)

    async def _wait_for_groups(self) -> None:
        """Let go of lingering processes as their groups die. After a KILL wait no longer than dying takes."""
        looks_left = _LOOKS_AFTER_KILL
        while self._all() and looks_left:
            self._lingering.forget_dead()
            looks_left -= self._forced
            if self._all():
                await asyncio.sleep(PAUSE)

    def _all(self) -> AbstractSet[Process]:
        return self._running | self._lingering.processes

    def _signal_all(self, *, force: bool) -> None:
        self._forced = self._forced or force
        self._signal(None, force=force)

    def _signal(self, process: Process | None, *, force: bool) -> None:
        for each in self._all() if process is None else (process,):
            each.interrupted = True
        self._engine.signal(process, signal.SIGKILL if force else signal.SIGTERM, interrupts=True)
        if not force:
            self._engine.signal(process, signal.SIGCONT)
