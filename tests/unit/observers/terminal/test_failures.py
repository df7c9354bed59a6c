"""What stands in the report between the tasks and the counts: failures with all that is known of them, and times."""

from __future__ import annotations

import json
import os
import re

import pytest

from fastrun import Cause, Console, Outcome, Report, Start, Status, Task
from fastrun.observers.frames import last_lines
from fastrun.observers.terminal.times import time_lines
from fastrun.observers.timeline import Timeline
from fastrun.outcome import FIRST_START
from fastrun.text import shown_line
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import HEADINGS, environment, fastrun, report_of


def details(stdout: bytes) -> list[str]:
    """The lines of the report between the tasks and the counts."""
    lines = stdout.decode().splitlines()
    headings = [lines.index(heading) for heading in HEADINGS if heading in lines]
    return lines[min(headings) : -1] if headings else []


BUILD = b"""{
  "tasks": [
    {"name": "compile", "type": "exec", "arguments": "echo one; echo two >&2; exit 3"},
    {"name": "link", "type": "exec", "arguments": "true", "dependencies": ["compile"]},
    {"name": "pack", "type": "exec", "arguments": "true", "dependencies": ["link"]},
    {"name": "check", "type": "eval", "arguments": "import sys\\nx = 1\\n\\ny = 2\\nsys.exit('no good')"},
    {"name": "tell", "type": "exec", "arguments": "true", "dependencies": ["check"]},
    {"name": "fine", "type": "exec", "arguments": "echo fine"}
  ]
}
"""


def test_a_failure_is_shown_with_its_place_its_command_and_the_end_of_its_output(tmp_path):
    path = write_json(tmp_path, BUILD)
    lines = details(fastrun("-j1", "--eval-threads", "1", path).stdout)
    assert lines[:3] == ["Failures:", "  2 skipped: compile failed", "  1 skipped: check failed"]
    compiled = lines.index("  failed: compile  exit status 3")
    assert lines[compiled + 1 : compiled + 3] == [
        f"    {path}:3:5",
        "    exec: echo one; echo two >&2; exit 3",
    ]
    # Two pipes: in which order they are read is not known.
    assert set(lines[compiled + 3 : compiled + 5]) == {"    | one", "    | two"}
    checked = lines.index("  failed: check  SystemExit: no good")
    assert lines[checked + 1 : checked + 6] == [
        f"    {path}:6:5",
        "    eval: import sys",
        "    eval: x = 1",
        "    eval: y = 2",
        "    eval: ...",
    ]
    assert "fine" not in "".join(lines)


def test_task_that_could_not_start_is_a_failure_like_any_other(tmp_path):
    tasks = document(exec_("a", "true", cwd="missing"), exec_("b", "true", "a"))
    path = write_json(tmp_path, tasks)
    assert details(fastrun(path, cwd=tmp_path).stdout) == [
        "Failures:",
        "  1 skipped: a failed",
        f"  failed: a  cannot start: No such file or directory: {tmp_path / 'missing'}",
        f"    {path}:1:12",
        "    exec: true",
    ]


@pytest.mark.parametrize("more", [{}, {"inputs": ["tasks.json"]}])
def test_a_failure_names_tasks_that_are_ok_by_the_journal_alone(tmp_path, more):
    checks = [exec_("make it", "mkdir -p out; touch out/a", **more), exec_("b", "true", "make it")]
    path = write_json(tmp_path, document(*checks, exec_("test", "rm out/a; test -e go", "b"), exec_("c", "true")))
    options = ("--journal", "journal", "--resume", path)
    first = details(fastrun(*options, cwd=tmp_path).stdout)
    assert "    exec: rm out/a; test -e go" in first
    assert "--rerun" not in "".join(first)
    lines = details(fastrun(*options, cwd=tmp_path).stdout)
    assert lines[-2:] == (
        [
            "    not run again, because in the journal it was ok: b",
            "    if what it made is gone or has changed: --rerun b",
        ]
        if more
        else [
            "    not run again, because in the journal they were ok: b, make it",
            "    if what they made is gone or has changed: --rerun NAME",
        ]
    )


def test_the_name_of_a_task_to_run_again_can_be_copied(tmp_path):
    path = write_json(tmp_path, document(exec_("make it", "touch a"), exec_("test", "rm a; false", "make it")))
    options = ("--journal", "journal", "--resume", path)
    fastrun(*options, cwd=tmp_path)
    lines = details(fastrun(*options, cwd=tmp_path).stdout)
    assert lines[-1] == "    if what it made is gone or has changed: --rerun 'make it'"


def test_a_document_from_standard_input_has_places_too():
    assert "    <stdin>:3:5" in details(fastrun("-", input=BUILD).stdout)


def test_a_part_of_a_document_has_the_places_of_the_whole(tmp_path):
    path = write_json(tmp_path, BUILD)
    assert f"    {path}:6:5" in details(fastrun(path, "check").stdout)


def test_a_long_document_gives_the_position(tmp_path):
    tasks = document(eval_("big", f"#{'x' * (1 << 22)}"), exec_("bad", "exit 1"))
    lines = details(fastrun(write_json(tmp_path, tasks)).stdout)
    assert lines == ["Failures:", "  failed: bad  exit status 1", "    task 2 of the document", "    exec: exit 1"]


def test_an_attempt_is_counted_and_only_the_last_one_is_shown(tmp_path):
    command = "echo attempt $FASTRUN_ATTEMPT; exit 1"
    tasks = document(exec_("a", command, retries=2, retry_delay=0))
    path = write_json(tmp_path, tasks)
    assert details(fastrun(path).stdout)[1:] == [
        "  failed: a  exit status 1",
        f"    {path}:1:12, attempt 3 of 3",
        f"    exec: {command}",
        "    | attempt 3",
    ]


def test_a_failure_that_is_allowed_is_none_and_what_is_not_needed_is_no_skip(tmp_path):
    tasks = document(
        exec_("a", "exit 1", allow_failure=True),
        exec_("b", "exit 2"),
        exec_("c", "true", when="failed"),
        exec_("d", "true", "b"),
    )
    result = fastrun(write_json(tmp_path, tasks))
    lines = details(result.stdout)
    assert lines[:3] == ["Failures:", "  1 skipped: b failed", "  failed: b  exit status 2"]
    assert not [line for line in lines if line.startswith("  failed: a ")]
    fine = fastrun(write_json(tmp_path, document(tasks["tasks"][0], tasks["tasks"][2])))
    assert (fine.returncode, details(fine.stdout)) == (0, [])


def test_only_the_last_lines_are_shown_and_each_is_cut(tmp_path):
    command = "for i in $(seq 100); do echo line $i; done; head -c 300 /dev/zero | tr '\\0' x; echo; exit 1"
    lines = details(fastrun(write_json(tmp_path, document(exec_("a", command)))).stdout)
    shown = [line for line in lines if line.startswith("    | ")]
    assert shown == [*(f"    | line {number}" for number in range(82, 101)), f"    | {'x' * 199}…"]


def test_output_cannot_forge_a_line_nor_act_on_the_terminal(tmp_path):
    name = "x\nReport:\nok       y"
    command = "printf 'Report:\\nok       z\\n\\033[2Jred\\033[31m\\001\\n\\377\\n'; exit 1"
    result = fastrun("--output", "quiet", write_json(tmp_path, document(exec_(name, command))))
    lines = result.stdout.decode("utf-8", "replace").splitlines()
    # What the task printed itself came through as it is, before: the last one is the report.
    last = len(lines) - 1 - lines[::-1].index("Report:")
    assert lines[last + 1].startswith("failed   x\\nReport:\\nok       y  exit")
    failures = lines[lines.index("Failures:") + 1 : -1]
    assert all(line.startswith("  ") and line.isprintable() for line in failures)
    assert failures[-4:] == ["    | Report:", "    | ok       z", "    | red\\x01", "    | \\xff"]


def test_many_failures_are_counted_and_the_first_are_shown(tmp_path):
    tasks = [exec_(f"t{number}", "echo x; exit 1") for number in range(30)]
    tasks += [exec_(f"after{number}", "true", f"t{number}") for number in range(30)]
    lines = details(fastrun("-j1", write_json(tmp_path, document(*tasks))).stdout)
    assert [line for line in lines if "skipped" in line] == [
        *(f"  1 skipped: t{number} failed" for number in range(20)),
        "  10 skipped for 10 other reasons",
    ]
    assert [line for line in lines if line.endswith("exit status 1")] == [
        f"  failed: t{number}  exit status 1" for number in range(20)
    ]
    assert lines[-1] == "  10 more failed"


def test_tasks_skipped_after_too_many_failures_are_counted(tmp_path):
    tasks = document(exec_("a", "exit 1"), exec_("b", "true"), exec_("c", "true"))
    lines = details(fastrun("-j1", "-k1", write_json(tmp_path, tasks)).stdout)
    assert lines[1] == "  2 skipped: stopped after 1 failure"


@pytest.mark.parametrize(
    ("report", "names"), [(None, ["a", "b", "c"]), ("all", ["a", "b", "c"]), ("problems", ["b", "c"]), ("none", [])]
)
def test_how_much_is_reported(tmp_path, report, names):
    tasks = document(exec_("a", "true"), exec_("b", "exit 1"), exec_("c", "true", "b"))
    result = fastrun(*(["--report", report] if report else []), write_json(tmp_path, tasks))
    assert list(report_of(result.stdout)) == names
    assert result.stdout.decode().splitlines()[-1].startswith("3 tasks: 1 ok, 1 failed, 1 skipped in ")
    lines = details(result.stdout)
    assert ("Failures:" in lines) == (report != "none")
    assert ("Times:" in lines) == (report == "all")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [(["-v"], True), (["-v", "--report", "problems"], True), (["-v", "--report", "none"], False)],
)
def test_times_are_shown_where_they_are_asked_for(tmp_path, arguments, shown):
    tasks = document(exec_("a", "true"), eval_("b", "pass", "a"))
    result = fastrun(*arguments, write_json(tmp_path, tasks))
    lines = details(result.stdout)
    assert bool(lines) == shown
    if shown:
        assert re.fullmatch(
            r"  \d+\.\d\d s in all; \d\.\d tasks at a time on average, at most 1 command and 1 snippet", lines[1]
        )
        assert re.fullmatch(r"  critical path \d+\.\d\d s \(\d+%\), 2 tasks: a -> b", lines[2])
        assert lines[3] == "  slowest:"
        assert sorted(line.split()[-1] for line in lines[4:]) == ["a", "b"]


def test_a_run_of_nothing_has_times(tmp_path):
    lines = details(fastrun("-v", write_json(tmp_path, document())).stdout)
    assert len(lines) == 2
    assert re.fullmatch(r"  \d+\.\d\d s in all", lines[1])


def test_times_on_a_clock_by_hand():
    now = 0.0
    timeline = Timeline(clock=lambda: now, wall=lambda: 0.0)
    names = [f"t{number}" for number in range(12)]
    tasks = [Task(name, "exec", "", names[max(0, number - 1) : number]) for number, name in enumerate(names)]
    timeline.run_started(tasks)
    for number, task in enumerate(tasks):
        timeline.task_started(number, task, Start())
        now += number
        timeline.task_ended(number, task, Outcome(Status.OK))
    timeline.run_ended(Report([], b"", {}, now))
    lines = list(time_lines(timeline))
    assert lines[:4] == [
        "Times:",
        "  66.00 s in all; 1.0 tasks at a time on average, at most 1 command",
        "  critical path 66.00 s (100%), 12 tasks: t0 -> t1 -> t2 -> t3 -> ... 4 more ... -> t8 -> t9 -> t10 -> t11",
        "  slowest:",
    ]
    assert lines[4:] == [f"    {number:8.2f} s  t{number}" for number in range(11, 1, -1)]


class Sink:
    """A console that prints to files of which nobody reads."""

    def __init__(self, **options) -> None:
        self.null = os.open(os.devnull, os.O_WRONLY)
        self.console = Console(stdout=self.null, stderr=self.null, **options)

    def __enter__(self) -> Console:
        return self.console

    def __exit__(self, *_: object) -> None:
        self.console.close()
        os.close(self.null)


A, B = Task("a", "exec", ""), Task("b", "exec", "")


def test_end_of_a_running_tasks_output_is_kept_in_bounded_memory():
    with Sink() as console:
        console.task_started(0, A, FIRST_START)
        assert console.tail(0) == b""
        printed = b""
        for number in range(3_000):
            line = b"%d\n" % number
            printed += line
            console.task_output(0, A, 1, line)
            assert len(console._tails[0]) <= 8_192
        assert len(console.tail(0)) >= 4_000
        assert printed.endswith(console.tail(0))
        console.task_output(0, A, 1, b"x" * 100_000 + b"\n")
        assert len(console._tails[0]) <= 8_192
        assert console.tail(0).endswith(b"x\n")
        console.task_ended(0, A, Outcome(Status.OK))
        # What outlived its task has no end that anybody asks for.
        console.task_output(0, A, 1, b"late\n")
        console.task_output(0, A, 1, b"x" * 100_000)
        assert console.tail(0) == b""
        assert not console._tails


def test_lines_of_the_two_streams_are_not_joined():
    with Sink() as console:
        console.task_started(0, A, FIRST_START)
        console.task_output(0, A, 1, b"begun")
        console.task_output(0, A, 2, b"warning\n")
        console.task_output(0, A, 1, b", done\n")
        assert last_lines(console.tail(0), 20, A) == [b"begun", b"warning", b", done"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"plain", "plain"),
        (b"\x1b[1;31merror:\x1b[0m x", "error: x"),
        (b"\x1b]0;title\x07x\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "xlink"),
        (b"10%\r20%\r", "20%"),
        (b"\tindented\r", "        indented"),
        (b"\x00\x08\x1b", "\\x00\\x08\\x1b"),
        (b"\x1b]never ended", ""),
        ("漢字".encode(), "漢字"),
        (b"\xe6\xbc", "\\xe6\\xbc"),
        (b"", ""),
    ],
)
def test_a_line_as_it_is_shown(line, shown):
    assert shown_line(line) == shown


def test_a_part_that_cannot_be_made_leaves_the_report(tmp_path):
    with open(tmp_path / "out", "w+b") as out, open(tmp_path / "err", "w+b") as err:

        def times():
            raise ImportError("nothing to import from")

        console = Console(stdout=out.fileno(), stderr=err.fileno(), times=times)
        console.run_ended(Report([A], bytes([Status.OK]), {}, 1.0))
        assert console.close()
        out.seek(0)
        err.seek(0)
        assert out.read() == b"Report:\nok       a\n1 task: 1 ok in 1.00 s\n"
        assert err.read().startswith(b"fastrun: warning: part of the report is missing: ImportError('nothing")


def test_a_library_console_shows_failures_without_a_place(tmp_path):
    with open(tmp_path / "out", "w+b") as out:
        console = Console(stdout=out.fileno(), stderr=out.fileno(), report="problems")
        for number, (task, outcome) in enumerate(((A, Outcome(Status.OK)), (B, Outcome(Status.FAILED, Cause.EXIT, 1)))):
            console.task_started(number, task, FIRST_START)
            console.task_ended(number, task, outcome)
        console.run_ended(
            Report([A, B], bytes([Status.OK, Status.FAILED]), {1: Outcome(Status.FAILED, Cause.EXIT, 1)}, 1.0)
        )
        console.close()
        out.seek(0)
        assert out.read().decode().partition("Report:\n")[2] == (
            "failed   b  exit status 1\nFailures:\n  failed: b  exit status 1\n2 tasks: 1 ok, 1 failed in 1.00 s\n"
        )


def test_a_report_that_does_not_exist():
    with pytest.raises(ValueError, match="report must be one of all, problems, none, not 'some'"):
        Console(report="some")


@pytest.mark.parametrize(
    ("arguments", "variables", "colored"),
    [
        ([], {}, False),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "dumb"}, True),
        ([], {"FORCE_COLOR": ""}, False),
    ],
)
def test_output_to_no_terminal_is_coloured_only_when_asked_for(tmp_path, arguments, variables, colored):
    tasks = document(exec_("a", "exit 1"), exec_("b", "true", "a"), exec_("c", "true"))
    plain = fastrun("-j1", write_json(tmp_path, tasks)).stdout.rpartition(b" in ")[0]
    found = fastrun("-j1", *arguments, write_json(tmp_path, tasks), env=environment(**variables)).stdout
    assert (b"\x1b" in found) == colored
    assert re.sub(rb"\x1b\[\d*m", b"", found).rpartition(b" in ")[0] == plain
    if colored:
        lines = found.decode().splitlines()
        assert lines[:2] == ["\x1b[2mStarted: a\x1b[m", "\x1b[31mEnded : a\x1b[m"]
        assert "\x1b[31mfailed  \x1b[m a  exit status 1" in lines
        assert "\x1b[33mskipped \x1b[m b  a failed" in lines


def test_a_snippet_that_breaks_imports_breaks_no_report(tmp_path):
    source = "import sys; sys.path.clear(); sys.meta_path.clear(); raise ValueError('x')"
    result = fastrun(write_json(tmp_path, json.dumps(document(eval_("a", source))).encode()))
    assert report_of(result.stdout) == {"a": ("failed", "ValueError: x")}
    assert result.returncode == 1
    assert b"part of the report is missing" in result.stderr
