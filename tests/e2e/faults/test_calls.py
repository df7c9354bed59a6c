"""The Nth spawn, write, read or look of a small run fails, for every N: it ends, and what it says is true.

With the Python engine those are calls of Python. With the native one they are calls of C, in a build for that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastrun.executors.guardian.marks import marked_processes
from fastrun.journal.recorded import read_journal
from fastrun.journal.records import JournalError
from tests.support import engines
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import environment, report_of

# Each leaves a file behind once it has done its work.
TASKS = document(
    exec_("a", "echo a; echo b >&2; touch a"),
    eval_("b", "print('b'); open('b', 'w')", "a"),
    exec_("c", "echo c; touch c", "b"),
    # It leaves a process that keeps its output open, so pipes are watched however fast the others end.
    exec_("d", "{ sleep 60; echo d; } & touch d", "a"),
    exec_("e", "exit 3", "a"),
)

# Way beyond the number of calls of any kind.
MOST = 200

KINDS = [
    ("posix_spawn", "EAGAIN"),
    ("posix_spawn", "ENOMEM"),
    ("posix_spawn", "ENOEXEC"),
    ("pipe", "EMFILE"),
    ("pidfd_open", "EMFILE"),
    ("pidfd_open", "ENOSYS"),
    ("read", "EIO"),
    ("write", "ENOSPC"),
    ("write", "EIO"),
    ("epoll.register", "ENOSPC"),
    ("epoll.poll", "EIO"),
    ("memfd_create", "ENOSYS"),
    ("fdatasync", "EIO"),
    ("thread", "ENOMEM"),
]


# Of the native engine.
CALLS = [
    ("pipe2", "EMFILE"),
    ("vfork", "EAGAIN"),
    ("vfork", "ENOMEM"),
    ("dup2", "EBADF"),
    ("execve", "ENOEXEC"),
    ("pidfd_open", "EMFILE"),
    ("pidfd_open", "ENOSYS"),
    ("waitid", "ECHILD"),
    ("waitid", "EBADF"),
    ("read", "EIO"),
    ("read", "EBADF"),
    ("write", "EBADF"),
    ("fcntl", "EMFILE"),
    ("epoll_create1", "EMFILE"),
    ("epoll_ctl", "ENOSPC"),
    ("epoll_wait", "EBADF"),
    ("eventfd", "EMFILE"),
    ("mmap", "ENOMEM"),
    ("malloc", "ENOMEM"),
    ("realloc", "ENOMEM"),
    ("pthread_create", "EAGAIN"),
    ("Py_BuildValue", "ENOMEM"),
    ("PyList_Append", "ENOMEM"),
]


@pytest.fixture(scope="session")
def faulty_build(tmp_path_factory):
    return engines.build_with_faults(tmp_path_factory.mktemp("engine"))


@pytest.mark.skipif(engines.COMPILER is None, reason="calls of C fail in a build of its own: no gcc")
@pytest.mark.parametrize(("kind", "name"), CALLS, ids=[f"{kind}-{name}" for kind, name in CALLS])
def test_whichever_call_of_the_native_engine_fails_the_run_ends_and_tells_the_truth(tmp_path, faulty_build, kind, name):
    try_all(tmp_path, kind, name, FASTRUN_ENGINE="native", FASTRUN_TEST_ENGINE=str(faulty_build))


@pytest.mark.parametrize(("kind", "name"), KINDS, ids=[f"{kind}-{name}" for kind, name in KINDS])
def test_whichever_call_fails_the_run_ends_and_tells_the_truth(tmp_path, kind, name):
    try_all(tmp_path, kind, name, FASTRUN_ENGINE="python")


def try_all(tmp_path: Path, kind: str, name: str, **variables: str) -> None:
    """Have each call of a kind fail in a run of its own."""
    write_json(tmp_path, TASKS)
    command = [sys.executable, "-m", "tests.support.calls", os.fspath(tmp_path), kind, name, "1", str(MOST)]
    result = subprocess.run(command, capture_output=True, env=environment(**variables), check=False, timeout=600)
    assert (result.returncode, result.stderr) == (0, b"")
    ends = dict(map(json.loads, result.stdout.splitlines()))
    # Every N was tried, up to the first that there was no call for.
    assert list(ends.values())[-1] == 77, ends
    assert len(ends) > 1
    for nth, code in ends.items():
        check(tmp_path / str(nth), 1 if code == 77 else code)


def check(folder: Path, code: int | None) -> None:
    """Hold what a run said against what its tasks did."""
    out, err = (folder / "out").read_bytes(), (folder / "err").read_text()
    told = f"{folder.name}: {code}\n{out.decode()}\n{err}"
    assert code in (1, 2, 3), told
    assert "Traceback" not in err, told
    if code == 2:
        assert out == b"", told
        return
    ok: set[str] = set()
    if b"Report:\n" in out and out.endswith(b" s\n"):
        report = report_of(out)
        assert list(report) == list("abcde"), told
        ok = {task for task, (status, _) in report.items() if status == "ok"}
        assert all((folder / task).exists() for task in ok), told
        assert report["e"][0] != "ok", told
        # What is ok has printed all that it had to.
        assert code == 3 or all(f"\n{task}\n".encode() in out for task in ok & {"a", "b", "c"}), told
        # Nobody runs before what it depends on is ok.
        assert {"a"} <= ok or all(report[task][0] == "skipped" for task in "bcde"), told
    else:
        assert code == 3, told
    try:
        recorded = read_journal((folder / "j").read_bytes())
    except JournalError:
        pytest.fail(told)
    assert all((folder / task).exists() for task in recorded.ok), told
    assert not [process for run in recorded.runs for process in marked_processes(run.id)], told
