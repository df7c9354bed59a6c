"""The comparison of what tasks declare with what is recorded of them.

Knows tasks, facts and the contents of files. Does not know when a task runs, nor where facts are written.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b
from itertools import chain
from time import monotonic
from typing import NamedTuple

from fastrun.document.task import Task
from fastrun.outcome import Cause
from fastrun.text import printable
from fastrun.uptodate.contents import ABSENT, UNREADABLE, Contents, kernel_time
from fastrun.uptodate.declared import Declared, coverage, declared, path_from, text_before, values, without_paths
from fastrun.uptodate.depfile import DepfileError, prerequisites
from fastrun.uptodate.facts import Facts, Made, Version, Versions

# Most columns of the path in a sentence.
_COLUMNS = 120

# What has become of a file, by its digest.
_CHANGES = {ABSENT: "is gone", UNREADABLE: "cannot be read"}


class Look(NamedTuple):
    """What a task would read if it started now.

    ``difference``: the first one to what is recorded, empty if there is none: then the task is up to date.
    ``missing``: a declared input that is not there, or an empty text. ``inputs``, ``found``: as in ``Facts``, but as
    versions. ``times``: by path, when they were last written. ``time``: of the look, see ``kernel_time``, and ``began``
    by the monotonic clock.
    """

    difference: str
    missing: str
    inputs: list[Version]
    found: list[Version]
    variables: dict[str, str | None]
    times: dict[str, int]
    time: int
    began: float


class Wrong(NamedTuple):
    """Why a task that was ok has failed all the same."""

    cause: Cause
    detail: str


class Examiner:
    """Tells whether tasks are up to date. Any thread may call ``look`` and ``end``."""

    def __init__(
        self,
        contents: Contents,
        versions: Versions,
        facts: Callable[[str], Facts | None],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """``facts``: returns what is recorded of the files of the task of a name, None if it was not ok."""
        self.contents = contents
        self.versions = versions
        self.facts = facts
        self._environ = dict(environ)
        # By absolute path, the digests of what tasks have made in this run, when that was written and when seen.
        self._made: dict[str, tuple[str, int, float]] = {}

    def look(self, task: Task, is_remade: Callable[[str], bool] = lambda _: False) -> Look:
        """Look at all that a task reads, and compare it with what is recorded.

        ``is_remade``: whether a file is made anew before the task starts, so that it makes no difference now.
        """
        time, began = kernel_time(), monotonic()
        what = declared(task, self.contents.folder)
        paths = self.inputs(what)
        # Before they are read.
        times = {path: self.contents.written_at(path) for path in paths}
        inputs = self.contents.versions(paths)
        missing = next((path for path, digest in inputs if digest == ABSENT and path in what.inputs), "")
        variables = self.variables(task)
        facts = self.facts(task.name)
        if facts is None:
            return Look("not recorded", missing, inputs, [], variables, times, time, began)
        paths = [path for path, _ in self.versions.of(facts.found)]
        times.update((path, self.contents.written_at(path)) for path in paths)
        found = self.contents.versions(paths)
        differences = self._differences(facts, what, inputs, found, variables)
        difference = next((text for path, text in differences if not path or not is_remade(path)), "")
        return Look(difference, missing, inputs, found, variables, times, time, began)

    def make_folders(self, task: Task) -> None:
        """Make the folders of what a task makes, as ninja does: of a pattern those without a special character.

        If that fails, the task fails by itself.
        """
        what = declared(task, self.contents.folder)
        for path in what.made:
            with suppress(OSError, ValueError):
                os.makedirs(os.path.dirname(self.contents.full(text_before(path) or ".")), exist_ok=True)

    def end(self, task: Task, look: Look | None) -> Made | Wrong | None:
        """Look at what a task has made that is ok. ``look``: from before its start, None if nothing is recorded."""
        what = declared(task, self.contents.folder)
        found: list[str] = []
        if what.depfile is not None:
            try:
                found = self._prerequisites(what.depfile, task.cwd)
            except (OSError, DepfileError) as error:
                text = error.strerror if isinstance(error, OSError) else str(error)
                separator = ": " if isinstance(error, OSError) else ":"
                return Wrong(Cause.DEPFILE, f"{shown(what.depfile)}{separator}{text}")
        outputs = [path for path in self.contents.expand(what.outputs) if os.path.lexists(self.contents.full(path))]
        not_made = next(without_paths(what.outputs, outputs), None)
        if not_made is not None:
            return Wrong(Cause.NO_OUTPUT, shown(not_made))
        if look is None:
            return None
        known, is_own = dict(look.inputs), coverage(what.made)
        versions = self.contents.versions(path for path in found if path not in known and not is_own(path))
        changed = self._changed_meanwhile(what, look, versions)
        times = [self.contents.written_at(path) for path in outputs]
        made = self.contents.versions(outputs)
        now = monotonic()
        for (path, digest), time in zip(made, times, strict=True):
            self._made[self.contents.full(path)] = digest, time, now
        return Made(look.inputs, versions, made, look.variables, changed)

    def inputs(self, what: Declared, memory: dict[str, list[str]] | None = None) -> list[str]:
        """Return the paths of the declared inputs. What the task makes itself is not one of them.

        ``memory``: see ``Contents.expand``.
        """
        is_own = coverage(what.made)
        return [path for path in self.contents.expand(what.inputs, memory) if not is_own(path)]

    def variables(self, task: Task) -> dict[str, str | None]:
        """Return the digests of a task's ``env_inputs``, None for a variable that is not set."""
        found = values(task.env_inputs, task.env, self._environ)
        return {
            name: None if value is None else blake2b(value.encode(errors="surrogateescape"), digest_size=16).hexdigest()
            for name, value in found.items()
        }

    def _prerequisites(self, depfile: str, cwd: str | None) -> list[str]:
        names = prerequisites(self.contents.text(depfile))
        return list(dict.fromkeys(path_from(cwd, name, self.contents.folder) for name in names))

    def _changed_meanwhile(self, what: Declared, look: Look, found: Iterable[Version]) -> str:
        """Return an input that changed while the task ran, or an empty text."""
        before = dict(look.inputs)
        declared_now = self.contents.versions(self.inputs(what))
        gone = before.keys() - dict(declared_now).keys()
        if gone:
            return min(gone)
        before.update(look.found)
        for path, digest in (*declared_now, *found):
            if path in look.times:
                # The same content may be that of a file that changed and was changed back.
                changed = digest != before[path] or self.contents.written_at(path) != look.times[path]
            else:
                changed = self._is_newer(path, digest, look)
            if changed:
                return path
        return ""

    def _is_newer(self, path: str, digest: str, look: Look) -> bool:
        """Return whether a file that only a depfile names may have changed since a look."""
        made, time, at = self._made.get(self.contents.full(path), (None, 0, 0.0))
        if made is not None and at <= look.began:
            # By a task that had ended by then, be it only just.
            return digest != made or self.contents.written_at(path) != time
        return digest != ABSENT and self.contents.changed_since(path, look.time)

    def _differences(
        self,
        facts: Facts,
        what: Declared,
        inputs: list[Version],
        found: list[Version],
        variables: Mapping[str, str | None],
    ) -> Iterator[tuple[str, str]]:
        """Yield the differences between what is recorded and what is there, each with the file that is different."""
        if facts.changed:
            yield "", f"{shown(facts.changed)} changed while it ran"
        for name in {**facts.variables, **variables}:
            if facts.variables.get(name) != variables.get(name):
                yield "", f"{printable(name)} changed"
        before = dict(self.versions.of(facts.inputs))
        now = dict(inputs)
        for path in {**before, **now}:
            if path not in now:
                is_there = self.contents.known(path) != ABSENT
                yield path, f"{shown(path)} is {'no longer an input' if is_there else 'gone'}"
            if path not in before:
                yield path, f"{shown(path)} is new"
        now.update(found)
        outputs = self.versions.of(facts.outputs)
        is_made = coverage(what.outputs)
        still = (version for version in outputs if is_made(version[0]))
        for path, digest in chain(before.items(), self.versions.of(facts.found), still):
            current = now[path] if path in now else self.contents.digest(path)
            if current != digest or current == UNREADABLE:
                yield path, f"{shown(path)} {_CHANGES.get(current, 'changed')}"
        made = [path for path, _ in outputs]
        yield from (("", f"{shown(new)} is a new output") for new in without_paths(what.outputs, made))


def shown(path: str) -> str:
    """Return a path for a sentence."""
    return printable(path, _COLUMNS)
