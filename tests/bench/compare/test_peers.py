"""Tests of the peers: the files that they read, and that each runs them."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bench.compare.peers import COMMAND_PEERS, DOCUMENT, SNIPPET_PEERS, Unavailable, find_peer
from bench.measure import child_environment, measure
from tests.support.processes import LIMIT

if TYPE_CHECKING:
    from pathlib import Path

PEERS = [*COMMAND_PEERS, *SNIPPET_PEERS]

DOLLARS: dict[str, Any] = {
    "tasks": [
        {"name": "a", "type": "exec", "arguments": "echo $HOME"},
        {"name": "b", "type": "exec", "arguments": "true", "dependencies": ["a"]},
        {"name": "c", "type": "exec", "arguments": "true", "dependencies": ["a", "b"]},
    ]
}

# Dependencies of each task of a small graph.
WAITS = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": ["d", "a"]}


@pytest.mark.parametrize("module", PEERS)
def test_every_peer_module_implements_the_protocol(module):
    peer = find_peer(module)
    assert isinstance(peer.NAME, str)
    assert isinstance(peer.KNOWS_DEPENDENCIES, bool)
    assert list(inspect.signature(peer.prepare).parameters) == ["document", "folder"]
    assert list(inspect.signature(peer.command).parameters) == ["folder", "jobs"]
    assert "Biased" in (inspect.getdoc(peer) or "")


def test_peers_have_different_names():
    assert len({find_peer(module).NAME for module in PEERS}) == len(PEERS)


def test_ninja_gets_the_same_commands_and_dependencies(tmp_path: Path):
    find_peer("ninja").prepare(DOLLARS, str(tmp_path))
    assert (tmp_path / "build.ninja").read_text().splitlines() == [
        "rule command0",
        "  command = echo $$HOME",
        "rule command1",
        "  command = true",
        "build a: command0",
        "build b: command1 a",
        "build c: command1 a b",
    ]


def test_make_gets_the_same_commands_and_dependencies(tmp_path: Path):
    find_peer("make").prepare(DOLLARS, str(tmp_path))
    assert (tmp_path / "Makefile").read_text().splitlines() == [
        "all: a b c",
        ".PHONY: all a b c",
        "a:",
        "\techo $$HOME",
        "b: a",
        "\ttrue",
        "c: a b",
        "\ttrue",
    ]


@pytest.mark.parametrize("module", ["xargs", "gnu_parallel"])
def test_peers_without_dependencies_get_a_list_of_commands(tmp_path: Path, module):
    find_peer(module).prepare(DOLLARS, str(tmp_path))
    assert (tmp_path / "commands").read_bytes() == b"echo $HOME\0true\0true\0"


@pytest.mark.parametrize(("module", "left"), [("ninja", ".ninja_log"), ("doit_tasks", "doit.json")])
def test_command_removes_the_files_of_the_previous_run(tmp_path: Path, module, left):
    peer = _installed(module)
    (tmp_path / left).write_text("")
    peer.command(str(tmp_path), 2)
    assert not (tmp_path / left).exists()


@pytest.mark.parametrize("module", COMMAND_PEERS)
def test_every_peer_runs_all_commands_after_their_dependencies(tmp_path: Path, module):
    peer = _installed(module)
    log = tmp_path / "log"
    # A percent sign and a dollar, which some peers must escape. One write per name, so that no name is torn.
    tasks = [
        {"name": name, "type": "exec", "arguments": f"word=%s; printf $word {name} >> {log}", "dependencies": before}
        for name, before in WAITS.items()
    ]
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / DOCUMENT).write_bytes(orjson.dumps({"tasks": tasks}))
    prepare = [sys.executable, "-m", "bench.compare.peers", str(folder), module]
    subprocess.run(prepare, env=child_environment(), timeout=LIMIT, check=True)
    # A second run runs all commands again.
    for _ in range(2):
        log.unlink(missing_ok=True)
        measure(peer.command(str(folder), 3), timeout=LIMIT)
        order = log.read_text()
        assert sorted(order) == sorted(WAITS)
        if peer.KNOWS_DEPENDENCIES:
            assert all(order.index(name) > order.index(other) for name in WAITS for other in WAITS[name])


@pytest.mark.parametrize("module", [name for name in COMMAND_PEERS if name != "gnu_parallel"])
def test_peer_fails_if_its_command_fails(tmp_path: Path, module):
    peer = _installed(module)
    document = {"tasks": [{"name": "a", "type": "exec", "arguments": "exit 3"}]}
    (tmp_path / DOCUMENT).write_bytes(orjson.dumps(document))
    peer.prepare(document, str(tmp_path))
    with pytest.raises(RuntimeError, match="exit code"):
        measure(peer.command(str(tmp_path), 2), timeout=LIMIT)


@pytest.mark.parametrize("module", SNIPPET_PEERS)
def test_every_peer_runs_all_snippets(tmp_path: Path, module):
    peer = _installed(module)
    log = tmp_path / "log"
    tasks = [
        {"name": f"task{i}", "type": "eval", "arguments": f"with open({str(log)!r}, 'a') as f: f.write('{i}')"}
        for i in range(5)
    ]
    (tmp_path / DOCUMENT).write_bytes(orjson.dumps({"tasks": tasks}))
    measure(peer.command(str(tmp_path), 2), timeout=LIMIT)
    assert sorted(log.read_text()) == list("01234")


def _installed(module: str) -> Any:
    peer = find_peer(module)
    try:
        peer.version()
    except Unavailable as error:
        pytest.skip(str(error))
    return peer


def test_missing_peer_is_unavailable(monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    for module in ("make", "xargs", "gnu_parallel", "floor"):
        with pytest.raises(Unavailable, match=r"not installed|no C compiler"):
            find_peer(module).version()
