"""Faults in the document: nothing starts, exit status 2, a line with the place. What is harmless runs."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import fastrun, report_of

TOUCH = '{"name": "a", "type": "exec", "arguments": "touch started"}'


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("nothing", b""),
        ("no JSON", b'{"tasks": [%s,]}' % TOUCH.encode()),
        ("bad UTF-8", b'{"tasks": [%s], "x-note": "\xff"}' % TOUCH.encode()),
        ("depth of 100,000", b'{"tasks": [%s], "x-deep": %s}' % (TOUCH.encode(), b"[" * 100_000 + b"]" * 100_000)),
        ("NaN", b'{"tasks": [%s], "x-number": NaN}' % TOUCH.encode()),
        ("lone surrogate", b'{"tasks": [%s], "x-text": "\\ud800"}' % TOUCH.encode()),
        ("two documents", b'{"tasks": [%s]} {}' % TOUCH.encode()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_invalid_json(tmp_path, name, data):
    result = fastrun(write_json(tmp_path, data), cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert re.fullmatch(r".*tasks\.json:\d+:\d+: .+\n", result.stderr.decode()), name
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("digits", [b"1" * 5_000, b"1e999", b"-0." + b"3" * 5_000])
def test_number_of_5000_digits_is_no_reason_to_fall(tmp_path, digits):
    result = fastrun(write_json(tmp_path, b'{"tasks": [%s], "x-number": %s}' % (TOUCH.encode(), digits)), cwd=tmp_path)
    assert result.returncode in (0, 2)
    assert (tmp_path / "started").exists() == (result.returncode == 0)
    assert b"Traceback" not in result.stderr


def test_byte_order_mark_is_accepted(tmp_path):
    result = fastrun(write_json(tmp_path, b"\xef\xbb\xbf" + json.dumps(document(exec_("a", "echo x"))).encode()))
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("tasks", "cycle"),
    [
        ([exec_("a", "touch started", "a")], "a -> a"),
        ([exec_("a", "touch started", "b"), exec_("b", "true", "a")], "a -> b -> a"),
    ],
)
def test_cycle(tmp_path, tasks, cycle):
    result = fastrun(write_json(tmp_path, document(*tasks)), cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert cycle in result.stderr.decode() or "b -> a -> b" in result.stderr.decode()
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("shape", ["chain", "fan-in and fan-out"])
def test_shapes_of_100_000_run(tmp_path, shape):
    n = 100_000
    if shape == "chain":
        tasks = [eval_(str(i), "x = 1", *([str(i - 1)] if i else [])) for i in range(n)]
    else:
        middle = [str(i) for i in range(n)]
        tasks = [eval_("first", "x = 1"), *(eval_(name, "x = 1", "first") for name in middle)]
        tasks.append(eval_("last", "x = 1", *middle))
    result = fastrun(write_json(tmp_path, document(*tasks)))
    assert (result.returncode, result.stderr) == (0, b"")
    lines = result.stdout.splitlines()
    assert len(lines) == 3 * len(tasks) + 2
    assert lines[-1].startswith(f"{len(tasks)} tasks: {len(tasks)} ok in".encode())
    if shape == "chain":
        assert lines[: 2 * n] == [line % i for i in range(n) for line in (b"Started: %d", b"Ended : %d")]
    else:
        assert lines[0] == b"Started: first"
        assert lines[2 * len(tasks) - 2] == b"Started: last"


def test_name_that_would_forge_lines_is_escaped(tmp_path):
    name = "a\nEnded : b\r\x1b[2J\u202e"
    result = fastrun(write_json(tmp_path, document(exec_(name, "true"))))
    assert result.returncode == 0
    shown = r"a\nEnded : b\r\x1b[2J\u202e"
    assert result.stdout.decode().splitlines()[:-1] == [
        f"Started: {shown}",
        f"Ended : {shown}",
        "Report:",
        f"ok       {shown}",
    ]


def test_name_of_a_megabyte_is_cut_for_display_and_whole_for_its_task(tmp_path):
    name = "n" * (1 << 20)
    source = f"import fastrun; assert len({name!r}) == 1 << 20"
    result = fastrun(write_json(tmp_path, document(eval_(name, source), eval_("b", "x = 1", name))))
    assert result.returncode == 0
    assert max(map(len, result.stdout.decode().splitlines())) < 220


@pytest.mark.parametrize("where", ["arguments", "cwd", "env"])
def test_nul_in_what_the_system_gets(tmp_path, where):
    task = exec_("a", "touch started")
    task |= {"arguments": "touch started\0rest"} if where == "arguments" else {}
    task |= {"cwd": "/\0"} if where == "cwd" else {}
    task |= {"env": {"X": "\0"}} if where == "env" else {}
    result = fastrun(write_json(tmp_path, document(task)), cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"NUL" in result.stderr
    assert not (tmp_path / "started").exists()


def test_command_of_more_than_128_kib_runs_as_a_short_one(tmp_path):
    command = f': {"x" * (200 << 10)}\necho "$0"; cat; echo end'
    result = fastrun(write_json(tmp_path, document(exec_("a", command))))
    assert result.returncode == 0
    short = fastrun(write_json(tmp_path, document(exec_("a", 'echo "$0"; cat; echo end'))))
    assert result.stdout.splitlines()[:-1] == short.stdout.splitlines()[:-1]


def test_environment_over_the_systems_limit_fails_that_task(tmp_path):
    big = {f"V{number}": "x" * 100_000 for number in range(40)}
    tasks = [exec_("a", "true", env=big), exec_("b", "echo fine")]
    result = fastrun(write_json(tmp_path, document(*tasks)))
    assert result.returncode == 1
    report = report_of(result.stdout)
    assert report["a"] == ("failed", "cannot start: Argument list too long: /bin/sh")
    assert report["b"] == ("ok", "")
