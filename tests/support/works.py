"""Folders in which documents are brought up to date, run after run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import fastrun
from fastrun import Observer, Report, Start, Task
from tests.support.documents import document, exec_
from tests.support.processes import wait_for_tick


class _Watcher(Observer):
    """Keeps the names of the tasks that start, and why they do."""

    def __init__(self) -> None:
        self.why: dict[str, str] = {}
        self.output = b""

    def task_started(self, number: int, task: Task, start: Start) -> None:
        self.why.setdefault(task.name, start.why)

    def task_output(self, number: int, task: Task, stream: int, data: bytes) -> None:
        self.output += data


class Works:
    """A document that is run in the current folder. ``report``, ``why``, ``output``: of the last run."""

    report: Report
    why: dict[str, str]
    output: bytes

    def __init__(self, *tasks: dict[str, Any], journal: str = ".journal", pools: dict[str, int] | None = None) -> None:
        self.tasks = list(tasks)
        self.journal = journal
        self.pools = pools or {}

    def run(self, **options: Any) -> list[str]:
        """Bring all up to date. Return the names of the tasks that ran, sorted."""
        watcher = _Watcher()
        if not options.get("resume"):
            options.setdefault("update", True)
        content = {**document(*self.tasks), "pools": self.pools}
        # What changes in the same tick of the clock as a task starts may have changed while it ran.
        wait_for_tick()
        self.report = fastrun.run(content, journal=self.journal, observers=[watcher], **options)
        self.why, self.output = watcher.why, watcher.output
        return sorted(watcher.why)

    def statuses(self) -> dict[str, tuple[str, str]]:
        """Return status and reason of each task."""
        return {result.name: (result.status.label, result.reason) for result in self.report}


def step(name: str, command: str, *dependencies: str, **more: Any) -> dict[str, Any]:
    """Return a task whose files are in its command: ``cat a b > c`` reads ``a`` and ``b``, and makes ``c``."""
    words = command.split()
    at = words.index(">") if ">" in words else len(words)
    files = {"inputs": words[1:at], "outputs": words[at + 1 :]}
    return exec_(name, command, *dependencies, **{**files, **more})


def write(path: str, text: str = "") -> Path:
    """Write a file, and the folders that it lies in."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def read(path: str) -> str:
    return Path(path).read_text()


def disguise(path: str, text: str) -> None:
    """Write a file of the same size, with the times that it had."""
    before = os.stat(path)
    assert len(text) == before.st_size
    write(path, text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
