"""The journal's file written anew at the start of a run, whatever happens meanwhile."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from contextlib import closing

import pytest

from fastrun.journal.compact import compact
from fastrun.journal.file import JournalFile
from fastrun.journal.recorded import read_journal
from fastrun.journal.records import JournalError, done_record, end_record, run_record, start_record
from tests.support.documents import write_json
from tests.support.journals import OK, line_of
from tests.support.processes import LIMIT, environment, fastrun, unmeasured


def history(runs: int = 300) -> bytes:
    """Return the text of a journal of many runs of one task."""
    records = [run_record("r", "h"), start_record("a", "k", 1), end_record("a", "k", OK, 1.0)]
    return b"".join(map(line_of, records)) * runs + line_of(done_record({}, 0))


@pytest.fixture
def long(path):
    text = history()
    path.write_bytes(text)
    return text


def test_history_is_left_out_at_the_start_of_a_run(path, long):
    with closing(JournalFile.open(path, True)) as journal:
        short = path.read_bytes()
        assert short == compact(read_journal(long))
        assert len(short) < 1000
        assert journal.notes == []
        assert set(journal.recorded.ok) == {"a"}
        assert len(journal.recorded.runs) == 1
        journal.append(start_record("b", "k", 1))
    assert set(read_journal(path.read_bytes()).unfinished) == {"b"}
    assert os.listdir(path.parent) == [path.name]


def test_torn_history_is_left_out_too(path, long):
    path.write_bytes(long[:-1])
    with closing(JournalFile.open(path, True)) as journal:
        assert len(journal.notes) == 1
        assert journal.recorded.exit_code is None
    assert len(path.read_bytes()) < 1000


def test_journal_that_is_not_to_be_gone_on_with_stays(path, long):
    with pytest.raises(JournalError, match="already holds a run"):
        JournalFile.open(path, False)
    assert path.read_bytes() == long


def test_new_file_belongs_to_the_same_people(path, long):
    path.chmod(0o640)
    JournalFile.open(path, True).close()
    assert len(path.read_bytes()) < len(long)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_link_to_a_journal_stays_a_link(path, long):
    link = path.with_name("link")
    link.symlink_to(path)
    JournalFile.open(link, True).close()
    assert link.is_symlink()
    assert len(path.read_bytes()) < len(long)


def test_file_left_by_a_killed_process_is_used(path, long):
    path.with_name("run.journal.being-written").write_bytes(b"x" * 100_000)
    JournalFile.open(path, True).close()
    assert path.read_bytes() == compact(read_journal(long))
    assert os.listdir(path.parent) == [path.name]


def test_nothing_is_written_through_a_link_beside(path, long):
    other = path.with_name("other")
    other.write_bytes(b"precious")
    path.with_name("run.journal.being-written").symlink_to(other)
    JournalFile.open(path, True).close()
    assert (path.read_bytes(), other.read_bytes()) == (long, b"precious")


def test_new_file_is_locked_before_it_is_the_journal(path, long, monkeypatch):
    rename = os.rename
    tried = []

    def try_first(source: str, target: str) -> None:
        for name in (source, target):
            with pytest.raises(JournalError, match="in use by"):
                JournalFile.open(name, True)
            tried.append(name)
        rename(source, target)

    monkeypatch.setattr(os, "rename", try_first)
    with closing(JournalFile.open(path, True)), pytest.raises(JournalError, match="in use by"):
        JournalFile.open(path, True)
    assert len(tried) == 2
    assert len(path.read_bytes()) < len(long)


@pytest.mark.parametrize("gone", [False, True])
def test_file_that_was_replaced_while_it_was_opened_is_not_taken_for_the_journal(path, monkeypatch, gone):
    flock = fcntl.flock
    path.write_bytes(history(1))

    def replace_first(fd: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        path.unlink()
        if not gone:
            path.write_bytes(history(2))
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", replace_first)
    with closing(JournalFile.open(path, True)) as journal:
        assert len(journal.recorded.runs) == (0 if gone else 2)
        journal.append(run_record("last", "h"))
    assert read_journal(path.read_bytes()).runs[-1].id == "last"


# Kills a process before each of its system calls in turn, until one comes to the end. Without other threads, see
# ``test_file``.
_KILLS = """
import os, signal, sys
from fastrun.journal.compact import compact
from fastrun.journal.file import JournalFile
from fastrun.journal.recorded import read_journal
path = sys.argv[1]
with open(path, "rb") as file:
    old = file.read()
new = compact(read_journal(old))
found = []

def killed_at(number):
    child = os.fork()
    if not child:
        calls = 0
        def count(frame, event, function):
            nonlocal calls
            if event == "c_call" and function.__module__ in ("posix", "fcntl"):
                calls += 1
                if calls == number:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.setprofile(count)
        JournalFile.open(path, True)
        os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL

while killed_at(len(found) + 1):
    with open(path, "rb") as file:
        found.append(file.read())
    JournalFile.open(path, True).close()
    with open(path, "rb") as file:
        assert file.read() == new
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
    with open(path, "wb") as file:
        file.write(old)
assert set(found) == {old, new}
assert found == sorted(found, key=[old, new].index)
print(len(found))
"""


def test_process_killed_before_any_system_call_leaves_the_old_or_the_new_file(path, long):
    command = [sys.executable, "-W", "error", "-c", _KILLS, os.fspath(path)]
    # What measures coverage makes system calls too, more and more of them.
    result = subprocess.run(command, capture_output=True, env=unmeasured(), timeout=LIMIT, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    # At least: open, lock, look, sync; the same, write and rename beside; unlock, close, sync the folder.
    assert int(result.stdout) > 15


_FULL = """
import resource, sys
from fastrun.journal.file import JournalFile
from fastrun.journal.records import run_record
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
journal = JournalFile.open(sys.argv[1], True)
assert set(journal.recorded.ok) == {"a"}
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
journal.append(run_record("last", "h"))
journal.close()
"""


@pytest.mark.parametrize("limit", [0, 1, 300])
def test_on_a_full_disk_the_run_goes_on_with_the_old_file(path, long, limit):
    command = [sys.executable, "-c", _FULL, os.fspath(path), str(limit)]
    subprocess.run(command, env=environment(), timeout=LIMIT, check=True)
    assert path.read_bytes().startswith(long)
    assert read_journal(path.read_bytes()).runs[-1].id == "last"
    assert os.listdir(path.parent) == [path.name]


def test_journal_does_not_grow_for_ever(path):
    sizes = set()
    for number in range(400):
        with closing(JournalFile.open(path, True)) as journal:
            journal.append(run_record(f"r{number}", "h"))
            journal.append(start_record("a", "k", 1))
            journal.append(end_record("a", "k", OK, float(number)))
        sizes.add(path.stat().st_size)
        assert journal.recorded.runs == [] or journal.recorded.runs[-1].id == f"r{number - 1}"
    assert max(sizes) < 200_000
    assert read_journal(path.read_bytes()).durations["a"] == [395, 396, 397, 398, 399]


@pytest.mark.parametrize("option", ["--dry-run", "--what-if=jobs=2"])
def test_journal_that_is_only_read_stays(path, long, option):
    write_json(path.parent, {"tasks": [{"name": "a", "type": "exec", "arguments": "true"}]})
    result = fastrun("--journal", path.name, "--resume", option, "tasks.json", cwd=path.parent)
    assert result.returncode == 0
    assert path.read_bytes() == long
