"""What a document says for all tasks that do not say it themselves.

Knows which of its keys make sense for which task. Does not know how a document is read.
"""

from collections.abc import Mapping
from typing import Any

from fastrun.document.task import DEFAULTS, Task, completed, is_special
from fastrun.document.validator import Invalid, validate

# Keys of a task that ``defaults`` may have.
DEFAULT_KEYS = frozenset(
    ["cwd", "env", "timeout", "retries", "retry_delay", "shell", "pool", "where", "tags", "memory"]
)

# Keys that are for tasks in a process of their own.
_OF_PROCESSES = ("cwd", "env", "memory")

# Stands among the fields of plain tasks for a type: that of commands without a shell.
WORDS = "words"

# The fields that tasks of a type have beside the usual ones, and whether such tasks are ``special``.
Rest = tuple[tuple[Any, ...], bool]


def are_defaults(raw: Any, pools: Mapping[str, Any]) -> bool:
    """Return whether an object is what the schema says of ``defaults``, and its pool is one of the document's."""
    if not (isinstance(raw, dict) and raw.keys() <= DEFAULT_KEYS):
        return False
    others = {key: value for key, value in raw.items() if key != "where"}
    where = {"where": raw["where"]} if "where" in raw else {}
    try:
        # Each key in a task that may have it.
        validate({"name": "", "type": "exec", "arguments": "", **others})
        validate({"name": "", "type": "eval", "arguments": "", **where})
    except Invalid:
        return False
    return "pool" not in raw or raw["pool"] in pools


def with_where(item: Any, defaults: Mapping[str, Any]) -> Any:
    """Return a task's object, with the place of snippets if that decides which other keys it may have."""
    if defaults.get("where") != "process" or not isinstance(item, dict) or item.get("type") != "eval":
        return item
    return {"where": "process", **item}


def with_defaults(item: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return a validated object with what the document says for all tasks, where that makes sense for this one."""
    is_command = item["type"] == "exec"
    found = {**defaults, **item}
    if is_command and found.get("where") in ("process", "thread"):
        del found["where"]
    if not is_command and found.get("where") != "process":
        for key in _OF_PROCESSES:
            found.pop(key, None)
    if not (is_command and isinstance(item["arguments"], str)):
        found.pop("shell", None)
    if "env" in found and "env" in defaults and "env" in item:
        found["env"] = {**defaults["env"], **item["env"]}
    return found


def rests(defaults: Mapping[str, Any]) -> dict[str, Rest]:
    """Return by type what tasks have that say nothing but the usual keys; commands without a shell as ``WORDS``."""
    found = {}
    for kind, type_, arguments in (("exec", "exec", ""), ("eval", "eval", ""), (WORDS, "exec", ["true"])):
        item = completed(with_defaults({"type": type_, "arguments": arguments}, defaults))
        found[kind] = tuple(map(item.get, Task._fields[4:], DEFAULTS)), is_special(item)
    return found
