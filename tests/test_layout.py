"""The layout of the tests: a test file under ``unit`` is named for its module, and no test module imports another."""

from __future__ import annotations

import ast
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
