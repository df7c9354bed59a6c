"""Chooses the engine that runs commands: the native one, where it was built, unless the environment says otherwise."""

import os

from fastrun.executors.commands.engine import MERGED, Engine, Owner
from fastrun.executors.commands.surroundings import Surroundings
from fastrun.executors.guardian.table import Table
from fastrun.protocols import Events

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


def open_engine(
    kind: str,
    owner: Owner,
    events: Events,
    surroundings: Surroundings,
    table: Table,
    *,
    jobs: int,
    fail_fast: bool,
    at_once: bool,
    one_pipe: bool,
) -> Engine:
    """Return an engine, inside the running loop.

    ``kind``: NATIVE, PYTHON or ``"portable"``, which uses only what every system has. ``jobs``: how many commands may
    run. ``fail_fast``: a failure keeps all others from starting until it is told to go on. ``at_once``: what is
    submitted may start at once, so nothing is to lie ahead. ``one_pipe``: both streams of a command share one pipe.
    """
    if kind == NATIVE:
        from fastrun.executors.commands.native import NativeEngine

        flags = MERGED if one_pipe else 0
        return NativeEngine(
            owner, events, surroundings, table, jobs=jobs, fail_fast=fail_fast, at_once=at_once, flags=flags
        )
    from fastrun.executors.commands.portable import PythonEngine

    return PythonEngine(owner, events, surroundings, table, portable=kind != PYTHON, one_pipe=one_pipe)
