"""Random documents against a model of what a run means."""

from __future__ import annotations

import signal
import time
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastrun
from fastrun.observers.terminal.console import MODES
from fastrun.text import columns, printable
from tests.support.amounts import many
from tests.support.documents import write_json
from tests.support.fakes import Recorder
from tests.support.model import behaves_well, check_order, expected_statuses, roots
from tests.support.processes import LIMIT, fastrun_process
from tests.support.processes import fastrun as command_line
from tests.support.strategies import BEHAVIOURS, HANGS, TIMEOUT, documents

IN_PROCESS = many("random documents in one process", 60, 2_000)
BY_COMMAND_LINE = many("random documents by the command line", 12, 300)
MEMORY = many("random documents with commands that need memory", 30, 1_000)
TIMEOUTS = many("random documents with timeouts", 20, 200)
SIGNALS = many("random documents and a signal at a random moment", 20, 200)


@settings(
    max_examples=IN_PROCESS,
)
@given(documents(), st.sampled_from([None, 1, 3]), st.sampled_from([64, 1, 2]))
def test_a_run_does_what_the_model_says(document, jobs, threads):
    tasks = document["tasks"]
    recorder = Recorder()
    report = fastrun.run(document, jobs=jobs, eval_threads=threads, observers=[recorder])
    statuses = expected_statuses(tasks)
    assert {result.name: result.status.label for result in report} == statuses
    assert [result.name for result in report] == [task["name"] for task in tasks]
    assert report.exit_code == (0 if set(statuses.values()) <= {"ok"} else 1)
    assert sum(report.counts.values()) == len(tasks)
    check_order(tasks, statuses, recorder)
    for task in tasks:
        name = task["name"]
        printed = BEHAVIOURS[task["type"], task["arguments"]][1] if statuses[name] != "skipped" else b""
        assert recorder.output.get((name, 1), b"") == printed
        if statuses[name] == "skipped":
            assert report[name].reason in {f"{printable(root)} failed" for root in roots(tasks, statuses, name)}
        else:
            assert bool(report[name].reason) == (statuses[name] == "failed")


# Bytes of all commands: as few as any machine has.
TOTAL = 64 << 20


@settings(max_examples=MEMORY)
@given(documents(memory=TOTAL), st.sampled_from([None, 1, 3]), st.sampled_from([0, 1, 2]))
def test_commands_that_need_memory_do_what_the_model_says_and_fit(document, jobs, keep_going):
    tasks = document["tasks"]
    recorder = Recorder()
    report = fastrun.run(document, jobs=jobs, memory=TOTAL, keep_going=keep_going, observers=[recorder])
    statuses = expected_statuses(tasks)
    if not keep_going:
        assert {result.name: result.status.label for result in report} == statuses
        check_order(tasks, statuses, recorder)
    assert sum(report.counts.values()) == len(tasks)
    # Of those that say it.
    sizes = {task["name"]: task["memory"] for task in tasks if "memory" in task}
    running: set[str] = set()
    for kind, name, *_ in recorder.events:
        if kind == "task_started":
            running.add(name)
            used = [sizes[other] for other in running if other in sizes]
            assert len(used) <= 1 or sum(used) <= TOTAL
        elif kind == "task_ended":
            running.discard(name)


@settings(
    max_examples=BY_COMMAND_LINE,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(documents(), st.sampled_from(MODES))
def test_the_command_line_prints_what_the_model_says(tmp_path, document, mode):
    tasks = document["tasks"]
    result = command_line("--output", mode, write_json(tmp_path, document))
    statuses = expected_statuses(tasks)
    assert result.returncode == (0 if set(statuses.values()) <= {"ok"} else 1)
    lines = result.stdout.decode().split("\n")
    begin, end = lines.index("Report:"), -2
    if "failed" in statuses.values():
        end = lines.index("Failures:", begin)
    report = lines[begin + 1 : end]
    assert [line[:9].strip() for line in report] == list(statuses.values())
    for line, task in zip(report, tasks, strict=True):
        assert line[9:].startswith(printable(task["name"]))
    shown = {"failed"} if mode == "quiet" else {"ok", "failed"}
    expected: list[str] = []
    width = min(max((columns(printable(task["name"])) for task in tasks), default=0), 24)
    for task in tasks:
        if statuses[task["name"]] in shown:
            text = BEHAVIOURS[task["type"], task["arguments"]][1].decode()
            label = printable(task["name"])
            prefix = f"[{label}] {' ' * (width - columns(label))}" if mode == "prefix" else ""
            printed = [f"{prefix}{line}" for line in text.removesuffix("\n").split("\n")] if text else []
            # A snippet with an exception has printed its traceback.
            if mode == "group" and (text or task["arguments"] in ("1 / 0", "raise StopIteration")):
                printed.append(f"Output: {label}")
            expected += [f"Started: {label}", *printed, f"Ended : {label}"]
    assert sorted(lines[:begin]) == sorted(expected)


@settings(max_examples=TIMEOUTS)
@given(documents(hangs=True), st.sampled_from([None, 1, 3]))
def test_hanging_task_fails_when_its_time_is_over(document, jobs):
    tasks = document["tasks"]
    report = fastrun.run(document, jobs=jobs)
    statuses = expected_statuses(tasks)
    assert {result.name: result.status.label for result in report} == statuses
    for task in tasks:
        if (task["type"], task["arguments"]) == HANGS and statuses[task["name"]] == "failed":
            assert report[task["name"]].reason == f"timed out after {TIMEOUT} s"


@settings(
    max_examples=SIGNALS,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(documents(hangs=True), st.sampled_from(["SIGINT", "SIGTERM", "SIGHUP"]), st.floats(0, 0.4), st.booleans())
def test_a_signal_leaves_a_report_that_is_true(tmp_path, document, name, moment, twice):
    tasks = document["tasks"]
    number = signal.Signals[name]
    with fastrun_process("--grace", "0.1", write_json(tmp_path, document)) as process:
        time.sleep(moment)
        for _ in range(1 + twice):
            process.send_signal(number)
        out, errors = process.communicate(timeout=LIMIT)
    if not out:
        # It had not begun.
        return
    assert b"fastrun/" not in errors
    assert process.returncode in (0, 1, 128 + number, -number)
    if b"\nReport:\n" not in b"\n" + out:
        # Between the two the interpreter dies by signals as everybody does.
        assert process.returncode == -number
        return
    check_report(tasks, out, process.returncode, number)


def check_report(tasks: list[dict[str, Any]], out: bytes, code: int, number: int) -> None:
    """Hold a report of an interrupted run against the model."""
    lines = out.decode().split("\n")
    lines = lines[lines.index("Report:") + 1 : -2]
    if "Failures:" in lines:
        lines = lines[: lines.index("Failures:")]
    found: dict[str, str] = {}
    for task in tasks:
        status = lines[0].split(" ", 1)[0] if lines else ""
        label = printable(task["name"])
        if lines and f"{lines[0][max(9, len(status) + 1) :]}  ".startswith(f"{label}  "):
            found[task["name"]] = status
            del lines[0]
        else:
            # It never started, and is counted only.
            found[task["name"]] = "interrupted"
    assert lines == []
    for task in tasks:
        status = found[task["name"]]
        before = {found[dependency] for dependency in task["dependencies"]}
        if status == "skipped":
            assert before & {"failed", "skipped"}
        elif status == "interrupted":
            assert code == 128 + number
        else:
            assert status == ("ok" if behaves_well(task) else "failed")
            assert before <= {"ok"}
    if code in (0, 1):
        assert found == expected_statuses(tasks)
