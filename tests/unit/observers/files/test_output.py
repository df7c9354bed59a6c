"""The files that observers write."""

from __future__ import annotations

import gzip
import os
import stat

import pytest

from fastrun.observers.files.output import FileObserver, OutputFile, OutputStream, open_followed


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_the_umask_decides_who_reads_a_new_file_and_one_that_exists_keeps_its_mode(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with OutputFile(str(tmp_path / "new")) as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode
    old = tmp_path / "old"
    old.write_bytes(b"something longer")
    old.chmod(0o644)
    with OutputFile(str(old)) as file:
        file.write(b"x")
    assert (old.read_bytes(), stat.S_IMODE(old.stat().st_mode)) == (b"x", 0o644)


def test_flushed_output_is_there_before_the_end(tmp_path):
    with OutputFile(str(tmp_path / "a")) as file:
        file.write(b"x")
        file.flush()
        assert (tmp_path / "a").read_bytes() == b"x"


def test_compressed(tmp_path):
    with OutputFile(str(tmp_path / "a"), compressed=True) as file:
        file.write(b"one")
        file.write(b"two")
    assert gzip.decompress((tmp_path / "a").read_bytes()) == b"onetwo"


@pytest.mark.parametrize("compressed", [False, True])
def test_a_full_disk_is_told_once_and_at_the_end(compressed):
    file = OutputFile("/dev/full", compressed=compressed)
    observer = FileObserver(file)
    for _ in range(3):
        file.write(os.urandom(100_000))
        file.flush()
    assert observer.close() == "cannot write /dev/full: No space left on device"
    assert observer.close() == "cannot write /dev/full: No space left on device"


def test_a_path_that_cannot_be_written_is_an_error_at_once(tmp_path):
    with pytest.raises(IsADirectoryError):
        OutputFile(str(tmp_path))


def test_a_name_cannot_act_on_the_terminal(tmp_path):
    with OutputFile(str(tmp_path / "a\x1bb")) as file:
        assert file.label.endswith("a\\x1bb")


def test_an_observer_that_did_not_come_to_its_end_says_so(tmp_path):
    observer = FileObserver(OutputFile(str(tmp_path / "a")))
    observer.complete = False
    assert observer.close() == f"{tmp_path}/a is not complete"


def test_only_files_with_possible_slow_readers_are_streams(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    for name, kind in (("new", OutputFile), ("pipe", OutputStream)):
        file = open_followed(str(tmp_path / name))
        assert isinstance(file, kind)
        file.write(b"x")
        file.flush()
        assert file.close() == ""
    assert os.read(reader, 10) == b"x"
    os.close(reader)


def test_stream_whose_reader_sleeps_takes_all_at_once_and_says_so():
    reader, writer = os.pipe()
    stream = OutputStream(writer, "the pipe")
    stream.write(b"x" * (5 << 20))
    assert stream.congested
    stream.patience = 0.0
    assert stream.close() == "cannot write to the pipe: its reader has stopped reading"
    # Its thread ends, and says what it has met.
    os.close(reader)
    stream.patience = None
    assert stream.close() == "cannot write to the pipe: Broken pipe"


def test_nothing_is_left_of_a_file_that_was_made_for_nothing(tmp_path):
    (tmp_path / "old").write_text("old")
    for name in ("old", "new"):
        OutputFile(str(tmp_path / name), compressed=True).discard()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("old", "old")]
