"""Clusters to run on: workers in this process, and workers in processes of their own that can be killed."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

import fastrun as library
from tests.support.documents import document, exec_, write_json
from tests.support.fakes import Recorder
from tests.support.processes import LIMIT, environment, fastrun_process, report_of, wait_for

pytest.importorskip("distributed", reason="Dask is not installed: pip install '.[cluster]'")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.support.network import Network


class Placed(Recorder):
    """Also keeps on which worker each attempt ran."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: dict[str, list[str | None]] = {}

    def task_started(self, number: int, task: Any, start: Any) -> None:
        super().task_started(number, task, start)
        self.workers.setdefault(task.name, []).append(start.worker)


def run_inside(
    document: Any, *, workers: int = 2, most: int = 0, more: Sequence[library.Observer] = (), **options: Any
) -> tuple[library.Report, Placed]:
    """Run a document on workers in this process. ``most``: where Dask adds workers as they are needed, up to so many.

    ``more``: observers; with some the output is not kept.
    """
    from distributed import LocalCluster

    async def main() -> tuple[library.Report, Placed]:
        recorder = Placed()
        async with LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=False,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            memory_limit=0,
            asynchronous=True,
        ) as cluster:
            if most:
                cluster.adapt(minimum=0, maximum=most, interval="20ms")
            address = cluster.scheduler_address
            report = await library.run_async(document, cluster=address, observers=more or [recorder], **options)
        return report, recorder

    return uvloop.run(main())


class Processes:
    """A scheduler and workers, each a process. ``address``: the scheduler's."""

    def __init__(self, folder: Path, network: Network | None = None, **more: str) -> None:
        """``network``: with a machine for each worker, by its name. ``more``: variables."""
        self.folder = folder
        self._network = network
        self._more = more
        self.file = folder / "scheduler.json"
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        options = ("--scheduler-file", str(self.file), "--port", "0", "--dashboard-address", "127.0.0.1:0")
        self.scheduler = self._start("dask_scheduler", "hub", *options)
        wait_for(lambda: self.file.exists() and self.file.read_bytes().endswith(b"}"))
        self.address = json.loads(self.file.read_bytes())["address"]

    def _start(self, command: str, machine: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        prefix, host = self.on(machine), "127.0.0.1"
        if self._network is not None:
            host = self._network.addresses[machine]
        log = (self.folder / "log").open("ab")
        with log:
            return subprocess.Popen(
                [*prefix, sys.executable, "-m", f"distributed.cli.{command}", "--host", host, *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(**self._more, **more),
                start_new_session=True,
            )

    def on(self, machine: str) -> list[str]:
        """What stands before a command that runs there."""
        return [] if self._network is None else self._network.on(machine)

    @property
    def here(self) -> dict[str, Any]:
        """How a fastrun is started beside the scheduler."""
        return {"prefix": self.on("hub"), "env": environment(**self._more)}

    def start_worker(self, name: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        """``more``: variables."""
        worker = self._start(
            "dask_worker",
            name,
            *("--scheduler-file", str(self.file), "--name", name, "--nthreads", "1", "--no-nanny", "--no-dashboard"),
            *("--memory-limit", "0", *arguments),
            **more,
        )
        self.workers[name] = worker
        return worker

    def wait_for_workers(self, count: int) -> None:
        """Until so many have come to the scheduler."""
        code = (
            "import sys, distributed\n"
            "with distributed.Client(sys.argv[1], set_as_default=False) as client:\n"
            f"    client.wait_for_workers({count}, timeout={LIMIT})"
        )
        subprocess.run(
            [*self.on("hub"), sys.executable, "-c", code, self.address],
            check=True,
            timeout=2 * LIMIT,
            env=environment(),
        )

    def close(self) -> None:
        for process in [*self.workers.values(), self.scheduler]:
            process.kill()
            process.wait()


@contextmanager
def processes(folder: Path, *workers: str, network: Network | None = None, **more: str) -> Iterator[Processes]:
    """``network``: with a machine for each of them. ``more``: variables."""
    cluster = Processes(folder, network, **more)
    try:
        for worker in workers:
            cluster.start_worker(worker)
        if workers:
            cluster.wait_for_workers(len(workers))
        yield cluster
    finally:
        cluster.close()


def run_a_thousand(cluster: Processes, folder: Path, happen: Callable[[], object], *options: str) -> None:
    """Run 1,000 tasks, have something happen in the middle, and see that each ran once, or again and that was said."""
    names = [f"t{number}" for number in range(1000)]
    # Most wait for one before them, so that what is lost would hold up more.
    needs = [names[max(number - 100, 0) : max(number - 99, 0)] for number in range(1000)]
    tasks = [exec_(name, f"echo {name} was here", *needed) for name, needed in zip(names, needs, strict=True)]
    # What they print fits into the pipe and holds up none: without the last all might be over before it is noticed.
    happened = folder / "happened"
    tasks[-1]["arguments"] = f"until test -e {happened}; do sleep 0.01; done; {tasks[-1]['arguments']}"
    path = write_json(folder, document(*tasks))
    lines: list[str] = []
    errors = b""
    with fastrun_process("--cluster", cluster.address, *options, path, cwd=folder, **cluster.here) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            lines.append(line.decode())
            if len(lines) == 900:
                happen()
                errors = process.stderr.readline()
                happened.touch()
        errors += process.stderr.read()
        assert process.wait(LIMIT) == 0, errors
    report = report_of("".join(lines).encode())
    assert {name: status for name, (status, _) in report.items()} == dict.fromkeys(names, "ok")
    again = {name for name, (_, reason) in report.items() if reason}
    assert {report[name][1] for name in again} <= {"ran again because its worker one was lost"}
    assert b"warning: worker one was lost" in errors
    for name in names:
        assert lines.count(f"Started: {name}\n") == lines.count(f"Ended : {name}\n") == 1
        # What a lost worker had not told any more is told by the next one.
        assert 1 <= lines.count(f"{name} was here\n") <= 1 + (name in again)
