"""What must agree before a command starts: load and memory, read from real files, and what a run makes of them."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

import fastrun as library
from fastrun import Observer
from fastrun.cli.parser import size
from fastrun.document.parse import read
from fastrun.executors.commands.executor import ProcessExecutor
from fastrun.executors.gates.gates import Gates, Watched, load_gate, memory_gate
from fastrun.executors.gates.readings import Machine, left_to_group, parse_load, parse_memory, parse_pressure
from fastrun.executors.guardian.guardian import Guardian
from fastrun.plan.graph import build
from fastrun.runner.runner import Run
from fastrun.settings import RunSettings
from tests.support import leaf
from tests.support.documents import document, exec_, write_json
from tests.support.fakes import Starts, Told
from tests.support.jobs import counted, ended
from tests.support.processes import LIMIT, fastrun

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MEBIBYTE = 1 << 20


# What the machine says


@pytest.mark.parametrize(
    ("text", "load"),
    [
        ("0.57 0.96 1.30 4/102 12239\n", 4.0),
        ("7.50 0.96 1.30 4/102 12239\n", 7.5),
        ("0.57 0.96\n", None),
        ("", None),
        ("a b c d/e f", None),
    ],
)
def test_the_load_is_the_average_or_what_runs_right_now(text, load):
    assert parse_load(text) == load


def test_memory_is_read_in_bytes():
    text = "MemTotal:       24684092 kB\nMemFree:        100 kB\nMemAvailable:   24192900 kB\n"
    assert parse_memory(text, "MemAvailable:") == 24192900 * 1024
    assert parse_memory(text, "MemTotal:") == 24684092 * 1024
    for wrong in ("MemTotal: 5 kB\n", "MemAvailable:\n", "MemAvailable: much kB\n"):
        assert parse_memory(wrong, "MemAvailable:") is None


def test_pressure_is_that_of_some_in_the_last_ten_seconds():
    text = "some avg10=12.50 avg60=1.00 avg300=0.00 total=3255\nfull avg10=0.20 avg60=0.00 avg300=0.00 total=2339\n"
    assert parse_pressure(text) == 12.5
    assert parse_pressure("full avg10=0.20\n") is None


@pytest.mark.parametrize(
    ("most", "now", "statistics", "left"),
    [
        (1000, "400\n", "anon 300\ninactive_file 100\n", 700),
        (1000, "400", "total_inactive_file 100", 600),
        (1000, "2000", "", 0),
        (1000, "", "inactive_file 100", None),
    ],
)
def test_a_control_group_is_left_what_it_may_have_and_does_not_use(most, now, statistics, left):
    assert left_to_group(most, now, statistics, "inactive_file") == left


def grouped(folder: Any, own: str, files: dict[str, str]) -> Machine:
    for name, content in {"proc/meminfo": "MemAvailable: 1000 kB\n", "proc/self/cgroup": own, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return Machine(str(folder / "proc"), str(folder / "groups"))


def test_the_smallest_of_the_machine_and_of_all_control_groups_counts(tmp_path):
    files = {
        "groups/a/memory.max": "500000",
        "groups/a/memory.current": "300000",
        "groups/a/memory.stat": "file 5\ninactive_file 100000\n",
        "groups/a/b/memory.max": "max",
        "groups/a/b/memory.current": "5",
    }
    found = grouped(tmp_path, "0::/a/b\n", files)
    assert found.available_memory() == 300_000
    (tmp_path / "groups/a/memory.max").write_text("9000000")
    assert found.available_memory() == 1_024_000


def test_the_least_limit_is_all_there_is(tmp_path):
    files = {
        "groups/a/memory.max": "500000",
        "groups/a/b/memory.max": "max",
        "proc/meminfo": "MemTotal: 1000 kB\n",
    }
    found = grouped(tmp_path, "0::/a/b\n", files)
    assert found.total_memory() == 500_000
    (tmp_path / "groups/a/memory.max").write_text("9000000")
    assert found.total_memory() == 1_024_000
    # What older groups say for "max".
    (tmp_path / "groups/a/memory.max").write_text("9223372036854771712")
    (tmp_path / "proc/meminfo").unlink()
    assert found.total_memory() is None


def test_the_older_control_groups_count_as_well(tmp_path):
    files = {
        "groups/memory/a/memory.limit_in_bytes": "500000",
        "groups/memory/a/memory.usage_in_bytes": "300000",
        "groups/memory/a/memory.stat": "inactive_file 7\ntotal_inactive_file 100000\n",
    }
    found = grouped(tmp_path, "4:memory:/a\n3:cpu:/b\n0::/\n", files)
    assert found.available_memory() == 300_000


def test_a_system_that_tells_nothing_is_not_guessed_at(tmp_path, monkeypatch):
    found = Machine(str(tmp_path), str(tmp_path))
    assert found.available_memory() is None
    assert found.memory_pressure() is None
    # That of the C library.
    assert found.load() is not None
    monkeypatch.setattr("os.getloadavg", lambda: exec("raise OSError"))
    assert found.load() is None


def test_this_machine_tells_all():
    found = Machine()
    load, available = found.load(), found.available_memory()
    # Who reads runs.
    assert load is not None
    assert load >= 1
    assert available is not None
    assert available > MEBIBYTE


# One gate


def test_a_busy_machine_is_looked_at_again_until_it_is_not(tmp_path, loop_run):
    loadavg = tmp_path / "loadavg"
    loadavg.write_text("3.00 0.00 0.00 1/100 1\n")

    async def main() -> None:
        told: Any = Told()
        gates = Gates([load_gate(2.5, Machine(str(tmp_path)))])
        gates.open(told)
        # Something always runs.
        assert (gates.take(0), gates.room(0)) == (None, 1)
        assert gates.holds_up() is None
        assert (gates.take(1), gates.room(1), gates.room(0)) == ("load", 0, 1)
        assert gates.holds_up() == "load"
        # Not looked at with each try.
        loadavg.write_text("1.00 0.00 0.00 1/100 1\n")
        assert gates.take(1) == "load"
        assert told.changes == 0
        for _ in range(1_000):
            await asyncio.sleep(0.01)
            if told.changes:
                break
        assert (gates.room(1), gates.holds_up()) == (1, None)
        assert gates.take(1) is None
        loadavg.write_text("1.00 0.00 0.00 3/100 1\n")
        assert gates.take(2) == "load"
        gates.settle(1, 0)
        gates.close()
        await asyncio.sleep(0.3)
        assert (told.changes, told.warnings) == (1, [])

    loop_run(main())


@pytest.mark.parametrize(
    ("meminfo", "pressure", "starts"),
    [
        ("MemAvailable: 2048 kB\n", "some avg10=0.00 avg60=0.00\n", True),
        ("MemAvailable: 1023 kB\n", "some avg10=0.00 avg60=0.00\n", False),
        ("MemAvailable: 2048 kB\n", "some avg10=10.01 avg60=0.00\n", False),
        ("MemAvailable: 2048 kB\n", None, True),
    ],
)
def test_memory_that_is_short_or_waited_for_shuts_the_gate(tmp_path, meminfo, pressure, starts):
    (tmp_path / "meminfo").write_text(meminfo)
    if pressure is not None:
        (tmp_path / "pressure").mkdir()
        (tmp_path / "pressure/memory").write_text(pressure)

    async def main() -> None:
        told: Any = Told()
        gates = Gates([memory_gate(MEBIBYTE, Machine(str(tmp_path), str(tmp_path)))])
        gates.open(told)
        assert gates.take(0) is None
        assert gates.take(1) == (None if starts else "memory")
        assert told.warnings == []
        gates.close()

    asyncio.run(main())


def test_a_gate_that_cannot_be_read_is_open_with_one_warning(tmp_path):
    async def main() -> None:
        told: Any = Told()
        machine = Machine(str(tmp_path), str(tmp_path))
        gates = Gates([memory_gate(MEBIBYTE, machine), Watched("load", lambda: None, "no load")])
        gates.open(told)
        assert [gates.take(running) for running in range(3)] == [None] * 3
        unknown = "the memory of this machine cannot be read, so it limits nothing"
        assert told.warnings == [unknown, "no load"]
        gates.close()

    asyncio.run(main())


# A run with a gate that the test opens and shuts


class Door:
    """A gate that lets ``wide`` commands run at once. Keeps how many ran when it refused one, and what it was told.

    ``refused``: called after a first refusal.
    """

    name = "load"

    def __init__(self, wide: int, refused: Callable[[], None] = lambda: None) -> None:
        self.wide = wide
        self.refused = refused
        self.refusals: list[int] = []
        self.settled: list[tuple[int, int]] = []
        self.closed = 0

    def open(self, events: Any, on_change: Callable[[], None]) -> None:
        self.on_change = on_change

    def take(self, running: int) -> bool:
        if running < self.wide:
            return True
        self.refusals.append(running)
        if len(self.refusals) == 1:
            asyncio.get_running_loop().call_soon(self.refused)
        return False

    def settle(self, running: int, lingering: int) -> None:
        self.settled.append((running, lingering))

    def close(self) -> None:
        self.closed += 1

    def widen(self, wide: int) -> None:
        self.wide = wide
        self.on_change()


def run_with(
    door: Door,
    *tasks: dict[str, Any],
    jobs: int | None = None,
    engine: str | None = None,
    watchers: Sequence[Observer] = (),
    pools: dict[str, int] | None = None,
) -> Starts:
    """Run tasks, which all end well."""
    guardian = Guardian(os.urandom(8).hex(), wanted=False)
    executor = ProcessExecutor(guardian, RunSettings(jobs=jobs), engine=engine, gates=Gates([door], {"DOOR": "red"}))
    graph = build(read({**document(*tasks), "pools": pools or {}}, "document"))
    warnings: list[str] = []
    recorder = Starts()
    run = Run(graph, {"exec": executor}, [recorder, *watchers], warn=warnings.append)
    try:
        report = uvloop.run(asyncio.wait_for(run.run(), LIMIT))
    finally:
        guardian.stop()
    assert not warnings
    assert report.ok, list(report)
    assert (door.closed, door.settled[-1]) == (1, (0, 0))
    return recorder


def test_a_command_starts_when_the_gate_opens(tmp_path, engine):
    door = Door(2, lambda: door.widen(3))
    # They end only once the third runs.
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.01; done"
    tasks = [exec_("a", f"echo $DOOR; {wait}"), exec_("b", wait), exec_("c", f"touch {tmp_path}/go")]
    ran = run_with(door, *tasks, engine=engine)
    assert ran.out("a") == "red\n"
    assert door.refusals == [2]
    assert ran.held_by == {"a": "slot", "b": "slot", "c": "load"}


def test_a_run_never_stops_for_a_shut_gate():
    ran = run_with(Door(1), *[exec_(f"t{n}", "true") for n in range(50)])
    running = 0
    for event in ran.events:
        running += {"task_started": 1, "task_ended": -1}.get(event[0], 0)
        assert running in (0, 1)


def test_the_next_of_a_chain_passes_the_gate_as_well(tmp_path):
    # While one waits, the first of a chain of two has run, and the second finds the gate shut.
    door = Door(2, (tmp_path / "go").touch)

    class Narrows(Observer):
        def task_started(self, number, task, start) -> None:
            door.wide -= task.name == "first"

    # It starts first, for all that depends on it.
    waits = exec_("waits", f"until [ -e {tmp_path}/go ]; do sleep 0.01; done")
    behind = [exec_(f"t{n}", "true", f"t{n - 1}" if n else "waits") for n in range(5)]
    chain = [exec_("first", "true"), exec_("second", "true", "first")]
    ran = run_with(door, waits, *behind, *chain, watchers=[Narrows()])
    assert door.refusals[0] == 1
    assert ran.place("task_ended", "first") < ran.place("task_ended", "waits") < ran.place("task_started", "second")


def test_tasks_wait_for_the_last_resource_that_was_short(tmp_path):
    door = Door(1, lambda: door.widen(9))
    tasks = [
        exec_("a", f"until [ -e {tmp_path}/go ]; do sleep 0.01; done"),
        exec_("b", f"touch {tmp_path}/go"),
        # Two may run.
        exec_("c", "true"),
    ]
    assert run_with(door, *tasks, jobs=2).held_by == {"a": "slot", "b": "load", "c": "slot"}


def test_a_pool_is_told_apart_from_a_gate(tmp_path):
    door = Door(2, lambda: door.widen(3))
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.01; done"
    tasks = [
        exec_("a", wait, pool="p"),
        exec_("b", "true", pool="p"),
        exec_("c", wait),
        exec_("d", f"touch {tmp_path}/go"),
    ]
    assert run_with(door, *tasks, pools={"p": 1}).held_by == {"a": "slot", "b": "pool", "c": "slot", "d": "load"}


# The command line


@pytest.mark.parametrize("option", [["-l", "0.01"], ["--load", "0.01"], ["--min-memory", "1000T"]])
def test_a_machine_that_is_always_too_busy_runs_one_command_at_a_time(tmp_path, option):
    path = write_json(tmp_path, document(*[counted(tmp_path, f"t{n}", 1) for n in range(4)]))
    result = fastrun(*option, path)
    assert (result.returncode, result.stderr) == (0, b"")
    assert (leaf.most(str(tmp_path)), ended(tmp_path)) == (1, 4)


def test_a_machine_that_is_never_too_busy_runs_all(tmp_path):
    path = write_json(tmp_path, document(*[counted(tmp_path, f"t{n}", 5) for n in range(5)]))
    result = fastrun("-l", "1000000", "--min-memory", "1", path)
    assert (result.returncode, result.stderr) == (0, b"")
    assert leaf.most(str(tmp_path)) == 5


@pytest.mark.parametrize(
    ("text", "found"), [("1", 1), ("500M", 500 << 20), ("2G", 2 << 30), ("3k", 3 << 10), ("1T", 1 << 40)]
)
def test_sizes_are_bytes_or_have_a_unit(text, found):
    assert size(text) == found


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-l", "0"], "argument -l/--load: must be more than 0, not 0"),
        (["-l", "nan"], "argument -l/--load: must be more than 0, not nan"),
        (["-l", "much"], "argument -l/--load: 'much' is not a number"),
        (["--min-memory", "2GG"], "argument --min-memory: '2GG' is not a size (500M, 2G)"),
        (["--min-memory", "-1"], "argument --min-memory: '-1' is not a size (500M, 2G)"),
        (["--min-memory", "0M"], "argument --min-memory: must be 1 or more, not 0"),
        (["--min-memory", "M"], "argument --min-memory: 'M' is not a size (500M, 2G)"),
    ],
)
def test_limits_that_make_no_sense_start_nothing(tmp_path, arguments, said):
    path = write_json(tmp_path, document(exec_("a", "true")))
    result = fastrun(*arguments, path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert said in result.stderr.decode()


@pytest.mark.parametrize(
    ("limits", "said"), [({"load": 0}, "load must be more"), ({"min_memory": 0}, "min_memory must")]
)
def test_the_library_refuses_them_too(limits, said):
    with pytest.raises(ValueError, match=said):
        library.run(document(exec_("a", "true")), **limits)


@pytest.mark.parametrize(("limits", "name"), [({"load": 0.01}, "load"), ({"min_memory": 1 << 60}, "memory")])
def test_the_library_has_them(limits, name, monkeypatch, tmp_path):
    take = Gates.take

    def take_and_tell(gates: Gates, running: int) -> str | None:
        shut = take(gates, running)
        if shut is not None:
            (tmp_path / f"shut{len(starts.held_by)}").touch()
        return shut

    monkeypatch.setattr(Gates, "take", take_and_tell)
    starts = Starts()
    # a ends once b was refused, b once c was.
    waits = [exec_(n, f"until [ -e {tmp_path}/shut{i} ]; do sleep 0.01; done") for i, n in enumerate("ab", 1)]
    assert library.run(document(*waits, exec_("c", "true")), observers=[starts], **limits).ok
    assert starts.held_by == {"a": "slot", "b": name, "c": name}
