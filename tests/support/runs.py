"""Runs with a real executor, without the command line around them."""

from __future__ import annotations

import asyncio
import os
import sys
import types
from contextlib import contextmanager
from typing import Any

import uvloop

from fastrun.document.parse import read
from fastrun.executors.commands.executor import ProcessExecutor
from fastrun.executors.guardian.guardian import Guardian
from fastrun.executors.snippets.executor import SnippetExecutor
from fastrun.plan.graph import build
from fastrun.plan.lanes import lanes_of
from fastrun.protocols import Executor
from fastrun.runner.runner import Run
from fastrun.settings import RunSettings
from tests.support.documents import document, eval_
from tests.support.fakes import Recorder
from tests.support.processes import LIMIT


def settings_of(options: dict[str, Any]) -> dict[str, Any]:
    """Take the settings out of keyword arguments of which others, such as a journal, are for the run itself."""
    return {name: options.pop(name) for name in RunSettings._fields if name in options and name != "journal"}


class Ran:
    """A finished run: its report, its events and its warnings. ``recorder`` may act on ``self.run``."""

    def __init__(self, *tasks, recorder=None, engine=None, jobs=None, grace=5.0, runner=uvloop.run, **options) -> None:
        self.recorder = recorder or Recorder()
        self.warnings: list[str] = []
        guardian = Guardian(os.urandom(8).hex(), wanted=False)
        settings = RunSettings(jobs=jobs, grace=grace, **settings_of(options))
        processes_ = ProcessExecutor(
            guardian, settings, measured=self.recorder.detailed, one_pipe=self.recorder.one_stream, engine=engine
        )
        executors: dict[str, Executor] = {
            "exec": processes_,
            "eval": SnippetExecutor(guardian),
        }
        graph = build(read(document(*tasks), "document"))
        lane_of = lanes_of(graph, settings)
        warn = self.warnings.append
        self.run = Run(graph, executors, [self.recorder], settings, lane_of=lane_of, warn=warn, **options)
        self.recorder.run = self.run
        try:
            self.report = runner(asyncio.wait_for(self.run.run(), LIMIT))
        finally:
            guardian.stop()
        # An observer of ours that fails sees nothing more, which would look as if nothing more had come.
        assert not any("no longer watches" in warning for warning in self.warnings), self.warnings

    def status(self, name: str) -> tuple[str, str]:
        result = self.report[name]
        return result.status.label, result.reason


class Evaluated:
    """A finished run of snippets."""

    def __init__(self, *tasks, recorder=None, threads=8, runner=uvloop.run, **options) -> None:
        self.recorder = recorder or Recorder()
        self.warnings: list[str] = []
        guardian = Guardian(os.urandom(8).hex(), wanted=False)
        settings = RunSettings(eval_threads=threads, **settings_of(options))
        self.executor = SnippetExecutor(guardian, settings)
        graph = build(read(document(*tasks), "document"))
        self.run = Run(graph, {"eval": self.executor}, [self.recorder], settings, warn=self.warnings.append, **options)
        self.recorder.executor = self.executor
        self.recorder.run = self.run
        try:
            self.report = runner(asyncio.wait_for(self.run.run(), LIMIT))
        finally:
            guardian.stop()

    def status(self, name: str = "a") -> tuple[str, str]:
        result = self.report[name]
        return result.status.label, result.reason


@contextmanager
def shared(**things):
    """What a snippet finds when it imports ``shared``."""
    module = types.ModuleType("shared")
    module.__dict__.update(things)
    sys.modules["shared"] = module
    try:
        yield module
    finally:
        del sys.modules["shared"]


def evaluate(source: str, **options) -> Evaluated:
    return Evaluated(eval_("a", source), **options)
