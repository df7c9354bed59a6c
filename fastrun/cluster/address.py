"""The address of a cluster: what ``--cluster`` may name, which is a scheduler or workers to start on this machine."""

import json
import logging
import socket
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from fastrun.executors.limits import processors
from fastrun.text import printable

# Most seconds that an address may take to answer.
_REACH = 2.0


class ClusterError(OSError):
    """The cluster cannot be used. The message is one line, and nothing was started."""


def check(address: str) -> None:
    """Raise ClusterError for errors that can be found without talking to a scheduler."""
    # Dask is not imported, which takes half a second: a wrong address is reported at once.
    if find_spec("distributed") is None:
        raise ClusterError("--cluster needs Dask: pip install 'fastrun-dag[cluster]'")
    if local_workers(address) is None:
        found = urlsplit(scheduler_address(address))
        if found.scheme in ("tcp", "tls"):
            try:
                port = found.port
            except ValueError:
                port = None
            if not found.hostname or port is None:
                raise ClusterError(f"{printable(address)}: not HOST:PORT, nor a scheduler's file")
            try:
                socket.create_connection((found.hostname, port), _REACH).close()
            except OSError as error:
                why = error.strerror or str(error)
                raise ClusterError(f"{printable(address)}: cannot reach a scheduler: {why}") from None


def local_workers(address: str) -> int | None:
    """Return how many workers to start on this machine, None if the address names a scheduler."""
    kind, colon, number = address.partition(":")
    if kind != "local":
        return None
    if colon and not (number.isdecimal() and int(number)):
        raise ClusterError(f"{printable(address)}: local:N needs a number of workers, 1 or more")
    return int(number) if colon else processors()


def scheduler_address(given: str) -> str:
    """Return the address of a scheduler, read from the scheduler's file if ``given`` is one."""
    if "://" in given:
        return given
    try:
        with open(given, "rb") as file:
            return str(json.load(file)["address"])
    except FileNotFoundError:
        return f"tcp://{given}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a scheduler's file"
        raise ClusterError(f"{printable(given)}: {why}") from None


async def local_cluster(workers: int) -> Any:
    """Start workers on this machine, which listen on the loopback only. Return the cluster. Raises OSError."""
    import dask
    from distributed import LocalCluster

    # Without this Dask would set variables that commands inherit.
    with dask.config.set({"distributed.nanny.pre-spawn-environ": {}}):
        return await LocalCluster(
            n_workers=workers,
            threads_per_worker=max(1, processors() // workers),
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            # Any port for the metrics: two runs at the same time must not want the same port. Without an address,
            # workers of older versions (2024.8) would serve theirs on all interfaces.
            worker_dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            memory_limit=0,
            silence_logs=logging.CRITICAL + 1,
            # Workers have a session of their own. Ctrl-C reaches only fastrun, which then tells the workers.
            preload=["fastrun.cluster.worker.session"],
            asynchronous=True,
        )
