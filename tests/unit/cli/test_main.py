"""The command line as a user meets it: real processes, real signals, real exit codes."""

from __future__ import annotations

import json
import os
import resource
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from fastrun import __version__
from fastrun.executors.limits import processors
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import LIMIT, alive, environment, fastrun, fastrun_process, report_of, unmeasured, wait_for

GOOD = document(exec_("a", "echo x"), eval_("b", "print('y')", "a"))


def test_a_run_prints_lines_and_a_report(tmp_path):
    result = fastrun(write_json(tmp_path, GOOD))
    assert result.returncode == 0
    assert result.stderr == b""
    lines = result.stdout.decode().splitlines()
    assert lines[:-1] == [
        "Started: a",
        "x",
        "Ended : a",
        "Started: b",
        "y",
        "Ended : b",
        "Report:",
        "ok       a",
        "ok       b",
    ]
    assert lines[-1].startswith("2 tasks: 2 ok in ")


def test_a_failure_is_exit_1_and_skips_what_depends_on_it(tmp_path):
    result = fastrun(
        write_json(tmp_path, document(exec_("a", "exit 4"), exec_("b", "true", "a"), exec_("c", "true", "b")))
    )
    assert result.returncode == 1
    assert report_of(result.stdout) == {
        "a": ("failed", "exit status 4"),
        "b": ("skipped", "a failed"),
        "c": ("skipped", "a failed"),
    }


def test_standard_input_is_read_for_a_dash(tmp_path):
    assert fastrun("-", input=json.dumps(GOOD).encode()).returncode == 0
    result = fastrun("-", input=b'{"tasks": [1]}')
    assert (result.returncode, result.stderr) == (2, b"<stdin>:1:12: a task must be an object, not a number\n")


def test_an_error_in_the_input_starts_nothing(tmp_path):
    path = write_json(tmp_path, document(exec_("a", f"touch {tmp_path}/made"), exec_("b", "true", "c")))
    result = fastrun(path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.startswith(os.fsencode(f"{path}:1:"))
    assert not (tmp_path / "made").exists()


def test_an_ignored_key_is_a_warning_on_standard_error(tmp_path):
    result = fastrun(write_json(tmp_path, {**GOOD, "colour": 1}))
    assert result.returncode == 0
    assert b'warning: unknown key "colour" is ignored\n' in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is no fastrun.json here: name a document, fastrun FILE, or '-' for standard input"),
        (["/nowhere.json"], "fastrun: /nowhere.json: No such file or directory"),
        (["/"], "fastrun: /: Is a directory"),
        (["-C", "/nowhere", "x"], "fastrun: -C /nowhere: No such file or directory"),
        (["-j", "0", "x"], "argument -j/--jobs: must be 1 or more, not 0"),
        (["-j", "x", "x"], "argument -j/--jobs: 'x' is neither a whole number nor auto"),
        (["--grace", "nan", "x"], "argument --grace: must be 0 or more, not nan"),
        (["--grace", "soon", "x"], "argument --grace: 'soon' is not a number of seconds"),
        (["--timeout", "5m", "x"], "argument --timeout: '5m' is not a number of seconds"),
        (["--memory", "much", "x"], "argument --memory: 'much' is neither a size (500M, 2G) nor off"),
        (["-k", "-1", "x"], "argument -k/--keep-going: must be 0 or more, not -1"),
        (["--output", "loud", "x"], "invalid choice: 'loud'"),
        (["--unknown", "x"], "unknown option: --unknown"),
    ],
)
def test_bad_usage_is_exit_2_with_one_clear_line(arguments, message):
    result = fastrun(*arguments)
    assert (result.returncode, result.stdout) == (2, b"")
    assert message in result.stderr.decode()
    assert "Traceback" not in result.stderr.decode()


def test_help_version_and_schema_go_to_standard_output():
    text = fastrun("--help")
    assert (text.returncode, text.stderr) == (0, b"")
    assert text.stdout.startswith(b"usage: fastrun [options] [FILE [NAME ...]]\n")
    assert fastrun("--version").stdout.decode().startswith(f"fastrun {__version__} (")
    assert json.loads(fastrun("--schema").stdout)["title"] == "fastrun document"


def test_options_may_stand_behind_the_file(tmp_path):
    assert fastrun(write_json(tmp_path, GOOD), "-j", "1", "--output", "quiet").stdout.startswith(b"Report:\n")


def test_the_console_script_is_the_same_program():
    script = os.path.join(os.path.dirname(sys.executable), "fastrun")
    if not os.path.exists(script):
        pytest.skip("the package is not installed in this environment")
    assert subprocess.run([script, "--version"], capture_output=True, check=True).stdout.startswith(b"fastrun ")


def test_a_dry_run_prints_the_order_and_runs_nothing(tmp_path):
    tasks = document(
        exec_("c", "true", "b"), exec_("a", f"touch {tmp_path}/made"), exec_("b\n", "true"), exec_("b", "true", "a")
    )
    result = fastrun("-n", write_json(tmp_path, tasks))
    assert (result.returncode, result.stdout) == (0, b"a\nb\nc\nb\\n\n")
    assert not (tmp_path / "made").exists()


def test_a_dry_run_that_is_verbose_shows_what_each_task_does(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "make x\n\nmake \x1by\n"), eval_("b", "print(1)", "a")))
    result = fastrun("-n", "-v", path)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.decode().splitlines() == [
        "a",
        "    exec: make x",
        "    exec: ",
        "    exec: make \\x1by",
        "b",
        "    eval: print(1)",
    ]


def test_a_dry_run_tells_what_runs_after_a_failure_alone(tmp_path):
    tasks = document(exec_("a", "true"), exec_("tell", "true", "a", when="failed"), exec_("b", "true", "tell"))
    path = write_json(tmp_path, tasks)
    result = fastrun("-n", path)
    assert (result.stdout, result.stderr) == (b"a\n", b"fastrun: 2 more only if something fails: tell, b\n")
    explained = fastrun("--explain", "a", path).stdout
    assert b"starts as number 1 of 1 when one task runs at a time and none fails" in explained


def test_the_directory_is_changed_before_the_file_is_read(tmp_path):
    write_json(tmp_path, document(exec_("a", "pwd"), eval_("b", "import os; print(os.getcwd())")))
    result = fastrun("-C", tmp_path, "tasks.json")
    assert result.stdout.decode().count(f"{tmp_path}\n") == 2


def test_snippets_run_in_processes_where_an_option_or_a_variable_says_so(tmp_path):
    path = write_json(tmp_path, document(eval_("a", "import os; print(os.getppid())")))
    plain, variable = environment(), environment(FASTRUN_EVAL_WHERE="process")
    for options, env, in_process in (
        ([], plain, False),
        (["--eval-where", "process"], plain, True),
        ([], variable, True),
        (["--eval-where", "thread"], variable, False),
    ):
        with fastrun_process(*options, path, env=env) as process:
            out, _ = process.communicate(timeout=LIMIT)
        assert (out.splitlines()[1] == b"%d" % process.pid) is in_process
    wrong = fastrun(path, env=environment(FASTRUN_EVAL_WHERE="fork"))
    assert wrong.returncode == 2
    assert b"FASTRUN_EVAL_WHERE: must be one of thread, process, not 'fork'" in wrong.stderr


def test_what_an_option_says_of_snippets_changes_no_document(tmp_path):
    path = write_json(tmp_path, document(eval_("a", "pass", cwd="/")))
    result = fastrun("--eval-where", "process", path)
    assert result.returncode == 2
    assert result.stderr.endswith(b'"cwd" is for exec tasks and for snippets with "where": "process"\n')


def test_a_journal_does_not_ask_where_snippets_ran(tmp_path):
    path = write_json(tmp_path, document(eval_("a", "print('ran')")))
    journal = ["--journal", str(tmp_path / "journal")]
    assert b"ran" in fastrun(*journal, path).stdout
    again = fastrun(*journal, "--resume", "--eval-where", "process", path)
    assert (again.returncode, b"ran" in again.stdout) == (0, False)


def test_scripts_are_shown_by_their_paths(tmp_path):
    (tmp_path / "clean.py").write_text("1 / 0")
    path = write_json(tmp_path, document({"name": "a", "type": "eval", "script": "clean.py", "where": "process"}))
    for options in (["--list"], ["-n", "-v"], ["--explain", "a"]):
        assert b"clean.py" in fastrun(*options, path, cwd=tmp_path).stdout
    result = fastrun("-v", "--html", "page.html", path, cwd=tmp_path)
    assert b"fastrun: a: eval: clean.py\n" in result.stderr
    assert b"    eval: clean.py\n" in result.stdout
    assert "clean.py" in (tmp_path / "page.html").read_text()


def test_alone_it_runs_the_document_of_the_directory(tmp_path):
    write_json(tmp_path, GOOD).rename(tmp_path / "fastrun.json")
    for arguments in ([], ["-C", tmp_path], ["-u"]):
        result = fastrun(*arguments, cwd="/" if "-C" in arguments else tmp_path)
        assert (result.returncode, result.stderr) == (0, b"")
        assert report_of(result.stdout).keys() == {"a", "b"}
    assert (tmp_path / ".fastrun" / "fastrun.journal").exists()
    assert fastrun("-n", cwd=tmp_path).stdout == b"a\nb\n"
    assert fastrun("a", cwd=tmp_path).stderr == (
        b"fastrun: a: No such file or directory; a document comes before names of tasks: fastrun fastrun.json a\n"
    )
    # What a task has made, and a pattern that no shell has replaced.
    (tmp_path / "app").write_bytes(b"\x7fELF")
    said = fastrun("app", cwd=tmp_path).stderr
    assert said.endswith(b"; a document comes before names of tasks: fastrun fastrun.json app\n")
    assert fastrun("obj/*.o", cwd=tmp_path).stderr.endswith(b": fastrun fastrun.json 'obj/*.o'\n")
    (tmp_path / "other.json").write_text("{")
    assert b"comes before" not in fastrun("other.json", cwd=tmp_path).stderr


def waiting_for(count: int, tasks: int) -> dict[str, Any]:
    """A document of tasks that each wait until so many have started, and write down when they run."""
    wait = f"echo 1 >> runs; touch $FASTRUN_TASK; until test $(ls [0-9]* | wc -l) -ge {count}; do sleep 0.01; done"
    return document(*(exec_(str(number), f"{wait}; echo -1 >> runs") for number in range(tasks)))


def most_at_once(folder: Path) -> int:
    return max(accumulate(map(int, (folder / "runs").read_text().split())))


@pytest.mark.parametrize(
    ("variable", "option", "most"),
    [({}, [], 2), ({"FASTRUN_JOBS": "3"}, [], 3), ({"FASTRUN_JOBS": "3"}, ["-j4"], 4), ({}, ["-j", "1"], 1)],
)
def test_the_documents_jobs_are_below_the_variable_and_the_option(variable, option, most, tmp_path):
    path = write_json(tmp_path, {"jobs": 2, **waiting_for(most, most + 2)})
    result = fastrun(*option, path, env=environment(**variable), cwd=tmp_path)
    assert result.returncode == 0
    assert most_at_once(tmp_path) == most


@pytest.mark.parametrize(
    ("variable", "option", "failed"),
    [
        ({}, [], 2),
        ({"FASTRUN_KEEP_GOING": "1"}, [], 1),
        ({"FASTRUN_KEEP_GOING": "1"}, ["-k0"], 4),
        ({}, ["-k", "0"], 4),
    ],
)
def test_the_documents_keep_going_is_below_the_variable_and_the_option(variable, option, failed, tmp_path):
    path = write_json(tmp_path, {"keep_going": 2, **document(*(exec_(str(i), "false") for i in range(4)))})
    result = fastrun("-j1", *option, path, env=environment(**variable))
    assert f" {failed} failed" in result.stdout.decode().splitlines()[-1]


@pytest.mark.parametrize(("option", "top"), [(["-j", "auto"], {"jobs": 1}), ([], {"jobs": "auto"})])
def test_jobs_may_be_the_number_of_processors(option, top, tmp_path):
    path = write_json(tmp_path, {**top, **waiting_for(processors(), processors() + 1)})
    assert fastrun(*option, path, cwd=tmp_path).returncode == 0
    assert most_at_once(tmp_path) == processors()


def test_keep_going_stops_after_so_many_failures(tmp_path):
    result = fastrun("-k1", "-j1", write_json(tmp_path, document(*(exec_(str(i), "false") for i in range(3)))))
    assert result.returncode == 1
    assert [status for status, _ in report_of(result.stdout).values()] == ["failed", "skipped", "skipped"]


def test_an_empty_list_is_a_run_that_is_ok(tmp_path):
    result = fastrun(write_json(tmp_path, document()))
    assert (result.returncode, result.stdout[:25]) == (0, b"Report:\n0 tasks: 0 ok in ")


def lines_until(process: subprocess.Popen[bytes], wanted: int) -> list[str]:
    """Read whole lines of a running fastrun."""
    assert process.stdout is not None
    return [process.stdout.readline().decode().rstrip("\n") for _ in range(wanted)]


# With so little grace nobody is told that it is waited for, however long the end of a run takes.
UNTOLD = ("--grace", "1")

# Prints its process id, then waits for ever in a child.
WAITING = "echo $$; sleep 1000; true"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_a_signal_ends_the_tasks_and_the_report_is_printed(tmp_path, number, code):
    path = write_json(tmp_path, document(exec_("a", WAITING), exec_("b", "true", "a")))
    with fastrun_process(*UNTOLD, path) as process:
        _, pid = lines_until(process, 2)
        process.send_signal(number)
        out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, err) == (code, b"")
    assert report_of(out) == {"a": ("interrupted", "")}
    assert b"2 interrupted (1 not started)" in out
    assert not alive(int(pid))


def test_a_stopped_task_is_ended_too(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "echo $$; kill -STOP $$")))
    with fastrun_process(path) as process:
        _, pid = lines_until(process, 2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert not alive(int(pid))


def test_a_task_may_clean_up_in_the_grace_period(tmp_path):
    # dash runs the trap only once the child in the foreground has ended.
    command = "trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
    path = write_json(tmp_path, document(exec_("a", command)))
    with fastrun_process("--grace", "1000", path) as process:
        lines_until(process, 2)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=LIMIT)
    assert out.decode().splitlines()[:2] == ["cleaned", "Ended : a"]
    assert report_of(out) == {"a": ("interrupted", "")}


STUBBORN = "trap '' TERM; echo $$; while :; do sleep 1000; done"


def test_a_task_that_ignores_sigterm_is_killed_after_the_grace_period(tmp_path):
    with fastrun_process("--grace", "0.1", write_json(tmp_path, document(exec_("a", STUBBORN)))) as process:
        _, pid = lines_until(process, 2)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=LIMIT)
    assert process.returncode == 143
    assert not alive(int(pid))


def test_a_second_sigint_kills_at_once(tmp_path):
    # "wait", since a shell runs its traps only when the command in the foreground has ended.
    command = "trap 'echo told' TERM; echo $$; while :; do sleep 1000 & wait; done"
    with fastrun_process("--grace", "1000", write_json(tmp_path, document(exec_("a", command)))) as process:
        _, pid = lines_until(process, 2)
        process.send_signal(signal.SIGINT)
        assert lines_until(process, 1) == ["told"]
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert report_of(out) == {"a": ("interrupted", "")}
    assert not alive(int(pid))


def test_first_interrupt_says_what_the_run_waits_for_and_how_to_end_it(tmp_path):
    command = "trap '' TERM; echo; while :; do sleep 1000 & wait; done"
    tasks = document(exec_("a", command), exec_("b", command), exec_("c", "true", "a"))
    with fastrun_process("--grace", "1000", write_json(tmp_path, tasks)) as process:
        lines_until(process, 4)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert said == (
        b"fastrun: warning: waiting at most 999 s more for 2 tasks to end; Ctrl-C (SIGINT) kills them now\n"
    )


def test_a_child_that_outlives_its_shell_has_the_grace_period_too(tmp_path):
    # The shell dies of TERM at once; the child, whose output goes elsewhere, cleans up after it.
    child = "trap 'echo cleaned > cleaned; exit' TERM; echo > ready; while :; do sleep 0.01; done"
    shell = "while [ ! -e ready ]; do sleep 0.01; done; echo ready; wait"
    command = f'sh -c "{child}" > log 2>&1 & {shell}'
    path = write_json(tmp_path, document(exec_("a", command, cwd=str(tmp_path))))
    with fastrun_process("--grace", "1000", path) as process:
        lines_until(process, 2)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=LIMIT)
    assert (tmp_path / "cleaned").read_text() == "cleaned\n"


def test_a_snippet_that_never_ends_does_not_keep_the_run(tmp_path):
    thread = "threading.Thread(target=threading.Event().wait, daemon=True).start()"
    source = f"import threading\n{thread}\nprint('ready')\nwhile True: pass"
    path = write_json(tmp_path, document(eval_("a", source)))
    with fastrun_process("--grace", "0.1", path, env=unmeasured()) as process:
        lines_until(process, 2)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert report_of(out) == {"a": ("interrupted", "")}


def test_an_ignored_signal_stays_ignored(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "kill -HUP $PPID; true")))
    result = fastrun(path, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert result.returncode == 0


def test_an_ignored_sigchld_does_not_lose_statuses(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "exit 7")))
    result = fastrun(path, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert report_of(result.stdout) == {"a": ("failed", "exit status 7")}


def test_a_full_standard_output_is_exit_3_and_the_tasks_go_on(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "echo x"), exec_("b", f"touch {tmp_path}/made", "a")))
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [sys.executable, "-m", "fastrun", path], stdout=full, stderr=subprocess.PIPE, env=environment(), check=False
        )
    assert result.returncode == 3
    assert result.stderr == (
        b"fastrun: cannot write to standard output: No space left on device; the tasks go on without it\n"
    )
    assert (tmp_path / "made").exists()


def test_a_closed_pipe_is_exit_3_and_the_tasks_go_on(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "echo x"), exec_("b", f"touch {tmp_path}/made", "a")))
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "wb") as pipe:
        result = subprocess.run(
            [sys.executable, "-m", "fastrun", path], stdout=pipe, stderr=subprocess.PIPE, env=environment(), check=False
        )
    assert result.returncode == 3
    assert result.stderr.count(b"\n") == 1
    assert b"Broken pipe" in result.stderr
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("option", ["--schema", "-n", "--help", "--version"])
def test_a_full_disk_is_exit_3_for_what_is_printed_without_a_run(tmp_path, option):
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [sys.executable, "-m", "fastrun", option, write_json(tmp_path, GOOD)],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
        )
    assert result.returncode == 3
    assert result.stderr == b"fastrun: cannot write to standard output: No space left on device\n"


def with_redirections(redirections: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    """Run fastrun from a shell that closes or redirects its descriptors."""
    command = shlex.join([sys.executable, "-m", "fastrun", *map(str, arguments)])
    return subprocess.run(
        ["/bin/sh", "-c", f"{command} {redirections}"],
        capture_output=True,
        env=environment(),
        timeout=LIMIT,
        check=False,
    )


CLOSED = b"fastrun: cannot write to standard output: Bad file descriptor"


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_standard_descriptors_do_not_become_pipes(tmp_path, closed):
    made = tmp_path / "made"
    path = write_json(tmp_path, document(exec_("a", f"echo x; echo y >&2; touch {made}"), eval_("b", "print(1)", "a")))
    result = with_redirections(" ".join(f"{number}>&-" for number in closed), path)
    assert result.returncode == (0 if closed == (0,) else 3)
    assert made.exists()
    assert (result.stdout == b"") == (1 in closed)
    said = [b"y"] + [CLOSED + b"; the tasks go on without it"] * (1 in closed)
    assert sorted(result.stderr.splitlines(), reverse=True) == ([] if 2 in closed else said)


@pytest.mark.parametrize("option", ["--help", "--version", "--schema", "--list", "-n", "--print-completion=bash"])
def test_a_closed_standard_output_is_exit_3_for_what_is_printed_without_a_run(tmp_path, option):
    result = with_redirections(">&-", option, write_json(tmp_path, GOOD))
    assert (result.returncode, result.stdout, result.stderr) == (3, b"", CLOSED + b"\n")


def test_events_for_a_closed_standard_output_are_exit_3(tmp_path):
    result = with_redirections(">&-", "--json", "-", write_json(tmp_path, GOOD))
    assert (result.returncode, result.stdout) == (3, b"")
    assert CLOSED + b"\n" in result.stderr
    assert report_of(result.stderr.partition(CLOSED)[0]) == {"a": ("ok", ""), "b": ("ok", "")}


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_a_lost_standard_error_is_exit_3_only_if_something_was_to_be_written_there(tmp_path, redirection):
    path = write_json(tmp_path, GOOD)
    assert with_redirections(redirection, path).returncode == 0
    assert with_redirections(redirection, "-n", path).returncode == 0
    for options in (["-v"], ["--shuffle"], ["-n", "--shuffle"]):
        assert with_redirections(redirection, *options, path).returncode == 3
    assert with_redirections(redirection, "--unknown", path).returncode == 2


# Leaves a thread that ends with the process.
LEAVING = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"


# A library that writes at the end of the process into a buffer, of which the disk then takes nothing.
LIBRARY = """\
import atexit, os, sys

@atexit.register
def say_goodbye():
    sys.{name}.write("bye")
    os.dup2(os.open("/dev/full", os.O_WRONLY), {number})
"""


@pytest.mark.parametrize(
    ("name", "number", "said"),
    [
        ("stdout", 1, b"fastrun: cannot write to standard output: No space left on device\n"),
        ("stderr", 2, b""),
    ],
)
def test_text_that_cannot_be_written_at_the_end_is_exit_3_where_a_thread_is_left(tmp_path, name, number, said):
    (tmp_path / "library.py").write_text(LIBRARY.format(name=name, number=number))
    snippet = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport library\n{LEAVING}"
    env = environment()
    # With it Python holds nothing back.
    env.pop("PYTHONUNBUFFERED", None)
    result = fastrun(write_json(tmp_path, document(eval_("a", snippet))), env=env)
    assert report_of(result.stdout) == {"a": ("ok", "")}
    assert (result.returncode, result.stderr) == (3, said)


def test_a_lost_warning_is_exit_3_where_a_thread_is_left_too(tmp_path):
    path = write_json(tmp_path, {**document(eval_("a", LEAVING)), "colour": 1})
    assert with_redirections("", path).returncode == 0
    assert with_redirections("2>/dev/full", path).returncode == 3


def test_more_tasks_than_descriptors_all_run(tmp_path):
    path = write_json(tmp_path, document(*(exec_(str(i), f"echo {i}") for i in range(200))))
    result = fastrun(path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
    assert result.returncode == 0
    assert set(map(str, range(200))) <= set(result.stdout.decode().splitlines())


def test_a_command_that_stops_a_terminal_reader_gets_end_of_file(tmp_path):
    result = fastrun(write_json(tmp_path, document(exec_("a", "cat; echo done"))), stdin=subprocess.DEVNULL)
    assert b"\ndone\n" in result.stdout


def test_order_does_not_depend_on_the_hash_seed(tmp_path):
    tasks = [exec_(f"t{i}", "true", *(f"t{j}" for j in range(i) if (i * 7 + j) % 5 == 0)) for i in range(30)]
    path = write_json(tmp_path, document(*tasks))
    runs = [fastrun("-j1", path, env=environment(PYTHONHASHSEED=seed)).stdout.rpartition(b" in ")[0] for seed in "12"]
    orders = [fastrun("-n", path, env=environment(PYTHONHASHSEED=seed)).stdout for seed in "12"]
    assert runs[0] == runs[1] != b""
    assert orders[0] == orders[1] != b""


def test_an_interrupt_before_anything_runs_is_exit_130(tmp_path):
    path = tmp_path / "tasks.json"
    os.mkfifo(path)
    ends: list[int] = []

    def is_read() -> bool:
        with suppress(OSError):
            ends.append(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        return bool(ends)

    with fastrun_process(path) as process:
        wait_for(is_read)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=LIMIT) == (b"", b"")
    os.close(ends[0])
    assert process.returncode == 130


def test_interrupt_ends_and_names_processes_that_left_their_session(tmp_path):
    daemon = "setsid sh -c '> left; exec sleep 1000' & echo $!"
    command = f"{daemon}; while [ ! -e left ]; do sleep 0.01; done; echo ready; sleep 1000"
    path = write_json(tmp_path, document(exec_("a", command, cwd=str(tmp_path))))
    with fastrun_process(*UNTOLD, path) as process:
        _, pid, _ = lines_until(process, 3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LIMIT)
    assert errors == b"fastrun: warning: a: left a process behind; it is ended\n"
    assert not alive(int(pid))
    assert process.returncode == 130


@pytest.mark.parametrize("guarded", [True, False])
def test_commands_of_a_fastrun_that_was_killed_are_ended_unless_there_is_no_guardian(tmp_path, guarded):
    options = [] if guarded else ["--no-guardian"]
    path = write_json(tmp_path, document(exec_("a", "echo $$; exec sleep 1000")))
    with fastrun_process(*options, path) as process:
        _, pid = lines_until(process, 2)
        process.kill()
        # To the end of the guardian, who has standard error as well.
        assert process.stderr is not None
        try:
            if guarded:
                assert process.stderr.read() == (
                    b"fastrun: fastrun died; ended 1 process of its tasks\nfastrun: commands that ran then: a\n"
                )
                wait_for(lambda: not alive(int(pid)))
            else:
                assert process.stderr.read() == b""
                assert alive(int(pid))
        finally:
            if not guarded:
                os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize(("source", "code"), [("import os; os._exit(7)", 7), ("import os; os.abort()", -6)])
def test_a_snippet_that_ends_the_process_is_named(tmp_path, source, code):
    result = fastrun(write_json(tmp_path, document(eval_("bad\n", source))))
    assert result.returncode == code
    assert result.stderr.endswith(b"fastrun: snippets that ran then: bad\\n\n")


def test_a_timeout_for_all_tasks_and_one_that_makes_no_sense(tmp_path):
    tasks = document(exec_("a", "sleep 1000"), exec_("b", "sleep 0.3", timeout=60))
    result = fastrun("--timeout", "0.1", write_json(tmp_path, tasks))
    assert report_of(result.stdout) == {"a": ("failed", "timed out after 0.1 s"), "b": ("ok", "")}
    for value in ("0", "-1", "soon"):
        assert fastrun("--timeout", value, "x.json").returncode == 2


def test_a_detached_process_outlives_the_run(tmp_path):
    result = fastrun(write_json(tmp_path, document(exec_("a", "sleep 1000 >&- 2>&- & echo $!", detach=True))))
    pid = int(result.stdout.splitlines()[1])
    try:
        assert alive(pid)
        assert result.stderr == b""
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "refused",
    [
        ["--journal", "none/journal"],
        ["--journal", "old"],
        ["--html", "none/page"],
        ["--eval-threads", "0"],
        ["--cluster", "tcp://127.0.0.1:1"],
    ],
    ids=["no such folder", "holds a run", "no such folder for a page", "a limit of 0", "no such cluster"],
)
def test_a_run_that_is_refused_changes_no_file(tmp_path, refused):
    path = write_json(tmp_path, document(exec_("a", "true")))
    assert fastrun("--journal", tmp_path / "old", path).returncode == 0
    files = [option for name in ("json", "trace", "junit") for option in (f"--{name}", f"{name}.gz")]
    (tmp_path / "json.gz").write_text("of another run")
    (tmp_path / "trace.gz").write_text("of another run")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    result = fastrun(*files, *refused, path, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert fastrun(*files, path, cwd=tmp_path).returncode == 0
    assert all(b"another" not in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize("options", [[], ["--json", "events"], ["--journal", "journal"], ["--html", "/dev/null"]])
def test_a_folder_that_was_removed_is_no_reason_to_fall(tmp_path, options):
    path = write_json(tmp_path, document(exec_("a", "echo fine")))
    folder = tmp_path / "folder"
    folder.mkdir()

    def enter() -> None:
        os.chdir(folder)
        folder.rmdir()

    more = environment(GITHUB_ACTIONS="true")
    missing = fastrun(*options, "tasks.json", preexec_fn=enter, env=more)
    assert (missing.returncode, missing.stdout) == (2, b"")
    folder.mkdir()
    result = fastrun(*options, path, preexec_fn=enter, env=more)
    assert b"Traceback" not in missing.stderr + result.stderr
    if options and options[1] != "/dev/null":
        assert (result.returncode, result.stdout) == (2, b"")
        assert f"fastrun: {options[1]}: No such file or directory".encode() in result.stderr
    else:
        assert (result.returncode, report_of(result.stdout)) == (0, {"a": ("ok", "")})
