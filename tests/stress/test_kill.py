"""Runners that are killed at random moments, again and again, until one comes to the end."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from fastrun.executors.guardian.marks import marked_processes
from fastrun.journal.recorded import read_journal
from tests.support.amounts import many
from tests.support.documents import write_json
from tests.support.model import expected_statuses
from tests.support.processes import LIMIT, fastrun, fastrun_process, report_of

if TYPE_CHECKING:
    from pathlib import Path

KILLS = many("runs killed at a random moment and gone on with", 20, 200)

# Kills before a run is let go to its end.
_DEATHS = 3

# A command says that it runs, looks whether a copy of itself does, says that it ends. What is left of a killed one is
# nothing, or a zombie that no process has waited for; its number may be another process's, but then with another time
# of its start; and its file may be empty. State and time come from one look: it may end between two.
COMMAND = """
exec >> log 2>/dev/null
look() {{ cut -d ' ' -f 3,22 /proc/$1/stat; }}
read -r old began < pid-{name}
case "$(look ${{old:-0}})" in [!ZX]" $began") echo "beside {name}" ;; esac
began=$(look $$)
echo "$$ ${{began#* }}" > pid-{name}
echo "began {name}"
sleep {seconds}
echo "ended {name}"
exit {status}
"""

SNIPPET = """
import time
def say(text):
    with open("log", "a") as file:
        file.write(text + "\\n")
say("began {name}")
time.sleep({seconds})
say("ended {name}")
raise SystemExit({status})
"""


def random_document(choose: random.Random) -> dict[str, Any]:
    """Some 25 tasks, of which a tenth fail, in layers that overlap."""
    tasks = []
    for number in range(choose.randint(15, 35)):
        name = f"t{number}"
        values = {"name": name, "seconds": round(choose.uniform(0, 0.05), 3), "status": int(choose.random() < 0.1)}
        others = choose.sample(range(max(0, number - 8), number), k=min(number, choose.randint(0, 3), 8))
        type_, text = choose.choice([("exec", COMMAND), ("exec", COMMAND), ("eval", SNIPPET)])
        dependencies = [f"t{other}" for other in others]
        tasks.append({"name": name, "type": type_, "arguments": text.format(**values), "dependencies": dependencies})
    return {"tasks": tasks}


def statuses(tasks: list[dict[str, Any]]) -> dict[str, str]:
    """As the model has it: what a task does stands in its text."""
    failing = {task["name"] for task in tasks if "exit 1\n" in task["arguments"] or "Exit(1)" in task["arguments"]}
    return expected_statuses(tasks, lambda task: task["name"] not in failing)


def recorded_ok(folder: Path) -> set[str]:
    try:
        return set(read_journal((folder / "run.journal").read_bytes()).ok)
    except FileNotFoundError:
        return set()


def said(folder: Path) -> list[str]:
    try:
        return (folder / "log").read_text().splitlines()
    except FileNotFoundError:
        return []


@pytest.mark.parametrize("seed", range(KILLS))
def test_after_kills_no_success_runs_again_and_the_end_is_as_if_undisturbed(tmp_path, seed):
    choose = random.Random(seed)
    document = random_document(choose)
    write_json(tmp_path, document)
    options = ["--journal", "run.journal", "--resume", *choose.choice([[], ["-j", "3"], ["--durable"]])]
    options += choose.choice([[], [], ["--no-guardian"]])
    for _ in range(_DEATHS):
        before, place = recorded_ok(tmp_path), len(said(tmp_path))
        with fastrun_process(*options, "tasks.json", cwd=tmp_path) as process:
            time.sleep(choose.uniform(0, 0.6))
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=LIMIT)
        assert not before & {line.split()[1] for line in said(tmp_path)[place:]}
        assert before <= recorded_ok(tmp_path)
    before, place = recorded_ok(tmp_path), len(said(tmp_path))
    last = fastrun(*options, "tasks.json", cwd=tmp_path)
    assert not before & {line.split()[1] for line in said(tmp_path)[place:]}
    expected = statuses(document["tasks"])
    assert {name: status for name, (status, _) in report_of(last.stdout).items()} == expected
    assert last.returncode == (0 if set(expected.values()) == {"ok"} else 1)
    assert recorded_ok(tmp_path) == {name for name, status in expected.items() if status == "ok"}
    lines = said(tmp_path)
    assert not [line for line in lines if line.startswith("beside")]
    # What is ok has come to its end once, or more often where that was not recorded; nothing else ran.
    assert {line.split()[1] for line in lines} == {name for name, status in expected.items() if status != "skipped"}
    runs = read_journal((tmp_path / "run.journal").read_bytes()).runs
    assert not [process for run in runs for process in marked_processes(run.id)]
