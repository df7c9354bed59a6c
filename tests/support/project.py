"""A generated project in C, as tasks and as files in several folders at once."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.support import compiler


class Step(NamedTuple):
    """What a task does: a call of ``compiler``, and the files that it names. ``needs``: names of dependencies."""

    name: str
    argv: tuple[str, ...]
    needs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    depfile: str | None = None
    variables: tuple[str, ...] = ()

    @property
    def has_files(self) -> bool:
        return bool(self.inputs or self.outputs)


class Project:
    """The project. All edits are made in each of the ``roots``, which are alike but for what is built in them.

    ``environ``: the variables that steps read.
    """

    def __init__(self, choose: random.Random, *roots: Path) -> None:
        self.choose = choose
        self.roots = roots
        self.environ = {"CFLAGS": "-O0", "MODE": "plain"}
        self.flags = {"": "-DALL=0"}
        self.programs = ["src/main.c", "src/tool.c"]
        self.sources = [f"src/unit{number}.c" for number in range(6)]
        # Each may include those before it.
        self.headers = [f"inc/{'deep/' * (number < 3)}h{number}.h" for number in range(6)] + ["inc/odd $na#me.h"]
        # By name of a step, what it declares beside what it reads.
        self.more: dict[str, tuple[str, ...]] = {}
        # By path, all texts that were there.
        self.history: dict[str, list[str]] = {}
        # Paths of texts in the order in which they were written.
        self.written: list[str] = []
        # Whether some depfiles have absolute paths.
        self.absolute = True
        # What makes whole again what an edit broke.
        self.heal: Callable[[], None] | None = None
        self._count = 100_000
        # Names of tasks that share a pool.
        self.pooled = {"library", *(f"compile {source}" for source in self.sources[::2])}
        self._generate()

    def _generate(self) -> None:
        choose = self.choose
        for number, header in enumerate(self.headers):
            included = choose.sample(self.headers[:number], k=min(number, choose.randint(0, 2)))
            self.write(
                header, self._text(f"static const int H{number} = {self.next_number()};", included, "#pragma once\n")
            )
        for choice in "one", "two":
            self.write(f"inc/config_{choice}.h", f"#pragma once\nstatic const int CONFIG = {self.next_number()};\n")
            self.write(f"inc/arch_{choice}/word.h", f"#pragma once\nstatic const int WORD = {self.next_number()};\n")
        self.link("inc/config.h", "config_one.h")
        self.link("inc/arch", "arch_one")
        self.write("version.txt", f"// comment 0\nVERSION {self.next_number()}\n")
        extra = ["inc/config.h", "inc/arch/word.h", "gen/version.h"]
        for number, source in enumerate([*self.sources, *self.programs]):
            included = choose.sample([*self.headers, *extra], k=choose.randint(1, 4))
            name = "main" if source in self.programs else f"f{number}"
            self.write(source, self._text(f"int {name}(void) {{ return {self.next_number()}; }}", included))
        for path in (
            "doc/a.md",
            "doc/b.md",
            "doc/deep/c.md",
            "doc/.hidden.md",
            "data/x",
            "data/sub/y",
            "data/deep/y",
            "data/.z",
        ):
            self.write(path, f"text {self.next_number()} // comment 0\n")

    def next_number(self) -> int:
        self._count += 1
        return self._count

    def _text(self, code: str, included: list[str], head: str = "") -> str:
        lines = "".join(f'#include "{path.partition("/")[2]}"\n' for path in included)
        return f"{head}{lines}// comment 0\n{code}\n"

    # What is on the disk

    def everywhere(self, act: Callable[[Path], object]) -> None:
        for root in self.roots:
            act(root)

    def write(self, path: str, text: str) -> None:
        self.history.setdefault(path, []).append(text)
        self.written.append(path)

        def act(root: Path) -> None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)

        self.everywhere(act)

    def link(self, path: str, target: str) -> None:
        def act(root: Path) -> None:
            (root / path).unlink(missing_ok=True)
            (root / path).symlink_to(target)

        self.everywhere(act)

    def remove(self, path: str) -> None:
        self.everywhere(lambda root: remove(root / path))

    def text(self, path: str) -> str:
        return (self.roots[0] / path).read_text()

    def files(self, *folders: str) -> list[str]:
        """All files that are there, sorted. Links to folders are not followed."""
        root = self.roots[0]
        found = [path for folder in folders for path in sorted((root / folder).rglob("*"))]
        return [str(path.relative_to(root)) for path in found if path.is_file()]

    @property
    def code(self) -> list[str]:
        return [*self.sources, *self.programs, *self.headers, "inc/config_one.h", "inc/arch_one/word.h"]

    # The tasks

    def steps(self) -> list[Step]:
        """All steps, each behind all that it needs."""
        version = ("version.txt", "gen/version.h")
        found = [Step("generate", ("generate", *version), (), version[:1], version[1:])]
        objects = {}
        for number, source in enumerate([*self.sources, *self.programs]):
            stem = f"out/obj/{Path(source).stem}"
            flags = ("-Iinc", "-Igen", "-I.", self.flags[""], *filter(None, [self.flags.get(source)]))
            flags += ("-Mabsolute",) * (self.absolute and number % 2)
            argv = ("compile", source, f"{stem}.o", f"{stem}.d", *flags)
            objects[source] = f"{stem}.o"
            name = f"compile {source}"
            found.append(Step(name, argv, ("generate",), (source,), (f"{stem}.o",), f"{stem}.d", ("CFLAGS",)))
        parts = tuple(objects[source] for source in self.sources)
        needs = tuple(f"compile {source}" for source in self.sources)
        found.append(Step("library", ("join", "out/lib.a", *parts), needs, parts, ("out/lib.a",)))
        programs = []
        for source in self.programs:
            program, inputs = f"out/{Path(source).stem}", (objects[source], "out/lib.a")
            programs.append(program)
            argv, needs = ("join", program, *inputs), (f"compile {source}", "library")
            found.append(Step(f"link {program}", argv, needs, inputs, (program,)))
        links = tuple(f"link {program}" for program in programs)
        found += [
            Step("book", ("collect", "out/book", "doc/**/*.md"), (), ("doc/**/*.md",), ("out/book",)),
            Step("pack", ("pack", "data", "out/pack"), (), ("data",), ("out/pack",)),
            Step("report", ("report", "out/report", *programs), links, (*programs,), ("out/report",), None, ("MODE",)),
            # Names no files.
            Step("check", ("check", *programs), links),
            Step("all", ("check", "out/book", "out/report"), ("check", "book", "pack", "report")),
        ]
        return [step._replace(inputs=(*step.inputs, *self.more.get(step.name, ()))) for step in found]

    def document(self, form: Callable[[Step], dict[str, Any]]) -> dict[str, Any]:
        """The document. ``form``: makes a task's type and arguments from a step."""
        tasks = []
        for step in self.steps():
            task = {"name": step.name, "dependencies": list(step.needs), **form(step)}
            task |= {"inputs": list(step.inputs), "outputs": list(step.outputs), "env_inputs": list(step.variables)}
            if step.name in self.pooled:
                task["pool"] = "some"
            if step.depfile is not None:
                task["depfile"] = step.depfile
            tasks.append(task)
        random.Random(len(self.history)).shuffle(tasks)
        return {"tasks": tasks, "pools": {"some": 2}}


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def snippet(step: Step) -> dict[str, Any]:
    return {"type": "eval", "arguments": f"from tests.support.compiler import main\nmain({list(step.argv)!r})"}


def snippet_in_process(step: Step) -> dict[str, Any]:
    return {**snippet(step), "where": "process"}


def command(step: Step) -> dict[str, Any]:
    return {"type": "exec", "arguments": shlex.join([sys.executable, "-IS", compiler.__file__, *step.argv])}


def real_command(step: Step) -> dict[str, Any]:
    """With the C compiler and the archiver of the system."""
    program, target, *others = step.argv
    if program == "compile":
        source, (target, depfile, *flags) = target, others
        text = f"cc -c {source} -o {target} -MD -MF {depfile} {' '.join(flags)} $CFLAGS"
    elif step.name == "library":
        text = f"rm -f {target} && ar rcsD {target} {' '.join(others)}"
    elif step.name.startswith("link"):
        text = f"cc -o {target} {' '.join(others)}"
    else:
        return command(step)
    return {"type": "exec", "arguments": text}


def call_real(step: Step, root: Path) -> list[str]:
    """Do what the command does. Raises SystemExit if that fails."""
    for path in step.outputs:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(real_command(step)["arguments"], shell=True, cwd=root, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    if step.depfile is None:
        return []
    text = (root / step.depfile).read_text().replace("\\\n", " ").replace("$$", "$")
    return [os.path.normpath(name) for name in shlex.split(text)[1:]]
