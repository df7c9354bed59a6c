"""Job slots shared with make, ninja and cargo, in both directions: real programs, that count what runs at once."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
import uvloop

import fastrun as library
from fastrun import Observer
from fastrun.executors.gates import jobserver
from fastrun.executors.gates.jobserver import (
    Auth,
    Jobserver,
    Server,
    open_auth,
    parse_auth,
    reads_fifos,
    with_jobserver,
)
from fastrun.executors.guardian.guardian import Guardian
from tests.support import leaf
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.jobs import counted, ended, job
from tests.support.processes import LIMIT, alive, environment, fastrun, fastrun_process, report_of, wait_for

TOKENS = b"abc"


# Words


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("", None),
        ("k", None),
        (" -j4", None),
        (" -j4 --jobserver-auth=3,4", Auth(None, 3, 4)),
        ("ks -j4 --jobserver-fds=5,6 -l2", Auth(None, 5, 6)),
        (" -j4 --jobserver-auth=3,4 --jobserver-auth=-2,-2", Auth(None, -2, -2)),
        (" -j4 --jobserver-auth=fifo:/tmp/GMfifo12", Auth("/tmp/GMfifo12")),
        ("--jobserver-fds=3,4 --jobserver-auth=fifo:/tmp/a\\ b\\\\c", Auth("/tmp/a b\\c")),
        (" -j4 -- X=--jobserver-auth=3,4", None),
        (" -j4 -- X=a\\ --jobserver-auth=3,4", None),
        (" --jobserver-auth=gmake_semaphore_12", None),
        (" --jobserver-auth=3", None),
        (" --jobserver-auth=99999999999999999999,4", None),
    ],
)
def test_the_last_jobserver_of_the_flags_counts(flags, found):
    assert parse_auth(flags) == found


@pytest.mark.parametrize(
    ("flags", "made"),
    [
        ("", " -j3 --jobserver-auth=A"),
        ("ks", "ks -j3 --jobserver-auth=A"),
        (" -j4 --jobserver-auth=3,4", " -j3 --jobserver-auth=A"),
        ("k -j 8 -l2 --jobserver-fds=5,6", "k -l2 -j3 --jobserver-auth=A"),
        ("--jobs=8 --jobserver-style=pipe -Iinc\\ lude", " -Iinc\\ lude -j3 --jobserver-auth=A"),
        (" -j -- X=1\\ 2 Y=-j8", " -j3 --jobserver-auth=A -- X=1\\ 2 Y=-j8"),
        ("--jobs 5", " -j3 --jobserver-auth=A"),
    ],
)
def test_all_else_stays_in_the_flags(flags, made):
    assert with_jobserver(flags, 3, "A") == made


@pytest.mark.parametrize(
    ("version", "fifos"),
    [
        ("GNU Make 4.3\nBuilt for", False),
        ("GNU Make 4.4.1\n", True),
        ("GNU Make 3.81", False),
        ("GNU Make 10.0", True),
        ("bmake", True),
        ("", True),
    ],
)
def test_old_make_reads_no_fifos(version, fifos):
    assert reads_fifos(version) is fifos


# The gate alone


@pytest.fixture(params=["uvloop", "asyncio"])
def loop_run(request):
    return uvloop.run if request.param == "uvloop" else asyncio.run


class Told:
    """The events of an executor: keeps the warnings."""

    congested = False

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


def count(descriptor: int) -> int:
    """Bytes in a pipe."""
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)


class Fifo:
    """A jobserver of the test's own: a fifo with tokens of which no two are the same."""

    def __init__(self, folder: Path, tokens: bytes = TOKENS) -> None:
        self.path = folder / "fifo"
        os.mkfifo(self.path)
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        os.write(self.descriptor, tokens)

    @property
    def flags(self) -> str:
        return f" -j4 --jobserver-auth=fifo:{self.path}"

    def left(self) -> bytes:
        """What is in it, which stays there."""
        try:
            tokens = os.read(self.descriptor, 100)
        except BlockingIOError:
            return b""
        os.write(self.descriptor, tokens)
        return bytes(sorted(tokens))


@pytest.fixture
def fifo(tmp_path):
    made = Fifo(tmp_path)
    yield made
    os.close(made.descriptor)


def test_who_waits_for_a_token_is_told_once_and_costs_nothing(fifo, loop_run):
    async def main() -> None:
        guardian = Guardian("x", wanted=False)
        told: Any = Told()
        changes = []
        gate = Jobserver(*open_auth(Auth(str(fifo.path))), guardian)
        gate.open(told, lambda: changes.append(True))
        assert [gate.take(running) for running in range(5)] == [True, True, True, True, False]
        assert not gate.take(4)
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert changes == []
        os.write(fifo.descriptor, b"xy")
        for _ in range(10_000):
            await asyncio.sleep(0.001)
            if changes:
                break
        # Whoever is told and takes nothing is not told again.
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert changes == [True]
        assert gate.take(4)
        gate.settle(5, 0)
        assert fifo.left() == b"y"
        gate.settle(2, 0)
        assert len(fifo.left()) == 4
        assert not told.warnings
        gate.close()
        gate.close()
        guardian.stop()

    loop_run(main())
    assert fifo.left() == b"abcxy"


def test_a_jobserver_that_breaks_leaves_one_command_at_a_time(fifo, loop_run):
    async def main() -> None:
        guardian = Guardian("x", wanted=False)
        told: Any = Told()
        gate = Jobserver(*open_auth(Auth(str(fifo.path))), guardian)
        gate.open(told, lambda: None)
        # What a snippet may do.
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, gate._reader)
        assert [gate.take(0), gate.take(1), gate.take(1)] == [True, False, False]
        folder = os.open("/", os.O_RDONLY)
        os.dup2(folder, gate._reader)
        assert [gate.take(0), gate.take(1)] == [True, False]
        assert told.warnings == ["no more job slots: the pipe has no other end; one command at a time"]
        gate.close()
        guardian.stop()
        os.close(null)
        os.close(folder)

    loop_run(main())


def test_tokens_of_killed_programs_are_replaced_when_nothing_runs():
    async def main() -> None:
        guardian = Guardian("x", wanted=False)
        server = Server("", 4, "fifo", guardian)
        server.open(Told(), lambda: None)  # type: ignore[arg-type]
        thief = os.open(server._path, os.O_RDWR | os.O_NONBLOCK)
        assert os.read(thief, 2) == b"++"
        server.take(0)
        server.settle(1, 0)
        server.settle(0, 1)
        # Those that linger may still have them.
        assert count(thief) == 1
        server.settle(0, 0)
        assert count(thief) == 3
        os.write(thief, b"++")
        server.settle(0, 0)
        assert count(thief) == 3
        os.close(thief)
        server.close()
        guardian.stop()

    uvloop.run(main())


def test_the_fifo_is_private_and_has_a_plain_path(monkeypatch, tmp_path):
    strange = tmp_path / "a b"
    strange.mkdir()
    for folder, parent in ((tmp_path, str(tmp_path)), (strange, "/tmp")):
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        guardian = Guardian("x", wanted=False)
        server = Server("k", 3, "fifo", guardian)
        assert os.path.dirname(server._folder) == parent
        assert os.stat(server._folder).st_mode & 0o777 == 0o700
        assert server.environment == {"MAKEFLAGS": f"k -j3 --jobserver-auth=fifo:{server._folder}/jobserver"}
        server.close()
        guardian.stop()
        assert not os.path.exists(server._folder)


def test_a_server_that_cannot_be_made_gives_everything_back(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    guardian = Guardian("x", wanted=False)

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    for name in ("mkfifo", "set_inheritable"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, refuse)
            with pytest.raises(ValueError, match="cannot make a jobserver: No space left on device"):
                jobserver.join_or_serve("", guardian, 2, "pipe", lambda _: None)
    guardian.stop()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("auth", "cause"),
    [
        (Auth("/nonexistent/fifo"), "No such file or directory: /nonexistent/fifo"),
        (Auth("/dev/null"), "not a fifo: /dev/null"),
        (Auth(None, -2, -2), "they are not open"),
        (Auth(None, 900, 901), "they are not open"),
    ],
)
def test_a_jobserver_that_is_none_is_refused(auth, cause):
    with pytest.raises(OSError, match=re.escape(cause)):
        open_auth(auth)


def test_pipes_that_were_not_left_to_this_process_are_refused():
    reader, writer = os.pipe()
    other, end = os.pipe()
    # Of its own, as those that it opens are.
    with pytest.raises(OSError, match="not open"):
        open_auth(Auth(None, reader, writer))
    for descriptor in (reader, writer, other):
        os.set_inheritable(descriptor, True)
    # Two pipes.
    with pytest.raises(OSError, match="not open"):
        open_auth(Auth(None, other, writer))
    found = open_auth(Auth(None, reader, writer))
    assert not os.get_blocking(found[0])
    # The property of those who share it.
    assert os.get_blocking(reader)
    for descriptor in (reader, writer, other, end, *found):
        os.close(descriptor)


# Tokens are given back


def outcome(name: str, command: str, **more: Any) -> dict[str, Any]:
    """A task that runs beside two others, once all three do."""
    here = "touch here.$FASTRUN_TASK; until [ -e here.a ] && [ -e here.b ] && [ -e here.c ]; do sleep 0.01; done; "
    return exec_(name, here + command, **more)


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (outcome("c", "true"), "ok"),
        (outcome("c", "exit 3"), "failed"),
        (outcome("c", "kill -9 $$"), "failed"),
        (outcome("c", "sleep 100", timeout=0.2), "failed"),
        (outcome("c", "[ $FASTRUN_ATTEMPT = 3 ]", retries=2, retry_delay=0.01), "ok"),
        (outcome("c", "sleep 100 & exit 0"), "ok"),
        (eval_("c", "open('here.c', 'w').close(); raise SystemExit(3)"), "failed"),
    ],
    ids=["ok", "failed", "killed", "timeout", "retries", "left", "snippet"],
)
def test_tokens_are_given_back_however_a_task_ends(tmp_path, fifo, last, status):
    following = exec_("d", "true", "a")
    path = write_json(tmp_path, document(outcome("a", "true"), outcome("b", "true"), last, following))
    result = fastrun("--grace", "0.2", path, env=environment(MAKEFLAGS=fifo.flags), cwd=tmp_path)
    report = report_of(result.stdout)
    assert [report[name][0] for name in "abcd"] == ["ok", "ok", status, "ok"], result
    assert fifo.left() == TOKENS


@pytest.mark.parametrize("journal", [False, True])
def test_a_command_that_cannot_start_has_no_token(tmp_path, fifo, journal):
    looks = f"""
import fcntl, os, termios
descriptor = os.open({str(fifo.path)!r}, os.O_RDONLY | os.O_NONBLOCK)
print(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))[0])
os.close(descriptor)
open("looked", "w").close()
"""
    # Two run, of which one has a token, until somebody has looked. They start first, for what is behind them.
    tasks = [exec_(name, "until [ -e looked ]; do sleep 0.01; done") for name in "ab"]
    tasks += [exec_("after", "true", "a", "b"), exec_("later", "true", "after")]
    tasks.append(exec_("c", "true", cwd="missing", allow_failure=True))
    path = write_json(tmp_path, document(*tasks, eval_("d", looks, "c")))
    more = ["--journal", tmp_path / "j"] if journal else []
    result = fastrun(*more, path, env=environment(MAKEFLAGS=fifo.flags), cwd=tmp_path)
    assert report_of(result.stdout)["c"][1].startswith("cannot start: No such file or directory")
    assert b"\n2\n" in result.stdout
    assert fifo.left() == TOKENS


@pytest.mark.parametrize("signals", [["SIGINT"], ["SIGTERM"], ["SIGHUP"], ["SIGINT", "SIGINT"]], ids="-".join)
def test_tokens_are_given_back_after_a_signal(tmp_path, fifo, signals):
    # The second signal ends them, or else the first.
    ends = "" if len(signals) > 1 else "; exit"
    command = f"trap 'touch told.$FASTRUN_TASK{ends}' TERM; touch here.$FASTRUN_TASK; while :; do sleep 0.01; done"
    path = write_json(tmp_path, document(*[exec_(name, command) for name in "abcd"], exec_("e", "true")))
    with fastrun_process(
        path, env=environment(MAKEFLAGS=fifo.flags, FASTRUN_GRACE=str(LIMIT)), cwd=tmp_path
    ) as process:
        wait_for(lambda: len(list(tmp_path.glob("here.*"))) == 4)
        assert fifo.left() == b""
        for name in signals:
            process.send_signal(signal.Signals[name])
            wait_for(lambda: len(list(tmp_path.glob("told.*"))) == 4)
        out, err = process.communicate()
    assert process.returncode == 128 + signal.Signals[signals[0]], err
    assert report_of(out)["e"][0] == "interrupted"
    assert fifo.left() == TOKENS


def test_the_guardian_gives_tokens_back_when_fastrun_is_killed(tmp_path, fifo):
    tasks = [exec_(name, "echo $$ > here.$FASTRUN_TASK; sleep 100") for name in "abc"]
    tasks.append(exec_("d", "echo $$ > here.d; until [ -e go ]; do sleep 0.01; done"))
    path = write_json(tmp_path, document(*tasks))
    with fastrun_process(path, env=environment(MAKEFLAGS=fifo.flags), cwd=tmp_path) as process:
        wait_for(lambda: len([p for p in tmp_path.glob("here.*") if p.read_text()]) == 4)
        assert fifo.left() == b""
        # What this one had is given back by then, and not once more.
        (tmp_path / "go").touch()
        wait_for(lambda: len(fifo.left()) == 1)
        process.kill()
        wait_for(lambda: fifo.left() == TOKENS)
        # Not before they are really free.
        assert not any(alive(int(p.read_text())) for p in tmp_path.glob("here.*"))


def test_a_run_that_is_broken_off_gives_tokens_back(fifo, monkeypatch):
    monkeypatch.setenv("MAKEFLAGS", fifo.flags)
    left = []

    class BreaksOff(Observer):
        def task_output(self, task, stream, data) -> None:
            left.append(fifo.left())
            raise KeyboardInterrupt

    tasks = document(exec_("a", "sleep 100"), exec_("b", "sleep 100"), exec_("c", "sleep 0.1; echo; sleep 100"))
    with pytest.raises(KeyboardInterrupt):
        library.run(tasks, observers=[BreaksOff()])
    assert [len(tokens) for tokens in left] == [1]
    assert fifo.left() == TOKENS


def test_a_run_that_nobody_goes_on_with_gives_tokens_back(tmp_path, fifo):
    code = """
import asyncio, fastrun, glob, logging
logging.disable()
tasks = [dict(name=name, type="exec", arguments="echo $$ > here.$FASTRUN_TASK; sleep 100") for name in "abcde"]

async def main():
    asyncio.ensure_future(fastrun.run_async(dict(tasks=tasks), guardian=False))
    while len(glob.glob("here.*")) < 4:
        await asyncio.sleep(0.01)

loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(MAKEFLAGS=fifo.flags), timeout=LIMIT, check=True
    )
    wait_for(lambda: all(path.read_text() for path in tmp_path.glob("here.*")))
    for path in tmp_path.glob("here.*"):
        os.killpg(int(path.read_text()), signal.SIGKILL)
    assert fifo.left() == TOKENS


# What a run makes of a jobserver around it


def test_a_run_takes_a_token_for_each_command_but_the_first(tmp_path, fifo):
    path = write_json(tmp_path, document(*[counted(tmp_path, f"t{number}", 4) for number in range(9)]))
    result = fastrun(path, env=environment(MAKEFLAGS=fifo.flags))
    assert (result.returncode, result.stderr) == (0, b"")
    assert (leaf.most(str(tmp_path)), ended(tmp_path)) == (4, 9)


@pytest.mark.parametrize("option", ["--jobserver-auth", "--jobserver-fds"])
def test_a_pipe_is_shared_as_well(tmp_path, option):
    reader, writer = os.pipe()
    os.write(writer, b"ab")
    path = write_json(tmp_path, document(*[counted(tmp_path, f"t{number}", 3) for number in range(7)]))
    flags = f" -j3 {option}={reader},{writer}"
    result = fastrun(path, env=environment(MAKEFLAGS=flags), pass_fds=[reader, writer])
    assert (result.returncode, result.stderr) == (0, b"")
    assert (leaf.most(str(tmp_path)), ended(tmp_path)) == (3, 7)
    assert sorted(os.read(reader, 10)) == sorted(b"ab")
    assert os.get_blocking(reader)
    os.close(reader)
    os.close(writer)


def test_closed_descriptors_are_one_warning_and_nothing_is_shared(tmp_path):
    path = write_json(tmp_path, document(*[counted(tmp_path, f"t{number}", 4) for number in range(4)]))
    result = fastrun(path, env=environment(MAKEFLAGS=" -j2 --jobserver-auth=3,4"))
    assert result.returncode == 0
    said = "the job slots of the make above cannot be used: they are not open; begin the line of the recipe with '+'"
    assert result.stderr.decode() == f"fastrun: warning: {said}\n"


def test_an_explicit_limit_goes_over_that_of_make(tmp_path, fifo):
    path = write_json(tmp_path, document(*[counted(tmp_path, f"t{number}", 2) for number in range(4)]))
    result = fastrun("-j", "2", path, env=environment(MAKEFLAGS=fifo.flags))
    assert result.returncode == 0
    assert result.stderr == b"fastrun: warning: -j 2 is given: the job slots of the make above are not used\n"
    assert leaf.most(str(tmp_path)) == 2


def test_who_waited_for_a_token_is_told_so(fifo, monkeypatch):
    monkeypatch.setenv("MAKEFLAGS", fifo.flags)

    class Starts(Observer):
        detailed = True
        held_by: list[str] = []  # noqa: RUF012  # one object

        def task_started(self, task, start) -> None:
            self.held_by.append(start.held_by)

    starts = Starts()
    report = library.run(document(*[exec_(f"t{number}", "sleep 0.05") for number in range(6)]), observers=[starts])
    assert report.ok
    assert starts.held_by == ["slot"] * 4 + ["jobserver"] * 2


# Real programs


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
def test_what_is_passed_on_is_what_make_reads(tmp_path):
    place = Place(tmp_path, OLD_MAKE, 1)
    place.write("echo $MAKEFLAGS", "make jobs")
    result = place.fastrun("-j2", "--jobserver")
    assert result.returncode == 0
    assert re.search(rb"^-j2 --jobserver-auth=\d+,\d+$", result.stdout, re.MULTILINE)
    # It would not run with the other.
    assert place.fastrun("-j2", "--jobserver=fifo").returncode == 1


def test_the_limit_is_the_number_of_processors_without_another(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "echo $MAKEFLAGS")))
    result = fastrun("--jobserver=fifo", path)
    assert f"-j{len(os.sched_getaffinity(0))} --jobserver-auth=fifo:".encode() in result.stdout
    folder = re.search(rb"fifo:(.*)/jobserver", result.stdout)
    assert folder is not None
    assert not os.path.exists(folder[1])


@pytest.mark.parametrize("style", ["fifo", "pipe"])
def test_the_fifo_is_removed_after_an_interrupt(tmp_path, style):
    path = write_json(tmp_path, document(*[exec_(name, "echo $MAKEFLAGS > $FASTRUN_TASK; sleep 100") for name in "ab"]))
    more = {"TMPDIR": str(tmp_path)}
    with fastrun_process("-j2", f"--jobserver={style}", path, env=environment(**more), cwd=tmp_path) as process:
        wait_for(lambda: all((tmp_path / name).exists() and (tmp_path / name).read_text() for name in "ab"))
        assert len(list(tmp_path.glob("fastrun-*/jobserver"))) == 1
        process.send_signal(signal.SIGINT)
        process.wait(LIMIT)
    assert process.returncode == 130
    assert not list(tmp_path.glob("fastrun-*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--jobserver=socket"], "argument --jobserver: invalid choice: 'socket'"),
        (["--jobserver", "-j", "5000"], "a jobserver is for 4096 commands at most, not 5000"),
    ],
)
def test_a_jobserver_that_makes_no_sense_starts_nothing(tmp_path, arguments, said):
    path = write_json(tmp_path, document(exec_("a", "true")))
    result = fastrun(*arguments, path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert said in result.stderr.decode()
    with pytest.raises(ValueError, match="jobserver must be one of auto, fifo, pipe, not socket"):
        library.run(document(), jobserver="socket")


def test_nothing_is_left_of_a_jobserver_whose_run_does_not_begin(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true")))
    result = fastrun("--jobserver", "--journal", tmp_path / "none/journal", path, env=environment(TMPDIR=str(tmp_path)))
    assert (result.returncode, result.stdout) == (2, b"")
    assert not list(tmp_path.glob("fastrun-*"))


# Programs that die


@makes
def test_fastrun_goes_on_when_the_make_that_called_it_is_killed(tmp_path, make, style):
    place = Place(tmp_path, make, 1)
    tasks = [exec_(f"t{number}", "touch here; until [ -e go ]; do sleep 0.01; done") for number in range(3)]
    write_json(tmp_path, document(*tasks, exec_("last", "touch done", *[task["name"] for task in tasks])))
    with subprocess.Popen(
        [str(place.bin / "make"), "-j2", *style.split(), "fastrun"],
        cwd=tmp_path,
        env=place.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_for((tmp_path / "here").exists)
        process.kill()
        process.wait(LIMIT)
    (tmp_path / "go").touch()
    wait_for((tmp_path / "done").exists)


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
