"""What a user is told of files that are wrong, before anything starts or at the end of a task."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.documents import document, eval_, exec_
from tests.support.processes import (
    fastrun,
    fastrun_process,
    file_limit,
    report_of,
    unmeasured,
    wait_for,
)
from tests.support.works import Works, read, step, write


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def row(task: dict[str, Any]) -> str:
    return json.dumps(task)


def told(*tasks: dict[str, Any]) -> list[str]:
    """Return what is said of a document, a task in each line from the second on, that does not start."""
    write("t.json", '{"tasks": [\n' + ",\n".join(map(row, tasks)) + "\n]}\n")
    result = fastrun("-u", "t.json")
    assert (result.returncode, result.stdout) == (2, b"")
    assert not os.path.exists("ran")
    return result.stderr.decode().splitlines()


def at(task: dict[str, Any], text: str, line: int = 2) -> str:
    """Return the location of a text in a task."""
    return f"t.json:{line}:{row(task).rindex(text) + 1}"


def ran(name: str, **more: Any) -> dict[str, Any]:
    return exec_(name, "touch ran", **more)


WRONG = [
    ({"inputs": ["a", ""]}, '""', 'an entry of "inputs" must be a path, not empty and without NUL'),
    ({"inputs": ["a\0b"]}, '"a\\u0000b"', 'an entry of "inputs" must be a path, not empty and without NUL'),
    ({"inputs": "a"}, '"a"', '"inputs" must be an array, not a string'),
    ({"outputs": [""]}, '""', 'an entry of "outputs" must be a path, not empty and without NUL'),
    ({"outputs": [1]}, "1", 'an entry of "outputs" must be a string, not a number'),
    ({"depfile": ""}, '""', '"depfile" must be a path, not empty and without NUL'),
    ({"depfile": ["a.d"]}, '["a.d"]', '"depfile" must be a string, not an array'),
    (
        {"outputs": ["a"], "env_inputs": ["A=B"]},
        '"A=B"',
        'an entry of "env_inputs" must be a name, not empty and without = and NUL',
    ),
    ({"env_inputs": ["A"]}, '"env_inputs"', '"env_inputs" needs "inputs", "outputs" or "depfile" beside it'),
    ({"output": ["a"]}, '"output"', 'unknown key "output"; did you mean "outputs"?'),
    ({"sources": ["a"]}, '"sources"', 'unknown key "sources"; did you mean "inputs"?'),
    ({"generates": ["a"]}, '"generates"', 'unknown key "generates"; did you mean "outputs"?'),
    ({"inputs": ["gone"]}, '"gone"', 'input "gone" is missing, and no task makes it'),
    ({"inputs": ["../gone/"], "cwd": "sub"}, '"../gone/"', 'input "gone" is missing, and no task makes it'),
    ({"inputs": ["/gone\n"]}, '"/gone\\n"', 'input "/gone\\n" is missing, and no task makes it'),
]


@pytest.mark.parametrize(("keys", "text", "message"), WRONG)
def test_a_declaration_that_is_wrong_is_an_error_with_its_location(keys, text, message):
    task = ran("a", **keys)
    assert told(task) == [f"{at(task, text)}: {message}"]


def test_a_missing_input_that_lies_beside_the_document_names_the_folder_to_run_in():
    os.mkdir("sub")
    write("sub/in", "")
    write("sub/t.json", json.dumps(document(ran("a", inputs=["in"]))))
    said = fastrun("-u", "sub/t.json").stderr.decode()
    assert said.endswith(': input "in" is missing, and no task makes it; it is in sub: -C sub runs there\n')
    assert fastrun("-C", "sub", "-u", "t.json").returncode == 0


def test_what_two_tasks_make_names_both_locations():
    one, two = ran("one", outputs=["x"]), ran("two", outputs=["y", "./x"])
    assert told(one, two) == [
        f'{at(two, chr(34) + "./x", 3)}: output "x" is made by one too (first at {at(one, chr(34) + "x")})'
    ]


def test_a_race_names_the_task_that_is_to_be_a_dependency():
    one, two = ran("one", outputs=["x"]), ran("two", inputs=["x"])
    assert told(one, two) == [f'{at(two, chr(34) + "x", 3)}: input "x" is made by one; add "one" to the dependencies']


def test_a_race_is_seen_by_way_of_other_folders_too():
    os.mkdir("build")
    write("src", "")
    one = ran("one", cwd="..", outputs=["build/x"])
    write("t.json", json.dumps(document(one, ran("two", inputs=["x"]))))
    result = fastrun("-C", "build", "-u", "../t.json")
    assert result.stderr.decode().endswith(': input "x" is made by one; add "one" to the dependencies\n')


def test_all_that_is_wrong_is_told_at_once():
    tasks = [ran(f"t{number}", inputs=[f"gone{number}"]) for number in range(25)]
    lines = told(*tasks)
    assert len(lines) == 21
    assert lines[-1] == "... and 5 more"


def test_a_task_that_makes_nothing_has_failed_with_the_reason():
    tasks = [
        exec_("none", "true", outputs=["x\n"]),
        exec_("pattern", "touch a.c", outputs=["*.none"]),
        exec_("depfile", "touch d.o", outputs=["d.o"], depfile="d.d"),
        exec_("broken", "printf 'e.o: e.c\\n\\nx\\n' > e.d", depfile="e.d"),
        exec_("folder", "mkdir -p f.d", depfile="f.d"),
        exec_("after", "true", "none"),
    ]
    write("t.json", json.dumps(document(*tasks)))
    for options in (["-u"], []):
        result = fastrun(*options, "t.json")
        assert result.returncode == 1
        assert report_of(result.stdout) == {
            "none": ("failed", "did not make x\\n"),
            "pattern": ("failed", "did not make *.none"),
            "depfile": ("failed", "depfile d.d: No such file or directory"),
            "broken": ("failed", "depfile e.d:3: no 'target: prerequisites'"),
            "folder": ("failed", "depfile f.d: not a file"),
            "after": ("skipped", "none failed"),
        }


def test_paths_are_relative_to_the_folder_of_the_run_and_to_that_of_the_task():
    write("project/sub/a", "1")
    task = exec_("a", "cat a ../sub/./a > ../out/b", cwd="sub", inputs=["a", f"{os.getcwd()}/project/sub/a"])
    write("project/t.json", json.dumps(document({**task, "outputs": ["../out/b"]})))
    first = fastrun("-C", "project", "-u", "t.json")
    assert (first.returncode, read("project/out/b")) == (0, "11")
    assert os.path.exists("project/.fastrun/t.journal")
    assert b"up to date" in fastrun("-C", "project", "-u", "t.json").stdout
    assert b"up to date" in fastrun("-u", "t.json", cwd="project").stdout


def test_names_in_no_encoding_and_with_newlines_are_inputs_and_outputs_of_folders():
    for name in ("in/\udcff", "in/a\nb", "in/é"):
        write(name, "1")
    works = Works(exec_("a", "cp -r in/. out", inputs=["in"], outputs=["out"]))
    works.run()
    assert works.run() == []
    write("in/\udcff", "2")
    assert works.run() == ["a"]
    assert works.why == {"a": "in/\\udcff changed"}
    Path("out/a\nb").unlink()
    assert works.run() == ["a"]
    assert works.why == {"a": "out/a\\nb is gone"}


def test_a_snippet_that_changes_the_directory_changes_no_path():
    write("a", "1")
    works = Works(
        eval_("away", "import os\nos.chdir('/')"),
        step("one", "cat a > x/b", "away", inputs=["a", "*.none"]),
    )
    here = os.getcwd()
    try:
        assert works.run() == ["away", "one"]
        os.chdir(here)
        assert works.run() == ["away"]
    finally:
        os.chdir(here)


@pytest.mark.parametrize("is_absolute", [False, True])
def test_a_folder_with_a_journal_and_outputs_in_it_settles(is_absolute):
    write("a", "1")
    inputs = [os.getcwd() if is_absolute else "."]
    works = Works(
        exec_("a", "mkdir -p out; cat a > out/b", inputs=inputs, outputs=["out"]), journal=".fastrun/t.journal"
    )
    os.mkdir(".fastrun")
    assert works.run() == ["a"]
    assert works.run() == []
    write("more")
    assert works.run() == ["a"]
    assert works.run() == []


def test_pipes_devices_and_what_the_kernel_shows_are_looked_at_without_reading_on():
    inputs = ["/proc/version", "/dev/null", "pipe"]
    os.mkfifo("pipe")
    works = Works(exec_("a", "rm -f f; mkfifo f", inputs=inputs, outputs=["f", "/dev/null"]))
    assert works.run() == ["a"]
    assert works.run() == []


@pytest.mark.parametrize("change", ["rm a", "echo 2 > a", "rm a; mkdir a"])
def test_a_task_that_changes_its_own_input_is_warned_of(change):
    write("a", "1")
    works = Works(exec_("a", f"{change}; touch b", inputs=["a"], outputs=["b"]))
    with pytest.warns(RuntimeWarning, match=r"^a: a changed while it ran; it runs again next time$"):
        works.run()
    assert works.report.ok


def test_one_warning_is_told_for_each_task_and_run():
    write("a", "1")
    write("t.json", json.dumps(document(exec_("a", "echo 2 >> a; touch b", inputs=["a"], outputs=["b"]))))
    for _ in range(2):
        result = fastrun("-u", "t.json")
        assert result.returncode == 0
        assert result.stderr == b"fastrun: warning: a: a changed while it ran; it runs again next time\n"


def test_two_runs_at_once_do_not_both_work():
    write("a", "1")
    write("t.json", json.dumps(document(exec_("a", "test -e go; echo $$ >> ran; cat a > b", inputs=["a"]))))
    with ThreadPoolExecutor(4) as pool:
        codes = sorted(result.returncode for result in pool.map(lambda _: fastrun("-u", "t.json"), range(4)))
    assert codes[0] == 0
    assert set(codes) <= {0, 2}
    assert len(read("ran").splitlines()) == 1
    assert read(".fastrun/.gitignore") == "*\n"


def test_a_journal_folder_that_another_run_has_just_made_is_used():
    write("t.json", json.dumps(document(exec_("a", "true", outputs=["t.json"]))))
    os.mkdir(".fastrun")
    assert fastrun("-u", "t.json").returncode == 0
    assert read(".fastrun/.gitignore") == "*\n"


def test_a_journal_folder_that_cannot_be_made_is_an_error():
    write("t.json", json.dumps(document(ran("a"))))
    write(".fastrun")
    result = fastrun("-u", "t.json")
    assert (result.returncode, result.stderr) == (2, b"fastrun: .fastrun: File exists\n")
    assert not os.path.exists("ran")


def test_a_disk_that_gets_full_stops_the_run_and_loses_nothing():
    """The journal gets no larger than a few records: what is recorded is up to date, the rest runs next time."""
    tasks = [
        exec_(f"t{number:02}", "true", outputs=["t.json"] if number == 0 else [], inputs=["a"]) for number in range(40)
    ]
    write("a")
    write("t.json", json.dumps(document(*tasks)))
    result = fastrun("-u", "-j1", "t.json", preexec_fn=file_limit(4_000), env=unmeasured())
    assert result.returncode == 3
    assert b"cannot write the journal: File too large; nothing more is started" in result.stderr
    done = [name for name, (status, _) in report_of(result.stdout).items() if status == "ok"]
    assert 0 < len(done) < 40
    again = report_of(fastrun("-u", "t.json").stdout)
    reused = [name for name, (_, reason) in again.items() if reason == "up to date"]
    assert 0 < len(reused) <= len(done)
    assert set(reused) <= set(done)
    assert {status for status, _ in again.values()} == {"ok"}


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_waits_for_no_large_file(times):
    write("large")
    os.truncate("large", 1 << 40)
    write(
        "t.json", json.dumps(document(exec_("first", "echo first"), ran("a", dependencies=["first"], inputs=["large"])))
    )
    with fastrun_process("-u", "t.json", env=unmeasured()) as process:
        assert process.stdout is not None
        descriptors = Path(f"/proc/{process.pid}/fd")

        def is_read() -> bool:
            # Any of them may be closed meanwhile.
            with suppress(FileNotFoundError):
                return any(os.readlink(link).endswith("large") for link in descriptors.iterdir())
            return False

        wait_for(is_read)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
        output = process.communicate()[0]
    assert process.returncode == 130
    assert report_of(output)["first"] == ("ok", "")
    assert not os.path.exists("ran")


def test_a_task_that_is_asked_for_runs_and_all_that_reads_what_it_makes():
    write("a", "1")
    works = Works(
        step("one", "cat a > b"),
        step("two", "cat b > c", "one"),
        exec_("all", "true", "two"),
        step("other", "cat a > d"),
    )
    works.run()
    assert works.run() == ["all"]
    assert works.run(rerun=["one"]) == ["all", "one", "two"]
    assert works.why == {"one": "asked for", "two": "one runs", "all": "names no files"}


def test_update_and_resume_on_one_journal_agree():
    write("a", "1")
    works = Works(step("one", "cat a > b"), exec_("plain", "true", "one"), step("two", "cat b > c", "plain"))
    works.run()
    assert works.run(resume=True) == []
    write("a", "2")
    assert works.run(resume=True) == ["one", "plain", "two"]
    assert works.run() == ["plain"]
    assert works.run(resume=True) == []
    Path("c").unlink()
    assert works.run(resume=True) == ["two"]
    write("a", "3")
    assert works.run(resume=True, durable=True) == ["one", "plain", "two"]
    assert read("c") == "3"


def test_tasks_that_share_a_pool_or_a_slot_are_all_looked_at():
    tasks = [step(f"t{number}", f"cat a > b{number}", pool="one") for number in range(8)]
    write("a", "1")
    works = Works(*tasks, pools={"one": 1})
    assert len(works.run()) == 8
    assert works.run(jobs=1) == []
    write("a", "2")
    assert len(works.run(jobs=1)) == 8


def test_a_task_whose_time_is_over_is_not_up_to_date():
    write("a", "1")
    works = Works(exec_("a", "cat a > b; exec sleep 1000", inputs=["a"], outputs=["b"], timeout=0.05))
    works.run()
    assert works.statuses() == {"a": ("failed", "timed out after 0.05 s")}
    works.tasks[0].update(arguments="cat a > b", timeout=1_000)
    assert works.run() == ["a"]
    assert works.run() == []


def test_what_follows_a_failure_is_looked_at_when_it_runs():
    write("a", "1")
    works = Works(
        exec_("bad", "exit 1", allow_failure=True, inputs=["a"], outputs=["b"]),
        step("reads", "cat b > c", "bad"),
        exec_("clean", "echo 1 > log", "reads", when="failed", outputs=["log"]),
    )
    works.run()
    assert works.statuses() == {
        "bad": ("failed", "exit status 1 (allowed)"),
        "reads": ("failed", "its input b is missing"),
        "clean": ("ok", ""),
    }
    write("b", "1")
    works.run()
    assert works.statuses()["reads"] == ("ok", "")
    assert works.statuses()["clean"] == ("skipped", "not needed: nothing failed")
