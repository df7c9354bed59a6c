"""Random documents whose tasks name their files, random edits, and what each task has to have made."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from tests.support.works import Works, disguise, read, write

TEXTS = ["one\n", "two\n", "six\n", "much longer\n"]

# How a shell finds the files that a declared path stands for.
FINDS = {
    "many": "$(find -L many -type f | LC_ALL=C sort)",
    "many/*": "$(find -L many -maxdepth 1 -type f ! -name '.*' | LC_ALL=C sort)",
    "**/*.c": "$(find -L . -type f -name '*.c' | cut -c3- | LC_ALL=C sort)",
}

# A task that reads this fails.
BAD = "BAD\n"


EDITS = (
    *("write", "write", "touch", "disguise", "bad", "back", "delete output", "corrupt", "add", "remove", "salt"),
    *("flags", "inputs", "folder", "link", "gone"),
)


class RandomWorks(Works):
    """A document with sources. Tasks depend on tasks before them.

    A task makes, of its salt and of what its inputs hold, the digest that ``expected`` gives.
    """

    def __init__(self, random: Random) -> None:
        super().__init__(pools={"two": 2})
        self.random = random
        self.sources = [f"src/{number}.c" for number in range(4)] + ["many/a", "many/b", "many/sub/c"]
        for path in self.sources:
            write(path, random.choice(TEXTS))
        for number in range(random.randint(2, 9)):
            self.tasks.append(self._task(number))

    def _task(self, number: int) -> dict[str, Any]:
        random = self.random
        name = f"t{number}"
        before = random.sample(self.tasks, min(len(self.tasks), random.randint(0, 3)))
        task: dict[str, Any] = {
            "name": name,
            "type": random.choice(["exec", "exec", "exec", "eval"]),
            "dependencies": [other["name"] for other in before],
            "x-salt": "0",
        }
        if random.random() < 0.15:
            # It names no files.
            return {**task, "type": "exec", "arguments": "true"}
        inputs = random.sample(self.sources, random.randint(0, 2))
        inputs += [path for other in before for path in other.get("outputs", ())[:1] if random.random() < 0.8]
        inputs += random.choice([[], [], ["many"], ["many/*"], ["**/*.c"]])
        task["inputs"] = list(dict.fromkeys(inputs))
        task["outputs"] = [f"out/{name}.o", f"out/{name}.x"][: random.choice([1, 1, 2])]
        if random.random() < 0.3:
            task["x-found"] = random.sample(self.sources, 2)
            task["depfile"] = f"out/{name}.d"
        if task["type"] == "exec" and random.random() < 0.3:
            task["env_inputs"] = ["FLAGS"]
        if random.random() < 0.2:
            task["retries"] = 1
            task["retry_delay"] = 0
        if random.random() < 0.1:
            task["allow_failure"] = True
        if random.random() < 0.1 and before:
            task["when"] = "always"
        if random.random() < 0.3:
            task["pool"] = "two"
        self._command(task)
        return task

    def _command(self, task: dict[str, Any]) -> None:
        """Write the command anew."""
        if "outputs" not in task:
            return
        salt, outputs, found = task["x-salt"], task["outputs"], task.get("x-found", [])
        declared = task["inputs"]
        if task["type"] == "eval":
            task["arguments"] = (
                "from tests.support.random_works import work\n"
                f"work({salt!r}, {declared!r}, {found!r}, {outputs!r}, {task.get('depfile')!r})"
            )
            return
        flags = '"$FLAGS"' if task.get("env_inputs") else ""
        files = " ".join(FINDS.get(path, path) for path in [*declared, *found])
        lines = ["set -e", f"f=out/.{task['name']}", f"cat {files} /dev/null > $f"]
        lines.append("if grep -q BAD $f; then exit 1; fi")
        if found:
            lines.append(f"echo 'x: {' '.join(found)}' > {task['depfile']}")
        lines += [f"{{ printf %s {salt} {flags}; cat $f; }} | md5sum | cut -c1-32 > {path}" for path in outputs]
        task["arguments"] = "\n".join(lines)

    def expected(self, task: dict[str, Any]) -> str:
        """Return what a task has to have made of what is there now."""
        flags = os.environ.get("FLAGS", "") if task.get("env_inputs") else ""
        return digest(task["x-salt"] + flags, content([*task["inputs"], *task.get("x-found", [])]))

    def wrong(self) -> list[str]:
        """Return the outputs of tasks that are ok and have not made what they had to."""
        return [
            f"{task['name']}: {path}"
            for task in self.tasks
            if task.get("outputs") and self.statuses().get(task["name"], ("",))[0] == "ok"
            for path in task["outputs"]
            if not os.path.exists(path) or read(path) != self.expected(task)
        ]

    def edit(self) -> str:
        """Change something. Return what."""
        random = self.random
        task = random.choice(self.tasks)
        path = random.choice(self.sources)
        kind = random.choice(EDITS)
        with suppress(OSError, AssertionError):
            getattr(self, f"_edit_{kind.replace(' ', '_')}")(task, path)
        return f"{kind} {task['name']} {path}"

    def _edit_write(self, _: Any, path: str) -> None:
        write(path, self.random.choice(TEXTS))

    def _edit_touch(self, _: Any, path: str) -> None:
        seconds = self.random.choice([1, 1_700_000_000, 9_000_000_000])
        os.utime(path, (seconds, seconds))

    def _edit_disguise(self, _: Any, path: str) -> None:
        disguise(path, self.random.choice(TEXTS))

    def _edit_bad(self, _: Any, path: str) -> None:
        write(path, BAD)

    def _edit_back(self, _: Any, path: str) -> None:
        for source in self.sources:
            if read(source) == BAD:
                write(source, TEXTS[0])

    def _edit_delete_output(self, task: dict[str, Any], _: str) -> None:
        for path in task.get("outputs", ())[-1:]:
            Path(path).unlink()

    def _edit_corrupt(self, task: dict[str, Any], _: str) -> None:
        for path in task.get("outputs", ())[:1]:
            disguise(path, "x" * os.stat(path).st_size)

    def _edit_add(self, *_: Any) -> None:
        write(self.random.choice(["many/new", "many/sub/new", "src/new.c", "many/.new"]), self.random.choice(TEXTS))

    def _edit_remove(self, *_: Any) -> None:
        for path in ("many/new", "many/sub/new", "src/new.c", "many/.new"):
            if os.path.exists(path):
                Path(path).unlink()
                return

    def _edit_salt(self, task: dict[str, Any], _: str) -> None:
        task["x-salt"] = self.random.choice("0123")
        self._command(task)

    def _edit_flags(self, *_: Any) -> None:
        os.environ["FLAGS"] = self.random.choice(["-O1", "-O2", ""])

    def _edit_inputs(self, task: dict[str, Any], path: str) -> None:
        if "inputs" in task and path not in task.get("x-found", ()):
            task["inputs"] = [other for other in task["inputs"] if other != path] + [path] * self.random.randint(0, 1)
            self._command(task)

    def _edit_folder(self, *_: Any) -> None:
        if os.path.isdir("many/b"):
            shutil.rmtree("many/b")
            write("many/b", TEXTS[0])
        else:
            Path("many/b").unlink()
            write("many/b/in", TEXTS[1])

    def _edit_gone(self, _: Any, path: str) -> None:
        Path(path).unlink()

    def restore(self) -> None:
        """Write the sources that are gone."""
        for path in self.sources:
            if not os.path.lexists(path):
                write(path, TEXTS[0])

    def _edit_link(self, _: Any, path: str) -> None:
        target = self.random.choice([other for other in self.sources if other != path])
        if not os.path.islink(target):
            Path(path).unlink()
            os.symlink(os.path.abspath(target), path)


def digest(salt: str, text: str) -> str:
    return hashlib.md5(f"{salt}{text}".encode(), usedforsecurity=False).hexdigest() + "\n"


def content(declared: list[str]) -> str:
    """Return what is in all files that paths of the documents stand for."""
    files = sorted(str(file) for file in Path().rglob("*") if file.is_file())
    found = []
    for path in declared:
        if path == "many/*":
            found += [file for file in files if Path(file).parent == Path("many") and not file.startswith("many/.")]
        elif path == "many":
            found += [file for file in files if file.startswith("many/")]
        elif path == "**/*.c":
            found += [file for file in files if file.endswith(".c")]
        else:
            found.append(path)
    return "".join(map(read, found))


def work(salt: str, declared: list[str], found: list[str], outputs: list[str], depfile: str | None) -> None:
    """Do what a command of the documents does."""
    text = content([*declared, *found])
    if BAD in text:
        raise ValueError("bad")
    if depfile is not None:
        write(depfile, f"x: {' '.join(found)}\n")
    for path in outputs:
        write(path, digest(salt, text))
