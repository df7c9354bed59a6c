# What the methods promise is in ``engine.Engine``, for which this is made.

from signal import Signals

from fastrun.executors.commands.engine import Event
from fastrun.executors.commands.process import Process

class Engine:
    descriptor: int
    queued: int
    credit: int
    def __init__(
        self,
        environment: bytes,
        directory: int,
        null: int,
        umask: int,
        table: int,
        first_row: int,
        rows: int,
        workers: int,
        processors: int,
        credit: int,
        fail_fast: bool,
        /,
    ) -> None: ...
    # Of each command: the process, counts of arguments and of entries, flags, all texts.
    def submit(self, chain: list[tuple[Process, int, int, int, bytes]], milliseconds: int, /) -> None: ...
    def go_on(self, limit: int, failures: int, /) -> None: ...
    def take_back(self) -> None: ...
    def signal(self, process: Process | None, number: Signals, interrupts: bool, /) -> None: ...
    def suspend(self, resume: bool, /) -> None: ...
    def release(self, process: Process, /) -> bool: ...
    def look(self) -> None: ...
    def collect(self, may_read: bool, /) -> list[Event]: ...
    def close(self) -> None: ...
