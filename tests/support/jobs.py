"""Jobs that count themselves among the running ones, see ``leaf``, and a jobserver of the test's own."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from tests.support import leaf
from tests.support.documents import exec_

if TYPE_CHECKING:
    from pathlib import Path

# No two of them are the same.
TOKENS = b"abc"


def counted(folder: Path, name: str, wanted: int) -> dict[str, Any]:
    return exec_(name, job(folder, wanted))


def job(folder: Path, wanted: int) -> str:
    """A command that counts itself and waits for as many as are wanted, see ``leaf``."""
    return f"{sys.executable} -SEB {leaf.__file__} {folder} {wanted}"


def ended(folder: Path) -> int:
    """How many jobs have ended, none of which still runs."""
    counts = (folder / "counts").read_text().split()
    assert counts[-1] == "0"
    return len(counts) // 2


class Fifo:
    """A jobserver of the test's own: a fifo with tokens of which no two are the same."""

    def __init__(self, folder: Path, tokens: bytes = TOKENS) -> None:
        self.path = folder / "fifo"
        os.mkfifo(self.path)
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        os.write(self.descriptor, tokens)

    @property
    def flags(self) -> str:
        return f" -j4 --jobserver-auth=fifo:{self.path}"

    def left(self) -> bytes:
        """What is in it, which stays there."""
        try:
            tokens = os.read(self.descriptor, 100)
        except BlockingIOError:
            return b""
        os.write(self.descriptor, tokens)
        return bytes(sorted(tokens))
