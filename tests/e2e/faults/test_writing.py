"""Faults of what fastrun writes: its output and its journal, of which test_journal has more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress

import pytest

from fastrun.journal.recorded import read_journal
from tests.support.documents import document, exec_, write_json
from tests.support.processes import LIMIT, fastrun, fastrun_process, file_limit, report_of, unmeasured

TASKS = document(*(exec_(str(i), f"seq 2000; echo {i} >> ran", *([str(i - 1)] if i else [])) for i in range(20)))


def test_standard_output_is_closed_by_its_reader(tmp_path):
    """As by ``head``: the tasks go on, and so does the journal; it is said once."""
    write_json(tmp_path, TASKS)
    with fastrun_process("--journal", "j", "tasks.json", cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(LIMIT) == 3
    assert said.count(b"\n") == 1
    assert b"standard output" in said
    assert (tmp_path / "ran").read_text().split() == [str(i) for i in range(20)]
    assert len(read_journal((tmp_path / "j").read_bytes()).ok) == 20


@pytest.mark.parametrize("full", ["device", "limit"])
def test_disk_under_standard_output_is_full(tmp_path, full):
    write_json(tmp_path, TASKS)
    path = "/dev/full" if full == "device" else tmp_path / "out"
    limit = file_limit(50_000) if full == "limit" else None
    command = [sys.executable, "-m", "fastrun", "--no-guardian", "--journal", "j", "tasks.json"]
    with open(path, "wb") as file:
        result = subprocess.run(
            command,
            cwd=tmp_path,
            stdout=file,
            stderr=subprocess.PIPE,
            env=unmeasured(),
            preexec_fn=limit,
            timeout=LIMIT,
            check=False,
        )
    assert result.returncode == 3
    assert result.stderr.count(b"\n") == 1
    assert b"cannot write to standard output" in result.stderr
    assert (tmp_path / "ran").read_text().split() == [str(i) for i in range(20)]
    assert len(read_journal((tmp_path / "j").read_bytes()).ok) == 20


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 64 kB with nothing in it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", os.fspath(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only who may mount can fill a disk of its own")
    yield folder
    subprocess.run(["umount", os.fspath(folder)], check=True)


def test_disk_under_the_journal_is_full(tmp_path, full_disk):
    """Nothing new starts; what had been recorded is, and another run goes on from there once there is room."""
    with open(full_disk / "ballast", "wb") as file, suppress(OSError):
        file.write(bytes(60 << 10))
    write_json(tmp_path, document(*(exec_(str(i), "true", *([str(i - 1)] if i else [])) for i in range(60))))
    options = ["--journal", os.fspath(full_disk / "j"), "tasks.json"]
    result = fastrun(*options, cwd=tmp_path)
    assert result.returncode == 3
    assert b"cannot write the journal: No space left on device; nothing more is started" in result.stderr
    ended = [name for name, (status, _) in report_of(result.stdout).items() if status == "ok"]
    recorded = read_journal((full_disk / "j").read_bytes()).ok
    assert 0 < len(recorded) <= len(ended) < 60
    (full_disk / "ballast").unlink()
    again = fastrun("--resume", *options, cwd=tmp_path)
    assert again.returncode == 0
    reused = [name for name, (_, reason) in report_of(again.stdout).items() if reason]
    assert sorted(reused) == sorted(recorded)


def test_two_runs_on_one_journal(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    write_json(tmp_path, document(exec_("a", "cat fifo")))
    with fastrun_process("--journal", "j", "tasks.json", cwd=tmp_path) as first:
        assert first.stdout is not None
        first.stdout.readline()
        second = fastrun("--journal", "j", "--resume", "tasks.json", cwd=tmp_path)
        assert (second.returncode, second.stdout) == (2, b"")
        assert second.stderr == f"fastrun: j: in use by process {first.pid}\n".encode()
        (tmp_path / "fifo").write_text("")
        first.communicate(timeout=LIMIT)
        assert first.returncode == 0


@pytest.mark.parametrize("fault", ["torn", "flipped"])
def test_torn_or_flipped_bytes_in_the_journal(tmp_path, fault):
    write_json(tmp_path, document(*(exec_(str(i), f"echo {i} >> ran", *([str(i - 1)] if i else [])) for i in range(6))))
    assert fastrun("--journal", "j", "tasks.json", cwd=tmp_path).returncode == 0
    data = bytearray((tmp_path / "j").read_bytes())
    lines = bytes(data).splitlines(keepends=True)
    # In the middle of the end of the fourth task.
    place = sum(map(len, lines[:8])) + 40
    assert json.loads(lines[8][9:])["name"] == "3"
    if fault == "torn":
        del data[place:]
    else:
        data[place] ^= 4
    (tmp_path / "j").write_bytes(data)
    (tmp_path / "ran").unlink()
    result = fastrun("--journal", "j", "--resume", "tasks.json", cwd=tmp_path)
    assert result.returncode == 0
    assert b"cut off" in result.stderr
    assert (tmp_path / "ran").read_text().split() == ["3", "4", "5"]
