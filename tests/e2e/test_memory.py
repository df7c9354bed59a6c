"""Commands that need memory, in real control groups, and on a machine whose files the test writes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from fastrun.executors.gates.readings import Machine
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.groups import memory_group
from tests.support.processes import report_of

if TYPE_CHECKING:
    from pathlib import Path

M = 1 << 20

# Bytes of the groups, and of each of many tasks that do not fit into them side by side.
ROOM = 1550 * M
EACH = 150


@pytest.fixture(autouse=True)
def _has_memory() -> None:
    available = Machine().available_memory()
    if available is None or available < 2 * ROOM:
        pytest.skip("this machine has too little memory")


def taking(name: str, mebibytes: int, seconds: float = 0.2, **more: Any) -> dict[str, Any]:
    """A task that takes so much memory and keeps it a while."""
    program = f"import time; x = bytearray({mebibytes} << 20); time.sleep({seconds})"
    return exec_(name, f'python3 -SEc "{program}"', **more)


def events_of(path: Path) -> list[tuple[str, dict[str, Any]]]:
    return [(event["type"], event) for event in map(json.loads, path.read_text().splitlines())]


def began_at_once(path: Path) -> int:
    """How many tasks have not waited for memory. Others may follow before any has ended, on a slow machine too."""
    return [event["wait"]["for"] for kind, event in events_of(path) if kind == "task_ended"].count("slot")


def test_tasks_that_do_not_fit_side_by_side_end_well_and_by_the_journal_more_run_at_once(tmp_path):
    path = write_json(tmp_path, document(*[taking(f"t{n}", EACH) for n in range(24)]))
    events = [tmp_path / "first", tmp_path / "second"]
    with memory_group(ROOM) as group:
        for each in events:
            result = group.fastrun("-u", "--journal", tmp_path / "journal", "--json", each, path)
            assert result.returncode == 0, result.stdout
        assert group.kills() == 0
    # At first each may take 256 MiB for all that is known, and then some 170.
    first, second = map(began_at_once, events)
    assert first < 8 <= second <= 9


def test_sizes_that_are_said_are_kept_to(tmp_path):
    tasks = [taking(f"t{n}", 500 if n % 4 == 0 else 60, memory="530M" if n % 4 == 0 else "80M") for n in range(16)]
    path = write_json(tmp_path, document(*tasks))
    with memory_group(ROOM) as group:
        result = group.fastrun(path)
        assert (result.returncode, group.kills()) == (0, 0), result.stdout


@pytest.mark.usefixtures("memory_short")
def test_a_limit_below_one_task_is_told_with_both_figures(tmp_path):
    path = write_json(tmp_path, document(*[taking(f"t{n}", 250) for n in range(3)]))
    # Some of the group's memory is fastrun's own, and the kernel's.
    with memory_group(170 * M) as group:
        result = group.fastrun("--output", "quiet", path)
        assert (result.returncode, group.kills()) == (1, 3)
    reason = r"failed   t\d  killed by SIGKILL, probably as memory was short: it took 1\d\d MiB, there was 1\d\d MiB"
    assert len(re.findall(reason, result.stdout.decode())) == 3
    # Each end is told once, and what was printed before is whole.
    assert len(re.findall(rb"Ended : t\d\n", result.stdout)) == 3


@pytest.mark.usefixtures("memory_short")
def test_kills_by_others_and_in_other_groups_are_not_those_for_want_of_memory(tmp_path):
    with memory_group(120 * M) as group, memory_group(32 * M) as other:
        eat = "python3 -SEc 'x = bytearray(1 << 30)'"
        elsewhere = f"(echo 0 > {other.folder}/cgroup.procs; exec {eat}); kill -KILL $$"
        path = write_json(tmp_path, document(exec_("a", eat), exec_("b", "kill -KILL $$"), exec_("c", elsewhere)))
        result = group.fastrun("-j1", path)
        assert (group.kills(), other.kills()) == (1, 1)
    found = {name: (status, reason.partition(":")[0]) for name, (status, reason) in report_of(result.stdout).items()}
    killed = "failed", "killed by SIGKILL"
    assert found == {"a": ("failed", "killed by SIGKILL, probably as memory was short"), "b": killed, "c": killed}


@pytest.mark.usefixtures("memory_short")
def test_tasks_that_were_killed_are_tried_again_when_they_fit(tmp_path):
    with memory_group(ROOM) as group:
        # Nothing is known: all four start at once. Each keeps its memory until one was killed.
        waits = f"while 'oom_kill 0\\n' in open('{group.events}').read(): time.sleep(0.01)"
        program = f"import time\nx = bytearray(800 << 20)\n{waits}"
        tasks = [exec_(f"t{n}", ["python3", "-SEc", program], retries=3, retry_delay=0) for n in range(4)]
        result = group.fastrun(write_json(tmp_path, document(*tasks)))
        assert (result.returncode, group.kills() > 0) == (0, True), result.stdout


def test_a_large_task_starts_among_200_small_ones(tmp_path):
    small = [exec_(f"s{n}", f"sleep 0.{n % 5 + 1}", memory="20M") for n in range(200)]
    before = [task["name"] for task in small[:50]]
    # Those that pass it last until those have ended that it waits for, and the others are ready only then.
    for task in small[50:100]:
        task["arguments"] = f"until [ -e {tmp_path}/ended ]; do sleep 0.05; done; {task['arguments']}"
    for task in small[100:]:
        task["dependencies"] = before
    ended = eval_("ended", f"open('{tmp_path}/ended', 'w').close()", *before)
    path = write_json(tmp_path, document(*small[:50], taking("large", 1000, memory="1100M"), *small[50:], ended))
    with memory_group(ROOM) as group:
        result = group.fastrun("--json", tmp_path / "events", path)
        assert (result.returncode, group.kills()) == (0, 0), result.stdout
    order = [event["name"] for kind, event in events_of(tmp_path / "events") if kind == "task_started"]
    order.remove("ended")
    # It does not wait until all others have ended, and they do not wait for it.
    assert 50 < order.index("large") < 200, order
