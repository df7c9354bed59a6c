"""A task, and a document as it was read.

Knows the keys of a task. Does not know where they came from, nor what names refer to.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastrun.document.problems import Problem, Source
from fastrun.document.validator import KEYS, PLAIN_KEYS
from fastrun.settings import what_is_wrong
from fastrun.sizes import size_of
from fastrun.text import printable

SCHEMA_PATH = os.path.join(os.path.dirname(__file__), "schema.json")


class Task(NamedTuple):
    """One task of a document.

    ``name``: unique in the document, any text.
    ``type``: ``"exec"`` or ``"eval"``.
    ``arguments``: the shell command or the Python source, empty if there is a ``script``; or the words of a command
    that runs without a shell, the program first.
    ``dependencies``: names of the tasks that must be ok before this one starts.
    ``cwd``: a path relative to the run's own working directory, or None for that directory.
    ``env``: variables added to the run's environment, or None.
    ``timeout``: seconds after which it is ended and has failed, or None.
    ``detach``: whether processes that it leaves behind may live on. These, and ``memory``, only if ``type`` is
    ``"exec"`` or ``where`` is ``"process"``.
    ``retries``: how many further attempts it has if it fails.
    ``retry_delay``: seconds before the second attempt, twice as many before each further one.
    ``when``: ``"ok"``: it runs if all dependencies are ok; ``"failed"``: if all have ended and one of them is not ok;
    ``"always"``: if all have ended.
    ``allow_failure``: whether its failure counts neither for its dependents nor for the run.
    ``pool``: the name of a limit of the document that it counts against, or None.
    ``description``: for people, or None. ``tags``: words to select it by.
    ``where``: ``"cluster"`` or ``"local"``, where it runs if there is a cluster; for snippets also ``"process"``, in a
    process of its own, or ``"thread"``, in a thread of the run's process; None if its type and the settings decide.
    ``resources``: names and amounts that its worker must have free, or None.
    ``script``: eval only, a path relative to the run's own working directory, where the source is read when the task
    runs; or None.
    ``inputs``, ``outputs``: files, folders and patterns, relative to the working directory of the task.
    ``depfile``: a file in the syntax of make that it writes, whose prerequisites are further inputs; or None.
    ``env_inputs``: names of variables whose values count as inputs.
    ``memory``: bytes that it needs, or None if it does not say.
    ``shell``: the words to which a command that is a text is added, the program first; None for ``/bin/sh -c``.
    """

    name: str
    type: str
    arguments: str | tuple[str, ...]
    dependencies: Sequence[str] = ()
    cwd: str | None = None
    env: Mapping[str, str] | None = None
    timeout: float | None = None
    detach: bool = False
    retries: int = 0
    retry_delay: float = 1.0
    when: str = "ok"
    allow_failure: bool = False
    pool: str | None = None
    description: str | None = None
    tags: Sequence[str] = ()
    where: str | None = None
    resources: Mapping[str, float] | None = None
    script: str | None = None
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    depfile: str | None = None
    env_inputs: Sequence[str] = ()
    shell: tuple[str, ...] | None = None
    memory: int | None = None

    @property
    def has_files(self) -> bool:
        """Whether it says which files it reads or makes, so that it can be up to date."""
        return bool(self.inputs or self.outputs or self.depfile)

    @property
    def label(self) -> str:
        """The name on one line, with nothing that acts on a terminal, at most 200 columns wide."""
        return printable(self.name)

    @property
    def source(self) -> str:
        """The source of a snippet, or the text of a command; empty for a command that is a list of words."""
        return self.arguments if isinstance(self.arguments, str) else ""

    @property
    def text(self) -> str:
        """What it does, as people see it: the command, its words quoted, the source, or the path of the script."""
        if not isinstance(self.arguments, str):
            from shlex import join  # which few runs need

            return join(self.arguments)
        return self.arguments if self.script is None else self.script


# The keys of a document.
TOP_KEYS = frozenset(["$schema", "defaults", "jobs", "keep_going", "max_time", "pools", "tasks"])

# The settings of a run that a document may say.
_SETTINGS = frozenset(["jobs", "keep_going", "max_time"])

# The value of ``jobs`` that stands for the number of processors.
AUTO = "auto"

# The values of all keys but the plain ones where they are missing, and the keys that do not bear on how other tasks run
# nor on how often the task itself does.
DEFAULTS = tuple(Task._field_defaults[key] for key in Task._fields[4:])
ORDINARY_KEYS = PLAIN_KEYS | {"cwd", "env", "timeout", "detach", "description", "tags", "where", "resources", "shell"}


class Document(NamedTuple):
    """A document as it was read.

    ``tasks``: in the order of the document. If there are ``problems``, tasks without a usable name are missing, and
    others lack what was wrong in them.
    ``positions``: the position of each task in the document.
    ``problems``: what the schema and the names of keys say against it. ``graph.build`` raises them together
    with its own.
    ``warnings``: lines about keys that are ignored.
    ``pools``: by name, how many tasks of a pool may run at once.
    ``special``: the numbers of tasks with keys that bear on how others run, or on how often the task itself does, of
    tasks with a script or with files, and of snippets that run in a process of their own.
    ``settings``: of a run that is given no others: ``jobs``, which may be AUTO, ``keep_going``
    and ``max_time``.
    """

    source: Source
    tasks: list[Task]
    positions: Sequence[int]
    problems: list[Problem]
    warnings: list[str]
    pools: Mapping[str, int]
    special: Sequence[int]
    settings: Mapping[str, float | str]


def are_pools(raw: Any) -> bool:
    """Return whether an object is what the schema says of ``pools``."""
    return isinstance(raw, dict) and all(_is_whole(number, 1) for number in raw.values())


def settings_in(raw: Mapping[str, Any]) -> dict[str, float | str] | None:
    """Return the settings of a run that a document says, None if one of them is not what the schema says of it."""
    found: dict[str, float | str] = {}
    for name in raw.keys() & _SETTINGS:
        value = raw[name]
        if name == "jobs" and value == AUTO:
            found[name] = AUTO
        elif not _is_number(value) or what_is_wrong(name, value):
            return None
        elif name == "max_time":
            found[name] = value
        elif value % 1 == 0:
            found[name] = int(value)
        else:
            return None
    return found


def _is_whole(value: Any, least: int) -> bool:
    """Return whether a value is what JSON Schema takes for a whole number, and no less than another."""
    return _is_number(value) and value >= least and value % 1 == 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def has_nul(item: dict[str, Any]) -> bool:
    """Return whether a completed object is a command with a NUL: a shell would run only the part before it.

    Of a list the schema itself excludes it.
    """
    return "\0" in item["arguments"] and item["type"] == "exec"


def task_from_dict(item: dict[str, Any]) -> Task:
    """Return the task that a completed object describes."""
    task = Task(**{key: value for key, value in item.items() if key in Task._fields})
    return task if isinstance(task.arguments, str) else task._replace(arguments=tuple(task.arguments))


def completed(item: dict[str, Any]) -> dict[str, Any]:
    """Return a validated object with ``arguments``, which are empty beside a ``script``, and values as a task has them.

    For JSON Schema 2.0 is a whole number too. A size becomes a number. A shell that is named by one word is the one
    that runs ``-c``.
    """
    if "shell" in item:
        shell = item["shell"]
        words = (shell, "-c") if isinstance(shell, str) else tuple(shell)
        item = {**item, "shell": None if words == ("sh", "-c") else words}
    memory = item.get("memory")
    if memory is not None:
        item = {**item, "memory": size_of(memory) if isinstance(memory, str) else int(memory)}
    retries = item.get("retries", 0)
    if type(retries) is not int:
        item = {**item, "retries": int(retries)}
    return {**item, "arguments": ""} if "script" in item else item


def is_special(item: dict[str, Any]) -> bool:
    """Return whether a validated object describes one of the ``special`` tasks of a document."""
    return not item.keys() & KEYS <= ORDINARY_KEYS or item.get("where") == "process"
