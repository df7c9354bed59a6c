"""Versions of files, and their numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastrun.uptodate.facts import Versions

_versions = st.tuples(st.sampled_from("abc"), st.sampled_from("xy"))


def test_each_version_has_one_number():
    versions = Versions()
    assert versions.numbers_of([("a", "1"), ("b", "1"), ("a", "1"), ("a", "2")]) == [0, 1, 0, 2]
    assert versions.numbers_of([("a", "2"), ("c", "1")]) == [2, 3]
    assert versions.of([3, 0]) == [("c", "1"), ("a", "1")]


@given(st.lists(_versions), st.lists(st.lists(_versions)))
def test_numbers_of_versions_that_were_read_go_on_from_there(read, asked):
    versions = Versions()
    versions.list += read
    for some in asked:
        numbers = versions.numbers_of(some)
        assert versions.of(numbers) == some
    assert versions.list[: len(read)] == read
    new = versions.list[len(read) :]
    assert len(set(new)) == len(new)
    assert not set(new) & set(read)
