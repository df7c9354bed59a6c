"""Folders in which tasks that name their files are looked at, without a run around them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from fastrun import Task
from fastrun.uptodate.contents import Contents, kernel_time
from fastrun.uptodate.examiner import Examiner, Look, Wrong
from fastrun.uptodate.facts import Facts, Made, Versions
from fastrun.uptodate.glance import Glance
from tests.support.processes import wait_for


def task_of(name: str = "a", *inputs: str, outputs: tuple[str, ...] = (), **more) -> Task:
    """Return a task that names its files."""
    return Task(name, "exec", "", inputs=list(inputs), outputs=list(outputs), **more)


class Site:
    """A folder, and what is recorded of tasks there. ``environ``: the environment of the next run."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.environ: dict[str, str] = {}
        self.versions = Versions()
        self.facts: dict[str, Facts] = {}
        self.contents = Contents({}, os.fspath(folder))
        self.next_run()

    def next_run(self) -> None:
        """Begin another run, which knows what the runs before it have recorded."""
        self.contents = Contents({**self.contents._seen, **self.contents.news}, os.fspath(self.folder))
        self.examiner = Examiner(self.contents, self.versions, self.facts.get, self.environ)

    def write(self, path: str, content: str = "") -> Path:
        """Write a file, and the folders that it lies in."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return file

    def settle(self) -> None:
        """Wait until a change from now on has a later time than all changes before."""
        now = self.write("tick").stat().st_ctime_ns
        wait_for(lambda: kernel_time() > now)

    def build(self, task: Task, work: Callable[[], object] = lambda: None) -> Made | Wrong | None:
        """Run a task, whose work is a function, and record what it made."""
        look = self.examiner.look(task)
        self.examiner.make_folders(task)
        work()
        return self.end(task, look)

    def end(self, task: Task, look: Look) -> Made | Wrong | None:
        """Record what a task made that has run since the look."""
        made = self.examiner.end(task, look)
        if isinstance(made, Made):
            inputs, found, outputs = map(self.versions.numbers_of, made[:3])
            self.facts[task.name] = Facts(inputs, found, outputs, made.variables, made.changed)
        return made

    def difference(self, task: Task) -> str:
        """Return the first difference that another run finds."""
        self.next_run()
        return self.examiner.look(task).difference

    def is_up_to_date(self, task: Task) -> bool:
        """Return what another run sees at a glance."""
        self.next_run()
        return Glance(self.examiner).is_up_to_date(task)
