"""Chooses the engine that runs commands: the native one, where it was built, unless the environment says otherwise."""

import os

from fastrun.executors.commands.engine import Engine, EngineSettings

# The variable that chooses an engine, and its values.
VARIABLE = "FASTRUN_ENGINE"
NATIVE, PYTHON = "native", "python"


def wanted_engine() -> str:
    """Return the engine that is wanted, NATIVE or PYTHON. Raises ValueError for one that there is not."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", NATIVE, PYTHON):
        raise ValueError(f"{VARIABLE} must be {NATIVE} or {PYTHON}, not {wanted!r}")
    if wanted == PYTHON:
        return PYTHON
    try:
        import fastrun.executors.commands._engine  # noqa: F401
    except ImportError:
        if wanted == NATIVE:
            raise ValueError(f"{VARIABLE} is {NATIVE}, but fastrun was installed without its native engine") from None
        return PYTHON
    return NATIVE


def open_engine(kind: str, settings: EngineSettings) -> Engine:
    """Return an engine, inside the running loop.

    ``kind``: NATIVE, PYTHON or ``"portable"``, which uses only what every system has.
    """
    if kind == NATIVE:
        from fastrun.executors.commands.native import NativeEngine

        return NativeEngine(settings)
    from fastrun.executors.commands.portable import PythonEngine

    return PythonEngine(settings, portable=kind != PYTHON)
