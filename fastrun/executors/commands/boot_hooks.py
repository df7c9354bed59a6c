"""How a process that runs a snippet shows the snippet's lines: in tracebacks, warnings and for ``inspect``.

Read by ``importlib_bootstrap`` in that process, when it is needed. Imports nothing of fastrun.
"""

import io
import sys
from contextlib import suppress
from types import ModuleType, TracebackType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from typing import Any


def prepare(error: BaseException, name: str, lines: list[str], ours: "dict[str, Any]") -> None:
    """Have an exception that leaves the snippet shown as if nothing were below it.

    ``name``, ``lines``: of the snippet's file. ``ours``: the globals of the frames below it.
    """
    if isinstance(error, SyntaxError) and error.filename == name and not error.text and error.lineno:
        # The compiler has looked for the file.
        error.text = "".join(lines[error.lineno - 1 : error.lineno])
    hook = sys.excepthook

    def show_without_ours(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sys.excepthook = hook
        while trace is not None and trace.tb_frame.f_globals is ours:
            trace = trace.tb_next
        error.__traceback__ = sys.last_traceback = trace
        hook(kind, error, trace)
        if kind is KeyboardInterrupt:
            # Python then kills itself by SIGINT, unless an import of the hook has made it forget that.
            with suppress(KeyboardInterrupt):
                exec("raise KeyboardInterrupt")

    sys.excepthook = show_without_ours


def show(
    own: "Callable[..., Any]", kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print what ``own``, Python's own hook, prints, with the lines that are in linecache."""
    import traceback

    stderr = sys.stderr
    if stderr is None:
        return
    limit = getattr(sys, "tracebacklimit", None)
    # Python's own hook shows the last frames, where this function would show the first.
    texts = traceback.format_exception(kind, error, trace, limit=limit and -limit)
    if sys.version_info < (3, 12):
        # Only Python's own hook knows the names that may have been meant.
        sys.stderr = io.StringIO()
        try:
            own(kind, error, trace)
            last = texts[-1].removesuffix("\n")
            _, found, meant = sys.stderr.getvalue().rpartition(last)
        finally:
            sys.stderr = stderr
        if found:
            texts[-1] = last + meant
    stderr.write("".join(texts))
    stderr.flush()


def show_unraisable(own: "Callable[..., Any]", arguments: "Any") -> None:
    """Print what ``own``, Python's own hook for exceptions that cannot be raised, prints, with the snippet's lines."""
    import traceback

    stderr = sys.stderr
    sys.stderr = io.StringIO()
    try:
        own(arguments)
        text = sys.stderr.getvalue()
    finally:
        sys.stderr = stderr
    before, title, behind = text.partition("Traceback (most recent call last):\n")
    if title:
        shown = behind.splitlines(keepends=True)
        while shown and shown[0].startswith("  "):
            del shown[0]
        frames = traceback.format_tb(arguments.exc_traceback)
        if (3, 13) <= sys.version_info < (3, 15):
            # Without marks below the lines.
            frames = ["".join(frame.splitlines(keepends=True)[:2]) for frame in frames]
        text = "".join([before, title, *frames, *shown])
    stderr.write(text)
    stderr.flush()


def show_in_thread(arguments: "Any") -> None:
    """Print what Python's own hook for threads prints, with the lines that are in linecache."""
    if arguments.exc_type is not SystemExit and sys.stderr is not None:
        import threading

        name = threading.get_ident() if arguments.thread is None else arguments.thread.name
        sys.stderr.write(f"Exception in thread {name}:\n")
        sys.__excepthook__(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)


def find(module: str, path: "Any", target: "Any", on_load: "Callable[[ModuleType], None]") -> "ModuleSpec | None":
    """Return where a module is. ``on_load``: called with it once it is loaded."""
    specs = (finder.find_spec(module, path, target) for finder in sys.meta_path)
    spec = next(filter(None, specs), None)
    if spec is not None and spec.loader is not None:
        loader: Any = spec.loader
        load = loader.exec_module

        def exec_module(loaded: ModuleType) -> None:
            # The loader of modules that are frozen into Python, which linecache is from 3.15 on, is one for all.
            loader.exec_module = load
            load(loaded)
            on_load(loaded)

        loader.exec_module = exec_module
    return spec
