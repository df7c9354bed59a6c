"""What several test files need: documents, a recorder of events, the real command line."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastrun import Observer, Outcome, Report, Start, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

# Nothing that works takes nearly as long; a hang must not take the suite with it.
LIMIT = 60

# A program whose first thread ends, while the process goes on with another one.
WITHOUT_FIRST_THREAD = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(1000,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""


# How often is done what is random: a few times, or many in the long form (``--stress``).
COUNTS: dict[str, int] = {}
_stress = False


def begin_stress() -> None:
    """Choose the long form. Before the modules of tests are imported."""
    global _stress  # pytest tells it once
    _stress = True


def many(what: str, normal: int, stress: int) -> int:
    """How often to do something; it is counted in the summary of the long form."""
    COUNTS[what] = stress if _stress else normal
    return COUNTS[what]


def exec_(name: str, command: str, *dependencies: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "exec", "arguments": command, "dependencies": list(dependencies), **more}


def eval_(name: str, source: str, *dependencies: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "eval", "arguments": source, "dependencies": list(dependencies), **more}


def document(*tasks: dict[str, Any]) -> dict[str, Any]:
    return {"tasks": list(tasks)}


class Recorder(Observer):
    """Keeps all events: (hook, task name, what came with it)."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.output: dict[tuple[str, int], bytes] = {}
        self.behind = False
        self.run: Any = None
        self.executor: Any = None

    @property
    def congested(self) -> bool:
        return self.behind

    def run_started(self, tasks: Sequence[Task]) -> None:
        self.events.append(("run_started", len(tasks)))

    def task_started(self, task: Task, start: Start) -> None:
        self.events.append(("task_started", task.name))

    def task_output(self, task: Task, stream: int, data: bytes) -> None:
        self.events.append(("task_output", task.name, stream, data))
        key = (task.name, stream)
        self.output[key] = self.output.get(key, b"") + data

    def task_ended(self, task: Task, outcome: Outcome) -> None:
        self.events.append(("task_ended", task.name, outcome.status.label, outcome.reason))

    def run_ended(self, report: Report) -> None:
        self.events.append(("run_ended", report.exit_code))

    def out(self, name: str) -> str:
        return self.output.get((name, 1), b"").decode()

    def err(self, name: str) -> str:
        return self.output.get((name, 2), b"").decode()

    def place(self, hook: str, name: str) -> int:
        """The position of an event."""
        return next(i for i, event in enumerate(self.events) if event[:2] == (hook, name))


def environment(**more: str) -> dict[str, str]:
    """The environment for a fastrun process of ours, found where this one is found."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    # What the outcome would depend on.
    plain = {name: value for name, value in os.environ.items() if name not in ("CI", "FORCE_COLOR", "NO_COLOR")}
    return {**plain, "PYTHONPATH": path, **more}


def unmeasured() -> dict[str, str]:
    """The environment for one that is not to have its coverage measured.

    It could not write it. Or it would have to beside a snippet that never lets go of the interpreter's lock by itself:
    that takes the lock for 5 ms at each row of the thousands that are written, half a minute in all.
    """
    return {name: value for name, value in environment().items() if not name.startswith("COVERAGE_PROCESS")}


def file_limit(size: int) -> Callable[[], None]:
    """For a process that is about to be started: no file of its is to get larger."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def write_json(folder: Path, content: Any) -> Path:
    path = folder / "tasks.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def fastrun(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """The real command line, to its end."""
    options.setdefault("env", environment())
    command = [sys.executable, "-m", "fastrun", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=LIMIT, check=False, **options)


@contextmanager
def fastrun_process(*arguments: str | Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The real command line, running; its standard output can be read. Killed if it does not end.

    ``prefix``: what stands before it.
    """
    options.setdefault("env", environment())
    command = [*options.pop("prefix", ()), sys.executable, "-m", "fastrun", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        timer = threading.Timer(LIMIT, process.kill)
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            timer.join()
            process.kill()


def report_of(stdout: bytes) -> dict[str, tuple[str, str]]:
    """Status and reason by name, read from the printed report."""
    lines = stdout.decode().splitlines()
    found = {}
    for line in lines[lines.index("Report:") + 1 : -1]:
        status = line.split(" ", 1)[0]
        name, _, reason = line[max(9, len(status) + 1) :].partition("  ")
        found[name] = (status, reason)
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait for something that is about to happen."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.001)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not, unless only its first thread has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
            return fields[0] not in (b"Z", b"X") or int(fields[17]) > 1
    except (FileNotFoundError, ProcessLookupError):
        # The latter when it is reaped while it is looked at.
        return False
