"""Real commands under the executor, on both ways of waiting for them: slots, chains, interrupts and time limits."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Sequence

import pytest

from fastrun import Outcome, Start, Status, Task
from fastrun.executors.commands import executor as processes
from fastrun.executors.commands import portable
from fastrun.executors.commands.executor import ProcessExecutor
from fastrun.executors.commands.spawner import Spawner
from fastrun.executors.guardian.guardian import Guardian
from fastrun.protocols import tell_each
from fastrun.settings import RunSettings
from tests.support.documents import eval_, exec_
from tests.support.fakes import OutOfTime, Recorder, Told
from tests.support.processes import LIMIT, alive, environment, wait_for
from tests.support.runs import Ran


def test_output_and_status_of_a_command(engine, loop_run):
    ran = Ran(exec_("a", "echo out; echo err >&2; exit 3"), engine=engine, runner=loop_run)
    assert ran.status("a") == ("failed", "exit status 3")
    assert (ran.recorder.out("a"), ran.recorder.err("a")) == ("out\n", "err\n")
    hooks = [event[0] for event in ran.recorder.events]
    assert hooks[0] == "run_started"
    assert hooks[1] == "task_started"
    assert set(hooks[2:-2]) == {"task_output"}
    assert hooks[-2:] == ["task_ended", "run_ended"]


def test_bytes_pass_unchanged(engine):
    octal = "".join(f"\\{byte:03o}" for byte in range(1, 256))
    ran = Ran(exec_("a", f"printf '{octal}'"), engine=engine)
    assert ran.recorder.output["a", 1] == bytes(range(1, 256))


def test_output_of_gigabytes_takes_no_memory():
    # In a process of its own, whose peak is its own.
    script = """
import asyncio, resource, sys, uvloop
from fastrun import Observer, run
class Count(Observer):
    total = 0
    def task_output(self, number, task, stream, data):
        self.total += len(data)
count = Count()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = run({"tasks": [{"name": "a", "type": "exec", "arguments": "head -c 1000000000 /dev/zero"}]}, observers=[count])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(report.ok, count.total, after - before)
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(), timeout=LIMIT, check=True
    )
    ok, total, grown = result.stdout.split()
    assert (ok, total) == ("True", "1000000000")
    assert int(grown) < 20_000


def test_a_shortage_of_descriptors_delays_tasks_and_fails_none(engine, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    class Tightener(Recorder):
        def run_started(self, tasks) -> None:
            # After the executor has counted its slots, so that it has to learn. Room for about four tasks.
            free = os.dup(0)
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free + 16, hard))

    class Opener(Tightener):
        def run_started(self, tasks) -> None:
            super().run_started(tasks)
            self.run.warning = self.opening

        def opening(self, text: str) -> None:
            # The shortage is there: now the tasks may end. A folder, since a file would take a descriptor.
            (tmp_path / "go").mkdir()
            self.run._warn(text)

    tasks = [exec_(f"t{i}", f"echo x; while [ ! -e {tmp_path}/go ]; do sleep 0.01; done") for i in range(20)]
    try:
        ran = Ran(*tasks, recorder=Opener(), engine=engine)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert ran.report.ok
    assert all(ran.recorder.out(f"t{i}") == "x\n" for i in range(20))
    assert ran.warnings == ["cannot start: Too many open files: starting fewer tasks at once"]


def test_slow_observer_slows_the_tasks_and_loses_nothing(engine):
    class Slow(Recorder):
        looks = 0

        @property
        def congested(self) -> bool:
            self.looks += 1
            return self.looks % 3 != 0

    ran = Ran(exec_("a", "head -c 300000 /dev/zero"), recorder=Slow(), engine=engine)
    assert ran.report.ok
    assert len(ran.recorder.output["a", 1]) == 300_000


def test_as_many_run_at_once_as_jobs_allow(engine, tmp_path):
    # Each waits for the other two: with fewer slots this would not end.
    meet = 'touch "$FASTRUN_TASK"; while ! { [ -e a ] && [ -e b ] && [ -e c ]; }; do :; done'
    ran = Ran(*(exec_(name, meet, cwd=str(tmp_path)) for name in "abc"), engine=engine, jobs=3)
    assert ran.report.ok


def test_tasks_of_one_job_run_one_after_the_other(engine):
    ran = Ran(*(exec_(name, "true") for name in "abc"), engine=engine, jobs=1)
    hooks = [event[:2] for event in ran.recorder.events[1:-1]]
    assert hooks == [(hook, name) for name in "abc" for hook in ("task_started", "task_ended")]


def test_an_interrupt_ends_the_whole_group(engine):
    class Interrupter(Recorder):
        def task_output(self, number, task, stream, data) -> None:
            super().task_output(number, task, stream, data)
            if self.out("a").count("\n") == 2:
                asyncio.get_running_loop().call_soon(self.run.interrupt)

    ran = Ran(
        exec_("a", "sleep 1000 & echo $!; echo $$; wait"),
        exec_("b", "true", "a"),
        recorder=Interrupter(),
        engine=engine,
    )
    assert ran.status("a") == ("interrupted", "")
    assert ran.status("b") == ("interrupted", "")
    assert not any(alive(int(pid)) for pid in ran.recorder.out("a").split())


class InterruptsAt(Recorder):
    """Interrupts the run when a task starts."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def task_started(self, number, task, start) -> None:
        super().task_started(number, task, start)
        if task.name == self.name:
            self.run.interrupt()


def hooks(recorder: Recorder) -> list[tuple[str, ...]]:
    """The events without output."""
    return [event[:3] for event in recorder.events[1:-1] if event[0] != "task_output"]


def test_a_chain_of_commands_has_events_of_its_own_for_each_task(engine):
    ran = Ran(
        exec_("a", "echo 1"),
        exec_("b", "echo 2", "a"),
        exec_("c", "exit 3", "b"),
        exec_("d", "true", "c"),
        engine=engine,
    )
    assert hooks(ran.recorder) == [
        ("task_started", "a"),
        ("task_ended", "a", "ok"),
        ("task_started", "b"),
        ("task_ended", "b", "ok"),
        ("task_started", "c"),
        ("task_ended", "c", "failed"),
        ("task_ended", "d", "skipped"),
    ]
    assert (ran.recorder.out("a"), ran.recorder.out("b")) == ("1\n", "2\n")


class Blocker(Recorder):
    """Holds the loop until a's shell has exited, and then who keeps its output, so that it sees both at once."""

    def __init__(self, folder) -> None:
        super().__init__()
        self.folder = folder

    def task_started(self, number, task, start) -> None:
        super().task_started(number, task, start)
        if task.name == "late":
            wait_for((self.folder / "pids").exists)
            holder, shell = (int(pid) for pid in (self.folder / "pids").read_text().split())
            wait_for(lambda: not alive(shell))
            (self.folder / "go").touch()
            wait_for(lambda: not alive(holder))


def test_news_of_a_command_is_not_taken_for_the_next_of_its_chain(engine, tmp_path, monkeypatch):
    # The pipes of the next get the numbers of those that were closed just now.
    monkeypatch.setattr(processes, "CHAIN_SECONDS", 1e9)
    hold = "(until [ -e go ]; do sleep 0.01; done) & echo $! $$ > made; mv made pids"
    tasks = [exec_("a", hold, cwd=str(tmp_path)), exec_("b", "echo x", "a"), exec_("late", "true")]
    ran = Ran(*tasks, recorder=Blocker(tmp_path), engine=engine)
    assert ran.status("b") == ("ok", "")
    assert ran.recorder.out("b") == "x\n"


class TouchesAtTheEnd(Recorder):
    """Makes a file when a task has ended."""

    def __init__(self, name: str, path) -> None:
        super().__init__()
        self.name = name
        self.path = path

    def task_ended(self, number, task, outcome) -> None:
        super().task_ended(number, task, outcome)
        if task.name == self.name:
            self.path.touch()


def started(recorder: Recorder) -> list[str]:
    return [event[1] for event in recorder.events if event[0] == "task_started"]


def test_a_chain_of_commands_whose_time_is_over_makes_way_for_a_longer_path(engine, monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "CHAIN_SECONDS", 0.0)
    here, go = tmp_path / "here", tmp_path / "go"
    tasks = [
        exec_("a", f"touch {here}; until [ -e {go} ]; do sleep 0.01; done"),
        exec_("b", "true", "a"),
        eval_("e", f"import os, time\nwhile not os.path.exists({str(here)!r}): time.sleep(0.01)"),
        # Ready while a runs in the only slot, and with more behind it than b.
        exec_("c", "true", "e"),
        exec_("d", "true", "c"),
    ]
    ran = Ran(*tasks, recorder=TouchesAtTheEnd("e", go), engine=engine, jobs=1)
    assert ran.report.ok
    assert [name for name in started(ran.recorder) if name in "abc"] == ["a", "c", "b"]


def test_a_chain_of_commands_does_not_go_on_after_the_last_failure_allowed(engine, monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "CHAIN_SECONDS", 1e9)
    failed = tmp_path / "failed"
    tasks = [exec_("f", "false"), exec_("a", f"until [ -e {failed} ]; do sleep 0.01; done"), exec_("b", "true", "a")]
    ran = Ran(*tasks, recorder=TouchesAtTheEnd("f", failed), engine=engine, keep_going=1)
    assert ran.status("b") == ("skipped", "stopped after 1 failure")
    assert sorted(started(ran.recorder)) == ["a", "f"]


class ExitTogether(Recorder):
    """Holds the loop up until one command has exited, and then the other one, which waits for ``go``."""

    def __init__(self, folder, first: str, second: str) -> None:
        super().__init__()
        self.folder = folder
        self.first, self.second = first, second
        self.pids: dict[str, int] = {}

    def task_started(self, number, task, start) -> None:
        super().task_started(number, task, start)
        self.pids[task.name] = start.pid
        if len(self.pids) == 2:
            wait_for(lambda: not alive(self.pids[self.first]))
            (self.folder / "go").touch()
            wait_for(lambda: not alive(self.pids[self.second]))


def test_a_chain_does_not_go_on_after_a_failure_that_is_known_from_the_same_turn(tmp_path):
    # By epoll, which tells of what is ready in the order in which it became so. The native engine has started the next
    # by then, before the failure.
    bad = f"until [ -e {tmp_path}/go ]; do sleep 0.01; done; exit 3"
    tasks = [exec_("ok", "true"), exec_("bad", bad), exec_("next", "true", "ok")]
    ran = Ran(*tasks, recorder=ExitTogether(tmp_path, "ok", "bad"), engine="python", keep_going=1)
    assert ran.status("next") == ("skipped", "stopped after 1 failure")
    assert ("task_started", "next") not in ran.recorder.events


def test_a_chain_does_not_go_on_after_a_failure_that_the_run_has_not_heard_of(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "CHAIN_SECONDS", 1e9)
    waits = f"until [ -e {tmp_path}/go ]; do sleep 0.01; done"
    tasks = [exec_("bad", "exit 3"), exec_("ok", waits), exec_("next", "true", "ok")]
    ran = Ran(*tasks, recorder=ExitTogether(tmp_path, "bad", "ok"), engine=engine, keep_going=1)
    assert ran.status("next") == ("skipped", "stopped after 1 failure")
    assert ("task_started", "next") not in ran.recorder.events


def test_an_interrupt_in_a_chain_starts_nothing_more(engine):
    tasks = [exec_("a", "true"), exec_("b", "sleep 60", "a"), exec_("c", "true", "b")]
    ran = Ran(*tasks, recorder=InterruptsAt("b"), engine=engine)
    assert [ran.status(name)[0] for name in "abc"] == ["ok", "interrupted", "interrupted"]
    assert [event[1] for event in ran.recorder.events if event[0] == "task_started"] == ["a", "b"]


def run_chain_with(error: Exception, monkeypatch) -> Ran:
    """Run three commands, one after the other, of which the first start of the second fails."""
    # Injected: a real one would have to come between two commands of one chain.
    refusals = [error]
    start = Spawner.start

    def start_short(self, recipe, *ends):
        if recipe.variables[b"FASTRUN_TASK"] == b"b" and refusals:
            raise refusals.pop()
        return start(self, recipe, *ends)

    monkeypatch.setattr(Spawner, "start", start_short)
    ran = Ran(exec_("a", "true"), exec_("b", "true", "a"), exec_("c", "true", "b"), engine="python")
    assert not refusals
    return ran


@pytest.mark.parametrize("error", [OSError(errno.EAGAIN, "for now"), MemoryError()], ids=repr)
def test_a_shortage_in_a_chain_makes_its_next_task_wait(monkeypatch, error):
    ran = run_chain_with(error, monkeypatch)
    assert ran.report.ok
    assert len(ran.warnings) == 1


def test_a_start_in_a_chain_that_fails_in_fastrun_fails_its_task(monkeypatch):
    ran = run_chain_with(ValueError("wrong"), monkeypatch)
    assert [ran.status(name)[0] for name in "abc"] == ["ok", "failed", "skipped"]
    assert ran.status("b")[1] == "internal error of fastrun: ValueError('wrong')"


def test_all_that_may_run_does_however_few_start_in_a_turn(engine, monkeypatch, tmp_path):
    monkeypatch.setattr(portable, "_STARTS_PER_TURN", 2)
    if engine == "native":
        monkeypatch.setattr("fastrun.executors.commands.native._WAITING", 2)
    names = "abcdef"
    meet = f"cd {tmp_path}; touch $FASTRUN_TASK; until [ $(ls | wc -l) = {len(names)} ]; do sleep 0.01; done"
    tasks = [eval_("first", "pass"), exec_("a", meet), *(exec_(name, meet, "first") for name in names[1:])]
    assert Ran(*tasks, engine=engine, grace=0.1).report.ok


def test_a_command_whose_time_is_over_is_ended_with_its_group_and_has_failed(engine):
    tasks = [
        exec_("a", "sleep 1000 & echo $! $$; wait", timeout=LIMIT),
        exec_("b", "true", "a"),
        exec_("c", "sleep 0.3", timeout=LIMIT),
    ]
    ran = Ran(*tasks, engine=engine, recorder=OutOfTime())
    assert ran.status("a") == ("failed", f"timed out after {LIMIT} s")
    assert ran.status("b") == ("skipped", "a failed")
    assert ran.status("c") == ("ok", "")
    assert not any(alive(int(pid)) for pid in ran.recorder.out("a").split())


def test_a_command_that_ignores_the_end_of_its_time_is_killed_after_the_grace_period(engine):
    stubborn = "trap '' TERM; echo $$; while :; do sleep 1000; done"
    ran = Ran(exec_("a", stubborn, timeout=LIMIT), engine=engine, grace=0.1, recorder=OutOfTime())
    assert ran.status("a") == ("failed", f"timed out after {LIMIT} s")
    assert not alive(int(ran.recorder.out("a")))


def test_a_stopped_command_is_ended_when_its_time_is_over(engine):
    ran = Ran(exec_("a", "kill -STOP $$", timeout=0.1), engine=engine, grace=60.0)
    assert ran.status("a") == ("failed", "timed out after 0.1 s")


def test_processes_of_a_command_out_of_time_are_killed_while_the_run_goes_on(engine, tmp_path):
    # The shell obeys, its child does not and has closed the output; the last command sees the child's end.
    child = "(trap '' TERM; exec >&- 2>&-; > deaf; while :; do sleep 0.01; done) & echo $! > made; "
    child += "until [ -e deaf ]; do sleep 0.01; done; mv made pid; echo; wait"
    watcher = "while [ ! -e pid ]; do sleep 0.01; done; while kill -0 $(cat pid); do sleep 0.01; done 2>&-"
    folder = str(tmp_path)
    ran = Ran(
        exec_("a", child, cwd=folder, timeout=LIMIT),
        exec_("b", watcher, cwd=folder, timeout=LIMIT),
        engine=engine,
        grace=0.1,
        recorder=OutOfTime(),
    )
    assert ran.status("a") == ("failed", f"timed out after {LIMIT} s")
    assert ran.status("b")[0] == "ok"


class Ends(Told):
    """Keeps how commands end, by their numbers. ``fails_at``: the hook that fails, once."""

    def __init__(self, fails_at: str = "") -> None:
        super().__init__()
        self.ends: dict[int, Outcome | None] = {}
        self.fails_at = fails_at

    def hook(self, name: str) -> None:
        if name == self.fails_at:
            self.fails_at = ""
            raise MemoryError

    def task_started(self, number: int, start: Start) -> None:
        self.hook("task_started")

    def task_output(self, number: int, stream: int, data: bytes) -> None:
        self.hook("task_output")

    def task_ended(self, number: int, outcome: Outcome | None) -> None:
        self.hook("task_ended")
        self.ends.setdefault(number, outcome)

    def tasks_ran(self, numbers: Sequence[int]) -> None:
        tell_each(self, numbers)


def test_commands_that_the_run_no_longer_waits_for_are_asked_to_end(engine):
    # As after a start that failed half-way. A second one is not started at all, or ended as well.
    events = Ends()
    guardian = Guardian(os.urandom(8).hex(), wanted=False)

    async def close_at_once() -> None:
        executor = ProcessExecutor(guardian, RunSettings(jobs=1), engine=engine)
        executor.open(events)
        await executor.start([[(number, Task("a", "exec", "exec sleep 20"))] for number in range(2)])
        await executor.close()

    asyncio.run(close_at_once())
    guardian.stop()
    assert set(events.ends) == {0, 1}
    assert {outcome.status for outcome in events.ends.values() if outcome is not None} <= {Status.INTERRUPTED}


@pytest.mark.parametrize("hook", ["task_started", "task_output", "task_ended"])
def test_an_event_that_cannot_be_acted_on_fails_its_task_alone(engine, hook):
    events = Ends(hook)
    guardian = Guardian(os.urandom(8).hex(), wanted=False)

    async def run_three() -> None:
        executor = ProcessExecutor(guardian, engine=engine)
        executor.open(events)
        await executor.start([[(number, Task("a", "exec", "echo x"))] for number in range(3)])
        while len(events.ends) < 3:
            await asyncio.sleep(0.005)
        await executor.close()

    asyncio.run(asyncio.wait_for(run_three(), LIMIT))
    guardian.stop()
    reasons = sorted(outcome.reason for outcome in events.ends.values() if outcome is not None)
    assert reasons == ["", "", "internal error of fastrun: MemoryError()"]
    assert events.warnings == ["internal error of fastrun: MemoryError()"]


class OneStream(Recorder):
    """Writes both streams to one file."""

    @property
    def one_stream(self) -> bool:
        return True


def test_streams_that_go_to_one_file_share_a_pipe_and_keep_their_order(engine):
    command = "for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done"
    ran = Ran(exec_("a", command), recorder=OneStream(), engine=engine)
    assert ran.recorder.out("a") == "".join(f"out {i}\nerr {i}\n" for i in range(1, 6))
    assert ran.recorder.err("a") == ""
