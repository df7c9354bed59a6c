"""What would run and why, told before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.documents import document, exec_, write_json
from tests.support.processes import environment, fastrun, report_of

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

# Each object is the beginning of its source, so that a change behind it changes no object.
TASKS = document(
    exec_("a", "head -n1 a.c > a.o", inputs=["a.c"], outputs=["a.o"]),
    exec_("b", "head -n1 b.c > b.o", inputs=["b.c"], outputs=["b.o"], env_inputs=["CFLAGS"]),
    exec_("link", "cat a.o b.o > app", "a", "b", inputs=["a.o", "b.o"], outputs=["app"]),
    exec_("check", "test -e app", "link"),
)


class Folder:
    """A folder with a document whose tasks are all up to date."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in "ab":
            (path / f"{name}.c").write_text(f"{name}\n")
        write_json(path, TASKS)
        assert self.run("--update").returncode == 0

    def run(self, *options: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
        return fastrun(*options, "tasks.json", cwd=self.path, env=environment(**variables))

    def would(self, *options: str, **variables: str) -> list[str]:
        """Return the lines of a dry run."""
        result = self.run("-n", *(options or ("--update",)), **variables)
        assert result.returncode == 0
        return result.stdout.decode().splitlines()


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path)


RESUMED = ("--journal", ".fastrun/tasks.journal", "--resume")


def test_what_is_up_to_date_would_not_run(folder):
    result = folder.run("-n", "--update")
    assert result.stdout == b"check  names no files\n"
    assert result.stderr == b"fastrun: .fastrun/tasks.journal: 3 of 4 tasks are up to date, 1 runs\n"
    assert folder.would(*RESUMED) == []


def test_each_task_that_may_run_only_if_what_it_reads_changes_says_so(folder):
    (folder.path / "a.c").write_text("new\n")
    assert folder.would() == ["a  a.c changed", "link  may run after a", "check  names no files"]
    assert folder.would(*RESUMED) == ["a  a.c changed", "link  may run after a", "check  may run after link"]
    result = folder.run("-n", "--update")
    assert result.stderr == b"fastrun: .fastrun/tasks.journal: 1 of 4 tasks are up to date, 2 run, 1 may run\n"


def test_a_task_that_runs_only_after_a_failure_does_not_count_as_one_that_runs(tmp_path):
    tasks = [exec_("a", "true"), exec_("tell", "true", "a", when="failed"), exec_("then", "true", "tell")]
    tasks += [exec_("clean", "true", "a", when="always")]
    path = write_json(tmp_path, document(*tasks))
    counts = [b"0 of 4 tasks are ok, 2 run", b"2 of 4 tasks are ok, 0 run"]
    assert fastrun("--resume", path).stderr.endswith(b": %s\n" % counts[0])
    assert fastrun("--resume", path).stderr.endswith(b": %s\n" % counts[1])
    result = fastrun("--resume", "-n", path)
    first, second = result.stderr.splitlines()
    assert first.endswith(b": %s" % counts[1])
    assert (second, result.stdout) == (b"fastrun: 2 more only if something fails: tell, then", b"")


@pytest.mark.parametrize(
    ("edit", "lines"),
    [
        # It may be made as it was.
        (lambda path: (path / "a.o").unlink(), ["a  a.o is gone", "link  may run after a"]),
        (lambda path: (path / "app").write_text("x"), ["link  app changed"]),
        (
            lambda path: ((path / "a.c").write_text("x\n"), (path / "app").unlink()),
            ["a  a.c changed", "link  app is gone"],
        ),
    ],
)
def test_the_reason_is_the_first_that_no_earlier_task_can_undo(folder, edit, lines):
    edit(folder.path)
    assert folder.would() == [*lines, "check  names no files"]


def test_a_variable_and_a_command_that_changed_are_reasons(folder):
    assert folder.would(CFLAGS="-O2")[0] == "b  CFLAGS changed"
    text = (folder.path / "tasks.json").read_text()
    (folder.path / "tasks.json").write_text(text.replace("head -n1 a.c", "head -n 1 a.c"))
    assert folder.would()[0] == "a  the command changed"


def test_a_dry_run_and_an_explanation_write_nothing(tmp_path):
    write_json(tmp_path, document(exec_("a", "true", outputs=["out/a"])))
    for options in (["-n", "-v"], ["--explain", "a"]):
        assert fastrun(*options, "--update", "tasks.json", cwd=tmp_path).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.json"]


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("a", ("--update",), "with --update it runs: a.c changed"),
        ("b", ("--update",), "with --update it is up to date"),
        ("link", ("--update",), "with --update it may run after a"),
        ("check", ("--update",), "with --update it runs: names no files"),
        ("b", RESUMED, "with --resume it does not run: ok in the journal"),
        ("check", RESUMED, "with --resume it may run after link"),
    ],
)
def test_an_explanation_says_whether_a_task_would_run_and_why(folder, name, options, line):
    (folder.path / "a.c").write_text("new\n")
    result = folder.run("--explain", name, *options)
    assert (result.returncode, result.stdout.decode().splitlines()[-1]) == (0, line)


def test_a_run_names_the_task_whose_run_makes_another_run(folder):
    (folder.path / "a.c").write_text("new\n")
    result = folder.run("-v", *RESUMED)
    assert b"fastrun: check: runs: link ran\n" in result.stderr
    assert report_of(result.stdout)["b"] == ("ok", "from the journal")
