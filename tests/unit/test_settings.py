"""Every limit of a run, its default and its check."""

from __future__ import annotations

import re
from math import inf, nan
from typing import Any

import pytest

from fastrun.cli.load import settings_of
from fastrun.cli.options import parser
from fastrun.loading import load_graph
from fastrun.settings import DEFAULTS, Options, RunSettings


def test_keyword_arguments_and_settings_are_the_same():
    assert list(Options.__annotations__) == list(RunSettings._fields)
    # What stands for a number is one by the time that there are settings.
    assert {**Options.__annotations__, "jobs": int | None} == RunSettings.__annotations__


def test_options_have_the_defaults_of_the_settings():
    assert settings_of(parser({}).parse(["x.json"]), load_graph({"tasks": []}))._replace(rerun=()) == DEFAULTS
    DEFAULTS.check()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("jobs", 0, "jobs must be 1 or more, not 0"),
        ("eval_threads", 0, "eval_threads must be 1 or more, not 0"),
        ("keep_going", -1, "keep_going must be 0 or more, not -1"),
        ("grace", -0.1, "grace must be 0 or more, not -0.1"),
        ("grace", nan, "grace must be 0 or more, not nan"),
        ("grace", inf, "grace must be 0 or more, and at most 1,000,000,000, not inf"),
        ("timeout", 0, "timeout must be more than 0, not 0"),
        ("timeout", 2e9, "timeout must be more than 0, and at most 1,000,000,000, not 2,000,000,000"),
        ("max_time", -1, "max_time must be more than 0, not -1"),
        ("max_time", nan, "max_time must be more than 0, not nan"),
        ("load", 0.0, "load must be more than 0, not 0"),
        ("min_memory", 0, "min_memory must be 1 or more, not 0"),
        ("worker_retries", -1, "worker_retries must be 0 or more, not -1"),
        ("eval_where", "fork", "eval_where must be one of thread, process, not fork"),
        ("eval_where", None, "eval_where must be one of thread, process, not None"),
        ("jobserver", "pipes", "jobserver must be one of auto, fifo, pipe, not pipes"),
        ("resume", True, "resume, update, rerun and durable need a journal"),
        ("rerun", ["a"], "resume, update, rerun and durable need a journal"),
    ],
)
def test_each_setting_has_a_message_of_its_own(name, value, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        DEFAULTS._replace(**{name: value}).check()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("jobs", [1, None]),
        ("grace", [0, 1e9]),
        ("timeout", [1e-9, None]),
        ("max_time", [1e-9, 1e9, None]),
        ("worker_retries", [0]),
        ("load", [0.1]),
    ],
)
def test_the_bounds_themselves_are_allowed(name, values):
    for value in values:
        DEFAULTS._replace(**{name: value}).check()


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("eval_threads", None, "a number"),
        ("grace", None, "a number of seconds"),
        ("jobs", "2", "a number"),
        ("timeout", "5m", "a number of seconds"),
    ],
)
def test_a_value_that_is_no_number_is_a_type_error(name, value, wanted):
    with pytest.raises(TypeError, match=f"^{name} must be {wanted}, not {value!r}$"):
        DEFAULTS._replace(**{name: value}).check()


@pytest.mark.parametrize("name", ["jobs", "eval_threads", "keep_going", "min_memory", "worker_retries"])
def test_a_count_that_is_no_whole_number_is_a_type_error(name):
    value: Any = 2.5
    with pytest.raises(TypeError, match=f"^{name} must be a whole number, not 2.5$"):
        DEFAULTS._replace(**{name: value}).check()
