"""The state of every task, behind one setter.

Decides which tasks may start, which are skipped and when a run is over; the runner acts on it. Knows the graph; no
clock, no I/O, no loop and not what a task does. Its work is proportional to the edges of the tasks that change, never
to the tasks that remain.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from heapq import heappop, heappush

from fastrun.outcome import Cause, Status
from fastrun.plan.conditions import NOT_NEEDED, TOO_MANY, Conditions, Skip
from fastrun.plan.graph import Graph

# Compared with a byte, an int takes half as long as a member of an enum.
_WAITING, _READY, _RUNNING, _OK, _FAILED, _SKIPPED, _INTERRUPTED = map(int, Status)


# Most tasks in one chain, unless the executor says otherwise. All but its head save the way back to the scheduler: with
# 64, that is nearly all of them.
LONGEST_CHAIN = 64


class Phase(IntEnum):
    """The phase of a run. A run never goes back to an earlier phase."""

    # All tasks may start.
    RUNNING = 0
    # Too many tasks have failed: only tasks that run after a failure may start.
    CLOSING = 1
    # No task starts; running tasks may come to their end, or are asked to end.
    STOPPING = 2
    # Running tasks are made to end.
    KILLING = 3


class _ReadyQueue:
    """Ready tasks in the order of their starts: by rank, tasks of equal rank in the order of the document.

    The first tasks, often nearly all, are only sorted: no heap is as cheap.
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

    def take(self, most: int) -> list[int]:
        """Pop tasks, at most ``most`` and at least one. The queue must not be empty."""
        if self._heap:
            return [self.pop()]
        keys = self._first[-most:]
        del self._first[-most:]
        return [key % self._size for key in reversed(keys)]

    def _key(self, task: int) -> int:
        return self._ranks[task] * self._size + task


class _Pool:
    """A named limit. ``free``: how many more tasks may run. ``waiting``: ready tasks that wait for it alone."""

    def __init__(self, graph: Graph, limit: int) -> None:
        self.free = limit
        self.waiting = _ReadyQueue(graph, [])


class Scheduler:
    """Counters, ready queues and skips.

    Each executor has a lane, a ready queue of its own: an executor without a free slot must not hold up the tasks of
    another. The ready task of a lane with the lowest rank starts first, see ``Graph``.

    Tasks start in chains. While other tasks wait for a slot, each chain is one task. In a longer chain each task behind
    the first, the head, waits for nothing but the task before it, and is all that becomes ready by that task. It may
    start as soon as that task is ok, and counts as running from then on. If it does not start, it is put back, and the
    rest of the chain is undone.

    ``statuses``: a Status per task. ``skips``: for each skipped task, why. ``unneeded``: tasks that are skipped from
    the start, because no task can fail that they are meant to follow. ``allowed``: how many tasks have failed and were
    allowed to. ``not_needed``: how many tasks are skipped because no task failed that they are meant to follow.
    ``running``: how many tasks run, per lane. ``pooled``: tasks that had to wait for a pool. ``phase``: changed by
    ``enter`` alone.
    """

    def __init__(
        self,
        graph: Graph,
        lanes: Sequence[int],
        lane_count: int,
        keep_going: int = 0,
        *,
        reused: Iterable[int] = (),
        longest_chains: Sequence[int] = (),
    ) -> None:
        """``lanes``: the lane of each task, below ``lane_count``.

        ``keep_going``: how many failures stop the run, 0 for never. ``reused``: tasks that are ok from the start; so
        are all that they depend on. ``longest_chains``: by lane, the most tasks in a chain.
        """
        self._offsets, self._dependents = graph.offsets, graph.dependents
        self._lanes = lanes
        self._waiting_on = graph.waiting_on[:]
        self._failures_left = keep_going or -1
        self._longest_chains = longest_chains or [LONGEST_CHAIN] * lane_count
        # By task in a chain, the task behind it.
        self._next: dict[int, int] = {}
        pools = {name: _Pool(graph, limit) for name, limit in graph.pools.items()}
        self._limits = list(pools.values())
        special = [(number, graph.tasks[number]) for number in graph.special]
        self._pools = {number: pools[task.pool] for number, task in special if task.pool is not None}
        self._may_fail = {number for number, task in special if task.allow_failure}
        # None where all tasks run when their dependencies are ok, as they do in most documents.
        conditions = Conditions(graph)
        self._conditions = conditions if conditions.when else None
        # How many tasks wait to be tried again. They neither run nor are ready.
        self._held = 0
        self.statuses = bytearray(len(graph))
        self.skips: dict[int, Skip] = {}
        self.allowed = 0
        self.not_needed = 0
        self.running = [0] * lane_count
        self.pooled: set[int] = set()
        self.phase = Phase.RUNNING
        first: list[list[int]] = [[] for _ in range(lane_count)]
        for task in reused:
            self.statuses[task] = _OK
            for dependent in graph.dependents_of(task):
                self._waiting_on[dependent] -= 1
        unneeded = []
        for task, count in enumerate(self._waiting_on):
            if not count and self.statuses[task] == _WAITING:
                if conditions.when.get(task) == "failed":
                    unneeded.append(task)
                else:
                    self.statuses[task] = _READY
                    first[lanes[task]].append(task)
        self._ready = [_ReadyQueue(graph, tasks) for tasks in first]
        self.unneeded: list[int] = []
        for task in unneeded:
            self._skip(task, NOT_NEEDED, self.unneeded)
            self._tell(task, NOT_NEEDED, self.unneeded)

    @property
    def finished(self) -> bool:
        """Return whether no task runs and none may start."""
        return not any(self.running) and (self.phase >= Phase.STOPPING or not (self._held or any(self._ready)))

    @property
    def has_work(self) -> bool:
        """Return whether the runner has something to do: tasks are ready, or no task runs any more."""
        return any(self._ready) or not any(self.running)

    def start(self, lane: int, most: int) -> list[list[int]]:
        """Take the next ready tasks of a lane, at most ``most``, each as the head of a chain.

        The heads count as running from now on.
        """
        chains: list[list[int]] = []
        queue = self._ready[lane]
        if self.phase >= Phase.STOPPING:
            return chains
        while queue and len(chains) < most:
            for task in queue.take(most - len(chains)):
                if self._pools:
                    pool = self._pools.get(task)
                    if pool is not None and not pool.free:
                        pool.waiting.push(task)
                        self.pooled.add(task)
                        continue
                self._set(task, _RUNNING)
                chains.append([task])
        if not queue and self.phase is Phase.RUNNING:
            # While a task waits for a slot chains are not extended: it would wait for a whole chain.
            for chain in chains:
                self._extend(chain)
        return chains

    def put_back(self, task: int) -> list[int]:
        """Make a task ready again that counts as running and has not started. Its chain is undone.

        Return the tasks that are skipped for it: also the task itself if it may not start any more.
        """
        skipped: list[int] = []
        self._break_chain(task)
        if self._ends_early(task):
            self._skip(task, TOO_MANY, skipped)
            self._tell(task, TOO_MANY, skipped)
        else:
            self._set(task, _READY)
        return skipped

    def hold(self, task: int) -> None:
        """Let a running task wait until ``release``: this attempt at it has ended, and another follows."""
        self._break_chain(task)
        self._set(task, _WAITING)
        self._held += 1

    def release(self, task: int) -> None:
        """Make a held task ready again."""
        self._held -= 1
        self._set(task, _READY)

    def task_ended(self, task: int, status: Status) -> list[int]:
        """End a running or held task. Return the tasks that are skipped for it, see ``skips``."""
        skipped: list[int] = []
        if status is Status.OK:
            self._set(task, _OK)
            if self._offsets[task] != self._offsets[task + 1]:
                self._let_go(task, skipped)
            return skipped
        if self.statuses[task] == _WAITING:
            self._held -= 1
        self._break_chain(task)
        self._set(task, status)
        if status == _FAILED and task in self._may_fail:
            self.allowed += 1
            self._let_go(task, skipped)
        elif status == _FAILED:
            self._failures_left -= 1
            self._tell(task, Skip(Cause.DEPENDENCY, task), skipped)
            if not self._failures_left:
                self._close_early(skipped)
        return skipped

    def enter(self, phase: Phase) -> None:
        """Go on to a phase, unless the run is in a later phase already."""
        self.phase = max(self.phase, phase)

    def close(self, status: Status) -> list[int]:
        """Give this status to every task that has not ended. Return these tasks."""
        left = [task for task, old in enumerate(self.statuses) if old <= _RUNNING]
        for task in left:
            self._set(task, status)
        return left

    def _extend(self, chain: list[int]) -> None:
        """Add tasks to the head of a chain that may run behind it."""
        task = chain[0]
        offsets, dependents, waiting_on = self._offsets, self._dependents, self._waiting_on
        lane, statuses = self._lanes[task], self.statuses
        # For each task outside the chain: how many tasks of the chain it waits for.
        met: dict[int, int] = {}
        longest = self._longest_chains[lane]
        while len(chain) < longest:
            following = -1
            first, end = offsets[task], offsets[task + 1]
            for edge in range(first, end):
                dependent = dependents[edge]
                if waiting_on[dependent] == 1 or (met and waiting_on[dependent] - met.get(dependent, 0) == 1):
                    if following >= 0:
                        # Several could run side by side.
                        return
                    following = dependent
            if following < 0 or statuses[following] != _WAITING or self._lanes[following] != lane:
                return
            if following in self._pools or not (self._conditions is None or self._conditions.allow_chain(following)):
                return
            if end - first > 1:
                for dependent in dependents[first:end]:
                    met[dependent] = met.get(dependent, 0) + 1
            self._next[task] = following
            chain.append(following)
            task = following

    def _break_chain(self, task: int) -> None:
        """Undo a chain behind a task: the tasks there become ready by themselves."""
        following = self._next.pop(task, None)
        while following is not None:
            following = self._next.pop(following, None)

    def _let_go(self, task: int, skipped: list[int]) -> None:
        """Tell the dependents of a task that it has ended and counts as ok."""
        if self._conditions is not None:
            self._tell(task, None, skipped)
            return
        waiting_on = self._waiting_on
        following = self._next.pop(task, None)
        for dependent in self._dependents[self._offsets[task] : self._offsets[task + 1]]:
            waiting_on[dependent] -= 1
            if not waiting_on[dependent] and self.statuses[dependent] == _WAITING:
                self._set(dependent, _RUNNING if dependent == following else _READY)

    def _tell(self, task: int, skip: Skip | None, skipped: list[int]) -> None:
        """Tell the dependents of a task that it has ended. Do the same for each dependent that is skipped for it.

        ``skip``: why its dependents are skipped; None if it counts as ok.
        """
        stack = [(task, skip)]
        conditions, closing = self._conditions, self.phase is Phase.CLOSING
        offsets, dependents, waiting_on = self._offsets, self._dependents, self._waiting_on
        while stack:
            task, skip = stack.pop()
            following = self._next.pop(task, None) if skip is None else None
            for dependent in dependents[offsets[task] : offsets[task + 1]]:
                waiting_on[dependent] -= 1
                if self.statuses[dependent] != _WAITING:
                    continue
                if conditions is None:
                    why = skip
                else:
                    last = not waiting_on[dependent]
                    why = conditions.why_skipped(dependent, skip, last=last, closing=closing and dependent != following)
                if why is not None:
                    self._skip(dependent, why, skipped)
                    stack.append((dependent, why))
                elif not waiting_on[dependent]:
                    self._set(dependent, _RUNNING if dependent == following else _READY)

    def _skip(self, task: int, why: Skip, skipped: list[int]) -> None:
        self._set(task, _SKIPPED)
        self.skips[task] = why
        self.not_needed += why is NOT_NEEDED
        skipped.append(task)

    def _close_early(self, skipped: list[int]) -> None:
        """Skip the tasks that do not run yet, as too many have failed. Tasks that run after a failure are kept."""
        if self._conditions is None:
            # They are skipped together when the last running task has ended, see ``close``.
            self.enter(Phase.STOPPING)
            return
        self.enter(Phase.CLOSING)
        left: list[int] = []
        for queue in (*self._ready, *(pool.waiting for pool in self._limits)):
            while queue:
                left.append(queue.pop())
        for task in left:
            if self._ends_early(task):
                self._skip(task, TOO_MANY, skipped)
                self._tell(task, TOO_MANY, skipped)
            else:
                self._set(task, _READY)

    def _ends_early(self, task: int) -> bool:
        """Return whether a ready task is skipped because too many tasks have failed."""
        return self.phase is Phase.CLOSING and self._conditions is not None and task not in self._conditions.when

    def _set(self, task: int, status: int) -> None:
        """Change a task's status, and the counters and queues that follow from it."""
        lane = self._lanes[task]
        old = self.statuses[task]
        self.statuses[task] = status
        if old == _RUNNING:
            self.running[lane] -= 1
            if self._pools and task in self._pools:
                self._leave(self._pools[task])
        if status == _RUNNING:
            self.running[lane] += 1
            if self._pools and task in self._pools:
                self._pools[task].free -= 1
        elif status == _READY:
            self._ready[lane].push(task)

    def _leave(self, pool: _Pool) -> None:
        pool.free += 1
        if pool.waiting:
            task = pool.waiting.pop()
            self._ready[self._lanes[task]].push(task)


def order(graph: Graph, reused: Iterable[int] = ()) -> list[int]:
    """Return the order of starts when one task runs at a time and all are ok. ``reused``: as for ``Scheduler``."""
    scheduler = Scheduler(graph, bytes(len(graph)), 1, reused=reused)
    tasks = []
    while chains := scheduler.start(0, 1):
        for task in chains[0]:
            scheduler.task_ended(task, Status.OK)
            tasks.append(task)
    return tasks
