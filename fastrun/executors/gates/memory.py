"""What commands are expected to take of the memory, and which of them may start beside each other.

All sizes are bytes. Knows tasks by their numbers. Readings and times are arguments: no loop, no clock, no /proc.
"""

import re
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping

from fastrun.document.task import Task

# Bytes that a command is taken to need of which nothing is known.
ASSUMED = 256 << 20

# Part of the difference by which an estimate falls with each command that took less: small commands have to be many
# before a large one is forgotten. 24 of them bring 256 MiB down to 100 MiB.
_FALL = 1 / 16

# Part of a measured size that is added to it, for what the kernel needs beside and what differs between two runs.
_MARGIN = 1 / 16

# Times the size at which a command was killed that its next attempt is expected to need.
_AFTER_KILL = 1.5

# Part of the available memory that is left alone.
_SPARED = 1 / 32

# Seconds in which the expectation halves of a running command of which nothing is known.
_HALVES = 2.0

# Looks of which the most counts as what there was.
_STEADY = 8

# Most commands that wait, so that smaller ones behind them are found.
MOST_WAITING = 32

# Most kinds of commands of which sizes are kept.
_MOST_KINDS = 4096

# Characters of a command in which its first words are looked for.
_BEGINNING = 256

_ASSIGNMENT = re.compile(r"\w+=")


def fallen(size: int, seen: int, count: int = 1) -> int:
    """Return an estimate after ``count`` commands took ``seen``: it rises at once, and falls slowly."""
    return max(seen, seen + int((size - seen) * (1 - _FALL) ** count))


class _Kind:
    """What commands of one kind take. ``size``: of those that were seen. ``prior``: assumed before any was.

    The first that ends may be a small one: ``count`` of them have the estimate fall by so much of the way to ``size``.
    """

    __slots__ = ("count", "prior", "size")

    def __init__(self, prior: int) -> None:
        self.prior = prior
        self.size = self.count = 0

    @property
    def estimate(self) -> int:
        return self.size + max(0, self.prior - self.size) // (self.count + 1)


class Sizes:
    """What the commands of a run take. ``known``: by number, what is said or recorded. ``assumed``: of the others."""

    def __init__(self, known: dict[int, int]) -> None:
        """``known``: changed where a command proves larger."""
        self.known = known
        self.assumed = ASSUMED
        self._kinds: dict[str, _Kind] = {}

    def of(self, number: int, task: Task) -> tuple[int, bool]:
        """Return what a command is expected to take, and whether that is more than a guess."""
        known = self.known.get(number)
        if known is not None:
            return known, True
        for kind in kinds_of(task):
            if (found := self._kinds.get(kind)) is not None:
                return found.estimate, True
        return self.assumed, False

    def takes(self, task: Task, size: int) -> None:
        """Note what a running command has taken so far."""
        size = with_margin(size)
        for kind in self._kinds_of(task):
            kind.size = max(kind.size, size)
        self.assumed = max(self.assumed, size)

    def took(self, task: Task, size: int) -> None:
        """Note what a command has taken that has ended."""
        size = with_margin(size)
        for kind in self._kinds_of(task):
            kind.count += 1
            kind.size = fallen(kind.size, size)
        self.assumed = fallen(self.assumed, size)

    def were_small(self, count: int, most: int) -> None:
        """Note that so many commands have ended of which it is known only that they took no more than ``most``."""
        self.assumed = fallen(self.assumed, min(most, self.assumed), count)

    def was_killed(self, number: int, task: Task, size: int) -> None:
        """Note that a command was killed for want of memory when it had taken ``size``."""
        self.known[number] = max(self.of(number, task)[0], int(size * _AFTER_KILL))

    def _kinds_of(self, task: Task) -> Iterator[_Kind]:
        prior = self.assumed
        for name in kinds_of(task):
            kind = self._kinds.get(name)
            if kind is None:
                if len(self._kinds) >= _MOST_KINDS:
                    return
                kind = self._kinds[name] = _Kind(prior)
            yield kind


def with_margin(size: int) -> int:
    """Return the size that is expected where one was measured."""
    return size + int(size * _MARGIN)


def kinds_of(task: Task) -> tuple[str, ...]:
    """Return what a command has in common with others that differ in arguments only, the narrowest first.

    That is its program with the first word behind it, which may be a script or a subcommand, and its program.
    """
    if task.type == "eval":
        return (f"eval {task.script}", "eval") if task.script is not None else ("eval",)
    words = task.source[:_BEGINNING].split() if isinstance(task.arguments, str) else list(task.arguments[:2])
    while len(words) > 1 and isinstance(task.arguments, str) and _ASSIGNMENT.match(words[0]):
        del words[0]
    return (f"{words[0]} {words[1]}", words[0]) if len(words) > 1 else tuple(words)


class _Share:
    """What one running command counts with. ``sure``: whether that is what is known of it, and not only assumed.

    ``order``: of the starts, 0 for a command that ran before anything was counted. ``taken``: at the last look;
    ``most``: at all looks.
    """

    __slots__ = ("expected", "most", "order", "sure", "taken")

    def __init__(self, expected: int, order: int, *, sure: bool) -> None:
        self.expected = expected
        self.order = order
        self.sure = sure
        self.taken = self.most = 0

    @property
    def size(self) -> int:
        return max(self.expected, self.taken)


class Ledger:
    """What running commands take or are expected to take, of what there is for them: ``room``.

    ``steady``: the same at the last looks at which what is available did not change meanwhile: by a command that takes
    memory between the two readings. What a process has that is being killed is not seen any more, and not free yet: the
    most of these is what there was.

    A command that does not fit waits. The first that waits has a reservation: others may start before it, but take
    nothing of what it will need once the commands have ended that ran when it began to wait.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self.steady: deque[int] = deque([room], _STEADY)
        self._shares: dict[int, _Share] = {}
        self._starts = 0
        # The need of the first command that waits, 0 for none, and how many commands had started when it began to.
        self._reserved = self._since = 0
        # The sizes of all shares, and of those that have started since. Thousands may run: no start adds them up.
        self._used = self._passed = 0

    def take(self, number: int, need: int, *, busy: bool, sure: bool, first: bool = False) -> bool:
        """Return whether a command may start beside what runs; it then counts with its need, until ``forget``.

        ``busy``: whether anything runs. ``sure``: see ``_Share``. ``first``: it is the one with the reservation.
        """
        if busy:
            if need > self.room - self._used:
                return False
            if self._reserved and not first and self._passed + need + self._reserved > self.room:
                return False
        self._starts += 1
        self.forget(number)
        self._count(number, _Share(need, self._starts, sure=sure))
        return True

    def reserve(self, need: int, *, passed: int | None = None) -> None:
        """Note what the first command that waits needs, 0 for none.

        ``passed``: the number of the last that has started, if that has passed it.
        """
        self._reserved = need
        self._since, self._passed = self._starts, 0
        if passed is not None:
            self._since, self._passed = self._starts - 1, self._shares[passed].size

    def forget(self, number: int) -> None:
        """Forget a command that does not run any more."""
        share = self._shares.pop(number, None)
        if share is not None:
            self._used -= share.size
            if share.order > self._since:
                self._passed -= share.size

    def keep(self, running: Collection[int]) -> None:
        """Forget all commands but these."""
        for number in self._shares.keys() - running:
            self.forget(number)

    def adopt(self, number: int, expected: int, *, sure: bool) -> None:
        """Count a command that runs already, with no less than before."""
        share = self._shares.get(number)
        if share is None:
            self._count(number, _Share(expected, 0, sure=sure))
        elif sure:
            before = share.size
            share.expected, share.sure = max(share.expected, expected), True
            self._used += share.size - before
            if share.order > self._since:
                self._passed += share.size - before

    def look(
        self, available: int, taken: Mapping[int, int], total: int, seconds: float, before: int | None = None
    ) -> None:
        """Note what is available, beside what the commands have taken, and ``total``, the most that they may have.

        ``taken``: by number. ``seconds``: since the last look. ``before``: what was available before ``taken`` was
        read; None if that was not read.
        """
        spared = int(available * _SPARED)
        self.room = min(available - spared + sum(taken.values()), total)
        for number, share in self._shares.items():
            share.taken = taken.get(number, 0)
            share.most = max(share.most, share.taken)
            if not share.sure:
                share.expected = int(share.expected * 0.5 ** (seconds / _HALVES))
        if before is not None and abs(available - before) <= spared:
            self.steady.append(self.room)
        self._used = sum(share.size for share in self._shares.values())
        self._passed = sum(share.size for share in self._shares.values() if share.order > self._since)

    def _count(self, number: int, share: _Share) -> None:
        self._shares[number] = share
        self._used += share.size
        if share.order > self._since:
            self._passed += share.size

    def most_of(self, number: int) -> int:
        """Return the most that a command was seen to take, 0 if it was not seen."""
        share = self._shares.get(number)
        return 0 if share is None else share.most


class Waiting:
    """Commands that wait for memory, by number, in the order in which they came. The first has the reservation."""

    def __init__(self, ledger: Ledger, need: Callable[[int], tuple[int, bool]]) -> None:
        """``need``: returns what a command is expected to take, see ``Sizes.of``."""
        self._ledger = ledger
        self._need = need
        self.numbers: list[int] = []

    def holds(self, number: int, *, busy: bool) -> bool:
        """Return whether a command has to wait. It then stands last until ``next`` returns it.

        ``busy``: whether anything runs.
        """
        if self._take(number, busy=busy):
            return False
        self.numbers.append(number)
        if len(self.numbers) == 1:
            self._reserve()
        return True

    def next(self, *, busy: bool) -> int | None:
        """Return a command that need not wait any more, and that counts as running; None if all have to."""
        for position, number in enumerate(self.numbers):
            if self._take(number, busy=busy, first=not position):
                del self.numbers[position]
                if not position:
                    self._reserve(passed=number)
                return number
        return None

    def clear(self) -> None:
        """Let no command wait."""
        self.numbers.clear()
        self._reserve()

    def _take(self, number: int, *, busy: bool, first: bool = False) -> bool:
        need, sure = self._need(number)
        return self._ledger.take(number, need, busy=busy, sure=sure, first=first)

    def _reserve(self, *, passed: int | None = None) -> None:
        self._ledger.reserve(self._need(self.numbers[0])[0] if self.numbers else 0, passed=passed)


def slots_for(room: int, size: int) -> int:
    """Return how many commands of a size have room, at least 1."""
    return max(1, room // max(1, size))


def fits_in_any_case(known: Collection[int], unknown: int, jobs: int, room: int) -> bool:
    """Return whether the commands of a run fit beside each other, whichever they are.

    ``known``: the sizes of some. ``unknown``: how many others there are. ``jobs``: how many run at once at the most.
    """
    largest = max([*known, ASSUMED] if unknown else known, default=0)
    return min(jobs * largest, sum(known) + unknown * ASSUMED) <= room


NO_BOUND = sys.maxsize
