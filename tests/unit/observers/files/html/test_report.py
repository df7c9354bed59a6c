"""The page about a run: what it holds. That a browser shows it is tested in ``browser/``."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import fastrun.observers.files.html.report
from fastrun import Cause, Outcome, Start, Status, Task, Usage
from fastrun.observers.files.html import facts
from fastrun.observers.files.html.report import LICENCES, PAGE, SCRIPTS, STYLES, embedded
from tests.support.amounts import many
from tests.support.documents import document, eval_, exec_, write_json
from tests.support.pages import FAILED, OK, Story, column, data_of, exec_task
from tests.support.processes import LIMIT, environment, fastrun_process
from tests.support.processes import fastrun as run_fastrun

ROOT = Path(fastrun.__file__).parent.parent


def story_of(path, *tasks: Task, **more) -> Story:
    return Story(path / "page.html", tasks, **more)


def test_a_run_is_told_with_its_times_slots_and_waits(tmp_path):
    story = story_of(tmp_path, exec_task("a"), exec_task("b"), Task("c", "eval", "", ["a", "b"]))
    story.start(0.0, "a")
    story.start(0.25, "b", Start(held_by="pool"))
    story.end(1.0, "a", OK._replace(usage=Usage(0.5, 2048)))
    story.end(2.0, "b")
    story.run(2.5, 4.0, "c")
    data = story.data(4.5)
    assert column(data, "name") == ["a", "b", "c"]
    assert column(data, "type") == ["exec", "exec", "eval"]
    assert column(data, "status") == ["ok"] * 3
    assert column(data, "ready") == [0, 0, 2_000_000]
    assert column(data, "began") == [0, 250_000, 2_500_000]
    assert column(data, "ended") == [1_000_000, 2_000_000, 4_000_000]
    assert column(data, "slot") == [0, 1, 0]
    assert column(data, "heldBy") == ["slot", "pool", "slot"]
    assert column(data, "cpu") == [500_000, None, None]
    assert column(data, "peak") == [2048, None, None]
    assert column(data, "needs") == [[], [], [0, 1]]
    run = data["run"]
    assert (run["seconds"], run["started"], run["ok"], run["busy"], run["cpu"]) == (4.5, 1e9, True, 4.25, 0.5)
    assert run["most"] == {"exec": 2, "eval": 1}
    assert run["counts"] == {"ok": 3, "failed": 0, "skipped": 0, "interrupted": 0}
    assert (data["failures"], data["skips"], data["notes"]) == ([], [], [])


def test_the_critical_path_is_told_with_what_it_waited(tmp_path):
    story = story_of(tmp_path, exec_task("a"), exec_task("b", "a"), exec_task("c"))
    story.run(0.0, 1.0, "a")
    story.run(1.5, 3.0, "b")
    story.run(3.0, 3.0, "c")
    story.timeline.spans[2].ended = 2.0
    data = story.data(3.0)
    assert data["path"] == {"tasks": 2, "seconds": 2.5, "retried": 0, "waited": 0.5, "rows": [0, 1]}
    assert data["graph"]["path"] == [0, 1]
    assert data["graph"]["edges"] == [[0, 1, True]]


def test_skips_are_told_by_their_root_cause(tmp_path):
    story = story_of(
        tmp_path,
        exec_task("small"),
        exec_task("x", command="make x", cwd="lib"),
        exec_task("y", "x"),
        exec_task("z", "y"),
        exec_task("w", "small"),
    )
    for name in ("small", "x"):
        story.start(0.0, name)
        story.prints(name, f"{name} is broken\n".encode())
        story.end(1.0, name, FAILED)
    for name, cause in (("y", "x"), ("z", "x"), ("w", "small")):
        story.skip(1.0, name, cause)
    data = story.data(1.0)
    assert data["skips"] == [
        {"reason": "x failed", "count": 2, "row": 1},
        {"reason": "small failed", "count": 1, "row": 0},
    ]
    # What held up most comes first.
    assert [(failure["row"], failure["skips"]) for failure in data["failures"]] == [(1, 2), (0, 1)]
    first = data["failures"][0]
    assert (first["command"], first["cwd"], first["output"], first["cut"]) == ("make x", "lib", "x is broken", False)
    assert column(data, "reason") == ["exit status 1", "exit status 1", "x failed", "x failed", "small failed"]
    assert column(data, "began") == [0, 0, None, None, None]
    assert [node["counts"] for node in data["graph"]["nodes"]][2] == {"skipped": 1}


def test_output_is_kept_of_tasks_that_did_not_go_well_alone(tmp_path):
    story = story_of(tmp_path, exec_task("good"), exec_task("stopped"), exec_task("never"))
    story.start(0.0, "good")
    story.prints("good", b"nobody wants to know\n")
    story.end(1.0, "good")
    story.start(0.0, "stopped")
    story.prints("stopped", b"half-way\n")
    for name in ("stopped", "never"):
        story.end(1.0, name, Outcome(Status.INTERRUPTED))
    data = story.data(1.0)
    assert [(failure["row"], failure["output"]) for failure in data["failures"]] == [(1, "half-way")]
    assert b"nobody wants" not in story.path.read_bytes()


def test_output_of_good_tasks_takes_no_room(tmp_path):
    good = [exec_task(f"good {number}") for number in range(500)]
    story = story_of(tmp_path, *good, exec_task("bad"))
    lines = b"a line\n" * 9000
    for task in story.tasks:
        story.start(0.0, task.name)
        story.prints(task.name, lines)
        story.end(1.0, task.name, FAILED if task.name == "bad" else OK)
    (failure,) = story.data(1.0)["failures"]
    assert failure["output"].split("\n") == ["a line"] * 200
    assert failure["cut"]


def test_earlier_attempts_are_drawn_and_their_output_is_forgotten(tmp_path):
    story = story_of(tmp_path, exec_task("a", retries=1))
    story.start(0.0, "a", Start(1, 2))
    story.prints("a", b"first\n")
    story.end(1.0, "a", FAILED._replace(attempts=2, retry_in=0.5))
    story.start(1.5, "a", Start(2, 2))
    story.prints("a", b"second\n")
    story.end(3.5, "a", FAILED._replace(attempt=2, attempts=2))
    data = story.data(3.5)
    assert data["earlier"] == [[0, 0, 0, 0, 1_000_000, ""]]
    assert column(data, "attempt") == [2]
    assert column(data, "heldBy") == ["retry"]
    assert data["failures"][0]["output"] == "second"
    assert (data["path"]["seconds"], data["path"]["retried"], data["path"]["waited"]) == (3.5, 1.0, 0.0)
    assert data["run"]["busy"] == 3.0
    assert "last attempt" in data["notes"][0]


def test_how_many_ran_at_once_is_told_for_each_part_of_the_run(tmp_path):
    story = story_of(tmp_path, exec_task("a"), exec_task("b"), Task("c", "eval", ""))
    story.start(0.0, "a")
    story.start(2.5, "b")
    story.end(5.0, "b")
    story.end(7.5, "a")
    story.run(6.0, 10.0, "c")
    running = story.data(10.0)["running"]
    assert list(running) == ["all", "exec", "eval"]
    counts = running["exec"]
    assert (counts[0], counts[249], counts[251], counts[499], counts[501], counts[751]) == (1, 1, 2, 2, 1, 0)
    assert (running["eval"][599], running["eval"][601], running["eval"][999]) == (0, 1, 1)
    # Each has been two, or one, but never all of them together.
    assert max(running["all"]) == 2
    assert (running["all"][300], running["all"][550], running["all"][700], running["all"][800]) == (2, 1, 2, 1)


def test_a_task_that_runs_when_the_run_ends_ends_with_it(tmp_path):
    story = story_of(tmp_path, exec_task("a"))
    story.start(0.0, "a")
    story._outcomes["a"] = FAILED
    data = story.data(2.0)
    assert column(data, "ended") == [2_000_000]
    assert data["running"]["exec"][-1] == data["running"]["all"][-1] == 1


def test_part_of_a_document_leaves_out_what_it_does_not_have(tmp_path):
    story = story_of(tmp_path, exec_task("a", "not here"))
    story.run(0.0, 1.0, "a")
    assert column(story.data(1.0), "needs") == [[]]


def test_nothing_to_tell(tmp_path):
    data = story_of(tmp_path).data(0.0)
    assert data["path"]["tasks"] == data["run"]["tasks"] == 0


class Parts(HTMLParser):
    """The elements of a page, as a browser finds them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data):
        if self._inside in ("script", "style"):
            self.texts.setdefault(self._inside, []).append(data)

    def handle_endtag(self, tag):
        self._inside = ""


NASTY = [
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "]]> & &amp; \" ' `",
    "\u2028 \u2029 \u202e \x00 \ud800",
    "<img src=x onerror=alert(1)>",
]


def test_no_text_of_a_task_gets_out_of_the_data(tmp_path):
    tasks = [exec_task(text, command=text, cwd=text) for text in NASTY]
    story = story_of(tmp_path, *tasks, title=NASTY[0])
    for text in NASTY:
        story.start(0.0, text)
        story.prints(text, text.encode(errors="replace"))
        story.end(1.0, text, FAILED._replace(cause=Cause.EXCEPTION, detail=text))
    data = story.data(1.0)
    assert data["title"] == NASTY[0]
    assert column(data, "name")[:3] == NASTY[:3]
    assert column(data, "name")[3] == r"\u2028 \u2029 \u202e \x00 \ud800"
    assert column(data, "command")[4] == data["failures"][4]["output"] == NASTY[4]
    parts = Parts(story.path.read_text())
    kinds = [tag for tag, _ in parts.tags]
    assert kinds.count("script") == len(SCRIPTS) + 1
    assert "img" not in kinds


@pytest.mark.parametrize("text", NASTY[:3])
def test_data_means_the_same_and_ends_no_element(text):
    piece = embedded({"a": text, "b": [1, None]})
    assert not re.search(rb"[<>&]", piece)
    assert "\u2028" not in embedded({"a": "\u2028\u2029"}).decode()


def test_nothing_is_fetched_and_only_what_belongs_to_the_page_may_run(tmp_path):
    story = story_of(tmp_path, exec_task("a"))
    story.run(0.0, 1.0, "a")
    parts = Parts(story.write(1.0).read_text())
    policy = next(attrs["content"] or "" for tag, attrs in parts.tags if attrs.get("http-equiv"))
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert set(rules) == {"default-src", "script-src", "style-src", "base-uri", "form-action"}
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in policy
    for kind, rule in (("script", "script-src"), ("style", "style-src")):
        allowed = re.findall(r"'sha256-([^']+)'", rules[rule])
        # The data is no script.
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in parts.texts[kind]]
        assert set(allowed) < set(digests) if kind == "script" else set(allowed) == set(digests)
    for tag, attrs in parts.tags:
        assert "src" not in attrs
        assert "style" not in attrs
        assert not any(name.startswith("on") for name in attrs)
        assert tag != "link"
        assert (attrs.get("href") or "#").startswith("#")


@pytest.mark.parametrize("name", [*SCRIPTS, *STYLES])
def test_files_of_the_page_can_stand_in_it(name):
    data = Path(PAGE, name).read_bytes()
    # A browser reads neither as it stands.
    assert b"\r" not in data
    assert b"\0" not in data
    assert not re.search(rb"</(script|style)|<!--", data, re.IGNORECASE)
    if not name.startswith("vendor/"):
        assert not re.search(rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", data)


def test_libraries_of_others_are_unchanged():
    note = Path(PAGE, "vendor", "README.md").read_text()
    noted = dict(re.findall(r"`([^`]+\.(?:js|css))` \| `([0-9a-f]{64})`", note))
    there = {path.name for path in Path(PAGE, "vendor").iterdir() if path.suffix in (".js", ".css")}
    assert set(noted) == there
    for name, digest in noted.items():
        assert hashlib.sha256(Path(PAGE, "vendor", name).read_bytes()).hexdigest() == digest


def test_licences_are_in_the_page(tmp_path):
    story = story_of(tmp_path)
    text = story.write(0.0).read_text()
    for name in LICENCES:
        words = Path(PAGE, name).read_text().split()
        assert "Copyright" in words
        assert " ".join(words).replace('"', "") in " ".join(text.split()).replace('"', "")


def test_a_page_of_a_large_run_says_what_it_leaves_out(tmp_path, monkeypatch):
    monkeypatch.setattr(facts, "ROWS", 50)
    many = 400
    # The last two are the critical path, as one needs the other.
    tasks = [*(exec_task(f"t{number}") for number in range(many - 1)), exec_task(f"t{many - 1}", f"t{many - 2}")]
    story = story_of(tmp_path, *tasks)
    for number in range(many):
        outcome = FAILED if number % 100 == 7 else OK
        story.run(number, number + (0.9 if number == 33 else 0.5), f"t{number}", outcome)
    monkeypatch.setattr(facts, "_LONGEST", 1)
    data = story.data(many)
    names = column(data, "name")
    assert len(names) == 50
    assert {"t7", "t107", "t207", "t307", "t33", "t398", "t399"} <= set(names)
    assert names == sorted(names, key=lambda name: int(name[1:]))
    # From all over the document.
    assert all(sum(low <= int(name[1:]) < low + 100 for name in names) > 5 for low in range(0, many, 100))
    assert data["notes"][0].startswith("50 of 400 tasks are in the table")
    assert data["run"]["counts"]["ok"] == 396
    assert [names[failure["row"]] for failure in data["failures"]] == ["t7", "t107", "t207", "t307"]


def test_long_names_leave_room_for_fewer_tasks(tmp_path, monkeypatch):
    monkeypatch.setattr(facts, "_NAME_BYTES", 1000)
    story = story_of(tmp_path, *(exec_task(f"{number:0100}") for number in range(20)))
    for task in story.tasks:
        story.run(0.0, 1.0, task.name)
    data = story.data(1.0)
    assert len(column(data, "name")) == 10
    assert data["run"]["tasks"] == 20


def test_a_command_without_a_shell_is_shown_quoted(tmp_path):
    page = tmp_path / "page.html"
    run_fastrun("--html", page, write_json(tmp_path, document(exec_("a", ["no-such-program", "a b", "$x"]))))
    data = data_of(page)
    assert column(data, "command") == ["no-such-program 'a b' '$x'"]
    assert data["failures"][0]["command"] == "no-such-program 'a b' '$x'"


def test_too_many_failures_commands_and_dependencies_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(facts, "FAILURES", 2)
    monkeypatch.setattr(facts, "_COMMANDS", 10)
    monkeypatch.setattr(facts, "_NEEDS", 1)
    monkeypatch.setattr(facts, "_REASONS", 60)
    story = story_of(tmp_path, *(exec_task(f"t{number}", *(f"t{n}" for n in range(number))) for number in range(3)))
    for number in range(3):
        story.run(0.0, 1.0, f"t{number}", FAILED._replace(cause=Cause.EXCEPTION, detail=f"{number}" * 100))
    data = story.data(1.0)
    assert len(data["failures"]) == 2
    assert data["failures"][0]["command"] == "true"
    assert data["tasks"]["command"] is data["tasks"]["needs"] is None
    assert column(data, "reason")[0] == "0" * 20 + "…"
    assert len(data["notes"]) == 3


def test_large_page_takes_190_bytes_a_task_and_a_megabyte(tmp_path):
    count = many("tasks on one page", 20_000, 100_000)
    # As large as ordinary ones get, and many of them failing with all the output that is kept.
    tasks = [
        Task(
            f"compile:some/folder/with-a-name/file-{number}.c",
            "exec",
            "gcc -O2 -c file.c " * 50,
            [f"compile:some/folder/with-a-name/file-{other}.c" for other in range(max(0, number - 3), number)],
        )
        for number in range(count)
    ]
    story = Story(tmp_path / "page.html", tasks)
    output = b"file.c:10:5: error: something is wrong with <this> line\n" * 2000
    for number, task in enumerate(tasks):
        story.start(number * 0.123456, task.name)
        if number % 2:
            story.prints(task.name, output)
        outcome = FAILED._replace(
            cause=Cause.EXCEPTION, detail=f"killed, and that was number {number}", usage=Usage(1.234567, 123456789)
        )
        story.end(number * 0.123456 + 0.1, task.name, outcome if number % 2 else OK)
    story.write(count)
    assert story.path.stat().st_size < 190 * count + 1_000_000


def test_the_option_writes_a_page(tmp_path):
    path = write_json(
        tmp_path,
        document(
            exec_("build", "printf 'one\\ntwo\\n'; echo wrong >&2; exit 3"),
            eval_("test", "pass", "build"),
            exec_("other", "true"),
        ),
    )
    page = tmp_path / "page.html"
    result = run_fastrun("--html", page, path)
    assert (result.returncode, result.stderr) == (1, b"wrong\nfastrun: build: exit status 3\n")
    data = data_of(page)
    assert data["title"] == "tasks.json"
    assert column(data, "status") == ["failed", "skipped", "ok"]
    assert sorted(data["failures"][0]["output"].split("\n")) == ["one", "two", "wrong"]
    assert data["skips"] == [{"reason": "build failed", "count": 1, "row": 0}]
    assert column(data, "cpu")[0] is not None


def test_tasks_reused_from_a_journal_are_told(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true"), exec_("b", "true", "a")))
    page, journal = tmp_path / "page.html", tmp_path / "journal"
    run_fastrun("--journal", journal, "--resume", path)
    assert run_fastrun("--journal", journal, "--resume", "--html", page, path).returncode == 0
    data = data_of(page)
    assert data["run"]["reused"] == 2
    assert column(data, "reason") == ["from the journal"] * 2
    assert column(data, "began") == [None, None]


def test_a_page_tells_why_tasks_ran_and_which_were_up_to_date(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text("")
    tasks = [exec_(name, "true", cwd=str(tmp_path), inputs=[name]) for name in "ab"]
    path, page = write_json(tmp_path, document(*tasks)), tmp_path / "page.html"
    run_fastrun("--update", path)
    (tmp_path / "b").write_text("more")
    assert run_fastrun("--update", "--html", page, path).returncode == 0
    data = data_of(page)
    assert (data["run"]["reused"], data["run"]["reusedAs"]) == (1, "up to date")
    assert column(data, "reason") == ["up to date", ""]
    assert column(data, "why") == ["", f"{tmp_path}/b changed"]


def test_a_task_that_cannot_start_and_is_tried_again_has_its_page(tmp_path):
    command = "cd ..; rmdir $OLDPWD; exit 3"
    (tmp_path / "gone").mkdir()
    tasks = [
        exec_("a", "true", cwd=str(tmp_path / "nope"), retries=1, retry_delay=0),
        exec_("b", command, cwd=str(tmp_path / "gone"), retries=2, retry_delay=0),
    ]
    page = tmp_path / "page.html"
    result = run_fastrun("--html", page, write_json(tmp_path, document(*tasks)))
    assert result.returncode == 1
    data = data_of(page)
    assert column(data, "status") == ["failed", "failed"]
    # Only one attempt has run.
    assert len(data["earlier"]) == 1
    assert column(data, "attempt") == [2, 3]


def test_an_interrupted_run_has_its_page(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "echo here; sleep 600"), exec_("b", "true", "a")))
    page = tmp_path / "page.html"
    with fastrun_process("--html", page, path) as process:
        assert process.stdout is not None
        assert b"here\n" in iter(process.stdout.readline, b"")
        process.terminate()
        process.wait()
    data = data_of(page)
    assert data["run"]["interrupted"]
    assert column(data, "status") == ["interrupted", "interrupted"]
    assert [failure["output"] for failure in data["failures"]] == ["here"]


def test_a_page_that_cannot_be_made_starts_nothing(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "touch ran")))
    result = run_fastrun("--html", tmp_path / "no" / "page.html", path, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode().splitlines() == [f"fastrun: {tmp_path}/no/page.html: No such file or directory"]
    assert not (tmp_path / "ran").exists()


def test_a_page_that_cannot_be_written_is_told_at_the_end(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true")))
    result = run_fastrun("--html", "/dev/full", path)
    assert result.returncode == 3
    assert b"ok       a\n" in result.stdout
    assert result.stderr == b"fastrun: cannot write /dev/full: No space left on device\n"


def test_a_page_that_was_given_up_is_told(tmp_path):
    story = story_of(tmp_path, exec_task("a"))
    story.run(0.0, 1.0, "a")
    assert story.page.close() == f"{story.path} is not complete"


def test_a_plain_run_loads_nothing_of_it(tmp_path):
    path = write_json(tmp_path, document(exec_("a", "true")))
    # Coverage, where it measures, has loaded hashlib before.
    code = (
        "import sys; before = set(sys.modules); import fastrun.cli.main; "
        f"fastrun.cli.main.main([{str(path)!r}]); print(*set(sys.modules) - before, file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True, timeout=LIMIT
    )
    loaded = set(result.stderr.split())
    assert "fastrun.runner.runner" in loaded
    assert not {"fastrun.observers.files.html.report", "fastrun.observers.files.html.facts", "hashlib"} & loaded
