"""A plain run imports no more than it needs. Contracts in pyproject.toml say which room may import which."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import fastrun
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import LIMIT, environment


def _loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(*sys.modules, file=sys.__stderr__)"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(), check=True, timeout=LIMIT
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
        [sys.executable, "-c", code], capture_output=True, env=environment(), check=False, timeout=LIMIT
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_a_run_of_one_task_loads_nothing_about_memory(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true")))
    loaded = _loaded_by(f"import fastrun.cli.main; fastrun.cli.main.main([{os.fspath(path)!r}])")
    assert not loaded & {f"fastrun.executors.gates.{name}" for name in ("admission", "memory", "readings")}


def test_a_plain_run_imports_two_packages(tmp_path):
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps(document(exec_("a", "true"), eval_("b", "pass"))))
    loaded = _loaded_by(f"import fastrun.cli.main; fastrun.cli.main.main([{os.fspath(path)!r}])")
    # cython_runtime is made by uvloop; what site loads, such as coverage, is there without us.
    ours = {"fastrun", "uvloop", "cython_runtime", "orjson"}
    new = {name.split(".")[0] for name in loaded - _loaded_by("")}
    # Of the standard library, what takes milliseconds to load and few runs need.
    assert not new & {"random", "shlex", "shutil", "tempfile", "unittest"}
    assert {name for name in new - ours if not name.startswith("_")} <= set(sys.stdlib_module_names)
    assert not loaded & {f"fastrun.executors.gates.{name}" for name in ("gates", "jobserver")}
    watching = {
        "fastrun.cli.observers",
        "fastrun.cli.terminal",
        "fastrun.observers.timeline",
        "fastrun.observers.files",
    }
    others = {"fastrun.cli.look", "fastrun.plan.selection", "fastrun.journal", "fastrun.cluster"}
    others |= {"fastrun.cli.unchanged", "fastrun.uptodate"}
    assert not loaded & (watching | others)


@pytest.mark.parametrize("option", ["--list", "--dry-run"])
def test_where_a_document_is_only_shown_no_loop_and_no_executor_is_loaded(option, tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true"), eval_("b", "pass", where="process")))
    loaded = _loaded_by(f"import fastrun.cli.main; fastrun.cli.main.main([{option!r}, {os.fspath(path)!r}])")
    assert "fastrun.loading" in loaded
    assert not loaded & {"asyncio", "uvloop", "fastrun.executors.commands", "fastrun.executors.snippets"}


def test_where_nothing_changed_no_loop_and_no_document_is_loaded(tmp_path):
    tasks = write_json(tmp_path, {"tasks": [{**exec_("a", "true"), "inputs": ["tasks.json"]}]})
    code = (
        f"import os, fastrun.cli.main; os.chdir({os.fspath(tmp_path)!r}); fastrun.cli.main.main(['-u', {tasks.name!r}])"
    )
    heavy = {"asyncio", "uvloop", "fastrun.api", "fastrun.cli.run", "fastrun.document.parse", "fastrun.journal"}
    for _ in range(2):
        assert _loaded_by(code) >= heavy
    assert not _loaded_by(code) & heavy


def test_a_run_without_a_journal_does_not_load_it(tmp_path):
    tasks = write_json(tmp_path, document(exec_("a", "true"), eval_("b", "pass")))
    code = (
        f"import sys, fastrun.cli.main; fastrun.cli.main.main([{os.fspath(tasks)!r}]);"
        "sys.exit(bool({'fastrun.journal', 'fastrun.journal.recovery'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    subprocess.run(command, stdout=subprocess.DEVNULL, env=environment(), check=True, timeout=LIMIT)


def test_unknown_public_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fastrun.nothing  # noqa: B018
    assert all(hasattr(fastrun, name) for name in fastrun.__all__)
