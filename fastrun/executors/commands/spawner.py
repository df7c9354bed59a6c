"""Starts commands, and snippets in processes: the directory, umask, environment and signals that each of them gets.

All of these are as they were when the run began, whatever snippets do to them since. Knows how to start a process; not
how to wait for it.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fastrun.document.task import Task
from fastrun.executors.commands.files import write_private
from fastrun.executors.commands.programs import find_program
from fastrun.executors.guardian.marks import DETACH, PART, TASK, encode_name, variables
from fastrun.executors.present import entries_of_snippets
from fastrun.protocols import ATTEMPT

if TYPE_CHECKING:
    # Loaded for the first snippet.
    from fastrun.executors.commands.python import Python

_SHELL = ("/bin/sh", "-c")

# The shells that read a file by ".", each by the name that it is called by.
_SHELLS = (b"sh", b"bash", b"zsh", b"dash", b"ksh")

# Bytes of the longest argument that the kernel takes (MAX_ARG_STRLEN), with its closing NUL.
_LONGEST_ARGUMENT = 1 << 17

# The signals that Python ignores. An ignored signal stays ignored in the processes that it starts.
_DEFAULT_SIGNALS = [int(getattr(signal, name)) for name in ("SIGPIPE", "SIGXFZ", "SIGXFSZ") if hasattr(signal, name)]


class Spawner:
    """Starts processes, each in a session of its own, standard input from ``/dev/null``."""

    def __init__(self, run_id: str, *, portable: bool = False, more: Mapping[str, str] | None = None) -> None:
        """``run_id``: what processes are marked with. ``portable``: never use posix_spawn. ``more``: variables."""
        self._portable = portable
        self._null = os.open(os.devnull, os.O_RDWR)
        self._take_null = (os.POSIX_SPAWN_DUP2, self._null, 0) if hasattr(os, "posix_spawn") else ()
        self._environment = {
            **os.environb,
            **{os.fsencode(name): os.fsencode(value) for name, value in (more or {}).items()},
            ATTEMPT.encode(): b"1",
        }
        # If this run is itself a task of another run: its marks say what that task may leave behind, not what ours may.
        for name in (DETACH, PART):
            self._environment.pop(name, None)
        self._mark = variables(run_id)
        try:
            self._directory = os.getcwd()
        except FileNotFoundError:
            # Removed meanwhile; it can still be worked in.
            self._directory = "."
        self._folder = os.fsencode(self._directory)
        self._directory_identity = _identity(".")
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._interpreter = sys.executable, entries_of_snippets(sys.path)
        self._python: Python | None = None

    def close(self) -> None:
        """Close what was opened."""
        os.close(self._null)

    def start(self, task: Task, out: int, err: int) -> tuple[int, str | None]:
        """Start a task with these descriptors for its output.

        Return the process id and the path of a file to remove once it has ended, or None. Raises OSError.
        """
        if task.type == "eval":
            command, path = self._snippet(task)
        elif not isinstance(task.arguments, str):
            command, path = list(map(_encode, task.arguments)), None
        else:
            source = _encode(task.arguments)
            shell = _SHELL if task.shell is None else tuple(map(_encode, task.shell))
            command, path = [*shell, source], None
            if len(source) >= _LONGEST_ARGUMENT and os.path.basename(os.fsencode(shell[0])) in _SHELLS:
                command, path = _long_command(shell, source)
        try:
            return self._start(command, task, out, err), path
        except OSError:
            if path is not None:
                os.unlink(path)
            raise

    def _snippet(self, task: Task) -> tuple[list[str | bytes], str | None]:
        """Return the command that runs a snippet, and the path of its file, or None."""
        if self._python is None:
            from fastrun.executors.commands.python import Python

            self._python = Python(*self._interpreter, self._directory)
        return self._python.command(task)

    def _start(self, command: list[str | bytes], task: Task, out: int, err: int) -> int:
        environment = self._environment.copy()
        environment[TASK] = encode_name(task.name)
        if task.env:
            environment.update((_encode(key), _encode(value)) for key, value in task.env.items())
            environment.pop(DETACH, None)
        # Last, so that no variable of the task hides it: the process is found by it.
        environment.update(self._mark)
        if task.detach:
            environment[DETACH] = b"1"
        program = command[0]
        if isinstance(program, bytes):
            # What the document names. The system's shell and the interpreter are known by their paths, which are texts.
            program = find_program(program, environment.get(b"PATH"), self._directory_of(task))
        if self._portable or task.cwd is not None or self._moved():
            return self._start_elsewhere(program, command, task, environment, out, err)
        umask = os.umask(self._umask)
        try:
            # Takes 5 to 10 % less per command than subprocess. Only subprocess can set a directory.
            return os.posix_spawn(
                program,
                command,
                environment,
                file_actions=(
                    self._take_null,
                    (os.POSIX_SPAWN_DUP2, out, 1),
                    (os.POSIX_SPAWN_DUP2, err, 2),
                ),
                setsid=True,
                setsigdef=_DEFAULT_SIGNALS,
            )
        finally:
            os.umask(umask)

    def _moved(self) -> bool:
        """Return whether a snippet has changed the process's directory."""
        try:
            if os.getcwd() == self._directory:
                return False
        except FileNotFoundError:
            pass
        # It may have been renamed or removed, and still be the same.
        return _identity(".") != self._directory_identity

    def _directory_of(self, task: Task) -> bytes:
        return os.path.join(self._folder, _encode(task.cwd)) if task.cwd else self._folder

    def _start_elsewhere(
        self,
        program: str | bytes,
        command: list[str | bytes],
        task: Task,
        environment: dict[bytes, bytes],
        out: int,
        err: int,
    ) -> int:
        process = subprocess.Popen(
            command,
            executable=program,
            stdin=self._null,
            stdout=out,
            stderr=err,
            env=environment,
            cwd=self._directory_of(task),
            umask=self._umask,
            start_new_session=True,
            close_fds=False,
        )
        # The watcher reaps it. Popen, if it had no status, would warn, and would reap our child when a snippet starts
        # another process.
        process.returncode = 0
        return process.pid


def _long_command(shell: Sequence[str | bytes], command: bytes) -> tuple[list[str | bytes], str]:
    """Return what runs a command that is too long for an argument, and the path of the file that it is in."""
    from shlex import quote  # which no other command needs

    path = write_private(command, ".sh")
    # "." keeps $0 and standard input as they are.
    return [*shell, f". {quote(path)}"], path


def _encode(text: str) -> bytes:
    """Return a text in the bytes of the document, whatever the locale."""
    return text.encode("utf-8", "surrogateescape")


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino
