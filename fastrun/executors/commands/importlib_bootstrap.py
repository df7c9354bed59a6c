"""The program of a process that runs a snippet: it makes the process that of a script.

Nothing else of fastrun is imported, and of Python only what every process has loaded by then. What few snippets need is
in ``boot_hooks``, which is read when it is needed: a process starts two milliseconds later than one of ``python -c``.

Warnings pass over frames of files with such a name, as those of an import: a warning for the caller of a script, which
has none, is not for this file. Source: ``_is_internal_filename`` in CPython's Lib/warnings.py.
"""

import _io
import _thread
import sys
from _frozen_importlib_external import SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any

# The names that Python puts into the namespace of every script, in their order.
_NAMES = ("__name__", "__doc__", "__package__", "__loader__", "__spec__", "__annotations__", "__builtins__")

# Calls that a snippet is run by. Up to 3.11 those of C functions count.
_DEPTH = 3 if sys.version_info < (3, 12) else 2


def boot(name: str, path: str, entries: list[str], hooks: str) -> None:
    """Run a snippet as the module ``__main__``.

    ``name``: the file name of its code. ``path``: of the file that it is in. ``entries``: of ``sys.path``, behind the
    first, which is as for ``python -c``. ``hooks``: the path of ``boot_hooks``.
    """

    def late() -> "dict[str, Any]":
        code: Any = SourceFileLoader("boot_hooks", hooks).get_code("boot_hooks")
        found = {"__name__": "boot_hooks"}
        exec(code, found)
        return found

    with open(path, "rb") as file:
        source = file.read().decode("utf-8", "surrogatepass").removeprefix("\ufeff")
    sys.argv = ["-c"]
    sys.path[:] = entries if sys.flags.safe_path else ["", *entries]
    namespace = _new_main(path)
    _show_lines(name, source, late)
    _go_deeper()
    try:
        exec(_compiled(source, name), namespace)
    except BaseException as error:
        if not isinstance(error, SystemExit):
            late()["prepare"](error, name, _lines(source), globals())
        raise


def _compiled(source: str, name: str) -> "CodeType":
    """Return the code of a source. Warnings of the compiler are shown with their lines."""
    stderr, sys.stderr = sys.stderr, _io.StringIO()
    try:
        code = compile(source, name, "exec", dont_inherit=True)
        warned = sys.stderr.tell()
    finally:
        sys.stderr = stderr
    if warned:
        # Once this is loaded, it shows all warnings. It takes some milliseconds.
        import warnings  # noqa: F401

        code = compile(source, name, "exec", dont_inherit=True)
    return code


def _new_main(path: str) -> "dict[str, Any]":
    """Make a module ``__main__`` as a script at ``path`` has it. Return its namespace. Ours is no module's any more."""
    before = sys.modules["__main__"].__dict__
    main = sys.modules["__main__"] = type(sys)("__main__")
    namespace = main.__dict__
    namespace.clear()
    namespace.update((key, before[key]) for key in _NAMES if key in before)
    namespace.update(__doc__=None, __loader__=SourceFileLoader("__main__", path), __file__=path)
    if sys.version_info < (3, 15):
        namespace["__cached__"] = None
    return namespace


def _go_deeper() -> None:
    """Let the snippet call as many functions as a script may."""
    get, set_ = sys.getrecursionlimit, sys.setrecursionlimit
    set_(get() + _DEPTH)
    sys.getrecursionlimit = lambda: get() - _DEPTH
    sys.setrecursionlimit = lambda limit, /: set_(limit + _DEPTH)


def _show_lines(name: str, source: str, late: "Callable[[], dict[str, Any]]") -> None:
    """Have tracebacks, warnings and ``inspect`` find the snippet's lines, in linecache.

    ``late``: returns what is in ``boot_hooks``.
    """

    def keep_lines(linecache: "ModuleType") -> None:
        linecache.cache[name] = len(source), None, _lines(source), name

    if "linecache" in sys.modules:
        keep_lines(sys.modules["linecache"])
    else:
        # Later, because the import takes 7 ms.
        sys.meta_path.insert(0, _Finder(lambda *where: late()["find"](*where, keep_lines)))
    _replace_hooks(late)


def _replace_hooks(late: "Callable[[], dict[str, Any]]") -> None:
    """Have uncaught exceptions shown with lines of linecache: Python's own hooks look only for files."""
    own, own_unraisable = sys.excepthook, sys.unraisablehook

    def in_thread(arguments: "Any") -> None:
        late()["show_in_thread"](arguments)

    def unraisable(arguments: "Any") -> None:
        try:
            show = late()["show_unraisable"]
        except Exception:
            # At the very end of the process nothing can be imported.
            own_unraisable(arguments)
        else:
            show(own_unraisable, arguments)

    sys.unraisablehook = sys.__unraisablehook__ = unraisable
    if sys.version_info >= (3, 13):
        # Only that one does.
        return
    sys.excepthook = sys.__excepthook__ = lambda *arguments: late()["show"](own, *arguments)
    # What threading takes for its own when it is imported.
    _thread._excepthook = in_thread  # noqa: SLF001
    if "threading" in sys.modules:
        threading: Any = sys.modules["threading"]
        threading.excepthook = threading.__excepthook__ = in_thread


class _Finder:
    """Finds linecache when it is imported, by ``find``, as the finders of Python do."""

    def __init__(self, find: "Callable[..., ModuleSpec | None]") -> None:
        self._find = find

    def find_spec(self, module: str, path: "Any" = None, target: "Any" = None) -> "ModuleSpec | None":
        """Return where a module is, None unless it is linecache."""
        if module != "linecache":
            return None
        sys.meta_path.remove(self)
        return self._find(module, path, target)


def _lines(source: str) -> list[str]:
    """Return the lines of a text as Python counts them; ``splitlines`` knows more ends."""
    return [f"{line}\n" for line in source.replace("\r\n", "\n").replace("\r", "\n").split("\n")]


if __name__ == "__main__":
    # Written by fastrun.
    boot(*eval(sys.argv[1]))  # noqa: S307
