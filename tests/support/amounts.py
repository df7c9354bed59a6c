"""How often tests repeat what is random: a few times, or many in the long form (``--stress``)."""

from __future__ import annotations

COUNTS: dict[str, int] = {}
_stress = False


def begin_stress() -> None:
    """Choose the long form, before pytest imports the test modules."""
    global _stress  # pytest tells it once
    _stress = True


def many(what: str, normal: int, stress: int) -> int:
    """Return how often to do something, and count it in the summary of the long form."""
    COUNTS[what] = stress if _stress else normal
    return COUNTS[what]
