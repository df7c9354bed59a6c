"""Jobs that count themselves among those that run, see ``leaf``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tests.support import leaf
from tests.support.documents import exec_

if TYPE_CHECKING:
    from pathlib import Path


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
