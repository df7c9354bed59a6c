"""Ends of tasks that the journal has not recorded yet.

Knows lanes, outcomes and the numbers of records. Does not know what follows from an end.
"""

from collections.abc import Iterator, Sequence

from fastrun.outcome import Outcome, Status


class Unrecorded:
    """The tasks whose ends are not recorded. They count as running, but need no slot.

    ``ends``: by task, the number of its record and how it ended. ``in_lane``: how many such tasks, per lane.
    ``failures``: how many of them have failed.
    """

    def __init__(self, lanes: Sequence[int], lane_count: int) -> None:
        """``lanes``: the lane of each task, below ``lane_count``."""
        self._lanes = lanes
        self.ends: dict[int, tuple[int, Outcome]] = {}
        self.in_lane = [0] * lane_count
        self.failures = 0

    def add(self, number: int, record: int, outcome: Outcome) -> None:
        """Hold back the end of a task until ``record`` is recorded."""
        self.ends[number] = record, outcome
        self.in_lane[self._lanes[number]] += 1
        self.failures += outcome.status is Status.FAILED

    def take(self, recorded: float) -> Iterator[tuple[int, Outcome]]:
        """Yield the tasks whose records go up to ``recorded``; from then on they are not held back."""
        while self.ends:
            number = next(iter(self.ends))
            record, outcome = self.ends[number]
            if record > recorded:
                return
            del self.ends[number]
            self.in_lane[self._lanes[number]] -= 1
            self.failures -= outcome.status is Status.FAILED
            yield number, outcome
