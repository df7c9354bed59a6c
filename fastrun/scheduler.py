"""The state of every task, behind one setter.

Decides what may start, what is skipped and when a run is over. Knows the graph; no clock, no I/O, no loop
and not what a task does: it says what is to be done, the runner does it. Its work is proportional to the edges
of the tasks that change, never to the tasks that remain.
"""

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

from fastrun.graph import Graph
from fastrun.protocols import Status

_WAITING, _READY, _RUNNING, _OK, _FAILED, _SKIPPED, _INTERRUPTED = Status

# Tasks handed over in one chain: enough that what a chain saves is saved for nearly all of its tasks. Its head
# alone takes a slot.
LONGEST_CHAIN = 64


class _ReadyQueue:
    """Tasks in the order in which they should start: by rank, in the order of the document where that is equal.

    Those of the beginning, often nearly all that there are, are only sorted: no heap is as cheap.
    """

    def __init__(self, graph: Graph, tasks: list[int]) -> None:
        self._ranks = graph.ranks
        self._size = len(graph)
        self._first = sorted(map(self._key, tasks) if self._ranks else tasks, reverse=True)
        self._heap: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._first or self._heap)

    def push(self, task: int) -> None:
        heappush(self._heap, self._key(task) if self._ranks else task)

    def pop(self) -> int:
        heap, first = self._heap, self._first
        key = heappop(heap) if heap and not (first and first[-1] < heap[0]) else first.pop()
        return key % self._size

    def _key(self, task: int) -> int:
        return self._ranks[task] * self._size + task


class Scheduler:
    """Counters, ready queues and skips.

    A lane is a ready queue of its own for each executor, since one that has no free slot must not hold up
    the other's tasks. Among the ready tasks of a lane that with the lowest rank starts first, see ``Graph``.

    Tasks are handed out in chains, of one task each while others wait for a slot. In a longer one each task behind
    the first, the head, waits for nothing but the one before it and is all that becomes ready by that one: it may
    be started at once when that one is ok, and counts as running from then on. If it is not started, it is put
    back, and the rest of the chain is undone.

    ``statuses``: a Status per task. ``causes``: for each skipped task the failed one at the root of it.
    ``running``: tasks running, per lane.
    """

    def __init__(
        self,
        graph: Graph,
        lanes: Sequence[int],
        lane_count: int,
        keep_going: int = 0,
        *,
        reused: Iterable[int] = (),
        longest_chain: int = LONGEST_CHAIN,
    ) -> None:
        """``lanes``: the lane of each task, below ``lane_count``.

        ``keep_going``: stop at so many failures, 0 for never. ``reused``: tasks that are ok from the start, and with
        each all that it depends on.
        """
        self._graph = graph
        self._lanes = lanes
        self._waiting_on = graph.waiting_on[:]
        self._failures_left = keep_going or -1
        self._longest_chain = longest_chain
        # By task in a chain: the one behind it.
        self._next: dict[int, int] = {}
        self.statuses = bytearray(len(graph))
        self.causes: dict[int, int] = {}
        self.running = [0] * lane_count
        self.stopped = False
        first: list[list[int]] = [[] for _ in range(lane_count)]
        offsets, dependents = graph.offsets, graph.dependents
        for task in reused:
            self.statuses[task] = _OK
            for dependent in dependents[offsets[task] : offsets[task + 1]]:
                self._waiting_on[dependent] -= 1
        for task, count in enumerate(self._waiting_on):
            if not count and self.statuses[task] == _WAITING:
                self.statuses[task] = _READY
                first[lanes[task]].append(task)
        self._ready = [_ReadyQueue(graph, tasks) for tasks in first]

    @property
    def finished(self) -> bool:
        """Whether nothing runs and nothing more may start."""
        return not any(self.running) and (self.stopped or not any(self._ready))

    @property
    def has_work(self) -> bool:
        """Whether the runner has something to do: tasks are ready, or nothing runs any more."""
        return any(self._ready) or not any(self.running)

    def start(self, lane: int, most: int) -> list[list[int]]:
        """Take the next ready tasks of a lane, at most so many, each as the head of a chain.

        The heads count as running from now on.
        """
        chains: list[list[int]] = []
        queue = self._ready[lane]
        while queue and len(chains) < most and not self.stopped:
            task = queue.pop()
            self._set(task, _RUNNING)
            chains.append([task])
        if not queue:
            # Who waits for a slot would wait for the whole chain.
            for chain in chains:
                self._extend(chain)
        return chains

    def put_back(self, task: int) -> None:
        """Return a task that counts as running and was not started; its chain is undone."""
        self._set(task, _READY)
        self._break_chain(task)

    def task_ended(self, task: int, status: Status) -> list[int]:
        """Note how a running task ended. Returns the tasks that are skipped for it."""
        self._set(task, status)
        if status == _OK:
            return []
        self._break_chain(task)
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

    def _extend(self, chain: list[int]) -> None:
        """Add to the head of a chain what may run behind it."""
        task = chain[0]
        offsets, dependents, waiting_on = self._graph.offsets, self._graph.dependents, self._waiting_on
        lane, statuses = self._lanes[task], self.statuses
        while len(chain) < self._longest_chain:
            following = -1
            for edge in range(offsets[task], offsets[task + 1]):
                dependent = dependents[edge]
                if waiting_on[dependent] == 1:
                    if following >= 0:
                        # Several could run side by side.
                        return
                    following = dependent
            if following < 0 or statuses[following] != _WAITING or self._lanes[following] != lane:
                return
            self._next[task] = following
            chain.append(following)
            task = following

    def _break_chain(self, task: int) -> None:
        """Let the tasks behind this one become ready by themselves."""
        following = self._next.pop(task, None)
        while following is not None:
            following = self._next.pop(following, None)

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
            self._ready[lane].push(task)
        elif status == _OK:
            first, end = self._graph.offsets[task], self._graph.offsets[task + 1]
            if first == end:
                return
            waiting_on = self._waiting_on
            following = self._next.pop(task, None)
            for dependent in self._graph.dependents[first:end]:
                waiting_on[dependent] -= 1
                if not waiting_on[dependent] and self.statuses[dependent] == _WAITING:
                    self._set(dependent, _RUNNING if dependent == following else _READY)


def order(graph: Graph, reused: Iterable[int] = ()) -> list[int]:
    """The order in which the tasks start when one runs at a time and all are ok. ``reused``: as for ``Scheduler``."""
    scheduler = Scheduler(graph, bytes(len(graph)), 1, reused=reused)
    tasks = []
    while chains := scheduler.start(0, 1):
        for task in chains[0]:
            scheduler.task_ended(task, _OK)
            tasks.append(task)
    return tasks
