"""The parts of the reference that are made from the program: ``python -m tools.reference``.

They stand in pages of ``docs`` between two comments, so that the pages can be read as plain files. The keys of
documents come from the schema's descriptions, options and variables from the parser, events from their schema, and the
library from its docstrings. A test fails while a page is not what the program makes of it.
"""

import argparse
import ast
import inspect
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastrun
from fastrun.cli.options import parser
from fastrun.cli.parser import OF_COMMANDS
from fastrun.document.task import SCHEMA_PATH
from fastrun.observers.files import events

DOCS = Path(__file__).parents[1] / "docs"

# By page of the guide, the keys that it explains.
_GUIDE = {
    "commands.md": ("arguments", "shell", "cwd", "env", "timeout", "detach", "max_time"),
    "snippets.md": ("script",),
    "failures.md": ("retries", "retry_delay", "when", "allow_failure", "keep_going"),
    "limits.md": ("jobs", "pool", "pools"),
    "memory.md": ("memory",),
    "up-to-date.md": ("inputs", "outputs", "depfile", "env_inputs"),
    "selecting.md": ("description", "tags"),
    "threads-and-processes.md": ("where",),
    "cluster.md": ("resources",),
}

_MADE = re.compile(r"(<!-- made by tools.reference: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def page(path: Path) -> str:
    """Return the text of a page, with the parts that are made here as they should be."""
    return _MADE.sub(lambda found: f"{found[1]}\n{_PARTS[found[2]]()}\n{found[3]}", path.read_text())


def written(path: Path) -> str:
    """Return the text of a page without these parts."""
    return _MADE.sub("", path.read_text())


def pages() -> list[Path]:
    """Return the pages that have such parts."""
    return sorted(path for path in DOCS.rglob("*.md") if _MADE.search(path.read_text()))


def _document_keys() -> str:
    properties = json.loads(Path(SCHEMA_PATH).read_text())["properties"]
    return _keys({name: found for name, found in properties.items() if name != "$schema"}, required=["tasks"])


def _task_keys() -> str:
    task = json.loads(Path(SCHEMA_PATH).read_text())["definitions"]["task"]
    return _keys(task["properties"], task["required"])


def _keys(properties: dict[str, Any], required: list[str]) -> str:
    return "\n".join(
        f"### `{name}`\n\n{_sentence(_value(found))}{' Required.' * (name in required)}\n\n{found['description']}"
        f"{_see(name)}\n" + "".join(f"\n    {name_and_value}\n" for name_and_value in _examples(name, found))
        for name, found in properties.items()
    )


def _see(key: str) -> str:
    """Return a link to the page of the guide that explains a key, if there is one."""
    found = (page for page, keys in _GUIDE.items() if key in keys)
    return "".join(f" See [{(DOCS / page).read_text().splitlines()[0].lstrip('# ')}]({page})." for page in found)


def _value(found: dict[str, Any]) -> str:
    if "enum" in found:
        return ", ".join(f'`"{value}"`' for value in found["enum"])
    words = {"string": "a text", "boolean": "`true` or `false`", "number": "a number", "integer": "a whole number"}
    if found["type"] == "array":
        items = found.get("items", {})
        return f"a list of {'tasks' if '$ref' in items else 'texts'}"
    if found["type"] == "object":
        if "properties" in found:
            return f"an object with any of {', '.join(f'`{key}`' for key in found['properties'])}"
        inner = found.get("additionalProperties") or {}
        return "an object" + (f" of names, each with {inner.get('title') or words[inner['type']]}" if inner else "")
    title: str = found.get("title") or words[found["type"]]
    return title


def _examples(name: str, found: dict[str, Any]) -> Iterator[str]:
    for example in found.get("examples", ()):
        yield f"{json.dumps(name)}: {json.dumps(example)}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _options() -> str:
    parts = []
    for group in parser({})._action_groups:  # noqa: SLF001  # argparse has no other way to them
        rows = [f"| {_names(action)} | {_help(action)} |" for action in group._group_actions]  # noqa: SLF001
        if rows:
            title = str(group.title)
            parts.append("\n".join([f"## {title[:1].upper()}{title[1:]}", "", "| | |", "| --- | --- |", *rows]))
    return "\n\n".join(parts) + "\n"


def _names(action: argparse.Action) -> str:
    value = action.metavar or ("\\|".join(map(str, action.choices)) if action.choices else "")
    if not action.option_strings:
        return f"`{value}`"
    return ", ".join(f"`{name}{f' {value}' if value and action.nargs != 0 else ''}`" for name in action.option_strings)


def _help(action: argparse.Action) -> str:
    text = (action.help or "").replace("%%", "%")
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _variables() -> str:
    made = parser({})
    inherited = [name for name in made.variables if name not in made.of_one_run]
    return "\n".join(
        [
            "Commands inherit, so that a fastrun in a command has the same settings:",
            "",
            _listed(inherited),
            "",
            "Commands do not see these, which are about one document or one run:",
            "",
            _listed(made.of_one_run),
            "",
            "fastrun sets for commands: " + ", ".join(f"`{name}`" for name in OF_COMMANDS) + ".",
            "",
        ]
    )


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) + "."


def _events() -> str:
    schema = json.loads(Path(events.__file__).with_name("events.schema.json").read_text())
    parts = [("Every line", schema), *schema["definitions"].items()]
    return "\n".join(_event(name, found, schema["definitions"]) for name, found in parts if "properties" in found)


def _event(name: str, found: dict[str, Any], shared: dict[str, Any]) -> str:
    title = name if name == "Every line" else f"`{name}`"
    lines = [f"### {title}", ""]
    if name != "Every line":
        lines += [found["description"], ""]
    lines += ["| key | value | |", "| --- | --- | --- |"]
    for key, value in found["properties"].items():
        about = shared[value["$ref"].rpartition("/")[2]] if "$ref" in value else value
        lines.append(f"| `{key}` | {_kinds(about)} | {about.get('description', '')} |")
        for inner, of_it in about.get("properties", {}).items():
            lines.append(f"| `{key}.{inner}` | {_kinds(of_it)} | {of_it.get('description', '')} |")
    return "\n".join([*lines, ""])


def _kinds(about: dict[str, Any]) -> str:
    if "const" in about:
        return f"{about['const']}"
    if "enum" in about:
        return ", ".join(f"`{value}`" for value in about["enum"])
    kinds = about["type"] if isinstance(about["type"], list) else [about["type"]]
    return " or ".join(kinds)


def _api() -> str:
    names = sorted(
        (name for name in fastrun.__all__ if not name.startswith("__")), key=lambda name: (name[0].isupper(), name)
    )
    return "\n".join(_described(name) for name in names)


def _described(name: str) -> str:
    thing = getattr(fastrun, name)
    node = _node(thing)
    parts = [f"## `{name}`", "", *_text(thing)]
    if not isinstance(node, ast.ClassDef):
        prefix = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
        parts[2:2] = ["```python", _signature(f"{prefix}def {name}", node), "```", ""]
        return "\n".join(parts)
    fields = [_code(each) for each in node.body if isinstance(each, ast.AnnAssign | ast.Assign)]
    if fields:
        parts += ["```python", *fields, "```", ""]
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and _is_shown(name, each.name):
            is_property = any(ast.unparse(decorator) == "property" for decorator in each.decorator_list)
            shown = name if each.name == "__init__" else each.name
            parts += _titled(shown if is_property else _signature(shown, each))
            parts += _text(inspect.getattr_static(thing, each.name))
    return "\n".join(parts)


def _is_shown(owner: str, name: str) -> bool:
    """Return whether callers use a method: of the console, only to make and to close it, as the rest are hooks."""
    return name in ("__init__", "close") if owner == "Console" else not name.startswith("_")


def _node(thing: Any) -> ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef:
    source = inspect.getsourcefile(thing)
    for each in ast.parse(Path(str(source)).read_text()).body:
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        if isinstance(each, kinds) and each.name == thing.__name__:
            return each
    raise LookupError(thing)


def _signature(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    for argument in [*node.args.args, *node.args.kwonlyargs]:
        if isinstance(argument.annotation, ast.Constant):
            argument.annotation = ast.Name(str(argument.annotation.value))
    arguments = _code(node.args).removeprefix("self").removeprefix(", ").replace("=", " = ")
    returns = f" -> {ast.unparse(node.returns)}" if node.returns and node.name != "__init__" else ""
    signature = f"{name}({arguments}){returns}"
    if len(signature) <= 80:
        return signature
    # One argument in a line: at a comma that is followed by a name, or by the star before names.
    lines = re.split(r", (?=\*|\w+:)", arguments)
    return "\n".join([f"{name}(", *(f"    {line}," for line in lines), f"){returns}"])


def _titled(signature: str) -> list[str]:
    return ["```python", signature, "```", ""] if "\n" in signature else [f"**`{signature}`**", ""]


def _code(node: ast.AST) -> str:
    """Return the source of a node, with quotes as they are in the source."""
    return re.sub(r"'([^'\"]*)'", r'"\1"', ast.unparse(node))


def _text(thing: Any) -> list[str]:
    """Return a docstring as Markdown: a line that begins with names and a colon begins an item of a list."""
    lines: list[str] = []
    in_list = False
    for line in (inspect.getdoc(thing) or "").splitlines():
        if re.match(r"(``\w+``(, )?)+:", line):
            if not in_list and lines and lines[-1]:
                lines.append("")
            in_list = True
            lines.append(f"- {line}")
        else:
            in_list = in_list and bool(line)
            lines.append(f"  {line}" if in_list else line)
    return [*lines, ""]


_PARTS: dict[str, Callable[[], str]] = {
    "document_keys": _document_keys,
    "task_keys": _task_keys,
    "options": _options,
    "variables": _variables,
    "events": _events,
    "api": _api,
}


def main() -> None:
    """Write the parts anew."""
    for path in pages():
        path.write_text(page(path))


if __name__ == "__main__":
    main()
