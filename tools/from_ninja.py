"""Reader of ninja builds: ``python -m tools.from_ninja BUILD_DIR [TARGET ...] > build.json``.

Prints a document with the commands that ninja would run for these targets, or for the default ones. Its paths are those
of ninja, relative to BUILD_DIR: ``fastrun -C BUILD_DIR -u build.json``. The command that makes ``build.ninja`` itself
anew is left out: print the document again after a change of CMakeLists.txt. The syntax of the files:
https://ninja-build.org/manual.html#_ninja_file_reference.
"""

import json
import os
import re
import sys
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Sequence
from glob import escape
from shlex import quote
from typing import Any, NamedTuple

# A variable, or an escaped character.
_DOLLAR = re.compile(r"\$(?:([\w-]+)|\{([\w.-]+)\}|(.))")

# A path, or what separates groups of paths.
_TOKEN = re.compile(r"(?:\$\{[^}]*\}|\$.|[^ \t:|$])+|:|\|\||\|@|\|")

# Variables of rules in which paths are quoted.
_OF_SHELLS = ("command", "rspfile_content")

Variables = ChainMap[str, str]


class Edge(NamedTuple):
    """A build statement. ``inputs``: with those that the command does not name. ``after``: only their order counts.

    ``validations``: targets that are built with this one.
    """

    outputs: list[str]
    rule: str
    inputs: list[str]
    after: list[str]
    validations: list[str]
    get: Callable[[str], str]

    @property
    def is_phony(self) -> bool:
        """Return whether the statement only gives a name to its inputs."""
        return self.rule == "phony"


class Build:
    """What ``build.ninja`` and the files that it includes say."""

    def __init__(self, folder: str) -> None:
        """Read the files. Raises OSError. ``folder``: that of the build."""
        self.folder = os.path.abspath(folder)
        self.edges: list[Edge] = []
        self.makers: dict[str, Edge] = {}
        self.pools: dict[str, int] = {"console": 1}
        self._defaults: list[str] = []
        self._rules: ChainMap[str, dict[str, str]] = ChainMap({"phony": {}})
        self._read("build.ninja", ChainMap({}), self._rules)

    def targets(self) -> list[str]:
        """Return the default targets: without a statement all that no command reads."""
        read = {path for edge in self.edges for path in (*edge.inputs, *edge.after)}
        return self._defaults or [path for path in self.makers if path not in read]

    def path(self, text: str) -> str:
        """Return a path in its shortest form: what is in the folder of the build is relative to it."""
        path = os.path.normpath(text)
        return os.path.relpath(path, self.folder) if path.startswith(f"{self.folder}/") else path

    def _read(self, name: str, variables: Variables, rules: ChainMap[str, dict[str, str]]) -> None:
        blocks = list(_blocks(os.path.join(self.folder, name)))
        for line, bindings in blocks:
            word, _, rest = line.partition(" ")
            if word == "rule":
                rules[rest.strip()] = bindings
            elif word == "pool":
                self.pools[rest.strip()] = int(_expand(bindings["depth"], variables.__getitem__))
            elif word == "build":
                self._add(rest, bindings, variables, rules)
            elif word == "default":
                self._defaults += self._paths(_TOKEN.findall(rest), variables)
            elif word == "include":
                self._read(_expand(rest, variables.__getitem__), variables, rules)
            elif word == "subninja":
                self._read(_expand(rest, variables.__getitem__), variables.new_child(), rules.new_child())
            else:
                key, _, value = line.partition("=")
                variables[key.strip()] = _expand(value.lstrip(), lambda name: variables.get(name, ""))

    def _paths(self, tokens: Iterable[str], variables: Variables) -> list[str]:
        return [self.path(_expand(token, lambda name: variables.get(name, ""))) for token in tokens]

    def _add(
        self, text: str, bindings: dict[str, str], variables: Variables, rules: ChainMap[str, dict[str, str]]
    ) -> None:
        own = variables.new_child(
            {key: _expand(value, lambda name: variables.get(name, "")) for key, value in bindings.items()}
        )
        tokens = _TOKEN.findall(text)
        colon = tokens.index(":")
        explicit_end = tokens.index("|") if "|" in tokens[:colon] else colon
        outputs = self._paths(tokens[:explicit_end], own)
        implicit_outputs = self._paths(tokens[explicit_end + 1 : colon], own)
        groups: dict[str, list[str]] = {"": [], "|": [], "||": [], "|@": []}
        group = groups[""]
        for word in tokens[colon + 2 :]:
            if word in groups:
                group = groups[word]
            else:
                group.append(word)
        explicit = self._paths(groups[""], own)
        special = {"in": (" ", explicit), "in_newline": ("\n", explicit), "out": (" ", outputs)}
        rule = rules[tokens[colon + 1]]

        def get(name: str, form: Callable[[str], str] = quote) -> str:
            if name in special:
                separator, paths = special[name]
                return separator.join(map(form, paths))
            if name not in own.maps[0] and name in rule:
                # Commands are for a shell, other values are not.
                return _expand(rule[name], lambda other: get(other, quote if name in _OF_SHELLS else str))
            return own.get(name, "")

        edge = Edge(
            list(dict.fromkeys(outputs + implicit_outputs)),
            tokens[colon + 1],
            explicit + self._paths(groups["|"], own),
            self._paths(groups["||"], own),
            self._paths(groups["|@"], own),
            get,
        )
        self.edges.append(edge)
        self.makers.update(dict.fromkeys(edge.outputs, edge))


def _blocks(path: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each statement of a file with the variables that are indented below it."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read()
    # An odd number of dollars before a line break goes on with the next line.
    text = re.sub(r"(?<!\$)((?:\$\$)*)\$\n *", r"\1", text)
    block: tuple[str, dict[str, str]] | None = None
    for line in text.split("\n"):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0] == " " and block is not None:
            key, _, value = line.partition("=")
            block[1][key.strip()] = value.lstrip()
            continue
        if block is not None:
            yield block
        block = line, {}
    if block is not None:
        yield block


def _expand(text: str, value_of: Callable[[str], str]) -> str:
    return _DOLLAR.sub(lambda found: found[3] or value_of(found[1] or found[2]), text)


def document(build: Build, targets: Sequence[str]) -> dict[str, Any]:
    """Return the document that makes these targets. Raises ValueError for a build that it cannot express."""
    wanted = _wanted(build, targets)
    edges = [edge for edge in build.edges if edge.outputs[0] in wanted]
    # CMake's targets that make nothing, of which others are only a name.
    names = {path for edge in build.edges if edge.is_phony for path in edge.inputs if len(edge.inputs) == 1}
    symbolic = {
        edge.outputs[0]
        for edge in edges
        if edge.rule == "CUSTOM_COMMAND" and edge.outputs[0] in names and "CMakeFiles/" in edge.outputs[0]
    }
    tasks = [_task(build, edge, symbolic) for edge in edges]
    pools = {pool: build.pools[pool] for task in tasks if (pool := task.get("pool"))}
    return {**({"pools": pools} if pools else {}), "tasks": tasks}


def _wanted(build: Build, targets: Sequence[str]) -> set[str]:
    """Return the first output of each command that ninja would run for these targets."""
    found: set[str] = set()
    seen: set[str] = set()
    stack = [build.path(target) for target in targets]
    while stack:
        edge = build.makers.get(stack.pop())
        if edge is None or edge.outputs[0] in seen or edge.get("generator"):
            continue
        seen.add(edge.outputs[0])
        if not edge.is_phony:
            found.add(edge.outputs[0])
        stack += [*edge.inputs, *edge.after, *edge.validations]
    return found


def _task(build: Build, edge: Edge, symbolic: set[str]) -> dict[str, Any]:
    """Return the task of a command, without its files if ninja always runs it. ``symbolic``: what is not made."""
    if edge.get("dyndep") or edge.get("deps") == "msvc":
        raise ValueError(f"{edge.outputs[0]}: dyndep, and what MSVC prints, have no counterpart")
    command = edge.get("command")
    if edge.get("rspfile"):
        command = f"printf %s {quote(edge.get('rspfile_content'))} > {quote(edge.get('rspfile'))} && {command}"
    task: dict[str, Any] = {"name": edge.outputs[0], "type": "exec", "arguments": command}
    inputs = _through(build, edge.inputs)
    before = [*inputs, *_through(build, edge.after, order=True), *_through(build, edge.inputs, order=True)]
    dependencies = dict.fromkeys(build.makers[path].outputs[0] for path in before if path in build.makers)
    missing = {path for path in before if path in build.makers and build.makers[path].is_phony}
    task["dependencies"] = [name for name in dependencies if name not in {edge.outputs[0], *missing}]
    missing = {path for path in missing if not os.path.lexists(os.path.join(build.folder, path))}
    if edge.outputs[0] not in symbolic and not missing.intersection(inputs):
        task["inputs"] = [escape(path) for path in inputs if path not in symbolic]
        task["outputs"] = [escape(path) for path in edge.outputs]
        if edge.get("depfile"):
            task["depfile"] = build.path(edge.get("depfile"))
    if edge.get("pool"):
        task["pool"] = edge.get("pool")
    return task


def _through(build: Build, paths: Iterable[str], *, order: bool = False) -> list[str]:
    """Return paths with those that phony targets among them stand for. ``order``: also those that only come before."""
    found: dict[str, None] = {}
    seen: set[str] = set()
    stack = [*paths][::-1]
    while stack:
        path = stack.pop()
        if path in seen:
            continue
        seen.add(path)
        edge = build.makers.get(path)
        if edge is None or not edge.is_phony:
            found[path] = None
            continue
        # A phony target without inputs is a file that may be missing.
        if not edge.inputs and not edge.after:
            found[path] = None
        stack += [*edge.inputs, *(edge.after if order else ())][::-1]
    return list(found)


def main() -> int:
    """Run the command line. Returns the exit code."""
    if len(sys.argv) < 2:
        print("usage: python -m tools.from_ninja BUILD_DIR [TARGET ...]", file=sys.stderr)
        return 2
    try:
        build = Build(sys.argv[1])
        made = document(build, sys.argv[2:] or build.targets())
    except (OSError, ValueError) as error:
        print(f"from_ninja: {error}", file=sys.stderr)
        return 1
    json.dump(made, sys.stdout, indent=1)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
