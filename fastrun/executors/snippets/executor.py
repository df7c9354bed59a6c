"""The executor of ``eval`` tasks: Python snippets in threads of this process.

Does not use ``loop.run_in_executor``: it costs five times as much per snippet, wakes the loop for each, and hangs when
a snippet raises StopIteration. Knows threads, streams and tracebacks; not dependencies, nor the readers of output.

Jobs go to the threads through one queue. What happens there comes back through one deque, in order, and wakes the loop
once for all news that has piled up::

    start --_jobs--> _work (thread): started, output, ended --_news--> _collect (loop)
"""

import asyncio
import builtins
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextvars import Context, copy_context
from enum import Enum, auto
from queue import Empty, SimpleQueue
from types import CodeType
from typing import Any

from fastrun.document.task import Task
from fastrun.executors.context import OUTPUT
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.guardian.table import EVAL
from fastrun.executors.shortage import Slots
from fastrun.executors.snippets.streams import install, uninstall
from fastrun.executors.snippets.tracebacks import SNIPPET_FILE, safe_text, traceback_text
from fastrun.outcome import FIRST_START, OK, Cause, Outcome, Status
from fastrun.protocols import CHAIN_SECONDS, STDERR, Chain, Events, Job
from fastrun.settings import DEFAULTS, RunSettings
from fastrun.text import printable

# Seconds that snippets wait, with every thread busy, before threads are added. A chain of small snippets takes four
# times as long with 32 threads as with one: the idle threads fight for the lock.
_PATIENCE = 0.001

# Most code objects kept, for the first sources of a run, and most characters of a source whose code object is kept.
# Replacing old ones would cost each of many different snippets 0.4 us.
_CODES_KEPT = 1024
_LONGEST_KEPT = 1 << 14

# Most bytes printed and not yet collected before snippets that print have to wait, and seconds between their looks.
_UNCOLLECTED = 1 << 20
_PAUSE = 0.002

# Most snippets queued ahead of threads, and most seconds between two ends for that. A thread that has to ask the loop
# for each trivial snippet takes ten times as long; long snippets should be chosen as late as possible.
_AHEAD = 64
_SHORT = 0.001

_ENDED_OK = (OK,)
_NOT_STARTED = (None,)


class _Step(Enum):
    """What news can tell of a task beside its output."""

    STARTED = auto()
    ENDED = auto()
    FAILED = auto()


# Looked up once, not for each snippet.
_STARTED, _ENDED, _FAILED = _Step


class SnippetExecutor:
    """Runs snippets, each in a fresh namespace and context, in a bounded pool of threads."""

    def __init__(self, guardian: Guardian, settings: RunSettings = DEFAULTS) -> None:
        """``guardian``: names the snippets that run if this process dies."""
        self._guardian = guardian
        self._table = guardian.table
        self._most = settings.eval_threads
        self._slots = Slots(settings.eval_threads)
        self._jobs: SimpleQueue[Chain | None] = SimpleQueue()
        # A task's number; a stream or a _Step; the bytes, or what ``_end`` takes beside the number.
        self._news: deque[tuple[int, Any, Any]] = deque()
        self._awake = False
        self._threads: list[threading.Thread] = []
        self._submitted = 0
        self._taken = 0
        # Most snippets that may be queued at present beside those that run, and when the last ended.
        self._ahead = 0
        self._last_end = 0.0
        self._watching = False
        # The tasks that count as running, by number.
        self._unfinished: dict[int, Task] = {}
        # Tasks given up on whose snippets still run.
        self._abandoned: dict[int, Task] = {}
        self._codes: dict[str, CodeType] = {}
        self._uncollected = 0
        self._lock = threading.Lock()
        # Whether no thread may start a snippet from the moment that a failure is known in another one until the run has
        # said whether more may start.
        self._fail_fast = settings.keep_going > 0
        # How often snippets that had not started were to go back, and how many of these times the loop knows of.
        self._recalls = 0
        self._known_recalls = 0
        # Tasks whose failure counts as a recall already, and has not been told.
        self._undescribed: set[int] = set()
        # With ``fail_fast``, by the head of a chain: what the loop knew when it handed the chain over.
        self._handed_over: dict[int, int] = {}
        self._interrupted = False
        self._gave_up = False
        self._closed = False

    @property
    def slots(self) -> int:
        """Return how many snippets may be queued or running at present."""
        return self._slots.number + self._ahead

    def open(self, events: Events) -> None:
        """Route ``sys.stdout``, ``sys.stderr`` and new threads to the task that uses them."""
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._process = os.getpid()
        install()

    async def start(self, chains: Sequence[Chain]) -> None:
        """Run snippets; failed if they raise anything."""
        heads = [chain[0][0] for chain in chains]
        if self._interrupted:
            self._return(heads)
            return
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
        """Take back what waits for a thread. With ``fail_fast`` threads go on with no chain."""
        with self._lock:
            self._recalls += 1
        self._known_recalls += 1
        if not self._closed:
            # What is queued afterwards tells the threads to end.
            self._take_back()

    def interrupt(self, number: int | None = None, *, force: bool) -> None:
        """Take back what waits for a thread; with ``force`` give up on what runs: no thread can be ended.

        One task alone is given up on at once, and its thread replaced.
        """
        if number is not None:
            self._abandon(number)
            return
        self._interrupted = True
        if self._closed:
            # What is queued now tells the threads to end.
            return
        self._take_back()
        if force:
            self._collect()
            self._gave_up = bool(self._unfinished)
            for number in list(self._unfinished):
                self._end(number, Outcome(Status.INTERRUPTED))

    def suspend(self, *, resume: bool) -> None:
        """Do nothing: snippets stop with their process."""

    def _abandon(self, number: int) -> None:
        """Give up on a task that runs, and add a thread instead of its own."""
        if number not in self._unfinished:
            return
        with self._lock:
            # From now on its thread does not go on with the chain. If it has done so already, the news says so.
            self._abandoned[number] = self._unfinished[number]
        self._collect()
        if number in self._unfinished:
            self._most += 1
            self._end(number, Outcome(Status.INTERRUPTED))
            if self._jobs.qsize():
                self._add_thread()

    def _take_back(self) -> None:
        """Take back from the pool the snippets that wait there for a thread."""
        while True:
            try:
                chain = self._jobs.get_nowait()
            except Empty:
                break
            if chain is not None:
                self._submitted -= 1
                self._handed_over.pop(chain[0][0], None)
                self._unfinished.pop(chain[0][0], None)
                self._return([chain[0][0]])

    def _return(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._events.task_ended(number, None)

    async def close(self) -> None:
        """Let the threads end and put the streams back. Threads still busy end with the process."""
        self._collect()
        self._closed = True
        for task in self._abandoned.values():
            self._gave_up = True
            self._events.warning(f"{task.label}: still runs after its time; it ends with this process")
        for _ in self._threads:
            self._jobs.put(None)
        if not self._gave_up:
            for thread in self._threads:
                thread.join()
        uninstall()

    # In the loop's thread

    def _add_thread(self) -> bool:
        thread = threading.Thread(target=self._work, name="fastrun-eval", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._threads.append(thread)
        return True

    def _grow(self) -> None:
        """Add threads if snippets wait and no thread took one since the last look: as many as there are."""
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
                    # Go on with the threads that there are.
                    self._most = len(self._threads)
                    break
        self._taken = taken
        self._loop.call_later(_PATIENCE, self._grow)

    def _collect(self) -> None:
        """Pass on what has happened in the threads."""
        if self._closed:
            return
        # Before the first look: news that comes after the last look wakes the loop again.
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
                # Only now: by this the run has recalled what may not start.
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
        """End a task; None if it never started. ``following``: the next of its chain, which its thread runs."""
        # Not if the run gave up on it before.
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
        while (chain := self._jobs.get()) is not None:
            self._run_chain(chain, row)
            # Not held while waiting for the next.
            del chain

    def _run_chain(self, chain: Chain, row: int) -> None:
        news = self._news
        last = len(chain) - 1
        until = time.monotonic() + CHAIN_SECONDS if last else 0.0
        recalls = self._handed_over.pop(chain[0][0]) if self._fail_fast else None
        for place, (number, task) in enumerate(chain):
            if recalls is None:
                news.append((number, _STARTED, None))
            elif not self._begin(number, recalls):
                return
            if not self._awake:
                self._wake()
            self._table.write(row, EVAL, 0, task.name)
            # A context of its own: what a snippet sets in one does not reach the next on this thread.
            outcome = Context().run(self._execute, number, task)
            self._table.clear(row)
            if os.getpid() != self._process:
                # This is a copy made by a snippet that forked: it must not go on as a second runner.
                os._exit(0 if outcome.status == Status.OK else 1)
            if outcome is not OK:
                self._tell_failure(number, outcome)
                return
            if place == last:
                news.append((number, _ENDED, _ENDED_OK))
            elif not self._go_on(number, chain[place + 1], until):
                return
            if not self._awake:
                self._wake()

    def _go_on(self, number: int, following: Job, until: float) -> bool:
        """Tell that a snippet is ok. Returns whether its thread goes on with the next one."""
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
        """Tell that a snippet starts, or that it goes back if there was a recall since its chain was handed over."""
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

    def _execute(self, number: int, task: Task) -> Outcome:
        OUTPUT.set((self._print, number))
        try:
            source = task.arguments
            code = self._codes.get(source)
            if code is None:
                code = compile(source, SNIPPET_FILE, "exec", dont_inherit=True)
                if len(self._codes) < _CODES_KEPT and len(source) <= _LONGEST_KEPT:
                    self._codes[source] = code
            exec(code, {"__name__": "__main__", "__builtins__": builtins})
        except BaseException as error:
            if self._fail_fast and not isinstance(error, SystemExit):
                # Not only once it is described, which takes a while.
                with self._lock:
                    self._recalls += 1
                    self._undescribed.add(number)
            try:
                return self._failed(number, task, error)
            except BaseException:
                # Its name, its code and its text are the snippet's as well, and may raise anything.
                return Outcome(Status.FAILED, Cause.EXCEPTION, "an exception that cannot be described")
        return OK

    def _failed(self, number: int, task: Task, error: BaseException) -> Outcome:
        if isinstance(error, SystemExit):
            if error.code is None or error.code == 0:
                return OK
            text = "" if isinstance(error.code, int) else f"{safe_text(error.code)}\n"
        else:
            if isinstance(error, SyntaxError) and error.filename == SNIPPET_FILE:
                error.filename = f"<task {task.label}>"
            text = traceback_text(task, error)
        self._print(number, STDERR, text.encode("utf-8", "backslashreplace"))
        message = safe_text(error)
        name = safe_text(type(error).__name__)
        return Outcome(Status.FAILED, Cause.EXCEPTION, printable(f"{name}: {message}" if message else name))

    def _print(self, number: int, stream: int, data: bytes) -> bool:
        """Pass on what a task prints, slowed down to what is taken. Return False once the run is over."""
        while (self._uncollected > _UNCOLLECTED or self._events.congested) and not self._closed:
            time.sleep(_PAUSE)
        if self._closed:
            # After a run that gave up on this thread nothing reads what it prints.
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
