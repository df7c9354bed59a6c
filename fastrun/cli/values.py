"""The values of options, read from text: numbers, seconds, sizes."""

import argparse
import os


def positive(text: str) -> int:
    """A whole number of 1 or more."""
    return _whole(text, 1)


def count(text: str) -> int:
    """A whole number of 0 or more."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if number < least:
        raise argparse.ArgumentTypeError(f"{text}: must be {least} or more")
    return number


def seconds(text: str) -> float:
    """A number of seconds, 0 or more."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    # Written so that "nan" is refused as well.
    if not 0 <= number <= 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number


def more_seconds(text: str) -> float:
    """A number of seconds above 0."""
    number = seconds(text)
    if not number:
        raise argparse.ArgumentTypeError(f"{text}: must be more than 0")
    return number


def positive_number(text: str) -> float:
    """A number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def size(text: str) -> int:
    """A number of bytes, 1 or more: ``1000000``, ``500M``, ``2G``."""
    digits = text.rstrip("KMGTkmgt")
    unit = text[len(digits) :].upper()
    if not digits.isdecimal() or len(unit) > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size (500M, 2G)")
    return positive(digits) << (10 * " KMGT".index(unit) if unit else 0)


def seed(text: str) -> int:
    """A seed, or one at random for an empty text."""
    return count(text) if text else int.from_bytes(os.urandom(3))
