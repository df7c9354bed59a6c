"""Makes what a user sees of a run while it lasts: colours, and a status on standard error.

Knows what the streams are, and the options and variables that say what is wanted. Imported only where a stream is a
terminal, or an option or variable asks for either.
"""

import argparse
import os
import stat
from collections.abc import Callable, Mapping

from fastrun.observers.terminal.console import Console
from fastrun.observers.terminal.screen import ScreenWriter
from fastrun.observers.terminal.status import Live, Progress, Spoken
from fastrun.protocols import STDERR, STDOUT


class Watched:
    """A run that is watched. ``color``, ``error_color``: whether standard output, standard error is coloured.

    ``writer``: for the console, or None.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        out: int,
        err: int,
        environ: Mapping[str, str] = os.environ,
        *,
        other: int | None = None,
    ) -> None:
        """``out``, ``err``: descriptors of the streams. ``other``: a descriptor of other observers."""
        self._out = out
        self._other = other
        self._err = err
        self._options = options
        self._environ = environ
        self._kind = self._kind_of(options.status)
        self.color = self._is_colored(out)
        self.error_color = self._is_colored(err)
        self.writer = None
        if self._kind == "live":
            self.writer = ScreenWriter({STDOUT: out, STDERR: err}, shared=self._is_one_terminal())

    def status(
        self,
        console: Console,
        slots: int | None = None,
        expected: Mapping[str, float] | None = None,
        held_by: Callable[[], str | None] | None = None,
    ) -> Progress | None:
        """Return what shows how the run stands. ``console``: prints the run, with the ``writer``.

        ``slots``, ``expected``, ``held_by``: as for ``Progress``.
        """
        if not self._kind:
            return None
        if self.writer is None:
            return Spoken(console.note, slots=slots, expected=expected, held_by=held_by)
        return Live(
            self.writer,
            console.tail,
            terminal=self._err,
            color=self.error_color,
            slots=slots,
            expected=expected,
            held_by=held_by,
        )

    def _kind_of(self, wanted: str) -> str:
        """Return how it is shown what runs: ``"live"`` on a terminal, as ``"lines"`` of a log, or not at all."""
        always = wanted == "always"
        if wanted == "never":
            return ""
        if self._is_capable(self._err) and (always or self._is_alone()):
            return "live"
        in_ci = self._environ.get("CI", "").lower() not in ("", "0", "false")
        return "lines" if always or (in_ci and not os.isatty(self._err)) else ""

    def _is_one_terminal(self) -> bool:
        """Return whether both streams go to the same terminal."""
        if not (os.isatty(self._out) and os.isatty(self._err)):
            return False
        return os.fstat(self._out).st_rdev == os.fstat(self._err).st_rdev

    def _is_alone(self) -> bool:
        """Return whether all output goes to the terminal or a file, and not to a tee or a pager, which may draw too."""
        if self._other is not None and not _ends_there(self._other):
            return False
        return self._is_one_terminal() or _ends_there(self._out)

    def _is_capable(self, descriptor: int) -> bool:
        """Return whether a descriptor is a terminal that does more than print."""
        return os.isatty(descriptor) and self._environ.get("TERM", "dumb") not in ("", "dumb")

    def _is_colored(self, descriptor: int) -> bool:
        """Return whether what goes to a descriptor is coloured (https://no-color.org, https://force-color.org)."""
        if self._options.color != "auto":
            return bool(self._options.color == "always")
        if self._environ.get("FORCE_COLOR"):
            return True
        return not self._environ.get("NO_COLOR") and self._is_capable(descriptor)


def _ends_there(descriptor: int) -> bool:
    """Return whether a descriptor is a file or a device, and neither a terminal nor a pipe."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(descriptor))
