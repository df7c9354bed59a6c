"""Random edits between runs that may answer without a run: each leaves what a build from nothing would make."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.amounts import many
from tests.support.documents import write_json
from tests.support.processes import environment, fastrun

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = many("series of edits between runs of --update", 2, 20)
_EDITS = 15
_SOURCES = ("s0", "s1", "s2")
_OBJECTS = 4


class Project:
    """Objects that are made of sources, every second one of the object before it too."""

    def __init__(self, folder: Path, choose: random.Random) -> None:
        self.folder = folder
        self.choose = choose
        self.flags = "a"
        self.versions = [0] * _OBJECTS
        self.inputs = [choose.sample(_SOURCES, 2) for _ in range(_OBJECTS)]
        for name in _SOURCES:
            (folder / name).write_text(name)
        self.write()

    def write(self) -> None:
        tasks: list[dict[str, Any]] = []
        for number, (sources, version) in enumerate(zip(self.inputs, self.versions, strict=True)):
            before = [str(number - 1)] * (number % 2)
            inputs = [*sources, *before]
            command = f"(echo $FLAGS {version}; cat {' '.join(inputs)}) > {number}"
            task = {"name": str(number), "type": "exec", "arguments": command, "dependencies": before}
            tasks.append(task | {"inputs": inputs, "outputs": [str(number)], "env_inputs": ["FLAGS"]})
        write_json(self.folder, {"tasks": tasks})

    def expected(self) -> list[str]:
        made: list[str] = []
        for number, (sources, version) in enumerate(zip(self.inputs, self.versions, strict=True)):
            texts = [(self.folder / name).read_text() for name in sources]
            made.append(f"{self.flags} {version}\n" + "".join([*texts, *made[number - 1 : number] * (number % 2)]))
        return made

    def update(self) -> bool:
        """Bring all up to date. Return whether there was an answer without a run."""
        journal = self.folder / ".fastrun/tasks.journal"
        before = journal.read_bytes() if journal.exists() else b""
        result = fastrun("-u", "tasks.json", cwd=self.folder, env=environment(FLAGS=self.flags))
        assert (result.returncode, result.stderr) == (0, b"")
        assert [(self.folder / str(number)).read_text() for number in range(_OBJECTS)] == self.expected()
        return before == journal.read_bytes()

    def edit(self) -> None:
        choose = self.choose
        kind = choose.choice(("append", "same looks", "touch", "remove", "link", "swap", "flags", "command", "inputs"))
        source = self.folder / choose.choice(_SOURCES)
        made = self.folder / str(choose.randrange(_OBJECTS))
        number = choose.randrange(_OBJECTS)
        if kind == "append":
            source.write_text(source.read_text() + "x")
        elif kind == "same looks":
            path = choose.choice([source, made])
            before = path.stat()
            path.write_text(path.read_text()[:-1] + choose.choice("yz"))
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        elif kind == "touch":
            os.utime(choose.choice([source, made]))
        elif kind == "remove":
            made.unlink()
        elif kind == "link":
            copy = self.folder / f"copy of {source.name}"
            copy.write_text("linked")
            source.unlink()
            source.symlink_to(copy.name)
        elif kind == "swap":
            aside, other = self.folder / "aside", self.folder / choose.choice(_SOURCES)
            source.rename(aside)
            if other.exists():
                other.rename(source)
            aside.rename(other)
        elif kind == "flags":
            self.flags = choose.choice("ab")
        elif kind == "command":
            self.versions[number] += 1
            self.write()
        else:
            self.inputs[number] = choose.sample(_SOURCES, 2)
            self.write()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_answers_without_a_run_are_those_that_a_run_would_give(tmp_path, seed):
    choose = random.Random(seed)
    project = Project(tmp_path, choose)
    answers = 0
    for _ in range(_EDITS):
        project.update()
        for _ in range(choose.choice([0, 0, 3])):
            answers += project.update()
        project.edit()
    assert answers
