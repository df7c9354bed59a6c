"""The executor of ``eval`` tasks: a pool of threads of this process.

Does not use ``loop.run_in_executor``: it costs five times as much per snippet, wakes the loop for each, and hangs when
a snippet raises StopIteration. Knows threads and chains; not dependencies, nor the readers of output.

Jobs go to the threads through one queue. News comes back through one deque, in order, and wakes the loop once for all
that has piled up::

    start --_jobs--> _work (thread): started, output, ended --_news--> _collect (loop)
"""

import asyncio
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from enum import Enum, auto
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from fastrun.document.task import Task
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.guardian.table import EVAL
from fastrun.executors.present import PRESENT
from fastrun.executors.shortage import Slots
from fastrun.outcome import FIRST_START, OK, Cause, Outcome, Status
from fastrun.protocols import CHAIN_SECONDS, Chain, Events, Job
from fastrun.settings import DEFAULTS, RunSettings
from fastrun.text import printable

if TYPE_CHECKING:
    from fastrun.executors.snippets.snippet import Interpreter

# Seconds that snippets wait, with every thread busy, before threads are added. A chain of small snippets takes four
# times as long with 32 threads as with one: the idle threads fight for the interpreter's lock.
_PATIENCE = 0.001

# Most bytes printed and not collected before snippets that print have to wait, and seconds between two checks of that.
_UNCOLLECTED = 1 << 20
_PAUSE = 0.002

# Most snippets queued ahead of the threads, and most seconds between two ends, on average, for that. A thread that has
# to ask the loop for each trivial snippet takes ten times as long; long snippets should be chosen as late as possible.
_AHEAD = 64
_SHORT = 0.001

_ENDED_OK = (OK,)
_NOT_STARTED = (None,)


class _Step(Enum):
    """News of a task other than its output."""

    STARTED = auto()
    ENDED = auto()
    FAILED = auto()


# Looked up once, not for each snippet.
_STARTED, _ENDED, _FAILED = _Step


class SnippetExecutor:
    """Runs snippets, each in a context of its own, in a bounded pool of threads."""

    def __init__(self, guardian: Guardian, settings: RunSettings = DEFAULTS) -> None:
        """``guardian``: names the running snippets if this process dies."""
        self._guardian = guardian
        self._table = guardian.table
        self._most = settings.eval_threads
        self._slots = Slots(settings.eval_threads)
        self._jobs: SimpleQueue[Chain | None] = SimpleQueue()
        # A task's number; a stream or a _Step; the bytes, or the further arguments of ``_end``.
        self._news: deque[tuple[int, Any, Any]] = deque()
        self._awake = False
        self._threads: list[threading.Thread] = []
        self._submitted = 0
        self._taken = 0
        # Most snippets that may be queued at present beside the running ones, and the time of the last end.
        self._ahead = 0
        self._last_end = 0.0
        self._watching = False
        # By number, the tasks that count as running.
        self._unfinished: dict[int, Task] = {}
        # By number, the tasks that were given up on and whose snippets still run.
        self._abandoned: dict[int, Task] = {}
        self._uncollected = 0
        self._lock = threading.Lock()
        # Whether a failure in one thread keeps all threads from starting snippets, until the run has said whether more
        # may start.
        self._fail_fast = settings.keep_going > 0
        # Made for the first snippet.
        self._interpreter: Interpreter | None = None
        # How often snippets that had not started were to go back, and how many of these times the loop knows of.
        self._recalls = 0
        self._known_recalls = 0
        # Tasks whose failure counts as a recall already, and of which the loop has no news yet.
        self._undescribed: set[int] = set()
        # With ``fail_fast``, by the head of a chain: the recalls known when the loop handed the chain over.
        self._handed_over: dict[int, int] = {}
        self._grace = settings.grace
        self._interrupted = False
        # Whether snippets may still run once this is closed.
        self._gave_up = False
        self._closed = False

    @property
    def slots(self) -> int:
        """Return how many snippets may be queued or running at present."""
        return self._slots.number + self._ahead

    def open(self, events: Events) -> None:
        """Begin: from now on what snippets print goes to the events."""
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()

    async def start(self, chains: Sequence[Chain]) -> None:
        """Queue chains of snippets for the threads."""
        heads = [chain[0][0] for chain in chains]
        if self._interrupted:
            for number in heads:
                self._events.task_ended(number, None)
            return
        if self._interpreter is None:
            self._interpreter = self._make_interpreter()
        if not self._threads and not self._add_thread():
            outcome = Outcome(Status.FAILED, Cause.NO_THREAD)
            failed = self._slots.refused(self._events, 0, outcome.reason)
            for number in heads:
                self._events.task_ended(number, outcome if failed else None)
            return
        # Before the snippets: the first of them may end the process.
        self._guardian.begin(self._events)
        self._slots.started()
        self._unfinished.update([chain[0] for chain in chains])
        self._submitted += len(chains)
        if self._fail_fast:
            self._handed_over.update(dict.fromkeys(heads, self._known_recalls))
        for chain in chains:
            self._jobs.put(chain)
        if not self._watching and len(self._threads) < self._most:
            self._watching = True
            self._taken = self._submitted - self._jobs.qsize()
            self._loop.call_later(_PATIENCE, self._grow)

    def recall(self) -> None:
        """Take back the chains that wait for a thread. With ``fail_fast`` no thread goes on with its chain."""
        with self._lock:
            self._recalls += 1
        self._known_recalls += 1
        if not self._closed:
            # Once this is closed the queue tells the threads to end.
            self._take_back()

    def interrupt(self, number: int | None = None, *, force: bool) -> None:
        """Take back the chains that wait for a thread. With ``force`` give up on the snippets that run.

        No thread can be ended. A single task is given up on at once, and its thread replaced.
        """
        if number is not None:
            self._abandon(number)
            return
        self._interrupted = True
        if self._closed:
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
        with self._lock:
            # From now on its thread does not go on with the chain. If it has gone on already, the news says so.
            self._abandoned[number] = self._unfinished[number]
        self._collect()
        if number in self._unfinished:
            self._most += 1
            self._end(number, Outcome(Status.INTERRUPTED))
            if self._jobs.qsize():
                self._add_thread()

    def _take_back(self) -> None:
        """Give back the chains that wait for a thread."""
        while True:
            try:
                chain = self._jobs.get_nowait()
            except Empty:
                break
            if chain is not None:
                number = chain[0][0]
                self._submitted -= 1
                self._handed_over.pop(number, None)
                self._unfinished.pop(number, None)
                self._events.task_ended(number, None)

    async def close(self) -> None:
        """End the threads and put the streams back. Threads whose snippets still run end with this process."""
        self._collect()
        self._closed = True
        for number, task in self._abandoned.items():
            self._gave_up = True
            name = self._interpreter.name_thread(number) if self._interpreter is not None else ""
            runs = f"its thread {printable(name)} still runs" if name else "still runs"
            self._events.warning(f"{task.label}: {runs} after its time; it ends with this process")
        for _ in self._threads:
            self._jobs.put(None)
        if not self._gave_up:
            for thread in self._threads:
                thread.join()
        if self._interpreter is not None:
            grace = 0.0 if self._gave_up else self._grace
            await self._interpreter.close(self._guardian, grace, self._events.warning)

    # In the loop's thread

    def _make_interpreter(self) -> "Interpreter":
        from fastrun.executors.snippets.snippet import Interpreter  # 2 ms, which a run of commands does not need

        return Interpreter(self._guardian.run_id, self._print, self._recall_for if self._fail_fast else None)

    def _add_thread(self) -> bool:
        thread = threading.Thread(target=self._work, name="fastrun-eval", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._threads.append(thread)
        return True

    def _grow(self) -> None:
        """Double the threads if snippets wait and no thread has taken one since the last call."""
        if self._closed:
            return
        waiting = self._jobs.qsize()
        taken = self._submitted - waiting
        threads = len(self._threads)
        if not waiting or threads >= self._most:
            self._watching = False
            return
        if taken == self._taken:
            for _ in range(min(waiting, threads, self._most - threads)):
                if not self._add_thread():
                    # The threads that there are must do.
                    self._most = len(self._threads)
                    break
        self._taken = taken
        self._loop.call_later(_PATIENCE, self._grow)

    def _collect(self) -> None:
        """Pass the threads' news on to the events."""
        if self._closed:
            return
        # Before the first look at the news: later news wakes the loop again.
        self._awake = False
        news = self._news
        events = self._events
        collected = ended = 0
        while news:
            number, what, content = news.popleft()
            if what is _STARTED:
                events.task_started(number, FIRST_START)
            elif what is _ENDED:
                ended += 1
                self._end(number, *content)
            elif what is _FAILED:
                ended += 1
                self._end(number, content)
                # Only now: in ``_end`` the run has taken back the tasks that may not start.
                self._known_recalls += 1
            else:
                # ``print`` writes a text and the end of its line one by one.
                if news and news[0][0] == number and news[0][1] == what:
                    pieces = [content]
                    while news and news[0][0] == number and news[0][1] == what:
                        pieces.append(news.popleft()[2])
                    content = b"".join(pieces)
                collected += len(content)
                events.task_output(number, what, content)
        if collected:
            with self._lock:
                self._uncollected -= collected
        if ended:
            now = time.monotonic()
            self._ahead = _AHEAD if now - self._last_end < ended * _SHORT else 0
            self._last_end = now

    def _end(self, number: int, outcome: Outcome | None, following: Job | None = None) -> None:
        """End a task; None if it never started. ``following``: the next of its chain, which its thread runs now."""
        # A task that was given up on has ended already.
        if self._unfinished.pop(number, None) is None:
            self._abandoned.pop(number, None)
            return
        if following is not None:
            self._unfinished[following[0]] = following[1]
        self._slots.ended()
        self._events.task_ended(number, outcome)

    # In the pool's threads

    def _work(self) -> None:
        row = self._table.reserve()
        if self._interpreter is None:
            return
        run = self._interpreter.run
        PRESENT.hooks = sys.gettrace(), sys.getprofile()
        # Threads that a snippet starts inherit it, and are a script's: it waits for them. That this thread is not
        # waited for at the end of the process was decided when it was started.
        threading.current_thread()._daemonic = False  # type: ignore[attr-defined]  # noqa: SLF001
        while (chain := self._jobs.get()) is not None:
            self._run_chain(chain, row, run)
            if self._jobs.empty():
                # Else the next snippet is listed in an instant, instead of the last.
                self._table.clear(row)
            # The tasks are not held while the thread waits for the next chain.
            del chain

    def _run_chain(self, chain: Chain, row: int, run: Callable[[int, Task], Outcome]) -> None:
        news = self._news
        last = len(chain) - 1
        until = time.monotonic() + CHAIN_SECONDS if last else 0.0
        recalls = self._handed_over.pop(chain[0][0]) if self._fail_fast else None
        for position, (number, task) in enumerate(chain):
            if recalls is None:
                news.append((number, _STARTED, None))
            elif not self._begin(number, recalls):
                return
            if not self._awake:
                self._wake()
            self._table.write(row, EVAL, 0, task.name)
            # A context of its own: variables that a snippet sets do not reach the next on this thread.
            outcome = Context().run(run, number, task)
            if outcome is not OK:
                self._tell_failure(number, outcome)
                return
            if position == last:
                news.append((number, _ENDED, _ENDED_OK))
            elif not self._go_on(number, chain[position + 1], until):
                return
            if not self._awake:
                self._wake()

    def _go_on(self, number: int, following: Job, until: float) -> bool:
        """Tell that a snippet is ok. Return whether its thread goes on with the next one."""
        goes_on = not self._interrupted and time.monotonic() <= until
        with self._lock:
            if number in self._abandoned:
                goes_on = False
                self._news.append((number, _ENDED, _ENDED_OK))
            else:
                self._news.append((number, _ENDED, (OK, following)))
                if not goes_on:
                    self._news.append((following[0], _ENDED, _NOT_STARTED))
        if not goes_on:
            self._wake()
        return goes_on

    def _begin(self, number: int, recalls: int) -> bool:
        """Tell that a snippet starts, or goes back after a recall since its chain was handed over. Return which."""
        with self._lock:
            starts = recalls == self._recalls
            self._news.append((number, _STARTED, None) if starts else (number, _ENDED, _NOT_STARTED))
        if not starts:
            self._wake()
        return starts

    def _tell_failure(self, number: int, outcome: Outcome) -> None:
        if self._fail_fast:
            with self._lock:
                self._recalls += number not in self._undescribed
                self._undescribed.discard(number)
                self._news.append((number, _FAILED, outcome))
        else:
            self._news.append((number, _ENDED, (outcome,)))
        self._wake()

    def _recall_for(self, number: int) -> None:
        """Keep all threads from starting snippets, as a task has failed."""
        with self._lock:
            self._recalls += 1
            self._undescribed.add(number)

    def _print(self, number: int, stream: int, data: bytes) -> bool:
        """Pass on what a task prints, no faster than observers take it. Return False once the run is over."""
        while (self._uncollected > _UNCOLLECTED or self._events.congested) and not self._closed:
            time.sleep(_PAUSE)
        if self._closed:
            # Nothing reads what a thread prints after a run that gave up on it.
            return self._gave_up
        if data:
            with self._lock:
                self._uncollected += len(data)
            self._news.append((number, stream, data))
            self._wake()
        return True

    def _wake(self) -> None:
        """Have the loop look at the news."""
        if not self._awake and not self._closed:
            self._awake = True
            try:
                # In the run's own context: in the snippet's, what an observer prints would be the task's.
                self._loop.call_soon_threadsafe(self._collect, context=self._context)
            except RuntimeError:
                # The loop is closed: the run gave up on this thread.
                self._closed = True
