"""What tasks declare: paths, and what each of them stands for."""

from __future__ import annotations

import os
from glob import glob
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun import Task
from fastrun.uptodate.contents import Contents
from fastrun.uptodate.declared import (
    Declared,
    coverage,
    covers,
    declared,
    is_pattern,
    path_from,
    values,
    without_paths,
)

# Parts of paths and of patterns that are likely to fit each other.
_names = st.sampled_from(["a", "b", "ab", ".a", ".ab", "a.c", "[a]", "!"])
_parts = st.sampled_from(["a", "ab", "*", "**", "?", "a*", ".*", ".a", "*.c", "[ab]", "[!a]*", "[[]a]", "*b", "[a]"])
_paths = st.lists(_names, min_size=1, max_size=4).map("/".join)
patterns = st.lists(_parts, min_size=1, max_size=4).map("/".join).filter(is_pattern)


def make_tree(folder: str, paths: list[str]) -> list[str]:
    """Make files, but for those whose names are taken by folders. Return all files."""
    for path in paths:
        file = Path(folder, path)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        except OSError:
            continue
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("cwd", "path", "found"),
    [
        (None, "a", "a"),
        (None, "./a", "a"),
        (None, "a/", "a"),
        (None, "a//b/./c", "a/b/c"),
        (None, ".", "."),
        (None, "..", ".."),
        (None, "a/../b", "b"),
        (None, "/x/../a", "/a"),
        (None, "//x/a", "/x/a"),
        (None, "////a", "/a"),
        (None, ".hidden", ".hidden"),
        (None, "a/.hidden", "a/.hidden"),
        (None, "src/**/*.c", "src/**/*.c"),
        ("sub", "a", "sub/a"),
        ("sub", "../a", "a"),
        ("sub", "/a", "/a"),
        ("sub", ".", "sub"),
        ("./sub/", "*.c", "sub/*.c"),
        ("..", "a", "../a"),
        ("/abs", "a", "/abs/a"),
    ],
)
def test_a_path_is_one_of_the_run(cwd, path, found):
    assert path_from(cwd, path) == found


@pytest.mark.parametrize(
    ("cwd", "path", "found"),
    [
        (None, "/top/build/a", "a"),
        (None, "/top/build", "."),
        ("/top/build", ".", "."),
        ("/top/src", "../build/a", "a"),
        ("../src", "../build/a", "a"),
        ("../src", "../build", "."),
        (None, "../build/../src/a", "../src/a"),
        (None, "../builder", "../builder"),
        (None, "../..", "../.."),
        (None, "..hidden", "..hidden"),
    ],
)
def test_a_path_in_the_folder_of_the_run_is_relative_however_it_is_written(cwd, path, found):
    assert path_from(cwd, path, "/top/build/") == found


def test_all_that_a_task_declares_is_relative_to_its_directory():
    task = Task("a", "exec", "", (), "sub", inputs=["x", "../y"], outputs=["./z"], depfile="z.d")
    assert declared(task) == Declared(("sub/x", "y"), ("sub/z",), "sub/z.d")
    assert declared(Task("a", "exec", "")) == Declared((), (), None)


@pytest.mark.parametrize(
    ("declaration", "path", "found"),
    [
        ("a", "a", True),
        ("a", "a/b/.c", True),
        ("a", "ab", False),
        (".", "a/b", True),
        ("a/*.c", "a/b.c", True),
        ("a/*.c", "a/b/c.c", False),
        ("a/*.c", "a/.c", False),
        ("**/*.c", "c.c", True),
        ("**/*.c", "a/b/c.c", True),
        ("**/*.c", "a/.b/c.c", False),
        ("a/**", "a/b/c", True),
        ("a/**/**/c", "a/c", True),
        ("/x/*", "/x/y", True),
        ("../*", "../y", True),
        # A file whose name has the form of a pattern.
        ("pages/[id].ts", "pages/[id].ts", True),
        ("pages/[id].ts", "pages/i.ts", True),
    ],
)
def test_a_declaration_stands_for_paths(declaration, path, found):
    assert covers(declaration, path) is found


def test_depth_of_folders_is_of_no_concern():
    path = "a/" * 5_000 + "c.c"
    assert covers("**/*.c", path)
    assert not covers("**/*.h", path)
    assert not covers("**/a/" * 10 + "*.h", path)


@given(patterns, st.lists(_paths, max_size=12))
def test_a_pattern_stands_for_the_files_that_glob_finds(pattern, paths):
    with TemporaryDirectory() as folder:
        files = make_tree(folder, paths)
        found = {path for path in glob(pattern, root_dir=folder, recursive=True) if os.path.isfile(f"{folder}/{path}")}
        # Here a path is also what it says.
        own = {pattern, *(path for path in files if path.startswith(f"{pattern}/"))}
        expanded = {path for path in Contents({}, folder).expand([pattern]) if path in files}
        assert expanded - own == found - own
        assert {path for path in files if covers(pattern, path)} - own == found - own
        assert all(covers(pattern, path) for path in own)


_any_paths = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=3).map("/".join) | st.sampled_from(
    [".", "..", "../a", "../../a", "/a", "/a/b", "/"]
)


@given(st.lists(_any_paths | patterns, max_size=4), st.lists(_any_paths, max_size=8))
def test_some_declarations_stand_for_what_any_of_them_does(declarations, paths):
    is_covered = coverage(declarations)
    found = [is_covered(path) for path in paths]
    assert found == [any(covers(declaration, path) for declaration in declarations) for path in paths]
    for_none = [one for one in declarations if not any(covers(one, path) for path in paths)]
    assert list(without_paths(declarations, paths)) == for_none


def test_values_come_from_the_first_environment_that_has_them():
    found = values(["A", "B", "C", "D"], {"A": "1", "B": ""}, None, {"A": "2", "C": "3"})
    assert found == {"A": "1", "B": "", "C": "3", "D": None}
