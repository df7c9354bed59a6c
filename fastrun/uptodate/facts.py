"""What is recorded of the files of a task whose last end was ok.

Knows numbers of versions. Does not know files, nor how facts are written.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

# A path and the digest of what was in it, see ``contents``.
Version = tuple[str, str]


class Facts(NamedTuple):
    """What a task read and made when it was last ok. Versions are given by their numbers in a ``Versions``.

    ``inputs``: of the declared inputs. ``found``: of the inputs that its depfile named. ``outputs``: of what it made.
    ``variables``: by name a digest of the value, None for a variable that was not set. ``changed``: an input that
    changed while the task ran, so that the task is not up to date; or an empty text.
    """

    inputs: Sequence[int]
    found: Sequence[int]
    outputs: Sequence[int]
    variables: Mapping[str, str | None]
    changed: str = ""


class Made(NamedTuple):
    """What a task that is ok has read and made: as ``Facts``, but with the versions themselves."""

    inputs: list[Version]
    found: list[Version]
    outputs: list[Version]
    variables: Mapping[str, str | None]
    changed: str


class Seen(NamedTuple):
    """How a file looked when it was read, and the digest of what was in it. Times are in nanoseconds since 1970."""

    size: int
    mtime: int
    ctime: int
    inode: int
    digest: str


class Versions:
    """All versions of files that tasks have read or made, numbered from 0. They only grow."""

    def __init__(self) -> None:
        self.list: list[Version] = []
        self._numbers: dict[Version, int] = {}

    def numbers_of(self, versions: Iterable[Version]) -> list[int]:
        """Return the numbers of versions. New versions get the next ones."""
        if len(self._numbers) < len(self.list):
            self._numbers = {version: number for number, version in enumerate(self.list)}
        found = []
        for version in versions:
            number = self._numbers.setdefault(version, len(self.list))
            if number == len(self.list):
                self.list.append(version)
            found.append(number)
        return found

    def of(self, numbers: Iterable[int]) -> list[Version]:
        """Return versions by their numbers."""
        return [self.list[number] for number in numbers]
