"""Attributes of shared modules of which each snippet has a value of its own, such as ``sys.stdout``.

A module becomes an instance of a class with properties, which look at the context. C code does not see them: it finds
what stands in the module's dictionary. Knows programs and modules; not what the attributes are for.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

from fastrun.executors.present import PRESENT
from fastrun.executors.snippets.program import DELETED, Program

_MISSING = object()


class Own(NamedTuple):
    """The attributes of a module that each program has for itself.

    ``make``: by attribute, what makes the value that a program begins with, once it is asked for.
    """

    module: ModuleType
    make: Mapping[str, Callable[[Program], Any]]

    def outside(self, attribute: str) -> Any:
        """Return the value outside of snippets."""
        return _outside.get(self.key(attribute), DELETED)

    def key(self, attribute: str) -> str:
        """Return the name of an attribute in ``Program.own``."""
        return f"{self.module.__name__}.{attribute}"

    def change(self, original: type) -> type:
        """Return the class of the module while snippets run. ``original``: its class before."""
        present = vars(self.module)
        _outside.update((self.key(attribute), present[attribute]) for attribute in self.make if attribute in present)
        properties = {attribute: _Property(self.key(attribute), make) for attribute, make in self.make.items()}
        # A module without ``__getattr__`` has its attributes read past the properties by code that has run often.
        # Source: specialize_module_load_attr in CPython's Python/specialize.c, from 3.14 on.
        return type("module", (original,), {**properties, "__getattr__": _raise_missing})

    def change_back(self, original: type) -> type:
        """Give the module the values that its attributes have by now outside of snippets. Return its class then."""
        for attribute in self.make:
            value = _outside.pop(self.key(attribute), DELETED)
            if value is DELETED:
                vars(self.module).pop(attribute, None)
            else:
                vars(self.module)[attribute] = value
        return original


def _raise_missing(module: ModuleType, name: str) -> NoReturn:
    raise AttributeError(f"module '{module.__name__}' has no attribute '{name}'")


# By key, values outside of snippets.
_outside: dict[str, Any] = {}


class _Property:
    """An attribute in the class of a module."""

    def __init__(self, key: str, make: Callable[[Program], Any]) -> None:
        self._key = key
        self._name = key.rpartition(".")[2]
        self._make = make

    def __get__(self, module: ModuleType, _: type | None = None) -> Any:
        program: Program | None = PRESENT.program
        if program is None:
            value = _outside.get(self._key, DELETED)
        else:
            values = _values(program)
            value = values.get(self._key, _MISSING)
            if value is _MISSING:
                value = values[self._key] = self._make(program)
        if value is DELETED:
            _raise_missing(module, self._name)
        return value

    def __set__(self, module: ModuleType, value: Any) -> None:
        program = PRESENT.program
        if program is not None and value is vars(module).get(self._name):
            # What C code finds, which ``unittest.mock`` takes for the original and puts back.
            _values(program).pop(self._key, None)
        else:
            (_outside if program is None else _values(program))[self._key] = value

    def __delete__(self, module: ModuleType) -> None:
        self.__get__(module)
        self.__set__(module, DELETED)


def _values(program: Program) -> dict[str, Any]:
    values = program.own
    if values is None:
        values = program.own = {}
        program.touched = True
    return values
