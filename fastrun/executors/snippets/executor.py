"""The executor of ``eval`` tasks: a pool of threads of this process.

Does not use ``loop.run_in_executor``: it costs five times as much per snippet, wakes the loop for each, and hangs when
a snippet raises StopIteration. Knows slots, and how many threads there are. Does not know dependencies, nor the readers
of output. All of it runs in the loop's thread: state that the pool's threads touch is in the ``crew``.
"""

import asyncio
import errno
import os
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from fastrun.document.task import Task
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.shortage import Slots
from fastrun.executors.snippets.crew import FAILED, STARTED, WENT_ON, Crew, News, Step
from fastrun.executors.snippets.descriptors import reopen
from fastrun.outcome import FIRST_START, OK, Cause, Outcome, Start, Status
from fastrun.protocols import Chain, Events, Job
from fastrun.settings import DEFAULTS, RunSettings
from fastrun.text import printable
from fastrun.threads import Thread

# Seconds between two looks at whether the threads get on, and looks in a row at which they have not before threads are
# added. A chain of small snippets takes four times as long with 32 threads as with one: the idle threads fight for the
# interpreter's lock. A thread that has not got on for 1 ms may only wait for that lock, or for a processor.
_PATIENCE = 0.001
_LOOKS = 3

# Seconds from which on news is late: then the time of a start or an end is not that of its news.
_LATE = 0.001

# Most snippets queued ahead of the threads, and most seconds between two ends, on average, for that. A thread that has
# to ask the loop for each trivial snippet takes ten times as long; long snippets should be chosen as late as possible.
_AHEAD = 256
_SHORT = 0.001


class SnippetExecutor:
    """Runs snippets, each in a context of its own, in a bounded pool of threads."""

    longest_chain = 512

    def __init__(self, guardian: Guardian, settings: RunSettings = DEFAULTS) -> None:
        """``guardian``: names the running snippets if this process dies."""
        self._guardian = guardian
        self._crew = Crew(guardian, fail_fast=settings.keep_going > 0)
        self._most = settings.eval_threads
        self._slots = Slots(settings.eval_threads)
        self._threads: list[Thread] = []
        self._submitted = 0
        self._taken = 0
        # Most snippets that may be queued at present beside the running ones, and the time of the last end.
        self._ahead = 0
        self._last_end = 0.0
        self._watching = False
        # Looks in a row at which no thread had got on.
        self._stuck = 0
        # By number, the tasks that count as running.
        self._unfinished: dict[int, Task] = {}
        # How many recalls the loop knows of, of those that the crew counts.
        self._known_recalls = 0
        self._grace = settings.grace
        # Whether snippets may still run once this is closed.
        self._gave_up = False

    @property
    def slots(self) -> int:
        """Return how many snippets may be queued or running at present."""
        return self._slots.number + self._ahead

    def open(self, events: Events) -> None:
        """Begin: from now on what snippets print goes to the events."""
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._crew.open(events, self._collect)

    async def start(self, chains: Sequence[Chain]) -> None:
        """Queue chains of snippets for the threads."""
        if self._crew.interrupted:
            self._refuse(chains, None)
            return
        outcome = self._what_is_short()
        if outcome is not None:
            failed = self._slots.refused(self._events, 0, outcome.reason)
            self._refuse(chains, outcome if failed else None)
            return
        # Before the snippets: the first of them may end the process.
        self._guardian.begin(self._events)
        self._slots.started()
        self._unfinished.update([chain[0] for chain in chains])
        self._submitted += len(chains)
        self._crew.hand_over(chains, self._known_recalls)
        if not self._watching and len(self._threads) < self._most:
            self._watching = True
            self._taken = self._submitted - self._crew.jobs.qsize()
            self._stuck = 0
            self._loop.call_later(_PATIENCE, self._grow)

    def _what_is_short(self) -> Outcome | None:
        """Return None where snippets can run, else what they end with if that stays so."""
        try:
            self._crew.prepare()
        except (OSError, ImportError, MemoryError) as error:
            # The first snippet loads modules, which takes descriptors and memory.
            return Outcome(Status.FAILED, Cause.CANNOT_START, str(error) or os.strerror(errno.ENOMEM))
        return None if self._has_thread() or self._add_thread() else Outcome(Status.FAILED, Cause.NO_THREAD)

    def _refuse(self, chains: Sequence[Chain], outcome: Outcome | None) -> None:
        """End the heads of chains that cannot start."""
        for (number, _), *_ in chains:
            self._events.task_ended(number, outcome)

    def recall(self) -> None:
        """Take back the chains that wait for a thread. With ``fail_fast`` no thread goes on with its chain."""
        self._crew.recall()
        self._known_recalls += 1
        if not self._crew.closed:
            # Once this is closed the queue tells the threads to end.
            self._take_back()

    def interrupt(self, number: int | None = None, *, force: bool) -> None:
        """Take back the chains that wait for a thread. With ``force`` give up on the snippets that run.

        No thread can be ended. A single task is given up on at once, and its thread replaced.
        """
        if number is not None:
            self._abandon(number)
            return
        self._crew.interrupted = True
        if self._crew.closed:
            # The queue tells the threads to end.
            return
        self._take_back()
        if force:
            self._collect()
            self._gave_up = bool(self._unfinished)
            for number in list(self._unfinished):
                self._end(number, Outcome(Status.INTERRUPTED))

    def suspend(self, *, resume: bool) -> None:
        """Do nothing: snippets stop with this process."""

    def _abandon(self, number: int) -> None:
        """Give up on a task that runs, and add a thread instead of its own."""
        if number not in self._unfinished:
            return
        self._crew.abandon(number, self._unfinished[number])
        self._collect()
        if number not in self._unfinished:
            # It has just ended, and its thread goes on.
            self._crew.abandoned.pop(number, None)
            return
        self._most += 1
        self._end(number, Outcome(Status.INTERRUPTED))
        if self._crew.jobs.qsize() and not self._add_thread() and not self._has_thread():
            # The run starts them again, and ``start`` tries for a thread.
            self._take_back()

    def _take_back(self) -> None:
        """Give back the chains that wait for a thread."""
        for chain in self._crew.take_back():
            number = chain[0][0]
            self._submitted -= 1
            self._unfinished.pop(number, None)
            self._events.task_ended(number, None)

    async def close(self) -> None:
        """End the threads and put the streams back. Threads whose snippets still run end with this process."""
        self._collect()
        crew, interpreter = self._crew, self._crew.interpreter
        crew.closed = True
        for number, task in crew.abandoned.items():
            self._gave_up = True
            name = interpreter.name_thread(number) if interpreter is not None else ""
            runs = f"its thread {printable(name)} still runs" if name else "still runs"
            self._events.warning(f"{task.label}: {runs} after its timeout; it ends with fastrun")
        for _ in self._threads:
            crew.jobs.put(None)
        if not self._gave_up:
            for thread in self._threads:
                thread.join()
        if interpreter is not None:
            grace = 0.0 if self._gave_up else self._grace
            await interpreter.close(self._guardian, grace, self._events.warning)

    def _has_thread(self) -> bool:
        """Return whether there is a thread whose snippet was not given up on."""
        return len(self._threads) > len(self._crew.abandoned)

    def _add_thread(self) -> bool:
        thread = Thread(self._crew.work, "fastrun-eval")
        try:
            thread.start()
        except RuntimeError:
            return False
        self._threads.append(thread)
        return True

    def _grow(self) -> None:
        """Double the threads if snippets wait and for some calls no thread has taken one."""
        if self._crew.closed:
            return
        waiting = self._crew.jobs.qsize()
        taken = self._submitted - waiting
        threads = len(self._threads)
        if not waiting or threads >= self._most:
            self._watching = False
            return
        self._stuck = self._stuck + 1 if taken == self._taken else 0
        if self._stuck >= _LOOKS:
            for _ in range(min(waiting, threads, self._most - threads)):
                if not self._add_thread():
                    # The threads that there are must do.
                    self._most = len(self._threads)
                    break
        self._taken = taken
        self._loop.call_later(_PATIENCE, self._grow)

    def _collect(self) -> None:
        """Pass the threads' news on to the events."""
        if self._crew.closed:
            return
        news = self._crew.take_news()
        events = self._events
        collected = ended = 0
        while news:
            number = news[0][0]
            ran: list[int] = []
            try:
                if self._take_ran(news, ran):
                    ended += len(ran)
                    self._slots.ended(len(ran))
                    events.tasks_ran(ran)
                    continue
                _, what, content, at = news.popleft()
                if isinstance(what, Step):
                    ended += self._take_step(number, what, content, time.monotonic() - at)
                else:
                    pieces = _with_more(content, number, what, news)
                    # Before anything can fail: snippets that print wait for it.
                    collected += sum(map(len, pieces))
                    events.task_output(number, what, b"".join(pieces))
            except Exception as error:
                # First, in case that the rest fails as well.
                self._loop.call_soon(self._collect)
                self._fail(ran or [number], error)
        if collected:
            self._crew.collected(collected)
        if ended:
            now = time.monotonic()
            self._ahead = _AHEAD if now - self._last_end < ended * _SHORT else 0
            self._last_end = now
            reopen()

    def _fail(self, numbers: Sequence[int], error: Exception) -> None:
        """Fail tasks whose news could not be passed on, for want of memory for example."""
        outcome = Outcome(Status.FAILED, Cause.INTERNAL_ERROR, repr(error))
        self._events.warning(outcome.reason)
        for number in numbers:
            task = self._unfinished.pop(number, None)
            if task is not None:
                # It still runs, and its thread does not go on with its chain.
                self._crew.abandon(number, task)
            self._events.task_ended(number, outcome)

    def _take_ran(self, news: deque[News], ran: list[int]) -> bool:
        """Take short tasks out of the front of the news that have started and are ok, each before the next.

        Return whether there are any. ``ran``: gets their numbers.
        """
        unfinished = self._unfinished
        while len(news) > 1 and news[0][1] is STARTED:
            number, _, _, began = news[0]
            of, what, content, ended = news[1]
            if of != number or number not in unfinished or not (content is OK or what is WENT_ON):
                break
            if ended - began > _LATE:
                break
            ran.append(number)
            news.popleft()
            news.popleft()
            del unfinished[number]
            if what is WENT_ON:
                unfinished[content[0]] = content[1]
        return bool(ran)

    def _take_step(self, number: int, step: Step, content: Any, ago: float) -> bool:
        """Pass on that a task has started or ended. Return whether it has ended. ``ago``: seconds."""
        is_late = ago > _LATE
        if step is STARTED:
            self._events.task_started(number, Start(ago=ago) if is_late else FIRST_START)
            return False
        outcome, following = (OK, content) if step is WENT_ON else (content, None)
        if is_late and outcome is not None:
            outcome = outcome._replace(ago=ago)
        try:
            self._end(number, outcome, following)
        finally:
            # Only now: in ``_end`` the run has taken back the tasks that may not start.
            self._known_recalls += step is FAILED
        return True

    def _end(self, number: int, outcome: Outcome | None, following: Job | None = None) -> None:
        """End a task; None if it never started. ``following``: the next of its chain, which its thread runs now."""
        # A task that was given up on has ended already.
        if self._unfinished.pop(number, None) is None:
            self._crew.abandoned.pop(number, None)
            return
        if following is not None:
            self._unfinished[following[0]] = following[1]
        self._slots.ended()
        self._events.task_ended(number, outcome)


def _with_more(data: bytes, number: int, stream: int, news: deque[News]) -> list[bytes]:
    """Return output and what follows it in the news: ``print`` writes a text and the end of its line one by one."""
    pieces = [data]
    while news and news[0][0] == number and news[0][1] == stream:
        pieces.append(news.popleft()[2])
    return pieces
