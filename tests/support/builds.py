"""A model of a build that is brought up to date by content. It knows no times, no journal and no digests."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from glob import glob
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.compiler import main
from tests.support.project import Step


class Record(NamedTuple):
    """A step that was ok: what it did, and what was in all that it read and made."""

    argv: Sequence[str]
    variables: Mapping[str, str | None]
    inputs: Mapping[str, Any]
    found: Mapping[str, Any]
    outputs: Mapping[str, Any]


def call(step: Step, root: Path) -> list[str]:
    return main([*step.argv], f"{root}/")


class Model:
    """A build in a folder of its own. ``update``: whether steps that name no files always run."""

    def __init__(self, root: Path, act: Callable[[Step, Path], list[str]] = call) -> None:
        """``act``: does what a step does, and returns what it has read beside its inputs."""
        self.root = root
        self.act = act
        self.update = True
        self.records: dict[str, Record] = {}

    def run(
        self,
        steps: Iterable[Step],
        environ: Mapping[str, str],
        wanted: Collection[str],
        forced: Collection[str] = (),
    ) -> tuple[set[str], set[str]]:
        """Bring the wanted steps up to date. Return which steps ran, and which are not ok."""
        ran: set[str] = set()
        bad: set[str] = set()
        insisted = set(forced)
        # Steps whose success counts no longer: they run now, or once they can.
        outdated: set[str] = set()
        for step in steps:
            name = step.name
            if insisted & {*step.needs} and name in wanted:
                insisted.add(name)
            always = self.update and name in wanted
            if name in insisted or (not step.has_files and (always or (ran | outdated) & {*step.needs})):
                self.records.pop(name, None)
                outdated.add(name)
            if name not in wanted:
                continue
            if bad.intersection(step.needs):
                bad.add(name)
            elif self.records.get(name) != self.state(step, environ):
                ran.add(name)
                self.records.pop(name, None)
                try:
                    self.take(step, environ)
                except (OSError, SystemExit):
                    bad.add(name)
        return ran, bad

    def take(self, step: Step, environ: Mapping[str, str]) -> None:
        """Run a step and record it."""
        found = self.act(step, self.root)
        self.records[step.name] = self.state(step, environ, found)

    def state(self, step: Step, environ: Mapping[str, str], found: Iterable[str] | None = None) -> Record:
        """What would be recorded. ``found``: what it has just read; None to look at what it read and made before."""
        last = self.records.get(step.name)
        outputs = self.expand(step.outputs)
        if found is None:
            found, outputs = (last.found, sorted({*last.outputs, *step.outputs})) if last else ((), outputs)
        variables = {name: environ.get(name) for name in step.variables}
        files = (self.expand(step.inputs), found, outputs)
        return Record(step.argv, variables, *({path: self.content(path) for path in paths} for paths in files))

    def expand(self, declarations: Iterable[str]) -> list[str]:
        return [path for declaration in declarations for path in self._expand(declaration)]

    def _expand(self, declaration: str) -> Iterator[str]:
        if "*" in declaration:
            found = glob(declaration, root_dir=self.root, recursive=True)
            yield from (path for path in found if not (self.root / path).is_dir())
        else:
            yield declaration
            inside = (self.root / declaration).rglob("*") if (self.root / declaration).is_dir() else ()
            yield from (str(path.relative_to(self.root)) for path in inside)

    def content(self, path: str) -> Any:
        file = self.root / path
        if file.is_dir() or not file.exists():
            return os.path.isdir(file), os.readlink(file) if file.is_symlink() else None, os.path.lexists(file)
        return file.read_bytes()
