"""Texts of any kind, made safe to show."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from fastrun.text import COLUMNS_SHOWN, all_printable, printable


def test_printable_text_is_no_command_to_a_ci_system():
    assert printable("a ##[error]b ##vso[c]d ###[e] ## f") == r"a #\x23[error]b #\x23vso[c]d ##\x23[e] ## f"
    assert "##" not in printable("##[x]" * 100)


@given(st.text(max_size=400))
def test_printable_text_is_one_harmless_line_of_bounded_width(text):
    shown = printable(text)
    assert shown.isprintable()
    columns = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in shown)
    assert columns <= COLUMNS_SHOWN


def test_printable_escapes_what_could_forge_a_line_and_keeps_the_rest():
    assert printable("a\nok       b\x1b[2J\u202e\u2028") == "a\\nok       b\\x1b[2J\\u202e\\u2028"
    assert printable("plain näme 漢字 🎉 a\\b") == "plain näme 漢字 🎉 a\\b"


def test_printable_cuts_at_200_columns():
    assert printable("x" * 200) == "x" * 200
    assert printable("x" * 201) == "x" * 199 + "…"
    assert printable("漢" * 101) == "漢" * 99 + "…"
    assert printable("\n" * 300) == "\\n" * 99 + "…"


@given(st.lists(st.text(max_size=110) | st.text("#ab漢\u202e", max_size=110)))
def test_texts_that_are_all_printable_are_shown_as_they_are(texts):
    if all_printable(texts):
        assert [printable(text) for text in texts] == texts


def test_many_short_names_are_all_printable_and_one_bad_name_among_them_is_found():
    names = [f"täsk {number}" for number in range(1_000)]
    assert all_printable(names)
    for bad in ("a\nb", "##[error]", "x" * 101):
        assert not all_printable([*names, bad])
