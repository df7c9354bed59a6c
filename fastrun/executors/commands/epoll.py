"""One epoll for all processes: it holds their pipes and pidfds and is itself a single reader of the loop."""

import asyncio
import os
import select
from contextlib import suppress

from fastrun.executors.commands.child import Child, Parent, collect_exit
from fastrun.executors.commands.poll import PollWatch
from fastrun.executors.commands.process import PAUSE
from fastrun.protocols import Events

# The output of a process is watched from its second tick on, in seconds. Trivial commands have exited by then, and
# what they printed is read at their exit, without a wake-up for the end of each pipe.
_TICK = 0.002

# In the place of a stream: the process itself.
_EXIT = 0


class EpollWatch:
    """Watches processes by an epoll: on Linux 5.4 and later, unless a sandbox forbids pidfds."""

    def __init__(self, events: Events, parent: Parent) -> None:
        """Begin, inside the running loop."""
        self._events = events
        self._parent = parent
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._watched: dict[int, tuple[Child, int]] = {}
        # Processes of which only the exit is watched so far: started before the last tick, and since.
        self._waiting: list[Child] = []
        self._new: list[Child] = []
        self._ticking = False
        self._pausing = False
        self._closed = False
        # Whether the epoll has failed: nothing more comes from it.
        self._broken = False
        # Looks at the processes that the kernel has no room to watch.
        self._polls: PollWatch | None = None
        # Set once all is to end: exits are then told even while an observer does not take the output.
        self.interrupted = False
        self._loop.add_reader(self._epoll.fileno(), self._handle_ready)

    def add(self, child: Child) -> None:
        """Watch a process that was just started."""
        if self._broken:
            self._poll(child)
            return
        try:
            # Two descriptors were closed just now: there is room for this one, as a rule.
            child.pidfd = os.pidfd_open(child.pid)
            self._epoll.register(child.pidfd, select.EPOLLIN)
        except OSError:
            self._poll(child)
            return
        self._watched[child.pidfd] = (child, _EXIT)
        self._new.append(child)
        self._tick_later()

    def close_pipe(self, child: Child, stream: int) -> None:
        """Close a pipe."""
        descriptor = child.pipes.pop(stream)
        self._forget(descriptor)
        with suppress(OSError):
            os.close(descriptor)

    def reap(self, child: Child, *, keep: bool) -> None:
        """Set the exit code of a process that has exited. ``keep``: keep its number for it."""
        if child.pidfd < 0:
            collect_exit(child, os.P_PID, child.pid, keep=keep)
            return
        collect_exit(child, os.P_PIDFD, child.pidfd, keep=keep)
        self._close_pidfd(child)

    def look(self) -> None:
        """Handle what is ready now, of all processes: exits, and one read of each pipe."""
        if self._closed:
            return
        # Two ticks, so that the output of processes that were just started is watched as well.
        self._watch_output()
        self._watch_output()
        self._handle_ready()
        if self._polls is not None:
            self._polls.interrupted = self.interrupted
            self._polls.look()

    def close(self) -> None:
        """End watching."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._closed = True
        if self._polls is not None:
            self._polls.close()

    def _tick(self) -> None:
        self._ticking = False
        if not self._closed:
            self._watch_output()
            self._tick_later()

    def _tick_later(self) -> None:
        if not self._ticking and (self._new or self._waiting):
            self._ticking = True
            self._loop.call_later(_TICK, self._tick)

    def _watch_output(self) -> None:
        """End a tick: watch the output of the processes that have lived through a whole one."""
        old, self._waiting, self._new = self._waiting, self._new, []
        for child in old:
            try:
                for stream, descriptor in child.pipes.items():
                    self._epoll.register(descriptor, select.EPOLLIN)
                    self._watched[descriptor] = (child, stream)
            except OSError:
                self._poll(child)

    def _poll(self, child: Child) -> None:
        """Look now and then at a process that the kernel has no room to watch."""
        for descriptor in child.pipes.values():
            self._forget(descriptor)
        self._close_pidfd(child)
        if self._polls is None:
            self._polls = PollWatch(self._events, self._parent)
        self._polls.interrupted = self.interrupted
        self._polls.add(child)

    def _handle_ready(self) -> None:
        self._handle()
        if self._events.congested and not self._pausing:
            self._pausing = True
            self._loop.remove_reader(self._epoll.fileno())
            self._loop.call_later(PAUSE, self._resume)

    def _handle(self, *, exits_only: bool = False) -> None:
        parent, watched = self._parent, self._watched
        try:
            ready = self._epoll.poll(0, 256)
        except (OSError, ValueError) as error:
            self._give_up(error)
            return
        for descriptor, state in ready:
            found = watched.get(descriptor)
            if found is None:
                # An exit earlier in this batch has closed it. Nothing is started before the batch is done, so no
                # new descriptor has the same number.
                continue
            child, what = found
            if what == _EXIT:
                parent.exited(child)
            elif state == select.EPOLLHUP:
                parent.hung_up(child, what)
            elif not exits_only:
                parent.readable(child, what)
        parent.turn_ended()

    def _give_up(self, error: Exception) -> None:
        """Go on without the epoll, which a snippet may have closed."""
        if not self._broken:
            self._broken = True
            # The loop would tell of events again and again, as nothing takes them.
            self._loop.remove_reader(self._epoll.fileno())
            self._parent.broken(error)
            watched = {child for child, _ in self._watched.values()}
            self._new, self._waiting = [], []
            for child in watched:
                self._poll(child)

    def _resume(self) -> None:
        """Read on once the observers have caught up. Until then handle exits only, and only when all is to end."""
        if self._closed:
            return
        if self._events.congested:
            if self.interrupted:
                self._handle(exits_only=True)
            self._loop.call_later(PAUSE, self._resume)
            return
        self._pausing = False
        if not self._broken:
            self._loop.add_reader(self._epoll.fileno(), self._handle_ready)

    def _forget(self, descriptor: int) -> None:
        # Closing alone would not do while a snippet's fork holds a copy: its events would come for ever.
        if self._watched.pop(descriptor, None) is not None and not self._broken:
            with suppress(OSError):
                # A snippet may have closed it.
                self._epoll.unregister(descriptor)

    def _close_pidfd(self, child: Child) -> None:
        if child.pidfd >= 0:
            self._forget(child.pidfd)
            with suppress(OSError):
                os.close(child.pidfd)
            child.pidfd = -1


def has_pidfd() -> bool:
    """Return whether pidfds can be had."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True
