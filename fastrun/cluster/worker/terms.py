"""The terms of a run: what a client and its workers agree on."""

from typing import NamedTuple

# Name of the handler that fastrun adds to a worker.
OPERATION = "fastrun"


class Terms(NamedTuple):
    """What a client demands of all workers.

    ``run``: the run's id. ``topic``: where seats are announced. ``version``: the version of the client's fastrun.
    ``directory``: where commands run. ``timeout``: most seconds of a task that does not say so itself, None for no
    limit. ``fail_fast``: whether to return what has not started when a task fails. The other fields mean the same as
    for a run on one machine.
    """

    run: str
    topic: str
    version: str
    directory: str
    grace: float
    timeout: float | None
    guardian: bool
    measured: bool
    fail_fast: bool
