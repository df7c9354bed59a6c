"""``when``, ``allow_failure``, pools and attempts: the scheduler's decisions without a loop, against a model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import fastrun as library
from fastrun.document.parse import read
from fastrun.outcome import Status
from fastrun.plan.conditions import NOT_NEEDED, TOO_MANY
from fastrun.plan.graph import Graph, build
from fastrun.plan.scheduler import Phase, Scheduler, order
from tests.support.amounts import many
from tests.support.documents import eval_, exec_
from tests.support.strategies import graphs

REAL = many("random documents with retries, pools and tasks that run after failures", 60, 1_000)


@dataclass(frozen=True)
class Traits:
    when: str = "ok"
    may_fail: bool = False
    pool: str | None = None
    fails: bool = False
    attempts: int = 1


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[list[int]], list[Traits], dict[str, int]]:
    """Dependencies by number, what each task says and does, and the pools."""
    edges = draw(graphs(max_tasks=12))
    traits = [
        Traits(
            draw(st.sampled_from(["ok", "ok", "failed", "always"])),
            draw(st.booleans()),
            draw(st.sampled_from([None, None, "p", "q"])),
            draw(st.booleans()),
            draw(st.integers(1, 2)),
        )
        for _ in edges
    ]
    return edges, traits, {"p": draw(st.integers(1, 2)), "q": 1}


def graph_of(edges: list[list[int]], traits: list[Traits], pools: dict[str, int]) -> Graph:
    tasks = []
    for number, (needed, said) in enumerate(zip(edges, traits, strict=True)):
        keys: dict[str, Any] = {"when": said.when, "allow_failure": said.may_fail}
        if said.pool is not None:
            keys["pool"] = said.pool
        tasks.append(exec_(f"t{number}", "true", *[f"t{other}" for other in needed], **keys))
    return build(read({"tasks": tasks, "pools": pools}, "document"))


def scheduler_of(edges: list[list[int]], traits: list[Traits], pools: dict[str, int], **more: Any) -> Scheduler:
    return Scheduler(graph_of(edges, traits, pools), bytes(len(edges)), 1, **more)


def plain(*edges: list[int], **traits: Traits) -> tuple[list[list[int]], list[Traits], dict[str, int]]:
    """Traits by ``t0``, ``t1`` and so on; those that are not given are like most."""
    return list(edges), [traits.get(f"t{n}", Traits()) for n in range(len(edges))], {"p": 1}


def expected(edges: list[list[int]], traits: list[Traits]) -> list[str]:
    """The model: what becomes of each task where all may run to the end."""
    found: dict[int, str] = {}

    def fate(task: int) -> str:
        if task not in found:
            fates = {other: fate(other) for other in edges[task]}
            bad = [
                other
                for other, became in fates.items()
                if became == "skipped" or (became == "failed" and not traits[other].may_fail)
            ]
            good = not bad and "not needed" not in fates.values()
            when = traits[task].when
            runs = {"ok": good, "failed": bool(bad), "always": True}[when]
            if runs:
                found[task] = "failed" if traits[task].fails else "ok"
            else:
                found[task] = "skipped" if bad and when == "ok" else "not needed"
        return found[task]

    return [fate(task) for task in range(len(edges))]


class Play:
    """Runs everything to the end, in a random order of ends, and looks at each step."""

    def __init__(self, edges, traits, pools, random, slots, **more) -> None:
        self.scheduler = scheduler_of(edges, traits, pools, **more)
        self.edges, self.traits, self.pools = edges, traits, pools
        self.started: list[int] = []
        self.skipped: list[int] = list(self.scheduler.unneeded)
        attempts = dict.fromkeys(range(len(edges)), 1)
        held: list[int] = []
        behind: dict[int, int] = {}
        scheduler = self.scheduler
        while True:
            before = self.running()
            for chain in scheduler.start(0, slots - len(before)):
                # A head; what stands behind it starts only once it is ok.
                self.check_may_start(chain[0])
                # Of a chain that was broken off something may be left.
                behind.pop(chain[-1], None)
                behind.update(pairwise(chain))
            running = self.running()
            assert len(running) <= slots
            for pool, limit in pools.items():
                assert sum(traits[task].pool == pool for task in running) <= limit
            if held and (not running or random.random() < 0.5):
                scheduler.release(held.pop(random.randrange(len(held))))
                continue
            if not running:
                break
            assert not scheduler.finished
            task = running[random.randrange(len(running))]
            self.started += [task] if task not in self.started else []
            if traits[task].fails and attempts[task] < traits[task].attempts and scheduler.phase is not Phase.CLOSING:
                attempts[task] += 1
                scheduler.hold(task)
                held.append(task)
            else:
                self.skipped += scheduler.task_ended(task, Status.FAILED if traits[task].fails else Status.OK)
                if task in behind and not traits[task].fails:
                    # Who runs the chain starts it without asking.
                    assert scheduler.statuses[behind[task]] == Status.RUNNING
        assert scheduler.finished

    def running(self) -> list[int]:
        return [task for task, status in enumerate(self.scheduler.statuses) if status == Status.RUNNING]

    def check_may_start(self, task: int) -> None:
        for other in self.edges[task]:
            assert self.scheduler.statuses[other] >= Status.OK

    def fates(self) -> list[str]:
        scheduler = self.scheduler
        return [
            "not needed" if scheduler.skips.get(task) is NOT_NEEDED else Status(status).label
            for task, status in enumerate(scheduler.statuses)
        ]


@given(situations(), st.randoms(use_true_random=False), st.integers(1, 4))
def test_every_task_has_the_fate_that_the_model_says(situation, random, slots):
    edges, traits, pools = situation
    play = Play(edges, traits, pools, random, slots)
    fates = play.fates()
    assert fates == expected(edges, traits)
    assert sorted(play.skipped) == [task for task, fate in enumerate(fates) if fate in ("skipped", "not needed")]
    assert play.scheduler.not_needed == fates.count("not needed")
    assert play.scheduler.allowed == sum(f == "failed" and t.may_fail for f, t in zip(fates, traits, strict=True))


@given(situations(), st.randoms(use_true_random=False), st.integers(1, 4), st.integers(1, 2))
def test_after_too_many_failures_only_tasks_for_failures_start(situation, random, slots, most):
    edges, traits, pools = situation
    play = Play(edges, traits, pools, random, slots, keep_going=most)
    scheduler = play.scheduler
    failures = sum(
        status == Status.FAILED and not said.may_fail for status, said in zip(scheduler.statuses, traits, strict=True)
    )
    if failures < most:
        assert scheduler.phase is Phase.RUNNING
        return
    left = scheduler.close(Status.SKIPPED)
    if any(said.when != "ok" for said in traits):
        assert scheduler.phase is Phase.CLOSING
        assert left == []
    else:
        assert scheduler.phase is Phase.STOPPING
    assert set(scheduler.statuses) <= {Status.OK, Status.FAILED, Status.SKIPPED}


@settings(max_examples=REAL)
@given(situations(), st.data(), st.sampled_from([None, 1, 3]), st.booleans())
def test_real_runs_have_the_fates_that_the_model_says(situation, data, jobs, recorded):
    edges, traits, pools = situation
    tasks = []
    for number, (needed, said) in enumerate(zip(edges, traits, strict=True)):
        # Fails at each attempt but the last, or at all of them.
        shell = f"[ $FASTRUN_ATTEMPT = {said.attempts} ]" if not said.fails else "false"
        task = exec_(f"t{number}", shell, retries=said.attempts - 1, retry_delay=0)
        if data.draw(st.booleans()):
            task = eval_(f"t{number}", "1 / 0" if said.fails else "1 / 1")
        task |= {"dependencies": [f"t{other}" for other in needed], "when": said.when, "allow_failure": said.may_fail}
        tasks.append(task | ({"pool": said.pool} if said.pool else {}))
    with TemporaryDirectory() as folder:
        journal = os.path.join(folder, "journal") if recorded else None
        report = library.run({"tasks": tasks, "pools": pools}, jobs=jobs, journal=journal)
    model = expected(edges, traits)
    assert [result.status.label for result in report] == ["skipped" if f == "not needed" else f for f in model]
    assert report.not_needed == model.count("not needed")
    fails = [fate == "failed" and not said.may_fail for fate, said in zip(model, traits, strict=True)]
    assert report.exit_code == int(any(fails) or "skipped" in model)


def run_all(scheduler: Scheduler, *failing: int) -> list[int]:
    """Run to the end, one after the other. Returns the order."""
    started = []
    while chains := scheduler.start(0, 1):
        for task in chains[0]:
            started.append(task)
            scheduler.task_ended(task, Status.FAILED if task in failing else Status.OK)
            if task in failing:
                break
    return started


def test_cleanup_runs_however_its_dependencies_ended():
    cleanup = Traits(when="always")
    for failing in ((), (0,), (1,)):
        scheduler = scheduler_of(*plain([], [0], [0, 1], t2=cleanup))
        assert run_all(scheduler, *failing)[-1] == 2
        assert scheduler.statuses[2] == Status.OK


def test_a_notification_of_failure_is_not_needed_without_one():
    scheduler = scheduler_of(*plain([], [0], [1], t1=Traits(when="failed")))
    assert run_all(scheduler) == [0]
    assert scheduler.skips == {1: NOT_NEEDED, 2: NOT_NEEDED}
    assert scheduler.not_needed == 2
    scheduler = scheduler_of(*plain([], [0], [1], t1=Traits(when="failed")))
    assert run_all(scheduler, 0) == [0, 1, 2]


def test_allowed_failure_is_not_counted():
    scheduler = scheduler_of(*plain([], [0], [0], t0=Traits(may_fail=True), t2=Traits(when="failed")), keep_going=1)
    assert run_all(scheduler, 0) == [0, 1]
    assert (scheduler.allowed, scheduler.skips, scheduler.phase) == (1, {2: NOT_NEEDED}, Phase.RUNNING)


def test_after_too_many_failures_the_cleanup_still_runs():
    edges, traits, pools = plain([], [], [1], [0, 1], t3=Traits(when="always"))
    scheduler = scheduler_of(edges, traits, pools, keep_going=1)
    assert run_all(scheduler, 0) == [0, 3]
    assert scheduler.skips == {1: TOO_MANY, 2: TOO_MANY}
    assert scheduler.finished


def test_a_chain_that_is_broken_off_after_too_many_failures_is_skipped():
    edges, traits, pools = plain([], [], [1], [0], t3=Traits(when="always"))
    scheduler = scheduler_of(edges, traits, pools, keep_going=1)
    assert scheduler.start(0, 4) == [[1, 2], [0]] or scheduler.statuses[1] == Status.RUNNING
    scheduler.task_ended(0, Status.FAILED)
    scheduler.task_ended(1, Status.OK)
    assert scheduler.put_back(2) == [2]
    assert scheduler.skips[2] == TOO_MANY


def test_a_pool_holds_back_its_own_tasks_alone():
    lock = Traits(pool="p")
    scheduler = scheduler_of(*plain([], [], [], t0=lock, t1=lock))
    assert [chain[0] for chain in scheduler.start(0, 3)] == [0, 2]
    assert scheduler.pooled == {1}
    scheduler.task_ended(0, Status.FAILED)
    assert [chain[0] for chain in scheduler.start(0, 3)] == [1]


def test_a_task_that_is_held_holds_no_pool():
    lock = Traits(pool="p")
    scheduler = scheduler_of(*plain([], [], t0=lock, t1=lock))
    assert scheduler.start(0, 2) == [[0]]
    scheduler.hold(0)
    assert not scheduler.finished
    assert scheduler.start(0, 2) == [[1]]
    scheduler.task_ended(1, Status.OK)
    assert not scheduler.finished
    scheduler.release(0)
    assert scheduler.start(0, 2) == [[0]]


def test_a_task_that_is_held_can_be_given_up():
    scheduler = scheduler_of(*plain([], [0]))
    scheduler.start(0, 1)
    scheduler.hold(0)
    scheduler.enter(Phase.STOPPING)
    assert scheduler.task_ended(0, Status.FAILED) == [1]
    assert scheduler.finished


def test_a_task_that_is_held_when_too_many_have_failed_is_not_waited_for():
    edges, traits, pools = plain([], [], [0, 1], t2=Traits(when="always"))
    scheduler = scheduler_of(edges, traits, pools, keep_going=1)
    assert scheduler.start(0, 2) == [[0], [1]]
    scheduler.hold(0)
    scheduler.task_ended(1, Status.FAILED)
    assert scheduler.task_ended(0, Status.FAILED) == []
    assert run_all(scheduler) == [2]
    assert scheduler.finished


def test_order_leaves_out_tasks_that_wait_for_a_failure():
    edges, traits, pools = plain([], [0], [0], t1=Traits(when="failed"), t2=Traits(when="always"))
    assert order(graph_of(edges, traits, pools)) == [0, 2]


def test_a_chain_of_a_hundred_thousand_that_is_not_needed_is_skipped_without_recursion():
    many = 100_000
    edges: list[list[int]] = [[]] + [[n] for n in range(many)]
    traits = [Traits()] + [Traits(when="failed")] * many
    scheduler = scheduler_of(edges, traits, {})
    assert run_all(scheduler) == [0]
    assert scheduler.not_needed == many
