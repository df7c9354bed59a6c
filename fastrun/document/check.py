"""The second, slow reading of a document, which finds all that is wrong with it.

Knows the schema and how people mistype. Imported only once something is wrong.
"""

import functools
import json
import re
from collections.abc import Callable, Collection, Iterator
from math import isnan
from typing import Any

import fastjsonschema
import orjson

from fastrun.document import validator
from fastrun.document.defaults import DEFAULT_KEYS, are_defaults, with_defaults, with_where
from fastrun.document.locations import Path
from fastrun.document.problems import Problem, Source, unknown_pool, utf8_fault
from fastrun.document.script import script_fault
from fastrun.document.task import (
    SCHEMA_PATH,
    TOP_KEYS,
    Document,
    Task,
    completed,
    has_nul,
    is_special,
    settings_in,
    task_from_dict,
)
from fastrun.text import SIMILAR, meant, printable

# What other tools call these keys. If such a key were ignored, something else would run than is meant.
_ELSEWHERE = {
    "dependencies": ("after", "depends", "dependson", "deps", "needs", "prerequisites", "requires", "waitfor"),
    "env": ("environment", "variables", "vars"),
    "cwd": ("chdir", "dir", "directory", "workdir", "workingdirectory"),
    "timeout": ("maxruntime", "timelimit", "timeoutseconds"),
    "detach": ("daemon", "detached"),
    "retries": ("attempts", "maxretries", "retry"),
    "retry_delay": ("backoff", "retrydelay"),
    "when": ("always", "condition", "ensure", "finally", "if", "onfailure", "runif", "runwhen", "triggerrule"),
    "allow_failure": ("allowfailure", "continueonerror", "ignoreerror", "ignoreerrors", "ignorefailure"),
    "pool": ("lock", "mutex", "queue"),
    "pools": ("locks",),
    "max_time": ("deadline", "maxduration", "totaltimeout"),
    "jobs": ("concurrency", "maxparallel", "parallel", "parallelism"),
    "tasks": ("steps",),
    "arguments": ("cmd", "command", "run"),
    "inputs": ("input", "sources", "srcs"),
    "outputs": ("artifacts", "generates", "output", "produces", "targets"),
    "memory": ("maxmemory", "mem", "memorylimit", "ram"),
    "env_inputs": ("envinputs", "passenv"),
}

# What to do instead of a key of a task that other tools have and this one has no key for.
_INSTEAD = {
    "parallel": 'tasks run side by side where no "dependencies" order them',
    "steps": "each step is a task",
}

# How the first line of a YAML document begins that has neither braces nor brackets around it.
_YAML = rb"""---|%YAML|- |[\w"'-]+\s*:(\s|$)"""

# Most lines of a text that is not JSON in which its first line is looked for, behind comments.
_LINES_LOOKED_AT = 100

# The keys on whose values it depends which others are allowed. Where they are wrong themselves, that is not known.
_DECIDING = ("type", "where")

# Rules of a schema about a value itself, not about what is in it.
_LEAF_RULES = ("type", "enum", "pattern", "minItems", "exclusiveMinimum", "minimum", "maximum")


def load_schema() -> dict[str, Any]:
    """Return the schema, the single source of what a document may hold."""
    with open(SCHEMA_PATH, "rb") as file:
        schema: dict[str, Any] = orjson.loads(file.read())
    return schema


def compile_schema(schema: dict[str, Any]) -> Callable[[Any], Any]:
    """Return a function that takes a value and raises ``fastjsonschema.JsonSchemaException`` if the schema forbids it.

    The function fills in no defaults, as that would change the input, and checks no formats.
    """
    return fastjsonschema.compile(schema, use_default=False, use_formats=False)


def json_error(source: Source, error: orjson.JSONDecodeError) -> str:
    """Return the line that says where and why a text is not JSON: ``FILE:LINE:COLUMN: invalid JSON: ...``."""
    line, column, message = error.lineno, error.colno, error.msg
    try:
        (source.data or b"").decode()
    except UnicodeDecodeError as bad:
        # orjson does not say where in the text that is.
        line, column, message = utf8_fault(bad)
    return f"{printable(source.name)}:{line}:{column}: invalid JSON: {message}{_what_it_looks_like(source)}"


def _what_it_looks_like(source: Source) -> str:
    """Return what a text that is not JSON seems to be, and what to do with it; empty if it looks like JSON."""
    lines = (line.strip() for line in (source.data or b"").split(b"\n", _LINES_LOOKED_AT)[:_LINES_LOOKED_AT])
    first = next((line for line in lines if line and not line.startswith(b"#")), b"")
    if re.match(_YAML, first) or source.name.endswith((".yaml", ".yml")):
        return "; it looks like YAML, and fastrun reads JSON: yq -o json converts it"
    return "; with --lines each line runs as a command" if re.match(rb"[\w./$]*[A-Za-z]", first) else ""


def read_bad(raw: Any, source: Source) -> Document:
    """Return what can be read of a document, with all problems that the schema and the names of keys show.

    ``raw``: what the JSON parser made of it, of any type.
    """
    schema = load_schema()
    task_schema = schema["definitions"]["task"]
    # The tasks are checked further down, by themselves.
    top = {**schema["properties"], "tasks": {"type": "array"}}
    # What a default may be is what the key of a task may be.
    top["defaults"] = {**top["defaults"], "properties": {key: task_schema["properties"][key] for key in DEFAULT_KEYS}}
    problems = list(_schema_problems({**schema, "properties": top}, raw, ()))
    fields = raw if isinstance(raw, dict) else {}
    unknown: dict[str, list[Path]] = {}
    problems += _unknown_keys(fields, TOP_KEYS, (), unknown)
    pools = fields["pools"] if isinstance(fields.get("pools"), dict) else {}
    given = fields["defaults"] if isinstance(fields.get("defaults"), dict) else {}
    problems += _default_problems(given, pools, task_schema["properties"])
    defaults = {key: value for key, value in given.items() if key in DEFAULT_KEYS}
    if not are_defaults(defaults, pools):
        defaults = {}
    items = fields.get("tasks")
    validate = compile_schema(task_schema)
    tasks: list[Task] = []
    positions = []
    special = []
    for position, raw_item in enumerate(items if isinstance(items, list) else ()):
        path = ("tasks", position)
        item = with_where(raw_item, given)
        if isinstance(item, dict):
            problems += _unknown_keys(item, task_schema["properties"], path, unknown)
        try:
            validate(item)
            # Which accepts no NaN.
            validator.validate(item)
        except (fastjsonschema.JsonSchemaException, validator.Invalid):
            problems += _schema_problems(task_schema, item, path)
            task = _salvage(item)
        else:
            full = completed(with_defaults(item, defaults))
            if has_nul(full):
                message = '"arguments" must not contain NUL: the shell stops there'
                problems.append(Problem((*path, "arguments"), message))
            if "script" in item and (fault := script_fault(item["script"])):
                message = f'"script" cannot be read: {printable(item["script"])}: {fault}'
                problems.append(Problem((*path, "script"), message))
            task = task_from_dict(full)
            if is_special(full):
                special.append(len(tasks))
        if task is not None:
            tasks.append(task)
            positions.append(position)
    # Pools may have wrong limits: a document with problems is not run.
    settings = settings_in(fields) or {}
    return Document(source, tasks, positions, problems, _warnings(unknown, source), pools, special, settings)


def _default_problems(defaults: dict[str, Any], pools: Collection[str], known: Collection[str]) -> Iterator[Problem]:
    """Yield what the schema does not tell of ``defaults``: keys that it cannot have, and a pool that is not there."""
    for key in defaults:
        if key in DEFAULT_KEYS or key.startswith("x-"):
            continue
        message = f'"{printable(key)}" cannot be a default: each task has its own'
        if key not in known:
            advice = _advice(key, DEFAULT_KEYS)
            message = f'unknown key "{printable(key)}"' + (f"; {advice}" if advice else "")
        yield Problem(("defaults", key), message, at_key=True)
    pool = defaults.get("pool")
    if isinstance(pool, str) and pool not in pools:
        yield Problem(("defaults", "pool"), unknown_pool(pool) + meant(pool, list(pools)))


def _warnings(unknown: dict[str, list[Path]], source: Source) -> list[str]:
    """Return a line for each key that is ignored. ``unknown``: the paths of each key."""
    locations = source.locations()
    lines = []
    for key, paths in unknown.items():
        many = f" (in {len(paths):,} tasks)" if len(paths) > 1 else ""
        location = locations.show(paths[0], at_key=True)
        lines.append(f'{location}: warning: unknown key "{printable(key)}" is ignored{many}')
    return lines


def _salvage(item: Any) -> Task | None:
    """Return as much of an invalid task as the graph needs to check the others, None if it has no usable name."""
    if not (isinstance(item, dict) and isinstance(item.get("name"), str)):
        return None
    dependencies = item.get("dependencies")
    if not (isinstance(dependencies, list) and all(isinstance(name, str) for name in dependencies)):
        dependencies = ()
    return Task(item["name"], "exec", "", dependencies)


def _unknown_keys(
    item: dict[str, Any], known: Collection[str], path: Path, unknown: dict[str, list[Path]]
) -> Iterator[Problem]:
    """Yield a problem for each key that looks like a known one; add the paths of other unknown keys to ``unknown``."""
    for key in item:
        if key in known or key.startswith("x-"):
            continue
        advice = _advice(key, known)
        if not advice and not path and (for_all := _meant(key, DEFAULT_KEYS)):
            advice = f'put "{for_all}" into "defaults" to set it for all tasks'
        if advice:
            yield Problem((*path, key), f'unknown key "{printable(key)}"; {advice}', at_key=True)
        else:
            unknown.setdefault(key, []).append((*path, key))


def _advice(key: str, known: Collection[str]) -> str:
    """Return what to write instead of an unknown key, empty if it is not known what was meant."""
    if meant := _meant(key, known):
        return f'did you mean "{meant}"?'
    return _INSTEAD.get(key.lower(), "")


def _meant(key: str, known: Collection[str]) -> str | None:
    """Return the known key that an unknown key was probably meant to be, or None."""
    from difflib import get_close_matches  # 6 ms

    plain = re.sub("[^a-z]", "", key.lower())
    words = {name: name for name in known}
    words |= {word: name for name in known for word in _ELSEWHERE.get(name, ())}
    near = get_close_matches(plain, words, 1, SIMILAR)
    if near:
        return words[near[0]]
    beginnings = [word for word in words if len(plain) > 2 and word.startswith(plain)]
    return words[beginnings[0]] if beginnings else None


def _schema_problems(schema: dict[str, Any], value: Any, path: Path) -> Iterator[Problem]:
    """Yield all that a schema says against a value.

    This walks down the schema itself and leaves only the leaves to the validator: the validator's own paths are dotted
    texts, in which a name with dots or brackets cannot be told from several names.
    """
    if not schema:
        return
    leaf = {key: rule for key, rule in schema.items() if key in _LEAF_RULES}
    try:
        _compiled(orjson.dumps(leaf))(value)
    except fastjsonschema.JsonSchemaValueException as error:
        message = f"{_subject(path)} {_message(str(error.rule), schema, value)}"
        yield Problem(path, message if path else f'{message}; write {{"tasks": [...]}}')
        return
    if isinstance(value, float) and isnan(value):
        yield Problem(path, f"{_subject(path)} must be {schema['title']}, not NaN")
        return
    if isinstance(value, (list, tuple)):
        first, others = schema.get("items", {}), schema.get("additionalItems")
        for number, item in enumerate(value):
            rule = first if others is None else first[number] if number < len(first) else others
            yield from _schema_problems(rule, item, (*path, number))
    if isinstance(value, dict):
        yield from _object_problems(schema, value, path)


@functools.cache
def _compiled(schema: bytes) -> Callable[[Any], Any]:
    return compile_schema(orjson.loads(schema))


def _object_problems(schema: dict[str, Any], value: dict[str, Any], path: Path) -> Iterator[Problem]:
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    ways = schema.get("anyOf", ())
    if ways and not any(_fits(way, value) for way in ways):
        # The first is the usual way.
        required = required + ways[0]["required"]
    for key in required:
        if key not in value:
            words = properties[key].get("enum")
            yield Problem(path, f'"{key}" is missing{f": write {_listed(words)}" if words else ""}')
    others = schema.get("additionalProperties", {})
    wrong = set()
    for key, item in value.items():
        for problem in _schema_problems(schema.get("propertyNames", {}), key, (*path, key)):
            yield problem._replace(at_key=True)
        for problem in _schema_problems(properties.get(key, others), item, (*path, key)):
            wrong.add(key)
            yield problem
    if wrong.isdisjoint(_DECIDING):
        yield from _conflicts(schema, value, path)


def _conflicts(schema: dict[str, Any], value: dict[str, Any], path: Path) -> Iterator[Problem]:
    """Yield a problem for each key that does not go together with the other keys. The schema has the sentences."""
    for key, rule in schema.get("dependencies", {}).items():
        for part in rule.get("allOf", [rule]) if key in value else ():
            if not _fits(part, value):
                yield Problem((*path, key), f'"{key}" {part["title"]}', at_key=True)


def _fits(schema: dict[str, Any], value: Any) -> bool:
    try:
        _compiled(orjson.dumps(schema))(value)
    except fastjsonschema.JsonSchemaException:
        return False
    return True


_TYPES = {
    dict: "an object",
    list: "an array",
    tuple: "an array",
    str: "a string",
    bool: "a boolean",
    type(None): "null",
}


def _subject(path: Path) -> str:
    if not path:
        return "the document"
    if isinstance(path[-1], str):
        return f'"{printable(path[-1])}"'
    return "a task" if len(path) == 2 else f'an entry of "{path[-2]}"'


def _listed(words: Collection[str]) -> str:
    return " or ".join(map(json.dumps, words))


def _message(rule: str, schema: dict[str, Any], value: Any) -> str:
    wanted: str = schema.get("title") or _listed(schema.get("enum", ()))
    if rule == "enum":
        return f"must be {wanted}, not {printable(json.dumps(value))}"
    if rule == "maximum":
        return f"must be at most {schema['maximum']:,}"
    if rule != "type":
        return f"must be {wanted}"
    # The title of a number has its unit, and words that are known say more than their type.
    if schema["type"] != "number" and "enum" not in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        wanted = " or ".join(f"{'an' if name in ('object', 'array', 'integer') else 'a'} {name}" for name in types)
    return f"must be {wanted}, not {_TYPES.get(type(value), 'a number')}"
