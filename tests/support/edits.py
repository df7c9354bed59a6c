"""Random edits of a generated project, of every kind that a build must see or pass over."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from tests.support.project import Project


class Edits:
    """Random edits of a project, one method for each kind."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.choose = project.choose

    def any_file(self) -> str:
        return self.choose.choice([*self.project.files("src", "inc", "doc", "data"), "version.txt"])

    def any_output(self) -> str:
        found = [path for path in self.project.files("out", "gen") if not path.endswith(".d")]
        return self.choose.choice(found or ["out"])

    def change(self, path: str, pattern: str) -> None:
        """Write another number in place of one: a text of the same length."""
        text = re.sub(
            pattern, lambda found: found[1] + str(self.project.next_number()), self.project.text(path), count=1
        )
        self.project.write(path, text)

    def nothing(self) -> None:
        pass

    def touch(self) -> None:
        path = self.any_file()
        self.project.everywhere(lambda root: os.utime(root / path))

    def comment(self) -> None:
        self.change(self.choose.choice([*self.project.code, "version.txt", "doc/a.md"]), r"(// comment )\d+")

    def code(self) -> None:
        self.change(self.choose.choice([*self.project.sources, *self.project.programs]), r"(return )\d+")

    def longer_code(self) -> None:
        path = self.choose.choice(self.project.code)
        self.project.write(path, f"{self.project.text(path)}static const int MORE{self.project.next_number()} = 1;\n")

    def header(self) -> None:
        self.change(self.choose.choice(self.project.headers), r"(= )\d+")

    def include(self) -> None:
        """Include one more header, or one less."""
        project = self.project
        number = self.choose.randrange(len(project.headers))
        path = self.choose.choice([*project.sources, project.headers[number]])
        lines = project.text(path).splitlines(keepends=True)
        included = [line for line in lines if line.startswith("#include")]
        others = project.headers[: number if path in project.headers else None]
        if others and (not included or self.choose.random() < 0.6):
            line = f'#include "{self.choose.choice(others).partition("/")[2]}"\n'
            lines.insert(lines[0].startswith("#pragma"), line)
        elif included:
            lines.remove(self.choose.choice(included))
        project.write(path, "".join(lines))

    def version(self) -> None:
        self.change("version.txt", r"(VERSION )\d+")

    def delete_output(self) -> None:
        self.project.remove(self.any_output())

    def delete_all_outputs(self) -> None:
        self.project.remove("out")

    def delete_depfile(self) -> None:
        self.project.remove(f"out/obj/{Path(self.choose.choice(self.project.sources)).stem}.d")

    def corrupt_output(self) -> None:
        """Other content of the same size, with or without the old time."""
        path, keep = self.any_output(), self.choose.random() < 0.5

        def act(root: Path) -> None:
            if (root / path).is_file():
                before, data = (root / path).stat(), (root / path).read_bytes()
                (root / path).write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if data else data)
                if keep:
                    os.utime(root / path, ns=(before.st_atime_ns, before.st_mtime_ns))

        self.project.everywhere(act)

    def flag(self) -> None:
        where = self.choose.choice(["", *self.project.sources, *self.project.programs])
        self.project.flags[where] = f"-DALL={self.choose.randrange(2)}"

    def variable(self) -> None:
        name = self.choose.choice(["CFLAGS", "MODE"])
        self.project.environ[name] = self.choose.choice(["-O0", "-O1", "", "-DVALUE=1"])
        if self.choose.random() < 0.2:
            del self.project.environ[name]

    def declare(self) -> None:
        """A step declares more than it reads, or no longer."""
        name = self.choose.choice(["generate", "library", "pack", "report", f"compile {self.project.sources[0]}"])
        some = [(), ("doc/**/*.md",), ("src",), ("version.txt", "data"), ("doc/*.md", "inc/config.h")]
        self.project.more[name] = self.choose.choice(some)

    def rename(self) -> None:
        project = self.project
        position = self.choose.randrange(len(project.sources))
        old, new = project.sources[position], f"src/unit{project.next_number()}.c"
        project.sources[position] = new
        project.history[new] = project.history[old][-1:]
        project.everywhere(lambda root: (root / old).rename(root / new))

    def add_source(self) -> None:
        project = self.project
        new = f"src/unit{project.next_number()}.c"
        project.sources.append(new)
        project.write(new, f"// comment 0\nint f{new[8:-2]}(void) {{ return {project.next_number()}; }}\n")

    def drop_source(self) -> None:
        project = self.project
        if len(project.sources) > 3:
            project.remove(project.sources.pop(self.choose.randrange(len(project.sources))))

    def go_back(self) -> None:
        """Write texts that were there before: of one file, or of many."""
        project = self.project
        for path in self.choose.sample(project.code, k=self.choose.choice([1, 1, 1, 8])):
            project.write(path, self.choose.choice(project.history[path]))

    def undo(self) -> None:
        """Write what was there before the last change of a text."""
        project = self.project
        path = next((path for path in reversed(project.written) if path in project.code), None)
        if path is not None and len(project.history[path]) > 1:
            project.write(path, project.history[path][-2])

    def new_file(self) -> None:
        folder = self.choose.choice(["doc", "doc/deep", "doc/new/er", "doc/.hidden", "data", "data/sub", "data/.h/i"])
        ending = self.choose.choice([".md", ".md", ".txt"])
        self.project.write(
            f"{folder}/{self.project.next_number()}{ending}", f"text {self.project.next_number()} // comment 0\n"
        )

    def delete_file(self) -> None:
        if found := self.project.files("doc", "data"):
            path = self.choose.choice(found)
            self.project.remove(path)
            if path == "doc/a.md":
                self.project.write(path, "again // comment 0\n")

    def point_elsewhere(self) -> None:
        path, targets = self.choose.choice(
            [("inc/config.h", ["config_one.h", "config_two.h"]), ("inc/arch", ["arch_one", "arch_two"])]
        )
        self.project.link(path, self.choose.choice(targets))

    def link_in_place(self) -> None:
        """A link in place of a file, to a file with the same content or another, or to nothing."""
        path = self.choose.choice(["doc/link.md", "data/link"])
        self.project.link(path, self.choose.choice(["x", "b.md", "deep", "deep", "sub", "sub", "nowhere"]))

    def file_or_folder(self) -> None:
        """A file becomes a folder of the same name, or a folder a file."""
        path = self.choose.choice(["doc/turn.md", "data/x", "data/turn"])
        was_folder = (self.project.roots[0] / path).is_dir()
        self.project.remove(path)
        self.project.write(path if was_folder else f"{path}/inner.md", f"text {self.project.next_number()}\n")

    def old_time(self) -> None:
        """Other code of the same size, with the time of the old."""
        path = self.choose.choice(self.project.code)
        times = [((root / path), (root / path).stat()) for root in self.project.roots]
        self.change(path, r"(= |return )\d+")
        for file, before in times:
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    def swap(self) -> None:
        """Move one version of a text over another: same size, old times."""
        path = self.choose.choice(self.project.code)
        other = "spare.tmp"
        self.project.everywhere(lambda root: shutil.copy2(root / path, root / other))
        self.change(other, r"(= |return )\d+")
        self.project.everywhere(lambda root: os.utime(root / other, (1_000_000_000, 1_000_000_000)))
        self.project.everywhere(lambda root: (root / other).rename(root / path))
        self.project.history[path].append(self.project.history[other][-1])

    def clock(self) -> None:
        """A time in the far past or future, with or without other code."""
        path = self.choose.choice([*self.project.code, "version.txt", "doc/b.md", "data/x", "data/sub/y"])
        if self.choose.random() < 0.5 and path in self.project.code:
            self.change(path, r"(= |return )\d+")
        time = self.choose.choice([0, 1_000_000_000, 4_000_000_000])

        def act(root: Path) -> None:
            if (root / path).exists():
                os.utime(root / path, (time, time))

        self.project.everywhere(act)

    def mode(self) -> None:
        path, mode = self.any_file(), self.choose.choice([0o600, 0o644, 0o755])
        self.project.everywhere(lambda root: (root / path).chmod(mode))

    def copy_over(self) -> None:
        """An identical copy in place of a file: another inode."""
        path = self.any_file()

        def act(root: Path) -> None:
            shutil.copy(root / path, root / "copy.tmp")
            (root / "copy.tmp").rename(root / path)

        self.project.everywhere(act)

    # What breaks the build, until it is healed

    def break_source(self) -> None:
        """A source that the document names is gone: nothing may start."""
        self._hide(self.choose.choice(self.project.sources))

    def break_header(self) -> None:
        self._hide(self.choose.choice(self.project.headers))

    def break_output(self) -> None:
        """A folder in place of an output: nothing can be written there."""
        path = self.choose.choice(["out/lib.a", "out/obj/main.o", "gen/version.h"])
        self.project.remove(path)
        self.project.everywhere(lambda root: (root / path).mkdir(parents=True, exist_ok=True))
        self.project.heal = lambda: self.project.remove(path)

    def _hide(self, path: str) -> None:
        project = self.project
        text = project.text(path)
        project.remove(path)
        if self.choose.random() < 0.3:
            project.everywhere(lambda root: (root / path).mkdir())

        def heal() -> None:
            project.remove(path)
            project.write(path, text)

        project.heal = heal


# By kind how often it is made.
KINDS = {
    "touch": 4,
    "comment": 6,
    "code": 4,
    "longer_code": 2,
    "header": 6,
    "include": 4,
    "version": 2,
    "delete_output": 4,
    "delete_all_outputs": 1,
    "delete_depfile": 1,
    "corrupt_output": 4,
    "flag": 3,
    "variable": 3,
    "declare": 2,
    "rename": 2,
    "add_source": 1,
    "drop_source": 1,
    "go_back": 5,
    "undo": 2,
    "new_file": 4,
    "delete_file": 3,
    "point_elsewhere": 4,
    "link_in_place": 3,
    "file_or_folder": 4,
    "old_time": 4,
    "swap": 3,
    "clock": 4,
    "mode": 1,
    "copy_over": 2,
    "break_source": 1,
    "break_header": 2,
    "break_output": 1,
    "nothing": 1,
}


def edit(project: Project, kinds: dict[str, int] = KINDS) -> str:
    """Make one or a few random edits, or heal what the last one broke. Return what was done."""
    choose = project.choose
    made = []
    if project.heal is not None:
        project.heal()
        project.heal = None
        made.append("heal")
    for _ in range(choose.choice([0, 1, 2] if made and len(kinds) > 1 else [1, 1, 1, 2, 4])):
        kind = choose.choices([*kinds], [*kinds.values()])[0]
        getattr(Edits(project), kind)()
        made.append(kind)
        if project.heal is not None:
            break
    return ", ".join(made)
