"""Where files are that live no longer than the run."""

from __future__ import annotations

import os
import tempfile

import pytest

from fastrun.executors import scratch


def test_the_systems_folder_comes_first(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert scratch.scratch_folder() == str(tmp_path)


def test_memory_is_the_way_round_where_it_can_be_written(tmp_path, monkeypatch):
    def refuse() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", refuse)
    monkeypatch.setattr(scratch, "_SHARED_MEMORY", str(tmp_path))
    assert scratch.scratch_folder() == str(tmp_path)
    monkeypatch.setattr(scratch, "_SHARED_MEMORY", str(tmp_path / "missing"))
    with pytest.raises(FileNotFoundError):
        scratch.scratch_folder()


@pytest.mark.parametrize("in_memory", [True, False])
def test_unnamed_file_is_appended_to_by_all(in_memory, monkeypatch):
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    with scratch.unnamed_file("test") as file, open(os.dup(file.fileno()), "ab+", buffering=0) as other:
        file.write(b"a")
        other.write(b"b")
        file.write(b"c")
        assert os.pread(file.fileno(), 10, 0) == b"abc"
