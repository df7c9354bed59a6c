"""The paths that a task declares.

Knows tasks and the form of patterns. Does not look at any file.
"""

import os
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple

from fastrun.document.task import Task

_IS_PATTERN = re.compile(r"[*?\[]").search

# What a path looks like that ``normpath`` would change.
_IS_ODD = re.compile(r"^\./|/\.|//|/$|^\.\.?$").search


class Declared(NamedTuple):
    """What a task declares. Paths in the run's own working directory are relative to it, others absolute."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    depfile: str | None


def declared(task: Task, folder: str = "") -> Declared:
    """Return what a task declares. ``folder``: see ``path_from``."""
    cwd = task.cwd
    return Declared(
        tuple(path_from(cwd, path, folder) for path in task.inputs),
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
        path = os.path.normpath(path)
    return path.removeprefix(folder)


def is_pattern(path: str) -> bool:
    """Return whether a declared path stands for all paths that fit it."""
    return _IS_PATTERN(path) is not None


def covers(declaration: str, path: str) -> bool:
    """Return whether a declared path stands for a path: it is that path, a folder around it, or a pattern for it."""
    if is_pattern(declaration):
        return _fits(tuple(declaration.split("/")), tuple(path.split("/")))
    return path == declaration or declaration == "." or path.startswith(f"{declaration}/")


@lru_cache(1 << 14)
def _fits(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Return whether the parts of a path fit those of a pattern, as ``glob`` has it: hidden files fit no star."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        # Any number of folders; at the end of a pattern, any file in them.
        skips = bool(path) and not path[0].startswith(".") and _fits(pattern, path[1:])
        return skips or (_fits(pattern[1:], path) if len(pattern) > 1 else not path)
    if not path or (path[0].startswith(".") and not pattern[0].startswith(".")):
        return False
    return fnmatchcase(path[0], pattern[0]) and _fits(pattern[1:], path[1:])


def values(names: Iterable[str], *environments: Mapping[str, str] | None) -> dict[str, str | None]:
    """Return the values of variables, each from the first environment that has it; None for a variable without one."""
    found: dict[str, str | None] = {}
    for name in names:
        found[name] = next((environ[name] for environ in environments if environ and name in environ), None)
    return found
