"""Imports point one way, and a plain run imports no more than it needs."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastrun
from tests.support.helpers import document, environment, eval_, exec_

FOLDER = Path(fastrun.__file__).parent

# What each module may import of ours; the parts of executors and observers, their own parts as well.
ALLOWED = {
    "__init__": {"api", "journal.records", "observers.console", "protocols", "selection", "spec"},
    "__main__": {"cli"},
    "cli": {
        "api",
        "cluster.address",
        "explain",
        "graph",
        "journal.resume",
        "observers.console",
        "observers.status",
        "options",
        "outputs",
        "protocols",
        "recovery",
        "scheduler",
        "selection",
        "show",
        "signals",
        "spec",
        "terminal",
        "whatif",
    },
    "whatif": {"graph", "protocols", "scheduler"},
    "options": {""},
    # Which observers a run gets is its business.
    "outputs": {
        "observers.console",
        "observers.events",
        "observers.github",
        "observers.html",
        "observers.junit",
        "observers.output",
        "observers.timeline",
        "observers.times",
        "observers.trace",
        "options",
        "protocols",
    },
    "terminal": {"observers.console", "observers.screen", "observers.status", "protocols"},
    "api": {
        "cluster.address",
        "cluster.connection",
        "cluster.lanes",
        "executors.gates",
        "executors.guardian",
        "executors.processes",
        "executors.snippets",
        "executors.streams",
        "graph",
        "journal.recording",
        "journal.resume",
        "protocols",
        "recovery",
        "runner",
        "selection",
        "signals",
        "spec",
    },
    "selection": {"explain", "graph", "spec"},
    "show": {"graph", "scheduler", "spec"},
    "recovery": {
        "executors.emergency",
        "executors.marks",
        "graph",
        "journal.file",
        "journal.keys",
        "journal.machine",
        "journal.recording",
        "journal.records",
        "journal.resume",
        "selection",
        "spec",
    },
    "runner": {"attempts", "deadlines", "graph", "protocols", "scheduler", "spec"},
    "attempts": {"protocols", "spec"},
    "deadlines": {"protocols", "spec"},
    "signals": {"runner"},
    "scheduler": {"graph", "protocols"},
    "graph": {"explain", "places", "spec"},
    "protocols": {"spec"},
    "explain": {"places", "spec"},
    "places": {"spec"},
    "spec": {"explain", "validator"},
    "validator": set(),
}
PARTS = {"protocols", "spec"}
# What the modules of a folder may import beside those and, of the same folder, the named ones.
MORE = {
    "cluster": {
        "",
        "deadlines",
        "executors.cluster",
        "executors.guardian",
        "executors.processes",
        "executors.seats",
        "executors.snippets",
    },
    "journal": {"", "graph"},
    "observers": {""},
}
HELPERS = {
    "cluster": {"address", "link", "outbox", "worker"},
    "executors": {
        "emergency",
        "gates",
        "groups",
        "guardian",
        "jobserver",
        "leftovers",
        "limits",
        "marks",
        "readings",
        "seats",
        "shortage",
        "spawner",
        "streams",
        "table",
        "tracebacks",
        "watch",
    },
    "journal": {"file", "keys", "machine", "records"},
    "observers": {
        "details",
        "estimate",
        "facts",
        "failures",
        "lines",
        "output",
        "screen",
        "sketch",
        "spool",
        "tail",
        "tails",
        "timeline",
        "times",
        "writer",
    },
}


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fastrun":
            found.add((node.module or "").removeprefix("fastrun").removeprefix("."))
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("fastrun.") for alias in node.names if alias.name.startswith("fastrun")}
    return found


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_imports_point_one_way(path):
    folder, name = path.parent.name, path.stem
    if folder in HELPERS:
        allowed = PARTS | {f"{folder}.{part}" for part in HELPERS[folder]} | MORE.get(folder, set())
    else:
        allowed = ALLOWED[name]
    assert _imports(path) <= allowed


def _loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(*sys.modules, file=sys.__stderr__)"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(), check=True, timeout=60
    )
    return set(result.stderr.split())


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_no_event_loop(option):
    loaded = _loaded_by(
        "import contextlib, fastrun.cli.main\n"
        f"with contextlib.suppress(SystemExit): fastrun.cli.main.main(['{option}'])"
    )
    assert not loaded & {"asyncio", "uvloop", "orjson", "fastjsonschema"}


def test_importing_the_library_installs_nothing():
    code = """
import asyncio, signal, sys, threading
def state():
    handlers = [signal.getsignal(number) for number in (2, 15, 17)]
    return handlers, sys.stdout, threading.Thread.start, asyncio.events._event_loop_policy
before = state()
import fastrun
fastrun.run, fastrun.run_async, fastrun.load, fastrun.Console, fastrun.Task, fastrun.Report, fastrun.SpecError
assert before == state()
assert threading.active_count() == 1
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environment(), check=False, timeout=60
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_a_plain_run_imports_two_packages(tmp_path):
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps(document(exec_("a", "true"), eval_("b", "pass"))))
    loaded = _loaded_by(f"import fastrun.cli.main; fastrun.cli.main.main([{os.fspath(path)!r}])")
    # cython_runtime is made by uvloop; what site loads, such as coverage, is there without us.
    ours = {"fastrun", "uvloop", "cython_runtime", "orjson"}
    new = {name.split(".")[0] for name in loaded - _loaded_by("")}
    assert {name for name in new - ours if not name.startswith("_")} <= set(sys.stdlib_module_names)
    assert not loaded & {f"fastrun.executors.{name}" for name in ("gates", "jobserver", "readings")}
    watching = {"fastrun.cli.observers", *(f"fastrun.observers.{name}" for name in ("output", "timeline", "events"))}
    assert not loaded & watching


def test_unknown_public_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fastrun.nothing  # noqa: B018
    assert all(hasattr(fastrun, name) for name in fastrun.__all__)
