"""``sys.modules["__main__"]``, which is each snippet's own namespace.

So ``import __main__``, pickle, ``typing.get_type_hints``, unittest and doctest see the snippet that asks. Outside of
snippets it is as it was.
"""

import os
import sys
from contextlib import suppress
from types import ModuleType
from typing import Any

from fastrun.executors.present import PRESENT
from fastrun.executors.snippets.program import Program


class Main(ModuleType):
    """``sys.modules["__main__"]``: the names of the present snippet, outside of snippets those of the original."""

    def __init__(self, original: ModuleType) -> None:
        super().__init__("__main__")
        object.__getattribute__(self, "__dict__").clear()
        object.__setattr__(self, "_original", original)

    def __getattribute__(self, name: str) -> Any:
        names, program = _main(self)
        if name == "__dict__":
            return names
        if name == "__file__" and program is not None and program.task.script is None:
            # Multiprocessing has another process read it.
            caller = str(sys._getframe(1).f_globals.get("__name__"))  # noqa: SLF001
            if caller.startswith("multiprocessing."):
                return main_file(program)
        if name in names:
            return names[name]
        if name in ("__class__", "__dir__", "__repr__"):
            return object.__getattribute__(self, name)
        if "__getattr__" in names:
            return names["__getattr__"](name)
        raise AttributeError(f"module '__main__' has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        _main(self)[0][name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del _main(self)[0][name]
        except KeyError:
            raise AttributeError(name) from None

    def __dir__(self) -> list[str]:
        return list(_main(self)[0])


# As the type of every other module is called.
Main.__name__ = Main.__qualname__ = "module"


def _main(module: Main) -> tuple[dict[str, Any], Program | None]:
    """Return the names that ``__main__`` has here, and whose they are."""
    program: Program | None = PRESENT.program
    if program is not None:
        return program.namespace, program
    return vars(object.__getattribute__(module, "_original")), None


def main_file(program: Program) -> str:
    """Return a file with a snippet's source, written when it is first asked for.

    From there the processes import it that multiprocessing starts by ``spawn`` and ``forkserver``.
    """
    if program.main_file is None:
        import tempfile  # 10 ms, and most runs never need it

        from fastrun.executors.scratch import scratch_folder

        descriptor, path = tempfile.mkstemp(prefix="fastrun-", suffix=".py", dir=scratch_folder())
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(program.task.source)
        program.main_file = path
        program.touched = True
    return program.main_file


def remove_main_file(program: Program) -> None:
    """Remove what ``main_file`` has written."""
    if program.main_file is not None and not program.is_copy:
        with suppress(OSError):
            os.unlink(program.main_file)
