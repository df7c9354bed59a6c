"""Documents and graphs for tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fastrun.document.parse import read
from fastrun.plan.graph import Graph, build

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def exec_(name: str, command: str | Sequence[str], *dependencies: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "exec", "arguments": command, "dependencies": list(dependencies), **more}


def eval_(name: str, source: str, *dependencies: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "eval", "arguments": source, "dependencies": list(dependencies), **more}


def document(*tasks: dict[str, Any]) -> dict[str, Any]:
    return {"tasks": list(tasks)}


def write_json(folder: Path, content: Any) -> Path:
    path = folder / "tasks.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def graph_of(edges: list[list[int]]) -> Graph:
    """Return the graph of tasks that are named by their numbers."""
    return build(read(document(*(exec_(str(i), "", *map(str, found)) for i, found in enumerate(edges))), "document"))
