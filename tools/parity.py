"""Comparison of snippets with scripts: ``python -m tools.parity FOLDER [...]``.

Each ``*.py`` file of a folder runs as ``python FILE``, as a snippet in a thread of fastrun, and as a snippet in a
process of its own. What differs is printed: whether it ended well, standard output, standard error, and the files that
it left. Each run has a fresh working directory with a copy of the script and of all that is no script in its folder, an
empty standard input and the same environment.

What is not compared, and no more:

- the script's path: ``<task NAME>`` stands for it;
- the end of the last line: fastrun adds one;
- addresses of objects (``0x7f...``), the seconds in ``Ran 3 tests in 0.001s``, and ``__pycache__`` folders;
- with ``--side-by-side``, where all scripts of a folder run at once in one document and share a working directory: to
  which stream a line goes, the order of the lines of one script, and files that no script leaves as ``python FILE``.

A script that differs from itself as ``python FILE`` is named and not counted.
"""

import argparse
import difflib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import chain, pairwise
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

WHERE = ("thread", "process")

# Seconds after the time limit of a script until fastrun has to have ended.
_GRACE = 15.0

_NEUTRAL = [(rb"\b0x[0-9a-f]{5,}", b"0x..."), (rb"(Ran \d+ tests? in )\d+\.\d+s", rb"\1N s")]

# A line that ends what a script has written to standard error.
_MARK = "(end of script {})"

# Waits for multiprocessing's own processes, which end soon after a script has: fastrun warns of those that are late at
# the end of its run. They are known by what they run, and by the folder.
_WAIT = (
    "while ls -dl /dev/null $(grep -las 'multiprocessing[.]\\(resource_tracker\\|forkserver\\)' /proc/[0-9]*/cmdline | "
    'sed s/cmdline/cwd/) 2> /dev/null | grep -q " -> $PWD\\$"; do sleep 0.01; done; '
)


class Result(NamedTuple):
    """What a script did. ``status``: ``ok``, ``failed``, or a sentence that says how it was ended."""

    status: str
    stdout: bytes
    stderr: bytes
    files: dict[str, bytes]


class Interpreter(NamedTuple):
    """The Python that runs the scripts, and fastrun.

    ``timeout``: most seconds of a script. ``by_path``: a task has the path of its script instead of the text.
    """

    python: str = sys.executable
    timeout: float = 60.0
    by_path: bool = False

    def script(self, script: Path) -> Result:
        """Run ``python FILE``."""
        with _copy([script]) as work:
            code, stdout, stderr = self._call([script.name], work, self.timeout)
            status = {None: "timed out", 0: "ok"}.get(code, "failed")
            (path := work / script.name).unlink(missing_ok=True)
            return Result(status, _tidy(stdout, path), _tidy(stderr, path), _files(work))

    def in_turn(self, scripts: Sequence[Path], where: str) -> list[Result]:
        """Run scripts of one folder as the tasks of one document, one after the other."""
        with _copy(scripts) as work:
            shutil.copytree(work, work.parent / "original")
            names = " ".join(quote(script.name) for script in scripts)
            # In a thread such processes belong to fastrun.
            wait = _WAIT if where == "process" else ""
            tasks = []
            for number, script in enumerate(scripts):
                mark = (
                    f"{wait}rm -f {names}; cp -R . ../left-{number}; find . -mindepth 1 -delete; "
                    f"cp -R ../original/. .; echo '{_MARK.format(number)}' >&2"
                )
                tasks += [self._task(script, where), {"name": f"after {number}", "type": "exec", "arguments": mark}]
            for before, task in pairwise(tasks):
                task |= {"dependencies": [before["name"]], "when": "always"}
            ended, stdout, stderr, reasons = self._fastrun(tasks, work, len(scripts))
            results, printed = [], _blocks(stdout)
            for number, script in enumerate(scripts):
                written, found, stderr = stderr.partition(f"{_MARK.format(number)}\n".encode())
                files = _files(work.parent / f"left-{number}")
                results.append(Result(reasons.get(script.stem, ended), printed[script.stem], written, files))
                if not found:
                    stderr, ended = b"", "not run"
            # What fastrun says at its end.
            results[-1] = results[-1]._replace(stderr=results[-1].stderr + stderr)
            return results

    def side_by_side(self, scripts: Sequence[Path], where: str) -> list[Result]:
        """Run scripts of one folder as the tasks of one document, all at once. ``stdout`` has both streams."""
        with _copy(scripts) as work:
            tasks = [self._task(script, where) for script in scripts]
            ended, stdout, _, reasons = self._fastrun(tasks, work, 1, "--output", "group", "--eval-threads", "1000")
            printed, files = _blocks(stdout), _files(work)
            return [Result(reasons.get(name, ended), printed[name], b"", files) for name in (s.stem for s in scripts)]

    def _task(self, script: Path, where: str) -> dict[str, Any]:
        source = {"script": script.name} if self.by_path else {"arguments": _source(script)}
        return {"name": script.stem, "type": "eval", "where": where, **source}

    def _fastrun(
        self, tasks: list[dict[str, Any]], work: Path, rounds: int, *options: str
    ) -> tuple[str, bytes, bytes, dict[str, str]]:
        """Run a document. Return how fastrun ended, what it wrote, and each task's status."""
        document, events = work.parent / "document.json", work.parent / "events.jsonl"
        document.write_text(json.dumps({"tasks": tasks}))
        command = ["-m", "fastrun", str(document), "--json", str(events), "--report", "none", "--status", "never"]
        command += ["--timeout", str(self.timeout), "--grace", "1", *options]
        code, stdout, stderr = self._call(command, work, self.timeout * rounds + _GRACE)
        reasons = {}
        for line in events.read_bytes().splitlines() if events.exists() else ():
            event = json.loads(line)
            if event["type"] == "task_ended":
                reasons[event["name"]] = "timed out" if event["cause"] == "timeout" else event["status"]
        ended = "fastrun did not end" if code is None else f"fastrun ended with {code}"
        ended += b": ".join([b"", *(stderr or stdout).splitlines()[-1:]]).decode("utf-8", "backslashreplace")
        if code not in (0, 1):
            reasons[[task["name"] for task in tasks if task["type"] == "eval"][-1]] = ended
        names = b"|".join(re.escape(task["name"].encode()) for task in tasks)
        # What fastrun says of its own: that a task has failed, and whose a block is.
        own = re.compile(rb"^(?:fastrun: (?:%b): .*|Output: (?:%b))\n" % (names, names), re.MULTILINE)
        stdout, stderr = (own.sub(b"", text) for text in (stdout, stderr))
        for task in tasks:
            stdout, stderr = (_tidy(text, work / f"{task['name']}.py") for text in (stdout, stderr))
        return ended, stdout, stderr, reasons

    def _call(self, arguments: list[str], work: Path, timeout: float) -> tuple[int | None, bytes, bytes]:
        """Run Python and end all that it leaves in its session. Return its exit status, None for one that was killed.

        Its output goes to files: processes that it leaves behind may hold a pipe open for ever.
        """
        with (
            open(work.parent / "stdout", "wb") as stdout,
            open(work.parent / "stderr", "wb") as stderr,
            subprocess.Popen(
                [self.python, *arguments],
                cwd=work,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT if "group" in arguments else stderr,
                start_new_session=True,
            ) as process,
        ):
            code = None
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                # Lets fastrun end its commands, which have sessions of their own.
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(2)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return code, (work.parent / "stdout").read_bytes(), (work.parent / "stderr").read_bytes()


def differences(expected: Result, result: Result, *, together: bool = False) -> list[str]:
    """Return lines that say what differs, none if nothing does. ``together``: the result is of ``side_by_side``."""
    lines = []
    if expected.status != result.status:
        lines.append(f"status: {result.status}, not {expected.status}")
        if result.status not in ("ok", "failed", "timed out"):
            return lines
    if together:
        both = [b"".join(sorted(text.splitlines(True))) for text in (expected.stdout + expected.stderr, result.stdout)]
        lines += _diff("output", *both)
    else:
        lines += _diff("stdout", expected.stdout, result.stdout)
        lines += _diff("stderr", expected.stderr, result.stderr)
    names = expected.files if together else sorted(expected.files.keys() | result.files.keys())
    for name in names:
        if name not in result.files or name not in expected.files:
            lines.append(f"file {name}: {'not left' if name in expected.files else 'left, and not by the script'}")
        else:
            lines += _diff(f"file {name}", expected.files[name], result.files[name])
    return lines


def scripts_of(folder: Path) -> list[Path]:
    """Return the scripts of a folder."""
    return sorted(folder.resolve().glob("*.py"))


def _diff(what: str, expected: bytes, found: bytes) -> Iterator[str]:
    for pattern, replacement in _NEUTRAL:
        expected, found = (re.sub(pattern, replacement, text) for text in (expected, found))
    first, second = (text.decode("utf-8", "backslashreplace").splitlines() for text in (expected, found))
    for line in difflib.unified_diff(first, second, f"{what} of python FILE", f"{what} of the task", "", "", 2, ""):
        # Control characters that a script prints belong to no terminal.
        yield re.sub(r"[^\t -~]", lambda match: ascii(match[0])[1:-1], line)


def _tidy(text: bytes, path: Path) -> bytes:
    text = text.replace(os.fsencode(path), f"<task {path.stem}>".encode())
    return text if not text or text.endswith(b"\n") else text + b"\n"


def _blocks(stdout: bytes) -> defaultdict[str, bytes]:
    """Return what the tasks have printed: it stands before the last line of a task, behind the line before of any."""
    pieces = re.split(rb"^(?:Started: .*|Ended : (.*))\n", stdout, flags=re.MULTILINE)
    blocks = zip(pieces[1::2], pieces[::2], strict=False)
    return defaultdict(bytes, ((name.decode(), text) for name, text in blocks if name))


def _source(script: Path) -> str:
    """Return a script's text, in the encoding that it names."""
    with tokenize.open(script) as file:
        return file.read()


def _environment() -> dict[str, str]:
    """Return the environment of both: the order in sets is fixed, and no variable changes what fastrun prints."""
    left_out = ("CI", "GITHUB_ACTIONS", "FORCE_COLOR", "NO_COLOR", "MAKEFLAGS", "PYTHONUNBUFFERED", "COVERAGE_PROCESS")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**plain, "PYTHONHASHSEED": "0"}


@contextmanager
def _copy(scripts: Sequence[Path]) -> Iterator[Path]:
    """Copy scripts, and all that is no script in their folder, to a temporary folder."""
    folder = scripts[0].parent
    others = {script.name for script in scripts_of(folder)}.difference(script.name for script in scripts)
    with tempfile.TemporaryDirectory(prefix="fastrun-parity-", ignore_cleanup_errors=True) as temporary:
        work = Path(temporary).resolve() / "work"
        shutil.copytree(folder, work, symlinks=True, ignore=lambda path, _: others if Path(path) == folder else ())
        yield work


def _files(folder: Path) -> dict[str, bytes]:
    """Return the regular files below a folder by their names."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _separately(script: Path, interpreter: Interpreter, where: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return what differs for each of ``where``. Nothing counts as different that differs between two scripts."""
    expected = interpreter.script(script)
    if expected.status == "timed out":
        return [(f"{script.stem}: not compared: python FILE takes longer than {interpreter.timeout:g} s", [])]
    found = [(f"{script.stem} ({way}):", differences(expected, interpreter.in_turn([script], way)[0])) for way in where]
    if any(lines for _, lines in found) and differences(expected, interpreter.script(script)):
        return [(f"{script.stem}: not compared: python FILE differs from itself", [])]
    return found


def _together(scripts: list[Path], interpreter: Interpreter, where: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Return what differs when all scripts run at once."""
    expected = [interpreter.script(script) for script in scripts]
    for way in where:
        for script, result, other in zip(scripts, expected, interpreter.side_by_side(scripts, way), strict=True):
            yield f"{script.stem} ({way}, side by side):", differences(result, other, together=True)


def main() -> int:
    """Run the command line. Return 1 if anything differs."""
    parser = argparse.ArgumentParser(prog="python -m tools.parity", description="Compare snippets with scripts.")
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--side-by-side", action="store_true", help="all scripts of a folder at once, in one document")
    parser.add_argument("--where", action="append", choices=WHERE, help="compare only these (default: both)")
    parser.add_argument("--by-path", action="store_true", help="give tasks the scripts' paths, not their texts")
    parser.add_argument("--timeout", type=float, default=60.0, help="most seconds of a script (default: 60)")
    parser.add_argument("--python", default=sys.executable, help="the interpreter (default: this one)")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count(), help="scripts compared at the same time")
    parser.add_argument("-v", "--verbose", action="store_true", help="name what does not differ, too")
    options = parser.parse_args()
    interpreter, where = Interpreter(options.python, options.timeout, options.by_path), options.where or WHERE
    differing = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        if options.side_by_side:
            found = chain.from_iterable(_together(scripts_of(folder), interpreter, where) for folder in options.folders)
        else:
            scripts = chain.from_iterable(map(scripts_of, options.folders))
            found = chain.from_iterable(pool.map(lambda script: _separately(script, interpreter, where), scripts))
        for header, lines in found:
            differing += bool(lines)
            if lines or "not compared" in header:
                print(header, *lines, sep="\n    ", flush=True)
            elif options.verbose:
                print(header, "the same", flush=True)
    print(f"{differing} differ" if differing else "nothing differs")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
