"""What a command is started with: its session, streams, environment, directory and shell."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

from fastrun.outcome import exit_outcome
from tests.support.documents import eval_, exec_
from tests.support.processes import LIMIT
from tests.support.runs import Ran


@pytest.mark.usefixtures("memory_kept")
def test_a_command_killed_by_a_signal_has_failed(engine):
    assert Ran(exec_("a", "kill -KILL $$"), engine=engine).status("a") == ("failed", "killed by SIGKILL")


# What a command of plain words shows of the shell around it.
PROGRAMS = {
    "leads": "print(os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid())",
    "environment": "print(*sorted(key for key in os.environ if not key.startswith('FASTRUN_')))",
    "dies": "os.kill(os.getpid(), 9)",
    "fails": "os._exit(3)",
}


@pytest.mark.usefixtures("memory_kept")
@pytest.mark.parametrize("program", [*PROGRAMS, "missing"])
def test_a_program_alone_runs_as_the_systems_shell_runs_it(engine, program, tmp_path):
    # Some shells replace themselves with it, others stay its parent, lead the session and tell of its death.
    path = tmp_path / program
    if program in PROGRAMS:
        path.write_text(f"#!{sys.executable}\nimport os\n{PROGRAMS[program]}\n")
        path.chmod(0o755)
    told = {"FASTRUN_RUN_ID": "", "FASTRUN_ATTEMPT": "", "FASTRUN_TASK": ""}
    expected = subprocess.run(
        ["/bin/sh", "-c", str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **told},
        start_new_session=True,
        timeout=LIMIT,
        check=False,
    )
    ran = Ran(exec_("a", str(path)), engine=engine)
    outcome = exit_outcome(expected.returncode)
    assert ran.status("a") == (outcome.status.label, outcome.reason)
    assert (ran.recorder.out("a"), ran.recorder.err("a")) == (expected.stdout, expected.stderr)


def test_every_command_has_a_session_of_its_own_and_no_input(engine):
    ran = Ran(exec_("a", "ps -o sid= -p $$; echo $$; wc -c; test -t 0 || echo none"), engine=engine)
    session, pid, count, terminal = ran.recorder.out("a").split()
    assert session == pid
    assert int(pid) != os.getpid()
    assert (count, terminal) == ("0", "none")


def test_sigpipe_is_at_its_default(engine):
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
    ran = Ran(exec_("a", "yes | head -n 1"), engine=engine)
    assert ran.status("a")[0] == "ok"
    assert (ran.recorder.out("a"), ran.recorder.err("a")) == ("y\n", "")


def test_standard_output_is_a_pipe_that_can_be_opened_again(engine):
    assert Ran(exec_("a", "echo again > /dev/stdout"), engine=engine).recorder.out("a") == "again\n"


def test_cwd_env_and_what_a_task_is_told(engine, tmp_path):
    (tmp_path / "sub").mkdir()
    command = 'pwd; printf "%s %s %s\\n" "$K" "$FASTRUN_TASK" "$FASTRUN_ATTEMPT"; test -n "$FASTRUN_RUN_ID"'
    ran = Ran(exec_("näme\n", command, cwd=str(tmp_path / "sub"), env={"K": "vä"}), engine=engine)
    assert ran.status("näme\n")[0] == "ok"
    assert ran.recorder.out("näme\n") == f"{tmp_path}/sub\nvä näme\n 1\n"


def test_a_missing_cwd_fails_the_task_and_names_the_cause(engine):
    ran = Ran(exec_("a", "true", cwd="/nowhere/at all"), exec_("b", "true"), engine=engine)
    assert ran.status("a") == ("failed", "cannot start: No such file or directory: /nowhere/at all")
    assert ran.status("b")[0] == "ok"


def test_an_environment_over_the_systems_limit_fails_the_task_and_names_the_cause(engine):
    ran = Ran(exec_("a", "true", env={"K": "x" * (1 << 18)}), engine=engine)
    assert ran.status("a")[1].startswith("cannot start: Argument list too long")


def test_a_list_runs_without_a_shell_word_by_word(engine):
    words = ["printf", "<%s>", "a b", "$HOME", "*", "", "'", "n\nl", "ä"]
    ran = Ran(exec_("a", words), exec_("b", ["/bin/sh", "-c", "exit 4"]), engine=engine)
    assert ran.recorder.out("a") == "<a b><$HOME><*><><'><n\nl><ä>"
    assert ran.status("b") == ("failed", "exit status 4")


def test_a_program_of_a_list_has_all_that_a_command_has(engine, tmp_path):
    source = (
        "import os, sys; print(os.getsid(0) == os.getpid(), os.getcwd(), os.environ['K'], os.environ['FASTRUN_TASK'],"
        " repr(sys.stdin.read()))"
    )
    ran = Ran(exec_("a", [sys.executable, "-c", source], cwd=str(tmp_path), env={"K": "v"}), engine=engine)
    assert ran.recorder.out("a") == f"True {tmp_path} v a ''\n"


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_another_shell_runs_the_command_that_names_it(engine):
    show = "echo $0 ${BASH_VERSION:+bash}"
    ran = Ran(
        exec_("plain", show),
        exec_("word", show, shell="bash"),
        exec_("system's", show, shell="sh"),
        exec_("strict", "false | true; echo never", shell=["bash", "-euo", "pipefail", "-c"]),
        exec_("lax", "false | true", shell=["bash", "-c"]),
        exec_("no shell", "print(6 * 7)", shell=[sys.executable, "-c"]),
        engine=engine,
    )
    assert [ran.recorder.out(name) for name in ("plain", "word", "system's", "no shell")] == [
        "/bin/sh\n",
        "bash bash\n",
        "/bin/sh\n",
        "42\n",
    ]
    assert ran.status("strict") == ("failed", "exit status 1")
    assert ran.recorder.out("strict") == ""
    assert ran.status("lax") == ("ok", "")


def test_a_shell_that_is_not_there_fails_its_task_alone_and_is_named(engine, tmp_path):
    ran = Ran(
        exec_("a", "true", shell=["no-such-shell", "-c"]),
        exec_("b", "true", shell="bash", env={"PATH": str(tmp_path)}),
        exec_("c", "true"),
        engine=engine,
    )
    missing = "cannot start: No such file or directory: "
    assert ran.status("a") == ("failed", f"{missing}no-such-shell")
    assert ran.status("b") == ("failed", f"{missing}bash")
    assert ran.status("c") == ("ok", "")


def test_a_command_too_long_for_an_argument_runs_in_its_own_shell(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    command = "set -o pipefail; echo $0; false | true\n# " + "x" * (1 << 17)
    ran = Ran(
        exec_("a", command + "\nfalse | true", shell="bash"),
        exec_("b", command, shell=[sys.executable, "-c"]),
        engine=engine,
    )
    assert ran.status("a") == ("failed", "exit status 1")
    assert ran.recorder.out("a") == "bash\n"
    assert ran.status("b")[1].startswith("cannot start: Argument list too long")
    assert not os.listdir(tmp_path)


def test_a_program_is_looked_up_in_the_path_of_its_own_command(engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("one", "two", "two/sub"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "tool").write_text(f"#!/bin/sh\necho {folder} $(basename $0)\n")
        (tmp_path / folder / "tool").chmod(0o755)
    system = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{tmp_path}/one:{system}")
    ran = Ran(
        exec_("run", ["tool"]),
        exec_("task", ["tool"], env={"PATH": f"{tmp_path}/two:{system}"}),
        exec_("relative entry", ["tool"], env={"PATH": f"sub:{system}"}, cwd="two"),
        exec_("empty entry", ["tool"], env={"PATH": f":{system}"}, cwd="two"),
        exec_("slash", ["./tool"], cwd="two"),
        exec_("slash, no cwd", ["one/tool"]),
        engine=engine,
    )
    assert [ran.recorder.out(task.name).split()[0] for task in ran.report] == [
        "one",
        "two",
        "two/sub",
        "two",
        "two",
        "one",
    ]


def test_a_program_that_is_not_there_fails_the_task_and_is_named(engine, tmp_path):
    (tmp_path / "plain").write_text("true")
    ran = Ran(
        exec_("a", ["no-such", "x"]),
        exec_("b", ["./no-such"]),
        exec_("c", ["no-such"], cwd=str(tmp_path), env={"PATH": ""}),
        exec_("d", ["./no-such"], cwd=str(tmp_path)),
        exec_("e", ["plain"], env={"PATH": str(tmp_path)}),
        exec_("f", ["true"], cwd="/nowhere"),
        exec_("g", ["true"]),
        engine=engine,
    )
    missing = "cannot start: No such file or directory: "
    assert [ran.status(name) for name in "abcdefg"] == [
        ("failed", f"{missing}no-such"),
        ("failed", f"{missing}./no-such"),
        ("failed", f"{missing}no-such"),
        ("failed", f"{missing}./no-such"),
        ("failed", "cannot start: Permission denied: plain"),
        ("failed", f"{missing}/nowhere"),
        ("ok", ""),
    ]


def test_a_program_that_a_task_installs_is_found_by_those_behind_it(engine, tmp_path):
    (tmp_path / "bin").mkdir()
    path = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    install = f"printf '#!/bin/sh\\necho mine\\n' > {tmp_path}/bin/uname; chmod +x {tmp_path}/bin/uname"
    ran = Ran(
        exec_("before", ["uname"], env=path),
        exec_("install", install, "before"),
        exec_("after", ["uname"], "install", env=path),
        engine=engine,
    )
    assert ran.recorder.out("before") != "mine\n"
    assert ran.recorder.out("after") == "mine\n"


@pytest.mark.parametrize("size", [(1 << 17) - 1, 1 << 17, 1 << 22])
def test_a_long_command_runs_as_a_short_one_does(engine, size, tmp_path, monkeypatch):
    # A quotation mark in the folder's name must not end the shell's.
    folder = tmp_path / "it's"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    command = 'echo "$0" "$#"; wc -c; exit 3\n# '
    ran = Ran(exec_("a", command + "x" * (size - len(command))), engine=engine)
    assert ran.status("a") == ("failed", "exit status 3")
    assert ran.recorder.out("a").split() == ["/bin/sh", "0", "0"]
    assert not os.listdir(folder)


def test_snippets_do_not_move_commands_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    snippet = "import os; os.chdir('other'); os.environ['MOVED'] = 'yes'; os.umask(0o777)"
    before = os.umask(0o022)
    try:
        ran = Ran(eval_("a", snippet), exec_("b", 'pwd; umask; echo "moved:$MOVED"', "a"))
    finally:
        os.umask(before)
        os.environ.pop("MOVED", None)
    assert ran.recorder.out("b") == f"{tmp_path}\n0022\nmoved:\n"


def test_a_directory_that_was_removed_can_still_be_worked_in(engine, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert Ran(exec_("a", "echo x"), engine=engine).recorder.out("a") == "x\n"
    monkeypatch.chdir(tmp_path)


LONG = "true\n# " + "x" * (1 << 17)


def test_a_long_command_that_cannot_start_leaves_no_file(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ran = Ran(exec_("a", LONG, cwd="/nowhere"), engine=engine)
    assert ran.status("a") == ("failed", "cannot start: No such file or directory: /nowhere")
    assert not os.listdir(tmp_path)


def test_a_long_command_without_room_for_its_file_fails_and_names_the_cause(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        ran = Ran(exec_("a", LONG), engine=engine)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ran.status("a") == ("failed", "cannot start: File too large")
    assert not os.listdir(tmp_path)
