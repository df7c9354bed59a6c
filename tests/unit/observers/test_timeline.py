"""What is known of when tasks ran: on a clock of the test's own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun import Cause, Observer, Outcome, Report, Start, Status, Task, Usage
from fastrun.observers import timeline as timeline_module
from fastrun.observers.files.events import EventLog
from fastrun.observers.files.output import OutputFile
from fastrun.observers.files.trace import Trace
from fastrun.observers.timeline import Moment, Span, Timeline, Together
from fastrun.outcome import FIRST_START as FIRST
from fastrun.outcome import OK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FAILED = Outcome(Status.FAILED, Cause.EXIT, 1)


class Stage:
    """A timeline whose clock is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timeline = Timeline(clock=lambda: self.now, wall=lambda: 1e9)
        self.tasks = [Task("c", "exec", "", ["a"])]
        self.timeline.run_started(self.tasks)

    def at(self, moment: float, task: Task, what: Start | Outcome) -> None:
        self.now = 100.0 + moment
        names = [task.name for task in self.tasks]
        if task.name not in names:
            names.append(task.name)
            self.tasks.append(task)
        number = names.index(task.name)
        self.tasks[number] = task
        if isinstance(what, Start):
            self.timeline.task_started(number, task, what)
        else:
            self.timeline.task_ended(number, task, what)

    @property
    def spans(self) -> dict[str, Span]:
        """By name, as the tests call their tasks."""
        return {span.task.name: span for span in self.timeline.spans.values()}

    def times(self, name: str) -> tuple[float, float, float | None]:
        span = self.spans[name]
        return span.ready, span.began, span.ended


@pytest.fixture
def stage():
    return Stage()


A, B = Task("a", "exec", ""), Task("b", "exec", "")


def test_a_task_is_ready_when_the_last_of_its_dependencies_has_ended(stage):
    c = Task("c", "exec", "", ["a", "b"])
    stage.at(0, A, FIRST)
    stage.at(1, B, FIRST)
    stage.at(2, B, OK)
    stage.at(3, A, OK)
    stage.at(5, c, FIRST)
    stage.at(6, c, OK)
    assert stage.times("a") == (0, 0, 3)
    assert stage.times("c") == (3, 5, 6)
    assert stage.spans["c"].seconds == 1


def test_slots_are_the_lowest_free_ones_for_each_type(stage):
    snippet = Task("s", "eval", "")
    stage.at(0, A, FIRST)
    stage.at(0, B, FIRST)
    stage.at(0, snippet, FIRST)
    stage.at(1, A, OK)
    c = Task("c", "exec", "")
    stage.at(2, c, FIRST)
    slots = {name: span.slot for name, span in stage.spans.items()}
    assert slots == {"a": 0, "b": 1, "s": 0, "c": 0}
    assert stage.timeline.most == {"exec": 2, "eval": 1}


def test_a_further_attempt_is_ready_when_the_one_before_has_ended(stage):
    c = Task("c", "exec", "", ["a"])
    stage.at(0, A, FIRST)
    stage.at(1, A, FAILED._replace(retry_in=2.0))
    assert stage.spans["a"].outcome.retry_in == 2.0
    stage.at(3, A, Start(2, 3))
    assert stage.times("a") == (1, 3, None)
    assert stage.spans["a"].seconds == 0
    stage.at(4, A, OK._replace(usage=Usage(0.5, 1000)))
    stage.at(4, c, FIRST)
    assert stage.times("c") == (4, 4, None)
    assert stage.spans["a"].usage == Usage(0.5, 1000)


def test_snippets_that_ran_at_other_times_are_not_told_together(stage):
    for number, task in enumerate(SNIPPETS[:3]):
        stage.at(2 * number, task, FIRST)
        stage.at(2 * number + 1, task, OK)
    assert [stage.times(task.name) for task in SNIPPETS[:3]] == [(0, 0, 1), (0, 2, 3), (0, 4, 5)]


def test_tasks_that_never_started_have_no_span(stage):
    b = Task("b", "exec", "", ["a"])
    stage.at(0, A, FIRST)
    stage.at(1, A, FAILED)
    stage.at(1, b, Outcome(Status.SKIPPED, Cause.DEPENDENCY, "a"))
    assert set(stage.spans) == {"a"}


def test_the_critical_path_is_the_chain_that_took_longest(stage):
    c = Task("c", "exec", "", ["a", "b"])
    d = Task("d", "exec", "")
    for task in (A, B, d):
        stage.at(0, task, FIRST)
    stage.at(1, B, OK)
    stage.at(2, A, OK)
    stage.at(2, c, FIRST)
    stage.at(3, d, OK)
    assert [span.task.name for span in stage.timeline.critical_path()] == ["d"]
    stage.at(4, c, OK)
    assert [span.task.name for span in stage.timeline.critical_path()] == ["a", "c"]


def test_the_critical_path_is_not_what_waited_for_a_slot(stage):
    short, after = Task("short", "exec", ""), Task("after", "exec", "", ["short", "long"])
    long = Task("long", "exec", "")
    for task, began, ended in ((long, 0, 5), (short, 5, 6), (B, 6, 8)):
        stage.at(began, task, FIRST)
        stage.at(ended, task, OK)
    assert [span.task.name for span in stage.timeline.critical_path()] == ["long"]
    stage.at(8, after, FIRST)
    stage.at(9, after, OK)
    assert [span.task.name for span in stage.timeline.critical_path()] == ["long", "after"]


def test_news_that_comes_late_tells_when_tasks_began_and_ended_and_no_two_share_a_slot(stage):
    stage.at(3, A, FIRST._replace(ago=2.5))
    stage.at(3.5, A, OK._replace(ago=0.25))
    stage.at(4, B, FIRST._replace(ago=1.0))
    stage.at(4.5, B, OK)
    spans = stage.timeline.spans.values()
    assert [(span.slot, span.began, span.ended) for span in spans] == [(0, 0.5, 3.25), (0, 3.25, 4.5)]


def test_attempts_and_pauses_count_on_the_critical_path(stage):
    b = Task("b", "exec", "", ["a"])
    stage.at(0, A, FIRST)
    stage.at(1, A, FAILED._replace(retry_in=1.0))
    stage.at(2, A, Start(2, 2))
    stage.at(3, A, OK)
    stage.at(0, B, FIRST)
    stage.at(2.5, B, OK)
    path = stage.timeline.critical_path()
    assert [(span.task.name, span.seconds, span.all_seconds) for span in path] == [("a", 1, 3)]
    assert stage.timeline.busy == 4.5
    assert path[0].held_by == "retry"
    stage.at(3, b, FIRST)
    stage.at(4, b, OK)
    assert [span.task.name for span in stage.timeline.critical_path()] == ["a", "b"]


def test_word_that_comes_late_is_of_the_time_that_it_tells(stage):
    late = Start(worker="w", ago=0.5)
    b = Task("b", "exec", "", ["a"])
    stage.at(1, A, late)
    stage.at(3, A, OK._replace(ago=0.25))
    stage.at(3, b, late)
    stage.at(4, b, OK)
    assert stage.times("a") == (0, 0.5, 2.75)
    # Not before it was ready.
    assert stage.times("b") == (2.75, 2.75, 4)
    assert stage.timeline.busy == 3.5


def test_snippets_that_took_no_time_are_on_the_critical_path(stage):
    chain = [Task(f"s{n}", "eval", "", [f"s{n - 1}"] if n else ["a"]) for n in range(5)]
    stage.at(0, A, FIRST)
    stage.at(1, A, OK)
    for task in chain:
        stage.at(1, task, FIRST)
        stage.at(1, task, OK)
    assert [span.task.name for span in stage.timeline.critical_path()] == ["a", *(task.name for task in chain)]


def test_cleanup_is_ready_when_its_dependencies_are_skipped(stage):
    b = Task("b", "exec", "", ["a"])
    c = Task("c", "exec", "", ["b"], when="always")
    stage.at(0, A, FIRST)
    stage.at(2, A, FAILED)
    stage.at(2, b, Outcome(Status.SKIPPED, Cause.DEPENDENCY, "a"))
    stage.at(5, c, FIRST)
    assert stage.times("c") == (2, 5, None)


def test_nothing_that_ran_has_no_critical_path(stage):
    assert stage.timeline.critical_path() == []


def test_time_stands_still_at_the_end(stage):
    stage.now = 104.5
    assert stage.timeline.seconds == 4.5
    stage.timeline.run_ended(Report([], b"", {}, 4.5))
    stage.now = 200.0
    assert stage.timeline.seconds == 4.5
    assert stage.timeline.started_at == 1e9


def test_it_is_told_everything():
    assert Timeline().detailed
    assert not Observer().detailed


def test_follower_hears_once_a_turn_and_the_rest_at_the_end():
    now = 100.0
    told = []

    async def run() -> None:
        nonlocal now
        timeline = Timeline(clock=lambda: now, wall=lambda: 1e9)
        timeline.follow(lambda moments: told.append([moment[:3] for moment in moments]))
        timeline.run_started([A, B])
        timeline.task_started(0, A, FIRST)
        now = 101.0
        timeline.task_ended(0, A, OK)
        assert told == []
        await asyncio.sleep(0)
        timeline.task_started(1, B, FIRST)
        timeline.run_ended(Report([], b"", {}, 1.0))

    asyncio.run(run())
    assert told == [[(0.0, A, None), (1.0, A, OK)], [(1.0, B, None)]]


def test_news_of_snippets_in_one_turn_are_of_one_time_and_processes_have_their_own():
    now = 100.0
    told: list[float] = []
    snippet = Task("s", "eval", "")

    async def run() -> None:
        nonlocal now
        timeline = Timeline(clock=lambda: now)
        timeline.follow(lambda moments: told.extend(moment[0] for moment in moments))
        timeline.run_started([snippet, A])
        timeline.task_started(0, snippet, FIRST)
        now = 101.0
        timeline.task_ended(0, snippet, OK)
        now = 102.0
        timeline.task_started(1, A, Start(pid=1))
        now = 103.0
        timeline.task_ended(1, A, OK)
        now = 104.0
        timeline.task_started(0, snippet, Start(pid=2))
        now = 105.0
        timeline.task_ended(0, snippet, OK._replace(usage=Usage(0.1, None)))
        now = 106.0
        await asyncio.sleep(0)
        timeline.task_started(0, snippet, FIRST)
        timeline.run_ended(Report([], b"", {}, 1.0))

    asyncio.run(run())
    assert told == [0.0, 0.0, 2.0, 3.0, 4.0, 5.0, 6.0]


SNIPPETS = [Task(f"s{n}", "eval", "", [f"s{n - 2}"] * (n % 5 == 4)) for n in range(20)]


def told_of(turns: Sequence[Sequence[tuple[Task, Start | Outcome]]], folder: Path) -> tuple[Timeline, list[bytes]]:
    """A timeline that was told this, turn by turn, and the files of those who follow it."""
    now = 100.0
    timeline = Timeline(clock=lambda: now, wall=lambda: 1e9)
    log = EventLog(OutputFile(str(folder / "events")), timeline, "id")
    trace = Trace(OutputFile(str(folder / "trace")), timeline, "id")
    observers = [timeline, log, trace]

    async def run() -> None:
        nonlocal now
        for observer in observers:
            observer.run_started(SNIPPETS)
        for turn in turns:
            now += 1
            for task, what in turn:
                number = SNIPPETS.index(task)
                if isinstance(what, Start):
                    timeline.task_started(number, task, what)
                else:
                    timeline.task_ended(number, task, what)
            await asyncio.sleep(0)
        for observer in observers:
            observer.run_ended(Report([], b"", {}, 1.0))

    asyncio.run(run())
    assert log.close() == trace.close() == ""
    return timeline, [(folder / name).read_bytes() for name in ("events", "trace")]


@st.composite
def turns_of_snippets(draw: st.DrawFn) -> list[list[tuple[Task, Start | Outcome]]]:
    """Most start and end at once and well, some fail, and some end later."""
    turns: list[list[tuple[Task, Start | Outcome]]] = [[]]
    late: list[Task] = []
    for task in SNIPPETS:
        turns[-1].append((task, FIRST))
        how = draw(st.sampled_from(["well"] * 8 + ["failed", "late"]))
        if how == "late":
            late.append(task)
        else:
            turns[-1].append((task, OK if how == "well" else FAILED))
        one_ends = draw(st.booleans())
        if late and one_ends:
            turns[-1].append((late.pop(), OK))
        if not draw(st.integers(0, 5)):
            turns.append([])
            # The border of a turn lies between a start and its end, too.
            if draw(st.booleans()) and turns[-2]:
                turns[-1].append(turns[-2].pop())
    return [*turns, [(task, OK) for task in late]]


@given(turns=turns_of_snippets())
def test_tasks_of_a_turn_are_told_as_if_they_came_singly(tmp_path_factory, turns):
    folder = tmp_path_factory.mktemp("told")
    together, files = told_of(turns, folder)
    with pytest.MonkeyPatch.context() as patch:
        # Nothing is ever equal to it.
        patch.setattr(timeline_module, "_START_AND_OK", [])
        one_by_one, expected = told_of(turns, folder)
    for one, other in zip(files, expected, strict=True):
        assert one.splitlines() == other.splitlines()
    assert together.most == one_by_one.most
    fields = ("number", "task", "start", "ready", "began", "ended", "slot", "outcome")
    spans = [
        {name: [getattr(span, field) for field in fields] for name, span in timeline.spans.items()}
        for timeline in (together, one_by_one)
    ]
    assert spans[0] == spans[1]


def test_small_snippets_of_a_turn_are_one_moment():
    told: list[Moment | Together] = []

    async def run() -> None:
        timeline = Timeline(clock=lambda: 100.0)
        timeline.follow(told.extend)
        timeline.run_started(SNIPPETS)
        timeline.task_started(0, SNIPPETS[0], FIRST)
        await asyncio.sleep(0)
        for number in range(1, 4):
            timeline.task_ended(number - 1, SNIPPETS[number - 1], OK)
            timeline.task_started(number, SNIPPETS[number], FIRST)
        timeline.run_ended(Report([], b"", {}, 1.0))

    asyncio.run(run())
    kinds = [type(moment).__name__ for moment in told]
    assert kinds == ["tuple", "tuple", "Together", "tuple"]
    assert told[2] == (0.0, [1, 2], SNIPPETS[1:3], [0.0, 0.0], 0, ['"s1"', '"s2"'])
