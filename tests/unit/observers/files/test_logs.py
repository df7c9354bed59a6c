"""A file for the output of each attempt."""

from __future__ import annotations

import json
import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from fastrun import Report, Start, Status, Task
from fastrun.observers.files import logs as logs_module
from fastrun.observers.files.logs import INDEX, Logs
from fastrun.outcome import FIRST_START
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import LIMIT, environment, fastrun, fastrun_process, file_limit, unmeasured, wait_for

if TYPE_CHECKING:
    from pathlib import Path


def tasks(*names: str) -> list[Task]:
    return [Task(name, "exec", "") for name in names]


class Written:
    """The files of a run whose tasks each print their names."""

    def __init__(self, folder: Path, some: list[Task]) -> None:
        self.logs = Logs(str(folder))
        self.logs.run_started(some)
        for number, task in enumerate(some):
            self.logs.task_started(number, task, FIRST_START)
            self.logs.task_output(number, task, 1, task.name.encode())
        self.logs.run_ended(Report(some, bytes([Status.OK] * len(some)), {}, 1.0))
        self.failure = self.logs.close()
        self.index = [json.loads(line) for line in (folder / INDEX).read_bytes().splitlines()]


def test_each_file_has_what_its_task_printed_and_the_index_finds_it(tmp_path):
    names = ["compile", "a/b", "../../etc/passwd", "/", "", ".", "..", "-x", "a\nb\x1b[2J", "zażółć", "A", "a", "a~2"]
    names += ["x" * 300, "x" * 299 + "y", INDEX, "index"]
    written = Written(tmp_path / "logs", tasks(*names))
    assert written.failure == ""
    assert [line["name"] for line in written.index] == names
    for line in written.index:
        assert (tmp_path / "logs" / line["log"]).read_text() == line["name"]
    # All of them in the folder itself, and of each file there is one.
    assert len(os.listdir(tmp_path / "logs")) == len(names) + 1
    assert os.listdir(tmp_path) == ["logs"]
    assert written.index[0]["log"] == "compile.log"


def test_names_that_differ_in_case_have_different_files_on_macos(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    written = Written(tmp_path, tasks("make", "Make", "MAKE"))
    assert len({line["log"].lower() for line in written.index}) == 3


def test_each_attempt_has_a_file(tmp_path):
    task = Task("a", "exec", "")
    logs = Logs(str(tmp_path))
    logs.run_started([task])
    for attempt in (1, 2):
        logs.task_started(0, task, Start(attempt, 2))
        for data in (b"out\n", b"err"):
            logs.task_output(0, task, 1, b"%d %b" % (attempt, data))
    assert logs.shown_path(0) == f"{tmp_path}/a~2.log"
    logs.close()
    assert (tmp_path / "a.log").read_bytes() == b"1 out\n1 err"
    assert (tmp_path / "a~2.log").read_bytes() == b"2 out\n2 err"


def test_few_files_are_open_however_many_tasks_print(tmp_path):
    some = tasks(*map(str, range(300)))
    before = len(os.listdir("/proc/self/fd"))
    logs = Logs(str(tmp_path))
    logs.run_started(some)
    at_first = len(os.listdir("/proc/self/fd"))
    for part in range(3):
        for number, task in enumerate(some):
            if not part:
                logs.task_started(number, task, FIRST_START)
            logs.task_output(number, task, 1, f"{part}\n".encode())
            assert len(os.listdir("/proc/self/fd")) <= at_first
    logs.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert all((tmp_path / f"{number}.log").read_bytes() == b"0\n1\n2\n" for number in range(300))


def test_many_tasks_are_divided_among_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(logs_module, "_IN_A_FOLDER", 10)
    written = Written(tmp_path, tasks(*map(str, range(101))))
    assert [line["log"] for line in written.index[::50]] == ["00/0.log", "05/50.log", "10/100.log"]
    assert all((tmp_path / line["log"]).read_text() == line["name"] for line in written.index)


def test_a_task_that_never_started_has_no_file(tmp_path):
    logs = Logs(str(tmp_path))
    logs.run_started(tasks("a"))
    assert (logs.shown_path(0), logs.links(str(tmp_path / "page.html"))) == ("", [""])
    logs.close()
    assert os.listdir(tmp_path) == [INDEX]


def test_links_lead_from_the_page_to_the_files(tmp_path):
    written = Written(tmp_path / "logs", tasks("a", "b c"))
    page = tmp_path / "reports" / "page.html"
    found = written.logs.links(str(page))
    assert found[0] == "../logs/a.log"
    assert [
        (page.parent / link).resolve().read_text() if page.parent.mkdir(exist_ok=True) is None else "" for link in found
    ] == ["a", "b c"]


PRINTING = document(
    exec_("fails", "echo out; echo err >&2; exit 3"),
    eval_("snippet", "print('hi', end='')"),
    exec_("silent", "true"),
    exec_("flaky", 'echo $FASTRUN_ATTEMPT; test "$FASTRUN_ATTEMPT" = 2', retries=1, retry_delay=0),
    exec_("after", "true", "fails"),
)


@pytest.mark.parametrize("mode", ["stream", "prefix", "group", "quiet"])
def test_the_option_writes_all_that_is_printed_whatever_is_shown(tmp_path, mode):
    folder = tmp_path / "made" / "logs"
    events = tmp_path / "events"
    result = fastrun("--output", mode, "--logs", folder, "--json", events, write_json(tmp_path, PRINTING))
    assert result.returncode == 1
    found = {path.name: path.read_text() for path in folder.iterdir() if path.name != INDEX}
    assert sorted(found.pop("fails.log").split()) == ["err", "out"]
    assert found == {"snippet.log": "hi", "silent.log": "", "flaky.log": "1\n", "flaky~2.log": "2\n"}
    assert f"    log: {folder}/fails.log\n" in result.stdout.decode()
    lines = [json.loads(line) for line in events.read_bytes().splitlines()]
    named = [(line["name"], line["attempt"], line["log"]) for line in lines if line["type"] == "task_started"]
    assert sorted(named) == sorted(
        [
            ("fails", 1, f"{folder}/fails.log"),
            ("snippet", 1, f"{folder}/snippet.log"),
            ("silent", 1, f"{folder}/silent.log"),
            ("flaky", 1, f"{folder}/flaky.log"),
            ("flaky", 2, f"{folder}/flaky~2.log"),
        ]
    )
    ended = [(line["name"], line["attempt"], line["log"]) for line in lines if line["type"] == "task_ended"]
    assert sorted(ended, key=str) == sorted([*named, ("after", None, None)], key=str)


def test_snippets_that_end_at_once_have_their_logs_in_the_events(tmp_path):
    some = document(*(eval_(f"t{number}", f"print({number})") for number in range(50)))
    fastrun("--logs", tmp_path / "logs", "--json", tmp_path / "events", write_json(tmp_path, some))
    lines = [json.loads(line) for line in (tmp_path / "events").read_bytes().splitlines()]
    for line in lines[1:-1]:
        assert line["log"] == f"{tmp_path}/logs/{line['name']}.log"


def test_another_run_writes_the_files_anew(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "echo $SAID")))
    for said in ("a long text", "x"):
        assert fastrun("--logs", tmp_path / "logs", path, env=environment(SAID=said)).returncode == 0
    assert (tmp_path / "logs" / "a.log").read_text() == "x\n"
    assert len((tmp_path / "logs" / INDEX).read_bytes().splitlines()) == 1


def test_files_follow_the_umask(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "echo x")))
    assert fastrun("--logs", tmp_path / "logs", path, preexec_fn=lambda: os.umask(0o027) and None).returncode == 0
    assert stat.S_IMODE((tmp_path / "logs" / "a.log").stat().st_mode) == 0o640


def test_output_is_in_the_file_while_the_task_runs(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "echo begun; while ! test -e go; do sleep 0.01; done")))
    with fastrun_process("--logs", "logs", path, cwd=tmp_path) as process:
        log = tmp_path / "logs" / "a.log"
        wait_for(lambda: log.exists() and log.read_bytes() == b"begun\n")
        (tmp_path / "go").touch()
        process.communicate(timeout=LIMIT)
    assert process.returncode == 0


@pytest.mark.parametrize("what", ["file", "below-a-file", "empty"])
def test_a_folder_that_cannot_be_written_starts_nothing(tmp_path, what):
    (tmp_path / "file").write_text("kept")
    path = write_json(tmp_path, document(exec_("a", "touch began")))
    folder, error = {
        "file": ("file", "file: Not a directory"),
        "below-a-file": ("file/logs", "file/logs: Not a directory"),
        "empty": ("-", "error: --logs needs a folder"),
    }[what]
    result = fastrun("--logs", folder, path, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert error in result.stderr.decode()
    assert not (tmp_path / "began").exists()
    assert (tmp_path / "file").read_text() == "kept"


def test_a_run_that_is_refused_makes_no_folder(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true")))
    result = fastrun("--logs", "logs", "--junit", "no/where", path, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (2, b"fastrun: no/where: No such file or directory\n")
    assert not (tmp_path / "logs").exists()


def test_disk_under_the_logs_is_full(tmp_path):
    tasks = [exec_("a", "head -c 100000 /dev/zero; exit 1"), exec_("b", "echo fine", "a", when="always")]
    path = write_json(tmp_path, document(*tasks))
    limit = file_limit(50_000)
    options = ("--output", "quiet", "--logs", "logs")
    result = fastrun(*options, path, cwd=tmp_path, env=unmeasured(), preexec_fn=limit)
    assert result.returncode == 3
    assert result.stderr.decode().splitlines()[-1] == "fastrun: cannot write logs/a.log: File too large"
    # The run goes on, and so do the logs of other tasks.
    assert b"\nok       b\n" in result.stdout
    assert (tmp_path / "logs" / "b.log").read_text() == "fine\n"
