"""What is in files: read when it may have changed, and only then."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from hashlib import blake2b
from pathlib import Path

import pytest

from fastrun.uptodate import contents as module
from fastrun.uptodate.contents import ABSENT, FOLDER, UNREADABLE, Contents, kernel_time
from tests.support.processes import wait_for

OLD = 1_000_000_000


def digest_of(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


class Files(Contents):
    """Contents of which the test sees what they read."""

    def __init__(self, folder, seen=None) -> None:
        super().__init__({} if seen is None else seen, os.fspath(folder))
        self.read: list[int] = []

    def _read(self, descriptor: int) -> str:
        self.read.append(descriptor)
        return super()._read(descriptor)

    def reads(self, path: str) -> bool:
        """Whether the path is read for its digest."""
        self.read.clear()
        self.digest(path)
        return bool(self.read)


@pytest.fixture
def files(tmp_path) -> Files:
    return Files(tmp_path)


def settle(path) -> None:
    """Wait until the file is older than the kernel's clock, so that a later change leaves a trace."""
    wait_for(lambda: kernel_time() > path.stat().st_ctime_ns)


def test_a_file_is_read_once(tmp_path, files):
    file = tmp_path / "a"
    file.write_bytes(b"content")
    settle(file)
    assert files.known("a") is None
    assert files.digest("a") == digest_of(b"content")
    assert files.known("a") == digest_of(b"content")
    assert not files.reads("a")
    later = Files(tmp_path, files.news)
    assert later.known("a") == digest_of(b"content")
    assert not later.reads("a")
    assert later.news == {}


@pytest.mark.parametrize("size", [0, 1, module._PIECE, module._PIECE + 1])
def test_a_digest_is_of_the_whole_file(tmp_path, files, size):
    data = os.urandom(size)
    (tmp_path / "a").write_bytes(data)
    assert files.digest("a") == digest_of(data)


def test_a_file_that_changed_just_before_it_was_read_is_read_again(tmp_path, files, monkeypatch):
    """A second change in the same tick of the clock, of the same size, leaves no trace."""
    file = tmp_path / "a"
    file.write_bytes(b"one")
    monkeypatch.setattr(module, "kernel_time", lambda: file.stat().st_ctime_ns)
    assert files.digest("a") == digest_of(b"one")
    assert files.news == {}
    assert files.reads("a")
    monkeypatch.setattr(module, "kernel_time", lambda: file.stat().st_ctime_ns + 1)
    files.digest("a")
    assert not files.reads("a")


def test_changes_in_quick_succession_are_all_seen(tmp_path, files):
    """Real files and the real clock: each change has the same size, and most fall into one tick."""
    file = tmp_path / "a"
    for number in range(2_000):
        data = b"%04d" % number
        with open(file, "r+b" if number else "wb") as stream:
            stream.write(data)
        assert files.digest("a") == digest_of(data)


def test_a_file_system_that_keeps_whole_seconds_is_trusted_later(tmp_path, files, monkeypatch):
    file = tmp_path / "a"
    file.write_bytes(b"one")
    second = file.stat().st_ctime_ns // OLD * OLD
    size, _, _, inode = module._looks(file.stat())
    monkeypatch.setattr(module, "_looks", lambda _: (size, second, second, inode))
    monkeypatch.setattr(module, "kernel_time", lambda: second + 2 * OLD)
    files.digest("a")
    assert files.news == {}
    monkeypatch.setattr(module, "kernel_time", lambda: second + 2 * OLD + 1)
    files.digest("a")
    assert list(files.news) == ["a"]


def test_an_old_time_and_the_same_size_hide_no_change(tmp_path, files):
    file = tmp_path / "a"
    file.write_bytes(b"one")
    os.utime(file, ns=(OLD, OLD))
    settle(file)
    files.digest("a")
    file.write_bytes(b"two")
    os.utime(file, ns=(OLD, OLD))
    assert files.digest("a") == digest_of(b"two")


def test_a_time_in_the_future_hides_no_change(tmp_path, files):
    file = tmp_path / "a"
    file.write_bytes(b"one")
    future = time.time_ns() + 10**15
    os.utime(file, ns=(future, future))
    settle(file)
    assert files.digest("a") == digest_of(b"one")
    file.write_bytes(b"two")
    os.utime(file, ns=(future, future))
    assert files.digest("a") == digest_of(b"two")


def test_another_file_of_the_same_name_is_read(tmp_path, files):
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_bytes(b"one")
    other.write_bytes(b"two")
    os.utime(file, ns=(OLD, OLD))
    os.utime(other, ns=(OLD, OLD))
    settle(other)
    files.digest("a")
    other.rename(file)
    assert files.digest("a") == digest_of(b"two")


def test_what_is_not_there_has_a_digest_too(tmp_path, files):
    assert files.known("a") == files.digest("a") == ABSENT
    assert files.digest("nowhere/a") == files.digest("a\0b") == files.digest("a" * 300) == ABSENT
    (tmp_path / "file").touch()
    assert files.digest("file/a") == ABSENT


def test_a_link_is_what_it_leads_to(tmp_path, files):
    link = tmp_path / "link"
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two")
    os.symlink("a", link)
    assert files.digest("link") == digest_of(b"one")
    link.unlink()
    os.symlink("b", link)
    assert files.digest("link") == digest_of(b"two")


def test_links_that_lead_to_no_file_differ_by_where_they_lead(tmp_path, files):
    (tmp_path / "folder").mkdir()
    (tmp_path / "other").mkdir()
    for name, target in [("a", "gone"), ("b", "away"), ("c", "folder"), ("d", "other"), ("round", "round")]:
        os.symlink(target, tmp_path / name)
    found = [files.digest(name) for name in ("a", "b", "c", "d", "round", "folder", "nothing")]
    assert len(set(found)) == len(found)
    assert found[-2:] == [FOLDER, ABSENT]


def test_a_file_that_becomes_a_folder_is_another(tmp_path, files):
    (tmp_path / "a").touch()
    before = files.digest("a")
    (tmp_path / "a").unlink()
    (tmp_path / "a").mkdir()
    assert files.digest("a") == FOLDER != before


def test_what_is_no_file_is_not_opened(tmp_path, files):
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(tmp_path / "socket"))
        found = {files.digest(path) for path in ("fifo", "socket", "/dev/zero")}
    assert len(found) == 3
    assert all(digest.startswith("special ") for digest in found)
    assert files.read == []


def test_a_file_that_cannot_be_read_is_equal_to_nothing(files):
    """Root may read all files, but not what the kernel lets nobody read."""
    assert files.digest("/proc/self/clear_refs") == UNREADABLE
    assert files.known("/proc/self/clear_refs") is None
    assert files.news == {}


def test_a_file_of_the_kernel_is_read_each_time_it_looks_different(files):
    assert files.digest("/proc/version") == digest_of(Path("/proc/version").read_bytes())


def test_a_file_that_grows_while_it_is_read_is_not_kept(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"one")
    settle(file)

    class Growing(Files):
        def _read(self, descriptor: int) -> str:
            found = super()._read(descriptor)
            with file.open("ab") as stream:
                stream.write(b", two")
            return found

    files = Growing(tmp_path)
    assert files.digest("a") == digest_of(b"one")
    assert files.news == {}


def test_a_changed_file_forgets_what_was_seen(tmp_path, files, monkeypatch):
    file = tmp_path / "a"
    file.write_bytes(b"one")
    settle(file)
    files.digest("a")
    file.write_bytes(b"two")
    monkeypatch.setattr(module, "kernel_time", lambda: file.stat().st_ctime_ns)
    files.digest("a")
    assert files.news == {}


def test_reading_ends_when_nobody_waits_for_it(tmp_path):
    file = tmp_path / "large"
    file.touch()
    os.truncate(file, 1 << 40)
    files = Files(tmp_path)
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(files.digest("large")))
    thread.start()
    wait_for(lambda: bool(files.read))
    files.stop()
    thread.join()
    assert found == [UNREADABLE]
    assert files.news == {}


def test_a_file_may_have_changed_since_a_time(tmp_path, files):
    file = tmp_path / "a"
    file.touch()
    assert files.changed_since("a", file.stat().st_ctime_ns)
    assert not files.changed_since("a", file.stat().st_ctime_ns + 3 * OLD)
    assert files.changed_since("gone", kernel_time())


def test_only_files_are_written_at_a_time(tmp_path, files):
    file = tmp_path / "a"
    file.touch()
    os.utime(file, ns=(OLD, OLD))
    assert [files.written_at(path) for path in ("a", "gone", ".", "/dev/null")] == [OLD, 0, 0, 0]


def test_paths_are_relative_to_a_folder_wherever_the_process_is(tmp_path, files, monkeypatch):
    (tmp_path / "a").write_bytes(b"one")
    monkeypatch.chdir("/")
    assert files.expand(["*", "."]) == ["a", "."]
    assert files.digest("a") == digest_of(b"one")


def test_a_folder_stands_for_all_that_is_in_it(tmp_path, files):
    (tmp_path / "f/sub/.hidden").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for path in ("f/b", "f/a", "f/sub/.hidden/c", "elsewhere/d"):
        (tmp_path / path).touch()
    os.symlink("../elsewhere", tmp_path / "f/link")
    os.mkfifo(tmp_path / "f/fifo")
    inside = ["f/a", "f/b", "f/fifo", "f/link", "f/sub", "f/sub/.hidden", "f/sub/.hidden/c"]
    assert files.expand(["f"]) == ["f", *inside]
    assert files.expand(["f/link"]) == ["f/link", "f/link/d"]
    assert files.expand(["f", "f/a", "f"]) == ["f", *inside]


def test_a_folder_has_no_journals_in_it(tmp_path, files):
    (tmp_path / ".fastrun").mkdir()
    for path in ("a", ".fastrun/tasks.journal"):
        (tmp_path / path).touch()
    assert files.expand(["."]) == [".", "a"]


def test_a_named_path_is_there_even_if_nothing_is(files):
    assert files.expand(["gone", "gone/*", "gone"]) == ["gone"]


def test_a_pattern_stands_for_files_links_and_pipes_but_no_folders(tmp_path, files):
    (tmp_path / "f.d/sub.c").mkdir(parents=True)
    for path in ("f.d/b.c", "f.d/a.c", "f.d/.h.c", "f.d/sub.c/c.c", "f.d/[x].c"):
        (tmp_path / path).touch()
    os.symlink("nowhere", tmp_path / "f.d/l.c")
    os.mkfifo(tmp_path / "f.d/p.c")
    found = ["f.d/[x].c", "f.d/a.c", "f.d/b.c", "f.d/l.c", "f.d/p.c"]
    assert files.expand(["f.d/*.c"]) == found
    assert files.expand([f"{tmp_path}/f.d/a*"]) == [f"{tmp_path}/f.d/a.c"]
    assert files.expand(["**/*.c"]) == [*found, "f.d/sub.c/c.c"]
    assert files.expand(["f.d/[x].c"]) == ["f.d/[x].c"]
    assert files.expand(["gone/*"]) == []


def test_links_to_folders_are_followed_by_patterns_unless_they_lead_round(tmp_path, files):
    for path in ("f/a.c", "other/sub/b.c", "x/c.c", "y/d.c"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    for link, target in [("f/one", "."), ("f/two", ".."), ("f/root", "/"), ("f/self", "self"), ("f/link", "../other")]:
        os.symlink(target, tmp_path / link)
    os.symlink("../y", tmp_path / "x/to_y")
    os.symlink("../x", tmp_path / "y/to_x")
    assert sorted(files.expand(["f/**/*.c"])) == ["f/a.c", "f/link/sub/b.c"]
    assert sorted(files.expand(["[xy]/**/*.c"])) == ["x/c.c", "x/to_y/d.c", "y/d.c", "y/to_x/c.c"]
    # Named part by part a way may lead round.
    assert sorted(files.expand(["f/*/*.c"])) == ["f/one/a.c"]
    assert sorted(files.expand(["f/two/f/one/*.c"])) == ["f/two/f/one/a.c"]


def test_a_folder_that_is_gone_or_closed_is_empty(tmp_path, files):
    (tmp_path / "f").mkdir()
    os.chmod(tmp_path / "f", 0)
    assert files.expand(["f", "f/*", "f\0/*"]) == ["f"]
    assert files._entries("gone") == []


def test_folders_that_are_deep_are_searched(tmp_path, files):
    deep = "d/" * 1_000
    subprocess.run(["mkdir", "-p", deep], cwd=tmp_path, check=True)
    try:
        (tmp_path / deep / "a.c").touch()
        assert files.expand(["**/*.c"]) == [f"{deep}a.c"]
        assert len(files.expand(["d"])) == 1_001
    finally:
        # Python's own way is recursive.
        subprocess.run(["rm", "-r", "d"], cwd=tmp_path, check=True)


def test_names_in_no_encoding_and_with_newlines_are_found(tmp_path, files):
    names = ["\udcff.c", "a\nb.c", "é.c"]
    for name in names:
        (tmp_path / name).write_bytes(os.fsencode(name))
    assert files.expand(["*.c"]) == sorted(names)
    assert [files.digest(name) for name in names] == [digest_of(os.fsencode(name)) for name in names]


def test_what_declarations_stand_for_is_searched_once_where_it_is_kept(tmp_path, files):
    memory: dict[str, list[str]] = {}
    (tmp_path / "a.c").touch()
    assert files.expand(["*.c"], memory) == ["a.c"]
    (tmp_path / "b.c").touch()
    assert files.expand(["x", "*.c"], memory) == ["x", "a.c"]
    assert files.expand(["*.c"]) == ["a.c", "b.c"]
