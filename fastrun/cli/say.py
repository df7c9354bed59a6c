"""Writes what the command line itself says: lines on standard error, texts on standard output, exit codes.

Knows the two streams. Does not know what a run prints: that is the console's.
"""

import atexit
import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, TextIO

EXIT_USAGE = 2
EXIT_OUTPUT = 3

# Whether a line was printed on standard error, and whether one could not be written there.
_said = False
_lost = False


class Exit(Exception):  # noqa: N818  # as SystemExit
    """The command line ends with ``code``. ``text``: what standard error is told, empty for nothing."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def usage_error(text: str) -> Exit:
    """Return the end of a command line that cannot be carried out. ``text``: why, in one line."""
    return Exit(EXIT_USAGE, f"fastrun: {text}")


@contextmanager
def starting() -> Iterator[None]:
    """Turn errors by which the system refuses what a start needs into Exit, with one line."""
    try:
        yield
    except BaseException as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        raise refusal from None


def refusal_of(error: BaseException) -> Exit | None:
    """Return the end of a command line that the system refuses to start, None for other errors."""
    if isinstance(error, OSError) and error.strerror:
        return usage_error(f"cannot start: {error.strerror}" + (f": {error.filename}" if error.filename else ""))
    if isinstance(error, (MemoryError, ImportError, SystemError)):
        return usage_error(f"cannot start: {str(error) or os.strerror(errno.ENOMEM)}")
    return None


def say(text: str) -> None:
    """Print a line on standard error."""
    global _lost, _said
    _said = True
    stderr = getattr(sys, "stderr", None)
    try:
        if stderr is None:
            raise _closed()
        print(text, file=stderr, flush=True)
    except (OSError, ValueError):
        # ValueError: closed here before.
        _lost = True
        if stderr is not None:
            # Or the interpreter tries again at its end, and exits with 120.
            with suppress(OSError, AttributeError):
                stderr.close()


def put(texts: Iterable[str]) -> int:
    """Print on standard output, and flush it. Returns the exit code. Raises Exit if that cannot be done."""
    stdout = sys.stdout
    try:
        if stdout is None:
            raise _closed()
        stdout.buffer.writelines(text.encode() for text in texts)
        stdout.flush()
    except OSError as error:
        raise Exit(EXIT_OUTPUT, _give_up(stdout, error)) from None
    return 0


def leave(code: int) -> NoReturn:
    """End the process without waiting for threads, which are snippets' and may never end."""
    # What libraries have registered for the end of the process.
    atexit._run_exitfuncs()  # noqa: SLF001  # as the interpreter does
    os._exit(exit_code(code))


def exit_code(code: int) -> int:
    """Write what the two streams still hold, and return the exit code.

    It is EXIT_OUTPUT where ``code`` would say that all was written and something was lost.
    """
    global _lost
    for stream in (sys.stdout, sys.stderr):
        try:
            # Closed or replaced by what ran here, or closed when this process started.
            with suppress(ValueError, AttributeError):
                stream.flush()
        except OSError as error:
            _lost = True
            text = _give_up(stream, error)
            if text and stream is sys.stdout:
                say(text)
    return EXIT_OUTPUT if _lost and code in (0, 1) else code


def has_said() -> bool:
    """Return whether a line was printed on standard error."""
    return _said


def _give_up(stream: TextIO, error: OSError) -> str:
    """Close a stream, or the interpreter tries again at its end. Return what to say of standard output, or nothing."""
    with suppress(OSError, AttributeError):
        stream.close()
    return "" if isinstance(error, BrokenPipeError) else f"fastrun: cannot write to standard output: {error.strerror}"


def _closed() -> OSError:
    """Return the error of a stream that was closed when this process started."""
    return OSError(errno.EBADF, os.strerror(errno.EBADF))
