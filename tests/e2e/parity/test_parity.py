"""A snippet does what its text does as ``python FILE``: prints, writes, leaves behind and returns the same.

The scripts of a topic run one after the other in one document, and all scripts at once in another. Scripts in
``alone`` have a document each: they use what all snippets share, the state of ``logging`` for example. Scripts that
change what belongs to a whole process are in ``process_only``, and so are those whose forked children print: in a
thread that is the output of no task.
"""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import LIMIT
from tools.parity import WHERE, Interpreter, Result, differences, scripts_of

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = Path(__file__).parent
SCRIPTS = scripts_of(FOLDER / "scripts")
ALONE = scripts_of(FOLDER / "alone")
PROCESS_ONLY = scripts_of(FOLDER / "process_only")

# Most scripts in one document. More of them would share the start of fastrun, and fail together if it ends.
_MOST = 12

python = Interpreter(timeout=LIMIT / 4)


def topics(scripts: list[Path]) -> dict[str, list[Path]]:
    """Return the scripts by the first word of their names; large topics in several parts."""
    found = {}
    for topic, group in groupby(scripts, lambda script: script.stem.partition("_")[0]):
        members = list(group)
        for start in range(0, len(members), _MOST):
            found[f"{topic}-{start // _MOST + 1}" if start else topic] = members[start : start + _MOST]
    return found


class Expected:
    """What scripts do as ``python FILE``. All processes of a test run share it in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __call__(self, script: Path) -> Result:
        file = self.folder / f"{script.parent.name}-{script.stem}.pickle"
        if not file.exists():
            part = file.with_suffix(f".{os.getpid()}")
            part.write_bytes(pickle.dumps(python.script(script)))
            part.replace(file)
        result: Result = pickle.loads(file.read_bytes())
        return result

    def assert_same(self, scripts: list[Path], results: Iterable[Result], *, together: bool = False) -> None:
        found = {
            script.stem: lines
            for script, result in zip(scripts, results, strict=True)
            if (lines := differences(self(script), result, together=together))
        }
        if found:
            text = "\n".join("\n    ".join([f"{name}:", *lines]) for name, lines in found.items())
            pytest.fail(f"{len(found)} of {len(scripts)} scripts differ:\n{text}", pytrace=False)


@pytest.fixture(scope="session")
def expected(tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    return Expected(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)


def test_snippets_side_by_side_do_what_their_scripts_do(expected):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(expected, SCRIPTS))
    expected.assert_same(SCRIPTS, python.side_by_side(SCRIPTS, "thread"), together=True)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("scripts", topics(SCRIPTS).values(), ids=topics(SCRIPTS))
def test_snippet_does_what_its_script_does(expected, scripts, where):
    expected.assert_same(scripts, python.in_turn(scripts, where))


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("script", ALONE, ids=lambda script: script.stem)
def test_snippet_alone_does_what_its_script_does(expected, script, where):
    expected.assert_same([script], python.in_turn([script], where))


# Scripts for which it matters that they have a path.
_OF_PATHS = [s for s in SCRIPTS if s.stem.startswith(("argv", "imports", "main", "multiprocessing_pool"))]


@pytest.mark.parametrize("where", WHERE)
def test_script_by_its_path_does_the_same(expected, where):
    expected.assert_same(_OF_PATHS, python._replace(by_path=True).in_turn(_OF_PATHS, where))


@pytest.mark.parametrize("scripts", topics(PROCESS_ONLY).values(), ids=topics(PROCESS_ONLY))
def test_snippet_in_a_process_changes_what_belongs_to_a_process(expected, scripts):
    expected.assert_same(scripts, python.in_turn(scripts, "process"))
