"""Tasks as they are sent to a worker."""

from __future__ import annotations

import pytest

from fastrun.cluster.seats import pack, unpack
from fastrun.document.task import Task


@pytest.mark.parametrize(
    ("cwd", "directory", "found"),
    [
        (None, None, None),
        ("sub", None, "sub"),
        (None, "/run", "/run"),
        ("sub", "/run", "/run/sub"),
        ("/other", "/run", "/other"),
        ("sub", "/", "/sub"),
    ],
)
def test_a_command_runs_in_the_directory_of_the_run(cwd, directory, found):
    task = Task("a", "exec", "true", (), cwd, {"X": "y"}, 5.0, True)
    assert unpack(pack((3, task)), directory) == (3, task._replace(cwd=found))


def test_a_list_of_words_survives_the_way_to_a_worker():
    for task in (Task("a", "exec", ("ls", "a b")), Task("a", "exec", "ls", shell=("bash", "-c"))):
        packed = [list(part) if isinstance(part, tuple) else part for part in pack((3, task))]
        assert unpack(packed, None) == (3, task)


@pytest.mark.parametrize(
    ("content", "source"),
    [
        (b"x = 1\r\n", "x = 1\n"),
        (b"\xef\xbb\xbfx = 1", "x = 1"),
        (b"# coding: latin-1\nx = '\xe9'", "# coding: latin-1\nx = '\u00e9'"),
        # What no Python can read, the worker is to say.
        (b"x = '\xff'", ""),
        (b"# coding: unknown", ""),
        (None, ""),
    ],
)
def test_with_a_script_goes_the_source_that_is_in_it(content, source, tmp_path):
    if content is not None:
        (tmp_path / "a.py").write_bytes(content)
    task = Task("a", "eval", "", where="cluster", script="a.py")
    packed = pack((3, task), str(tmp_path))
    for directory, script in ((None, "a.py"), ("/run", "/run/a.py")):
        assert unpack(packed, directory) == (3, Task("a", "eval", source, script=script))


def test_variables_that_count_as_inputs_go_with_the_task(monkeypatch):
    monkeypatch.setenv("FLAGS", "-O1")
    monkeypatch.setenv("MODE", "here")
    monkeypatch.delenv("NONE", raising=False)
    task = Task("a", "exec", "true", env={"MODE": "own"}, env_inputs=["FLAGS", "MODE", "NONE"])
    _, found = unpack(pack((3, task)), None)
    assert found.env == {"FLAGS": "-O1", "MODE": "own"}
