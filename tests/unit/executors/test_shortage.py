"""Slots that follow what the system grants."""

from __future__ import annotations

import asyncio
from typing import Any

from fastrun.executors import shortage
from tests.support.fakes import Told


def test_slots_go_down_to_what_runs_and_up_again_and_patience_ends(monkeypatch):
    async def steps() -> None:
        events: Any = Told()
        slots = shortage.Slots(4)
        assert not slots.refused(events, 2, "cause")
        assert slots.number == 2
        for expected in (3, 4, 4):
            slots.ended()
            assert slots.number == expected
        assert not slots.refused(events, 0, "cause")
        assert slots.number == 0
        while not slots.number:
            await asyncio.sleep(0)
        slots.started()
        monkeypatch.setattr(shortage, "PATIENCE", 0.0)
        assert slots.refused(events, 0, "cause")
        assert (events.warnings, events.changes) == (["cause: starting fewer tasks at once"], 1)

    monkeypatch.setattr(shortage, "_RETRY", 0.0)
    asyncio.run(steps())
