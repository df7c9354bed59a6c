"""What ``--cluster`` may name: an address, a scheduler's file, or workers on this machine, which are started here."""

import json
import logging
import os
import socket
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from fastrun.text import printable

# Seconds in which an address must answer.
_REACH = 2.0


class ClusterError(OSError):
    """A cluster that cannot be used, in one line. Nothing was started."""


def check(address: str) -> None:
    """Raise ClusterError for what can be seen to be wrong without talking to a scheduler."""
    # Not imported: that takes half a second, and a wrong address is said at once.
    if find_spec("distributed") is None:
        raise ClusterError("--cluster needs Dask: pip install '.[cluster]' in fastrun's checkout")
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
    """How many workers of this machine are wanted, None if it is about others."""
    kind, colon, number = address.partition(":")
    if kind != "local":
        return None
    if colon and not (number.isdecimal() and int(number)):
        raise ClusterError(f"{printable(address)}: local:N needs a number of workers, 1 or more")
    return int(number) if colon else os.cpu_count() or 1


def scheduler_address(given: str) -> str:
    """The address of a scheduler, which may stand in its file."""
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
    """Worker processes on this machine, with nothing that listens but on the loopback. Raises OSError."""
    import dask
    from distributed import LocalCluster

    # Commands are to see the environment as it is.
    with dask.config.set({"distributed.nanny.pre-spawn-environ": {}}):
        return await LocalCluster(
            n_workers=workers,
            threads_per_worker=max(1, (os.cpu_count() or 1) // workers),
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            # The metrics, at any port: two runs at the same time must not want the same one. Without an address workers
            # of older versions (2024.8) offer theirs to everybody.
            worker_dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            memory_limit=0,
            silence_logs=logging.CRITICAL + 1,
            # In a session of its own: Ctrl-C is for fastrun, which tells the workers.
            preload=["fastrun.cluster.worker.session"],
            asynchronous=True,
        )
