"""The state of every task, behind one setter.

Decides what may start, what is skipped and when a run is over. Knows the graph; no clock, no I/O, no loop
and not what a task does: it says what is to be done, the runner does it. Each edge is touched once or twice
in a whole run, never the tasks that remain.
"""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from fastrun.graph import Graph
from fastrun.protocols import Status

_WAITING, _READY, _RUNNING, _OK, _FAILED, _SKIPPED, _INTERRUPTED = Status


class Scheduler:
    """Counters, ready queues and skips.

    A lane is a ready queue of its own for each executor, since one that has no free slot must not hold up
    the other's tasks. Among the ready tasks of a lane the first in the document starts first.

    ``statuses``: a Status per task. ``causes``: for each skipped task the failed one at the root of it.
    ``running``: tasks running, per lane.
    """

    def __init__(self, graph: Graph, lanes: Sequence[int], lane_count: int, keep_going: int = 0) -> None:
        """``lanes``: the lane of each task, below ``lane_count``.

        ``keep_going``: stop at so many failures, 0 for never.
        """
        self._graph = graph
        self._lanes = lanes
        self._waiting_on = graph.waiting_on[:]
        self._ready: list[list[int]] = [[] for _ in range(lane_count)]
        self._failures_left = keep_going or -1
        self.statuses = bytearray(len(graph))
        self.causes: dict[int, int] = {}
        self.running = [0] * lane_count
        self.stopped = False
        for task, count in enumerate(self._waiting_on):
            if not count:
                self.statuses[task] = _READY
                self._ready[lanes[task]].append(task)
        for queue in self._ready:
            heapify(queue)

    @property
    def finished(self) -> bool:
        """Whether nothing runs and nothing more may start."""
        return not any(self.running) and (self.stopped or not any(self._ready))

    def start_next(self, lane: int) -> int | None:
        """Take the next ready task of a lane; it counts as running from now on. None if there is none."""
        if self.stopped or not self._ready[lane]:
            return None
        task = heappop(self._ready[lane])
        self._set(task, _RUNNING)
        return task

    def put_back(self, task: int) -> None:
        """Return a task that was taken and could not be started."""
        self._set(task, _READY)

    def task_ended(self, task: int, status: Status) -> list[int]:
        """Note how a running task ended. Returns the tasks that are skipped for it."""
        self._set(task, status)
        if status == _OK:
            return []
        if status == _FAILED:
            self._failures_left -= 1
            if not self._failures_left:
                self.stopped = True
        return [] if status == _INTERRUPTED else self._skip_dependents(task)

    def stop(self) -> None:
        """Let nothing more start."""
        self.stopped = True

    def close(self, status: Status) -> list[int]:
        """Give every task that has not ended this status. Returns them."""
        left = [task for task, old in enumerate(self.statuses) if old <= _RUNNING]
        for task in left:
            self._set(task, status)
        return left

    def _skip_dependents(self, cause: int) -> list[int]:
        skipped: list[int] = []
        stack = [cause]
        offsets, dependents = self._graph.offsets, self._graph.dependents
        while stack:
            task = stack.pop()
            for dependent in dependents[offsets[task] : offsets[task + 1]]:
                if self.statuses[dependent] == _WAITING:
                    self._set(dependent, _SKIPPED)
                    self.causes[dependent] = cause
                    skipped.append(dependent)
                    stack.append(dependent)
        return skipped

    def _set(self, task: int, status: Status) -> None:
        """Change a task's state, and with it the counters and queues that follow from it."""
        lane = self._lanes[task]
        if self.statuses[task] == _RUNNING:
            self.running[lane] -= 1
        self.statuses[task] = status
        if status == _RUNNING:
            self.running[lane] += 1
        elif status == _READY:
            heappush(self._ready[lane], task)
        elif status == _OK:
            offsets = self._graph.offsets
            waiting_on = self._waiting_on
            for dependent in self._graph.dependents[offsets[task] : offsets[task + 1]]:
                waiting_on[dependent] -= 1
                if not waiting_on[dependent] and self.statuses[dependent] == _WAITING:
                    self._set(dependent, _READY)


def order(graph: Graph) -> list[int]:
    """The order in which the tasks start when one runs at a time and all are ok."""
    scheduler = Scheduler(graph, bytes(len(graph)), 1)
    tasks = []
    while (task := scheduler.start_next(0)) is not None:
        scheduler.task_ended(task, _OK)
        tasks.append(task)
    return tasks
