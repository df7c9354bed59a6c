"""Reads the values of options from text: numbers, sizes, a seed."""

import argparse
import os
from collections.abc import Callable
from typing import TypeVar

from fastrun.settings import what_is_wrong

_N = TypeVar("_N", int, float)


def limit(name: str, read: Callable[[str], _N]) -> Callable[[str], _N]:
    """Return what reads a number and checks it as the setting of that name."""

    def checked(text: str) -> _N:
        value = read(text)
        if wrong := what_is_wrong(name, value):
            raise argparse.ArgumentTypeError(wrong)
        return value

    return checked


def whole(text: str) -> int:
    """Read a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def number(text: str) -> float:
    """Read a number, of seconds or of a load."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def size(text: str) -> int:
    """Read a number of bytes: ``1000000``, ``500M``, ``2G``."""
    digits = text.rstrip("KMGTkmgt")
    unit = text[len(digits) :].upper()
    if not digits.isdecimal() or len(unit) > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size (500M, 2G)")
    return whole(digits) << (10 * " KMGT".index(unit) if unit else 0)


def seed(text: str) -> int:
    """Read a seed, 0 or more, or make one at random for an empty text."""
    if not text:
        return int.from_bytes(os.urandom(3))
    if (value := whole(text)) < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {value}")
    return value
