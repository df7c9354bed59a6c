"""The first difference between what a task read and made, and what is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastrun import Cause
from fastrun.uptodate.examiner import Wrong
from fastrun.uptodate.facts import Made
from tests.support.sites import Site, task_of


@pytest.fixture
def site(tmp_path) -> Site:
    return Site(tmp_path)


def built(site: Site, task, **files: str) -> Made:
    """Build a task that writes files, by name with underscores for dots."""
    made = site.build(task, lambda: [site.write(name.replace("_", "."), text) for name, text in files.items()])
    assert isinstance(made, Made), made
    return made


def test_a_task_that_was_never_ok_is_not_recorded(site):
    site.write("a.c")
    assert site.difference(task_of("a", "a.c", outputs=("a.o",))) == "not recorded"


def test_a_task_is_up_to_date_until_its_files_change(site):
    task = task_of("a", "a.c", "b.c", outputs=("a.o",))
    site.write("a.c", "1")
    site.write("b.c", "1")
    built(site, task, a_o="11")
    assert site.difference(task) == ""
    site.write("b.c", "2")
    assert site.difference(task) == "b.c changed"
    site.write("b.c", "1")
    assert site.difference(task) == ""
    (site.folder / "b.c").touch()
    assert site.difference(task) == ""
    (site.folder / "b.c").unlink()
    assert site.difference(task) == "b.c is gone"
    site.write("b.c", "1")
    site.write("a.o", "xx")
    assert site.difference(task) == "a.o changed"
    (site.folder / "a.o").unlink()
    assert site.difference(task) == "a.o is gone"


def test_an_input_that_is_missing_is_told(site):
    site.write("a.c")
    assert site.examiner.look(task_of("a", "a.c", "b.c", "*.none")).missing == "b.c"
    assert site.examiner.look(task_of("a", "a.c", "*.none")).missing == ""
    os.symlink("nowhere", site.folder / "link")
    assert site.examiner.look(task_of("a", "link")).missing == ""


def test_declarations_are_compared_too(site):
    for name in ("a.c", "b.c"):
        site.write(name)
    built(site, task_of("a", "a.c", outputs=("a.o",)), a_o="", b_o="")
    assert site.difference(task_of("a", "a.c", "b.c", outputs=("a.o",))) == "b.c is new"
    assert site.difference(task_of("a", outputs=("a.o",))) == "a.c is no longer an input"
    assert site.difference(task_of("a", "a.c", outputs=("a.o", "b.o"))) == "b.o is a new output"
    assert site.difference(task_of("a", "a.c", outputs=("a.o", "*.o"))) == ""
    assert site.difference(task_of("a", "a.c", outputs=("a.o", "*.d"))) == "*.d is a new output"
    assert site.difference(task_of("a", "./a.c", "*.c", "a.c", outputs=("a.o",))) == "b.c is new"


def test_files_that_fit_a_pattern_come_and_go(site):
    task = task_of("a", "src/**/*.c", outputs=("a.o",))
    site.write("src/a.c")
    built(site, task, a_o="")
    site.write("src/sub/b.c")
    assert site.difference(task) == "src/sub/b.c is new"
    built(site, task)
    assert site.difference(task) == ""
    (site.folder / "src/sub/b.c").rename(site.folder / "src/c.c")
    assert site.difference(task) == "src/sub/b.c is gone"
    (site.folder / "src/c.c").unlink()
    (site.folder / "src/a.c").unlink()
    assert site.difference(task) == "src/a.c is gone"


def test_a_folder_counts_with_all_that_is_in_it(site):
    task = task_of("a", "src", outputs=("out",))
    site.write("src/a.c")
    site.build(task, lambda: site.write("out/x/y"))
    assert site.difference(task) == ""
    site.write("src/.hidden")
    assert site.difference(task) == "src/.hidden is new"
    (site.folder / "src/.hidden").unlink()
    (site.folder / "src/empty").mkdir()
    assert site.difference(task) == "src/empty is new"
    (site.folder / "src/empty").rmdir()
    site.write("out/x/y", "other")
    assert site.difference(task) == "out/x/y changed"
    site.write("out/x/y")
    # What the user adds there is no difference.
    site.write("out/more")
    assert site.difference(task) == ""
    (site.folder / "out/x/y").unlink()
    (site.folder / "out/x/y").mkdir()
    assert site.difference(task) == "out/x/y changed"


def test_values_of_variables_count_wherever_they_come_from(site):
    task = task_of("a", env_inputs=["FLAGS", "OTHER"], outputs=("a.o",))
    site.environ = {"FLAGS": "-O2"}
    site.next_run()
    built(site, task, a_o="")
    assert site.difference(task) == ""
    site.environ = {"FLAGS": "-O3"}
    assert site.difference(task) == "FLAGS changed"
    site.environ = {}
    assert site.difference(task) == "FLAGS changed"
    assert site.difference(task._replace(env={"FLAGS": "-O2"})) == ""
    site.environ = {"FLAGS": "-O2", "OTHER": ""}
    assert site.difference(task) == "OTHER changed"
    site.environ = {"FLAGS": "-O2"}
    assert site.difference(task._replace(env_inputs=["FLAGS"])) == ""
    assert site.difference(task._replace(env_inputs=["OTHER"])) == "FLAGS changed"


def test_a_value_in_no_encoding_counts(site):
    task = task_of("a", env_inputs=["FLAGS"], outputs=("a.o",))
    site.environ = {"FLAGS": "\udcff"}
    site.next_run()
    built(site, task, a_o="")
    assert site.difference(task) == ""
    assert "\udcff" not in str(site.facts)


def test_what_cannot_be_read_is_never_what_it_was(site):
    task = task_of("a", "/proc/self/clear_refs", outputs=("a.o",))
    built(site, task, a_o="")
    assert site.difference(task) == "/proc/self/clear_refs cannot be read"


@pytest.mark.parametrize("path", ["fifo", "/dev/null", "folder"])
def test_what_is_no_file_may_be_an_input_and_an_output(site, path):
    os.mkfifo(site.folder / "fifo")
    (site.folder / "folder").mkdir()
    assert site.build(task_of("a", path, outputs=("x",)), lambda: site.write("x"))
    assert site.difference(task_of("a", path, outputs=("x",))) == ""
    assert isinstance(site.build(task_of("b", "x", outputs=(path,))), Made)
    assert site.difference(task_of("b", "x", outputs=(path,))) == ""


def test_what_a_task_makes_itself_is_no_input_of_it(site):
    """Not even where the folder around it is one."""
    task = task_of("a", ".", "out/x", "a.d", outputs=("out", "*.log"), depfile="a.d")
    site.write("a.c")
    work = [("out/x", "1"), ("a.d", "x: a.c out/x\n"), ("a.log", "1")]
    made = site.build(task, lambda: [site.write(*file) for file in work])
    assert isinstance(made, Made)
    assert [path for path, _ in made.inputs] == [".", "a.c"]
    assert made.found == []
    assert made.changed == ""
    assert site.difference(task) == ""
    assert site.is_up_to_date(task) or site.difference(task) == ""


def test_folders_of_what_a_task_makes_are_made_before_it_starts(site):
    task = task_of("a", outputs=("x/y/a.o", "/proc/nowhere/z", "p/*/q"), depfile="d/a.d", cwd="sub")
    site.examiner.make_folders(task)
    assert (site.folder / "sub/x/y").is_dir()
    assert (site.folder / "sub/d").is_dir()
    assert (site.folder / "sub/p").is_dir()
    assert not os.listdir(site.folder / "sub/p")


@pytest.mark.parametrize(
    ("outputs", "missing"),
    [(("a.o", "gone"), "gone"), (("*.o", "*.none"), "*.none"), (("./out/",), "out"), (("sub\n",), "sub\\n")],
)
def test_an_output_that_is_not_there_is_a_failure(site, outputs, missing):
    assert site.build(task_of(outputs=outputs), lambda: site.write("a.o")) == Wrong(Cause.NO_OUTPUT, missing)


def test_an_output_may_be_left_as_it_was_and_may_be_a_link_to_nowhere(site):
    site.write("a.o")
    os.symlink("nowhere", site.folder / "b.o")
    assert isinstance(site.build(task_of(outputs=("a.o", "b.o"))), Made)
    assert site.difference(task_of(outputs=("a.o", "b.o"))) == ""
    (site.folder / "b.o").unlink()
    os.symlink("elsewhere", site.folder / "b.o")
    assert site.difference(task_of(outputs=("a.o", "b.o"))) == "b.o changed"


# Depfiles


CC = task_of("cc", "a.c", outputs=("a.o",), depfile="a.d")


def compile_(site: Site, *headers: str) -> Path:
    site.write("a.o", "".join((site.folder / name).read_text() for name in headers))
    return site.write("a.d", f"a.o: a.c {' '.join(headers)}\n")


def test_what_a_depfile_names_counts_as_input_from_then_on(site):
    site.write("a.c")
    site.write("a.h", "1")
    site.settle()
    made = site.build(CC, lambda: compile_(site, "a.h"))
    assert isinstance(made, Made)
    assert [path for path, _ in made.found] == ["a.h"]
    (site.folder / "a.d").unlink()
    assert site.difference(CC) == ""
    site.write("a.h", "2")
    assert site.difference(CC) == "a.h changed"
    (site.folder / "a.h").unlink()
    assert site.difference(CC) == "a.h is gone"
    site.write("b.h")
    site.settle()
    site.build(CC, lambda: compile_(site, "b.h"))
    assert site.difference(CC) == ""


def test_names_in_a_depfile_are_relative_to_the_directory_of_the_task(site):
    task = task_of("cc", "a.c", outputs=("a.o",), depfile="a.d", cwd="sub")
    site.write("sub/a.c")
    site.write("inc/a.h")
    text = "a.o: a.c ../inc/a.h ./a.c /dev/null\n"
    made = site.build(task, lambda: (site.write("sub/a.o"), site.write("sub/a.d", text)))
    assert isinstance(made, Made)
    assert [path for path, _ in made.found] == ["inc/a.h", "/dev/null"]


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (None, "a.d: No such file or directory"),
        ("a.o: a.c\nno rule\n", "a.d:2: no 'target: prerequisites'"),
        ("a.o: a.c \\", "a.d:1: the rule has no end"),
    ],
)
def test_a_depfile_that_is_missing_or_broken_is_a_failure(site, text, detail):
    site.write("a.c")
    found = site.build(CC, lambda: (site.write("a.o"), text is not None and site.write("a.d", text)))
    assert found == Wrong(Cause.DEPFILE, detail)


@pytest.mark.parametrize("kind", ["fifo", "folder", "zero"])
def test_a_depfile_that_is_no_file_is_a_failure(site, kind):
    site.write("a.c")
    site.write("a.o")
    path = site.folder / "a.d"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        os.symlink("/dev/zero", path)
    assert site.build(CC) == Wrong(Cause.DEPFILE, "a.d: not a file")


def test_a_depfile_may_name_what_is_in_no_encoding_or_not_there(site):
    site.write("a.c")
    site.write("\udcff.h")
    site.settle()
    data = "a.o: a.c \udcff.h gone.h a\0b\n"
    made = site.build(CC, lambda: (site.write("a.o"), (site.folder / "a.d").write_bytes(os.fsencode(data))))
    assert isinstance(made, Made)
    assert [path for path, _ in made.found] == ["\udcff.h", "gone.h", "a\0b"]
    assert site.difference(CC) == ""
    site.write("gone.h")
    assert site.difference(CC) == "gone.h changed"


# Changes while a task runs


def test_an_input_that_changes_while_the_task_runs_makes_it_run_again(site):
    site.write("a.c", "1")
    site.write("a.h")
    site.settle()
    made = site.build(CC, lambda: (compile_(site, "a.h"), site.write("a.c", "2")))
    assert isinstance(made, Made)
    assert made.changed == "a.c"
    assert site.difference(CC) == "a.c changed while it ran"
    assert not site.is_up_to_date(CC)
    site.settle()
    site.build(CC, lambda: compile_(site, "a.h"))
    assert site.difference(CC) == ""


@pytest.mark.parametrize("inputs", [["src"], ["src/*.c"], ["src/a.c", "src/b.c"]])
def test_an_input_that_comes_or_goes_while_the_task_runs_is_a_change(site, inputs):
    task = task_of("a", *inputs, outputs=("x",))
    site.write("x")
    a, b = site.write("src/a.c"), site.write("src/b.c")
    gone = site.build(task, b.unlink)
    assert isinstance(gone, Made)
    assert gone.changed == "src/b.c"
    b.touch()
    assert site.difference(task) == "src/b.c changed while it ran"
    b.unlink()
    came = site.build(task, b.touch)
    assert isinstance(came, Made)
    assert came.changed == "src/b.c"
    site.build(task)
    assert site.difference(task) == ""
    a.unlink()
    assert site.difference(task) == "src/a.c is gone"


def test_a_header_that_changes_while_the_compiler_runs_makes_it_run_again(site):
    site.write("a.c")
    site.write("a.h", "1")
    site.settle()
    # Nobody knows yet that it is an input.
    made = site.build(CC, lambda: (compile_(site, "a.h"), site.write("a.h", "2")))
    assert isinstance(made, Made)
    assert made.changed == "a.h"
    site.settle()
    made = site.build(CC, lambda: compile_(site, "a.h"))
    assert isinstance(made, Made)
    assert made.changed == ""
    # Now it is known.
    made = site.build(CC, lambda: (compile_(site, "a.h"), site.write("a.h", "3")))
    assert isinstance(made, Made)
    assert made.changed == "a.h"


def test_a_header_that_a_dependency_has_just_made_is_no_change(site):
    gen = task_of("gen", outputs=("gen.h",))
    site.write("a.c")
    site.build(gen, lambda: site.write("gen.h", "1"))
    for name in ("gen.h", f"{site.folder}/gen.h"):
        made = site.build(CC, lambda name=name: (site.write("a.o"), site.write("a.d", f"a.o: {name}\n")))
        assert isinstance(made, Made)
        assert made.changed == ""


def test_a_header_that_another_task_makes_meanwhile_is_a_change(site):
    """What was compiled is the old header, though the new one is what its maker has recorded."""
    gen = task_of("gen", outputs=("gen.h",))
    site.write("a.c")
    site.write("gen.h", "old")
    site.settle()
    look = site.examiner.look(CC)
    compile_(site, "gen.h")
    site.build(gen, lambda: site.write("gen.h", "new"))
    made = site.end(CC, look)
    assert isinstance(made, Made)
    assert made.changed == "gen.h"
    assert site.difference(CC) == "gen.h changed while it ran"


def test_an_input_that_changes_and_changes_back_is_a_change(site):
    file = site.write("a.c", "1")
    os.utime(file, (1, 1))
    made = site.build(task_of("a", "a.c"), lambda: (site.write("a.c", "2"), site.write("a.c", "1")))
    assert isinstance(made, Made)
    assert made.changed == "a.c"


def test_links_and_modes_of_an_input_are_no_change(site):
    file = site.write("a.c", "1")

    def work() -> None:
        os.link(file, site.folder / "b.c")
        file.chmod(0o600)

    made = site.build(task_of("a", "a.c", "/dev/null"), work)
    assert isinstance(made, Made)
    assert made.changed == ""


def test_a_task_may_have_many_files(site):
    names = [f"out/{number}" for number in range(2_000)]
    task = task_of("a", "src", outputs=tuple(names), depfile="a.d")
    for number in range(2_000):
        site.write(f"src/{number}")
    text = "a: " + " ".join(f"src/{number} h{number}" for number in range(2_000)) + "\n"
    made = site.build(task, lambda: ([site.write(name) for name in names], site.write("a.d", text)))
    assert isinstance(made, Made)
    assert [len(versions) for versions in made[:3]] == [2_001, 2_000, 2_000]
    assert site.difference(task) == ""
