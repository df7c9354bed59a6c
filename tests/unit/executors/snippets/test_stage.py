"""What stands in Python's modules while snippets run, and that it is as before afterwards."""

from __future__ import annotations

import _thread
import asyncio
import atexit
import linecache
import multiprocessing.process
import multiprocessing.util
import os
import subprocess
import sys
import threading
import warnings
from typing import Any

import pytest

from fastrun.executors.present import PRESENT
from fastrun.executors.snippets import stage as stage_module
from fastrun.executors.snippets.main import Main
from tests.support.documents import document, eval_, write_json
from tests.support.fakes import Recorder
from tests.support.processes import LIMIT, fastrun, unmeasured
from tests.support.runs import Evaluated, evaluate, shared


def stage() -> list[Any]:
    """Return all that a run changes."""
    owners: list[Any] = [sys, threading, warnings, os.environ, os.environb]
    values: list[Any] = [
        sys.modules["__main__"],
        sys.getrecursionlimit(),
        sys.getrecursionlimit,
        sys.setrecursionlimit,
        list(sys.meta_path),
        threading.Thread.start,
        threading.excepthook,
        _thread.start_new_thread,
        atexit.register,
        atexit.unregister,
        linecache.cache,
        subprocess._fork_exec,  # type: ignore[attr-defined]
        multiprocessing.process.BaseProcess.start,
        type(multiprocessing.process._children),  # type: ignore[attr-defined]
        multiprocessing.util.Finalize.__init__,
        warnings.filters,
        warnings.showwarning,
        dict(os.environ),
    ]
    if sys.version_info < (3, 14):
        policy = asyncio.events.BaseDefaultEventLoopPolicy
        values += [policy.get_event_loop, policy.set_event_loop]
    return [
        *map(type, owners),
        *[getattr(sys, name) for name in ("stdin", "stdout", "stderr", "path", "argv")],
        *values,
    ]


ALL = """
import atexit, multiprocessing, os, sys, threading, warnings
atexit.register(print)
threading.Thread(target=print).start()
warnings.simplefilter("error")
os.environ["X"] = "x"
sys.argv[:] = []
sys.path.clear()
sys.setrecursionlimit(5000)
with multiprocessing.get_context("fork").Pool(1) as pool:
    pool.map(abs, [1])
"""


# The finders of a run are the first and the last.
FINDERS = "import sys\ndel sys.meta_path[0], sys.meta_path[-1]"


@pytest.mark.parametrize("source", ["pass", "1 / 0", FINDERS, ALL], ids=["nothing", "failure", "finders", "all"])
def test_library_run_leaves_python_as_it_was(source):
    before = stage()
    evaluate(source)
    assert stage() == before


def test_last_of_several_runs_puts_all_back():
    before = stage()
    with shared(meet=threading.Barrier(2, timeout=LIMIT)):

        async def main() -> None:
            from fastrun import run_async

            tasks = document(eval_("a", "import shared, sys\nshared.meet.wait()\nassert sys.argv == ['-c']"))
            await asyncio.gather(run_async(tasks), run_async(tasks))

        asyncio.run(main())
    assert stage() == before


def test_run_in_another_thread_waits_until_all_is_changed(monkeypatch):
    before, seen = stage(), []
    changes = stage_module._changes

    def other_run() -> None:
        stage_module.install()
        seen.append(type(sys.modules["__main__"]))
        stage_module.uninstall()

    def slow_changes() -> list[Any]:
        other.start()
        # Time for the other to go on, if it does not wait. It decides nothing if it does.
        other.join(0.2)
        return changes()

    monkeypatch.setattr(stage_module, "_changes", slow_changes)
    other = threading.Thread(target=other_run)
    stage_module.install()
    other.join(LIMIT)
    stage_module.uninstall()
    assert seen == [Main]
    assert stage() == before


@pytest.mark.parametrize("folder", [".", "made/with/it"])
def test_module_that_an_import_has_missed_is_found_once_a_task_has_made_it(tmp_path, folder):
    source = f"""
import pathlib, sys
folder = pathlib.Path({str(tmp_path / folder)!r})
sys.path.insert(0, str(folder))
try:
    import made_by_a_task
except ImportError:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "made_by_a_task.py").write_text("value = 3")
import made_by_a_task
print(made_by_a_task.value)
"""
    try:
        assert evaluate(source).recorder.out("a") == "3\n"
    finally:
        sys.modules.pop("made_by_a_task", None)


def test_imports_outside_of_snippets_look_at_no_folder_anew(monkeypatch):
    class Finder:
        def find_spec(self, *_):
            return None

        def invalidate_caches(self) -> None:
            forgotten.append("here" if PRESENT.program is None else "in the snippet")

    forgotten: list[str] = []
    monkeypatch.setitem(sys.path_importer_cache, "/no/folder", Finder())
    missing = "try: import missing_module\nexcept ImportError: pass"

    class Imports(Recorder):
        def task_started(self, number, task, start) -> None:
            super().task_started(number, task, start)
            exec(missing)
            shared_.go.set()

    with shared(go=threading.Event()) as shared_:
        ran = evaluate(f"import shared\nshared.go.wait()\n{missing}", recorder=Imports())
    assert (ran.status(), forgotten) == (("ok", ""), ["in the snippet"])


def test_modules_are_shared_by_all_snippets_of_a_run(tmp_path):
    (tmp_path / "basket.py").write_text("print('imported')\nfruit = []\n")
    put = "import basket\nbasket.fruit.append('plum')"
    tasks = eval_("a", put), eval_("b", "import basket\nprint(basket.fruit)", "a")
    done = fastrun(write_json(tmp_path, document(*tasks)), cwd=tmp_path)
    assert done.stdout.startswith(b"Started: a\nimported\nEnded : a\nStarted: b\n['plum']\nEnded : b\n")


def test_multiprocessing_that_a_snippet_imports_first_is_changed_and_changed_back():
    source = """
import multiprocessing, time
multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,), daemon=True).start()
"""
    code = f"""
import sys, fastrun
assert not {{"multiprocessing.process", "multiprocessing.util"}} & set(sys.modules), "imported before"
assert fastrun.run({document(eval_("a", source))!r}).ok
import multiprocessing
print(multiprocessing.active_children(), multiprocessing.process.BaseProcess.start.__qualname__)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, env=unmeasured(), timeout=LIMIT, check=False, text=True)
    assert (done.stdout, done.stderr) == ("[] BaseProcess.start\n", "")


def test_source_of_a_snippet_is_found_while_it_runs_and_forgotten_then():
    source = """
import inspect, linecache
def own():
    return "own"
print(inspect.getsource(own), linecache.getline(__file__, 3), "<task other>" in linecache.cache, end="")
"""
    ran = Evaluated(eval_("a", source), eval_("b", source))
    for name in "ab":
        assert ran.recorder.out(name) == 'def own():\n    return "own"\n def own():\n False'
    assert not [name for name in linecache.cache if name.startswith("<task ")]


def test_entries_of_linecache_may_go_while_a_snippet_looks_at_all():
    source = """
import inspect, linecache
class Late:
    def __fspath__(self):
        linecache.cache.pop("second")
        raise OSError
def own(): pass
inspect.getsource(own)
before = list(linecache.cache)
linecache.cache["first"] = 1, 1.0, [], Late()
linecache.cache["second"] = 1, 1.0, [], "nowhere"
linecache.checkcache()
print([name for name in linecache.cache if name not in before], __file__ in before)
"""
    ran = Evaluated(eval_("a", source))
    assert (ran.status("a"), ran.recorder.out("a")) == (("ok", ""), "[] False\n")
