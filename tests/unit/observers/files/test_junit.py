"""JUnit XML: read by somebody else's reader, held against the rules of Ant and Jenkins."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

import fastrun as library
from fastrun import Outcome, Status, Task
from fastrun.observers.files import junit
from fastrun.observers.files.junit import JUnit
from fastrun.observers.files.output import OutputFile
from fastrun.observers.timeline import Timeline
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import fastrun, fastrun_process, wait_for

if TYPE_CHECKING:
    from junitparser import TestSuite as Suite

junitparser = pytest.importorskip("junitparser")
xmlschema = pytest.importorskip("xmlschema")

RULES = xmlschema.XMLSchema(str(Path(__file__).with_name("junit.xsd")))

# Of each end a task can come to.
ENDS = document(
    exec_("good", "sleep 0.02"),
    eval_("bad", "print('a line'); 1 / 0"),
    exec_("may", "exit 4", allow_failure=True),
    exec_("never", "true", "bad"),
    exec_("clean", "true", "good", when="failed"),
)


def suite_of(path: Path) -> Suite:
    """The one suite of a file, which keeps to the rules."""
    RULES.validate(str(path))
    suites: list[Suite] = list(junitparser.JUnitXml.fromfile(str(path)))
    assert len(suites) == 1
    return suites[0]


def reported(tmp_path: Path, content: dict[str, Any]) -> Suite:
    fastrun("--junit", tmp_path / "report.xml", write_json(tmp_path, content))
    return suite_of(tmp_path / "report.xml")


def results(suite: Suite) -> dict[str, tuple[str, str | None]]:
    """By name: the kind of result, and its message."""
    found = {}
    for case in suite:
        result = case.result[0] if case.result else None
        found[case.name] = (type(result).__name__, result.message) if result is not None else ("ok", None)
    return found


def test_each_task_is_a_case(tmp_path):
    suite = reported(tmp_path, ENDS)
    assert results(suite) == {
        "good": ("ok", None),
        "bad": ("Failure", "ZeroDivisionError: division by zero"),
        "may": ("Skipped", "exit status 4 (allowed)"),
        "never": ("Skipped", "bad failed"),
        "clean": ("Skipped", "not needed: nothing failed"),
    }
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (5, 1, 0, 3)
    assert suite.name == "tasks"
    assert {case.classname for case in suite} == {"fastrun.tasks"}


def test_a_program_that_is_not_found_is_a_failure(tmp_path):
    suite = reported(tmp_path, document(exec_("a", ["no-such-program", "x"]), exec_("b", ["true"])))
    missing = "cannot start: No such file or directory: no-such-program"
    assert results(suite) == {"a": ("Failure", missing), "b": ("ok", None)}


def test_times_are_those_of_the_tasks_and_of_the_run(tmp_path):
    before = time.time()
    suite = reported(tmp_path, ENDS)
    good = next(case for case in suite if case.name == "good")
    # From when its start is noted, which is a little late where others have the processors.
    assert 0 < good.time <= suite.time <= time.time() - before
    began = datetime.fromisoformat(suite.timestamp).replace(tzinfo=UTC).timestamp()
    assert int(before) <= began <= time.time()


def test_failure_holds_the_end_of_its_output(tmp_path):
    tasks = document(
        exec_("a", "for i in $(seq 100); do echo line $i; done; printf last >&2; exit 1"),
        eval_("b", "print('<&>\"', ']]>'); raise SystemExit(2)"),
        exec_("c", "echo gone; test $FASTRUN_ATTEMPT = 1; exit 1", retries=1, retry_delay=0),
    )
    texts = {case.name: case.result[0].text for case in reported(tmp_path, tasks)}
    assert texts["a"].splitlines() == [f"line {number}" for number in range(82, 101)] + ["last"]
    assert texts["b"] == '<&>" ]]>'
    assert texts["c"] == "gone"


def test_suite_output_says_what_tasks_waited_for_and_used(tmp_path):
    tasks = document(exec_("<a>\n", "sleep 0.05"), exec_("b", "exit 1"), eval_("c", "1 / 0"), exec_("d", "true", "c"))
    path = tmp_path / "report.xml"
    fastrun("-j", "1", "--junit", path, write_json(tmp_path, tasks))
    suite_of(path)
    lines = ET.parse(path).findtext(".//testsuite/system-out", "").splitlines()
    # Where the kernel says more than fastrun's own: the memory.
    used = r"\d+\.\d{3} s of processor time(; \d+\.\d MiB of memory)?"
    waited = r"waited \d+\.\d{3} s for slot"
    # Where others have the processors, those wait as well that could start at once.
    assert re.fullmatch(rf"<a>\\n: ({waited}; )?{used}", lines[0])
    assert re.fullmatch(rf"b: {waited}; {used}", lines[1])
    assert all(re.fullmatch(rf"c: {waited}", line) for line in lines[2:])


def test_suite_output_says_why_tasks_ran_and_which_are_up_to_date(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text("")
    tasks = [exec_(name, "true", cwd=str(tmp_path), inputs=[name]) for name in "ab"]
    path, document_ = tmp_path / "report.xml", write_json(tmp_path, document(*tasks))
    fastrun("--update", document_)
    (tmp_path / "b").write_text("more")
    assert fastrun("--update", "--junit", path, document_).returncode == 0
    assert results(suite_of(path)) == {"a": ("ok", None), "b": ("ok", None)}
    lines = ET.parse(path).findtext(".//testsuite/system-out", "").splitlines()
    assert lines[0] == "a: up to date"
    assert lines[1].startswith(f"b: ran: {tmp_path}/b changed")


def test_only_the_last_attempt_counts(tmp_path):
    command = 'echo "attempt $FASTRUN_ATTEMPT"; test $FASTRUN_ATTEMPT = 2'
    tasks = document(
        exec_("a", command, retries=1, retry_delay=0), exec_("b", "exit $FASTRUN_ATTEMPT", retries=1, retry_delay=0)
    )
    assert results(reported(tmp_path, tasks)) == {"a": ("ok", None), "b": ("Failure", "exit status 2")}


def test_the_attempt_is_told_also_where_it_could_not_start(tmp_path):
    tasks = [
        exec_("a", "true", cwd="nope", retries=2, retry_delay=0),
        exec_("b", "test $FASTRUN_ATTEMPT = 2", retries=1, retry_delay=0),
        exec_("c", "true"),
    ]
    path = tmp_path / "report.xml"
    fastrun("--junit", path, write_json(tmp_path, document(*tasks)), cwd=tmp_path)
    said = ET.parse(path).getroot().findtext(".//system-out") or ""
    assert re.findall("^(.): attempt (. of .)", said, re.MULTILINE) == [("a", "3 of 3"), ("b", "2 of 2")]


def test_characters_that_xml_cannot_hold_are_replaced(tmp_path):
    names = ["a\x00b\x1b[1m\ufffe", "<&>\"'", " a\tb\nc\rd ", "ü日本😀"]
    tasks = document(*[eval_(name, f"raise Exception({name!r})") for name in names])
    path = tmp_path / "report.xml"
    fastrun("--junit", path, write_json(tmp_path, tasks))
    RULES.validate(str(path))
    cases = ET.parse(path).getroot().iter("testcase")
    assert [case.get("name") for case in cases] == ["a\ufffdb\ufffd[1m\ufffd", *names[1:]]


def test_interrupted_task_is_an_error(tmp_path):
    path = write_json(tmp_path, document(exec_("a", f"touch {tmp_path}/made; sleep 100"), exec_("b", "true", "a")))
    with fastrun_process("--junit", tmp_path / "report.xml", path) as process:
        wait_for((tmp_path / "made").exists)
        process.terminate()
        assert process.wait() == 143
    suite = suite_of(tmp_path / "report.xml")
    assert results(suite) == {"a": ("Error", "interrupted"), "b": ("Error", "interrupted")}
    assert (suite.errors, suite.failures) == (2, 0)


def observed(tmp_path: Path, tasks: list[Task]) -> Suite:
    path = tmp_path / "report.xml"
    timeline = Timeline()
    observer = JUnit(OutputFile(str(path)), timeline, "x", "id")
    library.run(tasks, observers=[timeline, observer])
    assert observer.close() == ""
    return suite_of(path)


def test_of_very_many_only_failures_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(junit, "MOST_CASES", 3)
    tasks = [Task("a", "eval", ""), Task("b", "eval", "1 / 0"), Task("c", "eval", "", ["b"])]
    assert list(results(observed(tmp_path, tasks))) == ["a", "b", "c"]
    suite = observed(tmp_path, [*tasks, Task("d", "eval", "", ["a"])])
    assert list(results(suite)) == ["b"]
    assert (suite.tests, suite.failures, suite.skipped) == (4, 1, 1)
    assert {found.name: found.value for found in suite.properties()}["listed"] == "tasks that failed"


def test_a_lone_surrogate_in_a_name_is_no_harm(tmp_path):
    assert list(results(observed(tmp_path, [Task("a\ud800", "eval", "")]))) == ["a\ufffd"]


def test_output_of_running_and_failed_tasks_is_kept(tmp_path):
    observer = JUnit(OutputFile(str(tmp_path / "x")), Timeline(), "x", "id")
    task = Task("a", "exec", "")
    for number, status in enumerate((Status.OK, Status.FAILED, Status.FAILED)):
        observer.task_started(number, task, library.Start())
        observer.task_output(number, task, 1, b"text")
        observer.task_ended(number, task, Outcome(status))
        observer.task_output(number, task, 1, b"of what it left behind")
    kept = {number: tail.text(task) for number, tail in observer._tails.kept.items()}
    assert kept == dict.fromkeys((1, 2), ("text", False))
    assert observer.close() == f"{tmp_path}/x is not complete"


def test_a_full_disk_is_exit_3(tmp_path):
    result = fastrun("--junit", "/dev/full", write_json(tmp_path, document(exec_("a", "true"))))
    assert result.returncode == 3
    assert result.stderr == b"fastrun: cannot write /dev/full: No space left on device\n"
