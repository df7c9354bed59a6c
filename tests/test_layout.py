"""The layout of the tests: a test file under ``unit`` is named for its module, and no test module imports another."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "fastrun"


def imported(path: Path) -> set[str]:
    """Return the full names of what a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom):
            found.update(f"{'.' * node.level}{node.module or ''}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
    return found


def test_no_test_module_imports_another():
    found = {str(path): {name for name in imported(path) if ".test_" in f".{name}"} for path in TESTS.rglob("*.py")}
    assert {path: names for path, names in found.items() if names} == {}


def test_unit_tests_mirror_the_package():
    def has_module(path: Path) -> bool:
        # ``test_jobserver_tokens.py`` is about a topic of ``jobserver.py``.
        words = path.stem.removeprefix("test_").split("_")
        folder = PACKAGE / path.parent.relative_to(TESTS / "unit")
        return any((folder / f"{'_'.join(words[:n])}.py").exists() for n in range(1, len(words) + 1))

    assert [str(path) for path in (TESTS / "unit").rglob("test_*.py") if not has_module(path)] == []


def test_each_module_is_named_in_the_page_about_rooms():
    rows = [
        line.split("|")
        for line in (TESTS.parent / "docs" / "design" / "rooms.md").read_text().splitlines()
        if line.startswith("| ")
    ]
    named = {cells[1].strip(): set(re.findall(r"`(\w+)`", cells[2])) for cells in rows}
    rooms = {folder: named.get(f"`{folder}/`", set()) for folder in _rooms()} | {"": named["beside them"]}
    missing = [
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob("*.py")
        if not path.stem.startswith("__") and path.stem not in _names_around(path, rooms)
    ]
    assert missing == [], "name them in docs/design/rooms.md"


def _rooms() -> list[str]:
    return [path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*") if path.is_dir()]


def _names_around(path: Path, rooms: dict[str, set[str]]) -> set[str]:
    """Return the names in the row of a module's folder and in that of the folder around it."""
    folder = path.parent.relative_to(PACKAGE)
    around = ["" if str(each) == "." else each.as_posix() for each in (folder, folder.parent)]
    return set().union(*(rooms[name] for name in around))
