"""Processes that snippets start by multiprocessing: each belongs to its snippet, which ends them as a script does."""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from fastrun.executors.present import PRESENT
from fastrun.executors.snippets.descriptors import reopen
from fastrun.executors.snippets.program import Program
from fastrun.executors.snippets.tracebacks import report_ignored


def end_children(program: Program) -> None:
    """End and wait for child processes. Source: ``_exit_function`` in Lib/multiprocessing/util.py."""
    finalizers = [one for one in program.finalizers or () if one.still_active() and one._key[0] is not None]  # noqa: SLF001
    finalizers.sort(key=lambda one: one._key, reverse=True)  # noqa: SLF001
    program.finalizers = None
    for finalizer in finalizers:
        if finalizer._key[0] >= 0:  # noqa: SLF001
            _try(finalizer)
    children, program.children = program.children or (), None
    for child in children:
        if child.daemon:
            # It may have been closed, or be another's child: of the process that this is a copy of.
            with suppress(ValueError, AssertionError):
                child.terminate()
    for child in children:
        with suppress(ValueError, AssertionError):
            child.join()
    for finalizer in finalizers:
        _try(finalizer)


def _try(function: Callable[[], object]) -> None:
    try:
        function()
    except BaseException as error:
        report_ignored(error, "Exception ignored in", function)


def start_child(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return ``BaseProcess.start`` of multiprocessing as snippets have it: the process is its program's child."""

    def start(self: Any) -> None:
        program = PRESENT.program
        if program is None:
            original(self)
            return
        parents = program.shared.parents
        parents.begin(program)
        try:
            original(self)
            program.children = [*(program.children or ()), self]
        finally:
            parents.end()

    return start


def start_tracker(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what starts multiprocessing's tracker of resources where none runs.

    All snippets share its pipe, which must not have the number of a standard stream, see ``descriptors``.
    """

    def ensure_running(*arguments: Any, **keywords: Any) -> Any:
        reopen()
        return original(*arguments, **keywords)

    return ensure_running


class Children(set[Any]):
    """``_children`` of multiprocessing: a snippet that goes through it sees its own, and takes no other's status."""

    def __iter__(self) -> Iterator[Any]:
        program = PRESENT.program
        return super().__iter__() if program is None else iter([one for one in program.children or () if one in self])


def own_start_method(original: type) -> type:
    """Return the class of multiprocessing's default context: each snippet may set its start method, as it is fresh."""

    def get(context: Any) -> Any:
        program = PRESENT.program
        return context.__dict__["_actual_context"] if program is None else program.start_method

    def set_(context: Any, value: Any) -> None:
        program = PRESENT.program
        if program is None:
            context.__dict__["_actual_context"] = value
        else:
            program.start_method = value

    return type(original.__name__, (original,), {"_actual_context": property(get, set_)})


def make_finalizer(original: Callable[..., None]) -> Callable[..., None]:
    """Return ``Finalize.__init__`` of multiprocessing as snippets have it: for a pool or a manager of its program."""

    def init(self: Any, obj: object, *arguments: Any, **keywords: Any) -> None:
        original(self, obj, *arguments, **keywords)
        program = PRESENT.program
        # Without an object it is something that all share.
        if program is not None and obj is not None:
            program.finalizers = [*(program.finalizers or ()), self]
            program.touched = True
            if program.is_given_up:
                self.cancel()

    return init


def give_up(program: Program) -> None:
    """Have multiprocessing forget the children of a program: at the end of this process it would wait for them."""
    for finalizer in program.finalizers or ():
        finalizer.cancel()
    for child in program.children or ():
        sys.modules["multiprocessing.process"]._children.discard(child)  # noqa: SLF001
