"""Builds of the native engine for tests: calls of C that fail or are slow, and sanitizers."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from types import ModuleType

import fastrun

NAME = "fastrun.executors.commands._engine"
HAS_NATIVE = importlib.util.find_spec(NAME) is not None
SOURCE = Path(fastrun.__file__).parent / "executors/commands/_engine.c"
FAULTS = Path(__file__).with_name("faults.h")

# The variable that holds further options of the compiler for builds of the tests.
FLAGS = "FASTRUN_TEST_FLAGS"

INCLUDE = sysconfig.get_path("include")

# What builds the engine: None where there is no compiler, or no headers of this Python.
COMPILER = shutil.which("gcc") if os.path.exists(os.path.join(INCLUDE, "Python.h")) else None


def build(target: Path, *options: str) -> Path:
    """Compile the engine, with all warnings."""
    assert COMPILER is not None
    # Python's own tables of methods cast functions.
    strict = ["-Wall", "-Wextra", "-Wno-cast-function-type"]
    command: list[str | Path] = [
        COMPILER,
        "-std=c11",
        "-O2",
        "-g",
        "-shared",
        "-fPIC",
        *strict,
        f"-I{INCLUDE}",
        *options,
        SOURCE,
        "-o",
        target,
    ]
    subprocess.run(command, check=True)
    return target


def build_with_faults(folder: Path, *options: str) -> Path:
    """Compile the engine with ``faults.h``."""
    more = os.environ.get(FLAGS, "").split()
    return build(folder / "_engine.abi3.so", "-include", os.fspath(FAULTS), *more, *options)


def load(path: str | Path) -> ModuleType:
    """Load a build, without making it the one that fastrun finds."""
    loader = ExtensionFileLoader(NAME, os.fspath(path))
    spec = importlib.util.spec_from_file_location(NAME, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def use(path: str | Path) -> ctypes.CDLL:
    """Make a build the one that fastrun finds in this process. Return its library, for ``fault_begin`` and others."""
    sys.modules[NAME] = load(path)
    return ctypes.CDLL(os.fspath(path))
