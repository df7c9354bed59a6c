"""What every command starts with: directory, umask and environment as they were when the run began.

Whatever snippets do to them since. Makes the recipes of tasks. Does not know how a process is started, nor how to wait
for one.
"""

import os
import resource
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fastrun.document.task import Task
from fastrun.executors.commands.files import write_private
from fastrun.executors.commands.process import Process, Recipe
from fastrun.executors.commands.programs import find_program
from fastrun.executors.guardian.marks import DETACH, PART, TASK, encode_name, variables
from fastrun.executors.guardian.proc import own_environment
from fastrun.executors.present import entries_of_snippets
from fastrun.protocols import ATTEMPT, Job

if TYPE_CHECKING:
    # Loaded for the first snippet.
    from fastrun.executors.commands.python import Python

_SHELL = (b"/bin/sh", b"-c")

# The shells that read a file by ".", each by the name that it is called by.
_SHELLS = (b"sh", b"bash", b"zsh", b"dash", b"ksh")

# Bytes of the longest argument that the kernel takes (MAX_ARG_STRLEN), with its closing NUL.
_LONGEST_ARGUMENT = 1 << 17

# Bytes of the longest variable, its name and its value: the same limit, which is 32 pages, without "=" and NUL.
_LONGEST_VARIABLE = 32 * resource.getpagesize() - 2 if sys.platform == "linux" else sys.maxsize

# What Python sets LC_CTYPE to for itself where the locale is "C", and leaves to its children. Source: PEP 538.
_COERCED = (b"C.UTF-8", b"C.utf8", b"UTF-8")


class Surroundings:
    """``environment``: of all commands, with their mark. ``null``: a descriptor of /dev/null. ``directory``: its path.

    ``umask``: of all commands. ``nameless``: entries of the environment without ``=``, which Python does not have.
    ``left_out``: names of variables that no command can be given, for their length.
    """

    def __init__(self, run_id: str, more: Mapping[str, str] | None = None) -> None:
        """``run_id``: what processes are marked with. ``more``: variables."""
        self.null = os.open(os.devnull, os.O_RDWR)
        self._mark = variables(run_id)
        self.environment = {
            **os.environb,
            **{os.fsencode(name): os.fsencode(value) for name, value in (more or {}).items()},
            ATTEMPT.encode(): b"1",
            **self._mark,
        }
        inherited = [entry.partition(b"=") for entry in own_environment().split(b"\0") if entry]
        self.nameless = [name for name, equals, _ in inherited if not equals]
        if inherited and self.environment.get(b"LC_CTYPE") in _COERCED:
            del self.environment[b"LC_CTYPE"]
            self.environment.update((name, value) for name, _, value in inherited if name == b"LC_CTYPE")
        self.left_out = [name for name, value in self.environment.items() if len(name) + len(value) > _LONGEST_VARIABLE]
        for name in self.left_out:
            del self.environment[name]
        # If this run is itself a task of another run: its marks say what that task may leave behind, not what ours may.
        for name in {DETACH, PART, TASK} - {*self._mark}:
            self.environment.pop(name, None)
        try:
            self.directory = os.getcwd()
        except FileNotFoundError:
            # Removed meanwhile; it can still be worked in.
            self.directory = "."
        self.umask = os.umask(0o077)
        os.umask(self.umask)
        self._interpreter = sys.executable, entries_of_snippets(sys.path)
        self._python: Python | None = None

    def close(self) -> None:
        """Close what was opened."""
        os.close(self.null)

    def process(self, job: Job) -> Process:
        """Return the command that runs a task, which its engine can start. Raises OSError."""
        task = job[1]
        variables = {TASK: encode_name(task.name)}
        if task.env:
            variables.update((_encode(key), _encode(value)) for key, value in task.env.items())
            # A task cannot hide its mark: its processes are found by it.
            for name in (DETACH, PART, *self._mark):
                variables.pop(name, None)
        if task.detach:
            variables[DETACH] = b"1"
        directory = None if task.cwd is None else _encode(task.cwd)
        command, path = self._snippet(task) if task.type == "eval" else _command(task)
        try:
            program = self._find(command[0], variables, directory) if b"/" not in command[0] else command[0]
        except OSError:
            if path is not None:
                os.unlink(path)
            raise
        return Process(job, Recipe(program, command, variables, directory), path)

    def _find(self, name: bytes, variables: Mapping[bytes, bytes], directory: bytes | None) -> bytes:
        """Return the program that the PATH of a command's own environment has for a name. Raises OSError."""
        path = variables.get(b"PATH", self.environment.get(b"PATH"))
        return find_program(name, path, os.path.join(os.fsencode(self.directory), directory or b""))

    def _snippet(self, task: Task) -> tuple[tuple[bytes, ...], str | None]:
        """Return the command that runs a snippet, and the path of its file, or None."""
        if self._python is None:
            from fastrun.executors.commands.python import Python

            self._python = Python(*self._interpreter, self.directory)
        command, path = self._python.command(task)
        return tuple(map(os.fsencode, command)), path


def _command(task: Task) -> tuple[tuple[bytes, ...], str | None]:
    """Return the words of a command, and the path of its file, or None."""
    if not isinstance(task.arguments, str):
        return tuple(map(_encode, task.arguments)), None
    source = _encode(task.arguments)
    shell = _SHELL if task.shell is None else tuple(map(_encode, task.shell))
    if len(source) >= _LONGEST_ARGUMENT and os.path.basename(shell[0]) in _SHELLS:
        return _long_command(shell, source)
    return (*shell, source), None


def _long_command(shell: tuple[bytes, ...], command: bytes) -> tuple[tuple[bytes, ...], str]:
    """Return what runs a command that is too long for an argument, and the path of the file that it is in."""
    from shlex import quote  # which no other command needs

    path = write_private(command, ".sh")
    # "." keeps $0 and standard input as they are.
    return (*shell, os.fsencode(f". {quote(path)}")), path


def _encode(text: str) -> bytes:
    """Return a text in the bytes of the document, whatever the locale."""
    return text.encode("utf-8", "surrogateescape")
