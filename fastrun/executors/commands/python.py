"""The commands that run snippets in processes: what ``python FILE`` is for a script, and the same for other sources.

Knows how to call the interpreter. Does not know what else a process is started with.
"""

import errno
import os
import subprocess
from collections.abc import Sequence

from fastrun.document.script import script_path
from fastrun.document.task import Task
from fastrun.executors.commands.files import write_private

_FOLDER = os.path.dirname(__file__)


class Python:
    """The interpreter of this process, with the options that it was started with."""

    def __init__(self, executable: str | None, entries: Sequence[str], directory: str) -> None:
        """``executable``, ``entries``: of ``sys.path``, ``directory``: as they were when the run began."""
        self._executable = executable
        # An empty entry comes first, as for python -c.
        self._entries = [entry for entry in entries if isinstance(entry, str) and entry]
        self._directory = directory
        self._program = compiled(os.path.join(_FOLDER, "importlib_bootstrap.py"))
        self._hooks = os.path.join(_FOLDER, "boot_hooks.py")

    def command(self, task: Task) -> tuple[list[str | bytes], str | None]:
        """Return the command that runs a snippet, and the path of a file to remove once it has ended, or None.

        Raises OSError.
        """
        if not self._executable:
            raise OSError(errno.ENOENT, "the path of the Python interpreter is not known")
        # As multiprocessing does.
        start = [self._executable, *subprocess._args_from_interpreter_flags()]  # type: ignore[attr-defined]  # noqa: SLF001
        if task.script is not None:
            return [*start, self._operand(task.script, task.cwd)], None
        path = write_private(task.source.encode("utf-8", "surrogatepass"), ".py")
        return [*start, self._program, ascii((f"<task {task.label}>", path, self._entries, self._hooks))], path

    def _operand(self, script: str, cwd: str | None) -> bytes:
        """Return the path of a script as Python is to be given it."""
        path = script_path(script)
        if cwd is not None:
            return os.path.join(os.fsencode(self._directory), path)
        # A name that begins with - would be an option, or standard input.
        return b"./" + path if path.startswith(b"-") else path


def compiled(path: str) -> str:
    """Return what Python loads fastest of a program: its compiled form, if there is one or can be, else its source."""
    from importlib.machinery import SourceFileLoader
    from importlib.util import cache_from_source

    # Has it compiled, as an import would.
    SourceFileLoader("program", path).get_code("program")
    found = cache_from_source(path)
    try:
        return found if os.stat(found).st_mtime >= os.stat(path).st_mtime else path
    except OSError:
        return path
