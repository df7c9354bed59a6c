"""fastrun as a library."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import pickle
import signal
import subprocess
import sys
from typing import Any

import pytest
import uvloop

import fastrun
from fastrun import Selection, SpecError, Status, Task
from fastrun.loading import load_graph
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.fakes import Recorder
from tests.support.processes import alive, environment

TASKS = [Task("a", "exec", "echo x"), Task("b", "eval", "print('y')", ["a"])]
AS_DICT = document(exec_("a", "echo x"), eval_("b", "print('y')", "a"))


def inputs(tmp_path):
    path = write_json(tmp_path, AS_DICT)
    return [path, str(path), AS_DICT, TASKS, iter(TASKS)]


def test_a_path_a_dict_and_tasks_are_the_same(tmp_path):
    for source in inputs(tmp_path):
        recorder = Recorder()
        report = fastrun.run(source, observers=[recorder])
        assert report.ok
        assert recorder.out("a") + recorder.out("b") == "x\ny\n"


def test_load_returns_tasks(tmp_path):
    for source in inputs(tmp_path):
        assert [task.name for task in fastrun.load(source)] == ["a", "b"]


def test_tasks_with_a_script_are_loaded_from_a_list_and_checked(tmp_path):
    script = tmp_path / "a.py"
    task = Task("a", "eval", "", script=str(script))
    with pytest.raises(
        SpecError, match=r'tasks: \$\.tasks\[0\]\.script: "script" cannot be read: .*a\.py: No such file'
    ):
        fastrun.load([task])
    script.touch()
    (loaded,) = fastrun.load([task])
    assert (loaded.script, loaded.arguments) == (str(script), "")
    with pytest.raises(SpecError, match="stands instead of"):
        fastrun.load([task._replace(arguments="pass")])


def test_what_was_loaded_is_run_as_it_is(tmp_path):
    """The run makes no new tasks, and knows where in the document each of them is."""
    tasks: list[Task] = []

    class Watching(fastrun.Observer):
        def run_started(self, tasks_of_run) -> None:
            tasks.extend(tasks_of_run)

    path = write_json(tmp_path, AS_DICT)
    loaded = fastrun.load(path)
    for _ in range(2):
        tasks.clear()
        assert fastrun.run(loaded, observers=[Watching()]).ok
        assert list(map(id, tasks)) == list(map(id, loaded))
    assert load_graph(loaded).location(1) == f"{path}:1:{path.read_text().index('{', 15) + 1}"


def test_a_run_of_what_was_loaded_leaves_its_order_for_the_next(tmp_path):
    loaded = fastrun.load(document(*(exec_(str(number), ":") for number in range(20))))

    def started(**options):
        recorder = Recorder()
        assert fastrun.run(loaded, jobs=1, observers=[recorder], **options).ok
        return [int(event[1]) for event in recorder.events if event[0] == "task_started"]

    in_order = list(range(20))
    assert started() == in_order
    assert started(shuffle=1) != in_order
    assert started(journal=tmp_path / "journal") == in_order
    assert started() == in_order


def test_what_was_loaded_can_be_pickled():
    copy = pickle.loads(pickle.dumps(fastrun.load(AS_DICT)))
    assert copy == fastrun.load(AS_DICT)
    assert fastrun.run(copy).ok


def test_a_list_made_of_what_was_loaded_is_checked():
    tasks = [*fastrun.load(AS_DICT)]
    with pytest.raises(SpecError, match='name "a" is used twice'):
        fastrun.run([*tasks, tasks[0]])
    with pytest.raises(TypeError, match="does not support item assignment"):
        fastrun.load(AS_DICT)[0] = tasks[1]  # type: ignore[index]


def test_tasks_keep_their_directory_and_environment(tmp_path):
    task = Task("a", "exec", 'pwd; echo "$K"', cwd=str(tmp_path), env={"K": "v"})
    recorder = Recorder()
    assert fastrun.run([task], observers=[recorder]).ok
    assert recorder.out("a") == f"{tmp_path}\nv\n"


def test_a_task_may_be_a_command_without_a_shell():
    recorder = Recorder()
    assert fastrun.run([Task("a", "exec", ("printf", "%s", "a b;$0"))], observers=[recorder]).ok
    assert recorder.out("a") == "a b;$0"
    strict = Task("a", "exec", "false | true", shell=("bash", "-o", "pipefail", "-c"))
    assert fastrun.run([strict])["a"].reason == "exit status 1"
    with pytest.raises(SpecError, match="must be a program, not empty and without NUL"):
        fastrun.load([Task("a", "exec", ("",))])


def test_a_wrong_document_is_a_spec_error_and_starts_nothing(tmp_path):
    with pytest.raises(SpecError) as caught:
        fastrun.run([Task("a", "exec", f"touch {tmp_path}/made"), Task("a", "exec", "")])
    assert caught.value.lines == ['tasks: $.tasks[1].name: name "a" is used twice (first at tasks: $.tasks[0].name)']
    assert not (tmp_path / "made").exists()
    with pytest.raises(FileNotFoundError):
        fastrun.run(tmp_path / "missing.json")


def test_a_key_that_is_ignored_is_a_warning():
    with pytest.warns(RuntimeWarning, match='unknown key "colour" is ignored'):
        assert fastrun.load({**AS_DICT, "colour": 1})


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run])
def test_run_async_works_in_a_loop_that_runs_already(runner):
    async def main():
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(tick())
        report = await fastrun.run_async(AS_DICT)
        other.cancel()
        assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
        return report, ticks

    report, ticks = runner(main())
    assert report.ok
    assert ticks > 1


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run])
def test_run_works_in_a_loop_that_runs_already(runner):
    async def main():
        return fastrun.run(AS_DICT)

    assert runner(main()).ok


def test_an_error_of_a_run_inside_a_loop_is_raised_there():
    async def main():
        return fastrun.run({"tasks": 1})

    with pytest.raises(SpecError):
        asyncio.run(main())


def test_nothing_is_printed_without_a_console(capfd):
    assert not fastrun.run([Task("a", "exec", "echo x; echo y >&2"), Task("b", "eval", "1 / 0")]).ok
    assert capfd.readouterr() == ("", "")


def test_a_console_prints_as_the_command_line_does(capfd):
    console = fastrun.Console("group")
    assert fastrun.run(AS_DICT, observers=[console]).ok
    assert console.close()
    out, err = capfd.readouterr()
    assert out.startswith(
        "Started: a\nOutput: a\nx\nEnded : a\nStarted: b\nOutput: b\ny\nEnded : b\nReport:\nok       a\nok       b\n"
    )
    assert err == ""


def test_cancelling_ends_the_tasks_and_leaves_no_process():
    class Ready(Recorder):
        def task_output(self, number, task, stream, data) -> None:
            super().task_output(number, task, stream, data)
            event.set()

    event = asyncio.Event()
    recorder = Ready()

    async def main():
        task = asyncio.create_task(fastrun.run_async([Task("a", "exec", "echo $$; sleep 1000")], observers=[recorder]))
        await event.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert recorder.events[-2:] == [("task_ended", "a", "interrupted", ""), ("run_ended", 130)]


def test_limits_are_passed_on():
    recorder = Recorder()
    tasks = [Task(f"e{i}", "exec", "true") for i in range(3)] + [Task(f"s{i}", "eval", "pass") for i in range(3)]
    assert fastrun.run(tasks, jobs=1, eval_threads=1, observers=[recorder]).ok
    for kind in "es":
        events = [event[:2] for event in recorder.events if event[1:2] and str(event[1]).startswith(kind)]
        assert events == [(hook, f"{kind}{i}") for i in range(3) for hook in ("task_started", "task_ended")]
    report = fastrun.run([Task(str(i), "exec", "false") for i in range(3)], jobs=1, keep_going=1)
    assert [result.status for result in report] == [Status.FAILED, Status.SKIPPED, Status.SKIPPED]


def test_a_document_can_come_from_standard_input():
    code = "import fastrun; print([task.name for task in fastrun.load('-')])"
    result = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(AS_DICT).encode(),
        capture_output=True,
        env=environment(),
        check=True,
    )
    assert result.stdout == b"['a', 'b']\n"


@pytest.mark.parametrize("options", [{"jobs": 0}, {"eval_threads": 0}, {"keep_going": -1}, {"grace": -1.0}])
def test_arguments_that_make_no_sense_are_value_errors(options):
    with pytest.raises(ValueError, match="must be"):
        fastrun.run(TASKS, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"select": Selection(names="ab")}, "tasks are named by a list of texts, not by 'ab'"),
        ({"select": Selection(tags="ab")}, "tags are named by a list of texts, not by 'ab'"),
        ({"rerun": "ab"}, "tasks are named by a list of texts, not by 'ab'"),
    ],
)
def test_a_text_is_no_list_of_letters(tmp_path, options, message):
    tasks = [exec_(name, "true", tags=["a", "b"]) for name in ("ab", "a", "b")]
    with pytest.raises(TypeError, match=f"^{message}$"):
        fastrun.run(document(*tasks), journal=tmp_path / "j", **options)
    with pytest.raises(SpecError, match='"dependencies" must be an array, not a string'):
        fastrun.run([Task("a", "exec", "true"), Task("c", "exec", "true", "a")])


def test_tasks_that_are_to_run_again_go_on_with_a_journal(tmp_path):
    tasks = document(exec_("a", "true"), exec_("b", "true"))
    assert fastrun.run(tasks, journal=tmp_path / "j").ok
    again = fastrun.run(tasks, journal=tmp_path / "j", rerun=["a"])
    assert [(one.name, one.reason) for one in again] == [("a", ""), ("b", "from the journal")]


def test_both_ways_to_run_take_the_same_options():
    assert inspect.signature(fastrun.run) == inspect.signature(fastrun.run_async)
    with pytest.raises(TypeError, match="job"):
        fastrun.run([], job=2)  # type: ignore[call-arg]  # the type checker says so as well, or this is an error


def test_a_list_of_dicts_is_a_type_error_and_an_unknown_mode_a_value_error():
    with pytest.raises(TypeError, match=r"a list must hold fastrun\.Task, not dict"):
        fastrun.load([exec_("a", "true")])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="mode must be one of stream, prefix, group, quiet"):
        fastrun.Console("loud")


def test_a_report_says_its_counts_and_the_module_its_names():
    report = fastrun.run(TASKS)
    assert repr(report).startswith("<Report 2 tasks: 2 ok in ")
    assert set(fastrun.__all__) <= set(dir(fastrun))


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run])
def test_a_loop_that_cancels_all_its_tasks_leaves_no_process_and_does_not_hang(runner):
    class Ready(Recorder):
        def task_output(self, number, task, stream, data) -> None:
            super().task_output(number, task, stream, data)
            ready.set()

    ready = asyncio.Event()
    recorder = Ready()
    tasks: set[object] = set()

    async def main():
        tasks.add(
            asyncio.create_task(fastrun.run_async([Task("a", "exec", "echo $$; sleep 1000")], observers=[recorder]))
        )
        await ready.wait()

    runner(main())
    assert recorder.events[-1] == ("run_ended", 130)
    assert not alive(int(recorder.out("a")))


def test_warnings_that_are_errors_do_not_end_a_run(recwarn):
    class Broken(fastrun.Observer):
        def task_started(self, number, task, start) -> None:
            raise ValueError

        @property
        def congested(self) -> bool:
            raise ValueError

    # Warnings are errors in these tests.
    report = fastrun.run(
        [Task("a", "exec", "sleep 1000 & echo $!"), Task("b", "eval", "print(1)")], observers=[Broken()]
    )
    assert report.ok


def test_refused_observers_leave_the_journal_and_the_descriptors_free(tmp_path):
    journal = tmp_path / "journal"
    before = os.listdir("/proc/self/fd")
    with pytest.raises(AttributeError):
        fastrun.run(TASKS, journal=journal, observers=[object()])  # type: ignore[list-item]
    assert os.listdir("/proc/self/fd") == before
    assert fastrun.run(TASKS, journal=journal).ok


def test_results_say_how_often_and_how_long_tasks_ran_and_what_they_used(tmp_path):
    report = fastrun.run(
        document(
            exec_("work", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"),
            exec_("flaky", '[ "$FASTRUN_ATTEMPT" = 3 ]', retries=2, retry_delay=0),
            eval_("snippet", "import time; time.sleep(0.01)"),
            exec_("bad", "exit 3"),
            exec_("skipped", "true", "bad"),
        )
    )
    assert [result.attempts for result in report] == [1, 3, 1, 1, 0]
    work, _, snippet, _, skipped = report
    assert work.usage is not None
    assert work.duration is not None
    assert snippet.duration is not None
    assert 0 < work.usage.cpu_seconds <= work.duration + 1
    assert snippet.duration >= 0.01
    assert (snippet.usage, snippet.output) == (None, b"")
    assert (skipped.duration, skipped.usage) == (None, None)
    assert report["work"] == work


def test_durations_are_those_of_the_tasks_while_a_snippet_keeps_the_interpreters_lock():
    timed = "import time; began = time.monotonic(); {}; print(time.monotonic() - began)"
    program = timed.format("time.sleep(0.05)")
    document_ = document(
        # One call of C, which never gives the lock away.
        eval_("keeps the lock", timed.format("sum(range(40_000_000))")),
        exec_("beside it", f'exec {sys.executable} -SEc "{program}"'),
    )
    for result in fastrun.run(document_, keep_output=100):
        assert result.duration is not None
        assert result.duration >= float(result.output)


def test_the_end_of_what_tasks_print_is_kept_if_asked_for():
    tasks = document(
        exec_("long", "seq 1000"),
        exec_("again", "echo $FASTRUN_ATTEMPT; [ $FASTRUN_ATTEMPT = 2 ]", retries=1, retry_delay=0),
        eval_("snippet", "import sys; print('out'); print('err', file=sys.stderr)"),
        exec_("silent", "true"),
    )
    report = fastrun.run(tasks, keep_output=12)
    assert [result.output for result in report] == [b"999\n1000\n", b"2\n", b"out\nerr\n", b""]
    assert [result.output for result in fastrun.run(tasks)] == [b""] * 4
    with pytest.raises(ValueError, match="keep_output must be 0 or more, not -1"):
        fastrun.run(tasks, keep_output=-1)


@pytest.mark.parametrize("how", ["path", "loaded", "list"])
def test_a_console_tells_where_a_failed_task_is(tmp_path, capfd, how):
    path = write_json(tmp_path, document(exec_("a", "true"), exec_("b", "false", "a")))
    loaded = fastrun.load(path)
    source: Any = {"path": path, "loaded": loaded, "list": list(loaded)}[how]
    console = fastrun.Console(report="problems")
    report = fastrun.run(source, observers=[console])
    assert console.close()
    line, column = load_graph(loaded).line_and_column(1) or (0, 0)
    place = "task 2 of the document" if how == "list" else f"{path}:{line}:{column}"
    assert report.location(1) == place
    assert f"  failed: b  exit status 1\n    {place}\n" in capfd.readouterr().out
