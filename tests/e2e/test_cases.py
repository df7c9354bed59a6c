"""Whole runs from folders: ``command`` in, ``stdout``, ``stderr`` and ``exit`` out, compared to the letter.

``python -m tests.e2e.test_cases`` writes the expected files anew; read the difference before you keep it.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.support.processes import fastrun

CASES = Path(__file__).parent / "cases"


def outcome(folder: Path) -> dict[str, str]:
    """What a case prints, with the seconds left out and without the carets that differ between Pythons."""
    result = fastrun(*shlex.split((folder / "command").read_text()), cwd=folder)
    out = re.sub(r" in \d+\.\d\d s$", " in N s", result.stdout.decode(), flags=re.MULTILINE)
    out = re.sub(r"^    \| [ ~^]+\n", "", out, flags=re.MULTILINE)
    err = re.sub(r"^[ ~^]+\n", "", result.stderr.decode(), flags=re.MULTILINE)
    return {"stdout": out, "stderr": err, "exit": f"{result.returncode}\n"}


@pytest.mark.parametrize("folder", sorted(CASES.iterdir()), ids=lambda folder: folder.name)
def test_case(folder):
    expected = {name: (folder / name).read_text() for name in ("stdout", "stderr", "exit")}
    assert outcome(folder) == expected


if __name__ == "__main__":
    for case in sorted(CASES.iterdir()):
        for name, text in outcome(case).items():
            (case / name).write_text(text)
    sys.exit()
