"""The executor of a cluster, on a cluster that the test plays."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from bench.simulated import SimulatedCluster
from fastrun import Cause, Console, Observer, Outcome, Start, Task
from fastrun.cluster.executor import ClusterExecutor
from fastrun.cluster.seats import ENDED, RETURNED, STARTED, Command, Recall, Release, RunTasks, Worker
from fastrun.document.parse import read
from fastrun.outcome import OK, Report, Status
from fastrun.plan.graph import build
from fastrun.runner.runner import Run
from fastrun.settings import RunSettings
from tests.support.documents import document, exec_
from tests.support.fakes import Recorder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FAILED = Outcome(Status.FAILED, Cause.EXIT, 1)


class Played:
    """A cluster that does what the test says. ``sent``: the worker and the command of each call of ``send``."""

    def __init__(self) -> None:
        self.sent: list[tuple[str | None, Command]] = []
        self.requested = 0
        self.most = 1
        self.closed = False

    def open(self, events: Any) -> None:
        self.events = events

    def request(self, owner: Any, resources: Any) -> int | None:
        if self.requested == self.most:
            return None
        self.owner = owner
        self.requested += 1
        return self.requested - 1

    def send(self, worker: str | None, command: Command) -> None:
        self.sent.append((worker, command))

    def runs(self, since: int = 0) -> list[tuple[str | None, RunTasks]]:
        """The commands to run tasks, with their workers."""
        return [(worker, command) for worker, command in self.sent[since:] if isinstance(command, RunTasks)]

    async def close(self) -> None:
        self.closed = True

    async def given(self, count: int) -> list[int]:
        """The numbers of the tasks that were given to seats so far, once there are so many."""
        while True:
            found = [chain[0][0] for _, command in self.runs() for chain in command.chains]
            if len(found) >= count:
                return found
            await asyncio.sleep(0)

    def end(self, seat: int, number: int, seconds: float = 0.001) -> None:
        self.owner.news((STARTED, seat, number))
        self.owner.news((ENDED, seat, number, OK, seconds))


def play(
    tasks: list[dict[str, Any]],
    script: Callable[[Played], Awaitable[None]],
    most: int = 1,
    watching: Observer | None = None,
    **options: Any,
) -> tuple[Report, Recorder]:
    """Run tasks while the script plays the cluster. ``watching``: one more observer."""
    cluster, recorder = Played(), Recorder()
    cluster.most = most
    graph = build(read(document(*tasks), "document"))

    async def main() -> Report:
        executor = ClusterExecutor(cluster, RunSettings(worker_retries=1))
        watchers = [recorder, *([watching] if watching else [])]
        run = Run(graph, {"exec": executor}, watchers, RunSettings(**options), warn=lambda text: None)
        running = asyncio.create_task(run.run())
        while not cluster.requested:
            await asyncio.sleep(0)
        await script(cluster)
        return await running

    report = asyncio.run(asyncio.wait_for(main(), 30))
    assert cluster.closed
    return report, recorder


TASKS = [exec_(f"t{number}", "true") for number in range(40)]
ONE, TWO = Worker("tcp://one", "one"), Worker("tcp://two", "two")


def test_bundles_grow_with_small_tasks_and_shrink_with_long_ones():
    sizes: list[int] = []

    async def script(cluster: Played) -> None:
        cluster.owner.seat_opened(0, ONE)
        for done, seconds in enumerate([0.001] * 200 + [10.0] * 200):
            cluster.end(0, (await cluster.given(done + 1))[done], seconds)
        sizes.extend(len(command.chains) for _, command in cluster.runs())

    report, _ = play([exec_(f"t{number}", "true") for number in range(400)], script)
    assert report.ok
    assert sizes[:2] == [1, 2]
    assert max(sizes) > 30
    assert sizes[-1] == 1


def test_task_that_a_worker_gives_back_goes_to_another_seat():
    async def script(cluster: Played) -> None:
        cluster.owner.seat_opened(0, ONE)
        for number in range(3):
            await cluster.given(number + 1)
            cluster.end(0, number)
        lying = [number for number in await cluster.given(5) if number > 2]
        cluster.owner.news((STARTED, 0, lying[0]))
        for number in lying[1:]:
            cluster.owner.news((RETURNED, 0, number))
        before = len(cluster.sent)
        cluster.owner.seat_opened(1, TWO)
        done = set(range(3)) | {lying[0]}
        while len(done) < len(TASKS):
            for _, command in cluster.runs(before):
                assert command.seat == 1
                for chain in command.chains:
                    number = chain[0][0]
                    if number not in done:
                        done.add(number)
                        cluster.end(1, number)
            await asyncio.sleep(0)
        cluster.owner.news((ENDED, 0, lying[0], OK, 5.0))

    report, recorder = play(TASKS, script, most=2)
    assert report.ok
    assert sorted(e[1] for e in recorder.events if e[0] == "task_started") == sorted(task["name"] for task in TASKS)


def test_task_started_on_a_lost_seat_runs_again_and_the_rest_goes_back():
    async def script(cluster: Played) -> None:
        cluster.owner.seat_opened(0, ONE)
        for number in range(3):
            await cluster.given(number + 1)
            cluster.end(0, number)
        lying = [number for number in await cluster.given(5) if number > 2]
        cluster.owner.news((STARTED, 0, lying[0]))
        cluster.owner.seat_closed(0, again=True)
        cluster.owner.seat_opened(0, TWO)
        done = set(range(3))
        while len(done) < len(TASKS):
            for worker, command in cluster.runs():
                for chain in command.chains:
                    if worker == "tcp://two" and chain[0][0] not in done:
                        done.add(chain[0][0])
                        # A late word of somebody who had it before is not believed.
                        cluster.owner.news((ENDED, 9, chain[0][0], FAILED, 0.001))
                        cluster.end(0, chain[0][0])
            await asyncio.sleep(0)

    report, recorder = play(TASKS, script)
    assert report.ok
    again = [result.name for result in report if result.reason == "ran again because its worker one was lost"]
    assert again == ["t3"]
    started = [event[1] for event in recorder.events if event[0] == "task_started"]
    assert sorted(started) == sorted([*(task["name"] for task in TASKS), "t3"])
    assert ("task_ended", "t3", "failed", "its worker one was lost") in recorder.events


class Numbers(Observer):
    """Keeps the number of each attempt, when it starts and when it ends, and of how many."""

    def __init__(self) -> None:
        self.starts: list[tuple[int, int]] = []
        self.ends: list[tuple[int, int, bool]] = []

    def task_started(self, number: int, task: Task, start: Start) -> None:
        self.starts.append((start.attempt, start.attempts))

    def task_ended(self, number: int, task: Task, outcome: Outcome) -> None:
        self.ends.append((outcome.attempt, outcome.attempts, outcome.retry_in is not None))


def test_a_lost_attempt_has_a_number_and_is_none_of_the_tasks_own():
    numbers = Numbers()

    async def script(cluster: Played) -> None:
        cluster.owner.seat_opened(0, ONE)
        await cluster.given(1)
        cluster.owner.seat_closed(0, again=True)
        cluster.owner.seat_opened(0, TWO)
        for attempt in (2, 3, 4):
            await cluster.given(attempt)
            cluster.owner.news((STARTED, 0, 0))
            cluster.owner.news((ENDED, 0, 0, FAILED, 0.001))

    play([exec_("a", "false", retries=2, retry_delay=0)], script, watching=numbers)
    assert numbers.starts == [(1, 3), (2, 4), (3, 4), (4, 4)]
    assert numbers.ends == [(1, 4, True), (2, 4, True), (3, 4, True), (4, 4, False)]


def test_a_lost_attempt_and_the_others_are_counted_alike_on_the_console(tmp_path):
    async def script(cluster: Played) -> None:
        cluster.owner.seat_opened(0, ONE)
        await cluster.given(1)
        cluster.owner.seat_closed(0, again=True)
        cluster.owner.seat_opened(0, TWO)
        await cluster.given(2)
        cluster.owner.news((STARTED, 0, 0))
        cluster.owner.news((ENDED, 0, 0, FAILED, 0.001))
        await cluster.given(3)
        cluster.owner.news((STARTED, 0, 0))
        cluster.owner.news((ENDED, 0, 0, FAILED, 0.001))

    with open(tmp_path / "out", "w") as out:
        console = Console(stdout=out.fileno(), stderr=out.fileno())
        play([exec_("a", "false", retries=1, retry_delay=0)], script, watching=console)
        console.close()
    said = re.findall(r"attempt \d of \d", (tmp_path / "out").read_text())
    assert said == ["attempt 2 of 3", "attempt 3 of 3", "attempt 3 of 3"]


def test_after_too_many_losses_a_task_has_failed():
    async def script(cluster: Played) -> None:
        for worker in (ONE, TWO):
            cluster.owner.seat_opened(0, worker)
            while len(cluster.runs()) < (1 if worker is ONE else 2):
                await asyncio.sleep(0)
            # Even if the word of its start was lost as well.
            cluster.owner.seat_closed(0, again=True)

    report, recorder = play([exec_("a", "true")], script)
    assert report["a"].reason == "its worker two was lost"
    assert [event[0] for event in recorder.events].count("task_started") == 2


def test_after_the_last_failure_tasks_come_back_from_their_seats():
    async def script(cluster: Played) -> None:
        cluster.owner.seat_opened(0, ONE)
        for number in range(3):
            await cluster.given(number + 1)
            cluster.end(0, number)
        lying = [number for number in await cluster.given(5) if number > 2]
        cluster.owner.news((STARTED, 0, lying[0]))
        cluster.owner.news((ENDED, 0, lying[0], FAILED, 0.001))
        worker, command = cluster.sent[-1]
        assert worker == "tcp://one"
        assert isinstance(command, Recall)
        for number in lying[1:]:
            cluster.owner.news((RETURNED, 0, number))

    report, _ = play(TASKS, script, keep_going=1)
    assert [result.status.label for result in report][:5] == ["ok", "ok", "ok", "failed", "skipped"]


def test_a_seat_without_work_is_given_back():
    async def script(cluster: Played) -> None:
        cluster.owner.seat_opened(0, ONE)
        cluster.owner.seat_opened(1, TWO)
        (first,) = await cluster.given(1)
        while not (released := [sent for sent in cluster.sent if isinstance(sent[1], Release)]):
            await asyncio.sleep(0.01)
        assert released == [("tcp://two", Release(1))]
        cluster.end(0, first)

    report, _ = play([exec_("a", "true")], script, most=2)
    assert report.ok


def test_lost_cluster_fails_running_and_coming_tasks():
    async def script(cluster: Played) -> None:
        cluster.owner.seat_opened(0, ONE)
        (first,) = await cluster.given(1)
        cluster.owner.news((STARTED, 0, first))
        cluster.owner.lost("all is lost")

    report, _ = play(TASKS, script)
    assert {(result.status.label, result.reason) for result in report} == {("failed", "all is lost")}


def test_tasks_in_hand_are_bounded_however_many_are_ready():
    graph = build(read(document(*(exec_(f"t{number}", "true") for number in range(20_000))), "document"))
    cluster = SimulatedCluster(8)
    most = 0

    class Watched(ClusterExecutor):
        async def start(self, chains):
            nonlocal most
            await super().start(chains)
            most = max(most, len(self._waiting) + len(self._seat_of))

    async def main() -> Report:
        return await Run(graph, {"exec": Watched(cluster)}, [], warn=print).run()

    assert asyncio.run(main()).ok
    assert 8 < most <= 8 * 2 * 256 + 16
    assert cluster.messages < 20_000 / 5
