"""Sizes of memory as people write and read them: ``500M``, ``2G``."""

import re

_UNITS = "KMGT"


def size_of(text: str) -> int:
    """Return the bytes that a text says: ``1000000``, ``500M``, ``2G``, with binary units. Raises ValueError."""
    found = re.fullmatch(rf"(\d+)([{_UNITS}]?)", text, re.ASCII | re.IGNORECASE)
    if found is None:
        raise ValueError(f"{text!r} is not a size (500M, 2G)")
    return int(found[1]) << 10 * f" {_UNITS}".index(found[2].upper() or " ")


def size_shown(size: int) -> str:
    """Return a size in the unit that leaves one to four digits before the point: ``512 B``, ``1.4 GiB``."""
    if size < 1 << 10:
        return f"{size} B"
    power = min((size.bit_length() - 1) // 10, len(_UNITS))
    value = size / (1 << 10 * power)
    return f"{value:.1f} {_UNITS[power - 1]}iB" if value < 10 else f"{value:.0f} {_UNITS[power - 1]}iB"
