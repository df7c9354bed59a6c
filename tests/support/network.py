"""Machines for tests: network namespaces of their own, joined by cables, and not to this machine's network.

For root on Linux with ``ip``; elsewhere the tests that need them are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Self

import pytest


def _ip(*arguments: str) -> None:
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False, timeout=10)
    if result.returncode:
        raise OSError(result.stderr.strip())


class Network:
    """A hub, ``hub``, with a cable to each of the machines. Removed at the end, with all that it has."""

    def __init__(self, *machines: str) -> None:
        if shutil.which("ip") is None:
            pytest.skip("there is no ip command to make network namespaces with")
        self._machines = machines
        # Names of its own: several may test, and processes in containers have equal ids.
        own = os.urandom(4).hex()
        self._spaces = {name: f"fastrun-{own}-{name}" for name in ("hub", *machines)}
        self.addresses = {"hub": "10.0.0.1"}
        self._made: list[str] = []

    def __enter__(self) -> Self:
        try:
            for name, space in self._spaces.items():
                try:
                    _ip("netns", "add", space)
                except OSError as error:
                    pytest.skip(f"network namespaces cannot be made: {error}")
                self._made.append(space)
                _ip("-n", space, "link", "set", "lo", "up")
                if name == "hub":
                    # What all know the hub by.
                    _ip("-n", space, "address", "add", "10.0.0.1/32", "dev", "lo")
            for number, name in enumerate(self._machines, 1):
                self._connect(number, name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for space in self._made:
            _ip("netns", "delete", space)

    def _connect(self, number: int, name: str) -> None:
        hub, space = self._spaces["hub"], self._spaces[name]
        _ip("-n", hub, "link", "add", name, "type", "veth", "peer", "name", "hub", "netns", space)
        for where, device, last in ((hub, name, 1), (space, "hub", 2)):
            _ip("-n", where, "address", "add", f"10.0.{number}.{last}/24", "dev", device)
            _ip("-n", where, "link", "set", device, "up")
        _ip("-n", space, "route", "add", "default", "via", f"10.0.{number}.1")
        self.addresses[name] = f"10.0.{number}.2"

    def on(self, machine: str) -> list[str]:
        """What stands before a command that runs there."""
        return ["ip", "netns", "exec", self._spaces[machine]]

    def of_process(self, pid: int) -> str:
        """The machine on which a process runs."""
        mine = os.stat(f"/proc/{pid}/ns/net")
        return next(
            name for name, space in self._spaces.items() if os.path.samestat(mine, os.stat(f"/run/netns/{space}"))
        )

    def cut(self, machine: str) -> None:
        """Pull its cable out."""
        _ip("-n", self._spaces["hub"], "link", "set", machine, "down")
