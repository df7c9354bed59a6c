"""The executor that looks at tasks before and after another one runs them; both are in the hands of the test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import pytest

from fastrun import Cause, Outcome, Status, Task
from fastrun.document.parse import read
from fastrun.plan.graph import build
from fastrun.runner.runner import Run
from fastrun.settings import RunSettings
from fastrun.uptodate.examiner import Look, Wrong
from fastrun.uptodate.executor import Decisions, UpToDateExecutor, unrecorded
from fastrun.uptodate.facts import Made, Seen
from tests.support.clocks import ForwardLoop, put_forward, run_with
from tests.support.documents import document, exec_
from tests.support.fakes import HandExecutor, Recorder
from tests.support.processes import LIMIT

FAILED = Outcome(Status.FAILED, Cause.EXIT, 1)
MADE = Made([], [], [], {}, "")


async def until(condition: Callable[[], Any]) -> None:
    """Wait for something that threads are about to do."""
    async with asyncio.timeout(LIMIT):
        while not condition():
            await asyncio.sleep(0.001)


class HandContents:
    """Contents in which there is nothing."""

    def __init__(self) -> None:
        self.news: dict[str, Seen] = {}
        self.stopped = threading.Event()

    def stop(self) -> None:
        self.stopped.set()


class HandExaminer:
    """Finds what the test says. A look that is held goes on when the test or the end of the run lets it.

    ``differences``, ``ends``: by the name of the task; an exception is raised.
    """

    def __init__(self) -> None:
        self.contents = HandContents()
        self.differences: dict[str, Any] = {}
        self.missing: dict[str, str] = {}
        self.ends: dict[str, Any] = {}
        self.held: dict[str, threading.Event] = {}
        self.calls: list[str] = []

    def look(self, task: Task) -> Look:
        difference = self._answer(f"look {task.name}", self.differences.get(task.name, "changed"))
        return Look(difference, self.missing.get(task.name, ""), [], [], {}, {}, 0, 0.0)

    def end(self, task: Task, look: Look | None) -> Made | Wrong | None:
        made: Made | Wrong | None = self._answer(f"end {task.name}", self.ends.get(task.name, MADE))
        return made

    def make_folders(self, task: Task) -> None:
        self.calls.append(f"folders {task.name}")

    def hold(self, call: str) -> threading.Event:
        self.held[call] = threading.Event()
        return self.held[call]

    def _answer(self, call: str, answer: Any) -> Any:
        self.calls.append(call)
        held = self.held.get(call)
        while held is not None and not held.wait(0.001) and not self.contents.stopped.is_set():
            pass
        if isinstance(answer, Exception):
            raise answer
        return answer


class HandNotes:
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.noted: list[Any] = []

    def runs(self, number: int) -> None:
        self.noted.append(("runs", number))

    def task_made(self, number: int, made: Made) -> None:
        self.noted.append(("made", number))

    def files_seen(self, seen: dict[str, Seen]) -> None:
        self.noted.append(("seen", dict(seen)))


class Stage:
    """A run in the background. ``undecided``: numbers of tasks, all that name their files unless it is given."""

    def __init__(self, *tasks: dict[str, Any], slots: int = 1_000, undecided=None, recorded=True, **settings) -> None:
        graph = build(read(document(*tasks), "document"))
        self.examiner = HandExaminer()
        self.notes = HandNotes()
        self.inner = HandExecutor(slots)
        self.recorder = Recorder()
        self.warnings: list[str] = []
        self.why: dict[int, str] = {}
        reverse = graph.reverse()
        decisions = Decisions(
            tasks=graph.tasks,
            examiner=self.examiner,  # type: ignore[arg-type]
            undecided=range(len(tasks)) if undecided is None else undecided,
            why=self.why,
            dependencies=reverse.dependents_of,
            cause=Cause.UP_TO_DATE,
            notes=self.notes if recorded else None,
        )
        self.executor = UpToDateExecutor(self.inner, decisions, 2)
        self.run = Run(
            graph,
            {"exec": self.executor},
            [self.recorder],
            RunSettings(**settings),
            why=self.why,
            reused_as=Cause.UP_TO_DATE,
            warn=self.warnings.append,
        )

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.run.run())
        return self

    async def __aexit__(self, error: object, *_: object) -> None:
        if error is None:
            async with asyncio.timeout(LIMIT):
                await self.task
        elif not self.run._finished.done():
            self.run._finished.set_result(None)
            await self.task

    async def running(self, *names: str) -> None:
        await until(lambda: sorted(self.inner.running) == sorted(names))

    async def called(self, call: str) -> None:
        await until(lambda: call in self.examiner.calls)

    def results(self) -> dict[str, tuple[str, str]]:
        return {result.name: (result.status.label, result.reason) for result in self.task.result()}


def files(name: str, *dependencies: str, **more: Any) -> dict[str, Any]:
    """Return a task that names its files."""
    return exec_(name, "true", *dependencies, outputs=[name], **more)


def plain(name: str, *dependencies: str, **more: Any) -> dict[str, Any]:
    return exec_(name, "true", *dependencies, **more)


def staged(test):
    """Run an async test on asyncio's own loop."""
    return lambda: asyncio.run(test())


@staged
async def test_a_task_without_a_difference_is_up_to_date_and_does_not_start():
    stage = Stage(files("a"), files("b", "a"))
    stage.examiner.differences = {"a": "", "b": ""}
    async with stage:
        pass
    assert stage.results() == {"a": ("ok", "up to date"), "b": ("ok", "up to date")}
    assert stage.examiner.calls == ["look a", "look b"]
    assert ("task_started", "a") not in stage.recorder.events
    assert stage.task.result().reused == 2
    assert stage.notes.noted == []


@staged
async def test_a_task_with_a_difference_runs_and_what_it_made_is_noted_before_its_end():
    async with Stage(files("a"), files("b", "a")) as stage:
        await stage.running("a")
        assert stage.examiner.calls == ["look a", "folders a"]
        end = stage.examiner.hold("end a")
        stage.inner.end("a")
        await stage.called("end a")
        assert ("task_ended", "a", "ok", "") not in stage.recorder.events
        end.set()
        await stage.running("b")
        stage.inner.end("b")
    assert stage.results() == {"a": ("ok", ""), "b": ("ok", "")}
    assert stage.notes.noted == [("runs", 0), ("made", 0), ("runs", 1), ("made", 1)]
    assert stage.why == {0: "changed", 1: "changed"}


@staged
async def test_a_task_that_runs_in_any_case_is_looked_at_and_runs():
    stage = Stage(files("a"), undecided=())
    stage.examiner.differences["a"] = ""
    async with stage:
        await stage.running("a")
        stage.inner.end("a")
    assert stage.notes.noted == [("made", 0)]


@staged
async def test_nothing_is_looked_at_before_the_start_where_nothing_is_recorded():
    stage = Stage(files("a"), undecided=(), recorded=False)
    stage.examiner.ends["a"] = None
    async with stage:
        await stage.running("a")
        stage.inner.end("a")
    assert stage.examiner.calls == ["folders a", "end a"]


@staged
async def test_a_task_that_names_no_files_runs_if_a_dependency_ran():
    stage = Stage(files("a"), files("b"), plain("c", "a"), plain("d", "b"), plain("e", "d"))
    stage.examiner.differences["a"] = ""
    async with stage:
        await stage.running("b")
        stage.inner.end("b")
        await stage.running("d")
        stage.inner.end("d")
        await stage.running("e")
        stage.inner.end("e")
    assert [reason for _, reason in stage.results().values()] == ["up to date", "", "up to date", "", ""]


@staged
async def test_a_missing_input_is_a_failure_and_is_not_tried():
    stage = Stage(files("a"), files("b", "a"))
    stage.examiner.missing["a"] = "x\n"
    async with stage:
        pass
    assert stage.results() == {"a": ("failed", "its input x\\n is missing"), "b": ("skipped", "a failed")}
    assert not stage.inner.running
    assert stage.notes.noted == []


@staged
async def test_a_missing_output_is_a_failure_that_is_tried_again():
    stage = Stage(files("a", retries=1, retry_delay=0))
    stage.examiner.ends["a"] = Wrong(Cause.NO_OUTPUT, "a")
    async with stage:
        for _ in range(2):
            await stage.running("a")
            stage.inner.end("a")
    assert stage.results() == {"a": ("failed", "did not make a")}
    assert stage.notes.noted == [("runs", 0)]


@staged
async def test_a_second_attempt_runs_whatever_the_look_says():
    stage = Stage(files("a", retries=2, retry_delay=0))
    async with stage:
        await stage.running("a")
        stage.examiner.differences["a"] = ""
        stage.inner.end("a", FAILED)
        await stage.running("a")
        stage.inner.end("a", FAILED)
        await stage.running("a")
        stage.inner.end("a")
    assert stage.results() == {"a": ("ok", "attempt 3 of 3")}
    assert stage.examiner.calls.count("look a") == 3


@staged
async def test_what_is_looked_at_is_given_back_by_a_recall_and_looked_at_again():
    async with Stage(files("a"), files("b")) as stage:
        look = stage.examiner.hold("look a")
        await stage.running("b")
        stage.executor.recall()
        assert stage.inner.recalled == {"b"}
        await until(lambda: stage.examiner.calls.count("look a") == 2)
        look.set()
        await stage.running("a", "b")
        stage.inner.end("a")
        stage.inner.end("b")
    assert stage.recorder.events.count(("task_started", "a")) == 1
    assert stage.results() == {"a": ("ok", ""), "b": ("ok", "")}


@staged
async def test_an_interrupt_waits_for_no_look_before_a_start():
    async with Stage(files("a"), files("b", "a")) as stage:
        stage.examiner.hold("look a")
        await stage.called("look a")
        stage.run.interrupt()
    assert stage.results() == {"a": ("interrupted", ""), "b": ("interrupted", "")}
    assert stage.examiner.contents.stopped.is_set()
    assert not stage.inner.running


@staged
async def test_nothing_is_looked_at_after_an_interrupt():
    async with Stage(files("a"), plain("b"), undecided=[0]) as stage:
        await stage.running("a", "b")
        stage.run.interrupt()
        ended: list[Any] = []
        stage.executor._events = type("Events", (), {"task_ended": lambda _, *told: ended.append(told)})()
        calls = list(stage.examiner.calls)
        await stage.executor.start([[(0, stage.run._tasks[0])]])
        assert ended == [(0, None)]
        assert stage.examiner.calls == calls
        stage.executor._events = stage.run
        stage.run.interrupt()


@staged
async def test_an_interrupt_leaves_the_looks_at_what_has_ended():
    async with Stage(files("a"), files("b", "a")) as stage:
        await stage.running("a")
        end = stage.examiner.hold("end a")
        stage.inner.end("a")
        await stage.called("end a")
        stage.run.interrupt()
        assert not stage.task.done()
        end.set()
    assert stage.results() == {"a": ("ok", ""), "b": ("interrupted", "")}
    assert ("made", 0) in stage.notes.noted


@staged
async def test_a_second_interrupt_gives_up_the_looks_and_what_is_not_known_is_not_ok():
    async with Stage(files("a"), files("b", "a")) as stage:
        await stage.running("a")
        stage.examiner.hold("end a")
        stage.inner.end("a")
        await stage.called("end a")
        stage.run.interrupt()
        stage.run.interrupt()
    # It may not have made what it declares.
    assert stage.results() == {"a": ("interrupted", ""), "b": ("interrupted", "")}
    assert ("made", 0) not in stage.notes.noted


@staged
async def test_a_look_that_raises_ends_its_task_and_no_other():
    stage = Stage(files("a"), files("b"), files("c", "a"))
    stage.examiner.differences["a"] = UnicodeError("odd")
    async with stage:
        look = stage.examiner.hold("look b")
        await until(lambda: ("task_ended", "c", "skipped", "a failed") in stage.recorder.events)
        look.set()
        await stage.running("b")
        stage.inner.end("b")
    assert stage.results() == {
        "a": ("failed", "internal error of fastrun: UnicodeError('odd')"),
        "b": ("ok", ""),
        "c": ("skipped", "a failed"),
    }


@staged
async def test_a_look_that_raises_at_the_end_makes_the_task_a_failure():
    stage = Stage(files("a"))
    stage.examiner.ends["a"] = MemoryError()
    async with stage:
        await stage.running("a")
        stage.inner.end("a")
    assert stage.results() == {"a": ("failed", "internal error of fastrun: MemoryError()")}
    assert ("made", 0) not in stage.notes.noted


@staged
async def test_an_error_of_a_look_is_no_lack_of_threads():
    stage = Stage(files("a"))
    stage.examiner.differences["a"] = RuntimeError("odd")
    async with stage:
        pass
    assert stage.examiner.calls == ["look a"]


@staged
async def test_a_start_that_raises_ends_its_task_and_no_other():
    stage = Stage(files("a"), files("b"))
    begin = stage.inner.begin

    def refuse(chain) -> None:
        if chain[0][0] == 0:
            raise OSError("refused")
        begin(chain)

    stage.inner.begin = refuse  # type: ignore[method-assign]
    async with stage:
        await stage.running("b")
        stage.inner.end("b")
    assert stage.results() == {"a": ("failed", "internal error of fastrun: OSError('refused')"), "b": ("ok", "")}
    assert stage.executor._looks == {}


def test_where_no_thread_can_be_started_the_loop_itself_looks(monkeypatch):
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    async def test() -> None:
        async with Stage(files("a")) as stage:
            await stage.running("a")
            stage.inner.end("a")
        assert stage.results() == {"a": ("ok", "")}
        assert stage.notes.noted == [("runs", 0), ("made", 0)]

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)
    asyncio.run(test())


def test_a_task_whose_time_is_over_while_its_end_is_looked_at_is_ok():
    """Nor are processes killed that it left behind: it may have detached them."""

    async def test() -> None:
        async with Stage(files("a", timeout=1_000), grace=1_000) as stage:
            await stage.running("a")
            end = stage.examiner.hold("end a")
            stage.inner.end("a")
            await stage.called("end a")
            deadlines = stage.run._deadlines
            put_forward(1_000)
            await until(lambda: 0 in deadlines._asked)
            put_forward(1_000)
            await until(lambda: not deadlines._forcing._handles)
            end.set()
        assert stage.results() == {"a": ("ok", "")}
        assert stage.inner.calls == ["open", "close"]

    run_with(ForwardLoop, test())


@staged
async def test_a_task_whose_end_is_looked_at_needs_no_slot():
    async with Stage(files("a"), files("b"), slots=1) as stage:
        await stage.running("a")
        end = stage.examiner.hold("end a")
        stage.inner.end("a")
        await stage.called("end a")
        await stage.running("b")
        assert stage.executor.slots == 2
        end.set()
        stage.inner.end("b")
    assert stage.results() == {"a": ("ok", ""), "b": ("ok", "")}


@staged
async def test_an_input_that_changed_meanwhile_is_warned_of():
    stage = Stage(files("a"))
    stage.examiner.ends["a"] = MADE._replace(changed="src/a.c")
    async with stage:
        await stage.running("a")
        stage.inner.end("a")
    assert stage.results() == {"a": ("ok", "")}
    assert stage.warnings == ["a: src/a.c changed while it ran; it runs again next time"]


@staged
async def test_how_files_looked_is_noted_once_when_the_run_is_over():
    seen = Seen(1, 2, 3, 4, "x")
    async with Stage(files("a")) as stage:
        await stage.running("a")
        stage.examiner.contents.news["a"] = seen
        stage.inner.end("a")
    assert stage.notes.noted[-1] == ("seen", {"a": seen})
    await stage.executor.close()
    assert [noted for noted in stage.notes.noted if noted[0] == "seen"] == [("seen", {"a": seen})]
    assert stage.inner.calls == ["open", "close", "close"]


@staged
async def test_all_else_is_passed_on():
    async with Stage(files("a"), plain("b"), undecided=[0]) as stage:
        await stage.running("a", "b")
        stage.executor.suspend(resume=False)
        stage.executor.interrupt(1, force=False)
        assert stage.inner.calls == ["open", ("suspend", False), ("interrupt", 1, False)]
        assert not stage.executor.congested
        stage.executor.task_output(0, 1, b"out\n")
        stage.executor.warning("odd")
        stage.executor.slots_changed()
        stage.inner.end("a", FAILED)
        stage.inner.end("b")
    assert stage.recorder.out("a") == "out\n"
    assert stage.warnings == ["odd"]
    assert stage.results() == {"a": ("failed", "exit status 1"), "b": ("ok", "")}
    assert stage.notes.noted == [("runs", 0)]


def test_without_a_journal_only_what_tasks_make_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    graph = build(read(document(files("a")), "document"))
    decisions = unrecorded(graph)
    assert decisions.notes is None
    assert decisions.examiner.end(graph.tasks[0], None) == Wrong(Cause.NO_OUTPUT, "a")
    (tmp_path / "a").touch()
    assert decisions.examiner.end(graph.tasks[0], None) is None


@pytest.fixture(autouse=True)
def _no_thread_left():
    """Nothing of ours outlives a run, whatever it was reading."""
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fastrun-files")]
