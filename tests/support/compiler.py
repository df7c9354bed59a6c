"""A compiler for a small part of C, an archiver, a linker and more: what the tasks of a generated project call.

As a script it needs nothing but Python, so that it starts fast. ``main`` does the same in any folder.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from glob import glob

# Called with the path of each file that was read, while something else is still to be done with it.
between: list[Callable[[str], object]] = []


def main(arguments: list[str], root: str = "") -> list[str]:
    """Do what a command does. Return what it has read beside its arguments, as a depfile has it."""
    program, *others = arguments
    return _PROGRAMS[program](root, *others) or []


def _compile(root: str, source: str, target: str, depfile: str, *flags: str) -> list[str]:
    """Write the text of a source and of all that it includes, each once and without comments."""
    folders = [flag[2:] for flag in flags if flag.startswith("-I")]
    lines: list[str] = [" ".join([*flags, os.environ.get("CFLAGS", "")])]
    read: list[str] = []

    def add(path: str) -> None:
        if path in read:
            return
        read.append(path)
        with open(os.path.join(root, path)) as file:
            for line in file:
                code = line.partition("//")[0].rstrip()
                if code.startswith("#include"):
                    name = code.split('"')[1]
                    around = (os.path.join(folder, name) for folder in (os.path.dirname(path), *folders))
                    found = next((other for other in around if os.path.lexists(os.path.join(root, other))), None)
                    if found is None:
                        raise SystemExit(f"{path}: no {name}")
                    add(os.path.normpath(found))
                elif code:
                    lines.append(code)
        _pause(path)

    add(source)
    _pause(source)
    _write(root, target, "\n".join(lines).encode())
    named = [os.path.abspath(path) for path in read] if "-Mabsolute" in flags else read
    names = [path.replace("$", "$$").replace(" ", "\\ ").replace("#", "\\#") for path in named]
    prerequisites = " \\\n  ".join(names)
    _write(root, depfile, f"{target}: {prerequisites}\n".encode())
    return read


def _join(root: str, target: str, *sources: str) -> None:
    """Write what is in files, behind their names."""
    _write(root, target, b"".join(b"[%b]\n%b\n" % (path.encode(), _read(root, path)) for path in sources))


def _collect(root: str, target: str, pattern: str) -> None:
    """Write what is in the files that fit a pattern."""
    found = glob(pattern, root_dir=root or None, recursive=True)
    _join(root, target, *sorted(path for path in found if os.path.isfile(os.path.join(root, path))))


def _generate(root: str, source: str, target: str) -> None:
    """Write a header from a text, without its comments."""
    lines = [line for line in _read(root, source).decode().splitlines() if not line.startswith("//")]
    text = "".join(f"static const int {line.replace(' ', ' = ')};\n" for line in lines if line)
    _write(root, target, f"#pragma once\n{text}".encode())


def _pack(root: str, folder: str, target: str) -> None:
    """Copy a folder."""
    path = os.path.join(root, target)
    if os.path.isdir(path):
        shutil.rmtree(path)
    shutil.copytree(os.path.join(root, folder), path, ignore_dangling_symlinks=True)


def _report(root: str, target: str, *sources: str) -> None:
    """Write how long files are, and the value of a variable."""
    sizes = " ".join(str(len(_read(root, path))) for path in sources)
    _write(root, target, f"{sizes} {os.environ.get('MODE')}".encode())


def _check(root: str, *sources: str) -> None:
    """Fail for a file that is missing."""
    for path in sources:
        _read(root, path)


def _pause(path: str) -> None:
    for call in between:
        call(path)


def _read(root: str, path: str) -> bytes:
    with open(os.path.join(root, path), "rb") as file:
        data = file.read()
    _pause(path)
    return data


def _write(root: str, path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
    with open(os.path.join(root, path), "wb") as file:
        file.write(data)


_PROGRAMS: dict[str, Callable[..., list[str] | None]] = {
    "compile": _compile,
    "join": _join,
    "collect": _collect,
    "generate": _generate,
    "pack": _pack,
    "report": _report,
    "check": _check,
}

if __name__ == "__main__":
    main(sys.argv[1:])
