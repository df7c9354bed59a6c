"""Sizes of memory as texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun.sizes import size_of, size_shown


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("500M", 500 << 20), ("2G", 2 << 30), ("3k", 3 << 10), ("1T", 1 << 40), ("007", 7)]
)
def test_a_size_is_a_number_with_or_without_a_unit(text, size):
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "M", "2GG", "-1", "1.5G", "2 G", "2G\n", "two", "\u0661"])
def test_other_texts_are_no_sizes(text):
    with pytest.raises(ValueError, match="is not a size"):
        size_of(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (10 << 10, "10 KiB"),
        (1536 << 20, "1.5 GiB"),
        (150 << 20, "150 MiB"),
        (5000 << 40, "5000 TiB"),
    ],
)
def test_a_size_is_shown_in_the_unit_that_fits(size, text):
    assert size_shown(size) == text


@given(st.integers(0, 1 << 60))
def test_what_is_shown_is_near_the_size(size):
    number, unit = size_shown(size).split()
    shown = float(number) * (1 << 10 * " KMGT".index(unit[0].replace("B", " ")))
    assert abs(shown - size) <= 0.05 * size
