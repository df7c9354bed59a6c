"""When tasks are asked to end, and made to, by a clock that stands still until it is set; and once in a run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from fastrun import Outcome, Status, Task
from fastrun.runner.deadlines import Deadlines
from fastrun.runner.runner import Run
from fastrun.settings import RunSettings
from tests.support.documents import graph_of
from tests.support.fakes import HandExecutor

if TYPE_CHECKING:
    from collections.abc import Callable


class Timer:
    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self.when_, self.call, self.off = when, call, False

    def when(self) -> float:
        return self.when_

    def cancelled(self) -> bool:
        return self.off

    def cancel(self) -> None:
        self.off = True


class Clock:
    """A loop, as far as it has a time and timers."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, call: Callable[..., None], *arguments: Any) -> Timer:
        timer = Timer(self.now + seconds, lambda: call(*arguments))
        self.timers.append(timer)
        return timer

    def pass_to(self, now: float) -> None:
        """Let time pass, and call what is due."""
        self.now = now
        due = [timer for timer in self.timers if timer.when() <= now]
        self.timers = [timer for timer in self.timers if timer.when() > now]
        for timer in due:
            if not timer.cancelled():
                timer.call()


class Timed:
    """Deadlines by a clock of their own. ``said``: when, of which task, and whether it was made to end."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.said: list[tuple[float, int, bool]] = []
        self.deadlines = Deadlines(10, 5, lambda number, force: self.said.append((clock.now, number, force)))

    def begin(self, number: int, timeout: float | None = None) -> None:
        self.deadlines.begin(number, task(timeout))


def task(timeout: float | None = None) -> Task:
    return Task("a", "exec", "true", timeout=timeout)


@pytest.fixture
def timed(monkeypatch) -> Timed:
    clock = Clock()
    monkeypatch.setattr("fastrun.runner.deadlines.asyncio.get_running_loop", lambda: clock)
    return Timed(clock)


def test_a_task_is_asked_to_end_and_after_the_grace_made_to(timed):
    timed.begin(1)
    timed.begin(2, timeout=3)
    for now in (3, 8, 10, 15, 100):
        timed.clock.pass_to(now)
    assert timed.said == [(3, 2, False), (8, 2, True), (10, 1, False), (15, 1, True)]
    ended = timed.deadlines.end(2, task(3), Outcome(Status.INTERRUPTED))
    assert (ended.status, ended.reason) == (Status.FAILED, "timed out after 3 s")


def test_ended_process_is_asked_nothing(timed):
    timed.begin(1)
    assert timed.deadlines.end(1, task(), Outcome(Status.OK)).status is Status.OK
    timed.clock.pass_to(100)
    assert timed.said == []


def test_run_that_is_over_has_no_deadline(timed):
    over: list[float] = []
    timed.deadlines.begin_run(20, over.append)
    timed.clock.pass_to(19)
    timed.deadlines.end_run()
    timed.clock.pass_to(100)
    assert over == []


@pytest.mark.parametrize("times", [1, 2])
def test_while_time_stands_still_none_is_used_up(timed, times):
    over = []
    timed.deadlines.begin_run(20, lambda seconds: over.append((timed.clock.now, seconds)))
    timed.begin(1)
    timed.begin(2, timeout=3)
    timed.clock.pass_to(3)
    timed.clock.pass_to(4)
    # One was asked to end, and has 4 seconds of grace left.
    for _ in range(times):
        timed.deadlines.pause()
        timed.clock.pass_to(timed.clock.now + 50)
    timed.deadlines.go_on()
    stopped = 50 * times
    for now in (7, 8, 9, 10, 15, 19, 20, 100):
        timed.clock.pass_to(stopped + now)
    assert over == [(stopped + 20, 20)]
    asked = [(3, 2, False), (stopped + 8, 2, True)]
    assert timed.said == [*asked, (stopped + 10, 1, False), (stopped + 15, 1, True)]


def test_task_that_ends_while_time_stands_still_is_let_go_and_its_next_attempt_has_its_whole_time(timed):
    timed.begin(1)
    timed.begin(2)
    timed.clock.pass_to(4)
    timed.deadlines.pause()
    timed.clock.pass_to(50)
    for number in (1, 2):
        timed.deadlines.end(number, task(), Outcome(Status.FAILED))
    timed.begin(2)
    timed.deadlines.go_on()
    for now in (60, 65, 100):
        timed.clock.pass_to(now)
    assert timed.said == [(60, 2, False), (65, 2, True)]


GRACE = 0.01


class StartsUntold(HandExecutor):
    """Loses the first attempt when its time is over, and tells of the second start only when that attempt ends."""

    def begin(self, chain) -> None:
        if not self.calls[1:]:
            super().begin(chain)
            return
        # The timer of the first attempt was set before this one, for as long.
        asyncio.get_running_loop().call_later(GRACE, self.end_second, chain)

    def end_second(self, chain) -> None:
        super().begin(chain)
        self.end("0")

    def interrupt(self, number: int | None = None, *, force: bool) -> None:
        super().interrupt(number, force=force)
        if not force:
            self.end("0", Outcome(Status.FAILED, lost=True))


def test_the_grace_of_one_attempt_is_not_that_of_a_next_whose_start_is_not_told_yet():
    executor = StartsUntold()
    settings = RunSettings(timeout=GRACE, grace=GRACE)
    report = asyncio.run(Run(graph_of([[]]), {"exec": executor}, [], settings, warn=print).run())
    assert report.ok
    # What the first attempt has left is ended once, before the second starts.
    assert executor.calls == ["open", ("interrupt", 0, False), ("interrupt", 0, True), "close"]
