"""What exits of commands mean, where files say how often the kernel killed for want of memory."""

from __future__ import annotations

import errno
import signal
from typing import TYPE_CHECKING

import pytest

from fastrun.executors.commands.engine import INTERRUPTED, LOST
from fastrun.executors.commands.exits import Exits, cannot_start
from fastrun.outcome import OK, Cause, Outcome, Status

if TYPE_CHECKING:
    from pathlib import Path

OUT_OF_MEMORY = Outcome(Status.FAILED, Cause.OUT_OF_MEMORY)
KILLED = Outcome(Status.FAILED, Cause.SIGNAL, "SIGKILL")

# The names of the files that count, and their texts around the count.
VMSTAT = "vmstat", "nr_free_pages 7\noom_kill {}\ndrop_pagecache 5\n"
EVENTS = "memory.events", "low 0\nhigh 0\nmax 9\noom 9\noom_kill {}\noom_group_kill 5\n"
CONTROL = "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"


class System:
    """A system whose files a test writes; the process is in the group ``a/b``."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.groups = folder / "groups"
        self._own: list[str] = []

    def has(self, version: int) -> System:
        """Have control groups of this version."""
        self._own.append({1: "4:memory:/a/b", 2: "0::/a/b"}[version])
        (self.proc / "self").mkdir(parents=True, exist_ok=True)
        (self.proc / "self/cgroup").write_text("\n".join(self._own))
        return self

    def count(self, folder: str, file: tuple[str, str], kills: int) -> None:
        """Write how many processes the kernel has killed."""
        path = (self.proc if file is VMSTAT else self.groups) / folder / file[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file[1].format(kills))

    def exits(self) -> Exits:
        return Exits(str(self.proc), str(self.groups))


def outcome(exits: Exits, code: int = -signal.SIGKILL, running: int = 0) -> Outcome:
    return exits.outcome(code, 0, 0, running)


@pytest.mark.parametrize(
    ("version", "folder", "file"),
    [(2, "a/b", EVENTS), (2, "a", EVENTS), (1, "memory/a/b", CONTROL), (1, "memory", CONTROL)],
    ids=["own", "above", "own-1", "container-1"],
)
def test_kills_are_counted_in_the_own_group_and_not_elsewhere_on_the_machine(tmp_path, version, folder, file):
    system = System(tmp_path).has(version)
    system.count("", VMSTAT, 10)
    system.count(folder, file, 3)
    exits = system.exits()
    system.count("", VMSTAT, 12)
    assert outcome(exits) == KILLED
    system.count(folder, file, 4)
    assert outcome(exits) == OUT_OF_MEMORY
    assert outcome(exits) == KILLED


def test_a_group_of_both_versions_side_by_side_is_counted_by_that_which_limits_memory(tmp_path):
    system = System(tmp_path).has(1).has(2)
    system.count("", VMSTAT, 10)
    system.count("memory/a/b", CONTROL, 0)
    exits = system.exits()
    system.count("memory/a/b", CONTROL, 1)
    assert outcome(exits) == OUT_OF_MEMORY


@pytest.mark.parametrize("version", [1, 2])
def test_the_machine_counts_where_no_group_does(tmp_path, version):
    system = System(tmp_path).has(version)
    # Kernels before 4.13 count none.
    system.count("memory/a/b", (CONTROL[0], "oom_kill_disable 0\nunder_oom 0\n"), 0)
    system.count("", VMSTAT, 10)
    exits = system.exits()
    assert outcome(exits) == KILLED
    system.count("", VMSTAT, 11)
    assert outcome(exits) == OUT_OF_MEMORY


def test_nothing_is_said_of_memory_where_nothing_counts(tmp_path):
    assert outcome(System(tmp_path).exits()) == KILLED


def test_as_many_kills_are_told_as_there_were_or_as_commands_are_left(tmp_path):
    system = System(tmp_path)
    system.count("", VMSTAT, 0)
    exits = system.exits()
    system.count("", VMSTAT, 5)
    # Of five kills one is this, and two may be those of the commands that run yet.
    assert [outcome(exits, running=left) for left in (2, 1, 0, 0)] == [OUT_OF_MEMORY] * 3 + [KILLED]


@pytest.mark.parametrize(
    ("code", "flags", "unread", "expected"),
    [
        (0, 0, 0, OK),
        (0, 0, errno.EIO, Outcome(Status.FAILED, Cause.OUTPUT_LOST, "Input/output error")),
        (3, 0, errno.EIO, Outcome(Status.FAILED, Cause.EXIT, 3)),
        (-signal.SIGTERM, 0, 0, Outcome(Status.FAILED, Cause.SIGNAL, "SIGTERM")),
        (128 + signal.SIGKILL, 0, 0, OUT_OF_MEMORY),
        (-signal.SIGKILL, INTERRUPTED, 0, Outcome(Status.INTERRUPTED)),
        (LOST, 0, 0, Outcome(Status.FAILED, Cause.STATUS_LOST)),
    ],
)
def test_exits_mean_what_they_say(tmp_path, code, flags, unread, expected):
    system = System(tmp_path)
    system.count("", VMSTAT, 0)
    exits = system.exits()
    system.count("", VMSTAT, 1)
    assert exits.outcome(code, flags, unread, 0) == expected


def test_a_command_that_cannot_start_is_told_with_its_path():
    assert cannot_start(OSError(errno.EMFILE, "Too many")).detail == "Too many"
    assert cannot_start(OSError(errno.ENOENT, "None", b"/bin/\x1b[0m")).detail == "None: /bin/\\x1b[0m"
