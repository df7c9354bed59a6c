"""The tails: the last output of tasks that failed, for reports that show it.

Knows bytes, and the numbers of tasks. Memory is bounded, however much the tasks print and however many of them fail.
"""

from typing import NamedTuple

from fastrun.document.task import Task
from fastrun.observers.frames import last_bytes, last_lines
from fastrun.text import seen, shown

# Default of the most bytes that are kept of one task's output, and of the most lines that are shown.
EACH = 64 << 10
LINES = 200

# Most bytes kept of all ended tasks together, and of all running tasks together.
_ENDED = 3 << 20
_RUNNING = 32 << 20


class Tail(NamedTuple):
    """The last output of a task, both streams in the order in which it came.

    ``cut``: whether it is not all.
    """

    data: bytes
    cut: bool

    def text(self, task: Task, most: int = LINES) -> tuple[str, bool]:
        """Return the last lines, safe to show, and whether they are not all."""
        lines = last_lines(self.data, most, task)
        text = "\n".join(shown(seen(line.decode(errors="replace"))) for line in lines)
        return text, self.cut or self.data.count(b"\n", 0, -1) >= most


class Tails:
    """Keeps the last output of running tasks, and of ended tasks where that is asked for.

    ``kept``: by number, the tails of ended tasks.
    """

    def __init__(self, *, each: int = EACH, running: int = _RUNNING, ended: int = _ENDED) -> None:
        """``each``, ``running``, ``ended``: most bytes of one task, of all running tasks, and of all in ``kept``."""
        self._each = each
        self._running_bytes = running
        self._bytes_left = ended
        self._running_tasks: dict[int, Task] = {}
        # By number of each running task that has printed something: its last output, and the length of all its output.
        self._tails: dict[int, bytearray] = {}
        self._lengths: dict[int, int] = {}
        self.kept: dict[int, Tail] = {}

    def begin(self, number: int, task: Task) -> None:
        """Keep the output of a task from now on."""
        self._running_tasks[number] = task

    def add(self, number: int, data: bytes) -> None:
        """Add output of a task. Output of a task that does not run is not kept."""
        task = self._running_tasks.get(number)
        if task is None:
            return
        tail = self._tails.setdefault(number, bytearray())
        self._lengths[number] = self._lengths.get(number, 0) + len(data)
        limit = min(self._each, self._running_bytes // (2 * len(self._tails)))
        # Cut only now and then: otherwise every line would move all the kept bytes.
        if len(tail) + len(data) > 2 * limit:
            tail[:] = last_bytes(tail, data, limit, task)
        else:
            tail += data

    def end(self, number: int, *, keep: bool) -> None:
        """Note that a task has ended. ``keep``: whether to keep its last output."""
        task = self._running_tasks.pop(number, None)
        tail = self._tails.pop(number, None)
        length = self._lengths.pop(number, 0)
        if task is None or tail is None or not keep:
            return
        # If very many tasks fail, each gets less than the task before, and none takes all that is left.
        limit = min(self._each, self._bytes_left // 16)
        data = last_bytes(tail, b"", limit, task)
        self._bytes_left -= len(data)
        self.kept[number] = Tail(data, length > len(data))
