"""What is seen of a run while it lasts: the lines on a clock by hand, then real runs on a real terminal."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from contextlib import closing

import pytest

import fastrun as library
from fastrun import Cause, Outcome, Report, Start, Status, Task
from fastrun.cli.options import parser
from fastrun.cli.terminal import Watched
from fastrun.journal.file import JournalFile
from fastrun.journal.records import end_record, run_record
from fastrun.observers.terminal.screen import ScreenWriter
from fastrun.observers.terminal.status import Live, Spoken
from fastrun.outcome import FIRST_START
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import LIMIT, environment, fastrun
from tests.support.terminals import Terminal

OK = Outcome(Status.OK)
FAILED = Outcome(Status.FAILED, Cause.EXIT, 1)


class Stage:
    """A status whose clock, terminal and output are set by hand."""

    def __init__(self, total: int, columns: int = 80, rows: int = 24, expected=None, names=(), **options) -> None:
        self.now = 1_000.0
        self.size = (columns, rows)
        self.tails: dict[str, bytes] = {}
        self.tasks = [Task(name, "exec", "") for name in names or [f"t{number}" for number in range(total)]]
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.writer = ScreenWriter({1: self.theirs.fileno(), 2: self.theirs.fileno()}, shared=True)
        self.live = Live(
            self.writer,
            lambda number: self.tails.get(self.tasks[number].name, b""),
            terminal=self.theirs.fileno(),
            size=lambda: self.size,
            clock=lambda: self.now,
            expected=expected,
            **options,
        )
        self.live.begin(self.tasks)

    def number(self, name: str) -> int:
        return [task.name for task in self.tasks].index(name)

    def start(self, *names: str, start: Start = FIRST_START) -> None:
        for name in names:
            self.live.task_started(number := self.number(name), self.tasks[number], start)

    def end(self, outcome: Outcome, *names: str) -> None:
        for name in names:
            self.live.task_ended(number := self.number(name), self.tasks[number], outcome)


@pytest.fixture
def stage():
    stages: list[Stage] = []

    def make(*arguments, **options) -> Stage:
        stages.append(Stage(*arguments, **options))
        return stages[-1]

    yield make
    for made in stages:
        made.writer.close()
        made.ours.close()
        made.theirs.close()


def test_counts_and_the_longest_running_first(stage):
    play = stage(12)
    play.start("t0", "t1")
    play.now += 65
    play.start("t2")
    play.tails = {"t0": b"old\nnew\n", "t2": b"first\nnot ended"}
    play.end(FAILED, "t1")
    play.end(Outcome(Status.SKIPPED, Cause.DEPENDENCY, "t1"), "t3", "t4")
    play.end(Outcome(Status.OK, Cause.FROM_JOURNAL), "t5")
    play.now += 3_600
    assert play.live.lines() == [
        "━━━─────── 4/12 done, 2 running, 1 failed, 2 skipped; 1:01:05",
        "1:01:05 t0  new",
        "1:00:00 t2  not ended",
    ]


def test_a_task_that_is_tried_again_neither_runs_nor_is_done(stage):
    play = stage(2)
    play.start("t0")
    play.end(FAILED._replace(retry_in=3.0), "t0")
    assert play.live.lines() == ["────────── 0/2 done, 0 running, 1 to be tried again; 0:00"]
    play.start("t0", start=Start(2, 3))
    assert play.live.lines() == ["────────── 0/2 done, 1 running; 0:00", "   0:00 t0"]
    play.end(FAILED._replace(retry_in=3.0), "t0")
    play.end(Outcome(Status.INTERRUPTED), "t0", "t1")
    assert play.live.lines() == ["━━━━━━━━━━ 2/2 done, 0 running, 2 interrupted; 0:00"]


def test_status_says_what_holds_up_ready_tasks(stage):
    held: list[str | None] = []
    play = stage(3, held_by=held.pop)
    play.start("t0")
    said = {
        "load": ", held up: the load is too high",
        "memory": ", held up: memory is short",
        "jobserver": ", held up: no job token is free",
        None: "",
    }
    for name, words in said.items():
        held.append(name)
        assert play.live.summary(0) == f"0/3 done, 1 running{words}; 0:00"


@pytest.mark.parametrize(
    ("rows", "shown"), [(0, 10), (1, -1), (2, 0), (3, 0), (4, 1), (6, 3), (7, 4), (12, 4), (24, 10), (60, 20)]
)
def test_no_more_lines_than_there_is_room_for(stage, rows, shown):
    play = stage(50, rows=rows)
    play.start(*(f"t{number}" for number in range(20)))
    lines = play.live.lines()
    assert len(lines) == shown + 1
    tasks = [f"t{number}" for number in range(shown)]
    if 1 < shown < 20:
        # What has no room is counted.
        tasks[-1] = "more"
        assert lines[-1] == f"    +{21 - shown} more"
    assert [line.split()[1] for line in lines[1:]] == tasks


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 10, 20, 40, 200])
def test_no_line_is_wider_than_the_terminal_nor_acts_on_it(stage, columns):
    names = ["漢字の名前が長い" * 9, "\x1b[31m\nname\u202e" * 9, "x"]
    play = stage(4, columns=columns, color=True, names=[*names, "t0"])
    play.start(*names)
    play.tails = {"x": "出力\x1b[2Jまだ\x07".encode() * 50}
    play.end(FAILED, "t0")
    for line in play.live.lines():
        plain = re.sub(r"\x1b\[\d*m", "", line)
        assert plain.isprintable()
        assert sum(2 if "\u1100" <= c != "…" else 1 for c in plain) < columns
    assert bool(play.live.lines()) == (columns > 1)


def test_a_long_name_leaves_room_for_what_is_printed(stage):
    play = stage(1, columns=40, names=["n" * 100])
    play.start("n" * 100)
    play.tails = {"n" * 100: b"compiling\n"}
    assert play.live.lines()[1] == f"   0:00 {'n' * 18}…  compiling"


def test_counts_and_the_bar_are_coloured(stage):
    play = stage(4, color=True)
    play.start("t3")
    play.end(OK, "t2")
    assert play.live.lines()[0] == (
        "\x1b[32m━━\x1b[m\x1b[2m────────\x1b[m \x1b[32m1/4 done\x1b[m, \x1b[36m1 running\x1b[m; 0:00"
    )
    play.end(OK, "t3")
    play.end(FAILED, "t0")
    play.end(Outcome(Status.SKIPPED, Cause.DEPENDENCY, "x"), "t1")
    assert play.live.lines()[0] == (
        "\x1b[31m━━━━━━━━━━\x1b[m\x1b[2m\x1b[m "
        "\x1b[32m4/4 done\x1b[m, 0 running, \x1b[31m1 failed\x1b[m, \x1b[33m1 skipped\x1b[m; 0:00"
    )


def test_a_narrow_terminal_has_no_bar(stage):
    # Wherever it is drawn two columns wide, the line must not be longer than the screen.
    play = stage(2, columns=44)
    assert play.live.lines() == ["0/2 done, 0 running; 0:00"]


def test_time_left_is_shown_where_it_is_known(stage):
    play = stage(2, expected={"t0": 60.0, "t1": 150.0})
    play.start("t0", "t1")
    play.now += 30
    assert play.live.lines()[0] == "────────── 0/2 done, 2 running; 0:30, about 2 min left"


def test_the_lines_are_drawn_in_one_write_and_only_those_that_changed(stage):
    play = stage(1, columns=40)
    play.start("t0")
    play.live.show()
    assert play.ours.recv(1 << 16) == (b"\r\n0/1 done, 1 running; 0:00\x1b[K\r\n   0:00 t0\x1b[J\x1b[2A\r")
    play.live.show()
    play.now += 1
    play.live.show()
    assert b"0:01 t0" in play.ours.recv(1 << 16)
    play.live.leave()
    assert play.ours.recv(1 << 16) == b"\r\x1b[J"
    play.live.show()
    assert b"0:01 t0" in play.ours.recv(1 << 16)
    play.live.run_ended(Report([], b"", {}, 1.0))
    assert play.ours.recv(1 << 16) == b"\r\x1b[J"


def test_a_line_for_a_log_says_what_runs_longest():
    now = 0.0
    said: list[str] = []
    spoken = Spoken(said.append, clock=lambda: now)
    assert spoken.every == 30.0
    tasks = [Task(name, "exec", "") for name in ("a\nb", "t1", "t2")]
    spoken.begin(tasks)
    spoken.show()
    spoken.task_started(0, tasks[0], FIRST_START)
    now = 61.0
    spoken.task_started(1, tasks[1], FIRST_START)
    spoken.show()
    spoken.leave()
    assert said == ["0/3 done, 0 running; 0:00", "0/3 done, 2 running; 1:01; a\\nb for 1:01"]


def test_lines_for_a_log_come_while_the_run_lasts(tmp_path, monkeypatch):
    monkeypatch.setattr(Spoken, "every", 0.001)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        (tmp_path / "said").touch()

    command = f"while [ ! -e {tmp_path}/said ]; do sleep 0.01; done"
    assert library.run(document(exec_("a", command)), observers=[Spoken(say)]).ok
    assert said[0].startswith("0/1 done, ")


def test_a_run_may_end_before_anything_is_shown():
    spoken = Spoken(lambda _: None)
    spoken.run_ended(Report([], b"", {}, 1.0))


def test_after_the_end_nothing_is_drawn(stage):
    play = stage(1)

    async def run() -> None:
        play.live.run_started([])
        play.live.run_ended(Report([], b"", {}, 1.0))

    asyncio.run(run())
    assert play.live._timer is not None
    assert play.live._timer.cancelled()


# Where standard output and standard error go, the option, variables; and what is shown so.
KINDS = [
    ("tty", "tty", "auto", {}, "live"),
    ("file", "tty", "auto", {}, "live"),
    ("null", "tty", "auto", {}, "live"),
    ("pipe", "tty", "auto", {}, ""),
    ("other", "tty", "auto", {}, ""),
    ("pipe", "tty", "always", {}, "live"),
    ("tty", "tty", "never", {"CI": "1"}, ""),
    ("tty", "tty", "auto", {"TERM": "dumb"}, ""),
    ("tty", "tty", "auto", {"TERM": "dumb", "CI": "1"}, ""),
    ("tty", "tty", "auto", {"TERM": ""}, ""),
    ("tty", "tty", "always", {"TERM": "dumb"}, "lines"),
    ("tty", "pipe", "auto", {}, ""),
    ("pipe", "pipe", "auto", {}, ""),
    ("pipe", "pipe", "auto", {"CI": "true"}, "lines"),
    ("pipe", "pipe", "auto", {"CI": "false"}, ""),
    ("pipe", "pipe", "never", {"CI": "true"}, ""),
    ("tty", "tty", "auto", {"CI": "true"}, "live"),
    ("pipe", "pipe", "always", {}, "lines"),
]


@pytest.mark.parametrize(("out", "err", "option", "variables", "kind"), KINDS)
def test_where_the_status_is_shown(tmp_path, out, err, option, variables, kind):
    opened = [*os.openpty(), *os.openpty(), *os.pipe()]
    opened += [os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT), os.open(os.devnull, os.O_WRONLY)]
    ends = {"tty": opened[1], "other": opened[3], "pipe": opened[5], "file": opened[6], "null": opened[7]}
    try:
        options = parser({}).parse(["x.json", "--status", option])
        watched = Watched(options, ends[out], ends[err], {"TERM": "xterm", **variables})
        console = library.Console(stdout=ends[out], stderr=ends[err], writer=watched.writer)
        found = watched.status(console)
        console.close()
    finally:
        for descriptor in opened:
            os.close(descriptor)
    assert {Live: "live", Spoken: "lines", type(None): ""}[type(found)] == kind
    assert (watched.writer is not None) == (kind == "live")


WAIT = "while [ ! -e go ]; do sleep 0.01; done"


@pytest.fixture
def terminal():
    with Terminal() as made:
        yield made


def shows_status(terminal: Terminal) -> bool:
    return any(" running" in line for line in terminal.lines())


def test_a_run_on_a_terminal_shows_how_it_stands_and_leaves_only_what_was_printed(tmp_path, terminal):
    tasks = [exec_(f"w{number}", f"echo out {number}; printf 'begun {number}'; {WAIT}") for number in range(3)]
    tasks += [exec_("bad", "exit 1"), exec_("after", "true", "bad"), exec_("fine", "echo fine >&2")]
    process = terminal.fastrun("--color", "never", write_json(tmp_path, document(*tasks)), cwd=tmp_path)
    terminal.wait_for_line("3/6 done, 3 running, 1 failed, 1 skipped; ")
    terminal.wait_for(
        lambda: sorted(line[8:] for line in terminal.below()[1:]) == [f"w{n}  begun {n}" for n in range(3)]
    )
    (tmp_path / "go").touch()
    assert terminal.finish(process) == 1
    lines = terminal.lines()
    end = lines.index("Report:")
    expected = [
        "fine",
        "fastrun: bad: exit status 1",
        *(f"out {number}" for number in range(3)),
        *(f"begun {number}" for number in range(3)),
    ]
    names = [*(f"w{number}" for number in range(3)), "bad", "fine"]
    expected += [f"{word}: {name}" for word in ("Started", "Ended ") for name in names]
    assert sorted(lines[:end]) == sorted(expected)
    assert lines[end : lines.index("Failures:")] == [
        "Report:",
        *(f"ok       w{number}" for number in range(3)),
        "failed   bad  exit status 1",
        "skipped  after  bad failed",
        "ok       fine",
    ]
    assert lines[-1].startswith("6 tasks: 4 ok, 1 failed, 1 skipped in ")
    # Nothing that would have to be undone: no private modes, nothing saved.
    assert b"\x1b[?" not in terminal.raw
    assert b"\x1b7" not in terminal.raw


def test_run_shows_how_it_stands_before_its_first_command_too(tmp_path, terminal):
    source = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.01)"
    path = write_json(tmp_path, document(eval_("a", source), exec_("b", "true", "a")))
    process = terminal.fastrun("--color", "never", path, cwd=tmp_path)
    terminal.wait_for_line("0/2 done, 1 running; ")
    (tmp_path / "go").touch()
    assert terminal.finish(process) == 0
    began = ["Started: a", "Ended : a", "Started: b", "Ended : b"]
    assert terminal.lines()[:-1] == [*began, "Report:", "ok       a", "ok       b"]


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 5), (14, 2), (200, 60), (30, 1)])
def test_no_line_is_lost_or_mixed_with_the_status(tmp_path, columns, rows):
    # Each prints on both streams, in pieces that are not lines, while the status is drawn again and again.
    source = """
import os, sys, time
for number in range(60):
    for stream in (sys.stdout, sys.stderr):
        stream.write(f"{NAME}-{number}")
        stream.flush()
        time.sleep(0.002)
        while number == 30 and not os.path.exists("drawn"):
            time.sleep(0.002)
        stream.write("-end\\n")
        stream.flush()
"""
    tasks = []
    for name in "abc":
        script = tmp_path / f"{name}.py"
        script.write_text(source.replace("{NAME}", name))
        tasks.append(exec_(name, f"{sys.executable} {script}"))
    tasks.append(eval_("d", "import time\nfor n in range(60):\n    print(f'd-{n}', end='')\n    print('-end')"))
    with Terminal(columns, rows) as terminal:
        path = write_json(tmp_path, document(*tasks))
        process = terminal.fastrun("--report", "none", "--color", "never", path, cwd=tmp_path)
        terminal.wait_for(lambda: (b"\x1b[J" in terminal.raw) == (rows > 1))
        (tmp_path / "drawn").touch()
        assert terminal.finish(process) == 0
        printed = [line for line in terminal.lines() if line.endswith("-end")]
        raw = terminal.raw
    both = [f"{name}-{number}-end" for name in "abc" for number in range(60) for _ in range(2)]
    assert sorted(printed) == sorted([*both, *(f"d-{number}-end" for number in range(60))])
    assert (b"\x1b[J" in raw) == (rows > 1)
    assert b"Report:" in raw


def test_names_that_are_wide_or_evil_fit_into_a_narrow_terminal(tmp_path):
    names = ["漢字の名前が長い" * 3, "\x1b[2J\nfake\u202e" * 3, "e\u0301" * 30]
    tasks = document(*(exec_(name, f"printf '\\033[2J\\007出力出力出力出力出力'; {WAIT}") for name in names))
    with Terminal(24, 12) as terminal:
        process = terminal.fastrun(write_json(tmp_path, tasks), cwd=tmp_path)
        terminal.wait_for(lambda: len(terminal.below()) == 4)
        terminal.wait_for(lambda: all("  " in line for line in terminal.below()[1:]))
        below = terminal.below()
        (tmp_path / "go").touch()
        assert terminal.finish(process) == 0
        assert not shows_status(terminal)
    assert below[0].startswith("0/3 done, 3 running")
    assert all(re.match("   [0-9]:[0-9][0-9] ", line) for line in below[1:]), below


def test_another_size_of_the_terminal_is_kept_to(tmp_path, terminal):
    tasks = document(*(exec_(f"{number}-{'n' * 50}", WAIT) for number in range(10)))
    process = terminal.fastrun(write_json(tmp_path, tasks), cwd=tmp_path)
    terminal.wait_for(lambda: len(terminal.below()) == 11)
    terminal.resize(30, 8)
    terminal.wait_for(lambda: len(terminal.below()) == 5 and max(map(len, terminal.below())) == 29)
    terminal.resize(100, 40)
    terminal.wait_for(lambda: len(terminal.below()) == 11 and max(map(len, terminal.below())) == 60)
    (tmp_path / "go").touch()
    assert terminal.finish(process) == 0
    assert terminal.lines()[-1].startswith("10 tasks: 10 ok in ")


def test_events_on_the_terminal_are_not_drawn_over(tmp_path, terminal):
    path = write_json(tmp_path, document(exec_("a", "sleep 0.4")))
    assert terminal.finish(terminal.fastrun("--json", "-", path)) == 0
    assert b"running" not in terminal.raw
    assert b'"type":"run_ended"' in terminal.raw


def test_events_in_a_file_leave_the_terminal_to_the_status(tmp_path, terminal):
    path = write_json(tmp_path, document(exec_("a", WAIT)))
    with open(tmp_path / "events", "wb") as out:
        process = terminal.fastrun("--json", "-", "--color", "never", path, cwd=tmp_path, stdout=out)
        terminal.wait_for_line("0/1 done, 1 running; ")
        (tmp_path / "go").touch()
        assert terminal.finish(process) == 0
    assert terminal.lines()[:-1] == ["Started: a", "Ended : a", "Report:", "ok       a"]


def test_output_to_a_file_is_what_it_is_without_a_terminal(tmp_path, terminal):
    path = write_json(tmp_path, document(exec_("a", f"echo out; echo err >&2; {WAIT}")))
    with open(tmp_path / "out", "wb") as out:
        process = terminal.fastrun(path, cwd=tmp_path, stdout=out)
        terminal.wait_for_line("0/1 done, 1 running; ")
        (tmp_path / "go").touch()
        assert terminal.finish(process) == 0
    assert (tmp_path / "out").read_text().rpartition(" in ")[0] == (
        "Started: a\nout\nEnded : a\nReport:\nok       a\n1 task: 1 ok"
    )
    assert terminal.lines() == ["err"]


@pytest.mark.parametrize("options", [{"term": "dumb"}, {"env": {"FASTRUN_STATUS": "never", "NO_COLOR": "1"}}])
def test_dumb_terminal_and_plain_option_get_plain_lines(tmp_path, terminal, options):
    # Longer than it takes to draw something: what is not to come has no sign that it has not come.
    path = write_json(tmp_path, document(exec_("a", "sleep 0.4")))
    assert terminal.finish(terminal.fastrun(path, **options)) == 0
    assert b"\x1b" not in terminal.raw
    assert terminal.lines()[:-1] == ["Started: a", "Ended : a", "Report:", "ok       a"]


def test_not_one_byte_goes_to_a_pipe(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "sleep 0.4")))
    for variables in ({}, {"CI": "true"}):
        result = fastrun(path, env=environment(**variables))
        assert (result.returncode, result.stderr) == (0, b"")
        assert result.stdout.startswith(b"Started: a\nEnded : a\nReport:\nok       a\n1 task: 1 ok in ")


def test_ctrl_c_leaves_a_clean_screen(tmp_path, terminal):
    # It ends once the terminal has shown the keys, which it does only after the signal was sent.
    trap = "trap 'until [ -e shown ]; do sleep 0.01; done; exit' TERM"
    # The shell says on standard error that its sleep was ended.
    command = f"{trap}; exec 2> /dev/null; echo out; while :; do sleep 0.01; done"
    path = write_json(tmp_path, document(exec_("a", command), exec_("b", "true", "a")))
    # Nobody is told that it is waited for.
    process = terminal.fastrun("--color", "never", "--grace", "1", path, cwd=tmp_path)
    terminal.wait_for_line(" a  out")
    terminal.type(b"\x03")
    terminal.wait_for(lambda: b"^C" in terminal.raw)
    (tmp_path / "shown").touch()
    assert terminal.finish(process) == 130
    lines = terminal.lines()
    assert lines[:-1] == [
        "Started: a",
        "out",
        "Ended : a",
        "Report:",
        "interrupted a",
    ]


def test_typing_during_a_run_does_no_harm(tmp_path, terminal):
    process = terminal.fastrun(write_json(tmp_path, document(exec_("a", WAIT))), cwd=tmp_path)
    terminal.wait_for_line("0/1 done, 1 running; ")
    terminal.type(b"some words\n")
    terminal.wait_for(lambda: "some words" in terminal.lines())
    (tmp_path / "go").touch()
    assert terminal.finish(process) == 0
    assert not shows_status(terminal)


def test_a_load_that_is_too_high_is_seen_to_hold_up_the_rest(tmp_path, terminal):
    path = write_json(tmp_path, document(exec_("a", WAIT), exec_("b", "true")))
    # Who reads the load runs: it is 1 or more.
    process = terminal.fastrun("-l", "0.5", path, cwd=tmp_path)
    terminal.wait_for_line("0/2 done, 1 running, held up: the load is too high; ")
    (tmp_path / "go").touch()
    assert terminal.finish(process) == 0


def test_durations_of_an_earlier_run_say_what_is_left(tmp_path, terminal):
    path = write_json(tmp_path, document(exec_("a", WAIT)))
    with closing(JournalFile.open(tmp_path / "j", False)) as file:
        file.append(run_record("r", "h"))
        file.append(end_record("a", "another key", Outcome(Status.OK), 36_000.0))
    process = terminal.fastrun("--journal", "j", "--resume", path, cwd=tmp_path)
    terminal.wait_for_line("about 10 h left")
    (tmp_path / "go").touch()
    assert terminal.finish(process) == 0


def test_after_kill_9_nothing_of_it_is_left(tmp_path, terminal):
    process = terminal.fastrun(write_json(tmp_path, document(exec_("a", "exec sleep 1000"))))
    terminal.wait_for_line("0/1 done, 1 running; ")
    process.kill()
    assert terminal.finish(process) == -signal.SIGKILL
    assert terminal.lines() == [
        "Started: a",
        "fastrun: fastrun died; ended 1 process of its tasks",
        "fastrun: commands that ran then: a",
    ]


def test_a_crash_leaves_its_traceback_and_no_status(tmp_path, terminal):
    # Injected: no way is known to make the runner raise.
    code = f"""
import sys
from fastrun.cli import main as cli
from fastrun.runner import runner
def crash(run):
    raise RuntimeError("crashed")
runner.Run._close_tasks = crash
sys.exit(cli.main([{os.fspath(write_json(tmp_path, document(exec_("n" * 70, WAIT))))!r}]))
"""
    process = terminal.start(sys.executable, "-c", code, cwd=tmp_path)
    terminal.wait_for_line("0/1 done, 1 running; ")
    (tmp_path / "go").touch()
    assert terminal.finish(process) == 1
    assert terminal.lines()[-1] == "RuntimeError: crashed"
    assert [line for line in terminal.lines() if "n" * 10 in line] == [
        f"{word}: {'n' * 70}" for word in ("Started", "Ended ")
    ]


def test_ctrl_z_gives_the_screen_back_and_fg_takes_it_again(tmp_path, terminal):
    # It waits for the screen however long others have the processors.
    code = f"""
import sys
from fastrun.cli import main as cli
from fastrun.observers.terminal.screen import ScreenWriter
ScreenWriter.hide.__defaults__ = ({LIMIT},)
sys.exit(cli.main([{os.fspath(write_json(tmp_path, document(exec_("a", WAIT))))!r}]))
"""
    process = terminal.start(sys.executable, "-c", code, cwd=tmp_path)
    terminal.wait_for_line("0/1 done, 1 running; ")
    terminal.type(b"\x1a")
    stopped = []

    def is_stopped() -> bool:
        pid, status = os.waitpid(process.pid, os.WNOHANG | os.WUNTRACED)
        stopped.extend([os.WIFSTOPPED(status)] if pid else [])
        return bool(stopped)

    terminal.wait_for(is_stopped)
    terminal.wait_for(lambda: not terminal.below())
    assert stopped == [True]
    process.send_signal(signal.SIGCONT)
    terminal.wait_for_line("0/1 done, 1 running; ")
    (tmp_path / "go").touch()
    assert terminal.finish(process) == 0
    assert not shows_status(terminal)
    assert b"\x1b[32mok      \x1b[m a" in terminal.raw


def test_a_job_in_the_background_shows_nothing(tmp_path, terminal):
    path = write_json(tmp_path, document(exec_("a", "sleep 0.4")))
    command = f"set -m; '{sys.executable}' -m fastrun '{path}' & wait"
    assert terminal.finish(terminal.start("sh", "-c", command)) == 0
    assert b"running" not in terminal.raw
    assert "ok       a" in terminal.lines()


def test_a_terminal_that_goes_away_does_not_keep_the_run(tmp_path):
    path = write_json(tmp_path, document(exec_("a", f"touch started; {WAIT}")))
    with Terminal() as terminal:
        process = terminal.fastrun(path, cwd=tmp_path)
        terminal.wait_for_line("0/1 done, 1 running; ")
    # Closed: who is at work there gets SIGHUP.
    assert process.wait(LIMIT) == 128 + signal.SIGHUP


def test_a_status_that_is_asked_for_in_vain_is_no_error(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true")))
    result = fastrun("--status", "always", path)
    assert (result.returncode, result.stderr) == (0, b"")
    assert fastrun("--status", "sometimes", path).returncode == 2
    assert fastrun("--color", "sometimes", path).returncode == 2


def test_status_is_imported_only_on_a_terminal(tmp_path, terminal):
    source = "import sys; print(*sorted(name for name in sys.modules if name.startswith('fastrun')))"
    path = write_json(tmp_path, document(eval_("a", source)))
    watching = {"fastrun.cli.terminal", "fastrun.observers.terminal.status", "fastrun.observers.terminal.screen"}
    assert not watching & set(fastrun(path).stdout.decode().split())
    assert terminal.finish(terminal.fastrun(path)) == 0
    assert watching <= set(terminal.raw.decode().split())
