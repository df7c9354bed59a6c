"""Job slots shared with make, ninja and cargo, in both directions: real programs, that count what runs at once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastrun.executors.gates.jobserver import (
    reads_fifos,
)
from tests.support import leaf
from tests.support.documents import document, exec_, write_json
from tests.support.jobs import counted, ended, job
from tests.support.processes import LIMIT, environment, fastrun, report_of, wait_for


def _version(path: str) -> str:
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout


def _program(name: str, fits: Any) -> str | None:
    """The first of the programs with a name that fits: beside Python, on the path or the system's own."""
    places = [str(Path(sys.executable).parent / name), shutil.which(name), f"/usr/bin/{name}"]
    return next((path for path in places if path and os.access(path, os.X_OK) and fits(_version(path))), None)


def _reads_jobserver(said: str) -> bool:
    numbers = re.match(r"(\d+)\.(\d+)", said)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (1, 13)


OLD_MAKE = _program("make", lambda said: said.startswith("GNU Make") and not reads_fifos(said))


NEW_MAKE = _program("make", lambda said: said.startswith("GNU Make") and reads_fifos(said))


NINJA = _program("ninja", _reads_jobserver)


# One that says something: without a compiler it does not.
CARGO = _program("cargo", lambda said: said.startswith("cargo"))


# Kitware's, of PyPI. The original knows fifos alone.
NINJA_READS_PIPES = NINJA is not None and "jobserver-pipe" in _version(NINJA)


def _needs(path: str | None, what: str) -> Any:
    return pytest.mark.skipif(path is None, reason=f"{what} is not on this machine")


needs_old_make = _needs(OLD_MAKE, "GNU make before 4.4")


needs_new_make = _needs(NEW_MAKE, "GNU make 4.4")


needs_ninja = _needs(NINJA, "ninja 1.13")


makes = pytest.mark.parametrize(
    ("make", "style"),
    [
        pytest.param(OLD_MAKE, "", marks=needs_old_make, id="old"),
        pytest.param(NEW_MAKE, "", marks=needs_new_make, id="fifo"),
        pytest.param(NEW_MAKE, "--jobserver-style=pipe", marks=needs_new_make, id="pipe"),
    ],
)


class Place:
    """A folder with a makefile and a ninja file of four jobs each, which all count each other, and a document."""

    def __init__(self, folder: Path, make: str | None, wanted: int) -> None:
        self.folder = folder
        self.wanted = wanted
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name, path in (("make", make), ("ninja", NINJA)):
            if path is not None:
                (self.bin / name).symlink_to(path)
        one = job(folder, wanted)
        call = f"{sys.executable} -m fastrun"
        (folder / "Makefile").write_text(
            f"top: fastrun jobs\nfastrun:\n\t+{call} tasks.json\nforgotten:\n\t{call} tasks.json\n"
            f"jobs: a b c d\na b c d:\n\t@{one}\n.PHONY: top jobs a b c d fastrun\n"
        )
        builds = "".join(f"build {name}: job\n" for name in "abcd")
        (folder / "build.ninja").write_text(f"rule job\n  command = {one}\n{builds}")

    @property
    def environment(self) -> dict[str, str]:
        # Where make has its fifos, named by its process id: one that is killed leaves its own, and ids are used again.
        found = environment(PATH=f"{self.bin}:{os.environ['PATH']}", TMPDIR=str(self.folder))
        return {name: value for name, value in found.items() if not name.startswith(("MAKE", "MFLAGS"))}

    def write(self, *commands: str, jobs: int = 0) -> Path:
        tasks = [exec_(command, command) for command in commands]
        return write_json(self.folder, document(*tasks, *(self.counted(f"t{number}") for number in range(jobs))))

    def counted(self, name: str) -> dict[str, Any]:
        return counted(self.folder, name, self.wanted)

    def run(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, timeout=LIMIT, check=False
        )

    def fastrun(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return fastrun(*arguments, self.folder / "tasks.json", cwd=self.folder, env=self.environment)

    @property
    def most(self) -> int:
        return leaf.most(str(self.folder))


@makes
def test_make_calls_fastrun_and_both_together_keep_to_the_limit(tmp_path, make, style):
    place = Place(tmp_path, make, 3)
    place.write(jobs=6)
    result = place.run("make", "-j3", *style.split())
    assert (result.returncode, result.stderr) == (0, b"")
    assert (place.most, ended(tmp_path)) == (3, 10)


@makes
def test_fastrun_called_by_make_passes_the_jobserver_on(tmp_path, make, style):
    place = Place(tmp_path, make, 3)
    place.write("make jobs", jobs=4)
    result = place.run("make", "-j3", *style.split(), "fastrun")
    assert (result.returncode, result.stderr) == (0, b"")
    assert (place.most, ended(tmp_path)) == (3, 8)


@makes
def test_a_recipe_without_a_plus_is_a_warning(tmp_path, make, style):
    place = Place(tmp_path, make, 1)
    place.write(jobs=1)
    result = place.run("make", "-j3", *style.split(), "forgotten")
    assert result.returncode == 0
    # A fifo needs none.
    shared = make == NEW_MAKE and not style
    assert (b"begin the line of the recipe with '+'" in result.stderr) is not shared


@makes
def test_a_call_with_a_limit_of_its_own_says_so(tmp_path, make, style):
    place = Place(tmp_path, make, 2)
    place.write(jobs=4)
    with open(tmp_path / "Makefile", "a") as file:
        file.write(f"limited:\n\t+{sys.executable} -m fastrun -j 2 tasks.json\n")
    result = place.run("make", "-j3", *style.split(), "limited")
    assert (result.returncode, place.most) == (0, 2)
    assert b"-j 2 is given: the job slots of the make above are not used" in result.stderr


@needs_ninja
@needs_new_make
def test_make_ninja_and_fastrun_share_one_limit(tmp_path):
    place = Place(tmp_path, NEW_MAKE, 4)
    place.write("ninja", jobs=4)
    result = place.run("make", "-j4")
    assert (result.returncode, place.most, ended(tmp_path)) == (0, 4, 12), result


@makes
@pytest.mark.parametrize("jobs", [1, 3])
def test_fastrun_shares_its_limit_with_make(tmp_path, make, style, jobs):
    place = Place(tmp_path, make, jobs)
    place.write("make jobs", "make -k jobs", jobs=4)
    result = place.fastrun("-j", str(jobs), *(["--jobserver=pipe"] if style else ["--jobserver"]))
    assert (result.returncode, result.stderr) == (0, b""), result
    assert (place.most, ended(tmp_path)) == (jobs, 12)


@needs_ninja
@pytest.mark.parametrize(
    "style",
    [
        "fifo",
        pytest.param("pipe", marks=pytest.mark.skipif(not NINJA_READS_PIPES, reason="this ninja reads fifos alone")),
    ],
)
def test_fastrun_shares_its_limit_with_ninja(tmp_path, style):
    place = Place(tmp_path, None, 3)
    place.write("ninja", jobs=4)
    result = place.fastrun("-j3", f"--jobserver={style}")
    assert (result.returncode, place.most, ended(tmp_path)) == (0, 3, 8), result


@needs_new_make
def test_fastrun_shares_its_limit_with_a_fastrun_that_its_make_calls(tmp_path):
    place = Place(tmp_path, NEW_MAKE, 3)
    place.write(jobs=4)
    (tmp_path / "tasks.json").rename(tmp_path / "inner.json")
    place.write(f"{sys.executable} -m fastrun inner.json", "make jobs", jobs=2)
    result = place.fastrun("-j3", "--jobserver")
    assert (result.returncode, result.stderr) == (0, b""), result
    assert (place.most, ended(tmp_path)) == (3, 10)


@_needs(CARGO, "cargo")
@pytest.mark.parametrize("style", ["fifo", "pipe"])
def test_fastrun_shares_its_limit_with_cargo(tmp_path, style):
    crates = [f"crate{number}" for number in range(4)]
    for name in crates:
        (tmp_path / name / "src").mkdir(parents=True)
        (tmp_path / name / "src/lib.rs").touch()
        (tmp_path / name / "Cargo.toml").write_text(
            f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n'
        )
    (tmp_path / "Cargo.toml").write_text(f'[workspace]\nresolver = "2"\nmembers = {crates}\n'.replace("'", '"'))
    wrapper = tmp_path / "wrapper"
    # It also asks the compiler what it can, before there is anything to compile.
    wrapper.write_text(f'#!/bin/sh\ncase "$*" in *"--crate-name crate"*) {job(tmp_path, 3)};; esac\nexec "$@"\n')
    wrapper.chmod(0o755)
    place = Place(tmp_path, None, 3)
    place.write("cargo build --quiet --offline", jobs=4)
    result = fastrun(
        *["-j3", f"--jobserver={style}", tmp_path / "tasks.json"],
        cwd=tmp_path,
        env={**place.environment, "RUSTC_WRAPPER": str(wrapper), "CARGO_HOME": str(tmp_path / "home")},
    )
    assert (result.returncode, place.most, ended(tmp_path)) == (0, 3, 8), result


@needs_old_make
def test_makeflags_are_passed_on_as_make_reads_them(tmp_path):
    place = Place(tmp_path, OLD_MAKE, 1)
    place.write("echo $MAKEFLAGS", "make jobs")
    result = place.fastrun("-j2", "--jobserver")
    assert result.returncode == 0
    assert re.search(rb"^-j2 --jobserver-auth=\d+,\d+$", result.stdout, re.MULTILINE)
    # It would not run with the other.
    assert place.fastrun("-j2", "--jobserver=fifo").returncode == 1


@makes
def test_fastrun_goes_on_when_the_make_that_called_it_is_killed(tmp_path, make, style):
    place = Place(tmp_path, make, 1)
    tasks = [exec_(f"t{number}", "touch here; until [ -e go ]; do sleep 0.01; done") for number in range(3)]
    write_json(tmp_path, document(*tasks, exec_("last", "touch done", *[task["name"] for task in tasks])))
    with subprocess.Popen(
        [str(place.bin / "make"), "-j2", *style.split(), "fastrun"],
        cwd=tmp_path,
        env=place.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_for((tmp_path / "here").exists)
        process.kill()
        process.wait(LIMIT)
        (tmp_path / "go").touch()
        # Fastrun has it open to its end.
        process.communicate(timeout=LIMIT)
    assert (tmp_path / "done").exists()


@pytest.mark.usefixtures("memory_kept")
@makes
def test_a_killed_make_is_a_failed_task_and_its_tokens_come_back(tmp_path, make, style):
    # It has both tokens when it is killed, with all that it started. Nobody else has its output open.
    place = Place(tmp_path, make, 3)
    stuck = "x y z:\n\ttouch $@.here; sleep 100\nstuck: x y z\n"
    with open(tmp_path / "Makefile", "a") as file:
        file.write(stuck)
    dies = (
        "make stuck > log 2>&1 & until [ -e x.here ] && [ -e y.here ] && [ -e z.here ]; do sleep 0.01; done; kill -9 0"
    )
    path = write_json(
        tmp_path,
        document(
            exec_("dies", dies, allow_failure=True),
            *({**place.counted(f"t{n}"), "dependencies": ["dies"]} for n in range(5)),
        ),
    )
    options = ["-j3", *(["--jobserver=pipe"] if style else ["--jobserver"])]
    result = fastrun(*options, path, cwd=tmp_path, env=place.environment)
    assert report_of(result.stdout)["dies"] == ("failed", "killed by SIGKILL (allowed)")
    assert (result.returncode, place.most, ended(tmp_path)) == (0, 3, 5), result
