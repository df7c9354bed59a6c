"""Snippets and their threads: the pool, chains, interrupts, time limits and forks."""

from __future__ import annotations

import asyncio
import decimal
import errno
import os
import subprocess
import sys
import threading
from typing import Any

import pytest
import uvloop

import fastrun as library
from fastrun import Status, Task
from fastrun.executors import shortage
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.guardian.table import EVAL, Row, read_rows
from fastrun.executors.snippets import crew
from fastrun.executors.snippets import executor as snippets
from fastrun.executors.snippets.crew import ENDED, FAILED, WENT_ON, Crew
from fastrun.executors.snippets.executor import SnippetExecutor
from fastrun.outcome import OK, Outcome
from fastrun.protocols import tell_each
from fastrun.settings import RunSettings
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.fakes import Recorder
from tests.support.processes import LIMIT, environment, fastrun, unmeasured, wait_for
from tests.support.runs import Evaluated, evaluate, shared


@pytest.mark.parametrize("runner", [uvloop.run, asyncio.run])
def test_a_snippet_prints_and_is_ok(runner):
    ran = evaluate("import sys\nprint('out'); print('err', file=sys.stderr)", runner=runner)
    assert ran.status() == ("ok", "")
    assert (ran.recorder.out("a"), ran.recorder.err("a")) == ("out\n", "err\n")
    hooks = [event[0] for event in ran.recorder.events]
    assert hooks[:2] == ["run_started", "task_started"]
    assert hooks[-2:] == ["task_ended", "run_ended"]


def test_every_snippet_has_a_fresh_namespace_of_its_own():
    tasks = [eval_(str(i), "assert 'seen' not in globals(); seen = __name__; print(seen)") for i in range(20)]
    ran = Evaluated(*tasks, threads=1)
    assert ran.report.ok
    assert {ran.recorder.out(str(i)) for i in range(20)} == {"__main__\n"}


def test_functions_of_a_snippet_see_its_names():
    assert evaluate("x = 1\ndef f():\n    return [x for _ in range(2)]\nassert f() == [1, 1]").report.ok


def test_our_own_future_imports_do_not_reach_snippets():
    # With that of annotations they would be strings.
    assert evaluate("def f(a: int): ...\nassert f.__annotations__['a'] is int").report.ok


def test_context_of_a_snippet_does_not_reach_the_next():
    change = "import decimal; decimal.getcontext().prec = 3"
    look = "import decimal; assert decimal.getcontext().prec == 28"
    assert Evaluated(eval_("a", change), eval_("b", look, "a"), threads=1).report.ok


def test_snippets_that_wait_run_side_by_side_up_to_the_bound():
    # None passes before twenty have come: the pool must grow to that.
    with shared(barrier=threading.Barrier(20, timeout=LIMIT)):
        ran = Evaluated(*(eval_(str(i), "import shared; shared.barrier.wait()") for i in range(20)), threads=20)
    assert ran.report.ok


def test_one_thread_runs_one_snippet_at_a_time():
    ran = Evaluated(*(eval_(str(i), "print(1)") for i in range(5)), threads=1)
    hooks = [event[:2] for event in ran.recorder.events[1:-1]]
    assert hooks == [(h, str(i)) for i in range(5) for h in ("task_started", "task_output", "task_ended")]


def test_no_snippet_starts_after_the_last_failure_that_is_taken():
    # Though short ones are queued ahead of their thread where nothing may hold them back.
    tasks = [eval_(f"t{n}", "1 / 0" if n == 500 else "x = 1") for n in range(1_000)]
    recorder = Recorder()
    report = library.run(document(*tasks), eval_threads=1, keep_going=1, observers=[recorder])
    assert len([event for event in recorder.events if event[0] == "task_started"]) == 501
    assert report.counts[Status.SKIPPED] == 499


def test_nothing_starts_after_the_first_failure_though_a_thread_has_it_queued():
    for _ in range(20):
        recorder = Recorder()
        tasks = [eval_("a", "1 / 0"), *(eval_(name, "x = 1") for name in "bcd")]
        library.run(document(*tasks), keep_going=1, observers=[recorder])
        failed = recorder.place("task_ended", "a")
        assert not [event for event in recorder.events[failed:] if event[0] == "task_started"]


class Heard:
    """The events of an executor, as the loop hears them: what happened, and to which task."""

    congested = False

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []

    def task_started(self, number, start) -> None:
        self.events.append(("started", number))

    def task_output(self, number, stream, data) -> None:
        """Nothing is made of it."""

    def task_ended(self, number, outcome) -> None:
        self.events.append(("given back" if outcome is None else outcome.status.label, number))

    def tasks_ran(self, numbers) -> None:
        tell_each(self, numbers)

    def slots_changed(self) -> None:
        """Nothing waits for slots."""

    def warning(self, text) -> None:
        raise AssertionError(text)


class Short(Heard):
    """Is short of memory at the first event of a kind."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.warnings: list[str] = []

    def run_short(self, kind: str) -> None:
        if kind == self.kind:
            self.kind = ""
            raise MemoryError

    def task_started(self, number, start) -> None:
        self.run_short("started")
        super().task_started(number, start)

    def task_output(self, number, stream, data) -> None:
        self.run_short("output")

    def task_ended(self, number, outcome) -> None:
        self.run_short("ended")
        super().task_ended(number, outcome)

    def tasks_ran(self, numbers) -> None:
        self.run_short("ran")
        super().tasks_ran(numbers)

    def warning(self, text) -> None:
        self.warnings.append(text)


@pytest.mark.parametrize("kind", ["started", "output", "ended"])
def test_error_while_news_is_passed_on_fails_its_task_and_loses_no_other_news(kind):
    heard = pass_on_two(Short(kind), "print()")
    assert [event for event in heard.events if event[0] != "started"] == [("failed", 0), ("ok", 1)]
    assert heard.warnings == ["internal error of fastrun: MemoryError()"]


def test_error_while_short_tasks_are_passed_on_fails_these_and_loses_no_other_news(monkeypatch):
    # They are short however long a busy machine takes for them.
    monkeypatch.setattr(snippets, "_LATE", LIMIT)
    # All that are told at once: which of them the run has heard of is not known.
    heard = pass_on_two(Short("ran"), "x = 1")
    assert ("failed", 0) in heard.events
    assert sorted(number for what, number in heard.events if what != "started") == [0, 1]
    assert heard.warnings == ["internal error of fastrun: MemoryError()"]


def test_error_while_a_failure_is_passed_on_keeps_nothing_from_starting_later():
    heard = pass_on_two(Short("ended"), "1 / 0", keep_going=2)
    assert [event for event in heard.events if event[0] != "started"] == [("failed", 0), ("given back", 1)]


def pass_on_two(heard: Short, source: str, keep_going: int = 0) -> Short:
    """Run two tasks whose news comes at once, as numbers 0 and 1. The events are told before the executor is closed."""
    guardian = Guardian(os.urandom(8).hex(), wanted=False)
    executor = SnippetExecutor(guardian, RunSettings(eval_threads=1, keep_going=keep_going))

    async def main() -> None:
        executor.open(heard)
        await executor.start([[(n, Task(str(n), "eval", source))] for n in range(2)])
        wait_for(lambda: any(news[:2] == (1, ENDED) for news in list(executor._crew._news)))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not executor._crew._news
        assert not executor._crew.abandoned
        # Else no thread would start what is handed over from now on.
        assert executor._known_recalls == executor._crew._recalls
        await executor.close()

    asyncio.run(main())
    guardian.stop()
    return heard


@pytest.mark.parametrize("chained", [False, True])
def test_no_thread_starts_a_snippet_once_a_failure_is_known_in_another(chained):
    guardian = Guardian(os.urandom(8).hex(), wanted=False)
    executor, heard = SnippetExecutor(guardian, RunSettings(eval_threads=2, keep_going=1)), Heard()
    # While the first snippet waits, the second fails in another thread; the loop hears of neither.
    waits = "import shared; shared.runs.set(); shared.told.wait()"
    jobs = [(n, Task(str(n), "eval", source)) for n, source in enumerate([waits, "1 / 0", "x = 1", "x = 2"])]

    async def main() -> None:
        executor.open(heard)
        chains = [[jobs[0], jobs[2]], [jobs[1]], [jobs[3]]] if chained else [[job] for job in jobs]
        await executor.start(chains[:1])
        wait_for(module.runs.is_set)
        await executor.start(chains[1:])
        executor._add_thread()
        wait_for(lambda: any(what == FAILED for _, what, _, _ in list(executor._crew._news)))
        module.told.set()
        wait_for(lambda: len([news for news in list(executor._crew._news) if news[1] in (ENDED, WENT_ON)]) == 3)
        await asyncio.sleep(0)
        executor._collect()
        # The loop has heard of the failure, and lets the others start.
        await executor.start([[jobs[3]]])
        wait_for(lambda: any(news[:2] == (3, ENDED) for news in list(executor._crew._news)))
        await executor.close()

    with shared(runs=threading.Event(), told=threading.Event()) as module:
        asyncio.run(main())
    guardian.stop()
    started = [number for what, number in heard.events if what == "started"]
    assert sorted(started) == [0, 1, 3]
    assert ("given back", 2) in heard.events
    assert heard.events.index(("given back", 3)) < heard.events.index(("started", 3))


def test_snippet_that_is_ok_after_all_keeps_nothing_from_starting():
    # Its exception is a failure at first. The two tasks after it are not of its chain.
    leaves = eval_("a", "import sys\nsys.excepthook = lambda *_: sys.exit(0)\n1 / 0")
    ran = Evaluated(leaves, eval_("b", "print('on')", "a"), eval_("c", "print('on')", "a"), keep_going=1)
    assert [ran.status(name) for name in "abc"] == [("ok", "")] * 3


def test_snippet_that_fails_at_its_end_as_well_is_one_failure():
    # The end of the snippet raises what ``str`` of the name raises.
    odd = "class Odd(str):\n    def __str__(self): raise KeyError('at the end')\nglobals()[Odd('x')] = 1\n1 / 0"
    after = [eval_(name, "print('on')", "a", when="always") for name in "bc"]
    ran = Evaluated(eval_("a", odd), *after, keep_going=2)
    assert "KeyError: 'at the end'" in ran.recorder.err("a")
    assert [ran.status(name)[0] for name in "abc"] == ["failed", "ok", "ok"]


class Broken:
    """An interpreter that raises instead of running the tasks named ``broken``."""

    def run(self, number, task) -> Outcome:
        if task.name == "broken":
            raise KeyError(number)
        return OK

    def name_thread(self, number) -> str:
        return ""

    async def close(self, guardian, grace, warn) -> None:
        """Nothing is left behind."""


@pytest.mark.parametrize("keep_going", [0, 2])
def test_error_of_fastrun_itself_fails_its_task_and_the_thread_goes_on(keep_going):
    guardian = Guardian(os.urandom(8).hex(), wanted=False)
    executor, heard = SnippetExecutor(guardian, RunSettings(eval_threads=1, keep_going=keep_going)), Heard()
    interpreter: Any = Broken()
    executor._crew.interpreter = interpreter
    jobs = [(n, Task(name, "eval", "")) for n, name in enumerate(["a", "broken", "c", "d"])]

    async def main() -> None:
        executor.open(heard)
        await executor.start([jobs[:3]])
        while len(heard.events) < 4:
            await asyncio.sleep(0)
        await executor.start([jobs[3:]])
        while len(heard.events) < 6:
            await asyncio.sleep(0)
        await executor.close()

    asyncio.run(asyncio.wait_for(main(), LIMIT))
    guardian.stop()
    assert heard.events == [(what, n) for n, end in ((0, "ok"), (1, "failed"), (3, "ok")) for what in ("started", end)]


def test_only_work_that_has_waited_makes_another_thread(monkeypatch):
    monkeypatch.setattr(snippets, "_PATIENCE", 1e6)
    source = "import shared, threading; shared.seen.add(threading.get_ident())"
    with shared(seen=set()) as module:
        chain = [eval_(str(i), source, *([str(i - 1)] if i else [])) for i in range(200)]
        assert Evaluated(*chain).report.ok
    assert len(module.seen) == 1


def test_the_pool_grows_only_after_several_looks_at_which_its_threads_had_not_got_on(monkeypatch):
    monkeypatch.setattr(snippets, "_PATIENCE", 1e6)
    guardian = Guardian(os.urandom(8).hex(), wanted=False)
    executor = SnippetExecutor(guardian, RunSettings(eval_threads=4))
    waits = "import shared; shared.runs.set(); shared.told.wait()"
    chains = [[(n, Task(str(n), "eval", source))] for n, source in enumerate([waits, "x = 1", "x = 2"])]
    sizes: list[int] = []

    async def main() -> None:
        executor.open(Heard())
        await executor.start(chains)
        wait_for(module.runs.is_set)
        # This look sees that the thread has taken the first snippet, however early it did.
        executor._taken = 0
        executor._grow()
        for _ in range(snippets._LOOKS):
            sizes.append(len(executor._threads))
            executor._grow()
        sizes.append(len(executor._threads))
        module.told.set()
        await executor.close()

    with shared(runs=threading.Event(), told=threading.Event()) as module:
        asyncio.run(main())
    guardian.stop()
    assert sizes == [1] * snippets._LOOKS + [2]


def test_snippet_that_prints_without_end_is_slowed_and_loses_nothing():
    class Slow(Recorder):
        looks = 0

        @property
        def congested(self) -> bool:
            self.looks += 1
            return self.looks % 2 != 0

    ran = evaluate("for i in range(40): print('x' * 99_999)", recorder=Slow())
    assert ran.recorder.out("a") == ("x" * 99_999 + "\n") * 40


class InterruptAt(Recorder):
    """Interrupts when a task prints, so many times."""

    def __init__(self, *forces: bool) -> None:
        super().__init__()
        self.forces = forces

    def task_output(self, number, task, stream, data) -> None:
        super().task_output(number, task, stream, data)
        for _ in self.forces:
            self.run.interrupt()


def test_an_interrupt_lets_running_snippets_end_and_starts_none_that_waits():
    ran = Evaluated(*(eval_(str(i), "print('x')") for i in range(50)), recorder=InterruptAt(False), threads=1)
    statuses = [result.status for result in ran.report]
    assert statuses[0] is Status.OK
    assert Status.INTERRUPTED in statuses
    started = {event[1] for event in ran.recorder.events if event[0] == "task_started"}
    assert started == {result.name for result in ran.report if result.status is Status.OK}


def test_a_second_interrupt_gives_up_on_a_snippet_that_does_not_end(capfd):
    source = (
        "import shared, sys; out = sys.stdout; print('x'); shared.gate.wait(); print('late'); print('later', file=out)"
    )
    with shared(gate=threading.Event()) as module:
        try:
            ran = evaluate(source, recorder=InterruptAt(False, True))
            # It takes nothing from the queue, which tells the threads to end.
            ran.executor.interrupt(force=False)
            ran.executor.recall()
        finally:
            module.gate.set()
            for thread in threading.enumerate():
                if thread.name == "fastrun-eval":
                    thread.join(LIMIT)
    assert not any(thread.is_alive() for thread in ran.executor._threads)
    assert ran.status() == ("interrupted", "")
    assert (ran.recorder.out("a"), capfd.readouterr().out) == ("x\n", "late\nlater\n")


class Deep(asyncio.SelectorEventLoop):
    """A loop that is called the first time where no frames are left for it."""

    calls = 0

    def call_soon_threadsafe(self, *arguments: Any, **keywords: Any) -> asyncio.Handle:  # type: ignore[override]
        self.calls += 1
        if self.calls == 1:
            raise RecursionError
        return super().call_soon_threadsafe(*arguments, **keywords)


def test_snippet_that_prints_at_the_recursion_limit_leaves_the_news_to_the_next():
    guardian = Guardian(os.urandom(8).hex(), wanted=False)
    members = crew.Crew(guardian, fail_fast=False)

    async def main() -> list[bytes]:
        woken = asyncio.Event()
        members.open(Heard(), woken.set)
        with pytest.raises(RecursionError):
            members._print(0, 1, b"x")
        assert members._print(0, 1, b"y")
        await asyncio.wait_for(woken.wait(), LIMIT)
        return [content for _, _, content, _ in members.take_news()]

    with asyncio.Runner(loop_factory=Deep) as runner:
        assert runner.run(main()) == [b"x", b"y"]
        loop = runner.get_loop()
    guardian.stop()
    # Of a loop that is closed there is nothing to be had: the run is over.
    assert loop.is_closed()
    members._wake()
    assert members.closed


# At each of the next allocations once, a collection begins that finalizes what prints.
PRINTS_WHEN_COLLECTED = """
import asyncio, gc, os
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.snippets.crew import Crew
from tests.unit.executors.snippets.test_executor import Heard
guardian = Guardian(os.urandom(8).hex(), wanted=False)
crew = Crew(guardian, fail_fast=True)
class Late:
    def __del__(self):
        crew._print(0, 1, b"late")
async def main():
    crew.open(Heard(), int)
    for ahead in range(20):
        kept = []
        gc.collect()
        gc.disable()
        late = Late()
        late.late = late
        del late
        # Then there is no tuple left that could be used again.
        kept = [(number, ahead, None, None) for number in range(1_000)]
        gc.set_threshold(gc.get_count()[0] + ahead)
        gc.enable()
        crew._go_on(0, (1, None), 0.0)
    gc.collect()
    assert [content for _, _, content, _ in crew.take_news()].count(b"late") == 20
asyncio.run(main())
guardian.stop()
"""


def test_snippet_that_prints_as_garbage_is_collected_stops_no_thread():
    command = [sys.executable, "-c", PRINTS_WHEN_COLLECTED]
    result = subprocess.run(command, capture_output=True, env=environment(), timeout=LIMIT, check=False)
    assert (result.returncode, result.stderr) == (0, b"")


def test_observers_find_no_variable_that_a_snippet_has_set():
    seen: list[int] = []

    class Looks(Recorder):
        def task_output(self, number, task, stream, data) -> None:
            super().task_output(number, task, stream, data)
            seen.append(decimal.getcontext().prec)

        def task_started(self, number, task, start) -> None:
            module.started.set()

    # What it prints wakes the loop only once the news of its start is taken.
    source = "import decimal, shared\nshared.started.wait(60)\ndecimal.getcontext().prec = 3\nprint('x')"
    with shared(started=threading.Event()) as module:
        evaluate(source, recorder=Looks())
    assert set(seen) == {28}


def test_thread_that_waits_for_work_lists_no_snippet():
    class Looks(Recorder):
        def task_started(self, number, task, start) -> None:
            assert read_rows(self.executor._guardian.table.descriptor) == [Row(EVAL, 0, "a")]
            module.go.set()

        def task_ended(self, number, task, outcome) -> None:
            wait_for(lambda: not read_rows(self.executor._guardian.table.descriptor))

    with shared(go=threading.Event()) as module:
        assert evaluate("import shared\nshared.go.wait(60)", recorder=Looks()).report.ok


def test_hooks_that_the_process_sets_for_all_threads_stay():
    look = "import shared, sys\nassert sys.getprofile() is shared.profile\nsys.setprofile(None)\nclass Touched: pass"
    threading.setprofile(profile := lambda *_: None)
    try:
        with shared(profile=profile):
            ran = Evaluated(eval_("a", look), eval_("b", look, "a"), threads=1)
    finally:
        threading.setprofile(None)
    assert ran.report.ok


def test_no_thread_to_be_had_fails_the_task_in_the_end(monkeypatch):
    # Injected: a limit on threads does not bind root, and would bind the test as well.
    def refuse(thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(shortage, "PATIENCE", 0.0)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    ran = evaluate("pass")
    assert ran.status() == ("failed", "cannot start a thread")
    assert ran.warnings == ["cannot start a thread: starting fewer tasks at once"]


def test_two_runs_at_once_in_one_process_keep_their_output_apart():
    async def both():
        from fastrun import run_async

        recorders = [Recorder(), Recorder()]
        tasks = [eval_(str(i), "print('x')") for i in range(30)]
        await asyncio.gather(*(run_async(document(*tasks), observers=[recorder]) for recorder in recorders))
        return recorders

    for recorder in asyncio.run(both()):
        assert all(recorder.out(str(i)) == "x\n" for i in range(30))


def test_a_pool_that_cannot_grow_goes_on_with_the_threads_it_has(monkeypatch):
    # Injected, as above: from the second thread on there are none to be had.
    start = threading.Thread.start

    def refuse(thread) -> None:
        if thread.name == "fastrun-eval" and any(t.name == "fastrun-eval" for t in threading.enumerate()):
            module.refused.set()
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with shared(refused=threading.Event()) as module:
        # The first waits until the pool has tried to grow.
        tasks = [eval_(str(i), "import shared; shared.refused.wait()") for i in range(5)]
        assert Evaluated(*tasks).report.ok


# How often a thread is refused once the only one there is was given up on, and how the task after that ends.
REFUSED = {1: ("ok", ""), 1_000_000: ("failed", "cannot start a thread")}


@pytest.mark.parametrize("times", REFUSED)
@pytest.mark.parametrize("queued", [False, True])
def test_a_thread_that_is_missing_instead_of_one_given_up_on_is_tried_again(monkeypatch, times, queued):
    tries = iter([True, *[False] * times])
    start = threading.Thread.start

    def refuse(thread) -> None:
        if thread.name == "fastrun-eval" and not next(tries, True):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(shortage, "_RETRY", 0.0)
    monkeypatch.setattr(shortage, "PATIENCE", 0.0 if times > 1 else LIMIT)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    # Where it waits in the queue, the pool must not have grown before.
    monkeypatch.setattr(snippets, "_PATIENCE", 1e6 if queued else snippets._PATIENCE)
    with shared(release=threading.Event()) as module:
        stuck = eval_("a", "import shared; shared.release.wait()", timeout=0.01)
        ran = Evaluated(stuck, eval_("b", "print('x')"), threads=2 if queued else 1)
        module.release.set()
        for thread in ran.executor._threads:
            thread.join()
    assert ran.status("a")[0] == "failed"
    assert ran.status("b") == REFUSED[times]


def test_a_snippet_that_has_ended_before_it_is_given_up_on_keeps_its_thread():
    guardian = Guardian(os.urandom(8).hex(), wanted=False)
    executor, heard = SnippetExecutor(guardian), Heard()

    async def main() -> None:
        executor.open(heard)
        await executor.start([[(0, Task("a", "eval", "x = 1"))]])
        wait_for(lambda: any(news[1] is ENDED for news in list(executor._crew._news)))
        executor.interrupt(0, force=True)
        assert not executor._crew.abandoned
        await executor.close()

    asyncio.run(main())
    guardian.stop()
    # And no warning says that it still runs.
    assert heard.events == [("started", 0), ("ok", 0)]


def test_a_thread_that_is_missing_at_first_is_tried_again(monkeypatch):
    tries = iter([False])
    start = threading.Thread.start

    def refuse_once(thread) -> None:
        if not next(tries, True):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(shortage, "_RETRY", 0.0)
    monkeypatch.setattr(threading.Thread, "start", refuse_once)
    ran = evaluate("pass")
    assert ran.status() == ("ok", "")
    assert ran.warnings == ["cannot start a thread: starting fewer tasks at once"]


@pytest.mark.parametrize("times", [1, 1_000_000])
@pytest.mark.parametrize(
    "error", [OSError(errno.EMFILE, "Too many open files"), ImportError("no memory"), MemoryError()]
)
def test_a_shortage_while_the_modules_for_snippets_are_loaded_makes_them_wait(monkeypatch, times, error):
    tries = iter([False] * times)
    prepare = Crew.prepare

    def refuse(self: Crew) -> None:
        if not next(tries, True):
            raise error
        prepare(self)

    monkeypatch.setattr(shortage, "_RETRY", 0.0)
    monkeypatch.setattr(shortage, "PATIENCE", 0.0 if times > 1 else LIMIT)
    monkeypatch.setattr(Crew, "prepare", refuse)
    ran = evaluate("pass")
    reason = f"cannot start: {str(error) or 'Cannot allocate memory'}"
    assert ran.status() == (("ok", "") if times == 1 else ("failed", reason))
    assert ran.warnings == [f"{reason}: starting fewer tasks at once"]


def test_a_copy_that_a_snippet_forks_ends_and_one_runner_remains(tmp_path):
    fork = f"import os\npid = os.fork()\nif pid: open({str(tmp_path / 'pid')!r}, 'w').write(str(pid))"
    write = f"open({str(tmp_path / 'runs')!r}, 'a').write('x')"
    wait = f"import os; os.waitpid(int(open({str(tmp_path / 'pid')!r}).read()), 0)"
    tasks = [eval_("a", fork), eval_("b", write, "a"), eval_("c", write, "a"), eval_("d", wait, "a")]
    result = fastrun(write_json(tmp_path, document(*tasks)))
    assert result.returncode == 0
    assert (tmp_path / "runs").read_text() == "xx"


def test_a_forked_process_can_have_runs_of_its_own(tmp_path):
    code = """
import os, sys
import fastrun
tasks = {"tasks": [{"name": name, "type": "eval", "arguments": "print('x')"} for name in "abc"]}
assert fastrun.run(tasks).ok
if not os.fork():
    recorded = []
    class Watch(fastrun.Observer):
        def task_output(self, number, task, stream, data):
            recorded.append(data)
    os._exit(10 if fastrun.run(tasks, observers=[Watch()]).ok and recorded == [b"x\\n"] * 3 else 11)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, env=environment(), timeout=LIMIT, check=False)
    assert (result.returncode, result.stderr) == (10, b"")


class LetsGo(Recorder):
    """Sets ``go`` once a task has failed and nothing waits for a thread any more."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def task_ended(self, number, task, outcome) -> None:
        super().task_ended(number, task, outcome)
        if outcome.status is Status.FAILED:
            asyncio.get_running_loop().call_soon(self.look)

    def look(self) -> None:
        if self.executor._crew.jobs.qsize():
            asyncio.get_running_loop().call_later(0.001, self.look)
        else:
            self.go.set()


def test_snippets_that_wait_for_a_thread_are_taken_back_after_the_last_failure_allowed(monkeypatch):
    # One thread for all.
    monkeypatch.setattr(snippets, "_PATIENCE", 1e9)
    recorder = LetsGo()
    with shared(go=recorder.go):
        waits = [eval_(f"w{i}", "import shared; shared.go.wait(60)") for i in range(4)]
        ran = Evaluated(eval_("fails", "1/0"), *waits, recorder=recorder, keep_going=1)
    # The thread may have gone on with the next before the failure was known.
    assert {event[1] for event in recorder.events if event[0] == "task_started"} <= {"fails", "w0"}
    assert ran.status("w3") == ("skipped", "stopped after 1 failure")


def chain_of(*sources: str) -> list[dict[str, object]]:
    return [eval_(str(i), source, *([str(i - 1)] if i else [])) for i, source in enumerate(sources)]


def test_a_chain_of_snippets_runs_on_one_thread_with_events_for_each_task():
    threads: list[int] = []
    with shared(threads=threads):
        source = "import shared, threading; shared.threads.append(threading.get_ident()); print('hello')"
        ran = Evaluated(*chain_of(source, f"{source}; raise SystemExit(0)", source, "raise KeyError(1)", source))
    assert [ran.status(str(i)) for i in range(5)] == [
        ("ok", ""),
        ("ok", ""),
        ("ok", ""),
        ("failed", "KeyError: 1"),
        ("skipped", "3 failed"),
    ]
    assert len(threads) == 3
    started = [event for event in ran.recorder.events if event[0] in ("task_started", "task_ended")]
    assert [event[1] for event in started] == ["0", "0", "1", "1", "2", "2", "3", "3", "4"]
    assert ran.recorder.out("2") == "hello\n"


def test_a_chain_of_snippets_that_take_long_goes_back_into_the_queue(monkeypatch):
    monkeypatch.setattr(crew, "CHAIN_SECONDS", -1.0)
    ran = Evaluated(*chain_of(*["pass"] * 5))
    assert ran.report.ok
    assert [event[1] for event in ran.recorder.events if event[0] == "task_started"] == ["0", "1", "2", "3", "4"]


def test_an_interrupt_in_a_chain_of_snippets_starts_nothing_more():
    class Interrupts(Recorder):
        def task_started(self, number, task, start) -> None:
            super().task_started(number, task, start)
            if task.name == "1":
                self.run.interrupt()
                taken.set()

    taken = threading.Event()
    with shared(taken=taken):
        ran = Evaluated(
            *chain_of("pass", "import shared; shared.taken.wait(60)", "pass", "pass"), recorder=Interrupts()
        )
    assert [ran.status(str(i))[0] for i in range(4)] == ["ok", "ok", "interrupted", "interrupted"]


def test_giving_up_on_a_chain_interrupts_the_task_that_runs():
    class Forces(Recorder):
        def task_started(self, number, task, start) -> None:
            super().task_started(number, task, start)
            if task.name == "1":
                self.run.interrupt()
                self.run.interrupt()

    release = threading.Event()
    with shared(release=release):
        ran = Evaluated(*chain_of("pass", "import shared; shared.release.wait(60)", "pass"), recorder=Forces())
        release.set()
        for thread in ran.executor._threads:
            thread.join()
    assert [ran.status(str(i))[0] for i in range(3)] == ["ok", "interrupted", "interrupted"]


def test_a_snippet_whose_time_is_over_has_failed_and_its_slot_is_replaced():
    release = threading.Event()
    with shared(release=release):
        wait = "import shared; shared.release.wait(60)"
        ran = Evaluated(
            eval_("a", wait, timeout=0.05), eval_("b", "print('x')"), eval_("c", "print('y')", "a"), threads=1
        )
        release.set()
        for thread in ran.executor._threads:
            thread.join()
    assert ran.status("a") == ("failed", "timed out after 0.05 s")
    assert ran.status("b") == ("ok", "")
    assert ran.status("c") == ("skipped", "a failed")
    assert ran.warnings == ["a: still runs after its timeout; it ends with fastrun"]


def test_a_snippet_that_ends_after_its_time_goes_on_with_nothing_and_is_not_named(monkeypatch):
    monkeypatch.setattr(crew, "CHAIN_SECONDS", 1e9)

    class Releases(Recorder):
        def task_ended(self, number, task, outcome) -> None:
            super().task_ended(number, task, outcome)
            if task.name == "0":
                release.set()
                asyncio.get_running_loop().call_soon(self.look)

        def look(self) -> None:
            if self.executor._crew.abandoned:
                asyncio.get_running_loop().call_later(0.001, self.look)
            else:
                known.set()

    release, known = threading.Event(), threading.Event()
    with shared(release=release, known=known):
        tasks = chain_of("import shared; shared.release.wait(60)", "print('never')")
        tasks[0]["timeout"] = 0.05
        ran = Evaluated(*tasks, eval_("other", "import shared; shared.known.wait(60)"), recorder=Releases())
    assert [ran.status(name)[0] for name in ("0", "1", "other")] == ["failed", "skipped", "ok"]
    assert ran.recorder.out("1") == ""
    assert ran.warnings == []


def test_a_snippet_that_never_returns_does_not_keep_the_process(tmp_path):
    path = write_json(tmp_path, document(eval_("a", "while True: pass", timeout=0.1), exec_("b", "echo x")))
    result = fastrun(path, env=unmeasured())
    assert result.returncode == 1
    assert b"failed   a  timed out after 0.1 s\n" in result.stdout
    assert b"fastrun: warning: a: still runs after its timeout; it ends with fastrun\n" in result.stderr
