"""Standard streams while snippets run: each write goes to the task that makes it.

A task is known by its context, which the threads that it starts have as well. ``contextlib.redirect_stdout`` could not
do this: it is global and cannot tell threads apart.

``print`` and ``input`` use the streams that C code finds in ``sys``: a ``Route`` each, for all tasks. A route hands on
to what ``sys.stdout`` is for the task: a stream of its own, which it may close, detach, wrap, replace or delete.
"""

import io
import os
import sys
from typing import Any, TextIO

from fastrun.executors import present
from fastrun.executors.present import PRESENT
from fastrun.executors.snippets.program import DELETED, Program
from fastrun.protocols import STDERR, STDOUT

NAMES = ("stdin", "stdout", "stderr")

_ERRORS = {STDOUT: "surrogateescape", STDERR: "backslashreplace"}


class _Bytes(io.RawIOBase):
    """The ``buffer`` of a task's stream.

    Bytes go to the task of the context: a handler of ``logging`` that the first snippet made serves the others as well.
    """

    def __init__(self, program: Program, stream: int) -> None:
        self._program = program
        self._stream = stream
        self.name = f"<{NAMES[stream]}>"
        self.mode = "wb"

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream

    def write(self, data: Any) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        data = bytes(data)
        if data:
            _pass_on(PRESENT.program or self._program, self._stream, data)
        return len(data)


def make_output(program: Program, stream: int) -> TextIO:
    """Return a stream of a program that holds nothing back."""
    made = io.TextIOWrapper(
        _Bytes(program, stream),
        "utf-8",
        _ERRORS[stream],
        line_buffering=True,
        write_through=True,
    )
    made.mode = "w"  # type: ignore[misc]  # as Python itself does for its own
    return made


def make_input() -> TextIO:
    """Return a stream that is at its end."""
    raw = io.FileIO(os.devnull)
    raw.name = "<stdin>"
    made = io.TextIOWrapper(io.BufferedReader(raw), "utf-8", "surrogateescape")
    made.mode = "r"  # type: ignore[misc]  # as Python itself does for its own
    return made


class Route(io.TextIOBase):
    """The stream in ``sys`` that C code finds: it hands on to the present program's.

    ``fallback``: the original stream, for code outside of snippets.
    """

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self._name = NAMES[stream]
        self._key = f"sys.{self._name}"
        self._errors = _ERRORS.get(stream, "surrogateescape")
        self.fallback: TextIO | None = None

    def _own(self) -> Any:
        """Return what ``sys`` has for the present program, where it is more than a way to ``Program.write``."""
        program = PRESENT.program
        if program is None:
            return self.fallback
        if program.own is None and self._stream:
            return None
        own = getattr(sys, self._name, DELETED)
        if own is DELETED:
            raise RuntimeError(f"lost sys.{self._name}")
        return own

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Return the encoding of the present program's stream."""
        return getattr(self._own(), "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """Return how that stream treats text that cannot be encoded."""
        return getattr(self._own(), "errors", None) or self._errors

    def fileno(self) -> int:
        """Return the descriptor of that stream."""
        own = self._own()
        return self._stream if own is None else int(own.fileno())

    def isatty(self) -> bool:
        """Return whether that stream is a terminal's."""
        own = self._own()
        return own is not None and bool(own.isatty())

    def readline(self, *arguments: Any) -> str:  # type: ignore[override]
        """Read a line for ``input``."""
        own = self._own()
        if own is None:
            raise RuntimeError("input(): lost sys.stdin")
        return str(own.readline(*arguments))

    def flush(self) -> None:
        """Flush that stream."""
        own = self._own()
        if own is not None:
            own.flush()

    @property
    def closed(self) -> bool:
        """Return whether that stream is closed: then the interpreter does not flush it at its end."""
        own = self._own()
        return own is not None and bool(own.closed)

    def close(self) -> None:
        """Do nothing: other tasks go on printing."""

    def write(self, text: str) -> int:
        """Write a text for ``print``."""
        program = PRESENT.program
        if program is not None and (program.own is None or self._key not in program.own):
            _pass_on(program, self._stream, text.encode("utf-8", self._errors))
            return len(text)
        own = self._own()
        if own is not None:
            own.write(text)
            if program is None:
                own.flush()
        return len(text)


# Kept for the life of the process: ``print`` of CPython up to 3.13 holds no reference to the stream that it writes to,
# and a snippet's thread may be in it when the streams are put back. Source: builtin_print in Python/bltinmodule.c.
ROUTES = tuple(Route(stream) for stream in range(len(NAMES)))


def _pass_on(program: Program, stream: int, data: bytes) -> None:
    """Pass data on to a program's task or, when its run is over, to the original stream."""
    # In a process that ends with its run, late output of a thread would stand among the lines of the report.
    if data and not program.print(stream, data) and not present.ends_with_run:
        fallback = ROUTES[stream].fallback
        buffer = getattr(fallback, "buffer", None)
        if buffer is not None:
            buffer.write(data)
            buffer.flush()
        elif fallback is not None:
            fallback.write(data.decode("utf-8", "backslashreplace"))


def write_descriptor(_: int, stream: int, data: bytes) -> bool:
    """Take what a copy of a program prints: nothing collects that, so it goes to the descriptor itself."""
    view = memoryview(data)
    while view:
        view = view[os.write(stream, view) :]
    return True
