"""One process measured: what is waited for, and what ends it."""

from __future__ import annotations

import os
import sys

import pytest

from bench.measure import child_environment, measure


def test_a_process_is_run_to_its_end():
    found = measure(["/bin/sh", "-c", "echo a"], timeout=60)
    assert found.first is not None
    assert 0 < found.first <= found.seconds
    assert found.marked is None
    assert found.peak > 0


def test_what_distorts_the_figures_of_python_is_not_passed_on(monkeypatch):
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "OTHER"):
        monkeypatch.setenv(name, "1")
    found = child_environment()
    assert "PYTHONDONTWRITEBYTECODE" not in found
    assert "PYTHONUNBUFFERED" not in found
    assert found["OTHER"] == "1"


def test_another_exit_code_than_the_expected_is_an_error():
    with pytest.raises(RuntimeError, match="exit code 3"):
        measure(["/bin/sh", "-c", "exit 3"], timeout=60)
    measure(["/bin/sh", "-c", "exit 3"], timeout=60, exit_code=3)


def test_the_marker_is_timed_from_the_first_output():
    found = measure(["/bin/sh", "-c", "echo a; echo b"], timeout=60, marker=b"b\n")
    assert found.marked is not None
    assert found.marked >= 0


def test_a_marker_that_never_comes_is_an_error():
    with pytest.raises(RuntimeError, match="never printed"):
        measure(["/bin/sh", "-c", "echo a"], timeout=60, marker=b"b")


def test_a_stopped_process_ends_at_the_marker_with_its_children(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # It and its child hold the pipe open for ever: who reads the end has seen both end.
    code = f"import os, subprocess; w = os.open({str(fifo)!r}, os.O_WRONLY); print('Started', flush=True); "
    code += "subprocess.run(['sleep', 'infinity'], pass_fds=[w])"
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.set_blocking(reader, True)
        found = measure([sys.executable, "-c", code], timeout=60, marker=b"Started", stop=True)
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)
    assert found.first is not None
    assert found.marked is not None
    assert found.seconds == pytest.approx(found.first + found.marked)


def test_a_process_that_ends_before_it_is_stopped_is_an_error():
    with pytest.raises(RuntimeError, match="exit code 0"):
        measure(["/bin/sh", "-c", "true"], timeout=60, marker=b"b", stop=True)
