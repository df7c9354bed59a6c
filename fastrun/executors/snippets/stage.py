"""What stands in modules of Python while snippets run, so that each snippet has it for itself.

All runs of a process share it. The functions and classes themselves are in the modules that it names.
"""

import _thread
import asyncio
import atexit
import linecache
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, NamedTuple

from fastrun.executors import present
from fastrun.executors.present import PRESENT
from fastrun.executors.snippets import (
    children,
    descriptors,
    ends,
    environment,
    forks,
    main,
    modules,
    streams,
    threads,
    tracebacks,
)


class _Change(NamedTuple):
    """A change of an attribute: ``make`` returns the new value for the original."""

    owner: Any
    name: str
    make: Callable[[Any], Any]
    # Returns the value afterwards for the original.
    unmake: Callable[[Any], Any] = lambda original: original


def _changes() -> list[_Change]:
    changes = [
        _Change(threading.Thread, "start", threads.start_thread),
        _Change(threading, "enumerate", threads.list_threads),
        _Change(threading, "active_count", threads.count_threads),
        _Change(threading, "main_thread", threads.main_thread),
        _Change(_thread, "start_new_thread", threads.start_bare_thread),
        _Change(os, "_exit", ends.leave_process),
        _Change(os, "execv", ends.replace_process),
        _Change(os, "execve", ends.replace_process),
        _Change(os, "system", environment.system),
        _Change(atexit, "register", ends.register),
        _Change(atexit, "unregister", ends.unregister),
        _Change(atexit, "_clear", ends.clear_exits),
        _Change(atexit, "_run_exitfuncs", ends.run_exits),
        _Change(linecache, "cache", tracebacks.Sources),
        _Change(subprocess, "_fork_exec", environment.fork_exec),
        _Change(subprocess.Popen, "_execute_child", forks.start_program),
        _Change(os, "posix_spawn", environment.posix_spawn),
        _Change(os, "posix_spawnp", environment.posix_spawn),
        _Change(sys, "getrecursionlimit", modules.get_recursion_limit),
        _Change(sys, "setrecursionlimit", modules.set_recursion_limit),
        _Change(os.environ, "__class__", environment.environment_class),
        _Change(os.environb, "__class__", environment.environment_class),
    ]
    if sys.version_info < (3, 14):
        policy = asyncio.events.BaseDefaultEventLoopPolicy
        changes += [
            _Change(linecache, "checkcache", tracebacks.check_entries),
            _Change(policy, "get_event_loop", modules.get_event_loop),
            _Change(policy, "set_event_loop", modules.set_event_loop),
            _Change(warnings, "_add_filter", modules.add_filter),
            _Change(warnings, "resetwarnings", modules.reset_warnings),
            _Change(warnings, "_showwarnmsg", modules.show_warning),
        ]
    return [
        *changes,
        *(
            _Change(own.module, "__class__", own.change, own.change_back)
            for own in (modules.OF_THREADING, modules.OF_WARNINGS, modules.OF_SYS)
        ),
    ]


def _changes_of_processes(module: Any) -> list[_Change]:
    return [
        _Change(module.BaseProcess, "start", children.start_child),
        # Those that were started outside of snippets meanwhile are in it too.
        _Change(module, "_children", children.Children, lambda _: set(module._children)),  # noqa: SLF001
    ]


def _changes_of_finalizers(module: Any) -> list[_Change]:
    return [_Change(module.Finalize, "__init__", children.make_finalizer)]


def _changes_of_trackers(module: Any) -> list[_Change]:
    tracker = module.ResourceTracker
    if hasattr(tracker, "_ensure_running_and_write"):
        # Python 3.14.
        return [_Change(tracker, "_ensure_running_and_write", children.start_tracker)]
    return [_Change(owner, "ensure_running", children.start_tracker) for owner in (tracker, module)]


def _changes_of_start_methods(module: Any) -> list[_Change]:
    return [_Change(module._default_context, "__class__", children.own_start_method)]  # noqa: SLF001


# The changes of modules that most runs do not import.
_LATER = {
    "multiprocessing.process": _changes_of_processes,
    "multiprocessing.context": _changes_of_start_methods,
    "multiprocessing.util": _changes_of_finalizers,
    "multiprocessing.resource_tracker": _changes_of_trackers,
}


class _Watch:
    """Finds the modules that are changed as soon as they are imported."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        changes = _LATER.get(name)
        spec = None if changes is None else PathFinder.find_spec(name, path, target)
        if changes is None or spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _apply(changes(module))

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


class _Fresh:
    """Finds the modules that a task has made just now: the other finders may remember folders as they were."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if PRESENT.program is None:
            return None
        # Not by ``importlib.invalidate_caches``: it may import modules, some of which need not be there.
        for folder, finder in list(sys.path_importer_cache.items()):
            if finder is None:
                sys.path_importer_cache.pop(folder, None)
            elif hasattr(finder, "invalidate_caches"):
                finder.invalidate_caches()
        return PathFinder.find_spec(name, path, target)


_installed = 0
_originals: list[tuple[_Change, Any]] = []
_finders: list[Any] = []
_main: ModuleType | None = None
_limit = 0


# Held while changes are made or taken back: runs may begin and end in several threads.
_lock = threading.Lock()
os.register_at_fork(after_in_child=_lock._at_fork_reinit)  # type: ignore[attr-defined]  # noqa: SLF001


def install() -> None:
    """Make the changes, unless they are made."""
    global _installed
    with _lock:
        if not _installed:
            _make_changes()
        _installed += 1


def uninstall() -> None:
    """Take the changes back, once no run needs them."""
    global _installed
    with _lock:
        _installed -= 1
        if _installed:
            return
        descriptors.release()
        if not present.ends_with_run:
            _undo_changes()


def _make_changes() -> None:
    global _main, _limit
    descriptors.keep()
    for route, name in zip(streams.ROUTES, streams.NAMES, strict=True):
        route.fallback = getattr(sys, name, None)
    _limit = sys.getrecursionlimit()
    sys.setrecursionlimit(_limit + modules.FRAMES)
    for name, changes in _LATER.items():
        if name in sys.modules:
            _apply(changes(sys.modules[name]))
    _apply(_changes())
    # Behind the classes of the modules, where C code finds them.
    vars(sys).update(zip(streams.NAMES, streams.ROUTES, strict=True))
    vars(sys)["unraisablehook"] = tracebacks.print_unraisable
    vars(threading)["excepthook"] = tracebacks.print_of_thread
    _main = sys.modules["__main__"]
    sys.modules["__main__"] = main.Main(_main)
    _finders[:] = _Watch(), _Fresh()
    sys.meta_path.insert(0, _finders[0])
    sys.meta_path.append(_finders[1])


def _apply(changes: Iterable[_Change]) -> None:
    for change in changes:
        original = getattr(change.owner, change.name)
        _originals.append((change, original))
        setattr(change.owner, change.name, change.make(original))


def _undo_changes() -> None:
    for finder in _finders:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
    if _main is not None:
        sys.modules["__main__"] = _main
    while _originals:
        change, original = _originals.pop()
        setattr(change.owner, change.name, change.unmake(original))
    sys.setrecursionlimit(_limit)
