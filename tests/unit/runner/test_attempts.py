"""Attempts, failures that are allowed, what runs after a failure, pools: by the real command line."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from contextlib import suppress
from typing import Any

import pytest

import fastrun as library
from fastrun import Observer, Report, Status
from fastrun.journal.recorded import read_journal
from tests.support.clocks import ForwardLoop, put_forward, run_with
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.fakes import Recorder
from tests.support.processes import LIMIT, alive, fastrun, fastrun_process, report_of, wait_for

# Fails until its third attempt.
THIRD = 'echo "attempt $FASTRUN_ATTEMPT"; [ $FASTRUN_ATTEMPT = 3 ]'


def run(tmp_path, *tasks, options=(), **more):
    result = fastrun(write_json(tmp_path, {**document(*tasks), **more}), *options, cwd=tmp_path)
    return result, report_of(result.stdout)


def test_a_task_is_tried_again_and_each_attempt_is_shown(tmp_path):
    result, report = run(tmp_path, exec_("a", THIRD, retries=2, retry_delay=0), exec_("b", "true", "a"))
    assert (result.returncode, report) == (0, {"a": ("ok", "attempt 3 of 3"), "b": ("ok", "")})
    assert result.stdout.decode().splitlines()[:7] == [
        "Started: a",
        "attempt 1",
        "Retrying: a (attempt 2 of 3)",
        "attempt 2",
        "Retrying: a (attempt 3 of 3)",
        "attempt 3",
        "Ended : a",
    ]
    assert result.stderr.decode().splitlines() == ["fastrun: a: exit status 1; tried again in 0.0 s"] * 2


@pytest.mark.parametrize("mode", ["group", "quiet"])
def test_the_attempts_of_a_block_stay_together(tmp_path, mode):
    result, _ = run(tmp_path, exec_("a", "echo x; exit 1", retries=1, retry_delay=0), options=["--output", mode])
    lines = result.stdout.decode().splitlines()
    block = ["x", "Retrying: a (attempt 2 of 2)", "x"]
    heading = ["Output: a"] if mode == "group" else []
    assert lines[: lines.index("Report:")] == ["Started: a", *heading, *block, "Ended : a"]


def test_after_the_last_attempt_it_has_failed(tmp_path):
    result, report = run(tmp_path, eval_("a", "1 / 0", retries=1, retry_delay=0), exec_("b", "true", "a"))
    assert result.returncode == 1
    assert report == {"a": ("failed", "ZeroDivisionError: division by zero"), "b": ("skipped", "a failed")}
    assert result.stdout.count(b"Retrying: a (attempt 2 of 2)") == 1


class Attempts(Observer):
    """Keeps the starts and what each attempt ended as."""

    def __init__(self) -> None:
        self.starts: list[tuple[int, int]] = []
        self.again: list[float | None] = []

    def task_started(self, number, task, start) -> None:
        self.starts.append((start.attempt, start.attempts))

    def task_ended(self, number, task, outcome) -> None:
        self.again.append(outcome.retry_in)


def test_the_delay_doubles_and_is_a_little_longer_at_random():
    observer = Attempts()
    library.run(document(exec_("a", "false", retries=3, retry_delay=0.01)), observers=[observer])
    assert observer.starts == [(n, 4) for n in (1, 2, 3, 4)]
    *delays, last = observer.again
    assert last is None
    for delay, least in zip(delays, (0.01, 0.02, 0.04), strict=True):
        assert delay is not None
        assert least <= delay <= 1.25 * least


def test_others_run_while_a_task_waits_for_its_next_attempt(tmp_path):
    waits = exec_("a", "[ -e made ]", retries=1, retry_delay=0.5)
    makes = exec_("b", "touch made")
    result, report = run(tmp_path, waits, makes, options=["-j", "1"])
    assert (result.returncode, report["a"]) == (0, ("ok", "attempt 2 of 2"))


class OutOfTime(Recorder):
    """Lets so many seconds be over each time that an attempt has printed something."""

    def __init__(self, *seconds: float) -> None:
        super().__init__()
        self.seconds = [*seconds]

    def task_output(self, number, task, stream, data) -> None:
        super().task_output(number, task, stream, data)
        put_forward(self.seconds.pop(0))


def run_out_of_time(recorder: OutOfTime, *tasks: dict[str, Any], **options: Any) -> Report:
    """Run tasks whose limits are over when the recorder says so, and not before."""

    async def main() -> Report:
        return await asyncio.wait_for(library.run_async(document(*tasks), observers=[recorder], **options), limit)

    limit = LIMIT + sum(recorder.seconds)
    report = run_with(ForwardLoop, main())
    assert recorder.seconds == []
    return report


def test_command_out_of_time_is_tried_again_and_leaves_no_process_beside_the_next(tmp_path):
    # The first attempt leaves a process behind that does not end when it is asked to.
    waits = "while grep -qs '^State:.*[RSDT]' /proc/$(cat left)/status; do sleep 0.01; done"
    stays = "sh -c 'trap \"\" TERM; echo $$ > left; echo; exec sleep 1000' & wait"
    command = f"if [ $FASTRUN_ATTEMPT = 1 ]; then {stays}; else {waits}; fi"
    task = exec_("a", command, retries=1, retry_delay=0, timeout=1_000, cwd=str(tmp_path))
    report = run_out_of_time(OutOfTime(1_000), task)
    assert (report["a"].status, report["a"].reason) == (Status.OK, "attempt 2 of 2")
    assert not alive(int((tmp_path / "left").read_text()))


@pytest.mark.parametrize("how", ["", "setsid "], ids=["in its group", "in a session of its own"])
@pytest.mark.parametrize("detach", [False, True])
def test_process_left_by_an_attempt_does_not_run_beside_the_next(tmp_path, how, detach):
    stays = f"{how}sh -c 'echo $$ > left; exec sleep 1000' > /dev/null 2>&1 & until [ -s left ]; do sleep 0.01; done"
    looks = "grep -s '^State:.*[RSDT]' /proc/$(cat left)/status && touch beside"
    command = f"if [ $FASTRUN_ATTEMPT = 1 ]; then {stays}; exit 3; else {looks}; exit 0; fi"
    # It is nobody else's that is killed.
    other = exec_("b", "setsid -f sleep 1000; until [ -e done ]; do sleep 0.01; done; touch whole", retries=1)
    last = exec_("c", "touch done", "a")
    result, report = run(tmp_path, exec_("a", command, retries=1, retry_delay=0, detach=detach), other, last)
    left = int((tmp_path / "left").read_text())
    try:
        assert (result.returncode, report["a"]) == (0, ("ok", "attempt 2 of 2"))
        assert (tmp_path / "beside").exists() == detach
        assert alive(left) == detach
        assert (tmp_path / "whole").exists()
        assert b"b: left a process behind" in result.stderr
    finally:
        with suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)


def test_the_grace_of_one_attempt_does_not_end_the_next(tmp_path):
    class GraceOver(OutOfTime):
        def task_output(self, number, task, stream, data) -> None:
            super().task_output(number, task, stream, data)
            if not self.seconds:
                # Behind all that is due by now.
                asyncio.get_running_loop().call_later(0, (tmp_path / "over").touch)

    first, second = "exec sleep 1000", "until [ -e over ]; do sleep 0.01; done"
    command = f"echo; if [ $FASTRUN_ATTEMPT = 1 ]; then {first}; else {second}; fi"
    task = exec_("a", command, retries=1, retry_delay=0, timeout=1_000, cwd=str(tmp_path))
    report = run_out_of_time(GraceOver(1_000, 500), task, grace=500)
    assert (report["a"].status, report["a"].reason) == (Status.OK, "attempt 2 of 2")


def test_a_snippet_whose_time_is_over_is_not_tried_beside_itself(tmp_path):
    source = "import time; time.sleep(1000)"
    result, report = run(tmp_path, eval_("a", source, retries=3, retry_delay=0, timeout=0.1))
    assert (result.returncode, report["a"]) == (1, ("failed", "timed out after 0.1 s"))
    assert b"Retrying" not in result.stdout


def test_a_signal_ends_the_wait_for_the_next_attempt(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "exit 3", retries=1, retry_delay=1000), exec_("b", "true", "a")))
    with fastrun_process(path) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        assert lines[1] == b"Retrying: a (attempt 2 of 2)\n"
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert report_of(out) == {"a": ("failed", "exit status 3"), "b": ("skipped", "a failed")}
    # The second one never began.
    assert b", attempt 1 of 2" in out


def test_a_whole_number_of_retries_may_be_written_as_a_fraction(tmp_path):
    result, report = run(tmp_path, exec_("a", "[ $FASTRUN_ATTEMPT = 2 ]", retries=1.0, retry_delay=0))
    assert report["a"] == ("ok", "attempt 2 of 2")
    assert b"Retrying: a (attempt 2 of 2)" in result.stdout
    # A part of what has an error elsewhere is read in another way.
    assert library.load({"tasks": [exec_("a", "true", retries=2.0)], "x-note": 1})[0].retries == 2


def test_an_attempt_that_cannot_start_is_one_all_the_same(tmp_path):
    result, _ = run(tmp_path, exec_("a", "true", cwd="none", retries=1, retry_delay=0))
    assert result.returncode == 1
    assert result.stdout.startswith(b"Retrying: a (attempt 2 of 2)\nReport:\n")
    assert b", attempt 2 of 2" in result.stdout


# A task whose next attempt never comes, and what waits for its first one: a failure before that would prevent it.
FAILS_ONCE = exec_("a", "touch tried; exit 3", retries=1, retry_delay=1000)
UNTIL_TRIED = "until [ -e tried ]; do sleep 0.01; done"


def test_after_too_many_failures_nothing_is_tried_again(tmp_path):
    tasks = [FAILS_ONCE, exec_("b", "exit 4", "c"), exec_("c", UNTIL_TRIED)]
    result, report = run(tmp_path, *tasks, options=["-k", "1"])
    assert result.returncode == 1
    assert (report["a"], report["b"]) == (("failed", "exit status 3"), ("failed", "exit status 4"))


def test_the_cleanup_does_not_wait_for_an_attempt_that_never_comes(tmp_path):
    tasks = [
        FAILS_ONCE,
        exec_("b", "true", "c"),
        exec_("c", UNTIL_TRIED),
        exec_("d", "exit 4", "b"),
        exec_("e", "true", "a", "d", when="always"),
    ]
    result, report = run(tmp_path, *tasks, options=["-k", "1"])
    assert result.returncode == 1
    assert report["a"] == ("failed", "exit status 3")
    assert report["e"] == ("ok", "")


def test_attempts_are_recorded_and_a_success_counts(tmp_path):
    tasks = [exec_("a", THIRD, retries=2, retry_delay=0), exec_("b", "true", "a")]
    result, _ = run(tmp_path, *tasks, options=["--journal", "j"])
    assert result.returncode == 0
    data = (tmp_path / "j").read_bytes()
    assert set(read_journal(data).ok) == {"a", "b"}
    for attempt in (1, 2, 3):
        assert data.count(b'"attempt":%d,"status"' % attempt) == (2 if attempt == 1 else 1)


def test_attempts_that_cannot_start_are_recorded_with_their_numbers(tmp_path):
    run(tmp_path, exec_("a", "true", cwd="none", retries=2, retry_delay=0), options=["--journal", "j"])
    assert re.findall(rb'"attempt":(\d)', (tmp_path / "j").read_bytes()) == [b"1", b"2", b"3"]


def test_an_allowed_failure_is_reported_and_does_not_count(tmp_path):
    tasks = [exec_("lint", "exit 3", allow_failure=True), exec_("b", "true", "lint")]
    result, report = run(tmp_path, *tasks, options=["--fail-fast"])
    assert (result.returncode, report) == (0, {"lint": ("failed", "exit status 3 (allowed)"), "b": ("ok", "")})
    assert b"2 tasks: 1 ok, 1 failed (1 allowed) in " in result.stdout


CLEANUP = [
    exec_("start", "true"),
    exec_("test", "exit 3", "start"),
    exec_("notify", "echo notified", "test", when="failed"),
    exec_("stop", "echo stopped", "test", "start", when="always"),
]


def test_task_for_failures_runs_after_a_failure(tmp_path):
    result, report = run(tmp_path, *CLEANUP)
    assert result.returncode == 1
    assert {name: status for name, (status, _) in report.items()} == {
        "start": "ok",
        "test": "failed",
        "notify": "ok",
        "stop": "ok",
    }


def test_task_for_failures_is_not_needed_without_a_failure(tmp_path):
    tasks = [CLEANUP[0], exec_("test", "true", "start"), *CLEANUP[2:]]
    result, report = run(tmp_path, *tasks)
    assert (result.returncode, report["stop"]) == (0, ("ok", ""))
    assert report["notify"] == ("skipped", "not needed: nothing failed")
    assert b"4 tasks: 3 ok, 1 skipped (1 not needed) in " in result.stdout


def test_the_cleanup_runs_after_the_last_failure_that_is_taken(tmp_path):
    slow = exec_("slow", "touch began; until [ -e stopped ]; do sleep 0.01; done")
    fails = exec_("test", "until [ -e began ]; do sleep 0.01; done; exit 3", "start")
    stop = exec_("stop", "touch stopped", "test", when="always")
    tasks = [exec_("start", "true"), fails, stop, slow, exec_("never", "touch never", "slow")]
    result, report = run(tmp_path, *tasks, options=["-k", "1"])
    assert result.returncode == 1
    assert (report["stop"], report["slow"]) == (("ok", ""), ("ok", ""))
    assert report["never"] == ("skipped", "stopped after 1 failure")
    assert not (tmp_path / "never").exists()


def test_no_cleanup_starts_after_a_signal(tmp_path):
    tasks = [exec_("a", "touch began; exec sleep 1000"), exec_("b", "true", "a", when="always")]
    with fastrun_process(write_json(tmp_path, document(*tasks)), cwd=tmp_path) as process:
        wait_for((tmp_path / "began").exists)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=LIMIT)
    assert report_of(out) == {"a": ("interrupted", "")}
    assert b"2 interrupted (1 not started)" in out


def test_a_pool_of_one_is_a_lock_over_commands_and_snippets():
    recorder = Recorder()
    tasks = [(eval_ if n % 2 else exec_)(f"t{n}", "1 + 1" if n % 2 else "true", pool="p") for n in range(8)]
    report = library.run({"tasks": tasks, "pools": {"p": 1}}, observers=[recorder])
    assert report.ok
    hooks = [event[0] for event in recorder.events if event[0] in ("task_started", "task_ended")]
    assert hooks == ["task_started", "task_ended"] * 8


def test_an_unknown_pool_is_an_error_with_its_place(tmp_path):
    content = (
        b'{"pools": {"database": 2},\n "tasks": [{"name": "a", "type": "exec", "arguments": "", "pool": "databse"}]}'
    )
    result = fastrun(write_json(tmp_path, content))
    assert result.returncode == 2
    said = result.stderr.decode()
    assert said.endswith(
        'tasks.json:2:67: unknown pool "databse": it is not in the document\'s "pools"; did you mean "database"?\n'
    )


@pytest.mark.parametrize(
    ("pools", "said"),
    [
        ('{"a": 0}', '"a" must be a whole number of 1 or more'),
        ('{"a": true}', '"a" must be an integer, not a boolean'),
        ("[1]", '"pools" must be an object, not an array'),
    ],
)
def test_wrong_pools_are_an_error(tmp_path, pools, said):
    result = fastrun(write_json(tmp_path, b'{"pools": %b, "tasks": []}' % pools.encode()))
    assert result.returncode == 2
    assert said in result.stderr.decode()


def test_pools_of_a_document_that_was_loaded_before(tmp_path):
    tasks = [exec_(name, "mkdir one && sleep 0.01 && rmdir one", pool="p", cwd=str(tmp_path)) for name in "abc"]
    assert library.run(library.load({"tasks": tasks, "pools": {"p": 1}})).ok


def test_a_pool_with_a_wrong_limit_is_not_unknown(tmp_path):
    content = document(exec_("a", "", pool="none")) | {"pools": {"none": 0}}
    result = fastrun(write_json(tmp_path, content))
    assert result.returncode == 2
    assert b"must be a whole number of 1 or more" in result.stderr
    assert b"unknown pool" not in result.stderr


def test_keys_that_others_use_for_ours_are_errors(tmp_path):
    result = fastrun(write_json(tmp_path, document(exec_("a", "", retry=1, continue_on_error=True, lock="x"))))
    assert result.returncode == 2
    for ours in ("retries", "allow_failure", "pool"):
        assert f'did you mean "{ours}"?' in result.stderr.decode()


@pytest.mark.parametrize("where", ["thread", "process"])
def test_snippet_is_told_the_number_of_its_attempt(tmp_path, where):
    source = "import os; number = os.environ['FASTRUN_ATTEMPT']; print('attempt', number); assert number == '3'"
    result, report = run(tmp_path, eval_("a", source, retries=3, retry_delay=0, where=where))
    assert report["a"] == ("ok", "attempt 3 of 4")
    assert [line for line in result.stdout.decode().splitlines() if line.startswith("attempt")] == [
        "attempt 1",
        "attempt 2",
        "attempt 3",
    ]


def test_a_task_that_waits_for_another_attempt_has_started(tmp_path):
    tasks = [
        exec_("a", "exit 1", retries=1, retry_delay=0.01),
        exec_("b", "sleep 0.3; touch began; exec sleep 1000"),
        exec_("c", "true"),
    ]
    # Once b has begun the next attempt at a is ready, and b has the only slot. Were a still held, it would have failed.
    with fastrun_process("-j1", write_json(tmp_path, document(*tasks)), cwd=tmp_path) as process:
        wait_for((tmp_path / "began").exists)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=LIMIT)
    assert report_of(out)["b"] == ("interrupted", "")
    assert report_of(out)["a"][0] in ("interrupted", "failed")
    assert b"(1 not started)" in out
