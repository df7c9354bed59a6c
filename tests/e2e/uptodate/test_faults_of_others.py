"""What users of other tools have found wrong in them, in whatever decides what need not run again."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.support.documents import document, eval_, exec_
from tests.support.processes import fastrun, fastrun_process, report_of, unmeasured, wait_for
from tests.support.works import Works, disguise, read, step, write


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def pair() -> Works:
    """Return two tasks: what one makes the other reads."""
    write("a", "1")
    return Works(step("first", "cat a > b"), step("second", "cat b > c", "first"))


def test_what_did_not_change_is_not_done_again():
    """just #3439."""
    works = pair()
    assert works.run() == ["first", "second"]
    for _ in range(2):
        assert works.run() == []
        assert works.statuses() == {"first": ("ok", "up to date"), "second": ("ok", "up to date")}
    write("a", "2")
    assert works.run() == ["first", "second"]
    assert read("c") == "2"
    works.tasks[1]["arguments"] += " # another"
    assert works.run() == ["second"]
    assert works.why == {"second": "the command changed"}


def test_a_change_of_the_same_size_with_an_old_time_is_seen():
    """mise, pull request 11455."""
    works = pair()
    works.run()
    works.run()
    disguise("a", "2")
    assert works.run() == ["first", "second"]
    assert read("c") == "2"


def test_a_file_of_the_same_size_and_time_that_takes_the_place_of_another_is_seen():
    """mise, pull request 11455."""
    works = pair()
    write("other", "2")
    os.utime("a", (1, 1))
    os.utime("other", (1, 1))
    works.run()
    works.run()
    Path("other").rename("a")
    assert works.run() == ["first", "second"]


@pytest.mark.parametrize("gone", ["b", "c"])
def test_one_of_two_outputs_that_is_gone_is_made_again(gone):
    """mise, pull request 11786."""
    write("a", "1")
    works = Works(exec_("both", "cat a > b; cat a > c", inputs=["a"], outputs=["b", "c"]))
    works.run()
    assert works.run() == []
    Path(gone).unlink()
    assert works.run() == ["both"]
    assert works.why == {"both": f"{gone} is gone"}
    assert read(gone) == "1"


@pytest.mark.parametrize("inputs", [["src"], ["src/*.c"], ["**/*.c"]])
def test_a_source_that_is_deleted_is_a_change(inputs):
    """mise #4213."""
    write("src/a.c", "a")
    write("src/b.c", "b")
    works = Works(exec_("all", "cat src/* > out", inputs=inputs, outputs=["out"]))
    works.run()
    Path("src/b.c").unlink()
    assert works.run() == ["all"]
    assert works.why == {"all": "src/b.c is gone"}
    assert read("out") == "a"
    assert works.run() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_task_is_not_done(number):
    """moon #1925, turborepo #6754, go-task #1178: what it had begun to make is there."""
    write("a", "1")
    command = "cat a > b; echo begun; test -e ready || { sleep 1000; exit 1; }; cat a >> b"
    tasks = document(exec_("first", command, inputs=["a"], outputs=["b"]), step("second", "cat b > c", "first"))
    write("tasks.json", json.dumps(tasks))
    with fastrun_process("-u", "tasks.json", env=unmeasured()) as process:
        assert process.stdout is not None
        wait_for(lambda: process.stdout is not None and b"begun" in process.stdout.readline())
        process.send_signal(number)
        process.communicate()
    assert read("b") == "1"
    write("ready")
    again = fastrun("-u", "-v", "tasks.json")
    assert report_of(again.stdout) == {"first": ("ok", ""), "second": ("ok", "")}
    assert read("c") == "11"
    assert b"2 ok (2 up to date)" in fastrun("-u", "tasks.json").stdout


def test_what_a_failed_task_has_made_is_not_taken_for_its_result():
    """nx #36932."""
    write("a", "1")
    works = Works(exec_("first", "cat a > b; test -e ready", inputs=["a"], outputs=["b"]))
    works.run()
    assert works.statuses() == {"first": ("failed", "exit status 1")}
    write("ready")
    assert works.run() == ["first"]
    assert works.why == {"first": "failed the last time"}
    # Nor after it was ok once, with other content.
    Path("ready").unlink()
    write("a", "2")
    assert works.run() == ["first"]
    write("a", "1")
    assert works.run() == ["first"]
    assert works.statuses() == {"first": ("failed", "exit status 1")}


def test_outputs_are_compared_with_what_was_made():
    """go-task #2181."""
    works = pair()
    works.run()
    disguise("b", "x")
    assert works.run() == ["first"]
    assert works.why == {"first": "b changed"}
    assert read("b") == "1"
    write("c", "longer")
    assert works.run() == ["second"]
    assert read("c") == "1"


def test_going_back_to_an_earlier_content_is_a_change():
    """wireit #577."""
    works = pair()
    for text in ("1", "2", "1", "3", "2"):
        write("a", text)
        assert works.run() == ["first", "second"]
        assert read("c") == text
        assert works.run() == []


def test_going_back_before_anything_ran_is_none():
    """wireit #577."""
    works = pair()
    works.run()
    write("a", "2")
    write("a", "1")
    assert works.run() == []


def test_an_input_that_changes_while_its_reader_runs_makes_it_run_again():
    """bazel #3360."""
    write("a", "1")
    # The change comes from outside: for the task the file is only an input.
    works = Works(exec_("first", "cat a > b; test -e ready || echo 2 > a; touch ready", inputs=["a"], outputs=["b"]))
    with pytest.warns(RuntimeWarning, match=r"^first: a changed while it ran; it runs again next time$"):
        works.run()
    assert works.report.ok
    assert works.run() == ["first"]
    assert works.why == {"first": "a changed while it ran"}
    assert read("b") == "2\n"
    assert works.run() == []


def test_nothing_runs_without_a_reason():
    """snakemake #1694, #1677: times, the order of a document and how tasks are tried are none."""
    works = pair()
    works.tasks.append(exec_("third", "true", "second", inputs=["c"]))
    works.run()
    assert works.run() == []
    future = 4_000_000_000
    for path, seconds in (("a", future), ("b", 1), ("c", future)):
        os.utime(path, (seconds, seconds))
    assert works.run() == []
    for path in ("a", "b", "c"):
        Path(path).chmod(0o600)
        text = read(path)
        Path(path).unlink()
        write(path, text)
    assert works.run() == []
    works.tasks.reverse()
    for task in works.tasks:
        task.update(retries=1, timeout=1_000, description="other", tags=["x"], pool=None)
        del task["pool"]
    assert works.run() == []
    works.tasks[0]["inputs"] = ["./c", "c"]
    assert works.run() == []
    write("unrelated")
    assert works.run() == []


def test_a_task_that_makes_something_of_nothing_runs_once():
    """doit #435."""
    works = Works(exec_("first", "echo 1 > b", outputs=["b"]))
    assert works.run() == ["first"]
    assert works.run() == []
    Path("b").unlink()
    assert works.run() == ["first"]


def test_what_is_made_anew_with_the_same_content_is_no_change():
    """ninja #2405, #1459: nor does the first task run again and again."""
    write("a", "1 one")
    works = Works(
        exec_("first", "cut -c1 a > b", inputs=["a"], outputs=["b"]),
        step("second", "cat b > c", "first"),
        step("third", "cat c > d", "second"),
    )
    works.run()
    write("a", "1 two")
    assert works.run() == ["first"]
    assert works.statuses()["third"] == ("ok", "up to date")
    assert works.run() == []
    write("a", "2 two")
    assert works.run() == ["first", "second", "third"]


def test_what_is_not_made_anew_is_no_change():
    """ninja #1459: a command that leaves its output alone if there is nothing new."""
    write("a", "1 one")
    works = Works(
        exec_("first", "cut -c1 a > t; cmp -s t b || cp t b", inputs=["a"], outputs=["b"]),
        step("second", "cat b > c", "first"),
    )
    works.run()
    write("a", "1 two")
    assert works.run() == ["first"]
    assert works.run() == []


READERS = {
    "a child of a child": exec_("read", "sh -c 'sh -c \"cat a\"' > b"),
    "standard input": exec_("read", "cat < a > b"),
    "a map of memory": exec_(
        "read", "python3 -c 'import mmap, os; print(end=mmap.mmap(os.open(\"a\", 0), 0, prot=1)[:].decode())' > b"
    ),
    "a link": exec_("read", "ln -sf a link; cat link > b"),
    "another name": exec_("read", "cat $PWD/./a > b"),
    "a snippet": eval_("read", "open('b', 'w').write(open('a').read())"),
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_what_is_declared_counts_however_it_is_read(reader):
    """vite-task #587: tracing misses reads."""
    write("a", "1")
    works = Works({**reader, "inputs": ["a"], "outputs": ["b"]})
    works.run()
    assert works.run() == []
    disguise("a", "2")
    assert works.run() == ["read"]
    assert read("b") == "2"
