"""A project that is edited and brought up to date again and again, by fastrun and by a model."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

import fastrun
from fastrun.executors.guardian.marks import marked_processes
from fastrun.journal.recorded import read_journal
from fastrun.journal.recovery import foresee
from fastrun.loading import load_graph
from fastrun.plan.selection import part_of, select
from fastrun.settings import RunSettings
from tests.support.builds import Model, call
from tests.support.documents import write_json
from tests.support.edits import KINDS, edit
from tests.support.fakes import Started
from tests.support.journals import records_of_last_run, wait_for_lock
from tests.support.processes import LIMIT, fastrun_process, wait_for, wait_for_tick
from tests.support.project import Project, Step, remove, snippet

_VARIABLES = ("CFLAGS", "MODE")


class Trial:
    """A project with three builds: one of fastrun, one of the model, and one that is always made from nothing."""

    def __init__(
        self,
        folder: Path,
        patch: pytest.MonkeyPatch,
        seed: int,
        form: Callable[[Step], dict[str, Any]] = snippet,
        *,
        update: bool | None = True,
        more: Sequence[Path] = (),
        act: Callable[[Step, Path], list[str]] = call,
        **settings: Any,
    ) -> None:
        """Generate the project, and write it in each folder.

        ``form``: makes tasks of steps; ``act``: does what these do for the model. ``update``: how fastrun is called;
        else with ``resume``; None: either, at random. ``more``: folders of others that build it. ``settings``: of all
        runs.
        """
        self.roots = [folder / name for name in ("real", "model", "nothing")]
        self.choose = random.Random(seed)
        self.project = Project(self.choose, *self.roots, *more)
        self.form = form
        self.updates = [update] if update is not None else [True, False]
        self.model, self.nothing = Model(self.roots[1], act), Model(self.roots[2], act)
        self.journal = folder / "journal"
        self.more = settings
        self.done: list[str] = []
        patch.chdir(self.roots[0])
        for name in _VARIABLES:
            # To be put back at the end.
            patch.delenv(name, raising=False)

    @property
    def document(self) -> dict[str, Any]:
        return self.project.document(self.form)

    def edit(self, kinds: dict[str, int] = KINDS) -> None:
        self.done.append(edit(self.project, kinds))
        # What changes in the same tick of the clock as a task starts may have changed while it ran.
        wait_for_tick()

    def settings(self) -> dict[str, Any]:
        how = "update" if self.model.update else "resume"
        return {how: True, "journal": str(self.journal), "guardian": False, **self.more}

    def set_variables(self) -> None:
        for name in _VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(self.project.environ)

    def missing(self) -> list[str]:
        """Inputs that are not there, and that no step makes."""
        steps = self.project.steps()
        made = {path for step in steps for path in step.outputs}
        named = (path for step in steps for path in step.inputs if "*" not in path and path not in made)
        return [path for path in named if not os.path.lexists(self.roots[0] / path)]

    def check(self) -> None:
        """Bring all up to date, and look that a second run does nothing. Sometimes a part alone comes first."""
        self.set_variables()
        if missing := self.missing():
            with pytest.raises(fastrun.SpecError, match="is missing, and no task makes it") as raised:
                fastrun.run(self.document, **self.settings())
            assert all(path in str(raised.value) for path in missing)
            return
        names = [step.name for step in self.project.steps()]
        while self.choose.random() < 0.2:
            self.run(asked=self.choose.choice(names))
        forced = [name for name in names if self.choose.random() < 0.02]
        _, bad = self.run(forced=forced)
        self.check_artefacts(bad)
        assert self.run(again=True)[1] == bad
        self._compare(bad)

    def die(self) -> None:
        """End a run in the middle, mostly by SIGKILL, and let the model take what it has recorded.

        Sometimes the project is edited before the next run.
        """
        self.set_variables()
        if self.missing():
            return
        self.model.update = self.choose.choice(self.updates)
        path = write_json(self.journal.parent, self.document)
        options = self.choose.choice([[], [], ["-j", "1"], ["--no-guardian"], ["--durable"]])
        # How many lines about starts and ends are printed before.
        moment = self.choose.randint(1, 30)
        how = "--update" if self.model.update else "--resume"
        ended = set()
        with fastrun_process(how, "--journal", self.journal, *options, path) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith(b"Ended : "):
                    ended.add(line[8:-1].decode())
                moment -= line.startswith((b"Started: ", b"Ended : "))
                if not moment:
                    break
            process.send_signal(self.choose.choice([signal.SIGKILL] * 3 + [signal.SIGINT, signal.SIGTERM]))
            process.communicate(timeout=LIMIT)
        wait_for_lock(self.journal)
        text = self.journal.read_bytes()
        runs = read_journal(text).runs
        wait_for(lambda: not runs or not marked_processes(runs[-1].id))
        self._take_over(text, ended)
        if self.choose.random() < 0.5:
            self.edit()

    def _take_over(self, text: bytes, ended: set[str]) -> None:
        """``text``: of the journal. ``ended``: names of tasks whose ends were printed."""
        steps = {step.name: step for step in self.project.steps()}
        records = self.model.records
        recorded, outdated = set(), set()
        for record in records_of_last_run(text):
            kind, name = record["record"], record.get("name", "")
            if kind == "start":
                # A run that is killed later on starts nothing more than others do.
                step = steps[name]
                assert not step.has_files or records.get(name) != self.model.state(step, self.project.environ)
                outdated.add(name)
            if kind in ("start", "redo"):
                records.pop(name, None)
            if kind == "end":
                recorded.add(name)
                if record["status"] == "ok":
                    self.model.take(steps[name], self.project.environ)
        assert ended <= recorded
        for name, step in steps.items():
            if not step.has_files and outdated.intersection(step.needs):
                # What follows will run, though the run that would have done that is over.
                assert name in recorded or name not in records
                outdated.add(name)
        self._take_files([steps[name] for name in recorded & records.keys()])

    def _take_files(self, ok: Iterable[Step]) -> None:
        """Have the model go on from what is there: some steps were ok, others have half made something."""
        for step in ok:
            assert artefacts(self.roots[1], step) == artefacts(self.roots[0], step), step.name
        for folder in "out", "gen":
            remove(self.roots[1] / folder)
            if (self.roots[0] / folder).exists():
                shutil.copytree(self.roots[0] / folder, self.roots[1] / folder, symlinks=True)

    def run(
        self, asked: str | None = None, forced: Sequence[str] = (), *, again: bool = False
    ) -> tuple[set[str], set[str]]:
        """Run, and compare with the model. Return the names of the tasks that ran, and of those that are not ok.

        ``asked``: the name of a task that is wanted with all that it needs. ``again``: nothing changed since the last
        run.
        """
        self.model.update = self.choose.choice(self.updates)
        steps = self.project.steps()
        wanted = reached(steps, asked)
        selection = None if asked is None else fastrun.Selection(names=[asked])
        before = self.journal.read_bytes() if self.journal.exists() else None
        plan = self._plan(selection, forced)
        assert before == (self.journal.read_bytes() if self.journal.exists() else None)
        jobs = self.choose.choice([None, None, 1, 3])
        recorder = Started()
        # Of what the last run has made, too, some may have been made just now.
        wait_for_tick()
        report = fastrun.run(
            self.document, select=selection, observers=[recorder], rerun=forced, jobs=jobs, **self.settings()
        )
        ran, bad = self.model.run(steps, self.project.environ, wanted, forced)
        label = f"edit {len(self.done)}: {self.done[-1:]}; asked for {asked}, forced {forced}"
        assert recorder.why.keys() == ran, f"{label}: ran {recorder.why}, not {ran}"
        assert all(recorder.why.values()), recorder.why
        assert {result.name for result in report if result.status.label != "ok"} == bad, label
        for result in report:
            if result.name not in ran | bad:
                assert result.reason == ("up to date" if self.model.update else "from the journal")
        assert ran <= plan, label
        if again and not bad:
            assert ran == plan
            assert ran == ({step.name for step in steps if not step.has_files} if self.model.update else set())
        return ran, bad

    def _plan(self, selection: fastrun.Selection | None, forced: Sequence[str]) -> set[str]:
        """The names of the tasks that a dry run says may run."""
        graph = load_graph(self.document)
        if selection is not None:
            graph = part_of(graph, select(graph, selection))
        plan = foresee(graph, str(self.journal), RunSettings(**self.settings(), rerun=forced))
        return {graph.tasks[number].name for number in plan.why}

    def check_artefacts(self, bad: Collection[str] = ()) -> None:
        """Compare what is made with a build from nothing."""
        remove(self.roots[2] / "out")
        remove(self.roots[2] / "gen")
        steps = self.project.steps()
        _, failed = self.nothing.run(steps, self.project.environ, reached(steps))
        assert failed <= {*bad}
        self._compare(bad)

    def _compare(self, bad: Collection[str]) -> None:
        for step in self.project.steps():
            if step.name not in bad:
                real, model, made = (artefacts(root, step) for root in self.roots)
                assert real == made, f"edit {len(self.done)}: {self.done[-1:]}: {step.name}"
                assert step.name not in self.model.records or model == made


def reached(steps: Sequence[Step], asked: str | None = None) -> set[str]:
    """The names of a step and of all that it needs; without a step, of all."""
    found = {step.name for step in steps if asked in (None, step.name)}
    for step in reversed(steps):
        if step.name in found:
            found.update(step.needs)
    return found


def artefacts(root: Path, step: Step) -> dict[str, Any]:
    """What a step has made."""
    build = Model(root)
    return {path: build.content(path) for path in build.expand(step.outputs)}
