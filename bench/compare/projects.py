"""Projects of many files: sources and headers, with a document and the files that ninja and make read.

Knows the forms of these files. Does not know what is measured.
"""

import os
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from bench.compare.peers import DOCUMENT

# Headers that each source includes, besides those of the C library.
_INCLUDED = 2

# Functions in a source that is compiled: a few hundredths of a second of work for a compiler.
_FUNCTIONS = 30

_FUNCTION = """\
double f{number}_{part}(const double *x, int n) {{
    double sum = {part};
    for (int i = 0; i < n; i++) sum += sin(x[i] * {part}) / (1 + fabs(x[i]));
    return sum > H{header} ? sqrt(sum) : pow(sum, 1.5);
}}
"""


class Project(NamedTuple):
    """A folder with ``tasks`` sources and ``headers`` headers, from which as many objects are made."""

    folder: str
    tasks: int
    headers: int

    def write(self) -> None:
        """Write sources that are copied together, a document, ``build.ninja`` and ``Makefile``."""
        for folder in ("src", "include", "out"):
            os.makedirs(os.path.join(self.folder, folder), exist_ok=True)
        for header in range(self.headers):
            self.write_header(header, "")
        ninja = ["rule join", "  command = cat $in > $out"]
        make = [" ".join(["all:", *(f"out/{number}.o" for number in range(self.tasks))])]
        tasks = []
        for number in range(self.tasks):
            inputs = [f"src/{number}.c", *self._included(number)]
            names, output = " ".join(inputs), f"out/{number}.o"
            self._put(inputs[0], f"int f{number}(void) {{ return {number}; }}\n")
            tasks.append(_task(f"task{number}", f"cat {names} > {output}", inputs=inputs, outputs=[output]))
            ninja.append(f"build {output}: join {names}")
            make += [f"{output}: {names}", "\tcat $^ > $@"]
        self._put(DOCUMENT, orjson.dumps({"tasks": tasks}).decode())
        self._put("build.ninja", "\n".join([*ninja, ""]))
        self._put("Makefile", "\n".join([*make, ""]))

    def write_compiled(self) -> None:
        """Write sources for a C compiler, and two documents: the tasks of ``plain.json`` do not name their files."""
        for folder in ("src", "include", "out"):
            os.makedirs(os.path.join(self.folder, folder), exist_ok=True)
        for header in range(self.headers):
            self.write_header(header, "")
        tasks, plain = [], []
        for number in range(self.tasks):
            source, output, depfile = f"src/{number}.c", f"out/{number}.o", f"out/{number}.d"
            self._put(source, "".join(self._text_of(number)))
            command = f"cc -O2 -Iinclude -MMD -c {source} -o {output}"
            plain.append(_task(f"task{number}", command))
            tasks.append(_task(f"task{number}", command, inputs=[source], outputs=[output], depfile=depfile))
        self._put(DOCUMENT, orjson.dumps({"tasks": tasks}).decode())
        self._put("plain.json", orjson.dumps({"tasks": plain}).decode())

    def write_header(self, header: int, comment: str) -> None:
        """Write a header. ``comment``: makes its content another one."""
        self._put(f"include/{header}.h", f"#define H{header} {header} /* {comment} */\n")

    def _included(self, number: int) -> list[str]:
        """Return the headers that a source includes."""
        choose = random.Random(number)
        return [f"include/{header}.h" for header in choose.sample(range(self.headers), _INCLUDED)]

    def _text_of(self, number: int) -> Iterator[str]:
        for name in ("math.h", "stdio.h", "stdlib.h", "string.h"):
            yield f"#include <{name}>\n"
        included = self._included(number)
        for path in included:
            yield f'#include "{os.path.basename(path)}"\n'
        header = os.path.basename(included[0]).removesuffix(".h")
        for part in range(_FUNCTIONS):
            yield _FUNCTION.format(number=number, part=part, header=header)

    def _put(self, path: str, text: str) -> None:
        with open(os.path.join(self.folder, path), "w", encoding="utf-8") as file:
            file.write(text)


def _task(name: str, arguments: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "exec", "arguments": arguments, **more}
