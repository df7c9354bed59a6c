"""The examples do what they say, run by the real command line on a copy of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.processes import LIMIT, environment, fastrun, report_of

EXAMPLES = Path(__file__).parents[2] / "examples"
# Not what examples that were run have made, which lies deeper.
DOCUMENTS = sorted(
    path.relative_to(EXAMPLES).as_posix() for pattern in ("*.json", "*/*.json") for path in EXAMPLES.glob(pattern)
)

SCENARIO = "scenario.json"
BURNT = "burnt-toast.json"
BUILD = "c-build/build.json"
SALES = "data-pipeline/sales.json"
CLEANUP = "cleanup/cleanup.json"
ORDERS = "shared-values/orders.json"

SALES_TABLE = """\
product  revenue
plums     192.00
pears     133.25
apples     91.50
total     416.75
"""


def copied_to(folder: Path) -> Path:
    """A copy of the examples, without what they made where they were run."""
    ignored = shutil.ignore_patterns("build", "out", "__pycache__")
    return Path(shutil.copytree(EXAMPLES, folder / "examples", ignore=ignored))


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    return copied_to(tmp_path)


@pytest.fixture(scope="module")
def breakfast(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[bytes]:
    """The scenario, run once and from a directory that is not its own."""
    folder = tmp_path_factory.mktemp("breakfast")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    return fastrun(copied_to(folder) / SCENARIO, cwd=elsewhere)


@pytest.fixture
def compiler() -> str:
    """The path of the C compiler that the build takes by default."""
    for tool in ("cc", "ar"):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool} here to build C with")
    return str(shutil.which("cc"))


def run(path: Path, *options: str, inside: bool = False, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run an example with ``-C`` from elsewhere, or ``inside`` its own folder."""
    env = environment(**variables)
    for name in {"CC", "CFLAGS", "LDFLAGS"} - variables.keys():
        env.pop(name, None)
    if inside:
        return fastrun(*options, path.name, cwd=path.parent, env=env)
    return fastrun(*options, "-C", path.parent.name, path.name, cwd=path.parent.parent, env=env)


def statuses(done: subprocess.CompletedProcess[bytes]) -> dict[str, str]:
    return {name: status for name, (status, _) in report_of(done.stdout).items()}


def output_of_last(done: subprocess.CompletedProcess[bytes], name: str) -> str:
    """What a task printed that ran alone."""
    return done.stdout.decode().partition(f"Started: {name}\n")[2].partition(f"Ended : {name}\n")[0]


def assert_dependencies_kept(path: Path, done: subprocess.CompletedProcess[bytes]) -> None:
    """Every task that ran started after the ends of those that it depends on; the others show no line."""
    lines = done.stdout.decode().splitlines()
    found = statuses(done)
    tasks = json.loads(path.read_bytes())["tasks"]
    assert list(found) == [task["name"] for task in tasks]
    for task in tasks:
        started, ended = f"Started: {task['name']}", f"Ended : {task['name']}"
        if found[task["name"]] == "skipped":
            assert started not in lines
            assert ended not in lines
            continue
        assert lines.index(started) < lines.index(ended)
        for dependency in task.get("dependencies", []):
            assert lines.index(f"Ended : {dependency}") < lines.index(started)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_document_is_accepted_without_a_warning(document):
    # From their own folder, in which scripts are found.
    path = EXAMPLES / document
    done = fastrun("--dry-run", path, cwd=path.parent)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_document_points_to_the_schema_of_the_program(document):
    path = EXAMPLES / document
    schema = path.parent / json.loads(path.read_bytes())["$schema"]
    assert schema.read_bytes() == fastrun("--schema").stdout


@pytest.mark.parametrize("document", DOCUMENTS)
def test_readme_names_the_command_of_each_document(document):
    folder, _, name = document.rpartition("/")
    command = f"fastrun -C examples/{folder} {name}" if folder else f"fastrun examples/{name}"
    assert f"`{command}`" in (EXAMPLES / "README.md").read_text()


@pytest.mark.parametrize("document", [BUILD, SALES, CLEANUP])
def test_document_writes_only_where_git_does_not_look(examples, document):
    folder = (examples / document).parent
    ignored = (folder / ".gitignore").read_text().splitlines()
    before = {f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir()}
    run(examples / document)
    after = {f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir()}
    # That of the whole project names what Python writes.
    assert after - before - {"__pycache__/"} == set(ignored)


def test_scenario_is_ok(breakfast):
    assert (breakfast.returncode, breakfast.stderr) == (0, b"")
    report = report_of(breakfast.stdout)
    assert len(report) == 9
    assert set(report.values()) == {("ok", "")}
    assert_dependencies_kept(EXAMPLES / SCENARIO, breakfast)


def test_burnt_toast_fails_one_task_and_skips_its_dependent(examples):
    done = fastrun(examples / BURNT)
    assert (done.returncode, done.stderr) == (1, b"the toast is burnt\nfastrun: toast-bread: exit status 1\n")
    assert report_of(done.stdout) == {
        "slice-bread": ("ok", ""),
        "toast-bread": ("failed", "exit status 1"),
        "fry-eggs": ("ok", ""),
        "egg-on-toast": ("skipped", "toast-bread failed"),
    }
    assert_dependencies_kept(EXAMPLES / BURNT, done)


def test_scenario_overlaps_its_sleeps(breakfast):
    lines = breakfast.stdout.decode().splitlines()
    for one, other in (("boil-water", "fry-eggs"), ("fry-eggs", "boil-water"), ("grind-beans", "boil-water")):
        assert lines.index(f"Started: {one}") < lines.index(f"Ended : {other}")


@pytest.mark.parametrize("inside", [True, False])
def test_c_build_makes_a_program_that_passes_its_check(examples, compiler, inside):
    done = run(examples / BUILD, inside=inside)
    assert done.returncode == 0
    assert set(statuses(done).values()) == {"ok"}
    assert_dependencies_kept(examples / BUILD, done)
    assert output_of_last(done, "self-check") == "all 3999 numerals are right\n"
    made = {path.name for path in (examples / "c-build/build").iterdir()}
    parts = {f"{name}.{kind}" for name in ("format", "parse", "main") for kind in "od"}
    assert made == {*parts, "version.h", "libroman.a", "roman"}


# What runs in a build after an edit of one of its files, or with a variable.
EDITS = {
    "nothing": ("parse.c", "", "", {}, set()),
    # The objects stay as they are: what depends on them does not run.
    "a comment in the header": (
        "roman.h",
        "Returns its number",
        "Returns a number",
        {},
        {"compile-format", "compile-parse", "compile-main"},
    ),
    "code in a source": (
        "parse.c",
        "strlen(text) >= ROMAN_SIZE",
        "strlen(text) > ROMAN_SIZE - 1 || text[0] == ' '",
        {},
        {"compile-parse", "archive", "link", "self-check"},
    ),
    # main.c includes the header that is made of it.
    "the version": ("VERSION", "1.0", "1.1", {}, {"version", "compile-main", "link", "self-check"}),
    "flags": ("parse.c", "", "", {"LDFLAGS": "-L."}, {"link"}),
}


@pytest.mark.parametrize(("name", "old", "new", "variables", "expected"), EDITS.values(), ids=list(EDITS))
def test_c_build_runs_what_an_edit_reaches(examples, compiler, name, old, new, variables, expected):
    assert run(examples / BUILD, "-u").returncode == 0
    edited = examples / "c-build" / name
    edited.write_text(edited.read_text().replace(old, new))
    done = run(examples / BUILD, "-u", **variables)
    assert done.returncode == 0
    assert {name for name, found in report_of(done.stdout).items() if found != ("ok", "up to date")} == expected
    assert "0 run\n" in run(examples / BUILD, "-u", "-n", **variables).stderr.decode()


def test_c_build_makes_again_what_was_deleted(examples, compiler):
    run(examples / BUILD, "-u")
    shutil.rmtree(examples / "c-build/build")
    done = run(examples / BUILD, "-u", "-v")
    assert b"compile-parse: runs: build/parse.o is gone\n" in done.stderr
    # All is made as it was.
    assert report_of(done.stdout)["self-check"] == ("ok", "up to date")
    assert (examples / "c-build/build/roman").exists()


def test_c_build_takes_compiler_and_flags_from_the_environment(examples, compiler, tmp_path):
    log = tmp_path / "log"
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\necho "$*" >> "{log}"\nexec "{compiler}" "$@"\n')
    wrapper.chmod(0o755)
    done = run(examples / BUILD, CC=str(wrapper), CFLAGS="-O0 -DFROM_OUTSIDE", LDFLAGS="-L.")
    assert done.returncode == 0
    assert sorted(log.read_text().splitlines()) == [
        "-L. build/main.o build/libroman.a -o build/roman",
        *(
            f"-O0 -DFROM_OUTSIDE -MMD -MF build/{name}.d -c {name}.c -o build/{name}.o"
            for name in ("format", "main", "parse")
        ),
    ]


def test_c_build_stops_at_a_source_that_does_not_compile(examples, compiler):
    (examples / "c-build/parse.c").write_text("#error not today\n")
    done = run(examples / BUILD)
    assert done.returncode == 1
    report = report_of(done.stdout)
    assert report["compile-parse"][0] == "failed"
    assert report["compile-format"] == report["compile-main"] == ("ok", "")
    for name in ("archive", "link", "self-check"):
        assert report[name] == ("skipped", "compile-parse failed")
    assert b"not today" in done.stderr


def test_c_build_notices_a_program_that_is_wrong(examples, compiler):
    source = examples / "c-build/format.c"
    source.write_text(source.read_text().replace('"XL"', '"LX"'))
    done = run(examples / BUILD)
    assert done.returncode == 1
    assert report_of(done.stdout)["self-check"] == ("failed", "exit status 1")


@pytest.mark.parametrize("inside", [True, False])
def test_data_pipeline_prints_the_table_of_what_the_commands_wrote(examples, inside):
    done = run(examples / SALES, inside=inside)
    assert (done.returncode, done.stderr) == (0, b"")
    assert set(statuses(done).values()) == {"ok"}
    assert_dependencies_kept(examples / SALES, done)
    assert output_of_last(done, "table") == SALES_TABLE
    made = {path.name for path in (examples / "data-pipeline/out").iterdir()}
    shops = ("north", "south", "west")
    assert made == {"total.json", "west.csv", *(f"{shop}.json" for shop in shops)}


def test_data_pipeline_takes_nothing_from_an_earlier_run(examples):
    run(examples / SALES)
    for path in (examples / "data-pipeline/out").iterdir():
        path.write_text("stale")
    assert output_of_last(run(examples / SALES), "table") == SALES_TABLE


def test_data_pipeline_runs_again_what_a_changed_file_reaches(examples):
    assert set(report_of(run(examples / SALES, "-u").stdout).values()) == {("ok", "")}
    shop = examples / "data-pipeline/data/north.csv"
    shop.write_text(shop.read_text().replace("apples,120,", "apples,121,"))
    done = run(examples / SALES, "-u")
    up_to_date = {name for name, end in report_of(done.stdout).items() if end == ("ok", "up to date")}
    assert up_to_date == {"mend-west", "sum-south", "sum-west"}
    assert output_of_last(done, "table") == SALES_TABLE.replace("91.50", "91.95").replace("416.75", "417.20")


BARS = """\
Cy   ######### 9.90
Ada  ################### 19.80
Bo   ######################### 25.00
all  ###################################################### 54.70
"""


@pytest.mark.parametrize("inside", [True, False])
def test_shared_values_reach_the_drawing(examples, inside):
    done = run(examples / ORDERS, inside=inside, PYTHONDONTWRITEBYTECODE="1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert set(statuses(done).values()) == {"ok"}
    assert_dependencies_kept(examples / ORDERS, done)
    assert b"5 orders\n" in done.stdout
    assert output_of_last(done, "draw") == BARS
    assert [path.name for path in (examples / "shared-values/out").iterdir()] == ["totals.json"]


@pytest.mark.parametrize("inside", [True, False])
def test_cleanup_releases_the_lock_and_fails_afterwards(examples, inside):
    done = run(examples / CLEANUP, inside=inside)
    assert done.returncode == 1
    assert sorted(done.stderr.decode().splitlines()) == [
        "fastrun: check-orders: exit status 4",
        "fastrun: export: exit status 5",
    ]
    assert report_of(done.stdout) == {
        "lock": ("ok", ""),
        "move-users": ("ok", ""),
        "move-orders": ("ok", ""),
        "unlock": ("ok", ""),
        "check-users": ("ok", ""),
        "check-orders": ("failed", "exit status 4"),
        "announce": ("skipped", "check-orders failed"),
        "sweep": ("ok", ""),
        "export": ("failed", "exit status 5"),
    }
    assert_dependencies_kept(examples / CLEANUP, done)
    assert os.listdir(examples / "cleanup/out") == []


def test_cleanup_announces_once_nothing_fails(examples):
    path = examples / CLEANUP
    path.write_text(path.read_text().replace("exit 4", "exit 0").replace("exit 5", "exit 0"))
    done = run(path)
    assert done.returncode == 0
    assert b"everything has moved\n" in done.stdout
    assert os.listdir(path.parent / "out") == []


def test_cleanup_fails_if_a_status_was_lost(examples):
    path = examples / CLEANUP
    path.write_text(path.read_text().replace("echo $? > out/orders.status", "> out/orders.status"))
    report = report_of(run(path).stdout)
    assert report["unlock"] == ("ok", "")
    assert report["check-orders"][0] == "failed"


def test_cleanup_by_trap_happens_when_the_command_is_told_to_end(examples):
    path = examples / CLEANUP
    # What a run that is interrupted sends to the group of each command.
    path.write_text(path.read_text().replace("exit 5", "kill -TERM 0"))
    report = report_of(run(path).stdout)
    assert report["export"] == ("failed", "exit status 143")
    assert not (path.parent / "out/scratch").exists()


def line_of_ci(examples: Path, name: str) -> str:
    """The command line with which a CI system runs the example."""
    lines = (examples / "ci" / name).read_text().splitlines()
    (found,) = [line.partition("fastrun ")[2] for line in lines if " fastrun -j" in line]
    return f"fastrun {found}"


def run_by_ci(examples: Path, name: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run the example by the command line of a CI system, which has ``fastrun`` in its path."""
    program = examples / "bin" / "fastrun"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fastrun "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["/bin/sh", "-ec", line_of_ci(examples, name)],
        cwd=examples / "ci",
        env=environment(PATH=path, **variables),
        capture_output=True,
        check=False,
        timeout=LIMIT,
    )


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml"])
def test_file_for_ci_installs_fastrun_and_can_be_copied_as_it_is(name):
    text = (EXAMPLES / "ci" / name).read_text()
    project = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text())["project"]
    assert re.findall(r"pip install (.*)", text) == [project["name"]]
    assert "fastrun" in project["scripts"]
    # It needs no variable that a user would have to set.
    assert "$" not in text.replace('"$(nproc)"', "")


def test_checks_pass_on_gitlab(examples):
    done = run_by_ci(examples, "gitlab-ci.yml", CI="true")
    assert done.returncode == 0
    assert b"[program] 2 tea\n[program] 1 and\n" in done.stdout
    # unittest tells on standard error.
    assert b"[unit]    OK\n" in done.stderr
    folder = examples / "ci"
    assert {path.name for path in (folder / "logs").iterdir()} == {
        *("syntax.log", "todo.log", "unit.log", "program.log", "package.log"),
        *("index.jsonl", "junit.xml"),
    }
    assert (folder / "out" / "words.tar.gz").exists()


def test_a_failing_check_is_told_on_github(examples, tmp_path):
    folder = examples / "ci"
    code = folder / "words" / "__init__.py"
    code.write_text(code.read_text().replace(".lower()", "") + "# TODO: other languages\n")
    github = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(folder), "GITHUB_STEP_SUMMARY": f"{tmp_path}/summary"}
    done = run_by_ci(examples, "github-actions.yml", **github)
    assert (done.returncode, done.stderr) == (1, b"")
    lines = done.stdout.decode().splitlines()
    # All that a task printed is in its group, and no other line.
    block = lines[lines.index("::group::unit") + 1 :]
    block = block[: block.index("::endgroup::")]
    assert "FAILED (failures=1)" in block
    assert "fastrun: unit: exit status 1" not in block
    annotations = [line for line in lines if line.startswith("::error ")]
    assert [line.partition(",title=")[2].partition("%0A")[0] for line in annotations] == [
        "unit::exit status 1",
        "program::exit status 1",
    ]
    assert "AssertionError" in annotations[0]
    assert lines[lines.index("Report:") + 1 : lines.index("Failures:")] == [
        "failed   todo  exit status 1 (allowed)",
        "failed   unit  exit status 1",
        "failed   program  exit status 1",
        "skipped  package  unit failed",
    ]
    summary = (tmp_path / "summary").read_text()
    assert "<summary>unit (log: logs/unit.log)</summary>" in summary
    assert "FAILED (failures=1)" in summary
    assert (folder / "logs" / "report.html").exists()
