"""Tests of measuring one process."""

from __future__ import annotations

import os
import sys

import pytest

from bench.measure import child_environment, measure
from tests.support.processes import LIMIT


def test_process_runs_to_its_end():
    found = measure(["/bin/sh", "-c", "echo a"], timeout=LIMIT)
    assert found.first is not None
    assert 0 < found.first <= found.seconds
    assert found.marked is None
    assert found.peak > 0


def test_environment_leaves_out_variables_that_slow_python_down(monkeypatch):
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "OTHER"):
        monkeypatch.setenv(name, "1")
    found = child_environment()
    assert "PYTHONDONTWRITEBYTECODE" not in found
    assert "PYTHONUNBUFFERED" not in found
    assert found["OTHER"] == "1"


def test_exit_code_is_an_error():
    with pytest.raises(RuntimeError, match="exit code 3"):
        measure(["/bin/sh", "-c", "exit 3"], timeout=LIMIT)


def test_marker_is_timed_from_the_first_output():
    found = measure(["/bin/sh", "-c", "echo a; echo b"], timeout=LIMIT, marker=b"b\n")
    assert found.marked is not None
    assert found.marked >= 0


def test_missing_marker_is_an_error():
    with pytest.raises(RuntimeError, match="never printed"):
        measure(["/bin/sh", "-c", "echo a"], timeout=LIMIT, marker=b"b")


def test_stopped_process_ends_at_the_marker_with_its_children(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # The process and its child keep the pipe open, so its end shows that both have ended.
    code = f"import os, subprocess; w = os.open({str(fifo)!r}, os.O_WRONLY); print('Started', flush=True); "
    code += "subprocess.run(['sleep', 'infinity'], pass_fds=[w])"
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.set_blocking(reader, True)
        found = measure([sys.executable, "-c", code], timeout=LIMIT, marker=b"Started", stop=True)
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)
    assert found.first is not None
    assert found.marked is not None
    assert found.seconds == pytest.approx(found.first + found.marked)


def test_process_that_ends_before_its_stop_is_an_error():
    with pytest.raises(RuntimeError, match="exit code 0"):
        measure(["/bin/sh", "-c", "true"], timeout=LIMIT, marker=b"b", stop=True)
