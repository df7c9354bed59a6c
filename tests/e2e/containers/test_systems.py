"""Systems that lack what most have: each run goes a way round, or ends with one line that says what is missing."""

from __future__ import annotations

import json

import pytest

from tests.support.containers import (
    ENGINES,
    NAMELESS,
    fastrun_isolated,
    needs_namespaces,
    python_for_others,
)
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import environment, report_of

# What they cover could not be written on a read-only system.
pytestmark = [needs_namespaces, pytest.mark.usefixtures("unmeasured_processes")]

TASKS = document(
    exec_("command", "echo out; echo err >&2; read line || echo nothing to read"),
    exec_("words", ["/bin/sh", "-c", "exit 3"], allow_failure=True),
    exec_("chained", "true", "command"),
    exec_("leaves", "sleep 1000 & true"),
    eval_("snippet", "print(sum(range(10)))"),
    eval_("child", "import subprocess; assert subprocess.run(['sh', '-c', 'exit 7']).returncode == 7"),
    eval_("copy", "import os\nif not (pid := os.fork()): os._exit(5)\nassert os.waitpid(pid, 0)[1] == 5 << 8"),
    eval_(
        "multi", "import multiprocessing as m\np = m.Process(target=print); p.start(); p.join(); assert not p.exitcode"
    ),
    eval_("process", "print('by itself')", where="process"),
)

OK = {**{task["name"]: ("ok", "") for task in TASKS["tasks"]}, "words": ("failed", "exit status 3 (allowed)")}

MODES = {
    "plain": [],
    "group": ["--output", "group", "-v"],
    "files": ["--json", "-", "--status", "always"],
    "jobserver": ["--jobserver", "-j", "4"],
    "processes": ["--eval-where", "process", "--timeout", "100"],
}

# A file system in memory takes the place of a folder.
WITHOUT_PROC = "mount -t tmpfs none /proc"
WITHOUT_DEV = "mount -t tmpfs none /dev"
NULL_ONLY = """
mount -t tmpfs none /mnt || exit 99
touch /mnt/null; mount --bind /dev/null /mnt/null
mount --rbind /mnt /dev
"""
READ_ONLY = "mount -o remount,ro,bind /"
NOTHING_WRITABLE = f"{READ_ONLY}; mount -t tmpfs -o ro none /dev/shm"
DOCUMENT_IN_READ_ONLY = """
mount -t tmpfs none /mnt || exit 99
echo '{"tasks": []}' > /mnt/tasks.json; mount -o remount,ro /mnt
"""
HIDDEN = "mount -t proc -o hidepid=2 proc /proc"

SYSTEMS = {
    "no-proc": WITHOUT_PROC,
    "machines-proc": "umount /proc",
    "null-only": NULL_ONLY,
    "read-only": READ_ONLY,
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("system", SYSTEMS)
def test_run_goes_a_way_round(system, mode, engine):
    check(mode, fastrun_isolated(*MODES[mode], "-", setup=SYSTEMS[system], **given(engine)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", MODES)
def test_user_without_a_name_a_home_and_a_terminal_type_among_hidden_processes(mode, engine):
    python = python_for_others()
    if python is None:
        pytest.skip("no Python here that another user may run")
    more = given(engine)
    for name in ("HOME", "TERM", "USER", "LOGNAME"):
        more["env"].pop(name, None)
    check(mode, fastrun_isolated(*MODES[mode], "-", setup=HIDDEN, prefix=NAMELESS, python=python, cwd="/", **more))


def test_what_a_snippet_leaves_in_a_group_of_outside_the_container_is_ended(tmp_path):
    # fastrun is not process 1, and its session and group are those of the process that made the namespaces: 0.
    setup = f'"$@"; code=$?; grep -q sleep "/proc/$(cat {tmp_path}/pid)/cmdline" && echo lives; exit $code'
    leave = "os.posix_spawn('/bin/sleep', ['sleep', '1000'], os.environ)"
    source = f"import os\nopen('{tmp_path}/pid', 'w').write(str({leave}))\nprint(os.getpgrp())"
    result = fastrun_isolated(write_json(tmp_path, document(eval_("a", source))), setup=setup)
    assert b"\n0\n" in result.stdout
    assert (result.returncode, b"lives" in result.stdout) == (0, False)
    assert result.stderr.startswith(b"fastrun: warning: a: left a process behind; it is ended\n")


@pytest.mark.parametrize("engine", ENGINES)
def test_with_no_folder_that_can_be_written_only_what_needs_one_fails(engine):
    result = fastrun_isolated("-", setup=NOTHING_WRITABLE, **given(engine))
    found = report_of(result.stdout)
    status, reason = found.pop("process")
    assert (status, reason.partition(" in [")[0]) == ("failed", "cannot start: No usable temporary directory found")
    assert found == {name: how for name, how in OK.items() if name != "process"}
    assert b"Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "setup", "said"),
    [
        (["-"], WITHOUT_DEV, "cannot start: No such file or directory: /dev/null"),
        (["--journal", "/fastrun-journal", "-"], READ_ONLY, "/fastrun-journal: Read-only file system"),
        (["-C", "/mnt", "-u", "tasks.json"], DOCUMENT_IN_READ_ONLY, ".fastrun: Read-only file system"),
        (["--html", "/fastrun.html", "-"], READ_ONLY, "/fastrun.html: Read-only file system"),
        (["--logs", "/fastrun-logs", "-"], READ_ONLY, "/fastrun-logs: Read-only file system"),
        (["--jobserver", "-"], NOTHING_WRITABLE, "cannot make a jobserver: No usable temporary directory found in "),
    ],
)
def test_what_cannot_be_had_is_one_line(arguments, setup, said):
    result = fastrun_isolated(*arguments, setup=setup, **given("python"))
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode().startswith(f"fastrun: {said}")
    assert result.stderr.count(b"\n") == 1


def given(engine):
    return {"env": environment(FASTRUN_ENGINE=engine), "input": json.dumps(TASKS).encode()}


def check(mode, result) -> None:
    printed = result.stderr if mode == "files" else result.stdout
    assert result.returncode == 0, result.stderr
    assert b"Traceback" not in result.stderr
    assert b"nothing to read" in printed
    if mode == "group":
        # Behind the report's tasks stand the times.
        assert b" tasks: 8 ok, 1 failed (1 allowed) in " in printed
    elif mode != "files":
        assert report_of(printed) == OK
