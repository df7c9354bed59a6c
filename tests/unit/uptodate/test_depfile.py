"""Depfiles: what GCC writes is read as it was meant."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun.uptodate.depfile import DepfileError, prerequisites

COMPILER = shutil.which("cc")

# Names that compilers cannot write so that any reader gets them back: an end in a backslash is a continued line.
names = st.text(
    st.sampled_from("ab/.:\\ \t#$%é*") | st.characters(codec="utf-8", exclude_categories=["Cc"]),
    min_size=1,
    max_size=8,
).filter(lambda name: not name.endswith("\\"))


def written(name: str) -> str:
    """Return a name as GCC writes it: ``munge`` in its mkdeps.cc."""
    name = name.replace("$", "$$")
    return re.sub(r"(\\*)([ \t])", r"\1\1\\\2", name).replace("#", "\\#")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.o: a.c b.h\n", ["a.c", "b.h"]),
        ("a.o: a.c \\\n b.h \\\n\tc.h\n", ["a.c", "b.h", "c.h"]),
        ("a.o: a.c b.h\nb.h:\n", ["a.c", "b.h"]),
        ("a.o: a.c \\\r\n b.h\r\n\r\nb.h:\r\n", ["a.c", "b.h"]),
        ("a.o : a.c\n", ["a.c"]),
        ("a.o a.d: a.c\n", ["a.c"]),
        ("c:/x/a.o: c:/x/a.c d:\\y\\b.h\n", ["c:/x/a.c", "d:\\y\\b.h"]),
        ("a.o: a.c\nb.o: b.c a.c\n", ["a.c", "b.c"]),
        ("a.o:\n", []),
        ("a.o:", []),
        ("", []),
        ("\n\n", []),
        ("# made by hand\na.o: a.c\n", ["a.c"]),
        (
            "a.o: a\\ b.h c\\#d.h e$$f.h g\\h.h i\\\\j.h k\\\\\\ l.h\n",
            ["a b.h", "c#d.h", "e$f.h", "g\\h.h", "i\\\\j.h", "k\\ l.h"],
        ),
        ("a.o: a\\\\ b\n", ["a\\", "b"]),
        ("a.o: x:\nx::\n", ["x:"]),
        ("o\\ x.o: a.c\n", ["a.c"]),
    ],
)
def test_rules_are_read_as_make_and_compilers_mean_them(text, found):
    assert prerequisites(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.c b.h\n", "1: no 'target: prerequisites'"),
        ("a.o: a.c\n\nno rule\n", "3: no 'target: prerequisites'"),
        ("a.o: a.c \\\n b.h\n: c.h\n", "3: no 'target: prerequisites'"),
        ("a.o:a.c\n", "1: no 'target: prerequisites'"),
        ("a.o: a.c\nb.o: \\\n c.h \\", "2: the rule has no end"),
        ("\x7fELF\0\0", "1: no 'target: prerequisites'"),
    ],
)
def test_what_is_no_rule_is_an_error_with_its_line(text, message):
    with pytest.raises(DepfileError) as caught:
        prerequisites(text)
    assert str(caught.value) == message


@given(st.lists(names, unique=True), st.sampled_from([" ", " \\\n ", " \\\r\n  ", "\t"]))
def test_any_names_come_back(found, separator):
    assert prerequisites(f"out/a.o:{separator}{separator.join(map(written, found))}\n") == found


@given(st.text("ab: \\\n\r\t#$"))
def test_any_text_is_read_or_is_an_error(text):
    try:
        found = prerequisites(text)
    except DepfileError:
        return
    assert len(set(found)) == len(found)
    assert "" not in found


@pytest.mark.skipif(COMPILER is None, reason="there is no compiler")
def test_what_a_compiler_writes_names_the_files_that_it_read(tmp_path):
    headers = [
        *("a b.h", "a#b.h", "a$b.h", "a$$b.h", "a\\b.h", "a\\\\b.h", "a\\ b.h", "a\\\\ b.h", "a\tb.h", "a:b.h", "x:"),
        *("a\\#b.h", "a%b.h", "end ", "é.h", "*a.h", "a\\$b.h"),
    ]
    for header in headers:
        (tmp_path / header).touch()
    source = "".join(f'#include "{header}"\n' for header in headers)
    (tmp_path / "m x.c").write_text(f"{source}int main;\n")
    for options in ([], ["-MP"]):
        command = ["cc", "-c", "m x.c", "-MMD", *options, "-MF", "m.d", "-o", "c:m x.o"]
        subprocess.run(command, cwd=tmp_path, check=True)
        assert prerequisites((tmp_path / "m.d").read_text()) == ["m x.c", *headers]
