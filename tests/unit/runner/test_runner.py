"""The runner with executors that we hold in our hands: nothing here waits for time to pass."""

from __future__ import annotations

import asyncio
import signal

import pytest

from fastrun import Cause, Observer, Outcome, Status
from fastrun.runner.runner import Run
from fastrun.settings import RunSettings
from tests.support.clocks import StillLoop, put_forward, run_with
from tests.support.documents import graph_of
from tests.support.fakes import OK, HandExecutor, HandJournal, Recorder
from tests.support.runs import settings_of

FAILED = Outcome(Status.FAILED, Cause.EXIT, 1)
INTERRUPTED = Outcome(Status.INTERRUPTED)


async def settle() -> None:
    """Let everything happen that needs no one else."""
    for _ in range(50):
        await asyncio.sleep(0)


async def settle_after(seconds: float) -> None:
    """Let everything happen that needs no one else within so many seconds."""
    put_forward(seconds)
    await settle()


class Stage:
    """A run in the background, with its executor and its events."""

    def __init__(self, edges, *observers, slots=1_000, executor=None, **options) -> None:
        self.warnings: list[str] = []
        self.recorder = Recorder()
        self.executor = executor or HandExecutor(slots)
        observers = (self.recorder, *observers)
        settings = RunSettings(**settings_of(options))
        executors = {"exec": self.executor}
        self.run = Run(graph_of(edges), executors, observers, settings, warn=self.warnings.append, **options)

    async def __aenter__(self):
        self.task = asyncio.create_task(self.run.run())
        await settle()
        return self

    async def __aexit__(self, error: object, *_: object) -> None:
        if error is not None and not self.run._finished.done():
            # It would wait for what the test no longer does.
            self.run._finished.set_result(None)
            await self.task
        assert self.task.done()

    async def end(self, name: str, outcome: Outcome = OK) -> list[str]:
        """End a task. Returns what runs then."""
        self.executor.end(name, outcome)
        await settle()
        return sorted(self.executor.running)


def staged(test):
    """Run an async test on a loop whose time stands still until the test puts it forward."""
    return lambda: run_with(StillLoop, test())


@staged
async def test_a_task_starts_when_all_its_dependencies_are_ok():
    async with Stage([[], [], [0, 1]]) as stage:
        assert sorted(stage.executor.running) == ["0", "1"]
        assert await stage.end("1") == ["0"]
        assert await stage.end("0") == ["2"]
        await stage.end("2")
    assert stage.task.result().ok
    assert stage.executor.calls == ["open", "close"]


@staged
async def test_events_come_once_for_each_task_and_in_order():
    async with Stage([[], [0], [1]]) as stage:
        await stage.end("0")
        await stage.end("1", FAILED)
    assert stage.recorder.events == [
        ("run_started", 3),
        ("task_started", "0"),
        ("task_ended", "0", "ok", ""),
        ("task_started", "1"),
        ("task_ended", "1", "failed", "exit status 1"),
        ("task_ended", "2", "skipped", "1 failed"),
        ("run_ended", 1),
    ]


@staged
async def test_no_more_run_than_there_are_slots():
    async with Stage([[], [], []], slots=2) as stage:
        assert sorted(stage.executor.running) == ["0", "1"]
        assert await stage.end("0") == ["1", "2"]
        await stage.end("1")
        await stage.end("2")


@staged
async def test_a_refused_task_waits_and_is_started_later():
    stage = Stage([[], []], slots=0)
    stage.executor.refuse = 1
    async with stage:
        assert not stage.executor.running
        stage.executor.slots = 1
        stage.executor.events.slots_changed()
        await settle()
        assert sorted(stage.executor.running) == ["0"]
        await stage.end("0")
        await stage.end("1")
    assert stage.task.result().ok


@staged
async def test_nothing_starts_after_the_first_failure_if_asked_so():
    async with Stage([[], [], [], [0]], slots=2, keep_going=1) as stage:
        assert await stage.end("0", FAILED) == ["1"]
        await stage.end("1")
    assert [result[1:3] for result in stage.task.result()] == [
        (Status.FAILED, "exit status 1"),
        (Status.OK, ""),
        (Status.SKIPPED, "stopped after 1 failure"),
        (Status.SKIPPED, "0 failed"),
    ]


@staged
async def test_an_interrupt_starts_nothing_more_and_leaves_the_rest_interrupted():
    async with Stage([[], [0]]) as stage:
        stage.run.interrupt(signal.SIGTERM)
        assert stage.executor.calls == ["open", ("interrupt", False)]
        await stage.end("0")
    report = stage.task.result()
    assert (report.exit_code, report["0"].status, report["1"].status) == (143, Status.OK, Status.INTERRUPTED)
    assert stage.recorder.events[-2:] == [("task_ended", "1", "interrupted", ""), ("run_ended", 143)]


@staged
async def test_a_second_interrupt_ends_at_once_and_another_signal_does_not():
    async with Stage([[]], grace=1_000) as stage:
        stage.run.interrupt(signal.SIGTERM)
        stage.run.interrupt(signal.SIGHUP)
        assert stage.executor.calls == ["open", ("interrupt", False)]
        stage.run.interrupt(signal.SIGINT)
        assert stage.executor.calls[-1] == ("interrupt", True)
        await settle()
    assert stage.task.result().exit_code == 143


@staged
async def test_the_time_of_the_run_ends_it_as_a_signal_does():
    async with Stage([[], [], [0]], grace=1_000, max_time=100, slots=1) as stage:
        await settle_after(100)
        assert stage.executor.calls == ["open", ("interrupt", False)]
        await stage.end("0")
    report = stage.task.result()
    assert [result.status for result in report] == [Status.OK, Status.INTERRUPTED, Status.INTERRUPTED]
    assert (report.exit_code, report.timed_out, report.signal) == (124, 100, None)
    assert report.summary().endswith(" s, timed out after 100 s")
    assert stage.warnings == ["the run timed out after 100 s; its tasks are ended"]


@staged
async def test_what_interrupted_the_run_first_counts():
    async with Stage([[]], grace=1_000, max_time=1_000) as stage:
        stage.run.interrupt(signal.SIGTERM)
        stage.run._interruption.by_time(1_000)
        await stage.end("0")
    report = stage.task.result()
    assert (report.exit_code, report.timed_out, stage.warnings) == (143, None, [])
    assert stage.executor.calls == ["open", ("interrupt", False), "close"]


@staged
async def test_after_the_time_of_the_run_only_an_interrupt_ends_at_once():
    async with Stage([[]], grace=1_000, max_time=100) as stage:
        await settle_after(100)
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP):
            stage.run.interrupt(number)
        assert stage.executor.calls == ["open", ("interrupt", False)]
        stage.run.interrupt(signal.SIGINT)
        assert stage.executor.calls[-1] == ("interrupt", True)
        await settle()
    assert stage.task.result().exit_code == 124


@staged
async def test_a_run_in_time_leaves_no_timer():
    async with Stage([[]], max_time=1_000) as stage:
        await stage.end("0")
    assert not stage.run._deadlines._run._handles
    assert (stage.task.result().exit_code, stage.task.result().timed_out) == (0, None)


@staged
async def test_the_grace_period_ends_in_force():
    async with Stage([[]], grace=0.0) as stage:
        stage.run.interrupt(signal.SIGINT)
        await stage.task
    assert stage.executor.calls == ["open", ("interrupt", False), ("interrupt", True), "close"]


@staged
async def test_cancelling_ends_the_tasks_first():
    async with Stage([[], [0]], grace=1_000) as stage:
        stage.task.cancel()
        await settle()
        assert not stage.task.done()
        assert stage.executor.calls == ["open", ("interrupt", False)]
        stage.task.cancel()
        await settle()
        assert stage.executor.calls[-2:] == [("interrupt", True), "close"]
        with pytest.raises(asyncio.CancelledError):
            await stage.task
    assert stage.recorder.events[-1] == ("run_ended", 130)


class Broken(Observer):
    def task_started(self, number, task, start) -> None:
        raise ValueError("no")


@staged
async def test_an_observer_that_raises_is_dropped_with_a_warning():
    async with Stage([[], [0]], Broken()) as stage:
        await stage.end("0")
        await stage.end("1")
    assert stage.task.result().ok
    assert stage.warnings == ["Broken failed and no longer watches: ValueError('no')"]


@staged
async def test_an_executor_that_raises_fails_the_task_and_not_the_run():
    class Faulty(HandExecutor):
        async def start(self, chains):
            raise ZeroDivisionError("no")

    stage = Stage([[], [0]], executor=Faulty())
    async with stage:
        pass
    report = stage.task.result()
    assert report["0"].reason == "internal error of fastrun: ZeroDivisionError('no')"
    assert report["1"].status is Status.SKIPPED
    assert stage.warnings == ["internal error of fastrun: ZeroDivisionError('no')"]


@staged
async def test_task_whose_start_failed_half_way_has_ended_once():
    class Faulty(HandExecutor):
        async def start(self, chains):
            self.begin(list(chains[0]))
            raise ZeroDivisionError("no")

    async with Stage([[], [0]], executor=Faulty()) as stage:
        stage.executor.end("0")
    assert [event[0] for event in stage.recorder.events].count("task_ended") == 2
    assert stage.task.result().counts[Status.FAILED] == 1


@staged
async def test_a_start_that_is_cancelled_before_it_begins_interrupts_the_run():
    stage = Stage([[], [0]])
    stage.task = asyncio.create_task(stage.run.run())
    while not (starts := asyncio.all_tasks() - {stage.task, asyncio.current_task()}):
        await asyncio.sleep(0)
    starts.pop().cancel()
    await settle()
    assert stage.task.result().exit_code == 130
    assert [event[1:3] for event in stage.recorder.events[1:-1]] == [("0", "interrupted"), ("1", "interrupted")]


@staged
async def test_a_chain_does_not_go_on_once_nothing_may_start():
    async with Stage([[], [0], []], keep_going=1) as stage:
        assert await stage.end("2", FAILED) == ["0"]
        await stage.end("0")
    assert stage.task.result()["1"].reason == "stopped after 1 failure"


class LateExecutor(HandExecutor):
    """A failure is known after tasks were chosen, and before they are handed over."""

    def __init__(self) -> None:
        super().__init__(slots=2)
        self.late: str | None = None

    @property
    def slots(self) -> int:
        if self.late is not None and self.late in self.running:
            name, self.late = self.late, None
            asyncio.get_running_loop().call_soon(self.end, name, FAILED)
        return self._slots

    @slots.setter
    def slots(self, slots: int) -> None:
        self._slots = slots


@staged
async def test_what_was_chosen_before_a_failure_is_not_handed_over_after_it():
    executor = LateExecutor()
    async with Stage([[], [], []], executor=executor, keep_going=1) as stage:
        executor.late = "0"
        assert await stage.end("1") == []
    assert ("task_started", "2") not in stage.recorder.events
    assert stage.task.result()["2"].reason == "stopped after 1 failure"


@staged
async def test_nothing_starts_while_a_failure_is_being_recorded():
    journal = HandJournal()
    async with Stage([[], [], []], journal=journal, slots=2, keep_going=1) as stage:
        stage.executor.end("0", FAILED)
        assert await stage.end("1") == []
        assert not stage.task.done()
        journal.record()
        await settle()
    assert ("task_started", "2") not in stage.recorder.events


@staged
async def test_congestion_is_an_observers_and_ends_with_force():
    async with Stage([[]]) as stage:
        assert not stage.run.congested
        stage.recorder.behind = True
        assert stage.run.congested
        stage.run.interrupt()
        assert stage.run.congested
        stage.run.interrupt()
        assert not stage.run.congested
        await settle()


@staged
async def test_no_tasks_are_a_run_that_is_ok():
    async with Stage([]) as stage:
        pass
    assert stage.task.result().ok
    assert len(stage.task.result()) == 0


@staged
async def test_reports_can_be_read_by_name_and_in_order():
    async with Stage([[], [0]]) as stage:
        await stage.end("0", FAILED)
    report = stage.task.result()
    assert [result.name for result in report] == ["0", "1"]
    assert report["1"][:4] == ("1", Status.SKIPPED, "0 failed", 0)
    assert report.counts == {Status.OK: 0, Status.FAILED: 1, Status.SKIPPED: 1, Status.INTERRUPTED: 0}
    with pytest.raises(KeyError):
        report["2"]


@staged
async def test_a_million_ready_tasks_are_not_a_million_coroutines():
    stage = Stage([[] for _ in range(1_000)], slots=3)
    async with stage:
        assert len(asyncio.all_tasks()) < 10
        for _ in range(1_000):
            name = min(stage.executor.running, key=int)
            stage.executor.end(name)
            await asyncio.sleep(0)
            await settle()
    assert stage.task.result().ok


@staged
async def test_a_task_whose_time_is_over_is_asked_to_end_and_then_made_to():
    async with Stage([[], [0]], timeout=100, grace=10) as stage:
        await settle_after(100)
        assert stage.executor.calls == ["open", ("interrupt", 0, False)]
        await settle_after(10)
        await stage.end("0", INTERRUPTED)
    assert stage.executor.calls[1:3] == [("interrupt", 0, False), ("interrupt", 0, True)]
    assert [result[:3] for result in stage.task.result()] == [
        ("0", Status.FAILED, "timed out after 100 s"),
        ("1", Status.SKIPPED, "0 failed"),
    ]


@staged
async def test_a_task_that_ended_by_itself_has_not_timed_out():
    async with Stage([[]], timeout=100, grace=1_000) as stage:
        await settle_after(100)
        assert stage.executor.calls == ["open", ("interrupt", 0, False)]
        await stage.end("0", FAILED)
    assert stage.task.result()["0"].reason == "exit status 1"


@staged
async def test_a_task_that_is_in_time_is_left_alone():
    async with Stage([[], []], timeout=60.0) as stage:
        await stage.end("0")
        assert len(stage.run._deadlines._timers._handles) == 1
        await stage.end("1")
    assert not stage.run._deadlines._timers._handles
    assert stage.executor.calls == ["open", "close"]


@staged
async def test_nothing_is_acted_on_before_it_is_recorded():
    journal = HandJournal()
    async with Stage([[], [0], [0], []], journal=journal, slots=2) as stage:
        assert await stage.end("0") == ["3"]
        assert ("task_ended", "0", "ok", "") not in stage.recorder.events
        assert await stage.end("3") == []
        # The end of 0, and not yet that of 3.
        journal.record(journal.noted.index(("ok", 0)) + 1)
        await settle()
        assert ("task_ended", "3", "ok", "") not in stage.recorder.events
        assert sorted(stage.executor.running) == ["1", "2"]
        journal.record()
        assert await stage.end("1") == ["2"]
        assert await stage.end("2") == []
    assert journal.noted[-2:] == [("ok", 1), ("ok", 2)]
    assert journal.report is stage.task.result()


@staged
async def test_slots_are_free_while_ends_are_being_recorded():
    journal = HandJournal()
    async with Stage([[], [], [], [0]], journal=journal, slots=1) as stage:
        assert await stage.end("0") == ["1"]
        assert await stage.end("1") == ["2"]
        assert await stage.end("2") == []
        assert not stage.task.done()
        journal.record()
        await settle()
        assert await stage.end("3") == []


@staged
async def test_skips_are_recorded_and_interrupted_tasks_too():
    journal = HandJournal()
    journal.written = 1_000
    async with Stage([[], [0], []], journal=journal) as stage:
        await stage.end("0", FAILED)
        stage.run.interrupt()
        await stage.end("2", INTERRUPTED)
    assert journal.noted == [("started", 0), ("started", 2), ("failed", 0), ("skipped", 1), ("interrupted", 2)]


@staged
async def test_after_a_journal_error_nothing_starts_and_running_tasks_end():
    journal = HandJournal()
    journal.written = 1_000
    async with Stage([[], [0], [], []], journal=journal, slots=2) as stage:
        journal.error = OSError(28, "No space left on device")
        assert await stage.end("0") == ["2"]
        assert await stage.end("2", FAILED) == []
    report = stage.task.result()
    assert stage.warnings == ["cannot write the journal: No space left on device; nothing more is started"]
    assert [(result.status.label, result.reason) for result in report] == [
        ("ok", ""),
        ("skipped", "the journal cannot be written"),
        ("failed", "exit status 1"),
        ("skipped", "the journal cannot be written"),
    ]
    assert (report.recorded, report.exit_code) == (False, 3)


@staged
async def test_error_at_the_end_of_the_journal_counts():
    class Torn(HandJournal):
        def close(self, report) -> None:
            raise OSError(5, "Input/output error")

    journal = Torn()
    journal.written = 1_000
    async with Stage([[]], journal=journal) as stage:
        await stage.end("0")
    assert stage.task.result().exit_code == 3
    assert len(stage.warnings) == 1


@staged
async def test_reused_tasks_are_ok_and_never_start():
    async with Stage([[], [0], [1]], reused=[0, 1]) as stage:
        assert sorted(stage.executor.running) == ["2"]
        await stage.end("2", FAILED)
    report = stage.task.result()
    assert (report.reused, report["1"].reason, report.counts[Status.OK]) == (2, "from the journal", 2)
    assert stage.recorder.events[:3] == [
        ("run_started", 3),
        ("task_ended", "0", "ok", "from the journal"),
        ("task_ended", "1", "ok", "from the journal"),
    ]


@staged
async def test_all_tasks_reused_are_a_run_that_is_ok():
    async with Stage([[], [0]], reused=[0, 1]) as stage:
        pass
    assert stage.task.result().ok
