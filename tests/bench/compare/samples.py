"""Sample results and workflows for the tests, and the comparison as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import orjson

from bench.compare.record import Comparison, Result, Run, Target
from bench.compare.workflows.workflow import Workflow
from bench.measure import child_environment
from tests.support.processes import LIMIT

if TYPE_CHECKING:
    from pathlib import Path


OURS = [Run(2.0, 1.0, 100_000_000), Run(3.0, 1.0, 90_000_000), Run(10.0, 1.0, 80_000_000)]


THEIRS = [Run(1.0, 0.5, 50_000_000, 0.1, 0.5), Run(2.0, 0.5, 40_000_000, 0.2), Run(4.0, 0.5, 40_000_000)]


def result_of(*targets: Target, **changes) -> Result:
    values = {"name": "exec", "title": "some work", "tasks": 10, "unit": "command", "figure": "seconds"}
    return Result(**{**values, "runs": {"ninja": THEIRS, "fastrun": OURS}, "targets": list(targets), **changes})


def comparison_of(*results: Result, quick: bool = False) -> Comparison:
    return Comparison({"cpus": "2"}, {"Luigi": "Luigi is not installed"}, "python -m bench", quick, 61.0, list(results))


def workflow_of(seconds: list[float], parents: list[list[int]]) -> Workflow:
    return Workflow("test", [f"task{number}" for number in range(len(seconds))], seconds, parents)


# Three short independent tasks, then a chain of two: in the file's order the chain starts late.
CHAIN_LAST = workflow_of([2, 2, 2, 3, 3], [[], [], [], [], [3]])


def write_workflow(folder: Path, name: str, *tasks: tuple[str, float, list[str]]) -> str:
    path = folder / name
    found = [{"name": name, "seconds": seconds, "parents": parents} for name, seconds, parents in tasks]
    path.write_bytes(orjson.dumps({"source": "test", "tasks": found}))
    return os.fspath(path)


def run_compare(*options: str) -> str:
    """Run the comparison. Returns what it prints."""
    command = [sys.executable, "-m", "bench", "compare", *options]
    return subprocess.run(
        command, env=child_environment(), timeout=LIMIT, check=True, text=True, stdout=subprocess.PIPE
    ).stdout
