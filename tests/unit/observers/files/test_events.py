"""Events as JSON Lines: by the real command line, against the schema that is shipped."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastjsonschema
import pytest

import fastrun as library
from fastrun import Cause, Outcome, Status
from fastrun.document.task import Task
from fastrun.observers.files.events import EVENTS_SCHEMA_PATH, EventLog
from fastrun.observers.files.output import OutputFile
from fastrun.observers.timeline import Timeline
from fastrun.outcome import OK
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import LIMIT, fastrun, fastrun_process, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA = json.loads(Path(EVENTS_SCHEMA_PATH).read_text())
validate = fastjsonschema.compile(SCHEMA)

# More than fits into a pipe.
MANY = 1_000


def described(type_: str) -> set[str]:
    return {*SCHEMA["properties"], *SCHEMA["definitions"][type_]["properties"]}


def checked(lines: bytes) -> list[dict[str, Any]]:
    """The events of a run that came to its end; what must hold for all of them does."""
    assert lines.endswith(b"\n")
    events = [json.loads(line) for line in lines.splitlines()]
    for number, event in enumerate(events, 1):
        validate(event)
        assert event["n"] == number
        assert set(event) == described(event["type"])
        assert set(event.get("wait") or ()) <= {"dependencies", "after", "for"}
    assert [event["type"] for event in events].count("run_started") == 1
    assert (events[0]["type"], events[-1]["type"]) == ("run_started", "run_ended")
    seconds = [event["seconds"] for event in events]
    assert seconds == sorted(seconds)
    began = datetime.fromisoformat(events[0]["time"])
    for event in events:
        passed = (datetime.fromisoformat(event["time"]) - began).total_seconds()
        assert passed == pytest.approx(event["seconds"], abs=5e-6)
    finals = [event for event in events if event["type"] == "task_ended" and event["retry_in"] is None]
    assert len({event["name"] for event in finals}) == len(finals) == events[0]["tasks"]
    counts = {status: sum(event["status"] == status for event in finals) for status in events[-1]["counts"]}
    assert events[-1]["counts"] == counts
    return events


def of_run(tmp_path: Path, content: dict[str, Any], *options: str) -> list[dict[str, Any]]:
    result = fastrun("--json", tmp_path / "events", *options, write_json(tmp_path, content))
    events = checked((tmp_path / "events").read_bytes())
    assert events[-1]["exit_code"] == result.returncode
    return events


def of_task(events: Iterable[dict[str, Any]], name: str, type_: str = "task_ended") -> dict[str, Any]:
    return next(event for event in events if event["type"] == type_ and event["name"] == name)


def end_of(event: dict[str, Any]) -> float:
    """When an attempt ended, in seconds of the run; fastrun learns of it a little later."""
    return float(event["wait"]["dependencies"] + event["wait"]["after"] + event["duration"])


def test_a_run_is_told_from_its_beginning_to_its_end(tmp_path):
    events = of_run(
        tmp_path, document(exec_("a", 'echo "$FASTRUN_RUN_ID $PPID"'), eval_("b", "1 / 0", "a"), exec_("c", "", "b"))
    )
    assert [(event["type"], event.get("name")) for event in events] == [
        ("run_started", None),
        ("task_started", "a"),
        ("task_ended", "a"),
        ("task_started", "b"),
        ("task_ended", "b"),
        ("task_ended", "c"),
        ("run_ended", None),
    ]
    assert events[0]["fastrun"] == library.__version__
    a, b, c = (of_task(events, name) for name in "abc")
    assert (a["status"], a["reason"], a["attempt"], a["attempts"], a["retry_in"]) == ("ok", "", 1, 1, None)
    assert a["cpu_seconds"] >= 0
    assert (b["status"], b["reason"], b["cpu_seconds"]) == ("failed", "ZeroDivisionError: division by zero", None)
    assert (c["status"], c["reason"], c["duration"], c["attempt"], c["wait"]) == (
        "skipped",
        "b failed",
        None,
        None,
        None,
    )
    assert of_task(events, "a", "task_started")["pid"] > 0
    assert of_task(events, "b", "task_started")["pid"] is None
    assert b["wait"]["dependencies"] == pytest.approx(end_of(a), abs=3e-6)
    assert end_of(a) <= a["seconds"] + 3e-6


def test_the_run_and_the_commands_are_those_that_a_command_sees(tmp_path):
    command = f'echo "$FASTRUN_RUN_ID $PPID $$" > {tmp_path}/seen'
    events = of_run(tmp_path, document(exec_("a", command)))
    seen = (tmp_path / "seen").read_text().split()
    pid = of_task(events, "a", "task_started")["pid"]
    assert seen == [events[0]["run_id"], str(events[0]["pid"]), str(pid)]


def test_each_attempt_is_told_and_the_last_one_is_known(tmp_path):
    command = f"test $FASTRUN_ATTEMPT = 2 || exit 3; touch {tmp_path}/done"
    events = of_run(tmp_path, document(exec_("a", command, retries=2, retry_delay=0.01)))
    assert (tmp_path / "done").exists()
    told = [(event["type"], event["attempt"], event["attempts"]) for event in events[1:-1]]
    assert told == [("task_started", 1, 3), ("task_ended", 1, 3), ("task_started", 2, 3), ("task_ended", 2, 3)]
    first, second = events[2], events[4]
    assert (first["status"], first["reason"]) == ("failed", "exit status 3")
    assert 0.01 <= first["retry_in"] <= 0.0125
    assert (second["status"], second["retry_in"]) == ("ok", None)
    # It waits for the attempt before as for a dependency.
    assert second["wait"]["dependencies"] == pytest.approx(end_of(first), abs=3e-6)
    # The loop counts in milliseconds, and from the beginning of its turn: how long exactly is not told here.
    assert second["wait"]["after"] > 0


def test_attempts_that_cannot_start_are_numbered_and_the_last_one_is_known(tmp_path):
    events = of_run(tmp_path, document(exec_("a", "true", cwd="nope", retries=2, retry_delay=0)))
    told = [(event["type"], event["attempt"], event["attempts"], event["retry_in"]) for event in events[1:-1]]
    assert told == [("task_ended", 1, 3, 0), ("task_ended", 2, 3, 0), ("task_ended", 3, 3, None)]
    assert {(event["duration"], event["wait"]) for event in events[1:-1]} == {(None, None)}


def test_a_retry_that_a_failure_elsewhere_prevents_is_told_with_the_last_attempt(tmp_path):
    told = shlex.quote(str(tmp_path / "events"))
    fails_after = f"until grep -q '\"retry_in\":[0-9]' {told}; do sleep 0.01; done; exit 4"
    tasks = [exec_("a", "exit 3", retries=1, retry_delay=1000), exec_("b", fails_after)]
    events = of_run(tmp_path, document(*tasks), "-k", "1")
    ends = [event for event in events if (event.get("name"), event["type"]) == ("a", "task_ended")]
    assert [(end["attempt"], end["attempts"], end["retry_in"] is None) for end in ends] == [(1, 2, False), (1, 2, True)]


@pytest.mark.usefixtures("memory_kept")
@pytest.mark.parametrize(
    ("task", "cause", "reason"),
    [
        (exec_("a", "exit 3"), "exit", "exit status 3"),
        (exec_("a", "kill -9 $$"), "signal", "killed by SIGKILL"),
        (exec_("a", "", cwd="/no"), "cannot start", "cannot start: No such file or directory: /no"),
        (exec_("a", "exec sleep 1000", timeout=0.1), "timeout", "timed out after 0.1 s"),
        (eval_("a", "1 / 0"), "exception", "ZeroDivisionError: division by zero"),
        (exec_("a", "exit 3", allow_failure=True), "exit", "exit status 3 (allowed)"),
        (exec_("a", "true", outputs=["/dev/null/a"]), "no output", "did not make /dev/null/a"),
        (exec_("a", "true", depfile="/dev/null/a"), "depfile", "depfile /dev/null/a: Not a directory"),
    ],
)
def test_the_cause_is_a_word_and_the_reason_a_sentence(tmp_path, task, cause, reason):
    end = of_task(of_run(tmp_path, document(task)), "a")
    assert (end["cause"], end["reason"]) == (cause, reason)


def test_the_cause_of_a_skip_is_a_word(tmp_path):
    tasks = [exec_("a", "false"), exec_("b", "true", "a"), exec_("c", "true"), exec_("d", "", "c", when="failed")]
    events = of_run(tmp_path, document(*tasks))
    assert [of_task(events, name)["cause"] for name in "bcd"] == ["dependency", None, "not needed"]


def test_report_says_what_a_task_waited_for(tmp_path):
    tasks = [exec_(f"p{number}", "sleep 0.01", pool="gpu") for number in range(2)]
    events = of_run(tmp_path, {"tasks": [*tasks, exec_("s", "true")], "pools": {"gpu": 1}}, "-j", "2")
    second = next(event for event in reversed(events) if event.get("name", "").startswith("p"))
    assert second["wait"]["for"] == "pool"
    assert second["wait"]["after"] >= 0.01
    assert of_task(events, "s")["wait"]["for"] == "slot"


def test_tasks_of_a_journal_have_no_attempt(tmp_path):
    content = document(exec_("a", "true"))
    options = ("--journal", f"{tmp_path}/journal", "--resume")
    of_run(tmp_path, content, *options)
    a = of_task(of_run(tmp_path, content, *options), "a")
    assert (a["status"], a["reason"], a["attempt"], a["duration"]) == ("ok", "from the journal", None, None)


def test_update_tells_why_tasks_run_and_what_is_up_to_date(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text("")
    tasks = [exec_(name, f"cat {name} > {name}.out", cwd=str(tmp_path), inputs=[name]) for name in "ab"]
    content = document(*tasks, exec_("all", "true", "a", "b"))
    first = of_run(tmp_path, content, "--update")
    assert of_task(first, "a", "task_started")["why"] == "not recorded"
    (tmp_path / "b").write_text("more")
    events = of_run(tmp_path, content, "--update")
    assert [(event["name"], event["why"]) for event in events if event["type"] == "task_started"] == [
        ("b", f"{tmp_path}/b changed"),
        ("all", "names no files"),
    ]
    a = of_task(events, "a")
    assert (a["status"], a["cause"], a["reason"], a["attempt"]) == ("ok", "up to date", "up to date", None)
    assert of_task(of_run(tmp_path, content), "a", "task_started")["why"] is None


def test_an_input_that_an_earlier_task_removes_is_a_cause(tmp_path):
    (tmp_path / "a").write_text("")
    tasks = [exec_("remove", f"rm {tmp_path}/a"), exec_("a", "true", "remove", inputs=[f"{tmp_path}/a"])]
    a = of_task(of_run(tmp_path, document(*tasks), "--update"), "a")
    assert (a["status"], a["cause"], a["attempt"]) == ("failed", "no input", None)


def test_odd_names_and_reasons_come_back_as_they_were(tmp_path):
    names = ['"', "\\", "a\nb", "\x00\x1f\x7f", "\u2028\u202e", "ü日本😀", "</script>", "{}%s%d"]
    events = of_run(tmp_path, document(*[eval_(name, "raise Exception('%s {0} ü')") for name in names]))
    assert {event["name"] for event in events if "name" in event} == set(names)
    assert of_task(events, '"')["reason"] == "Exception: %s {0} ü"


def observed(tmp_path: Path, source: Any) -> list[dict[str, Any]]:
    timeline = Timeline()
    log = EventLog(OutputFile(str(tmp_path / "events")), timeline, "id")
    library.run(source, observers=[timeline, log])
    assert log.close() == ""
    return checked((tmp_path / "events").read_bytes())


def test_a_lone_surrogate_in_a_name_is_no_harm(tmp_path):
    events = observed(tmp_path, [Task("a\ud800", "eval", "")])
    assert of_task(events, "a\ud800")["status"] == "ok"


def test_an_empty_run_has_two_events(tmp_path):
    assert [event["type"] for event in of_run(tmp_path, document())] == ["run_started", "run_ended"]


def test_on_standard_output_there_is_nothing_else(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "echo one; echo two >&2"), eval_("b", "print('three')", "a")))
    result = fastrun("--json", "-", path)
    events = checked(result.stdout)
    assert events[-1]["exit_code"] == result.returncode == 0
    lines = result.stderr.decode().splitlines()
    assert lines[0] == "Started: a"
    assert set(lines) >= {"one", "two", "three", "Ended : b", "Report:", "ok       a"}


class Writes:
    """A file that keeps what is written, each time apart."""

    label = "the list"

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.flushed = 0

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

    def flush(self) -> None:
        self.flushed += 1

    def close(self) -> str:
        return ""


def test_a_turn_of_the_loop_is_one_write_of_whole_lines():
    writes = Writes()
    a, b = Task("a", "exec", ""), Task("b", "exec", "", ["a"])

    async def run() -> None:
        timeline = Timeline()
        log = EventLog(writes, timeline, "id")  # type: ignore[arg-type]
        for observer in (timeline, log):
            observer.run_started([a, b])
        for number, task in enumerate((a, b)):
            timeline.task_started(number, task, library.Start())
        timeline.task_ended(0, a, OK)
        await asyncio.sleep(0)
        timeline.task_ended(1, b, Outcome(Status.FAILED, Cause.EXIT, 1))
        await asyncio.sleep(0)
        report = library.Report([a, b], bytes([Status.OK, Status.FAILED]), {}, 1.0)
        for observer in (timeline, log):
            observer.run_ended(report)

    asyncio.run(run())
    assert [piece.count(b"\n") for piece in writes.pieces] == [1, 3, 1, 1]
    assert all(piece.endswith(b"\n") for piece in writes.pieces)
    assert writes.flushed == 4
    checked(b"".join(writes.pieces))


def test_written_records_outlive_a_killed_fastrun(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true"), exec_("b", "sleep 100", "a")))
    events = tmp_path / "events"
    with fastrun_process("--json", events, path) as process:
        wait_for(lambda: events.exists() and b'"task_started"' in events.read_bytes().partition(b'"task_ended"')[2])
        process.kill()
        process.wait()
    lines = events.read_bytes()
    assert lines.endswith(b"\n")
    found = [json.loads(line) for line in lines.splitlines()]
    for event in found:
        validate(event)
    assert [(event["type"], event.get("name")) for event in found] == [
        ("run_started", None),
        ("task_started", "a"),
        ("task_ended", "a"),
        ("task_started", "b"),
    ]


def test_an_interrupt_is_told(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "echo; sleep 100"), exec_("b", "true", "a")))
    events = tmp_path / "events"
    with fastrun_process("--json", events, path) as process:
        wait_for(lambda: events.exists() and b'"task_started"' in events.read_bytes())
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT) == 143
    found = checked(events.read_bytes())
    assert (found[-1]["signal"], found[-1]["exit_code"]) == (15, 143)
    assert {of_task(found, name)["status"] for name in "ab"} == {"interrupted"}


def test_a_full_disk_is_exit_3_and_the_tasks_go_on(tmp_path):
    path = write_json(tmp_path, document(exec_("a", f"touch {tmp_path}/made")))
    result = fastrun("--json", "/dev/full", path)
    assert result.returncode == 3
    assert result.stderr == b"fastrun: cannot write to /dev/full: No space left on device\n"
    assert (tmp_path / "made").exists()


def test_file_that_cannot_be_opened_starts_nothing(tmp_path):
    path = write_json(tmp_path, document(exec_("a", f"touch {tmp_path}/made")))
    result = fastrun("--json", f"{tmp_path}/no/where", path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr == os.fsencode(f"fastrun: {tmp_path}/no/where: No such file or directory\n")
    assert not (tmp_path / "made").exists()


def many(tmp_path: Path) -> Path:
    """More events than fit into a pipe, and a file when they have all happened."""
    tasks = [eval_(f"t{number}", "") for number in range(MANY)]
    last = exec_("last", f"touch {tmp_path}/made", *[task["name"] for task in tasks])
    return write_json(tmp_path, document(*tasks, last))


def test_a_reader_that_sleeps_holds_up_nothing(tmp_path):
    with fastrun_process("--json", "-", many(tmp_path)) as process:
        assert process.stdout is not None
        wait_for((tmp_path / "made").exists)
        checked(process.stdout.read())
        assert process.wait(LIMIT) == 0


def test_a_reader_that_never_wakes_does_not_hold_up_an_interrupt(tmp_path):
    with fastrun_process("--json", "-", many(tmp_path)) as process:
        wait_for((tmp_path / "made").exists)
        # Until all is over but the writing.
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT) == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_once_the_run_is_over_ends_the_wait_for_a_reader(tmp_path, number):
    with fastrun_process("--json", "-", "--report", "none", many(tmp_path)) as process:
        assert process.stderr is not None
        while b"1001 tasks: 1001 ok" not in process.stderr.readline():
            pass
        process.send_signal(number)
        assert process.wait(LIMIT) == 128 + number


def test_a_reader_that_goes_is_exit_3(tmp_path):
    with fastrun_process("--json", "-", many(tmp_path)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(LIMIT) == 3
        assert b"fastrun: cannot write to standard output: Broken pipe\n" in process.stderr.read()


def test_the_schema_is_printed():
    assert json.loads(fastrun("--schema=events").stdout) == SCHEMA
    assert json.loads(fastrun("--schema").stdout) == json.loads(fastrun("--schema=document").stdout) != SCHEMA


def test_the_schema_refuses_what_is_not_an_event():
    event = {"v": 1, "n": 1, "type": "run_started", "time": "2026-01-01T00:00:00.000000Z", "seconds": 0}
    whole = {**event, "fastrun": "1", "run_id": "x", "pid": 1, "tasks": 0}
    validate(whole)
    validate({**event, "type": "of the future", "more": 1})
    for wrong in (event, {**whole, "v": 2}, {**whole, "time": "2026-01-01 00:00"}, {**whole, "tasks": "many"}):
        with pytest.raises(fastjsonschema.JsonSchemaValueException):
            validate(wrong)


def test_the_schema_names_each_cause():
    described = SCHEMA["definitions"]["task_ended"]["properties"]["cause"]["description"]
    assert all(f" {cause.value}" in described for cause in Cause)


def test_standard_output_has_nothing_but_events(tmp_path):
    source = (
        "import os, subprocess, sys\nos.write(1, b'one\\n')\nsys.__stdout__.write('two\\n')\nos.system('echo three')"
    )
    path = write_json(tmp_path, document(eval_("a", f"{source}\nsubprocess.run(['echo', 'four'])")))
    result = fastrun("--json", "-", path)
    assert result.returncode == 0
    kinds = [json.loads(line)["type"] for line in result.stdout.splitlines()]
    assert (kinds[0], kinds[-1]) == ("run_started", "run_ended")
    assert {b"one", b"two", b"three", b"four"} <= set(result.stderr.splitlines())
