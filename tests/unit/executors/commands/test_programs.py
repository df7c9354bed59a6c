"""The look-up of programs, held against the shell's own."""

from __future__ import annotations

import errno
import os
import shutil

import pytest

from fastrun.executors.commands.programs import find_program


@pytest.mark.parametrize("name", ["sh", "ls", "sleep"])
def test_the_program_is_the_one_that_a_shell_would_start(name):
    path = os.environ["PATH"]
    assert find_program(name.encode(), path.encode(), b"/") == os.fsencode(shutil.which(name, path=path) or "")


def test_without_a_path_the_systems_folders_are_searched():
    assert os.path.basename(find_program(b"sh", None, b"/")) == b"sh"


def test_a_name_with_a_slash_is_not_looked_up():
    assert find_program(b"./no such", b"/bin", b"/") == b"./no such"


def test_folders_are_no_programs_and_a_later_program_is_found_behind_a_file_that_may_not_run(tmp_path):
    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
    (tmp_path / "one" / "tool").mkdir()
    (tmp_path / "two" / "tool").touch(0o644)
    path = os.fsencode(f"{tmp_path}/one:{tmp_path}/two:{tmp_path}/three")
    with pytest.raises(PermissionError) as caught:
        find_program(b"tool", path, b"/")
    assert (caught.value.errno, caught.value.filename) == (errno.EACCES, b"tool")
    (tmp_path / "three" / "tool").touch(0o755)
    assert find_program(b"tool", path, b"/") == os.fsencode(tmp_path / "three" / "tool")


def test_a_program_that_is_nowhere_is_named():
    with pytest.raises(FileNotFoundError) as caught:
        find_program(b"no-such", b"/bin:", b"/")
    assert caught.value.filename == b"no-such"
