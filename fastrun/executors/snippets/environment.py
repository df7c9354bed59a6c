"""``os.environ`` as each snippet has it for itself, and the environment of the processes that it starts."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from fastrun.document.task import Task
from fastrun.executors.guardian.marks import TASK, encode_name
from fastrun.executors.present import PRESENT
from fastrun.protocols import ATTEMPT

# What ``os.environ`` and ``os.environb`` hold outside of snippets.
_SHARED: dict[bytes, bytes] = vars(os.environ)["_data"]


def environment_class(original: type) -> type:
    """Return the class of ``os.environ`` while snippets run.

    Each program has a copy of its own, made when it is first asked for, in which its task is named. What a program
    changes in its copy is changed in the environment of the process as well, which C code and its processes see.
    """

    def data(environment: Any) -> dict[bytes, bytes]:
        program = PRESENT.program
        values: dict[bytes, bytes] = environment.__dict__["_data"]
        # A copy that a snippet makes by ``copy.deepcopy`` holds its own values.
        if program is None or values is not _SHARED:
            return values
        if program.environment is None:
            program.environment = {**values, **program.shared.marks, **_own_marks(program.task)}
        own: dict[bytes, bytes] = program.environment
        return own

    def state(environment: Any) -> dict[str, Any]:
        return {**vars(environment), "_data": data(environment)}

    return type("_Environ", (original,), {"_data": property(data), "__getstate__": state})


def _own_marks(task: Task) -> dict[bytes, bytes]:
    own = {os.fsencode(name): os.fsencode(value) for name, value in (task.env or {}).items()}
    return {ATTEMPT.encode(): b"1", **own, TASK: encode_name(task.name)}


def fork_exec(original: Callable[..., int]) -> Callable[..., int]:
    """Return what ``subprocess`` starts processes with: without an environment they get the snippet's.

    Here, and not in ``Popen``, no frame of ours stands in the traceback of a command that is not found.
    """

    def fork_exec(*arguments: Any) -> int:
        program = PRESENT.program
        if program is None:
            return original(*arguments)
        if arguments[_ENVIRONMENT] is None:
            variables = [name + b"=" + value for name, value in os.environb.items()]
            arguments = (*arguments[:_ENVIRONMENT], variables, *arguments[_ENVIRONMENT + 1 :])
        parents = program.shared.parents
        parents.begin(program)
        try:
            return original(*arguments)
        finally:
            parents.end()

    return fork_exec


def posix_spawn(original: Callable[..., int]) -> Callable[..., int]:
    """Return ``os.posix_spawn`` or ``os.posix_spawnp`` as snippets have it. ``subprocess`` calls the first."""

    def posix_spawn(path: Any, argv: Any, env: Any, /, **options: Any) -> int:
        program = PRESENT.program
        if program is None:
            return original(path, argv, env, **options)
        parents = program.shared.parents
        parents.begin(program)
        try:
            return original(path, argv, os.environ if env is None else env, **options)
        finally:
            parents.end()

    return posix_spawn


def system(original: Callable[..., int]) -> Callable[..., int]:
    """Return ``os.system`` as snippets have it: with the snippet's environment, by which its processes are found.

    That of C has the whole process ignore SIGINT as long as the command runs: the run would not hear of it.
    """

    def system(command: Any) -> int:
        if PRESENT.program is None:
            return original(command)
        sys.audit("os.system", command)
        # What a command inherits otherwise is the same: descriptors, and SIGPIPE, which Python ignores.
        shell: list[str | bytes] = ["/bin/sh", "-c", os.fsencode(command)]
        code = subprocess.Popen(shell, close_fds=False, restore_signals=False).wait()
        return code << 8 if code >= 0 else -code

    return system


# The position of the environment among the arguments. Source: fork_exec in CPython's Modules/_posixsubprocess.c.
_ENVIRONMENT = 5
