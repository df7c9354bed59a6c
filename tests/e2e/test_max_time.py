"""A run that has taken all the time that it may take: by the command line, and as a library."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

import fastrun as library
from fastrun import SpecError, Status
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.processes import (
    LIMIT,
    alive,
    environment,
    fastrun,
    fastrun_process,
    report_of,
)

TIMED_OUT = "fastrun: warning: the run timed out after {} s; its tasks are ended\n"

# Seconds that runs may take, one after the other, until their tasks get as far as they are to.
TIMES = (0.3, 3, 30)

# Writes its process id into a file, and waits for ever in a child.
WAITING = "echo $$ > pid; sleep 1000; true"
STUBBORN = "trap '' TERM; echo $$ > pid; while :; do sleep 1000; done"

# A period below one second, after which fastrun says what it waits for: nothing is said on a slow machine either.
SHORT_GRACE = "--grace", "0.5"


def timed_out(tmp_path, tasks, *options: str, files: tuple[str, ...] = ("pid",)):
    """Run tasks, which write ``files``, until their time is over; with more time until they have. Return the time, the
    folder and the result.
    """
    for seconds in TIMES:
        folder = tmp_path / str(seconds)
        folder.mkdir()
        path = write_json(folder, {"max_time": seconds, **document(*tasks)})
        result = fastrun(*options, path, cwd=folder)
        assert result.returncode == 124
        if all((folder / name).exists() and (folder / name).read_text() for name in files):
            return seconds, folder, result
    pytest.fail(f"the tasks had not begun within {TIMES[-1]} s")


def test_run_ends_its_tasks_and_reports_that_it_timed_out(tmp_path):
    tasks = exec_("quick", "true"), exec_("slow", WAITING, "quick"), exec_("after", "true", "slow")
    options = *SHORT_GRACE, "--json", "events", "--junit", "junit.xml", "--journal", "journal"
    seconds, folder, result = timed_out(tmp_path, tasks, *options)
    assert result.stderr.decode() == TIMED_OUT.format(seconds)
    assert report_of(result.stdout) == {"quick": ("ok", ""), "slow": ("interrupted", "")}
    last = result.stdout.decode().splitlines()[-1]
    assert last.startswith("3 tasks: 1 ok, 2 interrupted (1 not started) in ")
    assert last.endswith(f" s, timed out after {seconds} s")
    assert not alive(int((folder / "pid").read_text()))
    end = json.loads((folder / "events").read_bytes().splitlines()[-1])
    assert (end["exit_code"], end["signal"], end["timed_out"]) == (124, None, seconds)
    suite = ET.parse(folder / "junit.xml").getroot()
    said = [found.get("value") for found in suite.iter("property") if found.get("name") == "timed_out"]
    assert said == [str(seconds)]
    assert {found.get("message") for found in suite.iter("error")} == {
        f"interrupted, as the run timed out after {seconds} s"
    }


def test_another_run_goes_on_where_the_time_was_over(tmp_path):
    tasks = exec_("quick", "echo quick >> ran"), exec_("slow", f"test -e fast || {{ {WAITING}; }}", "quick")
    _, folder, _ = timed_out(tmp_path, tasks, "--journal=j")
    (folder / "fast").touch()
    result = fastrun("--journal=j", "--resume", "--max-time=1000", folder / "tasks.json", cwd=folder)
    assert report_of(result.stdout) == {"quick": ("ok", "from the journal"), "slow": ("ok", "")}
    assert (folder / "ran").read_text() == "quick\n"


@pytest.mark.parametrize(
    ("top", "variables", "option"),
    [
        ({}, {}, ["--max-time", "0.3"]),
        ({"max_time": 1000}, {}, ["--max-time", "0.3"]),
        ({"max_time": 1000}, {"FASTRUN_MAX_TIME": "0.3"}, []),
        ({}, {"FASTRUN_MAX_TIME": "1000"}, ["--max-time", "0.3"]),
    ],
)
def test_option_overrides_the_variable_and_this_the_document(top, variables, option, tmp_path):
    path = write_json(tmp_path, {**top, **document(exec_("a", "sleep 1000"))})
    result = fastrun(*SHORT_GRACE, *option, path, env=environment(**variables))
    assert (result.returncode, result.stderr.decode()) == (124, TIMED_OUT.format(0.3))


def test_task_that_ignores_sigterm_is_killed_after_the_grace_period(tmp_path):
    _, folder, result = timed_out(tmp_path, [exec_("a", STUBBORN)], "--grace", "0.1")
    assert report_of(result.stdout) == {"a": ("interrupted", "")}
    assert not alive(int((folder / "pid").read_text()))


def test_snippets_end_too(tmp_path):
    snippet = "import time\nwith open('{0}', 'w') as file: file.write('begun')\nwhile True: time.sleep(0.01)"
    files = "thread", "process"
    tasks = [eval_(name, snippet.format(name), where=name) for name in files]
    _, _, result = timed_out(tmp_path, tasks, "--grace", "0.1", files=files)
    assert report_of(result.stdout) == dict.fromkeys(files, ("interrupted", ""))


def test_signal_that_came_first_decides_the_exit_status(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "trap 'sleep 1' TERM; echo ready; while :; do sleep 0.01; done")))
    with fastrun_process("--max-time", "100", path) as process:
        assert process.stdout is not None
        while process.stdout.readline() != b"ready\n":
            pass
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 143
    assert b"timed out" not in out


def test_reader_that_takes_nothing_does_not_hold_up_the_end(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "yes")))
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "fastrun", "--max-time", "0.3", str(path)]
    with subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.wait(LIMIT) == 124
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0", "must be more than 0, not 0"),
        ("-3", "must be more than 0, not -3"),
        ("nan", "must be more than 0, not nan"),
        ("inf", "must be more than 0, and at most 1,000,000,000, not inf"),
        ("1h", "'1h' is not a number of seconds"),
    ],
)
def test_time_that_makes_no_sense_is_bad_usage(text, said, tmp_path):
    path = write_json(tmp_path, document(exec_("a", f"touch {tmp_path}/ran")))
    for result, name in (
        (fastrun(f"--max-time={text}", path), "argument --max-time"),
        (fastrun(path, env=environment(FASTRUN_MAX_TIME=text)), "FASTRUN_MAX_TIME"),
    ):
        assert result.returncode == 2
        assert f"error: {name}: {said} (" in result.stderr.decode()
    assert not (tmp_path / "ran").exists()


def test_document_with_a_time_that_makes_no_sense_is_an_error_with_its_location(tmp_path):
    path = write_json(tmp_path, {"max_time": 0, "tasks": []})
    result = fastrun(path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode() == f'{path}:1:14: "max_time" must be a number of seconds above 0\n'


def test_library_reports_that_the_run_timed_out():
    source = document(exec_("a", "sleep 1000"))
    for report in (
        library.run(source, max_time=0.3),
        library.run({"max_time": 0.3, **source}),
        library.run({"max_time": 1000, **source}, max_time=0.3),
    ):
        assert (report.exit_code, report.timed_out, report.interrupted) == (124, 0.3, True)
        assert report["a"].status is Status.INTERRUPTED


@pytest.mark.parametrize("key", ["timeout", "retry_delay", "max_time", "resources"])
def test_library_refuses_a_number_that_is_none(key):
    value = {"GPU": math.nan} if key == "resources" else math.nan
    item = {**exec_("a", "true"), key: value}
    source = {key: value, **document(exec_("a", "true"))} if key == "max_time" else document(item)
    with pytest.raises(SpecError, match=r"must be a number .*, not NaN"):
        library.run(source)
