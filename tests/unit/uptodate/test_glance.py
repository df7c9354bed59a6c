"""The quick look says yes only where the slow one finds no difference."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amounts import many
from tests.support.processes import wait_for
from tests.support.sites import Site, task_of


@pytest.fixture
def site(tmp_path) -> Site:
    return Site(tmp_path)


def test_files_that_look_as_they_did_are_not_read(site):
    task = task_of("a", "a.c", "inc/*.h", outputs=("a.o",))
    site.write("a.c", "1")
    site.write("inc/a.h")
    site.settle()

    def is_doubted() -> bool:
        site.build(task, lambda: site.write("a.o"))
        return not site.is_up_to_date(task)

    # The output was read within the tick of the kernel's clock in which it was made: sooner or later it is.
    wait_for(is_doubted)
    site.settle()
    assert site.difference(task) == ""
    assert site.is_up_to_date(task)
    assert site.contents.news == {}


def test_what_was_not_recorded_or_changed_meanwhile_is_not_up_to_date(site):
    task = task_of("a", "a.c")
    site.write("a.c")
    assert not site.is_up_to_date(task)
    site.build(task, lambda: site.write("a.c", "changed"))
    site.settle()
    assert site.difference(task) == "a.c changed while it ran"
    assert not site.is_up_to_date(task)


def test_other_declarations_are_seen(site):
    for name in ("a", "b", "out/x"):
        site.write(name)
    site.settle()
    site.build(task_of("a", "a", "out/x", outputs=("b",)))
    assert site.is_up_to_date(task_of("a", "a", "out/x", outputs=("b",)))
    assert site.is_up_to_date(task_of("a", "out/x", "a", "./a", outputs=("b",)))
    assert not site.is_up_to_date(task_of("a", "a", outputs=("b",)))
    assert not site.is_up_to_date(task_of("a", "a", "out/x", "*", outputs=("b",)))
    assert not site.is_up_to_date(task_of("a", "a", "out/x", outputs=("b", "c")))
    # An input that is the task's own now.
    assert not site.is_up_to_date(task_of("a", "a", "out/x", outputs=("b", "out")))
    assert not site.is_up_to_date(task_of("a", "a", "out/x", outputs=("b",), env_inputs=["X"]))


_PATHS = ["a", "b", "d/a", "d/b", "d/e/a", "out", "out/a", "l", "h.h"]
_DECLARED = [*_PATHS, "d", "*", "d/*", "**/a", ".", "d/e", "out/*"]
_path = st.sampled_from(_PATHS)
_edits = st.one_of(
    st.tuples(st.just("write"), _path, st.sampled_from("123")),
    st.tuples(st.just("delete"), _path),
    st.tuples(st.just("touch"), _path, st.sampled_from([1, 2_000_000_000, 9_000_000_000])),
    st.tuples(st.just("link"), _path, _path),
    st.tuples(st.just("folder"), _path),
    st.tuples(st.just("rename"), _path, _path),
    st.tuples(st.just("variable"), st.sampled_from(["1", "2", None])),
    st.tuples(st.just("inputs"), st.lists(st.sampled_from(_DECLARED), max_size=3)),
    st.tuples(st.just("outputs"), st.lists(st.sampled_from(_DECLARED), max_size=2)),
    st.tuples(st.just("env_inputs"), st.sampled_from([[], ["X"]])),
    st.tuples(st.just("build"), _path, st.sampled_from("123")),
    st.tuples(st.just("look")),
)


class Edited(Site):
    """A site that is changed at random, with one task."""

    task = task_of("a", "a", "d/*", outputs=("out",), depfile="dep")

    def change(self, kind: str, *arguments) -> None:
        if kind in ("inputs", "outputs", "env_inputs"):
            self.task = self.task._replace(**{kind: arguments[0]})
        elif kind == "variable":
            self.environ = {} if arguments[0] is None else {"X": arguments[0]}
        elif kind == "build":
            self.settle()
            self.next_run()
            self.build(self.task, lambda: self.work(*arguments))
        elif kind == "look":
            self.settle()
            self.difference(self.task)
        else:
            # Some make no sense at present.
            with suppress(OSError):
                getattr(self, f"edit_{kind}")(*arguments)

    def work(self, path: str, content: str) -> None:
        with suppress(OSError):
            self.write("out", content)
        self.write("dep", f"out: {path} h.h\n")

    def edit_write(self, path: str, content: str) -> None:
        self.write(path, content)

    def edit_delete(self, path: str) -> None:
        file = self.folder / path
        if file.is_dir() and not file.is_symlink():
            shutil.rmtree(file)
        else:
            file.unlink()

    def edit_touch(self, path: str, seconds: int) -> None:
        os.utime(self.folder / path, (seconds, seconds))

    def edit_link(self, path: str, target: str) -> None:
        os.symlink(target, self.folder / path)

    def edit_folder(self, path: str) -> None:
        (self.folder / path).mkdir(parents=True)

    def edit_rename(self, path: str, target: str) -> None:
        (self.folder / path).rename(self.folder / target)


@settings(max_examples=many("edits before a glance", 100, 5_000))
@given(st.lists(_edits, max_size=12))
def test_a_glance_never_overlooks_a_difference(edits):
    with TemporaryDirectory() as folder:
        site = Edited(folder)
        for path in ("a", "d/a", "d/b", "h.h", "out"):
            Path(folder, path).parent.mkdir(exist_ok=True)
            Path(folder, path).write_text("1")
        site.change("build", "d/a", "1")
        site.change("look")
        for edit in edits:
            site.change(*edit)
            at_a_glance = site.is_up_to_date(site.task)
            assert not at_a_glance or site.difference(site.task) == ""
