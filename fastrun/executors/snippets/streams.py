"""``sys.stdout`` and ``sys.stderr`` while snippets run: what is printed goes to the task that printed it.

A task is known by its context, which threads that it starts inherit. ``contextlib.redirect_stdout`` could not
do this: it is global and cannot tell threads apart.
"""

import io
import os
import sys
import threading
from contextvars import copy_context
from typing import Any, TextIO

from fastrun.executors.context import OUTPUT
from fastrun.protocols import STDERR, STDOUT


class _Bytes(io.RawIOBase):
    """``buffer`` of a stream: bytes to the task of the context, or to where they went before."""

    def __init__(self, stream: int, text: "_Text") -> None:
        self._stream = stream
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        data = bytes(data)
        if in_copy():
            _write_all(self._stream, data)
            return len(data)
        if not _taken(self._stream, data):
            buffer = getattr(self._text.fallback, "buffer", None)
            if buffer is not None:
                buffer.write(data)
                buffer.flush()
        return len(data)


class _Text(io.TextIOBase):
    """``sys.stdout`` or ``sys.stderr``: text to the task of the context, or to where it went before."""

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self.fallback: TextIO | None = None
        self._errors = "surrogateescape" if stream == STDOUT else "backslashreplace"
        self._buffer = _Bytes(stream, self)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return self._errors

    @property
    def buffer(self) -> _Bytes:
        return self._buffer

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream

    @property
    def name(self) -> str:
        return "<stdout>" if self._stream == STDOUT else "<stderr>"

    @property
    def mode(self) -> str:
        return "w"

    @property
    def line_buffering(self) -> bool:
        return True

    @property
    def write_through(self) -> bool:
        return True

    def reconfigure(self, **_: object) -> None:
        """Nothing: the stream is shared, and lines are passed on as they are."""

    def close(self) -> None:
        """Nothing: other tasks print on."""

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if in_copy():
            _write_all(self._stream, text.encode("utf-8", self._errors))
            return len(text)
        if not _taken(self._stream, text, self._errors) and self.fallback is not None:
            self.fallback.write(text)
            self.fallback.flush()
        return len(text)


def _taken(stream: int, data: str | bytes, errors: str = "") -> bool:
    """Whether what is printed is taken by the task of the context, or is to be heard by nobody."""
    output = OUTPUT.get(None)
    if output is None:
        return False
    if isinstance(data, str):
        data = data.encode("utf-8", errors)
    return output[0](output[1], stream, data) or _kept


# The process whose runs they are. Nobody collects in a copy that a snippet forked off: it writes for itself.
_owner = os.getpid()


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def in_copy() -> bool:
    """Whether this process is such a copy."""
    return os.getpid() != _owner


def _now_in_child() -> None:
    """Let a process that somebody else forked off, who uses this as a library, have runs of its own."""
    global _owner
    if OUTPUT.get(None) is None:
        _owner = os.getpid()


os.register_at_fork(after_in_child=_now_in_child)

# For the life of the process: ``print`` of CPython up to 3.13 holds no reference to the stream that it writes to, and
# the thread of a snippet may be in it when the streams are put back. Source: builtin_print in Python/bltinmodule.c.
_STDOUT, _STDERR = _Text(STDOUT), _Text(STDERR)

_installed = 0
_kept = False
_original_start = threading.Thread.start


def install() -> None:
    """Put the routing streams in place; runs in one process share them."""
    global _installed, _original_start
    _installed += 1
    if _installed == 1:
        # Not at import: somebody else may have put a method of theirs there since.
        _original_start = threading.Thread.start
        _STDOUT.fallback, sys.stdout = sys.stdout, _STDOUT
        _STDERR.fallback, sys.stderr = sys.stderr, _STDERR
        threading.Thread.start = _start_in_context  # type: ignore[method-assign,assignment]


def uninstall() -> None:
    """Put back what was there before, once no run needs it any more."""
    global _installed
    _installed -= 1
    if not _installed:
        # A snippet may have deleted them.
        if getattr(sys, "stdout", _STDOUT) is _STDOUT:
            sys.stdout = _STDOUT.fallback
        if getattr(sys, "stderr", _STDERR) is _STDERR:
            sys.stderr = _STDERR.fallback
        threading.Thread.start = _original_start  # type: ignore[method-assign]


def keep_streams() -> None:
    """Install them for the rest of a process that ends with its run.

    What threads of snippets print once the run is over is dropped: it would stand among the lines of the report.
    """
    global _kept
    _kept = True
    install()


def _start_in_context(thread: threading.Thread) -> None:
    """``Thread.start`` of a snippet: the new thread prints as the task that started it."""
    if OUTPUT.get(None) is not None:
        context = copy_context()
        run = thread.run
        thread.run = lambda: context.run(run)  # type: ignore[method-assign]
    _original_start(thread)
