"""The paths that a task declares.

Knows tasks and the form of patterns. Does not look at any file.
"""

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from fastrun.document.script import script_name
from fastrun.document.task import Task

_SPECIAL = re.compile(r"[*?\[]")

# What a path looks like that ``normpath`` would change.
_IS_ODD = re.compile(r"^\.\.?(/|$)|/\.|//|/$").search


class Declared(NamedTuple):
    """What a task declares. Paths in the run's own working directory are relative to it, others absolute."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    depfile: str | None

    @property
    def made(self) -> tuple[str, ...]:
        """What the task makes: its outputs and its depfile."""
        return self.outputs if self.depfile is None else (*self.outputs, self.depfile)


def declared(task: Task, folder: str = "") -> Declared:
    """Return what a task declares, with its script as an input. ``folder``: see ``path_from``."""
    cwd = task.cwd
    inputs = [path_from(cwd, path, folder) for path in task.inputs]
    if task.script is not None:
        inputs.append(path_from(None, script_name(task.script), folder))
    return Declared(
        tuple(inputs),
        tuple(path_from(cwd, path, folder) for path in task.outputs),
        None if task.depfile is None else path_from(cwd, task.depfile, folder),
    )


def path_from(cwd: str | None, path: str, folder: str = "") -> str:
    """Return a path of a task as one of the run, the same for all names of a file without links.

    ``cwd``: the working directory of the task, None for the run's own. ``folder``: the run's own, absolute and with a
    slash at its end; paths in it become relative.
    """
    if cwd is not None:
        path = os.path.join(cwd, path)
    if _IS_ODD(path):
        # POSIX lets two slashes at the beginning mean something else, and ``normpath`` leaves them.
        path = os.path.normpath(re.sub("^//+", "/", path))
        if path.startswith("..") and folder:
            # Out of the folder, and perhaps back into it.
            full = os.path.normpath(folder + path)
            path = full if f"{full}/".startswith(folder) else path
    return path.removeprefix(folder) if f"{path}/" != folder else "."


def is_pattern(path: str) -> bool:
    """Return whether a declared path stands for all paths that fit it, besides itself."""
    return _SPECIAL.search(path) is not None


def covers(declaration: str, path: str) -> bool:
    """Return whether a declared path stands for a path: it is that path, a folder around it, or a pattern for it.

    Also a path with the form of a pattern stands for itself: ``pages/[id].ts``.
    """
    if path == declaration or declaration in folders_around(path):
        return True
    return is_pattern(declaration) and Pattern(declaration).fits(path)


def coverage(declarations: Iterable[str]) -> Callable[[str], bool]:
    """Return a function that returns whether any of some declared paths stands for a path."""
    named = frozenset(declarations)
    patterns = [Pattern(declaration) for declaration in named if is_pattern(declaration)]
    # By folder, whether one of them is that folder or lies around it.
    inside: dict[str, bool] = {}

    def is_covered(path: str) -> bool:
        if path in named:
            return True
        folder = path[: path.rfind("/") + 1]
        # The path says nothing of the folder that these two lie in.
        found = path not in (".", "..") and inside.get(folder)
        if found is None:
            found = inside[folder] = not named.isdisjoint(folders_around(path))
        return found or any(pattern.fits(path) for pattern in patterns)

    return is_covered


def without_paths(declarations: Iterable[str], paths: Collection[str]) -> Iterator[str]:
    """Yield the declared paths that stand for none of some paths."""
    named = set(paths)
    for path in paths:
        named.update(folders_around(path))
    for declaration in declarations:
        if declaration not in named and not (is_pattern(declaration) and any(map(Pattern(declaration).fits, paths))):
            yield declaration


def folders_around(path: str) -> Iterator[str]:
    """Yield the folders that a path lies in, from the innermost, as far as the path says: the last one may be ``.``."""
    folder = path
    while (folder := os.path.dirname(folder)) not in ("", "/"):
        yield folder
        if folder == ".." or folder.endswith("/.."):
            return
    if not folder and path not in (".", ".."):
        yield "."


def text_before(pattern: str) -> str:
    """Return a pattern up to its first special character."""
    return _SPECIAL.split(pattern, maxsplit=1)[0]


class Pattern:
    """A pattern, part by part, as ``glob`` has it: hidden files fit no star, and ``**`` stands for any folders.

    The parts of a path lead to positions among the parts of the pattern: to several, where there is a ``**``.
    ``beginning``: the folders before the first part with a special character, and the positions that they lead to.
    """

    def __init__(self, pattern: str) -> None:
        self._parts = pattern.split("/")
        if self._parts[-1] == "**":
            # Only folders fit that alone: it stands for the files in them.
            self._parts.append("*")
        self._end = len(self._parts)
        fixed = next(position for position, part in enumerate(self._parts) if is_pattern(part))
        self.beginning = "".join(f"{part}/" for part in self._parts[:fixed]), {fixed}

    def fits(self, path: str) -> bool:
        """Return whether a path fits."""
        positions = {0}
        for name in path.split("/"):
            positions = self.after(positions, name)
        return self.is_end(positions)

    def after(self, positions: Collection[int], name: str, *, any_folder: bool = True) -> set[int]:
        """Return the positions behind one more part of a path. ``any_folder``: whether ``**`` may stand for that."""
        found = set()
        is_hidden = name.startswith(".")
        for position in self._reached(positions):
            part = self._parts[position] if position < self._end else ""
            if part == "**":
                if any_folder and not is_hidden:
                    found.add(position)
            elif (part.startswith(".") or not is_hidden) and fnmatchcase(name, part):
                found.add(position + 1)
        return found

    def is_end(self, positions: Iterable[int]) -> bool:
        """Return whether a path that leads to these positions fits."""
        return self._end in self._reached(positions)

    def _reached(self, positions: Iterable[int]) -> Iterator[int]:
        """Yield positions, and those behind each ``**``, which may stand for no folder."""
        for position in positions:
            yield position
            for following in range(position, self._end):
                if self._parts[following] != "**":
                    break
                yield following + 1


def values(names: Iterable[str], *environments: Mapping[str, str] | None) -> dict[str, str | None]:
    """Return the values of variables, each from the first environment that has it; None for a variable without one."""
    found: dict[str, str | None] = {}
    for name in names:
        found[name] = next((environ[name] for environ in environments if environ and name in environ), None)
    return found
