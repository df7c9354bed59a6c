"""Which process groups live."""

from __future__ import annotations

import os

from fastrun.executors.guardian import groups


def test_a_system_without_proc_tells_nothing_of_groups(monkeypatch):
    def missing(_: str) -> list[str]:
        raise FileNotFoundError

    assert os.getpgrp() in (groups.live_groups() or set())
    monkeypatch.setattr(os, "listdir", missing)
    assert groups.live_groups() is None
