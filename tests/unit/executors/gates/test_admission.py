"""Admission of commands by memory, on a machine whose files the tests write."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from fastrun import SpecError
from fastrun.document.parse import read
from fastrun.executors.commands.executor import ProcessExecutor
from fastrun.executors.commands.process import Process, Recipe
from fastrun.executors.gates.admission import Admission, admission
from fastrun.executors.gates.memory import ASSUMED, NO_BOUND, Sizes, with_margin
from fastrun.executors.gates.readings import Machine
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.peaks import PEAK_UNIT
from fastrun.journal.recorded import read_journal
from fastrun.plan.graph import build
from fastrun.runner.runner import Run
from fastrun.settings import RunSettings
from tests.support import leaf
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.fakes import Starts
from tests.support.jobs import counted, ended
from tests.support.processes import LIMIT, environment, fastrun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

M = 1 << 20


class FakeMachine(Machine):
    """A machine with files in a folder, of which processes are those that the test says."""

    def __init__(self, folder: Path, mebibytes: int | None) -> None:
        super().__init__(str(folder), str(folder))
        self._file = folder / "meminfo"
        self.sessions: dict[int, int] = {}
        # How often the memory, and the processes, were looked at.
        self.readings = self.looks = 0
        self.has(mebibytes)

    def has(self, mebibytes: int | None) -> None:
        """Have so much available, None if the system does not tell."""
        text = "" if mebibytes is None else f"MemTotal: 9999999 kB\nMemAvailable: {mebibytes * 1024} kB\n"
        self._file.write_text(text)

    def available_memory(self) -> int | None:
        self.readings += 1
        return super().available_memory()

    def memory_of_sessions(self) -> dict[int, int]:
        self.looks += 1
        return self.sessions


def process(number: int, text: str = "run", pid: int = 0) -> Process:
    graph = build(read(document(exec_("a", text)), "document"))
    found = Process((number, graph.tasks[0]), Recipe(b"", (), {}, None), None)
    found.pid = pid
    return found


def chain(number: int, text: str = "run") -> list[Any]:
    return [(number, process(number, text).task)]


class Opened:
    """An admission that is open, with what it was told runs."""

    def __init__(self, machine: Machine, known: dict[int, int], count: int, total: int | None = None) -> None:
        self.running: set[Process] = set()
        self.changes = 0
        self.sizes = Sizes(known)
        self.memory = Admission(machine, self.sizes, count, total)

    def open(self, jobs: int = 1000) -> bool:
        return self.memory.open(self.running, jobs, self._changed)

    def _changed(self) -> None:
        self.changes += 1

    async def tick(self) -> None:
        """Wait for the next look that has something to tell."""
        before = self.changes
        while self.changes == before:
            await asyncio.sleep(0.01)


def run_open(main: Any) -> None:
    asyncio.run(asyncio.wait_for(main, LIMIT))


@pytest.mark.parametrize(
    ("mebibytes", "known", "count", "jobs", "bound", "one_by_one"),
    [
        # 31 of 32 parts, by 256 MiB each.
        (1056, {}, 100, 1000, 3, False),
        (1057, {}, 100, 1000, 3, False),
        (1058, {}, 100, 1000, 4, False),
        (100, {}, 100, 1000, 1, False),
        # As many as may run fit.
        (1100, {}, 4, 1000, NO_BOUND, False),
        (1100, {}, 100, 4, NO_BOUND, False),
        # Sizes that are known and small are counted by the largest.
        (1100, dict.fromkeys(range(100), 64 * M), 100, 1000, 16, False),
        (1100, {0: 100 * M}, 100, 1000, 4, False),
        # Others are asked for, unless all fit.
        (1100, {0: 300 * M}, 100, 1000, NO_BOUND, True),
        (1100, {0: 300 * M}, 4, 1000, NO_BOUND, True),
        (1100, {0: 300 * M}, 3, 1000, NO_BOUND, False),
        (1100, {0: 300 * M}, 100, 3, NO_BOUND, False),
    ],
)
def test_what_is_known_at_first(tmp_path, mebibytes, known, count, jobs, bound, one_by_one):
    async def main() -> None:
        opened = Opened(FakeMachine(tmp_path, mebibytes), known, count)
        assert opened.open(jobs)
        assert (opened.memory.bound, opened.memory.one_by_one) == (bound, one_by_one)
        opened.memory.close()

    run_open(main())


def test_a_machine_that_does_not_tell_its_memory_limits_nothing_without_a_total(tmp_path):
    async def main() -> None:
        machine = FakeMachine(tmp_path, None)
        assert not Opened(machine, {}, 100).open()
        opened = Opened(machine, {}, 100, 1024 * M)
        assert opened.open()
        assert opened.memory.bound == 4
        opened.memory.close()

    run_open(main())


def own_peak_is(size: int, monkeypatch) -> None:
    """Let this process have had no more memory, whatever other tests have taken in it."""
    monkeypatch.setattr("fastrun.executors.gates.admission.own_peak", lambda: size // PEAK_UNIT)
    monkeypatch.setattr("fastrun.executors.gates.admission.last_own_peak", lambda: size // PEAK_UNIT)
    monkeypatch.setattr("fastrun.executors.gates.admission.is_known", lambda peak: peak > size // PEAK_UNIT)


def test_more_commands_run_at_once_as_they_prove_small_and_fewer_when_one_proves_large(tmp_path, monkeypatch):
    own_peak_is(64 * M, monkeypatch)

    async def main() -> None:
        opened = Opened(FakeMachine(tmp_path, 1600), {}, 10_000)
        opened.open()
        memory = opened.memory
        assert memory.bound == 6
        memory.ended(24)
        assert memory.bound == 14
        memory.ended(1000)
        assert memory.bound == 24
        # The exits of small commands are not told.
        assert memory.told_above == 64 * M // PEAK_UNIT
        assert memory.took(process(1), 320 * M // PEAK_UNIT) == 320 * M // PEAK_UNIT
        memory.ended(1)
        assert memory.bound == 4
        memory.close()

    run_open(main())


def test_commands_that_last_are_asked_for_and_counted_with_what_they_have_taken(tmp_path):
    async def main() -> None:
        machine = FakeMachine(tmp_path, 1100)
        opened = Opened(machine, {}, 100)
        opened.open()
        memory = opened.memory
        opened.running.update(process(number, pid=100 + number) for number in range(4))
        machine.sessions = {100: 400 * M, 101: 10 * M}
        machine.has(690)
        await opened.tick()
        assert (memory.one_by_one, memory.bound, memory.told_above) == (True, NO_BOUND, -1)
        # One has proved large, and others are as it is for all that is known.
        assert memory.holds(chain(4))
        assert (memory.waiting, memory.holds_up(), memory.takes_more) == (1, True, True)
        assert memory.next() is None
        opened.running.clear()
        found = memory.next()
        assert found is not None
        assert found[0][0] == 4
        assert memory.waiting == 0
        memory.close()

    run_open(main())


def test_a_command_that_is_about_to_start_has_taken_nothing(tmp_path, monkeypatch):
    own_peak_is(64 * M, monkeypatch)

    async def main() -> None:
        machine = FakeMachine(tmp_path, 1100)
        opened = Opened(machine, {}, 100)
        opened.open()
        about_to_start = process(0)
        opened.running.update([about_to_start, *(process(number, pid=100 + number) for number in range(1, 5))])
        # Those that were started from outside of a container.
        machine.sessions = {0: 900 * M}
        await opened.tick()
        assert machine.looks
        assert opened.sizes.of(99, about_to_start.task) == (ASSUMED, False)
        assert opened.memory.took(about_to_start, 1) == 1
        assert opened.memory.was_killed(about_to_start, 100 * M // PEAK_UNIT).endswith("there was 1.0 GiB")
        opened.memory.close()

    run_open(main())


def test_small_commands_that_last_count_with_what_was_seen_and_are_not_looked_at_while_nothing_waits(
    tmp_path, monkeypatch
):
    own_peak_is(64 * M, monkeypatch)

    async def main() -> None:
        machine = FakeMachine(tmp_path, 1100)
        opened = Opened(machine, {}, 100)
        opened.open()
        processes = [process(number, pid=100 + number) for number in range(20)]
        opened.running.update(processes)
        machine.sessions = {100 + number: 8 * M for number in range(20)}
        await opened.tick()
        assert opened.memory.one_by_one
        for each in processes[:15]:
            opened.running.remove(each)
            opened.memory.took(each, 1)
        opened.memory.ended(15)
        size, is_known = opened.sizes.of(99, processes[0].task)
        assert is_known
        assert size == with_margin(8 * M) + (ASSUMED - with_margin(8 * M)) // 16
        # The others have room, whatever they take.
        readings, looks = machine.readings, machine.looks
        while machine.readings == readings:
            await asyncio.sleep(0.01)
        assert machine.looks == looks
        opened.memory.close()

    run_open(main())


def test_trivial_commands_are_not_asked_for_though_all_slots_are_taken(tmp_path, monkeypatch):
    own_peak_is(64 * M, monkeypatch)

    async def main() -> None:
        opened = Opened(FakeMachine(tmp_path, 600), {}, 10_000)
        opened.open()
        opened.running.update(process(number) for number in range(20))
        for _ in range(2):
            task = asyncio.ensure_future(opened.tick())
            while not task.done():
                # So many that they are trivial, however long a busy machine takes for a turn.
                opened.memory.ended(1_000_000)
                await asyncio.sleep(0.001)
            assert not opened.memory.one_by_one
        opened.memory.close()

    run_open(main())


def test_chains_that_wait_are_given_back(tmp_path):
    async def main() -> None:
        opened = Opened(FakeMachine(tmp_path, 1100), dict.fromkeys(range(9), 700 * M), 9)
        opened.open()
        chains = [chain(number) for number in range(3)]
        assert not opened.memory.holds(chains[0])
        opened.running.add(process(0))
        assert opened.memory.holds(chains[1])
        assert opened.memory.holds(chains[2])
        assert opened.memory.give_back() == chains[1:]
        assert (opened.memory.waiting, opened.memory.next()) == (0, None)
        opened.memory.close()

    run_open(main())


def test_a_killed_command_is_told_with_both_figures_and_needs_more_the_next_time(tmp_path, monkeypatch):
    own_peak_is(64 * M, monkeypatch)

    async def main() -> None:
        opened = Opened(FakeMachine(tmp_path, 3200), {}, 9)
        opened.open()
        assert not opened.memory.one_by_one
        killed = process(3)
        peak = 512 * M // PEAK_UNIT
        assert opened.memory.was_killed(killed, peak) == ": it took 512 MiB, there was 3.0 GiB"
        await opened.tick()
        assert opened.memory.one_by_one
        assert opened.sizes.of(3, killed.task) == (768 * M, True)
        assert opened.memory.was_killed(process(4), 1).startswith(": it took at most 64 MiB, there was")
        opened.memory.close()
        await asyncio.sleep(0)

    run_open(main())


# What tasks say


def graph_of(*tasks: dict[str, Any]) -> Any:
    return build(read(document(*tasks), "document"))


def test_what_a_task_says_comes_before_what_is_recorded():
    graph = graph_of(exec_("a", "x", memory="1G"), exec_("b", "x"), exec_("c", "x"))
    found = admission(graph, RunSettings(), {"a": 16 * M, "b": 16 * M})
    assert [found._sizes.of(number, graph.tasks[number])[0] for number in range(2)] == [1 << 30, 17 * M]


@pytest.mark.parametrize(
    ("task", "settings", "said"),
    [
        (exec_("a", "x", memory="8G"), RunSettings(memory=4 << 30), "a needs 8.0 GiB of memory, and there is 4.0 GiB"),
        (exec_("a", "x", memory="9999T"), RunSettings(), "a needs 9999 TiB of memory, and there is"),
        (exec_("a", "x", memory="8G", where="local"), RunSettings(memory=1, cluster="local"), "a needs 8.0 GiB"),
        (exec_("a", "x", memory="8G"), RunSettings(memory=8 << 30), None),
        (exec_("a", "x", memory="8G"), RunSettings(memory=1, cluster="local"), None),
    ],
)
def test_a_task_that_asks_for_more_than_there_is_is_an_error_with_its_place(task, settings, said):
    graph = graph_of(exec_("b", "x"), task)
    if said is None:
        admission(graph, settings, {})
        return
    with pytest.raises(SpecError) as caught:
        admission(graph, settings, {})
    assert caught.value.lines[0].startswith(f"document: $.tasks[1].memory: {said}")


def test_the_command_line_says_so_and_starts_nothing(tmp_path):
    path = tmp_path / "tasks.json"
    path.write_text('{"tasks": [\n {"name": "a", "type": "exec", "arguments": "touch ran", "memory": "2G"}]}')
    result = fastrun("--memory", "1G", path, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    said = "tasks.json:2:68: a needs 2.0 GiB of memory, and there is 1.0 GiB in all"
    assert result.stderr.decode().splitlines()[-1].endswith(said)
    assert not (tmp_path / "ran").exists()
    assert fastrun("--memory", "off", path, cwd=tmp_path).returncode == 0


# Runs


def run_with(memory: Admission, *tasks: dict[str, Any], engine: str, jobs: int | None = None) -> Starts:
    """Run tasks, which all end well."""
    guardian = Guardian(os.urandom(8).hex(), wanted=False)
    executor = ProcessExecutor(guardian, RunSettings(jobs=jobs), engine=engine, memory=memory)
    recorder = Starts()
    warnings: list[str] = []
    run = Run(build(read(document(*tasks), "document")), {"exec": executor}, [recorder], warn=warnings.append)
    try:
        report = uvloop.run(asyncio.wait_for(run.run(), LIMIT))
    finally:
        guardian.stop()
    assert not warnings
    assert report.ok, list(report)
    return recorder


def test_commands_run_beside_each_other_as_far_as_they_fit(tmp_path, engine):
    machine = FakeMachine(tmp_path, 1100)
    sizes = Sizes(dict.fromkeys(range(9), 300 * M))
    ran = run_with(Admission(machine, sizes, 9), *[counted(tmp_path, f"t{n}", 3) for n in range(9)], engine=engine)
    assert (leaf.most(str(tmp_path)), ended(tmp_path)) == (3, 9)
    assert [*ran.held_by.values()].count("memory") == 6


def test_nothing_runs_beside_a_command_that_is_larger_than_all_there_is(tmp_path, engine):
    memory = Admission(FakeMachine(tmp_path, 100), Sizes(dict.fromkeys(range(3), 300 * M)), 3)
    run_with(memory, *[counted(tmp_path, f"t{n}", 1) for n in range(3)], engine=engine)
    assert (leaf.most(str(tmp_path)), ended(tmp_path)) == (1, 3)


class Watched(Admission):
    """Calls ``held`` with the name of each task that has to wait."""

    held: Callable[[str], object]

    def holds(self, chain: Any) -> bool:
        """Tell of the task."""
        holds = super().holds(chain)
        if holds:
            self.held(chain[0][1].name)
        return holds


def test_small_commands_pass_one_that_waits(tmp_path, engine):
    # While a runs, which ends only once c has run and d waits too, b has no room, nor has d beside it.
    wait = f"until [ -e {tmp_path}/c ] && [ -e {tmp_path}/d ]; do sleep 0.01; done"
    tasks = [exec_("a", wait), exec_("b", "true"), exec_("c", f"touch {tmp_path}/c"), exec_("d", "true")]
    memory = Watched(FakeMachine(tmp_path, 1100), Sizes({0: 700 * M, 1: 700 * M, 2: 50 * M, 3: 400 * M}), 4)
    memory.held = lambda name: (tmp_path / name).touch()
    ran = run_with(memory, *tasks, engine=engine)
    # That a has ended shows that c had started; news of the two may come in any order.
    assert ran.place("task_ended", "a") < ran.place("task_started", "b")
    assert ran.place("task_started", "c") < ran.place("task_started", "b")
    assert ran.held_by == {"a": "slot", "b": "memory", "c": "slot", "d": "memory"}


def test_slots_and_memory_limit_together(tmp_path, engine):
    sizes = Sizes({0: 700 * M, 1: 700 * M, **dict.fromkeys(range(2, 20), 10 * M)})
    tasks = [counted(tmp_path, f"t{n}", 2) for n in range(20)]
    run_with(Admission(FakeMachine(tmp_path, 1100), sizes, 20), *tasks, engine=engine, jobs=2)
    assert (leaf.most(str(tmp_path)), ended(tmp_path)) == (2, 20)


def test_waiting_commands_are_asked_for_again_when_others_free_memory(tmp_path, engine):
    machine = FakeMachine(tmp_path, 500)
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.01; done"
    memory = Watched(machine, Sizes({0: 400 * M, 1: 400 * M}), 2)
    # Another program has ended.
    memory.held = lambda _: machine.has(9000)
    ran = run_with(memory, exec_("a", wait), exec_("b", f"touch {tmp_path}/go"), engine=engine)
    assert ran.held_by == {"a": "slot", "b": "memory"}


def test_a_run_that_is_interrupted_starts_no_command_that_waits(tmp_path):
    tasks = [
        exec_("a", "kill -INT $PPID; sleep 100", memory="1G"),
        *[exec_(f"t{n}", "true", memory="1G") for n in range(9)],
    ]
    path = write_json(tmp_path, document(*tasks))
    result = fastrun("--memory", "1G", path)
    assert result.returncode == 130
    assert b"9 not started" in result.stdout
    assert b"Started: t" not in result.stdout


def test_after_a_failure_commands_that_wait_do_not_start(tmp_path):
    tasks = [exec_("a", "exit 3", memory="1G"), *[exec_(f"t{n}", "true", memory="1G") for n in range(9)]]
    path = write_json(tmp_path, document(*tasks))
    result = fastrun("-k", "1", "--memory", "1G", path)
    assert result.returncode == 1
    assert b"Started: t" not in result.stdout
    assert b"1 failed, 9 skipped" in result.stdout


def test_snippets_in_processes_wait_too(tmp_path):
    source = f"import sys; sys.argv[1:] = [{os.fspath(tmp_path)!r}, '1']; exec(open({leaf.__file__!r}).read())"
    tasks = [eval_(f"t{n}", source, where="process", memory="600M") for n in range(3)]
    result = fastrun("--memory", "1G", write_json(tmp_path, document(*tasks)))
    assert result.returncode == 0, result.stdout
    assert leaf.most(str(tmp_path)) == 1


def test_what_waited_is_told_with_the_times(tmp_path):
    # The first lasts until the others, and what stands behind them, were asked for.
    lasts = exec_("lasts", f"until [ -e {tmp_path}/asked ]; do sleep 0.01; done", memory="600M")
    waits = [exec_(f"t{n}", "true", memory="600M") for n in range(2)]
    path = write_json(tmp_path, document(lasts, *waits, exec_("small", f"touch {tmp_path}/asked", memory="1M")))
    result = fastrun("-v", "--memory", "1G", "--json", tmp_path / "events", path)
    assert b"  waited for memory: 2 tasks, " in result.stdout
    ends = [
        event
        for event in map(json.loads, (tmp_path / "events").read_text().splitlines())
        if event["type"] == "task_ended"
    ]
    assert sorted(event["wait"]["for"] for event in ends) == ["memory", "memory", "slot", "slot"]


def test_a_small_python_is_no_larger_than_it_is(tmp_path):
    """The peak in a journal is that of the command, or of fastrun where that is larger."""
    program = "x = bytearray(200 << 20)"
    path = write_json(tmp_path, document(exec_("a", f"{sys.executable} -SEc '{program}'"), exec_("b", "true")))
    # By a shell: a process counts with no less than the process that started it, which is this one otherwise.
    command = [
        "/bin/sh",
        "-c",
        '"$@"; exit $?',
        "sh",
        sys.executable,
        "-m",
        "fastrun",
        "--journal",
        tmp_path / "j",
        path,
    ]
    subprocess.run(command, env=environment(), capture_output=True, timeout=LIMIT, check=True)
    found = read_journal((tmp_path / "j").read_bytes()).memory
    assert 200 * M <= found["a"] < 240 * M
    assert 0 < found["b"] < 150 * M
