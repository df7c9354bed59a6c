"""Fuzzer for documents and journals: ``python -m tools.fuzz document|journal``.

atheris makes up the input, guided by the code of fastrun that it reaches. Further arguments are libFuzzer's, such as
``-max_total_time=60``. Some versions of Python have no atheris: without it the program says so and exits with 0.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

# Inputs from which the fuzzer starts.
_SEEDS = [
    b'{"tasks": [{"name": "a", "type": "exec", "arguments": "", "dependencies": ["b"], "env": {"X": "1"}}]}',
    b'{"tasks": [{"name": "b", "type": "eval", "arguments": "x", "timeout": 1.5}, {"name": "", "detach": true}]}',
    b'{"$schema": "", "tasks": [{"name": "a", "type": "exec", "arguments": "", "dependancies": [], "cwd": "/"}]}',
    b'{"tasks": [{"name": "a", "type": "eval", "script": "x.py", "where": "process", "cwd": "/", "detach": true}]}',
    b'b98a1590 {"record":"run","format":1,"id":"","boot":"","pid":1,"pid_start":null,"input":"","time":""}\n',
]


def main() -> int:
    """Run the command line. Returns only if nothing is fuzzed: libFuzzer ends the process."""
    targets = {"document": _document, "journal": _journal}
    if len(sys.argv) < 2 or sys.argv[1] not in targets:
        print(f"usage: python -m tools.fuzz {'|'.join(targets)} [libFuzzer's options]", file=sys.stderr)
        return 2
    try:
        import atheris
    except ImportError:
        print("nothing was fuzzed: atheris is not installed")
        return 0
    with atheris.instrument_imports(include=["fastrun"]):
        target = targets[sys.argv.pop(1)]()
    with tempfile.TemporaryDirectory(prefix="fastrun-fuzz-") as folder:
        for number, seed in enumerate(_SEEDS):
            Path(folder, str(number)).write_bytes(seed)
        atheris.Setup([*sys.argv, folder], target)
        atheris.Fuzz()
    return 0


def _document() -> Callable[[bytes], None]:
    from fastrun.document.parse import parse
    from fastrun.document.problems import SpecError
    from fastrun.plan.graph import build

    def target(data: bytes) -> None:
        try:
            build(parse(data, "fuzz.json"))
        except SpecError as error:
            if not all(line.isprintable() for line in error.lines):
                raise RuntimeError("an error has a line with an unprintable character") from error

    return target


def _journal() -> Callable[[bytes], None]:
    from fastrun.journal.recorded import read_journal
    from fastrun.journal.records import JournalError

    def target(data: bytes) -> None:
        try:
            recorded = read_journal(data)
        except JournalError:
            return
        if recorded.length + recorded.damaged != len(data):
            raise RuntimeError("bytes were neither read nor counted as damaged")

    return target


if __name__ == "__main__":
    sys.exit(main())
