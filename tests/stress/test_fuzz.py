"""The command line with input that nobody would write: no traceback, no hang, exit 0, 1 or 2 only."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastrun.cli import main as cli
from tests.support.amounts import many
from tests.support.documents import write_json
from tests.support.processes import fastrun
from tests.support.strategies import documents

BYTES = many("inputs of any bytes", 150, 5_000)
VALUES = many("inputs of any JSON", 150, 2_000)
MUTANTS = many("documents with something wrong", 150, 2_000)
RUNS = many("documents with something wrong that are run", 15, 400)

UNHURRIED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = ["name", "type", "dependencies", "cwd", "env", "timeout", "detach", "tasks", "x-note", "needs"]


@st.composite
def mutants(draw: st.DrawFn, keys: tuple[str, ...] = ()) -> Any:
    """A valid document of which some value, or key, was put into another's place. ``keys``: more of them."""
    found: Any = draw(documents())
    for _ in range(draw(st.integers(1, 3))):
        tasks = found.get("tasks") if isinstance(found, dict) else None
        task = draw(st.sampled_from(tasks)) if isinstance(tasks, list) and tasks else None
        where = draw(st.sampled_from([found, task, tasks] if isinstance(task, dict) else [found]))
        if isinstance(where, dict):
            key = draw(st.sampled_from([*KEYS, *keys]) | st.text(max_size=5))
            where[key] = draw(values | st.sampled_from([where, tasks]).map(lambda inner: json.loads(json.dumps(inner))))
        elif isinstance(where, list):
            where.insert(draw(st.integers(0, len(where))), draw(values))
    return found


def check(data: bytes, folder: Any) -> None:
    """Have the document read, and nothing run."""
    path = folder / "fuzz.json"
    path.write_bytes(data)
    out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(["-n", os.fspath(path)])
    said = err.getvalue()
    assert code in (0, 2), said
    assert "Traceback" not in said
    lines = said.splitlines()
    assert len(lines) <= 1_000
    assert all(line.isprintable() for line in lines), said
    if code:
        assert lines
        assert out.buffer.getvalue() == b""


@settings(max_examples=BYTES, suppress_health_check=UNHURRIED)
@given(st.binary(max_size=400))
def test_any_bytes(tmp_path, data):
    check(data, tmp_path)


@settings(max_examples=VALUES, suppress_health_check=UNHURRIED)
@given(values | st.fixed_dictionaries({"tasks": st.lists(values, max_size=4)}))
def test_any_json(tmp_path, value):
    check(json.dumps(value).encode(), tmp_path)


@settings(max_examples=MUTANTS, suppress_health_check=UNHURRIED)
@given(mutants(("arguments",)), st.randoms(use_true_random=False))
def test_documents_with_something_wrong(tmp_path, value, choose: random.Random):
    data = bytearray(json.dumps(value).encode())
    for _ in range(choose.choice([0, 0, 1, 3])):
        place = choose.randrange(len(data))
        data[place : place + choose.choice([0, 1])] = choose.choice(
            [b"", b",", b'"', b"[", b"}", b"\0", b"\xff", b"\\"]
        )
    check(bytes(data), tmp_path)


@settings(max_examples=RUNS, suppress_health_check=UNHURRIED)
@given(mutants())
def test_documents_with_something_wrong_are_run_or_refused(tmp_path, value):
    # Commands and snippets are those of the strategy: nobody knows what random ones would do.
    result = fastrun("--timeout", "10", write_json(tmp_path, value), cwd=tmp_path)
    assert result.returncode in (0, 1, 2)
    # Of a snippet that was made of something else there may be one: it has no frames of ours.
    assert b"fastrun/" not in result.stderr
    assert (result.stdout == b"") == (result.returncode == 2)
