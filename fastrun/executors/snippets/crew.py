"""The threads that run snippets, and all that they and the loop hand each other.

Knows chains and how threads share state. Does not know slots, nor what the loop makes of the news.

Chains go to the threads through one queue. News comes back through one deque, in order, and wakes the loop once for all
that has piled up::

    hand_over (loop) --jobs--> work (threads): started, output, ended --news--> take_news (loop)
"""

import asyncio
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context, copy_context
from enum import Enum, auto
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from fastrun.document.task import Task
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.guardian.table import EVAL
from fastrun.executors.present import PRESENT
from fastrun.outcome import OK, Cause, Outcome, Status
from fastrun.protocols import CHAIN_SECONDS, Chain, Events, Job
from fastrun.text import printable

if TYPE_CHECKING:
    from fastrun.executors.snippets.snippet import Interpreter

# Most bytes printed and not collected before snippets that print have to wait, and seconds between two checks of that.
_UNCOLLECTED = 1 << 20
_PAUSE = 0.002


class Step(Enum):
    """News of a task other than its output.

    WENT_ON: it is ok, and its thread goes on with its chain. FAILED: its end counts as a recall as well.
    """

    STARTED = auto()
    ENDED = auto()
    WENT_ON = auto()
    FAILED = auto()


# Looked up once, not for each snippet.
STARTED, ENDED, WENT_ON, FAILED = Step

# A task's number; a stream or a Step; the bytes, or the outcome, for ENDED None if it never started; for WENT_ON the
# next job; of a Step the time, of time.monotonic: the loop may hear of it late, as a snippet may keep the interpreter's
# lock.
News = tuple[int, Any, Any, float]


class Crew:
    """The threads of one run.

    ``jobs``: chains that wait for a thread; None ends a thread. ``interpreter``: made for the first snippet.
    ``abandoned``: by number, the tasks that were given up on and whose snippets still run.

    The loop sets the rest. ``interrupted``: no thread goes on with its chain. ``closed``: nothing takes news any more.
    """

    def __init__(self, guardian: Guardian, *, fail_fast: bool) -> None:
        """``guardian``: is told what runs.

        ``fail_fast``: a failure in one thread keeps all threads from starting snippets, until the run has said whether
        more may start.
        """
        self.jobs: SimpleQueue[Chain | None] = SimpleQueue()
        self.interpreter: Interpreter | None = None
        self.abandoned: dict[int, Task] = {}
        self.interrupted = False
        self.closed = False
        self._run_id = guardian.run_id
        self._table = guardian.table
        self._fail_fast = fail_fast
        self._news: deque[News] = deque()
        # Whether the loop is to look at the news.
        self._awake = False
        # A collection of garbage that begins while it is held may run code of snippets that prints. Most begin where an
        # object is made: the news is made before.
        self._lock = threading.RLock()
        # How often snippets that had not started were to go back.
        self._recalls = 0
        # Tasks whose failure counts as a recall already, and of which there is no news yet.
        self._undescribed: set[int] = set()
        # With ``fail_fast``, by the head of a chain: the recalls that the loop knew of when it handed the chain over.
        self._handed_over: dict[int, int] = {}
        self._uncollected = 0

    # In the loop's thread

    def open(self, events: Events, collect: Callable[[], None]) -> None:
        """Begin. ``collect``: called in the loop once there is news."""
        self._events = events
        self._collect = collect
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()

    def prepare(self) -> None:
        """Make the interpreter, unless it is made."""
        if self.interpreter is None:
            from fastrun.executors.snippets.snippet import Interpreter  # 2 ms, which a run of commands does not need

            self.interpreter = Interpreter(self._run_id, self._print, self._recall_for if self._fail_fast else None)

    def hand_over(self, chains: Sequence[Chain], recalls: int) -> None:
        """Queue chains for the threads. ``recalls``: how many the loop knows of."""
        if self._fail_fast:
            self._handed_over.update([(chain[0][0], recalls) for chain in chains])
        for chain in chains:
            self.jobs.put(chain)

    def take_back(self) -> Iterator[Chain]:
        """Take the chains that wait for a thread out of the queue, and yield them.

        Not to be called once the queue tells threads to end.
        """
        while True:
            try:
                chain = self.jobs.get_nowait()
            except Empty:
                return
            if chain is not None:
                self._handed_over.pop(chain[0][0], None)
                yield chain

    def take_news(self) -> deque[News]:
        """Return the news, to be emptied. Later news wakes the loop again."""
        self._awake = False
        return self._news

    def collected(self, length: int) -> None:
        """Note how many bytes of the output in the news have been passed on."""
        with self._lock:
            self._uncollected -= length

    def abandon(self, number: int, task: Task) -> None:
        """Have a task's thread end with it. If it has gone on with the task's chain already, the news says so."""
        with self._lock:
            self.abandoned[number] = task

    def recall(self) -> None:
        """With ``fail_fast``, keep all threads from starting what was handed over."""
        with self._lock:
            self._recalls += 1

    # In the pool's threads

    def work(self) -> None:
        """Run chains, until None comes instead of one."""
        row = self._table.reserve()
        if self.interpreter is None:
            return
        run = self.interpreter.run
        PRESENT.hooks = sys.gettrace(), sys.getprofile()
        # Threads that a snippet starts inherit it, and are a script's: it waits for them. That this thread is not
        # waited for at the end of the process was decided when it was started.
        threading.current_thread()._daemonic = False  # type: ignore[attr-defined]  # noqa: SLF001
        while (chain := self.jobs.get()) is not None:
            try:
                self._run_chain(chain, row, run)
            except BaseException as error:
                self._break_off(chain, error)
            if self.jobs.empty():
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
                news.append((number, STARTED, None, time.monotonic()))
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
            if self._undescribed:
                self._take_back_recall(number)
            if position == last:
                news.append((number, ENDED, OK, time.monotonic()))
            elif not self._go_on(number, chain[position + 1], until):
                return
            if not self._awake:
                self._wake()

    def _break_off(self, chain: Chain, error: BaseException) -> None:
        """Tell that fastrun itself has failed in a chain: without an end the run would wait for ever."""
        from fastrun.executors.snippets.tracebacks import safe_repr  # as above: it is loaded by now

        outcome = Outcome(Status.FAILED, Cause.INTERNAL_ERROR, printable(safe_repr(error)))
        # The loop passes over those that have ended or do not run yet.
        for number, _ in chain:
            self._tell_failure(number, outcome)

    def _begin(self, number: int, recalls: int) -> bool:
        """Tell that a snippet starts, or goes back after a recall since its chain was handed over. Return which."""
        started = number, STARTED, None, time.monotonic()
        with self._lock:
            starts = recalls == self._recalls
            if starts:
                self._news.append(started)
        if not starts:
            self._news.append((number, ENDED, None, time.monotonic()))
            self._wake()
        return starts

    def _go_on(self, number: int, following: Job, until: float) -> bool:
        """Tell that a snippet is ok. Return whether its thread goes on with the next one."""
        now = time.monotonic()
        went_on = number, WENT_ON, following, now
        with self._lock:
            abandoned = number in self.abandoned
            if not abandoned:
                self._news.append(went_on)
        if not abandoned and not self.interrupted and now <= until:
            return True
        self._news.append((number, ENDED, OK, now) if abandoned else (following[0], ENDED, None, now))
        self._wake()
        return False

    def _tell_failure(self, number: int, outcome: Outcome) -> None:
        now = time.monotonic()
        ended = number, FAILED if self._fail_fast else ENDED, outcome, now
        if self._fail_fast:
            with self._lock:
                self._recalls += number not in self._undescribed
                self._undescribed.discard(number)
                self._news.append(ended)
        else:
            self._news.append(ended)
        self._wake()

    def _recall_for(self, number: int) -> None:
        """Keep all threads from starting snippets: a task has failed. Its failure is described later.

        A task may fail again at its end, which counts once.
        """
        with self._lock:
            self._recalls += number not in self._undescribed
            self._undescribed.add(number)

    def _take_back_recall(self, number: int) -> None:
        """Let threads go on if a task had failed: it is ok after all, as its ``sys.excepthook`` has left with 0."""
        with self._lock:
            self._recalls -= number in self._undescribed
            self._undescribed.discard(number)

    def _print(self, number: int, stream: int, data: bytes) -> bool:
        """Pass on what a task prints, no faster than observers take it. Return False once the run is over."""
        while (self._uncollected > _UNCOLLECTED or self._events.congested) and not self.closed:
            time.sleep(_PAUSE)
        if self.closed:
            return False
        if data:
            with self._lock:
                self._uncollected += len(data)
            self._news.append((number, stream, data, 0.0))
            self._wake()
        return True

    def _wake(self) -> None:
        """Have the loop look at the news."""
        if not self._awake and not self.closed:
            self._awake = True
            try:
                # In the run's own context: in the snippet's, observers would find the variables that it has set.
                self._loop.call_soon_threadsafe(self._collect, context=self._context)
            except BaseException:
                # A snippet at its recursion limit has no frames left for that: the next news tries again.
                self._awake = False
                if not self._loop.is_closed():
                    raise
                # The run gave up on this thread.
                self.closed = True
