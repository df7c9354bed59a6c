"""The guardian: a process that outlives the runner, however that dies, to end what its tasks started.

It costs what starting a shell costs, and nothing while it waits: the shell reads from a pipe that is never written to,
of which the runner alone holds the other end. When the kernel closes that end, the shell becomes a Python that runs
``emergency``. Knows how to start and to end the guardian; not what the guardian does, nor how tasks are run.

It has its own session, ignores signals and has no mark in its environment: so it survives what ends the runner and, if
the runner is a task of another run, what ends the tasks of that run.
"""

import errno
import os
import resource
import signal
import sys
from contextlib import suppress

from fastrun.executors.guardian.table import Table
from fastrun.executors.present import PRESENT
from fastrun.protocols import Events

_SHELL = "/bin/sh"

# The signals that are not to end it, blocked until the shell ignores them.
_IGNORED = [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM]
_SCRIPT = "trap '' HUP INT QUIT TERM; read -r line; exec \"$@\""

# The variables that Python may need to find its libraries, and TERM: it tells whether lines can be erased.
_PASSED = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH", "TERM")

# Where the system lists the descriptors of this process, and how many are tried where it does not.
_DESCRIPTORS = "/dev/fd"
_DESCRIPTORS_TRIED = 1024

# The package is found by its path: the environment and site's folders are not looked at, as both could delay it.
_FOLDER = os.path.abspath(__file__).rsplit(os.sep, 4)[0]
_CODE = "import sys; sys.path.append(sys.argv.pop(1)); from fastrun.executors.guardian.emergency import main; main()"


class Guardian:
    """Watches over one run. ``table``: where executors list what runs; usable whether it was started or not.

    ``named``: tasks of which the user has been told that they left a process behind, see ``leftovers``.
    ``tokens_go_to``: the descriptor to which it gives back listed tokens, -1 for none; set before it is started.
    """

    def __init__(self, run_id: str, *, wanted: bool = True) -> None:
        """``run_id``: the mark that the run's commands carry. ``wanted``: False to never start it."""
        self.run_id = run_id
        self.table = Table()
        self.tokens_go_to = -1
        self.named: set[bytes] = set()
        self._begun = not wanted
        self._pid = 0
        self._pipe = -1

    def begin(self, events: Events) -> None:
        """Start it unless that was tried before. Called before a first task."""
        if self._begun:
            return
        self._begun = True
        try:
            self.start()
        except OSError as error:
            events.warning(f"no guardian: {error.strerror}; if fastrun is killed, its commands live on")

    def start(self) -> None:
        """Start it.

        Raises OSError with nothing started. The run can go on without it, and calls ``stop`` all the same.
        """
        if self.table.descriptor < 0 or not sys.executable:
            raise OSError(errno.ENOSYS, "no shared memory, or no Python that is known by its path")
        read_end, self._pipe = os.pipe()
        # Before it is started, so that a copy of this process that is made meanwhile leaves the pipe as well.
        _started.add(self)
        try:
            self._pid = _spawn(self.run_id, read_end, self.table.descriptor, self.tokens_go_to)
        except NotImplementedError as error:
            raise OSError(errno.ENOSYS, str(error)) from None
        finally:
            os.close(read_end)

    def stop(self) -> None:
        """End it once no process of the run is left, whether it was started, has ended or not.

        Return when it is gone: it has the runner's standard error, and a reader of that would wait for it.
        """
        _started.discard(self)
        if self._pid:
            # Killed, not asked: it may be stopped, and then it would not react.
            with suppress(ChildProcessError):
                # Only if it has not been waited for: else its number may be another process's.
                if not os.waitpid(self._pid, os.WNOHANG)[0]:
                    os.kill(self._pid, signal.SIGKILL)
                    os.waitpid(self._pid, 0)
            self._pid = 0
        self._close_pipe()
        self.table.close()

    def _close_pipe(self) -> None:
        if self._pipe >= 0:
            with suppress(OSError):
                # A snippet may have closed it.
                os.close(self._pipe)
            self._pipe = -1

    def _leave(self) -> None:
        """Detach a copy of the process: the guardian is the original's."""
        # A copy made by a snippet has no mark: the guardian knows it by the table's descriptor. Other copies do not
        # belong to the run, and let go of that before the end of the pipe has the guardian look.
        self.table.close(keep_file=PRESENT.program is not None)
        self._close_pipe()


_started: set[Guardian] = set()


def _leave_all() -> None:
    for guardian in _started:
        guardian._leave()  # noqa: SLF001  # the hook is one for all of them, and cannot be taken back
    _started.clear()


os.register_at_fork(after_in_child=_leave_all)


def _spawn(run_id: str, pipe: int, table: int, tokens: int) -> int:
    """Start the shell. Return its process id. Raises OSError, or NotImplementedError without setsid."""
    # Numbers above all others, so that no descriptor is replaced before it is copied.
    table_copy = max(pipe, table, tokens, 2) + 1
    tokens_copy = table_copy + 1 if tokens >= 0 else -1
    # No mark, and only what is needed: a copy of all variables would take 0.1 ms.
    environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
    python = [sys.executable, "-I", "-S", "-B", "-c", _CODE, _FOLDER]
    known = [os.getpid(), os.getsid(0), os.getpgrp(), table, table_copy, tokens_copy]
    inheritable = _inheritable()
    # Descriptors at or above the limit, if it was lowered since, cannot be named in an action.
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unnamed = [descriptor for descriptor in inheritable if 0 <= limit <= descriptor]
    for descriptor in unnamed:
        os.set_inheritable(descriptor, False)
    try:
        return os.posix_spawn(
            _SHELL,
            [_SHELL, "-c", _SCRIPT, "fastrun-guardian", *python, run_id, *map(str, known)],
            environment,
            file_actions=[
                *((os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in inheritable if descriptor not in unnamed),
                (os.POSIX_SPAWN_DUP2, table, table_copy),
                *([(os.POSIX_SPAWN_DUP2, tokens, tokens_copy)] if tokens >= 0 else []),
                (os.POSIX_SPAWN_DUP2, pipe, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            ],
            setsid=True,
            setsigmask=_IGNORED,
        )
    finally:
        for descriptor in unnamed:
            os.set_inheritable(descriptor, True)


def _inheritable() -> list[int]:
    """Return the descriptors beyond the first three that a new process would inherit, and so hold open."""
    try:
        descriptors = [int(name) for name in os.listdir(_DESCRIPTORS)]
    except OSError:
        descriptors = list(range(_DESCRIPTORS_TRIED))
    found = []
    for descriptor in descriptors:
        try:
            if descriptor > 2 and os.get_inheritable(descriptor):
                found.append(descriptor)
        except OSError:
            # It is not open; that of the listing itself is closed again.
            continue
    return found
