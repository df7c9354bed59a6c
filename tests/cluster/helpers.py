"""Clusters to run on: workers in this process, and workers in processes of their own that can be killed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

import fastrun as library
from tests.helpers import LIMIT, Recorder, environment, wait_for

pytest.importorskip("distributed", reason="Dask is not installed: pip install 'fastrun[cluster]'")

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Placed(Recorder):
    """Also keeps on which worker each attempt ran."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: dict[str, list[str | None]] = {}

    def task_started(self, task: Any, start: Any) -> None:
        super().task_started(task, start)
        self.workers.setdefault(task.name, []).append(start.worker)


def run_inside(
    document: Any, *, workers: int = 2, more: Sequence[library.Observer] = (), **options: Any
) -> tuple[library.Report, Placed]:
    """Run a document on workers in this process. ``more``: observers; with some the output is not kept."""
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
            address = cluster.scheduler_address
            report = await library.run_async(document, cluster=address, observers=more or [recorder], **options)
        return report, recorder

    return uvloop.run(main())


class Processes:
    """A scheduler and workers, each a process. ``address``: the scheduler's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        options = ("--scheduler-file", str(self.file), "--port", "0", "--dashboard-address", "127.0.0.1:0")
        self.scheduler = self._start("dask_scheduler", *options)
        wait_for(lambda: self.file.exists() and self.file.read_bytes().endswith(b"}"))
        self.address = json.loads(self.file.read_bytes())["address"]

    def _start(self, command: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        log = (self.folder / "log").open("ab")
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{command}", "--host", "127.0.0.1", *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(**more),
                start_new_session=True,
            )

    def start_worker(self, name: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        """``more``: variables."""
        worker = self._start(
            "dask_worker",
            *("--scheduler-file", str(self.file), "--name", name, "--nthreads", "1", "--no-nanny", "--no-dashboard"),
            *("--memory-limit", "0", *arguments),
            **more,
        )
        self.workers[name] = worker
        return worker

    def wait_for_workers(self, count: int) -> None:
        from distributed import Client

        async def main() -> None:
            async with Client(self.address, asynchronous=True, set_as_default=False) as client:
                await client.wait_for_workers(count, timeout=LIMIT)

        asyncio.run(main())

    def close(self) -> None:
        for process in [*self.workers.values(), self.scheduler]:
            process.kill()
            process.wait()


@contextmanager
def processes(folder: Path, *workers: str) -> Iterator[Processes]:
    cluster = Processes(folder)
    try:
        for worker in workers:
            cluster.start_worker(worker)
        if workers:
            cluster.wait_for_workers(len(workers))
        yield cluster
    finally:
        cluster.close()
