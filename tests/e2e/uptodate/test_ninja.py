"""A project that is edited at random, by fastrun and by ninja: what fastrun runs beside what times say."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.amounts import many
from tests.support.builds import Record
from tests.support.differential import Trial, artefacts
from tests.support.processes import LIMIT
from tests.support.project import Step, command

NINJA = shutil.which("ninja", path=os.path.dirname(sys.executable)) or shutil.which("ninja")
EDITS = many("random edits of a project that ninja builds too", 15, 150)

# First words of the names of steps that name all their files: ninja knows neither patterns nor folders.
KNOWN = ("generate", "compile", "library", "link")

# Edits that ninja sees: what is edited has a later time than all that was built before.
SEEN = {
    "touch": 2,
    "comment": 3,
    "code": 2,
    "longer_code": 1,
    "header": 4,
    "include": 3,
    "version": 2,
    "delete_output": 3,
    "delete_all_outputs": 1,
    "flag": 2,
    "rename": 1,
    "add_source": 1,
    "drop_source": 1,
    "go_back": 3,
    "copy_over": 1,
}


def ninja(root: Path, steps: Sequence[Step]) -> set[str]:
    """Build with ninja. Return the names of the steps that ran."""

    def escaped(text: str) -> str:
        return text.replace("$", "$$").replace(" ", "$ ")

    lines = ["rule run", "  command = $run", "  depfile = $dep", "  description = $step"]
    for step in steps:
        outputs, inputs = (" ".join(map(escaped, paths)) for paths in (step.outputs, step.inputs))
        # A header that is made must be there first; whether it is read, the depfile says.
        lines.append(f"build {outputs}: run {inputs}{' || gen/version.h' if step.depfile else ''}")
        run = command(step)["arguments"].replace("$", "$$")
        lines += [f"  run = {run}", f"  step = {step.name}", f"  dep = {step.depfile or ''}"]
    (root / "build.ninja").write_text("\n".join([*lines, ""]))
    assert NINJA is not None
    environ = {**os.environ, "NINJA_STATUS": "ran "}
    done = subprocess.run([NINJA], cwd=root, env=environ, capture_output=True, text=True, timeout=LIMIT, check=True)
    return {line[4:] for line in done.stdout.splitlines() if line.startswith("ran ")}


def times(root: Path) -> dict[str, int]:
    """When each file was written, by all paths that lead to it."""
    found = (Path(folder) / name for folder, _, names in os.walk(root, followlinks=True) for name in names)
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in found}


def by_time(steps: Sequence[Step], records: Mapping[str, Record], written: Collection[str], root: Path) -> set[str]:
    """What runs where times decide: all that reads what was written or is made again, and what does something else.

    ``records``: of the last time. ``written``: files that were since then.
    """
    ran: set[str] = set()
    written = set(written)
    for step in steps:
        missing = [path for path in step.outputs if not (root / path).exists()]
        last = records.get(step.name)
        if missing or last is None or last.argv != step.argv or written & {*step.inputs, *last.found}:
            ran.add(step.name)
            written.update(step.outputs)
    return ran


@pytest.mark.skipif(NINJA is None, reason="no ninja is installed")
def test_ninja_runs_all_that_fastrun_runs_and_what_has_only_other_times(tmp_path, monkeypatch):
    root = tmp_path / "ninja"
    trial = Trial(tmp_path, monkeypatch, 1, more=[root])
    # For ninja a header has two names then, and it does not see that one of them is made anew.
    trial.project.absolute = False
    before: dict[str, int] = {}
    saved = 0
    for number in range(EDITS):
        if number:
            trial.edit(SEEN)
        steps = [step for step in trial.project.steps() if step.name.split()[0] in KNOWN]
        now = times(root)
        written = {path for path in now if now[path] != before.get(path)}
        expected = by_time(steps, trial.model.records, written, root)
        trial.set_variables()
        assert ninja(root, steps) == expected, trial.done[-1:]
        ran, bad = trial.run()
        assert not bad
        ran &= {step.name for step in steps}
        # What fastrun does not run besides is what the model says: it reads the same as the last time.
        assert ran <= expected
        saved += len(expected - ran)
        for step in steps:
            assert artefacts(trial.roots[0], step) == artefacts(root, step)
        before = times(root)
    assert saved
