"""Chooses how processes and their output are watched; both ways are the same to their user.

Watchers know descriptors and exit statuses; not what a command is for, nor what follows from its end. While an observer
is behind with the output they read no pipe and look at no exit either: what starts next would print as well.
"""

from typing import TYPE_CHECKING, TypeAlias

from fastrun.executors.commands.epoll import EpollWatch
from fastrun.executors.commands.process import Owner
from fastrun.protocols import Events

if TYPE_CHECKING:
    from fastrun.executors.commands.portable import LoopWatch

Watch: TypeAlias = "EpollWatch | LoopWatch"


def open_watch(events: Events, owner: Owner, *, measured: bool, portable: bool) -> "Watch":
    """Begin to watch, inside the running loop.

    ``measured``: set the ``usage`` of processes. ``portable``: use neither epoll nor pidfds.
    """
    if portable:
        from fastrun.executors.commands.portable import LoopWatch  # Linux never needs it

        return LoopWatch(events, owner, measured=measured)
    return EpollWatch(events, owner, measured=measured)
