"""``sys.stdout`` and ``sys.stderr`` while snippets run: each write goes to the task that makes it.

A task is known by its context, which the threads that it starts inherit. ``contextlib.redirect_stdout`` could not do
this: it is global and cannot tell threads apart.
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
    """The ``buffer`` of a stream: bytes go to the task of the context or, without a task, to the original stream."""

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
    """``sys.stdout`` or ``sys.stderr``: text goes to the task of the context or, without a task, to ``fallback``.

    ``fallback``: the original stream.
    """

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
        """Do nothing: the stream is shared, and lines are passed on as they are."""

    def close(self) -> None:
        """Do nothing: other tasks go on printing."""

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
    """Pass data on to the task of the context. Return False if the original stream is to get it instead."""
    output = OUTPUT.get(None)
    if output is None:
        return False
    if isinstance(data, str):
        data = data.encode("utf-8", errors)
    return output[0](output[1], stream, data) or _kept


# The id of the process that has the runs. A copy of it that a snippet forked off writes to the descriptors itself:
# nothing collects what it prints.
_owner = os.getpid()


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def in_copy() -> bool:
    """Return whether this process is a copy that a snippet forked off."""
    return os.getpid() != _owner


def _now_in_child() -> None:
    """Let this process have runs of its own, unless a snippet forked it off."""
    global _owner
    if OUTPUT.get(None) is None:
        _owner = os.getpid()


os.register_at_fork(after_in_child=_now_in_child)

# Kept for the life of the process: ``print`` of CPython up to 3.13 holds no reference to the stream that it writes to,
# and a snippet's thread may be in it when the streams are put back. Source: builtin_print in Python/bltinmodule.c.
_STDOUT, _STDERR = _Text(STDOUT), _Text(STDERR)

_installed = 0
_kept = False
_original_start = threading.Thread.start


def install() -> None:
    """Install the routing streams. All runs of a process share them."""
    global _installed, _original_start
    _installed += 1
    if _installed == 1:
        # Not at import: other code may have replaced the method since.
        _original_start = threading.Thread.start
        _STDOUT.fallback, sys.stdout = sys.stdout, _STDOUT
        _STDERR.fallback, sys.stderr = sys.stderr, _STDERR
        threading.Thread.start = _start_in_context  # type: ignore[method-assign,assignment]


def uninstall() -> None:
    """Put back the original streams, once no run needs the routing streams."""
    global _installed
    _installed -= 1
    if not _installed:
        # A snippet may have deleted or replaced them.
        if getattr(sys, "stdout", _STDOUT) is _STDOUT:
            sys.stdout = _STDOUT.fallback
        if getattr(sys, "stderr", _STDERR) is _STDERR:
            sys.stderr = _STDERR.fallback
        threading.Thread.start = _original_start  # type: ignore[method-assign]


def keep_streams() -> None:
    """Keep the routing streams installed in a process that ends with its run.

    Output of snippets' threads after the run is dropped: it would stand among the lines of the report.
    """
    global _kept
    _kept = True
    install()


def _start_in_context(thread: threading.Thread) -> None:
    """Start a thread as ``Thread.start`` does, in the context of the snippet that starts it, if it is one."""
    if OUTPUT.get(None) is not None:
        context = copy_context()
        run = thread.run
        thread.run = lambda: context.run(run)  # type: ignore[method-assign]
    _original_start(thread)
